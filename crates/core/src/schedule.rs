//! When a certificate ends. Never at night, at a weekend, on a public holiday, around New Year or in the first ten days of a month (claim
//! week): always at 14:00 JST of an ordinary weekday, spread over several of them, and without taking away days that were left.

use jiff::civil::{Date, Time, Weekday};

use crate::holiday::is_public_holiday;
use crate::profile::{KeyKind, Profile};
use crate::time::Timestamp;

/// The hour at which certificates end: after lunch, hours before closing, with the support office open.
const END_OF_LIFE: Time = Time::constant(14, 0, 0, 0);
/// notBefore lies this far back, so that a terminal whose clock is slow can use its certificate at once.
const BACKDATE_SECONDS: i64 = 600;

/// From when to when a certificate is valid, inclusive at both ends (RFC 5280 section 4.1.2.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// First valid second.
    pub not_before: Timestamp,
    /// Last valid second.
    pub not_after: Timestamp,
}

/// Why no end could be found.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    /// Something outlives nothing: the issuing CA or the kind of key ends before a certificate could.
    #[error("no permitted end before {limit}: {what} ends then")]
    NoRoom {
        /// What sets the limit.
        what: &'static str,
        /// The limit.
        limit: Timestamp,
    },
    /// An end asked for by hand that cannot be.
    #[error("an end at {asked} is not possible: it must lie after {after} and not after {limit} ({what})")]
    ExplicitOutOfRange {
        /// What was asked.
        asked: Timestamp,
        /// Exclusive lower end.
        after: Timestamp,
        /// Inclusive upper end.
        limit: Timestamp,
        /// What sets the upper end.
        what: &'static str,
    },
}

/// What a schedule is made for.
#[derive(Clone, Copy, Debug)]
pub struct Request {
    /// The present.
    pub now: Timestamp,
    /// The end of the certificate that is renewed, whose remaining days are kept; `None` for a first certificate or an expired one.
    pub previous_end: Option<Timestamp>,
    /// The end of the issuing CA, which nothing below it outlives.
    pub issuer_end: Timestamp,
    /// The kind of key that is certified.
    pub key_kind: KeyKind,
    /// Chance that spreads ends over the permitted afternoons.
    pub spread: u32,
}

/// Finds the end of a new certificate: the old end (or now) plus the profile's years, moved to a permitted afternoon.
pub fn validity(profile: &Profile, request: Request) -> Result<Validity, ScheduleError> {
    let Request { now, previous_end, .. } = request;
    let kept = previous_end.filter(|end| *end > now).unwrap_or(now);
    let target = profile.end_from(kept);
    let (limit, what) = limit(profile, request);
    let mut slots = permitted_afternoons(target, limit, now, profile.spread_days());
    // Where the limit is near, chance must not take away what the old one had.
    if slots.iter().any(|end| *end >= kept) {
        slots.retain(|end| *end >= kept);
    }
    if slots.is_empty() {
        return Err(ScheduleError::NoRoom { what, limit });
    }
    let chosen = slots[request.spread as usize % slots.len()];
    Ok(Validity { not_before: now.plus_seconds(-BACKDATE_SECONDS), not_after: chosen })
}

/// When a certificate that begins then was made.
pub fn issued_at(not_before: Timestamp) -> Timestamp {
    not_before.plus_seconds(BACKDATE_SECONDS)
}

/// An end chosen by the operator: any second to come, within what the profile, the key and the issuing CA permit.
pub fn explicit_validity(profile: &Profile, request: Request, end: Timestamp) -> Result<Validity, ScheduleError> {
    let (limit, what) = limit(profile, request);
    if end <= request.now || end > limit {
        return Err(ScheduleError::ExplicitOutOfRange { asked: end, after: request.now, limit, what });
    }
    Ok(Validity { not_before: request.now.plus_seconds(-BACKDATE_SECONDS), not_after: end })
}

/// The last second a certificate may live to, and what sets it.
fn limit(profile: &Profile, request: Request) -> (Timestamp, &'static str) {
    let longest = profile.end_from(request.now).plus_days(profile.carry_over());
    let mut limit = (longest, "the profile's longest life");
    if request.issuer_end < limit.0 {
        limit = (request.issuer_end, "the issuing CA");
    }
    if let Some(end) = request.key_kind.last_use().filter(|end| *end < limit.0) {
        limit = (end, "the permitted use of such a key");
    }
    limit
}

/// Up to `wanted` permitted afternoons from `target` on; where the limit leaves none, the last ones before it.
fn permitted_afternoons(target: Timestamp, limit: Timestamp, now: Timestamp, wanted: u32) -> Vec<Timestamp> {
    let wanted = wanted as usize;
    let fits = |end: &Timestamp| *end <= limit && *end > now;
    let from = target.jst_date();
    let forward = days(from, Date::tomorrow).take(60 + 3 * wanted).filter(|d| is_permitted(*d)).map(afternoon);
    let slots: Vec<_> =
        forward.filter(|end| *end >= target).take_while(|end| *end <= limit).filter(fits).take(wanted).collect();
    if !slots.is_empty() {
        return slots;
    }
    let from = target.min(limit).jst_date();
    days(from, Date::yesterday)
        .take(60 + 3 * wanted)
        .filter(|d| is_permitted(*d))
        .map(afternoon)
        .filter(fits)
        .take(wanted)
        .collect()
}

fn days(from: Date, step: fn(Date) -> Result<Date, jiff::Error>) -> impl Iterator<Item = Date> {
    std::iter::successors(Some(from), move |day| step(*day).ok())
}

fn afternoon(day: Date) -> Timestamp {
    Timestamp::from_jst(day, END_OF_LIFE)
}

/// Whether certificates may end on this day.
pub fn is_permitted(day: Date) -> bool {
    let weekend = matches!(day.weekday(), Weekday::Saturday | Weekday::Sunday);
    let year_end = day.month() == 12 && day.day() >= 29;
    !weekend && !year_end && day.day() > 10 && !is_public_holiday(day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::{ProfileSettings, Purpose};
    use crate::time::Days;
    use proptest::prelude::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).expect("a valid time in a test")
    }

    fn profile() -> Profile {
        let key_kinds = vec![KeyKind::Rsa3072, KeyKind::Rsa2048];
        ProfileSettings {
            purpose: Purpose::Client,
            key_kinds,
            validity_years: Some(3),
            validity_days: None,
            renewal_window_days: 90,
            carry_over_days: 130,
            spread_days: 10,
        }
        .validate("terminal")
        .expect("valid")
    }

    fn request(now: &str, previous_end: Option<&str>) -> Request {
        Request {
            now: at(now),
            previous_end: previous_end.map(at),
            issuer_end: at("2036-11-01"),
            key_kind: KeyKind::Rsa3072,
            spread: 0,
        }
    }

    #[test]
    fn remaining_days_carry_over() {
        // Old end Thursday 2027-01-21 14:00 JST, renewed 60 days before: three years from the old end, which is a Monday.
        let validity = validity(&profile(), request("2026-11-22T01:00:00Z", Some("2027-01-21"))).expect("room");
        assert_eq!(validity.not_after, at("2030-01-21"));
        assert_eq!(validity.not_before, at("2026-11-22T00:50:00Z"));
    }

    #[test]
    fn a_renewal_long_before_the_window_takes_no_day_away_where_the_limit_leaves_room() {
        let agent = ProfileSettings {
            purpose: Purpose::Agent,
            key_kinds: vec![KeyKind::P256],
            validity_years: None,
            validity_days: Some(365),
            renewal_window_days: 120,
            carry_over_days: 31,
            spread_days: 10,
        };
        let agent = agent.validate("agent").expect("valid");
        for spread in 0..40 {
            let ask =
                Request { key_kind: KeyKind::P256, spread, ..request("2026-11-24T01:00:00Z", Some("2027-12-20")) };
            let end = validity(&agent, ask).expect("room").not_after;
            assert!(end >= at("2027-12-20"), "{end}");
        }
    }

    #[test]
    fn a_leap_day_moves_to_the_next_permitted_afternoon() {
        // 2028-02-29 + 3 years = 2031-02-28, a Friday and no holiday.
        let validity = validity(&profile(), request("2028-02-29T01:00:00Z", None)).expect("room");
        assert_eq!(validity.not_after, at("2031-02-28"));
    }

    #[test]
    fn the_issuing_ca_is_never_outlived() {
        let short = Request { issuer_end: at("2028-03-18T00:00:00Z"), ..request("2026-11-22T01:00:00Z", None) };
        let validity = validity(&profile(), short).expect("room before the limit");
        assert_eq!(validity.not_after, at("2028-03-17"));
        let dead = Request { issuer_end: at("2026-11-21"), ..short };
        assert!(super::validity(&profile(), dead).is_err());
    }

    #[test]
    fn rsa_2048_ends_with_2030() {
        let weak = Request { key_kind: KeyKind::Rsa2048, ..request("2028-06-01T01:00:00Z", None) };
        assert_eq!(validity(&profile(), weak).expect("room").not_after, at("2030-12-27"));
    }

    #[test]
    fn an_explicit_end_is_taken_as_it_is_within_limits() {
        let ask = request("2026-11-22T01:00:00Z", None);
        let night = explicit_validity(&profile(), ask, at("2027-01-01T18:00:00Z")).expect("the operator's will");
        assert_eq!((night.not_before, night.not_after), (at("2026-11-22T00:50:00Z"), at("2027-01-01T18:00:00Z")));
        assert!(explicit_validity(&profile(), ask, ask.now).is_err());
        assert!(explicit_validity(&profile(), ask, at("2033-01-01")).is_err());
    }

    proptest! {
        #[test]
        fn every_end_is_a_permitted_afternoon_and_takes_no_day_away(
            start in 1_767_225_600_i64..2_000_000_000, left in 0_i64..91, spread: u32,
        ) {
            let now = Timestamp(start);
            let previous = now.plus_days(Days(left));
            let ask = Request { now, previous_end: Some(previous), issuer_end: Timestamp(4_000_000_000), key_kind: KeyKind::Rsa3072, spread };
            let end = validity(&profile(), ask).expect("room").not_after;
            prop_assert!(is_permitted(end.jst_date()));
            prop_assert_eq!(end.jst_time(), END_OF_LIFE);
            prop_assert!(end >= previous.plus_years_jst(3), "no day is lost");
            prop_assert!(end <= now.plus_years_jst(3).plus_days(Days(130)));
        }
    }
}
