//! `tegata backup` and `tegata restore`: one sealed file with everything, made while the service runs, and the way back on an empty machine. A
//! restore proves itself before it is moved into place; `--verify` alone does the same and leaves nothing.

use std::path::{Path, PathBuf};

use anyhow::Context;
use serde_json::json;
use tegata_authority::backup::{self, Beside, CONFIG, Manifest};
use tegata_authority::ceremony::Folders;
use tegata_authority::checkpoint;
use tegata_authority::custody::{self, Passphrase, Sealed};
use tegata_authority::evidence::Evidence;
use tegata_authority::verification::{self, Verified};
use tegata_core::time::Clock;
use tegata_store::{OpenMode, Store};

use super::init::beside;
use crate::config::Checked;
use crate::deployment;
use crate::out::Out;
use crate::system::{SystemClock, SystemEntropy};

/// What `backup` needs.
#[derive(clap::Args)]
#[command(after_help = "Example (each night, by a timer; the passphrase is the service's):\n  \
    TEGATA_PASSPHRASE_FILE=/run/secrets/tegata tegata backup --to /backup/tegata-$(date +%Y%m%d).backup")]
pub struct BackupArgs {
    /// The new file.
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
    /// Seal it with the passphrase in this file; without it, with the service's own.
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

/// What `restore` needs.
#[derive(clap::Args)]
#[command(group = clap::ArgGroup::new("what").required(true).multiple(true).args(["into", "verify"]))]
#[command(
    after_help = "Examples:\n  tegata restore --from /backup/tegata-20261124.backup --verify      (a rehearsal; leaves nothing)\n  \
    tegata restore --from /backup/tegata-20261124.backup --into /etc/tegata"
)]
pub struct RestoreArgs {
    /// The backup.
    #[arg(long, value_name = "FILE")]
    from: PathBuf,
    /// The folder to make; must not exist, or be empty.
    #[arg(long, value_name = "FOLDER")]
    into: Option<PathBuf>,
    /// Only see whether the backup could be restored: hashes, database, operation log, keys.
    #[arg(long, conflicts_with = "into")]
    verify: bool,
    /// The passphrase in this file opens the backup; without it, the service's own.
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

fn passphrase(file: Option<&Path>) -> anyhow::Result<Passphrase> {
    let Some(file) = file else { return deployment::passphrase() };
    let bytes = std::fs::read(file).with_context(|| file.display().to_string())?;
    Passphrase::new(bytes).with_context(|| file.display().to_string())
}

/// Runs `backup`.
pub async fn make(args: BackupArgs, path: &Path, out: Out) -> anyhow::Result<()> {
    let checked = deployment::config(path)?;
    let config = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let store = deployment::register(&checked).await?;
    let settings = &checked.config.authority;
    let (keys, certificates) = (checked.path(&settings.key_folder), checked.path(&settings.certificate_folder));
    let folders = Folders { keys: &keys, certificates: &certificates };
    let beside = Beside { config: &config, folders, version: env!("CARGO_PKG_VERSION") };
    let (pass, now) = (passphrase(args.passphrase_file.as_deref())?, (SystemClock.now(), &SystemEntropy as &_));
    let made = backup::make(&store, beside, &args.to, &pass, &deployment::operator(), now).await;
    store.close().await;
    let made = made?;
    let size = std::fs::metadata(&args.to).map(|meta| meta.len()).unwrap_or_default();
    let count = made.files.len();
    let mut text = format!(
        "wrote {}: {count} files, {size} octets, up to row {} of the operation log",
        args.to.display(),
        made.log_rows
    );
    if !made.holds_register() {
        text += &format!(
            "\nThe register is NOT in it: it is at {}. Back that database up with its own means (pg_dump) at the same time; this file holds the \
             keys, the CA certificates and the configuration.",
            made.register
        );
    }
    let value =
        json!({ "file": args.to, "octets": size, "register": made.holds_register(), "log_rows": made.log_rows });
    Ok(out.say(&text, &value)?)
}

/// Runs `restore`.
pub async fn restore(args: RestoreArgs, out: Out) -> anyhow::Result<()> {
    if let Some(dir) = &args.into
        && dir.exists()
        && std::fs::read_dir(dir).map(|mut entries| entries.next().is_some()).unwrap_or(true)
    {
        anyhow::bail!("{} exists and is not an empty folder: nothing was changed; name another folder", dir.display());
    }
    let folder = match &args.into {
        Some(dir) => beside(dir)?,
        None => beside(&std::env::temp_dir().join("tegata-rehearsal"))?,
    };
    let restored = put_back(&args, &folder).await;
    let moved = match (&restored, &args.into) {
        (Ok(_), Some(dir)) => {
            std::fs::rename(&folder, dir).with_context(|| format!("cannot move {} into place", folder.display()))
        }
        _ => Ok(()),
    };
    if folder.exists()
        && let Err(left) = std::fs::remove_dir_all(&folder)
    {
        out.note(&format!("{} could not be removed: {left}", folder.display()));
    }
    let report = restored.context("nothing was restored")?;
    moved?;
    report.say(args.into.as_deref(), out)
}

/// What a restore found.
struct Report {
    manifest: Manifest,
    verified: Option<Verified>,
    /// What the file of checkpoints elsewhere says about rows that the backup does not have.
    lost: Option<String>,
}

/// Unpacks into a folder, and proves that what is there could serve.
async fn put_back(args: &RestoreArgs, folder: &Path) -> anyhow::Result<Report> {
    let manifest = backup::unpack(&args.from, &passphrase(args.passphrase_file.as_deref())?, folder)?;
    let file = folder.join(CONFIG);
    let text = relocated(&std::fs::read_to_string(&file)?, manifest.holds_register());
    std::fs::write(&file, &text)?;
    let checked = Checked::parse(&text, &file, folder)?;
    let (keys, pass) = (folder.join(backup::KEYS), deployment::passphrase()?);
    for what in [Sealed::Issuing, Sealed::Vault] {
        custody::open(&keys, what, &pass)?;
    }
    if !manifest.holds_register() {
        return Ok(Report { manifest, verified: None, lost: None });
    }
    let store = Store::open(folder.join(backup::REGISTER).as_path(), OpenMode::Existing).await?;
    let proven = prove(&store, &checked, &manifest, &pass).await;
    let settled = match (&proven, args.verify) {
        (Ok(_), false) => backup::settle(&store, &manifest, &deployment::operator(), SystemClock.now()).await,
        _ => Ok(()),
    };
    store.close().await;
    let (verified, lost) = proven?;
    settled?;
    Ok(Report { manifest, verified: Some(verified), lost })
}

/// Whether register, operation log, keys and CA belong together and are whole.
async fn prove(
    store: &Store,
    checked: &Checked,
    manifest: &Manifest,
    pass: &Passphrase,
) -> anyhow::Result<(Verified, Option<String>)> {
    let (reader, scope) = (store.reader(), deployment::operator().scope());
    anyhow::ensure!(reader.is_sound(scope).await?, "the database in the backup is damaged");
    let verified = verification::verify(&reader, scope, None, &[], None).await?;
    let verified = verified.context("the operation log in the backup is not as it was written")?;
    let head = tegata_core::id::Fingerprint(verified.head.hash).to_string();
    anyhow::ensure!(head == manifest.log_head, "the operation log in the backup is not the one that the backup names");
    // The CA opens with this register, or says why not; nothing is served from it here.
    deployment::authority_at(checked, store.clone(), pass, 0, std::sync::Arc::new(SystemClock)).await?;
    let keys = checked.path(&checked.config.authority.key_folder);
    checkpoint::ready(store, &keys, pass, &SystemClock, &SystemEntropy).await?;
    let lines = deployment::checkpoint_lines(checked).unwrap_or_default();
    let known: Vec<Vec<u8>> = reader.log_keys(scope).await?.into_iter().map(|key| key.spki).collect();
    let elsewhere = Evidence::read(lines.iter().map(String::as_str), &known).ok();
    let later = elsewhere.map(|elsewhere| elsewhere.covers()).filter(|(rows, _)| *rows > verified.head.sequence);
    let lost = later.map(|(rows, at)| {
        let lost = rows - verified.head.sequence;
        format!("the file of checkpoints knows of {lost} rows more, the last of them signed at {at}: that much is lost at least")
    });
    Ok((verified, lost))
}

/// The configuration with its folders where `restore` puts them; everything else stays as it was written.
fn relocated(text: &str, register: bool) -> String {
    let line = |line: &str| {
        let place = match line.split_once('=').map(|(name, _)| name.trim()) {
            Some("database") if register => backup::REGISTER,
            Some("key_folder") => backup::KEYS,
            Some("certificate_folder") => backup::CERTIFICATES,
            _ => return format!("{line}\n"),
        };
        format!("{} = {}\n", line.split('=').next().unwrap_or_default().trim_end(), toml::Value::from(place))
    };
    text.lines().map(line).collect()
}

impl Report {
    fn say(&self, into: Option<&Path>, out: Out) -> anyhow::Result<()> {
        let Self { manifest, verified, lost } = self;
        let (at, rows) = (&manifest.made_at, manifest.log_rows);
        let mut lines = vec![match into {
            Some(dir) => format!("restored {} from the backup of {at}", dir.display()),
            None => format!("the backup of {at} can be restored; nothing was left behind"),
        }];
        match verified {
            Some(verified) => {
                let signed = verified.evidence.as_ref().map_or(0, |evidence| evidence.last.rows);
                lines.push(format!("database sound, keys open, operation log intact: {rows} rows, signed up to row {signed}"));
            }
            None => lines.push(format!(
                "keys open. The register is not in this backup: it is at {}. Restore that database with its own means (pg_restore), then run \
                 `tegata audit verify` and `tegata doctor`",
                manifest.register
            )),
        }
        lines.extend(lost.clone());
        if let Some(dir) = into {
            lines.push(format!(
                "\nWhat was done after {at} is not in it:\n  - certificates issued since then are unknown here and are refused; their terminals come in with the one before, or are recovered\n  \
                 - certificates REVOKED since then count again: revoke them anew before you start\n  - everybody has to log in again; codes that were given out count no more\n\
                 Next:\n  1. Read {}/tegata.toml: addresses, and files that were never in the backup (server certificates from elsewhere).\n  \
                 2. Move the old file of checkpoints (audit.checkpoint_file) aside and keep it: it is the evidence of what is missing.\n  \
                 3. tegata --config {}/tegata.toml doctor, then serve",
                dir.display(),
                dir.display()
            ));
        }
        let value = json!({
            "made_at": at,
            "log_rows": rows,
            "register": manifest.holds_register(),
            "into": into,
            "lost": lost,
        });
        Ok(out.say(&lines.join("\n"), &value)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::EXAMPLE;

    #[test]
    fn only_the_three_places_are_written_anew() {
        let elsewhere = EXAMPLE
            .replace("database = \"tegata.db\"", "database = \"/var/lib/tegata/register.db\"")
            .replace("key_folder = \"keys\"", "key_folder = \"/var/lib/tegata/keys\"")
            .replace("certificate_folder = \"ca\"", "certificate_folder=\"/var/lib/tegata/ca\"");
        let back = relocated(&elsewhere, true);
        assert_eq!(back, EXAMPLE.replace("\r\n", "\n"));
        let server = elsewhere.replace("/var/lib/tegata/register.db", "postgres://tegata@db.example.jp/tegata");
        assert!(relocated(&server, false).contains("database = \"postgres://tegata@db.example.jp/tegata\""));
    }
}
