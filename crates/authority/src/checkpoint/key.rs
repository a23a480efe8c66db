//! The key that signs checkpoints: made once, kept sealed, replaced visibly. What lies on disk changes in steps, each of which can be the last
//! before a crash; the next start finishes or forgets what it finds.

use std::fs;
use std::path::Path;

use tegata_core::access::Actor;
use tegata_core::audit::{Action, Entry, Outcome};
use tegata_core::id::Fingerprint;
use tegata_core::secret::Entropy;
use tegata_core::time::{Clock, Timestamp};
use tegata_pki::checkpoint::Kind;
use tegata_pki::signer::{Curve, Signer, SoftwareSigner};
use tegata_store::{LogKeyRow, Store};

use super::{Checkpoint, CheckpointError, insert};
use crate::custody::{self, CustodyError, Passphrase, Sealed};
use crate::rollover::{self, NEXT};

/// How a key is named: SHA-256 of its SubjectPublicKeyInfo.
pub fn key_name(spki: &[u8]) -> Fingerprint {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, spki);
    Fingerprint(digest.as_ref().try_into().expect("SHA-256 gives 32 bytes"))
}

/// The key that signs. Where the log has none yet, one is made: sealed first, then named in the register, with its row in the log.
pub async fn ready(
    store: &Store,
    keys: &Path,
    pass: &Passphrase,
    clock: &dyn Clock,
    entropy: &dyn Entropy,
) -> Result<SoftwareSigner, CheckpointError> {
    let there = |folder: &Path| folder.join(Sealed::Log.file_name()).exists();
    // Mostly there is nothing to write, and the folder may well be one that this process cannot write to.
    let _alone = match there(&keys.join(NEXT)) || !there(keys) {
        true => Some(rollover::lock(keys).await?),
        false => None,
    };
    settle(store, keys, pass).await?;
    let (known, sealed) = (current(store).await?, there(keys));
    let signer = match (&known, sealed) {
        (_, true) => SoftwareSigner::from_pkcs8(custody::open(keys, Sealed::Log, pass)?.expose())?,
        (Some(_), false) => return Err(CheckpointError::NoKey),
        (None, false) => {
            let (signer, pkcs8) = SoftwareSigner::generate(Curve::P256)?;
            custody::seal(keys, Sealed::Log, pkcs8.expose(), pass, entropy)?;
            signer
        }
    };
    match known {
        Some(known) if known.spki != signer.public_key_der() => Err(CheckpointError::OtherKey(key_name(&known.spki))),
        Some(_) => Ok(signer),
        None => introduce(store, signer, clock.now()).await,
    }
}

/// Names the first key in the register. Another node may have been faster; then the key made here is worth nothing.
async fn introduce(store: &Store, signer: SoftwareSigner, now: Timestamp) -> Result<SoftwareSigner, CheckpointError> {
    let spki = signer.public_key_der().to_vec();
    let write = store.write(move |tx| {
        Box::pin(async move {
            match tx.log_state().await?.key {
                Some(known) if known.spki != spki => return Err(CheckpointError::OtherKey(key_name(&known.spki))),
                Some(_) => return Ok(()),
                None => {}
            }
            tx.insert_log_key(&spki, now).await?;
            let actor = Actor::System { job: "checkpoint" };
            tx.append_audit(&entry(actor, Action::LogKeyMade, &spki, now)).await?;
            Ok(())
        })
    });
    write.await?;
    Ok(signer)
}

/// Makes another key take the place of the one that signs. The last thing that the old one signs is the new one's name; then it is gone. A
/// server that runs has to be started again to sign with the new one.
pub async fn replace(
    store: &Store,
    keys: &Path,
    pass: &Passphrase,
    actor: &Actor,
    clock: &dyn Clock,
    entropy: &dyn Entropy,
) -> Result<Checkpoint, CheckpointError> {
    let old = ready(store, keys, pass, clock, entropy).await?;
    let _alone = rollover::lock(keys).await?;
    settle(store, keys, pass).await?;
    let next = keys.join(NEXT);
    fs::create_dir_all(&next).map_err(rollover::at(&next))?;
    let (signer, pkcs8) = SoftwareSigner::generate(Curve::P256)?;
    custody::seal(&next, Sealed::Log, pkcs8.expose(), pass, entropy)?;
    let (spki, now) = (signer.public_key_der().to_vec(), clock.now());
    let entry = entry(actor.clone(), Action::LogKeyReplaced, &spki, now);
    let write = store.write(move |tx| {
        Box::pin(async move {
            tx.append_audit(&entry).await?;
            let state = tx.log_state().await?;
            let made = insert(tx, &state, Kind::Key { next: spki.clone() }, &old, now).await?;
            tx.insert_log_key(&spki, now).await?;
            Ok::<_, CheckpointError>(made)
        })
    });
    let made = write.await?;
    settle(store, keys, pass).await?;
    Ok(made)
}

/// Puts a key that the register names into its place, and forgets one that it does not.
async fn settle(store: &Store, keys: &Path, pass: &Passphrase) -> Result<(), CheckpointError> {
    let (folder, name) = (keys.join(NEXT), Sealed::Log.file_name());
    if !folder.join(name).exists() {
        return Ok(());
    }
    let next = match custody::open(&folder, Sealed::Log, pass) {
        Ok(next) => Some(SoftwareSigner::from_pkcs8(next.expose())?),
        // Cut off when the machine went down: the register came later.
        Err(CustodyError::Broken { .. }) => None,
        Err(error) => return Err(error.into()),
    };
    let known = current(store).await?.map(|known| known.spki);
    match next.filter(|next| known.as_deref() == Some(next.public_key_der())) {
        Some(_) => rollover::replace(&folder.join(name), &keys.join(name))?,
        None => rollover::remove(&folder.join(name))?,
    }
    Ok(())
}

async fn current(store: &Store) -> Result<Option<LogKeyRow>, CheckpointError> {
    Ok(store.reader().log_keys(Actor::System { job: "checkpoint" }.scope()).await?.pop())
}

fn entry(actor: Actor, action: Action, spki: &[u8], now: Timestamp) -> Entry {
    Entry {
        at: now,
        actor,
        customer: None,
        terminal: None,
        serial: None,
        action,
        outcome: Outcome::Done,
        detail: format!("SHA-256 {}", key_name(spki)),
    }
}
