//! The agent against a portal that speaks EST as the contract has it: in memory with a line that loses answers on purpose, and over real TLS
//! with the program itself. Other people's tools read what lies in the stores.
#![cfg(unix)]

mod bed;
mod crashes;
mod lifecycle;
mod portal;
mod program;
mod refusals;
mod stores;
