//! Terminals.

use jiff::civil::Date;
use tegata_core::access::Scope;
use tegata_core::id::{ClientNumber, CustomerId, TerminalId};
use tegata_core::terminal::Terminal;
use tegata_core::time::Timestamp;

use crate::db::{Query, Row, unreadable};
use crate::{Reader, StoreError, Tx};

/// A terminal to be registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTerminal {
    /// Its id for life.
    pub id: TerminalId,
    /// Whose it is.
    pub customer: CustomerId,
    /// Its number within the customer; `None` takes the one after the highest.
    pub client: Option<ClientNumber>,
    /// What people call it.
    pub name: String,
    /// Now.
    pub created_at: Timestamp,
}

pub(crate) const SELECT: &str = "SELECT id, customer_id, client_number, name, created_at, retired_at, blocked_at, deferred_on FROM terminals WHERE 1 = 1";

pub(crate) fn terminal(row: &Row) -> Result<Terminal, StoreError> {
    let deferred_on = row.opt_text("deferred_on")?;
    Ok(Terminal {
        id: row.terminal("id")?,
        customer: row.customer("customer_id")?,
        client: ClientNumber::new(row.number("client_number")?).ok_or_else(|| unreadable("client_number"))?,
        name: row.text("name")?,
        created_at: row.time("created_at")?,
        retired_at: row.opt_time("retired_at")?,
        blocked_at: row.opt_time("blocked_at")?,
        deferred_on: deferred_on.map(|day| day.parse().map_err(|_| unreadable("deferred_on"))).transpose()?,
    })
}

fn by_id(id: TerminalId) -> Query {
    Query::new(SELECT).with(" AND id = ", id)
}

fn within(query: Query, scope: Scope) -> Query {
    query.within(scope, " AND id = ", " AND customer_id = ")
}

pub(crate) fn paged(
    scope: Scope,
    (customer, scrap): (Option<CustomerId>, &str),
    after: Option<(CustomerId, ClientNumber)>,
    limit: u32,
) -> Query {
    let mut query = Query::new(SELECT);
    if let Some(customer) = customer {
        query = query.with(" AND customer_id = ", customer);
    }
    if !scrap.is_empty() {
        let literal = scrap.replace('!', "!!").replace('%', "!%").replace('_', "!_");
        query = query.with(" AND LOWER(name) LIKE LOWER(", format!("%{literal}%")).text(") ESCAPE '!'");
    }
    if let Some((customer, client)) = after {
        query = query.with(" AND (customer_id, client_number) > (", customer).with(", ", client.number()).text(")");
    }
    within(query, scope).with(" ORDER BY customer_id, client_number LIMIT ", limit)
}

impl Reader {
    /// One terminal.
    pub async fn terminal(&self, scope: Scope, id: TerminalId) -> Result<Option<Terminal>, StoreError> {
        self.optional(within(by_id(id), scope), terminal).await
    }

    /// All terminals, of one customer if one is named, by customer and number.
    pub async fn terminals(&self, scope: Scope, customer: Option<CustomerId>) -> Result<Vec<Terminal>, StoreError> {
        let query = match customer {
            Some(customer) => Query::new(SELECT).with(" AND customer_id = ", customer),
            None => Query::new(SELECT),
        };
        self.all(within(query, scope).text(" ORDER BY customer_id, client_number"), terminal).await
    }

    /// Terminals after a place, by customer and number, at most `limit`: of one customer if one is named, those whose name has `scrap` in it
    /// (small and capital letters of ASCII are one).
    pub async fn terminals_after(
        &self,
        scope: Scope,
        (customer, scrap): (Option<CustomerId>, &str),
        after: Option<(CustomerId, ClientNumber)>,
        limit: u32,
    ) -> Result<Vec<Terminal>, StoreError> {
        self.all(paged(scope, (customer, scrap), after, limit), terminal).await
    }

    /// The terminal of a customer with this number.
    pub async fn terminal_by_client(
        &self,
        scope: Scope,
        customer: CustomerId,
        client: ClientNumber,
    ) -> Result<Option<Terminal>, StoreError> {
        let query =
            Query::new(SELECT).with(" AND customer_id = ", customer).with(" AND client_number = ", client.number());
        self.optional(within(query, scope), terminal).await
    }
}

impl Tx {
    /// One terminal.
    pub async fn terminal(&mut self, id: TerminalId) -> Result<Option<Terminal>, StoreError> {
        self.optional(by_id(id), terminal).await
    }

    /// Registers a terminal; answers with the number it got.
    pub async fn insert_terminal(&mut self, new: &NewTerminal) -> Result<ClientNumber, StoreError> {
        let client = match new.client {
            Some(client) => client,
            None => self.next_client_number(new.customer).await?,
        };
        let query = Query::new(
            "INSERT INTO terminals (id, customer_id, client_number, name, created_at) VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(new.id)
        .bind(new.customer)
        .bind(client.number())
        .bind(&*new.name)
        .bind(new.created_at);
        let inserted = self.execute(query).await;
        inserted.map_err(|error| error.if_dangling(StoreError::UnknownCustomer(new.customer)))?;
        Ok(client)
    }

    /// Notes the day on which somebody at this terminal pressed 「あとで」.
    pub async fn set_deferred_on(&mut self, terminal: TerminalId, day: Date) -> Result<(), StoreError> {
        let query =
            Query::new("UPDATE terminals SET deferred_on = $2 WHERE id = $1").bind(terminal).bind(day.to_string());
        match self.execute(query).await? {
            0 => Err(StoreError::NotFound { what: "terminal" }),
            _ => Ok(()),
        }
    }

    /// Calls a terminal something else.
    pub async fn rename_terminal(&mut self, terminal: TerminalId, name: &str) -> Result<(), StoreError> {
        let query = Query::new("UPDATE terminals SET name = $2 WHERE id = $1").bind(terminal).bind(name);
        match self.execute(query).await? {
            0 => Err(StoreError::NotFound { what: "terminal" }),
            _ => Ok(()),
        }
    }

    /// Takes a terminal out of service. False when it was before.
    pub async fn retire_terminal(&mut self, terminal: TerminalId, at: Timestamp) -> Result<bool, StoreError> {
        let query = Query::new("UPDATE terminals SET retired_at = $2 WHERE id = $1 AND retired_at IS NULL");
        Ok(self.execute(query.bind(terminal).bind(at)).await? > 0)
    }

    /// Notes that a terminal's key may be in other hands, or that an operator gave it another certificate since.
    pub async fn block_terminal(&mut self, terminal: TerminalId, at: Option<Timestamp>) -> Result<(), StoreError> {
        let query = Query::new("UPDATE terminals SET blocked_at = $2 WHERE id = $1");
        self.execute(query.bind(terminal).bind(at)).await.map(|_| ())
    }

    /// The same for all terminals of a customer.
    pub async fn block_terminals_of(&mut self, customer: CustomerId, at: Timestamp) -> Result<(), StoreError> {
        let query = Query::new("UPDATE terminals SET blocked_at = $2 WHERE customer_id = $1");
        self.execute(query.bind(customer).bind(at)).await.map(|_| ())
    }

    /// Ends every login, enrolment code and recovery of a customer's terminals.
    pub async fn end_all_of_customer(&mut self, customer: CustomerId) -> Result<(), StoreError> {
        for query in [
            "DELETE FROM sessions WHERE customer_id = $1",
            "DELETE FROM invitations WHERE customer_id = $1",
            "DELETE FROM recoveries WHERE customer_id = $1",
        ] {
            self.execute(Query::new(query).bind(customer)).await?;
        }
        Ok(())
    }

    async fn next_client_number(&mut self, customer: CustomerId) -> Result<ClientNumber, StoreError> {
        let query =
            Query::new("SELECT COALESCE(MAX(client_number), 0) + 1 AS next FROM terminals WHERE customer_id = $1")
                .bind(customer);
        let next = self.one(query, |row| row.number("next")).await?;
        ClientNumber::new(next).ok_or(StoreError::Exhausted { what: "client numbers of this customer" })
    }
}
