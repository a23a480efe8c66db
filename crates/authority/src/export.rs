//! The operation log as a file of lines (JSON): what it is, its rows in their order, how many there were. Written from the register, and
//! checked by somebody who has nothing but the file, with the checkpoints where they are at hand.
//!
//! Each row carries the hash of the row before it, so that even a part of the log (one customer's, say) can be computed row by row. Only the
//! whole log proves that nothing is missing.

use std::collections::BTreeMap;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use tegata_core::audit::{Action, Row};
use tegata_core::id::{CustomerId, Fingerprint, ParseIdError, Serial, TerminalId};
use tegata_core::time::Timestamp;
use tegata_store::audit::{Broken, Head, Verifier, hash};

use crate::evidence::Evidence;

/// The form of these files.
const FORMAT: &str = "tegata operation log export v1";

/// The first line: what the file is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    format: String,
    /// When it was written.
    at: String,
    /// Only rows of this customer.
    #[serde(skip_serializing_if = "Option::is_none")]
    customer: Option<String>,
    /// Only rows about this terminal.
    #[serde(skip_serializing_if = "Option::is_none")]
    terminal: Option<String>,
    /// Only rows from this instant on.
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<String>,
    /// Only rows before this instant.
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    sequence: i64,
    at: String,
    actor_kind: String,
    actor_name: String,
    customer: Option<String>,
    terminal: Option<String>,
    serial: Option<String>,
    action: String,
    outcome: String,
    detail: String,
    previous: String,
    hash: String,
}

/// The last line.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct End {
    rows: u64,
}

/// Why a file does not prove what it should.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExportError {
    /// Not a file of ours, or a line that was damaged.
    #[error("line {line}: {reason}")]
    Line {
        /// Which one, from 1.
        line: usize,
        /// What is wrong.
        reason: String,
    },
    /// Its last line is missing, or says another number of rows.
    #[error("the file is cut off, or rows are missing from it: it holds {found} rows, and its last line {said}")]
    CutOff {
        /// How many there are.
        found: u64,
        /// What the last line says.
        said: String,
    },
    /// The chain is broken.
    #[error(transparent)]
    Broken(#[from] Broken),
    /// The first row is not that of a log.
    #[error("it does not begin with the making of the CA")]
    NoBeginning,
}

/// What a file proves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Whether it is the whole log; then nothing is missing up to its last row.
    pub whole: bool,
    /// How many rows there are.
    pub rows: u64,
    /// The last one.
    pub head: Head,
    /// How many of the places that checkpoints name are in the file.
    pub confirmed: usize,
}

impl Header {
    /// Of the whole log.
    pub fn whole(now: Timestamp) -> Self {
        let at = now.to_string();
        Self { format: FORMAT.into(), at, customer: None, terminal: None, from: None, before: None }
    }

    /// Of a part.
    pub fn part(now: Timestamp, filter: &tegata_store::AuditFilter) -> Self {
        Self {
            customer: filter.customer.map(|id| id.to_string()),
            terminal: filter.terminal.map(|id| id.to_string()),
            from: filter.from.map(|at| at.to_string()),
            before: filter.before.map(|at| at.to_string()),
            ..Self::whole(now)
        }
    }

    fn is_whole(&self) -> bool {
        let Self { customer, terminal, from, before, .. } = self;
        [customer, terminal, from, before].iter().all(|filter| filter.is_none())
    }

    /// The line.
    pub fn line(&self) -> String {
        json(self)
    }
}

/// A row's line. `previous` is the hash of the row before it in the log.
pub fn row_line(row: &Row, previous: &[u8; 32]) -> String {
    json(&Line {
        sequence: row.sequence,
        at: row.at.to_string(),
        actor_kind: row.actor_kind.clone(),
        actor_name: row.actor_name.clone(),
        customer: row.customer.map(|id| id.to_string()),
        terminal: row.terminal.map(|id| id.to_string()),
        serial: row.serial.map(|serial| serial.to_string()),
        action: row.action.clone(),
        outcome: row.outcome.clone(),
        detail: row.detail.clone(),
        previous: Fingerprint(*previous).to_string(),
        hash: Fingerprint(row.hash).to_string(),
    })
}

/// The last line.
pub fn end_line(rows: u64) -> String {
    json(&End { rows })
}

fn json(line: &impl Serialize) -> String {
    serde_json::to_string(line).expect("a struct of strings and numbers is JSON")
}

fn read_row(text: &str) -> Result<(Row, [u8; 32]), String> {
    let line: Line = serde_json::from_str(text).map_err(|error| error.to_string())?;
    fn parsed<T: FromStr<Err = ParseIdError>>(text: Option<&str>) -> Result<Option<T>, String> {
        text.map(str::parse::<T>).transpose().map_err(|error: ParseIdError| error.to_string())
    }
    let hash = |text: &str| text.parse::<Fingerprint>().map(|hash| hash.0).map_err(|error| error.to_string());
    let row = Row {
        sequence: line.sequence,
        at: Timestamp::parse(&line.at).map_err(|error| error.to_string())?,
        customer: parsed::<CustomerId>(line.customer.as_deref())?,
        terminal: parsed::<TerminalId>(line.terminal.as_deref())?,
        serial: parsed::<Serial>(line.serial.as_deref())?,
        hash: hash(&line.hash)?,
        actor_kind: line.actor_kind,
        actor_name: line.actor_name,
        action: line.action,
        outcome: line.outcome,
        detail: line.detail,
    };
    Ok((row, hash(&line.previous)?))
}

/// Checks a file, line by line.
pub struct Checker {
    line: usize,
    rows: u64,
    header: Option<Header>,
    end: Option<u64>,
    known: BTreeMap<i64, [u8; 32]>,
    chain: Verifier,
    /// The last row that was taken.
    last: Option<Head>,
    confirmed: usize,
}

impl Checker {
    /// With what is known from checkpoints, and from heads that somebody wrote down.
    pub fn new(evidence: Option<&Evidence>, head: Option<Head>) -> Self {
        let known: Vec<Head> = evidence.into_iter().flat_map(Evidence::known).chain(head).collect();
        Self {
            line: 0,
            rows: 0,
            header: None,
            end: None,
            chain: Verifier::new(known.iter().copied()),
            known: known.into_iter().map(|head| (head.sequence, head.hash)).collect(),
            last: None,
            confirmed: 0,
        }
    }

    /// Takes the next line.
    pub fn take(&mut self, text: &str) -> Result<(), ExportError> {
        self.line += 1;
        let line = self.line;
        let wrong = |reason: String| ExportError::Line { line, reason };
        let Some(header) = &self.header else {
            let header: Header = serde_json::from_str(text).map_err(|error| wrong(error.to_string()))?;
            if header.format != FORMAT {
                return Err(wrong(format!("it says {:?}, not {FORMAT:?}", header.format)));
            }
            self.header = Some(header);
            return Ok(());
        };
        if self.end.is_some() {
            return Err(wrong("something stands behind the last line".into()));
        }
        if let Ok(End { rows }) = serde_json::from_str(text) {
            self.end = Some(rows);
            return Ok(());
        }
        let whole = header.is_whole();
        let (row, previous) = read_row(text).map_err(wrong)?;
        if whole {
            self.link(&row, previous)?
        } else {
            self.compute(&row, previous)?
        }
        if self.known.contains_key(&row.sequence) {
            self.confirmed += 1;
        }
        self.last = Some(Head { sequence: row.sequence, hash: row.hash });
        self.rows += 1;
        Ok(())
    }

    /// A row of the whole log follows the one before.
    fn link(&mut self, row: &Row, previous: [u8; 32]) -> Result<(), ExportError> {
        if self.rows == 0 && (row.sequence != 1 || row.action != Action::AuthorityCreated.as_str()) {
            return Err(ExportError::NoBeginning);
        }
        if previous != self.chain.head().hash && row.sequence == self.chain.head().sequence + 1 {
            return Err(Broken::Changed { sequence: row.sequence }.into());
        }
        Ok(self.chain.check(row)?)
    }

    /// A row of a part gives its hash, comes after the one before, and is its successor where the numbers say so.
    fn compute(&mut self, row: &Row, previous: [u8; 32]) -> Result<(), ExportError> {
        let sequence = row.sequence;
        if let Some(last) = self.last {
            if sequence <= last.sequence {
                return Err(Broken::Gap { expected: last.sequence + 1, found: sequence }.into());
            }
            if sequence == last.sequence + 1 && previous != last.hash {
                return Err(Broken::Changed { sequence }.into());
            }
        }
        if row.hash != hash(&previous, row) {
            return Err(Broken::Changed { sequence }.into());
        }
        let rewritten = |at: i64, hash: [u8; 32]| self.known.get(&at).is_some_and(|known| *known != hash);
        if rewritten(sequence, row.hash) || rewritten(sequence - 1, previous) {
            return Err(Broken::Rewritten { sequence }.into());
        }
        Ok(())
    }

    /// There are no more lines.
    pub fn finish(self) -> Result<Report, ExportError> {
        let said = self.end.map_or("is not there".to_owned(), |rows| format!("says {rows}"));
        if self.end != Some(self.rows) {
            return Err(ExportError::CutOff { found: self.rows, said });
        }
        let whole = self.header.is_some_and(|header| header.is_whole());
        if whole {
            if self.rows == 0 {
                return Err(ExportError::NoBeginning);
            }
            self.chain.finish()?;
        }
        Ok(Report { whole, rows: self.rows, head: self.last.unwrap_or(Head::EMPTY), confirmed: self.confirmed })
    }
}
