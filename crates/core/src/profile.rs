//! Certificate profiles: what an issued certificate looks like and how long it lives. They are data from the configuration file; nothing
//! here has a default validity. Settings become a [`Profile`] only through [`ProfileSettings::validate`].

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::time::{Days, Timestamp};

/// The kinds of key a certificate may carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyKind {
    /// ECDSA on NIST P-256.
    P256,
    /// RSA with 2048 bits: 112-bit strength, which CRYPTREC ends with 2030.
    Rsa2048,
    /// RSA with 3072 bits: opens everywhere, usable until 2040.
    Rsa3072,
}

impl KeyKind {
    /// The last instant a certificate over such a key may live to. CRYPTREC LS-0003: 112-bit strength is not to be used from 2031 on.
    pub fn last_use(self) -> Option<Timestamp> {
        use jiff::civil::{date, time};
        (self == Self::Rsa2048).then(|| Timestamp::from_jst(date(2030, 12, 31), time(23, 59, 59, 0)))
    }

    /// The word in the configuration file and in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::P256 => "p256",
            Self::Rsa2048 => "rsa2048",
            Self::Rsa3072 => "rsa3072",
        }
    }
}

impl fmt::Display for KeyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for KeyKind {
    type Err = crate::id::ParseIdError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::P256, Self::Rsa2048, Self::Rsa3072].into_iter().find(|kind| kind.as_str() == text).ok_or_else(|| {
            crate::id::ParseIdError { text: text.to_owned(), expected: "a key kind: p256, rsa2048 or rsa3072" }
        })
    }
}

/// What a certificate may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Purpose {
    /// A terminal shows it to the gate (extended key usage clientAuth).
    Client,
    /// A terminal's agent shows it to renew (extended key usage clientAuth, its own SAN URI); it opens no page and no application.
    Agent,
    /// A listener of ours shows it to terminals (extended key usage serverAuth).
    Server,
}

/// One `[profile.NAME]` of the configuration file, as written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProfileSettings {
    /// What the certificates are for: `client`, `agent` or `server`.
    pub purpose: Purpose,
    /// Key kinds that may be certified: `p256`, `rsa2048`, `rsa3072`. The first one is what we generate ourselves.
    pub key_kinds: Vec<KeyKind>,
    /// How many years a certificate lives (clients: 3, as the seed of this service has it). Either this or `validity_days`.
    pub validity_years: Option<i16>,
    /// How many days a certificate lives, where that is less than whole years.
    pub validity_days: Option<i64>,
    /// How many days before its end a certificate may be renewed, and the reminder is shown. At least 62 for clients, since old programs
    /// ask two calendar months ahead.
    pub renewal_window_days: i64,
    /// How many days more than its validity a renewed certificate may live, so that unused days are not lost.
    pub carry_over_days: i64,
    /// Over how many permitted afternoons the ends of certificates issued together are spread.
    pub spread_days: u32,
}

/// A profile that has been checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// Its name in the configuration file.
    pub name: String,
    settings: ProfileSettings,
    life: Life,
}

/// How long certificates live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    Years(i16),
    Days(i64),
}

/// What is wrong with a profile.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProfileError {
    /// A number outside what works.
    #[error("profile {profile:?}: {setting} is {value}, but must be {range}")]
    OutOfRange {
        /// The profile's name.
        profile: String,
        /// The setting's name.
        setting: &'static str,
        /// What was written.
        value: i64,
        /// What would be accepted.
        range: &'static str,
    },
    /// No life, or two.
    #[error("profile {0:?}: write either validity_years or validity_days")]
    Life(String),
    /// No key kind at all.
    #[error("profile {0:?}: key_kinds is empty; write at least one of \"p256\", \"rsa2048\", \"rsa3072\"")]
    NoKeyKind(String),
}

/// Days by which an end may move to a permitted afternoon: over the first ten days of a month and the holidays around them.
pub const LONGEST_DETOUR_DAYS: i64 = 31;

impl ProfileSettings {
    /// Checks the numbers against each other; the result can be trusted everywhere.
    pub fn validate(self, name: &str) -> Result<Profile, ProfileError> {
        let out_of_range =
            |setting, value, range| Err(ProfileError::OutOfRange { profile: name.to_owned(), setting, value, range });
        if self.key_kinds.is_empty() {
            return Err(ProfileError::NoKeyKind(name.to_owned()));
        }
        let life = match (self.validity_years, self.validity_days) {
            (Some(years), None) if (1..=10).contains(&years) => Life::Years(years),
            (Some(years), None) => return out_of_range("validity_years", years.into(), "1 to 10"),
            (None, Some(days)) if (7..=3650).contains(&days) => Life::Days(days),
            (None, Some(days)) => return out_of_range("validity_days", days, "7 to 3650"),
            _ => return Err(ProfileError::Life(name.to_owned())),
        };
        let shortest_window = if self.purpose == Purpose::Client { 62 } else { 1 };
        let life_days = match life {
            Life::Years(years) => i64::from(years) * 365,
            Life::Days(days) => days,
        };
        if !(shortest_window..life_days).contains(&self.renewal_window_days) {
            let range = "at least 62 days (1 for agents and servers) and shorter than the validity";
            return out_of_range("renewal_window_days", self.renewal_window_days, range);
        }
        // A renewal on the first day of the window carries the whole window over, and may roll past a long holiday to its afternoon.
        if !(0..=400).contains(&self.carry_over_days) {
            return out_of_range("carry_over_days", self.carry_over_days, "0 to 400");
        }
        let fullest = self.renewal_window_days + LONGEST_DETOUR_DAYS;
        if self.purpose == Purpose::Client && self.carry_over_days < fullest {
            let range = "at least renewal_window_days + 31: less would take unused days away";
            return out_of_range("carry_over_days", self.carry_over_days, range);
        }
        if !(1..=60).contains(&self.spread_days) {
            return out_of_range("spread_days", self.spread_days.into(), "1 to 60");
        }
        Ok(Profile { name: name.to_owned(), settings: self, life })
    }
}

impl Profile {
    /// What its certificates may be used for.
    pub fn purpose(&self) -> Purpose {
        self.settings.purpose
    }

    /// The kind of key that we generate where we generate it.
    pub fn own_key_kind(&self) -> KeyKind {
        self.settings.key_kinds[0]
    }

    /// The kind of key that programs should bring: P-256 where it may be, since it costs them the least.
    pub fn preferred_key_kind(&self) -> KeyKind {
        if self.allows(KeyKind::P256) { KeyKind::P256 } else { self.own_key_kind() }
    }

    /// Whether a key of this kind may be certified.
    pub fn allows(&self, kind: KeyKind) -> bool {
        self.settings.key_kinds.contains(&kind)
    }

    /// The end of a certificate that begins to live at `start`, before it is moved to a permitted afternoon.
    pub fn end_from(&self, start: Timestamp) -> Timestamp {
        match self.life {
            Life::Years(years) => start.plus_years_jst(years),
            Life::Days(days) => start.plus_days(Days(days)),
        }
    }

    /// How long before its end a certificate may be renewed.
    pub fn renewal_window(&self) -> Days {
        Days(self.settings.renewal_window_days)
    }

    /// How many days beyond its years a certificate may live.
    pub fn carry_over(&self) -> Days {
        Days(self.settings.carry_over_days)
    }

    /// Over how many afternoons ends are spread.
    pub fn spread_days(&self) -> u32 {
        self.settings.spread_days
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> ProfileSettings {
        ProfileSettings {
            purpose: Purpose::Client,
            key_kinds: vec![KeyKind::Rsa3072, KeyKind::P256],
            validity_years: Some(3),
            validity_days: None,
            renewal_window_days: 90,
            carry_over_days: 130,
            spread_days: 10,
        }
    }

    #[test]
    fn the_shipped_numbers_pass() {
        let profile = settings().validate("terminal").expect("valid");
        assert_eq!(profile.own_key_kind(), KeyKind::Rsa3072);
        assert!(!profile.allows(KeyKind::Rsa2048));
    }

    #[test]
    fn a_window_shorter_than_two_months_is_refused_for_clients() {
        let wrong = ProfileSettings { renewal_window_days: 61, ..settings() };
        assert!(wrong.validate("terminal").expect_err("too short").to_string().contains("renewal_window_days is 61"));
    }

    #[test]
    fn no_years_no_keys_and_no_spread_are_refused() {
        assert!(ProfileSettings { validity_years: Some(0), ..settings() }.validate("p").is_err());
        assert!(ProfileSettings { key_kinds: vec![], ..settings() }.validate("p").is_err());
        assert!(ProfileSettings { spread_days: 0, ..settings() }.validate("p").is_err());
        assert!(ProfileSettings { carry_over_days: -1, ..settings() }.validate("p").is_err());
    }

    #[test]
    fn an_agents_certificate_may_live_for_days_and_has_one_life() {
        let agent = ProfileSettings {
            purpose: Purpose::Agent,
            validity_years: None,
            validity_days: Some(90),
            renewal_window_days: 30,
            carry_over_days: 31,
            ..settings()
        };
        let start = Timestamp::parse("2026-11-24").expect("valid");
        let profile = agent.clone().validate("agent").expect("valid");
        assert_eq!(profile.end_from(start), Timestamp::parse("2027-02-22").expect("valid"));
        assert!(ProfileSettings { validity_years: Some(1), ..agent.clone() }.validate("agent").is_err(), "two lives");
        assert!(ProfileSettings { validity_days: None, ..agent.clone() }.validate("agent").is_err(), "no life");
        assert!(ProfileSettings { validity_days: Some(30), ..agent }.validate("agent").is_err(), "all window");
    }

    #[test]
    fn a_carry_over_that_would_take_days_away_is_refused() {
        let wrong = ProfileSettings { renewal_window_days: 180, ..settings() };
        assert!(wrong.validate("terminal").expect_err("too little").to_string().contains("carry_over_days is 130"));
    }
}
