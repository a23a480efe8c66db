//! The people who log in, and the hashes of their passwords.

use tegata_core::access::{Reach, Role, Scope};
use tegata_core::customer::User;
use tegata_core::id::{CustomerId, UserId};
use tegata_core::secret::Secret;
use tegata_core::time::Timestamp;

use crate::db::{Query, Row, unreadable};
use crate::{Reader, StoreError, Tx};

/// A person to be registered.
#[derive(Clone, Debug)]
pub struct NewUser {
    /// Whose staff.
    pub customer: CustomerId,
    /// The name typed at the login screen.
    pub name: String,
    /// The password's hash, in the PHC string format.
    pub password_hash: Secret<String>,
    /// What the person may do.
    pub role: Role,
    /// Now.
    pub created_at: Timestamp,
}

pub(crate) const SELECT: &str = "SELECT id, customer_id, name, role, created_at FROM users WHERE 1 = 1";
const SELECT_FOR_LOGIN: &str = "SELECT id, customer_id, name, role, created_at, password_hash FROM users WHERE 1 = 1";

pub(crate) fn role(row: &Row) -> Result<Role, StoreError> {
    row.text("role")?.parse().map_err(|_| unreadable("role"))
}

pub(crate) fn user(row: &Row) -> Result<User, StoreError> {
    Ok(User {
        id: UserId(row.int("id")?),
        customer: row.customer("customer_id")?,
        name: row.text("name")?,
        role: role(row)?,
        created_at: row.time("created_at")?,
    })
}

impl Reader {
    /// The person of a customer with this name and the hash of the password. Only a scope that sees everything (the login itself) gets
    /// an answer: nobody else has business with a hash.
    pub async fn user_for_login(
        &self,
        scope: Scope,
        customer: CustomerId,
        name: &str,
    ) -> Result<Option<(User, Secret<String>)>, StoreError> {
        if scope.reach() != Reach::Everything {
            return Ok(None);
        }
        let query = Query::new(SELECT_FOR_LOGIN).with(" AND customer_id = ", customer).with(" AND name = ", name);
        self.optional(query, |row| Ok((user(row)?, Secret::new(row.text("password_hash")?)))).await
    }

    /// People with this name, of any customer within the scope, by customer.
    pub async fn users_named(&self, scope: Scope, name: &str, limit: u32) -> Result<Vec<User>, StoreError> {
        let query = Query::new(SELECT)
            .with(" AND name = ", name)
            .within_customer(scope, " AND customer_id = ")
            .with(" ORDER BY customer_id LIMIT ", limit);
        self.all(query, user).await
    }

    /// The people of a customer, by name.
    pub async fn users_of(&self, scope: Scope, customer: CustomerId) -> Result<Vec<User>, StoreError> {
        let query = Query::new(SELECT).with(" AND customer_id = ", customer);
        self.all(query.within_customer(scope, " AND customer_id = ").text(" ORDER BY name"), user).await
    }

    /// All people, by customer and name.
    pub async fn users(&self, scope: Scope) -> Result<Vec<User>, StoreError> {
        let query =
            Query::new(SELECT).within_customer(scope, " AND customer_id = ").text(" ORDER BY customer_id, name");
        self.all(query, user).await
    }
}

impl Tx {
    /// One person.
    pub async fn user(&mut self, id: UserId) -> Result<Option<User>, StoreError> {
        self.optional(Query::new(SELECT).with(" AND id = ", id), user).await
    }

    /// The person of a customer with this name.
    pub async fn user_named(&mut self, customer: CustomerId, name: &str) -> Result<Option<User>, StoreError> {
        let query = Query::new(SELECT).with(" AND customer_id = ", customer).with(" AND name = ", name);
        self.optional(query, user).await
    }

    /// Registers a person.
    pub async fn insert_user(&mut self, new: &NewUser) -> Result<UserId, StoreError> {
        let query = Query::new(
            "INSERT INTO users (customer_id, name, password_hash, role, created_at) VALUES ($1, $2, $3, $4, $5) RETURNING id",
        )
        .bind(new.customer)
        .bind(&*new.name)
        .bind(new.password_hash.expose().as_str())
        .bind(new.role.as_str())
        .bind(new.created_at);
        let id = self.one(query, |row| row.int("id").map(UserId)).await;
        id.map_err(|error| error.if_dangling(StoreError::UnknownCustomer(new.customer)))
    }
}
