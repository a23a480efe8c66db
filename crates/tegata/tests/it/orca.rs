//! The listener for ORCA's own programs, in the whole program: rules L1 to L10 where they are rules of TLS, of HTTP or of the wiring.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::{Client, Identity, StatusCode};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion, version};
use tegata_core::time::Days;
use tegata_pki::pkcs12;

use crate::bed::{Bed, Held, clinic, free_port, held, now, run, terminal};

const REASON: &str = "monsiaj speaks TLS 1.2 only, until 2028-03";

/// A deployment with the listener switched on.
struct Place {
    bed: Bed,
    orca: SocketAddr,
}

impl Place {
    fn new(more: &str) -> Self {
        let bed = Bed::new();
        let orca = free_port();
        let section = format!(
            "\n[orca]\nlisten = \"{orca}\"\nurl = \"https://localhost:{}\"\nhosts = [\"localhost\"]\n{more}\n",
            orca.port()
        );
        let config = std::fs::read_to_string(bed.config()).expect("init wrote it");
        std::fs::write(bed.config(), config + &section).expect("writable");
        Self { bed, orca }
    }

    fn lenient() -> Self {
        Self::new(&format!("allow_tls12 = \"{REASON}\""))
    }

    fn url(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.orca.port())
    }

    /// A client that speaks h2 where it is offered, sends what the programs send, and follows nothing.
    fn program(&self, held: &Held) -> Client {
        use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
        let json = HeaderValue::from_static("application/json");
        Client::builder()
            .default_headers([(ACCEPT, json.clone()), (CONTENT_TYPE, json)].into_iter().collect())
            .tls_certs_only([reqwest::Certificate::from_pem(&self.bed.ca()).expect("a certificate")])
            .redirect(reqwest::redirect::Policy::none())
            .timeout(Duration::from_secs(20))
            .resolve("localhost", self.orca)
            .identity(Identity::from_pem(&held.pem).expect("certificate and key"))
            .build()
            .expect("a client")
    }

    /// One request as glclient2 writes it, over this version of TLS, read until the other end closes.
    fn raw(&self, held: &Held, version: &'static SupportedProtocolVersion, request: &str) -> Result<String, String> {
        exchange(self.orca, &self.bed.ca(), held, version, request)
    }

    fn state_of(&self, serial: &str) -> String {
        let (_, shown, stderr) = run(&mut self.bed.command(&["--json", "cert", "show", serial]));
        let shown: serde_json::Value = serde_json::from_str(&shown).unwrap_or_else(|_| panic!("{stderr}"));
        shown["state"].as_str().expect("a state").to_owned()
    }
}

fn exchange(
    address: SocketAddr,
    ca: &[u8],
    held: &Held,
    version: &'static SupportedProtocolVersion,
    request: &str,
) -> Result<String, String> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(ca).expect("PEM")).expect("a root");
    let chain = CertificateDer::pem_slice_iter(&held.pem).collect::<Result<Vec<_>, _>>().expect("PEM");
    let key = PrivateKeyDer::from_pem_slice(&held.pem).expect("a key");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .expect("a version")
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, key)
        .expect("a client certificate");
    let name = ServerName::try_from("localhost").expect("a name");
    let connection = ClientConnection::new(Arc::new(config), name).expect("a client");
    let mut stream = StreamOwned::new(connection, TcpStream::connect(address).expect("connected"));
    stream.sock.set_read_timeout(Some(Duration::from_secs(10))).expect("settable");
    stream.write_all(request.as_bytes()).map_err(|error| error.to_string())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).map_err(|error| error.to_string())?;
    Ok(answer.into_iter().map(char::from).collect())
}

/// As libcurl writes it for glclient2 over HTTP/1.1.
fn request(method: &str, path: &str, body: &str) -> String {
    let length = if method == "POST" { format!("Content-Length: {}\r\n", body.len()) } else { String::new() };
    format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nAccept: application/json\r\n\
         Transfer-Encoding: identity\r\n{length}\r\n{body}"
    )
}

/// Head and body of an answer.
fn parts(answer: &str) -> (&str, Vec<u8>) {
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    (head, body.chars().map(|c| u8::try_from(u32::from(c)).expect("a byte")).collect())
}

fn member(body: &[u8], name: &str) -> String {
    let json: serde_json::Value = serde_json::from_slice(body).expect("JSON");
    json[name].as_str().expect("a string").to_owned()
}

/// L2, L3, L5, L6, L7 over HTTP/1.1 and TLS 1.2, as the two programs of the field do it.
#[tokio::test(flavor = "multi_thread")]
async fn l2_l3_l5_l6_a_program_renews_over_http_1_1_and_comes_back_with_the_new_certificate() {
    let place = Place::lenient();
    let authority = place.bed.authority().await;
    let customer = clinic(&authority, "103001").await;
    let (_, old) = terminal(&authority, customer, "受付1", now().plus_days(Days(60))).await;
    authority.close().await;
    let _server = place.bed.serve();

    let mut seen = Vec::new();
    for tls in [&version::TLS12, &version::TLS13] {
        let begun = Instant::now();
        let answer = place.raw(&old, tls, &request("POST", "/api/cert", "{}")).expect("answered");
        let (head, body) = parts(&answer);
        assert!(head.starts_with("HTTP/1.1 200 "), "{answer}");
        assert!(head.contains(&format!("content-length: {}", body.len())), "L2: {head}");
        let pass = member(&body, "pass");
        let uri = member(&body, "uri");
        let path = uri.strip_prefix(&place.url("")).expect("an address at this listener").to_owned();
        let answer = place.raw(&old, tls, &request("GET", &path, "")).expect("answered");
        let (head, file) = parts(&answer);
        assert!(
            head.starts_with("HTTP/1.1 200 ") && head.contains(&format!("content-length: {}", file.len())),
            "{head}"
        );
        assert!(head.contains("connection: close"), "L2: {head}");
        assert!(begun.elapsed() < Duration::from_secs(5), "L2: closed at once, by the server");
        let opened = pkcs12::open(&file, &pass).expect("the whole file");
        seen.push((held(&opened.leaf, opened.key.pkcs8().expose()), pass));
    }
    assert_eq!((&seen[0].0.serial, &seen[0].1), (&seen[1].0.serial, &seen[1].1), "L3: the same pending certificate");
    let new = &seen[0].0;
    assert_eq!(place.state_of(&new.serial), "downloaded", "L6: fetching proves nothing");
    let answer = place.raw(new, &version::TLS12, &request("POST", "/api/cert", "{}")).expect("answered");
    assert!(answer.starts_with("HTTP/1.1 409 "), "{answer}");
    assert_eq!(place.state_of(&new.serial), "used", "L6: the new serial was seen");
    let answer = place.raw(&old, &version::TLS12, &request("POST", "/api/cert", "{}")).expect("answered");
    assert!(answer.starts_with("HTTP/1.1 200 "), "L5: the old certificate goes on: {answer}");
    assert_eq!(
        place.bed.browser(Some(&old)).get(place.bed.url("/check")).send().await.expect("answered").status(),
        200
    );
    let log = place.bed.log();
    assert!(log.contains(REASON), "L7: the exception is logged at each start");
    assert!(!log.contains(&seen[0].1) && !log.contains("token="), "no password and no token in the log: {log}");
}

/// L7: h2 by ALPN, on the same listener; L6 the other way round: the portal sees the new serial.
#[tokio::test(flavor = "multi_thread")]
async fn l7_h2_gives_the_same_and_the_portal_sees_the_new_serial() {
    let place = Place::lenient();
    let authority = place.bed.authority().await;
    let customer = clinic(&authority, "103001").await;
    let (_, old) = terminal(&authority, customer, "受付1", now().plus_days(Days(60))).await;
    authority.close().await;
    let _server = place.bed.serve();
    let program = place.program(&old);
    let answer = program.post(place.url("/api/cert")).body("{}").send().await.expect("answered");
    assert_eq!((answer.status(), answer.version()), (StatusCode::OK, reqwest::Version::HTTP_2));
    assert!(answer.headers().contains_key("content-length"), "L2");
    let body = answer.bytes().await.expect("a body");
    let file = program.get(member(&body, "uri")).send().await.expect("answered");
    assert_eq!(file.status(), StatusCode::OK);
    let announced: usize = file.headers()["content-length"].to_str().expect("ascii").parse().expect("a number");
    let file = file.bytes().await.expect("a body");
    assert_eq!(file.len(), announced, "L2");
    let opened = pkcs12::open(&file, &member(&body, "pass")).expect("the whole file");
    let new = held(&opened.leaf, opened.key.pkcs8().expose());
    assert_eq!(place.state_of(&new.serial), "downloaded");
    let check = place.bed.browser(Some(&new)).get(place.bed.url("/check")).send().await.expect("answered");
    assert_eq!(check.status(), StatusCode::OK);
    assert_eq!(place.state_of(&new.serial), "used");
}

/// L7: the exceptions are this listener's alone, each is off until it is written down, and `doctor` names it.
#[tokio::test(flavor = "multi_thread")]
async fn l7_the_exceptions_are_this_listeners_alone() {
    let place = Place::lenient();
    let authority = place.bed.authority().await;
    let customer = clinic(&authority, "103001").await;
    let (_, held) = terminal(&authority, customer, "受付1", now().plus_days(Days(60))).await;
    authority.close().await;
    let _server = place.bed.serve();
    let portal = |tls| exchange(place.bed.address, &place.bed.ca(), &held, tls, &request("GET", "/healthz", ""));
    let refused = portal(&version::TLS12).expect_err("TLS 1.2 at the portal");
    assert!(refused.contains("ProtocolVersion"), "{refused}");
    let answer = portal(&version::TLS13).expect("answered");
    assert!(answer.starts_with("HTTP/1.1 400 "), "Transfer-Encoding: identity at the portal: {answer}");
    // The portal has no such way in, and this listener none of the portal's.
    let portal = place.bed.browser(Some(&held)).post(place.bed.url("/api/cert")).send().await.expect("answered");
    assert_eq!(portal.status(), StatusCode::NOT_FOUND);
    for path in ["/", "/login", "/menu", "/healthz"] {
        let answer = place.program(&held).get(place.url(path)).send().await.expect("answered");
        assert_eq!(answer.status(), StatusCode::NOT_FOUND, "L1: {path}");
    }
    let (_, said, _) = run(&mut place.bed.command(&["doctor"]));
    assert!(said.contains("orca.allow_tls12") && said.contains(REASON), "{said}");
    assert!(said.contains("TLS 1.3 only"), "the portal's own finding stays: {said}");

    let strict = Place::new("");
    let authority = strict.bed.authority().await;
    let customer = clinic(&authority, "103001").await;
    let (_, held) = terminal(&authority, customer, "受付1", now().plus_days(Days(60))).await;
    authority.close().await;
    let _server = strict.bed.serve();
    let refused =
        strict.raw(&held, &version::TLS12, &request("POST", "/api/cert", "{}")).expect_err("without a reason");
    assert!(refused.contains("ProtocolVersion"), "{refused}");
    let answer = strict.raw(&held, &version::TLS13, &request("POST", "/api/cert", "{}")).expect("answered");
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

/// L4 and L9: the address serves its own certificate only; the window is 62 days or more, at the profile's edge or wider by a setting.
#[tokio::test(flavor = "multi_thread")]
async fn l4_l9_the_window_of_programs_and_the_address_of_one_terminal() {
    let place = Place::new("window_days = 95");
    let authority = place.bed.authority().await;
    let customer = clinic(&authority, "103001").await;
    let (_, inside) = terminal(&authority, customer, "受付1", now().plus_days(Days(95))).await;
    let (_, outside) = terminal(&authority, customer, "受付2", now().plus_days(Days(97))).await;
    let (_, two_months) = terminal(&authority, customer, "受付3", now().plus_days(Days(62))).await;
    authority.close().await;
    let _server = place.bed.serve();
    let ask = async |held: &Held| place.program(held).post(place.url("/api/cert")).send().await.expect("answered");
    assert_eq!(ask(&outside).await.status(), StatusCode::CONFLICT);
    assert_eq!(ask(&two_months).await.status(), StatusCode::OK);
    let answer = ask(&inside).await;
    assert_eq!(answer.status(), StatusCode::OK);
    let uri = member(&answer.bytes().await.expect("a body"), "uri");
    for (held, status) in [(&outside, 404), (&two_months, 404), (&inside, 200)] {
        let answer = place.program(held).get(&uri).send().await.expect("answered");
        assert_eq!(answer.status().as_u16(), status);
    }
    let (output, _, stderr) = {
        let narrow = std::fs::read_to_string(place.bed.config()).expect("there").replace("= 95", "= 61");
        std::fs::write(place.bed.config(), narrow).expect("writable");
        run(&mut place.bed.command(&["config", "check"]))
    };
    assert!(!output.status.success() && stderr.contains("orca.window_days"), "{stderr}");
}

/// L10 on the wire: the exact texts, without a newline, for whoever is not let in; also when the gate's picture is too old.
#[tokio::test(flavor = "multi_thread")]
async fn l10_a_revoked_certificate_is_told_so_in_the_exact_words() {
    let place = Place::lenient();
    let authority = place.bed.authority().await;
    let customer = clinic(&authority, "103001").await;
    let (_, held) = terminal(&authority, customer, "受付1", now().plus_days(Days(60))).await;
    authority.close().await;
    let _server = place.bed.serve();
    let (output, _, stderr) =
        run(&mut place.bed.command(&["cert", "revoke", &held.serial, "--reason", "key-compromise"]));
    assert!(output.status.success(), "{stderr}");
    let begun = Instant::now();
    let answer = loop {
        let answer = place.raw(&held, &version::TLS12, &request("POST", "/api/cert", "{}")).expect("answered");
        if answer.starts_with("HTTP/1.1 403 ") || begun.elapsed() > Duration::from_secs(3) {
            break answer;
        }
    };
    let (head, body) = parts(&answer);
    assert!(head.starts_with("HTTP/1.1 403 ") && head.contains("content-type: text/plain"), "{answer}");
    assert_eq!(body, b"NOT PERMITTED CERTIFICATE");
}
