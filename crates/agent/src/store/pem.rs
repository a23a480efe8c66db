//! PEM files for web servers, proxies, curl and the like. `FOLDER/current` is a link to the folder of one certificate, and moving it is one
//! rename: whoever opens `current/fullchain.pem` and `current/key.pem` by one opening of the folder gets a pair; whoever opens two paths takes
//! `current/combined.pem`, where both are in one file. On Windows `current` is a small file with the folder's name in it.

use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tegata_core::secret::Secret;
use tegata_pki::pem;

use super::{Entry, Store, StoreError, Surroundings};
use crate::credential::Credential;
use crate::files::{self, Owner};
use crate::settings::{PemSettings, mode_bits};

pub(super) struct Pem<'a>(pub &'a PemSettings);

const CURRENT: &str = "current";

impl Pem<'_> {
    /// Folders are called by their certificate's serial, which begins with its last day.
    fn folder(&self, credential: &Credential) -> PathBuf {
        self.0.folder.join(relative(credential))
    }

    fn write(&self, credential: &Credential) -> Result<(), StoreError> {
        let (mode, owner) = self.rights()?;
        files::make_folder_for(&self.0.folder, mode, owner)?;
        files::make_folder_for(&self.0.folder.join("gen"), mode, owner)?;
        let draft = self.0.folder.join("gen").join(".draft");
        files::remove_folder(&draft)?;
        files::make_folder_for(&draft, mode, owner)?;
        let leaf = pem::certificate(credential.leaf());
        let above: String = credential.chain()[1..].iter().map(|der| pem::certificate(der)).collect();
        let key = private_key(credential);
        let combined = Secret::new(format!("{}{leaf}{above}", key.expose()));
        let chain = format!("{above}{}", pem::certificate(credential.root()));
        for (name, text) in [
            ("key.pem", key.expose().as_str()),
            ("combined.pem", combined.expose()),
            ("cert.pem", &leaf),
            ("chain.pem", &chain),
            ("fullchain.pem", &format!("{leaf}{above}")),
        ] {
            files::write_with(&draft.join(name), text.as_bytes(), mode, owner)?;
        }
        let place = self.folder(credential);
        files::remove_folder(&place)?;
        Ok(files::rename(&draft, &place)?)
    }

    fn rights(&self) -> Result<(u32, Option<Owner>), StoreError> {
        let owner = self.0.owner.as_deref().map(Owner::parse).transpose()?;
        Ok((mode_bits(&self.0.mode).unwrap_or(0o600), owner))
    }

    fn current(&self) -> Result<Option<Vec<u8>>, StoreError> {
        self.leaf_in(&files::pointed(&self.0.folder.join(CURRENT))?)
    }

    fn leaf_in(&self, folder: &Path) -> Result<Option<Vec<u8>>, StoreError> {
        let text = files::read_text(&folder.join("combined.pem"))?;
        Ok(text.and_then(|text| pem::certificates(&text).ok()).and_then(|found| found.into_iter().next()))
    }
}

fn relative(credential: &Credential) -> PathBuf {
    Path::new("gen").join(credential.about().serial.to_string())
}

/// PKCS#8 as text (RFC 7468 section 10).
fn private_key(credential: &Credential) -> Secret<String> {
    let body = Secret::new(STANDARD.encode(credential.key().pkcs8().expose()));
    let mut text = String::with_capacity(body.expose().len() * 2);
    text.push_str("-----BEGIN PRIVATE KEY-----\n");
    let mut rest = body.expose().as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(64));
        text.push_str(line);
        text.push('\n');
        rest = after;
    }
    text.push_str("-----END PRIVATE KEY-----\n");
    Secret::new(text)
}

impl Store for Pem<'_> {
    fn install(&self, credential: &Credential, _: &Surroundings<'_>) -> Result<(), StoreError> {
        files::is_ours(&self.0.folder)?;
        if self.leaf_in(&self.folder(credential))?.as_deref() != Some(credential.leaf()) {
            self.write(credential)?;
        }
        Ok(files::point(&self.0.folder.join(CURRENT), &relative(credential))?)
    }

    fn holds(&self, credential: &Credential, _: &Surroundings<'_>) -> Result<bool, StoreError> {
        Ok(self.current()?.as_deref() == Some(credential.leaf()))
    }

    fn tidy(
        &self,
        current: &Credential,
        previous: Option<&Credential>,
        _: &Surroundings<'_>,
    ) -> Result<(), StoreError> {
        let folder = self.0.folder.join("gen");
        let keep: Vec<String> =
            std::iter::once(current).chain(previous).map(|kept| kept.about().serial.to_string()).collect();
        let entries = std::fs::read_dir(&folder).map_err(files::at(&folder, "read"))?;
        for entry in entries.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            // Only what is called like ours: somebody may keep notes there.
            let ours = name.len() == 32 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
            if ours && !keep.contains(&name) {
                files::remove_folder(&entry.path())?;
            }
        }
        Ok(())
    }

    fn list(&self, _: &Path) -> Result<Vec<Entry>, StoreError> {
        Ok(self.current()?.map(|der| Entry { der }).into_iter().collect())
    }
}
