//! A stream in chunks, each sealed with AES-256-GCM under a key of this file alone (Argon2id over the passphrase and a random salt). Number and
//! place of a chunk are in its nonce, and whether it is the last one: chunks cannot be moved, left out, or cut off at the end (the STREAM
//! construction of Hoang, Reyhanitabar, Rogaway and Vizár, 2015, as the age format uses it).

use std::io::{self, Read, Write};
use std::path::Path;

use aws_lc_rs::aead::{Aad, LessSafeKey, NONCE_LEN, Nonce};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};
use tegata_core::secret::{Entropy, random};
use zeroize::Zeroize as _;

use super::BackupError;
use crate::custody::{self, COST, Cost, Passphrase};

/// The first line of a backup.
const MAGIC: &[u8] = b"tegata backup v1\n";
/// How much is sealed at a time.
const CHUNK: usize = 64 * 1024;
const TAG: usize = 16;
/// The longest second line that is read.
const LONGEST_HEADER: usize = 1024;

/// The second line: how the key is made.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    argon2id: Cost,
    salt: String,
}

/// The nonce of a chunk. The key is used for this file alone, so the chunk's number is enough.
fn nonce(number: u64, last: bool) -> Nonce {
    let mut nonce = [0; NONCE_LEN];
    nonce[3..11].copy_from_slice(&number.to_be_bytes());
    nonce[11] = u8::from(last);
    Nonce::assume_unique_for_key(nonce)
}

/// Seals what is written to it.
pub(super) struct Sealer<W> {
    out: W,
    key: LessSafeKey,
    /// Both lines, which every chunk vouches for.
    lines: Vec<u8>,
    number: u64,
    chunk: Vec<u8>,
}

impl<W: Write> Sealer<W> {
    pub(super) fn new(mut out: W, pass: &Passphrase, entropy: &dyn Entropy, path: &Path) -> Result<Self, BackupError> {
        let salt: [u8; 16] = random(entropy);
        let key = custody::derive(path, pass, &salt, COST)?;
        let header = Header { argon2id: COST, salt: BASE64.encode(salt) };
        let mut lines = MAGIC.to_vec();
        serde_json::to_writer(&mut lines, &header).expect("a struct of strings and numbers is JSON");
        lines.push(b'\n');
        out.write_all(&lines).map_err(|source| BackupError::file(path, source))?;
        Ok(Self { out, key, lines, number: 0, chunk: Vec::with_capacity(CHUNK + TAG) })
    }

    fn seal(&mut self, last: bool) -> io::Result<()> {
        let nonce = nonce(self.number, last);
        let sealed = self.key.seal_in_place_append_tag(nonce, Aad::from(&self.lines), &mut self.chunk);
        sealed.map_err(|_| io::Error::other("sealing failed"))?;
        self.out.write_all(&self.chunk)?;
        self.chunk.clear();
        self.number += 1;
        Ok(())
    }

    /// Seals the last chunk.
    pub(super) fn finish(mut self) -> io::Result<W> {
        self.seal(true)?;
        Ok(self.out)
    }
}

impl<W: Write> Write for Sealer<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // A full chunk waits until it is known not to be the last one.
        if self.chunk.len() == CHUNK {
            self.seal(false)?;
        }
        let taken = bytes.len().min(CHUNK - self.chunk.len());
        self.chunk.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Opens what is read through it.
pub(super) struct Opener<R> {
    from: R,
    key: LessSafeKey,
    lines: Vec<u8>,
    number: u64,
    /// Sealed octets that were read ahead: whether there are any tells whether a chunk is the last one.
    ahead: Vec<u8>,
    chunk: Vec<u8>,
    given: usize,
    ended: bool,
}

impl<R: Read> Opener<R> {
    pub(super) fn new(mut from: R, pass: &Passphrase, path: &Path) -> Result<Self, BackupError> {
        let failed = |source| BackupError::file(path, source);
        let wrong = || BackupError::NotABackup(path.to_owned());
        let mut lines = Vec::new();
        let mut octet = [0];
        while lines.iter().filter(|octet| **octet == b'\n').count() < 2 {
            if lines.len() > LONGEST_HEADER || from.read(&mut octet).map_err(failed)? == 0 {
                return Err(wrong());
            }
            lines.push(octet[0]);
        }
        let header = lines.strip_prefix(MAGIC).ok_or_else(wrong)?;
        let header: Header = serde_json::from_slice(header).map_err(|_| wrong())?;
        let salt = BASE64.decode(header.salt).map_err(|_| wrong())?;
        let key = custody::derive(path, pass, &salt, header.argon2id)?;
        let (ahead, chunk) = (Vec::new(), Vec::new());
        let mut opener = Self { from, key, lines, number: 0, ahead, chunk, given: 0, ended: false };
        opener.open().map_err(|error| match error.kind() {
            io::ErrorKind::InvalidData => BackupError::WrongPassphrase(path.to_owned()),
            _ => failed(error),
        })?;
        Ok(opener)
    }

    /// Opens the next chunk.
    fn open(&mut self) -> io::Result<()> {
        const WHOLE: usize = CHUNK + TAG;
        let missing = (WHOLE + 1).saturating_sub(self.ahead.len());
        (&mut self.from).take(missing as u64).read_to_end(&mut self.ahead)?;
        let last = self.ahead.len() <= WHOLE;
        let rest = self.ahead.split_off(self.ahead.len().min(WHOLE));
        self.chunk.zeroize();
        self.chunk = std::mem::replace(&mut self.ahead, rest);
        let damaged = || io::Error::new(io::ErrorKind::InvalidData, "it is damaged, or cut off");
        let opened = self.key.open_in_place(nonce(self.number, last), Aad::from(&self.lines), &mut self.chunk);
        let length = opened.map_err(|_| damaged())?.len();
        self.chunk.truncate(length);
        self.given = 0;
        self.number += 1;
        self.ended = last;
        Ok(())
    }
}

impl<R: Read> Read for Opener<R> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        while self.given == self.chunk.len() {
            if self.ended {
                return Ok(0);
            }
            self.open()?;
        }
        let taken = to.len().min(self.chunk.len() - self.given);
        to[..taken].copy_from_slice(&self.chunk[self.given..self.given + taken]);
        self.given += taken;
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    use tegata_testkit::SeededEntropy;

    use super::*;

    fn pass(text: &str) -> Passphrase {
        Passphrase::new(text.into()).expect("long enough")
    }

    fn sealed(content: &[u8]) -> Vec<u8> {
        let (pass, entropy) = (pass("correct horse battery"), SeededEntropy::new(3));
        let mut sealer = Sealer::new(Vec::new(), &pass, &entropy, Path::new("x")).expect("begun");
        sealer.write_all(content).expect("written");
        sealer.finish().expect("finished")
    }

    fn opened(sealed: &[u8], text: &str) -> Result<Vec<u8>, String> {
        let mut opener = Opener::new(sealed, &pass(text), Path::new("x")).map_err(|error| error.to_string())?;
        let mut content = Vec::new();
        opener.read_to_end(&mut content).map_err(|error| error.to_string())?;
        Ok(content)
    }

    #[test]
    fn what_was_sealed_is_opened_again_whatever_its_length() {
        for length in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 3 * CHUNK + 77] {
            let content: Vec<u8> = (0..length).map(|at| (at % 251) as u8).collect();
            let sealed = sealed(&content);
            assert_eq!(opened(&sealed, "correct horse battery").as_ref(), Ok(&content), "{length}");
            assert!(!sealed.windows(64).any(|part| content.windows(64).next() == Some(part)), "in the clear");
        }
    }

    #[test]
    fn a_wrong_passphrase_a_change_and_a_cut_show() {
        let whole = sealed(&vec![7; 2 * CHUNK + 5]);
        assert!(opened(&whole, "another passphrase").is_err_and(|said| said.contains("does not open")));
        let body = whole.len() - (2 * CHUNK + 5 + 3 * TAG);
        for at in [10, body - 5, body, body + CHUNK + TAG + 9, whole.len() - 1] {
            let mut changed = whole.clone();
            changed[at] ^= 1;
            assert!(opened(&changed, "correct horse battery").is_err(), "octet {at}");
        }
        for length in [0, 5, body - 1, body, body + 20, body + CHUNK + TAG, body + 2 * (CHUNK + TAG), whole.len() - 1] {
            assert!(opened(&whole[..length], "correct horse battery").is_err(), "{length} octets");
        }
        let second = body + CHUNK + TAG;
        let third = second + CHUNK + TAG;
        let swapped = [&whole[..body], &whole[second..third], &whole[body..second], &whole[third..]].concat();
        assert!(opened(&swapped, "correct horse battery").is_err(), "two chunks change places");
        assert!(opened(&[&whole[..], b"more"].concat(), "correct horse battery").is_err(), "something behind the end");
    }
}
