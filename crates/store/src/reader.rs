//! Reads. The calls themselves stand in the modules of the things they are about; each takes a scope and stays inside it.

use std::sync::Arc;

use tokio::sync::Mutex;

use crate::db::{Location, Pool, Query, Read, Watcher};
use crate::error::StoreError;

/// Reads the register over connections that cannot write. Cloned freely.
#[derive(Clone)]
pub struct Reader {
    pool: Pool,
    watcher: Arc<Mutex<Option<Watcher>>>,
}

impl Reader {
    pub(crate) async fn open(location: &Location) -> Result<Self, StoreError> {
        let (pool, watcher) = location.readers().await?;
        Ok(Self { pool, watcher: Arc::new(Mutex::new(Some(watcher))) })
    }

    /// A number that differs from the last one whenever anybody, in this process or another, has committed in between. Says nothing
    /// else: not which is newer, not how much changed. Costs a few microseconds, on PostgreSQL one short question; there it may also
    /// differ for nothing, since other databases of the same server count too.
    pub async fn data_version(&self) -> Result<i64, StoreError> {
        self.watcher.lock().await.as_mut().ok_or(StoreError::Closed)?.data_version().await
    }

    /// Whether the register is a file.
    pub(crate) fn is_file(&self) -> bool {
        matches!(self.pool, Pool::Sqlite(_))
    }

    pub(crate) async fn close(&self) {
        self.pool.close().await;
        if let Some(watcher) = self.watcher.lock().await.take() {
            // It has only read; nothing can be lost.
            let _ = watcher.close().await;
        }
    }

    pub(crate) async fn all<T, R>(&self, query: Query, read: R) -> Result<Vec<T>, StoreError>
    where
        T: Send + 'static,
        R: Read<T> + Send + 'static,
    {
        self.pool.all(query, read).await
    }

    pub(crate) async fn optional<T>(&self, query: Query, read: impl Read<T>) -> Result<Option<T>, StoreError> {
        self.pool.optional(query, read).await
    }
}
