//! 証明書保存: where 「こちら」 gives the file, in the format that fits the system, as often as needed until the bundle is erased.

use askama::Template;
use axum::extract::{FromRequestParts, State};
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use http::request::Parts;
use http::{Method, StatusCode, Uri};
use tegata_authority::{Bundle, BundleError, BundleFile};
use tegata_pki::pkcs12::Format;

use super::{safe_file_name, see_other};
use crate::Shared;
use crate::csrf::is_from_elsewhere;
use crate::error::Failure;
use crate::frame::{Frame, Moment, page};
use crate::session::LoggedIn;
use crate::visit::{Visit, query};

#[derive(Template)]
#[template(path = "save.html")]
struct SavePage {
    f: Frame,
    file_name: String,
    not_after: Moment,
    until: Moment,
    compat: bool,
}

/// The format that the address asks for, else the one that fits the visitor's system.
fn chosen(uri: &Uri, fitting: Format) -> Format {
    match query(uri, "format") {
        Some("compat") => Format::Compat,
        Some("standard") => Format::Standard,
        _ => fitting,
    }
}

/// `GET /renewal`
pub(crate) async fn show(
    State(state): State<Shared>,
    visit: Visit,
    login: LoggedIn,
    uri: Uri,
) -> Result<Response, Failure> {
    let bundle = waiting(&state, &login).await?;
    let f = Frame::new(&state.portal, &visit, "save", "save-title").of(&login);
    page(StatusCode::OK, &save(f, &bundle, chosen(&uri, visit.format)))
}

/// The bundle that waits for this terminal.
pub(crate) async fn waiting(state: &Shared, login: &LoggedIn) -> Result<Bundle, Failure> {
    let view = state.authority.renewal_view(&login.admitted.identity).await;
    let view = view.map_err(|error| Failure::internal("looking for a bundle", &error))?;
    view.bundle.ok_or(Failure::NoBundle)
}

/// What a failed attempt to open a bundle means.
pub(crate) fn failed(error: BundleError) -> Failure {
    match error {
        BundleError::None | BundleError::TooOften => Failure::NoBundle,
        BundleError::Internal(error) => Failure::internal("opening a bundle", &error),
    }
}

fn save(f: Frame, bundle: &Bundle, format: Format) -> SavePage {
    SavePage {
        file_name: bundle.file_name.clone(),
        not_after: Moment::of(f.lang, bundle.certificate.not_after),
        until: Moment::of(f.lang, bundle.expires_at),
        compat: format == Format::Compat,
        f,
    }
}

/// Somebody asks for a .p12. A look at the headers must not count as fetched, so `HEAD` is refused.
pub(crate) struct Fetch {
    /// The format that is asked for, or that fits.
    pub(crate) format: Format,
    /// A link on another site fetches nothing.
    pub(crate) is_from_elsewhere: bool,
}

impl FromRequestParts<Shared> for Fetch {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &Shared) -> Result<Self, Failure> {
        if parts.method == Method::HEAD {
            return Err(Failure::NoSuchMethod);
        }
        let visit = Visit::from_request_parts(parts, state).await?;
        let is_from_elsewhere = is_from_elsewhere(&parts.headers, &visit.host);
        Ok(Self { format: chosen(&parts.uri, visit.format), is_from_elsewhere })
    }
}

/// A .p12 as an answer.
pub(crate) fn handed_out(file: &BundleFile) -> Response {
    let name = safe_file_name(&file.file_name, "certificate.p12");
    attachment("application/x-pkcs12", &name, file.bytes.expose().clone())
}

/// `GET /renewal/bundle.p12`
pub(crate) async fn download(State(state): State<Shared>, login: LoggedIn, fetch: Fetch) -> Result<Response, Failure> {
    if fetch.is_from_elsewhere {
        return Ok(see_other("/renewal"));
    }
    let file = state.authority.take_bundle(&login.session, fetch.format).await.map_err(failed)?;
    Ok(handed_out(&file))
}

/// A file to be saved. `name` has been through [`safe_file_name`].
pub(crate) fn attachment(kind: &'static str, name: &str, bytes: Vec<u8>) -> Response {
    let disposition = format!("attachment; filename=\"{name}\"");
    ([(CONTENT_TYPE, kind.to_owned()), (CONTENT_DISPOSITION, disposition)], bytes).into_response()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::frame::sample;
    use crate::i18n::Lang;

    /// Samples of this page.
    pub(crate) fn samples(lang: Lang) -> Vec<(String, String)> {
        let render = |compat| {
            let page = SavePage {
                f: sample::frame(lang, "save", "save-title"),
                file_name: "103001_JP_u00000001_client001.p12".into(),
                not_after: sample::moment(lang, "2030-01-22"),
                until: sample::moment(lang, "2026-11-29"),
                compat,
            };
            page.render().expect("a page")
        };
        vec![("save".into(), render(false)), ("save-compat".into(), render(true))]
    }

    #[test]
    fn the_fitting_format_is_chosen_and_the_other_is_offered() {
        let pages = samples(Lang::Ja);
        assert!(
            pages[0].1.contains("href=\"/renewal/bundle.p12?format=standard\" id=\"download-link\""),
            "{}",
            pages[0].1
        );
        assert!(pages[1].1.contains("href=\"/renewal/bundle.p12?format=compat\" id=\"download-link\""));
        for (_, html) in &pages {
            assert!(html.contains("id=\"format-standard\"") && html.contains("id=\"format-compat\""));
            assert_eq!(html.matches(" checked").count(), 1);
        }
    }

    #[test]
    fn a_file_name_cannot_break_out_of_its_header() {
        let answer = attachment("text/plain", &safe_file_name("a\"; x=\r\nSet-Cookie: y\u{3042}.p12", "f"), vec![]);
        assert_eq!(answer.headers()[CONTENT_DISPOSITION], "attachment; filename=\"a___x___Set-Cookie__y_.p12\"");
        assert_eq!(safe_file_name("../../x.p12", "f"), "_.._x.p12");
        assert_eq!(safe_file_name("", "certificate.p12"), "certificate.p12");
        assert_eq!(safe_file_name("...", "certificate.p12"), "certificate.p12");
    }

    #[test]
    fn an_unknown_format_falls_back_to_the_fitting_one() {
        let ask = |address: &'static str| chosen(&Uri::from_static(address), Format::Compat);
        assert_eq!(ask("/renewal/bundle.p12?format=standard"), Format::Standard);
        assert_eq!(ask("/renewal/bundle.p12?format=compat"), Format::Compat);
        assert_eq!(ask("/renewal/bundle.p12?format=rc2"), Format::Compat);
        assert_eq!(ask("/renewal/bundle.p12"), Format::Compat);
    }
}
