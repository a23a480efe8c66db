//! The certificates that an agent keeps: its identity, and one for each store; or one for everything. Where each lies, and what of it waits
//! to be sent: the key and the request are on disk before the first octet leaves, so that a lost answer is only asked for again.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tegata_core::invitation::Code;
use tegata_core::profile::{KeyKind, Purpose};
use tegata_core::secret::Secret;
use tegata_core::time::Timestamp;
use tegata_pki::csr;
use tegata_pki::key::LeafKey;

use crate::credential::{Credential, Generations};
use crate::files::{self, FileError};
use crate::setback::{Remedy, Setback};
use crate::settings::{Settings, StoreSettings};

/// The name of the agent's own identity.
pub const IDENTITY: &str = "identity";
/// The server gives the same answer to the same key for a day; a request that is older gets a new key.
const SAME_KEY_SECONDS: i64 = 86_400;

/// One certificate that is kept.
pub struct Slot<'a> {
    /// `identity`, or the store's name.
    pub name: &'a str,
    /// What its certificates are for.
    pub purpose: Purpose,
    /// Which kind of key.
    pub key: KeyKind,
    /// Where it is put to.
    pub stores: Vec<(&'a str, &'a StoreSettings)>,
    /// Its generations.
    pub generations: Generations,
    pending: PathBuf,
}

/// All the certificates of an agent, its identity first.
pub fn slots<'a>(settings: &'a Settings, root: &Path) -> Vec<Slot<'a>> {
    let all: Vec<(&str, &StoreSettings)> = settings.stores.iter().map(|(name, store)| (name.as_str(), store)).collect();
    let slot = |name: &'a str, folder: PathBuf, purpose, key, stores| {
        let pending = root.join("pending").join(name);
        Slot { name, purpose, key, stores, generations: Generations::at(folder), pending }
    };
    let identity = root.join(IDENTITY);
    if settings.single {
        // One that any of the stores can only use with RSA is RSA.
        let kinds = all.iter().map(|(_, store)| store.key());
        let key = kinds.max_by_key(|kind| *kind != KeyKind::P256).unwrap_or(KeyKind::P256);
        return vec![slot(IDENTITY, identity, Purpose::Client, key, all)];
    }
    let published = all.into_iter().map(|(name, store)| {
        slot(name, root.join("stores").join(name), Purpose::Client, store.key(), vec![(name, store)])
    });
    std::iter::once(slot(IDENTITY, identity, Purpose::Agent, KeyKind::P256, Vec::new())).chain(published).collect()
}

/// A key and its request, written down before they are sent.
pub struct Pending {
    /// The key.
    pub key: LeafKey,
    /// The request (PKCS#10).
    pub request: Vec<u8>,
    /// The code that it is sent with, where there is one.
    pub code: Option<Code>,
    created_at: Timestamp,
}

#[derive(Serialize, Deserialize)]
struct About {
    created_at: Timestamp,
}

impl Slot<'_> {
    /// What waits to be sent, if anything does that is still of use.
    pub fn pending(&self, now: Timestamp) -> Result<Option<Pending>, FileError> {
        let file = |name: &str| files::read(&self.pending.join(name));
        let (Some(key), Some(request), Some(about)) = (file("key.pk8")?, file("request.der")?, file("about.json")?)
        else {
            return Ok(None);
        };
        let code = files::read_text(&self.pending.join("code"))?.and_then(|text| Code::parse(text.trim()).ok());
        let (Ok(key), Ok(about)) = (LeafKey::from_pkcs8(&key), serde_json::from_slice::<About>(&about)) else {
            return Ok(None);
        };
        let pending = Pending { key, request, code, created_at: about.created_at };
        let age = now.0 - pending.created_at.0;
        let useful = pending.code.is_some() || (0..SAME_KEY_SECONDS).contains(&age) && pending.key.kind() == self.key;
        Ok(useful.then_some(pending))
    }

    /// Makes a key and a request for the names of `like`, and writes them down.
    pub fn prepare(&self, like: Option<&Credential>, code: Option<&Code>, now: Timestamp) -> Result<Pending, Setback> {
        let broken = |error: &dyn std::fmt::Display| Setback::new("key", error.to_string(), Remedy::Local);
        let key = LeafKey::generate(self.key).map_err(|error| broken(&error))?;
        let names = like.and_then(|like| Some((like, like.terminal().san_uri(self.purpose)?)));
        let request = match names {
            Some((like, uri)) => csr::build_for(&key, like.leaf(), &uri),
            None => csr::build(&key, "tegata-agent"),
        };
        let request = request.map_err(|error| broken(&error))?;
        let draft = self.pending.with_extension("draft");
        files::remove_folder(&draft)?;
        files::make_folder(&draft)?;
        files::write(&draft.join("key.pk8"), key.pkcs8().expose())?;
        files::write(&draft.join("request.der"), &request)?;
        let about = serde_json::to_vec(&About { created_at: now }).map_err(|error| broken(&error))?;
        files::write(&draft.join("about.json"), &about)?;
        if let Some(code) = code {
            let spoken: Secret<String> = code.spoken();
            files::write(&draft.join("code"), spoken.expose().as_bytes())?;
        }
        files::remove_folder(&self.pending)?;
        files::rename(&draft, &self.pending)?;
        Ok(Pending { key, request, code: code.cloned(), created_at: now })
    }

    /// Forgets what waits.
    pub fn forget_pending(&self) -> Result<(), FileError> {
        files::remove_folder(&self.pending)
    }
}
