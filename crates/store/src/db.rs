//! The one module that knows the engine (SQLite, by way of sqlx). Everybody else writes plain SQL text with numbered parameters and
//! reads columns by name.
//!
//! Schemas are brought up to date by a runner of our own, thirty lines long: sqlx's would need its macros (a compiler plug-in) and keeps
//! a table of its own, where the file's header already has a place for exactly this number.

use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::sqlite::{
    SqliteArguments, SqliteConnectOptions, SqliteConnection, SqliteExecutor, SqlitePool, SqlitePoolOptions, SqliteRow,
    SqliteSynchronous,
};
use sqlx::{Arguments as _, AssertSqlSafe, ConnectOptions as _, Connection as _, Row as _};
use tegata_core::access::{Reach, Scope};
use tegata_core::id::{CertificateId, CustomerId, Fingerprint, IssuerId, Serial, TerminalId, UserId};
use tegata_core::time::Timestamp;

use crate::error::{DANGLING, StoreError};

/// The steps from an empty file to today's schema. Append; never edit one that was released.
const MIGRATIONS: [&str; 1] = [include_str!("../migrations/sqlite/0001_register.sql")];
/// `TEGA` in the file's header (`PRAGMA application_id`): how we know our own files.
const APPLICATION_ID: i64 = 0x5445_4741;
/// How long to wait for another process that is writing.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// Reads are short and the machine's disk cache is warm; more connections only cost memory.
const READERS: u32 = 4;

/// One value handed to a statement.
#[derive(Clone, Debug)]
pub(crate) enum Arg {
    Int(i64),
    Text(String),
    Blob(Vec<u8>),
    Null,
}

macro_rules! arg_from {
    ($($from:ty => |$value:ident| $arg:expr;)*) => {
        $(impl From<$from> for Arg {
            fn from($value: $from) -> Self {
                $arg
            }
        })*
    };
}
arg_from! {
    i64 => |value| Self::Int(value);
    u32 => |value| Self::Int(value.into());
    &str => |value| Self::Text(value.to_owned());
    String => |value| Self::Text(value);
    Vec<u8> => |value| Self::Blob(value);
    [u8; 32] => |value| Self::Blob(value.to_vec());
    Timestamp => |value| Self::Int(value.0);
    UserId => |value| Self::Int(value.0);
    CertificateId => |value| Self::Int(value.0);
    IssuerId => |value| Self::Int(value.0);
    CustomerId => |value| Self::Int(value.number().into());
    TerminalId => |value| Self::Blob(value.0.as_bytes().to_vec());
    Serial => |value| Self::Blob(value.as_bytes().to_vec());
    Fingerprint => |value| Self::Blob(value.0.to_vec());
}

impl<T: Into<Arg>> From<Option<T>> for Arg {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// A statement and its values. Its text is made of constants only; whatever comes from outside is a value.
#[derive(Clone, Debug)]
pub(crate) struct Query {
    text: String,
    args: Vec<Arg>,
}

impl Query {
    /// A statement whose text already names its parameters `$1`, `$2`, …; the values follow by [`Query::bind`] in that order.
    pub(crate) fn new(text: &'static str) -> Self {
        Self { text: text.to_owned(), args: Vec::new() }
    }

    /// The value of the next parameter.
    pub(crate) fn bind(mut self, value: impl Into<Arg>) -> Self {
        self.args.push(value.into());
        self
    }

    /// More text.
    pub(crate) fn text(mut self, text: &'static str) -> Self {
        self.text.push_str(text);
        self
    }

    /// More text that ends with a value: `.with(" AND issuer_id = ", issuer)`.
    pub(crate) fn with(mut self, text: &'static str, value: impl Into<Arg>) -> Self {
        self.args.push(value.into());
        self.text.push_str(text);
        self.text.push('$');
        self.text.push_str(&self.args.len().to_string());
        self
    }

    /// Keeps the statement's answer inside a scope. `terminal_is` and `customer_is` are the comparisons of the table's own columns
    /// (`" AND c.terminal_id = "`); it must already have a `WHERE`.
    pub(crate) fn within(self, scope: Scope, terminal_is: &'static str, customer_is: &'static str) -> Self {
        match scope.reach() {
            Reach::Everything => self,
            Reach::Nothing => self.text(" AND 1 = 0"),
            Reach::Terminal { terminal, customer } => self.with(terminal_is, terminal).with(customer_is, customer),
        }
    }

    /// The same for rows that belong to a customer but to none of its terminals.
    pub(crate) fn within_customer(self, scope: Scope, customer_is: &'static str) -> Self {
        match scope.reach() {
            Reach::Everything => self,
            Reach::Nothing => self.text(" AND 1 = 0"),
            Reach::Terminal { customer, .. } => self.with(customer_is, customer),
        }
    }

    /// Asks how the engine would go about it.
    #[cfg(test)]
    pub(crate) fn explained(mut self) -> Self {
        self.text.insert_str(0, "EXPLAIN QUERY PLAN ");
        self
    }

    fn build(self) -> Result<sqlx::query::Query<'static, sqlx::Sqlite, SqliteArguments>, StoreError> {
        let mut arguments = SqliteArguments::default();
        for arg in self.args {
            let added = match arg {
                Arg::Int(value) => arguments.add(value),
                Arg::Text(value) => arguments.add(value),
                Arg::Blob(value) => arguments.add(value),
                Arg::Null => arguments.add(None::<i64>),
            };
            added.map_err(|error| StoreError::Engine(error.to_string()))?;
        }
        Ok(sqlx::query_with(AssertSqlSafe(self.text), arguments))
    }
}

/// One row of an answer.
pub(crate) struct Row(SqliteRow);

impl Row {
    pub(crate) fn opt_int(&self, column: &'static str) -> Result<Option<i64>, StoreError> {
        self.0.try_get(column).map_err(|_| unreadable(column))
    }

    pub(crate) fn int(&self, column: &'static str) -> Result<i64, StoreError> {
        self.opt_int(column)?.ok_or_else(|| unreadable(column))
    }

    pub(crate) fn opt_text(&self, column: &'static str) -> Result<Option<String>, StoreError> {
        self.0.try_get(column).map_err(|_| unreadable(column))
    }

    pub(crate) fn text(&self, column: &'static str) -> Result<String, StoreError> {
        self.opt_text(column)?.ok_or_else(|| unreadable(column))
    }

    pub(crate) fn opt_blob(&self, column: &'static str) -> Result<Option<Vec<u8>>, StoreError> {
        self.0.try_get(column).map_err(|_| unreadable(column))
    }

    pub(crate) fn blob(&self, column: &'static str) -> Result<Vec<u8>, StoreError> {
        self.opt_blob(column)?.ok_or_else(|| unreadable(column))
    }

    pub(crate) fn opt_bytes<const N: usize>(&self, column: &'static str) -> Result<Option<[u8; N]>, StoreError> {
        self.opt_blob(column)?.map(|bytes| bytes.try_into().map_err(|_| unreadable(column))).transpose()
    }

    pub(crate) fn bytes<const N: usize>(&self, column: &'static str) -> Result<[u8; N], StoreError> {
        self.opt_bytes(column)?.ok_or_else(|| unreadable(column))
    }

    pub(crate) fn time(&self, column: &'static str) -> Result<Timestamp, StoreError> {
        self.int(column).map(Timestamp)
    }

    pub(crate) fn opt_time(&self, column: &'static str) -> Result<Option<Timestamp>, StoreError> {
        Ok(self.opt_int(column)?.map(Timestamp))
    }

    pub(crate) fn number(&self, column: &'static str) -> Result<u32, StoreError> {
        u32::try_from(self.int(column)?).map_err(|_| unreadable(column))
    }

    pub(crate) fn opt_customer(&self, column: &'static str) -> Result<Option<CustomerId>, StoreError> {
        let number = self.opt_int(column)?;
        let read = |n| u32::try_from(n).ok().and_then(CustomerId::new).ok_or_else(|| unreadable(column));
        number.map(read).transpose()
    }

    pub(crate) fn customer(&self, column: &'static str) -> Result<CustomerId, StoreError> {
        self.opt_customer(column)?.ok_or_else(|| unreadable(column))
    }

    pub(crate) fn opt_terminal(&self, column: &'static str) -> Result<Option<TerminalId>, StoreError> {
        Ok(self.opt_bytes(column)?.map(|bytes| TerminalId(uuid::Uuid::from_bytes(bytes))))
    }

    pub(crate) fn terminal(&self, column: &'static str) -> Result<TerminalId, StoreError> {
        self.opt_terminal(column)?.ok_or_else(|| unreadable(column))
    }
}

/// A value that we cannot have written.
pub(crate) fn unreadable(column: &'static str) -> StoreError {
    StoreError::Damaged(format!("a value in column {column} cannot be read"))
}

/// One connection. Dropping it closes it.
pub(crate) struct Conn(SqliteConnection);

impl Conn {
    pub(crate) async fn execute(&mut self, query: Query) -> Result<u64, StoreError> {
        let done = query.build()?.execute(&mut self.0).await.map_err(from_engine)?;
        Ok(done.rows_affected())
    }

    pub(crate) async fn all(&mut self, query: Query) -> Result<Vec<Row>, StoreError> {
        all(&mut self.0, query).await
    }

    pub(crate) async fn optional(&mut self, query: Query) -> Result<Option<Row>, StoreError> {
        optional(&mut self.0, query).await
    }

    /// Takes the right to write, waiting for other processes.
    pub(crate) async fn begin(&mut self) -> Result<(), StoreError> {
        self.run("BEGIN IMMEDIATE").await
    }

    /// Runs one statement that has no values and no answer.
    pub(crate) async fn run(&mut self, text: &'static str) -> Result<(), StoreError> {
        self.execute(Query::new(text)).await.map(|_| ())
    }

    /// A number that differs from the last one when anybody else, in this process or another, has committed in between.
    pub(crate) async fn data_version(&mut self) -> Result<i64, StoreError> {
        self.first_number("PRAGMA data_version").await
    }

    /// Writes the journal back into the file and empties it. False when somebody was still reading from it.
    pub(crate) async fn checkpoint(&mut self) -> Result<bool, StoreError> {
        Ok(self.first_number("PRAGMA wal_checkpoint(TRUNCATE)").await? == 0)
    }

    pub(crate) async fn close(self) -> Result<(), StoreError> {
        self.0.close().await.map_err(from_engine)
    }

    /// The number that a statement without values answers with.
    async fn first_number(&mut self, text: &'static str) -> Result<i64, StoreError> {
        let row = Query::new(text).build()?.fetch_one(&mut self.0).await.map_err(from_engine)?;
        row.try_get(0).map_err(from_engine)
    }
}

/// Connections that only read.
#[derive(Clone)]
pub(crate) struct Pool(SqlitePool);

impl Pool {
    pub(crate) async fn all(&self, query: Query) -> Result<Vec<Row>, StoreError> {
        all(&self.0, query).await
    }

    pub(crate) async fn optional(&self, query: Query) -> Result<Option<Row>, StoreError> {
        optional(&self.0, query).await
    }

    pub(crate) async fn close(&self) {
        self.0.close().await;
    }
}

async fn all<'e>(executor: impl SqliteExecutor<'e>, query: Query) -> Result<Vec<Row>, StoreError> {
    let rows = query.build()?.fetch_all(executor).await.map_err(from_engine)?;
    Ok(rows.into_iter().map(Row).collect())
}

async fn optional<'e>(executor: impl SqliteExecutor<'e>, query: Query) -> Result<Option<Row>, StoreError> {
    Ok(query.build()?.fetch_optional(executor).await.map_err(from_engine)?.map(Row))
}

/// Where a database is, and how to get at it.
#[derive(Clone, Debug)]
pub(crate) struct Location(PathBuf);

impl Location {
    pub(crate) fn new(path: &Path) -> Result<Self, StoreError> {
        let reason = |reason: String| StoreError::CannotOpen { path: path.to_owned(), reason };
        let path = std::path::absolute(path).map_err(|error| reason(error.to_string()))?;
        // The engine takes UTF-8 only.
        path.to_str().ok_or_else(|| reason("the path is not UTF-8".to_owned()))?;
        Ok(Self(path))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// The connection that writes, on a file that is one of ours or (with `fresh`) still empty; the schema is brought up to date.
    pub(crate) async fn open(&self, fresh: bool) -> Result<Conn, StoreError> {
        let opened = async {
            let mut conn = self.connect().await?;
            self.identify(&mut conn, fresh).await?;
            // Only now: another program's file must be left as it is.
            conn.run("PRAGMA journal_mode = WAL").await?;
            self.migrate(&mut conn).await?;
            Ok(conn)
        };
        opened.await.map_err(|error| self.why(error))
    }

    /// A writing connection to a file that [`Location::open`] has already judged.
    pub(crate) async fn connect(&self) -> Result<Conn, StoreError> {
        self.options(false).connect().await.map(Conn).map_err(from_engine)
    }

    /// A connection that only reads.
    pub(crate) async fn connect_reading(&self) -> Result<Conn, StoreError> {
        self.options(true).connect().await.map(Conn).map_err(from_engine)
    }

    pub(crate) fn pool(&self) -> Pool {
        let options = SqlitePoolOptions::new()
            .max_connections(READERS)
            .acquire_timeout(BUSY_TIMEOUT)
            .idle_timeout(None)
            .max_lifetime(None)
            .test_before_acquire(false);
        Pool(options.connect_lazy_with(self.options(true)))
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

    async fn identify(&self, conn: &mut Conn, fresh: bool) -> Result<(), StoreError> {
        let id = conn.first_number("PRAGMA application_id").await?;
        let tables = conn.first_number("SELECT COUNT(*) FROM sqlite_schema").await?;
        let ours = id == APPLICATION_ID || (fresh && id == 0 && tables == 0);
        if !ours {
            return Err(StoreError::NotOurs(self.0.clone()));
        }
        let found = conn.first_number("PRAGMA user_version").await?;
        let known = MIGRATIONS.len() as i64;
        if found > known {
            return Err(StoreError::SchemaTooNew { path: self.0.clone(), found, known });
        }
        Ok(())
    }

    /// All missing steps in one transaction: after a crash the file has the old schema or the new one.
    async fn migrate(&self, conn: &mut Conn) -> Result<(), StoreError> {
        conn.begin().await?;
        let found = usize::try_from(conn.first_number("PRAGMA user_version").await?).unwrap_or(0);
        for step in MIGRATIONS.iter().skip(found) {
            sqlx::raw_sql(*step).execute(&mut conn.0).await.map_err(from_engine)?;
        }
        if found < MIGRATIONS.len() {
            let marks = format!("PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {}", MIGRATIONS.len());
            sqlx::raw_sql(AssertSqlSafe(marks)).execute(&mut conn.0).await.map_err(from_engine)?;
        }
        conn.run("COMMIT").await
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
fn from_engine(error: sqlx::Error) -> StoreError {
    let said = error.to_string();
    let database = match error {
        sqlx::Error::Database(database) => database,
        sqlx::Error::PoolTimedOut => return StoreError::Busy,
        sqlx::Error::PoolClosed => return StoreError::Closed,
        sqlx::Error::Io(error) => return StoreError::Disk(error.to_string()),
        _ => return StoreError::Engine(said),
    };
    let code: i64 = database.code().and_then(|code| code.parse().ok()).unwrap_or(0);
    match (code & 0xff, code) {
        (5 | 6, _) => StoreError::Busy,
        (8, _) => StoreError::ReadOnly(PathBuf::new()),
        (10, _) => StoreError::Disk(said),
        (11, _) => StoreError::Damaged(said),
        (13, _) => StoreError::DiskFull,
        (14, _) => StoreError::CannotOpen { path: PathBuf::new(), reason: said },
        (26, _) => StoreError::NotADatabase(PathBuf::new()),
        (19, 1555 | 2067) => duplicate(database.message()),
        (19, 787) => DANGLING,
        (19, _) => StoreError::Refused(said),
        _ => StoreError::Engine(said),
    }
}

/// What there may be only one of, from the columns that the engine names.
fn duplicate(message: &str) -> StoreError {
    const NAMES: [(&str, &str); 13] = [
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
    ];
    let columns = message.rsplit_once(": ").map_or(message, |(_, columns)| columns);
    let what = NAMES.iter().find(|(column, _)| columns.starts_with(column)).map_or("row", |(_, what)| what);
    StoreError::Duplicate { what }
}
