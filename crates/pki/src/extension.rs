//! The extensions of our certificates (RFC 5280 section 4.2), each built in one place: its content and whether it is critical.

use aws_lc_rs::digest;
use der::asn1::{Ia5String, Null, ObjectIdentifier, OctetString};
use der::flagset::FlagSet;
use der::{Decode, Encode};
use x509_cert::ext::pkix::crl::IssuingDistributionPoint;
use x509_cert::ext::pkix::crl::dp::DistributionPoint;
use x509_cert::ext::pkix::name::{DistributionPointName, GeneralName};
use x509_cert::ext::pkix::{
    AccessDescription, AuthorityInfoAccessSyntax, AuthorityKeyIdentifier, BasicConstraints, CrlDistributionPoints,
    ExtendedKeyUsage, KeyUsage, KeyUsages, SubjectAltName, SubjectKeyIdentifier,
};
use x509_cert::ext::{Extension, Extensions};

use crate::issue::Urls;
use crate::oid;

fn extension(extn_id: ObjectIdentifier, critical: bool, value: &impl Encode) -> der::Result<Extension> {
    Ok(Extension { extn_id, critical, extn_value: OctetString::new(value.to_der()?)? })
}

/// The one extension of a kind, decoded, and whether it is critical. `None` where it is absent, broken or doubled.
pub(crate) fn find<'a, T: Decode<'a>>(extensions: &'a Extensions, oid: ObjectIdentifier) -> Option<(bool, T)> {
    let mut of_kind = extensions.iter().filter(|extension| extension.extn_id == oid);
    let only = of_kind.next().filter(|_| of_kind.next().is_none())?;
    T::from_der(only.extn_value.as_bytes()).ok().map(|value| (only.critical, value))
}

/// A key's identifier: the leftmost 160 bits of the SHA-256 of its bits (RFC 7093 section 2, method 1). Never computed for an issuer's
/// key: authority key identifiers are copied from the issuer's certificate, since other software hashes otherwise.
pub(crate) fn key_identifier(key_bits: &[u8]) -> [u8; 20] {
    let hash = digest::digest(&digest::SHA256, key_bits);
    let mut identifier = [0; 20];
    identifier.copy_from_slice(&hash.as_ref()[..20]);
    identifier
}

pub(crate) fn subject_key_identifier(key_bits: &[u8]) -> der::Result<Extension> {
    let value = SubjectKeyIdentifier(OctetString::new(key_identifier(key_bits))?);
    extension(oid::SUBJECT_KEY_IDENTIFIER, false, &value)
}

/// `issuer_identifier` is copied from the issuer's subject key identifier (RFC 5280 section 4.2.1.1).
pub(crate) fn authority_key_identifier(issuer_identifier: &[u8]) -> der::Result<Extension> {
    let value = AuthorityKeyIdentifier {
        key_identifier: Some(OctetString::new(issuer_identifier)?),
        authority_cert_issuer: None,
        authority_cert_serial_number: None,
    };
    extension(oid::AUTHORITY_KEY_IDENTIFIER, false, &value)
}

pub(crate) fn ca_constraints(path_length: Option<u8>) -> der::Result<Extension> {
    extension(oid::BASIC_CONSTRAINTS, true, &BasicConstraints { ca: true, path_len_constraint: path_length })
}

pub(crate) fn key_usage(usages: impl Into<FlagSet<KeyUsages>>) -> der::Result<Extension> {
    extension(oid::KEY_USAGE, true, &KeyUsage(usages.into()))
}

pub(crate) fn extended_key_usage(usage: ObjectIdentifier) -> der::Result<Extension> {
    extension(oid::EXTENDED_KEY_USAGE, false, &ExtendedKeyUsage(vec![usage]))
}

/// Its answers are not to be checked for revocation themselves (RFC 6960 section 4.2.2.2.1): an OCSP responder's certificate is short-lived
/// instead.
pub(crate) fn ocsp_nocheck() -> der::Result<Extension> {
    extension(oid::OCSP_NOCHECK, false, &Null)
}

/// Critical only where the subject is empty (RFC 5280 section 4.2.1.6).
pub(crate) fn subject_alt_name(names: Vec<GeneralName>, critical: bool) -> der::Result<Extension> {
    extension(oid::SUBJECT_ALT_NAME, critical, &SubjectAltName(names))
}

pub(crate) fn uri(text: &str) -> der::Result<GeneralName> {
    Ok(GeneralName::UniformResourceIdentifier(Ia5String::new(text)?))
}

/// The number of a CRL (RFC 5280 section 5.2.3).
pub(crate) fn crl_number(number: u64) -> der::Result<Extension> {
    extension(oid::CRL_NUMBER, false, &number)
}

/// What a CRL is about when it is not about everything that its CA issued (RFC 5280 section 5.2.5): the end entities whose certificates name
/// this address.
pub(crate) fn issuing_distribution_point(address: &str) -> der::Result<Extension> {
    let value = IssuingDistributionPoint {
        distribution_point: Some(DistributionPointName::FullName(vec![uri(address)?])),
        only_contains_user_certs: true,
        only_contains_ca_certs: false,
        only_some_reasons: None,
        indirect_crl: false,
        only_contains_attribute_certs: false,
    };
    extension(oid::ISSUING_DISTRIBUTION_POINT, true, &value)
}

/// CRL distribution points and authority information access, each only where there is an address. The list of the shard and the
/// others are not the same one at several places, so each is a point of its own.
pub(crate) fn addresses(urls: &Urls, shard: Option<String>) -> der::Result<Vec<Extension>> {
    let mut extensions = Vec::new();
    let lists: Vec<_> = shard.iter().chain(&urls.crl).collect();
    if !lists.is_empty() {
        let point = |list: &String| {
            let name = DistributionPointName::FullName(vec![uri(list)?]);
            Ok(DistributionPoint { distribution_point: Some(name), reasons: None, crl_issuer: None })
        };
        let points = lists.into_iter().map(point).collect::<der::Result<_>>()?;
        extensions.push(extension(oid::CRL_DISTRIBUTION_POINTS, false, &CrlDistributionPoints(points))?);
    }
    let ocsp = urls.ocsp.iter().map(|url| (oid::OCSP, url));
    let issuers = urls.issuer.iter().map(|url| (oid::CA_ISSUERS, url));
    let access: Vec<_> = ocsp
        .chain(issuers)
        .map(|(access_method, url)| Ok(AccessDescription { access_method, access_location: uri(url)? }))
        .collect::<der::Result<_>>()?;
    if !access.is_empty() {
        extensions.push(extension(oid::AUTHORITY_INFO_ACCESS, false, &AuthorityInfoAccessSyntax(access))?);
    }
    Ok(extensions)
}
