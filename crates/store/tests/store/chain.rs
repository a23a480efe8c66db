//! The operation log: what was written stays as it was written, or it shows.

use std::process::{Command, Stdio};

use futures_util::{FutureExt as _, TryStreamExt as _};
use tegata_core::access::Actor;
use tegata_core::audit::{Action, Entry, Outcome, Row};
use tegata_core::id::{Fingerprint, Serial};
use tegata_core::time::Timestamp;
use tegata_store::audit::{Broken, Head, Verifier, verify};
use tegata_store::{AuditFilter, CheckpointRow, Database, OpenMode, Store, StoreError};

use crate::fixture::{World, entry, filled, filled_file, system, terminal_scope};

async fn rows(world: &World) -> Vec<Row> {
    world.reader.audit_all(system()).try_collect().await.expect("read")
}

async fn append(store: &Store, entry: Entry) -> Result<Head, StoreError> {
    store.write(move |tx| async move { tx.append_audit(&entry).await }.boxed()).await
}

/// The expected hashes were computed by a few lines of Python that follow the description at the head of `src/audit.rs`.
#[tokio::test]
async fn a_hash_is_what_the_description_says() {
    let world = crate::fixture::empty().await;
    let first = append(&world.store, entry(1, 0, "更新")).await.expect("written");
    let refused = Entry {
        actor: Actor::Visitor,
        customer: None,
        terminal: None,
        serial: None,
        action: Action::LoginRefused,
        outcome: Outcome::Refused,
        ..entry(1, 0, "")
    };
    let second = append(&world.store, refused).await.expect("written");
    let hex = |head: Head| Fingerprint(head.hash).to_string();
    assert_eq!(hex(first), "b2c273917025ced3842883de34827c459eb19763469f077cc0be1edd9938cf56");
    assert_eq!(hex(second), "0bfdb42c8a8a8572a7f3f16226f936ea36e4a2d045382d063633c0b53d0eda59");
}

#[tokio::test]
async fn any_edit_of_any_field_shows() {
    let written = rows(&filled().await).await;
    let head = verify(&written, None).expect("as it was written");
    assert_eq!((head.sequence, head.hash), (12, written[11].hash));
    let edits: [fn(&mut Row); 11] = [
        |row| row.at = Timestamp(row.at.0 + 1),
        |row| row.actor_kind = "operator".to_owned(),
        |row| row.actor_name.push('2'),
        |row| row.customer = None,
        |row| row.terminal = None,
        |row| row.serial = None,
        |row| row.serial = Some(Serial::from_bytes([0; 16])),
        |row| row.action = "logout".to_owned(),
        |row| row.outcome = "refused".to_owned(),
        |row| row.detail.clear(),
        |row| row.hash[31] ^= 1,
    ];
    for (place, _) in written.iter().enumerate() {
        for (number, edit) in edits.iter().enumerate() {
            let mut rows = written.clone();
            edit(&mut rows[place]);
            let sequence = rows[place].sequence;
            assert_eq!(verify(&rows, None), Err(Broken::Changed { sequence }), "row {sequence}, edit {number}");
        }
    }
}

#[tokio::test]
async fn text_moved_from_one_field_to_the_next_shows() {
    let mut rows = rows(&filled().await).await;
    let row = &mut rows[0];
    row.actor_kind.push_str("uke");
    row.actor_name = row.actor_name.replacen("uke", "", 1);
    assert_eq!(verify(&rows, None), Err(Broken::Changed { sequence: 1 }));
}

#[tokio::test]
async fn a_deleted_a_moved_and_an_inserted_row_show() {
    let written = rows(&filled().await).await;
    let check = |change: fn(&mut Vec<Row>), expected| {
        let mut rows = written.clone();
        change(&mut rows);
        assert_eq!(verify(&rows, None), Err(expected));
    };
    check(|rows| drop(rows.remove(0)), Broken::Gap { expected: 1, found: 2 });
    check(|rows| drop(rows.remove(4)), Broken::Gap { expected: 5, found: 6 });
    check(|rows| rows.swap(4, 5), Broken::Gap { expected: 5, found: 6 });
    check(|rows| rows.insert(4, rows[4].clone()), Broken::Gap { expected: 6, found: 5 });
    // The same, with the places written anew to look right.
    let renumber = |rows: &mut Vec<Row>| (1..).zip(rows.iter_mut()).for_each(|(n, row)| row.sequence = n);
    let mut removed = written.clone();
    removed.remove(4);
    renumber(&mut removed);
    assert_eq!(verify(&removed, None), Err(Broken::Changed { sequence: 5 }));
    let mut inserted = written.clone();
    inserted.insert(4, written[0].clone());
    renumber(&mut inserted);
    assert_eq!(verify(&inserted, None), Err(Broken::Changed { sequence: 5 }));
}

#[tokio::test]
async fn a_log_that_was_cut_off_or_written_anew_shows_against_a_known_head() {
    let written = rows(&filled().await).await;
    let head = verify(&written, None).expect("as it was written");
    assert_eq!(verify(&written[..10], None).expect("still a chain").sequence, 10);
    assert_eq!(verify(&written[..10], Some(head)), Err(Broken::Truncated { known: 12, found: 10 }));
    assert_eq!(verify(&[], Some(head)), Err(Broken::Truncated { known: 12, found: 0 }));
    let mut other = rows(&filled_differently().await).await;
    other.truncate(12);
    verify(&other, None).expect("a chain of its own");
    assert_eq!(verify(&other, Some(head)), Err(Broken::Rewritten { sequence: 12 }));
    let early = Head { sequence: 3, hash: written[2].hash };
    assert_eq!(verify(&written, Some(early)), Ok(head), "an old head is enough for what came before it");
}

/// The same number of rows, one of them with other words.
async fn filled_differently() -> World {
    let world = crate::fixture::empty().await;
    for n in 0..12 {
        append(&world.store, entry(1, 0, &format!("other {n}"))).await.expect("written");
    }
    world
}

#[tokio::test]
async fn the_database_itself_refuses_to_change_the_log() {
    let world = filled_file().await;
    let raw = raw(&world);
    for statement in [
        "UPDATE audit SET detail = 'nothing happened' WHERE sequence = 3",
        "DELETE FROM audit WHERE sequence = 12",
        "DELETE FROM audit",
        "INSERT OR REPLACE INTO audit SELECT * FROM audit WHERE sequence = 3",
        "INSERT INTO audit SELECT 14, at, actor_kind, actor_name, customer_id, terminal_id, serial, action, outcome, detail, hash \
         FROM audit WHERE sequence = 3",
    ] {
        let error = raw.execute(statement, []).expect_err(statement).to_string();
        assert!(error.contains("the operation log"), "{statement}: {error}");
    }
    assert_eq!(verify(&rows(&world).await, None).expect("untouched").sequence, 12);
}

#[tokio::test]
async fn the_database_itself_refuses_to_change_checkpoints_and_keys() {
    let world = filled().await;
    let checkpoint = |number| CheckpointRow {
        number,
        kind: "head".into(),
        head: Head { sequence: 12, hash: [1; 32] },
        at: Timestamp(0),
        line: "{}".into(),
    };
    let write = async |number| {
        let row = checkpoint(number);
        world.store.write(move |tx| async move { tx.insert_checkpoint(&row).await }.boxed()).await
    };
    write(1).await.expect("the first");
    let gap: StoreError = write(3).await.expect_err("a gap");
    assert!(gap.to_string().contains("no gaps"), "{gap}");
    world.store.write(|tx| async move { tx.insert_log_key(&[1; 91], Timestamp(0)).await }.boxed()).await.expect("kept");
    let statements = [
        "UPDATE checkpoints SET hash = hash WHERE number = 1",
        "DELETE FROM checkpoints",
        "UPDATE log_keys SET added_at = 1",
        "DELETE FROM log_keys",
    ];
    for statement in statements {
        let said = if world.register.is_on_server() {
            world.register.execute(statement).expect_err(statement)
        } else {
            raw(&world).execute(statement, []).expect_err(statement).to_string()
        };
        assert!(said.contains("of the operation log are not"), "{statement}: {said}");
    }
    assert_eq!(world.reader.checkpoints(system(), 0, 9).await, Ok(vec![checkpoint(1)]));
    assert_eq!(world.reader.log_keys(Actor::Visitor.scope()).await, Ok(vec![]));
}

#[tokio::test]
async fn who_takes_the_triggers_away_is_still_found_out() {
    let world = filled_file().await;
    let raw = raw(&world);
    raw.execute("DROP TRIGGER audit_is_not_changed", []).expect("an owner of the file can");
    raw.execute("UPDATE audit SET outcome = 'refused' WHERE sequence = 3", []).expect("and now this too");
    let mut verifier = Verifier::new(None);
    let broken = rows(&world).await.iter().find_map(|row| verifier.check(row).err());
    assert_eq!(broken, Some(Broken::Changed { sequence: 3 }));
}

fn raw(world: &World) -> rusqlite::Connection {
    rusqlite::Connection::open(world.database().file().expect("a file")).expect("opened")
}

#[tokio::test]
async fn the_whole_log_is_read_in_order_over_many_pages_and_only_by_who_sees_everything() {
    let world = filled().await;
    world
        .store
        .write(|tx| {
            async move {
                for n in 0..2500 {
                    tx.append_audit(&entry(1, 0, &n.to_string())).await?;
                }
                Ok::<_, StoreError>(())
            }
            .boxed()
        })
        .await
        .expect("written");
    assert_eq!(verify(&rows(&world).await, None).expect("one chain").sequence, 2512);
    let none: Vec<Row> = world.reader.audit_all(terminal_scope(1, 0)).try_collect().await.expect("read");
    assert_eq!(none, []);
}

#[tokio::test]
async fn the_log_is_listed_newest_first_page_by_page_and_by_filter() {
    let world = filled().await;
    let listed = |filter, before| {
        let reader = world.reader.clone();
        async move {
            let rows = reader.audit_rows_of(system(), &filter, before, 5).await.expect("read");
            rows.iter().map(|row| row.sequence).collect::<Vec<_>>()
        }
    };
    assert_eq!(listed(AuditFilter::default(), None).await, [12, 11, 10, 9, 8]);
    assert_eq!(listed(AuditFilter::default(), Some(8)).await, [7, 6, 5, 4, 3]);
    let customer = Some(crate::fixture::customer(1));
    assert_eq!(listed(AuditFilter { customer, ..Default::default() }, Some(3)).await, [2, 1]);
    let terminal = Some(crate::fixture::terminal(2, 2));
    assert_eq!(listed(AuditFilter { terminal, ..Default::default() }, None).await, [12, 11]);
    let action = Some("logout".to_owned());
    assert_eq!(listed(AuditFilter { action, ..Default::default() }, None).await, []);
}

#[tokio::test]
async fn a_long_detail_is_cut_at_a_character_and_an_entry_about_nobody_is_kept() {
    let world = filled().await;
    let about_nobody =
        Entry {
            actor: Actor::Visitor, customer: None, terminal: None, serial: None, ..entry(1, 0, &"証".repeat(501))
        };
    append(&world.store, about_nobody).await.expect("written");
    let rows = rows(&world).await;
    assert_eq!(rows[12].detail, "証".repeat(500));
    assert_eq!((rows[12].customer, rows[12].terminal, rows[12].serial), (None, None, None));
    verify(&rows, None).expect("one chain");
}

#[tokio::test]
async fn a_zero_in_a_text_is_kept_as_something_that_every_engine_can_keep() {
    let world = filled().await;
    append(&world.store, entry(1, 0, "a\0b")).await.expect("written");
    let rows = rows(&world).await;
    assert_eq!(rows[12].detail, "a\u{fffd}b");
    verify(&rows, None).expect("one chain");
    let found = world.reader.users_named(system(), "uketsuke0\0", 1).await;
    assert_eq!(found, Ok(vec![]), "whoever types one finds nothing");
}

/// Names the database that [`a_second_process_writes`] is to write to; only the test below sets it.
const SECOND_PROCESS: &str = "TEGATA_STORE_TEST_SECOND_PROCESS";

#[tokio::test]
async fn a_second_process_writes() {
    let Ok(setting) = std::env::var(SECOND_PROCESS) else { return };
    let database = Database::parse(&setting, "".as_ref()).expect("a place");
    let store = Store::open(database, OpenMode::Existing).await.expect("opened");
    for n in 0..100 {
        append(&store, entry(2, 0, &format!("second process {n}"))).await.expect("written");
    }
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_and_two_handles_write_one_chain_without_gaps() {
    let world = filled().await;
    let mut child = Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", "chain::a_second_process_writes"])
        .env(SECOND_PROCESS, world.register.setting())
        .stdout(Stdio::null())
        .spawn()
        .expect("started");
    let second = world.another().await;
    let writers = [world.store.clone(), second].map(|store| {
        tokio::spawn(async move {
            for n in 0..100 {
                append(&store, entry(1, 0, &format!("first process {n}"))).await.expect("written");
            }
        })
    });
    for writer in writers {
        writer.await.expect("no panic");
    }
    let status = tokio::task::spawn_blocking(move || child.wait()).await.expect("no panic").expect("waited");
    assert!(status.success());
    let rows = rows(&world).await;
    assert_eq!(verify(&rows, None).expect("one chain").sequence, 12 + 300);
    assert_eq!(rows.iter().filter(|row| row.detail.starts_with("second process")).count(), 100);
}
