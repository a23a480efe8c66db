//! When the people of a customer are reminded that a terminal's certificate ends: 90, 60, 30 and 15 days before, each day of the last
//! seven, and each day of the fourteen after. It stops when a newer certificate was *used*, not when one was made or fetched. What is
//! remembered is the step that was said, not the day: a step that fell on a weekend, or on a day on which the service stood still, is said on
//! the next day that will do.

use jiff::civil::{Date, Weekday};

use crate::cert::{CertRecord, Progress};
use crate::holiday::is_public_holiday;
use crate::id::{CertificateId, Serial};
use crate::terminal::{Condition, Terminal};
use crate::time::{Days, Timestamp};

/// The steps before the last days.
const STEPS: [i64; 4] = [15, 30, 60, 90];
/// From here on each day is a step, holidays too.
pub const DAILY: Days = Days(7);
/// For so many days after the end people are reminded.
pub const AFTER: Days = Days(14);

/// The reminder of which one's turn it is: `Step(30)` from the 30th day before the end to the 16th, `Step(-1)` on the day after the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Step(pub i64);

/// Whose turn it is with so many days left, counted by midnights of Japan.
pub fn step(left: Days) -> Option<Step> {
    match left {
        left if left.0 < -AFTER.0 => None,
        left if left <= DAILY => Some(Step(left.0)),
        left => STEPS.into_iter().find(|step| left.0 <= *step).map(Step),
    }
}

/// Whether a step is said on this day: the last days' on each day, the others not at weekends, on public holidays or around
/// New Year, when nobody reads them.
pub fn is_said_on(day: Date, step: Step) -> bool {
    let weekend = matches!(day.weekday(), Weekday::Saturday | Weekday::Sunday);
    let new_year = matches!((day.month(), day.day()), (12, 29..) | (1, ..=3));
    step.0 <= DAILY.0 || !(weekend || new_year || is_public_holiday(day))
}

/// A terminal that somebody should look after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reminder {
    /// The certificate that the terminal depends on: the last one that was used, or the last one that could be where none was.
    pub certificate: CertificateId,
    /// Its serial number.
    pub serial: Serial,
    /// Its last valid second.
    pub ends: Timestamp,
    /// Days until then; negative when it is past.
    pub left: Days,
    /// Whose turn it is.
    pub step: Step,
    /// How the terminal stands.
    pub condition: Condition,
    /// Whether any of its certificates was ever used; where none was, it may never have been switched on.
    pub ever_used: bool,
}

/// Whether a terminal's people are to be reminded. `all` are its certificates, of which those of `profile` count; `waiting` is the one that can
/// be fetched. Nobody is reminded before the renewal window opens, of what is out of service, or of what was revoked on purpose.
pub fn reminder(
    terminal: &Terminal,
    (all, waiting): (&[CertRecord], Option<CertificateId>),
    (profile, window): (&str, Days),
    now: Timestamp,
) -> Option<Reminder> {
    let (condition, _) = terminal.condition(all, waiting, (profile, window), now);
    if matches!(condition, Condition::Retired | Condition::Revoked | Condition::Empty) {
        return None;
    }
    let depended_on = depended_on(all, waiting, profile)?;
    let left = depended_on.not_after.jst_days_from(now);
    if left > window {
        return None;
    }
    Some(Reminder {
        certificate: depended_on.id,
        serial: depended_on.serial,
        ends: depended_on.not_after,
        left,
        step: step(left)?,
        condition,
        ever_used: depended_on.used_at.is_some(),
    })
}

/// The certificate with whose end a terminal stops: of those that were used the one that ends last; of the others only where none was used.
pub fn depended_on<'c>(all: &'c [CertRecord], waiting: Option<CertificateId>, profile: &str) -> Option<&'c CertRecord> {
    let theirs = all.iter().filter(|cert| cert.profile == profile && cert.revoked.is_none() && cert.exists(waiting));
    theirs.max_by_key(|cert| (cert.progress() == Progress::Used, cert.not_after, cert.id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cert::RevocationReason;
    use crate::id::{ClientNumber, CustomerId, Fingerprint, IssuerId, Serial, TerminalId};
    use crate::profile::KeyKind;

    const WINDOW: Days = Days(90);

    fn now() -> Timestamp {
        Timestamp::parse("2026-11-25T00:00:00Z").expect("valid") // 09:00 in Japan
    }

    fn terminal() -> Terminal {
        Terminal {
            id: TerminalId::from_random([1; 16]),
            customer: CustomerId::new(1).expect("valid"),
            client: ClientNumber::new(1).expect("valid"),
            name: "受付1".into(),
            created_at: Timestamp(0),
            retired_at: None,
            blocked_at: None,
            deferred_on: None,
        }
    }

    fn cert(id: i64, left: i64, progress: Progress) -> CertRecord {
        CertRecord {
            id: CertificateId(id),
            fingerprint: Fingerprint([0; 32]),
            serial: Serial::from_bytes([1; 16]),
            issuer: IssuerId(1),
            terminal: terminal().id,
            customer: terminal().customer,
            line: CertificateId(1),
            profile: "terminal".into(),
            key_kind: KeyKind::P256,
            not_before: Timestamp(0),
            not_after: now().plus_days(Days(left)),
            issued_at: Timestamp(id),
            renewed_from: None,
            downloaded_at: (progress != Progress::Issued).then(now),
            used_at: (progress == Progress::Used).then(now),
            revoked: None,
        }
    }

    fn ask(all: &[CertRecord], waiting: Option<i64>) -> Option<Reminder> {
        reminder(&terminal(), (all, waiting.map(CertificateId)), ("terminal", WINDOW), now())
    }

    #[test]
    fn a_step_lasts_until_the_next_one_and_the_last_days_are_steps_of_their_own() {
        let check = |left, expected: Option<i64>| assert_eq!(step(Days(left)), expected.map(Step), "{left} days");
        check(91, None);
        check(90, Some(90));
        check(89, Some(90));
        check(61, Some(90));
        check(60, Some(60));
        check(59, Some(60));
        check(31, Some(60));
        check(30, Some(30));
        check(16, Some(30));
        check(15, Some(15));
        check(8, Some(15));
        for each in -14..=7 {
            check(each, Some(each));
        }
        check(-15, None);
    }

    #[test]
    fn days_are_those_of_japan() {
        let at = |text| Timestamp::parse(text).expect("valid");
        let old = CertRecord { not_after: at("2027-02-23T05:00:00Z"), ..cert(1, 0, Progress::Used) };
        let ask = |now| reminder(&terminal(), (std::slice::from_ref(&old), None), ("terminal", WINDOW), now);
        assert_eq!(ask(at("2026-11-24T14:59:59Z")), None, "the 24th in Japan: 91 days");
        assert_eq!(ask(at("2026-11-24T15:00:00Z")).map(|r| (r.step, r.left)), Some((Step(90), Days(90))));
    }

    #[test]
    fn a_quiet_day_waits_for_the_next_working_day_unless_the_end_is_near() {
        let day = |text: &str| text.parse::<Date>().expect("a date");
        let check = |text, left, said| assert_eq!(is_said_on(day(text), Step(left)), said, "{text} {left}");
        check("2026-11-25", 30, true); // Wednesday
        check("2026-11-28", 30, false); // Saturday
        check("2026-11-29", 15, false); // Sunday
        check("2026-11-23", 90, false); // 勤労感謝の日
        check("2026-12-29", 30, false);
        check("2027-01-03", 30, false);
        check("2027-01-04", 30, true);
        check("2026-11-29", 7, true);
        check("2026-11-23", 0, true);
        check("2026-11-28", -14, true);
    }

    #[test]
    fn only_a_newer_certificate_that_was_used_ends_it() {
        let old = || cert(1, 30, Progress::Used);
        let of = |reminder: Option<Reminder>| reminder.map(|r| (r.certificate.0, r.step.0, r.condition));
        assert_eq!(of(ask(&[old()], None)), Some((1, 30, Condition::EndsSoon)));
        let made = cert(2, 900, Progress::Issued);
        assert_eq!(of(ask(&[old(), made.clone()], Some(2))), Some((1, 30, Condition::Waiting)));
        assert_eq!(of(ask(&[old(), made], None)), Some((1, 30, Condition::EndsSoon)), "forgotten");
        assert_eq!(of(ask(&[old(), cert(2, 900, Progress::Downloaded)], None)), Some((1, 30, Condition::Fetched)));
        assert_eq!(ask(&[old(), cert(2, 900, Progress::Used)], None), None);
        let past = cert(1, -3, Progress::Used);
        assert_eq!(of(ask(&[past, cert(2, 900, Progress::Downloaded)], None)), Some((1, -3, Condition::Fetched)));
    }

    #[test]
    fn a_terminal_that_was_never_switched_on_is_reminded_too() {
        let never = ask(&[cert(1, 60, Progress::Downloaded)], None).expect("reminded");
        assert_eq!((never.step, never.ever_used), (Step(60), false));
        assert!(ask(&[cert(1, 60, Progress::Used)], None).expect("reminded").ever_used);
        assert_eq!(ask(&[], None), None, "it never had one");
        assert_eq!(ask(&[cert(1, 91, Progress::Downloaded)], None), None);
    }

    #[test]
    fn what_ended_on_purpose_is_not_reminded() {
        let gone = CertRecord { revoked: Some((now(), RevocationReason::Unspecified)), ..cert(2, 900, Progress::Used) };
        assert_eq!(ask(&[cert(1, -3, Progress::Used), gone.clone()], None), None, "its last one was revoked");
        assert!(ask(&[cert(1, 3, Progress::Used), gone], None).is_some(), "the older one still opens the gate");
        let retired = Terminal { retired_at: Some(now()), ..terminal() };
        let all = [cert(1, 3, Progress::Used)];
        assert_eq!(reminder(&retired, (&all, None), ("terminal", WINDOW), now()), None);
        assert_eq!(reminder(&terminal(), (&all, None), ("agent", WINDOW), now()), None, "another profile's");
        assert_eq!(reminder(&terminal(), (&all, None), ("terminal", Days(2)), now()), None, "before its window");
    }
}
