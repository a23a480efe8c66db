//! The store on real files: nothing here is simulated but time.

mod chain;
mod erasing;
mod fixture;
mod opening;
mod postgres;
mod register;
mod scope;
mod trust;
mod writing;
