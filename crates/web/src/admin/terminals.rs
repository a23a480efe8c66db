//! 端末一覧: every terminal of the customer, those that need help on top, with the day until which each can connect.

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use http::{StatusCode, Uri};
use tegata_authority::TerminalView;
use tegata_core::terminal::Condition;
use tegata_core::time::Timestamp;

use super::Admin;
use crate::Shared;
use crate::error::Failure;
use crate::form::Fields;
use crate::frame::{Frame, Moment, page};
use crate::i18n::Lang;
use crate::portal::bundle::attachment;
use crate::visit::Visit;

#[derive(Template)]
#[template(path = "admin-terminals.html")]
struct TerminalsPage {
    f: Frame,
    customer: String,
    rows: Vec<RowOf>,
    /// What was searched for.
    search: String,
    /// How many terminals there are in all.
    all: i64,
    /// How many cannot connect although nobody wanted that.
    locked_out: i64,
    /// Until when every terminal that can connect now can go on.
    safe_until: Option<Moment>,
}

/// A line of the list.
#[derive(Clone)]
pub(crate) struct RowOf {
    pub(crate) client: i64,
    pub(crate) name: String,
    pub(crate) number: String,
    pub(crate) condition: &'static str,
    /// The class of its mark.
    pub(crate) state: &'static str,
    pub(crate) until: Option<Moment>,
    /// How many days are left, in words.
    pub(crate) days: Option<String>,
    pub(crate) serial: Option<String>,
}

impl RowOf {
    /// In a language's words, as it stands now.
    pub(crate) fn of(lang: Lang, view: &TerminalView, now: Timestamp) -> Self {
        let past = view.last.as_ref().filter(|_| view.condition == Condition::Expired).map(|cert| cert.not_after);
        let end = view.until.or(past);
        Self {
            client: i64::from(view.terminal.client.number()),
            name: view.terminal.name.clone(),
            number: format!("{}-{}", view.terminal.customer.number(), view.terminal.client.number()),
            condition: view.condition.as_str(),
            state: state(view.condition),
            until: end.map(|end| Moment::of(lang, end)),
            days: view.until.map(|end| lang.count("days-left", end.jst_days_from(now).0)),
            serial: view.last.as_ref().map(|cert| cert.serial.to_string()),
        }
    }

    /// Whether a scrap of its name, number or serial is what somebody looks for.
    fn matches(&self, scrap: &str) -> bool {
        let serial = self.serial.as_deref().unwrap_or_default();
        [&self.name, &self.number, serial].iter().any(|text| text.to_lowercase().contains(scrap))
    }
}

/// The mark that goes with a condition.
fn state(condition: Condition) -> &'static str {
    match condition {
        Condition::Expired => "expired",
        Condition::Revoked | Condition::Retired | Condition::Empty => "revoked",
        Condition::EndsSoon => "urgent",
        Condition::Due | Condition::Waiting | Condition::Fetched => "due",
        Condition::InUse => "valid",
    }
}

/// `GET /admin/terminals`
pub(crate) async fn show(
    State(state): State<Shared>,
    visit: Visit,
    Admin(login): Admin,
    uri: Uri,
) -> Result<Response, Failure> {
    let views = state.authority.terminals(&login.session).await;
    let views = views.map_err(|error| Failure::internal("listing terminals", &error))?;
    let asked = Fields::parse(uri.query().unwrap_or_default().as_bytes()).ok_or(Failure::BadForm)?;
    let search: String = asked.text("q").trim().chars().take(80).collect();
    let f = Frame::new(&state.portal, &visit, "admin-terminals", "admin-terminals-title").of(&login);
    let customer = login.admitted.identity.customer.name.clone();
    page(StatusCode::OK, &list(f, customer, &views, search, state.authority.now()))
}

/// `GET /admin/terminals.csv`
pub(crate) async fn table(State(state): State<Shared>, visit: Visit, Admin(login): Admin) -> Result<Response, Failure> {
    let views = state.authority.terminals(&login.session).await;
    let views = views.map_err(|error| Failure::internal("listing terminals", &error))?;
    let now = state.authority.now();
    let rows: Vec<RowOf> = views.iter().map(|view| RowOf::of(visit.lang, view, now)).collect();
    let name = format!("terminals-{}-{}.csv", login.session.customer, now.jst_date());
    Ok(attachment("text/csv; charset=utf-8", &name, csv(visit.lang, &rows).into_bytes()))
}

/// RFC 4180, with a byte order mark, so that spreadsheets read it as it is.
fn csv(lang: Lang, rows: &[RowOf]) -> String {
    let heads = ["admin-number", "frame-terminal", "admin-condition", "menu-end", "menu-days", "serial"];
    let head = heads.map(|key| cell(&lang.t(key))).join(",");
    let line = |row: &RowOf| {
        let condition = lang.t(&format!("admin-condition-{}", row.condition));
        let end = row.until.as_ref().map(|end| end.machine.clone());
        let rest = [Some(condition), end, row.days.clone(), row.serial.clone()].map(Option::unwrap_or_default);
        [&[row.number.clone(), row.name.clone()][..], &rest]
            .concat()
            .iter()
            .map(|text| cell(text))
            .collect::<Vec<_>>()
            .join(",")
    };
    let lines = std::iter::once(head).chain(rows.iter().map(line));
    lines.fold("\u{feff}".to_owned(), |all, line| all + &line + "\r\n")
}

/// A cell between quotes. What a spreadsheet would take for a formula is kept from that by an apostrophe; `1-2` would be taken for a date, so a
/// terminal's number has one too.
fn cell(text: &str) -> String {
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let looks_like_a_date = text.split('-').count() == 2 && text.bytes().all(|b| b.is_ascii_digit() || b == b'-');
    let guard = if formula || looks_like_a_date { "'" } else { "" };
    format!("\"{guard}{}\"", text.replace('"', "\"\""))
}

fn list(f: Frame, customer: String, views: &[TerminalView], search: String, now: Timestamp) -> TerminalsPage {
    let scrap = search.to_lowercase();
    let rows = views.iter().map(|view| RowOf::of(f.lang, view, now)).filter(|row| row.matches(&scrap)).collect();
    let count = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
    let first_end = views.iter().filter_map(|view| view.until).min();
    TerminalsPage {
        customer,
        rows,
        search,
        all: count(views.len()),
        locked_out: count(views.iter().filter(|view| view.condition == Condition::Expired).count()),
        safe_until: first_end.map(|end| Moment::of(f.lang, end)),
        f,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use tegata_core::id::{ClientNumber, CustomerId, TerminalId};
    use tegata_core::terminal::Terminal;

    use super::*;
    use crate::frame::sample;

    /// A terminal of the samples.
    pub(crate) fn view(number: u32, name: &str, condition: Condition, until: Option<&str>) -> TerminalView {
        let terminal = Terminal {
            id: TerminalId::from_random([1; 16]),
            customer: CustomerId::new(1).expect("valid"),
            client: ClientNumber::new(number).expect("valid"),
            name: name.into(),
            created_at: Timestamp(0),
            retired_at: None,
            blocked_at: None,
            deferred_on: None,
        };
        let until = until.map(|day| Timestamp::parse(day).expect("valid"));
        TerminalView { terminal, condition, recoverable: condition == Condition::Expired, until, last: None }
    }

    fn rendered(lang: Lang, search: &str) -> String {
        let views = [
            view(2, "診察室", Condition::Expired, None),
            view(3, "受付1", Condition::EndsSoon, Some("2026-12-10")),
            view(1, "受付1", Condition::Due, Some("2027-01-21")),
            view(4, "受付1", Condition::InUse, Some("2029-01-23")),
        ];
        let now = Timestamp::parse("2026-11-24").expect("valid");
        let f = sample::frame(lang, "admin-terminals", "admin-terminals-title");
        list(f, "みどり医院".into(), &views, search.into(), now).render().expect("a page")
    }

    /// Samples of this page.
    pub(crate) fn samples(lang: Lang) -> Vec<(String, String)> {
        vec![("admin-terminals".into(), rendered(lang, "")), ("admin-terminals-none".into(), rendered(lang, "x"))]
    }

    #[test]
    fn the_list_says_how_each_terminal_stands_and_until_when_nothing_stops() {
        let html = rendered(Lang::Ja, "");
        for part in ["期限切れ", "期限間近", "更新できます", "使用中", "2026年12月10日", "/admin/terminals/2"]
        {
            assert!(html.contains(part), "{part}");
        }
        assert!(!html.contains("失効"), "expired is not revoked");
    }

    #[test]
    fn a_spreadsheet_gets_text_and_never_a_formula() {
        assert_eq!(cell("=1+1"), "\"'=1+1\"");
        assert_eq!(cell("受付\"1\""), "\"受付\"\"1\"\"\"");
        assert_eq!((cell("1-2"), cell("")), ("\"'1-2\"".to_owned(), "\"\"".to_owned()));
        let now = Timestamp::parse("2026-11-24").expect("valid");
        let row = RowOf::of(Lang::Ja, &view(1, "受付1", Condition::Due, Some("2027-01-21")), now);
        let text = csv(Lang::Ja, &[row]);
        let lines: Vec<&str> = text.split("\r\n").collect();
        assert_eq!(lines[0], "\u{feff}\"端末番号\",\"端末名\",\"状態\",\"有効期限\",\"残り日数\",\"シリアル番号\"");
        assert_eq!(lines[1], "\"'1-1\",\"受付1\",\"更新できます\",\"2027-01-21T05:00:00Z\",\"残り58日\",\"\"");
        assert_eq!(lines[2..], [""]);
    }

    #[test]
    fn a_scrap_of_name_or_number_finds_a_terminal() {
        assert!(rendered(Lang::Ja, "診察").contains("/admin/terminals/2"));
        assert!(!rendered(Lang::Ja, "診察").contains("/admin/terminals/3"));
        assert!(rendered(Lang::Ja, "1-4").contains("/admin/terminals/4"));
        assert!(rendered(Lang::Ja, "<b>").contains("&#60;b&#62;"));
    }
}
