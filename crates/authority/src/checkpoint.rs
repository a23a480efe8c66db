//! Checkpoints of the operation log: from time to time, a key of its own signs where the chain of hashes stands. They are rows of the register
//! and, where the operator names one, lines of a file elsewhere: what was signed there cannot be written anew here without showing.
//!
//! The key is sealed beside the others (`log.sealed`). It is no CA's key, issues nothing, and can be replaced at any time: the old key signs
//! its successor's name. What is signed, octet by octet: [`tegata_pki::checkpoint`].

mod file;
mod key;
mod line;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use tegata_core::access::Actor;
use tegata_core::audit::CheckpointRules;
use tegata_core::id::Fingerprint;
use tegata_core::secret::Entropy;
use tegata_core::time::Clock;
use tegata_pki::checkpoint::{self, Kind, Statement};
use tegata_pki::signer::{SignError, Signer, SoftwareSigner};
use tegata_store::{CheckpointRow, LogState, Store, StoreError, Tx};

use crate::custody::{CustodyError, Passphrase};

pub use file::{PublishError, Published, publish};
pub use key::{key_name, ready, replace};
pub use line::{Checkpoint, LineError};

/// Why the log is not signed.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The register.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The key's file.
    #[error(transparent)]
    Custody(#[from] CustodyError),
    /// The key.
    #[error(transparent)]
    Key(#[from] SignError),
    /// The key is not on this machine.
    #[error(
        "the key of the operation log is not here: copy log.sealed from the node that has it, or from the backup, into the key folder"
    )]
    NoKey,
    /// The key's file holds another key than the register names.
    #[error(
        "log.sealed holds another key than the one that signs the operation log ({0}): copy that one from the node that has it, and start the server again"
    )]
    OtherKey(Fingerprint),
    /// There are no rows.
    #[error("the operation log is empty")]
    Empty,
}

/// Signs the log while the service runs.
pub struct Checkpoints {
    store: Store,
    log_key: Arc<SoftwareSigner>,
    clock: Arc<dyn Clock>,
    rules: CheckpointRules,
    file: Option<PathBuf>,
    /// What went wrong with the file last, so that it is not said every minute.
    complaint: Mutex<String>,
}

impl Checkpoints {
    /// Opens the key, or makes it where the log has none yet. `file` is where each checkpoint goes as a line, too.
    pub async fn open(
        store: Store,
        (keys, pass): (&Path, &Passphrase),
        (clock, entropy): (Arc<dyn Clock>, &dyn Entropy),
        rules: CheckpointRules,
        file: Option<PathBuf>,
    ) -> Result<Self, CheckpointError> {
        let log_key = Arc::new(ready(&store, keys, pass, &*clock, entropy).await?);
        Ok(Self { store, log_key, clock, rules, file, complaint: Mutex::default() })
    }

    /// Signs when it is due, and brings the file in step.
    pub async fn tend(&self) -> Result<Option<Checkpoint>, CheckpointError> {
        self.sign_if(Some(self.rules)).await
    }

    /// Signs now, unless nothing was written since the last one; brings the file in step.
    pub async fn close(&self) -> Result<Option<Checkpoint>, CheckpointError> {
        self.sign_if(None).await
    }

    async fn sign_if(&self, rules: Option<CheckpointRules>) -> Result<Option<Checkpoint>, CheckpointError> {
        let signed = sign_head(&self.store, &self.log_key, &*self.clock, rules).await;
        self.publish().await;
        signed
    }

    /// A file that cannot be written keeps nothing from being signed: the register has every line, and the next try writes what is missing.
    async fn publish(&self) {
        let Some(file) = &self.file else { return };
        let said = publish(&self.store.reader(), file).await.err().map(|error| error.to_string()).unwrap_or_default();
        let mut complaint = self.complaint.lock().unwrap_or_else(PoisonError::into_inner);
        if !said.is_empty() && said != *complaint {
            tracing::error!(file = %file.display(), error = said, "the file of checkpoints is not in step with the operation log");
        }
        *complaint = said;
    }
}

/// Signs where the log stands, when the rules say so (without rules: when anything was written since the last checkpoint).
pub async fn sign_head(
    store: &Store,
    signer: &Arc<SoftwareSigner>,
    clock: &dyn Clock,
    rules: Option<CheckpointRules>,
) -> Result<Option<Checkpoint>, CheckpointError> {
    let (signer, now) = (Arc::clone(signer), clock.now());
    let is_due = move |state: &LogState| {
        let since = state.last.as_ref().map_or(0, |last| last.head.sequence);
        let grown = state.head.sequence - since;
        let last = state.last.as_ref().map(|last| last.at);
        rules.map_or(grown > 0, |rules| rules.is_due(grown, last, now))
    };
    // A look first, so that mostly nobody's turn to write is taken.
    let (reader, scope) = (store.reader(), Actor::System { job: "checkpoint" }.scope());
    let (head, last) = (reader.audit_head(scope).await?, reader.last_checkpoint(scope).await?);
    if !is_due(&LogState { log: Fingerprint(head.hash), head, last, key: None }) {
        return Ok(None);
    }
    let write = store.write(move |tx| {
        Box::pin(async move {
            let state = tx.log_state().await?;
            // Another node, or a command, may have been faster.
            if !is_due(&state) { Ok(None) } else { insert(tx, &state, Kind::Head, &signer, now).await.map(Some) }
        })
    });
    write.await
}

/// Signs a statement about the log as this transaction sees it, and keeps it.
async fn insert(
    tx: &mut Tx,
    state: &LogState,
    kind: Kind,
    signer: &SoftwareSigner,
    now: tegata_core::time::Timestamp,
) -> Result<Checkpoint, CheckpointError> {
    match &state.key {
        Some(key) if key.spki == signer.public_key_der() => {}
        Some(key) => return Err(CheckpointError::OtherKey(key_name(&key.spki))),
        None => return Err(CheckpointError::NoKey),
    }
    if state.head.sequence == 0 {
        return Err(CheckpointError::Empty);
    }
    let statement = Statement {
        log: state.log,
        number: state.last.as_ref().map_or(0, |last| last.number) + 1,
        kind,
        rows: state.head.sequence,
        head: Fingerprint(state.head.hash),
        at: now,
    };
    let signature = checkpoint::sign(&statement, signer)?;
    let made = Checkpoint { key: key_name(signer.public_key_der()), signature, statement };
    let Statement { number, kind, at, .. } = &made.statement;
    let kind = kind.as_str().to_owned();
    let row = CheckpointRow { number: *number, kind, head: state.head, at: *at, line: made.line() };
    tx.insert_checkpoint(&row).await?;
    Ok(made)
}
