//! The whole portal over a real register and a real CA in a temporary folder. Only TLS is left out: the tests put into each request what
//! the listener would.

mod acts;
mod api;
mod console;
mod coverage;
mod deployment;
mod enroll;
mod est;
mod forms;
mod log;
mod notices;
mod orca;
mod recovery;
mod walk;
