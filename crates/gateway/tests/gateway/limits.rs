//! Slow, large, many: what one client may take. All times are short settings, so that the tests are.

use std::io;
use std::time::Duration;

use http::StatusCode;
use tegata_gateway::limits::Limits;
use tegata_gateway::tls::TlsSettings;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use crate::world::*;

const SHORT: Duration = Duration::from_millis(200);
/// Long enough for a slow machine, short enough to show that a limit and not chance ended it.
const PATIENCE: Duration = Duration::from_secs(8);

async fn server(ca: &Ca, limits: Limits) -> Server {
    Server::with(ca, TlsSettings::default(), limits).await
}

/// Reads until the other end closes; what it sent meanwhile.
async fn until_closed(stream: &mut (impl AsyncReadExt + Unpin)) -> String {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    let reading = async {
        loop {
            match stream.read(&mut buffer).await {
                Ok(0) => break,
                Ok(count) => bytes.extend_from_slice(&buffer[..count]),
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => break,
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => break,
                Err(error) => panic!("{error}"),
            }
        }
    };
    timeout(PATIENCE, reading).await.expect("the server closes the connection");
    String::from_utf8_lossy(&bytes).into_owned()
}

#[tokio::test]
async fn a_handshake_that_never_ends_is_cut() {
    let ca = Ca::new();
    let server = server(&ca, Limits { handshake_timeout: SHORT, ..Limits::default() }).await;
    let mut silent = TcpStream::connect(server.address).await.expect("connected");
    until_closed(&mut silent).await;
    let mut half = TcpStream::connect(server.address).await.expect("connected");
    half.write_all(&[0x16, 3, 1, 2, 0, 1, 0]).await.expect("sent");
    until_closed(&mut half).await;
}

#[tokio::test]
async fn a_slow_handshake_holds_nobody_up() {
    let ca = Ca::new();
    let server = Server::start(&ca).await;
    let _silent = TcpStream::connect(server.address).await.expect("connected");
    assert_eq!(timeout(PATIENCE, state(&server, &client(&ca, None))).await.expect("at once"), "none");
}

#[tokio::test]
async fn a_header_that_trickles_is_cut() {
    let ca = Ca::new();
    let server = server(&ca, Limits { header_timeout: SHORT, ..Limits::default() }).await;
    let stream = connect(server.address, &client(&ca, None)).await.expect("TLS");
    let (mut read, mut write) = tokio::io::split(stream);
    let sending = tokio::spawn(async move {
        let _ = write.write_all(b"GET /peer HTTP/1.1\r\nHost: localhost\r\n").await;
        while write.write_all(b"X: y\r\n").await.is_ok() && write.flush().await.is_ok() {
            tokio::time::sleep(SHORT / 10).await;
        }
    });
    until_closed(&mut read).await;
    sending.abort();
}

#[tokio::test]
async fn an_idle_connection_is_closed_and_a_used_one_is_not() {
    let ca = Ca::new();
    let server = server(&ca, Limits { idle_timeout: 5 * SHORT, header_timeout: SHORT, ..Limits::default() }).await;
    for alpn in ["http/1.1", "h2"] {
        let config = ClientOptions { alpn: &[alpn], ..ClientOptions::default() }.build(&ca);
        let mut http = Http::over(connect(server.address, &config).await.expect("TLS")).await.expect("HTTP");
        for _ in 0..12 {
            tokio::time::sleep(SHORT / 2).await;
            assert_eq!(http.get("/peer").await.expect("still open").0, StatusCode::OK, "{alpn}");
        }
        let closed = async {
            loop {
                tokio::time::sleep(9 * SHORT).await;
                if http.get("/peer").await.is_err() {
                    return;
                }
            }
        };
        timeout(PATIENCE, closed).await.expect("closed when idle");
    }
    let mut nothing = connect(server.address, &client(&ca, None)).await.expect("TLS");
    until_closed(&mut nothing).await;
}

#[tokio::test]
async fn our_own_slowness_is_not_held_against_the_client() {
    let ca = Ca::new();
    let short = Duration::from_millis(50);
    let limits = Limits { idle_timeout: short, header_timeout: short, body_timeout: short, ..Limits::default() };
    let server = server(&ca, limits).await;
    for alpn in ["http/1.1", "h2"] {
        let config = ClientOptions { alpn: &[alpn], ..ClientOptions::default() }.build(&ca);
        assert_eq!(ask(&server, &config, "/slow").await.expect("an answer").1, "finished");
    }
}

#[tokio::test]
async fn an_answer_that_nobody_reads_is_cut() {
    let ca = Ca::new();
    let server = server(&ca, Limits { idle_timeout: SHORT, header_timeout: SHORT, ..Limits::default() }).await;
    let mut stream = connect(server.address, &client(&ca, None)).await.expect("TLS");
    stream.write_all(b"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n").await.expect("sent");
    stream.flush().await.expect("sent");
    tokio::time::sleep(10 * SHORT).await;
    let text = until_closed(&mut stream).await;
    assert!(text.len() < 16 * 1024 * 1024, "cut before the end");
}

#[tokio::test]
async fn a_header_that_is_too_large_is_answered_with_431() {
    let ca = Ca::new();
    let server = server(&ca, Limits { max_header_bytes: 8 * 1024, ..Limits::default() }).await;
    for alpn in ["http/1.1", "h2"] {
        let config = ClientOptions { alpn: &[alpn], ..ClientOptions::default() }.build(&ca);
        for (count, size, expected) in [
            (1, 6 * 1024, StatusCode::OK),
            (1, 9 * 1024, StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE),
            (98, 1, StatusCode::OK),
            (120, 1, StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE),
        ] {
            let mut http = Http::over(connect(server.address, &config).await.expect("TLS")).await.expect("HTTP");
            let mut request = http::Request::get("/peer");
            for number in 0..count {
                request = request.header(format!("x-{number}"), "y".repeat(size));
            }
            let (status, _) = http.send(request, "").await.expect("an answer");
            assert_eq!(status, expected, "{alpn} {count} x {size}");
        }
    }
}

#[tokio::test]
async fn a_body_that_is_too_large_is_answered_with_413() {
    let ca = Ca::new();
    let server = server(&ca, Limits { max_body_bytes: 1000, ..Limits::default() }).await;
    for alpn in ["http/1.1", "h2"] {
        let config = ClientOptions { alpn: &[alpn], ..ClientOptions::default() }.build(&ca);
        for (size, expected) in
            [(1000, StatusCode::OK), (1001, StatusCode::PAYLOAD_TOO_LARGE), (900_000, StatusCode::PAYLOAD_TOO_LARGE)]
        {
            let mut http = Http::over(connect(server.address, &config).await.expect("TLS")).await.expect("HTTP");
            let (status, _) = http.send(http::Request::post("/echo"), vec![b'x'; size]).await.expect("an answer");
            assert_eq!(status, expected, "{alpn} {size}");
        }
    }
}

async fn raw(server: &Server, ca: &Ca, request: &str) -> String {
    let mut stream = connect(server.address, &client(ca, None)).await.expect("TLS");
    stream.write_all(request.as_bytes()).await.expect("sent");
    stream.flush().await.expect("sent");
    until_closed(&mut stream).await
}

#[tokio::test]
async fn a_chunked_body_that_grows_too_large_is_answered_with_413_whatever_the_service_says() {
    let ca = Ca::new();
    let server = server(&ca, Limits { max_body_bytes: 1000, ..Limits::default() }).await;
    for path in ["/echo", "/collect"] {
        let chunk = format!("200\r\n{}\r\n", "x".repeat(512));
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
        );
        let answer = raw(&server, &ca, &format!("{head}{chunk}0\r\n\r\n")).await;
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("512"), "{answer}");
        let answer = raw(&server, &ca, &format!("{head}{chunk}{chunk}0\r\n\r\n")).await;
        assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    }
}

#[tokio::test]
async fn a_body_that_trickles_is_answered_with_408_and_cut() {
    let ca = Ca::new();
    let server = server(&ca, Limits { body_timeout: SHORT, header_timeout: SHORT, ..Limits::default() }).await;
    for path in ["/echo", "/collect"] {
        let head = format!("POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nabc");
        let answer = raw(&server, &ca, &head).await;
        assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    }
}

#[tokio::test]
async fn smuggled_lengths_are_refused() {
    let ca = Ca::new();
    let server = Server::start(&ca).await;
    let both = "POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello";
    assert!(raw(&server, &ca, both).await.starts_with("HTTP/1.1 400 "));
    let none = "GET /peer HTTP/1.1\r\nConnection: close\r\n\r\n";
    assert!(raw(&server, &ca, none).await.starts_with("HTTP/1.1 400 "), "HTTP/1.1 without Host");
}

#[tokio::test]
async fn connections_over_the_limit_of_an_address_are_closed_at_once() {
    let ca = Ca::new();
    let server = server(&ca, Limits { max_connections_per_address: 2, ..Limits::default() }).await;
    let config = client(&ca, None);
    let first = connect(server.address, &config).await.expect("room");
    let _second = connect(server.address, &config).await.expect("room");
    let begun = Instant::now();
    assert!(connect(server.address, &config).await.is_err(), "no room");
    assert!(begun.elapsed() < PATIENCE, "told at once");
    drop(first);
    let free_again = async {
        while connect(server.address, &config).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, free_again).await.expect("a closed connection frees its place");
}

#[tokio::test]
async fn a_panic_ends_one_connection_only() {
    let ca = Ca::new();
    let server = Server::start(&ca).await;
    assert!(ask(&server, &client(&ca, None), "/panic").await.is_err());
    assert_eq!(state(&server, &client(&ca, None)).await, "none");
}
