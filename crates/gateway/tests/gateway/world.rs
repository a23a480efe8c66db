//! What the tests need: a CA with its terminals, a listener with a small application behind it, and a client.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::routing::{get, post};
use http::StatusCode;
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Bytes};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ClientConfig;
use rustls::client::ResolvesClientCert;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::sign::CertifiedKey;
use rustls::time_provider::TimeProvider;
use tegata_core::access::Actor;
use tegata_core::id::{ClientNumber, CustomerId, IssuerId, Serial, TerminalId};
use tegata_core::peer::{Peer, Presented};
use tegata_core::profile::{KeyKind, Profile, ProfileSettings, Purpose};
use tegata_core::renewal::operator_permit;
use tegata_core::schedule::Validity;
use tegata_core::secret::Secret;
use tegata_core::terminal::{Subject, Terminal};
use tegata_core::time::{Clock, Days, Timestamp};
use tegata_gateway::body::RequestBody;
use tegata_gateway::limits::Limits;
use tegata_gateway::listener::{Door, Drained, Listener};
use tegata_gateway::proxy::{Applications, Claim, Visitor};
use tegata_gateway::server_cert::ServerCert;
use tegata_gateway::tls::{TlsFront, TlsInfo, TlsSettings};
use tegata_gateway::trust::{SerialSet, Trust, TrustSnapshot};
use tegata_pki::issue::{CaName, Host, Request as CertRequest, Urls, issuing, prepare, prepare_server, root};
use tegata_pki::issuer::IssuerCert;
use tegata_pki::key::LeafKey;
use tegata_pki::signer::{Curve, Signer, SoftwareSigner};
use tegata_testkit::FixedClock;
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tower::service_fn;

pub const NOW: &str = "2026-11-22T01:00:00Z";
pub const ISSUER: IssuerId = IssuerId(1);
/// How old a snapshot may be in these tests, in seconds.
pub const MAX_AGE: u64 = 300;

pub fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).expect("a valid time in a test")
}

/// A root, an issuing CA, and what they issue.
pub struct Ca {
    pub root: IssuerCert,
    pub issuing: IssuerCert,
    signer: SoftwareSigner,
    serials: AtomicU8,
}

/// A certificate with its key.
#[derive(Clone)]
pub struct Identity {
    pub chain: Vec<Vec<u8>>,
    pub pkcs8: Secret<Vec<u8>>,
    pub serial: Serial,
}

fn profile(purpose: Purpose) -> Profile {
    ProfileSettings {
        purpose,
        key_kinds: vec![KeyKind::P256],
        validity_years: Some(3),
        validity_days: None,
        renewal_window_days: 90,
        carry_over_days: 130,
        spread_days: 20,
    }
    .validate("test")
    .expect("a valid profile")
}

fn ca_name(common_name: &str) -> CaName {
    CaName { country: "JP".into(), organization: "Test".into(), common_name: common_name.into() }
}

fn urls() -> Urls {
    Urls {
        crl: vec!["http://ca.example/issuing.crl".into()],
        crl_base: None,
        issuer: vec!["http://ca.example/issuing.crt".into()],
        ocsp: Vec::new(),
    }
}

impl Ca {
    pub fn new() -> Self {
        let serial = |byte| Serial::from_bytes([byte; 16]);
        let (begin, end) = (at("2020-01-06"), at("2039-12-20"));
        let validity = Validity { not_before: begin, not_after: end };
        let (root_signer, _) = SoftwareSigner::generate(Curve::P384).expect("a key");
        let (signer, _) = SoftwareSigner::generate(Curve::P256).expect("a key");
        let root = root(&root_signer, &ca_name("Test Root"), validity, serial(1)).expect("a root");
        let name = ca_name("Test Issuing");
        let spki = signer.public_key_der();
        let issuing = issuing(&root, &root_signer, &name, spki, validity, serial(2), &urls()).expect("an issuing CA");
        Self { root, issuing, signer, serials: AtomicU8::new(16) }
    }

    fn serial(&self, not_after: Timestamp) -> Serial {
        Serial::build(not_after, [self.serials.fetch_add(1, Ordering::Relaxed); 12])
    }

    /// A terminal's certificate that ends at `not_after`.
    pub fn terminal(&self, not_after: Timestamp) -> Identity {
        self.terminal_from(not_after.plus_years_jst(-3), not_after)
    }

    /// A terminal's certificate with both ends given.
    pub fn terminal_from(&self, not_before: Timestamp, not_after: Timestamp) -> Identity {
        let terminal = Terminal {
            id: TerminalId::from_random([7; 16]),
            customer: CustomerId::new(1).expect("valid"),
            client: ClientNumber::new(1).expect("valid"),
            name: "受付1".into(),
            created_at: Timestamp(0),
            retired_at: None,
            blocked_at: None,
            deferred_on: None,
        };
        let permit = operator_permit(&Actor::Operator { name: "test".into() }, &terminal).expect("permitted");
        let subject =
            Subject { country: "JP", organization: "医院".into(), common_name: "JP_u00000001_client0001".into() };
        let key = LeafKey::generate(KeyKind::P256).expect("a key");
        let serial = self.serial(not_after);
        let validity = Validity { not_before, not_after };
        let request = CertRequest { subject: &subject, key: key.public_key(), serial, validity };
        let prepared = prepare(permit, &profile(Purpose::Client), request, &self.issuing, &urls()).expect("prepared");
        let leaf = prepared.sign(&self.signer).expect("signed");
        Identity { chain: vec![leaf.der, self.issuing.der().to_vec()], pkcs8: key.pkcs8().clone(), serial }
    }

    /// A server certificate.
    pub fn server(&self, not_after: Timestamp) -> Identity {
        let hosts = ["localhost", "alt1.localhost"].map(|name| Host::Dns(name.into()));
        let hosts = [&hosts[..], &[Host::Ip([127, 0, 0, 1].into())]].concat();
        let key = LeafKey::generate(KeyKind::P256).expect("a key");
        let serial = self.serial(not_after);
        let validity = Validity { not_before: not_after.plus_years_jst(-1), not_after };
        let profile = profile(Purpose::Server);
        let prepared = prepare_server(&profile, &hosts, key.public_key(), &self.issuing, &urls(), serial, validity)
            .expect("prepared");
        let leaf = prepared.sign(&self.signer).expect("signed");
        Identity { chain: vec![leaf.der, self.issuing.der().to_vec()], pkcs8: key.pkcs8().clone(), serial }
    }

    /// A snapshot in which nothing is revoked.
    pub fn snapshot(&self, as_of: Timestamp) -> TrustSnapshot {
        TrustSnapshot {
            issuers: vec![(ISSUER, self.issuing.clone())],
            renewal_window: Days(90),
            as_of,
            revoked: SerialSet::default(),
            superseded: SerialSet::default(),
            unused: SerialSet::default(),
        }
    }
}

pub fn set(identities: &[&Identity]) -> SerialSet {
    identities.iter().map(|identity| (ISSUER, identity.serial)).collect()
}

impl Identity {
    /// Writes chain and key as PEM.
    pub fn write(&self, chain: &Path, key: &Path) {
        let text: String = self.chain.iter().map(|der| tegata_pki::pem::certificate(der)).collect();
        std::fs::write(chain, text).expect("written");
        let base64 = self.key_pem();
        std::fs::write(key, base64).expect("written");
    }

    fn key_pem(&self) -> String {
        rcgen::KeyPair::try_from(self.pkcs8.expose().as_slice()).expect("a PKCS#8 key").serialize_pem()
    }
}

type Shutdown = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

/// A running listener.
pub struct Server {
    pub address: SocketAddr,
    pub trust: Trust,
    pub clock: Arc<FixedClock>,
    pub server_cert: Arc<ServerCert>,
    /// Gains a permit for each request that has reached `/slow` or `/stuck`.
    pub entered: Arc<Semaphore>,
    pub stop: Option<oneshot::Sender<()>>,
    pub done: JoinHandle<Drained>,
}

impl Server {
    pub async fn start(ca: &Ca) -> Self {
        Self::with(ca, TlsSettings::default(), Limits::default()).await
    }

    pub async fn with(ca: &Ca, settings: TlsSettings, limits: Limits) -> Self {
        let identity = ca.server(at("2027-06-01"));
        let cert = ServerCert::from_der(identity.chain, &identity.pkcs8, at(NOW)).expect("a server certificate");
        Self::with_cert(ca, cert, settings, limits).await
    }

    pub async fn with_cert(ca: &Ca, cert: ServerCert, settings: TlsSettings, limits: Limits) -> Self {
        Self::behind(Door::Tls, ca, cert, settings, limits).await
    }

    /// As the listener for old programs is.
    pub async fn for_old_programs(ca: &Ca, limits: Limits) -> Self {
        let identity = ca.server(at("2027-06-01"));
        let cert = ServerCert::from_der(identity.chain, &identity.pkcs8, at(NOW)).expect("a server certificate");
        let settings = TlsSettings { allow_tls12: Some("old programs".into()), ..TlsSettings::default() };
        Self::behind(Door::OldPrograms, ca, cert, settings, limits).await
    }

    /// With applications behind the gate; everybody whom it does not let in, and every path that is no application's, gets a word.
    pub async fn with_applications(ca: &Ca, applications: Applications, limits: Limits) -> Self {
        let identity = ca.server(at("2027-06-01"));
        let cert = ServerCert::from_der(identity.chain, &identity.pkcs8, at(NOW)).expect("a server certificate");
        let entered = Arc::new(Semaphore::new(0));
        Self::run(ca, cert, TlsSettings::default(), entered, |listener, front, shutdown| {
            let listener = listener.with_applications(applications);
            listener.serve(Door::Tls(front), limits, service_fn(front_door), shutdown)
        })
        .await
    }

    async fn behind(
        door: fn(Arc<TlsFront>) -> Door,
        ca: &Ca,
        cert: ServerCert,
        settings: TlsSettings,
        limits: Limits,
    ) -> Self {
        let entered = Arc::new(Semaphore::new(0));
        let service = app(Arc::clone(&entered));
        Self::run(ca, cert, settings, entered, |listener, front, shutdown| {
            listener.serve(door(front), limits, service, shutdown)
        })
        .await
    }

    async fn run<F>(
        ca: &Ca,
        cert: ServerCert,
        settings: TlsSettings,
        entered: Arc<Semaphore>,
        serve: impl FnOnce(Listener, Arc<TlsFront>, Shutdown) -> F,
    ) -> Self
    where
        F: Future<Output = Drained> + Send + 'static,
    {
        let clock = Arc::new(FixedClock::at(NOW));
        let trust = Trust::new(ca.snapshot(at(NOW)), MAX_AGE);
        let server_cert = Arc::new(cert);
        let front =
            TlsFront::new(settings, Arc::clone(&server_cert), trust.clone(), Arc::clone(&clock) as Arc<dyn Clock>)
                .expect("TLS settings");
        let listener = Listener::bind(([127, 0, 0, 1], 0).into()).await.expect("a free port");
        let address = listener.local_address();
        let (stop, stopped) = oneshot::channel::<()>();
        let shutdown: Shutdown = Box::pin(async move {
            let _ = stopped.await;
        });
        let done = tokio::spawn(serve(listener, front, shutdown));
        Self { address, trust, clock, server_cert, entered, stop: Some(stop), done }
    }

    /// Moves the clock and reads the register again, as the binary's ticker does.
    pub fn set_time(&self, now: Timestamp) {
        self.clock.set(now);
        self.change(|snapshot| snapshot.as_of = now);
    }

    /// Waits until a request has reached `/slow` or `/stuck`.
    pub async fn a_request_has_entered(&self) {
        self.entered.acquire().await.expect("never closed").forget();
    }

    pub fn change(&self, change: impl FnOnce(&mut TrustSnapshot)) {
        let mut snapshot = TrustSnapshot::clone(&self.trust.current());
        change(&mut snapshot);
        self.trust.replace(snapshot);
    }
}

/// As the binary's front door is: an application's answer, or a word about why there is none.
async fn front_door(request: http::Request<RequestBody>) -> Result<http::Response<axum::body::Body>, Infallible> {
    let extensions = request.extensions();
    let let_in = extensions.get::<Peer>().is_some_and(|peer| peer.accepted().is_some());
    let visitor = extensions.get::<Arc<Visitor>>().cloned();
    let word = |text: &str| http::Response::new(axum::body::Body::from(text.to_owned()));
    Ok(match (extensions.get::<Claim>().cloned(), visitor) {
        _ if !let_in => word("landing"),
        (Some(Claim::Application(application)), Some(visitor)) => match application.forward(&visitor, request).await {
            Ok(answer) => answer.map(axum::body::Body::new),
            Err(why) => word(why.as_str()),
        },
        (Some(Claim::None(why)), _) => word(why.as_str()),
        _ => word("portal"),
    })
}

/// The application behind the door: it says what it was told.
pub fn app(entered: Arc<Semaphore>) -> Router {
    let stuck = Arc::clone(&entered);
    Router::new()
        .route("/peer", get(peer))
        .route("/echo", post(|body: Bytes| async move { body.len().to_string() }))
        .route("/collect", post(collect))
        .route(
            "/slow",
            get(async move || {
                entered.add_permits(1);
                tokio::time::sleep(Duration::from_millis(300)).await;
                "finished"
            }),
        )
        .route(
            "/stuck",
            get(async move || {
                stuck.add_permits(1);
                std::future::pending::<&str>().await
            }),
        )
        .route("/large", get(|| async { vec![b'x'; 16 * 1024 * 1024] }))
        .route("/panic", get(panics))
}

async fn panics() -> &'static str {
    panic!("on purpose")
}

async fn peer(request: Request) -> String {
    let extensions = request.extensions();
    let info = extensions.get::<TlsInfo>();
    let address = extensions.get::<SocketAddr>().is_some_and(|address| address.ip().is_loopback());
    let Some(peer) = extensions.get::<Peer>() else { return format!("no peer, address {address}") };
    let serial = match &peer.presented {
        Presented::Ours(cert) => cert.serial.to_string(),
        Presented::None | Presented::Foreign => "-".into(),
    };
    let info = info.expect("TLS");
    let kind = if info.resumed { "resumed" } else { "full" };
    format!("{} {serial} {kind} {} {} {address}", peer.state.as_str(), info.version, info.key_exchange)
}

/// An application that swallows errors of the body: the listener must answer in its place.
async fn collect(request: Request) -> String {
    match request.into_body().collect().await {
        Ok(body) => body.to_bytes().len().to_string(),
        Err(_) => "swallowed".into(),
    }
}

#[derive(Debug)]
struct ClientTime;

impl TimeProvider for ClientTime {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(at(NOW).0).expect("after 1970"))))
    }
}

/// Shows a certificate whether or not the server's hints or the key fit it.
#[derive(Debug)]
struct Stubborn(Arc<CertifiedKey>);

impl ResolvesClientCert for Stubborn {
    fn resolve(&self, _hints: &[&[u8]], _schemes: &[rustls::SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// How a client connects.
pub struct ClientOptions<'a> {
    pub identity: Option<&'a Identity>,
    pub alpn: &'a [&'a str],
    pub version: &'static rustls::SupportedProtocolVersion,
    pub provider: CryptoProvider,
}

impl Default for ClientOptions<'_> {
    fn default() -> Self {
        Self {
            identity: None,
            alpn: &["http/1.1"],
            version: &rustls::version::TLS13,
            provider: aws_lc_rs::default_provider(),
        }
    }
}

impl ClientOptions<'_> {
    pub fn build(self, ca: &Ca) -> Arc<ClientConfig> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from(ca.root.der().to_vec())).expect("a root");
        let provider = Arc::new(self.provider);
        let builder = ClientConfig::builder_with_details(Arc::clone(&provider), Arc::new(ClientTime))
            .with_protocol_versions(&[self.version])
            .expect("versions")
            .with_root_certificates(roots);
        let mut config = match self.identity {
            None => builder.with_no_client_auth(),
            Some(identity) => {
                let chain = identity.chain.iter().cloned().map(CertificateDer::from).collect();
                let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(identity.pkcs8.expose().clone()));
                let key = provider.key_provider.load_private_key(key).expect("a key");
                builder.with_client_cert_resolver(Arc::new(Stubborn(Arc::new(CertifiedKey::new(chain, key)))))
            }
        };
        config.alpn_protocols = self.alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        Arc::new(config)
    }
}

/// A client that shows `identity`. Its configuration remembers sessions: used again, it resumes.
pub fn client(ca: &Ca, identity: Option<&Identity>) -> Arc<ClientConfig> {
    ClientOptions { identity, ..ClientOptions::default() }.build(ca)
}

pub async fn connect(address: SocketAddr, config: &Arc<ClientConfig>) -> io::Result<TlsStream<TcpStream>> {
    connect_as(address, config, "localhost").await
}

pub async fn connect_as(
    address: SocketAddr,
    config: &Arc<ClientConfig>,
    name: &'static str,
) -> io::Result<TlsStream<TcpStream>> {
    let socket = TcpStream::connect(address).await?;
    let name = ServerName::try_from(name).expect("a host name");
    TlsConnector::from(Arc::clone(config)).connect(name, socket).await
}

type Sent = Result<(StatusCode, String), hyper::Error>;

/// An HTTP connection that stays open between requests.
pub enum Http {
    One(hyper::client::conn::http1::SendRequest<Full<Bytes>>),
    Two(hyper::client::conn::http2::SendRequest<Full<Bytes>>),
}

impl Http {
    pub async fn over(stream: TlsStream<TcpStream>) -> Result<Self, hyper::Error> {
        let is_h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        let io = TokioIo::new(stream);
        if is_h2 {
            let (sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await?;
            tokio::spawn(connection);
            Ok(Self::Two(sender))
        } else {
            let (sender, connection) = hyper::client::conn::http1::handshake(io).await?;
            tokio::spawn(connection);
            Ok(Self::One(sender))
        }
    }

    pub async fn get(&mut self, path: &str) -> Sent {
        self.send(http::Request::get(path), Bytes::new()).await
    }

    pub async fn send(&mut self, request: http::request::Builder, body: impl Into<Bytes>) -> Sent {
        let mut request = request.body(Full::new(body.into())).expect("a request");
        let response = match self {
            Self::One(sender) => {
                if !request.headers().contains_key("host") {
                    request.headers_mut().insert("host", http::HeaderValue::from_static("localhost"));
                }
                sender.send_request(request).await?
            }
            Self::Two(sender) => {
                if request.uri().authority().is_none() {
                    *request.uri_mut() = format!("https://localhost{}", request.uri()).parse().expect("a URI");
                }
                sender.send_request(request).await?
            }
        };
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        Ok((status, String::from_utf8_lossy(&body).into_owned()))
    }
}

/// One request on a new connection.
pub async fn ask(server: &Server, config: &Arc<ClientConfig>, path: &str) -> Result<(StatusCode, String), String> {
    let text = |error: &dyn std::error::Error| format!("{error:?}");
    let stream = connect(server.address, config).await.map_err(|error| text(&error))?;
    let mut http = Http::over(stream).await.map_err(|error| text(&error))?;
    http.get(path).await.map_err(|error| text(&error))
}

/// The first word that the application says: the peer's state.
pub async fn state(server: &Server, config: &Arc<ClientConfig>) -> String {
    let (status, text) = ask(server, config, "/peer").await.expect("an answer");
    assert_eq!(status, StatusCode::OK);
    text.split(' ').next().unwrap_or_default().to_owned()
}

/// What a body type must be to pass through; a compile-time check that plain services work too, not only axum's.
pub fn is_service<S, B>(service: S) -> S
where
    S: tower::Service<
            http::Request<tegata_gateway::body::RequestBody>,
            Response = http::Response<B>,
            Error = Infallible,
        >,
    B: Body<Data = Bytes>,
{
    service
}
