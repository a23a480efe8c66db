//! Which terminal this browser was at its last login: its name, its number and until when its certificate lived. Browsers hide an expired
//! certificate, so a locked-out terminal arrives without any sign of itself; this cookie lets its page say what to tell the support office.
//! It proves nothing and opens nothing.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderMap, HeaderValue};
use tegata_authority::Identity;
use tegata_core::terminal::Terminal;
use tegata_core::time::Timestamp;

use crate::cookie;

/// Browsers keep a cookie for 400 days at most; each login begins anew.
const SECONDS: i64 = 400 * 86_400;
const LONGEST: usize = 600;

/// What the cookie says. Anybody can write it: it is shown, escaped, to whoever sent it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Remembered {
    /// 受付1
    pub(crate) name: String,
    /// u00000001 client0001
    pub(crate) number: String,
    /// The last second of the certificate that was shown at the last login.
    pub(crate) not_after: Timestamp,
}

impl Remembered {
    /// The terminal at which somebody just logged in.
    pub(crate) fn of(identity: &Identity) -> Self {
        Self::at(&identity.terminal, identity.certificate.not_after)
    }

    /// A terminal that last showed a certificate with this end.
    pub(crate) fn at(terminal: &Terminal, not_after: Timestamp) -> Self {
        let number = format!("{} {}", terminal.customer, terminal.client);
        Self { name: terminal.name.clone(), number, not_after }
    }

    /// The `Set-Cookie` line.
    pub(crate) fn line(&self) -> HeaderValue {
        let text = format!("{}\n{}\n{}", self.not_after.0, self.number, self.name);
        cookie::set(cookie::TERMINAL, &URL_SAFE_NO_PAD.encode(text), Some(SECONDS))
    }

    /// What a request remembers, where it is readable.
    pub(crate) fn read(headers: &HeaderMap) -> Option<Self> {
        let value = cookie::read(headers, cookie::TERMINAL).filter(|value| value.len() <= LONGEST)?;
        let text = String::from_utf8(URL_SAFE_NO_PAD.decode(value).ok()?).ok()?;
        let mut parts = text.splitn(3, '\n');
        let (end, number, name) = (parts.next()?, parts.next()?, parts.next()?);
        let not_after = Timestamp(end.parse().ok()?);
        Some(Self { name: name.to_owned(), number: number.to_owned(), not_after })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back_and_rubbish_is_nothing() {
        let written =
            Remembered { name: "受付1".into(), number: "u00000001 client0001".into(), not_after: Timestamp(9) };
        let line = written.line();
        let pair = line.to_str().expect("ASCII").split(';').next().expect("a pair").to_owned();
        let headers =
            |pair: &str| HeaderMap::from_iter([(http::header::COOKIE, HeaderValue::from_str(pair).expect("ASCII"))]);
        assert_eq!(Remembered::read(&headers(&pair)), Some(written));
        for rubbish in ["", "x", "AAAA", &"A".repeat(LONGEST + 1)] {
            assert_eq!(Remembered::read(&headers(&format!("{}={rubbish}", cookie::TERMINAL))), None);
        }
    }
}
