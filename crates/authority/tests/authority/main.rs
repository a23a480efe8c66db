//! The authority's rules over a real register, with a clock that the tests move.

mod api_keys;
mod bed;
mod checkpoints;
mod crl;
mod login;
mod notify;
mod ocsp;
mod pickup;
mod renewal;
mod revocation;
mod revoke_all;
mod rollover;
mod webhook;
