//! What the register knows of a certificate, and how far it has come: issued, downloaded, used.

use crate::id::{CertificateId, CustomerId, Fingerprint, IssuerId, Serial, TerminalId};
use crate::profile::KeyKind;
use crate::time::Timestamp;

/// Why a certificate was revoked (RFC 5280 section 5.3.1; the reasons that can happen to a terminal).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RevocationReason {
    /// No reason given.
    Unspecified,
    /// Its key may be in other hands: the PC was stolen, the backup lost.
    KeyCompromise,
    /// A newer certificate took its place.
    Superseded,
    /// The terminal is out of service.
    CessationOfOperation,
}

impl RevocationReason {
    /// Every reason with its word in the store and on the command line.
    pub const ALL: [(Self, &'static str); 4] = [
        (Self::Unspecified, "unspecified"),
        (Self::KeyCompromise, "key-compromise"),
        (Self::Superseded, "superseded"),
        (Self::CessationOfOperation, "cessation-of-operation"),
    ];

    /// Its word.
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(reason, _)| *reason == self).map_or("unspecified", |(_, word)| word)
    }

    /// From its word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known)| *known == word).map(|(reason, _)| *reason)
    }
}

/// A row of the register.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertRecord {
    /// Its row.
    pub id: CertificateId,
    /// SHA-256 of its DER.
    pub fingerprint: Fingerprint,
    /// Its serial, unique under its issuer.
    pub serial: Serial,
    /// Who signed it.
    pub issuer: IssuerId,
    /// Whose certificate it is.
    pub terminal: TerminalId,
    /// Whose terminal that is.
    pub customer: CustomerId,
    /// The first certificate of its line: each one of a line was renewed from the one before, or made by hand for the same terminal.
    pub line: CertificateId,
    /// The profile it was made by.
    pub profile: String,
    /// What kind of key it certifies.
    pub key_kind: KeyKind,
    /// First valid second.
    pub not_before: Timestamp,
    /// Last valid second.
    pub not_after: Timestamp,
    /// When it was signed.
    pub issued_at: Timestamp,
    /// The certificate that was presented to get this one; `None` where an operator issued it.
    pub renewed_from: Option<CertificateId>,
    /// When its bundle was first downloaded.
    pub downloaded_at: Option<Timestamp>,
    /// When it was first seen in a handshake.
    pub used_at: Option<Timestamp>,
    /// When and why it was revoked.
    pub revoked: Option<(Timestamp, RevocationReason)>,
}

/// How far a certificate has come on its way to its terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Signed; nobody has fetched it.
    Issued,
    /// Fetched; never seen in a handshake.
    Downloaded,
    /// Seen in a handshake: it is where it belongs.
    Used,
}

impl CertRecord {
    /// Whether somebody holds it or can fetch it; `waiting` is the one that can be fetched. One that nobody fetched and that cannot be
    /// fetched any more exists nowhere: its key is forgotten.
    pub fn exists(&self, waiting: Option<CertificateId>) -> bool {
        self.progress() != Progress::Issued || waiting == Some(self.id)
    }

    /// How far it has come.
    pub fn progress(&self) -> Progress {
        match (self.used_at, self.downloaded_at) {
            (Some(_), _) => Progress::Used,
            (None, Some(_)) => Progress::Downloaded,
            (None, None) => Progress::Issued,
        }
    }
}
