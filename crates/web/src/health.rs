//! `/healthz` and `/readyz`: plain text for machines, without a certificate.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;

use crate::Shared;

/// How the process is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// Whether requests should be sent here now.
    pub ready: bool,
    /// What is wrong, one sentence each; empty when all is well.
    pub problems: Vec<String>,
}

/// `GET /healthz`: 200 while nothing is wrong, else 503 and what it is.
pub(crate) async fn alive(State(state): State<Shared>) -> Response {
    let health = (state.health)();
    if health.problems.is_empty() {
        return "ok\n".into_response();
    }
    (StatusCode::SERVICE_UNAVAILABLE, health.problems.join("\n") + "\n").into_response()
}

/// `GET /readyz`: 200 when requests are welcome, else 503.
pub(crate) async fn ready(State(state): State<Shared>) -> Response {
    if (state.health)().ready {
        return "ready\n".into_response();
    }
    (StatusCode::SERVICE_UNAVAILABLE, "not ready\n").into_response()
}
