//! Customers.

use tegata_core::access::Scope;
use tegata_core::customer::{Customer, CustomerCode};
use tegata_core::id::CustomerId;
use tegata_core::time::Timestamp;

use crate::db::{Query, Row, unreadable};
use crate::{Reader, StoreError, Tx};

/// A customer to be registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewCustomer {
    /// Its id; `None` takes the one after the highest.
    pub id: Option<CustomerId>,
    /// Its six digits.
    pub code: CustomerCode,
    /// Its name.
    pub name: String,
    /// Now.
    pub created_at: Timestamp,
}

const SELECT: &str = "SELECT id, code, name, created_at FROM customers WHERE 1 = 1";

fn customer(row: &Row) -> Result<Customer, StoreError> {
    Ok(Customer {
        id: row.customer("id")?,
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
        let query = Query::new("INSERT INTO customers (id, code, name, created_at) VALUES ($1, $2, $3, $4)")
            .bind(id)
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
