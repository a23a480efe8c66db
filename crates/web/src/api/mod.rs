//! What programs ask of us: no cookies, no pages, no redirects. Each interface is a file of its own, with its routes.

pub(crate) mod crl;
pub(crate) mod est;
pub(crate) mod ocsp;
mod openapi;
mod operation;
pub(crate) mod orca;
mod order;
pub(crate) mod problem;
mod program;
mod published;
pub(crate) mod v1;

use axum::Router;
use axum::middleware::from_fn;
use axum::routing::MethodRouter;
use http::HeaderMap;
use http::header::ORIGIN;
use tower_http::catch_panic::CatchPanicLayer;

use crate::{Shared, headers};

/// One way in for programs.
pub(crate) struct Route {
    pub(crate) method: &'static str,
    pub(crate) path: &'static str,
    pub(crate) answer: MethodRouter<Shared>,
}

/// Every way in for programs that is on the portal's own listener.
pub(crate) fn routes() -> Vec<Route> {
    let mut routes = est::routes();
    routes.extend(v1::routes());
    routes
}

/// Those ways, with what all of their answers share.
pub(crate) fn router() -> Router<Shared> {
    let ways = routes().into_iter().fold(Router::new(), |router, route| router.route(route.path, route.answer));
    ways.method_not_allowed_fallback(problem::no_such_method)
        .layer(CatchPanicLayer::custom(problem::from_panic))
        .layer(from_fn(headers::harden))
}

/// Whether a browser says that it sends this: it holds the same certificates as the programs beside it, and other sites can make it ask.
pub(crate) fn is_marked_by_browser(headers: &HeaderMap) -> bool {
    headers.contains_key(ORIGIN) || headers.keys().any(|name| name.as_str().starts_with("sec-fetch-"))
}
