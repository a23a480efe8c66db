//! `tegata audit list | verify`

use std::path::Path;
use std::process::ExitCode;

use futures_util::StreamExt;
use serde_json::json;
use tegata_core::audit::Row;
use tegata_store::audit::{Broken, Verifier};

use crate::deployment;
use crate::out::Out;

/// What to do with the operation log.
#[derive(clap::Subcommand)]
pub enum Command {
    /// List rows, newest first.
    List {
        /// At most so many.
        #[arg(long, default_value_t = 50)]
        limit: u32,
        /// Only rows before this sequence number.
        #[arg(long)]
        before: Option<i64>,
    },
    /// Compute the chain of hashes over the whole log and compare. Exit code 1 when a row was changed, removed, moved or added.
    #[command(after_help = "Example:\n  tegata audit verify && echo complete")]
    Verify,
}

/// Runs the command.
pub async fn run(command: Command, path: &Path, out: Out) -> anyhow::Result<ExitCode> {
    let store = deployment::register(&deployment::config(path)?).await?;
    let (reader, scope) = (store.reader(), deployment::operator().scope());
    match command {
        Command::List { limit, before } => {
            let rows = reader.audit_rows(scope, before, limit).await?;
            let columns = ["sequence", "at", "actor", "name", "customer", "action", "outcome", "serial", "detail"];
            out.table(&columns, &rows.iter().map(cells).collect::<Vec<_>>())?;
        }
        Command::Verify => {
            let mut verifier = Verifier::new(None);
            let mut rows = reader.audit_all(scope);
            while let Some(row) = rows.next().await {
                if let Err(broken) = verifier.check(&row?) {
                    return refuse(&broken, out);
                }
            }
            let head = match verifier.finish() {
                Ok(head) => head,
                Err(broken) => return refuse(&broken, out),
            };
            let hash: String = head.hash.iter().map(|byte| format!("{byte:02x}")).collect();
            let text = format!("the operation log is intact: {} rows, head {hash}", head.sequence);
            out.say(&text, &json!({ "intact": true, "rows": head.sequence, "head": hash }))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn refuse(broken: &Broken, out: Out) -> anyhow::Result<ExitCode> {
    out.say(
        &format!("the operation log is NOT intact: {broken}"),
        &json!({ "intact": false, "problem": broken.to_string() }),
    )?;
    Ok(ExitCode::FAILURE)
}

fn cells(row: &Row) -> Vec<String> {
    vec![
        row.sequence.to_string(),
        row.at.to_string(),
        row.actor_kind.clone(),
        row.actor_name.clone(),
        row.customer.map(|id| id.to_string()).unwrap_or_default(),
        row.action.clone(),
        row.outcome.clone(),
        row.serial.map(|serial| serial.to_string()).unwrap_or_default(),
        row.detail.clone(),
    ]
}
