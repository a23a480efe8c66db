//! Checkpoints and exports: whoever has an export, the checkpoints and the public key finds every change to the operation log, and needs
//! nothing else.

use std::path::PathBuf;

use futures_util::TryStreamExt as _;
use tegata_authority::checkpoint::{self, Checkpoint, CheckpointError, Checkpoints, PublishError, publish};
use tegata_authority::custody::Passphrase;
use tegata_authority::evidence::{Evidence, EvidenceError};
use tegata_authority::export::{Checker, ExportError, Header, Report, end_line, row_line};
use tegata_core::audit::{CheckpointRules, Row};
use tegata_core::id::CustomerId;
use tegata_pki::checkpoint::Kind;
use tegata_pki::signer::{Curve, SoftwareSigner};
use tegata_store::audit::{Broken, hash};
use tegata_store::{AuditFilter, Store};
use tegata_testkit::SeededEntropy;

use crate::bed::{Bed, operator};

const RULES: CheckpointRules = CheckpointRules { rows: 5, seconds: 3600 };

fn pass() -> Passphrase {
    Passphrase::new(b"a passphrase for tests".to_vec()).expect("long enough")
}

/// The log of a deployment with a key and a checkpoint after every few rows.
struct Log {
    bed: Bed,
    store: Store,
    checkpoints: Checkpoints,
    file: PathBuf,
}

impl Log {
    async fn new() -> Self {
        let bed = Bed::new().await;
        let store = bed.another().await;
        let file = bed.folder.path().join("checkpoints.jsonl");
        let checkpoints = open(&bed, &store, Some(file.clone())).await.expect("opened");
        Self { bed, store, checkpoints, file }
    }

    /// Twenty rows more, with checkpoints among them and one at the end.
    async fn filled() -> Self {
        let log = Self::new().await;
        log.checkpoints.close().await.expect("signed");
        for n in 0..20 {
            log.write(if n % 2 == 0 { "受付" } else { "会計" }).await;
            log.checkpoints.tend().await.expect("looked after");
        }
        log.checkpoints.close().await.expect("signed");
        log
    }

    /// One row more, about one of the two customers.
    async fn write(&self, name: &str) {
        let customer = if name == "受付" { &self.bed.sunny } else { &self.bed.blue };
        self.bed.authority.add_terminal(&operator(), customer.id, None, name).await.expect("added");
    }

    fn lines(&self) -> Vec<String> {
        std::fs::read_to_string(&self.file).expect("written").lines().map(str::to_owned).collect()
    }

    async fn keys(&self) -> Vec<Vec<u8>> {
        let keys = self.store.reader().log_keys(operator().scope()).await.expect("read");
        keys.into_iter().map(|key| key.spki).collect()
    }

    async fn evidence(&self) -> Evidence {
        let keys = self.keys().await;
        Evidence::read(self.lines().iter().map(String::as_str), &keys[..1]).expect("good")
    }

    async fn rows(&self, filter: AuditFilter) -> Vec<Row> {
        self.store.reader().audit_part(operator().scope(), filter).try_collect().await.expect("read")
    }
}

async fn open(bed: &Bed, store: &Store, file: Option<PathBuf>) -> Result<Checkpoints, CheckpointError> {
    let (clock, entropy, pass) = (bed.clock.clone(), SeededEntropy::new(9), pass());
    Checkpoints::open(store.clone(), (bed.folder.path(), &pass), (clock, &entropy), RULES, file).await
}

/// The whole log as an export.
fn exported(rows: &[Row]) -> Vec<String> {
    let mut previous = [0; 32];
    let mut lines = vec![Header::whole(tegata_core::time::Timestamp(0)).line()];
    for row in rows {
        lines.push(row_line(row, &previous));
        previous = row.hash;
    }
    lines.push(end_line(rows.len() as u64));
    lines
}

fn check(lines: &[String], evidence: Option<&Evidence>) -> Result<Report, ExportError> {
    let mut checker = Checker::new(evidence, None);
    lines.iter().try_for_each(|line| checker.take(line))?;
    checker.finish()
}

/// What somebody does who knows how the chain is made: every hash after a change is computed anew.
fn rechained(mut rows: Vec<Row>) -> Vec<Row> {
    let mut previous = [0; 32];
    for (sequence, row) in (1..).zip(&mut rows) {
        row.sequence = sequence;
        row.hash = hash(&previous, row);
        previous = row.hash;
    }
    rows
}

#[tokio::test]
async fn an_export_proves_the_whole_log_up_to_the_last_checkpoint() {
    let log = Log::filled().await;
    let (rows, evidence) = (log.rows(AuditFilter::default()).await, log.evidence().await);
    assert!(evidence.heads.len() >= 5, "{evidence:?}");
    let report = check(&exported(&rows), Some(&evidence)).expect("as it was written");
    assert!(report.whole);
    assert_eq!((report.rows, report.head.sequence), (rows.len() as u64, rows.len() as i64));
    assert_eq!(report.confirmed, evidence.heads.len() + 1, "every checkpoint, and the first row");
    assert_eq!(evidence.covers().0, rows.len() as i64);
    check(&exported(&rows), None).expect("a chain by itself, too");
}

#[tokio::test]
async fn an_edit_a_deletion_a_move_and_an_insertion_show_in_an_export() {
    let log = Log::filled().await;
    let (rows, evidence) = (log.rows(AuditFilter::default()).await, log.evidence().await);
    let refused = |rows: &[Row]| check(&exported(rows), Some(&evidence)).expect_err("changed");
    for at in 0..rows.len() {
        let changed = |change: fn(&mut Vec<Row>, usize)| {
            let mut rows = rows.clone();
            change(&mut rows, at);
            rows
        };
        let edited = changed(|rows, at| rows[at].actor_name = "somebody else".into());
        let deleted = changed(|rows, at| drop(rows.remove(at)));
        let inserted = changed(|rows, at| rows.insert(at, rows[at].clone()));
        for rows in [&edited, &deleted, &inserted] {
            refused(rows);
            // The same by somebody who computes the chain anew. A row behind the last checkpoint is the next one's to cover.
            if at + 1 == evidence.heads.last().expect("some").sequence as usize && rows.len() > at + 1 {
                continue;
            }
            let known = matches!(
                refused(&rechained(rows.clone())),
                ExportError::Broken(Broken::Rewritten { .. } | Broken::Truncated { .. }) | ExportError::NoBeginning
            );
            assert!(known, "row {at}");
        }
        if at > 0 {
            let moved = changed(|rows, at| rows.swap(at - 1, at));
            refused(&moved);
            refused(&rechained(moved));
        }
    }
}

#[tokio::test]
async fn what_is_cut_off_after_a_checkpoint_shows_and_what_came_later_is_said_to_be_open() {
    let log = Log::filled().await;
    let (rows, evidence) = (log.rows(AuditFilter::default()).await, log.evidence().await);
    let cut = &rows[..rows.len() - 1];
    let found = cut.len() as i64;
    let broken = Broken::Truncated { known: rows.len() as i64, found };
    assert_eq!(check(&exported(cut), Some(&evidence)), Err(ExportError::Broken(broken)));
    assert!(check(&exported(cut), None).is_ok(), "without checkpoints it is a chain");
    let mut lines = exported(&rows);
    lines.remove(5);
    lines.truncate(lines.len() - 1);
    assert!(matches!(check(&lines[..5], None), Err(ExportError::CutOff { found: 4, .. })));
    log.write("受付").await;
    let longer = log.rows(AuditFilter::default()).await;
    check(&exported(&longer), Some(&evidence)).expect("rows after the last checkpoint are no contradiction");
    assert_eq!(evidence.covers().0, found + 1);
}

#[tokio::test]
async fn damaged_files_are_told_by_their_line() {
    let log = Log::filled().await;
    let lines = exported(&log.rows(AuditFilter::default()).await);
    let damaged = |change: fn(&mut Vec<String>)| {
        let mut lines = lines.clone();
        change(&mut lines);
        check(&lines, None).expect_err("damaged").to_string()
    };
    assert!(damaged(|lines| lines[0] = "{}".into()).starts_with("line 1:"));
    assert!(damaged(|lines| lines[0] = lines[0].replace("v1", "v9")).contains("v9"));
    assert!(damaged(|lines| lines[3].truncate(20)).starts_with("line 4:"));
    assert!(damaged(|lines| lines.push(lines[1].clone())).contains("behind the last line"));
    assert!(damaged(|lines| drop(lines.pop())).contains("cut off"));
    assert!(damaged(|lines| *lines = vec![lines[0].clone(), end_line(0)]).contains("begin"));
}

#[tokio::test]
async fn a_part_shows_edits_and_says_that_it_proves_no_more() {
    let log = Log::filled().await;
    let evidence = log.evidence().await;
    let filter = AuditFilter { customer: Some(log.bed.sunny.id), ..AuditFilter::default() };
    let (all, rows) = (log.rows(AuditFilter::default()).await, log.rows(filter.clone()).await);
    assert!(rows.len() > 10 && rows.len() < all.len());
    let part = |rows: &[Row]| {
        let mut lines = vec![Header::part(tegata_core::time::Timestamp(0), &filter).line()];
        let before =
            |row: &Row| all.iter().find(|other| other.sequence == row.sequence - 1).map_or([0; 32], |r| r.hash);
        lines.extend(rows.iter().map(|row| row_line(row, &before(row))));
        lines.push(end_line(rows.len() as u64));
        lines
    };
    let report = check(&part(&rows), Some(&evidence)).expect("as it was exported");
    assert_eq!((report.whole, report.rows), (false, rows.len() as u64));
    for at in 0..rows.len() {
        let mut edited = rows.clone();
        edited[at].detail = "nothing happened".into();
        let sequence = edited[at].sequence;
        assert_eq!(check(&part(&edited), None), Err(ExportError::Broken(Broken::Changed { sequence })));
    }
    let mut moved = rows.clone();
    moved.swap(2, 3);
    assert!(check(&part(&moved), None).is_err());
    let mut fewer = rows.clone();
    fewer.remove(4);
    assert!(
        !check(&part(&fewer), Some(&evidence)).expect("cannot show").whole,
        "what is left out of a part does not show"
    );
}

#[tokio::test]
async fn checkpoints_that_are_forged_changed_or_left_out_prove_nothing() {
    let log = Log::filled().await;
    let (lines, keys) = (log.lines(), log.keys().await);
    let read = |lines: &[String], keys: &[Vec<u8>]| Evidence::read(lines.iter().map(String::as_str), keys);
    read(&lines, &keys).expect("as they were written");
    let (stranger, _) = SoftwareSigner::generate(Curve::P256).expect("a key");
    let mut good: Vec<Checkpoint> = lines.iter().map(|line| Checkpoint::parse(line).expect("a line")).collect();
    let at = 2;
    let number = good[at].statement.number;
    // Somebody without the key says that the log stood elsewhere.
    good[at].statement.head.0[0] ^= 1;
    let mut forged = lines.clone();
    forged[at] = good[at].line();
    assert_eq!(read(&forged, &keys), Err(EvidenceError::Forged { number }));
    good[at].signature = tegata_pki::checkpoint::sign(&good[at].statement, &stranger).expect("signed");
    forged[at] = good[at].line();
    assert_eq!(read(&forged, &keys), Err(EvidenceError::Forged { number }));
    let mut fewer = lines.clone();
    fewer.remove(at);
    assert_eq!(read(&fewer, &keys), Err(EvidenceError::Gap { expected: number, found: number + 1 }));
    let stranger = vec![tegata_pki::signer::Signer::public_key_der(&stranger).to_vec()];
    assert_eq!(read(&lines, &stranger), Err(EvidenceError::Unproven { checkpoints: lines.len() }));
    assert_eq!(read(&[], &keys), Err(EvidenceError::Unproven { checkpoints: 0 }));
}

#[tokio::test]
async fn a_checkpoint_is_signed_after_so_many_rows_or_so_much_time_and_at_the_end() {
    let log = Log::new().await;
    let first = log.checkpoints.tend().await.expect("looked after").expect("the first one is due at once");
    assert_eq!(first.statement.number, 1);
    assert_eq!(log.checkpoints.tend().await.expect("looked after"), None, "nothing was written since");
    for _ in 0..4 {
        log.write("受付").await;
        assert_eq!(log.checkpoints.tend().await.expect("looked after"), None);
    }
    log.write("受付").await;
    let second = log.checkpoints.tend().await.expect("looked after").expect("five rows");
    assert_eq!((second.statement.number, second.statement.rows), (2, first.statement.rows + 5));
    log.write("受付").await;
    log.bed.clock.set(log.bed.now().plus_seconds(3600));
    assert!(log.checkpoints.tend().await.expect("looked after").is_some(), "an hour");
    assert_eq!(log.checkpoints.close().await.expect("closed"), None);
    log.write("受付").await;
    assert!(log.checkpoints.close().await.expect("closed").is_some(), "one row is enough at the end");
    assert_eq!(log.lines().len(), 4);
}

#[tokio::test]
async fn a_replaced_key_is_named_by_the_one_before_which_signs_no_more() {
    let log = Log::filled().await;
    let old_key = log.keys().await;
    let (folder, clock) = (log.bed.folder.path(), log.bed.clock.clone());
    let sealed = std::fs::read(folder.join("log.sealed")).expect("there");
    let made = checkpoint::replace(&log.store, folder, &pass(), &operator(), &*clock, &SeededEntropy::new(5)).await;
    let made = made.expect("replaced");
    assert!(matches!(made.statement.kind, Kind::Key { .. }));
    log.write("受付").await;
    let stale = log.checkpoints.close().await.expect_err("the old key is in this process still");
    assert!(matches!(stale, CheckpointError::OtherKey(_)), "{stale}");
    let again = open(&log.bed, &log.store, Some(log.file.clone())).await.expect("opened with the new key");
    again.close().await.expect("signed").expect("something was written");
    let lines = log.lines();
    let read = |keys: &[Vec<u8>]| Evidence::read(lines.iter().map(String::as_str), keys);
    let by_old = read(&old_key).expect("the old key leads to the new one");
    assert_eq!((by_old.new_keys, by_old.unproven), (1, 0));
    let keys = log.keys().await;
    let by_new = read(&keys[1..]).expect("the new key proves what it signed");
    assert_eq!((by_new.unproven, by_new.heads.len()), (lines.len() - 1, 1));
    // The old key, had somebody kept it, is refused where the new one signs.
    std::fs::write(folder.join("log.sealed"), sealed).expect("written");
    let error = open(&log.bed, &log.store, None).await.err().expect("refused");
    assert!(matches!(error, CheckpointError::OtherKey(_)), "{error}");
    assert_eq!(log.bed.count("audit.key-replaced").await, 1);
}

#[tokio::test]
async fn a_crash_while_the_key_is_replaced_is_settled_by_the_next_start() {
    let log = Log::filled().await;
    let folder = log.bed.folder.path();
    let (current, next) = (folder.join("log.sealed"), folder.join("next/log.sealed"));
    let old = std::fs::read(&current).expect("there");
    // Before the register knew: the new key is forgotten.
    std::fs::create_dir_all(folder.join("next")).expect("made");
    let (_, pkcs8) = SoftwareSigner::generate(Curve::P256).expect("a key");
    let sealed = tegata_authority::custody::Sealed::Log;
    let (next_folder, entropy) = (folder.join("next"), SeededEntropy::new(6));
    tegata_authority::custody::seal(&next_folder, sealed, pkcs8.expose(), &pass(), &entropy).expect("sealed");
    open(&log.bed, &log.store, None).await.expect("opened");
    assert!(!next.exists() && std::fs::read(&current).expect("there") == old);
    // Half a file is forgotten, too.
    std::fs::write(&next, "{\"format\":").expect("written");
    open(&log.bed, &log.store, None).await.expect("opened");
    assert!(!next.exists());
    // After the register knew: the new key takes its place.
    let clock = log.bed.clock.clone();
    checkpoint::replace(&log.store, folder, &pass(), &operator(), &*clock, &SeededEntropy::new(7)).await.expect("ok");
    std::fs::rename(&current, &next).expect("as it was before the last step");
    std::fs::write(&current, &old).expect("as it was before the last step");
    open(&log.bed, &log.store, None).await.expect("opened with the new key");
    assert!(!next.exists());
}

#[tokio::test]
async fn a_node_without_the_key_signs_nothing_and_says_why() {
    let log = Log::filled().await;
    std::fs::remove_file(log.bed.folder.path().join("log.sealed")).expect("there");
    let error = open(&log.bed, &log.store, None).await.err().expect("no key");
    assert!(matches!(error, CheckpointError::NoKey), "{error}");
    assert!(!log.bed.folder.path().join("log.sealed").exists(), "no second key is made");
}

#[tokio::test]
async fn the_file_gets_what_it_lacks_after_a_crash_and_is_never_mixed_with_anothers() {
    let log = Log::filled().await;
    let (reader, whole) = (log.store.reader(), log.lines());
    let publish = || publish(&reader, &log.file);
    // Two whole lines and a part of the third, as a power cut leaves them.
    let torn = format!("{}\n{}\n{}", whole[0], whole[1], &whole[2][..40]);
    std::fs::write(&log.file, torn).expect("written");
    let written = publish().await.expect("brought in step");
    assert_eq!((written.lines, written.last), (whole.len() as u64 - 2, whole.len() as i64));
    let evidence = log.evidence().await;
    assert_eq!((evidence.unreadable, evidence.heads.len()), (1, whole.len()));
    assert_eq!(publish().await.expect("in step").lines, 0);
    std::fs::remove_file(&log.file).expect("there");
    assert_eq!(publish().await.expect("made anew").lines, whole.len() as u64);
    assert_eq!(log.lines(), whole);
    // A register that was set back knows less than the file.
    let mut later = Checkpoint::parse(whole.last().expect("one")).expect("a line");
    later.statement.number += 1;
    std::fs::write(&log.file, format!("{}\n{}\n", whole.join("\n"), later.line())).expect("written");
    let number = later.statement.number;
    assert!(matches!(publish().await, Err(PublishError::Foreign { number: n }) if n == number));
    assert_eq!(log.lines().len(), whole.len() + 1, "left as it is");
}

#[tokio::test]
async fn nobody_sees_another_customers_rows_in_a_part() {
    let log = Log::filled().await;
    let scope = |customer: CustomerId| {
        let (terminal, user) = (tegata_core::id::TerminalId::from_random([1; 16]), tegata_core::id::UserId(1));
        let role = tegata_core::access::Role::CustomerAdmin;
        tegata_core::access::Actor::User { user, name: "x".into(), role, customer, terminal }.scope()
    };
    let read = async |of: CustomerId, filter: AuditFilter| -> Vec<Row> {
        log.store.reader().audit_part(scope(of), filter).try_collect().await.expect("read")
    };
    let (sunny, blue) = (log.bed.sunny.id, log.bed.blue.id);
    assert!(read(sunny, AuditFilter::default()).await.iter().all(|row| row.customer == Some(sunny)));
    assert_eq!(read(sunny, AuditFilter { customer: Some(blue), ..AuditFilter::default() }).await, []);
}
