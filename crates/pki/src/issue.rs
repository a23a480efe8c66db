//! Building and signing certificates (RFC 5280 section 4.1): the root, the issuing CA, the terminals', the listeners' and the OCSP
//! responder's. Everything is linted before it is signed; a prepared certificate is signed once or never. Never decides who may have one:
//! that is what the [`Permit`] says, which goes in by value and comes out with the certificate.

use std::net::IpAddr;

use der::asn1::Ia5String;
use der::{Decode, Encode};
use spki::SubjectPublicKeyInfoOwned;
use tegata_core::id::{Fingerprint, KeyHash, Serial};
use tegata_core::profile::{KeyKind, Profile, Purpose};
use tegata_core::renewal::Permit;
use tegata_core::schedule::Validity;
use tegata_core::terminal::Subject;
use tegata_core::time::Timestamp;
use x509_cert::certificate::Version;
use x509_cert::ext::Extensions;
use x509_cert::ext::pkix::KeyUsages;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::name::Name;
use x509_cert::serial_number::SerialNumber;

use crate::crl::{self, Shard};
use crate::issuer::{IssuerCert, IssuerError, fingerprint};
use crate::key::PublicKey;
use crate::lint::{self, Broken, Role};
use crate::signer::{SignError, SignatureAlgorithm, Signer};
use crate::tbs::{Envelope, Tbs, time};
use crate::{extension, name, oid};

/// The name of a CA.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaName {
    /// countryName, two letters: `JP`.
    pub country: String,
    /// organizationName: who operates it, at most 64 characters.
    pub organization: String,
    /// commonName, at most 64 characters; browsers show it as the issuer.
    pub common_name: String,
}

/// Addresses that go into certificates: `http:` only, since fetching them must not need a certificate (RFC 5280 section 8).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Urls {
    /// Where others keep the list of all that the issuer revoked.
    pub crl: Vec<String>,
    /// Where the issuer's own lists are answered for: the address before [`crl::path`](crate::crl::path). Each certificate names the list of
    /// its shard.
    pub crl_base: Option<String>,
    /// Where the issuer's own certificate is.
    pub issuer: Vec<String>,
    /// Where certificate status is answered.
    pub ocsp: Vec<String>,
}

/// A name that a listener answers to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    /// A DNS name in its ASCII form; the leftmost label may be `*` (RFC 9525 section 6.3).
    Dns(String),
    /// An address.
    Ip(IpAddr),
}

/// What a certificate shall say beyond what its profile and its issuer say.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// The terminal's name from the register.
    pub subject: &'a Subject,
    /// The key to certify.
    pub key: &'a PublicKey,
    /// Its serial ([`Serial::build`]).
    pub serial: Serial,
    /// From when to when, inclusive at both ends.
    pub validity: Validity,
}

/// Why a certificate was not prepared.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PrepareError {
    /// The profile is for something else.
    #[error("profile {profile:?} is not for {wanted:?} certificates")]
    WrongPurpose {
        /// The profile's name.
        profile: String,
        /// What was asked for.
        wanted: Purpose,
    },
    /// The profile does not certify such keys.
    #[error("profile {profile:?} does not allow {kind} keys")]
    KeyKind {
        /// The profile's name.
        profile: String,
        /// The kind of key.
        kind: KeyKind,
    },
    /// The key would be too weak before the certificate ends.
    #[error("a {kind} key may not be used after {last_use}, but the certificate would live until {not_after}")]
    OutlivesKey {
        /// The kind of key.
        kind: KeyKind,
        /// The key's last second.
        last_use: Timestamp,
        /// The certificate's last second.
        not_after: Timestamp,
    },
    /// The certificate would begin before its issuer or end after it.
    #[error("valid from {} to {}, but its issuer from {} to {}", asked.not_before, asked.not_after, issuer.not_before, issuer.not_after)]
    OutsideIssuer {
        /// What was asked for.
        asked: Validity,
        /// The issuer's validity.
        issuer: Validity,
    },
    /// A rule of ours about certificates would be broken.
    #[error(transparent)]
    Lint(#[from] Broken),
    /// Something cannot be written in DER: a letter outside ASCII in a host name or an address, a time before 1970.
    #[error("a value cannot be written in a certificate: {0}")]
    Encoding(String),
}

impl From<der::Error> for PrepareError {
    fn from(error: der::Error) -> Self {
        Self::Encoding(error.to_string())
    }
}

/// Why a CA was not made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CaError {
    /// Its certificate could not be built.
    #[error(transparent)]
    Prepare(#[from] PrepareError),
    /// Its certificate could not be signed.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// Its certificate came out as one that cannot issue.
    #[error(transparent)]
    Issuer(#[from] IssuerError),
}

/// Makes a self-signed root.
pub fn root(signer: &dyn Signer, name: &CaName, validity: Validity, serial: Serial) -> Result<IssuerCert, CaError> {
    let body = root_body(signer, name, validity, serial)?;
    Ok(IssuerCert::from_der(&body.sign(signer)?)?)
}

fn root_body(signer: &dyn Signer, name: &CaName, validity: Validity, serial: Serial) -> Result<Body, PrepareError> {
    let spki = SubjectPublicKeyInfoOwned::from_der(signer.public_key_der())?;
    let mut extensions = ca_extensions(&spki, None)?;
    let own_identifier = extension::key_identifier(spki.subject_public_key.raw_bytes());
    extensions.push(extension::authority_key_identifier(&own_identifier)?);
    let name = ca_name(name)?;
    let tbs = Tbs {
        version: Version::V3,
        serial: SerialNumber::new(serial.as_bytes())?,
        signature: signer.algorithm().identifier(),
        issuer: name.clone(),
        validity: encode_validity(validity)?,
        subject: name,
        spki,
        extensions: Some(extensions),
    };
    lint::check(&tbs, Role::Root, &own_identifier)?;
    Body::new(tbs, signer.algorithm(), signer.public_key_der())
}

/// Makes an issuing CA under a root: `spki` is its key's public half, its certificates end with it (pathLenConstraint 0).
pub fn issuing(
    root: &IssuerCert,
    root_signer: &dyn Signer,
    name: &CaName,
    spki: &[u8],
    validity: Validity,
    serial: Serial,
    urls: &Urls,
) -> Result<IssuerCert, CaError> {
    let body = issuing_body(root, name, spki, validity, serial, urls)?;
    Ok(IssuerCert::from_der(&body.sign(root_signer)?)?)
}

fn issuing_body(
    root: &IssuerCert,
    name: &CaName,
    spki: &[u8],
    validity: Validity,
    serial: Serial,
    urls: &Urls,
) -> Result<Body, PrepareError> {
    let spki = SubjectPublicKeyInfoOwned::from_der(spki)?;
    let mut extensions = ca_extensions(&spki, Some(0))?;
    extensions.push(extension::authority_key_identifier(root.key_identifier())?);
    extensions.extend(extension::addresses(urls, None)?);
    Body::under(root, Role::Issuing, serial, validity, ca_name(name)?, spki, extensions)
}

fn ca_extensions(spki: &SubjectPublicKeyInfoOwned, path_length: Option<u8>) -> der::Result<Extensions> {
    Ok(vec![
        extension::ca_constraints(path_length)?,
        extension::key_usage(KeyUsages::KeyCertSign | KeyUsages::CRLSign)?,
        extension::subject_key_identifier(spki.subject_public_key.raw_bytes())?,
    ])
}

fn ca_name(name: &CaName) -> der::Result<Name> {
    name::build(Some(&name.country), Some(&name.organization), Some(&name.common_name))
}

/// Builds the to-be-signed certificate of a terminal, or of its agent where the profile is for agents (RFC 5280 section 4.1.2) and lints it. The permit says for which terminal; it is
/// spent here. Fails with [`PrepareError::Lint`] naming the first broken rule.
pub fn prepare(
    permit: Permit,
    profile: &Profile,
    request: Request<'_>,
    issuer: &IssuerCert,
    urls: &Urls,
) -> Result<Prepared, PrepareError> {
    let wanted = if profile.purpose() == Purpose::Agent { Purpose::Agent } else { Purpose::Client };
    check_profile(profile, wanted, request.key, request.validity)?;
    let subject = request.subject;
    let subject = name::build(Some(subject.country), Some(&subject.organization), Some(&subject.common_name))?;
    let san = permit.terminal().san_uri(wanted).iter().map(|uri| extension::uri(uri)).collect::<der::Result<_>>()?;
    let spki = SubjectPublicKeyInfoOwned::from_der(request.key.spki_der())?;
    let mut extensions = vec![
        extension::key_usage(KeyUsages::DigitalSignature)?,
        extension::extended_key_usage(oid::CLIENT_AUTH)?,
        extension::subject_alt_name(san, false)?,
        extension::subject_key_identifier(spki.subject_public_key.raw_bytes())?,
        extension::authority_key_identifier(issuer.key_identifier())?,
    ];
    extensions.extend(extension::addresses(urls, list_of(urls, issuer, request.serial))?);
    let body = Body::under(issuer, Role::Client, request.serial, request.validity, subject, spki, extensions)?;
    let (key_kind, key) = (request.key.kind(), request.key.hash());
    let profile = profile.name.clone();
    Ok(Prepared { body, permit, profile, serial: request.serial, validity: request.validity, key_kind, key })
}

/// Builds the to-be-signed certificate of a listener and lints it. The first DNS name becomes its common name where it fits.
pub fn prepare_server(
    profile: &Profile,
    hosts: &[Host],
    key: &PublicKey,
    issuer: &IssuerCert,
    urls: &Urls,
    serial: Serial,
    validity: Validity,
) -> Result<PreparedServer, PrepareError> {
    check_profile(profile, Purpose::Server, key, validity)?;
    let common_name = hosts.iter().find_map(|host| match host {
        Host::Dns(name) if name.len() <= 64 => Some(name.as_str()),
        _ => None,
    });
    let subject = name::build(None, None, common_name)?;
    let san = hosts.iter().map(general_name).collect::<der::Result<Vec<_>>>()?;
    let spki = SubjectPublicKeyInfoOwned::from_der(key.spki_der())?;
    let mut extensions = vec![
        extension::key_usage(KeyUsages::DigitalSignature)?,
        extension::extended_key_usage(oid::SERVER_AUTH)?,
        extension::subject_alt_name(san, subject.is_empty())?,
        extension::subject_key_identifier(spki.subject_public_key.raw_bytes())?,
        extension::authority_key_identifier(issuer.key_identifier())?,
    ];
    extensions.extend(extension::addresses(urls, list_of(urls, issuer, serial))?);
    let body = Body::under(issuer, Role::Server, serial, validity, subject, spki, extensions)?;
    Ok(PreparedServer { body, serial, validity })
}

/// Builds the to-be-signed certificate of an OCSP responder for this CA (RFC 6960 section 4.2.2.2) and lints it. It bears the CA's name
/// with a common name of its own, and no addresses: nobody is to check it, so it lives for days.
pub fn prepare_responder(
    spki_der: &[u8],
    issuer: &IssuerCert,
    serial: Serial,
    validity: Validity,
) -> Result<PreparedResponder, PrepareError> {
    let part = |oid| name::single(issuer.subject(), oid).map(|(_, text)| text);
    let common_name: String = issuer.common_name().chars().take(59).collect();
    let subject = name::build(part(oid::COUNTRY), part(oid::ORGANIZATION), Some(&format!("{common_name} OCSP")))?;
    let spki = SubjectPublicKeyInfoOwned::from_der(spki_der)?;
    let extensions = vec![
        extension::key_usage(KeyUsages::DigitalSignature)?,
        extension::extended_key_usage(oid::OCSP_SIGNING)?,
        extension::subject_key_identifier(spki.subject_public_key.raw_bytes())?,
        extension::authority_key_identifier(issuer.key_identifier())?,
        extension::ocsp_nocheck()?,
    ];
    let body = Body::under(issuer, Role::Responder, serial, validity, subject, spki, extensions)?;
    Ok(PreparedResponder { body, spki_der: spki_der.to_vec(), validity })
}

/// The address of the list on which a certificate would stand: that of its shard.
fn list_of(urls: &Urls, issuer: &IssuerCert, serial: Serial) -> Option<String> {
    urls.crl_base.as_ref().map(|base| format!("{base}{}", crl::path(issuer, Some(Shard::of(serial)))))
}

fn general_name(host: &Host) -> der::Result<GeneralName> {
    match host {
        Host::Dns(name) => Ok(GeneralName::DnsName(Ia5String::new(name)?)),
        Host::Ip(address) => Ok(GeneralName::from(*address)),
    }
}

fn check_profile(profile: &Profile, wanted: Purpose, key: &PublicKey, validity: Validity) -> Result<(), PrepareError> {
    let (kind, not_after) = (key.kind(), validity.not_after);
    if profile.purpose() != wanted {
        return Err(PrepareError::WrongPurpose { profile: profile.name.clone(), wanted });
    }
    if !profile.allows(kind) {
        return Err(PrepareError::KeyKind { profile: profile.name.clone(), kind });
    }
    match kind.last_use() {
        Some(last_use) if not_after > last_use => Err(PrepareError::OutlivesKey { kind, last_use, not_after }),
        _ => Ok(()),
    }
}

fn encode_validity(validity: Validity) -> der::Result<x509_cert::time::Validity> {
    Ok(x509_cert::time::Validity::new(time(validity.not_before)?, time(validity.not_after)?))
}

/// A linted to-be-signed certificate, encoded, and the key that must sign it.
struct Body {
    tbs: Vec<u8>,
    algorithm: SignatureAlgorithm,
    issuer_spki: Vec<u8>,
}

impl Body {
    fn new(tbs: Tbs, algorithm: SignatureAlgorithm, issuer_spki: &[u8]) -> Result<Self, PrepareError> {
        Ok(Self { tbs: tbs.to_der()?, algorithm, issuer_spki: issuer_spki.to_vec() })
    }

    fn under(
        issuer: &IssuerCert,
        role: Role,
        serial: Serial,
        validity: Validity,
        subject: Name,
        spki: SubjectPublicKeyInfoOwned,
        extensions: Extensions,
    ) -> Result<Self, PrepareError> {
        let outer = issuer.validity();
        if validity.not_before < outer.not_before || validity.not_after > outer.not_after {
            return Err(PrepareError::OutsideIssuer { asked: validity, issuer: outer });
        }
        let tbs = Tbs {
            version: Version::V3,
            serial: SerialNumber::new(serial.as_bytes())?,
            signature: issuer.algorithm().identifier(),
            issuer: issuer.subject().clone(),
            validity: encode_validity(validity)?,
            subject,
            spki,
            extensions: Some(extensions),
        };
        lint::check(&tbs, role, issuer.key_identifier())?;
        Self::new(tbs, issuer.algorithm(), issuer.spki_der())
    }

    fn sign(&self, signer: &dyn Signer) -> Result<Vec<u8>, SignError> {
        if signer.public_key_der() != self.issuer_spki {
            return Err(SignError::OtherKey);
        }
        let signature = signer.sign(&self.tbs)?;
        Envelope::close(&self.tbs, &self.algorithm.identifier(), &signature)
            .map_err(|error| SignError::Failed(error.to_string()))
    }
}

/// A terminal's certificate, complete but for the signature.
pub struct Prepared {
    body: Body,
    permit: Permit,
    profile: String,
    serial: Serial,
    validity: Validity,
    key_kind: KeyKind,
    key: KeyHash,
}

impl Prepared {
    /// Its serial.
    pub fn serial(&self) -> Serial {
        self.serial
    }

    /// From when to when.
    pub fn validity(&self) -> Validity {
        self.validity
    }

    /// What kind of key it certifies.
    pub fn key_kind(&self) -> KeyKind {
        self.key_kind
    }

    /// The permit it was prepared under.
    pub fn permit(&self) -> &Permit {
        &self.permit
    }

    /// The octets that will be signed.
    pub fn tbs_der(&self) -> &[u8] {
        &self.body.tbs
    }

    /// Signs it. Refuses a signer with another key than the issuer's.
    pub fn sign(self, signer: &dyn Signer) -> Result<Leaf, SignError> {
        let der = self.body.sign(signer)?;
        Ok(Leaf {
            fingerprint: fingerprint(&der),
            der,
            serial: self.serial,
            validity: self.validity,
            key_kind: self.key_kind,
            key: self.key,
            profile: self.profile,
            permit: self.permit,
        })
    }
}

/// A terminal's certificate.
pub struct Leaf {
    /// The certificate.
    pub der: Vec<u8>,
    /// Its SHA-256.
    pub fingerprint: Fingerprint,
    /// Its serial.
    pub serial: Serial,
    /// From when to when.
    pub validity: Validity,
    /// What kind of key it certifies.
    pub key_kind: KeyKind,
    /// The hash of that key.
    pub key: KeyHash,
    /// The name of the profile it was made by.
    pub profile: String,
    /// The permit it was issued under, now spent.
    pub permit: Permit,
}

/// A listener's certificate, complete but for the signature.
pub struct PreparedServer {
    body: Body,
    serial: Serial,
    validity: Validity,
}

impl PreparedServer {
    /// The octets that will be signed.
    pub fn tbs_der(&self) -> &[u8] {
        &self.body.tbs
    }

    /// Signs it. Refuses a signer with another key than the issuer's.
    pub fn sign(self, signer: &dyn Signer) -> Result<ServerLeaf, SignError> {
        let der = self.body.sign(signer)?;
        Ok(ServerLeaf { fingerprint: fingerprint(&der), der, serial: self.serial, validity: self.validity })
    }
}

/// A listener's certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerLeaf {
    /// The certificate.
    pub der: Vec<u8>,
    /// Its SHA-256.
    pub fingerprint: Fingerprint,
    /// Its serial.
    pub serial: Serial,
    /// From when to when.
    pub validity: Validity,
}

/// An OCSP responder's certificate, complete but for the signature.
pub struct PreparedResponder {
    body: Body,
    spki_der: Vec<u8>,
    validity: Validity,
}

impl PreparedResponder {
    /// Signs it. Refuses a signer with another key than the issuer's.
    pub fn sign(self, signer: &dyn Signer) -> Result<ResponderLeaf, SignError> {
        Ok(ResponderLeaf { der: self.body.sign(signer)?, spki_der: self.spki_der, validity: self.validity })
    }
}

/// An OCSP responder's certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResponderLeaf {
    /// The certificate.
    pub der: Vec<u8>,
    /// Whose certificate it is: SubjectPublicKeyInfo in DER.
    pub spki_der: Vec<u8>,
    /// From when to when.
    pub validity: Validity,
}
