//! How many certificates end in which week.

use tegata_core::access::{Reach, Scope};
use tegata_core::forecast::{Ending, WeekNumber};
use tegata_core::id::CustomerId;
use tegata_core::time::Timestamp;

use crate::db::Query;
use crate::{Reader, StoreError};

/// Weeks as `tegata_core::forecast` counts them. Whole numbers divide as whole numbers, in both engines.
const SELECT: &str = "SELECT (c.not_after + 291600) / 604800 AS week, COUNT(*) AS terminals, \
                      SUM(CASE WHEN EXISTS (SELECT 1 FROM certificates n WHERE n.terminal_id = c.terminal_id AND n.profile = c.profile \
                      AND n.not_after > c.not_after AND n.downloaded_at IS NOT NULL AND n.used_at IS NULL AND n.revoked_at IS NULL) \
                      THEN 1 ELSE 0 END) AS fetched FROM certificates c WHERE c.revoked_at IS NULL AND c.used_at IS NOT NULL \
                      AND c.superseded = 0 AND c.not_after >= $1 AND c.not_after <= $2 AND c.profile = $3";

pub(crate) fn endings(profile: &str, (from, until): (Timestamp, Timestamp), customer: Option<CustomerId>) -> Query {
    let query = Query::new(SELECT).bind(from).bind(until).bind(profile);
    let query = match customer {
        Some(customer) => query.with(" AND c.customer_id = ", customer),
        None => query,
    };
    query.text(" GROUP BY 1 ORDER BY 1")
}

impl Reader {
    /// What ends in each week between two instants, of one customer or of all; weeks in which nothing ends are left out. Only for a scope
    /// that sees everybody: others get no row.
    pub async fn endings(
        &self,
        scope: Scope,
        profile: &str,
        between: (Timestamp, Timestamp),
        customer: Option<CustomerId>,
    ) -> Result<Vec<(WeekNumber, Ending)>, StoreError> {
        if !matches!(scope.reach(), Reach::Everything | Reach::Everybody { .. }) {
            return Ok(Vec::new());
        }
        self.all(endings(profile, between, customer), |row| {
            let ending = Ending { terminals: row.number("terminals")?, fetched: row.number("fetched")? };
            Ok((WeekNumber(row.int("week")?), ending))
        })
        .await
    }
}
