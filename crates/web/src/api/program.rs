//! Who asks the REST API: a program with its terminal's certificate in the handshake, and an API key beside it as user and password of HTTP Basic
//! (RFC 7617), as WebORCA's programs are used to. Neither is worth anything without the other.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use axum::extract::FromRequestParts;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use http::request::Parts;
use tegata_authority::{CheckApiKeyError, Identity};
use tegata_core::access::Actor;
use tegata_core::api_key::{ApiKey, ApiKeyError, Program};
use tegata_core::peer::{Peer, PeerCert, PeerState, Presented};
use tegata_core::secret::Secret;

use super::operation::{Needs, Rules};
use super::problem::{Code, Problem};
use crate::Shared;

/// The terminal behind a request: its certificate counts, and the register knows it.
pub(crate) struct Terminal {
    pub(crate) cert: PeerCert,
    pub(crate) peer: Peer,
    pub(crate) identity: Identity,
}

impl FromRequestParts<Shared> for Terminal {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &Shared) -> Result<Self, Problem> {
        let nobody = Peer { presented: Presented::None, state: PeerState::None };
        let peer = parts.extensions.get::<Peer>().cloned().unwrap_or(nobody);
        let cert = peer.credential().cloned().ok_or_else(|| Problem::of_peer(&peer))?;
        let identity = state.authority.identify(&cert).await;
        let identity = identity.map_err(|error| Problem::internal("who presented this certificate", &error))?;
        let worth = |state| Peer { presented: peer.presented.clone(), state };
        let identity = identity.ok_or_else(|| Problem::of_peer(&worth(PeerState::Foreign)))?;
        // The register knows of a revocation a moment before the gate's picture does.
        if identity.certificate.revoked.is_some() {
            return Err(Problem::of_peer(&worth(PeerState::Revoked)));
        }
        Ok(Self { cert, peer, identity })
    }
}

/// A program whose certificate and key were accepted.
pub(crate) struct Caller {
    pub(crate) program: Program,
    pub(crate) key: ApiKey,
}

impl Caller {
    /// As whom it acts.
    pub(crate) fn actor(&self) -> Actor {
        Actor::Program(Box::new(self.program.clone()))
    }

    /// Whether its key is good for what the operation needs; one that is described as needing no key has no caller.
    fn may(&self, needs: Option<Needs>) -> Result<(), Problem> {
        let missing = |scope| Problem::new(Code::ScopeMissing, format!("this needs an API key with the scope {scope}"));
        match needs {
            Some(Needs::Key) => Ok(()),
            Some(Needs::Scope(scope)) => self.program.scopes.has(scope).then_some(()).ok_or_else(|| missing(scope)),
            Some(Needs::Nothing | Needs::Certificate) | None => Err(Problem::internal(
                "checking a key",
                &std::io::Error::other("an operation that is described as open"),
            )),
        }
    }
}

impl FromRequestParts<Shared> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &Shared) -> Result<Self, Problem> {
        if super::is_marked_by_browser(&parts.headers) {
            return Err(Problem::for_programs_only());
        }
        let terminal = Terminal::from_request_parts(parts, state).await?;
        if terminal.peer.accepted().is_none() {
            return Err(Problem::new(
                Code::Foreign,
                "an agent's certificate is for renewing alone: show the terminal's",
            ));
        }
        let none =
            || Problem::new(Code::NoApiKey, "send the API key as user and password of HTTP Basic authentication");
        let (user, password) = basic(&parts.headers).ok_or_else(none)?;
        let from = parts.extensions.get::<SocketAddr>().map_or(Ipv4Addr::UNSPECIFIED.into(), SocketAddr::ip);
        let checked = check(state, &terminal.identity, (&user, &password), from).await;
        let (program, key) = checked?;
        let caller = Self { program, key };
        caller.may(parts.extensions.get::<Rules>().map(|rules| rules.needs))?;
        Ok(caller)
    }
}

async fn check(
    state: &Shared,
    identity: &Identity,
    (user, password): (&str, &Secret<String>),
    from: IpAddr,
) -> Result<(Program, ApiKey), Problem> {
    let checked = state.authority.check_api_key(identity, (user, password.expose()), from).await;
    checked.map_err(|error| {
        let code = match &error {
            CheckApiKeyError::Wrong => Code::WrongApiKey,
            CheckApiKeyError::TooMany => Code::TooManyApiKeys,
            CheckApiKeyError::Refused(ApiKeyError::Revoked) => Code::ApiKeyRevoked,
            CheckApiKeyError::Refused(ApiKeyError::Expired) => Code::ApiKeyExpired,
            CheckApiKeyError::Refused(ApiKeyError::OtherCertificate) => Code::ApiKeyElsewhere,
            CheckApiKeyError::Internal(inner) => return Problem::internal("checking an API key", inner),
        };
        Problem::new(code, error.to_string())
    })
}

/// User and password, where both can be read.
fn basic(headers: &HeaderMap) -> Option<(String, Secret<String>)> {
    let (scheme, encoded) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let whole = Secret::new(String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?);
    let (user, password) = whole.expose().split_once(':')?;
    Some((user.to_owned(), Secret::new(password.to_owned())))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn user_and_password_are_read_and_half_of_them_is_nothing() {
        let read = |text: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(AUTHORIZATION, HeaderValue::from_static(text));
            basic(&headers).map(|(user, password)| (user, password.expose().clone()))
        };
        let both = Some(("key-1".to_owned(), "a:b".to_owned()));
        assert_eq!(read("Basic a2V5LTE6YTpi"), both);
        assert_eq!(read("bAsIc  a2V5LTE6YTpi "), both);
        for wrong in ["", "Basic", "Basic a2V5LTE", "Basic a2V5LTFhYg==", "Bearer a2V5LTE6YTpi", "Basic /////w=="] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
