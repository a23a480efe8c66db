//! What the agent remembers between two runs besides keys and certificates. All of it is advice to itself: without the file it asks anew,
//! and nothing is lost but a little patience.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use tegata_core::time::Timestamp;

use crate::files::{self, FileError};
use crate::schedule::{Draw, Window};
use crate::setback::Setback;

const FILE: &str = "state.json";

/// Everything remembered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct State {
    /// When a run last ended.
    pub last_run: Option<Timestamp>,
    /// When the server last answered something.
    pub last_answer: Option<Timestamp>,
    /// By how many seconds the server's clock was ahead then.
    pub ahead: Option<i64>,
    /// What the server calls this terminal.
    pub terminal_name: Option<String>,
    /// One for each certificate, by its name.
    pub slots: BTreeMap<String, SlotState>,
}

/// What is remembered of one certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SlotState {
    /// For which generation the draw and the window hold.
    pub generation: u32,
    /// Its draw.
    pub draw: Draw,
    /// When the server would like it to be renewed.
    pub window: Option<Window>,
    /// Where people can read why.
    pub explanation_url: Option<String>,
    /// When to ask the server about it again.
    pub next_check: Option<Timestamp>,
    /// When it was last asked about.
    pub last_check: Option<Timestamp>,
    /// Setbacks in a row.
    pub failures: u32,
    /// Nothing is tried before.
    pub retry_at: Option<Timestamp>,
    /// What did not work last.
    pub setback: Option<Setback>,
    /// When the hook `failed` was last called.
    pub told_at: Option<Timestamp>,
    /// When the hook `expiring` was last called.
    pub warned_at: Option<Timestamp>,
    /// For which generation the hook `deploy` was done.
    pub deployed: u32,
    /// When a handshake last proved it.
    pub proven_at: Option<Timestamp>,
}

impl State {
    /// Reads it. What cannot be read counts as nothing.
    pub fn load(folder: &Path) -> Result<Self, FileError> {
        let bytes = files::read(&folder.join(FILE))?;
        Ok(bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default())
    }

    /// Writes it.
    pub fn save(&self, folder: &Path) -> Result<(), FileError> {
        let text = serde_json::to_vec_pretty(self).unwrap_or_default(); // plain data with text keys always encodes
        files::write(&folder.join(FILE), &text)
    }

    /// What is remembered of a certificate.
    pub fn slot(&self, name: &str) -> SlotState {
        self.slots.get(name).cloned().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_that_cannot_be_read_is_a_new_one() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut state = State { last_run: Some(Timestamp(5)), ..State::default() };
        state.slots.insert("identity".into(), SlotState { failures: 3, ..SlotState::default() });
        state.save(folder.path()).expect("written");
        assert_eq!(State::load(folder.path()).expect("read"), state);
        for broken in ["", "{", "{\"slots\": 5}"] {
            std::fs::write(folder.path().join(FILE), broken).expect("written");
            assert_eq!(State::load(folder.path()).expect("read"), State::default());
        }
    }
}
