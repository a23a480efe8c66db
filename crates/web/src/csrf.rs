//! No form of ours can be sent by another site: each carries a token that hangs on a chance number in the visitor's cookie, and a request
//! that a browser marks as coming from elsewhere is refused first. Logging in and out changes the number, and with it every token.

use aws_lc_rs::hmac;
use axum::body::{Body, to_bytes};
use axum::extract::{FromRequest, Request};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderMap;
use http::header::{CONTENT_TYPE, ORIGIN};
use tegata_core::secret::{Entropy, random};

use crate::Shared;
use crate::error::Failure;
use crate::form::Fields;
use crate::visit::Visit;

/// No form of ours is longer.
const LONGEST_FORM: usize = 16 * 1024;

/// A fresh visitor's number, as the cookie carries it.
pub(crate) fn visitor(entropy: &dyn Entropy) -> String {
    URL_SAFE_NO_PAD.encode(random::<32>(entropy))
}

/// Whether a cookie's value can be one of ours; anything else is replaced.
pub(crate) fn is_visitor(value: &str) -> bool {
    value.len() == 43 && value.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

/// The token that a visitor's forms carry.
pub(crate) fn token(key: &[u8; 32], visitor: &str) -> String {
    URL_SAFE_NO_PAD.encode(hmac::sign(&signing_key(key), visitor.as_bytes()))
}

/// Whether a token is this visitor's; compared in constant time.
pub(crate) fn is_genuine(key: &[u8; 32], visitor: &str, token: &str) -> bool {
    let Ok(tag) = URL_SAFE_NO_PAD.decode(token) else { return false };
    hmac::verify(&signing_key(key), visitor.as_bytes(), &tag).is_ok()
}

fn signing_key(key: &[u8; 32]) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, key)
}

/// Whether the browser itself says that a request comes from another site (Fetch Metadata; RFC 6454 section 7 for `Origin`).
pub(crate) fn is_from_elsewhere(headers: &HeaderMap, host: &str) -> bool {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let site = text("sec-fetch-site");
    if site.is_some_and(|site| !matches!(site, "same-origin" | "none")) {
        return true;
    }
    match text(ORIGIN.as_str()) {
        None => false,
        // Some browsers hide the origin of their own forms; then only the mark above tells.
        Some("null") => site != Some("same-origin"),
        Some(origin) => origin.strip_prefix("https://") != Some(host),
    }
}

/// A form of ours: read within bounds, its token checked.
pub(crate) struct CheckedForm(pub(crate) Fields);

impl FromRequest<Shared> for CheckedForm {
    type Rejection = Failure;

    async fn from_request(request: Request<Body>, state: &Shared) -> Result<Self, Failure> {
        let kind = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if !kind.to_ascii_lowercase().starts_with("application/x-www-form-urlencoded") {
            return Err(Failure::BadForm);
        }
        let visit = request.extensions().get::<Visit>().cloned().ok_or(Failure::Csrf)?;
        let body = to_bytes(request.into_body(), LONGEST_FORM).await.map_err(|_| Failure::FormTooLong)?;
        let fields = Fields::parse(&body).ok_or(Failure::BadForm)?;
        if !is_genuine(state.csrf_key.expose(), &visit.visitor, fields.text("csrf")) {
            return Err(Failure::Csrf);
        }
        Ok(Self(fields))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().expect("a name"), value.parse().expect("a value"))).collect()
    }

    #[test]
    fn a_token_belongs_to_one_visitor_and_one_server() {
        let token = super::token(&[1; 32], "visitor");
        assert!(is_genuine(&[1; 32], "visitor", &token));
        assert!(!is_genuine(&[1; 32], "another", &token));
        assert!(!is_genuine(&[2; 32], "visitor", &token));
        for wrong in ["", "%%%", "AAAA", &token[1..]] {
            assert!(!is_genuine(&[1; 32], "visitor", wrong), "{wrong}");
        }
    }

    #[test]
    fn a_visitors_number_is_recognised_by_its_shape() {
        assert!(is_visitor(&visitor(&tegata_testkit::SeededEntropy::new(1))));
        for wrong in ["", "short", &"=".repeat(43), &"a".repeat(44)] {
            assert!(!is_visitor(wrong), "{wrong}");
        }
    }

    #[test]
    fn what_a_browser_marks_as_foreign_is_refused() {
        let elsewhere = |pairs| is_from_elsewhere(&headers(pairs), "localhost:8443");
        assert!(!elsewhere(&[]));
        assert!(!elsewhere(&[("sec-fetch-site", "same-origin"), ("origin", "https://localhost:8443")]));
        assert!(!elsewhere(&[("sec-fetch-site", "same-origin"), ("origin", "null")]));
        assert!(!elsewhere(&[("sec-fetch-site", "none")]));
        assert!(elsewhere(&[("origin", "null")]));
        assert!(elsewhere(&[("sec-fetch-site", "cross-site")]));
        assert!(elsewhere(&[("sec-fetch-site", "same-site"), ("origin", "https://alt1.localhost:8443")]));
        assert!(elsewhere(&[("origin", "https://localhost:8444")]));
        assert!(elsewhere(&[("origin", "http://localhost:8443")]));
        assert!(elsewhere(&[("origin", "https://evil.example")]));
    }
}
