//! Requests for a certificate's status (`tegata_pki::ocsp::Request`): what is read keeps within its bounds, and can be answered.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use tegata_core::id::Serial;
use tegata_core::schedule::Validity;
use tegata_core::time::Timestamp;
use tegata_fuzz::holds;
use tegata_pki::issue::prepare_responder;
use tegata_pki::issuer::IssuerCert;
use tegata_pki::ocsp::{IssuerHashes, MAX_CERTIFICATES, MAX_NONCE, MAX_REQUEST, Request, Responder, Single, Status};
use tegata_pki::signer::{Curve, Signer, SoftwareSigner};

/// 2027-06-01.
const NOW: Timestamp = Timestamp(1_811_808_000);

static ISSUING: LazyLock<IssuerCert> = LazyLock::new(|| {
    let der = include_bytes!("../../crates/pki/tests/data/issuing.der");
    IssuerCert::from_der(der).expect("the kept certificate is a CA's")
});
static HASHES: LazyLock<IssuerHashes> = LazyLock::new(|| IssuerHashes::of(&ISSUING));
static RESPONDER: LazyLock<Responder> = LazyLock::new(|| {
    let pkcs8 = include_bytes!("../../crates/pki/tests/data/issuing.pk8");
    let ca = SoftwareSigner::from_pkcs8(pkcs8).expect("the kept key is readable");
    let (signer, _) = SoftwareSigner::generate(Curve::P256).expect("generated");
    let validity = Validity { not_before: NOW, not_after: NOW.plus_seconds(7 * 86_400) };
    let serial = Serial::build(validity.not_after, [7; 12]);
    let prepared = prepare_responder(signer.public_key_der(), &ISSUING, serial, validity).expect("prepared");
    Responder::new(signer, prepared.sign(&ca).expect("signed")).expect("the key is the certificate's")
});

/// How many of the certificates asked about are of our CA.
fn read(data: &[u8]) -> Option<usize> {
    let request = Request::parse(data).ok()?;
    assert!(data.len() <= MAX_REQUEST);
    assert!((1..=MAX_CERTIFICATES).contains(&request.certificates.len()));
    assert!(request.nonce.is_none_or(|nonce| (1..=MAX_NONCE).contains(&nonce.len())));
    let single = |certificate| Single {
        certificate,
        status: Status::Unknown,
        this_update: NOW,
        next_update: NOW.plus_seconds(7200),
    };
    let singles: Vec<Single<'_>> = request.certificates.iter().map(|asked| single(asked.der)).collect();
    let answer = RESPONDER.respond(&singles, NOW, request.nonce).expect("what is read can be answered");
    for asked in &request.certificates {
        assert!((1..=21).contains(&asked.serial.len()) && holds(&answer, asked.der));
    }
    assert!(holds(&answer, request.nonce.unwrap_or_default()));
    Some(request.certificates.iter().filter(|asked| HASHES.are_meant_by(asked)).count())
}

fuzz_target!(
    init: {
        let seed = include_bytes!("../seeds/ocsp_request/two-nonce.der");
        assert_eq!(read(seed), Some(2), "a request of OpenSSL's about two certificates of ours");
    },
    |data: &[u8]| {
        read(data);
    }
);
