//! The REST API with certificates and keys: what a key opens, beside which certificate, and what nobody is told.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use serde_json::Value;
use tegata_authority::{MadeApiKey, NewApiKey};
use tegata_core::api_key::{ApiReach, ApiScope, ApiScopes};
use tegata_core::cert::CertRecord;

use crate::deployment::{ADMIN, Answer, Browser, Deployment};

/// Every scope that a customer's key can have.
pub fn scopes_of_customers() -> ApiScopes {
    ApiScopes::new(ApiScope::ALL.iter().map(|(scope, _)| *scope).filter(|scope| !scope.is_the_operators()).collect())
}

/// A key of the customer whose certificate this is.
pub async fn key(place: &Deployment, cert: &CertRecord, scopes: ApiScopes, reach: ApiReach) -> MadeApiKey {
    let new =
        NewApiKey { customer: cert.customer, terminal: None, name: "会計連携".into(), reach, scopes, days: 365 };
    place.authority.make_api_key(&place.operator, new).await.expect("made")
}

/// What HTTP Basic carries.
pub fn basic(made: &MadeApiKey) -> String {
    format!("Basic {}", STANDARD.encode(format!("{}:{}", made.key.id, made.secret.expose())))
}

/// Asks as a program with this key.
pub async fn ask(program: &mut Browser, made: &MadeApiKey, path: &str) -> Answer {
    program.send(Method::GET, path, None, &[("authorization", &basic(made)), ("accept", "application/json")]).await
}

fn body(answer: &Answer) -> Value {
    serde_json::from_slice(&answer.body).unwrap_or_else(|_| panic!("not JSON: {}", answer.text()))
}

fn code(answer: &Answer) -> (u16, String) {
    assert_eq!(answer.header("content-type"), "application/problem+json", "{}", answer.text());
    (answer.status.as_u16(), body(answer)["code"].as_str().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn a_key_opens_what_its_scopes_say_beside_a_certificate_of_its_customer() {
    let place = Deployment::new().await;
    let made = key(&place, &place.due, scopes_of_customers(), ApiReach::Customer).await;
    let mut program = place.browser(&place.due);
    let answer = ask(&mut program, &made, "/api/v1/api-key").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(
        (body(&answer)["key"].as_str(), body(&answer)["reach"].as_str()),
        (Some(made.key.id.as_str()), Some("customer"))
    );
    assert!(!answer.text().contains("tegata_") && answer.header("cache-control") == "no-store");
    for own in [&place.due, &place.fresh] {
        let answer = ask(&mut program, &made, &format!("/api/v1/terminals/{}", own.terminal)).await;
        assert_eq!(body(&answer)["id"], own.terminal.to_string());
    }
    let narrow = key(&place, &place.due, ApiScopes::new(vec![ApiScope::LogRead]), ApiReach::Customer).await;
    let answer = ask(&mut program, &narrow, &format!("/api/v1/terminals/{}", place.due.terminal)).await;
    assert_eq!(code(&answer), (403, "scope-missing".into()));
}

#[tokio::test]
async fn a_terminal_of_another_customer_cannot_be_told_from_one_that_does_not_exist() {
    let place = Deployment::new().await;
    let made = key(&place, &place.due, scopes_of_customers(), ApiReach::Customer).await;
    let mut program = place.browser(&place.due);
    let mut seen = Vec::new();
    let other = place.other.terminal.to_string();
    for id in [other.as_str(), "00000000-0000-4000-8000-000000000000", "1", "%E5%8F%97"] {
        let answer = ask(&mut program, &made, &format!("/api/v1/terminals/{id}")).await;
        assert_eq!(code(&answer), (404, "no-such-terminal".into()));
        seen.push(answer.text());
    }
    seen.dedup();
    assert_eq!(seen.len(), 1, "{seen:?}");
}

#[tokio::test]
async fn neither_certificate_nor_key_is_worth_anything_alone_or_beside_a_strangers() {
    let place = Deployment::new().await;
    let made = key(&place, &place.due, scopes_of_customers(), ApiReach::Customer).await;
    let path = "/api/v1/api-key";
    let mut stranger = place.browser(&place.other);
    assert_eq!(code(&ask(&mut stranger, &made, path).await), (403, "api-key-elsewhere".into()));
    let mut own = place.browser(&place.due);
    let answer = own.get(path).await;
    assert_eq!(code(&answer), (401, "no-api-key".into()));
    assert_eq!(answer.header("www-authenticate"), "Basic realm=\"API key\", charset=\"UTF-8\"");
    let wrong =
        MadeApiKey { secret: key(&place, &place.due, scopes_of_customers(), ApiReach::Customer).await.secret, ..made };
    assert_eq!(code(&ask(&mut own, &wrong, path).await), (401, "wrong-api-key".into()));
    for mark in [("origin", "https://localhost:8443"), ("sec-fetch-site", "same-origin")] {
        let answer = own.send(Method::GET, path, None, &[("authorization", &basic(&wrong)), mark]).await;
        assert_eq!(code(&answer), (403, "not-for-browsers".into()));
    }
    place.revoke(&place.due).await;
    assert_eq!(code(&ask(&mut own, &wrong, path).await), (403, "revoked-certificate".into()));
}

#[tokio::test]
async fn an_administrator_makes_a_key_that_works_and_takes_it_back() {
    let place = Deployment::new().await;
    let mut browser = place.browser(&place.due);
    browser.log_in(ADMIN).await;
    browser.get("/admin/api-keys").await;
    let sent = [("name", "会計連携"), ("terminals:read", "yes"), ("terminal", ""), ("days", "365")];
    let page = browser.post("/admin/api-keys", &sent).await;
    assert_eq!(page.status, 200, "{}", page.text());
    let (id, secret) = (page.element("api-key"), page.element("api-secret"));
    let given = format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")));
    let path = format!("/api/v1/terminals/{}", place.due.terminal);
    let mut program = place.browser(&place.due);
    let answer = program.send(Method::GET, &path, None, &[("authorization", &given)]).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(!browser.get("/admin/api-keys").await.text().contains(&secret), "shown once");
    let page = browser.post(&format!("/admin/api-keys/{id}/rotate"), &[]).await;
    assert!(page.element("api-secret") != secret && page.text().contains(&id));
    let answer = program.send(Method::GET, &path, None, &[("authorization", &given)]).await;
    assert_eq!(answer.status, 200, "the one before still counts");
    let done = browser.post(&format!("/admin/api-keys/{id}/revoke"), &[]).await;
    assert_eq!((done.status.as_u16(), done.location()), (303, "/admin/api-keys"));
    let answer = program.send(Method::GET, &path, None, &[("authorization", &given)]).await;
    assert_eq!(code(&answer), (403, "api-key-revoked".into()));
    for (fields, words) in [
        (vec![("name", ""), ("log:read", "yes"), ("days", "90")], "40文字以内"),
        (vec![("name", "x"), ("days", "90")], "一つ以上"),
        (vec![("name", "x"), ("certificates:revoke", "yes"), ("days", "90")], "一つ以上"),
    ] {
        let page = browser.post("/admin/api-keys", &fields).await;
        assert!(page.status == 422 && page.text().contains(words), "{}", page.text());
    }
}

#[tokio::test]
async fn an_administrator_reaches_no_key_of_another_customer_or_of_the_operator() {
    let place = Deployment::new().await;
    let other = key(&place, &place.other, scopes_of_customers(), ApiReach::Customer).await;
    let operators = key(&place, &place.desk, scopes_of_customers(), ApiReach::Everything).await;
    let mut browser = place.browser(&place.due);
    browser.log_in(ADMIN).await;
    let page = browser.get("/admin/api-keys").await;
    for made in [&other, &operators] {
        assert!(!page.text().contains(made.key.id.as_str()));
        for act in ["rotate", "revoke"] {
            let answer = browser.post(&format!("/admin/api-keys/{}/{act}", made.key.id), &[]).await;
            assert_eq!(answer.status, 404, "{act}");
        }
    }
    let sent = [("name", "x"), ("log:read", "yes"), ("terminal", &*place.other.terminal.to_string()), ("days", "90")];
    browser.get("/admin/api-keys").await;
    assert_eq!(browser.post("/admin/api-keys", &sent).await.status, 400);
    assert!(
        ask(&mut place.browser(&place.other), &other, "/api/v1/api-key").await.status == 200,
        "nothing was changed"
    );
}
