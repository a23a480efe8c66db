//! Public holidays of Japan (国民の祝日に関する法律), by rule, for 2020 to 2099: fixed days, Monday holidays, the two equinoxes, substitute
//! holidays (振替休日) and the day between two holidays (国民の休日). One-off moves by special law are listed for the years that had them.

use jiff::civil::{Date, Weekday};

/// True when `date` is a public holiday in Japan, substitute holidays included.
pub fn is_public_holiday(date: Date) -> bool {
    if is_named_holiday(date) {
        return true;
    }
    is_substitute(date) || is_between_two(date)
}

/// Substitute: the first day after a Sunday holiday that is not itself a holiday.
fn is_substitute(date: Date) -> bool {
    let mut day = date;
    loop {
        let Ok(before) = day.yesterday() else { return false };
        if !is_named_holiday(before) {
            return false;
        }
        if before.weekday() == Weekday::Sunday {
            return true;
        }
        day = before;
    }
}

/// A day whose neighbours are both named holidays is a holiday too.
fn is_between_two(date: Date) -> bool {
    let (Ok(before), Ok(after)) = (date.yesterday(), date.tomorrow()) else { return false };
    is_named_holiday(before) && is_named_holiday(after)
}

fn is_named_holiday(date: Date) -> bool {
    let (year, month, day) = (date.year(), date.month(), date.day());
    if let Some(moved) = moved_by_special_law(year)
        && let Some(answer) = moved(month, day)
    {
        return answer;
    }
    let nth_monday = |nth: i8| date.weekday() == Weekday::Monday && (day - 1) / 7 + 1 == nth;
    match month {
        1 => day == 1 || nth_monday(2),
        2 => day == 11 || day == 23,
        3 => day == vernal_equinox(year),
        4 => day == 29,
        5 => (3..=5).contains(&day),
        7 => nth_monday(3),
        8 => day == 11,
        9 => nth_monday(3) || day == autumnal_equinox(year),
        10 => nth_monday(2),
        11 => day == 3 || day == 23,
        _ => false,
    }
}

/// The Olympic years moved three holidays of July, August and October; `None` where the ordinary rule holds.
fn moved_by_special_law(year: i16) -> Option<fn(i8, i8) -> Option<bool>> {
    match year {
        2020 => Some(|month, day| match month {
            7 => Some(day == 23 || day == 24),
            8 => Some(day == 10),
            10 => Some(false),
            _ => None,
        }),
        2021 => Some(|month, day| match month {
            7 => Some(day == 22 || day == 23),
            8 => Some(day == 8),
            10 => Some(false),
            _ => None,
        }),
        _ => None,
    }
}

/// Day of March; the customary approximation, exact for 1980 to 2099 (the Cabinet Office announces each a year ahead).
fn vernal_equinox(year: i16) -> i8 {
    equinox(20_843_100, year)
}

/// Day of September; the same approximation.
fn autumnal_equinox(year: i16) -> i8 {
    equinox(23_248_800, year)
}

fn equinox(base_millionths: i64, year: i16) -> i8 {
    let years = i64::from(year) - 1980;
    let day = (base_millionths + 242_194 * years - years.div_euclid(4) * 1_000_000).div_euclid(1_000_000);
    i8::try_from(day).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holidays(year: i16) -> Vec<String> {
        let mut date = Date::constant(year, 1, 1);
        let mut found = Vec::new();
        while date.year() == year {
            if is_public_holiday(date) {
                found.push(format!("{:02}-{:02}", date.month(), date.day()));
            }
            date = date.tomorrow().expect("years of the test are far from the end of time");
        }
        found
    }

    /// Cabinet Office list 「国民の祝日」について, year by year.
    #[test]
    fn the_official_lists_are_reproduced() {
        let y2026 = "01-01 01-12 02-11 02-23 03-20 04-29 05-03 05-04 05-05 05-06 07-20 08-11 09-21 09-22 09-23 10-12 11-03 11-23";
        assert_eq!(holidays(2026).join(" "), y2026);
        let y2025 = "01-01 01-13 02-11 02-23 02-24 03-20 04-29 05-03 05-04 05-05 05-06 07-21 08-11 09-15 09-23 10-13 11-03 11-23 11-24";
        assert_eq!(holidays(2025).join(" "), y2025);
        let y2021 =
            "01-01 01-11 02-11 02-23 03-20 04-29 05-03 05-04 05-05 07-22 07-23 08-08 08-09 09-20 09-23 11-03 11-23";
        assert_eq!(holidays(2021).join(" "), y2021);
        let y2029 = "01-01 01-08 02-11 02-12 02-23 03-20 04-29 04-30 05-03 05-04 05-05 07-16 08-11 09-17 09-23 09-24 10-08 11-03 11-23";
        assert_eq!(holidays(2029).join(" "), y2029);
        let y2027 =
            "01-01 01-11 02-11 02-23 03-21 03-22 04-29 05-03 05-04 05-05 07-19 08-11 09-20 09-23 10-11 11-03 11-23";
        assert_eq!(holidays(2027).join(" "), y2027);
    }
}
