//! Passwords to keys, and keys to ciphertext: PBES2 with AES-256 (RFC 8018 section 6.2), the 3DES scheme of RFC 7292 appendix C, and the
//! MAC of appendix A. SHA-1 and 3DES serve old readers only; nothing else in Tegata uses them.

use std::num::NonZeroU32;

use aws_lc_rs::cipher::{
    AES_256, DecryptionContext, EncryptionContext, PaddedBlockDecryptingKey, PaddedBlockEncryptingKey, UnboundCipherKey,
};
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::{digest, hmac, pbkdf2};
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockModeDecrypt, BlockModeEncrypt, KeyIvInit};
use der::Any;
use der::asn1::{Null, OctetString};
use des::TdesEde3;
use spki::AlgorithmIdentifierOwned;
use tegata_core::secret::{Entropy, random};
use zeroize::Zeroizing;

use super::asn1::{PbeParams, Pbes2, Pbkdf2};
use super::{Format, OpenError, SealError};
use crate::oid;

/// Which of the three keys is derived (RFC 7292 appendix B.3).
#[derive(Clone, Copy)]
enum Use {
    Encryption = 1,
    Iv = 2,
    Mac = 3,
}

impl Format {
    /// More would only slow down whoever knows the password: it has 99 bits of chance.
    pub(super) fn iterations(self) -> u32 {
        match self {
            Self::Standard => 10_000,
            Self::Compat => 2_048,
        }
    }

    pub(super) fn mac_algorithm(self) -> AlgorithmIdentifierOwned {
        let oid = match self {
            Self::Standard => oid::SHA256,
            Self::Compat => oid::SHA1,
        };
        AlgorithmIdentifierOwned { oid, parameters: Some(Any::null()) }
    }

    pub(super) fn from_mac_algorithm(algorithm: &AlgorithmIdentifierOwned) -> Option<Self> {
        [Self::Standard, Self::Compat].into_iter().find(|format| format.mac_algorithm() == *algorithm)
    }

    fn hash(self) -> &'static digest::Algorithm {
        match self {
            Self::Standard => &digest::SHA256,
            Self::Compat => &digest::SHA1_FOR_LEGACY_USE_ONLY,
        }
    }

    fn hmac(self) -> hmac::Algorithm {
        match self {
            Self::Standard => hmac::HMAC_SHA256,
            Self::Compat => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
        }
    }
}

/// The two encryption schemes.
pub(super) struct Scheme;

impl Scheme {
    /// Encrypts under a password with fresh salts; returns how it was done and the ciphertext.
    pub(super) fn encrypt(
        format: Format,
        plain: &[u8],
        password: &str,
        entropy: &dyn Entropy,
    ) -> Result<(AlgorithmIdentifierOwned, Vec<u8>), SealError> {
        let (salt, iterations) = (random::<8>(entropy), format.iterations());
        match format {
            Format::Standard => {
                let iv = random::<16>(entropy);
                let data = aes_encrypt(&pbkdf2_key(password, &salt, iterations), iv, plain)?;
                Ok((pbes2_identifier(&salt, iterations, iv)?, data))
            }
            Format::Compat => {
                let parameters = PbeParams { salt: OctetString::new(salt)?, iterations };
                let parameters = Some(Any::encode_from(&parameters)?);
                let (key, iv) = triple_des_key(password, &salt, iterations);
                let cipher = cbc::Encryptor::<TdesEde3>::new((&*key).into(), (&*iv).into());
                let data = cipher.encrypt_padded_vec::<Pkcs7>(plain);
                Ok((AlgorithmIdentifierOwned { oid: oid::PBE_SHA1_3DES, parameters }, data))
            }
        }
    }

    /// Decrypts what [`Self::encrypt`] made.
    pub(super) fn decrypt(
        algorithm: &AlgorithmIdentifierOwned,
        data: &[u8],
        password: &str,
    ) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        let parameters = algorithm.parameters.as_ref().ok_or(OpenError::Malformed)?;
        match algorithm.oid {
            oid::PBES2 => {
                let (salt, iterations, iv) = pbes2_parameters(parameters)?;
                aes_decrypt(&pbkdf2_key(password, salt.as_bytes(), iterations), iv, data)
            }
            oid::PBE_SHA1_3DES => {
                let parameters = parameters.decode_as::<PbeParams>()?;
                check_iterations(parameters.iterations, Format::Compat)?;
                let (key, iv) = triple_des_key(password, parameters.salt.as_bytes(), parameters.iterations);
                let cipher = cbc::Decryptor::<TdesEde3>::new((&*key).into(), (&*iv).into());
                let plain = cipher.decrypt_padded_vec::<Pkcs7>(data).map_err(|_| OpenError::Malformed)?;
                Ok(Zeroizing::new(plain))
            }
            _ => Err(OpenError::Malformed),
        }
    }
}

/// A count from a file is work for us: only our own counts are accepted.
fn check_iterations(found: u32, format: Format) -> Result<(), OpenError> {
    if found == format.iterations() { Ok(()) } else { Err(OpenError::Malformed) }
}

fn pbes2_identifier(salt: &[u8], iterations: u32, iv: [u8; 16]) -> der::Result<AlgorithmIdentifierOwned> {
    let prf = AlgorithmIdentifierOwned { oid: oid::HMAC_SHA256, parameters: Some(Any::null()) };
    let derivation = Pbkdf2 { salt: OctetString::new(salt)?, iterations, prf };
    let iv = OctetString::new(iv)?;
    let scheme = Pbes2 {
        derivation: AlgorithmIdentifierOwned { oid: oid::PBKDF2, parameters: Some(Any::encode_from(&derivation)?) },
        encryption: AlgorithmIdentifierOwned { oid: oid::AES256_CBC, parameters: Some(Any::encode_from(&iv)?) },
    };
    Ok(AlgorithmIdentifierOwned { oid: oid::PBES2, parameters: Some(Any::encode_from(&scheme)?) })
}

fn pbes2_parameters(parameters: &Any) -> Result<(OctetString, u32, [u8; 16]), OpenError> {
    let scheme = parameters.decode_as::<Pbes2>()?;
    let derivation = scheme.derivation.parameters.as_ref().ok_or(OpenError::Malformed)?.decode_as::<Pbkdf2>()?;
    let iv = scheme.encryption.parameters.as_ref().ok_or(OpenError::Malformed)?.decode_as::<OctetString>()?;
    let iv = iv.as_bytes().try_into().map_err(|_| OpenError::Malformed)?;
    check_iterations(derivation.iterations, Format::Standard)?;
    let oids = (scheme.derivation.oid, derivation.prf.oid, scheme.encryption.oid);
    if oids != (oid::PBKDF2, oid::HMAC_SHA256, oid::AES256_CBC) {
        return Err(OpenError::Malformed);
    }
    derivation.prf.parameters.as_ref().map(|any| any.decode_as::<Null>()).transpose()?;
    Ok((derivation.salt, derivation.iterations, iv))
}

fn pbkdf2_key(password: &str, salt: &[u8], iterations: u32) -> Zeroizing<[u8; 32]> {
    let mut key = Zeroizing::new([0; 32]);
    let iterations = NonZeroU32::new(iterations).unwrap_or(NonZeroU32::MIN);
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, iterations, salt, password.as_bytes(), key.as_mut_slice());
    key
}

fn aes_encrypt(key: &[u8; 32], iv: [u8; 16], plain: &[u8]) -> Result<Vec<u8>, SealError> {
    let failed = |_| SealError::Encoding("AES-256 refused".to_owned());
    let cipher = PaddedBlockEncryptingKey::cbc_pkcs7(UnboundCipherKey::new(&AES_256, key).map_err(failed)?);
    let mut buffer = Vec::with_capacity(plain.len() + 16); // grows in place: no copy of the plaintext is left behind
    buffer.extend_from_slice(plain);
    let context = EncryptionContext::Iv128(FixedLength::from(&iv));
    cipher.map_err(failed)?.less_safe_encrypt(&mut buffer, context).map_err(failed)?;
    Ok(buffer)
}

fn aes_decrypt(key: &[u8; 32], iv: [u8; 16], data: &[u8]) -> Result<Zeroizing<Vec<u8>>, OpenError> {
    let failed = |_| OpenError::Malformed;
    let cipher = PaddedBlockDecryptingKey::cbc_pkcs7(UnboundCipherKey::new(&AES_256, key).map_err(failed)?);
    let mut buffer = Zeroizing::new(data.to_vec());
    let context = DecryptionContext::Iv128(FixedLength::from(&iv));
    let length = cipher.map_err(failed)?.decrypt(&mut buffer, context).map_err(failed)?.len();
    buffer.truncate(length);
    Ok(buffer)
}

fn triple_des_key(password: &str, salt: &[u8], iterations: u32) -> (Zeroizing<[u8; 24]>, Zeroizing<[u8; 8]>) {
    let (mut key, mut iv) = (Zeroizing::new([0; 24]), Zeroizing::new([0; 8]));
    derive(Format::Compat.hash(), Use::Encryption, password, salt, iterations, key.as_mut_slice());
    derive(Format::Compat.hash(), Use::Iv, password, salt, iterations, iv.as_mut_slice());
    (key, iv)
}

/// The MAC over the authenticated safe (RFC 7292 appendix A).
pub(super) fn mac(format: Format, message: &[u8], password: &str, salt: &[u8], iterations: u32) -> Vec<u8> {
    hmac::sign(&mac_key(format, password, salt, iterations), message).as_ref().to_vec()
}

/// Whether the MAC is the password's; compares in constant time.
pub(super) fn mac_verifies(
    format: Format,
    message: &[u8],
    password: &str,
    salt: &[u8],
    iterations: u32,
    expected: &[u8],
) -> bool {
    hmac::verify(&mac_key(format, password, salt, iterations), message, expected).is_ok()
}

fn mac_key(format: Format, password: &str, salt: &[u8], iterations: u32) -> hmac::Key {
    let mut key = Zeroizing::new(vec![0; format.hash().output_len()]);
    derive(format.hash(), Use::Mac, password, salt, iterations, &mut key);
    hmac::Key::new(format.hmac(), &key)
}

/// Deriving keys from a password as PKCS#12 does it (RFC 7292 appendix B.2), for hashes with blocks of 64 octets.
fn derive(
    hash: &'static digest::Algorithm,
    purpose: Use,
    password: &str,
    salt: &[u8],
    iterations: u32,
    out: &mut [u8],
) {
    const BLOCK: usize = 64;
    // BMPString with its terminator (appendix B.1); the password is ASCII.
    let units = password.encode_utf16().chain([0]);
    let password = Zeroizing::new(units.flat_map(u16::to_be_bytes).collect::<Vec<u8>>());
    let repeat = |bytes: &[u8]| {
        let length = bytes.len().div_ceil(BLOCK) * BLOCK;
        bytes.iter().copied().cycle().take(length).collect::<Vec<u8>>()
    };
    let diversifier = [purpose as u8; BLOCK];
    let mut input = Zeroizing::new([repeat(salt), repeat(&password)].concat());
    for piece in out.chunks_mut(hash.output_len()) {
        let mut context = digest::Context::new(hash);
        context.update(&diversifier);
        context.update(&input);
        let mut block = context.finish();
        for _ in 1..iterations {
            block = digest::digest(hash, block.as_ref());
        }
        piece.copy_from_slice(&block.as_ref()[..piece.len()]);
        for part in input.chunks_mut(BLOCK) {
            add_plus_one(part, block.as_ref());
        }
    }
}

/// `part = part + addend + 1`, the addend repeated to the length of the part, as big-endian numbers (RFC 7292 appendix B.2, step 6 C).
fn add_plus_one(part: &mut [u8], addend: &[u8]) {
    let mut carry = 1;
    for (at, byte) in part.iter_mut().enumerate().rev() {
        let [high, low] = (u16::from(*byte) + u16::from(addend[at % addend.len()]) + carry).to_be_bytes();
        (carry, *byte) = (u16::from(high), low);
    }
}
