//! Certificate status (OCSP, RFC 6960) as bytes: a request of anybody's is read strictly and within bounds, an answer is written and signed
//! by a [`Responder`] with a key of its own. What a certificate's status is, is decided elsewhere.

mod request;
mod response;

pub use request::{CertId, Malformed, Request};
pub use response::{Refusal, Responder, Single, Status, refusal};

use aws_lc_rs::digest::{self, Algorithm, SHA1_FOR_LEGACY_USE_ONLY, SHA256};

use crate::issuer::IssuerCert;

/// The largest request that is read.
pub const MAX_REQUEST: usize = 4 * 1024;
/// How many certificates one request may ask about.
pub const MAX_CERTIFICATES: usize = 16;
/// The longest nonce (RFC 9654 section 2.1); the shortest has one octet.
pub const MAX_NONCE: usize = 128;

/// How a request names the issuer: the hashes of its name and of its key (RFC 6960 section 4.1.1). SHA-1 is what nearly every client sends;
/// it names here and protects nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Hash {
    /// SHA-1.
    Sha1,
    /// SHA-256.
    Sha256,
}

impl Hash {
    fn algorithm(self) -> &'static Algorithm {
        match self {
            Self::Sha1 => &SHA1_FOR_LEGACY_USE_ONLY,
            Self::Sha256 => &SHA256,
        }
    }
}

/// The hashes by which requests name one CA. Made from the octets of its certificate: a name or a key that is encoded anew may differ.
#[derive(Clone, Debug)]
pub struct IssuerHashes([(Hash, Vec<u8>, Vec<u8>); 2]);

impl IssuerHashes {
    /// Those of this CA.
    pub fn of(issuer: &IssuerCert) -> Self {
        Self([Hash::Sha1, Hash::Sha256].map(|hash| {
            let of = |bytes: &[u8]| digest::digest(hash.algorithm(), bytes).as_ref().to_vec();
            (hash, of(issuer.subject_der()), of(issuer.key_bits()))
        }))
    }

    /// Whether a request means this CA.
    pub fn are_meant_by(&self, asked: &CertId<'_>) -> bool {
        let Self(all) = self;
        all.iter().any(|(hash, name, key)| {
            asked.hash == Some(*hash) && asked.issuer_name_hash == name && asked.issuer_key_hash == key
        })
    }
}
