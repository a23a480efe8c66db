//! Finding a customer, a terminal or a certificate by a scrap, and what a terminal's user sees at this moment: what the help desk is asked
//! on the telephone. Reads only, and stays within the actor's scope; nothing here is secret.

use tegata_core::access::Actor;
use tegata_core::audit::Row;
use tegata_core::cert::CertRecord;
use tegata_core::customer::{Customer, User};
use tegata_core::recovery::TerminalNumber;
use tegata_core::search::Search;
use tegata_core::terminal::{Shown, Terminal};
use tegata_store::{AuditFilter, Found};

use crate::{Authority, AuthorityError, Identity, RenewalView, TerminalView};

/// How many of each kind are found at most.
const MOST: u32 = 20;

/// What a scrap leads to.
#[derive(Clone, Debug, Default)]
pub struct Finding {
    /// Customers.
    pub customers: Vec<Customer>,
    /// People, each with whose staff they are.
    pub users: Vec<(User, Customer)>,
    /// Terminals, each with whose they are.
    pub terminals: Vec<(TerminalView, Customer)>,
    /// Certificates, each with its terminal and whose that is.
    pub certificates: Vec<(CertRecord, Terminal, Customer)>,
    /// Whether there may be more than are shown.
    pub more: bool,
}

/// What somebody at a terminal sees.
#[derive(Debug)]
pub enum Sight {
    /// The portal, with what it says about the certificate that the browser shows.
    Portal(Box<(Identity, RenewalView)>),
    /// The page for a browser that shows a revoked certificate.
    Revoked,
    /// The page for a browser without a certificate; the last one that was used, where there was one.
    Nothing(Option<CertRecord>),
}

impl Authority {
    /// Looks for whatever a scrap can be.
    pub async fn search(&self, actor: &Actor, search: &Search) -> Result<Finding, AuthorityError> {
        let (scope, reader) = (actor.scope(), &self.0.reader);
        let Found { customers, users, terminals, certificates } = reader.search(scope, search, MOST).await?;
        let full = |length: usize| length >= MOST as usize;
        let more = full(customers.len()) || full(users.len()) || full(terminals.len()) || full(certificates.len());
        let mut finding = Finding { customers, more, ..Finding::default() };
        for user in users {
            let customer = self.customer_of(actor, user.customer).await?;
            finding.users.push((user, customer));
        }
        for terminal in terminals {
            let customer = self.customer_of(actor, terminal.customer).await?;
            finding.terminals.push((self.look_at(actor, terminal).await?, customer));
        }
        for cert in certificates {
            let customer = self.customer_of(actor, cert.customer).await?;
            let terminal = reader.terminal(scope, cert.terminal).await?;
            finding.certificates.push((cert, terminal.ok_or(AuthorityError::Missing("terminal"))?, customer));
        }
        Ok(finding)
    }

    async fn customer_of(&self, actor: &Actor, id: tegata_core::id::CustomerId) -> Result<Customer, AuthorityError> {
        let found = self.0.reader.customer(actor.scope(), id).await?;
        found.ok_or(AuthorityError::Missing("customer"))
    }

    /// What was done with a terminal lately, newest first.
    pub async fn log_of_terminal(
        &self,
        actor: &Actor,
        terminal: &Terminal,
        limit: u32,
    ) -> Result<Vec<Row>, AuthorityError> {
        let filter =
            AuditFilter { customer: Some(terminal.customer), terminal: Some(terminal.id), ..AuditFilter::default() };
        Ok(self.0.reader.audit_rows_of(actor.scope(), &filter, None, limit).await?)
    }

    /// What the user of a terminal sees at this moment; `None` where there is no such terminal.
    pub async fn sight(
        &self,
        actor: &Actor,
        TerminalNumber { customer, client }: TerminalNumber,
    ) -> Result<Option<(Terminal, Customer, Sight)>, AuthorityError> {
        let (scope, reader, now) = (actor.scope(), &self.0.reader, self.now());
        let Some(terminal) = reader.terminal_by_client(scope, customer, client).await? else { return Ok(None) };
        let customer = self.customer_of(actor, customer).await?;
        let all = reader.certificates_of_terminal(scope, terminal.id).await?;
        let sight = match terminal.shows(&all, &self.0.rules.terminal_profile.name, now) {
            Shown::Accepted(cert) => {
                let superseded = all.iter().any(|other| {
                    other.line == cert.line && other.not_after > cert.not_after && other.used_at.is_some()
                });
                let (certificate, terminal, customer) = (cert.clone(), terminal.clone(), customer.clone());
                let identity = Identity { certificate, terminal, customer, superseded };
                let view = self.renewal_view(&identity).await?;
                Sight::Portal(Box::new((identity, view)))
            }
            Shown::Revoked => Sight::Revoked,
            Shown::Nothing(last) => Sight::Nothing(last.cloned()),
        };
        Ok(Some((terminal, customer, sight)))
    }
}
