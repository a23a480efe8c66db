//! `tegata terminal add | invite | recover | rename | describe | lost | retire | list | show | policy`

use std::path::Path;

use anyhow::Context;
use serde_json::json;
use tegata_core::id::{ClientNumber, CustomerId, TerminalId};
use tegata_core::terminal::Terminal;
use tegata_store::Reader;

use crate::deployment;
use crate::out::Out;

/// What to do with terminals.
#[derive(clap::Subcommand)]
pub enum Command {
    /// Register a terminal (it has no certificate yet: see `tegata cert issue`).
    #[command(after_help = "Example:\n  tegata terminal add --customer u00000001 --name 受付1")]
    Add {
        /// Whose terminal.
        #[arg(long)]
        customer: CustomerId,
        /// What people call it.
        #[arg(long)]
        name: String,
        /// Its number such as client0001; the customer's next free one when left out.
        #[arg(long)]
        client: Option<ClientNumber>,
    },
    /// Make an enrolment code, with which an agent (or any EST client) at the terminal gets its first certificate. Earlier codes of the
    /// terminal end.
    #[command(after_help = "Example:\n  tegata terminal invite u00000001/client0001")]
    Invite {
        /// CUSTOMER/CLIENT such as u00000001/client0001, or its UUID.
        terminal: TerminalName,
        /// For how many minutes the code counts.
        #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=10_080))]
        minutes: u32,
        /// Whoever uses it waits until you say yes (`tegata enrollment approve`).
        #[arg(long)]
        approval: bool,
        /// The terminal moves to the PC where the code is used: its other certificates end when the new one is used.
        #[arg(long, conflicts_with = "approval")]
        moves: bool,
    },
    /// Make a recovery code for a terminal whose certificate has expired or got lost: whoever types it at the terminal gets the new
    /// certificate there, without any other. It counts for 15 minutes and five wrong tries; an earlier one ends. Never for a terminal whose
    /// last certificate was revoked.
    #[command(
        after_help = "Example:\n  tegata terminal recover u00000001/client0001 --reason \"expired, all terminals of the clinic\""
    )]
    Recover {
        /// CUSTOMER/CLIENT such as u00000001/client0001, or its UUID.
        terminal: TerminalName,
        /// Why, for the operation log: who called, and how you know that it was them.
        #[arg(long)]
        reason: String,
        /// Also where an earlier code was typed and the certificate is being fetched with it; that ends.
        #[arg(long)]
        replace: bool,
    },
    /// Call a terminal something else; its certificates stay as they are.
    #[command(after_help = "Example:\n  tegata terminal rename u00000001/client0001 --name 会計")]
    Rename {
        /// CUSTOMER/CLIENT such as u00000001/client0001, or its UUID.
        terminal: TerminalName,
        /// The new name.
        #[arg(long)]
        name: String,
    },
    /// Note where a terminal stands and what runs on it, for lists.
    #[command(
        after_help = "Example:\n  tegata terminal describe u00000001/client0001 --place 受付 --system \"Windows 11\""
    )]
    Describe {
        /// CUSTOMER/CLIENT such as u00000001/client0001, or its UUID.
        terminal: TerminalName,
        /// Where it stands; what was noted before stays when this is left out.
        #[arg(long)]
        place: Option<String>,
        /// What runs on it; what was noted before stays when this is left out.
        #[arg(long)]
        system: Option<String>,
    },
    /// A terminal is lost or stolen: revoke all its certificates (key-compromise), end its logins and codes. Nobody but you can give it another.
    #[command(after_help = "Example:\n  tegata terminal lost u00000001/client0001 --reason \"stolen from the car\"")]
    Lost {
        /// CUSTOMER/CLIENT such as u00000001/client0001, or its UUID.
        terminal: TerminalName,
        /// Why, for the operation log.
        #[arg(long)]
        reason: String,
    },
    /// Take a terminal out of service for good: revoke all its certificates (cessation-of-operation). It gets no other.
    #[command(after_help = "Example:\n  tegata terminal retire u00000001/client0001 --reason \"PC given back\"")]
    Retire {
        /// CUSTOMER/CLIENT such as u00000001/client0001, or its UUID.
        terminal: TerminalName,
        /// Why, for the operation log.
        #[arg(long)]
        reason: String,
    },
    /// List terminals.
    List {
        /// Only of this customer.
        #[arg(long)]
        customer: Option<CustomerId>,
    },
    /// Show one, with its certificates.
    #[command(after_help = "Example:\n  tegata terminal show u00000001/client0001")]
    Show {
        /// CUSTOMER/CLIENT such as u00000001/client0001, or its UUID.
        terminal: TerminalName,
    },
    /// Files with which Chrome and Edge choose the certificate by themselves, for the administrators of PCs.
    #[command(
        after_help = "Examples:\n  tegata terminal policy --format reg --out tegata-browser.reg\n  tegata terminal policy"
    )]
    Policy(super::policy::Args),
}

/// How an operator names a terminal.
#[derive(Clone, Debug)]
pub enum TerminalName {
    /// By customer and number.
    Number(CustomerId, ClientNumber),
    /// By its id.
    Id(TerminalId),
}

impl std::str::FromStr for TerminalName {
    type Err = tegata_core::id::ParseIdError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('/') {
            Some((customer, client)) => Ok(Self::Number(customer.parse()?, client.parse()?)),
            None => text.parse().map(Self::Id),
        }
    }
}

impl TerminalName {
    /// The terminal's row.
    pub async fn find(&self, reader: &Reader) -> anyhow::Result<Terminal> {
        let scope = deployment::operator().scope();
        let found = match self {
            Self::Number(customer, client) => reader.terminal_by_client(scope, *customer, *client).await?,
            Self::Id(id) => reader.terminal(scope, *id).await?,
        };
        found.ok_or_else(|| anyhow::anyhow!("no such terminal (see `tegata terminal list`)"))
    }
}

/// Runs the command.
pub async fn run(command: Command, path: &Path, out: Out) -> anyhow::Result<()> {
    let actor = deployment::operator();
    match command {
        Command::Add { customer, name, client } => {
            let (_, authority) = deployment::open(path).await?;
            let what = format!("terminal {name} of {customer} was not registered");
            let terminal = authority.add_terminal(&actor, customer, client, &name).await.context(what)?;
            authority.close().await;
            let text = format!("registered {}/{} {}", terminal.customer, terminal.client, terminal.name);
            out.say(&text, &value(&terminal))?;
        }
        Command::Invite { terminal, minutes, approval, moves } => {
            invite(path, out, terminal, minutes, (approval, moves)).await?;
        }
        Command::Recover { terminal, reason, replace } => recover(path, out, terminal, (&reason, replace)).await?,
        Command::Rename { terminal, name } => rename(path, out, terminal, &name).await?,
        Command::Describe { terminal, place, system } => describe(path, out, terminal, (place, system)).await?,
        Command::Lost { terminal, reason } => end(path, out, terminal, (&reason, true)).await?,
        Command::Retire { terminal, reason } => end(path, out, terminal, (&reason, false)).await?,
        Command::Policy(args) => super::policy::run(args, path, out).await?,
        Command::List { customer } => {
            let store = deployment::register(&deployment::config(path)?).await?;
            let terminals = store.reader().terminals(actor.scope(), customer).await?;
            let row =
                |t: &Terminal| vec![t.customer.to_string(), t.client.to_string(), t.name.clone(), t.id.to_string()];
            out.table(&["customer", "client", "name", "id"], &terminals.iter().map(row).collect::<Vec<_>>())?;
        }
        Command::Show { terminal } => {
            let store = deployment::register(&deployment::config(path)?).await?;
            let reader = store.reader();
            let terminal = terminal.find(&reader).await?;
            let certificates = reader.certificates_of_terminal(actor.scope(), terminal.id).await?;
            let mut text = format!("{}/{} {}\n{}\n", terminal.customer, terminal.client, terminal.name, terminal.id);
            for cert in &certificates {
                text += &format!("  {}  until {}  {}\n", cert.serial, cert.not_after, super::cert::state(cert));
            }
            let facts = reader.facts_of(actor.scope(), terminal.id).await?.unwrap_or_default();
            let seen = facts.seen_at.map(|at| at.to_string());
            text +=
                &format!("  {} / {}, last seen {}\n", facts.place, facts.system, seen.as_deref().unwrap_or("never"));
            let mut whole = value(&terminal);
            whole["place"] = json!(facts.place);
            whole["system"] = json!(facts.system);
            whole["seen_at"] = json!(seen);
            whole["certificates"] = certificates.iter().map(super::cert::value).collect();
            out.say(&text, &whole)?;
        }
    }
    Ok(())
}

async fn invite(
    path: &Path,
    out: Out,
    terminal: TerminalName,
    minutes: u32,
    (approval, moves): (bool, bool),
) -> anyhow::Result<()> {
    let (checked, authority) = deployment::open(path).await?;
    let terminal = terminal.find(authority.reader()).await?;
    let actor = deployment::operator();
    let invitation = match moves {
        true => authority.invite_to_move(&actor, &terminal, minutes).await?,
        false => authority.invite(&actor, &terminal, minutes, approval).await?,
    };
    let (code, url) = (invitation.code.spoken(), &checked.config.server.url);
    let root = authority.ca().root.fingerprint();
    let text = format!(
        "code {code} for {customer}/{client} {name}, until {until}\n\nAt the terminal:\n  \
         tegata agent enroll --server {url} --ca-fingerprint {root} --code {code}\n  or open {url}/enroll in the browser, and type it",
        code = code.expose(),
        customer = terminal.customer,
        client = terminal.client,
        name = terminal.name,
        until = invitation.expires_at,
    );
    let mut whole = value(&terminal);
    whole["code"] = json!(code.expose());
    whole["expires_at"] = json!(invitation.expires_at.to_string());
    whole["server"] = json!(url);
    whole["ca_fingerprint"] = json!(root.to_string());
    authority.close().await;
    Ok(out.say(&text, &whole)?)
}

async fn rename(path: &Path, out: Out, terminal: TerminalName, name: &str) -> anyhow::Result<()> {
    let (_, authority) = deployment::open(path).await?;
    let before = terminal.find(authority.reader()).await?;
    let done = authority.rename_terminal(&deployment::operator(), &before, name).await;
    let after = terminal.find(authority.reader()).await;
    authority.close().await;
    done.with_context(|| format!("{} keeps its name", before.name))?;
    let after = after?;
    Ok(out.say(&format!("{} is now called {}", before.name, after.name), &value(&after))?)
}

async fn describe(
    path: &Path,
    out: Out,
    terminal: TerminalName,
    (place, system): (Option<String>, Option<String>),
) -> anyhow::Result<()> {
    let (_, authority) = deployment::open(path).await?;
    let (terminal, actor) = (terminal.find(authority.reader()).await?, deployment::operator());
    let before = authority.facts(&actor, &terminal).await?;
    let (place, system) = (place.unwrap_or(before.place), system.unwrap_or(before.system));
    let done = authority.describe_terminal(&actor, &terminal, (&place, &system)).await;
    authority.close().await;
    done.with_context(|| format!("nothing was noted about {}", terminal.name))?;
    let mut whole = value(&terminal);
    whole["place"] = json!(place);
    whole["system"] = json!(system);
    Ok(out.say(&format!("{}: {place} / {system}", terminal.name), &whole)?)
}

/// Reports a terminal lost, or retires it.
async fn end(path: &Path, out: Out, terminal: TerminalName, (reason, lost): (&str, bool)) -> anyhow::Result<()> {
    let (_, authority) = deployment::open(path).await?;
    let found = terminal.find(authority.reader()).await?;
    let actor = deployment::operator();
    let done = match lost {
        true => authority.report_lost(&actor, &found, reason).await,
        false => authority.retire_terminal(&actor, &found, reason).await,
    };
    authority.close().await;
    let serials = done.with_context(|| format!("{} stays as it is", found.name))?;
    let serials: Vec<String> = serials.iter().map(ToString::to_string).collect();
    let what = if lost { "is reported lost" } else { "is out of service" };
    let text = format!("{}/{} {} {what}; revoked: {}", found.customer, found.client, found.name, serials.join(" "));
    let mut whole = value(&found);
    whole["revoked"] = json!(serials);
    Ok(out.say(&text, &whole)?)
}

async fn recover(path: &Path, out: Out, terminal: TerminalName, asked: (&str, bool)) -> anyhow::Result<()> {
    let (checked, authority) = deployment::open(path).await?;
    let terminal = terminal.find(authority.reader()).await?;
    let made = authority.make_recovery_code(&deployment::operator(), &terminal, asked).await;
    authority.close().await;
    if let Err(tegata_authority::RecoverError::Typed { .. }) = made {
        made.context("end that and make another with --replace")?;
        return Ok(());
    }
    let made = made.with_context(|| format!("no recovery code for {}", terminal.name))?;
    let address = format!("{}/recovery", checked.config.server.url.trim_end_matches('/'));
    let code = made.code.spoken();
    let text = format!(
        "recovery code {code} for {name}, until {until}\n\nAt the terminal, open {address} and type\n  \
         terminal number  {number}\n  recovery code    {code}",
        code = code.expose(),
        name = terminal.name,
        until = made.expires_at,
        number = made.number,
    );
    let mut whole = value(&terminal);
    whole["number"] = json!(made.number.to_string());
    whole["code"] = json!(code.expose());
    whole["expires_at"] = json!(made.expires_at.to_string());
    whole["url"] = json!(address);
    Ok(out.say(&text, &whole)?)
}

/// A terminal for programs.
pub fn value(terminal: &Terminal) -> serde_json::Value {
    json!({
        "id": terminal.id.to_string(),
        "customer": terminal.customer.to_string(),
        "client": terminal.client.to_string(),
        "name": terminal.name,
        "created_at": terminal.created_at.to_string(),
        "retired_at": terminal.retired_at.map(|at| at.to_string()),
    })
}
