//! Invitations: the operator makes a code for a terminal, somebody types it there, and the terminal gets its first certificate. Wrong tries
//! are counted at the invitation that they aim at and at the address that they come from.

use std::net::IpAddr;
use std::num::NonZeroU32;

use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use tegata_core::access::{Actor, administers, household};
use tegata_core::api_key::ApiScope;
use tegata_core::audit::{Action, Entry, Outcome};
use tegata_core::id::{KeyHash, TerminalId};
use tegata_core::invitation::{APPROVAL_DAYS, Accepted, Approval, Code, Invitation, InvitationError};
use tegata_core::recovery::{MINUTES, Recovery, Way};
use tegata_core::renewal::{PermitError, invitable};
use tegata_core::terminal::Terminal;
use tegata_core::time::{Days, Timestamp};
use tegata_store::{InvitationRow, RecoveryRow, StoreError, Tx};

use crate::login::{new_token, token_hash};
use crate::recover::Ground;
use crate::{Authority, AuthorityError, ProgramError, RecoverError, Recovered, where_one_sits};

/// Codes that one address may try in a minute: a clinic with all its terminals is behind one address.
const CODES_PER_MINUTE: NonZeroU32 = NonZeroU32::new(30).expect("thirty is not zero");
/// How often another code is drawn when the first half of one is taken.
const DRAWS: usize = 20;

pub(crate) type CodeLimit = DefaultKeyedRateLimiter<IpAddr>;

pub(crate) fn code_limit() -> CodeLimit {
    RateLimiter::keyed(Quota::per_minute(CODES_PER_MINUTE))
}

/// A code that was just made.
pub struct NewInvitation {
    /// To be read out or typed; the register keeps only a keyed hash.
    pub code: Code,
    /// The last second in which it counts.
    pub expires_at: Timestamp,
}

/// Why there is no invitation, or nothing to decide.
#[derive(Debug, thiserror::Error)]
pub enum InviteError {
    /// Not for this actor.
    #[error("only an operator may do this, or, for terminals that were not revoked, an administrator of the customer")]
    Forbidden,
    /// An administrator's word is not enough for this terminal.
    #[error("the terminal was revoked: only the operator can invite it")]
    Revoked,
    /// The terminal was taken out of service.
    #[error("the terminal is out of service")]
    Retired,
    /// Nobody waits under this name.
    #[error("no enrolment waits for approval under {0}: see `tegata enrollment list`")]
    NothingWaits(String),
    /// The register.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Authority {
    /// Makes a code for a terminal that counts for some minutes; earlier ones of the terminal end. With `approval`, the operator has the
    /// last word once somebody has used it.
    pub async fn invite(
        &self,
        actor: &Actor,
        terminal: &Terminal,
        minutes: u32,
        approval: bool,
    ) -> Result<NewInvitation, InviteError> {
        self.make_invitation(actor, terminal, minutes, (approval, false)).await
    }

    /// The same, and the terminal moves to the PC where the code is used: its other certificates end when the new one is used.
    pub async fn invite_to_move(
        &self,
        actor: &Actor,
        terminal: &Terminal,
        minutes: u32,
    ) -> Result<NewInvitation, InviteError> {
        self.make_invitation(actor, terminal, minutes, (false, true)).await
    }

    async fn make_invitation(
        &self,
        actor: &Actor,
        terminal: &Terminal,
        minutes: u32,
        (approval, moves): (bool, bool),
    ) -> Result<NewInvitation, InviteError> {
        let by_operator = by_operator(actor, terminal).ok_or(InviteError::Forbidden)?;
        if terminal.retired_at.is_some() {
            return Err(InviteError::Retired);
        }
        let now = self.now();
        let expires_at = now.plus_seconds(i64::from(minutes) * 60);
        let approval = if approval { Approval::Pending } else { Approval::NotNeeded };
        for _ in 0..DRAWS {
            let code = Code::random(&*self.0.entropy);
            let invitation = Invitation {
                selector: code.selector().to_owned(),
                terminal: terminal.id,
                customer: terminal.customer,
                expires_at,
                failures: 0,
                key: None,
                approval,
                by_operator,
                moves,
            };
            let row = InvitationRow { invitation, code_hash: self.code_hash(&code) };
            let to_move = if moves { ", to move" } else { "" };
            let detail = format!("{}, for {minutes} minutes, approval {}{to_move}", code.selector(), approval.as_str());
            let entry = self.entry(actor, (terminal.customer, terminal.id), Action::InvitationMade, detail);
            let there = where_one_sits(&entry, format!("for {} {}: {}", terminal.client, terminal.name, entry.detail));
            let write = self.0.store.write(move |tx| {
                Box::pin(async move {
                    if !by_operator {
                        check_invitable(tx, row.invitation.terminal, now).await?;
                    }
                    tx.forget_lapsed_invitations(now).await?;
                    tx.insert_invitation(&row, now).await?;
                    if moves {
                        tx.end_moves(row.invitation.terminal).await?;
                    }
                    tx.append_audit(&entry).await?;
                    if let Some(there) = there {
                        tx.append_audit(&there).await?;
                    }
                    Ok::<_, InviteError>(())
                })
            });
            match write.await {
                // One in a million for each open invitation.
                Err(InviteError::Store(StoreError::Duplicate { .. })) => continue,
                done => return done.map(|()| NewInvitation { code, expires_at }),
            }
        }
        Err(StoreError::Duplicate { what: "invitation" }.into())
    }

    /// Who waits for the operator's word, and which codes are open.
    pub async fn invitations(&self, actor: &Actor) -> Result<Vec<Invitation>, StoreError> {
        self.0.reader.invitations(actor.scope(), self.now()).await
    }

    /// The operator's word about an enrolment.
    pub async fn decide(&self, actor: &Actor, selector: &str, approve: bool) -> Result<Invitation, InviteError> {
        if !matches!(actor, Actor::Operator { .. }) {
            return Err(InviteError::Forbidden);
        }
        let (selector, actor) = (selector.to_ascii_uppercase(), actor.clone());
        let approval = if approve { Approval::Approved } else { Approval::Refused };
        let now = self.now();
        let write = self.0.store.write(move |tx| {
            Box::pin(async move {
                if !tx.decide_invitation(&selector, approval).await? {
                    return Err(InviteError::NothingWaits(selector));
                }
                let row = tx.invitation(&selector).await?.ok_or(StoreError::NotFound { what: "invitation" })?;
                let entry = Entry {
                    at: now,
                    actor,
                    customer: Some(row.invitation.customer),
                    terminal: Some(row.invitation.terminal),
                    serial: None,
                    action: Action::EnrollmentDecided,
                    outcome: if approve { Outcome::Done } else { Outcome::Refused },
                    detail: format!("{selector} {}", approval.as_str()),
                };
                tx.append_audit(&entry).await?;
                Ok(row.invitation)
            })
        });
        write.await
    }

    /// Whether a code is right and counts for this key; binds it to the key when it does.
    pub(crate) async fn redeem(
        &self,
        code: &Code,
        from: IpAddr,
        key: KeyHash,
    ) -> Result<(Accepted, TerminalId), ProgramError> {
        if self.0.code_limit.check_key(&household(from)).is_err() {
            return Err(ProgramError::TooManyCodes);
        }
        let (selector, hash, now) = (code.selector().to_owned(), self.code_hash(code), self.now());
        let write = self.0.store.write(move |tx| {
            Box::pin(async move {
                let Some(row) = tx.invitation(&selector).await? else { return Ok(Err(ProgramError::WrongCode)) };
                let invitation = row.invitation;
                let entry = |action, outcome, detail: String| Entry {
                    at: now,
                    actor: Actor::Visitor,
                    customer: Some(invitation.customer),
                    terminal: Some(invitation.terminal),
                    serial: None,
                    action,
                    outcome,
                    detail,
                };
                if aws_lc_rs::constant_time::verify_slices_are_equal(&row.code_hash, &hash).is_err() {
                    if invitation.is_open(now) {
                        tx.count_wrong_code(&selector).await?;
                        let detail = format!("{selector}: wrong code from {from}");
                        tx.append_audit(&entry(Action::InvitationRefused, Outcome::Refused, detail)).await?;
                    }
                    return Ok(Err(ProgramError::WrongCode));
                }
                let answer = invitation.accept(key, now);
                let waits = matches!(answer, Err(InvitationError::Pending));
                if invitation.key.is_none() && (waits || answer.is_ok()) {
                    let until = if waits { now.plus_days(Days(APPROVAL_DAYS)) } else { invitation.expires_at };
                    tx.bind_invitation(&selector, key, until).await?;
                    let detail = format!("{selector}, from {from}");
                    tx.append_audit(&entry(Action::EnrollmentRequested, Outcome::Done, detail)).await?;
                }
                Ok::<_, AuthorityError>(answer.map(|accepted| (accepted, invitation.terminal)).map_err(Into::into))
            })
        });
        write.await?
    }

    /// A code was typed in a browser that has no certificate. When it is right, the terminal's first certificate waits for this browser, as after
    /// a recovery; the code is spent with that, and no sooner.
    pub async fn redeem_invitation(&self, code: &Code, from: IpAddr) -> Result<Recovered, RecoverError> {
        if self.0.code_limit.check_key(&household(from)).is_err() {
            return Err(RecoverError::TooManyCodes);
        }
        let (selector, hash, now) = (code.selector().to_owned(), self.code_hash(code), self.now());
        let try_ = Typed { selector, hash, from, now };
        let again = try_.clone();
        let write = self.0.store.write(move |tx| Box::pin(try_.compare(tx)));
        let (accepted, invitation) = write.await?.ok_or(RecoverError::WrongCode)?;
        let actor = Actor::Recovered { terminal: invitation.terminal, customer: invitation.customer };
        self.make_waiting(&actor, invitation.terminal, Ground::Invitation(accepted)).await?;
        let token = new_token(&*self.0.entropy);
        let (token_hash, expires_at) = (token_hash(token.expose()), now.plus_seconds(MINUTES * 60));
        let write = self.0.store.write(move |tx| Box::pin(again.spend(tx, token_hash, expires_at)));
        if !write.await? {
            return Err(RecoverError::WrongCode); // somebody else was faster
        }
        Ok(Recovered { token, expires_at })
    }

    /// What the register keeps of a code: 40 bits of chance need a key, or whoever reads the register could try them all.
    fn code_hash(&self, code: &Code) -> [u8; 32] {
        *self.0.vault.derive(&format!("invitation/{}", code.whole().expose())).expose()
    }
}

/// Whether it is the operator who invites, or a program of the operator's, and not an administrator; nothing where it is nobody who may.
fn by_operator(actor: &Actor, terminal: &Terminal) -> Option<bool> {
    match actor {
        Actor::Operator { .. } => Some(true),
        Actor::Program(program) => program.is_the_operators(ApiScope::TerminalsInvite).then_some(true),
        Actor::User { .. } => administers(actor, terminal.customer).then_some(false),
        _ => None,
    }
}

/// Whether an administrator's word is enough, asked about what the register says at this moment.
async fn check_invitable(tx: &mut Tx, terminal: TerminalId, now: Timestamp) -> Result<(), InviteError> {
    let row = tx.terminal(terminal).await?.ok_or(StoreError::NotFound { what: "terminal" })?;
    let all = tx.certificates_of_terminal(terminal).await?;
    let waiting = tx.open_bundle(terminal, now).await?.map(|row| row.certificate.id);
    match invitable(&row, (&all, waiting)) {
        Ok(_) => Ok(()),
        Err(PermitError::Retired) => Err(InviteError::Retired),
        Err(_) => Err(InviteError::Revoked),
    }
}

/// An enrolment code as it was typed in a browser.
#[derive(Clone)]
struct Typed {
    selector: String,
    hash: [u8; 32],
    from: IpAddr,
    now: Timestamp,
}

impl Typed {
    /// Compares where one writes at a time, so that no two tries are compared before the first is counted.
    async fn compare(self, tx: &mut Tx) -> Result<Option<(Accepted, Invitation)>, AuthorityError> {
        let Self { selector, hash, from, now } = self;
        let Some(InvitationRow { invitation, code_hash }) = tx.invitation(&selector).await? else { return Ok(None) };
        let entry = |action, outcome, detail: String| Entry {
            at: now,
            actor: Actor::Visitor,
            customer: Some(invitation.customer),
            terminal: Some(invitation.terminal),
            serial: None,
            action,
            outcome,
            detail,
        };
        if aws_lc_rs::constant_time::verify_slices_are_equal(&code_hash, &hash).is_err() {
            if invitation.is_open(now) {
                tx.count_wrong_code(&selector).await?;
                let detail = format!("{selector}: wrong code from {from}");
                tx.append_audit(&entry(Action::InvitationRefused, Outcome::Refused, detail)).await?;
            }
            return Ok(None);
        }
        let Ok(accepted) = invitation.accept_by_hand(now) else { return Ok(None) };
        let detail = format!("{selector}, in a browser, from {from}");
        tx.append_audit(&entry(Action::EnrollmentRequested, Outcome::Done, detail)).await?;
        Ok(Some((accepted, invitation)))
    }

    /// The certificate waits: the code ends, and what waits is for the browser with this token. False where it has ended before.
    async fn spend(self, tx: &mut Tx, token_hash: [u8; 32], expires_at: Timestamp) -> Result<bool, AuthorityError> {
        let Self { selector, hash, from, now } = self;
        let Some(InvitationRow { invitation, code_hash }) = tx.invitation(&selector).await? else { return Ok(false) };
        if code_hash != hash || invitation.accept_by_hand(now).is_err() {
            return Ok(false);
        }
        let (terminal, customer) = (invitation.terminal, invitation.customer);
        tx.end_invitations(terminal).await?;
        let reason = format!("enrolment code {selector}");
        let recovery = Recovery { terminal, customer, way: Way::Code, reason, expires_at, failures: 0, typed: false };
        // A code of eight letters is kept under another key than one of eight digits: this one opens nothing there.
        tx.insert_recovery(&RecoveryRow { recovery, code_hash: Some(code_hash), helper: None }, now).await?;
        tx.bind_recovery(terminal, token_hash, expires_at).await?;
        let entry = Entry {
            at: now,
            actor: Actor::Visitor,
            customer: Some(customer),
            terminal: Some(terminal),
            serial: None,
            action: Action::RecoveryCodeAccepted,
            outcome: Outcome::Done,
            detail: format!("enrolment code {selector}, from {from}"),
        };
        tx.append_audit(&entry).await?;
        Ok(true)
    }
}
