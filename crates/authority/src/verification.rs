//! Verifies the operation log of a register: its chain, every checkpoint in it, and the lines that lie elsewhere.

use std::collections::BTreeMap;

use futures_util::StreamExt as _;
use tegata_core::access::{Actor, Scope};
use tegata_core::audit::Action;
use tegata_core::time::Timestamp;
use tegata_store::audit::{Broken, Head, Verifier};
use tegata_store::{Reader, StoreError};

use crate::evidence::{Evidence, EvidenceError};
use crate::{Authority, AuthorityError};

/// How many checkpoints are read at a time.
const PAGE: u32 = 1000;

/// What was found to be right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// The end of the log.
    pub head: Head,
    /// How many places that checkpoints name stand there as they say.
    pub confirmed: usize,
    /// What the checkpoints prove; the list that reaches furthest. None where there are no checkpoints.
    pub evidence: Option<Evidence>,
}

/// What is not as it was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Contradiction {
    /// The chain.
    #[error(transparent)]
    Chain(#[from] Broken),
    /// The checkpoints.
    #[error(transparent)]
    Checkpoints(#[from] EvidenceError),
    /// The first row is not that of a log.
    #[error("it does not begin with the making of the CA")]
    NoBeginning,
}

/// The last time that the service looked by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verification {
    /// When it had looked.
    pub at: Timestamp,
    /// What it found: how far checkpoints cover the log, and since when; or what is wrong.
    pub found: Result<Option<(i64, Timestamp)>, Contradiction>,
}

/// Walks through the whole log. `keys` are the public keys that are trusted; without, those that the register names. `elsewhere` are lines of a file
/// of checkpoints, `head` is one that somebody wrote down.
pub async fn verify(
    reader: &Reader,
    scope: Scope,
    keys: Option<Vec<Vec<u8>>>,
    elsewhere: &[String],
    head: Option<Head>,
) -> Result<Result<Verified, Contradiction>, StoreError> {
    let keys = match keys {
        Some(keys) => keys,
        None => reader.log_keys(scope).await?.into_iter().map(|key| key.spki).collect(),
    };
    // The checkpoints first: rows that are written meanwhile are no loss, checkpoints about rows not yet read would be one.
    let (mut lines, mut last) = (Vec::new(), 0);
    while let page = reader.checkpoints(scope, last, PAGE).await?
        && let Some(end) = page.last()
    {
        last = end.number;
        lines.extend(page.into_iter().map(|row| row.line));
    }
    let lists = [lines.as_slice(), elsewhere];
    let lists = lists.iter().filter(|lines| !lines.is_empty());
    let evidence: Result<Vec<Evidence>, EvidenceError> =
        lists.map(|lines| Evidence::read(lines.iter().map(String::as_str), &keys)).collect();
    match evidence {
        Ok(evidence) => walk(reader, scope, evidence, head).await,
        Err(error) => Ok(Err(error.into())),
    }
}

async fn walk(
    reader: &Reader,
    scope: Scope,
    evidence: Vec<Evidence>,
    head: Option<Head>,
) -> Result<Result<Verified, Contradiction>, StoreError> {
    let known = evidence.iter().flat_map(Evidence::known).chain(head);
    let known: BTreeMap<i64, [u8; 32]> = known.map(|head| (head.sequence, head.hash)).collect();
    // One for each list: where two of them contradict each other, one of them contradicts the log.
    let mut verifiers: Vec<Verifier> = evidence.iter().map(|evidence| Verifier::new(evidence.known())).collect();
    verifiers.push(Verifier::new(head));
    let mut rows = reader.audit_all(scope);
    let (mut begins, mut confirmed) = (false, 0);
    while let Some(row) = rows.next().await {
        let row = row?;
        begins |= row.sequence == 1 && row.action == Action::AuthorityCreated.as_str();
        confirmed += usize::from(known.get(&row.sequence) == Some(&row.hash));
        if let Some(broken) = verifiers.iter_mut().find_map(|verifier| verifier.check(&row).err()) {
            return Ok(Err(broken.into()));
        }
    }
    if !begins {
        return Ok(Err(Contradiction::NoBeginning));
    }
    let heads: Result<Vec<Head>, Broken> = verifiers.into_iter().map(Verifier::finish).collect();
    let evidence = evidence.into_iter().max_by_key(|evidence| evidence.last.rows);
    Ok(heads.map(|heads| Verified { head: heads[0], confirmed, evidence }).map_err(Contradiction::from))
}

impl Authority {
    /// Verifies the log, and remembers what was found for whoever looks at it.
    pub async fn verify_log(&self, elsewhere: &[String]) -> Result<Verification, AuthorityError> {
        let scope = Actor::System { job: "verify" }.scope();
        let found = verify(self.reader(), scope, None, elsewhere, None).await?;
        let found = found.map(|found| found.evidence.as_ref().map(Evidence::covers));
        let verification = Verification { at: self.now(), found };
        *self.0.verification.lock().expect("nothing panics while holding this lock") = Some(verification.clone());
        Ok(verification)
    }

    /// What was found the last time; nothing before the first time since the start.
    pub fn last_verification(&self) -> Option<Verification> {
        self.0.verification.lock().expect("nothing panics while holding this lock").clone()
    }
}
