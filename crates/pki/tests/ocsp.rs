//! Certificate status: requests of other people's programs are read, answers are read by them, and no bytes do harm.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use proptest::prelude::*;
use tegata_core::cert::RevocationReason;
use tegata_core::profile::KeyKind;
use tegata_pki::ocsp::{
    Hash, IssuerHashes, MAX_CERTIFICATES, MAX_REQUEST, Malformed, Refusal, Request, Single, Status, refusal,
};
use tegata_pki::pem;
use x509_parser::prelude::*;

use crate::common::*;
use crate::interop::{FAKETIME, OPENSSL, expect, pkilint, run};

const NOW: &str = "2027-06-01T00:00:00Z";

/// A CA, a certificate of its, and files for other people's programs.
struct World {
    folder: tempfile::TempDir,
    authority: Authority,
    serial: Vec<u8>,
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let world = World { folder: tempfile::tempdir().expect("a folder"), authority: Authority::new(), serial: vec![] };
    let leaf = world.authority.client(&key(KeyKind::P256));
    for (name, der) in [
        ("root.pem", world.authority.root.der()),
        ("issuing.pem", world.authority.issuing.der()),
        ("leaf.pem", leaf.der.as_slice()),
    ] {
        std::fs::write(world.path(name), pem::certificate(der)).expect("written");
    }
    World { serial: leaf.serial.as_bytes().to_vec(), ..world }
});

impl World {
    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A request as `openssl ocsp` writes it.
    fn request(&self, name: &str, more: &[&str]) -> Vec<u8> {
        let (issuing, leaf, out) = (self.path("issuing.pem"), self.path("leaf.pem"), self.path(name));
        let mut arguments: Vec<&dyn AsRef<OsStr>> = vec![&"ocsp"];
        arguments.extend(more.iter().map(|argument| argument as &dyn AsRef<OsStr>));
        arguments.extend_from_slice(&[&"-issuer", &issuing, &"-cert", &leaf, &"-reqout", &out]);
        expect(OPENSSL, "openssl", &arguments);
        std::fs::read(out).expect("written")
    }

    fn answer(&self, name: &str, request: &[u8], status: Status) -> PathBuf {
        let request = Request::parse(request).expect("readable");
        let now = at(NOW);
        let single = |certificate| Single {
            certificate,
            status,
            this_update: now.plus_seconds(-600),
            next_update: now.plus_seconds(7200),
        };
        let singles: Vec<Single<'_>> = request.certificates.iter().map(|asked| single(asked.der)).collect();
        let der = self.authority.responder().respond(&singles, now, request.nonce).expect("signed");
        std::fs::write(self.path(name), der).expect("written");
        self.path(name)
    }
}

/// What OpenSSL makes of an answer at the instant of these tests.
fn judged(request: &str, hash: &str, answer: &Path) -> (bool, String) {
    let world = &*WORLD;
    let (issuing, leaf, root, request) =
        (world.path("issuing.pem"), world.path("leaf.pem"), world.path("root.pem"), world.path(request));
    // The request's own nonce is compared; without -no_nonce a second one would be put in.
    let openssl: [&dyn AsRef<OsStr>; 15] = [
        &"2027-06-01 00:00:00",
        &"openssl",
        &"ocsp",
        &hash,
        &"-issuer",
        &issuing,
        &"-cert",
        &leaf,
        &"-CAfile",
        &root,
        &"-reqin",
        &request,
        &"-respin",
        &answer,
        &"-no_nonce",
    ];
    run(FAKETIME, "faketime", &openssl)
}

#[test]
fn requests_of_openssl_are_read() {
    let hashes = IssuerHashes::of(&WORLD.authority.issuing);
    let strangers = IssuerHashes::of(&WORLD.authority.root);
    for (hash, option) in [(Hash::Sha1, "-sha1"), (Hash::Sha256, "-sha256")] {
        let der = WORLD.request(&format!("read{option}.req"), &[option]);
        let request = Request::parse(&der).expect("readable");
        let [asked] = request.certificates.as_slice() else { panic!("one") };
        assert_eq!((asked.hash, asked.serial), (Some(hash), WORLD.serial.as_slice()));
        assert!(hashes.are_meant_by(asked), "the hashes are those of the CA's certificate");
        assert!(!strangers.are_meant_by(asked));
        assert!(request.nonce.is_some_and(|nonce| !nonce.is_empty()));
    }
    let der = WORLD.request("plain.req", &["-no_nonce"]);
    assert_eq!(Request::parse(&der).expect("readable").nonce, None);
    let der = WORLD.request("foreign-hash.req", &["-sha512"]);
    let request = Request::parse(&der).expect("readable");
    assert!(!hashes.are_meant_by(&request.certificates[0]), "a hash that we do not know names nobody");
}

#[test]
fn openssl_reads_each_status_with_its_reason() {
    let revoked = |reason| Status::Revoked(at("2027-05-01T00:00:00Z"), reason);
    let all = [
        (Status::Good, "leaf.pem: good", ""),
        (Status::Unknown, "leaf.pem: unknown", ""),
        (revoked(RevocationReason::Unspecified), "leaf.pem: revoked", "Revocation Time: May  1 00:00:00 2027 GMT"),
        (revoked(RevocationReason::KeyCompromise), "leaf.pem: revoked", "Reason: keyCompromise"),
        (revoked(RevocationReason::Superseded), "leaf.pem: revoked", "Reason: superseded"),
        (revoked(RevocationReason::CessationOfOperation), "leaf.pem: revoked", "Reason: cessationOfOperation"),
    ];
    for (n, (status, said, more)) in all.into_iter().enumerate() {
        for option in ["-sha1", "-sha256"] {
            let name = format!("status{n}{option}");
            let request = WORLD.request(&format!("{name}.req"), &[option]);
            let answer = WORLD.answer(&format!("{name}.resp"), &request, status);
            let (_, text) = judged(&format!("{name}.req"), option, &answer);
            assert!(text.contains("Response verify OK"), "{text}");
            assert!(text.contains(said) && text.contains(more), "{text}");
            assert!(!text.contains("nonce in response") && !text.contains("Nonce Verify error"), "{text}");
            let has_reason = text.contains("Reason:");
            assert_eq!(has_reason, more.starts_with("Reason"), "unspecified is not written: {text}");
        }
    }
}

#[test]
fn openssl_refuses_an_answer_of_another_ca_and_one_past_its_time() {
    let request = WORLD.request("refused.req", &[]);
    let parsed = Request::parse(&request).expect("readable");
    let other = Authority::new();
    let (strange_signer, _) =
        tegata_pki::signer::SoftwareSigner::generate(tegata_pki::signer::Curve::P256).expect("made");
    let life = between("2026-01-05T05:00:00Z", "2036-01-05T05:00:00Z");
    let number = serial(life.not_after, &other.entropy);
    let strange = tegata_pki::issue::root(&strange_signer, &ca_name("Tegata Test CA 1"), life, number).expect("made");
    let impostor = Authority { signer: strange_signer, issuing: strange, ..other };
    let now = at(NOW);
    let single = |hours: i64| Single {
        certificate: parsed.certificates[0].der,
        status: Status::Good,
        this_update: now.plus_seconds((hours - 2) * 3600),
        next_update: now.plus_seconds(hours * 3600),
    };
    let path = WORLD.path("refused.resp");
    std::fs::write(&path, impostor.responder().respond(&[single(2)], now, parsed.nonce).expect("signed"))
        .expect("written");
    let (_, text) = judged("refused.req", "-sha1", &path);
    assert!(text.contains("Response Verify Failure"), "{text}");
    let late = WORLD.authority.responder().respond(&[single(-1)], now, parsed.nonce).expect("signed");
    std::fs::write(&path, late).expect("written");
    let (_, text) = judged("refused.req", "-sha1", &path);
    assert!(text.contains("Status times invalid"), "{text}");
}

#[test]
fn pkilint_finds_nothing_in_answers() {
    let statuses = [
        Status::Good,
        Status::Unknown,
        Status::Revoked(at("2027-05-01T00:00:00Z"), RevocationReason::KeyCompromise),
        Status::Revoked(at("2027-05-01T00:00:00Z"), RevocationReason::Unspecified),
    ];
    for (n, status) in statuses.into_iter().enumerate() {
        for options in [&["-no_nonce"][..], &["-sha256"]] {
            let request = WORLD.request(&format!("lint{n}.req"), options);
            let answer = WORLD.answer(&format!("lint{n}.resp"), &request, status);
            let (clean, text) = run("pkilint", pkilint("lint_ocsp_response"), &[&"lint", &"-s", &"WARNING", &answer]);
            assert!(clean && text.trim().is_empty(), "{status:?}: {text}");
        }
    }
}

#[test]
fn a_responders_certificate_is_for_answers_alone_and_needs_no_check() {
    let responder = WORLD.authority.responder();
    let (_, read) = X509Certificate::from_der(responder.certificate()).expect("x509-parser reads it");
    read.verify_signature(Some(
        X509Certificate::from_der(WORLD.authority.issuing.der()).expect("readable").1.public_key(),
    ))
    .expect("the CA itself signed it (RFC 6960 section 4.2.2.2)");
    let usage = read.extended_key_usage().expect("at most one").expect("present").value;
    assert!(usage.ocsp_signing && !usage.client_auth && !usage.server_auth && !usage.any);
    assert_eq!(read.subject().to_string(), "C=JP, O=テガタ試験局, CN=Tegata Test CA 1 OCSP");
    assert!(read.extensions().iter().any(|one| one.oid.to_string() == "1.3.6.1.5.5.7.48.1.5" && !one.critical));
    std::fs::write(WORLD.path("responder.pem"), pem::certificate(responder.certificate())).expect("written");
    let path = WORLD.path("responder.pem");
    let (clean, text) = run("pkilint", pkilint("lint_pkix_cert"), &[&"lint", &"-s", &"WARNING", &path]);
    assert!(clean && text.trim().is_empty(), "{text}");
    let issuing = WORLD.path("issuing.pem");
    let chain = pkilint("lint_pkix_signer_signee_cert_chain");
    let (clean, text) = run("pkilint", chain, &[&"lint", &"-s", &"WARNING", &issuing, &path]);
    assert!(clean && text.trim().is_empty(), "{text}");
}

#[test]
fn openssl_reads_each_refusal() {
    let all = [
        (Refusal::MalformedRequest, "malformedrequest (1)"),
        (Refusal::InternalError, "internalerror (2)"),
        (Refusal::TryLater, "trylater (3)"),
        (Refusal::Unauthorized, "unauthorized (6)"),
    ];
    let path = WORLD.path("refusal.resp");
    for (why, said) in all {
        std::fs::write(&path, refusal(why)).expect("written");
        let (_, text) = run(OPENSSL, "openssl", &[&"ocsp", &"-respin", &path]);
        assert!(text.contains(said), "{text}");
    }
}

// ---- bytes by hand -----------------------------------------------------------------------------------------------------------------------

fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len();
    let mut out = vec![tag];
    match length {
        0..=0x7f => out.push(u8::try_from(length).expect("fits")),
        0x80..=0xff => out.extend_from_slice(&[0x81, u8::try_from(length).expect("fits")]),
        _ => out.extend_from_slice(&[0x82, u8::try_from(length >> 8).expect("fits"), (length & 0xff) as u8]),
    }
    out.extend_from_slice(content);
    out
}

fn cert_id(serial: &[u8]) -> Vec<u8> {
    let sha1 = [0x06, 0x05, 0x2b, 0x0e, 0x03, 0x02, 0x1a];
    let hash = tlv(4, &[7; 20]);
    tlv(0x30, &[tlv(0x30, &sha1), hash.clone(), hash, tlv(2, serial)].concat())
}

fn singles(count: usize) -> Vec<u8> {
    tlv(0x30, &tlv(0x30, &cert_id(&[5])).repeat(count))
}

/// Extensions with one of this kind; the nonce's is 2 (1.3.6.1.5.5.7.48.1.x).
fn extensions(kind: u8, critical: bool, value: &[u8]) -> Vec<u8> {
    let oid = tlv(6, &[0x2b, 6, 1, 5, 5, 7, 0x30, 1, kind]);
    let critical = if critical { tlv(1, &[0xff]) } else { vec![] };
    tlv(0xa2, &tlv(0x30, &tlv(0x30, &[oid, critical, tlv(4, value)].concat())))
}

fn request(parts: &[&[u8]]) -> Vec<u8> {
    tlv(0x30, &tlv(0x30, &parts.concat()))
}

fn nonce(length: usize) -> Vec<u8> {
    request(&[&singles(1), &extensions(2, false, &tlv(4, &vec![9; length]))])
}

#[test]
fn a_nonce_has_1_to_128_octets() {
    for length in [1, 32, 128] {
        assert_eq!(Request::parse(&nonce(length)).expect("readable").nonce.map(<[u8]>::len), Some(length));
    }
    for length in [0, 129, 200] {
        assert_eq!(Request::parse(&nonce(length)), Err(Malformed), "{length}");
    }
    let bare = request(&[&singles(1), &extensions(2, false, &[9; 16])]);
    assert_eq!(Request::parse(&bare), Err(Malformed), "it is an OCTET STRING");
}

#[test]
fn a_request_has_bounds() {
    assert_eq!(Request::parse(&request(&[&singles(MAX_CERTIFICATES)])).expect("readable").certificates.len(), 16);
    assert_eq!(Request::parse(&request(&[&singles(MAX_CERTIFICATES + 1)])), Err(Malformed));
    assert_eq!(Request::parse(&request(&[&singles(0)])), Err(Malformed));
    let long = request(&[&tlv(0xa1, &tlv(0x86, &vec![b'a'; MAX_REQUEST])), &singles(1)]);
    assert_eq!(Request::parse(&long), Err(Malformed));
    for serial in [&[][..], &[0, 5], &[0xff, 0x80], &[1; 22]] {
        let one = tlv(0x30, &tlv(0x30, &cert_id(serial)));
        assert_eq!(Request::parse(&request(&[&one])), Err(Malformed), "{serial:?}");
    }
}

#[test]
fn what_we_do_not_know_is_passed_over_unless_it_is_critical() {
    let name = tlv(0xa1, &tlv(0x86, b"http://someone.example"));
    let plain = request(&[&name, &singles(1), &extensions(4, false, &tlv(0x30, &[]))]);
    assert!(Request::parse(&plain).is_ok());
    let critical = request(&[&singles(1), &extensions(4, true, &tlv(0x30, &[]))]);
    assert_eq!(Request::parse(&critical), Err(Malformed));
    let signed = tlv(0x30, &[tlv(0x30, &singles(1)), tlv(0xa0, &tlv(0x30, &[]))].concat());
    assert!(Request::parse(&signed).is_ok(), "a signature is not looked at");
    let version = |n: u8| request(&[&tlv(0xa0, &tlv(2, &[n])), &singles(1)]);
    assert!(Request::parse(&version(0)).is_ok());
    assert_eq!(Request::parse(&version(1)), Err(Malformed));
    let mut trailing = request(&[&singles(1)]);
    trailing.push(0);
    assert_eq!(Request::parse(&trailing), Err(Malformed));
}

static GENUINE: LazyLock<Vec<u8>> = LazyLock::new(|| WORLD.request("genuine.req", &["-sha256"]));

proptest! {
    #[test]
    fn no_bytes_do_harm(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let _ = Request::parse(&bytes);
    }

    #[test]
    fn no_change_of_a_genuine_request_does_harm(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<prop::sample::Index>(),
        is_cut in any::<bool>(),
    ) {
        let mut bytes = GENUINE.clone();
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if is_cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        if let Ok(request) = Request::parse(&bytes) {
            // Whatever is read can be answered.
            let now = at(NOW);
            let single = |certificate| Single { certificate, status: Status::Unknown, this_update: now, next_update: now };
            let singles: Vec<_> = request.certificates.iter().map(|asked| single(asked.der)).collect();
            prop_assert!(RESPONDER.respond(&singles, now, request.nonce).is_ok());
        }
    }
}

static RESPONDER: LazyLock<tegata_pki::ocsp::Responder> = LazyLock::new(|| WORLD.authority.responder());
