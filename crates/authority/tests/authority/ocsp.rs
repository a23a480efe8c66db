//! Answers about certificates: what the register says, kept while it is so, and bounded for strangers. OpenSSL writes the requests and reads
//! the answers.

use std::path::{Path, PathBuf};
use std::process::Command;

use tegata_authority::custody::Passphrase;
use tegata_authority::elders;
use tegata_authority::ocsp::{Answer, Ocsp};
use tegata_core::cert::RevocationReason;
use tegata_core::id::Serial;
use tegata_core::peer::PeerCert;
use tegata_pki::issuer::IssuerCert;
use tegata_pki::ocsp::{Refusal, Request};
use tegata_pki::pem;

use crate::bed::{Bed, operator};

/// `openssl ocsp`, which comes in the Debian package openssl.
fn openssl(arguments: &[&str], file: &Path) -> String {
    let ran = Command::new("openssl").arg("ocsp").args(arguments).arg(file).output().expect("openssl runs");
    String::from_utf8_lossy(&[ran.stdout, ran.stderr].concat()).into_owned()
}

/// A request about these serials, in hex.
fn request(bed: &Bed, serials: &[&str], more: &[&str]) -> Vec<u8> {
    request_to(bed, &bed.authority.ca().cert, serials, more)
}

fn file_of(bed: &Bed, issuer: &IssuerCert) -> String {
    let path = bed.folder.path().join("issuing-for-openssl.pem");
    std::fs::write(&path, pem::certificate(issuer.der())).expect("written");
    path.to_string_lossy().into_owned()
}

fn request_to(bed: &Bed, issuer: &IssuerCert, serials: &[&str], more: &[&str]) -> Vec<u8> {
    let issuing = file_of(bed, issuer);
    let hex: Vec<String> = serials.iter().map(|serial| format!("0x{serial}")).collect();
    let mut arguments = more.to_vec();
    arguments.extend(["-issuer", &issuing]);
    arguments.extend(hex.iter().flat_map(|serial| ["-serial", serial]));
    arguments.push("-reqout");
    let out = bed.folder.path().join("request.der");
    openssl(&arguments, &out);
    std::fs::read(out).expect("openssl wrote it")
}

fn plain(bed: &Bed, serial: &str) -> Vec<u8> {
    request(bed, &[serial], &["-no_nonce"])
}

/// A signed answer in a file.
fn written(bed: &Bed, answer: &Answer) -> PathBuf {
    let der = match answer {
        Answer::Kept(der, _) => der.to_vec(),
        Answer::Once(der) => der.clone(),
        Answer::Refused(why) => panic!("{why:?}"),
    };
    let path = bed.folder.path().join("answer.der");
    std::fs::write(&path, der).expect("written");
    path
}

/// What OpenSSL reads in a signed answer.
fn read(bed: &Bed, answer: &Answer) -> String {
    openssl(&["-noverify", "-resp_text", "-respin"], &written(bed, answer))
}

/// What OpenSSL says of an answer about a certificate of `issuer`, signature, chain and times included, on the bed's day.
fn judged(bed: &Bed, issuer: &IssuerCert, serial: Serial, answer: &Answer) -> String {
    let (issuing, root) = (file_of(bed, issuer), bed.folder.path().join("root.pem"));
    let ran = Command::new("faketime") // Debian: faketime
        .arg(bed.now().to_string().trim_end_matches('Z').replace('T', " "))
        .env("TZ", "UTC")
        .args(["openssl", "ocsp", "-no_nonce", "-issuer", &issuing, "-serial", &format!("0x{serial}"), "-CAfile"])
        .arg(root)
        .arg("-respin")
        .arg(written(bed, answer))
        .output()
        .expect("faketime and openssl run");
    String::from_utf8_lossy(&[ran.stdout, ran.stderr].concat()).into_owned()
}

fn kept(answer: &Answer) -> &[u8] {
    match answer {
        Answer::Kept(der, _) => der,
        other => panic!("not kept: {other:?}"),
    }
}

async fn responder(bed: &Bed) -> Ocsp {
    let pass = Passphrase::new(b"a passphrase for tests".to_vec()).expect("long enough");
    let elders = elders::open(&bed.authority, bed.folder.path(), &pass).await.expect("the register answers");
    Ocsp::open(bed.authority.clone(), &bed.authority.with_elders(elders)).await.expect("a responder")
}

async fn own_serials(bed: &Bed) -> Vec<Serial> {
    let rows = bed.authority.reader().audit_rows(operator().scope(), None, 1000).await.expect("read");
    rows.iter().filter(|row| row.action == "server-certificate.issued").filter_map(|row| row.serial).collect()
}

const NEVER: &str = "20291122ABABABABABABABABABABABAB";

#[tokio::test]
async fn what_was_issued_is_good_and_what_was_not_is_unknown() {
    let bed = Bed::new().await;
    let ocsp = responder(&bed).await;
    bed.authority.issue_server(&["localhost".to_owned()]).await.expect("issued");
    let (_, cert) = bed.terminal(&bed.sunny, "受付1", 60).await;
    let own = own_serials(&bed).await;
    assert_eq!(own.len(), 2, "the listener's and the responder's");
    for serial in own.into_iter().chain([cert.serial]) {
        let answer = ocsp.answer(&plain(&bed, &serial.to_string())).await;
        kept(&answer);
        let text = read(&bed, &answer);
        assert!(text.contains("Cert Status: good"), "{text}");
        assert!(text.contains("This Update: Nov 22 23:20:00 2026 GMT"), "{text}");
        assert!(text.contains("Next Update: Nov 23 01:30:00 2026 GMT"), "{text}");
    }
    for serial in [NEVER, "05", "00", "7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF"] {
        let answer = ocsp.answer(&plain(&bed, serial)).await;
        assert!(matches!(answer, Answer::Once(_)), "of these there is no end: {answer:?}");
        let text = read(&bed, &answer);
        assert!(text.contains("Cert Status: unknown"), "{text}");
    }
    let several = request(&bed, &[&cert.serial.to_string(), NEVER], &["-sha256"]);
    let text = read(&bed, &ocsp.answer(&several).await);
    assert!(text.contains("Cert Status: good") && text.contains("Cert Status: unknown"), "{text}");
    assert!(text.contains("OCSP Nonce"), "{text}");
}

#[tokio::test]
async fn nobody_speaks_for_another_ca_or_about_rubbish() {
    let bed = Bed::new().await;
    let ocsp = responder(&bed).await;
    let mut foreign = plain(&bed, NEVER);
    let hash = foreign.windows(2).position(|two| two == [4, 20]).expect("the hash of the name") + 5;
    foreign[hash] ^= 1;
    assert!(matches!(ocsp.answer(&foreign).await, Answer::Refused(Refusal::Unauthorized)));
    assert!(matches!(ocsp.answer(b"rubbish").await, Answer::Refused(Refusal::MalformedRequest)));
}

#[tokio::test]
async fn a_revocation_is_answered_as_soon_as_it_is_heard_of() {
    let bed = Bed::new().await;
    let ocsp = responder(&bed).await;
    let (_, cert) = bed.terminal(&bed.sunny, "受付1", 60).await;
    let asked = plain(&bed, &cert.serial.to_string());
    let before = ocsp.answer(&asked).await;
    assert_eq!(kept(&ocsp.answer(&asked).await), kept(&before), "signed once");
    assert_eq!(kept(&ocsp.kept(&asked).expect("at hand")), kept(&before));
    bed.pass_days(1);
    let record = bed.identity(&cert).await.certificate;
    bed.authority.revoke(&operator(), &record, RevocationReason::KeyCompromise).await.expect("revoked");
    ocsp.heed(&[(cert.issuer, cert.serial)]);
    let text = read(&bed, &ocsp.answer(&asked).await);
    assert!(text.contains("Cert Status: revoked") && text.contains("keyCompromise"), "{text}");
    assert!(text.contains("Revocation Time: Nov 23 23:30:00 2026 GMT"), "{text}");
    assert!(text.contains("This Update: Nov 23 23:30:00 2026 GMT"), "not before it was so: {text}");
    let again = ocsp.answer(&request(&bed, &[&cert.serial.to_string()], &[])).await;
    assert!(read(&bed, &again).contains("Cert Status: revoked"), "with a nonce, too");
}

#[tokio::test]
async fn an_answer_is_signed_anew_before_it_ages_if_somebody_wants_it() {
    let bed = Bed::new().await;
    let ocsp = responder(&bed).await;
    let (_, wanted) = bed.terminal(&bed.sunny, "受付1", 60).await;
    let (_, unwanted) = bed.terminal(&bed.sunny, "受付2", 60).await;
    let wanted = plain(&bed, &wanted.serial.to_string());
    let unwanted = plain(&bed, &unwanted.serial.to_string());
    let first = ocsp.answer(&wanted).await;
    ocsp.answer(&wanted).await;
    ocsp.answer(&unwanted).await;
    bed.clock.set(bed.now().plus_seconds(3599));
    ocsp.tend().await.expect("tended");
    assert_eq!(kept(&ocsp.answer(&wanted).await), kept(&first), "not yet");
    bed.clock.set(bed.now().plus_seconds(1));
    ocsp.tend().await.expect("tended");
    let second = ocsp.kept(&wanted).expect("signed ahead");
    assert_ne!(kept(&second), kept(&first));
    bed.clock.set(bed.now().plus_seconds(3600));
    assert!(ocsp.kept(&unwanted).is_none(), "its time is over");
    assert!(ocsp.kept(&wanted).is_some());
    let Answer::Kept(_, freshness) = second else { panic!("kept") };
    assert_eq!(freshness.next_update.0 - freshness.produced_at.0, 7200);
    assert_eq!(freshness.refreshed_at.0 - freshness.produced_at.0, 3600);
}

#[tokio::test]
async fn without_the_register_kept_answers_go_on_until_their_end_and_no_longer() {
    let bed = Bed::new().await;
    let ocsp = responder(&bed).await;
    let (_, cert) = bed.terminal(&bed.sunny, "受付1", 60).await;
    let asked = plain(&bed, &cert.serial.to_string());
    let with_nonce = request(&bed, &[&cert.serial.to_string()], &[]);
    ocsp.answer(&asked).await;
    bed.authority.close().await;
    bed.clock.set(bed.now().plus_seconds(7199));
    kept(&ocsp.answer(&asked).await);
    let text = read(&bed, &ocsp.answer(&with_nonce).await);
    assert!(text.contains("Next Update: Nov 23 01:30:00 2026 GMT"), "a nonce makes nothing younger: {text}");
    assert!(matches!(ocsp.answer(&plain(&bed, NEVER)).await, Answer::Refused(Refusal::TryLater)));
    assert!(ocsp.tend().await.is_err(), "it says that nothing could be signed ahead");
    bed.clock.set(bed.now().plus_seconds(1));
    assert!(matches!(ocsp.answer(&asked).await, Answer::Refused(Refusal::TryLater)));
}

#[tokio::test]
async fn a_flood_is_told_to_come_later_and_takes_nothing_from_the_others() {
    let bed = Bed::new().await;
    let ocsp = responder(&bed).await;
    let (_, cert) = bed.terminal(&bed.sunny, "受付1", 60).await;
    let asked = plain(&bed, &cert.serial.to_string());
    ocsp.answer(&asked).await;
    // Sixteen at once, which cost one signature and sixteen of the budget.
    let flood = request(&bed, &["05"; 16], &["-no_nonce"]);
    let mut refused = false;
    for _ in 0..2000 {
        refused = matches!(ocsp.answer(&flood).await, Answer::Refused(Refusal::TryLater));
        if refused {
            break;
        }
    }
    assert!(refused, "no end of signing for a stranger");
    kept(&ocsp.answer(&asked).await);
    let with_nonce = request(&bed, &[&cert.serial.to_string()], &[]);
    let answer = ocsp.answer(&with_nonce).await;
    assert!(!matches!(answer, Answer::Refused(_)), "the kept answer without a nonce, or one with it");
}

#[tokio::test]
async fn a_responder_is_replaced_in_time() {
    let bed = Bed::new().await;
    let ocsp = responder(&bed).await;
    let (_, cert) = bed.terminal(&bed.sunny, "受付1", 60).await;
    let asked = plain(&bed, &cert.serial.to_string());
    bed.clock.set(bed.now().plus_seconds(4 * 86_400 - 1));
    ocsp.tend().await.expect("tended");
    assert_eq!(bed.count("server-certificate.issued").await, 1);
    bed.clock.set(bed.now().plus_seconds(1));
    ocsp.tend().await.expect("tended");
    assert_eq!(bed.count("server-certificate.issued").await, 2);
    bed.pass_days(6);
    kept(&ocsp.answer(&asked).await);
    bed.pass_days(1);
    bed.clock.set(bed.now().plus_seconds(1));
    let asked = plain(&bed, NEVER);
    let answer = ocsp.answer(&asked).await;
    assert!(
        matches!(answer, Answer::Refused(Refusal::InternalError)),
        "never with a certificate that is past: {answer:?}"
    );
}

/// A certificate of the CA that signed first, and after a roll-over one of the CA that signs now.
async fn rolled_over() -> (Bed, (IssuerCert, PeerCert), (IssuerCert, PeerCert)) {
    let bed = Bed::new().await;
    let sunny = bed.sunny.clone();
    let old = bed.authority.ca().cert.clone();
    let (_, before) = bed.terminal(&sunny, "受付1", 600).await;
    bed.pass_days(1);
    let new = bed.roll_over().await;
    let bed = bed.restarted().await;
    let (_, after) = bed.terminal(&sunny, "受付2", 600).await;
    (bed, (old, before), (new, after))
}

#[tokio::test]
async fn after_a_roll_over_each_ca_answers_for_its_own_certificates() {
    let (bed, (old, before), (new, after)) = rolled_over().await;
    let ocsp = responder(&bed).await;
    let ask = |issuer: &IssuerCert, cert: &PeerCert, more: &[&str]| {
        request_to(&bed, issuer, &[&cert.serial.to_string()], &[&["-no_nonce"], more].concat())
    };
    for (issuer, other, cert) in [(&old, &new, &before), (&new, &old, &after)] {
        for hash in ["-sha1", "-sha256"] {
            let answer = ocsp.answer(&ask(issuer, cert, &[hash])).await;
            assert_eq!(kept(&ocsp.kept(&ask(issuer, cert, &[hash])).expect("at hand")), kept(&answer));
        }
        let answer = ocsp.answer(&ask(issuer, cert, &[])).await;
        let said = judged(&bed, issuer, cert.serial, &answer);
        assert!(said.contains("Response verify OK") && said.contains(": good"), "{said}");
        let said = judged(&bed, other, cert.serial, &answer);
        assert!(!said.contains(": good"), "no answer speaks for the other CA: {said}");
        // The same number under the other CA was never issued.
        let text = read(&bed, &ocsp.answer(&ask(other, cert, &[])).await);
        assert!(text.contains("Cert Status: unknown"), "{text}");
    }
    let record = bed.identity(&before).await.certificate;
    bed.authority.revoke(&operator(), &record, RevocationReason::KeyCompromise).await.expect("revoked");
    ocsp.heed(&[(before.issuer, before.serial)]);
    let said = judged(&bed, &old, before.serial, &ocsp.answer(&ask(&old, &before, &[])).await);
    assert!(said.contains("Response verify OK") && said.contains(": revoked"), "{said}");
    assert!(said.contains("Reason: keyCompromise"), "{said}");
    let said = judged(&bed, &new, after.serial, &ocsp.answer(&ask(&new, &after, &[])).await);
    assert!(said.contains(": good"), "{said}");
}

#[tokio::test]
async fn one_request_about_two_cas_is_refused() {
    let (bed, (old, before), (_, after)) = rolled_over().await;
    let ocsp = responder(&bed).await;
    let (first, second) = (before.serial.to_string(), after.serial.to_string());
    let old = file_of(&bed, &old);
    let old_too = bed.folder.path().join("old.pem").to_string_lossy().into_owned();
    std::fs::copy(old, &old_too).expect("copied");
    // OpenSSL takes each serial under the issuer before it.
    let mixed = request(&bed, &[&second], &["-no_nonce", "-issuer", &old_too, "-serial", &format!("0x{first}")]);
    let read = Request::parse(&mixed).expect("readable");
    assert_eq!(read.certificates.len(), 2);
    assert_ne!(read.certificates[0].issuer_key_hash, read.certificates[1].issuer_key_hash);
    assert!(matches!(ocsp.answer(&mixed).await, Answer::Refused(Refusal::Unauthorized)));
    assert!(ocsp.kept(&mixed).is_none());
}

#[tokio::test]
async fn a_key_that_was_taken_away_keeps_only_its_own_ca_from_answering() {
    let (bed, (old, before), (new, after)) = rolled_over().await;
    let key = bed.folder.path().join(elders::key_file(&old));
    let ask =
        |issuer: &IssuerCert, cert: &PeerCert| request_to(&bed, issuer, &[&cert.serial.to_string()], &["-no_nonce"]);
    let check = async |why: &str| {
        let ocsp = responder(&bed).await;
        let answer = ocsp.answer(&ask(&old, &before)).await;
        assert!(matches!(answer, Answer::Refused(Refusal::Unauthorized)), "{why}: {answer:?}");
        kept(&ocsp.answer(&ask(&new, &after)).await);
    };
    std::fs::copy(bed.folder.path().join("issuing.sealed"), &key).expect("written");
    check("the key of another CA").await;
    std::fs::write(&key, "rubbish").expect("written");
    check("rubbish").await;
    std::fs::remove_file(&key).expect("removed");
    check("nothing").await;
}

#[tokio::test]
async fn an_earlier_ca_has_its_responder_replaced_and_falls_silent_at_its_end() {
    let (bed, (old, before), (new, after)) = rolled_over().await;
    let ocsp = responder(&bed).await;
    let ask =
        |issuer: &IssuerCert, cert: &PeerCert| request_to(&bed, issuer, &[&cert.serial.to_string()], &["-no_nonce"]);
    let made = bed.count("server-certificate.issued").await;
    bed.pass_days(4);
    ocsp.tend().await.expect("tended");
    assert_eq!(bed.count("server-certificate.issued").await, made + 2, "one for each");
    bed.pass_days(4);
    let said = judged(&bed, &old, before.serial, &ocsp.answer(&ask(&old, &before)).await);
    assert!(said.contains("Response verify OK") && said.contains(": good"), "{said}");

    let end = old.validity().not_after;
    bed.clock.set(end.plus_seconds(-60));
    let ocsp = responder(&bed).await;
    let last = ocsp.answer(&ask(&old, &before)).await;
    let Answer::Kept(_, freshness) = last else { panic!("kept") };
    assert_eq!(freshness.next_update, end, "nobody relies on it any longer than on the CA");
    assert!(ocsp.kept(&ask(&old, &before)).is_some());
    bed.clock.set(end.plus_seconds(1));
    ocsp.tend().await.expect("the other CA is looked after");
    assert!(matches!(ocsp.answer(&ask(&old, &before)).await, Answer::Refused(Refusal::Unauthorized)));
    kept(&ocsp.answer(&ask(&new, &after)).await);
    let restarted = responder(&bed).await;
    assert!(matches!(restarted.answer(&ask(&old, &before)).await, Answer::Refused(Refusal::Unauthorized)));
}
