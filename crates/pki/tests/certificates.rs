//! What is issued, field by field, as another parser reads it; what is refused; and bytes that must not change by accident.

use rcgen::{CertificateParams, PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256, PKCS_RSA_SHA384, PKCS_RSA_SHA512};
use tegata_core::profile::{KeyKind, Purpose};
use tegata_core::time::Days;
use tegata_pki::issue::{self, Host, PrepareError, Request, Urls};
use tegata_pki::key::LeafKey;
use tegata_pki::lint::Rule;
use tegata_pki::signer::{Curve, SignError, SoftwareSigner};
use tegata_pki::{csr, issuer};
use x509_parser::extensions::{DistributionPointName, GeneralName, ParsedExtension};
use x509_parser::prelude::*;

use crate::common::*;

fn parsed(der: &[u8]) -> X509Certificate<'_> {
    let (rest, certificate) = X509Certificate::from_der(der).expect("x509-parser reads it");
    assert!(rest.is_empty());
    certificate
}

#[test]
fn a_terminals_certificate_says_what_the_register_says() {
    let authority = Authority::new();
    for kind in KINDS {
        let leaf = authority.client(&key(kind));
        let read = parsed(&leaf.der);
        assert_eq!(read.version(), X509Version::V3);
        assert_eq!(read.raw_serial(), leaf.serial.as_bytes());
        assert!(leaf.serial.to_string().starts_with("20291122"));
        assert_eq!(read.subject().to_string(), "C=JP, O=山田医院, CN=JP_u00000001_client0001");
        assert_eq!(read.issuer().to_string(), "C=JP, O=テガタ試験局, CN=Tegata Test CA 1");
        assert_eq!(read.validity().not_before.timestamp(), leaf.validity.not_before.0);
        assert_eq!(read.validity().not_after.timestamp(), leaf.validity.not_after.0);
        assert_eq!(read.public_key().raw, key(kind).public_key().spki_der());
        assert_eq!(leaf.fingerprint, issuer::fingerprint(&leaf.der));
        assert_eq!(leaf.permit.terminal(), terminal().id);
        read.verify_signature(Some(parsed(authority.issuing.der()).public_key())).expect("the signature verifies");
    }
}

#[test]
fn a_terminals_certificate_has_its_extensions_and_no_more() {
    let authority = Authority::new();
    let leaf = authority.client(&key(KeyKind::P256));
    let read = parsed(&leaf.der);
    assert!(read.basic_constraints().expect("at most one").is_none(), "an end entity needs none");
    let usage = read.key_usage().expect("at most one").expect("present");
    assert!(usage.critical && usage.value.flags == 1, "digitalSignature alone");
    let extended = read.extended_key_usage().expect("at most one").expect("present").value;
    assert!(extended.client_auth && !extended.server_auth && !extended.any && extended.other.is_empty());
    let names = &read.subject_alternative_name().expect("at most one").expect("present").value.general_names;
    assert_eq!(*names, [GeneralName::URI("https://terminal.tegata.internal/42424242-4242-4242-8242-424242424242")]);
    let (mut authority_key, mut crl, mut access) = (None, None, 0);
    for extension in read.extensions() {
        match extension.parsed_extension() {
            ParsedExtension::AuthorityKeyIdentifier(value) => authority_key = value.key_identifier.clone(),
            ParsedExtension::CRLDistributionPoints(points) => {
                let [point] = points.points.as_slice() else { panic!("one point") };
                let Some(DistributionPointName::FullName(names)) = &point.distribution_point else { panic!("named") };
                crl = Some(names.clone());
            }
            ParsedExtension::AuthorityInfoAccess(value) => access = value.accessdescs.len(),
            _ => {}
        }
    }
    assert_eq!(authority_key.expect("present").0, authority.issuing.key_identifier());
    assert_eq!(crl.expect("present"), [GeneralName::URI("http://pki.example.jp/issuing.crl")]);
    assert_eq!((access, read.extensions().len()), (2, 7));
}

#[test]
fn without_addresses_there_are_no_address_extensions() {
    let authority = Authority::with_urls(Urls::default());
    assert_eq!(parsed(&authority.client(&key(KeyKind::P256)).der).extensions().len(), 5);
    assert_eq!(parsed(authority.issuing.der()).extensions().len(), 4);
}

#[test]
fn the_cas_go_two_deep_and_name_each_others_keys() {
    let authority = Authority::new();
    let (root, issuing) = (parsed(authority.root.der()), parsed(authority.issuing.der()));
    let constraints = |read: &X509Certificate<'_>| {
        let found = read.basic_constraints().expect("at most one").expect("present");
        (found.critical, found.value.ca, found.value.path_len_constraint)
    };
    assert_eq!((constraints(&root), constraints(&issuing)), ((true, true, None), (true, true, Some(0))));
    let usage = issuing.key_usage().expect("at most one").expect("present");
    assert!(usage.critical && usage.value.key_cert_sign() && usage.value.crl_sign() && usage.value.flags == 0x60);
    root.verify_signature(None).expect("the root signed itself");
    issuing.verify_signature(Some(root.public_key())).expect("the root signed the issuing CA");
    assert!(authority.issuing.is_signed_by(&authority.root) && authority.root.is_signed_by(&authority.root));
    assert!(!authority.root.is_signed_by(&authority.issuing));
    assert_eq!(authority.issuing.common_name(), "Tegata Test CA 1");
}

#[test]
fn a_listener_has_its_names_and_addresses() {
    let authority = Authority::new();
    let leaf = authority.server(&hosts(), &key(KeyKind::P256)).expect("prepared");
    let read = parsed(&leaf.der);
    let names = &read.subject_alternative_name().expect("at most one").expect("present").value.general_names;
    let v6 = "::1".parse::<std::net::Ipv6Addr>().expect("an address").octets();
    let expected = [
        GeneralName::DNSName("localhost"),
        GeneralName::DNSName("alt1.localhost"),
        GeneralName::DNSName("*.portal.example.jp"),
        GeneralName::IPAddress(&[127, 0, 0, 1]),
        GeneralName::IPAddress(&v6),
    ];
    assert_eq!(*names, expected);
    assert!(read.extended_key_usage().expect("at most one").expect("present").value.server_auth);
    assert_eq!(read.subject().to_string(), "CN=localhost");
    let nameless = authority.server(&[Host::Ip("10.0.0.1".parse().expect("an address"))], &key(KeyKind::P256));
    let nameless = nameless.expect("prepared");
    assert!(parsed(&nameless.der).subject_alternative_name().expect("at most one").expect("present").critical);
    let refused = |hosts: &[Host]| authority.server(hosts, &key(KeyKind::P256)).err();
    let broken = Some(PrepareError::Lint(tegata_pki::lint::Broken { rule: Rule::SubjectAltName }));
    assert_eq!(refused(&[]), broken);
    assert_eq!(refused(&[Host::Dns("a b".into())]), broken);
    assert!(matches!(refused(&[Host::Dns("受付.jp".into())]), Some(PrepareError::Encoding(_))));
}

#[test]
fn the_profile_decides_about_keys_and_purpose() {
    let authority = Authority::new();
    let (key, subject) = (key(KeyKind::P256), subject());
    let validity = between("2026-11-20", "2029-11-22");
    let prepare = |profile| {
        let serial = serial(validity.not_after, &authority.entropy);
        let request = Request { subject: &subject, key: key.public_key(), serial, validity };
        issue::prepare(permit(), &profile, request, &authority.issuing, &authority.urls).err()
    };
    let name = "test".to_owned();
    let kind = KeyKind::P256;
    assert_eq!(
        prepare(profile(Purpose::Client, &[KeyKind::Rsa3072])),
        Some(PrepareError::KeyKind { profile: name.clone(), kind })
    );
    assert_eq!(
        prepare(profile(Purpose::Server, &[kind])),
        Some(PrepareError::WrongPurpose { profile: name, wanted: Purpose::Client })
    );
    assert_eq!(prepare(profile(Purpose::Client, &[kind])), None);
}

#[test]
fn rsa_2048_does_not_outlive_2030() {
    let authority = Authority::new();
    let prepare = |kind, end| authority.prepare(key(kind).public_key(), between("2028-01-05", end)).map(|_| ());
    assert_eq!(prepare(KeyKind::Rsa2048, "2030-12-31T14:59:59Z"), Ok(()));
    let late = prepare(KeyKind::Rsa2048, "2030-12-31T15:00:00Z");
    assert!(matches!(late, Err(PrepareError::OutlivesKey { kind: KeyKind::Rsa2048, .. })), "{late:?}");
    assert_eq!(prepare(KeyKind::Rsa3072, "2031-01-15"), Ok(()));
}

#[test]
fn nothing_outlives_its_issuer() {
    let authority = Authority::new();
    let key = key(KeyKind::P256);
    let issuer = authority.issuing.validity();
    let prepare = |validity| authority.prepare(key.public_key(), validity).map(|_| ());
    assert_eq!(prepare(issuer), Ok(()));
    for (before, after) in [(-1, 0), (0, 1)] {
        let mut asked = issuer;
        asked.not_before = asked.not_before.plus_seconds(before);
        asked.not_after = asked.not_after.plus_seconds(after);
        assert_eq!(prepare(asked), Err(PrepareError::OutsideIssuer { asked, issuer }));
    }
    let root_end = authority.root.validity().not_after.plus_days(Days(1));
    let spki = tegata_pki::signer::Signer::public_key_der(&authority.signer);
    let life = tegata_core::schedule::Validity { not_before: issuer.not_before, not_after: root_end };
    let number = serial(root_end, &authority.entropy);
    let name = ca_name("Late");
    let late = issue::issuing(&authority.root, &authority.root_signer, &name, spki, life, number, &authority.urls);
    assert!(late.is_err());
}

#[test]
fn a_broken_rule_is_named_before_anything_is_signed() {
    let authority = Authority::new();
    let key = key(KeyKind::P256);
    let mut validity = between("2026-11-20", "2029-11-22");
    std::mem::swap(&mut validity.not_before, &mut validity.not_after);
    let refused = authority.prepare(key.public_key(), validity).map(|_| ());
    let Err(PrepareError::Lint(broken)) = refused else { panic!("{refused:?}") };
    assert_eq!(broken.rule, Rule::ValidityOrder);
    assert!(broken.to_string().contains("4.1.2.5"));
}

#[test]
fn another_cas_signer_is_refused() {
    let authority = Authority::new();
    let (other, _) = SoftwareSigner::generate(Curve::P256).expect("generated");
    let key = key(KeyKind::P256);
    let prepared = authority.prepare(key.public_key(), between("2026-11-20", "2029-11-22")).expect("prepared");
    assert_eq!(prepared.sign(&other).map(|_| ()), Err(SignError::OtherKey));
}

#[test]
fn from_2050_on_times_are_generalized() {
    let root_signer = SoftwareSigner::from_pkcs8(&read("root.pk8")).expect("readable");
    let entropy = tegata_testkit::SeededEntropy::new(1);
    let life = between("2031-01-05", "2051-01-05");
    let root = issue::root(&root_signer, &ca_name("Late Root"), life, serial(life.not_after, &entropy));
    let root = root.expect("a root");
    assert!(root.der().windows(15).any(|octets| octets == b"20510105050000Z"));
    assert_eq!(root.validity(), life);
    assert_eq!(parsed(root.der()).validity().not_after.timestamp(), life.not_after.0);
}

#[test]
fn the_to_be_signed_bytes_are_what_they_were() {
    let authority = Authority::new();
    golden("root.tbs", parsed(authority.root.der()).tbs_certificate.as_ref());
    golden("issuing.tbs", parsed(authority.issuing.der()).tbs_certificate.as_ref());
    for kind in KINDS {
        golden(&format!("client-{kind}.tbs"), parsed(&authority.client(&key(kind)).der).tbs_certificate.as_ref());
    }
    let server = authority.server(&hosts(), &key(KeyKind::P256)).expect("prepared");
    golden("server.tbs", parsed(&server.der).tbs_certificate.as_ref());
}

#[test]
fn requests_written_by_others_are_read() {
    let rcgen_key = |kind, algorithm| {
        let pkcs8 = read(&format!("leaf-{kind}.pk8"));
        rcgen::KeyPair::from_pkcs8_der_and_sign_algo(&pkcs8.into(), algorithm).expect("readable")
    };
    let all = [
        (KeyKind::P256, &PKCS_ECDSA_P256_SHA256),
        (KeyKind::Rsa2048, &PKCS_RSA_SHA256),
        (KeyKind::Rsa3072, &PKCS_RSA_SHA384),
        (KeyKind::Rsa3072, &PKCS_RSA_SHA512),
    ];
    for (kind, algorithm) in all {
        let names = vec!["ignored.example".to_owned()];
        let params = CertificateParams::new(names).expect("valid");
        let request = params.serialize_request(&rcgen_key(kind, algorithm)).expect("written");
        let read = csr::parse(request.der()).expect("accepted");
        assert_eq!(read.public_key(), key(kind).public_key());
    }
}

#[test]
fn our_requests_are_read_by_others() {
    for kind in KINDS {
        let der = csr::build(&key(kind), "JP_u00000001_client0001").expect("built");
        let (rest, read) = X509CertificationRequest::from_der(&der).expect("readable");
        assert!(rest.is_empty());
        read.verify_signature().expect("proof of possession");
        assert_eq!(read.certification_request_info.subject.to_string(), "CN=JP_u00000001_client0001");
    }
}

#[test]
fn a_certificate_for_a_request_carries_its_key() {
    let authority = Authority::new();
    let fresh = LeafKey::generate(KeyKind::P256).expect("generated");
    let request = csr::parse(&csr::build(&fresh, "x").expect("built")).expect("accepted");
    let prepared = authority.prepare(request.public_key(), between("2026-11-20", "2029-11-22")).expect("prepared");
    let leaf = prepared.sign(&authority.signer).expect("signed");
    assert_eq!(parsed(&leaf.der).public_key().raw, fresh.public_key().spki_der());
}
