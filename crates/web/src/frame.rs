//! What all pages share: language, title, names, the way back, the form token. Templates call its methods for their words.

use std::borrow::Borrow;
use std::fmt::Display;

use askama::Template;
use axum::response::{Html, IntoResponse, Response};
use http::StatusCode;
use tegata_core::time::Timestamp;

use crate::error::Failure;
use crate::gate::Admitted;
use crate::i18n::Lang;
use crate::session::LoggedIn;
use crate::visit::Visit;
use crate::{PortalConfig, assets};

/// The frame around a page.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    pub(crate) lang: Lang,
    /// `data-page` of the body.
    pub(crate) page: &'static str,
    /// `data-reason` of the body, on landing pages.
    pub(crate) reason: Option<&'static str>,
    /// The title, in words.
    pub(crate) title: String,
    pub(crate) service: String,
    pub(crate) operator: String,
    pub(crate) phone: Option<String>,
    pub(crate) hours: Option<String>,
    /// Where the language switch comes back to.
    pub(crate) back: String,
    pub(crate) token: String,
    /// The terminal's name, where it is known.
    pub(crate) terminal: Option<String>,
    /// Who is logged in.
    pub(crate) user: Option<String>,
    /// Whether that is an administrator.
    pub(crate) admin: bool,
    /// Whether that is one of the operator's staff.
    pub(crate) staff: bool,
    /// Where this is only a picture of what somebody else sees.
    pub(crate) preview: Option<Preview>,
}

/// A picture of another terminal's page.
#[derive(Clone, Debug)]
pub(crate) struct Preview {
    /// Whose page it is.
    pub(crate) terminal: String,
    /// Where it is left for.
    pub(crate) back: String,
}

impl Frame {
    /// For anybody. `title` is a key.
    pub(crate) fn new(portal: &PortalConfig, visit: &Visit, page: &'static str, title: &str) -> Self {
        Self {
            lang: visit.lang,
            page,
            reason: None,
            title: visit.lang.t(title),
            service: portal.service_name.clone(),
            operator: portal.operator_name.clone(),
            phone: portal.support_phone.clone(),
            hours: portal.support_hours.clone(),
            back: visit.back.clone(),
            token: visit.token.clone(),
            terminal: None,
            user: None,
            admin: false,
            staff: false,
            preview: None,
        }
    }

    /// For a terminal that passed the gate.
    pub(crate) fn at(mut self, admitted: &Admitted) -> Self {
        self.terminal = Some(admitted.identity.terminal.name.clone());
        self
    }

    /// For somebody who is logged in.
    pub(crate) fn of(mut self, login: &LoggedIn) -> Self {
        self.user = Some(login.user());
        self.admin = crate::admin::is_admin(login);
        self.staff = crate::console::is_staff(login);
        self.at(&login.admitted)
    }

    /// The words behind a key.
    pub(crate) fn t(&self, key: &str) -> String {
        self.lang.t(key)
    }

    /// With one name filled in.
    pub(crate) fn t1(&self, key: &str, name: &str, value: impl Display) -> String {
        self.lang.t1(key, name, value)
    }

    /// With two names filled in.
    pub(crate) fn t2(&self, key: &str, one: &str, first: impl Display, two: &str, second: impl Display) -> String {
        self.lang.t2(key, one, first, two, second)
    }

    /// With a number filled in.
    pub(crate) fn count(&self, key: &str, count: impl Borrow<i64>) -> String {
        self.lang.count(key, count)
    }

    /// The address of an asset.
    pub(crate) fn asset(&self, name: &str) -> String {
        assets::address(name)
    }

    /// The address of the picture of an import step.
    pub(crate) fn step_picture(&self, step: &i64) -> String {
        assets::address(&format!("import/step{step}-{}.svg", self.lang.as_str()))
    }

    /// The support's number as a link dials it.
    pub(crate) fn dial(&self) -> String {
        let digits = |c: &char| c.is_ascii_digit() || *c == '+';
        self.phone.iter().flat_map(|phone| phone.chars()).filter(digits).collect()
    }
}

/// A point in time, for a page: in words and for machines.
#[derive(Clone, Debug)]
pub(crate) struct Moment {
    /// With the time of day.
    pub(crate) date_time: String,
    /// RFC 3339.
    pub(crate) machine: String,
}

impl Moment {
    /// In a language's words.
    pub(crate) fn of(lang: Lang, at: Timestamp) -> Self {
        Self { date_time: lang.date_time(at), machine: at.to_string() }
    }
}

/// A template as an answer.
pub(crate) fn page(status: StatusCode, template: &impl Template) -> Result<Response, Failure> {
    let html = template.render().map_err(|error| Failure::internal("writing a page", &error))?;
    Ok((status, Html(html)).into_response())
}

/// A sample of a page in each language, for the tests of all pages.
#[cfg(test)]
pub(crate) mod sample {
    use super::*;

    /// The operator's settings of the samples.
    pub(crate) fn portal() -> PortalConfig {
        PortalConfig {
            service_name: "Tegata".into(),
            operator_name: "みどり医療情報センター".into(),
            support_phone: Some("0120-000-000".into()),
            support_hours: Some("平日 8:30〜18:00".into()),
            own_url: "https://localhost:8443".into(),
            alias_urls: vec!["https://alt1.localhost:8443".into(), "https://alt2.localhost:8443".into()],
            sends_mail: true,
            applications: vec![crate::Tile {
                name_ja: "日医標準レセプトソフト".into(),
                name_en: "Receipt computer".into(),
                url: "https://app.example.jp/".into(),
            }],
        }
    }

    /// A visit by a browser.
    pub(crate) fn visit(lang: Lang) -> Visit {
        Visit {
            lang,
            host: "localhost:8443".into(),
            back: "/menu".into(),
            visitor: "v".into(),
            token: "token".into(),
            browser: true,
            format: tegata_pki::pkcs12::Format::Standard,
            remembered: None,
        }
    }

    /// A frame as a logged-in visitor at 受付1 gets it.
    pub(crate) fn frame(lang: Lang, page: &'static str, title: &str) -> Frame {
        let mut frame = Frame::new(&portal(), &visit(lang), page, title);
        frame.terminal = Some("受付1".into());
        frame.user = Some("uketsuke".into());
        frame
    }

    /// A point in time.
    pub(crate) fn moment(lang: Lang, text: &str) -> Moment {
        Moment::of(lang, Timestamp::parse(text).expect("a valid time in a sample"))
    }
}
