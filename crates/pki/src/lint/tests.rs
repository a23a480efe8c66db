//! Each rule with a certificate that breaks it, and a whole one of each role that breaks none.

use der::asn1::{Any, GeneralizedTime, Ia5String};
use der::{Decode, Encode};
use spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned};
use tegata_core::id::{Serial, TerminalId};
use tegata_core::profile::{KeyKind, Purpose};
use tegata_core::time::Timestamp;
use x509_cert::ext::pkix::crl::dp::DistributionPoint;
use x509_cert::serial_number::SerialNumber;

use super::*;
use crate::issue::Urls;
use crate::key::LeafKey;
use crate::tbs::time;

const ISSUER: [u8; 20] = [0x11; 20];

fn at(text: &str) -> Time {
    time(Timestamp::parse(text).expect("valid")).expect("encodable")
}

fn urls() -> Urls {
    let all = |url: &str| vec![url.to_owned()];
    Urls {
        crl: all("http://pki.example/i.crl"),
        crl_base: None,
        issuer: all("http://pki.example/i.cer"),
        ocsp: all("http://o.example"),
    }
}

/// A certificate of this role that breaks no rule.
fn whole(role: Role) -> Tbs {
    let spki = LeafKey::generate(KeyKind::P256).expect("generated").public_key().spki_der().to_vec();
    let spki = SubjectPublicKeyInfoOwned::from_der(&spki).expect("readable");
    let issuer = name::build(Some("JP"), Some("Tegata"), Some("CA")).expect("encodable");
    let subject = match role {
        Role::Root => issuer.clone(),
        Role::Server => name::build(None, None, Some("localhost")).expect("encodable"),
        _ => name::build(Some("JP"), Some("山田医院"), Some("JP_u00000001_client0001")).expect("encodable"),
    };
    let own = spki.subject_public_key.raw_bytes();
    let issuer_identifier = if role == Role::Root { extension::key_identifier(own) } else { ISSUER };
    let mut extensions = vec![
        extension::subject_key_identifier(own).expect("encodable"),
        extension::authority_key_identifier(&issuer_identifier).expect("encodable"),
    ];
    if role.is_ca() {
        extensions.push(extension::ca_constraints((role == Role::Issuing).then_some(0)).expect("encodable"));
        extensions.push(extension::key_usage(KeyUsages::KeyCertSign | KeyUsages::CRLSign).expect("encodable"));
    } else {
        let purpose = match role {
            Role::Client => oid::CLIENT_AUTH,
            Role::Responder => oid::OCSP_SIGNING,
            _ => oid::SERVER_AUTH,
        };
        let names = if role == Role::Client { vec![terminal()] } else { vec![dns("localhost"), dns("*.localhost")] };
        extensions.push(extension::key_usage(KeyUsages::DigitalSignature).expect("encodable"));
        extensions.push(extension::extended_key_usage(purpose).expect("encodable"));
        if role == Role::Responder {
            extensions.push(extension::ocsp_nocheck().expect("encodable"));
        } else {
            extensions.push(extension::subject_alt_name(names, false).expect("encodable"));
        }
    }
    if !matches!(role, Role::Root | Role::Responder) {
        extensions.extend(extension::addresses(&urls(), None).expect("encodable"));
    }
    Tbs {
        version: Version::V3,
        serial: SerialNumber::new(Serial::from_bytes([0x20; 16]).as_bytes()).expect("valid"),
        signature: SignatureAlgorithm::EcdsaP256Sha256.identifier(),
        issuer,
        validity: x509_cert::time::Validity::new(at("2026-11-22"), at("2029-11-22")),
        subject,
        spki,
        extensions: Some(extensions),
    }
}

fn terminal() -> GeneralName {
    let uri = TerminalId::from_random([7; 16]).san_uri(Purpose::Client).expect("terminals have one");
    extension::uri(&uri).expect("encodable")
}

fn dns(text: &str) -> GeneralName {
    GeneralName::DnsName(Ia5String::new(text).expect("ASCII"))
}

fn check_rule(tbs: &Tbs, role: Role) -> Option<Rule> {
    let own = extension::key_identifier(tbs.spki.subject_public_key.raw_bytes());
    let issuer = if role == Role::Root { own } else { ISSUER };
    check(tbs, role, &issuer).err().map(|broken| broken.rule)
}

/// Breaks a whole certificate and expects this rule to notice.
fn breaks(role: Role, rule: Rule, spoil: impl FnOnce(&mut Tbs)) {
    let mut tbs = whole(role);
    assert_eq!(check_rule(&tbs, role), None, "whole before it is spoiled");
    spoil(&mut tbs);
    assert_eq!(check_rule(&tbs, role), Some(rule));
}

fn extensions(tbs: &mut Tbs) -> &mut Vec<Extension> {
    tbs.extensions.as_mut().expect("it has some")
}

fn one(tbs: &mut Tbs, kind: ObjectIdentifier) -> &mut Extension {
    extensions(tbs).iter_mut().find(|one| one.extn_id == kind).expect("it is there")
}

fn replace(tbs: &mut Tbs, kind: ObjectIdentifier, by: der::Result<Extension>) {
    *one(tbs, kind) = by.expect("encodable");
}

fn set_names(tbs: &mut Tbs, names: Vec<GeneralName>) {
    replace(tbs, oid::SUBJECT_ALT_NAME, extension::subject_alt_name(names, false));
}

fn set_subject(tbs: &mut Tbs, parts: [Option<&str>; 3]) {
    tbs.subject = name::build(parts[0], parts[1], parts[2]).expect("encodable");
}

#[test]
fn a_whole_certificate_of_each_role_breaks_no_rule() {
    for role in [Role::Root, Role::Issuing, Role::Client, Role::Server, Role::Responder] {
        assert_eq!(check_rule(&whole(role), role), None, "{role:?}");
    }
}

#[test]
fn every_rule_has_its_section_and_its_words() {
    for (at, entry) in RULES.iter().enumerate() {
        assert_eq!(entry.rule as usize, at, "the table is in the order of the rules");
        assert!(!entry.rule.section().is_empty() && !entry.rule.words().is_empty());
    }
    let text = Broken { rule: Rule::KeyUsage }.to_string();
    assert!(text.contains("4.2.1.3") && text.contains("usage is critical"), "{text}");
}

#[test]
fn version_4_1_2_1() {
    breaks(Role::Client, Rule::Version, |tbs| tbs.version = Version::V1);
}

#[test]
fn serial_number_4_1_2_2() {
    for wrong in [&[0x20; 15][..], &[0x20; 17], &[1], &[0]] {
        breaks(Role::Client, Rule::SerialNumber, |tbs| tbs.serial = SerialNumber::new(wrong).expect("encodable"));
    }
    breaks(Role::Client, Rule::SerialNumber, |tbs| {
        // A first octet of zero is not written in DER, so one octet is missing.
        let mut short = [0x20; 16];
        short[0] = 0;
        tbs.serial = SerialNumber::new(&short).expect("encodable");
    });
}

#[test]
fn signature_algorithm_4_1_1_2() {
    breaks(Role::Client, Rule::SignatureAlgorithm, |tbs| tbs.signature.parameters = Some(Any::null()));
    breaks(Role::Client, Rule::SignatureAlgorithm, |tbs| tbs.signature.oid = oid::RSA_SHA256);
}

#[test]
fn issuer_name_4_1_2_4() {
    breaks(Role::Client, Rule::IssuerName, |tbs| tbs.issuer = Default::default());
}

#[test]
fn validity_order_4_1_2_5() {
    breaks(Role::Client, Rule::ValidityOrder, |tbs| tbs.validity.not_before = at("2029-11-22"));
}

#[test]
fn validity_encoding_4_1_2_5() {
    breaks(Role::Client, Rule::ValidityEncoding, |tbs| {
        let early = at("2029-11-22").to_date_time();
        tbs.validity.not_after = Time::GeneralTime(GeneralizedTime::from_date_time(early));
    });
    assert!(matches!(at("2049-12-31T23:59:59Z"), Time::UtcTime(_)));
    assert!(matches!(at("2050-01-01T00:00:00Z"), Time::GeneralTime(_)));
}

#[test]
fn subject_name_4_1_2_6() {
    breaks(Role::Client, Rule::SubjectName, |tbs| tbs.subject = Default::default());
    breaks(Role::Client, Rule::SubjectName, |tbs| tbs.subject = tbs.issuer.clone());
    breaks(Role::Root, Rule::SubjectName, |tbs| set_subject(tbs, [Some("JP"), Some("Other"), Some("CA")]));
}

#[test]
fn name_attributes_a_1() {
    let long = "長".repeat(65);
    let wrong = [
        [Some("jp"), Some("O"), Some("CN")],
        [Some("JPN"), Some("O"), Some("CN")],
        [Some("JP"), Some(""), Some("CN")],
        [Some("JP"), Some(&long), Some("CN")],
        [Some("JP"), Some("a\nb"), Some("CN")],
        [None, Some("O"), Some("CN")],
        [Some("JP"), None, Some("CN")],
        [Some("JP"), Some("O"), None],
    ];
    for parts in wrong {
        breaks(Role::Client, Rule::NameAttributes, |tbs| set_subject(tbs, parts));
    }
    let just_fits = "長".repeat(64);
    let mut tbs = whole(Role::Client);
    set_subject(&mut tbs, [Some("JP"), Some(&just_fits), Some("CN")]);
    assert_eq!(check_rule(&tbs, Role::Client), None);
}

#[test]
fn subject_key_4_1_2_7() {
    breaks(Role::Client, Rule::SubjectKey, |tbs| {
        tbs.spki.algorithm =
            AlgorithmIdentifierOwned { oid: oid::EC_PUBLIC_KEY, parameters: Some((&oid::P384).into()) };
    });
    breaks(Role::Issuing, Rule::SubjectKey, |tbs| tbs.spki.algorithm.oid = oid::RSA_ENCRYPTION);
}

#[test]
fn extension_kinds_4_2() {
    breaks(Role::Client, Rule::ExtensionKinds, |tbs| {
        let double = extensions(tbs)[0].clone();
        extensions(tbs).push(double);
    });
    breaks(Role::Client, Rule::ExtensionKinds, |tbs| {
        extensions(tbs).push(extension::ca_constraints(None).expect("encodable"));
    });
    breaks(Role::Root, Rule::ExtensionKinds, |tbs| {
        extensions(tbs).extend(extension::addresses(&urls(), None).expect("encodable"));
    });
    breaks(Role::Issuing, Rule::ExtensionKinds, |tbs| {
        extensions(tbs).push(extension::extended_key_usage(oid::CLIENT_AUTH).expect("encodable"));
    });
}

#[test]
fn authority_key_identifier_4_2_1_1() {
    let kind = oid::AUTHORITY_KEY_IDENTIFIER;
    breaks(Role::Client, Rule::AuthorityKeyIdentifier, |tbs| {
        replace(tbs, kind, extension::authority_key_identifier(&[0x12; 20]));
    });
    breaks(Role::Client, Rule::AuthorityKeyIdentifier, |tbs| one(tbs, kind).critical = true);
    breaks(Role::Client, Rule::AuthorityKeyIdentifier, |tbs| tbs.extensions = None);
}

#[test]
fn subject_key_identifier_4_2_1_2() {
    let kind = oid::SUBJECT_KEY_IDENTIFIER;
    breaks(Role::Client, Rule::SubjectKeyIdentifier, |tbs| {
        replace(tbs, kind, extension::subject_key_identifier(b"another key"));
    });
    breaks(Role::Client, Rule::SubjectKeyIdentifier, |tbs| extensions(tbs).retain(|one| one.extn_id != kind));
}

#[test]
fn key_usage_4_2_1_3() {
    let kind = oid::KEY_USAGE;
    breaks(Role::Client, Rule::KeyUsage, |tbs| one(tbs, kind).critical = false);
    breaks(Role::Client, Rule::KeyUsage, |tbs| {
        let usages = KeyUsages::DigitalSignature | KeyUsages::KeyCertSign;
        replace(tbs, kind, extension::key_usage(usages));
    });
    breaks(Role::Issuing, Rule::KeyUsage, |tbs| replace(tbs, kind, extension::key_usage(KeyUsages::KeyCertSign)));
}

#[test]
fn basic_constraints_4_2_1_9() {
    let kind = oid::BASIC_CONSTRAINTS;
    breaks(Role::Issuing, Rule::BasicConstraints, |tbs| replace(tbs, kind, extension::ca_constraints(None)));
    breaks(Role::Issuing, Rule::BasicConstraints, |tbs| one(tbs, kind).critical = false);
    breaks(Role::Root, Rule::BasicConstraints, |tbs| extensions(tbs).retain(|one| one.extn_id != kind));
}

#[test]
fn extended_key_usage_4_2_1_12() {
    let kind = oid::EXTENDED_KEY_USAGE;
    breaks(Role::Client, Rule::ExtendedKeyUsage, |tbs| {
        replace(tbs, kind, extension::extended_key_usage(oid::SERVER_AUTH));
    });
    breaks(Role::Server, Rule::ExtendedKeyUsage, |tbs| {
        replace(tbs, kind, extension::extended_key_usage(oid::CLIENT_AUTH));
    });
    breaks(Role::Client, Rule::ExtendedKeyUsage, |tbs| extensions(tbs).retain(|one| one.extn_id != kind));
}

#[test]
fn subject_alt_name_4_2_1_6() {
    let rule = Rule::SubjectAltName;
    breaks(Role::Client, rule, |tbs| set_names(tbs, vec![]));
    breaks(Role::Client, rule, |tbs| set_names(tbs, vec![terminal(), terminal()]));
    breaks(Role::Client, rule, |tbs| set_names(tbs, vec![dns("localhost")]));
    breaks(Role::Client, rule, |tbs| {
        set_names(tbs, vec![extension::uri("https://terminal.tegata.internal/1").expect("ASCII")])
    });
    breaks(Role::Client, rule, |tbs| one(tbs, oid::SUBJECT_ALT_NAME).critical = true);
    for wrong in ["", "a..b", "-a.example", "a b", "*", "a.*.example", "https://a.example", "a_b.example"] {
        breaks(Role::Server, rule, |tbs| set_names(tbs, vec![dns(wrong)]));
    }
    breaks(Role::Server, rule, |tbs| tbs.subject = Default::default());
    let mut nameless = whole(Role::Server);
    nameless.subject = Default::default();
    one(&mut nameless, oid::SUBJECT_ALT_NAME).critical = true;
    assert_eq!(check_rule(&nameless, Role::Server), None);
}

#[test]
fn crl_distribution_points_4_2_1_13() {
    let (rule, kind) = (Rule::CrlDistributionPoints, oid::CRL_DISTRIBUTION_POINTS);
    for wrong in
        ["https://pki.example/i.crl", "ldap://pki.example", "http://", "http://:80/x", "http:///x", "http://a b/"]
    {
        breaks(Role::Client, rule, |tbs| {
            let urls = Urls { crl: vec![wrong.to_owned()], ..Urls::default() };
            let mut made = extension::addresses(&urls, None).expect("encodable");
            replace(tbs, kind, Ok(made.remove(0)));
        });
    }
    breaks(Role::Client, rule, |tbs| {
        let empty = DistributionPoint { distribution_point: None, reasons: None, crl_issuer: None };
        let value = CrlDistributionPoints(vec![empty]).to_der().expect("encodable");
        one(tbs, kind).extn_value = OctetString::new(value).expect("short");
    });
    breaks(Role::Client, rule, |tbs| one(tbs, kind).critical = true);
}

#[test]
fn authority_info_access_4_2_2_1() {
    let (rule, kind) = (Rule::AuthorityInfoAccess, oid::AUTHORITY_INFO_ACCESS);
    breaks(Role::Client, rule, |tbs| {
        let urls = Urls { issuer: vec!["file:///i.cer".to_owned()], ..Urls::default() };
        let mut made = extension::addresses(&urls, None).expect("encodable");
        replace(tbs, kind, Ok(made.remove(0)));
    });
    breaks(Role::Client, rule, |tbs| one(tbs, kind).critical = true);
}

#[test]
fn ocsp_no_check_rfc_6960_4_2_2_2_1() {
    let kind = oid::OCSP_NOCHECK;
    breaks(Role::Responder, Rule::OcspNoCheck, |tbs| extensions(tbs).retain(|one| one.extn_id != kind));
    breaks(Role::Responder, Rule::OcspNoCheck, |tbs| one(tbs, kind).critical = true);
    breaks(Role::Server, Rule::ExtensionKinds, |tbs| {
        extensions(tbs).push(extension::ocsp_nocheck().expect("encodable"));
    });
    breaks(Role::Responder, Rule::ExtensionKinds, |tbs| {
        extensions(tbs).extend(extension::addresses(&urls(), None).expect("encodable"));
    });
}
