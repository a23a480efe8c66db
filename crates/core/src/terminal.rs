//! Terminals: the PCs and tablets that certificates are made for, and the names their certificates and files carry.

use jiff::civil::Date;

use crate::cert::{CertRecord, Progress};
use crate::customer::{Customer, CustomerCode};
use crate::id::{CertificateId, ClientNumber, CustomerId, TerminalId};
use crate::time::{Days, Timestamp};

/// One terminal of a customer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terminal {
    /// Its id for life, in the SAN of its certificates.
    pub id: TerminalId,
    /// Whose it is.
    pub customer: CustomerId,
    /// Its number within the customer, in the subject of its certificates.
    pub client: ClientNumber,
    /// What people call it: 受付1.
    pub name: String,
    /// When it was registered.
    pub created_at: Timestamp,
    /// When it was taken out of service; it gets no certificate any more.
    pub retired_at: Option<Timestamp>,
    /// When it was said that its key may be in other hands. From then on nobody recovers it, until an operator issues it another certificate.
    pub blocked_at: Option<Timestamp>,
    /// The day (JST) on which somebody last pressed 「あとで」.
    pub deferred_on: Option<Date>,
}

/// The longest note about a terminal, in characters.
pub const LONGEST_NOTE: usize = 40;

/// What else is known of a terminal. Decides nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Where it stands, as its administrator wrote it; may be empty.
    pub place: String,
    /// What runs on it, as its administrator wrote it; may be empty.
    pub system: String,
    /// When it was here last, to the hour.
    pub seen_at: Option<Timestamp>,
    /// What its browser said at that time that runs on it.
    pub seen_system: Option<String>,
}

/// Whether a visit is written down: once an hour is enough, and keeps visits cheap.
pub fn is_news(written: Option<Timestamp>, now: Timestamp) -> bool {
    written.is_none_or(|written| now.0.saturating_sub(written.0) >= 3600)
}

/// The distinguished name of a terminal: the same for all its certificates, for its whole life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// countryName, `JP`.
    pub country: &'static str,
    /// organizationName: the customer's name, at most 64 characters (RFC 5280 appendix A.1, ub-organization-name).
    pub organization: String,
    /// commonName: `JP_u00000001_client0001`.
    pub common_name: String,
}

impl Subject {
    /// Whose terminal a commonName says it is, and which one; the other way round of [`Terminal::subject`].
    pub fn read(common_name: &str) -> Option<(CustomerId, ClientNumber)> {
        let (customer, client) = common_name.strip_prefix("JP_")?.split_once('_')?;
        Some((customer.parse().ok()?, client.parse().ok()?))
    }
}

impl Terminal {
    /// What its certificates say it is. Comes from the register, never from an older certificate.
    pub fn subject(&self, customer: &Customer) -> Subject {
        Subject {
            country: "JP",
            organization: customer.name.chars().take(64).collect(),
            common_name: format!("JP_{}_{}", self.customer, self.client),
        }
    }
}

/// How a terminal stands, in the words of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Condition {
    /// Its last certificate has expired: it is locked out.
    Expired,
    /// Its last certificate was revoked: it is locked out on purpose.
    Revoked,
    /// Its certificate ends within [`SOON`].
    EndsSoon,
    /// Its certificate can be renewed.
    Due,
    /// A new certificate waits to be fetched.
    Waiting,
    /// A new certificate was fetched and never used.
    Fetched,
    /// Its certificate is in use and has time.
    InUse,
    /// It never had a certificate.
    Empty,
    /// It was taken out of service.
    Retired,
}

/// Within how many days an end is near.
pub const SOON: Days = Days(30);

impl Condition {
    /// Every condition, those that need help first.
    pub const ALL: [Self; 9] = [
        Self::Expired,
        Self::Revoked,
        Self::EndsSoon,
        Self::Due,
        Self::Waiting,
        Self::Fetched,
        Self::InUse,
        Self::Empty,
        Self::Retired,
    ];

    /// From its word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|condition| condition.as_str() == word)
    }

    /// The word of each, in files and at the end of keys of words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::Revoked => "revoked",
            Self::EndsSoon => "ends-soon",
            Self::Due => "due",
            Self::Waiting => "waiting",
            Self::Fetched => "fetched",
            Self::InUse => "in-use",
            Self::Empty => "empty",
            Self::Retired => "retired",
        }
    }
}

impl Terminal {
    /// How it stands, and until when it can connect. `all` are its certificates, of which those count that are made by the profile that
    /// people's browsers show; `waiting` is the one that can be fetched.
    pub fn condition(
        &self,
        all: &[CertRecord],
        waiting: Option<CertificateId>,
        (profile, window): (&str, Days),
        now: Timestamp,
    ) -> (Condition, Option<Timestamp>) {
        let theirs: Vec<&CertRecord> =
            all.iter().filter(|cert| cert.profile == profile && cert.exists(waiting)).collect();
        let latest = |counts: &dyn Fn(&CertRecord) -> bool| {
            theirs.iter().copied().filter(|cert| counts(cert)).max_by_key(|cert| (cert.not_after, cert.id))
        };
        let lives = |cert: &CertRecord| cert.revoked.is_none() && cert.not_after >= now;
        let in_use = latest(&|cert| lives(cert) && cert.progress() == Progress::Used);
        let until = in_use.map(|cert| cert.not_after);
        if self.retired_at.is_some() {
            return (Condition::Retired, None);
        }
        let Some(newest) = latest(&lives) else {
            let condition = match theirs.iter().max_by_key(|cert| (cert.issued_at, cert.id)) {
                None => Condition::Empty,
                Some(last) if last.revoked.is_some() || self.blocked_at.is_some() => Condition::Revoked,
                Some(_) => Condition::Expired,
            };
            return (condition, None);
        };
        let condition = match newest.progress() {
            Progress::Issued => Condition::Waiting,
            Progress::Downloaded => Condition::Fetched,
            Progress::Used => match newest.not_after.jst_days_from(now) {
                left if left <= SOON.min(window) => Condition::EndsSoon,
                left if left <= window => Condition::Due,
                _ => Condition::InUse,
            },
        };
        (condition, until)
    }
}

/// What a browser at a terminal shows to the gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown<'c> {
    /// This certificate, which is accepted.
    Accepted(&'c CertRecord),
    /// A certificate that was revoked.
    Revoked,
    /// None: browsers hide those that are past. The last one that was used, where there was one.
    Nothing(Option<&'c CertRecord>),
}

impl Terminal {
    /// What a browser shows in which all certificates were put that were fetched for this terminal: of those that are not past the one
    /// that ends last, which its chooser marks. A revoked one is offered like any other.
    pub fn shows<'c>(&self, all: &'c [CertRecord], profile: &str, now: Timestamp) -> Shown<'c> {
        let held = all.iter().filter(|cert| cert.profile == profile && cert.progress() != Progress::Issued);
        let latest = |a: &&CertRecord, b: &&CertRecord| (a.not_after, a.id).cmp(&(b.not_after, b.id));
        let offered = held.clone().filter(|cert| cert.not_before <= now && now <= cert.not_after).max_by(latest);
        match offered {
            Some(cert) if cert.revoked.is_some() => Shown::Revoked,
            Some(cert) => Shown::Accepted(cert),
            None => Shown::Nothing(held.filter(|cert| cert.progress() == Progress::Used).max_by(latest)),
        }
    }
}

/// How a bundle's file is called: text with `{customer6}`, `{user}`, `{client}` (three digits where they suffice, as the seed writes it)
/// and `{client4}` (always four).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileNameTemplate(String);

/// Why a template cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "file name template {0:?} is not usable: ASCII letters, digits, `-`, `_`, `.` and {{customer6}} {{user}} {{client}} {{client4}} only, ending in .p12"
)]
pub struct FileNameError(pub String);

impl FileNameTemplate {
    /// Checks a template by filling it in.
    pub fn new(template: &str) -> Result<Self, FileNameError> {
        let filled = fill(template, "000000", "u00000001", 1);
        let clean = filled.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
        let good = clean && filled.len() <= 100 && filled.ends_with(".p12") && !filled.starts_with('.');
        good.then(|| Self(template.to_owned())).ok_or_else(|| FileNameError(template.to_owned()))
    }

    /// The file name for a terminal, for example `103001_JP_u00000001_client001.p12`.
    pub fn file_name(&self, code: &CustomerCode, terminal: &Terminal) -> String {
        fill(&self.0, &code.to_string(), &terminal.customer.to_string(), terminal.client.number())
    }
}

fn fill(template: &str, code: &str, user: &str, client: u32) -> String {
    template
        .replace("{customer6}", code)
        .replace("{user}", user)
        .replace("{client4}", &format!("client{client:04}"))
        .replace("{client}", &format!("client{client:03}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_template_writes_the_name_of_the_seed() {
        let template = FileNameTemplate::new("{customer6}_JP_{user}_{client}.p12").expect("valid");
        let terminal = Terminal {
            id: TerminalId::from_random([1; 16]),
            customer: CustomerId::new(1).expect("valid"),
            client: ClientNumber::new(1).expect("valid"),
            name: "受付1".into(),
            created_at: Timestamp(0),
            retired_at: None,
            blocked_at: None,
            deferred_on: None,
        };
        let code = "103001".parse().expect("valid");
        assert_eq!(template.file_name(&code, &terminal), "103001_JP_u00000001_client001.p12");
    }

    #[test]
    fn a_visit_is_written_down_once_an_hour() {
        let check = |written: Option<i64>, now, expected| {
            assert_eq!(is_news(written.map(Timestamp), Timestamp(now)), expected, "{written:?} {now}");
        };
        check(None, 0, true);
        check(Some(0), 3599, false);
        check(Some(0), 3600, true);
        check(Some(5000), 0, false); // a clock that was put back
    }

    #[test]
    fn a_terminals_condition_is_that_of_what_it_holds() {
        let now = Timestamp::parse("2026-11-24").expect("valid");
        let terminal = Terminal {
            id: TerminalId::from_random([1; 16]),
            customer: CustomerId::new(1).expect("valid"),
            client: ClientNumber::new(1).expect("valid"),
            name: "受付1".into(),
            created_at: Timestamp(0),
            retired_at: None,
            blocked_at: None,
            deferred_on: None,
        };
        let cert = |id: i64, left: i64, progress: Progress| CertRecord {
            id: CertificateId(id),
            fingerprint: crate::id::Fingerprint([0; 32]),
            serial: crate::id::Serial::from_bytes([1; 16]),
            issuer: crate::id::IssuerId(1),
            terminal: terminal.id,
            customer: terminal.customer,
            line: CertificateId(1),
            profile: "terminal".into(),
            key_kind: crate::profile::KeyKind::P256,
            not_before: Timestamp(0),
            not_after: now.plus_days(Days(left)),
            issued_at: Timestamp(0),
            renewed_from: None,
            downloaded_at: (progress != Progress::Issued).then_some(now),
            used_at: (progress == Progress::Used).then_some(now),
            revoked: None,
        };
        let ask = |all: &[CertRecord], waiting| terminal.condition(all, waiting, ("terminal", Days(90)), now);
        let check = |left, expected| {
            let until = (left >= 0).then(|| now.plus_days(Days(left)));
            assert_eq!(ask(&[cert(1, left, Progress::Used)], None), (expected, until), "{left} days");
        };
        check(91, Condition::InUse);
        check(90, Condition::Due);
        check(31, Condition::Due);
        check(30, Condition::EndsSoon);
        check(0, Condition::EndsSoon);
        check(-1, Condition::Expired);
        let old = || cert(1, 60, Progress::Used);
        let end = Some(old().not_after);
        let second = Some(CertificateId(2));
        assert_eq!(ask(&[old(), cert(2, 900, Progress::Issued)], second), (Condition::Waiting, end));
        assert_eq!(ask(&[old(), cert(2, 900, Progress::Issued)], None), (Condition::Due, end), "forgotten");
        assert_eq!(ask(&[old(), cert(2, 900, Progress::Downloaded)], second), (Condition::Fetched, end));
        let gone =
            |cert: CertRecord| CertRecord { revoked: Some((now, crate::cert::RevocationReason::Unspecified)), ..cert };
        assert_eq!(ask(&[gone(old())], None), (Condition::Revoked, None));
        assert_eq!(ask(&[gone(old()), cert(2, 900, Progress::Used)], None).0, Condition::InUse);
        let agent = CertRecord { profile: "agent".into(), ..cert(3, 900, Progress::Used) };
        assert_eq!(ask(&[agent], None), (Condition::Empty, None));
        let retired = Terminal { retired_at: Some(now), ..terminal.clone() };
        assert_eq!(retired.condition(&[old()], None, ("terminal", Days(90)), now).0, Condition::Retired);
    }

    #[test]
    fn a_browser_shows_the_one_that_ends_last_and_hides_what_is_past() {
        let now = Timestamp::parse("2026-11-24").expect("valid");
        let terminal = Terminal {
            id: TerminalId::from_random([1; 16]),
            customer: CustomerId::new(1).expect("valid"),
            client: ClientNumber::new(1).expect("valid"),
            name: "受付1".into(),
            created_at: Timestamp(0),
            retired_at: None,
            blocked_at: None,
            deferred_on: None,
        };
        let cert = |id: i64, days: i64, used: bool| CertRecord {
            id: CertificateId(id),
            fingerprint: crate::id::Fingerprint([0; 32]),
            serial: crate::id::Serial::from_bytes([0; 16]),
            issuer: crate::id::IssuerId(1),
            terminal: terminal.id,
            customer: terminal.customer,
            line: CertificateId(1),
            profile: "terminal".into(),
            key_kind: crate::profile::KeyKind::P256,
            not_before: now.plus_days(Days(days - 1100)),
            not_after: now.plus_days(Days(days)),
            issued_at: now,
            renewed_from: None,
            downloaded_at: Some(now),
            used_at: used.then_some(now),
            revoked: None,
        };
        let (past, old, new) = (cert(1, -1, true), cert(2, 60, true), cert(3, 900, false));
        let shows = |all: &[CertRecord]| match terminal.shows(all, "terminal", now) {
            Shown::Accepted(cert) => cert.id.0,
            Shown::Revoked => -1,
            Shown::Nothing(last) => last.map_or(-2, |cert| -10 - cert.id.0),
        };
        assert_eq!(shows(&[past.clone(), old.clone(), new.clone()]), 3, "fetched is in the browser");
        let unfetched = CertRecord { downloaded_at: None, ..new.clone() };
        assert_eq!(shows(&[past.clone(), old.clone(), unfetched]), 2);
        let revoked =
            |cert: CertRecord| CertRecord { revoked: Some((now, crate::cert::RevocationReason::Unspecified)), ..cert };
        assert_eq!(shows(&[old, revoked(new)]), -1, "the chooser offers a revoked one like any other");
        assert_eq!((shows(std::slice::from_ref(&past)), shows(&[])), (-11, -2));
        let agents = CertRecord { profile: "agent".into(), ..cert(4, 30, true) };
        assert_eq!(shows(&[agents]), -2, "an agent's certificate is not in the browser");
    }

    #[test]
    fn a_template_that_leaves_the_folder_is_refused() {
        for wrong in ["../{client}.p12", "{client}.pfx", "{serial}.p12", "鍵.p12", "a\"b.p12", ".p12"] {
            assert!(FileNameTemplate::new(wrong).is_err(), "{wrong}");
        }
    }
}
