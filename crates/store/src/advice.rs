//! What the operator said about renewing ahead of time: to everybody, to one customer, or to one terminal.

use tegata_core::access::Scope;
use tegata_core::id::{CustomerId, TerminalId};
use tegata_core::renewal::Advice;
use tegata_core::time::Timestamp;

use crate::db::{Query, Row};
use crate::{Reader, StoreError, Tx};

/// Whom advice is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// Every terminal.
    Everybody,
    /// All terminals of a customer.
    Customer(CustomerId),
    /// One terminal.
    Terminal(CustomerId, TerminalId),
}

impl Audience {
    /// The two columns that say it.
    fn columns(self) -> (Option<CustomerId>, Option<TerminalId>) {
        match self {
            Self::Everybody => (None, None),
            Self::Customer(customer) => (Some(customer), None),
            Self::Terminal(customer, terminal) => (Some(customer), Some(terminal)),
        }
    }
}

/// Advice that has not been withdrawn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdviceRow {
    /// Its row.
    pub id: i64,
    /// Whom it is for.
    pub audience: Audience,
    /// What it says.
    pub advice: Advice,
}

const SELECT: &str =
    "SELECT id, since, until, customer_id, terminal_id, explanation_url FROM advice WHERE withdrawn_at IS NULL";

fn advice(row: &Row) -> Result<AdviceRow, StoreError> {
    let audience = match (row.opt_customer("customer_id")?, row.opt_terminal("terminal_id")?) {
        (Some(customer), Some(terminal)) => Audience::Terminal(customer, terminal),
        (Some(customer), None) => Audience::Customer(customer),
        (None, _) => Audience::Everybody,
    };
    let (since, until) = (row.time("since")?, row.time("until")?);
    let explanation_url = row.opt_text("explanation_url")?;
    Ok(AdviceRow { id: row.int("id")?, audience, advice: Advice { since, until, explanation_url } })
}

impl Reader {
    /// The newest advice that a terminal is meant by. Its customer is in the question, so that nobody is told of another's.
    pub async fn advice_for(
        &self,
        customer: CustomerId,
        terminal: TerminalId,
    ) -> Result<Option<AdviceRow>, StoreError> {
        let query = Query::new(SELECT)
            .with(" AND (customer_id IS NULL OR customer_id = ", customer)
            .with(") AND (terminal_id IS NULL OR terminal_id = ", terminal);
        self.optional(query.text(") ORDER BY since DESC, id DESC LIMIT 1"), advice).await
    }

    /// All advice in force, newest first. Operators and the service only: it names customers.
    pub async fn advice(&self, scope: Scope) -> Result<Vec<AdviceRow>, StoreError> {
        let query = Query::new(SELECT).within(scope, " AND terminal_id = ", " AND customer_id = ");
        self.all(query.text(" ORDER BY since DESC, id DESC"), advice).await
    }
}

impl Tx {
    /// Keeps advice.
    pub async fn insert_advice(&mut self, audience: Audience, new: &Advice) -> Result<i64, StoreError> {
        let (customer, terminal) = audience.columns();
        let query = Query::new(
            "INSERT INTO advice (since, until, customer_id, terminal_id, explanation_url) VALUES ($1, $2, $3, $4, $5) RETURNING id",
        )
        .bind(new.since)
        .bind(new.until)
        .bind(customer)
        .bind(terminal)
        .bind(new.explanation_url.clone());
        let named = StoreError::NotFound { what: "customer or terminal" };
        self.one(query, |row| row.int("id")).await.map_err(|error| error.if_dangling(named))
    }

    /// Withdraws advice. False when there was none to withdraw.
    pub async fn withdraw_advice(&mut self, id: i64, now: Timestamp) -> Result<bool, StoreError> {
        let query = "UPDATE advice SET withdrawn_at = $2 WHERE id = $1 AND withdrawn_at IS NULL";
        Ok(self.execute(Query::new(query).bind(id).bind(now)).await? > 0)
    }
}
