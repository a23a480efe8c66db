//! One round's work for one certificate: ask, renew, prove, put in place, call hooks, and what follows when something does not work. Each step
//! takes up whatever an earlier round left on disk.

use std::cell::Cell;
use std::path::Path;

use tegata_core::secret::random;
use tegata_core::time::Timestamp;

use crate::credential::Credential;
use crate::engine::{Outcome, Urge, World};
use crate::est::{Proof, Server};
use crate::hooks::{Event, Hooks};
use crate::schedule::{self, Draw};
use crate::setback::{Remedy, Setback};
use crate::settings::Settings;
use crate::slot::{IDENTITY, Slot};
use crate::state::{SlotState, State};
use crate::store::{self, Surroundings};
use crate::trust::{Expectation, Trust, TrustError};

/// A start looks anew unless somebody looked less than this many seconds ago.
const RECENT_SECONDS: i64 = 3600;
/// A person is told of what mends itself only after so many tries: more than an hour.
const PATIENCE: u32 = 5;
const DAY: i64 = 86_400;

/// A round: everything that its steps share.
pub(crate) struct Round<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) root: &'a Path,
    pub(crate) slots: &'a [Slot<'a>],
    pub(crate) trust: &'a mut Trust,
    pub(crate) state: &'a mut State,
    pub(crate) ahead: &'a Cell<Option<i64>>,
    /// The CAs were asked for in this round.
    pub(crate) trust_is_fresh: bool,
    /// When to look again at what is looked at in this round: one draw for all, so that they stay together.
    pub(crate) next_look: Timestamp,
    pub(crate) world: &'a World<'a>,
    pub(crate) hooks: Hooks,
    pub(crate) scratch: &'a Path,
    pub(crate) now: Timestamp,
    pub(crate) news: Vec<String>,
}

/// The certificate that is in use.
#[derive(Default)]
struct Held {
    number: u32,
    current: Option<Credential>,
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
    pub(crate) fn work(&mut self, slot: &Slot<'_>, urge: Urge<'_>) -> (Outcome, Timestamp) {
        if slot.name != IDENTITY && self.waits_for_identity(slot).unwrap_or(false) {
            return (Outcome::Good, Timestamp(i64::MAX)); // the identity says what is wrong and when to go on
        }
        let mut memory = self.state.slot(slot.name);
        let mut held = Held::default();
        match self.attempt(slot, &mut held, &mut memory, urge) {
            Ok(Progress::Waiting) => {}
            Ok(Progress::Done) => {
                (memory.failures, memory.retry_at, memory.setback, memory.told_at) = (0, None, None, None);
            }
            Err(setback) => self.note(slot, &mut memory, setback),
        }
        self.warn(slot, &mut memory, held.current.as_ref());
        let outcome = match &memory.setback {
            None => Outcome::Good,
            Some(setback) if setback.needs_human() => Outcome::Human,
            Some(_) => Outcome::Later,
        };
        let looks = memory.next_check.unwrap_or(self.now);
        let next = match (memory.retry_at, &held.current) {
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
        Ok(number == 0 && self.any_valid()?.is_none())
    }

    fn attempt(
        &mut self,
        slot: &Slot<'_>,
        held: &mut Held,
        memory: &mut SlotState,
        urge: Urge<'_>,
    ) -> Result<Progress, Setback> {
        let now = self.now;
        held.number = slot.generations.current()?;
        held.current = slot.generations.load(held.number, self.trust)?;
        let forced = match urge {
            Urge::Now(name) => name.is_none_or(|name| name == slot.name),
            Urge::Due | Urge::Start => false,
        };
        if !forced && memory.retry_at.is_some_and(|at| now < at) {
            return Ok(Progress::Waiting);
        }
        if memory.generation != held.number {
            let deployed = memory.deployed;
            *memory = SlotState { generation: held.number, draw: self.draw(), deployed, ..SlotState::default() };
        }
        let candidate = slot.generations.candidate()?;
        let pending_code = slot.pending(now)?.is_some_and(|pending| pending.code.is_some());
        let due = match &held.current {
            _ if candidate != 0 => false,
            None => true,
            Some(_) if forced || pending_code => true,
            Some(cert) => self.is_due(cert, memory, urge)?,
        };
        if due {
            let fetched = self.obtain(slot, held.current.as_ref())?;
            self.finish(slot, fetched, held, memory)?;
        } else if candidate != 0 {
            self.finish(slot, candidate, held, memory)?;
        }
        if let Some(current) = &held.current {
            self.deploy(slot, held.number, current, memory)?;
        }
        Ok(Progress::Done)
    }

    /// Asks the server about a certificate when it is time to; gives whether it is to be renewed in this round.
    fn is_due(&mut self, current: &Credential, memory: &mut SlotState, urge: Urge<'_>) -> Result<bool, Setback> {
        let now = self.now;
        let started = urge == Urge::Start && memory.last_check.is_none_or(|at| now.0 - at.0 >= RECENT_SECONDS);
        let asks = started || memory.next_check.is_none_or(|at| now >= at);
        let asked = if asks { self.ask(current, memory) } else { Ok(()) };
        // What is due is renewed even where the server cannot say when it would like that.
        let due = now >= schedule::renewal(current.validity(), memory.window, memory.draw);
        if due { Ok(true) } else { asked.map(|()| false) }
    }

    /// Asks when a certificate should be renewed, and learns new CAs on the way.
    fn ask(&mut self, current: &Credential, memory: &mut SlotState) -> Result<(), Setback> {
        let now = self.now;
        if !self.trust_is_fresh {
            self.refresh_trust()?;
        }
        let other = if current.is_valid(now) { None } else { self.any_valid()? };
        let advice = self.server().renewal_info(current, other.as_ref().unwrap_or(current))?;
        memory.last_check = Some(now);
        let usual = self.next_look;
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
        Ok(())
    }

    /// Learns new roots and issuing CAs.
    fn refresh_trust(&mut self) -> Result<(), Setback> {
        let announced = self.server().ca_certificates(true)?;
        self.trust_is_fresh = true;
        if self.trust.learn(&announced) {
            self.trust.save(&self.root.join("trust"))?;
            self.news.push("the server has new CA certificates; they were taken up beside the old ones".into());
        }
        Ok(())
    }

    /// A certificate of the terminal that can be shown now: the identity's, or any other.
    fn any_valid(&self) -> Result<Option<Credential>, Setback> {
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
        // The certificate that is renewed, while it can be shown; else whatever else there is.
        let valid = current.filter(|current| current.is_valid(self.now));
        let other = if valid.is_some() { None } else { self.any_valid()? };
        let shown = valid.or(other.as_ref());
        let like = current.or(shown);
        let pending = match slot.pending(self.now)? {
            Some(pending) => pending,
            None => slot.prepare(like, None, self.now)?,
        };
        let proof = match (&pending.code, shown, current) {
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
        if let (Err(setback), Some(shown)) = (&answer, shown)
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
    fn finish(&mut self, slot: &Slot<'_>, number: u32, held: &mut Held, memory: &mut SlotState) -> Result<(), Setback> {
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
        let (generation, before) = (slot.generations.path(number), slot.generations.path(held.number));
        let around = Surroundings { entropy: self.world.entropy, scratch: self.scratch, generation: &generation };
        let old = held.current.as_ref().map(|old| (old, before.as_path()));
        for (name, settings) in &slot.stores {
            store::open(settings)
                .and_then(|store| store::replace(&*store, name, &new, old, &around))
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
        (held.number, held.current) = (number, Some(new));
        Ok(())
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
                .and_then(|store| store.tidy(current, previous.as_ref(), &around))
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
