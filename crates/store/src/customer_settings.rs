//! What the operator set for single customers. A customer without a row is as the configuration has it for everybody.

use tegata_core::access::Scope;
use tegata_core::customer::CustomerSettings;
use tegata_core::id::CustomerId;

use crate::db::{Query, Row};
use crate::{Reader, StoreError, Tx};

const SELECT: &str = "SELECT most_terminals, old_programs FROM customer_settings WHERE 1 = 1";

fn settings(row: &Row) -> Result<CustomerSettings, StoreError> {
    let most_terminals = row.opt_int("most_terminals")?.map(|_| row.number("most_terminals")).transpose()?;
    Ok(CustomerSettings { most_terminals, old_programs: row.int("old_programs")? == 1 })
}

fn of(customer: CustomerId) -> Query {
    Query::new(SELECT).with(" AND customer_id = ", customer)
}

impl Reader {
    /// What is set for a customer.
    pub async fn customer_settings(&self, scope: Scope, customer: CustomerId) -> Result<CustomerSettings, StoreError> {
        let query = of(customer).within_customer(scope, " AND customer_id = ");
        Ok(self.optional(query, settings).await?.unwrap_or_default())
    }
}

impl Tx {
    /// What is set for a customer.
    pub async fn customer_settings(&mut self, customer: CustomerId) -> Result<CustomerSettings, StoreError> {
        Ok(self.optional(of(customer), settings).await?.unwrap_or_default())
    }

    /// Sets it.
    pub async fn set_customer_settings(
        &mut self,
        customer: CustomerId,
        new: &CustomerSettings,
    ) -> Result<(), StoreError> {
        let query = Query::new(
            "INSERT INTO customer_settings (customer_id, most_terminals, old_programs) VALUES ($1, $2, $3) \
             ON CONFLICT (customer_id) DO UPDATE SET most_terminals = excluded.most_terminals, \
             old_programs = excluded.old_programs",
        )
        .bind(customer)
        .bind(new.most_terminals.map(i64::from))
        .bind(i64::from(new.old_programs));
        let done = self.execute(query).await;
        done.map_err(|error| error.if_dangling(StoreError::UnknownCustomer(customer))).map(|_| ())
    }

    /// How many terminals of a customer are in service.
    pub async fn terminals_in_service(&mut self, customer: CustomerId) -> Result<u32, StoreError> {
        let query = Query::new("SELECT COUNT(*) AS count FROM terminals WHERE retired_at IS NULL")
            .with(" AND customer_id = ", customer);
        self.one(query, |row| row.number("count")).await
    }
}
