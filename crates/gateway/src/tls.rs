//! TLS of a browser listener: TLS 1.3 (1.2 only by a named exception), post-quantum key exchange first, a client certificate asked for
//! and never required. What a client presented is classified from the bytes of its certificate on every connection, full or resumed: a
//! resumed session (RFC 8446 section 2.2) brings its certificate back without any verifier having run.

use std::fmt;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{self, kx_group};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::{ServerConnection, ServerSessionMemoryCache, StoresServerSessions};
use rustls::time_provider::TimeProvider;
use rustls::{DistinguishedName, HandshakeKind, ProtocolVersion, ServerConfig, version};
use tegata_core::id::IssuerId;
use tegata_core::peer::{Peer, Presented};
use tegata_core::time::Clock;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use x509_cert::der::{Decode, Encode};

use crate::server_cert::ServerCert;
use crate::trust::{Trust, TrustSnapshot};
use crate::verifier::{ProofOfPossession, is_readable};

/// The largest session that is kept for resumption; a client that sends more than our certificates need handshakes in full each time.
const MAX_SESSION_BYTES: usize = 8 * 1024;

/// How a browser listener speaks TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsSettings {
    /// The reason for which TLS 1.2 is switched on, where it is; written to the log at each start. The guideline for medical systems asks
    /// for TLS 1.3.
    pub allow_tls12: Option<String>,
    /// How many sessions are kept for resumption; two for each full handshake, about 2 KB each.
    pub resumable_sessions: usize,
}

impl Default for TlsSettings {
    fn default() -> Self {
        Self { allow_tls12: None, resumable_sessions: 4096 }
    }
}

/// Why the settings make no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// TLS 1.2 needs a reason that an auditor can read.
    #[error("TLS 1.2 is switched on without a reason: write why it is needed, and until when")]
    NoReason,
    /// A certificate of an issuing CA cannot be read.
    #[error("the certificate of issuing CA {0} cannot be read")]
    BrokenIssuer(IssuerId),
    /// The library refused the configuration.
    #[error("TLS cannot be set up: {0}")]
    Rustls(#[from] rustls::Error),
}

/// How a connection is protected; in each request's extensions, for logs and the log-in page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsInfo {
    /// `TLSv1.3` or `TLSv1.2`.
    pub version: &'static str,
    /// The group of the key exchange, for example `X25519MLKEM768`.
    pub key_exchange: &'static str,
    /// The host name that the client asked for (SNI), in lower case; none where it connected to an address.
    pub server_name: Option<Arc<str>>,
    /// Whether an earlier session was resumed.
    pub resumed: bool,
}

/// TLS and trust of a listener: everything that turns a socket into a classified connection.
#[derive(Debug)]
pub struct TlsFront {
    settings: TlsSettings,
    server_cert: Arc<ServerCert>,
    trust: Trust,
    clock: Arc<ClockForTls>,
    sessions: Arc<Sessions>,
    built: ArcSwap<Built>,
}

#[derive(Debug)]
struct Built {
    issuers: Vec<IssuerId>,
    config: Arc<ServerConfig>,
}

/// A connection after its handshake.
#[derive(Debug)]
pub(crate) struct Accepted {
    pub(crate) stream: TlsStream<TcpStream>,
    pub(crate) presented: Presented,
    /// The certificate that was presented, where it is one of ours.
    pub(crate) leaf: Option<CertificateDer<'static>>,
    pub(crate) info: TlsInfo,
    pub(crate) is_h2: bool,
}

impl TlsFront {
    /// Prepares TLS. Logs the exception where TLS 1.2 is on.
    pub fn new(
        settings: TlsSettings,
        server_cert: Arc<ServerCert>,
        trust: Trust,
        clock: Arc<dyn Clock>,
    ) -> Result<Arc<Self>, TlsError> {
        match settings.allow_tls12.as_deref().map(str::trim) {
            Some("") => return Err(TlsError::NoReason),
            Some(reason) => tracing::warn!(reason, "TLS 1.2 is switched on; the default is TLS 1.3 only"),
            None => {}
        }
        let clock = Arc::new(ClockForTls(clock));
        let sessions = Arc::new(Sessions(ServerSessionMemoryCache::new(settings.resumable_sessions)));
        let built = build(&settings, &server_cert, &trust.current(), &clock, &sessions)?;
        Ok(Arc::new(Self { settings, server_cert, trust, clock, sessions, built: ArcSwap::from_pointee(built) }))
    }

    /// What the other end is worth at this moment.
    pub(crate) fn peer(&self, presented: &Presented) -> Peer {
        Peer { presented: presented.clone(), state: self.trust.state(presented, self.clock.0.now()) }
    }

    /// Classifies a certificate that somebody else was shown and had its key proven.
    pub(crate) fn recognise(&self, leaf: &CertificateDer<'_>) -> Presented {
        present(Some(std::slice::from_ref(leaf)), &self.trust.current())
    }

    /// The certificate of an issuing CA that is trusted now (DER).
    pub(crate) fn issuer(&self, id: IssuerId) -> Option<Vec<u8>> {
        let snapshot = self.trust.current();
        snapshot.issuers.iter().find(|(known, _)| *known == id).map(|(_, issuer)| issuer.der().to_vec())
    }

    /// Shakes hands. The caller limits the time.
    pub(crate) async fn accept(&self, stream: TcpStream) -> std::io::Result<Accepted> {
        let stream = TlsAcceptor::from(self.config()).accept(stream).await?;
        let (_, connection) = stream.get_ref();
        let presented = present(connection.peer_certificates(), &self.trust.current());
        let is_ours = matches!(presented, Presented::Ours(_));
        let leaf = connection.peer_certificates().and_then(<[_]>::first).filter(|_| is_ours).cloned();
        let leaf = leaf.map(CertificateDer::into_owned);
        let info = describe(connection);
        let is_h2 = connection.alpn_protocol() == Some(b"h2");
        Ok(Accepted { stream, presented, leaf, info, is_h2 })
    }

    /// The configuration for the issuers now in force: their names go into each CertificateRequest.
    fn config(&self) -> Arc<ServerConfig> {
        let snapshot = self.trust.current();
        let built = self.built.load();
        if built.issuers.iter().eq(snapshot.issuers.iter().map(|(id, _)| id)) {
            return Arc::clone(&built.config);
        }
        match build(&self.settings, &self.server_cert, &snapshot, &self.clock, &self.sessions) {
            Ok(fresh) => {
                let config = Arc::clone(&fresh.config);
                self.built.store(Arc::new(fresh));
                config
            }
            Err(error) => {
                tracing::error!(%error, "the list of issuing CAs could not be renewed; browsers are offered the old one");
                Arc::clone(&built.config)
            }
        }
    }
}

/// Classifies what was shown. Only a certificate that the verifier could read, and so had its key proven, can be ours.
fn present(chain: Option<&[CertificateDer<'_>]>, snapshot: &TrustSnapshot) -> Presented {
    let Some(leaf) = chain.and_then(<[_]>::first) else { return Presented::None };
    if !is_readable(leaf) {
        return Presented::Foreign;
    }
    tegata_pki::chain::identify(leaf, &snapshot.issuers).map_or(Presented::Foreign, Presented::Ours)
}

fn describe(connection: &ServerConnection) -> TlsInfo {
    TlsInfo {
        version: match connection.protocol_version() {
            Some(ProtocolVersion::TLSv1_2) => "TLSv1.2",
            _ => "TLSv1.3",
        },
        key_exchange: connection.negotiated_key_exchange_group().and_then(|group| group.name().as_str()).unwrap_or("-"),
        server_name: connection.server_name().map(|name| name.to_ascii_lowercase().into()),
        resumed: connection.handshake_kind() == Some(HandshakeKind::Resumed),
    }
}

/// aws-lc-rs with the key exchanges that we offer, post-quantum first.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: LazyLock<Arc<CryptoProvider>> = LazyLock::new(|| {
        let kx_groups = vec![kx_group::X25519MLKEM768, kx_group::X25519, kx_group::SECP256R1];
        Arc::new(CryptoProvider { kx_groups, ..aws_lc_rs::default_provider() })
    });
    Arc::clone(&PROVIDER)
}

fn build(
    settings: &TlsSettings,
    server_cert: &Arc<ServerCert>,
    snapshot: &TrustSnapshot,
    clock: &Arc<ClockForTls>,
    sessions: &Arc<Sessions>,
) -> Result<Built, TlsError> {
    let provider = provider();
    let verifier = ProofOfPossession::new(provider.signature_verification_algorithms, authorities(snapshot)?);
    let versions: &[_] =
        if settings.allow_tls12.is_some() { &[&version::TLS13, &version::TLS12] } else { &[&version::TLS13] };
    let mut config = ServerConfig::builder_with_details(provider, Arc::clone(clock) as Arc<dyn TimeProvider>)
        .with_protocol_versions(versions)?
        .with_client_cert_verifier(Arc::new(verifier))
        .with_cert_resolver(Arc::clone(server_cert) as Arc<_>);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config.session_storage = Arc::clone(sessions) as Arc<_>;
    let issuers = snapshot.issuers.iter().map(|(id, _)| *id).collect();
    Ok(Built { issuers, config: Arc::new(config) })
}

/// The names in the CertificateRequest: the issuing CAs first (some clients compare only the direct issuer), then their roots.
fn authorities(snapshot: &TrustSnapshot) -> Result<Vec<DistinguishedName>, TlsError> {
    let mut issuing = Vec::new();
    let mut roots = Vec::new();
    for (id, issuer) in &snapshot.issuers {
        let broken = |_| TlsError::BrokenIssuer(*id);
        let cert = x509_cert::Certificate::from_der(issuer.der()).map_err(broken)?;
        issuing.push(cert.tbs_certificate().subject().to_der().map_err(broken)?);
        roots.push(cert.tbs_certificate().issuer().to_der().map_err(broken)?);
    }
    let mut names: Vec<Vec<u8>> = Vec::new();
    for name in issuing.into_iter().chain(roots) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    Ok(names.into_iter().map(DistinguishedName::from).collect())
}

/// The system's time enters TLS through the same door as everything else.
struct ClockForTls(Arc<dyn Clock>);

impl fmt::Debug for ClockForTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

impl TimeProvider for ClockForTls {
    fn current_time(&self) -> Option<UnixTime> {
        let seconds = u64::try_from(self.0.now().0).ok()?;
        Some(UnixTime::since_unix_epoch(Duration::from_secs(seconds)))
    }
}

/// Sessions for resumption, bounded in number and in size: a session carries the client's chain, whose size the client chooses.
#[derive(Debug)]
struct Sessions(Arc<ServerSessionMemoryCache>);

impl StoresServerSessions for Sessions {
    fn put(&self, key: Vec<u8>, value: Vec<u8>) -> bool {
        value.len() <= MAX_SESSION_BYTES && self.0.put(key, value)
    }

    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.0.get(key)
    }

    fn take(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.0.take(key)
    }

    fn can_cache(&self) -> bool {
        self.0.can_cache()
    }
}
