//! The status listener: OCSP over HTTP (RFC 6960 appendix A, with the cache headers of RFC 5019 section 6.2) and the certificates of the CAs,
//! in plain HTTP for everybody, since checking a certificate must not need one. Has a router of its own, which leads to nothing else.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, EXPIRES, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED};
use http::{HeaderMap, HeaderValue, StatusCode};
use tegata_authority::ocsp::{Answer, Freshness, Ocsp};
use tegata_core::time::Timestamp;
use tegata_pki::issuer::IssuerCert;
use tegata_pki::ocsp::{MAX_REQUEST, Refusal, refusal};
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
}

/// Where the status listener serves a CA's certificate: the path has its key identifier, so that the addresses in certificates stay right
/// when another CA comes.
pub fn ca_certificate_path(cert: &IssuerCert) -> String {
    let identifier: String = cert.key_identifier().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("/ca/{identifier}.cer")
}

/// The status listener.
pub fn status_router(state: StatusState) -> Router {
    let certificates = state.certificates.iter().map(|cert| (ca_certificate_path(cert), cert.der().to_vec())).collect();
    Router::new()
        .route("/ocsp", post(in_the_body))
        .route("/ocsp/{*request}", get(in_the_path))
        .route("/ca/{file}", get(ca_certificate))
        .layer(DefaultBodyLimit::max(MAX_REQUEST))
        .layer(CatchPanicLayer::new())
        .with_state(Arc::new(Served { ocsp: state.ocsp, certificates }))
}

/// `POST /ocsp`
async fn in_the_body(State(served): State<Arc<Served>>, headers: HeaderMap, body: Bytes) -> Response {
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(REQUEST_TYPE) {
        return StatusCode::UNSUPPORTED_MEDIA_TYPE.into_response();
    }
    written(served.ocsp.answer(&body).await, &served.ocsp, None)
}

/// `GET /ocsp/{request}`: the request in base64. Slashes of the base64 may stand as they are.
async fn in_the_path(State(served): State<Arc<Served>>, Path(text): Path<String>, headers: HeaderMap) -> Response {
    let answer = match BASE64.decode(text) {
        Ok(request) => served.ocsp.answer(&request).await,
        Err(_) => Answer::Refused(Refusal::MalformedRequest),
    };
    written(answer, &served.ocsp, Some(&headers))
}

/// A CA's certificate in DER (RFC 5280 section 4.2.2.1).
async fn ca_certificate(State(served): State<Arc<Served>>, Path(file): Path<String>) -> Response {
    match served.certificates.get(&format!("/ca/{file}")) {
        Some(der) => ([(CONTENT_TYPE, CERTIFICATE_TYPE), (CACHE_CONTROL, KEEP_A_DAY)], der.clone()).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// The answer over HTTP: always 200, since what went wrong is said in it; 304 where the asker has this very answer.
fn written(answer: Answer, ocsp: &Ocsp, conditions: Option<&HeaderMap>) -> Response {
    let once = |der: Vec<u8>| ([(CONTENT_TYPE, ANSWER_TYPE), (CACHE_CONTROL, KEEP_NOTHING)], der).into_response();
    let (kind, response) = match answer {
        Answer::Kept(der, freshness) => ("kept", kept(der, freshness, ocsp.now(), conditions)),
        Answer::Once(der) => ("once", once(der)),
        Answer::Refused(why) => ("refused", once(refusal(why).to_vec())),
    };
    metrics::counter!("tegata_ocsp_answers_total", "kind" => kind).increment(1);
    response
}

fn kept(der: Arc<[u8]>, freshness: Freshness, now: Timestamp, conditions: Option<&HeaderMap>) -> Response {
    let tag: String = freshness.tag.iter().map(|byte| format!("{byte:02x}")).collect();
    let tag = format!("\"{tag}\"");
    let known = conditions.is_some_and(|headers| is_known(headers, &tag, freshness.produced_at));
    let mut response = if known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        ([(CONTENT_TYPE, ANSWER_TYPE)], Bytes::from_owner(der)).into_response()
    };
    // Of the answer's whole life, others get the part until we have a newer one.
    let seconds = freshness.refreshed_at.0.saturating_sub(now.0).max(0);
    let headers = [
        (ETAG, tag),
        (LAST_MODIFIED, http_date(freshness.produced_at)),
        (EXPIRES, http_date(freshness.next_update)),
        (CACHE_CONTROL, format!("max-age={seconds}, public, no-transform, must-revalidate")),
    ];
    for (name, value) in headers {
        if let Ok(value) = HeaderValue::try_from(value) {
            response.headers_mut().insert(name, value);
        }
    }
    response
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

fn http_date(at: Timestamp) -> String {
    httpdate::fmt_http_date(system_time(at))
}

fn system_time(at: Timestamp) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(at.0).unwrap_or(0))
}
