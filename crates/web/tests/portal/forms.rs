//! Forms: their tokens, their bounds, what they may lead to; the login and what it does to cookies.

use http::{Method, StatusCode};
use tegata_core::peer::{PeerState, Presented};

use crate::deployment::{Deployment, PASSWORD, USER};

const SESSION: &str = "__Host-tegata-session";
const CSRF: &str = "__Host-tegata-csrf";

#[tokio::test]
async fn a_form_without_a_genuine_token_changes_nothing_and_leads_back() {
    let place = Deployment::new().await;
    let mut browser = place.browser(&place.due);
    browser.log_in(USER).await;
    let mut stranger = place.browser(&place.due);
    stranger.get("/login").await;
    for token in ["", "forged", &stranger.token.clone()] {
        let mut attacked = browser.clone();
        attacked.token = token.to_owned();
        for path in ["/renewal", "/renewal/later", "/logout", "/renewal/password", "/language"] {
            let answer = attacked.post(path, &[("lang", "en"), ("back", "/menu")]).await;
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "{path}");
            assert!(
                answer.text().contains("もう一度お試しください") && answer.text().contains("data-page=\"trouble\"")
            );
            attacked.token = token.to_owned();
        }
    }
    let menu = browser.get("/menu").await;
    assert!(menu.status == StatusCode::OK && menu.text().contains("renewal-dialog"), "nothing happened");
}

#[tokio::test]
async fn a_form_that_another_site_sends_is_refused_even_with_a_token() {
    let place = Deployment::new().await;
    let mut browser = place.browser(&place.due);
    browser.log_in(USER).await;
    let form = format!("csrf={}", browser.token).into_bytes();
    for headers in [
        [("sec-fetch-site", "cross-site")],
        [("sec-fetch-site", "same-site")],
        [("origin", "https://evil.example")],
        [("origin", "https://alt1.localhost:8443")],
        [("origin", "null")],
    ] {
        let answer = browser.clone().send(Method::POST, "/renewal", Some(form.clone()), &headers).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{headers:?}");
    }
    let own = [("sec-fetch-site", "same-origin"), ("origin", "https://localhost:8443")];
    assert_eq!(browser.send(Method::POST, "/renewal", Some(form), &own).await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn logging_in_and_out_changes_the_token() {
    let place = Deployment::new().await;
    let mut browser = place.browser(&place.due);
    browser.get("/login").await;
    let (before, form) = (browser.cookies[CSRF].clone(), browser.token.clone());
    browser.log_in(USER).await;
    assert_ne!(browser.cookies[CSRF], before);
    let answer = browser.clone().send(Method::POST, "/logout", Some(format!("csrf={form}").into_bytes()), &[]).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN, "a form from before the login");
    let (during, session) = (browser.cookies[CSRF].clone(), browser.cookies[SESSION].clone());
    let answer = browser.post("/logout", &[]).await;
    assert_eq!((answer.status, answer.location()), (StatusCode::SEE_OTHER, "/login"));
    assert_ne!(browser.cookies[CSRF], during);
    browser.cookies.insert(SESSION.into(), session);
    assert_eq!(browser.get("/menu").await.location(), "/login?why=ended", "the session is over on the server");
}

#[tokio::test]
async fn cookies_are_bound_to_the_host_and_hidden() {
    let place = Deployment::new().await;
    let mut browser = place.browser(&place.due);
    browser.get("/login").await;
    let answer = browser.post("/login", &[("user", USER), ("password", PASSWORD)]).await;
    let lines: Vec<&str> = answer.headers.get_all("set-cookie").iter().map(|l| l.to_str().expect("ascii")).collect();
    let session = lines.iter().find(|line| line.starts_with(SESSION)).expect("a session");
    assert!(session.contains("; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=43200"), "{session}");
    let csrf = lines.iter().find(|line| line.starts_with(CSRF)).expect("a visitor");
    assert!(csrf.ends_with("; Path=/; Secure; HttpOnly; SameSite=Strict"), "{csrf}");
}

#[tokio::test]
async fn a_wrong_password_keeps_the_name_and_many_close_the_door_for_minutes() {
    let place = Deployment::new().await;
    let mut browser = place.browser(&place.due);
    browser.get("/login").await;
    let mut statuses = Vec::new();
    for _ in 0..6 {
        let answer = browser.post("/login", &[("user", USER), ("password", "wrong")]).await;
        assert!(answer.text().contains(&format!("value=\"{USER}\"")) && !answer.text().contains("value=\"wrong\""));
        if answer.status == StatusCode::TOO_MANY_REQUESTS {
            assert_eq!(answer.header("retry-after"), "60");
            assert!(answer.text().contains("約1分後"));
        }
        statuses.push(answer.status.as_u16());
    }
    assert_eq!(statuses, [401, 401, 401, 401, 429, 429]);
    assert_eq!(browser.post("/login", &[("user", USER), ("password", PASSWORD)]).await.status.as_u16(), 429);
}

#[tokio::test]
async fn broken_and_endless_forms_are_refused_with_a_page() {
    let place = Deployment::new().await;
    let mut browser = place.browser(&place.due);
    browser.get("/login").await;
    let token = browser.token.clone();
    let send = async |form: Vec<u8>| browser.clone().send(Method::POST, "/login", Some(form), &[]).await;
    for broken in ["user=%zz", "user=%ff", "user=%"] {
        assert_eq!(
            send(format!("csrf={token}&{broken}").into_bytes()).await.status,
            StatusCode::BAD_REQUEST,
            "{broken}"
        );
    }
    assert_eq!(send(vec![0xff; 10]).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(send(vec![b'a'; 20_000]).await.status, StatusCode::PAYLOAD_TOO_LARGE);
    let extra = format!("csrf={token}&user={USER}&password=wrong&more=1&user=second").into_bytes();
    assert_eq!(send(extra).await.status, StatusCode::UNAUTHORIZED, "unknown fields are ignored");
    let json = [("content-type", "application/json")];
    let answer = browser.send(Method::POST, "/login", None, &json).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn the_language_switch_never_leads_to_another_host() {
    let place = Deployment::new().await;
    for back in ["//evil.example", "https://evil.example/", "/\\evil.example", "javascript:alert(1)", "/a\r\nX: y", ""]
    {
        let mut browser = place.visitor(Presented::None, PeerState::None);
        browser.get("/").await;
        let answer = browser.post("/language", &[("lang", "en"), ("back", back)]).await;
        assert_eq!((answer.status, answer.location()), (StatusCode::SEE_OTHER, "/"), "{back:?}");
    }
}

#[tokio::test]
async fn the_language_is_remembered_by_button_and_by_address_and_for_those_outside_too() {
    let place = Deployment::new().await;
    let mut browser = place.visitor(Presented::None, PeerState::None);
    assert!(browser.get("/").await.text().contains("<html lang=\"ja\">"));
    let answer = browser.post("/language", &[("lang", "en"), ("back", "/log?before=3")]).await;
    assert_eq!(answer.location(), "/log?before=3");
    assert!(browser.get("/").await.text().contains("<html lang=\"en\">"));
    let mut other = place.browser(&place.due);
    assert!(other.get("/login?lang=en").await.text().contains("<html lang=\"en\">"));
    assert!(other.get("/login").await.text().contains("<html lang=\"en\">"));
    assert!(other.get("/login?lang=xx").await.text().contains("<html lang=\"en\">"));
    let back = other.get("/login?lang=ja").await.text();
    assert!(back.contains("<html lang=\"ja\">") && back.contains("name=\"back\" value=\"/login\""));
}

#[tokio::test]
async fn the_format_that_fits_the_platform_is_chosen_beforehand() {
    let place = Deployment::new().await;
    let mut browser = place.browser(&place.due);
    browser.log_in(USER).await;
    browser.post("/renewal", &[]).await;
    for (headers, format) in [
        (&[("sec-ch-ua-platform", "\"Windows\""), ("user-agent", "Mozilla/5.0 (Windows NT 10.0)")], "standard"),
        (&[("sec-ch-ua-platform", "\"macOS\""), ("user-agent", "Mozilla/5.0 (Macintosh)")], "compat"),
    ] {
        let page = browser.send(Method::GET, "/renewal", None, headers).await.text();
        assert!(
            page.contains(&format!("href=\"/renewal/bundle.p12?format={format}\" id=\"download-link\"")),
            "{format}"
        );
    }
}

#[tokio::test]
async fn a_visitors_number_of_the_wrong_shape_is_replaced() {
    let place = Deployment::new().await;
    let mut browser = place.browser(&place.due);
    browser.cookies.insert(CSRF.into(), "short".into());
    browser.get("/login").await;
    assert_eq!(browser.cookies[CSRF].len(), 43);
}
