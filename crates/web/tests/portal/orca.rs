//! The listener for ORCA's own programs, request by request. TLS and HTTP/1.1 are tested where the whole program runs.

use http::{Method, StatusCode};
use tegata_core::peer::{PeerState, Presented};
use tegata_core::profile::Purpose;
use tegata_pki::pkcs12;

use crate::deployment::{Answer, Browser, Deployment};

/// What both programs send with both requests.
const HEADERS: [(&str, &str); 2] = [("accept", "application/json"), ("content-type", "application/json")];

async fn send(program: &Browser, method: Method, path: &str, body: &str, more: &[(&str, &str)]) -> Answer {
    let headers = [&HEADERS, more].concat();
    let mut program = program.clone();
    let answer = program.send(method, path, Some(body.as_bytes().to_vec()), &headers).await;
    assert!(!answer.status.is_redirection(), "L1: never 3xx: {path}");
    assert!(answer.headers.get("set-cookie").is_none() && answer.headers.get("location").is_none(), "{path}");
    assert!(!answer.text().contains("<html"), "{path}");
    assert_eq!(answer.header("cache-control"), "no-store", "{path}");
    answer
}

async fn order(program: &Browser) -> (String, String) {
    let answer = send(program, Method::POST, "/api/cert", "{}", &[]).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    assert_eq!(answer.header("content-type"), "application/json; charset=utf-8");
    let json: serde_json::Value = serde_json::from_slice(&answer.body).expect("JSON");
    let member = |name: &str| json[name].as_str().expect("a string").to_owned();
    assert_eq!(json.as_object().expect("an object").len(), 2);
    (member("uri"), member("pass"))
}

fn path(uri: &str) -> &str {
    uri.strip_prefix("https://localhost:8444").expect("an absolute address at this listener")
}

#[tokio::test]
async fn two_requests_give_the_whole_file_and_l8_a_password_in_ascii() {
    let place = Deployment::new().await;
    let program = place.program(&place.browser(&place.due));
    let (uri, pass) = order(&program).await;
    assert!(pass.len() >= 20 && pass.bytes().all(|byte| byte.is_ascii_graphic()), "L8");
    assert!(uri.is_ascii() && !uri.contains(' '));
    let file = send(&program, Method::GET, path(&uri), "", &[]).await;
    assert_eq!((file.status, file.header("content-type")), (StatusCode::OK, "application/x-pkcs12"));
    let opened = pkcs12::open(&file.body, &pass).expect("the whole file, with its password");
    assert!(!opened.leaf.is_empty());
    let oid_3des = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x0c, 0x01, 0x03];
    assert!(file.body.windows(10).any(|window| window == oid_3des), "the format that opens everywhere");
    assert_eq!(order(&program).await.1, pass, "L3: asking again gives the same");
}

#[tokio::test]
async fn l4_the_address_is_the_asking_certificates_alone_and_lasts_five_downloads() {
    let place = Deployment::new().await;
    let program = place.program(&place.browser(&place.due));
    let stranger = place.program(&place.browser(&place.other));
    let neighbour = place.program(&place.browser(&place.fresh));
    let (uri, _) = order(&program).await;
    order(&stranger).await;
    for other in [&stranger, &neighbour] {
        assert_eq!(send(other, Method::GET, path(&uri), "", &[]).await.status, StatusCode::NOT_FOUND);
    }
    for method in [Method::HEAD, Method::POST, Method::DELETE, Method::PUT, Method::OPTIONS] {
        let answer = send(&program, method.clone(), path(&uri), "", &[]).await;
        assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{method} fetches nothing");
    }
    for _ in 0..5 {
        assert_eq!(send(&program, Method::GET, path(&uri), "", &[]).await.status, StatusCode::OK);
    }
    let over = send(&program, Method::GET, path(&uri), "", &[]).await;
    assert_eq!((over.status, over.header("content-type")), (StatusCode::GONE, "application/problem+json"));
    for wrong in ["/api/cert/file", "/api/cert/file?token=", "/api/cert/file?token=AAAA"] {
        assert_eq!(send(&program, Method::GET, wrong, "", &[]).await.status, StatusCode::NOT_FOUND, "{wrong}");
    }
}

#[tokio::test]
async fn l1_no_path_and_no_method_redirects_or_shows_a_page() {
    let place = Deployment::new().await;
    let insider = place.program(&place.browser(&place.due));
    let outsider = place.program(&place.visitor(Presented::None, PeerState::None));
    for path in ["/", "/login", "/menu", "/api", "/api/cert/", "/api/cert/x", "/api/cert", "//api/cert", "/healthz"] {
        for method in [Method::GET, Method::HEAD, Method::PUT, Method::DELETE, Method::OPTIONS] {
            let answer = send(&insider, method.clone(), path, "", &[]).await;
            assert!(answer.status.is_client_error(), "{method} {path}: {}", answer.status);
            let answer = send(&outsider, method.clone(), path, "", &[]).await;
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "{method} {path}");
        }
    }
}

#[tokio::test]
async fn l10_a_certificate_that_does_not_count_gets_the_exact_words() {
    let place = Deployment::new().await;
    let due = place.browser(&place.due);
    let worth = |state| place.visitor(due.peer.presented.clone(), state);
    let check = async |browser: Browser, status, words: &str| {
        let program = place.program(&browser);
        for (method, path) in [(Method::POST, "/api/cert"), (Method::GET, "/api/cert/file?token=AAAA")] {
            let answer = send(&program, method.clone(), path, "{}", &[]).await;
            let state = browser.peer.state;
            assert_eq!((answer.status.as_u16(), answer.text().as_str()), (status, words), "{method} {path} {state:?}");
            assert_eq!(answer.header("content-type"), "text/plain");
        }
    };
    let no = "NOT PERMITTED CERTIFICATE";
    check(place.visitor(Presented::None, PeerState::None), 403, no).await;
    check(place.visitor(Presented::Foreign, PeerState::Foreign), 403, no).await;
    for state in [PeerState::Expired, PeerState::Revoked, PeerState::NotYetValid] {
        check(worth(state), 403, no).await;
    }
    // An agent's identity renews over EST, and here nothing.
    let Presented::Ours(mut agent) = due.peer.presented.clone() else { panic!("one of ours") };
    agent.purpose = Purpose::Agent;
    check(place.visitor(Presented::Ours(agent), due.peer.state), 403, no).await;
    check(worth(PeerState::Unknowable), 503, "GINBEE_MAINTENANCE").await;
    let unknown = place.program(&place.browser(&place.unknown()));
    assert_eq!(send(&unknown, Method::POST, "/api/cert", "{}", &[]).await.text(), no);
    // The register knows of a revocation before the gate does.
    let program = place.program(&due);
    place.revoke(&place.due).await;
    assert_eq!(send(&program, Method::POST, "/api/cert", "{}", &[]).await.text(), no);
    // A register that does not answer.
    place.authority.close().await;
    let answer = send(&program, Method::POST, "/api/cert", "{}", &[]).await;
    assert_eq!((answer.status, answer.text().as_str()), (StatusCode::SERVICE_UNAVAILABLE, "GINBEE_MAINTENANCE"));
}

#[tokio::test]
async fn too_early_is_a_refusal_that_both_programs_survive_and_people_understand() {
    let place = Deployment::new().await;
    let answer = send(&place.program(&place.browser(&place.fresh)), Method::POST, "/api/cert", "{}", &[]).await;
    assert_eq!((answer.status, answer.header("content-type")), (StatusCode::CONFLICT, "application/problem+json"));
    let text = answer.text();
    assert!(text.contains("\"too-early\"") && text.contains("まだ更新できる時期ではありません"), "{text}");
    assert!(text.contains("90"), "the detail says from when: {text}");
}

#[tokio::test]
async fn a_browser_that_holds_a_certificate_cannot_be_made_to_renew() {
    let place = Deployment::new().await;
    let program = place.program(&place.browser(&place.due));
    let (uri, _) = order(&program).await;
    for mark in [
        ("origin", "https://evil.example"),
        ("origin", "https://localhost:8444"),
        ("origin", "null"),
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-origin"),
        ("sec-fetch-site", "none"),
    ] {
        for (method, path) in [(Method::POST, "/api/cert"), (Method::GET, path(&uri))] {
            let answer = send(&program, method, path, "{}", &[mark]).await;
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "{mark:?}");
            assert!(answer.text().contains("not-for-browsers"), "{mark:?}");
        }
    }
    let mut form = program.clone();
    let answer = form.send(Method::POST, "/api/cert", Some(b"a=b".to_vec()), &[]).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN, "a form");
}

#[tokio::test]
async fn a_body_may_be_empty_or_hold_unknown_members_and_garbage_is_refused() {
    let place = Deployment::new().await;
    let program = place.program(&place.browser(&place.due));
    for (body, status) in [
        ("{}".to_owned(), 200),
        (String::new(), 200),
        ("{\"version\": 2, \"more\": [null]}".to_owned(), 200),
        ("{".to_owned(), 400),
        ("[]".to_owned(), 400),
        ("uri=x".to_owned(), 400),
        (format!("{{\"x\": \"{}\"}}", "x".repeat(5000)), 413),
    ] {
        let answer = send(&program, Method::POST, "/api/cert", &body, &[]).await;
        assert_eq!(answer.status.as_u16(), status, "{}", &body[..body.len().min(40)]);
    }
}

#[tokio::test]
async fn a_program_that_asks_all_day_is_told_to_wait_and_fills_no_log() {
    let place = Deployment::new().await;
    let program = place.program(&place.browser(&place.fresh));
    let ask = async || send(&program, Method::POST, "/api/cert", "{}", &[]).await;
    let mut answer = ask().await;
    let mut asked = 1;
    while answer.status == StatusCode::CONFLICT && asked < 100 {
        answer = ask().await;
        asked += 1;
    }
    assert_eq!((answer.status, answer.header("retry-after")), (StatusCode::TOO_MANY_REQUESTS, "3600"));
    assert!(answer.text().contains("\"too-often\""), "{}", answer.text());
    assert!((31..40).contains(&asked), "{asked}");
    let rows =
        async || place.authority.reader().audit_rows(place.operator.scope(), None, 500).await.expect("readable").len();
    let before = rows().await;
    assert_eq!(ask().await.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(rows().await, before, "no row for what was not looked at");
}
