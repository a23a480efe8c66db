//! The status listener: OCSP over HTTP (RFC 6960 appendix A), revocation lists, and the certificates of the CAs, in plain HTTP for everybody,
//! since checking a certificate must not need one. Has a router of its own, which leads to nothing else.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;

use axum::Router;
use axum::body::{Bytes, HttpBody};
use axum::extract::{DefaultBodyLimit, Path, Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use metrics::Counter;
use tegata_authority::crl::Crls;
use tegata_authority::ocsp::{Answer, Ocsp};
use tegata_pki::crl::issuer_name;
use tegata_pki::issuer::IssuerCert;
use tegata_pki::ocsp::{MAX_REQUEST, Refusal, refusal};
use tower::{BoxError, Service, ServiceExt, service_fn};
use tower_http::catch_panic::CatchPanicLayer;

use super::crl;
use super::published::published;

/// Padding is left away by some who put the text into an address.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);
const REQUEST_TYPE: &str = "application/ocsp-request";
const ANSWER_TYPE: HeaderValue = HeaderValue::from_static("application/ocsp-response");
const CERTIFICATE_TYPE: HeaderValue = HeaderValue::from_static("application/pkix-cert");
const KEEP_NOTHING: HeaderValue = HeaderValue::from_static("no-store");
/// A CA's certificate never changes; a day is enough for whoever got a wrong one.
const KEEP_A_DAY: HeaderValue = HeaderValue::from_static("public, max-age=86400");

/// What the status listener answers from.
pub struct StatusState {
    /// Who signs answers.
    pub ocsp: Ocsp,
    /// Who signs revocation lists.
    pub crls: Crls,
    /// Certificates of CAs to hand out.
    pub certificates: Vec<IssuerCert>,
}

pub(super) struct Served {
    ocsp: Ocsp,
    pub(super) crls: Crls,
    certificates: HashMap<String, Vec<u8>>,
    /// Of answers kept, made once and refused.
    counters: [Counter; 3],
}

/// Where the status listener serves a CA's certificate: the path has its key identifier, so that the addresses in certificates stay right
/// when another CA comes.
pub fn ca_certificate_path(cert: &IssuerCert) -> String {
    format!("/ca/{}.cer", issuer_name(cert))
}

/// Every way in: a method, a path, and who answers.
fn ways() -> [(&'static str, &'static str, MethodRouter<Arc<Served>>); 5] {
    [
        ("POST", "/ocsp", post(in_the_body)),
        ("GET", "/ocsp/{*request}", get(in_the_path)),
        ("GET", "/ca/{file}", get(ca_certificate)),
        ("GET", "/crl/{file}", get(crl::full)),
        ("GET", "/crl/{issuer}/{file}", get(crl::of_a_shard)),
    ]
}

/// Method and path pattern of every way in of the status listener, as tests name them.
pub fn status_routes() -> impl Iterator<Item = (&'static str, &'static str)> {
    ways().into_iter().map(|(method, path, _)| (method, path))
}

/// The status listener. An answer that is at hand is given without going through the router, which takes longer than all the rest.
pub fn status_service<B>(
    state: StatusState,
) -> impl Service<http::Request<B>, Response = Response, Error = Infallible, Future: Send> + Clone + Send + 'static
where
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let certificates = state.certificates.iter().map(|cert| (ca_certificate_path(cert), cert.der().to_vec())).collect();
    let counters =
        ["kept", "once", "refused"].map(|kind| metrics::counter!("tegata_ocsp_answers_total", "kind" => kind));
    let served = Arc::new(Served { ocsp: state.ocsp, crls: state.crls, certificates, counters });
    let router = ways().into_iter().fold(Router::new(), |router, (_, path, answer)| router.route(path, answer));
    let router =
        router.layer(DefaultBodyLimit::max(MAX_REQUEST)).layer(CatchPanicLayer::new()).with_state(Arc::clone(&served));
    service_fn(move |request: http::Request<B>| {
        let at_hand = served.at_hand(&request);
        let router = router.clone();
        async move {
            match at_hand {
                Some(response) => Ok(response),
                None => router.oneshot(request).await,
            }
        }
    })
}

impl Served {
    fn at_hand<B>(&self, request: &http::Request<B>) -> Option<Response> {
        if request.method() != Method::GET {
            return None;
        }
        let answer = self.ocsp.kept(&request_in(request.uri().path())?)?;
        Some(self.written(answer, Some(request.headers())))
    }

    /// The answer over HTTP: always 200, since what went wrong is said in it; 304 where the asker has this very answer.
    fn written(&self, answer: Answer, conditions: Option<&HeaderMap>) -> Response {
        let once = |der: Vec<u8>| ([(CONTENT_TYPE, ANSWER_TYPE), (CACHE_CONTROL, KEEP_NOTHING)], der).into_response();
        let [as_kept, as_once, as_refused] = &self.counters;
        let (counter, response) = match answer {
            Answer::Kept(der, freshness) => {
                (as_kept, published(ANSWER_TYPE, der, freshness, self.ocsp.now(), conditions))
            }
            Answer::Once(der) => (as_once, once(der)),
            Answer::Refused(why) => (as_refused, once(refusal(why).to_vec())),
        };
        counter.increment(1);
        response
    }
}

/// The request in a path: base64 behind `/ocsp/`, parts of which may be percent-encoded (RFC 6960 appendix A.1).
fn request_in(path: &str) -> Option<Vec<u8>> {
    let mut rest = path.strip_prefix("/ocsp/")?.as_bytes().iter();
    let mut text = Vec::with_capacity(path.len());
    while let Some(byte) = rest.next() {
        let mut digit = || rest.next().and_then(|digit| char::from(*digit).to_digit(16));
        text.push(match byte {
            b'%' => u8::try_from(digit()? << 4 | digit()?).ok()?,
            plain => *plain,
        });
    }
    BASE64.decode(text).ok()
}

/// `POST /ocsp`
async fn in_the_body(State(served): State<Arc<Served>>, headers: HeaderMap, body: Bytes) -> Response {
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(REQUEST_TYPE) {
        return StatusCode::UNSUPPORTED_MEDIA_TYPE.into_response();
    }
    served.written(served.ocsp.answer(&body).await, None)
}

/// `GET /ocsp/{request}`: the request in base64. Slashes of the base64 may stand as they are.
async fn in_the_path(State(served): State<Arc<Served>>, request: Request) -> Response {
    let answer = match request_in(request.uri().path()) {
        Some(request) => served.ocsp.answer(&request).await,
        None => Answer::Refused(Refusal::MalformedRequest),
    };
    served.written(answer, Some(request.headers()))
}

/// A CA's certificate in DER (RFC 5280 section 4.2.2.1).
async fn ca_certificate(State(served): State<Arc<Served>>, Path(file): Path<String>) -> Response {
    match served.certificates.get(&format!("/ca/{file}")) {
        Some(der) => ([(CONTENT_TYPE, CERTIFICATE_TYPE), (CACHE_CONTROL, KEEP_A_DAY)], der.clone()).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}
