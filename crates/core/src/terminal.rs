//! Terminals: the PCs and tablets that certificates are made for, and the names their certificates and files carry.

use jiff::civil::Date;

use crate::customer::{Customer, CustomerCode};
use crate::id::{ClientNumber, CustomerId, TerminalId};
use crate::time::Timestamp;

/// One terminal of a customer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terminal {
    /// Its id for life, in the SAN of its certificates.
    pub id: TerminalId,
    /// Whose it is.
    pub customer: CustomerId,
    /// Its number within the customer, in the subject of its certificates.
    pub client: ClientNumber,
    /// What people call it: 受付1.
    pub name: String,
    /// When it was registered.
    pub created_at: Timestamp,
    /// When it was taken out of service; it gets no certificate any more.
    pub retired_at: Option<Timestamp>,
    /// The day (JST) on which somebody last pressed 「あとで」.
    pub deferred_on: Option<Date>,
}

/// The distinguished name of a terminal: the same for all its certificates, for its whole life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// countryName, `JP`.
    pub country: &'static str,
    /// organizationName: the customer's name, at most 64 characters (RFC 5280 appendix A.1, ub-organization-name).
    pub organization: String,
    /// commonName: `JP_u00000001_client0001`.
    pub common_name: String,
}

impl Terminal {
    /// What its certificates say it is. Comes from the register, never from an older certificate.
    pub fn subject(&self, customer: &Customer) -> Subject {
        Subject {
            country: "JP",
            organization: customer.name.chars().take(64).collect(),
            common_name: format!("JP_{}_{}", self.customer, self.client),
        }
    }
}

/// How a bundle's file is called: text with `{customer6}`, `{user}`, `{client}` (three digits where they suffice, as the seed writes it)
/// and `{client4}` (always four).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileNameTemplate(String);

/// Why a template cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "file name template {0:?} is not usable: ASCII letters, digits, `-`, `_`, `.` and {{customer6}} {{user}} {{client}} {{client4}} only, ending in .p12"
)]
pub struct FileNameError(pub String);

impl FileNameTemplate {
    /// Checks a template by filling it in.
    pub fn new(template: &str) -> Result<Self, FileNameError> {
        let filled = fill(template, "000000", "u00000001", 1);
        let clean = filled.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
        let good = clean && filled.len() <= 100 && filled.ends_with(".p12") && !filled.starts_with('.');
        good.then(|| Self(template.to_owned())).ok_or_else(|| FileNameError(template.to_owned()))
    }

    /// The file name for a terminal, for example `103001_JP_u00000001_client001.p12`.
    pub fn file_name(&self, code: &CustomerCode, terminal: &Terminal) -> String {
        fill(&self.0, &code.to_string(), &terminal.customer.to_string(), terminal.client.number())
    }
}

fn fill(template: &str, code: &str, user: &str, client: u32) -> String {
    template
        .replace("{customer6}", code)
        .replace("{user}", user)
        .replace("{client4}", &format!("client{client:04}"))
        .replace("{client}", &format!("client{client:03}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_template_writes_the_name_of_the_seed() {
        let template = FileNameTemplate::new("{customer6}_JP_{user}_{client}.p12").expect("valid");
        let terminal = Terminal {
            id: TerminalId::from_random([1; 16]),
            customer: CustomerId::new(1).expect("valid"),
            client: ClientNumber::new(1).expect("valid"),
            name: "受付1".into(),
            created_at: Timestamp(0),
            retired_at: None,
            deferred_on: None,
        };
        let code = "103001".parse().expect("valid");
        assert_eq!(template.file_name(&code, &terminal), "103001_JP_u00000001_client001.p12");
    }

    #[test]
    fn a_template_that_leaves_the_folder_is_refused() {
        for wrong in ["../{client}.p12", "{client}.pfx", "{serial}.p12", "鍵.p12", "a\"b.p12", ".p12"] {
            assert!(FileNameTemplate::new(wrong).is_err(), "{wrong}");
        }
    }
}
