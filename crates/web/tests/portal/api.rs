//! The REST API with certificates and keys: what a key opens, beside which certificate, and what nobody is told.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use serde_json::Value;
use tegata_authority::{MadeApiKey, NewApiKey};
use tegata_core::api_key::{ApiReach, ApiScope, ApiScopes};
use tegata_core::cert::CertRecord;
use tegata_core::profile::{KeyKind, Purpose};
use tegata_pki::key::LeafKey;

use crate::deployment::{ADMIN, Answer, Browser, Deployment};
use crate::est::for_names_of;

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

pub fn body(answer: &Answer) -> Value {
    serde_json::from_slice(&answer.body).unwrap_or_else(|_| panic!("not JSON: {}", answer.text()))
}

pub fn code(answer: &Answer) -> (u16, String) {
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

#[tokio::test]
async fn a_program_renews_with_its_certificate_alone_and_gets_the_same_again() {
    let place = Deployment::new().await;
    let key = LeafKey::generate(KeyKind::P256).expect("generated");
    let request = STANDARD.encode(for_names_of(&place, &key, &place.due, Purpose::Client).await);
    let framed = format!("-----BEGIN CERTIFICATE REQUEST-----\n{request}\n-----END CERTIFICATE REQUEST-----\n");
    let sent = serde_json::json!({ "request": framed }).to_string().into_bytes();
    let path = "/api/v1/certificate/renewal";
    let headers = [("content-type", "application/json"), ("accept", "application/json")];
    let mut program = place.browser(&place.due);
    let renewed = program.send(Method::POST, path, Some(sent.clone()), &headers).await;
    assert_eq!(renewed.status, 200, "{}", renewed.text());
    assert_ne!(body(&renewed)["serial"], place.due.serial.to_string());
    assert!(body(&renewed)["certificate"].as_str().is_some_and(|pem| pem.starts_with("-----BEGIN CERTIFICATE-----")));
    assert_eq!(body(&renewed)["authorities"].as_array().map(Vec::len), Some(2));
    let again = program.send(Method::POST, path, Some(sent.clone()), &headers).await;
    assert_eq!(body(&again)["serial"], body(&renewed)["serial"]);
    let mut early = place.browser(&place.fresh);
    let theirs = early.send(Method::POST, path, Some(sent.clone()), &headers).await;
    assert_eq!(code(&theirs), (400, "names-differ".into()));
    let marked = [headers[0], ("origin", "https://localhost:8443")];
    assert_eq!(code(&program.send(Method::POST, path, Some(sent), &marked).await), (403, "not-for-browsers".into()));
    let broken = program.send(Method::POST, path, Some(b"{\"request\":\"x\"}".to_vec()), &headers).await;
    assert_eq!(code(&broken), (400, "bad-request".into()));
}

/// A key of the operator's own with every scope, and its program.
async fn operators(place: &Deployment) -> (MadeApiKey, Browser) {
    let all = ApiScopes::new(ApiScope::ALL.iter().map(|(scope, _)| *scope).collect());
    (key(place, &place.desk, all, ApiReach::Everything).await, place.browser(&place.desk))
}

fn texts(list: &Value, field: &str) -> Vec<String> {
    let items = list["items"].as_array().unwrap_or_else(|| panic!("no items: {list}"));
    items.iter().map(|item| item[field].as_str().unwrap_or_default().to_owned()).collect()
}

#[tokio::test]
async fn lists_come_in_pages_that_miss_nothing_and_repeat_nothing() {
    let place = Deployment::new().await;
    let (made, mut program) = operators(&place).await;
    for (path, field, whole) in
        [("/api/v1/terminals", "id", 4), ("/api/v1/customers", "id", 3), ("/api/v1/log", "sequence", 0)]
    {
        let all = body(&ask(&mut program, &made, &format!("{path}?limit=200")).await);
        let (mut seen, mut address) = (Vec::new(), format!("{path}?limit=2"));
        loop {
            let page = body(&ask(&mut program, &made, &address).await);
            let items = page["items"].as_array().expect("items").clone();
            assert!((1..=2).contains(&items.len()), "{page}");
            seen.extend(items);
            let Some(next) = page["next"].as_str() else { break };
            address = format!("{path}?limit=2&cursor={next}");
        }
        assert_eq!(Value::from(seen.clone()), all["items"], "{path}");
        assert!(whole == 0 || seen.len() == whole, "{path} {field}");
        assert_eq!(all["next"], Value::Null);
    }
    for wrong in
        ["limit=0", "limit=201", "limit=x", "cursor=x", "cursor=bG9nOjE", "colour=red", "limit=1&limit=2", "q=%ff"]
    {
        let answer = ask(&mut program, &made, &format!("/api/v1/terminals?{wrong}")).await;
        assert_eq!(code(&answer), (400, "bad-query".into()), "{wrong}");
    }
}

#[tokio::test]
async fn terminals_are_found_by_part_of_their_name_and_say_how_they_stand() {
    let place = Deployment::new().await;
    let (made, mut program) = operators(&place).await;
    let mut find = async |query: &str| body(&ask(&mut program, &made, &format!("/api/v1/terminals?{query}")).await);
    assert_eq!(texts(&find("q=%E5%8F%97%E4%BB%98").await, "name"), ["受付1"]);
    assert_eq!(texts(&find("q=%25").await, "name"), Vec::<String>::new(), "no pattern of the database's");
    let other = place.other.customer;
    assert_eq!(texts(&find(&format!("customer={other}")).await, "name"), ["薬局"]);
    let due = find("q=1&customer=u00000001").await;
    assert_eq!(due["items"][0]["state"], "fetched", "{due}");
    assert_eq!(due["items"][0]["certificate"]["serial"], place.due.serial.to_string());
    place.used(&place.browser(&place.due)).await;
    assert_eq!(find("q=1&customer=u00000001").await["items"][0]["state"], "due");
}

#[tokio::test]
async fn certificates_the_log_and_the_forecast_are_told() {
    let place = Deployment::new().await;
    place.used(&place.browser(&place.due)).await;
    let made = key(&place, &place.due, scopes_of_customers(), ApiReach::Customer).await;
    let mut program = place.browser(&place.due);
    let serial = place.due.serial.to_string();
    let found = body(&ask(&mut program, &made, &format!("/api/v1/certificates/{serial}")).await);
    assert_eq!((found["state"].as_str(), found["revoked_at"].is_null()), (Some("used"), true), "{found}");
    let all = ask(&mut program, &made, &format!("/api/v1/terminals/{}/certificates", place.due.terminal)).await;
    assert_eq!(texts(&body(&all), "serial"), [&*serial]);
    let log = body(&ask(&mut program, &made, &format!("/api/v1/log?serial={serial}&action=certificate.used")).await);
    assert_eq!(texts(&log, "action"), ["certificate.used"], "{log}");
    let answer = ask(&mut program, &made, "/api/v1/log?action=certificate.flown").await;
    assert_eq!(code(&answer), (400, "bad-query".into()));
    let (operators, mut program) = operators(&place).await;
    let forecast = body(&ask(&mut program, &operators, "/api/v1/forecast?weeks=20").await);
    let weeks = forecast["weeks"].as_array().expect("weeks");
    let ending: u64 = weeks.iter().filter_map(|week| week["terminals"].as_u64()).sum();
    assert_eq!((weeks.len(), ending), (20, 1), "{forecast}");
}

/// The ways of the REST API that need a key, with their names in braces filled in.
fn ways(terminal: &str, serial: &str) -> Vec<(&'static str, String)> {
    let keyed =
        |path: &str| path.starts_with("/api/v1/") && !path.ends_with("/certificate") && !path.ends_with(".json");
    let filled = |path: &str| path.replace("{terminal}", terminal).replace("{serial}", serial);
    tegata_web::routes()
        .into_iter()
        .filter(|(_, path)| keyed(path))
        .map(|(method, path)| (method, filled(path)))
        .collect()
}

#[tokio::test]
async fn no_program_of_a_customer_is_told_anything_of_another_whatever_it_asks() {
    let place = Deployment::new().await;
    let made = key(&place, &place.due, scopes_of_customers(), ApiReach::Customer).await;
    let mut program = place.browser(&place.due);
    let (mut asked, mut told) = (0, 0);
    for (cert, own) in [(&place.due, true), (&place.fresh, true), (&place.other, false), (&place.desk, false)] {
        for (method, path) in ways(&cert.terminal.to_string(), &cert.serial.to_string()) {
            let named = [
                String::new(),
                format!("customer={}", cert.customer),
                format!("terminal={}", cert.terminal),
                format!("serial={}", cert.serial),
                "q=%E8%96%AC".into(),
            ];
            for query in named.iter().filter(|_| method == "GET") {
                let answer = ask(&mut program, &made, &format!("{path}?{query}")).await;
                for secret in [place.other.terminal, place.desk.terminal].map(|id| id.to_string()) {
                    assert!(!answer.text().contains(&secret), "{path}?{query}: {}", answer.text());
                }
                for secret in ["薬局", "さくら", "運用1", "u00000002", "u00000003", &place.other.serial.to_string()]
                {
                    assert!(!answer.text().contains(secret), "{path}?{query}: {}", answer.text());
                }
                assert!(answer.status.as_u16() < 500, "{path}?{query}: {}", answer.text());
                let in_path = path.contains(&cert.terminal.to_string()) || path.contains(&cert.serial.to_string());
                assert!(own || !in_path || matches!(answer.status.as_u16(), 400 | 404), "{path}: {}", answer.text());
                asked += 1;
                told += usize::from(answer.status == 200);
            }
        }
    }
    assert!(asked > 100 && told > 30, "{asked} {told}: the test would pass on nothing, too");
}

#[tokio::test]
async fn a_customers_program_has_nothing_of_what_only_the_operator_sees() {
    let place = Deployment::new().await;
    let made = key(&place, &place.due, scopes_of_customers(), ApiReach::Customer).await;
    let mut program = place.browser(&place.due);
    for path in ["/api/v1/customers", "/api/v1/forecast"] {
        assert_eq!(code(&ask(&mut program, &made, path).await), (403, "scope-missing".into()), "{path}");
    }
}

#[tokio::test]
async fn answers_are_json_or_nothing() {
    let place = Deployment::new().await;
    let made = key(&place, &place.due, scopes_of_customers(), ApiReach::Customer).await;
    let mut program = place.browser(&place.due);
    let headers = [("authorization", &*basic(&made)), ("accept", "text/html")];
    let answer = program.send(Method::GET, "/api/v1/terminals", None, &headers).await;
    assert_eq!(code(&answer), (406, "not-acceptable".into()));
    let answer = program.send(Method::DELETE, "/api/v1/terminals", None, &[]).await;
    assert_eq!(code(&answer), (405, "no-such-method".into()));
    for method in ["GET", "POST"] {
        assert!(answer.header("allow").contains(method), "{}", answer.header("allow"));
    }
}

/// Run with `TEGATA_UPDATE_OPENAPI=1` to write the file anew.
#[tokio::test]
async fn the_description_is_the_one_that_the_documents_show() {
    let place = Deployment::new().await;
    let mut nobody = place.visitor(tegata_core::peer::Presented::None, tegata_core::peer::PeerState::None);
    let answer = nobody.send(Method::GET, "/api/v1/openapi.json", None, &[("accept", "application/json")]).await;
    assert_eq!(answer.status, 200);
    let described = body(&answer);
    assert_eq!(described["openapi"].as_str().map(|version| version.starts_with("3.1")), Some(true));
    let mut paths = Vec::new();
    for (path, item) in described["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("methods") {
            paths.push((method.to_uppercase(), path.clone()));
            assert!(operation["responses"].as_object().is_some_and(|all| all.len() > 1), "{path}");
        }
    }
    let mut known: Vec<(String, String)> = tegata_web::routes()
        .into_iter()
        .filter(|(_, path)| path.starts_with("/api/v1/"))
        .map(|(method, path)| (method.to_owned(), path.to_owned()))
        .collect();
    paths.sort();
    known.sort();
    assert_eq!(paths, known, "every way is described, and nothing else is");
    for reference in answer.text().split("\"$ref\": \"#").skip(1) {
        let pointer = reference.split('"').next().unwrap_or_default();
        assert!(described.pointer(pointer).is_some(), "{pointer} is named and not there");
    }
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi.json");
    if std::env::var_os("TEGATA_UPDATE_OPENAPI").is_some() {
        std::fs::write(&file, &answer.body).expect("written");
    }
    let kept = std::fs::read_to_string(&file).expect("docs/openapi.json");
    assert_eq!(kept, answer.text(), "run this test with TEGATA_UPDATE_OPENAPI=1");
}
