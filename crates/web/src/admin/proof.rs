//! 証明書の期限の証明: one sheet for the owner, to be printed or kept as a PDF. Every terminal with its end, until when nothing stops, what would stop
//! first, and where the operation log stood when it was made.

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use tegata_authority::TerminalView;
use tegata_core::audit::Row;
use tegata_core::outlook::outlook;
use tegata_core::terminal::Condition;
use tegata_core::time::Timestamp;

use super::Admin;
use super::terminals::{RowOf, count};
use crate::Shared;
use crate::error::Failure;
use crate::frame::{Frame, Moment, page};
use crate::visit::Visit;

#[derive(Template)]
#[template(path = "admin-proof.html")]
struct ProofPage {
    f: Frame,
    customer: String,
    /// When it was made.
    at: Moment,
    /// Until when nothing stops that connects now.
    until: Option<Moment>,
    /// The names of what stops first, then.
    first: Vec<String>,
    connecting: i64,
    /// The names of what cannot connect although nobody wanted that.
    locked_out: Vec<String>,
    /// The names of what was never used.
    never: Vec<String>,
    /// Every terminal that is in service, by number.
    rows: Vec<RowOf>,
    /// The customer's last row of the operation log: its number and its hash.
    head: Option<(i64, String)>,
}

/// `GET /admin/proof`
pub(crate) async fn show(State(state): State<Shared>, visit: Visit, Admin(login): Admin) -> Result<Response, Failure> {
    // The row first: what is shown afterwards is at least as new.
    let head = state.authority.reader().audit_rows(login.session.actor.scope(), None, 1).await;
    let head = head.map_err(|error| Failure::internal("reading the operation log", &error))?;
    let views = state.authority.terminals(&login.session).await;
    let views = views.map_err(|error| Failure::internal("listing terminals", &error))?;
    let f = Frame::new(&state.portal, &visit, "admin-proof", "proof-title").of(&login);
    let customer = login.admitted.identity.customer.name.clone();
    page(StatusCode::OK, &proof(f, customer, &views, head.first(), state.authority.now()))
}

fn proof(f: Frame, customer: String, views: &[TerminalView], head: Option<&Row>, now: Timestamp) -> ProofPage {
    let standing: Vec<_> = views.iter().map(|view| (view.condition, view.until)).collect();
    let outlook = outlook(&standing);
    let names = |places: &[usize]| -> Vec<String> {
        places.iter().filter_map(|place| views.get(*place)).map(|view| view.terminal.name.clone()).collect()
    };
    let mut in_service: Vec<&TerminalView> = views.iter().filter(|view| view.condition != Condition::Retired).collect();
    in_service.sort_by_key(|view| view.terminal.client);
    let hex = |row: &Row| row.hash.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    ProofPage {
        customer,
        at: Moment::of(f.lang, now),
        until: outlook.until.map(|end| Moment::of(f.lang, end)),
        first: names(&outlook.first),
        connecting: count(outlook.connecting.len()),
        locked_out: names(&outlook.locked_out),
        never: names(&outlook.never),
        rows: in_service.into_iter().map(|view| RowOf::of(f.lang, view, now)).collect(),
        head: head.map(|row| (row.sequence, hex(row))),
        f,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::super::terminals::tests::view;
    use super::*;
    use crate::frame::sample;
    use crate::i18n::Lang;

    fn rendered(lang: Lang, views: &[TerminalView]) -> String {
        let f = sample::frame(lang, "admin-proof", "proof-title");
        proof(f, "みどり医院".into(), views, None, Timestamp::parse("2026-11-24").expect("valid"))
            .render()
            .expect("a page")
    }

    /// Samples of this page.
    pub(crate) fn samples(lang: Lang) -> Vec<(String, String)> {
        let good = [
            view(1, "受付1", Condition::Due, Some("2027-01-21")),
            view(2, "診察室", Condition::InUse, Some("2029-01-23")),
        ];
        let bad = [view(1, "受付1", Condition::Expired, None), view(2, "診察室", Condition::Empty, None)];
        vec![("admin-proof".into(), rendered(lang, &good)), ("admin-proof-stopped".into(), rendered(lang, &bad))]
    }

    #[test]
    fn the_sheet_promises_until_the_first_end_and_says_whose_it_is() {
        let html = &samples(Lang::Ja)[0].1;
        let (_, promise) = html.split_once("id=\"promise\"").expect("a promise");
        let promise = promise.split("</section>").next().unwrap_or_default();
        assert!(
            promise.contains("2027年1月21日") && promise.contains("受付1") && !promise.contains("診察室"),
            "{promise}"
        );
    }

    #[test]
    fn where_something_has_stopped_the_sheet_does_not_promise() {
        let html = &samples(Lang::Ja)[1].1;
        assert!(html.contains("id=\"stopped\"") && !html.contains("id=\"promise-until\""));
        let retired = rendered(Lang::Ja, &[view(7, "診察室", Condition::Retired, None)]);
        assert!(!retired.contains("診察室"), "what is out of service is not on it");
    }
}
