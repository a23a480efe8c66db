//! When to look, when to renew, when to try again. Pure functions; every instant is derived from the certificate and from what the server
//! said, never from the time of the last run, so that a run that failed moves nothing (RFC 9773 section 4 for the window).

use serde::{Deserialize, Serialize};
use tegata_core::schedule::Validity;
use tegata_core::time::Timestamp;

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

/// When the server would like a certificate to be renewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// From then on.
    pub start: Timestamp,
    /// Until then.
    pub end: Timestamp,
}

/// A place between 0 and 1, drawn once for each certificate so that a restart does not draw again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Draw(pub u32);

impl Draw {
    /// The same share of `seconds`.
    fn of(self, seconds: i64) -> i64 {
        let share = i128::from(seconds.max(0)) * i128::from(self.0) / i128::from(u32::MAX);
        i64::try_from(share).unwrap_or(i64::MAX)
    }
}

/// When a certificate is renewed: at a drawn instant of the server's window; without one at 2/3 of its life, up to 1/20 of the life earlier.
/// A window cannot make us miss the end, nor renew what is new: the last twentieth of the life and its first tenth (at most a day) bound it.
pub fn renewal(validity: Validity, window: Option<Window>, draw: Draw) -> Timestamp {
    let Validity { not_before, not_after } = validity;
    let life = (not_after.0 - not_before.0).max(1);
    let wanted = match window {
        Some(window) => window.start.plus_seconds(draw.of(window.end.0 - window.start.0)),
        None => not_before.plus_seconds(life / 3 * 2 - draw.of(life / 20)),
    };
    let earliest = not_before.plus_seconds((life / 10).min(DAY));
    let latest = not_after.plus_seconds(-(life / 20));
    wanted.clamp(earliest, latest.max(earliest))
}

/// When to ask the server again although nothing is due: in 6 hours, give or take one.
pub fn next_check(now: Timestamp, draw: Draw) -> Timestamp {
    now.plus_seconds(5 * HOUR + draw.of(2 * HOUR))
}

/// When to try again after `failures` (1 or more) in a row: after 1, 5, 15, 60, 180 and then every 360 minutes, of which up to a quarter is
/// given to chance. What the server said (`Retry-After`) is kept, up to a day, and then some by chance, so that a fleet does not come back
/// in step; where it goes on saying so, a quarter of an hour lies between two tries.
pub fn retry(now: Timestamp, failures: u32, retry_after: Option<i64>, draw: Draw) -> Timestamp {
    let step = match failures {
        0 | 1 => 60,
        2 => 5 * 60,
        3 => 15 * 60,
        4 => HOUR,
        5 => 3 * HOUR,
        _ => 6 * HOUR,
    };
    match retry_after {
        Some(seconds) => {
            let wait = seconds.clamp(1, DAY).max(step.min(15 * 60));
            now.plus_seconds(wait + draw.of(wait / 4))
        }
        None => now.plus_seconds(step - draw.of(step / 4)),
    }
}

/// After a refusal nothing is tried for a day: only a person can mend it, but a server that was set up wrongly for an hour must not stop a
/// thousand agents until somebody has visited each.
pub fn after_refusal(now: Timestamp, draw: Draw) -> Timestamp {
    now.plus_seconds(DAY - draw.of(HOUR))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).expect("a valid time in a test")
    }

    fn life(from: &str, to: &str) -> Validity {
        Validity { not_before: at(from), not_after: at(to) }
    }

    const DRAWS: [Draw; 4] = [Draw(0), Draw(1), Draw(u32::MAX / 2), Draw(u32::MAX)];

    #[test]
    fn without_a_window_it_is_two_thirds_of_the_life_or_a_twentieth_earlier() {
        let year = life("2027-01-01T00:00:00Z", "2028-01-01T00:00:00Z");
        assert_eq!(renewal(year, None, Draw(0)), at("2027-09-01T08:00:00Z"));
        assert_eq!(renewal(year, None, Draw(u32::MAX)), at("2027-08-14T02:00:00Z"));
    }

    #[test]
    fn in_a_window_it_is_the_drawn_instant() {
        let year = life("2027-01-01T00:00:00Z", "2028-01-01T00:00:00Z");
        let window = Window { start: at("2027-10-01T00:00:00Z"), end: at("2027-10-11T00:00:00Z") };
        assert_eq!(renewal(year, Some(window), Draw(0)), window.start);
        assert_eq!(renewal(year, Some(window), Draw(u32::MAX)), window.end);
        assert_eq!(renewal(year, Some(window), Draw(u32::MAX / 2)).0 / 60, at("2027-10-05T23:59:00Z").0 / 60);
    }

    #[test]
    fn a_window_that_is_past_or_beyond_the_end_neither_loops_nor_misses() {
        let year = life("2027-01-01T00:00:00Z", "2028-01-01T00:00:00Z");
        for draw in DRAWS {
            let past = Window { start: at("2020-01-01"), end: at("2020-01-02") };
            assert_eq!(renewal(year, Some(past), draw), at("2027-01-02T00:00:00Z"));
            let beyond = Window { start: at("2030-01-01"), end: at("2029-01-02") };
            assert!(renewal(year, Some(beyond), draw) < at("2027-12-15T00:00:00Z"));
            // Ten minutes, as a sandbox has them.
            let short = life("2027-01-01T00:00:00Z", "2027-01-01T00:10:00Z");
            assert_eq!(renewal(short, Some(past), draw), at("2027-01-01T00:01:00Z"));
        }
    }

    #[test]
    fn checks_are_5_to_7_hours_apart() {
        let now = at("2027-01-01T00:00:00Z");
        assert_eq!(next_check(now, Draw(0)), at("2027-01-01T05:00:00Z"));
        assert_eq!(next_check(now, Draw(u32::MAX)), at("2027-01-01T07:00:00Z"));
    }

    #[test]
    fn tries_thin_out_to_one_in_six_hours_and_keep_to_retry_after() {
        let now = Timestamp(1_000_000);
        let minutes = |failures| (retry(now, failures, None, Draw(0)).0 - now.0) / 60;
        assert_eq!([1, 2, 3, 4, 5, 6, 1000].map(minutes), [1, 5, 15, 60, 180, 360, 360]);
        assert_eq!(retry(now, 4, None, Draw(u32::MAX)), now.plus_seconds(45 * 60));
        assert_eq!(retry(now, 1, Some(90), Draw(0)), now.plus_seconds(90));
        assert_eq!(retry(now, 9, Some(30), Draw(0)), now.plus_seconds(15 * 60), "and no oftener when it goes on");
        assert!(retry(now, 1, Some(90), Draw(u32::MAX)) > now.plus_seconds(90), "a fleet does not come in step");
        assert_eq!(retry(now, 1, Some(i64::MAX), Draw(0)), now.plus_seconds(DAY));
    }
}
