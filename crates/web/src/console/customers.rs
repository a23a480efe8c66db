//! 顧客一覧: every customer of the service, a hundred on a page.

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use http::{StatusCode, Uri};
use tegata_core::customer::Customer;
use tegata_core::id::CustomerId;

use super::Staff;
use crate::Shared;
use crate::error::Failure;
use crate::frame::{Frame, page};
use crate::visit::{Visit, query};

/// Customers on a page.
const ROWS: u32 = 100;

#[derive(Template)]
#[template(path = "console-customers.html")]
struct CustomersPage {
    f: Frame,
    rows: Vec<Line>,
    /// Where the next ones are.
    next: Option<CustomerId>,
    /// Whether this is not the first page.
    paged: bool,
}

struct Line {
    id: String,
    code: String,
    name: String,
    kind: &'static str,
    terminals: i64,
}

/// `GET /console/customers`
pub(crate) async fn show(
    State(state): State<Shared>,
    visit: Visit,
    Staff(login): Staff,
    uri: Uri,
) -> Result<Response, Failure> {
    let after = query(&uri, "after").and_then(|id| id.parse().ok());
    let found = state.authority.reader().customers_after(login.session.actor.scope(), after, ROWS + 1).await;
    let found = found.map_err(|error| Failure::internal("listing customers", &error))?;
    let f = Frame::new(&state.portal, &visit, "console-customers", "console-customers-title").of(&login);
    page(StatusCode::OK, &list(f, &found, after.is_some()))
}

fn list(f: Frame, found: &[(Customer, u32)], paged: bool) -> CustomersPage {
    let shown = &found[..found.len().min(ROWS as usize)];
    let next = if found.len() > shown.len() { shown.last().map(|(customer, _)| customer.id) } else { None };
    let line = |(customer, terminals): &(Customer, u32)| Line {
        id: customer.id.to_string(),
        code: customer.code.to_string(),
        name: customer.name.clone(),
        kind: customer.kind.as_str(),
        terminals: (*terminals).into(),
    };
    CustomersPage { rows: shown.iter().map(line).collect(), next, paged, f }
}

#[cfg(test)]
pub(crate) mod tests {
    use tegata_core::customer::CustomerKind;
    use tegata_core::time::Timestamp;

    use super::*;
    use crate::frame::sample;
    use crate::i18n::Lang;

    fn customers(count: u32) -> Vec<(Customer, u32)> {
        let customer = |number: u32| Customer {
            id: CustomerId::new(number).expect("valid"),
            kind: if number == 2 { CustomerKind::Operator } else { CustomerKind::Clinic },
            code: format!("{:06}", 103_000 + number).parse().expect("six digits"),
            name: "みどり医院".into(),
            created_at: Timestamp(0),
        };
        (1..=count).map(|number| (customer(number), number % 5)).collect()
    }

    fn rendered(lang: Lang, count: u32) -> String {
        let f = sample::frame(lang, "console-customers", "console-customers-title");
        list(f, &customers(count), count > ROWS).render().expect("a page")
    }

    /// Samples of this page.
    pub(crate) fn samples(lang: Lang) -> Vec<(String, String)> {
        vec![("console-customers".into(), rendered(lang, 3)), ("console-customers-many".into(), rendered(lang, 101))]
    }

    #[test]
    fn the_next_page_begins_after_the_last_one_shown() {
        let html = rendered(Lang::Ja, 101);
        assert!(html.contains("href=\"/console/customers?after=u00000100\"") && !html.contains("u00000101"));
        assert!(!rendered(Lang::Ja, 3).contains("?after="));
    }
}
