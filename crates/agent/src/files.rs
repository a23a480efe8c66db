//! Files that are there whole or not at all: written beside their place, flushed, moved over it by one rename, and the folder flushed.
//! Keys are never readable by others, not even for a moment. The one lock that keeps two agents apart.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

/// What went wrong with which file.
#[derive(Debug, thiserror::Error)]
#[error("{}: cannot {doing}: {source}", path.display())]
pub struct FileError {
    /// What was tried: "write".
    pub doing: &'static str,
    /// With which file.
    pub path: PathBuf,
    /// What the system says.
    pub source: io::Error,
}

/// The largest file of ours that is read.
const MAX_FILE: u64 = 1024 * 1024;

/// Names the file in an error.
pub fn at(path: &Path, doing: &'static str) -> impl FnOnce(io::Error) -> FileError {
    move |source| FileError { doing, path: path.to_owned(), source }
}

/// A folder that only its owner can enter, and its parents.
pub fn make_folder(path: &Path) -> Result<(), FileError> {
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(at(path, "make the folder"))
}

/// A folder for files with these permissions, entered by whoever may read them. One that is there already is left as it is.
pub fn make_folder_for(path: &Path, mode: u32, owner: Option<Owner>) -> Result<(), FileError> {
    if path.is_dir() {
        return Ok(());
    }
    make_folder(path)?;
    if let Some(Owner { user, group }) = owner {
        std::os::unix::fs::chown(path, Some(user), group).map_err(at(path, "give away"))?;
    }
    let enter = mode | (mode & 0o440) >> 2 | 0o700;
    fs::set_permissions(path, fs::Permissions::from_mode(enter)).map_err(at(path, "set the permissions of"))
}

/// Writes a file whole or not at all, readable by its owner only.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    write_with(path, bytes, 0o600, None)
}

/// The same with other permissions and another owner (user, group).
pub fn write_with(path: &Path, bytes: &[u8], mode: u32, owner: Option<Owner>) -> Result<(), FileError> {
    let draft = beside(path);
    remove(&draft)?;
    let written = write_new(&draft, bytes, mode, owner);
    if let Err(error) = written.and_then(|()| rename(&draft, path)) {
        drop(fs::remove_file(&draft)); // what matters is the error before
        return Err(error);
    }
    Ok(())
}

/// Writes a new file and flushes it. It must not exist.
fn write_new(path: &Path, bytes: &[u8], mode: u32, owner: Option<Owner>) -> Result<(), FileError> {
    let mut file =
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(at(path, "create"))?;
    if let Some(Owner { user, group }) = owner {
        std::os::unix::fs::fchown(&file, Some(user), group).map_err(at(path, "give away"))?;
    }
    // Set after the owner, and whatever the umask says.
    file.set_permissions(fs::Permissions::from_mode(mode)).map_err(at(path, "set the permissions of"))?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(at(path, "write"))
}

/// Moves a file, a link or a folder to its place and flushes the folder around it.
pub fn rename(from: &Path, to: &Path) -> Result<(), FileError> {
    fs::rename(from, to).map_err(at(to, "rename to"))?;
    flush_around(to)
}

/// Points a link at `target` (relative to it) by one rename, whatever it pointed at before.
pub fn point(link: &Path, target: &Path) -> Result<(), FileError> {
    let draft = beside(link);
    remove(&draft)?;
    symlink(target, &draft).map_err(at(&draft, "create"))?;
    rename(&draft, link)
}

/// Makes the names in the folder around a path durable.
fn flush_around(path: &Path) -> Result<(), FileError> {
    let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    flush_folder(folder)
}

/// Makes the names in a folder durable.
pub fn flush_folder(folder: &Path) -> Result<(), FileError> {
    File::open(folder).and_then(|opened| opened.sync_all()).map_err(at(folder, "flush"))
}

fn beside(path: &Path) -> PathBuf {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".new");
    path.with_file_name(name)
}

/// A file's bytes; `None` where it does not exist.
pub fn read(path: &Path) -> Result<Option<Vec<u8>>, FileError> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other.map_err(at(path, "open"))?,
    };
    let mut bytes = Vec::new();
    file.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(at(path, "read"))?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > MAX_FILE) {
        return Err(at(path, "read")(io::Error::other("it is larger than 1 MiB")));
    }
    Ok(Some(bytes))
}

/// A file's text; `None` where it does not exist.
pub fn read_text(path: &Path) -> Result<Option<String>, FileError> {
    let bytes = read(path)?;
    bytes
        .map(|bytes| String::from_utf8(bytes).map_err(|_| at(path, "read")(io::Error::other("it is not text"))))
        .transpose()
}

/// Removes a file; one that is not there is no error.
pub fn remove(path: &Path) -> Result<(), FileError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(at(path, "remove")(error)),
        _ => Ok(()),
    }
}

/// Removes a folder with everything in it; one that is not there is no error.
pub fn remove_folder(path: &Path) -> Result<(), FileError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(at(path, "remove")(error)),
        _ => Ok(()),
    }
}

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
    let text = read_text(list)?.unwrap_or_default();
    let found = text.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some(name)).then(|| fields.nth(1)?.parse().ok()).flatten()
    });
    found.ok_or_else(|| at(list, "find the owner in")(io::Error::other(format!("{name:?} is not there"))))
}

/// Keeps other agents out of a folder for as long as it lives.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock; `None` while another process has it.
    pub fn take(path: &Path) -> Result<Option<Self>, FileError> {
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(path)
            .map_err(at(path, "open"))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(fs::TryLockError::WouldBlock) => Ok(None),
            Err(fs::TryLockError::Error(error)) => Err(at(path, "lock")(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_replaces_another_whole_and_only_its_owner_reads_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a");
        assert_eq!(read(&path).expect("readable"), None);
        fs::write(beside(&path), "left by a crash").expect("written");
        write(&path, b"one").expect("written");
        write(&path, b"two").expect("written");
        assert_eq!(read_text(&path).expect("readable").as_deref(), Some("two"));
        assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
        write_with(&path, b"three", 0o640, None).expect("written");
        assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o640);
        assert_eq!(fs::read_dir(folder.path()).expect("readable").count(), 1);
    }

    #[test]
    fn a_link_moves_in_one_step() {
        let folder = tempfile::tempdir().expect("a folder");
        let link = folder.path().join("current");
        for target in ["gen/0001", "gen/0002"] {
            point(&link, Path::new(target)).expect("pointed");
            assert_eq!(fs::read_link(&link).expect("a link"), Path::new(target));
        }
    }

    #[test]
    fn two_agents_do_not_share_a_folder() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("lock");
        let first = Lock::take(&path).expect("lockable");
        assert!(first.is_some());
        assert!(Lock::take(&path).expect("lockable").is_none());
        drop(first);
        assert!(Lock::take(&path).expect("lockable").is_some());
    }

    #[test]
    fn owners_are_numbers_or_names_of_this_machine() {
        assert_eq!(Owner::parse("0:0").expect("known"), Owner { user: 0, group: Some(0) });
        assert_eq!(Owner::parse("root").expect("known"), Owner { user: 0, group: None });
        assert!(Owner::parse("nobody-of-that-name").is_err());
    }
}
