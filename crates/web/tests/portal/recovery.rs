//! A terminal that is locked out comes back: by a code that is typed there, or by a file that is carried over. And everything that must not
//! work.

use http::StatusCode;
use tegata_core::audit::Action;
use tegata_core::cert::CertRecord;
use tegata_core::id::Serial;
use tegata_core::peer::{PeerState, Presented};
use tegata_core::time::{Days, Timestamp};
use tegata_pki::pkcs12;
use tegata_store::AuditFilter;

use crate::deployment::{ADMIN, Answer, Browser, Deployment, STRANGER, USER};

/// Two months later: 受付1 (1-1) has expired, 診察室 (1-2) has not.
async fn expired() -> (Deployment, Browser) {
    let place = Deployment::new().await;
    place.clock.set(Timestamp::parse("2027-02-01").expect("valid"));
    let mut admin = place.browser(&place.fresh);
    admin.log_in(ADMIN).await;
    (place, admin)
}

async fn ask_for_help(admin: &mut Browser, client: u32, way: &str) -> Answer {
    admin.get(&format!("/admin/terminals/{client}")).await;
    admin.post(&format!("/admin/terminals/{client}/recovery"), &[("way", way), ("reason", "期限切れ")]).await
}

async fn code_for(admin: &mut Browser, client: u32) -> String {
    let page = ask_for_help(admin, client, "code").await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.text());
    assert_eq!(page.element("recovery-number"), format!("1-{client}"));
    page.element("recovery-code")
}

/// A browser that shows nothing: the certificate has expired, so it is not even offered.
fn locked_out(place: &Deployment) -> Browser {
    place.visitor(Presented::None, PeerState::None)
}

async fn type_code(browser: &mut Browser, number: &str, code: &str) -> Answer {
    browser.get("/recovery").await;
    browser.post("/recovery", &[("number", number), ("code", code)]).await
}

/// The certificate inside the file that waits under a path.
async fn fetch(browser: &mut Browser, base: &str, page: &str) -> Vec<u8> {
    browser.get(page).await;
    let file = browser.get(&format!("{base}/bundle.p12?format=standard")).await;
    assert_eq!(file.status, StatusCode::OK, "{}", file.text());
    assert_eq!(file.header("content-disposition"), "attachment; filename=\"103001_JP_u00000001_client001.p12\"");
    let shown = browser.post(&format!("{base}/password"), &[]).await;
    pkcs12::open(&file.body, &shown.element("import-password")).expect("the password opens the file").leaf
}

async fn newest(place: &Deployment, old: &CertRecord) -> CertRecord {
    let scope = place.operator.scope();
    let all = place.authority.reader().certificates_of_terminal(scope, old.terminal).await.expect("read");
    all.into_iter().next().expect("the newest end first")
}

async fn logged(place: &Deployment, cert: &CertRecord, action: Action) -> Vec<(String, String, String)> {
    let filter = AuditFilter {
        terminal: Some(cert.terminal),
        action: Some(action.as_str().to_owned()),
        ..AuditFilter::default()
    };
    let rows = place.authority.reader().audit_rows_of(place.operator.scope(), &filter, None, 100).await.expect("read");
    rows.into_iter().map(|row| (row.actor_name, row.outcome, row.detail)).collect()
}

#[tokio::test]
async fn a_code_that_is_typed_at_the_locked_out_terminal_brings_it_back() {
    let (place, mut admin) = expired().await;
    let list = admin.get("/admin/terminals").await;
    let (text, expired_first) = (list.text(), "期限切れ");
    assert!(text.contains(expired_first) && text.contains("期限切れで接続できない端末が1台あります"), "{text}");
    assert!(!text.contains("薬局"), "another customer's");
    let code = code_for(&mut admin, 1).await;

    let mut there = locked_out(&place);
    let landing = there.get("/menu").await;
    assert_eq!(landing.status, StatusCode::FORBIDDEN);
    assert!(landing.text().contains("action=\"/recovery\""), "the landing page takes the code");
    let answer = there.post("/recovery", &[("number", "1-1"), ("code", &code)]).await;
    assert_eq!((answer.status, answer.location()), (StatusCode::SEE_OTHER, "/recovery"), "{}", answer.text());
    let page = there.get("/recovery").await;
    assert!(page.text().contains("「受付1」の新しい証明書ができました"), "{}", page.text());
    let leaf = fetch(&mut there, "/recovery", "/recovery").await;
    assert_eq!(leaf, fetch(&mut there, "/recovery", "/recovery").await, "as often as needed");

    let new = newest(&place, &place.due).await;
    let mut back = place.browser(&new);
    place.used(&back).await;
    assert!(back.log_in(USER).await.text().contains("id=\"days-left\""));
    assert!(there.get("/recovery").await.text().contains("id=\"code\""), "with its first use the help has ended");
    let begun = logged(&place, &place.due, Action::RecoveryBegun).await;
    assert_eq!(begun, [(ADMIN.to_owned(), "done".to_owned(), "by code: 期限切れ".to_owned())]);
    let at_the_helpers = logged(&place, &place.fresh, Action::RecoveryBegun).await;
    assert!(at_the_helpers.len() == 1 && at_the_helpers[0].2.contains("受付1"), "{at_the_helpers:?}");
    assert_eq!(logged(&place, &place.due, Action::RecoveryCodeAccepted).await.len(), 1);
    assert_eq!(logged(&place, &place.due, Action::BundleDownloaded).await.len(), 2);
}

#[tokio::test]
async fn a_code_that_nobody_typed_leaves_its_end_in_the_log() {
    let (place, mut admin) = expired().await;
    code_for(&mut admin, 1).await;
    place.authority.sweep().await.expect("swept");
    assert_eq!(logged(&place, &place.due, Action::RecoveryLapsed).await.len(), 0, "it still counts");
    place.clock.set(place.clock_now().plus_seconds(16 * 60));
    for _ in 0..2 {
        place.authority.sweep().await.expect("swept");
        let ended = logged(&place, &place.due, Action::RecoveryLapsed).await;
        assert_eq!(ended, [("sweep".to_owned(), "done".to_owned(), "its time is over".to_owned())]);
    }
}

#[tokio::test]
async fn an_administrator_fetches_the_new_certificate_of_another_terminal_and_carries_it_over() {
    let (place, mut admin) = expired().await;
    let answer = ask_for_help(&mut admin, 1, "here").await;
    assert_eq!((answer.status, answer.location()), (StatusCode::SEE_OTHER, "/admin/terminals/1"), "{}", answer.text());
    let leaf = fetch(&mut admin, "/admin/terminals/1", "/admin/terminals/1").await;
    let again = ask_for_help(&mut admin, 1, "here").await;
    assert_eq!(again.status, StatusCode::SEE_OTHER);
    assert_eq!(fetch(&mut admin, "/admin/terminals/1", "/admin/terminals/1").await, leaf, "the same one");
    let new = newest(&place, &place.due).await;
    assert!(new.not_after > place.clock_now().plus_days(Days(1000)) && new.renewed_from.is_none());
    let mut colleague = place.browser(&place.fresh);
    colleague.log_in(USER).await;
    for path in ["/admin/terminals/1", "/admin/terminals/1/bundle.p12"] {
        assert_eq!(colleague.get(path).await.status, StatusCode::FORBIDDEN, "{path}");
    }
    place.clock.set(place.clock_now().plus_seconds(16 * 60));
    let late = admin.get("/admin/terminals/1/bundle.p12").await;
    assert_eq!(late.status, StatusCode::NOT_FOUND, "after a quarter of an hour a reason is asked for again");
}

#[tokio::test]
async fn a_reason_is_asked_for_and_what_was_written_is_kept() {
    let (_place, mut admin) = expired().await;
    admin.get("/admin/terminals/1").await;
    for reason in ["", "   ", &"長".repeat(201)] {
        let answer = admin.post("/admin/terminals/1/recovery", &[("way", "code"), ("reason", reason)]).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(answer.text().contains("理由を200文字以内で") && !answer.text().contains("id=\"recovery-code\""));
    }
    let answer = admin.post("/admin/terminals/1/recovery", &[("way", "x"), ("reason", "期限切れ")]).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_revoked_terminal_is_never_recovered() {
    let (place, mut admin) = expired().await;
    let code = code_for(&mut admin, 1).await;
    place.revoke(&place.due).await;
    let mut there = locked_out(&place);
    assert_eq!(type_code(&mut there, "1-1", &code).await.status, StatusCode::FORBIDDEN, "a code ends with it");
    for way in ["here", "code"] {
        let answer = ask_for_help(&mut admin, 1, way).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{way}");
        assert!(answer.text().contains("失効"), "{way}");
    }
    assert_eq!(newest(&place, &place.due).await.serial, place.due.serial, "nothing was issued");
    let refused = logged(&place, &place.due, Action::RecoveryBegun).await;
    assert_eq!(refused.iter().filter(|(_, outcome, _)| outcome == "refused").count(), 2);
}

#[tokio::test]
async fn a_revocation_after_the_code_was_typed_shuts_the_browser_out() {
    let (place, mut admin) = expired().await;
    let code = code_for(&mut admin, 1).await;
    let mut there = locked_out(&place);
    type_code(&mut there, "1-1", &code).await;
    place.revoke(&newest(&place, &place.due).await).await;
    assert_eq!(there.get("/recovery/bundle.p12").await.status, StatusCode::FORBIDDEN);
    assert_eq!(there.post("/recovery/password", &[]).await.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn five_wrong_codes_from_one_address_are_all_it_has_and_twenty_end_a_code() {
    let (place, mut admin) = expired().await;
    let code = code_for(&mut admin, 1).await;
    let wrong = if code == "0000 0000" { "11111111" } else { "00000000" };
    let mut guesser = locked_out(&place);
    for _ in 0..5 {
        let answer = type_code(&mut guesser, "1-1", wrong).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN);
        assert!(answer.text().contains("復旧コードが違うか"));
    }
    assert_eq!(
        type_code(&mut guesser, "1-1", &code).await.status,
        StatusCode::FORBIDDEN,
        "now the right one is too late"
    );
    assert_eq!(logged(&place, &place.due, Action::RecoveryCodeRefused).await.len(), 5);
    assert_eq!(newest(&place, &place.due).await.serial, place.due.serial, "nothing was issued");
    let mut there = locked_out(&place);
    there.from = Some("192.0.2.7:1".parse().expect("an address"));
    assert_eq!(type_code(&mut there, "1-1", &code).await.status, StatusCode::SEE_OTHER, "others are not shut out");

    let again = ask_for_help(&mut admin, 1, "code").await;
    assert!(
        again.status == StatusCode::UNPROCESSABLE_ENTITY && again.text().contains("name=\"replace\""),
        "it was typed"
    );
    let fields = [("way", "code"), ("reason", "期限切れ"), ("replace", "yes")];
    let code = admin.post("/admin/terminals/1/recovery", &fields).await.element("recovery-code");
    assert_eq!(there.get("/recovery/bundle.p12").await.status, StatusCode::FORBIDDEN);
    for household in 1..=4 {
        let mut guesser = locked_out(&place);
        guesser.from = Some(format!("198.51.100.{household}:1").parse().expect("an address"));
        for _ in 0..5 {
            type_code(&mut guesser, "1-1", if code == "0000 0000" { "11111111" } else { "00000000" }).await;
        }
    }
    assert_eq!(type_code(&mut there, "1-1", &code).await.status, StatusCode::FORBIDDEN, "twenty in all");
}

#[tokio::test]
async fn a_key_in_other_hands_ends_every_way_back_until_the_operator_gives_another_certificate() {
    let (place, mut admin) = expired().await;
    ask_for_help(&mut admin, 1, "here").await;
    let recovered = newest(&place, &place.due).await;
    let compromised = tegata_core::cert::RevocationReason::KeyCompromise;
    let revoked = place.authority.revoke(&place.operator, &place.due, compromised).await.expect("revoked");
    assert!(revoked.contains(&recovered.serial), "what waited goes with it");
    assert_eq!(admin.get("/admin/terminals/1/bundle.p12").await.status, StatusCode::NOT_FOUND);
    for way in ["here", "code"] {
        assert_eq!(ask_for_help(&mut admin, 1, way).await.status, StatusCode::UNPROCESSABLE_ENTITY, "{way}");
    }
    let scope = place.operator.scope();
    let terminal = place.authority.reader().terminal(scope, place.due.terminal).await.expect("read").expect("there");
    let order = tegata_authority::IssueOrder::default();
    let given = place.authority.issue(&place.operator, &terminal, order).await.expect("issued");
    place.authority.handed_over(&place.operator, &given.certificate).await.expect("done");
    assert_eq!(ask_for_help(&mut admin, 1, "code").await.status, StatusCode::OK, "the operator has settled it");
}

#[tokio::test]
async fn a_helpers_terminal_in_other_hands_ends_the_help_that_was_begun_there() {
    let (place, mut admin) = expired().await;
    let code = code_for(&mut admin, 1).await;
    let mut there = locked_out(&place);
    type_code(&mut there, "1-1", &code).await;
    let compromised = tegata_core::cert::RevocationReason::KeyCompromise;
    place.authority.revoke(&place.operator, &place.fresh, compromised).await.expect("revoked");
    assert_eq!(there.get("/recovery/bundle.p12").await.status, StatusCode::FORBIDDEN);
    assert_eq!(type_code(&mut there, "1-1", &code).await.status, StatusCode::FORBIDDEN);
    assert!(newest(&place, &place.due).await.revoked.is_some(), "what waited for it is worth nothing");
}

#[tokio::test]
async fn a_key_that_is_in_use_is_not_handed_out_by_a_recovery() {
    let place = Deployment::new().await;
    let mut user = place.browser(&place.due);
    user.log_in(USER).await;
    user.post("/renewal", &[]).await;
    let renewed = fetch(&mut user, "/renewal", "/renewal").await;
    let cert = newest(&place, &place.due).await;
    place.used(&place.browser(&cert)).await;
    let mut admin = place.browser(&place.fresh);
    admin.log_in(ADMIN).await;
    assert_eq!(ask_for_help(&mut admin, 1, "here").await.status, StatusCode::SEE_OTHER);
    let recovered = fetch(&mut admin, "/admin/terminals/1", "/admin/terminals/1").await;
    assert_ne!(renewed, recovered, "a new certificate with a key of its own");
}

#[tokio::test]
async fn the_first_use_of_something_else_does_not_end_a_recovery() {
    let place = Deployment::new().await;
    let mut admin = place.browser(&place.fresh);
    admin.log_in(ADMIN).await;
    let agent = crate::est::agent(&place, &place.due).await;
    let code = code_for(&mut admin, 1).await;
    let mut there = locked_out(&place);
    type_code(&mut there, "1-1", &code).await;
    place.used(&place.browser(&agent)).await;
    assert_eq!(there.get("/recovery/bundle.p12").await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_reason_that_nobody_could_read_is_no_reason() {
    let (_place, mut admin) = expired().await;
    admin.get("/admin/terminals/1").await;
    for reason in ["\u{200b}\u{200b}", "期限\u{202e}切れ"] {
        let answer = admin.post("/admin/terminals/1/recovery", &[("way", "code"), ("reason", reason)]).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    }
}

#[tokio::test]
async fn the_operator_does_not_take_away_what_a_recovery_made() {
    let (place, mut admin) = expired().await;
    let code = code_for(&mut admin, 1).await;
    let mut there = locked_out(&place);
    type_code(&mut there, "1-1", &code).await;
    let scope = place.operator.scope();
    let terminal = place.authority.reader().terminal(scope, place.due.terminal).await.expect("read").expect("there");
    let order = tegata_authority::IssueOrder::default();
    let refused = place.authority.issue(&place.operator, &terminal, order).await.map(|_| ());
    assert!(matches!(refused, Err(tegata_authority::HandoverError::Waits { .. })), "{refused:?}");
    assert_eq!(there.get("/recovery/bundle.p12").await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_code_counts_for_its_terminal_for_a_quarter_of_an_hour() {
    let (place, mut admin) = expired().await;
    let code = code_for(&mut admin, 1).await;
    let mut there = locked_out(&place);
    for number in ["1-2", "2-1", "1-3", "9-9"] {
        assert_eq!(type_code(&mut there, number, &code).await.status, StatusCode::FORBIDDEN, "{number}");
    }
    for (number, code) in [("受付1", &*code), ("1-1", "1234"), ("", "")] {
        assert_eq!(type_code(&mut there, number, code).await.status, StatusCode::UNPROCESSABLE_ENTITY, "{number}");
    }
    place.clock.set(place.clock_now().plus_seconds(15 * 60));
    assert_eq!(type_code(&mut there, "1-1", &code).await.status, StatusCode::SEE_OTHER, "its last second counts");
    place.clock.set(place.clock_now().plus_seconds(15 * 60 + 1));
    let code = code_for(&mut admin, 1).await;
    place.clock.set(place.clock_now().plus_seconds(15 * 60 + 1));
    assert_eq!(type_code(&mut there, "1-1", &code).await.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_new_code_ends_the_earlier_one_and_typing_again_shuts_the_browser_before_out() {
    let (place, mut admin) = expired().await;
    let earlier = code_for(&mut admin, 1).await;
    let code = code_for(&mut admin, 1).await;
    let (mut one, mut two) = (locked_out(&place), locked_out(&place));
    if earlier != code {
        assert_eq!(type_code(&mut one, "1-1", &earlier).await.status, StatusCode::FORBIDDEN);
    }
    assert_eq!(type_code(&mut one, "1-1", &code).await.status, StatusCode::SEE_OTHER);
    assert_eq!(one.get("/recovery/bundle.p12").await.status, StatusCode::OK);
    assert_eq!(type_code(&mut two, "1-1", &code).await.status, StatusCode::SEE_OTHER, "a retry is safe");
    assert_eq!(two.get("/recovery/bundle.p12").await.status, StatusCode::OK);
    assert_eq!(one.get("/recovery/bundle.p12").await.status, StatusCode::FORBIDDEN);
    let serials: Vec<Serial> = {
        let all = place.authority.reader().certificates_of_terminal(place.operator.scope(), place.due.terminal);
        all.await.expect("read").into_iter().map(|cert| cert.serial).collect()
    };
    assert_eq!(serials.len(), 2, "one new certificate, however often it was asked for");
}

#[tokio::test]
async fn an_administrator_of_another_customer_sees_and_helps_nothing_here() {
    let (place, _) = expired().await;
    place.clock.set(Timestamp::parse("2026-12-01").expect("valid"));
    let mut stranger = place.browser(&place.other);
    stranger.log_in(STRANGER).await;
    let list = stranger.get("/admin/terminals").await.text();
    assert!(list.contains("薬局") && !list.contains("受付1") && !list.contains("診察室"), "{list}");
    // Numbers count within a customer: the only terminal of this one is 1, and 2 is nobody's.
    assert!(stranger.get("/admin/terminals/1").await.text().contains("薬局"));
    for path in ["/admin/terminals/2", "/admin/terminals/0", "/admin/terminals/x", "/admin/terminals/99999"] {
        assert_eq!(stranger.get(path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    assert_eq!(ask_for_help(&mut stranger, 2, "code").await.status, StatusCode::NOT_FOUND);
    let mut elsewhere = place.browser(&place.fresh);
    elsewhere.cookies = stranger.cookies.clone();
    assert_eq!(
        elsewhere.get("/admin/terminals").await.status,
        StatusCode::FORBIDDEN,
        "a session stays at its terminal"
    );
}

#[tokio::test]
async fn a_search_finds_a_terminal_by_any_scrap() {
    let (_place, mut admin) = expired().await;
    let found =
        |answer: Answer| (answer.text().contains("/admin/terminals/1"), answer.text().contains("/admin/terminals/2"));
    assert_eq!(found(admin.get("/admin/terminals?q=%E5%8F%97%E4%BB%98").await), (true, false));
    assert_eq!(found(admin.get("/admin/terminals?q=1-2").await), (false, true));
    assert_eq!(found(admin.get("/admin/terminals?q=20270121").await), (true, false));
    assert_eq!(found(admin.get("/admin/terminals?q=nothing").await), (false, false));
    assert_eq!(admin.get("/admin/terminals?q=%ff").await.status, StatusCode::BAD_REQUEST);
}

async fn end(admin: &mut Browser, client: u32, fields: &[(&str, &str)]) -> Answer {
    admin.get(&format!("/admin/terminals/{client}")).await;
    admin.post(&format!("/admin/terminals/{client}/end"), fields).await
}

#[tokio::test]
async fn a_terminal_that_is_reported_lost_opens_nothing_and_is_never_recovered() {
    let (place, mut admin) = expired().await;
    let code = code_for(&mut admin, 1).await;
    let unsure = end(&mut admin, 1, &[("end", "lost"), ("end-reason", "盗難")]).await;
    assert_eq!(unsure.status, StatusCode::UNPROCESSABLE_ENTITY);
    let reasonless = end(&mut admin, 1, &[("end", "lost"), ("end-reason", " "), ("sure", "yes")]).await;
    assert_eq!(reasonless.status, StatusCode::UNPROCESSABLE_ENTITY);
    let done = end(&mut admin, 1, &[("end", "lost"), ("end-reason", "盗難"), ("sure", "yes")]).await;
    assert_eq!((done.status, done.location()), (StatusCode::SEE_OTHER, "/admin/terminals/1"), "{}", done.text());
    let revoked = newest(&place, &place.due).await.revoked.map(|(_, reason)| reason.as_str());
    assert_eq!(revoked, Some("key-compromise"), "an expired one too");
    assert_eq!(type_code(&mut locked_out(&place), "1-1", &code).await.status, StatusCode::FORBIDDEN);
    assert_eq!(ask_for_help(&mut admin, 1, "code").await.status, StatusCode::UNPROCESSABLE_ENTITY);
    let lost = logged(&place, &place.due, Action::TerminalLost).await;
    assert_eq!(lost, [(ADMIN.to_owned(), "done".to_owned(), "盗難".to_owned())]);
    assert_eq!(logged(&place, &place.fresh, Action::TerminalLost).await.len(), 1, "in the administrator's log, too");
}

#[tokio::test]
async fn a_retired_terminal_gets_nothing_any_more_and_the_terminal_in_use_cannot_be_taken_away() {
    let (place, mut admin) = expired().await;
    let fields = [("end", "retired"), ("end-reason", "廃棄"), ("sure", "yes")];
    let own = end(&mut admin, 2, &fields).await;
    assert_eq!(own.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(own.text().contains("別の端末から"));
    assert_eq!(end(&mut admin, 1, &fields).await.status, StatusCode::SEE_OTHER);
    assert!(admin.get("/admin/terminals").await.text().contains("利用終了"));
    let again = end(&mut admin, 1, &fields).await;
    assert!(again.status == StatusCode::UNPROCESSABLE_ENTITY && again.text().contains("すでに利用を終えています"));
    assert_eq!(ask_for_help(&mut admin, 1, "code").await.status, StatusCode::FORBIDDEN);
    let scope = place.operator.scope();
    let terminal = place.authority.reader().terminal(scope, place.due.terminal).await.expect("read").expect("there");
    assert!(terminal.retired_at.is_some());
    let issued = place.authority.issue(&place.operator, &terminal, tegata_authority::IssueOrder::default()).await;
    assert!(issued.is_err(), "not by the operator either");
}

#[tokio::test]
async fn a_terminal_is_called_what_its_administrator_says() {
    let (place, mut admin) = expired().await;
    admin.get("/admin/terminals/1").await;
    for wrong in ["", "  ", &"長".repeat(41)] {
        let answer = admin.post("/admin/terminals/1/name", &[("name", wrong)]).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    }
    let answer = admin.post("/admin/terminals/1/name", &[("name", "<b>会計</b>")]).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
    assert!(admin.get("/admin/terminals").await.text().contains("&#60;b&#62;会計"));
    let renamed = logged(&place, &place.due, Action::TerminalRenamed).await;
    assert_eq!(renamed[0].2, "受付1 -> <b>会計</b>");
}

#[tokio::test]
async fn where_a_terminal_stands_is_noted_and_found_and_when_it_was_here_is_said() {
    let (place, mut admin) = expired().await;
    admin.get("/admin/terminals/1").await;
    let long = "長".repeat(41);
    for wrong in [("place", long.as_str()), ("system", "x\u{202e}y")] {
        let answer = admin.post("/admin/terminals/1/name", &[("name", "会計"), wrong]).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    }
    assert!(admin.get("/admin/terminals").await.text().contains("受付1"), "the name stays as well");
    let noted = [("name", "受付1"), ("place", "1階 窓口"), ("system", "Windows 11")];
    assert_eq!(admin.post("/admin/terminals/1/name", &noted).await.status, StatusCode::SEE_OTHER);
    let described = logged(&place, &place.due, Action::TerminalDescribed).await;
    assert_eq!(described[0].2, " /  -> 1階 窓口 / Windows 11");
    assert!(logged(&place, &place.due, Action::TerminalRenamed).await.is_empty());
    let found = admin.get("/admin/terminals?q=1%E9%9A%8E").await.text();
    assert!(found.contains("/admin/terminals/1") && !found.contains("\"/admin/terminals/2\""));

    let Presented::Ours(cert) = place.browser(&place.fresh).peer.presented else { panic!("ours") };
    assert!(place.authority.is_news_of(&cert));
    place.authority.saw(&cert, Some("Windows")).await.expect("noted");
    assert!(!place.authority.is_news_of(&cert), "within the hour");
    let shown = admin.get("/admin/terminals/2").await;
    assert!(shown.element("seen").contains("2027年2月1日"), "{}", shown.text());
    assert!(shown.text().contains("「Windows」でした"));
    let sheet = admin.get("/admin/proof").await.text();
    assert!(sheet.contains("1階 窓口") && sheet.contains("id=\"log-head\""), "{sheet}");
    place.clock.set(Timestamp::parse("2026-12-01").expect("valid"));
    let mut stranger = place.browser(&place.other);
    stranger.log_in(STRANGER).await;
    let theirs = stranger.get("/admin/proof").await.text();
    assert!(theirs.contains("薬局") && !theirs.contains("受付1") && !theirs.contains("1階"), "{theirs}");
}
