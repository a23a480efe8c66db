//! The room from outside: what is issued, read back by other people's code, and what strangers' bytes do to it.

mod bundles;
mod certificates;
mod common;
mod crl;
mod identify;
mod interop;
mod ocsp;
mod requests;
