//! The words of the operation log (操作ログ): who did what, where, with which certificate, and how it ended. The chain of hashes over its
//! rows is made where they are written (`store::audit`).

use crate::access::Actor;
use crate::id::{CustomerId, Serial, TerminalId};
use crate::time::Timestamp;

/// Everything that can happen, each with its word in the log. The words never change; pages translate them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each variant's word beside it says what happened")]
pub enum Action {
    AuthorityCreated,
    CustomerAdded,
    UserAdded,
    TerminalAdded,
    CertificateIssued,
    CertificateRevoked,
    CertificateUsed,
    BundleDownloaded,
    PasswordRevealed,
    BundleErased,
    RenewalRequested,
    RenewalDeferred,
    LoginSucceeded,
    LoginRefused,
    LoginLocked,
    LoggedOut,
    ServerCertificateIssued,
    InvitationMade,
    InvitationRefused,
    EnrollmentRequested,
    EnrollmentDecided,
    RenewalAdvised,
    CloneSuspected,
    IssuerAdded,
    RecoveryBegun,
    RecoveryCodeAccepted,
    RecoveryCodeRefused,
    TerminalRenamed,
    TerminalRetired,
    TerminalLost,
}

impl Action {
    /// Every action with its word.
    pub const ALL: [(Self, &'static str); 30] = [
        (Self::AuthorityCreated, "authority.created"),
        (Self::CustomerAdded, "customer.added"),
        (Self::UserAdded, "user.added"),
        (Self::TerminalAdded, "terminal.added"),
        (Self::CertificateIssued, "certificate.issued"),
        (Self::CertificateRevoked, "certificate.revoked"),
        (Self::CertificateUsed, "certificate.used"),
        (Self::BundleDownloaded, "bundle.downloaded"),
        (Self::PasswordRevealed, "bundle.password-revealed"),
        (Self::BundleErased, "bundle.erased"),
        (Self::RenewalRequested, "renewal.requested"),
        (Self::RenewalDeferred, "renewal.deferred"),
        (Self::LoginSucceeded, "login.succeeded"),
        (Self::LoginRefused, "login.refused"),
        (Self::LoginLocked, "login.locked"),
        (Self::LoggedOut, "logout"),
        (Self::ServerCertificateIssued, "server-certificate.issued"),
        (Self::InvitationMade, "invitation.made"),
        (Self::InvitationRefused, "invitation.refused"),
        (Self::EnrollmentRequested, "enrollment.requested"),
        (Self::EnrollmentDecided, "enrollment.decided"),
        (Self::RenewalAdvised, "renewal.advised"),
        (Self::CloneSuspected, "terminal.clone-suspected"),
        (Self::IssuerAdded, "authority.issuer-added"),
        (Self::RecoveryBegun, "recovery.begun"),
        (Self::RecoveryCodeAccepted, "recovery.code-accepted"),
        (Self::RecoveryCodeRefused, "recovery.code-refused"),
        (Self::TerminalRenamed, "terminal.renamed"),
        (Self::TerminalRetired, "terminal.retired"),
        (Self::TerminalLost, "terminal.lost"),
    ];

    /// Its word.
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(action, _)| *action == self).map_or("", |(_, word)| word)
    }

    /// From its word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known)| *known == word).map(|(action, _)| *action)
    }
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was done.
    Done,
    /// It was refused.
    Refused,
}

impl Outcome {
    /// Its word in the log.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Refused => "refused",
        }
    }
}

/// What is to be written. The store adds the sequence number and the hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub actor: Actor,
    /// Whose log this belongs to, where it belongs to one.
    pub customer: Option<CustomerId>,
    /// The terminal that is acted on.
    pub terminal: Option<TerminalId>,
    /// The certificate that is acted on.
    pub serial: Option<Serial>,
    /// What.
    pub action: Action,
    /// How it ended.
    pub outcome: Outcome,
    /// More, for people: never a secret, at most 500 characters.
    pub detail: String,
}

/// A row as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its place in the chain, from 1 without gaps.
    pub sequence: i64,
    /// When.
    pub at: Timestamp,
    /// The kind of actor ([`Actor::kind`]).
    pub actor_kind: String,
    /// The actor's name.
    pub actor_name: String,
    /// Whose log.
    pub customer: Option<CustomerId>,
    /// The terminal acted on.
    pub terminal: Option<TerminalId>,
    /// The certificate acted on.
    pub serial: Option<Serial>,
    /// The action's word.
    pub action: String,
    /// The outcome's word.
    pub outcome: String,
    /// More, for people.
    pub detail: String,
    /// SHA-256 over the hash before and this row's fields.
    pub hash: [u8; 32],
}
