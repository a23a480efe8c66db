//! `tegata terminal policy`: files that make browsers choose our certificates by themselves.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::builder::PossibleValuesParser;
use serde_json::json;
use tegata_authority::issuer_names;
use tegata_web::{BrowserPolicy, PolicyFile};

use super::ca::replace;
use crate::deployment;
use crate::out::Out;

/// In which form, and where to.
#[derive(clap::Args)]
pub struct Args {
    /// For which system: Windows (set, take away), Linux, macOS, Intune. Without it, the rules are printed, one a line, for other consoles.
    #[arg(long, value_parser = PossibleValuesParser::new(PolicyFile::ALL.map(|(_, word, _)| word)), requires = "out")]
    format: Option<String>,
    /// The file, replaced in one step.
    #[arg(long, value_name = "FILE", requires = "format")]
    out: Option<PathBuf>,
}

/// Runs the command.
pub async fn run(args: Args, path: &Path, out: Out) -> anyhow::Result<()> {
    let checked = deployment::config(path)?;
    let store = deployment::register(&checked).await?;
    let issuers = issuer_names(&store.reader()).await?;
    store.close().await;
    let server = &checked.config.server;
    let addresses: Vec<String> = std::iter::once(&server.url).chain(&server.alias_urls).cloned().collect();
    let policy = BrowserPolicy::new(&issuers, &addresses);
    let form = PolicyFile::ALL.into_iter().find(|(_, word, _)| Some(*word) == args.format.as_deref());
    let (Some(file), Some((form, ..))) = (args.out, form) else {
        return Ok(out.say(&policy.rules().join("\n"), &json!({ "rules": policy.rules() }))?);
    };
    replace(&file, &policy.file(form)).with_context(|| format!("cannot write {}", file.display()))?;
    Ok(out.say(&format!("wrote {}", file.display()), &json!({ "file": file, "rules": policy.rules() }))?)
}
