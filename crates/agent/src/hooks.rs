//! The user's programs at the turning points of a certificate: `hooks/deploy` after a new one is in its place, `hooks/failed` when something
//! does not work, `hooks/expiring` when an end comes near. Each may be missing. They are told everything by TEGATA_ variables.

use std::path::PathBuf;
use std::process::Command;

use crate::os;
use crate::process::{self, ProcessError};

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A new certificate is in its place: reload what uses it.
    Deploy,
    /// Something does not work.
    Failed,
    /// The end of a certificate comes near.
    Expiring,
}

impl Event {
    /// The name of the hook.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Deploy => "deploy",
            Self::Failed => "failed",
            Self::Expiring => "expiring",
        }
    }
}

/// The hooks of an agent.
#[derive(Clone, Debug)]
pub struct Hooks {
    /// Where they are.
    pub folder: PathBuf,
    /// Where their output goes meanwhile.
    pub scratch: PathBuf,
    /// How long each may take.
    pub seconds: u32,
}

impl Hooks {
    /// Calls a hook with variables (without `TEGATA_` in front). Gives whether there is one.
    pub fn call(&self, event: Event, variables: &[(&str, String)]) -> Result<bool, ProcessError> {
        let Some(program) = os::program(&self.folder, event.as_str()) else { return Ok(false) };
        process::may_start(&program)?;
        let mut command = Command::new(program);
        command.env("TEGATA_EVENT", event.as_str());
        for (name, value) in variables {
            command.env(format!("TEGATA_{name}"), value);
        }
        process::run(&mut command, self.seconds, &self.scratch).map(|_| true)
    }
}
