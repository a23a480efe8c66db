//! Copies of the register for backups, and whether one is sound.

use tegata_core::access::{Reach, Scope};

use crate::audit::Head;
use crate::db::Query;
use crate::{Reader, StoreError, Tx};

/// The register at one moment.
pub struct Snapshot {
    /// The whole database file; none where the register is on a server, which has ways of its own.
    pub database: Option<Vec<u8>>,
    /// The end of the operation log at that moment.
    pub head: Head,
}

impl Reader {
    /// Whether the engine finds the file sound, and every reference in it leads somewhere. A server keeps its own house.
    pub async fn is_sound(&self, scope: Scope) -> Result<bool, StoreError> {
        if scope.reach() != Reach::Everything || !self.is_file() {
            return Ok(true);
        }
        let said = self.all(Query::new("PRAGMA integrity_check"), |row| row.text("integrity_check")).await?;
        let dangling = self.all(Query::new("PRAGMA foreign_key_check"), |_| Ok(())).await?;
        Ok(said == ["ok"] && dangling.is_empty())
    }
}

impl Tx {
    /// Ends what must not outlive a return to an earlier state: logins, help that was begun, codes.
    pub async fn end_what_waits(&mut self) -> Result<(), StoreError> {
        for text in ["DELETE FROM sessions", "DELETE FROM recoveries", "DELETE FROM invitations"] {
            self.execute(Query::new(text)).await?;
        }
        Ok(())
    }
}
