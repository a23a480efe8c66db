//! Unix: modes and owners, links, process groups.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, chown, fchown, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::files::{self, FileError, at, beside};

/// Whose a file shall be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The user's number.
    pub user: u32,
    /// The group's, where it is to change too.
    pub group: Option<u32>,
}

impl Owner {
    /// Reads `user`, `user:group`, or numbers; names are looked up in `/etc/passwd` and `/etc/group`.
    pub fn parse(text: &str) -> Result<Self, FileError> {
        let (user, group) = text.split_once(':').map_or((text, None), |(user, group)| (user, Some(group)));
        let user = number(user, Path::new("/etc/passwd"))?;
        let group = group.map(|group| number(group, Path::new("/etc/group"))).transpose()?;
        Ok(Self { user, group })
    }
}

fn number(name: &str, list: &Path) -> Result<u32, FileError> {
    if let Ok(number) = name.parse() {
        return Ok(number);
    }
    let text = files::read_text(list)?.unwrap_or_default();
    let found = text.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some(name)).then(|| fields.nth(1)?.parse().ok()).flatten()
    });
    found.ok_or_else(|| at(list, "find the owner in")(io::Error::other(format!("{name:?} is not there"))))
}

/// Makes a folder that only its owner can enter, and its parents.
pub fn make_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Gives a new folder to the owner of the files in it, and lets in whoever may read them.
pub fn hand_over_folder(path: &Path, mode: u32, owner: Option<Owner>) -> Result<(), FileError> {
    if let Some(Owner { user, group }) = owner {
        chown(path, Some(user), group).map_err(at(path, "give away"))?;
    }
    let enter = mode | (mode & 0o440) >> 2 | 0o700;
    fs::set_permissions(path, Permissions::from_mode(enter)).map_err(at(path, "set the permissions of"))
}

/// A file that is made by these options is its owner's alone.
pub fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    options.mode(0o600)
}

/// Gives a new file to its owner, and lets read it whoever may.
pub fn hand_over(file: &File, path: &Path, mode: u32, owner: Option<Owner>) -> Result<(), FileError> {
    if let Some(Owner { user, group }) = owner {
        fchown(file, Some(user), group).map_err(at(path, "give away"))?;
    }
    // Set after the owner, and whatever the umask says.
    file.set_permissions(Permissions::from_mode(mode)).map_err(at(path, "set the permissions of"))
}

/// What is wrong with who may enter the agent's folder, or whose it is; `probe` is a new folder inside.
pub fn wrong_permissions(root: &Path, probe: &Path) -> Option<String> {
    let owner = |path: &Path| fs::metadata(path).map(|meta| (meta.uid(), meta.permissions().mode() & 0o777));
    let (user, mode) = match owner(root) {
        Ok(found) => found,
        Err(error) => return Some(format!("{}: {error}", root.display())),
    };
    if mode & 0o077 != 0 {
        return Some(format!("{} is open to others (mode {mode:03o})", root.display()));
    }
    let made = files::make_folder(probe).map_err(|error| error.to_string());
    match made.and_then(|()| owner(probe).map_err(|error| error.to_string())) {
        Err(error) => Some(error),
        Ok((me, _)) if me != user => {
            Some(format!("{} belongs to user {user}, but this runs as user {me}", root.display()))
        }
        Ok(_) => None,
    }
}

/// Moves a file, a link or a folder over whatever file or link is there.
pub fn rename(from: &Path, to: &Path) -> io::Result<()> {
    fs::rename(from, to)
}

/// Makes the names in a folder durable.
pub fn flush_folder(folder: &Path) -> io::Result<()> {
    File::open(folder).and_then(|opened| opened.sync_all())
}

/// Points a link at `target` (relative to it) by one rename, whatever it pointed at before.
pub fn point(link: &Path, target: &Path) -> Result<(), FileError> {
    let draft = beside(link);
    files::remove(&draft)?;
    symlink(target, &draft).map_err(at(&draft, "create"))?;
    files::rename(&draft, link)
}

/// By which path to reach what a link points at: by itself.
pub fn pointed(link: &Path) -> Result<PathBuf, FileError> {
    Ok(link.to_owned())
}

/// The agent's folder where nobody names one: /var/lib for root, the user's own for others.
pub fn default_folder() -> Option<PathBuf> {
    let home = std::env::var_os("HOME").map(PathBuf::from);
    if home.as_deref() == Some(Path::new("/root")) {
        return Some("/var/lib/tegata-agent".into());
    }
    let state = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from);
    state.or_else(|| home.map(|home| home.join(".local/state"))).map(|folder| folder.join("tegata-agent"))
}

/// Where certificates go where nobody says: into the agent's own folder.
pub fn default_store(root: &Path) -> String {
    format!("pem:{}", root.join("published").display())
}

/// The program of this name in a folder, if there is one.
pub fn program(folder: &Path, name: &str) -> Option<PathBuf> {
    Some(folder.join(name)).filter(|program| program.exists())
}

/// Starts a program as the first of a group of its own.
pub fn set_apart(command: &mut Command) -> &mut Command {
    command.process_group(0)
}

/// Ends a program that was set apart with its whole group, so that no grandchild goes on with half of a certificate.
pub fn end(child: &mut Child) -> io::Result<()> {
    let group = format!("-{}", child.id());
    let ended = Command::new("kill").args(["-KILL", "--", &group]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    if ended.is_ok_and(|status| status.success()) { Ok(()) } else { child.kill() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_its_owner_reads_a_file_unless_others_are_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a");
        let mode = || fs::metadata(&path).expect("there").permissions().mode() & 0o777;
        files::write(&path, b"two").expect("written");
        assert_eq!(mode(), 0o600);
        files::write_with(&path, b"three", 0o640, None).expect("written");
        assert_eq!(mode(), 0o640);
    }

    #[test]
    fn owners_are_numbers_or_names_of_this_machine() {
        assert_eq!(Owner::parse("0:0").expect("known"), Owner { user: 0, group: Some(0) });
        assert_eq!(Owner::parse("root").expect("known"), Owner { user: 0, group: None });
        assert!(Owner::parse("nobody-of-that-name").is_err());
    }
}
