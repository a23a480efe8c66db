//! The operation log (操作ログ): a chain in which each row's hash covers the row before it, so that a row that was edited, removed, moved or
//! slipped in shows.
//!
//! The hash of a row is SHA-256 over [`DOMAIN`], the hash of the row before (32 zero bytes for the first) and the row's fields in the
//! order of [`Row`]: sequence, at, actor kind, actor name, customer, terminal, serial, action, outcome, detail. A field is its length as
//! four bytes, most significant first, and then its bytes: numbers as eight bytes, most significant first; texts as UTF-8; terminals and
//! serials as their 16 bytes. A field that is absent is the length `ff ff ff ff` alone, which no present field has.
//!
//! A chain that was cut off at its end is still a chain: only who knows a later [`Head`] can tell. Signed ones are what checkpoints are.

use std::collections::BTreeMap;

use aws_lc_rs::digest;
use futures_util::stream::{BoxStream, StreamExt as _, TryStreamExt as _, try_unfold};
use tegata_core::access::{Actor, Reach, Scope};
use tegata_core::audit::{Entry, Row};
use tegata_core::event::Event;
use tegata_core::id::{CustomerId, Serial, TerminalId};
use tegata_core::time::Timestamp;

use crate::db::{self, Query};
use crate::{Reader, StoreError, Telling, Tx};

/// Begins what is hashed, so that no hash made for another purpose can be passed off as one of ours.
pub const DOMAIN: &[u8] = b"tegata operation log row v1\n";
/// The hash before the first row.
const BEFORE_THE_FIRST: [u8; 32] = [0; 32];
/// How much is kept of an entry's detail, in characters.
const LONGEST_DETAIL: usize = 500;
/// How many rows are read at a time when the whole log is.
const PAGE: u32 = 1000;

/// The end of a chain: what an operator writes down to be able to tell later that nothing was cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The last row's place; 0 in an empty log.
    pub sequence: i64,
    /// The last row's hash.
    pub hash: [u8; 32],
}

impl Head {
    /// The head of an empty log.
    pub const EMPTY: Self = Self { sequence: 0, hash: BEFORE_THE_FIRST };
}

/// How a chain is broken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// A row is missing, or rows are not in their order.
    #[error("row {expected} of the operation log is missing; row {found} is in its place")]
    Gap {
        /// The place.
        expected: i64,
        /// What stands there.
        found: i64,
    },
    /// A row's fields do not give its hash: it, or the row before it, was edited.
    #[error(
        "row {sequence} of the operation log was changed after it was written, or does not belong after the row before it"
    )]
    Changed {
        /// Its place.
        sequence: i64,
    },
    /// The known row is not in the log any more.
    #[error("the operation log ends at row {found}, but row {known} was once written")]
    Truncated {
        /// The place of the known row.
        known: i64,
        /// Where the log ends.
        found: i64,
    },
    /// Another row stands where the known one did: the log was written anew from somewhere before it.
    #[error("row {sequence} of the operation log is not the one that was once written")]
    Rewritten {
        /// The place of the known row.
        sequence: i64,
    },
}

/// Checks a chain row by row.
#[derive(Clone, Debug)]
pub struct Verifier {
    head: Head,
    known: BTreeMap<i64, [u8; 32]>,
}

impl Verifier {
    /// From the first row on. `known` are heads that were seen at some time before: at most one for each place.
    pub fn new(known: impl IntoIterator<Item = Head>) -> Self {
        Self { head: Head::EMPTY, known: known.into_iter().map(|head| (head.sequence, head.hash)).collect() }
    }

    /// Where it stands: the last row that was taken.
    pub fn head(&self) -> Head {
        self.head
    }

    /// Takes the next row.
    pub fn check(&mut self, row: &Row) -> Result<(), Broken> {
        let expected = self.head.sequence + 1;
        if row.sequence != expected {
            return Err(Broken::Gap { expected, found: row.sequence });
        }
        if row.hash != hash(&self.head.hash, row) {
            return Err(Broken::Changed { sequence: row.sequence });
        }
        self.head = Head { sequence: row.sequence, hash: row.hash };
        match self.known.get(&row.sequence) {
            Some(known) if *known != row.hash => Err(Broken::Rewritten { sequence: row.sequence }),
            _ => Ok(()),
        }
    }

    /// There are no more rows. Answers with the head, to be written down.
    pub fn finish(self) -> Result<Head, Broken> {
        match self.known.last_key_value() {
            Some((known, _)) if *known > self.head.sequence => {
                Err(Broken::Truncated { known: *known, found: self.head.sequence })
            }
            _ => Ok(self.head),
        }
    }
}

/// Checks a whole chain, in its order, against a head that was seen before.
pub fn verify<'r>(
    rows: impl IntoIterator<Item = &'r Row>,
    known: impl IntoIterator<Item = Head>,
) -> Result<Head, Broken> {
    let mut verifier = Verifier::new(known);
    rows.into_iter().try_for_each(|row| verifier.check(row))?;
    verifier.finish()
}

/// The hash of a row after the row with the hash `previous`; the row's own field of that name is not looked at.
pub fn hash(previous: &[u8; 32], row: &Row) -> [u8; 32] {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(DOMAIN);
    context.update(previous);
    let mut field = |bytes: Option<&[u8]>| match bytes {
        Some(bytes) => {
            let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX - 1);
            context.update(&length.to_be_bytes());
            context.update(bytes);
        }
        None => context.update(&u32::MAX.to_be_bytes()),
    };
    field(Some(&row.sequence.to_be_bytes()));
    field(Some(&row.at.0.to_be_bytes()));
    field(Some(row.actor_kind.as_bytes()));
    field(Some(row.actor_name.as_bytes()));
    field(row.customer.map(|customer| i64::from(customer.number()).to_be_bytes()).as_ref().map(|bytes| &bytes[..]));
    field(row.terminal.as_ref().map(|terminal| &terminal.0.as_bytes()[..]));
    field(row.serial.as_ref().map(|serial| &serial.as_bytes()[..]));
    field(Some(row.action.as_bytes()));
    field(Some(row.outcome.as_bytes()));
    field(Some(row.detail.as_bytes()));
    let mut bytes = [0; 32];
    bytes.copy_from_slice(context.finish().as_ref());
    bytes
}

/// Which rows of the log to list. The default lists all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Of this customer.
    pub customer: Option<CustomerId>,
    /// About this terminal.
    pub terminal: Option<TerminalId>,
    /// About this certificate.
    pub serial: Option<Serial>,
    /// Of this kind: an action's word.
    pub action: Option<String>,
    /// Of one of these kinds.
    pub actions: Option<Vec<String>>,
    /// By the person with this name.
    pub person: Option<String>,
    /// Written at this instant or later.
    pub from: Option<Timestamp>,
    /// Written before this instant.
    pub before: Option<Timestamp>,
}

const SELECT: &str = "SELECT sequence, at, actor_kind, actor_name, customer_id, terminal_id, serial, action, outcome, detail, hash \
                      FROM audit WHERE 1 = 1";

pub(crate) fn row(row: &db::Row) -> Result<Row, StoreError> {
    Ok(Row {
        sequence: row.int("sequence")?,
        at: row.time("at")?,
        actor_kind: row.text("actor_kind")?,
        actor_name: row.text("actor_name")?,
        customer: row.opt_customer("customer_id")?,
        terminal: row.opt_terminal("terminal_id")?,
        serial: row.opt_bytes("serial")?.map(Serial::from_bytes),
        action: row.text("action")?,
        outcome: row.text("outcome")?,
        detail: row.text("detail")?,
        hash: row.bytes("hash")?,
    })
}

/// What a filter lets through.
fn filtered(query: Query, filter: &AuditFilter) -> Query {
    let mut query = query;
    if let Some(customer) = filter.customer {
        query = query.with(" AND customer_id = ", customer);
    }
    if let Some(terminal) = filter.terminal {
        query = query.with(" AND terminal_id = ", terminal);
    }
    if let Some(serial) = filter.serial {
        query = query.with(" AND serial = ", serial);
    }
    if let Some(action) = &filter.action {
        query = query.with(" AND action = ", action.as_str());
    }
    if let Some(actions) = &filter.actions {
        query =
            actions.iter().fold(query.text(" AND action IN (''"), |query, action| query.with(", ", action.as_str()));
        query = query.text(")");
    }
    if let Some(person) = &filter.person {
        query = query.text(" AND actor_kind = 'user'").with(" AND actor_name = ", person.as_str());
    }
    if let Some(from) = filter.from {
        query = query.with(" AND at >= ", from);
    }
    if let Some(before) = filter.before {
        query = query.with(" AND at < ", before);
    }
    query
}

pub(crate) fn listed(scope: Scope, filter: &AuditFilter, before: Option<i64>, limit: u32) -> Query {
    let mut query = filtered(Query::new(SELECT), filter);
    if let Some(before) = before {
        query = query.with(" AND sequence < ", before);
    }
    let query = query.within(scope, " AND terminal_id = ", " AND customer_id = ");
    query.with(" ORDER BY sequence DESC LIMIT ", limit)
}

/// The newest rows that somebody should look at: the words of the index `audit_alarms`.
pub(crate) fn alarms(scope: Scope, limit: u32) -> Query {
    let query = Query::new(SELECT).text(" AND action IN ('terminal.clone-suspected', 'terminal.lost', 'login.locked')");
    query.within(scope, " AND terminal_id = ", " AND customer_id = ").with(" ORDER BY sequence DESC LIMIT ", limit)
}

impl Reader {
    /// The newest rows before `before` (or of all), newest first.
    pub async fn audit_rows(&self, scope: Scope, before: Option<i64>, limit: u32) -> Result<Vec<Row>, StoreError> {
        self.audit_rows_of(scope, &AuditFilter::default(), before, limit).await
    }

    /// The same, only those that a filter lets through.
    pub async fn audit_rows_of(
        &self,
        scope: Scope,
        filter: &AuditFilter,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<Row>, StoreError> {
        self.all(listed(scope, filter, before, limit), row).await
    }

    /// The whole log in its order, for [`Verifier`]; rows that are written meanwhile come too. Only for a scope that sees everything:
    /// a chain with holes proves nothing.
    pub fn audit_all(&self, scope: Scope) -> BoxStream<'static, Result<Row, StoreError>> {
        let rows = self.clone().pages(scope, |_, query| query);
        let all = (scope.reach() == Reach::Everything).then_some(rows);
        futures_util::stream::iter(all).flatten().boxed()
    }

    /// The rows that a filter lets through, in their order.
    pub fn audit_part(&self, scope: Scope, filter: AuditFilter) -> BoxStream<'static, Result<Row, StoreError>> {
        self.clone().pages(scope, move |scope, query| {
            filtered(query, &filter).within(scope, " AND terminal_id = ", " AND customer_id = ")
        })
    }

    /// Page by page, so that a long log is never in memory as a whole.
    fn pages(
        self,
        scope: Scope,
        narrowed: impl Fn(Scope, Query) -> Query + Send + 'static,
    ) -> BoxStream<'static, Result<Row, StoreError>> {
        // From the very first number there is: a row before the first is a forged one, and the verifier must see it.
        let pages = try_unfold((Some(i64::MIN), narrowed), move |(last, narrowed)| {
            let reader = self.clone();
            async move {
                let Some(last) = last else { return Ok(None) };
                let query = narrowed(scope, Query::new(SELECT).with(" AND sequence > ", last));
                let rows = reader.all(query.with(" ORDER BY sequence LIMIT ", PAGE), row).await?;
                let Some(next) = rows.last().map(|row| row.sequence) else { return Ok(None) };
                Ok(Some((futures_util::stream::iter(rows.into_iter().map(Ok)), (Some(next), narrowed))))
            }
        });
        pages.try_flatten().boxed()
    }

    /// The hash of one row of the log, whosever it is: what the next row's hash begins with.
    pub async fn audit_hash(&self, scope: Scope, sequence: i64) -> Result<Option<[u8; 32]>, StoreError> {
        if scope.reach() == Reach::Nothing {
            return Ok(None);
        }
        let query = Query::new("SELECT hash FROM audit WHERE 1 = 1").with(" AND sequence = ", sequence);
        self.optional(query, |row| row.bytes("hash")).await
    }
}

/// A text that every engine keeps as it is, so that its hash stays true: PostgreSQL has no place for a zero in a text.
fn storable(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

impl Tx {
    /// Other programs hear of a row in its own transaction. Its hash names it for them: it is the only one of its kind, after a restore too.
    async fn tell_of(&mut self, entry: &Entry, head: &Head) -> Result<(), StoreError> {
        let about = (Event::of(entry), entry.customer, entry.terminal, entry.serial);
        let (Some(event), Some(customer), Some(terminal), Some(serial)) = about else { return Ok(()) };
        let name: String = head.hash.iter().take(12).map(|byte| format!("{byte:02x}")).collect();
        let telling = Telling { event, key: format!("log-{name}"), customer, terminal, serial, at: entry.at };
        self.tell(&telling, None).await.map(|_| ())
    }

    /// Writes an entry as the next row of the chain. The row before it is read here, since another process may have written it; from
    /// here to the commit nobody else writes.
    pub async fn append_audit(&mut self, entry: &Entry) -> Result<Head, StoreError> {
        let last = Query::new("SELECT sequence, hash FROM audit ORDER BY sequence DESC LIMIT 1");
        let read = |row: &db::Row| Ok(Head { sequence: row.int("sequence")?, hash: row.bytes("hash")? });
        let previous = match self.head {
            Some(head) => head,
            None => self.optional(last, read).await?.unwrap_or(Head::EMPTY),
        };
        let mut row = Row {
            sequence: previous.sequence + 1,
            at: entry.at,
            actor_kind: entry.actor.kind().to_owned(),
            actor_name: storable(entry.actor.name()),
            customer: entry.customer,
            terminal: entry.terminal,
            serial: entry.serial,
            action: entry.action.as_str().to_owned(),
            outcome: entry.outcome.as_str().to_owned(),
            detail: storable(&entry.detail).chars().take(LONGEST_DETAIL).collect(),
            hash: BEFORE_THE_FIRST,
        };
        row.hash = hash(&previous.hash, &row);
        let head = Head { sequence: row.sequence, hash: row.hash };
        let query = Query::new(
            "INSERT INTO audit (sequence, at, actor_kind, actor_name, customer_id, terminal_id, serial, action, outcome, detail, hash) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        )
        .bind(row.sequence)
        .bind(row.at)
        .bind(row.actor_kind)
        .bind(row.actor_name)
        .bind(row.customer)
        .bind(row.terminal)
        .bind(row.serial)
        .bind(row.action)
        .bind(row.outcome)
        .bind(row.detail)
        .bind(row.hash);
        self.execute(query).await?;
        self.head = Some(head);
        // Whatever a program has done is in the log, so a request of its is marked as carried out exactly when it was.
        if let Actor::Program(program) = &entry.actor
            && let Some(request) = &program.request
        {
            self.mark_api_request(program, request, entry.at).await?;
        }
        self.tell_of(entry, &head).await?;
        Ok(head)
    }
}
