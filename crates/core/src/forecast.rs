//! How many terminals' certificates end in which week: what an operator looks at before it happens. A week begins on Monday, in Japan.

use jiff::civil::Date;

use crate::time::{Days, Timestamp};

/// Seconds from the beginning of the week (Monday, 1969-12-29, midnight of Japan) to the beginning of Unix time.
const TO_MONDAY: i64 = 3 * 86_400 + 9 * 3600;
const WEEK_SECONDS: i64 = 7 * 86_400;

/// The number of a week, counted from the one in which 1970 began. Also what the register groups by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct WeekNumber(pub i64);

impl WeekNumber {
    /// The week of an instant.
    pub fn of(at: Timestamp) -> Self {
        Self((at.0 + TO_MONDAY).div_euclid(WEEK_SECONDS))
    }

    /// Its first instant.
    pub fn begins(self) -> Timestamp {
        Timestamp(self.0 * WEEK_SECONDS - TO_MONDAY)
    }

    /// Its Monday.
    pub fn monday(self) -> Date {
        self.begins().jst_date()
    }
}

/// What ends in a week.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ending {
    /// Terminals whose certificate in use ends then, and that have no newer one in use.
    pub terminals: u32,
    /// How many of them have fetched a newer one that was never used.
    pub fetched: u32,
}

/// The weeks from one on, each with what ends in it; those in which nothing ends are there, too.
pub fn weeks(first: WeekNumber, count: u32, known: &[(WeekNumber, Ending)]) -> Vec<(WeekNumber, Ending)> {
    let of = |week| known.iter().find(|(number, _)| *number == week).map_or(Ending::default(), |(_, ending)| *ending);
    (0..i64::from(count)).map(|step| WeekNumber(first.0 + step)).map(|week| (week, of(week))).collect()
}

/// How many times the average a week must be to stand out.
const TIMES_THE_AVERAGE: u64 = 4;
/// Fewer than this many are no cliff, however few the others are.
const FEW: u32 = 10;

/// The weeks in which far more ends than on average: when help desks are called by everybody at once.
pub fn cliffs(weeks: &[(WeekNumber, Ending)]) -> Vec<WeekNumber> {
    let total: u64 = weeks.iter().map(|(_, ending)| u64::from(ending.terminals)).sum();
    let stands_out = |ending: &Ending| {
        ending.terminals >= FEW && u64::from(ending.terminals) * weeks.len() as u64 > total * TIMES_THE_AVERAGE
    };
    weeks.iter().filter(|(_, ending)| stands_out(ending)).map(|(week, _)| *week).collect()
}

/// The last instant that a forecast of so many weeks looks at.
pub fn horizon(first: WeekNumber, count: u32) -> Timestamp {
    first.begins().plus_days(Days(7 * i64::from(count))).plus_seconds(-1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_week_begins_on_monday_at_midnight_of_japan() {
        let at = |text| WeekNumber::of(Timestamp::parse(text).expect("valid"));
        let week = at("2026-11-25");
        assert_eq!(week.monday().to_string(), "2026-11-23");
        assert_eq!(at("2026-11-22T15:00:00Z"), week, "Monday, 00:00 in Japan");
        assert_eq!(at("2026-11-22T14:59:59Z"), WeekNumber(week.0 - 1));
        assert_eq!(at("2026-11-29T14:59:59Z"), week);
        assert_eq!(WeekNumber::of(week.begins()), week);
        assert_eq!(horizon(week, 1).to_string(), "2026-11-29T14:59:59Z");
    }

    #[test]
    fn a_week_in_which_many_end_at_once_stands_out_and_an_even_spread_does_not() {
        let ending = |terminals| Ending { terminals, fetched: 0 };
        let first = WeekNumber(3000);
        let with = |known: &[(i64, u32)]| {
            let known: Vec<_> = known.iter().map(|(week, count)| (WeekNumber(*week), ending(*count))).collect();
            let all = weeks(first, 156, &known);
            assert_eq!((all.len(), all[0].0), (156, first));
            cliffs(&all)
        };
        assert_eq!(with(&[(3100, 200), (3010, 3)]), [WeekNumber(3100)]);
        assert_eq!(with(&(3000..3156).map(|week| (week, 20)).collect::<Vec<_>>()), []);
        assert_eq!(with(&[(3100, 9)]), [], "nine are not many");
        assert_eq!(with(&[]), []);
    }
}
