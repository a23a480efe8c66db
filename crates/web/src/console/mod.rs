//! 運用コンソール: how every customer stands, for the operator's staff (core's `Privilege::Console`). They come through the same gate as
//! everybody else: with the certificate of a terminal that belongs to the operator, and a login there.

pub(crate) mod customers;

use axum::extract::FromRequestParts;
use axum::response::Response;
use axum::routing::get;
use http::request::Parts;
use tegata_core::access::{Privilege, may_everywhere};

use crate::error::Failure;
use crate::portal::see_other;
use crate::session::LoggedIn;
use crate::{Endpoint, Shared};

/// Every way into the console.
pub(crate) fn endpoints() -> Vec<Endpoint> {
    let entry = |method, path, answer| Endpoint { method, path, answer };
    vec![entry("GET", "/console", get(front)), entry("GET", "/console/customers", get(customers::show))]
}

/// One of the operator's staff, logged in.
pub(crate) struct Staff(pub(crate) LoggedIn);

/// Whether the person who is logged in is one.
pub(crate) fn is_staff(login: &LoggedIn) -> bool {
    may_everywhere(&login.session.actor, Privilege::Console)
}

impl FromRequestParts<Shared> for Staff {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &Shared) -> Result<Self, Failure> {
        let login = LoggedIn::from_request_parts(parts, state).await?;
        if is_staff(&login) { Ok(Self(login)) } else { Err(Failure::NotStaff) }
    }
}

/// `GET /console`
pub(crate) async fn front(_: Staff) -> Response {
    see_other("/console/customers")
}

#[cfg(test)]
pub(crate) mod tests {
    use crate::i18n::Lang;

    /// Samples of all pages of the console.
    pub(crate) fn samples(lang: Lang) -> Vec<(String, String)> {
        [super::customers::tests::samples(lang)].concat()
    }
}
