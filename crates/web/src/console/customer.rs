//! One customer: who its people are, and how its terminals stand, those that need help first, a hundred on a page.

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use http::{StatusCode, Uri};
use tegata_authority::{SettingsError, TerminalView};
use tegata_core::access::{Privilege, may};
use tegata_core::customer::{Customer, CustomerSettings, User};
use tegata_core::terminal::Condition;
use tegata_core::time::Timestamp;

use super::{Officer, Staff, find_customer};
use crate::Shared;
use crate::admin::terminals::RowOf;
use crate::csrf::CheckedForm;
use crate::error::Failure;
use crate::frame::{Frame, page};
use crate::portal::see_other;
use crate::session::LoggedIn;
use crate::visit::{Visit, query};

/// Terminals on a page.
const ROWS: usize = 100;

#[derive(Template)]
#[template(path = "console-customer.html")]
struct CustomerPage {
    f: Frame,
    id: String,
    code: String,
    kind: &'static str,
    /// Name and role.
    people: Vec<(String, &'static str)>,
    rows: Vec<RowOf>,
    all: i64,
    locked_out: i64,
    before: Option<usize>,
    next: Option<usize>,
    most_terminals: Option<u32>,
    old_programs: bool,
    /// What is wrong with the settings that were sent.
    error: Option<String>,
    /// Whether whoever looks may set them.
    may_set: bool,
    /// Whether whoever looks may revoke.
    may_revoke: bool,
}

/// `GET /console/customers/{customer}`
pub(crate) async fn show(
    State(state): State<Shared>,
    visit: Visit,
    Staff(login): Staff,
    Path(customer): Path<String>,
    uri: Uri,
) -> Result<Response, Failure> {
    let number = query(&uri, "page").and_then(|number| number.parse().ok()).unwrap_or(0);
    page(StatusCode::OK, &customer_page(&state, (&visit, &login), &customer, number).await?)
}

/// `POST /console/customers/{customer}/settings`
pub(crate) async fn set(
    State(state): State<Shared>,
    visit: Visit,
    Officer(login): Officer,
    Path(id): Path<String>,
    CheckedForm(fields): CheckedForm,
) -> Result<Response, Failure> {
    let actor = &login.session.actor;
    let customer = find_customer(&state, actor, &id).await?;
    let most = match fields.text("most-terminals").trim() {
        "" => Some(None),
        text => text.parse().ok().filter(|number| *number <= 9999).map(Some),
    };
    let Some(most_terminals) = most else {
        let mut shown = customer_page(&state, (&visit, &login), &id, 0).await?;
        shown.error = Some(visit.lang.t("console-most-wrong"));
        return page(StatusCode::UNPROCESSABLE_ENTITY, &shown);
    };
    let settings = CustomerSettings { most_terminals, old_programs: fields.text("old-programs") == "on" };
    match state.authority.set_customer(actor, customer.id, settings).await {
        Ok(()) => Ok(see_other(&format!("/console/customers/{}", customer.id))),
        Err(SettingsError::Forbidden) => Err(Failure::NotOfficer),
        Err(error) => Err(Failure::internal("setting what holds for a customer", &error)),
    }
}

/// The page as it stands.
async fn customer_page(
    state: &Shared,
    (visit, login): (&Visit, &LoggedIn),
    id: &str,
    number: usize,
) -> Result<CustomerPage, Failure> {
    let actor = &login.session.actor;
    let customer = find_customer(state, actor, id).await?;
    let views = state.authority.terminals_of(actor, customer.id).await;
    let views = views.map_err(|error| Failure::internal("listing terminals", &error))?;
    let (reader, scope) = (state.authority.reader(), actor.scope());
    let people = reader.users_of(scope, customer.id).await;
    let people = people.map_err(|error| Failure::internal("listing people", &error))?;
    let settings = reader.customer_settings(scope, customer.id).await;
    let settings = settings.map_err(|error| Failure::internal("reading a customer's settings", &error))?;
    let f = Frame::new(&state.portal, visit, "console-customer", "console-customer").of(login);
    let mut shown = one(f, &customer, (&people, &views), number, state.authority.now());
    (shown.most_terminals, shown.old_programs) = (settings.most_terminals, settings.old_programs);
    shown.may_set = may(actor, Privilege::Customers, customer.id);
    shown.may_revoke = may(actor, Privilege::Revoke, customer.id);
    Ok(shown)
}

fn one(
    mut f: Frame,
    customer: &Customer,
    (people, views): (&[User], &[TerminalView]),
    number: usize,
    now: Timestamp,
) -> CustomerPage {
    f.title = customer.name.clone();
    let count = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
    let number = number.min(views.len() / ROWS);
    let from = number * ROWS;
    let shown = views.iter().skip(from).take(ROWS);
    CustomerPage {
        id: customer.id.to_string(),
        code: customer.code.to_string(),
        kind: customer.kind.as_str(),
        people: people.iter().map(|user| (user.name.clone(), user.role.as_str())).collect(),
        rows: shown.map(|view| RowOf::of(f.lang, view, now)).collect(),
        all: count(views.len()),
        locked_out: count(views.iter().filter(|view| view.condition == Condition::Expired).count()),
        before: number.checked_sub(1),
        most_terminals: None,
        old_programs: true,
        error: None,
        may_set: false,
        may_revoke: false,
        next: (from + ROWS < views.len()).then_some(number + 1),
        f,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::super::tests::midori;
    use super::*;
    use crate::admin::terminals::tests::view;
    use crate::frame::sample;
    use crate::i18n::Lang;

    fn rendered(lang: Lang, count: u32, number: usize) -> String {
        let views: Vec<_> = (1..=count).map(|n| view(n, "受付1", Condition::Expired, None)).collect();
        let user = User {
            id: tegata_core::id::UserId(1),
            customer: midori().id,
            name: "jimu".into(),
            role: tegata_core::access::Role::CustomerAdmin,
            created_at: Timestamp(0),
        };
        let now = Timestamp::parse("2026-11-24").expect("valid");
        let f = sample::frame(lang, "console-customer", "console-customer");
        let mut page = one(f, &midori(), (&[user], &views), number, now);
        (page.may_set, page.may_revoke, page.most_terminals) = (number == 0, number == 0, Some(20));
        page.render().expect("a page")
    }

    /// Samples of this page.
    pub(crate) fn samples(lang: Lang) -> Vec<(String, String)> {
        vec![
            ("console-customer".into(), rendered(lang, 3, 0)),
            ("console-customer-many".into(), rendered(lang, 250, 1)),
        ]
    }

    #[test]
    fn a_large_customer_is_shown_a_hundred_terminals_at_a_time() {
        for (number, first, rows, links) in [
            (0, 1, 100, (false, true)),
            (1, 101, 100, (true, true)),
            (2, 201, 50, (true, false)),
            (99, 201, 50, (true, false)),
        ] {
            let html = rendered(Lang::Ja, 250, number);
            assert_eq!(html.matches("/terminals/").count(), rows, "page {number}");
            assert!(html.contains(&format!("/console/customers/u00000001/terminals/{first}\"")), "page {number}");
            let next = number.min(2) + 1;
            assert_eq!(html.contains(&format!("?page={next}\"")), links.1, "page {number}");
            assert_eq!(html.contains("前の100件"), links.0, "page {number}");
        }
    }
}
