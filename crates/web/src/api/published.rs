//! What is signed for everybody and may be kept by anybody: OCSP answers (RFC 5019 section 6.2) and revocation lists, with the headers that
//! caches go by.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::body::{Body, Bytes};
use axum::response::Response;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, EXPIRES, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED};
use http::{HeaderMap, HeaderValue, StatusCode};
use tegata_authority::Freshness;
use tegata_core::time::Timestamp;

/// The answer 200 with these octets, or 304 to whoever has them.
pub(crate) fn published(
    kind: HeaderValue,
    der: Arc<[u8]>,
    freshness: Freshness,
    now: Timestamp,
    conditions: Option<&HeaderMap>,
) -> Response {
    let tag = quoted(freshness.tag);
    let is_known = conditions.is_some_and(|headers| is_known(headers, &tag, freshness.produced_at));
    // Of its whole life, others get the part until we have a newer one.
    let seconds = freshness.refreshed_at.0.saturating_sub(now.0).max(0);
    let dates = [freshness.produced_at, freshness.next_update].map(|at| httpdate::fmt_http_date(system_time(at)));
    let [produced_at, next_update] = dates;
    let mut response = Response::new(if is_known { Body::empty() } else { Bytes::from_owner(der).into() });
    if is_known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    let headers = response.headers_mut();
    headers.reserve(8);
    headers.insert(CONTENT_TYPE, kind);
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

/// Whether the asker has it (RFC 9110 section 13.1): by its tag or, where none is given, by its date.
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
