//! `tegata renewal advise | list | withdraw`: moves the time at which programs renew, for example after an incident.

use std::path::Path;

use serde_json::json;
use tegata_core::id::CustomerId;
use tegata_pki::lint::is_http_url;
use tegata_store::{AdviceRow, Audience};

use super::terminal::TerminalName;
use crate::deployment;
use crate::out::Out;

/// What to do about renewals.
#[derive(clap::Subcommand)]
pub enum Command {
    /// Have programs renew now, whatever time is left: certificates that were issued until this moment. Agents notice within 6 hours;
    /// they spread themselves over the hours that are given.
    #[command(
        after_help = "Examples:\n  tegata renewal advise --all --within-hours 48 --explanation https://status.example.jp/2026-11\n  \
        tegata renewal advise --terminal u00000001/client0001 --within-hours 1"
    )]
    Advise(AdviseArgs),
    /// List what is advised at the moment.
    List,
    /// Take advice back.
    Withdraw {
        /// Its number, as `list` shows it.
        id: i64,
    },
}

/// What `advise` needs.
#[derive(clap::Args)]
pub struct AdviseArgs {
    #[command(flatten)]
    audience: AudienceArgs,
    /// Over how many hours the renewals are spread.
    #[arg(long, value_name = "HOURS", value_parser = clap::value_parser!(u16).range(1..=8760))]
    within_hours: u16,
    /// An address where people can read why.
    #[arg(long, value_name = "URL", value_parser = url)]
    explanation: Option<String>,
    /// Say what would be done, and do nothing.
    #[arg(long)]
    dry_run: bool,
}

#[derive(clap::Args)]
#[group(required = true, multiple = false)]
struct AudienceArgs {
    /// Everybody.
    #[arg(long)]
    all: bool,
    /// All terminals of this customer.
    #[arg(long)]
    customer: Option<CustomerId>,
    /// This terminal: CUSTOMER/CLIENT or its UUID.
    #[arg(long)]
    terminal: Option<TerminalName>,
}

fn url(text: &str) -> Result<String, String> {
    let rest = text.strip_prefix("https://").map(|rest| format!("http://{rest}"));
    let good = text.len() <= 400 && is_http_url(rest.as_deref().unwrap_or(text));
    good.then(|| text.to_owned()).ok_or_else(|| "an address such as https://status.example.jp/2026-11".to_owned())
}

/// Runs the command.
pub async fn run(command: Command, path: &Path, out: Out) -> anyhow::Result<()> {
    let actor = deployment::operator();
    let (_, authority) = deployment::open(path).await?;
    match command {
        Command::Advise(args) => {
            let audience = match (args.audience.customer, args.audience.terminal) {
                (Some(customer), _) => Audience::Customer(customer),
                (None, Some(name)) => {
                    let terminal = name.find(authority.reader()).await?;
                    Audience::Terminal(terminal.customer, terminal.id)
                }
                (None, None) => Audience::Everybody,
            };
            let until = authority.now().plus_seconds(i64::from(args.within_hours) * 3600);
            let whom = whom(audience);
            if args.dry_run {
                let text = format!("would advise {whom} to renew until {until}; nothing was changed");
                out.say(&text, &json!({ "dry_run": true, "for": whom, "until": until.to_string() }))?;
            } else {
                let row = authority.advise(&actor, audience, until, args.explanation).await?;
                let text = format!("{}: {whom} should renew until {until}", row.id);
                out.say(&text, &json!({ "id": row.id, "for": whom, "until": until.to_string() }))?;
            }
        }
        Command::List => {
            let rows: Vec<_> = authority.advice(&actor).await?.iter().map(row).collect();
            out.table(&["id", "for", "since", "until", "explanation"], &rows)?;
        }
        Command::Withdraw { id } => {
            authority.withdraw_advice(&actor, id).await?;
            out.say(&format!("withdrawn: {id}"), &json!({ "id": id, "withdrawn": true }))?;
        }
    }
    authority.close().await;
    Ok(())
}

fn whom(audience: Audience) -> String {
    match audience {
        Audience::Everybody => "everybody".to_owned(),
        Audience::Customer(customer) => format!("customer {customer}"),
        Audience::Terminal(customer, terminal) => format!("terminal {terminal} of {customer}"),
    }
}

fn row(row: &AdviceRow) -> Vec<String> {
    vec![
        row.id.to_string(),
        whom(row.audience),
        row.advice.since.to_string(),
        row.advice.until.to_string(),
        row.advice.explanation_url.clone().unwrap_or_default(),
    ]
}
