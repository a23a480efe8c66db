//! 操作ログ: what happened with this terminal, newest first. Open before login too; then the presented certificate alone says whose log it is.

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use http::{StatusCode, Uri};
use tegata_core::audit::{Action, Outcome, Row};

use crate::Shared;
use crate::error::Failure;
use crate::frame::{Frame, Moment, page};
use crate::gate::Admitted;
use crate::i18n::Lang;
use crate::session::LoggedIn;
use crate::visit::{Visit, query};

/// Rows on a page.
const ROWS: u32 = 50;

#[derive(Template)]
#[template(path = "log.html")]
struct LogPage {
    f: Frame,
    rows: Vec<Line>,
    /// Where the older rows are.
    older: Option<i64>,
    /// Whether this is not the first page.
    paged: bool,
}

/// A row in words.
pub(crate) struct Line {
    pub(crate) at: Moment,
    pub(crate) who: String,
    pub(crate) action: String,
    refused: bool,
    pub(crate) outcome: String,
    serial: Option<String>,
}

/// `GET /log`
pub(crate) async fn show(
    State(state): State<Shared>,
    visit: Visit,
    admitted: Admitted,
    login: Result<LoggedIn, Failure>,
    uri: Uri,
) -> Result<Response, Failure> {
    let before = query(&uri, "before").and_then(|number| number.parse().ok());
    let rows = state.authority.log(&admitted.identity, before, ROWS + 1).await;
    let rows = rows.map_err(|error| Failure::internal("reading the operation log", &error))?;
    let f = Frame::new(&state.portal, &visit, "log", "log-title").at(&admitted);
    let f = login.map_or(f.clone(), |login| f.of(&login));
    page(StatusCode::OK, &log_page(f, &rows, before.is_some()))
}

fn log_page(f: Frame, rows: &[Row], paged: bool) -> LogPage {
    let shown = &rows[..rows.len().min(ROWS as usize)];
    let older = if rows.len() > shown.len() { shown.last().map(|row| row.sequence) } else { None };
    LogPage { rows: shown.iter().map(|row| line(f.lang, row)).collect(), older, paged, f }
}

/// An action in words; its own word where a later version wrote it.
pub(crate) fn action_words(lang: Lang, word: &str) -> String {
    let known = Action::parse(word).map(|action| lang.t(&format!("log-action-{}", key_part(action.as_str()))));
    known.unwrap_or_else(|| word.to_owned())
}

pub(crate) fn line(lang: Lang, row: &Row) -> Line {
    Line {
        at: Moment::of(lang, row.at),
        who: who(lang, row),
        action: action_words(lang, &row.action),
        refused: row.outcome == Outcome::Refused.as_str(),
        outcome: lang.t(if row.outcome == Outcome::Refused.as_str() {
            "log-outcome-refused"
        } else {
            "log-outcome-done"
        }),
        serial: row.serial.map(|serial| serial.to_string()),
    }
}

/// Who acted, for people.
pub(crate) fn who(lang: Lang, row: &Row) -> String {
    match row.actor_kind.as_str() {
        "user" => row.actor_name.clone(),
        "staff" => lang.t1("log-who-staff", "name", &row.actor_name),
        "terminal" => lang.t("log-who-terminal"),
        "operator" => lang.t("log-who-operator"),
        "program" => lang.t("log-who-program"),
        "recovery-code" => lang.t("log-who-recovery-code"),
        "system" => lang.t("log-who-system"),
        _ => lang.t("log-who-visitor"),
    }
}

/// An action's word as the end of a key: a dot would begin an attribute there.
fn key_part(word: &str) -> String {
    word.replace('.', "-")
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::frame::sample;
    use tegata_core::time::Timestamp;

    fn row(sequence: i64, action: &str, outcome: &str, kind: &str) -> Row {
        Row {
            sequence,
            at: Timestamp::parse("2026-11-22T00:41:00Z").expect("valid"),
            actor_kind: kind.into(),
            actor_name: if kind == "user" { "<b>uketsuke</b>".into() } else { String::new() },
            customer: None,
            terminal: None,
            serial: (sequence % 2 == 0).then(|| "20270121ABABABABABABABABABABABAB".parse().expect("hex")),
            action: action.into(),
            outcome: outcome.into(),
            detail: String::new(),
            hash: [0; 32],
        }
    }

    /// Samples of this page.
    pub(crate) fn samples(lang: Lang) -> Vec<(String, String)> {
        let kinds = ["user", "terminal", "operator", "system", "visitor", "staff"];
        let all: Vec<Row> = Action::ALL
            .iter()
            .enumerate()
            .map(|(at, (_, word))| {
                row(at as i64 + 1, word, if at % 4 == 0 { "refused" } else { "done" }, kinds[at % 6])
            })
            .collect();
        let many: Vec<Row> = (0..51).map(|at| row(100 - at, "logout", "done", "user")).collect();
        let render = |rows: &[Row], paged| {
            log_page(sample::frame(lang, "log", "log-title"), rows, paged).render().expect("a page")
        };
        vec![
            ("log".into(), render(&all, false)),
            ("log-many".into(), render(&many, true)),
            ("log-empty".into(), render(&[], false)),
        ]
    }

    #[test]
    fn every_action_has_words_in_both_languages() {
        for (_, word) in Action::ALL {
            for lang in Lang::ALL {
                assert!(lang.knows(&format!("log-action-{}", key_part(word))), "{word} {lang:?}");
            }
        }
    }

    #[test]
    fn older_rows_begin_before_the_last_one_shown() {
        let html = &samples(Lang::Ja)[1].1;
        assert!(html.contains("href=\"/log?before=51\""));
        assert_eq!(html.matches("<tr").count(), 51, "a head and fifty rows");
    }

    #[test]
    fn names_in_the_log_are_escaped() {
        assert!(!samples(Lang::Ja)[0].1.contains("<b>uketsuke"));
    }
}
