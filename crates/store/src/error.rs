//! What can go wrong with the store, each cause by its name, so that the caller can say one clear sentence.

use std::path::PathBuf;

use tegata_core::id::CustomerId;

/// Why the store could not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// There is no database file there.
    #[error("there is no database at {0}")]
    Missing(PathBuf),
    /// The folder that should hold the file is not there.
    #[error("there is no folder {0}")]
    NoFolder(PathBuf),
    /// The folder cannot be written to; the database needs to keep its journal beside the file.
    #[error("the folder {0} cannot be written to")]
    FolderReadOnly(PathBuf),
    /// The file itself cannot be written to.
    #[error("the database {0} cannot be written to")]
    ReadOnly(PathBuf),
    /// The file is not a database.
    #[error("{0} is not a database")]
    NotADatabase(PathBuf),
    /// It is a database, but another program's.
    #[error("{0} is a database of another program")]
    NotOurs(String),
    /// A newer version of this program wrote it.
    #[error("the database {place} has schema {found}; this program knows schemas up to {known}")]
    SchemaTooNew {
        /// Which database.
        place: String,
        /// The schema it has.
        found: i64,
        /// The newest schema that this program knows.
        known: i64,
    },
    /// It cannot be opened, for a reason that has no name of its own here.
    #[error("the database {path} cannot be opened: {reason}")]
    CannotOpen {
        /// Which file.
        path: PathBuf,
        /// What the system or the engine said.
        reason: String,
    },
    /// Another process is serving from this database.
    #[error("the database {path} is being served by another process{}", .pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default())]
    AlreadyServed {
        /// Which file.
        path: PathBuf,
        /// That process, where it left its number.
        pid: Option<u32>,
    },
    /// The address of a server cannot be used. Says nothing of a password in it.
    #[error("the address of the database is not usable: {0}")]
    Address(String),
    /// There is no connection to the server, and none can be made. Nothing was done.
    #[error("the database {place} cannot be reached: {reason}")]
    Unreachable {
        /// Which database.
        place: String,
        /// What the network or the server said.
        reason: String,
    },
    /// The server knows neither this user nor this password, or lets them in from elsewhere only.
    #[error("the database {place} does not let us in: {reason}")]
    AccessDenied {
        /// Which database.
        place: String,
        /// What the server said.
        reason: String,
    },
    /// The server answers, but has no database of that name.
    #[error("the server has no database {place}: make an empty one first (createdb)")]
    NoDatabase {
        /// Which database.
        place: String,
    },
    /// The database is there, and there is nothing in it.
    #[error("the database {place} is empty: there is no register in it yet")]
    Empty {
        /// Which database.
        place: String,
    },
    /// The role that we are may not do this.
    #[error("the role of this program lacks a right in the database: {0}")]
    Denied(String),
    /// The connection to the server broke before the commit: nothing of the unit was kept, and it can be tried again.
    #[error("the connection to the database was lost, nothing was changed: {0}")]
    Disconnected(String),
    /// The connection to the server broke while it was committing. The unit was kept as a whole or not at all; which of the two must be
    /// looked up.
    #[error("the connection to the database was lost during the commit, look whether the change was made: {0}")]
    OutcomeUnknown(String),
    /// Another process held the database for longer than we wait.
    #[error("the database is busy: another process has been writing for too long")]
    Busy,
    /// The disk is full.
    #[error("the disk is full")]
    DiskFull,
    /// The disk did not do its work.
    #[error("the disk failed: {0}")]
    Disk(String),
    /// What was read cannot have been written by us.
    #[error("the database is damaged: {0}")]
    Damaged(String),
    /// It is there already.
    #[error("there is already such a {what}")]
    Duplicate {
        /// What is: `customer code`, `user name`, `serial`, …
        what: &'static str,
    },
    /// It is not there.
    #[error("there is no such {what}")]
    NotFound {
        /// What is not: `terminal`, `certificate`, …
        what: &'static str,
    },
    /// No customer has this id.
    #[error("there is no customer {0}")]
    UnknownCustomer(CustomerId),
    /// All numbers of that kind are taken.
    #[error("all {what} are taken")]
    Exhausted {
        /// Which kind.
        what: &'static str,
    },
    /// A value broke a rule of the schema.
    #[error("the database refused a value: {0}")]
    Refused(String),
    /// The unit of work panicked; nothing of it was kept.
    #[error("a unit of work panicked; nothing of it was kept")]
    Panicked,
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
    /// Anything else that the engine said.
    #[error("the database said: {0}")]
    Engine(String),
}

impl StoreError {
    /// A broken reference, by the name that the caller knows it by.
    pub(crate) fn if_dangling(self, named: Self) -> Self {
        if self == DANGLING { named } else { self }
    }

    /// Whether the connection's transaction can no longer be trusted after this: the engine may have rolled all of it back.
    pub(crate) fn ends_transaction(&self) -> bool {
        use StoreError::{Busy, Damaged, Disconnected, Disk, DiskFull, Engine, OutcomeUnknown, Unreachable};
        matches!(
            self,
            DiskFull
                | Disk(_)
                | Damaged(_)
                | Busy
                | Engine(_)
                | Disconnected(_)
                | OutcomeUnknown(_)
                | Unreachable { .. }
        )
    }
}

/// A row named another row that does not exist. The engine does not say which; the modules name it with [`StoreError::if_dangling`].
pub(crate) const DANGLING: StoreError = StoreError::NotFound { what: "referenced row" };
