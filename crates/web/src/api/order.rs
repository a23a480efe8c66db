//! What a program asks to have changed: a JSON object, under an idempotency key (in the manner of draft-ietf-httpapi-idempotency-key-header). The same
//! again gets the answer of the first time; something else under the same key is refused. So a program that lost an answer asks again.

use aws_lc_rs::digest;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tegata_authority::{Repeat, UnderWay};
use tegata_core::access::Actor;
use tegata_core::api_key::{self, Program};

use super::operation::Asked;
use super::problem::{Code, Problem};
use super::program::Caller;
use crate::Shared;

/// No body of ours is longer.
const LONGEST: usize = 64 * 1024;
/// The longest idempotency key.
const LONGEST_TOKEN: usize = 100;
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Says that an answer is one of before.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// What is asked for, checked; nothing is done yet.
pub(crate) struct Order<T> {
    /// As whom it is done: the actor carries the mark of the request into the register.
    pub(crate) caller: Caller,
    pub(crate) body: T,
    request: api_key::Request,
    _under_way: UnderWay,
}

impl<T: DeserializeOwned + Send> FromRequest<Shared> for Order<T> {
    type Rejection = Response;

    async fn from_request(request: Request<Body>, state: &Shared) -> Result<Self, Response> {
        let (mut parts, body) = request.into_parts();
        let caller = Caller::from_request_parts(&mut parts, state).await.map_err(IntoResponse::into_response)?;
        Asked::from_request_parts(&mut parts, state).await.map_err(IntoResponse::into_response)?;
        let read = read(&parts.method, &parts.uri, &parts.headers, body).await;
        let (token, body, hash) = read.map_err(IntoResponse::into_response)?;
        match state.authority.asked_before(&caller.program, &token, hash).await {
            Ok(Repeat::First(request, under_way)) => {
                let program = Program { request: Some(request.clone()), ..caller.program };
                Ok(Self { caller: Caller { program, ..caller }, body, request, _under_way: under_way })
            }
            Ok(Repeat::Answered(status, text)) => Err(replayed(status, text.expose())),
            Ok(Repeat::Unanswered) => Err(unanswered().into_response()),
            Ok(Repeat::Other) => {
                let detail = "this Idempotency-Key came with another request before";
                Err(Problem::new(Code::KeyReused, detail).into_response())
            }
            Err(error) => Err(Problem::internal("looking for an earlier request", &error).into_response()),
        }
    }
}

impl<T> Order<T> {
    /// As whom it is done.
    pub(crate) fn actor(&self) -> Actor {
        self.caller.actor()
    }

    /// Answers with what was done, or with what is wrong; both are kept where something was written.
    pub(crate) async fn answered<A: Serialize>(
        &self,
        state: &Shared,
        done: Result<(StatusCode, A), Problem>,
    ) -> Response {
        let (status, text, response) = match done {
            Ok((status, answer)) => {
                let text = serde_json::to_string(&answer).unwrap_or_default();
                (status, text.clone(), (status, [(CONTENT_TYPE, "application/json")], text).into_response())
            }
            Err(problem) => (problem.status(), problem.document(), problem.into_response()),
        };
        let kept = state.authority.keep_answer(&self.caller.program, &self.request, (status.as_u16(), &text)).await;
        if let Err(error) = kept {
            // It was done, and is not done again: asking again says that its answer is not there.
            tracing::error!(%error, "the answer to a program's request was not kept");
        }
        response
    }
}

fn unanswered() -> Problem {
    let detail = "this request is being carried out, or its answer was lost: look what was done before asking with another Idempotency-Key";
    Problem::new(Code::Unanswered, detail)
}

/// Token, body and hash of a request.
async fn read<T: DeserializeOwned>(
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
    body: Body,
) -> Result<(String, T, [u8; 32]), Problem> {
    let token = headers.get(IDEMPOTENCY_KEY).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if token.is_empty() || token.len() > LONGEST_TOKEN || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        let detail = format!(
            "a header Idempotency-Key of 1 to {LONGEST_TOKEN} letters without spaces is needed, another one for each request"
        );
        return Err(Problem::new(Code::NoIdempotencyKey, detail));
    }
    let (asked, bytes) = json_body(headers, body).await?;
    let mut context = digest::Context::new(&digest::SHA256);
    for part in [method.as_str().as_bytes(), b" ", uri.path().as_bytes(), b"\n", &bytes] {
        context.update(part);
    }
    let mut hash = [0; 32];
    hash.copy_from_slice(context.finish().as_ref());
    Ok((token.to_owned(), asked, hash))
}

/// The JSON object in a body, with its bytes.
pub(super) async fn json_body<T: DeserializeOwned>(headers: &HeaderMap, body: Body) -> Result<(T, Bytes), Problem> {
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    // Also what keeps other sites' forms away: a browser sends this kind of body only where it was permitted to.
    if !kind.eq_ignore_ascii_case("application/json") {
        return Err(Problem::new(Code::ContentType, "the body must be application/json"));
    }
    let too_long = |_| Problem::new(Code::TooLong, format!("the body has more than {LONGEST} bytes"));
    let bytes = to_bytes(body, LONGEST).await.map_err(too_long)?;
    let wrong = |error| Problem::new(Code::BadBody, format!("the body is not the object that is described: {error}"));
    // serde would also fill an object from a list, by position.
    if bytes.trim_ascii_start().first() != Some(&b'{') {
        return Err(Problem::new(Code::BadBody, "the body is not an object"));
    }
    let asked = serde_json::from_slice(&bytes).map_err(|error: serde_json::Error| wrong(error))?;
    Ok((asked, bytes))
}

/// The answer of before.
fn replayed(status: u16, text: &str) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let kind = if status.is_success() { "application/json" } else { "application/problem+json" };
    let mut response = (status, [(CONTENT_TYPE, kind)], text.to_owned()).into_response();
    response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    response
}
