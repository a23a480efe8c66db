//! The pages before a closed gate, instead of a browser's own error: what happened, why it may have happened, what to do now, whom to call.
//! The one for visitors without a certificate has to help a terminal whose certificate has expired, since browsers hide expired ones.
//! The language switch, open to everybody, is here too.

use askama::Template;
use axum::response::Response;
use http::header::SET_COOKIE;

use super::recovery::remembered_number;
use super::{another_url, see_other};
use crate::PortalConfig;
use crate::csrf::CheckedForm;
use crate::error::{Barrier, Failure};
use crate::frame::{Frame, Moment, Preview};
use crate::i18n::Lang;
use crate::visit::{Visit, lang_cookie, local_path};

#[derive(Template)]
#[template(path = "landing.html")]
struct LandingPage {
    f: Frame,
    what: String,
    reasons: Vec<String>,
    steps: Vec<String>,
    /// Another name of this server, where choosing another certificate can help.
    another: Option<String>,
    /// Whether asking again here can help.
    again: bool,
    /// Whether logging in as somebody else can help.
    login: bool,
    /// Where a recovery code can help: the number of the terminal that this browser was, as far as it is known.
    recovery: Option<String>,
    /// The terminal that this browser was at its last login: name, number, the end of its certificate, and whether that is past.
    terminal: Option<(String, String, Moment, bool)>,
}

/// The page for one barrier.
pub(crate) fn render(portal: &PortalConfig, visit: &Visit, barrier: Barrier) -> askama::Result<String> {
    landing(portal, visit, barrier).render()
}

/// The same, as a picture.
pub(crate) fn preview(
    portal: &PortalConfig,
    visit: &Visit,
    barrier: Barrier,
    preview: Preview,
) -> askama::Result<String> {
    let mut page = landing(portal, visit, barrier);
    page.f.preview = Some(preview);
    page.render()
}

fn landing(portal: &PortalConfig, visit: &Visit, barrier: Barrier) -> LandingPage {
    let reason = barrier.reason();
    let mut f = Frame::new(portal, visit, "landing", &format!("landing-{reason}-title"));
    f.reason = Some(reason);
    let choosing_helps = !matches!(barrier, Barrier::Unknowable | Barrier::NotYetValid(_));
    LandingPage {
        what: what(visit.lang, barrier),
        reasons: numbered(visit.lang, &format!("landing-{reason}-why")),
        steps: numbered(visit.lang, &format!("landing-{reason}-step")),
        another: another_url(portal, &visit.host).filter(|_| choosing_helps),
        again: !choosing_helps,
        login: barrier == Barrier::WrongCustomer,
        recovery: matches!(barrier, Barrier::None | Barrier::Foreign | Barrier::Expired(_))
            .then(|| remembered_number(visit)),
        terminal: visit.remembered.as_ref().filter(|_| barrier == Barrier::None).map(|(terminal, now)| {
            let end = terminal.not_after;
            (terminal.name.clone(), terminal.number.clone(), Moment::of(visit.lang, end), end < *now)
        }),
        f,
    }
}

/// What happened, in one sentence.
pub(crate) fn what(lang: Lang, barrier: Barrier) -> String {
    let key = format!("landing-{}-what", barrier.reason());
    match barrier {
        Barrier::Expired(at) | Barrier::NotYetValid(at) => lang.t1(&key, "at", lang.date_time(at)),
        _ => lang.t(&key),
    }
}

/// The words behind `key1`, `key2`, … as far as there are any.
fn numbered(lang: Lang, key: &str) -> Vec<String> {
    (1..).map(|number| format!("{key}{number}")).take_while(|key| lang.knows(key)).map(|key| lang.t(&key)).collect()
}

/// `POST /language`
pub(crate) async fn language(CheckedForm(fields): CheckedForm) -> Result<Response, Failure> {
    let lang = Lang::parse(fields.text("lang")).ok_or(Failure::BadForm)?;
    let mut response = see_other(local_path(fields.text("back")));
    response.headers_mut().append(SET_COOKIE, lang_cookie(lang));
    Ok(response)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::frame::sample;
    use crate::remembered::Remembered;
    use tegata_core::time::Timestamp;

    const END: Timestamp = Timestamp(1_800_507_600); // 2027-01-21 14:00 JST

    fn barriers() -> [Barrier; 7] {
        [
            Barrier::None,
            Barrier::Foreign,
            Barrier::Expired(END),
            Barrier::Revoked,
            Barrier::NotYetValid(END),
            Barrier::WrongCustomer,
            Barrier::Unknowable,
        ]
    }

    /// Samples of this page.
    pub(crate) fn samples(lang: Lang) -> Vec<(String, String)> {
        let page = |barrier: Barrier| {
            let html = render(&sample::portal(), &sample::visit(lang), barrier).expect("a page");
            (format!("landing-{}", barrier.reason()), html)
        };
        let mut pages: Vec<_> = barriers().into_iter().map(page).collect();
        for (name, end) in [("landing-none-expired", END), ("landing-none-known", Timestamp(END.0 + 9))] {
            let number = "u00000001 client0001".into();
            let terminal = Remembered { name: "受付1".into(), number, not_after: end };
            let visit = Visit { remembered: Some((terminal, Timestamp(END.0 + 1))), ..sample::visit(lang) };
            pages.push((name.to_owned(), render(&sample::portal(), &visit, Barrier::None).expect("a page")));
        }
        pages
    }

    #[test]
    fn a_browser_that_was_here_before_is_told_which_terminal_it_is_and_that_its_certificate_ended() {
        let page = |name: &str| samples(Lang::Ja).into_iter().find(|(known, _)| known == name).expect("there").1;
        let expired = page("landing-none-expired");
        assert!(
            expired.contains("受付1")
                && expired.contains("u00000001 client0001")
                && expired.contains("期限が切れています")
        );
        assert!(
            page("landing-none-known").contains("受付1") && !page("landing-none-known").contains("期限が切れています")
        );
        assert!(!page("landing-none").contains("受付1"));
    }

    fn page_of(barrier: Barrier) -> String {
        render(&sample::portal(), &sample::visit(Lang::Ja), barrier).expect("a page")
    }

    #[test]
    fn each_page_says_what_happened_what_to_do_and_whom_to_call() {
        for barrier in barriers() {
            let html = page_of(barrier);
            assert!(html.contains(&format!("data-reason=\"{}\"", barrier.reason())));
            assert!(html.contains("href=\"tel:0120000000\"") && html.contains("平日 8:30"), "{barrier:?}");
            assert!(!numbered(Lang::Ja, &format!("landing-{}-step", barrier.reason())).is_empty(), "{barrier:?}");
        }
    }

    #[test]
    fn expired_and_revoked_are_never_mixed_up() {
        let expired = page_of(Barrier::Expired(END));
        assert!(
            expired.contains("期限切れ") && expired.contains("2027年1月21日（木）14:00") && !expired.contains("失効")
        );
        let revoked = page_of(Barrier::Revoked);
        assert!(revoked.contains("失効（無効化）") && !revoked.contains("期限切れ"));
    }

    #[test]
    fn without_a_certificate_the_page_helps_a_terminal_whose_certificate_expired() {
        let html = page_of(Barrier::None);
        assert!(
            html.contains("期限")
                && html.contains("id=\"choose-again\"")
                && html.contains("https://alt1.localhost:8443/")
        );
    }

    #[test]
    fn choosing_again_leads_to_a_name_that_was_not_asked_yet() {
        let portal = sample::portal();
        let next = |host| another_url(&portal, host).expect("there is one");
        assert_eq!(next("localhost:8443"), "https://alt1.localhost:8443");
        assert_eq!(next("alt1.localhost:8443"), "https://alt2.localhost:8443");
        assert_eq!(next("alt2.localhost:8443"), "https://localhost:8443");
        assert_eq!(next("127.0.0.1:8443"), "https://alt1.localhost:8443");
        let alone = PortalConfig { alias_urls: vec![], ..portal };
        assert_eq!(another_url(&alone, "localhost:8443"), None);
        assert_eq!(another_url(&alone, "127.0.0.1:8443"), None);
    }

    #[test]
    fn without_phone_or_aliases_the_pages_still_make_sense() {
        let bare = PortalConfig { support_phone: None, support_hours: None, alias_urls: vec![], ..sample::portal() };
        for barrier in barriers() {
            let html = render(&bare, &sample::visit(Lang::Ja), barrier).expect("a page");
            assert!(!html.contains("tel:") && !html.contains("⟦") && !html.contains("choose-again"));
        }
    }
}
