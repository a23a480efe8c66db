//! Applications behind the gate: who reaches them, what they are told, and how bytes pass in both directions.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::IntoResponse as _;
use axum::routing::{any, get, post};
use futures_util::stream;
use http::{HeaderMap, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::Bytes;
use tegata_core::application::Audience;
use tegata_core::id::CustomerId;
use tegata_gateway::limits::Limits;
use tegata_gateway::proxy::{Application, ApplicationSettings, Applications, FIELDS, Place, UpstreamSettings};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::world::{Ca, ClientOptions, Http, Identity, Server, ask, at, client, connect, set};

/// An application on a free port.
async fn upstream(pages: Router) -> SocketAddr {
    let socket = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = socket.local_addr().expect("an address");
    tokio::spawn(async move { axum::serve(socket, pages).await });
    address
}

fn pages() -> Router {
    Router::new()
        .route("/headers", any(|headers: HeaderMap| async move { format!("{headers:?}") }))
        .route("/host", get(|headers: HeaderMap| async move { headers["host"].to_str().unwrap_or("-").to_owned() }))
        .route("/count", post(count))
        .route("/trailers", post(trailers))
        .route("/endless", get(|| async { Body::from_stream(stream::repeat_with(piece).then_slowly()) }))
        .route("/large", get(|| async { vec![b'x'; 20 * 1024 * 1024] }))
        .route("/slow", get(|| async { tokio::time::sleep(Duration::from_secs(30)).await }))
        .route("/teapot", get(|| async { (StatusCode::IM_A_TEAPOT, [("x-theirs", "1")], "short and stout") }))
        .route("/echo", any(echo))
        .layer(axum::extract::DefaultBodyLimit::disable())
}

fn piece() -> Result<Bytes, std::io::Error> {
    Ok(Bytes::from_static(b"data: tick\n\n"))
}

/// Puts 50 ms between the pieces of a stream.
trait Slowly: futures_util::Stream + Sized {
    fn then_slowly(self) -> impl futures_util::Stream<Item = Self::Item> + Send
    where
        Self: Send,
        Self::Item: Send,
    {
        futures_util::StreamExt::then(self, |item| async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            item
        })
    }
}
impl<S: futures_util::Stream> Slowly for S {}

async fn count(request: Request) -> String {
    let mut body = request.into_body();
    let mut bytes = 0;
    while let Some(Ok(frame)) = body.frame().await {
        bytes += frame.data_ref().map_or(0, Bytes::len);
    }
    bytes.to_string()
}

async fn trailers(request: Request) -> String {
    let collected = request.into_body().collect().await.expect("a body");
    format!("{:?}", collected.trailers())
}

/// Leaves HTTP and says everything again.
async fn echo(mut request: Request) -> axum::response::Response {
    let upgrade = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let mut io = hyper_util::rt::TokioIo::new(upgrade.await.expect("upgraded"));
        let mut buffer = [0; 1024];
        while let Ok(read @ 1..) = io.read(&mut buffer).await {
            io.write_all(&buffer[..read]).await.expect("written");
        }
    });
    (StatusCode::SWITCHING_PROTOCOLS, [("connection", "upgrade"), ("upgrade", "websocket")], "").into_response()
}

fn settings(place: &str, upstreams: &[SocketAddr]) -> ApplicationSettings {
    let urls = upstreams.iter().map(|address| format!("http://{address}")).collect();
    ApplicationSettings {
        name: "test".into(),
        place: Place::parse(place).expect("a place"),
        audience: Audience::Everybody,
        for_programs: false,
        upstreams: UpstreamSettings { urls, ..UpstreamSettings::default() },
        answer_timeout: Duration::from_secs(2),
        idle_timeout: Duration::from_secs(3),
        max_body_bytes: None,
    }
}

/// A gate before `pages()`, and a terminal whose certificate is good for another year.
async fn gate() -> (Ca, Server, Identity, Applications) {
    let address = upstream(pages()).await;
    gate_before(settings("https://localhost", &[address])).await
}

async fn gate_before(settings: ApplicationSettings) -> (Ca, Server, Identity, Applications) {
    let ca = Ca::new();
    let applications = Applications::default();
    applications.replace(vec![Application::new(settings).expect("an application")]);
    let server = Server::with_applications(&ca, applications.clone(), Limits::default()).await;
    let terminal = ca.terminal(at("2027-11-22T05:00:00Z"));
    (ca, server, terminal, applications)
}

async fn http(server: &Server, ca: &Ca, terminal: &Identity, alpn: &[&str]) -> Http {
    let config = ClientOptions { identity: Some(terminal), alpn, ..ClientOptions::default() }.build(ca);
    Http::over(connect(server.address, &config).await.expect("connected")).await.expect("HTTP")
}

#[tokio::test]
async fn an_accepted_terminal_reaches_the_application_and_nobody_else_does() {
    let (ca, server, terminal, _) = gate().await;
    let (status, text) = ask(&server, &client(&ca, Some(&terminal)), "/teapot").await.expect("an answer");
    assert_eq!((status, text.as_str()), (StatusCode::IM_A_TEAPOT, "short and stout"));
    let expired = ca.terminal(at("2026-11-21"));
    let of_another_ca = Ca::new().terminal(at("2027-11-22"));
    let revoked = ca.terminal(at("2027-11-22"));
    server.change(|snapshot| snapshot.revoked = set(&[&revoked]));
    for outsider in [None, Some(&expired), Some(&of_another_ca), Some(&revoked)] {
        let config = client(&ca, outsider);
        for path in ["/teapot", "/headers", "/", "/nowhere"] {
            // The second time the TLS session is resumed.
            for _ in 0..2 {
                let (_, text) = ask(&server, &config, path).await.expect("an answer");
                assert_eq!(text, "landing", "{path}");
            }
        }
    }
}

#[tokio::test]
async fn a_revocation_reaches_an_open_connection_and_an_answer_under_way() {
    let (ca, server, terminal, _) = gate().await;
    let mut open = http(&server, &ca, &terminal, &["http/1.1"]).await;
    assert_eq!(open.get("/teapot").await.expect("an answer").0, StatusCode::IM_A_TEAPOT);
    let endless = http(&server, &ca, &terminal, &["h2"]).await;
    let mut endless = endless;
    let running = tokio::spawn(async move { endless.get("/endless").await });
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!running.is_finished());
    server.change(|snapshot| snapshot.revoked = set(&[&terminal]));
    assert_eq!(open.get("/teapot").await.expect("an answer").1, "landing");
    let ended = tokio::time::timeout(Duration::from_secs(5), running).await.expect("cut within seconds");
    assert!(ended.expect("no panic").is_err(), "the answer was cut, not ended");
}

#[tokio::test]
async fn the_application_is_told_who_is_there() {
    let (ca, server, terminal, _) = gate().await;
    let (_, told) = ask(&server, &client(&ca, Some(&terminal)), "/headers").await.expect("an answer");
    for (name, _) in FIELDS {
        assert!(told.contains(&format!("\"{name}\"")), "{name}: {told}");
    }
    for part in [
        "\"x-tegata-customer\": \"u00000001\"",
        "\"x-tegata-terminal\": \"client0001\"",
        "\"x-tegata-customer-name\": \"%E5%8C%BB%E9%99%A2\"",
        "\"x-tegata-not-after\": \"2027-11-22T05:00:00Z\"",
        "\"x-tegata-days-left\": \"365\"",
        "\"x-tegata-standing\": \"valid\"",
        &format!("\"x-tegata-serial\": \"{}\"", terminal.serial),
        "\"x-forwarded-for\": \"127.0.0.1\"",
        "\"x-forwarded-proto\": \"https\"",
        "\"forwarded\": \"for=127.0.0.1;host=\\\"localhost\\\";proto=https\"",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    use base64::Engine as _;
    let leaf = base64::engine::general_purpose::STANDARD.encode(&terminal.chain[0]);
    assert!(told.contains(&format!("\"client-cert\": \":{leaf}:\"")), "{told}");
    let (_, host) = ask(&server, &client(&ca, Some(&terminal)), "/host").await.expect("an answer");
    assert_eq!(host, "localhost");
}

/// Every spelling in which somebody could say who he is, over both versions of HTTP: none arrives.
#[tokio::test]
async fn nobody_can_say_for_himself_who_he_is() {
    let (ca, server, terminal, _) = gate().await;
    let names = FIELDS.iter().map(|(name, _)| (*name).to_owned());
    let others = ["x-tegata-user", "x-tegata-role", "forwarded", "x-forwarded-for", "x-forwarded-user", "x-real-ip"];
    let names: Vec<String> = names.chain(others.map(str::to_owned)).collect();
    for alpn in ["http/1.1", "h2"] {
        let mut http = http(&server, &ca, &terminal, &[alpn]).await;
        for name in &names {
            let spellings = [name.clone(), name.replace('-', "_"), name.replace('-', "."), name.to_uppercase()];
            for spelling in
                spellings.iter().filter(|spelling| alpn == "http/1.1" || **spelling == spelling.to_lowercase())
            {
                let request = http::Request::post("/headers")
                    .header(spelling, "forged")
                    .header(spelling, "forged twice")
                    .header("x-innocent", "kept");
                let request = if alpn == "http/1.1" {
                    request.header("connection", format!("keep-alive, {name}, x-tegata-serial, client-cert"))
                } else {
                    request
                };
                let (status, told) = http.send(request, "").await.expect("an answer");
                assert_eq!(status, StatusCode::OK);
                assert!(!told.contains("forged"), "{alpn} {spelling}: {told}");
                assert!(told.contains("\"x-innocent\": \"kept\""), "{told}");
                assert!(told.contains(&format!("\"x-tegata-serial\": \"{}\"", terminal.serial)), "{spelling}: {told}");
                assert!(told.contains("\"client-cert\": \":"), "{spelling}: {told}");
            }
        }
    }
}

#[tokio::test]
async fn forged_trailers_are_thrown_away_and_others_pass() {
    let (ca, server, terminal, _) = gate().await;
    let mut stream = connect(server.address, &client(&ca, Some(&terminal))).await.expect("connected");
    let request = "POST /trailers HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nTrailer: x-sum, x-tegata-user\r\n\
                   TE: trailers\r\nConnection: close\r\n\r\n3\r\nabc\r\n0\r\nx-sum: 1\r\nx_tegata_user: forged\r\nX-Tegata-User: forged\r\n\r\n";
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut text = String::new();
    // A close without a goodbye of TLS is fine here.
    let _ = stream.read_to_string(&mut text).await;
    assert!(text.contains("200 OK") && text.contains("x-sum") && !text.contains("forged"), "{text}");
}

#[tokio::test]
async fn bodies_pass_in_pieces_whatever_their_size() {
    let (ca, server, terminal, _) = gate().await;
    for alpn in ["http/1.1", "h2"] {
        let mut http = http(&server, &ca, &terminal, &[alpn]).await;
        let sent = vec![b'y'; 20 * 1024 * 1024];
        let (status, text) = http.send(http::Request::post("/count"), sent).await.expect("an answer");
        assert_eq!((status, text.as_str()), (StatusCode::OK, "20971520"), "{alpn}");
        let (_, large) = http.get("/large").await.expect("an answer");
        assert_eq!(large.len(), 20 * 1024 * 1024, "{alpn}");
    }
}

#[tokio::test]
async fn a_limit_of_the_application_is_kept() {
    let address = upstream(pages()).await;
    let limited = ApplicationSettings { max_body_bytes: Some(1000), ..settings("https://localhost", &[address]) };
    let (ca, server, terminal, _) = gate_before(limited).await;
    let mut http = http(&server, &ca, &terminal, &["http/1.1"]).await;
    let post = || http::Request::post("/count");
    assert_eq!(http.send(post(), vec![b'y'; 1000]).await.expect("an answer").1, "1000");
    assert_eq!(http.send(post(), vec![b'y'; 1001]).await.expect("an answer").0, StatusCode::PAYLOAD_TOO_LARGE);
}

const UPGRADE: &str =
    "GET /echo HTTP/1.1\r\nHost: localhost\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\n";

async fn read_head(stream: &mut (impl tokio::io::AsyncRead + Unpin)) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.expect("a byte"));
    }
    String::from_utf8(head).expect("text")
}

#[tokio::test]
async fn a_connection_that_leaves_http_carries_bytes_both_ways_and_is_cut_by_a_revocation() {
    let (ca, server, terminal, _) = gate().await;
    let mut stream = connect(server.address, &client(&ca, Some(&terminal))).await.expect("connected");
    stream.write_all(UPGRADE.as_bytes()).await.expect("sent");
    let head = read_head(&mut stream).await;
    assert!(head.starts_with("HTTP/1.1 101") && head.contains("upgrade: websocket"), "{head}");
    for said in ["first", "second"] {
        stream.write_all(said.as_bytes()).await.expect("sent");
        let mut heard = vec![0; said.len()];
        stream.read_exact(&mut heard).await.expect("heard");
        assert_eq!(heard, said.as_bytes());
    }
    server.change(|snapshot| snapshot.revoked = set(&[&terminal]));
    let mut rest = Vec::new();
    let cut = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut rest)).await;
    assert!(cut.is_ok() && rest.is_empty(), "cut within seconds");
}

#[tokio::test]
async fn an_outsider_cannot_leave_http() {
    let (ca, server, ..) = gate().await;
    let mut stream = connect(server.address, &client(&ca, None)).await.expect("connected");
    stream.write_all(UPGRADE.as_bytes()).await.expect("sent");
    assert!(read_head(&mut stream).await.starts_with("HTTP/1.1 200"), "the landing page");
}

/// In a tunnel of HTTP/2 requests would follow that nobody has looked at.
#[tokio::test]
async fn a_tunnel_of_anything_but_a_websocket_is_not_dug() {
    let (ca, server, terminal, _) = gate().await;
    for other in ["h2c", "websocket, h2c", "echo"] {
        let mut http = http(&server, &ca, &terminal, &["http/1.1"]).await;
        let request =
            http::Request::get("/headers").header("connection", "upgrade, http2-settings").header("upgrade", other);
        let (status, told) = http.send(request.header("http2-settings", "AAMAAABk"), "").await.expect("an answer");
        assert_eq!(status, StatusCode::OK, "{other}");
        assert!(!told.contains("http2-settings") && !told.contains("\"upgrade\""), "{other}: {told}");
    }
    // An application that switches to something else, or unasked, is not believed.
    let mut http = http(&server, &ca, &terminal, &["http/1.1"]).await;
    assert_eq!(http.get("/echo").await.expect("an answer").1, "application-broken");
}

#[tokio::test]
async fn neither_a_tunnel_to_elsewhere_nor_an_echo_is_asked_of_an_application() {
    let (ca, server, terminal, _) = gate().await;
    for request in
        ["CONNECT localhost:443 HTTP/1.1\r\nHost: localhost:443", "TRACE /headers HTTP/1.1\r\nHost: localhost"]
    {
        let mut stream = connect(server.address, &client(&ca, Some(&terminal))).await.expect("connected");
        stream.write_all(format!("{request}\r\n\r\n").as_bytes()).await.expect("sent");
        let head = read_head(&mut stream).await;
        assert!(head.starts_with("HTTP/1.1 405") && head.contains("allow: GET"), "{head}");
    }
}

#[tokio::test]
async fn a_quiet_tunnel_ends_after_its_time() {
    let address = upstream(pages()).await;
    let short =
        ApplicationSettings { idle_timeout: Duration::from_secs(1), ..settings("https://localhost", &[address]) };
    let (ca, server, terminal, _) = gate_before(short).await;
    let mut stream = connect(server.address, &client(&ca, Some(&terminal))).await.expect("connected");
    stream.write_all(UPGRADE.as_bytes()).await.expect("sent");
    read_head(&mut stream).await;
    let mut rest = Vec::new();
    let ended = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut rest)).await;
    assert!(ended.is_ok(), "still open");
}

#[tokio::test]
async fn what_does_not_answer_is_told_apart() {
    let address = upstream(pages()).await;
    let (ca, server, terminal, applications) = gate_before(settings("https://localhost/app", &[address])).await;
    let config = client(&ca, Some(&terminal));
    let check = async |path: &str, expected: &str| {
        let (_, text) = ask(&server, &config, path).await.expect("an answer");
        assert_eq!(text, expected, "{path}");
    };
    check("/elsewhere", "no-application").await;
    check("/app/../elsewhere", "ambiguous-path").await;
    let replace = |settings| applications.replace(vec![Application::new(settings).expect("an application")]);
    replace(settings("https://localhost", &[address]));
    check("/slow", "application-too-slow").await;
    let (_held, gone) = nobodys_port();
    replace(settings("https://localhost", &[gone]));
    check("/teapot", "application-unreachable").await;
    let only_two = Audience::Customers(vec![CustomerId::new(2).expect("valid")]);
    replace(ApplicationSettings { audience: only_two, ..settings("https://localhost", &[address]) });
    check("/teapot", "not-for-customer").await;
    applications.replace(Vec::new());
    check("/teapot", "portal").await;
}

/// A port where nobody listens, and nobody else can as long as the socket lives.
fn nobodys_port() -> (tokio::net::TcpSocket, SocketAddr) {
    let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
    socket.bind(([127, 0, 0, 1], 0).into()).expect("a free port");
    let address = socket.local_addr().expect("bound");
    (socket, address)
}

#[tokio::test]
async fn another_server_answers_when_one_is_gone_and_what_was_sent_is_not_sent_twice() {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let count_calls = move || {
        counted.fetch_add(1, Ordering::SeqCst);
        async { "counted" }
    };
    let living = upstream(Router::new().route("/", get(count_calls.clone()).post(count_calls))).await;
    let (_held, gone) = nobodys_port();
    let (ca, server, terminal, _) = gate_before(settings("https://localhost", &[gone, living])).await;
    let mut http = http(&server, &ca, &terminal, &["http/1.1"]).await;
    for _ in 0..4 {
        assert_eq!(http.get("/").await.expect("an answer").1, "counted");
        let posted = http.send(http::Request::post("/"), "with a body").await.expect("an answer");
        assert_eq!(posted.1, "counted");
    }
    assert_eq!(calls.load(Ordering::SeqCst), 8);
}

/// A server that takes the request and hangs up: it may have done something, so only what changes nothing is sent again.
#[tokio::test]
async fn a_request_that_may_have_arrived_is_not_repeated() {
    let socket = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let rude = socket.local_addr().expect("an address");
    let taken = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&taken);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = socket.accept().await {
            let mut buffer = [0; 4096];
            if stream.read(&mut buffer).await.is_ok_and(|read| read > 0) {
                counter.fetch_add(1, Ordering::SeqCst);
            }
        }
    });
    let (ca, server, terminal, _) = gate_before(settings("https://localhost", &[rude])).await;
    let mut http = http(&server, &ca, &terminal, &["http/1.1"]).await;
    let (_, text) = http.send(http::Request::post("/"), "pay").await.expect("an answer");
    assert_eq!((text.as_str(), taken.load(Ordering::SeqCst)), ("application-broken", 1));
    let living = upstream(pages()).await;
    let (ca, server, terminal, _) = gate_before(settings("https://localhost", &[rude, living])).await;
    let mut http = self::http(&server, &ca, &terminal, &["http/1.1"]).await;
    for _ in 0..4 {
        assert_eq!(http.get("/teapot").await.expect("an answer").0, StatusCode::IM_A_TEAPOT);
    }
}
