//! A small authority that stands still: fixed keys, fixed times, repeatable chance.

use std::path::PathBuf;

use tegata_core::access::Actor;
use tegata_core::id::{ClientNumber, CustomerId, Serial, TerminalId};
use tegata_core::profile::{KeyKind, Profile, ProfileSettings, Purpose};
use tegata_core::renewal::{Permit, operator_permit};
use tegata_core::schedule::Validity;
use tegata_core::secret::{Entropy, random};
use tegata_core::terminal::{Subject, Terminal};
use tegata_core::time::Timestamp;
use tegata_pki::issue::{self, CaName, Host, Leaf, PrepareError, Prepared, Request, ServerLeaf, Urls};
use tegata_pki::issuer::IssuerCert;
use tegata_pki::key::{LeafKey, PublicKey};
use tegata_pki::ocsp::Responder;
use tegata_pki::signer::{Curve, Signer, SoftwareSigner};
use tegata_testkit::SeededEntropy;

pub const KINDS: [KeyKind; 3] = [KeyKind::P256, KeyKind::Rsa2048, KeyKind::Rsa3072];

pub fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).expect("a valid time in a test")
}

pub fn between(from: &str, to: &str) -> Validity {
    Validity { not_before: at(from), not_after: at(to) }
}

pub fn data(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

pub fn read(name: &str) -> Vec<u8> {
    std::fs::read(data(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Compares with the bytes that were kept. `TEGATA_REGENERATE=1` writes them anew; look at the difference before keeping it.
pub fn golden(name: &str, bytes: &[u8]) {
    if std::env::var_os("TEGATA_REGENERATE").is_some() {
        std::fs::write(data(name), bytes).expect("the folder of golden files can be written");
    }
    assert!(read(name) == bytes, "{name} is not what it was; TEGATA_REGENERATE=1 writes it anew");
}

pub fn serial(end: Timestamp, entropy: &SeededEntropy) -> Serial {
    Serial::build(end, random(entropy))
}

pub fn ca_name(common_name: &str) -> CaName {
    CaName { country: "JP".into(), organization: "テガタ試験局".into(), common_name: common_name.into() }
}

pub fn profile(purpose: Purpose, key_kinds: &[KeyKind]) -> Profile {
    let settings = ProfileSettings {
        purpose,
        key_kinds: key_kinds.to_vec(),
        validity_years: Some(3),
        validity_days: None,
        renewal_window_days: 90,
        carry_over_days: 130,
        spread_days: 10,
    };
    settings.validate("test").expect("a valid profile")
}

pub fn terminal() -> Terminal {
    Terminal {
        id: TerminalId::from_random([0x42; 16]),
        customer: CustomerId::new(1).expect("valid"),
        client: ClientNumber::new(1).expect("valid"),
        name: "受付1".into(),
        created_at: Timestamp(0),
        retired_at: None,
        blocked_at: None,
        deferred_on: None,
    }
}

pub fn permit() -> Permit {
    operator_permit(&Actor::Operator { name: "test".into() }, &terminal()).expect("an operator may")
}

pub fn subject() -> Subject {
    Subject { country: "JP", organization: "山田医院".into(), common_name: "JP_u00000001_client0001".into() }
}

pub fn key(kind: KeyKind) -> LeafKey {
    LeafKey::from_pkcs8(&read(&format!("leaf-{kind}.pk8"))).expect("the kept key is readable")
}

/// Root, issuing CA and their keys.
pub struct Authority {
    pub root_signer: SoftwareSigner,
    pub root: IssuerCert,
    pub signer: SoftwareSigner,
    pub issuing: IssuerCert,
    pub urls: Urls,
    pub entropy: SeededEntropy,
}

impl Authority {
    pub fn new() -> Self {
        let all = |url: &str| vec![url.to_owned()];
        Self::with_urls(Urls {
            crl: all("http://pki.example.jp/issuing.crl"),
            crl_base: None,
            issuer: all("http://pki.example.jp/issuing.cer"),
            ocsp: all("http://ocsp.example.jp/"),
        })
    }

    pub fn with_urls(urls: Urls) -> Self {
        let entropy = SeededEntropy::new(2029);
        let root_signer = SoftwareSigner::from_pkcs8(&read("root.pk8")).expect("the kept key is readable");
        let signer = SoftwareSigner::from_pkcs8(&read("issuing.pk8")).expect("the kept key is readable");
        let life = between("2026-01-05T05:00:00Z", "2046-01-05T05:00:00Z");
        let number = serial(life.not_after, &entropy);
        let root = issue::root(&root_signer, &ca_name("Tegata Test Root"), life, number).expect("a root");
        let life = between("2026-01-05T05:00:00Z", "2036-01-05T05:00:00Z");
        let number = serial(life.not_after, &entropy);
        let name = ca_name("Tegata Test CA 1");
        let spki = signer.public_key_der();
        let issuing = issue::issuing(&root, &root_signer, &name, spki, life, number, &urls).expect("an issuing CA");
        Self { root_signer, root, signer, issuing, urls, entropy }
    }

    pub fn prepare(&self, key: &PublicKey, validity: Validity) -> Result<Prepared, PrepareError> {
        let subject = subject();
        let serial = serial(validity.not_after, &self.entropy);
        let request = Request { subject: &subject, key, serial, validity };
        issue::prepare(permit(), &profile(Purpose::Client, &KINDS), request, &self.issuing, &self.urls)
    }

    pub fn client(&self, key: &LeafKey) -> Leaf {
        let validity = between("2026-11-20T00:50:00Z", "2029-11-22T05:00:00Z");
        let prepared = self.prepare(key.public_key(), validity).expect("prepared");
        prepared.sign(&self.signer).expect("signed")
    }

    pub fn server(&self, hosts: &[Host], key: &LeafKey) -> Result<ServerLeaf, PrepareError> {
        let validity = between("2026-11-20T00:50:00Z", "2029-11-22T05:00:00Z");
        let serial = serial(validity.not_after, &self.entropy);
        let profile = profile(Purpose::Server, &[KeyKind::P256]);
        let urls = &self.urls;
        let prepared = issue::prepare_server(&profile, hosts, key.public_key(), &self.issuing, urls, serial, validity)?;
        Ok(prepared.sign(&self.signer).expect("signed"))
    }

    /// An OCSP responder around the middle of 2027.
    pub fn responder(&self) -> Responder {
        let validity = between("2027-05-29T00:00:00Z", "2027-06-05T00:00:00Z");
        let (signer, _) = SoftwareSigner::generate(Curve::P256).expect("generated");
        let serial = serial(validity.not_after, &self.entropy);
        let prepared = issue::prepare_responder(signer.public_key_der(), &self.issuing, serial, validity);
        let leaf = prepared.expect("prepared").sign(&self.signer).expect("signed");
        Responder::new(signer, leaf).expect("the key is the certificate's")
    }

    pub fn chain(&self) -> [&[u8]; 2] {
        [self.issuing.der(), self.root.der()]
    }
}

/// The host names of the demonstration.
pub fn hosts() -> Vec<Host> {
    let dns = |name: &str| Host::Dns(name.to_owned());
    let ip = |text: &str| Host::Ip(text.parse().expect("an address"));
    vec![dns("localhost"), dns("alt1.localhost"), dns("*.portal.example.jp"), ip("127.0.0.1"), ip("::1")]
}

pub fn entropy() -> impl Entropy {
    SeededEntropy::new(7)
}
