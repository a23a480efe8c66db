//! Whom a customer wants to be told.

use tegata_core::access::Scope;
use tegata_core::contact::Contact;
use tegata_core::id::CustomerId;

use crate::db::{Query, Row, unreadable};
use crate::{Reader, StoreError, Tx};

const SELECT: &str = "SELECT id, customer_id, address, label, language, created_at FROM contacts WHERE 1 = 1";

fn contact(row: &Row) -> Result<Contact, StoreError> {
    Ok(Contact {
        id: row.int("id")?,
        customer: row.customer("customer_id")?,
        address: row.text("address")?.parse().map_err(|_| unreadable("address"))?,
        label: row.text("label")?,
        language: row.text("language")?.parse().map_err(|_| unreadable("language"))?,
        created_at: row.time("created_at")?,
    })
}

impl Reader {
    /// The contacts of a customer, or of all, in the order in which they were added.
    pub async fn contacts(&self, scope: Scope, customer: Option<CustomerId>) -> Result<Vec<Contact>, StoreError> {
        let query = match customer {
            Some(customer) => Query::new(SELECT).with(" AND customer_id = ", customer),
            None => Query::new(SELECT),
        };
        let query = query.within_whole_customer(scope, " AND customer_id = ");
        self.all(query.text(" ORDER BY customer_id, id"), contact).await
    }
}

impl Tx {
    /// The contacts of a customer.
    pub async fn contacts(&mut self, customer: CustomerId) -> Result<Vec<Contact>, StoreError> {
        self.all(Query::new(SELECT).with(" AND customer_id = ", customer).text(" ORDER BY id"), contact).await
    }

    /// Adds a contact; its `id` is not looked at. False when the customer has that address already.
    pub async fn insert_contact(&mut self, new: &Contact) -> Result<bool, StoreError> {
        let query = Query::new(
            "INSERT INTO contacts (customer_id, address, label, language, created_at) VALUES ($1, $2, $3, $4, $5) \
             ON CONFLICT (customer_id, address) DO NOTHING",
        )
        .bind(new.customer)
        .bind(new.address.as_str())
        .bind(&*new.label)
        .bind(new.language.as_str())
        .bind(new.created_at);
        let named = StoreError::UnknownCustomer(new.customer);
        Ok(self.execute(query).await.map_err(|error| error.if_dangling(named))? > 0)
    }

    /// Removes a contact of a customer; answers with what it was.
    pub async fn remove_contact(&mut self, customer: CustomerId, id: i64) -> Result<Option<Contact>, StoreError> {
        let query = Query::new(
            "DELETE FROM contacts WHERE customer_id = $1 AND id = $2 RETURNING id, customer_id, address, label, language, created_at",
        );
        self.optional(query.bind(customer).bind(id), contact).await
    }
}
