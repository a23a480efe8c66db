//! Certificates: what was issued, to whom, and how far each has come.

use tegata_core::access::Scope;
use tegata_core::cert::{CertRecord, RevocationReason};
use tegata_core::id::{CertificateId, CustomerId, Fingerprint, IssuerId, KeyHash, Serial, TerminalId};
use tegata_core::profile::KeyKind;
use tegata_core::time::Timestamp;

use crate::db::{Query, Row, unreadable};
use crate::{Reader, StoreError, Tx};

/// A certificate to be recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewCertificate {
    /// SHA-256 of its DER.
    pub fingerprint: Fingerprint,
    /// Who signed it.
    pub issuer: IssuerId,
    /// Its serial.
    pub serial: Serial,
    /// Whose certificate it is.
    pub terminal: TerminalId,
    /// Whose terminal that is.
    pub customer: CustomerId,
    /// The profile it was made by.
    pub profile: String,
    /// What kind of key it certifies.
    pub key_kind: KeyKind,
    /// First valid second.
    pub not_before: Timestamp,
    /// Last valid second.
    pub not_after: Timestamp,
    /// Now.
    pub issued_at: Timestamp,
    /// The certificate that was presented to get this one.
    pub renewed_from: Option<CertificateId>,
    /// The hash of its key.
    pub key: KeyHash,
    /// Whether we made its key, for a person to install.
    pub by_hand: bool,
    /// The certificate itself.
    pub der: Vec<u8>,
}

/// What has to be known before a certificate for a program's key is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyGuard {
    /// The certificate that this key got since then by this profile, not revoked; the newest of several.
    pub answered: Option<CertificateId>,
    /// How many certificates the terminal got within the last day and still has.
    pub issued: u32,
    /// Whether a certificate of this key was revoked.
    pub is_key_revoked: bool,
    /// Whether one was because the key may be in other hands.
    pub is_key_compromised: bool,
    /// Whether the terminal was taken out of service.
    pub is_retired: bool,
    /// Whether the certificate that was presented is revoked.
    pub is_proof_revoked: bool,
}

/// Which certificates to list. The default lists all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CertFilter {
    /// Of this customer.
    pub customer: Option<CustomerId>,
    /// Of this terminal.
    pub terminal: Option<TerminalId>,
    /// Whose last second is before this one.
    pub ending_before: Option<Timestamp>,
    /// Whose last second is this one or later.
    pub ending_from: Option<Timestamp>,
    /// Revoked, or not.
    pub revoked: Option<bool>,
    /// That counted at some time from the first of these instants on, before the second.
    pub held: Option<(Timestamp, Timestamp)>,
}

pub(crate) const SELECT: &str = "SELECT c.id, c.fingerprint, c.issuer_id, c.serial, c.terminal_id, c.customer_id, c.profile, c.key_kind, \
                      c.not_before, c.not_after, c.issued_at, c.renewed_from, c.downloaded_at, c.used_at, c.revoked_at, \
                      c.revocation_reason, COALESCE(c.line, c.id) AS line FROM certificates c WHERE 1 = 1";

pub(crate) fn certificate(row: &Row) -> Result<CertRecord, StoreError> {
    Ok(CertRecord {
        id: CertificateId(row.int("id")?),
        fingerprint: Fingerprint(row.bytes("fingerprint")?),
        serial: Serial::from_bytes(row.bytes("serial")?),
        issuer: IssuerId(row.int("issuer_id")?),
        terminal: row.terminal("terminal_id")?,
        customer: row.customer("customer_id")?,
        line: CertificateId(row.int("line")?),
        profile: row.text("profile")?,
        key_kind: row.text("key_kind")?.parse().map_err(|_| unreadable("key_kind"))?,
        not_before: row.time("not_before")?,
        not_after: row.time("not_after")?,
        issued_at: row.time("issued_at")?,
        renewed_from: row.opt_int("renewed_from")?.map(CertificateId),
        downloaded_at: row.opt_time("downloaded_at")?,
        used_at: row.opt_time("used_at")?,
        revoked: match (row.opt_time("revoked_at")?, row.opt_text("revocation_reason")?) {
            (Some(at), Some(word)) => {
                Some((at, RevocationReason::parse(&word).ok_or_else(|| unreadable("revocation_reason"))?))
            }
            _ => None,
        },
    })
}

pub(crate) fn within(query: Query, scope: Scope) -> Query {
    query.within(scope, " AND c.terminal_id = ", " AND c.customer_id = ")
}

pub(crate) fn by_fingerprint(fingerprint: Fingerprint) -> Query {
    Query::new(SELECT).with(" AND c.fingerprint = ", fingerprint)
}

pub(crate) fn by_serial(serial: Serial) -> Query {
    Query::new(SELECT).with(" AND c.serial = ", serial)
}

pub(crate) fn of_terminal(terminal: TerminalId) -> Query {
    Query::new(SELECT).with(" AND c.terminal_id = ", terminal)
}

/// Newest end first; of two with one end the later row.
pub(crate) const NEWEST_FIRST: &str = " ORDER BY c.not_after DESC, c.id DESC";

/// What a terminal's certificates say about a key; for [`Tx::key_guard`].
pub(crate) fn key_guard(
    terminal: TerminalId,
    key: KeyHash,
    profile: &str,
    (since, day): (Timestamp, Timestamp),
    proof: Option<CertificateId>,
) -> Query {
    Query::new(
            "SELECT t.retired_at, (SELECT MAX(c.id) FROM certificates c WHERE c.terminal_id = t.id AND c.key_hash = $2 \
             AND c.profile = $3 AND c.revoked_at IS NULL AND c.issued_at >= $4) AS answered, \
             (SELECT COUNT(*) FROM certificates c WHERE c.terminal_id = t.id AND c.revoked_at IS NULL AND c.issued_at >= $6) AS issued, \
             (SELECT c.revoked_at FROM certificates c WHERE c.id = $5) AS proof_revoked_at, \
             (SELECT MAX(CAST(CASE WHEN c.revocation_reason = 'key-compromise' THEN 2 ELSE 1 END AS BIGINT)) FROM certificates c \
             WHERE c.terminal_id = t.id AND c.key_hash = $2 AND c.revoked_at IS NOT NULL) AS key_revoked FROM terminals t WHERE t.id = $1",
        )
        .bind(terminal)
        .bind(key)
        .bind(profile)
        .bind(since)
        .bind(proof)
        .bind(day)
}

fn read_key_guard(row: &Row) -> Result<KeyGuard, StoreError> {
    Ok(KeyGuard {
        answered: row.opt_int("answered")?.map(CertificateId),
        issued: row.number("issued")?,
        is_key_revoked: row.opt_int("key_revoked")?.is_some(),
        is_key_compromised: row.opt_int("key_revoked")? == Some(2),
        is_retired: row.opt_time("retired_at")?.is_some(),
        is_proof_revoked: row.opt_time("proof_revoked_at")?.is_some(),
    })
}

impl Reader {
    /// The certificate that a key got since then by this profile, not revoked; the newest of several.
    pub async fn certificate_by_key(
        &self,
        terminal: TerminalId,
        key: KeyHash,
        profile: &str,
        since: Timestamp,
    ) -> Result<Option<CertificateId>, StoreError> {
        let found = self.optional(key_guard(terminal, key, profile, (since, since), None), read_key_guard).await?;
        Ok(found.and_then(|guard| guard.answered))
    }

    /// The certificate with this fingerprint.
    pub async fn certificate(&self, scope: Scope, fingerprint: Fingerprint) -> Result<Option<CertRecord>, StoreError> {
        self.optional(within(by_fingerprint(fingerprint), scope), certificate).await
    }

    /// The certificate in this row.
    pub async fn certificate_by_id(&self, scope: Scope, id: CertificateId) -> Result<Option<CertRecord>, StoreError> {
        self.optional(within(Query::new(SELECT).with(" AND c.id = ", id), scope), certificate).await
    }

    /// The certificate with this serial; of two issuers that chose the same 96 random bits, the newer one's.
    pub async fn certificate_by_serial(&self, scope: Scope, serial: Serial) -> Result<Option<CertRecord>, StoreError> {
        let query = within(by_serial(serial), scope);
        self.optional(query.text(" ORDER BY c.id DESC LIMIT 1"), certificate).await
    }

    /// Certificates, those that end first on top, at most `limit`.
    pub async fn certificates(
        &self,
        scope: Scope,
        filter: &CertFilter,
        limit: u32,
    ) -> Result<Vec<CertRecord>, StoreError> {
        let mut query = Query::new(SELECT);
        if let Some(customer) = filter.customer {
            query = query.with(" AND c.customer_id = ", customer);
        }
        if let Some(terminal) = filter.terminal {
            query = query.with(" AND c.terminal_id = ", terminal);
        }
        if let Some(time) = filter.ending_before {
            query = query.with(" AND c.not_after < ", time);
        }
        if let Some(time) = filter.ending_from {
            query = query.with(" AND c.not_after >= ", time);
        }
        if let Some((from, before)) = filter.held {
            query = query.with(" AND c.issued_at < ", before).with(" AND c.not_before < ", before);
            query = query.with(" AND c.not_after >= ", from).with(" AND COALESCE(c.revoked_at, c.not_after) >= ", from);
        }
        query = match filter.revoked {
            Some(true) => query.text(" AND c.revoked_at IS NOT NULL"),
            Some(false) => query.text(" AND c.revoked_at IS NULL"),
            None => query,
        };
        self.all(within(query, scope).with(" ORDER BY c.not_after, c.id LIMIT ", limit), certificate).await
    }

    /// All certificates of a terminal, newest end first.
    pub async fn certificates_of_terminal(
        &self,
        scope: Scope,
        terminal: TerminalId,
    ) -> Result<Vec<CertRecord>, StoreError> {
        self.all(within(of_terminal(terminal), scope).text(NEWEST_FIRST), certificate).await
    }

    /// All certificates of a customer's terminals.
    pub async fn certificates_of_customer(
        &self,
        scope: Scope,
        customer: CustomerId,
    ) -> Result<Vec<CertRecord>, StoreError> {
        let query = Query::new(SELECT).with(" AND c.customer_id = ", customer);
        self.all(within(query, scope), certificate).await
    }

    /// The certificate itself.
    pub async fn certificate_der(&self, scope: Scope, id: CertificateId) -> Result<Option<Vec<u8>>, StoreError> {
        let query = Query::new("SELECT c.der FROM certificates c WHERE c.id = $1").bind(id);
        self.optional(within(query, scope), |row| row.blob("der")).await
    }
}

impl Tx {
    /// The certificate with this fingerprint.
    pub async fn certificate(&mut self, fingerprint: Fingerprint) -> Result<Option<CertRecord>, StoreError> {
        self.optional(by_fingerprint(fingerprint), certificate).await
    }

    /// The certificate in this row.
    pub async fn certificate_by_id(&mut self, id: CertificateId) -> Result<Option<CertRecord>, StoreError> {
        self.optional(Query::new(SELECT).with(" AND c.id = ", id), certificate).await
    }

    /// What has to be known before a certificate for a program's key is recorded, by one question. `proof` is the certificate that was
    /// presented. The key's own certificate counts since `since`, the terminal's are counted since `day`.
    pub async fn key_guard(
        &mut self,
        terminal: TerminalId,
        key: KeyHash,
        profile: &str,
        (since, day): (Timestamp, Timestamp),
        proof: Option<CertificateId>,
    ) -> Result<KeyGuard, StoreError> {
        let query = key_guard(terminal, key, profile, (since, day), proof);
        self.optional(query, read_key_guard).await?.ok_or(StoreError::NotFound { what: "terminal" })
    }

    /// All certificates of a terminal, newest end first.
    pub async fn certificates_of_terminal(&mut self, terminal: TerminalId) -> Result<Vec<CertRecord>, StoreError> {
        self.all(of_terminal(terminal).text(NEWEST_FIRST), certificate).await
    }

    /// Records a certificate. A serial or fingerprint that is there already, and a terminal that is not this customer's, are errors.
    pub async fn insert_certificate(&mut self, new: &NewCertificate) -> Result<CertificateId, StoreError> {
        let query = Query::new(
            "INSERT INTO certificates (fingerprint, issuer_id, serial, terminal_id, customer_id, profile, key_kind, not_before, \
             not_after, issued_at, renewed_from, key_hash, der, by_hand, line) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, COALESCE( \
             (SELECT COALESCE(p.line, p.id) FROM certificates p WHERE p.id = $11 AND p.profile = $6), \
             CASE WHEN $14 = 1 THEN (SELECT MIN(COALESCE(o.line, o.id)) FROM certificates o \
             WHERE o.terminal_id = $4 AND o.profile = $6 AND o.by_hand = 1) END)) RETURNING id",
        )
        .bind(new.fingerprint)
        .bind(new.issuer)
        .bind(new.serial)
        .bind(new.terminal)
        .bind(new.customer)
        .bind(&*new.profile)
        .bind(new.key_kind.as_str())
        .bind(new.not_before)
        .bind(new.not_after)
        .bind(new.issued_at)
        .bind(new.renewed_from)
        .bind(new.key)
        .bind(new.der.clone())
        .bind(i64::from(new.by_hand));
        let id = self.one(query, |row| row.int("id").map(CertificateId)).await;
        let named = StoreError::NotFound { what: "terminal of this customer, or issuer, or certificate renewed from" };
        let id = id.map_err(|error| error.if_dangling(named))?;
        // Only an end that an operator chose can be earlier than that of one in use. Of all others the gate need not be told: it takes a
        // certificate that is younger than its picture for one that waits for its first use.
        if new.by_hand && self.settle_superseded(new.terminal).await? {
            self.trust_changed().await?;
        }
        Ok(id)
    }

    /// Notes that a certificate was seen in a handshake. True the first time.
    pub async fn mark_used(&mut self, fingerprint: Fingerprint, now: Timestamp) -> Result<bool, StoreError> {
        let query = Query::new(
            "UPDATE certificates SET used_at = $2 WHERE fingerprint = $1 AND used_at IS NULL RETURNING terminal_id",
        )
        .bind(fingerprint)
        .bind(now);
        let Some(terminal) = self.optional(query, |row| row.terminal("terminal_id")).await? else {
            return match self.certificate(fingerprint).await? {
                Some(_) => Ok(false),
                None => Err(StoreError::NotFound { what: "certificate" }),
            };
        };
        self.settle_superseded(terminal).await?;
        self.trust_changed().await?;
        Ok(true)
    }

    /// Revokes a certificate. False when it was revoked before; the first reason stays.
    pub async fn revoke(
        &mut self,
        certificate: CertificateId,
        at: Timestamp,
        reason: RevocationReason,
    ) -> Result<bool, StoreError> {
        let query = Query::new(
            "UPDATE certificates SET revoked_at = $2, revocation_reason = $3 WHERE id = $1 AND revoked_at IS NULL \
             RETURNING terminal_id",
        )
        .bind(certificate)
        .bind(at)
        .bind(reason.as_str());
        let Some(terminal) = self.optional(query, |row| row.terminal("terminal_id")).await? else {
            return match self.certificate_by_id(certificate).await? {
                Some(_) => Ok(false),
                None => Err(StoreError::NotFound { what: "certificate" }),
            };
        };
        self.settle_superseded(terminal).await?;
        self.trust_changed().await?;
        Ok(true)
    }

    /// Brings the `superseded` marks of a terminal's certificates in line with its rows: one is superseded when another of its line that is
    /// used and not revoked ends later (of two with one end, the later row counts as later). Says whether a mark changed.
    async fn settle_superseded(&mut self, terminal: TerminalId) -> Result<bool, StoreError> {
        let query = Query::new(
            "UPDATE certificates SET superseded = 1 - superseded WHERE terminal_id = $1 AND superseded <> CASE WHEN EXISTS \
             (SELECT 1 FROM certificates n WHERE n.terminal_id = $1 \
             AND COALESCE(n.line, n.id) = COALESCE(certificates.line, certificates.id) \
             AND n.used_at IS NOT NULL AND n.revoked_at IS NULL AND (n.not_after > certificates.not_after \
             OR (n.not_after = certificates.not_after AND n.id > certificates.id))) THEN 1 ELSE 0 END",
        )
        .bind(terminal);
        Ok(self.execute(query).await? > 0)
    }
}
