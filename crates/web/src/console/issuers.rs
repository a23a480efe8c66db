//! 発行用認証局: which terminals still hold certificates of which issuing CA, so that one knows when an old one can go.

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use http::{StatusCode, Uri};
use tegata_authority::{Holder, IssuerView};
use tegata_core::access::{Privilege, may_everywhere};

use super::{Staff, find_issuer, terminal_path};
use crate::Shared;
use crate::error::Failure;
use crate::frame::{Frame, Moment, page};
use crate::i18n::Lang;
use crate::visit::{Visit, query};

/// Holders on a page.
const ROWS: u32 = 100;

#[derive(Template)]
#[template(path = "console-issuers.html")]
struct IssuersPage {
    f: Frame,
    rows: Vec<IssuerLine>,
}

struct IssuerLine {
    id: i64,
    name: String,
    end: Moment,
    signs: bool,
    held: i64,
    last: Option<Moment>,
}

impl IssuerLine {
    fn of(lang: Lang, view: &IssuerView) -> Self {
        Self {
            id: view.id.0,
            name: view.name.clone(),
            end: Moment::of(lang, view.not_after),
            signs: view.signs,
            held: view.held.into(),
            last: view.last_end.map(|end| Moment::of(lang, end)),
        }
    }
}

#[derive(Template)]
#[template(path = "console-issuer.html")]
struct IssuerPage {
    f: Frame,
    issuer: IssuerLine,
    rows: Vec<HolderLine>,
    next: Option<i64>,
    paged: bool,
    may_revoke: bool,
}

struct HolderLine {
    serial: String,
    end: Moment,
    terminal: String,
    path: String,
    customer: String,
}

/// `GET /console/issuers`
pub(crate) async fn list(State(state): State<Shared>, visit: Visit, Staff(login): Staff) -> Result<Response, Failure> {
    let views = state.authority.issuers(&login.session.actor).await;
    let views = views.map_err(|error| Failure::internal("listing issuing CAs", &error))?;
    let f = Frame::new(&state.portal, &visit, "console-issuers", "console-issuers-title").of(&login);
    let rows = views.iter().map(|view| IssuerLine::of(f.lang, view)).collect();
    page(StatusCode::OK, &IssuersPage { f, rows })
}

/// `GET /console/issuers/{issuer}`
pub(crate) async fn show(
    State(state): State<Shared>,
    visit: Visit,
    Staff(login): Staff,
    Path(id): Path<String>,
    uri: Uri,
) -> Result<Response, Failure> {
    let actor = &login.session.actor;
    let issuer = find_issuer(&state, actor, &id).await?;
    let after = query(&uri, "after").and_then(|id| id.parse().ok()).unwrap_or(0);
    let holders = state.authority.holders(actor, issuer.id, (after, ROWS + 1)).await;
    let holders = holders.map_err(|error| Failure::internal("listing who holds certificates", &error))?;
    let f = Frame::new(&state.portal, &visit, "console-issuer", "console-issuer-title").of(&login);
    let may_revoke = may_everywhere(actor, Privilege::Revoke);
    page(StatusCode::OK, &one(f, &issuer, &holders, (after > 0, may_revoke)))
}

fn one(f: Frame, issuer: &IssuerView, holders: &[Holder], (paged, may_revoke): (bool, bool)) -> IssuerPage {
    let shown = &holders[..holders.len().min(ROWS as usize)];
    let next = if holders.len() > shown.len() { shown.last().map(|holder| holder.certificate.id.0) } else { None };
    let line = |holder: &Holder| HolderLine {
        serial: holder.certificate.serial.to_string(),
        end: Moment::of(f.lang, holder.certificate.not_after),
        terminal: holder.terminal.name.clone(),
        path: terminal_path(&holder.terminal),
        customer: holder.customer.name.clone(),
    };
    let rows = shown.iter().map(line).collect();
    IssuerPage { issuer: IssuerLine::of(f.lang, issuer), rows, next, paged, may_revoke, f }
}

#[cfg(test)]
pub(crate) mod tests {
    use tegata_core::id::IssuerId;
    use tegata_core::terminal::Condition;
    use tegata_core::time::Timestamp;

    use super::super::tests::{cert, midori};
    use super::*;
    use crate::admin::terminals::tests::view;
    use crate::frame::sample;

    fn issuer(id: i64, signs: bool, held: u32) -> IssuerView {
        let not_after = Timestamp::parse("2036-11-24").expect("valid");
        let last_end = (held > 0).then_some(not_after);
        IssuerView { id: IssuerId(id), name: format!("Tegata Issuing CA {id}"), not_after, signs, held, last_end }
    }

    fn rendered(lang: Lang, holders: u32) -> String {
        let holder = |n: u32| Holder {
            certificate: cert(i64::from(n), "2027-01-21"),
            terminal: view(n, "受付1", Condition::Due, None).terminal,
            customer: midori(),
        };
        let holders: Vec<Holder> = (1..=holders).map(holder).collect();
        let f = sample::frame(lang, "console-issuer", "console-issuer-title");
        one(f, &issuer(1, false, 120), &holders, (false, true)).render().expect("a page")
    }

    /// Samples of these pages.
    pub(crate) fn samples(lang: Lang) -> Vec<(String, String)> {
        let f = sample::frame(lang, "console-issuers", "console-issuers-title");
        let rows = [issuer(1, false, 120), issuer(2, true, 0)].iter().map(|view| IssuerLine::of(lang, view)).collect();
        let list = IssuersPage { f, rows }.render().expect("a page");
        vec![
            ("console-issuers".into(), list),
            ("console-issuer".into(), rendered(lang, 2)),
            ("console-issuer-many".into(), rendered(lang, 101)),
            ("console-issuer-none".into(), rendered(lang, 0)),
        ]
    }

    #[test]
    fn the_next_page_begins_after_the_last_one_shown() {
        assert!(rendered(Lang::Ja, 101).contains("?after=100\""));
        assert!(!rendered(Lang::Ja, 2).contains("?after="));
    }
}
