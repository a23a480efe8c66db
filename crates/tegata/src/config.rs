//! The configuration file: one struct per topic, unknown keys refused. docs/config.example.toml is its sample and its manual; a test
//! holds both together. Relative paths are relative to the file.

mod applications;
mod audit;
mod listeners;
mod mail;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use tegata_core::profile::{Profile, ProfileError, ProfileSettings, Purpose};
use tegata_core::secret::Secret;
use tegata_core::terminal::{FileNameError, FileNameTemplate};
use tegata_pki::lint::{is_dns_name, is_http_url};
use tegata_store::{Database, StoreError};
use tracing_subscriber::EnvFilter;

pub use applications::Application;
use applications::check_applications;
pub use audit::Audit;
use audit::check_audit;
pub use listeners::{Est, ForwardAuth, Orca, ServerNames};
pub use mail::{Mail, MailTls, Webhooks};

use listeners::{check_est, check_forward_auth, check_orca, check_server_names, check_window};
use mail::check_mail;

/// The sample, with every setting explained.
pub const EXAMPLE: &str = include_str!("../../../docs/config.example.toml");

/// The whole file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The front door.
    pub server: Server,
    /// Where the register lives.
    pub store: Store,
    /// The CA.
    pub authority: Authority,
    /// Certificate profiles by name; `terminal` and `server` must exist, `agent` may.
    pub profile: BTreeMap<String, ProfileSettings>,
    /// Certificate status for everybody; absent means none.
    pub status: Option<Status>,
    /// What people see.
    pub portal: Portal,
    /// Applications on the master menu, and behind the gate.
    #[serde(default)]
    pub application: Vec<Application>,
    /// The listener for ORCA's own programs; absent means that there is none.
    pub orca: Option<Orca>,
    /// Another listener for EST, which the portal's has too; absent means that there is none.
    pub est: Option<Est>,
    /// The listener for other reverse proxies; absent means that there is none.
    pub forward_auth: Option<ForwardAuth>,
    /// The operation log.
    #[serde(default)]
    pub audit: Audit,
    /// How notices leave; absent means that none are sent.
    pub mail: Option<Mail>,
    /// Webhooks.
    #[serde(default)]
    pub webhooks: Webhooks,
    /// Logging.
    #[serde(default)]
    pub log: Log,
    /// The folder of the file; filled in when it is read.
    #[serde(skip)]
    pub folder: PathBuf,
}

/// `[server]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Server {
    /// Address and port for browsers.
    pub listen: SocketAddr,
    /// More of them, for applications that have a port of their own.
    #[serde(default)]
    pub also_listen: Vec<SocketAddr>,
    /// Address and port for `/metrics`, `/healthz` and `/readyz`; loopback.
    pub operations_listen: SocketAddr,
    /// The address people type.
    pub url: String,
    /// Other names of the same server, so that a browser asks for a certificate anew.
    pub alias_urls: Vec<String>,
    /// Names and addresses for the server certificate, when our own CA issues it.
    pub hosts: Vec<String>,
    /// PEM chain of a server certificate from elsewhere.
    pub certificate_file: Option<PathBuf>,
    /// PEM key of that certificate.
    pub key_file: Option<PathBuf>,
    /// Why TLS 1.2 has to be accepted; absent means TLS 1.3 only.
    pub allow_tls12: Option<String>,
    /// After how many seconds without contact to the register nobody is let in any more.
    pub trust_max_age_seconds: i64,
    /// Connections that one address may hold.
    pub connections_per_address: usize,
    /// Connections in all.
    pub connections: usize,
    /// Seconds that running requests get when the server stops.
    pub drain_seconds: u64,
}

/// `[store]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Store {
    /// The SQLite file, or the address of a PostgreSQL database. Hidden, since somebody may write a password into the address.
    #[serde(deserialize_with = "hidden")]
    pub database: Secret<String>,
    /// The file that holds the password for PostgreSQL.
    pub password_file: Option<PathBuf>,
}

fn hidden<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Secret<String>, D::Error> {
    String::deserialize(deserializer).map(Secret::new)
}

/// `[authority]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Authority {
    /// Folder of the sealed keys.
    pub key_folder: PathBuf,
    /// Folder of the CA certificates (PEM).
    pub certificate_folder: PathBuf,
    /// Where else others fetch the full CRL; goes into each certificate.
    pub crl_urls: Vec<String>,
    /// For how many hours a CRL may be relied on.
    #[serde(default = "crl_hours")]
    pub crl_hours: i64,
    /// Where others fetch the issuing CA's certificate; goes into each certificate.
    pub issuer_urls: Vec<String>,
    /// How many keys are kept ready for a click.
    pub key_pool: usize,
    /// How many certificates one terminal's programs may get within 24 hours.
    #[serde(default = "daily_certificates")]
    pub daily_certificates: u32,
}

/// Long enough to mend a night's failure, short enough that nobody relies on an old list for long.
fn crl_hours() -> i64 {
    24
}

/// Enough for a terminal with several stores whose agent is being set up, and a stop for a program that has gone wild.
fn daily_certificates() -> u32 {
    24
}

/// `[status]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Status {
    /// Address and port, in plain HTTP; absent where another node answers.
    pub listen: Option<SocketAddr>,
    /// Where others reach it; goes into each certificate.
    pub url: String,
}

/// `[portal]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Portal {
    /// The name on every page.
    pub service_name: String,
    /// Who runs the service.
    pub operator_name: String,
    /// Whom to call.
    pub support_phone: Option<String>,
    /// When somebody answers.
    pub support_hours: Option<String>,
    /// How the downloaded file is called.
    pub file_name: String,
    /// For how many days the same bundle can be fetched again.
    pub bundle_days: i64,
    /// After how many hours a login ends.
    pub session_hours: i64,
}

/// `[log]`
#[derive(Debug, Clone, Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub struct Log {
    /// `text` or `json`.
    #[serde(default)]
    pub format: LogFormat,
    /// What is logged, as `tracing` writes it: `info`, `tegata_gateway=debug,info`.
    pub level: Option<String>,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, Deserialize, Default, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// For collectors.
    Json,
}

/// What is wrong with the file. Each says where.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It cannot be read.
    #[error("cannot read the configuration {path}: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It is not TOML of our shape: an unknown key, a missing one, a wrong type.
    #[error("{path}: {message}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Line, column and what was expected.
        message: String,
    },
    /// A profile that cannot be.
    #[error(transparent)]
    Profile(#[from] ProfileError),
    /// A profile that is missing or of the wrong purpose.
    #[error("[profile.{0}] is missing, or its purpose is not {1:?}")]
    MissingProfile(&'static str, &'static str),
    /// A database that cannot be.
    #[error("store.database: {0}")]
    Database(#[from] StoreError),
    /// A template that cannot be.
    #[error("portal.file_name: {0}")]
    FileName(#[from] FileNameError),
    /// A value out of range.
    #[error("{setting} is {value}, but must be {expected}")]
    Value {
        /// The setting.
        setting: &'static str,
        /// What was written.
        value: String,
        /// What would be accepted.
        expected: &'static str,
    },
}

/// A configuration whose parts have been checked against each other.
#[derive(Debug, Clone)]
pub struct Checked {
    /// As written.
    pub config: Config,
    /// For terminals.
    pub terminal_profile: Profile,
    /// For terminals' agents, where there are any.
    pub agent_profile: Option<Profile>,
    /// For our own listeners.
    pub server_profile: Profile,
    /// For downloads.
    pub file_name: FileNameTemplate,
}

impl Checked {
    /// Reads and checks a file.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
        let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        Self::parse(&text, path, folder)
    }

    /// Checks a text; `path` is for messages, relative paths start at `folder`.
    pub fn parse(text: &str, path: &Path, folder: &Path) -> Result<Self, ConfigError> {
        let malformed = |e: toml::de::Error| ConfigError::Malformed { path: path.to_owned(), message: e.to_string() };
        let mut config: Config = toml::from_str(text).map_err(malformed)?;
        config.folder = folder.to_owned();
        Database::parse(config.store.database.expose(), folder)?;
        check_values(&config)?;
        let profile = |name: &'static str, purpose: Purpose, word: &'static str| {
            let settings = config.profile.get(name).filter(|p| p.purpose == purpose);
            let settings = settings.ok_or(ConfigError::MissingProfile(name, word))?;
            settings.clone().validate(name).map_err(ConfigError::from)
        };
        let terminal_profile = profile("terminal", Purpose::Client, "client")?;
        let server_profile = profile("server", Purpose::Server, "server")?;
        check_window(&config, &terminal_profile)?;
        let agent_profile = match config.profile.contains_key("agent") {
            true => Some(profile("agent", Purpose::Agent, "agent")?),
            false => None,
        };
        let file_name = FileNameTemplate::new(&config.portal.file_name)?;
        Ok(Self { config, terminal_profile, agent_profile, server_profile, file_name })
    }

    /// Where the register lives; the password beside the address is not in it yet.
    pub fn database(&self) -> Result<Database, ConfigError> {
        Ok(Database::parse(self.config.store.database.expose(), &self.config.folder)?)
    }

    /// A path of the file, made absolute by the file's own folder.
    pub fn path(&self, relative: &Path) -> PathBuf {
        self.config.folder.join(relative)
    }
}

/// Addresses, names and files, before the numbers.
fn check_names(config: &Config) -> Result<(), ConfigError> {
    let wrong = |setting, value: &dyn ToString, expected| {
        Err(ConfigError::Value { setting, value: value.to_string(), expected })
    };
    let server = &config.server;
    if !server.operations_listen.ip().is_loopback() {
        return wrong(
            "server.operations_listen",
            &server.operations_listen,
            "a loopback address: it has no access control",
        );
    }
    for url in std::iter::once(&server.url).chain(&server.alias_urls) {
        if !is_base_of("https://", "443", url) {
            return wrong("server.url / server.alias_urls", url, "https://host[:port] without a slash at the end");
        }
    }
    let alone = server.certificate_file.is_some() != server.key_file.is_some();
    check_server_names(&server.names(), alone, "server.hosts", "server.certificate_file")?;
    for url in config.authority.crl_urls.iter().chain(&config.authority.issuer_urls) {
        if !is_http_url(url) {
            return wrong(
                "authority.crl_urls / authority.issuer_urls",
                url,
                "http://…: fetching it must not need a certificate",
            );
        }
    }
    if let Some(status) = config.status.as_ref().filter(|status| !is_base_of("http://", "80", &status.url)) {
        return wrong(
            "status.url",
            &status.url,
            "http://host[:port] without a slash at the end: fetching it must not need a certificate",
        );
    }
    if let Some(level) = config.log.level.as_deref().filter(|level| EnvFilter::builder().parse(level).is_err()) {
        return wrong("log.level", &level, "a level such as info, or tegata_gateway=debug,info");
    }
    Ok(())
}

fn check_values(config: &Config) -> Result<(), ConfigError> {
    let wrong = |setting, value: &dyn ToString, expected| {
        Err(ConfigError::Value { setting, value: value.to_string(), expected })
    };
    check_names(config)?;
    config.orca.as_ref().map_or(Ok(()), check_orca)?;
    config.est.as_ref().map_or(Ok(()), check_est)?;
    config.forward_auth.as_ref().map_or(Ok(()), check_forward_auth)?;
    check_audit(&config.audit)?;
    config.mail.as_ref().map_or(Ok(()), check_mail)?;
    let server = &config.server;
    if server.trust_max_age_seconds < 5 {
        return wrong("server.trust_max_age_seconds", &server.trust_max_age_seconds, "5 or more");
    }
    if server.connections == 0 || server.connections_per_address == 0 {
        return wrong("server.connections", &0, "1 or more");
    }
    if !(2..=168).contains(&config.authority.crl_hours) {
        return wrong("authority.crl_hours", &config.authority.crl_hours, "2 to 168");
    }
    if !(1..=30).contains(&config.portal.bundle_days) {
        return wrong("portal.bundle_days", &config.portal.bundle_days, "1 to 30");
    }
    if !(1..=168).contains(&config.portal.session_hours) {
        return wrong("portal.session_hours", &config.portal.session_hours, "1 to 168");
    }
    check_applications(config)
}

/// `https://host[:port]`, or the same in plain HTTP, nothing behind it.
fn is_base_of(scheme: &str, port: &str, url: &str) -> bool {
    let Some(authority) = url.strip_prefix(scheme) else { return false };
    let split = authority.rsplit_once(':').filter(|(_, port)| !port.ends_with(']'));
    let (host, port) = split.unwrap_or((authority, port));
    let v6 = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let is_address = v6.map_or_else(|| host.parse::<Ipv4Addr>().is_ok(), |host| host.parse::<Ipv6Addr>().is_ok());
    port.parse::<u16>().is_ok_and(|port| port > 0) && (is_dns_name(host) && !host.starts_with('*') || is_address)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Checked, ConfigError> {
        Checked::parse(text, Path::new("tegata.toml"), Path::new("/etc/tegata"))
    }

    #[test]
    fn a_base_is_a_host_or_an_address_with_a_port_or_without() {
        for good in
            ["http://a.example", "http://a.example:8080", "http://127.0.0.1:1", "http://[::1]", "http://[::1]:8080"]
        {
            assert!(is_base_of("http://", "80", good), "{good}");
        }
        for wrong in [
            "http://::1",
            "http://[::1",
            "http://[::1]:0",
            "http://[127.0.0.1]",
            "http://*.example",
            "http://a/",
            "https://a",
        ] {
            assert!(!is_base_of("http://", "80", wrong), "{wrong}");
        }
    }

    #[test]
    fn the_sample_is_accepted_and_its_paths_start_at_its_folder() {
        let checked = parse(EXAMPLE).expect("the sample is valid");
        let start = tegata_core::time::Timestamp::parse("2026-11-24").expect("valid");
        assert_eq!(checked.terminal_profile.end_from(start), start.plus_years_jst(3));
        assert_eq!(checked.terminal_profile.renewal_window().0, 90);
        assert_eq!(checked.database().expect("a path").file(), Some(Path::new("/etc/tegata/tegata.db")));
    }

    #[test]
    fn the_address_of_a_database_is_checked_and_its_password_is_never_printed() {
        let with = |address: &str| parse(&EXAMPLE.replace("\"tegata.db\"", &format!("\"{address}\"")));
        let checked = with("postgres://tegata:s3cret@db.example.jp/tegata").expect("an address");
        assert_eq!(checked.database().expect("an address").to_string(), "postgres://tegata@db.example.jp/tegata");
        assert!(!format!("{checked:?}").contains("s3cret"));
        let said = with("postgres://tegata:s3cret@db.example.jp/tegata?sslmod=x").expect_err("a mistake").to_string();
        assert!(said.contains("store.database") && said.contains("sslmod") && !said.contains("s3cret"), "{said}");
    }

    #[test]
    fn an_unknown_key_is_named_with_its_line() {
        let text = EXAMPLE.replace("[store]", "[store]\ncolour = \"red\"");
        let message = parse(&text).expect_err("unknown key").to_string();
        assert!(message.contains("unknown field `colour`") && message.contains("line"), "{message}");
    }

    const ORCA: &str = "[orca]\nlisten = \"127.0.0.1:8444\"\nurl = \"https://orca.example.jp\"\nhosts = [\"orca.example.jp\"]\nwindow_days = 70\n";

    #[test]
    fn the_listener_for_programs_is_absent_unless_it_is_configured() {
        assert!(parse(EXAMPLE).expect("valid").config.orca.is_none());
        let orca = parse(&format!("{EXAMPLE}\n{ORCA}")).expect("valid").config.orca.expect("there");
        assert_eq!((orca.pickup_minutes, orca.pickup_downloads, orca.window_days), (15, 5, Some(70)));
        assert_eq!(orca.allow_tls12, None, "TLS 1.3 only, unless a reason is given");
        let longest = ORCA.replace("window_days = 70", "window_days = 99");
        parse(&format!("{EXAMPLE}\n{longest}")).expect("130 - 31 days leave room");
    }

    /// The commented sample of the section is itself valid.
    #[test]
    fn the_sample_of_the_listener_for_programs_is_accepted() {
        let (_, rest) = EXAMPLE.split_once("# [orca]\n").expect("in the sample");
        let lines: Vec<&str> = rest.lines().take_while(|line| !line.is_empty()).collect();
        let set = |line: &&str| {
            line.strip_prefix("# ")
                .filter(|rest| rest.split_once(" = ").is_some_and(|(name, _)| !name.contains(' ')))
                .map(str::to_owned)
        };
        let text: Vec<String> = lines.iter().filter_map(set).filter(|line| !line.contains("_file")).collect();
        let checked = parse(&format!("{EXAMPLE}\n[orca]\n{}\n", text.join("\n"))).expect("valid");
        assert!(checked.config.orca.expect("there").allow_tls12.is_some());
        assert!(text.len() >= 6, "{text:?}");
    }

    #[test]
    fn nothing_has_a_default_validity() {
        let text = EXAMPLE.replace("validity_years = 3\n", "");
        assert!(parse(&text).expect_err("missing").to_string().contains("validity_years"));
    }

    #[test]
    fn metrics_on_a_public_address_are_refused() {
        let text = EXAMPLE.replace("operations_listen = \"127.0.0.1:9464\"", "operations_listen = \"0.0.0.0:9464\"");
        assert!(parse(&text).expect_err("public").to_string().contains("loopback"));
    }

    #[test]
    fn values_that_would_fail_later_are_refused_now() {
        let refused = |from: &str, to: &str, setting: &str| {
            let message = parse(&EXAMPLE.replace(from, to)).expect_err(to).to_string();
            assert!(message.contains(setting), "{message}");
        };
        refused("url = \"https://portal.example.jp\"", "url = \"https://https://portal.example.jp\"", "server.url");
        refused("hosts = [\"portal.example.jp\"", "hosts = [\"https://portal.example.jp\"", "server.hosts");
        let orca = |from: &str, to: &str, setting: &str| {
            refused("[log]", &format!("{}\n[log]", ORCA.replace(from, to)), setting);
        };
        orca("window_days = 70", "window_days = 61", "orca.window_days");
        orca("window_days = 70", "window_days = 100", "orca.window_days");
        orca("window_days = 70", "allow_tls12 = \" \"", "orca.allow_tls12");
        orca("window_days = 70", "pickup_minutes = 0", "orca.pickup_minutes");
        orca("window_days = 70", "pickup_downloads = 0", "orca.pickup_downloads");
        orca("window_days = 70", "key_file = \"key.pem\"", "orca.certificate_file");
        orca("https://orca.example.jp", "https://orca.example.jp/", "orca.url");
        orca("[\"orca.example.jp\"]", "[]", "orca.hosts");
        refused("crl_urls = []", "crl_urls = [\"https://crl.example.jp/\"]", "crl_urls");
        refused("# crl_hours = 24", "crl_hours = 1", "authority.crl_hours");
        refused("# crl_hours = 24", "crl_hours = 169", "authority.crl_hours");
        refused("# checkpoint_rows = 1000", "checkpoint_rows = 0", "audit.checkpoint_rows");
        refused("# checkpoint_minutes = 60", "checkpoint_minutes = 1441", "audit.checkpoint_minutes");
        refused("# [status]\n", "[status]\nurl = \"https://status.example.jp\"\n", "status.url");
        refused("level = \"info\"", "level = \"tegata=bogus,,=\"", "log.level");
        let mail = |lines: &str, setting: &str| refused("[log]", &format!("[mail]\n{lines}\n[log]"), setting);
        let from = "from = \"tegata@example.jp\"";
        mail("host = \"mail.example.jp\"\nfrom = \"tegata\"", "mail.from");
        mail(from, "mail.host");
        mail(&format!("{from}\nhost = \"mail.example.jp\"\nfolder = \"mail\""), "mail.host");
        mail(&format!("{from}\nhost = \"mail.example.jp:587\""), "mail.host");
        mail(&format!("{from}\nhost = \"mail.example.jp\"\ntls = \"none\""), "mail.tls");
        mail(&format!("{from}\nfolder = \"mail\"\nuser = \"tegata\""), "mail.folder");
        mail(&format!("{from}\nfolder = \"mail\"\nhour = 24"), "mail.hour");
    }

    /// Every field of the structs above stands in the sample, set or as a comment.
    #[test]
    fn the_sample_names_every_setting() {
        let first =
            |source: &'static str| source.split("What is wrong with the file").next().expect("structs come first");
        let structs = [
            first(include_str!("config.rs")),
            first(include_str!("config/applications.rs")),
            first(include_str!("config/audit.rs")),
            first(include_str!("config/mail.rs")),
            first(include_str!("config/listeners.rs")),
        ];
        let structs = structs.iter().flat_map(|source| source.lines());
        let settings: Vec<&str> = structs
            .filter_map(|line| line.trim().strip_prefix("pub ")?.split_once(':').map(|(name, _)| name.trim()))
            .filter(|name| !["folder", "profile"].contains(name) && !name.contains(' '))
            .collect();
        assert!(settings.len() > 25, "found {}", settings.len());
        for name in settings {
            let found = EXAMPLE.contains(&format!("{name} ="))
                || EXAMPLE.contains(&format!("[{name}]"))
                || EXAMPLE.contains(&format!(".{name}]]"));
            assert!(found, "{name} is not in docs/config.example.toml");
        }
    }
}
