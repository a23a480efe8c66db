//! A day in the life, a thousand times over: fifty agents renew against one register for three years, through restarts of the server, cuts
//! in the middle of requests, a new issuing CA, a stolen terminal, and machines that are switched off for weeks or for too long. The
//! clock is ours and the wire is a function call; agents, authority, register and routes are the real ones.

use std::cell::{Cell, RefCell};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use tegata_agent::enrol::{self, Anchor, Beginning};
use tegata_agent::settings::{Settings, StoreSettings};
use tegata_agent::transport::{Assurance, Request, Response, Transport, TransportError};
use tegata_agent::{Agent, Outcome, Urge, World};
use tegata_authority::ceremony::{self, Folders};
use tegata_authority::custody::Passphrase;
use tegata_authority::{Authority, KeyPool, Parts, Rules, rollover};
use tegata_core::access::Actor;
use tegata_core::cert::{CertRecord, RevocationReason};
use tegata_core::customer::CustomerKind;
use tegata_core::id::IssuerId;
use tegata_core::peer::{Peer, PeerCert, Presented};
use tegata_core::profile::{KeyKind, ProfileSettings, Purpose};
use tegata_core::secret::random;
use tegata_core::terminal::{FileNameTemplate, Terminal};
use tegata_core::time::{Clock, Days, Timestamp};
use tegata_gateway::trust::{Trust, TrustSnapshot};
use tegata_pki::issue::Urls;
use tegata_pki::issuer::IssuerCert;
use tegata_pki::{chain, pem};
use tegata_store::{Audience, CertFilter, Database, OpenMode, Store, audit};
use tegata_testkit::{FixedClock, Register, SeededEntropy};
use tegata_web::{Health, PortalConfig, WebState};
use tokio::runtime::Runtime;
use tower::ServiceExt;

const AGENTS: usize = 50;
const DAYS: i64 = 3 * 365;
const SERVER: &str = "https://localhost";
const DAY: i64 = 86_400;
/// Of a thousand requests, so many never arrive, and as many lose their answer.
const CUTS: u32 = 40;

const STOLEN: usize = 0;
const OFF_FOR_A_MONTH: usize = 1;
const OFF_FOR_TOO_LONG: usize = 2;
const SINGLE_AND_OFF_FOR_TOO_LONG: usize = 3;

/// The days on which something happens.
const ROLL_OVER: i64 = 400;
const THEFT: i64 = 500;
const ADVICE: i64 = 800;

/// Everything behind the wire, and the wire.
struct Service {
    runtime: Runtime,
    folder: PathBuf,
    register: Register,
    clock: Arc<FixedClock>,
    authority: RefCell<Authority>,
    router: RefCell<Router>,
    issuers: RefCell<Vec<(IssuerId, IssuerCert)>>,
    trust: RefCell<Trust>,
    chance: SeededEntropy,
    is_down: Cell<bool>,
    answered: Cell<u32>,
    cut: Cell<u32>,
}

fn operator() -> Actor {
    Actor::Operator { name: "test".into() }
}

fn pass() -> Passphrase {
    Passphrase::new(b"a passphrase for tests".to_vec()).expect("long enough")
}

fn profile(purpose: Purpose, days: i64, window: i64) -> ProfileSettings {
    ProfileSettings {
        purpose,
        key_kinds: vec![KeyKind::P256],
        validity_years: None,
        validity_days: Some(days),
        renewal_window_days: window,
        carry_over_days: 160,
        spread_days: 10,
    }
}

async fn open(folder: &Path, register: &Register, clock: Arc<FixedClock>, seed: u64) -> Authority {
    let database = Database::parse(register.setting(), folder).expect("the testkit's own");
    let store = Store::open(database, OpenMode::Create).await.expect("opens");
    let folders = || Folders { keys: folder, certificates: folder };
    let entropy = Arc::new(SeededEntropy::new(seed));
    if seed == 1 {
        ceremony::create(&store, folders(), "テスト認証局", &pass(), &*clock, &*entropy).await.expect("made");
    }
    let (ca, vault) = ceremony::open(&store, folders(), &pass(), Urls::default(), &*clock).await.expect("opens");
    let rules = Rules {
        terminal_profile: profile(Purpose::Client, 180, 62).validate("terminal").expect("valid"),
        agent_profile: Some(profile(Purpose::Agent, 365, 120).validate("agent").expect("valid")),
        server_profile: profile(Purpose::Server, 365, 60).validate("server").expect("valid"),
        daily_certificates: 24,
        file_name: FileNameTemplate::new("{customer6}_JP_{user}_{client}.p12").expect("valid"),
        bundle_days: 7,
        session_hours: 12,
    };
    Authority::new(Parts { store, ca, vault, keys: KeyPool::start(KeyKind::P256, 0), rules, clock, entropy })
}

fn router(authority: &Authority) -> Router {
    tegata_web::programs_router(Arc::new(WebState {
        authority: authority.clone(),
        portal: PortalConfig {
            service_name: "Tegata".into(),
            operator_name: "test".into(),
            support_phone: None,
            support_hours: None,
            own_url: SERVER.into(),
            alias_urls: vec![],
            applications: vec![],
            sends_mail: false,
        },
        csrf_key: authority.derived_key("form tokens"),
        entropy: Arc::new(SeededEntropy::new(11)),
        health: Arc::new(|| Health { ready: true, problems: vec![] }),
    }))
}

impl Service {
    fn new(folder: &Path) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let clock = Arc::new(FixedClock::at("2026-11-24T00:00:00Z"));
        let register = Register::fresh(folder);
        let authority = runtime.block_on(open(folder, &register, clock.clone(), 1));
        let snapshot = TrustSnapshot {
            issuers: vec![],
            renewal_window: Days(62),
            as_of: clock.now(),
            revoked: [].into_iter().collect(),
            superseded: [].into_iter().collect(),
            unused: [].into_iter().collect(),
        };
        let service = Self {
            router: RefCell::new(router(&authority)),
            trust: RefCell::new(Trust::new(snapshot, DAY.unsigned_abs())),
            issuers: RefCell::new(vec![]),
            authority: RefCell::new(authority),
            folder: folder.to_owned(),
            chance: SeededEntropy::new(77),
            is_down: Cell::new(false),
            answered: Cell::new(0),
            cut: Cell::new(0),
            runtime,
            register,
            clock,
        };
        service.refresh();
        service
    }

    fn authority(&self) -> Authority {
        self.authority.borrow().clone()
    }

    /// The process ends and starts again, with whatever lies on disk.
    fn restart(&self, seed: u64) {
        let before = self.authority();
        let after = self.runtime.block_on(async {
            before.close().await;
            open(&self.folder, &self.register, self.clock.clone(), seed).await
        });
        *self.router.borrow_mut() = router(&after);
        self.authority.replace(after);
        self.refresh();
    }

    /// The gate's picture, as the trust feed takes it.
    fn refresh(&self) {
        let authority = self.authority();
        let scope = Actor::System { job: "gate" }.scope();
        let (rows, issuers) = self.runtime.block_on(async {
            let rows = authority.reader().trust_rows(scope, self.clock.now()).await.expect("read");
            (rows, authority.reader().issuers(scope).await.expect("read"))
        });
        let issuers: Vec<_> =
            issuers.into_iter().map(|row| (row.id, IssuerCert::from_der(&row.der).expect("a CA"))).collect();
        self.issuers.replace(issuers.clone());
        self.trust.borrow().replace(TrustSnapshot {
            issuers,
            renewal_window: Days(62),
            as_of: self.clock.now(),
            revoked: rows.revoked.into_iter().collect(),
            superseded: rows.superseded.into_iter().collect(),
            unused: rows.unused.into_iter().collect(),
        });
    }

    /// As the listener and the middleware for first uses do.
    fn answer(&self, request: &Request<'_>) -> Response {
        let leaf = request.credential.map(|credential| credential.leaf());
        let presented = match leaf.map(|leaf| chain::identify(leaf, &self.issuers.borrow())) {
            None => Presented::None,
            Some(None) => Presented::Foreign,
            Some(Some(cert)) => Presented::Ours(cert),
        };
        let state = self.trust.borrow().state(&presented, self.clock.now());
        let peer = Peer { presented, state };
        if let Some(cert) = peer.credential()
            && self.trust.borrow().is_unused(cert)
        {
            self.runtime.block_on(self.authority().first_use(cert)).expect("written down");
            self.refresh();
        }
        let path = request.url.strip_prefix(SERVER).expect("our server");
        let mut asked = http::Request::builder().method(request.method).uri(path).header("host", "localhost");
        for (name, value) in &request.headers {
            asked = asked.header(*name, value.expose());
        }
        // Each from an address of its own: the limit of codes for one address counts in real time.
        let from = SocketAddr::from((self.answered.get().to_be_bytes(), 40_000));
        let asked = asked.extension(peer).extension(from).body(Body::from(request.body.to_vec()));
        let router = self.router.borrow().clone();
        self.runtime.block_on(async {
            let (head, body) = router.oneshot(asked.expect("a request")).await.expect("never fails").into_parts();
            let text = |value: &http::HeaderValue| value.to_str().unwrap_or_default().to_owned();
            let headers = head.headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect();
            let body = to_bytes(body, 1_000_000).await.expect("a body").to_vec();
            Response { status: head.status.as_u16(), headers, body }
        })
    }

    /// Whether the server's certificate leads to one of these roots.
    fn is_trusted(&self, assurance: Assurance<'_>) -> bool {
        match assurance {
            Assurance::None => true,
            Assurance::Roots(roots) => roots
                .iter()
                .filter_map(|root| IssuerCert::from_der(root).ok())
                .any(|root| self.authority.borrow().ca().cert.is_signed_by(&root)),
        }
    }
}

impl Transport for Service {
    fn send(&self, request: &Request<'_>) -> Result<Response, TransportError> {
        if self.is_down.get() {
            return Err(TransportError::Connect("localhost".into(), "refused".into()));
        }
        if !self.is_trusted(request.assurance) {
            return Err(TransportError::Certificate("unknown issuer".into()));
        }
        let fate = u32::from_be_bytes(random(&self.chance)) % 1000;
        if fate < CUTS {
            self.cut.set(self.cut.get() + 1);
            return Err(TransportError::Broken("before the request arrived".into()));
        }
        let answer = self.answer(request);
        self.answered.set(self.answered.get() + 1);
        if fate < 2 * CUTS {
            self.cut.set(self.cut.get() + 1);
            return Err(TransportError::Broken("before the answer arrived".into()));
        }
        Ok(answer)
    }
}

/// One terminal and the agent on it.
struct Machine {
    terminal: Terminal,
    folder: PathBuf,
    single: bool,
    /// How its last round ended.
    outcome: Outcome,
}

impl Machine {
    /// Somebody types the code that the operator read out, as often as the line makes necessary.
    fn enroll(&mut self, service: &Service) {
        let (authority, operator) = (service.authority(), operator());
        // No `expect` on what holds a code: it would want to print it.
        let invited = service.runtime.block_on(authority.invite(&operator, &self.terminal, 60, false));
        let Ok(invitation) = invited else { panic!("not invited") };
        let root = pem::certificate(service.authority().ca().root.der());
        let chance = SeededEntropy::new(u64::from(self.terminal.client.number()));
        let world = World { transport: service, entropy: &chance };
        for _ in 0..20 {
            let mut settings = Settings::new(SERVER, self.single);
            let (name, store) = StoreSettings::parse(&format!("pem:{}", self.published().display())).expect("a store");
            settings.stores.insert(name, store);
            let beginning = Beginning { settings, anchor: Anchor::Pem(root.clone()) };
            let now = service.clock.now();
            match enrol::enroll(&self.folder, &world, now, beginning, &invitation.code) {
                Err(enrol::EnrolError::Already(_)) => break,
                Ok(tick) if tick.outcome == Outcome::Good => break,
                _ => service.clock.set(now.plus_seconds(60)),
            }
        }
        // Where the line was cut after the identity came, the agent itself goes on.
        for _ in 0..20 {
            let next = self.tick(service, Urge::Due);
            if self.outcome == Outcome::Good {
                return;
            }
            service.clock.set(next);
        }
        panic!("{} did not enrol", self.terminal.client);
    }

    fn published(&self) -> PathBuf {
        self.folder.join("published")
    }

    fn tick(&mut self, service: &Service, urge: Urge<'_>) -> Timestamp {
        let chance =
            SeededEntropy::new(service.clock.now().0.unsigned_abs() ^ u64::from(self.terminal.client.number()));
        let world = World { transport: service, entropy: &chance };
        let mut agent = Agent::open(&self.folder).expect("it is enrolled");
        let tick = agent.tick(&world, service.clock.now(), urge).expect("it works");
        self.outcome = tick.outcome;
        tick.next
    }

    /// The certificate that its programs use.
    fn certificate(&self, service: &Service) -> PeerCert {
        let text = std::fs::read_to_string(self.published().join("current/cert.pem")).expect("published");
        let der = pem::certificates(&text).expect("PEM").remove(0);
        chain::identify(&der, &service.issuers.borrow()).expect("ours")
    }
}

fn is_off(number: usize, day: i64) -> bool {
    match number {
        OFF_FOR_A_MONTH => (120..150).contains(&day),
        OFF_FOR_TOO_LONG | SINGLE_AND_OFF_FOR_TOO_LONG => (100..700).contains(&day),
        _ => false,
    }
}

/// Terminals whose certificate may end, since they are stolen or off past the end.
fn may_end(number: usize, day: i64) -> bool {
    match number {
        STOLEN => day >= THEFT,
        OFF_FOR_TOO_LONG | SINGLE_AND_OFF_FOR_TOO_LONG => (100..=700).contains(&day),
        _ => false,
    }
}

/// Folders in memory where there is such a place: what is synchronised a million times need not reach a disk here.
fn place() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    made.expect("a temporary folder")
}

fn machines(service: &Service, folder: &Path) -> Vec<Machine> {
    let authority = service.authority();
    let code = "103001".parse().expect("six digits");
    let customer = service.runtime.block_on(authority.add_customer(
        &operator(),
        None,
        CustomerKind::Clinic,
        code,
        "ひだまりクリニック",
    ));
    let customer = customer.expect("added").id;
    let add = |number: usize| {
        let name = format!("端末{number}");
        let terminal = service.runtime.block_on(authority.add_terminal(&operator(), customer, None, &name));
        Machine {
            terminal: terminal.expect("added"),
            folder: folder.join(format!("agent-{number}")),
            single: number % 5 == SINGLE_AND_OFF_FOR_TOO_LONG,
            outcome: Outcome::Later,
        }
    };
    (0..AGENTS).map(add).collect()
}

/// What happens on this day besides.
fn happenings(service: &Service, machines: &mut [Machine], day: i64) {
    let seed = 1000 + day.unsigned_abs();
    match day {
        ROLL_OVER => {
            let made = service.runtime.block_on(async {
                let database = Database::parse(service.register.setting(), &service.folder).expect("the testkit's own");
                let store = Store::open(database, OpenMode::Existing).await.expect("opens");
                let folders = Folders { keys: &service.folder, certificates: &service.folder };
                let entropy = SeededEntropy::new(seed);
                let made = rollover::roll_over(&store, folders, &pass(), &operator(), &*service.clock, &entropy).await;
                store.close().await;
                made
            });
            made.expect("rolled over");
            service.restart(seed);
        }
        THEFT => {
            let authority = service.authority();
            let terminal = machines[STOLEN].terminal.id;
            service.runtime.block_on(async {
                let scope = operator().scope();
                let all = authority.reader().certificates_of_terminal(scope, terminal).await.expect("read");
                for cert in all.iter().filter(|cert| cert.revoked.is_none()) {
                    // Some are revoked already: a compromised key takes along what was renewed from it.
                    let _ = authority.revoke(&operator(), cert, RevocationReason::KeyCompromise).await;
                }
            });
            service.refresh();
        }
        700 => {
            for number in [OFF_FOR_TOO_LONG, SINGLE_AND_OFF_FOR_TOO_LONG] {
                machines[number].tick(service, Urge::Start);
                assert_eq!(machines[number].outcome, Outcome::Human, "an expired agent says that it needs somebody");
                machines[number].enroll(service);
            }
        }
        ADVICE => {
            let until = service.clock.now().plus_days(Days(3));
            let authority = service.authority();
            let advised = service.runtime.block_on(authority.advise(&operator(), Audience::Everybody, until, None));
            advised.expect("the operator may");
        }
        _ if day % 30 == 7 => service.restart(seed),
        _ => {}
    }
}

/// One day, from opening to closing: each machine that is on starts, and its agent looks again when it wants to.
fn live_through(service: &Service, machines: &mut [Machine], day: i64, opening: Timestamp) {
    let mut wakes: BinaryHeap<Reverse<(Timestamp, usize, bool)>> = BinaryHeap::new();
    for number in (0..machines.len()).filter(|number| !is_off(*number, day)) {
        let on = u32::from_be_bytes(random(&service.chance)) % 7 < 2;
        if on {
            wakes.push(Reverse((opening.plus_seconds(number as i64 * 7), number, true)));
        }
    }
    let (noon, closing) = (opening.plus_seconds(DAY / 6), opening.plus_seconds(DAY * 3 / 8));
    while let Some(Reverse((at, number, starts))) = wakes.pop() {
        service.clock.set(at);
        // On some days the server is away for an hour.
        service.is_down.set(day % 11 == 3 && at >= noon && at < noon.plus_seconds(3600));
        let next = machines[number].tick(service, if starts { Urge::Start } else { Urge::Due });
        if next < closing {
            wakes.push(Reverse((next.max(at.plus_seconds(1)), number, false)));
        }
    }
    service.is_down.set(false);
}

#[test]
fn fifty_agents_over_three_years_and_no_terminal_is_ever_locked_out() {
    let folder = place();
    let place_of_server = folder.path().join("server");
    std::fs::create_dir(&place_of_server).expect("made");
    let service = Service::new(&place_of_server);
    let mut machines = machines(&service, folder.path());
    machines.iter_mut().for_each(|machine| machine.enroll(&service));
    let first = service.clock.now().plus_days(Days(1));
    for day in 0..DAYS {
        let opening = first.plus_days(Days(day));
        service.clock.set(opening);
        service.refresh();
        happenings(&service, &mut machines, day);
        live_through(&service, &mut machines, day, opening);
        let evening = opening.plus_seconds(DAY * 3 / 8);
        service.clock.set(evening);
        for (number, machine) in machines.iter().enumerate().filter(|(number, _)| !may_end(*number, day)) {
            let end = machine.certificate(&service).not_after;
            assert!(end > evening, "day {day}: terminal {number} ended at {end}");
        }
    }
    assert!(service.cut.get() > 1000, "the line was cut {} times", service.cut.get());
    check_outcomes(&service, &machines);
    service.runtime.block_on(check_register(&service.authority(), &machines));
}

fn check_outcomes(service: &Service, machines: &[Machine]) {
    assert_eq!(machines[STOLEN].outcome, Outcome::Human, "a stolen terminal gets nothing any more");
    let newest = service.issuers.borrow().last().expect("issuers").0;
    for (number, machine) in machines.iter().enumerate().filter(|(number, _)| *number != STOLEN) {
        assert_ne!(machine.outcome, Outcome::Human, "terminal {number}");
        assert_eq!(machine.certificate(service).issuer, newest, "terminal {number} renewed from the new CA");
    }
}

async fn check_register(authority: &Authority, machines: &[Machine]) {
    let scope = operator().scope();
    let all = authority.reader().certificates(scope, &CertFilter::default(), 100_000).await.expect("read");
    for (number, machine) in machines.iter().enumerate() {
        for profile in ["terminal", "agent"] {
            let mut mine: Vec<&CertRecord> =
                all.iter().filter(|cert| cert.terminal == machine.terminal.id && cert.profile == profile).collect();
            mine.sort_by_key(|cert| cert.issued_at);
            for two in mine.windows(2) {
                let days = (two[1].issued_at.0 - two[0].issued_at.0) / DAY;
                assert!(days >= 20, "terminal {number} got two of {profile} within {days} days");
            }
            let unused = mine.iter().filter(|cert| cert.used_at.is_none()).count();
            assert!(unused == 0 || number == STOLEN, "terminal {number}: {unused} of {profile} were never used");
            let expected = if machine.single && profile == "agent" { 0 } else { 3 };
            assert!(mine.len() >= expected || number == STOLEN, "terminal {number}: {} of {profile}", mine.len());
        }
        let after = all.iter().filter(|cert| cert.terminal == machine.terminal.id);
        assert!(number != STOLEN || after.clone().all(|cert| cert.revoked.is_some()), "the thief has nothing");
    }
    let mut rows = authority.reader().audit_rows(scope, None, u32::MAX >> 1).await.expect("read");
    rows.reverse();
    audit::verify(&rows, None).expect("the operation log is whole");
    let clones = rows.iter().filter(|row| row.action == "terminal.clone-suspected").count();
    assert_eq!(clones, 0, "no false alarm");
}
