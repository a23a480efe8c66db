//! What happens to a terminal in its life, by its customer's administrator or the operator: another name, the end of its service, and its
//! loss. From the commit on, a terminal that is out of service or lost opens nothing; a lost one is never recovered.

use tegata_core::access::{Actor, administers};
use tegata_core::audit::{Action, Entry};
use tegata_core::cert::RevocationReason;
use tegata_core::customer::check_name;
use tegata_core::id::{Serial, TerminalId};
use tegata_core::recovery::LONGEST_REASON;
use tegata_core::terminal::{LONGEST_NOTE, Terminal};
use tegata_store::{StoreError, Tx};

use crate::{Authority, AuthorityError, about, where_one_sits};

/// The longest name of a terminal, in characters.
pub(crate) const LONGEST_NAME: usize = 40;

/// Why a terminal stays as it is.
#[derive(Debug, thiserror::Error)]
pub enum TerminalError {
    /// Not for this actor.
    #[error("only the operator and the customer's administrators may do this")]
    Forbidden,
    /// The terminal at which the administrator sits: who takes it away could not go on.
    #[error("this is the terminal that is being used: do it from another one")]
    InUse,
    /// The name cannot be used.
    #[error("a terminal's name has 1 to {LONGEST_NAME} characters")]
    Name,
    /// What is written about it cannot be written down.
    #[error("what is written about a terminal has at most {LONGEST_NOTE} characters, none of them invisible")]
    Note,
    /// The reason is missing, or cannot be written down.
    #[error("a reason of 1 to {LONGEST_REASON} characters is needed")]
    Reason,
    /// It is out of service already.
    #[error("the terminal is out of service already")]
    Retired,
    /// Something inside.
    #[error(transparent)]
    Internal(#[from] AuthorityError),
}

impl From<StoreError> for TerminalError {
    fn from(error: StoreError) -> Self {
        Self::Internal(error.into())
    }
}

impl Authority {
    /// Calls a terminal something else. Its certificates stay as they are: they carry its number, not its name.
    pub async fn rename_terminal(&self, actor: &Actor, terminal: &Terminal, name: &str) -> Result<(), TerminalError> {
        if !administers(actor, terminal.customer) {
            return Err(TerminalError::Forbidden);
        }
        let name = name.trim().to_owned();
        check_name(&name, LONGEST_NAME).map_err(|_| TerminalError::Name)?;
        if name == terminal.name {
            return Ok(());
        }
        let place = (terminal.customer, terminal.id);
        let entry = self.entry(actor, place, Action::TerminalRenamed, format!("{} -> {name}", terminal.name));
        let id = terminal.id;
        let write = self.0.store.write(move |tx| {
            Box::pin(async move {
                tx.rename_terminal(id, &name).await?;
                tx.append_audit(&entry).await.map(|_| ())
            })
        });
        Ok(write.await?)
    }

    /// Takes a terminal out of service for good: all its certificates are revoked (`cessation-of-operation`), what waits for it is
    /// forgotten. Says which were revoked.
    pub async fn retire_terminal(
        &self,
        actor: &Actor,
        terminal: &Terminal,
        reason: &str,
    ) -> Result<Vec<Serial>, TerminalError> {
        if terminal.retired_at.is_some() {
            return Err(TerminalError::Retired);
        }
        self.end(actor, terminal, reason, (Action::TerminalRetired, RevocationReason::CessationOfOperation)).await
    }

    /// A terminal is lost or stolen: all its certificates are revoked (`key-compromise`), expired ones too, so that nobody recovers it; its
    /// logins, codes and waiting bundles end. Says which were revoked.
    pub async fn report_lost(
        &self,
        actor: &Actor,
        terminal: &Terminal,
        reason: &str,
    ) -> Result<Vec<Serial>, TerminalError> {
        self.end(actor, terminal, reason, (Action::TerminalLost, RevocationReason::KeyCompromise)).await
    }

    async fn end(
        &self,
        actor: &Actor,
        terminal: &Terminal,
        reason: &str,
        (action, why): (Action, RevocationReason),
    ) -> Result<Vec<Serial>, TerminalError> {
        if !administers(actor, terminal.customer) {
            return Err(TerminalError::Forbidden);
        }
        let sits_at = match actor {
            Actor::User { terminal, .. } => Some(*terminal),
            Actor::Program(program) => Some(program.terminal),
            _ => None,
        };
        if sits_at == Some(terminal.id) {
            return Err(TerminalError::InUse);
        }
        let reason = reason.trim();
        check_name(reason, LONGEST_REASON).map_err(|_| TerminalError::Reason)?;
        let place = (terminal.customer, terminal.id);
        let ended = self.entry(actor, place, action, reason);
        let there = where_one_sits(&ended, format!("{} {}: {reason}", terminal.client, terminal.name));
        let revoked = self.entry(actor, place, Action::CertificateRevoked, why.as_str());
        let erased = self.entry(actor, place, Action::BundleErased, "revoked");
        let id = terminal.id;
        let write = self.0.store.write(move |tx| {
            Box::pin(async move {
                if action == Action::TerminalRetired && !tx.retire_terminal(id, ended.at).await? {
                    return Err(TerminalError::Retired);
                }
                tx.append_audit(&ended).await?;
                if let Some(there) = there {
                    tx.append_audit(&there).await?;
                }
                tx.delete_sessions_of(id).await?;
                tx.end_invitations(id).await?;
                tx.end_recovery(id).await?;
                let mut serials = Vec::new();
                if why == RevocationReason::KeyCompromise {
                    serials = block(tx, id, why, (&revoked, &erased)).await?;
                }
                for cert in tx.certificates_of_terminal(id).await? {
                    if revoke_one(tx, &cert, why, (&revoked, &erased)).await? {
                        serials.push(cert.serial);
                    }
                }
                Ok(serials)
            })
        });
        let serials = write.await?;
        self.forget_on_disk().await;
        Ok(serials)
    }
}

/// The key of a terminal may be in other hands: nobody recovers it any more, and what waits to be fetched for it is revoked and forgotten,
/// since whoever had the key may have asked for it. So is what waits because of help that was begun there for other terminals.
pub(crate) async fn block(
    tx: &mut Tx,
    terminal: TerminalId,
    why: RevocationReason,
    (revoked, erased): (&Entry, &Entry),
) -> Result<Vec<Serial>, StoreError> {
    tx.block_terminal(terminal, Some(revoked.at)).await?;
    let mut serials = Vec::new();
    let helped = tx.end_recoveries_from(terminal).await?;
    for concerned in std::iter::once(terminal).chain(helped) {
        let Some(row) = tx.open_bundle(concerned, revoked.at).await? else { continue };
        let at = |entry: &Entry| Entry { terminal: Some(concerned), ..entry.clone() };
        if revoke_one(tx, &row.certificate, why, (&at(revoked), &at(erased))).await? {
            serials.push(row.certificate.serial);
        }
    }
    Ok(serials)
}

/// Revokes a certificate and erases the bundle it may wait in, each with its row in the log. False when it was revoked before.
pub(crate) async fn revoke_one(
    tx: &mut Tx,
    cert: &tegata_core::cert::CertRecord,
    why: RevocationReason,
    (revoked, erased): (&Entry, &Entry),
) -> Result<bool, StoreError> {
    if !tx.revoke(cert.id, revoked.at, why).await? {
        return Ok(false);
    }
    tx.append_audit(&about(revoked.clone(), cert.serial)).await?;
    if tx.erase_bundle(cert.id, erased.at).await? {
        tx.append_audit(&about(erased.clone(), cert.serial)).await?;
    }
    Ok(true)
}
