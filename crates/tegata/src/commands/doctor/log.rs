//! What `tegata doctor` says about the operation log: whether it is signed, how long ago, where the signed lines go; and how old the last backup
//! is, which the log knows.

use tegata_core::access::Actor;
use tegata_core::audit::Action;
use tegata_core::time::{Clock, Days, Timestamp};
use tegata_store::{AuditFilter, Reader};

use super::{Finding, advice, good, private_file, problem};
use crate::config::Checked;
use crate::system::SystemClock;

/// How old the last backup may be.
const BACKUP_AGE: Days = Days(2);
/// How long after it was due a checkpoint is missed.
const GRACE_SECONDS: i64 = 600;

pub(super) async fn log(checked: &Checked, reader: &Reader, findings: &mut Vec<Finding>) -> anyhow::Result<()> {
    let scope = Actor::System { job: "doctor" }.scope();
    if reader.log_keys(scope).await?.is_empty() {
        let what = "the operation log is not signed yet";
        findings.push(advice(what, "start the server: it makes the key (log.sealed) and signs by itself"));
        return Ok(());
    }
    let key = checked.path(&checked.config.authority.key_folder).join("log.sealed");
    findings.push(private_file(&key).unwrap_or_else(|error| {
        let what = format!("this node does not sign the operation log: {error}");
        advice(what, "copy log.sealed from the node that has it, or from the backup, and start the server again")
    }));
    let (head, last) = (reader.audit_head(scope).await?, reader.last_checkpoint(scope).await?);
    let rules = checked.config.audit.checkpoint_rules();
    let since = last.as_ref().map_or(0, |last| last.head.sequence);
    let (rows, now) = (head.sequence - since, SystemClock.now());
    let is_late = |at: Timestamp| rules.is_due(rows, Some(at), now) && now > at.plus_seconds(GRACE_SECONDS);
    findings.push(match &last {
        Some(last) if is_late(last.at) => problem(
            format!("{rows} rows of the operation log are not signed, and should be"),
            "see why in the server's log, or run `tegata audit checkpoint`",
        ),
        Some(last) => good(format!("the operation log was signed at {} up to row {since}", last.at)),
        None => advice("the operation log is not signed yet", "start the server: it signs by itself"),
    });
    findings.push(match &checked.config.audit.checkpoint_file {
        Some(file) => good(format!("its checkpoints are written to {}", file.display())),
        None => advice(
            "the operation log's checkpoints are kept in the register alone",
            "name a file on another disk in audit.checkpoint_file: only that shows a log that was cut off or written anew",
        ),
    });
    Ok(())
}

pub(super) async fn backup(reader: &Reader, findings: &mut Vec<Finding>) -> anyhow::Result<()> {
    let scope = Actor::System { job: "doctor" }.scope();
    let filter = AuditFilter { action: Some(Action::BackupMade.as_str().to_owned()), ..AuditFilter::default() };
    let last = reader.audit_rows_of(scope, &filter, None, 1).await?.into_iter().next();
    let remedy = "`tegata backup --to FILE` each night, onto another machine; try one with `tegata restore --verify`";
    findings.push(match last {
        None => advice("no backup was ever made", remedy),
        Some(row) if row.at.plus_days(BACKUP_AGE) < SystemClock.now() => {
            advice(format!("the last backup is of {}", row.at), remedy)
        }
        Some(row) => good(format!("the last backup is of {}: {}", row.at, row.detail)),
    });
    Ok(())
}
