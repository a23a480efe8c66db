//! The commands, shared by `tegata agent` and `tegata-agent`. They read arguments, call the engine, and print.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand, ValueEnum};
use serde_json::{Value, json};
use tegata_core::invitation::Code;
use tegata_core::secret::{Entropy, Secret};
use tegata_core::time::{Clock, Timestamp};

use crate::engine::{Agent, AgentError, Tick, Urge, View, World};
use crate::enrol::{self, Anchor, Beginning, EnrolError};
use crate::network::Network;
use crate::settings::{Settings, SettingsError, StoreSettings};
use crate::status::Status;
use crate::system::{SystemClock, SystemEntropy};
use crate::transport::TransportError;
use crate::{doctor, files, os, slot, store};

/// Keeps the certificate of this terminal and renews it in time, without anybody.
#[derive(Parser)]
#[command(name = "tegata-agent", version, max_term_width = 110, propagate_version = true)]
struct Program {
    /// Answer in JSON, for programs.
    #[arg(long, global = true)]
    json: bool,
    #[command(flatten)]
    args: Args,
}

/// The agent as a program of its own.
pub fn program() -> ExitCode {
    let Program { json, args } = Program::parse();
    run(args, json, &SystemClock, &SystemEntropy)
}

/// The arguments of the agent.
#[derive(clap::Args)]
pub struct Args {
    /// The agent's folder: /var/lib/tegata-agent for root, ~/.local/state/tegata-agent for others,
    /// %LOCALAPPDATA%\tegata-agent on Windows.
    #[arg(long, global = true, env = "TEGATA_AGENT_DIR", value_name = "FOLDER")]
    dir: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

/// What to do.
#[derive(Subcommand)]
enum Command {
    /// Begin with a code that the operator gave you.
    #[command(
        after_help = "Example:\n  tegata agent enroll --server https://portal.example.jp --ca-fingerprint 4f0c... --code 4F7K-92QX --store p12:/srv/app/client.p12"
    )]
    Enroll {
        #[command(flatten)]
        start: Start,
        /// The code.
        #[arg(long, env = "TEGATA_AGENT_CODE", value_name = "XXXX-XXXX", hide_env_values = true)]
        code: String,
    },
    /// Begin with a certificate that you have: it is the proof, no code is needed.
    #[command(
        after_help = "Example:\n  tegata agent adopt --server https://portal.example.jp --p12 103001_JP_u00000001_client001.p12 --password-file password.txt"
    )]
    Adopt {
        #[command(flatten)]
        start: Start,
        /// The bundle from the portal.
        #[arg(long, value_name = "FILE")]
        p12: PathBuf,
        /// A file with its password on the first line; asked for on standard input otherwise.
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
    },
    /// Work until somebody ends it: look every 6 hours, renew in time.
    Run,
    /// Do what is due and end. 0: all is well, 10: it will be tried again, 20: a person is needed.
    Once,
    /// How things stand.
    Status {
        /// Write a small page about it, too.
        #[arg(long, value_name = "FILE")]
        page: Option<PathBuf>,
    },
    /// Renew before it is due, where the server permits it.
    Renew {
        /// At once.
        #[arg(long, required = true)]
        now: bool,
        /// Only this certificate: identity, or a store's name.
        #[arg(value_name = "NAME")]
        name: Option<String>,
    },
    /// The places that certificates are put to.
    Stores {
        /// What to do with them.
        act: StoresAct,
    },
    /// Look for the ten usual causes of trouble.
    Doctor,
    /// Remove the agent with its keys. What it put into stores stays.
    Uninstall {
        /// Yes, remove it.
        #[arg(long, required = true)]
        yes: bool,
    },
}

/// What can be done with stores.
#[derive(Clone, Copy, ValueEnum)]
enum StoresAct {
    /// List them with what lies in them.
    List,
}

/// What `enroll` and `adopt` have in common.
#[derive(clap::Args)]
struct Start {
    /// The portal's address.
    #[arg(long, value_name = "URL")]
    server: String,
    /// The service's root certificate (PEM); together with that of the portal's own server certificate where it is another.
    #[arg(long, value_name = "FILE", conflicts_with = "ca_fingerprint")]
    ca: Option<PathBuf>,
    /// SHA-256 of the service's root certificate in hexadecimal.
    #[arg(long, value_name = "SHA256")]
    ca_fingerprint: Option<String>,
    /// Where to put certificates: pem:FOLDER, p12:FILE, nss:FOLDER, windows-user, exec:PROGRAM or NAME=KIND:PATH; may be
    /// repeated.
    #[arg(long = "store", value_name = "STORE")]
    stores: Vec<String>,
    /// One certificate for everything, instead of an identity of the agent's own and one for each store.
    #[arg(long)]
    single: bool,
    /// An HTTP proxy: http://proxy:8080.
    #[arg(long, value_name = "URL")]
    proxy: Option<String>,
}

/// Why a command did not do what it should.
#[derive(Debug, thiserror::Error)]
enum CliError {
    #[error(transparent)]
    Agent(#[from] AgentError),
    #[error(transparent)]
    Enrol(#[from] EnrolError),
    #[error(transparent)]
    File(#[from] files::FileError),
    #[error(transparent)]
    Settings(#[from] SettingsError),
    #[error(transparent)]
    Transport(#[from] TransportError),
    #[error(transparent)]
    Code(#[from] tegata_core::id::ParseIdError),
    #[error("write --ca FILE or --ca-fingerprint SHA256: the operator's paper with the code has it")]
    NoAnchor,
    #[error("no folder for the agent: set HOME (LOCALAPPDATA on Windows) or write --dir FOLDER")]
    NoFolder,
    #[error("{}: no such file", .0.display())]
    Missing(PathBuf),
    #[error("no certificate is called {0:?}: see `tegata agent status`")]
    NoSuchCertificate(String),
    #[error("cannot write: {0}")]
    Output(#[from] std::io::Error),
}

/// Runs a command and gives its exit code: 0, 10 and 20 as `once` has them, 1 where it could not run at all.
pub fn run(args: Args, json: bool, clock: &dyn Clock, entropy: &dyn Entropy) -> ExitCode {
    match command(args, json, clock, entropy) {
        Ok(code) => ExitCode::from(code),
        Err(CliError::Agent(error @ AgentError::Locked(_))) => {
            complain(&error.to_string());
            ExitCode::from(10)
        }
        Err(error) => {
            complain(&error.to_string());
            ExitCode::FAILURE
        }
    }
}

fn complain(text: &str) {
    let written = writeln!(std::io::stderr().lock(), "tegata-agent: {text}");
    drop(written); // nowhere left to say that standard error is gone
}

fn say(json: bool, text: &str, value: &Value) -> std::io::Result<()> {
    let mut stdout = std::io::stdout().lock();
    if json { writeln!(stdout, "{value:#}") } else { writeln!(stdout, "{}", text.trim_end()) }
}

fn command(args: Args, json: bool, clock: &dyn Clock, entropy: &dyn Entropy) -> Result<u8, CliError> {
    let root = match args.dir {
        Some(dir) => std::path::absolute(dir)?,
        None => os::default_folder().ok_or(CliError::NoFolder)?,
    };
    let now = clock.now();
    match args.command {
        Command::Enroll { start, code } => {
            let code = Code::parse(&code)?;
            let (beginning, network) = beginning(start, &root, None)?;
            let world = World { transport: &network, entropy };
            report(json, &enrol::enroll(&root, &world, now, beginning, &code)?)
        }
        Command::Adopt { start, p12, password_file } => {
            let bundle = files::read(&p12)?.ok_or(CliError::Missing(p12))?;
            let password = bundle_password(password_file)?;
            let (beginning, network) = beginning(start, &root, Some(Anchor::Bundle))?;
            let world = World { transport: &network, entropy };
            report(json, &enrol::adopt(&root, &world, now, beginning, &bundle, password.expose())?)
        }
        Command::Run => work(&root, clock, entropy),
        Command::Once => round(&root, json, now, entropy, Urge::Start),
        Command::Renew { now: _, name } => renew(&root, json, now, entropy, name),
        Command::Status { page } => status(&root, json, now, page),
        Command::Stores { act: StoresAct::List } => list_stores(&root, json),
        Command::Doctor => {
            let proxy = View::open(&root).ok().and_then(|view| view.settings.proxy);
            let network = Network::new(proxy.as_deref())?;
            let findings = doctor::examine(&root, &World { transport: &network, entropy }, now);
            say(json, &doctor::text(&findings), &doctor::json(&findings))?;
            Ok(doctor::outcome(&findings).exit_code())
        }
        Command::Uninstall { yes: _ } => uninstall(&root, json),
    }
}

fn renew(root: &Path, json: bool, now: Timestamp, entropy: &dyn Entropy, name: Option<String>) -> Result<u8, CliError> {
    let view = View::open(root)?;
    let known = |name: &String| slot::slots(&view.settings, root).iter().any(|slot| slot.name == name);
    if let Some(name) = name.as_ref().filter(|name| !known(name)) {
        return Err(CliError::NoSuchCertificate(name.clone()));
    }
    round(root, json, now, entropy, Urge::Now(name.as_deref()))
}

fn status(root: &Path, json: bool, now: Timestamp, page: Option<PathBuf>) -> Result<u8, CliError> {
    let status = Status::of(&View::open(root)?, now)?;
    if let Some(page) = page {
        files::write_with(&std::path::absolute(page)?, status.page().as_bytes(), 0o644, None)?;
    }
    say(json, &status.text(), &status.json())?;
    Ok(if status.needs_human() { 20 } else { 0 })
}

fn uninstall(root: &Path, json: bool) -> Result<u8, CliError> {
    let left = enrol::uninstall(root)?;
    let places: Vec<String> = left.places.iter().map(|path| path.display().to_string()).collect();
    let mut text =
        format!("{} is gone, with the agent's keys. Ask the operator to revoke its certificates.", root.display());
    for place in &places {
        text.push_str(&format!("\nleft as it is: {place}"));
    }
    say(json, &text, &json!({ "removed": root, "left": places }))?;
    Ok(0)
}

fn beginning(start: Start, root: &Path, otherwise: Option<Anchor>) -> Result<(Beginning, Network), CliError> {
    let Start { server, ca, ca_fingerprint, stores, single, proxy } = start;
    let anchor = match (ca, ca_fingerprint) {
        (Some(file), _) => Anchor::Pem(files::read_text(&file)?.ok_or(CliError::Missing(file))?),
        (None, Some(fingerprint)) => Anchor::Fingerprint(fingerprint),
        (None, None) => otherwise.ok_or(CliError::NoAnchor)?,
    };
    let mut settings = Settings::new(&server, single);
    settings.proxy = proxy;
    for store in &stores {
        let (name, store) = StoreSettings::parse(store)?;
        settings.stores.insert(name, store);
    }
    if stores.is_empty() {
        let (name, store) = StoreSettings::parse(&os::default_store(root))?;
        settings.stores.insert(name, store);
    }
    let network = Network::new(settings.proxy.as_deref())?;
    Ok((Beginning { settings, anchor }, network))
}

fn bundle_password(file: Option<PathBuf>) -> Result<Secret<String>, CliError> {
    let text = match file {
        Some(file) => files::read_text(&file)?.ok_or(CliError::Missing(file))?,
        None => {
            complain("the password of the bundle:");
            let mut line = String::new();
            std::io::stdin().read_line(&mut line)?;
            line
        }
    };
    let text = Secret::new(text);
    Ok(Secret::new(text.expose().lines().next().unwrap_or_default().trim().to_owned()))
}

fn report(json: bool, tick: &Tick) -> Result<u8, CliError> {
    let word = match tick.outcome {
        crate::Outcome::Good => "good",
        crate::Outcome::Later => "later",
        crate::Outcome::Human => "human",
    };
    let mut text = tick.news.join("\n");
    if !text.is_empty() {
        text.push('\n');
    }
    text.push_str(&format!("next: {} JST", tick.next.jst_text()));
    say(json, &text, &json!({ "outcome": word, "next": tick.next.to_string(), "news": tick.news }))?;
    Ok(tick.outcome.exit_code())
}

fn round(root: &Path, json: bool, now: Timestamp, entropy: &dyn Entropy, urge: Urge<'_>) -> Result<u8, CliError> {
    let mut agent = Agent::open(root)?;
    let network = Network::new(agent.view().settings.proxy.as_deref())?;
    let tick = agent.tick(&World { transport: &network, entropy }, now, urge)?;
    report(json, &tick)
}

/// The longest nap: after a sleep of the whole machine it is noticed within this time that hours have passed.
const NAP_SECONDS: i64 = 60;
/// A nap that took this much longer than it should was a sleep of the machine, or the clock was set.
const JUMP_SECONDS: i64 = 300;

/// A loop around `tick`. The folder is free between two rounds, so that `renew --now` works beside it, and settings are read anew.
fn work(root: &Path, clock: &dyn Clock, entropy: &dyn Entropy) -> Result<u8, CliError> {
    let mut urge = Urge::Start;
    loop {
        let next = match Agent::open(root) {
            Ok(mut agent) => {
                let network = Network::new(agent.view().settings.proxy.as_deref())?;
                let tick = agent.tick(&World { transport: &network, entropy }, clock.now(), urge)?;
                tick.news.iter().for_each(|line| complain(line));
                tick.next
            }
            Err(AgentError::Locked(_)) => clock.now().plus_seconds(NAP_SECONDS),
            Err(error) => return Err(error.into()),
        };
        urge = Urge::Due;
        while clock.now() < next && urge == Urge::Due {
            let before = clock.now();
            let nap = (next.0 - before.0).clamp(1, NAP_SECONDS);
            std::thread::sleep(Duration::from_secs(nap.unsigned_abs()));
            if (clock.now().0 - before.0 - nap).abs() > JUMP_SECONDS {
                urge = Urge::Start;
            }
        }
    }
}

fn list_stores(root: &Path, json: bool) -> Result<u8, CliError> {
    let view = View::open(root)?;
    let scratch = root.join("list");
    files::make_folder(&scratch)?;
    let (mut text, mut values, mut code) = (String::new(), Vec::new(), 0);
    for (name, settings) in &view.settings.stores {
        let (kind, path) = settings.place();
        let (certificates, error) = match store::open(settings).and_then(|store| store.list(&scratch)) {
            Ok(entries) => (entries, None),
            Err(error) => (Vec::new(), Some(error.to_string())),
        };
        text.push_str(&format!("{name}  {kind}  {}\n", path.display()));
        let known: Vec<_> = certificates.iter().filter_map(|entry| view.trust.recognise(&entry.der).ok()).collect();
        for (about, ..) in &known {
            text.push_str(&format!("    {}  until {} JST\n", about.serial, about.not_after.jst_text()));
        }
        if let Some(error) = &error {
            text.push_str(&format!("    {error}\n"));
            code = 20;
        }
        let list: Vec<Value> = known
            .iter()
            .map(|(about, ..)| json!({ "serial": about.serial.to_string(), "not_after": about.not_after.to_string() }))
            .collect();
        values.push(json!({ "name": name, "kind": kind, "path": path, "certificates": list, "error": error }));
    }
    files::remove_folder(&scratch)?;
    say(json, &text, &json!({ "stores": values }))?;
    Ok(code)
}
