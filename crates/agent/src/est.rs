//! The client's half of EST (RFC 7030, RFC 8951), of renewal information (RFC 9773, by EST's address), and of the page that proves a
//! certificate. Says what was asked and what came back; decides nothing.

use std::cell::Cell;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde::Deserialize;
use tegata_core::invitation::Code;
use tegata_core::profile::Purpose;
use tegata_core::secret::Secret;
use tegata_core::time::Timestamp;
use tegata_pki::pkcs7;

use crate::credential::Credential;
use crate::schedule::Window;
use crate::setback::{Remedy, Setback};
use crate::transport::{Assurance, Request, Response, Transport};

/// The server, as it is asked at one instant.
pub struct Server<'a> {
    /// The way to it.
    pub transport: &'a dyn Transport,
    /// Its address, without a slash at the end.
    pub base: &'a str,
    /// The roots that it must lead to (DER).
    pub roots: &'a [Vec<u8>],
    /// The present.
    pub now: Timestamp,
    /// By how many seconds its clock was ahead of ours, when last heard.
    pub ahead: &'a Cell<Option<i64>>,
}

/// How an enrolment is authenticated.
pub enum Proof<'a> {
    /// By a code (HTTP Basic, RFC 7030 section 3.2.3).
    Code(&'a Code),
    /// By another certificate of the terminal.
    Certificate(&'a Credential),
    /// By the certificate that is renewed, or another of the terminal: re-enrolment.
    Renewed(&'a Credential),
}

/// What renewal information says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advice {
    /// When to renew.
    pub window: Window,
    /// Why, for people.
    pub explanation_url: Option<String>,
    /// After how many seconds to ask again.
    pub ask_again: Option<i64>,
}

/// What the server says of the certificate that it was shown.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Checked {
    /// Its serial in hexadecimal.
    pub serial: String,
    /// Whose it is.
    pub terminal: CheckedTerminal,
}

/// A terminal by its id and name.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct CheckedTerminal {
    /// Its id.
    pub id: String,
    /// What people call it.
    pub name: String,
}

impl Server<'_> {
    /// The CA certificates (RFC 7030 section 4.1). Without assurance, the caller compares them with a fingerprint.
    pub fn ca_certificates(&self, assured: bool) -> Result<Vec<Vec<u8>>, Setback> {
        let url = format!("{}/.well-known/est/cacerts", self.base);
        let assurance = if assured { Assurance::Roots(self.roots) } else { Assurance::None };
        let answer = self.send("GET", &url, Vec::new(), &[], None, assurance)?;
        certificates(&expect(answer, 200)?)
    }

    /// Asks for a certificate (RFC 7030 section 4.2).
    pub fn enroll(&self, purpose: Purpose, proof: &Proof<'_>, csr: &[u8]) -> Result<Vec<Vec<u8>>, Setback> {
        let label = if purpose == Purpose::Agent { "/agent" } else { "" };
        let (act, credential) = match proof {
            Proof::Code(_) => ("simpleenroll", None),
            Proof::Certificate(credential) => ("simpleenroll", Some(*credential)),
            Proof::Renewed(credential) => ("simplereenroll", Some(*credential)),
        };
        let url = format!("{}/.well-known/est{label}/{act}", self.base);
        let plain = |text: &str| Secret::new(text.to_owned());
        let mut headers =
            vec![("Content-Type", plain("application/pkcs10")), ("Content-Transfer-Encoding", plain("base64"))];
        if let Proof::Code(code) = proof {
            let basic = STANDARD.encode(format!("enroll:{}", code.spoken().expose()));
            headers.push(("Authorization", Secret::new(format!("Basic {basic}"))));
        }
        let body = STANDARD.encode(csr);
        let answer = self.send("POST", &url, headers, body.as_bytes(), credential, Assurance::Roots(self.roots))?;
        certificates(&expect(answer, 200)?)
    }

    /// When the server would like `about` to be renewed; `None` where it does not say.
    pub fn renewal_info(&self, about: &Credential, shown: &Credential) -> Result<Option<Advice>, Setback> {
        #[derive(Deserialize)]
        struct Info {
            #[serde(rename = "suggestedWindow")]
            window: Dates,
            #[serde(rename = "explanationURL")]
            explanation_url: Option<String>,
        }
        #[derive(Deserialize)]
        struct Dates {
            start: String,
            end: String,
        }
        let url = format!("{}/.well-known/est/renewal-info/{}", self.base, certificate_id(about));
        let answer = self.send("GET", &url, Vec::new(), &[], Some(shown), Assurance::Roots(self.roots))?;
        if matches!(answer.status, 404 | 405 | 501) {
            return Ok(None);
        }
        let ask_again = retry_after(&answer, self.now);
        let body = expect(answer, 200)?;
        let unreadable = || Setback::new("unreadable-answer", "the renewal information is not readable", Remedy::Later);
        let info: Info = serde_json::from_slice(&body).map_err(|_| unreadable())?;
        let at = |text: &str| Timestamp::parse(text).map_err(|_| unreadable());
        let window = Window { start: at(&info.window.start)?, end: at(&info.window.end)? };
        Ok(Some(Advice { window, explanation_url: info.explanation_url, ask_again }))
    }

    /// Shows a certificate in a handshake of its own and hears what it is worth.
    pub fn check(&self, url: &str, credential: &Credential) -> Result<Checked, Setback> {
        let answer = self.send("GET", url, Vec::new(), &[], Some(credential), Assurance::Roots(self.roots))?;
        let body = expect(answer, 200)?;
        let unreadable =
            |_| Setback::new("unreadable-answer", "the answer to the proof is not readable", Remedy::Later);
        let checked: Checked = serde_json::from_slice(&body).map_err(unreadable)?;
        let serial = credential.about().serial.to_string();
        if checked.serial.eq_ignore_ascii_case(&serial) {
            Ok(checked)
        } else {
            let text = format!("the server saw the certificate {} instead of {serial}", checked.serial);
            Err(Setback::new("proof-differs", text, Remedy::Local))
        }
    }

    fn send(
        &self,
        method: &'static str,
        url: &str,
        headers: Vec<(&'static str, Secret<String>)>,
        body: &[u8],
        credential: Option<&Credential>,
        assurance: Assurance<'_>,
    ) -> Result<Response, Setback> {
        let request = Request { method, url, headers, body, credential, assurance, now: self.now };
        let answer = self.transport.send(&request)?;
        if let Some(theirs) = answer.header("date").and_then(http_date) {
            self.ahead.set(Some(theirs.0 - self.now.0));
        }
        Ok(answer)
    }
}

/// The name of a certificate in renewal information (RFC 9773 section 4.1): key identifier of its issuer, and its serial.
pub fn certificate_id(credential: &Credential) -> String {
    let serial = credential.about().serial;
    format!("{}.{}", URL_SAFE_NO_PAD.encode(credential.issuer()), URL_SAFE_NO_PAD.encode(serial.as_bytes()))
}

fn certificates(body: &[u8]) -> Result<Vec<Vec<u8>>, Setback> {
    let unreadable = || Setback::new("unreadable-answer", "the answer holds no readable certificates", Remedy::Later);
    let text: Vec<u8> = body.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let der = STANDARD.decode(text).map_err(|_| unreadable())?;
    pkcs7::certificates(&der).map_err(|_| unreadable())
}

/// The body, where the status is the expected one; else what the status means.
fn expect(answer: Response, status: u16) -> Result<Vec<u8>, Setback> {
    if answer.status == status {
        return Ok(answer.body);
    }
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Problem {
        code: String,
        title: String,
        detail: String,
    }
    let problem: Problem = serde_json::from_slice(&answer.body).unwrap_or_default();
    let code = if problem.code.is_empty() { format!("http-{}", answer.status) } else { problem.code };
    let remedy = match (answer.status, code.as_str()) {
        (_, "too-early") => Remedy::TooEarly,
        (202 | 408 | 425 | 429 | 500..=599, _) => Remedy::Later,
        _ => Remedy::Refused,
    };
    let said = if problem.detail.is_empty() { problem.title } else { problem.detail };
    // It is shown at a terminal, which would obey control characters.
    let plain = |text: String| text.replace(|letter: char| letter.is_control(), " ");
    let (said, code) = (plain(said), plain(code));
    let text = format!("the server answers {}: {}", answer.status, if said.is_empty() { &code } else { &said });
    let retry_after = match remedy {
        // The date form of Retry-After needs the server's own date beside it.
        Remedy::Later | Remedy::TooEarly => {
            let date = answer.header("date").and_then(http_date);
            retry_after(&answer, date.unwrap_or(Timestamp(i64::MAX)))
        }
        Remedy::Local | Remedy::Refused => None,
    };
    Err(Setback { retry_after, ..Setback::new(&code, text, remedy) })
}

/// `Retry-After` in seconds, in either form (RFC 9110 section 10.2.3).
fn retry_after(answer: &Response, now: Timestamp) -> Option<i64> {
    let value = answer.header("retry-after")?;
    let seconds = value.parse().ok().or_else(|| http_date(value).map(|at| at.0.saturating_sub(now.0)));
    seconds.filter(|seconds| *seconds >= 0)
}

/// `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110 section 5.6.7).
fn http_date(text: &str) -> Option<Timestamp> {
    const MONTHS: &str = "JanFebMarAprMayJunJulAugSepOctNovDec";
    let (_, rest) = text.split_once(", ")?;
    let fields: Vec<&str> = rest.split(' ').collect();
    let [day, month, year, time, "GMT"] = fields.as_slice() else { return None };
    let month = MONTHS.find(month).filter(|at| at % 3 == 0 && month.len() == 3)? / 3 + 1;
    Timestamp::parse(&format!("{year}-{month:02}-{day}T{time}Z")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, headers: &[(&str, &str)], body: &str) -> Response {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Response { status, headers, body: body.as_bytes().to_vec() }
    }

    #[test]
    fn dates_of_http_are_read() {
        assert_eq!(http_date("Sun, 06 Nov 1994 08:49:37 GMT"), Timestamp::parse("1994-11-06T08:49:37Z").ok());
        for wrong in ["", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun, 06 anF 1994 08:49:37 GMT", "Sun, 06 Nov 1994"] {
            assert_eq!(http_date(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_a_server_says_cannot_steer_a_terminal() {
        let body = r#"{"code":"a\u001b[2J","detail":"\u001b]0;x\u0007\nall is well"}"#;
        let setback = expect(answer(400, &[], body), 200).expect_err("a refusal");
        assert!(!format!("{}{}", setback.code, setback.text).chars().any(char::is_control));
    }

    #[test]
    fn each_refusal_has_its_remedy() {
        let check = |status, code: &str, remedy| {
            let body = format!("{{\"code\":\"{code}\",\"title\":\"t\",\"detail\":\"d\"}}");
            let setback = expect(answer(status, &[("retry-after", "60")], &body), 200).expect_err("a refusal");
            assert_eq!((setback.code.as_str(), setback.remedy), (code, remedy));
            let waits = matches!(remedy, Remedy::Later | Remedy::TooEarly);
            assert_eq!(setback.retry_after, waits.then_some(60));
        };
        check(202, "approval-pending", Remedy::Later);
        check(409, "too-early", Remedy::TooEarly);
        check(429, "too-many-certificates", Remedy::Later);
        check(503, "trust-unknowable", Remedy::Later);
        check(400, "key-kind", Remedy::Refused);
        check(401, "wrong-code", Remedy::Refused);
        check(403, "revoked-certificate", Remedy::Refused);
        check(404, "no-agents", Remedy::Refused);
        let plain = expect(answer(502, &[], "<html>"), 200).expect_err("a refusal");
        assert_eq!((plain.code.as_str(), plain.remedy, plain.retry_after), ("http-502", Remedy::Later, None));
    }

    #[test]
    fn retry_after_comes_in_seconds_or_as_a_date() {
        let date = ("date", "Sun, 06 Nov 1994 08:49:37 GMT");
        let later = ("retry-after", "Sun, 06 Nov 1994 08:50:37 GMT");
        let setback = expect(answer(503, &[date, later], ""), 200).expect_err("a refusal");
        assert_eq!(setback.retry_after, Some(60));
        let setback = expect(answer(503, &[later], ""), 200).expect_err("a refusal");
        assert_eq!(setback.retry_after, None);
    }
}
