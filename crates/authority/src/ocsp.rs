//! Answers about certificates for everybody (OCSP, RFC 6960, in the profile of RFC 5019). What they say is read from the register; they are
//! signed by delegated keys, one for each issuing CA whose certificates can still count. An answer is signed once and kept: it is given again without a look at the register until it is about
//! an hour old, signed anew before that where somebody asks for it, and at once when its certificate is revoked by whatever process.
//!
//! Strangers can ask for anything, so everything that is not kept costs from one budget: what goes beyond is answered `tryLater`, or, where
//! only a nonce made a kept answer unfit, with that answer (RFC 9654 section 2.1 lets a responder leave the nonce out).

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use tegata_core::access::Actor;
use tegata_core::id::{IssuerId, Serial};
use tegata_core::time::{Days, Timestamp};
use tegata_pki::ocsp::{CertId, Hash, IssuerHashes, Refusal, Request, Responder, Single, Status};
use tegata_pki::signer::SignError;
use tegata_store::StoreError;
use tokio::sync::Semaphore;

use crate::freshness::tag;
use crate::{Authority, AuthorityError, Freshness, IssuingCa};

/// An answer may be relied on for so long.
const LIFE_SECONDS: i64 = 2 * 3600;
/// After so long another one is signed; others are told to keep it no longer.
const REFRESH_SECONDS: i64 = 3600;
/// thisUpdate lies this far back, for those whose clock is slow.
const BACKDATE_SECONDS: i64 = 600;
/// So long before its end the responder's certificate is replaced.
const RESPONDER_ROOM: Days = Days(3);
/// Answers kept, about 1.2 kB each.
const MAX_KEPT: usize = 40_000;
/// Certificates looked up or signed for in one second, besides those kept.
const BUDGET_PER_SECOND: NonZeroU32 = NonZeroU32::new(1000).expect("not zero");
/// Questions to the register at the same time: it has more to do.
const LOOKUPS: usize = 2;
/// How long a stranger waits for the register.
const PATIENCE: Duration = Duration::from_secs(2);

/// The OCSP responder of this process; cheap to clone.
#[derive(Clone)]
pub struct Ocsp(Arc<Inner>);

struct Inner {
    authority: Authority,
    /// First that of the CA that signs.
    delegations: Vec<Delegation>,
    kept: RwLock<Kept>,
    budget: DefaultDirectRateLimiter,
    lookups: Semaphore,
}

/// A CA and its responder, whose certificate is good for no other CA (RFC 6960 section 4.2.2.2).
struct Delegation {
    ca: Arc<IssuingCa>,
    hashes: IssuerHashes,
    responder: RwLock<Arc<Responder>>,
}

/// An answer.
#[derive(Clone, Debug)]
pub enum Answer {
    /// OCSPResponse in DER, the same for everybody; others may keep it too.
    Kept(Arc<[u8]>, Freshness),
    /// OCSPResponse in DER for this request alone.
    Once(Vec<u8>),
    /// No signed answer.
    Refused(Refusal),
}

/// Signed answers by what is asked, and how often that was thinned out because of a change of the register.
#[derive(Default)]
struct Kept {
    changes: u64,
    answers: HashMap<Name, Arc<KeptAnswer>>,
}

/// A certificate of ours as a request names it: everything in a CertID that can differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Name {
    /// Its issuer: the place in `Inner::delegations`.
    ca: usize,
    serial: Serial,
    hash: Hash,
    has_null: bool,
}

struct KeptAnswer {
    answer: Answer,
    freshness: Freshness,
    known: Known,
    /// The CertID, for signing again.
    certificate: Box<[u8]>,
    is_wanted: AtomicBool,
}

/// Why an answer was not signed, or a responder not replaced.
#[derive(Debug, thiserror::Error)]
pub enum OcspError {
    /// The register.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The register takes too long.
    #[error("the register did not answer in time")]
    Slow,
    /// The signature.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// The responder's certificate was not replaced in time.
    #[error("the certificate of the OCSP responder ended at {0}")]
    Ended(Timestamp),
    /// Making a responder.
    #[error("the OCSP responder was not replaced: {0}")]
    Responder(#[from] AuthorityError),
}

impl OcspError {
    /// What is said of it to a stranger. Trouble with the register passes by itself, and is in the log already.
    fn refusal(&self) -> Refusal {
        match self {
            Self::Store(_) | Self::Slow => {
                tracing::debug!(error = %self, "a question about a certificate was not answered");
                Refusal::TryLater
            }
            Self::Sign(_) | Self::Ended(_) | Self::Responder(_) => {
                tracing::error!(error = %self, "a question about a certificate was not answered");
                Refusal::InternalError
            }
        }
    }
}

/// A status, and from when to when it stands.
#[derive(Clone, Copy)]
struct Known {
    status: Status,
    this_update: Timestamp,
    next_update: Timestamp,
}

impl Ocsp {
    /// Makes a responder's key for each of these CAs, first the one that signs ([`Authority::with_elders`]), and has it certified.
    pub async fn open(authority: Authority, cas: &[Arc<IssuingCa>]) -> Result<Self, AuthorityError> {
        let mut delegations = Vec::with_capacity(cas.len());
        for ca in cas {
            delegations.push(Delegation::open(&authority, Arc::clone(ca)).await?);
        }
        let budget = RateLimiter::direct(Quota::per_second(BUDGET_PER_SECOND));
        let lookups = Semaphore::new(LOOKUPS);
        Ok(Self(Arc::new(Inner { authority, delegations, kept: RwLock::default(), budget, lookups })))
    }

    /// The answer to a request, if it is at hand; at once and without the register. Otherwise ask [`Ocsp::answer`].
    pub fn kept(&self, request: &[u8]) -> Option<Answer> {
        let request = Request::parse(request).ok().filter(|request| request.nonce.is_none())?;
        let kept = self.0.find(&request, self.0.authority.now())?;
        Some(kept.answer.clone())
    }

    /// Answers a request, whatever its bytes are.
    pub async fn answer(&self, request: &[u8]) -> Answer {
        self.0.answer(request).await.unwrap_or_else(Answer::Refused)
    }

    /// Where we are in time, by the same clock that answers are made by.
    pub fn now(&self) -> Timestamp {
        self.0.authority.now()
    }

    /// The register has changed; these are revoked now. Answers that say otherwise are dropped before this returns, and signed anew behind
    /// the caller's back.
    pub fn heed(&self, revoked: &[(IssuerId, Serial)]) {
        let dropped = self.0.drop_outdated(revoked);
        if dropped.is_empty() {
            return;
        }
        let inner = Arc::clone(&self.0);
        tokio::spawn(async move {
            for (name, old) in dropped {
                if let Err(error) = inner.renew(name, &old.certificate).await {
                    // Whoever asks next has it signed then.
                    tracing::warn!(%error, cert.serial = %name.serial, "the answer for a revoked certificate was not signed ahead");
                }
            }
        });
    }

    /// What is due by itself: other certificates of responders, and answers that begin to age. To be called every minute or so.
    pub async fn tend(&self) -> Result<(), OcspError> {
        let inner = &*self.0;
        let now = inner.authority.now();
        for delegation in &inner.delegations {
            delegation.tend(&inner.authority).await?;
        }
        for (name, old) in inner.aging(now) {
            if old.is_wanted.load(Ordering::Relaxed) && now <= inner.delegations[name.ca].end() {
                inner.renew(name, &old.certificate).await?;
            } else if now >= old.freshness.next_update {
                inner.kept.write().expect("nothing panics while holding this lock").answers.remove(&name);
            }
        }
        Ok(())
    }
}

impl Inner {
    async fn answer(&self, request: &[u8]) -> Result<Answer, Refusal> {
        let request = Request::parse(request).map_err(|_| Refusal::MalformedRequest)?;
        let now = self.authority.now();
        let ca = self.meant_by(&request, now).ok_or(Refusal::Unauthorized)?;
        let kept = self.find(&request, now);
        if request.nonce.is_none()
            && let Some(kept) = kept
        {
            return Ok(kept.answer.clone());
        }
        if !self.afford(request.certificates.len()) {
            return kept.map(|kept| kept.answer.clone()).ok_or(Refusal::TryLater);
        }
        match (request.certificates.as_slice(), request.nonce) {
            ([only], None) => self.answer_and_keep(ca, only).await,
            (several, nonce) => self.answer_once(ca, several, nonce, now).await,
        }
    }

    /// Which CA can speak about all that is asked: one answer has one signature. A CA that has ended speaks no more, since all that it issued
    /// has ended, too.
    fn meant_by(&self, request: &Request<'_>, now: Timestamp) -> Option<usize> {
        let is_meant = |ca: &Delegation| request.certificates.iter().all(|asked| ca.hashes.are_meant_by(asked));
        self.delegations.iter().position(is_meant).filter(|ca| now <= self.delegations[*ca].end())
    }

    fn find(&self, request: &Request<'_>, now: Timestamp) -> Option<Arc<KeptAnswer>> {
        let [only] = request.certificates.as_slice() else { return None };
        self.kept_answer(name(self.meant_by(request, now)?, only)?, now)
    }

    fn kept_answer(&self, name: Name, now: Timestamp) -> Option<Arc<KeptAnswer>> {
        let kept = self.kept.read().expect("nothing panics while holding this lock");
        let found = kept.answers.get(&name).filter(|found| now < found.freshness.next_update)?;
        if !found.is_wanted.load(Ordering::Relaxed) {
            found.is_wanted.store(true, Ordering::Relaxed);
        }
        Some(Arc::clone(found))
    }

    fn afford(&self, certificates: usize) -> bool {
        let cost = u32::try_from(certificates).ok().and_then(NonZeroU32::new).unwrap_or(BUDGET_PER_SECOND);
        matches!(self.budget.check_n(cost), Ok(Ok(())))
    }

    async fn answer_and_keep(&self, ca: usize, asked: &CertId<'_>) -> Result<Answer, Refusal> {
        let signed = match name(ca, asked) {
            Some(name) => self.renew(name, asked.der).await,
            None => self.sign_unknown(ca, asked.der),
        };
        signed.map_err(|error| error.refusal())
    }

    async fn answer_once(
        &self,
        ca: usize,
        several: &[CertId<'_>],
        nonce: Option<&[u8]>,
        now: Timestamp,
    ) -> Result<Answer, Refusal> {
        let mut singles = Vec::with_capacity(several.len());
        for asked in several {
            let known = match name(ca, asked) {
                Some(name) => match self.kept_answer(name, now) {
                    Some(kept) => kept.known,
                    None => self.look_up(name).await.map_err(|error| error.refusal())?,
                },
                None => self.known(ca, Status::Unknown),
            };
            singles.push(known.single(asked.der));
        }
        self.respond(ca, &singles, nonce).map(Answer::Once).map_err(|error| error.refusal())
    }

    /// Asks the register, signs, and keeps what was signed, unless the register changed meanwhile or the certificate was never issued: of
    /// those there is no end.
    async fn renew(&self, name: Name, certificate: &[u8]) -> Result<Answer, OcspError> {
        let changes = self.kept.read().expect("nothing panics while holding this lock").changes;
        let known = self.look_up(name).await?;
        if known.status == Status::Unknown {
            return self.sign_unknown(name.ca, certificate);
        }
        let der = self.respond(name.ca, &[known.single(certificate)], None)?;
        let produced_at = self.authority.now();
        let refreshed_at = produced_at.plus_seconds(REFRESH_SECONDS).min(known.next_update);
        let freshness = Freshness { produced_at, next_update: known.next_update, refreshed_at, tag: tag(&der) };
        let answer = Answer::Kept(der.into(), freshness);
        let kept = KeptAnswer {
            answer: answer.clone(),
            freshness,
            known,
            certificate: certificate.into(),
            is_wanted: AtomicBool::new(false),
        };
        self.kept.write().expect("nothing panics while holding this lock").keep(changes, name, kept);
        Ok(answer)
    }

    async fn look_up(&self, name: Name) -> Result<Known, OcspError> {
        let scope = Actor::System { job: "ocsp" }.scope();
        let issuer = self.delegations[name.ca].ca.id;
        let asked = async {
            // It is never closed.
            let _turn = self.lookups.acquire().await;
            self.authority.reader().issued_serial(scope, issuer, name.serial).await
        };
        let found = tokio::time::timeout(PATIENCE, asked).await.map_err(|_| OcspError::Slow)??;
        Ok(self.known(
            name.ca,
            match found {
                None => Status::Unknown,
                Some(issued) => issued.revoked.map_or(Status::Good, |(at, reason)| Status::Revoked(at, reason)),
            },
        ))
    }

    fn known(&self, ca: usize, status: Status) -> Known {
        let now = self.authority.now();
        let begin = now.plus_seconds(-BACKDATE_SECONDS);
        let this_update = match status {
            // It was not known before it was so.
            Status::Revoked(at, _) => begin.max(at.min(now)),
            Status::Good | Status::Unknown => begin,
        };
        let end = self.delegations[ca].responder().validity().not_after;
        Known { status, this_update, next_update: now.plus_seconds(LIFE_SECONDS).min(end) }
    }

    fn sign_unknown(&self, ca: usize, certificate: &[u8]) -> Result<Answer, OcspError> {
        self.respond(ca, &[self.known(ca, Status::Unknown).single(certificate)], None).map(Answer::Once)
    }

    fn respond(&self, ca: usize, singles: &[Single<'_>], nonce: Option<&[u8]>) -> Result<Vec<u8>, OcspError> {
        let (responder, now) = (self.delegations[ca].responder(), self.authority.now());
        let end = responder.validity().not_after;
        if now > end {
            return Err(OcspError::Ended(end));
        }
        Ok(responder.respond(singles, now, nonce)?)
    }

    fn drop_outdated(&self, revoked: &[(IssuerId, Serial)]) -> Vec<(Name, Arc<KeptAnswer>)> {
        let place = |issuer| self.delegations.iter().position(|one| one.ca.id == issuer);
        let mut kept = self.kept.write().expect("nothing panics while holding this lock");
        kept.changes += 1;
        let ours = revoked.iter().filter_map(|(issuer, serial)| Some((place(*issuer)?, *serial)));
        let names = ours.flat_map(|(ca, serial)| names(ca, serial));
        let outdated: Vec<Name> = names
            .filter(|name| kept.answers.get(name).is_some_and(|answer| answer.known.status == Status::Good))
            .collect();
        outdated.into_iter().filter_map(|name| kept.answers.remove(&name).map(|answer| (name, answer))).collect()
    }

    fn aging(&self, now: Timestamp) -> Vec<(Name, Arc<KeptAnswer>)> {
        let kept = self.kept.read().expect("nothing panics while holding this lock");
        let aging = kept.answers.iter().filter(|(_, answer)| now >= answer.freshness.refreshed_at);
        aging.map(|(name, answer)| (*name, Arc::clone(answer))).collect()
    }
}

impl Delegation {
    async fn open(authority: &Authority, ca: Arc<IssuingCa>) -> Result<Self, AuthorityError> {
        let hashes = IssuerHashes::of(&ca.cert);
        let responder = RwLock::new(Arc::new(authority.issue_responder(&ca).await?));
        Ok(Self { ca, hashes, responder })
    }

    /// The CA's last second.
    fn end(&self) -> Timestamp {
        self.ca.cert.validity().not_after
    }

    fn responder(&self) -> Arc<Responder> {
        Arc::clone(&self.responder.read().expect("nothing panics while holding this lock"))
    }

    /// Replaces the responder near its end, unless the CA itself ends with it.
    async fn tend(&self, authority: &Authority) -> Result<(), AuthorityError> {
        let end = self.responder().validity().not_after;
        if authority.now() >= end.plus_days(Days(-RESPONDER_ROOM.0)) && self.end() > end {
            let fresh = Arc::new(authority.issue_responder(&self.ca).await?);
            *self.responder.write().expect("nothing panics while holding this lock") = fresh;
        }
        Ok(())
    }
}

impl Kept {
    fn keep(&mut self, changes: u64, name: Name, answer: KeptAnswer) {
        if self.changes != changes {
            return;
        }
        if self.answers.len() >= MAX_KEPT && !self.answers.contains_key(&name) {
            // Every second one goes: cheap, and the other half still answers.
            let mut stays = false;
            self.answers.retain(|_, _| {
                stays = !stays;
                stays
            });
        }
        self.answers.insert(name, Arc::new(answer));
    }
}

impl Known {
    fn single<'a>(&self, certificate: &'a [u8]) -> Single<'a> {
        let Self { status, this_update, next_update } = *self;
        Single { certificate, status, this_update, next_update }
    }
}

/// `None` for a number that none of our certificates has: they are all of one length.
fn name(ca: usize, asked: &CertId<'_>) -> Option<Name> {
    let serial = Serial::from_bytes(asked.serial.try_into().ok()?);
    Some(Name { ca, serial, hash: asked.hash?, has_null: asked.has_null })
}

/// Every way to ask about one certificate.
fn names(ca: usize, serial: Serial) -> impl Iterator<Item = Name> {
    let ways = [Hash::Sha1, Hash::Sha256].into_iter().flat_map(|hash| [(hash, true), (hash, false)]);
    ways.map(move |(hash, has_null)| Name { ca, serial, hash, has_null })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(number: u64) -> (Name, KeptAnswer) {
        let mut serial = [0; 16];
        serial[8..].copy_from_slice(&number.to_be_bytes());
        let name = Name { ca: 0, serial: Serial::from_bytes(serial), hash: Hash::Sha1, has_null: true };
        let at = Timestamp(0);
        let freshness = Freshness { produced_at: at, next_update: at, refreshed_at: at, tag: [0; 16] };
        let known = Known { status: Status::Good, this_update: at, next_update: at };
        let answer = Answer::Kept(Arc::new([]), freshness);
        (name, KeptAnswer { answer, freshness, known, certificate: [].into(), is_wanted: AtomicBool::new(false) })
    }

    /// Otherwise an answer that was read before a revocation and signed after it was heard of would stay for hours.
    #[test]
    fn what_was_read_before_a_change_is_not_kept() {
        let mut kept = Kept { changes: 8, ..Kept::default() };
        let (name, answer) = answer(1);
        kept.keep(7, name, answer);
        assert!(kept.answers.is_empty());
        let (name, answer) = self::answer(1);
        kept.keep(8, name, answer);
        assert_eq!(kept.answers.len(), 1);
    }

    #[test]
    fn no_more_than_so_many_are_kept() {
        let mut kept = Kept::default();
        for number in 0..=MAX_KEPT as u64 {
            let (name, answer) = answer(number);
            kept.keep(0, name, answer);
        }
        assert_eq!(kept.answers.len(), MAX_KEPT / 2 + 1);
    }
}
