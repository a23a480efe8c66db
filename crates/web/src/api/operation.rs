//! The operations of the REST API as they are written down once: what an operation needs and takes is the very value that its requests are
//! checked against and that its description (`openapi.rs`) is made from.

use std::convert::Infallible;

use axum::extract::{FromRequestParts, Path, Request};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::MethodRouter;
use axum::{Extension, RequestPartsExt};
use http::header::{ACCEPT, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderMap, StatusCode};
use serde::Serialize;
use tegata_core::api_key::ApiScope;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::openapi::{KnownFormat, RefOr, SchemaFormat};

use super::Route;
use super::problem::{Code, Problem};
use crate::Shared;
use crate::form::Fields;

/// What somebody has to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Needs {
    /// Nothing.
    Nothing,
    /// An accepted certificate.
    Certificate,
    /// An API key beside it, whatever it is good for.
    Key,
    /// An API key with this scope.
    Scope(ApiScope),
}

/// Something in the query of an address.
#[derive(Clone)]
pub(crate) struct Parameter {
    pub(crate) name: &'static str,
    pub(crate) description: &'static str,
    pub(crate) schema: Schema,
}

/// A text of at most so many characters.
pub(crate) fn text(name: &'static str, description: &'static str, longest: usize) -> Parameter {
    let schema = ObjectBuilder::new().schema_type(Type::String).max_length(Some(longest));
    Parameter { name, description, schema: schema.into() }
}

/// A text of a certain form.
pub(crate) fn formed(name: &'static str, description: &'static str, pattern: &'static str) -> Parameter {
    let schema = ObjectBuilder::new().schema_type(Type::String).pattern(Some(pattern));
    Parameter { name, description, schema: schema.into() }
}

/// A whole number within bounds.
pub(crate) fn number(name: &'static str, description: &'static str, (least, most): (u32, u32)) -> Parameter {
    let format = Some(SchemaFormat::KnownFormat(KnownFormat::Int32));
    let schema = ObjectBuilder::new().schema_type(Type::Integer).format(format);
    Parameter { name, description, schema: schema.minimum(Some(least)).maximum(Some(most)).into() }
}

/// One operation.
pub(crate) struct Operation {
    pub(crate) id: &'static str,
    pub(crate) method: &'static str,
    pub(crate) path: &'static str,
    pub(crate) summary: &'static str,
    pub(crate) needs: Needs,
    /// What the parts of the path in braces are.
    pub(crate) named: Option<&'static str>,
    pub(crate) query: Vec<Parameter>,
    /// The schema of its body, where it takes one.
    pub(crate) body: Option<RefOr<Schema>>,
    /// The answer when all is well: its status, its schema, what it is.
    pub(crate) answer: (StatusCode, RefOr<Schema>, &'static str),
    /// What can go wrong beside what can go wrong with certificate, key and query.
    pub(crate) codes: &'static [Code],
    pub(crate) handler: MethodRouter<Shared>,
}

impl Operation {
    /// Whether what it changes is changed once however often it is asked for, under an idempotency key of the program's.
    pub(crate) fn comes_once(&self) -> bool {
        self.body.is_some() && matches!(self.needs, Needs::Key | Needs::Scope(_))
    }
}

/// What a request of an operation is checked against.
#[derive(Clone)]
pub(crate) struct Rules {
    pub(crate) needs: Needs,
    query: Vec<&'static str>,
}

impl From<Operation> for Route {
    fn from(operation: Operation) -> Self {
        let query = operation.query.iter().map(|parameter| parameter.name).collect();
        let rules = Rules { needs: operation.needs, query };
        let answer = operation.handler.layer::<_, Infallible>(from_fn(acceptable)).layer(Extension(rules));
        Self { method: operation.method, path: operation.path, answer }
    }
}

/// Answers come in one form alone; whoever cannot take that is told so before anything is done (RFC 9110 section 12.5.1).
async fn acceptable(request: Request, next: Next) -> Response {
    if takes_json(request.headers()) {
        return next.run(request).await;
    }
    Problem::new(
        Code::NotAcceptable,
        "answers are application/json, and application/problem+json where something is wrong",
    )
    .into_response()
}

fn takes_json(headers: &HeaderMap) -> bool {
    let mut all = headers.get_all(ACCEPT).iter().peekable();
    if all.peek().is_none() {
        return true;
    }
    let ranges = all.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    let mut kinds = ranges.filter_map(|range| {
        let mut parts = range.split(';').map(str::trim);
        let kind = parts.next().unwrap_or_default().to_ascii_lowercase();
        let refused = parts.any(|part| part.strip_prefix("q=").is_some_and(|q| q.parse() == Ok(0.0)));
        (!refused).then_some(kind)
    });
    kinds.any(|kind| matches!(&*kind, "*/*" | "application/*" | "application/json"))
}

/// An answer in JSON.
pub(crate) fn json(status: StatusCode, body: &impl Serialize) -> Response {
    match serde_json::to_string(body) {
        Ok(text) => (status, [(CONTENT_TYPE, "application/json")], text).into_response(),
        Err(error) => Problem::internal("writing an answer", &error).into_response(),
    }
}

/// The query of a request: names that the operation does not have are refused, and so is what cannot be read.
pub(crate) struct Asked(Fields);

impl FromRequestParts<Shared> for Asked {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Shared) -> Result<Self, Problem> {
        let known = parts.extensions.get::<Rules>().map(|rules| rules.query.clone()).unwrap_or_default();
        let fields = Fields::parse(parts.uri.query().unwrap_or_default().as_bytes());
        let fields = fields.ok_or_else(|| bad_query("it cannot be read"))?;
        let mut seen = Vec::new();
        for name in fields.names() {
            if !known.contains(&name) || seen.contains(&name) {
                return Err(bad_query("it has a name that is not known here, or one twice"));
            }
            seen.push(name);
        }
        Ok(Self(fields))
    }
}

impl Asked {
    /// A value, where there is one.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.0.names().any(|known| known == name).then(|| self.0.text(name))
    }

    /// A value of some type, where there is one.
    pub(crate) fn parsed<T: std::str::FromStr>(&self, name: &'static str) -> Result<Option<T>, Problem> {
        self.text(name).map(|text| text.parse().map_err(|_| bad_query(name))).transpose()
    }

    /// A number within bounds.
    pub(crate) fn number(&self, name: &'static str, (least, most): (u32, u32), usual: u32) -> Result<u32, Problem> {
        let number = self.parsed(name)?.unwrap_or(usual);
        (least..=most).contains(&number).then_some(number).ok_or_else(|| bad_query(name))
    }
}

/// A query that cannot be: `what` is a name of ours or says what is wrong.
pub(crate) fn bad_query(what: &str) -> Problem {
    Problem::new(Code::BadQuery, format!("the query of the address is not right: {what}"))
}

/// The part of a path in braces; what cannot be read names nothing.
pub(crate) struct Named(pub(crate) String);

impl FromRequestParts<Shared> for Named {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Shared) -> Result<Self, Problem> {
        let part = parts.extract::<Path<String>>().await;
        part.map(|Path(part)| Self(part))
            .map_err(|_| Problem::new(Code::NoSuchAddress, "nothing answers at this address"))
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn whoever_takes_json_in_some_way_is_answered() {
        let takes = |text: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, HeaderValue::from_static(text));
            takes_json(&headers)
        };
        for fine in
            ["*/*", "application/json", "text/html, Application/JSON;q=0.5", "application/*", "text/html,*/*;q=0.1"]
        {
            assert!(takes(fine), "{fine}");
        }
        for wrong in ["", "text/html", "application/xml", "application/json;q=0", "text/html, */*; q=0"] {
            assert!(!takes(wrong), "{wrong}");
        }
        assert!(takes_json(&HeaderMap::new()));
    }
}
