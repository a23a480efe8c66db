//! `tegata-agent`: the agent as a small program of its own, for machines that have no server on them. The same commands as `tegata agent`.

use std::process::ExitCode;

use clap::Parser;
use tegata_agent::cli;
use tegata_agent::system::{SystemClock, SystemEntropy};

/// Keeps the certificate of this terminal and renews it in time, without anybody.
#[derive(Parser)]
#[command(name = "tegata-agent", version, max_term_width = 110, propagate_version = true)]
struct Cli {
    /// Answer in JSON, for programs.
    #[arg(long, global = true)]
    json: bool,
    #[command(flatten)]
    args: cli::Args,
}

fn main() -> ExitCode {
    let Cli { json, args } = Cli::parse();
    cli::run(args, json, &SystemClock, &SystemEntropy)
}
