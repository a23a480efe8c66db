//! `tegata agent`: keeps the keys of one terminal, renews its certificates in time, proves each new one before it takes the place of the old
//! one, and tells a person only when one is needed. No server code, and no async: it does one thing at a time. The clock and chance are
//! arguments; only `system` reads them, for the program itself.

pub mod cli;
pub mod credential;
pub mod doctor;
pub mod engine;
pub mod enrol;
pub mod est;
pub mod files;
pub mod hooks;
pub mod http;
pub mod network;
mod os;
pub mod process;
mod round;
pub mod schedule;
pub mod setback;
pub mod settings;
pub mod slot;
pub mod state;
pub mod status;
pub mod store;
pub mod system;
pub mod transport;
pub mod trust;

pub use engine::{Agent, AgentError, Outcome, Tick, Urge, World};
pub use slot::IDENTITY;
