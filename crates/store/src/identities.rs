//! Who stands behind a presented certificate: its row, its terminal's and its customer's, by one question.

use tegata_core::access::Scope;
use tegata_core::cert::CertRecord;
use tegata_core::customer::Customer;
use tegata_core::id::{ClientNumber, Fingerprint};
use tegata_core::terminal::Terminal;

use crate::certificates::{certificate, within};
use crate::customers::kind;
use crate::db::{Query, Row, unreadable};
use crate::{Reader, StoreError};

/// The three rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityRow {
    /// The certificate.
    pub certificate: CertRecord,
    /// Its terminal.
    pub terminal: Terminal,
    /// Whose terminal that is.
    pub customer: Customer,
    /// Whether another certificate of its line ends later and is in use.
    pub superseded: bool,
}

const SELECT: &str = "SELECT c.id, c.fingerprint, c.issuer_id, c.serial, c.terminal_id, c.customer_id, c.profile, c.key_kind, \
                      c.not_before, c.not_after, c.issued_at, c.renewed_from, c.downloaded_at, c.used_at, c.revoked_at, \
                      c.revocation_reason, COALESCE(c.line, c.id) AS line, c.superseded, t.client_number, t.name AS terminal_name, t.created_at AS terminal_created_at, \
                      t.retired_at, t.blocked_at, t.deferred_on, k.kind, k.code, k.name AS customer_name, k.created_at AS customer_created_at \
                      FROM certificates c JOIN terminals t ON t.id = c.terminal_id JOIN customers k ON k.id = c.customer_id \
                      WHERE 1 = 1";

fn identity(row: &Row) -> Result<IdentityRow, StoreError> {
    let certificate = certificate(row)?;
    let deferred_on = row.opt_text("deferred_on")?;
    let terminal = Terminal {
        id: certificate.terminal,
        customer: certificate.customer,
        client: ClientNumber::new(row.number("client_number")?).ok_or_else(|| unreadable("client_number"))?,
        name: row.text("terminal_name")?,
        created_at: row.time("terminal_created_at")?,
        retired_at: row.opt_time("retired_at")?,
        blocked_at: row.opt_time("blocked_at")?,
        deferred_on: deferred_on.map(|day| day.parse()).transpose().map_err(|_| unreadable("deferred_on"))?,
    };
    let customer = Customer {
        id: certificate.customer,
        kind: kind(row)?,
        code: row.text("code")?.parse().map_err(|_| unreadable("code"))?,
        name: row.text("customer_name")?,
        created_at: row.time("customer_created_at")?,
    };
    Ok(IdentityRow { certificate, terminal, customer, superseded: row.int("superseded")? == 1 })
}

pub(crate) fn by_fingerprint(fingerprint: Fingerprint) -> Query {
    Query::new(SELECT).with(" AND c.fingerprint = ", fingerprint)
}

impl Reader {
    /// Who stands behind the certificate with this fingerprint.
    pub async fn identity(&self, scope: Scope, fingerprint: Fingerprint) -> Result<Option<IdentityRow>, StoreError> {
        self.optional(within(by_fingerprint(fingerprint), scope), identity).await
    }
}
