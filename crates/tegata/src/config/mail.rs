//! How notices leave: by a mail server, or into a folder; whom webhooks trust.

use std::net::IpAddr;
use std::path::PathBuf;

use serde::Deserialize;
use tegata_core::contact::MailAddress;
use tegata_pki::lint::is_dns_name;

use super::ConfigError;

/// `[mail]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mail {
    /// The mail server.
    pub host: Option<String>,
    /// Its port; 587 with STARTTLS, 465 with TLS where none is given.
    pub port: Option<u16>,
    /// How the connection is protected.
    #[serde(default)]
    pub tls: MailTls,
    /// The account at the mail server.
    pub user: Option<String>,
    /// The file whose first line is its password.
    pub password_file: Option<PathBuf>,
    /// PEM file of the CA of the mail server, where it is not one of the system's.
    pub ca_file: Option<PathBuf>,
    /// From which address.
    pub from: String,
    /// A folder that mails are written to, in place of a server.
    pub folder: Option<PathBuf>,
    /// From which hour of Japan on a day's reminders are written.
    #[serde(default = "hour")]
    pub hour: i8,
    /// Whether all reminders are written at weekends and on public holidays too.
    #[serde(default)]
    pub on_holidays: bool,
}

/// `[webhooks]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Webhooks {
    /// PEM file of CAs that are trusted beside the system's.
    pub ca_file: Option<PathBuf>,
}

fn hour() -> i8 {
    9
}

/// How the connection to a mail server is protected.
#[derive(Debug, Clone, Copy, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum MailTls {
    /// It begins in plain and must become TLS before anything is said (RFC 3207).
    #[default]
    Starttls,
    /// TLS from the first byte (RFC 8314).
    Tls,
    /// Not at all; on this machine only.
    None,
}

// What is wrong with the file, as far as it is about mail.

impl Mail {
    /// The port to connect to.
    pub fn port(&self) -> u16 {
        let usual = match self.tls {
            MailTls::Starttls => 587,
            MailTls::Tls => 465,
            MailTls::None => 25,
        };
        self.port.unwrap_or(usual)
    }
}

pub(super) fn check_mail(mail: &Mail) -> Result<(), ConfigError> {
    let wrong = |setting, value: &str, expected| Err(ConfigError::Value { setting, value: value.to_owned(), expected });
    if mail.from.parse::<MailAddress>().is_err() {
        return wrong("mail.from", &mail.from, "a mail address such as tegata@example.jp");
    }
    let host = match (&mail.host, &mail.folder) {
        (Some(host), None) => host,
        (None, Some(_)) if mail.user.is_none() && mail.ca_file.is_none() => return check_hour(mail),
        (None, Some(_)) => {
            return wrong("mail.folder", "set", "without mail.user and mail.ca_file, which are a server's");
        }
        _ => return wrong("mail.host / mail.folder", "both or neither", "exactly one of them"),
    };
    let address = host.parse::<IpAddr>();
    if address.is_err() && (!is_dns_name(host) || host.starts_with('*')) {
        return wrong("mail.host", host, "a host name or an address, without a port");
    }
    let here = host == "localhost" || address.is_ok_and(|address| address.is_loopback());
    if mail.tls == MailTls::None && !here {
        return wrong("mail.tls", "none", "starttls or tls: without, only a server on this machine is talked to");
    }
    check_hour(mail)
}

fn check_hour(mail: &Mail) -> Result<(), ConfigError> {
    if (0..=23).contains(&mail.hour) {
        return Ok(());
    }
    Err(ConfigError::Value { setting: "mail.hour", value: mail.hour.to_string(), expected: "0 to 23" })
}
