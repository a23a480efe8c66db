//! Who acts, and how far that one can see. A [`Scope`] can only come from an [`Actor`]; every read of the store takes one.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use crate::api_key::{ApiReach, ApiScope, Program};
use crate::customer::CustomerKind;
use crate::id::{CustomerId, ParseIdError, TerminalId, UserId};

/// What a person of a customer may do; [`Privilege`] says it in full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Uses the applications and renews the certificate of the terminal in use.
    TerminalUser,
    /// The same, and looks after all terminals of the customer.
    CustomerAdmin,
    /// Of the operator: does at the console what the command line does.
    CaOfficer,
    /// Of the operator: answers the telephone. Sees how everything stands, and never a key, a password or a code.
    HelpDesk,
    /// Of the operator: reads how everything stands and what was done, and changes nothing.
    Auditor,
}

impl Role {
    /// Every role with its word in the store, on the command line and in `demo.json`.
    pub const ALL: [(Self, &'static str); 5] = [
        (Self::TerminalUser, "terminal-user"),
        (Self::CustomerAdmin, "customer-admin"),
        (Self::CaOfficer, "ca-officer"),
        (Self::HelpDesk, "help-desk"),
        (Self::Auditor, "auditor"),
    ];

    /// Its word.
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(role, _)| *role == self).map_or("", |(_, word)| word)
    }

    /// Whether it is one of the operator's staff, who see every customer.
    pub fn is_staff(self) -> bool {
        matches!(self, Self::CaOfficer | Self::HelpDesk | Self::Auditor)
    }

    /// Whether people of such a customer can have it. The operator's own terminals are looked after by its officers: an administrator there
    /// could otherwise give himself an officer's terminal.
    pub fn fits(self, kind: CustomerKind) -> bool {
        self.is_staff() == (kind == CustomerKind::Operator)
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
        let expected = "a role: terminal-user, customer-admin, ca-officer, help-desk or auditor";
        let found = Self::ALL.iter().find(|(_, word)| *word == text).map(|(role, _)| *role);
        found.ok_or_else(|| ParseIdError { text: text.to_owned(), expected })
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
    /// A program that showed an API key beside its terminal's certificate.
    Program(Box<Program>),
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
            Self::User { role, .. } if role.is_staff() => "staff",
            Self::User { .. } => "user",
            Self::Recovered { .. } => "recovery-code",
            Self::Program(_) => "program",
            Self::Operator { .. } => "operator",
            Self::System { .. } => "system",
        }
    }

    /// The name, as the operation log writes it; empty where there is none.
    pub fn name(&self) -> &str {
        match self {
            Self::Visitor | Self::Terminal { .. } | Self::Recovered { .. } => "",
            Self::User { name, .. } | Self::Operator { name } => name,
            Self::Program(program) => &program.name,
            Self::System { job } => job,
        }
    }

    /// How far this actor can see: a terminal and whoever sits at it see that terminal; an administrator sees all of the same customer; a
    /// program as far as its key reaches; the operator's staff see the rows of everybody, without anything secret; the operator and the
    /// service see everything; a visitor sees nothing.
    pub fn scope(&self) -> Scope {
        Scope(match self {
            Self::Visitor => Reach::Nothing,
            Self::User { role: Role::CaOfficer | Role::HelpDesk | Role::Auditor, customer, terminal, .. } => {
                Reach::Everybody { terminal: *terminal, customer: *customer }
            }
            Self::User { role: Role::CustomerAdmin, customer, .. } => Reach::Customer(*customer),
            Self::Terminal { terminal, customer }
            | Self::Recovered { terminal, customer }
            | Self::User { role: Role::TerminalUser, terminal, customer, .. } => {
                Reach::Terminal { terminal: *terminal, customer: *customer }
            }
            Self::Program(program) => match program.reach {
                ApiReach::Customer => Reach::Customer(program.customer),
                ApiReach::Everything => Reach::Everybody { terminal: program.terminal, customer: program.customer },
            },
            Self::Operator { .. } | Self::System { .. } => Reach::Everything,
        })
    }
}

/// What can be permitted to somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Privilege {
    /// To see at the console how every customer stands.
    Console,
    /// To look after terminals: their names, the end of their service, help for those that are locked out.
    Terminals,
    /// To revoke certificates, with any reason.
    Revoke,
    /// To set what holds for a customer.
    Customers,
}

/// Whose things a privilege is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whose {
    /// Nobody's: it is not granted.
    Nobodys,
    /// Those of the customer whose staff one is.
    Own,
    /// Those of every customer.
    All,
}

impl Privilege {
    /// Every privilege.
    pub const ALL: [Self; 4] = [Self::Console, Self::Terminals, Self::Revoke, Self::Customers];

    /// The whole table of who may what.
    fn of(self, role: Role) -> Whose {
        match (self, role) {
            (_, Role::CaOfficer) | (Self::Console, Role::HelpDesk | Role::Auditor) => Whose::All,
            (Self::Terminals, Role::CustomerAdmin) => Whose::Own,
            _ => Whose::Nobodys,
        }
    }

    /// The scopes of API keys that it is divided into; which of them an act asks for is said where programs ask. None has the console.
    fn scopes(self) -> &'static [ApiScope] {
        match self {
            Self::Console | Self::Customers => &[],
            Self::Terminals => &[ApiScope::TerminalsWrite, ApiScope::TerminalsEnd, ApiScope::TerminalsRecover],
            Self::Revoke => &[ApiScope::CertificatesRevoke],
        }
    }
}

/// Whether an actor has a privilege over what belongs to a customer. A person with a shell on the server has them all.
pub fn may(actor: &Actor, privilege: Privilege, over: CustomerId) -> bool {
    match actor {
        Actor::Operator { .. } => true,
        Actor::User { role, customer, .. } => match privilege.of(*role) {
            Whose::Nobodys => false,
            Whose::Own => *customer == over,
            Whose::All => true,
        },
        Actor::Program(program) => {
            let reaches = program.reach == ApiReach::Everything || program.customer == over;
            reaches && privilege.scopes().iter().any(|scope| program.scopes.has(*scope))
        }
        _ => false,
    }
}

/// Whether an actor has a privilege over what belongs to anybody.
pub fn may_everywhere(actor: &Actor, privilege: Privilege) -> bool {
    match actor {
        Actor::Operator { .. } => true,
        Actor::User { role, .. } => privilege.of(*role) == Whose::All,
        Actor::Program(program) => {
            program.reach == ApiReach::Everything && privilege.scopes().iter().any(|scope| program.scopes.has(*scope))
        }
        _ => false,
    }
}

/// Whether an actor looks after the terminals of a customer.
pub fn administers(actor: &Actor, of: CustomerId) -> bool {
    may(actor, Privilege::Terminals, of)
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
    /// Every row, and of secrets, sealed ones too, only those of the terminal at which one sits.
    Everybody {
        /// At which terminal.
        terminal: TerminalId,
        /// Whose.
        customer: CustomerId,
    },
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

#[cfg(test)]
mod tests {
    use super::*;

    fn customer(number: u32) -> CustomerId {
        CustomerId::new(number).expect("valid")
    }

    fn person(role: Role) -> Actor {
        let terminal = TerminalId::from_random([1; 16]);
        Actor::User { user: UserId(1), name: "x".into(), role, customer: customer(1), terminal }
    }

    #[test]
    fn the_table_of_privileges_is_this_one() {
        let word = |role, privilege| {
            let actor = person(role);
            let (own, other) = (may(&actor, privilege, customer(1)), may(&actor, privilege, customer(2)));
            assert_eq!(other, may_everywhere(&actor, privilege), "{role} {privilege:?}");
            match (own, other) {
                (false, false) => "-",
                (true, false) => "own",
                (true, true) => "all",
                (false, true) => "other",
            }
        };
        let line = |(role, name): (Role, &str)| {
            let words: Vec<String> = Privilege::ALL.iter().map(|p| format!("{p:?}={}", word(role, *p))).collect();
            format!("{name}: {}", words.join(" "))
        };
        let table: Vec<String> = Role::ALL.into_iter().map(line).collect();
        let expected = [
            "terminal-user: Console=- Terminals=- Revoke=- Customers=-",
            "customer-admin: Console=- Terminals=own Revoke=- Customers=-",
            "ca-officer: Console=all Terminals=all Revoke=all Customers=all",
            "help-desk: Console=all Terminals=- Revoke=- Customers=-",
            "auditor: Console=all Terminals=- Revoke=- Customers=-",
        ];
        assert_eq!(table, expected);
    }

    #[test]
    fn without_a_login_nothing_is_permitted_but_to_the_shell() {
        let (terminal, of) = (TerminalId::from_random([1; 16]), customer(1));
        let nobody = [
            Actor::Visitor,
            Actor::Terminal { terminal, customer: of },
            Actor::Recovered { terminal, customer: of },
            Actor::System { job: "x" },
        ];
        for privilege in Privilege::ALL {
            assert!(nobody.iter().all(|actor| !may(actor, privilege, of) && !may_everywhere(actor, privilege)));
            assert!(may(&Actor::Operator { name: "x".into() }, privilege, of));
        }
    }

    #[test]
    fn staff_roles_are_the_operators_and_the_others_a_clinics() {
        for (role, word) in Role::ALL {
            assert_eq!(word.parse(), Ok(role));
            assert_eq!(role.fits(CustomerKind::Operator), role.is_staff(), "{role}");
            assert_eq!(role.fits(CustomerKind::Clinic), !role.is_staff(), "{role}");
            let everybody = matches!(person(role).scope().reach(), Reach::Everybody { .. });
            assert_eq!(everybody, role.is_staff(), "{role}");
        }
        assert!("root".parse::<Role>().is_err());
    }
}
