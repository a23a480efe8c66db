//! Certificates that strangers present (`tegata_pki::chain::identify`), and those that are handed to us as a CA's: as they come, where none
//! but a copy of ours is ours; and signed anew by our CA, so that what is behind its signature is tried, too.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use tegata_core::id::IssuerId;
use tegata_core::peer::PeerCert;
use tegata_fuzz::{cut, element, holds};
use tegata_pki::chain::identify;
use tegata_pki::issuer::{IssuerCert, fingerprint};
use tegata_pki::signer::{Signer, SoftwareSigner};

/// AlgorithmIdentifier of ecdsa-with-SHA256 (RFC 5758 section 3.2).
const ECDSA_SHA256: &[u8] = &[0x30, 0x0a, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2];
const OURS: &[u8] = include_bytes!("../../crates/pki/tests/data/client-p256.der");

static ISSUERS: LazyLock<Vec<(IssuerId, IssuerCert)>> = LazyLock::new(|| {
    let root = include_bytes!("../../crates/pki/tests/data/root.der");
    let issuing = include_bytes!("../../crates/pki/tests/data/issuing.der");
    let read = |der| IssuerCert::from_der(der).expect("the kept certificate is a CA's");
    vec![(IssuerId(1), read(root)), (IssuerId(2), read(issuing))]
});
static SIGNER: LazyLock<SoftwareSigner> = LazyLock::new(|| {
    let pkcs8 = include_bytes!("../../crates/pki/tests/data/issuing.pk8");
    SoftwareSigner::from_pkcs8(pkcs8).expect("the kept key is readable")
});

fn signed_by_us(certificate: &[u8]) -> Option<Vec<u8>> {
    let (signed, _) = cut(cut(certificate)?.0.content)?;
    let signature = SIGNER.sign(signed.whole).expect("signed");
    Some(element(0x30, &[signed.whole, ECDSA_SHA256, &element(3, &[&[0], &signature])]))
}

fn read(certificate: &[u8]) -> Option<PeerCert> {
    let peer = identify(certificate, &ISSUERS)?;
    let uri = peer.terminal.san_uri(peer.purpose).expect("terminals have one");
    // The hyphens of a UUID are where they are; its letters may be capitals.
    assert!(holds(&certificate.to_ascii_lowercase(), uri.as_bytes()));
    assert!(holds(certificate, peer.serial.as_bytes()) && peer.fingerprint == fingerprint(certificate));
    Some(peer)
}

fuzz_target!(
    init: {
        let anew = signed_by_us(OURS).expect("cut into its parts");
        assert!(read(OURS).is_some() && read(&anew).is_some(), "ours is recognised, and so it is when signed anew");
    },
    |data: &[u8]| {
        let is_a_copy = cut(data).zip(cut(OURS)).is_some_and(|((data, _), (ours, _))| {
            cut(data.content).zip(cut(ours.content)).is_some_and(|((a, _), (b, _))| a.whole == b.whole)
        });
        assert!(read(data).is_none() || is_a_copy, "nobody else signs for us");
        let _ = IssuerCert::from_der(data);
        if let Some(certificate) = signed_by_us(data) {
            read(&certificate);
        }
    }
);
