//! The pages, one file each: handler, template, sample and tests together.

pub(crate) mod bundle;
pub(crate) mod check;
pub(crate) mod enroll;
pub(crate) mod import;
pub(crate) mod landing;
pub(crate) mod log;
pub(crate) mod login;
pub(crate) mod menu;
pub(crate) mod password;
pub(crate) mod recovery;
pub(crate) mod renew;

#[cfg(test)]
mod tests;

use axum::response::{IntoResponse, Response};
use http::header::{HeaderValue, LOCATION};
use http::{StatusCode, Uri};

use crate::PortalConfig;

/// 303 to a path of ours.
pub(crate) fn see_other(path: &str) -> Response {
    let target = HeaderValue::from_str(path).unwrap_or(HeaderValue::from_static("/"));
    (StatusCode::SEE_OTHER, [(LOCATION, target)]).into_response()
}

/// Another name of this server, where the browser has not kept a choice of certificate yet: the next one in the list after `host`.
pub(crate) fn another_url(portal: &PortalConfig, host: &str) -> Option<String> {
    let names: Vec<&str> = std::iter::once(&portal.own_url)
        .chain(&portal.alias_urls)
        .map(|url| url.trim_end_matches('/'))
        .filter(|url| !url.is_empty())
        .collect();
    let next = match names.iter().position(|url| is_host(url, host)) {
        Some(here) => names.iter().cycle().nth(here + 1).filter(|_| names.len() > 1),
        None => names.get(1),
    };
    next.map(|url| (*url).to_owned())
}

/// Whether a URL names this host and port.
fn is_host(url: &str, host: &str) -> bool {
    let authority = url.parse::<Uri>().ok().and_then(|uri| uri.authority().map(ToString::to_string));
    authority.is_some_and(|authority| authority.trim_end_matches(":443") == host.trim_end_matches(":443"))
}

/// A file name that can stand in a header: what else it may contain is replaced, never passed on.
pub(crate) fn safe_file_name(name: &str, fallback: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '_' };
    let clean: String = name.chars().take(120).map(plain).collect();
    if clean.trim_matches(['.', '_']).is_empty() {
        fallback.to_owned()
    } else {
        clean.trim_start_matches('.').to_owned()
    }
}
