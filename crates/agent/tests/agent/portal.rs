//! A portal for tests: a CA of `tegata-pki`'s, and the answers of EST by its contract. What it is asked and what it issued can be looked at.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, Ordering};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tegata_agent::schedule::Window;
use tegata_agent::transport::Response;
use tegata_core::access::Actor;
use tegata_core::id::{ClientNumber, CustomerId, IssuerId, Serial, TerminalId};
use tegata_core::peer::PeerCert;
use tegata_core::profile::{KeyKind, Profile, ProfileSettings, Purpose};
use tegata_core::renewal::operator_permit;
use tegata_core::schedule::Validity;
use tegata_core::secret::random;
use tegata_core::terminal::{Subject, Terminal};
use tegata_core::time::Timestamp;
use tegata_pki::csr;
use tegata_pki::issue::{self, CaName, Host, Request, Urls};
use tegata_pki::issuer::IssuerCert;
use tegata_pki::key::{LeafKey, PublicKey};
use tegata_pki::signer::{Curve, Signer, SoftwareSigner};
use tegata_pki::{chain, pkcs7};
use tegata_testkit::SeededEntropy;

pub const CODE: &str = "4F7K-92QX";
const DAY: i64 = 86_400;

pub fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).expect("a valid time in a test")
}

/// A root and an issuing CA.
pub struct Ca {
    pub root: IssuerCert,
    pub signer: SoftwareSigner,
    pub issuing: IssuerCert,
}

impl Ca {
    pub fn new(name: &str, entropy: &SeededEntropy) -> Self {
        let ca_name =
            |text: String| CaName { country: "JP".into(), organization: "試験局".into(), common_name: text };
        let (root_signer, _) = SoftwareSigner::generate(Curve::P384).expect("a key");
        let (signer, _) = SoftwareSigner::generate(Curve::P256).expect("a key");
        let life = Validity { not_before: at("2026-01-05"), not_after: at("2046-01-05") };
        let serial = || Serial::build(life.not_after, random(entropy));
        let root = issue::root(&root_signer, &ca_name(format!("{name} Root")), life, serial()).expect("a root");
        let issuing = issue::issuing(
            &root,
            &root_signer,
            &ca_name(format!("{name} CA 1")),
            signer.public_key_der(),
            life,
            serial(),
            &Urls::default(),
        );
        Self { root, signer, issuing: issuing.expect("an issuing CA") }
    }
}

/// What was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    pub method: String,
    pub path: String,
    /// The purpose of the certificate that was shown.
    pub shown: Option<Purpose>,
    pub with_code: bool,
    pub at: Timestamp,
}

/// What was issued.
#[derive(Clone)]
pub struct Issued {
    pub der: Vec<u8>,
    pub serial: Serial,
    pub purpose: Purpose,
    pub not_after: Timestamp,
    at: Timestamp,
    key: PublicKey,
}

#[derive(Default)]
pub struct Inner {
    pub asked: Vec<Asked>,
    pub issued: Vec<Issued>,
    pub revoked: HashSet<Serial>,
    pub proven: HashSet<Serial>,
    /// Answers to give before anything else, to paths that end so.
    pub scripted: VecDeque<(&'static str, Response)>,
    /// The window of agents' (true) and of terminals' certificates, where it is not the usual one.
    pub windows: HashMap<bool, Window>,
    /// Takes the place of the issuing CA, to play a false or a rolled-over portal.
    pub signs_with: Option<Ca>,
    /// More CA certificates that are announced.
    pub announces: Vec<Vec<u8>>,
    /// Whose certificates are issued, where it is not the terminal asked for.
    pub mistaken: Option<TerminalId>,
    /// How long certificates live, in days.
    pub life_days: i64,
    /// By how many days more than usual new certificates are backdated.
    pub backdate_days: i64,
    code_key: Option<PublicKey>,
    pub code_open: bool,
}

pub struct Portal {
    pub ca: Ca,
    pub terminal: Terminal,
    pub inner: Mutex<Inner>,
    pub entropy: SeededEntropy,
    now: AtomicI64,
    /// How many seconds its clock is ahead of whoever asks.
    pub ahead: AtomicI64,
}

impl Portal {
    pub fn new(now: Timestamp) -> Self {
        let entropy = SeededEntropy::new(2029);
        let inner = Inner { life_days: 365, code_open: true, ..Inner::default() };
        Self {
            ca: Ca::new("Tegata Test", &entropy),
            terminal: terminal(0x42),
            inner: Mutex::new(inner),
            entropy,
            now: AtomicI64::new(now.0),
            ahead: AtomicI64::new(0),
        }
    }

    pub fn set(&self, now: Timestamp) {
        self.now.store(now.0, Ordering::SeqCst);
    }

    pub fn now(&self) -> Timestamp {
        Timestamp(self.now.load(Ordering::SeqCst) + self.ahead.load(Ordering::SeqCst))
    }

    pub fn look<T>(&self, look: impl FnOnce(&mut Inner) -> T) -> T {
        look(&mut self.inner.lock().expect("no test panicked inside"))
    }

    /// Requests to paths that end so.
    pub fn asked(&self, end: &str) -> usize {
        self.look(|inner| inner.asked.iter().filter(|asked| asked.path.ends_with(end)).count())
    }

    pub fn enrolments(&self) -> usize {
        self.look(|inner| inner.asked.iter().filter(|asked| asked.path.contains("enroll")).count())
    }

    pub fn issued(&self, purpose: Purpose) -> Vec<Issued> {
        self.look(|inner| inner.issued.iter().filter(|issued| issued.purpose == purpose).cloned().collect())
    }

    /// Gives these answers first, one for each request to a path that ends so.
    pub fn script(&self, end: &'static str, status: u16, code: &str, headers: &[(&str, &str)]) {
        let answer = problem(status, code, headers);
        self.look(|inner| inner.scripted.push_back((end, answer)));
    }

    /// As if the operator had given another code of the same letters.
    pub fn forget_code(&self) {
        self.look(|inner| inner.code_key = None);
    }

    pub fn ca_pem(&self) -> String {
        tegata_pki::pem::certificate(self.ca.root.der())
    }

    /// Answers a request as the contract says.
    pub fn answer(
        &self,
        method: &str,
        path: &str,
        authorization: Option<&str>,
        body: &[u8],
        shown: Option<&[u8]>,
    ) -> Response {
        let issuers = self.issuers();
        let shown = shown.and_then(|der| chain::identify(der, &issuers));
        let asked = Asked {
            method: method.to_owned(),
            path: path.to_owned(),
            shown: shown.as_ref().map(|cert| cert.purpose),
            with_code: authorization.is_some(),
            at: self.now(),
        };
        let scripted = self.look(|inner| {
            inner.asked.push(asked);
            let found = inner.scripted.iter().position(|(end, _)| path.ends_with(end));
            found.and_then(|at| inner.scripted.remove(at)).map(|(_, answer)| answer)
        });
        if let Some(answer) = scripted {
            return answer;
        }
        let purpose = if path.contains("/agent/") { Purpose::Agent } else { Purpose::Client };
        match path.rsplit('/').next().unwrap_or_default() {
            "cacerts" => {
                let mut list = vec![self.ca.issuing.der().to_vec(), self.ca.root.der().to_vec()];
                list.extend(self.look(|inner| inner.announces.clone()));
                certificates(&list)
            }
            "simpleenroll" => self.enroll(purpose, authorization, body, shown),
            "simplereenroll" => self.reenroll(purpose, body, shown),
            "certificate" => self.check(shown),
            name if path.contains("/renewal-info/") => self.renewal_info(name, shown),
            _ => problem(404, "no-such-page", &[]),
        }
    }

    fn issuers(&self) -> Vec<(IssuerId, IssuerCert)> {
        let mut all = vec![(IssuerId(0), self.ca.issuing.clone())];
        self.look(|inner| all.extend(inner.signs_with.iter().map(|ca| (IssuerId(1), ca.issuing.clone()))));
        all
    }

    /// What stands against a shown certificate.
    fn credential(&self, shown: Option<PeerCert>) -> Result<PeerCert, Response> {
        let Some(cert) = shown else { return Err(problem(401, "no-certificate", &[])) };
        let refusal = if self.look(|inner| inner.revoked.contains(&cert.serial)) {
            "revoked-certificate"
        } else if self.now() > cert.not_after {
            "expired-certificate"
        } else if self.now() < cert.not_before {
            "not-yet-valid-certificate"
        } else {
            return Ok(cert);
        };
        Err(problem(403, refusal, &[]))
    }

    fn enroll(&self, purpose: Purpose, code: Option<&str>, body: &[u8], shown: Option<PeerCert>) -> Response {
        let Some(request) = request(body) else { return problem(400, "bad-request", &[]) };
        if let Some(code) = code {
            let expected = format!("Basic {}", STANDARD.encode(format!("enroll:{CODE}")));
            let refusal = self.look(|inner| {
                let key = request.public_key();
                if code != expected {
                    Some("wrong-code")
                } else if !inner.code_open {
                    Some("code-lapsed")
                } else if inner.code_key.as_ref().is_some_and(|used| used != key) {
                    Some("code-used")
                } else {
                    inner.code_key = Some(key.clone());
                    None
                }
            });
            if let Some(refusal) = refusal {
                return problem(if refusal == "wrong-code" { 401 } else { 403 }, refusal, &[]);
            }
        } else if let Err(answer) = self.credential(shown) {
            return answer;
        }
        self.issue(purpose, request.public_key())
    }

    fn reenroll(&self, purpose: Purpose, body: &[u8], shown: Option<PeerCert>) -> Response {
        let Some(request) = request(body) else { return problem(400, "bad-request", &[]) };
        let cert = match self.credential(shown) {
            Ok(cert) => cert,
            Err(answer) => return answer,
        };
        let newest = self.issued(purpose).into_iter().max_by_key(|issued| issued.not_after);
        let own = self.issued(purpose).into_iter().find(|issued| issued.serial == cert.serial);
        let Some(renewed) = own.or(newest) else { return problem(409, "nothing-to-renew", &[]) };
        let san = cert.terminal.san_uri(purpose).expect("a terminal's");
        if request.asks_for(&renewed.der, &san).is_err() {
            return problem(400, "names-differ", &[]);
        }
        self.issue(purpose, request.public_key())
    }

    fn issue(&self, purpose: Purpose, key: &PublicKey) -> Response {
        let now = self.now();
        let same = self.look(|inner| {
            let same = |issued: &&Issued| issued.key == *key && issued.purpose == purpose && now.0 - issued.at.0 < DAY;
            inner.issued.iter().find(same).map(|issued| issued.der.clone())
        });
        if let Some(der) = same {
            return certificates(&[der]);
        }
        let (life, back) = self.look(|inner| (inner.life_days, inner.backdate_days));
        let validity =
            Validity { not_before: now.plus_seconds(-600 - back * DAY), not_after: now.plus_seconds(life * DAY) };
        let terminal = self
            .look(|inner| inner.mistaken)
            .map_or_else(|| self.terminal.clone(), |id| Terminal { id, ..self.terminal.clone() });
        let leaf = self.look(|inner| {
            let ca = inner.signs_with.as_ref().unwrap_or(&self.ca);
            leaf(ca, &terminal, purpose, key, validity, &self.entropy)
        });
        let (der, serial) = leaf;
        let issued =
            Issued { der: der.clone(), serial, purpose, not_after: validity.not_after, at: now, key: key.clone() };
        self.look(|inner| inner.issued.push(issued));
        certificates(&[der])
    }

    fn check(&self, shown: Option<PeerCert>) -> Response {
        let cert = match self.credential(shown) {
            Ok(cert) => cert,
            Err(answer) => return answer,
        };
        self.look(|inner| inner.proven.insert(cert.serial));
        let kind = if cert.purpose == Purpose::Agent { "agent" } else { "terminal" };
        json(&format!(
            "{{\"serial\":\"{}\",\"not_after\":\"{}\",\"days_left\":1,\"standing\":\"fresh\",\"kind\":\"{kind}\",\
             \"terminal\":{{\"id\":\"{}\",\"name\":\"受付1\"}}}}",
            cert.serial, cert.not_after, cert.terminal
        ))
    }

    fn renewal_info(&self, name: &str, shown: Option<PeerCert>) -> Response {
        if let Err(answer) = self.credential(shown) {
            return answer;
        }
        let found = self.look(|inner| {
            let issued = inner.issued.iter().find(|issued| {
                let id = |bytes: &[u8]| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes);
                name.ends_with(&format!(".{}", id(issued.serial.as_bytes())))
            });
            issued.map(|issued| {
                let usual = Window {
                    start: issued.not_after.plus_seconds(-90 * DAY),
                    end: issued.not_after.plus_seconds(-60 * DAY),
                };
                inner.windows.get(&(issued.purpose == Purpose::Agent)).copied().unwrap_or(usual)
            })
        });
        let Some(Window { start, end }) = found else { return problem(404, "no-such-certificate", &[]) };
        let mut answer = json(&format!(
            "{{\"suggestedWindow\":{{\"start\":\"{start}\",\"end\":\"{end}\"}},\"explanationURL\":null}}"
        ));
        answer.headers.push(("retry-after".into(), "21600".into()));
        answer
    }

    /// A certificate of the portal's own for its listener.
    pub fn server_certificate(&self, ca: &Ca) -> (LeafKey, Vec<Vec<u8>>) {
        let key = LeafKey::generate(KeyKind::P256).expect("a key");
        let now = self.now();
        let validity = Validity { not_before: now.plus_seconds(-600), not_after: now.plus_seconds(300 * DAY) };
        let hosts = [Host::Dns("localhost".into()), Host::Ip("127.0.0.1".parse().expect("an address"))];
        let serial = Serial::build(validity.not_after, random(&self.entropy));
        let profile = profile(Purpose::Server, &[KeyKind::P256]);
        let prepared =
            issue::prepare_server(&profile, &hosts, key.public_key(), &ca.issuing, &Urls::default(), serial, validity);
        let leaf = prepared.expect("prepared").sign(&ca.signer).expect("signed");
        (key, vec![leaf.der, ca.issuing.der().to_vec()])
    }
}

/// A certificate for a terminal.
pub fn leaf(
    ca: &Ca,
    terminal: &Terminal,
    purpose: Purpose,
    key: &PublicKey,
    validity: Validity,
    entropy: &SeededEntropy,
) -> (Vec<u8>, Serial) {
    let subject = Subject {
        country: "JP",
        organization: "山田医院".into(),
        common_name: format!("JP_{}_{}", terminal.customer, terminal.client),
    };
    let permit = operator_permit(&Actor::Operator { name: "test".into() }, terminal).expect("an operator may");
    let serial = Serial::build(validity.not_after, random(entropy));
    let profile = profile(purpose, &[KeyKind::P256, KeyKind::Rsa3072, KeyKind::Rsa2048]);
    let request = Request { subject: &subject, key, serial, validity };
    let prepared = issue::prepare(permit, &profile, request, &ca.issuing, &Urls::default()).expect("prepared");
    (prepared.sign(&ca.signer).expect("signed").der, serial)
}

pub fn terminal(byte: u8) -> Terminal {
    Terminal {
        id: TerminalId::from_random([byte; 16]),
        customer: CustomerId::new(1).expect("valid"),
        client: ClientNumber::new(1).expect("valid"),
        name: "受付1".into(),
        created_at: Timestamp(0),
        retired_at: None,
        blocked_at: None,
        deferred_on: None,
    }
}

fn profile(purpose: Purpose, key_kinds: &[KeyKind]) -> Profile {
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

fn request(body: &[u8]) -> Option<csr::Csr> {
    csr::parse(&STANDARD.decode(body).ok()?).ok()
}

fn certificates(list: &[Vec<u8>]) -> Response {
    let list: Vec<&[u8]> = list.iter().map(Vec::as_slice).collect();
    let text = STANDARD.encode(pkcs7::certs_only(&list).expect("encodable"));
    let lines: Vec<&str> = (0..text.len()).step_by(76).map(|at| &text[at..text.len().min(at + 76)]).collect();
    let headers = vec![("content-type".to_owned(), "application/pkcs7-mime; smime-type=certs-only".to_owned())];
    Response { status: 200, headers, body: lines.join("\r\n").into_bytes() }
}

fn json(text: &str) -> Response {
    Response { status: 200, headers: vec![("content-type".into(), "application/json".into())], body: text.into() }
}

pub fn problem(status: u16, code: &str, headers: &[(&str, &str)]) -> Response {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let body = format!("{{\"code\":\"{code}\",\"title\":\"{code}\",\"detail\":\"refused for a test: {code}\"}}");
    Response { status, headers, body: body.into_bytes() }
}
