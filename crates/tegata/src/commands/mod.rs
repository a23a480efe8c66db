//! One file for each command. They read arguments, call the authority or a reader, and print.

pub mod api_key;
pub mod audit;
pub mod backup;
mod browser;
pub mod ca;
pub mod cert;
pub mod config;
pub mod customer;
pub mod demo;
mod demo_app;
pub mod doctor;
pub mod enrollment;
pub mod forecast;
pub mod init;
pub mod notify;
mod policy;
pub mod renewal;
pub mod terminal;
pub mod user;
pub mod webhook;
