//! Bundles: one at a time, and gone when they are erased.

use futures_util::FutureExt as _;
use tegata_store::{ErasedBundle, NewBundle, StoreError};

use crate::fixture::{
    NOW, certificate_of, customer, filled, filled_file, issue, new_bundle, new_certificate, system, terminal,
};

/// Bytes that stand nowhere else in a database, longer than a page.
fn marked(tag: u8) -> Vec<u8> {
    (0..6000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8 ^ tag).collect()
}

fn holds(haystack: &[u8], secret: &[u8]) -> bool {
    secret.chunks(64).filter(|part| part.len() == 64).any(|part| haystack.windows(64).any(|window| window == part))
}

#[tokio::test]
async fn an_erased_bundle_is_gone_from_the_files() {
    let world = filled_file().await;
    let id = issue(&world.store, new_certificate(1, 0, 5000)).await.expect("issued");
    let old = certificate_of_first_bundle(&world).await;
    let (key, password) = (marked(0), marked(0xff));
    let new = NewBundle { sealed_key: key.clone(), sealed_password: password.clone(), ..new_bundle(1, 0, id) };
    let unit = world.store.write(move |tx| {
        async move {
            assert!(tx.erase_bundle(old, NOW).await?);
            tx.insert_bundle(&new).await
        }
        .boxed()
    });
    unit.await.expect("written");
    assert!(world.store.checkpoint().await.expect("written back"));
    let database = world.database();
    let path = database.file().expect("a file");
    let file = || std::fs::read(path).expect("read");
    assert!(holds(&file(), &key) && holds(&file(), &password), "the test looks in the right place");

    let erased = world.store.write(move |tx| async move { tx.erase_bundle(id, NOW).await }.boxed()).await;
    assert_eq!(erased, Ok::<_, StoreError>(true));
    assert!(world.store.checkpoint().await.expect("written back"));
    let journal = std::fs::read(world.folder.path().join("tegata.db-wal")).unwrap_or_default();
    for bytes in [file(), journal] {
        assert!(!holds(&bytes, &key) && !holds(&bytes, &password));
    }
    let raw = rusqlite::Connection::open(path).expect("opened");
    let query =
        "SELECT COUNT(*) FROM bundles WHERE sealed_key IS NULL AND sealed_password IS NULL AND erased_at IS NOT NULL";
    assert_eq!(raw.query_row(query, [], |row| row.get(0)), Ok(2));
    assert_eq!(world.reader.open_bundle(system(), terminal(1, 0), NOW).await, Ok(None));
}

async fn certificate_of_first_bundle(world: &crate::fixture::World) -> tegata_core::id::CertificateId {
    let bundle = world.reader.open_bundle(system(), terminal(1, 0), NOW).await.expect("read");
    bundle.expect("filled has one").certificate.id
}

#[tokio::test]
async fn a_terminal_has_one_open_bundle_and_a_certificate_one_for_ever() {
    let world = filled().await;
    let id = issue(&world.store, new_certificate(1, 0, 5000)).await.expect("issued");
    let store = |bundle: NewBundle| {
        let store = world.store.clone();
        async move { store.write(move |tx| async move { tx.insert_bundle(&bundle).await }.boxed()).await }
    };
    assert_eq!(store(new_bundle(1, 0, id)).await, Err(StoreError::Duplicate { what: "open bundle" }));
    let first = certificate_of_first_bundle(&world).await;
    let unit = world.store.write(move |tx| async move { tx.erase_bundle(first, NOW).await }.boxed());
    assert_eq!(unit.await, Ok::<_, StoreError>(true));
    assert_eq!(store(new_bundle(1, 0, first)).await, Err(StoreError::Duplicate { what: "bundle" }));
    assert_eq!(store(new_bundle(1, 0, id)).await, Ok(()));
    let stranger = NewBundle { customer: customer(2), ..new_bundle(1, 0, id) };
    assert!(matches!(store(stranger).await, Err(StoreError::NotFound { .. } | StoreError::Duplicate { .. })));
}

#[tokio::test]
async fn a_bundle_lapses_at_its_last_second_and_is_then_erased_once() {
    let world = filled().await;
    let end = NOW.plus_seconds(100);
    let open = |now| world.reader.open_bundle(system(), terminal(1, 0), now);
    assert!(open(end.plus_seconds(-1)).await.expect("read").is_some());
    assert!(open(end).await.expect("read").is_none());
    let erase = |now| world.store.write(move |tx| async move { tx.erase_lapsed_bundles(now).await }.boxed());
    assert_eq!(erase(end.plus_seconds(-1)).await, Ok::<_, StoreError>(vec![]));
    let erased = erase(end).await.expect("erased");
    assert_eq!(erased.len(), 6);
    let cert = certificate_of(&world, 1, 0).await;
    let first =
        ErasedBundle { certificate: cert.id, serial: cert.serial, terminal: cert.terminal, customer: cert.customer };
    assert_eq!(erased[0], first);
    assert_eq!(erase(end).await, Ok(vec![]));
    assert!(open(NOW).await.expect("read").is_none(), "erased is erased, whatever the clock says");
}

#[tokio::test]
async fn downloads_and_reveals_are_counted_while_the_bundle_lives() {
    let world = filled().await;
    let id = certificate_of_first_bundle(&world).await;
    let unit = world.store.write(move |tx| {
        async move {
            tx.mark_downloaded(id, NOW.plus_seconds(1)).await?;
            tx.mark_downloaded(id, NOW.plus_seconds(2)).await?;
            tx.mark_revealed(id).await
        }
        .boxed()
    });
    unit.await.expect("counted");
    let bundle = world.reader.open_bundle(system(), terminal(1, 0), NOW).await.expect("read").expect("open");
    assert_eq!((bundle.downloads, bundle.reveals), (2, 1));
    assert_eq!(bundle.certificate.downloaded_at, Some(NOW.plus_seconds(1)), "the first one");
    let unit = world.store.write(move |tx| {
        async move {
            tx.erase_bundle(id, NOW).await?;
            tx.mark_revealed(id).await
        }
        .boxed()
    });
    assert_eq!(unit.await, Err(StoreError::NotFound { what: "open bundle" }));
    let bundle = world.reader.open_bundle(system(), terminal(1, 0), NOW).await.expect("read");
    assert!(bundle.is_some(), "the unit that failed erased nothing");
}

#[tokio::test]
async fn a_reader_in_the_way_of_a_checkpoint_stops_nobody_from_writing() {
    let world = filled_file().await;
    let database = world.database();
    let reader = rusqlite::Connection::open(database.file().expect("a file")).expect("opened");
    reader.execute_batch("BEGIN; SELECT COUNT(*) FROM terminals").expect("a snapshot");
    issue(&world.store, new_certificate(1, 0, 5000)).await.expect("issued");
    assert_eq!(world.store.checkpoint().await, Ok(false), "later");
    issue(&world.store, new_certificate(1, 1, 5001)).await.expect("issued");
    reader.execute_batch("COMMIT").expect("ended");
    assert_eq!(world.store.checkpoint().await, Ok(true));
}
