//! 端末の追加, and an enrolment code for a terminal: it is typed at the PC that is to be this terminal, in its browser (`portal::enroll`) or by its
//! agent. For a terminal that is on some PC already, it moves it to another one.

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use http::StatusCode;
use tegata_authority::{EnrollError, InviteError, TerminalError};

use super::Admin;
use super::recovery::{find, terminal};
use crate::Shared;
use crate::csrf::CheckedForm;
use crate::error::Failure;
use crate::frame::{Frame, Moment, page};
use crate::portal::see_other;
use crate::visit::Visit;

/// For how long a code of an administrator's counts.
const MINUTES: u32 = 60;

#[derive(Template)]
#[template(path = "admin-new.html")]
struct NewPage {
    f: Frame,
    name: String,
    place: String,
    error: Option<String>,
}

/// `GET /admin/terminals/new`
pub(crate) async fn form(State(state): State<Shared>, visit: Visit, Admin(login): Admin) -> Result<Response, Failure> {
    let f = Frame::new(&state.portal, &visit, "admin-new", "new-title").of(&login);
    page(StatusCode::OK, &NewPage { f, name: String::new(), place: String::new(), error: None })
}

/// `POST /admin/terminals/new`
pub(crate) async fn add(
    State(state): State<Shared>,
    visit: Visit,
    Admin(login): Admin,
    CheckedForm(fields): CheckedForm,
) -> Result<Response, Failure> {
    let (name, place) = (fields.text("name").trim(), fields.text("place").trim());
    let f = Frame::new(&state.portal, &visit, "admin-new", "new-title").of(&login);
    let again = |key: &str| {
        let cut = |text: &str| text.chars().take(80).collect();
        let error = Some(visit.lang.t(key));
        page(StatusCode::UNPROCESSABLE_ENTITY, &NewPage { f, name: cut(name), place: cut(place), error })
    };
    let (actor, customer) = (&login.session.actor, login.session.customer);
    if !place.is_empty() && !state.authority.is_note(place) {
        return again("list-note-wrong");
    }
    let added = match state.authority.add_terminal(actor, customer, None, name).await {
        Ok(added) => added,
        Err(EnrollError::Name(_)) => return again("admin-name-needed"),
        Err(EnrollError::Full { .. }) => return again("console-full"),
        Err(error) if error.is_full() => return again("new-full"),
        Err(error) => return Err(Failure::internal("adding a terminal", &error)),
    };
    match state.authority.describe_terminal(actor, &added, (place, "")).await {
        Ok(()) => {}
        Err(TerminalError::Internal(error)) => return Err(Failure::internal("noting a terminal's place", &error)),
        Err(error) => tracing::warn!(%error, "the place of a new terminal was not noted"),
    }
    Ok(see_other(&format!("/admin/terminals/{}", added.client.number())))
}

/// `POST /admin/terminals/{client}/invitation`
pub(crate) async fn invite(
    State(state): State<Shared>,
    visit: Visit,
    Admin(login): Admin,
    Path(client): Path<String>,
    CheckedForm(fields): CheckedForm,
) -> Result<Response, Failure> {
    let view = find(&state, &login, &client).await?;
    let actor = &login.session.actor;
    let made = match fields.text("moves") {
        "yes" => state.authority.invite_to_move(actor, &view.terminal, MINUTES).await,
        _ => state.authority.invite(actor, &view.terminal, MINUTES, false).await,
    };
    let mut shown = terminal(&state, &visit, &login, &view);
    let refused = match made {
        Ok(made) => {
            shown.invitation = Some((made.code.spoken().expose().clone(), Moment::of(visit.lang, made.expires_at)));
            return page(StatusCode::OK, &shown);
        }
        Err(InviteError::Forbidden) => return Err(Failure::NotAdmin),
        Err(InviteError::Revoked) => "admin-help-revoked",
        Err(InviteError::Retired) => "admin-end-already",
        Err(error) => return Err(Failure::internal("inviting a terminal", &error)),
    };
    page(StatusCode::UNPROCESSABLE_ENTITY, &shown.saying(refused))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::frame::sample;
    use crate::i18n::Lang;

    /// Samples of this page.
    pub(crate) fn samples(lang: Lang) -> Vec<(String, String)> {
        let render = |error: Option<&str>| {
            let f = sample::frame(lang, "admin-new", "new-title");
            let error = error.map(|key| lang.t(key));
            NewPage { f, name: "受付1".into(), place: String::new(), error }.render().expect("a page")
        };
        vec![("admin-new".into(), render(None)), ("admin-new-wrong".into(), render(Some("admin-name-needed")))]
    }
}
