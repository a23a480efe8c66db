//! Recognising a certificate of ours (RFC 5280 section 6.1.3 (a) (1) and (4), 4.2.1.12, 4.2.1.6). The bytes come from strangers: bounded,
//! never panics. Never judges time or revocation: those are asked anew for every request.

use der::Decode;
use tegata_core::id::{IssuerId, Serial, TerminalId};
use tegata_core::peer::PeerCert;
use tegata_core::profile::Purpose;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{BasicConstraints, ExtendedKeyUsage, SubjectAltName};

use crate::issuer::{IssuerCert, fingerprint};
use crate::tbs::{Envelope, Tbs};
use crate::{MAX_DER, extension, name, oid};

/// What a presented certificate says, if one of `issuers` signed it for a terminal; `None` for everything else.
pub fn identify(leaf_der: &[u8], issuers: &[(IssuerId, IssuerCert)]) -> Option<PeerCert> {
    if leaf_der.len() > MAX_DER {
        return None;
    }
    let envelope = Envelope::open(leaf_der).ok()?;
    let tbs = Tbs::from_der(envelope.signed).ok()?;
    // The algorithm outside the signature must be the one inside it (RFC 5280 section 4.1.1.2).
    if tbs.signature.oid != envelope.algorithm.oid || tbs.signature.parameters.is_some() {
        return None;
    }
    let (terminal, purpose) = terminal(&tbs)?;
    // The cheap questions first: a stranger's certificate must not cost a signature check.
    let serial: [u8; 16] = tbs.serial.as_bytes().try_into().ok()?;
    let signed_by = |issuer: &IssuerCert| *issuer.subject() == tbs.issuer && issuer.verifies(&envelope);
    let (issuer, _) = issuers.iter().find(|(_, issuer)| signed_by(issuer))?;
    let validity = tbs.validity();
    Some(PeerCert {
        fingerprint: fingerprint(leaf_der),
        serial: Serial::from_bytes(serial),
        issuer: *issuer,
        terminal,
        purpose,
        not_before: validity.not_before,
        not_after: validity.not_after,
    })
}

/// Whom a certificate's subject names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// organizationName; empty where there is none.
    pub organization: String,
    /// commonName; empty where there is none.
    pub common_name: String,
}

/// The subject of a certificate that [`identify`] recognised; of any other it says nothing that could be relied on.
pub fn holder(leaf_der: &[u8]) -> Option<Holder> {
    let envelope = Envelope::open(leaf_der).ok()?;
    let tbs = Tbs::from_der(envelope.signed).ok()?;
    let text = |oid| name::single(&tbs.subject, oid).map_or_else(String::new, |(_, text)| text.to_owned());
    Some(Holder { organization: text(oid::ORGANIZATION), common_name: text(oid::COMMON_NAME) })
}

/// The terminal that an end-entity certificate for client authentication names, and what it is for there.
fn terminal(tbs: &Tbs) -> Option<(TerminalId, Purpose)> {
    let extensions = tbs.extensions.as_ref()?;
    if extensions.iter().any(|other| other.extn_id == oid::BASIC_CONSTRAINTS) {
        let (_, constraints) = extension::find::<BasicConstraints>(extensions, oid::BASIC_CONSTRAINTS)?;
        if constraints.ca {
            return None;
        }
    }
    let (_, usage) = extension::find::<ExtendedKeyUsage>(extensions, oid::EXTENDED_KEY_USAGE)?;
    let (_, names) = extension::find::<SubjectAltName>(extensions, oid::SUBJECT_ALT_NAME)?;
    let [GeneralName::UniformResourceIdentifier(uri)] = names.0.as_slice() else { return None };
    usage.0.contains(&oid::CLIENT_AUTH).then(|| TerminalId::from_san_uri(uri.as_str())).flatten()
}
