//! The listeners for programs, beside the portal's: ORCA's own, EST for clients that the portal's TLS is too new for, and other reverse proxies
//! that ask for the gate's decision. Wiring, no rule.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::middleware::from_fn_with_state;
use http::{HeaderMap, Request, Response};
use http_body_util::Full;
use hyper::body::Bytes;
use tegata_authority::{Authority, PickUpRules};
use tegata_core::time::Days;
use tegata_gateway::body::RequestBody;
use tegata_gateway::forward_auth::ForwardAuth;
use tegata_gateway::limits::Limits;
use tegata_gateway::listener::{Door, Drained, Listener};
use tegata_gateway::proxy::Visitor;
use tegata_gateway::server_cert::ServerCert;
use tegata_gateway::tls::{TlsFront, TlsSettings};
use tegata_gateway::trust::Trust;
use tegata_web::{OrcaState, WebState};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tower::service_fn;

use crate::config::{Checked, Est, Orca, ServerNames};
use crate::serve::{server_certificate, wait};
use crate::system::SystemClock;
use crate::trust_feed::{TrustFeed, notice_first_use};

/// Those that the configuration asks for.
pub struct Programs {
    orca: Option<(ProgramDoor, Orca)>,
    est: Option<(ProgramDoor, Est)>,
    forward_auth: Option<(ProgramDoor, ForwardAuth)>,
}

/// One of them, bound.
struct ProgramDoor {
    listener: Listener,
    front: Arc<TlsFront>,
    certificate: Arc<ServerCert>,
    names: ServerNames,
}

impl Programs {
    /// Opens their sockets; nothing is served yet.
    pub async fn bind(checked: &Checked, authority: &Authority, trust: &Trust) -> anyhow::Result<Self> {
        let bind = async |topic, listen: SocketAddr, names: ServerNames, allow_tls12: Option<String>| {
            let listener = Listener::bind(listen).await.context(topic)?;
            let certificate = Arc::new(server_certificate(checked, authority, &names).await.context(topic)?);
            let tls = TlsSettings { allow_tls12, ..TlsSettings::default() };
            let front = TlsFront::new(tls, certificate.clone(), trust.clone(), Arc::new(SystemClock))?;
            anyhow::Ok(ProgramDoor { listener, front, certificate, names })
        };
        let orca = match checked.config.orca.clone() {
            Some(it) => Some((bind("[orca]", it.listen, it.names(), it.allow_tls12.clone()).await?, it)),
            None => None,
        };
        let est = match checked.config.est.clone() {
            Some(it) => Some((bind("[est]", it.listen, it.names(), it.allow_tls12.clone()).await?, it)),
            None => None,
        };
        let forward_auth = match checked.config.forward_auth.clone() {
            Some(it) => {
                let rule = ForwardAuth::new(it.named()?);
                Some((bind("[forward_auth]", it.listen, it.names(), it.allow_tls12.clone()).await?, rule))
            }
            None => None,
        };
        Ok(Self { orca, est, forward_auth })
    }

    /// Their certificates, to be kept from ending.
    pub fn certificates(&self) -> Vec<(ServerNames, Arc<ServerCert>)> {
        let doors = self.orca.iter().map(|(door, _)| door).chain(self.est.iter().map(|(door, _)| door));
        let doors = doors.chain(self.forward_auth.iter().map(|(door, _)| door));
        doors.map(|door| (door.names.clone(), door.certificate.clone())).collect()
    }

    /// Serves until stopped.
    pub fn serve(
        self,
        feed: &TrustFeed,
        web: Arc<WebState>,
        limits: &Limits,
        stopped: &watch::Receiver<bool>,
    ) -> Vec<JoinHandle<Drained>> {
        let first_use = from_fn_with_state(feed.clone(), notice_first_use);
        let mut served = Vec::new();
        if let Some((door, orca)) = self.orca {
            let router = tegata_web::orca_router(orca_state(&orca, web.authority.clone())).layer(first_use.clone());
            // These programs send a few bytes and go; nothing of theirs is worth waiting for.
            let limits = Limits { max_body_bytes: 4096, idle_timeout: Duration::from_secs(10), ..limits.clone() };
            tracing::info!(address = %door.listener.local_address(), url = orca.url, "open for ORCA's programs");
            let front = Door::OldPrograms(door.front);
            served.push(tokio::spawn(door.listener.serve(front, limits, router, wait(stopped.clone()))));
        }
        if let Some((door, est)) = self.est {
            let router = tegata_web::programs_router(web).layer(first_use);
            tracing::info!(address = %door.listener.local_address(), url = est.url, "open for EST");
            let front = Door::Tls(door.front);
            served.push(tokio::spawn(door.listener.serve(front, limits.clone(), router, wait(stopped.clone()))));
        }
        if let Some((door, rule)) = self.forward_auth {
            tracing::info!(address = %door.listener.local_address(), "open for other reverse proxies");
            let (front, feed) = (Door::Tls(door.front), feed.clone());
            let service = service_fn(move |request| decide(rule.clone(), feed.clone(), request));
            served.push(tokio::spawn(door.listener.serve(front, limits.clone(), service, wait(stopped.clone()))));
        }
        served
    }
}

/// Answers a proxy. A certificate that it was shown for the first time is in use from now on.
async fn decide(
    rule: ForwardAuth,
    feed: TrustFeed,
    request: Request<RequestBody>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let visitor = request.extensions().get::<Arc<Visitor>>().cloned().expect("a TLS listener names its visitor");
    let (answer, judged) = rule.answer(&visitor, request.uri().path(), request.headers());
    if let Some(peer) = judged {
        feed.notice(&peer, &HeaderMap::new()).await; // the fields are the proxy's
    }
    Ok(answer)
}

fn orca_state(settings: &Orca, authority: Authority) -> OrcaState {
    let Orca { window_days, pickup_minutes, pickup_downloads, .. } = *settings;
    let rules =
        PickUpRules { window: window_days.map(Days), seconds: pickup_minutes * 60, downloads: pickup_downloads };
    OrcaState { authority, rules, url: settings.url.clone() }
}
