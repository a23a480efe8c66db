//! A CA, two clinics and their terminals, at half past eight on a Monday in Japan.

use std::sync::Arc;

use tegata_authority::ceremony::{self, Folders};
use tegata_authority::custody::Passphrase;
use tegata_authority::rollover;
use tegata_authority::{
    Authority, Identity, IssueOrder, KeyPool, NewSession, NewUser, Parts, Rules, Session, SessionLookup,
};
use tegata_core::access::{Actor, Role};
use tegata_core::audit::Row;
use tegata_core::cert::CertRecord;
use tegata_core::customer::{Customer, CustomerKind};
use tegata_core::peer::PeerCert;
use tegata_core::profile::{KeyKind, ProfileSettings, Purpose};
use tegata_core::secret::Secret;
use tegata_core::terminal::{FileNameTemplate, Terminal};
use tegata_core::time::{Clock, Days, Timestamp};
use tegata_pki::issue::Urls;
use tegata_store::{Database, OpenMode, Store};
use tegata_testkit::{FixedClock, Register, SeededEntropy};

pub const PASSWORD: &str = "asa-no-uketsuke";

pub struct Bed {
    pub folder: tempfile::TempDir,
    pub clock: Arc<FixedClock>,
    pub authority: Authority,
    pub sunny: Customer,
    pub blue: Customer,
    register: Register,
}

/// Where certificate status would be answered.
pub const STATUS: &str = "http://status.example.jp";

pub fn operator() -> Actor {
    Actor::Operator { name: "test".into() }
}

fn profile(purpose: Purpose) -> ProfileSettings {
    ProfileSettings {
        purpose,
        key_kinds: vec![KeyKind::P256, KeyKind::Rsa2048],
        validity_years: Some(3),
        validity_days: None,
        renewal_window_days: 90,
        carry_over_days: 130,
        spread_days: 10,
    }
}

async fn open(folder: &std::path::Path, register: &Register, clock: Arc<FixedClock>, first: bool) -> Authority {
    let database = Database::parse(register.setting(), folder).expect("the testkit's own");
    let store = Store::open(database, OpenMode::Create).await.expect("opens");
    let folders = || Folders { keys: folder, certificates: folder };
    let pass = Passphrase::new(b"a passphrase for tests".to_vec()).expect("long enough");
    let entropy = Arc::new(SeededEntropy::new(if first { 1 } else { 2 }));
    if first {
        ceremony::create(&store, folders(), "テスト認証局", &pass, &*clock, &*entropy).await.expect("made");
    }
    let urls = Urls { crl_base: Some(STATUS.into()), ..Urls::default() };
    let (ca, vault) = ceremony::open(&store, folders(), &pass, urls, &*clock).await.expect("opens");
    let rules = Rules {
        terminal_profile: profile(Purpose::Client).validate("terminal").expect("valid"),
        agent_profile: Some(profile(Purpose::Agent).validate("agent").expect("valid")),
        server_profile: profile(Purpose::Server).validate("server").expect("valid"),
        daily_certificates: 24,
        file_name: FileNameTemplate::new("{customer6}_JP_{user}_{client}.p12").expect("valid"),
        bundle_days: 7,
        session_hours: 12,
    };
    let keys = KeyPool::start(KeyKind::P256, 0);
    Authority::new(Parts { store, ca, vault, keys, rules, clock, entropy })
}

impl Bed {
    pub async fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let register = Register::fresh(folder.path());
        Self::over(folder, register).await
    }

    /// With its register in a file, whatever the environment names: for what only files have.
    pub async fn in_a_file() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let register = Register::file(folder.path());
        Self::over(folder, register).await
    }

    async fn over(folder: tempfile::TempDir, register: Register) -> Self {
        let clock = Arc::new(FixedClock::at("2026-11-22T23:30:00Z"));
        let authority = open(folder.path(), &register, clock.clone(), true).await;
        let add = async |code: &str, name: &str| {
            let customer = authority
                .add_customer(&operator(), None, CustomerKind::Clinic, code.parse().expect("digits"), name)
                .await
                .expect("added");
            let new = |user: &str| NewUser {
                customer: customer.id,
                name: user.into(),
                password: Secret::new(PASSWORD.into()),
                role: Role::TerminalUser,
            };
            authority.add_user(&operator(), new("uketsuke")).await.expect("added");
            authority.add_user(&operator(), new(&format!("only-{code}"))).await.expect("added");
            customer
        };
        let sunny = add("103001", "ひだまりクリニック").await;
        let blue = add("103002", "あおぞら歯科医院").await;
        Self { folder, clock, authority, sunny, blue, register }
    }

    /// The same deployment after a restart of the process.
    pub async fn restarted(self) -> Self {
        self.authority.close().await;
        let authority = open(self.folder.path(), &self.register, self.clock.clone(), false).await;
        Self { authority, ..self }
    }

    /// Another handle on the register, as another process has one.
    pub async fn another(&self) -> Store {
        let database = Database::parse(self.register.setting(), self.folder.path()).expect("the testkit's own");
        Store::open(database, OpenMode::Existing).await.expect("opens")
    }

    /// Another node of the same deployment.
    pub async fn another_node(&self) -> Authority {
        open(self.folder.path(), &self.register, self.clock.clone(), false).await
    }

    /// Opens the CA as another process would; the certificate that it would sign with.
    pub async fn open_once(&self) -> tegata_pki::issuer::IssuerCert {
        let database = Database::parse(self.register.setting(), self.folder.path()).expect("the testkit's own");
        let store = Store::open(database, OpenMode::Existing).await.expect("opens");
        let folders = Folders { keys: self.folder.path(), certificates: self.folder.path() };
        let pass = Passphrase::new(b"a passphrase for tests".to_vec()).expect("long enough");
        let opened = ceremony::open(&store, folders, &pass, Urls::default(), &*self.clock).await;
        store.close().await;
        opened.expect("opens").0.cert
    }

    /// A new issuing CA, which signs after a restart.
    pub async fn roll_over(&self) -> tegata_pki::issuer::IssuerCert {
        let database = Database::parse(self.register.setting(), self.folder.path()).expect("the testkit's own");
        let store = Store::open(database, OpenMode::Existing).await.expect("opens");
        let folders = Folders { keys: self.folder.path(), certificates: self.folder.path() };
        let pass = Passphrase::new(b"a passphrase for tests".to_vec()).expect("long enough");
        let made = rollover::roll_over(&store, folders, &pass, &operator(), &*self.clock, &SeededEntropy::new(5)).await;
        store.close().await;
        made.expect("rolled over")
    }

    pub fn pass_days(&self, days: i64) {
        self.clock.set(self.clock.now().plus_days(Days(days)));
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// A terminal whose certificate, in use, ends in so many days of Japan, at 14:00.
    pub async fn terminal(&self, customer: &Customer, name: &str, days_left: i64) -> (Terminal, PeerCert) {
        let terminal = self.authority.add_terminal(&operator(), customer.id, None, name).await.expect("added");
        let day = self.now().plus_days(Days(days_left)).jst_date().to_string();
        let end = Timestamp::parse(&day).expect("a date");
        let handover = self
            .authority
            .issue(&operator(), &terminal, IssueOrder { end: Some(end), ..IssueOrder::default() })
            .await
            .expect("issued");
        self.authority.handed_over(&operator(), &handover.certificate).await.expect("erased");
        let peer = peer(&handover.certificate);
        self.authority.first_use(&peer).await.expect("used");
        (terminal, peer)
    }

    pub async fn identity(&self, peer: &PeerCert) -> Identity {
        self.authority.identify(peer).await.expect("read").expect("known")
    }

    pub async fn log_in(&self, peer: &PeerCert) -> (Session, NewSession) {
        let identity = self.identity(peer).await;
        let new =
            self.authority.login(&identity, "uketsuke", Secret::new(PASSWORD.into()), None).await.expect("logged in");
        match self.authority.session(new.token.expose(), &identity).await.expect("read") {
            SessionLookup::Live(session) => (session, new),
            other => panic!("{other:?}"),
        }
    }

    /// The actions in the operation log, oldest first.
    pub async fn actions(&self) -> Vec<String> {
        let mut rows: Vec<Row> =
            self.authority.reader().audit_rows(operator().scope(), None, 1000).await.expect("read");
        rows.reverse();
        rows.into_iter().map(|row| row.action).collect()
    }

    pub async fn count(&self, action: &str) -> usize {
        self.actions().await.iter().filter(|a| *a == action).count()
    }
}

/// A certificate as the gate would present it.
pub fn peer(cert: &CertRecord) -> PeerCert {
    PeerCert {
        fingerprint: cert.fingerprint,
        serial: cert.serial,
        issuer: cert.issuer,
        terminal: cert.terminal,
        purpose: Purpose::Client,
        not_before: cert.not_before,
        not_after: cert.not_after,
    }
}
