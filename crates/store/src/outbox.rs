//! What is to leave this house: mails. A row is written in the transaction of what it tells about, and delivered at least once: whoever
//! delivers it takes it for a while, and when that one dies it is somebody else's again. When to try again is decided elsewhere
//! (`tegata_core::delivery`).

use tegata_core::access::Scope;
use tegata_core::id::CustomerId;
use tegata_core::time::Timestamp;

use crate::db::{Query, Row};
use crate::{Reader, StoreError, Tx};

/// How much is kept of what went wrong, in characters.
const LONGEST_ERROR: usize = 300;

/// Something to be delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewParcel {
    /// How it goes: `mail`.
    pub kind: &'static str,
    /// What it is about.
    pub topic: &'static str,
    /// By which its receiver knows it again, the same for each try.
    pub key: String,
    /// Whose it is, where it is a customer's.
    pub customer: Option<CustomerId>,
    /// Where to.
    pub recipient: String,
    /// Its subject.
    pub subject: String,
    /// What it says.
    pub body: String,
    /// A calendar beside it (RFC 5545).
    pub calendar: Option<String>,
    /// Now.
    pub created_at: Timestamp,
}

/// Something that was to be delivered, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParcelRow {
    /// Its row.
    pub id: i64,
    /// How it goes.
    pub kind: String,
    /// What it is about.
    pub topic: String,
    /// By which its receiver knows it again.
    pub key: String,
    /// Whose it is.
    pub customer: Option<CustomerId>,
    /// Where to.
    pub recipient: String,
    /// Its subject.
    pub subject: String,
    /// What it says.
    pub body: String,
    /// A calendar beside it.
    pub calendar: Option<String>,
    /// When it was written.
    pub created_at: Timestamp,
    /// When it may be taken again.
    pub next_at: Timestamp,
    /// How often it was taken.
    pub tries: u32,
    /// When it was delivered.
    pub delivered_at: Option<Timestamp>,
    /// When it was given up.
    pub given_up_at: Option<Timestamp>,
    /// What went wrong the last time.
    pub last_error: Option<String>,
}

/// What became of a try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The other side has it.
    Delivered,
    /// It has not; it is tried again.
    TryAt(Timestamp, String),
    /// It has not, and is not tried again.
    GivenUp(String),
}

/// Which to list. The default lists all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ParcelFilter {
    /// Of this customer.
    pub customer: Option<CustomerId>,
    /// Only what is not delivered although it was tried.
    pub failed: bool,
    /// Only what goes this way.
    pub kind: Option<&'static str>,
}

const COLUMNS: &str = "id, kind, topic, key, customer_id, recipient, subject, body, calendar, created_at, next_at, tries, delivered_at, \
                       given_up_at, last_error";

fn select() -> Query {
    Query::new("SELECT ").text(COLUMNS).text(" FROM outbox WHERE 1 = 1")
}

fn parcel(row: &Row) -> Result<ParcelRow, StoreError> {
    Ok(ParcelRow {
        id: row.int("id")?,
        kind: row.text("kind")?,
        topic: row.text("topic")?,
        key: row.text("key")?,
        customer: row.opt_customer("customer_id")?,
        recipient: row.text("recipient")?,
        subject: row.text("subject")?,
        body: row.text("body")?,
        calendar: row.opt_text("calendar")?,
        created_at: row.time("created_at")?,
        next_at: row.time("next_at")?,
        tries: row.number("tries")?,
        delivered_at: row.opt_time("delivered_at")?,
        given_up_at: row.opt_time("given_up_at")?,
        last_error: row.opt_text("last_error")?,
    })
}

impl Reader {
    /// The newest parcels, newest first.
    pub async fn parcels(&self, scope: Scope, filter: ParcelFilter, limit: u32) -> Result<Vec<ParcelRow>, StoreError> {
        let mut query = select();
        if let Some(customer) = filter.customer {
            query = query.with(" AND customer_id = ", customer);
        }
        if let Some(kind) = filter.kind {
            query = query.with(" AND kind = ", kind);
        }
        if filter.failed {
            query = query.text(" AND delivered_at IS NULL AND last_error IS NOT NULL");
        }
        let query = query.within_whole_customer(scope, " AND customer_id = ");
        self.all(query.with(" ORDER BY id DESC LIMIT ", limit), parcel).await
    }

    /// Whether anything that goes this way waits to be taken.
    pub async fn parcels_wait(&self, kind: &'static str, now: Timestamp) -> Result<bool, StoreError> {
        let query = "SELECT id FROM outbox WHERE delivered_at IS NULL AND given_up_at IS NULL AND next_at <= $1 AND kind = $2 LIMIT 1";
        Ok(self.optional(Query::new(query).bind(now).bind(kind), |row| row.int("id")).await?.is_some())
    }
}

impl Tx {
    /// Puts something into the outbox.
    pub async fn insert_parcel(&mut self, new: &NewParcel) -> Result<(), StoreError> {
        let query = Query::new(
            "INSERT INTO outbox (kind, topic, key, customer_id, recipient, subject, body, calendar, created_at, next_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9)",
        )
        .bind(new.kind)
        .bind(new.topic)
        .bind(&*new.key)
        .bind(new.customer)
        .bind(&*new.recipient)
        .bind(&*new.subject)
        .bind(&*new.body)
        .bind(new.calendar.clone())
        .bind(new.created_at);
        self.execute(query).await.map(|_| ())
    }

    /// Takes what waits to go this way, at most `most`, for as long as `until`. Only one writes at a time, in whatever process: nobody else has the same.
    pub async fn take_parcels(
        &mut self,
        (kind, most): (&'static str, u32),
        (now, until): (Timestamp, Timestamp),
    ) -> Result<Vec<ParcelRow>, StoreError> {
        let query = Query::new(
            "UPDATE outbox SET tries = tries + 1, next_at = $2 WHERE id IN (SELECT w.id FROM outbox w WHERE w.delivered_at IS NULL \
             AND w.given_up_at IS NULL AND w.next_at <= $1 AND w.kind = $4 ORDER BY w.next_at, w.id LIMIT $3) RETURNING ",
        );
        self.all(query.text(COLUMNS).bind(now).bind(until).bind(most).bind(kind), parcel).await
    }

    /// Notes what became of a try. False when it was not ours any more: it was taken again since, or settled otherwise.
    pub async fn settle_parcel(
        &mut self,
        (id, tries): (i64, u32),
        outcome: &Outcome,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let (delivered, given_up, next, error) = match outcome {
            Outcome::Delivered => (Some(now), None, now, None),
            Outcome::TryAt(next, error) => (None, None, *next, Some(error)),
            Outcome::GivenUp(error) => (None, Some(now), now, Some(error)),
        };
        let error: Option<String> =
            error.map(|text| text.replace('\0', "\u{fffd}").chars().take(LONGEST_ERROR).collect());
        let query = Query::new(
            "UPDATE outbox SET delivered_at = $3, given_up_at = $4, next_at = $5, last_error = $6 \
             WHERE id = $1 AND tries = $2 AND delivered_at IS NULL AND given_up_at IS NULL",
        );
        let query = query.bind(id).bind(tries).bind(delivered).bind(given_up).bind(next).bind(error);
        Ok(self.execute(query).await? > 0)
    }

    /// Takes up again what was given up, or waits for a later try; says how many. One alone, or all.
    pub async fn retry_parcels(&mut self, id: Option<i64>, now: Timestamp) -> Result<u64, StoreError> {
        let query = Query::new(
            "UPDATE outbox SET given_up_at = NULL, next_at = $1, created_at = CASE WHEN given_up_at IS NULL THEN created_at ELSE $1 END \
             WHERE delivered_at IS NULL AND last_error IS NOT NULL",
        )
        .bind(now);
        let query = match id {
            Some(id) => query.with(" AND id = ", id),
            None => query,
        };
        self.execute(query).await
    }

    /// What waits for an address of a customer is not sent any more.
    pub async fn drop_parcels(
        &mut self,
        customer: CustomerId,
        recipient: &str,
        (why, now): (&str, Timestamp),
    ) -> Result<u64, StoreError> {
        let query = Query::new(
            "UPDATE outbox SET given_up_at = $4, last_error = $3 WHERE customer_id = $1 AND recipient = $2 \
             AND delivered_at IS NULL AND given_up_at IS NULL",
        );
        self.execute(query.bind(customer).bind(recipient).bind(why).bind(now)).await
    }

    /// How many parcels about a topic were written for a customer since then.
    pub async fn count_parcels(
        &mut self,
        customer: CustomerId,
        topic: &'static str,
        since: Timestamp,
    ) -> Result<u32, StoreError> {
        let query = "SELECT COUNT(*) AS written FROM outbox WHERE customer_id = $1 AND topic = $2 AND created_at >= $3";
        self.one(Query::new(query).bind(customer).bind(topic).bind(since), |row| row.number("written")).await
    }

    /// Forgets what was settled and written before `before`; says how much.
    pub async fn forget_parcels(&mut self, before: Timestamp) -> Result<u64, StoreError> {
        let query =
            "DELETE FROM outbox WHERE created_at < $1 AND (delivered_at IS NOT NULL OR given_up_at IS NOT NULL)";
        self.execute(Query::new(query).bind(before)).await
    }
}
