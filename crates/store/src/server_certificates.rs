//! Certificates of our own listeners and OCSP responders: every certificate that an issuing CA signs has its row.

use tegata_core::id::{IssuerId, Serial};
use tegata_core::schedule::Validity;
use tegata_core::time::Timestamp;

use crate::db::Query;
use crate::{StoreError, Tx};

/// A listener's certificate to be registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewServerCertificate {
    /// Who signed it.
    pub issuer: IssuerId,
    /// Its serial.
    pub serial: Serial,
    /// The names it is for, separated by spaces; `ocsp` for a responder.
    pub hosts: String,
    /// From when to when.
    pub validity: Validity,
    /// Now.
    pub issued_at: Timestamp,
    /// The certificate itself.
    pub der: Vec<u8>,
}

impl Tx {
    /// Registers a listener's certificate.
    pub async fn insert_server_certificate(&mut self, new: &NewServerCertificate) -> Result<(), StoreError> {
        let query = Query::new(
            "INSERT INTO server_certificates (issuer_id, serial, hosts, not_before, not_after, issued_at, der) \
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(new.issuer)
        .bind(new.serial)
        .bind(&*new.hosts)
        .bind(new.validity.not_before)
        .bind(new.validity.not_after)
        .bind(new.issued_at)
        .bind(new.der.clone());
        let named = StoreError::NotFound { what: "issuer" };
        self.execute(query).await.map_err(|error| error.if_dangling(named)).map(|_| ())
    }
}
