//! Writing answers (RFC 6960 section 4.2.1). A [`Responder`] holds the delegated key and its certificate (section 4.2.2.2), which goes into
//! each answer, so that whoever trusts the CA needs nothing else.

use std::time::Duration;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use der::asn1::{AnyRef, BitStringRef, GeneralizedTime, Null, ObjectIdentifier, OctetStringRef};
use der::{Choice, Encode, Enumerated, Sequence, Tag};
use spki::AlgorithmIdentifierOwned;
use tegata_core::cert::RevocationReason;
use tegata_core::schedule::Validity;
use tegata_core::time::Timestamp;

use crate::issue::ResponderLeaf;
use crate::oid;
use crate::reason::{self, Reason};
use crate::signer::{SignError, Signer, SoftwareSigner};

/// What is known of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Issued, and not revoked.
    Good,
    /// Revoked then, for this reason.
    Revoked(Timestamp, RevocationReason),
    /// Never issued.
    Unknown,
}

/// One answer of possibly several.
#[derive(Clone, Copy, Debug)]
pub struct Single<'a> {
    /// The certificate as it was asked about ([`super::CertId::der`]).
    pub certificate: &'a [u8],
    /// What is known of it.
    pub status: Status,
    /// Since when that is known to be right.
    pub this_update: Timestamp,
    /// Until when it may be relied on.
    pub next_update: Timestamp,
}

/// Why a request gets no signed answer (OCSPResponseStatus).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Refusal {
    /// It is no request.
    MalformedRequest = 1,
    /// Something is wrong here.
    InternalError = 2,
    /// Not now.
    TryLater = 3,
    /// We cannot speak for that issuer (RFC 5019 section 2.2.3).
    Unauthorized = 6,
}

/// An answer without a signature, which only says why there is none. Five octets; never fails.
pub fn refusal(why: Refusal) -> [u8; 5] {
    [0x30, 0x03, 0x0a, 0x01, why as u8]
}

/// Signs answers for one CA, with a key that is not the CA's.
pub struct Responder {
    signer: SoftwareSigner,
    certificate: Vec<u8>,
    key_hash: Vec<u8>,
    validity: Validity,
}

impl Responder {
    /// Takes key and certificate together; the key must be the certificate's.
    pub fn new(signer: SoftwareSigner, leaf: ResponderLeaf) -> Result<Self, SignError> {
        if leaf.spki_der != signer.public_key_der() {
            return Err(SignError::OtherKey);
        }
        let key_hash = digest(&SHA1_FOR_LEGACY_USE_ONLY, signer.public_key_bits()).as_ref().to_vec();
        Ok(Self { signer, certificate: leaf.der, key_hash, validity: leaf.validity })
    }

    /// Its certificate.
    pub fn certificate(&self) -> &[u8] {
        &self.certificate
    }

    /// From when to when its certificate is valid.
    pub fn validity(&self) -> Validity {
        self.validity
    }

    /// Signs an answer about one or more certificates, with the nonce of the request if it had one.
    pub fn respond(
        &self,
        singles: &[Single<'_>],
        produced_at: Timestamp,
        nonce: Option<&[u8]>,
    ) -> Result<Vec<u8>, SignError> {
        let failed = |error: der::Error| SignError::Failed(error.to_string());
        let signed = self.response_data(singles, produced_at, nonce).map_err(failed)?;
        let signature = self.signer.sign(&signed)?;
        self.envelope(&signed, &signature).map_err(failed)
    }

    fn response_data(
        &self,
        singles: &[Single<'_>],
        produced_at: Timestamp,
        nonce: Option<&[u8]>,
    ) -> der::Result<Vec<u8>> {
        let octets = nonce.map(|nonce| OctetStringRef::new(nonce)?.to_der()).transpose()?;
        let extensions = octets.as_deref().map(|value| {
            Ok::<_, der::Error>(vec![Extension { kind: oid::OCSP_NONCE, value: OctetStringRef::new(value)? }])
        });
        let data = ResponseData {
            responder: ResponderId::ByKey(OctetStringRef::new(&self.key_hash)?),
            produced_at: time(produced_at)?,
            responses: singles.iter().map(SingleResponse::new).collect::<der::Result<_>>()?,
            extensions: extensions.transpose()?,
        };
        data.to_der()
    }

    /// BasicOCSPResponse, and OCSPResponse around it. The signed octets go in as they are.
    fn envelope(&self, signed: &[u8], signature: &[u8]) -> der::Result<Vec<u8>> {
        let algorithm = self.signer.algorithm().identifier();
        let basic = BasicResponse {
            data: AnyRef::try_from(signed)?,
            algorithm,
            signature: BitStringRef::from_bytes(signature)?,
            certificates: vec![AnyRef::try_from(self.certificate.as_slice())?],
        }
        .to_der()?;
        let bytes = ResponseBytes { kind: oid::OCSP_BASIC, response: OctetStringRef::new(&basic)? };
        OcspResponse { status: Successful::Successful, bytes }.to_der()
    }
}

fn time(at: Timestamp) -> der::Result<GeneralizedTime> {
    let seconds = u64::try_from(at.0).map_err(|_| Tag::GeneralizedTime.value_error())?;
    GeneralizedTime::from_unix_duration(Duration::from_secs(seconds))
}

#[derive(Sequence)]
struct OcspResponse<'a> {
    status: Successful,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT")]
    bytes: ResponseBytes<'a>,
}

#[derive(Clone, Copy, Enumerated)]
#[asn1(type = "ENUMERATED")]
#[repr(u8)]
enum Successful {
    Successful = 0,
}

#[derive(Sequence)]
struct ResponseBytes<'a> {
    kind: ObjectIdentifier,
    response: &'a OctetStringRef,
}

#[derive(Sequence)]
struct BasicResponse<'a> {
    data: AnyRef<'a>,
    algorithm: AlgorithmIdentifierOwned,
    signature: BitStringRef<'a>,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT")]
    certificates: Vec<AnyRef<'a>>,
}

/// The version, 1, is the default and not written.
#[derive(Sequence)]
struct ResponseData<'a> {
    responder: ResponderId<'a>,
    produced_at: GeneralizedTime,
    responses: Vec<SingleResponse<'a>>,
    #[asn1(context_specific = "1", tag_mode = "EXPLICIT", optional = "true")]
    extensions: Option<Vec<Extension<'a>>>,
}

/// byKey: shorter than byName, and what RFC 5019 section 2.2.1 recommends.
#[derive(Choice)]
enum ResponderId<'a> {
    #[asn1(context_specific = "2", tag_mode = "EXPLICIT", constructed = "true")]
    ByKey(&'a OctetStringRef),
}

#[derive(Sequence)]
struct SingleResponse<'a> {
    certificate: AnyRef<'a>,
    status: CertStatus,
    this_update: GeneralizedTime,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT")]
    next_update: GeneralizedTime,
}

#[derive(Choice)]
enum CertStatus {
    #[asn1(context_specific = "0", tag_mode = "IMPLICIT")]
    Good(Null),
    #[asn1(context_specific = "1", tag_mode = "IMPLICIT", constructed = "true")]
    Revoked(RevokedInfo),
    #[asn1(context_specific = "2", tag_mode = "IMPLICIT")]
    Unknown(Null),
}

#[derive(Sequence)]
struct RevokedInfo {
    at: GeneralizedTime,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    reason: Option<Reason>,
}

/// An extension that is not critical.
#[derive(Sequence)]
struct Extension<'a> {
    kind: ObjectIdentifier,
    value: &'a OctetStringRef,
}

impl<'a> SingleResponse<'a> {
    fn new(single: &Single<'a>) -> der::Result<Self> {
        Ok(Self {
            certificate: AnyRef::try_from(single.certificate)?,
            status: match single.status {
                Status::Good => CertStatus::Good(Null),
                Status::Unknown => CertStatus::Unknown(Null),
                Status::Revoked(at, reason) => {
                    CertStatus::Revoked(RevokedInfo { at: time(at)?, reason: reason::code(reason) })
                }
            },
            this_update: time(single.this_update)?,
            next_update: time(single.next_update)?,
        })
    }
}
