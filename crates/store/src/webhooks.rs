//! Programs that are told of certificates. Their secrets are here sealed only.

use tegata_core::access::{Reach, Scope};
use tegata_core::event::Event;
use tegata_core::hook::Hook;
use tegata_core::id::{CustomerId, Serial, TerminalId};
use tegata_core::time::Timestamp;

use crate::db::{Query, Row, unreadable};
use crate::{Reader, StoreError, Tx};

/// A hook with its sealed secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HookRow {
    /// What it is.
    pub hook: Hook,
    /// Its secret.
    pub sealed_secret: Vec<u8>,
    /// The secret before, while it still signs too, and until when.
    pub sealed_previous: Option<(Vec<u8>, Timestamp)>,
}

/// Of what a program is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Telling {
    /// What happened.
    pub event: Event,
    /// By which its receiver knows it again; the hook's number is put behind it.
    pub key: String,
    /// Whose certificate.
    pub customer: CustomerId,
    /// Which terminal's.
    pub terminal: TerminalId,
    /// Its serial number.
    pub serial: Serial,
    /// When it happened.
    pub at: Timestamp,
}

const SELECT: &str = "SELECT id, customer_id, url, private, created_at, sealed_secret, sealed_previous, previous_until FROM webhooks \
                      WHERE ended_at IS NULL";

fn hook(row: &Row) -> Result<HookRow, StoreError> {
    let hook = Hook {
        id: row.int("id")?,
        customer: row.opt_customer("customer_id")?,
        url: row.text("url")?.parse().map_err(|_| unreadable("url"))?,
        private: row.int("private")? == 1,
        created_at: row.time("created_at")?,
    };
    let sealed_previous = row.opt_blob("sealed_previous")?.zip(row.opt_time("previous_until")?);
    Ok(HookRow { hook, sealed_secret: row.blob("sealed_secret")?, sealed_previous })
}

impl Reader {
    /// The hooks that have not ended. Only for a scope that sees everything: their sealed secrets are among it.
    pub async fn hooks(&self, scope: Scope) -> Result<Vec<HookRow>, StoreError> {
        if scope.reach() != Reach::Everything {
            return Ok(Vec::new());
        }
        self.all(Query::new(SELECT).text(" ORDER BY id"), hook).await
    }
}

impl Tx {
    /// Adds a hook; its `id` is not looked at. The secret follows with [`Tx::set_hook_secret`], since it is sealed for its row.
    pub async fn insert_hook(&mut self, new: &Hook) -> Result<i64, StoreError> {
        let query = Query::new(
            "INSERT INTO webhooks (customer_id, url, private, created_at, sealed_secret) VALUES ($1, $2, $3, $4, $5) RETURNING id",
        )
        .bind(new.customer)
        .bind(new.url.as_str())
        .bind(i64::from(new.private))
        .bind(new.created_at)
        .bind(Vec::new());
        let named = StoreError::NotFound { what: "customer" };
        self.one(query, |row| row.int("id")).await.map_err(|error| error.if_dangling(named))
    }

    /// Gives a hook its secret. One that it had before signs too until `previous_until`.
    pub async fn set_hook_secret(
        &mut self,
        id: i64,
        sealed: Vec<u8>,
        previous_until: Option<Timestamp>,
    ) -> Result<bool, StoreError> {
        let query = Query::new(
            "UPDATE webhooks SET sealed_previous = CASE WHEN $3 IS NULL THEN NULL ELSE sealed_secret END, previous_until = $3, \
             sealed_secret = $2 WHERE id = $1 AND ended_at IS NULL",
        );
        Ok(self.execute(query.bind(id).bind(sealed).bind(previous_until)).await? > 0)
    }

    /// Ends a hook: nothing more is told, and what waits for it is given up. Answers with what it was.
    pub async fn end_hook(&mut self, id: i64, now: Timestamp) -> Result<Option<Hook>, StoreError> {
        let query = Query::new(
            "UPDATE webhooks SET ended_at = $2, sealed_previous = NULL, previous_until = NULL WHERE id = $1 AND ended_at IS NULL \
             RETURNING id, customer_id, url, private, created_at, sealed_secret, sealed_previous, previous_until",
        );
        let Some(row) = self.optional(query.bind(id).bind(now), hook).await? else { return Ok(None) };
        let waiting = Query::new(
            "UPDATE outbox SET given_up_at = $2, last_error = $3 WHERE kind = 'webhook' AND recipient = $1 \
             AND delivered_at IS NULL AND given_up_at IS NULL",
        );
        self.execute(waiting.bind(id.to_string()).bind(now).bind("the webhook was removed")).await?;
        Ok(Some(row.hook))
    }

    /// Tells every hook that is to hear of a customer's certificates; one alone, where it is named. What was told before is not told again.
    pub async fn tell(&mut self, telling: &Telling, only: Option<i64>) -> Result<u64, StoreError> {
        let query = Query::new(
            "INSERT INTO outbox (kind, topic, key, customer_id, recipient, subject, body, created_at, next_at) \
             SELECT 'webhook', $1, $2 || CAST(w.id AS TEXT), $3, CAST(w.id AS TEXT), $4, $5, $6, $6 FROM webhooks w \
             WHERE w.ended_at IS NULL AND (w.customer_id IS NULL OR w.customer_id = $3)",
        )
        .bind(telling.event.as_str())
        .bind(format!("{}-", telling.key))
        .bind(telling.customer)
        .bind(telling.serial.to_string())
        .bind(telling.terminal.to_string())
        .bind(telling.at);
        let query = match only {
            Some(id) => query.with(" AND w.id = ", id),
            None => query,
        };
        self.execute(query.text(" ON CONFLICT (key) DO NOTHING")).await
    }
}
