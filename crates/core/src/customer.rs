//! Customers (clinics, and the operator itself) and the people of theirs who log in.

use std::fmt;
use std::str::FromStr;

use crate::access::Role;
use crate::id::{CustomerId, ParseIdError, UserId};
use crate::time::Timestamp;

/// The six digits by which the service bills a customer, the first field of the seed's file names.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CustomerCode(String);

impl FromStr for CustomerCode {
    type Err = ParseIdError;
    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        let good = text.len() == 6 && text.bytes().all(|b| b.is_ascii_digit());
        good.then(|| Self(text.to_owned())).ok_or_else(|| ParseIdError {
            text: text.to_owned(),
            expected: "a customer code of six digits such as 103001",
        })
    }
}

impl fmt::Display for CustomerCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a customer is to the service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CustomerKind {
    /// A clinic, a pharmacy: whom the service is for.
    #[default]
    Clinic,
    /// The operator of the service itself: its staff and their terminals.
    Operator,
}

impl CustomerKind {
    /// Its word in the store and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Clinic => "clinic",
            Self::Operator => "operator",
        }
    }
}

impl fmt::Display for CustomerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for CustomerKind {
    type Err = ParseIdError;
    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        let found = [Self::Clinic, Self::Operator].into_iter().find(|kind| kind.as_str() == text);
        found.ok_or_else(|| ParseIdError { text: text.to_owned(), expected: "a kind of customer: clinic or operator" })
    }
}

/// A customer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Customer {
    /// Its id, `u00000001`.
    pub id: CustomerId,
    /// What it is to the service.
    pub kind: CustomerKind,
    /// Its six digits.
    pub code: CustomerCode,
    /// Its name as its staff write it; the O of its certificates.
    pub name: String,
    /// When it was registered.
    pub created_at: Timestamp,
}

/// What the operator set for one customer; what is not set is as the configuration has it for everybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CustomerSettings {
    /// How many terminals in service the customer may have; `None` for as many as there are numbers.
    pub most_terminals: Option<u32>,
    /// Whether ORCA's own programs may renew by their protocol.
    pub old_programs: bool,
}

impl Default for CustomerSettings {
    fn default() -> Self {
        Self { most_terminals: None, old_programs: true }
    }
}

impl CustomerSettings {
    /// Whether there is room for one terminal more beside so many in service.
    pub fn has_room(&self, in_service: u32) -> bool {
        self.most_terminals.is_none_or(|most| in_service < most)
    }
}

/// A person of a customer who may log in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Its row.
    pub id: UserId,
    /// Whose staff.
    pub customer: CustomerId,
    /// The name typed at the login screen, unique within the customer.
    pub name: String,
    /// What the person may do.
    pub role: Role,
    /// When it was registered.
    pub created_at: Timestamp,
}

/// A name that a person types: 1 to `longest` characters, none that is invisible or turns others around, no space at the ends.
pub fn check_name(name: &str, longest: usize) -> Result<(), ParseIdError> {
    let length = name.chars().count();
    let hidden = |c: char| {
        c.is_control()
            || matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    let good = (1..=longest).contains(&length) && !name.chars().any(hidden) && name.trim() == name;
    good.then_some(()).ok_or_else(|| ParseIdError {
        text: name.chars().take(80).collect(),
        expected: "a name (not empty, not too long, no control characters, no space at either end)",
    })
}
