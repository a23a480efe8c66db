//! All certificates of a customer or of an issuing CA: how many can still be used, which they are one after the other, and which terminals
//! still hold one of an issuing CA that is to go.

use tegata_core::access::Scope;
use tegata_core::cert::CertRecord;
use tegata_core::id::{CertificateId, CustomerId, IssuerId};
use tegata_core::time::Timestamp;

use crate::certificates::{self, certificate, within};
use crate::db::Query;
use crate::{Reader, StoreError, Tx};

/// Whose certificates are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RevocationTarget {
    /// All of a customer's terminals.
    Customer(CustomerId),
    /// All that an issuing CA signed for terminals and agents.
    Issuer(IssuerId),
}

fn of(query: Query, target: RevocationTarget) -> Query {
    match target {
        RevocationTarget::Customer(customer) => query.with(" AND c.customer_id = ", customer),
        RevocationTarget::Issuer(issuer) => query.with(" AND c.issuer_id = ", issuer),
    }
}

fn count(target: RevocationTarget, now: Timestamp) -> Query {
    let query = Query::new("SELECT COUNT(*) AS count FROM certificates c WHERE c.revoked_at IS NULL");
    of(query.with(" AND c.not_after >= ", now), target)
}

/// Certificates in use that have no newer one in use, of one issuing CA: the words of the index `certificates_held`.
const HELD: &str = " AND c.revoked_at IS NULL AND c.used_at IS NOT NULL AND c.superseded = 0";

pub(crate) fn held_counts(now: Timestamp) -> Query {
    Query::new(
        "SELECT c.issuer_id, COUNT(*) AS count, MAX(c.not_after) AS last FROM certificates c WHERE c.revoked_at IS NULL \
         AND c.used_at IS NOT NULL AND c.superseded = 0 AND c.issuer_id > 0",
    )
    .with(" AND c.not_after >= ", now)
}

/// What still hangs on an issuing CA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// Which one.
    pub issuer: IssuerId,
    /// How many certificates of it are in use without a newer one.
    pub certificates: u32,
    /// When the last of them ends.
    pub last_end: Timestamp,
}

impl Reader {
    /// How many certificates are neither revoked nor past.
    pub async fn revocable(&self, scope: Scope, target: RevocationTarget, now: Timestamp) -> Result<u32, StoreError> {
        let found = self.optional(within(count(target, now), scope), |row| row.number("count")).await?;
        Ok(found.unwrap_or(0))
    }

    /// How many certificates of each issuing CA are in use without a newer one; those that have none are left out.
    pub async fn held_by_issuer(&self, scope: Scope, now: Timestamp) -> Result<Vec<Held>, StoreError> {
        let query = within(held_counts(now), scope).text(" GROUP BY c.issuer_id ORDER BY c.issuer_id");
        self.all(query, |row| {
            let issuer = IssuerId(row.int("issuer_id")?);
            Ok(Held { issuer, certificates: row.number("count")?, last_end: row.time("last")? })
        })
        .await
    }

    /// The certificates of an issuing CA that are in use without a newer one, after one of them, in the order of their rows.
    pub async fn held(
        &self,
        scope: Scope,
        issuer: IssuerId,
        now: Timestamp,
        (after, limit): (CertificateId, u32),
    ) -> Result<Vec<CertRecord>, StoreError> {
        let query = Query::new(certificates::SELECT).text(HELD).with(" AND c.issuer_id = ", issuer);
        let query = query.with(" AND c.not_after >= ", now).with(" AND c.id > ", after);
        self.all(within(query, scope).with(" ORDER BY c.id LIMIT ", limit), certificate).await
    }
}

impl Tx {
    /// How many certificates are neither revoked nor past.
    pub async fn revocable(&mut self, target: RevocationTarget, now: Timestamp) -> Result<u32, StoreError> {
        self.one(count(target, now), |row| row.number("count")).await
    }

    /// Those after one of them, in the order of their rows.
    pub async fn revocable_after(
        &mut self,
        target: RevocationTarget,
        now: Timestamp,
        after: CertificateId,
        limit: u32,
    ) -> Result<Vec<CertRecord>, StoreError> {
        let query =
            Query::new(certificates::SELECT).text(" AND c.revoked_at IS NULL").with(" AND c.not_after >= ", now);
        let query = of(query, target).with(" AND c.id > ", after).with(" ORDER BY c.id LIMIT ", limit);
        self.all(query, certificate).await
    }
}
