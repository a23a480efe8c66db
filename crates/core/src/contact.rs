//! Whom a customer wants to be told, and in which language.

use std::fmt;
use std::str::FromStr;

use crate::id::{CustomerId, ParseIdError};
use crate::time::Timestamp;

/// How many contacts a customer may have.
pub const MOST_CONTACTS: usize = 10;
/// The longest name of a contact, in characters.
pub const LONGEST_LABEL: usize = 40;

/// An address for mail, `local@domain` (RFC 5321 section 4.1.2): a dot-string and a domain of at least two labels, ASCII only. Quoted local
/// parts and address literals are refused: nobody's notices go there, and a line break can hide in them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MailAddress(String);

impl MailAddress {
    /// The whole address.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What stands before the `@`, and what stands behind it.
    pub fn parts(&self) -> (&str, &str) {
        self.0.rsplit_once('@').expect("checked when it was made")
    }
}

impl fmt::Display for MailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for MailAddress {
    type Err = ParseIdError;
    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        let good = text.len() <= 254
            && text.split_once('@').is_some_and(|(local, domain)| is_local_part(local) && is_domain(domain));
        good.then(|| Self(text.to_owned())).ok_or_else(|| ParseIdError {
            text: text.chars().take(80).collect(),
            expected: "a mail address such as jimu@clinic.example.jp",
        })
    }
}

/// RFC 5321 section 4.5.3.1.1: at most 64 octets.
fn is_local_part(local: &str) -> bool {
    let atom = |part: &str| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&b))
    };
    local.len() <= 64 && local.split('.').all(atom)
}

fn is_domain(domain: &str) -> bool {
    let label = |part: &str| {
        (1..=63).contains(&part.len())
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !part.starts_with('-')
            && !part.ends_with('-')
    };
    let named = domain.rsplit('.').next().is_some_and(|last| !last.bytes().all(|b| b.is_ascii_digit()));
    domain.contains('.') && named && domain.split('.').all(label)
}

/// The language in which somebody is written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// Japanese.
    Ja,
    /// English.
    En,
}

impl Language {
    /// Its word in the store and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ja => "ja",
            Self::En => "en",
        }
    }
}

impl FromStr for Language {
    type Err = ParseIdError;
    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        match text {
            "ja" => Ok(Self::Ja),
            "en" => Ok(Self::En),
            _ => Err(ParseIdError { text: text.chars().take(80).collect(), expected: "a language: ja or en" }),
        }
    }
}

/// Somebody who gets the notices of a customer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contact {
    /// Its row.
    pub id: i64,
    /// Whose notices.
    pub customer: CustomerId,
    /// Where to.
    pub address: MailAddress,
    /// Who that is: 事務長, サポート事業所.
    pub label: String,
    /// In which language.
    pub language: Language,
    /// Since when.
    pub created_at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_one_that_mail_can_go_to_and_nothing_else() {
        for good in ["jimu@clinic.example.jp", "a.b+tegata@example.co.jp", "o'hara@xn--eckwd4c7c.jp", "1@1.jp"] {
            assert_eq!(good.parse::<MailAddress>().expect(good).as_str(), good);
        }
        let long = format!("{}@example.jp", "a".repeat(65));
        for wrong in [
            "",
            "jimu",
            "@example.jp",
            "jimu@",
            "jimu@localhost",
            "jimu@example..jp",
            ".jimu@example.jp",
            "ji..mu@example.jp",
            "jimu.@example.jp",
            "a@b@example.jp",
            "jimu@-a.jp",
            "jimu@a-.jp",
            "jimu@192.0.2.1",
            "jimu@[192.0.2.1]",
            "\"a b\"@example.jp",
            "jimu @example.jp",
            "jimu@example.jp ",
            "受付@example.jp",
            "jimu@例え.jp",
            "<jimu@example.jp>",
            "jimu@example.jp\r\nBcc: all@example.jp",
            "jimu\n@example.jp",
            "jimu@example.jp,other@example.jp",
            "a@b.jp\0",
            &long,
        ] {
            assert!(wrong.parse::<MailAddress>().is_err(), "{wrong:?}");
        }
    }
}
