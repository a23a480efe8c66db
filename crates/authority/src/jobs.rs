//! What the service does by itself, at start and every few minutes: forgetting what has lapsed.

use std::sync::atomic::Ordering;

use tegata_core::access::Actor;
use tegata_core::audit::{Action, Entry, Outcome};
use tegata_core::time::Timestamp;
use tegata_store::{StoreError, Tx};

use crate::{Authority, AuthorityError};

/// Erases every bundle whose days are over, each with its row in the operation log.
pub(crate) async fn erase_lapsed(tx: &mut Tx, now: Timestamp) -> Result<usize, StoreError> {
    let lapsed = tx.erase_lapsed_bundles(now).await?;
    for bundle in &lapsed {
        let entry = Entry {
            at: now,
            actor: Actor::System { job: "sweep" },
            customer: Some(bundle.customer),
            terminal: Some(bundle.terminal),
            serial: Some(bundle.serial),
            action: Action::BundleErased,
            outcome: Outcome::Done,
            detail: "its days are over".into(),
        };
        tx.append_audit(&entry).await?;
    }
    Ok(lapsed.len())
}

/// Ends the help for locked-out terminals whose time is over, each with its row in the operation log.
async fn end_lapsed_recoveries(tx: &mut Tx, now: Timestamp) -> Result<(), StoreError> {
    for (customer, terminal) in tx.forget_lapsed_recoveries(now).await? {
        let entry = Entry {
            at: now,
            actor: Actor::System { job: "sweep" },
            customer: Some(customer),
            terminal: Some(terminal),
            serial: None,
            action: Action::RecoveryLapsed,
            outcome: Outcome::Done,
            detail: "its time is over".into(),
        };
        tx.append_audit(&entry).await?;
    }
    Ok(())
}

impl Authority {
    /// Erases keys and passwords of bundles whose days are over, and drops ended sessions and old login failures. Returns how many bundles
    /// were erased.
    pub async fn sweep(&self) -> Result<usize, AuthorityError> {
        self.0.login_limit.retain_recent();
        self.0.code_limit.retain_recent();
        self.0.api_key_limit.retain_recent();
        self.0.recovery_limit.retain_recent();
        self.0.order_limit.retain_recent();
        let now = self.now();
        let write = self.0.store.write(move |tx| {
            Box::pin(async move {
                let erased = erase_lapsed(tx, now).await?;
                tx.delete_expired_sessions(now).await?;
                tx.forget_failures(now.plus_seconds(-86_400)).await?;
                tx.forget_lapsed_invitations(now).await?;
                end_lapsed_recoveries(tx, now).await?;
                crate::notify::forget(tx, now).await?;
                tx.forget_api_requests(now).await?;
                Ok::<_, StoreError>(erased)
            })
        });
        let erased = write.await?;
        if erased > 0 || self.0.on_disk.load(Ordering::Relaxed) {
            self.forget_on_disk().await;
        }
        Ok(erased)
    }

    /// What was erased in the register must also leave the journal beside it. A reader may be in the way; then the next sweep, or
    /// closing, does it.
    pub(crate) async fn forget_on_disk(&self) {
        let done = self.0.store.checkpoint().await;
        self.0.on_disk.store(!matches!(done, Ok(true)), Ordering::Relaxed);
        match done {
            Ok(true) => {}
            Ok(false) => tracing::debug!("the journal could not be emptied now"),
            Err(error) => tracing::warn!(%error, "the journal could not be emptied"),
        }
    }
}
