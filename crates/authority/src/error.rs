//! What can go wrong inside and is nobody's fault at the keyboard.

use tegata_core::schedule::ScheduleError;
use tegata_pki::key::KeyError;
use tegata_store::StoreError;

use crate::custody::VaultError;
use crate::issue::IssueError;

/// An inner failure. Its text is for the log, never for a page.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// The register.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Sealed values.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// Making the certificate.
    #[error(transparent)]
    Issue(#[from] IssueError),
    /// Finding its end.
    #[error(transparent)]
    Schedule(#[from] ScheduleError),
    /// Making its key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// Making its file.
    #[error(transparent)]
    Seal(#[from] tegata_pki::pkcs12::SealError),
    /// Its file did not open again.
    #[error("the file just made does not open: {0}")]
    Open(#[from] tegata_pki::pkcs12::OpenError),
    /// Its file held another certificate.
    #[error("the file just made holds another certificate")]
    WrongContent,
    /// A row that another row promises is not there.
    #[error("the register has no {0} where another row names it")]
    Missing(&'static str),
}

impl AuthorityError {
    /// Whether the register failed, so that asking again later may help.
    pub fn is_of_the_register(&self) -> bool {
        matches!(self, Self::Store(_))
    }
}
