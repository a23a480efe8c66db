//! Who may get a new certificate, and when. The one rule for browsers, programs and agents alike; a [`Permit`] can only be made here.

use crate::access::Actor;
use crate::cert::CertRecord;
use crate::id::{CertificateId, CustomerId, TerminalId};
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
    previous_end: Option<Timestamp>,
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

    /// The end of that certificate; its remaining days carry over.
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
    /// The certificate is another terminal's.
    #[error("the certificate belongs to another terminal")]
    OtherTerminal,
    /// The actor may not do this.
    #[error("not permitted")]
    Forbidden,
}

/// Permission to renew: the certificate itself, still valid and inside the window, is the proof.
pub fn permit(cert: &CertRecord, terminal: &Terminal, window: Days, now: Timestamp) -> Result<Permit, PermitError> {
    if terminal.retired_at.is_some() {
        return Err(PermitError::Retired);
    }
    if cert.terminal != terminal.id || cert.customer != terminal.customer {
        return Err(PermitError::OtherTerminal);
    }
    match standing(cert.revoked.is_some(), cert.not_before, cert.not_after, window, now) {
        Standing::Revoked => Err(PermitError::Revoked),
        Standing::NotYetValid => Err(PermitError::NotYetValid(cert.not_before)),
        Standing::Expired => Err(PermitError::Expired(cert.not_after)),
        Standing::Fresh { days_left } => Err(PermitError::TooEarly { days_left, window }),
        Standing::Due { .. } => Ok(Permit {
            terminal: terminal.id,
            customer: terminal.customer,
            renewed_from: Some(cert.id),
            previous_end: Some(cert.not_after),
        }),
    }
}

/// Permission for an operator to issue a certificate for a terminal in service, outside any renewal.
pub fn operator_permit(actor: &Actor, terminal: &Terminal) -> Result<Permit, PermitError> {
    if !matches!(actor, Actor::Operator { .. }) {
        return Err(PermitError::Forbidden);
    }
    if terminal.retired_at.is_some() {
        return Err(PermitError::Retired);
    }
    Ok(Permit { terminal: terminal.id, customer: terminal.customer, renewed_from: None, previous_end: None })
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

    #[test]
    fn later_sends_the_dialog_away_until_tomorrow_and_in_the_last_week_until_the_next_login() {
        assert!(dialog_opens(Days(60), false, false));
        assert!(!dialog_opens(Days(60), true, false));
        assert!(!dialog_opens(Days(60), true, true));
        assert!(dialog_opens(Days(7), true, false));
        assert!(!dialog_opens(Days(7), true, true));
    }
}
