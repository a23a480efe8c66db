//! Everything a browser or a program asks of us: the portal, its sessions, its words, EST, the protocol of ORCA's programs, the status of
//! certificates. Reads the [`Peer`](tegata_core::peer::Peer) that the listener put into each request, asks `tegata_authority`, and answers
//! with pages that work without JavaScript. Decides nothing about certificates, begins no write, signs nothing.

mod admin;
mod api;
mod assets;
mod console;
mod cookie;
mod csrf;
mod error;
mod form;
mod frame;
mod gate;
mod headers;
mod health;
mod i18n;
mod policy;
mod portal;
mod remembered;
mod session;
mod visit;

use std::sync::Arc;

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{MethodRouter, get, post};
use tegata_authority::Authority;
use tegata_core::secret::{Entropy, Secret};
use tower_http::catch_panic::CatchPanicLayer;

pub use api::ocsp::{StatusState, ca_certificate_path, status_routes, status_service};
pub use api::orca::{OrcaState, orca_router, program_refusal, program_unserved};
pub use health::{Health, HealthCheck, health_router};
pub use policy::{BrowserPolicy, PolicyFile};
pub use visit::system_of;

/// What the pages are made from.
pub struct WebState {
    /// Who may get which certificate.
    pub authority: Authority,
    /// What the operator configured.
    pub portal: PortalConfig,
    /// The key of the form tokens; a new one at each start is fine, open forms then ask to be sent again.
    pub csrf_key: Secret<[u8; 32]>,
    /// Chance for visitors' numbers and log ids.
    pub entropy: Arc<dyn Entropy>,
    /// Whether the process and what it stands on are well.
    pub health: HealthCheck,
}

pub(crate) type Shared = Arc<WebState>;

/// What the operator configured about the pages.
#[derive(Clone, Debug)]
pub struct PortalConfig {
    /// The name on every page.
    pub service_name: String,
    /// Who runs the service.
    pub operator_name: String,
    /// Whom to call.
    pub support_phone: Option<String>,
    /// When somebody answers.
    pub support_hours: Option<String>,
    /// The address people type, without a path.
    pub own_url: String,
    /// Other names of the same server: a browser that asks there asks for a certificate anew.
    pub alias_urls: Vec<String>,
    /// The tiles of the master menu.
    pub applications: Vec<Tile>,
    /// Whether notices are sent at all.
    pub sends_mail: bool,
}

/// An application on the master menu.
#[derive(Clone, Debug)]
pub struct Tile {
    /// Its name in Japanese.
    pub name_ja: String,
    /// Its name in English.
    pub name_en: String,
    /// Where it is.
    pub url: String,
}

/// One way in: a method, a path, and who answers.
struct Endpoint {
    method: &'static str,
    path: &'static str,
    answer: MethodRouter<Shared>,
}

/// Every way in. The coverage test walks this list with every kind of visitor.
fn endpoints() -> Vec<Endpoint> {
    use admin::{api_keys, invite, life, notices, policy, proof, recovery as help, terminals};
    use portal::{bundle, check, enroll, import, landing, log, login, menu, password, recovery, renew};
    let entry = |method, path, answer| Endpoint { method, path, answer };
    let mut all = vec![
        entry("GET", "/", get(menu::front)),
        entry("GET", "/login", get(login::show)),
        entry("POST", "/login", post(login::submit)),
        entry("POST", "/logout", post(login::leave)),
        entry("GET", "/menu", get(menu::show)),
        entry("GET", "/renewal", get(bundle::show)),
        entry("POST", "/renewal", post(renew::submit)),
        entry("POST", "/renewal/later", post(renew::later)),
        entry("GET", "/renewal/bundle.p12", get(bundle::download)),
        entry("GET", "/renewal/password", get(password::show)),
        entry("POST", "/renewal/password", post(password::reveal)),
        entry("POST", "/renewal/password.txt", post(password::file)),
        entry("GET", "/renewal/import", get(import::show)),
        entry("GET", "/check", get(check::show)),
        entry("GET", "/log", get(log::show)),
        entry("GET", "/admin", get(admin::front)),
        entry("GET", "/admin/terminals", get(terminals::show)),
        entry("GET", "/admin/terminals.csv", get(terminals::table)),
        entry("GET", "/admin/log", get(admin::log::show)),
        entry("GET", "/admin/log.csv", get(admin::log::table)),
        entry("GET", "/admin/terminals/new", get(invite::form)),
        entry("POST", "/admin/terminals/new", post(invite::add)),
        entry("GET", "/admin/terminals/{client}", get(help::show)),
        entry("POST", "/admin/terminals/{client}/recovery", post(help::begin)),
        entry("GET", "/admin/terminals/{client}/bundle.p12", get(help::download)),
        entry("POST", "/admin/terminals/{client}/password", post(help::reveal)),
        entry("POST", "/admin/terminals/{client}/name", post(life::rename)),
        entry("POST", "/admin/terminals/{client}/end", post(life::end)),
        entry("GET", "/admin/proof", get(proof::show)),
        entry("GET", "/admin/browser-policy", get(policy::show)),
        entry("GET", "/admin/browser-policy/{file}", get(policy::download)),
        entry("GET", "/admin/notices", get(notices::show)),
        entry("POST", "/admin/notices", post(notices::add)),
        entry("POST", "/admin/notices/{contact}", post(notices::act)),
        entry("GET", "/admin/calendar.ics", get(notices::calendar)),
        entry("GET", "/admin/api-keys", get(api_keys::show)),
        entry("POST", "/admin/api-keys", post(api_keys::make)),
        entry("POST", "/admin/api-keys/{key}/rotate", post(api_keys::rotate)),
        entry("POST", "/admin/api-keys/{key}/revoke", post(api_keys::revoke)),
        entry("POST", "/admin/terminals/{client}/invitation", post(invite::invite)),
        entry("GET", "/enroll", get(enroll::show)),
        entry("POST", "/enroll", post(enroll::submit)),
        entry("GET", "/recovery", get(recovery::show)),
        entry("POST", "/recovery", post(recovery::submit)),
        entry("GET", "/recovery/bundle.p12", get(recovery::download)),
        entry("POST", "/recovery/password", post(recovery::reveal)),
        entry("POST", "/language", post(landing::language)),
        entry("GET", "/healthz", get(health::alive)),
        entry("GET", "/readyz", get(health::ready)),
        entry("GET", "/assets/{*path}", get(assets::show)),
    ];
    all.extend(console::endpoints());
    all
}

/// Method and path pattern of every way in, as documents and tests name them: pages first, then what is for programs.
pub fn routes() -> Vec<(&'static str, &'static str)> {
    let pages = endpoints().into_iter().map(|endpoint| (endpoint.method, endpoint.path));
    pages.chain(api::routes().into_iter().map(|route| (route.method, route.path))).collect()
}

/// The ways for programs alone, for a listener of their own. Expects a [`Peer`](tegata_core::peer::Peer) as [`router`] does.
pub fn programs_router(state: Arc<WebState>) -> Router {
    api::router().fallback(api::problem::no_such_address).layer(from_fn(headers::harden)).with_state(state)
}

/// The portal, and the ways for programs beside it. Expects a [`Peer`](tegata_core::peer::Peer) in the extensions of each request; without one, nobody was shown.
pub fn router(state: Arc<WebState>) -> Router {
    let ways =
        endpoints().into_iter().fold(Router::new(), |router, endpoint| router.route(endpoint.path, endpoint.answer));
    ways.fallback(error::no_such_page)
        .method_not_allowed_fallback(error::no_such_method)
        .layer(CatchPanicLayer::custom(error::from_panic))
        .layer(from_fn_with_state(state.clone(), gate::admit))
        .layer(from_fn_with_state(state.clone(), visit::welcome))
        .layer(from_fn(headers::harden))
        .merge(api::router())
        .with_state(state)
}
