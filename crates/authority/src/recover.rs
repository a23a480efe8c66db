//! Recovery: a terminal that is locked out gets its new certificate with the help of an administrator of its customer, at another terminal
//! that still counts, or of the operator. Every step is in the log of the terminal that is helped, and the beginning in the helper's too.
//! Whoever types a code needs no certificate; the code, the terminal's number and a quarter of an hour are all there is, so tries are
//! counted at the terminal and at the address that they come from.

use std::collections::HashMap;
use std::net::IpAddr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tegata_core::access::{Actor, household};
use tegata_core::audit::{Action, Entry, Outcome};
use tegata_core::cert::CertRecord;
use tegata_core::customer::{Customer, check_name};
use tegata_core::id::{ClientNumber, TerminalId};
use tegata_core::recovery::{LONGEST_REASON, MINUTES, Recovery, RecoveryCode, TerminalNumber, Way, may_recover};
use tegata_core::renewal::{PermitError, recovery_permit};
use tegata_core::secret::{Secret, random};
use tegata_core::terminal::{Condition, Terminal};
use tegata_core::time::Timestamp;
use tegata_pki::pkcs12::Format;
use tegata_store::{RecoveryRow, StoreError, Tx};

use crate::login::token_hash;
use crate::{Authority, AuthorityError, Bundle, BundleError, BundleFile, RenewError, Session};

/// A terminal as an administrator's list shows it.
#[derive(Clone, Debug)]
pub struct TerminalView {
    /// The terminal.
    pub terminal: Terminal,
    /// How it stands.
    pub condition: Condition,
    /// Until when it can connect.
    pub until: Option<Timestamp>,
    /// The certificate of people's browsers that ends last, whatever it is worth.
    pub last: Option<CertRecord>,
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
    /// The terminal that is helped.
    pub terminal: Terminal,
    /// Whose it is.
    pub customer: Customer,
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
    /// Something inside.
    #[error(transparent)]
    Internal(#[from] AuthorityError),
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
        let (scope, reader, now) = (session.actor.scope(), &self.0.reader, self.now());
        let terminals = reader.terminals(scope, Some(session.customer)).await?;
        let waiting = reader.waiting_certificates(scope, session.customer, now).await?;
        let mut all: HashMap<TerminalId, Vec<CertRecord>> = HashMap::new();
        for cert in reader.certificates_of_customer(scope, session.customer).await? {
            all.entry(cert.terminal).or_default().push(cert);
        }
        let view = |terminal: Terminal| {
            let certificates = all.remove(&terminal.id).unwrap_or_default();
            let waits = certificates.iter().find(|cert| waiting.contains(&cert.id)).map(|cert| cert.id);
            self.view(terminal, certificates, waits)
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
        let scope = session.actor.scope();
        let Some(terminal) = self.0.reader.terminal_by_client(scope, session.customer, client).await? else {
            return Ok(None);
        };
        let all = self.0.reader.certificates_of_terminal(scope, terminal.id).await?;
        let waiting = self.0.reader.open_bundle(scope, terminal.id, self.now()).await?;
        Ok(Some(self.view(terminal, all, waiting.map(|row| row.certificate.id))))
    }

    fn view(
        &self,
        terminal: Terminal,
        all: Vec<CertRecord>,
        waits: Option<tegata_core::id::CertificateId>,
    ) -> TerminalView {
        let profile = &self.0.rules.terminal_profile;
        let (condition, until) = terminal.condition(&all, waits, (&profile.name, profile.renewal_window()), self.now());
        let last = self.of_browsers(all).into_iter().max_by_key(|cert| (cert.not_after, cert.id));
        TerminalView { terminal, condition, until, last }
    }

    /// The certificates that people's browsers show.
    fn of_browsers(&self, mut all: Vec<CertRecord>) -> Vec<CertRecord> {
        all.retain(|cert| cert.profile == self.0.rules.terminal_profile.name);
        all
    }

    /// Makes a code for a terminal that is locked out. An earlier one ends.
    pub async fn make_recovery_code(
        &self,
        helper: &Actor,
        terminal: &Terminal,
        reason: &str,
    ) -> Result<NewRecovery, RecoverError> {
        let code = RecoveryCode::random(&*self.0.entropy);
        let hash = self.recovery_hash(terminal.id, &code);
        let expires_at = self.begin(helper, terminal, reason, (Way::Code, Some(hash))).await?;
        let number = TerminalNumber { customer: terminal.customer, client: terminal.client };
        Ok(NewRecovery { code, number, expires_at })
    }

    /// Makes the new certificate of a terminal, to be fetched by the administrator who asks. One that waits already is the one.
    pub async fn recover_here(
        &self,
        session: &Session,
        terminal: &Terminal,
        reason: &str,
    ) -> Result<Help, RecoverError> {
        let Actor::User { user, .. } = &session.actor else { return Err(PermitError::Forbidden.into()) };
        self.begin(&session.actor, terminal, reason, (Way::Here(*user), None)).await?;
        self.provide(&session.actor, terminal).await?;
        Ok(self.help(session, terminal.id).await?.ok_or(AuthorityError::Missing("bundle"))?)
    }

    /// Writes down that help begins, after all rules were asked; says until when it counts.
    async fn begin(
        &self,
        helper: &Actor,
        terminal: &Terminal,
        reason: &str,
        (way, code_hash): (Way, Option<[u8; 32]>),
    ) -> Result<Timestamp, RecoverError> {
        let reason = reason.trim();
        check_name(reason, LONGEST_REASON).map_err(|_| RecoverError::Reason)?;
        let (now, place) = (self.now(), (terminal.customer, terminal.id));
        let word = if way == Way::Code { "by code" } else { "here" };
        let mut begun = self.entry(helper, place, Action::RecoveryBegun, format!("{word}: {reason}"));
        if let Err(refused) = self.recovery_allowed(helper, terminal).await? {
            begun.outcome = Outcome::Refused;
            begun.detail = format!("{refused}: {reason}");
            // A refusal by the rules is written down; somebody else's terminal is not even that.
            if refused != PermitError::Forbidden {
                self.append(begun).await?;
            }
            return Err(refused.into());
        }
        let expires_at = now.plus_seconds(MINUTES * 60);
        // Also in the log of the terminal where the helper sits.
        let there = match helper {
            Actor::User { terminal: at, .. } if *at != terminal.id => {
                let detail = format!("for {} {}: {reason}", terminal.client, terminal.name);
                Some(Entry { terminal: Some(*at), detail, ..begun.clone() })
            }
            _ => None,
        };
        let recovery = Recovery {
            terminal: terminal.id,
            customer: terminal.customer,
            way,
            reason: reason.to_owned(),
            expires_at,
            failures: 0,
        };
        let row = RecoveryRow { recovery, code_hash };
        let write = self.0.store.write(move |tx| {
            Box::pin(async move {
                tx.insert_recovery(&row, now).await?;
                tx.append_audit(&begun).await?;
                if let Some(there) = there {
                    tx.append_audit(&there).await?;
                }
                Ok::<_, StoreError>(())
            })
        });
        write.await?;
        Ok(expires_at)
    }

    async fn recovery_allowed(
        &self,
        helper: &Actor,
        terminal: &Terminal,
    ) -> Result<Result<(), PermitError>, AuthorityError> {
        let right = match may_recover(helper, terminal) {
            Ok(right) => right,
            Err(refused) => return Ok(Err(refused)),
        };
        let all = self.0.reader.certificates_of_terminal(helper.scope(), terminal.id).await?;
        Ok(recovery_permit(right, terminal, &self.of_browsers(all), self.now()).map(|_| ()))
    }

    /// Sees to it that a bundle waits for the terminal.
    async fn provide(&self, helper: &Actor, terminal: &Terminal) -> Result<(), RecoverError> {
        let right = may_recover(helper, terminal)?;
        self.make_waiting(helper, terminal, right).await
    }

    async fn make_waiting(
        &self,
        actor: &Actor,
        terminal: &Terminal,
        right: tegata_core::recovery::Right,
    ) -> Result<(), RecoverError> {
        let turn = self.0.turns.of(terminal.id);
        let _turn = turn.lock().await;
        let scope = Actor::System { job: "recovery" }.scope();
        let all = self.of_browsers(self.0.reader.certificates_of_terminal(scope, terminal.id).await?);
        let permit = recovery_permit(right, terminal, &all, self.now())?;
        if self.0.reader.open_bundle(scope, terminal.id, self.now()).await?.is_some() {
            return Ok(());
        }
        let customer = self.0.reader.customer(scope, terminal.customer).await?;
        let customer = customer.ok_or(AuthorityError::Missing("customer"))?;
        let made = self.make(permit, terminal, &customer, None, None).await?;
        self.keep(made, terminal, &customer, (actor.clone(), None)).await?;
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
            Help { terminal, customer, bundle, expires_at: recovery.expires_at }
        }))
    }

    /// The .p12 of a terminal that this person helps.
    pub async fn take_help(&self, session: &Session, help: &Help, format: Format) -> Result<BundleFile, BundleError> {
        let row = self.waiting_row(&session.actor, help.terminal.id).await?;
        self.take_row(&session.actor, row, format, None).await
    }

    /// The password of a terminal that this person helps.
    pub async fn reveal_help(&self, session: &Session, help: &Help) -> Result<Secret<String>, BundleError> {
        let row = self.waiting_row(&session.actor, help.terminal.id).await?;
        self.reveal_row(&session.actor, &row).await
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
        let token = Secret::new(URL_SAFE_NO_PAD.encode(random::<32>(&*self.0.entropy)));
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
        self.make_waiting(&actor, &terminal, right).await?;
        Ok(Recovered { token, expires_at })
    }

    /// What waits for the browser in which a right code was typed, while that counts.
    pub async fn recovered(&self, token: &str) -> Result<Option<Help>, AuthorityError> {
        let found = self.0.reader.recovery_by_token(token_hash(token), self.now()).await?;
        match found {
            Some(recovery) => self.waiting_help(&recovered_actor(&recovery), &recovery).await,
            None => Ok(None),
        }
    }

    /// The .p12 for the terminal at which a right code was typed.
    pub async fn take_recovered(&self, help: &Help, format: Format) -> Result<BundleFile, BundleError> {
        let actor = Actor::Recovered { terminal: help.terminal.id, customer: help.customer.id };
        let row = self.waiting_row(&actor, help.terminal.id).await?;
        self.take_row(&actor, row, format, None).await
    }

    /// Its password.
    pub async fn reveal_recovered(&self, help: &Help) -> Result<Secret<String>, BundleError> {
        let actor = Actor::Recovered { terminal: help.terminal.id, customer: help.customer.id };
        let row = self.waiting_row(&actor, help.terminal.id).await?;
        self.reveal_row(&actor, &row).await
    }

    /// What the register keeps of a code: eight digits need a key, or whoever reads the register could try them all.
    fn recovery_hash(&self, terminal: TerminalId, code: &RecoveryCode) -> [u8; 32] {
        *self.0.vault.derive(&format!("recovery/{terminal}/{}", code.digits().expose())).expose()
    }
}

fn recovered_actor(recovery: &Recovery) -> Actor {
    Actor::Recovered { terminal: recovery.terminal, customer: recovery.customer }
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
    async fn settle(self, tx: &mut Tx) -> Result<Option<(tegata_core::recovery::Right, Timestamp)>, AuthorityError> {
        let Self { terminal, code_hash, token_hash, entry } = self;
        let Some(RecoveryRow { recovery, code_hash: Some(expected) }) = tx.recovery(terminal).await? else {
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
        tx.append_audit(&entry).await?;
        Ok(Some((right, expires_at)))
    }
}
