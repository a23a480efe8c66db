//! The structures of RFC 7292 section 4 and appendix A of RFC 8018, as far as our bundles need them.

use der::Sequence;
use der::asn1::{Any, ObjectIdentifier, OctetString, SetOfVec};
use spki::AlgorithmIdentifierOwned;
use x509_cert::attr::Attribute;

/// PFX (RFC 7292 section 4); the MAC is never left out.
#[derive(Sequence)]
pub(super) struct Pfx {
    pub version: u8,
    pub auth_safe: ContentInfo,
    pub mac: MacData,
}

/// ContentInfo (RFC 5652 section 3).
#[derive(Sequence)]
pub(super) struct ContentInfo {
    pub content_type: ObjectIdentifier,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT")]
    pub content: Any,
}

/// MacData (RFC 7292 section 4).
#[derive(Sequence)]
pub(super) struct MacData {
    pub mac: DigestInfo,
    pub salt: OctetString,
    pub iterations: u32,
}

/// DigestInfo (RFC 8017 appendix A.2.4).
#[derive(Sequence)]
pub(super) struct DigestInfo {
    pub algorithm: AlgorithmIdentifierOwned,
    pub digest: OctetString,
}

/// EncryptedData (RFC 5652 section 8).
#[derive(Sequence)]
pub(super) struct EncryptedData {
    pub version: u8,
    pub info: EncryptedContentInfo,
}

/// EncryptedContentInfo (RFC 5652 section 6.1).
#[derive(Sequence)]
pub(super) struct EncryptedContentInfo {
    pub content_type: ObjectIdentifier,
    pub algorithm: AlgorithmIdentifierOwned,
    #[asn1(context_specific = "0", tag_mode = "IMPLICIT")]
    pub content: OctetString,
}

/// SafeBag (RFC 7292 section 4.2).
#[derive(Sequence)]
pub(super) struct SafeBag {
    pub id: ObjectIdentifier,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT")]
    pub value: Any,
    #[asn1(optional = "true")]
    pub attributes: Option<SetOfVec<Attribute>>,
}

/// CertBag (RFC 7292 section 4.2.3).
#[derive(Sequence)]
pub(super) struct CertBag {
    pub id: ObjectIdentifier,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT")]
    pub value: OctetString,
}

/// EncryptedPrivateKeyInfo (RFC 5208 section 6).
#[derive(Sequence)]
pub(super) struct EncryptedKey {
    pub algorithm: AlgorithmIdentifierOwned,
    pub data: OctetString,
}

/// PBES2-params (RFC 8018 appendix A.4).
#[derive(Sequence)]
pub(super) struct Pbes2 {
    pub derivation: AlgorithmIdentifierOwned,
    pub encryption: AlgorithmIdentifierOwned,
}

/// PBKDF2-params (RFC 8018 appendix A.2) without the optional key length.
#[derive(Sequence)]
pub(super) struct Pbkdf2 {
    pub salt: OctetString,
    pub iterations: u32,
    pub prf: AlgorithmIdentifierOwned,
}

/// pkcs-12PbeParams (RFC 7292 appendix C).
#[derive(Sequence)]
pub(super) struct PbeParams {
    pub salt: OctetString,
    pub iterations: u32,
}
