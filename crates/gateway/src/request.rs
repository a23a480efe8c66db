//! One request on its way to the service: it gets its [`Peer`](tegata_core::peer::Peer), judged at this moment, and its limits; what no
//! service should see is answered here.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::header::{ALLOW, CONTENT_TYPE, EXPECT, HOST};
use http::uri::Authority;
use http::{HeaderValue, Method, Request, Response, StatusCode, Version};
use http_body_util::BodyExt;
use hyper::body::{Body, Bytes, Incoming};
use metrics::Counter;
use tegata_core::peer::{Peer, PeerState, Presented};
use tower::{Service, ServiceExt};

use crate::activity::{Activity, Watched};
use crate::body::{BodyError, Bounds, RequestBody, ResponseBody};
use crate::limits::{Limits, MAX_HEADER_FIELDS};
use crate::proxy::{Applications, Claim, Visitor};
use crate::tls::TlsInfo;

/// How much of a body that is too large is read and thrown away, so that the client finishes sending and reads the answer.
const LINGER_BYTES: u64 = 1024 * 1024;
const LINGER_TIME: Duration = Duration::from_secs(2);

/// What all requests of one connection share.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) client: SocketAddr,
    /// Who presented what, and how the connection is protected; none on a plain listener.
    pub(crate) tls: Option<(Arc<Visitor>, TlsInfo)>,
    pub(crate) limits: Arc<Limits>,
    pub(crate) activity: Arc<Activity>,
    pub(crate) applications: Applications,
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
        let peer = self.tls.as_ref().map(|(visitor, _)| visitor.peer());
        let (method, uri) = (request.method().clone(), request.uri().clone());
        let response = match self.admission(&request, peer.as_ref()) {
            Err(status) => self.refuse(status, request).await,
            Ok(admission) => self.pass(service, request, peer.clone(), admission).await,
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

    async fn pass<S, B>(
        &self,
        service: S,
        request: Request<Incoming>,
        peer: Option<Peer>,
        Admission { claim, body: bounds }: Admission,
    ) -> Response<ResponseBody>
    where
        S: Service<Request<RequestBody>, Response = Response<B>, Error = Infallible>,
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BodyError>,
    {
        let (mut parts, body) = request.into_parts();
        let body = RequestBody::new(body, bounds, Arc::clone(&self.activity));
        let trouble = body.trouble();
        parts.extensions.insert(self.client);
        if let (Some(peer), Some((visitor, info))) = (peer, &self.tls) {
            parts.extensions.insert(peer);
            parts.extensions.insert(info.clone());
            parts.extensions.insert(Arc::clone(visitor));
            if let Some(claim) = claim {
                parts.extensions.insert(claim);
            }
        }
        let Ok(response) = service.oneshot(Request::from_parts(parts, body)).await;
        match trouble.status() {
            // A service that understood says it in its own words.
            Some(status) if response.status() != status => self.plain_answer(status),
            _ => response.map(|body| ResponseBody::new(body, &self.activity)),
        }
    }

    /// How this request reaches the service, or why it never does.
    fn admission(&self, request: &Request<Incoming>, peer: Option<&Peer>) -> Result<Admission, StatusCode> {
        if request.headers().len() > MAX_HEADER_FIELDS {
            return Err(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
        }
        let authority = authority(request)?;
        let host = authority.as_ref().map(Authority::host);
        // Chromium sends requests for one host name over its connection to another (RFC 9113 section 9.1.1) as long as that one showed no
        // certificate, so an alias host name would never bring the chooser back. 421 makes it connect, and ask its user, anew (RFC 9110
        // section 15.5.20).
        let asked = self.tls.as_ref().and_then(|(_, info)| info.server_name.as_deref());
        if let (Some(asked), Some(host)) = (asked, host)
            && !host.trim_end_matches('.').eq_ignore_ascii_case(asked)
        {
            return Err(StatusCode::MISDIRECTED_REQUEST);
        }
        let claim = self.applications.claim(authority.as_ref().map(Authority::as_str), request.uri().path());
        // A tunnel to wherever the client says, and an echo of what only the application should see: no application is asked for either.
        if claim.is_some() && matches!(*request.method(), Method::CONNECT | Method::TRACE) {
            return Err(StatusCode::METHOD_NOT_ALLOWED);
        }
        let body = match &claim {
            Some(Claim::Application(application)) if peer.is_some_and(|peer| peer.accepted().is_some()) => {
                let settings = application.settings();
                let bytes = settings.max_body_bytes.and_then(|bytes| usize::try_from(bytes).ok());
                Bounds { max_bytes: bytes.unwrap_or(usize::MAX), timeout: settings.idle_timeout, for_each_piece: true }
            }
            _ => {
                let Limits { max_body_bytes, body_timeout, .. } = *self.limits;
                Bounds { max_bytes: max_body_bytes, timeout: body_timeout, for_each_piece: false }
            }
        };
        let announced = usize::try_from(request.body().size_hint().lower()).unwrap_or(usize::MAX);
        if announced > body.max_bytes { Err(StatusCode::PAYLOAD_TOO_LARGE) } else { Ok(Admission { claim, body }) }
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
        if status == StatusCode::METHOD_NOT_ALLOWED {
            // RFC 9110 section 15.5.6
            let others = HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
            response.headers_mut().insert(ALLOW, others);
        }
        response
    }
}

/// How a request is handed on.
struct Admission {
    claim: Option<Claim>,
    body: Bounds,
}

/// The one host (and port) that a request is for. Several, or none where HTTP/1.1 asks for one, is a bad request (RFC 9112 section 3.2).
fn authority(request: &Request<Incoming>) -> Result<Option<Authority>, StatusCode> {
    let mut fields = request.headers().get_all(HOST).iter();
    let field = match (fields.next(), fields.next()) {
        (_, Some(_)) => return Err(StatusCode::BAD_REQUEST),
        (Some(field), None) => {
            Some(plain(Authority::try_from(field.as_bytes()).map_err(|_| StatusCode::BAD_REQUEST)?)?)
        }
        (None, None) => None,
    };
    match (request.uri().authority(), field) {
        (Some(target), Some(field)) if !target.as_str().eq_ignore_ascii_case(field.as_str()) => {
            Err(StatusCode::BAD_REQUEST)
        }
        (Some(target), _) => plain(target.clone()).map(Some),
        (None, Some(field)) => Ok(Some(field)),
        (None, None) if request.version() == Version::HTTP_10 => Ok(None),
        (None, None) => Err(StatusCode::BAD_REQUEST),
    }
}

/// A host that is written in one way only: without a user before it (RFC 9110 section 4.2.4) or a port with zeros in front, by which it
/// would be taken for another one.
fn plain(authority: Authority) -> Result<Authority, StatusCode> {
    let text = authority.as_str();
    let odd_port = authority.port().is_some_and(|port| port.as_str().starts_with('0'));
    if text.contains('@') || odd_port || text.ends_with(':') { Err(StatusCode::BAD_REQUEST) } else { Ok(authority) }
}

fn serial(peer: &Peer) -> Option<String> {
    match &peer.presented {
        Presented::Ours(cert) => Some(cert.serial.to_string()),
        Presented::None | Presented::Foreign => None,
    }
}
