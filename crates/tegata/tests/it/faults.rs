//! What the server does when something around it breaks.

use std::io::Write;
use std::time::Duration;

use reqwest::StatusCode;
use tegata_core::cert::RevocationReason;
use tegata_core::time::Days;

use crate::bed::{Bed, clinic, now, terminal};

/// The gate answers from memory: with the register destroyed, visitors are still told apart, a revoked one stays outside, and the one page
/// that needs the register says so instead of letting anybody in.
#[tokio::test(flavor = "multi_thread")]
async fn the_gate_goes_on_with_the_database_stopped_and_closes_when_its_picture_is_too_old() {
    let bed = Bed::new();
    let config = std::fs::read_to_string(bed.config()).expect("readable");
    let config = config.replace("trust_max_age_seconds = 900", "trust_max_age_seconds = 8");
    std::fs::write(bed.config(), config).expect("writable");
    let authority = bed.authority().await;
    let customer = clinic(&authority, "103001").await;
    let (_, good) = terminal(&authority, customer, "受付1", now().plus_days(Days(600))).await;
    let (stolen_terminal, stolen) = terminal(&authority, customer, "受付2", now().plus_days(Days(600))).await;
    let scope = crate::bed::operator().scope();
    let record = authority.reader().certificates_of_terminal(scope, stolen_terminal.id).await.expect("read").remove(0);
    authority.revoke(&crate::bed::operator(), &record, RevocationReason::KeyCompromise).await.expect("revoked");
    authority.close().await;
    let _server = bed.serve();
    let ask = async |held: Option<&crate::bed::Held>| {
        let answer = bed.browser(held).get(bed.url("/login")).send().await.expect("answered");
        (answer.status().as_u16(), answer.text().await.expect("text"))
    };
    assert_eq!(ask(Some(&good)).await.0, 200);
    destroy_the_register(&bed);
    let (status, page) = ask(Some(&stolen)).await;
    assert!(status == 403 && page.contains("data-reason=\"revoked\""), "{status} {page}");
    let (status, page) = ask(None).await;
    assert!(status == 403 && page.contains("data-reason=\"none\""), "{status} {page}");
    assert_eq!(ask(Some(&good)).await.0, 500, "this page needs the register");
    let begun = std::time::Instant::now();
    loop {
        let (status, page) = ask(Some(&good)).await;
        if page.contains("data-reason=\"unknowable\"") {
            assert_eq!(status, 503);
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "the picture never grew too old");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let health = reqwest::get(format!("http://{}/healthz", bed.operations)).await.expect("answered");
    assert_eq!(health.status(), StatusCode::SERVICE_UNAVAILABLE);
}

/// Fills a file with rubbish; has a server refuse us.
pub fn destroy_the_register(bed: &Bed) {
    if bed.register.is_on_server() {
        bed.register.administer("ALTER DATABASE {} ALLOW_CONNECTIONS false");
        bed.register.administer("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{}'");
        return;
    }
    for file in ["tegata.db", "tegata.db-wal", "tegata.db-shm"] {
        // Overwritten in place: the server's own file handles see it.
        let path = bed.dir.join(file);
        let length = std::fs::metadata(&path).map(|meta| meta.len()).unwrap_or(0);
        let rubbish = vec![0xAA; usize::try_from(length).expect("a small file")];
        std::fs::OpenOptions::new().write(true).open(&path).and_then(|mut f| f.write_all(&rubbish)).expect("writable");
    }
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
    destroy_the_register(&bed);
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
