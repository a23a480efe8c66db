//! Programs that bring their own key (EST, RFC 7030): a first certificate by a code or by another certificate of the same terminal, and
//! re-enrolment of one that is due. Asking again with the same key within a day gives the same certificate, so that an answer that got
//! lost costs nothing.

use std::net::IpAddr;

use tegata_core::access::Actor;
use tegata_core::audit::{Action, Entry};
use tegata_core::cert::CertRecord;
use tegata_core::customer::Customer;
use tegata_core::id::{CertificateId, CustomerId, IssuerId, Serial, TerminalId};
use tegata_core::invitation::{Code, InvitationError};
use tegata_core::peer::PeerCert;
use tegata_core::profile::{KeyKind, Profile, Purpose};
use tegata_core::renewal::{self, Permit, PermitError};
use tegata_core::secret::Secret;
use tegata_core::terminal::Terminal;
use tegata_core::time::{Days, Timestamp};
use tegata_pki::csr::{Csr, NameMismatch};
use tegata_pki::issue::Leaf;
use tegata_pki::key::PublicKey;
use tegata_store::{StoreError, Tx};

use crate::issue::{Order, record};
use crate::{Authority, AuthorityError, BundleError, Identity, RenewError, about};

/// For how long the same key gets the same certificate, and within which a terminal's certificates are counted.
const A_DAY: i64 = 86_400;

/// What a program shows to get a certificate that it does not renew.
pub enum Proof<'a> {
    /// A valid certificate of the same terminal.
    Certificate(&'a PeerCert),
    /// The code of an invitation, and from where it was sent.
    Code(&'a Code, IpAddr),
}

/// A certificate for a program's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issued {
    /// The certificate (DER).
    pub der: Vec<u8>,
    /// Its serial.
    pub serial: Serial,
    /// Whether it was made just now; false where an earlier answer is repeated.
    pub new: bool,
}

/// A certificate with the key that we made for it.
pub struct KeyAndCertificate {
    /// The private key (PKCS#8).
    pub key: Secret<Vec<u8>>,
    /// The certificate (DER).
    pub der: Vec<u8>,
}

/// Why a program got no certificate.
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    /// The rules say no.
    #[error(transparent)]
    Permit(#[from] PermitError),
    /// The register does not know the presented certificate.
    #[error("the presented certificate is not in the register")]
    Unknown,
    /// There is no profile for agents in the configuration.
    #[error("this service has no agents: its configuration has no [profile.agent]")]
    NoAgents,
    /// A key that the profile does not certify.
    #[error("keys of the kind {kind} are not certified by the profile {profile:?}")]
    KeyKind {
        /// The profile.
        profile: String,
        /// The key's kind.
        kind: KeyKind,
    },
    /// The names of the request are not those of the certificate to be renewed.
    #[error(transparent)]
    Names(#[from] NameMismatch),
    /// The terminal has no certificate of that purpose that could be renewed.
    #[error("the terminal has no certificate of this kind yet: enrol instead of re-enrolling")]
    NothingToRenew,
    /// The key may be in other hands: a certificate of it was revoked for that.
    #[error("a certificate of this key was revoked because the key may be in other hands: make a new key")]
    CompromisedKey,
    /// So many certificates were issued to the terminal today that something must be wrong with the program.
    #[error("{0} certificates were issued to this terminal within 24 hours; no more are for now")]
    TooMany(u32),
    /// The code is wrong, or nobody knows it.
    #[error("the enrolment code is not right")]
    WrongCode,
    /// Too many codes were tried from this address.
    #[error("too many enrolment codes were tried from this address")]
    TooManyCodes,
    /// The code is right, and gets nothing or nothing yet.
    #[error(transparent)]
    Invitation(#[from] InvitationError),
    /// Something inside.
    #[error(transparent)]
    Internal(#[from] AuthorityError),
}

impl From<StoreError> for ProgramError {
    fn from(error: StoreError) -> Self {
        Self::Internal(error.into())
    }
}

impl From<BundleError> for ProgramError {
    fn from(error: BundleError) -> Self {
        match error {
            BundleError::Internal(error) => Self::Internal(error),
            _ => Self::Internal(AuthorityError::Missing("bundle")), // made a moment ago
        }
    }
}

impl From<RenewError> for ProgramError {
    fn from(error: RenewError) -> Self {
        match error {
            RenewError::Permit(refusal) => Self::Permit(refusal),
            RenewError::Unknown => Self::Unknown,
            RenewError::Internal(error) => Self::Internal(error),
        }
    }
}

/// For whom a key is to be certified, by which profile, and what the log says of the proof.
struct Wish<'a> {
    terminal: &'a Terminal,
    customer: &'a Customer,
    profile: &'a Profile,
    key: &'a PublicKey,
    proof: String,
    /// The proof is a certificate whose successor is in use: somebody may have copied it.
    suspicious: bool,
}

impl Authority {
    /// Issues a first certificate of a purpose to a program's key. With a certificate of that same purpose in hand, it is a renewal.
    pub async fn enroll_key(&self, proof: Proof<'_>, purpose: Purpose, csr: &Csr) -> Result<Issued, ProgramError> {
        let profile = self.program_profile(purpose, csr)?;
        match proof {
            Proof::Certificate(presented) => {
                let identity = self.identify(presented).await?.ok_or(ProgramError::Unknown)?;
                let wish = Wish::by(&identity, profile, csr);
                let permit = if presented.purpose == purpose {
                    self.renewal(&identity, &identity.certificate, profile, csr).await?
                } else {
                    let permit = renewal::credential_permit(&identity.certificate, &identity.terminal, self.now())?;
                    Found::Permit(permit)
                };
                self.answer(permit, wish).await
            }
            Proof::Code(code, from) => {
                let key = csr.public_key().hash();
                let (accepted, terminal) = self.redeem(code, from, key).await?;
                let scope = Actor::System { job: "enrolment" }.scope();
                let terminal =
                    self.0.reader.terminal(scope, terminal).await?.ok_or(AuthorityError::Missing("terminal"))?;
                let customer = self.0.reader.customer(scope, terminal.customer).await?;
                let customer = customer.ok_or(AuthorityError::Missing("customer"))?;
                let all = self.0.reader.certificates_of_terminal(scope, terminal.id).await?;
                let waiting = self.0.reader.open_bundle(scope, terminal.id, self.now()).await?;
                let waiting = waiting.map(|row| row.certificate.id);
                let asked = (profile.name.as_str(), self.now());
                let permit = renewal::invitation_permit(accepted, &terminal, (&all, waiting), asked)?;
                let proof = format!("enrolment code {}", code.selector());
                let key = csr.public_key();
                let wish = Wish { terminal: &terminal, customer: &customer, profile, key, proof, suspicious: false };
                self.answer(Found::Permit(permit), wish).await
            }
        }
    }

    /// Renews a certificate of the terminal for the same key or another one (RFC 7030 section 4.2.2). The presented certificate is renewed
    /// where it is of the purpose asked for; else it proves the terminal, and the terminal's latest of that purpose is renewed.
    pub async fn rekey(&self, presented: &PeerCert, purpose: Purpose, csr: &Csr) -> Result<Issued, ProgramError> {
        let profile = self.program_profile(purpose, csr)?;
        let identity = self.identify(presented).await?.ok_or(ProgramError::Unknown)?;
        let other = if presented.purpose == purpose { None } else { Some(self.latest(&identity, profile).await?) };
        let renewed = other.as_ref().unwrap_or(&identity.certificate);
        self.check_names(&identity, renewed, purpose, csr).await?;
        let found = self.renewal(&identity, renewed, profile, csr).await?;
        self.answer(found, Wish::by(&identity, profile, csr)).await
    }

    /// Renews the presented certificate with a key that we make (RFC 7030 section 4.4): the bundle that a person would fetch as a file. The
    /// request's own key is not certified.
    pub async fn server_key(&self, presented: &PeerCert, csr: &Csr) -> Result<KeyAndCertificate, ProgramError> {
        let identity = self.identify(presented).await?.ok_or(ProgramError::Unknown)?;
        self.check_names(&identity, &identity.certificate, Purpose::Client, csr).await?;
        self.renew_terminal(presented, None).await?;
        let actor = identity.actor();
        let row = self.waiting_row(&actor, identity.terminal.id).await?;
        let (key, _) = self.open_row(&row)?;
        let place = (identity.customer.id, identity.terminal.id);
        let entry = about(self.entry(&actor, place, Action::BundleDownloaded, "key"), row.certificate.serial);
        let id = row.certificate.id;
        let suspected = self.fetched_after_use(&actor, &row.certificate, identity.certificate.serial);
        let write = self.0.store.write(move |tx| {
            Box::pin(async move {
                tx.mark_downloaded(id, entry.at).await?;
                if let Some(suspected) = suspected {
                    tx.append_audit(&suspected).await?;
                }
                tx.append_audit(&entry).await.map(|_| ())
            })
        });
        write.await?;
        let der = self.0.reader.certificate_der(actor.scope(), id).await?;
        Ok(KeyAndCertificate { key: key.pkcs8().clone(), der: der.ok_or(AuthorityError::Missing("certificate"))? })
    }

    /// The profile of a purpose, if it certifies the request's kind of key.
    fn program_profile(&self, purpose: Purpose, csr: &Csr) -> Result<&Profile, ProgramError> {
        let profile = self.0.rules.profile(purpose).ok_or(ProgramError::NoAgents)?;
        let kind = csr.public_key().kind();
        if !profile.allows(kind) {
            return Err(ProgramError::KeyKind { profile: profile.name.clone(), kind });
        }
        Ok(profile)
    }

    /// The terminal's certificate of a profile that ends last and is not revoked.
    async fn latest(&self, identity: &Identity, profile: &Profile) -> Result<CertRecord, ProgramError> {
        let scope = identity.actor().scope();
        let all = self.0.reader.certificates_of_terminal(scope, identity.terminal.id).await?;
        let found = all.into_iter().find(|cert| cert.profile == profile.name && cert.revoked.is_none());
        found.ok_or(ProgramError::NothingToRenew)
    }

    /// The request must ask for the names of the certificate to be renewed, as it has them or as the register has them today.
    async fn check_names(
        &self,
        identity: &Identity,
        renewed: &CertRecord,
        purpose: Purpose,
        csr: &Csr,
    ) -> Result<(), ProgramError> {
        let san = identity.terminal.id.san_uri(purpose).ok_or(ProgramError::NothingToRenew)?;
        let Err(mismatch) = csr.asks_for_subject(&identity.terminal.subject(&identity.customer), &san) else {
            return Ok(());
        };
        if let NameMismatch::AlternativeName(_) = mismatch {
            return Err(mismatch.into());
        }
        let der = self.0.reader.certificate_der(identity.actor().scope(), renewed.id).await?;
        Ok(csr.asks_for(&der.ok_or(AuthorityError::Missing("certificate"))?, &san)?)
    }

    /// A permit to renew; or, where it is too early, the certificate that this very key got today.
    async fn renewal(
        &self,
        identity: &Identity,
        renewed: &CertRecord,
        profile: &Profile,
        csr: &Csr,
    ) -> Result<Found, ProgramError> {
        let (now, terminal) = (self.now(), &identity.terminal);
        let ask = |window: Days| renewal::permit_by(&identity.certificate, renewed, terminal, window, now);
        let refused = match ask(profile.renewal_window()) {
            Ok(permit) => return Ok(Found::Permit(permit)),
            Err(refused @ PermitError::TooEarly { .. }) => refused,
            Err(refused) => return Err(refused.into()),
        };
        let (key, since) = (csr.public_key().hash(), now.plus_seconds(-A_DAY));
        let answered = self.0.reader.certificate_by_key(terminal.id, key, &profile.name, since).await?;
        if let Some(cert) = answered {
            return Ok(Found::Answered(cert));
        }
        let window = self.window_now(renewed, profile.renewal_window()).await?;
        ask(window).map(Found::Permit).map_err(|_| refused.into())
    }

    /// Signs and records, or repeats the answer that this key got before.
    async fn answer(&self, found: Found, wish: Wish<'_>) -> Result<Issued, ProgramError> {
        let Wish { terminal, customer, profile, key, proof, suspicious } = wish;
        let actor = Actor::Terminal { terminal: terminal.id, customer: customer.id };
        let permit = match found {
            Found::Permit(permit) => permit,
            Found::Answered(cert) => return self.repeat(&actor, cert).await,
        };
        let subject = terminal.subject(customer);
        let leaf = self.0.sign(Order { permit, profile, subject: &subject, key, end: None })?;
        let place = (customer.id, terminal.id);
        let detail = format!("{} until {}, by {proof}", profile.name, leaf.validity.not_after);
        let issued = self.entry(&actor, place, Action::CertificateIssued, detail);
        let suspected = suspicious.then(|| {
            self.clone_suspected(&actor, place, leaf.serial, format!("its successor is in use already: {proof}"))
        });
        let (der, serial) = (leaf.der.clone(), leaf.serial);
        let recorder = Recorder { issuer: self.0.ca.id, limit: self.0.rules.daily_certificates, issued, suspected };
        let write = self.0.store.write(move |tx| Box::pin(recorder.record(tx, leaf)));
        match write.await? {
            Some(cert) => self.repeat(&actor, cert).await,
            None => {
                if suspicious {
                    warn_of_a_copy(terminal.id, "a certificate whose successor is in use got another one");
                }
                Ok(Issued { der, serial, new: true })
            }
        }
    }

    /// What was issued before, again.
    async fn repeat(&self, actor: &Actor, id: CertificateId) -> Result<Issued, ProgramError> {
        let missing = || AuthorityError::Missing("certificate");
        let cert = self.0.reader.certificate_by_id(actor.scope(), id).await?.ok_or_else(missing)?;
        let der = self.0.reader.certificate_der(actor.scope(), id).await?.ok_or_else(missing)?;
        Ok(Issued { der, serial: cert.serial, new: false })
    }
}

/// What goes into the register with a certificate for a program's key.
struct Recorder {
    issuer: IssuerId,
    limit: u32,
    issued: Entry,
    suspected: Option<Entry>,
}

impl Recorder {
    /// Records a certificate, unless its key has one of today already: then that one is the answer. Between the permit and the commit the
    /// world may have changed: a revocation or a retirement in between wins.
    async fn record(self, tx: &mut Tx, leaf: Leaf) -> Result<Option<CertificateId>, ProgramError> {
        let Self { issuer, limit, issued, suspected } = self;
        let day = issued.at.plus_seconds(-A_DAY);
        let (terminal, proof) = (leaf.permit.terminal(), leaf.permit.renewed_from());
        // A code is good for one certificate of each kind, however long it lives; only a certificate can ask again another day.
        let by_code = proof.is_none();
        let since = if by_code { Timestamp(0) } else { day };
        let guard = tx.key_guard(terminal, leaf.key, &leaf.profile, (since, day), proof).await?;
        if guard.is_retired {
            return Err(PermitError::Retired.into());
        }
        if guard.is_proof_revoked {
            return Err(PermitError::Revoked.into());
        }
        if guard.is_key_compromised {
            return Err(ProgramError::CompromisedKey);
        }
        if guard.answered.is_some() {
            return Ok(guard.answered);
        }
        if leaf.permit.unless_blocked() && tx.terminal(terminal).await?.is_none_or(|row| row.blocked_at.is_some()) {
            return Err(PermitError::Revoked.into());
        }
        if by_code && guard.is_key_revoked {
            return Err(InvitationError::Used.into());
        }
        // What somebody else got for the terminal does not shut out whom the operator has invited.
        if !by_code && guard.issued >= limit {
            return Err(ProgramError::TooMany(guard.issued));
        }
        if let Some(suspected) = suspected {
            tx.append_audit(&suspected).await?;
        }
        record(tx, &leaf, issuer, false, issued).await?;
        Ok(None)
    }
}

/// What a question led to.
enum Found {
    Permit(Permit),
    Answered(CertificateId),
}

impl<'a> Wish<'a> {
    fn by(identity: &'a Identity, profile: &'a Profile, csr: &'a Csr) -> Self {
        Self {
            terminal: &identity.terminal,
            customer: &identity.customer,
            profile,
            key: csr.public_key(),
            proof: format!("certificate {}", identity.certificate.serial),
            suspicious: identity.superseded,
        }
    }
}

/// Two certificates of one purpose that were both renewed from one and are both in use: a copy of that one may be about. An agent's
/// identity has many children of the other purpose, one for each store; those are no sign of anything.
pub(crate) fn is_second_line(used: &CertRecord, all: &[CertRecord], now: Timestamp) -> bool {
    let parent = used.renewed_from.and_then(|id| all.iter().find(|cert| cert.id == id));
    parent.is_some_and(|parent| parent.profile == used.profile)
        && all.iter().any(|other| {
            other.id != used.id
                && other.renewed_from == used.renewed_from
                && other.profile == used.profile
                && other.used_at.is_some()
                && other.revoked.is_none()
                && other.not_after >= now
        })
}

impl Authority {
    /// The alarm when a program asks for a certificate that is in use already: a second program of the same PC, or whoever copied the
    /// certificate that it asks with.
    pub(crate) fn fetched_after_use(&self, actor: &Actor, fetched: &CertRecord, asking: Serial) -> Option<Entry> {
        fetched.used_at?;
        warn_of_a_copy(fetched.terminal, "a certificate that is in use was fetched once more");
        let detail = format!("fetched once more although it is in use already: by certificate {asking}");
        Some(self.clone_suspected(actor, (fetched.customer, fetched.terminal), fetched.serial, detail))
    }

    /// The alarm when a certificate whose successor is in use gets yet another one.
    pub(crate) fn renewed_again(&self, actor: &Actor, identity: &Identity) -> Option<Entry> {
        if !identity.superseded {
            return None;
        }
        warn_of_a_copy(identity.terminal.id, "a certificate whose successor is in use got another one");
        let serial = identity.certificate.serial;
        let detail = format!("its successor is in use already: certificate {serial}");
        Some(self.clone_suspected(actor, (identity.customer.id, identity.terminal.id), serial, detail))
    }

    fn clone_suspected(&self, actor: &Actor, place: (CustomerId, TerminalId), serial: Serial, detail: String) -> Entry {
        about(self.entry(actor, place, Action::CloneSuspected, detail), serial)
    }
}

/// The same alarm in the server's log.
pub(crate) fn warn_of_a_copy(terminal: TerminalId, what: &str) {
    tracing::warn!(terminal.id = %terminal, "{what}: a copy?");
}

/// For the log of a first use: the alarm, where there is one.
pub(crate) fn second_line(entry: &Entry) -> Entry {
    let detail = "another certificate that was renewed from the same one is in use too".to_owned();
    Entry { action: Action::CloneSuspected, detail, ..entry.clone() }
}
