//! Opening bundles (`tegata_pki::pkcs12::open`): as they come, and once more with a seal of ours around them, since nothing is looked into
//! before the seal was checked.
#![no_main]

use std::sync::LazyLock;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use aws_lc_rs::hmac;
use libfuzzer_sys::fuzz_target;
use tegata_fuzz::{cut, element};
use tegata_pki::pkcs12::open;

const PASSWORD: &str = "abcde-fghjk-mnpqr-23456";
const SALT: &[u8; 8] = b"saltsalt";
const ITERATIONS: u16 = 2048;
/// AlgorithmIdentifier of SHA-1.
const SHA1: &[u8] = &[0x30, 9, 6, 5, 0x2b, 0x0e, 3, 2, 0x1a, 5, 0];

/// The key of the seal (RFC 7292 appendix B.2 with the ID 3), which is the first block of hashes already.
static SEAL: LazyLock<hmac::Key> = LazyLock::new(|| {
    let password: Vec<u8> = PASSWORD.encode_utf16().chain([0]).flat_map(u16::to_be_bytes).collect();
    let filled = |bytes: &[u8]| -> Vec<u8> {
        let length = bytes.len().div_ceil(64) * 64;
        bytes.iter().copied().cycle().take(length).collect()
    };
    let mut block = [&[3; 64][..], &filled(SALT), &filled(&password)].concat();
    for _ in 0..ITERATIONS {
        block = digest(&SHA1_FOR_LEGACY_USE_ONLY, &block).as_ref().to_vec();
    }
    hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &block)
});

/// The same bundle with the right seal for whatever is in it.
fn sealed_anew(bundle: &[u8]) -> Option<Vec<u8>> {
    let (version, rest) = cut(cut(bundle)?.0.content)?;
    let (safe, _) = cut(rest)?;
    let (_kind, content) = cut(safe.content)?;
    let (octets, _) = cut(cut(content)?.0.content)?;
    let mac = hmac::sign(&SEAL, octets.content);
    let digest_info = element(0x30, &[SHA1, &element(4, &[mac.as_ref()])]);
    let mac_data = element(0x30, &[&digest_info, &element(4, &[SALT]), &element(2, &[&ITERATIONS.to_be_bytes()])]);
    Some(element(0x30, &[version.whole, safe.whole, &mac_data]))
}

fuzz_target!(
    init: {
        let seed = include_bytes!("../seeds/pkcs12/compat.p12");
        let anew = sealed_anew(seed).expect("cut into its parts");
        for bundle in [&seed[..], &anew] {
            let opened = open(bundle, PASSWORD).expect("a bundle of ours opens, and so it does with another seal");
            assert_eq!(opened.chain.len(), 2);
        }
    },
    |data: &[u8]| {
        let _ = open(data, PASSWORD);
        if let Some(bundle) = sealed_anew(data) {
            let _ = open(&bundle, PASSWORD);
        }
    }
);
