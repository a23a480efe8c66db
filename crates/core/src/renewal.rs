//! Who may get a new certificate, and when. The one rule for browsers, programs and agents alike; a [`Permit`] can only be made here.

use crate::access::Actor;
use crate::cert::CertRecord;
use crate::id::{CertificateId, CustomerId, TerminalId};
use crate::invitation::Accepted;
use crate::recovery::Right;
use crate::terminal::Terminal;
use crate::time::{Days, Timestamp};

/// Where a certificate stands in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Cut off for good.
    Revoked,
    /// Its first second is still to come.
    NotYetValid,
    /// Past its last second.
    Expired,
    /// Inside the renewal window.
    Due {
        /// Days until its end, 0 on its last day.
        days_left: Days,
    },
    /// Valid, and too early to renew.
    Fresh {
        /// Days until its end.
        days_left: Days,
    },
}

/// Where a certificate stands. Days are counted by midnights of Japan: with a window of 90, day 90 is due and day 91 is not.
pub fn standing(revoked: bool, not_before: Timestamp, not_after: Timestamp, window: Days, now: Timestamp) -> Standing {
    if revoked {
        return Standing::Revoked;
    }
    if now < not_before {
        return Standing::NotYetValid;
    }
    if now > not_after {
        return Standing::Expired; // the last second is valid: RFC 5280 section 4.1.2.5
    }
    let days_left = not_after.jst_days_from(now);
    if days_left <= window { Standing::Due { days_left } } else { Standing::Fresh { days_left } }
}

/// Permission to issue one certificate for one terminal. Spent by handing it over.
#[derive(Debug)]
pub struct Permit {
    terminal: TerminalId,
    customer: CustomerId,
    renewed_from: Option<CertificateId>,
    recovers: Option<CertificateId>,
    previous_end: Option<Timestamp>,
    unless_blocked: bool,
    moves: bool,
}

impl Permit {
    /// For which terminal.
    pub fn terminal(&self) -> TerminalId {
        self.terminal
    }

    /// Whose terminal that is.
    pub fn customer(&self) -> CustomerId {
        self.customer
    }

    /// The certificate that authenticated the request, where one did.
    pub fn renewed_from(&self) -> Option<CertificateId> {
        self.renewed_from
    }

    /// The certificate that is replaced without having been shown, where there is one.
    pub fn recovers(&self) -> Option<CertificateId> {
        self.recovers
    }

    /// Whether it is void once it was said that the terminal's key may be in other hands.
    pub fn unless_blocked(&self) -> bool {
        self.unless_blocked
    }

    /// Whether the terminal moves to another PC: its other certificates end when the new one is used.
    pub fn moves(&self) -> bool {
        self.moves
    }

    /// The end of the certificate before; its remaining days carry over.
    pub fn previous_end(&self) -> Option<Timestamp> {
        self.previous_end
    }
}

/// Why no permit was made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PermitError {
    /// The presented certificate is revoked.
    #[error("the certificate is revoked")]
    Revoked,
    /// The presented certificate has expired: it proves nothing any more.
    #[error("the certificate expired at {0}")]
    Expired(Timestamp),
    /// The presented certificate is not valid yet.
    #[error("the certificate is not valid before {0}")]
    NotYetValid(Timestamp),
    /// It is too early.
    #[error("the certificate has {days_left} days left; it can be renewed when {window} are left")]
    TooEarly {
        /// Days until its end.
        days_left: Days,
        /// The renewal window.
        window: Days,
    },
    /// The terminal was taken out of service.
    #[error("the terminal is out of service")]
    Retired,
    /// The terminal never had a certificate; its first one is the operator's to give.
    #[error("the terminal never had a certificate")]
    NeverIssued,
    /// The certificate is another terminal's.
    #[error("the certificate belongs to another terminal")]
    OtherTerminal,
    /// The actor may not do this.
    #[error("not permitted")]
    Forbidden,
}

/// Permission to renew: the certificate itself, still valid and inside the window, is the proof.
pub fn permit(cert: &CertRecord, terminal: &Terminal, window: Days, now: Timestamp) -> Result<Permit, PermitError> {
    permit_by(cert, cert, terminal, window, now)
}

/// Permission to renew one certificate of a terminal, where another valid one of the same terminal (its agent's, mostly) may be the proof.
/// The one to be renewed may then have expired, which no certificate can prove for itself; revoked ones are never renewed.
pub fn permit_by(
    proof: &CertRecord,
    renewed: &CertRecord,
    terminal: &Terminal,
    window: Days,
    now: Timestamp,
) -> Result<Permit, PermitError> {
    let permit = credential_permit(proof, terminal, now)?;
    if renewed.terminal != terminal.id {
        return Err(PermitError::OtherTerminal);
    }
    match standing(renewed.revoked.is_some(), renewed.not_before, renewed.not_after, window, now) {
        Standing::Revoked => Err(PermitError::Revoked),
        Standing::NotYetValid => Err(PermitError::NotYetValid(renewed.not_before)),
        Standing::Fresh { days_left } => Err(PermitError::TooEarly { days_left, window }),
        Standing::Expired => Ok(permit),
        Standing::Due { .. } => Ok(Permit { previous_end: Some(renewed.not_after), ..permit }),
    }
}

/// Permission to get a certificate for another use at the same terminal, at any time: an agent's own identity, or what it publishes. A
/// valid certificate of the terminal is the proof.
pub fn credential_permit(proof: &CertRecord, terminal: &Terminal, now: Timestamp) -> Result<Permit, PermitError> {
    if terminal.retired_at.is_some() {
        return Err(PermitError::Retired);
    }
    if proof.terminal != terminal.id || proof.customer != terminal.customer {
        return Err(PermitError::OtherTerminal);
    }
    match standing(proof.revoked.is_some(), proof.not_before, proof.not_after, Days(0), now) {
        Standing::Revoked => Err(PermitError::Revoked),
        Standing::NotYetValid => Err(PermitError::NotYetValid(proof.not_before)),
        Standing::Expired => Err(PermitError::Expired(proof.not_after)),
        Standing::Fresh { .. } | Standing::Due { .. } => Ok(Permit {
            terminal: terminal.id,
            customer: terminal.customer,
            renewed_from: Some(proof.id),
            recovers: None,
            previous_end: None,
            unless_blocked: false,
            moves: false,
        }),
    }
}

/// Permission by an invitation whose code was right, for the terminal that it names. `all` are all of the terminal's certificates, `waiting` the
/// one that can be fetched. An administrator's word does not bring back what only the operator may: see [`invitable`]. What is left of the
/// terminal's last certificate carries over where that is of the profile asked for.
pub fn invitation_permit(
    accepted: Accepted,
    terminal: &Terminal,
    (all, waiting): (&[CertRecord], Option<CertificateId>),
    (profile, now): (&str, Timestamp),
) -> Result<Permit, PermitError> {
    if terminal.retired_at.is_some() {
        return Err(PermitError::Retired);
    }
    let bare = Permit { moves: accepted.moves(), ..bare(terminal) };
    if accepted.by_operator() {
        return Ok(bare);
    }
    let last = invitable(terminal, (all, waiting))?;
    let lives = |cert: &&CertRecord| cert.profile == profile && cert.not_after >= now;
    let previous_end = last.filter(lives).map(|cert| cert.not_after);
    Ok(Permit { recovers: last.map(|cert| cert.id), previous_end, unless_blocked: true, ..bare })
}

/// Whether an administrator of its customer may invite a terminal: one that never had a certificate, or whose last one, of whatever kind, was not
/// revoked. Answers with that last one.
pub fn invitable<'c>(
    terminal: &Terminal,
    certificates: (&'c [CertRecord], Option<CertificateId>),
) -> Result<Option<&'c CertRecord>, PermitError> {
    match recoverable(terminal, certificates) {
        Err(PermitError::NeverIssued) => Ok(None),
        found => found.map(Some),
    }
}

/// Permission to give a terminal its new certificate although it cannot show the old one: that expired, or is lost with the PC. Only a
/// terminal that is [`recoverable`] gets one. What is left of a certificate that still lives carries over.
pub fn recovery_permit(
    right: Right,
    terminal: &Terminal,
    certificates: (&[CertRecord], Option<CertificateId>),
    now: Timestamp,
) -> Result<Permit, PermitError> {
    if right.terminal() != terminal.id {
        return Err(PermitError::OtherTerminal);
    }
    let last = recoverable(terminal, certificates)?;
    let previous_end = Some(last.not_after).filter(|end| *end >= now);
    Ok(Permit { recovers: Some(last.id), previous_end, unless_blocked: true, ..bare(terminal) })
}

/// The certificate that a recovery of this terminal replaces. `all` are the terminal's certificates of the profile that is asked for, and
/// `waiting` the one that can be fetched. A terminal is never recovered when its key may be in other hands, or when the last certificate
/// that it got was revoked: then only the operator can give it another.
pub fn recoverable<'c>(
    terminal: &Terminal,
    (all, waiting): (&'c [CertRecord], Option<CertificateId>),
) -> Result<&'c CertRecord, PermitError> {
    if all.iter().any(|cert| cert.terminal != terminal.id) {
        return Err(PermitError::OtherTerminal);
    }
    if terminal.retired_at.is_some() {
        return Err(PermitError::Retired);
    }
    if terminal.blocked_at.is_some() {
        return Err(PermitError::Revoked);
    }
    let existing = all.iter().filter(|cert| cert.exists(waiting));
    let last = existing.max_by_key(|cert| (cert.issued_at, cert.id)).ok_or(PermitError::NeverIssued)?;
    if last.revoked.is_some() { Err(PermitError::Revoked) } else { Ok(last) }
}

/// For a terminal, on somebody's word.
fn bare(terminal: &Terminal) -> Permit {
    let (terminal, customer) = (terminal.id, terminal.customer);
    Permit {
        terminal,
        customer,
        renewed_from: None,
        recovers: None,
        previous_end: None,
        unless_blocked: false,
        moves: false,
    }
}

/// What an operator has said about renewing ahead of time, for example after an incident.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advice {
    /// When it was said: certificates that were issued before are meant.
    pub since: Timestamp,
    /// Until when they should all be renewed; the load is spread over the time between.
    pub until: Timestamp,
    /// Where people can read why.
    pub explanation_url: Option<String>,
}

impl Advice {
    /// Whether it means a certificate that was issued then.
    pub fn means(&self, issued_at: Timestamp) -> bool {
        issued_at <= self.since
    }
}

/// When a program should renew: at a moment chosen by chance between both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SuggestedWindow {
    /// From then on.
    pub start: Timestamp,
    /// Until then.
    pub end: Timestamp,
}

/// When a certificate should be renewed: in the first half of its renewal window, so that there is time for what goes wrong, or as the
/// operator has said.
pub fn suggested_window(cert: &CertRecord, window: Days, advice: Option<&Advice>) -> SuggestedWindow {
    if let Some(advice) = advice.filter(|advice| advice.means(cert.issued_at)) {
        return SuggestedWindow { start: advice.since, end: advice.until };
    }
    let opens = cert.not_after.plus_days(Days(-window.0));
    SuggestedWindow { start: opens, end: opens.plus_seconds(window.0 * 86_400 / 2) }
}

/// The window in force for a certificate: the profile's, or wide open where the operator has said that it should be renewed now.
pub fn window_in_force(cert: &CertRecord, window: Days, advice: Option<&Advice>) -> Days {
    if advice.is_some_and(|advice| advice.means(cert.issued_at)) { WIDE_OPEN } else { window }
}

/// Longer than any certificate lives.
const WIDE_OPEN: Days = Days(36_525);

/// Permission for an operator to issue a certificate for a terminal in service, outside any renewal.
pub fn operator_permit(actor: &Actor, terminal: &Terminal) -> Result<Permit, PermitError> {
    if !matches!(actor, Actor::Operator { .. }) {
        return Err(PermitError::Forbidden);
    }
    if terminal.retired_at.is_some() {
        return Err(PermitError::Retired);
    }
    Ok(bare(terminal))
}

/// Whether the renewal dialog opens at this visit: at any time while due, but 「あとで」 sends it away until the next day, and within the
/// last seven days only until the next login.
pub fn dialog_opens(days_left: Days, deferred_today: bool, deferred_in_session: bool) -> bool {
    if deferred_in_session {
        return false;
    }
    is_last_week(days_left) || !deferred_today
}

/// The days in which a certificate's end is urgent.
pub fn is_last_week(days_left: Days) -> bool {
    days_left <= Days(7)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The certificate ends at 14:00 JST; the question is asked `left` days before, at 09:00 JST.
    fn check(left: i64, expected: Standing) {
        let end = Timestamp::parse("2027-01-21").expect("valid");
        let now = Timestamp(end.0 - 5 * 3600).plus_days(Days(-left));
        assert_eq!(standing(false, Timestamp(0), end, Days(90), now), expected, "{left} days before");
    }

    #[test]
    fn the_window_opens_at_exactly_90_days() {
        check(91, Standing::Fresh { days_left: Days(91) });
        check(90, Standing::Due { days_left: Days(90) });
        check(89, Standing::Due { days_left: Days(89) });
    }

    #[test]
    fn the_last_day_is_due_and_the_next_is_over() {
        check(1, Standing::Due { days_left: Days(1) });
        check(0, Standing::Due { days_left: Days(0) });
        check(-1, Standing::Expired);
    }

    #[test]
    fn the_last_second_is_valid() {
        let end = Timestamp::parse("2027-01-21").expect("valid");
        let at = |now| standing(false, Timestamp(0), end, Days(90), now);
        assert_eq!(at(end), Standing::Due { days_left: Days(0) });
        assert_eq!(at(end.plus_seconds(1)), Standing::Expired);
        assert_eq!(standing(false, end, end, Days(90), end.plus_seconds(-1)), Standing::NotYetValid);
    }

    #[test]
    fn midnight_of_japan_opens_the_window_not_midnight_of_greenwich() {
        let end = Timestamp::parse("2027-01-21").expect("valid");
        let midnight = Timestamp::parse("2026-10-22T15:00:00Z").expect("valid"); // 2026-10-23 00:00 JST
        assert_eq!(standing(false, Timestamp(0), end, Days(90), midnight), Standing::Due { days_left: Days(90) });
        assert_eq!(
            standing(false, Timestamp(0), end, Days(90), midnight.plus_seconds(-1)),
            Standing::Fresh { days_left: Days(91) }
        );
    }

    fn record(issued: &str, end: &str) -> CertRecord {
        let time = |text| Timestamp::parse(text).expect("valid");
        CertRecord {
            id: CertificateId(1),
            fingerprint: crate::id::Fingerprint([0; 32]),
            serial: crate::id::Serial::from_bytes([1; 16]),
            issuer: crate::id::IssuerId(1),
            terminal: TerminalId::from_random([1; 16]),
            customer: CustomerId::new(1).expect("valid"),
            line: CertificateId(1),
            profile: "terminal".into(),
            key_kind: crate::profile::KeyKind::P256,
            not_before: time(issued),
            not_after: time(end),
            issued_at: time(issued),
            renewed_from: None,
            downloaded_at: None,
            used_at: None,
            revoked: None,
        }
    }

    fn terminal() -> Terminal {
        Terminal {
            id: TerminalId::from_random([1; 16]),
            customer: CustomerId::new(1).expect("valid"),
            client: crate::id::ClientNumber::new(1).expect("valid"),
            name: "受付1".into(),
            created_at: Timestamp(0),
            retired_at: None,
            blocked_at: None,
            deferred_on: None,
        }
    }

    #[test]
    fn another_certificate_of_the_terminal_renews_one_that_has_expired_and_none_that_is_revoked() {
        let now = Timestamp::parse("2026-11-24").expect("valid");
        let agent = CertRecord { id: CertificateId(2), ..record("2026-06-01", "2027-06-01") };
        let expired = record("2023-11-01", "2026-11-01");
        let ask = |proof: &CertRecord, renewed: &CertRecord| permit_by(proof, renewed, &terminal(), Days(90), now);
        let permit = ask(&agent, &expired).expect("the agent proves the terminal");
        assert_eq!((permit.renewed_from(), permit.previous_end()), (Some(CertificateId(2)), None));
        assert_eq!(ask(&expired, &expired).expect_err("proves nothing"), PermitError::Expired(expired.not_after));
        assert_eq!(ask(&expired, &agent).expect_err("proves nothing"), PermitError::Expired(expired.not_after));
        let reason = crate::cert::RevocationReason::KeyCompromise;
        let revoked = CertRecord { revoked: Some((now, reason)), ..expired.clone() };
        assert_eq!(ask(&agent, &revoked).expect_err("never"), PermitError::Revoked);
        assert_eq!(ask(&revoked, &agent).expect_err("never"), PermitError::Revoked);
        let fresh = record("2026-11-01", "2029-11-01");
        assert!(matches!(ask(&agent, &fresh), Err(PermitError::TooEarly { .. })));
        let elsewhere = CertRecord { terminal: TerminalId::from_random([2; 16]), ..agent.clone() };
        assert_eq!(ask(&elsewhere, &expired).expect_err("never"), PermitError::OtherTerminal);
        assert_eq!(ask(&agent, &elsewhere).expect_err("never"), PermitError::OtherTerminal);
    }

    #[test]
    fn a_terminal_is_recovered_unless_its_last_certificate_was_revoked() {
        let now = Timestamp::parse("2026-11-24").expect("valid");
        let fetched = |cert: CertRecord| CertRecord { downloaded_at: Some(cert.issued_at), ..cert };
        let expired = fetched(record("2023-11-01", "2026-11-01"));
        let living = fetched(CertRecord { id: CertificateId(2), ..record("2026-01-01", "2029-01-01") });
        let reason = crate::cert::RevocationReason::Unspecified;
        let cut_off = |cert: &CertRecord| CertRecord { revoked: Some((now, reason)), ..cert.clone() };
        let ask = |terminal: &Terminal, all: &[CertRecord]| {
            let operator = Actor::Operator { name: "x".into() };
            let right = crate::recovery::may_recover(&operator, terminal).expect("an operator may");
            recovery_permit(right, terminal, (all, None), now)
        };
        let permit = ask(&terminal(), std::slice::from_ref(&expired)).expect("expired ones are");
        assert_eq!((permit.renewed_from(), permit.previous_end()), (None, None));
        let permit = ask(&terminal(), &[expired.clone(), living.clone()]).expect("lost ones are");
        assert_eq!(permit.previous_end(), Some(living.not_after));
        assert!(ask(&terminal(), &[cut_off(&expired), living.clone()]).is_ok(), "an older one may have been");
        let refused = |all: &[CertRecord]| ask(&terminal(), all).map(|_| ()).expect_err("never");
        assert_eq!(refused(&[expired.clone(), cut_off(&living)]), PermitError::Revoked);
        assert_eq!(refused(&[cut_off(&expired)]), PermitError::Revoked);
        assert_eq!(refused(&[]), PermitError::NeverIssued);
        let shorter = fetched(CertRecord { id: CertificateId(3), ..record("2026-06-01", "2026-12-01") });
        assert_eq!(
            refused(&[living.clone(), cut_off(&shorter)]),
            PermitError::Revoked,
            "the last one is the last that came"
        );
        assert!(ask(&terminal(), &[cut_off(&living), shorter]).is_ok());
        let forgotten = CertRecord { id: CertificateId(4), ..record("2026-10-01", "2029-10-01") };
        assert_eq!(refused(&[cut_off(&living), forgotten.clone()]), PermitError::Revoked, "it exists nowhere");
        assert_eq!(refused(&[forgotten]), PermitError::NeverIssued);
        let blocked = Terminal { blocked_at: Some(now), ..terminal() };
        assert_eq!(ask(&blocked, std::slice::from_ref(&living)).map(|_| ()), Err(PermitError::Revoked));
        let retired = Terminal { retired_at: Some(now), ..terminal() };
        assert!(matches!(ask(&retired, std::slice::from_ref(&expired)), Err(PermitError::Retired)));
        let elsewhere = CertRecord { terminal: TerminalId::from_random([2; 16]), ..expired };
        assert_eq!(refused(&[elsewhere]), PermitError::OtherTerminal);
    }

    #[test]
    fn the_suggested_window_is_the_first_half_of_the_windows_days_and_the_operator_can_move_it() {
        let cert = record("2024-01-24", "2027-01-21");
        let time = |text| Timestamp::parse(text).expect("valid");
        let usual = suggested_window(&cert, Days(90), None);
        assert_eq!(usual, SuggestedWindow { start: time("2026-10-23"), end: time("2026-12-07") });
        let advice = Advice { since: time("2025-03-01"), until: time("2025-03-02"), explanation_url: None };
        let moved = suggested_window(&cert, Days(90), Some(&advice));
        assert_eq!(moved, SuggestedWindow { start: advice.since, end: advice.until });
        assert_eq!(window_in_force(&cert, Days(90), Some(&advice)), WIDE_OPEN);
        let renewed = record("2025-03-02", "2028-01-21");
        assert_eq!(window_in_force(&renewed, Days(90), Some(&advice)), Days(90), "once is enough");
        assert_eq!(suggested_window(&renewed, Days(90), Some(&advice)), suggested_window(&renewed, Days(90), None));
    }

    #[test]
    fn later_sends_the_dialog_away_until_tomorrow_and_in_the_last_week_until_the_next_login() {
        assert!(dialog_opens(Days(60), false, false));
        assert!(!dialog_opens(Days(60), true, false));
        assert!(!dialog_opens(Days(60), true, true));
        assert!(dialog_opens(Days(7), true, false));
        assert!(!dialog_opens(Days(7), true, true));
    }
}
