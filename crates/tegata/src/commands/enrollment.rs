//! `tegata enrollment list | approve | refuse`: enrolment codes, and the operator's word where one was asked for.

use std::path::Path;

use serde_json::json;
use tegata_core::invitation::{Approval, Invitation};

use crate::deployment;
use crate::out::Out;

/// What to do with enrolments.
#[derive(clap::Subcommand)]
pub enum Command {
    /// List open codes and who waits for approval.
    List,
    /// Approve an enrolment: the terminal's program gets its certificate when it asks again.
    #[command(after_help = "Example:\n  tegata enrollment approve 4F7K")]
    Approve {
        /// The first half of the code, as `list` shows it.
        code: String,
    },
    /// Refuse an enrolment: its code is worth nothing from now on.
    Refuse {
        /// The first half of the code, as `list` shows it.
        code: String,
    },
}

/// Runs the command.
pub async fn run(command: Command, path: &Path, out: Out) -> anyhow::Result<()> {
    let actor = deployment::operator();
    let (_, authority) = deployment::open(path).await?;
    let done = match command {
        Command::List => {
            let columns = ["code", "customer", "terminal", "until", "state"];
            let rows: Vec<_> = authority.invitations(&actor).await?.iter().map(row).collect();
            Ok(out.table(&columns, &rows)?)
        }
        Command::Approve { code } => decided(authority.decide(&actor, &code, true).await, "approved", out),
        Command::Refuse { code } => decided(authority.decide(&actor, &code, false).await, "refused", out),
    };
    authority.close().await;
    done
}

fn decided(decided: Result<Invitation, tegata_authority::InviteError>, word: &str, out: Out) -> anyhow::Result<()> {
    let invitation = decided?;
    let text = format!("{word}: {} for terminal {}", invitation.selector, invitation.terminal);
    let value = json!({ "code": invitation.selector, "terminal": invitation.terminal.to_string(), "state": word });
    Ok(out.say(&text, &value)?)
}

fn row(invitation: &Invitation) -> Vec<String> {
    let state = match (invitation.key.is_some(), invitation.approval) {
        (true, Approval::Pending) => "waits for approval",
        (true, Approval::Refused) => "refused",
        (true, _) => "used",
        (false, _) if invitation.failures >= tegata_core::invitation::TRIES => "locked: too many wrong tries",
        (false, _) => "open",
    };
    vec![
        format!("{}-....", invitation.selector),
        invitation.customer.to_string(),
        invitation.terminal.to_string(),
        invitation.expires_at.to_string(),
        state.to_owned(),
    ]
}
