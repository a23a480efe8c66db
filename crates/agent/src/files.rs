//! Files that are there whole or not at all: written beside their place, flushed, moved over it by one rename, and the folder flushed.
//! Keys are never readable by others, not even for a moment. The one lock that keeps two agents apart.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use crate::os;
pub use crate::os::{Owner, is_ours, point, pointed};

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
    os::make_folder(path).map_err(at(path, "make the folder"))
}

/// A folder for files with these permissions, entered by whoever may read them. One that is there already is left as it is.
pub fn make_folder_for(path: &Path, mode: u32, owner: Option<Owner>) -> Result<(), FileError> {
    is_ours(path)?;
    if path.is_dir() {
        return Ok(());
    }
    make_folder(path)?;
    is_ours(path)?;
    os::hand_over_folder(path, mode, owner)
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
    let mut options = OpenOptions::new();
    let mut file = os::private(options.write(true).create_new(true)).open(path).map_err(at(path, "create"))?;
    os::hand_over(&file, path, mode, owner)?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(at(path, "write"))
}

/// Moves a file, a link or a folder to its place and flushes the folder around it.
pub fn rename(from: &Path, to: &Path) -> Result<(), FileError> {
    os::rename(from, to).map_err(at(to, "rename to"))?;
    flush_around(to)
}

/// Makes the names in the folder around a path durable.
fn flush_around(path: &Path) -> Result<(), FileError> {
    let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    flush_folder(folder)
}

/// Makes the names in a folder durable.
pub fn flush_folder(folder: &Path) -> Result<(), FileError> {
    os::flush_folder(folder).map_err(at(folder, "flush"))
}

/// Where the draft of a file lies.
pub(crate) fn beside(path: &Path) -> PathBuf {
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

/// Keeps other agents out of a folder for as long as it lives.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock; `None` while another process has it.
    pub fn take(path: &Path) -> Result<Option<Self>, FileError> {
        let mut options = OpenOptions::new();
        let options = os::private(options.create(true).truncate(false).write(true));
        let file = options.open(path).map_err(at(path, "open"))?;
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
    fn a_file_replaces_another_whole() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a");
        assert_eq!(read(&path).expect("readable"), None);
        fs::write(beside(&path), "left by a crash").expect("written");
        write(&path, b"one").expect("written");
        write(&path, b"two").expect("written");
        assert_eq!(read_text(&path).expect("readable").as_deref(), Some("two"));
        assert_eq!(fs::read_dir(folder.path()).expect("readable").count(), 1);
    }

    #[test]
    fn a_link_moves_in_one_step() {
        let folder = tempfile::tempdir().expect("a folder");
        let link = folder.path().join("current");
        for target in ["gen/0001", "gen/0002"] {
            let place = folder.path().join(target);
            make_folder(&place).expect("made");
            write(&place.join("name"), target.as_bytes()).expect("written");
            point(&link, Path::new(target)).expect("pointed");
            let name = pointed(&link).expect("readable").join("name");
            assert_eq!(read_text(&name).expect("readable").as_deref(), Some(target));
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
}
