//! What an administrator says about a terminal: its name, the end of its service, its loss. The forms stand on the terminal's page
//! (`admin::recovery`).

use axum::extract::{Path, State};
use axum::response::Response;
use http::StatusCode;
use tegata_authority::TerminalError;

use super::Admin;
use super::recovery::{find, path_of, terminal};
use crate::Shared;
use crate::csrf::CheckedForm;
use crate::error::Failure;
use crate::frame::page;
use crate::portal::see_other;
use crate::visit::Visit;

/// `POST /admin/terminals/{client}/name`
pub(crate) async fn rename(
    State(state): State<Shared>,
    visit: Visit,
    Admin(login): Admin,
    Path(client): Path<String>,
    CheckedForm(fields): CheckedForm,
) -> Result<Response, Failure> {
    let view = find(&state, &login, &client).await?;
    let (actor, notes) = (&login.session.actor, (fields.text("place"), fields.text("system")));
    // Notes first: when they cannot be written down, the name stays as it was, too.
    let mut done = state.authority.describe_terminal(actor, &view.terminal, notes).await;
    if done.is_ok() {
        done = state.authority.rename_terminal(actor, &view.terminal, fields.text("name")).await;
    }
    match done {
        Ok(()) => Ok(see_other(&path_of(&view))),
        Err(error) => {
            page(StatusCode::UNPROCESSABLE_ENTITY, &terminal(&state, &visit, &login, &view).saying(words(error)?))
        }
    }
}

/// `POST /admin/terminals/{client}/end`
pub(crate) async fn end(
    State(state): State<Shared>,
    visit: Visit,
    Admin(login): Admin,
    Path(client): Path<String>,
    CheckedForm(fields): CheckedForm,
) -> Result<Response, Failure> {
    let view = find(&state, &login, &client).await?;
    let (actor, reason) = (&login.session.actor, fields.text("end-reason"));
    let shown = terminal(&state, &visit, &login, &view);
    if fields.text("sure") != "yes" {
        return page(StatusCode::UNPROCESSABLE_ENTITY, &shown.saying("admin-sure-needed"));
    }
    let done = match fields.text("end") {
        "lost" => state.authority.report_lost(actor, &view.terminal, reason).await,
        "retired" => state.authority.retire_terminal(actor, &view.terminal, reason).await,
        _ => return Err(Failure::BadForm),
    };
    match done {
        Ok(_) => Ok(see_other(&path_of(&view))),
        Err(error) => page(StatusCode::UNPROCESSABLE_ENTITY, &shown.saying(words(error)?)),
    }
}

/// What a refusal means.
fn words(error: TerminalError) -> Result<&'static str, Failure> {
    match error {
        TerminalError::Forbidden => Err(Failure::NotAdmin),
        TerminalError::InUse => Ok("admin-end-own"),
        TerminalError::Note => Ok("list-note-wrong"),
        TerminalError::Name => Ok("admin-name-needed"),
        TerminalError::Reason => Ok("admin-reason-needed"),
        TerminalError::Retired => Ok("admin-end-already"),
        TerminalError::Internal(error) => Err(Failure::internal("changing a terminal", &error)),
    }
}
