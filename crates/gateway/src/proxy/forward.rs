//! One request's way to an application and back. Another server is tried where nothing can have happened at the first one: when there was
//! no connection to it, or when a request that changes nothing (RFC 9110 section 9.2.1) and carries nothing was cut off before an answer.

use std::sync::Arc;

use http::header::HOST;
use http::{HeaderValue, Method, Request, Response, StatusCode, Version};
use hyper::body::{Body, Bytes, Incoming};
use hyper::upgrade::OnUpgrade;
use tegata_core::application::Unserved;
use tokio::time::{Instant, sleep_until};

use super::body::{Answer, Kept, Lent, Progress};
use super::upstream::{Failed, Load};
use super::visitor::Visitor;
use super::{Application, headers, identity, tunnel};
use crate::body::BodyError;

/// What is sent, whichever server gets it.
struct Outgoing {
    head: http::request::Parts,
    body: Kept,
    /// Whether it may be sent a second time after it may have arrived.
    is_harmless: bool,
    leaves_http: bool,
}

impl Application {
    /// Has the application answer a request of a terminal that the gate accepts. The answer's body comes piece by piece.
    pub async fn forward<B>(&self, visitor: &Arc<Visitor>, request: Request<B>) -> Result<Response<Answer>, Unserved>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BodyError>,
    {
        let outcome = self.answer(visitor, request).await;
        let result = outcome.as_ref().map_or_else(|unserved| unserved.as_str(), |_| "answered");
        metrics::counter!("tegata_proxied_total", "application" => self.settings.name.clone(), "result" => result)
            .increment(1);
        outcome
    }

    async fn answer<B>(&self, visitor: &Arc<Visitor>, mut request: Request<B>) -> Result<Response<Answer>, Unserved>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BodyError>,
    {
        let customer = visitor.bearer().map(|bearer| bearer.customer);
        if !self.settings.audience.includes(customer) {
            return Err(Unserved::NotForCustomer);
        }
        let client_end = request.extensions_mut().remove::<OnUpgrade>();
        let outgoing = self.outgoing(visitor, request)?;
        let (response, load) = self.ask(&outgoing).await?;
        self.hand_back(visitor, response, load, client_end.filter(|_| outgoing.leaves_http))
    }

    /// The request as the application gets it.
    fn outgoing<B>(&self, visitor: &Visitor, request: Request<B>) -> Result<Outgoing, Unserved>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BodyError>,
    {
        let (mut head, body) = request.into_parts();
        // What the certificate is worth now, not when the request arrived: it may have waited.
        let peer = visitor.peer();
        let (Some(cert), Some(leaf)) = (peer.accepted(), &visitor.leaf) else { return Err(Unserved::NotForCustomer) };
        let leaves_http = head.version == Version::HTTP_11 && headers::asks_for_websocket(&head.headers);
        // HTTP/2 names the host in a place of its own (RFC 9113 section 8.3.1).
        let named = head.uri.authority().and_then(|authority| HeaderValue::from_str(authority.as_str()).ok());
        let host = named.or_else(|| head.headers.get(HOST).cloned());
        headers::towards_application(&mut head.headers, visitor.client, host.as_ref());
        identity::write(&mut head.headers, &visitor.front, leaf, cert, peer.state);
        if self.upstreams.http2 {
            head.headers.remove(HOST); // the server's own name stands in its place; the other one is in X-Forwarded-Host
        }
        if leaves_http {
            headers::write_upgrade(&mut head.headers);
        }
        head.version = Version::HTTP_11;
        head.extensions.clear();
        let safe = [Method::GET, Method::HEAD, Method::OPTIONS].contains(&head.method);
        let is_harmless = safe && body.is_end_stream() && !leaves_http;
        Ok(Outgoing { head, body: Kept::new(body), is_harmless, leaves_http })
    }

    /// Tries server after server.
    async fn ask(&self, outgoing: &Outgoing) -> Result<(Response<Incoming>, Load), Unserved> {
        let mut tried: Vec<Load> = Vec::new();
        let mut second_chance = outgoing.is_harmless;
        loop {
            let progress = Progress::new();
            let server = self.upstreams.choose(&tried);
            let (Some(server), Some(body)) = (server, outgoing.body.lend(&progress)) else {
                return Err(if tried.is_empty() { Unserved::Broken } else { Unserved::Unreachable });
            };
            let request = Request::from_parts(outgoing.head.clone(), body);
            match self.wait(&server, request, outgoing.leaves_http, &progress).await {
                Ok(response) => {
                    server.upstream().answered();
                    return Ok((response, server));
                }
                Err(None) => return Err(Unserved::TooSlow),
                Err(Some(Failed::Connect)) => server.upstream().failed(),
                Err(Some(Failed::Other)) if second_chance => second_chance = false,
                Err(Some(Failed::Other)) => return Err(Unserved::Broken),
            }
            tried.push(server);
        }
    }

    /// Waits for an answer to begin; an upload that moves may take as long as it needs. `None` when it takes too long.
    async fn wait(
        &self,
        server: &Load,
        request: Request<Lent>,
        leaves_http: bool,
        progress: &Progress,
    ) -> Result<Response<Incoming>, Option<Failed>> {
        let mut sent = std::pin::pin!(self.upstreams.send(server.upstream(), request, leaves_http));
        loop {
            let end = progress.last() + self.settings.answer_timeout;
            tokio::select! {
                answer = sent.as_mut() => return answer.map_err(Some),
                () = sleep_until(end) => if progress.last() + self.settings.answer_timeout <= Instant::now() {
                    return Err(None);
                }
            }
        }
    }

    fn hand_back(
        &self,
        visitor: &Arc<Visitor>,
        mut response: Response<Incoming>,
        load: Load,
        client_end: Option<OnUpgrade>,
    ) -> Result<Response<Answer>, Unserved> {
        let switched = response.status() == StatusCode::SWITCHING_PROTOCOLS;
        let is_websocket = headers::names_websocket(response.headers());
        let application_end = response.extensions_mut().remove::<OnUpgrade>();
        let (mut head, body) = response.into_parts();
        headers::towards_client(&mut head.headers, switched);
        head.extensions.clear();
        head.version = Version::HTTP_11;
        let idle = self.settings.idle_timeout;
        if switched {
            // An answer to something that nobody asked.
            let (Some(client), Some(application), true) = (client_end, application_end, is_websocket) else {
                return Err(Unserved::Broken);
            };
            let upstream = load.again();
            tunnel::join(client, application, Arc::clone(visitor), idle, load);
            return Ok(Response::from_parts(head, Answer::new(body, Arc::clone(visitor), idle, upstream)));
        }
        Ok(Response::from_parts(head, Answer::new(body, Arc::clone(visitor), idle, load)))
    }
}
