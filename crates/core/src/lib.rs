//! The words and the rules of Tegata. Everything here is a pure function of its arguments: no I/O, no async, no clock,
//! no randomness of its own, no wire formats. Whatever decides who may get which certificate, and until when, is here.

pub mod access;
pub mod api_key;
pub mod application;
pub mod audit;
pub mod cert;
pub mod contact;
pub mod csv;
pub mod customer;
pub mod delivery;
pub mod event;
pub mod forecast;
pub mod holiday;
pub mod hook;
pub mod id;
pub mod invitation;
pub mod outlook;
pub mod peer;
pub mod profile;
pub mod recovery;
pub mod reminder;
pub mod renewal;
pub mod schedule;
pub mod search;
pub mod secret;
pub mod terminal;
pub mod time;
