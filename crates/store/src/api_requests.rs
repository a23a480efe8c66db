//! What programs asked for that changes something. The mark is made by the row of the operation log that the change writes
//! (`store::audit`), so it is there exactly when the change is.

use tegata_core::api_key::{ApiKeyId, LASTING_SECONDS, Program, Request};
use tegata_core::time::Timestamp;

use crate::db::Query;
use crate::{Reader, StoreError, Tx};

/// A request that was carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiRequestRow {
    /// SHA-256 of what was asked for.
    pub hash: [u8; 32],
    /// Status and sealed body of the answer, once there is one.
    pub answer: Option<(u32, Vec<u8>)>,
}

impl Reader {
    /// What a key asked for under a token within the last day. Takes no scope: a key's own requests are its own.
    pub async fn api_request(
        &self,
        key: &ApiKeyId,
        token: &str,
        now: Timestamp,
    ) -> Result<Option<ApiRequestRow>, StoreError> {
        let query = Query::new(
            "SELECT request_hash, status, answer FROM api_requests WHERE key_id = $1 AND token = $2 AND created_at > $3",
        );
        let query = query.bind(key.as_str()).bind(token).bind(now.plus_seconds(-LASTING_SECONDS));
        self.optional(query, |row| {
            let status = row.opt_int("status")?.and_then(|status| u32::try_from(status).ok());
            Ok(ApiRequestRow { hash: row.bytes("request_hash")?, answer: status.zip(row.opt_blob("answer")?) })
        })
        .await
    }
}

impl Tx {
    /// Marks a request as carried out. Somebody else's mark under the same token, from another attempt, is a duplicate: then nothing of this one
    /// is kept.
    pub(crate) async fn mark_api_request(
        &mut self,
        program: &Program,
        request: &Request,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let lapsed = Query::new("DELETE FROM api_requests WHERE key_id = $1 AND token = $2 AND created_at <= $3")
            .bind(program.key.as_str())
            .bind(&*request.name)
            .bind(at.plus_seconds(-LASTING_SECONDS));
        self.execute(lapsed).await?;
        let query = Query::new(
            "INSERT INTO api_requests (key_id, token, request_hash, attempt, created_at) VALUES ($1, $2, $3, $4, $5) \
             ON CONFLICT (key_id, token) DO UPDATE SET attempt = excluded.attempt WHERE api_requests.attempt = excluded.attempt",
        )
        .bind(program.key.as_str())
        .bind(&*request.name)
        .bind(request.hash)
        .bind(request.attempt)
        .bind(at);
        match self.execute(query).await? {
            0 => Err(StoreError::Duplicate { what: "request of a program" }),
            _ => Ok(()),
        }
    }

    /// Puts the answer beside the mark. False when there is no mark: nothing was changed.
    pub async fn keep_api_answer(
        &mut self,
        key: &ApiKeyId,
        request: &Request,
        (status, sealed): (u32, Vec<u8>),
    ) -> Result<bool, StoreError> {
        let query = Query::new(
            "UPDATE api_requests SET status = $4, answer = $5 WHERE key_id = $1 AND token = $2 AND attempt = $3",
        );
        let query = query.bind(key.as_str()).bind(&*request.name).bind(request.attempt).bind(status).bind(sealed);
        Ok(self.execute(query).await? > 0)
    }

    /// Forgets requests of before a day ago; says how many.
    pub async fn forget_api_requests(&mut self, now: Timestamp) -> Result<u64, StoreError> {
        let query =
            Query::new("DELETE FROM api_requests WHERE created_at <= $1").bind(now.plus_seconds(-LASTING_SECONDS));
        self.execute(query).await
    }
}
