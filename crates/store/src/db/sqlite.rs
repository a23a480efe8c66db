//! SQLite: one file, one machine. How it is opened, known as ours, brought up to date, and what its errors mean.
//!
//! The engine is a library: a statement runs on the thread that asks for it, and for a few rows found by an index that costs less than
//! telling another thread to do it would (measured: docs/CAPACITY.md). So a look-up of one row runs where it is asked, a list on a thread
//! that may take its time, and all writing on one thread of its own.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::backup::{Backup, StepResult};
use rusqlite::config::DbConfig;
use rusqlite::types::{FromSql, ToSqlOutput};
use rusqlite::{CachedStatement, Connection, OpenFlags, ToSql};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{Arg, Query, Read, Row};
use crate::audit::Head;
use crate::error::{DANGLING, StoreError};

/// The steps from an empty file to today's schema. Append; never edit one that was released.
const MIGRATIONS: [&str; 15] = [
    include_str!("../../migrations/sqlite/0001_register.sql"),
    include_str!("../../migrations/sqlite/0002_programs.sql"),
    include_str!("../../migrations/sqlite/0003_questions_of_programs.sql"),
    include_str!("../../migrations/sqlite/0004_recoveries.sql"),
    include_str!("../../migrations/sqlite/0005_endings.sql"),
    include_str!("../../migrations/sqlite/0006_kinds.sql"),
    include_str!("../../migrations/sqlite/0007_checkpoints.sql"),
    include_str!("../../migrations/sqlite/0008_api_keys.sql"),
    include_str!("../../migrations/sqlite/0009_notices.sql"),
    include_str!("../../migrations/sqlite/0010_facts.sql"),
    include_str!("../../migrations/sqlite/0011_api_requests.sql"),
    include_str!("../../migrations/sqlite/0012_moves.sql"),
    include_str!("../../migrations/sqlite/0013_overview.sql"),
    include_str!("../../migrations/sqlite/0014_customer_settings.sql"),
    include_str!("../../migrations/sqlite/0015_webhooks.sql"),
];
/// `TEGA` in the file's header (`PRAGMA application_id`): how we know our own files.
const APPLICATION_ID: i64 = 0x5445_4741;
/// How long to wait for another process that is writing.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a checkpoint waits for readers.
const CHECKPOINT_TIMEOUT: Duration = Duration::from_millis(50);
/// Reads are short and the machine's disk cache is warm; more connections only cost memory.
const READERS: u32 = 4;
/// Every text of the request path stays prepared.
const PREPARED: usize = 128;
/// The engine's own memory of pages (KiB) for the connection that writes: indexes by fingerprint and by key have no order that a disk would
/// like. Each one that reads has an eighth.
const WRITER_CACHE: i32 = 32 * 1024;

impl ToSql for Arg {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        match self {
            Self::Int(value) => value.to_sql(),
            Self::Text(value) => value.to_sql(),
            Self::Blob(value) => value.to_sql(),
        }
    }
}

/// The statement with its values. The engine takes `$2` for a name and numbers names as they come; here it is the second value.
fn prepare<'c>(conn: &'c Connection, query: &Query) -> Result<CachedStatement<'c>, StoreError> {
    let mut statement = conn.prepare_cached(&query.text).map_err(said)?;
    for place in 1..=statement.parameter_count() {
        let number = statement.parameter_name(place).and_then(|name| name.get(1..)?.parse::<usize>().ok());
        let value = number.and_then(|number| query.args.get(number.checked_sub(1)?));
        let value = value.ok_or_else(|| StoreError::Engine(format!("no value for parameter {place}")))?;
        statement.raw_bind_parameter(place, value).map_err(said)?;
    }
    Ok(statement)
}

/// A row, and the place of the column that is probably asked for next: rows are read in the order in which their columns were asked for.
pub(crate) struct Cells<'r> {
    row: &'r rusqlite::Row<'r>,
    next: Cell<usize>,
}

impl<'r> Cells<'r> {
    pub(super) fn new(row: &'r rusqlite::Row<'r>) -> Self {
        Self { row, next: Cell::new(0) }
    }

    pub(super) fn value<T: FromSql>(&self, column: &str) -> rusqlite::Result<T> {
        let statement = self.row.as_ref();
        let expected = self.next.get();
        let place = match statement.column_name(expected) {
            Ok(name) if name == column => expected,
            _ => statement.column_index(column)?,
        };
        self.next.set(place + 1);
        self.row.get(place)
    }
}

/// Runs a statement to its end; says how many rows it changed.
pub(super) fn execute(conn: &Connection, query: &Query) -> Result<u64, StoreError> {
    let changed = prepare(conn, query)?.raw_execute().map_err(said)?;
    Ok(changed as u64)
}

pub(super) fn all<T>(conn: &Connection, query: &Query, read: impl Read<T>) -> Result<Vec<T>, StoreError> {
    let mut statement = prepare(conn, query)?;
    let mut rows = statement.raw_query();
    let mut values = Vec::new();
    while let Some(row) = rows.next().map_err(said)? {
        values.push(read(&Row::Sqlite(Cells::new(row)))?);
    }
    Ok(values)
}

/// The first row of the answer. What a statement changes it has changed before it answers with any row
/// (<https://www.sqlite.org/lang_returning.html>, section 3).
pub(super) fn optional<T>(conn: &Connection, query: &Query, read: impl Read<T>) -> Result<Option<T>, StoreError> {
    let mut statement = prepare(conn, query)?;
    let mut rows = statement.raw_query();
    let row = rows.next().map_err(said)?;
    row.map(|row| read(&Row::Sqlite(Cells::new(row)))).transpose()
}

/// Runs one statement, or several between semicolons, without values and without an answer.
pub(super) fn run(conn: &Connection, text: &'static str) -> Result<(), StoreError> {
    text.split("; ").try_for_each(|statement| execute(conn, &Query::new(statement)).map(|_| ()))
}

/// The number that a statement without values answers with.
pub(super) fn first_number(conn: &Connection, text: &'static str) -> Result<i64, StoreError> {
    conn.query_row(text, [], |row| row.get(0)).map_err(said)
}

/// Writes the journal back. A reader in the way is waited for only briefly: meanwhile nobody writes, in any process.
pub(super) fn checkpoint(conn: &Connection) -> Result<bool, StoreError> {
    conn.busy_timeout(CHECKPOINT_TIMEOUT).map_err(said)?;
    let busy = first_number(conn, "PRAGMA wal_checkpoint(TRUNCATE)");
    conn.busy_timeout(BUSY_TIMEOUT).map_err(said)?;
    match busy {
        Err(StoreError::Busy) => Ok(false),
        busy => Ok(busy? == 0),
    }
}

/// A file, and how to get at it.
#[derive(Clone)]
pub(crate) struct Place(PathBuf);

impl Place {
    pub(super) fn new(path: &Path) -> Result<Self, StoreError> {
        let reason = |reason: String| StoreError::CannotOpen { path: path.to_owned(), reason };
        let path = std::path::absolute(path).map_err(|error| reason(error.to_string()))?;
        // The engine takes UTF-8 only.
        path.to_str().ok_or_else(|| reason("the path is not UTF-8".to_owned()))?;
        Ok(Self(path))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    pub(super) fn open(&self, fresh: bool) -> Result<Connection, StoreError> {
        let open = || {
            let mut conn = self.connect(false)?;
            self.identify(&conn, fresh)?;
            // Only now: another program's file must be left as it is.
            conn.pragma_update(None, "journal_mode", "WAL").map_err(said)?;
            migrate(&mut conn)?;
            Ok(conn)
        };
        open().map_err(|error| self.why(error))
    }

    pub(super) fn connect(&self, read_only: bool) -> Result<Connection, StoreError> {
        let rights = if read_only { OpenFlags::SQLITE_OPEN_READ_ONLY } else { OpenFlags::SQLITE_OPEN_READ_WRITE };
        // One thread at a time uses a connection (`Connection` is not `Sync`), so the engine need not lock it.
        let connect = || {
            let conn = Connection::open_with_flags(&self.0, rights | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
            conn.set_prepared_statement_cache_capacity(PREPARED);
            conn.busy_timeout(BUSY_TIMEOUT)?;
            // A statement keeps its plan. Otherwise the engine makes it anew for other values, at several times the statement's own cost.
            conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
            conn.pragma_update(None, "foreign_keys", true)?;
            let cache = if read_only { WRITER_CACHE / 8 } else { WRITER_CACHE };
            conn.pragma_update(None, "cache_size", -cache)?; // negative: in KiB
            if !read_only {
                // FULL: an acknowledged commit survives a power cut (with NORMAL it does not). secure_delete: an erased key is overwritten.
                conn.pragma_update(None, "synchronous", "FULL")?;
                conn.pragma_update(None, "secure_delete", true)?;
                // What a savepoint goes back to is kept in memory, not in a file of its own.
                conn.pragma_update(None, "temp_store", "MEMORY")?;
            }
            Ok(conn)
        };
        connect().map_err(said)
    }

    /// The file as it is at one moment, and the end of the log in it. In memory: a copy on the disk would lie there in the clear.
    pub(super) fn snapshot(&self) -> Result<(Vec<u8>, Head), StoreError> {
        let copy = || {
            let from = self.connect(true)?;
            // What is read first holds this moment for the rest.
            run(&from, "BEGIN")?;
            let text = "SELECT sequence, hash FROM audit ORDER BY sequence DESC LIMIT 1";
            let head = optional(&from, &Query::new(text), |row| {
                Ok(Head { sequence: row.int("sequence")?, hash: row.bytes("hash")? })
            })?;
            let mut to = Connection::open_in_memory().map_err(said)?;
            let step = Backup::new(&from, &mut to).map_err(said)?.step(-1).map_err(said)?;
            if step != StepResult::Done {
                return Err(StoreError::Busy);
            }
            let database = to.serialize(rusqlite::MAIN_DB).map_err(said)?.to_vec();
            Ok((database, head.unwrap_or(Head::EMPTY)))
        };
        copy().map_err(|error| self.why(error))
    }

    pub(super) fn readers(&self) -> Readers {
        let permits = Arc::new(Semaphore::new(READERS as usize));
        Readers { place: self.clone(), permits, idle: Arc::new(Mutex::new(Vec::new())) }
    }

    fn identify(&self, conn: &Connection, fresh: bool) -> Result<(), StoreError> {
        // In this order: somebody else may make the database between the two, tables and mark in one commit.
        let tables = first_number(conn, "SELECT COUNT(*) FROM sqlite_schema")?;
        let id = first_number(conn, "PRAGMA application_id")?;
        let ours = id == APPLICATION_ID || (fresh && id == 0 && tables == 0);
        if !ours {
            return Err(StoreError::NotOurs(self.0.display().to_string()));
        }
        let found = first_number(conn, "PRAGMA user_version")?;
        let known = MIGRATIONS.len() as i64;
        if found > known {
            return Err(StoreError::SchemaTooNew { place: self.0.display().to_string(), found, known });
        }
        Ok(())
    }

    /// What the engine said about opening a file, in words about this file.
    fn why(&self, error: StoreError) -> StoreError {
        let path = self.0.clone();
        match error {
            StoreError::NotADatabase(_) => StoreError::NotADatabase(path),
            StoreError::ReadOnly(_) => match unwritable_folder(&self.0) {
                Some(folder) => StoreError::FolderReadOnly(folder),
                None => StoreError::ReadOnly(path),
            },
            StoreError::CannotOpen { reason, .. } => match unwritable_folder(&self.0) {
                Some(folder) => StoreError::FolderReadOnly(folder),
                None => StoreError::CannotOpen { path, reason },
            },
            other => other,
        }
    }
}

/// Connections that cannot write, opened as they are needed.
#[derive(Clone)]
pub(crate) struct Readers {
    place: Place,
    permits: Arc<Semaphore>,
    idle: Arc<Mutex<Vec<Connection>>>,
}

impl Readers {
    /// A list may be long: it is read on a thread that may wait.
    pub(super) async fn all<T, R>(&self, query: Query, read: R) -> Result<Vec<T>, StoreError>
    where
        T: Send + 'static,
        R: Read<T> + Send + 'static,
    {
        let permit = self.permit().await?;
        let readers = self.clone();
        let listed = tokio::task::spawn_blocking(move || readers.lend(permit, |conn| all(conn, &query, read))).await;
        listed.map_err(|error| StoreError::Engine(error.to_string()))?
    }

    /// One row, found by an index: over before another thread would have begun.
    pub(super) async fn optional<T>(&self, query: &Query, read: impl Read<T>) -> Result<Option<T>, StoreError> {
        let permit = self.permit().await?;
        self.lend(permit, |conn| optional(conn, query, read))
    }

    /// Waits for those who read and closes all connections.
    pub(super) async fn close(&self) {
        // An error says that they are closed already.
        let _all = self.permits.acquire_many(READERS).await;
        self.permits.close();
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    async fn permit(&self) -> Result<OwnedSemaphorePermit, StoreError> {
        if let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() {
            return Ok(permit);
        }
        let permit = tokio::time::timeout(BUSY_TIMEOUT, Arc::clone(&self.permits).acquire_owned()).await;
        permit.map_err(|_| StoreError::Busy)?.map_err(|_| StoreError::Closed)
    }

    /// Lends a connection. The permit is given back after it.
    fn lend<T>(
        &self,
        permit: OwnedSemaphorePermit,
        ask: impl FnOnce(&Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let conn = match idle {
            Some(conn) => conn,
            None => self.place.connect(true)?,
        };
        let answer = ask(&conn);
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(conn);
        drop(permit);
        answer
    }
}

/// All missing steps in one transaction: after a crash the file has the old schema or the new one.
fn migrate(conn: &mut Connection) -> Result<(), StoreError> {
    let steps = |conn: &mut Connection| {
        let step = conn.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        let found: i64 = step.pragma_query_value(None, "user_version", |row| row.get(0))?;
        let known = MIGRATIONS.len() as i64;
        for text in MIGRATIONS.iter().skip(usize::try_from(found).unwrap_or(0)) {
            step.execute_batch(text)?;
        }
        if found < known {
            step.pragma_update(None, "application_id", APPLICATION_ID)?;
            step.pragma_update(None, "user_version", known)?;
        }
        step.commit()
    };
    steps(conn).map_err(said)
}

/// The folder of `path`, when no file can be made in it.
fn unwritable_folder(path: &Path) -> Option<PathBuf> {
    let folder = path.parent()?;
    let probe = folder.join(format!(".tegata-probe-{}", std::process::id()));
    match std::fs::File::create_new(&probe) {
        Ok(_) => {
            // Left behind it would only be an empty file.
            let _ = std::fs::remove_file(&probe);
            None
        }
        Err(_) => Some(folder.to_owned()),
    }
}

/// The engine's error in our words (result codes: <https://www.sqlite.org/rescode.html>).
pub(super) fn said(error: rusqlite::Error) -> StoreError {
    let words = error.to_string();
    let code = error.sqlite_error().map_or(0, |error| error.extended_code);
    match (code & 0xff, code) {
        (5 | 6, _) => StoreError::Busy,
        (8, _) => StoreError::ReadOnly(PathBuf::new()),
        (10, _) => StoreError::Disk(words),
        (11, _) => StoreError::Damaged(words),
        (13, _) => StoreError::DiskFull,
        (14, _) => StoreError::CannotOpen { path: PathBuf::new(), reason: words },
        (26, _) => StoreError::NotADatabase(PathBuf::new()),
        (19, 1555 | 2067) => duplicate(&words),
        (19, 787) => DANGLING,
        (19, _) => StoreError::Refused(words),
        _ => StoreError::Engine(words),
    }
}

/// What there may be only one of, from the columns that the engine names.
fn duplicate(message: &str) -> StoreError {
    const NAMES: [(&str, &str); 14] = [
        ("issuers.der", "issuer"),
        ("customers.id", "customer id"),
        ("customers.code", "customer code"),
        ("users.customer_id", "user name"),
        ("terminals.id", "terminal id"),
        ("terminals.customer_id", "client number"),
        ("certificates.fingerprint", "certificate"),
        ("certificates.serial", "serial"),
        ("server_certificates.serial", "serial"),
        ("bundles.certificate_id", "bundle"),
        ("bundles.terminal_id", "open bundle"),
        ("sessions.token_hash", "session"),
        ("audit.sequence", "log entry"),
        ("invitations.selector", "invitation"),
    ];
    let columns = message.rsplit_once(": ").map_or(message, |(_, columns)| columns);
    let what = NAMES.iter().find(|(column, _)| columns.starts_with(column)).map_or("row", |(_, what)| what);
    StoreError::Duplicate { what }
}
