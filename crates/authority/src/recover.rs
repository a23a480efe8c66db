//! Recovery: a terminal that is locked out gets its new certificate with the help of an administrator of its customer, at another terminal
//! that still counts, or of the operator. Every step is in the log of the terminal that is helped, and the beginning in the helper's too.
//! Whoever types a code needs no certificate; the code, the terminal's number and a quarter of an hour are all there is, so tries are
//! counted at the terminal and at the address that they come from.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use tegata_core::access::{Actor, household};
use tegata_core::audit::{Action, Entry, Outcome};
use tegata_core::cert::CertRecord;
use tegata_core::customer::check_name;
use tegata_core::id::{CertificateId, ClientNumber, CustomerId, TerminalId};
use tegata_core::invitation::Accepted;
use tegata_core::recovery::{
    LONGEST_REASON, MINUTES, Recovery, RecoveryCode, Right, TRIES, TerminalNumber, Way, may_recover,
};
use tegata_core::renewal::{PermitError, invitable, invitation_permit, recoverable, recovery_permit};
use tegata_core::secret::Secret;
use tegata_core::terminal::{Condition, Facts, Terminal};
use tegata_core::time::Timestamp;
use tegata_pki::pkcs12::Format;
use tegata_store::{RecoveryRow, StoreError, Tx};

use crate::login::{new_token, token_hash};
use crate::{Authority, AuthorityError, Bundle, BundleError, BundleFile, RenewError, Session, where_one_sits};

const TRIES_OF_ONE: NonZeroU32 = NonZeroU32::new(TRIES).expect("five is not zero");
/// When a try is forgotten: after the code's time.
const EACH_TRY: Duration = Duration::from_secs(2 * MINUTES as u64 * 60);

/// A terminal as an administrator's list shows it.
#[derive(Clone, Debug)]
pub struct TerminalView {
    /// The terminal.
    pub terminal: Terminal,
    /// How it stands.
    pub condition: Condition,
    /// Whether it can be helped: [`recovery_permit`] says so.
    pub recoverable: bool,
    /// Whether an administrator may give it an enrolment code: [`invitable`] says so.
    pub invitable: bool,
    /// Until when it can connect.
    pub until: Option<Timestamp>,
    /// The certificate of people's browsers that ends last, whatever it is worth.
    pub last: Option<CertRecord>,
    /// What else is known of it.
    pub facts: Facts,
}

/// Help that was just begun with a code.
pub struct NewRecovery {
    /// To be read out; the register keeps only a keyed hash.
    pub code: RecoveryCode,
    /// What is typed beside it.
    pub number: TerminalNumber,
    /// The last second in which it counts.
    pub expires_at: Timestamp,
}

/// Help at hand: what waits for the terminal, and until when the helper or the terminal itself can fetch it.
#[derive(Clone, Debug)]
pub struct Help {
    /// Who fetches it: the helper, or whoever typed the code.
    actor: Actor,
    /// The terminal that is helped.
    pub terminal: Terminal,
    /// What waits for it.
    pub bundle: Bundle,
    /// The last second in which it can be fetched this way.
    pub expires_at: Timestamp,
}

/// A browser in which a right code was typed.
pub struct Recovered {
    /// The value of its cookie. The register keeps only its hash.
    pub token: Secret<String>,
    /// The last second in which it counts.
    pub expires_at: Timestamp,
}

/// Why a terminal was not helped.
#[derive(Debug, thiserror::Error)]
pub enum RecoverError {
    /// The rules say no.
    #[error(transparent)]
    Permit(#[from] PermitError),
    /// The reason is missing, or cannot be written down.
    #[error("a reason of 1 to {LONGEST_REASON} characters is needed")]
    Reason,
    /// The number, the code or its time is not right; which of them is not said.
    #[error("the terminal number or the recovery code is not right, or its time is over")]
    WrongCode,
    /// Too many codes were tried from this address.
    #[error("too many codes were tried from this address")]
    TooManyCodes,
    /// Somebody has typed the code at the terminal and is about to fetch the certificate.
    #[error("the code before was typed already, and the new certificate can be fetched with it until {until}")]
    Typed {
        /// When that ends.
        until: Timestamp,
    },
    /// Something inside.
    #[error(transparent)]
    Internal(#[from] AuthorityError),
}

/// On whose word a certificate is made that waits for a terminal.
pub(crate) enum Ground {
    /// Somebody helps it.
    Help(Right),
    /// It was invited.
    Invitation(Accepted),
}

impl From<StoreError> for RecoverError {
    fn from(error: StoreError) -> Self {
        Self::Internal(error.into())
    }
}

impl From<RenewError> for RecoverError {
    fn from(error: RenewError) -> Self {
        match error {
            RenewError::Permit(refusal) => Self::Permit(refusal),
            RenewError::Unknown => Self::Internal(AuthorityError::Missing("certificate")),
            RenewError::Internal(error) => Self::Internal(error),
        }
    }
}

impl Authority {
    /// The terminals that an actor sees of a customer, those that need help first.
    pub async fn terminals(&self, session: &Session) -> Result<Vec<TerminalView>, AuthorityError> {
        self.terminals_of(&session.actor, session.customer).await
    }

    /// The same for any customer.
    pub async fn terminals_of(&self, actor: &Actor, customer: CustomerId) -> Result<Vec<TerminalView>, AuthorityError> {
        let (scope, reader, now) = (actor.scope(), &self.0.reader, self.now());
        let terminals = reader.terminals(scope, Some(customer)).await?;
        let waiting = reader.waiting_certificates(scope, customer, now).await?;
        let waiting: HashSet<CertificateId> = waiting.into_iter().collect();
        let mut all: HashMap<TerminalId, Vec<CertRecord>> = HashMap::new();
        for cert in reader.certificates_of_customer(scope, customer).await? {
            all.entry(cert.terminal).or_default().push(cert);
        }
        let mut facts: HashMap<TerminalId, Facts> = reader.facts(scope, customer).await?.into_iter().collect();
        let view = |terminal: Terminal| {
            let facts = facts.remove(&terminal.id).unwrap_or_default();
            let certificates = all.remove(&terminal.id).unwrap_or_default();
            let waits = certificates.iter().find(|cert| waiting.contains(&cert.id)).map(|cert| cert.id);
            self.view((terminal, facts), certificates, waits)
        };
        let mut views: Vec<TerminalView> = terminals.into_iter().map(view).collect();
        views.sort_by_key(|view| (view.condition, view.until, view.terminal.client));
        Ok(views)
    }

    /// One terminal of the customer.
    pub async fn terminal_view(
        &self,
        session: &Session,
        client: ClientNumber,
    ) -> Result<Option<TerminalView>, AuthorityError> {
        self.terminal_view_of(&session.actor, TerminalNumber { customer: session.customer, client }).await
    }

    /// The same for any customer's.
    pub async fn terminal_view_of(
        &self,
        actor: &Actor,
        TerminalNumber { customer, client }: TerminalNumber,
    ) -> Result<Option<TerminalView>, AuthorityError> {
        let found = self.0.reader.terminal_by_client(actor.scope(), customer, client).await?;
        match found {
            Some(terminal) => Ok(Some(self.look_at(actor, terminal).await?)),
            None => Ok(None),
        }
    }

    /// How a terminal stands.
    pub(crate) async fn look_at(&self, actor: &Actor, terminal: Terminal) -> Result<TerminalView, AuthorityError> {
        let scope = actor.scope();
        let all = self.0.reader.certificates_of_terminal(scope, terminal.id).await?;
        let waiting = self.0.reader.waiting_certificate(scope, terminal.id, self.now()).await?;
        let facts = self.facts(actor, &terminal).await?;
        Ok(self.view((terminal, facts), all, waiting))
    }

    pub(crate) fn view(
        &self,
        (terminal, facts): (Terminal, Facts),
        all: Vec<CertRecord>,
        waits: Option<CertificateId>,
    ) -> TerminalView {
        let profile = &self.0.rules.terminal_profile;
        let (condition, until) = terminal.condition(&all, waits, (&profile.name, profile.renewal_window()), self.now());
        let invitable = invitable(&terminal, (&all, waits)).is_ok();
        let all = self.of_browsers(all);
        let recoverable = recoverable(&terminal, (&all, waits)).is_ok();
        let last = all.into_iter().max_by_key(|cert| (cert.not_after, cert.id));
        TerminalView { terminal, condition, recoverable, invitable, until, last, facts }
    }

    /// The certificates that people's browsers show.
    fn of_browsers(&self, all: Vec<CertRecord>) -> Vec<CertRecord> {
        made_by(&self.0.rules.terminal_profile.name, all)
    }

    /// Makes a code for a terminal that is locked out. An earlier one ends; one that was typed already only with `replace`.
    pub async fn make_recovery_code(
        &self,
        helper: &Actor,
        terminal: &Terminal,
        (reason, replace): (&str, bool),
    ) -> Result<NewRecovery, RecoverError> {
        let code = RecoveryCode::random(&*self.0.entropy);
        let hash = self.recovery_hash(terminal.id, &code);
        let expires_at = self.begin(helper, terminal, (reason, replace), (Way::Code, Some(hash))).await?;
        let number = TerminalNumber { customer: terminal.customer, client: terminal.client };
        Ok(NewRecovery { code, number, expires_at })
    }

    /// Makes the new certificate of a terminal, to be fetched by the administrator who asks: see [`Authority::help`].
    pub async fn recover_here(
        &self,
        session: &Session,
        terminal: &Terminal,
        (reason, replace): (&str, bool),
    ) -> Result<(), RecoverError> {
        let Actor::User { user, .. } = &session.actor else { return Err(PermitError::Forbidden.into()) };
        self.begin(&session.actor, terminal, (reason, replace), (Way::Here(*user), None)).await?;
        let right = may_recover(&session.actor, terminal)?;
        self.make_waiting(&session.actor, terminal.id, Ground::Help(right)).await
    }

    /// Writes down that help begins, unless the rules say no; says until when it counts. All is asked and written in one unit of work.
    async fn begin(
        &self,
        helper: &Actor,
        terminal: &Terminal,
        (reason, replace): (&str, bool),
        (way, code_hash): (Way, Option<[u8; 32]>),
    ) -> Result<Timestamp, RecoverError> {
        let reason = reason.trim();
        check_name(reason, LONGEST_REASON).map_err(|_| RecoverError::Reason)?;
        may_recover(helper, terminal)?;
        let (now, place) = (self.now(), (terminal.customer, terminal.id));
        let word = if way == Way::Code { "by code" } else { "here" };
        let begun = self.entry(helper, place, Action::RecoveryBegun, format!("{word}: {reason}"));
        let expires_at = now.plus_seconds(MINUTES * 60);
        let there = where_one_sits(&begun, format!("for {} {}: {reason}", terminal.client, terminal.name));
        let at = match helper {
            Actor::User { terminal: at, .. } => Some(*at),
            Actor::Program(program) => Some(program.terminal),
            _ => None,
        };
        let recovery = Recovery {
            terminal: terminal.id,
            customer: terminal.customer,
            way,
            reason: reason.to_owned(),
            expires_at,
            failures: 0,
            typed: false,
        };
        let row = RecoveryRow { recovery, code_hash, helper: at };
        let profile = self.0.rules.terminal_profile.name.clone();
        let write = self.0.store.write(move |tx| {
            Box::pin(async move {
                if let Some(refused) = refusal(tx, row.recovery.terminal, (&profile, now)).await? {
                    let detail = format!("{refused}: {}", row.recovery.reason);
                    tx.append_audit(&Entry { outcome: Outcome::Refused, detail, ..begun }).await?;
                    return Ok(Err(refused.into()));
                }
                let earlier = tx.recovery(row.recovery.terminal).await?.map(|row| row.recovery);
                if let Some(earlier) = earlier.filter(|earlier| earlier.typed && earlier.is_open(now) && !replace) {
                    return Ok(Err(RecoverError::Typed { until: earlier.expires_at }));
                }
                tx.insert_recovery(&row, now).await?;
                tx.append_audit(&begun).await?;
                if let Some(there) = there {
                    tx.append_audit(&there).await?;
                }
                Ok::<_, AuthorityError>(Ok(expires_at))
            })
        });
        write.await?
    }

    /// Sees to it that a bundle waits for the terminal. One that a recovery made and that was never used is the one; what somebody has
    /// fetched by an ordinary renewal, or uses already, is not handed out a second time.
    pub(crate) async fn make_waiting(
        &self,
        actor: &Actor,
        terminal: TerminalId,
        ground: Ground,
    ) -> Result<(), RecoverError> {
        let turn = self.0.turns.of(terminal);
        let _turn = turn.lock().await;
        let scope = Actor::System { job: "recovery" }.scope();
        let terminal = self.0.reader.terminal(scope, terminal).await?.ok_or(AuthorityError::Missing("terminal"))?;
        let all = self.0.reader.certificates_of_terminal(scope, terminal.id).await?;
        let waiting = self.0.reader.open_bundle(scope, terminal.id, self.now()).await?.map(|row| row.certificate);
        let waits = waiting.as_ref().map(|cert| cert.id);
        let permit = match ground {
            Ground::Help(right) => recovery_permit(right, &terminal, (&self.of_browsers(all), waits), self.now())?,
            Ground::Invitation(accepted) => {
                let asked = (self.0.rules.terminal_profile.name.as_str(), self.now());
                invitation_permit(accepted, &terminal, (&all, waits), asked)?
            }
        };
        if let Some(cert) = waiting {
            // What was made before ends nothing when it is used.
            let again = !permit.moves()
                && cert.used_at.is_none()
                && (cert.downloaded_at.is_none() || cert.renewed_from.is_none());
            if again {
                return Ok(());
            }
            self.erase(actor, &cert, "fetched before, a recovery makes another").await?;
        }
        let customer = self.0.reader.customer(scope, terminal.customer).await?;
        let customer = customer.ok_or(AuthorityError::Missing("customer"))?;
        let made = self.make(permit, &terminal, &customer, None, None).await?;
        self.keep(made, &terminal, &customer, (actor.clone(), None)).await?;
        Ok(())
    }

    /// What this person may fetch here for a terminal, while the help counts.
    pub async fn help(&self, session: &Session, terminal: TerminalId) -> Result<Option<Help>, AuthorityError> {
        let scope = session.actor.scope();
        let Actor::User { user, .. } = &session.actor else { return Ok(None) };
        let recovery = self.0.reader.recovery(scope, terminal).await?;
        let mine = |found: &Recovery| found.way == Way::Here(*user) && found.is_open(self.now());
        match recovery.filter(mine) {
            Some(recovery) => self.waiting_help(&session.actor, &recovery).await,
            None => Ok(None),
        }
    }

    async fn waiting_help(&self, actor: &Actor, recovery: &Recovery) -> Result<Option<Help>, AuthorityError> {
        let scope = actor.scope();
        let terminal = self.0.reader.terminal(scope, recovery.terminal).await?;
        let terminal = terminal.ok_or(AuthorityError::Missing("terminal"))?;
        let customer = self.0.reader.customer(scope, recovery.customer).await?;
        let customer = customer.ok_or(AuthorityError::Missing("customer"))?;
        let row = self.0.reader.open_bundle(scope, terminal.id, self.now()).await?;
        Ok(row.map(|row| {
            let bundle = self.bundle_of(row, &terminal, &customer);
            Help { actor: actor.clone(), terminal, bundle, expires_at: recovery.expires_at }
        }))
    }

    /// The .p12 that waits for a terminal that is helped.
    pub async fn take_help(&self, help: &Help, format: Format) -> Result<BundleFile, BundleError> {
        let row = self.waiting_row(&help.actor, help.terminal.id).await?;
        self.take_row(&help.actor, row, format, None).await
    }

    /// Its password.
    pub async fn reveal_help(&self, help: &Help) -> Result<Secret<String>, BundleError> {
        let row = self.waiting_row(&help.actor, help.terminal.id).await?;
        self.reveal_row(&help.actor, &row).await
    }

    /// A code was typed at a terminal. When it is right, the new certificate waits for this browser. It can be typed again while it counts;
    /// then the browser before is shut out.
    pub async fn redeem_recovery(
        &self,
        number: TerminalNumber,
        code: &RecoveryCode,
        from: IpAddr,
    ) -> Result<Recovered, RecoverError> {
        if self.0.code_limit.check_key(&household(from)).is_err() {
            return Err(RecoverError::TooManyCodes);
        }
        let scope = Actor::System { job: "recovery" }.scope();
        let terminal = self.0.reader.terminal_by_client(scope, number.customer, number.client).await?;
        let terminal = terminal.ok_or(RecoverError::WrongCode)?;
        // Without an open code nothing is written, and each code has tries of its own.
        let open = self.0.reader.recovery(scope, terminal.id).await?;
        let open =
            open.filter(|open| open.way == Way::Code && open.is_open(self.now())).ok_or(RecoverError::WrongCode)?;
        if self.0.recovery_limit.check_key(&(terminal.id, household(from), open.expires_at)).is_err() {
            return Err(RecoverError::WrongCode);
        }
        let token = new_token(&*self.0.entropy);
        let try_ = Try {
            terminal: terminal.id,
            code_hash: self.recovery_hash(terminal.id, code),
            token_hash: token_hash(token.expose()),
            entry: self.entry(
                &Actor::Visitor,
                (terminal.customer, terminal.id),
                Action::RecoveryCodeAccepted,
                format!("from {from}"),
            ),
        };
        let write = self.0.store.write(move |tx| Box::pin(try_.settle(tx)));
        let (right, expires_at) = write.await?.ok_or(RecoverError::WrongCode)?;
        let actor = Actor::Recovered { terminal: terminal.id, customer: terminal.customer };
        self.make_waiting(&actor, terminal.id, Ground::Help(right)).await?;
        Ok(Recovered { token, expires_at })
    }

    /// What waits for the browser in which a right code was typed, while that counts.
    pub async fn recovered(&self, token: &str) -> Result<Option<Help>, AuthorityError> {
        let found = self.0.reader.recovery_by_token(token_hash(token), self.now()).await?;
        match found {
            Some(recovery) => {
                let actor = Actor::Recovered { terminal: recovery.terminal, customer: recovery.customer };
                self.waiting_help(&actor, &recovery).await
            }
            None => Ok(None),
        }
    }

    /// What the register keeps of a code: eight digits need a key, or whoever reads the register could try them all.
    fn recovery_hash(&self, terminal: TerminalId, code: &RecoveryCode) -> [u8; 32] {
        *self.0.vault.derive(&format!("recovery/{terminal}/{}", code.digits().expose())).expose()
    }
}

pub(crate) type TryLimit = DefaultKeyedRateLimiter<(TerminalId, IpAddr, Timestamp)>;

/// How often one address may try one code.
pub(crate) fn try_limit() -> TryLimit {
    RateLimiter::keyed(Quota::with_period(EACH_TRY).expect("not nothing").allow_burst(TRIES_OF_ONE))
}

/// What the rules have against a recovery, asked about what the register says at this moment.
async fn refusal(
    tx: &mut Tx,
    terminal: TerminalId,
    (profile, now): (&str, Timestamp),
) -> Result<Option<PermitError>, StoreError> {
    let row = tx.terminal(terminal).await?.ok_or(StoreError::NotFound { what: "terminal" })?;
    let all = made_by(profile, tx.certificates_of_terminal(terminal).await?);
    let waiting = tx.open_bundle(terminal, now).await?.map(|row| row.certificate.id);
    Ok(recoverable(&row, (&all, waiting)).err())
}

/// Those of a profile.
fn made_by(profile: &str, mut all: Vec<CertRecord>) -> Vec<CertRecord> {
    all.retain(|cert| cert.profile == profile);
    all
}

/// One try to type a code.
struct Try {
    terminal: TerminalId,
    code_hash: [u8; 32],
    token_hash: [u8; 32],
    entry: Entry,
}

impl Try {
    /// Compares where one writes at a time, so that no two tries are compared before the first is counted. A code that is typed for the
    /// first time leaves a full quarter of an hour for the way of the file into the system.
    async fn settle(self, tx: &mut Tx) -> Result<Option<(Right, Timestamp)>, AuthorityError> {
        let Self { terminal, code_hash, token_hash, entry } = self;
        let Some(RecoveryRow { recovery, code_hash: Some(expected), .. }) = tx.recovery(terminal).await? else {
            return Ok(None);
        };
        let Some(right) = recovery.accept(entry.at) else { return Ok(None) };
        if aws_lc_rs::constant_time::verify_slices_are_equal(&expected, &code_hash).is_err() {
            tx.count_wrong_recovery_code(terminal).await?;
            let refused = Entry { action: Action::RecoveryCodeRefused, outcome: Outcome::Refused, ..entry };
            tx.append_audit(&refused).await?;
            return Ok(None);
        }
        let expires_at = tx.bind_recovery(terminal, token_hash, entry.at.plus_seconds(MINUTES * 60)).await?;
        let again = if recovery.typed { ", in another browser than before" } else { "" };
        tx.append_audit(&Entry { detail: format!("{}{again}", entry.detail), ..entry }).await?;
        Ok(Some((right, expires_at)))
    }
}
