//! The status listener: OCSP over HTTP (RFC 6960 appendix A, with the cache headers of RFC 5019 section 6.2) and the certificates of the CAs,
//! in plain HTTP for everybody, since checking a certificate must not need one. Has a router of its own, which leads to nothing else.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{DefaultBodyLimit, Path, Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, EXPIRES, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use metrics::Counter;
use tegata_authority::ocsp::{Answer, Freshness, Ocsp};
use tegata_core::time::Timestamp;
use tegata_pki::issuer::IssuerCert;
use tegata_pki::ocsp::{MAX_REQUEST, Refusal, refusal};
use tower::{BoxError, Service, ServiceExt, service_fn};
use tower_http::catch_panic::CatchPanicLayer;

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
    /// Who signs.
    pub ocsp: Ocsp,
    /// Certificates of CAs to hand out.
    pub certificates: Vec<IssuerCert>,
}

struct Served {
    ocsp: Ocsp,
    certificates: HashMap<String, Vec<u8>>,
    /// Of answers kept, made once and refused.
    counters: [Counter; 3],
}

/// Where the status listener serves a CA's certificate: the path has its key identifier, so that the addresses in certificates stay right
/// when another CA comes.
pub fn ca_certificate_path(cert: &IssuerCert) -> String {
    let identifier: String = cert.key_identifier().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("/ca/{identifier}.cer")
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
    let served = Arc::new(Served { ocsp: state.ocsp, certificates, counters });
    let router = Router::new()
        .route("/ocsp", post(in_the_body))
        .route("/ocsp/{*request}", get(in_the_path))
        .route("/ca/{file}", get(ca_certificate))
        .layer(DefaultBodyLimit::max(MAX_REQUEST))
        .layer(CatchPanicLayer::new())
        .with_state(Arc::clone(&served));
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
            Answer::Kept(der, freshness) => (as_kept, kept(der, freshness, self.ocsp.now(), conditions)),
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

fn kept(der: Arc<[u8]>, freshness: Freshness, now: Timestamp, conditions: Option<&HeaderMap>) -> Response {
    let tag = quoted(freshness.tag);
    let is_known = conditions.is_some_and(|headers| is_known(headers, &tag, freshness.produced_at));
    // Of the answer's whole life, others get the part until we have a newer one.
    let seconds = freshness.refreshed_at.0.saturating_sub(now.0).max(0);
    let dates = [freshness.produced_at, freshness.next_update].map(|at| httpdate::fmt_http_date(system_time(at)));
    let [produced_at, next_update] = dates;
    let mut response = Response::new(if is_known { Body::empty() } else { Bytes::from_owner(der).into() });
    if is_known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    let headers = response.headers_mut();
    headers.reserve(8);
    headers.insert(CONTENT_TYPE, ANSWER_TYPE);
    for (name, value) in [
        (ETAG, tag),
        (LAST_MODIFIED, produced_at),
        (EXPIRES, next_update),
        (CACHE_CONTROL, format!("max-age={seconds}, public, no-transform, must-revalidate")),
    ] {
        // A value of plain letters always fits.
        headers.extend(HeaderValue::try_from(value).map(|value| (name, value)));
    }
    response
}

/// An entity tag (RFC 9110 section 8.8.3): hex digits in quotes.
fn quoted(tag: [u8; 16]) -> String {
    let digits = tag.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    let digits = digits.filter_map(|digit| char::from_digit(u32::from(digit), 16));
    std::iter::once('"').chain(digits).chain(std::iter::once('"')).collect()
}

/// Whether the asker has this answer (RFC 9110 section 13.1): by its tag or, where none is given, by its date.
fn is_known(headers: &HeaderMap, tag: &str, produced_at: Timestamp) -> bool {
    let mut tags = headers.get_all(IF_NONE_MATCH).iter().peekable();
    if tags.peek().is_some() {
        let mut listed = tags.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
        return listed.any(|one| matches!(one.trim(), "*") || one.trim().trim_start_matches("W/") == tag);
    }
    let since = headers.get(IF_MODIFIED_SINCE).and_then(|value| value.to_str().ok());
    since.and_then(|text| httpdate::parse_http_date(text).ok()).is_some_and(|since| since >= system_time(produced_at))
}

fn system_time(at: Timestamp) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(at.0).unwrap_or(0))
}
