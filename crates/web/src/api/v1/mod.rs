//! The REST API, version 1: its operations, one file for each noun, and its description at `GET /api/v1/openapi.json`. Names are those of the
//! commands.

mod acts;
mod certificates;
mod customers;
mod forecast;
mod log;
mod own;
mod terminals;

use std::sync::LazyLock;

use axum::response::{IntoResponse, Response};
use axum::routing::get;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::StatusCode;
use http::header::CONTENT_TYPE;
use tegata_core::time::Timestamp;
use utoipa::ToSchema;
use utoipa::openapi::schema::{ObjectBuilder, Schema};
use utoipa::openapi::{Components, ComponentsBuilder, Ref, RefOr};

use super::Route;
use super::openapi::document;
use super::operation::{Asked, Needs, Operation, Parameter, bad_query, number, text};
use super::problem::Problem;

/// How many things a page of a list has at most, and when nothing is said.
const MOST: u32 = 200;
const USUAL: u32 = 50;
const CUSTOMER: &str = "^u[0-9]{8}$";

/// Every operation.
fn operations() -> Vec<Operation> {
    let described = Operation {
        id: "openapi",
        method: "GET",
        path: "/api/v1/openapi.json",
        summary: "This description",
        needs: Needs::Nothing,
        named: None,
        query: vec![],
        body: None,
        answer: (StatusCode::OK, RefOr::T(Schema::from(ObjectBuilder::new())), "OpenAPI 3.1"),
        codes: &[],
        handler: get(description),
    };
    let mut all = vec![described];
    all.extend(own::operations());
    all.extend(terminals::operations());
    all.extend(acts::operations());
    all.extend(certificates::operations());
    all.extend(customers::operations());
    all.extend(log::operations());
    all.extend(forecast::operations());
    all
}

pub(crate) fn routes() -> Vec<Route> {
    operations().into_iter().map(Route::from).collect()
}

/// Every schema that an operation names, and those that these name.
fn components() -> Components {
    let mut all = Vec::new();
    for add in [
        named::<own::OwnCertificate>,
        named::<own::ApiKeyView>,
        named::<own::RenewalOrder>,
        named::<own::Renewed>,
        named::<acts::NewTerminal>,
        named::<acts::NewName>,
        named::<acts::Reason>,
        named::<acts::Recovery>,
        named::<acts::NewInvitation>,
        named::<acts::RevocationOrder>,
        named::<acts::Revoked>,
        named::<acts::RecoveryCode>,
        named::<acts::Invitation>,
        named::<terminals::Terminals>,
        named::<terminals::Certificates>,
        named::<customers::Customers>,
        named::<log::Log>,
        named::<forecast::Forecast>,
    ] {
        add(&mut all);
    }
    ComponentsBuilder::new().schemas_from_iter(all).build()
}

fn named<T: ToSchema>(all: &mut Vec<(String, RefOr<Schema>)>) {
    all.push((T::name().into_owned(), T::schema()));
    T::schemas(all);
}

/// The description, as it is served and as `docs/openapi.json` keeps it.
pub(crate) static DESCRIPTION: LazyLock<String> = LazyLock::new(|| {
    let text = document(&operations(), components()).to_pretty_json();
    text.map(|text| text + "\n").unwrap_or_default()
});

/// `GET /api/v1/openapi.json`
async fn description(_: Asked) -> Result<Response, Problem> {
    Ok(([(CONTENT_TYPE, "application/json")], DESCRIPTION.as_str()).into_response())
}

/// The schema of a component.
fn of<T: ToSchema>() -> RefOr<Schema> {
    Ref::from_schema_name(T::name()).into()
}

/// What every list takes.
fn paging() -> Vec<Parameter> {
    vec![
        text("cursor", "Where to go on: `next` of the answer before.", 200),
        number("limit", "How many at most; 50 when left out.", (1, MOST)),
    ]
}

/// A page of a list as it was asked for.
struct Page {
    after: Option<String>,
    limit: u32,
}

impl Page {
    /// `kind` keeps cursors of different lists apart.
    fn of(asked: &Asked, kind: &str) -> Result<Self, Problem> {
        let read = |cursor: &str| {
            let text = String::from_utf8(URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()?;
            text.strip_prefix(kind)?.strip_prefix(':').map(str::to_owned)
        };
        let after = asked.text("cursor").map(|cursor| read(cursor).ok_or_else(|| bad_query("cursor"))).transpose()?;
        Ok(Self { after, limit: asked.number("limit", (1, MOST), USUAL)? })
    }

    /// Where the page begins, read from the cursor.
    fn after<T>(&self, read: impl Fn(&str) -> Option<T>) -> Result<Option<T>, Problem> {
        self.after.as_deref().map(|text| read(text).ok_or_else(|| bad_query("cursor"))).transpose()
    }

    /// Cuts off the one that was asked for beyond the page; where it was there, the page goes on after the last one that is left.
    fn cut<T>(&self, rows: &mut Vec<T>, kind: &str, place: impl Fn(&T) -> String) -> Option<String> {
        let limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
        if rows.len() <= limit {
            return None;
        }
        rows.truncate(limit);
        rows.last().map(|last| URL_SAFE_NO_PAD.encode(format!("{kind}:{}", place(last))))
    }
}

fn moment(at: Option<Timestamp>) -> Option<String> {
    at.map(|at| at.to_string())
}
