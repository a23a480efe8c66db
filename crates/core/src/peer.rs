//! What the other end of a TLS connection showed, and what that is worth at this moment. The gateway puts both into each request; pages
//! and proxied applications read them and never look at the handshake themselves.

use crate::id::{Fingerprint, IssuerId, Serial, TerminalId};
use crate::profile::Purpose;
use crate::time::{Days, Timestamp};

/// A certificate that one of our issuing CAs signed and whose key the other end proved to hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerCert {
    /// SHA-256 of its DER.
    pub fingerprint: Fingerprint,
    /// Its serial.
    pub serial: Serial,
    /// Which of our CAs signed it.
    pub issuer: IssuerId,
    /// The terminal its SAN names.
    pub terminal: TerminalId,
    /// What its SAN says that it is for: [`Purpose::Client`] or [`Purpose::Agent`].
    pub purpose: Purpose,
    /// First valid second.
    pub not_before: Timestamp,
    /// Last valid second.
    pub not_after: Timestamp,
}

/// What was shown in the handshake. Fixed for the life of a connection, resumed sessions included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Presented {
    /// No certificate: none installed, none valid (browsers hide expired ones), or the chooser was cancelled.
    None,
    /// A certificate that none of our CAs signed for a terminal.
    Foreign,
    /// One of ours, the signature checked.
    Ours(PeerCert),
}

/// What the presented certificate is worth at this moment. Decided for every request anew, since time passes and certificates are revoked
/// while connections live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerState {
    /// Nothing was shown.
    None,
    /// Not one of ours.
    Foreign,
    /// Ours, but its first second is still to come.
    NotYetValid,
    /// Ours, past its last second.
    Expired,
    /// Ours, revoked.
    Revoked,
    /// Valid, but its terminal has already used a newer one.
    Superseded {
        /// Days until its end.
        days_left: Days,
    },
    /// Valid, inside the renewal window.
    Due {
        /// Days until its end.
        days_left: Days,
    },
    /// Valid, with time.
    Valid {
        /// Days until its end.
        days_left: Days,
    },
    /// Ours by signature, but the list of revoked certificates is too old to be relied on; nobody is let in until it is fresh again.
    Unknowable,
}

impl PeerState {
    /// Whether this certificate opens the gate.
    pub fn is_accepted(self) -> bool {
        matches!(self, Self::Superseded { .. } | Self::Due { .. } | Self::Valid { .. })
    }

    /// Its word in logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Foreign => "foreign",
            Self::NotYetValid => "not-yet-valid",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
            Self::Superseded { .. } => "superseded",
            Self::Due { .. } => "due",
            Self::Valid { .. } => "valid",
            Self::Unknowable => "unknowable",
        }
    }
}

/// What each request carries: the certificate shown, and its worth when the request arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// What was shown.
    pub presented: Presented,
    /// What it is worth.
    pub state: PeerState,
}

impl Peer {
    /// The certificate, when it opens the gate. An agent's does not: it is for renewing alone.
    pub fn accepted(&self) -> Option<&PeerCert> {
        self.credential().filter(|cert| cert.purpose == Purpose::Client)
    }

    /// The certificate, when it says which terminal asks for a new one: a terminal's or its agent's.
    pub fn credential(&self) -> Option<&PeerCert> {
        match &self.presented {
            Presented::Ours(cert) if self.state.is_accepted() => Some(cert),
            _ => None,
        }
    }
}
