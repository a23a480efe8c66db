//! Keeps the gate's picture of our certificates, the answers about them and the revocation lists in step with the register, and remembers
//! what a first handshake proves. The gate itself never asks the database.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::HeaderMap;
use tegata_authority::Authority;
use tegata_authority::crl::Crls;
use tegata_authority::ocsp::Ocsp;
use tegata_core::access::Actor;
use tegata_core::id::IssuerId;
use tegata_core::peer::Peer;
use tegata_gateway::trust::{Trust, TrustSnapshot};
use tegata_pki::issuer::IssuerCert;
use tegata_web::system_of;
use tokio::sync::{Mutex, watch};

/// How soon a change made by another process (`tegata cert revoke`) reaches the gate.
const POLL: Duration = Duration::from_millis(250);

/// For how long commits of this process are gathered before the register is looked at.
const GATHER: Duration = Duration::from_millis(10);

/// What tells everybody about our certificates, and must hear of each revocation.
#[derive(Clone)]
pub struct Speakers {
    /// Answers about single certificates.
    pub ocsp: Ocsp,
    /// Revocation lists.
    pub crls: Crls,
}

/// The feed; cloned freely.
#[derive(Clone)]
pub struct TrustFeed(Arc<Inner>);

struct Inner {
    authority: Authority,
    trust: Trust,
    speakers: Option<Speakers>,
    seen: AtomicI64,
    reachable: AtomicBool,
    turn: Mutex<()>,
}

impl TrustFeed {
    /// Reads the first picture. The speakers have said nothing yet.
    pub async fn start(authority: Authority, max_age_seconds: u64, speakers: Option<Speakers>) -> anyhow::Result<Self> {
        let (snapshot, version) = read(&authority, None).await?;
        let trust = Trust::new(snapshot, max_age_seconds);
        let (seen, reachable) = (AtomicI64::new(version), AtomicBool::new(true));
        Ok(Self(Arc::new(Inner { authority, trust, speakers, seen, reachable, turn: Mutex::new(()) })))
    }

    /// What the gate looks at.
    pub fn trust(&self) -> &Trust {
        &self.0.trust
    }

    /// Whether the register answered when it was last asked.
    pub fn reachable(&self) -> bool {
        self.0.reachable.load(Ordering::Relaxed)
    }

    /// Follows the register until the process ends.
    pub async fn follow(self, mut commits: watch::Receiver<u64>) {
        let mut known = None;
        loop {
            // A commit of this process wakes us at once; one of another process is found by the poll.
            let local = tokio::time::timeout(POLL, commits.changed()).await;
            if matches!(local, Ok(Err(_))) {
                return; // the register is closed
            }
            // Commits come in flocks: one look serves them all.
            tokio::time::sleep(GATHER).await;
            let reader = self.0.authority.reader();
            let version = reader.data_version().await;
            let changed = local.is_ok() || version.as_ref().ok() != known.as_ref();
            let outcome = match version {
                Ok(version) => {
                    known = Some(version);
                    self.refresh(changed).await
                }
                Err(error) => Err(error.into()),
            };
            self.note(outcome);
        }
    }

    /// A certificate of ours that is accepted and waits for its first use is in use from this request on. That its terminal was here is
    /// written down beside the request.
    pub async fn notice(&self, peer: &Peer, headers: &HeaderMap) {
        let Some(cert) = peer.credential() else { return };
        if self.0.authority.is_news_of(cert) {
            let (authority, seen, system) = (self.0.authority.clone(), cert.clone(), system_of(headers));
            tokio::spawn(async move {
                if let Err(error) = authority.saw(&seen, system).await {
                    tracing::debug!(%error, cert.serial = %seen.serial, "that a terminal was here could not be written down");
                }
            });
        }
        if !self.trust().is_unused(cert) {
            return;
        }
        let noted = async {
            self.0.authority.first_use(cert).await?;
            self.refresh(true).await
        };
        if let Err(error) = noted.await {
            // The next request tries again; the certificate is good all the same.
            tracing::warn!(%error, cert.serial = %cert.serial, "the first use of a certificate could not be written down");
        }
    }

    fn note(&self, outcome: anyhow::Result<()>) {
        let well = outcome.is_ok();
        if self.0.reachable.swap(well, Ordering::Relaxed) != well {
            match outcome {
                Ok(()) => tracing::info!("the register answers again"),
                Err(error) => {
                    tracing::error!(%error, "the register does not answer; the gate goes on with what it knows")
                }
            }
        }
    }

    /// Reads a new picture when something that matters changed, or when the one in force begins to age.
    async fn refresh(&self, changed: bool) -> anyhow::Result<()> {
        let inner = &*self.0;
        let _turn = inner.turn.lock().await;
        let age = inner.authority.now().0.saturating_sub(inner.trust.current().as_of.0).unsigned_abs();
        let aging = age > (inner.trust.max_age() / 10).max(1);
        let outdated = changed && inner.authority.reader().trust_version().await? != inner.seen.load(Ordering::Relaxed);
        if !aging && !outdated {
            return Ok(());
        }
        let (snapshot, version) = read(&inner.authority, inner.speakers.as_ref()).await?;
        inner.trust.replace(snapshot);
        inner.seen.store(version, Ordering::Relaxed);
        Ok(())
    }
}

async fn read(authority: &Authority, speakers: Option<&Speakers>) -> anyhow::Result<(TrustSnapshot, i64)> {
    let scope = Actor::System { job: "gate" }.scope();
    let as_of = authority.now();
    let rows = authority.reader().trust_rows(scope, as_of).await?;
    if let Some(speakers) = speakers {
        speakers.ocsp.heed(&rows.revoked);
        speakers.crls.heed(&rows.revoked);
    }
    let issuers = authority.reader().issuers(scope).await?;
    let issuers: Result<Vec<(IssuerId, IssuerCert)>, _> =
        issuers.into_iter().map(|row| IssuerCert::from_der(&row.der).map(|cert| (row.id, cert))).collect();
    let snapshot = TrustSnapshot {
        issuers: issuers?,
        renewal_window: authority.rules().terminal_profile.renewal_window(),
        as_of,
        revoked: rows.revoked.into_iter().collect(),
        superseded: rows.superseded.into_iter().collect(),
        unused: rows.unused.into_iter().collect(),
    };
    Ok((snapshot, rows.version))
}

/// Middleware: [`TrustFeed::notice`] before any page is made.
pub async fn notice_first_use(State(feed): State<TrustFeed>, request: Request, next: Next) -> Response {
    if let Some(peer) = request.extensions().get::<Peer>() {
        feed.notice(peer, request.headers()).await;
    }
    next.run(request).await
}
