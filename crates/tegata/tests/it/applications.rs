//! Applications behind the gate of the whole program.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::get;
use http::HeaderMap;
use reqwest::Client;
use tegata_core::cert::RevocationReason;
use tegata_core::time::Days;

use crate::bed::{Bed, Held, clinic, free_port, now, operator, terminal};
use crate::faults::destroy_the_register;

/// An application on a free port: it says which terminal it sees.
async fn application(word: &'static str) -> SocketAddr {
    let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = socket.local_addr().expect("an address");
    let who = move |headers: HeaderMap| async move {
        format!("{word} {}", headers.get("x-tegata-terminal").and_then(|name| name.to_str().ok()).unwrap_or("-"))
    };
    tokio::spawn(async move { axum::serve(socket, Router::new().fallback(get(who))).await });
    address
}

/// A port where nobody listens, and nobody else can as long as the socket lives: other tests look for free ports at the same time.
fn nobodys_port() -> (tokio::net::TcpSocket, SocketAddr) {
    let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
    socket.bind(([127, 0, 0, 1], 0).into()).expect("a free port");
    let address = socket.local_addr().expect("bound");
    (socket, address)
}

struct Place {
    bed: Bed,
    port: u16,
}

impl Place {
    /// A deployment with a second port for applications.
    fn new() -> Self {
        let bed = Bed::new();
        let second = free_port();
        let config = std::fs::read_to_string(bed.config()).expect("readable");
        let listen = format!("listen = \"{}\"\n", bed.address);
        let config = config.replace(&listen, &format!("{listen}also_listen = [\"{second}\"]\n"));
        let (before, after) = config.split_once("\n[[application]]\n").expect("a section of the sample");
        let (_, after) = after.split_once("\n[log]").expect("the next section");
        std::fs::write(bed.config(), format!("{before}\n[log]{after}")).expect("writable");
        Self { bed, port: second.port() }
    }

    fn url(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.port)
    }

    /// Adds an application to the configuration.
    fn add(&self, path: &str, upstream: SocketAddr, more: &str) {
        let config = std::fs::read_to_string(self.bed.config()).expect("readable");
        let section = format!(
            "\n[[application]]\nname_ja = \"試し\"\nname_en = \"Trial\"\nurl = \"{}\"\nupstreams = [\"http://{upstream}\"]\n{more}\n",
            self.url(path)
        );
        std::fs::write(self.bed.config(), config + &section).expect("writable");
    }

    /// A browser whose `localhost` is this machine at whatever port.
    fn browser(&self, held: Option<&Held>) -> Client {
        let ca = reqwest::Certificate::from_pem(&self.bed.ca()).expect("a certificate");
        let mut builder = Client::builder().tls_certs_only([ca]).redirect(reqwest::redirect::Policy::none());
        if let Some(held) = held {
            builder = builder.identity(reqwest::Identity::from_pem(&held.pem).expect("certificate and key"));
        }
        builder.timeout(Duration::from_secs(20)).build().expect("a client")
    }

    async fn ask(&self, held: Option<&Held>, path: &str) -> (u16, String) {
        let request = self.browser(held).get(self.url(path)).header("accept", "text/html");
        let answer = request.send().await.expect("answered");
        (answer.status().as_u16(), answer.text().await.expect("text"))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_gate_passes_on_terminals_and_shows_everybody_else_a_page() {
    let place = Place::new();
    let authority = place.bed.authority().await;
    let customer = clinic(&authority, "103001").await;
    let (good_terminal, good) = terminal(&authority, customer, "受付1", now().plus_days(Days(600))).await;
    let (stolen_terminal, stolen) = terminal(&authority, customer, "受付2", now().plus_days(Days(600))).await;
    let scope = operator().scope();
    let of = async |id| authority.reader().certificates_of_terminal(scope, id).await.expect("read").remove(0);
    authority
        .revoke(&operator(), &of(stolen_terminal.id).await, RevocationReason::KeyCompromise)
        .await
        .expect("revoked");
    place.add("/", application("first").await, "");
    let _server = place.bed.serve();
    assert_eq!(place.ask(Some(&good), "/any?thing=1").await, (200, "first client0001".to_owned()));
    assert!(of(good_terminal.id).await.used_at.is_some(), "the first use is noticed here, too");
    for (held, reason) in [(None, "none"), (Some(&stolen), "revoked")] {
        let (status, page) = place.ask(held, "/any").await;
        assert!(status == 403 && page.contains(&format!("data-reason=\"{reason}\"")), "{reason}: {status} {page}");
    }
    // The portal is where it was.
    let login = place.browser(Some(&good)).get(place.bed.url("/login")).send().await.expect("answered");
    assert_eq!(login.status().as_u16(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn with_the_database_stopped_applications_go_on_and_revoked_terminals_stay_outside() {
    let place = Place::new();
    let authority = place.bed.authority().await;
    let customer = clinic(&authority, "103001").await;
    let (_, good) = terminal(&authority, customer, "受付1", now().plus_days(Days(600))).await;
    let (stolen_terminal, stolen) = terminal(&authority, customer, "受付2", now().plus_days(Days(600))).await;
    let scope = operator().scope();
    let record = authority.reader().certificates_of_terminal(scope, stolen_terminal.id).await.expect("read").remove(0);
    authority.revoke(&operator(), &record, RevocationReason::KeyCompromise).await.expect("revoked");
    authority.close().await;
    place.add("/", application("first").await, "");
    let _server = place.bed.serve();
    assert_eq!(place.ask(Some(&good), "/").await.0, 200);
    destroy_the_register(&place.bed);
    for _ in 0..3 {
        assert_eq!(place.ask(Some(&good), "/").await, (200, "first client0001".to_owned()));
        assert_eq!(place.ask(Some(&stolen), "/").await.0, 403);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_list_is_read_again_on_a_hangup_and_a_wrong_one_changes_nothing() {
    let place = Place::new();
    let authority = place.bed.authority().await;
    let customer = clinic(&authority, "103001").await;
    let (_, held) = terminal(&authority, customer, "受付1", now().plus_days(Days(600))).await;
    authority.close().await;
    place.add("/one", application("one").await, "");
    let server = place.bed.serve();
    let browser = place.browser(Some(&held));
    let ask = async |path: &str| {
        let answer = browser.get(place.url(path)).header("accept", "text/html").send().await.expect("answered");
        (answer.status().as_u16(), answer.text().await.expect("text"))
    };
    assert_eq!(ask("/one").await.0, 200);
    let (status, page) = ask("/two").await;
    assert!(status == 404 && page.contains("アプリケーションがありません"), "{status} {page}");
    place.add("/two", application("two").await, "");
    let hang_up = || {
        let sent = std::process::Command::new("kill").args(["-HUP", &server.0.id().to_string()]).status();
        assert!(sent.expect("kill exists").success());
    };
    hang_up();
    let begun = Instant::now();
    while ask("/two").await.0 != 200 {
        assert!(begun.elapsed() < Duration::from_secs(10), "{}", place.bed.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    place.add("/two", application("three").await, "");
    hang_up();
    while !place.bed.log().contains("stays as it was") {
        assert!(begun.elapsed() < Duration::from_secs(20), "{}", place.bed.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(ask("/two").await, (200, "two client0001".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_served_is_a_page_for_people_and_exact_words_for_old_programs() {
    let place = Place::new();
    let authority = place.bed.authority().await;
    let customer = clinic(&authority, "103001").await;
    let (_, held) = terminal(&authority, customer, "受付1", now().plus_days(Days(600))).await;
    authority.close().await;
    let (_held, gone) = nobodys_port();
    place.add("/gone", gone, "");
    place.add("/gone-for-programs", gone, "programs = true");
    place.add("/of-others", application("theirs").await, "customers = [\"u00000077\"]");
    place.add("/of-other-programs", application("theirs").await, "customers = [\"u00000077\"]\nprograms = true");
    let _server = place.bed.serve();
    let (status, page) = place.ask(Some(&held), "/gone").await;
    assert!(status == 503 && page.contains("アプリケーションにつながりません") && page.contains("tel:"), "{page}");
    let (status, page) = place.ask(Some(&held), "/of-others").await;
    assert!(status == 403 && page.contains("この端末からは利用できません"), "{page}");
    let exact = async |held, path, expected: (u16, &str)| {
        let (status, text) = place.ask(held, path).await;
        assert_eq!((status, text.as_str()), expected, "{path}");
    };
    exact(Some(&held), "/gone-for-programs", (503, "GINBEE_MAINTENANCE")).await;
    exact(Some(&held), "/of-other-programs", (403, "USER NOT IN TENANTDB")).await;
    exact(None, "/gone-for-programs", (403, "NOT PERMITTED CERTIFICATE")).await;
}
