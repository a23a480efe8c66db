//! 端末一覧: every terminal of the customer, those that need help on top, with the day until which each can connect.

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use http::{StatusCode, Uri};
use tegata_authority::TerminalView;
use tegata_core::customer::Customer;
use tegata_core::outlook::outlook;
use tegata_core::terminal::{Condition, Terminal};
use tegata_core::time::Timestamp;

use super::Admin;
use super::list::{Asked, Order, PAGE};
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
    asked: Asked,
    columns: Vec<Column>,
    /// Every state that can be asked for: its word, and whether it is.
    states: Vec<(&'static str, bool)>,
    /// How many terminals fit what was asked for.
    found: i64,
    /// The addresses of the pages before and after, and which page this is of how many.
    before: Option<String>,
    after: Option<String>,
    pages: (usize, usize),
    /// How many cannot connect although nobody wanted that.
    locked_out: i64,
    /// Until when every terminal that can connect now can go on.
    safe_until: Option<Moment>,
}

/// A heading by which the list is ordered.
struct Column {
    key: &'static str,
    address: String,
    direction: &'static str,
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
    pub(crate) place: String,
    pub(crate) system: String,
    /// What its browser says that runs on it.
    pub(crate) seen_system: Option<String>,
    pub(crate) seen: Option<Moment>,
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
            place: view.facts.place.clone(),
            system: view.facts.system.clone(),
            seen_system: view.facts.seen_system.clone(),
            seen: view.facts.seen_at.map(|at| Moment::of(lang, at)),
        }
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
    let fields = Fields::parse(uri.query().unwrap_or_default().as_bytes()).ok_or(Failure::BadForm)?;
    let f = Frame::new(&state.portal, &visit, "admin-terminals", "admin-terminals-title").of(&login);
    let customer = &login.admitted.identity.customer;
    let file_name = |terminal: &Terminal| state.authority.rules().file_name.file_name(&customer.code, terminal);
    page(StatusCode::OK, &list(f, customer, &views, Asked::read(&fields), (state.authority.now(), &file_name)))
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
    let heads = [
        "admin-number",
        "frame-terminal",
        "admin-condition",
        "menu-end",
        "menu-days",
        "serial",
        "list-place",
        "list-system",
        "list-seen",
    ];
    let head = heads.map(|key| cell(&lang.t(key))).join(",");
    let line = |row: &RowOf| {
        let condition = lang.t(&format!("admin-condition-{}", row.condition));
        let end = row.until.as_ref().map(|end| end.machine.clone());
        let seen = row.seen.as_ref().map(|seen| seen.machine.clone());
        let (place, system) = (Some(row.place.clone()), Some(row.system.clone()));
        let rest = [Some(condition), end, row.days.clone(), row.serial.clone(), place, system, seen];
        let rest = rest.map(Option::unwrap_or_default);
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

fn list(
    f: Frame,
    customer: &Customer,
    views: &[TerminalView],
    asked: Asked,
    (now, file_name): (Timestamp, &dyn Fn(&Terminal) -> String),
) -> TerminalsPage {
    let matches = |view: &TerminalView, scrap: &str| {
        let number = format!("{}-{}", view.terminal.customer.number(), view.terminal.client.number());
        let serial = view.last.as_ref().map(|cert| cert.serial.to_string()).unwrap_or_default();
        let facts = &view.facts;
        let texts = [&view.terminal.name, &facts.place, &facts.system, &number, &serial, &file_name(&view.terminal)];
        texts.iter().any(|text| text.to_lowercase().contains(scrap))
    };
    let chosen = asked.choose(views, matches);
    let pages = chosen.len().div_ceil(PAGE).max(1);
    let asked = Asked { page: asked.page.min(pages), ..asked };
    let shown = chosen.iter().skip((asked.page - 1) * PAGE).take(PAGE);
    let standing: Vec<_> = views.iter().map(|view| (view.condition, view.until)).collect();
    let outlook = outlook(&standing);
    let column = |(order, _, key): (Order, &str, &'static str)| Column {
        key,
        address: asked.ordered(order),
        direction: asked.direction(order),
    };
    TerminalsPage {
        customer: customer.name.clone(),
        rows: shown.map(|view| RowOf::of(f.lang, view, now)).collect(),
        columns: Order::ALL.into_iter().map(column).collect(),
        states: Condition::ALL.into_iter().map(|state| (state.as_str(), asked.state == Some(state))).collect(),
        found: count(chosen.len()),
        before: (asked.page > 1).then(|| asked.paged(asked.page - 1)),
        after: (asked.page < pages).then(|| asked.paged(asked.page + 1)),
        pages: (asked.page, pages),
        locked_out: count(outlook.locked_out.len()),
        safe_until: outlook.until.map(|end| Moment::of(f.lang, end)),
        asked,
        f,
    }
}

/// A number of things, for words.
pub(crate) fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
pub(crate) mod tests {
    use tegata_core::id::{ClientNumber, CustomerId, TerminalId};
    use tegata_core::terminal::Facts;

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
        TerminalView {
            terminal,
            condition,
            recoverable: condition == Condition::Expired,
            invitable: false,
            until,
            last: None,
            facts: Facts::default(),
        }
    }

    fn rendered(lang: Lang, search: &str) -> String {
        let mut views = [
            view(2, "診察室", Condition::Expired, None),
            view(3, "受付1", Condition::EndsSoon, Some("2026-12-10")),
            view(1, "受付1", Condition::Due, Some("2027-01-21")),
            view(4, "受付1", Condition::InUse, Some("2029-01-23")),
        ];
        let now = Timestamp::parse("2026-11-24").expect("valid");
        let f = sample::frame(lang, "admin-terminals", "admin-terminals-title");
        views[3].facts = Facts {
            place: "受付1".into(),
            system: "Windows 11".into(),
            seen_at: Some(now),
            seen_system: Some("Windows".into()),
        };
        page_of(f, &views, search, now)
    }

    /// The page for these terminals; `query` is what stands in the address.
    fn page_of(f: Frame, views: &[TerminalView], query: &str, now: Timestamp) -> String {
        let customer = Customer {
            id: CustomerId::new(1).expect("valid"),
            code: "103001".parse().expect("valid"),
            name: "みどり医院".into(),
            kind: tegata_core::customer::CustomerKind::Clinic,
            created_at: Timestamp(0),
        };
        let asked = Asked::read(&Fields::parse(query.as_bytes()).expect("a query"));
        let file_name = |terminal: &Terminal| format!("103001_JP_client{:03}.p12", terminal.client.number());
        list(f, &customer, views, asked, (now, &file_name)).render().expect("a page")
    }

    /// Samples of this page.
    pub(crate) fn samples(lang: Lang) -> Vec<(String, String)> {
        vec![
            ("admin-terminals".into(), rendered(lang, "")),
            ("admin-terminals-none".into(), rendered(lang, "q=x&state=due&sort=-seen")),
        ]
    }

    #[test]
    fn the_list_says_how_each_terminal_stands_and_until_when_nothing_stops() {
        let html = rendered(Lang::Ja, "");
        for part in ["期限切れ", "期限間近", "更新できます", "使用中", "2026年12月10日", "/admin/terminals/2"]
        {
            assert!(html.contains(part), "{part}");
        }
        let (_, table) = html.split_once("<tbody>").expect("a table");
        assert!(!table.contains("失効"), "expired is not revoked");
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
        assert_eq!(
            lines[0],
            "\u{feff}\"端末番号\",\"端末名\",\"状態\",\"有効期限\",\"残り日数\",\"シリアル番号\",\"置き場所\",\"OS\",\"最後の利用\""
        );
        assert_eq!(
            lines[1],
            "\"'1-1\",\"受付1\",\"更新できます\",\"2027-01-21T05:00:00Z\",\"残り58日\",\"\",\"\",\"\",\"\""
        );
        assert_eq!(lines[2..], [""]);
    }

    #[test]
    fn a_scrap_of_name_or_number_finds_a_terminal() {
        let finds = |scrap: &str, terminal: u32| {
            let html = rendered(Lang::Ja, &format!("q={}", crate::form::encode(scrap)));
            html.contains(&format!("\"/admin/terminals/{terminal}\""))
        };
        assert!(finds("診察", 2) && !finds("診察", 3));
        assert!(finds("1-4", 4) && finds("client003", 3) && !finds("client003", 4));
        assert!(finds("windows", 4) && !finds("windows", 3));
        assert!(rendered(Lang::Ja, "q=%3Cb%3E").contains("&#60;b&#62;"));
    }

    #[test]
    fn a_long_list_comes_in_pages() {
        let name = |number: u32| format!("端末{number}");
        let views: Vec<TerminalView> =
            (1..=250).map(|number| view(number, &name(number), Condition::InUse, Some("2029-01-23"))).collect();
        let now = Timestamp::parse("2026-11-24").expect("valid");
        let shown = |query: &str| {
            let html = page_of(sample::frame(Lang::Ja, "admin-terminals", "admin-terminals-title"), &views, query, now);
            let rows = html.matches("<tr><td data-label").count();
            (rows, html.contains("id=\"page-before\""), html.contains("id=\"page-after\""))
        };
        assert_eq!(shown(""), (100, false, true));
        assert_eq!(shown("page=2"), (100, true, true));
        assert_eq!(shown("page=3"), (50, true, false));
        assert_eq!(shown("page=99"), (50, true, false), "past the end is the last page");
    }
}
