//! What the agent asks of a network: one request, one answer. Two of them exist: the real one (`crate::network`), and one that simulations
//! and tests put in its place, which loses answers on purpose.

use tegata_core::secret::Secret;
use tegata_core::time::Timestamp;

pub use crate::http::Response;

use crate::credential::Credential;

/// How to know that the other end is the right one.
#[derive(Clone, Copy, Debug)]
pub enum Assurance<'a> {
    /// Its certificate leads to one of these roots (DER).
    Roots(&'a [Vec<u8>]),
    /// Not at all: for the one question whose answer is checked by a fingerprint afterwards. Nothing secret is ever sent so.
    None,
}

/// One request.
pub struct Request<'a> {
    /// `GET` or `POST`.
    pub method: &'static str,
    /// An https: address.
    pub url: &'a str,
    /// Names and values beyond the usual ones. Values may be secret.
    pub headers: Vec<(&'static str, Secret<String>)>,
    /// The body of a `POST`.
    pub body: &'a [u8],
    /// What to present in the handshake.
    pub credential: Option<&'a Credential>,
    /// Whom to believe.
    pub assurance: Assurance<'a>,
    /// The present: certificates are judged by it.
    pub now: Timestamp,
}

/// Why there was no answer. Whether the request arrived is not known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TransportError {
    /// The address is none.
    #[error(transparent)]
    Url(#[from] crate::http::UrlError),
    /// The name of the host is not known.
    #[error("the name {0} cannot be resolved: {1}")]
    Name(String, String),
    /// Nobody answers there.
    #[error("no connection to {0}: {1}")]
    Connect(String, String),
    /// The proxy does not let us through.
    #[error("the proxy refuses: {0}")]
    Proxy(String),
    /// The other end did not prove itself, by our clock and our roots.
    #[error("the server's certificate is not accepted: {0}")]
    Certificate(String),
    /// The handshake failed otherwise.
    #[error("TLS: {0}")]
    Tls(String),
    /// The connection broke, or took too long.
    #[error("the connection broke: {0}")]
    Broken(String),
}

/// A way to the server.
pub trait Transport {
    /// Sends a request and waits for its answer.
    fn send(&self, request: &Request<'_>) -> Result<Response, TransportError>;
}
