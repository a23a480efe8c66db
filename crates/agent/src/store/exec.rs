//! A program of the user's for every other place: a token, a vendor's program, another machine. Called as `PROGRAM install`, `PROGRAM check`
//! and `PROGRAM remove` with TEGATA_ variables; it ends with 0 when it has done it.

use std::path::Path;
use std::process::Command;

use super::{Entry, Store, StoreError, Surroundings, day};
use crate::credential::Credential;
use crate::process::{self, ProcessError};
use crate::settings::ExecSettings;

pub(super) struct Exec<'a>(pub &'a ExecSettings);

impl Exec<'_> {
    fn call(&self, act: &str, credential: &Credential, around: &Surroundings<'_>) -> Result<(), StoreError> {
        process::may_start(&self.0.program)?;
        let about = credential.about();
        let mut command = Command::new(&self.0.program);
        command
            .arg(act)
            .env("TEGATA_KEY_FILE", around.generation.join("key.pk8"))
            .env("TEGATA_CHAIN_FILE", around.generation.join("chain.pem"))
            .env("TEGATA_SERIAL", about.serial.to_string())
            .env("TEGATA_NOT_AFTER", about.not_after.to_string())
            .env("TEGATA_LAST_DAY", day(about.not_after))
            .env("TEGATA_TERMINAL", about.terminal.to_string());
        process::run(&mut command, self.0.seconds, around.scratch)?;
        Ok(())
    }
}

impl Store for Exec<'_> {
    fn install(&self, credential: &Credential, around: &Surroundings<'_>) -> Result<(), StoreError> {
        self.call("install", credential, around)
    }

    fn holds(&self, credential: &Credential, around: &Surroundings<'_>) -> Result<bool, StoreError> {
        match self.call("check", credential, around) {
            Ok(()) => Ok(true),
            Err(StoreError::Process(ProcessError::Failed { .. })) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The program is told which one is to go; its files are gone with the next renewal.
    fn tidy(&self, _: &Credential, previous: Option<&Credential>, around: &Surroundings<'_>) -> Result<(), StoreError> {
        previous.map_or(Ok(()), |previous| self.call("remove", previous, around))
    }

    fn list(&self, _: &Path) -> Result<Vec<Entry>, StoreError> {
        Ok(Vec::new())
    }
}
