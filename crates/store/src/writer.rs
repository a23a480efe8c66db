//! The one that writes: it owns a connection, takes the units that wait, runs each inside a savepoint of its own and commits them
//! together. Durability is never weakened for speed; commits are shared. A lone unit is committed at once. Before a server it is a task,
//! before a file a thread, since the engine works and waits for the disk where it is called.
//!
//! A statement that fails fails its unit, whatever the unit makes of it: PostgreSQL does nothing more in a transaction after an error, and
//! what holds for one engine holds for both.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::sync::{mpsc, oneshot, watch};

use crate::audit::Head;
use crate::db::{Conn, Location, Query, Read};
use crate::error::StoreError;

/// How many units share one commit at most: beyond this the commit's cost is small against the units' own (measured), and the first
/// one would only wait longer.
const TOGETHER: usize = 64;

/// A transaction, as a unit of work sees it. Its operations stand in the modules of the things they are about.
pub struct Tx {
    conn: Conn,
    /// Set when the engine may have given up the whole transaction; from then on nothing more is done in it.
    fault: Option<StoreError>,
    /// Set when a statement of the unit that runs has failed; from then on nothing more is done for that unit.
    failed: Option<StoreError>,
    /// The end of the operation log as this transaction has written it; nobody else can write to it meanwhile.
    pub(crate) head: Option<Head>,
}

impl Tx {
    fn new(conn: Conn) -> Self {
        Self { conn, fault: None, failed: None, head: None }
    }

    pub(crate) async fn execute(&mut self, query: Query) -> Result<u64, StoreError> {
        self.usable()?;
        let done = self.conn.execute(query).await;
        self.note(done)
    }

    pub(crate) async fn all<T>(&mut self, query: Query, read: impl Read<T>) -> Result<Vec<T>, StoreError> {
        self.usable()?;
        let rows = self.conn.all(query, |row| Ok(read(row))).await;
        self.note(rows)?.into_iter().collect()
    }

    pub(crate) async fn optional<T>(&mut self, query: Query, read: impl Read<T>) -> Result<Option<T>, StoreError> {
        self.usable()?;
        let row = self.conn.optional(query, |row| Ok(read(row))).await;
        self.note(row)?.transpose()
    }

    /// The one row of a statement that always has one.
    pub(crate) async fn one<T>(&mut self, query: Query, read: impl Read<T>) -> Result<T, StoreError> {
        let row = self.optional(query, read).await?;
        row.ok_or_else(|| StoreError::Damaged("a statement that always answers did not".to_owned()))
    }

    fn whole(&self) -> Result<(), StoreError> {
        self.fault.clone().map_or(Ok(()), Err)
    }

    fn usable(&self) -> Result<(), StoreError> {
        self.whole()?;
        self.failed.clone().map_or(Ok(()), Err)
    }

    fn note<T>(&mut self, result: Result<T, StoreError>) -> Result<T, StoreError> {
        if let Err(error) = &result {
            self.failed = Some(error.clone());
            if error.ends_transaction() {
                self.fault = Some(error.clone());
            }
        }
        result
    }
}

/// What the writer is asked to do.
pub(crate) enum Message {
    Unit(Unit),
    Checkpoint(oneshot::Sender<Result<bool, StoreError>>),
    Close,
}

/// A unit of work whose result type is hidden. It is given a transaction, or the reason why there is none.
pub(crate) type Unit = Box<dyn for<'t> FnOnce(Result<&'t mut Tx, StoreError>) -> BoxFuture<'t, Ran> + Send>;

/// A unit that has run and whose caller still waits for the commit.
pub(crate) struct Ran {
    /// Whether what it did is to be kept.
    keep: bool,
    /// Tells the caller; takes the error of the commit, if there was one.
    answer: Box<dyn FnOnce(Option<StoreError>) + Send>,
}

/// Hides a unit's result type.
pub(crate) fn erase<T, E, F>(unit: F, answer: oneshot::Sender<Result<T, E>>) -> Unit
where
    F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T, E>> + Send + 'static,
    T: Send + 'static,
    E: From<StoreError> + Send + 'static,
{
    Box::new(move |tx| {
        Box::pin(async move {
            let result = match tx {
                Ok(tx) => AssertUnwindSafe(async move { unit(tx).await })
                    .catch_unwind()
                    .await
                    .unwrap_or_else(|_| Err(StoreError::Panicked.into())),
                Err(error) => Err(error.into()),
            };
            Ran {
                keep: result.is_ok(),
                answer: Box::new(move |fault| {
                    let result = match (result, fault) {
                        (Ok(_), Some(error)) => Err(error.into()),
                        (result, _) => result,
                    };
                    // A caller that no longer waits does not need the answer.
                    let _ = answer.send(result);
                }),
            }
        })
    })
}

/// Starts it. What is answered resolves when it has ended.
pub(crate) fn start(
    location: Location,
    conn: Conn,
    queue: mpsc::Receiver<Message>,
    commits: watch::Sender<u64>,
) -> Result<oneshot::Receiver<()>, StoreError> {
    let (ended, end) = oneshot::channel();
    let own_thread = matches!(conn, Conn::Sqlite(_));
    let writer = async move {
        run(location, conn, queue, commits).await;
        let _ = ended.send(()); // nobody need wait for it
    };
    let runtime = tokio::runtime::Handle::current();
    if own_thread {
        let thread = std::thread::Builder::new().name("tegata-writer".to_owned());
        thread.spawn(move || runtime.block_on(writer)).map_err(|error| StoreError::Engine(error.to_string()))?;
    } else {
        runtime.spawn(writer);
    }
    Ok(end)
}

/// Ends when it is told to, or when nobody is left who could hand it anything.
async fn run(location: Location, conn: Conn, mut queue: mpsc::Receiver<Message>, commits: watch::Sender<u64>) {
    let mut tx = Tx::new(conn);
    while let Some(message) = queue.recv().await {
        let mut units = Vec::new();
        let mut other = None;
        let mut next = Some(message);
        while let Some(message) = next {
            match message {
                Message::Unit(unit) => units.push(unit),
                message => {
                    other = Some(message);
                    break;
                }
            }
            next = if units.len() < TOGETHER { queue.try_recv().ok() } else { None };
        }
        if !units.is_empty() {
            commit_together(&location, &mut tx, units, &commits).await;
        }
        if tx.fault.is_some()
            && let Ok(conn) = location.connect().await
        {
            // A connection that failed in the middle of a transaction is not trusted again.
            tx = Tx::new(conn);
        }
        match other {
            Some(Message::Checkpoint(answer)) => {
                let done = tx.conn.checkpoint().await;
                let _ = answer.send(done); // a caller that no longer waits does not need the answer
            }
            Some(Message::Close) => queue.close(), // what was handed over before is still done
            Some(Message::Unit(_)) | None => {}
        }
    }
    // Everything is committed; an error here could not be told to anybody and would change nothing.
    let _ = tx.conn.close().await;
}

async fn commit_together(location: &Location, tx: &mut Tx, units: Vec<Unit>, commits: &watch::Sender<u64>) {
    let mut units = units.into_iter();
    let mut ran = Vec::new();
    let mut fault = begin(location, tx).await.err();
    let mut mark = if units.len() == 1 { Mark::Transaction } else { Mark::None };
    while fault.is_none()
        && let Some(unit) = units.next()
    {
        fault = run_apart(tx, unit, &mut mark, &mut ran).await.err();
    }
    if fault.is_none() {
        fault = match mark {
            Mark::RolledBack => None,
            _ => tx.conn.commit().await.err(), // ends savepoints, too
        };
    }
    match &fault {
        None => commits.send_modify(|count| *count += 1),
        Some(error) => {
            if !matches!(error, StoreError::Disconnected(_) | StoreError::OutcomeUnknown(_)) {
                // Fails when the engine has rolled back by itself; the connection is replaced in any case.
                let _ = tx.conn.run("ROLLBACK").await;
            }
            if *error != StoreError::Busy {
                tx.fault = Some(error.clone());
            }
        }
    }
    for unit in ran {
        (unit.answer)(fault.clone());
    }
    if let Some(error) = fault {
        for unit in units {
            (unit(Err(error.clone())).await.answer)(None);
        }
    }
}

/// Begins a transaction. A connection that broke since the last one is replaced first: no unit has run yet, so nothing is done twice.
async fn begin(location: &Location, tx: &mut Tx) -> Result<(), StoreError> {
    tx.head = None;
    if tx.fault.is_none() {
        match tx.conn.begin().await {
            Err(StoreError::Disconnected(_)) => {}
            done => return done,
        }
    }
    *tx = Tx::new(location.connect().await?);
    tx.conn.begin().await
}

/// What a unit can be undone to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mark {
    /// Nothing is marked yet.
    None,
    /// The unit is the only one: the beginning of the transaction.
    Transaction,
    /// The transaction was undone; there is nothing to commit.
    RolledBack,
    /// A savepoint with work behind it that is to be kept.
    Used,
    /// A savepoint with nothing behind it.
    Clean,
}

/// Runs one unit so that it can be undone alone. An error is one of the whole transaction.
async fn run_apart(tx: &mut Tx, unit: Unit, mark: &mut Mark, ran: &mut Vec<Ran>) -> Result<(), StoreError> {
    match mark {
        Mark::None => tx.conn.run("SAVEPOINT unit").await?,
        Mark::Used => tx.conn.run("RELEASE SAVEPOINT unit; SAVEPOINT unit").await?,
        Mark::Transaction | Mark::RolledBack | Mark::Clean => {}
    }
    let head = tx.head;
    tx.failed = None;
    let mut done = unit(Ok(tx)).await;
    if let Some(failed) = tx.failed.take() {
        let answer = done.answer;
        // An error of the whole transaction goes before that of one unit in it.
        done = Ran { keep: false, answer: Box::new(move |fault| answer(fault.or(Some(failed)))) };
    }
    let keep = done.keep;
    ran.push(done);
    tx.whole()?;
    let alone = *mark == Mark::Transaction;
    if keep {
        *mark = if alone { Mark::Transaction } else { Mark::Used };
        return Ok(());
    }
    tx.head = head;
    tx.conn.run(if alone { "ROLLBACK" } else { "ROLLBACK TO SAVEPOINT unit" }).await?;
    *mark = if alone { Mark::RolledBack } else { Mark::Clean };
    Ok(())
}
