//! The console: what the operator's staff find, see and do, and what never reaches their eyes.

use http::{Method, StatusCode};
use tegata_authority::EnrollError;
use tegata_core::access::Role;
use tegata_core::cert::RevocationReason;
use tegata_core::id::CustomerId;

use crate::deployment::{Browser, Deployment, STAFF, USER};

async fn as_staff(place: &Deployment, role: Role) -> Browser {
    let (name, _) = STAFF.into_iter().find(|(_, known)| *known == role).expect("one of each");
    let mut browser = place.browser(&place.desk);
    browser.log_in(name).await;
    browser
}

fn escape(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

const DUE: &str = "/console/customers/u00000001/terminals/1";

#[tokio::test]
async fn a_terminal_is_found_by_any_scrap_that_somebody_reads_out() {
    let place = Deployment::new().await;
    let mut desk = as_staff(&place, Role::HelpDesk).await;
    let serial = place.due.serial.to_string();
    let fingerprint = place.due.fingerprint.to_string();
    for scrap in [
        "受付1",
        "受付１",
        "みどり 受付",
        "1-1",
        "u00000001/client0001",
        "103001_JP_u00000001_client001.p12",
        &serial,
        &serial[..14].to_lowercase(),
        &fingerprint,
        &fingerprint[..12].to_uppercase(),
        "2027-01-21",
        "2027年1月21日",
        &place.due.terminal.to_string(),
    ] {
        // The ones that end on this day: it is used.
        place.used(&place.browser(&place.due)).await;
        let answer = desk.get(&format!("/console/search?q={}", escape(scrap))).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert!(answer.text().contains(&format!("href=\"{DUE}\"")), "{scrap}: {}", answer.text());
    }
    for (scrap, expected) in [
        ("103001", "/console/customers/u00000001\""),
        ("さくら", "/console/customers/u00000002\""),
        ("uketsuke", "uketsuke"),
    ] {
        let answer = desk.get(&format!("/console/search?q={}", escape(scrap))).await;
        assert!(answer.text().contains(expected), "{scrap}: {}", answer.text());
    }
    for scrap in ["いない", "%", "_", "!", "'; DROP TABLE terminals; --", "x\u{0}y", "ffffff", "99-99", "2099-01-01"]
    {
        let answer = desk.get(&format!("/console/search?q={}", escape(scrap))).await;
        assert_eq!(answer.status, StatusCode::OK, "{scrap}");
        assert!(answer.text().contains("id=\"nothing\""), "{scrap}: {}", answer.text());
    }
    assert_eq!(desk.get("/console/search?q=%FF").await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn the_picture_of_a_users_page_is_the_page_that_the_user_sees() {
    let place = Deployment::new().await;
    let mut user = place.browser(&place.due);
    place.used(&user).await;
    let real = user.log_in(USER).await;
    let mut desk = as_staff(&place, Role::HelpDesk).await;
    let own = desk.token.clone();
    let seen = desk.get(&format!("{DUE}/seen")).await;
    for id in ["renewal-title", "renewal-text", "not-after", "days-left", "terminal-name"] {
        assert_eq!(seen.element(id), real.element(id), "{id}");
    }
    assert!(!own.is_empty() && !seen.text().contains(&user.token) && !seen.text().contains(&own));
    // Revoked, and then nothing that a browser would show.
    place.revoke(&place.due).await;
    let seen = desk.get(&format!("{DUE}/seen")).await.text();
    assert!(seen.contains("data-reason=\"revoked\""), "{seen}");
}

#[tokio::test]
async fn the_help_desk_never_sees_a_code_and_changes_nothing() {
    let place = Deployment::new().await;
    for role in [Role::HelpDesk, Role::Auditor] {
        let mut browser = as_staff(&place, role).await;
        let page = browser.get(DUE).await;
        assert!(!page.text().contains("method=\"post\" action=\"/console"), "{role}");
        let (lost, cert) = ([("end", "lost"), ("end-reason", "x"), ("sure", "yes")], place.due.serial.to_string());
        let revoke = [("serial", cert.as_str()), ("why", "unspecified"), ("sure", "yes")];
        for (path, fields) in [("recovery", &[("reason", "x")][..]), ("end", &lost), ("revoke", &revoke)] {
            let answer = browser.post(&format!("{DUE}/{path}"), fields).await;
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "{role} {path}");
        }
    }
    let scope = place.operator.scope();
    let cert = place.authority.reader().certificate(scope, place.due.fingerprint).await.expect("read").expect("there");
    let recovery = place.authority.reader().recovery(scope, place.due.terminal).await.expect("read");
    assert!(cert.revoked.is_none() && recovery.is_none());
}

#[tokio::test]
async fn an_officer_makes_a_code_and_the_clinic_reads_who_it_was() {
    let place = Deployment::new().await;
    let mut officer = as_staff(&place, Role::CaOfficer).await;
    officer.get(DUE).await;
    assert_eq!(
        officer.post(&format!("{DUE}/recovery"), &[("reason", " ")]).await.status,
        StatusCode::UNPROCESSABLE_ENTITY
    );
    let answer = officer.post(&format!("{DUE}/recovery"), &[("reason", "全端末の期限切れ、折り返し確認済み")]).await;
    assert_eq!(answer.status, StatusCode::OK);
    let code = answer.element("recovery-code");
    assert_eq!(code.chars().filter(char::is_ascii_digit).count(), 8, "{code}");
    let log = place.browser(&place.due).get("/log").await.text();
    assert!(log.contains("運用担当者（officer）") && log.contains("端末の復旧の開始"), "{log}");
    // Also in the log of the desk at which the officer sat, where the clinic is named; and nowhere among the clinic's rows twice.
    assert!(place.browser(&place.desk).get("/log").await.text().contains("端末の復旧の開始"));
    let midori = CustomerId::new(1).expect("valid");
    let filter = tegata_store::AuditFilter { customer: Some(midori), ..Default::default() };
    let rows = place.authority.reader().audit_rows_of(place.operator.scope(), &filter, None, 100).await.expect("read");
    assert_eq!(rows.iter().filter(|row| row.action == "recovery.begun").count(), 1);
}

#[tokio::test]
async fn an_officer_revokes_one_certificate_with_its_reason_and_only_of_the_terminal_that_is_named() {
    let place = Deployment::new().await;
    let mut officer = as_staff(&place, Role::CaOfficer).await;
    officer.get(DUE).await;
    let serial = place.other.serial.to_string();
    let fields = |serial: &str, why: &str, sure: &str| {
        [("serial", serial.to_owned()), ("why", why.to_owned()), ("sure", sure.to_owned())]
    };
    let send = async |officer: &mut Browser, fields: [(&str, String); 3]| {
        let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        officer.post(&format!("{DUE}/revoke"), &fields).await.status
    };
    assert_eq!(send(&mut officer, fields(&serial, "unspecified", "yes")).await, StatusCode::NOT_FOUND);
    let serial = place.due.serial.to_string();
    assert_eq!(send(&mut officer, fields(&serial, "", "yes")).await, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(send(&mut officer, fields(&serial, "superseded", "")).await, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(send(&mut officer, fields("zz", "superseded", "yes")).await, StatusCode::BAD_REQUEST);
    assert_eq!(send(&mut officer, fields(&serial, "superseded", "yes")).await, StatusCode::SEE_OTHER);
    let scope = place.operator.scope();
    let cert = place.authority.reader().certificate(scope, place.due.fingerprint).await.expect("read").expect("there");
    assert_eq!(cert.revoked.map(|(_, reason)| reason), Some(RevocationReason::Superseded));
    // An officer who takes the own terminal away could not go on.
    let own = "/console/customers/u00000003/terminals/1";
    let serial = place.desk.serial.to_string();
    let answer =
        officer.post(&format!("{own}/revoke"), &[("serial", &serial), ("why", "unspecified"), ("sure", "yes")]).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn a_customer_or_terminal_that_is_not_there_is_no_page() {
    let place = Deployment::new().await;
    let mut officer = as_staff(&place, Role::CaOfficer).await;
    for path in [
        "/console/customers/u00000009",
        "/console/customers/x",
        "/console/customers/u00000001/terminals/9",
        "/console/customers/u00000001/terminals/01x",
        "/console/customers/u00000009/terminals/1/seen",
        "/console/nowhere",
    ] {
        assert_eq!(officer.get(path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test]
async fn staff_who_lose_their_place_lose_the_console() {
    let place = Deployment::new().await;
    let mut officer = as_staff(&place, Role::CaOfficer).await;
    // The same cookies at a clinic's terminal open nothing.
    let mut clinic = place.browser(&place.due);
    clinic.cookies = officer.cookies.clone();
    assert_eq!(clinic.get("/console/customers").await.status, StatusCode::FORBIDDEN);
    place.revoke(&place.desk).await;
    assert_eq!(officer.get("/console/customers").await.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn what_an_officer_sets_for_a_customer_holds_at_once_and_for_no_other() {
    let place = Deployment::new().await;
    let mut officer = as_staff(&place, Role::CaOfficer).await;
    let page = "/console/customers/u00000001";
    officer.get(page).await;
    let path = format!("{page}/settings");
    for wrong in ["-1", "10000", "x", "1.5"] {
        let answer = officer.post(&path, &[("most-terminals", wrong), ("old-programs", "on")]).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{wrong}");
    }
    // Two terminals are there; ORCA's programs are shut out.
    assert_eq!(officer.post(&path, &[("most-terminals", "2")]).await.status, StatusCode::SEE_OTHER);
    let [midori, sakura] = [1, 2].map(|number| CustomerId::new(number).expect("valid"));
    let full = place.authority.add_terminal(&place.operator, midori, None, "三台目").await;
    assert!(matches!(full, Err(EnrollError::Full { most: 2 })), "{full:?}");
    place.authority.add_terminal(&place.operator, sakura, None, "二台目").await.expect("another customer has room");
    let mut program = place.program(&place.browser(&place.due));
    let json = [("content-type", "application/json"), ("accept", "application/json")];
    let ask = async |program: &mut Browser| {
        let answer = program.send(Method::POST, "/api/cert", Some(b"{}".to_vec()), &json).await;
        (answer.status, answer.text())
    };
    assert_eq!(ask(&mut program).await, (StatusCode::FORBIDDEN, "NOT PERMITTED CERTIFICATE".to_owned()));
    assert_eq!(ask(&mut place.program(&place.browser(&place.other))).await.0, StatusCode::OK);
    // People renew as before.
    let mut user = place.browser(&place.due);
    user.log_in(USER).await;
    assert_eq!(user.post("/renewal", &[]).await.status, StatusCode::SEE_OTHER);
    assert_eq!(officer.post(&path, &[("old-programs", "on")]).await.status, StatusCode::SEE_OTHER);
    assert_eq!(ask(&mut program).await.0, StatusCode::OK);
    place.authority.add_terminal(&place.operator, midori, None, "三台目").await.expect("no limit any more");
    let filter = tegata_store::AuditFilter { customer: Some(midori), ..Default::default() };
    let rows = place.authority.reader().audit_rows_of(place.operator.scope(), &filter, None, 100).await.expect("read");
    let told: Vec<&str> =
        rows.iter().filter(|row| row.action == "customer.set").map(|row| row.detail.as_str()).collect();
    assert_eq!(told, ["any number of terminals, old programs on", "at most 2 terminals, old programs off"]);
}
