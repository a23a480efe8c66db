//! The two requests by which ORCA's own programs (monsiaj, glclient2) renew: `POST` for an address and a password, `GET` of that address for
//! the `.p12`. The client certificate is the only credential. Written to how these programs fail: they save whatever a redirect carries as
//! their new certificate and switch to it, so nothing here ever answers 3xx; they read until the end, so every answer has its length; they
//! ask again at every start, so asking again gives the same. No cookie, no page, no content negotiation.

use std::sync::Arc;

use axum::Router;
use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use tegata_authority::{Authority, AuthorityError, PickUpError, PickUpRules, ProgramError, RenewError};
use tegata_core::application::Unserved;
use tegata_core::peer::{Peer, PeerCert, PeerState};
use tegata_core::renewal::PermitError;
use tower_http::catch_panic::CatchPanicLayer;

use super::problem::{self, Code, Problem};
use crate::error::status_of;
use crate::portal::{bundle::attachment, safe_file_name};
use crate::visit::query;

/// No request of these programs is longer than `{}`.
const LONGEST_BODY: usize = 4096;
/// Where the file is. The token stands in the query, since the path of each request is written to the log.
const FILE: &str = "/api/cert/file";

/// What the answers are made from.
pub struct OrcaState {
    /// Who may get which certificate.
    pub authority: Authority,
    /// Within which limits.
    pub rules: PickUpRules,
    /// The listener's own address, `https://host[:port]`.
    pub url: String,
}

type Orca = Arc<OrcaState>;

/// The listener's every way in. Expects a [`Peer`] in the extensions of each request; without one, nobody was shown.
pub fn orca_router(state: OrcaState) -> Router {
    let state: Orca = Arc::new(state);
    Router::new()
        .route("/api/cert", post(renew))
        .route(FILE, get(file))
        .fallback(problem::no_such_address)
        .method_not_allowed_fallback(problem::no_such_method)
        .layer(CatchPanicLayer::custom(problem::from_panic))
        .layer(from_fn(admit))
        .layer(from_fn(finish))
        .with_state(state)
}

/// What a program that is not a browser is told when its certificate does not open the gate: the exact texts that ORCA's programs turn into
/// a sentence for the person before them. `None` when it does open.
pub fn program_refusal(peer: Option<&Peer>) -> Option<Response> {
    match peer {
        Some(peer) if peer.accepted().is_some() => None,
        Some(peer) if peer.state == PeerState::Unknowable => Some(maintenance()),
        _ => Some(not_permitted()),
    }
}

/// What such a program is told when the application behind the gate did not answer it.
pub fn program_unserved(unserved: Unserved) -> Response {
    match unserved {
        Unserved::NotForCustomer => text(StatusCode::FORBIDDEN, "USER NOT IN TENANTDB"),
        Unserved::NothingHere | Unserved::Ambiguous => text(status_of(unserved), "no such address"),
        Unserved::Unreachable | Unserved::TooSlow | Unserved::Broken => maintenance(),
    }
}

fn text(status: StatusCode, text: &'static str) -> Response {
    (status, [(CONTENT_TYPE, "text/plain")], text).into_response()
}

/// 「この証明書による接続は許可されていません。証明書を確認してください。」
fn not_permitted() -> Response {
    text(StatusCode::FORBIDDEN, "NOT PERMITTED CERTIFICATE")
}

/// 「サーバメンテナンス中です」
fn maintenance() -> Response {
    let headers = [(CONTENT_TYPE, "text/plain"), (RETRY_AFTER, "60")];
    (StatusCode::SERVICE_UNAVAILABLE, headers, "GINBEE_MAINTENANCE").into_response()
}

/// The certificate behind a request that was let in. Handlers take it from the request's extensions.
#[derive(Clone)]
struct Shown(PeerCert);

/// Deny by default, before any path is looked at.
async fn admit(mut request: Request, next: Next) -> Response {
    if is_from_browser(request.headers()) {
        let detail = "the request is marked as a browser's: send Content-Type: application/json and no Origin";
        return Problem::new(Code::NotForBrowsers, detail).into_response();
    }
    let peer = request.extensions().get::<Peer>();
    if let Some(refusal) = program_refusal(peer) {
        return refusal;
    }
    if let Some(cert) = peer.and_then(Peer::accepted).cloned() {
        request.extensions_mut().insert(Shown(cert));
    }
    next.run(request).await
}

/// A browser holds the same certificate, and other sites can make it send requests here. It marks them, and a form cannot send JSON.
fn is_from_browser(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default().to_ascii_lowercase();
    let by_form = ["application/x-www-form-urlencoded", "multipart/form-data", "text/plain"];
    super::is_marked_by_browser(headers) || by_form.iter().any(|form| kind.starts_with(form))
}

/// The outermost step: nothing is kept by anybody on the way.
async fn finish(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// `POST /api/cert`
async fn renew(State(state): State<Orca>, request: Request) -> Result<Response, Problem> {
    let Some(Shown(cert)) = request.extensions().get::<Shown>().cloned() else { return Ok(not_permitted()) };
    let body = to_bytes(request.into_body(), LONGEST_BODY).await;
    let body = body.map_err(|_| Problem::new(Code::TooLong, "the request is longer than any of these programs'"))?;
    if !is_object_or_nothing(&body) {
        return Err(Problem::new(Code::NotJson, "send {} or nothing"));
    }
    if !state.authority.may_order(&cert) {
        return Err(Problem::new(Code::TooOften, "this terminal has asked too often within the last hour"));
    }
    let pick_up = match state.authority.order_pick_up(&cert, state.rules).await {
        Ok(pick_up) => pick_up,
        Err(RenewError::Unknown) => return Ok(not_permitted()),
        Err(RenewError::Permit(
            PermitError::Revoked
            | PermitError::Expired(_)
            | PermitError::NotYetValid(_)
            | PermitError::OtherTerminal
            | PermitError::Forbidden,
        )) => return Ok(not_permitted()),
        Err(RenewError::Permit(refused)) => return Err(ProgramError::Permit(refused).into()),
        Err(RenewError::Internal(error)) => return trouble(error),
    };
    let uri = format!("{}{FILE}?token={}", state.url, pick_up.token.expose());
    let answer = serde_json::json!({ "uri": uri, "pass": pick_up.password.expose() });
    Ok(([(CONTENT_TYPE, "application/json; charset=utf-8")], answer.to_string()).into_response())
}

/// `{}`, with whatever members; or nothing at all.
fn is_object_or_nothing(body: &[u8]) -> bool {
    body.trim_ascii().is_empty() || serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(body).is_ok()
}

/// `GET /api/cert/file`
async fn file(State(state): State<Orca>, method: Method, uri: Uri, request: Request) -> Result<Response, Problem> {
    if method == Method::HEAD {
        return Err(problem::no_such_method().await); // a look at the headers must not count as fetched
    }
    let Some(Shown(cert)) = request.extensions().get::<Shown>() else { return Ok(not_permitted()) };
    let token = query(&uri, "token").unwrap_or_default();
    match state.authority.pick_up(cert, token, state.rules).await {
        Ok(file) => {
            let name = safe_file_name(&file.file_name, "certificate.p12");
            Ok(attachment("application/x-pkcs12", &name, file.bytes.expose().clone()))
        }
        Err(error @ PickUpError::None) => Err(Problem::new(Code::NoFile, error.to_string())),
        Err(error @ PickUpError::Over) => Err(Problem::new(Code::FileOver, error.to_string())),
        Err(PickUpError::Internal(error)) => trouble(error),
    }
}

/// A register that does not answer is 「サーバメンテナンス中です」 to these programs; everything else has its log id.
fn trouble(error: AuthorityError) -> Result<Response, Problem> {
    if error.is_of_the_register() {
        tracing::error!(%error, "a program could not be served: the register does not answer");
        return Ok(maintenance());
    }
    Err(Problem::internal("renewing for a program", &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_with_whatever_members_or_nothing_is_accepted_and_garbage_is_not() {
        for good in ["{}", "", " \r\n", " {} ", "{\"unknown\": [1, {\"a\": null}]}"] {
            assert!(is_object_or_nothing(good.as_bytes()), "{good}");
        }
        for wrong in ["{", "[]", "null", "1", "\"\"", "{}{}", "{\"a\":}", "uri=x", "\u{feff}{}"] {
            assert!(!is_object_or_nothing(wrong.as_bytes()), "{wrong}");
        }
    }

    #[test]
    fn what_a_browser_marks_is_seen_and_the_real_programs_are_not_browsers() {
        let check = |pairs: &[(&'static str, &'static str)]| {
            let pairs = pairs.iter().map(|(name, value)| {
                (name.parse::<http::HeaderName>().expect("a name"), value.parse::<HeaderValue>().expect("a value"))
            });
            is_from_browser(&pairs.collect())
        };
        let json = ("content-type", "application/json");
        assert!(!check(&[json, ("accept", "application/json"), ("user-agent", "Java/17.0.15")]));
        assert!(!check(&[json, ("accept", "application/json")]));
        assert!(!check(&[]));
        assert!(check(&[json, ("origin", "https://evil.example")]));
        assert!(check(&[json, ("origin", "null")]));
        assert!(check(&[("sec-fetch-site", "none")]));
        assert!(check(&[("sec-fetch-mode", "no-cors")]));
        assert!(check(&[("content-type", "Text/Plain; charset=utf-8")]));
        assert!(check(&[("content-type", "application/x-www-form-urlencoded")]));
    }
}
