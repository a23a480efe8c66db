//! `tegata-agentw`: the same, for Windows to call by itself. A program with a console would open a black window for a moment, every time.
#![windows_subsystem = "windows"]

use std::process::ExitCode;

fn main() -> ExitCode {
    tegata_agent::cli::program()
}
