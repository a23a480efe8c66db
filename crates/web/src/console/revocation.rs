//! Revoking everything of a customer or of an issuing CA. The page names how many certificates that are; whoever orders it types that number,
//! so that nobody revokes 4,000 where 40 were meant.

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use http::StatusCode;
use tegata_authority::{RevocationOrder, RevocationTarget, RevokeAllError};
use tegata_core::cert::RevocationReason;
use tegata_core::id::IssuerId;

use super::{Officer, find_customer, find_issuer};
use crate::Shared;
use crate::csrf::CheckedForm;
use crate::error::Failure;
use crate::form::Fields;
use crate::frame::{Frame, page};
use crate::portal::see_other;
use crate::session::LoggedIn;
use crate::visit::Visit;

#[derive(Template)]
#[template(path = "console-revocation.html")]
struct RevocationPage {
    f: Frame,
    /// The customer's or the issuing CA's name.
    whose: String,
    /// Where it is sent to, and the page that one comes from.
    action: String,
    back: String,
    count: i64,
    /// Each with whether it was chosen.
    reasons: Vec<(&'static str, bool)>,
    /// What was written.
    because: String,
    error: Option<String>,
}

/// Whose certificates, with the words and addresses of the page.
struct Whose {
    target: RevocationTarget,
    name: String,
    back: String,
}

async fn of_customer(state: &Shared, login: &LoggedIn, id: &str) -> Result<Whose, Failure> {
    let customer = find_customer(state, &login.session.actor, id).await?;
    let back = format!("/console/customers/{}", customer.id);
    Ok(Whose { target: RevocationTarget::Customer(customer.id), name: customer.name, back })
}

async fn of_issuer(state: &Shared, login: &LoggedIn, id: &str) -> Result<Whose, Failure> {
    let issuer = find_issuer(state, &login.session.actor, id).await?;
    let back = format!("/console/issuers/{}", issuer.id);
    Ok(Whose { target: RevocationTarget::Issuer(IssuerId(issuer.id.0)), name: issuer.name, back })
}

/// `GET /console/customers/{customer}/revocation`
pub(crate) async fn customer(
    State(state): State<Shared>,
    visit: Visit,
    Officer(login): Officer,
    Path(id): Path<String>,
) -> Result<Response, Failure> {
    let whose = of_customer(&state, &login, &id).await?;
    page(StatusCode::OK, &form(&state, &visit, &login, whose).await?)
}

/// `POST /console/customers/{customer}/revocation`
pub(crate) async fn revoke_customer(
    State(state): State<Shared>,
    visit: Visit,
    Officer(login): Officer,
    Path(id): Path<String>,
    CheckedForm(fields): CheckedForm,
) -> Result<Response, Failure> {
    let whose = of_customer(&state, &login, &id).await?;
    order(&state, (&visit, &login), whose, &fields).await
}

/// `GET /console/issuers/{issuer}/revocation`
pub(crate) async fn issuer(
    State(state): State<Shared>,
    visit: Visit,
    Officer(login): Officer,
    Path(id): Path<String>,
) -> Result<Response, Failure> {
    let whose = of_issuer(&state, &login, &id).await?;
    page(StatusCode::OK, &form(&state, &visit, &login, whose).await?)
}

/// `POST /console/issuers/{issuer}/revocation`
pub(crate) async fn revoke_issuer(
    State(state): State<Shared>,
    visit: Visit,
    Officer(login): Officer,
    Path(id): Path<String>,
    CheckedForm(fields): CheckedForm,
) -> Result<Response, Failure> {
    let whose = of_issuer(&state, &login, &id).await?;
    order(&state, (&visit, &login), whose, &fields).await
}

async fn order(
    state: &Shared,
    (visit, login): (&Visit, &LoggedIn),
    whose: Whose,
    fields: &Fields,
) -> Result<Response, Failure> {
    let because: String = fields.text("because").chars().take(300).collect();
    let reason = RevocationReason::parse(fields.text("why"));
    let count: Option<u32> = fields.text("count").trim().replace(',', "").parse().ok();
    let error = match (reason, count) {
        (None, _) => visit.lang.t("console-reason-needed"),
        (_, None) => visit.lang.t("console-count-needed"),
        (Some(reason), Some(count)) => {
            let order = RevocationOrder { target: whose.target, reason, because: because.clone(), count };
            match state.authority.revoke_all(&login.session.actor, order).await {
                Ok(_) => return Ok(see_other(&whose.back)),
                Err(RevokeAllError::Forbidden) => return Err(Failure::NotOfficer),
                Err(RevokeAllError::OwnTerminal) => visit.lang.t("console-revocation-own"),
                Err(RevokeAllError::Because) => visit.lang.t("admin-reason-needed"),
                Err(RevokeAllError::Count { .. }) => visit.lang.t("console-count-needed"),
                Err(RevokeAllError::Internal(error)) => {
                    return Err(Failure::internal("revoking certificates", &error));
                }
            }
        }
    };
    let mut shown = form(state, visit, login, whose).await?;
    (shown.error, shown.because) = (Some(error), because);
    let chosen = reason.map(RevocationReason::as_str);
    shown.reasons.iter_mut().for_each(|(word, is)| *is = Some(*word) == chosen);
    page(StatusCode::UNPROCESSABLE_ENTITY, &shown)
}

async fn form(state: &Shared, visit: &Visit, login: &LoggedIn, whose: Whose) -> Result<RevocationPage, Failure> {
    let count = state.authority.revocable(&login.session.actor, whose.target).await;
    let count = count.map_err(|error| Failure::internal("counting certificates", &error))?;
    let f = Frame::new(&state.portal, visit, "console-revocation", "console-revocation-title").of(login);
    Ok(bare(f, whose, count))
}

fn bare(f: Frame, whose: Whose, count: u32) -> RevocationPage {
    RevocationPage {
        whose: whose.name,
        action: format!("{}/revocation", whose.back),
        back: whose.back,
        count: count.into(),
        reasons: RevocationReason::ALL.iter().map(|(_, word)| (*word, false)).collect(),
        because: String::new(),
        error: None,
        f,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use tegata_core::id::CustomerId;

    use super::*;
    use crate::frame::sample;
    use crate::i18n::Lang;

    fn rendered(lang: Lang, error: Option<&str>) -> String {
        let target = RevocationTarget::Customer(CustomerId::new(1).expect("valid"));
        let whose = Whose { target, name: "みどり医院".into(), back: "/console/customers/u00000001".into() };
        let f = sample::frame(lang, "console-revocation", "console-revocation-title");
        let mut page = bare(f, whose, 12);
        page.error = error.map(|key| lang.t(key));
        page.reasons.iter_mut().for_each(|(word, is)| *is = error.is_some() && *word == "superseded");
        page.render().expect("a page")
    }

    /// Samples of this page.
    pub(crate) fn samples(lang: Lang) -> Vec<(String, String)> {
        vec![
            ("console-revocation".into(), rendered(lang, None)),
            ("console-revocation-error".into(), rendered(lang, Some("console-count-needed"))),
        ]
    }

    #[test]
    fn the_number_is_on_the_page_and_has_to_be_typed() {
        let html = rendered(Lang::Ja, None);
        assert!(html.contains("12枚") && html.contains("name=\"count\""), "{html}");
        assert!(!html.contains("value=\"12\""), "nobody types it for whoever orders it");
        assert!(rendered(Lang::Ja, Some("console-count-needed")).contains("<option value=\"superseded\" selected>"));
    }
}
