//! 連絡先とお知らせ: who is told when certificates end, whether mail arrives there, and what was sent lately. What the mail server says stays
//! with the operator; the page says what it means.

use std::collections::HashMap;

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use http::{StatusCode, Uri};
use tegata_authority::{Letterhead, NewContact, NotifyError, Sending};
use tegata_core::contact::{Contact, LONGEST_LABEL, Language, MOST_CONTACTS};

use super::Admin;
use crate::csrf::CheckedForm;
use crate::error::Failure;
use crate::frame::{Frame, Moment, page};
use crate::i18n::Lang;
use crate::portal::bundle::attachment;
use crate::portal::see_other;
use crate::session::LoggedIn;
use crate::visit::{Visit, query};
use crate::{PortalConfig, Shared};

/// How many of the last notices are shown.
const SHOWN: u32 = 30;

#[derive(Template)]
#[template(path = "admin-notices.html")]
struct NoticesPage {
    f: Frame,
    /// Whether the operator has set up mail.
    sends: bool,
    contacts: Vec<Line>,
    /// Whether another contact may be added.
    room: bool,
    sent: Vec<Line>,
    /// The end of the key of what was just done.
    done: Option<&'static str>,
    /// What is wrong with what was sent.
    error: Option<String>,
    /// What was typed.
    name: String,
    address: String,
    english: bool,
}

/// A contact with the last mail to it, or a mail.
struct Line {
    id: i64,
    name: String,
    address: String,
    language: &'static str,
    what: &'static str,
    at: Option<Moment>,
    /// `none`, `sent`, `waits`, `later` or `failed`.
    result: &'static str,
    /// When it is tried again.
    next: Option<Moment>,
}

impl Line {
    /// The class of its mark.
    fn mark(&self) -> &'static str {
        match self.result {
            "sent" => "valid",
            "failed" => "expired",
            "later" => "urgent",
            _ => "due",
        }
    }
}

/// `GET /admin/notices`
pub(crate) async fn show(
    State(state): State<Shared>,
    visit: Visit,
    Admin(login): Admin,
    uri: Uri,
) -> Result<Response, Failure> {
    let mut shown = notices(&state, &visit, &login).await?;
    let done = query(&uri, "done");
    shown.done = ["added", "removed", "tested"].into_iter().find(|known| done == Some(*known));
    page(StatusCode::OK, &shown)
}

/// `POST /admin/notices`
pub(crate) async fn add(
    State(state): State<Shared>,
    visit: Visit,
    Admin(login): Admin,
    CheckedForm(fields): CheckedForm,
) -> Result<Response, Failure> {
    let language = match fields.text("language") {
        "en" => Language::En,
        _ => Language::Ja,
    };
    let new =
        NewContact { address: fields.text("address").to_owned(), label: fields.text("name").to_owned(), language };
    let customer = &login.admitted.identity.customer;
    match state.authority.add_contact(&login.session.actor, customer, new, &head(&state.portal)).await {
        Ok(()) => Ok(see_other("/admin/notices?done=added")),
        Err(error) => {
            let mut shown = notices(&state, &visit, &login).await?;
            shown.error = Some(said(visit.lang, error)?);
            shown.name = fields.text("name").chars().take(LONGEST_LABEL).collect();
            shown.address = fields.text("address").chars().take(254).collect();
            shown.english = language == Language::En;
            page(StatusCode::UNPROCESSABLE_ENTITY, &shown)
        }
    }
}

/// `POST /admin/notices/{contact}`
pub(crate) async fn act(
    State(state): State<Shared>,
    visit: Visit,
    Admin(login): Admin,
    Path(contact): Path<String>,
    CheckedForm(fields): CheckedForm,
) -> Result<Response, Failure> {
    let id: i64 = contact.parse().map_err(|_| Failure::NoSuchPage)?;
    let (actor, customer) = (&login.session.actor, &login.admitted.identity.customer);
    let done = match fields.text("act") {
        "test" => {
            let tested = state.authority.test_contact(actor, customer, Some(id), &head(&state.portal)).await;
            tested.map(|_| "/admin/notices?done=tested")
        }
        "remove" => {
            let removed = state.authority.remove_contact(actor, customer.id, id).await;
            removed.map(|()| "/admin/notices?done=removed")
        }
        _ => return Err(Failure::BadForm),
    };
    match done {
        Ok(there) => Ok(see_other(there)),
        Err(error) => {
            let words = said(visit.lang, error)?;
            let mut shown = notices(&state, &visit, &login).await?;
            shown.error = Some(words);
            page(StatusCode::UNPROCESSABLE_ENTITY, &shown)
        }
    }
}

/// `GET /admin/calendar.ics`
pub(crate) async fn calendar(
    State(state): State<Shared>,
    visit: Visit,
    Admin(login): Admin,
) -> Result<Response, Failure> {
    let (actor, customer) = (&login.session.actor, login.session.customer);
    let words = (language(visit.lang), state.portal.service_name.as_str());
    let made = state.authority.calendar(actor, customer, words).await;
    let text = made.map_err(|error| Failure::internal("writing a calendar", &error))?;
    let name = format!("tegata-{customer}.ics");
    Ok(attachment("text/calendar; charset=utf-8", &name, text.into_bytes()))
}

fn language(lang: Lang) -> Language {
    match lang {
        Lang::Ja => Language::Ja,
        Lang::En => Language::En,
    }
}

/// Who writes, for a first or a test mail.
fn head(portal: &PortalConfig) -> Letterhead {
    Letterhead {
        service: portal.service_name.clone(),
        operator: portal.operator_name.clone(),
        phone: portal.support_phone.clone(),
        hours: portal.support_hours.clone(),
        url: portal.own_url.clone(),
    }
}

/// What a refusal means.
fn said(lang: Lang, error: NotifyError) -> Result<String, Failure> {
    Ok(match error {
        NotifyError::Forbidden => return Err(Failure::NotAdmin),
        NotifyError::Address => lang.t("notices-bad-address"),
        NotifyError::Label => lang.t("notices-bad-name"),
        NotifyError::Known => lang.t("notices-known"),
        NotifyError::TooMany => lang.t("notices-full"),
        NotifyError::TooOften => lang.t("notices-too-often"),
        NotifyError::NoSuchContact => return Err(Failure::NoSuchPage),
        NotifyError::Internal(error) => return Err(Failure::internal("changing a contact", &error)),
    })
}

async fn notices(state: &Shared, visit: &Visit, login: &LoggedIn) -> Result<NoticesPage, Failure> {
    let (actor, customer) = (&login.session.actor, login.session.customer);
    let failed = |error| Failure::internal("reading the notices", &error);
    let contacts = state.authority.contacts(actor, customer).await.map_err(failed)?;
    let sent = state.authority.sendings(actor, customer, 200).await.map_err(failed)?;
    let f = Frame::new(&state.portal, visit, "admin-notices", "notices-title").of(login);
    Ok(filled(f, state.portal.sends_mail, contacts, &sent))
}

fn filled(f: Frame, sends: bool, contacts: Vec<Contact>, sent: &[Sending]) -> NoticesPage {
    let lang = f.lang;
    let names: HashMap<&str, &str> = contacts.iter().map(|c| (c.address.as_str(), c.label.as_str())).collect();
    let lines = sent.iter().take(SHOWN as usize).map(|sending| {
        let name = names.get(sending.recipient.as_str()).copied().unwrap_or_default().to_owned();
        line(lang, (0, name, sending.recipient.clone(), ""), Some(sending))
    });
    let sent_lines = lines.collect();
    let contact_line = |contact: &Contact| {
        let last = sent.iter().find(|sending| sending.recipient == contact.address.as_str());
        let who = (contact.id, contact.label.clone(), contact.address.to_string(), contact.language.as_str());
        line(lang, who, last)
    };
    NoticesPage {
        sends,
        room: contacts.len() < MOST_CONTACTS,
        contacts: contacts.iter().map(contact_line).collect(),
        sent: sent_lines,
        done: None,
        error: None,
        name: String::new(),
        address: String::new(),
        english: lang == Lang::En,
        f,
    }
}

fn line(
    lang: Lang,
    (id, name, address, language): (i64, String, String, &'static str),
    sending: Option<&Sending>,
) -> Line {
    let moment = |at| Moment::of(lang, at);
    let (result, next) = match sending {
        None => ("none", None),
        Some(Sending { delivered_at: Some(_), .. }) => ("sent", None),
        Some(Sending { given_up: true, .. }) => ("failed", None),
        Some(Sending { failed: true, next_at, .. }) => ("later", Some(moment(*next_at))),
        Some(_) => ("waits", None),
    };
    let at = sending.map(|sending| moment(sending.delivered_at.unwrap_or(sending.created_at)));
    let what = if sending.is_some_and(|sending| sending.test) { "test" } else { "digest" };
    Line { id, name, address, language, what, at, result, next }
}

#[cfg(test)]
pub(crate) mod tests {
    use tegata_core::id::CustomerId;
    use tegata_core::time::Timestamp;

    use super::*;
    use crate::frame::sample;

    fn contact(id: i64, label: &str, address: &str) -> Contact {
        Contact {
            id,
            customer: CustomerId::new(1).expect("valid"),
            address: address.parse().expect("an address"),
            label: label.into(),
            language: Language::Ja,
            created_at: Timestamp(0),
        }
    }

    fn sending(address: &str, delivered: bool, failed: bool, given_up: bool) -> Sending {
        let at = Timestamp::parse("2026-11-24T00:00:00Z").expect("valid");
        Sending {
            recipient: address.into(),
            test: false,
            created_at: at,
            next_at: at.plus_seconds(300),
            delivered_at: delivered.then_some(at),
            failed,
            given_up,
        }
    }

    fn rendered(lang: Lang, sends: bool, empty: bool) -> String {
        let f = sample::frame(lang, "admin-notices", "notices-title");
        let contacts = [contact(1, "受付1", "jimu@clinic.example.jp"), contact(2, "診察室", "a@b.example.jp")];
        let sent = [
            sending("jimu@clinic.example.jp", true, false, false),
            sending("a@b.example.jp", false, true, false),
            sending("a@b.example.jp", false, true, true),
            sending("gone@clinic.example.jp", false, false, false),
        ];
        let mut shown = if empty { filled(f, sends, vec![], &[]) } else { filled(f, sends, contacts.to_vec(), &sent) };
        if empty {
            shown.error = Some(lang.t("notices-bad-address"));
            shown.address = "jimu@".into();
        } else {
            shown.done = Some("tested");
        }
        shown.render().expect("a page")
    }

    /// Samples of this page.
    pub(crate) fn samples(lang: Lang) -> Vec<(String, String)> {
        vec![
            ("admin-notices".into(), rendered(lang, true, false)),
            ("admin-notices-none".into(), rendered(lang, false, true)),
        ]
    }

    #[test]
    fn each_contact_says_whether_mail_arrived_and_when_it_is_tried_again() {
        let html = rendered(Lang::Ja, true, false);
        for part in ["送信しました", "まだ送れていません", "9:05", "送れませんでした", "送信待ち", "期限のお知らせ"]
        {
            assert!(html.contains(part), "{part}\n{html}");
        }
        let none = rendered(Lang::Ja, false, true);
        assert!(none.contains("だれにもお知らせが届きません") && none.contains("id=\"no-mail\""), "{none}");
        assert!(none.contains("value=\"jimu@\""), "what was typed is kept");
    }
}
