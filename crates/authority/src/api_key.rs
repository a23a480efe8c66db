//! API keys: made, rotated and revoked by an administrator of their customer or by the operator, each with its row in the operation log; and the
//! check of a key that a program shows beside its terminal's certificate. Wrong secrets are counted at the address that they come from.

use std::net::IpAddr;

use tegata_core::access::{Actor, household};
use tegata_core::api_key::{
    ApiKey, ApiKeyError, ApiKeyId, ApiReach, ApiScopes, ApiSecret, LONGEST_NAME, MOST_DAYS, MOST_KEYS,
    MOST_OVERLAP_DAYS, Program, fits, may_keep_keys,
};
use tegata_core::audit::{Action, Entry, Outcome};
use tegata_core::customer::{CustomerKind, check_name};
use tegata_core::id::{CustomerId, TerminalId};
use tegata_core::time::{Days, Timestamp};
use tegata_store::{ApiKeyRow, StoreError};

use crate::{Authority, AuthorityError, Identity};

/// A key that is used all the time is noted as used once in so many seconds.
const USED_SECONDS: i64 = 60;

/// A key to be made.
#[derive(Clone)]
pub struct NewApiKey {
    /// Beside whose certificates it counts.
    pub customer: CustomerId,
    /// Beside which terminal's alone, where it is one.
    pub terminal: Option<TerminalId>,
    /// What people call it.
    pub name: String,
    /// How far it reaches.
    pub reach: ApiReach,
    /// What it is good for.
    pub scopes: ApiScopes,
    /// For how many days it counts.
    pub days: u32,
}

/// A key whose secret was just made.
pub struct MadeApiKey {
    /// The key.
    pub key: ApiKey,
    /// Its secret, which nobody can be shown again.
    pub secret: ApiSecret,
}

/// Why a key was not made, rotated or revoked.
#[derive(Debug, thiserror::Error)]
pub enum KeepApiKeyError {
    /// Not for this actor.
    #[error("only the operator and the customer's administrators may do this")]
    Forbidden,
    /// The name cannot be used.
    #[error("an API key's name has 1 to {LONGEST_NAME} characters")]
    Name,
    /// No scope, or one that a customer's key cannot have.
    #[error("an API key needs a scope, and a customer's key has none of the operator's")]
    Scopes,
    /// It would count too long, or not at all.
    #[error(
        "an API key counts for 1 to {MOST_DAYS} days, and the secret before a rotated one for at most {MOST_OVERLAP_DAYS}"
    )]
    Days,
    /// It would reach everything beside certificates that are not the operator's.
    #[error(
        "a key that reaches everything belongs to a customer of kind operator, whose certificates it counts beside"
    )]
    NotTheOperators,
    /// The customer has enough of them.
    #[error("a customer has at most {MOST_KEYS} API keys that count: revoke one first")]
    TooMany,
    /// The terminal that it names is not one of the customer's.
    #[error("the terminal is not one of this customer's")]
    NoSuchTerminal,
    /// There is none, or it was revoked before.
    #[error("there is no such API key, or it is revoked already")]
    NoSuchKey,
    /// Something inside.
    #[error(transparent)]
    Internal(#[from] AuthorityError),
}

impl From<StoreError> for KeepApiKeyError {
    fn from(error: StoreError) -> Self {
        Self::Internal(error.into())
    }
}

/// Why a key that was shown opens nothing.
#[derive(Debug, thiserror::Error)]
pub enum CheckApiKeyError {
    /// No such key, a wrong secret, or one of before whose time is over; which of them is not said.
    #[error("the API key is not right")]
    Wrong,
    /// Too many wrong ones came from this address.
    #[error("too many wrong API keys came from this address")]
    TooMany,
    /// It is right and does not count.
    #[error(transparent)]
    Refused(#[from] ApiKeyError),
    /// Something inside.
    #[error(transparent)]
    Internal(#[from] AuthorityError),
}

impl Authority {
    /// Makes a key. Its secret is in the answer and nowhere else.
    pub async fn make_api_key(&self, actor: &Actor, new: NewApiKey) -> Result<MadeApiKey, KeepApiKeyError> {
        if !may_keep_keys(actor, new.customer, new.reach) {
            return Err(KeepApiKeyError::Forbidden);
        }
        let name = new.name.trim().to_owned();
        check_name(&name, LONGEST_NAME).map_err(|_| KeepApiKeyError::Name)?;
        if !fits(&new.scopes, new.reach) {
            return Err(KeepApiKeyError::Scopes);
        }
        let now = self.now();
        let key = ApiKey {
            id: ApiKeyId::random(&*self.0.entropy),
            name,
            customer: new.customer,
            terminal: new.terminal,
            reach: new.reach,
            scopes: new.scopes,
            created_at: now,
            expires_at: lasting(now, new.days)?,
            previous_until: None,
            last_used_at: None,
            revoked_at: None,
        };
        let secret = ApiSecret::random(&*self.0.entropy);
        let made = self.about_key(actor, &key, Action::ApiKeyMade, format!("{}: {}", label(&key), key.scopes));
        let row = ApiKeyRow { secret_hash: self.api_key_hash(&key.id, &secret), previous_hash: None, key: key.clone() };
        let write = self.0.store.write(move |tx| {
            Box::pin(async move {
                let open = tx.open_api_keys(row.key.customer, now).await?;
                if usize::try_from(open).unwrap_or(usize::MAX) >= MOST_KEYS {
                    return Err(KeepApiKeyError::TooMany);
                }
                let customer =
                    tx.customer(row.key.customer).await?.ok_or(StoreError::UnknownCustomer(row.key.customer))?;
                if row.key.reach == ApiReach::Everything && customer.kind != CustomerKind::Operator {
                    return Err(KeepApiKeyError::NotTheOperators);
                }
                if let Some(terminal) = row.key.terminal {
                    let found = tx.terminal(terminal).await?;
                    found.filter(|found| found.customer == row.key.customer).ok_or(KeepApiKeyError::NoSuchTerminal)?;
                }
                tx.insert_api_key(&row).await?;
                tx.append_audit(&made).await?;
                Ok(())
            })
        });
        write.await?;
        Ok(MadeApiKey { key, secret })
    }

    /// Gives a key another secret, and `days` of life from now. The one before still counts for `overlap` days, at most until it would have
    /// ended; whatever was before that one counts no longer.
    pub async fn rotate_api_key(
        &self,
        actor: &Actor,
        key: &ApiKey,
        (days, overlap): (u32, u32),
    ) -> Result<MadeApiKey, KeepApiKeyError> {
        if !may_keep_keys(actor, key.customer, key.reach) {
            return Err(KeepApiKeyError::Forbidden);
        }
        if overlap > MOST_OVERLAP_DAYS {
            return Err(KeepApiKeyError::Days);
        }
        let now = self.now();
        let expires_at = lasting(now, days)?;
        let previous_until = now.plus_days(Days(overlap.into())).min(key.expires_at);
        let secret = ApiSecret::random(&*self.0.entropy);
        let hash = self.api_key_hash(&key.id, &secret);
        let detail = format!("{}: the secret before until {previous_until}", label(key));
        let rotated = self.about_key(actor, key, Action::ApiKeyRotated, detail);
        let id = key.id.clone();
        let write = self.0.store.write(move |tx| {
            Box::pin(async move {
                if !tx.rotate_api_key(&id, hash, (previous_until, expires_at)).await? {
                    return Err(KeepApiKeyError::NoSuchKey);
                }
                tx.append_audit(&rotated).await?;
                Ok(())
            })
        });
        write.await?;
        Ok(MadeApiKey { key: ApiKey { expires_at, previous_until: Some(previous_until), ..key.clone() }, secret })
    }

    /// Takes a key back: from the commit on it opens nothing.
    pub async fn revoke_api_key(&self, actor: &Actor, key: &ApiKey) -> Result<(), KeepApiKeyError> {
        if !may_keep_keys(actor, key.customer, key.reach) {
            return Err(KeepApiKeyError::Forbidden);
        }
        let revoked = self.about_key(actor, key, Action::ApiKeyRevoked, label(key));
        let id = key.id.clone();
        let write = self.0.store.write(move |tx| {
            Box::pin(async move {
                if !tx.revoke_api_key(&id, revoked.at).await? {
                    return Err(KeepApiKeyError::NoSuchKey);
                }
                tx.append_audit(&revoked).await?;
                Ok(())
            })
        });
        write.await
    }

    /// The keys that an actor sees, of one customer or of all.
    pub async fn api_keys(&self, actor: &Actor, customer: Option<CustomerId>) -> Result<Vec<ApiKey>, AuthorityError> {
        Ok(self.0.reader.api_keys(actor.scope(), customer).await?)
    }

    /// One of them.
    pub async fn api_key(&self, actor: &Actor, id: &ApiKeyId) -> Result<Option<ApiKey>, AuthorityError> {
        Ok(self.0.reader.api_key(actor.scope(), id).await?)
    }

    /// Whether what a program shows as its key, beside the certificate that stands behind `identity`, is right and counts.
    pub async fn check_api_key(
        &self,
        identity: &Identity,
        (id, secret): (&str, &str),
        from: IpAddr,
    ) -> Result<(Program, ApiKey), CheckApiKeyError> {
        let shown = id.parse::<ApiKeyId>().ok().zip(ApiSecret::parse(secret));
        let Some((id, secret)) = shown else { return Err(self.wrong_key(identity, None, from).await?) };
        let found = self.0.reader.api_key_to_check(&id).await.map_err(AuthorityError::from)?;
        let now = self.now();
        // Nobody learns by the time that this takes whether there is such a key.
        let hash = self.api_key_hash(&id, &secret);
        let is = |known: &[u8; 32]| aws_lc_rs::constant_time::verify_slices_are_equal(known, &hash).is_ok();
        let Some(row) = found else { return Err(self.wrong_key(identity, None, from).await?) };
        let overlap = row.previous_hash.filter(|_| row.key.previous_until.is_some_and(|until| now <= until));
        let is_right = is(&row.secret_hash) | overlap.as_ref().is_some_and(is);
        if !is_right {
            return Err(self.wrong_key(identity, Some(&row.key), from).await?);
        }
        let program = row.key.accept((identity.customer.id, identity.terminal.id), now)?;
        if row.key.last_used_at.is_none_or(|at| at.plus_seconds(USED_SECONDS) <= now) {
            let write = self.0.store.write(move |tx| Box::pin(async move { tx.mark_api_key_used(&id, now).await }));
            write.await.map_err(AuthorityError::from)?;
        }
        Ok((program, row.key))
    }

    /// Counts a wrong key at its address, and writes it down in the log of the terminal whose certificate was beside it.
    async fn wrong_key(
        &self,
        identity: &Identity,
        aimed_at: Option<&ApiKey>,
        from: IpAddr,
    ) -> Result<CheckApiKeyError, AuthorityError> {
        if self.0.api_key_limit.check_key(&household(from)).is_err() {
            return Ok(CheckApiKeyError::TooMany);
        }
        // The names of other customers' keys stay out of a customer's log.
        let own = aimed_at.filter(|key| key.customer == identity.customer.id);
        let detail = own.map_or_else(|| format!("from {from}"), |key| format!("{}, from {from}", label(key)));
        let place = (identity.customer.id, identity.terminal.id);
        let entry = self.entry(&identity.actor(), place, Action::ApiKeyRefused, detail);
        let entry = Entry { outcome: Outcome::Refused, ..entry };
        let write = self.0.store.write(move |tx| Box::pin(async move { tx.append_audit(&entry).await }));
        write.await?;
        Ok(CheckApiKeyError::Wrong)
    }

    fn about_key(&self, actor: &Actor, key: &ApiKey, action: Action, detail: String) -> Entry {
        let at = match actor {
            Actor::User { terminal, .. } => Some(*terminal),
            _ => key.terminal,
        };
        Entry {
            at: self.now(),
            actor: actor.clone(),
            customer: Some(key.customer),
            terminal: at,
            serial: None,
            action,
            outcome: Outcome::Done,
            detail,
        }
    }

    /// What the register keeps of a secret.
    fn api_key_hash(&self, id: &ApiKeyId, secret: &ApiSecret) -> [u8; 32] {
        *self.0.vault.derive(&format!("api-key/{id}/{}", secret.expose())).expose()
    }
}

/// Name and id, as the operation log writes them.
fn label(key: &ApiKey) -> String {
    format!("{} ({})", key.name, key.id)
}

fn lasting(now: Timestamp, days: u32) -> Result<Timestamp, KeepApiKeyError> {
    let fits = (1..=MOST_DAYS).contains(&days);
    fits.then(|| now.plus_days(Days(days.into()))).ok_or(KeepApiKeyError::Days)
}
