//! EST as a program sees it (RFC 7030): who gets a certificate, for which names, how often, and what is said to everybody else.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::{Method, StatusCode};
use tegata_core::audit::Action;
use tegata_core::cert::{CertRecord, RevocationReason};
use tegata_core::peer::{PeerState, Presented};
use tegata_core::profile::{KeyKind, Purpose};
use tegata_core::time::{Clock, Days};
use tegata_pki::key::LeafKey;
use tegata_pki::{csr, pkcs7};
use tegata_store::Audience;

use crate::deployment::{Answer, Browser, Deployment};

const ENROLL: &str = "/.well-known/est/simpleenroll";
const REENROLL: &str = "/.well-known/est/simplereenroll";
const SERVER_KEY: &str = "/.well-known/est/serverkeygen";
const AGENT_ENROLL: &str = "/.well-known/est/agent/simpleenroll";
const AGENT_REENROLL: &str = "/.well-known/est/agent/simplereenroll";

pub fn key() -> LeafKey {
    LeafKey::generate(KeyKind::P256).expect("generated")
}

async fn der(place: &Deployment, cert: &CertRecord) -> Vec<u8> {
    let found = place.authority.reader().certificate_der(place.operator.scope(), cert.id).await;
    found.expect("readable").expect("there")
}

/// A request for a key and the names of a certificate's terminal, as one of that purpose.
pub async fn for_names_of(place: &Deployment, key: &LeafKey, cert: &CertRecord, purpose: Purpose) -> Vec<u8> {
    let san = cert.terminal.san_uri(purpose).expect("terminals have one");
    csr::build_for(key, &der(place, cert).await, &san).expect("built")
}

/// How renewal information names a certificate.
pub fn named(place: &Deployment, cert: &CertRecord) -> String {
    let issuer = place.authority.ca().cert.key_identifier().to_vec();
    format!("{}.{}", URL_SAFE_NO_PAD.encode(issuer), URL_SAFE_NO_PAD.encode(cert.serial.as_bytes()))
}

/// Sends a request.
pub async fn enroll(program: &mut Browser, path: &str, request: &[u8]) -> Answer {
    send(program, path, STANDARD.encode(request).as_bytes(), &[]).await
}

async fn send(program: &mut Browser, path: &str, body: &[u8], headers: &[(&str, &str)]) -> Answer {
    let more = [&[("content-type", "application/pkcs10"), ("user-agent", "curl/7.88.1")][..], headers].concat();
    program.send(Method::POST, path, Some(body.to_vec()), &more).await
}

/// The one certificate of an answer.
pub fn issued(answer: &Answer) -> Vec<u8> {
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    assert_eq!(answer.header("content-type"), "application/pkcs7-mime; smime-type=certs-only");
    let text: String = answer.text().split_ascii_whitespace().collect();
    let list = pkcs7::certificates(&STANDARD.decode(text).expect("base64")).expect("certs-only");
    let [one] = list.try_into().expect("only the certificate that was issued (RFC 7030 section 4.2.3)");
    one
}

async fn record(place: &Deployment, der: &[u8]) -> CertRecord {
    let fingerprint = tegata_pki::issuer::fingerprint(der);
    let found = place.authority.reader().certificate(place.operator.scope(), fingerprint).await;
    found.expect("readable").expect("a certificate that leaves has its row")
}

/// An agent's identity for the terminal of a certificate.
pub async fn agent(place: &Deployment, cert: &CertRecord) -> CertRecord {
    let request = csr::build(&key(), "agent").expect("built");
    let answer = enroll(&mut place.browser(cert), AGENT_ENROLL, &request).await;
    record(place, &issued(&answer)).await
}

fn code_of(answer: &Answer) -> String {
    let document: serde_json::Value = serde_json::from_slice(&answer.body).expect("a problem document");
    document["code"].as_str().expect("a code").to_owned()
}

async fn logged(place: &Deployment, action: Action) -> usize {
    let scope = place.operator.scope();
    let rows = place.authority.reader().audit_rows(scope, None, 500).await.expect("readable");
    rows.iter().filter(|row| row.action == action.as_str()).count()
}

#[tokio::test]
async fn a_due_terminal_renews_with_its_own_key_and_with_another_and_its_names_stay() {
    let place = Deployment::new().await;
    let mut program = place.browser(&place.due);
    let key = key();
    let request = for_names_of(&place, &key, &place.due, Purpose::Client).await;
    let first = issued(&enroll(&mut program, REENROLL, &request).await);
    let new = record(&place, &first).await;
    assert_eq!((new.terminal, new.profile.as_str()), (place.due.terminal, "terminal"));
    assert_eq!(new.renewed_from, Some(place.due.id));
    assert!(new.not_after > place.due.not_after.plus_days(Days(3 * 365)), "no day is lost: {}", new.not_after);
    let read = csr::parse(&request).expect("readable");
    let san = place.due.terminal.san_uri(Purpose::Client).expect("has one");
    assert_eq!(read.asks_for(&first, &san), Ok(()), "the new one has the old one's names");
    // The same key again when that one is due: renewed, not rekeyed.
    place.clock.set(new.not_after.plus_days(Days(-30)));
    let mut program = place.browser(&new);
    let second = issued(&enroll(&mut program, REENROLL, &request).await);
    assert_ne!(second, first);
    assert!(record(&place, &second).await.not_after > new.not_after);
}

#[tokio::test]
async fn an_answer_that_got_lost_costs_nothing() {
    let place = Deployment::new().await;
    let mut program = place.browser(&place.due);
    let request = for_names_of(&place, &key(), &place.due, Purpose::Client).await;
    let first = issued(&enroll(&mut program, REENROLL, &request).await);
    for _ in 0..3 {
        assert_eq!(issued(&enroll(&mut program, REENROLL, &request).await), first);
    }
    let (one, two) = (&mut program.clone(), &mut program.clone());
    let twice = tokio::join!(enroll(one, REENROLL, &request), enroll(two, REENROLL, &request));
    assert_eq!((issued(&twice.0), issued(&twice.1)), (first.clone(), first.clone()));
    // The agent asks for it, too: what was made for this key is not "too early".
    let mut agent = place.browser(&agent(&place, &place.due).await);
    assert_eq!(issued(&enroll(&mut agent, REENROLL, &request).await), first);
    // A day later the same key is renewed, not repeated.
    place.clock.set(place.clock.now().plus_seconds(86_401));
    assert_ne!(issued(&enroll(&mut program, REENROLL, &request).await), first);
}

#[tokio::test]
async fn other_names_than_the_certificates_are_refused_and_the_answer_says_which_are_right() {
    let place = Deployment::new().await;
    let mut program = place.browser(&place.due);
    let nameless = csr::build(&key(), "JP_u00000001_client0001").expect("built");
    let answer = enroll(&mut program, REENROLL, &nameless).await;
    assert_eq!((answer.status, code_of(&answer).as_str()), (StatusCode::BAD_REQUEST, "names-differ"));
    assert!(answer.text().contains("CN=JP_u00000001_client0001"), "{}", answer.text());
    let theirs = for_names_of(&place, &key(), &place.other, Purpose::Client).await;
    assert_eq!(enroll(&mut program, REENROLL, &theirs).await.status, StatusCode::BAD_REQUEST);
    let agents = for_names_of(&place, &key(), &place.due, Purpose::Agent).await;
    let answer = enroll(&mut program, REENROLL, &agents).await;
    assert!(answer.text().contains("https://terminal.tegata.internal/"), "{}", answer.text());
}

#[tokio::test]
async fn bodies_are_base64_in_lines_or_not_and_everything_else_is_refused_with_a_reason() {
    let place = Deployment::new().await;
    let mut program = place.browser(&place.due);
    let request = for_names_of(&place, &key(), &place.due, Purpose::Client).await;
    let text = STANDARD.encode(&request);
    let wrapped = |end: &str| text.as_bytes().chunks(64).map(String::from_utf8_lossy).collect::<Vec<_>>().join(end);
    let first = issued(&send(&mut program, REENROLL, text.as_bytes(), &[]).await);
    for body in [wrapped("\n"), wrapped("\r\n") + "\r\n"] {
        assert_eq!(issued(&send(&mut program, REENROLL, body.as_bytes(), &[]).await), first);
    }
    let refused = |body: Vec<u8>| {
        let mut program = program.clone();
        async move { send(&mut program, REENROLL, &body, &[]).await }
    };
    let pem = format!("-----BEGIN CERTIFICATE REQUEST-----\n{}\n-----END CERTIFICATE REQUEST-----\n", wrapped("\n"));
    for wrong in [vec![], request.clone(), b"hello".to_vec(), pem.into_bytes(), text.as_bytes()[..200].to_vec()] {
        let answer = refused(wrong).await;
        assert_eq!((answer.status, code_of(&answer).as_str()), (StatusCode::BAD_REQUEST, "bad-request"));
    }
    let mut forged = request.clone();
    let last = forged.len() - 1;
    forged[last] ^= 1;
    let answer = refused(STANDARD.encode(forged).into_bytes()).await;
    assert!(answer.text().contains("proof of possession"), "{}", answer.text());
    assert_eq!(refused(vec![b'A'; 40_000]).await.status, StatusCode::PAYLOAD_TOO_LARGE);
    let other_kind = [("content-type", "text/plain")];
    let answer = program.send(Method::POST, REENROLL, None, &other_kind).await;
    assert_eq!(answer.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let rsa = LeafKey::generate(KeyKind::Rsa2048).expect("generated");
    let rsa = for_names_of(&place, &rsa, &place.due, Purpose::Client).await;
    assert_eq!(code_of(&enroll(&mut program, REENROLL, &rsa).await), "key-kind");
}

#[tokio::test]
async fn who_reads_one_line_only_gets_one_line() {
    let place = Deployment::new().await;
    let mut nobody = place.visitor(Presented::None, PeerState::None);
    let ask = [("user-agent", "curl/7.88.1")];
    let lines = nobody.send(Method::GET, "/.well-known/est/cacerts", None, &ask).await.text();
    assert!(lines.lines().count() > 5 && lines.lines().all(|line| line.len() <= 76));
    let one = nobody.get("/.well-known/est/cacerts").await.text();
    assert_eq!(one.lines().count(), 1);
    assert_eq!(lines.split_ascii_whitespace().collect::<String>(), one);
    let list = pkcs7::certificates(&STANDARD.decode(one).expect("base64")).expect("certs-only");
    assert_eq!(list.len(), 2, "the root and the issuing CA");
}

/// An invitation's code for the terminal of a certificate.
async fn invite(place: &Deployment, cert: &CertRecord, approval: bool) -> String {
    let terminal = place.authority.reader().terminal(place.operator.scope(), cert.terminal).await;
    let terminal = terminal.expect("readable").expect("there");
    let made = place.authority.invite(&place.operator, &terminal, 60, approval).await.expect("invited");
    made.code.spoken().expose().clone()
}

pub async fn with_code(program: &mut Browser, path: &str, request: &[u8], code: &str) -> Answer {
    let authorization = format!("Basic {}", STANDARD.encode(format!("enroll:{code}")));
    send(program, path, STANDARD.encode(request).as_bytes(), &[("authorization", &authorization)]).await
}

#[tokio::test]
async fn a_code_gets_a_terminal_without_a_certificate_its_first_one_and_one_key_alone() {
    let place = Deployment::new().await;
    let mut nobody = place.visitor(Presented::None, PeerState::None);
    let request = csr::build(&key(), "anything").expect("built");
    let answer = enroll(&mut nobody, ENROLL, &request).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert!(answer.header("www-authenticate").starts_with("Basic "));
    let code = invite(&place, &place.fresh, false).await;
    let first = issued(&with_code(&mut nobody, ENROLL, &request, &code).await);
    assert_eq!(record(&place, &first).await.terminal, place.fresh.terminal);
    assert_eq!(issued(&with_code(&mut nobody, ENROLL, &request, &code.to_lowercase()).await), first, "asked again");
    let other = csr::build(&key(), "anything").expect("built");
    let answer = with_code(&mut nobody, ENROLL, &other, &code).await;
    assert_eq!((answer.status, code_of(&answer).as_str()), (StatusCode::FORBIDDEN, "code-used"));
    place.clock.set(place.clock.now().plus_seconds(3601));
    assert_eq!(code_of(&with_code(&mut nobody, ENROLL, &request, &code).await), "code-lapsed");
    // A later code ends an earlier one; an agent's identity comes by code as well.
    let (earlier, later) = (invite(&place, &place.fresh, false).await, invite(&place, &place.fresh, false).await);
    assert_eq!(code_of(&with_code(&mut nobody, AGENT_ENROLL, &other, &earlier).await), "wrong-code");
    let agent = issued(&with_code(&mut nobody, AGENT_ENROLL, &other, &later).await);
    assert_eq!(record(&place, &agent).await.profile, "agent");
    // Re-enrolling takes a certificate, not a code.
    assert_eq!(with_code(&mut nobody, REENROLL, &other, &later).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn guessing_a_code_ends_it_after_five_tries_and_an_address_after_thirty() {
    let place = Deployment::new().await;
    let mut nobody = place.visitor(Presented::None, PeerState::None);
    let request = csr::build(&key(), "anything").expect("built");
    let code = invite(&place, &place.fresh, false).await;
    let wrong = format!("{}{}", &code[..5], if code.ends_with("0000") { "1111" } else { "0000" });
    for _ in 0..5 {
        assert_eq!(code_of(&with_code(&mut nobody, ENROLL, &request, &wrong).await), "wrong-code");
    }
    assert_eq!(code_of(&with_code(&mut nobody, ENROLL, &request, &code).await), "code-lapsed", "even the right one");
    assert_eq!(logged(&place, Action::InvitationRefused).await, 5);
    for _ in 0..24 {
        assert_eq!(with_code(&mut nobody, ENROLL, &request, "ZZZZ-ZZZZ").await.status, StatusCode::UNAUTHORIZED);
    }
    let answer = with_code(&mut nobody, ENROLL, &request, "ZZZZ-ZZZZ").await;
    assert_eq!((answer.status, answer.header("retry-after")), (StatusCode::TOO_MANY_REQUESTS, "60"));
    for broken in ["Basic !", "Basic", "Bearer abc", "Basic bm9jb2xvbg=="] {
        let body = STANDARD.encode(&request);
        let answer = send(&mut nobody, ENROLL, body.as_bytes(), &[("authorization", broken)]).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{broken}");
    }
}

#[tokio::test]
async fn where_the_operator_has_the_last_word_the_program_waits_for_it() {
    let place = Deployment::new().await;
    let mut nobody = place.visitor(Presented::None, PeerState::None);
    let request = csr::build(&key(), "anything").expect("built");
    let code = invite(&place, &place.fresh, true).await;
    let selector = &code[..4];
    assert!(place.authority.decide(&place.operator, selector, true).await.is_err(), "nobody has asked yet");
    for _ in 0..2 {
        let answer = with_code(&mut nobody, ENROLL, &request, &code).await;
        assert_eq!((answer.status, answer.header("retry-after")), (StatusCode::ACCEPTED, "60"), "{}", answer.text());
    }
    assert_eq!(logged(&place, Action::EnrollmentRequested).await, 1);
    // The code's own hour may pass while the operator thinks.
    place.clock.set(place.clock.now().plus_seconds(2 * 86_400));
    place.authority.decide(&place.operator, selector, true).await.expect("approved");
    issued(&with_code(&mut nobody, ENROLL, &request, &code).await);
    let code = invite(&place, &place.fresh, true).await;
    with_code(&mut nobody, ENROLL, &request, &code).await;
    place.authority.decide(&place.operator, &code[..4], false).await.expect("refused");
    let answer = with_code(&mut nobody, ENROLL, &request, &code).await;
    assert_eq!((answer.status, code_of(&answer).as_str()), (StatusCode::FORBIDDEN, "enrollment-refused"));
}

#[tokio::test]
async fn an_agent_renews_what_has_expired_and_nothing_that_is_revoked() {
    let place = Deployment::new().await;
    let agent = agent(&place, &place.due).await;
    place.clock.set(place.due.not_after.plus_seconds(1));
    let request = for_names_of(&place, &key(), &place.due, Purpose::Client).await;
    let answer = enroll(&mut place.browser(&place.due), REENROLL, &request).await;
    assert_eq!(code_of(&answer), "expired-certificate");
    let new = issued(&enroll(&mut place.browser(&agent), REENROLL, &request).await);
    let new = record(&place, &new).await;
    assert_eq!((new.profile.as_str(), new.renewed_from), ("terminal", Some(agent.id)));
    // Its own identity is renewed by itself, inside its own window.
    let own = for_names_of(&place, &key(), &agent, Purpose::Agent).await;
    assert_eq!(code_of(&enroll(&mut place.browser(&agent), AGENT_REENROLL, &own).await), "too-early");
    place.clock.set(agent.not_after.plus_days(Days(-89)));
    let next = issued(&enroll(&mut place.browser(&agent), AGENT_REENROLL, &own).await);
    assert_eq!(record(&place, &next).await.profile, "agent");
    place.revoke(&agent).await;
    let mut revoked = place.browser(&agent);
    let answer = enroll(&mut revoked, AGENT_REENROLL, &own).await;
    assert_eq!(code_of(&answer), "revoked-certificate", "even before the gate has heard of it");
}

#[tokio::test]
async fn a_key_that_we_make_comes_with_its_certificate_and_again_when_asked_again() {
    let place = Deployment::new().await;
    let mut program = place.browser(&place.due);
    let request = for_names_of(&place, &key(), &place.due, Purpose::Client).await;
    let parts = |answer: &Answer| {
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        let (_, boundary) = answer.header("content-type").split_once("boundary=").expect("a boundary");
        let text = answer.text();
        let parts: Vec<(String, Vec<u8>)> = text
            .split(&format!("--{boundary}"))
            .filter_map(|part| part.split_once("\r\n\r\n"))
            .map(|(head, body)| (head.to_owned(), STANDARD.decode(body.trim()).expect("base64")))
            .collect();
        assert!(parts[0].0.contains("application/pkcs8") && parts[1].0.contains("smime-type=certs-only"), "{text}");
        let [cert] = pkcs7::certificates(&parts[1].1).expect("certs-only").try_into().expect("one");
        (LeafKey::from_pkcs8(&parts[0].1).expect("a key"), cert)
    };
    let (first, cert) = parts(&enroll(&mut program, SERVER_KEY, &request).await);
    let public = first.public_key().spki_der();
    assert!(cert.windows(public.len()).any(|part| part == public), "the key is the certificate's");
    let (again, _) = parts(&enroll(&mut program, SERVER_KEY, &request).await);
    assert_eq!(again.pkcs8().expose(), first.pkcs8().expose());
    assert_eq!(logged(&place, Action::BundleDownloaded).await, 2);
    let theirs = for_names_of(&place, &key(), &place.other, Purpose::Client).await;
    assert_eq!(code_of(&enroll(&mut program, SERVER_KEY, &theirs).await), "names-differ");
}

#[tokio::test]
async fn a_terminals_programs_get_so_many_certificates_a_day_and_no_more() {
    let place = Deployment::new().await;
    let mut agent = place.browser(&agent(&place, &place.due).await);
    let mut last = StatusCode::OK;
    for number in 0..24 {
        let request = csr::build(&key(), "store").expect("built");
        let answer = enroll(&mut agent, ENROLL, &request).await;
        last = answer.status;
        if last != StatusCode::OK {
            assert_eq!(code_of(&answer), "too-many-certificates");
            assert!(number >= 21, "after {number}");
            break;
        }
    }
    assert_eq!(last, StatusCode::TOO_MANY_REQUESTS);
    place.clock.set(place.clock.now().plus_seconds(86_401));
    issued(&enroll(&mut agent, ENROLL, &csr::build(&key(), "store").expect("built")).await);
}

#[tokio::test]
async fn programs_learn_when_to_renew_and_the_operator_can_move_it() {
    let place = Deployment::new().await;
    let path = format!("/.well-known/est/renewal-info/{}", named(&place, &place.fresh));
    let mut program = place.browser(&place.fresh);
    let answer = program.get(&path).await;
    assert_eq!((answer.status, answer.header("retry-after")), (StatusCode::OK, "21600"));
    let info: serde_json::Value = serde_json::from_slice(&answer.body).expect("JSON");
    let opens = place.fresh.not_after.plus_days(Days(-90));
    assert_eq!(info["suggestedWindow"]["start"], opens.to_string());
    assert_eq!(info["suggestedWindow"]["end"], opens.plus_days(Days(45)).to_string());
    assert!(info.get("explanationURL").is_none(), "a string, or not there at all");
    let other = path.replace("renewal-info/", "renewal-info/x");
    assert_eq!(program.get(&other).await.status, StatusCode::NOT_FOUND, "another issuer's key");
    let request = for_names_of(&place, &key(), &place.fresh, Purpose::Client).await;
    assert_eq!(code_of(&enroll(&mut program, REENROLL, &request).await), "too-early");
    let until = place.clock.now().plus_seconds(3600);
    let url = Some("https://status.example.jp/1".to_owned());
    let other = Audience::Customer(place.other.customer);
    place.authority.advise(&place.operator, other, until, None).await.expect("advised");
    assert_eq!(code_of(&enroll(&mut program, REENROLL, &request).await), "too-early", "another customer is meant");
    let row = place.authority.advise(&place.operator, Audience::Everybody, until, url).await.expect("advised");
    let info: serde_json::Value = serde_json::from_slice(&program.get(&path).await.body).expect("JSON");
    assert_eq!(info["suggestedWindow"]["end"], until.to_string());
    assert_eq!(info["explanationURL"], "https://status.example.jp/1");
    place.clock.set(place.clock.now().plus_seconds(60));
    let new = record(&place, &issued(&enroll(&mut program, REENROLL, &request).await)).await;
    let request = for_names_of(&place, &key(), &new, Purpose::Client).await;
    let answer = enroll(&mut place.browser(&new), REENROLL, &request).await;
    assert_eq!(code_of(&answer), "too-early", "once is enough");
    place.authority.withdraw_advice(&place.operator, row.id).await.expect("withdrawn");
    let request = for_names_of(&place, &key(), &place.fresh, Purpose::Client).await;
    assert_eq!(code_of(&enroll(&mut program, REENROLL, &request).await), "too-early");
    assert_eq!(logged(&place, Action::RenewalAdvised).await, 3);
}

#[tokio::test]
async fn two_lines_of_one_terminal_raise_an_alarm_and_lock_nobody() {
    let place = Deployment::new().await;
    let mut program = place.browser(&place.due);
    let mine = for_names_of(&place, &key(), &place.due, Purpose::Client).await;
    let mine = record(&place, &issued(&enroll(&mut program, REENROLL, &mine).await)).await;
    place.used(&place.browser(&mine)).await;
    assert_eq!(logged(&place, Action::CloneSuspected).await, 0, "one line is as it should be");
    // Somebody who copied the old certificate renews it as well: told at once, and again when that one is used.
    let theirs = for_names_of(&place, &key(), &place.due, Purpose::Client).await;
    let theirs = record(&place, &issued(&enroll(&mut program, REENROLL, &theirs).await)).await;
    assert_eq!(logged(&place, Action::CloneSuspected).await, 1);
    place.used(&place.browser(&theirs)).await;
    assert_eq!(logged(&place, Action::CloneSuspected).await, 2);
    for cert in [&mine, &theirs] {
        assert_eq!(place.browser(cert).get("/api/v1/certificate").await.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn an_agent_with_several_stores_is_no_copy_and_neither_are_their_renewals() {
    let place = Deployment::new().await;
    let agent = agent(&place, &place.due).await;
    place.used(&place.browser(&agent)).await;
    let mut stores = Vec::new();
    for _ in 0..3 {
        let request = csr::build(&key(), "store").expect("built");
        let store = issued(&enroll(&mut place.browser(&agent), ENROLL, &request).await);
        stores.push(record(&place, &store).await);
        place.used(&place.browser(&stores[stores.len() - 1])).await;
        place.clock.set(place.clock.now().plus_seconds(60));
    }
    place.clock.set(stores[0].not_after.plus_days(Days(-60)));
    for store in &stores {
        let request = for_names_of(&place, &key(), store, Purpose::Client).await;
        let next = record(&place, &issued(&enroll(&mut place.browser(store), REENROLL, &request).await)).await;
        assert_eq!(next.line, store.line);
        place.used(&place.browser(&next)).await;
    }
    assert_eq!(logged(&place, Action::CloneSuspected).await, 0);
}

#[tokio::test]
async fn a_browser_beside_an_agent_is_reminded_as_ever() {
    let place = Deployment::new().await;
    let agent = agent(&place, &place.due).await;
    place.used(&place.browser(&agent)).await;
    let store = issued(&enroll(&mut place.browser(&agent), ENROLL, &csr::build(&key(), "store").expect("built")).await);
    place.used(&place.browser(&record(&place, &store).await)).await;
    let menu = place.browser(&place.due).log_in(crate::deployment::USER).await.text();
    assert!(menu.contains("action=\"/renewal\""), "the dialog is there: {menu}");
}

#[tokio::test]
async fn a_compromised_key_ends_the_agent_that_would_replace_it() {
    let place = Deployment::new().await;
    let agent = agent(&place, &place.due).await;
    let store = issued(&enroll(&mut place.browser(&agent), ENROLL, &csr::build(&key(), "store").expect("built")).await);
    let store = record(&place, &store).await;
    let compromised = RevocationReason::KeyCompromise;
    let revoked = place.authority.revoke(&place.operator, &store, compromised).await.expect("revoked");
    assert!(revoked.contains(&store.serial) && revoked.contains(&agent.serial), "{revoked:?}");
    let answer = enroll(&mut place.browser(&agent), ENROLL, &csr::build(&key(), "store").expect("built")).await;
    assert_eq!(code_of(&answer), "revoked-certificate");
}

#[tokio::test]
async fn a_program_sees_which_certificate_arrived() {
    let place = Deployment::new().await;
    let agent = agent(&place, &place.due).await;
    for (cert, kind) in [(&place.due, "terminal"), (&agent, "agent")] {
        let answer = place.browser(cert).get("/api/v1/certificate").await;
        let shown: serde_json::Value = serde_json::from_slice(&answer.body).expect("JSON");
        assert_eq!((shown["kind"].as_str(), shown["serial"].as_str()), (Some(kind), Some(&*cert.serial.to_string())));
        assert_eq!(shown["terminal"]["name"], "受付1");
    }
}

#[tokio::test]
async fn a_code_gets_one_certificate_of_a_kind_and_no_other_after_it_was_revoked() {
    for reason in [RevocationReason::Unspecified, RevocationReason::Superseded, RevocationReason::KeyCompromise] {
        let place = Deployment::new().await;
        let (key, mut nobody) = (key(), place.visitor(Presented::None, PeerState::None));
        let request = csr::build(&key, "x").expect("built");
        let code = invite(&place, &place.fresh, true).await;
        with_code(&mut nobody, ENROLL, &request, &code).await;
        place.authority.decide(&place.operator, &code[..4], true).await.expect("approved");
        let first = issued(&with_code(&mut nobody, ENROLL, &request, &code).await);
        place.clock.set(place.clock.now().plus_days(Days(2)));
        assert_eq!(issued(&with_code(&mut nobody, ENROLL, &request, &code).await), first, "another day, the same");
        place.authority.revoke(&place.operator, &record(&place, &first).await, reason).await.expect("revoked");
        assert_eq!(code_of(&with_code(&mut nobody, ENROLL, &request, &code).await), "wrong-code", "{reason:?}");
        // The operator's next code is for a new key.
        let code = invite(&place, &place.fresh, false).await;
        let answer = with_code(&mut nobody, ENROLL, &request, &code).await;
        let expected = if reason == RevocationReason::KeyCompromise { "key-compromised" } else { "code-used" };
        assert_eq!(code_of(&answer), expected, "{reason:?}");
    }
}

#[tokio::test]
async fn the_operator_can_say_no_after_a_yes() {
    let place = Deployment::new().await;
    let request = csr::build(&key(), "x").expect("built");
    let code = invite(&place, &place.fresh, false).await;
    issued(&with_code(&mut place.visitor(Presented::None, PeerState::None), ENROLL, &request, &code).await);
    place.authority.decide(&place.operator, &code[..4], false).await.expect("refused");
    let answer = with_code(&mut place.visitor(Presented::None, PeerState::None), ENROLL, &request, &code).await;
    assert_eq!(code_of(&answer), "enrollment-refused");
}

#[tokio::test]
async fn guessing_does_not_end_what_waits_for_approval() {
    let place = Deployment::new().await;
    let request = csr::build(&key(), "x").expect("built");
    let code = invite(&place, &place.fresh, true).await;
    with_code(&mut place.visitor(Presented::None, PeerState::None), ENROLL, &request, &code).await;
    let wrong = format!("{}{}", &code[..5], if code.ends_with("0000") { "1111" } else { "0000" });
    for _ in 0..6 {
        assert_eq!(
            code_of(&with_code(&mut place.visitor(Presented::None, PeerState::None), ENROLL, &request, &wrong).await),
            "wrong-code"
        );
    }
    place.authority.decide(&place.operator, &code[..4], true).await.expect("approved");
    issued(&with_code(&mut place.visitor(Presented::None, PeerState::None), ENROLL, &request, &code).await);
}

#[tokio::test]
async fn whoever_used_up_the_days_certificates_does_not_shut_out_whom_the_operator_invites() {
    let place = Deployment::new().await;
    let request = || csr::build(&key(), "x").expect("built");
    let mut thief = place.browser(&place.fresh);
    while enroll(&mut thief, AGENT_ENROLL, &request()).await.status == StatusCode::OK {}
    assert_eq!(code_of(&enroll(&mut thief, AGENT_ENROLL, &request()).await), "too-many-certificates");
    let code = invite(&place, &place.fresh, false).await;
    issued(&with_code(&mut place.visitor(Presented::None, PeerState::None), AGENT_ENROLL, &request(), &code).await);
    let revoke = place.authority.revoke(&place.operator, &place.fresh, RevocationReason::KeyCompromise);
    assert!(revoke.await.expect("revoked").len() > 2);
    let code = invite(&place, &place.fresh, false).await;
    let answer = with_code(&mut place.visitor(Presented::None, PeerState::None), AGENT_ENROLL, &request(), &code).await;
    let own = record(&place, &issued(&answer)).await;
    issued(&enroll(&mut place.browser(&own), ENROLL, &request()).await);
}

#[tokio::test]
async fn a_page_elsewhere_cannot_make_a_browser_enrol() {
    let place = Deployment::new().await;
    let mut program = place.browser(&place.due);
    let request = STANDARD.encode(csr::build(&key(), "x").expect("built"));
    for mark in [("origin", "https://evil.example"), ("sec-fetch-site", "cross-site")] {
        let answer = send(&mut program, AGENT_ENROLL, request.as_bytes(), &[mark]).await;
        assert_eq!((answer.status, code_of(&answer).as_str()), (StatusCode::FORBIDDEN, "not-for-browsers"));
    }
}

#[tokio::test]
async fn whoever_fetches_a_key_that_is_in_use_raises_an_alarm() {
    let place = Deployment::new().await;
    let request = for_names_of(&place, &key(), &place.due, Purpose::Client).await;
    let mut program = place.browser(&place.due);
    assert_eq!(enroll(&mut program, SERVER_KEY, &request).await.status, StatusCode::OK);
    assert_eq!(enroll(&mut program, SERVER_KEY, &request).await.status, StatusCode::OK);
    assert_eq!(logged(&place, Action::CloneSuspected).await, 0, "not in use yet");
    let identity = place.authority.reader().open_bundle(place.operator.scope(), place.due.terminal, place.clock.now());
    let fetched = identity.await.expect("readable").expect("a bundle").certificate;
    place.used(&place.browser(&fetched)).await;
    assert_eq!(enroll(&mut program, SERVER_KEY, &request).await.status, StatusCode::OK);
    assert_eq!(logged(&place, Action::CloneSuspected).await, 1);
}
