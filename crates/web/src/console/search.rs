//! 検索: a customer, a person, a terminal or a certificate by any scrap that somebody reads out on the telephone.

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use http::{StatusCode, Uri};
use tegata_authority::Finding;
use tegata_core::search::{LONGEST, Search};
use tegata_core::time::Timestamp;

use super::{Staff, terminal_path};
use crate::Shared;
use crate::admin::terminals::RowOf;
use crate::error::Failure;
use crate::form::Fields;
use crate::frame::{Frame, Moment, page};
use crate::visit::Visit;

#[derive(Template)]
#[template(path = "console-search.html")]
struct SearchPage {
    f: Frame,
    /// What was typed.
    search: String,
    /// Each with its customer's name and its page.
    terminals: Vec<(RowOf, String, String)>,
    certificates: Vec<CertLine>,
    /// Id, code and name.
    customers: Vec<(String, String, String)>,
    /// Name, role, and the id and name of the customer.
    users: Vec<(String, &'static str, String, String)>,
    /// Whether nothing was found although something was typed.
    empty: bool,
    /// Whether there is more than is shown.
    more: bool,
}

struct CertLine {
    serial: String,
    end: Moment,
    terminal: String,
    path: String,
    customer: String,
}

/// `GET /console/search`
pub(crate) async fn show(
    State(state): State<Shared>,
    visit: Visit,
    Staff(login): Staff,
    uri: Uri,
) -> Result<Response, Failure> {
    let asked = Fields::parse(uri.query().unwrap_or_default().as_bytes()).ok_or(Failure::BadForm)?;
    let typed: String = asked.text("q").trim().chars().take(LONGEST).collect();
    let finding = match Search::parse(&typed) {
        Some(search) => {
            let found = state.authority.search(&login.session.actor, &search).await;
            Some(found.map_err(|error| Failure::internal("searching", &error))?)
        }
        None => None,
    };
    let f = Frame::new(&state.portal, &visit, "console-search", "console-search-title").of(&login);
    page(StatusCode::OK, &result(f, typed, finding, state.authority.now()))
}

fn result(f: Frame, search: String, finding: Option<Finding>, now: Timestamp) -> SearchPage {
    let asked = finding.is_some();
    let Finding { customers, users, terminals, certificates, more } = finding.unwrap_or_default();
    let nothing = customers.is_empty() && users.is_empty() && terminals.is_empty() && certificates.is_empty();
    let terminals = terminals
        .iter()
        .map(|(view, customer)| (RowOf::of(f.lang, view, now), customer.name.clone(), terminal_path(&view.terminal)));
    let certificates = certificates.iter().map(|(cert, terminal, customer)| CertLine {
        serial: cert.serial.to_string(),
        end: Moment::of(f.lang, cert.not_after),
        terminal: terminal.name.clone(),
        path: terminal_path(terminal),
        customer: customer.name.clone(),
    });
    let users =
        users.iter().map(|(user, of)| (user.name.clone(), user.role.as_str(), of.id.to_string(), of.name.clone()));
    let customers = customers.iter().map(|one| (one.id.to_string(), one.code.to_string(), one.name.clone()));
    SearchPage {
        search,
        terminals: terminals.collect(),
        certificates: certificates.collect(),
        customers: customers.collect(),
        users: users.collect(),
        empty: asked && nothing,
        more,
        f,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use tegata_core::access::Role;
    use tegata_core::customer::User;
    use tegata_core::id::{CustomerId, UserId};
    use tegata_core::terminal::Condition;

    use super::super::tests::{cert, midori};
    use super::*;
    use crate::admin::terminals::tests::view;
    use crate::frame::sample;
    use crate::i18n::Lang;

    fn rendered(lang: Lang, search: &str, finding: Option<Finding>) -> String {
        let now = Timestamp::parse("2026-11-24").expect("valid");
        let f = sample::frame(lang, "console-search", "console-search-title");
        result(f, search.into(), finding, now).render().expect("a page")
    }

    fn everything() -> Finding {
        let user = User {
            id: UserId(1),
            customer: CustomerId::new(1).expect("valid"),
            name: "uketsuke".into(),
            role: Role::TerminalUser,
            created_at: Timestamp(0),
        };
        let view = view(1, "受付1", Condition::Due, Some("2027-01-21"));
        Finding {
            customers: vec![midori()],
            users: vec![(user, midori())],
            certificates: vec![(cert(1, "2027-01-21"), view.terminal.clone(), midori())],
            terminals: vec![(view, midori())],
            more: true,
        }
    }

    /// Samples of this page.
    pub(crate) fn samples(lang: Lang) -> Vec<(String, String)> {
        vec![
            ("console-search".into(), rendered(lang, "u00000001", Some(everything()))),
            ("console-search-none".into(), rendered(lang, "x", Some(Finding::default()))),
            ("console-search-empty".into(), rendered(lang, "", None)),
        ]
    }

    #[test]
    fn what_was_found_leads_to_its_page_and_what_was_typed_is_escaped() {
        let html = rendered(Lang::Ja, "<b>", Some(everything()));
        for part in
            ["/console/customers/u00000001/terminals/1\"", "href=\"/console/customers/u00000001\"", "&#60;b&#62;"]
        {
            assert!(html.contains(part), "{part}");
        }
        assert!(rendered(Lang::Ja, "x", Some(Finding::default())).contains("id=\"nothing\""));
        assert!(!rendered(Lang::Ja, "", None).contains("id=\"nothing\""));
    }
}
