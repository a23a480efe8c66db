//! What checkpoints prove, to somebody who has nothing but their lines and a public key: where the chain of the operation log stood, and when.
//! Reads no register.

use tegata_core::id::Fingerprint;
use tegata_core::time::Timestamp;
use tegata_pki::checkpoint::{Kind, Statement};
use tegata_store::audit::Head;

use crate::checkpoint::{Checkpoint, key_name};

/// Why checkpoints prove nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EvidenceError {
    /// A number was left out, or comes twice.
    #[error("checkpoint {expected} is missing; checkpoint {found} is in its place")]
    Gap {
        /// The number.
        expected: i64,
        /// What stands there.
        found: i64,
    },
    /// The key did not sign this.
    #[error("checkpoint {number} was not signed by the key of the operation log: it is forged, or was changed")]
    Forged {
        /// Its number.
        number: i64,
    },
    /// A later one covers less than an earlier one.
    #[error("checkpoint {number} is about row {rows}, but an earlier one was about row {before} already")]
    Backwards {
        /// Its number.
        number: i64,
        /// Its row.
        rows: i64,
        /// The earlier row.
        before: i64,
    },
    /// They are about two logs.
    #[error("checkpoint {number} is about another operation log")]
    OtherLog {
        /// Its number.
        number: i64,
    },
    /// None was signed by a key that is trusted.
    #[error("none of the {checkpoints} checkpoints was signed by the given key")]
    Unproven {
        /// How many there are.
        checkpoints: usize,
    },
}

/// What a list of checkpoints proves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// Which log: the hash of its first row.
    pub log: Fingerprint,
    /// Where the chain stood, oldest first.
    pub heads: Vec<Head>,
    /// The newest statement.
    pub last: Statement,
    /// How many at the beginning were signed by a key that is not among those given; they are not counted.
    pub unproven: usize,
    /// How many times the key was replaced.
    pub new_keys: usize,
    /// How many lines are no checkpoints: a line that was cut off when a machine went down is written again after it.
    pub unreadable: usize,
}

impl Evidence {
    /// Reads lines. `trusted` are public keys (SubjectPublicKeyInfo in DER) that the reader has from somewhere else; each can name its
    /// successor.
    pub fn read<'l>(lines: impl IntoIterator<Item = &'l str>, trusted: &[Vec<u8>]) -> Result<Self, EvidenceError> {
        let mut reading = Reading::default();
        let (mut unreadable, mut checkpoints) = (0, 0);
        for line in lines.into_iter().filter(|line| !line.trim().is_empty()) {
            match Checkpoint::parse(line) {
                Ok(checkpoint) => {
                    checkpoints += 1;
                    reading.take(checkpoint, trusted)?;
                }
                Err(_) => unreadable += 1,
            }
        }
        let Reading { heads, last, unproven, new_keys, .. } = reading;
        let last = last.filter(|_| !heads.is_empty()).ok_or(EvidenceError::Unproven { checkpoints })?;
        Ok(Self { log: last.log, heads, last, unproven, new_keys, unreadable })
    }

    /// Every place of the chain that is known by these checkpoints, the first row's among them.
    pub fn known(&self) -> impl Iterator<Item = Head> + '_ {
        let first = Head { sequence: 1, hash: self.log.0 };
        std::iter::once(first).chain(self.heads.iter().copied())
    }

    /// Until when, and to which row, the log is covered.
    pub fn covers(&self) -> (i64, Timestamp) {
        (self.last.rows, self.last.at)
    }
}

#[derive(Default)]
struct Reading {
    /// The key that signs here, once one of those given has.
    key: Option<Vec<u8>>,
    heads: Vec<Head>,
    last: Option<Statement>,
    unproven: usize,
    new_keys: usize,
}

impl Reading {
    fn take(&mut self, checkpoint: Checkpoint, trusted: &[Vec<u8>]) -> Result<(), EvidenceError> {
        let Statement { number, rows, log, head, .. } = checkpoint.statement;
        if let Some(last) = &self.last {
            let expected = last.number + 1;
            if number != expected {
                return Err(EvidenceError::Gap { expected, found: number });
            }
            if log != last.log {
                return Err(EvidenceError::OtherLog { number });
            }
            if rows < last.rows {
                return Err(EvidenceError::Backwards { number, rows, before: last.rows });
            }
        }
        let key = self.key.take().or_else(|| trusted.iter().find(|key| key_name(key) == checkpoint.key).cloned());
        match key {
            Some(key) if checkpoint.is_signed_by(&key) => {
                self.heads.push(Head { sequence: rows, hash: head.0 });
                self.key = match &checkpoint.statement.kind {
                    Kind::Head => Some(key),
                    Kind::Key { next } => {
                        self.new_keys += 1;
                        Some(next.clone())
                    }
                };
            }
            Some(_) => return Err(EvidenceError::Forged { number }),
            None => self.unproven += 1,
        }
        self.last = Some(checkpoint.statement);
        Ok(())
    }
}
