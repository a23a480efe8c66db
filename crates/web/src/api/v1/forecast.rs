//! How many terminals' certificates end in which week, for keys of the operator's.

use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use http::StatusCode;
use serde::Serialize;
use tegata_core::api_key::ApiScope;
use tegata_core::forecast::{WeekNumber, cliffs, horizon, weeks};
use utoipa::ToSchema;

use super::{CUSTOMER, of};
use crate::Shared;
use crate::api::operation::{Asked, Needs, Operation, formed, json, number};
use crate::api::problem::Problem;
use crate::api::program::Caller;

/// Three years.
const WEEKS: u32 = 158;
const BOUNDS: (u32, u32) = (1, 520);

pub(super) fn operations() -> Vec<Operation> {
    vec![Operation {
        id: "forecast",
        method: "GET",
        path: "/api/v1/forecast",
        summary: "How many terminals' certificates end in which week",
        needs: Needs::Scope(ApiScope::ForecastRead),
        named: None,
        query: vec![
            number("weeks", "How many weeks to look ahead, this one included; 158 when left out.", BOUNDS),
            formed("customer", "Only terminals of this customer.", CUSTOMER),
        ],
        body: None,
        answer: (StatusCode::OK, of::<Forecast>(), "Every week, also those in which nothing ends"),
        codes: &[],
        handler: get(show),
    }]
}

/// A week.
#[derive(Serialize, ToSchema)]
struct Week {
    #[schema(format = Date)]
    monday: String,
    /// How many terminals' certificates end.
    terminals: u32,
    /// Of how many of these a newer one was fetched and not used yet.
    fetched: u32,
    /// Whether many end at once.
    cliff: bool,
}

/// The weeks ahead.
#[derive(Serialize, ToSchema)]
pub(super) struct Forecast {
    weeks: Vec<Week>,
}

/// `GET /api/v1/forecast`
async fn show(State(state): State<Shared>, caller: Caller, asked: Asked) -> Result<Response, Problem> {
    let count = asked.number("weeks", BOUNDS, WEEKS)?;
    let now = state.authority.now();
    let first = WeekNumber::of(now);
    let (scope, profile) = (caller.actor().scope(), &state.authority.rules().terminal_profile.name);
    let between = (now, horizon(first, count));
    let known = state.authority.reader().endings(scope, profile, between, asked.parsed("customer")?).await;
    let known = known.map_err(|error| Problem::internal("forecasting", &error))?;
    let all = weeks(first, count, &known);
    let steep = cliffs(&all);
    let week = |(week, ending): &(WeekNumber, tegata_core::forecast::Ending)| Week {
        monday: week.monday().to_string(),
        terminals: ending.terminals,
        fetched: ending.fetched,
        cliff: steep.contains(week),
    };
    Ok(json(StatusCode::OK, &Forecast { weeks: all.iter().map(week).collect() }))
}
