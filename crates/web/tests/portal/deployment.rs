//! A deployment in a temporary folder, and browsers to visit it with.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use http::header::{ACCEPT, CONTENT_TYPE, COOKIE, HOST, LOCATION, SET_COOKIE};
use http::{HeaderMap, Method, Request, StatusCode};
use tegata_authority::ceremony::{self, Folders};
use tegata_authority::custody::Passphrase;
use tegata_authority::{Authority, IssueOrder, KeyPool, NewUser, Parts, PickUpRules, Rules};
use tegata_core::access::{Actor, Role};
use tegata_core::cert::{CertRecord, RevocationReason};
use tegata_core::customer::CustomerKind;
use tegata_core::id::Fingerprint;
use tegata_core::peer::{Peer, PeerCert, PeerState, Presented};
use tegata_core::profile::{KeyKind, ProfileSettings, Purpose};
use tegata_core::renewal::{Standing, standing};
use tegata_core::secret::Secret;
use tegata_core::terminal::{FileNameTemplate, Terminal};
use tegata_core::time::{Clock, Timestamp};
use tegata_pki::issue::Urls;
use tegata_store::{Database, OpenMode, Store};
use tegata_testkit::{FixedClock, Register, SeededEntropy};
use tegata_web::{Health, OrcaState, PortalConfig, Tile, WebState, orca_router, router};
use tower::ServiceExt;

pub const USER: &str = "uketsuke";
pub const PASSWORD: &str = "correct horse";
/// The administrator of the same customer.
pub const ADMIN: &str = "kanri";
/// The operator's staff: an officer, the help desk, an auditor.
pub const STAFF: [(&str, Role); 3] =
    [("officer", Role::CaOfficer), ("madoguchi", Role::HelpDesk), ("kansa", Role::Auditor)];
/// A user of the other customer.
pub const STRANGER: &str = "yakkyoku";
const HOST_NAME: &str = "localhost:8443";

/// A register, a CA, two customers: the first with two terminals, the second with one; and the operator, with one.
pub struct Deployment {
    pub router: Router,
    pub authority: Authority,
    pub clock: Arc<FixedClock>,
    /// 受付1, 60 days left.
    pub due: CertRecord,
    /// 診察室, nearly three years left.
    pub fresh: CertRecord,
    /// 薬局, of the other customer.
    pub other: CertRecord,
    /// 運用1, of the operator itself; 60 days left.
    pub desk: CertRecord,
    pub operator: Actor,
    _folder: tempfile::TempDir,
    _register: Register,
}

impl Deployment {
    pub async fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let clock = Arc::new(FixedClock::at("2026-11-22T01:00:00Z"));
        let register = Register::fresh(folder.path());
        let authority = open(folder.path(), &register, clock.clone()).await;
        let operator = Actor::Operator { name: "test".into() };
        let code = |digits: &str| digits.parse().expect("six digits");
        let midori = authority
            .add_customer(&operator, None, CustomerKind::Clinic, code("103001"), "みどり医院")
            .await
            .expect("registered");
        let sakura = authority
            .add_customer(&operator, None, CustomerKind::Clinic, code("103002"), "さくら薬局")
            .await
            .expect("registered");
        let people = [
            (midori.id, USER, Role::TerminalUser),
            (midori.id, ADMIN, Role::CustomerAdmin),
            (sakura.id, STRANGER, Role::CustomerAdmin),
        ];
        let kind = CustomerKind::Operator;
        let center =
            authority.add_customer(&operator, None, kind, code("000001"), "運用センター").await.expect("registered");
        let staff = STAFF.map(|(name, role)| (center.id, name, role));
        for (customer, name, role) in people.into_iter().chain(staff) {
            let password = Secret::new(PASSWORD.to_owned());
            let new = NewUser { customer, name: name.into(), password, role };
            authority.add_user(&operator, new).await.expect("registered");
        }
        let mut certificates = Vec::new();
        for (customer, name, end) in [
            (midori.id, "受付1", Some("2027-01-21")),
            (midori.id, "診察室", None),
            (sakura.id, "薬局", Some("2027-01-21")),
            (center.id, "運用1", Some("2027-01-21")),
        ] {
            let terminal = authority.add_terminal(&operator, customer, None, name).await.expect("registered");
            certificates.push(issue(&authority, &operator, &terminal, end).await);
        }
        let router = router(Arc::new(state(&authority)));
        let [due, fresh, other, desk] = certificates.try_into().expect("four terminals");
        Self { router, authority, clock, due, fresh, other, desk, operator, _folder: folder, _register: register }
    }

    /// A browser that shows this certificate, whatever it is worth now.
    pub fn browser(&self, cert: &CertRecord) -> Browser {
        let agent = cert.profile == "agent";
        let cert = PeerCert {
            fingerprint: cert.fingerprint,
            serial: cert.serial,
            issuer: cert.issuer,
            terminal: cert.terminal,
            purpose: if agent { Purpose::Agent } else { Purpose::Client },
            not_before: cert.not_before,
            not_after: cert.not_after,
        };
        let left = cert.not_after.jst_days_from(self.clock.now());
        let worth = standing(false, cert.not_before, cert.not_after, tegata_core::time::Days(90), self.clock.now());
        let state = match worth {
            Standing::Expired => PeerState::Expired,
            Standing::Due { .. } => PeerState::Due { days_left: left },
            _ => PeerState::Valid { days_left: left },
        };
        self.visitor(Presented::Ours(cert), state)
    }

    /// A browser that shows this, judged so.
    pub fn visitor(&self, presented: Presented, state: PeerState) -> Browser {
        Browser {
            router: self.router.clone(),
            peer: Peer { presented, state },
            cookies: BTreeMap::new(),
            token: String::new(),
            from: None,
        }
    }

    /// A program of ORCA's that shows what this browser shows, at the listener for programs.
    pub fn program(&self, browser: &Browser) -> Browser {
        let state = OrcaState {
            authority: self.authority.clone(),
            rules: PickUpRules { window: None, seconds: 900, downloads: 5 },
            url: "https://localhost:8444".into(),
        };
        Browser { router: orca_router(state), ..browser.clone() }
    }

    /// What time it is there.
    pub fn clock_now(&self) -> Timestamp {
        self.clock.now()
    }

    /// A certificate that our CA signed but the register does not know.
    pub fn unknown(&self) -> CertRecord {
        CertRecord { fingerprint: Fingerprint([9; 32]), ..self.due.clone() }
    }

    pub async fn revoke(&self, cert: &CertRecord) {
        self.authority.revoke(&self.operator, cert, RevocationReason::Unspecified).await.expect("revoked");
    }

    /// As the listener would at the first handshake.
    pub async fn used(&self, browser: &Browser) {
        let Presented::Ours(cert) = &browser.peer.presented else { return };
        self.authority.first_use(cert).await.expect("written down");
    }
}

async fn open(folder: &std::path::Path, register: &Register, clock: Arc<FixedClock>) -> Authority {
    let database = Database::parse(register.setting(), folder).expect("the testkit's own");
    let store = Store::open(database, OpenMode::Create).await.expect("a register");
    let entropy = Arc::new(SeededEntropy::new(7));
    let pass = Passphrase::new(b"a passphrase for tests".to_vec()).expect("long enough");
    let folders = || Folders { keys: folder, certificates: folder };
    ceremony::create(&store, folders(), "Test", &pass, &*clock, &*entropy).await.expect("a CA");
    let (ca, vault) = ceremony::open(&store, folders(), &pass, Urls::default(), &*clock).await.expect("the CA opens");
    let profile = |purpose, name: &str| {
        let settings = ProfileSettings {
            purpose,
            key_kinds: vec![KeyKind::P256],
            validity_years: Some(3),
            validity_days: None,
            renewal_window_days: 90,
            carry_over_days: 130,
            spread_days: 10,
        };
        settings.validate(name).expect("a profile")
    };
    let rules = Rules {
        terminal_profile: profile(Purpose::Client, "terminal"),
        agent_profile: Some(profile(Purpose::Agent, "agent")),
        server_profile: profile(Purpose::Server, "server"),
        daily_certificates: 24,
        file_name: FileNameTemplate::new("{customer6}_JP_{user}_{client}.p12").expect("a template"),
        bundle_days: 7,
        session_hours: 12,
    };
    let keys = KeyPool::start(KeyKind::P256, 0);
    Authority::new(Parts { store, ca, vault, keys, rules, clock, entropy })
}

async fn issue(authority: &Authority, operator: &Actor, terminal: &Terminal, end: Option<&str>) -> CertRecord {
    let end = end.map(|text| Timestamp::parse(text).expect("a time"));
    let handover =
        authority.issue(operator, terminal, IssueOrder { end, ..IssueOrder::default() }).await.expect("issued");
    authority.handed_over(operator, &handover.certificate).await.expect("handed over");
    handover.certificate
}

fn state(authority: &Authority) -> WebState {
    WebState {
        authority: authority.clone(),
        portal: PortalConfig {
            service_name: "Tegata".into(),
            operator_name: "みどり医療情報センター".into(),
            support_phone: Some("0120-000-000".into()),
            support_hours: Some("平日 8:30〜18:00".into()),
            own_url: format!("https://{HOST_NAME}"),
            alias_urls: vec!["https://alt1.localhost:8443".into()],
            sends_mail: true,
            applications: vec![Tile {
                name_ja: "日レセ".into(),
                name_en: "Receipts".into(),
                url: "https://app.example.jp/".into(),
            }],
        },
        csrf_key: authority.derived_key("form tokens"),
        entropy: Arc::new(SeededEntropy::new(11)),
        health: Arc::new(|| Health { ready: true, problems: vec![] }),
    }
}

/// What came back.
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn location(&self) -> &str {
        self.header(LOCATION.as_str())
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The text between the tags of the element with this id.
    pub fn element(&self, id: &str) -> String {
        let text = self.text();
        let (_, rest) = text.split_once(&format!("id=\"{id}\"")).unwrap_or_else(|| panic!("no #{id} in {text}"));
        let mut inside = true;
        let mut depth = 1;
        let mut found = String::new();
        for (at, c) in rest.char_indices() {
            match c {
                '<' => {
                    depth += if rest[at..].starts_with("</") { -1 } else { 1 };
                    if depth == 0 {
                        break;
                    }
                    inside = true;
                }
                '>' => inside = false,
                c if !inside => found.push(c),
                _ => {}
            }
        }
        found
    }
}

/// A browser: keeps cookies, remembers the token of the last form it saw, follows nothing by itself.
#[derive(Clone)]
pub struct Browser {
    router: Router,
    pub peer: Peer,
    pub cookies: BTreeMap<String, String>,
    pub token: String,
    /// From where it connects.
    pub from: Option<std::net::SocketAddr>,
}

impl Browser {
    pub async fn get(&mut self, path: &str) -> Answer {
        self.send(Method::GET, path, None, &[]).await
    }

    /// Sends a form with the token of the last page.
    pub async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let mut form = format!("csrf={}", self.token);
        for (name, value) in fields {
            form.push_str(&format!("&{name}={}", escape(value)));
        }
        self.send(Method::POST, path, Some(form.into_bytes()), &[]).await
    }

    pub async fn send(
        &mut self,
        method: Method,
        path: &str,
        form: Option<Vec<u8>>,
        headers: &[(&str, &str)],
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(path).header(HOST, HOST_NAME);
        if !headers.iter().any(|(name, _)| *name == ACCEPT.as_str()) {
            request = request.header(ACCEPT, "text/html,*/*;q=0.8");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if form.is_some() && !headers.iter().any(|(name, _)| *name == CONTENT_TYPE.as_str()) {
            request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        }
        for (name, value) in &self.cookies {
            request = request.header(COOKIE, format!("{name}={value}"));
        }
        if let Some(from) = self.from {
            request = request.extension(from);
        }
        let request = request.extension(self.peer.clone()).body(form.map_or(Body::empty(), Body::from));
        let answer = self.router.clone().oneshot(request.expect("a request")).await.expect("never fails");
        let (parts, body) = answer.into_parts();
        let body = to_bytes(body, 10_000_000).await.expect("a body").to_vec();
        let answer = Answer { status: parts.status, headers: parts.headers, body };
        self.remember(&answer);
        answer
    }

    fn remember(&mut self, answer: &Answer) {
        for line in answer.headers.get_all(SET_COOKIE) {
            let line = line.to_str().expect("ascii");
            let (name, rest) = line.split_once('=').expect("a cookie");
            let value = rest.split(';').next().unwrap_or_default();
            if line.ends_with("Max-Age=0") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        if let Some((_, rest)) = answer.text().split_once("name=\"csrf\" value=\"") {
            self.token = rest.split('"').next().unwrap_or_default().to_owned();
        }
    }

    /// Logs in as 受付 and looks at the menu.
    pub async fn log_in(&mut self, user: &str) -> Answer {
        self.get("/login").await;
        let answer = self.post("/login", &[("user", user), ("password", PASSWORD)]).await;
        assert_eq!((answer.status, answer.location()), (StatusCode::SEE_OTHER, "/menu"), "{}", answer.text());
        self.get("/menu").await
    }
}

fn escape(value: &str) -> String {
    value
        .bytes()
        .map(|b| if b.is_ascii_alphanumeric() { char::from(b).to_string() } else { format!("%{b:02X}") })
        .collect()
}
