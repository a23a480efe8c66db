//! 「更新」: a still-valid certificate gets its terminal a new one. Idempotent while the bundle waits: a double click, two tabs, a lost
//! network or a restart all lead to the same certificate and password.

use tegata_core::access::Actor;
use tegata_core::audit::{Action, Entry, Outcome};
use tegata_core::cert::{CertRecord, RevocationReason};
use tegata_core::customer::Customer;
use tegata_core::id::CertificateId;
use tegata_core::peer::PeerCert;
use tegata_core::profile::KeyKind;
use tegata_core::renewal::{self, Permit, PermitError, Standing};
use tegata_core::secret::{Secret, import_password};
use tegata_core::terminal::Terminal;
use tegata_core::time::{Days, Timestamp};
use tegata_pki::issue::Leaf;
use tegata_pki::key::LeafKey;
use tegata_store::{BundleRow, NewBundle, StoreError};

use crate::bundle::{key_context, password_context};
use crate::issue::{Order, record};
use crate::jobs::erase_lapsed;
use crate::rekey::{is_second_line, second_line, warn_of_a_copy};
use crate::terminal::revoke_one;
use crate::{Authority, AuthorityError, Identity, Session, about};

/// A certificate that waits to be fetched, with its key and password.
#[derive(Clone, Debug)]
pub struct Bundle {
    /// The new certificate.
    pub certificate: CertRecord,
    /// Until when it can be fetched again.
    pub expires_at: Timestamp,
    /// How its file is called.
    pub file_name: String,
}

/// What the pages about renewal need to know.
#[derive(Clone, Debug)]
pub struct RenewalView {
    /// Where the presented certificate stands.
    pub standing: Standing,
    /// The bundle that waits for this terminal.
    pub bundle: Option<Bundle>,
    /// A certificate of the presented one's line that ends later and has been used already.
    pub newer_used: Option<CertRecord>,
    /// The certificates of the presented one's line that somebody holds or can fetch, neither past nor revoked, latest end first.
    pub certificates: Vec<CertRecord>,
    /// Whether somebody pressed 「あとで」 at this terminal today.
    pub deferred_today: bool,
}

/// Why nothing was renewed.
#[derive(Debug, thiserror::Error)]
pub enum RenewError {
    /// The rules say no.
    #[error(transparent)]
    Permit(#[from] PermitError),
    /// The register does not know the presented certificate.
    #[error("the presented certificate is not in the register")]
    Unknown,
    /// Something inside.
    #[error(transparent)]
    Internal(#[from] AuthorityError),
}

impl From<StoreError> for RenewError {
    fn from(error: StoreError) -> Self {
        Self::Internal(error.into())
    }
}

/// Why an operator got no certificate for a terminal.
#[derive(Debug, thiserror::Error)]
pub enum HandoverError {
    /// The terminal's user has renewed and has yet to fetch the result.
    #[error("a renewal by the terminal's own user waits until {until}: let them fetch it, or ask with --replace")]
    Waits {
        /// When it lapses.
        until: Timestamp,
    },
    /// As with a renewal.
    #[error(transparent)]
    Renew(RenewError),
}

impl<E: Into<RenewError>> From<E> for HandoverError {
    fn from(error: E) -> Self {
        Self::Renew(error.into())
    }
}

/// What an operator may ask for; by default the schedule's end and the profile's kind of key.
#[derive(Clone, Copy, Debug, Default)]
pub struct IssueOrder {
    /// Its last second.
    pub end: Option<Timestamp>,
    /// The kind of key.
    pub kind: Option<KeyKind>,
    /// Also where a renewal by the terminal's user waits; it is lost.
    pub replace: bool,
}

/// What an operator hands over: everything a terminal needs, once.
pub struct Handover {
    /// The certificate.
    pub certificate: CertRecord,
    /// Its DER.
    pub leaf: Vec<u8>,
    /// Its private key.
    pub key: LeafKey,
    /// What opens the .p12.
    pub password: Secret<String>,
    /// How the .p12 is called.
    pub file_name: String,
}

/// Made in memory, not yet recorded.
pub(crate) struct Made {
    leaf: Leaf,
    key: LeafKey,
    password: Secret<String>,
}

impl Authority {
    /// Renews the presented certificate for its terminal, or returns the bundle that already waits for it.
    pub async fn renew(&self, session: &Session, presented: &PeerCert) -> Result<Bundle, RenewError> {
        if presented.terminal != session.terminal {
            return Err(PermitError::OtherTerminal.into());
        }
        self.renew_by(Some(&session.actor), presented, None).await
    }

    /// The same for a program, which has nothing to show but its certificate. `window` can widen the profile's and never narrows it.
    pub async fn renew_terminal(&self, presented: &PeerCert, window: Option<Days>) -> Result<Bundle, RenewError> {
        self.renew_by(None, presented, window).await
    }

    /// `person` is who sits at the terminal; without one, the terminal itself acts.
    async fn renew_by(
        &self,
        person: Option<&Actor>,
        presented: &PeerCert,
        window: Option<Days>,
    ) -> Result<Bundle, RenewError> {
        let turn = self.0.turns.of(presented.terminal);
        let _turn = turn.lock().await;
        let identity = self.identify(presented).await?.ok_or(RenewError::Unknown)?;
        let actor = person.cloned().unwrap_or_else(|| identity.actor());
        let usual = self.0.rules.terminal_profile.renewal_window();
        let window = window.map_or(usual, |window| window.max(usual));
        let window = self.window_now(&identity.certificate, window).await?;
        let waiting = self.waiting_row_of(&identity).await?;
        let permit = renewal::permit(&identity.certificate, &identity.terminal, window, self.now());
        // A terminal that moves to another PC is renewed there: what waits is not for whoever is still here.
        let moving = waiting.as_ref().is_some_and(|row| row.moves);
        let permit = match permit.and_then(|permit| if moving { Err(PermitError::OtherTerminal) } else { Ok(permit) }) {
            Ok(permit) => permit,
            Err(refused) => {
                let place = (identity.customer.id, identity.terminal.id);
                let entry = self.entry(&actor, place, Action::RenewalRequested, refused.to_string());
                let entry = Entry { outcome: Outcome::Refused, ..about(entry, presented.serial) };
                self.append(entry).await?;
                return Err(refused.into());
            }
        };
        if let Some(row) = waiting {
            return Ok(self.bundle_of(row, &identity.terminal, &identity.customer));
        }
        let made = self.make(permit, &identity.terminal, &identity.customer, None, None).await?;
        if let Some(suspected) = self.renewed_again(&actor, &identity) {
            self.append(suspected).await?;
        }
        let renewed = (actor, Some(identity.certificate.serial));
        self.keep(made, &identity.terminal, &identity.customer, renewed).await
    }

    /// Issues a certificate for a terminal on the operator's word. While it has not been [handed over](Self::handed_over), asking again
    /// gives the same one, unless another end or kind is asked for. A bundle that the terminal's own user made is left alone.
    pub async fn issue(
        &self,
        actor: &Actor,
        terminal: &Terminal,
        order: IssueOrder,
    ) -> Result<Handover, HandoverError> {
        let IssueOrder { end, kind, replace } = order;
        let turn = self.0.turns.of(terminal.id);
        let _turn = turn.lock().await;
        let permit = renewal::operator_permit(actor, terminal)?;
        let scope = actor.scope();
        let customer =
            self.0.reader.customer(scope, terminal.customer).await?.ok_or(AuthorityError::Missing("customer"))?;
        let waiting = self.0.reader.open_bundle(scope, terminal.id, self.now()).await?;
        if let Some(row) = waiting {
            let recovery = self.0.reader.recovery(scope, terminal.id).await?;
            let recovered = row.downloads > 0 || recovery.is_some_and(|recovery| recovery.is_open(self.now()));
            let by_user = row.certificate.renewed_from.is_some() || recovered;
            if by_user && !replace {
                return Err(HandoverError::Waits { until: row.expires_at });
            }
            let same = !by_user
                && end.is_none_or(|end| row.certificate.not_after == end)
                && kind.is_none_or(|k| row.certificate.key_kind == k);
            if same {
                return Ok(self.unseal(&row, terminal, &customer).await?);
            }
            self.erase(actor, &row.certificate, "replaced by the operator").await?;
        }
        let made = self.make(permit, terminal, &customer, kind, end).await?;
        self.keep(made, terminal, &customer, (actor.clone(), None)).await?;
        let row = self.0.reader.open_bundle(scope, terminal.id, self.now()).await?;
        let row = row.ok_or(AuthorityError::Missing("bundle"))?;
        Ok(self.unseal(&row, terminal, &customer).await?)
    }

    /// The files of a [`Handover`] are safely where they should be: the register forgets key and password.
    pub async fn handed_over(&self, actor: &Actor, certificate: &CertRecord) -> Result<(), AuthorityError> {
        let place = (certificate.customer, certificate.terminal);
        let entry = about(self.entry(actor, place, Action::BundleErased, "handed over"), certificate.serial);
        let id = certificate.id;
        let write = self.0.store.write(move |tx| {
            Box::pin(async move {
                match tx.mark_downloaded(id, entry.at).await {
                    Ok(()) => {}
                    Err(StoreError::NotFound { .. }) => return Ok(()), // a hand-over that was finished before
                    Err(error) => return Err(error),
                }
                tx.erase_bundle(id, entry.at).await?;
                tx.append_audit(&entry).await.map(|_| ())
            })
        });
        write.await?;
        self.forget_on_disk().await;
        Ok(())
    }

    async fn unseal(
        &self,
        row: &BundleRow,
        terminal: &Terminal,
        customer: &Customer,
    ) -> Result<Handover, AuthorityError> {
        let (key, password) = self.open_row(row)?;
        let scope = Actor::System { job: "hand-over" }.scope();
        let leaf = self
            .0
            .reader
            .certificate_der(scope, row.certificate.id)
            .await?
            .ok_or(AuthorityError::Missing("certificate"))?;
        let file_name = self.0.rules.file_name.file_name(&customer.code, terminal);
        Ok(Handover { certificate: row.certificate.clone(), leaf, key, password, file_name })
    }

    /// The bundle that waits for the terminal, where that is still at the PC that it was at.
    async fn waiting(&self, identity: &Identity) -> Result<Option<Bundle>, AuthorityError> {
        let row = self.waiting_row_of(identity).await?.filter(|row| !row.moves);
        Ok(row.map(|row| self.bundle_of(row, &identity.terminal, &identity.customer)))
    }

    async fn waiting_row_of(&self, identity: &Identity) -> Result<Option<BundleRow>, AuthorityError> {
        Ok(self.0.reader.open_bundle(identity.actor().scope(), identity.terminal.id, self.now()).await?)
    }

    pub(crate) fn bundle_of(&self, row: BundleRow, terminal: &Terminal, customer: &Customer) -> Bundle {
        let file_name = self.0.rules.file_name.file_name(&customer.code, terminal);
        Bundle { certificate: row.certificate, expires_at: row.expires_at, file_name }
    }

    /// Makes key, password and certificate in memory.
    pub(crate) async fn make(
        &self,
        permit: Permit,
        terminal: &Terminal,
        customer: &Customer,
        kind: Option<KeyKind>,
        end: Option<Timestamp>,
    ) -> Result<Made, AuthorityError> {
        let kind = kind.unwrap_or_else(|| self.0.rules.terminal_profile.own_key_kind());
        let key = self.0.keys.take(kind).await?;
        let subject = terminal.subject(customer);
        let profile = &self.0.rules.terminal_profile;
        let leaf = self.0.sign(Order { permit, profile, subject: &subject, key: key.public_key(), end })?;
        Ok(Made { leaf, key, password: import_password(&*self.0.entropy) })
    }

    /// Records certificate, bundle and log rows in one durable unit of work; only then does the bundle exist for anybody.
    pub(crate) async fn keep(
        &self,
        made: Made,
        terminal: &Terminal,
        customer: &Customer,
        (actor, renewed): (Actor, Option<tegata_core::id::Serial>),
    ) -> Result<Bundle, RenewError> {
        let Made { leaf, key, password } = made;
        let now = self.now();
        let expires_at = now.plus_days(Days(self.0.rules.bundle_days));
        let (vault, entropy) = (&self.0.vault, &*self.0.entropy);
        let sealed_key = vault.seal(&key_context(&leaf.fingerprint), key.pkcs8().expose(), entropy);
        let sealed_password = vault.seal(&password_context(&leaf.fingerprint), password.expose().as_bytes(), entropy);
        let place = (customer.id, terminal.id);
        let requested = renewed.map(|serial| about(self.entry(&actor, place, Action::RenewalRequested, ""), serial));
        let issued = self.entry(&actor, place, Action::CertificateIssued, format!("until {}", leaf.validity.not_after));
        let issuer = self.0.ca.id;
        let (terminal_id, customer_id) = (terminal.id, customer.id);
        let write = self.0.store.write(move |tx| {
            Box::pin(async move {
                refuse_if_changed(tx, &leaf, terminal_id).await?;
                erase_lapsed(tx, now).await?;
                if let Some(row) = tx.open_bundle(terminal_id, now).await? {
                    return Ok::<_, RenewError>(row); // another process was faster: its bundle is the one
                }
                if let Some(entry) = requested {
                    tx.append_audit(&entry).await?;
                }
                if matches!(issued.actor, Actor::Operator { .. }) {
                    tx.block_terminal(terminal_id, None).await?; // whoever may give it another one has done so
                }
                let id = record(tx, &leaf, issuer, true, issued).await?;
                let bundle = NewBundle {
                    certificate: id,
                    terminal: terminal_id,
                    customer: customer_id,
                    sealed_key,
                    sealed_password,
                    created_at: now,
                    expires_at,
                };
                tx.insert_bundle(&bundle).await?;
                let row = tx.open_bundle(terminal_id, now).await?;
                Ok(row.ok_or(AuthorityError::Missing("bundle"))?)
            })
        });
        let row = write.await?;
        Ok(self.bundle_of(row, terminal, customer))
    }

    /// Everything the menu and the renewal pages show about a presented certificate.
    pub async fn renewal_view(&self, identity: &Identity) -> Result<RenewalView, AuthorityError> {
        let now = self.now();
        let presented = &identity.certificate;
        let scope = identity.actor().scope();
        let window = self.window_now(presented, self.0.rules.terminal_profile.renewal_window()).await?;
        let standing =
            renewal::standing(presented.revoked.is_some(), presented.not_before, presented.not_after, window, now);
        let mut certificates = self.0.reader.certificates_of_terminal(scope, identity.terminal.id).await?;
        let bundle = self.waiting(identity).await?;
        let waiting = bundle.as_ref().map(|bundle| bundle.certificate.id);
        let exists = |cert: &CertRecord| cert.id == presented.id || cert.exists(waiting);
        // What the terminal's programs hold is none of this browser's business.
        certificates.retain(|cert| cert.line == presented.line);
        certificates.retain(|cert| cert.revoked.is_none() && cert.not_after >= now && exists(cert));
        certificates.sort_by_key(|cert| std::cmp::Reverse(cert.not_after));
        let newer = |cert: &&CertRecord| cert.used_at.is_some() && cert.not_after > presented.not_after;
        Ok(RenewalView {
            standing,
            bundle,
            newer_used: certificates.iter().find(newer).cloned(),
            certificates,
            deferred_today: identity.terminal.deferred_on == Some(now.jst_date()),
        })
    }

    /// A certificate was seen in a handshake. The first time is written down: it is where it belongs.
    pub async fn first_use(&self, peer: &PeerCert) -> Result<(), AuthorityError> {
        let Some(identity) = self.identify(peer).await? else { return Ok(()) };
        if identity.certificate.used_at.is_some() {
            return Ok(());
        }
        let place = (identity.customer.id, identity.terminal.id);
        let entry = about(self.entry(&identity.actor(), place, Action::CertificateUsed, ""), peer.serial);
        let (fingerprint, terminal, certificate) = (peer.fingerprint, peer.terminal, identity.certificate);
        let moved = self.entry(&entry.actor, place, Action::TerminalMoved, "");
        let write = self.0.store.write(move |tx| {
            Box::pin(async move {
                if tx.mark_used(fingerprint, entry.at).await? {
                    tx.append_audit(&entry).await?;
                    let moves = tx.moves(terminal).await?;
                    if moves.contains(&certificate.id) {
                        leave_the_old_pc(tx, (&certificate, &moves), about(moved, certificate.serial)).await?;
                    }
                    let waiting = tx.open_bundle(terminal, entry.at).await?;
                    if waiting.is_some_and(|row| row.certificate.fingerprint == fingerprint) {
                        tx.end_recovery(terminal).await?; // it is back
                    }
                    let all = tx.certificates_of_terminal(terminal).await?;
                    if is_second_line(&certificate, &all, entry.at) {
                        warn_of_a_copy(terminal, "two lines of certificates are in use");
                        tx.append_audit(&second_line(&entry)).await?;
                    }
                }
                Ok::<_, StoreError>(())
            })
        });
        Ok(write.await?)
    }
}

/// The terminal is on another PC now: whatever else it has ends, but for what came by the same code, and what was renewed from that.
async fn leave_the_old_pc(
    tx: &mut tegata_store::Tx,
    (new, moves): (&CertRecord, &[CertificateId]),
    moved: Entry,
) -> Result<(), StoreError> {
    let why = RevocationReason::Superseded;
    let at = |action, detail: &str| Entry { action, serial: None, detail: detail.to_owned(), ..moved.clone() };
    let (revoked, erased) = (at(Action::CertificateRevoked, why.as_str()), at(Action::BundleErased, "revoked"));
    tx.append_audit(&moved).await?;
    for cert in tx.certificates_of_terminal(new.terminal).await? {
        let came = moves.contains(&cert.id) || cert.renewed_from.is_some_and(|from| moves.contains(&from));
        if !came && cert.not_after >= moved.at {
            revoke_one(tx, &cert, why, (&revoked, &erased)).await?;
        }
    }
    tx.end_moves(new.terminal).await?;
    tx.delete_sessions_of(new.terminal).await.map(|_| ())
}

/// Between the permit and the commit the world may have changed: a revocation or a retirement in between wins.
async fn refuse_if_changed(
    tx: &mut tegata_store::Tx,
    leaf: &Leaf,
    terminal: tegata_core::id::TerminalId,
) -> Result<(), RenewError> {
    let row = tx.terminal(terminal).await?.ok_or(AuthorityError::Missing("terminal"))?;
    if row.retired_at.is_some() {
        return Err(PermitError::Retired.into());
    }
    if leaf.permit.unless_blocked() && row.blocked_at.is_some() {
        return Err(PermitError::Revoked.into());
    }
    if let Some(old) = leaf.permit.renewed_from().or(leaf.permit.recovers())
        && tx.certificate_by_id(old).await?.is_some_and(|old| old.revoked.is_some())
    {
        return Err(PermitError::Revoked.into());
    }
    Ok(())
}
