//! A checkpoint as a line of JSON: what was said, by which key, and the signature.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};
use tegata_core::id::Fingerprint;
use tegata_core::time::Timestamp;
use tegata_pki::checkpoint::{self, Kind, Statement};

/// A line is not a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a checkpoint: {0}")]
pub struct LineError(String);

/// A statement with its signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// What is said.
    pub statement: Statement,
    /// Which key signed: SHA-256 of its SubjectPublicKeyInfo.
    pub key: Fingerprint,
    /// An ECDSA-Sig-Value in DER.
    pub signature: Vec<u8>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    log: String,
    number: i64,
    kind: String,
    rows: i64,
    head: String,
    at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
    key: String,
    signature: String,
}

impl Checkpoint {
    /// The line, without its end.
    pub fn line(&self) -> String {
        let Statement { log, number, kind, rows, head, at } = &self.statement;
        let next = match kind {
            Kind::Head => None,
            Kind::Key { next } => Some(BASE64.encode(next)),
        };
        let line = Line {
            log: log.to_string(),
            number: *number,
            kind: kind.as_str().to_owned(),
            rows: *rows,
            head: head.to_string(),
            at: at.to_string(),
            next,
            key: self.key.to_string(),
            signature: BASE64.encode(&self.signature),
        };
        serde_json::to_string(&line).expect("a struct of strings and numbers is JSON")
    }

    /// Reads a line. Says nothing about whether the signature holds.
    pub fn parse(line: &str) -> Result<Self, LineError> {
        let wrong = |what: &str| LineError(what.to_owned());
        let line: Line = serde_json::from_str(line).map_err(|error| LineError(error.to_string()))?;
        let hash = |text: &str| text.parse::<Fingerprint>().map_err(|error| LineError(error.to_string()));
        let octets = |text: &str| BASE64.decode(text).map_err(|_| wrong("a field is not base64"));
        let kind = match (line.kind.as_str(), &line.next) {
            ("head", None) => Kind::Head,
            ("key", Some(next)) => Kind::Key { next: octets(next)? },
            _ => return Err(wrong("its kind is unknown")),
        };
        let at = Timestamp::parse(&line.at).map_err(|error| LineError(error.to_string()))?;
        let (log, head) = (hash(&line.log)?, hash(&line.head)?);
        let statement = Statement { log, number: line.number, kind, rows: line.rows, head, at };
        Ok(Self { statement, key: hash(&line.key)?, signature: octets(&line.signature)? })
    }

    /// Whether this key (SubjectPublicKeyInfo in DER) signed it.
    pub fn is_signed_by(&self, key: &[u8]) -> bool {
        checkpoint::is_signed_by(&self.statement, &self.signature, key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(kind: Kind) -> Checkpoint {
        let at = Timestamp::parse("2026-11-24T00:00:00Z").expect("valid");
        let (log, head) = (Fingerprint([1; 32]), Fingerprint([2; 32]));
        let statement = Statement { log, number: 3, kind, rows: 20, head, at };
        Checkpoint { statement, key: Fingerprint([4; 32]), signature: vec![5; 70] }
    }

    #[test]
    fn a_line_is_read_back_as_it_was_made() {
        for kind in [Kind::Head, Kind::Key { next: vec![9; 91] }] {
            let made = made(kind);
            assert!(!made.line().contains('\n'));
            assert_eq!(Checkpoint::parse(&made.line()), Ok(made));
        }
    }

    #[test]
    fn what_is_not_a_checkpoint_is_said_to_be_none() {
        let good = made(Kind::Head).line();
        for wrong in [
            String::new(),
            "{}".into(),
            good[..good.len() - 5].into(),
            good.replace("\"head\",", "\"other\","),
            good.replace("\"kind\":\"head\"", "\"kind\":\"key\""),
            good.replace("{\"log\"", "{\"more\":1,\"log\""),
            good.replace("0101", "01"),
        ] {
            assert!(Checkpoint::parse(&wrong).is_err(), "{wrong}");
        }
    }
}
