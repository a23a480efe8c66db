//! `tegata audit list | verify`

use std::path::Path;
use std::process::ExitCode;

use futures_util::StreamExt;
use serde_json::json;
use tegata_core::audit::{Action, Row};
use tegata_store::audit::{Head, Verifier};

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
    #[command(
        after_help = "Examples:\n  tegata audit verify\n  tegata audit verify --head 120:9f86d0…  (as an earlier run printed it: \
        finds rows cut off at the end, too)"
    )]
    Verify {
        /// A head that an earlier run printed, ROWS:HASH. Keep one outside of this machine now and then.
        #[arg(long, value_name = "ROWS:HASH", value_parser = parse_head)]
        head: Option<Head>,
    },
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
        Command::Verify { head } => {
            let mut verifier = Verifier::new(head);
            let mut rows = reader.audit_all(scope);
            let mut begins = false;
            while let Some(row) = rows.next().await {
                let row = row?;
                begins |= row.sequence == 1 && row.action == Action::AuthorityCreated.as_str();
                if let Err(broken) = verifier.check(&row) {
                    return refuse(&broken, out);
                }
            }
            if !begins {
                return refuse(&"it does not begin with the making of the CA", out);
            }
            let head = match verifier.finish() {
                Ok(head) => head,
                Err(broken) => return refuse(&broken, out),
            };
            let hash: String = head.hash.iter().map(|byte| format!("{byte:02x}")).collect();
            let head_text = format!("{}:{hash}", head.sequence);
            let text = format!("the operation log is intact: {} rows, head {head_text}", head.sequence);
            out.say(&text, &json!({ "intact": true, "rows": head.sequence, "head": head_text }))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn parse_head(text: &str) -> Result<Head, String> {
    let expected = || "ROWS:HASH, as `tegata audit verify` prints it".to_owned();
    let (rows, hash) = text.split_once(':').ok_or_else(expected)?;
    let sequence = rows.parse().map_err(|_| expected())?;
    let hash: tegata_core::id::Fingerprint = hash.parse().map_err(|_| expected())?;
    Ok(Head { sequence, hash: hash.0 })
}

fn refuse(broken: &dyn std::fmt::Display, out: Out) -> anyhow::Result<ExitCode> {
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
