//! Terminals and their certificates, as far as a key reaches.

use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use http::StatusCode;
use serde::Serialize;
use tegata_authority::TerminalView;
use tegata_core::api_key::ApiScope;
use tegata_core::id::{ClientNumber, CustomerId};
use utoipa::ToSchema;

use super::certificates::Certificate;
use super::{CUSTOMER, Page, moment, of, paging};
use crate::Shared;
use crate::api::operation::{Asked, Named, Needs, Operation, formed, json, text};
use crate::api::problem::{Code, Problem};
use crate::api::program::Caller;

/// The longest scrap of a name that is looked for.
const LONGEST_SEARCH: usize = 80;
pub(super) const WHICH: &str = "The terminal's id.";

pub(super) fn operations() -> Vec<Operation> {
    let needs = Needs::Scope(ApiScope::TerminalsRead);
    let listing =
        [text("q", "Part of the name.", LONGEST_SEARCH), formed("customer", "Only of this customer.", CUSTOMER)];
    let list = Operation {
        id: "terminals",
        method: "GET",
        path: "/api/v1/terminals",
        summary: "Terminals, by customer and number",
        needs,
        named: None,
        query: paging().into_iter().chain(listing).collect(),
        body: None,
        answer: (StatusCode::OK, of::<Terminals>(), "A page of them"),
        codes: &[],
        handler: get(list),
    };
    let show = Operation {
        id: "terminal",
        method: "GET",
        path: "/api/v1/terminals/{terminal}",
        summary: "One terminal",
        needs,
        named: Some(WHICH),
        query: vec![],
        body: None,
        answer: (StatusCode::OK, of::<Terminal>(), "How it stands"),
        codes: &[Code::NoSuchTerminal],
        handler: get(show),
    };
    let certificates = Operation {
        id: "certificatesOfTerminal",
        method: "GET",
        path: "/api/v1/terminals/{terminal}/certificates",
        summary: "All certificates of a terminal, the newest end first",
        needs,
        named: Some(WHICH),
        query: vec![],
        body: None,
        answer: (StatusCode::OK, of::<Certificates>(), "All of them"),
        codes: &[Code::NoSuchTerminal],
        handler: get(certificates),
    };
    vec![list, show, certificates]
}

/// A terminal.
#[derive(Serialize, ToSchema)]
pub(super) struct Terminal {
    id: String,
    customer: String,
    /// Its number within the customer.
    client: String,
    name: String,
    /// Where it stands, as its administrator wrote it; may be empty.
    place: String,
    /// What runs on it, as its administrator wrote it; may be empty.
    system: String,
    /// When it was here last, to the hour.
    #[schema(format = DateTime)]
    seen_at: Option<String>,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(format = DateTime)]
    retired_at: Option<String>,
    /// `in-use`, `due` (can be renewed), `ends-soon`, `waiting` (a new certificate can be fetched), `fetched` (and was not used yet), `expired`,
    /// `revoked`, `empty` (never had one) or `retired`.
    state: String,
    /// Until when it can connect.
    #[schema(format = DateTime)]
    connects_until: Option<String>,
    /// The certificate of its browser that ends last, whatever it is worth.
    certificate: Option<Certificate>,
}

/// A page of terminals.
#[derive(Serialize, ToSchema)]
pub(super) struct Terminals {
    items: Vec<Terminal>,
    /// The cursor of the next page, where there is one.
    next: Option<String>,
}

/// Certificates of a terminal.
#[derive(Serialize, ToSchema)]
pub(super) struct Certificates {
    items: Vec<Certificate>,
}

impl Terminal {
    pub(super) fn of(state: &Shared, view: TerminalView) -> Self {
        let TerminalView { terminal, condition, until, last, facts, .. } = view;
        Self {
            id: terminal.id.to_string(),
            customer: terminal.customer.to_string(),
            client: terminal.client.to_string(),
            name: terminal.name,
            place: facts.place,
            system: facts.system,
            seen_at: moment(facts.seen_at),
            created_at: terminal.created_at.to_string(),
            retired_at: moment(terminal.retired_at),
            state: condition.as_str().to_owned(),
            connects_until: moment(until),
            certificate: last.map(|cert| Certificate::of(&cert, state.authority.now())),
        }
    }
}

/// `GET /api/v1/terminals`
async fn list(State(state): State<Shared>, caller: Caller, asked: Asked) -> Result<Response, Problem> {
    let page = Page::of(&asked, "terminals")?;
    let after = page.after(|place| {
        let (customer, client) = place.split_once(' ')?;
        Some((customer.parse::<CustomerId>().ok()?, client.parse::<ClientNumber>().ok()?))
    })?;
    let search = asked.text("q").unwrap_or_default();
    if search.chars().count() > LONGEST_SEARCH {
        return Err(super::bad_query("q"));
    }
    let found = (asked.parsed("customer")?, search);
    let views = state.authority.terminals_after(&caller.actor(), found, after, page.limit + 1).await;
    let mut views = views.map_err(|error| Problem::internal("listing terminals", &error))?;
    let next = page.cut(&mut views, "terminals", |view| format!("{} {}", view.terminal.customer, view.terminal.client));
    let items = views.into_iter().map(|view| Terminal::of(&state, view)).collect();
    Ok(json(StatusCode::OK, &Terminals { items, next }))
}

/// `GET /api/v1/terminals/{terminal}`
async fn show(State(state): State<Shared>, caller: Caller, Named(id): Named, _: Asked) -> Result<Response, Problem> {
    let view = find(&state, &caller, &id).await?;
    Ok(json(StatusCode::OK, &Terminal::of(&state, view)))
}

/// `GET /api/v1/terminals/{terminal}/certificates`
async fn certificates(
    State(state): State<Shared>,
    caller: Caller,
    Named(id): Named,
    _: Asked,
) -> Result<Response, Problem> {
    let terminal = find(&state, &caller, &id).await?.terminal;
    let all = state.authority.reader().certificates_of_terminal(caller.actor().scope(), terminal.id).await;
    let all = all.map_err(|error| Problem::internal("listing certificates", &error))?;
    let items = all.iter().map(|cert| Certificate::of(cert, state.authority.now())).collect();
    Ok(json(StatusCode::OK, &Certificates { items }))
}

/// The terminal of an address. One that the key does not reach is one that does not exist.
pub(super) async fn find(state: &Shared, caller: &Caller, id: &str) -> Result<TerminalView, Problem> {
    let none = || Problem::new(Code::NoSuchTerminal, "there is no such terminal within the reach of this API key");
    let id = id.parse().map_err(|_| none())?;
    let found = state.authority.terminal_by_id(&caller.actor(), id).await;
    found.map_err(|error| Problem::internal("reading a terminal", &error))?.ok_or_else(none)
}
