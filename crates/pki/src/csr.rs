//! Certification requests (RFC 2986): reading one proves that whoever wrote it holds the key. Nothing but the key is taken from it: names
//! come from the register and extensions from the profile, so its subject and attributes are read past.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA384_ASN1, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, VerificationAlgorithm,
};
use der::asn1::{ContextSpecific, SetOfVec};
use der::{AnyRef, Decode, Encode, Reader, SliceReader, Tag, TagMode, TagNumber};
use spki::{AlgorithmIdentifierOwned, AlgorithmIdentifierRef};
use tegata_core::profile::KeyKind;
use x509_cert::attr::Attribute;
use x509_cert::name::Name;

use crate::key::{KeyError, LeafKey, PublicKey};
use crate::tbs::Envelope;
use crate::{MAX_DER, name, oid};

/// Why a request is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CsrError {
    /// More bytes than any request needs.
    #[error("the request has {0} octets; at most {MAX_DER} are read")]
    TooLarge(usize),
    /// Not a PKCS#10 request in DER.
    #[error("not a readable certification request (PKCS#10 in DER)")]
    Malformed,
    /// Its key cannot be certified.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// Signed in a way that does not fit the key, or that is not trusted.
    #[error(
        "the request is signed with an algorithm that is not supported: ECDSA or RSA PKCS#1 v1.5, with SHA-256 or longer, are"
    )]
    Algorithm,
    /// Whoever wrote it does not hold the key.
    #[error("the signature of the request does not verify: no proof of possession of the key")]
    NoProof,
}

/// A request whose author holds the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Csr {
    public_key: PublicKey,
}

impl Csr {
    /// The key that is to be certified.
    pub fn public_key(&self) -> &PublicKey {
        &self.public_key
    }
}

/// Reads a request and verifies its signature by the key it names.
pub fn parse(der: &[u8]) -> Result<Csr, CsrError> {
    if der.len() > MAX_DER {
        return Err(CsrError::TooLarge(der.len()));
    }
    let envelope = Envelope::open(der).map_err(|_| CsrError::Malformed)?;
    let spki = key_inside(envelope.signed).map_err(|_| CsrError::Malformed)?;
    let (public_key, parsed) = PublicKey::parse(spki)?;
    let algorithm = verification(public_key.kind(), &envelope.algorithm).ok_or(CsrError::Algorithm)?;
    // Parsed for SHA-256 already; only the rarer hashes need it once more.
    let parsed = match envelope.algorithm.oid {
        oid::ECDSA_SHA256 | oid::RSA_SHA256 => parsed,
        _ => ParsedPublicKey::new(algorithm, spki).map_err(|_| CsrError::Malformed)?,
    };
    parsed.verify_sig(envelope.signed, envelope.signature).map_err(|_| CsrError::NoProof)?;
    Ok(Csr { public_key })
}

/// The SubjectPublicKeyInfo of a CertificationRequestInfo (RFC 2986 section 4.1), as it stands there.
fn key_inside(info: &[u8]) -> der::Result<&[u8]> {
    let mut reader = SliceReader::new(info)?;
    let spki = reader.sequence(|inner| {
        if u8::decode(inner)? != 0 {
            return Err(Tag::Integer.value_error().into());
        }
        Name::decode(inner)?;
        let spki = inner.tlv_bytes()?;
        // Attributes are required, but may be empty; some programs leave them out altogether.
        if !inner.is_finished() {
            AnyRef::decode(inner)?;
        }
        Ok::<_, der::Error>(spki)
    })?;
    reader.finish()?;
    Ok(spki)
}

fn verification(kind: KeyKind, algorithm: &AlgorithmIdentifierRef<'_>) -> Option<&'static dyn VerificationAlgorithm> {
    // Absent for ECDSA; NULL for RSA, or absent as some programs write it (RFC 4055 section 5 accepts both).
    let plain = match algorithm.parameters {
        None => true,
        Some(parameters) => kind != KeyKind::P256 && parameters == AnyRef::NULL,
    };
    let found: &'static dyn VerificationAlgorithm = match (kind, algorithm.oid) {
        (KeyKind::P256, oid::ECDSA_SHA256) => &ECDSA_P256_SHA256_ASN1,
        (KeyKind::P256, oid::ECDSA_SHA384) => &ECDSA_P256_SHA384_ASN1,
        (KeyKind::Rsa2048 | KeyKind::Rsa3072, oid::RSA_SHA256) => &RSA_PKCS1_2048_8192_SHA256,
        (KeyKind::Rsa2048 | KeyKind::Rsa3072, oid::RSA_SHA384) => &RSA_PKCS1_2048_8192_SHA384,
        (KeyKind::Rsa2048 | KeyKind::Rsa3072, oid::RSA_SHA512) => &RSA_PKCS1_2048_8192_SHA512,
        _ => return None,
    };
    plain.then_some(found)
}

/// Writes a request for a key, signed by it. The common name is a courtesy to readers: the CA takes names from its register.
pub fn build(key: &LeafKey, common_name: &str) -> Result<Vec<u8>, CsrError> {
    let info = request_info(key, common_name).map_err(|_| CsrError::Malformed)?;
    let algorithm = match key.kind() {
        KeyKind::P256 => AlgorithmIdentifierOwned { oid: oid::ECDSA_SHA256, parameters: None },
        KeyKind::Rsa2048 | KeyKind::Rsa3072 => {
            AlgorithmIdentifierOwned { oid: oid::RSA_SHA256, parameters: Some(der::Any::null()) }
        }
    };
    let signature = key.sign(&info)?;
    Envelope::close(&info, &algorithm, &signature).map_err(|_| CsrError::Malformed)
}

fn request_info(key: &LeafKey, common_name: &str) -> der::Result<Vec<u8>> {
    let attributes =
        ContextSpecific { tag_number: TagNumber(0), tag_mode: TagMode::Implicit, value: SetOfVec::<Attribute>::new() };
    let mut content = 0u8.to_der()?;
    name::build(None, None, Some(common_name))?.encode_to_vec(&mut content)?;
    content.extend_from_slice(key.public_key().spki_der());
    attributes.encode_to_vec(&mut content)?;
    AnyRef::new(Tag::Sequence, &content)?.to_der()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_of_each_kind_of_key_proves_possession() {
        for kind in [KeyKind::P256, KeyKind::Rsa2048, KeyKind::Rsa3072] {
            let key = LeafKey::generate(kind).expect("generated");
            let csr = parse(&build(&key, "JP_u00000001_client0001").expect("built")).expect("accepted");
            assert_eq!(csr.public_key(), key.public_key());
        }
    }

    #[test]
    fn a_changed_request_proves_nothing() {
        let key = LeafKey::generate(KeyKind::P256).expect("generated");
        let mut der = build(&key, "JP_u00000001_client0001").expect("built");
        let at = der.windows(4).position(|four| four == b"u000").expect("the name is inside");
        der[at + 3] = b'9';
        assert_eq!(parse(&der), Err(CsrError::NoProof));
    }

    #[test]
    fn another_keys_signature_proves_nothing() {
        let (mine, other) = (LeafKey::generate(KeyKind::P256), LeafKey::generate(KeyKind::P256));
        let (mine, other) = (mine.expect("generated"), other.expect("generated"));
        let info = request_info(&mine, "x").expect("encoded");
        let algorithm = AlgorithmIdentifierOwned { oid: oid::ECDSA_SHA256, parameters: None };
        let der = Envelope::close(&info, &algorithm, &other.sign(&info).expect("signed")).expect("encoded");
        assert_eq!(parse(&der), Err(CsrError::NoProof));
    }

    #[test]
    fn sha1_and_algorithms_of_another_kind_of_key_are_refused() {
        let key = LeafKey::generate(KeyKind::P256).expect("generated");
        let info = request_info(&key, "x").expect("encoded");
        let sha1 = der::asn1::ObjectIdentifier::new_unwrap("1.2.840.10045.4.1");
        for oid in [sha1, oid::RSA_SHA256] {
            let algorithm = AlgorithmIdentifierOwned { oid, parameters: None };
            let der = Envelope::close(&info, &algorithm, &[0; 70]).expect("encoded");
            assert_eq!(parse(&der), Err(CsrError::Algorithm));
        }
    }

    #[test]
    fn too_much_too_little_and_trailing_bytes_are_refused() {
        assert_eq!(parse(&[0x30; MAX_DER + 1]), Err(CsrError::TooLarge(MAX_DER + 1)));
        assert_eq!(parse(b""), Err(CsrError::Malformed));
        let mut der = build(&LeafKey::generate(KeyKind::P256).expect("generated"), "x").expect("built");
        der.push(0);
        assert_eq!(parse(&der), Err(CsrError::Malformed));
    }
}
