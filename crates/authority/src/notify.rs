//! Whom a customer wants to be told, the digest that tells them, and the outbox through which it leaves. What is to be sent is written in one
//! transaction with its row in the operation log; sending is somebody else's work, who takes a parcel, tries, and says what became of it.
//! Nothing here opens a connection.

use std::collections::{HashMap, HashSet};

use jiff::civil::Date;
use tegata_core::access::{Actor, administers};
use tegata_core::audit::{Action, Entry, Outcome as Ending};
use tegata_core::cert::CertRecord;
use tegata_core::contact::{Contact, LONGEST_LABEL, Language, MOST_CONTACTS, MailAddress};
use tegata_core::customer::{Customer, check_name};
use tegata_core::delivery::next_try;
use tegata_core::id::{CertificateId, CustomerId, TerminalId};
use tegata_core::reminder::{Reminder, depended_on, is_said_on, reminder};
use tegata_core::secret::random;
use tegata_core::terminal::Terminal;
use tegata_core::time::{Days, Timestamp};
use tegata_store::{NewParcel, Outcome, ParcelFilter, ParcelRow, Said, StoreError, Tx};

use crate::calendar::{self, calendar};
use crate::letter::{self, Letter, Letterhead};
use crate::{Authority, AuthorityError};

/// How parcels go that are mails, and how reminders are said.
pub const MAIL: &str = "mail";
/// What a parcel is about: all terminals of a customer that need somebody.
const DIGEST: &str = "digest";
/// What a parcel is about: whether mail arrives.
const TEST: &str = "test";
/// For how long a parcel is taken: longer than a try may last.
const TAKEN_FOR: i64 = 180;
/// How many test mails a customer gets in an hour, so that nobody is annoyed through us.
const TESTS_PER_HOUR: u32 = 20;
/// For how many days the outbox remembers what it has settled.
const REMEMBERED: Days = Days(90);

/// When digests are written, and who signs them.
#[derive(Clone, Debug)]
pub struct NoticePlan {
    /// From this hour of Japan on.
    pub hour: i8,
    /// On weekends and public holidays too, whatever the step.
    pub on_holidays: bool,
    /// Who writes.
    pub head: Letterhead,
}

/// Somebody to be told.
#[derive(Clone, Debug)]
pub struct NewContact {
    /// Where to.
    pub address: String,
    /// Who that is.
    pub label: String,
    /// In which language.
    pub language: Language,
}

/// Why a contact or a notice was not made.
#[derive(Debug, thiserror::Error)]
pub enum NotifyError {
    /// Not for this actor.
    #[error("only the operator and the customer's administrators may do this")]
    Forbidden,
    /// Nothing that mail can go to.
    #[error("that is not a mail address such as jimu@clinic.example.jp")]
    Address,
    /// The name cannot be used.
    #[error("a contact's name has 1 to {LONGEST_LABEL} characters")]
    Label,
    /// The address is there already.
    #[error("this address is a contact already")]
    Known,
    /// There are enough.
    #[error("a customer has at most {MOST_CONTACTS} contacts")]
    TooMany,
    /// It is not there, or another customer's.
    #[error("there is no such contact")]
    NoSuchContact,
    /// Too many test mails.
    #[error("too many test mails within an hour; try again later")]
    TooOften,
    /// Something inside.
    #[error(transparent)]
    Internal(#[from] AuthorityError),
}

impl From<StoreError> for NotifyError {
    fn from(error: StoreError) -> Self {
        Self::Internal(error.into())
    }
}

/// Why a parcel was not delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undelivered {
    /// What the other side said, or what kept us from it.
    pub reason: String,
    /// Whether trying again is of no use.
    pub for_good: bool,
}

/// A mail, and what became of it, without what the mail server said: that is for the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sending {
    /// Where to.
    pub recipient: String,
    /// Whether it says only that mail arrives.
    pub test: bool,
    /// When it was written.
    pub created_at: Timestamp,
    /// When it is tried again, while it is not settled.
    pub next_at: Timestamp,
    /// When the mail server took it.
    pub delivered_at: Option<Timestamp>,
    /// Whether the last try failed.
    pub failed: bool,
    /// Whether it is not tried again.
    pub given_up: bool,
}

impl From<ParcelRow> for Sending {
    fn from(parcel: ParcelRow) -> Self {
        Self {
            test: parcel.topic == TEST,
            recipient: parcel.recipient,
            created_at: parcel.created_at,
            next_at: parcel.next_at,
            delivered_at: parcel.delivered_at,
            failed: parcel.last_error.is_some(),
            given_up: parcel.given_up_at.is_some(),
        }
    }
}

/// The customers whose reminders of a day, by each way of saying them, were looked at by this process: no need to look again until tomorrow.
pub(crate) type LookedAt = std::sync::Mutex<Option<(Date, HashSet<(CustomerId, &'static str)>)>>;

impl Authority {
    /// The contacts of a customer, as far as the actor sees them.
    pub async fn contacts(&self, actor: &Actor, customer: CustomerId) -> Result<Vec<Contact>, AuthorityError> {
        Ok(self.0.reader.contacts(actor.scope(), Some(customer)).await?)
    }

    /// Adds a contact, and writes a first mail to it, so that it shows at once whether mail arrives there.
    pub async fn add_contact(
        &self,
        actor: &Actor,
        customer: &Customer,
        new: NewContact,
        head: &Letterhead,
    ) -> Result<(), NotifyError> {
        if !administers(actor, customer.id) {
            return Err(NotifyError::Forbidden);
        }
        let address: MailAddress = new.address.trim().parse().map_err(|_| NotifyError::Address)?;
        let label = new.label.trim().to_owned();
        check_name(&label, LONGEST_LABEL).map_err(|_| NotifyError::Label)?;
        let now = self.now();
        let contact = Contact { id: 0, customer: customer.id, address, label, language: new.language, created_at: now };
        let entry =
            self.notice(actor, customer.id, Action::ContactAdded, format!("{}: {}", contact.label, contact.address));
        let first = self.mail(&contact, TEST, letter::test(contact.language, head, &customer.name, now), None);
        let write = self.0.store.write(move |tx| {
            Box::pin(async move {
                if tx.contacts(contact.customer).await?.len() >= MOST_CONTACTS {
                    return Err(NotifyError::TooMany);
                }
                if !tx.insert_contact(&contact).await? {
                    return Err(NotifyError::Known);
                }
                tx.append_audit(&entry).await?;
                test_allowed(tx, contact.customer, now).await?;
                Ok(tx.insert_parcel(&first).await?)
            })
        });
        write.await
    }

    /// Removes a contact; what waits for it is not sent any more.
    pub async fn remove_contact(&self, actor: &Actor, customer: CustomerId, id: i64) -> Result<(), NotifyError> {
        if !administers(actor, customer) {
            return Err(NotifyError::Forbidden);
        }
        let entry = self.notice(actor, customer, Action::ContactRemoved, String::new());
        let write = self.0.store.write(move |tx| {
            Box::pin(async move {
                let Some(gone) = tx.remove_contact(customer, id).await? else { return Err(NotifyError::NoSuchContact) };
                let why = ("the contact was removed", entry.at);
                tx.drop_parcels(customer, gone.address.as_str(), why).await?;
                let detail = format!("{}: {}", gone.label, gone.address);
                tx.append_audit(&Entry { detail, ..entry }).await?;
                Ok(())
            })
        });
        write.await
    }

    /// Writes a mail to one contact that says only that mail arrives, or to all.
    pub async fn test_contact(
        &self,
        actor: &Actor,
        customer: &Customer,
        id: Option<i64>,
        head: &Letterhead,
    ) -> Result<Vec<Contact>, NotifyError> {
        if !administers(actor, customer.id) {
            return Err(NotifyError::Forbidden);
        }
        let mut contacts = self.0.reader.contacts(actor.scope(), Some(customer.id)).await?;
        contacts.retain(|contact| id.is_none_or(|id| contact.id == id));
        if contacts.is_empty() {
            return Err(NotifyError::NoSuchContact);
        }
        let now = self.now();
        let letter = |contact: &Contact| letter::test(contact.language, head, &customer.name, now);
        let mails: Vec<(NewParcel, Entry)> = contacts
            .iter()
            .map(|to| {
                let entry = self.notice(actor, customer.id, Action::NoticeTested, to.address.to_string());
                (self.mail(to, TEST, letter(to), None), entry)
            })
            .collect();
        let customer = customer.id;
        let write = self.0.store.write(move |tx| {
            Box::pin(async move {
                for (mail, entry) in mails {
                    test_allowed(tx, customer, now).await?;
                    tx.insert_parcel(&mail).await?;
                    tx.append_audit(&entry).await?;
                }
                Ok::<_, NotifyError>(())
            })
        });
        write.await?;
        Ok(contacts)
    }

    /// Writes the day's digests of all customers who have contacts and something to hear. Says how many were written. May be called as often
    /// as one likes, by as many nodes as there are: a customer's digest of a day is written once.
    pub async fn write_digests(&self, plan: &NoticePlan) -> Result<usize, AuthorityError> {
        let now = self.now();
        if now.jst_time().hour() < plan.hour {
            return Ok(0);
        }
        let scope = Actor::System { job: "notices" }.scope();
        let contacts = self.0.reader.contacts(scope, None).await?;
        let told: HashSet<CustomerId> = contacts.iter().map(|contact| contact.customer).collect();
        let mut written = 0;
        for customer in self.0.reader.customers(scope).await? {
            if told.contains(&customer.id) && !self.was_looked_at(now.jst_date(), (customer.id, MAIL)) {
                written += usize::from(self.write_digest(&customer, plan, now).await?);
                self.note_looked_at(now.jst_date(), (customer.id, MAIL));
            }
        }
        Ok(written)
    }

    async fn write_digest(
        &self,
        customer: &Customer,
        plan: &NoticePlan,
        now: Timestamp,
    ) -> Result<bool, AuthorityError> {
        let scope = Actor::System { job: "notices" }.scope();
        let due = self.due(customer.id, now).await?;
        let said = self.0.reader.said(scope, customer.id, MAIL).await?;
        let said: HashMap<TerminalId, Said> = said.into_iter().map(|said| (said.terminal, said)).collect();
        let day = now.jst_date();
        let news = due.iter().any(|(terminal, reminder)| {
            said.get(&terminal.id) != Some(&saying(terminal, reminder))
                && (plan.on_holidays || is_said_on(day, reminder.step))
        });
        if !news {
            return Ok(false);
        }
        let (this, customer, head) = (self.clone(), customer.clone(), plan.head.clone());
        let write = self.0.store.write(move |tx| {
            Box::pin(async move {
                let contacts = tx.contacts(customer.id).await?;
                if contacts.is_empty() || !tx.begin_digest(customer.id, MAIL, (day, now)).await? {
                    return Ok(false);
                }
                for (terminal, reminder) in &due {
                    tx.note_said(customer.id, MAIL, saying(terminal, reminder), now).await?;
                }
                for contact in &contacts {
                    let letter = letter::digest(contact.language, &head, &customer.name, &due, now);
                    let dates = this.endings_of(contact.language, &head, &due, now);
                    tx.insert_parcel(&this.mail(contact, DIGEST, letter, Some(dates))).await?;
                }
                let detail = format!("{} terminal(s), {} address(es)", due.len(), contacts.len());
                let actor = Actor::System { job: "notices" };
                tx.append_audit(&this.notice(&actor, customer.id, Action::NoticeWritten, detail)).await?;
                Ok::<_, StoreError>(true)
            })
        });
        Ok(write.await?)
    }

    /// The terminals of a customer that need somebody, the one that ends first on top.
    pub(crate) async fn due(
        &self,
        customer: CustomerId,
        now: Timestamp,
    ) -> Result<Vec<(Terminal, Reminder)>, AuthorityError> {
        let profile = &self.0.rules.terminal_profile;
        let rule = (profile.name.as_str(), profile.renewal_window());
        let due = |(terminal, all, waiting): (Terminal, Vec<CertRecord>, Option<CertificateId>)| {
            reminder(&terminal, (&all, waiting), rule, now).map(|reminder| (terminal, reminder))
        };
        let scope = Actor::System { job: "notices" };
        let mut due: Vec<_> = self.holdings(&scope, customer, now).await?.into_iter().filter_map(due).collect();
        due.sort_by_key(|(terminal, reminder)| (reminder.ends, terminal.client));
        Ok(due)
    }

    /// When the certificate of each terminal of a customer ends, as a calendar.
    pub async fn calendar(
        &self,
        actor: &Actor,
        customer: CustomerId,
        (language, service): (Language, &str),
    ) -> Result<String, AuthorityError> {
        let now = self.now();
        let name = &self.0.rules.terminal_profile.name;
        let holdings = self.holdings(actor, customer, now).await?;
        let mut endings: Vec<calendar::Ending<'_>> = holdings
            .iter()
            .filter(|(terminal, _, _)| terminal.retired_at.is_none() && terminal.blocked_at.is_none())
            .filter_map(|(terminal, all, waiting)| {
                let cert = depended_on(all, *waiting, name)?;
                Some(calendar::Ending { terminal, certificate: cert.id, ends: cert.not_after })
            })
            .collect();
        endings.sort_by_key(|ending| (ending.ends, ending.terminal.client));
        Ok(calendar(language, service, &endings, now))
    }

    fn endings_of(&self, language: Language, head: &Letterhead, due: letter::Due<'_>, now: Timestamp) -> String {
        let ending =
            |(terminal, reminder): &'_ (Terminal, Reminder)| (terminal.clone(), reminder.certificate, reminder.ends);
        let all: Vec<_> = due.iter().map(ending).collect();
        let endings: Vec<calendar::Ending<'_>> = all
            .iter()
            .map(|(terminal, certificate, ends)| calendar::Ending { terminal, certificate: *certificate, ends: *ends })
            .collect();
        calendar(language, &head.service, &endings, now)
    }

    /// The mails that were written for a customer lately, newest first, and what became of them.
    pub async fn sendings(
        &self,
        actor: &Actor,
        customer: CustomerId,
        limit: u32,
    ) -> Result<Vec<Sending>, AuthorityError> {
        let filter = ParcelFilter { customer: Some(customer), failed: false, kind: Some(MAIL) };
        let parcels = self.0.reader.parcels(actor.scope(), filter, limit).await?;
        Ok(parcels.into_iter().map(Sending::from).collect())
    }

    /// Takes what is to go this way now, at most `most`. Each must be settled; one that is not is taken again by somebody else after a while.
    pub async fn take_parcels(&self, kind: &'static str, most: u32) -> Result<Vec<ParcelRow>, AuthorityError> {
        let now = self.now();
        if !self.0.reader.parcels_wait(kind, now).await? {
            return Ok(Vec::new());
        }
        let until = now.plus_seconds(TAKEN_FOR);
        let write = self.0.store.write(move |tx| {
            Box::pin(async move { tx.take_parcels((kind, most), (now, until)).await.map_err(AuthorityError::from) })
        });
        write.await
    }

    /// Says what became of a parcel that was taken. What is given up has its row in the operation log.
    pub async fn settle_parcel(
        &self,
        parcel: &ParcelRow,
        done: Result<(), Undelivered>,
    ) -> Result<Outcome, AuthorityError> {
        let now = self.now();
        let outcome = match done {
            Ok(()) => Outcome::Delivered,
            Err(Undelivered { reason, for_good: true }) => Outcome::GivenUp(reason),
            Err(Undelivered { reason, .. }) => match next_try(parcel.tries, parcel.created_at, now) {
                Some(next) => Outcome::TryAt(next, reason),
                None => Outcome::GivenUp(reason),
            },
        };
        let given_up = match &outcome {
            Outcome::GivenUp(reason) => Some(Entry {
                at: now,
                actor: Actor::System { job: "notices" },
                customer: parcel.customer,
                terminal: None,
                serial: None,
                action: Action::NoticeGivenUp,
                outcome: Ending::Refused,
                detail: format!("{} {} to {}: {reason}", parcel.kind, parcel.topic, parcel.recipient),
            }),
            _ => None,
        };
        let (which, noted) = ((parcel.id, parcel.tries), outcome.clone());
        let write = self.0.store.write(move |tx| {
            Box::pin(async move {
                let ours = tx.settle_parcel(which, &noted, now).await?;
                if let Some(entry) = given_up.filter(|_| ours) {
                    tx.append_audit(&entry).await?;
                }
                Ok::<_, AuthorityError>(())
            })
        });
        write.await?;
        Ok(outcome)
    }

    /// Takes up again what failed: one parcel, or all. Says how many.
    pub async fn retry_parcels(&self, actor: &Actor, id: Option<i64>) -> Result<u64, NotifyError> {
        if !matches!(actor, Actor::Operator { .. }) {
            return Err(NotifyError::Forbidden);
        }
        let now = self.now();
        let write = self.0.store.write(move |tx| Box::pin(async move { tx.retry_parcels(id, now).await }));
        Ok(write.await?)
    }

    /// The terminals of a customer that an actor sees, with their certificates and the one that waits for each.
    async fn holdings(
        &self,
        actor: &Actor,
        customer: CustomerId,
        now: Timestamp,
    ) -> Result<Vec<(Terminal, Vec<CertRecord>, Option<CertificateId>)>, AuthorityError> {
        let (scope, reader) = (actor.scope(), &self.0.reader);
        let terminals = reader.terminals(scope, Some(customer)).await?;
        let waiting: HashSet<CertificateId> =
            reader.waiting_certificates(scope, customer, now).await?.into_iter().collect();
        let mut all: HashMap<TerminalId, Vec<CertRecord>> = HashMap::new();
        for cert in reader.certificates_of_customer(scope, customer).await? {
            all.entry(cert.terminal).or_default().push(cert);
        }
        let holding = |terminal: Terminal| {
            let certificates = all.remove(&terminal.id).unwrap_or_default();
            let waits = certificates.iter().find(|cert| waiting.contains(&cert.id)).map(|cert| cert.id);
            (terminal, certificates, waits)
        };
        Ok(terminals.into_iter().map(holding).collect())
    }

    fn mail(&self, to: &Contact, topic: &'static str, letter: Letter, calendar: Option<String>) -> NewParcel {
        let key: String = random::<16>(&*self.0.entropy).iter().map(|byte| format!("{byte:02x}")).collect();
        NewParcel {
            kind: MAIL,
            topic,
            key,
            customer: Some(to.customer),
            recipient: to.address.to_string(),
            subject: letter.subject,
            body: letter.text,
            calendar,
            created_at: self.now(),
        }
    }

    fn notice(&self, actor: &Actor, customer: CustomerId, action: Action, detail: String) -> Entry {
        let (at, actor, terminal) = (self.now(), actor.clone(), where_it_is_done(actor));
        Entry { at, actor, customer: Some(customer), terminal, serial: None, action, outcome: Ending::Done, detail }
    }

    pub(crate) fn was_looked_at(&self, day: Date, customer: (CustomerId, &'static str)) -> bool {
        let looked = self.0.looked_at.lock().expect("nothing panics while holding this lock");
        looked.as_ref().is_some_and(|(of, customers)| *of == day && customers.contains(&customer))
    }

    pub(crate) fn note_looked_at(&self, day: Date, customer: (CustomerId, &'static str)) {
        let mut looked = self.0.looked_at.lock().expect("nothing panics while holding this lock");
        match looked.as_mut() {
            Some((of, customers)) if *of == day => {
                customers.insert(customer);
            }
            _ => *looked = Some((day, HashSet::from([customer]))),
        }
    }
}

/// The terminal in whose log it belongs: the one at which a person sits.
fn where_it_is_done(actor: &Actor) -> Option<TerminalId> {
    match actor {
        Actor::User { terminal, .. } => Some(*terminal),
        _ => None,
    }
}

pub(crate) fn saying(terminal: &Terminal, reminder: &Reminder) -> Said {
    Said { terminal: terminal.id, certificate: reminder.certificate, step: reminder.step }
}

/// Counts where one writes at a time.
async fn test_allowed(tx: &mut Tx, customer: CustomerId, now: Timestamp) -> Result<(), NotifyError> {
    match tx.count_parcels(customer, TEST, now.plus_seconds(-3600)).await? {
        written if written >= TESTS_PER_HOUR => Err(NotifyError::TooOften),
        _ => Ok(()),
    }
}

/// Forgets what has been settled long ago.
pub(crate) async fn forget(tx: &mut Tx, now: Timestamp) -> Result<(), StoreError> {
    let before = now.plus_days(Days(-REMEMBERED.0));
    tx.forget_parcels(before).await?;
    tx.forget_digests(before).await.map(|_| ())
}
