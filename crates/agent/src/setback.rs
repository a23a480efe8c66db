//! Why something did not work this time, and what follows from that: try again by itself, or tell a person.

use serde::{Deserialize, Serialize};

use crate::files::FileError;
use crate::transport::TransportError;
use crate::trust::TrustError;

/// What follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Remedy {
    /// It is tried again soon, and again.
    Later,
    /// Nothing is wrong: the server says that it is too early.
    TooEarly,
    /// A person has to do something on this machine; it is tried again meanwhile.
    Local,
    /// The server refuses: a person has to do something, and until then it is asked once a day.
    Refused,
}

/// Something that did not work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setback {
    /// A word that never changes, for programs.
    pub code: String,
    /// A sentence with the particulars.
    pub text: String,
    /// What follows.
    pub remedy: Remedy,
    /// After how many seconds the server wants to be asked again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<i64>,
}

impl Setback {
    /// Without a wish of the server's.
    pub fn new(code: &str, text: impl Into<String>, remedy: Remedy) -> Self {
        Self { code: code.to_owned(), text: text.into(), remedy, retry_after: None }
    }

    /// Whether a person is needed.
    pub fn needs_human(&self) -> bool {
        matches!(self.remedy, Remedy::Local | Remedy::Refused)
    }
}

impl From<FileError> for Setback {
    fn from(error: FileError) -> Self {
        Self::new("local-file", error.to_string(), Remedy::Local)
    }
}

impl From<TransportError> for Setback {
    fn from(error: TransportError) -> Self {
        let (code, remedy) = match &error {
            TransportError::Url(_) => ("address", Remedy::Local),
            TransportError::Name(..) => ("name", Remedy::Later),
            TransportError::Connect(..) => ("connection", Remedy::Later),
            TransportError::Proxy(_) => ("proxy", Remedy::Later),
            TransportError::Certificate(_) => ("server-certificate", Remedy::Local),
            TransportError::Tls(_) => ("tls", Remedy::Later),
            TransportError::Broken(_) => ("broken", Remedy::Later),
        };
        Self::new(code, error.to_string(), remedy)
    }
}

/// An answer that does not fit is no reason to trust it, and none to give up.
impl From<TrustError> for Setback {
    fn from(error: TrustError) -> Self {
        Self::new("untrusted-answer", error.to_string(), Remedy::Local)
    }
}
