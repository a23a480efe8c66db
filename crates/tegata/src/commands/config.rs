//! `tegata config check | example`

use std::path::Path;

use serde_json::json;

use crate::config::EXAMPLE;
use crate::deployment;
use crate::out::Out;

/// What to do with the configuration.
#[derive(clap::Subcommand)]
pub enum Command {
    /// Read the file of --config and say whether it is usable.
    #[command(after_help = "Example:\n  tegata config check --config ./tegata.toml")]
    Check,
    /// Print the sample, with every setting explained.
    #[command(after_help = "Example:\n  tegata config example > tegata.toml")]
    Example,
}

/// Runs the command.
pub fn run(command: Command, path: &Path, out: Out) -> anyhow::Result<()> {
    match command {
        Command::Check => {
            deployment::config(path)?;
            out.say(&format!("{} is usable.", path.display()), &json!({ "usable": true, "file": path }))?;
        }
        Command::Example => out.say(EXAMPLE, &json!({ "example": EXAMPLE }))?,
    }
    Ok(())
}
