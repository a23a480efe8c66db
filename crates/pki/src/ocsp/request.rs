//! Reading requests (RFC 6960 section 4.1, nonces as RFC 9654 section 2.1 has them). Whoever can reach the port can send anything, so
//! nothing is copied, nothing recurses, and everything has a bound. A signature on a request is not looked at: answers are public.

use der::asn1::{Null, ObjectIdentifier, OctetStringRef};
use der::{Decode, ErrorKind, Header, Reader, SliceReader, Tag, TagNumber};

use super::{Hash, MAX_CERTIFICATES, MAX_NONCE, MAX_REQUEST};
use crate::oid;

/// The bytes are no request as RFC 6960 describes it, or go beyond our bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a readable OCSP request")]
pub struct Malformed;

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request<'a> {
    /// The certificates asked about, at least one.
    pub certificates: Vec<CertId<'a>>,
    /// To be repeated in the answer.
    pub nonce: Option<&'a [u8]>,
}

/// One certificate as a request names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CertId<'a> {
    /// The whole name, as it must come back in the answer.
    pub der: &'a [u8],
    /// The hash that names the issuer; `None` for one that we do not know.
    pub hash: Option<Hash>,
    /// Whether the hash's parameters are NULL; otherwise they are absent. Both occur.
    pub has_null: bool,
    /// The hash of the issuer's name.
    pub issuer_name_hash: &'a [u8],
    /// The hash of the issuer's key.
    pub issuer_key_hash: &'a [u8],
    /// The content of the serial number's INTEGER.
    pub serial: &'a [u8],
}

impl<'a> Request<'a> {
    /// Reads a request.
    pub fn parse(der: &'a [u8]) -> Result<Self, Malformed> {
        if der.len() > MAX_REQUEST {
            return Err(Malformed);
        }
        read(der).map_err(|_| Malformed)
    }
}

fn read(der: &[u8]) -> der::Result<Request<'_>> {
    let mut reader = SliceReader::new(der)?;
    let request = reader.sequence(|outer| {
        let request = outer.sequence(|inner| to_be_signed(inner))?;
        skip(outer, 0)?; // optionalSignature
        Ok::<_, der::Error>(request)
    })?;
    reader.finish()?;
    Ok(request)
}

/// TBSRequest.
fn to_be_signed<'a>(reader: &mut SliceReader<'a>) -> der::Result<Request<'a>> {
    if begins(reader, 0) && tagged(reader, u8::decode)? != 0 {
        return Err(Tag::Integer.value_error().into());
    }
    skip(reader, 1)?; // requestorName
    let certificates = reader.sequence(|list| {
        let mut certificates = Vec::with_capacity(1);
        while !list.is_finished() {
            if certificates.len() == MAX_CERTIFICATES {
                return Err(too_much());
            }
            certificates.push(list.sequence(|one| single(one))?);
        }
        Ok(certificates)
    })?;
    if certificates.is_empty() {
        return Err(Tag::Sequence.value_error().into());
    }
    let mut nonce = None;
    if begins(reader, 2) {
        extensions(reader, |kind, value| {
            if kind != oid::OCSP_NONCE {
                return Ok(false);
            }
            let octets = <&OctetStringRef>::from_der(value)?.as_bytes();
            if nonce.replace(octets).is_some() || !(1..=MAX_NONCE).contains(&octets.len()) {
                return Err(too_much());
            }
            Ok(true)
        })?;
    }
    Ok(Request { certificates, nonce })
}

/// Request: one certificate, and extensions of which we know none.
fn single<'a>(reader: &mut SliceReader<'a>) -> der::Result<CertId<'a>> {
    let der = reader.tlv_bytes()?;
    if begins(reader, 0) {
        extensions(reader, |_, _| Ok(false))?;
    }
    let mut inner = SliceReader::new(der)?;
    let id = inner.sequence(|id| {
        let (algorithm, has_null) = id.sequence(|algorithm| {
            let kind = ObjectIdentifier::decode(algorithm)?;
            Ok::<_, der::Error>((kind, Option::<Null>::decode(algorithm)?.is_some()))
        })?;
        let hash = match algorithm {
            oid::SHA1 => Some(Hash::Sha1),
            oid::SHA256 => Some(Hash::Sha256),
            _ => None,
        };
        let issuer_name_hash = <&OctetStringRef>::decode(id)?.as_bytes();
        let issuer_key_hash = <&OctetStringRef>::decode(id)?.as_bytes();
        let serial = integer(id)?;
        Ok::<_, der::Error>(CertId { der, hash, has_null, issuer_name_hash, issuer_key_hash, serial })
    })?;
    inner.finish()?;
    Ok(id)
}

/// The octets of an INTEGER in its shortest form. Any sign: a number that we never issued is unknown, not malformed.
fn integer<'a>(reader: &mut SliceReader<'a>) -> der::Result<&'a [u8]> {
    let header = Header::decode(reader)?;
    header.tag().assert_eq(Tag::Integer)?;
    let octets = reader.read_slice(header.length())?;
    let is_padded =
        matches!(octets, [0, next, ..] if *next < 0x80) || matches!(octets, [0xff, next, ..] if *next >= 0x80);
    // RFC 5280 section 4.1.2.2 ends at 20 octets; one more is let through for those who pad the sign.
    if octets.is_empty() || octets.len() > 21 || is_padded {
        return Err(Tag::Integer.value_error().into());
    }
    Ok(octets)
}

/// Extensions behind a tag. `known` says of each whether it was understood; one that was not must not be critical (section 4.1.2).
fn extensions<'a>(
    reader: &mut SliceReader<'a>,
    mut known: impl FnMut(ObjectIdentifier, &'a [u8]) -> der::Result<bool>,
) -> der::Result<()> {
    tagged(reader, |inner| {
        inner.sequence(|list| {
            while !list.is_finished() {
                let (is_critical, is_known) = list.sequence(|one| {
                    let kind = ObjectIdentifier::decode(one)?;
                    let is_critical = Option::<bool>::decode(one)?.unwrap_or(false);
                    let value = <&OctetStringRef>::decode(one)?.as_bytes();
                    Ok::<_, der::Error>((is_critical, known(kind, value)?))
                })?;
                if is_critical && !is_known {
                    return Err(ErrorKind::Failed.into());
                }
            }
            Ok(())
        })
    })
}

/// What stands behind an explicit tag that is there.
fn tagged<'a, T>(
    reader: &mut SliceReader<'a>,
    read: impl FnOnce(&mut SliceReader<'a>) -> der::Result<T>,
) -> der::Result<T> {
    let header = Header::decode(reader)?;
    reader.read_nested(header.length(), read)
}

/// Whether the next element bears this tag of the context, as an explicit one does.
fn begins(reader: &SliceReader<'_>, number: u32) -> bool {
    let wanted = Tag::ContextSpecific { constructed: true, number: TagNumber(number) };
    Tag::peek(reader).is_ok_and(|tag| tag == wanted)
}

fn skip(reader: &mut SliceReader<'_>, number: u32) -> der::Result<()> {
    if begins(reader, number) {
        reader.tlv_bytes()?;
    }
    Ok(())
}

fn too_much() -> der::Error {
    ErrorKind::Overlength.into()
}
