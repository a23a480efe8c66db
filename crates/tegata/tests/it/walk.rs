//! The main job without a browser: a terminal logs in, renews, and comes back with the new certificate.

use reqwest::StatusCode;
use tegata_core::time::Days;

use crate::bed::{Bed, clinic, now, run, terminal};

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_renews_and_comes_back_with_the_new_certificate() {
    let bed = Bed::new();
    let authority = bed.authority().await;
    let customer = clinic(&authority, "103001").await;
    let (row, old) = terminal(&authority, customer, "受付1", now().plus_days(Days(60))).await;
    authority.close().await;
    let _server = bed.serve();

    let browser = bed.browser(Some(&old));
    assert_eq!(bed.log_in(&browser).await.expect("answered").status(), StatusCode::SEE_OTHER);
    let menu = browser.get(bed.url("/menu")).send().await.expect("answered").text().await.expect("text");
    assert!(menu.contains("id=\"renewal-dialog\"") && menu.contains("証明書更新チェック"), "{menu}");

    let (new, password) = bed.renew(&browser).await.expect("answered").expect("a bundle");
    let (again, same) = bed.renew(&browser).await.expect("answered").expect("a bundle");
    assert_eq!((&again.serial, &same), (&new.serial, &password), "asking again gives the same");

    // The session belongs to the terminal: the same cookies work with the new certificate, and the old one works on.
    let fresh = bed.browser(Some(&new));
    assert_eq!(bed.log_in(&fresh).await.expect("answered").status(), StatusCode::SEE_OTHER);
    let menu = fresh.get(bed.url("/menu")).send().await.expect("answered").text().await.expect("text");
    assert!(!menu.contains("id=\"renewal-dialog\""), "nothing to renew any more");
    assert_eq!(browser.get(bed.url("/menu")).send().await.expect("answered").status(), StatusCode::OK);

    let name = format!("{}/{}", row.customer, row.client);
    let (_, shown, _) = run(&mut bed.command(&["--json", "terminal", "show", &name]));
    let shown: serde_json::Value = serde_json::from_str(&shown).expect("JSON");
    let states: Vec<&str> =
        shown["certificates"].as_array().expect("rows").iter().filter_map(|c| c["state"].as_str()).collect();
    assert_eq!(states, ["used", "used"], "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_by_another_process_reaches_open_connections_within_a_second() {
    let bed = Bed::new();
    let authority = bed.authority().await;
    let customer = clinic(&authority, "103001").await;
    let (_, held) = terminal(&authority, customer, "受付1", now().plus_days(Days(600))).await;
    authority.close().await;
    let _server = bed.serve();
    let browser = bed.browser(Some(&held));
    assert_eq!(browser.get(bed.url("/login")).send().await.expect("answered").status(), StatusCode::OK);

    let (output, _, stderr) = run(&mut bed.command(&["cert", "revoke", &held.serial, "--reason", "key-compromise"]));
    assert!(output.status.success(), "{stderr}");
    let refused = async {
        loop {
            let answer = browser.get(bed.url("/login")).send().await.expect("answered");
            if answer.status() == StatusCode::FORBIDDEN {
                return answer.text().await.expect("text");
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    let page = tokio::time::timeout(std::time::Duration::from_secs(1), refused).await.expect("within a second");
    assert!(page.contains("data-reason=\"revoked\""), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_never_moves_to_another_terminal() {
    let bed = Bed::new();
    let authority = bed.authority().await;
    let customer = clinic(&authority, "103001").await;
    let other = clinic(&authority, "103002").await;
    let (_, first) = terminal(&authority, customer, "受付1", now().plus_days(Days(60))).await;
    let (_, second) = terminal(&authority, customer, "受付2", now().plus_days(Days(60))).await;
    let (_, foreign) = terminal(&authority, other, "受付", now().plus_days(Days(60))).await;
    authority.close().await;
    let _server = bed.serve();
    let browser = bed.browser(Some(&first));
    let answer = bed.log_in(&browser).await.expect("answered");
    let cookie =
        answer.headers().get_all("set-cookie").iter().filter_map(|v| v.to_str().ok()).find(|v| v.contains("session"));
    let cookie = cookie.and_then(|v| v.split(';').next()).expect("a session cookie").to_owned();
    for (held, status) in
        [(&first, StatusCode::OK), (&second, StatusCode::SEE_OTHER), (&foreign, StatusCode::FORBIDDEN)]
    {
        let answer =
            bed.browser(Some(held)).get(bed.url("/menu")).header("cookie", &cookie).send().await.expect("answered");
        assert_eq!(answer.status(), status);
    }
    let nobody = bed.browser(None).get(bed.url("/menu")).header("cookie", &cookie).send().await.expect("answered");
    assert_eq!(nobody.status(), StatusCode::FORBIDDEN);
}
