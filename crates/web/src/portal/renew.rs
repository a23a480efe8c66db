//! 「更新」 and 「あとで」: the two answers to 証明書更新チェック. 更新 issues once and gives the same certificate again for days, so that a
//! double click, a second tab or a lost connection costs nothing.

use axum::extract::State;
use axum::response::Response;
use tegata_authority::RenewError;

use super::see_other;
use crate::Shared;
use crate::csrf::CheckedForm;
use crate::error::{Barrier, Failure};
use crate::session::LoggedIn;

/// `POST /renewal`
pub(crate) async fn submit(
    State(state): State<Shared>,
    login: LoggedIn,
    CheckedForm(_): CheckedForm,
) -> Result<Response, Failure> {
    match state.authority.renew(&login.session, &login.admitted.cert).await {
        Ok(_) => Ok(see_other("/renewal")),
        Err(RenewError::Permit(refusal)) => Err(Failure::Refused(refusal)),
        Err(RenewError::Unknown) => Err(Failure::Barred(Barrier::Foreign)),
        Err(RenewError::Internal(error)) => Err(Failure::internal("renewing a certificate", &error)),
    }
}

/// `POST /renewal/later`
pub(crate) async fn later(
    State(state): State<Shared>,
    login: LoggedIn,
    CheckedForm(_): CheckedForm,
) -> Result<Response, Failure> {
    let deferred = state.authority.defer(&login.token, &login.session).await;
    deferred.map_err(|error| Failure::internal("putting a renewal off", &error))?;
    Ok(see_other("/menu"))
}
