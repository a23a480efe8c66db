//! `tegata audit export`: the log as lines that can be verified anywhere, or as a table with the columns of the ministry's example (利用者ID, 利用者,
//! 日時, 区分, 操作), the terminal and the certificate beside them.

use std::collections::HashMap;
use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::Context;
use futures_util::StreamExt;
use serde_json::json;
use tegata_authority::export::{Header, end_line, row_line};
use tegata_core::audit::{Row, category};
use tegata_core::csv;
use tegata_core::id::TerminalId;
use tegata_store::{AuditFilter, Reader};

use super::now;
use crate::deployment;
use crate::out::Out;

/// The form of the file.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// A line of JSON for each row.
    Jsonl,
    /// A table for spreadsheets.
    Csv,
}

const COLUMNS: [&str; 12] = [
    "user_id",
    "user",
    "time_jst",
    "category",
    "operation",
    "outcome",
    "terminal",
    "terminal_name",
    "serial",
    "detail",
    "sequence",
    "hash",
];

/// Writes what the filter lets through.
pub async fn run(
    reader: &Reader,
    format: Format,
    filter: AuditFilter,
    file: Option<&Path>,
    out: Out,
) -> anyhow::Result<()> {
    let Some(path) = file else {
        let mut stdout = std::io::stdout().lock();
        return match write(reader, format, filter, &mut stdout).await {
            // A reader that stops early (`| head`) is no error.
            Err(error) if broken_pipe(&error) => Ok(()),
            done => done.map(|_| ()),
        };
    };
    let mut partial = path.as_os_str().to_owned();
    partial.push(".partial");
    let opened = std::fs::File::create(&partial).with_context(|| format!("cannot write {}", path.display()))?;
    let mut opened = BufWriter::new(opened);
    let rows = write(reader, format, filter, &mut opened).await?;
    let opened = opened.into_inner().map_err(|error| error.into_error())?;
    opened.sync_all()?;
    std::fs::rename(&partial, path).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(out.say(&format!("wrote {rows} rows to {}", path.display()), &json!({ "file": path, "rows": rows }))?)
}

fn broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}

async fn write(reader: &Reader, format: Format, filter: AuditFilter, to: &mut dyn Write) -> anyhow::Result<u64> {
    let scope = deployment::operator().scope();
    let whole = filter == AuditFilter::default();
    let header = if whole { Header::whole(now()) } else { Header::part(now(), &filter) };
    let mut terminals = Terminals::default();
    match format {
        Format::Jsonl => writeln!(to, "{}", header.line())?,
        Format::Csv => write!(to, "{}{}", csv::MARK, csv::line(COLUMNS))?,
    }
    let mut rows = reader.audit_part(scope, filter);
    let (mut count, mut last) = (0, (0, [0; 32]));
    while let Some(row) = rows.next().await {
        let row = row?;
        match format {
            Format::Jsonl => {
                let previous = match row.sequence - 1 {
                    before if before == last.0 => last.1,
                    before => {
                        reader.audit_hash(scope, before).await?.context("the row before is not in the register")?
                    }
                };
                writeln!(to, "{}", row_line(&row, &previous))?;
            }
            Format::Csv => {
                let (terminal, name) = terminals.of(reader, row.terminal).await?;
                write!(to, "{}", csv::line(cells(&row, terminal, name)))?;
            }
        }
        last = (row.sequence, row.hash);
        count += 1;
    }
    if format == Format::Jsonl {
        writeln!(to, "{}", end_line(count))?;
    }
    to.flush()?;
    Ok(count)
}

fn cells(row: &Row, terminal: String, name: String) -> [String; 12] {
    let user = if row.actor_kind == "user" { row.actor_name.clone() } else { String::new() };
    let who = if row.actor_name.is_empty() { row.actor_kind.clone() } else { row.actor_name.clone() };
    [
        user,
        who,
        row.at.jst_text(),
        category(&row.action).as_str().to_owned(),
        row.action.clone(),
        row.outcome.clone(),
        terminal,
        name,
        row.serial.map(|serial| serial.to_string()).unwrap_or_default(),
        row.detail.clone(),
        row.sequence.to_string(),
        tegata_core::id::Fingerprint(row.hash).to_string(),
    ]
}

/// Terminals that were looked up already.
#[derive(Default)]
struct Terminals(HashMap<TerminalId, (String, String)>);

impl Terminals {
    /// Its number and its name of today.
    async fn of(&mut self, reader: &Reader, id: Option<TerminalId>) -> anyhow::Result<(String, String)> {
        let Some(id) = id else { return Ok(Default::default()) };
        if let Some(known) = self.0.get(&id) {
            return Ok(known.clone());
        }
        let found = reader.terminal(deployment::operator().scope(), id).await?;
        let found = match found {
            Some(terminal) => (format!("{}/{}", terminal.customer, terminal.client), terminal.name),
            None => (id.to_string(), String::new()),
        };
        self.0.insert(id, found.clone());
        Ok(found)
    }
}
