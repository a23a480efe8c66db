//! Customers.

use tegata_core::access::Scope;
use tegata_core::customer::{Customer, CustomerCode, CustomerKind};
use tegata_core::id::CustomerId;
use tegata_core::time::Timestamp;

use crate::db::{Query, Row, unreadable};
use crate::{Reader, StoreError, Tx};

/// A customer to be registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewCustomer {
    /// Its id; `None` takes the one after the highest.
    pub id: Option<CustomerId>,
    /// What it is to the service.
    pub kind: CustomerKind,
    /// Its six digits.
    pub code: CustomerCode,
    /// Its name.
    pub name: String,
    /// Now.
    pub created_at: Timestamp,
}

pub(crate) const SELECT: &str = "SELECT id, kind, code, name, created_at FROM customers WHERE 1 = 1";

const SELECT_COUNTED: &str = "SELECT k.id, k.kind, k.code, k.name, k.created_at, (SELECT COUNT(*) FROM terminals t \
                              WHERE t.customer_id = k.id AND t.retired_at IS NULL) AS terminals FROM customers k WHERE 1 = 1";

pub(crate) fn kind(row: &Row) -> Result<CustomerKind, StoreError> {
    row.text("kind")?.parse().map_err(|_| unreadable("kind"))
}

pub(crate) fn customer(row: &Row) -> Result<Customer, StoreError> {
    Ok(Customer {
        id: row.customer("id")?,
        kind: kind(row)?,
        code: row.text("code")?.parse().map_err(|_| unreadable("code"))?,
        name: row.text("name")?,
        created_at: row.time("created_at")?,
    })
}

fn by_id(id: CustomerId) -> Query {
    Query::new(SELECT).with(" AND id = ", id)
}

impl Reader {
    /// One customer.
    pub async fn customer(&self, scope: Scope, id: CustomerId) -> Result<Option<Customer>, StoreError> {
        self.optional(by_id(id).within_customer(scope, " AND id = "), customer).await
    }

    /// All customers, by id.
    pub async fn customers(&self, scope: Scope) -> Result<Vec<Customer>, StoreError> {
        self.all(Query::new(SELECT).within_customer(scope, " AND id = ").text(" ORDER BY id"), customer).await
    }
}

impl Reader {
    /// Customers after one, by id, each with the number of its terminals in service.
    pub async fn customers_after(
        &self,
        scope: Scope,
        after: Option<CustomerId>,
        limit: u32,
    ) -> Result<Vec<(Customer, u32)>, StoreError> {
        let query = page(scope, after, limit);
        self.all(query, |row| Ok((customer(row)?, row.number("terminals")?))).await
    }
}

pub(crate) fn page(scope: Scope, after: Option<CustomerId>, limit: u32) -> Query {
    Query::new(SELECT_COUNTED)
        .with(" AND k.id > ", after.map_or(0, CustomerId::number))
        .within_customer(scope, " AND k.id = ")
        .with(" ORDER BY k.id LIMIT ", limit)
}

impl Tx {
    /// One customer.
    pub async fn customer(&mut self, id: CustomerId) -> Result<Option<Customer>, StoreError> {
        self.optional(by_id(id), customer).await
    }

    /// Registers a customer.
    pub async fn insert_customer(&mut self, new: &NewCustomer) -> Result<CustomerId, StoreError> {
        let id = match new.id {
            Some(id) => id,
            None => self.next_customer_id().await?,
        };
        let query = Query::new("INSERT INTO customers (id, kind, code, name, created_at) VALUES ($1, $2, $3, $4, $5)")
            .bind(id)
            .bind(new.kind.as_str())
            .bind(new.code.to_string())
            .bind(&*new.name)
            .bind(new.created_at);
        self.execute(query).await?;
        Ok(id)
    }

    async fn next_customer_id(&mut self) -> Result<CustomerId, StoreError> {
        let query = Query::new("SELECT COALESCE(MAX(id), 0) + 1 AS next FROM customers");
        let next = self.one(query, |row| row.number("next")).await?;
        CustomerId::new(next).ok_or(StoreError::Exhausted { what: "customer ids" })
    }
}
