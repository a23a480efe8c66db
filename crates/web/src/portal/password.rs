//! パスワード確認: 「確認する」 shows the import password, as often as needed while the bundle lives. Each look is written to 操作ログ.

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use tegata_authority::Bundle;
use tegata_core::secret::Secret;

use super::bundle::{attachment, failed, waiting};
use super::safe_file_name;
use crate::Shared;
use crate::csrf::CheckedForm;
use crate::error::Failure;
use crate::frame::{Frame, Moment, page};
use crate::i18n::Lang;
use crate::session::LoggedIn;
use crate::visit::Visit;

#[derive(Template)]
#[template(path = "password.html")]
struct PasswordPage {
    f: Frame,
    file_name: String,
    until: Moment,
    /// The groups of the password, once it was asked for.
    groups: Vec<String>,
    compat: bool,
}

/// `GET /renewal/password`
pub(crate) async fn show(State(state): State<Shared>, visit: Visit, login: LoggedIn) -> Result<Response, Failure> {
    let bundle = waiting(&state, &login).await?;
    page(StatusCode::OK, &password_page(&state, &visit, &login, &bundle, vec![]))
}

/// `POST /renewal/password`
pub(crate) async fn reveal(
    State(state): State<Shared>,
    visit: Visit,
    login: LoggedIn,
    CheckedForm(_): CheckedForm,
) -> Result<Response, Failure> {
    let bundle = waiting(&state, &login).await?;
    let password = state.authority.reveal_password(&login.session).await.map_err(failed)?;
    page(StatusCode::OK, &password_page(&state, &visit, &login, &bundle, groups(&password)))
}

/// `POST /renewal/password.txt`
pub(crate) async fn file(
    State(state): State<Shared>,
    visit: Visit,
    login: LoggedIn,
    CheckedForm(_): CheckedForm,
) -> Result<Response, Failure> {
    let bundle = waiting(&state, &login).await?;
    let password = state.authority.reveal_password(&login.session).await.map_err(failed)?;
    let terminal = &login.admitted.identity.terminal.name;
    let text = text_file(visit.lang, terminal, &bundle, password.expose());
    let name = safe_file_name(&bundle.file_name.replace(".p12", ".txt"), "password.txt");
    Ok(attachment("text/plain; charset=utf-8", &name, text.into_bytes()))
}

fn password_page(
    state: &Shared,
    visit: &Visit,
    login: &LoggedIn,
    bundle: &Bundle,
    groups: Vec<String>,
) -> PasswordPage {
    let f = Frame::new(&state.portal, visit, "password", "password-title").of(login);
    PasswordPage {
        file_name: bundle.file_name.clone(),
        until: Moment::of(f.lang, bundle.expires_at),
        groups,
        compat: visit.format == tegata_pki::pkcs12::Format::Compat,
        f,
    }
}

/// The groups that a password is shown in.
pub(crate) fn groups(password: &Secret<String>) -> Vec<String> {
    password.expose().split('-').map(str::to_owned).collect()
}

/// What goes beside the certificate's backup: which file, whose terminal, until when, and the password. Begins with a byte order mark and
/// ends its lines as Windows does, so that every Notepad shows it.
fn text_file(lang: Lang, terminal: &str, bundle: &Bundle, password: &str) -> String {
    let lines = [
        lang.t1("password-file-bundle", "file", &bundle.file_name),
        lang.t1("password-file-terminal", "terminal", terminal),
        lang.t1("password-file-end", "end", lang.date_time(bundle.certificate.not_after)),
        lang.t1("password-file-password", "password", password),
        String::new(),
        lang.t("password-file-keep"),
    ];
    format!("\u{feff}{}\r\n", lines.join("\r\n"))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::frame::sample;

    /// Samples of this page.
    pub(crate) fn samples(lang: Lang) -> Vec<(String, String)> {
        let render = |groups: Vec<String>| {
            let page = PasswordPage {
                f: sample::frame(lang, "password", "password-title"),
                file_name: "103001_JP_u00000001_client001.p12".into(),
                until: sample::moment(lang, "2026-11-29"),
                groups,
                compat: false,
            };
            page.render().expect("a page")
        };
        let shown = groups(&Secret::new("abcde-fghjk-mnpqr-23456".to_owned()));
        vec![("password".into(), render(vec![])), ("password-shown".into(), render(shown))]
    }

    #[test]
    fn the_password_shows_only_after_it_was_asked_for() {
        let pages = samples(Lang::Ja);
        assert!(pages[0].1.contains("id=\"reveal-button\"") && !pages[0].1.contains("import-password"));
        assert!(pages[1].1.contains("id=\"import-password\"") && pages[1].1.contains("id=\"copy-button\""));
    }

    #[test]
    fn reading_the_element_gives_the_password_and_nothing_else() {
        let html = &samples(Lang::En)[1].1;
        let (_, rest) = html.split_once("id=\"import-password\"").expect("there");
        let (inner, _) = rest.split_once('>').expect("ends").1.split_once("</output>").expect("ends");
        let mut text = String::new();
        let mut inside = false;
        for c in inner.chars() {
            match c {
                '<' => inside = true,
                '>' => inside = false,
                c if !inside => text.push(c),
                _ => {}
            }
        }
        assert_eq!(text, "abcde-fghjk-mnpqr-23456");
    }
}
