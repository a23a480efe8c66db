//! Opening, closing and owning the database.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::BoxFuture;
use tokio::sync::{mpsc, oneshot, watch};

use crate::database::Database;
use crate::db::Location;
use crate::error::StoreError;
use crate::reader::Reader;
use crate::snapshot::Snapshot;
use crate::writer::{self, Message, Tx};

/// How many units may wait for the writer before callers wait to hand theirs over.
const QUEUE: usize = 1024;

/// What to do about a register that is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenMode {
    /// Make a new register when there is none (a file; on a server, the tables in an empty database); one that is there is opened.
    Create,
    /// The register must be there.
    Existing,
}

/// The register. Cloned freely; the last clone to go lets the writer finish what it was handed and close the database.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    location: Location,
    queue: mpsc::Sender<Message>,
    reader: Reader,
    committed: watch::Receiver<u64>,
    /// Resolves when the writer has ended.
    writer: Mutex<Option<oneshot::Receiver<()>>>,
}

/// The right to serve from a database, for as long as this value lives. The system takes it back when the process dies. On a server it
/// is nobody's alone: any number of nodes may serve.
#[derive(Debug)]
pub struct ServeLock {
    _file: Option<File>,
}

impl Store {
    /// Opens the database and brings its schema up to date. A new file can be read by its owner only. When making a new register fails,
    /// nothing is left behind. Must be called inside a tokio runtime.
    pub async fn open(database: impl Into<Database>, mode: OpenMode) -> Result<Self, StoreError> {
        let location = Location::new(&database.into())?;
        let Database::File(path) = location.database() else { return Self::open_at(location, mode).await };
        let created = prepare_file(&path, mode)?;
        let opened = Self::open_at(location, mode).await;
        if opened.is_err() && created {
            for suffix in ["", "-wal", "-shm", "-journal"] {
                // The file was ours alone for a moment; what cannot be removed is an empty file.
                let _ = std::fs::remove_file(beside(&path, suffix));
            }
        }
        opened
    }

    async fn open_at(location: Location, mode: OpenMode) -> Result<Self, StoreError> {
        let conn = location.open(mode == OpenMode::Create).await?;
        let reader = Reader::open(&location).await?;
        let (queue, units) = mpsc::channel(QUEUE);
        let (commits, committed) = watch::channel(0);
        let end = writer::start(location.clone(), conn, units, commits)?;
        Ok(Self(Arc::new(Inner { location, queue, reader, committed, writer: Mutex::new(Some(end)) })))
    }

    /// Where it lives.
    pub fn database(&self) -> Database {
        self.0.location.database()
    }

    /// Takes the right to serve from this database; a second process that asks gets [`StoreError::AlreadyServed`]. Commands of other
    /// processes can still read and write. The lock is on a file of its own beside the database, `<name>.lock`. On a server nobody is
    /// refused.
    pub fn lock_for_serving(&self) -> Result<ServeLock, StoreError> {
        let Database::File(path) = self.database() else { return Ok(ServeLock { _file: None }) };
        let fail =
            |error: io::Error| StoreError::CannotOpen { path: beside(&path, ".lock"), reason: error.to_string() };
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        owner_only(&mut options);
        let mut file = options.open(beside(&path, ".lock")).map_err(fail)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                // Only for a better sentence: without the number it is still true.
                let _ = file.read_to_string(&mut text);
                return Err(StoreError::AlreadyServed { path, pid: text.trim().parse().ok() });
            }
            Err(TryLockError::Error(error)) => return Err(fail(error)),
        }
        file.set_len(0).and_then(|()| file.rewind()).map_err(fail)?;
        writeln!(file, "{}", std::process::id()).map_err(fail)?;
        Ok(ServeLock { _file: Some(file) })
    }

    /// Reads, from connections of their own.
    pub fn reader(&self) -> Reader {
        self.0.reader.clone()
    }

    /// Runs one unit of work: all of it is kept, durably, before this returns `Ok`; nothing of it is kept when the unit returns `Err`
    /// or panics. Units of concurrent callers share one commit. When that commit fails, every one of them gets the error.
    ///
    /// A unit should do nothing but use its [`Tx`]: the others wait for it. It must not call `write` itself, which would wait for ever.
    /// Once handed over it runs to its end, even if the caller stops waiting.
    pub async fn write<T, E, F>(&self, unit: F) -> Result<T, E>
    where
        F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T, E>> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let message = Message::Unit(writer::erase(unit, answer));
        self.0.queue.send(message).await.map_err(|_| StoreError::Closed)?;
        answered.await.map_err(|_| StoreError::Closed)?
    }

    /// How many commits this store has made. Those of other processes are seen by [`Reader::data_version`] only.
    pub fn version(&self) -> u64 {
        *self.0.committed.borrow()
    }

    /// Wakes up after each commit that this store makes.
    pub fn commits(&self) -> watch::Receiver<u64> {
        self.0.committed.clone()
    }

    /// Writes the journal back into the database file and empties it, so that what was erased is gone from the disk's files. False
    /// when a reader was in the way: then try again later. A server is left to its own ways (`VACUUM`, its write-ahead log).
    pub async fn checkpoint(&self) -> Result<bool, StoreError> {
        let (answer, answered) = oneshot::channel();
        self.0.queue.send(Message::Checkpoint(answer)).await.map_err(|_| StoreError::Closed)?;
        answered.await.map_err(|_| StoreError::Closed)?
    }

    /// The register at one moment, while others read and write. The whole file is in memory for as long as the answer lives.
    pub async fn snapshot(&self) -> Result<Snapshot, StoreError> {
        self.0.location.snapshot(&self.0.reader).await
    }

    /// Finishes the units handed over so far and closes the file. Later calls, of clones too, get [`StoreError::Closed`].
    pub async fn close(&self) {
        // The readers first: the last connection to close writes the journal back, and only one that may write can do that.
        self.0.reader.close().await;
        // A send that fails means that the writer is gone already.
        let _ = self.0.queue.send(Message::Close).await;
        let end = self.0.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(end) = end {
            // Units that panic are caught; the writer itself has nothing to fail with.
            let _ = end.await;
        }
    }
}

/// Makes the file when that is asked for; says whether it did.
fn prepare_file(path: &Path, mode: OpenMode) -> Result<bool, StoreError> {
    let folder = path.parent().unwrap_or(path);
    if !folder.is_dir() {
        return Err(StoreError::NoFolder(folder.to_owned()));
    }
    if mode == OpenMode::Existing {
        return if path.exists() { Ok(false) } else { Err(StoreError::Missing(path.to_owned())) };
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    owner_only(&mut options);
    match options.open(path) {
        Ok(_) => Ok(true),
        Err(error) => match error.kind() {
            io::ErrorKind::AlreadyExists => Ok(false),
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                Err(StoreError::FolderReadOnly(folder.to_owned()))
            }
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Err(StoreError::DiskFull),
            _ => Err(StoreError::CannotOpen { path: path.to_owned(), reason: error.to_string() }),
        },
    }
}

/// The engine gives its journal the same rights as the file.
#[cfg(unix)]
fn owner_only(options: &mut OpenOptions) {
    use std::os::unix::fs::OpenOptionsExt as _;
    options.mode(0o600);
}

#[cfg(not(unix))]
fn owner_only(_: &mut OpenOptions) {}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
