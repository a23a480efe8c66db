//! Distinguished names (RFC 5280 section 4.1.2.4): countryName as PrintableString, everything else as UTF8String, one attribute to each
//! relative name, in the order country, organization, common name.

use der::asn1::{Any, ObjectIdentifier, SetOfVec};
use der::{Decode, Encode, Tag};
use x509_cert::attr::AttributeTypeAndValue;
use x509_cert::name::Name;

use crate::oid;

/// Builds a name; parts that are absent are left out.
pub(crate) fn build(country: Option<&str>, organization: Option<&str>, common_name: Option<&str>) -> der::Result<Name> {
    let parts = [
        (oid::COUNTRY, Tag::PrintableString, country),
        (oid::ORGANIZATION, Tag::Utf8String, organization),
        (oid::COMMON_NAME, Tag::Utf8String, common_name),
    ];
    let mut relative_names = Vec::with_capacity(parts.len());
    for (oid, tag, text) in parts {
        let Some(text) = text else { continue };
        let attribute = AttributeTypeAndValue { oid, value: Any::new(tag, text.as_bytes())? };
        relative_names.push(SetOfVec::from_iter([attribute])?);
    }
    Name::from_der(&relative_names.to_der()?)
}

/// Whether two names are the same by the rules of RFC 5280 section 7.1, as far as our names need them: attribute by attribute in order,
/// case and runs of spaces ignored, whatever string type either is written in.
pub(crate) fn same(one: &Name, other: &Name) -> bool {
    let words = |name: &Name| -> Option<Vec<(ObjectIdentifier, String)>> {
        attributes(name).map(|attribute| text(&attribute.value).map(|text| (attribute.oid, folded(&text)))).collect()
    };
    let relative =
        |name: &Name| name.as_ref().as_ref().iter().map(|relative| relative.as_ref().len()).collect::<Vec<_>>();
    relative(one) == relative(other) && words(one).is_some_and(|words_of_one| Some(words_of_one) == words(other))
}

/// The text of a value in any string type that names are written in.
fn text(value: &Any) -> Option<String> {
    use der::Tagged;
    let bytes = value.value();
    match value.tag() {
        Tag::Utf8String | Tag::PrintableString | Tag::Ia5String => String::from_utf8(bytes.to_vec()).ok(),
        Tag::TeletexString if bytes.is_ascii() => String::from_utf8(bytes.to_vec()).ok(),
        Tag::BmpString if bytes.len().is_multiple_of(2) => {
            let units: Vec<u16> = bytes.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect();
            String::from_utf16(&units).ok()
        }
        _ => None,
    }
}

fn folded(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}

/// The attributes of a name, one after the other: type and value.
pub(crate) fn attributes(name: &Name) -> impl Iterator<Item = &AttributeTypeAndValue> {
    name.as_ref().as_ref().iter().flat_map(|relative| relative.as_ref().iter())
}

/// The text of an attribute that occurs exactly once.
pub(crate) fn single(name: &Name, oid: ObjectIdentifier) -> Option<(Tag, &str)> {
    use der::Tagged;
    let mut found = attributes(name).filter(|attribute| attribute.oid == oid);
    let attribute = found.next().filter(|_| found.next().is_none())?;
    std::str::from_utf8(attribute.value.value()).ok().map(|text| (attribute.value.tag(), text))
}
