//! What is configured about the operation log.

use std::path::PathBuf;

use serde::Deserialize;
use tegata_core::audit::CheckpointRules;

use super::ConfigError;

/// `[audit]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Audit {
    /// After how many rows a checkpoint is signed.
    pub checkpoint_rows: i64,
    /// After how many minutes a checkpoint is signed, if anything was written.
    pub checkpoint_minutes: i64,
    /// Where each checkpoint goes as a line, too; best on another disk.
    pub checkpoint_file: Option<PathBuf>,
}

impl Default for Audit {
    fn default() -> Self {
        Self { checkpoint_rows: 1000, checkpoint_minutes: 60, checkpoint_file: None }
    }
}

impl Audit {
    /// When a checkpoint is due.
    pub fn checkpoint_rules(&self) -> CheckpointRules {
        CheckpointRules { rows: self.checkpoint_rows, seconds: self.checkpoint_minutes * 60 }
    }
}

pub(super) fn check_audit(audit: &Audit) -> Result<(), ConfigError> {
    let wrong = |setting, value: i64, expected| Err(ConfigError::Value { setting, value: value.to_string(), expected });
    if !(1..=1_000_000).contains(&audit.checkpoint_rows) {
        return wrong("audit.checkpoint_rows", audit.checkpoint_rows, "1 to 1000000");
    }
    if !(1..=1440).contains(&audit.checkpoint_minutes) {
        return wrong("audit.checkpoint_minutes", audit.checkpoint_minutes, "1 to 1440");
    }
    Ok(())
}
