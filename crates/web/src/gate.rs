//! Deny by default: whoever shows no certificate that counts sees nothing but the page that says so, how to get further, and whom to call.
//! Only assets, health, the language switch and the page for recovery codes are open to everybody.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tegata_authority::Identity;
use tegata_core::peer::{Peer, PeerCert, PeerState, Presented};

use crate::Shared;
use crate::error::{Barrier, Failure};

/// The terminal behind a request that passed the gate. Handlers take it from the request's extensions.
#[derive(Clone)]
pub(crate) struct Admitted {
    /// The certificate shown.
    pub(crate) cert: PeerCert,
    /// The register's rows behind it.
    pub(crate) identity: Identity,
}

/// Whether a path is open to everybody.
fn is_open(path: &str) -> bool {
    !crate::visit::is_for_visitors(path)
        || path == "/language"
        || path == "/enroll"
        || path == "/recovery"
        || path.starts_with("/recovery/")
}

/// Lets a request through, or answers it.
pub(crate) async fn admit(State(state): State<Shared>, mut request: Request, next: Next) -> Response {
    if is_open(request.uri().path()) {
        return next.run(request).await;
    }
    let peer = request.extensions().get::<Peer>().cloned();
    let peer = peer.unwrap_or(Peer { presented: Presented::None, state: PeerState::None });
    let Some(cert) = peer.accepted().cloned() else {
        return Failure::Barred(barrier(&peer)).into_response();
    };
    match state.authority.identify(&cert).await {
        // The register knows of a revocation a moment before the gate's picture does.
        Ok(Some(identity)) if identity.certificate.revoked.is_some() => {
            Failure::Barred(Barrier::Revoked).into_response()
        }
        Ok(Some(identity)) => {
            request.extensions_mut().insert(Admitted { cert, identity });
            next.run(request).await
        }
        Ok(None) => Failure::Barred(Barrier::Foreign).into_response(),
        Err(error) => Failure::internal("who presented this certificate", &error).into_response(),
    }
}

/// Why a peer is not let in.
fn barrier(peer: &Peer) -> Barrier {
    let cert = match &peer.presented {
        Presented::Ours(cert) => Some(cert),
        _ => None,
    };
    match (peer.state, cert) {
        (PeerState::None, _) => Barrier::None,
        (PeerState::Expired, Some(cert)) => Barrier::Expired(cert.not_after),
        (PeerState::NotYetValid, Some(cert)) => Barrier::NotYetValid(cert.not_before),
        (PeerState::Revoked, _) => Barrier::Revoked,
        (PeerState::Unknowable, _) => Barrier::Unknowable,
        _ => Barrier::Foreign,
    }
}
