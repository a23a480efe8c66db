//! `tegata user add | list | show`

use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde_json::json;
use tegata_authority::NewUser;
use tegata_core::access::Role;
use tegata_core::customer::User;
use tegata_core::id::CustomerId;
use tegata_core::secret::Secret;

use crate::deployment;
use crate::out::Out;

/// What to do with people.
#[derive(clap::Subcommand)]
pub enum Command {
    /// Register a person. The password is read from a file or from standard input, never from the command line.
    #[command(
        after_help = "Examples:\n  tegata user add --customer u00000001 --name uketsuke --password-file pw.txt\n  \
        tegata user add --customer u00000009 --name yamada --role ca-officer --password-file pw.txt"
    )]
    Add {
        /// Whose staff.
        #[arg(long)]
        customer: CustomerId,
        /// The name to type at the login screen.
        #[arg(long)]
        name: String,
        /// A file whose first line is the password; `-` for standard input.
        #[arg(long, value_name = "FILE")]
        password_file: PathBuf,
        /// What the person may do: terminal-user or customer-admin; for people of the operator ca-officer, help-desk or auditor.
        #[arg(long, default_value = "terminal-user")]
        role: Role,
    },
    /// List people.
    List {
        /// Only of this customer.
        #[arg(long)]
        customer: Option<CustomerId>,
    },
    /// Show one.
    #[command(after_help = "Example:\n  tegata user show --customer u00000001 uketsuke")]
    Show {
        /// Whose staff.
        #[arg(long)]
        customer: CustomerId,
        /// The name.
        name: String,
    },
}

/// Runs the command.
pub async fn run(command: Command, path: &Path, out: Out) -> anyhow::Result<()> {
    let actor = deployment::operator();
    match command {
        Command::Add { customer, name, password_file, role } => {
            let password = first_line(&password_file)?;
            let (_, authority) = deployment::open(path).await?;
            let what = format!("user {name} of {customer} was not registered");
            let user = authority.add_user(&actor, NewUser { customer, name, password, role }).await.context(what)?;
            authority.close().await;
            out.say(&format!("registered {} of {}", user.name, user.customer), &value(&user))?;
        }
        Command::List { customer } => {
            let users = users(path, customer).await?;
            let row =
                |u: &User| vec![u.customer.to_string(), u.name.clone(), u.role.to_string(), u.created_at.to_string()];
            out.table(&["customer", "name", "role", "created_at"], &users.iter().map(row).collect::<Vec<_>>())?;
        }
        Command::Show { customer, name } => {
            let found = users(path, Some(customer)).await?.into_iter().find(|user| user.name == name);
            let user =
                found.ok_or_else(|| anyhow::anyhow!("no user {name:?} of {customer} (see `tegata user list`)"))?;
            out.say(
                &format!("{} {} ({}), since {}", user.customer, user.name, user.role, user.created_at),
                &value(&user),
            )?;
        }
    }
    Ok(())
}

async fn users(path: &Path, customer: Option<CustomerId>) -> anyhow::Result<Vec<User>> {
    let store = deployment::register(&deployment::config(path)?).await?;
    let mut users = store.reader().users(deployment::operator().scope()).await?;
    users.retain(|user| customer.is_none_or(|id| user.customer == id));
    Ok(users)
}

fn first_line(path: &Path) -> anyhow::Result<Secret<String>> {
    let mut text = String::new();
    if path == Path::new("-") {
        std::io::stdin().read_to_string(&mut text)?;
    } else {
        text = std::fs::read_to_string(path).map_err(|e| anyhow::anyhow!("{}: {e}", path.display()))?;
    }
    let text = Secret::new(text);
    Ok(Secret::new(text.expose().lines().next().unwrap_or_default().to_owned()))
}

fn value(user: &User) -> serde_json::Value {
    json!({
        "customer": user.customer.to_string(),
        "name": user.name,
        "role": user.role.as_str(),
        "created_at": user.created_at.to_string(),
    })
}
