//! Versions, key exchange, ALPN, resumption, host names.

use std::io::{Read, Write};
use std::sync::Arc;

use http::StatusCode;
use rustls::crypto::aws_lc_rs;
use tegata_gateway::limits::Limits;
use tegata_gateway::tls::{TlsError, TlsFront, TlsSettings};

use crate::world::*;

fn with_tls12() -> TlsSettings {
    TlsSettings { allow_tls12: Some("old terminals until 2027-03".into()), ..TlsSettings::default() }
}

fn tls12<'a>(identity: Option<&'a Identity>) -> ClientOptions<'a> {
    ClientOptions { identity, version: &rustls::version::TLS12, ..ClientOptions::default() }
}

#[tokio::test]
async fn tls_1_2_is_refused_unless_a_reason_is_given() {
    let ca = Ca::new();
    let due = ca.terminal(at("2027-01-21"));
    let strict = Server::start(&ca).await;
    let error = ask(&strict, &tls12(Some(&due)).build(&ca), "/peer").await.expect_err("refused");
    assert!(error.contains("ProtocolVersion"), "{error}");

    let lenient = Server::with(&ca, with_tls12(), Limits::default()).await;
    let config = tls12(Some(&due)).build(&ca);
    for kind in ["full", "resumed"] {
        let (_, text) = ask(&lenient, &config, "/peer").await.expect("an answer");
        assert!(text.starts_with("due ") && text.contains(&format!(" {kind} TLSv1.2 ")), "{text}");
    }
    lenient.change(|snapshot| snapshot.revoked = set(&[&due]));
    let (_, text) = ask(&lenient, &config, "/peer").await.expect("an answer");
    assert!(text.starts_with("revoked ") && text.contains(" resumed "), "{text}");
}

#[tokio::test]
async fn tls_1_2_without_a_reason_is_an_error() {
    let ca = Ca::new();
    let server = Server::start(&ca).await;
    let settings = TlsSettings { allow_tls12: Some("  ".into()), ..TlsSettings::default() };
    let front = TlsFront::new(settings, Arc::clone(&server.server_cert), server.trust.clone(), server.clock.clone());
    assert!(matches!(front, Err(TlsError::NoReason)));
}

#[tokio::test]
async fn the_key_exchange_is_post_quantum_where_the_client_can_and_classic_where_not() {
    let ca = Ca::new();
    let server = Server::start(&ca).await;
    let groups = [
        (aws_lc_rs::kx_group::X25519MLKEM768, "X25519MLKEM768"),
        (aws_lc_rs::kx_group::X25519, "X25519"),
        (aws_lc_rs::kx_group::SECP256R1, "secp256r1"),
    ];
    for (group, name) in groups {
        let provider = rustls::crypto::CryptoProvider { kx_groups: vec![group], ..aws_lc_rs::default_provider() };
        let config = ClientOptions { provider, ..ClientOptions::default() }.build(&ca);
        let (_, text) = ask(&server, &config, "/peer").await.expect("an answer");
        assert!(text.contains(&format!(" {name} ")), "{text}");
    }
    let provider = rustls::crypto::CryptoProvider {
        kx_groups: vec![aws_lc_rs::kx_group::SECP384R1],
        ..aws_lc_rs::default_provider()
    };
    let config = ClientOptions { provider, ..ClientOptions::default() }.build(&ca);
    assert!(ask(&server, &config, "/peer").await.is_err(), "not one of ours");
}

#[tokio::test]
async fn both_versions_of_http_are_offered() {
    let ca = Ca::new();
    let server = Server::start(&ca).await;
    let cases: [(&[&str], Option<&[u8]>); 4] =
        [(&["h2", "http/1.1"], Some(b"h2")), (&["http/1.1"], Some(b"http/1.1")), (&["h2"], Some(b"h2")), (&[], None)];
    for (alpn, expected) in cases {
        let config = ClientOptions { alpn, ..ClientOptions::default() }.build(&ca);
        let stream = connect(server.address, &config).await.expect("TLS");
        assert_eq!(stream.get_ref().1.alpn_protocol(), expected);
        let mut http = Http::over(stream).await.expect("HTTP");
        assert_eq!(http.get("/peer").await.expect("an answer").0, StatusCode::OK);
    }
    let config = ClientOptions { alpn: &["smtp"], ..ClientOptions::default() }.build(&ca);
    assert!(ask(&server, &config, "/peer").await.is_err(), "no common protocol");
}

#[tokio::test]
async fn another_host_name_over_the_same_connection_is_sent_away_to_connect_anew() {
    let ca = Ca::new();
    let server = Server::start(&ca).await;
    for alpn in ["http/1.1", "h2"] {
        let config = ClientOptions { alpn: &[alpn], ..ClientOptions::default() }.build(&ca);
        let mut http = Http::over(connect(server.address, &config).await.expect("TLS")).await.expect("HTTP");
        for (host, expected) in [
            ("alt1.localhost", StatusCode::MISDIRECTED_REQUEST),
            ("localhost", StatusCode::OK),
            ("LOCALHOST:8443", StatusCode::OK),
            ("localhost.evil.example", StatusCode::MISDIRECTED_REQUEST),
        ] {
            let request = if alpn == "h2" {
                http::Request::get(format!("https://{host}/peer"))
            } else {
                http::Request::get("/peer").header("host", host)
            };
            assert_eq!(http.send(request, "").await.expect("an answer").0, expected, "{alpn} {host}");
        }
    }
    let config = client(&ca, None);
    let stream = connect_as(server.address, &config, "127.0.0.1").await.expect("TLS");
    let mut http = Http::over(stream).await.expect("HTTP");
    let request = http::Request::get("/peer").header("host", "127.0.0.1:8443");
    assert_eq!(http.send(request, "").await.expect("an answer").0, StatusCode::OK, "an address has no SNI");
}

#[tokio::test]
async fn an_alias_host_name_starts_a_session_of_its_own() {
    let ca = Ca::new();
    let server = Server::start(&ca).await;
    let config = client(&ca, None);
    for kind in ["full", "resumed"] {
        for name in ["localhost", "alt1.localhost"] {
            let stream = connect_as(server.address, &config, name).await.expect("TLS");
            let mut http = Http::over(stream).await.expect("HTTP");
            let (_, text) = http.send(http::Request::get("/peer").header("host", name), "").await.expect("an answer");
            assert!(text.contains(&format!(" {kind} ")), "{name}: {text}");
        }
    }
}

#[tokio::test]
async fn two_host_names_in_one_request_are_a_bad_request() {
    let ca = Ca::new();
    let server = Server::start(&ca).await;
    let mut http = Http::over(connect(server.address, &client(&ca, None)).await.expect("TLS")).await.expect("HTTP");
    let request = http::Request::get("/peer").header("host", "localhost").header("host", "localhost");
    assert_eq!(http.send(request, "").await.expect("an answer").0, StatusCode::BAD_REQUEST);
    let config = ClientOptions { alpn: &["h2"], ..ClientOptions::default() }.build(&ca);
    let mut http = Http::over(connect(server.address, &config).await.expect("TLS")).await.expect("HTTP");
    let request = http::Request::get("https://localhost/peer").header("host", "elsewhere");
    assert_eq!(http.send(request, "").await.expect("an answer").0, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn who_forgets_https_is_told_so() {
    let ca = Ca::new();
    let server = Server::start(&ca).await;
    let address = server.address;
    let text = tokio::task::spawn_blocking(move || {
        let mut socket = std::net::TcpStream::connect(address).expect("connected");
        socket.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("sent");
        let mut text = String::new();
        socket.read_to_string(&mut text).expect("UTF-8");
        text
    });
    let text = text.await.expect("no panic");
    let (head, body) = text.split_once("\r\n\r\n").expect("a whole answer");
    assert!(head.starts_with("HTTP/1.1 400 ") && head.contains(&format!("Content-Length: {}", body.len())), "{head}");
    assert!(body.contains("https://"));
}

#[tokio::test]
async fn a_large_chain_is_refused_in_the_handshake() {
    let ca = Ca::new();
    let server = Server::start(&ca).await;
    let mut due = ca.terminal(at("2027-01-21"));
    let issuing = due.chain[1].clone();
    due.chain.extend(vec![issuing; 40]);
    let error = ask(&server, &client(&ca, Some(&due)), "/peer").await.expect_err("refused");
    assert!(error.contains("DecodeError") || error.contains("BadCertificate"), "{error}");
}

#[tokio::test]
async fn a_new_issuing_ca_is_trusted_by_the_next_connection() {
    let (ca, next) = (Ca::new(), Ca::new());
    let server = Server::start(&ca).await;
    let config = client(&ca, Some(&next.terminal(at("2029-11-21"))));
    assert_eq!(state(&server, &config).await, "foreign");
    server.change(|snapshot| snapshot.issuers.push((tegata_core::id::IssuerId(2), next.issuing.clone())));
    assert_eq!(state(&server, &config).await, "valid", "also over a resumed session: the bytes decide");
}
