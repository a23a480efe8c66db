//! What the operator sets for single customers. It is read where it matters, at the moment when it matters, so that a change needs no restart.

use tegata_core::access::{Actor, Privilege, may};
use tegata_core::audit::{Action, Entry, Outcome};
use tegata_core::customer::CustomerSettings;
use tegata_core::id::CustomerId;
use tegata_store::StoreError;

use crate::Authority;

/// Why nothing was set.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// Not for this actor.
    #[error("only the operator and its CA officers may do this")]
    Forbidden,
    /// The register.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The settings in the words of the log.
fn told(settings: &CustomerSettings) -> String {
    let most = settings.most_terminals.map_or("any number of".to_owned(), |most| format!("at most {most}"));
    let old = if settings.old_programs { "on" } else { "off" };
    format!("{most} terminals, old programs {old}")
}

impl Authority {
    /// Sets what holds for a customer from now on. Terminals beyond a new limit stay; no further one is registered.
    pub async fn set_customer(
        &self,
        actor: &Actor,
        customer: CustomerId,
        settings: CustomerSettings,
    ) -> Result<(), SettingsError> {
        if !may(actor, Privilege::Customers, customer) {
            return Err(SettingsError::Forbidden);
        }
        let entry = Entry {
            at: self.now(),
            actor: actor.clone(),
            customer: Some(customer),
            terminal: None,
            serial: None,
            action: Action::CustomerSet,
            outcome: Outcome::Done,
            detail: told(&settings),
        };
        let write = self.0.store.write(move |tx| {
            Box::pin(async move {
                if tx.customer_settings(customer).await? == settings {
                    return Ok(()); // nothing changes, nothing is said
                }
                tx.set_customer_settings(customer, &settings).await?;
                tx.append_audit(&entry).await?;
                Ok(())
            })
        });
        write.await
    }
}
