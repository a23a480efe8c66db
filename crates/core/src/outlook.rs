//! What a customer can count on: until when no terminal stops, what stops first, and what has stopped already. One page of proof is made from it.

use crate::terminal::Condition;
use crate::time::Timestamp;

/// How things stand for all terminals together. The numbers are places in the list that was asked about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outlook {
    /// The last second in which every terminal that connects now still does; absent where none connects.
    pub until: Option<Timestamp>,
    /// Those that stop first, at that second.
    pub first: Vec<usize>,
    /// Those that connect now.
    pub connecting: Vec<usize>,
    /// Those that cannot connect although nobody wanted that.
    pub locked_out: Vec<usize>,
    /// Those that have never connected: what they got, if anything, was never used.
    pub never: Vec<usize>,
}

/// Looks at all terminals of a customer, each with its condition and the end of what it uses. A certificate that waits or was fetched and never
/// used promises nothing. Those that were revoked or taken out of service are meant to be gone, and are in no list.
pub fn outlook(terminals: &[(Condition, Option<Timestamp>)]) -> Outlook {
    let until = terminals.iter().filter_map(|(_, until)| *until).min();
    let places = |counts: &dyn Fn(Condition, Option<Timestamp>) -> bool| {
        let all = terminals.iter().enumerate();
        all.filter(|(_, (condition, end))| counts(*condition, *end)).map(|(place, _)| place).collect::<Vec<_>>()
    };
    Outlook {
        until,
        first: places(&|_, end| end.is_some() && end == until),
        connecting: places(&|_, end| end.is_some()),
        locked_out: places(&|condition, _| condition == Condition::Expired),
        never: places(&|condition, end| {
            end.is_none() && matches!(condition, Condition::Waiting | Condition::Fetched | Condition::Empty)
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_promise_lasts_until_the_first_end_of_what_is_in_use() {
        let at = |second| Some(Timestamp(second));
        let all = [
            (Condition::InUse, at(900)),
            (Condition::EndsSoon, at(300)),
            (Condition::Fetched, at(300)), // the old one is still in use
            (Condition::Waiting, None),
            (Condition::Empty, None),
            (Condition::Expired, None),
            (Condition::Revoked, None),
            (Condition::Retired, None),
        ];
        let expected = Outlook {
            until: at(300),
            first: vec![1, 2],
            connecting: vec![0, 1, 2],
            locked_out: vec![5],
            never: vec![3, 4],
        };
        assert_eq!(outlook(&all), expected);
    }

    #[test]
    fn where_nothing_connects_nothing_is_promised() {
        assert_eq!(outlook(&[]), Outlook::default());
        let gone = outlook(&[(Condition::Expired, None), (Condition::Revoked, None)]);
        assert_eq!((gone.until, gone.first.len(), gone.locked_out), (None, 0, vec![0]));
    }
}
