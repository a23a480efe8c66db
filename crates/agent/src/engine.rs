//! One round of an agent's work: `tick` does what is due at one instant and says when it wants to be called again. The clock, chance and the
//! network are arguments, so that years pass in seconds in a simulation. Every step can be cut off at any point: the next round takes up
//! whatever lies on disk.

use std::cell::Cell;
use std::path::{Path, PathBuf};

use tegata_core::secret::{Entropy, random};
use tegata_core::time::Timestamp;

use crate::credential::Credential;
use crate::est::{Proof, Server};
use crate::files::{self, FileError, Lock};
use crate::hooks::{Event, Hooks};
use crate::schedule::{self, Draw};
use crate::setback::{Remedy, Setback};
use crate::settings::{Settings, SettingsError};
use crate::slot::{IDENTITY, Slot, slots};
use crate::state::{SlotState, State};
use crate::store::{self, Surroundings};
use crate::transport::Transport;
use crate::trust::{Expectation, Trust, TrustError};

/// A start looks anew unless somebody looked less than this many seconds ago.
const RECENT_SECONDS: i64 = 3600;
/// A person is told of what mends itself only after so many tries: more than an hour.
const PATIENCE: u32 = 5;
const DAY: i64 = 86_400;
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

/// A round: everything that its steps share.
struct Round<'a> {
    settings: &'a Settings,
    root: &'a Path,
    slots: &'a [Slot<'a>],
    trust: &'a mut Trust,
    state: &'a mut State,
    ahead: &'a Cell<Option<i64>>,
    world: &'a World<'a>,
    hooks: Hooks,
    scratch: &'a Path,
    now: Timestamp,
    news: Vec<String>,
}

/// What a try came to.
enum Progress {
    /// It is not time to try again yet.
    Waiting,
    /// All is done that was due.
    Done,
}

impl Round<'_> {
    fn draw(&self) -> Draw {
        Draw(u32::from_le_bytes(random(self.world.entropy)))
    }

    fn server(&self) -> Server<'_> {
        Server {
            transport: self.world.transport,
            base: &self.settings.server,
            roots: self.trust.roots(),
            now: self.now,
            ahead: self.ahead,
        }
    }

    /// Does what is due for one certificate; gives how it stands and when to look again.
    fn work(&mut self, slot: &Slot<'_>, urge: Urge<'_>) -> (Outcome, Timestamp) {
        if slot.name != IDENTITY && self.waits_for_identity(slot).unwrap_or(false) {
            return (Outcome::Good, Timestamp(i64::MAX)); // the identity says what is wrong and when to go on
        }
        let mut memory = self.state.slot(slot.name);
        match self.attempt(slot, &mut memory, urge) {
            Ok(Progress::Waiting) => {}
            Ok(Progress::Done) => {
                (memory.failures, memory.retry_at, memory.setback, memory.told_at) = (0, None, None, None);
            }
            Err(setback) => self.note(slot, &mut memory, setback),
        }
        let current = slot.generations.current().and_then(|number| slot.generations.load(number, self.trust));
        let current = current.ok().flatten();
        self.warn(slot, &mut memory, current.as_ref());
        let outcome = match &memory.setback {
            None => Outcome::Good,
            Some(setback) if setback.needs_human() => Outcome::Human,
            Some(_) => Outcome::Later,
        };
        let looks = memory.next_check.unwrap_or(self.now);
        let next = match (memory.retry_at, &current) {
            (Some(at), _) => at,
            (None, Some(current)) => looks.min(schedule::renewal(current.validity(), memory.window, memory.draw)),
            (None, None) => looks,
        };
        self.state.slots.insert(slot.name.to_owned(), memory);
        (outcome, next)
    }

    /// Whether a store has no certificate, and nothing is there by which it could get one.
    fn waits_for_identity(&self, slot: &Slot<'_>) -> Result<bool, Setback> {
        let number = slot.generations.current()?.max(slot.generations.candidate()?);
        Ok(number == 0 && self.valid_credential(slot, None)?.is_none())
    }

    fn attempt(&mut self, slot: &Slot<'_>, memory: &mut SlotState, urge: Urge<'_>) -> Result<Progress, Setback> {
        let now = self.now;
        let forced = match urge {
            Urge::Now(name) => name.is_none_or(|name| name == slot.name),
            Urge::Due | Urge::Start => false,
        };
        if !forced && memory.retry_at.is_some_and(|at| now < at) {
            return Ok(Progress::Waiting);
        }
        let mut number = slot.generations.current()?;
        let mut current = slot.generations.load(number, self.trust)?;
        if memory.generation != number {
            let deployed = memory.deployed;
            *memory = SlotState { generation: number, draw: self.draw(), deployed, ..SlotState::default() };
        }
        let candidate = slot.generations.candidate()?;
        let pending_code = slot.pending(now)?.is_some_and(|pending| pending.code.is_some());
        if candidate == 0 {
            let due = match &current {
                None => true,
                Some(_) if forced || pending_code => true,
                Some(cert) => self.is_due(slot, cert, memory, urge)?,
            };
            if due {
                let fetched = self.obtain(slot, current.as_ref())?;
                (number, current) = self.finish(slot, fetched, current.map(|cert| (number, cert)), memory)?;
            }
        } else {
            (number, current) = self.finish(slot, candidate, current.map(|cert| (number, cert)), memory)?;
        }
        if let Some(current) = &current {
            self.deploy(slot, number, current, memory)?;
        }
        Ok(Progress::Done)
    }

    /// Asks the server about a certificate when it is time to; gives whether it is to be renewed now.
    fn is_due(
        &mut self,
        slot: &Slot<'_>,
        current: &Credential,
        memory: &mut SlotState,
        urge: Urge<'_>,
    ) -> Result<bool, Setback> {
        let now = self.now;
        let started = urge == Urge::Start && memory.last_check.is_none_or(|at| now.0 - at.0 >= RECENT_SECONDS);
        let asks = started || memory.next_check.is_none_or(|at| now >= at);
        let is_due = |memory: &SlotState| now >= schedule::renewal(current.validity(), memory.window, memory.draw);
        if !asks {
            return Ok(is_due(memory));
        }
        self.refresh_trust()?;
        let shown = self.valid_credential(slot, Some(current))?;
        let advice = self.server().renewal_info(current, shown.as_ref().unwrap_or(current))?;
        memory.last_check = Some(now);
        let usual = schedule::next_check(now, self.draw());
        memory.next_check = Some(match &advice {
            Some(advice) => advice.ask_again.map_or(usual, |seconds| {
                // Between a minute and a day, whatever the server says; and never all agents at once.
                let asked = now.plus_seconds(seconds.clamp(60, DAY));
                if seconds > 4 * 3600 { asked.max(usual) } else { asked }
            }),
            None => usual,
        });
        memory.window = advice.as_ref().map(|advice| advice.window);
        memory.explanation_url = advice.and_then(|advice| advice.explanation_url);
        Ok(is_due(memory))
    }

    /// Learns new roots and issuing CAs.
    fn refresh_trust(&mut self) -> Result<(), Setback> {
        let announced = self.server().ca_certificates(true)?;
        if self.trust.learn(&announced) {
            self.trust.save(&self.root.join("trust"))?;
            self.news.push("the server has new CA certificates; they were taken up beside the old ones".into());
        }
        Ok(())
    }

    /// A certificate of the terminal that can be shown now: the one that is meant, the identity, or any other.
    fn valid_credential(&self, slot: &Slot<'_>, current: Option<&Credential>) -> Result<Option<Credential>, Setback> {
        if current.is_some_and(|cert| cert.is_valid(self.now)) {
            let number = slot.generations.current()?;
            return Ok(slot.generations.load(number, self.trust)?);
        }
        for other in self.slots {
            for number in [other.generations.current()?, other.generations.candidate()?] {
                if let Some(cert) = other.generations.load(number, self.trust)?
                    && cert.is_valid(self.now)
                {
                    return Ok(Some(cert));
                }
            }
        }
        Ok(None)
    }

    /// Gets a new certificate and puts it down as a generation that is not current yet.
    fn obtain(&mut self, slot: &Slot<'_>, current: Option<&Credential>) -> Result<u32, Setback> {
        let shown = self.valid_credential(slot, current)?;
        let like = current.or(shown.as_ref());
        let pending = match slot.pending(self.now)? {
            Some(pending) => pending,
            None => slot.prepare(like, None, self.now)?,
        };
        let proof = match (&pending.code, &shown, current) {
            (Some(code), _, _) => Proof::Code(code),
            (None, Some(shown), Some(_)) => Proof::Renewed(shown),
            (None, Some(shown), None) => Proof::Certificate(shown),
            // Expired: the server says so itself, and may know better.
            (None, None, Some(current)) => Proof::Renewed(current),
            (None, None, None) => {
                let text = "no valid certificate and no enrolment code is left: enrol again with a new code";
                return Err(Setback::new("not-enrolled", text, Remedy::Refused));
            }
        };
        let mut answer = self.server().enroll(slot.purpose, &proof, &pending.request);
        if let (Err(setback), Some(shown)) = (&answer, &shown)
            && setback.code == "nothing-to-renew"
        {
            answer = self.server().enroll(slot.purpose, &Proof::Certificate(shown), &pending.request);
        }
        let answer = answer.inspect_err(|setback| {
            // Refused for good: the next request shall have a new key, and a code that is not right is not sent again.
            if setback.remedy == Remedy::Refused {
                drop(slot.forget_pending()); // what the server said is what matters
            }
        })?;
        let terminal = like.map(Credential::terminal);
        let replaces = current.filter(|_| pending.code.is_none());
        let credential = self.accept(answer, &pending.key, slot, terminal, replaces)?;
        let number = slot.generations.add(&credential)?;
        slot.forget_pending()?;
        Ok(number)
    }

    /// Believes an answer, if it is what was asked for; asks for new CAs first where the signer is not known.
    fn accept(
        &mut self,
        answer: Vec<Vec<u8>>,
        key: &tegata_pki::key::LeafKey,
        slot: &Slot<'_>,
        terminal: Option<tegata_core::id::TerminalId>,
        replaces: Option<&Credential>,
    ) -> Result<Credential, Setback> {
        let expected = || {
            let key = tegata_pki::key::LeafKey::from_pkcs8(key.pkcs8().expose());
            let key = key.map_err(|error| Setback::new("key", error.to_string(), Remedy::Local))?;
            Ok::<_, Setback>(Expectation { key, purpose: slot.purpose, terminal, replaces, now: self.now })
        };
        match self.trust.accept(answer.clone(), expected()?) {
            Err(TrustError::Stranger) => {
                let again = expected()?;
                self.refresh_trust()?;
                Ok(self.trust.accept(answer, again)?)
            }
            other => Ok(other?),
        }
    }

    /// Proves a fetched generation by a handshake of its own, puts it into its stores, and makes it the current one.
    fn finish(
        &mut self,
        slot: &Slot<'_>,
        number: u32,
        old: Option<(u32, Credential)>,
        memory: &mut SlotState,
    ) -> Result<(u32, Option<Credential>), Setback> {
        let Some(new) = slot.generations.load(number, self.trust)? else {
            slot.generations.discard(number)?;
            let text = format!("generation {number} on disk cannot be used and was thrown away");
            return Err(Setback::new("generation", text, Remedy::Later));
        };
        let checked = self.server().check(&self.settings.check_url(), &new);
        let checked = checked.or_else(|setback| match setback.remedy {
            Remedy::Refused => {
                slot.generations.discard(number)?;
                let text = format!("the new certificate was not accepted, the old one stays: {}", setback.text);
                Err(Setback { text, ..setback })
            }
            _ => Err(setback),
        })?;
        self.state.terminal_name = Some(checked.terminal.name);
        let (generation, before) =
            (slot.generations.path(number), old.as_ref().map(|(number, _)| slot.generations.path(*number)));
        let around = Surroundings { entropy: self.world.entropy, scratch: self.scratch, generation: &generation };
        for (name, settings) in &slot.stores {
            let old = old.as_ref().map(|(_, cert)| cert).zip(before.as_deref());
            store::replace(&*store::open(settings), name, &new, old, &around)
                .map_err(|error| Setback::new("store", format!("store {name}: {error}"), Remedy::Local))?;
        }
        slot.generations.switch(number)?;
        let proven_at = Some(self.now);
        *memory = SlotState {
            generation: number,
            draw: self.draw(),
            deployed: memory.deployed,
            proven_at,
            ..SlotState::default()
        };
        self.news.push(format!(
            "{}: a new certificate is in use, until {}",
            slot.name,
            new.about().not_after.jst_text()
        ));
        Ok((number, Some(new)))
    }

    /// What comes after a switch: leftovers go, and the hook is called. Done again until it succeeds.
    fn deploy(
        &mut self,
        slot: &Slot<'_>,
        number: u32,
        current: &Credential,
        memory: &mut SlotState,
    ) -> Result<(), Setback> {
        if memory.deployed == number {
            return Ok(());
        }
        let before = slot.generations.numbers()?.into_iter().filter(|other| *other < number).max().unwrap_or(0);
        let previous = slot.generations.load(before, self.trust)?;
        let (generation, old) = (slot.generations.path(number), slot.generations.path(before));
        for (name, settings) in &slot.stores {
            let around = Surroundings { entropy: self.world.entropy, scratch: self.scratch, generation: &old };
            store::open(settings)
                .tidy(current, previous.as_ref(), &around)
                .map_err(|error| Setback::new("store-tidy", format!("store {name}: {error}"), Remedy::Local))?;
            let mut variables = variables(slot, Some(current), self.now);
            let (kind, path) = settings.place();
            variables.extend([
                ("STORE", (*name).to_owned()),
                ("STORE_KIND", kind.to_owned()),
                ("STORE_PATH", path.display().to_string()),
                ("CHAIN_FILE", generation.join("chain.pem").display().to_string()),
            ]);
            self.hooks
                .call(Event::Deploy, &variables)
                .map_err(|error| Setback::new("hook-deploy", format!("hook deploy: {error}"), Remedy::Local))?;
        }
        slot.generations.prune()?;
        memory.deployed = number;
        Ok(())
    }

    /// Writes down what did not work, and tells a person where one is needed.
    fn note(&mut self, slot: &Slot<'_>, memory: &mut SlotState, setback: Setback) {
        let now = self.now;
        if setback.remedy == Remedy::TooEarly {
            (memory.failures, memory.setback) = (0, None);
            memory.retry_at = Some(setback.retry_after.map_or_else(
                || schedule::next_check(now, self.draw()),
                |seconds| now.plus_seconds(seconds.clamp(60, DAY)),
            ));
            self.news.push(format!("{}: {}", slot.name, setback.text));
            return;
        }
        memory.failures = memory.failures.saturating_add(1);
        memory.retry_at = Some(match setback.remedy {
            Remedy::Refused => schedule::after_refusal(now, self.draw()),
            _ => schedule::retry(now, memory.failures, setback.retry_after, self.draw()),
        });
        self.news.push(format!("{}: {} [{}]", slot.name, setback.text, setback.code));
        let is_new = memory.setback.as_ref().is_none_or(|before| before.code != setback.code);
        let matters = setback.needs_human() || memory.failures >= PATIENCE;
        let old_news = memory.told_at.is_some_and(|at| now.0 - at.0 < DAY);
        if matters && (!old_news || is_new && setback.needs_human()) {
            let mut variables = variables(slot, None, now);
            variables.extend([("CODE", setback.code.clone()), ("MESSAGE", setback.text.clone())]);
            if let Err(error) = self.hooks.call(Event::Failed, &variables) {
                self.news.push(format!("hook failed: {error}"));
            }
            memory.told_at = Some(now);
        }
        memory.setback = Some(setback);
    }

    /// Once a day, where the end comes near although the renewal should be over.
    fn warn(&mut self, slot: &Slot<'_>, memory: &mut SlotState, current: Option<&Credential>) {
        let Some(current) = current else { return };
        let (now, end) = (self.now, current.about().not_after);
        let overdue = now > schedule::renewal(current.validity(), memory.window, memory.draw);
        let near = end.jst_days_from(now).0 <= self.settings.expiring_days;
        if overdue && near && memory.warned_at.is_none_or(|at| now.0 - at.0 >= DAY) {
            memory.warned_at = Some(now);
            let mut variables = variables(slot, Some(current), now);
            variables
                .push(("MESSAGE", memory.setback.as_ref().map(|setback| setback.text.clone()).unwrap_or_default()));
            if let Err(error) = self.hooks.call(Event::Expiring, &variables) {
                self.news.push(format!("hook expiring: {error}"));
            }
        }
    }
}

/// What every hook is told.
fn variables(slot: &Slot<'_>, current: Option<&Credential>, now: Timestamp) -> Vec<(&'static str, String)> {
    let mut variables = vec![("CERTIFICATE", slot.name.to_owned()), ("NOW", now.to_string())];
    if let Some(current) = current {
        let about = current.about();
        variables.extend([
            ("SERIAL", about.serial.to_string()),
            ("NOT_AFTER", about.not_after.to_string()),
            ("DAYS_LEFT", about.not_after.jst_days_from(now).to_string()),
            ("TERMINAL", about.terminal.to_string()),
        ]);
    }
    variables
}
