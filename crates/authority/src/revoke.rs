//! Revoking: from the commit on, the certificate opens nothing, and what waited with it is forgotten.

use tegata_core::access::Actor;
use tegata_core::audit::Action;
use tegata_core::cert::{CertRecord, RevocationReason};
use tegata_store::StoreError;

use crate::{Authority, about};

/// Why nothing was revoked.
#[derive(Debug, thiserror::Error)]
pub enum RevokeError {
    /// Not an operator.
    #[error("only an operator may do this")]
    Forbidden,
    /// It was revoked before.
    #[error("the certificate is revoked already")]
    Already,
    /// The register.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Authority {
    /// Revokes a certificate, and erases the bundle it may wait in.
    pub async fn revoke(
        &self,
        actor: &Actor,
        certificate: &CertRecord,
        reason: RevocationReason,
    ) -> Result<(), RevokeError> {
        if !matches!(actor, Actor::Operator { .. }) {
            return Err(RevokeError::Forbidden);
        }
        let place = (certificate.customer, certificate.terminal);
        let entry = about(self.entry(actor, place, Action::CertificateRevoked, reason.as_str()), certificate.serial);
        let erased = about(self.entry(actor, place, Action::BundleErased, "revoked"), certificate.serial);
        let id = certificate.id;
        let write = self.0.store.write(move |tx| {
            Box::pin(async move {
                if !tx.revoke(id, entry.at, reason).await? {
                    return Err(RevokeError::Already);
                }
                tx.append_audit(&entry).await?;
                if tx.erase_bundle(id, erased.at).await? {
                    tx.append_audit(&erased).await?;
                }
                Ok(())
            })
        });
        write.await?;
        self.forget_on_disk().await;
        Ok(())
    }
}
