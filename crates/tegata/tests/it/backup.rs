//! The drill: a backup is made while renewals go on, restored on an empty machine, verified, and served; who could come in before comes in again and
//! renews.

use std::path::Path;
use std::process::Command;

use reqwest::StatusCode;
use tegata_core::time::Days;

use crate::bed::{Bed, clinic, now, run, terminal};

fn done(command: &mut Command) -> String {
    let (output, stdout, stderr) = run(command);
    assert!(output.status.success(), "{stdout}{stderr}");
    stdout
}

fn refused(command: &mut Command, word: &str) {
    let (output, stdout, stderr) = run(command);
    assert!(!output.status.success() && stderr.contains(word), "no {word:?}: {stdout}{stderr}");
}

fn entries(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("readable");
    entries.map(|entry| entry.expect("readable").file_name().to_string_lossy().into_owned()).collect()
}

fn backup(bed: &Bed, file: &Path) -> Command {
    let mut command = bed.command(&["backup", "--to"]);
    command.arg(file);
    command
}

fn restore(bed: &Bed, file: &Path, more: &[&str]) -> Command {
    let mut command = bed.command(&["restore", "--from"]);
    command.arg(file).args(more);
    command
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_of_a_running_service_is_restored_elsewhere_and_renews() {
    let mut bed = Bed::in_a_file();
    let authority = bed.authority().await;
    let customer = clinic(&authority, "103001").await;
    let end = now().plus_days(Days(60));
    let mut held = Vec::new();
    for number in 0..8 {
        held.push(terminal(&authority, customer, &format!("受付{number}"), end).await.1);
    }
    authority.close().await;
    let server = bed.serve();
    let (first, last) = (bed.browser(Some(&held[0])), bed.browser(Some(&held[7])));
    bed.log_in(&first).await.expect("answered");
    let (renewed, _) = bed.renew(&first).await.expect("answered").expect("renewed before the backup");
    // Renewals go on while the backup is made.
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("tegata.backup");
    let renewals = async {
        for held in &held[1..7] {
            let browser = bed.browser(Some(held));
            bed.log_in(&browser).await.expect("answered");
            bed.renew(&browser).await.expect("answered").expect("renewed meanwhile");
        }
    };
    let mut command = backup(&bed, &file);
    let making = tokio::task::spawn_blocking(move || done(&mut command));
    let (said, ()) = tokio::join!(making, renewals);
    assert!(said.expect("no panic").contains("wrote"));
    bed.log_in(&last).await.expect("answered");
    let (after, _) = bed.renew(&last).await.expect("answered").expect("renewed after the backup");
    assert_eq!(entries(folder.path()), ["tegata.backup"], "a whole file and nothing else");
    drop(server);

    let said = done(&mut restore(&bed, &file, &["--verify"]));
    assert!(said.contains("can be restored") && said.contains("operation log intact"), "{said}");
    let elsewhere = folder.path().join("elsewhere");
    let said = done(&mut restore(&bed, &file, &["--into", elsewhere.to_str().expect("ASCII")]));
    assert!(said.contains("REVOKED since then count again"), "{said}");
    bed.dir = elsewhere;
    assert!(done(&mut bed.command(&["audit", "verify"])).contains("intact"));
    let (output, said, _) = run(&mut bed.command(&["doctor"]));
    assert!(output.status.success(), "{said}");

    let _server = bed.serve();
    let menu = first.get(bed.url("/menu")).send().await.expect("answered");
    assert_eq!(
        menu.status(),
        StatusCode::SEE_OTHER,
        "a login from before does not outlive the return to an earlier state"
    );
    let again = bed.browser(Some(&renewed));
    assert_eq!(
        bed.log_in(&again).await.expect("answered").status(),
        StatusCode::SEE_OTHER,
        "what was renewed before counts"
    );
    let unknown = bed.browser(Some(&after));
    let answer = unknown.get(bed.url("/login")).send().await.expect("answered");
    assert_eq!(answer.status(), StatusCode::FORBIDDEN, "what was issued after the backup is unknown");
    let old = bed.browser(Some(&held[7]));
    bed.log_in(&old).await.expect("answered");
    bed.renew(&old).await.expect("answered").expect("the terminal renews again with the one before");
    assert!(done(&mut bed.command(&["audit", "verify"])).contains("intact"));
}

#[test]
fn a_backup_that_is_wrong_or_damaged_restores_nothing() {
    let bed = Bed::in_a_file();
    let folder = tempfile::tempdir().expect("a folder");
    let (file, into) = (folder.path().join("a.backup"), folder.path().join("x"));
    let into_text = into.to_str().expect("ASCII");
    done(&mut backup(&bed, &file));
    refused(&mut backup(&bed, &file), "exists already");
    refused(restore(&bed, &file, &["--verify"]).env("TEGATA_PASSPHRASE", "another passphrase"), "does not open");
    let whole = std::fs::read(&file).expect("readable");
    let damaged = folder.path().join("damaged");
    let mut changed = whole.clone();
    let at = whole.len() - 1000;
    changed[at] ^= 1;
    for (content, word) in
        [(&whole[..whole.len() - 70_000], "cut off"), (&changed, "damaged"), (&whole[..10], "not a backup")]
    {
        std::fs::write(&damaged, content).expect("writable");
        refused(&mut restore(&bed, &damaged, &["--into", into_text]), word);
        assert!(!into.exists());
    }
    for name in entries(folder.path()) {
        assert!(["a.backup", "damaged"].contains(&&*name), "{name} was left");
    }
    std::fs::create_dir(&into).expect("made");
    std::fs::write(into.join("precious"), "1").expect("writable");
    refused(&mut restore(&bed, &file, &["--into", into_text]), "nothing was changed");
    assert!(!whole.windows(6).any(|part| part == b"SQLite"), "nothing in the clear");
    // Sealed with a passphrase of its own.
    let pass = folder.path().join("pass");
    std::fs::write(&pass, "a passphrase for backups\n").expect("writable");
    let other = folder.path().join("b.backup");
    done(backup(&bed, &other).arg("--passphrase-file").arg(&pass));
    refused(&mut restore(&bed, &other, &["--verify"]), "does not open");
    done(restore(&bed, &other, &["--verify"]).arg("--passphrase-file").arg(&pass));
}

#[test]
fn on_a_server_the_backup_says_that_the_register_is_not_in_it() {
    let Some(bed) = Bed::on_server() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("a.backup");
    let said = done(&mut backup(&bed, &file));
    assert!(said.contains("NOT in it") && said.contains("pg_dump"), "{said}");
    let said = done(&mut restore(&bed, &file, &["--verify"]));
    assert!(said.contains("keys open") && said.contains("pg_restore"), "{said}");
}
