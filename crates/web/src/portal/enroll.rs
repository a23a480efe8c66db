//! 端末の登録: a PC without a certificate types the enrolment code that an administrator or the support made, and gets the terminal's certificate as
//! after a recovery. Open to visitors without a certificate: tries are counted at the code and at the address that they come from.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use askama::Template;
use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use http::header::{HeaderValue, RETRY_AFTER, SET_COOKIE};
use tegata_authority::RecoverError;
use tegata_core::invitation::Code;

use super::see_other;
use crate::csrf::CheckedForm;
use crate::error::Failure;
use crate::frame::{Frame, page};
use crate::visit::Visit;
use crate::{Shared, cookie};

#[derive(Template)]
#[template(path = "enroll.html")]
struct EnrollPage {
    f: Frame,
    error: Option<String>,
}

/// `GET /enroll`
pub(crate) async fn show(State(state): State<Shared>, visit: Visit) -> Result<Response, Failure> {
    page(StatusCode::OK, &EnrollPage { f: Frame::new(&state.portal, &visit, "enroll", "enroll-title"), error: None })
}

/// `POST /enroll`
pub(crate) async fn submit(
    State(state): State<Shared>,
    visit: Visit,
    from: Option<Extension<SocketAddr>>,
    CheckedForm(fields): CheckedForm,
) -> Result<Response, Failure> {
    let from = from.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |Extension(address)| address.ip());
    let (status, words) = match Code::parse(fields.text("code")) {
        Err(_) => (StatusCode::UNPROCESSABLE_ENTITY, "enroll-unreadable"),
        Ok(code) => match state.authority.redeem_invitation(&code, from).await {
            Ok(recovered) => {
                let seconds = (recovered.expires_at.0 - state.authority.now().0).max(0);
                // From here on it is as after a recovery: the same page, the same quarter of an hour.
                let mut response = see_other("/recovery");
                let line = cookie::set(cookie::RECOVERY, recovered.token.expose(), Some(seconds));
                response.headers_mut().append(SET_COOKIE, line);
                return Ok(response);
            }
            Err(RecoverError::WrongCode) => (StatusCode::FORBIDDEN, "enroll-wrong"),
            Err(RecoverError::Permit(_)) => (StatusCode::FORBIDDEN, "recovery-not-possible"),
            Err(RecoverError::TooManyCodes) => (StatusCode::TOO_MANY_REQUESTS, "recovery-too-many"),
            Err(error) => return Err(Failure::internal("redeeming an enrolment code", &error)),
        },
    };
    let f = Frame::new(&state.portal, &visit, "enroll", "enroll-title");
    let mut response = page(status, &EnrollPage { f, error: Some(visit.lang.t(words)) })?;
    if status == StatusCode::TOO_MANY_REQUESTS {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("60"));
    }
    Ok(response)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::frame::sample;
    use crate::i18n::Lang;

    /// Samples of this page.
    pub(crate) fn samples(lang: Lang) -> Vec<(String, String)> {
        let render = |error: Option<&str>| {
            let mut f = sample::frame(lang, "enroll", "enroll-title");
            (f.terminal, f.user) = (None, None);
            EnrollPage { f, error: error.map(|key| lang.t(key)) }.render().expect("a page")
        };
        vec![("enroll".into(), render(None)), ("enroll-wrong".into(), render(Some("enroll-wrong")))]
    }
}
