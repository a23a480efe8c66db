//! 今日の状況: how far the renewals have come, what somebody should look at, and whether the service itself is well.

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use tegata_authority::RenewalCounts;
use tegata_core::audit::Row;

use super::Staff;
use crate::Shared;
use crate::error::Failure;
use crate::frame::{Frame, page};
use crate::portal::log::{Line, line};
use crate::visit::Visit;

/// Alarms that are shown.
const ALARMS: u32 = 10;
/// The width of the bar, in the units of its drawing.
const WIDTH: u64 = 1000;

#[derive(Template)]
#[template(path = "console-front.html")]
struct FrontPage {
    f: Frame,
    parts: Vec<Part>,
    total: i64,
    expired: i64,
    alarms: Vec<Line>,
    /// What is not well with the service, for its operator; empty where all is.
    problems: Vec<String>,
}

/// A part of the bar: the end of its key of words, its number, where it begins and how wide it is.
struct Part {
    word: &'static str,
    count: u32,
    x: u64,
    width: u64,
}

/// `GET /console`
pub(crate) async fn show(State(state): State<Shared>, visit: Visit, Staff(login): Staff) -> Result<Response, Failure> {
    let actor = &login.session.actor;
    let failed = |error| Failure::internal("counting renewals", &error);
    let counts = state.authority.renewals(actor).await.map_err(failed)?;
    let alarms = state.authority.alarms(actor, ALARMS).await.map_err(failed)?;
    let f = Frame::new(&state.portal, &visit, "console", "console-title").of(&login);
    page(StatusCode::OK, &front(f, counts, &alarms, (state.health)().problems))
}

fn front(f: Frame, counts: RenewalCounts, alarms: &[Row], problems: Vec<String>) -> FrontPage {
    let RenewalCounts { done, waiting, due, at_risk, expired } = counts;
    let all = [("done", done), ("waiting", waiting), ("due", due), ("at-risk", at_risk)];
    let total: u64 = all.iter().map(|(_, count)| u64::from(*count)).sum();
    let (mut parts, mut before) = (Vec::new(), 0_u64);
    for (word, count) in all {
        let x = before * WIDTH / total.max(1);
        before += u64::from(count);
        parts.push(Part { word, count, x, width: before * WIDTH / total.max(1) - x });
    }
    FrontPage {
        parts,
        total: i64::try_from(total).unwrap_or(i64::MAX),
        expired: expired.into(),
        alarms: alarms.iter().map(|row| line(f.lang, row)).collect(),
        problems,
        f,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::frame::sample;
    use crate::i18n::Lang;

    fn made(lang: Lang, counts: RenewalCounts, problems: &[&str]) -> FrontPage {
        let f = sample::frame(lang, "console", "console-title");
        front(f, counts, &[], problems.iter().map(|text| (*text).to_owned()).collect())
    }

    /// Samples of this page.
    pub(crate) fn samples(lang: Lang) -> Vec<(String, String)> {
        let counts = RenewalCounts { done: 412, waiting: 35, due: 230, at_risk: 12, expired: 3 };
        let rendered = |counts, problems: &[&str]| made(lang, counts, problems).render().expect("a page");
        vec![
            ("console".into(), rendered(counts, &[])),
            ("console-unwell".into(), rendered(counts, &["the disk is full"])),
            ("console-quiet".into(), rendered(RenewalCounts::default(), &[])),
        ]
    }

    #[test]
    fn the_parts_of_the_bar_fill_it_without_gap_or_overlap() {
        for (done, waiting, due, at_risk) in [(1, 1, 1, 0), (412, 35, 230, 12), (0, 0, 0, 7), (3, 0, 100_000, 1)] {
            let counts = RenewalCounts { done, waiting, due, at_risk, expired: 0 };
            let page = made(Lang::Ja, counts, &[]);
            let mut at = 0;
            for part in &page.parts {
                assert_eq!(part.x, at, "{counts:?}");
                at += part.width;
            }
            assert_eq!(at, WIDTH, "{counts:?}");
        }
        assert!(made(Lang::Ja, RenewalCounts::default(), &[]).parts.iter().all(|part| part.width == 0));
    }
}
