//! One request on its way to the service: it gets its [`Peer`](tegata_core::peer::Peer), judged at this moment, and its limits; what no
//! service should see is answered here.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::header::{CONTENT_TYPE, EXPECT, HOST};
use http::uri::Authority;
use http::{HeaderValue, Request, Response, StatusCode, Version};
use http_body_util::BodyExt;
use hyper::body::{Body, Bytes, Incoming};
use metrics::Counter;
use tegata_core::peer::{Peer, PeerState, Presented};
use tower::{Service, ServiceExt};

use crate::activity::{Activity, Watched};
use crate::body::{BodyError, RequestBody, ResponseBody};
use crate::limits::{Limits, MAX_HEADER_FIELDS};
use crate::tls::{TlsFront, TlsInfo};

/// How much of a body that is too large is read and thrown away, so that the client finishes sending and reads the answer.
const LINGER_BYTES: u64 = 1024 * 1024;
const LINGER_TIME: Duration = Duration::from_secs(2);

/// What all requests of one connection share.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) client: SocketAddr,
    /// What was presented, and how the connection is protected; none on a plain listener.
    pub(crate) tls: Option<(Arc<TlsFront>, Presented, TlsInfo)>,
    pub(crate) limits: Arc<Limits>,
    pub(crate) activity: Arc<Activity>,
    /// The counter of the last request's kind.
    pub(crate) counter: Mutex<Option<((&'static str, StatusCode), Counter)>>,
}

impl Line {
    /// The plain side of its HTTP/1.1 connection, watched for progress.
    pub(crate) fn watch<IO>(&self, io: IO) -> Watched<IO> {
        Watched { io, activity: Arc::clone(&self.activity) }
    }

    /// Answers one request.
    pub(crate) async fn answer<S, B>(
        self: Arc<Self>,
        service: S,
        request: Request<Incoming>,
    ) -> Result<Response<ResponseBody>, Infallible>
    where
        S: Service<Request<RequestBody>, Response = Response<B>, Error = Infallible>,
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BodyError>,
    {
        let _serving = self.activity.serve();
        let begun = tokio::time::Instant::now();
        let peer = self.tls.as_ref().map(|(front, presented, _)| front.peer(presented));
        let (method, uri) = (request.method().clone(), request.uri().clone());
        let response = match self.refusal(&request) {
            Some(status) => self.refuse(status, request).await,
            None => self.pass(service, request, peer.clone()).await,
        };
        self.note(peer.as_ref(), response.status());
        tracing::info!(
            target: "tegata_gateway::access",
            {
            client.address = %self.client.ip(),
            peer.state = peer.as_ref().map_or("-", |peer| peer.state.as_str()),
            cert.serial = peer.as_ref().and_then(serial),
            %method,
            path = uri.path(),
            status = response.status().as_u16(),
            milliseconds = begun.elapsed().as_millis()
            },
            "request"
        );
        Ok(response)
    }

    /// Counts the request. Finding the counter takes longer than counting, and a connection's requests mostly end alike.
    fn note(&self, peer: Option<&Peer>, status: StatusCode) {
        let state = peer.map_or("-", |peer| PeerState::as_str(peer.state));
        let mut last = self.counter.lock().unwrap_or_else(PoisonError::into_inner);
        match &*last {
            Some((known, counter)) if *known == (state, status) => counter.increment(1),
            _ => {
                let status_text = status.as_str().to_owned();
                let counter =
                    metrics::counter!("tegata_requests_total", "peer_state" => state, "status" => status_text);
                counter.increment(1);
                *last = Some(((state, status), counter));
            }
        }
    }

    async fn pass<S, B>(&self, service: S, request: Request<Incoming>, peer: Option<Peer>) -> Response<ResponseBody>
    where
        S: Service<Request<RequestBody>, Response = Response<B>, Error = Infallible>,
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BodyError>,
    {
        let (mut parts, body) = request.into_parts();
        let limits = &self.limits;
        let body = RequestBody::new(body, limits.max_body_bytes, limits.body_timeout, Arc::clone(&self.activity));
        let trouble = body.trouble();
        parts.extensions.insert(self.client);
        if let (Some(peer), Some((_, _, info))) = (peer, &self.tls) {
            parts.extensions.insert(peer);
            parts.extensions.insert(info.clone());
        }
        let Ok(response) = service.oneshot(Request::from_parts(parts, body)).await;
        match trouble.status() {
            // A service that understood says it in its own words.
            Some(status) if response.status() != status => self.plain_answer(status),
            _ => response.map(|body| ResponseBody::new(body, &self.activity)),
        }
    }

    /// Why this request never reaches the service.
    fn refusal(&self, request: &Request<Incoming>) -> Option<StatusCode> {
        if request.headers().len() > MAX_HEADER_FIELDS {
            return Some(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
        }
        let host = match host(request) {
            Ok(host) => host,
            Err(status) => return Some(status),
        };
        // Chromium sends requests for one host name over its connection to another (RFC 9113 section 9.1.1) as long as that one showed no
        // certificate, so an alias host name would never bring the chooser back. 421 makes it connect, and ask its user, anew (RFC 9110
        // section 15.5.20).
        let asked = self.tls.as_ref().and_then(|(_, _, info)| info.server_name.as_deref());
        if let (Some(asked), Some(host)) = (asked, &host)
            && !host.trim_end_matches('.').eq_ignore_ascii_case(asked)
        {
            return Some(StatusCode::MISDIRECTED_REQUEST);
        }
        let announced = request.body().size_hint().lower();
        let permitted = u64::try_from(self.limits.max_body_bytes).unwrap_or(u64::MAX);
        (announced > permitted).then_some(StatusCode::PAYLOAD_TOO_LARGE)
    }

    async fn refuse(&self, status: StatusCode, request: Request<Incoming>) -> Response<ResponseBody> {
        let announced = request.body().size_hint().lower();
        if announced <= LINGER_BYTES && !request.headers().contains_key(EXPECT) {
            let mut body = request.into_body();
            let read_away = async { while let Some(Ok(_)) = body.frame().await {} };
            // Whether it ended or not, the answer is the same.
            let _ = tokio::time::timeout(LINGER_TIME.min(self.limits.body_timeout), read_away).await;
        }
        self.plain_answer(status)
    }

    /// Without a page: nobody who uses a browser as it is meant sees this.
    fn plain_answer(&self, status: StatusCode) -> Response<ResponseBody> {
        let text = status.canonical_reason().unwrap_or("refused");
        let mut response = Response::new(ResponseBody::text(text, &self.activity));
        *response.status_mut() = status;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        response
    }
}

/// The one host name that a request is for. Several, or none where HTTP/1.1 asks for one, is a bad request (RFC 9112 section 3.2).
fn host(request: &Request<Incoming>) -> Result<Option<String>, StatusCode> {
    let mut fields = request.headers().get_all(HOST).iter();
    let field = match (fields.next(), fields.next()) {
        (_, Some(_)) => return Err(StatusCode::BAD_REQUEST),
        (Some(field), None) => Some(Authority::try_from(field.as_bytes()).map_err(|_| StatusCode::BAD_REQUEST)?),
        (None, None) => None,
    };
    match (request.uri().authority(), field) {
        (Some(target), Some(field)) if !target.as_str().eq_ignore_ascii_case(field.as_str()) => {
            Err(StatusCode::BAD_REQUEST)
        }
        (Some(target), _) => Ok(Some(target.host().to_owned())),
        (None, Some(field)) => Ok(Some(field.host().to_owned())),
        (None, None) if request.version() == Version::HTTP_10 => Ok(None),
        (None, None) => Err(StatusCode::BAD_REQUEST),
    }
}

fn serial(peer: &Peer) -> Option<String> {
    match &peer.presented {
        Presented::Ours(cert) => Some(cert.serial.to_string()),
        Presented::None | Presented::Foreign => None,
    }
}
