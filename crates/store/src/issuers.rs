//! Issuing CAs: their certificates. Their keys are never here.

use tegata_core::access::Scope;
use tegata_core::id::IssuerId;
use tegata_core::time::Timestamp;

use crate::db::{Query, Row};
use crate::{Reader, StoreError, Tx};

/// An issuing CA as the register knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuerRow {
    /// Its row.
    pub id: IssuerId,
    /// What the operator calls it.
    pub name: String,
    /// Its certificate.
    pub der: Vec<u8>,
    /// First valid second.
    pub not_before: Timestamp,
    /// Last valid second.
    pub not_after: Timestamp,
    /// When it was registered.
    pub created_at: Timestamp,
}

/// An issuing CA to be registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewIssuer {
    /// What the operator calls it.
    pub name: String,
    /// Its certificate.
    pub der: Vec<u8>,
    /// First valid second.
    pub not_before: Timestamp,
    /// Last valid second.
    pub not_after: Timestamp,
    /// Now.
    pub created_at: Timestamp,
}

const SELECT: &str = "SELECT id, name, der, not_before, not_after, created_at FROM issuers WHERE 1 = 1";

fn issuer(row: &Row) -> Result<IssuerRow, StoreError> {
    Ok(IssuerRow {
        id: IssuerId(row.int("id")?),
        name: row.text("name")?,
        der: row.blob("der")?,
        not_before: row.time("not_before")?,
        not_after: row.time("not_after")?,
        created_at: row.time("created_at")?,
    })
}

impl Reader {
    /// All issuing CAs, oldest first. They are public: whoever can see anything can see them.
    pub async fn issuers(&self, scope: Scope) -> Result<Vec<IssuerRow>, StoreError> {
        let nothing = scope.reach() == tegata_core::access::Reach::Nothing;
        let query = Query::new(SELECT).text(if nothing { " AND 1 = 0" } else { "" }).text(" ORDER BY id");
        self.all(query, issuer).await
    }
}

impl Tx {
    /// Registers an issuing CA.
    pub async fn insert_issuer(&mut self, new: &NewIssuer) -> Result<IssuerId, StoreError> {
        let query = Query::new(
            "INSERT INTO issuers (name, der, not_before, not_after, created_at) VALUES ($1, $2, $3, $4, $5) RETURNING id",
        )
        .bind(&*new.name)
        .bind(new.der.clone())
        .bind(new.not_before)
        .bind(new.not_after)
        .bind(new.created_at);
        let id = self.one(query, |row| row.int("id").map(IssuerId)).await?;
        self.trust_changed().await?;
        Ok(id)
    }
}
