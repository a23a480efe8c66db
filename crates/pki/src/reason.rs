//! Why a certificate was revoked, as OCSP and CRLs say it (CRLReason, RFC 5280 section 5.3.1).

use der::Enumerated;
use tegata_core::cert::RevocationReason;

/// CRLReason, as far as we revoke for one. "Unspecified" is left out, as that section asks.
#[derive(Clone, Copy, Enumerated)]
#[asn1(type = "ENUMERATED")]
#[repr(u8)]
pub(crate) enum Reason {
    KeyCompromise = 1,
    Superseded = 4,
    CessationOfOperation = 5,
}

pub(crate) fn code(reason: RevocationReason) -> Option<Reason> {
    match reason {
        RevocationReason::Unspecified => None,
        RevocationReason::KeyCompromise => Some(Reason::KeyCompromise),
        RevocationReason::Superseded => Some(Reason::Superseded),
        RevocationReason::CessationOfOperation => Some(Reason::CessationOfOperation),
    }
}
