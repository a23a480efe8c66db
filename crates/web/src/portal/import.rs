//! 重要, and the way of the file into the system: advice on the backup, a picture for each step of the wizard, and how to come back with the
//! new certificate.

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;

use super::another_url;
use crate::Shared;
use crate::error::Failure;
use crate::frame::{Frame, page};
use crate::session::LoggedIn;
use crate::visit::Visit;

/// How many pictures lead through the wizard; one more shows the browser's chooser.
const WIZARD_STEPS: i64 = 7;

#[derive(Template)]
#[template(path = "import.html")]
struct ImportPage {
    f: Frame,
    steps: Vec<i64>,
    chooser_step: i64,
    /// Another name of this server, where the browser asks for a certificate anew.
    another: Option<String>,
}

/// `GET /renewal/import`
pub(crate) async fn show(State(state): State<Shared>, visit: Visit, login: LoggedIn) -> Result<Response, Failure> {
    let f = Frame::new(&state.portal, &visit, "import", "import-title").of(&login);
    page(StatusCode::OK, &import(f, another_url(&state.portal, &visit.host)))
}

fn import(f: Frame, another: Option<String>) -> ImportPage {
    ImportPage { f, steps: (1..=WIZARD_STEPS).collect(), chooser_step: WIZARD_STEPS + 1, another }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::frame::sample;
    use crate::i18n::Lang;

    /// Samples of this page.
    pub(crate) fn samples(lang: Lang) -> Vec<(String, String)> {
        let render = |another| import(sample::frame(lang, "import", "import-title"), another).render().expect("a page");
        vec![
            ("import".into(), render(another_url(&sample::portal(), "localhost:8443"))),
            ("import-no-alias".into(), render(None)),
        ]
    }

    #[test]
    fn eight_pictures_lead_to_the_check_at_another_name() {
        let html = &samples(Lang::Ja)[0].1;
        for step in 1..=8 {
            assert!(html.contains(&format!("/assets/import/step{step}-ja.svg")), "step {step}");
        }
        assert!(html.contains("href=\"https://alt1.localhost:8443/check\""));
    }
}
