//! What the gate must know by heart: the certificates of which it cannot say "valid and in use" from the certificate alone. The gate
//! keeps a copy in memory and goes on answering with the database stopped.

use tegata_core::access::{Reach, Scope};
use tegata_core::id::{IssuerId, Serial};
use tegata_core::time::Timestamp;

use crate::db::{Query, Row};
use crate::{Reader, StoreError, Tx};

/// The exceptions, all of one moment. A certificate that is not past and is in none of the lists is valid and in use. One that
/// was never used can be in `superseded` too; one that is revoked is only in `revoked`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustRows {
    /// Counts the changes that matter here; see [`Reader::trust_version`].
    pub version: i64,
    /// Revoked.
    pub revoked: Vec<(IssuerId, Serial)>,
    /// Never seen in a handshake.
    pub unused: Vec<(IssuerId, Serial)>,
    /// Valid, but their terminal has used another one that ends later.
    pub superseded: Vec<(IssuerId, Serial)>,
}

/// One statement, so that all of it is of one moment. Each branch is answered from a partial index that holds only its exceptions.
const SELECT: &str = "SELECT CAST(0 AS BIGINT) AS kind, value AS issuer_id, NULL AS serial FROM counters WHERE name = 'trust' \
    UNION ALL SELECT 1, issuer_id, serial FROM certificates WHERE revoked_at IS NOT NULL AND not_after >= $1 \
    UNION ALL SELECT 2, issuer_id, serial FROM certificates WHERE used_at IS NULL AND revoked_at IS NULL AND not_after >= $1 \
    UNION ALL SELECT 3, issuer_id, serial FROM certificates WHERE superseded = 1 AND revoked_at IS NULL AND not_after >= $1";

fn certificate(row: &Row) -> Result<(IssuerId, Serial), StoreError> {
    Ok((IssuerId(row.int("issuer_id")?), Serial::from_bytes(row.bytes("serial")?)))
}

pub(crate) fn trust(now: Timestamp) -> Query {
    Query::new(SELECT).bind(now)
}

impl Reader {
    /// Everything the gate's snapshot needs about certificates that are not past at `now`. Only for a scope that sees everything; others
    /// get no row.
    pub async fn trust_rows(&self, scope: Scope, now: Timestamp) -> Result<TrustRows, StoreError> {
        let mut rows = TrustRows::default();
        if scope.reach() != Reach::Everything {
            return Ok(rows);
        }
        for (kind, row) in self.all(trust(now), |row| Ok((row.int("kind")?, kinded(row)?))).await? {
            match (kind, row) {
                (0, Kinded::Version(version)) => rows.version = version,
                (1, Kinded::Certificate(certificate)) => rows.revoked.push(certificate),
                (2, Kinded::Certificate(certificate)) => rows.unused.push(certificate),
                (_, Kinded::Certificate(certificate)) => rows.superseded.push(certificate),
                (_, Kinded::Version(_)) => {}
            }
        }
        Ok(rows)
    }

    /// Counts the changes to what [`Reader::trust_rows`] answers (time passing aside), of all processes. Most commits (logins, log
    /// entries) do not move it. One row by its key: ask it when [`Reader::data_version`] has changed.
    pub async fn trust_version(&self) -> Result<i64, StoreError> {
        let query = Query::new("SELECT value FROM counters WHERE name = 'trust'");
        Ok(self.optional(query, |row| row.int("value")).await?.unwrap_or(0))
    }
}

enum Kinded {
    Version(i64),
    Certificate((IssuerId, Serial)),
}

fn kinded(row: &Row) -> Result<Kinded, StoreError> {
    match row.int("kind")? {
        0 => row.int("issuer_id").map(Kinded::Version),
        _ => certificate(row).map(Kinded::Certificate),
    }
}

impl Tx {
    /// Counts a change that the gate's snapshot must follow.
    pub(crate) async fn trust_changed(&mut self) -> Result<(), StoreError> {
        self.execute(Query::new("UPDATE counters SET value = value + 1 WHERE name = 'trust'")).await.map(|_| ())
    }
}
