//! `tegata init`: a new deployment in a folder. Everything is made beside it and moved into place at the end, so that a failure leaves
//! nothing half-made.

use std::path::{Path, PathBuf};

use anyhow::Context;
use serde_json::json;
use tegata_authority::ceremony::{self, Folders};
use tegata_authority::checkpoint;
use tegata_authority::custody::Passphrase;
use tegata_core::access::Actor;
use tegata_core::time::Clock;
use tegata_store::{OpenMode, Server, Store};

use crate::config::{Checked, EXAMPLE};
use crate::deployment;
use crate::out::Out;
use crate::system::{SystemClock, SystemEntropy};

/// What `init` needs.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  umask 077; head -c 33 /dev/urandom | base64 > /root/tegata.pass\n  \
    TEGATA_PASSPHRASE_FILE=/root/tegata.pass tegata init --dir /etc/tegata --organization サンプル医療情報センター --host portal.example.jp\n\n\
    With the register in an empty database of a PostgreSQL server:\n  \
    TEGATA_DATABASE_PASSWORD=... TEGATA_PASSPHRASE_FILE=/root/tegata.pass tegata init --dir /etc/tegata --organization ... \\\n    \
    --host portal.example.jp --database postgres://tegata_owner@db.example.jp/tegata")]
pub struct Args {
    /// The folder to make; must not exist, or be empty.
    #[arg(long, value_name = "FOLDER")]
    dir: PathBuf,
    /// Who operates the CA: the O of its name.
    #[arg(long)]
    organization: String,
    /// The name that people type; `*.` of it is added for 「証明書を選び直す」.
    #[arg(long)]
    host: String,
    /// An empty database of a PostgreSQL server for the register, as postgres://user@host/database; without it, a file in the folder. The
    /// password comes from TEGATA_DATABASE_PASSWORD.
    #[arg(long, value_name = "ADDRESS")]
    database: Option<String>,
    /// Say what would be done, and do nothing.
    #[arg(long)]
    dry_run: bool,
}

/// Runs the command.
pub async fn run(args: Args, out: Out) -> anyhow::Result<()> {
    let mut text = EXAMPLE.replace("portal.example.jp", &args.host).replace(
        "operator_name = \"サンプル医療情報センター\"",
        &format!("operator_name = {}", toml::Value::from(args.organization.clone())),
    );
    anyhow::ensure!(
        tegata_pki::lint::is_dns_name(&args.host) && !args.host.starts_with('*'),
        "--host {:?} is not a host name: write the name alone, such as portal.example.jp",
        args.host
    );
    tegata_core::customer::check_name(&args.organization, 64).context("--organization")?;
    let mut register = "tegata.db".to_owned();
    if let Some(address) = &args.database {
        let server = Server::parse(address)?;
        if server.holds_password() {
            anyhow::bail!(
                "--database holds a password, which everybody on this machine can see: give it in TEGATA_DATABASE_PASSWORD"
            );
        }
        text =
            text.replace("\ndatabase = \"tegata.db\"", &format!("\ndatabase = {}", toml::Value::from(address.clone())));
        register = format!("tables in {server}");
    }
    if args.dry_run {
        Checked::parse(&text, Path::new("tegata.toml"), &args.dir)?;
        let would = format!("would make {} with tegata.toml, keys/, ca/ and {register}", args.dir.display());
        return Ok(out.say(&would, &json!({ "would_make": args.dir }))?);
    }
    create(&args.dir, &text, &args.organization, &deployment::passphrase()?, &SystemClock).await?;
    let dir = args.dir.display();
    let next = format!(
        "made {dir}\n\nNext:\n  1. Move {dir}/keys/root.sealed to an offline medium (it is needed only to make another issuing CA).\n  \
         2. Read {dir}/tegata.toml.\n  3. tegata --config {dir}/tegata.toml serve"
    );
    Ok(out.say(&next, &json!({ "dir": args.dir, "config": args.dir.join("tegata.toml") }))?)
}

/// Makes a deployment from a configuration text.
pub async fn create(
    dir: &Path,
    config: &str,
    organization: &str,
    pass: &Passphrase,
    clock: &dyn Clock,
) -> anyhow::Result<()> {
    if dir.exists() && std::fs::read_dir(dir).map(|mut entries| entries.next().is_some()).unwrap_or(true) {
        anyhow::bail!("{} exists and is not an empty folder: nothing was changed; name another folder", dir.display());
    }
    let partial = beside(dir)?;
    let made = fill(&partial, config, organization, pass, clock).await;
    if let Err(error) = made {
        if let Err(left) = std::fs::remove_dir_all(&partial) {
            tracing::warn!(folder = %partial.display(), error = %left, "a half-made folder could not be removed");
        }
        return Err(error.context("nothing was made"));
    }
    std::fs::rename(&partial, dir).with_context(|| format!("cannot move {} into place", partial.display()))
}

/// A folder beside `dir` that nobody else has, to make things in before they are moved into place.
pub fn beside(dir: &Path) -> anyhow::Result<PathBuf> {
    let name = dir.file_name().context("the folder needs a name")?.to_string_lossy().into_owned();
    let chance: [u8; 4] = tegata_core::secret::random(&SystemEntropy);
    Ok(dir.with_file_name(format!(".{name}.{:08x}", u32::from_be_bytes(chance))))
}

async fn fill(
    folder: &Path,
    config: &str,
    organization: &str,
    pass: &Passphrase,
    clock: &dyn Clock,
) -> anyhow::Result<()> {
    let checked = Checked::parse(config, Path::new("tegata.toml"), folder)?;
    let settings = &checked.config.authority;
    let (keys, certificates) = (checked.path(&settings.key_folder), checked.path(&settings.certificate_folder));
    for folder in [folder, &keys, &certificates] {
        use std::os::unix::fs::DirBuilderExt;
        let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
        made.with_context(|| format!("cannot make {}", folder.display()))?;
    }
    let file = folder.join("tegata.toml");
    std::fs::write(&file, config).with_context(|| format!("cannot write {}", file.display()))?;
    let store = Store::open(deployment::database(&checked)?, OpenMode::Create).await?;
    let known = store.reader().issuers(Actor::System { job: "init" }.scope()).await?;
    if !known.is_empty() {
        anyhow::bail!("{} is the register of another deployment already: name an empty database", store.database());
    }
    let folders = Folders { keys: &keys, certificates: &certificates };
    ceremony::create(&store, folders, organization, pass, clock, &SystemEntropy).await?;
    checkpoint::ready(&store, &keys, pass, clock, &SystemEntropy).await?;
    store.close().await;
    Ok(())
}
