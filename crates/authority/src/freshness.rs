//! For how long something that was signed for everybody is good, and how one is told from the next: what caches go by.

use aws_lc_rs::digest::{SHA256, digest};
use tegata_core::time::Timestamp;

/// For how long an answer, or a list, is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Freshness {
    /// When it was signed.
    pub produced_at: Timestamp,
    /// Until when it may be relied on.
    pub next_update: Timestamp,
    /// From when on there is a newer one.
    pub refreshed_at: Timestamp,
    /// Differs between any two.
    pub tag: [u8; 16],
}

/// A tag of these octets.
pub(crate) fn tag(der: &[u8]) -> [u8; 16] {
    let mut tag = [0; 16];
    tag.copy_from_slice(&digest(&SHA256, der).as_ref()[..16]);
    tag
}
