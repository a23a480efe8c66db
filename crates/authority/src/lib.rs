//! Who may get which certificate; the only room that signs. Every change goes through one unit of work of the store, its row in the
//! operation log beside it. Knows no HTTP, no HTML, no status codes.

mod advise;
mod api_key;
mod api_request;
mod bundle;
mod calendar;
mod directory;
mod enroll;
mod error;
mod facts;
mod freshness;
mod invite;
mod issue;
mod keypool;
mod letter;
mod log;
mod login;
mod notify;
mod overview;
mod password;
mod pickup;
mod recover;
mod rekey;
mod renew;
mod revoke;
mod revoke_all;
mod search;
mod settings;
mod terminal;
mod webhook;

pub mod backup;
pub mod ceremony;
pub mod checkpoint;
pub mod crl;
pub mod custody;
pub mod elders;
pub mod evidence;
pub mod export;
pub mod jobs;
pub mod ocsp;
pub mod rollover;
pub mod verification;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, Weak};

use tegata_core::access::Actor;
use tegata_core::audit::{Action, Entry, Outcome};
use tegata_core::cert::CertRecord;
use tegata_core::customer::Customer;
use tegata_core::id::{CustomerId, Serial, TerminalId};
use tegata_core::peer::PeerCert;
use tegata_core::profile::Profile;
use tegata_core::secret::Entropy;
use tegata_core::terminal::{FileNameTemplate, Terminal};
use tegata_core::time::{Clock, Timestamp};
use tegata_store::{IdentityRow, Reader, Store};
pub use tegata_store::{RenewalCounts, RevocationTarget};

pub use advise::{AdviseError, RenewalInfo};
pub use api_key::{CheckApiKeyError, KeepApiKeyError, MadeApiKey, NewApiKey};
pub use api_request::{Repeat, UnderWay};
pub use bundle::{BundleError, BundleFile};
pub use enroll::{EnrollError, NewUser};
pub use error::AuthorityError;
pub use freshness::Freshness;
pub use invite::{InviteError, NewInvitation};
pub use issue::{IssueError, IssuingCa, ServerCertificate};
pub use keypool::KeyPool;
pub use letter::Letterhead;
pub use log::LogFilter;
pub use login::{LoginError, NewSession, Session, SessionLookup};
pub use notify::{MAIL, NewContact, NoticePlan, NotifyError, Sending, Undelivered};
pub use overview::{Forecast, Holder, IssuerView};
pub use pickup::{PickUp, PickUpError, PickUpRules};
pub use recover::{Help, NewRecovery, RecoverError, Recovered, TerminalView};
pub use rekey::{Issued, KeyAndCertificate, ProgramError, Proof};
pub use renew::{Bundle, Handover, HandoverError, IssueOrder, RenewError, RenewalView};
pub use revoke::RevokeError;
pub use revoke_all::{RevocationOrder, RevokeAllError};
pub use search::{Finding, Sight};
pub use settings::SettingsError;
pub use terminal::TerminalError;
pub use webhook::{Post, WEBHOOK, WebhookError};

use custody::Vault;
use password::Passwords;

/// The rules that the configuration sets.
#[derive(Clone, Debug)]
pub struct Rules {
    /// What terminals' certificates are like.
    pub terminal_profile: Profile,
    /// What agents' own certificates are like, where there are agents.
    pub agent_profile: Option<Profile>,
    /// What our own listeners' certificates are like.
    pub server_profile: Profile,
    /// How many certificates a terminal's programs may get within 24 hours.
    pub daily_certificates: u32,
    /// How a downloaded bundle is called.
    pub file_name: FileNameTemplate,
    /// For how many days the same bundle can be fetched again.
    pub bundle_days: i64,
    /// After how many hours a login ends.
    pub session_hours: i64,
}

/// What an [`Authority`] is made of.
pub struct Parts {
    /// The register.
    pub store: Store,
    /// The CA that signs.
    pub ca: IssuingCa,
    /// Encrypts what waits in the register.
    pub vault: Vault,
    /// Keys for terminals.
    pub keys: KeyPool,
    /// What the configuration says.
    pub rules: Rules,
    /// The present.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub entropy: Arc<dyn Entropy>,
}

/// The authority: cheap to clone, one per process.
#[derive(Clone)]
pub struct Authority(Arc<Inner>);

struct Inner {
    store: Store,
    reader: Reader,
    ca: Arc<IssuingCa>,
    vault: Vault,
    keys: KeyPool,
    rules: Rules,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    passwords: Passwords,
    login_limit: login::RateLimit,
    turns: Turns,
    login_turns: Turns,
    code_limit: invite::CodeLimit,
    api_key_limit: invite::CodeLimit,
    requests: api_request::AllUnderWay,
    recovery_limit: recover::TryLimit,
    /// What the service found when it verified the operation log last.
    verification: Mutex<Option<verification::Verification>>,
    /// Whether what was erased may still be in the journal on the disk.
    on_disk: std::sync::atomic::AtomicBool,
    order_limit: pickup::OrderLimit,
    looked_at: notify::LookedAt,
    seen: facts::Seen,
    /// Building a .p12 is work: never more than two at once, so that a storm of downloads does not keep others from logging in.
    sealing: tokio::sync::Semaphore,
}

/// The register's rows behind a presented certificate.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The certificate.
    pub certificate: CertRecord,
    /// Its terminal.
    pub terminal: Terminal,
    /// Whose terminal that is.
    pub customer: Customer,
    /// Whether a later certificate of the same line is in use already.
    pub superseded: bool,
}

impl Identity {
    /// The terminal as an actor, before anybody logs in.
    pub fn actor(&self) -> Actor {
        Actor::Terminal { terminal: self.terminal.id, customer: self.customer.id }
    }
}

impl Authority {
    /// Puts the parts together.
    pub fn new(parts: Parts) -> Self {
        let Parts { store, ca, vault, keys, rules, clock, entropy } = parts;
        let passwords = Passwords::new(&*entropy);
        let reader = store.reader();
        let login_limit = login::rate_limit();
        let (turns, login_turns) = (Turns::default(), Turns::default());
        let sealing = tokio::sync::Semaphore::new(2);
        Self(Arc::new(Inner {
            store,
            reader,
            ca: Arc::new(ca),
            vault,
            keys,
            rules,
            clock,
            entropy,
            passwords,
            login_limit,
            turns,
            login_turns,
            code_limit: invite::code_limit(),
            api_key_limit: invite::code_limit(),
            requests: api_request::AllUnderWay::default(),
            recovery_limit: recover::try_limit(),
            verification: Mutex::default(),
            on_disk: std::sync::atomic::AtomicBool::new(false),
            order_limit: pickup::order_limit(),
            looked_at: notify::LookedAt::default(),
            seen: facts::Seen::default(),
            sealing,
        }))
    }

    /// Reads, each with a scope.
    pub fn reader(&self) -> &Reader {
        &self.0.reader
    }

    /// The rules in force.
    pub fn rules(&self) -> &Rules {
        &self.0.rules
    }

    /// The CA that signs.
    pub fn ca(&self) -> &IssuingCa {
        &self.0.ca
    }

    /// A key for another use that stays the same after each start, for example for form tokens.
    pub fn derived_key(&self, purpose: &str) -> tegata_core::secret::Secret<[u8; 32]> {
        self.0.vault.derive(purpose)
    }

    /// The present.
    pub fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    /// Closes the register after its last commit.
    pub async fn close(&self) {
        self.0.store.close().await;
    }

    /// The register's rows behind a presented certificate; `None` when the register does not know it, which is treated like a foreign one.
    pub async fn identify(&self, peer: &PeerCert) -> Result<Option<Identity>, AuthorityError> {
        let row = self.0.reader.identity(Actor::System { job: "gate" }.scope(), peer.fingerprint).await?;
        Ok(row.map(|row| {
            let IdentityRow { certificate, terminal, customer, superseded } = row;
            Identity { certificate, terminal, customer, superseded }
        }))
    }

    /// Every CA certificate that programs should trust: the root, and the issuing CAs that the register knows (DER).
    pub async fn ca_certificates(&self) -> Result<Vec<Vec<u8>>, AuthorityError> {
        let issuers = self.0.reader.issuers(Actor::System { job: "ca-certificates" }.scope()).await?;
        let issuing = issuers.into_iter().map(|row| row.der);
        Ok(std::iter::once(self.0.ca.root.der().to_vec()).chain(issuing).collect())
    }

    /// The certificate that was presented (DER).
    pub async fn certificate_der(&self, identity: &Identity) -> Result<Vec<u8>, AuthorityError> {
        let der = self.0.reader.certificate_der(identity.actor().scope(), identity.certificate.id).await?;
        der.ok_or(AuthorityError::Missing("certificate"))
    }

    /// The operation log of the presented certificate's terminal, newest first.
    pub async fn log(
        &self,
        identity: &Identity,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<tegata_core::audit::Row>, AuthorityError> {
        Ok(self.0.reader.audit_rows(identity.actor().scope(), before, limit).await?)
    }

    /// An entry of the operation log about a terminal, at the present.
    fn entry(
        &self,
        actor: &Actor,
        terminal: (CustomerId, TerminalId),
        action: Action,
        detail: impl Into<String>,
    ) -> Entry {
        Entry {
            at: self.now(),
            actor: actor.clone(),
            customer: Some(terminal.0),
            terminal: Some(terminal.1),
            serial: None,
            action,
            outcome: Outcome::Done,
            detail: detail.into(),
        }
    }
}

/// The common names of the issuing CAs that the register knows, oldest first: browsers choose certificates by them.
pub async fn issuer_names(reader: &Reader) -> Result<Vec<String>, AuthorityError> {
    let issuers = reader.issuers(Actor::System { job: "issuer-names" }.scope()).await?;
    let name = |row: tegata_store::IssuerRow| {
        let cert = tegata_pki::issuer::IssuerCert::from_der(&row.der).map_err(|_| AuthorityError::Missing("issuer"))?;
        Ok(cert.common_name().to_owned())
    };
    issuers.into_iter().map(name).collect()
}

/// Adds the certificate to an entry.
fn about(entry: Entry, serial: Serial) -> Entry {
    Entry { serial: Some(serial), ..entry }
}

/// The same for the log of the terminal at which a person sits who acts on another one, whosesoever that is.
fn where_one_sits(entry: &Entry, detail: String) -> Option<Entry> {
    match &entry.actor {
        Actor::User { terminal: at, customer, .. } if entry.terminal != Some(*at) => {
            Some(Entry { customer: Some(*customer), terminal: Some(*at), detail, ..entry.clone() })
        }
        _ => None,
    }
}

/// One renewal at a time for each terminal: a second tab waits for the first and then gets the same bundle, instead of making a key and a
/// signature that would be thrown away. The database's own rule (one open bundle per terminal) holds even without this.
#[derive(Default)]
struct Turns(Mutex<HashMap<TerminalId, Weak<tokio::sync::Mutex<()>>>>);

impl Turns {
    fn of(&self, terminal: TerminalId) -> Arc<tokio::sync::Mutex<()>> {
        let mut turns = self.0.lock().expect("nothing panics while holding this lock");
        turns.retain(|_, turn| turn.strong_count() > 0);
        if let Some(turn) = turns.get(&terminal).and_then(Weak::upgrade) {
            return turn;
        }
        let turn = Arc::new(tokio::sync::Mutex::new(()));
        turns.insert(terminal, Arc::downgrade(&turn));
        turn
    }
}
