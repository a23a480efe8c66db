//! Sessions of people who logged in. The store knows a token's hash, never the token.

use tegata_core::customer::User;
use tegata_core::id::{CustomerId, TerminalId, UserId};
use tegata_core::time::Timestamp;

use crate::db::{Query, Row};
use crate::users::role;
use crate::{Reader, StoreError, Tx};

/// A session to be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewSession {
    /// SHA-256 of the token.
    pub token_hash: [u8; 32],
    /// Who logged in.
    pub user: UserId,
    /// Whose staff.
    pub customer: CustomerId,
    /// At which terminal of the same customer.
    pub terminal: TerminalId,
    /// Now.
    pub created_at: Timestamp,
    /// The first second in which it is over.
    pub expires_at: Timestamp,
}

/// A living session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionRow {
    /// Who logged in.
    pub user: User,
    /// Whose staff.
    pub customer: CustomerId,
    /// At which terminal.
    pub terminal: TerminalId,
    /// When.
    pub created_at: Timestamp,
    /// The first second in which it is over.
    pub expires_at: Timestamp,
    /// Whether 「あとで」 was pressed in it.
    pub deferred: bool,
}

const SELECT_LIVE: &str = "SELECT s.user_id, s.customer_id, s.terminal_id, s.created_at, s.expires_at, s.deferred, u.name, u.role, \
                           u.created_at AS user_created_at FROM sessions s JOIN users u ON u.id = s.user_id \
                           WHERE s.token_hash = $1 AND s.expires_at > $2";

fn session(row: &Row) -> Result<SessionRow, StoreError> {
    let customer = row.customer("customer_id")?;
    Ok(SessionRow {
        user: User {
            id: UserId(row.int("user_id")?),
            customer,
            name: row.text("name")?,
            role: role(row)?,
            created_at: row.time("user_created_at")?,
        },
        customer,
        terminal: row.terminal("terminal_id")?,
        created_at: row.time("created_at")?,
        expires_at: row.time("expires_at")?,
        deferred: row.int("deferred")? != 0,
    })
}

pub(crate) fn live(token_hash: [u8; 32], now: Timestamp) -> Query {
    Query::new(SELECT_LIVE).bind(token_hash).bind(now)
}

impl Reader {
    /// The living session behind a token. Takes no scope: the token is the proof, and the scope is what comes out of it.
    pub async fn session(&self, token_hash: [u8; 32], now: Timestamp) -> Result<Option<SessionRow>, StoreError> {
        self.optional(live(token_hash, now), session).await
    }
}

impl Tx {
    /// The living session behind a token.
    pub async fn session(&mut self, token_hash: [u8; 32], now: Timestamp) -> Result<Option<SessionRow>, StoreError> {
        self.optional(live(token_hash, now), session).await
    }

    /// Keeps a session. The person and the terminal must be of one customer.
    pub async fn insert_session(&mut self, new: &NewSession) -> Result<(), StoreError> {
        let query = Query::new(
            "INSERT INTO sessions (token_hash, user_id, customer_id, terminal_id, created_at, expires_at) \
             VALUES ($1, $2, $3, $4, $5, $6)",
        )
        .bind(new.token_hash)
        .bind(new.user)
        .bind(new.customer)
        .bind(new.terminal)
        .bind(new.created_at)
        .bind(new.expires_at);
        let named = StoreError::NotFound { what: "user or terminal of this customer" };
        self.execute(query).await.map_err(|error| error.if_dangling(named)).map(|_| ())
    }

    /// Ends a session. False when there was none.
    pub async fn delete_session(&mut self, token_hash: [u8; 32]) -> Result<bool, StoreError> {
        let query = Query::new("DELETE FROM sessions WHERE token_hash = $1").bind(token_hash);
        Ok(self.execute(query).await? > 0)
    }

    /// Ends all sessions at a terminal; says how many.
    pub async fn delete_sessions_of(&mut self, terminal: TerminalId) -> Result<u64, StoreError> {
        self.execute(Query::new("DELETE FROM sessions WHERE terminal_id = $1").bind(terminal)).await
    }

    /// Notes that 「あとで」 was pressed. False when there is no such session.
    pub async fn defer_session(&mut self, token_hash: [u8; 32]) -> Result<bool, StoreError> {
        let query = Query::new("UPDATE sessions SET deferred = 1 WHERE token_hash = $1").bind(token_hash);
        Ok(self.execute(query).await? > 0)
    }

    /// Removes sessions that are over; says how many.
    pub async fn delete_expired_sessions(&mut self, now: Timestamp) -> Result<u64, StoreError> {
        self.execute(Query::new("DELETE FROM sessions WHERE expires_at <= $1").bind(now)).await
    }
}
