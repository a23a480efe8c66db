//! The certificate that the server itself shows: from files (watched, replaced without a restart) or from memory, where our own CA issued
//! it. A new one that cannot be used never displaces one that works.

use std::hash::{BuildHasher, RandomState};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tegata_core::secret::Secret;
use tegata_core::time::Timestamp;
use x509_cert::der::Decode;

use crate::tls::provider;

/// Why a server certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ServerCertError {
    /// A file could not be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// Which one.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file is not what PEM should be.
    #[error("{place} is broken PEM: {reason}")]
    BrokenPem {
        /// Which file.
        place: String,
        /// What is wrong.
        reason: String,
    },
    /// There is no certificate.
    #[error(
        "{0} holds no certificate: it must begin with the server's own, then the issuing CA's, as -----BEGIN CERTIFICATE-----"
    )]
    NoCertificate(String),
    /// There is no key.
    #[error("{0} holds no private key: -----BEGIN PRIVATE KEY----- is expected")]
    NoKey(String),
    /// The key is under a password.
    #[error("the private key in {0} is encrypted: store it without a password, readable only by the service")]
    EncryptedKey(String),
    /// The certificate is not one.
    #[error("the certificate in {place} cannot be read: {reason}")]
    BrokenCertificate {
        /// Which file.
        place: String,
        /// What is wrong.
        reason: String,
    },
    /// The key cannot be used.
    #[error("the private key in {place} cannot be used: {reason}")]
    UnusableKey {
        /// Which file.
        place: String,
        /// What is wrong.
        reason: String,
    },
    /// Key and certificate are of two pairs.
    #[error("the private key in {key} does not belong to the first certificate in {chain}")]
    KeyMismatch {
        /// Where the chain is.
        chain: String,
        /// Where the key is.
        key: String,
    },
    /// The certificate is over.
    #[error("the server certificate in {place} expired at {since}")]
    Expired {
        /// Which file.
        place: String,
        /// Its last valid second.
        since: Timestamp,
    },
    /// The certificate has not begun.
    #[error("the server certificate in {place} is not valid before {until}: check the clock of this machine")]
    NotYetValid {
        /// Which file.
        place: String,
        /// Its first valid second.
        until: Timestamp,
    },
}

/// What a look at the files brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reload {
    /// Nothing new.
    Unchanged,
    /// New connections see another certificate from now on.
    Replaced {
        /// Its last valid second.
        not_after: Timestamp,
    },
}

/// The server's certificate and key, as new connections see them.
#[derive(Debug)]
pub struct ServerCert {
    current: ArcSwap<Material>,
    files: Option<Files>,
}

#[derive(Debug)]
struct Material {
    key: Arc<CertifiedKey>,
    not_after: Timestamp,
}

#[derive(Debug)]
struct Files {
    chain: PathBuf,
    key: PathBuf,
    hasher: RandomState,
    in_use: Mutex<u64>,
}

/// Where a chain and a key come from, for messages.
struct Source<'a> {
    chain: &'a str,
    key: &'a str,
}

const MEMORY: Source<'static> = Source { chain: "the issued chain", key: "the issued key" };

impl ServerCert {
    /// Reads a PEM chain (the server's own certificate first) and a PEM key (PKCS#8, PKCS#1 or SEC 1).
    pub fn from_files(chain: &Path, key: &Path, now: Timestamp) -> Result<Self, ServerCertError> {
        let hasher = RandomState::new();
        let (chain_pem, key_pem) = read_both(chain, key)?;
        let material = from_pem(&chain_pem, &key_pem, chain, key, now)?;
        let in_use = Mutex::new(hasher.hash_one((&chain_pem, key_pem.expose())));
        let files = Files { chain: chain.to_owned(), key: key.to_owned(), hasher, in_use };
        Ok(Self { current: ArcSwap::from_pointee(material), files: Some(files) })
    }

    /// Takes a DER chain (the server's own certificate first) and a PKCS#8 key, as our own CA makes them.
    pub fn from_der(chain: Vec<Vec<u8>>, pkcs8: &Secret<Vec<u8>>, now: Timestamp) -> Result<Self, ServerCertError> {
        Ok(Self { current: ArcSwap::from_pointee(from_memory(chain, pkcs8, now)?), files: None })
    }

    /// Puts another chain and key in force, where our own CA has renewed them.
    pub fn replace(&self, chain: Vec<Vec<u8>>, pkcs8: &Secret<Vec<u8>>, now: Timestamp) -> Result<(), ServerCertError> {
        self.current.store(Arc::new(from_memory(chain, pkcs8, now)?));
        Ok(())
    }

    /// Looks at the files again; they are small and read whole. When they changed and can be used, new connections see them. When they
    /// cannot, the old certificate stays and each call says why, until they are mended.
    pub fn reload_if_changed(&self, now: Timestamp) -> Result<Reload, ServerCertError> {
        let Some(files) = &self.files else { return Ok(Reload::Unchanged) };
        let (chain_pem, key_pem) = read_both(&files.chain, &files.key)?;
        let seen = files.hasher.hash_one((&chain_pem, key_pem.expose()));
        let mut in_use = files.in_use.lock().unwrap_or_else(PoisonError::into_inner);
        if *in_use == seen {
            return Ok(Reload::Unchanged);
        }
        let material = from_pem(&chain_pem, &key_pem, &files.chain, &files.key, now)?;
        let not_after = material.not_after;
        self.current.store(Arc::new(material));
        *in_use = seen;
        Ok(Reload::Replaced { not_after })
    }

    /// The last valid second of the certificate in force.
    pub fn not_after(&self) -> Timestamp {
        self.current.load().not_after
    }
}

impl ResolvesServerCert for ServerCert {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.current.load().key))
    }
}

fn read_both(chain: &Path, key: &Path) -> Result<(Vec<u8>, Secret<Vec<u8>>), ServerCertError> {
    let read =
        |path: &Path| std::fs::read(path).map_err(|source| ServerCertError::Read { path: path.to_owned(), source });
    Ok((read(chain)?, Secret::new(read(key)?)))
}

fn from_pem(
    chain_pem: &[u8],
    key_pem: &Secret<Vec<u8>>,
    chain: &Path,
    key: &Path,
    now: Timestamp,
) -> Result<Material, ServerCertError> {
    let (chain_place, key_place) = (chain.display().to_string(), key.display().to_string());
    let certs = CertificateDer::pem_slice_iter(chain_pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| ServerCertError::BrokenPem { place: chain_place.clone(), reason: error.to_string() })?;
    let key = PrivateKeyDer::from_pem_slice(key_pem.expose()).map_err(|error| match error {
        pem::Error::NoItemsFound if contains(key_pem.expose(), b"ENCRYPTED PRIVATE KEY") => {
            ServerCertError::EncryptedKey(key_place.clone())
        }
        pem::Error::NoItemsFound => ServerCertError::NoKey(key_place.clone()),
        // The reason is left out: it may quote a line of the key.
        _ => ServerCertError::BrokenPem { place: key_place.clone(), reason: "its sections are damaged".to_owned() },
    })?;
    material(certs, key, &Source { chain: &chain_place, key: &key_place }, now)
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

fn from_memory(chain: Vec<Vec<u8>>, pkcs8: &Secret<Vec<u8>>, now: Timestamp) -> Result<Material, ServerCertError> {
    let certs = chain.into_iter().map(CertificateDer::from).collect();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(pkcs8.expose().clone()));
    material(certs, key, &MEMORY, now)
}

/// Checks that the parts fit each other and the present.
fn material(
    certs: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    source: &Source<'_>,
    now: Timestamp,
) -> Result<Material, ServerCertError> {
    let place = || source.chain.to_owned();
    let leaf = certs.first().ok_or_else(|| ServerCertError::NoCertificate(place()))?;
    let broken = |reason: String| ServerCertError::BrokenCertificate { place: place(), reason };
    let parsed = x509_cert::Certificate::from_der(leaf).map_err(|error| broken(error.to_string()))?;
    let validity = parsed.tbs_certificate().validity();
    let (not_before, not_after) = (seconds(validity.not_before), seconds(validity.not_after));
    let key = usable(&provider(), certs, key, source)?;
    if now > not_after {
        return Err(ServerCertError::Expired { place: place(), since: not_after });
    }
    if now < not_before {
        return Err(ServerCertError::NotYetValid { place: place(), until: not_before });
    }
    Ok(Material { key: Arc::new(key), not_after })
}

fn usable(
    provider: &CryptoProvider,
    certs: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    source: &Source<'_>,
) -> Result<CertifiedKey, ServerCertError> {
    let key = provider
        .key_provider
        .load_private_key(key)
        .map_err(|error| ServerCertError::UnusableKey { place: source.key.to_owned(), reason: error.to_string() })?;
    let certified = CertifiedKey::new(certs, key);
    match certified.keys_match() {
        Ok(()) => Ok(certified),
        Err(rustls::Error::InconsistentKeys(_)) => {
            Err(ServerCertError::KeyMismatch { chain: source.chain.to_owned(), key: source.key.to_owned() })
        }
        Err(error) => {
            Err(ServerCertError::BrokenCertificate { place: source.chain.to_owned(), reason: error.to_string() })
        }
    }
}

fn seconds(time: x509_cert::time::Time) -> Timestamp {
    Timestamp(i64::try_from(time.to_unix_duration().as_secs()).unwrap_or(i64::MAX))
}
