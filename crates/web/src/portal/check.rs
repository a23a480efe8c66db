//! 証明書の確認: which certificate was shown just now, the old one or the new one, until when each lives, and that either may be chosen.
//! Needs no login: after an import this is the first page that a browser opens at another name.

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use tegata_authority::RenewalView;
use tegata_core::cert::{CertRecord, Progress};
use tegata_core::id::Serial;
use tegata_core::peer::PeerCert;

use super::another_url;
use crate::error::Failure;
use crate::frame::{Frame, Moment, page};
use crate::gate::Admitted;
use crate::visit::Visit;
use crate::{PortalConfig, Shared};

#[derive(Template)]
#[template(path = "check.html")]
struct CheckPage {
    f: Frame,
    verdict: Verdict,
    serial: String,
    not_after: Moment,
    days_left: i64,
    certificates: Vec<Row>,
    another: Option<String>,
    /// The address people log in at; this page may be open at another name of the server, where no session is.
    home: String,
}

/// Which one was shown.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// The terminal has only this one.
    Only,
    /// The newest.
    New,
    /// There is a newer one.
    Old,
}

struct Row {
    serial: String,
    not_after: Moment,
    progress: &'static str,
    shown: bool,
}

/// `GET /check`
pub(crate) async fn show(State(state): State<Shared>, visit: Visit, admitted: Admitted) -> Result<Response, Failure> {
    let view = state.authority.renewal_view(&admitted.identity).await;
    let view: RenewalView = view.map_err(|error| Failure::internal("looking at a terminal's certificates", &error))?;
    let f = Frame::new(&state.portal, &visit, "check", "check-title").at(&admitted);
    let days_left = admitted.cert.not_after.jst_days_from(state.authority.now()).0;
    page(StatusCode::OK, &check(f, &admitted.cert, days_left, &view.certificates, &state.portal, &visit.host))
}

fn check(
    f: Frame,
    cert: &PeerCert,
    days_left: i64,
    all: &[CertRecord],
    portal: &PortalConfig,
    host: &str,
) -> CheckPage {
    let row = |record: &CertRecord| Row {
        serial: record.serial.to_string(),
        not_after: Moment::of(f.lang, record.not_after),
        progress: progress(record),
        shown: record.serial == cert.serial,
    };
    CheckPage {
        verdict: verdict(cert.serial, all),
        serial: cert.serial.to_string(),
        not_after: Moment::of(f.lang, cert.not_after),
        days_left,
        certificates: all.iter().map(row).collect(),
        another: another_url(portal, host),
        home: portal.own_url.trim_end_matches('/').to_owned(),
        f,
    }
}

/// `all` begins with the newest.
fn verdict(shown: Serial, all: &[CertRecord]) -> Verdict {
    match all {
        [newest, _, ..] if newest.serial == shown => Verdict::New,
        [_, _, ..] => Verdict::Old,
        _ => Verdict::Only,
    }
}

/// The key of how far a certificate has come.
fn progress(record: &CertRecord) -> &'static str {
    match record.progress() {
        Progress::Issued => "check-progress-issued",
        Progress::Downloaded => "check-progress-downloaded",
        Progress::Used => "check-progress-used",
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::frame::sample;
    use crate::i18n::Lang;
    use tegata_core::id::{CertificateId, CustomerId, Fingerprint, IssuerId, TerminalId};
    use tegata_core::profile::KeyKind;
    use tegata_core::time::Timestamp;

    fn record(end: &str, used: bool) -> CertRecord {
        let not_after = Timestamp::parse(end).expect("valid");
        CertRecord {
            id: CertificateId(1),
            fingerprint: Fingerprint([0; 32]),
            serial: Serial::build(not_after, [7; 12]),
            issuer: IssuerId(1),
            terminal: TerminalId::from_random([1; 16]),
            customer: CustomerId::new(1).expect("valid"),
            line: tegata_core::id::CertificateId(1),
            profile: "terminal".into(),
            key_kind: KeyKind::Rsa3072,
            not_before: Timestamp(0),
            not_after,
            issued_at: Timestamp(0),
            renewed_from: None,
            downloaded_at: None,
            used_at: used.then_some(Timestamp(1)),
            revoked: None,
        }
    }

    fn peer(record: &CertRecord) -> PeerCert {
        PeerCert {
            fingerprint: record.fingerprint,
            serial: record.serial,
            issuer: record.issuer,
            terminal: record.terminal,
            purpose: tegata_core::profile::Purpose::Client,
            not_before: record.not_before,
            not_after: record.not_after,
        }
    }

    /// Samples of this page.
    pub(crate) fn samples(lang: Lang) -> Vec<(String, String)> {
        let both = [record("2030-01-22", true), record("2027-01-21", true)];
        let render = |name: &str, shown: &CertRecord, all: &[CertRecord]| {
            let mut f = sample::frame(lang, "check", "check-title");
            f.user = None;
            let page = check(f, &peer(shown), 60, all, &sample::portal(), "localhost:8443");
            (name.to_owned(), page.render().expect("a page"))
        };
        vec![
            render("check-new", &both[0], &both),
            render("check-old", &both[1], &both),
            render("check-only", &both[1], &both[1..]),
        ]
    }

    #[test]
    fn the_page_says_which_one_was_shown() {
        let pages = samples(Lang::Ja);
        for (name, html) in &pages {
            assert!(html.contains("id=\"presented-serial\""), "{name}");
        }
        assert!(pages[0].1.contains("新しい証明書で接続できました"));
        assert!(pages[1].1.contains("id=\"choose-again\""));
        assert!(!pages[2].1.contains("id=\"choose-again\""));
    }
}
