//! A CA certificate of ours, read once and kept ready: to issue under it, and to check what was issued under it.

use aws_lc_rs::digest;
use aws_lc_rs::signature::ParsedPublicKey;
use der::asn1::ObjectIdentifier;
use der::{Decode, Encode};
use tegata_core::id::Fingerprint;
use tegata_core::schedule::Validity;
use x509_cert::ext::pkix::{BasicConstraints, KeyUsage, SubjectKeyIdentifier};
use x509_cert::name::Name;

use crate::signer::SignatureAlgorithm;
use crate::tbs::{Envelope, Tbs};
use crate::{MAX_DER, extension, name, oid};

/// Why a certificate cannot be an issuer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IssuerError {
    /// Not a certificate in DER.
    #[error("not a readable certificate")]
    Malformed,
    /// A certificate, but not one of a CA like ours.
    #[error("not the certificate of a usable CA: {0}")]
    NotACa(&'static str),
}

/// A CA certificate, taken apart and checked: cA and keyCertSign are set, its key is on P-256 or P-384, it has a subject key identifier.
#[derive(Clone)]
pub struct IssuerCert {
    der: Vec<u8>,
    subject: Name,
    subject_der: Vec<u8>,
    issuer: Name,
    key_identifier: Vec<u8>,
    validity: Validity,
    spki: Vec<u8>,
    key_bits: Vec<u8>,
    algorithm: SignatureAlgorithm,
    key: ParsedPublicKey,
}

impl IssuerCert {
    /// Reads a CA certificate.
    pub fn from_der(der: &[u8]) -> Result<Self, IssuerError> {
        if der.len() > MAX_DER {
            return Err(IssuerError::Malformed);
        }
        let envelope = Envelope::open(der).map_err(|_| IssuerError::Malformed)?;
        let tbs = Tbs::from_der(envelope.signed).map_err(|_| IssuerError::Malformed)?;
        let extensions = tbs.extensions.as_ref().ok_or(IssuerError::NotACa("it has no extensions"))?;
        let constraints = extension::find::<BasicConstraints>(extensions, oid::BASIC_CONSTRAINTS);
        if !constraints.is_some_and(|(_, constraints)| constraints.ca) {
            return Err(IssuerError::NotACa("its basic constraints do not say cA"));
        }
        let usage = extension::find::<KeyUsage>(extensions, oid::KEY_USAGE);
        if !usage.is_some_and(|(_, usage)| usage.key_cert_sign()) {
            return Err(IssuerError::NotACa("its key usage lacks keyCertSign"));
        }
        let (_, identifier) = extension::find::<SubjectKeyIdentifier>(extensions, oid::SUBJECT_KEY_IDENTIFIER)
            .ok_or(IssuerError::NotACa("it has no subject key identifier"))?;
        let parameters = tbs.spki.algorithm.parameters.as_ref();
        let curve = parameters.and_then(|any| any.decode_as::<ObjectIdentifier>().ok());
        let algorithm = curve
            .and_then(SignatureAlgorithm::from_curve_oid)
            .ok_or(IssuerError::NotACa("its key is not on P-256 or P-384"))?;
        let spki = tbs.spki.to_der().map_err(|_| IssuerError::Malformed)?;
        let key = ParsedPublicKey::new(algorithm.verification(), &spki).map_err(|_| IssuerError::Malformed)?;
        Ok(Self {
            der: der.to_vec(),
            subject_der: tbs.subject.to_der().map_err(|_| IssuerError::Malformed)?,
            validity: tbs.validity(),
            key_identifier: identifier.0.as_bytes().to_vec(),
            key_bits: tbs.spki.subject_public_key.raw_bytes().to_vec(),
            subject: tbs.subject,
            issuer: tbs.issuer,
            spki,
            algorithm,
            key,
        })
    }

    /// The certificate itself.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// SHA-256 of the certificate.
    pub fn fingerprint(&self) -> Fingerprint {
        fingerprint(&self.der)
    }

    /// Its name in DER, as a TLS CertificateRequest carries it (RFC 8446 section 4.2.4).
    pub fn subject_der(&self) -> &[u8] {
        &self.subject_der
    }

    /// Its common name, for people and for the browsers' automatic choice; empty where it has none.
    pub fn common_name(&self) -> &str {
        name::single(&self.subject, oid::COMMON_NAME).map_or("", |(_, text)| text)
    }

    /// Its organization; empty where it has none.
    pub fn organization(&self) -> &str {
        name::single(&self.subject, oid::ORGANIZATION).map_or("", |(_, text)| text)
    }

    /// From when to when it is valid.
    pub fn validity(&self) -> Validity {
        self.validity
    }

    /// The subject key identifier, which everything below it copies.
    pub fn key_identifier(&self) -> &[u8] {
        &self.key_identifier
    }

    /// SubjectPublicKeyInfo in DER.
    pub fn spki_der(&self) -> &[u8] {
        &self.spki
    }

    /// The key itself: the content of the BIT STRING, which OCSP hashes (RFC 6960 section 4.1.1).
    pub(crate) fn key_bits(&self) -> &[u8] {
        &self.key_bits
    }

    /// How it signs.
    pub fn algorithm(&self) -> SignatureAlgorithm {
        self.algorithm
    }

    /// Whether `parent` signed it: names chain and the signature verifies (RFC 5280 section 6.1.3 (a) (1) and (4)).
    pub fn is_signed_by(&self, parent: &IssuerCert) -> bool {
        let Ok(envelope) = Envelope::open(&self.der) else { return false };
        self.issuer == parent.subject && parent.verifies(&envelope)
    }

    /// Whether this CA's key made the signature.
    pub(crate) fn verifies(&self, envelope: &Envelope<'_>) -> bool {
        SignatureAlgorithm::from_oid(envelope.algorithm.oid) == Some(self.algorithm)
            && envelope.algorithm.parameters.is_none()
            && self.key.verify_sig(envelope.signed, envelope.signature).is_ok()
    }

    pub(crate) fn subject(&self) -> &Name {
        &self.subject
    }
}

/// SHA-256 of a certificate.
pub fn fingerprint(der: &[u8]) -> Fingerprint {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest::digest(&digest::SHA256, der).as_ref());
    Fingerprint(bytes)
}
