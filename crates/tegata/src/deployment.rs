//! Opening what `init` made: configuration, register, CA. Turns what can be wrong with them into one sentence and the next step.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use tegata_authority::ceremony::{self, CeremonyError, Folders};
use tegata_authority::checkpoint::{CheckpointError, Checkpoints};
use tegata_authority::custody::{CustodyError, Passphrase};
use tegata_authority::{Authority, KeyPool, Letterhead, Parts, Rules};
use tegata_core::access::Actor;
use tegata_core::secret::Secret;
use tegata_core::time::Clock;
use tegata_pki::issue::Urls;
use tegata_store::{Database, OpenMode, Store};

use crate::config::Checked;
use crate::system::{SystemClock, SystemEntropy};

/// Reads and checks the configuration.
pub fn config(path: &Path) -> anyhow::Result<Checked> {
    Checked::read(path).with_context(|| {
        format!(
            "the configuration is not usable (`tegata config example` prints a sample, `--config {}` names the file)",
            path.display()
        )
    })
}

/// Where the register lives, with the password that a server asks for: from TEGATA_DATABASE_PASSWORD, or else from
/// `store.password_file`. Without either, one in the address or in `~/.pgpass` is used.
pub fn database(checked: &Checked) -> anyhow::Result<Database> {
    let Database::Server(server) = checked.database()? else { return Ok(checked.database()?) };
    let password = match (std::env::var("TEGATA_DATABASE_PASSWORD"), &checked.config.store.password_file) {
        (Ok(password), _) => password,
        (Err(_), Some(file)) => {
            let file = checked.path(file);
            std::fs::read_to_string(&file).with_context(|| format!("store.password_file: {}", file.display()))?
        }
        (Err(_), None) => return Ok(Database::Server(server)),
    };
    let line = password.lines().next().unwrap_or_default().to_owned();
    Ok(Database::Server(server.with_password(Secret::new(line))))
}

/// Opens the register alone, to read: no key, no passphrase.
pub async fn register(checked: &Checked) -> anyhow::Result<Store> {
    Store::open(database(checked)?, OpenMode::Existing).await.context("the register cannot be opened")
}

/// Opens the CA over a register. `key_pool` keys are kept ready.
pub async fn authority_at(
    checked: &Checked,
    store: Store,
    pass: &Passphrase,
    key_pool: usize,
    clock: Arc<dyn Clock>,
) -> anyhow::Result<Authority> {
    let settings = &checked.config.authority;
    let (keys, certificates) = (checked.path(&settings.key_folder), checked.path(&settings.certificate_folder));
    let folders = Folders { keys: &keys, certificates: &certificates };
    let urls = Urls { crl: settings.crl_urls.clone(), issuer: settings.issuer_urls.clone(), ..Urls::default() };
    let opened = ceremony::open(&store, folders, pass, urls, &*clock).await;
    let (mut ca, vault) = opened.map_err(|error| {
        let next = match error {
            CeremonyError::Custody(CustodyError::WrongPassphrase(_)) => {
                "the CA cannot be opened (give the passphrase that `tegata init` was given, or restore the key folder from the backup)"
            }
            _ => "the CA cannot be opened",
        };
        anyhow::Error::new(error).context(next)
    })?;
    if let Some(status) = &checked.config.status {
        ca.urls.crl_base = Some(status.url.clone());
        ca.urls.ocsp.push(format!("{}/ocsp", status.url));
        ca.urls.issuer.push(format!("{}{}", status.url, tegata_web::ca_certificate_path(&ca.cert)));
    }
    let kind = checked.terminal_profile.own_key_kind();
    let portal = &checked.config.portal;
    let rules = Rules {
        terminal_profile: checked.terminal_profile.clone(),
        agent_profile: checked.agent_profile.clone(),
        server_profile: checked.server_profile.clone(),
        daily_certificates: checked.config.authority.daily_certificates,
        file_name: checked.file_name.clone(),
        bundle_days: portal.bundle_days,
        session_hours: portal.session_hours,
    };
    let entropy = Arc::new(SystemEntropy);
    Ok(Authority::new(Parts { store, ca, vault, keys: KeyPool::start(kind, key_pool), rules, clock, entropy }))
}

/// What signs the operation log; its key is made where there is none yet.
pub async fn checkpoints(checked: &Checked, store: Store, pass: &Passphrase) -> Result<Checkpoints, CheckpointError> {
    let keys = checked.path(&checked.config.authority.key_folder);
    let audit = &checked.config.audit;
    let file = audit.checkpoint_file.as_ref().map(|file| checked.path(file));
    let clock = Arc::new(SystemClock);
    Checkpoints::open(store, (&keys, pass), (clock, &SystemEntropy), audit.checkpoint_rules(), file).await
}

/// The lines of the configured file of checkpoints; none where none is configured, or it was not written yet.
pub fn checkpoint_lines(checked: &Checked) -> anyhow::Result<Vec<String>> {
    let Some(file) = checked.config.audit.checkpoint_file.as_ref().map(|file| checked.path(file)) else {
        return Ok(Vec::new());
    };
    match std::fs::read_to_string(&file) {
        Ok(text) => Ok(text.lines().map(str::to_owned).collect()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error).with_context(|| file.display().to_string()),
    }
}

/// Configuration, register and CA in one go, for commands that change something.
pub async fn open(path: &Path) -> anyhow::Result<(Checked, Authority)> {
    let checked = config(path)?;
    let store = register(&checked).await?;
    let authority = authority_at(&checked, store, &passphrase()?, 0, Arc::new(SystemClock)).await?;
    Ok((checked, authority))
}

/// The passphrase, from the first of: TEGATA_PASSPHRASE, the file named by TEGATA_PASSPHRASE_FILE, the systemd credential
/// `tegata-passphrase`.
pub fn passphrase() -> anyhow::Result<Passphrase> {
    if let Some(text) = std::env::var_os("TEGATA_PASSPHRASE") {
        return Passphrase::new(text.into_encoded_bytes()).context("TEGATA_PASSPHRASE");
    }
    let credential =
        std::env::var_os("CREDENTIALS_DIRECTORY").map(|folder| Path::new(&folder).join("tegata-passphrase"));
    let file = std::env::var_os("TEGATA_PASSPHRASE_FILE").map(Into::into).or(credential.filter(|path| path.exists()));
    let Some(file) = file else {
        anyhow::bail!(
            "no passphrase for the sealed keys: set TEGATA_PASSPHRASE_FILE to a file that holds it (or TEGATA_PASSPHRASE, \
             or give systemd's LoadCredential=tegata-passphrase:FILE)"
        );
    };
    let bytes = std::fs::read(&file).map_err(|source| CustodyError::File { path: file.clone(), source })?;
    Passphrase::new(bytes).with_context(|| file.display().to_string())
}

/// Who writes notices, and where their readers turn.
pub fn letterhead(checked: &Checked) -> Letterhead {
    let portal = &checked.config.portal;
    Letterhead {
        service: portal.service_name.clone(),
        operator: portal.operator_name.clone(),
        phone: portal.support_phone.clone(),
        hours: portal.support_hours.clone(),
        url: checked.config.server.url.clone(),
    }
}

/// Who sits at this shell, for the operation log: the name the environment gives, and the user id, which nobody can choose.
pub fn operator() -> Actor {
    let named = ["SUDO_USER", "USER", "LOGNAME"].iter().find_map(|name| std::env::var(name).ok()).unwrap_or_default();
    let name: String = named.chars().filter(|c| !c.is_control()).take(40).collect();
    Actor::Operator { name: format!("{name} (uid {})", user_id()).trim_start().to_owned() }
}

/// The user id of this process.
pub fn user_id() -> u32 {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").map_or(u32::MAX, |process| process.uid())
}
