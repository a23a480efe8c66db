//! Opening and closing a listener, TLS and plain.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use tegata_gateway::body::RequestBody;
use tegata_gateway::limits::Limits;
use tegata_gateway::listener::{BindError, Door, Drained, Listener};
use tegata_gateway::tls::TlsSettings;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};

use crate::world::*;

const PATIENCE: Duration = Duration::from_secs(8);

#[tokio::test]
async fn a_shutdown_lets_a_running_request_finish_and_takes_no_new_one() {
    let ca = Ca::new();
    for alpn in ["http/1.1", "h2"] {
        let mut server = Server::start(&ca).await;
        let address = server.address;
        let config = ClientOptions { alpn: &[alpn], ..ClientOptions::default() }.build(&ca);
        let _idle = connect(address, &config).await.expect("TLS");
        let mut http = Http::over(connect(address, &config).await.expect("TLS")).await.expect("HTTP");
        let running = tokio::spawn(async move { http.get("/slow").await });
        server.a_request_has_entered().await;
        server.stop.take().expect("running").send(()).expect("running");
        let (status, text) = running.await.expect("no panic").expect("an answer");
        assert_eq!((status, text.as_str()), (StatusCode::OK, "finished"), "{alpn}");
        let drained = timeout(PATIENCE, server.done).await.expect("stopped").expect("no panic");
        assert_eq!(drained, Drained { cut: 0 }, "{alpn}");
        assert!(TcpStream::connect(address).await.is_err(), "the port is closed");
    }
}

#[tokio::test]
async fn a_shutdown_cuts_what_does_not_finish_in_time() {
    let ca = Ca::new();
    let limits = Limits { drain_timeout: Duration::from_millis(50), ..Limits::default() };
    let mut server = Server::with(&ca, TlsSettings::default(), limits).await;
    let config = client(&ca, None);
    let address = server.address;
    let running = tokio::spawn(async move {
        let mut http = Http::over(connect(address, &config).await.expect("TLS")).await.expect("HTTP");
        http.get("/stuck").await
    });
    server.a_request_has_entered().await;
    server.stop.take().expect("running").send(()).expect("running");
    let drained = timeout(PATIENCE, server.done).await.expect("stopped").expect("no panic");
    assert_eq!(drained, Drained { cut: 1 });
    assert!(running.await.expect("no panic").is_err());
}

#[tokio::test]
async fn a_shutdown_does_not_wait_for_a_handshake() {
    let ca = Ca::new();
    let mut server = Server::start(&ca).await;
    let _silent = TcpStream::connect(server.address).await.expect("connected");
    tokio::time::sleep(Duration::from_millis(50)).await;
    let begun = Instant::now();
    server.stop.take().expect("running").send(()).expect("running");
    let drained = timeout(PATIENCE, server.done).await.expect("stopped").expect("no panic");
    assert_eq!(drained, Drained { cut: 0 });
    assert!(begun.elapsed() < Limits::default().handshake_timeout / 2);
}

#[tokio::test]
async fn a_taken_port_is_said_in_words() {
    let first = Listener::bind(([127, 0, 0, 1], 0).into()).await.expect("a free port");
    let error = Listener::bind(first.local_address()).await.expect_err("taken");
    assert!(matches!(error, BindError::InUse(_)));
    assert!(error.to_string().contains("already in use"), "{error}");
    let error = Listener::bind(([192, 0, 2, 1], 0).into()).await.expect_err("not ours");
    assert!(matches!(error, BindError::NotHere(_)), "{error}");
}

#[tokio::test]
async fn the_plain_listener_has_no_peer_and_the_same_limits() {
    let listener = Listener::bind(([127, 0, 0, 1], 0).into()).await.expect("a free port");
    let address = listener.local_address();
    let limits = Limits { max_body_bytes: 10, ..Limits::default() };
    tokio::spawn(listener.serve(Door::Plain, limits, app(Arc::new(Semaphore::new(0))), std::future::pending()));
    let ask = async |request: &str| {
        let mut stream = TcpStream::connect(address).await.expect("connected");
        stream.write_all(request.as_bytes()).await.expect("sent");
        let mut text = String::new();
        stream.read_to_string(&mut text).await.expect("UTF-8");
        text
    };
    let text = ask("GET /peer HTTP/1.1\r\nHost: anything\r\nConnection: close\r\n\r\n").await;
    assert!(text.ends_with("no peer, address true"), "{text}");
    let text =
        ask("POST /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 11\r\n\r\nhello world").await;
    assert!(text.starts_with("HTTP/1.1 413 "), "{text}");
}

#[tokio::test]
async fn a_service_need_not_be_axums() {
    let listener = Listener::bind(([127, 0, 0, 1], 0).into()).await.expect("a free port");
    let address = listener.local_address();
    let service = is_service(tower::service_fn(|_: http::Request<RequestBody>| async {
        Ok::<_, Infallible>(http::Response::new(http_body_util::Full::from("plain")))
    }));
    tokio::spawn(listener.serve(Door::Plain, Limits::default(), service, std::future::pending()));
    let mut stream = TcpStream::connect(address).await.expect("connected");
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").await.expect("sent");
    let mut text = String::new();
    stream.read_to_string(&mut text).await.expect("UTF-8");
    assert!(text.ends_with("plain"), "{text}");
}
