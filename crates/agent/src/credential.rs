//! A key with its certificate and the CA above it, and the folders in which generations of them lie: each written whole before it gets its
//! number, one small file saying which is current.

use std::path::PathBuf;

use rustls_pki_types::CertificateDer;
use tegata_core::id::TerminalId;
use tegata_core::peer::PeerCert;
use tegata_core::renewal::{self, Standing};
use tegata_core::schedule::Validity;
use tegata_core::time::{Days, Timestamp};
use tegata_pki::key::LeafKey;
use tegata_pki::pem;

use crate::files::{self, FileError};
use crate::trust::{Trust, TrustError};

/// A certificate with its key.
pub struct Credential {
    key: LeafKey,
    /// The leaf, then what leads towards the root.
    chain: Vec<Vec<u8>>,
    about: PeerCert,
    /// The key identifier of the CA that signed it.
    issuer: Vec<u8>,
    /// The root above that CA.
    root: Vec<u8>,
}

impl Credential {
    /// Puts a key and its certificate together. Refuses what is not the key's, and what no CA that we trust signed for a terminal.
    pub fn new(key: LeafKey, leaf: Vec<u8>, trust: &Trust) -> Result<Self, TrustError> {
        if !belongs(&key, &leaf) {
            return Err(TrustError::OtherKey);
        }
        let (about, issuer, root) = trust.recognise(&leaf)?;
        let chain = vec![leaf, issuer.der().to_vec()];
        Ok(Self { key, chain, about, issuer: issuer.key_identifier().to_vec(), root: root.to_vec() })
    }

    /// The key.
    pub fn key(&self) -> &LeafKey {
        &self.key
    }

    /// The certificate, then the CA that signed it.
    pub fn chain(&self) -> &[Vec<u8>] {
        &self.chain
    }

    /// The certificate.
    pub fn leaf(&self) -> &[u8] {
        &self.chain[0]
    }

    /// What the certificate says.
    pub fn about(&self) -> &PeerCert {
        &self.about
    }

    /// From when to when.
    pub fn validity(&self) -> Validity {
        Validity { not_before: self.about.not_before, not_after: self.about.not_after }
    }

    /// Whether it can be shown at this instant.
    pub fn is_valid(&self, now: Timestamp) -> bool {
        let standing = renewal::standing(false, self.about.not_before, self.about.not_after, Days(0), now);
        matches!(standing, Standing::Fresh { .. } | Standing::Due { .. })
    }

    /// Whose it is.
    pub fn terminal(&self) -> TerminalId {
        self.about.terminal
    }

    /// The key identifier of the CA that signed it.
    pub fn issuer(&self) -> &[u8] {
        &self.issuer
    }

    /// The root above that CA. Never sent in a handshake; bundles hold it.
    pub fn root(&self) -> &[u8] {
        &self.root
    }

    /// What key stores show for it: the last day tells two generations apart.
    pub fn friendly_name(&self) -> String {
        format!("Tegata {}", self.about.not_after.jst_date())
    }
}

/// Whether a certificate is over this key.
pub fn belongs(key: &LeafKey, leaf: &[u8]) -> bool {
    let leaf = CertificateDer::from(leaf);
    webpki::EndEntityCert::try_from(&leaf)
        .is_ok_and(|cert| cert.subject_public_key_info().as_ref() == key.public_key().spki_der())
}

const KEY: &str = "key.pk8";
const CHAIN: &str = "chain.pem";
const CURRENT: &str = "current";
/// How many generations stay: the current one and the one before.
const KEPT: u32 = 2;

/// The generations of one certificate: `FOLDER/gen/0007/{key.pk8,chain.pem}` and `FOLDER/current`, which says `7`.
#[derive(Clone, Debug)]
pub struct Generations {
    folder: PathBuf,
}

impl Generations {
    /// In this folder, which need not exist.
    pub fn at(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// The folder of a generation.
    pub fn path(&self, generation: u32) -> PathBuf {
        self.folder.join("gen").join(format!("{generation:04}"))
    }

    /// Which one is current; 0 for none.
    pub fn current(&self) -> Result<u32, FileError> {
        let text = files::read_text(&self.folder.join(CURRENT))?;
        Ok(text.and_then(|text| text.trim().parse().ok()).unwrap_or(0))
    }

    /// A generation that was fetched and is not current yet: the newest above the current one; 0 for none.
    pub fn candidate(&self) -> Result<u32, FileError> {
        let newest = self.numbers()?.into_iter().max().unwrap_or(0);
        Ok(if newest > self.current()? { newest } else { 0 })
    }

    /// Their numbers.
    pub fn numbers(&self) -> Result<Vec<u32>, FileError> {
        let folder = self.folder.join("gen");
        let entries = match std::fs::read_dir(&folder) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other.map_err(files::at(&folder, "read"))?,
        };
        // Drafts have names that are not numbers.
        Ok(entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect())
    }

    /// Reads a generation. `None` where its files are missing or not readable as such: then it counts as not there.
    pub fn load(&self, generation: u32, trust: &Trust) -> Result<Option<Credential>, FileError> {
        let folder = self.path(generation);
        let (key, chain) = (files::read(&folder.join(KEY))?, files::read_text(&folder.join(CHAIN))?);
        let (Some(key), Some(chain)) = (key, chain) else { return Ok(None) };
        let key = LeafKey::from_pkcs8(&key).ok();
        let leaf = pem::certificates(&chain).ok().and_then(|found| found.into_iter().next());
        Ok(key.zip(leaf).and_then(|(key, leaf)| Credential::new(key, leaf, trust).ok()))
    }

    /// Writes a new generation, whole or not at all, and gives its number.
    pub fn add(&self, credential: &Credential) -> Result<u32, FileError> {
        let number = self.numbers()?.into_iter().max().unwrap_or(0).max(self.current()?) + 1;
        let draft = self.folder.join("gen").join("draft");
        files::remove_folder(&draft)?;
        files::make_folder(&draft)?;
        files::write(&draft.join(KEY), credential.key().pkcs8().expose())?;
        let chain: String = credential.chain().iter().map(|der| pem::certificate(der)).collect();
        files::write(&draft.join(CHAIN), chain.as_bytes())?;
        files::rename(&draft, &self.path(number))?;
        files::flush_folder(&self.folder)?;
        Ok(number)
    }

    /// Makes a generation the current one.
    pub fn switch(&self, generation: u32) -> Result<(), FileError> {
        files::write(&self.folder.join(CURRENT), format!("{generation}\n").as_bytes())
    }

    /// Throws a generation away.
    pub fn discard(&self, generation: u32) -> Result<(), FileError> {
        files::remove_folder(&self.path(generation))
    }

    /// Throws away what is older than the one before the current one.
    pub fn prune(&self) -> Result<(), FileError> {
        let current = self.current()?;
        self.numbers()?
            .into_iter()
            .filter(|number| number + KEPT <= current)
            .try_for_each(|number| self.discard(number))
    }
}
