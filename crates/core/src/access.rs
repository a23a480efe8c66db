//! Who acts, and how far that one can see. A [`Scope`] can only come from an [`Actor`]; every read of the store takes one.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use crate::id::{CustomerId, ParseIdError, TerminalId, UserId};

/// What a person of a customer may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Uses the applications and renews the certificate of the terminal in use.
    TerminalUser,
    /// The same, and looks after all terminals of the customer.
    CustomerAdmin,
}

impl Role {
    /// Its word in the store, on the command line and in `demo.json`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TerminalUser => "terminal-user",
            Self::CustomerAdmin => "customer-admin",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Role {
    type Err = ParseIdError;
    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        match text {
            "terminal-user" => Ok(Self::TerminalUser),
            "customer-admin" => Ok(Self::CustomerAdmin),
            _ => Err(ParseIdError { text: text.to_owned(), expected: "a role: terminal-user or customer-admin" }),
        }
    }
}

/// Who acts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Actor {
    /// Nobody that we know: a login that failed, a visitor without a certificate of ours.
    Visitor,
    /// A terminal that presented an accepted certificate, before anybody logged in.
    Terminal {
        /// Which one.
        terminal: TerminalId,
        /// Whose.
        customer: CustomerId,
    },
    /// A person who logged in at a terminal.
    User {
        /// Who.
        user: UserId,
        /// The name typed at the login screen.
        name: String,
        /// What the person may do.
        role: Role,
        /// Whose staff.
        customer: CustomerId,
        /// At which terminal.
        terminal: TerminalId,
    },
    /// Somebody at a terminal without a certificate that counts, who typed the code that a colleague made for it.
    Recovered {
        /// Which terminal.
        terminal: TerminalId,
        /// Whose.
        customer: CustomerId,
    },
    /// A person with a shell on the server.
    Operator {
        /// The account's name.
        name: String,
    },
    /// The service itself.
    System {
        /// Which job.
        job: &'static str,
    },
}

impl Actor {
    /// The kind of actor, as the operation log writes it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Visitor => "visitor",
            Self::Terminal { .. } => "terminal",
            Self::User { .. } => "user",
            Self::Recovered { .. } => "recovery-code",
            Self::Operator { .. } => "operator",
            Self::System { .. } => "system",
        }
    }

    /// The name, as the operation log writes it; empty where there is none.
    pub fn name(&self) -> &str {
        match self {
            Self::Visitor | Self::Terminal { .. } | Self::Recovered { .. } => "",
            Self::User { name, .. } | Self::Operator { name } => name,
            Self::System { job } => job,
        }
    }

    /// How far this actor can see: a terminal and whoever sits at it see that terminal; an administrator sees all of the same customer; the
    /// operator and the service see everything; a visitor sees nothing.
    pub fn scope(&self) -> Scope {
        Scope(match self {
            Self::Visitor => Reach::Nothing,
            Self::User { role: Role::CustomerAdmin, customer, .. } => Reach::Customer(*customer),
            Self::Terminal { terminal, customer }
            | Self::Recovered { terminal, customer }
            | Self::User { role: Role::TerminalUser, terminal, customer, .. } => {
                Reach::Terminal { terminal: *terminal, customer: *customer }
            }
            Self::Operator { .. } | Self::System { .. } => Reach::Everything,
        })
    }
}

/// Whether an actor looks after the terminals of a customer: the operator does, and the customer's own administrators.
pub fn administers(actor: &Actor, of: CustomerId) -> bool {
    match actor {
        Actor::Operator { .. } => true,
        Actor::User { role: Role::CustomerAdmin, customer, .. } => *customer == of,
        _ => false,
    }
}

/// How far a reader can see. Only [`Actor::scope`] makes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scope(Reach);

/// The reach of a [`Scope`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// No row at all.
    Nothing,
    /// The rows of one terminal.
    Terminal {
        /// Which one.
        terminal: TerminalId,
        /// Whose.
        customer: CustomerId,
    },
    /// The rows of one customer.
    Customer(CustomerId),
    /// Every row.
    Everything,
}

impl Scope {
    /// What the store turns into a `WHERE`.
    pub fn reach(self) -> Reach {
        self.0
    }
}

/// What is counted where something is counted for each address: one household has a whole IPv6 /64 (RFC 6177 section 2).
pub fn household(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6((u128::from(address) & !u128::from(u64::MAX)).into()),
    }
}
