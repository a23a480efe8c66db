//! Databases of NSS: Chrome's and Firefox's on Linux, by way of `pk12util` and `certutil`. All certificates of a terminal share one nickname
//! there, so nothing is ever taken out by it: a certificate is named by the identifier of its key in a PKCS#11 URI (RFC 7512), which no other
//! has, since no key is certified twice. Old ones must go: Firefox's "select automatically" takes whichever was imported first.

use std::path::{Path, PathBuf};
use std::process::Command;

use aws_lc_rs::digest;
use tegata_core::secret::import_password;
use tegata_pki::pem;
use tegata_pki::pkcs12::Format;

use super::{Entry, Store, StoreError, Surroundings, p12};
use crate::credential::Credential;
use crate::files;
use crate::process::{self, ProcessError};
use crate::settings::NssSettings;

pub(super) struct Nss<'a>(pub &'a NssSettings);

/// A database on a slow disk, locked by a browser for a while.
const SECONDS: u32 = 60;

impl Nss<'_> {
    fn command(&self, program: &str) -> Result<Command, StoreError> {
        if !self.0.database.join("cert9.db").exists() {
            return Err(StoreError::Database(self.0.database.clone()));
        }
        let mut command = Command::new(program);
        let mut database = std::ffi::OsString::from("sql:");
        database.push(&self.0.database);
        command.arg("-d").arg(database);
        Ok(command)
    }

    fn certutil(&self, arguments: &[&str], scratch: &Path) -> Result<String, StoreError> {
        let mut command = self.command("certutil")?;
        command.args(arguments);
        if let Some(file) = &self.0.password_file {
            command.arg("-f").arg(file);
        }
        Ok(process::run(&mut command, SECONDS, scratch)?)
    }

    /// The certificate that a nickname or a URI names, and all others of its subject: so the program has it. None is no error: it says
    /// "could not find".
    fn named(&self, name: &str, scratch: &Path) -> Result<Vec<Vec<u8>>, StoreError> {
        match self.certutil(&["-L", "-a", "-n", name], scratch) {
            Ok(text) => Ok(pem::certificates(&text).unwrap_or_default()),
            Err(StoreError::Process(ProcessError::Failed { .. })) => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    fn has(&self, credential: &Credential, scratch: &Path) -> Result<bool, StoreError> {
        Ok(self.named(&uri(&key_id(credential)), scratch)?.iter().any(|der| der == credential.leaf()))
    }

    /// Takes one certificate out with its key.
    fn remove(&self, credential: &Credential, scratch: &Path) -> Result<(), StoreError> {
        if !self.has(credential, scratch)? {
            return Ok(());
        }
        let id = key_id(credential);
        self.certutil(&["-D", "-n", &uri(&id)], scratch)?;
        let hex: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
        self.certutil(&["-F", "-k", &hex], scratch)?;
        Ok(())
    }
}

/// CKA_ID, as NSS makes it for imported keys: SHA-1 of the point, or of the modulus.
fn key_id(credential: &Credential) -> Vec<u8> {
    let public = credential.key().public_key();
    let spki = public.spki_der();
    // The tail of a SubjectPublicKeyInfo of a kind that `PublicKey` knows: a point of 65 octets, or a modulus before the exponent 65537.
    let bits = match public.kind() {
        tegata_core::profile::KeyKind::P256 => &spki[spki.len() - 65..],
        tegata_core::profile::KeyKind::Rsa2048 => &spki[spki.len() - 5 - 256..spki.len() - 5],
        tegata_core::profile::KeyKind::Rsa3072 => &spki[spki.len() - 5 - 384..spki.len() - 5],
    };
    digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, bits).as_ref().to_vec()
}

fn uri(id: &[u8]) -> String {
    let escaped: String = id.iter().map(|byte| format!("%{byte:02x}")).collect();
    format!("pkcs11:id={escaped};type=cert")
}

impl Store for Nss<'_> {
    fn install(&self, credential: &Credential, around: &Surroundings<'_>) -> Result<(), StoreError> {
        crate::files::is_ours(&self.0.database)?;
        if self.holds(credential, around)? {
            return Ok(());
        }
        // Both live for a moment in our private folder; a password on the command line would be seen by everybody.
        let password = import_password(around.entropy);
        let (bundle, secret) = (around.scratch.join("import.p12"), around.scratch.join("import.password"));
        let sealed = p12::seal(credential, password.expose(), Format::Standard, around)?;
        let import = || -> Result<String, StoreError> {
            files::write(&bundle, sealed.expose())?;
            files::write(&secret, password.expose().as_bytes())?;
            let mut command = self.command("pk12util")?;
            command.arg("-i").arg(&bundle).arg("-w").arg(&secret);
            if let Some(file) = &self.0.password_file {
                command.arg("-k").arg(file);
            }
            Ok(process::run(&mut command, SECONDS, around.scratch)?)
        };
        let imported = import();
        files::remove(&bundle)?;
        files::remove(&secret)?;
        imported.map(|_| ())
    }

    fn holds(&self, credential: &Credential, around: &Surroundings<'_>) -> Result<bool, StoreError> {
        self.has(credential, around.scratch)
    }

    fn tidy(
        &self,
        current: &Credential,
        previous: Option<&Credential>,
        around: &Surroundings<'_>,
    ) -> Result<(), StoreError> {
        let other_key = |old: &&Credential| old.key().public_key() != current.key().public_key();
        let Some(previous) = previous.filter(other_key) else { return Ok(()) };
        self.remove(previous, around.scratch)?;
        // The right one is still there: that is what all this is for.
        if self.has(current, around.scratch)? {
            Ok(())
        } else {
            Err(StoreError::NotThere(self.0.database.display().to_string()))
        }
    }

    fn list(&self, scratch: &Path) -> Result<Vec<Entry>, StoreError> {
        let listing = self.certutil(&["-L"], scratch)?;
        let mut found: Vec<Vec<u8>> = Vec::new();
        for line in listing.lines() {
            // The trust flags stand at the end; `u` is there where the key is.
            let Some((name, flags)) = line.trim_end().rsplit_once(' ') else { continue };
            if flags.contains('u') && flags.matches(',').count() == 2 {
                found.extend(self.named(name.trim_end(), scratch)?);
            }
        }
        found.sort();
        found.dedup();
        Ok(found.into_iter().map(|der| Entry { der }).collect())
    }
}

/// Where the browsers of a home folder keep their certificates: Chrome's two places, and each profile of Firefox's.
pub fn databases(home: &Path) -> Vec<PathBuf> {
    let mut found = vec![home.join(".pki/nssdb"), home.join(".local/share/pki/nssdb")];
    for profiles in [home.join(".mozilla/firefox"), home.join(".config/mozilla/firefox")] {
        if let Ok(entries) = std::fs::read_dir(profiles) {
            found.extend(entries.flatten().map(|entry| entry.path()));
        }
    }
    found.retain(|folder| folder.join("cert9.db").exists());
    found.sort();
    found
}
