//! The applications: tiles of the master menu, and what stands behind the gate.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use tegata_core::application::Audience;
use tegata_gateway::proxy::{ApplicationSettings, Place, UpstreamSettings};

use super::{Config, ConfigError};

/// `[[application]]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Application {
    /// Its name in Japanese.
    pub name_ja: String,
    /// Its name in English.
    pub name_en: String,
    /// Where people open it, and where the tile leads.
    pub url: String,
    /// The servers behind this gate that answer for it; empty where it stands elsewhere.
    #[serde(default)]
    pub upstreams: Vec<String>,
    /// Whether `http://` servers are spoken to in HTTP/2.
    #[serde(default)]
    pub http2: bool,
    /// PEM file of the CA of `https://` servers.
    pub ca_file: Option<PathBuf>,
    /// PEM chain that we show to `https://` servers.
    pub certificate_file: Option<PathBuf>,
    /// PEM key of that certificate.
    pub key_file: Option<PathBuf>,
    /// The path that a healthy server answers with 2xx or 3xx.
    pub health_path: Option<String>,
    /// The customers whose terminals may use it; absent means all.
    pub customers: Option<Vec<String>>,
    /// Whether programs of ORCA's use it, which understand certain texts and no pages.
    #[serde(default)]
    pub programs: bool,
    /// Seconds until the application must begin an answer.
    #[serde(default = "answer_seconds")]
    pub answer_seconds: u64,
    /// Seconds that an upload, an answer or a WebSocket may stand still.
    #[serde(default = "idle_seconds")]
    pub idle_seconds: u64,
    /// Megabytes that a request may carry; absent means any number.
    pub max_body_megabytes: Option<u64>,
}

fn answer_seconds() -> u64 {
    60
}

fn idle_seconds() -> u64 {
    300
}

// What is wrong with the file, as far as it is about applications.

impl Application {
    /// What the gate must know of it; nothing where it stands elsewhere.
    pub fn settings(&self, config: &Config) -> Result<Option<ApplicationSettings>, ConfigError> {
        if self.upstreams.is_empty() {
            return Ok(None);
        }
        let wrong = |setting, value: &str, expected| ConfigError::Value { setting, value: value.to_owned(), expected };
        let address = "https://host[:port] with a path or without, nothing encoded in it";
        let place = Place::parse(&self.url).ok_or_else(|| wrong("application.url", &self.url, address))?;
        let ours = std::iter::once(&config.server.url).chain(&config.server.alias_urls);
        if ours.filter_map(|url| Place::parse(url)).any(|ours| ours.authority() == place.authority()) {
            let expected = "a host or port of its own: a script of the application could act in the portal otherwise";
            return Err(wrong("application.url", &self.url, expected));
        }
        let audience = match &self.customers {
            None => Audience::Everybody,
            Some(customers) => {
                let id = |text: &String| {
                    text.parse().map_err(|_| wrong("application.customers", text, "customer ids such as u00000001"))
                };
                Audience::Customers(customers.iter().map(id).collect::<Result<_, _>>()?)
            }
        };
        let file = |path: &PathBuf| config.folder.join(path);
        let identity = match (&self.certificate_file, &self.key_file) {
            (Some(chain), Some(key)) => Some((file(chain), file(key))),
            (None, None) => None,
            _ => {
                return Err(wrong(
                    "application.certificate_file",
                    "set alone",
                    "set together with key_file, or neither",
                ));
            }
        };
        let upstreams = UpstreamSettings {
            urls: self.upstreams.clone(),
            http2: self.http2,
            ca_file: self.ca_file.as_ref().map(file),
            identity,
            health_path: self.health_path.clone(),
        };
        if self.answer_seconds == 0 || self.idle_seconds == 0 {
            return Err(wrong("application.answer_seconds / idle_seconds", "0", "1 or more"));
        }
        Ok(Some(ApplicationSettings {
            name: self.name_en.clone(),
            place,
            audience,
            for_programs: self.programs,
            upstreams,
            answer_timeout: Duration::from_secs(self.answer_seconds),
            idle_timeout: Duration::from_secs(self.idle_seconds),
            max_body_bytes: self.max_body_megabytes.map(|megabytes| megabytes.saturating_mul(1024 * 1024)),
        }))
    }
}

/// Each by itself, and that no two have one place.
pub(super) fn check_applications(config: &Config) -> Result<(), ConfigError> {
    let wrong = |value: &str, expected| {
        Err(ConfigError::Value { setting: "application.url", value: value.to_owned(), expected })
    };
    let mut places = Vec::new();
    for application in &config.application {
        let url = &application.url;
        if !["https://", "http://", "/"].iter().any(|start| url.starts_with(start)) {
            return wrong(url, "https://…, http://… or a path");
        }
        if let Some(settings) = application.settings(config)? {
            if places.contains(&settings.place) {
                return wrong(url, "a place of its own: another application is there already");
            }
            places.push(settings.place);
        }
    }
    Ok(())
}
