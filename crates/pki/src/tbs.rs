//! The to-be-signed certificate (RFC 5280 section 4.1.2) with all its fields within reach, for building and for linting, and the outer
//! envelope of signed things, whose signed octets must be taken as they are and never re-encoded.

use der::asn1::BitStringRef;
use der::{Decode, Encode, Header, Length, Reader, Sequence, SliceReader, Tag};
use spki::{AlgorithmIdentifierOwned, AlgorithmIdentifierRef, SubjectPublicKeyInfoOwned};
use tegata_core::schedule::Validity;
use tegata_core::time::Timestamp;
use x509_cert::certificate::Version;
use x509_cert::ext::Extensions;
use x509_cert::name::Name;
use x509_cert::serial_number::SerialNumber;
use x509_cert::time::Time;

/// TBSCertificate. The unique identifiers of version 2 are left out: a certificate that has them is not read.
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub(crate) struct Tbs {
    #[asn1(context_specific = "0", default = "Default::default")]
    pub version: Version,
    pub serial: SerialNumber,
    pub signature: AlgorithmIdentifierOwned,
    pub issuer: Name,
    pub validity: x509_cert::time::Validity,
    pub subject: Name,
    pub spki: SubjectPublicKeyInfoOwned,
    #[asn1(context_specific = "3", tag_mode = "EXPLICIT", optional = "true")]
    pub extensions: Option<Extensions>,
}

impl Tbs {
    /// From when to when, in whole seconds.
    pub fn validity(&self) -> Validity {
        Validity { not_before: timestamp(&self.validity.not_before), not_after: timestamp(&self.validity.not_after) }
    }
}

/// A signed thing, cut into its three parts: what was signed, how, and the signature.
pub(crate) struct Envelope<'a> {
    pub signed: &'a [u8],
    pub algorithm: AlgorithmIdentifierRef<'a>,
    pub signature: &'a [u8],
}

impl<'a> Envelope<'a> {
    /// Cuts a certificate (RFC 5280 section 4.1) or a certification request (RFC 2986 section 4.2) into its parts.
    pub fn open(der: &'a [u8]) -> der::Result<Self> {
        let mut reader = SliceReader::new(der)?;
        let envelope = reader.sequence(|inner| {
            let signed = inner.tlv_bytes()?;
            let algorithm = AlgorithmIdentifierRef::decode(inner)?;
            let signature = BitStringRef::decode(inner)?.as_bytes().ok_or_else(|| Tag::BitString.value_error())?;
            Ok::<_, der::Error>(Self { signed, algorithm, signature })
        })?;
        reader.finish()?;
        Ok(envelope)
    }

    /// Puts the parts together.
    pub fn close(signed: &[u8], algorithm: &AlgorithmIdentifierOwned, signature: &[u8]) -> der::Result<Vec<u8>> {
        let signature = BitStringRef::from_bytes(signature)?;
        let algorithm = algorithm.to_der()?;
        let length = signature.encoded_len()? + Length::try_from(signed.len() + algorithm.len())?;
        let mut out = Header::new(Tag::Sequence, length?).to_der()?;
        out.extend_from_slice(signed);
        out.extend_from_slice(&algorithm);
        signature.encode_to_vec(&mut out)?;
        Ok(out)
    }
}

/// UTCTime through 2049, GeneralizedTime from 2050 on (RFC 5280 section 4.1.2.5).
pub(crate) fn time(at: Timestamp) -> der::Result<Time> {
    let seconds = u64::try_from(at.0).map_err(|_| Tag::UtcTime.value_error())?;
    Ok(Time::from(der::DateTime::from_unix_duration(std::time::Duration::from_secs(seconds))?))
}

pub(crate) fn timestamp(time: &Time) -> Timestamp {
    // A date of the year 9999 still fits.
    Timestamp(i64::try_from(time.to_unix_duration().as_secs()).unwrap_or(i64::MAX))
}
