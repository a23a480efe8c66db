//! Answers about certificates: what the register says, kept while it is so, and bounded for strangers. OpenSSL writes the requests and reads
//! the answers.

use std::path::Path;
use std::process::Command;

use tegata_authority::ocsp::{Answer, Ocsp};
use tegata_core::cert::RevocationReason;
use tegata_core::id::Serial;
use tegata_pki::ocsp::Refusal;
use tegata_pki::pem;

use crate::bed::{Bed, operator};

/// `openssl ocsp`, which comes in the Debian package openssl.
fn openssl(arguments: &[&str], file: &Path) -> String {
    let ran = Command::new("openssl").arg("ocsp").args(arguments).arg(file).output().expect("openssl runs");
    String::from_utf8_lossy(&[ran.stdout, ran.stderr].concat()).into_owned()
}

/// A request about these serials, in hex.
fn request(bed: &Bed, serials: &[&str], more: &[&str]) -> Vec<u8> {
    let issuing = bed.folder.path().join("issuing-for-openssl.pem");
    std::fs::write(&issuing, pem::certificate(bed.authority.ca().cert.der())).expect("written");
    let issuing = issuing.to_string_lossy().into_owned();
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

/// What OpenSSL reads in a signed answer.
fn read(bed: &Bed, answer: &Answer) -> String {
    let der = match answer {
        Answer::Kept(der, _) => der.to_vec(),
        Answer::Once(der) => der.clone(),
        Answer::Refused(why) => panic!("{why:?}"),
    };
    let path = bed.folder.path().join("answer.der");
    std::fs::write(&path, der).expect("written");
    openssl(&["-noverify", "-resp_text", "-respin"], &path)
}

fn kept(answer: &Answer) -> &[u8] {
    match answer {
        Answer::Kept(der, _) => der,
        other => panic!("not kept: {other:?}"),
    }
}

async fn responder(bed: &Bed) -> Ocsp {
    Ocsp::open(bed.authority.clone()).await.expect("a responder")
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
