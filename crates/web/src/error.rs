//! The only place that turns what went wrong into a status, a code for programs (RFC 9457) and a sentence for people. What nobody foresaw
//! becomes 500 with a log id; its text goes to the log and nowhere else.

use std::any::Any;
use std::error::Error;

use askama::Template;
use axum::response::{IntoResponse, Redirect, Response};
use http::header::{CONTENT_TYPE, LOCATION, RETRY_AFTER, SET_COOKIE};
use http::{HeaderValue, StatusCode};
use tegata_core::application::Unserved;
use tegata_core::renewal::PermitError;
use tegata_core::secret::random;
use tegata_core::time::Timestamp;

use crate::frame::Frame;
use crate::portal::landing;
use crate::visit::Visit;
use crate::{Shared, cookie};

/// Why a visitor stands before a closed gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Barrier {
    /// No certificate was shown.
    None,
    /// It is not one of ours.
    Foreign,
    /// It expired then.
    Expired(Timestamp),
    /// It was revoked.
    Revoked,
    /// It begins then.
    NotYetValid(Timestamp),
    /// The terminal is one customer's, the user another's.
    WrongCustomer,
    /// The list of revoked certificates is too old to let anybody in.
    Unknowable,
}

impl Barrier {
    /// `data-reason` of the landing page, and the middle of its keys.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Foreign => "foreign",
            Self::Expired(_) => "expired",
            Self::Revoked => "revoked",
            Self::NotYetValid(_) => "not-yet-valid",
            Self::WrongCustomer => "wrong-customer",
            Self::Unknowable => "unknowable",
        }
    }
}

/// Why somebody has to log in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LoginReason {
    /// Not logged in yet.
    None,
    /// The session is over.
    Ended,
    /// The session was begun at another terminal.
    OtherTerminal,
}

/// What went wrong, so that a handler can say it with `?`.
#[derive(Clone, Debug)]
pub(crate) enum Failure {
    /// The gate stays closed.
    Barred(Barrier),
    /// Not logged in here.
    LoginFirst(LoginReason),
    /// A form without a genuine token, or sent from elsewhere.
    Csrf,
    /// A form that cannot be read.
    BadForm,
    /// A form longer than any of ours.
    FormTooLong,
    /// No such page.
    NoSuchPage,
    /// The page exists, not for this method.
    NoSuchMethod,
    /// Nothing waits to be fetched.
    NoBundle,
    /// For administrators only.
    NotAdmin,
    /// For the operator's staff only.
    NotStaff,
    /// For CA officers only.
    NotOfficer,
    /// No recovery code was typed here, or its time is over.
    RecoveryOver,
    /// No application behind the gate answered.
    Unserved(Unserved),
    /// No permit for a new certificate.
    Refused(PermitError),
    /// What nobody foresaw: what we were doing, and the text for the log.
    Internal(&'static str, String),
}

impl Failure {
    /// Something unforeseen while doing `what`.
    pub(crate) fn internal(what: &'static str, error: &(dyn Error + 'static)) -> Self {
        let mut text = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            text = format!("{text}: {error}");
            cause = error.source();
        }
        Self::Internal(what, text)
    }

    /// Its code for programs, which never changes.
    fn code(&self) -> &'static str {
        match self {
            Self::Barred(Barrier::None) => "no-certificate",
            Self::Barred(Barrier::Foreign) => "foreign-certificate",
            Self::Barred(Barrier::Expired(_)) => "expired-certificate",
            Self::Barred(Barrier::Revoked) => "revoked-certificate",
            Self::Barred(Barrier::NotYetValid(_)) => "not-yet-valid-certificate",
            Self::Barred(Barrier::WrongCustomer) => "wrong-customer",
            Self::Barred(Barrier::Unknowable) => "trust-unknowable",
            Self::LoginFirst(_) => "login-required",
            Self::Csrf => "try-again",
            Self::BadForm => "bad-form",
            Self::FormTooLong => "form-too-long",
            Self::NoSuchPage => "no-such-page",
            Self::NoSuchMethod => "no-such-method",
            Self::NoBundle => "no-bundle",
            Self::NotAdmin => "not-admin",
            Self::NotStaff => "not-staff",
            Self::NotOfficer => "not-officer",
            Self::RecoveryOver => "recovery-over",
            Self::Unserved(unserved) => unserved.as_str(),
            Self::Refused(PermitError::TooEarly { .. }) => "too-early",
            Self::Refused(PermitError::Retired) => "terminal-retired",
            Self::Refused(_) => "renewal-refused",
            Self::Internal(..) => "internal",
        }
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::Barred(Barrier::Unknowable) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Barred(_) | Self::Csrf | Self::NotAdmin | Self::NotStaff | Self::NotOfficer | Self::RecoveryOver => {
                StatusCode::FORBIDDEN
            }
            Self::LoginFirst(_) => StatusCode::UNAUTHORIZED,
            Self::BadForm => StatusCode::BAD_REQUEST,
            Self::FormTooLong => StatusCode::PAYLOAD_TOO_LARGE,
            Self::NoSuchPage | Self::NoBundle => StatusCode::NOT_FOUND,
            Self::NoSuchMethod => StatusCode::METHOD_NOT_ALLOWED,
            Self::Unserved(unserved) => status_of(*unserved),
            Self::Refused(PermitError::TooEarly { .. }) => StatusCode::CONFLICT,
            Self::Refused(_) => StatusCode::FORBIDDEN,
            Self::Internal(..) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

/// What an application's silence is called in HTTP.
pub(crate) fn status_of(unserved: Unserved) -> StatusCode {
    match unserved {
        Unserved::NotForCustomer => StatusCode::FORBIDDEN,
        Unserved::NothingHere => StatusCode::NOT_FOUND,
        Unserved::Ambiguous => StatusCode::BAD_REQUEST,
        Unserved::Unreachable => StatusCode::SERVICE_UNAVAILABLE,
        Unserved::TooSlow => StatusCode::GATEWAY_TIMEOUT,
        Unserved::Broken => StatusCode::BAD_GATEWAY,
    }
}

/// Carries the failure to [`crate::visit::welcome`], which knows the visitor's language.
impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let mut response = self.status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// No route matches.
pub(crate) async fn no_such_page() -> Failure {
    Failure::NoSuchPage
}

/// A route matches, its method does not.
pub(crate) async fn no_such_method() -> Failure {
    Failure::NoSuchMethod
}

/// A handler panicked.
pub(crate) fn from_panic(panic: Box<dyn Any + Send + 'static>) -> Response {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    Failure::Internal("answering a request", text.unwrap_or("a panic without text").to_owned()).into_response()
}

#[derive(Template)]
#[template(path = "trouble.html")]
struct TroublePage {
    f: Frame,
    what: String,
    next: String,
    link: &'static str,
    target: String,
    /// Whether the support's number belongs on the page.
    call: bool,
    log_id: Option<String>,
}

/// The answer to a failure: a page for people, a problem document for programs.
pub(crate) fn answer(state: &Shared, visit: &Visit, failure: Failure) -> Response {
    if let (Failure::LoginFirst(reason), true) = (&failure, visit.browser) {
        return to_login(*reason);
    }
    // A permit that fails for the certificate's own state says the same as the gate would.
    let failure = match failure {
        Failure::Refused(PermitError::Revoked) => Failure::Barred(Barrier::Revoked),
        Failure::Refused(PermitError::Expired(end)) => Failure::Barred(Barrier::Expired(end)),
        Failure::Refused(PermitError::NotYetValid(start)) => Failure::Barred(Barrier::NotYetValid(start)),
        other => other,
    };
    let log_id = log(state, &failure);
    metrics::counter!("tegata_portal_failures_total", "code" => failure.code()).increment(1);
    let mut response =
        if visit.browser { page(state, visit, &failure, log_id) } else { problem(visit, &failure, log_id) };
    *response.status_mut() = failure.status();
    if failure.status() == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("60"));
    }
    response
}

/// Writes what nobody foresaw to the log, once, and returns the id under which it stands there.
fn log(state: &Shared, failure: &Failure) -> Option<String> {
    let Failure::Internal(what, text) = failure else { return None };
    let id: String = random::<4>(&*state.entropy).iter().map(|byte| format!("{byte:02X}")).collect();
    tracing::error!(log.id = id, error = text, "{what} failed");
    Some(id)
}

fn to_login(reason: LoginReason) -> Response {
    let target = match reason {
        LoginReason::None => return Redirect::to("/login").into_response(),
        LoginReason::Ended => "/login?why=ended",
        LoginReason::OtherTerminal => "/login?why=other-terminal",
    };
    let headers = [(LOCATION, HeaderValue::from_static(target)), (SET_COOKIE, cookie::forget(cookie::SESSION))];
    (StatusCode::SEE_OTHER, headers).into_response()
}

fn page(state: &Shared, visit: &Visit, failure: &Failure, log_id: Option<String>) -> Response {
    let rendered = match failure {
        Failure::Barred(barrier) => landing::render(&state.portal, visit, *barrier),
        other => {
            let title = format!("trouble-{}-title", other.code());
            trouble(Frame::new(&state.portal, visit, "trouble", &title), visit, &state.portal.own_url, other, log_id)
                .render()
        }
    };
    match rendered {
        Ok(html) => axum::response::Html(html).into_response(),
        Err(error) => {
            tracing::error!(%error, "writing an error page failed");
            failure.status().into_response()
        }
    }
}

fn trouble(f: Frame, visit: &Visit, portal: &str, failure: &Failure, log_id: Option<String>) -> TroublePage {
    let code = failure.code();
    let (link, target) = match failure {
        Failure::Csrf | Failure::BadForm | Failure::FormTooLong => ("trouble-link-back", visit.back.clone()),
        Failure::Unserved(Unserved::Unreachable | Unserved::TooSlow | Unserved::Broken) => {
            ("trouble-link-again", visit.back.clone())
        }
        Failure::Unserved(_) => ("trouble-link-front", format!("{portal}/")),
        Failure::RecoveryOver => ("trouble-link-recovery", "/recovery".to_owned()),
        _ => ("trouble-link-front", "/".to_owned()),
    };
    let what = f.t(&format!("trouble-{code}-what"));
    let next = f.t(&format!("trouble-{code}-next"));
    let call = log_id.is_some() || matches!(failure, Failure::Unserved(_));
    TroublePage { f, what, next, link, target, call, log_id }
}

/// A problem document (RFC 9457): `code` is stable, `detail` is for people.
fn problem(visit: &Visit, failure: &Failure, log_id: Option<String>) -> Response {
    let status = failure.status();
    let code = failure.code();
    let detail = match failure {
        Failure::Barred(barrier) => landing::what(visit.lang, *barrier),
        Failure::LoginFirst(_) => visit.lang.t("login-required"),
        _ => visit.lang.t(&format!("trouble-{code}-what")),
    };
    let body = serde_json::json!({
        "type": "about:blank",
        "title": status.canonical_reason().unwrap_or_default(),
        "status": status.as_u16(),
        "code": code,
        "detail": detail,
        "log_id": log_id,
    });
    ([(CONTENT_TYPE, "application/problem+json")], body.to_string()).into_response()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::frame::sample;
    use crate::i18n::Lang;
    use tegata_core::time::Days;

    fn failures() -> Vec<Failure> {
        vec![
            Failure::Csrf,
            Failure::BadForm,
            Failure::FormTooLong,
            Failure::NoSuchPage,
            Failure::NoSuchMethod,
            Failure::NoBundle,
            Failure::NotAdmin,
            Failure::NotStaff,
            Failure::NotOfficer,
            Failure::RecoveryOver,
            Failure::Unserved(Unserved::NotForCustomer),
            Failure::Unserved(Unserved::NothingHere),
            Failure::Unserved(Unserved::Ambiguous),
            Failure::Unserved(Unserved::Unreachable),
            Failure::Unserved(Unserved::TooSlow),
            Failure::Unserved(Unserved::Broken),
            Failure::Refused(PermitError::TooEarly { days_left: Days(91), window: Days(90) }),
            Failure::Refused(PermitError::Retired),
            Failure::Refused(PermitError::OtherTerminal),
            Failure::Internal("a test", "disk full".into()),
        ]
    }

    /// Every error page, for the tests of all pages.
    pub(crate) fn samples(lang: Lang) -> Vec<(String, String)> {
        let page = |failure: Failure| {
            let log_id = matches!(failure, Failure::Internal(..)).then(|| "0A1B2C3D".to_owned());
            let f = sample::frame(lang, "trouble", &format!("trouble-{}-title", failure.code()));
            let page = trouble(f, &sample::visit(lang), "https://portal.example", &failure, log_id);
            (format!("trouble-{}", failure.code()), page.render().expect("a page"))
        };
        failures().into_iter().map(page).collect()
    }

    #[test]
    fn what_nobody_foresaw_shows_its_log_id_and_not_its_text() {
        let (_, html) = samples(Lang::Ja).into_iter().find(|(name, _)| name == "trouble-internal").expect("there");
        assert!(html.contains("0A1B2C3D"));
        assert!(!html.contains("disk full"));
    }

    #[test]
    fn a_failed_token_says_try_again_and_leads_back() {
        let (_, html) = samples(Lang::Ja).into_iter().find(|(name, _)| name == "trouble-try-again").expect("there");
        assert!(html.contains("もう一度お試しください"));
        assert!(html.contains("href=\"/menu\""));
    }

    #[test]
    fn every_failure_has_an_error_status() {
        assert!(
            failures().iter().all(|failure| failure.status().is_client_error() || failure.status().is_server_error())
        );
    }

    #[test]
    fn causes_are_logged_with_what_they_caused() {
        let inner = std::io::Error::other("disk full");
        let outer = std::io::Error::other(inner);
        let Failure::Internal(_, text) = Failure::internal("a test", &outer) else { panic!("internal") };
        assert!(text.contains("disk full"));
    }
}
