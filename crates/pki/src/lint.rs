//! Our own rules about certificates, checked before anything is signed. Stub of the rules follows.

use crate::tbs::Tbs;

/// What a certificate is for; decides which rules apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The self-signed root.
    Root,
    /// The CA that signs terminals' certificates.
    Issuing,
    /// A terminal.
    Client,
    /// A listener.
    Server,
}

/// A broken rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the certificate would break {rule:?} (RFC 5280 section {})", rule.section())]
pub struct Broken {
    /// Which one.
    pub rule: Rule,
}

/// The rules, in the order in which they are checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Version 3.
    Version,
}

impl Rule {
    /// Where it is written.
    pub fn section(self) -> &'static str {
        "4.1.2.1"
    }
}

pub(crate) fn check(_tbs: &Tbs, _role: Role, _issuer_identifier: &[u8]) -> Result<(), Broken> {
    Ok(())
}
