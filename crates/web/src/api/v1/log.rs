//! The operation log, newest first, as far as a key reaches.

use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use http::StatusCode;
use serde::Serialize;
use tegata_core::api_key::ApiScope;
use tegata_core::audit;
use utoipa::ToSchema;

use super::{CUSTOMER, Page, of, paging};
use crate::Shared;
use crate::api::operation::{Asked, Needs, Operation, formed, json, text};
use crate::api::problem::Problem;
use crate::api::program::Caller;

pub(super) fn operations() -> Vec<Operation> {
    let filters = [
        formed("customer", "Only of this customer.", CUSTOMER),
        text("terminal", "Only about this terminal: its id.", 36),
        text("serial", "Only about this certificate.", 47),
        text("action", "Only of this kind, for example `certificate.issued`.", 60),
    ];
    vec![Operation {
        id: "log",
        method: "GET",
        path: "/api/v1/log",
        summary: "The operation log, newest first",
        needs: Needs::Scope(ApiScope::LogRead),
        named: None,
        query: paging().into_iter().chain(filters).collect(),
        body: None,
        answer: (StatusCode::OK, of::<Log>(), "A page of it"),
        codes: &[],
        handler: get(list),
    }]
}

/// A row of the operation log.
#[derive(Serialize, ToSchema)]
struct LogRow {
    /// Its place in the whole log.
    sequence: i64,
    #[schema(format = DateTime)]
    at: String,
    /// The kind of actor: `user`, `terminal`, `program`, `operator`, ...
    actor: String,
    /// The actor's name, where there is one.
    name: String,
    customer: Option<String>,
    terminal: Option<String>,
    serial: Option<String>,
    /// What was done, or tried.
    action: String,
    /// `done` or `refused`.
    outcome: String,
    detail: String,
    /// The hash of the chain, in hex.
    hash: String,
}

/// A page of the operation log.
#[derive(Serialize, ToSchema)]
pub(super) struct Log {
    items: Vec<LogRow>,
    /// The cursor of the next page, where there is one.
    next: Option<String>,
}

impl From<audit::Row> for LogRow {
    fn from(row: audit::Row) -> Self {
        Self {
            sequence: row.sequence,
            at: row.at.to_string(),
            actor: row.actor_kind,
            name: row.actor_name,
            customer: row.customer.map(|id| id.to_string()),
            terminal: row.terminal.map(|id| id.to_string()),
            serial: row.serial.map(|serial| serial.to_string()),
            action: row.action,
            outcome: row.outcome,
            detail: row.detail,
            hash: row.hash.iter().map(|byte| format!("{byte:02x}")).collect(),
        }
    }
}

/// `GET /api/v1/log`
async fn list(State(state): State<Shared>, caller: Caller, asked: Asked) -> Result<Response, Problem> {
    let page = Page::of(&asked, "log")?;
    let before = page.after(|place| place.parse::<i64>().ok())?;
    let action = match asked.text("action") {
        Some(word) => Some(audit::Action::parse(word).ok_or_else(|| super::bad_query("action"))?),
        None => None,
    };
    let about = (asked.parsed("customer")?, asked.parsed("terminal")?, asked.parsed("serial")?);
    let rows = state.authority.log_of(&caller.actor(), about, action, (before, page.limit + 1)).await;
    let mut rows = rows.map_err(|error| Problem::internal("reading the operation log", &error))?;
    let next = page.cut(&mut rows, "log", |row| row.sequence.to_string());
    Ok(json(StatusCode::OK, &Log { items: rows.into_iter().map(LogRow::from).collect(), next }))
}
