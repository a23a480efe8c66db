//! The keys of our CAs: ECDSA on P-256 with SHA-256 and on P-384 with SHA-384 (RFC 5758 section 3.2). The private half never leaves its
//! signer; sealing it at rest is `authority::custody`'s work.

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1, ECDSA_P384_SHA384_ASN1_SIGNING,
    EcdsaKeyPair, EcdsaSigningAlgorithm, KeyPair, VerificationAlgorithm,
};
use der::asn1::ObjectIdentifier;
use spki::AlgorithmIdentifierOwned;
use tegata_core::secret::Secret;

use crate::oid;

/// The curves that our CAs use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Curve {
    /// NIST P-256: issuing CAs and the listener; fast in every handshake.
    P256,
    /// NIST P-384: the root, which lives for 20 years and signs rarely.
    P384,
}

/// How a CA signs. One hash for each curve, so that nothing else needs to be agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignatureAlgorithm {
    /// ecdsa-with-SHA256 on P-256.
    EcdsaP256Sha256,
    /// ecdsa-with-SHA384 on P-384.
    EcdsaP384Sha384,
}

/// Why a signer did not sign.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    /// The bytes are not a PKCS#8 private key on P-256 or P-384.
    #[error("not a PKCS#8 private key on P-256 or P-384")]
    UnusableKey,
    /// The signer holds another key than the issuer's certificate names.
    #[error("the signer's key is not the key of the issuing certificate")]
    OtherKey,
    /// The signature could not be made.
    #[error("the signature could not be made: {0}")]
    Failed(String),
}

/// Something that holds a CA's private key and signs with it. Two implementations: in this process ([`SoftwareSigner`]) and in a PKCS#11
/// token.
pub trait Signer: Send + Sync {
    /// How it signs.
    fn algorithm(&self) -> SignatureAlgorithm;
    /// The public half: SubjectPublicKeyInfo in DER (RFC 5480).
    fn public_key_der(&self) -> &[u8];
    /// Signs the message (hashing it first); an ECDSA-Sig-Value in DER (RFC 3279 section 2.2.3).
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError>;
}

/// A CA key in this process's memory. Not `Debug`, not `Clone`.
pub struct SoftwareSigner {
    algorithm: SignatureAlgorithm,
    pair: EcdsaKeyPair,
    spki: Vec<u8>,
    // aws-lc-rs asks for it in its signature and draws from its own generator.
    random: SystemRandom,
}

impl SignatureAlgorithm {
    pub(crate) fn from_oid(algorithm: ObjectIdentifier) -> Option<Self> {
        match algorithm {
            oid::ECDSA_SHA256 => Some(Self::EcdsaP256Sha256),
            oid::ECDSA_SHA384 => Some(Self::EcdsaP384Sha384),
            _ => None,
        }
    }

    pub(crate) fn from_curve_oid(curve: ObjectIdentifier) -> Option<Self> {
        match curve {
            oid::P256 => Some(Self::EcdsaP256Sha256),
            oid::P384 => Some(Self::EcdsaP384Sha384),
            _ => None,
        }
    }

    /// Parameters are absent, not NULL (RFC 5758 section 3.2).
    pub(crate) fn identifier(self) -> AlgorithmIdentifierOwned {
        let oid = match self {
            Self::EcdsaP256Sha256 => oid::ECDSA_SHA256,
            Self::EcdsaP384Sha384 => oid::ECDSA_SHA384,
        };
        AlgorithmIdentifierOwned { oid, parameters: None }
    }

    pub(crate) fn verification(self) -> &'static dyn VerificationAlgorithm {
        match self {
            Self::EcdsaP256Sha256 => &ECDSA_P256_SHA256_ASN1,
            Self::EcdsaP384Sha384 => &ECDSA_P384_SHA384_ASN1,
        }
    }

    fn signing(self) -> &'static EcdsaSigningAlgorithm {
        match self {
            Self::EcdsaP256Sha256 => &ECDSA_P256_SHA256_ASN1_SIGNING,
            Self::EcdsaP384Sha384 => &ECDSA_P384_SHA384_ASN1_SIGNING,
        }
    }
}

impl SoftwareSigner {
    /// Makes a new key; returns the signer and the key as PKCS#8, for sealing.
    pub fn generate(curve: Curve) -> Result<(Self, Secret<Vec<u8>>), SignError> {
        let algorithm = match curve {
            Curve::P256 => SignatureAlgorithm::EcdsaP256Sha256,
            Curve::P384 => SignatureAlgorithm::EcdsaP384Sha384,
        };
        let failed = |_| SignError::Failed("no key could be generated".to_owned());
        let pair = EcdsaKeyPair::generate(algorithm.signing()).map_err(failed)?;
        let pkcs8 = Secret::new(pair.to_pkcs8v1().map_err(failed)?.as_ref().to_vec());
        Ok((Self::from_pair(algorithm, pair)?, pkcs8))
    }

    /// The public half without its wrapping: the content of the BIT STRING.
    pub(crate) fn public_key_bits(&self) -> &[u8] {
        self.pair.public_key().as_ref()
    }

    /// Takes up a key from PKCS#8 (RFC 5208) with a P-256 or P-384 key.
    pub fn from_pkcs8(pkcs8: &[u8]) -> Result<Self, SignError> {
        for algorithm in [SignatureAlgorithm::EcdsaP256Sha256, SignatureAlgorithm::EcdsaP384Sha384] {
            if let Ok(pair) = EcdsaKeyPair::from_pkcs8(algorithm.signing(), pkcs8) {
                return Self::from_pair(algorithm, pair);
            }
        }
        Err(SignError::UnusableKey)
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "a signer may hold the system's generator; nothing else is drawn from it"
    )]
    fn from_pair(algorithm: SignatureAlgorithm, pair: EcdsaKeyPair) -> Result<Self, SignError> {
        let spki: PublicKeyX509Der = pair.public_key().as_der().map_err(|_| SignError::UnusableKey)?;
        let spki = spki.as_ref().to_vec();
        Ok(Self { algorithm, pair, spki, random: SystemRandom::new() })
    }
}

impl Signer for SoftwareSigner {
    fn algorithm(&self) -> SignatureAlgorithm {
        self.algorithm
    }

    fn public_key_der(&self) -> &[u8] {
        &self.spki
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        let signature = self.pair.sign(&self.random, message);
        Ok(signature.map_err(|_| SignError::Failed("aws-lc refused".to_owned()))?.as_ref().to_vec())
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::UnparsedPublicKey;

    use super::*;

    #[test]
    fn a_key_taken_up_again_signs_for_the_same_public_key() {
        for curve in [Curve::P256, Curve::P384] {
            let (first, pkcs8) = SoftwareSigner::generate(curve).expect("generated");
            let again = SoftwareSigner::from_pkcs8(pkcs8.expose()).expect("taken up");
            assert_eq!(first.public_key_der(), again.public_key_der());
            let signature = again.sign(b"message").expect("signed");
            let public = UnparsedPublicKey::new(first.algorithm().verification(), first.public_key_der());
            public.verify(b"message", &signature).expect("verifies");
        }
    }

    #[test]
    fn broken_and_foreign_keys_are_refused() {
        assert_eq!(SoftwareSigner::from_pkcs8(b"").err(), Some(SignError::UnusableKey));
        assert_eq!(SoftwareSigner::from_pkcs8(&[0x30, 0x80]).err(), Some(SignError::UnusableKey));
    }
}
