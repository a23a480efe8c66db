//! Whom the agent believes: the roots that it was given at the beginning, those that were announced to it later over a connection that the
//! present roots verify, and the issuing CAs below them. The system's roots are never used. A certificate that the server hands out is
//! believed only after everything that can be checked was checked.

use std::path::Path;

use tegata_core::id::{Fingerprint, IssuerId, TerminalId};
use tegata_core::peer::PeerCert;
use tegata_core::profile::Purpose;
use tegata_core::time::Timestamp;
use tegata_pki::issuer::{IssuerCert, fingerprint};
use tegata_pki::key::LeafKey;
use tegata_pki::{chain, pem};

use crate::credential::{Credential, belongs};
use crate::files::{self, FileError};

/// The most roots that are kept; more would be a sign of something wrong.
const MAX_ROOTS: usize = 16;

/// Why a certificate or a CA is not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TrustError {
    /// No root with the fingerprint that was given.
    #[error("the server's CA is not the one with the fingerprint {expected}; it offers {}", found.join(", "))]
    Fingerprint {
        /// As it was given.
        expected: String,
        /// What the server has.
        found: Vec<String>,
    },
    /// Nothing in the file or the answer is a root.
    #[error("no CA certificate of the service is there")]
    NoRoot,
    /// None of the certificates in the answer is over our key.
    #[error("the answer holds no certificate over our key")]
    OtherKey,
    /// Not signed by a CA that we trust, or not for a terminal.
    #[error("the certificate was not signed by a CA that we trust")]
    Stranger,
    /// Another terminal's.
    #[error("the certificate is for another terminal: {0}")]
    OtherTerminal(TerminalId),
    /// For something else.
    #[error("the certificate is for another purpose")]
    OtherPurpose,
    /// Already over.
    #[error("the certificate ended {0}, by this machine's clock")]
    Expired(Timestamp),
    /// Begins earlier than the one that it would replace: an old answer, or a server that has gone wrong. An earlier end is no reason to
    /// refuse: after an incident, what is new may have to live shorter.
    #[error("the certificate begins {0}, earlier than the one that it would replace")]
    Older(Timestamp),
}

/// Roots and issuing CAs.
#[derive(Clone, Default)]
pub struct Trust {
    roots: Vec<Vec<u8>>,
    issuers: Vec<(IssuerId, IssuerCert)>,
    /// For each issuing CA, the root that signed it: so it is verified once.
    above: Vec<Vec<u8>>,
}

/// What an answer must fit.
pub struct Expectation<'a> {
    /// The key that was sent.
    pub key: LeafKey,
    /// For what.
    pub purpose: Purpose,
    /// For whom, where that is known.
    pub terminal: Option<TerminalId>,
    /// What it replaces.
    pub replaces: Option<&'a Credential>,
    /// The present.
    pub now: Timestamp,
}

impl Trust {
    /// From a PEM file: every certificate in it is a root, of the service or of the portal's own server certificate.
    pub fn from_pem(text: &str) -> Result<Self, TrustError> {
        let roots = pem::certificates(text).map_err(|_| TrustError::NoRoot)?;
        Ok(Self { roots, ..Self::default() })
    }

    /// The root with this fingerprint (64 hexadecimal digits, colons allowed) among `offered`.
    pub fn from_fingerprint(expected: &str, offered: &[Vec<u8>]) -> Result<Self, TrustError> {
        let digits: String = expected.chars().filter(char::is_ascii_hexdigit).collect::<String>().to_ascii_lowercase();
        let text = |der: &Vec<u8>| hex(fingerprint(der));
        match offered.iter().find(|der| text(der) == digits && is_root(der)) {
            Some(root) => Ok(Self { roots: vec![root.clone()], ..Self::default() }),
            None => {
                let found = offered.iter().filter(|der| is_root(der)).map(text).collect();
                Err(TrustError::Fingerprint { expected: expected.to_owned(), found })
            }
        }
    }

    /// From the CAs inside a bundle that its owner handed over. Its root may not be among them: then it is the one of `offered` whose key
    /// signed a CA of the bundle, which no other can have done.
    pub fn from_bundle(chain: &[Vec<u8>], offered: &[Vec<u8>]) -> Result<Self, TrustError> {
        let inside: Vec<IssuerCert> = chain.iter().filter_map(|der| IssuerCert::from_der(der).ok()).collect();
        let signed = |root: &IssuerCert| inside.iter().any(|ca| ca.is_signed_by(root));
        let is_its_root = |der: &&Vec<u8>| is_root(der) && IssuerCert::from_der(der).is_ok_and(|root| signed(&root));
        let mut roots: Vec<Vec<u8>> = chain.iter().chain(offered).filter(is_its_root).cloned().collect();
        roots.sort_unstable();
        roots.dedup();
        if roots.is_empty() {
            return Err(TrustError::NoRoot);
        }
        let mut trust = Self { roots, ..Self::default() };
        trust.add_issuers(chain);
        Ok(trust)
    }

    /// The roots, in DER.
    pub fn roots(&self) -> &[Vec<u8>] {
        &self.roots
    }

    /// The issuing CAs.
    pub fn issuers(&self) -> impl Iterator<Item = &IssuerCert> {
        self.issuers.iter().map(|(_, issuer)| issuer)
    }

    /// Takes up what `/cacerts` gave over a connection that the present roots verified: new roots beside the old ones, and the issuing CAs
    /// below any of them. Gives whether anything was new.
    pub fn learn(&mut self, announced: &[Vec<u8>]) -> bool {
        let before = (self.roots.len(), self.issuers.len());
        for der in announced {
            if !self.roots.contains(der) && self.roots.len() < MAX_ROOTS && is_root(der) {
                self.roots.push(der.clone());
            }
        }
        self.add_issuers(announced);
        before != (self.roots.len(), self.issuers.len())
    }

    fn add_issuers(&mut self, offered: &[Vec<u8>]) {
        for der in offered {
            if self.roots.contains(der) || self.issuers().any(|known| known.der() == der) {
                continue;
            }
            let Ok(issuer) = IssuerCert::from_der(der) else { continue };
            let signed = |root: &&Vec<u8>| IssuerCert::from_der(root).is_ok_and(|root| issuer.is_signed_by(&root));
            if let Some(root) = self.roots.iter().find(signed).cloned() {
                let number = i64::try_from(self.issuers.len()).unwrap_or(i64::MAX);
                self.issuers.push((IssuerId(number), issuer));
                self.above.push(root);
            }
        }
    }

    /// What a certificate says, which CA of ours signed it, and the root above.
    pub fn recognise(&self, leaf: &[u8]) -> Result<(PeerCert, &IssuerCert, &[u8]), TrustError> {
        let about = chain::identify(leaf, &self.issuers).ok_or(TrustError::Stranger)?;
        let at = self.issuers.iter().position(|(id, _)| *id == about.issuer).ok_or(TrustError::Stranger)?;
        Ok((about, &self.issuers[at].1, &self.above[at]))
    }

    /// The certificate of an answer, if it is what was asked for.
    pub fn accept(&self, answer: Vec<Vec<u8>>, expected: Expectation<'_>) -> Result<Credential, TrustError> {
        let Expectation { key, purpose, terminal, replaces, now } = expected;
        let leaf = answer.into_iter().find(|der| belongs(&key, der)).ok_or(TrustError::OtherKey)?;
        let credential = Credential::new(key, leaf, self)?;
        let about = credential.about();
        if about.purpose != purpose {
            return Err(TrustError::OtherPurpose);
        }
        if terminal.is_some_and(|terminal| terminal != about.terminal) {
            return Err(TrustError::OtherTerminal(about.terminal));
        }
        if now > about.not_after {
            return Err(TrustError::Expired(about.not_after));
        }
        match replaces.filter(|old| old.about().not_before > about.not_before) {
            Some(_) => Err(TrustError::Older(about.not_before)),
            None => Ok(credential),
        }
    }

    /// Reads `roots.pem` and `issuers.pem`.
    pub fn load(folder: &Path) -> Result<Self, FileError> {
        let list = |name: &str| {
            let text = files::read_text(&folder.join(name))?;
            Ok::<_, FileError>(text.and_then(|text| pem::certificates(&text).ok()).unwrap_or_default())
        };
        let mut trust = Self { roots: list("roots.pem")?, ..Self::default() };
        trust.add_issuers(&list("issuers.pem")?);
        Ok(trust)
    }

    /// Writes both.
    pub fn save(&self, folder: &Path) -> Result<(), FileError> {
        files::make_folder(folder)?;
        let text = |list: &mut dyn Iterator<Item = &[u8]>| list.map(pem::certificate).collect::<String>();
        let roots = text(&mut self.roots.iter().map(Vec::as_slice));
        files::write(&folder.join("roots.pem"), roots.as_bytes())?;
        let issuers = text(&mut self.issuers().map(IssuerCert::der));
        files::write(&folder.join("issuers.pem"), issuers.as_bytes())
    }
}

/// Whether a certificate is a CA's that signed itself.
fn is_root(der: &[u8]) -> bool {
    IssuerCert::from_der(der).is_ok_and(|cert| cert.is_signed_by(&cert))
}

fn hex(fingerprint: Fingerprint) -> String {
    fingerprint.0.iter().map(|byte| format!("{byte:02x}")).collect()
}
