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

/// Whether only root can put something else in the place of what lies at a path, links included: what root does in a folder of somebody
/// else's, that one can turn to any place. Asked where the agent runs as root; what is not there yet is made by us.
pub fn is_ours(path: &Path) -> Result<(), FileError> {
    if rustix::process::geteuid().is_root() { only_roots(path) } else { Ok(()) }
}

fn only_roots(path: &Path) -> Result<(), FileError> {
    let path = std::path::absolute(path).map_err(at(path, "find"))?;
    let mut there = PathBuf::new();
    for part in path.components() {
        let next = there.join(part);
        let meta = match fs::symlink_metadata(&next) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => break,
            other => other.map_err(at(&next, "look at"))?,
        };
        let mode = meta.permissions().mode();
        let others_write = mode & 0o002 != 0 || mode & 0o020 != 0 && meta.gid() != 0;
        // In a folder such as /tmp, others cannot move what is root's.
        let is_sticky = meta.is_dir() && mode & 0o1000 != 0;
        let wrong = if meta.uid() != 0 {
            Some(format!("it belongs to user {}, who could put a link in its place", meta.uid()))
        } else if others_write && !is_sticky && !meta.is_symlink() {
            Some(format!("others can write there (mode {:03o}) and put links in its place", mode & 0o777))
        } else {
            None
        };
        if let Some(wrong) = wrong {
            let advice = "make it root's alone, choose another folder, or run the agent as that user";
            return Err(at(&next, "work as root in")(io::Error::other(format!("{wrong}: {advice}"))));
        }
        there = next;
    }
    // Root's own links lead on: /var/run to /run.
    match fs::canonicalize(&there).map_err(at(&there, "find"))? {
        real if real == there => Ok(()),
        real => only_roots(&real),
    }
}

/// Makes a folder that only its owner can enter, and its parents.
pub fn make_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Lets in to a new folder whoever may read the files in it. The folder stays ours: their owner must not be able to put links there.
pub fn hand_over_folder(path: &Path, mode: u32, owner: Option<Owner>) -> Result<(), FileError> {
    let enter = match owner {
        Some(Owner { group: Some(group), .. }) => {
            chown(path, None, Some(group)).map_err(at(path, "give to the group"))?;
            0o710
        }
        Some(_) => 0o711,
        None => 0o700,
    };
    let enter = enter | mode & 0o044 | (mode & 0o440) >> 2 | (mode & 0o004) >> 2;
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
    fn root_works_where_nobody_else_can_put_a_link() {
        if !rustix::process::geteuid().is_root() {
            return; // only root can make what is refused here
        }
        let folder = tempfile::tempdir().expect("a folder");
        let place = |name: &str| folder.path().join(name);
        let make = |name: &str, user: u32, mode: u32| {
            fs::create_dir(place(name)).expect("made");
            chown(place(name), Some(user), None).expect("given");
            fs::set_permissions(place(name), Permissions::from_mode(mode)).expect("set");
        };
        make("ours", 0, 0o755);
        make("theirs", 12_345, 0o700);
        make("open", 0, 0o777);
        make("tmp", 0, 0o1777);
        symlink(place("ours"), place("link")).expect("linked");
        symlink(place("theirs"), place("bad-link")).expect("linked");
        for good in ["ours", "ours/new/deep", "tmp/new", "link/new"] {
            assert!(only_roots(&place(good)).is_ok(), "{good}");
        }
        for bad in ["theirs", "theirs/new", "open", "open/new", "bad-link/new"] {
            let error = only_roots(&place(bad)).expect_err(bad).to_string();
            assert!(error.contains("as root"), "{error}");
        }
    }

    #[test]
    fn a_folder_of_somebody_elses_files_lets_that_one_in_and_stays_ours() {
        if !rustix::process::geteuid().is_root() {
            return; // only root gives files away
        }
        let folder = tempfile::tempdir().expect("a folder");
        let look = |owner, mode| {
            let path = folder.path().join("new");
            files::make_folder_for(&path, mode, Some(owner)).expect("made");
            let meta = fs::metadata(&path).expect("there");
            fs::remove_dir(&path).expect("removed");
            (meta.uid(), meta.gid(), meta.permissions().mode() & 0o777)
        };
        assert_eq!(look(Owner { user: 7, group: Some(8) }, 0o600), (0, 8, 0o710));
        assert_eq!(look(Owner { user: 7, group: Some(8) }, 0o640), (0, 8, 0o750));
        assert_eq!(look(Owner { user: 7, group: None }, 0o600).2, 0o711);
    }

    #[test]
    fn owners_are_numbers_or_names_of_this_machine() {
        assert_eq!(Owner::parse("0:0").expect("known"), Owner { user: 0, group: Some(0) });
        assert_eq!(Owner::parse("root").expect("known"), Owner { user: 0, group: None });
        assert!(Owner::parse("nobody-of-that-name").is_err());
    }
}
