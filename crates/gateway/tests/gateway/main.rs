//! The front door over real sockets: certificates of a real CA, real handshakes, real HTTP.

mod limits;
mod metrics;
mod old_programs;
mod proxy;
mod server_cert;
mod shutdown;
mod states;
mod tls;
mod world;
