//! PostgreSQL: a server that several nodes share. How it is reached, known as ours, brought up to date, and what its errors mean.
//!
//! **Writers take turns.** Each transaction begins with one advisory lock for the whole register and keeps it to its end, in `READ
//! COMMITTED`. So nobody else writes between a unit's questions and its commit: the next customer's id, the one open bundle, the last row
//! of the operation log stay what the unit saw, on any number of nodes, exactly as behind SQLite's `BEGIN IMMEDIATE`. Nothing fails to
//! serialize, nothing deadlocks, and nothing needs to be tried again, which a unit (`FnOnce`) could not be. What that costs is small:
//! nearly every unit appends to the one chain of the log and would wait for the others there, and those that wait share a commit. The
//! lock is taken in a statement of its own, so the snapshots of those behind it see all that was committed before. A lock on a row
//! (`SELECT … FOR UPDATE` on the head of the chain) would do the same for the log alone, at the price of a dead row for each commit.
//! Readers take no lock and wait for nobody.
//!
//! **Nothing hangs.** The server ends what takes too long (statements, waits for a lock, transactions that do nothing); we give up on a
//! server that says nothing at all. A connection that broke is replaced when it is next needed.

use std::future::Future;
use std::time::Duration;

use sqlx::postgres::{PgArguments, PgConnectOptions, PgConnection, PgPool, PgPoolOptions, PgRow, PgSslMode};
use sqlx::{Arguments as _, AssertSqlSafe, ConnectOptions as _, Postgres, Row as _};

use super::{Arg, Query, unreadable};
use crate::database::Server;
use crate::error::{DANGLING, StoreError};

/// The steps from an empty database to today's schema. Append; never edit one that was released.
const MIGRATIONS: [&str; 15] = [
    include_str!("../../migrations/postgres/0001_register.sql"),
    include_str!("../../migrations/postgres/0002_programs.sql"),
    include_str!("../../migrations/postgres/0003_questions_of_programs.sql"),
    include_str!("../../migrations/postgres/0004_recoveries.sql"),
    include_str!("../../migrations/postgres/0005_endings.sql"),
    include_str!("../../migrations/postgres/0006_kinds.sql"),
    include_str!("../../migrations/postgres/0007_checkpoints.sql"),
    include_str!("../../migrations/postgres/0008_api_keys.sql"),
    include_str!("../../migrations/postgres/0009_notices.sql"),
    include_str!("../../migrations/postgres/0010_facts.sql"),
    include_str!("../../migrations/postgres/0011_api_requests.sql"),
    include_str!("../../migrations/postgres/0012_moves.sql"),
    include_str!("../../migrations/postgres/0013_overview.sql"),
    include_str!("../../migrations/postgres/0014_customer_settings.sql"),
    include_str!("../../migrations/postgres/0015_webhooks.sql"),
];

/// Begins a transaction that writes: waits for the turn (see above). The number is `TEGATA`, 0, 1 in ASCII; such locks belong to one
/// database of a server. Called by its full name, so that nobody's function of the same name is called instead.
pub(super) const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; \
                                SELECT pg_catalog.pg_advisory_xact_lock(6072338018490974209)";

/// How many transactions of the server are over: the first number not yet given out, less those below it that still run. It grows by
/// one with each that ends, also in other databases of the server, so it may differ for nothing, but never stays the same for something.
const DATA_VERSION: &str = "SELECT pg_snapshot_xmax(s)::text::bigint - (SELECT count(*) FROM pg_snapshot_xip(s)) \
                            FROM pg_current_snapshot() AS s";

/// Connections that read, per process. With the one that writes, a server of 100 connections has room for ten nodes.
const READERS: u32 = 8;
/// How long we wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long we wait for an answer: longer than the server lets a statement run.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(35);
/// What the server is asked to watch over (milliseconds), and where tables are looked up. The server probes idle connections, so that a
/// firewall between us does not forget them.
const SETTINGS: [(&str, &str); 7] = [
    ("statement_timeout", "30000"),
    ("lock_timeout", "10000"),
    ("idle_in_transaction_session_timeout", "30000"),
    ("search_path", "public,pg_temp"),
    ("tcp_keepalives_idle", "60"),
    ("tcp_keepalives_interval", "10"),
    ("tcp_keepalives_count", "3"),
];

pub(super) fn build(query: Query) -> Result<sqlx::query::Query<'static, Postgres, PgArguments>, StoreError> {
    let mut arguments = PgArguments::default();
    for arg in query.args {
        let added = match arg {
            Arg::Int(value) => arguments.add(value),
            // The one character that a text of PostgreSQL cannot hold. No name of ours has it; whoever types it finds nothing.
            Arg::Text(value) => arguments.add(value.map(|text| text.replace('\0', "\u{fffd}"))),
            Arg::Blob(value) => arguments.add(value),
        };
        added.map_err(|error| StoreError::Engine(error.to_string()))?;
    }
    Ok(sqlx::query_with(AssertSqlSafe(query.text), arguments))
}

/// The server's answer, or that there was none.
pub(super) async fn answer<T>(asked: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, StoreError> {
    match tokio::time::timeout(ANSWER_TIMEOUT, asked).await {
        Ok(answer) => answer.map_err(said),
        Err(_) => Err(StoreError::Disconnected(format!("no answer for {} s", ANSWER_TIMEOUT.as_secs()))),
    }
}

async fn first_number(conn: &mut PgConnection, text: &'static str) -> Result<i64, StoreError> {
    answer(sqlx::query(text).fetch_one(conn)).await?.try_get(0).map_err(said)
}

/// A database of a server, and how to get at it.
#[derive(Clone)]
pub(crate) struct Place {
    server: Server,
    options: PgConnectOptions,
}

impl Place {
    pub(super) fn new(server: &Server) -> Result<Self, StoreError> {
        Ok(Self { server: server.clone(), options: options(server)? })
    }

    pub(super) fn server(&self) -> &Server {
        &self.server
    }

    pub(super) async fn open(&self, fresh: bool) -> Result<Box<PgConnection>, StoreError> {
        let mut conn = self.connect().await?;
        let known = MIGRATIONS.len() as i64;
        let found = schema(&mut conn).await?;
        if found.is_none_or(|found| found < known) {
            self.migrate(&mut conn, fresh).await?;
        }
        match schema(&mut conn).await? {
            Some(found) if found > known => {
                Err(StoreError::SchemaTooNew { place: self.server.to_string(), found, known })
            }
            _ => Ok(conn),
        }
    }

    pub(super) async fn connect(&self) -> Result<Box<PgConnection>, StoreError> {
        match tokio::time::timeout(CONNECT_TIMEOUT, self.options.connect()).await {
            Ok(connected) => connected.map(Box::new).map_err(|error| unreachable(&self.server, error)),
            Err(_) => Err(silent(&self.server)),
        }
    }

    pub(super) fn readers(&self) -> Readers {
        let pool = PgPoolOptions::new()
            .max_connections(READERS)
            .acquire_timeout(CONNECT_TIMEOUT)
            .idle_timeout(Duration::from_secs(600))
            .max_lifetime(Duration::from_secs(3600))
            // What is broken shows when it is used, and then another one is taken: no question before each question.
            .test_before_acquire(false);
        let options = self.options.clone().options([("default_transaction_read_only", "on")]);
        Readers { pool: pool.connect_lazy_with(options), server: self.server.clone() }
    }

    /// All missing steps in one transaction, one node at a time: after a crash the database has the old schema or the new one.
    async fn migrate(&self, conn: &mut PgConnection, fresh: bool) -> Result<(), StoreError> {
        let place = || self.server.to_string();
        answer(sqlx::raw_sql(BEGIN).execute(&mut *conn)).await?;
        let found = match schema(conn).await? {
            Some(found) => usize::try_from(found).unwrap_or(0),
            None if tables(conn, "").await? > 0 => return Err(StoreError::NotOurs(place())),
            None if !fresh => return Err(StoreError::Empty { place: place() }),
            None => 0,
        };
        for step in MIGRATIONS.iter().skip(found) {
            answer(sqlx::raw_sql(*step).execute(&mut *conn)).await?;
        }
        let mark = if found == 0 {
            "INSERT INTO tegata_schema (version) VALUES ($1)"
        } else {
            "UPDATE tegata_schema SET version = $1"
        };
        answer(sqlx::query(mark).bind(MIGRATIONS.len() as i64).execute(&mut *conn)).await?;
        answer(sqlx::raw_sql("COMMIT").execute(&mut *conn)).await.map(|_| ())
    }
}

/// The schema of a database of ours.
async fn schema(conn: &mut PgConnection) -> Result<Option<i64>, StoreError> {
    match tables(conn, "tegata_schema").await? {
        0 => Ok(None),
        _ => first_number(conn, "SELECT version FROM tegata_schema").await.map(Some),
    }
}

/// How many tables there are, of this name or (with none) of any.
async fn tables(conn: &mut PgConnection, name: &'static str) -> Result<i64, StoreError> {
    const COUNT: &str = "SELECT count(*) FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
                         WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p') AND ($1 = '' OR c.relname = $1)";
    answer(sqlx::query(COUNT).bind(name).fetch_one(conn)).await?.try_get(0).map_err(said)
}

/// Connections that cannot write.
#[derive(Clone)]
pub(crate) struct Readers {
    pool: PgPool,
    server: Server,
}

impl Readers {
    /// A question can be asked again: on a connection that broke since it was last used, the next one is tried.
    pub(super) async fn all(&self, query: &Query) -> Result<Vec<PgRow>, StoreError> {
        let mut broken = 0;
        loop {
            let mut conn = self.pool.acquire().await.map_err(|error| unreachable(&self.server, error))?;
            match answer(build(query.clone())?.fetch_all(&mut *conn)).await {
                Err(StoreError::Disconnected(reason)) => {
                    // What it was asked last may still be on its way: it is not used again.
                    drop(conn.detach());
                    broken += 1;
                    if broken > READERS {
                        return Err(StoreError::Unreachable { place: self.server.to_string(), reason });
                    }
                }
                done => return done,
            }
        }
    }

    pub(super) async fn optional(&self, query: &Query) -> Result<Option<PgRow>, StoreError> {
        Ok(self.all(query).await?.into_iter().next())
    }

    pub(super) async fn data_version(&self) -> Result<i64, StoreError> {
        let row = self.optional(&Query::new(DATA_VERSION)).await?;
        row.ok_or_else(|| unreadable("data_version"))?.try_get(0).map_err(said)
    }

    pub(super) async fn close(&self) {
        self.pool.close().await;
    }
}

/// Whether an address can be used; what is wrong with it is said without its password.
pub(crate) fn check_address(server: &Server) -> Result<(), StoreError> {
    options(server).map(|_| ())
}

/// Whether the server is another machine whose certificate and name are not both checked.
pub(crate) fn is_exposed(server: &Server) -> bool {
    options(server).is_ok_and(|options| !is_local(&options) && !matches!(options.get_ssl_mode(), PgSslMode::VerifyFull))
}

fn is_local(options: &PgConnectOptions) -> bool {
    let host = options.get_host();
    let address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
    options.get_socket().is_some() || host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

fn options(server: &Server) -> Result<PgConnectOptions, StoreError> {
    let address = server.address();
    let parsed: Result<PgConnectOptions, _> = address.parse();
    // The parser's words name the part that is wrong, not the whole address.
    let mut options = parsed.map_err(|error| {
        StoreError::Address(error.to_string().trim_start_matches("error with configuration: ").to_owned())
    })?;
    if !address.contains("sslmode=") && !is_local(&options) {
        options = options.ssl_mode(PgSslMode::VerifyFull);
    }
    if let Some(password) = server.password() {
        options = options.password(password);
    }
    Ok(options.application_name("tegata").options(SETTINGS).disable_statement_logging())
}

/// Why there is no connection.
fn unreachable(server: &Server, error: sqlx::Error) -> StoreError {
    let place = server.to_string();
    match &error {
        sqlx::Error::PoolClosed => StoreError::Closed,
        sqlx::Error::PoolTimedOut => silent(server),
        sqlx::Error::Database(database) => match database.code().as_deref() {
            Some("28P01" | "28000" | "42501") => {
                StoreError::AccessDenied { place, reason: database.message().to_owned() }
            }
            Some("3D000") => StoreError::NoDatabase { place },
            _ => StoreError::Unreachable { place, reason: database.message().to_owned() },
        },
        _ => StoreError::Unreachable { place, reason: error.to_string() },
    }
}

fn silent(server: &Server) -> StoreError {
    let reason = format!("no connection within {} s", CONNECT_TIMEOUT.as_secs());
    StoreError::Unreachable { place: server.to_string(), reason }
}

/// The server's error in our words (codes: PostgreSQL's manual, appendix A).
fn said(error: sqlx::Error) -> StoreError {
    let words = error.to_string();
    let database = match error {
        sqlx::Error::Database(database) => database,
        sqlx::Error::PoolClosed => return StoreError::Closed,
        sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::WorkerCrashed => {
            return StoreError::Disconnected(words);
        }
        // Half a message is how a connection ends, too.
        sqlx::Error::Protocol(_) => return StoreError::Disconnected(words),
        _ => return StoreError::Engine(words),
    };
    let code = database.code().unwrap_or_default();
    match (&code[..2.min(code.len())], &*code) {
        (_, "23505") => duplicate(database.constraint().unwrap_or_default()),
        (_, "23503") => DANGLING,
        // Rules of the schema, values that it cannot hold, and the triggers' own words.
        ("22" | "23", _) | (_, "P0001" | "54000") => StoreError::Refused(words),
        (_, "42501") => StoreError::Denied(database.message().to_owned()),
        (_, "55P03" | "40001" | "40P01") => StoreError::Busy,
        (_, "53100") => StoreError::DiskFull,
        ("58", _) => StoreError::Disk(words),
        ("XX", "XX001" | "XX002") => StoreError::Damaged(words),
        // The server is stopping, or somebody ended this connection; 25P03 is the server that waited for us too long.
        ("08", _) | (_, "57P01" | "57P02" | "57P03" | "57P05" | "25P03") => StoreError::Disconnected(words),
        _ => StoreError::Engine(words),
    }
}

/// What there may be only one of, from the constraint that the server names.
fn duplicate(constraint: &str) -> StoreError {
    const NAMES: [(&str, &str); 13] = [
        ("issuers_der", "issuer"),
        ("customers_pkey", "customer id"),
        ("customers_code_key", "customer code"),
        ("users_customer_id_name_key", "user name"),
        ("terminals_pkey", "terminal id"),
        ("terminals_customer_id_client_number_key", "client number"),
        ("certificates_fingerprint_key", "certificate"),
        ("certificates_serial_issuer_id_key", "serial"),
        ("server_certificates_serial_issuer_id_key", "serial"),
        ("bundles_pkey", "bundle"),
        ("bundles_open", "open bundle"),
        ("sessions_pkey", "session"),
        ("audit_pkey", "log entry"),
    ];
    let what = NAMES.iter().find(|(name, _)| *name == constraint).map_or("row", |(_, what)| what);
    StoreError::Duplicate { what }
}
