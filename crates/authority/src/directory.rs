//! Terminals and the operation log as programs and the operator page through them: in one order, from a place on, never more than asked for.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};

use tegata_core::access::Actor;
use tegata_core::audit::{Action, Row};
use tegata_core::id::{CertificateId, ClientNumber, CustomerId, Serial, TerminalId};
use tegata_core::terminal::Terminal;
use tegata_store::AuditFilter;

use crate::{Authority, AuthorityError, TerminalView};

impl Authority {
    /// Terminals after a place, by customer and number, at most `limit`: of one customer if one is named, those whose name has a scrap in it.
    pub async fn terminals_after(
        &self,
        actor: &Actor,
        (customer, scrap): (Option<CustomerId>, &str),
        after: Option<(CustomerId, ClientNumber)>,
        limit: u32,
    ) -> Result<Vec<TerminalView>, AuthorityError> {
        let found = self.0.reader.terminals_after(actor.scope(), (customer, scrap), after, limit).await?;
        self.views(actor, found).await
    }

    /// One terminal, by its id.
    pub async fn terminal_by_id(&self, actor: &Actor, id: TerminalId) -> Result<Option<TerminalView>, AuthorityError> {
        let found = self.0.reader.terminal(actor.scope(), id).await?;
        Ok(self.views(actor, found.into_iter().collect()).await?.pop())
    }

    /// Rows of the operation log before a place, newest first, at most `limit`: about a customer, a terminal, a certificate, of one kind.
    pub async fn log_of(
        &self,
        actor: &Actor,
        (customer, terminal, serial): (Option<CustomerId>, Option<TerminalId>, Option<Serial>),
        action: Option<Action>,
        (before, limit): (Option<i64>, u32),
    ) -> Result<Vec<Row>, AuthorityError> {
        let action = action.map(|action| action.as_str().to_owned());
        let filter = AuditFilter { customer, terminal, serial, action, ..AuditFilter::default() };
        Ok(self.0.reader.audit_rows_of(actor.scope(), &filter, before, limit).await?)
    }

    /// How each of these stands, in their order.
    async fn views(&self, actor: &Actor, terminals: Vec<Terminal>) -> Result<Vec<TerminalView>, AuthorityError> {
        let (scope, now) = (actor.scope(), self.now());
        let mut waiting: HashMap<CustomerId, HashSet<CertificateId>> = HashMap::new();
        let mut views = Vec::with_capacity(terminals.len());
        for terminal in terminals {
            if let Entry::Vacant(place) = waiting.entry(terminal.customer) {
                let all = self.0.reader.waiting_certificates(scope, terminal.customer, now).await?;
                place.insert(all.into_iter().collect());
            }
            let all = self.0.reader.certificates_of_terminal(scope, terminal.id).await?;
            let waits = |id: &CertificateId| waiting.get(&terminal.customer).is_some_and(|all| all.contains(id));
            let waits = all.iter().map(|cert| cert.id).find(waits);
            let facts = self.facts(actor, &terminal).await?;
            views.push(self.view((terminal, facts), all, waits));
        }
        Ok(views)
    }
}
