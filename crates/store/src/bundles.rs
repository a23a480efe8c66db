//! Bundles: the sealed private key and import password of a renewed certificate, until they are erased. What is here is sealed; the store
//! cannot open it.

use tegata_core::access::Scope;
use tegata_core::cert::CertRecord;
use tegata_core::id::{CertificateId, CustomerId, Serial, TerminalId};
use tegata_core::time::Timestamp;

use crate::certificates::{certificate, within};
use crate::db::{Query, Row};
use crate::{Reader, StoreError, Tx};

/// A bundle to be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewBundle {
    /// Which certificate's.
    pub certificate: CertificateId,
    /// Which terminal's.
    pub terminal: TerminalId,
    /// Whose terminal that is.
    pub customer: CustomerId,
    /// The private key, sealed.
    pub sealed_key: Vec<u8>,
    /// The import password, sealed.
    pub sealed_password: Vec<u8>,
    /// Now.
    pub created_at: Timestamp,
    /// The first second in which it is no longer handed out.
    pub expires_at: Timestamp,
}

/// An open bundle: neither erased nor lapsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BundleRow {
    /// Its certificate.
    pub certificate: CertRecord,
    /// The private key, sealed.
    pub sealed_key: Vec<u8>,
    /// The import password, sealed.
    pub sealed_password: Vec<u8>,
    /// When it was made.
    pub created_at: Timestamp,
    /// The first second in which it is no longer handed out.
    pub expires_at: Timestamp,
    /// How often the file was fetched.
    pub downloads: u32,
    /// How often the password was shown.
    pub reveals: u32,
    /// Whether the terminal moves to another PC with it.
    pub moves: bool,
}

/// A bundle that was just erased, as the operation log tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErasedBundle {
    /// Which certificate's it was.
    pub certificate: CertificateId,
    /// That certificate's serial.
    pub serial: Serial,
    /// Which terminal's.
    pub terminal: TerminalId,
    /// Whose terminal that is.
    pub customer: CustomerId,
}

const SELECT_OPEN: &str = "SELECT c.id, c.fingerprint, c.issuer_id, c.serial, c.terminal_id, c.customer_id, c.profile, \
                           c.key_kind, c.not_before, c.not_after, c.issued_at, c.renewed_from, c.downloaded_at, c.used_at, \
                           c.revoked_at, c.revocation_reason, COALESCE(c.line, c.id) AS line, b.sealed_key, b.sealed_password, b.created_at, b.expires_at, \
                           b.downloads, b.reveals, \
                           CAST(CASE WHEN EXISTS (SELECT 1 FROM moves m WHERE m.certificate_id = c.id) THEN 1 ELSE 0 END AS BIGINT) AS moves \
                           FROM bundles b JOIN certificates c ON c.id = b.certificate_id \
                           WHERE b.terminal_id = $1 AND b.erased_at IS NULL AND b.expires_at > $2";

fn bundle(row: &Row) -> Result<BundleRow, StoreError> {
    Ok(BundleRow {
        certificate: certificate(row)?,
        sealed_key: row.blob("sealed_key")?,
        sealed_password: row.blob("sealed_password")?,
        created_at: row.time("created_at")?,
        expires_at: row.time("expires_at")?,
        downloads: row.number("downloads")?,
        reveals: row.number("reveals")?,
        moves: row.int("moves")? == 1,
    })
}

pub(crate) fn open(terminal: TerminalId, now: Timestamp) -> Query {
    Query::new(SELECT_OPEN).bind(terminal).bind(now)
}

impl Reader {
    /// The open bundle of a terminal. The operator's staff get it for the terminal alone at which they sit.
    pub async fn open_bundle(
        &self,
        scope: Scope,
        terminal: TerminalId,
        now: Timestamp,
    ) -> Result<Option<BundleRow>, StoreError> {
        let query = open(terminal, now).within_secrets(scope, " AND b.terminal_id = ", " AND b.customer_id = ");
        self.optional(within(query, scope), bundle).await
    }
}

impl Reader {
    /// The certificate of a terminal that waits to be fetched, without anything that is sealed.
    pub async fn waiting_certificate(
        &self,
        scope: Scope,
        terminal: TerminalId,
        now: Timestamp,
    ) -> Result<Option<CertificateId>, StoreError> {
        let query = Query::new(
            "SELECT b.certificate_id FROM bundles b WHERE b.terminal_id = $1 AND b.erased_at IS NULL AND b.expires_at > $2",
        )
        .bind(terminal)
        .bind(now);
        let query = query.within(scope, " AND b.terminal_id = ", " AND b.customer_id = ");
        self.optional(query, |row| row.int("certificate_id").map(CertificateId)).await
    }

    /// The certificates of a customer that wait to be fetched.
    pub async fn waiting_certificates(
        &self,
        scope: Scope,
        customer: CustomerId,
        now: Timestamp,
    ) -> Result<Vec<CertificateId>, StoreError> {
        let query = Query::new(
            "SELECT b.certificate_id FROM bundles b WHERE b.customer_id = $1 AND b.erased_at IS NULL AND b.expires_at > $2",
        )
        .bind(customer)
        .bind(now);
        let query = query.within(scope, " AND b.terminal_id = ", " AND b.customer_id = ");
        self.all(query, |row| row.int("certificate_id").map(CertificateId)).await
    }
}

impl Tx {
    /// The open bundle of a terminal.
    pub async fn open_bundle(&mut self, terminal: TerminalId, now: Timestamp) -> Result<Option<BundleRow>, StoreError> {
        self.optional(open(terminal, now), bundle).await
    }

    /// Keeps a bundle. A terminal has at most one that is not erased, lapsed ones included: erase those first.
    pub async fn insert_bundle(&mut self, new: &NewBundle) -> Result<(), StoreError> {
        let query = Query::new(
            "INSERT INTO bundles (certificate_id, terminal_id, customer_id, created_at, expires_at, sealed_key, sealed_password) \
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(new.certificate)
        .bind(new.terminal)
        .bind(new.customer)
        .bind(new.created_at)
        .bind(new.expires_at)
        .bind(new.sealed_key.clone())
        .bind(new.sealed_password.clone());
        let named = StoreError::NotFound { what: "certificate or terminal of this customer" };
        self.execute(query).await.map_err(|error| error.if_dangling(named)).map(|_| ())
    }

    /// Counts a download of an open bundle; the first one is noted at the certificate.
    pub async fn mark_downloaded(&mut self, certificate: CertificateId, now: Timestamp) -> Result<(), StoreError> {
        let query = "UPDATE bundles SET downloads = downloads + 1 WHERE certificate_id = $1 AND erased_at IS NULL";
        self.touch_open_bundle(Query::new(query).bind(certificate)).await?;
        let query = "UPDATE certificates SET downloaded_at = $2 WHERE id = $1 AND downloaded_at IS NULL";
        self.execute(Query::new(query).bind(certificate).bind(now)).await.map(|_| ())
    }

    /// Counts a look at the password of an open bundle.
    pub async fn mark_revealed(&mut self, certificate: CertificateId) -> Result<(), StoreError> {
        let query = "UPDATE bundles SET reveals = reveals + 1 WHERE certificate_id = $1 AND erased_at IS NULL";
        self.touch_open_bundle(Query::new(query).bind(certificate)).await
    }

    /// Erases the key and the password of a bundle. False when there was nothing to erase.
    pub async fn erase_bundle(&mut self, certificate: CertificateId, now: Timestamp) -> Result<bool, StoreError> {
        let query = Query::new(
            "UPDATE bundles SET sealed_key = NULL, sealed_password = NULL, erased_at = $2 \
             WHERE certificate_id = $1 AND erased_at IS NULL",
        )
        .bind(certificate)
        .bind(now);
        Ok(self.execute(query).await? > 0)
    }

    /// Erases all bundles whose time is over, and says which, so that each gets its line in the operation log.
    pub async fn erase_lapsed_bundles(&mut self, now: Timestamp) -> Result<Vec<ErasedBundle>, StoreError> {
        let query = Query::new(
            "SELECT b.certificate_id, c.serial, b.terminal_id, b.customer_id FROM bundles b \
             JOIN certificates c ON c.id = b.certificate_id WHERE b.erased_at IS NULL AND b.expires_at <= $1 \
             ORDER BY b.certificate_id",
        )
        .bind(now);
        let lapsed = self.all(query, erased).await?;
        for bundle in &lapsed {
            self.erase_bundle(bundle.certificate, now).await?;
        }
        Ok(lapsed)
    }

    async fn touch_open_bundle(&mut self, query: Query) -> Result<(), StoreError> {
        match self.execute(query).await? {
            0 => Err(StoreError::NotFound { what: "open bundle" }),
            _ => Ok(()),
        }
    }
}

fn erased(row: &Row) -> Result<ErasedBundle, StoreError> {
    Ok(ErasedBundle {
        certificate: CertificateId(row.int("certificate_id")?),
        serial: Serial::from_bytes(row.bytes("serial")?),
        terminal: row.terminal("terminal_id")?,
        customer: row.customer("customer_id")?,
    })
}
