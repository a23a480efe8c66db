//! Every way in, with every kind of visitor. A route that is not in this table fails, and so does an answer without its headers.

use http::{Method, StatusCode};
use tegata_core::peer::{PeerState, Presented};
use tegata_core::profile::{KeyKind, Purpose};
use tegata_pki::key::LeafKey;

use crate::deployment::{ADMIN, Answer, Browser, Deployment, STAFF, STRANGER, USER};
use crate::est::{agent, enroll, for_names_of, named};

/// The columns: nobody that we know (no certificate, foreign, expired, revoked, unknown to the register); a due terminal before login; the
/// same after login, with a bundle waiting; its session at another terminal of the customer; its session at another customer's terminal; the customer's administrator.
const TABLE: &[(&str, &str, [u16; 6])] = &[
    ("GET", "/", [403, 303, 303, 303, 303, 303]),
    ("GET", "/login", [403, 200, 303, 200, 200, 303]),
    ("POST", "/login", [403, 401, 401, 401, 401, 401]),
    ("GET", "/menu", [403, 303, 200, 303, 403, 200]),
    ("GET", "/renewal", [403, 303, 200, 303, 403, 200]),
    ("POST", "/renewal", [403, 303, 303, 303, 403, 303]),
    ("POST", "/renewal/later", [403, 303, 303, 303, 403, 303]),
    ("GET", "/renewal/bundle.p12", [403, 303, 200, 303, 403, 200]),
    ("GET", "/renewal/password", [403, 303, 200, 303, 403, 200]),
    ("POST", "/renewal/password", [403, 303, 200, 303, 403, 200]),
    ("POST", "/renewal/password.txt", [403, 303, 200, 303, 403, 200]),
    ("GET", "/renewal/import", [403, 303, 200, 303, 403, 200]),
    ("GET", "/check", [403, 200, 200, 200, 200, 200]),
    ("GET", "/log", [403, 200, 200, 200, 200, 200]),
    ("GET", "/admin", [403, 303, 403, 303, 403, 303]),
    ("GET", "/admin/terminals", [403, 303, 403, 303, 403, 200]),
    ("GET", "/admin/terminals.csv", [403, 303, 403, 303, 403, 200]),
    ("GET", "/admin/log", [403, 303, 403, 303, 403, 200]),
    ("GET", "/admin/log.csv", [403, 303, 403, 303, 403, 200]),
    ("GET", "/admin/terminals/{client}", [403, 303, 403, 303, 403, 200]),
    ("POST", "/admin/terminals/{client}/recovery", [403, 303, 403, 303, 403, 400]),
    ("GET", "/admin/terminals/{client}/bundle.p12", [403, 303, 403, 303, 403, 404]),
    ("POST", "/admin/terminals/{client}/password", [403, 303, 403, 303, 403, 404]),
    ("POST", "/admin/terminals/{client}/name", [403, 303, 403, 303, 403, 422]),
    ("POST", "/admin/terminals/{client}/end", [403, 303, 403, 303, 403, 422]),
    ("GET", "/admin/proof", [403, 303, 403, 303, 403, 200]),
    ("GET", "/admin/browser-policy", [403, 303, 403, 303, 403, 200]),
    ("GET", "/admin/browser-policy/{file}", [403, 303, 403, 303, 403, 200]),
    ("GET", "/admin/api-keys", [403, 303, 403, 303, 403, 200]),
    ("POST", "/admin/api-keys", [403, 303, 403, 303, 403, 400]),
    ("POST", "/admin/api-keys/{key}/rotate", [403, 303, 403, 303, 403, 404]),
    ("POST", "/admin/api-keys/{key}/revoke", [403, 303, 403, 303, 403, 404]),
    ("GET", "/admin/terminals/new", [403, 303, 403, 303, 403, 200]),
    ("POST", "/admin/terminals/new", [403, 303, 403, 303, 403, 422]),
    ("POST", "/admin/terminals/{client}/invitation", [403, 303, 403, 303, 403, 200]),
    ("GET", "/enroll", [200, 200, 200, 200, 200, 200]),
    ("POST", "/enroll", [422, 422, 422, 422, 422, 422]),
    ("GET", "/admin/notices", [403, 303, 403, 303, 403, 200]),
    ("POST", "/admin/notices", [403, 303, 403, 303, 403, 422]),
    ("POST", "/admin/notices/{contact}", [403, 303, 403, 303, 403, 404]),
    ("GET", "/admin/calendar.ics", [403, 303, 403, 303, 403, 200]),
    ("GET", "/recovery", [200, 200, 200, 200, 200, 200]),
    ("POST", "/recovery", [422, 422, 422, 422, 422, 422]),
    ("GET", "/recovery/bundle.p12", [403, 403, 403, 403, 403, 403]),
    ("POST", "/recovery/password", [403, 403, 403, 403, 403, 403]),
    ("POST", "/language", [303, 303, 303, 303, 303, 303]),
    ("GET", "/healthz", [200, 200, 200, 200, 200, 200]),
    ("GET", "/readyz", [200, 200, 200, 200, 200, 200]),
    ("GET", "/assets/{*path}", [200, 200, 200, 200, 200, 200]),
    ("POST", "/logout", [403, 303, 303, 303, 403, 303]),
];

/// The console: its officer, its help desk, its auditor. Nobody else comes in: whoever would see a page of 管理画面 or of the portal sees
/// [`NOT_STAFF`].
const CONSOLE: &[(&str, &str, [u16; 3])] = &[
    ("GET", "/console", [200, 200, 200]),
    ("GET", "/console/forecast", [200, 200, 200]),
    ("GET", "/console/issuers", [200, 200, 200]),
    ("GET", "/console/issuers/{issuer}", [200, 200, 200]),
    ("GET", "/console/issuers/{issuer}/revocation", [200, 403, 403]),
    ("POST", "/console/issuers/{issuer}/revocation", [422, 403, 403]),
    ("POST", "/console/customers/{customer}/settings", [303, 403, 403]),
    ("GET", "/console/customers/{customer}/revocation", [200, 403, 403]),
    ("POST", "/console/customers/{customer}/revocation", [422, 403, 403]),
    ("GET", "/console/search", [200, 200, 200]),
    ("GET", "/console/customers", [200, 200, 200]),
    ("GET", "/console/customers/{customer}", [200, 200, 200]),
    ("GET", "/console/customers/{customer}/terminals/{client}", [200, 200, 200]),
    ("GET", "/console/customers/{customer}/terminals/{client}/seen", [200, 200, 200]),
    ("POST", "/console/customers/{customer}/terminals/{client}/recovery", [422, 403, 403]),
    ("POST", "/console/customers/{customer}/terminals/{client}/end", [422, 403, 403]),
    ("POST", "/console/customers/{customer}/terminals/{client}/revoke", [422, 403, 403]),
];

/// What the visitors of [`TABLE`] get of the console, in the same columns.
const NOT_STAFF: [u16; 6] = [403, 303, 403, 303, 403, 403];

/// The same for programs: no certificate; one that is worth nothing; a due terminal; a fresh one; another customer's due one; the due
/// terminal's agent. What is sent is a request for the names of the due terminal, and the question about its certificate.
const PROGRAMS: &[(&str, &str, [u16; 6])] = &[
    ("GET", "/.well-known/est/cacerts", [200, 200, 200, 200, 200, 200]),
    ("GET", "/.well-known/est/csrattrs", [200, 200, 200, 200, 200, 200]),
    ("POST", "/.well-known/est/simpleenroll", [401, 403, 200, 409, 200, 200]),
    ("POST", "/.well-known/est/simplereenroll", [401, 403, 200, 400, 400, 409]),
    ("POST", "/.well-known/est/serverkeygen", [401, 403, 200, 400, 400, 403]),
    ("GET", "/.well-known/est/agent/cacerts", [200, 200, 200, 200, 200, 200]),
    ("GET", "/.well-known/est/agent/csrattrs", [200, 200, 200, 200, 200, 200]),
    ("POST", "/.well-known/est/agent/simpleenroll", [401, 403, 200, 200, 200, 409]),
    ("POST", "/.well-known/est/agent/simplereenroll", [401, 403, 400, 409, 409, 400]),
    ("GET", "/.well-known/est/renewal-info/{certificate}", [401, 403, 200, 404, 404, 200]),
    ("GET", "/api/v1/certificate", [401, 403, 200, 200, 200, 200]),
    ("POST", "/api/v1/certificate/renewal", [401, 403, 400, 400, 400, 400]),
    ("GET", "/api/v1/api-key", [401, 403, 401, 401, 401, 403]),
    ("GET", "/api/v1/openapi.json", [200, 200, 200, 200, 200, 200]),
    ("GET", "/api/v1/terminals", [401, 403, 401, 401, 401, 403]),
    ("GET", "/api/v1/terminals/{terminal}", [401, 403, 401, 401, 401, 403]),
    ("GET", "/api/v1/terminals/{terminal}/certificates", [401, 403, 401, 401, 401, 403]),
    ("GET", "/api/v1/certificates/{serial}", [401, 403, 401, 401, 401, 403]),
    ("GET", "/api/v1/customers", [401, 403, 401, 401, 401, 403]),
    ("GET", "/api/v1/log", [401, 403, 401, 401, 401, 403]),
    ("GET", "/api/v1/forecast", [401, 403, 401, 401, 401, 403]),
    ("POST", "/api/v1/terminals", [401, 403, 401, 401, 401, 403]),
    ("PATCH", "/api/v1/terminals/{terminal}", [401, 403, 401, 401, 401, 403]),
    ("POST", "/api/v1/terminals/{terminal}/lost", [401, 403, 401, 401, 401, 403]),
    ("POST", "/api/v1/terminals/{terminal}/retire", [401, 403, 401, 401, 401, 403]),
    ("POST", "/api/v1/terminals/{terminal}/recovery-code", [401, 403, 401, 401, 401, 403]),
    ("POST", "/api/v1/terminals/{terminal}/invitation", [401, 403, 401, 401, 401, 403]),
    ("POST", "/api/v1/certificates/{serial}/revoke", [401, 403, 401, 401, 401, 403]),
];

#[tokio::test]
async fn every_way_for_programs_answers_every_program_as_the_table_says() {
    // A terminal that got a certificate may not ask for the next one at once: each row has a place of its own.
    for &(method, path, expected) in PROGRAMS {
        let place = Deployment::new().await;
        let mut programs: Vec<_> = visitors(&place).await.into_iter().filter(|(_, column, _)| *column == 0).collect();
        programs[0].1 = 0;
        programs[1..].iter_mut().for_each(|(_, column, _)| *column = 1);
        // The agent's own row is the last one of those that see no page.
        programs.last_mut().expect("the agent").1 = 5;
        programs.push(("of a fresh terminal", 3, place.browser(&place.fresh)));
        programs.push(("of another customer", 4, place.browser(&place.other)));
        programs.push(("of a due terminal", 2, place.browser(&place.due)));
        let key = LeafKey::generate(KeyKind::P256).expect("generated");
        for (who, column, mut program) in programs {
            let name = format!("{method} {path} {who}");
            let answer = match method {
                "GET" => program.get(&path.replace("{certificate}", &named(&place, &place.due))).await,
                method if path.starts_with("/api/v1/") => {
                    let headers = [("content-type", "application/json"), ("idempotency-key", "once")];
                    program.send(method.parse().expect("a method"), path, Some(b"{}".to_vec()), &headers).await
                }
                _ => enroll(&mut program, path, &for_names_of(&place, &key, &place.due, Purpose::Client).await).await,
            };
            assert_eq!(answer.status, expected[column], "{name}: {}", answer.text());
            headers_are_there(&answer, &name);
            let is_problem = answer.header("content-type") == "application/problem+json";
            assert_eq!(is_problem, !answer.status.is_success(), "{name}");
            assert!(answer.headers.get("set-cookie").is_none() && answer.location().is_empty(), "{name}");
        }
    }
}

/// The visitors, each with its column.
async fn visitors(place: &Deployment) -> Vec<(&'static str, usize, Browser)> {
    let worth = |cert: Browser, state| {
        let mut browser = cert;
        browser.peer.state = state;
        browser
    };
    let due = || place.browser(&place.due);
    let mut inside = due();
    inside.log_in(USER).await;
    inside.post("/renewal", &[]).await;
    let mut administrator = due();
    administrator.log_in(ADMIN).await;
    let mut elsewhere = place.browser(&place.fresh);
    let mut other = place.browser(&place.other);
    elsewhere.cookies = inside.cookies.clone();
    other.cookies = inside.cookies.clone();
    vec![
        ("without a certificate", 0, place.visitor(Presented::None, PeerState::None)),
        ("with a foreign one", 0, place.visitor(Presented::Foreign, PeerState::Foreign)),
        ("with an expired one", 0, worth(due(), PeerState::Expired)),
        ("with a revoked one", 0, worth(due(), PeerState::Revoked)),
        ("with one of tomorrow", 0, worth(due(), PeerState::NotYetValid)),
        ("with one the register does not know", 0, place.browser(&place.unknown())),
        ("with an agent's", 0, place.browser(&agent(place, &place.due).await)),
        ("before login", 1, due()),
        ("at another terminal", 3, elsewhere),
        ("at another customer's terminal", 4, other),
        ("after login", 2, inside),
        ("as the administrator", 5, administrator),
    ]
}

/// The operator's staff, each with its column in [`CONSOLE`]. They sit at a due terminal of their own with a bundle waiting, so that all
/// other pages are to them what they are to a terminal's user.
async fn staff(place: &Deployment) -> Vec<(&'static str, usize, Browser)> {
    let mut found = Vec::new();
    for (column, (name, _)) in STAFF.into_iter().enumerate() {
        let mut browser = place.browser(&place.desk);
        browser.log_in(name).await;
        browser.post("/renewal", &[]).await;
        found.push((name, column, browser));
    }
    found
}

/// The administrator of the other customer, at a due terminal with a bundle waiting.
async fn stranger(place: &Deployment) -> Browser {
    let mut browser = place.browser(&place.other);
    browser.log_in(STRANGER).await;
    browser.post("/renewal", &[]).await;
    browser
}

/// Asks one way in, with whatever a browser would send.
async fn ask(browser: &mut Browser, method: &str, path: &str) -> Answer {
    let path = path
        .replace("{*path}", "style.css")
        .replace("{client}", "2")
        .replace("{customer}", "u00000001")
        .replace("{issuer}", "1")
        .replace("{file}", "tegata-browser.reg");
    if method == "GET" {
        return browser.get(&path).await;
    }
    browser.get("/check").await; // any page, for its token; landing pages carry one too
    let fields: &[(&str, &str)] = match path.as_str() {
        "/login" => &[("user", USER), ("password", "not the password")],
        "/language" => &[("lang", "en"), ("back", "/menu")],
        _ => &[],
    };
    browser.post(&path, fields).await
}

fn headers_are_there(answer: &Answer, name: &str) {
    let policy = answer.header("content-security-policy");
    for part in
        ["default-src 'none'", "form-action 'self'", "frame-ancestors 'none'", "base-uri 'none'", "script-src 'self'"]
    {
        assert!(policy.contains(part), "{name}: {policy}");
    }
    assert!(!policy.contains("unsafe"), "{name}");
    assert_eq!(answer.header("strict-transport-security"), "max-age=31536000", "{name}");
    assert_eq!(answer.header("x-content-type-options"), "nosniff", "{name}");
    assert_eq!(answer.header("referrer-policy"), "same-origin", "{name}");
    assert_eq!(answer.header("cross-origin-opener-policy"), "same-origin", "{name}");
    assert!(!answer.header("permissions-policy").is_empty(), "{name}");
    let kept = answer.header("cache-control");
    assert_eq!(kept == "no-store", !name.contains("/assets/"), "{name}: {kept}");
}

#[tokio::test]
async fn every_way_in_answers_every_visitor_as_the_table_says() {
    let place = Deployment::new().await;
    let pages = TABLE.iter().map(|(method, path, _)| (*method, *path));
    let pages = pages.chain(CONSOLE.iter().map(|(method, path, _)| (*method, *path)));
    let known: Vec<(&str, &str)> = pages.chain(PROGRAMS.iter().map(|(method, path, _)| (*method, *path))).collect();
    for route in tegata_web::routes() {
        assert!(known.contains(&route), "{route:?} is not in the coverage table");
    }
    assert_eq!(known.len(), tegata_web::routes().len(), "the table names a route that does not exist");
    for (who, column, visitor) in visitors(&place).await {
        for &(method, path, expected) in TABLE {
            let mut browser = visitor.clone();
            let answer = ask(&mut browser, method, path).await;
            let name = format!("{method} {path} {who}");
            assert_eq!(answer.status, expected[column], "{name}: {}", answer.text());
            headers_are_there(&answer, &name);
            if column == 1 && answer.status == StatusCode::SEE_OTHER && path != "/language" {
                assert_eq!(answer.location(), "/login", "{name}");
            }
        }
    }
}

#[tokio::test]
async fn staff_and_strangers_are_to_the_portal_what_they_are_at_their_own_terminals() {
    let place = Deployment::new().await;
    let alien = stranger(&place).await;
    for &(method, path, expected) in TABLE {
        for (who, _, visitor) in staff(&place).await {
            let answer = ask(&mut visitor.clone(), method, path).await;
            assert_eq!(answer.status, expected[2], "{method} {path} as {who}: {}", answer.text());
        }
        // A number within the clinic is all that an administrator can name: where it is not one of the own clinic's, there is nothing.
        let expected = if path.contains("{client}") { 404 } else { expected[5] };
        let answer = ask(&mut alien.clone(), method, path).await;
        assert_eq!(answer.status, expected, "{method} {path} as another administrator: {}", answer.text());
    }
}

#[tokio::test]
async fn the_console_answers_the_operators_staff_as_the_table_says_and_nobody_else() {
    let place = Deployment::new().await;
    let (staff, alien, visitors) = (staff(&place).await, stranger(&place).await, visitors(&place).await);
    for &(method, path, expected) in CONSOLE {
        assert!(path.starts_with("/console"), "{path}");
        for (who, column, visitor) in &staff {
            let answer = ask(&mut visitor.clone(), method, path).await;
            let name = format!("{method} {path} as {who}");
            assert_eq!(answer.status, expected[*column], "{name}: {}", answer.text());
            headers_are_there(&answer, &name);
        }
        for (who, column, visitor) in &visitors {
            let answer = ask(&mut visitor.clone(), method, path).await;
            assert_eq!(answer.status, NOT_STAFF[*column], "{method} {path} {who}: {}", answer.text());
        }
        assert_eq!(ask(&mut alien.clone(), method, path).await.status, 403, "{method} {path} as another administrator");
    }
    let table: Vec<_> = TABLE.iter().filter(|(_, path, _)| path.starts_with("/console")).collect();
    assert!(table.is_empty(), "ways of the console stand in their own table: {table:?}");
}

#[tokio::test]
async fn a_path_or_method_that_is_not_there_is_a_page_for_those_inside_and_closed_for_the_rest() {
    let place = Deployment::new().await;
    for (who, column, mut browser) in visitors(&place).await {
        for (method, path, inside) in
            [(Method::GET, "/nowhere", 404), (Method::DELETE, "/menu", 405), (Method::GET, "/logout", 405)]
        {
            let answer = browser.send(method.clone(), path, None, &[]).await;
            let expected = if column == 0 { 403 } else { inside };
            assert_eq!(answer.status, expected, "{method} {path} {who}");
            headers_are_there(&answer, path);
            assert!(answer.text().contains("<html lang=\"ja\">"), "{method} {path} {who}");
        }
    }
}

#[tokio::test]
async fn each_closed_gate_says_which_one_it_is() {
    let place = Deployment::new().await;
    let mut reasons = Vec::new();
    for (_, column, mut browser) in visitors(&place).await {
        if column == 0 {
            let page = browser.get("/menu").await.text();
            let (_, rest) = page.split_once("data-reason=\"").expect("a reason");
            reasons.push(rest.split('"').next().unwrap_or_default().to_owned());
        }
    }
    assert_eq!(reasons, ["none", "foreign", "expired", "revoked", "not-yet-valid", "foreign", "foreign"]);
}

#[tokio::test]
async fn a_stale_list_of_revoked_certificates_says_when_to_come_again() {
    let place = Deployment::new().await;
    let mut browser = place.browser(&place.due);
    browser.peer.state = PeerState::Unknowable;
    let answer = browser.get("/menu").await;
    assert_eq!((answer.status, answer.header("retry-after")), (StatusCode::SERVICE_UNAVAILABLE, "60"));
    assert!(answer.text().contains("data-reason=\"unknowable\""));
}

#[tokio::test]
async fn programs_get_a_problem_document_with_a_stable_code() {
    let place = Deployment::new().await;
    let accept = [("accept", "application/json")];
    let mut nobody = place.visitor(Presented::None, PeerState::None);
    let answer = nobody.send(Method::GET, "/menu", None, &accept).await;
    assert_eq!(answer.header("content-type"), "application/problem+json");
    let document: serde_json::Value = serde_json::from_slice(&answer.body).expect("JSON");
    assert_eq!((document["code"].as_str(), document["status"].as_u64()), (Some("no-certificate"), Some(403)));
    let answer = place.browser(&place.due).send(Method::GET, "/menu", None, &accept).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert!(answer.text().contains("\"code\":\"login-required\""));
}
