//! What else is known of terminals: where they stand, what runs on them, when they were here last.

use tegata_core::access::Scope;
use tegata_core::id::{CustomerId, TerminalId};
use tegata_core::terminal::{Facts, Terminal};
use tegata_core::time::Timestamp;

use crate::db::{Query, Row};
use crate::{Reader, StoreError, Tx};

const SELECT: &str = "SELECT terminal_id, place, system, seen_at, seen_system FROM terminal_facts WHERE 1 = 1";

fn facts(row: &Row) -> Result<(TerminalId, Facts), StoreError> {
    let facts = Facts {
        place: row.text("place")?,
        system: row.text("system")?,
        seen_at: row.opt_time("seen_at")?,
        seen_system: row.opt_text("seen_system")?,
    };
    Ok((row.terminal("terminal_id")?, facts))
}

impl Reader {
    /// What is known of a customer's terminals; those of which nothing is are left out.
    pub async fn facts(&self, scope: Scope, customer: CustomerId) -> Result<Vec<(TerminalId, Facts)>, StoreError> {
        let query = Query::new(SELECT).with(" AND customer_id = ", customer);
        self.all(query.within(scope, " AND terminal_id = ", " AND customer_id = "), facts).await
    }

    /// What is known of one terminal.
    pub async fn facts_of(&self, scope: Scope, terminal: TerminalId) -> Result<Option<Facts>, StoreError> {
        let query = Query::new(SELECT).with(" AND terminal_id = ", terminal);
        let found = self.optional(query.within(scope, " AND terminal_id = ", " AND customer_id = "), facts).await?;
        Ok(found.map(|(_, facts)| facts))
    }
}

impl Tx {
    /// Writes down where a terminal stands and what runs on it.
    pub async fn describe_terminal(
        &mut self,
        terminal: &Terminal,
        place: &str,
        system: &str,
    ) -> Result<(), StoreError> {
        let query = Query::new(
            "INSERT INTO terminal_facts (terminal_id, customer_id, place, system) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (terminal_id) DO UPDATE SET place = excluded.place, system = excluded.system",
        );
        let query = query.bind(terminal.id).bind(terminal.customer).bind(place).bind(system);
        self.execute(query).await.map(|_| ())
    }

    /// Writes down that a terminal was here, and what its browser says runs on it, where it says so. An earlier time changes nothing.
    pub async fn saw_terminal(
        &mut self,
        (terminal, customer): (TerminalId, CustomerId),
        at: Timestamp,
        system: Option<&str>,
    ) -> Result<(), StoreError> {
        let query = Query::new(
            "INSERT INTO terminal_facts (terminal_id, customer_id, seen_at, seen_system) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (terminal_id) DO UPDATE SET seen_at = excluded.seen_at, \
             seen_system = COALESCE(excluded.seen_system, terminal_facts.seen_system) \
             WHERE terminal_facts.seen_at IS NULL OR terminal_facts.seen_at < excluded.seen_at",
        );
        let query = query.bind(terminal).bind(customer).bind(at).bind(system);
        self.execute(query).await.map(|_| ())
    }
}
