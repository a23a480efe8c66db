//! The client-certificate verifier of browser listeners: it asks for a certificate, proves that the client holds its key, and refuses
//! nobody for what the certificate says. Stock verification would end the handshake for expired, revoked and foreign certificates, and
//! the browser would show its own error instead of our page. Whether a certificate is ours is decided from its bytes on every connection,
//! resumed ones included, and never by this verifier having run (see [`crate::tls`]).

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};

/// The largest chain that is looked at; a chain of ours has about 1,500 octets, one with post-quantum signatures about 12,000.
const MAX_CHAIN_BYTES: usize = 24 * 1024;

/// Requests a certificate, proves possession of its key, judges nothing else.
#[derive(Debug)]
pub(crate) struct ProofOfPossession {
    algorithms: WebPkiSupportedAlgorithms,
    authorities: Vec<DistinguishedName>,
}

impl ProofOfPossession {
    /// `authorities` are the names that a browser matches its certificates against before it offers them.
    pub(crate) fn new(algorithms: WebPkiSupportedAlgorithms, authorities: Vec<DistinguishedName>) -> Self {
        Self { algorithms, authorities }
    }
}

/// Whether the key of this certificate can be read at all. One that cannot (version 1, an unknown critical extension) is foreign by
/// definition: the proof of possession is void for it, so nothing may be built on it.
pub(crate) fn is_readable(cert: &CertificateDer<'_>) -> bool {
    ParsedCertificate::try_from(cert).is_ok()
}

/// A proof that fails for an unreadable certificate is passed over, since the connection then counts as foreign whatever was proven, and a
/// page explains more than an alert. For a readable certificate it ends the handshake.
fn unless_unreadable(
    proof: Result<HandshakeSignatureValid, Error>,
    cert: &CertificateDer<'_>,
) -> Result<HandshakeSignatureValid, Error> {
    match proof {
        Err(_) if !is_readable(cert) => Ok(HandshakeSignatureValid::assertion()),
        proof => proof,
    }
}

impl ClientCertVerifier for ProofOfPossession {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.authorities
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let size = end_entity.len() + intermediates.iter().map(|cert| cert.len()).sum::<usize>();
        if size > MAX_CHAIN_BYTES {
            return Err(Error::InvalidCertificate(CertificateError::BadEncoding));
        }
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        unless_unreadable(verify_tls12_signature(message, cert, dss, &self.algorithms), cert)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        unless_unreadable(verify_tls13_signature(message, cert, dss, &self.algorithms), cert)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
