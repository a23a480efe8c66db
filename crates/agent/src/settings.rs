//! What `enroll` and `adopt` write down and a person may edit: `config.toml` in the agent's folder. An unknown key is an error.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tegata_core::profile::KeyKind;

/// The longest name of a store; names become folders and variables of hooks.
const LONGEST_NAME: usize = 40;

/// The agent's settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Address of the portal: `https://portal.example.jp`, without a slash at the end.
    pub server: String,
    /// Where new certificates are proven by a handshake; `SERVER/api/v1/certificate` where it is not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check_url: Option<String>,
    /// One certificate for everything instead of an identity of the agent's own and one certificate for each store.
    #[serde(default)]
    pub single: bool,
    /// An HTTP proxy to go through: `http://proxy.example.jp:8080`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy: Option<String>,
    /// From how many days before an end on the hook `expiring` is called, once a day.
    #[serde(default = "default_expiring_days")]
    pub expiring_days: i64,
    /// How many seconds a hook may take.
    #[serde(default = "default_hook_seconds")]
    pub hook_seconds: u32,
    /// Where a small page about the state of things is kept up to date.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_page: Option<PathBuf>,
    /// Where certificates are put, by name.
    #[serde(default, rename = "store")]
    pub stores: BTreeMap<String, StoreSettings>,
}

fn default_expiring_days() -> i64 {
    30
}

fn default_hook_seconds() -> u32 {
    60
}

/// One `[store.NAME]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum StoreSettings {
    /// PEM files in a folder.
    Pem(PemSettings),
    /// One PKCS#12 file at a fixed path.
    P12(P12Settings),
    /// A database of Chrome's or Firefox's on Linux.
    Nss(NssSettings),
    /// The certificates of a user of Windows.
    WindowsUser(WindowsUserSettings),
    /// A program of the user's.
    Exec(ExecSettings),
}

/// PEM files: `FOLDER/current/{key,cert,chain,fullchain,combined}.pem`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PemSettings {
    /// Where; made when it is missing.
    pub folder: PathBuf,
    /// Permissions of the files with the key, in octal: `"0600"`, or `"0640"` for a group.
    #[serde(default = "private_mode")]
    pub mode: String,
    /// Whose the files are: `user`, `user:group` or numbers. Needs to be root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Kind of key: `p256`, `rsa3072` or `rsa2048`.
    #[serde(default = "modern_key")]
    pub key: KeyKind,
}

/// A PKCS#12 file and beside it the file with its password, which never changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct P12Settings {
    /// The bundle.
    pub file: PathBuf,
    /// Its password, on the first line; made when it is missing. `FILE.password` where it is not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_file: Option<PathBuf>,
    /// 標準 or 互換.
    #[serde(default)]
    pub format: P12Format,
    /// Permissions of both files, in octal.
    #[serde(default = "private_mode")]
    pub mode: String,
    /// Whose both files are: `user`, `user:group` or numbers. Needs to be root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Kind of key.
    #[serde(default = "old_key")]
    pub key: KeyKind,
}

/// How a bundle is protected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum P12Format {
    /// 標準: AES-256.
    #[default]
    Standard,
    /// 互換: 3DES, for old programs.
    Compat,
}

/// A database of NSS: `~/.pki/nssdb` (Chrome) or the folder of a Firefox profile.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NssSettings {
    /// The folder with `cert9.db`.
    pub database: PathBuf,
    /// A file with the database's password, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_file: Option<PathBuf>,
    /// Kind of key.
    #[serde(default = "modern_key")]
    pub key: KeyKind,
}

/// The certificates of whoever runs the agent on Windows (`CurrentUser\My`): what Chrome, Edge and most programs there look at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WindowsUserSettings {
    /// Kind of key.
    #[serde(default = "old_key")]
    pub key: KeyKind,
}

/// A program of the user's: called with `install`, `check` or `remove`, see the manual.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExecSettings {
    /// The program, by its absolute path.
    pub program: PathBuf,
    /// How many seconds it may take.
    #[serde(default = "default_hook_seconds")]
    pub seconds: u32,
    /// Kind of key.
    #[serde(default = "modern_key")]
    pub key: KeyKind,
}

fn private_mode() -> String {
    "0600".into()
}

fn modern_key() -> KeyKind {
    KeyKind::P256
}

fn old_key() -> KeyKind {
    KeyKind::Rsa3072
}

/// Why settings cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// Not TOML, or not these settings.
    #[error("config.toml: {0}")]
    Toml(String),
    /// A value that cannot work.
    #[error("config.toml: {setting} is {value:?}, but must be {expected}")]
    Value {
        /// Which setting.
        setting: String,
        /// What it says.
        value: String,
        /// What would be accepted.
        expected: &'static str,
    },
    /// A `--store` that cannot be read.
    #[error(
        "{0:?} is not a store: write pem:FOLDER, p12:FILE, nss:FOLDER or exec:PROGRAM with absolute paths, or NAME=pem:FOLDER; on Windows also windows-user"
    )]
    Store(String),
}

impl Settings {
    /// Settings for a server with nothing else set.
    pub fn new(server: &str, single: bool) -> Self {
        Self {
            server: server.trim_end_matches('/').to_owned(),
            check_url: None,
            single,
            proxy: None,
            expiring_days: default_expiring_days(),
            hook_seconds: default_hook_seconds(),
            status_page: None,
            stores: BTreeMap::new(),
        }
    }

    /// Reads and checks `config.toml`.
    pub fn parse(text: &str) -> Result<Self, SettingsError> {
        let settings: Self = toml::from_str(text).map_err(|error| SettingsError::Toml(error.to_string()))?;
        settings.check()?;
        Ok(settings)
    }

    /// As `config.toml` has it.
    pub fn to_toml(&self) -> Result<String, SettingsError> {
        let body = toml::to_string(self).map_err(|error| SettingsError::Toml(error.to_string()))?;
        Ok(format!(
            "# Settings of tegata agent. The manual (agent.md) explains each; an unknown key is an error.\n{body}"
        ))
    }

    /// Where new certificates are proven.
    pub fn check_url(&self) -> String {
        self.check_url.clone().unwrap_or_else(|| format!("{}/api/v1/certificate", self.server))
    }

    /// Refuses what cannot work.
    pub fn check(&self) -> Result<(), SettingsError> {
        let https = |setting: &str, value: &str| {
            let good = crate::http::Url::parse(value).is_ok();
            good.then_some(()).ok_or_else(|| wrong(setting, value, "an https:// address"))
        };
        https("server", &self.server)?;
        https("check_url", &self.check_url())?;
        if let Some(proxy) = &self.proxy {
            crate::http::proxy(proxy).map_err(|_| wrong("proxy", proxy, "an address such as http://proxy:8080"))?;
        }
        if !(1..=3600).contains(&self.hook_seconds) {
            return Err(wrong("hook_seconds", &self.hook_seconds.to_string(), "1 to 3600"));
        }
        self.stores.iter().try_for_each(|(name, store)| check_store(name, store))
    }
}

fn check_store(name: &str, store: &StoreSettings) -> Result<(), SettingsError> {
    let clean = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if !clean || name.is_empty() || name.len() > LONGEST_NAME || name == crate::IDENTITY {
        let expected = "small letters, digits and hyphens, at most 40, and not \"identity\"";
        return Err(wrong("the name of a store", name, expected));
    }
    let setting = |key: &str| format!("store.{name}.{key}");
    let (paths, mode) = match store {
        StoreSettings::Pem(pem) => (vec![("folder", &pem.folder)], Some(&pem.mode)),
        StoreSettings::P12(p12) => {
            let password = p12.password_file.iter().map(|file| ("password_file", file));
            (std::iter::once(("file", &p12.file)).chain(password).collect(), Some(&p12.mode))
        }
        StoreSettings::Nss(nss) => (vec![("database", &nss.database)], None),
        StoreSettings::Exec(exec) => (vec![("program", &exec.program)], None),
        StoreSettings::WindowsUser(_) if cfg!(windows) => (Vec::new(), None),
        StoreSettings::WindowsUser(_) => {
            return Err(wrong(&setting("kind"), "windows-user", "a kind for this system: that one is for Windows"));
        }
    };
    if let Some((key, path)) = paths.iter().find(|(_, path)| !path.is_absolute()) {
        return Err(wrong(&setting(key), &path.display().to_string(), "an absolute path"));
    }
    match mode {
        Some(text) if mode_bits(text).is_none() => {
            Err(wrong(&setting("mode"), text, "octal such as \"0600\", and closed to others"))
        }
        _ => Ok(()),
    }
}

fn wrong(setting: &str, value: &str, expected: &'static str) -> SettingsError {
    SettingsError::Value { setting: setting.to_owned(), value: value.to_owned(), expected }
}

/// Permissions from their octal text. None for what is not octal, and for whatever lets everybody read a key.
pub fn mode_bits(text: &str) -> Option<u32> {
    u32::from_str_radix(text, 8).ok().filter(|bits| bits & !0o770 == 0 && bits & 0o400 != 0)
}

impl StoreSettings {
    /// Reads `--store`: `pem:/etc/ssl/tegata`, or `NAME=pem:/etc/ssl/tegata`. Gives the name too.
    pub fn parse(text: &str) -> Result<(String, Self), SettingsError> {
        let bad = || SettingsError::Store(text.to_owned());
        let (before, path) = text.split_once(':').unwrap_or((text, "")); // an empty path is none
        let (name, kind) = before.split_once('=').unwrap_or((before, before));
        let path = PathBuf::from(path);
        let store = match kind {
            "pem" => Self::Pem(PemSettings { folder: path, mode: private_mode(), owner: None, key: modern_key() }),
            "p12" => Self::P12(P12Settings {
                file: path,
                password_file: None,
                format: P12Format::Standard,
                mode: private_mode(),
                owner: None,
                key: old_key(),
            }),
            "nss" => Self::Nss(NssSettings { database: path, password_file: None, key: modern_key() }),
            "exec" => Self::Exec(ExecSettings { program: path, seconds: default_hook_seconds(), key: modern_key() }),
            "windows-user" if path.as_os_str().is_empty() => Self::WindowsUser(WindowsUserSettings { key: old_key() }),
            _ => return Err(bad()),
        };
        check_store(name, &store).map_err(|_| bad())?;
        Ok((name.to_owned(), store))
    }

    /// Which kind of key its certificates are over.
    pub fn key(&self) -> KeyKind {
        match self {
            Self::Pem(PemSettings { key, .. })
            | Self::P12(P12Settings { key, .. })
            | Self::Nss(NssSettings { key, .. })
            | Self::WindowsUser(WindowsUserSettings { key })
            | Self::Exec(ExecSettings { key, .. }) => *key,
        }
    }

    /// The word for its kind, and where it is.
    pub fn place(&self) -> (&'static str, &Path) {
        match self {
            Self::Pem(pem) => ("pem", &pem.folder),
            Self::P12(p12) => ("p12", &p12.file),
            Self::Nss(nss) => ("nss", &nss.database),
            Self::WindowsUser(_) => ("windows-user", Path::new(r"CurrentUser\My")),
            Self::Exec(exec) => ("exec", &exec.program),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Absolute paths as this system has them.
    fn here(text: &str) -> String {
        if cfg!(windows) { text.replace(":/", ":C:/").replace("\"/", "\"C:/") } else { text.into() }
    }

    #[test]
    fn the_store_of_windows_is_there_on_windows_only() {
        for text in ["windows-user", "browser=windows-user"] {
            assert_eq!(StoreSettings::parse(text).is_ok(), cfg!(windows), "{text}");
        }
        let text = "server = \"https://portal.example.jp\"\n[store.a]\nkind = \"windows-user\"";
        assert_eq!(Settings::parse(text).is_ok(), cfg!(windows));
    }

    #[test]
    fn settings_are_read_back_as_written() {
        let mut settings = Settings::new("https://portal.example.jp/", false);
        for text in ["pem:/etc/ssl/tegata", "java=p12:/srv/client.p12", "nss:/home/u/.pki/nssdb", "exec:/bin/true"] {
            let (name, store) = StoreSettings::parse(&here(text)).expect("a store");
            settings.stores.insert(name, store);
        }
        assert_eq!(Settings::parse(&settings.to_toml().expect("encodable")), Ok(settings));
    }

    #[test]
    fn what_cannot_work_is_refused() {
        let with = |line: &str| Settings::parse(&format!("server = \"https://portal.example.jp\"\n{line}\n"));
        assert!(with("").is_ok());
        assert!(with(&here("[store.a]\nkind = \"pem\"\nfolder = \"/a\"")).is_ok());
        for line in [
            "colour = 1",
            "proxy = \"socks://x\"",
            "hook_seconds = 0",
            "[store.a]\nkind = \"pem\"\nfolder = \"relative\"",
            "[store.a]\nkind = \"pem\"\nfolder = \"/a\"\nmode = \"0644\"",
            "[store.a]\nkind = \"pem\"\nfolder = \"/a\"\ncolour = 1",
            "[store.A]\nkind = \"pem\"\nfolder = \"/a\"",
            "[store.identity]\nkind = \"pem\"\nfolder = \"/a\"",
            "[store.a]\nkind = \"floppy\"",
        ] {
            assert!(with(&here(line)).is_err(), "{line}");
        }
        assert!(Settings::parse("server = \"http://portal.example.jp\"").is_err());
        for text in ["", "pem", "pem:", "pem:relative", "../x=pem:/a", "floppy:/a", "windows-user:/a"] {
            assert!(StoreSettings::parse(&here(text)).is_err(), "{text}");
        }
    }
}
