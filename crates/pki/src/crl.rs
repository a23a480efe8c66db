//! Certificate revocation lists (RFC 5280 section 5) as bytes: all that a CA revoked, or a shard of it. What is on a list, its number and
//! its times are decided elsewhere; here it is written, checked and signed. Written straight into DER, since a list can have a million
//! entries.

use std::fmt;

use der::{Encode, Header, Length, Tag};
use tegata_core::cert::RevocationReason;
use tegata_core::id::Serial;
use tegata_core::time::Timestamp;
use x509_cert::ext::Extensions;

use crate::extension;
use crate::issuer::IssuerCert;
use crate::lint::is_http_url;
use crate::reason;
use crate::signer::{SignError, SignatureAlgorithm, Signer};
use crate::tbs::{Envelope, time};

/// One of the parts that a CA's revocations are cut into, so that nobody has to fetch them all to check one certificate. A certificate names
/// the list of its shard for as long as it lives, so which one that is can never change: the last octet of its serial, which is random,
/// without its highest bit. Should more parts be needed one day, their names must have another form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Shard(u8);

impl Shard {
    /// How many there are.
    pub const COUNT: u8 = 128;

    /// The one that a certificate belongs to.
    pub fn of(serial: Serial) -> Self {
        let [.., last] = *serial.as_bytes();
        Self(last % Self::COUNT)
    }

    /// From its name.
    pub fn parse(name: &str) -> Option<Self> {
        let number = u8::from_str_radix(name, 16).ok().filter(|number| *number < Self::COUNT)?;
        // One name for each: no capitals, no sign.
        Some(Self(number)).filter(|shard| shard.to_string() == name)
    }
}

/// Its name: two hex digits.
impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02x}", self.0)
    }
}

/// How a CA's lists are told from those of others: its key identifier in hex.
pub fn issuer_name(issuer: &IssuerCert) -> String {
    issuer.key_identifier().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The path of a list's address, behind the name of the host that answers for it.
pub fn path(issuer: &IssuerCert, shard: Option<Shard>) -> String {
    let issuer = issuer_name(issuer);
    shard.map_or_else(|| format!("/crl/{issuer}.crl"), |shard| format!("/crl/{issuer}/{shard}.crl"))
}

/// An entry (RFC 5280 section 5.1.2.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Revoked {
    /// Which certificate.
    pub serial: Serial,
    /// Since when.
    pub at: Timestamp,
    /// Why; "unspecified" is not written (section 5.3.1).
    pub reason: RevocationReason,
}

/// What a list shall say.
#[derive(Clone, Copy)]
pub struct Contents<'a> {
    /// Whose certificates it is about.
    pub issuer: &'a IssuerCert,
    /// The address that the certificates of a shard name; `None` where the list is about everything that the CA issued. Such a list says
    /// nothing of where it is, so that it serves for every certificate, wherever it was fetched.
    pub address: Option<&'a str>,
    /// Its number: higher than that of any earlier list about the same.
    pub number: u64,
    /// When it was made.
    pub this_update: Timestamp,
    /// Until when it may be relied on.
    pub next_update: Timestamp,
    /// By serial, each once.
    pub revoked: &'a [Revoked],
}

/// Why a list was not prepared.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CrlError {
    /// It would end before it begins, or after its CA.
    #[error("a list from {this_update} to {next_update} does not fit its CA, which ends {issuer_end}")]
    Times {
        /// When it was made.
        this_update: Timestamp,
        /// Until when it should be relied on.
        next_update: Timestamp,
        /// The CA's last second.
        issuer_end: Timestamp,
    },
    /// The entries are not in order, or one is there twice.
    #[error("the entries are not in the order of their serials at {0}")]
    Order(Serial),
    /// Its address cannot be fetched without a certificate.
    #[error("{0:?} is no http address")]
    Address(String),
    /// Something cannot be written in DER: a time before 1970, a list beyond 256 MiB.
    #[error("a value cannot be written in a revocation list: {0}")]
    Encoding(String),
}

impl From<der::Error> for CrlError {
    fn from(error: der::Error) -> Self {
        Self::Encoding(error.to_string())
    }
}

/// Builds the to-be-signed list (RFC 5280 section 5.1.2) and checks it.
pub fn prepare(contents: &Contents<'_>) -> Result<Prepared, CrlError> {
    let Contents { issuer, address, number, this_update, next_update, revoked } = *contents;
    let issuer_end = issuer.validity().not_after;
    if this_update >= next_update || next_update > issuer_end {
        return Err(CrlError::Times { this_update, next_update, issuer_end });
    }
    if let Some([_, wrong]) = revoked.array_windows().find(|[before, after]| before.serial >= after.serial) {
        return Err(CrlError::Order(wrong.serial));
    }
    let mut extensions: Extensions =
        vec![extension::authority_key_identifier(issuer.key_identifier())?, extension::crl_number(number)?];
    if let Some(address) = address {
        if !is_http_url(address) {
            return Err(CrlError::Address(address.to_owned()));
        }
        extensions.push(extension::issuing_distribution_point(address)?);
    }
    let mut fields = 1u8.to_der()?; // version 2
    issuer.algorithm().identifier().encode_to_vec(&mut fields)?;
    fields.extend_from_slice(issuer.subject_der());
    time(this_update)?.encode_to_vec(&mut fields)?;
    time(next_update)?.encode_to_vec(&mut fields)?;
    let extensions = wrapped(EXTENSIONS, &[&extensions.to_der()?])?;
    // An empty list of entries is not written (section 5.1.2.6).
    let entries = if revoked.is_empty() { Vec::new() } else { wrapped(Tag::Sequence, &[&entries(revoked)?])? };
    let tbs = wrapped(Tag::Sequence, &[&fields, &entries, &extensions])?;
    Ok(Prepared { tbs, algorithm: issuer.algorithm(), issuer_spki: issuer.spki_der().to_vec() })
}

/// A checked list, complete but for the signature.
pub struct Prepared {
    tbs: Vec<u8>,
    algorithm: SignatureAlgorithm,
    issuer_spki: Vec<u8>,
}

impl Prepared {
    /// Signs it; CertificateList in DER. Only the CA's own key will do.
    pub fn sign(self, signer: &dyn Signer) -> Result<Vec<u8>, SignError> {
        if signer.public_key_der() != self.issuer_spki {
            return Err(SignError::OtherKey);
        }
        let signature = signer.sign(&self.tbs)?;
        Envelope::close(&self.tbs, &self.algorithm.identifier(), &signature)
            .map_err(|error| SignError::Failed(error.to_string()))
    }
}

/// crlExtensions: `[0] EXPLICIT`.
const EXTENSIONS: Tag = Tag::ContextSpecific { constructed: true, number: der::TagNumber(0) };
/// The longest entry: a serial of 17 octets, a time of 15, a reason of 14, each with its header.
const LONGEST_ENTRY: usize = 2 + 19 + 17 + 14;
/// The entry's extension that tells the reason, but for the reason.
const REASON: [u8; 13] = [0x30, 0x0c, 0x30, 0x0a, 0x06, 0x03, 0x55, 0x1d, 0x15, 0x04, 0x03, 0x0a, 0x01];

fn entries(revoked: &[Revoked]) -> der::Result<Vec<u8>> {
    let mut out = Vec::with_capacity(revoked.len() * LONGEST_ENTRY);
    for entry in revoked {
        let begin = out.len();
        out.extend_from_slice(&[0x30, 0]);
        integer(entry.serial, &mut out);
        time(entry.at)?.encode_to_vec(&mut out)?;
        if let Some(reason) = reason::code(entry.reason) {
            out.extend_from_slice(&REASON);
            out.push(reason as u8);
        }
        // Never more than 50, so the short form of a length will do.
        out[begin + 1] = u8::try_from(out.len() - begin - 2).map_err(|_| Tag::Sequence.length_error())?;
    }
    Ok(out)
}

/// A positive INTEGER without needless octets. Ours have 16 octets of which the first is 0x20; this writes every other one, too.
fn integer(serial: Serial, out: &mut Vec<u8>) {
    let octets = serial.as_bytes();
    let zeros = octets.iter().take(octets.len() - 1).take_while(|octet| **octet == 0).count();
    let octets = &octets[zeros..];
    let sign: &[u8] = if octets[0] < 0x80 { &[] } else { &[0] };
    let length = u8::try_from(sign.len() + octets.len()).expect("at most 17");
    out.extend_from_slice(&[0x02, length]);
    out.extend_from_slice(sign);
    out.extend_from_slice(octets);
}

fn wrapped(tag: Tag, parts: &[&[u8]]) -> der::Result<Vec<u8>> {
    let length = Length::try_from(parts.iter().map(|part| part.len()).sum::<usize>())?;
    let mut out = Header::new(tag, length).to_der()?;
    out.reserve_exact(usize::try_from(length)?);
    parts.iter().for_each(|part| out.extend_from_slice(part));
    Ok(out)
}
