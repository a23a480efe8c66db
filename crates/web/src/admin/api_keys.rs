//! API キー: the keys of the customer's programs. A key's secret is shown on the page that answers its making and never again; keys of the operator's
//! are neither shown nor made here.

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use http::StatusCode;
use tegata_authority::{KeepApiKeyError, MadeApiKey, NewApiKey};
use tegata_core::api_key::{ApiKey, ApiReach, ApiScope, ApiScopes, DAYS, MOST_KEYS, OVERLAP_DAYS};
use tegata_core::terminal::Terminal;
use tegata_core::time::Timestamp;

use super::Admin;
use crate::Shared;
use crate::csrf::CheckedForm;
use crate::error::Failure;
use crate::frame::{Frame, Moment, page};
use crate::i18n::Lang;
use crate::portal::see_other;
use crate::session::LoggedIn;
use crate::visit::Visit;

/// Where all of it is.
const BASE: &str = "/admin/api-keys";
/// For how many days a key can be made to count here, the usual one first.
const LIVES: [i64; 3] = [DAYS as i64, 90, 3 * DAYS as i64];

#[derive(Template)]
#[template(path = "admin-api-keys.html")]
struct KeysPage {
    f: Frame,
    rows: Vec<RowOf>,
    terminals: Vec<Choice>,
    scopes: Vec<Choice>,
    lives: [i64; 3],
    /// What was written as the name.
    name: String,
    error: Option<String>,
    /// A secret that was just made.
    made: Option<Made>,
}

/// A line of the list.
struct RowOf {
    id: String,
    name: String,
    scopes: Vec<String>,
    /// The name of the terminal beside whose certificate alone it counts.
    terminal: Option<String>,
    state: &'static str,
    /// The class of its mark.
    mark: &'static str,
    until: Moment,
    previous_until: Option<Moment>,
    last_used: Option<Moment>,
    is_open: bool,
}

/// Something to choose: its value, its words, whether it is chosen.
struct Choice {
    value: String,
    words: String,
    chosen: bool,
}

/// A secret, to be shown once.
struct Made {
    id: String,
    name: String,
    secret: String,
    until: Moment,
    previous_until: Option<Moment>,
}

impl Made {
    fn of(lang: Lang, made: &MadeApiKey) -> Self {
        let MadeApiKey { key, secret } = made;
        Self {
            id: key.id.to_string(),
            name: key.name.clone(),
            secret: secret.expose().to_owned(),
            until: Moment::of(lang, key.expires_at),
            previous_until: key.previous_until.map(|until| Moment::of(lang, until)),
        }
    }
}

impl RowOf {
    fn of(lang: Lang, key: &ApiKey, terminals: &[Terminal], now: Timestamp) -> Self {
        let (state, mark) = match key.revoked_at {
            Some(_) => ("revoked", "revoked"),
            None if key.is_open(now) => ("active", "valid"),
            None => ("expired", "expired"),
        };
        let only = |id| terminals.iter().find(|terminal| terminal.id == id).map(|terminal| terminal.name.clone());
        Self {
            id: key.id.to_string(),
            name: key.name.clone(),
            scopes: key.scopes.iter().map(|scope| lang.t(&words_of(scope))).collect(),
            terminal: key.terminal.and_then(only),
            state,
            mark,
            until: Moment::of(lang, key.expires_at),
            previous_until: key.previous_until.filter(|until| now <= *until).map(|until| Moment::of(lang, until)),
            last_used: key.last_used_at.map(|at| Moment::of(lang, at)),
            is_open: key.is_open(now),
        }
    }
}

/// The key of a scope's words: a colon has no place in one.
fn words_of(scope: ApiScope) -> String {
    format!("api-scope-{}", scope.as_str().replace(':', "-"))
}

/// `GET /admin/api-keys`
pub(crate) async fn show(State(state): State<Shared>, visit: Visit, Admin(login): Admin) -> Result<Response, Failure> {
    page(StatusCode::OK, &keys(&state, &visit, &login).await?)
}

/// `POST /admin/api-keys`
pub(crate) async fn make(
    State(state): State<Shared>,
    visit: Visit,
    Admin(login): Admin,
    CheckedForm(fields): CheckedForm,
) -> Result<Response, Failure> {
    let given = |scope: &ApiScope| fields.text(scope.as_str()) == "yes";
    let scopes: Vec<ApiScope> = ApiScope::ALL.iter().map(|(scope, _)| *scope).filter(given).collect();
    let terminal = match fields.text("terminal") {
        "" => None,
        id => Some(id.parse().map_err(|_| Failure::BadForm)?),
    };
    let new = NewApiKey {
        customer: login.session.customer,
        terminal,
        name: fields.text("name").to_owned(),
        reach: ApiReach::Customer,
        scopes: ApiScopes::new(scopes.clone()),
        days: fields.text("days").parse().map_err(|_| Failure::BadForm)?,
    };
    let made = state.authority.make_api_key(&login.session.actor, new).await;
    let shown = |mut shown: KeysPage| {
        shown.name = fields.text("name").chars().take(80).collect();
        shown.scopes = choices(visit.lang, &scopes);
        shown
    };
    answer(&state, &visit, &login, made, shown).await
}

/// `POST /admin/api-keys/{key}/rotate`
pub(crate) async fn rotate(
    State(state): State<Shared>,
    visit: Visit,
    Admin(login): Admin,
    Path(key): Path<String>,
    CheckedForm(_): CheckedForm,
) -> Result<Response, Failure> {
    let key = find(&state, &login, &key).await?;
    let made = state.authority.rotate_api_key(&login.session.actor, &key, (DAYS, OVERLAP_DAYS)).await;
    answer(&state, &visit, &login, made, |shown| shown).await
}

/// `POST /admin/api-keys/{key}/revoke`
pub(crate) async fn revoke(
    State(state): State<Shared>,
    visit: Visit,
    Admin(login): Admin,
    Path(key): Path<String>,
    CheckedForm(_): CheckedForm,
) -> Result<Response, Failure> {
    let key = find(&state, &login, &key).await?;
    match state.authority.revoke_api_key(&login.session.actor, &key).await {
        // Pressed twice: what was wanted is so.
        Ok(()) | Err(KeepApiKeyError::NoSuchKey) => Ok(see_other(BASE)),
        Err(error) => refused(&visit, &mut keys(&state, &visit, &login).await?, error),
    }
}

/// The page with the secret that was made, or with what was wrong.
async fn answer(
    state: &Shared,
    visit: &Visit,
    login: &LoggedIn,
    made: Result<MadeApiKey, KeepApiKeyError>,
    as_sent: impl FnOnce(KeysPage) -> KeysPage,
) -> Result<Response, Failure> {
    let mut shown = keys(state, visit, login).await?;
    match made {
        Ok(made) => {
            shown.made = Some(Made::of(visit.lang, &made));
            page(StatusCode::OK, &shown)
        }
        Err(error) => refused(visit, &mut as_sent(shown), error),
    }
}

fn refused(visit: &Visit, shown: &mut KeysPage, error: KeepApiKeyError) -> Result<Response, Failure> {
    let words = match error {
        KeepApiKeyError::Forbidden => return Err(Failure::NotAdmin),
        KeepApiKeyError::Name => visit.lang.t("api-keys-name-needed"),
        KeepApiKeyError::Scopes => visit.lang.t("api-keys-scope-needed"),
        KeepApiKeyError::Days | KeepApiKeyError::NotTheOperators => return Err(Failure::BadForm),
        KeepApiKeyError::TooMany => visit.lang.t1("api-keys-too-many", "count", MOST_KEYS),
        KeepApiKeyError::NoSuchKey => visit.lang.t("api-keys-gone"),
        KeepApiKeyError::NoSuchTerminal => return Err(Failure::BadForm),
        KeepApiKeyError::Internal(error) => return Err(Failure::internal("keeping an API key", &error)),
    };
    shown.error = Some(words);
    page(StatusCode::UNPROCESSABLE_ENTITY, shown)
}

/// The key that a form is about; one of another customer is one that does not exist.
async fn find(state: &Shared, login: &LoggedIn, key: &str) -> Result<ApiKey, Failure> {
    let id = key.parse().map_err(|_| Failure::NoSuchPage)?;
    let found = state.authority.api_key(&login.session.actor, &id).await;
    found.map_err(|error| Failure::internal("finding an API key", &error))?.ok_or(Failure::NoSuchPage)
}

async fn keys(state: &Shared, visit: &Visit, login: &LoggedIn) -> Result<KeysPage, Failure> {
    let (actor, customer) = (&login.session.actor, login.session.customer);
    let keys = state.authority.api_keys(actor, Some(customer)).await;
    let keys = keys.map_err(|error| Failure::internal("listing API keys", &error))?;
    let terminals = state.authority.reader().terminals(actor.scope(), Some(customer)).await;
    let terminals = terminals.map_err(|error| Failure::internal("listing terminals", &error))?;
    let f = Frame::new(&state.portal, visit, "admin-api-keys", "api-keys-title").of(login);
    Ok(list(f, &keys, &terminals, state.authority.now()))
}

fn list(f: Frame, keys: &[ApiKey], terminals: &[Terminal], now: Timestamp) -> KeysPage {
    let lang = f.lang;
    let mut rows: Vec<RowOf> = keys.iter().map(|key| RowOf::of(lang, key, terminals, now)).collect();
    rows.sort_by_key(|row| !row.is_open);
    let choice =
        |terminal: &Terminal| Choice { value: terminal.id.to_string(), words: terminal.name.clone(), chosen: false };
    let open = terminals.iter().filter(|terminal| terminal.retired_at.is_none());
    KeysPage {
        rows,
        terminals: open.map(choice).collect(),
        scopes: choices(lang, &[ApiScope::TerminalsRead]),
        lives: LIVES,
        name: String::new(),
        error: None,
        made: None,
        f,
    }
}

/// What a customer's key can be good for.
fn choices(lang: Lang, chosen: &[ApiScope]) -> Vec<Choice> {
    let all = ApiScope::ALL.iter().map(|(scope, _)| *scope).filter(|scope| !scope.is_the_operators());
    let choice = |scope: ApiScope| Choice {
        value: scope.as_str().to_owned(),
        words: lang.t(&words_of(scope)),
        chosen: chosen.contains(&scope),
    };
    all.map(choice).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use tegata_core::api_key::{ApiKeyId, ApiSecret};
    use tegata_core::id::{CustomerId, TerminalId};
    use tegata_core::terminal::Condition;

    use super::super::terminals::tests::view;
    use super::*;
    use crate::frame::sample;

    fn key(id: &str, name: &str, until: &str) -> ApiKey {
        ApiKey {
            id: id.parse::<ApiKeyId>().expect("an id"),
            name: name.into(),
            customer: CustomerId::new(1).expect("valid"),
            terminal: None,
            reach: ApiReach::Customer,
            scopes: ApiScopes::parse("terminals:read log:read").expect("scopes"),
            created_at: Timestamp(0),
            expires_at: Timestamp::parse(until).expect("valid"),
            previous_until: None,
            last_used_at: None,
            revoked_at: None,
        }
    }

    fn rendered(lang: Lang, keys: &[ApiKey], change: impl Fn(&mut KeysPage)) -> String {
        let now = Timestamp::parse("2026-11-24").expect("valid");
        let terminals = [view(1, "受付1", Condition::InUse, None).terminal];
        let f = sample::frame(lang, "admin-api-keys", "api-keys-title");
        let mut page = list(f, keys, &terminals, now);
        change(&mut page);
        page.render().expect("a page")
    }

    /// Samples of this page.
    pub(crate) fn samples(lang: Lang) -> Vec<(String, String)> {
        let only = TerminalId::from_random([1; 16]);
        let at = |day| Some(Timestamp::parse(day).expect("valid"));
        let rotated = ApiKey {
            terminal: Some(only),
            previous_until: at("2026-11-30"),
            last_used_at: at("2026-11-23"),
            ..key("key-4f7k92qx", "会計連携", "2027-11-24")
        };
        let revoked = ApiKey { revoked_at: at("2026-11-20"), ..key("key-00000002", "監視", "2027-11-24") };
        let keys = [revoked, rotated, key("key-00000003", "検査連携", "2026-11-01")];
        let secret = ApiSecret::parse("tegata_0123456789abcdefghjkmnpqrstvwxyz").expect("a secret");
        let made = MadeApiKey { key: keys[1].clone(), secret };
        let told = |change: &dyn Fn(&mut KeysPage)| rendered(lang, &keys, change);
        vec![
            ("admin-api-keys-none".into(), rendered(lang, &[], |_| {})),
            ("admin-api-keys".into(), told(&|_| {})),
            ("admin-api-keys-made".into(), told(&|page| page.made = Some(Made::of(lang, &made)))),
            ("admin-api-keys-error".into(), told(&|page| page.error = Some(lang.t("api-keys-scope-needed")))),
        ]
    }

    #[test]
    fn keys_that_count_come_first_and_only_they_can_be_changed() {
        let html = samples(Lang::Ja).swap_remove(1).1;
        let at = |text: &str| html.find(text).unwrap_or_else(|| panic!("no {text}"));
        assert!(at("会計連携") < at("監視") && at("会計連携") < at("検査連携"));
        assert!(html.contains("/admin/api-keys/key-4f7k92qx/rotate"));
        assert!(!html.contains("/admin/api-keys/key-00000002/") && !html.contains("tegata_"));
        for scope in ["certificates:revoke", "customers:read", "terminals:add"] {
            assert!(!html.contains(scope), "{scope} is the operator's");
        }
    }
}
