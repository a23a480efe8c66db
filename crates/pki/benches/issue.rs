//! What issuing costs beside the signatures that it cannot do without, sealing bundles in both formats, and recognising a certificate.
//! The goal: issuing from a request within 1.5 times of one request's verification plus one P-256 signature, measured in the same run.

#[expect(dead_code, reason = "shared with the tests, which use all of it")]
#[path = "../tests/common.rs"]
mod common;

use std::hint::black_box;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use criterion::{Criterion, criterion_group, criterion_main};
use tegata_core::id::IssuerId;
use tegata_core::profile::{KeyKind, Purpose};
use tegata_pki::issue::{self, Request};
use tegata_pki::pkcs12::{self, Contents, Format};
use tegata_pki::signer::Signer;
use tegata_pki::{chain, csr};

fn issuing(criterion: &mut Criterion) {
    let authority = common::Authority::new();
    let key = common::key(KeyKind::P256);
    let request = csr::build(&key, "JP_u00000001_client0001").expect("built");
    let (profile, subject) = (common::profile(Purpose::Client, &common::KINDS), common::subject());
    let validity = common::between("2026-11-20", "2029-11-22");
    let mut group = criterion.benchmark_group("issue");
    group.bench_function("from_a_request", |bencher| {
        bencher.iter(|| {
            let csr = csr::parse(black_box(&request)).expect("accepted");
            let serial = common::serial(validity.not_after, &authority.entropy);
            let request = Request { subject: &subject, key: csr.public_key(), serial, validity };
            let prepared = issue::prepare(common::permit(), &profile, request, &authority.issuing, &authority.urls);
            prepared.expect("prepared").sign(&authority.signer).expect("signed").der
        });
    });

    // The floor: a signature over as many octets as the request's by a key that has to be read first, and one over a certificate's.
    let (asked, to_sign) = (vec![0x5a; 130], vec![0x5a; 560]);
    let signature = authority.signer.sign(&asked).expect("signed");
    let public = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, authority.signer.public_key_der());
    group.bench_function("floor_verify_and_sign", |bencher| {
        bencher.iter(|| {
            public.verify(black_box(&asked), &signature).expect("verifies");
            authority.signer.sign(black_box(&to_sign)).expect("signed")
        });
    });
    let prepare = || authority.prepare(key.public_key(), validity).expect("prepared");
    group.bench_function("prepare_alone", |bencher| bencher.iter(prepare));
    group.bench_function("parse_request_alone", |bencher| bencher.iter(|| csr::parse(black_box(&request))));
    group.finish();
}

fn bundles(criterion: &mut Criterion) {
    let authority = common::Authority::new();
    let key = common::key(KeyKind::Rsa3072);
    let leaf = authority.client(&key);
    let chain = authority.chain();
    let contents = Contents { key: &key, leaf: &leaf.der, chain: &chain, friendly_name: "受付1 2029-11-22" };
    let password = "abcde-fghjk-mnpqr-23456";
    let mut group = criterion.benchmark_group("bundle");
    for (format, name) in [(Format::Standard, "standard"), (Format::Compat, "compat")] {
        let seal = || pkcs12::seal(&contents, password, format, &authority.entropy).expect("sealed");
        group.bench_function(format!("seal_{name}"), |bencher| bencher.iter(seal));
        let bundle = seal();
        let open = || pkcs12::open(black_box(bundle.expose()), password).expect("opens");
        group.bench_function(format!("open_{name}"), |bencher| bencher.iter(open));
    }
    group.finish();
}

fn recognising(criterion: &mut Criterion) {
    let authority = common::Authority::new();
    let leaf = authority.client(&common::key(KeyKind::P256)).der;
    let issuers = [(IssuerId(1), authority.issuing.clone())];
    let stranger = authority.server(&common::hosts(), &common::key(KeyKind::P256)).expect("prepared").der;
    let mut group = criterion.benchmark_group("identify");
    group.bench_function("ours", |bencher| bencher.iter(|| chain::identify(black_box(&leaf), &issuers)));
    group.bench_function("not_a_terminal", |bencher| bencher.iter(|| chain::identify(black_box(&stranger), &issuers)));
    group.finish();
}

criterion_group!(benches, issuing, bundles, recognising);
criterion_main!(benches);
