//! The front door: TLS with a client certificate that is asked for and never required, a verdict on that certificate for every request,
//! and limits on what one client may take. It knows no database, no page and no rule of its own: the binary feeds it a
//! [`trust::TrustSnapshot`] and a service, and reads [`tegata_core::peer::Peer`] from each request's extensions.
//!
//! Every request of a TLS listener carries four extensions: `Peer`, the client's [`std::net::SocketAddr`], [`tls::TlsInfo`], and
//! [`std::sync::Arc`] of [`proxy::Visitor`].

mod activity;
pub mod body;
pub mod forward_auth;
pub mod identity_coding;
pub mod limits;
pub mod listener;
pub mod proxy;
mod request;
pub mod server_cert;
pub mod tls;
pub mod trust;
mod verifier;
