//! Who sits at the terminal. The certificate says which terminal it is, the password says which person; a session belongs to that terminal
//! for its whole life, whichever of its certificates is presented, and to no other.

use std::num::NonZeroU32;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use tegata_core::access::Actor;
use tegata_core::audit::{Action, Entry, Outcome};
use tegata_core::customer::User;
use tegata_core::id::{CustomerId, TerminalId};
use tegata_core::secret::{Entropy, Secret, random};
use tegata_core::time::Timestamp;
use tegata_store::{NewSession as SessionRecord, StoreError};

use crate::{Authority, AuthorityError, Identity};

/// Failures in a row after which an account is locked at this terminal.
const FAILURES_BEFORE_LOCK: u32 = 5;
const FIRST_LOCK_SECONDS: i64 = 60;
const LONGEST_LOCK_SECONDS: i64 = 900;
/// Attempts with names that do not exist which one terminal may make in a minute.
const ATTEMPTS_PER_MINUTE: NonZeroU32 = NonZeroU32::new(30).expect("thirty is not zero");
const LONGEST_NAME: usize = 64;

pub(crate) type RateLimit = DefaultKeyedRateLimiter<TerminalId>;

pub(crate) fn rate_limit() -> RateLimit {
    RateLimiter::keyed(Quota::per_minute(ATTEMPTS_PER_MINUTE))
}

/// A login that succeeded.
#[derive(Debug)]
pub struct NewSession {
    /// The value of the session cookie. The register keeps only its hash.
    pub token: Secret<String>,
    /// When it ends by itself.
    pub expires_at: Timestamp,
}

/// A live session.
#[derive(Clone, Debug)]
pub struct Session {
    /// The person at the terminal.
    pub actor: Actor,
    /// The name typed at the login screen.
    pub user_name: String,
    /// Whose staff.
    pub customer: CustomerId,
    /// At which terminal.
    pub terminal: TerminalId,
    /// When it ends by itself.
    pub expires_at: Timestamp,
    /// Whether 「あとで」 was pressed in this session.
    pub deferred: bool,
}

/// What stands behind a session cookie.
#[derive(Debug)]
pub enum SessionLookup {
    /// A live session of the presenting terminal.
    Live(Session),
    /// A session of another terminal of the same customer: log in again here.
    OtherTerminal,
    /// A session of another customer's terminal.
    OtherCustomer,
    /// None, or it ended.
    None,
}

/// Why nobody was logged in.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// No such account, or another password.
    #[error("user or password is wrong")]
    WrongCredentials,
    /// Too many failures.
    #[error("locked until {until}")]
    Locked {
        /// When to try again.
        until: Timestamp,
    },
    /// The right password of a person of another customer.
    #[error("the account belongs to another customer than the terminal")]
    WrongCustomer,
    /// Something inside.
    #[error(transparent)]
    Internal(#[from] AuthorityError),
}

impl From<StoreError> for LoginError {
    fn from(error: StoreError) -> Self {
        Self::Internal(error.into())
    }
}

impl Authority {
    /// Checks name and password at a terminal. Takes the same time whether or not the account exists. `replaces` is the token of the
    /// session that the browser had, which ends.
    pub async fn login(
        &self,
        identity: &Identity,
        name: &str,
        password: Secret<String>,
        replaces: Option<&str>,
    ) -> Result<NewSession, LoginError> {
        let inner = &self.0;
        let terminal = identity.terminal.id;
        if name.is_empty() || name.chars().count() > LONGEST_NAME {
            return Err(LoginError::WrongCredentials);
        }
        // One attempt at a time for each terminal: what is tried side by side would all be compared before the first failure is counted.
        let turn = inner.login_turns.of(terminal);
        let _turn = turn.lock().await;
        let now = self.now();
        let (account, hash) = self.account(identity, name).await?.unzip();
        // Names that do not exist have a limit of their own, so that trying them keeps nobody else out.
        if account.is_none() && inner.login_limit.check_key(&terminal).is_err() {
            return Err(LoginError::Locked { until: now.plus_seconds(60) });
        }
        let known = account.as_ref().map(|_| name);
        let throttle = inner.reader.throttle(&self.throttle_key(name), terminal).await?;
        if let Some(until) = throttle.and_then(|t| t.locked_until).filter(|until| *until > now) {
            self.append(self.refusal(identity, known, Action::LoginLocked, "still locked")).await?;
            return Err(LoginError::Locked { until });
        }
        let correct = inner.passwords.verify(password, hash).await;
        match account {
            Some(user) if correct && user.customer == identity.customer.id => {
                self.open_session(identity, user, replaces).await
            }
            Some(user) if correct => self.wrong_customer(identity, name, &user).await,
            _ => self.count_failure(identity, name, known).await,
        }
    }

    /// The account whose password is compared: the customer's own, else the only one of that name elsewhere, so that a person at another
    /// clinic's terminal is told so.
    async fn account(&self, identity: &Identity, name: &str) -> Result<Option<(User, Secret<String>)>, StoreError> {
        let scope = Actor::System { job: "login" }.scope();
        if let Some(own) = self.0.reader.user_for_login(scope, identity.customer.id, name).await? {
            return Ok(Some(own));
        }
        match self.0.reader.users_named(scope, name, 2).await?.as_slice() {
            [only] => self.0.reader.user_for_login(scope, only.customer, name).await,
            _ => Ok(None),
        }
    }

    /// The right password at the wrong clinic's terminal. Counts as a failure, and is told to both clinics: it may be somebody who guesses.
    async fn wrong_customer(&self, identity: &Identity, name: &str, user: &User) -> Result<NewSession, LoginError> {
        let refused = self.refusal(identity, Some(name), Action::LoginRefused, "another customer's account");
        let theirs = Entry {
            customer: Some(user.customer),
            terminal: None,
            detail: format!("right password at a terminal of {}: {name}", identity.customer.id),
            ..refused.clone()
        };
        self.append(theirs).await?;
        match self.count(identity, name, refused).await? {
            Some(until) => Err(LoginError::Locked { until }),
            None => Err(LoginError::WrongCustomer),
        }
    }

    async fn open_session(
        &self,
        identity: &Identity,
        user: User,
        replaces: Option<&str>,
    ) -> Result<NewSession, LoginError> {
        let token = new_token(&*self.0.entropy);
        let expires_at = self.now().plus_seconds(self.0.rules.session_hours * 3600);
        let (customer, terminal) = (identity.customer.id, identity.terminal.id);
        let actor = Actor::User { user: user.id, name: user.name.clone(), role: user.role, customer, terminal };
        let entry = Entry {
            serial: Some(identity.certificate.serial),
            ..self.entry(&actor, (customer, terminal), Action::LoginSucceeded, "")
        };
        let session = SessionRecord {
            token_hash: token_hash(token.expose()),
            user: user.id,
            customer,
            terminal,
            created_at: entry.at,
            expires_at,
        };
        let throttle_key = self.throttle_key(&user.name);
        let replaced = replaces.map(token_hash);
        let write = self.0.store.write(move |tx| {
            Box::pin(async move {
                tx.clear_failures(&throttle_key, terminal).await?;
                if let Some(hash) = replaced {
                    tx.delete_session(hash).await?;
                }
                tx.insert_session(&session).await?;
                tx.append_audit(&entry).await?;
                Ok::<_, StoreError>(())
            })
        });
        write.await?;
        Ok(NewSession { token, expires_at })
    }

    async fn count_failure(
        &self,
        identity: &Identity,
        name: &str,
        known: Option<&str>,
    ) -> Result<NewSession, LoginError> {
        let reason = if known.is_some() { "wrong password" } else { "unknown user" };
        let refused = self.refusal(identity, known, Action::LoginRefused, reason);
        match self.count(identity, name, refused).await? {
            Some(until) => Err(LoginError::Locked { until }),
            None => Err(LoginError::WrongCredentials),
        }
    }

    /// Writes a refusal down and counts it; from the fifth in a row on, the name is locked at this terminal for longer and longer.
    async fn count(&self, identity: &Identity, name: &str, refused: Entry) -> Result<Option<Timestamp>, StoreError> {
        let (now, terminal) = (refused.at, identity.terminal.id);
        let detail = "too many failures in a row".to_owned();
        let locked = Entry { action: Action::LoginLocked, detail, ..refused.clone() };
        let name = self.throttle_key(name);
        let write = self.0.store.write(move |tx| {
            Box::pin(async move {
                let failures = tx.record_failure(&name, terminal, now).await?;
                tx.append_audit(&refused).await?;
                if failures < FAILURES_BEFORE_LOCK {
                    return Ok::<_, StoreError>(None);
                }
                let doublings = (failures - FAILURES_BEFORE_LOCK).min(10);
                let until = now.plus_seconds((FIRST_LOCK_SECONDS << doublings).min(LONGEST_LOCK_SECONDS));
                tx.lock_login(&name, terminal, until).await?;
                tx.append_audit(&locked).await?;
                Ok(Some(until))
            })
        });
        write.await
    }

    /// An entry for a refused login. `known` is the name of an account that exists; another is never written down: people type passwords
    /// into the wrong field.
    fn refusal(&self, identity: &Identity, known: Option<&str>, action: Action, reason: &str) -> Entry {
        let detail = known.map_or_else(|| reason.to_owned(), |name| format!("{reason}: {name}"));
        Entry {
            serial: Some(identity.certificate.serial),
            outcome: Outcome::Refused,
            ..self.entry(&identity.actor(), (identity.customer.id, identity.terminal.id), action, detail)
        }
    }

    /// Under which name failures are counted: a keyed hash, since what was typed may be a password.
    fn throttle_key(&self, name: &str) -> String {
        let key = self.0.vault.derive(&format!("throttle/{name}"));
        key.expose()[..16].iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// One entry in a unit of work of its own.
    pub(crate) async fn append(&self, entry: Entry) -> Result<(), StoreError> {
        let write = self.0.store.write(move |tx| Box::pin(async move { tx.append_audit(&entry).await.map(|_| ()) }));
        write.await
    }

    /// The live session behind a cookie, if it belongs to the terminal that presented `identity`.
    pub async fn session(&self, token: &str, identity: &Identity) -> Result<SessionLookup, AuthorityError> {
        let Some(row) = self.0.reader.session(token_hash(token), self.now()).await? else {
            return Ok(SessionLookup::None);
        };
        if row.customer != identity.customer.id {
            return Ok(SessionLookup::OtherCustomer);
        }
        if row.terminal != identity.terminal.id {
            return Ok(SessionLookup::OtherTerminal);
        }
        let (customer, terminal) = (row.customer, row.terminal);
        let user = row.user;
        // Nothing registers such a person; whoever writes into the register by other ways does not become an officer by one word.
        if !user.role.fits(identity.customer.kind) {
            return Ok(SessionLookup::None);
        }
        let actor = Actor::User { user: user.id, name: user.name.clone(), role: user.role, customer, terminal };
        let (user_name, expires_at, deferred) = (user.name, row.expires_at, row.deferred);
        Ok(SessionLookup::Live(Session { actor, user_name, customer, terminal, expires_at, deferred }))
    }

    /// Ends a session.
    pub async fn logout(&self, token: &str, session: &Session) -> Result<(), AuthorityError> {
        let hash = token_hash(token);
        let entry = self.entry(&session.actor, (session.customer, session.terminal), Action::LoggedOut, "");
        let write = self.0.store.write(move |tx| {
            Box::pin(async move {
                tx.delete_session(hash).await?;
                tx.append_audit(&entry).await?;
                Ok::<_, StoreError>(())
            })
        });
        Ok(write.await?)
    }

    /// 「あとで」: the dialog stays away for the rest of this session, and outside the last week for the rest of the day.
    pub async fn defer(&self, token: &str, session: &Session) -> Result<(), AuthorityError> {
        let hash = token_hash(token);
        let terminal = session.terminal;
        let entry = self.entry(&session.actor, (session.customer, terminal), Action::RenewalDeferred, "");
        let today = entry.at.jst_date();
        let write = self.0.store.write(move |tx| {
            Box::pin(async move {
                tx.defer_session(hash).await?;
                tx.set_deferred_on(terminal, today).await?;
                tx.append_audit(&entry).await?;
                Ok::<_, StoreError>(())
            })
        });
        Ok(write.await?)
    }
}

/// A value for a cookie that nobody can guess.
pub(crate) fn new_token(entropy: &dyn Entropy) -> Secret<String> {
    Secret::new(URL_SAFE_NO_PAD.encode(random::<32>(entropy)))
}

/// What the register keeps of such a value: 256 random bits need no slow hash.
pub(crate) fn token_hash(token: &str) -> [u8; 32] {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, token.as_bytes());
    digest.as_ref().try_into().expect("SHA-256 gives 32 bytes")
}
