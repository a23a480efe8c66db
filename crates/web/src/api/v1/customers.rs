//! Customers, for keys of the operator's.

use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use http::StatusCode;
use serde::Serialize;
use tegata_core::api_key::ApiScope;
use tegata_core::id::CustomerId;
use utoipa::ToSchema;

use super::{Page, of, paging};
use crate::Shared;
use crate::api::operation::{Asked, Needs, Operation, json};
use crate::api::problem::Problem;
use crate::api::program::Caller;

pub(super) fn operations() -> Vec<Operation> {
    vec![Operation {
        id: "customers",
        method: "GET",
        path: "/api/v1/customers",
        summary: "Customers, by id",
        needs: Needs::Scope(ApiScope::CustomersRead),
        named: None,
        query: paging(),
        body: None,
        answer: (StatusCode::OK, of::<Customers>(), "A page of them"),
        codes: &[],
        handler: get(list),
    }]
}

/// A customer.
#[derive(Serialize, ToSchema)]
struct Customer {
    id: String,
    /// Its six digits.
    code: String,
    name: String,
    /// `clinic` or `operator`.
    kind: String,
    #[schema(format = DateTime)]
    created_at: String,
}

/// A page of customers.
#[derive(Serialize, ToSchema)]
pub(super) struct Customers {
    items: Vec<Customer>,
    /// The cursor of the next page, where there is one.
    next: Option<String>,
}

/// `GET /api/v1/customers`
async fn list(State(state): State<Shared>, caller: Caller, asked: Asked) -> Result<Response, Problem> {
    let page = Page::of(&asked, "customers")?;
    let after = page.after(|place| place.parse::<CustomerId>().ok())?;
    let all = state.authority.reader().customers(caller.actor().scope()).await;
    let mut all = all.map_err(|error| Problem::internal("listing customers", &error))?;
    all.retain(|customer| after.is_none_or(|after| customer.id > after));
    let next = page.cut(&mut all, "customers", |customer| customer.id.to_string());
    let item = |customer: tegata_core::customer::Customer| Customer {
        id: customer.id.to_string(),
        code: customer.code.to_string(),
        name: customer.name,
        kind: customer.kind.as_str().to_owned(),
        created_at: customer.created_at.to_string(),
    };
    Ok(json(StatusCode::OK, &Customers { items: all.into_iter().map(item).collect(), next }))
}
