//! What we would like to see in a certification request (RFC 7030 section 4.5.2 as corrected by RFC 8951 section 3.5, and the template of RFC
//! 9908 section 3.4). Both forms are written: a program that knows templates ignores the rest, others know nothing of templates.

use der::asn1::{AnyRef, ContextSpecific, OctetStringRef, SetOfVec};
use der::{Any, Decode, Encode, Tag, TagMode, TagNumber};
use tegata_core::profile::KeyKind;
use x509_cert::attr::Attribute;

use crate::tbs::{Envelope, Tbs};
use crate::{extension, oid};

/// The names that a known terminal asks for again.
#[derive(Clone, Copy, Debug)]
pub struct Names<'a> {
    /// Its certificate (DER), whose subject stays.
    pub certificate: &'a [u8],
    /// Its one alternative name.
    pub san_uri: &'a str,
}

/// CsrAttrs in DER, for a key of this kind.
pub fn build(kind: KeyKind, names: Option<Names<'_>>) -> der::Result<Vec<u8>> {
    let key_type = match kind {
        KeyKind::P256 => attribute(oid::EC_PUBLIC_KEY, &oid::P256)?,
        KeyKind::Rsa2048 => attribute(oid::RSA_ENCRYPTION, &2048u16)?,
        KeyKind::Rsa3072 => attribute(oid::RSA_ENCRYPTION, &3072u16)?,
    };
    let signature = if kind == KeyKind::P256 { oid::ECDSA_SHA256 } else { oid::RSA_SHA256 };
    let mut content = signature.to_der()?;
    content.extend(key_type.to_der()?);
    let wanted = names.map(|names| extension_request(names.san_uri)).transpose()?;
    if let Some(wanted) = &wanted {
        content.extend(wanted.to_der()?);
    }
    let template = template(kind, names, wanted)?;
    content.extend(attribute(oid::REQUEST_TEMPLATE, &AnyRef::from_der(&template)?)?.to_der()?);
    AnyRef::new(Tag::Sequence, &content)?.to_der()
}

fn attribute(oid: der::asn1::ObjectIdentifier, value: &impl Encode) -> der::Result<Attribute> {
    Ok(Attribute { oid, values: SetOfVec::from_iter([Any::from_der(&value.to_der()?)?])? })
}

fn extension_request(san_uri: &str) -> der::Result<Attribute> {
    attribute(oid::EXTENSION_REQUEST, &vec![extension::subject_alt_name(vec![extension::uri(san_uri)?], false)?])
}

/// CertificationRequestInfoTemplate: version, subject, `[0]` kind of key, `[1]` attributes.
fn template(kind: KeyKind, names: Option<Names<'_>>, wanted: Option<Attribute>) -> der::Result<Vec<u8>> {
    let mut content = 0u8.to_der()?;
    if let Some(names) = names {
        let envelope = Envelope::open(names.certificate)?;
        Tbs::from_der(envelope.signed)?.subject.encode_to_vec(&mut content)?;
    }
    let algorithm = match kind {
        KeyKind::P256 => spki::AlgorithmIdentifierOwned {
            oid: oid::EC_PUBLIC_KEY,
            parameters: Some(Any::from_der(&oid::P256.to_der()?)?),
        },
        KeyKind::Rsa2048 | KeyKind::Rsa3072 => {
            spki::AlgorithmIdentifierOwned { oid: oid::RSA_ENCRYPTION, parameters: Some(Any::null()) }
        }
    };
    content.extend(implicit(0, &algorithm.to_der()?)?);
    let attributes: Vec<Attribute> = wanted.into_iter().collect();
    let attributes = ContextSpecific {
        tag_number: TagNumber(1),
        tag_mode: TagMode::Implicit,
        value: SetOfVec::try_from(attributes)?,
    };
    attributes.encode_to_vec(&mut content)?;
    AnyRef::new(Tag::Sequence, &content)?.to_der()
}

/// `[number] IMPLICIT SEQUENCE` around what is encoded already.
fn implicit(number: u32, content: &[u8]) -> der::Result<Vec<u8>> {
    let value = OctetStringRef::new(content)?;
    let tag = Tag::ContextSpecific { constructed: true, number: TagNumber(number) };
    AnyRef::new(tag, value.as_bytes())?.to_der()
}
