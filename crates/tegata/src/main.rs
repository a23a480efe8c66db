//! `tegata`: one binary that is a private CA, a mutual-TLS gate and a renewal portal. This file reads the command line and hands over to
//! `commands`; it decides nothing.

mod applications;
mod commands;
mod config;
mod delivery;
mod deployment;
mod out;
mod programs;
mod serve;
mod system;
mod trust_feed;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use commands::{
    api_key, audit, backup, ca, cert, config as config_command, customer, demo, doctor, enrollment, forecast, init,
    notify, renewal, terminal, user, webhook,
};

/// Many short-lived pieces, made on one thread and freed on another: the C library's allocator spends a tenth of a renewal on them.
#[global_allocator]
static MEMORY: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Client certificates that renew themselves in time: private CA, mutual-TLS gate and renewal portal in one program.
#[derive(Parser)]
#[command(name = "tegata", version, max_term_width = 110, propagate_version = true)]
#[command(
    after_help = "Start here:  tegata demo\nEvery command explains itself with examples:  tegata cert issue --help"
)]
struct Cli {
    /// The configuration file.
    #[arg(long, global = true, env = "TEGATA_CONFIG", value_name = "FILE", default_value = "/etc/tegata/tegata.toml")]
    config: PathBuf,
    /// Answer in JSON, for programs.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Try everything on this machine: a throw-away deployment with two clinics, running on loopback.
    Demo(demo::Args),
    /// Make a new deployment: configuration, CA, sealed keys, empty register.
    Init(init::Args),
    /// Run the service.
    #[command(
        after_help = "Example:\n  TEGATA_PASSPHRASE_FILE=/run/secrets/tegata tegata serve --config /etc/tegata/tegata.toml"
    )]
    Serve,
    /// Customers (clinics): add, set, list, show.
    #[command(subcommand)]
    Customer(customer::Command),
    /// People who log in: add, list, show.
    #[command(subcommand)]
    User(user::Command),
    /// Terminals: add, invite, recover, rename, lost, retire, list, show.
    #[command(subcommand)]
    Terminal(terminal::Command),
    /// Certificates: issue, list, held, show, revoke.
    #[command(subcommand)]
    Cert(cert::Command),
    /// Enrolment codes of terminals: list, approve, refuse (made by `tegata terminal invite`).
    #[command(subcommand)]
    Enrollment(enrollment::Command),
    /// Keys of programs for the REST API: create, list, rotate, revoke.
    #[command(subcommand)]
    ApiKey(api_key::Command),
    /// The issuing CAs: list, roll over.
    #[command(subcommand)]
    Ca(ca::Command),
    /// How many terminals' certificates end in which week, for three years ahead.
    Forecast(forecast::Args),
    /// When programs renew: advise, list, withdraw.
    #[command(subcommand)]
    Renewal(renewal::Command),
    /// Notices about ends of certificates: contacts, test, run, outbox, retry.
    #[command(subcommand)]
    Notify(notify::Command),
    /// Programs that are told of certificates: add, list, remove, test, rotate.
    #[command(subcommand)]
    Webhook(webhook::Command),
    /// The operation log: list, verify.
    #[command(subcommand)]
    Audit(audit::Command),
    /// Back up everything into one sealed file, while the service runs.
    Backup(backup::BackupArgs),
    /// Restore a backup on an empty machine, or see that it can be restored.
    Restore(backup::RestoreArgs),
    /// The configuration: check it, print the sample.
    #[command(subcommand)]
    Config(config_command::Command),
    /// Look for weaknesses and say what to do about each.
    Doctor,
    /// The agent of a terminal: keeps its certificate and renews it in time. Needs no server on this machine.
    Agent(tegata_agent::cli::Args),
    /// Print completions for a shell.
    #[command(after_help = "Example:\n  tegata completions bash > /etc/bash_completion.d/tegata")]
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let out = out::Out { json: cli.json };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return out.fail(&anyhow::anyhow!("cannot start: {error}")),
    };
    match runtime.block_on(run(cli.command, &cli.config, out)) {
        Ok(code) => code,
        Err(error) => out.fail(&error),
    }
}

async fn run(command: Command, config: &std::path::Path, out: out::Out) -> anyhow::Result<ExitCode> {
    match command {
        Command::Demo(args) => demo::run(args, out).await?,
        Command::Init(args) => init::run(args, out).await?,
        Command::Serve => serve::run(config).await?,
        Command::Customer(command) => customer::run(command, config, out).await?,
        Command::User(command) => user::run(command, config, out).await?,
        Command::Terminal(command) => terminal::run(command, config, out).await?,
        Command::Cert(command) => cert::run(command, config, out).await?,
        Command::Enrollment(command) => enrollment::run(command, config, out).await?,
        Command::ApiKey(command) => api_key::run(command, config, out).await?,
        Command::Ca(command) => ca::run(command, config, out).await?,
        Command::Forecast(args) => forecast::run(args, config, out).await?,
        Command::Renewal(command) => renewal::run(command, config, out).await?,
        Command::Notify(command) => return notify::run(command, config, out).await,
        Command::Webhook(command) => return webhook::run(command, config, out).await,
        Command::Backup(args) => backup::make(args, config, out).await?,
        Command::Restore(args) => backup::restore(args, out).await?,
        Command::Audit(command) => return audit::run(command, config, out).await,
        Command::Config(command) => config_command::run(command, config, out)?,
        Command::Doctor => return doctor::run(config, out).await,
        // It blocks; nothing else runs in this process.
        Command::Agent(args) => {
            return Ok(tegata_agent::cli::run(args, out.json, &system::SystemClock, &system::SystemEntropy));
        }
        Command::Completions { shell } => {
            let mut command = <Cli as clap::CommandFactory>::command();
            clap_complete::generate(shell, &mut command, "tegata", &mut std::io::stdout());
        }
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_command_line_is_consistent() {
        <super::Cli as clap::CommandFactory>::command().debug_assert();
    }
}
