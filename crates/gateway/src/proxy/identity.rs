//! Who is there, in header fields that applications may believe because everything of the kind that came from outside has been thrown
//! away: the certificate itself (RFC 9440), and the same in plain words.

use http::{HeaderMap, HeaderName, HeaderValue};
use rustls_pki_types::CertificateDer;
use tegata_core::peer::{PeerCert, PeerState};

use super::visitor::Bearer;
use crate::tls::TlsFront;

/// The fields that each request gets, and what stands in each.
pub const FIELDS: [(&str, &str); 11] = [
    ("client-cert", "the certificate, in base64 between colons (RFC 9440 section 2.2)"),
    ("client-cert-chain", "the CA that signed it, in the same form (section 2.3)"),
    ("x-tegata-customer", "the customer's id, `u00000001`"),
    ("x-tegata-customer-name", "the customer's name in the certificate, UTF-8, percent-encoded"),
    ("x-tegata-terminal", "the terminal's number within the customer, `client0001`"),
    ("x-tegata-terminal-id", "the terminal's id for life, a UUID"),
    ("x-tegata-serial", "the certificate's serial, 32 hex digits"),
    ("x-tegata-fingerprint", "SHA-256 of the certificate, 64 hex digits"),
    ("x-tegata-not-after", "the certificate's last second, RFC 3339, UTC"),
    ("x-tegata-days-left", "days of Japan until then"),
    ("x-tegata-standing", "`valid`, `due` (it can be renewed) or `superseded` (its terminal has used a newer one)"),
];

/// Writes them. The caller has removed every field of the kind before.
pub(crate) fn write(
    headers: &mut HeaderMap,
    front: &TlsFront,
    leaf: &CertificateDer<'_>,
    cert: &PeerCert,
    state: PeerState,
) {
    let mut put = |name: &'static str, value: String| {
        // Everything below is ASCII; a value that were not would be left out rather than break the request.
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    };
    put("client-cert", binary(leaf));
    // The chain that we proved, not the one that the client sent along.
    if let Some(issuer) = front.issuer(cert.issuer) {
        put("client-cert-chain", binary(&issuer));
    }
    if let Some(Bearer { customer, client, organization }) = Bearer::read(leaf) {
        put("x-tegata-customer", customer.to_string());
        put("x-tegata-customer-name", percent_encoded(&organization));
        put("x-tegata-terminal", client.to_string());
    }
    put("x-tegata-terminal-id", cert.terminal.to_string());
    put("x-tegata-serial", cert.serial.to_string());
    put("x-tegata-fingerprint", cert.fingerprint.to_string());
    put("x-tegata-not-after", cert.not_after.to_string());
    if let PeerState::Valid { days_left } | PeerState::Due { days_left } | PeerState::Superseded { days_left } = state {
        put("x-tegata-days-left", days_left.0.to_string());
    }
    put("x-tegata-standing", state.as_str().to_owned());
}

/// A byte sequence of structured fields (RFC 8941 section 3.3.5).
fn binary(der: &[u8]) -> String {
    use base64::Engine as _;
    format!(":{}:", base64::engine::general_purpose::STANDARD.encode(der))
}

/// Everything but unreserved characters (RFC 3986 section 2.3) as `%XX`.
fn percent_encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_japanese_name_is_plain_ascii() {
        assert_eq!(percent_encoded("医院 A-1"), "%E5%8C%BB%E9%99%A2%20A-1");
    }

    #[test]
    fn each_field_that_we_write_is_thrown_away_when_others_send_it() {
        for (name, _) in FIELDS {
            assert!(super::super::headers::is_ours_alone(name), "{name}");
        }
    }
}
