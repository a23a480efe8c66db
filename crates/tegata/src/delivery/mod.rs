//! Carries what waits in the outbox out of the house. Each parcel is taken, tried, and settled; a process that dies between leaves it to the
//! next one, so that it arrives at least once. Wiring and wires; when to try again is the authority's to say.

mod folder;
mod message;
mod smtp;

use std::time::Duration;

use anyhow::Context;
use futures_util::future::{BoxFuture, join_all};
use lettre::Message;
use tegata_authority::{Authority, MAIL, NoticePlan, Undelivered};
use tegata_core::contact::MailAddress;
use tegata_store::Outcome;

use crate::config::Checked;
use crate::deployment;

/// How often the outbox is looked at.
const LOOK: Duration = Duration::from_secs(2);
/// How often it is asked whether the day's digests are to be written.
const WRITE: Duration = Duration::from_secs(60);
/// How many mails are on their way at once: a mail server of a clinic's provider refuses more connections of one address.
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
    mailer: Box<dyn Mailer>,
    from: MailAddress,
    plan: NoticePlan,
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
    /// As the configuration says; `None` where it says nothing about mail.
    pub fn new(checked: &Checked, authority: &Authority) -> anyhow::Result<Option<Self>> {
        let Some(mail) = &checked.config.mail else { return Ok(None) };
        let mailer: Box<dyn Mailer> = match &mail.folder {
            Some(folder) => Box::new(folder::Folder::new(checked.path(folder))?),
            None => Box::new(smtp::Smtp::new(checked, mail).context("[mail]")?),
        };
        let from = mail.from.parse().context("mail.from")?;
        let plan = NoticePlan { hour: mail.hour, on_holidays: mail.on_holidays, head: deployment::letterhead(checked) };
        Ok(Some(Self { authority: authority.clone(), mailer, from, plan }))
    }

    /// Writes digests when it is time, and delivers what waits, until the process ends.
    pub async fn run(self) {
        let (mut look, mut write) = (tokio::time::interval(LOOK), tokio::time::interval(WRITE));
        loop {
            tokio::select! {
                _ = look.tick() => match self.deliver().await {
                    Ok(round) if round == Round::default() => {}
                    Ok(Round { delivered, failed }) => tracing::info!(delivered, failed, "notices were carried"),
                    Err(error) => tracing::error!(%error, "the outbox cannot be read; it is tried again at once"),
                },
                _ = write.tick() => match self.authority.write_digests(&self.plan).await {
                    Ok(0) => {}
                    Ok(written) => tracing::info!(written, "the day's reminders were written"),
                    Err(error) => tracing::error!(%error, "the day's reminders were not written; it is tried again in a minute"),
                },
            }
        }
    }

    /// Writes the digests that are due today, whatever the hour; says how many.
    pub async fn write_now(&self) -> anyhow::Result<usize> {
        Ok(self.authority.write_digests(&NoticePlan { hour: 0, ..self.plan.clone() }).await?)
    }

    /// Tries everything that waits, once.
    pub async fn deliver(&self) -> anyhow::Result<Round> {
        let mut round = Round::default();
        loop {
            let parcels = self.authority.take_parcels(MAIL, AT_ONCE).await?;
            if parcels.is_empty() {
                return Ok(round);
            }
            let tries = parcels.iter().map(|parcel| async move {
                let done = match message::message(parcel, &self.from, &self.plan.head.service) {
                    Ok(message) => {
                        tokio::time::timeout(TRY, self.mailer.send(&parcel.key, &message)).await.unwrap_or_else(|_| {
                            Err(Undelivered {
                                reason: "the mail server did not answer in time".into(),
                                for_good: false,
                            })
                        })
                    }
                    Err(error) => Err(Undelivered { reason: error.to_string(), for_good: true }),
                };
                if let Err(Undelivered { reason, .. }) = &done {
                    tracing::warn!(parcel = parcel.id, tries = parcel.tries, reason, "a mail was not delivered");
                }
                self.authority.settle_parcel(parcel, done).await
            });
            for settled in join_all(tries).await {
                let delivered = settled? == Outcome::Delivered;
                metrics::counter!("tegata_notices_total", "outcome" => if delivered { "delivered" } else { "failed" })
                    .increment(1);
                if delivered { round.delivered += 1 } else { round.failed += 1 }
            }
        }
    }
}
