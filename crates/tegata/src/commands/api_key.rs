//! `tegata api-key create | list | rotate | revoke`: keys that programs show beside their terminal's certificate.

use std::path::Path;

use anyhow::Context;
use serde_json::json;
use tegata_authority::{Authority, MadeApiKey, NewApiKey};
use tegata_core::api_key::{ApiKey, ApiKeyId, ApiReach, ApiScope, ApiScopes, DAYS, MOST_DAYS, OVERLAP_DAYS};
use tegata_core::id::CustomerId;
use tegata_core::time::{Clock, Timestamp};

use super::terminal::TerminalName;
use crate::deployment;
use crate::out::Out;
use crate::system::SystemClock;

/// What to do with API keys.
#[derive(clap::Subcommand)]
pub enum Command {
    /// Make a key. Its secret is shown once. It counts only beside an accepted certificate of the customer's terminals.
    #[command(
        after_help = "Examples:\n  tegata api-key create --customer u00000001 --name 会計連携 --scope terminals:read --scope log:read\n  \
                      tegata api-key create --everything --customer u00000009 --terminal u00000009/client0001 --name 監視 --scope forecast:read"
    )]
    Create {
        /// Beside whose certificates it counts.
        #[arg(long)]
        customer: CustomerId,
        /// What people call it.
        #[arg(long)]
        name: String,
        /// What it is good for; give it several times for several.
        #[arg(long = "scope", required = true, value_parser = scope_values())]
        scopes: Vec<String>,
        /// Only beside the certificate of this terminal: CUSTOMER/CLIENT such as u00000001/client0001, or its UUID.
        #[arg(long)]
        terminal: Option<TerminalName>,
        /// A key of the operator's own: it reaches the terminals of every customer.
        #[arg(long)]
        everything: bool,
        /// For how many days it counts.
        #[arg(long, default_value_t = DAYS, value_parser = clap::value_parser!(u32).range(1..=i64::from(MOST_DAYS)))]
        days: u32,
    },
    /// List keys: never their secrets, which nobody has but the programs.
    List {
        /// Only of this customer.
        #[arg(long)]
        customer: Option<CustomerId>,
    },
    /// Give a key another secret, shown once. The one before still counts for some days, so that the program can be changed in between.
    #[command(
        after_help = "Examples:\n  tegata api-key rotate key-4f7k92qx\n  tegata api-key rotate key-4f7k92qx --overlap-days 0   # it leaked"
    )]
    Rotate {
        /// The key, as `list` shows it.
        key: ApiKeyId,
        /// For how many days from now the key counts.
        #[arg(long, default_value_t = DAYS, value_parser = clap::value_parser!(u32).range(1..=i64::from(MOST_DAYS)))]
        days: u32,
        /// For how many days the secret before still counts.
        #[arg(long, default_value_t = OVERLAP_DAYS, value_parser = clap::value_parser!(u32).range(0..=30))]
        overlap_days: u32,
    },
    /// Take a key back: it opens nothing from now on.
    #[command(after_help = "Example:\n  tegata api-key revoke key-4f7k92qx")]
    Revoke {
        /// The key, as `list` shows it.
        key: ApiKeyId,
    },
}

fn scope_values() -> clap::builder::PossibleValuesParser {
    ApiScope::ALL.map(|(_, word)| word).into()
}

/// Runs the command.
pub async fn run(command: Command, path: &Path, out: Out) -> anyhow::Result<()> {
    let actor = deployment::operator();
    if let Command::List { customer } = command {
        let store = deployment::register(&deployment::config(path)?).await?;
        let keys = store.reader().api_keys(actor.scope(), customer).await?;
        let now = SystemClock.now();
        let columns = ["key", "customer", "name", "scopes", "reach", "state", "until", "last_used"];
        return Ok(out.table(&columns, &keys.iter().map(|key| row(key, now)).collect::<Vec<_>>())?);
    }
    let (_, authority) = deployment::open(path).await?;
    let done = change(command, &authority, out).await;
    authority.close().await;
    done
}

async fn change(command: Command, authority: &Authority, out: Out) -> anyhow::Result<()> {
    let actor = deployment::operator();
    match command {
        Command::List { .. } => Ok(()),
        Command::Create { customer, name, scopes, terminal, everything, days } => {
            let terminal = match terminal {
                Some(name) => Some(name.find(authority.reader()).await?.id),
                None => None,
            };
            let scopes = ApiScopes::parse(&scopes.join(" "))?;
            let reach = if everything { ApiReach::Everything } else { ApiReach::Customer };
            let new = NewApiKey { customer, terminal, name: name.clone(), reach, scopes, days };
            let made = authority.make_api_key(&actor, new).await;
            shown(&made.with_context(|| format!("no API key {name} for {customer}"))?, out)
        }
        Command::Rotate { key, days, overlap_days } => {
            let found = find(authority, &key).await?;
            let made = authority.rotate_api_key(&actor, &found, (days, overlap_days)).await;
            shown(&made.with_context(|| format!("{key} stays as it is"))?, out)
        }
        Command::Revoke { key } => {
            let found = find(authority, &key).await?;
            let done = authority.revoke_api_key(&actor, &found).await;
            done.with_context(|| format!("{key} stays as it is"))?;
            let mut whole = value(&found);
            whole["state"] = json!("revoked");
            Ok(out.say(&format!("{key} {} is revoked", found.name), &whole)?)
        }
    }
}

async fn find(authority: &Authority, key: &ApiKeyId) -> anyhow::Result<ApiKey> {
    let found = authority.api_key(&deployment::operator(), key).await?;
    found.ok_or_else(|| anyhow::anyhow!("no such API key (see `tegata api-key list`)"))
}

/// A key with the secret that was just made.
fn shown(made: &MadeApiKey, out: Out) -> anyhow::Result<()> {
    let MadeApiKey { key, secret } = made;
    let mut text = format!(
        "{} {}, good for {} until {}\n\n  user      {}\n  password  {}\n\nThis is shown once. A program sends both by HTTP Basic, beside its \
         terminal's certificate.",
        key.id,
        key.name,
        key.scopes,
        key.expires_at,
        key.id,
        secret.expose()
    );
    if let Some(until) = key.previous_until {
        text += &format!(" The password before counts until {until}.");
    }
    let mut whole = value(key);
    whole["secret"] = json!(secret.expose());
    Ok(out.say(&text, &whole)?)
}

fn state(key: &ApiKey, now: Timestamp) -> &'static str {
    match key.revoked_at {
        Some(_) => "revoked",
        None if key.is_open(now) => "active",
        None => "expired",
    }
}

fn row(key: &ApiKey, now: Timestamp) -> Vec<String> {
    vec![
        key.id.to_string(),
        key.customer.to_string(),
        key.name.clone(),
        key.scopes.to_string(),
        reach(key).to_owned(),
        state(key, now).to_owned(),
        key.expires_at.to_string(),
        key.last_used_at.map_or_else(|| "never".to_owned(), |at| at.to_string()),
    ]
}

fn reach(key: &ApiKey) -> &'static str {
    match key.reach {
        ApiReach::Customer => "customer",
        ApiReach::Everything => "everything",
    }
}

/// A key for programs.
fn value(key: &ApiKey) -> serde_json::Value {
    json!({
        "key": key.id.as_str(),
        "customer": key.customer.to_string(),
        "terminal": key.terminal.map(|terminal| terminal.to_string()),
        "name": key.name,
        "reach": reach(key),
        "scopes": key.scopes.iter().map(|scope| scope.as_str()).collect::<Vec<_>>(),
        "created_at": key.created_at.to_string(),
        "expires_at": key.expires_at.to_string(),
        "previous_until": key.previous_until.map(|at| at.to_string()),
        "last_used_at": key.last_used_at.map(|at| at.to_string()),
        "revoked_at": key.revoked_at.map(|at| at.to_string()),
    })
}
