//! Certificates wrapped as CMS SignedData without a signature, "certs-only" (RFC 5652 section 5.1; RFC 5272 section 4.1; RFC 7030 sections
//! 4.1.3 and 4.2.3): how EST hands certificates out. Reading takes what other CAs write, bounded; nothing is verified here.

use der::asn1::{AnyRef, ObjectIdentifier};
use der::{Decode, Encode, Header, Length, Reader, SliceReader, Tag, TagNumber, Tagged};

use crate::{MAX_DER, oid};

/// The most certificates that one answer may carry: several roots and issuing CAs in the middle of a roll-over.
const MAX_CERTIFICATES: usize = 32;

/// Why bytes are not a list of certificates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Pkcs7Error {
    /// More bytes than any such list needs.
    #[error("the list of certificates has {0} octets, which is more than is read")]
    TooLarge(usize),
    /// Not certs-only SignedData in DER.
    #[error("not a readable list of certificates (CMS certs-only in DER)")]
    Malformed,
}

/// Wraps certificates, each in DER. The set is sorted, as DER asks for.
pub fn certs_only(certificates: &[&[u8]]) -> der::Result<Vec<u8>> {
    let mut sorted = certificates.to_vec();
    sorted.sort_unstable();
    let empty_set = || tagged(Tag::Set, &[]);
    let data = tagged(Tag::Sequence, &[&oid::DATA.to_der()?])?;
    let set = tagged(CERTIFICATES, &sorted)?;
    // Version 1: no attribute certificates, content of type id-data (RFC 5652 section 5.1).
    let signed = tagged(Tag::Sequence, &[&1u8.to_der()?, &empty_set()?, &data, &set, &empty_set()?])?;
    let content = tagged(CONTENT, &[&signed])?;
    tagged(Tag::Sequence, &[&oid::SIGNED_DATA.to_der()?, &content])
}

/// The certificates of a certs-only message, each in DER, in its order. Not looked into.
pub fn certificates(der: &[u8]) -> Result<Vec<Vec<u8>>, Pkcs7Error> {
    if der.len() > MAX_CERTIFICATES * MAX_DER {
        return Err(Pkcs7Error::TooLarge(der.len()));
    }
    read(der).map_err(|_| Pkcs7Error::Malformed)
}

const CONTENT: Tag = Tag::ContextSpecific { constructed: true, number: TagNumber(0) };
const CERTIFICATES: Tag = Tag::ContextSpecific { constructed: true, number: TagNumber(0) };

fn tagged(tag: Tag, parts: &[&[u8]]) -> der::Result<Vec<u8>> {
    let length = Length::try_from(parts.iter().map(|part| part.len()).sum::<usize>())?;
    let mut out = Header::new(tag, length).to_der()?;
    parts.iter().for_each(|part| out.extend_from_slice(part));
    Ok(out)
}

fn read(der: &[u8]) -> der::Result<Vec<Vec<u8>>> {
    let mut reader = SliceReader::new(der)?;
    let content = reader.sequence(|outer| {
        if ObjectIdentifier::decode(outer)? != oid::SIGNED_DATA {
            return Err(Tag::ObjectIdentifier.value_error().into());
        }
        AnyRef::decode(outer)
    })?;
    reader.finish()?;
    if content.tag() != CONTENT {
        return Err(content.tag().unexpected_error(Some(CONTENT)).into());
    }
    let mut inside = SliceReader::new(content.value())?;
    let found = inside.sequence(|signed| {
        u8::decode(signed)?;
        AnyRef::decode(signed)?; // digest algorithms: none where nothing is signed
        AnyRef::decode(signed)?; // the content: none
        let mut found = Vec::new();
        while !signed.is_finished() {
            let part = AnyRef::decode(signed)?;
            if part.tag() == CERTIFICATES {
                found = each(part.value())?;
            }
        }
        Ok::<_, der::Error>(found)
    })?;
    inside.finish()?;
    Ok(found)
}

fn each(set: &[u8]) -> der::Result<Vec<Vec<u8>>> {
    let mut reader = SliceReader::new(set)?;
    let mut found = Vec::new();
    while !reader.is_finished() {
        if found.len() == MAX_CERTIFICATES {
            return Err(Tag::Set.length_error().into());
        }
        let certificate = reader.tlv_bytes()?;
        if certificate.first() == Some(&0x30) {
            found.push(certificate.to_vec()); // other kinds, such as attribute certificates, have tags of their own
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_wrapped_is_read_back() {
        let (one, two): (&[u8], &[u8]) = (&[0x30, 3, 2, 1, 1], &[0x30, 3, 2, 1, 2]);
        for list in [vec![], vec![one], vec![one, two]] {
            let wrapped = certs_only(&list).expect("encodable");
            assert_eq!(certificates(&wrapped).expect("readable"), list);
        }
        assert_eq!(certs_only(&[one, two]), certs_only(&[two, one]));
    }

    #[test]
    fn too_much_and_trailing_bytes_are_refused() {
        let certificate: &[u8] = &[0x30, 3, 2, 1, 1];
        let many = certs_only(&[certificate; MAX_CERTIFICATES + 1]).expect("encodable");
        assert_eq!(certificates(&many), Err(Pkcs7Error::Malformed));
        let mut longer = certs_only(&[certificate]).expect("encodable");
        longer.push(0);
        assert_eq!(certificates(&longer), Err(Pkcs7Error::Malformed));
        let huge = vec![0; MAX_CERTIFICATES * MAX_DER + 1];
        assert_eq!(certificates(&huge), Err(Pkcs7Error::TooLarge(huge.len())));
    }

    proptest! {
        #[test]
        fn no_bytes_do_harm(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = certificates(&bytes);
        }

        #[test]
        fn no_change_does_harm(at in 0usize..60, to in any::<u8>()) {
            let mut wrapped = certs_only(&[&[0x30, 3, 2, 1, 1], &[0x30, 3, 2, 1, 2]]).expect("encodable");
            let at = at % wrapped.len();
            wrapped[at] = to;
            let _ = certificates(&wrapped);
        }
    }
}
