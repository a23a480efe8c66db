//! Points in time as certificates count them (whole seconds of UTC) and calendar days as clinics count them (JST).
//! Never reads a clock: `Clock` is the argument through which the system's time enters.

use std::fmt;

use jiff::civil::{Date, Time};
use serde::{Deserialize, Serialize};

/// Japan has had one zone, UTC+9, without daylight saving since 1951.
const JST_OFFSET_SECONDS: i64 = 9 * 3600;
const DAY_SECONDS: i64 = 86_400;

/// The one door through which the present enters the rules. Two implementations: the system's and a fixed one for tests.
pub trait Clock: Send + Sync + 'static {
    /// The present, in whole seconds of UTC.
    fn now(&self) -> Timestamp;
}

/// Whole seconds of UTC since 1970-01-01T00:00:00Z, as certificates count (RFC 5280 section 4.1.2.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

/// A number of calendar days.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Days(pub i64);

/// Why a text is not a point in time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a time: write 2029-11-22T05:00:00Z, or 2029-11-22 for 14:00 JST of that day")]
pub struct ParseTimeError(pub String);

impl Timestamp {
    /// The instant at which the clocks of Japan show this date and time.
    pub fn from_jst(date: Date, time: Time) -> Self {
        let days = date.duration_since(Date::constant(1970, 1, 1)).as_secs() / DAY_SECONDS;
        let seconds = i64::from(time.hour()) * 3600 + i64::from(time.minute()) * 60 + i64::from(time.second());
        Self(days * DAY_SECONDS + seconds - JST_OFFSET_SECONDS)
    }

    /// The date that a calendar on the wall of a clinic shows at this instant.
    pub fn jst_date(self) -> Date {
        civil_from_unix(self.0 + JST_OFFSET_SECONDS).0
    }

    /// The time of day that a clock on the wall of a clinic shows at this instant.
    pub fn jst_time(self) -> Time {
        civil_from_unix(self.0 + JST_OFFSET_SECONDS).1
    }

    /// Date and time of day in UTC.
    pub fn utc(self) -> (Date, Time) {
        civil_from_unix(self.0)
    }

    /// How many midnights of JST lie between `now` and this instant; negative when it is past.
    pub fn jst_days_from(self, now: Timestamp) -> Days {
        Days(self.jst_date().duration_since(now.jst_date()).as_secs() / DAY_SECONDS)
    }

    /// This instant moved by whole seconds.
    pub fn plus_seconds(self, seconds: i64) -> Self {
        Self(self.0.saturating_add(seconds))
    }

    /// This instant moved by whole days of 86,400 seconds.
    pub fn plus_days(self, days: Days) -> Self {
        self.plus_seconds(days.0.saturating_mul(DAY_SECONDS))
    }

    /// The same JST date and time of day, `years` later; 29 February becomes 28 February where there is none.
    pub fn plus_years_jst(self, years: i16) -> Self {
        let (date, time) = (self.jst_date(), self.jst_time());
        let year = date.year() + years;
        let last = Date::constant(year, date.month(), 1).days_in_month();
        Self::from_jst(Date::constant(year, date.month(), date.day().min(last)), time)
    }

    /// The midnight of Japan with which this instant's day began.
    pub fn jst_midnight(self) -> Self {
        Self::from_jst(self.jst_date(), Time::midnight())
    }

    /// `2029-11-22 14:00` as the clocks of Japan show it, for people.
    pub fn jst_text(self) -> String {
        let (date, time) = (self.jst_date(), self.jst_time());
        format!("{date} {:02}:{:02}", time.hour(), time.minute())
    }

    /// Reads `2029-11-22T05:00:00Z`, or `2029-11-22` as 14:00 JST of that day.
    pub fn parse(text: &str) -> Result<Self, ParseTimeError> {
        let bad = || ParseTimeError(text.to_owned());
        if let Ok(date) = text.parse::<Date>()
            && text.len() == 10
        {
            return Ok(Self::from_jst(date, Time::constant(14, 0, 0, 0)));
        }
        let instant: jiff::Timestamp = text.parse().map_err(|_| bad())?;
        Ok(Self(instant.as_second()))
    }
}

/// RFC 3339 in UTC: `2027-01-21T05:00:00Z`.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (date, time) = self.utc();
        write!(f, "{date}T{:02}:{:02}:{:02}Z", time.hour(), time.minute(), time.second())
    }
}

impl fmt::Display for Days {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Splits seconds since 1970 into a date and a time of day. Clamped to the years that a certificate can carry.
fn civil_from_unix(seconds: i64) -> (Date, Time) {
    let clamped = seconds.clamp(-62_135_596_800, 253_402_300_799); // 0001-01-01 to 9999-12-31
    let instant = jiff::Timestamp::from_second(clamped).expect("clamped to the range of civil dates");
    let civil = jiff::tz::Offset::UTC.to_datetime(instant);
    (civil.date(), civil.time())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).expect("a valid time in a test")
    }

    #[test]
    fn a_day_of_japan_begins_at_15_utc() {
        assert_eq!(at("2026-11-22T14:59:59Z").jst_date().to_string(), "2026-11-22");
        assert_eq!(at("2026-11-22T15:00:00Z").jst_date().to_string(), "2026-11-23");
    }

    #[test]
    fn a_day_of_japan_is_from_midnight_to_midnight() {
        assert_eq!(at("2026-11-22T14:59:59Z").jst_midnight(), at("2026-11-21T15:00:00Z"));
        assert_eq!(at("2026-11-22T15:00:00Z").jst_midnight(), at("2026-11-22T15:00:00Z"));
    }

    #[test]
    fn days_are_counted_by_midnights_of_japan() {
        let end = at("2027-01-21T05:00:00Z");
        assert_eq!(end.jst_days_from(at("2027-01-20T14:59:59Z")), Days(1));
        assert_eq!(end.jst_days_from(at("2027-01-20T15:00:00Z")), Days(0));
        assert_eq!(end.jst_days_from(at("2027-01-21T15:00:00Z")), Days(-1));
    }

    #[test]
    fn leap_day_plus_three_years_is_the_last_of_february() {
        assert_eq!(at("2028-02-29T05:00:00Z").plus_years_jst(3).to_string(), "2031-02-28T05:00:00Z");
        assert_eq!(at("2028-02-29T05:00:00Z").plus_years_jst(4).to_string(), "2032-02-29T05:00:00Z");
    }

    #[test]
    fn a_bare_date_is_two_in_the_afternoon_of_japan() {
        assert_eq!(at("2029-11-22").to_string(), "2029-11-22T05:00:00Z");
        assert!(Timestamp::parse("next week").is_err());
    }
}
