//! `tegata webhook add | list | remove | test | rotate`

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use serde_json::json;
use tegata_authority::{Authority, WEBHOOK};
use tegata_core::hook::{Hook, HookUrl};
use tegata_core::id::CustomerId;
use tegata_store::ParcelFilter;

use crate::config::Checked;
use crate::delivery::Courier;
use crate::deployment;
use crate::out::Out;

/// What to do with webhooks.
#[derive(clap::Subcommand)]
pub enum Command {
    /// Tell a program of certificates: issued, downloaded, used, expiring, expired, revoked. Its secret is shown once.
    #[command(
        after_help = "Examples:\n  tegata webhook add --customer u00000001 --url https://example.jp/hook\n  tegata webhook add --everybody --url https://monitor.example.jp/tegata"
    )]
    Add {
        /// Of this customer's certificates.
        #[arg(long, required_unless_present = "everybody", conflicts_with = "everybody")]
        customer: Option<CustomerId>,
        /// Of all customers' certificates.
        #[arg(long)]
        everybody: bool,
        /// Where it listens: https, or http at a loopback address.
        #[arg(long)]
        url: HookUrl,
        /// It may be on this machine or in a private network. Only for an address that you know yourself: never for one that a customer asked for.
        #[arg(long)]
        private: bool,
    },
    /// List them.
    List,
    /// Remove one: it is told nothing more, not even what waits.
    Remove {
        /// Its number.
        id: i64,
    },
    /// Send one a test (`webhook.test`), and say what became of it.
    Test {
        /// Its number.
        id: i64,
    },
    /// Give one another secret. The one before signs too for 24 hours.
    Rotate {
        /// Its number.
        id: i64,
    },
}

/// Runs the command.
pub async fn run(command: Command, path: &Path, out: Out) -> anyhow::Result<ExitCode> {
    let (checked, authority) = deployment::open(path).await?;
    let done = change(command, &checked, &authority, out).await;
    authority.close().await;
    done
}

async fn change(command: Command, checked: &Checked, authority: &Authority, out: Out) -> anyhow::Result<ExitCode> {
    let actor = deployment::operator();
    match command {
        Command::Add { customer, everybody: _, url, private } => {
            let (hook, secret) = authority.add_webhook(&actor, customer, (url, private)).await?;
            let text = format!(
                "webhook {}: {}\nsecret (shown once): {}\nTry it: tegata webhook test {}",
                hook.id,
                hook.url,
                secret.expose(),
                hook.id
            );
            out.say(&text, &json!({ "id": hook.id, "url": hook.url.to_string(), "secret": secret.expose() }))?;
        }
        Command::List => {
            let rows: Vec<Vec<String>> = authority.webhooks(&actor).await?.iter().map(row).collect();
            out.table(&["id", "customer", "url", "private", "since"], &rows)?;
        }
        Command::Remove { id } => {
            let gone = authority.remove_webhook(&actor, id).await?;
            out.say(&format!("{} is told nothing more", gone.url), &json!({ "id": id, "url": gone.url.to_string() }))?;
        }
        Command::Rotate { id } => {
            let secret = authority.rotate_webhook(&actor, id).await?;
            let text = format!("secret (shown once; the one before signs too for 24 hours): {}", secret.expose());
            out.say(&text, &json!({ "id": id, "secret": secret.expose() }))?;
        }
        Command::Test { id } => return test(checked, authority, id, out).await,
    }
    Ok(ExitCode::SUCCESS)
}

async fn test(checked: &Checked, authority: &Authority, id: i64, out: Out) -> anyhow::Result<ExitCode> {
    let actor = deployment::operator();
    let key = authority.test_webhook(&actor, id).await?;
    Courier::new(checked, authority)?.deliver().await?;
    let filter = ParcelFilter { kind: Some(WEBHOOK), ..ParcelFilter::default() };
    let parcels = authority.reader().parcels(actor.scope(), filter, 1000).await?;
    let sent = parcels.iter().find(|parcel| parcel.key.starts_with(&key)).context("the test is not in the outbox")?;
    let error = sent.last_error.clone().unwrap_or_default();
    let (text, state) = match sent.delivered_at {
        Some(at) => (format!("delivered {at}"), "delivered"),
        None if sent.given_up_at.is_some() => (format!("given up: {error}"), "given up"),
        None => (format!("not delivered, tried again from {}: {error}", sent.next_at), "waits"),
    };
    out.say(&text, &json!({ "id": sent.key, "state": state, "error": sent.last_error }))?;
    Ok(if sent.delivered_at.is_some() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn row(hook: &Hook) -> Vec<String> {
    vec![
        hook.id.to_string(),
        hook.customer.map_or_else(|| "everybody".to_owned(), |customer| customer.to_string()),
        hook.url.to_string(),
        if hook.private { "permitted" } else { "" }.to_owned(),
        hook.created_at.to_string(),
    ]
}
