//! Certification requests (`tegata_pki::csr::parse`): as they come, and once more signed anew by a key of ours, since the attributes are
//! looked into only behind a signature that verifies.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use tegata_fuzz::{cut, element, holds};
use tegata_pki::csr;
use tegata_pki::signer::{Signer, SoftwareSigner};

/// AlgorithmIdentifier of ecdsa-with-SHA256 (RFC 5758 section 3.2).
const ECDSA_SHA256: &[u8] = &[0x30, 0x0a, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2];
const LEAF: &[u8] = include_bytes!("../../crates/pki/tests/data/client-p256.der");
const URI: &str = "https://terminal.tegata.internal/42424242-4242-4242-4242-424242424242";

static SIGNER: LazyLock<SoftwareSigner> = LazyLock::new(|| {
    let pkcs8 = include_bytes!("../../crates/pki/tests/data/leaf-p256.pk8");
    SoftwareSigner::from_pkcs8(pkcs8).expect("the kept key is readable")
});

/// The same request over our key, with a signature of it.
fn signed_anew(request: &[u8]) -> Option<Vec<u8>> {
    let (info, _) = cut(cut(request)?.0.content)?;
    let (version, rest) = cut(info.content)?;
    let (subject, rest) = cut(rest)?;
    let (_other_key, attributes) = cut(rest)?;
    let info = element(0x30, &[version.whole, subject.whole, SIGNER.public_key_der(), attributes]);
    let signature = SIGNER.sign(&info).expect("signed");
    Some(element(0x30, &[&info, ECDSA_SHA256, &element(3, &[&[0], &signature])]))
}

/// Whether it was accepted. What is certified is the key that stands there.
fn read(request: &[u8]) -> bool {
    let Ok(csr) = csr::parse(request) else { return false };
    assert!(holds(request, csr.public_key().spki_der()));
    let _ = (csr.asks_for(LEAF, URI), csr.wants_encrypted_key());
    true
}

fuzz_target!(
    init: {
        let seed = include_bytes!("../seeds/csr/p256-names.der");
        let anew = signed_anew(seed).expect("cut into its parts");
        assert!(read(seed) && read(&anew), "a request of other people's is accepted, and so it is when we sign it");
    },
    |data: &[u8]| {
        read(data);
        if let Some(request) = signed_anew(data) {
            read(&request);
        }
    }
);
