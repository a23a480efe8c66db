//! The listener for old programs, over raw sockets: `Transfer-Encoding: identity` is tolerated there and only there, and nothing that
//! follows a request is ever taken for another one.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use rustls::ClientConfig;
use tegata_gateway::limits::Limits;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout};

use crate::world::*;

/// Sends `pieces` one after the other over one connection and reads until the other end closes it.
async fn exchange(server: &Server, config: &Arc<ClientConfig>, pieces: &[&[u8]]) -> String {
    let mut stream = connect(server.address, config).await.expect("TLS");
    for piece in pieces {
        if stream.write_all(piece).await.is_err() || stream.flush().await.is_err() {
            break; // answered and closed before all of it was sent
        }
    }
    let mut answer = Vec::new();
    // A connection that is cut under unread bytes ends in an error; what came before it counts.
    let _ = timeout(Duration::from_secs(10), stream.read_to_end(&mut answer)).await.expect("closed in time");
    String::from_utf8_lossy(&answer).into_owned()
}

fn answers(text: &str) -> usize {
    text.matches("HTTP/1.1 ").count()
}

/// The request that glclient2 sends, with other lines in place of its transfer coding.
fn request(lines: &str, body: &str) -> String {
    format!("POST /echo HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\n{lines}\r\n{body}")
}

#[tokio::test]
async fn transfer_encoding_identity_is_tolerated_here_and_refused_at_the_portal() {
    let ca = Ca::new();
    let config = client(&ca, None);
    let programs = Server::for_old_programs(&ca, Limits::default()).await;
    let portal = Server::start(&ca).await;
    for line in ["Transfer-Encoding: identity\r\n", "transfer-encoding:IDENTITY \r\n"] {
        for (lines, body, length) in [(format!("{line}Content-Length: 2\r\n"), "{}", "2"), (line.to_owned(), "", "0")] {
            let sent = request(&lines, body);
            let text = exchange(&programs, &config, &[sent.as_bytes()]).await;
            assert!(text.starts_with("HTTP/1.1 200 ") && text.ends_with(&format!("\r\n\r\n{length}")), "{text}");
            let text = exchange(&portal, &config, &[sent.as_bytes()]).await;
            assert!(text.starts_with("HTTP/1.1 400 "), "{text}");
        }
    }
}

#[tokio::test]
async fn an_answer_has_its_length_and_the_connection_ends_with_it_at_once() {
    let ca = Ca::new();
    let config = client(&ca, None);
    let server = Server::for_old_programs(&ca, Limits::default()).await;
    for keep in ["", "Connection: keep-alive\r\n"] {
        let sent = request(&format!("{keep}Content-Length: 2\r\n"), "{}");
        let begun = Instant::now();
        let text = exchange(&server, &config, &[sent.as_bytes()]).await;
        assert!(text.contains("\r\nconnection: close\r\n") && text.contains("\r\ncontent-length: 1\r\n"), "{text}");
        assert!(begun.elapsed() < Duration::from_secs(2), "closed by the server, not by a time limit");
    }
}

#[tokio::test]
async fn nothing_that_follows_a_request_is_taken_for_another_one() {
    let ca = Ca::new();
    let config = client(&ca, None);
    let server = Server::for_old_programs(&ca, Limits::default()).await;
    let next = "GET /peer HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let identity = "Transfer-Encoding: identity\r\n";
    for sent in [
        // Pipelined, with and without the line, in the first and in the second.
        format!("{next}{next}"),
        format!("{}{next}", request(identity, "")),
        format!("{}{next}", request(&format!("{identity}Content-Length: 2\r\n"), "{}")),
        format!("{next}{}", request(&format!("{identity}Content-Length: 2\r\n"), "{}")),
        // A body beyond its length; a length of nothing; a body that only an older reading of `identity` would see.
        request(&format!("Content-Length: 2\r\n{identity}"), &format!("{{}}{next}")),
        request(&format!("Content-Length: 0\r\n{identity}"), next),
        request(identity, &format!("5\r\nhello\r\n0\r\n\r\n{next}")),
    ] {
        let text = exchange(&server, &config, &[sent.as_bytes()]).await;
        assert_eq!(answers(&text), 1, "{sent:?}: {text}");
        assert!(text.starts_with("HTTP/1.1 200 "), "{sent:?}: {text}");
        // The same when the rest comes later.
        let (first, rest) = sent.split_at(sent.find("\r\n\r\n").expect("a head") + 4);
        let text = exchange(&server, &config, &[first.as_bytes(), rest.as_bytes()]).await;
        assert!(answers(&text) <= 1, "{sent:?}: {text}");
    }
}

#[tokio::test]
async fn every_other_way_to_speak_of_transfer_codings_is_refused_as_everywhere() {
    let ca = Ca::new();
    let config = client(&ca, None);
    let programs = Server::for_old_programs(&ca, Limits::default()).await;
    let portal = Server::start(&ca).await;
    let identity = "Transfer-Encoding: identity\r\n";
    for lines in [
        "Transfer-Encoding: identity, chunked\r\n".to_owned(),
        "Transfer-Encoding: chunked, identity\r\n".to_owned(),
        "Transfer-Encoding: gzip\r\n".to_owned(),
        "Transfer-Encoding: xidentity\r\n".to_owned(),
        "Transfer-Encoding: identity;q=0\r\n".to_owned(),
        "Transfer-Encoding: \"identity\"\r\n".to_owned(),
        "Transfer-Encoding: \u{b}identity\r\n".to_owned(),
        "Transfer-Encoding : identity\r\n".to_owned(),
        "Transfer-Encoding:\r\n identity\r\n".to_owned(),
        "Transfer-Encoding: identity\r\n , chunked\r\n".to_owned(),
        "Transfer-Encoding:\r\n".to_owned(),
        format!("{identity}{identity}"),
        format!("{identity}Transfer-Encoding: gzip\r\n"),
        format!("Transfer-Encoding: gzip\r\n{identity}"),
        format!("{identity}Transfer-Encoding : chunked\r\n"),
        format!("{identity}X: a\rTransfer-Encoding: chunked\r\n"),
        format!("{identity}Content-Length: 2\r\nContent-Length: 3\r\n"),
        format!("{identity}Content-Length: 2, 2\r\n"),
        format!("{identity}Content-Length: +2\r\n"),
        format!("{identity}Content-Length: -1\r\n"),
        format!("{identity}Host: localhost\r\n"),
        format!("{identity}Host: other\r\n"),
    ] {
        let sent = request(&lines, "{}");
        for server in [&programs, &portal] {
            let text = exchange(server, &config, &[sent.as_bytes()]).await;
            assert!(text.starts_with("HTTP/1.1 400 ") && answers(&text) == 1, "{lines:?}: {text}");
        }
    }
}

/// A real chunked body is as good here as at the portal; with a length beside it, or two codings that name it, nothing is smuggled: the
/// parser reads chunks or refuses, and the connection ends.
#[tokio::test]
async fn a_chunked_request_is_read_as_such_or_refused() {
    let ca = Ca::new();
    let config = client(&ca, None);
    let server = Server::for_old_programs(&ca, Limits::default()).await;
    let next = "GET /peer HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let chunks = format!("2\r\n{{}}\r\n0\r\n\r\n{next}");
    let sent = request("Transfer-Encoding: chunked\r\n", &chunks);
    let text = exchange(&server, &config, &[sent.as_bytes()]).await;
    assert!(text.starts_with("HTTP/1.1 200 ") && text.ends_with("\r\n\r\n2") && answers(&text) == 1, "{text}");
    for lines in [
        "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n",
        "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n",
        "Transfer-Encoding: identity\nTransfer-Encoding: chunked\r\n",
    ] {
        let text = exchange(&server, &config, &[request(lines, &chunks).as_bytes()]).await;
        assert!(answers(&text) == 1, "{lines:?}: {text}");
        let whole = text.starts_with("HTTP/1.1 200 ") && text.ends_with("\r\n\r\n2");
        assert!(whole || text.starts_with("HTTP/1.1 400 "), "{lines:?}: {text}");
    }
}

#[tokio::test]
async fn the_line_is_found_however_the_head_is_cut_and_long_heads_are_refused() {
    let ca = Ca::new();
    let config = client(&ca, None);
    let server = Server::for_old_programs(&ca, Limits::default()).await;
    let sent = request("Transfer-Encoding: identity\r\nContent-Length: 2\r\n", "{}");
    for size in [1, 5, 17] {
        let pieces: Vec<&[u8]> = sent.as_bytes().chunks(size).collect();
        let text = exchange(&server, &config, &pieces).await;
        assert!(text.starts_with("HTTP/1.1 200 ") && text.ends_with("\r\n\r\n2"), "pieces of {size}: {text}");
    }
    let sent = request(&format!("Transfer-Encoding: identity\r\nX: {}\r\n", "x".repeat(20_000)), "");
    let text = exchange(&server, &config, &[sent.as_bytes()]).await;
    assert!(text.starts_with("HTTP/1.1 4") && answers(&text) == 1, "{text}");
}

#[tokio::test]
async fn a_head_that_trickles_in_is_cut_here_too() {
    let ca = Ca::new();
    let config = client(&ca, None);
    let limits = Limits { header_timeout: Duration::from_millis(300), ..Limits::default() };
    let server = Server::for_old_programs(&ca, limits).await;
    let mut stream = connect(server.address, &config).await.expect("TLS");
    stream.write_all(b"GET /peer HTTP/1.1\r\nTransfer-").await.expect("sent");
    stream.flush().await.expect("sent");
    let begun = Instant::now();
    let mut answer = Vec::new();
    let _ = timeout(Duration::from_secs(5), stream.read_to_end(&mut answer)).await.expect("cut");
    assert!(answer.is_empty() && begun.elapsed() >= Duration::from_millis(250));
}

#[tokio::test]
async fn h2_and_tls_1_2_are_served_as_ever() {
    let ca = Ca::new();
    let server = Server::for_old_programs(&ca, Limits::default()).await;
    let config = ClientOptions { alpn: &["h2", "http/1.1"], ..ClientOptions::default() }.build(&ca);
    let mut http = Http::over(connect(server.address, &config).await.expect("TLS")).await.expect("HTTP");
    for _ in 0..2 {
        assert_eq!(http.get("/peer").await.expect("an answer").0, StatusCode::OK);
    }
    let config = ClientOptions { version: &rustls::version::TLS12, alpn: &[], ..ClientOptions::default() }.build(&ca);
    let (_, text) = ask(&server, &config, "/peer").await.expect("an answer");
    assert!(text.contains(" TLSv1.2 "), "{text}");
}
