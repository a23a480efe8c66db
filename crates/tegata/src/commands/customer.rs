//! `tegata customer add | set | list | show`

use std::path::Path;

use anyhow::Context;
use serde_json::json;
use tegata_core::customer::{Customer, CustomerCode, CustomerKind, CustomerSettings};
use tegata_core::id::CustomerId;

use crate::deployment;
use crate::out::Out;

/// What to do with customers.
#[derive(clap::Subcommand)]
pub enum Command {
    /// Register a clinic, or the operator itself, whose staff then open the console.
    #[command(after_help = "Examples:\n  tegata customer add --code 103001 --name ひだまりクリニック\n  \
        tegata customer add --code 000001 --name 運用センター --kind operator")]
    Add {
        /// Six digits by which the service bills the customer.
        #[arg(long)]
        code: CustomerCode,
        /// Its name; the organization of its certificates.
        #[arg(long)]
        name: String,
        /// Its id such as u00000001; the next free one when left out.
        #[arg(long)]
        id: Option<CustomerId>,
        /// What it is to the service: clinic or operator. It stays what it is.
        #[arg(long, default_value = "clinic")]
        kind: CustomerKind,
    },
    /// Set what holds for one customer, from this moment on. What is not named stays as it is.
    #[command(after_help = "Examples:\n  tegata customer set u00000001 --most-terminals 20\n  \
        tegata customer set u00000001 --old-programs off")]
    Set {
        /// Its id.
        id: CustomerId,
        /// How many terminals in service it may have: a number, or any. Those beyond it stay; no further one is registered.
        #[arg(long, value_name = "NUMBER", value_parser = parse_most)]
        most_terminals: Option<MostTerminals>,
        /// Whether ORCA's own programs may renew by their protocol.
        #[arg(long, value_name = "ON-OR-OFF", value_parser = parse_switch, action = clap::ArgAction::Set)]
        old_programs: Option<bool>,
    },
    /// List all customers.
    List,
    /// Show one, with its people and terminals.
    #[command(after_help = "Example:\n  tegata customer show u00000001")]
    Show {
        /// Its id.
        id: CustomerId,
    },
}

/// Runs the command.
pub async fn run(command: Command, path: &Path, out: Out) -> anyhow::Result<()> {
    let actor = deployment::operator();
    match command {
        Command::Add { code, name, id, kind } => {
            let (_, authority) = deployment::open(path).await?;
            let added = authority.add_customer(&actor, id, kind, code.clone(), &name).await;
            let customer = added.with_context(|| format!("customer {code} was not registered"))?;
            authority.close().await;
            out.say(&format!("registered {} {}", customer.id, customer.name), &value(&customer))?;
        }
        Command::Set { id, most_terminals, old_programs } => {
            let (_, authority) = deployment::open(path).await?;
            let found = authority.reader().customer(actor.scope(), id).await?;
            found.ok_or_else(|| anyhow::anyhow!("no customer {id} (see `tegata customer list`)"))?;
            let mut settings = authority.reader().customer_settings(actor.scope(), id).await?;
            if let Some(MostTerminals(most)) = most_terminals {
                settings.most_terminals = most;
            }
            settings.old_programs = old_programs.unwrap_or(settings.old_programs);
            let done = authority.set_customer(&actor, id, settings).await;
            authority.close().await;
            done.with_context(|| format!("customer {id} is as it was"))?;
            out.say(&format!("{id}: {}", words(&settings)), &settings_value(&settings))?;
        }
        Command::List => {
            let store = deployment::register(&deployment::config(path)?).await?;
            let customers = store.reader().customers(actor.scope()).await?;
            let row = |c: &Customer| {
                let kind = c.kind.to_string();
                vec![c.id.to_string(), c.code.to_string(), c.name.clone(), kind, c.created_at.to_string()]
            };
            out.table(&["id", "code", "name", "kind", "created_at"], &customers.iter().map(row).collect::<Vec<_>>())?;
        }
        Command::Show { id } => {
            let store = deployment::register(&deployment::config(path)?).await?;
            let (reader, scope) = (store.reader(), actor.scope());
            let customer = reader.customer(scope, id).await?;
            let customer = customer.ok_or_else(|| anyhow::anyhow!("no customer {id} (see `tegata customer list`)"))?;
            let users = reader.users(scope).await?.into_iter().filter(|user| user.customer == id).collect::<Vec<_>>();
            let terminals = reader.terminals(scope, Some(id)).await?;
            let settings = reader.customer_settings(scope, id).await?;
            let mut text = format!("{} {} {} ({})\n", customer.id, customer.code, customer.name, customer.kind);
            text += &format!("  {}\n", words(&settings));
            for user in &users {
                text += &format!("  user      {} ({})\n", user.name, user.role);
            }
            for terminal in &terminals {
                text += &format!("  terminal  {} {}\n", terminal.client, terminal.name);
            }
            let mut whole = value(&customer);
            whole["settings"] = settings_value(&settings);
            whole["users"] = users.iter().map(|u| json!({ "name": u.name, "role": u.role.as_str() })).collect();
            whole["terminals"] = terminals.iter().map(super::terminal::value).collect();
            out.say(&text, &whole)?;
        }
    }
    Ok(())
}

fn value(customer: &Customer) -> serde_json::Value {
    json!({
        "id": customer.id.to_string(),
        "code": customer.code.to_string(),
        "name": customer.name,
        "kind": customer.kind.as_str(),
        "created_at": customer.created_at.to_string(),
    })
}

/// How many terminals a customer may have; `None` for any number.
#[derive(Clone, Copy)]
pub struct MostTerminals(Option<u32>);

fn parse_most(text: &str) -> Result<MostTerminals, String> {
    if text == "any" {
        return Ok(MostTerminals(None));
    }
    let number = text.parse().ok().filter(|number| *number <= 9999);
    number.map(|number| MostTerminals(Some(number))).ok_or_else(|| "a number from 0 to 9999, or any".to_owned())
}

fn parse_switch(text: &str) -> Result<bool, String> {
    match text {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err("on or off".to_owned()),
    }
}

fn words(settings: &CustomerSettings) -> String {
    let most = settings
        .most_terminals
        .map_or("any number of terminals".to_owned(), |most| format!("at most {most} terminals"));
    format!("{most}, old programs {}", if settings.old_programs { "on" } else { "off" })
}

fn settings_value(settings: &CustomerSettings) -> serde_json::Value {
    json!({ "most_terminals": settings.most_terminals, "old_programs": settings.old_programs })
}
