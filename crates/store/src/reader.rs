//! Reads. The calls themselves stand in the modules of the things they are about; each takes a scope and stays inside it.

use std::sync::Arc;

use tokio::sync::Mutex;

use crate::db::{Conn, Location, Pool, Query, Row};
use crate::error::StoreError;

/// Reads the register over connections that cannot write. Cloned freely.
#[derive(Clone)]
pub struct Reader {
    pool: Pool,
    /// A connection that never writes, so that it sees every commit as somebody else's.
    watcher: Arc<Mutex<Option<Conn>>>,
}

impl Reader {
    pub(crate) async fn open(location: &Location) -> Result<Self, StoreError> {
        let watcher = location.connect_reading().await?;
        Ok(Self { pool: location.pool(), watcher: Arc::new(Mutex::new(Some(watcher))) })
    }

    /// A number that differs from the last one whenever anybody, in this process or another, has committed in between. Says nothing
    /// else: not which is newer, not how much changed. Costs a few microseconds.
    pub async fn data_version(&self) -> Result<i64, StoreError> {
        self.watcher.lock().await.as_mut().ok_or(StoreError::Closed)?.data_version().await
    }

    pub(crate) async fn close(&self) {
        self.pool.close().await;
        if let Some(conn) = self.watcher.lock().await.take() {
            // It has only read; nothing can be lost.
            let _ = conn.close().await;
        }
    }

    pub(crate) async fn all<T>(
        &self,
        query: Query,
        read: impl Fn(&Row) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        self.pool.all(query).await?.iter().map(read).collect()
    }

    pub(crate) async fn optional<T>(
        &self,
        query: Query,
        read: impl Fn(&Row) -> Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        self.pool.optional(query).await?.as_ref().map(read).transpose()
    }
}
