//! The operation log as an administrator of a customer reads it: all that concerns this customer's terminals and people.

use std::collections::HashMap;

use tegata_core::audit::{Action, Category, Row, category};
use tegata_core::id::TerminalId;
use tegata_core::terminal::Terminal;
use tegata_core::time::Timestamp;
use tegata_store::AuditFilter;

use crate::{Authority, AuthorityError, Session};

/// Which rows to show.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogFilter {
    /// About this terminal.
    pub terminal: Option<TerminalId>,
    /// By the person with this name.
    pub person: Option<String>,
    /// Of this category.
    pub category: Option<Category>,
    /// Written at this instant or later.
    pub from: Option<Timestamp>,
    /// Written before this instant.
    pub before: Option<Timestamp>,
}

impl Authority {
    /// The newest rows of the customer's log before the row `older_than` (or of all), newest first.
    pub async fn customer_log(
        &self,
        session: &Session,
        filter: LogFilter,
        older_than: Option<i64>,
        limit: u32,
    ) -> Result<Vec<Row>, AuthorityError> {
        let actions = filter.category.map(|wanted| {
            let words = Action::ALL.iter().map(|(_, word)| *word).filter(|word| category(word) == wanted);
            words.map(str::to_owned).collect()
        });
        let filter = AuditFilter {
            customer: Some(session.customer),
            terminal: filter.terminal,
            person: filter.person,
            actions,
            from: filter.from,
            before: filter.before,
            ..AuditFilter::default()
        };
        Ok(self.0.reader.audit_rows_of(session.actor.scope(), &filter, older_than, limit).await?)
    }

    /// The customer's terminals, those out of service too, by their names in the log.
    pub async fn customer_terminals(&self, session: &Session) -> Result<HashMap<TerminalId, Terminal>, AuthorityError> {
        let terminals = self.0.reader.terminals(session.actor.scope(), Some(session.customer)).await?;
        Ok(terminals.into_iter().map(|terminal| (terminal.id, terminal)).collect())
    }
}
