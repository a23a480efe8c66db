//! `tegata ca list | holders | crl | root-crl | roll-over`: the issuing CAs, their revocation lists, and replacing the one that signs.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use serde_json::json;
use tegata_authority::ceremony::Folders;
use tegata_authority::crl::{Crls, root_list};
use tegata_authority::elders;
use tegata_authority::rollover::roll_over;
use tegata_core::id::CertificateId;
use tegata_core::time::{Clock, Days};
use tegata_pki::crl::issuer_name;
use tegata_pki::issuer::IssuerCert;
use tegata_pki::pem;
use tegata_store::Store;

use crate::config::Checked;
use crate::deployment;
use crate::out::Out;
use crate::system::{SystemClock, SystemEntropy};

/// What to do with the CA.
#[derive(clap::Subcommand)]
pub enum Command {
    /// List the issuing CAs whose certificates open the gate; the last one signs.
    List,
    /// Who still uses certificates of which issuing CA: how many, and with --issuer which terminals. An old CA goes when nobody does.
    #[command(after_help = "Examples:\n  tegata ca holders\n  tegata ca holders --issuer 1")]
    Holders {
        /// List the terminals that use certificates of this one (its number in `tegata ca list`).
        #[arg(long, value_name = "NUMBER")]
        issuer: Option<i64>,
        /// At most so many.
        #[arg(long, default_value_t = 10_000)]
        limit: u32,
    },
    /// Sign the lists of all that is revoked, one for each issuing CA whose key is at hand, for programs that read them from a file. In PEM,
    /// the CA that signs first.
    #[command(
        after_help = "Examples:\n  tegata ca crl --out /etc/nginx/tegata.crl\n  tegata ca crl --der --out issuing.crl"
    )]
    Crl {
        /// The file, replaced in one step; without it, standard output.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        /// In DER, which holds one list only: that of the CA that signs.
        #[arg(long, requires = "out")]
        der: bool,
    },
    /// Sign the root's list, on which nothing stands, for programs that want a list of every CA above a certificate (nginx, HAProxy). In PEM.
    /// Needs root.sealed back in the key folder.
    #[command(after_help = "Example:\n  tegata ca root-crl --out /etc/tegata/root.crl")]
    RootCrl {
        /// The file, replaced in one step.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        /// For how many days it is good.
        #[arg(long, default_value_t = 360, value_parser = clap::value_parser!(i64).range(1..=3650))]
        days: i64,
    },
    /// Make a new issuing CA under the root. The old one's certificates go on counting; new ones come from the new one as soon as the
    /// server is started again. Needs root.sealed back in the key folder.
    #[command(
        after_help = "Example:\n  cp /media/usb1/root.sealed /var/lib/tegata/keys/ && tegata ca roll-over && rm /var/lib/tegata/keys/root.sealed"
    )]
    RollOver {
        /// Say what would be done, and do nothing.
        #[arg(long)]
        dry_run: bool,
    },
}

/// Runs the command.
pub async fn run(command: Command, path: &Path, out: Out) -> anyhow::Result<()> {
    let actor = deployment::operator();
    let checked = deployment::config(path)?;
    let store = deployment::register(&checked).await?;
    match command {
        Command::Crl { out: file, der } => crl(&checked, store.clone(), file.as_deref(), der, out).await?,
        Command::List => {
            let rows = store.reader().issuers(actor.scope()).await?;
            let row = |row: &tegata_store::IssuerRow| {
                let fingerprint = IssuerCert::from_der(&row.der).map(|cert| cert.fingerprint().to_string());
                vec![row.id.0.to_string(), row.name.clone(), row.not_after.to_string(), fingerprint.unwrap_or_default()]
            };
            out.table(&["id", "name", "until", "sha256"], &rows.iter().map(row).collect::<Vec<_>>())?;
        }
        Command::Holders { issuer, limit } => holders(&store, issuer, limit, out).await?,
        Command::RootCrl { out: file, days } => root_crl(&checked, &file, days, out)?,
        Command::RollOver { dry_run } => {
            let settings = &checked.config.authority;
            let (keys, certificates) = (checked.path(&settings.key_folder), checked.path(&settings.certificate_folder));
            let pass = deployment::passphrase()?;
            if dry_run {
                let ready = keys.join("root.sealed").exists();
                let text = match ready {
                    true => "would make a new issuing CA under the root; nothing was changed".to_owned(),
                    false => format!("root.sealed is not in {}: put it there for the roll-over", keys.display()),
                };
                out.say(&text, &json!({ "dry_run": true, "ready": ready }))?;
            } else {
                let folders = Folders { keys: &keys, certificates: &certificates };
                let made = roll_over(&store, folders, &pass, &actor, &SystemClock, &SystemEntropy).await?;
                let until = made.validity().not_after;
                let text = format!(
                    "{} signs from the next start of the server on, until {until}.\nNow: start the server again (each node, with the new \
                     files of the key and certificate folders), and take root.sealed away again.",
                    made.common_name()
                );
                let value = json!({ "name": made.common_name(), "until": until.to_string() });
                out.say(&text, &value)?;
            }
        }
    }
    store.close().await;
    Ok(())
}

async fn holders(store: &Store, issuer: Option<i64>, limit: u32, out: Out) -> anyhow::Result<()> {
    let (reader, scope, now) = (store.reader(), deployment::operator().scope(), SystemClock.now());
    let issuers = reader.issuers(scope).await?;
    let Some(number) = issuer else {
        let held = reader.held_by_issuer(scope, now).await?;
        let row = |row: &tegata_store::IssuerRow| {
            let found = held.iter().find(|held| held.issuer == row.id);
            let last = found.map(|held| held.last_end.to_string()).unwrap_or_default();
            vec![row.id.0.to_string(), row.name.clone(), found.map_or(0, |held| held.certificates).to_string(), last]
        };
        return Ok(out.table(&["id", "name", "in_use", "last_end"], &issuers.iter().map(row).collect::<Vec<_>>())?);
    };
    let known = issuers.iter().find(|row| row.id.0 == number);
    let issuer = known.ok_or_else(|| anyhow::anyhow!("no issuing CA {number} (see `tegata ca list`)"))?.id;
    let mut rows = Vec::new();
    for cert in reader.held(scope, issuer, now, (CertificateId(0), limit)).await? {
        let terminal = reader.terminal(scope, cert.terminal).await?.context("the register has no such terminal")?;
        let number = format!("{}/{}", terminal.customer, terminal.client);
        rows.push(vec![number, terminal.name, cert.serial.to_string(), cert.not_after.to_string()]);
    }
    Ok(out.table(&["terminal", "name", "serial", "not_after"], &rows)?)
}

async fn crl(checked: &Checked, store: Store, file: Option<&Path>, der: bool, out: Out) -> anyhow::Result<()> {
    let pass = deployment::passphrase()?;
    let authority = deployment::authority_at(checked, store, &pass, 0, Arc::new(SystemClock)).await?;
    let keys = checked.path(&checked.config.authority.key_folder);
    let cas = authority.with_elders(elders::open(&authority, &keys, &pass).await?);
    let crls = Crls::open(authority, &cas, checked.config.authority.crl_hours);
    let (mut lines, mut values, mut pem, mut signed) = (Vec::new(), Vec::new(), String::new(), Vec::new());
    for ca in crls.issuers().take(if der { 1 } else { usize::MAX }) {
        let list = crls.list(&issuer_name(&ca.cert), None).await?.context("this CA has ended")?;
        let (issuer, entries, until) = (ca.cert.common_name(), list.entries, list.next_update);
        lines.push(format!("{issuer}: {entries} revoked, number {}, good until {until}", list.number));
        values.push(json!({
            "issuer": issuer,
            "number": list.number,
            "this_update": list.this_update.to_string(),
            "next_update": until.to_string(),
            "revoked": entries,
            "pem": pem::crl(&list.der),
        }));
        pem.push_str(&pem::crl(&list.der));
        signed = list.der.to_vec();
    }
    let value = json!({ "file": file, "lists": values });
    let Some(file) = file else { return Ok(out.say(&pem, &value)?) };
    replace(file, if der { &signed } else { pem.as_bytes() })
        .with_context(|| format!("cannot write {}", file.display()))?;
    Ok(out.say(&format!("wrote {}\n{}", file.display(), lines.join("\n")), &value)?)
}

fn root_crl(checked: &Checked, file: &Path, days: i64, out: Out) -> anyhow::Result<()> {
    let settings = &checked.config.authority;
    let (keys, certificates) = (checked.path(&settings.key_folder), checked.path(&settings.certificate_folder));
    let folders = Folders { keys: &keys, certificates: &certificates };
    let list = root_list(&folders, &deployment::passphrase()?, Days(days), SystemClock.now())?;
    replace(file, pem::crl(&list.der).as_bytes()).with_context(|| format!("cannot write {}", file.display()))?;
    let text = format!("wrote {}, good until {}\nNow: take root.sealed away again.", file.display(), list.next_update);
    let value = json!({ "file": file, "number": list.number, "next_update": list.next_update.to_string() });
    Ok(out.say(&text, &value)?)
}

/// Whoever reads it at this moment reads the old one or the new one.
pub fn replace(file: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut partial = file.as_os_str().to_owned();
    partial.push(".partial");
    std::fs::write(&partial, bytes)?;
    std::fs::rename(&partial, file)
}
