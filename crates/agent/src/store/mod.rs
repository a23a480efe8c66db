//! The places that certificates are put to, behind one trait. A store never decides whether a certificate is good: that was proven by a
//! handshake before it gets one.

mod exec;
pub mod nss;
mod p12;
mod pem;
#[cfg(windows)]
mod windows;

use std::path::PathBuf;

use tegata_core::secret::Entropy;
use tegata_core::time::Timestamp;
use tegata_pki::pkcs12;

use crate::credential::Credential;
use crate::files::FileError;
use crate::process::ProcessError;
use crate::settings::StoreSettings;

/// What a store needs from around it.
#[derive(Clone, Copy)]
pub struct Surroundings<'a> {
    /// For passwords and salts.
    pub entropy: &'a dyn Entropy,
    /// A private folder for files that live for a moment.
    pub scratch: &'a std::path::Path,
    /// The folder of the generation, with the key and the chain.
    pub generation: &'a std::path::Path,
}

/// Why a store did not do what it should.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A file.
    #[error(transparent)]
    File(#[from] FileError),
    /// A program, its own or one of the system's.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// A bundle could not be written.
    #[error(transparent)]
    Seal(#[from] pkcs12::SealError),
    /// The password file is there, and empty.
    #[error("{}: the first line must be the password", .0.display())]
    Password(PathBuf),
    /// There is no database yet.
    #[error("{}: no database of NSS is there; make one with: certutil -N -d sql:{} --empty-password", .0.display(), .0.display())]
    Database(PathBuf),
    /// A store of another system.
    #[error("the store {0} is there on Windows only")]
    OtherSystem(&'static str),
    /// The store of the system's own.
    #[error("Windows' certificates: cannot {0}: {1}")]
    System(&'static str, std::io::Error),
    /// What was put in does not come out.
    #[error("{0}: what was put in cannot be read back")]
    NotThere(String),
}

/// A certificate that lies in a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The certificate (DER).
    pub der: Vec<u8>,
}

/// A place that certificates are put to.
pub trait Store {
    /// Puts a certificate and its key in, so that whoever uses the store sees either all of the old or all of the new one. Doing it again
    /// changes nothing.
    fn install(&self, credential: &Credential, around: &Surroundings<'_>) -> Result<(), StoreError>;

    /// Whether the store gives this certificate to whoever uses it.
    fn holds(&self, credential: &Credential, around: &Surroundings<'_>) -> Result<bool, StoreError>;

    /// Takes out what is not needed any more: everything of ours but the current certificate, and the one before where that does no harm.
    fn tidy(
        &self,
        current: &Credential,
        previous: Option<&Credential>,
        around: &Surroundings<'_>,
    ) -> Result<(), StoreError>;

    /// The certificates with a key that lie there. Those of others too, where the store cannot tell.
    fn list(&self, scratch: &std::path::Path) -> Result<Vec<Entry>, StoreError>;
}

/// The store that settings describe.
pub fn open<'a>(settings: &'a StoreSettings) -> Result<Box<dyn Store + 'a>, StoreError> {
    Ok(match settings {
        StoreSettings::Pem(pem) => Box::new(pem::Pem(pem)),
        StoreSettings::P12(p12) => Box::new(p12::P12(p12)),
        StoreSettings::Nss(nss) => Box::new(nss::Nss(nss)),
        StoreSettings::Exec(exec) => Box::new(exec::Exec(exec)),
        #[cfg(windows)]
        StoreSettings::WindowsUser(_) => Box::new(windows::WindowsUser),
        #[cfg(not(windows))]
        StoreSettings::WindowsUser(_) => return Err(StoreError::OtherSystem("windows-user")),
    })
}

/// Puts a certificate in and reads it back; where that does not succeed, the one before is put back.
pub fn replace(
    store: &dyn Store,
    name: &str,
    new: &Credential,
    old: Option<(&Credential, &std::path::Path)>,
    around: &Surroundings<'_>,
) -> Result<(), StoreError> {
    let put = store.install(new, around).and_then(|()| match store.holds(new, around)? {
        true => Ok(()),
        false => Err(StoreError::NotThere(name.to_owned())),
    });
    if let (Err(_), Some((old, generation))) = (&put, old) {
        // The first error is the one to report; the next run tries everything again.
        drop(store.install(old, &Surroundings { generation, ..*around }));
    }
    put
}

/// The instant in whole days of Japan, for people.
pub fn day(at: Timestamp) -> String {
    at.jst_date().to_string()
}
