//! The file of checkpoints: one line each, only ever appended to, so that it can lie on a disk, or be a file, that allows nothing else. The
//! register has every line, too; whatever the file lacks is written to it the next time.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use tegata_core::access::Actor;
use tegata_store::{CheckpointRow, Reader, StoreError};

use super::Checkpoint;

/// How much of the end of the file is looked at for its last line: room for many.
const TAIL: u64 = 64 * 1024;
/// How many lines are written in one go.
const LINES: u32 = 1000;

/// Why the file is not in step.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The register.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The file.
    #[error("{path}: {source}")]
    File {
        /// Which one.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file says what the register does not.
    #[error(
        "checkpoint {number} in the file is not in the register: the register was set back to an earlier state, or this is another one's file (`tegata audit verify` says more)"
    )]
    Foreign {
        /// Its number.
        number: i64,
    },
}

/// What was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Published {
    /// How many lines.
    pub lines: u64,
    /// The number of the last line that is there now; 0 where there is none.
    pub last: i64,
}

/// Appends what the file lacks, durably.
pub async fn publish(reader: &Reader, path: &Path) -> Result<Published, PublishError> {
    let failed = |source| PublishError::File { path: path.to_owned(), source };
    let scope = Actor::System { job: "checkpoint" }.scope();
    let mut file = open(path).map_err(failed)?;
    let (last, is_whole) = last_line(&mut file).map_err(failed)?;
    let mut written = Published { lines: 0, last: last.as_ref().map_or(0, |last| last.statement.number) };
    if let Some(last) = last {
        let known = reader.checkpoints(scope, written.last - 1, 1).await?;
        if known.first().is_none_or(|known| known.line != last.line()) {
            return Err(PublishError::Foreign { number: written.last });
        }
    }
    // A line that was cut off is left as it is; the next one begins a line of its own.
    let mut text = if is_whole { String::new() } else { "\n".to_owned() };
    loop {
        let rows = reader.checkpoints(scope, written.last, LINES).await?;
        let Some(CheckpointRow { number, .. }) = rows.last() else { break };
        written = Published { lines: written.lines + rows.len() as u64, last: *number };
        rows.iter().for_each(|row| text.push_str(&format!("{}\n", row.line)));
        file.write_all(text.as_bytes()).map_err(failed)?;
        text.clear();
    }
    if written.lines > 0 {
        file.sync_data().map_err(failed)?;
    }
    Ok(written)
}

/// The file, for this process alone until it is closed. A new one is there to stay before anything is written to it.
fn open(path: &Path) -> io::Result<File> {
    let is_new = !path.exists();
    let file = OpenOptions::new().read(true).append(true).create(true).open(path)?;
    file.lock()?;
    if is_new && let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        File::open(folder)?.sync_all()?;
    }
    Ok(file)
}

/// The last line that is a checkpoint, and whether the file ends with the end of a line.
fn last_line(file: &mut File) -> io::Result<(Option<Checkpoint>, bool)> {
    let length = file.seek(SeekFrom::End(0))?;
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
    let mut tail = Vec::new();
    file.read_to_end(&mut tail)?;
    let is_whole = tail.last().is_none_or(|last| *last == b'\n');
    let text = String::from_utf8_lossy(&tail);
    let mut lines: Vec<&str> = text.split('\n').collect();
    lines.pop(); // after the last line's end: nothing, or a line that was cut off
    let found = lines.iter().rev().find_map(|line| Checkpoint::parse(line).ok());
    Ok((found, is_whole))
}
