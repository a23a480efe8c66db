//! The day a CA is born: root and issuing CA are made, their keys sealed, the register created with its first row. And opening it again at
//! each start.

use std::path::Path;

use tegata_core::access::Actor;
use tegata_core::audit::{Action, Entry, Outcome};
use tegata_core::id::{IssuerId, Serial};
use tegata_core::schedule::Validity;
use tegata_core::secret::{Entropy, Secret, random};
use tegata_core::time::{Clock, Days, Timestamp};
use tegata_pki::issue::{self, CaError, CaName, Urls};
use tegata_pki::issuer::IssuerCert;
use tegata_pki::pem;
use tegata_pki::signer::{Curve, Signer, SoftwareSigner};
use tegata_store::{NewIssuer, Store, StoreError};

use crate::custody::{self, CustodyError, Passphrase, Sealed, Vault};
use crate::issue::IssueError;
use crate::issue::IssuingCa;
use crate::rollover;

const ROOT_YEARS: i16 = 20;
pub(crate) const ISSUING_YEARS: i16 = 10;
/// CA certificates begin a day before their birth, so that no terminal's slow clock finds them in the future.
pub(crate) const CA_BACKDATE: Days = Days(-1);
pub(crate) const ROOT_FILE: &str = "root.pem";
pub(crate) const ISSUING_FILE: &str = "issuing.pem";

/// Why a CA could not be made or opened.
#[derive(Debug, thiserror::Error)]
pub enum CeremonyError {
    /// Keys on disk.
    #[error(transparent)]
    Custody(#[from] CustodyError),
    /// The register.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The certificates.
    #[error(transparent)]
    Ca(#[from] CaError),
    /// The root's list.
    #[error(transparent)]
    List(#[from] IssueError),
    /// A key.
    #[error(transparent)]
    Key(#[from] tegata_pki::signer::SignError),
    /// A CA certificate cannot be read.
    #[error("{file}: {reason}")]
    Certificate {
        /// The file.
        file: String,
        /// What is wrong.
        reason: String,
    },
    /// The sealed key is not the certificate's.
    #[error("the key in {0} does not belong to the CA certificate beside it")]
    KeyMismatch(&'static str),
    /// The machine's clock is before the CA's first second.
    #[error("the clock of this machine says {now}, but the CA is valid only from {not_before} on: set the clock")]
    ClockBeforeCa {
        /// What the clock says.
        now: Timestamp,
        /// The CA's first second.
        not_before: Timestamp,
    },
    /// The issuing CA is at its end.
    #[error("the issuing CA ended at {0}: a new one is needed")]
    Ended(Timestamp),
    /// The register does not know the issuing CA.
    #[error("the register does not know the issuing CA of {0}: database and key folder do not belong together")]
    UnknownIssuer(String),
}

/// Where a CA lives on disk.
pub struct Folders<'a> {
    /// Sealed keys.
    pub keys: &'a Path,
    /// CA certificates.
    pub certificates: &'a Path,
}

/// Makes a root (P-384, 20 years) and an issuing CA (P-256, 10 years) for `organization`, seals their keys and a vault key under the
/// passphrase, and writes the issuer and the first row of the operation log into an empty register.
pub async fn create(
    store: &Store,
    folders: Folders<'_>,
    organization: &str,
    pass: &Passphrase,
    clock: &dyn Clock,
    entropy: &dyn Entropy,
) -> Result<(), CeremonyError> {
    let now = clock.now();
    let (root_signer, root_pkcs8) = SoftwareSigner::generate(Curve::P384)?;
    let not_before = now.plus_days(CA_BACKDATE);
    let life = |years| Validity { not_before, not_after: now.plus_years_jst(years) };
    let serial = |validity: &Validity| Serial::build(validity.not_after, random(entropy));
    let year = now.jst_date().year();
    let name = |what: &str| CaName {
        country: "JP".into(),
        organization: organization.to_owned(),
        common_name: format!("Tegata {what} {year}"),
    };
    let (root_life, issuing_life) = (life(ROOT_YEARS), life(ISSUING_YEARS));
    let root = issue::root(&root_signer, &name("Root CA"), root_life, serial(&root_life))?;
    let issuing_name = name("Issuing CA");
    let (issuing, issuing_pkcs8) = issuing_under(&root, &root_signer, &issuing_name, issuing_life, entropy)?;
    let vault: [u8; 32] = random(entropy);
    custody::seal(folders.keys, Sealed::Root, root_pkcs8.expose(), pass, entropy)?;
    custody::seal(folders.keys, Sealed::Issuing, issuing_pkcs8.expose(), pass, entropy)?;
    custody::seal(folders.keys, Sealed::Vault, &vault, pass, entropy)?;
    write_certificate(&folders.certificates.join(ROOT_FILE), root.der())?;
    write_certificate(&folders.certificates.join(ISSUING_FILE), issuing.der())?;
    let der = issuing.der().to_vec();
    let issuer = NewIssuer {
        name: issuing_name.common_name,
        der,
        not_before,
        not_after: issuing_life.not_after,
        created_at: now,
    };
    let entry = Entry {
        at: now,
        actor: Actor::System { job: "init" },
        customer: None,
        terminal: None,
        serial: None,
        action: Action::AuthorityCreated,
        outcome: Outcome::Done,
        detail: format!("{organization}: {}", issuer.name),
    };
    let write = store.write(move |tx| {
        Box::pin(async move {
            tx.insert_issuer(&issuer).await?;
            tx.append_audit(&entry).await?;
            Ok::<_, StoreError>(())
        })
    });
    Ok(write.await?)
}

/// A new issuing CA (P-256) under a root, and its private key (PKCS#8).
pub(crate) fn issuing_under(
    root: &IssuerCert,
    root_signer: &dyn Signer,
    name: &CaName,
    life: Validity,
    entropy: &dyn Entropy,
) -> Result<(IssuerCert, Secret<Vec<u8>>), CeremonyError> {
    let (signer, pkcs8) = SoftwareSigner::generate(Curve::P256)?;
    let serial = Serial::build(life.not_after, random(entropy));
    let issuing = issue::issuing(root, root_signer, name, signer.public_key_der(), life, serial, &Urls::default())?;
    Ok((issuing, pkcs8))
}

/// Opens the CA of an existing deployment: unseals the issuing key and the vault key, and checks that key, certificate, register and clock
/// belong together. The root's key is not needed.
pub async fn open(
    store: &Store,
    folders: Folders<'_>,
    pass: &Passphrase,
    urls: Urls,
    clock: &dyn Clock,
) -> Result<(IssuingCa, Vault), CeremonyError> {
    rollover::settle(store, &folders, pass).await?;
    let root = read_file(&folders.certificates.join(ROOT_FILE))?;
    let cert = read_file(&folders.certificates.join(ISSUING_FILE))?;
    // Each takes Argon2id a while on purpose; side by side they take it once.
    let (issuing, vault) = std::thread::scope(|scope| {
        let vault = scope.spawn(|| custody::open(folders.keys, Sealed::Vault, pass));
        (custody::open(folders.keys, Sealed::Issuing, pass), vault.join())
    });
    let (issuing, vault) = (issuing?, vault.expect("opening a file does not panic")?);
    let signer = SoftwareSigner::from_pkcs8(issuing.expose())?;
    if !cert.is_signed_by(&root) {
        let reason = format!("it was not signed by the root in {ROOT_FILE}");
        return Err(CeremonyError::Certificate { file: ISSUING_FILE.into(), reason });
    }
    if signer.public_key_der() != cert.spki_der() {
        return Err(CeremonyError::KeyMismatch(Sealed::Issuing.file_name()));
    }
    let now = clock.now();
    let Validity { not_before, not_after } = cert.validity();
    if now < not_before {
        return Err(CeremonyError::ClockBeforeCa { now, not_before });
    }
    if now > not_after {
        return Err(CeremonyError::Ended(not_after));
    }
    let id = issuer_id(store, &cert).await?;
    let vault = Vault::new(Secret::new(vault.expose().clone()))
        .map_err(|_| CeremonyError::KeyMismatch(Sealed::Vault.file_name()))?;
    Ok((IssuingCa { id, cert, root, signer: Box::new(signer), urls }, vault))
}

async fn issuer_id(store: &Store, cert: &IssuerCert) -> Result<IssuerId, CeremonyError> {
    let scope = Actor::System { job: "open" }.scope();
    let known = store.reader().issuers(scope).await?;
    let row = known.into_iter().find(|row| row.der == cert.der());
    row.map(|row| row.id).ok_or_else(|| CeremonyError::UnknownIssuer(ISSUING_FILE.into()))
}

pub(crate) fn read_file(path: &Path) -> Result<IssuerCert, CeremonyError> {
    let text = std::fs::read_to_string(path).map_err(|source| CustodyError::File { path: path.to_owned(), source })?;
    let file = path.display().to_string();
    let found = pem::certificates(&text)
        .map_err(|e| CeremonyError::Certificate { file: file.clone(), reason: e.to_string() })?;
    read(&found[0], &file)
}

fn read(der: &[u8], file: &str) -> Result<IssuerCert, CeremonyError> {
    IssuerCert::from_der(der).map_err(|e| CeremonyError::Certificate { file: file.to_owned(), reason: e.to_string() })
}

pub(crate) fn write_certificate(path: &Path, der: &[u8]) -> Result<(), CustodyError> {
    custody::write_private(path, pem::certificate(der).as_bytes())
}
