//! Replacing the issuing CA: the root signs a new one, new certificates come from it, and the old one's go on counting until they expire.
//! What lies on disk changes in steps, each of which can be the last before a crash; the next start finishes or forgets what it finds.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use tegata_core::access::Actor;
use tegata_core::audit::{Action, Entry, Outcome};
use tegata_core::schedule::Validity;
use tegata_core::secret::Entropy;
use tegata_core::time::Clock;
use tegata_pki::issue::CaName;
use tegata_pki::issuer::IssuerCert;
use tegata_pki::signer::{Signer, SoftwareSigner};
use tegata_store::{NewIssuer, Store, StoreError};

use crate::ceremony::{
    CA_BACKDATE, CeremonyError, Folders, ISSUING_FILE, ISSUING_YEARS, ROOT_FILE, issuing_under, read_file,
    write_certificate,
};
use crate::custody::{self, CustodyError, Passphrase, Sealed};
use crate::elders;

/// Where the next CA waits until the register knows it.
pub(crate) const NEXT: &str = "next";

/// Makes a new issuing CA (P-256, 10 years) under the root and puts it in the old one's place. The root's key must be at hand. A server that
/// runs trusts the new one at once, and signs with it from its next start on.
pub async fn roll_over(
    store: &Store,
    folders: Folders<'_>,
    pass: &Passphrase,
    actor: &Actor,
    clock: &dyn Clock,
    entropy: &dyn Entropy,
) -> Result<IssuerCert, CeremonyError> {
    let _alone = lock(folders.keys).await?;
    settle_alone(store, &folders, pass).await?;
    let now = clock.now();
    let (root, root_signer) = open_root(&folders, pass)?;
    let number = store.reader().issuers(actor.scope()).await?.len() + 1;
    let not_after = now.plus_years_jst(ISSUING_YEARS).min(root.validity().not_after);
    let validity = Validity { not_before: now.plus_days(CA_BACKDATE), not_after };
    let name = CaName {
        country: "JP".into(),
        organization: root.organization().to_owned(),
        common_name: format!("Tegata Issuing CA {} G{number}", now.jst_date().year()),
    };
    let (issuing, pkcs8) = issuing_under(&root, &root_signer, &name, validity, entropy)?;
    // The certificate first: a key without one can then only mean that the certificate is in its place already.
    let (keys, certificates) = (folders.keys.join(NEXT), folders.certificates.join(NEXT));
    for folder in [&keys, &certificates] {
        fs::create_dir_all(folder).map_err(at(folder))?;
    }
    write_certificate(&certificates.join(ISSUING_FILE), issuing.der())?;
    custody::seal(&keys, Sealed::Issuing, pkcs8.expose(), pass, entropy)?;
    let issuer = NewIssuer {
        name: name.common_name,
        der: issuing.der().to_vec(),
        not_before: validity.not_before,
        not_after,
        created_at: now,
    };
    let entry = Entry {
        at: now,
        actor: actor.clone(),
        customer: None,
        terminal: None,
        serial: None,
        action: Action::IssuerAdded,
        outcome: Outcome::Done,
        detail: issuer.name.clone(),
    };
    let write = store.write(move |tx| {
        Box::pin(async move {
            tx.insert_issuer(&issuer).await?;
            tx.append_audit(&entry).await?;
            Ok::<_, StoreError>(())
        })
    });
    write.await?;
    settle_alone(store, &folders, pass).await?;
    Ok(issuing)
}

/// The root's certificate and its key, which must be at hand.
pub(crate) fn open_root(
    folders: &Folders<'_>,
    pass: &Passphrase,
) -> Result<(IssuerCert, SoftwareSigner), CeremonyError> {
    let root = read_file(&folders.certificates.join(ROOT_FILE))?;
    let signer = SoftwareSigner::from_pkcs8(custody::open(folders.keys, Sealed::Root, pass)?.expose())?;
    if signer.public_key_der() != root.spki_der() {
        return Err(CeremonyError::KeyMismatch(Sealed::Root.file_name()));
    }
    Ok((root, signer))
}

/// One process at a time rolls over or settles; others wait. Ends with the value.
pub(crate) async fn lock(keys: &Path) -> Result<fs::File, CustodyError> {
    let path = keys.join("roll-over.lock");
    let take = {
        let path = path.clone();
        move || {
            let file = fs::OpenOptions::new().create(true).truncate(false).write(true).open(path)?;
            file.lock().map(|()| file)
        }
    };
    // It may take as long as somebody else needs.
    let taken = tokio::task::spawn_blocking(take).await.unwrap_or_else(|error| Err(std::io::Error::other(error)));
    taken.map_err(at(&path))
}

/// Finishes a roll-over that the register knows of, and forgets one that it does not. Nothing to do, mostly; then nothing is locked. While
/// somebody rolls over, this waits.
pub(crate) async fn settle(store: &Store, folders: &Folders<'_>, pass: &Passphrase) -> Result<(), CeremonyError> {
    let waits = |folder: &Path, file: &str| folder.join(NEXT).join(file).exists();
    if waits(folders.certificates, ISSUING_FILE) || waits(folders.keys, Sealed::Issuing.file_name()) {
        let _alone = lock(folders.keys).await?;
        settle_alone(store, folders, pass).await?;
    }
    Ok(())
}

async fn settle_alone(store: &Store, folders: &Folders<'_>, pass: &Passphrase) -> Result<(), CeremonyError> {
    let (key, cert) = (Sealed::Issuing.file_name(), ISSUING_FILE);
    let (next_key, next_cert) = (folders.keys.join(NEXT).join(key), folders.certificates.join(NEXT).join(cert));
    if next_cert.exists() {
        let scope = Actor::System { job: "open" }.scope();
        let known = match read_file(&next_cert) {
            Ok(next) => store.reader().issuers(scope).await?.iter().any(|row| row.der == next.der()),
            Err(_) => false, // half written: the register came later
        };
        if !known {
            remove(&next_key)?;
            remove(&next_cert)?;
            return Ok(());
        }
        let old = read_file(&folders.certificates.join(cert))?;
        keep(&folders.certificates.join(cert), &folders.certificates.join(format!("{}.pem", elders::kept_name(&old))))?;
        keep(&folders.keys.join(key), &folders.keys.join(elders::key_file(&old)))?;
        replace(&next_cert, &folders.certificates.join(cert))?;
    }
    if next_key.exists() {
        // Only the key of the certificate in place takes the old one's: a key that is replaced by mistake is gone.
        let next =
            SoftwareSigner::from_pkcs8(custody::open(&folders.keys.join(NEXT), Sealed::Issuing, pass)?.expose())?;
        if next.public_key_der() != read_file(&folders.certificates.join(cert))?.spki_der() {
            return Err(CeremonyError::KeyMismatch("next/issuing.sealed"));
        }
        replace(&next_key, &folders.keys.join(key))?;
    }
    Ok(())
}

/// A second name for a file, so that replacing the first one loses nothing.
fn keep(file: &Path, name: &Path) -> Result<(), CustodyError> {
    match fs::hard_link(file, name) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(at(name)(error)),
        _ => Ok(()),
    }
}

pub(crate) fn replace(from: &Path, to: &Path) -> Result<(), CustodyError> {
    fs::rename(from, to).map_err(at(to))?;
    let folder = to.parent().unwrap_or(to);
    fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(at(folder))
}

pub(crate) fn remove(file: &Path) -> Result<(), CustodyError> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(at(file)(error)),
        _ => Ok(()),
    }
}

pub(crate) fn at(path: &Path) -> impl FnOnce(std::io::Error) -> CustodyError {
    let path: PathBuf = path.to_owned();
    move |source| CustodyError::File { path, source }
}
