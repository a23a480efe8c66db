//! Enrollment over Secure Transport (RFC 7030, as clarified by RFC 8951 and with the attributes of RFC 9908): `/.well-known/est` for
//! terminals' certificates, `/.well-known/est/agent` for agents' own. Beside it, when to renew, in the spirit of RFC 9773.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use axum::body::{Body, to_bytes};
use axum::extract::{FromRequestParts, Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER, USER_AGENT};
use http::request::Parts;
use http::{HeaderMap, HeaderName};
use tegata_authority::Proof;
use tegata_core::id::Serial;
use tegata_core::invitation;
use tegata_core::peer::{Peer, PeerCert, PeerState, Presented};
use tegata_core::profile::Purpose;
use tegata_core::secret::{Secret, random};
use tegata_pki::csr::{self, Csr};
use tegata_pki::csrattrs::{self, Names};
use tegata_pki::pkcs7;

use super::Route;
use super::problem::{Code, Problem};
use crate::Shared;

/// The largest body that is read: a request over RSA-3072 takes 2 KB in base64.
const MAX_BODY: usize = 32 * 1024;
/// The length of a line of base64 (RFC 2045 section 6.8).
const LINE: usize = 76;
/// How often a program asks when to renew.
const ASK_AGAIN_SECONDS: u32 = 6 * 3600;
const TRANSFER_ENCODING: HeaderName = HeaderName::from_static("content-transfer-encoding");
const CERTS_ONLY: &str = "application/pkcs7-mime; smime-type=certs-only";

/// The ways of EST, with and without the label.
pub(crate) fn routes() -> Vec<Route> {
    let route = |method, path, answer| Route { method, path, answer };
    vec![
        route("GET", "/.well-known/est/cacerts", get(ca_certificates)),
        route("GET", "/.well-known/est/csrattrs", get(attributes)),
        route("POST", "/.well-known/est/simpleenroll", post(enroll)),
        route("POST", "/.well-known/est/simplereenroll", post(reenroll)),
        route("POST", "/.well-known/est/serverkeygen", post(server_key)),
        route("GET", "/.well-known/est/agent/cacerts", get(ca_certificates)),
        route("GET", "/.well-known/est/agent/csrattrs", get(attributes)),
        route("POST", "/.well-known/est/agent/simpleenroll", post(enroll)),
        route("POST", "/.well-known/est/agent/simplereenroll", post(reenroll)),
        route("GET", "/.well-known/est/renewal-info/{certificate}", get(renewal_info)),
    ]
}

/// Who asks, from where, and for what.
struct Asker {
    peer: Peer,
    from: IpAddr,
    headers: HeaderMap,
    /// What the label stands for; none stands for terminals' certificates.
    purpose: Purpose,
}

impl FromRequestParts<Shared> for Asker {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Shared) -> Result<Self, Problem> {
        if super::is_marked_by_browser(&parts.headers) {
            return Err(Problem::for_programs_only());
        }
        let nobody = Peer { presented: Presented::None, state: PeerState::None };
        let from = parts.extensions.get::<SocketAddr>().map_or(Ipv4Addr::UNSPECIFIED.into(), SocketAddr::ip);
        let is_agent = parts.uri.path().starts_with("/.well-known/est/agent/");
        Ok(Self {
            peer: parts.extensions.get::<Peer>().cloned().unwrap_or(nobody),
            from,
            headers: parts.headers.clone(),
            purpose: if is_agent { Purpose::Agent } else { Purpose::Client },
        })
    }
}

impl Asker {
    /// The certificate that says which terminal asks.
    fn credential(&self) -> Result<&PeerCert, Problem> {
        self.peer.credential().ok_or_else(|| Problem::of_peer(&self.peer))
    }

    /// The enrolment code in the place of an HTTP Basic password (RFC 7617); the user's name is not looked at.
    fn code(&self) -> Result<Option<invitation::Code>, Problem> {
        let Some(value) = self.headers.get(AUTHORIZATION) else { return Ok(None) };
        let wrong = || Problem::new(Code::WrongCode, "the enrolment code is not right");
        let value = value.to_str().map_err(|_| wrong())?;
        let (scheme, encoded) = value.split_once(' ').ok_or_else(wrong)?;
        let decoded = STANDARD.decode(encoded.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let decoded = decoded.filter(|_| scheme.eq_ignore_ascii_case("basic")).ok_or_else(wrong)?;
        let (_, password) = decoded.split_once(':').ok_or_else(wrong)?;
        invitation::Code::parse(password).map(Some).map_err(|_| wrong())
    }
}

/// `GET cacerts` (RFC 7030 section 4.1)
async fn ca_certificates(State(state): State<Shared>, headers: HeaderMap) -> Result<Response, Problem> {
    let found = state.authority.ca_certificates().await;
    let found = found.map_err(|error| Problem::internal("reading the CA certificates", &error))?;
    let list: Vec<&[u8]> = found.iter().map(Vec::as_slice).collect();
    Ok(encoded(&headers, "application/pkcs7-mime", &wrap(&list)?))
}

/// `GET csrattrs` (RFC 7030 section 4.5). A known terminal is told its own names.
async fn attributes(State(state): State<Shared>, asker: Asker) -> Result<Response, Problem> {
    let failed = |error: &(dyn std::error::Error + 'static)| Problem::internal("writing the attributes", error);
    let purpose = asker.purpose;
    let profile = state.authority.rules().profile(purpose).ok_or(tegata_authority::ProgramError::NoAgents)?;
    let identity = match asker.peer.credential() {
        Some(cert) => state.authority.identify(cert).await.map_err(|error| failed(&error))?,
        None => None,
    };
    let known = match &identity {
        Some(identity) => Some((
            state.authority.certificate_der(identity).await.map_err(|error| failed(&error))?,
            identity.terminal.id.san_uri(purpose).unwrap_or_default(),
        )),
        None => None,
    };
    let names = known.as_ref().map(|(certificate, san_uri)| Names { certificate, san_uri });
    let attributes = csrattrs::build(profile.preferred_key_kind(), names).map_err(|error| failed(&error))?;
    Ok(encoded(&asker.headers, "application/csrattrs", &attributes))
}

/// `POST simpleenroll` (RFC 7030 section 4.2.1)
async fn enroll(State(state): State<Shared>, asker: Asker, body: Body) -> Result<Response, Problem> {
    let request = request(&asker.headers, body).await?;
    let code = asker.code()?;
    let proof = match &code {
        Some(code) => Proof::Code(code, asker.from),
        None => Proof::Certificate(asker.credential()?),
    };
    let issued = state.authority.enroll_key(proof, asker.purpose, &request).await?;
    Ok(encoded(&asker.headers, CERTS_ONLY, &wrap(&[&issued.der])?))
}

/// `POST simplereenroll` (RFC 7030 section 4.2.2)
async fn reenroll(State(state): State<Shared>, asker: Asker, body: Body) -> Result<Response, Problem> {
    let request = request(&asker.headers, body).await?;
    let issued = state.authority.rekey(asker.credential()?, asker.purpose, &request).await?;
    Ok(encoded(&asker.headers, CERTS_ONLY, &wrap(&[&issued.der])?))
}

/// `POST serverkeygen` (RFC 7030 section 4.4): key and certificate, each base64 in a part of its own. The key is protected by this very
/// connection; a second wrapping is not offered.
async fn server_key(State(state): State<Shared>, asker: Asker, body: Body) -> Result<Response, Problem> {
    let presented = asker.peer.accepted().ok_or_else(|| Problem::of_peer(&asker.peer))?;
    let request = request(&asker.headers, body).await?;
    if request.wants_encrypted_key() {
        let detail = "the key comes over this connection as it is; leave DecryptKeyIdentifier out of the request";
        return Err(Problem::new(Code::KeyEncryption, detail));
    }
    let made = state.authority.server_key(presented, &request).await?;
    let boundary: String = random::<12>(&*state.entropy).iter().map(|byte| format!("{byte:02x}")).collect();
    let mut body = Secret::new(String::with_capacity(8 * 1024));
    let list = wrap(&[&made.der])?;
    let parts = [("application/pkcs8", made.key.expose().as_slice()), (CERTS_ONLY, list.as_slice())];
    for (kind, content) in parts {
        let text = Secret::new(STANDARD.encode(content));
        let head = format!("--{boundary}\r\nContent-Type: {kind}\r\nContent-Transfer-Encoding: base64\r\n\r\n");
        body = Secret::new([body.expose().as_str(), &head, text.expose(), "\r\n"].concat());
    }
    body = Secret::new([body.expose().as_str(), "--", &boundary, "--\r\n"].concat());
    let kind = format!("multipart/mixed; boundary={boundary}");
    Ok(([(CONTENT_TYPE, kind)], body.expose().clone()).into_response())
}

/// `GET renewal-info/{certificate}`: the certificate is named as in ACME (RFC 9773 section 4.1), and must be one of the asking terminal's.
async fn renewal_info(
    State(state): State<Shared>,
    asker: Asker,
    Path(certificate): Path<String>,
) -> Result<Response, Problem> {
    let presented = asker.credential()?;
    let unknown = || Problem::new(Code::NoSuchCertificate, "this terminal has no such certificate");
    let (issuer, serial) = named(&certificate).ok_or_else(unknown)?;
    let info = state.authority.renewal_info(presented, &issuer, serial).await?.ok_or_else(unknown)?;
    let mut body = serde_json::json!({
        "suggestedWindow": { "start": info.window.start.to_string(), "end": info.window.end.to_string() },
    });
    if let Some(url) = info.explanation_url {
        body["explanationURL"] = url.into();
    }
    let headers = [(CONTENT_TYPE, "application/json".to_owned()), (RETRY_AFTER, ASK_AGAIN_SECONDS.to_string())];
    Ok((headers, body.to_string()).into_response())
}

/// Issuer's key and serial in `base64url(authority key identifier).base64url(serial)`. A serial of ours has 16 octets; a leading zero may
/// stand before.
fn named(name: &str) -> Option<(Vec<u8>, Serial)> {
    let (issuer, serial) = name.split_once('.')?;
    let issuer = URL_SAFE_NO_PAD.decode(issuer).ok()?;
    let bytes = URL_SAFE_NO_PAD.decode(serial).ok()?;
    let bytes = bytes.strip_prefix(&[0]).filter(|rest| rest.len() == 16).unwrap_or(&bytes);
    bytes.try_into().ok().map(|bytes| (issuer, Serial::from_bytes(bytes)))
}

/// The certification request in a body (RFC 7030 section 4.2.1, RFC 8951 section 3.1): base64, in one line or in many.
async fn request(headers: &HeaderMap, body: Body) -> Result<Csr, Problem> {
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    // Also what keeps other sites' forms away: a browser sends this kind of body only where it was permitted to.
    if !kind.eq_ignore_ascii_case("application/pkcs10") {
        let detail = "send the certification request with Content-Type: application/pkcs10";
        return Err(Problem::new(Code::ContentType, detail));
    }
    let too_long = |_| Problem::new(Code::TooLong, "the request is too long");
    let body = to_bytes(body, MAX_BODY).await.map_err(too_long)?;
    csr::parse_base64(&body).map_err(|error| Problem::new(Code::BadRequest, error.to_string()))
}

fn wrap(certificates: &[&[u8]]) -> Result<Vec<u8>, Problem> {
    pkcs7::certs_only(certificates).map_err(|error| Problem::internal("wrapping certificates", &error))
}

/// An answer in base64: in lines, as most clients expect it; in one line for those that read nothing else.
fn encoded(headers: &HeaderMap, kind: &'static str, der: &[u8]) -> Response {
    let text = STANDARD.encode(der);
    let body = if reads_one_line_only(headers) {
        text
    } else {
        let lines: Vec<&str> = (0..text.len()).step_by(LINE).map(|at| &text[at..text.len().min(at + LINE)]).collect();
        lines.join("\n") + "\n"
    };
    ([(CONTENT_TYPE, kind), (TRANSFER_ENCODING, "base64")], body).into_response()
}

/// strongSwan takes the body as one piece of base64 and stops at the first line break. It sends no User-Agent.
fn reads_one_line_only(headers: &HeaderMap) -> bool {
    let agent = headers.get(USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    agent.is_empty() || agent.to_ascii_lowercase().contains("strongswan")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_named_as_in_acme() {
        let bytes: [u8; 16] = *b"\x20\x29\x11\x22abcdefghijkl";
        let read =
            |serial: &[u8]| named(&format!("{}.{}", URL_SAFE_NO_PAD.encode(b"key"), URL_SAFE_NO_PAD.encode(serial)));
        let expected = Some((b"key".to_vec(), Serial::from_bytes(bytes)));
        assert_eq!(read(&bytes), expected);
        assert_eq!(read(&[&[0][..], &bytes].concat()), expected);
        assert_eq!(read(&bytes[1..]), None);
        for wrong in ["", ".", "a", "a.b.c", "===.==="] {
            assert_eq!(named(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn answers_come_in_lines_except_for_who_reads_one_only() {
        let lines = |agent: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(USER_AGENT, http::HeaderValue::from_static(agent));
            reads_one_line_only(&headers)
        };
        assert!(reads_one_line_only(&HeaderMap::new()) && lines("strongSwan 5.9.8"));
        assert!(!lines("curl/7.88.1"));
    }
}
