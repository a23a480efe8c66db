//! How far the renewals have come, counted from the indexes that hold what ends.

use tegata_core::access::Scope;
use tegata_core::time::Timestamp;

use crate::audit;
use crate::certificates::within;
use crate::db::Query;
use crate::{Reader, StoreError};

/// Terminals whose certificate ends within the renewal window, by how far they have come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RenewalCounts {
    /// They use a newer one.
    pub done: u32,
    /// A newer one waits to be fetched, or was fetched and not used yet.
    pub waiting: u32,
    /// Nothing has been done yet, and there is time.
    pub due: u32,
    /// Nothing has been done yet, and there is little time.
    pub at_risk: u32,
    /// They have ended lately without a newer one: locked out.
    pub expired: u32,
}

/// Of the certificates in use without a newer one, those that ended lately or end within the window.
pub(crate) fn open(profile: &str, [lately, now, soon, until]: [Timestamp; 4]) -> Query {
    Query::new(
        "SELECT CAST(CASE WHEN c.not_after < $3 THEN 0 WHEN EXISTS (SELECT 1 FROM certificates n WHERE n.terminal_id = c.terminal_id \
         AND n.profile = c.profile AND n.not_after > c.not_after AND n.used_at IS NULL AND n.revoked_at IS NULL \
         AND (n.downloaded_at IS NOT NULL OR EXISTS (SELECT 1 FROM bundles b WHERE b.certificate_id = n.id \
         AND b.erased_at IS NULL AND b.expires_at > $3))) THEN 1 WHEN c.not_after <= $4 THEN 2 ELSE 3 END AS BIGINT) AS step, COUNT(*) AS count \
         FROM certificates c WHERE c.revoked_at IS NULL AND c.used_at IS NOT NULL AND c.superseded = 0 \
         AND c.not_after >= $1 AND c.not_after <= $2 AND c.profile = $5",
    )
    .bind(lately)
    .bind(until)
    .bind(now)
    .bind(soon)
    .bind(profile)
}

/// Those within the window that have a newer one in use.
pub(crate) fn done(profile: &str, [_, now, _, until]: [Timestamp; 4]) -> Query {
    Query::new(
        "SELECT COUNT(DISTINCT c.terminal_id) AS count FROM certificates c WHERE c.superseded = 1 AND c.revoked_at IS NULL \
         AND c.used_at IS NOT NULL AND c.not_after >= $1 AND c.not_after <= $2 AND c.profile = $3",
    )
    .bind(now)
    .bind(until)
    .bind(profile)
}

impl Reader {
    /// How far the renewals have come at an instant. `times` are since when an end was lately, now, until when an end is soon, and
    /// the end of the window.
    pub async fn renewal_counts(
        &self,
        scope: Scope,
        profile: &str,
        times: [Timestamp; 4],
    ) -> Result<RenewalCounts, StoreError> {
        let done = self.optional(within(done(profile, times), scope), |row| row.number("count")).await?;
        let mut counts = RenewalCounts { done: done.unwrap_or(0), ..RenewalCounts::default() };
        let query = within(open(profile, times), scope).text(" GROUP BY 1");
        for (step, count) in self.all(query, |row| Ok((row.int("step")?, row.number("count")?))).await? {
            match step {
                0 => counts.expired = count,
                1 => counts.waiting = count,
                2 => counts.at_risk = count,
                _ => counts.due = count,
            }
        }
        Ok(counts)
    }

    /// The newest rows of the log that somebody should look at.
    pub async fn alarms(&self, scope: Scope, limit: u32) -> Result<Vec<tegata_core::audit::Row>, StoreError> {
        self.all(audit::alarms(scope, limit), audit::row).await
    }
}
