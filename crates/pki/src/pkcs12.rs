//! PKCS#12 bundles (RFC 7292): one private key, its certificate and the CAs above it, under one password. Written in the two ways that
//! between them open everywhere; DER throughout, salts of 8 octets (some readers refuse other lengths). Reads back only what it wrote:
//! that is the check before a bundle is handed out.

mod asn1;
mod crypto;

use der::asn1::{Any, ObjectIdentifier, OctetString, SetOfVec};
use der::{Decode, Encode, Tag};
use tegata_core::secret::{Entropy, Secret};
use x509_cert::attr::Attribute;

use self::asn1::{
    CertBag, ContentInfo, DigestInfo, EncryptedContentInfo, EncryptedData, EncryptedKey, MacData, Pfx, SafeBag,
};
use self::crypto::Scheme;
use crate::issuer::fingerprint;
use crate::key::LeafKey;
use crate::tbs::{Envelope, Tbs};
use crate::{MAX_DER, oid};

/// The largest bundle that is read back.
const MAX_BUNDLE: usize = 6 * MAX_DER;
/// A letter that a BMPString cannot hold (a rare kanji of a name) becomes the typesetters' mark for a missing one.
const MISSING_LETTER: u16 = 0x3013; // 〓

/// How a bundle is protected. Its strength is its password's, which is random.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// 標準: AES-256 (PBES2 with PBKDF2-HMAC-SHA256) and an HMAC-SHA256, for everything of the last years.
    Standard,
    /// 互換: 3DES and an HMAC-SHA1, for Windows Server 2016 and older, and older macOS and iOS.
    Compat,
}

/// What goes into a bundle.
#[derive(Clone, Copy)]
pub struct Contents<'a> {
    /// The private key.
    pub key: &'a LeafKey,
    /// Its certificate.
    pub leaf: &'a [u8],
    /// The CAs above it, from its issuer up.
    pub chain: &'a [&'a [u8]],
    /// What key stores show for it: 受付1 2029-11-22.
    pub friendly_name: &'a str,
}

/// Why no bundle was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// Some programs cannot open such a file.
    #[error("the password must be printable ASCII and not empty: Java opens nothing else")]
    Password,
    /// The key is not the certificate's.
    #[error("the private key does not belong to the certificate")]
    OtherKey,
    /// A part could not be written.
    #[error("the bundle could not be written: {0}")]
    Encoding(String),
}

/// Why a bundle did not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// Not a bundle as written here.
    #[error("not a bundle of ours")]
    Malformed,
    /// Its seal does not verify: another password, or changed bytes.
    #[error("wrong password, or the bundle was changed")]
    Mac,
    /// The key inside is not the certificate's.
    #[error("the private key inside does not belong to the certificate inside")]
    OtherKey,
}

/// What a bundle held.
pub struct Opened {
    /// The private key; it belongs to `leaf`.
    pub key: LeafKey,
    /// Its certificate.
    pub leaf: Vec<u8>,
    /// The other certificates, in their order.
    pub chain: Vec<Vec<u8>>,
    /// The name that key stores show.
    pub friendly_name: String,
}

impl From<der::Error> for SealError {
    fn from(error: der::Error) -> Self {
        Self::Encoding(error.to_string())
    }
}

impl From<der::Error> for OpenError {
    fn from(_: der::Error) -> Self {
        Self::Malformed
    }
}

/// Writes a bundle. Salts come from `entropy`.
pub fn seal(
    contents: &Contents<'_>,
    password: &str,
    format: Format,
    entropy: &dyn Entropy,
) -> Result<Secret<Vec<u8>>, SealError> {
    if password.is_empty() || !password.bytes().all(|byte| (0x20..0x7f).contains(&byte)) {
        return Err(SealError::Password);
    }
    if !belongs(contents.key, contents.leaf) {
        return Err(SealError::OtherKey);
    }
    let key_id = &fingerprint(contents.leaf).0[..20];
    let own = attributes(contents.friendly_name, key_id)?;

    let mut bags = vec![cert_bag(contents.leaf, Some(own.clone()))?];
    for ca in contents.chain {
        // Without a name and without a mark of trust: Java would count such a certificate as an entry of its own.
        bags.push(cert_bag(ca, None)?);
    }
    let certificates = encrypted_data(&bags.to_der()?, password, format, entropy)?;

    let (algorithm, data) = Scheme::encrypt(format, contents.key.pkcs8().expose(), password, entropy)?;
    let shrouded = EncryptedKey { algorithm, data: OctetString::new(data)? };
    let key_bag = SafeBag { id: oid::SHROUDED_KEY_BAG, value: Any::encode_from(&shrouded)?, attributes: Some(own) };
    let key = data_content(&vec![key_bag].to_der()?)?;

    let safe = vec![certificates, key].to_der()?;
    let mac = mac(&safe, password, format, entropy)?;
    Ok(Secret::new(Pfx { version: 3, auth_safe: data_content(&safe)?, mac }.to_der()?))
}

fn attributes(friendly_name: &str, key_id: &[u8]) -> der::Result<SetOfVec<Attribute>> {
    let units = friendly_name.chars().map(|letter| u16::try_from(u32::from(letter)).unwrap_or(MISSING_LETTER));
    let name: Vec<u8> = units.flat_map(u16::to_be_bytes).collect();
    SetOfVec::from_iter([
        attribute(oid::FRIENDLY_NAME, Any::new(Tag::BmpString, name)?)?,
        attribute(oid::LOCAL_KEY_ID, Any::new(Tag::OctetString, key_id)?)?,
    ])
}

fn attribute(oid: ObjectIdentifier, value: Any) -> der::Result<Attribute> {
    Ok(Attribute { oid, values: SetOfVec::from_iter([value])? })
}

fn cert_bag(der: &[u8], attributes: Option<SetOfVec<Attribute>>) -> der::Result<SafeBag> {
    let bag = CertBag { id: oid::X509_CERTIFICATE, value: OctetString::new(der)? };
    Ok(SafeBag { id: oid::CERT_BAG, value: Any::encode_from(&bag)?, attributes })
}

fn data_content(bytes: &[u8]) -> der::Result<ContentInfo> {
    Ok(ContentInfo { content_type: oid::DATA, content: Any::new(Tag::OctetString, bytes)? })
}

fn encrypted_data(
    plain: &[u8],
    password: &str,
    format: Format,
    entropy: &dyn Entropy,
) -> Result<ContentInfo, SealError> {
    let (algorithm, data) = Scheme::encrypt(format, plain, password, entropy)?;
    let content = OctetString::new(data)?;
    let info = EncryptedContentInfo { content_type: oid::DATA, algorithm, content };
    let content = Any::encode_from(&EncryptedData { version: 0, info })?;
    Ok(ContentInfo { content_type: oid::ENCRYPTED_DATA, content })
}

fn mac(safe: &[u8], password: &str, format: Format, entropy: &dyn Entropy) -> Result<MacData, SealError> {
    let salt: [u8; 8] = tegata_core::secret::random(entropy);
    let digest = crypto::mac(format, safe, password, &salt, format.iterations());
    let mac = DigestInfo { algorithm: format.mac_algorithm(), digest: OctetString::new(digest)? };
    Ok(MacData { mac, salt: OctetString::new(salt)?, iterations: format.iterations() })
}

/// Whether the certificate is over this key.
fn belongs(key: &LeafKey, leaf: &[u8]) -> bool {
    let tbs = Envelope::open(leaf).and_then(|envelope| Tbs::from_der(envelope.signed));
    tbs.and_then(|tbs| tbs.spki.to_der()).is_ok_and(|spki| spki == key.public_key().spki_der())
}

/// Opens a bundle that [`seal`] wrote, and checks it whole: the seal, that there is exactly one key, and that the key is the
/// certificate's.
pub fn open(bundle: &[u8], password: &str) -> Result<Opened, OpenError> {
    if bundle.len() > MAX_BUNDLE {
        return Err(OpenError::Malformed);
    }
    let pfx = Pfx::from_der(bundle)?;
    let format = Format::from_mac_algorithm(&pfx.mac.mac.algorithm).ok_or(OpenError::Malformed)?;
    if pfx.version != 3 || pfx.auth_safe.content_type != oid::DATA || pfx.mac.iterations != format.iterations() {
        return Err(OpenError::Malformed);
    }
    let safe = pfx.auth_safe.content.decode_as::<OctetString>()?;
    let (salt, expected) = (pfx.mac.salt.as_bytes(), pfx.mac.mac.digest.as_bytes());
    if !crypto::mac_verifies(format, safe.as_bytes(), password, salt, pfx.mac.iterations, expected) {
        return Err(OpenError::Mac);
    }
    let [certificates, key] = <[ContentInfo; 2]>::try_from(Vec::<ContentInfo>::from_der(safe.as_bytes())?)
        .map_err(|_| OpenError::Malformed)?;
    let (key, key_id) = open_key(&key, password)?;
    let mut opened = Opened { key, leaf: Vec::new(), chain: Vec::new(), friendly_name: String::new() };
    for bag in open_certificates(&certificates, password)? {
        let certificate = bag.value.decode_as::<CertBag>()?.value.as_bytes().to_vec();
        match &bag.attributes {
            Some(own) if find(own, oid::LOCAL_KEY_ID).is_some_and(|id| id.value() == key_id) => {
                opened.leaf = certificate;
                opened.friendly_name = find(own, oid::FRIENDLY_NAME).map(bmp_text).unwrap_or_default();
            }
            _ => opened.chain.push(certificate),
        }
    }
    if belongs(&opened.key, &opened.leaf) { Ok(opened) } else { Err(OpenError::OtherKey) }
}

fn open_key(content: &ContentInfo, password: &str) -> Result<(LeafKey, Vec<u8>), OpenError> {
    let bags = content.content.decode_as::<OctetString>()?;
    let [bag] =
        <[SafeBag; 1]>::try_from(Vec::<SafeBag>::from_der(bags.as_bytes())?).map_err(|_| OpenError::Malformed)?;
    if content.content_type != oid::DATA || bag.id != oid::SHROUDED_KEY_BAG {
        return Err(OpenError::Malformed);
    }
    let shrouded = bag.value.decode_as::<EncryptedKey>()?;
    let pkcs8 = Scheme::decrypt(&shrouded.algorithm, shrouded.data.as_bytes(), password)?;
    let key = LeafKey::from_pkcs8(&pkcs8).map_err(|_| OpenError::Malformed)?;
    let id = bag.attributes.as_ref().and_then(|own| find(own, oid::LOCAL_KEY_ID)).ok_or(OpenError::Malformed)?;
    Ok((key, id.value().to_vec()))
}

fn open_certificates(content: &ContentInfo, password: &str) -> Result<Vec<SafeBag>, OpenError> {
    let data = content.content.decode_as::<EncryptedData>()?;
    let plain = Scheme::decrypt(&data.info.algorithm, data.info.content.as_bytes(), password)?;
    let bags = Vec::<SafeBag>::from_der(&plain)?;
    let all_certificates = bags.iter().all(|bag| bag.id == oid::CERT_BAG);
    if content.content_type == oid::ENCRYPTED_DATA && all_certificates { Ok(bags) } else { Err(OpenError::Malformed) }
}

fn find(attributes: &SetOfVec<Attribute>, oid: ObjectIdentifier) -> Option<&Any> {
    attributes.iter().find(|attribute| attribute.oid == oid)?.values.get(0)
}

fn bmp_text(value: &Any) -> String {
    let units = value.value().chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
    char::decode_utf16(units).map(|letter| letter.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
}
