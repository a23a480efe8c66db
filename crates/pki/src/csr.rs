//! Certification requests (RFC 2986): reading one proves that whoever wrote it holds the key. Nothing but the key is ever certified: names
//! come from the register and extensions from the profile. The names asked for are read only to be compared (RFC 7030 section 4.2.2).

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA384_ASN1, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, VerificationAlgorithm,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use der::asn1::{ContextSpecific, SetOfVec};
use der::{AnyRef, Decode, Encode, Reader, SliceReader, Tag, TagMode, TagNumber, Tagged};
use spki::{AlgorithmIdentifierOwned, AlgorithmIdentifierRef};
use tegata_core::profile::KeyKind;
use tegata_core::terminal::Subject;
use x509_cert::attr::Attribute;
use x509_cert::ext::Extensions;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::name::Name;

use crate::key::{KeyError, LeafKey, PublicKey};
use crate::tbs::{Envelope, Tbs};
use crate::{MAX_DER, extension, name, oid};

/// Why a request is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CsrError {
    /// More bytes than any request needs.
    #[error("the request has {0} octets; at most {MAX_DER} are read")]
    TooLarge(usize),
    /// Not a PKCS#10 request in DER.
    #[error("not a readable certification request (PKCS#10 in DER)")]
    Malformed,
    /// Not base64.
    #[error("the body must be the request (PKCS#10 in DER) in base64, without header and footer lines")]
    Base64,
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
    subject: Name,
    alternative_names: Vec<GeneralName>,
    wants_encrypted_key: bool,
}

/// Why a request's names are not those of the certificate to be renewed (RFC 7030 section 4.2.2).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameMismatch {
    /// Another subject.
    #[error("the subject of the request must be that of the certificate to be renewed: {expected}; it is {found}")]
    Subject {
        /// As the certificate has it (RFC 4514).
        expected: String,
        /// As the request has it.
        found: String,
    },
    /// Another alternative name.
    #[error("the request may ask for the certificate's subject alternative name, URI:{0}, and for no other")]
    AlternativeName(String),
    /// The certificate at hand cannot be read.
    #[error("the certificate to be renewed is not readable")]
    Certificate,
}

impl Csr {
    /// The key that is to be certified.
    pub fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    /// Whether the author wants a key that we make to come encrypted (RFC 7030 section 4.4.1).
    pub fn wants_encrypted_key(&self) -> bool {
        self.wants_encrypted_key
    }

    /// Whether the request asks for a terminal's subject and for `san_uri`.
    pub fn asks_for_subject(&self, subject: &Subject, san_uri: &str) -> Result<(), NameMismatch> {
        let expected = name::build(Some(subject.country), Some(&subject.organization), Some(&subject.common_name));
        self.compare(&expected.map_err(|_| NameMismatch::Certificate)?, san_uri)
    }

    /// Whether the request asks for the names of `certificate` (DER) and for `san_uri`. Subjects are compared by the rules of RFC 5280
    /// section 7.1, not by their bytes: many programs write the same text in another string type.
    pub fn asks_for(&self, certificate: &[u8], san_uri: &str) -> Result<(), NameMismatch> {
        let envelope = Envelope::open(certificate).map_err(|_| NameMismatch::Certificate)?;
        let tbs = Tbs::from_der(envelope.signed).map_err(|_| NameMismatch::Certificate)?;
        self.compare(&tbs.subject, san_uri)
    }

    fn compare(&self, subject: &Name, san_uri: &str) -> Result<(), NameMismatch> {
        if !name::same(&self.subject, subject) {
            let (expected, found) = (subject.to_string(), self.subject.to_string());
            return Err(NameMismatch::Subject { expected, found });
        }
        match self.alternative_names.as_slice() {
            // Left out: widespread programs cannot write this kind of name (docs/DIVERGENCES.md). The certificate carries it all the same.
            [] => Ok(()),
            [GeneralName::UniformResourceIdentifier(uri)] if uri.as_str() == san_uri => Ok(()),
            _ => Err(NameMismatch::AlternativeName(san_uri.to_owned())),
        }
    }
}

/// Reads a request in base64, in one line or in many, as it comes in the body of an enrolment (RFC 7030 section 4.2.1, RFC 8951
/// section 3.1), and verifies it as [`parse`] does.
pub fn parse_base64(text: &[u8]) -> Result<Csr, CsrError> {
    let text: Vec<u8> = text.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    parse(&STANDARD.decode(&text).map_err(|_| CsrError::Base64)?)
}

/// Reads a request and verifies its signature by the key it names.
pub fn parse(der: &[u8]) -> Result<Csr, CsrError> {
    if der.len() > MAX_DER {
        return Err(CsrError::TooLarge(der.len()));
    }
    let envelope = Envelope::open(der).map_err(|_| CsrError::Malformed)?;
    let Info { subject, spki, attributes } = read_info(envelope.signed).map_err(|_| CsrError::Malformed)?;
    let (public_key, parsed) = PublicKey::parse(spki)?;
    let algorithm = verification(public_key.kind(), &envelope.algorithm).ok_or(CsrError::Algorithm)?;
    // Parsed for SHA-256 already; only the rarer hashes need it once more.
    let parsed = match envelope.algorithm.oid {
        oid::ECDSA_SHA256 | oid::RSA_SHA256 => parsed,
        _ => ParsedPublicKey::new(algorithm, spki).map_err(|_| CsrError::Malformed)?,
    };
    parsed.verify_sig(envelope.signed, envelope.signature).map_err(|_| CsrError::NoProof)?;
    Ok(Csr {
        alternative_names: alternative_names(&attributes).map_err(|_| CsrError::Malformed)?,
        wants_encrypted_key: attributes
            .iter()
            .any(|attribute| matches!(attribute.oid, oid::DECRYPT_KEY_ID | oid::ASYMMETRIC_DECRYPT_KEY_ID)),
        subject,
        public_key,
    })
}

/// A CertificationRequestInfo (RFC 2986 section 4.1), taken apart.
struct Info<'a> {
    subject: Name,
    /// SubjectPublicKeyInfo, as it stands there.
    spki: &'a [u8],
    attributes: Vec<Attribute>,
}

fn read_info(info: &[u8]) -> der::Result<Info<'_>> {
    let mut reader = SliceReader::new(info)?;
    let info = reader.sequence(|inner| {
        if u8::decode(inner)? != 0 {
            return Err(Tag::Integer.value_error().into());
        }
        let subject = Name::decode(inner)?;
        let spki = inner.tlv_bytes()?;
        // Attributes are required, but may be empty; some programs leave them out altogether.
        let attributes = if inner.is_finished() { Vec::new() } else { read_attributes(AnyRef::decode(inner)?)? };
        Ok::<_, der::Error>(Info { subject, spki, attributes })
    })?;
    reader.finish()?;
    Ok(info)
}

/// `[0] IMPLICIT SET OF Attribute`, in whatever order the author wrote them.
fn read_attributes(set: AnyRef<'_>) -> der::Result<Vec<Attribute>> {
    let expected = Tag::ContextSpecific { constructed: true, number: TagNumber(0) };
    if set.tag() != expected {
        return Err(set.tag().unexpected_error(Some(expected)).into());
    }
    let mut reader = SliceReader::new(set.value())?;
    let mut attributes = Vec::new();
    while !reader.is_finished() {
        attributes.push(Attribute::decode(&mut reader)?);
    }
    Ok(attributes)
}

/// The subject alternative names that the request asks for; none where it asks for none.
fn alternative_names(attributes: &[Attribute]) -> der::Result<Vec<GeneralName>> {
    let mut names = Vec::new();
    for attribute in attributes.iter().filter(|attribute| attribute.oid == oid::EXTENSION_REQUEST) {
        for value in attribute.values.iter() {
            let extensions: Extensions = value.decode_as()?;
            for extension in extensions.iter().filter(|extension| extension.extn_id == oid::SUBJECT_ALT_NAME) {
                names.extend(SubjectAltName::from_der(extension.extn_value.as_bytes())?.0);
            }
        }
    }
    Ok(names)
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
    let subject = name::build(None, None, Some(common_name)).map_err(|_| CsrError::Malformed)?;
    write(key, &subject, None)
}

/// Writes a request for a key that asks for the names of a certificate (DER), as a re-enrolment does (RFC 7030 section 4.2.2). `san_uri` is
/// the one alternative name to ask for.
pub fn build_for(key: &LeafKey, certificate: &[u8], san_uri: &str) -> Result<Vec<u8>, CsrError> {
    let envelope = Envelope::open(certificate).map_err(|_| CsrError::Malformed)?;
    let tbs = Tbs::from_der(envelope.signed).map_err(|_| CsrError::Malformed)?;
    write(key, &tbs.subject, Some(san_uri))
}

fn write(key: &LeafKey, subject: &Name, san_uri: Option<&str>) -> Result<Vec<u8>, CsrError> {
    let info = request_info(key, subject, san_uri).map_err(|_| CsrError::Malformed)?;
    let algorithm = match key.kind() {
        KeyKind::P256 => AlgorithmIdentifierOwned { oid: oid::ECDSA_SHA256, parameters: None },
        KeyKind::Rsa2048 | KeyKind::Rsa3072 => {
            AlgorithmIdentifierOwned { oid: oid::RSA_SHA256, parameters: Some(der::Any::null()) }
        }
    };
    let signature = key.sign(&info)?;
    Envelope::close(&info, &algorithm, &signature).map_err(|_| CsrError::Malformed)
}

fn request_info(key: &LeafKey, subject: &Name, san_uri: Option<&str>) -> der::Result<Vec<u8>> {
    let mut wanted = SetOfVec::<Attribute>::new();
    if let Some(uri) = san_uri {
        let extensions = vec![extension::subject_alt_name(vec![extension::uri(uri)?], false)?];
        let values = SetOfVec::from_iter([der::Any::from_der(&extensions.to_der()?)?])?;
        wanted.insert(Attribute { oid: oid::EXTENSION_REQUEST, values })?;
    }
    let attributes = ContextSpecific { tag_number: TagNumber(0), tag_mode: TagMode::Implicit, value: wanted };
    let mut content = 0u8.to_der()?;
    subject.encode_to_vec(&mut content)?;
    content.extend_from_slice(key.public_key().spki_der());
    attributes.encode_to_vec(&mut content)?;
    AnyRef::new(Tag::Sequence, &content)?.to_der()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn subject() -> Name {
        name::build(None, None, Some("x")).expect("encodable")
    }

    #[test]
    fn a_request_of_each_kind_of_key_proves_possession() {
        for kind in [KeyKind::P256, KeyKind::Rsa2048, KeyKind::Rsa3072] {
            let key = LeafKey::generate(kind).expect("generated");
            let csr = parse(&build(&key, "JP_u00000001_client0001").expect("built")).expect("accepted");
            assert_eq!(csr.public_key(), key.public_key());
        }
    }

    #[test]
    fn base64_is_read_in_one_line_or_in_many_and_nothing_else_is() {
        let der = build(&LeafKey::generate(KeyKind::P256).expect("generated"), "x").expect("built");
        let text = STANDARD.encode(&der);
        let lines = format!("{}\r\n {}\n", &text[..64], &text[64..]);
        assert_eq!(parse_base64(text.as_bytes()), parse(&der));
        assert_eq!(parse_base64(lines.as_bytes()), parse(&der));
        for wrong in [der, format!("-----BEGIN CERTIFICATE REQUEST-----\n{text}").into_bytes(), b"AAA".to_vec()] {
            assert_eq!(parse_base64(&wrong), Err(CsrError::Base64));
        }
        assert_eq!(parse_base64(b""), Err(CsrError::Malformed));
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
        let info = request_info(&mine, &subject(), None).expect("encoded");
        let algorithm = AlgorithmIdentifierOwned { oid: oid::ECDSA_SHA256, parameters: None };
        let der = Envelope::close(&info, &algorithm, &other.sign(&info).expect("signed")).expect("encoded");
        assert_eq!(parse(&der), Err(CsrError::NoProof));
    }

    #[test]
    fn sha1_and_algorithms_of_another_kind_of_key_are_refused() {
        let key = LeafKey::generate(KeyKind::P256).expect("generated");
        let info = request_info(&key, &subject(), None).expect("encoded");
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
    proptest! {
        #[test]
        fn no_text_does_harm(text in proptest::collection::vec(any::<u8>(), 0..600)) {
            let _ = parse_base64(&text);
        }

        #[test]
        fn no_base64_does_harm(der in proptest::collection::vec(any::<u8>(), 0..600)) {
            prop_assert!(parse_base64(STANDARD.encode(der).as_bytes()).is_err());
        }
    }
}
