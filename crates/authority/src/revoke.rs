//! Revoking: from the commit on, the certificate opens nothing, and what waited with it is forgotten.

use tegata_core::access::{Actor, Privilege, may};
use tegata_core::audit::Action;
use tegata_core::cert::{CertRecord, RevocationReason};
use tegata_core::id::{CertificateId, Serial};
use tegata_store::StoreError;

use crate::Authority;
use crate::terminal::{block, revoke_one};

/// Why nothing was revoked.
#[derive(Debug, thiserror::Error)]
pub enum RevokeError {
    /// Not for this actor.
    #[error("only the operator and its CA officers may do this")]
    Forbidden,
    /// It was revoked before.
    #[error("the certificate is revoked already")]
    Already,
    /// The register.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Authority {
    /// Revokes a certificate, and erases the bundle it may wait in. Where the key may be in other hands, whatever was renewed from it is
    /// revoked too, so is the agent of its terminal with all that it fetched (it would replace the certificate
    /// without anybody), and the terminal's logins and invitations end: whoever had the key may have made them. Codes that were used end for
    /// every reason. Returns what was revoked.
    pub async fn revoke(
        &self,
        actor: &Actor,
        certificate: &CertRecord,
        reason: RevocationReason,
    ) -> Result<Vec<Serial>, RevokeError> {
        if !may(actor, Privilege::Revoke, certificate.customer) {
            return Err(RevokeError::Forbidden);
        }
        let place = (certificate.customer, certificate.terminal);
        let revoked = self.entry(actor, place, Action::CertificateRevoked, reason.as_str());
        let erased = self.entry(actor, place, Action::BundleErased, "revoked");
        let (id, terminal) = (certificate.id, certificate.terminal);
        let agent = self.0.rules.agent_profile.as_ref().map(|profile| profile.name.clone());
        let write = self.0.store.write(move |tx| {
            Box::pin(async move {
                let all = tx.certificates_of_terminal(terminal).await?;
                let compromised = reason == RevocationReason::KeyCompromise;
                let mut serials = Vec::new();
                let concerned = |cert: &CertRecord| {
                    let is_agent = |cert: &CertRecord| agent.as_ref() == Some(&cert.profile);
                    let by_agent = all.iter().any(|other| is_agent(other) && comes_from(cert, other.id, &all));
                    cert.id == id || compromised && (comes_from(cert, id, &all) || is_agent(cert) || by_agent)
                };
                for cert in all.iter().filter(|cert| concerned(cert)) {
                    if revoke_one(tx, cert, reason, (&revoked, &erased)).await? {
                        serials.push(cert.serial);
                    } else if cert.id == id {
                        return Err(RevokeError::Already);
                    }
                }
                tx.end_recovery(terminal).await?;
                if compromised {
                    serials.extend(block(tx, terminal, reason, (&revoked, &erased)).await?);
                    tx.delete_sessions_of(terminal).await?;
                    tx.end_invitations(terminal).await?;
                } else {
                    tx.end_used_invitations(terminal).await?;
                }
                Ok(serials)
            })
        });
        let serials = write.await?;
        self.forget_on_disk().await;
        Ok(serials)
    }
}

/// Whether a certificate was renewed from another one, directly or by steps.
fn comes_from(cert: &CertRecord, ancestor: CertificateId, all: &[CertRecord]) -> bool {
    let mut from = cert.renewed_from;
    // Each step leads to an older row, so this ends.
    while let Some(id) = from {
        if id == ancestor {
            return true;
        }
        from =
            all.iter().find(|other| other.id == id).and_then(|other| other.renewed_from.filter(|next| next.0 < id.0));
    }
    false
}
