//! Revoking everything of a customer, or everything that an issuing CA signed. Whoever orders it names how many certificates that are: where
//! the register counts differently, nothing is done. The order is written down first; then certificates are revoked in batches, each with
//! its rows in the log in one transaction, so that the gate, and whoever else writes, never wait for all of them. Each batch works from its
//! commit on. An order that was cut off half-way is simply given again.

use std::collections::HashSet;

use tegata_core::access::{Actor, Privilege, may, may_everywhere};
use tegata_core::audit::{Action, Entry, Outcome};
use tegata_core::cert::{CertRecord, RevocationReason};
use tegata_core::customer::check_name;
use tegata_core::id::{CertificateId, TerminalId};
use tegata_core::recovery::LONGEST_REASON;
use tegata_store::{RevocationTarget, StoreError, Tx};

use crate::terminal::{block, revoke_one};
use crate::{Authority, AuthorityError};

/// Certificates revoked in one transaction: about a tenth of a second's work.
const BATCH: u32 = 200;

/// What is ordered.
#[derive(Clone, Debug)]
pub struct RevocationOrder {
    /// Whose certificates.
    pub target: RevocationTarget,
    /// Why, as revocation lists say it.
    pub reason: RevocationReason,
    /// Why, for people.
    pub because: String,
    /// How many they are, as whoever orders it was told.
    pub count: u32,
}

/// Why nothing was revoked.
#[derive(Debug, thiserror::Error)]
pub enum RevokeAllError {
    /// Not for this actor.
    #[error("only the operator and its CA officers may do this")]
    Forbidden,
    /// The officer's own certificate is among them, and the session would end in the middle.
    #[error("the certificate of the terminal that is being used is among them: do it from the command line")]
    OwnTerminal,
    /// The reason is missing, or cannot be written down.
    #[error("a reason of 1 to {LONGEST_REASON} characters is needed")]
    Because,
    /// It is another number than was said.
    #[error("{now} certificates would be revoked, and not {said}: look again, and name that number")]
    Count {
        /// How many were named.
        said: u32,
        /// How many they are.
        now: u32,
    },
    /// Something inside.
    #[error(transparent)]
    Internal(#[from] AuthorityError),
}

impl From<StoreError> for RevokeAllError {
    fn from(error: StoreError) -> Self {
        Self::Internal(error.into())
    }
}

impl Authority {
    /// How many certificates of a customer or an issuing CA are neither revoked nor past.
    pub async fn revocable(&self, actor: &Actor, target: RevocationTarget) -> Result<u32, AuthorityError> {
        Ok(self.0.reader.revocable(actor.scope(), target, self.now()).await?)
    }

    /// Revokes all of them; says how many. With `key-compromise`, their terminals are not recovered by anybody any more.
    pub async fn revoke_all(&self, actor: &Actor, order: RevocationOrder) -> Result<u32, RevokeAllError> {
        let RevocationOrder { target, reason, because, count } = order;
        let permitted = match target {
            RevocationTarget::Customer(customer) => may(actor, Privilege::Revoke, customer),
            RevocationTarget::Issuer(_) => may_everywhere(actor, Privilege::Revoke),
        };
        if !permitted {
            return Err(RevokeAllError::Forbidden);
        }
        let because = because.trim().to_owned();
        check_name(&because, LONGEST_REASON).map_err(|_| RevokeAllError::Because)?;
        self.spare_the_own_terminal(actor, target).await?;
        self.write_order(actor, target, (reason, &because, count)).await?;
        // Whoever ordered it may go away meanwhile; that does not stop it half-way.
        let (authority, actor) = (self.clone(), actor.clone());
        let work = tokio::spawn(async move { authority.revoke_batches(&actor, target, reason).await });
        work.await.map_err(|_| StoreError::Closed)?
    }

    async fn revoke_batches(
        &self,
        actor: &Actor,
        target: RevocationTarget,
        reason: RevocationReason,
    ) -> Result<u32, RevokeAllError> {
        let (mut after, mut revoked) = (CertificateId(0), 0);
        loop {
            let (last, done) = self.revoke_batch(actor, target, reason, after).await?;
            revoked += done;
            match last {
                Some(last) => after = last,
                None => break,
            }
        }
        self.forget_on_disk().await;
        Ok(revoked)
    }

    async fn spare_the_own_terminal(&self, actor: &Actor, target: RevocationTarget) -> Result<(), RevokeAllError> {
        let Actor::User { terminal, customer, .. } = actor else { return Ok(()) };
        let own = match target {
            RevocationTarget::Customer(target) => target == *customer,
            RevocationTarget::Issuer(issuer) => {
                let all = self.0.reader.certificates_of_terminal(actor.scope(), *terminal).await?;
                let counts = |cert: &CertRecord| cert.revoked.is_none() && cert.not_after >= self.now();
                all.iter().any(|cert| cert.issuer == issuer && counts(cert))
            }
        };
        if own { Err(RevokeAllError::OwnTerminal) } else { Ok(()) }
    }

    /// The order itself, in the log before anything is done; refused where another number was named.
    async fn write_order(
        &self,
        actor: &Actor,
        target: RevocationTarget,
        (reason, because, said): (RevocationReason, &str, u32),
    ) -> Result<(), RevokeAllError> {
        let (customer, whose) = match target {
            RevocationTarget::Customer(customer) => (Some(customer), customer.to_string()),
            RevocationTarget::Issuer(issuer) => (None, format!("issuer {issuer}")),
        };
        let entry = Entry {
            at: self.now(),
            actor: actor.clone(),
            customer,
            terminal: None,
            serial: None,
            action: Action::RevocationOrdered,
            outcome: Outcome::Done,
            detail: format!("all {said} of {whose}, {}: {because}", reason.as_str()),
        };
        let write = self.0.store.write(move |tx| {
            Box::pin(async move {
                let now = tx.revocable(target, entry.at).await?;
                if now != said {
                    return Err(RevokeAllError::Count { said, now });
                }
                // Terminals without a certificate that counts have no turn of their own below: a code for one of them opens nothing either.
                if let RevocationTarget::Customer(customer) = target {
                    tx.end_all_of_customer(customer).await?;
                    if reason == RevocationReason::KeyCompromise {
                        tx.block_terminals_of(customer, entry.at).await?;
                    }
                }
                tx.append_audit(&entry).await?;
                Ok(())
            })
        });
        write.await
    }

    /// One batch; says after which certificate the next one begins, and how many were revoked.
    async fn revoke_batch(
        &self,
        actor: &Actor,
        target: RevocationTarget,
        reason: RevocationReason,
        after: CertificateId,
    ) -> Result<(Option<CertificateId>, u32), RevokeAllError> {
        let (now, actor) = (self.now(), actor.clone());
        let write = self.0.store.write(move |tx| {
            Box::pin(async move {
                let entry = |cert: &CertRecord, action, detail: &str| Entry {
                    at: now,
                    actor: actor.clone(),
                    customer: Some(cert.customer),
                    terminal: Some(cert.terminal),
                    serial: None,
                    action,
                    outcome: Outcome::Done,
                    detail: detail.to_owned(),
                };
                let batch = tx.revocable_after(target, now, after, BATCH).await?;
                let (mut ended, mut revoked) = (HashSet::new(), 0);
                for cert in &batch {
                    let why = entry(cert, Action::CertificateRevoked, reason.as_str());
                    let erased = entry(cert, Action::BundleErased, "revoked");
                    revoked += u32::from(revoke_one(tx, cert, reason, (&why, &erased)).await?);
                    if ended.insert(cert.terminal) {
                        end_what_hangs_on_it(tx, cert.terminal).await?;
                        if reason == RevocationReason::KeyCompromise {
                            revoked += u32::try_from(block(tx, cert.terminal, reason, (&why, &erased)).await?.len())
                                .unwrap_or(0);
                        }
                    }
                }
                Ok((batch.last().map(|cert| cert.id), revoked))
            })
        });
        write.await
    }
}

/// Logins, codes and invitations of a terminal whose certificates are all taken away.
async fn end_what_hangs_on_it(tx: &mut Tx, terminal: TerminalId) -> Result<(), StoreError> {
    tx.delete_sessions_of(terminal).await?;
    tx.end_invitations(terminal).await?;
    tx.end_recovery(terminal).await.map(|_| ())
}
