//! Handing a bundle over: the .p12 and its password, as often as needed while it waits. Each hand-over is a durable row of the operation
//! log before a byte leaves; the file is opened again and checked before that.

use tegata_core::access::Actor;
use tegata_core::audit::Action;
use tegata_core::cert::CertRecord;
use tegata_core::id::{Fingerprint, IssuerId, TerminalId};
use tegata_core::secret::Secret;
use tegata_core::terminal::Terminal;
use tegata_pki::key::LeafKey;
use tegata_pki::pkcs12::{self, Contents, Format};
use tegata_store::{BundleRow, StoreError};

use crate::custody::VaultError;
use crate::{Authority, AuthorityError, Session, about};

/// A .p12 as it is downloaded.
pub struct BundleFile {
    /// How it is called.
    pub file_name: String,
    /// Its bytes.
    pub bytes: Secret<Vec<u8>>,
}

/// Why nothing was handed over.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// Nothing waits for this terminal: never issued, or its time is over.
    #[error("no bundle waits for this terminal")]
    None,
    /// Fetched as often as this way of fetching it permits.
    #[error("the file was fetched too often")]
    TooOften,
    /// Something inside.
    #[error(transparent)]
    Internal(#[from] AuthorityError),
}

impl From<StoreError> for BundleError {
    fn from(error: StoreError) -> Self {
        Self::Internal(error.into())
    }
}

/// The row that a sealed key belongs to.
pub(crate) fn key_context(fingerprint: &Fingerprint) -> String {
    format!("bundle-key/{fingerprint}")
}

/// The row that a sealed password belongs to.
pub(crate) fn password_context(fingerprint: &Fingerprint) -> String {
    format!("bundle-password/{fingerprint}")
}

impl Authority {
    /// The .p12 of the waiting bundle, in the format that was chosen.
    pub async fn take_bundle(&self, session: &Session, format: Format) -> Result<BundleFile, BundleError> {
        let row = self.waiting_row(&session.actor, session.terminal).await?;
        self.take_row(&session.actor, row, format, None).await
    }

    /// The .p12 of a bundle. With `most`, only while its file was fetched fewer times than that.
    pub(crate) async fn take_row(
        &self,
        actor: &Actor,
        row: BundleRow,
        format: Format,
        most: Option<u32>,
    ) -> Result<BundleFile, BundleError> {
        let scope = actor.scope();
        let place = (row.certificate.customer, row.certificate.terminal);
        let terminal = self.0.reader.terminal(scope, place.1).await?.ok_or(AuthorityError::Missing("terminal"))?;
        let customer = self.0.reader.customer(scope, place.0).await?.ok_or(AuthorityError::Missing("customer"))?;
        let leaf = self
            .0
            .reader
            .certificate_der(scope, row.certificate.id)
            .await?
            .ok_or(AuthorityError::Missing("certificate"))?;
        let (key, password) = self.open_row(&row)?;
        let bytes = self.seal_file(&terminal, &row.certificate, leaf, key, password, format).await?;
        let word = if format == Format::Standard { "standard" } else { "compatible" };
        let entry = about(self.entry(actor, place, Action::BundleDownloaded, word), row.certificate.serial);
        let id = row.certificate.id;
        let write = self.0.store.write(move |tx| {
            Box::pin(async move {
                // Counted where one writes at a time: two that ask at once cannot both be the last one.
                let now = tx.open_bundle(place.1, entry.at).await?.filter(|row| row.certificate.id == id);
                let now = now.ok_or(BundleError::None)?;
                if most.is_some_and(|most| now.downloads >= most) {
                    return Err(BundleError::TooOften);
                }
                tx.mark_downloaded(id, entry.at).await?;
                tx.append_audit(&entry).await?;
                Ok(())
            })
        });
        write.await?;
        Ok(BundleFile { file_name: self.0.rules.file_name.file_name(&customer.code, &terminal), bytes })
    }

    /// The password of the waiting bundle.
    pub async fn reveal_password(&self, session: &Session) -> Result<Secret<String>, BundleError> {
        let row = self.waiting_row(&session.actor, session.terminal).await?;
        self.reveal_row(&session.actor, &row).await
    }

    /// The password of a bundle.
    pub(crate) async fn reveal_row(&self, actor: &Actor, row: &BundleRow) -> Result<Secret<String>, BundleError> {
        let (_, password) = self.open_row(row)?;
        let place = (row.certificate.customer, row.certificate.terminal);
        let entry = self.entry(actor, place, Action::PasswordRevealed, "");
        let entry = about(entry, row.certificate.serial);
        let id = row.certificate.id;
        let write = self.0.store.write(move |tx| {
            Box::pin(async move {
                tx.mark_revealed(id).await?;
                tx.append_audit(&entry).await?;
                Ok::<_, StoreError>(())
            })
        });
        write.await?;
        Ok(password)
    }

    /// The bundle that waits for a terminal. One with which it moves is for the PC where the code was typed, and never for the old one, which
    /// would take the move for its own renewal.
    pub(crate) async fn waiting_row(&self, actor: &Actor, terminal: TerminalId) -> Result<BundleRow, BundleError> {
        let row = self.0.reader.open_bundle(actor.scope(), terminal, self.now()).await?;
        let is_here = |row: &BundleRow| !row.moves || matches!(actor, Actor::Recovered { .. });
        row.filter(is_here).ok_or(BundleError::None)
    }

    /// Makes the file of a hand-over by the operator.
    pub async fn handover_file(
        &self,
        terminal: &Terminal,
        handover: &crate::Handover,
        format: Format,
    ) -> Result<Secret<Vec<u8>>, AuthorityError> {
        let key = LeafKey::from_pkcs8(handover.key.pkcs8().expose())?;
        self.seal_file(terminal, &handover.certificate, handover.leaf.clone(), key, handover.password.clone(), format)
            .await
    }

    /// The certificate of the CA that signed; another than the one that signs now where a bundle waited across a roll-over.
    pub(crate) async fn issuer_der(&self, issuer: IssuerId) -> Result<Vec<u8>, AuthorityError> {
        if issuer == self.0.ca.id {
            return Ok(self.0.ca.cert.der().to_vec());
        }
        let issuers = self.0.reader.issuers(Actor::System { job: "bundle" }.scope()).await?;
        let found = issuers.into_iter().find(|row| row.id == issuer);
        found.map(|row| row.der).ok_or(AuthorityError::Missing("issuer"))
    }

    /// Builds the .p12 off the async threads, opens it again with its password and compares what is inside.
    async fn seal_file(
        &self,
        terminal: &Terminal,
        certificate: &CertRecord,
        leaf: Vec<u8>,
        key: LeafKey,
        password: Secret<String>,
        format: Format,
    ) -> Result<Secret<Vec<u8>>, AuthorityError> {
        let friendly_name = format!("{} {}", terminal.name, certificate.not_after.jst_date());
        // Without the root: Windows stops an import with a security warning when a file brings one, and who connects needs none.
        let chain = [self.issuer_der(certificate.issuer).await?];
        let entropy = self.0.entropy.clone();
        let work = move || {
            let chain: Vec<&[u8]> = chain.iter().map(Vec::as_slice).collect();
            let contents = Contents { key: &key, leaf: &leaf, chain: &chain, friendly_name: &friendly_name };
            let file = pkcs12::seal(&contents, password.expose(), format, &*entropy)?;
            let opened = pkcs12::open(file.expose(), password.expose())?;
            if opened.leaf != leaf { Err(AuthorityError::WrongContent) } else { Ok(file) }
        };
        let _turn = self.0.sealing.acquire().await.expect("the semaphore is never closed");
        tokio::task::spawn_blocking(work).await.map_err(|_| AuthorityError::Missing("file"))?
    }

    /// Opens the sealed values of a bundle.
    pub(crate) fn open_row(&self, row: &BundleRow) -> Result<(LeafKey, Secret<String>), AuthorityError> {
        let fingerprint = &row.certificate.fingerprint;
        let key = self.0.vault.open(&key_context(fingerprint), &row.sealed_key)?;
        let password = self.0.vault.open(&password_context(fingerprint), &row.sealed_password)?;
        let password = String::from_utf8(password.expose().clone()).map_err(|_| VaultError)?;
        Ok((LeafKey::from_pkcs8(key.expose())?, Secret::new(password)))
    }

    /// Forgets the key and password of a bundle, with the reason in the log.
    pub(crate) async fn erase(&self, actor: &Actor, certificate: &CertRecord, reason: &str) -> Result<(), StoreError> {
        let place = (certificate.customer, certificate.terminal);
        let entry = about(self.entry(actor, place, Action::BundleErased, reason), certificate.serial);
        let id = certificate.id;
        let write = self.0.store.write(move |tx| {
            Box::pin(async move {
                if tx.erase_bundle(id, entry.at).await? {
                    tx.append_audit(&entry).await?;
                }
                Ok::<_, StoreError>(())
            })
        });
        write.await
    }
}
