//! Windows. What lies under a user's AppData is closed to other users by an access list that everything in it inherits: nothing is set here,
//! and keys are not encrypted beyond that. A link needs rights that users do not have, so a small file stands in its place.

use std::convert::Infallible;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::windows::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use crate::files::{self, FileError, at};

/// Whose a file shall be: nobody can be named here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner(Infallible);

impl Owner {
    /// Refuses every text.
    pub fn parse(text: &str) -> Result<Self, FileError> {
        let error = io::Error::other("on Windows a file's owner is whoever runs the agent: leave the setting out");
        Err(at(Path::new(text), "give files to")(error))
    }
}

/// Nothing to find out: the agent runs as the user whose folders these are.
pub fn is_ours(_: &Path) -> Result<(), FileError> {
    Ok(())
}

/// Makes a folder and its parents; who may enter is inherited.
pub fn make_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).create(path)
}

/// Leaves a new folder as it inherited its rights.
pub fn hand_over_folder(_: &Path, _: u32, _: Option<Owner>) -> Result<(), FileError> {
    Ok(())
}

/// Leaves the options as they are.
pub fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    options
}

/// Leaves a new file as it inherited its rights.
pub fn hand_over(_: &File, _: &Path, _: u32, _: Option<Owner>) -> Result<(), FileError> {
    Ok(())
}

/// What is wrong with the agent's folder: nothing can be made in it. `probe` is a new folder inside.
pub fn wrong_permissions(_: &Path, probe: &Path) -> Option<String> {
    files::make_folder(probe).err().map(|error| error.to_string())
}

/// "Access is denied" and "used by another process": a virus scanner or an indexer looks into the file just now.
const BUSY: [i32; 2] = [5, 32];
const TRIES: u32 = 20;
const PAUSE: Duration = Duration::from_millis(50);

/// Moves a file or a folder over whatever file is there. Waits for others to let go of it, for a second.
pub fn rename(from: &Path, to: &Path) -> io::Result<()> {
    for _ in 0..TRIES {
        match fs::rename(from, to) {
            Err(error) if error.raw_os_error().is_some_and(|code| BUSY.contains(&code)) => thread::sleep(PAUSE),
            other => return other,
        }
    }
    fs::rename(from, to)
}

/// Names are durable by NTFS' own journal; there is nothing to flush.
pub fn flush_folder(_: &Path) -> io::Result<()> {
    Ok(())
}

/// Writes the target (relative to the file) into a small file, which is replaced in one step.
pub fn point(link: &Path, target: &Path) -> Result<(), FileError> {
    files::write(link, format!("{}\r\n", target.display()).as_bytes())
}

/// By which path to reach what the small file names.
pub fn pointed(link: &Path) -> Result<PathBuf, FileError> {
    let target = files::read_text(link)?.unwrap_or_default();
    Ok(link.with_file_name(target.trim()))
}

/// The agent's folder where nobody names one: the user's own, which does not travel to other machines with a roaming profile.
pub fn default_folder() -> Option<PathBuf> {
    std::env::var_os("LOCALAPPDATA").map(|folder| PathBuf::from(folder).join("tegata-agent"))
}

/// Where certificates go where nobody says: to where the browsers look.
pub fn default_store(_: &Path) -> String {
    "windows-user".into()
}

/// The program of this name in a folder, if there is one.
pub fn program(folder: &Path, name: &str) -> Option<PathBuf> {
    let endings = ["exe", "cmd", "bat"].into_iter();
    endings.map(|ending| folder.join(format!("{name}.{ending}"))).find(|program| program.exists())
}

/// CREATE_NEW_PROCESS_GROUP and CREATE_NO_WINDOW: no black window opens before whoever works at the machine.
const APART: u32 = 0x0000_0200 | 0x0800_0000;

/// Starts a program without a window, and out of reach of our Ctrl+C.
pub fn set_apart(command: &mut Command) -> &mut Command {
    command.creation_flags(APART)
}

/// Ends a program with everything that it started, so that no grandchild goes on with half of a certificate.
pub fn end(child: &mut Child) -> io::Result<()> {
    let mut command = Command::new("taskkill");
    command.args(["/F", "/T", "/PID", &child.id().to_string()]).stdout(Stdio::null()).stderr(Stdio::null());
    let ended = set_apart(&mut command).status();
    if ended.is_ok_and(|status| status.success()) { Ok(()) } else { child.kill() }
}

#[cfg(test)]
mod tests {
    use std::os::windows::fs::OpenOptionsExt;

    use super::*;

    #[test]
    fn a_file_that_somebody_looks_into_is_replaced_when_they_let_go() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a");
        files::write(&path, b"old").expect("written");
        let reader = OpenOptions::new().read(true).share_mode(1).open(&path).expect("readable"); // FILE_SHARE_READ alone
        let scanner = thread::spawn(move || {
            thread::sleep(Duration::from_millis(200));
            drop(reader);
        });
        files::write(&path, b"new").expect("written");
        scanner.join().expect("ended");
        assert_eq!(files::read_text(&path).expect("readable").as_deref(), Some("new"));
    }

    #[test]
    fn nobody_can_be_named_as_owner() {
        assert!(Owner::parse("Administrator").is_err());
    }
}
