//! `tegata audit list | export | verify | checkpoint | checkpoints | key | new-key`

mod export;
mod verify;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use serde_json::json;
use tegata_authority::checkpoint::{self, Published, key_name, publish};
use tegata_core::audit::Row;
use tegata_core::id::CustomerId;
use tegata_core::time::{Clock, Days, Timestamp};
use tegata_pki::pem;
use tegata_store::audit::Head;
use tegata_store::{AuditFilter, Reader, Store};

use super::terminal::TerminalName;
use crate::config::Checked;
use crate::deployment;
use crate::out::Out;
use crate::system::{SystemClock, SystemEntropy};

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
        #[command(flatten)]
        part: Part,
    },
    /// Write the log, or a part of it, to a file: as lines that `verify --export` checks anywhere, or as a table for spreadsheets.
    #[command(after_help = "Examples:\n  tegata audit export --out log.jsonl\n  \
        tegata audit export --format csv --customer u00000001 --from 2026-11-01 --to 2026-11-30 --out november.csv")]
    Export {
        /// jsonl can be verified; csv opens in a spreadsheet.
        #[arg(long, value_enum, default_value = "jsonl")]
        format: export::Format,
        /// The file; without it, standard output.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        #[command(flatten)]
        part: Part,
    },
    /// Compute the chain of hashes anew, compare it with every checkpoint, and check their signatures. Exit code 1 when a row was changed,
    /// removed, moved, added or cut off. With --export it reads that file alone: no configuration, no register.
    #[command(
        after_help = "Examples:\n  tegata audit verify\n  tegata audit verify --export log.jsonl --checkpoints /mnt/elsewhere/tegata-checkpoints.jsonl --key log-key.pem\n  \
        tegata audit verify --head 120:9f86d0…  (a head that an earlier run printed)"
    )]
    Verify(verify::Args),
    /// Sign where the log stands now, unless nothing was written since the last checkpoint. The service does this by itself.
    Checkpoint,
    /// List checkpoints, oldest first.
    Checkpoints {
        /// Only those after this number.
        #[arg(long, default_value_t = 0)]
        after: i64,
        /// At most so many.
        #[arg(long, default_value_t = 1000)]
        limit: u32,
        /// The signed lines themselves, as the file of checkpoints has them.
        #[arg(long)]
        lines: bool,
    },
    /// Print the public keys that checkpoints are checked with (PEM, oldest first): give them to whoever is to verify the log.
    Key,
    /// Replace the key that signs checkpoints. The old one signs the new one's name, and is gone. Start the server again afterwards.
    NewKey {
        /// Say what would be done, and do nothing.
        #[arg(long)]
        dry_run: bool,
    },
}

/// A part of the log.
#[derive(clap::Args)]
pub struct Part {
    /// Only of this customer.
    #[arg(long)]
    customer: Option<CustomerId>,
    /// Only about this terminal.
    #[arg(long)]
    terminal: Option<TerminalName>,
    /// Only from this day (of Japan) or instant on.
    #[arg(long, value_name = "TIME")]
    from: Option<Moment>,
    /// Only to the end of this day (of Japan), or before this instant.
    #[arg(long, value_name = "TIME")]
    to: Option<Moment>,
}

/// A day of Japan, or an instant.
#[derive(Clone, Copy, Debug)]
enum Moment {
    Day(Timestamp),
    Instant(Timestamp),
}

impl std::str::FromStr for Moment {
    type Err = tegata_core::time::ParseTimeError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parsed = Timestamp::parse(text)?;
        Ok(if text.len() == 10 { Self::Day(parsed.jst_midnight()) } else { Self::Instant(parsed) })
    }
}

impl Part {
    async fn filter(&self, reader: &Reader) -> anyhow::Result<AuditFilter> {
        let terminal = match &self.terminal {
            Some(name) => Some(name.find(reader).await?.id),
            None => None,
        };
        let from = self.from.map(|(Moment::Day(at) | Moment::Instant(at))| at);
        let before = self.to.map(|to| match to {
            Moment::Day(at) => at.plus_days(Days(1)),
            Moment::Instant(at) => at,
        });
        Ok(AuditFilter { customer: self.customer, terminal, from, before, ..AuditFilter::default() })
    }
}

/// Runs the command.
pub async fn run(command: Command, path: &Path, out: Out) -> anyhow::Result<ExitCode> {
    if let Command::Verify(args) = command {
        return verify::run(args, path, out).await;
    }
    let checked = deployment::config(path)?;
    let store = deployment::register(&checked).await?;
    let (reader, scope) = (store.reader(), deployment::operator().scope());
    match command {
        Command::List { limit, before, part } => {
            let rows = reader.audit_rows_of(scope, &part.filter(&reader).await?, before, limit).await?;
            let columns = ["sequence", "at", "actor", "name", "customer", "action", "outcome", "serial", "detail"];
            out.table(&columns, &rows.iter().map(cells).collect::<Vec<_>>())?;
        }
        Command::Export { format, out: file, part } => {
            let filter = part.filter(&reader).await?;
            export::run(&reader, format, filter, file.as_deref(), out).await?;
        }
        Command::Verify(_) => {}
        Command::Checkpoint => sign(&checked, store.clone(), out).await?,
        Command::Checkpoints { after, limit, lines } => {
            let rows = reader.checkpoints(scope, after, limit).await?;
            if lines {
                let all: Vec<&str> = rows.iter().map(|row| row.line.as_str()).collect();
                out.say(&all.join("\n"), &json!(all))?;
            } else {
                let cells = |row: &tegata_store::CheckpointRow| {
                    vec![row.number.to_string(), row.at.to_string(), row.kind.clone(), head_text(row.head)]
                };
                out.table(&["number", "at", "kind", "head"], &rows.iter().map(cells).collect::<Vec<_>>())?;
            }
        }
        Command::Key => {
            let keys = reader.log_keys(scope).await?;
            anyhow::ensure!(
                !keys.is_empty(),
                "the operation log has no key yet: the next start of the server makes it"
            );
            let text: String = keys.iter().map(|key| pem::public_key(&key.spki)).collect();
            let value = keys.iter().map(|key| {
                json!({
                    "number": key.number,
                    "since": key.added_at.to_string(),
                    "sha256": key_name(&key.spki).to_string(),
                    "pem": pem::public_key(&key.spki),
                })
            });
            out.say(&text, &value.collect())?;
        }
        Command::NewKey { dry_run: true } => {
            let text = "would replace the key that signs checkpoints; nothing was changed";
            out.say(text, &json!({ "dry_run": true }))?;
        }
        Command::NewKey { dry_run: false } => new_key(&checked, &store, out).await?,
    }
    store.close().await;
    Ok(ExitCode::SUCCESS)
}

async fn sign(checked: &Checked, store: Store, out: Out) -> anyhow::Result<()> {
    let keys = checked.path(&checked.config.authority.key_folder);
    let signer = checkpoint::ready(&store, &keys, &deployment::passphrase()?, &SystemClock, &SystemEntropy).await?;
    let signed = checkpoint::sign_head(&store, &Arc::new(signer), &SystemClock, None).await?;
    let file = checked.config.audit.checkpoint_file.as_ref().map(|file| checked.path(file));
    let published = match &file {
        Some(file) => Some(publish(&store.reader(), file).await?),
        None => None,
    };
    let beside = match (&file, published) {
        (Some(file), Some(Published { lines, .. })) => format!("; wrote {lines} line(s) to {}", file.display()),
        _ => String::new(),
    };
    let text = match &signed {
        Some(made) => format!("signed checkpoint {} at row {}{beside}", made.statement.number, made.statement.rows),
        None => format!("nothing was written since the last checkpoint{beside}"),
    };
    let line = signed.as_ref().map(checkpoint::Checkpoint::line);
    let line = line.and_then(|line| serde_json::from_str::<serde_json::Value>(&line).ok());
    out.say(&text, &json!({ "checkpoint": line, "lines_written": published.map(|published| published.lines) }))?;
    Ok(())
}

async fn new_key(checked: &Checked, store: &Store, out: Out) -> anyhow::Result<()> {
    let keys = checked.path(&checked.config.authority.key_folder);
    let (pass, actor) = (deployment::passphrase()?, deployment::operator());
    let made = checkpoint::replace(store, &keys, &pass, &actor, &SystemClock, &SystemEntropy).await?;
    if let Some(file) = &checked.config.audit.checkpoint_file {
        publish(&store.reader(), &checked.path(file)).await?;
    }
    let known = store.reader().log_keys(actor.scope()).await?;
    let name = known.last().map(|key| key_name(&key.spki).to_string());
    let text = format!(
        "another key signs the operation log from now on; checkpoint {} names it, signed by the one before.\n\
         Now: start the server again (each node, with the new log.sealed), and give `tegata audit key` to whoever verifies.",
        made.statement.number
    );
    Ok(out.say(&text, &json!({ "sha256": name, "checkpoint": made.statement.number }))?)
}

/// `ROWS:HASH`
fn head_text(head: Head) -> String {
    format!("{}:{}", head.sequence, tegata_core::id::Fingerprint(head.hash))
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

/// The present.
fn now() -> Timestamp {
    SystemClock.now()
}
