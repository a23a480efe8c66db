//! The renewal as a person walks through it, and the ways it can be left and come back to.

use http::{Method, StatusCode};
use tegata_core::peer::Presented;
use tegata_core::time::Timestamp;
use tegata_pki::pkcs12;

use crate::deployment::{Browser, Deployment, PASSWORD, STRANGER, USER};

/// 更新, こちら, 確認する: the serial inside the file, and its password.
async fn fetch(browser: &mut Browser, format: &str) -> (Vec<u8>, String) {
    let renewed = browser.post("/renewal", &[]).await;
    assert_eq!((renewed.status, renewed.location()), (StatusCode::SEE_OTHER, "/renewal"), "{}", renewed.text());
    let page = browser.get("/renewal").await;
    assert_eq!(page.status, StatusCode::OK);
    let file = browser.get(&format!("/renewal/bundle.p12?format={format}")).await;
    let name = "attachment; filename=\"103001_JP_u00000001_client001.p12\"";
    assert_eq!((file.header("content-disposition"), file.header("content-type")), (name, "application/x-pkcs12"));
    let shown = browser.post("/renewal/password", &[]).await;
    let password = shown.element("import-password");
    let opened = pkcs12::open(&file.body, &password).expect("the password opens the file");
    (opened.leaf, password)
}

#[tokio::test]
async fn a_due_terminal_is_asked_and_gets_its_certificate() {
    let place = Deployment::new().await;
    let mut browser = place.browser(&place.due);
    let login = browser.get("/login").await;
    assert_eq!(login.element("terminal-name"), "受付1");
    let menu = browser.log_in(USER).await;
    assert!(menu.text().contains("<dialog open id=\"renewal-dialog\""));
    assert_eq!(menu.element("days-left"), "残り60日");
    assert_eq!(menu.element("not-after"), "2027年1月21日（木）14:00");
    let (leaf, password) = fetch(&mut browser, "standard").await;
    let again = fetch(&mut browser, "compat").await;
    assert_eq!(again, (leaf, password.clone()), "the same certificate and password, in either format");
    let text = browser.post("/renewal/password.txt", &[]).await;
    assert_eq!(text.header("content-disposition"), "attachment; filename=\"103001_JP_u00000001_client001.txt\"");
    assert!(text.text().starts_with('\u{feff}') && text.text().contains(&format!("パスワード: {password}\r\n")));
    let menu = browser.get("/menu").await;
    assert!(menu.text().contains("作成済み") && menu.text().contains("renewal-dialog"), "it waits until it was used");
}

/// A look at the headers, or a link on another site, hands nothing over and writes nothing down.
#[tokio::test]
async fn only_a_download_counts_as_one() {
    let place = Deployment::new().await;
    let mut browser = place.browser(&place.due);
    browser.log_in(USER).await;
    browser.post("/renewal", &[]).await;
    let path = "/renewal/bundle.p12?format=standard";
    let head = browser.send(Method::HEAD, path, None, &[]).await;
    assert_eq!(head.status, StatusCode::METHOD_NOT_ALLOWED);
    let linked = browser.send(Method::GET, path, None, &[("sec-fetch-site", "cross-site")]).await;
    assert_eq!((linked.status, linked.location()), (StatusCode::SEE_OTHER, "/renewal"));
    let log = browser.get("/log").await;
    assert!(!log.text().contains("証明書の保存"), "{}", log.text());
    browser.get(path).await;
    assert!(browser.get("/log").await.text().contains("証明書の保存"));
}

#[tokio::test]
async fn two_tabs_get_the_same_certificate() {
    let place = Deployment::new().await;
    let mut one = place.browser(&place.due);
    one.log_in(USER).await;
    let mut two = one.clone();
    let (first, second) = tokio::join!(fetch(&mut one, "standard"), fetch(&mut two, "standard"));
    assert_eq!(first, second);
}

#[tokio::test]
async fn after_the_new_one_was_used_the_old_one_gets_a_kind_word_and_no_dialog() {
    let place = Deployment::new().await;
    let mut old = place.browser(&place.due);
    old.log_in(USER).await;
    fetch(&mut old, "standard").await;
    let identity = match &old.peer.presented {
        Presented::Ours(cert) => place.authority.identify(cert).await.expect("a register").expect("known"),
        _ => unreachable!("it shows one of ours"),
    };
    let all = place.authority.renewal_view(&identity).await.expect("a view").certificates;
    let mut new = place.browser(&all[0]);
    place.used(&new).await;
    new.cookies = old.cookies.clone();
    let menu = new.get("/menu").await;
    assert_eq!(menu.status, StatusCode::OK, "the session goes on with the new certificate");
    assert!(!menu.text().contains("renewal-dialog"));
    let check = new.get("/check").await;
    assert!(check.text().contains("新しい証明書で接続できました"));
    assert_eq!(check.element("presented-serial"), all[0].serial.to_string());
    let menu = old.get("/menu").await;
    assert!(!menu.text().contains("renewal-dialog"));
    assert!(menu.text().contains("更新前の証明書") && menu.text().contains("どちらを選んでも問題ありません"));
    assert!(old.get("/check").await.text().contains("id=\"choose-again\" href=\"https://alt1.localhost:8443/check\""));
}

#[tokio::test]
async fn later_leaves_a_banner_for_the_day_and_the_question_comes_back_tomorrow() {
    let place = Deployment::new().await;
    let mut browser = place.browser(&place.due);
    browser.log_in(USER).await;
    let answer = browser.post("/renewal/later", &[]).await;
    assert_eq!((answer.status, answer.location()), (StatusCode::SEE_OTHER, "/menu"));
    let menu = browser.get("/menu").await;
    assert!(!menu.text().contains("renewal-dialog") && menu.text().contains("id=\"renew-button\""));
    let mut again = place.browser(&place.due);
    assert!(!again.log_in(USER).await.text().contains("renewal-dialog"), "not at the next login of the same day");
    place.clock.set(Timestamp::parse("2026-11-23T01:00:00Z").expect("valid"));
    let mut tomorrow = place.browser(&place.due);
    assert!(tomorrow.log_in(USER).await.text().contains("renewal-dialog"));
}

#[tokio::test]
async fn a_fresh_terminal_is_not_asked_and_cannot_renew() {
    let place = Deployment::new().await;
    let mut browser = place.browser(&place.fresh);
    let menu = browser.log_in(USER).await;
    assert!(!menu.text().contains("action=\"/renewal\""));
    assert_eq!(browser.post("/renewal", &[]).await.status, StatusCode::CONFLICT);
    let nothing = browser.get("/renewal").await;
    assert_eq!(nothing.status, StatusCode::NOT_FOUND);
    assert!(nothing.text().contains("保存できる証明書はありません"));
}

#[tokio::test]
async fn after_seven_days_the_save_page_says_that_its_time_is_over() {
    let place = Deployment::new().await;
    let mut browser = place.browser(&place.due);
    browser.log_in(USER).await;
    fetch(&mut browser, "standard").await;
    place.clock.set(place.authority.now().plus_days(tegata_core::time::Days(8)));
    let mut later = place.browser(&place.due);
    later.log_in(USER).await;
    for path in ["/renewal", "/renewal/bundle.p12", "/renewal/password"] {
        assert_eq!(later.get(path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test]
async fn a_person_of_another_customer_is_sent_away_with_the_right_words() {
    let place = Deployment::new().await;
    let mut browser = place.browser(&place.due);
    browser.get("/login").await;
    let answer = browser.post("/login", &[("user", STRANGER), ("password", PASSWORD)]).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    assert!(answer.text().contains("data-reason=\"wrong-customer\""));
    assert!(!browser.cookies.contains_key("__Host-tegata-session"));
}

#[tokio::test]
async fn a_session_taken_to_another_terminal_is_explained_and_forgotten() {
    let place = Deployment::new().await;
    let mut browser = place.browser(&place.due);
    browser.log_in(USER).await;
    let mut elsewhere = place.browser(&place.fresh);
    elsewhere.cookies = browser.cookies.clone();
    let answer = elsewhere.get("/menu").await;
    assert_eq!(answer.location(), "/login?why=other-terminal");
    assert!(!elsewhere.cookies.contains_key("__Host-tegata-session"));
    assert!(elsewhere.get("/login?why=other-terminal").await.text().contains("別の端末"));
}

#[tokio::test]
async fn the_operation_log_tells_the_story_of_this_terminal_only() {
    let place = Deployment::new().await;
    let mut browser = place.browser(&place.due);
    browser.log_in(USER).await;
    fetch(&mut browser, "standard").await;
    let log = place.browser(&place.due).get("/log").await.text();
    for words in ["パスワードの確認", "証明書の保存", "証明書の更新", "ログイン", USER] {
        assert!(log.contains(words), "{words}");
    }
    let other = place.browser(&place.other).get("/log").await.text();
    assert!(!other.contains("証明書の保存") && !other.contains(USER));
}

#[tokio::test]
async fn a_certificate_revoked_in_the_register_cannot_renew_even_before_the_gate_knows() {
    let place = Deployment::new().await;
    let mut browser = place.browser(&place.due);
    browser.log_in(USER).await;
    place.revoke(&place.due).await;
    let answer = browser.post("/renewal", &[]).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    assert!(answer.text().contains("data-reason=\"revoked\""));
}
