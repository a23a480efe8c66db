//! What stands inside a backup: a list of its files with their sizes and hashes, and then the files one after the other. Names are fixed words
//! or plain file names, never paths.

use std::io::{self, Read, Write};
use std::path::Path;

use aws_lc_rs::digest;
use serde::{Deserialize, Serialize};
use tegata_core::id::Fingerprint;

use super::BackupError;

/// The longest list that is read.
const LONGEST_LIST: u32 = 4 * 1024 * 1024;
/// The name of the configuration file in a backup, and where it is restored.
pub const CONFIG: &str = "tegata.toml";
/// The same of the register.
pub const REGISTER: &str = "tegata.db";
/// The same of the folder of sealed keys.
pub const KEYS: &str = "keys";
/// The same of the folder of CA certificates.
pub const CERTIFICATES: &str = "ca";

/// What a backup says about itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// When it was made.
    pub made_at: String,
    /// By which version of the program.
    pub version: String,
    /// Where the register was, without a password; the file itself is in the backup only where it was one.
    pub register: String,
    /// The last row of the operation log.
    pub log_rows: i64,
    /// Its hash.
    pub log_head: String,
    /// What is inside, in this order.
    pub files: Vec<FileEntry>,
}

/// A file of a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileEntry {
    /// Its name.
    pub name: String,
    /// Its size in octets.
    pub size: u64,
    /// SHA-256, in hex.
    pub sha256: String,
}

impl FileEntry {
    pub(super) fn of(name: String, content: &[u8]) -> Self {
        Self { name, size: content.len() as u64, sha256: hash(content) }
    }

    /// Whether the name is one that a backup can have.
    fn is_ours(&self) -> bool {
        let plain = |name: &str| {
            let letter = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
            !name.is_empty() && name.len() <= 128 && !name.starts_with('.') && name.chars().all(letter)
        };
        match self.name.split_once('/') {
            None => self.name == CONFIG || self.name == REGISTER,
            Some((folder, name)) => (folder == KEYS || folder == CERTIFICATES) && plain(name),
        }
    }
}

impl Manifest {
    /// Whether the register itself is inside.
    pub fn holds_register(&self) -> bool {
        self.files.iter().any(|file| file.name == REGISTER)
    }
}

fn hash(content: &[u8]) -> String {
    hex(digest::digest(&digest::SHA256, content))
}

fn hex(digest: digest::Digest) -> String {
    Fingerprint(digest.as_ref().try_into().expect("SHA-256 gives 32 bytes")).to_string()
}

pub(super) fn write(to: &mut impl Write, manifest: &Manifest, contents: &[Vec<u8>]) -> io::Result<()> {
    let list = serde_json::to_vec(manifest).expect("a struct of strings and numbers is JSON");
    let length = u32::try_from(list.len()).map_err(io::Error::other)?;
    to.write_all(&length.to_be_bytes())?;
    to.write_all(&list)?;
    contents.iter().try_for_each(|content| to.write_all(content))
}

/// Reads the list, and then each file into `place(name)`, checking its hash.
pub(super) fn read<W: Write>(
    from: &mut impl Read,
    path: &Path,
    mut place: impl FnMut(&str) -> io::Result<W>,
    mut done: impl FnMut(W) -> io::Result<()>,
) -> Result<Manifest, BackupError> {
    let failed = |source| BackupError::file(path, source);
    let mut length = [0; 4];
    from.read_exact(&mut length).map_err(failed)?;
    let length = u32::from_be_bytes(length);
    if length > LONGEST_LIST {
        return Err(BackupError::NotABackup(path.to_owned()));
    }
    let mut list = Vec::new();
    from.take(u64::from(length)).read_to_end(&mut list).map_err(failed)?;
    let manifest: Manifest = serde_json::from_slice(&list).map_err(|_| BackupError::NotABackup(path.to_owned()))?;
    for file in &manifest.files {
        if !file.is_ours() {
            return Err(BackupError::ForeignName(file.name.clone()));
        }
        let mut to = place(&file.name).map_err(|source| BackupError::file(Path::new(&file.name), source))?;
        let mut context = digest::Context::new(&digest::SHA256);
        let mut left = file.size;
        let mut buffer = vec![0; 64 * 1024];
        while left > 0 {
            let wanted = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
            from.read_exact(&mut buffer[..wanted]).map_err(failed)?;
            context.update(&buffer[..wanted]);
            to.write_all(&buffer[..wanted]).map_err(|source| BackupError::file(Path::new(&file.name), source))?;
            left -= wanted as u64;
        }
        if hex(context.finish()) != file.sha256 {
            return Err(BackupError::WrongHash(file.name.clone()));
        }
        done(to).map_err(|source| BackupError::file(Path::new(&file.name), source))?;
    }
    // To the end, so that what was cut off there shows.
    let more = io::copy(from, &mut io::sink()).map_err(failed)?;
    if more > 0 { Err(BackupError::NotABackup(path.to_owned())) } else { Ok(manifest) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(names: &[&str]) -> Manifest {
        Manifest {
            made_at: String::new(),
            version: String::new(),
            register: String::new(),
            log_rows: 0,
            log_head: String::new(),
            files: names.iter().map(|name| FileEntry::of((*name).to_owned(), name.as_bytes())).collect(),
        }
    }

    fn read_back(manifest: &Manifest, contents: &[Vec<u8>]) -> Result<Vec<Vec<u8>>, BackupError> {
        let mut bytes = Vec::new();
        write(&mut bytes, manifest, contents).expect("into memory");
        let mut found = Vec::new();
        let done = |content: Vec<u8>| {
            found.push(content);
            Ok(())
        };
        read(&mut &bytes[..], Path::new("x"), |_| Ok(Vec::new()), done)?;
        Ok(found)
    }

    #[test]
    fn files_are_read_back_and_a_changed_one_shows() {
        let names = ["tegata.toml", "tegata.db", "keys/issuing-0a.sealed", "ca/root.pem"];
        let contents: Vec<Vec<u8>> = names.iter().map(|name| name.as_bytes().to_vec()).collect();
        assert_eq!(read_back(&manifest(&names), &contents).expect("as written"), contents);
        let mut changed = contents.clone();
        changed[2][3] ^= 1;
        assert!(
            matches!(read_back(&manifest(&names), &changed), Err(BackupError::WrongHash(name)) if name == names[2])
        );
    }

    #[test]
    fn a_name_that_would_leave_the_folder_is_refused() {
        for name in ["../x", "/etc/passwd", "keys/../x", "keys/.x", "keys/", "other/x", "keys/a/b", "tegata.db2", ""] {
            let read = read_back(&manifest(&[name]), &[name.as_bytes().to_vec()]);
            assert!(matches!(read, Err(BackupError::ForeignName(_))), "{name}");
        }
    }
}
