//! 操作ログ of the whole clinic: its administrator finds what was done by terminal, person, category and day, and never another clinic's.

use http::StatusCode;

use crate::deployment::{ADMIN, Browser, Deployment, STRANGER, USER};

/// A day of work at two terminals of one clinic, and at one of another; its administrator looks at it.
async fn at_work() -> (Deployment, Browser) {
    let place = Deployment::new().await;
    let mut reception = place.browser(&place.due);
    reception.log_in(USER).await;
    reception.post("/renewal", &[]).await;
    let mut elsewhere = place.browser(&place.other);
    elsewhere.log_in(STRANGER).await;
    let mut admin = place.browser(&place.fresh);
    admin.log_in(ADMIN).await;
    (place, admin)
}

/// The lines of the table that a question gives, without its head.
async fn lines(admin: &mut Browser, query: &str) -> Vec<String> {
    let answer = admin.get(&format!("/admin/log.csv?{query}")).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    assert_eq!(answer.header("content-type"), "text/csv; charset=utf-8");
    assert!(answer.header("content-disposition").contains("log-u00000001-2026-11-22.csv"));
    answer.text().lines().skip(1).map(str::to_owned).collect()
}

#[tokio::test]
async fn an_administrator_finds_what_was_done_by_terminal_person_category_and_day() {
    let (_place, mut admin) = at_work().await;
    let all = lines(&mut admin, "").await;
    let renewals = |lines: &[String]| lines.iter().filter(|line| line.contains("証明書の更新")).count();
    assert!(all.len() >= 8 && renewals(&all) == 1, "{all:?}");
    let check = async |admin: &mut Browser, query: &str, part: &str| {
        let found = lines(admin, query).await;
        assert!(!found.is_empty() && found.len() < all.len(), "{query}: {found:?}");
        assert!(found.iter().all(|line| line.contains(part)), "{query}: {found:?}");
    };
    check(&mut admin, "terminal=1", "\"受付1\"").await;
    check(&mut admin, &format!("person={USER}"), &format!("\"{USER}\",\"{USER}\"")).await;
    check(&mut admin, "category=login", "\"ログイン\"").await;
    check(&mut admin, &format!("category=certificate&person={USER}"), "証明書").await;
    assert_eq!(lines(&mut admin, "from=2026-11-22&to=2026-11-22").await.len(), all.len());
    for none in
        ["to=2026-11-21", "from=2026-11-23", "person=nobody", "person=%27+OR+1%3D1", "terminal=2&person=uketsuke"]
    {
        assert_eq!(lines(&mut admin, none).await, Vec::<String>::new(), "{none}");
    }
    let page = admin.get("/admin/log?category=login&terminal=1").await.text();
    assert!(page.contains("<option value=\"login\" selected>") && page.contains(USER), "{page}");
    assert!(!page.contains("証明書の更新"), "{page}");
}

#[tokio::test]
async fn nobody_sees_another_clinics_log_whatever_is_asked() {
    let (place, mut admin) = at_work().await;
    let mut stranger = place.browser(&place.other);
    stranger.log_in(STRANGER).await;
    for query in
        ["", "terminal=1", "terminal=3", "person=yakkyoku", "person=uketsuke", "before=9999", "category=register"]
    {
        for (browser, others) in
            [(&mut admin, ["さくら", "薬局", STRANGER]), (&mut stranger, ["診察室", "受付1", USER])]
        {
            let page = browser.get(&format!("/admin/log?{query}")).await;
            // What was typed stands in its field again.
            let text = page.text().replace(&format!("value=\"{}\"", query.trim_start_matches("person=")), "");
            let own = |word: &str| text.contains(&format!(">{word}"));
            assert!(others.iter().all(|word| !own(word)), "{query}: {text}");
        }
    }
    let mut colleague = place.browser(&place.due);
    colleague.log_in(USER).await;
    for path in ["/admin/log", "/admin/log.csv"] {
        assert_eq!(colleague.get(path).await.status, StatusCode::FORBIDDEN, "{path}");
    }
}

#[tokio::test]
async fn what_cannot_be_read_is_said_and_what_was_typed_stays() {
    let (_place, mut admin) = at_work().await;
    let page = admin.get("/admin/log?from=24.11.&to=2026-11-24&person=a%26b").await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(page.element("day-error").contains("2026-11-24") && page.text().contains("value=\"24.11.\""));
    assert!(page.text().contains("value=\"a&#38;b\""), "{}", page.text());
    assert_eq!(admin.get("/admin/log?person=%ff").await.status, StatusCode::BAD_REQUEST);
    assert_eq!(admin.get("/admin/log.csv?from=x").await.status, StatusCode::BAD_REQUEST);
    for odd in ["before=x", "before=-1", "terminal=99999999999", "category=nothing"] {
        assert_eq!(admin.get(&format!("/admin/log?{odd}")).await.status, StatusCode::OK, "{odd}");
    }
}

#[tokio::test]
async fn the_page_says_what_the_last_verification_found() {
    let (place, mut admin) = at_work().await;
    assert!(admin.get("/admin/log").await.element("log-verdict").contains("起動後"));
    place.authority.verify_log(&[]).await.expect("read").found.expect("as it was written");
    let said = admin.get("/admin/log").await.element("log-verdict");
    assert!(said.contains("書き換えや抜けがない") && said.contains("2026年11月22日"), "{said}");
    // Checkpoints that nobody of ours signed.
    let foreign = "{}".to_owned();
    place.authority.verify_log(&[foreign]).await.expect("read").found.expect_err("nothing is proven");
    let said = admin.get("/admin/log?lang=en").await.element("log-verdict");
    assert!(said.contains("was changed") && !said.contains("checkpoint"), "{said}");
}

#[tokio::test]
async fn a_long_log_is_read_page_by_page_within_a_question() {
    let (place, mut admin) = at_work().await;
    let mut reception = place.browser(&place.due);
    for _ in 0..55 {
        reception.log_in(USER).await;
    }
    let page = admin.get("/admin/log?category=login&terminal=1").await.text();
    assert_eq!(page.matches("<tr>").count(), 51, "a head and fifty rows");
    let (_, link) = page
        .split_once("id=\"older-link\"")
        .map_or(("", ""), |(before, _)| before.rsplit_once("href=\"").expect("a link"));
    let link = link.split('"').next().expect("its end").replace("&#38;", "&");
    assert!(link.starts_with("/admin/log?terminal=1&category=login&before="), "{link}");
    let older = admin.get(&link).await.text();
    assert!(older.matches("<tr>").count() >= 6 && !older.contains("id=\"older-link\""), "{older}");
}
