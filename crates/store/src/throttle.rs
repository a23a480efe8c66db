//! Failed logins per name and terminal. The store counts; when to lock, and for how long, is decided elsewhere.

use tegata_core::id::TerminalId;
use tegata_core::time::Timestamp;

use crate::db::{Query, Row};
use crate::{Reader, StoreError, Tx};

/// What is known of failed logins with one name at one terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Throttle {
    /// How many since the last success.
    pub failures: u32,
    /// When the last one was.
    pub last_failure_at: Timestamp,
    /// The first second in which the name may be tried again, where it was locked.
    pub locked_until: Option<Timestamp>,
}

const SELECT: &str =
    "SELECT failures, last_failure_at, locked_until FROM throttle WHERE user_name = $1 AND terminal_id = $2";

fn throttle(row: &Row) -> Result<Throttle, StoreError> {
    Ok(Throttle {
        failures: row.number("failures")?,
        last_failure_at: row.time("last_failure_at")?,
        locked_until: row.opt_time("locked_until")?,
    })
}

fn of(user_name: &str, terminal: TerminalId) -> Query {
    Query::new(SELECT).bind(user_name).bind(terminal)
}

impl Reader {
    /// The failures with this name at this terminal. Takes no scope: it is asked before anybody is known, and holds only numbers.
    pub async fn throttle(&self, user_name: &str, terminal: TerminalId) -> Result<Option<Throttle>, StoreError> {
        self.optional(of(user_name, terminal), throttle).await
    }
}

impl Tx {
    /// The failures with this name at this terminal.
    pub async fn throttle(&mut self, user_name: &str, terminal: TerminalId) -> Result<Option<Throttle>, StoreError> {
        self.optional(of(user_name, terminal), throttle).await
    }

    /// Counts a failure; answers with how many there are now.
    pub async fn record_failure(
        &mut self,
        user_name: &str,
        terminal: TerminalId,
        now: Timestamp,
    ) -> Result<u32, StoreError> {
        let query = Query::new(
            "INSERT INTO throttle (user_name, terminal_id, failures, last_failure_at) VALUES ($1, $2, 1, $3) \
             ON CONFLICT (user_name, terminal_id) \
             DO UPDATE SET failures = throttle.failures + 1, last_failure_at = excluded.last_failure_at RETURNING failures",
        )
        .bind(user_name)
        .bind(terminal)
        .bind(now);
        let failures = self.one(query, |row| row.number("failures")).await;
        failures.map_err(|error| error.if_dangling(StoreError::NotFound { what: "terminal" }))
    }

    /// Locks this name at this terminal. There must be a failure.
    pub async fn lock_login(
        &mut self,
        user_name: &str,
        terminal: TerminalId,
        until: Timestamp,
    ) -> Result<(), StoreError> {
        let query = Query::new("UPDATE throttle SET locked_until = $3 WHERE user_name = $1 AND terminal_id = $2")
            .bind(user_name)
            .bind(terminal)
            .bind(until);
        match self.execute(query).await? {
            0 => Err(StoreError::NotFound { what: "failed login" }),
            _ => Ok(()),
        }
    }

    /// Forgets the failures with this name at this terminal: the login succeeded.
    pub async fn clear_failures(&mut self, user_name: &str, terminal: TerminalId) -> Result<(), StoreError> {
        let query = Query::new("DELETE FROM throttle WHERE user_name = $1 AND terminal_id = $2");
        self.execute(query.bind(user_name).bind(terminal)).await.map(|_| ())
    }

    /// Forgets failures whose last one was before `before`, so that names made up by visitors do not pile up; says how many.
    pub async fn forget_failures(&mut self, before: Timestamp) -> Result<u64, StoreError> {
        self.execute(Query::new("DELETE FROM throttle WHERE last_failure_at < $1").bind(before)).await
    }
}
