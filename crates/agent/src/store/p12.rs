//! One PKCS#12 file at a fixed path, for Java and other programs that want it so. Its password is made once and stays, so that replacing the
//! bundle is one rename.

use std::path::{Path, PathBuf};

use tegata_core::secret::{Secret, import_password};
use tegata_pki::pkcs12::{self, Contents, Format};

use super::{Entry, Store, StoreError, Surroundings};
use crate::credential::Credential;
use crate::files::{self, Owner};
use crate::settings::{P12Format, P12Settings, mode_bits};

pub(super) struct P12<'a>(pub &'a P12Settings);

impl P12<'_> {
    fn password_file(&self) -> PathBuf {
        self.0.password_file.clone().unwrap_or_else(|| {
            let mut name = self.0.file.clone().into_os_string();
            name.push(".password");
            name.into()
        })
    }

    fn password(&self) -> Result<Option<Secret<String>>, StoreError> {
        let path = self.password_file();
        let Some(text) = files::read_text(&path)?.map(Secret::new) else { return Ok(None) };
        match text.expose().lines().next().map(str::trim_end).filter(|line| !line.is_empty()) {
            Some(line) => Ok(Some(Secret::new(line.to_owned()))),
            None => Err(StoreError::Password(path)),
        }
    }

    fn leaf(&self) -> Result<Option<Vec<u8>>, StoreError> {
        let (Some(bundle), Some(password)) = (files::read(&self.0.file)?, self.password()?) else { return Ok(None) };
        Ok(pkcs12::open(&bundle, password.expose()).ok().map(|opened| opened.leaf))
    }
}

/// Writes a bundle of everything.
pub(super) fn seal(
    credential: &Credential,
    password: &str,
    format: Format,
    around: &Surroundings<'_>,
) -> Result<Secret<Vec<u8>>, StoreError> {
    let issuers = credential.chain()[1..].iter().map(Vec::as_slice);
    let chain: Vec<&[u8]> = issuers.chain([credential.root()]).collect();
    let name = credential.friendly_name();
    let contents = Contents { key: credential.key(), leaf: credential.leaf(), chain: &chain, friendly_name: &name };
    Ok(pkcs12::seal(&contents, password, format, around.entropy)?)
}

impl Store for P12<'_> {
    fn install(&self, credential: &Credential, around: &Surroundings<'_>) -> Result<(), StoreError> {
        if self.holds(credential, around)? {
            return Ok(());
        }
        let owner = self.0.owner.as_deref().map(Owner::parse).transpose()?;
        let mode = mode_bits(&self.0.mode).unwrap_or(0o600);
        for folder in [self.0.file.parent(), self.password_file().parent()].into_iter().flatten() {
            files::make_folder_for(folder, mode, owner)?;
        }
        let password = match self.password()? {
            Some(password) => password,
            None => {
                let password = import_password(around.entropy);
                let line = Secret::new(format!("{}\n", password.expose()));
                files::write_with(&self.password_file(), line.expose().as_bytes(), mode, owner)?;
                password
            }
        };
        let format = match self.0.format {
            P12Format::Standard => Format::Standard,
            P12Format::Compat => Format::Compat,
        };
        let bundle = seal(credential, password.expose(), format, around)?;
        Ok(files::write_with(&self.0.file, bundle.expose(), mode, owner)?)
    }

    fn holds(&self, credential: &Credential, _: &Surroundings<'_>) -> Result<bool, StoreError> {
        Ok(self.leaf()?.as_deref() == Some(credential.leaf()))
    }

    /// One file holds one certificate: nothing is left over.
    fn tidy(&self, _: &Credential, _: Option<&Credential>, _: &Surroundings<'_>) -> Result<(), StoreError> {
        Ok(())
    }

    fn list(&self, _: &Path) -> Result<Vec<Entry>, StoreError> {
        Ok(self.leaf()?.map(|der| Entry { der }).into_iter().collect())
    }
}
