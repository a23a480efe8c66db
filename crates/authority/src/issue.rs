//! The only door to the signing key (docs/ISSUANCE.md). A permit goes in, a linted and signed certificate comes out; its caller records it
//! with [`record`] in the same unit of work as whatever else belongs to it, and hands nothing out before that unit is committed. Revocation
//! lists are signed here too: they say what the register says, and need no row.

use std::net::IpAddr;

use tegata_core::access::Actor;
use tegata_core::audit::{Action, Entry, Outcome};
use tegata_core::id::{CertificateId, IssuerId, Serial};
use tegata_core::profile::Profile;
use tegata_core::renewal::Permit;
use tegata_core::schedule::{self, Request, Validity};
use tegata_core::secret::{Secret, random};
use tegata_core::terminal::Subject;
use tegata_core::time::{Days, Timestamp};
use tegata_pki::crl::{self, Contents, CrlError};
use tegata_pki::issue::{self, Host, Leaf, PrepareError, Urls};
use tegata_pki::issuer::IssuerCert;
use tegata_pki::key::{LeafKey, PublicKey};
use tegata_pki::ocsp::Responder;
use tegata_pki::signer::{Curve, SignError, Signer, SoftwareSigner};
use tegata_store::{NewCertificate, NewServerCertificate, StoreError, Tx};

use crate::error::AuthorityError;
use crate::{Authority, Inner, about};

/// Nobody can revoke a responder's certificate (id-pkix-ocsp-nocheck), so it is short-lived.
const RESPONDER_LIFE: Days = Days(7);
/// For those whose clock is slow.
const RESPONDER_BACKDATE_SECONDS: i64 = 600;

/// The CA that signs, and what its certificates say about it.
pub struct IssuingCa {
    /// Its row.
    pub id: IssuerId,
    /// Its certificate.
    pub cert: IssuerCert,
    /// The root's certificate (DER), which bundles carry too.
    pub root: IssuerCert,
    /// Its key.
    pub signer: Box<dyn Signer>,
    /// Where others find its CRL and its certificate.
    pub urls: Urls,
}

/// Why nothing was signed.
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    /// The certificate would break a rule.
    #[error(transparent)]
    Prepare(#[from] PrepareError),
    /// The revocation list would break a rule.
    #[error(transparent)]
    List(#[from] CrlError),
    /// The key did not sign.
    #[error(transparent)]
    Sign(#[from] SignError),
}

/// A certificate for one of our own listeners, with its key, never written to disk.
pub struct ServerCertificate {
    /// Leaf, then issuing CA (DER).
    pub chain: Vec<Vec<u8>>,
    /// PKCS#8.
    pub key: Secret<Vec<u8>>,
    /// Its last valid second.
    pub not_after: Timestamp,
}

/// What a terminal's certificate is made from.
pub(crate) struct Order<'a> {
    pub permit: Permit,
    pub profile: &'a Profile,
    pub subject: &'a Subject,
    pub key: &'a PublicKey,
    /// An end chosen by the operator; `None` lets the schedule choose.
    pub end: Option<Timestamp>,
}

impl IssuingCa {
    /// Signs a revocation list.
    pub(crate) fn sign_list(&self, contents: &Contents<'_>) -> Result<Vec<u8>, IssueError> {
        Ok(crl::prepare(contents)?.sign(&*self.signer)?)
    }
}

impl Inner {
    /// Finds the end, prepares, lints and signs. The result exists only in memory until it is recorded.
    pub(crate) fn sign(&self, order: Order<'_>) -> Result<Leaf, AuthorityError> {
        let profile = order.profile;
        let request = Request {
            now: self.clock.now(),
            previous_end: order.permit.previous_end(),
            issuer_end: self.ca.cert.validity().not_after,
            key_kind: order.key.kind(),
            spread: u32::from_be_bytes(random(&*self.entropy)),
        };
        let validity = match order.end {
            Some(end) => schedule::explicit_validity(profile, request, end)?,
            None => schedule::validity(profile, request)?,
        };
        let serial = Serial::build(validity.not_after, random(&*self.entropy));
        let ca = &self.ca;
        let request = issue::Request { subject: order.subject, key: order.key, serial, validity };
        let prepared = issue::prepare(order.permit, profile, request, &ca.cert, &ca.urls).map_err(IssueError::from)?;
        Ok(prepared.sign(&*ca.signer).map_err(IssueError::from)?)
    }
}

/// Writes a signed certificate into the register, with its row in the operation log. `by_hand` says that its key is ours, for a person to
/// install.
pub(crate) async fn record(
    tx: &mut Tx,
    leaf: &Leaf,
    issuer: IssuerId,
    by_hand: bool,
    entry: Entry,
) -> Result<CertificateId, StoreError> {
    let new = NewCertificate {
        fingerprint: leaf.fingerprint,
        serial: leaf.serial,
        issuer,
        terminal: leaf.permit.terminal(),
        customer: leaf.permit.customer(),
        profile: leaf.profile.clone(),
        key_kind: leaf.key_kind,
        not_before: leaf.validity.not_before,
        not_after: leaf.validity.not_after,
        issued_at: entry.at,
        renewed_from: leaf.permit.renewed_from(),
        key: leaf.key,
        by_hand,
        der: leaf.der.clone(),
    };
    let id = tx.insert_certificate(&new).await?;
    if leaf.permit.moves() {
        tx.insert_move(id, new.terminal).await?;
    }
    tx.append_audit(&about(entry, leaf.serial)).await?;
    Ok(id)
}

impl Authority {
    /// Issues a certificate for a listener of ours, over a key that is made here and stays in memory. The row in the register is durable
    /// before it is returned.
    pub async fn issue_server(&self, hosts: &[String]) -> Result<ServerCertificate, AuthorityError> {
        let inner = &self.0;
        let profile = &inner.rules.server_profile;
        let kind = profile.own_key_kind();
        let key = tokio::task::spawn_blocking(move || LeafKey::generate(kind))
            .await
            .map_err(|_| AuthorityError::Missing("key"))??;
        let now = self.now();
        let request = Request {
            now,
            previous_end: None,
            issuer_end: inner.ca.cert.validity().not_after,
            key_kind: kind,
            spread: u32::from_be_bytes(random(&*inner.entropy)),
        };
        let validity = schedule::validity(profile, request)?;
        let serial = Serial::build(validity.not_after, random(&*inner.entropy));
        let names: Vec<Host> = hosts.iter().map(|host| read_host(host)).collect();
        let ca = &inner.ca;
        let prepared = issue::prepare_server(profile, &names, key.public_key(), &ca.cert, &ca.urls, serial, validity)
            .map_err(IssueError::from)?;
        let leaf = prepared.sign(&*ca.signer).map_err(IssueError::from)?;
        let row = NewServerCertificate {
            issuer: ca.id,
            serial,
            hosts: hosts.join(" ").chars().take(400).collect(),
            validity,
            issued_at: now,
            der: leaf.der.clone(),
        };
        self.record_own("server-certificate", row).await?;
        let chain = vec![leaf.der, inner.ca.cert.der().to_vec()];
        Ok(ServerCertificate { chain, key: key.pkcs8().clone(), not_after: validity.not_after })
    }

    /// Issues a certificate for answering about certificates (OCSP), over a key that is made here, never leaves the responder and is gone
    /// with it. `ca` is any of ours: each can speak for its own certificates alone. The row in the register is durable before it is returned.
    pub(crate) async fn issue_responder(&self, ca: &IssuingCa) -> Result<Responder, AuthorityError> {
        let now = self.now();
        let outer = ca.cert.validity();
        let validity = Validity {
            not_before: now.plus_seconds(-RESPONDER_BACKDATE_SECONDS).max(outer.not_before),
            not_after: now.plus_days(RESPONDER_LIFE).min(outer.not_after),
        };
        let (signer, _) = SoftwareSigner::generate(Curve::P256).map_err(IssueError::from)?;
        let serial = Serial::build(validity.not_after, random(&*self.0.entropy));
        let prepared = issue::prepare_responder(signer.public_key_der(), &ca.cert, serial, validity);
        let leaf = prepared.map_err(IssueError::from)?.sign(&*ca.signer).map_err(IssueError::from)?;
        let row = NewServerCertificate {
            issuer: ca.id,
            serial,
            hosts: "ocsp".to_owned(),
            validity,
            issued_at: now,
            der: leaf.der.clone(),
        };
        self.record_own("ocsp-responder", row).await?;
        Ok(Responder::new(signer, leaf).map_err(IssueError::from)?)
    }

    /// Writes a certificate for ourselves into the register, with its row in the operation log.
    async fn record_own(&self, job: &'static str, row: NewServerCertificate) -> Result<(), StoreError> {
        let entry = Entry {
            at: row.issued_at,
            actor: Actor::System { job },
            customer: None,
            terminal: None,
            serial: Some(row.serial),
            action: Action::ServerCertificateIssued,
            outcome: Outcome::Done,
            detail: row.hosts.clone(),
        };
        let write = self.0.store.write(move |tx| {
            Box::pin(async move {
                tx.insert_server_certificate(&row).await?;
                tx.append_audit(&entry).await?;
                Ok(())
            })
        });
        write.await
    }
}

/// A name of the configuration: an IP address where it reads as one, else a DNS name.
fn read_host(text: &str) -> Host {
    text.parse::<IpAddr>().map_or_else(|_| Host::Dns(text.to_owned()), Host::Ip)
}
