//! What a program may ask about its own certificate: which one arrived here, how long it lives, what to do next. Asking it with a new
//! certificate proves that the new one works, before the old one is put away.

use axum::Extension;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::header::CONTENT_TYPE;
use tegata_core::peer::{Peer, PeerState, Presented};
use tegata_core::profile::Purpose;

use super::Route;
use super::problem::Problem;
use crate::Shared;

pub(crate) fn routes() -> Vec<Route> {
    vec![Route { method: "GET", path: "/api/v1/certificate", answer: get(certificate) }]
}

/// `GET /api/v1/certificate`
async fn certificate(State(state): State<Shared>, peer: Option<Extension<Peer>>) -> Result<Response, Problem> {
    let nobody = Peer { presented: Presented::None, state: PeerState::None };
    let peer = peer.map_or(nobody, |Extension(peer)| peer);
    let cert = peer.credential().ok_or_else(|| Problem::of_peer(&peer))?;
    let identity = state.authority.identify(cert).await;
    let identity = identity.map_err(|error| Problem::internal("who presented this certificate", &error))?;
    let foreign = Peer { presented: Presented::Foreign, state: PeerState::Foreign };
    let identity = identity.ok_or_else(|| Problem::of_peer(&foreign))?;
    let body = serde_json::json!({
        "serial": cert.serial.to_string(),
        "fingerprint": cert.fingerprint.to_string(),
        "not_before": cert.not_before.to_string(),
        "not_after": cert.not_after.to_string(),
        "days_left": cert.not_after.jst_days_from(state.authority.now()).0,
        "standing": peer.state.as_str(),
        "superseded": identity.superseded,
        "kind": if cert.purpose == Purpose::Agent { "agent" } else { "terminal" },
        "terminal": { "id": identity.terminal.id.to_string(), "name": identity.terminal.name },
    });
    Ok(([(CONTENT_TYPE, "application/json")], body.to_string()).into_response())
}
