//! The REST API, version 1: what a program may ask about its own certificate with that alone, and about its key. Asking with a new certificate
//! proves that the new one works, before the old one is put away.

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::header::CONTENT_TYPE;
use tegata_core::api_key::{ApiReach, ApiScope};
use tegata_core::profile::Purpose;

use super::Route;
use super::problem::{Code, Problem};
use super::program::{Caller, Terminal};
use crate::Shared;

pub(crate) fn routes() -> Vec<Route> {
    vec![
        Route { method: "GET", path: "/api/v1/certificate", answer: get(certificate) },
        Route { method: "GET", path: "/api/v1/api-key", answer: get(api_key) },
        Route { method: "GET", path: "/api/v1/terminals/{terminal}", answer: get(terminal) },
    ]
}

fn json(body: &serde_json::Value) -> Response {
    ([(CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

/// `GET /api/v1/certificate`
async fn certificate(State(state): State<Shared>, terminal: Terminal) -> Result<Response, Problem> {
    let Terminal { cert, peer, identity } = terminal;
    Ok(json(&serde_json::json!({
        "serial": cert.serial.to_string(),
        "fingerprint": cert.fingerprint.to_string(),
        "not_before": cert.not_before.to_string(),
        "not_after": cert.not_after.to_string(),
        "days_left": cert.not_after.jst_days_from(state.authority.now()).0,
        "standing": peer.state.as_str(),
        "superseded": identity.superseded,
        "kind": if cert.purpose == Purpose::Agent { "agent" } else { "terminal" },
        "terminal": { "id": identity.terminal.id.to_string(), "name": identity.terminal.name },
    })))
}

/// `GET /api/v1/api-key`: whether key and certificate are right together, until when, and what for.
async fn api_key(caller: Caller) -> Result<Response, Problem> {
    let Caller { program, key } = caller;
    Ok(json(&serde_json::json!({
        "key": key.id.as_str(),
        "name": key.name,
        "customer": key.customer.to_string(),
        "terminal": program.terminal.to_string(),
        "reach": if key.reach == ApiReach::Everything { "everything" } else { "customer" },
        "scopes": key.scopes.iter().map(|scope| scope.as_str()).collect::<Vec<_>>(),
        "expires_at": key.expires_at.to_string(),
        "previous_until": key.previous_until.map(|until| until.to_string()),
    })))
}

/// `GET /api/v1/terminals/{terminal}`. One that the key does not reach is one that does not exist.
async fn terminal(State(state): State<Shared>, caller: Caller, Path(id): Path<String>) -> Result<Response, Problem> {
    caller.may(ApiScope::TerminalsRead)?;
    let none = || Problem::new(Code::NoSuchTerminal, "there is no such terminal within the reach of this API key");
    let id = id.parse().map_err(|_| none())?;
    let found = state.authority.reader().terminal(caller.actor().scope(), id).await;
    let terminal = found.map_err(|error| Problem::internal("reading a terminal", &error))?.ok_or_else(none)?;
    Ok(json(&serde_json::json!({
        "id": terminal.id.to_string(),
        "customer": terminal.customer.to_string(),
        "client": terminal.client.to_string(),
        "name": terminal.name,
        "created_at": terminal.created_at.to_string(),
        "retired_at": terminal.retired_at.map(|at| at.to_string()),
    })))
}
