//! Where a register lives: a file of the embedded engine (SQLite), or a database of a PostgreSQL server. The address of a server is read
//! strictly and shown without its password.

use std::fmt;
use std::path::{Path, PathBuf};

use tegata_core::secret::Secret;

use crate::error::StoreError;

/// What may stand behind the `?` of an address. Everything else is refused rather than overlooked: a mistyped `sslmode` would cost the
/// protection of the connection.
const PARAMETERS: [&str; 8] = ["host", "port", "user", "dbname", "sslmode", "sslrootcert", "sslcert", "sslkey"];

/// Where a register lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Database {
    /// In this file (SQLite).
    File(PathBuf),
    /// In a database of this server (PostgreSQL).
    Server(Server),
}

impl Database {
    /// What the configuration calls a database: an address that begins with `postgres://` or `postgresql://`, or a path, which starts at
    /// `folder` when it is relative.
    pub fn parse(setting: &str, folder: &Path) -> Result<Self, StoreError> {
        if Server::is_address(setting) {
            Server::parse(setting).map(Self::Server)
        } else {
            Ok(folder.join(setting).into())
        }
    }

    /// Its file, where it is one.
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::File(path) => Some(path),
            Self::Server(_) => None,
        }
    }
}

impl From<PathBuf> for Database {
    fn from(path: PathBuf) -> Self {
        Self::File(path)
    }
}

impl From<&PathBuf> for Database {
    fn from(path: &PathBuf) -> Self {
        Self::File(path.clone())
    }
}

impl From<&Path> for Database {
    fn from(path: &Path) -> Self {
        Self::File(path.to_owned())
    }
}

impl From<&Database> for Database {
    fn from(database: &Database) -> Self {
        database.clone()
    }
}

impl fmt::Display for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Server(server) => server.fmt(f),
        }
    }
}

/// The address of a database of a PostgreSQL server. Prints itself without the password.
#[derive(Clone)]
pub struct Server {
    shown: String,
    address: Secret<String>,
    password: Option<Secret<String>>,
}

impl Server {
    /// Whether a setting is meant as the address of a server.
    pub fn is_address(setting: &str) -> bool {
        setting.starts_with("postgres://") || setting.starts_with("postgresql://")
    }

    /// Reads `postgres://user[:password]@host[:port]/database[?parameter=value&…]`.
    pub fn parse(address: &str) -> Result<Self, StoreError> {
        let wrong = |reason: String| StoreError::Address(reason);
        let Some((scheme, rest)) = address.split_once("://").filter(|_| Self::is_address(address)) else {
            return Err(wrong("it does not begin with postgres://".to_owned()));
        };
        let (place, parameters) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, name) = place.split_once('/').unwrap_or((place, ""));
        let (user, host) = authority.rsplit_once('@').unwrap_or(("", authority));
        let user_name = user.split(':').next().unwrap_or_default();
        for parameter in parameters.split('&').filter(|parameter| !parameter.is_empty()) {
            let (key, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            if !PARAMETERS.contains(&key) {
                return Err(wrong(format!("it has a parameter {key:?}; there are: {}", PARAMETERS.join(", "))));
            }
            let file = ["sslrootcert", "sslcert", "sslkey"].contains(&key);
            if file && !value.starts_with('/') && !value.starts_with("%2F") {
                return Err(wrong(format!("{key} must be an absolute path")));
            }
        }
        let has = |key: &str| parameters.split('&').any(|parameter| parameter.starts_with(&format!("{key}=")));
        if name.is_empty() && !has("dbname") {
            return Err(wrong("it does not name a database: postgres://user@host:5432/database".to_owned()));
        }
        if user_name.is_empty() && !has("user") {
            return Err(wrong("it does not name a user: postgres://user@host:5432/database".to_owned()));
        }
        let at = if user_name.is_empty() { String::new() } else { format!("{user_name}@") };
        let server = Self {
            shown: format!("{scheme}://{at}{host}/{name}"),
            address: Secret::new(address.to_owned()),
            password: None,
        };
        crate::db::check_address(&server)?;
        Ok(server)
    }

    /// The same server, asked with this password instead of one in the address.
    pub fn with_password(self, password: Secret<String>) -> Self {
        Self { password: Some(password), ..self }
    }

    /// Whether a password stands in the address itself, where files, process lists and histories show it.
    pub fn holds_password(&self) -> bool {
        let authority = self.address.expose().split("://").nth(1).unwrap_or_default();
        let authority = authority.split(['/', '?']).next().unwrap_or_default();
        authority.rsplit_once('@').is_some_and(|(user, _)| user.contains(':'))
    }

    /// Whether whoever stands between us and the server could read or change what is said: it is another machine, and neither its
    /// certificate nor its name is checked.
    pub fn is_exposed(&self) -> bool {
        crate::db::is_exposed(self)
    }

    /// The address with everything in it.
    pub(crate) fn address(&self) -> &str {
        self.address.expose()
    }

    /// The password that was given beside the address.
    pub(crate) fn password(&self) -> Option<&str> {
        self.password.as_ref().map(|password| password.expose().as_str())
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl PartialEq for Server {
    fn eq(&self, other: &Self) -> bool {
        self.address.expose() == other.address.expose()
    }
}

impl Eq for Server {}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(address: &str) -> Result<Server, String> {
        Server::parse(address).map_err(|error| error.to_string())
    }

    #[test]
    fn a_setting_is_a_file_unless_it_is_an_address() {
        let folder = Path::new("/etc/tegata");
        let parse = |setting| Database::parse(setting, folder).expect("valid");
        assert_eq!(parse("tegata.db").file(), Some(Path::new("/etc/tegata/tegata.db")));
        assert_eq!(parse("/var/lib/x.db").file(), Some(Path::new("/var/lib/x.db")));
        for address in ["postgres://t@db.example/tegata", "postgresql://t@db.example/tegata"] {
            assert_eq!(parse(address).file(), None);
        }
    }

    #[test]
    fn a_password_in_the_address_is_never_shown() {
        let database = Database::parse("postgres://t:s3cr%40t@db.example:5433/tegata", Path::new("")).expect("valid");
        let server = parse("postgres://t@db.example/x").expect("valid").with_password(Secret::new("s3cr@t".to_owned()));
        for shown in [format!("{database}"), format!("{database:?}"), format!("{server} {server:?}")] {
            assert!(!shown.contains("s3cr"), "{shown}");
        }
        assert_eq!(database.to_string(), "postgres://t@db.example:5433/tegata");
        assert!(!server.holds_password());
        assert!(matches!(database, Database::Server(server) if server.holds_password()));
    }

    #[test]
    fn what_is_wrong_with_an_address_is_said_without_its_password() {
        let check = |address: &str, word: &str| {
            let said = parse(address).expect_err(address);
            assert!(said.contains(word) && !said.contains("s3cret"), "{said}");
        };
        check("postgres://t:s3cret@db.example/tegata?sslmod=verify-full", "\"sslmod\"");
        check("postgres://t:s3cret@db.example/tegata?password=s3cret", "\"password\"");
        check("postgres://t:s3cret@db.example/tegata?sslmode=perhaps", "\"perhaps\"");
        check("postgres://t:s3cret@db.example/tegata?sslrootcert=ca.pem", "absolute");
        check("postgres://t:s3cret@db.example:x/tegata", "port");
        check("postgres://t:s3cret@db.example", "database");
        check("postgres://db.example/tegata", "user");
    }

    #[test]
    fn another_machine_is_asked_for_its_name_unless_the_address_says_otherwise() {
        let exposed = |address: &str| parse(address).expect("valid").is_exposed();
        for guarded in [
            "postgres://t@db.example/tegata",
            "postgres://t@db.example/tegata?sslmode=verify-full",
            "postgres://t@127.0.0.1/tegata",
            "postgres://t@localhost/tegata?sslmode=disable",
            "postgres://t@%2Frun%2Fpostgresql/tegata",
            "postgres:///tegata?host=/run/postgresql&user=t",
        ] {
            assert!(!exposed(guarded), "{guarded}");
        }
        for mode in ["disable", "allow", "prefer", "require", "verify-ca"] {
            assert!(exposed(&format!("postgres://t@db.example/tegata?sslmode={mode}")), "{mode}");
        }
    }
}
