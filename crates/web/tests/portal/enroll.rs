//! A terminal is added by its clinic's administrator, or moves to another PC: a code is typed at a PC without a certificate, which gets one. And
//! everything that must not come by this way.

use http::StatusCode;
use tegata_core::audit::Action;
use tegata_core::cert::{CertRecord, RevocationReason};
use tegata_core::id::ClientNumber;
use tegata_core::peer::{PeerState, Presented};
use tegata_core::profile::Purpose;
use tegata_core::terminal::Terminal;
use tegata_pki::pkcs12;
use tegata_store::AuditFilter;

use crate::deployment::{ADMIN, Answer, Browser, Deployment, STRANGER, USER};
use crate::est::{issued, with_code};

/// The administrator at 診察室 (1-2); 受付1 is 1-1.
async fn administrator() -> (Deployment, Browser) {
    let place = Deployment::new().await;
    let mut admin = place.browser(&place.fresh);
    admin.log_in(ADMIN).await;
    (place, admin)
}

async fn add(admin: &mut Browser, name: &str) -> Answer {
    admin.get("/admin/terminals/new").await;
    admin.post("/admin/terminals/new", &[("name", name), ("place", "2階")]).await
}

async fn invite(admin: &mut Browser, client: u32, moves: bool) -> Answer {
    admin.get(&format!("/admin/terminals/{client}")).await;
    let fields: &[(&str, &str)] = if moves { &[("moves", "yes")] } else { &[] };
    admin.post(&format!("/admin/terminals/{client}/invitation"), fields).await
}

async fn code(admin: &mut Browser, client: u32, moves: bool) -> String {
    let page = invite(admin, client, moves).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.text());
    page.element("invitation-code")
}

fn new_pc(place: &Deployment) -> Browser {
    place.visitor(Presented::None, PeerState::None)
}

async fn type_code(browser: &mut Browser, code: &str) -> Answer {
    browser.get("/enroll").await;
    browser.post("/enroll", &[("code", code)]).await
}

/// Types the code, fetches the file, opens it with the password, and finds its row.
async fn received(place: &Deployment, code: &str) -> CertRecord {
    let mut browser = new_pc(place);
    let answer = type_code(&mut browser, code).await;
    assert_eq!((answer.status, answer.location()), (StatusCode::SEE_OTHER, "/recovery"), "{}", answer.text());
    browser.get("/recovery").await;
    let file = browser.get("/recovery/bundle.p12?format=standard").await;
    assert_eq!(file.status, StatusCode::OK, "{}", file.text());
    let shown = browser.post("/recovery/password", &[]).await;
    let leaf = pkcs12::open(&file.body, &shown.element("import-password")).expect("the password opens the file").leaf;
    let fingerprint = tegata_pki::issuer::fingerprint(&leaf);
    place.authority.reader().certificate(place.operator.scope(), fingerprint).await.expect("read").expect("recorded")
}

async fn terminal(place: &Deployment, client: u32) -> Terminal {
    let number = ClientNumber::new(client).expect("valid");
    let reader = place.authority.reader();
    let found = reader.terminal_by_client(place.operator.scope(), place.due.customer, number).await;
    found.expect("read").expect("there")
}

async fn row(place: &Deployment, cert: &CertRecord) -> CertRecord {
    let found = place.authority.reader().certificate(place.operator.scope(), cert.fingerprint).await;
    found.expect("read").expect("there")
}

async fn logged(place: &Deployment, of: &Terminal, action: Action) -> Vec<String> {
    let filter =
        AuditFilter { terminal: Some(of.id), action: Some(action.as_str().to_owned()), ..AuditFilter::default() };
    let rows = place.authority.reader().audit_rows_of(place.operator.scope(), &filter, None, 100).await.expect("read");
    rows.into_iter().map(|row| row.detail).collect()
}

#[tokio::test]
async fn a_new_terminal_is_added_and_gets_its_certificate_by_a_code_that_counts_once() {
    let (place, mut admin) = administrator().await;
    let wrong = add(&mut admin, " ").await;
    assert!(
        wrong.status == StatusCode::UNPROCESSABLE_ENTITY && wrong.text().contains("value=\"2階\""),
        "{}",
        wrong.text()
    );
    let added = add(&mut admin, "会計").await;
    assert_eq!((added.status, added.location()), (StatusCode::SEE_OTHER, "/admin/terminals/3"), "{}", added.text());
    let page = admin.get("/admin/terminals/3").await.text();
    assert!(
        page.contains("2階") && page.contains("id=\"invite-button\"") && !page.contains("name=\"moves\""),
        "{page}"
    );
    let code = code(&mut admin, 3, false).await;
    let cert = received(&place, &code).await;
    let new = terminal(&place, 3).await;
    assert_eq!((cert.terminal, cert.renewed_from), (new.id, None));
    let again = type_code(&mut new_pc(&place), &code).await;
    assert_eq!(again.status, StatusCode::FORBIDDEN, "it counts once");
    let mut back = place.browser(&cert);
    place.used(&back).await;
    assert!(back.log_in(USER).await.text().contains("会計"));
    assert_eq!(logged(&place, &new, Action::TerminalAdded).await, ["client0003 会計"]);
    assert_eq!(logged(&place, &new, Action::InvitationMade).await.len(), 1);
    assert!(logged(&place, &new, Action::EnrollmentRequested).await[0].contains("in a browser"));
    assert!(
        logged(&place, &terminal(&place, 2).await, Action::InvitationMade).await[0].contains("会計"),
        "where one sat"
    );
    let log = logged(&place, &new, Action::RecoveryCodeAccepted).await;
    assert!(log.len() == 1 && !log[0].contains(&code), "{log:?}");
}

#[tokio::test]
async fn five_wrong_codes_end_it_and_so_does_an_hour_and_a_newer_one() {
    let (place, mut admin) = administrator().await;
    add(&mut admin, "会計").await;
    let first = code(&mut admin, 3, false).await;
    let second = code(&mut admin, 3, false).await;
    assert_eq!(type_code(&mut new_pc(&place), &first).await.status, StatusCode::FORBIDDEN, "a newer one ends it");
    let last = if second.ends_with('0') { "1" } else { "0" };
    let wrong = format!("{}{last}", &second[..8]);
    for _ in 0..5 {
        assert_eq!(type_code(&mut new_pc(&place), &wrong).await.status, StatusCode::FORBIDDEN);
    }
    assert_eq!(type_code(&mut new_pc(&place), &second).await.status, StatusCode::FORBIDDEN, "five wrong ones");
    let third = code(&mut admin, 3, false).await;
    place.clock.set(place.clock_now().plus_seconds(3601));
    assert_eq!(type_code(&mut new_pc(&place), &third).await.status, StatusCode::FORBIDDEN, "after its hour");
    let unreadable = type_code(&mut new_pc(&place), "4F7K-92Q").await;
    assert_eq!(unreadable.status, StatusCode::UNPROCESSABLE_ENTITY);
    let refused = logged(&place, &terminal(&place, 3).await, Action::InvitationRefused).await;
    assert_eq!(refused.len(), 5, "{refused:?}");
}

#[tokio::test]
async fn a_terminal_moves_when_the_new_pc_is_used_and_not_before() {
    let (place, mut admin) = administrator().await;
    let mut old = place.browser(&place.due);
    old.log_in(USER).await;
    let page = admin.get("/admin/terminals/1").await.text();
    assert!(page.contains("name=\"moves\" value=\"yes\""), "{page}");
    let cert = received(&place, &code(&mut admin, 1, true).await).await;
    assert_eq!(cert.terminal, place.due.terminal);
    assert!(cert.not_after > place.due.not_after.plus_days(tegata_core::time::Days(1000)));
    assert_eq!(row(&place, &place.due).await.revoked, None);
    assert_eq!(old.get("/menu").await.status, StatusCode::OK, "the old PC goes on");

    place.used(&place.browser(&cert)).await;
    let ended = row(&place, &place.due).await.revoked.map(|(_, why)| why);
    assert_eq!(ended, Some(RevocationReason::Superseded));
    assert_eq!(old.get("/menu").await.status, StatusCode::FORBIDDEN, "the old PC is out");
    assert_eq!(row(&place, &cert).await.revoked, None);
    let one = terminal(&place, 1).await;
    assert_eq!(logged(&place, &one, Action::TerminalMoved).await.len(), 1);
    assert_eq!(logged(&place, &one, Action::CloneSuspected).await.len(), 0, "no alarm for what was meant");
    let mut back = place.browser(&cert);
    back.log_in(USER).await;
    let condition = admin.get("/admin/terminals/1").await.element("condition");
    assert_eq!(condition, "使用中");
}

/// What waits is for the new PC alone: fetched at the old one, it would end the move there.
#[tokio::test]
async fn the_old_pc_gets_nothing_of_a_move_by_whatever_way() {
    let (place, mut admin) = administrator().await;
    let mut old = place.browser(&place.due);
    old.log_in(USER).await;
    let cert = received(&place, &code(&mut admin, 1, true).await).await;
    old.get("/menu").await;
    assert_eq!(old.post("/renewal", &[]).await.status, StatusCode::FORBIDDEN);
    let file = old.get("/renewal/bundle.p12?format=standard").await;
    assert!(file.status != StatusCode::OK && !file.body.starts_with(&[0x30]), "{}", file.status);
    assert_ne!(old.post("/renewal/password", &[]).await.status, StatusCode::OK);
    let Presented::Ours(peer) = place.browser(&place.due).peer.presented else { panic!("ours") };
    assert!(place.authority.renew_terminal(&peer, None).await.is_err(), "nor a program there");
    assert_eq!(logged(&place, &terminal(&place, 1).await, Action::TerminalMoved).await.len(), 0);
    assert_eq!(old.get("/menu").await.status, StatusCode::OK, "it goes on as it is");
    place.used(&place.browser(&cert)).await;
    assert_eq!(logged(&place, &terminal(&place, 1).await, Action::TerminalMoved).await.len(), 1);
}

#[tokio::test]
async fn what_waits_from_before_does_not_stand_in_for_the_way_of_moving() {
    let (place, mut admin) = administrator().await;
    let mut old = place.browser(&place.due);
    old.log_in(USER).await;
    old.post("/renewal", &[]).await;
    let code = code(&mut admin, 1, true).await;
    let cert = received(&place, &code).await;
    assert_eq!(cert.renewed_from, None, "not the one that the old PC has asked for");
    place.used(&place.browser(&cert)).await;
    let scope = place.operator.scope();
    let all = place.authority.reader().certificates_of_terminal(scope, place.due.terminal).await.expect("read");
    let living: Vec<_> = all.iter().filter(|cert| cert.revoked.is_none()).map(|cert| cert.id).collect();
    assert_eq!(living, [cert.id]);
}

#[tokio::test]
async fn what_was_revoked_or_lost_does_not_come_back_by_an_administrators_code() {
    let (place, mut admin) = administrator().await;
    let before = code(&mut admin, 1, true).await;
    place.revoke(&place.due).await;
    assert_eq!(type_code(&mut new_pc(&place), &before).await.status, StatusCode::FORBIDDEN, "made before");
    let refused = invite(&mut admin, 1, true).await;
    assert!(
        refused.status == StatusCode::UNPROCESSABLE_ENTITY && refused.text().contains("失効"),
        "{}",
        refused.text()
    );
    assert!(!admin.get("/admin/terminals/1").await.text().contains("id=\"invite-button\""));

    add(&mut admin, "会計").await;
    let never_used = code(&mut admin, 3, false).await;
    admin.get("/admin/terminals/3").await;
    let lost = [("end", "lost"), ("end-reason", "盗難"), ("sure", "yes")];
    assert_eq!(admin.post("/admin/terminals/3/end", &lost).await.status, StatusCode::SEE_OTHER);
    assert_eq!(type_code(&mut new_pc(&place), &never_used).await.status, StatusCode::FORBIDDEN, "lost ends codes");
    assert_eq!(invite(&mut admin, 3, false).await.status, StatusCode::UNPROCESSABLE_ENTITY);

    let by_operator =
        place.authority.invite(&place.operator, &terminal(&place, 1).await, 60, false).await.expect("made");
    assert_eq!(received(&place, by_operator.code.spoken().expose()).await.terminal, place.due.terminal);
}

#[tokio::test]
async fn a_program_may_use_the_code_of_an_administrator_and_then_no_browser_does() {
    let (place, mut admin) = administrator().await;
    add(&mut admin, "会計").await;
    let code = code(&mut admin, 3, false).await;
    let request = tegata_pki::csr::build(&crate::est::key(), "agent").expect("built");
    let mut program = new_pc(&place);
    let answer = with_code(&mut program, "/.well-known/est/agent/simpleenroll", &request, &code).await;
    assert!(!issued(&answer).is_empty());
    assert_eq!(type_code(&mut new_pc(&place), &code).await.status, StatusCode::FORBIDDEN);
    let scope = place.operator.scope();
    let all =
        place.authority.reader().certificates_of_terminal(scope, terminal(&place, 3).await.id).await.expect("read");
    assert_eq!(all.len(), 1);
    assert_eq!(all[0].profile, "agent");
    let san = all[0].terminal.san_uri(Purpose::Agent);
    assert!(san.is_some());
}

#[tokio::test]
async fn codes_are_made_by_administrators_of_the_same_customer_alone() {
    let (place, mut admin) = administrator().await;
    let mut colleague = place.browser(&place.due);
    colleague.log_in(USER).await;
    assert_eq!(invite(&mut colleague, 1, true).await.status, StatusCode::FORBIDDEN);
    assert_eq!(add(&mut colleague, "会計").await.status, StatusCode::FORBIDDEN);
    let mut stranger = place.browser(&place.other);
    stranger.log_in(STRANGER).await;
    assert_eq!(invite(&mut stranger, 2, true).await.status, StatusCode::NOT_FOUND, "no such terminal of theirs");
    let theirs = code(&mut stranger, 1, true).await;
    assert_eq!(received(&place, &theirs).await.terminal, place.other.terminal, "their own first terminal");
    let retired = [("end", "retired"), ("end-reason", "廃棄"), ("sure", "yes")];
    admin.get("/admin/terminals/1").await;
    admin.post("/admin/terminals/1/end", &retired).await;
    assert_eq!(invite(&mut admin, 1, true).await.status, StatusCode::UNPROCESSABLE_ENTITY);
}
