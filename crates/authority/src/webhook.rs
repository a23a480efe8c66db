//! Programs that are told of certificates: who they are, and what exactly is sent to them, signed after Standard Webhooks 1.0.0
//! (`webhook-id`, `webhook-timestamp`, `webhook-signature`). What is to be told is put into the outbox by the row of the operation log that it
//! is about (`store::audit`), in the same transaction. Nothing here opens a connection.

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::json;
use tegata_core::access::Actor;
use tegata_core::audit::{Action, Entry, Outcome};
use tegata_core::event::Event;
use tegata_core::hook::{Hook, HookUrl};
use tegata_core::id::{CustomerId, Serial, TerminalId};
use tegata_core::secret::{Secret, random};
use tegata_core::time::Timestamp;
use tegata_store::{HookRow, ParcelRow, StoreError, Telling};

use crate::notify::saying;
use crate::{Authority, AuthorityError, NoticePlan, Undelivered};

/// How parcels go that are webhooks, and how they are said.
pub const WEBHOOK: &str = "webhook";
/// For how long the secret before signs too, after a change.
const BOTH_SIGN: i64 = 24 * 3600;

/// Why a webhook was not changed.
#[derive(Debug, thiserror::Error)]
pub enum WebhookError {
    /// Not for this actor.
    #[error("only the operator may do this")]
    Forbidden,
    /// It is not there.
    #[error("there is no such webhook (see `tegata webhook list`)")]
    NoSuchHook,
    /// Nothing to tell about.
    #[error("there is no certificate to tell about yet")]
    NothingToTell,
    /// No such customer.
    #[error("there is no such customer (see `tegata customer list`)")]
    NoSuchCustomer,
    /// Something inside.
    #[error(transparent)]
    Internal(#[from] AuthorityError),
}

impl From<StoreError> for WebhookError {
    fn from(error: StoreError) -> Self {
        Self::Internal(error.into())
    }
}

/// A request that is ready to be sent.
#[derive(Debug)]
pub struct Post {
    /// Where to.
    pub url: HookUrl,
    /// Whether that may be on a network that is not the open one.
    pub private: bool,
    /// `webhook-id`: the same for each try.
    pub id: String,
    /// `webhook-timestamp`: that of this try.
    pub timestamp: i64,
    /// `webhook-signature`.
    pub signature: String,
    /// JSON.
    pub body: Vec<u8>,
}

impl Authority {
    /// Adds a webhook; answers with it and its secret, which is not shown again.
    pub async fn add_webhook(
        &self,
        actor: &Actor,
        customer: Option<CustomerId>,
        (url, private): (HookUrl, bool),
    ) -> Result<(Hook, Secret<String>), WebhookError> {
        operator(actor)?;
        if let Some(id) = customer {
            let found = self.0.reader.customer(actor.scope(), id).await?;
            found.ok_or(WebhookError::NoSuchCustomer)?;
        }
        let hook = Hook { id: 0, customer, url, private, created_at: self.now() };
        let entry = self.hook_entry(actor, customer, Action::WebhookAdded, hook.url.to_string());
        let (this, secret) = (self.clone(), Secret::new(random::<32>(&*self.0.entropy)));
        let (shown, added) = (shown(&secret), hook.clone());
        let write = self.0.store.write(move |tx| {
            Box::pin(async move {
                let id = tx.insert_hook(&added).await?;
                tx.set_hook_secret(id, this.seal_hook_secret(id, &secret), None).await?;
                tx.append_audit(&entry).await?;
                Ok::<_, StoreError>(id)
            })
        });
        let id = write.await?;
        Ok((Hook { id, ..hook }, shown))
    }

    /// Gives a webhook another secret; the one before signs too for a day.
    pub async fn rotate_webhook(&self, actor: &Actor, id: i64) -> Result<Secret<String>, WebhookError> {
        operator(actor)?;
        let row = self.hook_row(id).await?.ok_or(WebhookError::NoSuchHook)?;
        let secret = Secret::new(random::<32>(&*self.0.entropy));
        let entry = self.hook_entry(actor, row.hook.customer, Action::WebhookChanged, row.hook.url.to_string());
        let (sealed, until) = (self.seal_hook_secret(id, &secret), self.now().plus_seconds(BOTH_SIGN));
        let write = self.0.store.write(move |tx| {
            Box::pin(async move {
                if !tx.set_hook_secret(id, sealed, Some(until)).await? {
                    return Err(WebhookError::NoSuchHook);
                }
                tx.append_audit(&entry).await?;
                Ok(())
            })
        });
        write.await?;
        Ok(shown(&secret))
    }

    /// Removes a webhook: nothing more is told, not even what waits.
    pub async fn remove_webhook(&self, actor: &Actor, id: i64) -> Result<Hook, WebhookError> {
        operator(actor)?;
        let entry = self.hook_entry(actor, None, Action::WebhookRemoved, String::new());
        let write = self.0.store.write(move |tx| {
            Box::pin(async move {
                let Some(gone) = tx.end_hook(id, entry.at).await? else { return Err(WebhookError::NoSuchHook) };
                let entry = Entry { customer: gone.customer, detail: gone.url.to_string(), ..entry };
                tx.append_audit(&entry).await?;
                Ok(gone)
            })
        });
        write.await
    }

    /// Tells one webhook something that did not happen, about a certificate that is there. Answers with the beginning of its `webhook-id`.
    pub async fn test_webhook(&self, actor: &Actor, id: i64) -> Result<String, WebhookError> {
        operator(actor)?;
        let row = self.hook_row(id).await?.ok_or(WebhookError::NoSuchHook)?;
        let filter = tegata_store::CertFilter { customer: row.hook.customer, ..Default::default() };
        let some = self.0.reader.certificates(actor.scope(), &filter, 1).await?;
        let cert = some.first().ok_or(WebhookError::NothingToTell)?;
        let key: String = random::<12>(&*self.0.entropy).iter().map(|byte| format!("{byte:02x}")).collect();
        let telling = Telling {
            event: Event::Test,
            key: format!("test-{key}"),
            customer: cert.customer,
            terminal: cert.terminal,
            serial: cert.serial,
            at: self.now(),
        };
        let (key, told) = (telling.key.clone(), telling);
        let write = self.0.store.write(move |tx| Box::pin(async move { tx.tell(&told, Some(id)).await }));
        write.await?;
        Ok(key)
    }

    /// Tells of certificates that end soon or have ended, by the steps of the reminders: each step before the end once, the end once. Says of
    /// how many.
    pub async fn write_announcements(&self, plan: &NoticePlan) -> Result<usize, AuthorityError> {
        let (now, scope) = (self.now(), Actor::System { job: "webhooks" }.scope());
        let hooks = self.webhooks(&Actor::System { job: "webhooks" }).await?;
        if hooks.is_empty() || now.jst_time().hour() < plan.hour {
            return Ok(0);
        }
        let mut told = 0;
        for customer in self.0.reader.customers(scope).await? {
            let is_told = hooks.iter().any(|hook| hook.customer.is_none_or(|of| of == customer.id));
            if is_told && !self.was_looked_at(now.jst_date(), (customer.id, WEBHOOK)) {
                told += self.announce(customer.id, now).await?;
                self.note_looked_at(now.jst_date(), (customer.id, WEBHOOK));
            }
        }
        Ok(told)
    }

    async fn announce(&self, customer: CustomerId, now: Timestamp) -> Result<usize, AuthorityError> {
        let scope = Actor::System { job: "webhooks" }.scope();
        let said = self.0.reader.said(scope, customer, WEBHOOK).await?;
        let mut news = self.due(customer, now).await?;
        news.retain(|(terminal, reminder)| {
            let last =
                said.iter().find(|said| said.terminal == terminal.id && said.certificate == reminder.certificate);
            last.is_none_or(|said| said.step != reminder.step && said.step.0 >= 0)
        });
        if news.is_empty() {
            return Ok(0);
        }
        let write = self.0.store.write(move |tx| {
            Box::pin(async move {
                for (terminal, reminder) in &news {
                    let event = if reminder.ends < now { Event::Expired } else { Event::Expiring };
                    let key = format!("due-{}-{}", reminder.serial, reminder.step.0);
                    let telling =
                        Telling { event, key, customer, terminal: terminal.id, serial: reminder.serial, at: now };
                    tx.tell(&telling, None).await?;
                    tx.note_said(customer, WEBHOOK, saying(terminal, reminder), now).await?;
                }
                Ok::<_, StoreError>(news.len())
            })
        });
        Ok(write.await?)
    }

    /// Everything that a parcel is to send. An error means that it can never be sent.
    pub async fn prepare_webhook(&self, parcel: &ParcelRow) -> Result<Result<Post, Undelivered>, AuthorityError> {
        let never = |reason: &str| Ok(Err(Undelivered { reason: reason.to_owned(), for_good: true }));
        let Some(row) = self.hook_row(parcel.recipient.parse().unwrap_or(0)).await? else {
            return never("the webhook was removed");
        };
        let (Ok(serial), Ok(terminal)) = (parcel.subject.parse::<Serial>(), parcel.body.parse::<TerminalId>()) else {
            return never("what it is about cannot be read");
        };
        let Some(body) = self.told(parcel, serial, terminal).await? else {
            return never("the certificate is not in the register");
        };
        let now = self.now();
        let signature = self.signatures(&row, &parcel.key, now, &body)?;
        let HookRow { hook, .. } = row;
        let (id, timestamp) = (parcel.key.clone(), now.0);
        Ok(Ok(Post { url: hook.url, private: hook.private, id, timestamp, signature, body }))
    }

    /// What is said: names, numbers and dates, never a secret.
    async fn told(
        &self,
        parcel: &ParcelRow,
        serial: Serial,
        terminal: TerminalId,
    ) -> Result<Option<Vec<u8>>, AuthorityError> {
        let scope = Actor::System { job: "webhooks" }.scope();
        let reader = &self.0.reader;
        let terminal = reader.terminal(scope, terminal).await?.filter(|row| Some(row.customer) == parcel.customer);
        let cert = reader.certificate_by_serial(scope, serial).await?;
        let (Some(terminal), Some(cert)) = (terminal, cert) else { return Ok(None) };
        let value = json!({
            "type": parcel.topic,
            "timestamp": parcel.created_at.to_string(),
            "data": {
                "customer": terminal.customer.to_string(),
                "terminal": {
                    "id": terminal.id.to_string(),
                    "client": terminal.client.to_string(),
                    "name": terminal.name,
                },
                "certificate": {
                    "serial": cert.serial.to_string(),
                    "fingerprint": cert.fingerprint.to_string(),
                    "not_before": cert.not_before.to_string(),
                    "not_after": cert.not_after.to_string(),
                },
            },
        });
        Ok(Some(value.to_string().into_bytes()))
    }

    /// One signature for each secret that counts: `v1,BASE64 v1,BASE64`.
    fn signatures(&self, row: &HookRow, id: &str, now: Timestamp, body: &[u8]) -> Result<String, AuthorityError> {
        let previous = row.sealed_previous.as_ref().filter(|(_, until)| *until >= now).map(|(sealed, _)| sealed);
        let text = [format!("{id}.{}.", now.0).as_bytes(), body].concat();
        let mut signatures = Vec::new();
        for sealed in std::iter::once(&row.sealed_secret).chain(previous) {
            let secret = self.0.vault.open(&context(row.hook.id), sealed)?;
            let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose());
            signatures.push(format!("v1,{}", BASE64.encode(hmac::sign(&key, &text))));
        }
        Ok(signatures.join(" "))
    }

    async fn hook_row(&self, id: i64) -> Result<Option<HookRow>, AuthorityError> {
        let rows = self.0.reader.hooks(Actor::System { job: "webhooks" }.scope()).await?;
        Ok(rows.into_iter().find(|row| row.hook.id == id))
    }

    /// The webhooks, without their secrets.
    pub async fn webhooks(&self, actor: &Actor) -> Result<Vec<Hook>, AuthorityError> {
        let rows = self.0.reader.hooks(actor.scope()).await?;
        Ok(rows.into_iter().map(|row| row.hook).collect())
    }

    fn seal_hook_secret(&self, id: i64, secret: &Secret<[u8; 32]>) -> Vec<u8> {
        self.0.vault.seal(&context(id), secret.expose(), &*self.0.entropy)
    }

    fn hook_entry(&self, actor: &Actor, customer: Option<CustomerId>, action: Action, detail: String) -> Entry {
        let (at, actor) = (self.now(), actor.clone());
        Entry { at, actor, customer, terminal: None, serial: None, action, outcome: Outcome::Done, detail }
    }
}

fn operator(actor: &Actor) -> Result<(), WebhookError> {
    if matches!(actor, Actor::Operator { .. }) { Ok(()) } else { Err(WebhookError::Forbidden) }
}

/// A secret opens only in its own row.
fn context(id: i64) -> String {
    format!("webhook {id}")
}

/// As receivers' libraries read it.
fn shown(secret: &Secret<[u8; 32]>) -> Secret<String> {
    Secret::new(format!("whsec_{}", BASE64.encode(secret.expose())))
}
