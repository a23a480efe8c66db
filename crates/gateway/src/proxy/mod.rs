//! The way to the applications behind the gate: which application a request is for, who may use it, and the request's way there and back.
//! Knows no page: what is not served is an [`Unserved`] that the binary turns into one. Whether a certificate opens the gate has been
//! decided before ([`Peer::accepted`](tegata_core::peer::Peer::accepted)) and goes on being looked at while an answer lasts.

mod body;
mod forward;
mod headers;
pub(crate) mod identity;
mod tunnel;
mod upstream;
mod visitor;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use http::Uri;
use tegata_core::application::{Audience, Unserved};

pub use body::Answer;
pub use identity::FIELDS;
pub use upstream::{UpstreamError, UpstreamSettings};
pub use visitor::Visitor;

use upstream::Upstreams;

/// Where an application is found from outside: host, port and path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// `host` or `host:port`, in lower case; the port of HTTPS is left out.
    authority: String,
    /// Without a slash at the end: empty for everything.
    path: String,
}

impl Place {
    /// From `https://host[:port][/path]`; nothing that a path could be read in two ways with.
    pub fn parse(url: &str) -> Option<Self> {
        let rest = url.strip_prefix("https://")?;
        let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
        let uri: Uri = url.parse().ok()?;
        let plain = path.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/-_.~".contains(&byte));
        let path = path.trim_end_matches('/');
        let clear = plain && !is_ambiguous(path);
        (clear && uri.host().is_some_and(|host| !host.is_empty()) && !authority.contains('@'))
            .then(|| Self { authority: normal(authority), path: path.to_owned() })
    }

    /// Its host and port, as [`Place::parse`] writes them.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// Whether a path is this place or below it. `/app` is not above `/apple`.
    fn covers(&self, path: &str) -> bool {
        path.strip_prefix(self.path.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

/// Host and port in the one form that is compared.
fn normal(authority: &str) -> String {
    let authority = authority.to_ascii_lowercase();
    let authority = authority.strip_suffix(":443").unwrap_or(&authority);
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => format!("{}:{port}", host.trim_end_matches('.')),
        _ => authority.trim_end_matches('.').to_owned(),
    }
}

/// Whether an application and we could read a path differently: what we take for one application's path would be another's there. Nobody
/// needs to encode a letter, a digit or a percent sign (RFC 3986 section 2.3), and some decode twice.
fn is_ambiguous(path: &str) -> bool {
    let lower = path.to_ascii_lowercase();
    ["\\", "//", ";"].iter().any(|odd| lower.contains(odd))
        || lower.split('/').any(|segment| matches!(segment, "." | ".."))
        || lower.split('%').skip(1).any(|encoded| encodes_what_needs_no_code(encoded.as_bytes()))
}

/// Whether what follows a percent sign is no code, or that of a character that decides where a path leads.
fn encodes_what_needs_no_code(rest: &[u8]) -> bool {
    let digits = rest.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
    let Some(byte) = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) else { return true };
    byte.is_ascii_alphanumeric() || byte < b' ' || b"-._~%/\\;".contains(&byte)
}

/// One application, as the configuration describes it.
#[derive(Clone, Debug)]
pub struct ApplicationSettings {
    /// For logs and metrics.
    pub name: String,
    /// Where it is found from outside.
    pub place: Place,
    /// Whose terminals may use it.
    pub audience: Audience,
    /// Whether programs of ORCA's use it, which understand certain texts and no pages.
    pub for_programs: bool,
    /// The servers that answer for it; any of them will do.
    pub upstreams: UpstreamSettings,
    /// How long the application may take to begin an answer, counted from the last byte that it was sent.
    pub answer_timeout: Duration,
    /// How long a request, an answer or a WebSocket may stand still.
    pub idle_timeout: Duration,
    /// The size of a request's body, where there is a limit.
    pub max_body_bytes: Option<u64>,
}

/// An application, ready to be asked.
#[derive(Debug)]
pub struct Application {
    settings: ApplicationSettings,
    upstreams: Upstreams,
}

impl Application {
    /// Prepares the connections to its servers; none is opened yet.
    pub fn new(settings: ApplicationSettings) -> Result<Self, UpstreamError> {
        let upstreams = Upstreams::new(&settings.upstreams)?;
        Ok(Self { settings, upstreams })
    }

    /// As the configuration describes it.
    pub fn settings(&self) -> &ApplicationSettings {
        &self.settings
    }
}

/// What a request's address is about.
#[derive(Clone, Debug)]
pub enum Claim {
    /// An application's.
    Application(Arc<Application>),
    /// Of a host that only applications have, but of none of them.
    None(Unserved),
}

/// All applications, replaced whole without closing a connection. Cloned freely.
#[derive(Clone, Debug, Default)]
pub struct Applications(Arc<ArcSwap<Table>>);

/// By host and port; the longest path first.
#[derive(Debug, Default)]
struct Table(HashMap<String, Vec<Arc<Application>>>);

impl Applications {
    /// Puts these applications into force, for requests on open connections too. Requests under way end with the ones that they began
    /// with. Health is watched from now on where that was asked for, so this needs a running runtime.
    pub fn replace(&self, applications: Vec<Application>) {
        let mut table = Table::default();
        for application in applications {
            let application = Arc::new(application);
            upstream::watch_health(&application);
            table.0.entry(application.settings.place.authority.clone()).or_default().push(application);
        }
        for here in table.0.values_mut() {
            here.sort_by_key(|application| std::cmp::Reverse(application.settings.place.path.len()));
        }
        self.0.store(Arc::new(table));
    }

    /// What a request for this host (with its port) and path is about; nothing where no application has that host.
    pub(crate) fn claim(&self, authority: Option<&str>, path: &str) -> Option<Claim> {
        let table = self.0.load();
        if table.0.is_empty() {
            return None;
        }
        let here = table.0.get(&normal(authority?))?;
        // With one application for everything there is nothing to be mistaken about.
        let one_for_all = here.len() == 1 && here[0].settings.place.path.is_empty();
        if !one_for_all && is_ambiguous(path) {
            return Some(Claim::None(Unserved::Ambiguous));
        }
        let found = here.iter().find(|application| application.settings.place.covers(path));
        Some(found.map_or(Claim::None(Unserved::NothingHere), |found| Claim::Application(Arc::clone(found))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn application(url: &str) -> Application {
        let settings = ApplicationSettings {
            name: url.into(),
            place: Place::parse(url).expect("a place"),
            audience: Audience::Everybody,
            for_programs: false,
            upstreams: UpstreamSettings { urls: vec!["http://127.0.0.1:1".into()], ..UpstreamSettings::default() },
            answer_timeout: Duration::from_secs(1),
            idle_timeout: Duration::from_secs(1),
            max_body_bytes: None,
        };
        Application::new(settings).expect("an application")
    }

    #[tokio::test]
    async fn host_port_and_path_name_the_application() {
        let all = Applications::default();
        assert!(all.claim(Some("a.example"), "/").is_none());
        all.replace(
            ["https://a.example", "https://b.example/emr", "https://b.example/emr/lab/", "https://c.example:8443"]
                .map(application)
                .into(),
        );
        let check = |authority: &str, path: &str, expected: Option<Result<&str, Unserved>>| {
            let claim = all.claim(Some(authority), path);
            let found = claim.as_ref().map(|claim| match claim {
                Claim::Application(application) => Ok(application.settings.name.as_str()),
                Claim::None(why) => Err(*why),
            });
            assert_eq!(found, expected, "{authority} {path}");
        };
        check("a.example", "/", Some(Ok("https://a.example")));
        check("A.Example.:443", "/x/../y", Some(Ok("https://a.example")));
        check("a.example:8443", "/", None);
        check("c.example:8443", "/x", Some(Ok("https://c.example:8443")));
        check("c.example", "/x", None);
        check("b.example", "/emr", Some(Ok("https://b.example/emr")));
        check("b.example", "/emr/x", Some(Ok("https://b.example/emr")));
        check("b.example", "/emr/lab/x", Some(Ok("https://b.example/emr/lab/")));
        check("b.example", "/emr/laboratory", Some(Ok("https://b.example/emr")));
        check("b.example", "/emr/%E5%8F%97", Some(Ok("https://b.example/emr")));
        check("b.example", "/emrs", Some(Err(Unserved::NothingHere)));
        check("b.example", "/", Some(Err(Unserved::NothingHere)));
        for odd in [
            "/emr/../x",
            "/emr/lab/%2e%2E/x",
            "/emr%2flab/x",
            "/emr//lab/x",
            "/emr/lab;x=/y",
            "/emr\\lab",
            "/%65mr",
            "/e%6Dr/lab",
            "/%2565mr",
            "/emr/%zz",
            "/emr/%",
        ] {
            check("b.example", odd, Some(Err(Unserved::Ambiguous)));
        }
        assert!(all.claim(None, "/").is_none());
        all.replace(Vec::new());
        check("a.example", "/", None);
    }

    #[test]
    fn a_place_is_an_https_address_without_tricks() {
        for good in ["https://a.example", "https://a.example:8443/", "https://a.example/emr/x", "https://[::1]:8443"] {
            assert!(Place::parse(good).is_some(), "{good}");
        }
        for wrong in [
            "http://a.example",
            "https://",
            "https:///x",
            "https://a.example/?x",
            "https://a.example/#x",
            "https://a.example/%2e",
            "https://a.example/a/../b",
            "https://user@a.example",
            "https://a.example/a b",
        ] {
            assert!(Place::parse(wrong).is_none(), "{wrong}");
        }
    }
}
