//! API keys: what a program shows beside its terminal's certificate. A key belongs to a customer and counts only beside an accepted certificate
//! of one of that customer's terminals, or of the one terminal that it names; what it may do is the list of its scopes. It can be replaced
//! while the one before still counts, so that no program stops in between.

use std::fmt;
use std::str::FromStr;

use crate::access::{Actor, Privilege, may};
use crate::id::{CustomerId, ParseIdError, TerminalId};
use crate::secret::{Entropy, Secret, random};
use crate::time::Timestamp;

/// Crockford's base 32 in small letters: no i, l, o, u.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
/// What every id begins with.
const ID_START: &str = "key-";
/// What every secret begins with, so that one that lies about in a file or a log is recognised for what it is.
const SECRET_START: &str = "tegata_";
/// How many letters of chance an id has.
const ID_LETTERS: usize = 8;
/// How many letters of chance a secret has: 160 bits.
const SECRET_LETTERS: usize = 32;
/// How many keys of a customer may count at one time.
pub const MOST_KEYS: usize = 20;
/// The longest name of a key, in characters.
pub const LONGEST_NAME: usize = 40;
/// For how many days a key counts unless something else is said, and at most.
pub const DAYS: u32 = 365;
/// The most days for which a key counts.
pub const MOST_DAYS: u32 = 1096;
/// For how many days the secret before still counts when a key is rotated, unless something else is said.
pub const OVERLAP_DAYS: u32 = 7;
/// The most days of overlap.
pub const MOST_OVERLAP_DAYS: u32 = 30;

/// What a key is called by whoever shows it: `key-` and eight letters. Not a secret.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ApiKeyId(String);

impl ApiKeyId {
    /// A new one.
    pub fn random(entropy: &dyn Entropy) -> Self {
        Self(format!("{ID_START}{}", letters::<ID_LETTERS>(entropy)))
    }

    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ApiKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for ApiKeyId {
    type Err = ParseIdError;
    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        let known = text.strip_prefix(ID_START).is_some_and(|rest| is_chance(rest, ID_LETTERS));
        let wrong = || ParseIdError {
            text: text.chars().take(40).collect(),
            expected: "the id of an API key such as key-4f7k92qx",
        };
        known.then(|| Self(text.to_owned())).ok_or_else(wrong)
    }
}

/// The secret of a key: shown once when it is made, kept nowhere but with the program.
#[derive(Clone, Debug)]
pub struct ApiSecret(Secret<String>);

impl ApiSecret {
    /// A new one.
    pub fn random(entropy: &dyn Entropy) -> Self {
        Self(Secret::new(format!("{SECRET_START}{}", letters::<SECRET_LETTERS>(entropy))))
    }

    /// Reads one; `None` for what cannot be one.
    pub fn parse(text: &str) -> Option<Self> {
        let known = text.strip_prefix(SECRET_START).is_some_and(|rest| is_chance(rest, SECRET_LETTERS));
        known.then(|| Self(Secret::new(text.to_owned())))
    }

    /// As it is shown once and sent each time.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }
}

fn letters<const N: usize>(entropy: &dyn Entropy) -> String {
    random::<N>(entropy).iter().map(|byte| char::from(ALPHABET[usize::from(byte % 32)])).collect()
}

fn is_chance(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|byte| ALPHABET.contains(&byte))
}

/// One thing that a key may be good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "each variant's word says what it is good for")]
pub enum ApiScope {
    TerminalsRead,
    TerminalsWrite,
    TerminalsEnd,
    TerminalsRecover,
    LogRead,
    TerminalsAdd,
    TerminalsInvite,
    CertificatesRevoke,
    CustomersRead,
    ForecastRead,
}

impl ApiScope {
    /// Every scope with its word.
    pub const ALL: [(Self, &'static str); 10] = [
        (Self::TerminalsRead, "terminals:read"),
        (Self::TerminalsWrite, "terminals:write"),
        (Self::TerminalsEnd, "terminals:end"),
        (Self::TerminalsRecover, "terminals:recover"),
        (Self::LogRead, "log:read"),
        (Self::TerminalsAdd, "terminals:add"),
        (Self::TerminalsInvite, "terminals:invite"),
        (Self::CertificatesRevoke, "certificates:revoke"),
        (Self::CustomersRead, "customers:read"),
        (Self::ForecastRead, "forecast:read"),
    ];

    /// Its word.
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(scope, _)| *scope == self).map_or("", |(_, word)| word)
    }

    /// Whether it is good for what only the operator does, so that no key of a customer's has it.
    pub fn is_the_operators(self) -> bool {
        match self {
            Self::TerminalsRead
            | Self::TerminalsWrite
            | Self::TerminalsEnd
            | Self::TerminalsRecover
            | Self::LogRead => false,
            Self::TerminalsAdd
            | Self::TerminalsInvite
            | Self::CertificatesRevoke
            | Self::CustomersRead
            | Self::ForecastRead => true,
        }
    }
}

impl fmt::Display for ApiScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for ApiScope {
    type Err = ParseIdError;
    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        let found = Self::ALL.iter().find(|(_, word)| *word == text).map(|(scope, _)| *scope);
        found.ok_or_else(|| ParseIdError {
            text: text.chars().take(40).collect(),
            expected: "a scope: terminals:read, terminals:write, terminals:end, terminals:recover or log:read; of the operator's keys also \
                       terminals:add, terminals:invite, certificates:revoke, customers:read or forecast:read",
        })
    }
}

/// What a key is good for, each once and in one order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiScopes(Vec<ApiScope>);

impl ApiScopes {
    /// From any list.
    pub fn new(mut scopes: Vec<ApiScope>) -> Self {
        scopes.sort_unstable();
        scopes.dedup();
        Self(scopes)
    }

    /// From words between spaces.
    pub fn parse(words: &str) -> Result<Self, ParseIdError> {
        words.split_ascii_whitespace().map(str::parse).collect::<Result<_, _>>().map(Self::new)
    }

    /// Whether this one is among them.
    pub fn has(&self, scope: ApiScope) -> bool {
        self.0.contains(&scope)
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = ApiScope> + '_ {
        self.0.iter().copied()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Words between spaces.
impl fmt::Display for ApiScopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<&str> = self.0.iter().map(|scope| scope.as_str()).collect();
        f.write_str(&words.join(" "))
    }
}

/// How far a key's program can see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApiReach {
    /// The rows of the key's customer.
    Customer,
    /// Every row: a key of the operator's.
    Everything,
}

/// A row of the register. The secrets themselves are not in it, only keyed hashes.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// What it is called by whoever shows it.
    pub id: ApiKeyId,
    /// What people call it.
    pub name: String,
    /// Beside whose certificates it counts.
    pub customer: CustomerId,
    /// Beside which terminal's alone, where it is one.
    pub terminal: Option<TerminalId>,
    /// How far it reaches.
    pub reach: ApiReach,
    /// What it is good for.
    pub scopes: ApiScopes,
    /// When it was made.
    pub created_at: Timestamp,
    /// The last second in which it counts.
    pub expires_at: Timestamp,
    /// The last second in which the secret before this one counts, where there was one.
    pub previous_until: Option<Timestamp>,
    /// About when it was last shown.
    pub last_used_at: Option<Timestamp>,
    /// When it was taken back.
    pub revoked_at: Option<Timestamp>,
}

/// Why a right secret gets nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ApiKeyError {
    /// It was taken back.
    #[error("the API key is revoked: ask for another one")]
    Revoked,
    /// Its time is over.
    #[error("the API key has expired: rotate it, or ask for another one")]
    Expired,
    /// The certificate beside it is not one that it counts beside. Whose key it is is not said.
    #[error("the API key does not count beside this certificate")]
    OtherCertificate,
}

/// For how long what a program asked for is known, so that asking again does nothing again: a day.
pub const LASTING_SECONDS: i64 = 86_400;

/// A request of a program that changes something and may come twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// What the program calls it.
    pub name: String,
    /// SHA-256 of what is asked for.
    pub hash: [u8; 32],
    /// Chance: tells this attempt at it from others that run beside it.
    pub attempt: [u8; 32],
}

/// A program whose certificate and key were accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// Its key.
    pub key: ApiKeyId,
    /// Name and id of the key, as the operation log writes them.
    pub name: String,
    /// Whose certificate it shows.
    pub customer: CustomerId,
    /// Which terminal's.
    pub terminal: TerminalId,
    /// How far it reaches.
    pub reach: ApiReach,
    /// What it may do.
    pub scopes: ApiScopes,
    /// The request that it acts by, which is marked as carried out with whatever is done.
    pub request: Option<Request>,
}

impl Program {
    /// Whether it reaches everything and its key is good for this: for what neither a customer's key nor a person of a customer may do.
    pub fn is_the_operators(&self, scope: ApiScope) -> bool {
        self.reach == ApiReach::Everything && self.scopes.has(scope)
    }
}

impl ApiKey {
    /// Whether it can still be used.
    pub fn is_open(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && now <= self.expires_at
    }

    /// The program behind it, beside the certificate of this terminal.
    pub fn accept(
        &self,
        (customer, terminal): (CustomerId, TerminalId),
        now: Timestamp,
    ) -> Result<Program, ApiKeyError> {
        // First, so that nothing is said about the keys of others.
        if self.customer != customer || self.terminal.is_some_and(|only| only != terminal) {
            return Err(ApiKeyError::OtherCertificate);
        }
        if self.revoked_at.is_some() {
            return Err(ApiKeyError::Revoked);
        }
        if !self.is_open(now) {
            return Err(ApiKeyError::Expired);
        }
        let name = format!("{} ({})", self.name, self.id);
        Ok(Program {
            key: self.id.clone(),
            name,
            customer,
            terminal,
            reach: self.reach,
            scopes: self.scopes.clone(),
            request: None,
        })
    }
}

/// Whether an actor may make, rotate or revoke a key of this customer with this reach: somebody with a shell on the server any; who looks after a
/// customer's terminals that customer's, and none that reaches further. No program makes keys for programs.
pub fn may_keep_keys(actor: &Actor, of: CustomerId, reach: ApiReach) -> bool {
    match actor {
        Actor::Operator { .. } => true,
        Actor::User { .. } => may(actor, Privilege::Terminals, of) && reach == ApiReach::Customer,
        _ => false,
    }
}

/// Whether these scopes can be given to a key with this reach.
pub fn fits(scopes: &ApiScopes, reach: ApiReach) -> bool {
    !scopes.is_empty() && (reach == ApiReach::Everything || !scopes.iter().any(ApiScope::is_the_operators))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::{Role, may_everywhere};
    use crate::id::UserId;

    struct Same(u8);
    impl Entropy for Same {
        fn fill(&self, buffer: &mut [u8]) {
            buffer.fill(self.0);
        }
    }

    fn customer(number: u32) -> CustomerId {
        CustomerId::new(number).expect("valid")
    }

    fn terminal(number: u8) -> TerminalId {
        TerminalId::from_random([number; 16])
    }

    fn key(only: Option<TerminalId>) -> ApiKey {
        ApiKey {
            id: ApiKeyId::random(&Same(9)),
            name: "会計連携".into(),
            customer: customer(1),
            terminal: only,
            reach: ApiReach::Customer,
            scopes: ApiScopes::new(vec![ApiScope::TerminalsRead]),
            created_at: Timestamp(0),
            expires_at: Timestamp(1_000),
            previous_until: None,
            last_used_at: None,
            revoked_at: None,
        }
    }

    #[test]
    fn ids_and_secrets_are_read_as_they_are_written_and_nothing_else_is() {
        let id = ApiKeyId::random(&Same(31));
        assert_eq!(id.as_str(), "key-zzzzzzzz");
        assert_eq!(id.as_str().parse(), Ok(id));
        let secret = ApiSecret::random(&Same(10));
        assert_eq!(secret.expose().len(), 39);
        assert!(ApiSecret::parse(secret.expose()).is_some());
        assert_eq!(format!("{secret:?}"), "ApiSecret(***)");
        for wrong in ["", "key-", "key-zzzzzzz", "key-zzzzzzzzz", "key-zzzzzzzU", "KEY-zzzzzzzz", "key-ああああ"] {
            assert!(wrong.parse::<ApiKeyId>().is_err() && ApiSecret::parse(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn a_key_counts_beside_certificates_of_its_customer_and_of_its_terminal() {
        let ask = |key: &ApiKey, of, at| {
            key.accept((customer(of), terminal(at)), Timestamp(1_000)).map(|program| program.terminal)
        };
        assert_eq!(ask(&key(None), 1, 7), Ok(terminal(7)));
        assert_eq!(ask(&key(None), 2, 7), Err(ApiKeyError::OtherCertificate));
        assert_eq!(ask(&key(Some(terminal(7))), 1, 7), Ok(terminal(7)));
        assert_eq!(ask(&key(Some(terminal(7))), 1, 8), Err(ApiKeyError::OtherCertificate));
        let revoked = ApiKey { revoked_at: Some(Timestamp(5)), ..key(None) };
        assert_eq!(ask(&revoked, 1, 7), Err(ApiKeyError::Revoked));
        assert_eq!(ask(&revoked, 2, 7), Err(ApiKeyError::OtherCertificate), "nothing is said about keys of others");
        let late = key(None).accept((customer(1), terminal(7)), Timestamp(1_001));
        assert_eq!(late, Err(ApiKeyError::Expired));
    }

    #[test]
    fn a_program_may_what_its_scopes_say_as_far_as_its_key_reaches() {
        let program = |words, reach| {
            let key = ApiKey { scopes: ApiScopes::parse(words).expect("scopes"), reach, ..key(None) };
            Actor::Program(Box::new(key.accept((customer(1), terminal(1)), Timestamp(0)).expect("counts")))
        };
        let can = |actor: &Actor, privilege| {
            (may(actor, privilege, customer(1)), may(actor, privilege, customer(2)), may_everywhere(actor, privilege))
        };
        let own = program("terminals:write", ApiReach::Customer);
        assert_eq!(can(&own, Privilege::Terminals), (true, false, false));
        assert_eq!(can(&own, Privilege::Revoke), (false, false, false));
        let reading = program("terminals:read log:read", ApiReach::Customer);
        assert_eq!(can(&reading, Privilege::Terminals), (false, false, false));
        let operators = program("certificates:revoke", ApiReach::Everything);
        assert_eq!(can(&operators, Privilege::Revoke), (true, true, true));
        assert_eq!(can(&operators, Privilege::Terminals), (false, false, false));
        assert_eq!(can(&operators, Privilege::Console), (false, false, false));
    }

    #[test]
    fn who_keeps_which_keys_and_what_fits_them() {
        let admin = |role| Actor::User {
            user: UserId(1),
            name: "a".into(),
            role,
            customer: customer(1),
            terminal: terminal(1),
        };
        let operator = Actor::Operator { name: "root".into() };
        let program =
            Actor::Program(Box::new(key(None).accept((customer(1), terminal(1)), Timestamp(0)).expect("counts")));
        let own =
            |actor: &Actor, reach| (may_keep_keys(actor, customer(1), reach), may_keep_keys(actor, customer(2), reach));
        assert_eq!(own(&operator, ApiReach::Everything), (true, true));
        assert_eq!(own(&admin(Role::CustomerAdmin), ApiReach::Customer), (true, false));
        assert_eq!(own(&admin(Role::CustomerAdmin), ApiReach::Everything), (false, false));
        assert_eq!(own(&admin(Role::TerminalUser), ApiReach::Customer), (false, false));
        assert_eq!(own(&program, ApiReach::Customer), (false, false));
        let scopes = |words| ApiScopes::parse(words).expect("scopes");
        assert!(fits(&scopes("log:read terminals:read"), ApiReach::Customer));
        assert!(!fits(&scopes("terminals:read customers:read"), ApiReach::Customer));
        assert!(fits(&scopes("terminals:read customers:read"), ApiReach::Everything));
        assert!(!fits(&scopes(""), ApiReach::Everything));
        assert_eq!(scopes("log:read terminals:read log:read").to_string(), "terminals:read log:read");
        assert!(ApiScopes::parse("terminals").is_err());
    }
}
