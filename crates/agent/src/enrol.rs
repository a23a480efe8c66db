//! The beginning of an agent, and its end: with a code that somebody read out, or with a certificate that is already there; and everything
//! removed again.

use std::cell::Cell;
use std::path::{Path, PathBuf};

use tegata_core::invitation::Code;
use tegata_core::profile::Purpose;
use tegata_core::time::Timestamp;
use tegata_pki::pkcs12::{self, OpenError};

use crate::credential::Credential;
use crate::engine::{self, Agent, AgentError, Tick, Urge, World};
use crate::est::Server;
use crate::files;
use crate::setback::Setback;
use crate::settings::{Settings, StoreSettings};
use crate::slot::{IDENTITY, slots};
use crate::state::State;
use crate::trust::{Trust, TrustError};

/// How to know the service's CA at the first contact.
#[derive(Clone, Debug)]
pub enum Anchor {
    /// Its root certificate, and that of the portal's server certificate where it is another (PEM).
    Pem(String),
    /// SHA-256 of its root certificate.
    Fingerprint(String),
    /// What lies in the bundle that is adopted.
    Bundle,
}

/// What an agent begins with.
pub struct Beginning {
    /// The server, the stores, and so on.
    pub settings: Settings,
    /// Whom to believe.
    pub anchor: Anchor,
}

/// Why an agent did not begin.
#[derive(Debug, thiserror::Error)]
pub enum EnrolError {
    /// As with any round.
    #[error(transparent)]
    Agent(#[from] AgentError),
    /// The server, or the way to it.
    #[error("{}", .0.text)]
    Server(Setback),
    /// The CA.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// The bundle.
    #[error("the bundle cannot be adopted: {0}")]
    Bundle(#[from] OpenError),
    /// The certificate in it is an agent's own.
    #[error("the bundle holds an agent's own identity; adopt the certificate of a terminal")]
    NotPublished,
    /// It cannot prove anything any more.
    #[error("the certificate in the bundle is not valid now (until {0}); enrol with a code instead")]
    NotValid(Timestamp),
    /// The folder belongs to an agent that works.
    #[error("an agent for {0} works in this folder already; use `tegata agent renew --now`, or `uninstall` it first")]
    Already(String),
    /// The folder belongs to an agent of another server.
    #[error("this folder is of an agent for {0}; `uninstall` it first")]
    OtherServer(String),
}

impl From<files::FileError> for EnrolError {
    fn from(error: files::FileError) -> Self {
        Self::Agent(error.into())
    }
}

impl From<Setback> for EnrolError {
    fn from(setback: Setback) -> Self {
        Self::Server(setback)
    }
}

/// Begins with a code, or gives an agent whose identity is lost or over a new one. Calling it again with the same code after a crash or a
/// lost connection goes on where it was.
pub fn enroll(
    root: &Path,
    world: &World<'_>,
    now: Timestamp,
    beginning: Beginning,
    code: &Code,
) -> Result<Tick, EnrolError> {
    let mut agent = begin(root, world, now, beginning, None)?;
    let all = slots(&agent.view.settings, root);
    let Some(identity) = all.first() else { return Ok(agent.tick(world, now, Urge::Start)?) };
    let number = identity.generations.current()?;
    let works = identity.generations.load(number, &agent.view.trust)?.is_some_and(|cert| cert.is_valid(now));
    if works {
        return Err(EnrolError::Already(agent.view.settings.server.clone()));
    }
    let same = identity.pending(now)?.and_then(|pending| pending.code);
    if same.is_none_or(|before| before.whole().expose() != code.whole().expose()) {
        identity.prepare(None, Some(code), now)?;
    }
    drop(all);
    agent.view.state = State::default(); // whatever was waited for, this is the new beginning
    Ok(agent.tick(world, now, Urge::Now(Some(IDENTITY))).and_then(|first| rest(&mut agent, world, now, first))?)
}

/// Begins with a certificate that is there: it is the proof, and becomes the first one of the first store.
pub fn adopt(
    root: &Path,
    world: &World<'_>,
    now: Timestamp,
    beginning: Beginning,
    bundle: &[u8],
    password: &str,
) -> Result<Tick, EnrolError> {
    let opened = pkcs12::open(bundle, password)?;
    let mut agent = begin(root, world, now, beginning, Some(&opened.chain))?;
    let credential = Credential::new(opened.key, opened.leaf, &agent.view.trust)?;
    if credential.about().purpose != Purpose::Client {
        return Err(EnrolError::NotPublished);
    }
    if !credential.is_valid(now) {
        return Err(EnrolError::NotValid(credential.about().not_after));
    }
    let all = slots(&agent.view.settings, root);
    let place = all.iter().find(|slot| slot.purpose == Purpose::Client);
    if let Some(slot) = place
        && slot.generations.numbers()?.is_empty()
    {
        slot.generations.add(&credential)?;
    }
    drop(all);
    let first = agent.tick(world, now, Urge::Start)?;
    Ok(rest(&mut agent, world, now, first)?)
}

/// The first round may have given the identity that the others wait for.
fn rest(agent: &mut Agent, world: &World<'_>, now: Timestamp, first: Tick) -> Result<Tick, AgentError> {
    let mut tick = agent.tick(world, now, Urge::Due)?;
    tick.news = first.news.into_iter().chain(tick.news).collect();
    Ok(tick)
}

/// The folder, the settings and whom to believe.
fn begin(
    root: &Path,
    world: &World<'_>,
    now: Timestamp,
    beginning: Beginning,
    chain: Option<&[Vec<u8>]>,
) -> Result<Agent, EnrolError> {
    let Beginning { mut settings, anchor } = beginning;
    settings.check().map_err(AgentError::from)?;
    files::is_ours(root)?;
    files::make_folder(root)?;
    let lock = engine::lock(root)?;
    let file = engine::settings_file(root);
    if let Some(text) = files::read_text(&file)? {
        let before = Settings::parse(&text).map_err(AgentError::from)?;
        if before.server != settings.server {
            return Err(EnrolError::OtherServer(before.server));
        }
        let added: Vec<(String, StoreSettings)> = settings.stores.into_iter().collect();
        settings = before;
        for (name, store) in added {
            settings.stores.entry(name).or_insert(store);
        }
    }
    let trust = first_trust(&settings.server, world, now, &anchor, chain)?;
    trust.save(&root.join("trust"))?;
    // Last: with this file the agent exists.
    files::write(&file, settings.to_toml().map_err(AgentError::from)?.as_bytes())?;
    Ok(Agent::open_locked(root, lock)?)
}

fn first_trust(
    base: &str,
    world: &World<'_>,
    now: Timestamp,
    anchor: &Anchor,
    chain: Option<&[Vec<u8>]>,
) -> Result<Trust, EnrolError> {
    let ahead = Cell::new(None);
    let server = |roots| Server { transport: world.transport, base, roots, now, ahead: &ahead };
    let mut trust = match (anchor, chain) {
        (Anchor::Pem(text), _) => Trust::from_pem(text)?,
        (Anchor::Fingerprint(expected), _) => Trust::from_fingerprint(expected, &server(&[]).ca_certificates(false)?)?,
        (Anchor::Bundle, chain) => Trust::from_bundle(chain.unwrap_or_default(), &server(&[]).ca_certificates(false)?)?,
    };
    // Now over a connection that is verified.
    let announced = server(trust.roots()).ca_certificates(true)?;
    trust.learn(&announced);
    if trust.issuers().next().is_none() { Err(TrustError::NoRoot.into()) } else { Ok(trust) }
}

/// What an uninstallation leaves behind.
pub struct Left {
    /// Files and databases that certificates were put into.
    pub places: Vec<PathBuf>,
}

/// Removes the agent: its keys, its settings, its memory. What it put into stores stays, since programs may still use it; the operator
/// revokes what is no longer wanted.
pub fn uninstall(root: &Path) -> Result<Left, AgentError> {
    let agent = Agent::open(root)?;
    let stores = agent.view.settings.stores.values();
    let places = stores.map(|store| store.place().1.to_owned()).filter(|path| !path.starts_with(root)).collect();
    // Without its settings no other agent begins here, and Windows does not remove a folder with the lock open in it.
    files::remove(&engine::settings_file(root))?;
    drop(agent);
    files::remove_folder(root)?;
    Ok(Left { places })
}
