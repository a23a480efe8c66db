//! Recognising certificates: ours are named, strangers' are not, and no bytes do harm.

use std::sync::LazyLock;

use proptest::prelude::*;
use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, SanType};
use rustls_pki_types::PrivatePkcs8KeyDer;
use tegata_core::id::IssuerId;
use tegata_core::profile::{KeyKind, Purpose};
use tegata_pki::chain::identify;
use tegata_pki::issuer::IssuerCert;
use tegata_pki::{csr, pem, pkcs12};

use crate::common::*;

const OURS: IssuerId = IssuerId(7);

static AUTHORITY: LazyLock<Authority> = LazyLock::new(Authority::new);
static LEAF: LazyLock<Vec<u8>> = LazyLock::new(|| AUTHORITY.client(&key(KeyKind::P256)).der);
static BUNDLE: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let leaf = AUTHORITY.client(&key(KeyKind::P256)).der;
    let key = key(KeyKind::P256);
    let contents = pkcs12::Contents { key: &key, leaf: &leaf, chain: &AUTHORITY.chain(), friendly_name: "受付1" };
    pkcs12::seal(&contents, "password", pkcs12::Format::Compat, &entropy()).expect("sealed").expose().clone()
});

fn issuers() -> Vec<(IssuerId, IssuerCert)> {
    let root = (IssuerId(1), AUTHORITY.root.clone());
    vec![root, (OURS, AUTHORITY.issuing.clone())]
}

#[test]
fn our_certificate_is_recognised() {
    for kind in KINDS {
        let leaf = AUTHORITY.client(&key(kind));
        let peer = identify(&leaf.der, &issuers()).expect("ours");
        assert_eq!((peer.fingerprint, peer.serial, peer.issuer), (leaf.fingerprint, leaf.serial, OURS));
        assert_eq!(peer.terminal, terminal().id);
        assert_eq!((peer.not_before, peer.not_after), (leaf.validity.not_before, leaf.validity.not_after));
    }
}

#[test]
fn an_expired_certificate_is_still_recognised() {
    let validity = between("2026-01-06", "2026-01-07");
    let prepared = AUTHORITY.prepare(key(KeyKind::P256).public_key(), validity).expect("prepared");
    let leaf = prepared.sign(&AUTHORITY.signer).expect("signed");
    assert!(identify(&leaf.der, &issuers()).is_some(), "whether it is over is asked for every request");
}

#[test]
fn without_its_issuer_it_is_a_strangers() {
    assert!(identify(&LEAF, &[]).is_none());
    assert!(identify(&LEAF, &[(IssuerId(1), AUTHORITY.root.clone())]).is_none());
}

#[test]
fn cas_and_listeners_are_no_terminals() {
    let server = AUTHORITY.server(&hosts(), &key(KeyKind::P256)).expect("prepared");
    for der in [server.der.as_slice(), AUTHORITY.issuing.der(), AUTHORITY.root.der()] {
        assert!(identify(der, &issuers()).is_none());
    }
}

/// A certificate by our issuing CA's name, made elsewhere: `spoil` changes what another CA's software might do.
fn foreign(signed_by_our_key: bool, spoil: impl FnOnce(&mut CertificateParams)) -> Vec<u8> {
    let pkcs8 = if signed_by_our_key { "issuing.pk8" } else { "leaf-p256.pk8" };
    let ca_key = rcgen::KeyPair::from_pkcs8_der_and_sign_algo(
        &PrivatePkcs8KeyDer::from(read(pkcs8)),
        &rcgen::PKCS_ECDSA_P256_SHA256,
    );
    let ca_der = AUTHORITY.issuing.der().to_vec().into();
    let issuer = Issuer::from_ca_cert_der(&ca_der, ca_key.expect("readable")).expect("a CA");
    let mut params = CertificateParams::default();
    let uri = terminal().id.san_uri(Purpose::Client).expect("terminals have one").as_str().try_into().expect("ASCII");
    params.subject_alt_names = vec![SanType::URI(uri)];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params.serial_number = Some(vec![0x20; 16].into());
    spoil(&mut params);
    params.signed_by(&rcgen::KeyPair::generate().expect("generated"), &issuer).expect("signed").der().to_vec()
}

#[test]
fn our_name_under_another_key_is_a_strangers() {
    assert!(identify(&foreign(true, |_| {}), &issuers()).is_some(), "what the others change is what is refused");
    assert!(identify(&foreign(false, |_| {}), &issuers()).is_none());
}

#[test]
fn another_purpose_name_serial_or_a_ca_is_refused_even_with_our_signature() {
    let refused = |spoil: fn(&mut CertificateParams)| identify(&foreign(true, spoil), &issuers()).is_none();
    assert!(refused(|params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth]));
    assert!(refused(|params| params.extended_key_usages.clear()));
    assert!(refused(|params| params.subject_alt_names.clear()));
    assert!(refused(|params| params.subject_alt_names.push(params.subject_alt_names[0].clone())));
    assert!(refused(|params| params.serial_number = Some(vec![0x20; 15].into())));
    assert!(refused(|params| params.serial_number = Some(vec![0x20; 17].into())));
    assert!(refused(|params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained)));
}

#[test]
fn oversized_and_empty_bytes_are_refused() {
    assert!(identify(&[], &issuers()).is_none());
    assert!(identify(&vec![0x30; 1 << 20], &issuers()).is_none());
    let mut trailing = LEAF.clone();
    trailing.push(0);
    assert!(identify(&trailing, &issuers()).is_none());
}

proptest! {
    #[test]
    fn a_changed_certificate_is_never_ours(at in any::<prop::sample::Index>(), bit in 0u8..8) {
        let mut der = LEAF.clone();
        let at = at.index(der.len());
        der[at] ^= 1 << bit;
        prop_assert!(identify(&der, &issuers()).is_none());
    }

    #[test]
    fn a_certificate_cut_or_spliced_does_no_harm(at in any::<prop::sample::Index>(), junk in prop::collection::vec(any::<u8>(), 0..40)) {
        let at = at.index(LEAF.len());
        let mut der = LEAF[..at].to_vec();
        der.extend(junk);
        der.extend(&LEAF[at.min(LEAF.len())..]);
        let _ = identify(&der, &issuers());
        let _ = IssuerCert::from_der(&der);
        let _ = csr::parse(&der);
    }

    #[test]
    fn random_bytes_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        prop_assert!(identify(&bytes, &issuers()).is_none());
        prop_assert!(csr::parse(&bytes).is_err());
        prop_assert!(IssuerCert::from_der(&bytes).is_err());
        prop_assert!(pkcs12::open(&bytes, "password").is_err());
        let _ = pem::certificates(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn a_changed_bundle_does_not_open(at in any::<prop::sample::Index>(), bit in 0u8..8) {
        let mut bundle = BUNDLE.clone();
        let at = at.index(bundle.len());
        bundle[at] ^= 1 << bit;
        prop_assert!(pkcs12::open(&bundle, "password").is_err());
    }
}
