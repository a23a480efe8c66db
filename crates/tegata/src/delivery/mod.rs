//! Carries what waits in the outbox out of the house. Each parcel is taken, tried, and settled; a process that dies between leaves it to the
//! next one, so that it arrives at least once. Wiring and wires; when to try again is the authority's to say.

mod folder;
mod message;
mod smtp;
mod webhook;

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use anyhow::Context;
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, join_all};
use lettre::Message;
use tegata_authority::{Authority, MAIL, NoticePlan, Undelivered, WEBHOOK};
use tegata_core::contact::MailAddress;
use tegata_store::{Outcome, ParcelRow};

use crate::config::Checked;
use crate::deployment;

/// How often the outbox is looked at.
const LOOK: Duration = Duration::from_secs(2);
/// How often it is asked whether the day's digests are to be written.
const WRITE: Duration = Duration::from_secs(60);
/// How many parcels are on their way at once: a mail server of a clinic's provider refuses more connections of one address.
const AT_ONCE: u32 = 4;
/// How long one try may last: less than a parcel is taken for.
const TRY: Duration = Duration::from_secs(60);

/// Brings mail to where it is sent from.
pub trait Mailer: Send + Sync {
    /// Hands a message over; when this says yes, the other side is answerable for it. `key` is the same for each try.
    fn send<'m>(&'m self, key: &'m str, message: &'m Message) -> BoxFuture<'m, Result<(), Undelivered>>;
}

/// Carries parcels; one per process.
pub struct Courier {
    authority: Authority,
    /// Who carries mail, and from which address; `None` where the configuration says nothing about mail.
    mail: Option<(Box<dyn Mailer>, MailAddress)>,
    poster: webhook::Poster,
    plan: NoticePlan,
}

/// A panic (of a library that makes mails, for one) ends one round, not the courier: the parcel is taken again when its time has lapsed.
async fn unharmed<T>(round: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let ended = AssertUnwindSafe(round).catch_unwind().await;
    ended.unwrap_or_else(|_| Err(anyhow::anyhow!("a round of the courier panicked")))
}

/// What became of the parcels of one round.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Round {
    /// How many were delivered.
    pub delivered: usize,
    /// How many were not; they are tried again, or given up.
    pub failed: usize,
}

impl Courier {
    /// As the configuration says.
    pub fn new(checked: &Checked, authority: &Authority) -> anyhow::Result<Self> {
        let (mut hour, mut on_holidays, mut carrier) = (9, false, None);
        if let Some(mail) = &checked.config.mail {
            let mailer: Box<dyn Mailer> = match &mail.folder {
                Some(folder) => Box::new(folder::Folder::new(checked.path(folder))?),
                None => Box::new(smtp::Smtp::new(checked, mail).context("[mail]")?),
            };
            (hour, on_holidays) = (mail.hour, mail.on_holidays);
            carrier = Some((mailer, mail.from.parse().context("mail.from")?));
        }
        let plan = NoticePlan { hour, on_holidays, head: deployment::letterhead(checked) };
        let extra = checked.config.webhooks.ca_file.as_ref().map(|file| checked.path(file));
        let poster = webhook::Poster::new(extra.as_deref())?;
        Ok(Self { authority: authority.clone(), mail: carrier, poster, plan })
    }

    /// Whether mails are sent at all.
    pub fn sends_mail(&self) -> bool {
        self.mail.is_some()
    }

    /// Writes digests when it is time, and delivers what waits, until the process ends.
    pub async fn run(self) {
        let (mut look, mut write) = (tokio::time::interval(LOOK), tokio::time::interval(WRITE));
        loop {
            tokio::select! {
                _ = look.tick() => match unharmed(self.deliver()).await {
                    Ok(round) if round == Round::default() => {}
                    Ok(Round { delivered, failed }) => tracing::info!(delivered, failed, "notices were carried"),
                    Err(error) => tracing::error!(%error, "the outbox cannot be read; it is tried again at once"),
                },
                _ = write.tick() => match unharmed(self.write(&self.plan)).await {
                    Ok(0) => {}
                    Ok(written) => tracing::info!(written, "the day's reminders were written"),
                    Err(error) => tracing::error!(%error, "the day's reminders were not written; it is tried again in a minute"),
                },
            }
        }
    }

    /// Writes what is due today, whatever the hour; says for how many customers people are reminded.
    pub async fn write_now(&self) -> anyhow::Result<usize> {
        self.write(&NoticePlan { hour: 0, ..self.plan.clone() }).await
    }

    async fn write(&self, plan: &NoticePlan) -> anyhow::Result<usize> {
        self.authority.write_announcements(plan).await?;
        if !self.sends_mail() {
            return Ok(0);
        }
        Ok(self.authority.write_digests(plan).await?)
    }

    /// Tries everything that waits, once.
    pub async fn deliver(&self) -> anyhow::Result<Round> {
        let mut round = Round::default();
        let kinds: &[&'static str] = if self.sends_mail() { &[MAIL, WEBHOOK] } else { &[WEBHOOK] };
        for kind in kinds {
            loop {
                let parcels = self.authority.take_parcels(kind, AT_ONCE).await?;
                if parcels.is_empty() {
                    break;
                }
                for settled in join_all(parcels.iter().map(|parcel| self.carry(parcel))).await {
                    let delivered = settled? == Outcome::Delivered;
                    let outcome = if delivered { "delivered" } else { "failed" };
                    metrics::counter!("tegata_notices_total", "kind" => *kind, "outcome" => outcome).increment(1);
                    if delivered { round.delivered += 1 } else { round.failed += 1 }
                }
            }
        }
        Ok(round)
    }

    /// Tries one parcel, and settles it.
    async fn carry(&self, parcel: &ParcelRow) -> anyhow::Result<Outcome> {
        let done = match &self.mail {
            Some((mailer, from)) if parcel.kind == MAIL => {
                match message::message(parcel, from, &self.plan.head.service) {
                    Ok(message) => {
                        tokio::time::timeout(TRY, mailer.send(&parcel.key, &message)).await.unwrap_or_else(|_| {
                            Err(Undelivered {
                                reason: "the mail server did not answer in time".into(),
                                for_good: false,
                            })
                        })
                    }
                    Err(error) => Err(Undelivered { reason: error.to_string(), for_good: true }),
                }
            }
            _ => match self.authority.prepare_webhook(parcel).await? {
                Ok(post) => self.poster.post(&post).await,
                Err(never) => Err(never),
            },
        };
        if let Err(Undelivered { reason, .. }) = &done {
            tracing::warn!(
                parcel = parcel.id,
                kind = parcel.kind,
                tries = parcel.tries,
                reason,
                "a notice was not delivered"
            );
        }
        Ok(self.authority.settle_parcel(parcel, done).await?)
    }
}
