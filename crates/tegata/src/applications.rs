//! Who answers a request at the front door: an application behind the gate, or the portal. Wiring, no rule: whether the certificate opens the
//! gate is asked of the `Peer`, which application it is of the gateway, and how a refusal looks of the portal.

use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use axum::Router;
use axum::body::Body;
use axum::response::IntoResponse as _;
use http::{Request, Response};
use tegata_core::application::Unserved;
use tegata_core::peer::Peer;
use tegata_gateway::body::RequestBody;
use tegata_gateway::limits::Limits;
use tegata_gateway::listener::{Door, Drained, Listener};
use tegata_gateway::proxy::{Application, Applications, Claim, Visitor};
use tegata_gateway::tls::TlsFront;
use tegata_web::{program_refusal, program_unserved};
use tokio::signal::unix::{SignalKind, signal};
use tower::{ServiceExt as _, service_fn};

use crate::config::Config;
use crate::deployment;
use crate::trust_feed::TrustFeed;

/// The applications that the configuration describes, with their files read.
pub fn read(config: &Config) -> anyhow::Result<Vec<Application>> {
    let mut applications = Vec::new();
    for described in &config.application {
        let settings = described.settings(config)?;
        if let Some(settings) = settings {
            let of = || format!("[[application]] {}", described.name_en);
            applications.push(Application::new(settings).with_context(of)?);
        }
    }
    Ok(applications)
}

/// Reads the list again at each SIGHUP. A list that is wrong changes nothing, and is complained of.
pub async fn follow_hangups(file: PathBuf, applications: Applications) -> anyhow::Result<()> {
    let mut hangups = signal(SignalKind::hangup())?;
    while hangups.recv().await.is_some() {
        let fresh = deployment::config(&file).and_then(|checked| read(&checked.config));
        match fresh {
            Ok(fresh) => {
                tracing::info!(applications = fresh.len(), "the list of applications was read again");
                applications.replace(fresh);
            }
            Err(error) => tracing::error!(error = %format!("{error:#}"), "the list of applications stays as it was"),
        }
    }
    Ok(())
}

/// The front door's service.
#[derive(Clone)]
pub struct Front {
    /// The portal's pages and programs' ways.
    pub portal: Router,
    /// Hears of first uses.
    pub feed: TrustFeed,
}

impl Front {
    /// Answers at a listener until it is stopped.
    pub async fn serve(
        self,
        listener: Listener,
        door: Arc<TlsFront>,
        limits: Limits,
        stopped: impl Future<Output = ()>,
    ) -> Drained {
        let service = service_fn(move |request| self.clone().answer(request));
        listener.serve(Door::Tls(door), limits, service, stopped).await
    }

    /// Answers one request.
    async fn answer(self, mut request: Request<RequestBody>) -> Result<Response<Body>, Infallible> {
        let peer = request.extensions().get::<Peer>().cloned();
        if let Some(peer) = &peer {
            self.feed.notice(peer, request.headers()).await;
        }
        let claim = request.extensions_mut().remove::<Claim>();
        let visitor = request.extensions().get::<Arc<Visitor>>().cloned();
        let (Some(claim), Some(visitor)) = (claim, visitor) else { return self.portal.oneshot(request).await };
        let is_let_in = peer.as_ref().is_some_and(|peer| peer.accepted().is_some());
        match claim {
            Claim::Application(application) if is_let_in => self.proxied(&application, &visitor, request).await,
            Claim::Application(application) if application.settings().for_programs => {
                Ok(program_refusal(peer.as_ref()).unwrap_or_else(|| program_unserved(Unserved::NothingHere)))
            }
            // The landing pages say what is wrong with the certificate, and help.
            Claim::Application(_) | Claim::None(_) if !is_let_in => self.portal.oneshot(request).await,
            Claim::Application(_) => self.unserved(request, Unserved::NothingHere).await,
            Claim::None(why) => self.unserved(request, why).await,
        }
    }

    async fn proxied(
        self,
        application: &Application,
        visitor: &Arc<Visitor>,
        request: Request<RequestBody>,
    ) -> Result<Response<Body>, Infallible> {
        let head = copy_of_head(&request);
        match application.forward(visitor, request).await {
            Ok(response) => Ok(response.map(Body::new)),
            Err(unserved) if application.settings().for_programs => Ok(program_unserved(unserved).into_response()),
            Err(unserved) => self.unserved(head, unserved).await,
        }
    }

    /// The portal's page for it, in the visitor's language.
    async fn unserved<B>(self, request: Request<B>, unserved: Unserved) -> Result<Response<Body>, Infallible> {
        let mut request = request.map(|_| Body::empty());
        request.extensions_mut().insert(unserved);
        self.portal.oneshot(request).await
    }
}

/// Method, address and header of a request, for the page that is shown when nobody answers it.
fn copy_of_head(request: &Request<RequestBody>) -> Request<()> {
    let mut head = Request::new(());
    *head.method_mut() = request.method().clone();
    *head.uri_mut() = request.uri().clone();
    *head.headers_mut() = request.headers().clone();
    head
}
