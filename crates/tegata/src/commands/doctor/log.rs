//! What `tegata doctor` says about the operation log: whether it is signed, how long ago, and where the signed lines go.

use tegata_core::access::Actor;
use tegata_core::time::Clock;
use tegata_store::Reader;

use super::{Finding, advice, good, private_file, problem};
use crate::config::Checked;
use crate::system::SystemClock;

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
    let late = last.as_ref().map(|last| last.at.plus_seconds(GRACE_SECONDS));
    findings.push(match &last {
        _ if rules.is_due(head.sequence - since, late, SystemClock.now()) => problem(
            format!("{} rows of the operation log are not signed, and should be", head.sequence - since),
            "see why in the server's log, or run `tegata audit checkpoint`",
        ),
        Some(last) => good(format!("the operation log was signed at {} up to row {since}", last.at)),
        None => good("the operation log has nothing to sign"),
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
