//! The program itself against the portal over real TLS on loopback: a listener of rustls with client certificates asked for and never required.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, ServerConfig, ServerConnection, SignatureScheme, StreamOwned};
use tegata_agent::system::SystemClock;
use tegata_core::profile::Purpose;
use tegata_core::time::{Clock, Timestamp};

use crate::portal::{CODE, Ca, Portal};

/// Accepts whatever is presented: the portal judges it.
#[derive(Debug)]
struct Anybody(Arc<rustls::crypto::CryptoProvider>);

impl ClientCertVerifier for Anybody {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }
    fn client_auth_mandatory(&self) -> bool {
        false
    }
    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }
    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("TLS 1.3 only".into()))
    }
    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, cert, signed, &self.0.signature_verification_algorithms)
    }
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// Serves the portal on loopback under a certificate of `ca`, until the test ends.
fn serve(portal: &Arc<Portal>, ca: &Ca) -> SocketAddr {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let (key, chain) = portal.server_certificate(ca);
    let chain = chain.into_iter().map(CertificateDer::from).collect();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.pkcs8().expose().clone()));
    let config = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("TLS 1.3")
        .with_client_cert_verifier(Arc::new(Anybody(provider)))
        .with_single_cert(chain, key)
        .expect("a server");
    let (config, portal) = (Arc::new(config), Arc::clone(portal));
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (config, portal) = (Arc::clone(&config), Arc::clone(&portal));
            // A client that refuses us is no failure of the server.
            thread::spawn(move || drop(answer(stream, config, &portal)));
        }
    });
    address
}

fn answer(stream: TcpStream, config: Arc<ServerConfig>, portal: &Portal) -> std::io::Result<()> {
    let mut tls = StreamOwned::new(ServerConnection::new(config).map_err(std::io::Error::other)?, stream);
    let mut read = Vec::new();
    let mut buffer = [0; 4096];
    let (head, mut body) = loop {
        let count = tls.read(&mut buffer)?;
        if count == 0 {
            return Ok(());
        }
        read.extend_from_slice(&buffer[..count]);
        if let Some(at) = read.windows(4).position(|four| four == b"\r\n\r\n") {
            let body = read.split_off(at + 4);
            break (String::from_utf8(read).expect("a head is text"), body);
        }
    };
    let header = |name: &str| {
        let mut lines = head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    };
    let length = header("content-length").map_or(0, |value| value.parse().expect("a length"));
    while body.len() < length {
        let count = tls.read(&mut buffer)?;
        body.extend_from_slice(&buffer[..count]);
    }
    let mut words = head.split(' ');
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let shown = tls.conn.peer_certificates().and_then(|chain| chain.first()).map(|cert| cert.to_vec());
    portal.set(SystemClock.now());
    let answer = portal.answer(method, path, header("authorization"), &body, shown.as_deref());
    let mut text = format!(
        "HTTP/1.1 {} x\r\nDate: {}\r\nContent-Length: {}\r\n",
        answer.status,
        http_date(portal.now()),
        answer.body.len()
    );
    answer.headers.iter().for_each(|(name, value)| text.push_str(&format!("{name}: {value}\r\n")));
    tls.write_all(format!("{text}\r\n").as_bytes())?;
    tls.write_all(&answer.body)?;
    tls.conn.send_close_notify();
    tls.flush()
}

fn http_date(at: Timestamp) -> String {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (date, time) = at.utc();
    let month = MONTHS[usize::try_from(date.month() - 1).expect("a month")];
    format!(
        "Mon, {:02} {month} {} {:02}:{:02}:{:02} GMT",
        date.day(),
        date.year(),
        time.hour(),
        time.minute(),
        time.second()
    )
}

struct Desk {
    folder: tempfile::TempDir,
    portal: Arc<Portal>,
    address: SocketAddr,
}

impl Desk {
    fn new() -> Self {
        let portal = Arc::new(Portal::new(SystemClock.now()));
        let address = serve(&portal, &portal.ca);
        Self { folder: tempfile::tempdir().expect("a folder"), portal, address }
    }

    fn place(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tegata-agent"));
        command.arg("--dir").arg(self.place("agent")).args(arguments);
        command.env("HOME", self.folder.path()).output().expect("the program runs")
    }

    fn enroll(&self, more: &[&str]) -> Output {
        let server = format!("https://localhost:{}", self.address.port());
        let fingerprint = self.portal.ca.root.fingerprint().to_string();
        let arguments = ["enroll", "--server", &server, "--ca-fingerprint", &fingerprint, "--code", CODE];
        self.run(&[&arguments, more].concat())
    }
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn enrolled_by_a_fingerprint_and_a_code_it_renews_over_real_tls() {
    let desk = Desk::new();
    let output = desk.enroll(&[]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    assert!(!text(&output).contains(&CODE[5..]), "the code is not repeated");
    assert!(desk.place("agent/published/current/combined.pem").exists());
    let output = desk.run(&["renew", "--now", "pem"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    assert_eq!(desk.portal.issued(Purpose::Client).len(), 2);
    assert_eq!(desk.run(&["once"]).status.code(), Some(0));

    let output = desk.run(&["status", "--json", "--page", &desk.place("page.html").display().to_string()]);
    let status: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!((output.status.code(), &status["needs_human"]), (Some(0), &false.into()));
    assert!(std::fs::read_to_string(desk.place("page.html")).expect("there").contains("受付1"));
    let output = desk.run(&["stores", "list"]);
    assert!(text(&output).contains(&desk.portal.issued(Purpose::Client)[1].serial.to_string()), "{}", text(&output));
    let output = desk.run(&["doctor"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    assert_eq!(text(&output).matches("ok  ").count(), 10, "{}", text(&output));

    let output = desk.run(&["uninstall", "--yes"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    assert!(!desk.place("agent").exists());
    assert_eq!(desk.run(&["once"]).status.code(), Some(1));
}

#[test]
fn a_server_under_another_ca_gets_neither_the_code_nor_a_certificate() {
    let mut desk = Desk::new();
    let stranger = Ca::new("Tegata Test", &desk.portal.entropy);
    desk.address = serve(&desk.portal, &stranger);
    let output = desk.enroll(&[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output).contains("not accepted"), "{}", text(&output));
    assert_eq!(desk.portal.enrolments(), 0);
}

#[test]
fn a_person_is_needed_when_the_server_refuses_and_the_doctor_says_why() {
    let desk = Desk::new();
    assert_eq!(desk.enroll(&[]).status.code(), Some(0));
    desk.portal.look(|inner| inner.revoked.extend(inner.issued.iter().map(|issued| issued.serial)));
    let output = desk.run(&["renew", "--now"]);
    assert_eq!(output.status.code(), Some(20), "{}", text(&output));
    assert_eq!(desk.run(&["once"]).status.code(), Some(20));
    assert_eq!(desk.run(&["status"]).status.code(), Some(20));
    desk.portal.ahead.store(4000, Ordering::SeqCst);
    let output = desk.run(&["doctor", "--json"]);
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let troubles: Vec<&str> = found["findings"]
        .as_array()
        .expect("a list")
        .iter()
        .filter(|finding| !finding["trouble"].is_null())
        .filter_map(|finding| finding["cause"].as_str())
        .collect();
    assert_eq!((output.status.code(), troubles), (Some(20), vec!["clock", "refused"]));
}

#[test]
fn a_server_that_is_away_is_tried_again() {
    let desk = Desk::new();
    assert_eq!(desk.enroll(&[]).status.code(), Some(0));
    let config = desk.place("agent/config.toml");
    let settings = std::fs::read_to_string(&config).expect("there");
    // A port that nobody listens on.
    let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port").port();
    let away = settings.replace(&format!(":{}", desk.address.port()), &format!(":{port}"));
    std::fs::write(&config, away).expect("written");
    let output = desk.run(&["renew", "--now"]);
    assert_eq!(output.status.code(), Some(10), "{}", text(&output));
    let output = desk.run(&["doctor"]);
    assert!(text(&output).contains("PROBLEM  サーバーへの接続"), "{}", text(&output));
    std::fs::write(&config, settings).expect("written");
    assert_eq!(desk.run(&["once"]).status.code(), Some(10), "it waits for its time");
    assert_eq!(desk.run(&["renew", "--now"]).status.code(), Some(0));
}

#[test]
fn a_proxy_is_gone_through() {
    let mut desk = Desk::new();
    let (target, used) = (desk.address, Arc::new(AtomicUsize::new(0)));
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let proxy = format!("http://{}", listener.local_addr().expect("an address"));
    let counted = Arc::clone(&used);
    thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            counted.fetch_add(1, Ordering::SeqCst);
            thread::spawn(move || -> std::io::Result<()> {
                let mut head = Vec::new();
                let mut byte = [0];
                while !head.ends_with(b"\r\n\r\n") {
                    client.read_exact(&mut byte)?;
                    head.push(byte[0]);
                }
                assert!(head.starts_with(b"CONNECT localhost:1 HTTP/1.1\r\n"));
                client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")?;
                let mut server = TcpStream::connect(target)?;
                let (mut back, mut forth) = (server.try_clone()?, client.try_clone()?);
                thread::spawn(move || std::io::copy(&mut back, &mut forth));
                std::io::copy(&mut client, &mut server)?;
                Ok(())
            });
        }
    });
    desk.address.set_port(1); // only the proxy knows the way
    let output = desk.enroll(&["--proxy", &proxy]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    assert!(used.load(Ordering::SeqCst) >= 5);
}

#[test]
fn killed_at_any_moment_it_goes_on_and_the_published_pair_always_belongs_together() {
    let desk = Desk::new();
    assert_eq!(desk.enroll(&[]).status.code(), Some(0));
    let (mut killed, mut done) = (0, 0);
    for delay in (0..60).step_by(3) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tegata-agent"));
        command
            .arg("--dir")
            .arg(desk.place("agent"))
            .args(["renew", "--now"])
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let mut child = command.spawn().expect("the program starts");
        thread::sleep(Duration::from_millis(delay));
        if child.try_wait().expect("known").is_none() {
            child.kill().expect("killed");
            killed += 1;
        } else {
            done += 1;
        }
        child.wait().expect("it ended");
        let combined = desk.place("agent/published/current/combined.pem");
        let read = |arguments: &[&str]| {
            let output =
                Command::new("openssl").args(arguments).arg("-in").arg(&combined).output().expect("openssl runs");
            assert!(output.status.success(), "{}", text(&output));
            output.stdout
        };
        assert_eq!(read(&["x509", "-noout", "-pubkey"]), read(&["pkey", "-pubout"]), "after {delay} ms");
    }
    assert!(killed >= 3, "{killed} killed, {done} done");
    // What was begun is finished, and then all is well.
    let output = desk.run(&["renew", "--now"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    let output = desk.run(&["doctor"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    let status: serde_json::Value = serde_json::from_slice(&desk.run(&["status", "--json"]).stdout).expect("JSON");
    let newest = desk.portal.issued(Purpose::Client).last().expect("issued").serial.to_string();
    assert_eq!(status["certificates"][1]["serial"], newest);
}
