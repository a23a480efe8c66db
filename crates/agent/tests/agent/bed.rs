//! An agent in a folder of its own, with a line to the portal that can be cut.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tegata_agent::credential::{Credential, Generations};
use tegata_agent::engine::View;
use tegata_agent::enrol::{self, Anchor, Beginning, EnrolError};
use tegata_agent::settings::{Settings, StoreSettings};
use tegata_agent::transport::{Request, Response, Transport, TransportError};
use tegata_agent::{Agent, AgentError, IDENTITY, Tick, Urge, World};
use tegata_core::invitation::Code;
use tegata_core::time::{Days, Timestamp};
use tegata_testkit::SeededEntropy;

use crate::portal::{CODE, Portal, at};

pub const SERVER: &str = "https://portal.example.jp";

/// What happens to the next request that a rule fits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// It never arrives.
    Before,
    /// It arrives, and the answer is lost.
    After,
}

/// A way to the portal in memory.
pub struct Line {
    pub portal: Arc<Portal>,
    /// The next requests to paths that end so are cut.
    pub cuts: RefCell<Vec<(&'static str, Cut)>>,
    /// Called before and after each request.
    pub watch: RefCell<Option<Box<dyn FnMut()>>>,
}

impl Line {
    pub fn to(portal: Arc<Portal>) -> Self {
        Self { portal, cuts: RefCell::default(), watch: RefCell::default() }
    }

    pub fn cut(&self, end: &'static str, cut: Cut) {
        self.cuts.borrow_mut().push((end, cut));
    }

    fn watched(&self) {
        if let Some(watch) = self.watch.borrow_mut().as_mut() {
            watch();
        }
    }
}

impl Transport for Line {
    fn send(&self, request: &Request<'_>) -> Result<Response, TransportError> {
        self.watched();
        self.portal.set(request.now);
        let path = request.url.strip_prefix(SERVER).expect("only the server is asked");
        let cut = {
            let mut cuts = self.cuts.borrow_mut();
            cuts.iter().position(|(end, _)| path.ends_with(end)).map(|found| cuts.remove(found).1)
        };
        let lost = || TransportError::Broken("cut for a test".into());
        if cut == Some(Cut::Before) {
            return Err(lost());
        }
        let code = request.headers.iter().find(|(name, _)| *name == "Authorization");
        let code = code.map(|(_, value)| value.expose().clone());
        let shown = request.credential.map(Credential::leaf);
        let answer = self.portal.answer(request.method, path, code.as_deref(), request.body, shown);
        self.watched();
        if cut == Some(Cut::After) { Err(lost()) } else { Ok(answer) }
    }
}

/// An agent's folder, and everything around it.
pub struct Bed {
    pub folder: tempfile::TempDir,
    pub line: Line,
    pub entropy: SeededEntropy,
    pub stores: Vec<(String, StoreSettings)>,
    pub single: bool,
}

/// In memory where there is such a place: years of rounds are flushed to the disk many thousand times.
fn folder() -> tempfile::TempDir {
    let memory = tempfile::tempdir_in("/dev/shm");
    memory.or_else(|_| tempfile::tempdir()).expect("a folder")
}

pub fn start() -> Timestamp {
    at("2026-11-24T01:00:00Z")
}

impl Bed {
    /// With one store, `web`, of PEM files.
    pub fn new() -> Self {
        let mut bed = Self::bare();
        bed.store(&format!("web=pem:{}", bed.place("published").display()));
        bed
    }

    pub fn bare() -> Self {
        let portal = Arc::new(Portal::new(start()));
        Self {
            folder: folder(),
            line: Line::to(portal),
            entropy: SeededEntropy::new(7),
            stores: Vec::new(),
            single: false,
        }
    }

    pub fn store(&mut self, text: &str) {
        self.stores.push(StoreSettings::parse(text).expect("a store"));
    }

    pub fn portal(&self) -> &Portal {
        &self.line.portal
    }

    pub fn place(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn root(&self) -> PathBuf {
        self.place("agent")
    }

    pub fn world(&self) -> World<'_> {
        World { transport: &self.line, entropy: &self.entropy }
    }

    pub fn beginning(&self) -> Beginning {
        let mut settings = Settings::new(SERVER, self.single);
        settings.stores = self.stores.iter().cloned().collect();
        Beginning { settings, anchor: Anchor::Pem(self.portal().ca_pem()) }
    }

    pub fn try_enroll(&self, now: Timestamp, code: &str) -> Result<Tick, EnrolError> {
        self.begin(now, self.beginning(), code)
    }

    pub fn begin(&self, now: Timestamp, beginning: Beginning, code: &str) -> Result<Tick, EnrolError> {
        let code = Code::parse(code).expect("a code");
        if self.root().join("config.toml").exists() {
            drop(open(&self.root()));
        }
        enrol::enroll(&self.root(), &self.world(), now, beginning, &code)
    }

    pub fn enroll(&self) -> Tick {
        self.try_enroll(start(), CODE).expect("enrolled")
    }

    pub fn tick(&self, now: Timestamp, urge: Urge<'_>) -> Tick {
        self.tick_in(&self.root(), now, urge)
    }

    pub fn tick_in(&self, root: &Path, now: Timestamp, urge: Urge<'_>) -> Tick {
        let mut agent = open(root);
        agent.tick(&self.world(), now, urge).expect("a round")
    }

    /// The current certificate of the identity or of a store.
    pub fn current(&self, name: &str) -> Credential {
        self.current_in(&self.root(), name).expect("a certificate")
    }

    pub fn current_in(&self, root: &Path, name: &str) -> Option<Credential> {
        let view = View::open(root).expect("an agent");
        let folder = if name == tegata_agent::IDENTITY { root.join(name) } else { root.join("stores").join(name) };
        let generations = Generations::at(folder);
        let number = generations.current().expect("readable");
        generations.load(number, &view.trust).expect("readable")
    }

    /// Enrolled, and with an identity that is not due before the store's certificate is.
    pub fn enroll_with_a_long_identity(&self) {
        self.enroll();
        self.tick(start().plus_days(Days(200)), Urge::Now(Some(IDENTITY)));
    }

    pub fn view(&self) -> View {
        View::open(&self.root()).expect("an agent")
    }

    /// A hook that writes what it is told to `hook.log`.
    pub fn hook(&self, name: &str, script: &str) {
        let log = self.place("hook.log");
        let text = format!(
            "#!/bin/sh\necho \"$TEGATA_EVENT $TEGATA_CERTIFICATE $TEGATA_CODE\" >> {}\n{script}\n",
            log.display()
        );
        executable(&self.root().join("hooks").join(name), &text);
    }

    pub fn hooked(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.place("hook.log")).unwrap_or_default();
        text.lines().map(|line| line.trim_end().to_owned()).collect()
    }
}

/// Takes the folder. Another test that starts a program holds copies of all open files for a moment, locks too.
pub fn open(root: &Path) -> Agent {
    for _ in 0..200 {
        match Agent::open(root) {
            Err(AgentError::Locked(_)) => std::thread::sleep(std::time::Duration::from_millis(10)),
            other => return other.expect("an agent"),
        }
    }
    panic!("{} stays locked", root.display());
}

pub fn executable(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
    std::fs::write(path, text).expect("written");
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).expect("set");
}
