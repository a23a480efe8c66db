//! The five cookies: reading them from a request, writing them to an answer. All carry the `__Host-` prefix, so that no other host and no
//! plain connection can set them (RFC 6265bis section 4.1.3.2).

use http::HeaderMap;
use http::header::{COOKIE, HeaderValue};

/// The session; Lax, so that a bookmark or a link from another page finds it.
pub(crate) const SESSION: &str = "__Host-tegata-session";
/// The visitor's chance number that form tokens hang on.
pub(crate) const CSRF: &str = "__Host-tegata-csrf";
/// The language.
pub(crate) const LANG: &str = "__Host-tegata-lang";
/// In which browser a right recovery code was typed.
pub(crate) const RECOVERY: &str = "__Host-tegata-recovery";

/// Which terminal this browser was at its last login.
pub(crate) const TERMINAL: &str = "__Host-tegata-terminal";

/// The value of the first cookie of that name.
pub(crate) fn read<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value)
}

/// A `Set-Cookie` line. `value` is made by us, of letters, digits, `-` and `_` only. Without `max_age` the browser forgets it when it closes.
pub(crate) fn set(name: &str, value: &str, max_age: Option<i64>) -> HeaderValue {
    let (site, hidden) = match name {
        SESSION => ("Lax", "; HttpOnly"),
        CSRF => ("Strict", "; HttpOnly"),
        TERMINAL => ("Lax", "; HttpOnly"),
        RECOVERY => ("Strict", "; HttpOnly"),
        _ => ("Lax", ""),
    };
    let age = max_age.map(|seconds| format!("; Max-Age={seconds}")).unwrap_or_default();
    let line = format!("{name}={value}; Path=/; Secure{hidden}; SameSite={site}{age}");
    HeaderValue::from_str(&line).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// The line that makes a browser forget a cookie.
pub(crate) fn forget(name: &str) -> HeaderValue {
    set(name, "", Some(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_found_among_others() {
        let mut headers = HeaderMap::new();
        headers.append(COOKIE, HeaderValue::from_static("a=1; __Host-tegata-lang=en"));
        headers.append(COOKIE, HeaderValue::from_static("b=2"));
        assert_eq!(read(&headers, LANG), Some("en"));
        assert_eq!(read(&headers, "b"), Some("2"));
        assert_eq!(read(&headers, SESSION), None);
    }

    #[test]
    fn session_and_csrf_are_hidden_from_scripts() {
        assert_eq!(
            set(SESSION, "abc", Some(60)),
            "__Host-tegata-session=abc; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=60"
        );
        assert_eq!(set(CSRF, "abc", None), "__Host-tegata-csrf=abc; Path=/; Secure; HttpOnly; SameSite=Strict");
        assert!(forget(SESSION).to_str().expect("ascii").ends_with("Max-Age=0"));
    }
}
