//! What the front door knows of our certificates, held in memory and swapped whole. The gateway knows no database: the binary reads the
//! register and hands a [`TrustSnapshot`] in, so that the door goes on answering while the database is away. A snapshot that has grown
//! too old is never silently trusted: each certificate of ours is then [`PeerState::Unknowable`] and [`Trust::health`] says so.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tegata_core::id::{IssuerId, Serial};
use tegata_core::peer::{PeerCert, PeerState, Presented};
use tegata_core::renewal::{Standing, standing};
use tegata_core::schedule;
use tegata_core::time::{Days, Timestamp};
use tegata_pki::issuer::IssuerCert;

/// A set of certificates, each named by issuer and serial: one sorted array, looked up by bisection. Takes [`SerialSet::BYTES_PER_ENTRY`]
/// bytes for each, so a million revoked certificates are 24 MB.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SerialSet(Box<[(IssuerId, Serial)]>);

impl SerialSet {
    /// What one entry costs in memory; nothing is added per set but its pointer and length.
    pub const BYTES_PER_ENTRY: usize = size_of::<(IssuerId, Serial)>();

    /// Whether this certificate is in it.
    pub fn contains(&self, issuer: IssuerId, serial: Serial) -> bool {
        self.0.binary_search(&(issuer, serial)).is_ok()
    }

    /// How many certificates it names.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it names none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

const _: () = assert!(SerialSet::BYTES_PER_ENTRY <= 64, "a million entries must stay small");

impl FromIterator<(IssuerId, Serial)> for SerialSet {
    fn from_iter<I: IntoIterator<Item = (IssuerId, Serial)>>(entries: I) -> Self {
        let mut entries: Vec<_> = entries.into_iter().collect();
        entries.sort_unstable();
        entries.dedup();
        Self(entries.into_boxed_slice())
    }
}

/// What was known of our certificates at one moment.
#[derive(Clone)]
pub struct TrustSnapshot {
    /// The issuing CAs whose certificates open the gate. An issuer that is left out stops being trusted at the next request.
    pub issuers: Vec<(IssuerId, IssuerCert)>,
    /// How many days before its end a certificate is due.
    pub renewal_window: Days,
    /// When the register was read.
    pub as_of: Timestamp,
    /// Revoked certificates that have not expired yet.
    pub revoked: SerialSet,
    /// Certificates whose terminal has already used a newer one.
    pub superseded: SerialSet,
    /// Certificates that were never seen in a handshake.
    pub unused: SerialSet,
}

impl fmt::Debug for TrustSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let issuers: Vec<_> = self.issuers.iter().map(|(id, _)| id).collect();
        f.debug_struct("TrustSnapshot")
            .field("issuers", &issuers)
            .field("as_of", &self.as_of)
            .field("revoked", &self.revoked.len())
            .finish_non_exhaustive()
    }
}

impl TrustSnapshot {
    fn knows(&self, issuer: IssuerId) -> bool {
        self.issuers.iter().any(|(id, _)| *id == issuer)
    }

    /// Seconds since the register was read, whichever way a clock may have been set meanwhile.
    fn age(&self, now: Timestamp) -> u64 {
        now.0.abs_diff(self.as_of.0)
    }

    /// What is shown may be worth, in the order in which a refusal weighs.
    fn state(&self, presented: &Presented, max_age: u64, now: Timestamp) -> PeerState {
        let cert = match presented {
            Presented::None => return PeerState::None,
            Presented::Foreign => return PeerState::Foreign,
            Presented::Ours(cert) if !self.knows(cert.issuer) => return PeerState::Foreign,
            Presented::Ours(cert) => cert,
        };
        if self.age(now) > max_age {
            return PeerState::Unknowable;
        }
        let revoked = self.revoked.contains(cert.issuer, cert.serial);
        match standing(revoked, cert.not_before, cert.not_after, self.renewal_window, now) {
            Standing::Revoked => PeerState::Revoked,
            Standing::NotYetValid => PeerState::NotYetValid,
            Standing::Expired => PeerState::Expired,
            Standing::Due { days_left } | Standing::Fresh { days_left }
                if self.superseded.contains(cert.issuer, cert.serial) =>
            {
                PeerState::Superseded { days_left }
            }
            Standing::Due { days_left } => PeerState::Due { days_left },
            Standing::Fresh { days_left } => PeerState::Valid { days_left },
        }
    }
}

/// Whether the snapshot can be relied on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrustHealth {
    /// It can.
    Fresh {
        /// Seconds since the register was read.
        age: u64,
    },
    /// It is too old: no certificate opens the gate until [`Trust::replace`] brings a newer one.
    Stale {
        /// Seconds since the register was read.
        age: u64,
        /// How many are permitted.
        max_age: u64,
    },
}

impl TrustHealth {
    /// Whether certificates open the gate.
    pub fn is_fresh(self) -> bool {
        matches!(self, Self::Fresh { .. })
    }
}

/// The snapshot in force. Cloned freely; all clones see a replacement at their next look.
#[derive(Clone, Debug)]
pub struct Trust {
    current: Arc<ArcSwap<TrustSnapshot>>,
    max_age: u64,
}

impl Trust {
    /// Begins with this snapshot. One older than `max_age` seconds is not relied on; neither is one from a future that far away, which
    /// says that the clock was set back.
    pub fn new(snapshot: TrustSnapshot, max_age: u64) -> Self {
        Self { current: Arc::new(ArcSwap::from_pointee(snapshot)), max_age }
    }

    /// Puts another snapshot in force, for requests on open connections too.
    pub fn replace(&self, snapshot: TrustSnapshot) {
        self.current.store(Arc::new(snapshot));
    }

    /// The snapshot in force.
    pub fn current(&self) -> Arc<TrustSnapshot> {
        self.current.load_full()
    }

    /// The age in seconds from which a snapshot is refused.
    pub fn max_age(&self) -> u64 {
        self.max_age
    }

    /// What was shown in the handshake is worth this much now.
    pub fn state(&self, presented: &Presented, now: Timestamp) -> PeerState {
        self.current.load().state(presented, self.max_age, now)
    }

    /// Whether this certificate may still wait for its first use: the list says so, or it was made after the list.
    pub fn is_unused(&self, cert: &PeerCert) -> bool {
        let snapshot = self.current.load();
        snapshot.unused.contains(cert.issuer, cert.serial) || schedule::issued_at(cert.not_before) >= snapshot.as_of
    }

    /// Whether the snapshot can be relied on.
    pub fn health(&self, now: Timestamp) -> TrustHealth {
        let age = self.current.load().age(now);
        if age > self.max_age { TrustHealth::Stale { age, max_age: self.max_age } } else { TrustHealth::Fresh { age } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn serial(number: u128) -> Serial {
        Serial::from_bytes(number.to_be_bytes())
    }

    #[test]
    fn an_entry_takes_24_bytes() {
        assert_eq!(SerialSet::BYTES_PER_ENTRY, 24);
    }

    #[test]
    fn a_serial_counts_under_its_own_issuer_only() {
        let (ours, other) = (IssuerId(1), IssuerId(2));
        let revoked: SerialSet =
            [(ours, serial(5)), (ours, serial(3)), (other, serial(4)), (ours, serial(3))].into_iter().collect();
        assert_eq!(revoked.len(), 3);
        assert!(
            revoked.contains(ours, serial(3))
                && revoked.contains(ours, serial(5))
                && revoked.contains(other, serial(4))
        );
        assert!(!revoked.contains(other, serial(3)) && !revoked.contains(ours, serial(4)));
        assert!(SerialSet::default().is_empty());
    }
}
