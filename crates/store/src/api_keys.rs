//! API keys, by keyed hashes of their secrets. Whether one counts is decided elsewhere (`tegata_core::api_key`).

use tegata_core::access::{Reach, Scope};
use tegata_core::api_key::{ApiKey, ApiKeyId, ApiReach, ApiScopes};
use tegata_core::id::CustomerId;
use tegata_core::time::Timestamp;

use crate::db::{Query, Row, unreadable};
use crate::{Reader, StoreError, Tx};

/// A key with the keyed hashes of its secrets.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKeyRow {
    /// What it says.
    pub key: ApiKey,
    /// The keyed hash of its secret.
    pub secret_hash: [u8; 32],
    /// That of the secret before.
    pub previous_hash: Option<[u8; 32]>,
}

const SELECT: &str = "SELECT id, customer_id, terminal_id, name, everything, scopes, secret_hash, previous_hash, previous_until, created_at, \
                      expires_at, last_used_at, revoked_at FROM api_keys WHERE 1 = 1";

fn api_key(row: &Row) -> Result<ApiKeyRow, StoreError> {
    let key = ApiKey {
        id: row.text("id")?.parse().map_err(|_| unreadable("id"))?,
        name: row.text("name")?,
        customer: row.customer("customer_id")?,
        terminal: row.opt_terminal("terminal_id")?,
        reach: if row.int("everything")? == 1 { ApiReach::Everything } else { ApiReach::Customer },
        scopes: ApiScopes::parse(&row.text("scopes")?).map_err(|_| unreadable("scopes"))?,
        created_at: row.time("created_at")?,
        expires_at: row.time("expires_at")?,
        previous_until: row.opt_time("previous_until")?,
        last_used_at: row.opt_time("last_used_at")?,
        revoked_at: row.opt_time("revoked_at")?,
    };
    Ok(ApiKeyRow { key, secret_hash: row.bytes("secret_hash")?, previous_hash: row.opt_bytes("previous_hash")? })
}

/// Keys are seen by whoever sees all of a customer; what reaches everything, by whoever sees everything.
fn within(query: Query, scope: Scope) -> Query {
    match scope.reach() {
        Reach::Everything | Reach::Everybody { .. } => query,
        Reach::Customer(customer) => query.with(" AND everything = 0 AND customer_id = ", customer),
        Reach::Terminal { .. } | Reach::Nothing => query.text(" AND 1 = 0"),
    }
}

fn by_id(id: &ApiKeyId) -> Query {
    Query::new(SELECT).with(" AND id = ", id.as_str())
}

impl Reader {
    /// One key.
    pub async fn api_key(&self, scope: Scope, id: &ApiKeyId) -> Result<Option<ApiKey>, StoreError> {
        Ok(self.optional(within(by_id(id), scope), api_key).await?.map(|row| row.key))
    }

    /// The key that somebody claims to hold, with the hashes to compare. Takes no scope: it is asked before anybody is known.
    pub async fn api_key_to_check(&self, id: &ApiKeyId) -> Result<Option<ApiKeyRow>, StoreError> {
        self.optional(by_id(id), api_key).await
    }

    /// All keys, of one customer if one is named, the newest first.
    pub async fn api_keys(&self, scope: Scope, customer: Option<CustomerId>) -> Result<Vec<ApiKey>, StoreError> {
        let query = match customer {
            Some(customer) => Query::new(SELECT).with(" AND customer_id = ", customer),
            None => Query::new(SELECT),
        };
        let rows = self.all(within(query, scope).text(" ORDER BY created_at DESC, id"), api_key).await?;
        Ok(rows.into_iter().map(|row| row.key).collect())
    }
}

impl Tx {
    /// One key.
    pub async fn api_key(&mut self, id: &ApiKeyId) -> Result<Option<ApiKeyRow>, StoreError> {
        self.optional(by_id(id), api_key).await
    }

    /// How many keys of a customer count at this moment.
    pub async fn open_api_keys(&mut self, customer: CustomerId, now: Timestamp) -> Result<u32, StoreError> {
        let query =
            "SELECT COUNT(*) AS open FROM api_keys WHERE customer_id = $1 AND revoked_at IS NULL AND expires_at >= $2";
        self.one(Query::new(query).bind(customer).bind(now), |row| row.number("open")).await
    }

    /// Keeps a new key. An id that is taken is a duplicate; a terminal that is not this customer's is not found.
    pub async fn insert_api_key(&mut self, new: &ApiKeyRow) -> Result<(), StoreError> {
        let ApiKey { id, name, customer, terminal, reach, scopes, created_at, expires_at, .. } = &new.key;
        let query = Query::new(
            "INSERT INTO api_keys (id, customer_id, terminal_id, name, everything, scopes, secret_hash, created_at, expires_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        )
        .bind(id.as_str())
        .bind(*customer)
        .bind(*terminal)
        .bind(&**name)
        .bind(i64::from(*reach == ApiReach::Everything))
        .bind(scopes.to_string())
        .bind(new.secret_hash)
        .bind(*created_at)
        .bind(*expires_at);
        let named = StoreError::NotFound { what: "customer, or terminal of this customer" };
        self.execute(query).await.map_err(|error| error.if_dangling(named)).map(|_| ())
    }

    /// Gives a key another secret; the one before counts until `previous_until`, the one before that no longer. False when there is no
    /// such key, or it was taken back.
    pub async fn rotate_api_key(
        &mut self,
        id: &ApiKeyId,
        secret_hash: [u8; 32],
        (previous_until, expires_at): (Timestamp, Timestamp),
    ) -> Result<bool, StoreError> {
        let query = Query::new(
            "UPDATE api_keys SET previous_hash = secret_hash, previous_until = $3, secret_hash = $2, expires_at = $4 \
             WHERE id = $1 AND revoked_at IS NULL",
        );
        let query = query.bind(id.as_str()).bind(secret_hash).bind(previous_until).bind(expires_at);
        Ok(self.execute(query).await? > 0)
    }

    /// Takes a key back. False when there is no such key, or it was taken back before.
    pub async fn revoke_api_key(&mut self, id: &ApiKeyId, at: Timestamp) -> Result<bool, StoreError> {
        let query = Query::new("UPDATE api_keys SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL");
        Ok(self.execute(query.bind(id.as_str()).bind(at)).await? > 0)
    }

    /// Notes that a key was shown.
    pub async fn mark_api_key_used(&mut self, id: &ApiKeyId, at: Timestamp) -> Result<(), StoreError> {
        let query = Query::new("UPDATE api_keys SET last_used_at = $2 WHERE id = $1").bind(id.as_str()).bind(at);
        self.execute(query).await.map(|_| ())
    }
}
