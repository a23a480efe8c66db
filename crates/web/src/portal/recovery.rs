//! 復旧: a terminal that is locked out types the code that a colleague or the support made for it, and gets its new certificate. Open to
//! visitors without a certificate: the number, the code and a quarter of an hour are the proof, and tries are counted.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use askama::Template;
use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use http::header::{HeaderValue, RETRY_AFTER, SET_COOKIE};
use http::{HeaderMap, StatusCode};
use tegata_authority::{Help, RecoverError};
use tegata_core::recovery::RecoveryCode;

use super::bundle::{Fetch, failed, handed_out};
use super::{another_url, see_other};
use crate::admin::recovery::Waits;
use crate::csrf::CheckedForm;
use crate::error::Failure;
use crate::frame::{Frame, page};
use crate::visit::Visit;
use crate::{Shared, cookie};

/// Where all of it is.
const BASE: &str = "/recovery";

#[derive(Template)]
#[template(path = "recovery.html")]
struct RecoveryPage {
    f: Frame,
    /// What was typed as the terminal's number, or what this browser remembers.
    number: String,
    error: Option<String>,
    /// Once a right code was typed: whose certificate waits, and the certificate.
    waits: Option<(String, Waits)>,
    /// Another name of this server, where the browser asks for a certificate anew.
    another: Option<String>,
}

/// `GET /recovery`
pub(crate) async fn show(State(state): State<Shared>, visit: Visit, headers: HeaderMap) -> Result<Response, Failure> {
    let mut shown = blank(&state, &visit);
    if let Some(help) = help(&state, &headers).await? {
        shown.waits = Some((help.terminal.name.clone(), Waits::of(&visit, BASE.into(), &help, None)));
    }
    page(StatusCode::OK, &shown)
}

/// `POST /recovery`
pub(crate) async fn submit(
    State(state): State<Shared>,
    visit: Visit,
    from: Option<Extension<SocketAddr>>,
    CheckedForm(fields): CheckedForm,
) -> Result<Response, Failure> {
    let from = from.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |Extension(address)| address.ip());
    let mut shown = blank(&state, &visit);
    shown.number = fields.text("number").trim().chars().take(40).collect();
    let (number, code) = (fields.text("number").parse(), RecoveryCode::parse(fields.text("code")));
    let (Ok(number), Ok(code)) = (number, code) else {
        shown.error = Some(visit.lang.t("recovery-unreadable"));
        return page(StatusCode::UNPROCESSABLE_ENTITY, &shown);
    };
    let (status, words) = match state.authority.redeem_recovery(number, &code, from).await {
        Ok(recovered) => {
            let seconds = (recovered.expires_at.0 - state.authority.now().0).max(0);
            let mut response = see_other("/recovery");
            let line = cookie::set(cookie::RECOVERY, recovered.token.expose(), Some(seconds));
            response.headers_mut().append(SET_COOKIE, line);
            return Ok(response);
        }
        Err(RecoverError::WrongCode) => (StatusCode::FORBIDDEN, "recovery-wrong"),
        Err(RecoverError::Permit(_)) => (StatusCode::FORBIDDEN, "recovery-not-possible"),
        Err(RecoverError::TooManyCodes) => (StatusCode::TOO_MANY_REQUESTS, "recovery-too-many"),
        Err(error) => return Err(Failure::internal("redeeming a recovery code", &error)),
    };
    shown.error = Some(visit.lang.t(words));
    let mut response = page(status, &shown)?;
    if status == StatusCode::TOO_MANY_REQUESTS {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("60"));
    }
    Ok(response)
}

/// `GET /recovery/bundle.p12`
pub(crate) async fn download(
    State(state): State<Shared>,
    headers: HeaderMap,
    fetch: Fetch,
) -> Result<Response, Failure> {
    if fetch.is_from_elsewhere {
        return Ok(see_other(BASE));
    }
    let help = help(&state, &headers).await?.ok_or(Failure::RecoveryOver)?;
    let file = state.authority.take_help(&help, fetch.format).await.map_err(failed)?;
    Ok(handed_out(&file))
}

/// `POST /recovery/password`
pub(crate) async fn reveal(
    State(state): State<Shared>,
    visit: Visit,
    headers: HeaderMap,
    CheckedForm(_): CheckedForm,
) -> Result<Response, Failure> {
    let help = help(&state, &headers).await?.ok_or(Failure::RecoveryOver)?;
    let password = state.authority.reveal_help(&help).await.map_err(failed)?;
    let mut shown = blank(&state, &visit);
    shown.waits = Some((help.terminal.name.clone(), Waits::of(&visit, BASE.into(), &help, Some(&password))));
    page(StatusCode::OK, &shown)
}

/// What waits for the browser that asks.
async fn help(state: &Shared, headers: &HeaderMap) -> Result<Option<Help>, Failure> {
    let Some(token) = cookie::read(headers, cookie::RECOVERY).filter(|token| !token.is_empty()) else {
        return Ok(None);
    };
    let found = state.authority.recovered(token).await;
    found.map_err(|error| Failure::internal("looking for what a recovery code opened", &error))
}

fn blank(state: &Shared, visit: &Visit) -> RecoveryPage {
    RecoveryPage {
        f: Frame::new(&state.portal, visit, "recovery", "recovery-title"),
        number: remembered_number(visit),
        error: None,
        waits: None,
        another: another_url(&state.portal, &visit.host),
    }
}

/// The number of the terminal that this browser was, as people say it; empty where that is not known.
pub(crate) fn remembered_number(visit: &Visit) -> String {
    let number = |text: &str| text.parse::<tegata_core::recovery::TerminalNumber>().ok();
    let known = visit.remembered.as_ref().and_then(|(terminal, _)| number(&terminal.number));
    known.map(|number| number.to_string()).unwrap_or_default()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::admin::recovery::tests::waits;
    use crate::frame::sample;
    use crate::i18n::Lang;

    /// Samples of this page.
    pub(crate) fn samples(lang: Lang) -> Vec<(String, String)> {
        let render = |error: Option<&str>, waits: Option<(String, Waits)>| {
            let mut f = sample::frame(lang, "recovery", "recovery-title");
            (f.terminal, f.user) = (None, None);
            let another = another_url(&sample::portal(), "localhost:8443");
            let error = error.map(|key| lang.t(key));
            RecoveryPage { f, number: "1-2".into(), error, waits, another }.render().expect("a page")
        };
        let of = |groups: &[&str]| Some(("診察室".to_owned(), Waits { base: BASE.into(), ..waits(lang, groups) }));
        vec![
            ("recovery".into(), render(None, None)),
            ("recovery-wrong".into(), render(Some("recovery-wrong"), None)),
            ("recovery-save".into(), render(None, of(&[]))),
            ("recovery-password".into(), render(None, of(&["abcde", "fghjk", "mnpqr", "23456"]))),
        ]
    }

    #[test]
    fn the_number_that_the_browser_remembers_is_filled_in() {
        let terminal = crate::remembered::Remembered {
            name: "受付1".into(),
            number: "u00000001 client0002".into(),
            not_after: tegata_core::time::Timestamp(0),
        };
        let visit = Visit { remembered: Some((terminal, tegata_core::time::Timestamp(1))), ..sample::visit(Lang::Ja) };
        assert_eq!(remembered_number(&visit), "1-2");
        assert_eq!(remembered_number(&sample::visit(Lang::Ja)), "");
    }
}
