//! `tegata notify contacts | test | run | outbox | retry`

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use serde_json::json;
use tegata_authority::{Authority, MAIL, NewContact};
use tegata_core::contact::Language;
use tegata_core::customer::Customer;
use tegata_core::id::CustomerId;
use tegata_store::{ParcelFilter, ParcelRow};

use crate::config::Checked;
use crate::delivery::Courier;
use crate::deployment;
use crate::out::Out;

/// What to do with notices.
#[derive(clap::Subcommand)]
pub enum Command {
    /// Who gets the notices of a customer: list, add, remove.
    #[command(subcommand)]
    Contacts(Contacts),
    /// Send a test mail to the contacts of a customer, and say what became of it.
    #[command(after_help = "Example:\n  tegata notify test --customer u00000001 --address jimu@clinic.example.jp")]
    Test {
        /// Whose contacts.
        #[arg(long)]
        customer: CustomerId,
        /// Only to this one of them.
        #[arg(long)]
        address: Option<String>,
    },
    /// Write the reminders that are due today, whatever the hour, and try to deliver all that waits. `tegata serve` does this by itself; a
    /// customer's reminders of a day are written once.
    Run,
    /// List what was sent lately, newest first, and what became of it.
    #[command(after_help = "Example:\n  tegata notify outbox --failed --json")]
    Outbox {
        /// Only what is not delivered although it was tried.
        #[arg(long)]
        failed: bool,
        /// Only of this customer.
        #[arg(long)]
        customer: Option<CustomerId>,
        /// At most so many.
        #[arg(long, default_value_t = 100)]
        limit: u32,
    },
    /// Try again what failed, now: one by its number in `outbox`, or everything.
    Retry {
        /// Its number.
        id: Option<i64>,
    },
}

/// What to do with contacts.
#[derive(clap::Subcommand)]
pub enum Contacts {
    /// List them, of one customer or of all.
    List {
        /// Only of this customer.
        #[arg(long)]
        customer: Option<CustomerId>,
    },
    /// Add one; a first mail is written to it.
    #[command(
        after_help = "Example:\n  tegata notify contacts add --customer u00000001 --address jimu@clinic.example.jp --name 事務長"
    )]
    Add {
        /// Whose notices.
        #[arg(long)]
        customer: CustomerId,
        /// The mail address.
        #[arg(long)]
        address: String,
        /// Who that is.
        #[arg(long)]
        name: String,
        /// In which language: ja or en.
        #[arg(long, default_value = "ja")]
        language: Language,
    },
    /// Remove one; what waits for it is not sent any more.
    Remove {
        /// Whose notices.
        #[arg(long)]
        customer: CustomerId,
        /// The mail address.
        #[arg(long)]
        address: String,
    },
}

/// Runs the command.
pub async fn run(command: Command, path: &Path, out: Out) -> anyhow::Result<ExitCode> {
    match command {
        Command::Contacts(Contacts::List { customer }) => list(path, customer, out).await?,
        Command::Outbox { failed, customer, limit } => {
            let store = deployment::register(&deployment::config(path)?).await?;
            let filter = ParcelFilter { customer, failed, kind: None };
            let parcels = store.reader().parcels(deployment::operator().scope(), filter, limit).await?;
            table(&parcels, out)?;
        }
        command => {
            let (checked, authority) = deployment::open(path).await?;
            let done = change(command, &checked, &authority, out).await;
            authority.close().await;
            return done;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn list(path: &Path, customer: Option<CustomerId>, out: Out) -> anyhow::Result<()> {
    let store = deployment::register(&deployment::config(path)?).await?;
    let contacts = store.reader().contacts(deployment::operator().scope(), customer).await?;
    let rows: Vec<Vec<String>> = contacts
        .into_iter()
        .map(|c| vec![c.customer.to_string(), c.address.to_string(), c.label, c.language.as_str().to_owned()])
        .collect();
    Ok(out.table(&["customer", "address", "name", "language"], &rows)?)
}

async fn change(command: Command, checked: &Checked, authority: &Authority, out: Out) -> anyhow::Result<ExitCode> {
    let actor = deployment::operator();
    let head = deployment::letterhead(checked);
    match command {
        Command::Contacts(Contacts::Add { customer, address, name, language }) => {
            let customer = find(authority, customer).await?;
            let new = NewContact { address: address.clone(), label: name, language };
            authority.add_contact(&actor, &customer, new, &head).await?;
            let first =
                if checked.config.mail.is_some() { "a first mail is on its way" } else { "[mail] is not set up yet" };
            let value = json!({ "customer": customer.id.to_string(), "address": address });
            out.say(&format!("{address} gets the notices of {} ({first})", customer.name), &value)?;
        }
        Command::Contacts(Contacts::Remove { customer, address }) => {
            let id = contact(authority, customer, &address).await?;
            authority.remove_contact(&actor, customer, id).await?;
            let value = json!({ "customer": customer.to_string(), "address": address });
            out.say(&format!("{address} gets no more notices"), &value)?;
        }
        Command::Test { customer, address } => {
            let customer = find(authority, customer).await?;
            let courier = courier(checked, authority)?;
            let id = match &address {
                Some(address) => Some(contact(authority, customer.id, address).await?),
                None => None,
            };
            let contacts = authority.test_contact(&actor, &customer, id, &head).await?;
            courier.deliver().await?;
            let filter = ParcelFilter { customer: Some(customer.id), failed: false, kind: Some(MAIL) };
            let last = u32::try_from(contacts.len())?;
            let parcels = authority.reader().parcels(actor.scope(), filter, last).await?;
            table(&parcels, out)?;
            let arrived = parcels.iter().all(|parcel| parcel.delivered_at.is_some());
            return Ok(if arrived { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
        Command::Run => {
            let courier = courier(checked, authority)?;
            let written = courier.write_now().await?;
            let round = courier.deliver().await?;
            let text = format!(
                "reminders written for {written} customer(s); {} notice(s) delivered, {} not",
                round.delivered, round.failed
            );
            let value = json!({ "written": written, "delivered": round.delivered, "failed": round.failed });
            out.say(&text, &value)?;
            return Ok(if round.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
        Command::Retry { id } => {
            let taken = authority.retry_parcels(&actor, id).await?;
            anyhow::ensure!(
                taken > 0 || id.is_none(),
                "nothing with this number has failed (see `tegata notify outbox --failed`)"
            );
            out.say(&format!("{taken} to be tried again now"), &json!({ "retried": taken }))?;
        }
        Command::Contacts(Contacts::List { .. }) | Command::Outbox { .. } => unreachable!("these only read"),
    }
    Ok(ExitCode::SUCCESS)
}

fn courier(checked: &Checked, authority: &Authority) -> anyhow::Result<Courier> {
    let courier = Courier::new(checked, authority)?;
    anyhow::ensure!(courier.sends_mail(), "no mail is sent: fill in [mail] in the configuration");
    Ok(courier)
}

async fn find(authority: &Authority, customer: CustomerId) -> anyhow::Result<Customer> {
    let found = authority.reader().customer(deployment::operator().scope(), customer).await?;
    found.context("no such customer (see `tegata customer list`)")
}

async fn contact(authority: &Authority, customer: CustomerId, address: &str) -> anyhow::Result<i64> {
    let contacts = authority.contacts(&deployment::operator(), customer).await?;
    let found = contacts.iter().find(|contact| contact.address.as_str() == address);
    found.map(|contact| contact.id).context("no such contact (see `tegata notify contacts list`)")
}

fn table(parcels: &[ParcelRow], out: Out) -> std::io::Result<()> {
    let row = |parcel: &ParcelRow| {
        let state = match (parcel.delivered_at, parcel.given_up_at) {
            (Some(at), _) => format!("delivered {at}"),
            (_, Some(at)) => format!("given up {at}"),
            _ if parcel.last_error.is_some() => format!("again from {}", parcel.next_at),
            _ => "waits".to_owned(),
        };
        vec![
            parcel.id.to_string(),
            parcel.created_at.to_string(),
            parcel.customer.map(|customer| customer.to_string()).unwrap_or_default(),
            format!("{} {}", parcel.kind, parcel.topic),
            parcel.recipient.clone(),
            parcel.tries.to_string(),
            state,
            parcel.last_error.clone().unwrap_or_default(),
        ]
    };
    let rows: Vec<Vec<String>> = parcels.iter().map(row).collect();
    out.table(&["id", "written", "customer", "what", "to", "tries", "state", "error"], &rows)
}
