//! Names of things that must not be mixed. Each is checked once, where it enters; inside it is trusted.

use std::fmt;
use std::str::FromStr;

use crate::profile::Purpose;

/// Why a text is not a name of that kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not {expected}")]
pub struct ParseIdError {
    /// What was given.
    pub text: String,
    /// What it should look like.
    pub expected: &'static str,
}

fn bad(text: &str, expected: &'static str) -> ParseIdError {
    ParseIdError { text: text.to_owned(), expected }
}

/// A customer (a clinic): `u` and eight digits, as the seed's file names write it. Stored as the number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CustomerId(u32);

impl CustomerId {
    /// From its number, 1 to 99,999,999.
    pub fn new(number: u32) -> Option<Self> {
        (1..=99_999_999).contains(&number).then_some(Self(number))
    }

    /// The number that the store keeps.
    pub fn number(self) -> u32 {
        self.0
    }
}

impl fmt::Display for CustomerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "u{:08}", self.0)
    }
}

impl FromStr for CustomerId {
    type Err = ParseIdError;
    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        let expected = "a customer id such as u00000001";
        let digits = text.strip_prefix('u').filter(|d| d.len() == 8 && d.bytes().all(|b| b.is_ascii_digit()));
        digits.and_then(|d| d.parse().ok()).and_then(Self::new).ok_or_else(|| bad(text, expected))
    }
}

/// The number of a terminal within its customer; written `client0001`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientNumber(u32);

impl ClientNumber {
    /// From its number, 1 to 9999.
    pub fn new(number: u32) -> Option<Self> {
        (1..=9999).contains(&number).then_some(Self(number))
    }

    /// The number that the store keeps.
    pub fn number(self) -> u32 {
        self.0
    }
}

impl fmt::Display for ClientNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "client{:04}", self.0)
    }
}

impl FromStr for ClientNumber {
    type Err = ParseIdError;
    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        let expected = "a terminal number such as client0001";
        let digits =
            text.strip_prefix("client").filter(|d| (3..=4).contains(&d.len()) && d.bytes().all(|b| b.is_ascii_digit()));
        digits.and_then(|d| d.parse().ok()).and_then(Self::new).ok_or_else(|| bad(text, expected))
    }
}

/// What stands before a terminal's id in the certificates of each purpose.
const URIS: [(Purpose, &str); 2] =
    [(Purpose::Client, "https://terminal.tegata.internal/"), (Purpose::Agent, "https://agent.tegata.internal/")];

/// A terminal: a random UUID that stays for its whole life, whatever its name, number or certificates become.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TerminalId(pub uuid::Uuid);

impl TerminalId {
    /// From 16 random bytes (version 4, RFC 9562 section 5.4).
    pub fn from_random(bytes: [u8; 16]) -> Self {
        Self(uuid::Builder::from_random_bytes(bytes).into_uuid())
    }

    /// The SAN URI that every certificate of this terminal carries, one for what people and programs present and one for its agent; none
    /// in a server's. A name, not an address: `.internal` is reserved for private use and resolves nowhere. It has a host because linters
    /// take every URI of a certificate for one with a host.
    pub fn san_uri(self, purpose: Purpose) -> Option<String> {
        let (_, start) = URIS.iter().find(|(known, _)| *known == purpose)?;
        Some(format!("{start}{}", self.0.hyphenated()))
    }

    /// Reads the SAN URI back.
    pub fn from_san_uri(uri: &str) -> Option<(Self, Purpose)> {
        let (purpose, text) =
            URIS.iter().find_map(|(purpose, start)| uri.strip_prefix(start).map(|text| (*purpose, text)))?;
        uuid::Uuid::try_parse(text).ok().filter(|_| text.len() == 36).map(|id| (Self(id), purpose))
    }
}

impl fmt::Display for TerminalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl FromStr for TerminalId {
    type Err = ParseIdError;
    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        uuid::Uuid::try_parse(text).map(Self).map_err(|_| bad(text, "a terminal id (a UUID)"))
    }
}

macro_rules! row_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub i64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}
row_id!(
    /// The row of a person who logs in.
    UserId
);
row_id!(
    /// The row of a certificate; outsiders name it by fingerprint or serial instead.
    CertificateId
);
row_id!(
    /// The row of an issuing CA.
    IssuerId
);

/// A certificate's serial number: positive, at most 20 octets (RFC 5280 section 4.1.2.2). Ours are 16 octets, see [`Serial::build`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Serial([u8; 16]);

impl Serial {
    /// The first four octets are the last day of the certificate in Japan, its decimal digits read as hex digits (`20291122…`), so that
    /// a browser's certificate chooser, which shows the serial but no date, shows the date. Twelve random octets follow (96 bits;
    /// CA/Browser Forum asks for 64).
    pub fn build(not_after: crate::time::Timestamp, random: [u8; 12]) -> Self {
        let date = not_after.jst_date();
        let year = u32::from(date.year().unsigned_abs());
        let digits =
            [year / 100, year % 100, u32::from(date.month().unsigned_abs()), u32::from(date.day().unsigned_abs())];
        let mut bytes = [0; 16];
        for (byte, two) in bytes.iter_mut().zip(digits) {
            *byte = u8::try_from(two / 10 * 16 + two % 10).expect("two decimal digits are at most 0x99");
        }
        bytes[4..].copy_from_slice(&random);
        Self(bytes)
    }

    /// From the 16 octets of one of our certificates.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The octets, most significant first.
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

/// Upper-case hex, as browsers and Windows print it.
impl fmt::Display for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02X}"))
    }
}

impl fmt::Debug for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Serial({self})")
    }
}

impl FromStr for Serial {
    type Err = ParseIdError;
    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        parse_hex(text).map(Self).ok_or_else(|| bad(text, "a serial of 32 hex digits"))
    }
}

/// SHA-256 of a certificate's DER.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(pub [u8; 32]);

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({self})")
    }
}

impl FromStr for Fingerprint {
    type Err = ParseIdError;
    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        parse_hex(text).map(Self).ok_or_else(|| bad(text, "a SHA-256 fingerprint of 64 hex digits"))
    }
}

/// SHA-256 of a SubjectPublicKeyInfo in DER: tells whether two certificates or requests are for one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct KeyHash(pub [u8; 32]);

/// Exactly `N` octets of hex, colons and case ignored.
fn parse_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits: Vec<u8> = text
        .bytes()
        .filter(|b| *b != b':')
        .map(|b| char::from(b).to_digit(16))
        .map(|d| d.map(|d| d as u8))
        .collect::<Option<_>>()?;
    let bytes: Vec<u8> =
        digits.chunks(2).map(|pair| if let [high, low] = pair { high << 4 | low } else { 0 }).collect();
    (digits.len() == 2 * N).then(|| bytes.try_into().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Timestamp;

    #[test]
    fn the_serial_begins_with_the_last_day_in_japan() {
        let end = Timestamp::parse("2029-11-21T15:00:00Z").expect("a valid time"); // already the 22nd in Japan
        let serial = Serial::build(end, [0xab; 12]);
        assert_eq!(serial.to_string(), "20291122ABABABABABABABABABABABAB");
        assert!(serial.as_bytes()[0] < 0x80, "positive");
        assert_eq!(serial.to_string().to_lowercase().parse::<Serial>().expect("hex"), serial);
    }

    #[test]
    fn ids_read_what_they_print_and_refuse_the_rest() {
        assert_eq!("u00000001".parse::<CustomerId>().expect("valid").to_string(), "u00000001");
        assert_eq!("client0012".parse::<ClientNumber>().expect("valid").number(), 12);
        for wrong in ["u0", "u00000000", "00000001", "u0000000x", "u000000011"] {
            assert!(wrong.parse::<CustomerId>().is_err(), "{wrong}");
        }
        for wrong in ["client0", "client0000", "client00001", "0001"] {
            assert!(wrong.parse::<ClientNumber>().is_err(), "{wrong}");
        }
        let terminal = TerminalId::from_random([7; 16]);
        for purpose in [Purpose::Client, Purpose::Agent] {
            let uri = terminal.san_uri(purpose).expect("terminals have one");
            assert_eq!(TerminalId::from_san_uri(&uri), Some((terminal, purpose)));
        }
        assert_eq!(terminal.san_uri(Purpose::Server), None);
        assert!("2029".parse::<Serial>().is_err());
    }
}
