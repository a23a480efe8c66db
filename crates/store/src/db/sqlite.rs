//! SQLite: one file, one machine. How it is opened, known as ours, brought up to date, and what its errors mean.

use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::sqlite::{
    SqliteArguments, SqliteConnectOptions, SqliteConnection, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{Arguments as _, AssertSqlSafe, ConnectOptions as _, Row as _, Sqlite};

use super::{Arg, Query};
use crate::error::{DANGLING, StoreError};

/// The steps from an empty file to today's schema. Append; never edit one that was released.
const MIGRATIONS: [&str; 2] = [
    include_str!("../../migrations/sqlite/0001_register.sql"),
    include_str!("../../migrations/sqlite/0002_programs.sql"),
];
/// `TEGA` in the file's header (`PRAGMA application_id`): how we know our own files.
const APPLICATION_ID: i64 = 0x5445_4741;
/// How long to wait for another process that is writing.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// Reads are short and the machine's disk cache is warm; more connections only cost memory.
const READERS: u32 = 4;

pub(super) fn build(query: Query) -> Result<sqlx::query::Query<'static, Sqlite, SqliteArguments>, StoreError> {
    let mut arguments = SqliteArguments::default();
    for arg in query.args {
        let added = match arg {
            Arg::Int(value) => arguments.add(value),
            Arg::Text(value) => arguments.add(value),
            Arg::Blob(value) => arguments.add(value),
        };
        added.map_err(|error| StoreError::Engine(error.to_string()))?;
    }
    Ok(sqlx::query_with(AssertSqlSafe(query.text), arguments))
}

/// The number that a statement without values answers with.
pub(super) async fn first_number(conn: &mut SqliteConnection, text: &'static str) -> Result<i64, StoreError> {
    let row = sqlx::query(text).fetch_one(conn).await.map_err(said)?;
    row.try_get(0).map_err(said)
}

async fn run(conn: &mut SqliteConnection, text: &'static str) -> Result<(), StoreError> {
    sqlx::query(text).execute(conn).await.map(|_| ()).map_err(said)
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

    pub(super) async fn open(&self, fresh: bool) -> Result<Box<SqliteConnection>, StoreError> {
        let opened = async {
            let mut conn = self.connect(false).await?;
            self.identify(&mut conn, fresh).await?;
            // Only now: another program's file must be left as it is.
            run(&mut conn, "PRAGMA journal_mode = WAL").await?;
            migrate(&mut conn).await?;
            Ok(conn)
        };
        opened.await.map_err(|error| self.why(error))
    }

    pub(super) async fn connect(&self, read_only: bool) -> Result<Box<SqliteConnection>, StoreError> {
        self.options(read_only).connect().await.map(Box::new).map_err(said)
    }

    pub(super) fn pool(&self) -> SqlitePool {
        let options = SqlitePoolOptions::new()
            .max_connections(READERS)
            .acquire_timeout(BUSY_TIMEOUT)
            .idle_timeout(None)
            .max_lifetime(None)
            .test_before_acquire(false);
        options.connect_lazy_with(self.options(true))
    }

    fn options(&self, read_only: bool) -> SqliteConnectOptions {
        let options = SqliteConnectOptions::new()
            .filename(&self.0)
            .create_if_missing(false)
            .read_only(read_only)
            .foreign_keys(true)
            .busy_timeout(BUSY_TIMEOUT)
            .disable_statement_logging();
        // FULL: an acknowledged commit survives a power cut (with NORMAL it does not). secure_delete: an erased key is overwritten.
        if read_only { options } else { options.synchronous(SqliteSynchronous::Full).pragma("secure_delete", "ON") }
    }

    async fn identify(&self, conn: &mut SqliteConnection, fresh: bool) -> Result<(), StoreError> {
        // In this order: somebody else may make the database between the two, tables and mark in one commit.
        let tables = first_number(conn, "SELECT COUNT(*) FROM sqlite_schema").await?;
        let id = first_number(conn, "PRAGMA application_id").await?;
        let ours = id == APPLICATION_ID || (fresh && id == 0 && tables == 0);
        if !ours {
            return Err(StoreError::NotOurs(self.0.display().to_string()));
        }
        let found = first_number(conn, "PRAGMA user_version").await?;
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

/// All missing steps in one transaction: after a crash the file has the old schema or the new one.
async fn migrate(conn: &mut SqliteConnection) -> Result<(), StoreError> {
    run(conn, "BEGIN IMMEDIATE").await?;
    let found = usize::try_from(first_number(conn, "PRAGMA user_version").await?).unwrap_or(0);
    for step in MIGRATIONS.iter().skip(found) {
        sqlx::raw_sql(*step).execute(&mut *conn).await.map_err(said)?;
    }
    if found < MIGRATIONS.len() {
        let marks = format!("PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {}", MIGRATIONS.len());
        sqlx::raw_sql(AssertSqlSafe(marks)).execute(&mut *conn).await.map_err(said)?;
    }
    run(conn, "COMMIT").await
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
pub(super) fn said(error: sqlx::Error) -> StoreError {
    let words = error.to_string();
    let database = match error {
        sqlx::Error::Database(database) => database,
        sqlx::Error::PoolTimedOut => return StoreError::Busy,
        sqlx::Error::PoolClosed => return StoreError::Closed,
        sqlx::Error::Io(error) => return StoreError::Disk(error.to_string()),
        _ => return StoreError::Engine(words),
    };
    let code: i64 = database.code().and_then(|code| code.parse().ok()).unwrap_or(0);
    match (code & 0xff, code) {
        (5 | 6, _) => StoreError::Busy,
        (8, _) => StoreError::ReadOnly(PathBuf::new()),
        (10, _) => StoreError::Disk(words),
        (11, _) => StoreError::Damaged(words),
        (13, _) => StoreError::DiskFull,
        (14, _) => StoreError::CannotOpen { path: PathBuf::new(), reason: words },
        (26, _) => StoreError::NotADatabase(PathBuf::new()),
        (19, 1555 | 2067) => duplicate(database.message()),
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
