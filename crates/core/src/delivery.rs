//! When something that could not be delivered is tried again, and when it is given up.

use crate::time::{Days, Timestamp};

/// Minutes after each try until the next: soon at first, once a day in the end.
const WAITS: [i64; 7] = [1, 5, 15, 60, 240, 720, 1440];
/// After so many days what was not delivered is given up: a reminder of three days ago is not worth reading.
pub const GIVEN_UP_AFTER: Days = Days(3);

/// When to try again after `tries` tries that failed; `None` when it is to be given up.
pub fn next_try(tries: u32, created_at: Timestamp, now: Timestamp) -> Option<Timestamp> {
    let index = usize::try_from(tries.saturating_sub(1)).unwrap_or(usize::MAX).min(WAITS.len() - 1);
    let next = now.plus_seconds(WAITS[index] * 60);
    (next <= created_at.plus_days(GIVEN_UP_AFTER)).then_some(next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tries_get_rarer_and_end_after_three_days() {
        let (mut now, mut tries, mut waits) = (Timestamp(0), 0, Vec::new());
        loop {
            tries += 1;
            match next_try(tries, Timestamp(0), now) {
                Some(next) => waits.push((next.0 - now.0) / 60),
                None => break,
            }
            now = now.plus_seconds(waits[waits.len() - 1] * 60);
        }
        assert_eq!(waits, [1, 5, 15, 60, 240, 720, 1440, 1440]);
        assert!(now <= Timestamp(3 * 86_400));
        assert_eq!(next_try(u32::MAX, Timestamp(0), Timestamp(0)), Some(Timestamp(86_400)));
    }
}
