//! `tegata-agent`: the agent as a small program of its own, for machines that have no server on them. The same commands as `tegata agent`.

use std::process::ExitCode;

fn main() -> ExitCode {
    tegata_agent::cli::program()
}
