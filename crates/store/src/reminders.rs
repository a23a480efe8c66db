//! Which step was said last about which terminal, and that a customer's digest of a day is written once.

use jiff::civil::Date;
use tegata_core::access::Scope;
use tegata_core::id::{CertificateId, CustomerId, TerminalId};
use tegata_core::reminder::Step;
use tegata_core::time::Timestamp;

use crate::db::{Query, Row};
use crate::{Reader, StoreError, Tx};

/// What was said last about a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Said {
    /// Of which terminal.
    pub terminal: TerminalId,
    /// Of which certificate.
    pub certificate: CertificateId,
    /// The step.
    pub step: Step,
}

fn said(row: &Row) -> Result<Said, StoreError> {
    Ok(Said {
        terminal: row.terminal("terminal_id")?,
        certificate: CertificateId(row.int("certificate_id")?),
        step: Step(row.int("step")?),
    })
}

impl Reader {
    /// What was said last about the terminals of a customer, by one way of saying it.
    pub async fn said(
        &self,
        scope: Scope,
        customer: CustomerId,
        channel: &'static str,
    ) -> Result<Vec<Said>, StoreError> {
        let query = "SELECT terminal_id, certificate_id, step FROM reminders WHERE customer_id = $1 AND channel = $2";
        let query = Query::new(query).bind(customer).bind(channel);
        self.all(query.within(scope, " AND terminal_id = ", " AND customer_id = "), said).await
    }
}

impl Tx {
    /// Takes the day's digest of a customer. False when somebody has written it.
    pub async fn begin_digest(
        &mut self,
        customer: CustomerId,
        channel: &'static str,
        (day, now): (Date, Timestamp),
    ) -> Result<bool, StoreError> {
        let query = Query::new(
            "INSERT INTO digests (customer_id, channel, day, at) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (customer_id, channel, day) DO NOTHING",
        );
        let query = query.bind(customer).bind(channel).bind(day.to_string()).bind(now);
        Ok(self.execute(query).await? > 0)
    }

    /// Notes what is said about a terminal.
    pub async fn note_said(
        &mut self,
        customer: CustomerId,
        channel: &'static str,
        said: Said,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let query = Query::new(
            "INSERT INTO reminders (terminal_id, customer_id, channel, certificate_id, step, at) VALUES ($1, $2, $3, $4, $5, $6) \
             ON CONFLICT (terminal_id, channel) \
             DO UPDATE SET certificate_id = excluded.certificate_id, step = excluded.step, at = excluded.at",
        )
        .bind(said.terminal)
        .bind(customer)
        .bind(channel)
        .bind(said.certificate)
        .bind(said.step.0)
        .bind(now);
        let named = StoreError::NotFound { what: "terminal of this customer, or certificate" };
        self.execute(query).await.map_err(|error| error.if_dangling(named)).map(|_| ())
    }

    /// Forgets the days of digests that were written before `before`; says how many.
    pub async fn forget_digests(&mut self, before: Timestamp) -> Result<u64, StoreError> {
        self.execute(Query::new("DELETE FROM digests WHERE at < $1").bind(before)).await
    }
}
