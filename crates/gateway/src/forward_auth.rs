//! The gate's decision for other reverse proxies (nginx `auth_request`, Caddy `forward_auth`, Traefik, HAProxy, Envoy): they end the
//! terminals' TLS themselves, ask here whether a request may pass, and give the application the header fields of the answer.
//!
//! Whoever asks says which certificate it was shown, so only proxies that are named may ask, each with a certificate of its own on this very
//! connection. What the proxy must have done is to have the key proven in its handshake; everything else (whose signature, until when,
//! revoked or not) is decided here, from the snapshot, and never from what the proxy thinks.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Bytes;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use tegata_core::id::{ClientNumber, CustomerId};
use tegata_core::peer::{Peer, PeerState, Presented};

use crate::proxy::Visitor;
use crate::proxy::identity;

/// The longest certificate that is read, as text.
const LONGEST: usize = 16 * 1024;

/// A field that carries a certificate, and how.
type Carrier = (&'static str, fn(&str) -> Option<CertificateDer<'static>>);

/// The fields in which proxies hand the certificate over. A request carries one of them.
const CARRIERS: [Carrier; 4] = [
    ("client-cert", structured),        // RFC 9440; Caddy and HAProxy as the manual sets them up
    ("x-ssl-client-cert", escaped_pem), // nginx: $ssl_client_escaped_cert
    ("x-forwarded-tls-client-cert", traefik), // Traefik: passTLSClientCert.pem
    ("x-forwarded-client-cert", envoy), // Envoy: forward_client_cert_details with the certificate
];

/// Who may ask.
#[derive(Clone, Debug)]
pub struct ForwardAuth {
    proxies: Arc<[(CustomerId, ClientNumber)]>,
}

/// The path that is asked.
pub const PATH: &str = "/forward-auth";

/// What became of a question.
#[derive(Debug, PartialEq, Eq)]
enum Decision {
    /// Who asks is not one of the proxies, or its certificate does not count.
    NotAProxy,
    /// The question cannot be understood: which field is wrong.
    Unclear(&'static str),
    /// What the client's certificate is worth.
    Judged(Peer, Option<CertificateDer<'static>>),
}

impl ForwardAuth {
    /// For these proxies, each a terminal of the register.
    pub fn new(proxies: Vec<(CustomerId, ClientNumber)>) -> Self {
        Self { proxies: proxies.into() }
    }

    /// Answers one question: 200 with the fields of [`FIELDS`](crate::proxy::FIELDS) lets the request pass; 401 where nothing was shown,
    /// 403 with `x-tegata-reason` for everything that does not open the gate, 503 when that cannot be known at the moment. The peer is
    /// whose certificate was judged.
    pub fn answer(&self, proxy: &Visitor, path: &str, question: &HeaderMap) -> (Response<Full<Bytes>>, Option<Peer>) {
        if path != PATH {
            return (said(StatusCode::NOT_FOUND, "only /forward-auth is answered here"), None);
        }
        match self.decide(proxy, question) {
            Decision::NotAProxy => {
                tracing::warn!(client.address = %proxy.client.ip(), "somebody who is no proxy asked for a decision");
                (said(StatusCode::FORBIDDEN, "only the proxies in [forward_auth] may ask"), None)
            }
            Decision::Unclear(field) => (said(StatusCode::BAD_REQUEST, field), None),
            Decision::Judged(peer, leaf) => {
                let mut response = said(status(peer.state, peer.accepted().is_some()), peer.state.as_str());
                match (peer.accepted(), &leaf) {
                    (Some(cert), Some(leaf)) => {
                        identity::write(response.headers_mut(), &proxy.front, leaf, cert, peer.state);
                    }
                    _ => {
                        let reason = HeaderValue::from_static(peer.state.as_str());
                        response.headers_mut().insert("x-tegata-reason", reason);
                    }
                }
                (response, Some(peer))
            }
        }
    }

    fn decide(&self, proxy: &Visitor, question: &HeaderMap) -> Decision {
        let is_proxy = proxy.accepted().is_some()
            && proxy.bearer().is_some_and(|bearer| self.proxies.contains(&(bearer.customer, bearer.client)));
        if !is_proxy {
            return Decision::NotAProxy;
        }
        match shown(question) {
            Ok(leaf) => {
                let presented = leaf.as_ref().map_or(Presented::None, |leaf| proxy.front.recognise(leaf));
                Decision::Judged(proxy.front.peer(&presented), leaf)
            }
            Err(field) => Decision::Unclear(field),
        }
    }
}

fn status(state: PeerState, is_accepted: bool) -> StatusCode {
    match state {
        _ if is_accepted => StatusCode::OK,
        PeerState::None => StatusCode::UNAUTHORIZED,
        PeerState::Unknowable => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::FORBIDDEN,
    }
}

fn said(status: StatusCode, text: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from_static(text.as_bytes())));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    // What is true of a certificate now may not be in a second.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// The certificate that the proxy was shown; none where it was shown none. Fails with the name of the field that is wrong: an
/// unreadable one, or a second one, which must not be a way to pass off another certificate.
fn shown(question: &HeaderMap) -> Result<Option<CertificateDer<'static>>, &'static str> {
    let mut found = None;
    for (name, read) in CARRIERS {
        let mut values = question.get_all(name).iter();
        let Some(value) = values.next() else { continue };
        if found.is_some() || values.next().is_some() {
            return Err(name);
        }
        let text = value.to_str().map_err(|_| name)?.trim();
        // Proxies send the field empty when nothing was shown; `::` is what a template around nothing gives, and Caddy leaves its
        // placeholder as it is.
        found = Some(match text {
            "" | "::" | "-" => None,
            text if text.starts_with(":{") => None,
            text if text.len() > LONGEST => return Err(name),
            text => Some(read(text).ok_or(name)?),
        });
    }
    Ok(found.flatten())
}

/// A byte sequence of structured fields (RFC 8941 section 3.3.5).
fn structured(text: &str) -> Option<CertificateDer<'static>> {
    base64(text.strip_prefix(':')?.strip_suffix(':')?)
}

fn base64(text: &str) -> Option<CertificateDer<'static>> {
    STANDARD.decode(text).ok().filter(|der| !der.is_empty()).map(CertificateDer::from)
}

/// PEM, percent-encoded.
fn escaped_pem(text: &str) -> Option<CertificateDer<'static>> {
    let pem = percent_decoded(text)?;
    CertificateDer::from_pem_slice(&pem).ok()
}

/// The base64 of the leaf, its chain behind commas; percent-encoded by older versions.
fn traefik(text: &str) -> Option<CertificateDer<'static>> {
    let plain = String::from_utf8(percent_decoded(text)?).ok()?;
    base64(plain.split(',').next()?)
}

/// `Hash=…;Cert="…";Subject="…"` with the PEM percent-encoded in `Cert`. One hop only: a comma would be a second proxy's.
fn envoy(text: &str) -> Option<CertificateDer<'static>> {
    let mut certs = text.split(';').filter_map(|pair| pair.trim().strip_prefix("Cert=\"")?.strip_suffix('"'));
    let cert = certs.next().filter(|_| certs.next().is_none())?;
    escaped_pem(cert)
}

fn percent_decoded(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let (hex, after) = after.split_at_checked(2)?;
        bytes.push(u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok()?);
        rest = after;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DER: &[u8] = b"a certificate, for these tests";

    fn read(fields: &[(&'static str, &str)]) -> Result<Option<Vec<u8>>, &'static str> {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, value.parse().expect("a value"));
        }
        shown(&headers).map(|leaf| leaf.map(|leaf| leaf.to_vec()))
    }

    fn pem() -> String {
        let text = format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", STANDARD.encode(DER));
        text.bytes().map(|byte| format!("%{byte:02X}")).collect()
    }

    #[test]
    fn each_proxys_way_of_handing_over_is_read() {
        let plain = STANDARD.encode(DER);
        let some = Ok(Some(DER.to_vec()));
        assert_eq!(read(&[("client-cert", &format!(":{plain}:"))]), some);
        assert_eq!(read(&[("x-ssl-client-cert", &pem())]), some);
        assert_eq!(read(&[("x-forwarded-tls-client-cert", &format!("{plain},QUJD"))]), some);
        assert_eq!(read(&[("x-forwarded-tls-client-cert", &plain.replace('+', "%2B"))]), some);
        let envoy = format!("By=spiffe://gate;Hash=00;Cert=\"{}\";Subject=\"CN=x\"", pem());
        assert_eq!(read(&[("x-forwarded-client-cert", &envoy)]), some);
    }

    #[test]
    fn nothing_shown_is_nothing_shown() {
        for empty in [
            &[][..],
            &[("client-cert", "")],
            &[("client-cert", "::")],
            &[("client-cert", ":{tls.client}:")],
            &[("x-ssl-client-cert", "")],
        ] {
            assert_eq!(read(empty), Ok(None), "{empty:?}");
        }
    }

    #[test]
    fn what_is_unclear_or_said_twice_is_refused() {
        let good = format!(":{}:", STANDARD.encode(DER));
        assert_eq!(read(&[("client-cert", &good), ("client-cert", &good)]), Err("client-cert"));
        assert_eq!(read(&[("client-cert", &good), ("x-ssl-client-cert", &pem())]), Err("x-ssl-client-cert"));
        assert_eq!(read(&[("client-cert", ""), ("x-ssl-client-cert", &pem())]), Err("x-ssl-client-cert"));
        for wrong in ["abc", ":abc", ":***:", &":A".repeat(20_000)] {
            assert_eq!(read(&[("client-cert", wrong)]), Err("client-cert"));
        }
        assert_eq!(read(&[("x-ssl-client-cert", "%2")]), Err("x-ssl-client-cert"));
        let two = format!("Cert=\"{0}\";Cert=\"{0}\"", pem());
        assert_eq!(read(&[("x-forwarded-client-cert", &two)]), Err("x-forwarded-client-cert"));
        assert_eq!(read(&[("x-forwarded-client-cert", "Hash=00")]), Err("x-forwarded-client-cert"));
    }
}
