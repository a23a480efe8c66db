//! The one module that knows the engines: SQLite, by way of rusqlite, and PostgreSQL, by way of sqlx. Everybody else writes plain SQL
//! text with numbered parameters, the same for both, and reads columns by name. What differs between them stands in `db/sqlite.rs` and
//! `db/postgres.rs`.
//!
//! Schemas are brought up to date by runners of our own, thirty lines long: sqlx's would need its macros (a compiler plug-in) and keeps
//! a table of its own, where a file's header already has a place for exactly this number.

mod postgres;
mod sqlite;

use std::borrow::Cow;

use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{Connection as _, Row as _};
use tegata_core::access::{Actor, Reach, Scope};
use tegata_core::id::{CertificateId, CustomerId, Fingerprint, IssuerId, KeyHash, Serial, TerminalId, UserId};
use tegata_core::time::Timestamp;

use crate::database::Database;
use crate::error::StoreError;
use crate::reader::Reader;
use crate::snapshot::Snapshot;

pub(crate) use postgres::{check_address, is_exposed};

/// One value handed to a statement. What is absent has a type all the same: PostgreSQL asks for it.
#[derive(Clone, Debug)]
pub(crate) enum Arg {
    Int(Option<i64>),
    Text(Option<String>),
    Blob(Option<Vec<u8>>),
}

macro_rules! arg_from {
    ($($from:ty => $kind:ident |$value:ident| $inner:expr;)*) => {
        $(impl From<$from> for Arg {
            fn from($value: $from) -> Self {
                Self::$kind(Some($inner))
            }
        }

        impl From<Option<$from>> for Arg {
            fn from(value: Option<$from>) -> Self {
                Self::$kind(value.map(|$value| $inner))
            }
        })*
    };
}
arg_from! {
    i64 => Int |value| value;
    u32 => Int |value| value.into();
    &str => Text |value| value.to_owned();
    String => Text |value| value;
    Vec<u8> => Blob |value| value;
    [u8; 32] => Blob |value| value.to_vec();
    Timestamp => Int |value| value.0;
    UserId => Int |value| value.0;
    CertificateId => Int |value| value.0;
    IssuerId => Int |value| value.0;
    CustomerId => Int |value| value.number().into();
    TerminalId => Blob |value| value.0.as_bytes().to_vec();
    Serial => Blob |value| value.as_bytes().to_vec();
    Fingerprint => Blob |value| value.0.to_vec();
    KeyHash => Blob |value| value.0.to_vec();
}

/// A statement and its values. Its text is made of constants only; whatever comes from outside is a value.
#[derive(Clone, Debug)]
pub(crate) struct Query {
    text: Cow<'static, str>,
    args: Vec<Arg>,
}

impl Query {
    /// A statement whose text already names its parameters `$1`, `$2`, …; the values follow by [`Query::bind`] in that order.
    pub(crate) fn new(text: &'static str) -> Self {
        Self { text: Cow::Borrowed(text), args: Vec::new() }
    }

    /// The value of the next parameter.
    pub(crate) fn bind(mut self, value: impl Into<Arg>) -> Self {
        self.args.push(value.into());
        self
    }

    /// More text.
    pub(crate) fn text(mut self, text: &'static str) -> Self {
        self.text.to_mut().push_str(text);
        self
    }

    /// More text that ends with a value: `.with(" AND issuer_id = ", issuer)`.
    pub(crate) fn with(mut self, text: &'static str, value: impl Into<Arg>) -> Self {
        self.args.push(value.into());
        let all = self.text.to_mut();
        all.push_str(text);
        all.push('$');
        all.push_str(&self.args.len().to_string());
        self
    }

    /// Keeps the statement's answer inside a scope. `terminal_is` and `customer_is` are the comparisons of the table's own columns
    /// (`" AND c.terminal_id = "`); it must already have a `WHERE`.
    pub(crate) fn within(self, scope: Scope, terminal_is: &'static str, customer_is: &'static str) -> Self {
        match scope.reach() {
            Reach::Everything | Reach::Everybody { .. } => self,
            Reach::Nothing => self.text(" AND 1 = 0"),
            Reach::Terminal { terminal, customer } => self.with(terminal_is, terminal).with(customer_is, customer),
            Reach::Customer(customer) => self.with(customer_is, customer),
        }
    }

    /// The same for rows that hold something secret, sealed or not.
    pub(crate) fn within_secrets(self, scope: Scope, terminal_is: &'static str, customer_is: &'static str) -> Self {
        match scope.reach() {
            Reach::Everybody { terminal, customer } => self.with(terminal_is, terminal).with(customer_is, customer),
            _ => self.within(scope, terminal_is, customer_is),
        }
    }

    /// The same for rows that belong to a customer but to none of its terminals.
    pub(crate) fn within_customer(self, scope: Scope, customer_is: &'static str) -> Self {
        match scope.reach() {
            Reach::Everything | Reach::Everybody { .. } => self,
            Reach::Nothing => self.text(" AND 1 = 0"),
            Reach::Terminal { customer, .. } | Reach::Customer(customer) => self.with(customer_is, customer),
        }
    }

    /// The same for rows that only those see who see the whole customer.
    pub(crate) fn within_whole_customer(self, scope: Scope, customer_is: &'static str) -> Self {
        match scope.reach() {
            Reach::Everything | Reach::Everybody { .. } => self,
            Reach::Nothing | Reach::Terminal { .. } => self.text(" AND 1 = 0"),
            Reach::Customer(customer) => self.with(customer_is, customer),
        }
    }

    /// Asks how the engine would go about it.
    #[cfg(test)]
    pub(crate) fn explained(mut self) -> Self {
        self.text.to_mut().insert_str(0, "EXPLAIN QUERY PLAN ");
        self
    }
}

/// One row of an answer.
pub(crate) enum Row<'r> {
    Sqlite(sqlite::Cells<'r>),
    Postgres(&'r PgRow),
}

impl Row<'_> {
    pub(crate) fn opt_int(&self, column: &'static str) -> Result<Option<i64>, StoreError> {
        match self {
            Self::Sqlite(row) => row.value(column).map_err(|_| unreadable(column)),
            Self::Postgres(row) => row.try_get(column).map_err(|_| unreadable(column)),
        }
    }

    pub(crate) fn int(&self, column: &'static str) -> Result<i64, StoreError> {
        self.opt_int(column)?.ok_or_else(|| unreadable(column))
    }

    pub(crate) fn opt_text(&self, column: &'static str) -> Result<Option<String>, StoreError> {
        match self {
            Self::Sqlite(row) => row.value(column).map_err(|_| unreadable(column)),
            Self::Postgres(row) => row.try_get(column).map_err(|_| unreadable(column)),
        }
    }

    pub(crate) fn text(&self, column: &'static str) -> Result<String, StoreError> {
        self.opt_text(column)?.ok_or_else(|| unreadable(column))
    }

    pub(crate) fn opt_blob(&self, column: &'static str) -> Result<Option<Vec<u8>>, StoreError> {
        match self {
            Self::Sqlite(row) => row.value(column).map_err(|_| unreadable(column)),
            Self::Postgres(row) => row.try_get(column).map_err(|_| unreadable(column)),
        }
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

/// One connection. Dropping it closes it. SQLite does its work where it is called, so a connection to a file belongs on a thread that may
/// wait.
pub(crate) enum Conn {
    Sqlite(rusqlite::Connection),
    Postgres(Box<PgConnection>),
}

impl Conn {
    pub(crate) async fn execute(&mut self, query: Query) -> Result<u64, StoreError> {
        match self {
            Self::Sqlite(conn) => sqlite::execute(conn, &query),
            Self::Postgres(conn) => {
                let done = postgres::answer(postgres::build(query)?.execute(&mut **conn)).await?;
                Ok(done.rows_affected())
            }
        }
    }

    pub(crate) async fn all<T>(&mut self, query: Query, read: impl Read<T>) -> Result<Vec<T>, StoreError> {
        match self {
            Self::Sqlite(conn) => sqlite::all(conn, &query, read),
            Self::Postgres(conn) => {
                let rows = postgres::answer(postgres::build(query)?.fetch_all(&mut **conn)).await?;
                rows.iter().map(|row| read(&Row::Postgres(row))).collect()
            }
        }
    }

    pub(crate) async fn optional<T>(&mut self, query: Query, read: impl Read<T>) -> Result<Option<T>, StoreError> {
        match self {
            Self::Sqlite(conn) => sqlite::optional(conn, &query, read),
            Self::Postgres(conn) => {
                let row = postgres::answer(postgres::build(query)?.fetch_optional(&mut **conn)).await?;
                row.map(|row| read(&Row::Postgres(&row))).transpose()
            }
        }
    }

    /// Takes the right to write, waiting for others who have it.
    pub(crate) async fn begin(&mut self) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(_) => self.run("BEGIN IMMEDIATE").await,
            Self::Postgres(_) => self.run(postgres::BEGIN).await,
        }
    }

    /// Runs text that has no values and no answer.
    pub(crate) async fn run(&mut self, text: &'static str) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(conn) => sqlite::run(conn, text),
            // One message there, one back; nothing is prepared for it.
            Self::Postgres(conn) => postgres::answer(sqlx::raw_sql(text).execute(&mut **conn)).await.map(|_| ()),
        }
    }

    /// Makes the transaction last. When the server goes away in the middle of it, nobody here can know whether it did.
    pub(crate) async fn commit(&mut self) -> Result<(), StoreError> {
        self.run("COMMIT").await.map_err(|error| match error {
            StoreError::Disconnected(reason) => StoreError::OutcomeUnknown(reason),
            error => error,
        })
    }

    /// Writes the journal back into the file and empties it. False when somebody was still reading from it. A server does that by
    /// itself.
    pub(crate) async fn checkpoint(&mut self) -> Result<bool, StoreError> {
        match self {
            Self::Sqlite(conn) => sqlite::checkpoint(conn),
            Self::Postgres(_) => Ok(true),
        }
    }

    pub(crate) async fn close(self) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(conn) => conn.close().map_err(|(_, error)| sqlite::said(error)),
            Self::Postgres(conn) => postgres::answer(conn.close()).await,
        }
    }
}

/// Makes a value of a row.
pub(crate) trait Read<T>: Fn(&Row<'_>) -> Result<T, StoreError> {}

impl<T, F: Fn(&Row<'_>) -> Result<T, StoreError>> Read<T> for F {}

/// Connections that only read.
#[derive(Clone)]
pub(crate) enum Pool {
    Sqlite(sqlite::Readers),
    Postgres(postgres::Readers),
}

impl Pool {
    pub(crate) async fn all<T, R>(&self, query: Query, read: R) -> Result<Vec<T>, StoreError>
    where
        T: Send + 'static,
        R: Read<T> + Send + 'static,
    {
        match self {
            Self::Sqlite(pool) => pool.all(query, read).await,
            Self::Postgres(pool) => pool.all(&query).await?.iter().map(|row| read(&Row::Postgres(row))).collect(),
        }
    }

    pub(crate) async fn optional<T>(&self, query: Query, read: impl Read<T>) -> Result<Option<T>, StoreError> {
        match self {
            Self::Sqlite(pool) => pool.optional(&query, read).await,
            Self::Postgres(pool) => {
                let row = pool.optional(&query).await?;
                row.map(|row| read(&Row::Postgres(&row))).transpose()
            }
        }
    }

    pub(crate) async fn close(&self) {
        match self {
            Self::Sqlite(pool) => pool.close().await,
            Self::Postgres(pool) => pool.close().await,
        }
    }
}

/// Notices commits.
pub(crate) enum Watcher {
    /// A connection that never writes, so that it sees every commit as somebody else's.
    Sqlite(rusqlite::Connection),
    Postgres(postgres::Readers),
}

impl Watcher {
    /// A number that differs from the last one when anybody, in this process or another, has committed in between.
    pub(crate) async fn data_version(&mut self) -> Result<i64, StoreError> {
        match self {
            Self::Sqlite(conn) => sqlite::first_number(conn, "PRAGMA data_version"),
            Self::Postgres(pool) => pool.data_version().await,
        }
    }

    pub(crate) async fn close(self) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(conn) => conn.close().map_err(|(_, error)| sqlite::said(error)),
            Self::Postgres(pool) => {
                pool.close().await;
                Ok(())
            }
        }
    }
}

/// Where a database is, and how to get at it.
#[derive(Clone)]
pub(crate) enum Location {
    Sqlite(sqlite::Place),
    Postgres(Box<postgres::Place>),
}

impl Location {
    pub(crate) fn new(database: &Database) -> Result<Self, StoreError> {
        match database {
            Database::File(path) => sqlite::Place::new(path).map(Self::Sqlite),
            Database::Server(server) => Ok(Self::Postgres(Box::new(postgres::Place::new(server)?))),
        }
    }

    /// The same, with a file's path made absolute.
    pub(crate) fn database(&self) -> Database {
        match self {
            Self::Sqlite(place) => place.path().into(),
            Self::Postgres(place) => Database::Server(place.server().clone()),
        }
    }

    /// The connection that writes, to a database that is one of ours or (with `fresh`) still empty; the schema is brought up to date.
    pub(crate) async fn open(&self, fresh: bool) -> Result<Conn, StoreError> {
        match self {
            Self::Sqlite(place) => {
                let place = place.clone();
                let opened = tokio::task::spawn_blocking(move || place.open(fresh)).await;
                opened.map_err(|error| StoreError::Engine(error.to_string()))?.map(Conn::Sqlite)
            }
            Self::Postgres(place) => place.open(fresh).await.map(Conn::Postgres),
        }
    }

    /// A writing connection to a database that [`Location::open`] has already judged.
    pub(crate) async fn connect(&self) -> Result<Conn, StoreError> {
        match self {
            Self::Sqlite(place) => place.connect(false).map(Conn::Sqlite),
            Self::Postgres(place) => place.connect().await.map(Conn::Postgres),
        }
    }

    /// A copy of the whole, where it is a file, and the end of the log in it.
    pub(crate) async fn snapshot(&self, reader: &Reader) -> Result<Snapshot, StoreError> {
        let Self::Sqlite(place) = self else {
            let head = reader.audit_head(Actor::System { job: "backup" }.scope()).await?;
            return Ok(Snapshot { database: None, head });
        };
        let place = place.clone();
        let copied = tokio::task::spawn_blocking(move || place.snapshot()).await;
        let (database, head) = copied.map_err(|error| StoreError::Engine(error.to_string()))??;
        Ok(Snapshot { database: Some(database), head })
    }

    /// What reads, and what notices that something is new.
    pub(crate) async fn readers(&self) -> Result<(Pool, Watcher), StoreError> {
        match self {
            Self::Sqlite(place) => Ok((Pool::Sqlite(place.readers()), Watcher::Sqlite(place.connect(true)?))),
            Self::Postgres(place) => {
                let pool = place.readers();
                Ok((Pool::Postgres(pool.clone()), Watcher::Postgres(pool)))
            }
        }
    }
}
