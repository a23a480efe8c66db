//! What others ask about a certificate: whether an issuing CA ever issued this serial, and whether it is revoked.

use tegata_core::access::{Reach, Scope};
use tegata_core::cert::RevocationReason;
use tegata_core::id::{IssuerId, Serial};
use tegata_core::time::Timestamp;

use crate::db::{Query, unreadable};
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

impl Reader {
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
            let revoked = match (row.opt_time("revoked_at")?, row.opt_text("revocation_reason")?) {
                (Some(at), Some(word)) => {
                    Some((at, RevocationReason::parse(&word).ok_or_else(|| unreadable("revocation_reason"))?))
                }
                _ => None,
            };
            Ok(IssuedSerial { revoked })
        })
        .await
    }
}
