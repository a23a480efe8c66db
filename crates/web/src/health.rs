//! `/healthz` and `/readyz`: plain text for machines, without a certificate.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
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

/// How to ask.
pub type HealthCheck = Arc<dyn Fn() -> Health + Send + Sync>;

/// `/healthz` and `/readyz` alone, for the operations port.
pub fn health_router(check: HealthCheck) -> Router {
    let (alive, ready) = (check.clone(), check);
    Router::new()
        .route("/healthz", get(move || async move { alive_answer(&alive()) }))
        .route("/readyz", get(move || async move { ready_answer(&ready()) }))
}

/// `GET /healthz`: 200 while nothing is wrong, else 503 and what it is.
pub(crate) async fn alive(State(state): State<Shared>) -> Response {
    alive_answer(&(state.health)())
}

fn alive_answer(health: &Health) -> Response {
    if health.problems.is_empty() {
        return "ok\n".into_response();
    }
    (StatusCode::SERVICE_UNAVAILABLE, health.problems.join("\n") + "\n").into_response()
}

/// `GET /readyz`: 200 when requests are welcome, else 503.
pub(crate) async fn ready(State(state): State<Shared>) -> Response {
    ready_answer(&(state.health)())
}

fn ready_answer(health: &Health) -> Response {
    if health.ready {
        return "ready\n".into_response();
    }
    (StatusCode::SERVICE_UNAVAILABLE, "not ready\n").into_response()
}
