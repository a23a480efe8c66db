//! Revocation lists for everybody (RFC 5280 section 5): for each issuing CA whose key is at hand one of all that it revoked, and one for each
//! shard. A list is signed when somebody asks for it first, given again until half its life is over, and signed anew at once when a
//! certificate that belongs on it is revoked by whatever process. Only the full lists are signed on time even when nobody asks, so that each
//! revoked certificate is on a list that was made after its end (section 3.3).
//!
//! There are no more lists than names for them, so strangers cannot make us sign without end.

use std::collections::HashMap;
use std::sync::{Arc, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use tegata_core::access::Actor;
use tegata_core::id::{IssuerId, Serial};
use tegata_core::time::{Days, Timestamp};
use tegata_pki::crl::{Contents, Revoked, Shard, issuer_name, path};
use tegata_pki::issue::Urls;
use tegata_store::{Revocation, Revocations, StoreError};

use crate::ceremony::{CeremonyError, Folders};
use crate::custody::Passphrase;
use crate::freshness::tag;
use crate::issue::IssueError;
use crate::rollover::open_root;
use crate::{Authority, Freshness, IssuingCa};

/// thisUpdate lies this far back, for those whose clock is slow.
const BACKDATE_SECONDS: i64 = 600;
/// Others are told to ask again after so long at the latest, since a revocation can come at any time.
const KEEP_SECONDS: i64 = 3600;
/// Lists of one hour that say the same have the same number and the same times, on whatever node they are signed.
const HOUR_SECONDS: i64 = 3600;
/// What was read of the register is used for so long, unless something is revoked.
const REREAD_SECONDS: i64 = 600;
/// After the register did not answer, strangers do not queue for it.
const SPARED_SECONDS: i64 = 1;
/// How long the register may take to say what is revoked: a million rows take a while.
const PATIENCE: Duration = Duration::from_secs(20);

/// The revocation lists of this process; cheap to clone.
#[derive(Clone)]
pub struct Crls(Arc<Inner>);

struct Inner {
    authority: Authority,
    /// A list may be relied on for so long.
    life_seconds: i64,
    /// First the one that signs.
    issuers: Vec<Issuer>,
}

struct Issuer {
    ca: Arc<IssuingCa>,
    name: String,
    state: RwLock<State>,
    /// One list is signed at a time: those who ask for the same one wait and get it.
    turn: tokio::sync::Mutex<()>,
}

struct State {
    /// How often something was revoked that the lists did not have.
    changes: u64,
    /// What the lists were made from, and when it was read.
    register: Option<(Arc<Revocations>, Timestamp)>,
    /// Whether it lacks something by now.
    is_outdated: bool,
    /// The latest hour that a list was signed for.
    hour: i64,
    /// The register did not answer; until then it is not asked again.
    spared_until: Timestamp,
    kept: HashMap<Option<Shard>, Arc<List>>,
}

/// A signed list.
#[derive(Clone, Debug)]
pub struct List {
    /// CertificateList in DER.
    pub der: Arc<[u8]>,
    /// Its number.
    pub number: u64,
    /// How many certificates are on it.
    pub entries: usize,
    /// What it says of its time.
    pub this_update: Timestamp,
    /// Until when it may be relied on.
    pub next_update: Timestamp,
    hour: i64,
    signed_at: Timestamp,
    due_at: Timestamp,
    tag: [u8; 16],
}

/// Why a list was not signed.
#[derive(Debug, thiserror::Error)]
pub enum ListError {
    /// The register.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The register takes too long.
    #[error("the register did not answer in time")]
    Slow,
    /// The list or its signature.
    #[error(transparent)]
    Issue(#[from] IssueError),
    /// The process is ending.
    #[error("the process is ending")]
    Ending,
}

impl ListError {
    /// Whether it passes by itself, and is in the log already.
    pub fn passes(&self) -> bool {
        !matches!(self, Self::Issue(_))
    }
}

impl List {
    /// For how long others may keep it.
    pub fn freshness(&self, now: Timestamp) -> Freshness {
        let Self { signed_at, next_update, due_at, tag, .. } = *self;
        let refreshed_at = due_at.min(now.plus_seconds(KEEP_SECONDS));
        Freshness { produced_at: signed_at, next_update, refreshed_at, tag }
    }
}

impl Crls {
    /// For these CAs, first the one that signs ([`Authority::with_elders`]). A list may be relied on for `life_hours`, two or more.
    pub fn open(authority: Authority, cas: &[Arc<IssuingCa>], life_hours: i64) -> Self {
        let issuer = |ca: &Arc<IssuingCa>| Issuer {
            ca: Arc::clone(ca),
            name: issuer_name(&ca.cert),
            state: RwLock::new(State::new()),
            turn: tokio::sync::Mutex::default(),
        };
        let issuers = cas.iter().map(issuer).collect();
        Self(Arc::new(Inner { authority, life_seconds: life_hours.max(2) * 3600, issuers }))
    }

    /// The CAs that there are lists of.
    pub fn issuers(&self) -> impl Iterator<Item = &IssuingCa> {
        self.0.issuers.iter().map(|issuer| &*issuer.ca)
    }

    /// Where we are in time, by the same clock that lists are made by.
    pub fn now(&self) -> Timestamp {
        self.0.authority.now()
    }

    /// The list of a CA, named as in the address ([`path`]); `None` where there is no such list. A CA that has ended has none, since all that
    /// it issued has ended, too.
    pub async fn list(&self, issuer: &str, shard: Option<Shard>) -> Result<Option<Arc<List>>, ListError> {
        let Some(issuer) = self.0.issuers.iter().find(|one| one.name == issuer) else { return Ok(None) };
        let base = self.0.authority.ca().urls.crl_base.as_deref();
        if self.now() > issuer.end() || shard.is_some() && base.is_none() {
            return Ok(None);
        }
        self.0.list(issuer, shard).await.map(Some)
    }

    /// The register has changed; these are revoked now. Lists that lack one are dropped before this returns, and signed anew behind the
    /// caller's back.
    pub fn heed(&self, revoked: &[(IssuerId, Serial)]) {
        for (place, issuer) in self.0.issuers.iter().enumerate() {
            let ours = revoked.iter().filter(|(of, _)| *of == issuer.ca.id).map(|(_, serial)| *serial);
            let dropped = issuer.write().drop_outdated(ours);
            if dropped.is_empty() {
                continue;
            }
            let inner = Arc::clone(&self.0);
            tokio::spawn(async move {
                for shard in dropped {
                    if let Err(error) = inner.list(&inner.issuers[place], shard).await {
                        // Whoever asks next has it signed then.
                        tracing::warn!(%error, issuer = inner.issuers[place].name, "a revocation list was not signed ahead");
                    }
                }
            });
        }
    }

    /// What is due by itself: the full lists; lists that are past are forgotten. To be called every minute or so.
    pub async fn tend(&self) -> Result<(), ListError> {
        let now = self.now();
        let mut outcome = Ok(());
        for issuer in &self.0.issuers {
            issuer.write().kept.retain(|_, list| now < list.next_update);
            if now <= issuer.end()
                && let Err(error) = self.0.list(issuer, None).await
            {
                outcome = Err(error); // the other CAs' are not kept waiting
            }
        }
        outcome
    }
}

impl Inner {
    /// The list at hand, until half its life is over; then a new one, or the old one for as long as no new one can be had.
    async fn list(&self, issuer: &Issuer, shard: Option<Shard>) -> Result<Arc<List>, ListError> {
        if let Some(list) = issuer.young(shard, self.authority.now()) {
            return Ok(list);
        }
        let _turn = match (issuer.turn.try_lock(), issuer.valid(shard, self.authority.now())) {
            (Ok(turn), _) => turn,
            (Err(_), Some(old)) => return Ok(old), // somebody is at it
            (Err(_), None) => issuer.turn.lock().await,
        };
        let now = self.authority.now();
        if let Some(list) = issuer.young(shard, now) {
            return Ok(list);
        }
        let is_spared = now < issuer.read().spared_until;
        let error = match if is_spared { Err(ListError::Slow) } else { self.renew(issuer, shard).await } {
            Ok(list) => return Ok(list),
            Err(error) => error,
        };
        if !is_spared {
            issuer.write().spared_until = now.plus_seconds(SPARED_SECONDS);
        }
        let old = issuer.valid(shard, now).ok_or(error)?;
        tracing::warn!(issuer = issuer.name, until = %old.next_update, "a revocation list could not be replaced; the old one is given");
        Ok(old)
    }

    /// Signs a list of what the register says, and keeps it, unless something was revoked meanwhile.
    async fn renew(&self, issuer: &Issuer, shard: Option<Shard>) -> Result<Arc<List>, ListError> {
        let now = self.authority.now();
        let (changes, known, hour) = issuer.known(now);
        let (register, read_at) = match known {
            Some(known) => known,
            None => (self.read(issuer, now).await?, now),
        };
        let address = self.authority.ca().urls.crl_base.as_ref().zip(shard);
        let address = address.map(|(base, shard)| format!("{base}{}", path(&issuer.ca.cert, Some(shard))));
        let (ca, all, life_seconds, end) =
            (Arc::clone(&issuer.ca), Arc::clone(&register), self.life_seconds, issuer.end());
        // A long list takes a while.
        let signed = tokio::task::spawn_blocking(move || {
            Draft::new(&all, shard, now, hour, life_seconds, end).into_list(&ca, address.as_deref(), now)
        });
        let list = Arc::new(signed.await.map_err(|_| ListError::Ending)??);
        issuer.write().keep(changes, (register, read_at), shard, &list);
        Ok(list)
    }

    async fn read(&self, issuer: &Issuer, now: Timestamp) -> Result<Arc<Revocations>, ListError> {
        let scope = Actor::System { job: "crl" }.scope();
        // One life beyond its end, in which there are two lists by schedule, so one is on at least one that was made after it (section 3.3).
        let since = now.plus_seconds(-self.life_seconds - HOUR_SECONDS);
        let asked = self.authority.reader().revocations(scope, issuer.ca.id, since);
        let found = tokio::time::timeout(PATIENCE, asked).await.map_err(|_| ListError::Slow)??;
        Ok(Arc::new(found))
    }
}

/// The root's list, on which nothing stands: for programs that want a list of every CA above a certificate. Good for so many days; the root's
/// key must be at hand.
pub fn root_list(folders: &Folders<'_>, pass: &Passphrase, days: Days, now: Timestamp) -> Result<List, CeremonyError> {
    let (root, signer) = open_root(folders, pass)?;
    let end = root.validity().not_after;
    let ca = IssuingCa { id: IssuerId(0), cert: root.clone(), root, signer: Box::new(signer), urls: Urls::default() };
    let draft = Draft::new(&Revocations::default(), None, now, 0, days.0 * 86_400, end);
    Ok(draft.into_list(&ca, None, now)?)
}

impl State {
    fn new() -> Self {
        let (kept, spared_until) = (HashMap::new(), Timestamp(0));
        Self { changes: 0, register: None, is_outdated: false, hour: 0, spared_until, kept }
    }

    /// Keeps a list and what it was made from, unless something was revoked since there were so many `changes`. What was read may be newer
    /// than what others were made from.
    fn keep(&mut self, changes: u64, register: (Arc<Revocations>, Timestamp), shard: Option<Shard>, list: &Arc<List>) {
        self.hour = self.hour.max(list.hour);
        if self.changes != changes {
            return;
        }
        if self.register.as_ref().is_none_or(|(known, _)| !Arc::ptr_eq(known, &register.0)) {
            for outdated in self.lists_without(register.0.listed.iter().map(|one| one.serial)) {
                self.kept.remove(&outdated);
            }
        }
        (self.register, self.is_outdated) = (Some(register), false);
        self.kept.insert(shard, Arc::clone(list));
    }

    /// Forgets the lists that lack one of these; says which ones.
    fn drop_outdated(&mut self, revoked: impl Iterator<Item = Serial>) -> Vec<Option<Shard>> {
        let mut outdated = self.lists_without(revoked);
        if !outdated.is_empty() {
            // What is being read or signed right now may lack it, too.
            (self.changes, self.is_outdated) = (self.changes + 1, true);
            outdated.retain(|shard| self.kept.remove(shard).is_some());
        }
        outdated
    }

    /// The lists on which those of these would stand that were not known when lists were made: the shards', and last the full one.
    fn lists_without(&self, revoked: impl Iterator<Item = Serial>) -> Vec<Option<Shard>> {
        let is_known = |serial: &Serial| {
            let register = self.register.as_ref();
            register.is_some_and(|(register, _)| register.listed.binary_search_by_key(serial, |one| one.serial).is_ok())
        };
        let mut lists: Vec<_> =
            revoked.filter(|serial| !is_known(serial)).map(|serial| Some(Shard::of(serial))).collect();
        lists.sort_unstable();
        lists.dedup();
        if !lists.is_empty() {
            lists.push(None);
        }
        lists
    }
}

impl Issuer {
    /// The CA's last second.
    fn end(&self) -> Timestamp {
        self.ca.cert.validity().not_after
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().expect("nothing panics while holding this lock")
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().expect("nothing panics while holding this lock")
    }

    /// The list at hand, in the first half of its life.
    fn young(&self, shard: Option<Shard>, now: Timestamp) -> Option<Arc<List>> {
        self.read().kept.get(&shard).filter(|list| now < list.due_at).cloned()
    }

    /// The list at hand, until its end.
    fn valid(&self, shard: Option<Shard>, now: Timestamp) -> Option<Arc<List>> {
        self.read().kept.get(&shard).filter(|list| now < list.next_update).cloned()
    }

    /// How many changes there were, what was read of the register lately, if it is still right, and the latest hour.
    fn known(&self, now: Timestamp) -> (u64, Option<(Arc<Revocations>, Timestamp)>, i64) {
        let state = self.read();
        let is_right = |(_, read_at): &&(_, Timestamp)| {
            !state.is_outdated && (0..REREAD_SECONDS).contains(&now.0.saturating_sub(read_at.0))
        };
        (state.changes, state.register.as_ref().filter(is_right).cloned(), state.hour)
    }
}

/// A list before it is signed.
struct Draft {
    hour: i64,
    number: u64,
    this_update: Timestamp,
    next_update: Timestamp,
    due_at: Timestamp,
    revoked: Vec<Revoked>,
}

impl Draft {
    /// Its number is the hour, and behind it how many certificates the CA ever revoked: what stands in the register, and no clock that goes
    /// back. Whoever makes a list later, here, after a restart or on another node, gets a higher number, or the same one for the same list.
    /// The hour is never before the latest revocation, which another node with another clock may have made, nor before that of an earlier
    /// list of this process.
    fn new(
        register: &Revocations,
        shard: Option<Shard>,
        now: Timestamp,
        hour: i64,
        life_seconds: i64,
        end: Timestamp,
    ) -> Self {
        let latest = register.listed.iter().map(|one| one.at).max().unwrap_or(Timestamp(0));
        let hour_of = |at: Timestamp| at.0.div_euclid(HOUR_SECONDS);
        let begin = Timestamp(hour_of(now) * HOUR_SECONDS);
        // A clock that was wrong by far does not hold the hour for long.
        let hour = hour_of(now.max(latest.min(now.plus_seconds(HOUR_SECONDS)))).max(hour);
        let since = begin.plus_seconds(-life_seconds);
        let belongs =
            |one: &&Revocation| one.not_after >= since && shard.is_none_or(|shard| shard == Shard::of(one.serial));
        let entry = |one: &Revocation| Revoked { serial: one.serial, at: one.at, reason: one.reason };
        let revoked: Vec<_> = register.listed.iter().filter(belongs).map(entry).collect();
        // It was not known before it was so.
        let newest = revoked.iter().map(|one| one.at).max().unwrap_or(Timestamp(0));
        let this_update = begin.plus_seconds(-BACKDATE_SECONDS).max(newest).min(now);
        let next_update = begin.plus_seconds(life_seconds).min(end);
        let due_at = begin.plus_seconds(life_seconds / 2).min(next_update);
        let number = u64::try_from(hour).unwrap_or(0) << 32 | register.ever.min(u64::from(u32::MAX));
        Self { hour, number, this_update, next_update, due_at, revoked }
    }

    fn into_list(self, ca: &IssuingCa, address: Option<&str>, now: Timestamp) -> Result<List, IssueError> {
        let Self { hour, number, this_update, next_update, due_at, ref revoked } = self;
        let issuer = &ca.cert;
        let der = ca.sign_list(&Contents { issuer, address, number, this_update, next_update, revoked })?;
        let (tag, entries) = (tag(&der), revoked.len());
        Ok(List { der: der.into(), number, entries, this_update, next_update, hour, signed_at: now, due_at, tag })
    }
}

#[cfg(test)]
mod tests {
    use tegata_core::cert::RevocationReason;

    use super::*;

    const NOW: Timestamp = Timestamp(1_795_000_000);
    const LIFE: i64 = 24 * 3600;

    fn serial(last: u8) -> Serial {
        Serial::from_bytes([0x20, 0x29, 0x11, 0x22, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, last])
    }

    fn register(ever: u64, lasts: &[u8]) -> Arc<Revocations> {
        let one = |last: &u8| Revocation {
            serial: serial(*last),
            not_after: NOW,
            at: NOW.plus_seconds(-10_000),
            reason: RevocationReason::KeyCompromise,
        };
        Arc::new(Revocations { ever, listed: lasts.iter().map(one).collect() })
    }

    fn draft(register: &Revocations, now: Timestamp, hour: i64) -> Draft {
        Draft::new(register, None, now, hour, LIFE, NOW.plus_seconds(1000 * LIFE))
    }

    fn list(number: u64) -> Arc<List> {
        let (this_update, next_update, signed_at, due_at) = (NOW, NOW, NOW, NOW);
        let der = [].into();
        Arc::new(List { der, number, entries: 0, this_update, next_update, hour: 1, signed_at, due_at, tag: [0; 16] })
    }

    fn number(state: &State, shard: Option<Shard>) -> Option<u64> {
        state.kept.get(&shard).map(|list| list.number)
    }

    /// Otherwise a list that was read before a revocation and signed after it was heard of would stay for half a day.
    #[test]
    fn what_was_read_before_a_change_is_not_kept() {
        let mut state = State::new();
        assert!(state.drop_outdated([serial(1)].into_iter()).is_empty(), "nothing to drop, but it counts");
        state.keep(0, (register(0, &[]), NOW), None, &list(1));
        assert_eq!((number(&state, None), state.hour), (None, 1), "the hour was given out all the same");
        state.keep(1, (register(1, &[1]), NOW), None, &list(2));
        assert_eq!(number(&state, None), Some(2));
    }

    #[test]
    fn a_revocation_drops_the_full_list_and_its_shards_and_no_other() {
        let [one, two] = [1, 2].map(|last| Some(Shard::of(serial(last))));
        let mut state = State::new();
        for shard in [None, one, two] {
            state.keep(0, (register(1, &[1]), NOW), shard, &list(1));
        }
        assert!(state.drop_outdated([serial(1)].into_iter()).is_empty(), "it is on the lists already");
        assert_eq!(state.drop_outdated([serial(1), serial(2), serial(0x82)].into_iter()), [two, None]);
        assert_eq!([None, one, two].map(|shard| number(&state, shard)), [None, Some(1), None]);
        assert!(state.is_outdated, "what was read is not used again");
    }

    /// A list of one shard may be the first to be made of a register that the others do not know yet.
    #[test]
    fn what_is_read_anew_drops_the_lists_that_lack_something_of_it() {
        let [one, two] = [1, 2].map(|last| Some(Shard::of(serial(last))));
        let mut state = State::new();
        for shard in [None, one, two] {
            state.keep(0, (register(1, &[1]), NOW), shard, &list(1));
        }
        let three = Some(Shard::of(serial(3)));
        state.keep(0, (register(2, &[1, 2]), NOW), three, &list(2));
        assert_eq!([None, one, two, three].map(|shard| number(&state, shard)), [None, Some(1), None, Some(2)]);
        assert!(state.drop_outdated([serial(2)].into_iter()).is_empty() && !state.is_outdated);
    }

    #[test]
    fn numbers_grow_with_each_hour_and_each_revocation_and_never_go_back_with_the_clock() {
        let steps = [
            draft(&register(7, &[1]), NOW, 0),
            draft(&register(8, &[1, 2]), NOW, 0),
            draft(&register(8, &[1, 2]), NOW.plus_seconds(3600), 0),
            draft(&register(9, &[1, 2, 3]), NOW.plus_seconds(3600), 0),
        ];
        assert!(steps.is_sorted_by(|before, after| before.number < after.number));
        let again = draft(&register(9, &[1, 2, 3]), NOW.plus_seconds(3601), 0);
        let last = &steps[3];
        assert_eq!((again.number, again.this_update), (last.number, last.this_update));
        assert_eq!(again.revoked, last.revoked, "the same number says the same");
        let clock_set_back = draft(&register(10, &[1, 2, 3, 4]), NOW, last.hour);
        assert!(clock_set_back.number > last.number && clock_set_back.this_update <= NOW);
        // After a restart, or on a node whose clock is behind, the latest revocation holds the number up, but not the times.
        let revoked_at = NOW.plus_seconds(-10_000);
        for (behind, hour) in [(60, revoked_at.0 / 3600), (90_000, revoked_at.plus_seconds(3600 - 90_000).0 / 3600)] {
            let now = revoked_at.plus_seconds(-behind);
            let draft = draft(&register(7, &[1]), now, 0);
            assert_eq!(draft.hour, hour, "{behind}");
            assert!(draft.this_update <= now && draft.next_update <= now.plus_seconds(LIFE));
        }
    }

    #[test]
    fn an_entry_stays_for_a_whole_life_beyond_its_end_and_then_goes() {
        let begin = Timestamp(NOW.0 / 3600 * 3600);
        let ended = |not_after: Timestamp| {
            let mut register = Revocations::clone(&register(1, &[1]));
            register.listed[0].not_after = not_after;
            draft(&register, NOW, 0).revoked.len()
        };
        assert_eq!(ended(begin.plus_seconds(-LIFE)), 1);
        assert_eq!(ended(begin.plus_seconds(-LIFE - 1)), 0);
    }
}
