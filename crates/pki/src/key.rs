//! The keys of subscribers: a checked public key, and a key pair that we made for a bundle. Kinds: P-256 (RFC 5480), RSA with 2048 and
//! 3072 bits (RFC 8017). Never signs certificates; see [`crate::signer`] for the CAs' keys.

use aws_lc_rs::digest;
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair, ParsedPublicKey,
    RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RsaKeyPair,
};
use der::asn1::{ObjectIdentifier, UintRef};
use der::{AnyRef, Decode, Reader, SliceReader};
use spki::SubjectPublicKeyInfoRef;
use tegata_core::id::KeyHash;
use tegata_core::profile::KeyKind;
use tegata_core::secret::Secret;

use crate::oid;

/// The largest SubjectPublicKeyInfo looked at: RSA-3072 takes 422 octets.
const MAX_SPKI: usize = 1024;

/// Why a key cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not a key at all.
    #[error("not a readable key")]
    Malformed,
    /// A key of a kind that is never certified here.
    #[error("the key is of a kind that is not supported: P-256, RSA-2048 and RSA-3072 (exponent 65537) are")]
    Unsupported,
    /// No key could be made.
    #[error("no key could be generated")]
    Generation,
}

/// A public key of a kind that may be certified, checked. The issuer's key identifier is made from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    spki: Vec<u8>,
    kind: KeyKind,
}

impl PublicKey {
    /// Reads and checks a SubjectPublicKeyInfo (RFC 5280 section 4.1.2.7): the point lies on the curve, the modulus has exactly 2048 or
    /// 3072 bits, the exponent is 65537.
    pub fn from_spki_der(der: &[u8]) -> Result<Self, KeyError> {
        Self::parse(der).map(|(key, _)| key)
    }

    /// The same, with the key ready to verify: parsing it twice would cost as much as the rest of a request's checks.
    pub(crate) fn parse(der: &[u8]) -> Result<(Self, ParsedPublicKey), KeyError> {
        if der.len() > MAX_SPKI {
            return Err(KeyError::Malformed);
        }
        let info = SubjectPublicKeyInfoRef::from_der(der).map_err(|_| KeyError::Malformed)?;
        let kind = kind_of(&info)?;
        let algorithm: &'static dyn aws_lc_rs::signature::VerificationAlgorithm = match kind {
            KeyKind::P256 => &ECDSA_P256_SHA256_ASN1,
            KeyKind::Rsa2048 | KeyKind::Rsa3072 => &RSA_PKCS1_2048_8192_SHA256,
        };
        let parsed = ParsedPublicKey::new(algorithm, der).map_err(|_| KeyError::Malformed)?;
        Ok((Self { spki: der.to_vec(), kind }, parsed))
    }

    /// SubjectPublicKeyInfo in DER.
    pub fn spki_der(&self) -> &[u8] {
        &self.spki
    }

    /// What kind of key it is.
    pub fn kind(&self) -> KeyKind {
        self.kind
    }

    /// SHA-256 of [`Self::spki_der`].
    pub fn hash(&self) -> KeyHash {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest::digest(&digest::SHA256, &self.spki).as_ref());
        KeyHash(bytes)
    }
}

pub(crate) fn kind_of(info: &SubjectPublicKeyInfoRef<'_>) -> Result<KeyKind, KeyError> {
    let bits = info.subject_public_key.as_bytes().ok_or(KeyError::Malformed)?;
    match info.algorithm.oid {
        oid::EC_PUBLIC_KEY => {
            let curve = info.algorithm.parameters.and_then(|any| any.decode_as::<ObjectIdentifier>().ok());
            // Uncompressed points only: not every reader of certificates knows the others (RFC 5480 section 2.2).
            let uncompressed = bits.len() == 65 && bits[0] == 4;
            if curve == Some(oid::P256) && uncompressed { Ok(KeyKind::P256) } else { Err(KeyError::Unsupported) }
        }
        oid::RSA_ENCRYPTION => {
            // Parameters must be NULL (RFC 3279 section 2.3.1).
            if info.algorithm.parameters != Some(AnyRef::NULL) {
                return Err(KeyError::Malformed);
            }
            let (modulus, exponent) = rsa_numbers(bits).map_err(|_| KeyError::Malformed)?;
            let top_bit = modulus.as_bytes().first().is_some_and(|byte| *byte >= 0x80);
            match (modulus.as_bytes().len(), exponent.as_bytes() == [1, 0, 1] && top_bit) {
                (256, true) => Ok(KeyKind::Rsa2048),
                (384, true) => Ok(KeyKind::Rsa3072),
                _ => Err(KeyError::Unsupported),
            }
        }
        _ => Err(KeyError::Unsupported),
    }
}

/// RSAPublicKey: modulus and exponent (RFC 8017 appendix A.1.1).
fn rsa_numbers(bits: &[u8]) -> der::Result<(UintRef<'_>, UintRef<'_>)> {
    let mut reader = SliceReader::new(bits)?;
    let numbers = reader.sequence(|inner| Ok::<_, der::Error>((UintRef::decode(inner)?, UintRef::decode(inner)?)))?;
    reader.finish()?;
    Ok(numbers)
}

/// A subscriber's key pair. Not `Debug`; wiped on drop.
pub struct LeafKey {
    pkcs8: Secret<Vec<u8>>,
    public: PublicKey,
    pair: Pair,
}

enum Pair {
    P256(EcdsaKeyPair),
    Rsa(RsaKeyPair),
}

impl LeafKey {
    /// Makes a new key. P-256 takes microseconds; RSA-3072 takes 0.1 to 1 second of one core, so keep a few in stock.
    pub fn generate(kind: KeyKind) -> Result<Self, KeyError> {
        let failed = |_| KeyError::Generation;
        let size = match kind {
            KeyKind::P256 => {
                let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).map_err(failed)?;
                let pkcs8 = Secret::new(pair.to_pkcs8v1().map_err(failed)?.as_ref().to_vec());
                return Self::from_pair(pkcs8, Pair::P256(pair));
            }
            KeyKind::Rsa2048 => KeySize::Rsa2048,
            KeyKind::Rsa3072 => KeySize::Rsa3072,
        };
        let pair = RsaKeyPair::generate(size).map_err(failed)?;
        let document: Pkcs8V1Der = pair.as_der().map_err(failed)?;
        Self::from_pair(Secret::new(document.as_ref().to_vec()), Pair::Rsa(pair))
    }

    /// Takes up a key from PKCS#8 (RFC 5208).
    pub fn from_pkcs8(pkcs8: &[u8]) -> Result<Self, KeyError> {
        let pair = match EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, pkcs8) {
            Ok(pair) => Pair::P256(pair),
            Err(_) => Pair::Rsa(RsaKeyPair::from_pkcs8(pkcs8).map_err(|_| KeyError::Malformed)?),
        };
        Self::from_pair(Secret::new(pkcs8.to_vec()), pair)
    }

    fn from_pair(pkcs8: Secret<Vec<u8>>, pair: Pair) -> Result<Self, KeyError> {
        let spki: Result<PublicKeyX509Der, _> = match &pair {
            Pair::P256(pair) => pair.public_key().as_der(),
            Pair::Rsa(pair) => pair.public_key().as_der(),
        };
        let public = PublicKey::from_spki_der(spki.map_err(|_| KeyError::Malformed)?.as_ref())?;
        Ok(Self { pkcs8, public, pair })
    }

    /// The public half.
    pub fn public_key(&self) -> &PublicKey {
        &self.public
    }

    /// What kind of key it is.
    pub fn kind(&self) -> KeyKind {
        self.public.kind
    }

    /// The private key as PKCS#8.
    pub fn pkcs8(&self) -> &Secret<Vec<u8>> {
        &self.pkcs8
    }

    /// Signs a certification request: ECDSA with SHA-256, or RSA PKCS#1 v1.5 with SHA-256.
    #[expect(clippy::disallowed_methods, reason = "aws-lc-rs asks for the system's generator where it signs")]
    pub(crate) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        let random = SystemRandom::new();
        match &self.pair {
            Pair::P256(pair) => Ok(pair.sign(&random, message).map_err(|_| KeyError::Malformed)?.as_ref().to_vec()),
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).map_err(|_| KeyError::Malformed)?;
                Ok(signature)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_keeps_its_kind_through_pkcs8() {
        for kind in [KeyKind::P256, KeyKind::Rsa2048, KeyKind::Rsa3072] {
            let key = LeafKey::generate(kind).expect("generated");
            assert_eq!(key.kind(), kind);
            let again = LeafKey::from_pkcs8(key.pkcs8().expose()).expect("taken up");
            assert_eq!(again.public_key(), key.public_key());
        }
    }

    #[test]
    fn keys_that_are_never_certified_are_refused() {
        let (p384, _) = crate::signer::SoftwareSigner::generate(crate::signer::Curve::P384).expect("generated");
        let spki = crate::signer::Signer::public_key_der(&p384);
        assert_eq!(PublicKey::from_spki_der(spki), Err(KeyError::Unsupported));
        assert_eq!(PublicKey::from_spki_der(&[0; 2000]), Err(KeyError::Malformed));
        assert_eq!(PublicKey::from_spki_der(b"0\x00"), Err(KeyError::Malformed));
    }

    #[test]
    fn a_point_off_the_curve_is_refused() {
        let key = LeafKey::generate(KeyKind::P256).expect("generated");
        let mut spki = key.public_key().spki_der().to_vec();
        let last = spki.len() - 1;
        spki[last] ^= 1;
        assert_eq!(PublicKey::from_spki_der(&spki), Err(KeyError::Malformed));
    }
}
