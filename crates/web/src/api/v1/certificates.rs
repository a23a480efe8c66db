//! Certificates by their serial numbers, as far as a key reaches.

use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use http::StatusCode;
use serde::Serialize;
use tegata_core::api_key::ApiScope;
use tegata_core::cert::{CertRecord, Progress};
use tegata_core::time::Timestamp;
use utoipa::ToSchema;

use super::{moment, of};
use crate::Shared;
use crate::api::operation::{Asked, Named, Needs, Operation, json};
use crate::api::problem::{Code, Problem};
use crate::api::program::Caller;

pub(super) const WHICH: &str = "Its serial number: 32 hex digits.";

pub(super) fn operations() -> Vec<Operation> {
    vec![Operation {
        id: "certificate",
        method: "GET",
        path: "/api/v1/certificates/{serial}",
        summary: "One certificate",
        needs: Needs::Scope(ApiScope::TerminalsRead),
        named: Some(WHICH),
        query: vec![],
        body: None,
        answer: (StatusCode::OK, of::<Certificate>(), "How it stands"),
        codes: &[Code::NoSuchSerial],
        handler: get(show),
    }]
}

/// A certificate.
#[derive(Serialize, ToSchema)]
pub(super) struct Certificate {
    serial: String,
    /// SHA-256 of its DER.
    fingerprint: String,
    terminal: String,
    customer: String,
    /// What it was made by: `terminal`, `agent`.
    profile: String,
    /// The kind of its key.
    key: String,
    #[schema(format = DateTime)]
    not_before: String,
    #[schema(format = DateTime)]
    not_after: String,
    #[schema(format = DateTime)]
    issued_at: String,
    /// `issued`, `downloaded`, `used`, `expired` or `revoked`.
    state: String,
    /// When it was first seen in a handshake.
    #[schema(format = DateTime)]
    used_at: Option<String>,
    #[schema(format = DateTime)]
    revoked_at: Option<String>,
    /// Why it was revoked, as revocation lists say it.
    reason: Option<String>,
}

impl Certificate {
    pub(super) fn of(cert: &CertRecord, now: Timestamp) -> Self {
        let state = match cert.progress() {
            _ if cert.revoked.is_some() => "revoked",
            _ if now > cert.not_after => "expired",
            Progress::Issued => "issued",
            Progress::Downloaded => "downloaded",
            Progress::Used => "used",
        };
        Self {
            serial: cert.serial.to_string(),
            fingerprint: cert.fingerprint.to_string(),
            terminal: cert.terminal.to_string(),
            customer: cert.customer.to_string(),
            profile: cert.profile.clone(),
            key: cert.key_kind.as_str().to_owned(),
            not_before: cert.not_before.to_string(),
            not_after: cert.not_after.to_string(),
            issued_at: cert.issued_at.to_string(),
            state: state.to_owned(),
            used_at: moment(cert.used_at),
            revoked_at: moment(cert.revoked.map(|(at, _)| at)),
            reason: cert.revoked.map(|(_, reason)| reason.as_str().to_owned()),
        }
    }
}

/// `GET /api/v1/certificates/{serial}`
async fn show(
    State(state): State<Shared>,
    caller: Caller,
    Named(serial): Named,
    _: Asked,
) -> Result<Response, Problem> {
    let cert = find(&state, &caller, &serial).await?;
    Ok(json(StatusCode::OK, &Certificate::of(&cert, state.authority.now())))
}

/// The certificate of an address. One that the key does not reach is one that does not exist.
pub(super) async fn find(state: &Shared, caller: &Caller, serial: &str) -> Result<CertRecord, Problem> {
    let none = || Problem::new(Code::NoSuchSerial, "there is no such certificate within the reach of this API key");
    let serial = serial.parse().map_err(|_| none())?;
    let found = state.authority.reader().certificate_by_serial(caller.actor().scope(), serial).await;
    found.map_err(|error| Problem::internal("reading a certificate", &error))?.ok_or_else(none)
}
