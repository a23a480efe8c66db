//! Revocation lists over HTTP (RFC 5280 section 4.2.1.13), on the status listener: of each issuing CA the full list, and the list of each shard.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::header::RETRY_AFTER;
use http::{HeaderMap, HeaderValue, StatusCode};
use tegata_authority::crl::Crls;
use tegata_pki::crl::Shard;

use super::ocsp::Served;
use super::published::published;

const LIST_TYPE: HeaderValue = HeaderValue::from_static("application/pkix-crl");
const A_FEW_SECONDS: HeaderValue = HeaderValue::from_static("5");

/// `GET /crl/{file}`: all that a CA revoked.
pub(super) async fn full(State(served): State<Arc<Served>>, Path(file): Path<String>, headers: HeaderMap) -> Response {
    match file.strip_suffix(".crl") {
        Some(issuer) => answer(&served.crls, issuer, None, &headers).await,
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// `GET /crl/{issuer}/{file}`: what it revoked of a shard.
pub(super) async fn of_a_shard(
    State(served): State<Arc<Served>>,
    Path((issuer, file)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    match file.strip_suffix(".crl").and_then(Shard::parse) {
        Some(shard) => answer(&served.crls, &issuer, Some(shard), &headers).await,
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn answer(crls: &Crls, issuer: &str, shard: Option<Shard>, headers: &HeaderMap) -> Response {
    match crls.list(issuer, shard).await {
        Ok(Some(list)) => {
            let now = crls.now();
            published(LIST_TYPE, list.der.clone(), list.freshness(now), now, Some(headers))
        }
        Ok(None) => StatusCode::NOT_FOUND.into_response(),
        Err(error) => {
            if error.passes() {
                tracing::debug!(%error, "a revocation list was not signed");
            } else {
                tracing::error!(%error, "a revocation list was not signed");
            }
            (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, A_FEW_SECONDS)]).into_response()
        }
    }
}
