//! Lists of certificates as other CAs send them to an agent (`tegata_pki::pkcs7::certificates`): what comes out was inside, within bounds,
//! and comes out again when we wrap it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tegata_fuzz::holds;
use tegata_pki::pkcs7;

fn read(data: &[u8]) -> Option<usize> {
    let mut found = pkcs7::certificates(data).ok()?;
    assert!(found.len() <= 32 && found.iter().all(|der| der.starts_with(&[0x30]) && holds(data, der)));
    let list: Vec<&[u8]> = found.iter().map(Vec::as_slice).collect();
    let wrapped = pkcs7::certs_only(&list).expect("certificates can be wrapped");
    found.sort();
    assert_eq!(pkcs7::certificates(&wrapped).as_ref(), Ok(&found));
    Some(found.len())
}

fuzz_target!(
    init: {
        assert_eq!(read(include_bytes!("../seeds/pkcs7/three.p7c")), Some(3), "a list of OpenSSL's");
    },
    |data: &[u8]| {
        read(data);
    }
);
