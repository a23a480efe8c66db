//! How keys lie on disk: never in the clear. A sealed file is a small JSON document holding a secret encrypted with AES-256-GCM under a
//! key that Argon2id (RFC 9106) makes from the operator's passphrase or key file. Nothing here prints or returns a passphrase.

use std::fmt;
use std::path::{Path, PathBuf};

use argon2::{Algorithm, Argon2, Params, Version};
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};
use tegata_core::secret::{Entropy, Secret, random};

const FORMAT: &str = "tegata-sealed-1";
/// 64 MiB and three passes: the second recommended choice of RFC 9106 section 4; about 0.15 s here, once per start and key.
pub(crate) const COST: Cost = Cost { memory_kib: 65_536, passes: 3, lanes: 1 };
const SALT_BYTES: usize = 16;

/// The secrets that are sealed, each with its file name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sealed {
    /// The root CA's private key; its file can be taken offline.
    Root,
    /// The issuing CA's private key.
    Issuing,
    /// The key under which waiting bundles are encrypted in the database.
    Vault,
    /// The key that signs checkpoints of the operation log, and nothing else.
    Log,
}

impl Sealed {
    /// The file name within the key folder.
    pub fn file_name(self) -> &'static str {
        match self {
            Self::Root => "root.sealed",
            Self::Issuing => "issuing.sealed",
            Self::Vault => "vault.sealed",
            Self::Log => "log.sealed",
        }
    }
}

/// What opens the sealed files: the bytes of a passphrase or of a key file.
#[derive(Clone)]
pub struct Passphrase(Secret<Vec<u8>>);

impl Passphrase {
    /// Fewest bytes that are accepted.
    pub const SHORTEST: usize = 12;

    /// Takes the bytes, without the line end that editors add.
    pub fn new(mut bytes: Vec<u8>) -> Result<Self, CustodyError> {
        while bytes.last().is_some_and(|b| matches!(b, b'\n' | b'\r')) {
            bytes.pop();
        }
        if bytes.len() < Self::SHORTEST {
            return Err(CustodyError::PassphraseTooShort);
        }
        Ok(Self(Secret::new(bytes)))
    }
}

/// Why a key could not be sealed or opened.
#[derive(Debug, thiserror::Error)]
pub enum CustodyError {
    /// Too little to protect a CA key.
    #[error("the passphrase has fewer than {} bytes", Passphrase::SHORTEST)]
    PassphraseTooShort,
    /// The passphrase does not open the file (or the file was changed: the two cannot be told apart).
    #[error("the passphrase does not open {0}, or the file was changed")]
    WrongPassphrase(PathBuf),
    /// Not one of our sealed files.
    #[error("{path} is not a sealed key file: {reason}")]
    Broken {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The file could not be read or written.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

#[derive(Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Cost {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    format: String,
    what: String,
    argon2id: Cost,
    salt: String,
    nonce: String,
    sealed: String,
}

/// Encrypts `secret` and writes it to its file in `folder`, readable by the owner alone. Refuses to overwrite.
pub fn seal(
    folder: &Path,
    what: Sealed,
    secret: &[u8],
    pass: &Passphrase,
    entropy: &dyn Entropy,
) -> Result<(), CustodyError> {
    let path = folder.join(what.file_name());
    let salt: [u8; SALT_BYTES] = random(entropy);
    let nonce: [u8; NONCE_LEN] = random(entropy);
    let key = derive(&path, pass, &salt, COST)?;
    let mut sealed = secret.to_vec();
    let aad = Aad::from(associated(what));
    key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad, &mut sealed)
        .map_err(|_| broken(&path, "sealing failed"))?;
    let document = Document {
        format: FORMAT.into(),
        what: what.file_name().into(),
        argon2id: COST,
        salt: BASE64.encode(salt),
        nonce: BASE64.encode(nonce),
        sealed: BASE64.encode(sealed),
    };
    let text = serde_json::to_string_pretty(&document).expect("a struct of strings and numbers is JSON") + "\n";
    write_private(&path, text.as_bytes())
}

/// Reads a sealed file of `folder` and decrypts it.
pub fn open(folder: &Path, what: Sealed, pass: &Passphrase) -> Result<Secret<Vec<u8>>, CustodyError> {
    open_file(&folder.join(what.file_name()), what, pass)
}

/// The same for a file that was given another name since.
pub(crate) fn open_file(path: &Path, what: Sealed, pass: &Passphrase) -> Result<Secret<Vec<u8>>, CustodyError> {
    let text = std::fs::read_to_string(path).map_err(|source| CustodyError::File { path: path.to_owned(), source })?;
    let document: Document = serde_json::from_str(&text).map_err(|error| broken(path, &error.to_string()))?;
    if document.format != FORMAT || document.what != what.file_name() {
        return Err(broken(path, &format!("it says {} {}", document.format, document.what)));
    }
    let decode = |field: &str| BASE64.decode(field).map_err(|_| broken(path, "not base64"));
    let nonce: [u8; NONCE_LEN] =
        decode(&document.nonce)?.try_into().map_err(|_| broken(path, "nonce of a wrong length"))?;
    let key = derive(path, pass, &decode(&document.salt)?, document.argon2id)?;
    let mut sealed = decode(&document.sealed)?;
    let aad = Aad::from(associated(what));
    let opened = key
        .open_in_place(Nonce::assume_unique_for_key(nonce), aad, &mut sealed)
        .map_err(|_| CustodyError::WrongPassphrase(path.to_owned()))?
        .len();
    sealed.truncate(opened);
    Ok(Secret::new(sealed))
}

/// Writes a file that only its owner can read, durably, and never over another one.
pub fn write_private(path: &Path, bytes: &[u8]) -> Result<(), CustodyError> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let failed = |source| CustodyError::File { path: path.to_owned(), source };
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(failed)?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(failed)
}

fn associated(what: Sealed) -> String {
    format!("{FORMAT}/{}", what.file_name())
}

fn broken(path: &Path, reason: &str) -> CustodyError {
    CustodyError::Broken { path: path.to_owned(), reason: reason.to_owned() }
}

/// The key-encryption key. A file that asks for absurd work is refused before it is done.
pub(crate) fn derive(path: &Path, pass: &Passphrase, salt: &[u8], cost: Cost) -> Result<LessSafeKey, CustodyError> {
    if cost.memory_kib > 1_048_576 || cost.passes > 64 || cost.lanes > 16 {
        return Err(broken(path, "its Argon2id cost is absurd"));
    }
    let params =
        Params::new(cost.memory_kib, cost.passes, cost.lanes, Some(32)).map_err(|e| broken(path, &e.to_string()))?;
    let mut key = vec![0_u8; 32];
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(pass.0.expose(), salt, &mut key)
        .map_err(|e| broken(path, &e.to_string()))?;
    let key = Secret::new(key);
    Ok(LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key.expose()).expect("32 bytes are an AES-256 key")))
}

/// Encrypts what waits in the database: private keys and import passwords of bundles.
pub struct Vault {
    key: LessSafeKey,
    seed: Secret<Vec<u8>>,
}

/// A sealed value of the database does not open: another vault key, another row's value, or changed bytes.
#[derive(Debug, thiserror::Error)]
#[error("a sealed value of the database does not open with this vault key")]
pub struct VaultError;

impl Vault {
    /// From the 32 bytes of the sealed file.
    pub fn new(seed: Secret<Vec<u8>>) -> Result<Self, VaultError> {
        let key = UnboundKey::new(&AES_256_GCM, seed.expose()).map_err(|_| VaultError)?;
        Ok(Self { key: LessSafeKey::new(key), seed })
    }

    /// Encrypts; `context` names the row and must be the same when opening. Layout: 12 bytes nonce, ciphertext, 16 bytes tag.
    pub fn seal(&self, context: &str, secret: &[u8], entropy: &dyn Entropy) -> Vec<u8> {
        let nonce: [u8; NONCE_LEN] = random(entropy);
        let mut body = secret.to_vec();
        self.key
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(context), &mut body)
            .expect("AES-GCM seals up to 64 GiB");
        [nonce.as_slice(), &body].concat()
    }

    /// Decrypts.
    pub fn open(&self, context: &str, sealed: &[u8]) -> Result<Secret<Vec<u8>>, VaultError> {
        let (nonce, body) = sealed.split_first_chunk::<NONCE_LEN>().ok_or(VaultError)?;
        let mut body = body.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let length = self.key.open_in_place(nonce, Aad::from(context), &mut body).map_err(|_| VaultError)?.len();
        body.truncate(length);
        Ok(Secret::new(body))
    }

    /// A key for another use, the same after each start (HMAC-SHA256 as a PRF over the use's name).
    pub fn derive(&self, purpose: &str) -> Secret<[u8; 32]> {
        let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, self.seed.expose());
        let tag = aws_lc_rs::hmac::sign(&key, purpose.as_bytes());
        Secret::new(tag.as_ref().try_into().expect("HMAC-SHA256 gives 32 bytes"))
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Vault(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tegata_testkit::SeededEntropy;

    fn pass(text: &str) -> Passphrase {
        Passphrase::new(text.into()).expect("long enough")
    }

    #[test]
    fn only_the_right_passphrase_opens_and_nothing_lies_in_the_clear() {
        let folder = tempfile::tempdir().expect("a folder");
        let entropy = SeededEntropy::new(1);
        seal(folder.path(), Sealed::Issuing, b"the private key", &pass("correct horse battery\n"), &entropy)
            .expect("sealed");
        let file = std::fs::read(folder.path().join("issuing.sealed")).expect("there");
        assert!(!file.windows(7).any(|w| w == b"private"));
        let opened = open(folder.path(), Sealed::Issuing, &pass("correct horse battery")).expect("opens");
        assert_eq!(opened.expose(), b"the private key");
        let wrong = open(folder.path(), Sealed::Issuing, &pass("correct horse batterz"));
        assert!(matches!(wrong, Err(CustodyError::WrongPassphrase(_))));
    }

    #[test]
    fn a_file_is_never_overwritten_nor_taken_for_another() {
        let folder = tempfile::tempdir().expect("a folder");
        let entropy = SeededEntropy::new(1);
        seal(folder.path(), Sealed::Root, b"x", &pass("correct horse battery"), &entropy).expect("sealed");
        assert!(seal(folder.path(), Sealed::Root, b"y", &pass("correct horse battery"), &entropy).is_err());
        std::fs::rename(folder.path().join("root.sealed"), folder.path().join("vault.sealed")).expect("renamed");
        assert!(matches!(
            open(folder.path(), Sealed::Vault, &pass("correct horse battery")),
            Err(CustodyError::Broken { .. })
        ));
    }

    #[test]
    fn a_vault_value_opens_only_in_its_own_row() {
        let vault = Vault::new(Secret::new(vec![7; 32])).expect("32 bytes");
        let sealed = vault.seal("bundle 1", b"password", &SeededEntropy::new(1));
        assert_eq!(vault.open("bundle 1", &sealed).expect("opens").expose(), b"password");
        assert!(vault.open("bundle 2", &sealed).is_err());
        assert!(vault.open("bundle 1", &sealed[..10]).is_err());
    }

    #[test]
    fn a_short_passphrase_is_refused() {
        assert!(matches!(Passphrase::new(b"eleven char\n".to_vec()), Err(CustodyError::PassphraseTooShort)));
    }
}
