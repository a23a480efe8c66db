//! The only room with SQL: the register of customers, terminals and certificates, their bundles and sessions, and the operation log.
//!
//! It hands out two things. A [`Reader`] is cloned freely; its calls take a [`tegata_core::access::Scope`] and never answer with a row
//! outside of it. [`Store::write`] runs one unit of work on a [`Tx`]: all of it happens, durably, or none of it. The store keeps rules
//! of shape (nothing twice, nothing of a stranger, a log without gaps) and decides nothing else.

mod advice;
mod api_keys;
mod api_requests;
pub mod audit;
mod bundles;
mod certificates;
mod checkpoints;
mod contacts;
mod customer_settings;
mod customers;
mod database;
mod db;
mod error;
mod facts;
mod forecast;
mod identities;
mod invitations;
mod issuers;
mod numbers;
mod outbox;
#[cfg(test)]
mod plans;
mod reader;
mod recoveries;
mod reminders;
mod revoking;
mod search;
mod server_certificates;
mod sessions;
mod snapshot;
mod status;
mod store;
mod terminals;
mod throttle;
mod trust;
mod users;
mod webhooks;
mod writer;

pub use advice::{AdviceRow, Audience};
pub use api_keys::ApiKeyRow;
pub use api_requests::ApiRequestRow;
pub use audit::AuditFilter;
pub use bundles::{BundleRow, ErasedBundle, NewBundle};
pub use certificates::{CertFilter, KeyGuard, NewCertificate};
pub use checkpoints::{CheckpointRow, LogKeyRow, LogState};
pub use customers::NewCustomer;
pub use database::{Database, Server};
pub use error::StoreError;
pub use identities::IdentityRow;
pub use invitations::InvitationRow;
pub use issuers::{IssuerRow, NewIssuer};
pub use numbers::RenewalCounts;
pub use outbox::{NewParcel, Outcome, ParcelFilter, ParcelRow};
pub use reader::Reader;
pub use recoveries::RecoveryRow;
pub use reminders::Said;
pub use revoking::{Held, RevocationTarget};
pub use search::Found;
pub use server_certificates::NewServerCertificate;
pub use sessions::{NewSession, SessionRow};
pub use snapshot::Snapshot;
pub use status::{IssuedSerial, Revocation, Revocations};
pub use store::{OpenMode, ServeLock, Store};
pub use terminals::NewTerminal;
pub use throttle::Throttle;
pub use trust::TrustRows;
pub use users::NewUser;
pub use webhooks::{HookRow, Telling};
pub use writer::Tx;
