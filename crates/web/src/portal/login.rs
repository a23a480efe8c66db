//! ログイン: user and password, at a terminal whose certificate was accepted. Guessing is slowed down by `authority`; this page says so.

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use http::header::{HeaderValue, RETRY_AFTER, SET_COOKIE};
use http::{HeaderMap, StatusCode, Uri};
use tegata_authority::{LoginError, NewSession};
use tegata_core::secret::Secret;
use tegata_core::time::Timestamp;

use super::see_other;
use crate::csrf::CheckedForm;
use crate::error::{Barrier, Failure};
use crate::frame::{Frame, page};
use crate::gate::Admitted;
use crate::remembered::Remembered;
use crate::session::LoggedIn;
use crate::visit::{NewVisitor, Visit, query};
use crate::{Shared, cookie};

#[derive(Template)]
#[template(path = "login.html")]
struct LoginPage {
    f: Frame,
    /// Kept when the password was wrong.
    user: String,
    /// Why the visitor is here again.
    explanation: Option<String>,
    /// What was wrong with user or password.
    error: Option<String>,
}

/// `GET /login`
pub(crate) async fn show(
    State(state): State<Shared>,
    visit: Visit,
    admitted: Admitted,
    login: Result<LoggedIn, Failure>,
    uri: Uri,
) -> Result<Response, Failure> {
    if login.is_ok() {
        return Ok(see_other("/menu"));
    }
    let explanation = match query(&uri, "why") {
        Some("ended") => Some(visit.lang.t("login-ended")),
        Some("other-terminal") => Some(visit.lang.t("login-other-terminal")),
        _ => None,
    };
    let f = Frame::new(&state.portal, &visit, "login", "login-title").at(&admitted);
    page(StatusCode::OK, &LoginPage { f, user: String::new(), explanation, error: None })
}

/// `POST /login`
pub(crate) async fn submit(
    State(state): State<Shared>,
    visit: Visit,
    admitted: Admitted,
    headers: HeaderMap,
    CheckedForm(fields): CheckedForm,
) -> Result<Response, Failure> {
    let replaces = cookie::read(&headers, cookie::SESSION).map(str::to_owned);
    let user = fields.text("user").trim();
    let password = Secret::new(fields.text("password").to_owned());
    let again = |status, error| {
        let f = Frame::new(&state.portal, &visit, "login", "login-title").at(&admitted);
        page(status, &LoginPage { f, user: user.chars().take(100).collect(), explanation: None, error: Some(error) })
    };
    match state.authority.login(&admitted.identity, user, password, replaces.as_deref()).await {
        Ok(session) => {
            let mut response = begin(&session, state.authority.now());
            response.headers_mut().append(SET_COOKIE, Remembered::of(&admitted.identity).line());
            Ok(response)
        }
        Err(LoginError::WrongCredentials) => again(StatusCode::UNAUTHORIZED, visit.lang.t("login-wrong")),
        Err(LoginError::Locked { until }) => {
            let seconds = (until.0 - state.authority.now().0).max(1);
            let sentence = visit.lang.count("login-locked", seconds.div_euclid(60) + i64::from(seconds % 60 > 0));
            let mut response = again(StatusCode::TOO_MANY_REQUESTS, sentence)?;
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
            Ok(response)
        }
        Err(LoginError::WrongCustomer) => Err(Failure::Barred(Barrier::WrongCustomer)),
        Err(LoginError::Internal(error)) => Err(Failure::internal("logging in", &error)),
    }
}

/// The session's cookie lives as long as the session: it has to outlive the browser, which must be closed to choose another certificate.
fn begin(session: &NewSession, now: Timestamp) -> Response {
    let mut response = see_other("/menu");
    let seconds = (session.expires_at.0 - now.0).max(0);
    let line = cookie::set(cookie::SESSION, session.token.expose(), Some(seconds));
    response.headers_mut().append(SET_COOKIE, line);
    response.extensions_mut().insert(NewVisitor);
    response
}

/// `POST /logout`
pub(crate) async fn leave(
    State(state): State<Shared>,
    login: LoggedIn,
    CheckedForm(_): CheckedForm,
) -> Result<Response, Failure> {
    let ended = state.authority.logout(&login.token, &login.session).await;
    ended.map_err(|error| Failure::internal("logging out", &error))?;
    let mut response = see_other("/login");
    response.headers_mut().append(SET_COOKIE, cookie::forget(cookie::SESSION));
    response.extensions_mut().insert(NewVisitor);
    Ok(response)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::frame::sample;
    use crate::i18n::Lang;

    /// Samples of this page.
    pub(crate) fn samples(lang: Lang) -> Vec<(String, String)> {
        let render = |name: &str, explanation: Option<String>, error: Option<String>| {
            let mut f = sample::frame(lang, "login", "login-title");
            f.user = None;
            let user = if error.is_some() { "\"><script>alert(1)</script>".to_owned() } else { String::new() };
            (name.to_owned(), LoginPage { f, user, explanation, error }.render().expect("a page"))
        };
        vec![
            render("login", None, None),
            render("login-other-terminal", Some(lang.t("login-other-terminal")), None),
            render("login-wrong", None, Some(lang.t("login-wrong"))),
            render("login-locked", None, Some(lang.count("login-locked", 3))),
        ]
    }

    #[test]
    fn a_wrong_password_keeps_the_user_and_empties_the_password() {
        let (_, html) = samples(Lang::Ja).into_iter().find(|(name, _)| name == "login-wrong").expect("there");
        assert!(html.contains("value=\"&#34;&#62;&#60;script&#62;alert(1)&#60;/script&#62;\""), "{html}");
        let (_, password) = html.split_once("name=\"password\"").expect("a field");
        assert!(!password.split_once('>').expect("ends").0.contains("value="));
    }
}
