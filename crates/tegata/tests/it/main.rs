//! The whole program, run as people run it: a real process, real TLS, a real database file.

mod agent;
mod applications;
mod audit;
mod backup;
mod bed;
mod commands;
mod crl;
mod faults;
mod kill;
mod orca;
mod status;
mod walk;
mod years;
