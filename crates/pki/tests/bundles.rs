//! PKCS#12 bundles: what goes in comes out, what does not belong together is refused, and the bytes do not change by accident.

use tegata_core::profile::KeyKind;
use tegata_pki::pkcs12::{self, Contents, Format, OpenError, SealError};

use crate::common::*;

const PASSWORD: &str = "abcde-fghjk-mnpqr-23456";
const FORMATS: [Format; 2] = [Format::Standard, Format::Compat];

#[test]
fn what_goes_in_comes_out() {
    let authority = Authority::new();
    for kind in KINDS {
        let key = key(kind);
        let leaf = authority.client(&key);
        let contents =
            Contents { key: &key, leaf: &leaf.der, chain: &authority.chain(), friendly_name: "受付1 2029-11-22" };
        for format in FORMATS {
            let bundle = pkcs12::seal(&contents, PASSWORD, format, &authority.entropy).expect("sealed");
            let opened = pkcs12::open(bundle.expose(), PASSWORD).expect("opens");
            assert_eq!(opened.leaf, leaf.der);
            assert_eq!(opened.chain, authority.chain());
            assert_eq!(opened.friendly_name, "受付1 2029-11-22");
            assert_eq!(opened.key.pkcs8().expose(), key.pkcs8().expose());
        }
    }
}

#[test]
fn a_wrong_password_opens_nothing() {
    let authority = Authority::new();
    let key = key(KeyKind::P256);
    let leaf = authority.client(&key);
    let contents = Contents { key: &key, leaf: &leaf.der, chain: &[], friendly_name: "" };
    for format in FORMATS {
        let bundle = pkcs12::seal(&contents, PASSWORD, format, &authority.entropy).expect("sealed");
        assert_eq!(pkcs12::open(bundle.expose(), "another").err(), Some(OpenError::Mac));
    }
}

#[test]
fn passwords_that_some_programs_cannot_type_are_refused() {
    let authority = Authority::new();
    let key = key(KeyKind::P256);
    let leaf = authority.client(&key);
    let contents = Contents { key: &key, leaf: &leaf.der, chain: &[], friendly_name: "" };
    for wrong in ["", "パスワード", "a\tb", "é"] {
        let refused = pkcs12::seal(&contents, wrong, Format::Standard, &authority.entropy).err();
        assert_eq!(refused, Some(SealError::Password), "{wrong:?}");
    }
}

#[test]
fn a_key_of_another_certificate_is_refused() {
    let authority = Authority::new();
    let leaf = authority.client(&key(KeyKind::P256));
    let other = key(KeyKind::Rsa2048);
    let contents = Contents { key: &other, leaf: &leaf.der, chain: &[], friendly_name: "" };
    let refused = pkcs12::seal(&contents, PASSWORD, Format::Standard, &authority.entropy).err();
    assert_eq!(refused, Some(SealError::OtherKey));
}

#[test]
fn a_kanji_beyond_the_basic_plane_becomes_the_mark_for_a_missing_letter() {
    let authority = Authority::new();
    let key = key(KeyKind::P256);
    let leaf = authority.client(&key);
    let contents = Contents { key: &key, leaf: &leaf.der, chain: &[], friendly_name: "𠮷田 受付" };
    let bundle = pkcs12::seal(&contents, PASSWORD, Format::Standard, &authority.entropy).expect("sealed");
    assert_eq!(pkcs12::open(bundle.expose(), PASSWORD).expect("opens").friendly_name, "〓田 受付");
}

#[test]
fn the_bytes_are_what_they_were() {
    let authority = Authority::new();
    // Signatures are random, so the certificates of the kept bundles are kept, too.
    if std::env::var_os("TEGATA_REGENERATE").is_some() {
        golden("client-p256.der", &authority.client(&key(KeyKind::P256)).der);
        golden("issuing.der", authority.issuing.der());
        golden("root.der", authority.root.der());
    }
    let (leaf, issuing, root) = (read("client-p256.der"), read("issuing.der"), read("root.der"));
    let key = key(KeyKind::P256);
    let chain = [issuing.as_slice(), root.as_slice()];
    let contents = Contents { key: &key, leaf: &leaf, chain: &chain, friendly_name: "受付1 2029-11-22" };
    for (format, name) in [(Format::Standard, "standard.p12"), (Format::Compat, "compat.p12")] {
        let bundle = pkcs12::seal(&contents, PASSWORD, format, &entropy()).expect("sealed");
        golden(name, bundle.expose());
    }
}
