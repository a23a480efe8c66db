//! Posts a webhook: one connection, one request over HTTP/1.1, no redirect is followed, nothing of the answer is kept but its status. The
//! address is looked up once and what was found is connected to, so that a name cannot change its mind between the check and the connection.
//!
//! hyper and tokio-rustls are here because the gate has them; a client library would bring pools, redirects, proxies and cookies, all of which
//! would have to be switched off.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tegata_authority::{Post, Undelivered};
use tegata_core::hook::is_public;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// How long all of it may take.
const TRY: Duration = Duration::from_secs(15);
/// How much of an answer is read, so that a connection can end in order.
const ANSWER: usize = 16 * 1024;

/// Posts.
pub struct Poster(TlsConnector);

impl Poster {
    /// Trusts what the system trusts, and the CAs of a file where one is named.
    pub fn new(extra: Option<&std::path::Path>) -> anyhow::Result<Self> {
        let mut roots = RootCertStore::empty();
        // What cannot be read of the system's list is left out; a receiver that needs it is then not trusted, and says so.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if let Some(file) = extra {
            let text =
                std::fs::read_to_string(file).with_context(|| format!("webhooks.ca_file: {}", file.display()))?;
            let certificates = tegata_pki::pem::certificates(&text).context("webhooks.ca_file")?;
            for der in certificates {
                roots.add(der.into()).context("webhooks.ca_file")?;
            }
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self(TlsConnector::from(Arc::new(config))))
    }

    /// Posts once.
    pub async fn post(&self, post: &Post) -> Result<(), Undelivered> {
        let done = tokio::time::timeout(TRY, self.try_post(post)).await;
        let later = |reason| Err(Undelivered { reason, for_good: false });
        match done {
            Err(_) => later("no answer within 15 seconds".to_owned()),
            Ok(Err(error)) => later(format!("{error:#}")),
            Ok(Ok(status)) if status.is_success() => Ok(()),
            Ok(Ok(StatusCode::GONE)) => Err(Undelivered { reason: "answered 410: it is gone".into(), for_good: true }),
            Ok(Ok(status)) => later(format!("answered {}", status.as_u16())),
        }
    }

    async fn try_post(&self, post: &Post) -> anyhow::Result<StatusCode> {
        let stream = connect(post).await?;
        if !post.url.is_https() {
            return exchange(stream, post).await;
        }
        let name = ServerName::try_from(post.url.host().to_owned()).context("its host name")?;
        let stream = self.0.connect(name, stream).await.context("TLS")?;
        exchange(stream, post).await
    }
}

async fn connect(post: &Post) -> anyhow::Result<TcpStream> {
    let (host, port) = (post.url.host(), post.url.port());
    let found = tokio::net::lookup_host((host, port)).await.with_context(|| format!("{host} is not found"))?;
    let (open, closed): (Vec<SocketAddr>, Vec<SocketAddr>) =
        found.partition(|address| post.private || is_public(address.ip()));
    if open.is_empty() {
        let first = closed.first().ok_or_else(|| anyhow!("{host} has no address"))?;
        bail!(
            "{host} is at {}, which is not on the open network (`tegata webhook add --private` permits it)",
            first.ip()
        );
    }
    let mut failed = None;
    for address in open {
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => failed = Some(anyhow!(error).context(format!("cannot connect to {address}"))),
        }
    }
    Err(failed.unwrap_or_else(|| anyhow!("cannot connect")))
}

async fn exchange<S>(stream: S, post: &Post) -> anyhow::Result<StatusCode>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let request = Request::post(post.url.target())
        .header("host", post.url.authority())
        .header("content-type", "application/json")
        .header("user-agent", concat!("tegata/", env!("CARGO_PKG_VERSION")))
        .header("webhook-id", &post.id)
        .header("webhook-timestamp", post.timestamp)
        .header("webhook-signature", &post.signature)
        .body(Full::new(Bytes::copy_from_slice(&post.body)))?;
    let answer = sender.send_request(request).await;
    let status = match answer {
        Ok(answer) => {
            let status = answer.status();
            // What it says is nobody's business; an answer that is too long or breaks off is an answer all the same.
            let _ = Limited::new(answer.into_body(), ANSWER).collect().await;
            Ok(status)
        }
        Err(error) => Err(anyhow!(error).context("no answer")),
    };
    connection.abort();
    status
}
