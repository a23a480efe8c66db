//! Recovery: a terminal whose certificate expired or got lost gets its new one with the help of a colleague at another terminal of the same
//! customer, or of the operator. Either the helper fetches it, or the helper makes a code that is typed at the terminal that is locked out.

use std::fmt;
use std::str::FromStr;

use crate::access::{Actor, administers};
use crate::id::{ClientNumber, CustomerId, ParseIdError, TerminalId, UserId};
use crate::renewal::PermitError;
use crate::secret::{Entropy, Secret, random};
use crate::terminal::Terminal;
use crate::time::Timestamp;

/// How often a wrong code may be tried from one address.
pub const TRIES: u32 = 5;
/// How often from all together. Somebody at one address, who knows no more than a terminal's number, cannot end its codes alone.
pub const TRIES_IN_ALL: u32 = 20;
/// For how long a code counts, and for how long a helper can fetch what was made.
pub const MINUTES: i64 = 15;
/// The longest reason that is written down, in characters.
pub const LONGEST_REASON: usize = 200;

/// The right to have a terminal recovered; only [`may_recover`] and [`Recovery::accept`] make one.
#[derive(Debug)]
pub struct Right(TerminalId);

impl Right {
    /// For which terminal.
    pub fn terminal(&self) -> TerminalId {
        self.0
    }
}

/// Whether an actor may help a terminal: an administrator of the same customer, or the operator.
pub fn may_recover(actor: &Actor, terminal: &Terminal) -> Result<Right, PermitError> {
    if administers(actor, terminal.customer) { Ok(Right(terminal.id)) } else { Err(PermitError::Forbidden) }
}

/// A terminal's number as people say it: `1-2` is the second terminal of the first customer (`u00000001/client0002`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TerminalNumber {
    /// Whose terminal.
    pub customer: CustomerId,
    /// Which of them.
    pub client: ClientNumber,
}

impl fmt::Display for TerminalNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.customer.number(), self.client.number())
    }
}

impl FromStr for TerminalNumber {
    type Err = ParseIdError;

    /// Reads one as people type it: with whatever stroke their keyboard makes, in wide digits, or in the long form.
    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        let expected = "a terminal number such as 1-2";
        let wrong = || ParseIdError { text: text.chars().take(40).collect(), expected };
        let plain: String = text.trim().to_ascii_lowercase().chars().map(narrow).collect();
        let (customer, client) = plain.split_once(['-', '/', ' ']).ok_or_else(wrong)?;
        let number = |text: &str, prefix: &str| {
            let digits = text.trim();
            let digits = digits.strip_prefix(prefix).unwrap_or(digits);
            let plain = (1..=8).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
            digits.parse::<u32>().ok().filter(|_| plain)
        };
        let customer = number(customer, "u").and_then(CustomerId::new).ok_or_else(wrong)?;
        let client = number(client, "client").and_then(ClientNumber::new).ok_or_else(wrong)?;
        Ok(Self { customer, client })
    }
}

/// Digits and strokes as Japanese keyboards make them, to ASCII.
pub(crate) fn narrow(c: char) -> char {
    match c {
        '０'..='９' => char::from(b'0' + u8::try_from(u32::from(c) - u32::from('０')).unwrap_or(0)),
        'ー' | '－' | '‐' | '−' | '―' | '–' => '-',
        '　' => ' ',
        '／' => '/',
        other => other,
    }
}

/// Eight digits, read out over the phone in two groups: `1234 5678`.
#[derive(Clone)]
pub struct RecoveryCode(Secret<String>);

impl RecoveryCode {
    /// A new one.
    pub fn random(entropy: &dyn Entropy) -> Self {
        loop {
            let number = u32::from_be_bytes(random::<4>(entropy));
            // 4,200,000,000 is a multiple of 100,000,000: numbers above it would make some codes likelier than others.
            if number < 4_200_000_000 {
                return Self(Secret::new(format!("{:08}", number % 100_000_000)));
            }
        }
    }

    /// Reads one as people type it: in groups, with strokes, in wide digits.
    pub fn parse(text: &str) -> Result<Self, ParseIdError> {
        let digits: String = text.chars().map(narrow).filter(|c| !matches!(c, ' ' | '-')).collect();
        let good = digits.len() == 8 && digits.bytes().all(|byte| byte.is_ascii_digit());
        // What was typed is not repeated: it may be nearly right.
        let wrong = ParseIdError { text: "...".into(), expected: "a recovery code of eight digits" };
        good.then(|| Self(Secret::new(digits))).ok_or(wrong)
    }

    /// Its digits.
    pub fn digits(&self) -> &Secret<String> {
        &self.0
    }

    /// As it is read out.
    pub fn spoken(&self) -> Secret<String> {
        let (first, second) = self.0.expose().split_at(4);
        Secret::new(format!("{first} {second}"))
    }
}

/// How a terminal is helped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// This person fetches the new certificate at another terminal.
    Here(UserId),
    /// Somebody types a code at the terminal itself.
    Code,
}

/// A row of the register: help that was begun. A terminal has at most one. The code itself is not in it, only a keyed hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovery {
    /// For which terminal.
    pub terminal: TerminalId,
    /// Whose terminal that is.
    pub customer: CustomerId,
    /// How.
    pub way: Way,
    /// Why, in the helper's words.
    pub reason: String,
    /// The last second in which it counts.
    pub expires_at: Timestamp,
    /// Wrong codes so far.
    pub failures: u32,
    /// Whether the right code was typed in some browser.
    pub typed: bool,
}

impl Recovery {
    /// Whether it still counts.
    pub fn is_open(&self, now: Timestamp) -> bool {
        now <= self.expires_at && self.failures < TRIES_IN_ALL
    }

    /// What the right code is worth.
    pub fn accept(&self, now: Timestamp) -> Option<Right> {
        (self.way == Way::Code && self.is_open(now)).then_some(Right(self.terminal))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::Role;

    #[test]
    fn a_terminals_number_is_read_as_people_type_it() {
        let read = |text: &str| text.parse::<TerminalNumber>().map(|number| number.to_string()).ok();
        for typed in
            ["1-2", "１－２", "1ー2", "１‐2", "u00000001/client0002", " 1 2 ", "00000001-0002", "U00000001 client002"]
        {
            assert_eq!(read(typed).as_deref(), Some("1-2"), "{typed}");
        }
        for wrong in [
            "",
            "1",
            "1-",
            "-2",
            "0-1",
            "1-0",
            "1-10000",
            "100000000-1",
            "1-2-3",
            "一-二",
            "1-+2",
            "uu1-2",
            "1-clientclient2",
        ] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_code_is_read_as_people_type_it_and_never_repeated() {
        for typed in ["12345678", "1234 5678", "1234-5678", "１２３４　５６７８"] {
            assert_eq!(RecoveryCode::parse(typed).expect("a code").spoken().expose(), "1234 5678", "{typed}");
        }
        for wrong in ["", "1234567", "123456789", "1234567a", "+1234567"] {
            let error = RecoveryCode::parse(wrong).map(|_| ()).expect_err(wrong);
            assert!(wrong.is_empty() || !error.to_string().contains(wrong));
        }
    }

    #[test]
    fn help_counts_until_its_last_second_and_twenty_wrong_codes() {
        let now = Timestamp(1_000);
        let terminal = TerminalId::from_random([1; 16]);
        let recovery = |way, failures| Recovery {
            terminal,
            customer: CustomerId::new(1).expect("valid"),
            way,
            reason: "期限切れ".into(),
            expires_at: now,
            failures,
            typed: false,
        };
        let accepted = |way, failures, at| recovery(way, failures).accept(at).map(|right| right.terminal());
        assert_eq!(accepted(Way::Code, 19, now), Some(terminal));
        assert_eq!(accepted(Way::Code, 20, now), None);
        assert_eq!(accepted(Way::Code, 0, Timestamp(1_001)), None);
        assert_eq!(accepted(Way::Here(UserId(1)), 0, now), None);
    }

    #[test]
    fn an_administrator_helps_terminals_of_the_same_customer_only() {
        let customer = |number| CustomerId::new(number).expect("valid");
        let terminal = Terminal {
            id: TerminalId::from_random([1; 16]),
            customer: customer(1),
            client: ClientNumber::new(2).expect("valid"),
            name: "診察室".into(),
            created_at: Timestamp(0),
            retired_at: None,
            blocked_at: None,
            deferred_on: None,
        };
        let user = |role, of| Actor::User {
            user: UserId(1),
            name: "x".into(),
            role,
            customer: customer(of),
            terminal: TerminalId::from_random([2; 16]),
        };
        let may = |actor: &Actor| may_recover(actor, &terminal).is_ok();
        assert!(may(&user(Role::CustomerAdmin, 1)) && may(&Actor::Operator { name: "x".into() }));
        let own = Actor::Terminal { terminal: terminal.id, customer: customer(1) };
        for actor in [user(Role::CustomerAdmin, 2), user(Role::TerminalUser, 1), own, Actor::Visitor] {
            assert!(!may(&actor), "{actor:?}");
        }
    }
}
