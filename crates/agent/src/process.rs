//! Programs of other people: started without a shell, given a time to be done in, ended with everything that they started when it is over.

use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::os;

/// How much of what a program says is kept: all of a list of certificates, and the end of a complaint.
const KEPT_OUTPUT: usize = 256 * 1024;
const KEPT_COMPLAINT: usize = 2000;
const POLL: Duration = Duration::from_millis(20);

/// Why a program did not do what it should.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// It could not be started.
    #[error("{program}: cannot be started: {source}")]
    Start {
        /// Which program.
        program: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// It took too long and was ended.
    #[error("{program}: was ended after {seconds} seconds")]
    Timeout {
        /// Which program.
        program: String,
        /// Its time.
        seconds: u32,
    },
    /// It says that it failed.
    #[error("{program}: {status}: {output}")]
    Failed {
        /// Which program.
        program: String,
        /// How it ended.
        status: ExitStatus,
        /// The end of what it said.
        output: String,
    },
}

/// Refuses a program that somebody else could put another one in the place of, where the agent runs as root.
pub fn may_start(program: &Path) -> Result<(), ProcessError> {
    crate::files::is_ours(program).map_err(|error| ProcessError::Start {
        program: program.display().to_string(),
        source: std::io::Error::other(error.to_string()),
    })
}

/// Runs a program to its end and gives the end of what it said. `scratch` is a folder for its output.
pub fn run(command: &mut Command, seconds: u32, scratch: &Path) -> Result<String, ProcessError> {
    let program = command.get_program().to_string_lossy().into_owned();
    let failed = |source| ProcessError::Start { program: program.clone(), source };
    // A file and not a pipe: a grandchild that keeps a pipe open would keep us waiting.
    let path = scratch.join("program-output");
    let output = File::create(&path).map_err(failed)?;
    let errors = output.try_clone().map_err(failed)?;
    command.stdin(Stdio::null()).stdout(output).stderr(errors);
    let mut child = os::set_apart(command).spawn().map_err(failed)?;
    let status = wait(&mut child, seconds).map_err(failed)?;
    let said = std::fs::read(&path).map_err(failed)?;
    std::fs::remove_file(&path).map_err(failed)?;
    let end = |most: usize| String::from_utf8_lossy(&said[said.len().saturating_sub(most)..]).trim().to_owned();
    match status {
        None => Err(ProcessError::Timeout { program, seconds }),
        Some(status) if status.success() => Ok(end(KEPT_OUTPUT)),
        Some(status) => Err(ProcessError::Failed { program, status, output: end(KEPT_COMPLAINT) }),
    }
}

/// How it ended; `None` where it had to be ended.
fn wait(child: &mut Child, seconds: u32) -> std::io::Result<Option<ExitStatus>> {
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(u64::from(seconds)) {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        thread::sleep(POLL);
    }
    os::end(child)?;
    child.wait()?;
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHELL: [&str; 2] = if cfg!(windows) { ["cmd", "/C"] } else { ["/bin/sh", "-c"] };

    fn shell(script: &str, seconds: u32) -> Result<String, ProcessError> {
        let folder = tempfile::tempdir().expect("a folder");
        run(Command::new(SHELL[0]).args([SHELL[1], script]), seconds, folder.path())
    }

    #[test]
    fn what_a_program_says_is_kept_and_its_end_is_told() {
        let said = shell("echo good && echo bad >&2", 10).expect("it ends well");
        assert_eq!(said.lines().map(str::trim).collect::<Vec<_>>(), ["good", "bad"]);
        assert!(matches!(shell("echo no && exit 3", 10), Err(ProcessError::Failed { output, .. }) if output == "no"));
        let folder = tempfile::tempdir().expect("a folder");
        let missing = run(&mut Command::new("/nonexistent"), 1, folder.path());
        assert!(matches!(missing, Err(ProcessError::Start { .. })));
    }

    #[test]
    fn a_program_that_hangs_is_ended_with_its_children() {
        let started = Instant::now();
        let hang = if cfg!(windows) { "ping -n 60 127.0.0.1" } else { "sleep 60 & sleep 60" };
        assert!(matches!(shell(hang, 1), Err(ProcessError::Timeout { .. })));
        assert!(started.elapsed() < Duration::from_secs(20));
    }
}
