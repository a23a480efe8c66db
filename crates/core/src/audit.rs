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
    RevocationOrdered,
    CustomerSet,
    LogKeyMade,
    LogKeyReplaced,
    BackupMade,
    BackupRestored,
    RecoveryLapsed,
    ApiKeyMade,
    ApiKeyRotated,
    ApiKeyRevoked,
    ApiKeyRefused,
    ContactAdded,
    ContactRemoved,
    NoticeWritten,
    NoticeTested,
    NoticeGivenUp,
    WebhookAdded,
    WebhookChanged,
    WebhookRemoved,
    TerminalDescribed,
    TerminalMoved,
}

impl Action {
    /// Every action with its word.
    pub const ALL: [(Self, &'static str); 51] = [
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
        (Self::RevocationOrdered, "revocation.ordered"),
        (Self::CustomerSet, "customer.set"),
        (Self::LogKeyMade, "audit.key-made"),
        (Self::LogKeyReplaced, "audit.key-replaced"),
        (Self::BackupMade, "backup.made"),
        (Self::BackupRestored, "backup.restored"),
        (Self::RecoveryLapsed, "recovery.lapsed"),
        (Self::ApiKeyMade, "api-key.made"),
        (Self::ApiKeyRotated, "api-key.rotated"),
        (Self::ApiKeyRevoked, "api-key.revoked"),
        (Self::ApiKeyRefused, "api-key.refused"),
        (Self::ContactAdded, "contact.added"),
        (Self::ContactRemoved, "contact.removed"),
        (Self::NoticeWritten, "notice.written"),
        (Self::NoticeTested, "notice.tested"),
        (Self::NoticeGivenUp, "notice.given-up"),
        (Self::WebhookAdded, "webhook.added"),
        (Self::WebhookChanged, "webhook.changed"),
        (Self::WebhookRemoved, "webhook.removed"),
        (Self::TerminalDescribed, "terminal.described"),
        (Self::TerminalMoved, "terminal.moved"),
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

/// What an operation is about: the column 区分 of the log that the ministry of health gives as an example.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Category {
    /// Logging in and out.
    Login,
    /// Certificates: made, used, renewed, revoked.
    Certificate,
    /// Files and passwords that are handed over.
    Bundle,
    /// First certificates by codes, and terminals that were locked out.
    Recovery,
    /// What is registered: terminals, people, institutions, settings.
    Register,
    /// The service itself.
    Service,
}

impl Category {
    /// Every category with its word.
    pub const ALL: [(Self, &'static str); 6] = [
        (Self::Login, "login"),
        (Self::Certificate, "certificate"),
        (Self::Bundle, "bundle"),
        (Self::Recovery, "recovery"),
        (Self::Register, "register"),
        (Self::Service, "service"),
    ];

    /// Its word.
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(category, _)| *category == self).map_or("", |(_, word)| word)
    }

    /// From its word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known)| *known == word).map(|(category, _)| *category)
    }
}

/// The category of an action's word.
pub fn category(action: &str) -> Category {
    match action.split('.').next().unwrap_or_default() {
        "login" | "logout" => Category::Login,
        "certificate" | "renewal" => Category::Certificate,
        "bundle" => Category::Bundle,
        "recovery" | "invitation" | "enrollment" => Category::Recovery,
        "authority" | "server-certificate" | "audit" | "notice" => Category::Service,
        _ => Category::Register,
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

/// How far the log may run ahead of its last checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CheckpointRules {
    /// By so many rows.
    pub rows: i64,
    /// Or for so many seconds.
    pub seconds: i64,
}

impl CheckpointRules {
    /// Whether a checkpoint is to be signed: the log has grown by `rows` since the last one, which was signed at `last`. Where nothing was
    /// written there is nothing to say.
    pub fn is_due(self, rows: i64, last: Option<Timestamp>, now: Timestamp) -> bool {
        // A clock that was set back must not keep the log unsigned for long.
        let is_old = |last: Timestamp| now >= last.plus_seconds(self.seconds) || now < last;
        rows > 0 && (rows >= self.rows || last.is_none_or(is_old))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_category_has_actions() {
        for (wanted, word) in Category::ALL {
            assert!(Action::ALL.iter().any(|(_, action)| category(action) == wanted), "{word}");
            assert_eq!(Category::parse(word), Some(wanted));
        }
        assert_eq!(category("terminal.lost"), Category::Register);
        assert_eq!(category("logout"), Category::Login);
    }

    #[test]
    fn a_checkpoint_is_due_after_so_many_rows_or_so_much_time_and_never_for_nothing() {
        let rules = CheckpointRules { rows: 1000, seconds: 3600 };
        let now = Timestamp(1_795_000_000);
        let check = |rows, ago: i64, expected| {
            assert_eq!(rules.is_due(rows, Some(now.plus_seconds(-ago)), now), expected, "{rows} rows, {ago} s");
        };
        check(0, 1_000_000, false);
        check(999, 3599, false);
        check(1000, 0, true);
        check(1, 3600, true);
        check(1, -1, true);
        assert!(rules.is_due(1, None, now) && !rules.is_due(0, None, now));
    }
}
