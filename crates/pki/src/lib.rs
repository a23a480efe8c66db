//! Certificates as bytes: bytes in, bytes out. Never opens a socket or a file, never asks a database, never reads a clock; who may get
//! which certificate is decided elsewhere (`tegata_core::renewal`), and arrives here as a `Permit`.

pub mod chain;
pub mod checkpoint;
pub mod crl;
pub mod csr;
pub mod csrattrs;
mod extension;
pub mod issue;
pub mod issuer;
pub mod key;
pub mod lint;
mod name;
pub mod ocsp;
pub mod oid;
pub mod pem;
pub mod pkcs12;
pub mod pkcs7;
mod reason;
pub mod signer;
mod tbs;

/// The largest certificate or certification request that is looked at: several times the size of ours.
pub const MAX_DER: usize = 16 * 1024;
