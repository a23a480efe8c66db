//! 連絡先とお知らせ: what an administrator sends arrives checked, what is wrong is said and kept, and nothing of another customer is there.

use http::StatusCode;

use crate::deployment::{ADMIN, Deployment};

#[tokio::test]
async fn an_administrator_adds_tries_and_removes_a_contact() {
    let place = Deployment::new().await;
    let mut admin = place.browser(&place.due);
    admin.log_in(ADMIN).await;
    assert!(admin.get("/admin/notices").await.text().contains("no-contacts"));
    let added = admin
        .post("/admin/notices", &[("name", "事務長"), ("address", " jimu@clinic.example.jp "), ("language", "ja")])
        .await;
    assert_eq!((added.status, added.location()), (StatusCode::SEE_OTHER, "/admin/notices?done=added"));
    let shown = admin.get("/admin/notices?done=added").await.text();
    for part in ["事務長", "jimu@clinic.example.jp", "送信待ち", "id=\"done\"", "確認のメール"] {
        assert!(shown.contains(part), "{part}");
    }
    assert!(!admin.get("/admin/notices?done=%3Cb%3E").await.text().contains("id=\"done\""), "only words that we know");
    let tested = admin.post("/admin/notices/1", &[("act", "test")]).await;
    assert_eq!((tested.status, tested.location()), (StatusCode::SEE_OTHER, "/admin/notices?done=tested"));
    assert_eq!(admin.post("/admin/notices/1", &[("act", "other")]).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(admin.post("/admin/notices/99", &[("act", "test")]).await.status, StatusCode::NOT_FOUND);
    let removed = admin.post("/admin/notices/1", &[("act", "remove")]).await;
    assert_eq!((removed.status, removed.location()), (StatusCode::SEE_OTHER, "/admin/notices?done=removed"));
    assert!(admin.get("/admin/notices").await.text().contains("no-contacts"));
}

#[tokio::test]
async fn what_is_no_address_is_refused_and_what_was_typed_stays() {
    let place = Deployment::new().await;
    let mut admin = place.browser(&place.due);
    admin.log_in(ADMIN).await;
    for wrong in ["jimu@", "a@b.jp\r\nBcc: c@d.jp", "<script>@example.jp", "受付@example.jp"] {
        let answer = admin.post("/admin/notices", &[("name", "事務長"), ("address", wrong)]).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{wrong:?}");
        let text = answer.text();
        assert!(
            text.contains("add-error") && text.contains("value=\"事務長\"") && !text.contains("<script>@"),
            "{wrong:?}"
        );
    }
    let nameless = admin.post("/admin/notices", &[("name", " "), ("address", "jimu@clinic.example.jp")]).await;
    assert!(nameless.text().contains("value=\"jimu@clinic.example.jp\""));
}

#[tokio::test]
async fn the_calendar_has_the_ends_of_all_terminals() {
    let place = Deployment::new().await;
    let mut admin = place.browser(&place.due);
    admin.log_in(ADMIN).await;
    let answer = admin.get("/admin/calendar.ics").await;
    assert_eq!(answer.header("content-type"), "text/calendar; charset=utf-8");
    let text = answer.text();
    assert!(text.starts_with("BEGIN:VCALENDAR\r\n") && text.ends_with("END:VCALENDAR\r\n"), "{text}");
    assert_eq!(text.matches("BEGIN:VEVENT").count(), 2, "its own two, and none of the other customer's: {text}");
}
