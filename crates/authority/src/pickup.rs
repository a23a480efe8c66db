//! The pick-up: how a program that can only send two requests gets its new certificate. The first one renews and is told an address and the
//! password, the second one fetches the file there. The address carries a token that any node can check and none has to remember: a MAC
//! over the bundle, the certificate that asked, the token's end and the number of downloads before it.

use std::num::NonZeroU32;

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use tegata_core::id::{Fingerprint, TerminalId};
use tegata_core::peer::PeerCert;
use tegata_core::renewal::PermitError;
use tegata_core::secret::Secret;
use tegata_core::time::{Days, Timestamp};
use tegata_pki::pkcs12::Format;

use crate::bundle::{BundleError, BundleFile};
use crate::{Authority, AuthorityError, Identity, RenewError};

/// How often a terminal's programs may ask within an hour: they ask at each start, and a PC may have several.
const ORDERS_PER_HOUR: NonZeroU32 = NonZeroU32::new(30).expect("thirty is not zero");

pub(crate) type OrderLimit = DefaultKeyedRateLimiter<TerminalId>;

pub(crate) fn order_limit() -> OrderLimit {
    RateLimiter::keyed(Quota::per_hour(ORDERS_PER_HOUR))
}

/// Within which limits programs renew and fetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PickUpRules {
    /// How long before its end a program may renew a certificate; the profile's own window where that is wider.
    pub window: Option<Days>,
    /// For how many seconds a file can be fetched after the request that made its address.
    pub seconds: i64,
    /// How often it can be fetched at one address.
    pub downloads: u32,
}

/// What the first request is answered with.
#[derive(Debug)]
pub struct PickUp {
    /// Goes into the address; of no use without the certificate that asked.
    pub token: Secret<String>,
    /// What opens the file.
    pub password: Secret<String>,
}

/// Why no file was handed over.
#[derive(Debug, thiserror::Error)]
pub enum PickUpError {
    /// Not a token of ours, another certificate's, or one for a bundle that is no longer there.
    #[error("no file waits at this address for the presented certificate")]
    None,
    /// Its time is over, or it was used too often.
    #[error("the address is used up")]
    Over,
    /// Something inside.
    #[error(transparent)]
    Internal(#[from] AuthorityError),
}

impl From<BundleError> for PickUpError {
    fn from(error: BundleError) -> Self {
        match error {
            BundleError::None => Self::None,
            BundleError::TooOften => Self::Over,
            BundleError::Internal(error) => Self::Internal(error),
        }
    }
}

impl From<BundleError> for RenewError {
    fn from(error: BundleError) -> Self {
        match error {
            BundleError::Internal(error) => Self::Internal(error),
            // Erased between the two reads; asking again makes another one.
            BundleError::None | BundleError::TooOften => Self::Internal(AuthorityError::Missing("bundle")),
        }
    }
}

/// What a token says by itself: its last second, and how often the file had been fetched when it was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Terms {
    until: Timestamp,
    downloads: u32,
}

impl Terms {
    fn to_bytes(self) -> [u8; 12] {
        let mut bytes = [0; 12];
        bytes[..8].copy_from_slice(&self.until.0.to_be_bytes());
        bytes[8..].copy_from_slice(&self.downloads.to_be_bytes());
        bytes
    }

    /// `terms || HMAC-SHA-256(terms || bundle || asking certificate)`, as URL-safe Base64. Every part has a fixed length.
    fn token(self, key: &hmac::Key, bundle: &Fingerprint, asking: &Fingerprint) -> Secret<String> {
        let tag = hmac::sign(key, &self.signed(bundle, asking));
        Secret::new(URL_SAFE_NO_PAD.encode([&self.to_bytes()[..], tag.as_ref()].concat()))
    }

    fn signed(self, bundle: &Fingerprint, asking: &Fingerprint) -> Vec<u8> {
        [&self.to_bytes()[..], &bundle.0, &asking.0].concat()
    }

    /// The terms of a token that was made for this bundle and this certificate; compared in constant time.
    fn read(token: &str, key: &hmac::Key, bundle: &Fingerprint, asking: &Fingerprint) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        let (until, rest) = bytes.split_first_chunk::<8>()?;
        let (downloads, tag) = rest.split_first_chunk::<4>()?;
        let terms = Self { until: Timestamp(i64::from_be_bytes(*until)), downloads: u32::from_be_bytes(*downloads) };
        hmac::verify(key, &terms.signed(bundle, asking), tag).ok()?;
        Some(terms)
    }
}

impl Authority {
    /// Whether a terminal's program may ask once more: each question is a durable row, and a program that asks all day has gone wild. Counted
    /// in each process for itself.
    pub fn may_order(&self, presented: &PeerCert) -> bool {
        self.0.order_limit.check_key(&presented.terminal).is_ok()
    }

    /// Renews the presented certificate for its terminal, or finds the bundle that waits for it, and says how to fetch it. Telling the
    /// password is a row of the operation log.
    pub async fn order_pick_up(&self, presented: &PeerCert, rules: PickUpRules) -> Result<PickUp, RenewError> {
        let known = self.identify(presented).await?.ok_or(RenewError::Unknown)?;
        if !self.0.reader.customer_settings(known.actor().scope(), known.customer.id).await?.old_programs {
            return Err(PermitError::Forbidden.into());
        }
        self.renew_terminal(presented, rules.window).await?;
        let identity = self.identify(presented).await?.ok_or(RenewError::Unknown)?;
        let actor = identity.actor();
        let row = self.waiting_row(&actor, identity.terminal.id).await?;
        if let Some(suspected) = self.fetched_after_use(&actor, &row.certificate, presented.serial) {
            self.append(suspected).await?;
        }
        let password = self.reveal_row(&actor, &row).await?;
        let terms = Terms { until: self.now().plus_seconds(rules.seconds), downloads: row.downloads };
        let token = terms.token(&self.pick_up_key(), &row.certificate.fingerprint, &presented.fingerprint);
        Ok(PickUp { token, password })
    }

    /// The file behind a token, in the format that opens everywhere, for the certificate that asked for it.
    pub async fn pick_up(
        &self,
        presented: &PeerCert,
        token: &str,
        rules: PickUpRules,
    ) -> Result<BundleFile, PickUpError> {
        let identity = self.identify(presented).await?.filter(may_fetch).ok_or(PickUpError::None)?;
        let actor = identity.actor();
        let row = self.waiting_row(&actor, identity.terminal.id).await?;
        let key = self.pick_up_key();
        let terms = Terms::read(token, &key, &row.certificate.fingerprint, &presented.fingerprint);
        let terms = terms.ok_or(PickUpError::None)?;
        if self.now() > terms.until {
            return Err(PickUpError::Over);
        }
        let most = terms.downloads.saturating_add(rules.downloads);
        Ok(self.take_row(&actor, row, Format::Compat, Some(most)).await?)
    }

    fn pick_up_key(&self) -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, self.derived_key("pick-up tokens").expose())
    }
}

/// The register may know more than the gate did when the request came in.
fn may_fetch(identity: &Identity) -> bool {
    identity.certificate.revoked.is_none() && identity.terminal.retired_at.is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUNDLE: Fingerprint = Fingerprint([1; 32]);
    const ASKING: Fingerprint = Fingerprint([2; 32]);

    fn key(byte: u8) -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, &[byte; 32])
    }

    #[test]
    fn a_token_is_good_for_one_bundle_one_certificate_and_one_deployment() {
        let terms = Terms { until: Timestamp(1_800_000_000), downloads: 3 };
        let token = terms.token(&key(1), &BUNDLE, &ASKING);
        let read = |key, bundle, asking| Terms::read(token.expose(), &key, bundle, asking);
        assert_eq!(read(key(1), &BUNDLE, &ASKING), Some(terms));
        assert_eq!(read(key(2), &BUNDLE, &ASKING), None);
        assert_eq!(read(key(1), &ASKING, &ASKING), None);
        assert_eq!(read(key(1), &BUNDLE, &BUNDLE), None);
        assert_eq!(read(key(1), &ASKING, &BUNDLE), None);
    }

    #[test]
    fn a_token_that_was_changed_anywhere_is_none() {
        let token = Terms { until: Timestamp(1_800_000_000), downloads: 3 }.token(&key(1), &BUNDLE, &ASKING);
        let bytes = URL_SAFE_NO_PAD.decode(token.expose()).expect("ours");
        assert_eq!(bytes.len(), 44);
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            assert_eq!(Terms::read(&URL_SAFE_NO_PAD.encode(changed), &key(1), &BUNDLE, &ASKING), None, "octet {at}");
        }
        for wrong in ["", "%", "AAAA", &token.expose()[1..], &format!("{}AA", token.expose())] {
            assert_eq!(Terms::read(wrong, &key(1), &BUNDLE, &ASKING), None, "{wrong}");
        }
    }
}
