//! Help for terminals that are locked out, while it counts. Only keyed hashes of codes are kept; whether one counts is decided elsewhere
//! (`tegata_core::recovery`).

use tegata_core::access::Scope;
use tegata_core::id::{CustomerId, TerminalId, UserId};
use tegata_core::recovery::{Recovery, Way};
use tegata_core::time::Timestamp;

use crate::db::{Query, Row};
use crate::{Reader, StoreError, Tx};

/// Help that was begun, with the keyed hash of its code where there is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecoveryRow {
    /// What it says.
    pub recovery: Recovery,
    /// The keyed hash of its code.
    pub code_hash: Option<[u8; 32]>,
    /// The terminal at which the helper sits, where it is one.
    pub helper: Option<TerminalId>,
}

const SELECT: &str = "SELECT terminal_id, customer_id, user_id, code_hash, helper_id, reason, expires_at, failures, \
                      CAST(CASE WHEN token_hash IS NULL THEN 0 ELSE 1 END AS BIGINT) AS typed FROM recoveries WHERE 1 = 1";

fn recovery(row: &Row) -> Result<RecoveryRow, StoreError> {
    let recovery = Recovery {
        terminal: row.terminal("terminal_id")?,
        customer: row.customer("customer_id")?,
        way: row.opt_int("user_id")?.map_or(Way::Code, |user| Way::Here(UserId(user))),
        reason: row.text("reason")?,
        expires_at: row.time("expires_at")?,
        failures: row.number("failures")?,
        typed: row.int("typed")? == 1,
    };
    Ok(RecoveryRow { recovery, code_hash: row.opt_bytes("code_hash")?, helper: row.opt_terminal("helper_id")? })
}

fn of_terminal(terminal: TerminalId) -> Query {
    Query::new(SELECT).with(" AND terminal_id = ", terminal)
}

impl Reader {
    /// The help for a terminal, still counting or not.
    pub async fn recovery(&self, scope: Scope, terminal: TerminalId) -> Result<Option<Recovery>, StoreError> {
        let query = of_terminal(terminal).within(scope, " AND terminal_id = ", " AND customer_id = ");
        Ok(self.optional(query, recovery).await?.map(|row| row.recovery))
    }

    /// The help whose code was typed in the browser with this token, while it counts. Takes no scope: the token is the proof, and the
    /// scope is what comes out of it.
    pub async fn recovery_by_token(
        &self,
        token_hash: [u8; 32],
        now: Timestamp,
    ) -> Result<Option<Recovery>, StoreError> {
        let query = Query::new(SELECT).with(" AND token_hash = ", token_hash).with(" AND expires_at >= ", now);
        Ok(self.optional(query, recovery).await?.map(|row| row.recovery))
    }
}

impl Tx {
    /// The help for a terminal, still counting or not.
    pub async fn recovery(&mut self, terminal: TerminalId) -> Result<Option<RecoveryRow>, StoreError> {
        self.optional(of_terminal(terminal), recovery).await
    }

    /// Begins help; what was begun for the terminal before ends.
    pub async fn insert_recovery(&mut self, new: &RecoveryRow, now: Timestamp) -> Result<(), StoreError> {
        let Recovery { terminal, customer, way, reason, expires_at, .. } = &new.recovery;
        self.end_recovery(*terminal).await?;
        let user = match way {
            Way::Here(user) => Some(*user),
            Way::Code => None,
        };
        let query = Query::new(
            "INSERT INTO recoveries (terminal_id, customer_id, user_id, code_hash, helper_id, reason, created_at, expires_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        )
        .bind(*terminal)
        .bind(*customer)
        .bind(user)
        .bind(new.code_hash)
        .bind(new.helper)
        .bind(&**reason)
        .bind(now)
        .bind(*expires_at);
        let named = StoreError::NotFound { what: "terminal of this customer, or user" };
        self.execute(query).await.map_err(|error| error.if_dangling(named)).map(|_| ())
    }

    /// Counts a wrong code.
    pub async fn count_wrong_recovery_code(&mut self, terminal: TerminalId) -> Result<(), StoreError> {
        let query = "UPDATE recoveries SET failures = failures + 1 WHERE terminal_id = $1";
        self.execute(Query::new(query).bind(terminal)).await.map(|_| ())
    }

    /// The code was typed in the browser with this token; another one that it was typed in before is shut out.
    /// The first time, it counts until `until`; answers until when it does.
    pub async fn bind_recovery(
        &mut self,
        terminal: TerminalId,
        token_hash: [u8; 32],
        until: Timestamp,
    ) -> Result<Timestamp, StoreError> {
        let query = Query::new(
            "UPDATE recoveries SET expires_at = CASE WHEN token_hash IS NULL THEN $3 ELSE expires_at END, token_hash = $2 \
             WHERE terminal_id = $1 RETURNING expires_at",
        )
        .bind(terminal)
        .bind(token_hash)
        .bind(until);
        self.one(query, |row| row.time("expires_at")).await
    }

    /// Ends the help for a terminal; says whether there was any.
    pub async fn end_recovery(&mut self, terminal: TerminalId) -> Result<bool, StoreError> {
        Ok(self.execute(Query::new("DELETE FROM recoveries WHERE terminal_id = $1").bind(terminal)).await? > 0)
    }

    /// Ends the help that was begun at a terminal; says for which terminals.
    pub async fn end_recoveries_from(&mut self, helper: TerminalId) -> Result<Vec<TerminalId>, StoreError> {
        let query = Query::new("DELETE FROM recoveries WHERE helper_id = $1 RETURNING terminal_id").bind(helper);
        self.all(query, |row| row.terminal("terminal_id")).await
    }

    /// Forgets help that has lapsed; says for which terminals.
    pub async fn forget_lapsed_recoveries(
        &mut self,
        now: Timestamp,
    ) -> Result<Vec<(CustomerId, TerminalId)>, StoreError> {
        let query = Query::new("DELETE FROM recoveries WHERE expires_at < $1 RETURNING customer_id, terminal_id");
        self.all(query.bind(now), |row| Ok((row.customer("customer_id")?, row.terminal("terminal_id")?))).await
    }
}
