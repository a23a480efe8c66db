//! 操作ログ of the whole customer, for its administrators: by terminal, person, day and category, and as a table for spreadsheets with the columns of
//! the ministry's example (利用者ID, 利用者, 日時, 区分, 操作). On top: what the last verification of the log found.

use std::collections::HashMap;

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use http::{StatusCode, Uri};
use tegata_authority::LogFilter;
use tegata_authority::verification::Verification;
use tegata_core::audit::{Category, Outcome, Row, category};
use tegata_core::csv;
use tegata_core::id::TerminalId;
use tegata_core::terminal::Terminal;
use tegata_core::time::{Days, Timestamp};

use super::Admin;
use crate::Shared;
use crate::error::Failure;
use crate::form::{Fields, encoded};
use crate::frame::{Frame, Moment, page};
use crate::i18n::Lang;
use crate::portal::bundle::attachment;
use crate::portal::log::{self, action_words};
use crate::session::LoggedIn;
use crate::visit::Visit;

/// Rows on a page.
const ROWS: u32 = 50;
/// Rows of a table: far more than a spreadsheet is read with, and no more than fit into memory.
const TABLE_ROWS: u32 = 50_000;
/// The longest name that is looked for.
const LONGEST_NAME: usize = 64;

type Terminals = HashMap<TerminalId, Terminal>;

#[derive(Template)]
#[template(path = "admin-log.html")]
struct LogPage {
    f: Frame,
    verdict: Verdict,
    asked: Asked,
    /// Number, name, and whether it is chosen.
    terminals: Vec<(u32, String, bool)>,
    /// Word, words, and whether it is chosen.
    categories: Vec<(&'static str, String, bool)>,
    /// Whether a day could not be read.
    wrong: bool,
    rows: Vec<Line>,
    newest: Option<String>,
    older: Option<String>,
    table: String,
}

/// What the last verification found, in words.
struct Verdict {
    good: bool,
    text: String,
}

/// What somebody asked for, as it was typed.
#[derive(Clone, Debug, Default)]
struct Asked {
    terminal: String,
    person: String,
    category: String,
    from: String,
    to: String,
    before: Option<i64>,
}

struct Line {
    at: Moment,
    who: String,
    category: String,
    action: String,
    refused: bool,
    outcome: String,
    terminal: String,
    serial: Option<String>,
}

impl Asked {
    fn read(uri: &Uri) -> Result<Self, Failure> {
        let fields = Fields::parse(uri.query().unwrap_or_default().as_bytes()).ok_or(Failure::BadForm)?;
        let text = |name: &str| fields.text(name).trim().chars().take(LONGEST_NAME).collect::<String>();
        Ok(Self {
            terminal: text("terminal"),
            person: text("person"),
            category: text("category"),
            from: text("from"),
            to: text("to"),
            before: text("before").parse().ok(),
        })
    }

    /// The filter; `None` where a day is not one. A terminal or a category that is not there is one that nothing was written about.
    fn filter(&self, terminals: &Terminals) -> Option<LogFilter> {
        let day = |text: &str| match text {
            "" => Some(None),
            // No row is from before the service or from a year of five digits.
            text if text.len() == 10 && ("1970-01-02".."9000").contains(&text) => {
                Timestamp::parse(text).ok().map(|day| Some(day.jst_midnight()))
            }
            _ => None,
        };
        let number = self.terminal.parse().ok();
        let terminal = terminals.values().find(|terminal| Some(terminal.client.number()) == number);
        Some(LogFilter {
            terminal: terminal.map(|terminal| terminal.id),
            person: Some(self.person.clone()).filter(|person| !person.is_empty()),
            category: Category::parse(&self.category),
            from: day(&self.from)?,
            before: day(&self.to)?.map(|day| day.plus_days(Days(1))),
        })
    }

    /// The same question at an address, about rows before another one.
    fn link(&self, path: &str, before: Option<i64>) -> String {
        let before = before.map(|before| before.to_string()).unwrap_or_default();
        let fields = [
            ("terminal", &self.terminal),
            ("person", &self.person),
            ("category", &self.category),
            ("from", &self.from),
            ("to", &self.to),
            ("before", &before),
        ];
        let fields = fields.iter().filter(|(_, value)| !value.is_empty());
        let pairs: Vec<String> = fields.map(|(name, value)| format!("{name}={}", encoded(value))).collect();
        if pairs.is_empty() { path.to_owned() } else { format!("{path}?{}", pairs.join("&")) }
    }
}

/// The rows that are asked for, with the terminals that they name; no rows where a day is not one.
async fn rows(
    state: &Shared,
    login: &LoggedIn,
    asked: &Asked,
    limit: u32,
) -> Result<(Terminals, Option<Vec<Row>>), Failure> {
    let failed = |error| Failure::internal("reading the operation log", &error);
    let terminals = state.authority.customer_terminals(&login.session).await.map_err(failed)?;
    let Some(filter) = asked.filter(&terminals) else { return Ok((terminals, None)) };
    let rows = state.authority.customer_log(&login.session, filter, asked.before, limit).await.map_err(failed)?;
    Ok((terminals, Some(rows)))
}

/// `GET /admin/log`
pub(crate) async fn show(
    State(state): State<Shared>,
    visit: Visit,
    Admin(login): Admin,
    uri: Uri,
) -> Result<Response, Failure> {
    let asked = Asked::read(&uri)?;
    let (terminals, rows) = rows(&state, &login, &asked, ROWS + 1).await?;
    let status = if rows.is_some() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    let f = Frame::new(&state.portal, &visit, "admin-log", "admin-log-title").of(&login);
    let verdict = verdict(f.lang, state.authority.last_verification().as_ref());
    page(status, &log_page(f, verdict, asked, &terminals, rows.as_deref()))
}

/// `GET /admin/log.csv`
pub(crate) async fn table(
    State(state): State<Shared>,
    visit: Visit,
    Admin(login): Admin,
    uri: Uri,
) -> Result<Response, Failure> {
    let asked = Asked { before: None, ..Asked::read(&uri)? };
    let (terminals, rows) = rows(&state, &login, &asked, TABLE_ROWS).await?;
    let rows = rows.ok_or(Failure::BadForm)?;
    let name = format!("log-{}-{}.csv", login.session.customer, state.authority.now().jst_date());
    Ok(attachment("text/csv; charset=utf-8", &name, spreadsheet(visit.lang, &terminals, &rows).into_bytes()))
}

fn log_page(f: Frame, verdict: Verdict, asked: Asked, terminals: &Terminals, rows: Option<&[Row]>) -> LogPage {
    let lang = f.lang;
    let wrong = rows.is_none();
    let rows = rows.unwrap_or_default();
    let shown = &rows[..rows.len().min(ROWS as usize)];
    let older = shown.last().filter(|_| rows.len() > shown.len());
    let mut choices: Vec<_> = terminals.values().map(|one| (one.client.number(), one.name.clone())).collect();
    choices.sort_unstable();
    let is_chosen = |number: &u32| number.to_string() == asked.terminal;
    let category = |(_, word): &(Category, &'static str)| (*word, category_words(lang, word), asked.category == *word);
    LogPage {
        verdict,
        terminals: choices.into_iter().map(|(number, name)| (number, name, is_chosen(&number))).collect(),
        categories: Category::ALL.iter().map(category).collect(),
        wrong,
        rows: shown.iter().map(|row| line(lang, terminals, row)).collect(),
        newest: asked.before.map(|_| asked.link("/admin/log", None)),
        older: older.map(|row| asked.link("/admin/log", Some(row.sequence))),
        table: asked.link("/admin/log.csv", None),
        asked,
        f,
    }
}

/// In plain words, without a number that would tell of other customers.
fn verdict(lang: Lang, last: Option<&Verification>) -> Verdict {
    let Some(Verification { at, found }) = last else {
        return Verdict { good: true, text: lang.t("admin-log-unverified") };
    };
    let at = lang.date_time(*at);
    match found {
        Ok(Some((_, until))) => {
            let until = lang.date_time(*until);
            Verdict { good: true, text: lang.t2("admin-log-intact-signed", "at", at, "until", until) }
        }
        Ok(None) => Verdict { good: true, text: lang.t1("admin-log-intact", "at", at) },
        Err(_) => Verdict { good: false, text: lang.t1("admin-log-broken", "at", at) },
    }
}

fn category_words(lang: Lang, word: &str) -> String {
    lang.t(&format!("log-category-{word}"))
}

fn who(lang: Lang, row: &Row) -> String {
    match row.actor_kind.as_str() {
        "terminal" => lang.t("admin-log-who-terminal"),
        "program" => format!("{}: {}", lang.t("log-who-program"), row.actor_name),
        _ => log::who(lang, row),
    }
}

fn outcome(lang: Lang, row: &Row) -> (bool, String) {
    let refused = row.outcome == Outcome::Refused.as_str();
    (refused, lang.t(if refused { "log-outcome-refused" } else { "log-outcome-done" }))
}

fn line(lang: Lang, terminals: &Terminals, row: &Row) -> Line {
    let (refused, outcome) = outcome(lang, row);
    let terminal = row.terminal.and_then(|id| terminals.get(&id));
    Line {
        at: Moment::of(lang, row.at),
        who: who(lang, row),
        category: category_words(lang, category(&row.action).as_str()),
        action: action_words(lang, &row.action),
        refused,
        outcome,
        terminal: terminal.map(|terminal| terminal.name.clone()).unwrap_or_default(),
        serial: row.serial.map(|serial| serial.to_string()),
    }
}

fn spreadsheet(lang: Lang, terminals: &Terminals, rows: &[Row]) -> String {
    let heads = [
        "admin-log-user-id",
        "admin-log-user",
        "log-when",
        "admin-log-category",
        "log-what",
        "log-outcome",
        "admin-number",
        "frame-terminal",
        "serial",
        "admin-log-detail",
        "admin-log-sequence",
    ];
    let mut text = format!("{}{}", csv::MARK, csv::line(heads.map(|key| lang.t(key))));
    for row in rows {
        let terminal = row.terminal.and_then(|id| terminals.get(&id));
        let number = terminal.map(|one| format!("{}-{}", one.customer.number(), one.client.number()));
        let cells = [
            if ["user", "staff", "program"].contains(&&*row.actor_kind) {
                row.actor_name.clone()
            } else {
                String::new()
            },
            who(lang, row),
            row.at.jst_text(),
            category_words(lang, category(&row.action).as_str()),
            action_words(lang, &row.action),
            outcome(lang, row).1,
            number.unwrap_or_default(),
            terminal.map(|terminal| terminal.name.clone()).unwrap_or_default(),
            row.serial.map(|serial| serial.to_string()).unwrap_or_default(),
            row.detail.clone(),
            row.sequence.to_string(),
        ];
        text.push_str(&csv::line(cells));
    }
    text
}

#[cfg(test)]
pub(crate) mod tests {
    use tegata_authority::verification::Contradiction;
    use tegata_core::audit::Action;
    use tegata_core::id::{ClientNumber, CustomerId};

    use super::*;
    use crate::frame::sample;

    fn terminals() -> Terminals {
        let terminal = |number: u32, name: &str| Terminal {
            id: TerminalId::from_random([u8::try_from(number).expect("small"); 16]),
            customer: CustomerId::new(1).expect("valid"),
            client: ClientNumber::new(number).expect("valid"),
            name: name.into(),
            created_at: Timestamp(0),
            retired_at: None,
            blocked_at: None,
            deferred_on: None,
        };
        [terminal(1, "受付1"), terminal(2, "<b>診察室</b>")].into_iter().map(|one| (one.id, one)).collect()
    }

    fn row(sequence: i64, action: &str, kind: &str, of: u8) -> Row {
        Row {
            sequence,
            at: Timestamp::parse("2026-11-22T00:41:00Z").expect("valid"),
            actor_kind: kind.into(),
            actor_name: if kind == "user" { "=uketsuke".into() } else { String::new() },
            customer: CustomerId::new(1),
            terminal: Some(TerminalId::from_random([of; 16])),
            serial: (sequence % 2 == 0).then(|| "20270121ABABABABABABABABABABABAB".parse().expect("hex")),
            action: action.into(),
            outcome: if sequence % 5 == 0 { "refused" } else { "done" }.into(),
            detail: "パソコンの故障".into(),
            hash: [0; 32],
        }
    }

    fn all() -> Vec<Row> {
        let kinds = ["user", "terminal", "operator", "system", "visitor", "recovery-code", "staff", "program"];
        let row = |(at, (_, word)): (usize, &(Action, &str))| row(at as i64 + 1, word, kinds[at % 8], at as u8 % 3);
        Action::ALL.iter().enumerate().map(row).collect()
    }

    fn rendered(lang: Lang, query: &str, rows: Option<&[Row]>, last: Option<&Verification>) -> String {
        let uri: Uri = format!("/admin/log?{query}").parse().expect("an address");
        let (f, asked) = (sample::frame(lang, "admin-log", "admin-log-title"), Asked::read(&uri).expect("a question"));
        log_page(f, verdict(lang, last), asked, &terminals(), rows).render().expect("a page")
    }

    fn verified(broken: bool) -> Verification {
        let at = Timestamp::parse("2026-11-24T20:00:00Z").expect("valid");
        let found = if broken { Err(Contradiction::NoBeginning) } else { Ok(Some((120, at.plus_seconds(-600)))) };
        Verification { at, found }
    }

    /// Samples of this page.
    pub(crate) fn samples(lang: Lang) -> Vec<(String, String)> {
        let many: Vec<Row> = (0..51).map(|at| row(100 - at, "logout", "user", 1)).collect();
        vec![
            ("admin-log".into(), rendered(lang, "", Some(&all()), Some(&verified(false)))),
            ("admin-log-many".into(), rendered(lang, "terminal=1&person=jimu&before=200", Some(&many), None)),
            ("admin-log-none".into(), rendered(lang, "category=login", Some(&[]), Some(&verified(true)))),
            ("admin-log-wrong".into(), rendered(lang, "from=yesterday", None, None)),
        ]
    }

    #[test]
    fn nobody_who_acted_is_taken_for_a_visitor() {
        let named = |kind: &str| who(Lang::Ja, &Row { actor_name: "un-ei".into(), ..row(1, "logout", kind, 1) });
        assert!(named("staff").contains("un-ei") && named("program").contains("un-ei"));
        let visitor = named("visitor");
        for kind in ["user", "staff", "program", "terminal", "operator", "recovery-code", "system"] {
            assert_ne!(named(kind), visitor, "{kind}");
        }
    }

    #[test]
    fn a_question_is_kept_in_every_link_and_field() {
        let html = &samples(Lang::Ja)[1].1;
        assert!(html.contains("href=\"/admin/log?terminal=1&#38;person=jimu&#38;before=51\""), "{html}");
        assert!(html.contains("href=\"/admin/log.csv?terminal=1&#38;person=jimu\""));
        assert!(html.contains("href=\"/admin/log?terminal=1&#38;person=jimu\""), "to the newest");
        assert!(html.contains("value=\"jimu\"") && html.contains("<option value=\"1\" selected"));
        let asked = Asked { person: "受付 & a=b".into(), ..Asked::default() };
        assert_eq!(asked.link("/x", None), "/x?person=%E5%8F%97%E4%BB%98%20%26%20a%3Db");
    }

    #[test]
    fn days_are_days_of_japan_and_the_last_one_is_whole() {
        let asked = |from: &str, to: &str| Asked { from: from.into(), to: to.into(), ..Asked::default() };
        let filter = asked("2026-11-24", "2026-11-24").filter(&terminals()).expect("a day");
        let at = |text| Timestamp::parse(text).ok();
        assert_eq!((filter.from, filter.before), (at("2026-11-23T15:00:00Z"), at("2026-11-24T15:00:00Z")));
        for wrong in ["yesterday", "9999-12-31", "0001-01-01", "2026-13-01", "24.11.2026", "2026-11-24T00:00:00Z"] {
            assert!(asked(wrong, "").filter(&terminals()).is_none(), "{wrong}");
        }
        assert!(samples(Lang::Ja)[3].1.contains("value=\"yesterday\""), "what was typed stays");
    }

    #[test]
    fn the_verdict_is_in_plain_words_and_tells_nothing_of_others() {
        let text = |last: Option<&Verification>| verdict(Lang::Ja, last).text;
        assert!(text(Some(&verified(false))).contains("2026年11月25日"));
        assert!(!verdict(Lang::Ja, Some(&verified(true))).good);
        assert!(!text(Some(&verified(true))).contains("CA"), "{}", text(Some(&verified(true))));
        assert!(verdict(Lang::Ja, None).good);
    }

    #[test]
    fn a_spreadsheet_has_the_columns_of_the_ministry_and_no_formula() {
        let text = spreadsheet(Lang::Ja, &terminals(), &[row(2, "renewal.requested", "user", 1)]);
        let lines: Vec<&str> = text.split("\r\n").collect();
        assert!(lines[0].starts_with("\u{feff}\"利用者ID\",\"利用者\",\"日時\",\"区分\",\"操作\",\"結果\""), "{text}");
        assert_eq!(
            lines[1],
            "\"'=uketsuke\",\"'=uketsuke\",\"2026-11-22 09:41\",\"証明書\",\"証明書の更新\",\"完了\",\"'1-1\",\"受付1\",\
             \"20270121ABABABABABABABABABABABAB\",\"パソコンの故障\",\"2\""
        );
        assert_eq!(lines[2..], [""]);
    }

    #[test]
    fn names_are_escaped() {
        assert!(!samples(Lang::Ja)[0].1.contains("<b>診察室"));
    }
}
