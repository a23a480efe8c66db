//! What a program may ask about its own certificate with that alone, and about its key. Asking with a new certificate proves that the new one
//! works, before the old one is put away.

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use axum::routing::{get, post};
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use tegata_core::api_key::ApiReach;
use tegata_core::profile::Purpose;
use tegata_pki::{csr, pem};
use utoipa::ToSchema;

use super::{moment, of};
use crate::Shared;
use crate::api::is_marked_by_browser;
use crate::api::operation::{Asked, Needs, Operation, json};
use crate::api::order::json_body;
use crate::api::problem::{Code, Problem};
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
            id: "renewCertificate",
            method: "POST",
            path: "/api/v1/certificate/renewal",
            summary: "A new certificate for the terminal in the handshake. The same request again gets the same certificate",
            needs: Needs::Certificate,
            named: None,
            query: vec![],
            body: Some(of::<RenewalOrder>()),
            answer: (StatusCode::OK, of::<Renewed>(), "The new certificate; the one before goes on working"),
            codes: OF_RENEWAL,
            handler: post(renew),
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

/// What the rules may have against a renewal.
const OF_RENEWAL: &[Code] = &[
    Code::NotForBrowsers,
    Code::BadRequest,
    Code::TooEarly,
    Code::Retired,
    Code::Refused,
    Code::NoAgents,
    Code::KeyKind,
    Code::KeyCompromised,
    Code::NamesDiffer,
    Code::NothingToRenew,
    Code::TooManyCertificates,
];

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

/// A renewal that is wanted.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RenewalOrder {
    /// A certification request (PKCS#10) in PEM, for the names of the certificate in the handshake; its key is the new certificate's.
    #[schema(max_length = 8192)]
    request: String,
}

/// A new certificate.
#[derive(Serialize, ToSchema)]
pub(super) struct Renewed {
    serial: String,
    /// In PEM.
    certificate: String,
    /// The root and the issuing CAs, each in PEM.
    authorities: Vec<String>,
}

/// `POST /api/v1/certificate/renewal`: what EST's `simplereenroll` does (RFC 7030 section 4.2.2), in JSON and PEM.
async fn renew(
    State(state): State<Shared>,
    terminal: Terminal,
    headers: HeaderMap,
    _: Asked,
    body: Body,
) -> Result<Response, Problem> {
    if is_marked_by_browser(&headers) {
        return Err(Problem::for_programs_only());
    }
    let (order, _) = json_body::<RenewalOrder>(&headers, body).await?;
    let lines: String = order.request.lines().map(str::trim).filter(|line| !line.starts_with("-----")).collect();
    let request = csr::parse_base64(lines.as_bytes());
    let request = request.map_err(|error| Problem::new(Code::BadRequest, error.to_string()))?;
    let issued = state.authority.rekey(&terminal.cert, terminal.cert.purpose, &request).await?;
    let authorities = state.authority.ca_certificates().await;
    let authorities = authorities.map_err(|error| Problem::internal("reading the CA certificates", &error))?;
    let renewed = Renewed {
        serial: issued.serial.to_string(),
        certificate: pem::certificate(&issued.der),
        authorities: authorities.iter().map(|der| pem::certificate(der)).collect(),
    };
    Ok(json(StatusCode::OK, &renewed))
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
