//! 管理画面: what an administrator of a customer sees of its terminals, and how one that is locked out is helped from here. Each page asks for
//! a login with that role, at a terminal of the same customer whose certificate counts.

pub(crate) mod api_keys;
pub(crate) mod invite;
pub(crate) mod life;
pub(crate) mod list;
pub(crate) mod log;
pub(crate) mod notices;
pub(crate) mod policy;
pub(crate) mod proof;
pub(crate) mod recovery;
pub(crate) mod terminals;

use axum::extract::FromRequestParts;
use axum::response::Response;
use http::request::Parts;
use tegata_core::access::{Actor, Role};

use crate::Shared;
use crate::error::Failure;
use crate::portal::see_other;
use crate::session::LoggedIn;

/// An administrator, logged in.
pub(crate) struct Admin(pub(crate) LoggedIn);

/// Whether the person who is logged in is one.
pub(crate) fn is_admin(login: &LoggedIn) -> bool {
    matches!(login.session.actor, Actor::User { role: Role::CustomerAdmin, .. })
}

impl FromRequestParts<Shared> for Admin {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &Shared) -> Result<Self, Failure> {
        let login = LoggedIn::from_request_parts(parts, state).await?;
        if is_admin(&login) { Ok(Self(login)) } else { Err(Failure::NotAdmin) }
    }
}

/// `GET /admin`
pub(crate) async fn front(_: Admin) -> Response {
    see_other("/admin/terminals")
}
