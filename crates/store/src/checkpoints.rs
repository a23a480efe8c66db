//! Checkpoints of the operation log and the public keys that they are checked with. What a checkpoint says is made and signed in
//! `authority::checkpoint`; here it is a line of text beside the place in the chain that it is about.

use tegata_core::access::{Reach, Scope};
use tegata_core::id::Fingerprint;
use tegata_core::time::Timestamp;

use crate::audit::Head;
use crate::db::{Query, Row};
use crate::{Reader, StoreError, Tx};

/// A checkpoint as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckpointRow {
    /// Its own number, from 1 without gaps.
    pub number: i64,
    /// The word of its kind.
    pub kind: String,
    /// Where the chain stood.
    pub head: Head,
    /// When it was signed.
    pub at: Timestamp,
    /// The whole of it, as it is published.
    pub line: String,
}

/// The public half of a key that signs checkpoints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogKeyRow {
    /// From 1; the last one signs.
    pub number: i64,
    /// SubjectPublicKeyInfo in DER.
    pub spki: Vec<u8>,
    /// Since when.
    pub added_at: Timestamp,
}

/// What the next checkpoint is made from, as the transaction sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogState {
    /// The hash of the first row; zero in an empty log.
    pub log: Fingerprint,
    /// The last row.
    pub head: Head,
    /// The last checkpoint, where there is one.
    pub last: Option<CheckpointRow>,
    /// The key that signs, where there is one.
    pub key: Option<LogKeyRow>,
}

const CHECKPOINTS: &str = "SELECT number, kind, sequence, hash, at, line FROM checkpoints WHERE 1 = 1";
const KEYS: &str = "SELECT number, spki, added_at FROM log_keys WHERE 1 = 1";

fn checkpoint(row: &Row) -> Result<CheckpointRow, StoreError> {
    Ok(CheckpointRow {
        number: row.int("number")?,
        kind: row.text("kind")?,
        head: Head { sequence: row.int("sequence")?, hash: row.bytes("hash")? },
        at: row.time("at")?,
        line: row.text("line")?,
    })
}

fn log_key(row: &Row) -> Result<LogKeyRow, StoreError> {
    Ok(LogKeyRow { number: row.int("number")?, spki: row.blob("spki")?, added_at: row.time("added_at")? })
}

fn head(row: &Row) -> Result<Head, StoreError> {
    Ok(Head { sequence: row.int("sequence")?, hash: row.bytes("hash")? })
}

/// They tell of all customers' rows together, and name none.
fn for_whoever_sees_anything(text: &'static str, scope: Scope) -> Query {
    Query::new(text).text(if scope.reach() == Reach::Nothing { " AND 1 = 0" } else { "" })
}

impl Reader {
    /// The checkpoints after a number, oldest first.
    pub async fn checkpoints(&self, scope: Scope, after: i64, limit: u32) -> Result<Vec<CheckpointRow>, StoreError> {
        let query = for_whoever_sees_anything(CHECKPOINTS, scope).with(" AND number > ", after);
        self.all(query.with(" ORDER BY number LIMIT ", limit), checkpoint).await
    }

    /// The newest checkpoint.
    pub async fn last_checkpoint(&self, scope: Scope) -> Result<Option<CheckpointRow>, StoreError> {
        let query = for_whoever_sees_anything(CHECKPOINTS, scope).text(" ORDER BY number DESC LIMIT 1");
        self.optional(query, checkpoint).await
    }

    /// The keys of the log, oldest first. They are public: whoever can see anything can see them.
    pub async fn log_keys(&self, scope: Scope) -> Result<Vec<LogKeyRow>, StoreError> {
        self.all(for_whoever_sees_anything(KEYS, scope).text(" ORDER BY number"), log_key).await
    }

    /// The end of the log.
    pub async fn audit_head(&self, scope: Scope) -> Result<Head, StoreError> {
        let query = for_whoever_sees_anything("SELECT sequence, hash FROM audit WHERE 1 = 1", scope);
        let found = self.optional(query.text(" ORDER BY sequence DESC LIMIT 1"), head).await?;
        Ok(found.unwrap_or(Head::EMPTY))
    }
}

impl Tx {
    /// Where the log stands in this transaction.
    pub async fn log_state(&mut self) -> Result<LogState, StoreError> {
        let ends = Query::new("SELECT sequence, hash FROM audit ORDER BY sequence LIMIT 1");
        let first = self.optional(ends, head).await?.unwrap_or(Head::EMPTY);
        let ends = Query::new("SELECT sequence, hash FROM audit ORDER BY sequence DESC LIMIT 1");
        let head = self.optional(ends, head).await?.unwrap_or(Head::EMPTY);
        let last = self.optional(Query::new(CHECKPOINTS).text(" ORDER BY number DESC LIMIT 1"), checkpoint).await?;
        let key = self.optional(Query::new(KEYS).text(" ORDER BY number DESC LIMIT 1"), log_key).await?;
        Ok(LogState { log: Fingerprint(first.hash), head, last, key })
    }

    /// Keeps a checkpoint. Its number must be the next one.
    pub async fn insert_checkpoint(&mut self, new: &CheckpointRow) -> Result<(), StoreError> {
        let query = Query::new(
            "INSERT INTO checkpoints (number, kind, sequence, hash, at, line) VALUES ($1, $2, $3, $4, $5, $6)",
        );
        let query = query.bind(new.number).bind(&*new.kind).bind(new.head.sequence).bind(new.head.hash).bind(new.at);
        self.execute(query.bind(&*new.line)).await.map(|_| ())
    }

    /// From now on this key signs.
    pub async fn insert_log_key(&mut self, spki: &[u8], now: Timestamp) -> Result<(), StoreError> {
        let query = Query::new(
            "INSERT INTO log_keys (number, spki, added_at) VALUES ((SELECT COALESCE(MAX(number), 0) + 1 FROM log_keys), $1, $2)",
        );
        self.execute(query.bind(spki.to_vec()).bind(now)).await.map(|_| ())
    }
}
