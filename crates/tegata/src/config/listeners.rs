//! The listeners for programs, beside the portal's: where they listen, whose certificate they show, which TLS they speak.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use serde::Deserialize;
use tegata_core::id::{ClientNumber, CustomerId};
use tegata_core::profile::{LONGEST_DETOUR_DAYS, Profile};
use tegata_pki::lint::is_dns_name;

use super::{Config, ConfigError, Server, is_base_of};

/// `[orca]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Orca {
    /// Address and port for the programs.
    pub listen: SocketAddr,
    /// The address that the programs are told to fetch their file from.
    pub url: String,
    /// Names and addresses for its server certificate, when our own CA issues it.
    #[serde(default)]
    pub hosts: Vec<String>,
    /// PEM chain of a server certificate from elsewhere.
    pub certificate_file: Option<PathBuf>,
    /// PEM key of that certificate.
    pub key_file: Option<PathBuf>,
    /// Why TLS 1.2 has to be accepted here; absent means TLS 1.3 only.
    pub allow_tls12: Option<String>,
    /// Days before its end from which a program may renew; the profile's window where that is wider.
    pub window_days: Option<i64>,
    /// For how many minutes a file can be fetched at the address that a program was given.
    #[serde(default = "pickup_minutes")]
    pub pickup_minutes: i64,
    /// How often it can be fetched there.
    #[serde(default = "pickup_downloads")]
    pub pickup_downloads: u32,
}

fn pickup_minutes() -> i64 {
    15
}

fn pickup_downloads() -> u32 {
    5
}

/// `[est]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Est {
    /// Address and port for EST clients that the portal's listener is too strict for.
    pub listen: SocketAddr,
    /// Its address.
    pub url: String,
    /// Names and addresses for its server certificate, when our own CA issues it.
    #[serde(default)]
    pub hosts: Vec<String>,
    /// PEM chain of a server certificate from elsewhere.
    pub certificate_file: Option<PathBuf>,
    /// PEM key of that certificate.
    pub key_file: Option<PathBuf>,
    /// Why TLS 1.2 has to be accepted here; absent means TLS 1.3 only.
    pub allow_tls12: Option<String>,
}

/// `[forward_auth]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ForwardAuth {
    /// Address and port for other reverse proxies that ask whether a request may pass.
    pub listen: SocketAddr,
    /// Its address.
    pub url: String,
    /// The proxies: terminals of the register, whose certificates they show here.
    pub proxies: Vec<String>,
    /// Names and addresses for its server certificate, when our own CA issues it.
    #[serde(default)]
    pub hosts: Vec<String>,
    /// PEM chain of a server certificate from elsewhere.
    pub certificate_file: Option<PathBuf>,
    /// PEM key of that certificate.
    pub key_file: Option<PathBuf>,
    /// Why TLS 1.2 has to be accepted here; absent means TLS 1.3 only.
    pub allow_tls12: Option<String>,
}

// What is wrong with the file, as far as it is about these listeners.

/// How a listener gets its server certificate: from files, or from our own CA for these names.
#[derive(Debug, Clone)]
pub struct ServerNames {
    /// Names and addresses.
    pub hosts: Vec<String>,
    /// PEM chain and PEM key, relative to the file.
    pub files: Option<(PathBuf, PathBuf)>,
}

impl ServerNames {
    fn of(hosts: &[String], certificate_file: &Option<PathBuf>, key_file: &Option<PathBuf>) -> Self {
        Self { hosts: hosts.to_vec(), files: certificate_file.clone().zip(key_file.clone()) }
    }
}

impl Server {
    /// How the portal gets its certificate.
    pub fn names(&self) -> ServerNames {
        ServerNames::of(&self.hosts, &self.certificate_file, &self.key_file)
    }
}

impl Orca {
    /// How this listener gets its certificate.
    pub fn names(&self) -> ServerNames {
        ServerNames::of(&self.hosts, &self.certificate_file, &self.key_file)
    }
}

impl ForwardAuth {
    /// How this listener gets its certificate.
    pub fn names(&self) -> ServerNames {
        ServerNames::of(&self.hosts, &self.certificate_file, &self.key_file)
    }

    /// Customer and number of each proxy.
    pub fn named(&self) -> Result<Vec<(CustomerId, ClientNumber)>, ConfigError> {
        let expected = "terminals such as u00000001/client0001";
        let wrong =
            |text: &str| ConfigError::Value { setting: "forward_auth.proxies", value: text.to_owned(), expected };
        if self.proxies.is_empty() {
            return Err(wrong("empty"));
        }
        let read = |text: &String| {
            let (customer, client) = text.split_once('/')?;
            Some((customer.parse().ok()?, client.parse().ok()?))
        };
        self.proxies.iter().map(|text| read(text).ok_or_else(|| wrong(text))).collect()
    }
}

impl Est {
    /// How this listener gets its certificate.
    pub fn names(&self) -> ServerNames {
        ServerNames::of(&self.hosts, &self.certificate_file, &self.key_file)
    }
}

pub(super) fn check_server_names(
    names: &ServerNames,
    alone: bool,
    hosts: &'static str,
    file: &'static str,
) -> Result<(), ConfigError> {
    let wrong = |setting, value: &str, expected| Err(ConfigError::Value { setting, value: value.to_owned(), expected });
    if alone {
        return wrong(file, "set alone", "set together with key_file, or neither of both");
    }
    if names.files.is_none() && names.hosts.is_empty() {
        return wrong(hosts, "empty", "at least one name, or certificate_file and key_file");
    }
    match names.hosts.iter().find(|host| host.parse::<IpAddr>().is_err() && !is_dns_name(host)) {
        Some(host) => {
            wrong(hosts, host, "host names such as portal.example.jp (a leading `*.` is allowed) or IP addresses")
        }
        None => Ok(()),
    }
}

pub(super) fn check_orca(orca: &Orca) -> Result<(), ConfigError> {
    let wrong = |setting, value: &dyn ToString, expected| {
        Err(ConfigError::Value { setting, value: value.to_string(), expected })
    };
    if !is_base_of("https://", "443", &orca.url) {
        return wrong("orca.url", &orca.url, "https://host[:port] without a slash at the end");
    }
    let alone = orca.certificate_file.is_some() != orca.key_file.is_some();
    check_server_names(&orca.names(), alone, "orca.hosts", "orca.certificate_file")?;
    if orca.allow_tls12.as_deref().is_some_and(|reason| reason.trim().is_empty()) {
        return wrong("orca.allow_tls12", &"empty", "the reason for which TLS 1.2 is needed, or absent");
    }
    if !(1..=1440).contains(&orca.pickup_minutes) {
        return wrong("orca.pickup_minutes", &orca.pickup_minutes, "1 to 1440");
    }
    if !(1..=100).contains(&orca.pickup_downloads) {
        return wrong("orca.pickup_downloads", &orca.pickup_downloads, "1 to 100");
    }
    Ok(())
}

pub(super) fn check_est(est: &Est) -> Result<(), ConfigError> {
    let wrong = |setting, value: &str, expected| Err(ConfigError::Value { setting, value: value.to_owned(), expected });
    if !is_base_of("https://", "443", &est.url) {
        return wrong("est.url", &est.url, "https://host[:port] without a slash at the end");
    }
    if est.allow_tls12.as_deref().is_some_and(|reason| reason.trim().is_empty()) {
        return wrong("est.allow_tls12", "empty", "the reason for which TLS 1.2 is needed, or absent");
    }
    let alone = est.certificate_file.is_some() != est.key_file.is_some();
    check_server_names(&est.names(), alone, "est.hosts", "est.certificate_file")
}

pub(super) fn check_forward_auth(asked: &ForwardAuth) -> Result<(), ConfigError> {
    let wrong = |setting, value: &str, expected| Err(ConfigError::Value { setting, value: value.to_owned(), expected });
    if !is_base_of("https://", "443", &asked.url) {
        return wrong("forward_auth.url", &asked.url, "https://host[:port] without a slash at the end");
    }
    if asked.allow_tls12.as_deref().is_some_and(|reason| reason.trim().is_empty()) {
        return wrong("forward_auth.allow_tls12", "empty", "the reason for which TLS 1.2 is needed, or absent");
    }
    asked.named()?;
    let alone = asked.certificate_file.is_some() != asked.key_file.is_some();
    check_server_names(&asked.names(), alone, "forward_auth.hosts", "forward_auth.certificate_file")
}

/// The programs themselves ask from two calendar months on, so a narrower window would refuse them. A wider one than the profile's must
/// leave room for the days that a renewal carries over.
pub(super) fn check_window(config: &Config, terminal: &Profile) -> Result<(), ConfigError> {
    let Some(days) = config.orca.as_ref().and_then(|orca| orca.window_days) else { return Ok(()) };
    let widest = terminal.carry_over().0 - LONGEST_DETOUR_DAYS;
    if (62..=widest.max(terminal.renewal_window().0)).contains(&days) {
        return Ok(());
    }
    let expected =
        "62 or more, and at most carry_over_days - 31 of the terminal profile: more would take unused days away";
    Err(ConfigError::Value { setting: "orca.window_days", value: days.to_string(), expected })
}
