//! マスターメニュー: the applications, the state of the terminal in words, and 証明書更新チェック when the presented certificate nears its
//! end. The rule when to ask is `core::renewal::dialog_opens`; this page never blocks the work behind it.

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use tegata_authority::{Identity, RenewalView};
use tegata_core::renewal::{Standing, dialog_opens, is_last_week};
use tegata_core::time::{Days, Timestamp};

use super::{another_url, see_other};
use crate::error::Failure;
use crate::frame::{Frame, Moment, Preview, page};
use crate::i18n::Lang;
use crate::session::LoggedIn;
use crate::visit::Visit;
use crate::{PortalConfig, Shared};

#[derive(Template)]
#[template(path = "menu.html")]
struct MenuPage {
    f: Frame,
    tiles: Vec<(String, String)>,
    customer: String,
    not_after: Moment,
    days_left: i64,
    serial: String,
    /// `valid`, `due` or `urgent`.
    state: &'static str,
    /// Until when a renewed certificate can be saved again.
    bundle_until: Option<Moment>,
    question: Question,
}

/// What the page asks.
enum Question {
    /// Nothing.
    Nothing,
    /// 証明書更新チェック, opened, or as a banner after 「あとで」.
    Renew {
        opens: bool,
        /// A new certificate waits already: since when, and until when it can be fetched.
        waiting: Option<(Moment, Moment)>,
        /// Within the last week 「あとで」 holds until the next login only.
        last_week: bool,
    },
    /// A newer certificate is in use; the old one was shown. Either is fine.
    Newer {
        not_after: Moment,
        serial: String,
        another: Option<String>,
        /// Whether the one that was shown could be renewed once more.
        again: bool,
    },
}

/// `GET /`
pub(crate) async fn front(login: Result<LoggedIn, Failure>) -> Response {
    see_other(if login.is_ok() { "/menu" } else { "/login" })
}

/// `GET /menu`
pub(crate) async fn show(State(state): State<Shared>, visit: Visit, login: LoggedIn) -> Result<Response, Failure> {
    let view = state.authority.renewal_view(&login.admitted.identity).await;
    let view = view.map_err(|error| Failure::internal("looking at a terminal's certificates", &error))?;
    let f = Frame::new(&state.portal, &visit, "menu", "menu-title").of(&login);
    let question = question(&state.portal, &visit, &view, login.session.deferred);
    let shown = (&login.admitted.identity, &view);
    page(StatusCode::OK, &filled(f, &state.portal, shown, question, state.authority.now()))
}

/// What somebody at that terminal sees after logging in, as a picture.
pub(crate) fn preview(
    portal: &PortalConfig,
    visit: &Visit,
    (identity, view): (&Identity, &RenewalView),
    now: Timestamp,
    preview: Preview,
) -> askama::Result<String> {
    let mut f = Frame::new(portal, visit, "menu", "menu-title");
    f.terminal = Some(identity.terminal.name.clone());
    f.preview = Some(preview);
    filled(f, portal, (identity, view), question(portal, visit, view, false), now).render()
}

fn filled(
    f: Frame,
    portal: &PortalConfig,
    (identity, view): (&Identity, &RenewalView),
    question: Question,
    now: Timestamp,
) -> MenuPage {
    let cert = &identity.certificate;
    let days_left = cert.not_after.jst_days_from(now);
    let mut filled = menu(f, portal, identity.customer.name.clone(), cert.not_after, days_left, question);
    filled.bundle_until = view.bundle.as_ref().map(|bundle| Moment::of(filled.f.lang, bundle.expires_at));
    filled.serial = cert.serial.to_string();
    filled.state = state_word(view.standing, days_left);
    filled
}

fn menu(f: Frame, portal: &PortalConfig, customer: String, end: Timestamp, left: Days, question: Question) -> MenuPage {
    let name = |tile: &crate::Tile| match f.lang {
        Lang::Ja => tile.name_ja.clone(),
        Lang::En => tile.name_en.clone(),
    };
    let tiles = portal.applications.iter().map(|tile| (name(tile), tile.url.clone())).collect();
    let not_after = Moment::of(f.lang, end);
    MenuPage {
        tiles,
        customer,
        not_after,
        days_left: left.0,
        serial: String::new(),
        state: "valid",
        bundle_until: None,
        question,
        f,
    }
}

fn state_word(standing: Standing, left: Days) -> &'static str {
    match standing {
        Standing::Due { .. } if is_last_week(left) => "urgent",
        Standing::Due { .. } => "due",
        _ => "valid",
    }
}

fn question(portal: &PortalConfig, visit: &Visit, view: &RenewalView, deferred_in_session: bool) -> Question {
    if let Some(newer) = &view.newer_used {
        return Question::Newer {
            not_after: Moment::of(visit.lang, newer.not_after),
            serial: newer.serial.to_string(),
            another: another_url(portal, &visit.host),
            again: matches!(view.standing, Standing::Due { .. }),
        };
    }
    let Standing::Due { days_left } = view.standing else { return Question::Nothing };
    let moment = |at| Moment::of(visit.lang, at);
    let waiting = view.bundle.as_ref().map(|bundle| (moment(bundle.certificate.issued_at), moment(bundle.expires_at)));
    let opens = dialog_opens(days_left, view.deferred_today, deferred_in_session);
    Question::Renew { opens, waiting, last_week: is_last_week(days_left) }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::frame::sample;

    fn render(lang: Lang, left: i64, question: Question) -> String {
        let end = Timestamp::parse("2027-01-21").expect("valid");
        let f = sample::frame(lang, "menu", "menu-title");
        let mut page = menu(f, &sample::portal(), "みどり医院".into(), end, Days(left), question);
        page.bundle_until =
            matches!(&page.question, Question::Newer { .. }).then(|| sample::moment(lang, "2026-11-29"));
        page.serial = "20270121ABABABABABABABABABABABAB".into();
        page.state = if left <= 7 {
            "urgent"
        } else if left <= 90 {
            "due"
        } else {
            "valid"
        };
        page.render().expect("a page")
    }

    /// Samples of this page.
    pub(crate) fn samples(lang: Lang) -> Vec<(String, String)> {
        let moment = |text| sample::moment(lang, text);
        let waiting = Some((moment("2026-11-22"), moment("2026-11-29")));
        let newer = Question::Newer {
            not_after: moment("2030-01-22"),
            serial: "20300122CDCDCDCDCDCDCDCDCDCDCDCD".into(),
            another: Some("https://alt1.localhost:8443".into()),
            again: true,
        };
        vec![
            ("menu".into(), render(lang, 1000, Question::Nothing)),
            ("menu-due".into(), render(lang, 60, Question::Renew { opens: true, waiting: None, last_week: false })),
            ("menu-waiting".into(), render(lang, 59, Question::Renew { opens: true, waiting, last_week: false })),
            ("menu-last-day".into(), render(lang, 0, Question::Renew { opens: true, waiting: None, last_week: true })),
            ("menu-later".into(), render(lang, 60, Question::Renew { opens: false, waiting: None, last_week: false })),
            ("menu-newer".into(), render(lang, 30, newer)),
        ]
    }

    fn page_named(name: &str) -> String {
        samples(Lang::Ja).into_iter().find(|(known, _)| known == name).expect("there").1
    }

    #[test]
    fn the_question_is_an_open_dialog_with_two_answers() {
        let html = page_named("menu-due");
        assert!(html.contains("<dialog open id=\"renewal-dialog\""), "{html}");
        for part in
            ["証明書更新チェック", "id=\"renew-button\"", "id=\"later-button\"", "action=\"/renewal/later\"", "受付1"]
        {
            assert!(html.contains(part), "{part}");
        }
    }

    #[test]
    fn later_leaves_a_banner_that_still_renews() {
        let html = page_named("menu-later");
        assert!(!html.contains("renewal-dialog"));
        assert!(html.contains("id=\"renew-button\"") && html.contains("class=\"banner"));
    }

    #[test]
    fn nothing_is_asked_while_there_is_time() {
        let html = page_named("menu");
        assert!(!html.contains("action=\"/renewal\""));
        assert!(html.contains("2027年1月21日（木）14:00") && html.contains("id=\"days-left\""));
    }

    #[test]
    fn with_a_newer_one_in_use_there_is_no_dialog_but_a_way_to_choose_it() {
        let html = page_named("menu-newer");
        assert!(!html.contains("renewal-dialog"));
        assert!(html.contains("id=\"choose-again\"") && html.contains("https://alt1.localhost:8443/"));
    }
}
