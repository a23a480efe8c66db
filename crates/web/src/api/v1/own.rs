//! What a program may ask about its own certificate with that alone, and about its key. Asking with a new certificate proves that the new one
//! works, before the old one is put away.

use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use http::StatusCode;
use serde::Serialize;
use tegata_core::api_key::ApiReach;
use tegata_core::profile::Purpose;
use utoipa::ToSchema;

use super::{moment, of};
use crate::Shared;
use crate::api::operation::{Asked, Needs, Operation, json};
use crate::api::problem::Problem;
use crate::api::program::{Caller, Terminal};

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation {
            id: "ownCertificate",
            method: "GET",
            path: "/api/v1/certificate",
            summary: "The certificate in the handshake",
            needs: Needs::Certificate,
            named: None,
            query: vec![],
            body: None,
            answer: (StatusCode::OK, of::<OwnCertificate>(), "How it stands"),
            codes: &[],
            handler: get(certificate),
        },
        Operation {
            id: "presentedKey",
            method: "GET",
            path: "/api/v1/api-key",
            summary: "The API key beside the certificate",
            needs: Needs::Key,
            named: None,
            query: vec![],
            body: None,
            answer: (StatusCode::OK, of::<ApiKeyView>(), "What it is good for, until when"),
            codes: &[],
            handler: get(api_key),
        },
    ]
}

/// The certificate in the handshake.
#[derive(Serialize, ToSchema)]
pub(super) struct OwnCertificate {
    serial: String,
    fingerprint: String,
    #[schema(format = DateTime)]
    not_before: String,
    #[schema(format = DateTime)]
    not_after: String,
    /// Days of Japan until its last one.
    days_left: i64,
    /// `valid`, `due` (it can be renewed) or `superseded` (a later one is in use).
    standing: String,
    superseded: bool,
    /// `terminal` or `agent`.
    kind: String,
    terminal: OwnTerminal,
}

/// Whose certificate that is.
#[derive(Serialize, ToSchema)]
pub(super) struct OwnTerminal {
    id: String,
    name: String,
}

/// An API key that is right.
#[derive(Serialize, ToSchema)]
pub(super) struct ApiKeyView {
    key: String,
    name: String,
    customer: String,
    /// The terminal whose certificate was beside it.
    terminal: String,
    /// `customer` or `everything`.
    reach: String,
    scopes: Vec<String>,
    #[schema(format = DateTime)]
    expires_at: String,
    /// Until when the secret before still counts.
    #[schema(format = DateTime)]
    previous_until: Option<String>,
}

/// `GET /api/v1/certificate`
async fn certificate(State(state): State<Shared>, terminal: Terminal, _: Asked) -> Result<Response, Problem> {
    let Terminal { cert, peer, identity } = terminal;
    let body = OwnCertificate {
        serial: cert.serial.to_string(),
        fingerprint: cert.fingerprint.to_string(),
        not_before: cert.not_before.to_string(),
        not_after: cert.not_after.to_string(),
        days_left: cert.not_after.jst_days_from(state.authority.now()).0,
        standing: peer.state.as_str().to_owned(),
        superseded: identity.superseded,
        kind: if cert.purpose == Purpose::Agent { "agent" } else { "terminal" }.to_owned(),
        terminal: OwnTerminal { id: identity.terminal.id.to_string(), name: identity.terminal.name },
    };
    Ok(json(StatusCode::OK, &body))
}

/// `GET /api/v1/api-key`: whether key and certificate are right together, until when, and what for.
async fn api_key(caller: Caller, _: Asked) -> Result<Response, Problem> {
    let Caller { program, key } = caller;
    let body = ApiKeyView {
        key: key.id.to_string(),
        name: key.name,
        customer: key.customer.to_string(),
        terminal: program.terminal.to_string(),
        reach: if key.reach == ApiReach::Everything { "everything" } else { "customer" }.to_owned(),
        scopes: key.scopes.iter().map(|scope| scope.as_str().to_owned()).collect(),
        expires_at: key.expires_at.to_string(),
        previous_until: moment(key.previous_until),
    };
    Ok(json(StatusCode::OK, &body))
}
