//! `tegata ca list | roll-over`: the issuing CAs, and replacing the one that signs.

use std::path::Path;

use serde_json::json;
use tegata_authority::ceremony::Folders;
use tegata_authority::rollover::roll_over;
use tegata_pki::issuer::IssuerCert;

use crate::deployment;
use crate::out::Out;
use crate::system::{SystemClock, SystemEntropy};

/// What to do with the CA.
#[derive(clap::Subcommand)]
pub enum Command {
    /// List the issuing CAs whose certificates open the gate; the last one signs.
    List,
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
        Command::List => {
            let rows = store.reader().issuers(actor.scope()).await?;
            let row = |row: &tegata_store::IssuerRow| {
                let fingerprint = IssuerCert::from_der(&row.der).map(|cert| cert.fingerprint().to_string());
                vec![row.id.0.to_string(), row.name.clone(), row.not_after.to_string(), fingerprint.unwrap_or_default()]
            };
            out.table(&["id", "name", "until", "sha256"], &rows.iter().map(row).collect::<Vec<_>>())?;
        }
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
