//! The certificates of whoever runs the agent, `CurrentUser\My`: the only place where Chrome and Edge look on Windows. Key and certificate go in
//! by a bundle that exists in memory alone, under a random password; Windows then uses the key for its user and does not give it out again.
//! A certificate is named by all its octets, never by its subject, which all those of a terminal share. Nothing is ever put into `Root`.

use std::io;
use std::path::Path;

use schannel::cert_context::CertContext;
use schannel::cert_store::{CertAdd, CertStore, PfxImportOptions};
use tegata_core::secret::import_password;
use tegata_pki::pkcs12::Format;

use super::{Entry, Store, StoreError, Surroundings, p12};
use crate::credential::Credential;

pub(super) struct WindowsUser;

fn failed(doing: &'static str) -> impl FnOnce(io::Error) -> StoreError {
    move |source| StoreError::System(doing, source)
}

fn open(name: &str) -> Result<CertStore, StoreError> {
    CertStore::open_current_user(name).map_err(failed("open the user's store"))
}

/// Whether Windows has the private key, and it is this certificate's. Asks nobody: a key that wants a person's consent counts as none.
fn has_key(certificate: &CertContext) -> bool {
    certificate.private_key().compare_key(true).silent(true).acquire().is_ok()
}

fn named(store: &CertStore, leaf: &[u8]) -> Vec<CertContext> {
    store.certs().filter(|certificate| certificate.to_der() == leaf).collect()
}

fn holds(leaf: &[u8]) -> Result<bool, StoreError> {
    Ok(named(&open("My")?, leaf).iter().any(has_key))
}

/// Takes one certificate out, and the way to its key with it. The key's own file stays, as it does whenever a person deletes a certificate.
fn remove(leaf: &[u8]) -> Result<(), StoreError> {
    named(&open("My")?, leaf)
        .into_iter()
        .try_for_each(|certificate| certificate.delete().map_err(failed("delete a certificate")))
}

impl Store for WindowsUser {
    fn install(&self, credential: &Credential, around: &Surroundings<'_>) -> Result<(), StoreError> {
        if holds(credential.leaf())? {
            return Ok(());
        }
        // Every Windows opens 互換 (compat); 標準 needs Windows 10 of 2017. It lives for a moment, and only in memory.
        let password = import_password(around.entropy);
        let bundle = p12::seal(credential, password.expose(), Format::Compat, around)?;
        let mut options = PfxImportOptions::new();
        let opened =
            options.password(password.expose()).import(bundle.expose()).map_err(failed("import the bundle"))?;
        let add = |store: &str, der: &[u8], how: CertAdd| -> Result<(), StoreError> {
            let certificate = named(&opened, der).into_iter().next();
            let certificate = certificate.ok_or_else(|| StoreError::NotThere("the imported bundle".into()))?;
            open(store)?.add_cert(&certificate, how).map(drop).map_err(failed("add a certificate"))
        };
        // Whoever shows the certificate sends the CA above it along, where Windows finds it.
        for issuer in &credential.chain()[1..] {
            add("CA", issuer, CertAdd::UseExisting)?;
        }
        add("My", credential.leaf(), CertAdd::ReplaceExisting)
    }

    fn holds(&self, credential: &Credential, _: &Surroundings<'_>) -> Result<bool, StoreError> {
        holds(credential.leaf())
    }

    /// The one before goes: two that look alike in a chooser are one too many.
    fn tidy(
        &self,
        current: &Credential,
        previous: Option<&Credential>,
        _: &Surroundings<'_>,
    ) -> Result<(), StoreError> {
        let Some(previous) = previous.filter(|previous| previous.leaf() != current.leaf()) else { return Ok(()) };
        if !holds(current.leaf())? {
            return Err(StoreError::NotThere(r"CurrentUser\My".into()));
        }
        remove(previous.leaf())
    }

    fn list(&self, _: &Path) -> Result<Vec<Entry>, StoreError> {
        let store = open("My")?;
        let found = store.certs().filter(has_key).map(|certificate| Entry { der: certificate.to_der().to_vec() });
        Ok(found.collect())
    }
}
