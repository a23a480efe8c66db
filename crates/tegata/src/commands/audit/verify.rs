//! `tegata audit verify`: of the register, or of an exported file by itself.

use std::io::BufRead;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use serde_json::json;
use tegata_authority::evidence::Evidence;
use tegata_authority::export::{Checker, Report};
use tegata_authority::verification::{self, Verified};
use tegata_pki::pem;
use tegata_store::audit::Head;

use super::head_text;
use crate::config::Checked;
use crate::deployment;
use crate::out::Out;

/// What to verify.
#[derive(clap::Args)]
pub struct Args {
    /// A file that `tegata audit export` wrote: checked by itself, without the register.
    #[arg(long, value_name = "FILE")]
    export: Option<PathBuf>,
    /// The file of checkpoints; without it, the configured one and those in the register.
    #[arg(long, value_name = "FILE")]
    checkpoints: Option<PathBuf>,
    /// The public keys that checkpoints are checked with (PEM, as `tegata audit key` prints them); without it, those in the register.
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// A head that an earlier run printed, ROWS:HASH.
    #[arg(long, value_name = "ROWS:HASH", value_parser = parse_head)]
    head: Option<Head>,
}

/// Runs the command.
pub async fn run(args: Args, path: &Path, out: Out) -> anyhow::Result<ExitCode> {
    let keys = args.key.as_deref().map(read_keys).transpose()?;
    match &args.export {
        Some(file) => exported(file, &args, keys, out),
        None => register(&args, keys, path, out).await,
    }
}

fn read_keys(path: &Path) -> anyhow::Result<Vec<Vec<u8>>> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    pem::public_keys(&text).with_context(|| path.display().to_string())
}

fn exported(file: &Path, args: &Args, keys: Option<Vec<Vec<u8>>>, out: Out) -> anyhow::Result<ExitCode> {
    let evidence = match (&args.checkpoints, keys) {
        (Some(checkpoints), Some(keys)) => {
            let text = std::fs::read_to_string(checkpoints).with_context(|| checkpoints.display().to_string())?;
            match Evidence::read(text.lines(), &keys) {
                Ok(evidence) => Some(evidence),
                Err(error) => return refuse(&error, out),
            }
        }
        (None, None) => None,
        _ => anyhow::bail!("--checkpoints and --key belong together: a signature is worth nothing without its key"),
    };
    let opened = std::fs::File::open(file).with_context(|| file.display().to_string())?;
    let mut checker = Checker::new(evidence.as_ref(), args.head);
    for line in std::io::BufReader::new(opened).lines() {
        if let Err(error) = checker.take(&line.with_context(|| file.display().to_string())?) {
            return refuse(&error, out);
        }
    }
    match checker.finish() {
        Ok(report) => accept(&report, evidence.as_ref(), out),
        Err(error) => refuse(&error, out),
    }
}

async fn register(args: &Args, keys: Option<Vec<Vec<u8>>>, path: &Path, out: Out) -> anyhow::Result<ExitCode> {
    let checked = deployment::config(path)?;
    let store = deployment::register(&checked).await?;
    let (reader, scope) = (store.reader(), deployment::operator().scope());
    match verification::verify(&reader, scope, keys, &elsewhere(&checked, args)?, args.head).await? {
        Ok(Verified { head, confirmed, evidence }) => {
            let rows = u64::try_from(head.sequence).unwrap_or_default();
            accept(&Report { whole: true, rows, head, confirmed }, evidence.as_ref(), out)
        }
        Err(contradiction) => refuse(&contradiction, out),
    }
}

/// The lines of the file of checkpoints: the one that was named, or the configured one as far as it is there.
fn elsewhere(checked: &Checked, args: &Args) -> anyhow::Result<Vec<String>> {
    match &args.checkpoints {
        Some(file) => {
            let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
            Ok(text.lines().map(str::to_owned).collect())
        }
        None => deployment::checkpoint_lines(checked),
    }
}

fn accept(report: &Report, evidence: Option<&Evidence>, out: Out) -> anyhow::Result<ExitCode> {
    let Report { whole, rows, head, confirmed } = *report;
    let head_text = head_text(head);
    let mut lines = vec![match whole {
        true => format!("the operation log is intact: {rows} rows, head {head_text}"),
        false => format!(
            "the {rows} rows of this part are as they were exported. A part cannot show that nothing was left out of it, nor that \
             whoever made the file did not make the rows: only the whole log does, with its checkpoints"
        ),
    }];
    lines.push(match evidence {
        Some(evidence) if whole => {
            let (covered, at) = evidence.covers();
            let after = head.sequence.saturating_sub(covered);
            let checkpoints = evidence.heads.len();
            format!("{checkpoints} signed checkpoints, the last of {at}, cover it up to row {covered}; {after} rows came later and are covered by the next one")
        }
        Some(_) => format!("{confirmed} of its rows stand where signed checkpoints say"),
        None => "no checkpoints were compared: rows that were cut off at the end would not show".to_owned(),
    });
    if let Some(evidence) = evidence.filter(|evidence| evidence.unproven > 0) {
        let unproven = evidence.unproven;
        lines
            .push(format!("{unproven} earlier checkpoints were signed by a key that was not given, and prove nothing"));
    }
    if let Some(evidence) = evidence.filter(|evidence| evidence.unreadable > 0) {
        lines.push(format!("{} lines among the checkpoints cannot be read", evidence.unreadable));
    }
    let covered = evidence.map(Evidence::covers);
    let value = json!({
        "intact": true,
        "whole": whole,
        "rows": rows,
        "head": head_text,
        "checkpoints": evidence.map_or(0, |evidence| evidence.heads.len()),
        "covered_rows": covered.map(|(rows, _)| rows),
        "covered_at": covered.map(|(_, at)| at.to_string()),
        "confirmed": confirmed,
    });
    out.say(&lines.join("\n"), &value)?;
    Ok(ExitCode::SUCCESS)
}

fn refuse(broken: &dyn std::fmt::Display, out: Out) -> anyhow::Result<ExitCode> {
    out.say(
        &format!("the operation log is NOT intact: {broken}"),
        &json!({ "intact": false, "problem": broken.to_string() }),
    )?;
    Ok(ExitCode::FAILURE)
}

fn parse_head(text: &str) -> Result<Head, String> {
    let expected = || "ROWS:HASH, as `tegata audit verify` prints it".to_owned();
    let (rows, hash) = text.split_once(':').ok_or_else(expected)?;
    let sequence = rows.parse().map_err(|_| expected())?;
    let hash: tegata_core::id::Fingerprint = hash.parse().map_err(|_| expected())?;
    Ok(Head { sequence, hash: hash.0 })
}
