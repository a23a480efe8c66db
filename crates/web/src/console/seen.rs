//! 利用者の画面: the very page that the user of a terminal sees at this moment, made by the same code, as a picture: nothing in it can be
//! pressed, it carries no token, and nothing secret is ever on these pages.

use axum::extract::{Path, State};
use axum::response::{Html, IntoResponse, Response};
use tegata_authority::Sight;
use tegata_core::recovery::TerminalNumber;
use tegata_core::terminal::Terminal;

use super::{Staff, find_terminal, terminal_path};
use crate::error::{Barrier, Failure};
use crate::frame::Preview;
use crate::portal::{landing, menu};
use crate::remembered::Remembered;
use crate::visit::Visit;
use crate::{PortalConfig, Shared};

/// `GET /console/customers/{customer}/terminals/{client}/seen`
pub(crate) async fn show(
    State(state): State<Shared>,
    visit: Visit,
    Staff(login): Staff,
    Path(named): Path<(String, String)>,
) -> Result<Response, Failure> {
    let actor = &login.session.actor;
    let (view, _) = find_terminal(&state, actor, &named).await?;
    let number = TerminalNumber { customer: view.terminal.customer, client: view.terminal.client };
    let found = state.authority.sight(actor, number).await;
    let found = found.map_err(|error| Failure::internal("looking at what a user sees", &error))?;
    let (terminal, customer, sight) = found.ok_or(Failure::NoSuchPage)?;
    let preview = Preview { terminal: format!("{} {}", customer.name, terminal.name), back: terminal_path(&terminal) };
    // Neither this visitor's token nor what this browser remembers is on the page.
    let visit = Visit { token: String::new(), remembered: None, ..visit };
    let html = render(&state.portal, visit, preview, (&terminal, &sight), state.authority.now());
    Ok(Html(html.map_err(|error| Failure::internal("writing a page", &error))?).into_response())
}

fn render(
    portal: &PortalConfig,
    mut visit: Visit,
    preview: Preview,
    (terminal, sight): (&Terminal, &Sight),
    now: tegata_core::time::Timestamp,
) -> askama::Result<String> {
    match sight {
        Sight::Portal(shown) => menu::preview(portal, &visit, (&shown.0, &shown.1), now, preview),
        Sight::Revoked => landing::preview(portal, &visit, Barrier::Revoked, preview),
        Sight::Nothing(last) => {
            visit.remembered = last.as_ref().map(|cert| (Remembered::at(terminal, cert.not_after), now));
            landing::preview(portal, &visit, Barrier::None, preview)
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use tegata_authority::{Identity, RenewalView};
    use tegata_core::renewal::Standing;
    use tegata_core::terminal::Condition;
    use tegata_core::time::{Days, Timestamp};

    use super::super::tests::{cert, midori};
    use super::*;
    use crate::admin::terminals::tests::view;
    use crate::frame::sample;
    use crate::i18n::Lang;

    fn rendered(lang: Lang, sight: &Sight) -> String {
        let terminal = view(1, "受付1", Condition::Due, None).terminal;
        let preview = Preview { terminal: "みどり医院 受付1".into(), back: terminal_path(&terminal) };
        let now = Timestamp::parse("2026-11-24").expect("valid");
        let visit = Visit { token: String::new(), ..sample::visit(lang) };
        render(&sample::portal(), visit, preview, (&terminal, sight), now).expect("a page")
    }

    fn portal() -> Sight {
        let (certificate, terminal) = (cert(1, "2027-01-21"), view(1, "受付1", Condition::Due, None).terminal);
        let identity = Identity { certificate, terminal, customer: midori(), superseded: false };
        let standing = Standing::Due { days_left: Days(58) };
        let view =
            RenewalView { standing, bundle: None, newer_used: None, certificates: vec![], deferred_today: false };
        Sight::Portal(Box::new((identity, view)))
    }

    /// Samples of this page.
    pub(crate) fn samples(lang: Lang) -> Vec<(String, String)> {
        vec![
            ("console-seen-menu".into(), rendered(lang, &portal())),
            ("console-seen-revoked".into(), rendered(lang, &Sight::Revoked)),
            ("console-seen-expired".into(), rendered(lang, &Sight::Nothing(Some(cert(1, "2026-11-20"))))),
            ("console-seen-nothing".into(), rendered(lang, &Sight::Nothing(None))),
        ]
    }

    #[test]
    fn it_is_the_users_own_page_and_nothing_on_it_can_be_pressed() {
        let html = rendered(Lang::Ja, &portal());
        assert!(html.contains("id=\"renewal-dialog\"") && html.contains("id=\"preview\""), "{html}");
        for (name, html) in samples(Lang::Ja) {
            assert!(html.contains("<fieldset disabled class=\"preview\">"), "{name}");
            assert!(!html.contains("name=\"csrf\" value=\"t"), "{name}: no token");
            assert!(html.contains("href=\"/console/customers/u00000001/terminals/1\""), "{name}: a way back");
        }
    }

    #[test]
    fn a_terminal_with_an_expired_certificate_sees_the_page_that_knows_it() {
        let html = rendered(Lang::Ja, &Sight::Nothing(Some(cert(1, "2026-11-20"))));
        assert!(html.contains("期限が切れています") && html.contains("data-reason=\"none\""), "{html}");
    }
}
