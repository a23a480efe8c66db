//! The issuing CAs before the one that signs. Their certificates count until they expire, and only a responder that the same CA certified may
//! answer for them (RFC 6960 section 4.2.2.2), only it signs its revocation list: so the roll-over keeps their keys, and this opens them, for
//! that and for nothing else. A key that is not there keeps nothing from starting: the operator may have taken it away.

use std::path::Path;
use std::sync::Arc;

use tegata_core::access::Actor;
use tegata_pki::issue::Urls;
use tegata_pki::issuer::IssuerCert;
use tegata_pki::signer::{SignError, Signer, SoftwareSigner};
use tegata_store::StoreError;

use crate::Authority;
use crate::custody::{self, CustodyError, Passphrase, Sealed};
use crate::issue::IssuingCa;

/// Why an earlier CA's key is not at hand.
#[derive(Debug, thiserror::Error)]
enum ElderError {
    #[error(transparent)]
    Custody(#[from] CustodyError),
    #[error(transparent)]
    Key(#[from] SignError),
    #[error("it holds the key of another CA")]
    OtherKey,
    #[error("our root did not sign this CA")]
    OtherRoot,
}

/// What is left of a CA's name in the names of its files when another one takes its place.
pub(crate) fn kept_name(cert: &IssuerCert) -> String {
    let fingerprint: String = cert.fingerprint().to_string().chars().take(16).collect();
    format!("issuing-{fingerprint}")
}

/// The file in the key folder that holds the key of an earlier CA.
pub fn key_file(cert: &IssuerCert) -> String {
    format!("{}.sealed", kept_name(cert))
}

impl Authority {
    /// The CAs that speak about their certificates: the one that signs, and these.
    pub fn with_elders(&self, elders: Vec<IssuingCa>) -> Vec<Arc<IssuingCa>> {
        let own = Arc::clone(&self.0.ca);
        std::iter::once(own).chain(elders.into_iter().map(Arc::new)).collect()
    }
}

/// Opens the earlier CAs of the register that have not ended, newest first. One whose key does not open is named in the log and left out.
pub async fn open(authority: &Authority, keys: &Path, pass: &Passphrase) -> Result<Vec<IssuingCa>, StoreError> {
    let (ca, now) = (authority.ca(), authority.now());
    let rows = authority.reader().issuers(Actor::System { job: "open" }.scope()).await?;
    let earlier = rows.iter().rev().filter(|row| row.id.0 < ca.id.0 && row.not_after >= now);
    let earlier: Vec<_> =
        earlier.filter_map(|row| IssuerCert::from_der(&row.der).ok().map(|cert| (row.id, cert))).collect();
    // Each takes Argon2id a while on purpose; side by side they take it once.
    let opened: Vec<_> = std::thread::scope(|scope| {
        let opening = earlier.iter().map(|(_, cert)| scope.spawn(|| open_key(cert, &ca.root, keys, pass)));
        let opening: Vec<_> = opening.collect();
        opening.into_iter().map(|one| one.join().expect("opening a file does not panic")).collect()
    });
    let mut elders = Vec::with_capacity(earlier.len());
    for ((id, cert), signer) in earlier.into_iter().zip(opened) {
        match signer {
            Ok(signer) => {
                let (root, urls) = (ca.root.clone(), Urls::default());
                elders.push(IssuingCa { id, cert, root, signer: Box::new(signer), urls });
            }
            Err(error) => {
                let (name, file) = (cert.common_name(), key_file(&cert));
                tracing::warn!(%error, issuer = %name, file, "the status of an earlier CA's certificates is not answered, nor is its revocation list signed: its key is not at hand");
            }
        }
    }
    Ok(elders)
}

fn open_key(
    cert: &IssuerCert,
    root: &IssuerCert,
    keys: &Path,
    pass: &Passphrase,
) -> Result<SoftwareSigner, ElderError> {
    if !cert.is_signed_by(root) {
        return Err(ElderError::OtherRoot);
    }
    let key = custody::open_file(&keys.join(key_file(cert)), Sealed::Issuing, pass)?;
    let signer = SoftwareSigner::from_pkcs8(key.expose())?;
    if signer.public_key_der() != cert.spki_der() {
        return Err(ElderError::OtherKey);
    }
    Ok(signer)
}
