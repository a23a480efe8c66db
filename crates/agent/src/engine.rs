//! One round of an agent's work: `tick` does what is due at one instant and says when it wants to be called again. The clock, chance and the
//! network are arguments, so that years pass in seconds in a simulation. Every step can be cut off at any point: the next round takes up
//! whatever lies on disk.

use std::cell::Cell;
use std::path::{Path, PathBuf};

use tegata_core::secret::{Entropy, random};
use tegata_core::time::Timestamp;

use crate::files::{self, FileError, Lock};
use crate::hooks::Hooks;
use crate::round::Round;
use crate::schedule::{self, Draw};
use crate::settings::{Settings, SettingsError};
use crate::slot::slots;
use crate::state::State;
use crate::transport::Transport;
use crate::trust::Trust;

/// More than this many seconds between two clocks is worth a word.
pub(crate) const SKEW_SECONDS: i64 = 300;

/// Why an agent does not run.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// Another process works in the folder.
    #[error("another tegata agent works in {}", .0.display())]
    Locked(PathBuf),
    /// No settings: nobody enrolled here.
    #[error("{}: no agent is enrolled here; run: tegata agent enroll --server URL --code CODE", .0.display())]
    NotEnrolled(PathBuf),
    /// The settings are wrong.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// A file.
    #[error(transparent)]
    File(#[from] FileError),
}

/// What an agent works with and cannot be asked to trust blindly: the way to the server, and chance.
#[derive(Clone, Copy)]
pub struct World<'a> {
    /// The way to the server.
    pub transport: &'a dyn Transport,
    /// Chance.
    pub entropy: &'a dyn Entropy,
}

/// How urgent a round is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Urge<'a> {
    /// Only what is due.
    Due,
    /// The machine or the agent has just started, or woken up: look, even if it was not time yet.
    Start,
    /// Renew now: everything, or the certificate of this name.
    Now(Option<&'a str>),
}

/// How things stand after a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// Nothing to do, or done.
    Good,
    /// Something did not work and will be tried again.
    Later,
    /// A person is needed.
    Human,
}

impl Outcome {
    /// The exit code of `once`: 0, 10 or 20.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Good => 0,
            Self::Later => 10,
            Self::Human => 20,
        }
    }
}

/// What a round did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tick {
    /// How things stand.
    pub outcome: Outcome,
    /// When to call again.
    pub next: Timestamp,
    /// What happened, one sentence each.
    pub news: Vec<String>,
}

/// What lies in an agent's folder, read at one moment.
pub struct View {
    /// The folder.
    pub root: PathBuf,
    /// Its settings.
    pub settings: Settings,
    /// Whom it believes.
    pub trust: Trust,
    /// What it remembers.
    pub state: State,
}

impl View {
    /// Reads the folder of an enrolled agent, whoever works in it.
    pub fn open(root: &Path) -> Result<Self, AgentError> {
        let text = files::read_text(&settings_file(root))?.ok_or_else(|| AgentError::NotEnrolled(root.to_owned()))?;
        let settings = Settings::parse(&text)?;
        let trust = Trust::load(&root.join("trust"))?;
        Ok(Self { root: root.to_owned(), settings, trust, state: State::load(root)? })
    }
}

/// An agent in its folder, which is its alone for as long as it lives.
pub struct Agent {
    pub(crate) view: View,
    _lock: Lock,
}

/// The file with the settings.
pub(crate) fn settings_file(root: &Path) -> PathBuf {
    root.join("config.toml")
}

/// Takes the folder for this process alone.
pub(crate) fn lock(root: &Path) -> Result<Lock, AgentError> {
    Lock::take(&root.join("lock"))?.ok_or_else(|| AgentError::Locked(root.to_owned()))
}

impl Agent {
    /// Opens an enrolled agent.
    pub fn open(root: &Path) -> Result<Self, AgentError> {
        if !settings_file(root).exists() {
            return Err(AgentError::NotEnrolled(root.to_owned()));
        }
        files::is_ours(root)?;
        Self::open_locked(root, lock(root)?)
    }

    pub(crate) fn open_locked(root: &Path, lock: Lock) -> Result<Self, AgentError> {
        Ok(Self { view: View::open(root)?, _lock: lock })
    }

    /// What lies in its folder.
    pub fn view(&self) -> &View {
        &self.view
    }

    /// Does what is due.
    pub fn tick(&mut self, world: &World<'_>, now: Timestamp, urge: Urge<'_>) -> Result<Tick, AgentError> {
        let view = &mut self.view;
        let scratch = view.root.join("scratch");
        files::remove_folder(&scratch)?; // whatever a crash left of keys there
        files::make_folder(&scratch)?;
        let hooks =
            Hooks { folder: view.root.join("hooks"), scratch: scratch.clone(), seconds: view.settings.hook_seconds };
        let all = slots(&view.settings, &view.root);
        let ahead = Cell::new(None);
        let mut round = Round {
            settings: &view.settings,
            root: &view.root,
            slots: &all,
            trust: &mut view.trust,
            state: &mut view.state,
            ahead: &ahead,
            trust_is_fresh: false,
            next_look: schedule::next_check(now, Draw(u32::from_le_bytes(random(world.entropy)))),
            world,
            hooks,
            scratch: &scratch,
            now,
            news: Vec::new(),
        };
        let mut tick = Tick { outcome: Outcome::Good, next: Timestamp(i64::MAX), news: Vec::new() };
        for slot in &all {
            let (outcome, next) = round.work(slot, urge);
            tick.outcome = tick.outcome.max(outcome);
            tick.next = tick.next.min(next);
        }
        tick.news = round.news;
        tick.next = tick.next.max(now.plus_seconds(1));
        if let Some(ahead) = ahead.get() {
            (view.state.ahead, view.state.last_answer) = (Some(ahead), Some(now));
            if ahead.abs() > SKEW_SECONDS {
                tick.news.push(format!("the server's clock is {ahead} seconds ahead of this machine's: set the clock"));
            }
        }
        view.state.last_run = Some(now);
        view.state.slots.retain(|name, _| all.iter().any(|slot| slot.name == name));
        view.state.save(&view.root)?;
        if let Some(page) = &view.settings.status_page {
            let text = crate::status::Status::of(view, now)?.page();
            if let Err(error) = files::write_with(page, text.as_bytes(), 0o644, None) {
                tick.news.push(format!("status_page: {error}")); // a page is not worth an alarm
            }
        }
        Ok(tick)
    }
}
