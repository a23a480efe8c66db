//! 期限の見通し: how many terminals' certificates end in which week, for three years ahead, as a drawing made here and as a table beside it.
//! The same numbers as `tegata forecast`.

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use http::{StatusCode, Uri};
use tegata_authority::Forecast;
use tegata_core::customer::Customer;
use tegata_core::forecast::{Ending, WeekNumber};

use super::{Staff, find_customer};
use crate::Shared;
use crate::error::Failure;
use crate::frame::{Frame, page};
use crate::i18n::Lang;
use crate::visit::{Visit, query};

/// Three years.
const WEEKS: u32 = 156;
/// The drawing, in its own units: how wide a week is, how high the highest bar, how much room above it for the mark of a cliff.
const STEP: i64 = 7;
const HIGH: i64 = 220;
const HEAD: i64 = 24;

#[derive(Template)]
#[template(path = "console-forecast.html")]
struct ForecastPage {
    f: Frame,
    /// Id and name, where it is about one customer.
    customer: Option<(String, String)>,
    bars: Vec<Bar>,
    ticks: Vec<Tick>,
    /// The number that the line across stands for.
    most: i64,
    rows: Vec<WeekLine>,
    total: i64,
    cliffs: i64,
}

/// A week's bar: what is not renewed below, what was fetched and not used yet on top of it.
struct Bar {
    x: i64,
    y: i64,
    height: i64,
    fetched_y: i64,
    fetched_height: i64,
    cliff: bool,
    /// What a pointer that rests on it is told.
    words: String,
}

/// The beginning of a quarter of a year on the line below.
struct Tick {
    x: i64,
    label: String,
}

struct WeekLine {
    machine: String,
    monday: String,
    terminals: i64,
    fetched: i64,
    cliff: bool,
}

/// `GET /console/forecast`
pub(crate) async fn show(
    State(state): State<Shared>,
    visit: Visit,
    Staff(login): Staff,
    uri: Uri,
) -> Result<Response, Failure> {
    let actor = &login.session.actor;
    let customer = match query(&uri, "customer") {
        Some(id) => Some(find_customer(&state, actor, id).await?),
        None => None,
    };
    let forecast = state.authority.forecast(actor, WEEKS, customer.as_ref().map(|customer| customer.id)).await;
    let forecast = forecast.map_err(|error| Failure::internal("counting what ends", &error))?;
    let f = Frame::new(&state.portal, &visit, "console-forecast", "console-forecast-title").of(&login);
    page(StatusCode::OK, &drawn(f, customer, &forecast))
}

fn drawn(f: Frame, customer: Option<Customer>, Forecast { weeks, cliffs }: &Forecast) -> ForecastPage {
    let most = weeks.iter().map(|(_, ending)| ending.terminals).max().unwrap_or(0);
    let total = weeks.iter().map(|(_, ending)| i64::from(ending.terminals)).sum();
    let lang = f.lang;
    let with_some = || weeks.iter().filter(|(_, ending)| ending.terminals > 0);
    let line = |(week, ending): &(WeekNumber, Ending)| WeekLine {
        machine: week.monday().to_string(),
        monday: day(lang, *week),
        terminals: ending.terminals.into(),
        fetched: ending.fetched.into(),
        cliff: cliffs.contains(week),
    };
    let bar = |(place, (week, ending)): (usize, &(WeekNumber, Ending))| {
        (ending.terminals > 0).then(|| bar(lang, place, (*week, *ending), most, cliffs.contains(week)))
    };
    ForecastPage {
        customer: customer.map(|customer| (customer.id.to_string(), customer.name)),
        bars: weeks.iter().enumerate().filter_map(bar).collect(),
        ticks: ticks(weeks),
        most: most.into(),
        rows: with_some().map(line).collect(),
        total,
        cliffs: i64::try_from(cliffs.len()).unwrap_or(i64::MAX),
        f,
    }
}

fn bar(lang: Lang, place: usize, (week, ending): (WeekNumber, Ending), most: u32, cliff: bool) -> Bar {
    // Rounded up: what is there is seen.
    let height = |count: u32| (i64::from(count) * HIGH + i64::from(most) - 1) / i64::from(most.max(1));
    let whole = height(ending.terminals);
    let fetched = height(ending.fetched).min(whole);
    let y = HEAD + HIGH - whole;
    let number = lang.count("console-forecast-week", i64::from(ending.terminals));
    Bar {
        x: i64::try_from(place).unwrap_or(0) * STEP,
        y: y + fetched,
        height: whole - fetched,
        fetched_y: y,
        fetched_height: fetched,
        cliff,
        words: format!("{} {number}", day(lang, week)),
    }
}

/// The weeks in which a quarter of a year begins.
fn ticks(weeks: &[(WeekNumber, Ending)]) -> Vec<Tick> {
    let quarter = |week: &WeekNumber| {
        let last = week.begins().plus_seconds(7 * 86_400 - 1).jst_date();
        (last.day() <= 7 && last.month() % 3 == 1).then(|| format!("{}/{}", last.year(), last.month()))
    };
    let found = weeks.iter().enumerate().filter_map(|(place, (week, _))| quarter(week).map(|label| (place, label)));
    found.map(|(place, label)| Tick { x: i64::try_from(place).unwrap_or(0) * STEP, label }).collect()
}

/// The Monday of a week, in words.
fn day(lang: Lang, week: WeekNumber) -> String {
    let words = lang.date_time(week.begins());
    words.trim_end_matches("00:00").trim_end_matches([' ', ',']).to_owned()
}

#[cfg(test)]
pub(crate) mod tests {
    use tegata_core::forecast;

    use super::super::tests::midori;
    use super::*;
    use crate::frame::sample;

    fn forecast(known: &[(i64, u32, u32)]) -> Forecast {
        let known: Vec<_> = known
            .iter()
            .map(|(week, terminals, fetched)| (WeekNumber(*week), Ending { terminals: *terminals, fetched: *fetched }))
            .collect();
        let weeks = forecast::weeks(WeekNumber(2969), WEEKS, &known);
        let cliffs = forecast::cliffs(&weeks);
        Forecast { weeks, cliffs }
    }

    fn made(lang: Lang, known: &[(i64, u32, u32)], customer: bool) -> ForecastPage {
        let f = sample::frame(lang, "console-forecast", "console-forecast-title");
        drawn(f, customer.then(midori), &forecast(known))
    }

    /// Samples of this page.
    pub(crate) fn samples(lang: Lang) -> Vec<(String, String)> {
        let some = [(2970, 3, 1), (2980, 9, 0), (3001, 240, 60), (3100, 12, 0)];
        let rendered = |known: &[(i64, u32, u32)], customer| made(lang, known, customer).render().expect("a page");
        vec![
            ("console-forecast".into(), rendered(&some, false)),
            ("console-forecast-customer".into(), rendered(&some[..1], true)),
            ("console-forecast-none".into(), rendered(&[], false)),
        ]
    }

    #[test]
    fn each_week_in_which_something_ends_has_a_bar_and_a_line_of_the_table() {
        let page = made(Lang::Ja, &[(2970, 3, 1), (3001, 240, 60)], false);
        assert_eq!((page.bars.len(), page.rows.len(), page.total, page.cliffs), (2, 2, 243, 1));
        let highest = &page.bars[1];
        assert_eq!((highest.fetched_y, highest.fetched_height + highest.height), (HEAD, HIGH));
        assert_eq!(highest.fetched_height * 4, HIGH, "60 of 240");
        let small = &page.bars[0];
        assert!(small.height >= 1 && small.fetched_height >= 1, "what is there is seen");
        assert_eq!(small.x, STEP);
        assert!(highest.cliff && !small.cliff);
        let html = page.render().expect("a page");
        assert_eq!(html.matches("chart__cliff").count(), 1);
        assert!(html.contains("role=\"img\"") && html.contains("aria-labelledby=\"chart-title chart-desc\""));
    }

    #[test]
    fn quarters_begin_in_january_april_july_and_october() {
        let page = made(Lang::En, &[], false);
        assert_eq!(page.ticks.len(), 12, "three years");
        assert!(page.ticks.iter().all(|tick| ["/1", "/4", "/7", "/10"].iter().any(|end| tick.label.ends_with(end))));
        assert!(page.bars.is_empty() && page.rows.is_empty());
    }
}
