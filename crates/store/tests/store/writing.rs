//! Units of work: all or nothing, together or alone, whatever the others do.

use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use tegata_core::id::{CertificateId, CustomerId};
use tegata_store::audit::verify;
use tegata_store::{OpenMode, Store, StoreError};

use crate::fixture::{NOW, customer, empty, entry, filled, issue, new_certificate, system};

/// A use case's own error, as the rooms above have them.
#[derive(Debug, PartialEq)]
enum CaseError {
    ChangedMyMind,
    Store(StoreError),
}

impl From<StoreError> for CaseError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_200_units_at_once_exactly_those_that_fail_leave_nothing() {
    let world = filled().await;
    let before = (world.store.version(), world.reader.audit_rows(system(), None, 1000).await.expect("read").len());
    let units = (0..200_u64).map(|n| {
        let store = world.store.clone();
        tokio::spawn(async move {
            let unit = store.write(move |tx| {
                async move {
                    // Every fifth repeats a serial, every seventh fails after it has written.
                    let tag = if n % 5 == 0 { 100 } else { 1000 + n };
                    let id = tx.insert_certificate(&new_certificate(1, 0, tag)).await?;
                    tx.append_audit(&entry(1, 0, &n.to_string())).await?;
                    if n % 7 == 0 { Err(CaseError::ChangedMyMind) } else { Ok(id) }
                }
                .boxed()
            });
            (n, unit.await)
        })
    });
    let mut kept = 0;
    for unit in futures_util::future::join_all(units).await {
        let (n, result) = unit.expect("no task panics");
        match result {
            Ok(CertificateId(_)) => {
                assert!(n % 5 != 0 && n % 7 != 0);
                kept += 1;
            }
            Err(CaseError::ChangedMyMind) => assert!(n % 5 != 0 && n % 7 == 0),
            Err(CaseError::Store(error)) => {
                assert!(n % 5 == 0);
                assert_eq!(error, StoreError::Duplicate { what: "serial" });
            }
        }
    }
    let list = world.reader.certificates(system(), &Default::default(), 1000).await.expect("read");
    assert_eq!(list.iter().filter(|cert| cert.serial.as_bytes()[8..] >= 1000_u64.to_be_bytes()[..]).count(), kept);
    let mut rows = world.reader.audit_rows(system(), None, 1000).await.expect("read");
    assert_eq!(rows.len(), before.1 + kept);
    rows.reverse();
    verify(&rows, None).expect("one chain");
    let commits = world.store.version() - before.0;
    assert!((4..200).contains(&commits), "{commits} commits for 200 units: at most 64 share one");
}

#[tokio::test]
async fn a_unit_that_panics_leaves_nothing_and_the_next_one_works() {
    let world = filled().await;
    let unit = world.store.write(|tx| {
        async move {
            let head = tx.append_audit(&entry(1, 0, "lost")).await?;
            assert_eq!(head.sequence, 0, "this panic is part of the test");
            Ok::<_, StoreError>(())
        }
        .boxed()
    });
    assert_eq!(unit.await, Err(StoreError::Panicked));
    issue(&world.store, new_certificate(1, 0, 5000)).await.expect("the writer lives on");
    let rows = world.reader.audit_rows(system(), None, 1000).await.expect("read");
    assert!(rows.iter().all(|row| row.detail != "lost"));
}

#[tokio::test]
async fn a_unit_that_takes_no_notice_of_a_failed_statement_fails_all_the_same() {
    let world = filled().await;
    let unit = world.store.write(|tx| {
        async move {
            tx.append_audit(&entry(1, 0, "lost")).await?;
            let twice = tx.insert_certificate(&new_certificate(1, 0, 100)).await;
            assert_eq!(twice, Err(StoreError::Duplicate { what: "serial" }));
            assert_eq!(tx.append_audit(&entry(1, 0, "lost, too")).await.map(|_| ()), twice.map(|_| ()));
            Ok::<_, StoreError>(())
        }
        .boxed()
    });
    assert_eq!(unit.await, Err(StoreError::Duplicate { what: "serial" }));
    assert_eq!(world.reader.audit_rows(system(), None, 1000).await.expect("read").len(), 12);
    issue(&world.store, new_certificate(1, 0, 5000)).await.expect("the writer lives on");
}

#[tokio::test]
async fn a_unit_runs_to_its_end_when_nobody_waits_any_more() {
    let world = filled().await;
    let unit = world.store.write(|tx| {
        async move {
            tokio::time::sleep(Duration::from_millis(50)).await;
            tx.append_audit(&entry(1, 0, "nobody waits")).await.map(|_| ())
        }
        .boxed()
    });
    tokio::time::timeout(Duration::from_millis(10), unit).await.expect_err("given up");
    issue(&world.store, new_certificate(1, 0, 5000)).await.expect("after it");
    let rows = world.reader.audit_rows(system(), None, 1).await.expect("read");
    assert_eq!(rows[0].detail, "nobody waits");
}

#[tokio::test]
async fn a_unit_waits_for_another_process_that_is_writing() {
    let world = filled().await;
    let second = world.another().await;
    let slow = tokio::spawn(async move {
        let unit = second.write(|tx| {
            async move {
                tx.append_audit(&entry(1, 0, "slow")).await?;
                tokio::time::sleep(Duration::from_millis(300)).await;
                Ok::<_, StoreError>(())
            }
            .boxed()
        });
        unit.await
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    let begun = Instant::now();
    issue(&world.store, new_certificate(1, 0, 5000)).await.expect("waited");
    assert!(begun.elapsed() > Duration::from_millis(50), "it had to wait");
    slow.await.expect("no panic").expect("written");
}

#[tokio::test]
async fn the_version_changes_with_commits_of_this_store_and_of_others() {
    let world = filled().await;
    let other = world.another().await;
    let first = world.reader.data_version().await.expect("read");
    // On a server the tests beside this one count, too.
    let same = world.register.is_on_server() || world.reader.data_version().await.expect("read") == first;
    assert!(same, "nothing happened");
    let (count, trust) = (world.store.version(), world.reader.trust_version().await.expect("read"));

    let logged = |store: Store| async move {
        store.write(|tx| async move { tx.append_audit(&entry(1, 0, "x")).await }.boxed()).await.expect("written");
    };
    logged(world.store.clone()).await;
    let second = world.reader.data_version().await.expect("read");
    assert_ne!(second, first);
    assert_eq!(world.store.version(), count + 1);
    logged(other.clone()).await;
    let third = world.reader.data_version().await.expect("read");
    assert_ne!(third, second);
    assert_eq!(world.reader.trust_version().await.expect("read"), trust, "the log is nothing to the gate");
    let new = new_certificate(1, 0, 5000);
    let fingerprint = new.fingerprint;
    issue(&other, new).await.expect("issued");
    assert_eq!(world.reader.trust_version().await.expect("read"), trust, "the gate sees the date of a new one");
    let unit = other.write(move |tx| async move { tx.mark_used(fingerprint, NOW).await }.boxed());
    assert_eq!(unit.await, Ok::<_, StoreError>(true));
    assert_ne!(world.reader.trust_version().await.expect("read"), trust);
}

#[tokio::test]
async fn what_was_handed_over_is_done_before_the_store_closes() {
    let world = filled().await;
    let units: Vec<_> = (0..100)
        .map(|n| {
            let store = world.store.clone();
            tokio::spawn(async move { issue(&store, new_certificate(1, 0, 6000 + n)).await })
        })
        .collect();
    tokio::task::yield_now().await;
    world.store.close().await;
    let done = futures_util::future::join_all(units).await;
    let kept = done.iter().filter(|unit| matches!(unit, Ok(Ok(_)))).count();
    assert!(done.iter().all(|unit| matches!(unit, Ok(Ok(_) | Err(StoreError::Closed)))));
    assert_eq!(issue(&world.store, new_certificate(1, 0, 9000)).await, Err(StoreError::Closed));
    assert_eq!(world.reader.data_version().await, Err(StoreError::Closed));

    let again = world.another().await;
    let list = again.reader().certificates(system(), &Default::default(), 1000).await.expect("read");
    assert_eq!(list.len(), 6 + kept, "every unit that was answered with Ok, and no other");
}

#[tokio::test]
async fn a_store_that_was_dropped_can_be_opened_again_with_everything_in_it() {
    let world = filled().await;
    let database = world.database();
    let head = world.reader.audit_rows(system(), None, 1).await.expect("read");
    drop((world.store, world.reader));
    let again = Store::open(database, OpenMode::Existing).await.expect("reopened");
    assert_eq!(again.reader().audit_rows(system(), None, 1).await.expect("read"), head);
    assert_eq!(again.reader().customers(system()).await.expect("read").len(), 2);
}

#[tokio::test]
async fn an_empty_store_answers_with_nothing() {
    let world = empty().await;
    assert_eq!(world.reader.customer(system(), customer(1)).await, Ok(None));
    assert_eq!(world.reader.trust_rows(system(), NOW).await, Ok(Default::default()));
    let unknown = CustomerId::new(77).expect("valid");
    assert_eq!(world.reader.terminals(system(), Some(unknown)).await, Ok(vec![]));
}
