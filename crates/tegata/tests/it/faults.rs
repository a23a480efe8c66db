//! What the server does when something around it breaks.

use std::time::Duration;

use reqwest::StatusCode;
use tegata_core::time::Days;

use crate::bed::{Bed, clinic, now, terminal};

/// The gate answers from memory: with the database file gone bad, visitors are still told apart.
#[tokio::test(flavor = "multi_thread")]
async fn the_gate_goes_on_with_the_database_stopped() {
    let bed = Bed::new();
    let authority = bed.authority().await;
    let customer = clinic(&authority, "103001").await;
    let (_, held) = terminal(&authority, customer, "受付1", now().plus_days(Days(600))).await;
    authority.close().await;
    let _server = bed.serve();
    let browser = bed.browser(Some(&held));
    assert_eq!(browser.get(bed.url("/login")).send().await.expect("answered").status(), StatusCode::OK);
    let stuck = stop_the_database(&bed);
    tokio::time::sleep(Duration::from_millis(500)).await;
    let nobody = bed.browser(None);
    for _ in 0..3 {
        let answer = nobody.get(bed.url("/login")).send().await.expect("answered");
        assert_eq!(answer.status(), StatusCode::FORBIDDEN);
    }
    let answer = browser.get(bed.url("/assets/style.css")).send().await.expect("answered");
    assert_eq!(answer.status(), StatusCode::OK);
    drop(stuck);
}

/// Holds a file exclusively, as a stuck process would; has a server refuse us.
fn stop_the_database(bed: &Bed) -> Option<crate::bed::Running> {
    if bed.register.is_on_server() {
        bed.register.administer("ALTER DATABASE {} ALLOW_CONNECTIONS false");
        bed.register.administer("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{}'");
        return None;
    }
    let stuck = std::process::Command::new("python3")
        .args(["-c", "import sqlite3,sys,time; c=sqlite3.connect(sys.argv[1]); c.execute('BEGIN EXCLUSIVE'); print('held',flush=True); time.sleep(60)"])
        .arg(bed.dir.join("tegata.db"))
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("python3");
    Some(crate::bed::Running(stuck))
}

/// The server comes back: the process goes on writing without a restart.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_server_that_was_away_is_found_again() {
    let Some(bed) = Bed::on_server() else { return };
    let authority = bed.authority().await;
    let customer = clinic(&authority, "103001").await;
    let (_, held) = terminal(&authority, customer, "受付1", now().plus_days(Days(60))).await;
    authority.close().await;
    let _server = bed.serve();
    let browser = bed.browser(Some(&held));
    stop_the_database(&bed);
    let answer = browser.get(bed.url("/assets/style.css")).send().await.expect("answered");
    assert_eq!(answer.status(), StatusCode::OK);
    bed.register.administer("ALTER DATABASE {} ALLOW_CONNECTIONS true");
    assert_eq!(bed.log_in(&browser).await.expect("answered").status(), StatusCode::SEE_OTHER);
    assert!(bed.renew(&browser).await.expect("answered").is_some(), "a bundle");
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_ends_the_server_cleanly() {
    let bed = Bed::new();
    let mut server = bed.serve();
    let killed = std::process::Command::new("kill").args(["-TERM", &server.0.id().to_string()]).status().expect("kill");
    assert!(killed.success());
    let ended = tokio::task::spawn_blocking(move || server.0.wait()).await.expect("joined").expect("ended");
    assert!(ended.success(), "{ended}: {}", bed.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn health_and_metrics_are_on_the_operations_port() {
    let bed = Bed::new();
    let _server = bed.serve();
    let ask = |path: &str| reqwest::get(format!("http://{}{path}", bed.operations));
    assert_eq!(ask("/healthz").await.expect("answered").status(), StatusCode::OK);
    assert_eq!(ask("/readyz").await.expect("answered").status(), StatusCode::OK);
    let metrics = ask("/metrics").await.expect("answered").text().await.expect("text");
    assert!(metrics.contains("tegata_connections_total"), "{metrics}");
    let public = bed.browser(None).get(bed.url("/metrics")).send().await.expect("answered");
    assert_ne!(public.status(), StatusCode::OK, "metrics are not public");
}
