//! Our own rules about certificates, checked on the structure itself before anything is signed. Each is RFC 5280's or stricter; the
//! first one that does not hold is named. Other people's linters check the finished bytes in the tests; these run in production.

#[cfg(test)]
mod tests;

use der::asn1::{Null, ObjectIdentifier, OctetString};
use der::flagset::FlagSet;
use der::referenced::OwnedToRef;
use der::{Tag, Tagged};
use tegata_core::id::TerminalId;
use x509_cert::certificate::Version;
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::name::{DistributionPointName, GeneralName};
use x509_cert::ext::pkix::{
    AuthorityInfoAccessSyntax, AuthorityKeyIdentifier, BasicConstraints, CrlDistributionPoints, ExtendedKeyUsage,
    KeyUsage, KeyUsages, SubjectAltName, SubjectKeyIdentifier,
};
use x509_cert::time::Time;

use crate::signer::SignatureAlgorithm;
use crate::tbs::Tbs;
use crate::{extension, key, name, oid};

/// What a certificate is for; decides what its rules demand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The self-signed root.
    Root,
    /// The CA that signs terminals' certificates.
    Issuing,
    /// A terminal.
    Client,
    /// A listener.
    Server,
    /// An OCSP responder.
    Responder,
}

impl Role {
    fn is_ca(self) -> bool {
        matches!(self, Self::Root | Self::Issuing)
    }
}

/// A rule that does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the certificate would break a rule (RFC 5280 section {}): {}", rule.section(), rule.words())]
pub struct Broken {
    /// Which one.
    pub rule: Rule,
}

/// The rules, in the order in which they are checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "`Rule::words` says what each demands")]
pub enum Rule {
    Version,
    SerialNumber,
    SignatureAlgorithm,
    IssuerName,
    ValidityOrder,
    ValidityEncoding,
    SubjectName,
    NameAttributes,
    SubjectKey,
    ExtensionKinds,
    AuthorityKeyIdentifier,
    SubjectKeyIdentifier,
    KeyUsage,
    BasicConstraints,
    ExtendedKeyUsage,
    SubjectAltName,
    CrlDistributionPoints,
    AuthorityInfoAccess,
    OcspNoCheck,
}

struct Entry {
    rule: Rule,
    section: &'static str,
    words: &'static str,
    holds: fn(&Linted<'_>) -> bool,
}

/// A certificate under inspection.
struct Linted<'a> {
    tbs: &'a Tbs,
    role: Role,
    issuer_identifier: &'a [u8],
    extensions: &'a Vec<Extension>,
}

const RULES: [Entry; 19] = [
    entry(Rule::Version, "4.1.2.1", "it is of version 3", |c| c.tbs.version == Version::V3),
    entry(Rule::SerialNumber, "4.1.2.2", "its serial is positive and has 16 octets", serial_number),
    entry(Rule::SignatureAlgorithm, "4.1.1.2", "it is signed by ECDSA with SHA-256 or SHA-384", signature_algorithm),
    entry(Rule::IssuerName, "4.1.2.4", "its issuer has a name", |c| !c.tbs.issuer.is_empty()),
    entry(Rule::ValidityOrder, "4.1.2.5", "it begins before it ends", validity_order),
    entry(Rule::ValidityEncoding, "4.1.2.5", "times are UTCTime through 2049", validity_encoding),
    entry(
        Rule::SubjectName,
        "4.1.2.6",
        "its subject has a name; a root is its own issuer, nothing else is",
        subject_name,
    ),
    entry(
        Rule::NameAttributes,
        "A.1",
        "names are C (two letters), O and CN (1 to 64), each at most once",
        name_attributes,
    ),
    entry(Rule::SubjectKey, "4.1.2.7", "its key is of a kind that may be certified", subject_key),
    entry(Rule::ExtensionKinds, "4.2", "it has only extensions that belong there, each once", extension_kinds),
    entry(
        Rule::AuthorityKeyIdentifier,
        "4.2.1.1",
        "it names its issuer's key as the issuer does",
        authority_key_identifier,
    ),
    entry(Rule::SubjectKeyIdentifier, "4.2.1.2", "it names its own key", subject_key_identifier),
    entry(Rule::KeyUsage, "4.2.1.3", "its key's usage is critical and just what its role needs", key_usage),
    entry(Rule::BasicConstraints, "4.2.1.9", "CAs say so and how deep they go, nothing else does", basic_constraints),
    entry(Rule::ExtendedKeyUsage, "4.2.1.12", "it is for one purpose, its role's", extended_key_usage),
    entry(
        Rule::SubjectAltName,
        "4.2.1.6",
        "terminals are named by one URI with their id, listeners by host names",
        subject_alt_name,
    ),
    entry(Rule::CrlDistributionPoints, "4.2.1.13", "revocation lists are at http addresses", crl_distribution_points),
    entry(
        Rule::AuthorityInfoAccess,
        "4.2.2.1",
        "issuers and OCSP responders are at http addresses",
        authority_info_access,
    ),
    entry(
        Rule::OcspNoCheck,
        "4.2 and RFC 6960 section 4.2.2.2.1",
        "OCSP responders are not to be checked",
        ocsp_nocheck,
    ),
];

const fn entry(rule: Rule, section: &'static str, words: &'static str, holds: fn(&Linted<'_>) -> bool) -> Entry {
    Entry { rule, section, words, holds }
}

impl Rule {
    /// Where RFC 5280 says it.
    pub fn section(self) -> &'static str {
        RULES.iter().find(|entry| entry.rule == self).map_or("", |entry| entry.section)
    }

    /// What it demands.
    pub fn words(self) -> &'static str {
        RULES.iter().find(|entry| entry.rule == self).map_or("", |entry| entry.words)
    }
}

/// Checks every rule; names the first that does not hold. `issuer_identifier` is the issuer's subject key identifier.
pub(crate) fn check(tbs: &Tbs, role: Role, issuer_identifier: &[u8]) -> Result<(), Broken> {
    let none = Vec::new();
    let extensions = tbs.extensions.as_ref().unwrap_or(&none);
    let linted = Linted { tbs, role, issuer_identifier, extensions };
    match RULES.iter().find(|entry| !(entry.holds)(&linted)) {
        Some(entry) => Err(Broken { rule: entry.rule }),
        None => Ok(()),
    }
}

/// `chain::identify` recognises our certificates by this length, too.
fn serial_number(c: &Linted<'_>) -> bool {
    let bytes = c.tbs.serial.as_bytes();
    bytes.len() == 16 && bytes[0] < 0x80
}

fn signature_algorithm(c: &Linted<'_>) -> bool {
    SignatureAlgorithm::from_oid(c.tbs.signature.oid).is_some() && c.tbs.signature.parameters.is_none()
}

fn validity_order(c: &Linted<'_>) -> bool {
    let validity = c.tbs.validity();
    validity.not_before < validity.not_after
}

fn validity_encoding(c: &Linted<'_>) -> bool {
    [c.tbs.validity.not_before, c.tbs.validity.not_after].iter().all(|time| match time {
        Time::UtcTime(_) => true,
        Time::GeneralTime(late) => late.to_date_time().year() >= 2050,
    })
}

fn subject_name(c: &Linted<'_>) -> bool {
    let own_issuer = c.tbs.subject == c.tbs.issuer;
    match c.role {
        Role::Root => own_issuer && !c.tbs.subject.is_empty(),
        Role::Issuing | Role::Client | Role::Responder => !own_issuer && !c.tbs.subject.is_empty(),
        // A listener may be named by its alternative names alone; those are critical then.
        Role::Server => !own_issuer,
    }
}

fn name_attributes(c: &Linted<'_>) -> bool {
    let needed: &[ObjectIdentifier] = match c.role {
        Role::Server => &[],
        _ => &[oid::COUNTRY, oid::ORGANIZATION, oid::COMMON_NAME],
    };
    let readable = name::attributes(&c.tbs.subject).all(|attribute| {
        let text = std::str::from_utf8(attribute.value.value()).unwrap_or_default();
        let letters = text.chars().count();
        match (attribute.oid, attribute.value.tag()) {
            (oid::COUNTRY, Tag::PrintableString) => letters == 2 && text.bytes().all(|b| b.is_ascii_uppercase()),
            (oid::ORGANIZATION | oid::COMMON_NAME, Tag::Utf8String) => {
                (1..=64).contains(&letters) && !text.chars().any(char::is_control)
            }
            _ => false,
        }
    });
    let once = |oid| name::attributes(&c.tbs.subject).filter(|attribute| attribute.oid == oid).count();
    let no_doubles = [oid::COUNTRY, oid::ORGANIZATION, oid::COMMON_NAME].into_iter().all(|oid| once(oid) <= 1);
    readable && no_doubles && needed.iter().all(|oid| once(*oid) == 1)
}

fn subject_key(c: &Linted<'_>) -> bool {
    if !c.role.is_ca() {
        return key::kind_of(&c.tbs.spki.owned_to_ref()).is_ok();
    }
    let parameters = c.tbs.spki.algorithm.parameters.as_ref();
    let curve = parameters.and_then(|any| any.decode_as::<ObjectIdentifier>().ok());
    c.tbs.spki.algorithm.oid == oid::EC_PUBLIC_KEY && curve.and_then(SignatureAlgorithm::from_curve_oid).is_some()
}

fn extension_kinds(c: &Linted<'_>) -> bool {
    let belongs = |kind: ObjectIdentifier| match kind {
        oid::AUTHORITY_KEY_IDENTIFIER | oid::SUBJECT_KEY_IDENTIFIER | oid::KEY_USAGE => true,
        oid::BASIC_CONSTRAINTS => c.role.is_ca(),
        oid::EXTENDED_KEY_USAGE => !c.role.is_ca(),
        oid::SUBJECT_ALT_NAME => matches!(c.role, Role::Client | Role::Server),
        oid::OCSP_NOCHECK => c.role == Role::Responder,
        oid::CRL_DISTRIBUTION_POINTS | oid::AUTHORITY_INFO_ACCESS => !matches!(c.role, Role::Root | Role::Responder),
        _ => false,
    };
    let seen_before = |at: usize, kind| c.extensions[..at].iter().any(|earlier| earlier.extn_id == kind);
    c.extensions.iter().enumerate().all(|(at, one)| belongs(one.extn_id) && !seen_before(at, one.extn_id))
}

fn authority_key_identifier(c: &Linted<'_>) -> bool {
    let found = extension::find::<AuthorityKeyIdentifier>(c.extensions, oid::AUTHORITY_KEY_IDENTIFIER);
    found.is_some_and(|(critical, value)| {
        let identifier = value.key_identifier.as_ref().map(OctetString::as_bytes);
        let by_name = value.authority_cert_issuer.is_some() || value.authority_cert_serial_number.is_some();
        !critical && identifier == Some(c.issuer_identifier) && !by_name
    })
}

fn subject_key_identifier(c: &Linted<'_>) -> bool {
    let expected = extension::key_identifier(c.tbs.spki.subject_public_key.raw_bytes());
    let found = extension::find::<SubjectKeyIdentifier>(c.extensions, oid::SUBJECT_KEY_IDENTIFIER);
    found.is_some_and(|(critical, value)| !critical && value.0.as_bytes() == expected)
}

fn key_usage(c: &Linted<'_>) -> bool {
    let expected: FlagSet<KeyUsages> = match c.role {
        Role::Root | Role::Issuing => KeyUsages::KeyCertSign | KeyUsages::CRLSign,
        Role::Client | Role::Server | Role::Responder => KeyUsages::DigitalSignature.into(),
    };
    let found = extension::find::<KeyUsage>(c.extensions, oid::KEY_USAGE);
    found.is_some_and(|(critical, value)| critical && value.0 == expected)
}

fn basic_constraints(c: &Linted<'_>) -> bool {
    let found = extension::find::<BasicConstraints>(c.extensions, oid::BASIC_CONSTRAINTS);
    let path_length = match c.role {
        Role::Client | Role::Server | Role::Responder => return found.is_none(),
        Role::Root => None,
        Role::Issuing => Some(0),
    };
    found.is_some_and(|(critical, value)| critical && value.ca && value.path_len_constraint == path_length)
}

fn extended_key_usage(c: &Linted<'_>) -> bool {
    let expected = match c.role {
        Role::Root | Role::Issuing => return true, // refused among the kinds of extensions
        Role::Client => oid::CLIENT_AUTH,
        Role::Server => oid::SERVER_AUTH,
        Role::Responder => oid::OCSP_SIGNING,
    };
    let found = extension::find::<ExtendedKeyUsage>(c.extensions, oid::EXTENDED_KEY_USAGE);
    found.is_some_and(|(critical, value)| !critical && value.0 == [expected])
}

fn subject_alt_name(c: &Linted<'_>) -> bool {
    if !matches!(c.role, Role::Client | Role::Server) {
        return true; // refused among the kinds of extensions
    }
    let found = extension::find::<SubjectAltName>(c.extensions, oid::SUBJECT_ALT_NAME);
    found.is_some_and(|(critical, SubjectAltName(names))| {
        let named = match c.role {
            Role::Client => matches!(names.as_slice(), [GeneralName::UniformResourceIdentifier(uri)]
                if TerminalId::from_san_uri(uri.as_str()).is_some()),
            _ => !names.is_empty() && names.iter().all(is_host),
        };
        named && critical == c.tbs.subject.is_empty()
    })
}

fn is_host(name: &GeneralName) -> bool {
    match name {
        GeneralName::DnsName(dns) => is_dns_name(dns.as_str()),
        GeneralName::IpAddress(address) => matches!(address.as_bytes().len(), 4 | 16),
        _ => false,
    }
}

/// Letters, digits and hyphens (RFC 1034 section 3.5); `*` may stand for the leftmost label, never alone.
pub fn is_dns_name(name: &str) -> bool {
    let host = name.strip_prefix("*.").unwrap_or(name);
    let is_label = |label: &str| {
        let clean = label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        (1..=63).contains(&label.len()) && clean && !label.starts_with('-') && !label.ends_with('-')
    };
    name.len() <= 253 && host.split('.').all(is_label)
}

fn crl_distribution_points(c: &Linted<'_>) -> bool {
    if !has(c, oid::CRL_DISTRIBUTION_POINTS) {
        return true;
    }
    let found = extension::find::<CrlDistributionPoints>(c.extensions, oid::CRL_DISTRIBUTION_POINTS);
    found.is_some_and(|(critical, CrlDistributionPoints(points))| {
        let full = points.iter().all(|point| match &point.distribution_point {
            Some(DistributionPointName::FullName(names)) => {
                !names.is_empty() && names.iter().all(is_http) && point.reasons.is_none() && point.crl_issuer.is_none()
            }
            _ => false,
        });
        !critical && !points.is_empty() && full
    })
}

fn authority_info_access(c: &Linted<'_>) -> bool {
    if !has(c, oid::AUTHORITY_INFO_ACCESS) {
        return true;
    }
    let found = extension::find::<AuthorityInfoAccessSyntax>(c.extensions, oid::AUTHORITY_INFO_ACCESS);
    found.is_some_and(|(critical, AuthorityInfoAccessSyntax(places))| {
        let known = places
            .iter()
            .all(|place| matches!(place.access_method, oid::CA_ISSUERS | oid::OCSP) && is_http(&place.access_location));
        !critical && !places.is_empty() && known
    })
}

fn ocsp_nocheck(c: &Linted<'_>) -> bool {
    let found = extension::find::<Null>(c.extensions, oid::OCSP_NOCHECK);
    c.role != Role::Responder || found.is_some_and(|(critical, _)| !critical)
}

fn has(c: &Linted<'_>, kind: ObjectIdentifier) -> bool {
    c.extensions.iter().any(|one| one.extn_id == kind)
}

/// An absolute `http` address with a host: `https` would need a certificate to check a certificate (RFC 5280 section 8).
fn is_http(name: &GeneralName) -> bool {
    let GeneralName::UniformResourceIdentifier(uri) = name else { return false };
    is_http_url(uri.as_str())
}

/// An address that can stand in a certificate: `http:`, since fetching it must not need a certificate (RFC 5280 section 8).
pub fn is_http_url(url: &str) -> bool {
    let Some(rest) = url.strip_prefix("http://") else { return false };
    let plain = rest
        .bytes()
        .all(|b| b.is_ascii_graphic() && !matches!(b, b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}'));
    plain && rest.split(['/', '?', '#']).next().is_some_and(|host| !host.is_empty() && !host.starts_with(':'))
}
