//! The servers that answer for an application: kept connections, the one with the least to do, and which of them are away. Connections are
//! hyper-util's pool's; a connection that was closed while it lay there is replaced without anybody noticing.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::uri::{Authority, Scheme};
use http::{Request, Response, StatusCode, Uri};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use tokio::time::Instant;

use super::Application;
use super::body::{Kept, Lent, Progress};
use crate::tls;

/// For how long a server that could not be reached is left alone, doubled with each failure up to [`LONGEST_REST`].
const REST: Duration = Duration::from_secs(1);
const LONGEST_REST: Duration = Duration::from_secs(30);
/// How often a server's health is asked for, and for how long an answer is waited for.
const HEALTH: Duration = Duration::from_secs(2);
/// For how long a connection that nobody uses is kept.
const KEEP: Duration = Duration::from_secs(60);
const CONNECT: Duration = Duration::from_secs(3);

/// The servers of an application, as the configuration names them.
#[derive(Clone, Debug, Default)]
pub struct UpstreamSettings {
    /// `http://host[:port]` or `https://host[:port]`, at least one.
    pub urls: Vec<String>,
    /// Whether `http://` servers are spoken to in HTTP/2 from the first byte. With `https://` both ends agree on a version.
    pub http2: bool,
    /// The CA of `https://` servers (PEM).
    pub ca_file: Option<PathBuf>,
    /// Certificate and key that we show to `https://` servers (PEM), where they ask.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// The path that a healthy server answers with 2xx or 3xx.
    pub health_path: Option<String>,
}

/// Why an application's servers cannot be used as they are named.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    /// No server at all.
    #[error("no server is named")]
    None,
    /// Not an address.
    #[error("{0} is not http://host[:port] or https://host[:port]")]
    Address(String),
    /// A server cannot be believed without its CA.
    #[error("https:// servers need the file of the CA that signed their certificates")]
    NoCa,
    /// A path that is none.
    #[error("{0} is not a path")]
    Path(String),
    /// A file that cannot be read.
    #[error("cannot read {file}: {why}")]
    File {
        /// Which.
        file: PathBuf,
        /// What was wrong.
        why: String,
    },
    /// The library refused.
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
}

/// One server.
#[derive(Debug)]
pub(crate) struct Upstream {
    scheme: Scheme,
    authority: Authority,
    /// Requests under way.
    load: AtomicUsize,
    /// Failures in a row, and until when it is left alone.
    failures: AtomicU32,
    resting_until: Mutex<Option<Instant>>,
}

impl Upstream {
    fn parse(url: &str) -> Option<Self> {
        let uri: Uri = url.parse().ok()?;
        let bare = uri.path_and_query().is_none_or(|path| path.as_str() == "/") && !url.contains('@');
        let scheme = uri.scheme().filter(|scheme| **scheme == Scheme::HTTP || **scheme == Scheme::HTTPS)?;
        let authority = uri.authority().filter(|_| bare)?;
        Some(Self {
            scheme: scheme.clone(),
            authority: authority.clone(),
            load: AtomicUsize::new(0),
            failures: AtomicU32::new(0),
            resting_until: Mutex::new(None),
        })
    }

    /// The address of a request there.
    fn uri(&self, of: &Uri) -> Option<Uri> {
        let path = of.path_and_query().map_or("/", |path| path.as_str());
        Uri::builder().scheme(self.scheme.clone()).authority(self.authority.clone()).path_and_query(path).build().ok()
    }

    fn rests(&self, now: Instant) -> bool {
        self.resting_until.lock().unwrap_or_else(PoisonError::into_inner).is_some_and(|until| now < until)
    }

    /// It could not be reached, or is not well: it is left alone for a while.
    pub(crate) fn failed(&self) {
        let failures = self.failures.fetch_add(1, Ordering::Relaxed).min(5);
        let rest = (REST * 2u32.pow(failures)).min(LONGEST_REST);
        *self.resting_until.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now() + rest);
        if failures == 0 {
            tracing::warn!(upstream = %self.authority, "a server of an application is left alone: it does not answer");
        }
    }

    /// It answers.
    pub(crate) fn answered(&self) {
        if self.failures.swap(0, Ordering::Relaxed) > 0 {
            *self.resting_until.lock().unwrap_or_else(PoisonError::into_inner) = None;
            tracing::info!(upstream = %self.authority, "a server of an application answers again");
        }
    }
}

/// A request under way at a server, until this is dropped.
#[derive(Debug)]
pub(crate) struct Load(Arc<Upstream>);

impl Load {
    /// The same server with one more request.
    pub(crate) fn again(&self) -> Self {
        self.0.load.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(&self.0))
    }

    pub(crate) fn upstream(&self) -> &Upstream {
        &self.0
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.0.load.fetch_sub(1, Ordering::Relaxed);
    }
}

type Pool = Client<HttpsConnector<HttpConnector>, Lent>;

/// All servers of one application.
#[derive(Debug)]
pub(crate) struct Upstreams {
    servers: Vec<Arc<Upstream>>,
    turn: AtomicUsize,
    pool: Pool,
    /// For requests that leave HTTP, which HTTP/2 does not do in this way.
    pool_http1: Pool,
    health_path: Option<Uri>,
    /// Whether the servers are told the host by name in HTTP/2's own place.
    pub(crate) http2: bool,
}

impl Upstreams {
    pub(crate) fn new(settings: &UpstreamSettings) -> Result<Self, UpstreamError> {
        let server = |url: &String| Upstream::parse(url).map(Arc::new).ok_or(UpstreamError::Address(url.clone()));
        let servers: Vec<_> = settings.urls.iter().map(server).collect::<Result<_, _>>()?;
        if servers.is_empty() {
            return Err(UpstreamError::None);
        }
        let path = |path: &String| {
            let uri = path.starts_with('/').then(|| path.parse().ok()).flatten();
            uri.ok_or_else(|| UpstreamError::Path(path.clone()))
        };
        let health_path = settings.health_path.as_ref().map(path).transpose()?;
        let secure = servers.iter().any(|server| server.scheme == Scheme::HTTPS);
        let tls = client_config(settings, secure)?;
        let pool = |http1_only: bool| {
            let mut tcp = HttpConnector::new();
            tcp.enforce_http(false);
            tcp.set_nodelay(true);
            tcp.set_connect_timeout(Some(CONNECT));
            let builder = HttpsConnectorBuilder::new().with_tls_config(tls.clone()).https_or_http();
            let connector = if http1_only {
                builder.enable_http1().wrap_connector(tcp)
            } else {
                builder.enable_all_versions().wrap_connector(tcp)
            };
            Client::builder(TokioExecutor::new())
                .pool_timer(TokioTimer::new())
                .pool_idle_timeout(KEEP)
                .http2_only(settings.http2 && !http1_only)
                .build(connector)
        };
        let http2 = settings.http2;
        Ok(Self { servers, turn: AtomicUsize::new(0), pool: pool(false), pool_http1: pool(true), health_path, http2 })
    }

    /// The server with the least to do among those that are well and were not tried yet; when none is well, one that is not: it may
    /// have come back.
    pub(crate) fn choose(&self, tried: &[Load]) -> Option<Load> {
        let now = Instant::now();
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let order = (0..self.servers.len()).map(|step| &self.servers[(turn + step) % self.servers.len()]);
        let fresh = |server: &&Arc<Upstream>| !tried.iter().any(|load| Arc::ptr_eq(&load.0, server));
        let server =
            order.filter(fresh).min_by_key(|server| (server.rests(now), server.load.load(Ordering::Relaxed)))?;
        server.load.fetch_add(1, Ordering::Relaxed);
        Some(Load(Arc::clone(server)))
    }

    /// Sends a request to a server; its address becomes the server's.
    pub(crate) async fn send(
        &self,
        server: &Upstream,
        mut request: Request<Lent>,
        leaves_http: bool,
    ) -> Result<Response<Incoming>, Failed> {
        *request.uri_mut() = server.uri(request.uri()).ok_or(Failed::Other)?;
        let pool = if leaves_http { &self.pool_http1 } else { &self.pool };
        pool.request(request).await.map_err(|error| {
            tracing::debug!(upstream = %server.authority, error = %chain(&error), "a request to an application failed");
            if error.is_connect() { Failed::Connect } else { Failed::Other }
        })
    }

    async fn check(&self, server: &Upstream, path: &Uri) {
        let body = Kept::new(http_body_util::Empty::new()).lend(&Progress::new()).expect("nobody has read it");
        let mut request = Request::new(body);
        *request.uri_mut() = path.clone();
        let answer = tokio::time::timeout(HEALTH, self.send(server, request, false)).await;
        let status = answer.ok().and_then(Result::ok).map(|answer| answer.status());
        match status.filter(|status: &StatusCode| status.is_success() || status.is_redirection()) {
            Some(_) => server.answered(),
            None => server.failed(),
        }
    }
}

/// How a try ended that brought no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failed {
    /// There was no connection, so nothing was sent.
    Connect,
    /// Something was sent, or may have been.
    Other,
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// Asks after the health of an application's servers for as long as the application is in force.
pub(crate) fn watch_health(application: &Arc<Application>) {
    let Some(path) = application.upstreams.health_path.clone() else { return };
    let application = Arc::downgrade(application);
    tokio::spawn(async move {
        while let Some(application) = application.upgrade() {
            for server in &application.upstreams.servers {
                application.upstreams.check(server, &path).await;
            }
            drop(application);
            tokio::time::sleep(HEALTH).await;
        }
    });
}

/// TLS towards the servers: their CA is the one that was named, never the machine's list.
fn client_config(settings: &UpstreamSettings, secure: bool) -> Result<ClientConfig, UpstreamError> {
    let mut roots = RootCertStore::empty();
    match &settings.ca_file {
        Some(file) => {
            for cert in certificates(file)? {
                roots.add(cert)?;
            }
        }
        None if secure => return Err(UpstreamError::NoCa),
        None => {}
    }
    let builder = ClientConfig::builder_with_provider(tls::provider())
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots);
    Ok(match &settings.identity {
        Some((chain, key)) => {
            let file =
                |why: rustls::pki_types::pem::Error| UpstreamError::File { file: key.clone(), why: why.to_string() };
            builder.with_client_auth_cert(certificates(chain)?, PrivateKeyDer::from_pem_file(key).map_err(file)?)?
        }
        None => builder.with_no_client_auth(),
    })
}

fn certificates(file: &PathBuf) -> Result<Vec<CertificateDer<'static>>, UpstreamError> {
    let wrong = |why: String| UpstreamError::File { file: file.clone(), why };
    let read = CertificateDer::pem_file_iter(file).map_err(|error| wrong(error.to_string()))?;
    let found: Vec<_> = read.collect::<Result<_, _>>().map_err(|error| wrong(error.to_string()))?;
    if found.is_empty() { Err(wrong("no certificate is in it".into())) } else { Ok(found) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn upstreams(urls: &[&str]) -> Result<Upstreams, UpstreamError> {
        let urls = urls.iter().map(|url| (*url).to_owned()).collect();
        Upstreams::new(&UpstreamSettings { urls, ..UpstreamSettings::default() })
    }

    #[tokio::test]
    async fn the_server_with_the_least_to_do_is_asked_and_one_that_failed_is_left_alone() {
        let all = upstreams(&["http://one.example", "http://two.example:8080/"]).expect("two servers");
        let name = |load: &Load| load.0.authority.to_string();
        let first = all.choose(&[]).expect("a server");
        let second = all.choose(&[]).expect("a server");
        assert_ne!(name(&first), name(&second), "each has one request");
        second.0.failed();
        let third = all.choose(&[]).expect("a server");
        assert_eq!(name(&third), name(&first), "the other one rests");
        let other = all.choose(&[first]).expect("better than none");
        assert_eq!(name(&other), name(&second));
        second.0.answered();
        assert!(!second.0.rests(Instant::now()));
        assert!(all.choose(&[third, other]).is_none(), "all were tried");
    }

    #[tokio::test]
    async fn addresses_of_servers_are_checked() {
        assert!(matches!(upstreams(&[]), Err(UpstreamError::None)));
        for wrong in ["one.example", "ftp://one.example", "http://one.example/path", "http://a@one.example", "http://"]
        {
            assert!(matches!(upstreams(&[wrong]), Err(UpstreamError::Address(_))), "{wrong}");
        }
        assert!(matches!(upstreams(&["https://one.example"]), Err(UpstreamError::NoCa)));
    }
}
