//! Who is logged in: the cookie's token, looked up together with the certificate at hand. A session belongs to a terminal: it goes on when
//! the terminal shows its new certificate, and is worth nothing at another one.

use axum::extract::FromRequestParts;
use http::request::Parts;
use tegata_authority::{Session, SessionLookup};

use crate::error::{Barrier, Failure, LoginReason};
use crate::gate::Admitted;
use crate::{Shared, cookie};

/// A visitor who is logged in, at the terminal whose certificate is shown.
pub(crate) struct LoggedIn {
    /// The session.
    pub(crate) session: Session,
    /// The token from the cookie.
    pub(crate) token: String,
    /// The terminal.
    pub(crate) admitted: Admitted,
}

impl FromRequestParts<Shared> for Admitted {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &Shared) -> Result<Self, Failure> {
        parts.extensions.get::<Self>().cloned().ok_or(Failure::Barred(Barrier::None))
    }
}

impl FromRequestParts<Shared> for LoggedIn {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &Shared) -> Result<Self, Failure> {
        let admitted = Admitted::from_request_parts(parts, state).await?;
        let Some(token) = cookie::read(&parts.headers, cookie::SESSION).filter(|token| !token.is_empty()) else {
            return Err(Failure::LoginFirst(LoginReason::None));
        };
        let found = state.authority.session(token, &admitted.identity).await;
        match found.map_err(|error| Failure::internal("whose session this is", &error))? {
            SessionLookup::Live(session) => Ok(Self { session, token: token.to_owned(), admitted }),
            SessionLookup::OtherTerminal => Err(Failure::LoginFirst(LoginReason::OtherTerminal)),
            SessionLookup::OtherCustomer => Err(Failure::Barred(Barrier::WrongCustomer)),
            SessionLookup::None => Err(Failure::LoginFirst(LoginReason::Ended)),
        }
    }
}

impl LoggedIn {
    /// The name that was typed at the login screen.
    pub(crate) fn user(&self) -> String {
        self.session.user_name.clone()
    }
}
