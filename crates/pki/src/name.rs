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
