//! Backups: register, sealed keys, CA certificates and configuration in one sealed file, made while the service runs, and a whole file or
//! none. And the way back: unpacked, opened, verified. Nothing of it lies in the clear on the way.

mod archive;
mod cipher;

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use tegata_core::access::Actor;
use tegata_core::audit::{Action, Entry, Outcome};
use tegata_core::id::Fingerprint;
use tegata_core::secret::Entropy;
use tegata_core::time::Timestamp;
use tegata_store::{Store, StoreError};

use crate::ceremony::Folders;
use crate::custody::{CustodyError, Passphrase};
use crate::rollover::{self, NEXT};
use archive::FileEntry;
pub use archive::{CERTIFICATES, CONFIG, KEYS, Manifest, REGISTER};
use cipher::{Opener, Sealer};

/// Why a backup was not made, or cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The register.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The key.
    #[error(transparent)]
    Custody(#[from] CustodyError),
    /// A file.
    #[error("{path}: {source}")]
    File {
        /// Which one.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file with that name is there.
    #[error("{0} exists already: nothing was written; name another file")]
    Exists(PathBuf),
    /// A key or a CA is being replaced.
    #[error("a roll-over is not finished: start the server once (it finishes it), then make the backup")]
    Unsettled,
    /// Not one of our files.
    #[error("{0} is not a backup of this program, or its beginning is damaged")]
    NotABackup(PathBuf),
    /// The passphrase does not open it (or the first part was changed: the two cannot be told apart).
    #[error("the passphrase does not open {0}, or the file was changed")]
    WrongPassphrase(PathBuf),
    /// A file inside is not as it was put there.
    #[error("{0} in the backup is not as it was put there")]
    WrongHash(String),
    /// A file inside that cannot be there.
    #[error("the backup holds a file of the name {0:?}, which no backup has: nothing was unpacked")]
    ForeignName(String),
}

impl BackupError {
    fn file(path: &Path, source: io::Error) -> Self {
        Self::File { path: path.to_owned(), source }
    }
}

/// What is backed up beside the register.
pub struct Beside<'a> {
    /// The text of the configuration.
    pub config: &'a str,
    /// Keys and certificates.
    pub folders: Folders<'a>,
    /// The version of the program.
    pub version: &'static str,
}

/// Makes a backup into a new file, and tells the operation log. On a server the register is not in it.
pub async fn make(
    store: &Store,
    beside: Beside<'_>,
    to: &Path,
    pass: &Passphrase,
    actor: &Actor,
    (now, entropy): (Timestamp, &dyn Entropy),
) -> Result<Manifest, BackupError> {
    if to.exists() {
        return Err(BackupError::Exists(to.to_owned()));
    }
    let keys = beside.folders.keys;
    // Keys and register of one moment: nobody replaces a key meanwhile.
    let _alone = rollover::lock(keys).await?;
    if files_of(&keys.join(NEXT), ".sealed").is_ok_and(|waiting| !waiting.is_empty()) {
        return Err(BackupError::Unsettled);
    }
    let snapshot = store.snapshot().await?;
    let mut contents = vec![(CONFIG.to_owned(), beside.config.as_bytes().to_vec())];
    for (word, folder, end) in [(KEYS, keys, ".sealed"), (CERTIFICATES, beside.folders.certificates, ".pem")] {
        let found = files_of(folder, end).map_err(|source| BackupError::file(folder, source))?;
        for path in found {
            let content = fs::read(&path).map_err(|source| BackupError::file(&path, source))?;
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            contents.push((format!("{word}/{name}"), content));
        }
    }
    contents.extend(snapshot.database.map(|database| (REGISTER.to_owned(), database)));
    let files = contents.iter().map(|(name, content)| FileEntry::of(name.clone(), content)).collect();
    let manifest = Manifest {
        made_at: now.to_string(),
        version: beside.version.to_owned(),
        register: store.database().to_string(),
        log_rows: snapshot.head.sequence,
        log_head: Fingerprint(snapshot.head.hash).to_string(),
        files,
    };
    let contents: Vec<Vec<u8>> = contents.into_iter().map(|(_, content)| content).collect();
    write_whole(to, &manifest, &contents, pass, entropy)?;
    let detail = format!("{} up to row {}", to.file_name().unwrap_or_default().to_string_lossy(), manifest.log_rows);
    tell(store, actor, Action::BackupMade, detail, now).await?;
    Ok(manifest)
}

/// The files of a folder whose names end so, by name.
fn files_of(folder: &Path, end: &str) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_file() && path.file_name().is_some_and(|name| name.to_string_lossy().ends_with(end)) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// Beside its place first, and into it when it is whole and on the disk.
fn write_whole(
    to: &Path,
    manifest: &Manifest,
    contents: &[Vec<u8>],
    pass: &Passphrase,
    entropy: &dyn Entropy,
) -> Result<(), BackupError> {
    let failed = |source| BackupError::file(to, source);
    let mut partial = to.as_os_str().to_owned();
    partial.push(".partial");
    let partial = PathBuf::from(partial);
    let write = || {
        let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&partial);
        let mut sealer = Sealer::new(BufWriter::new(file.map_err(failed)?), pass, entropy, to)?;
        archive::write(&mut sealer, manifest, contents).map_err(failed)?;
        let file = sealer.finish().and_then(|out| out.into_inner().map_err(|error| error.into_error()));
        file.and_then(|file| file.sync_all()).map_err(failed)?;
        fs::rename(&partial, to).map_err(failed)?;
        let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)
    };
    let written = write();
    if written.is_err() {
        // What cannot be removed is sealed, and is written over by the next try.
        let _ = fs::remove_file(&partial);
    }
    written
}

/// Unpacks a backup into an empty folder, checking every hash. The layout is that of `tegata init`.
pub fn unpack(from: &Path, pass: &Passphrase, into: &Path) -> Result<Manifest, BackupError> {
    let file = File::open(from).map_err(|source| BackupError::file(from, source))?;
    let mut opener = Opener::new(BufReader::new(file), pass, from)?;
    for folder in [into.to_owned(), into.join(KEYS), into.join(CERTIFICATES)] {
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder);
        made.map_err(|source| BackupError::file(&folder, source))?;
    }
    let place = |name: &str| OpenOptions::new().write(true).create_new(true).mode(0o600).open(into.join(name));
    archive::read(&mut opener, from, place, |mut file| file.flush().and_then(|()| file.sync_all()))
}

/// A restored register begins its own life: everybody logs in again, codes that were made before count no more, and the operation log says what
/// it was restored from.
pub async fn settle(store: &Store, manifest: &Manifest, actor: &Actor, now: Timestamp) -> Result<(), BackupError> {
    let detail = format!("from the backup of {}, row {}", manifest.made_at, manifest.log_rows);
    let entry = entry(actor, Action::BackupRestored, detail, now);
    let write = store.write(move |tx| {
        Box::pin(async move {
            tx.end_what_waits().await?;
            tx.append_audit(&entry).await?;
            Ok::<_, StoreError>(())
        })
    });
    Ok(write.await?)
}

async fn tell(store: &Store, actor: &Actor, action: Action, detail: String, now: Timestamp) -> Result<(), StoreError> {
    let entry = entry(actor, action, detail, now);
    store.write(move |tx| Box::pin(async move { tx.append_audit(&entry).await.map(|_| ()) })).await
}

fn entry(actor: &Actor, action: Action, detail: String, now: Timestamp) -> Entry {
    Entry {
        at: now,
        actor: actor.clone(),
        customer: None,
        terminal: None,
        serial: None,
        action,
        outcome: Outcome::Done,
        detail,
    }
}
