//! What others ask about certificates: whether an issuing CA ever issued this serial, whether it is revoked, and all that it revoked.

use tegata_core::access::{Reach, Scope};
use tegata_core::cert::RevocationReason;
use tegata_core::id::{IssuerId, Serial};
use tegata_core::time::Timestamp;

use crate::db::{Query, Row, unreadable};
use crate::{Reader, StoreError};

/// A serial that an issuing CA has given out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IssuedSerial {
    /// When and why it was revoked.
    pub revoked: Option<(Timestamp, RevocationReason)>,
}

/// Terminals' certificates, and those of listeners and responders, which are never revoked: they are replaced.
pub(crate) fn issued(issuer: IssuerId, serial: Serial) -> Query {
    Query::new(
        "SELECT revoked_at, revocation_reason FROM certificates WHERE serial = $1 AND issuer_id = $2 \
         UNION ALL SELECT NULL, NULL FROM server_certificates WHERE serial = $1 AND issuer_id = $2",
    )
    .bind(serial)
    .bind(issuer)
}

/// What an issuing CA has revoked, all of one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Revocations {
    /// How many there ever were. Rows are never deleted and a revocation cannot be undone, so this grows with each one, and tells two moments
    /// apart.
    pub ever: u64,
    /// Those that were asked for, by serial.
    pub listed: Vec<Revocation>,
}

/// A revoked certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Revocation {
    /// Its serial.
    pub serial: Serial,
    /// Its last valid second.
    pub not_after: Timestamp,
    /// When it was revoked.
    pub at: Timestamp,
    /// Why.
    pub reason: RevocationReason,
}

/// One statement, so that all of it is of one moment.
pub(crate) fn revocations(issuer: IssuerId, since: Timestamp) -> Query {
    Query::new(
        "SELECT CAST(COUNT(*) AS BIGINT) AS ever, NULL AS serial, NULL AS not_after, NULL AS revoked_at, NULL AS revocation_reason \
         FROM certificates WHERE revoked_at IS NOT NULL AND issuer_id = $1 \
         UNION ALL SELECT NULL, serial, not_after, revoked_at, revocation_reason \
         FROM certificates WHERE revoked_at IS NOT NULL AND issuer_id = $1 AND not_after >= $2",
    )
    .bind(issuer)
    .bind(since)
}

fn reason(row: &Row) -> Result<RevocationReason, StoreError> {
    RevocationReason::parse(&row.text("revocation_reason")?).ok_or_else(|| unreadable("revocation_reason"))
}

fn revocation(row: &Row) -> Result<Revocation, StoreError> {
    Ok(Revocation {
        serial: Serial::from_bytes(row.bytes("serial")?),
        not_after: row.time("not_after")?,
        at: row.time("revoked_at")?,
        reason: reason(row)?,
    })
}

impl Reader {
    /// What this CA has revoked of the certificates that did not end before `since`. Only for a scope that sees everything; for others
    /// nothing was ever revoked.
    pub async fn revocations(
        &self,
        scope: Scope,
        issuer: IssuerId,
        since: Timestamp,
    ) -> Result<Revocations, StoreError> {
        let mut found = Revocations::default();
        if scope.reach() != Reach::Everything {
            return Ok(found);
        }
        let rows = self.all(revocations(issuer, since), |row| match row.opt_int("ever")? {
            Some(ever) => Ok(Err(u64::try_from(ever).map_err(|_| unreadable("ever"))?)),
            None => revocation(row).map(Ok),
        });
        for row in rows.await? {
            match row {
                Ok(one) => found.listed.push(one),
                Err(ever) => found.ever = ever,
            }
        }
        found.listed.sort_unstable_by_key(|one| one.serial);
        Ok(found)
    }

    /// What is known of a serial of this CA; `None` when it was never issued. Only for a scope that sees everything; for others nothing
    /// was ever issued.
    pub async fn issued_serial(
        &self,
        scope: Scope,
        issuer: IssuerId,
        serial: Serial,
    ) -> Result<Option<IssuedSerial>, StoreError> {
        if scope.reach() != Reach::Everything {
            return Ok(None);
        }
        self.optional(issued(issuer, serial), |row| {
            let revoked = row.opt_time("revoked_at")?.map(|at| Ok::<_, StoreError>((at, reason(row)?))).transpose()?;
            Ok(IssuedSerial { revoked })
        })
        .await
    }
}
