//! Tests that need to look behind the public calls: that the questions of the request path are answered from an index at 100,000
//! certificates, and that a transaction that dies takes exactly its own units with it.

use futures_util::FutureExt as _;
use tegata_core::access::Actor;
use tegata_core::customer::CustomerKind;
use tegata_core::id::{CertificateId, ClientNumber, CustomerId, Fingerprint, IssuerId, KeyHash, Serial, TerminalId};
use tegata_core::time::Timestamp;

use crate::db::Query;
use crate::{
    AuditFilter, NewCustomer, OpenMode, Reader, Store, StoreError, Tx, audit, bundles, certificates, forecast,
    sessions, status, terminals, trust,
};

const NOW: Timestamp = Timestamp(1_795_000_000);

async fn empty() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let store = Store::open(&folder.path().join("tegata.db"), OpenMode::Create).await.expect("a new store");
    (folder, store)
}

/// 100,000 terminals with one used certificate each; every 1000th is revoked, every 500th unused, every 250th superseded, and every
/// second one is past.
async fn fill(tx: &mut Tx) -> Result<(), StoreError> {
    for text in [
        "INSERT INTO issuers (id, name, der, not_before, not_after, created_at) VALUES (1, 'x', x'00', 0, 0, 0)",
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 11) \
         INSERT INTO customers (id, code, name, created_at) SELECT i, printf('%06d', i), 'x', 0 FROM n",
        "WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 99999) \
         INSERT INTO terminals (id, customer_id, client_number, name, created_at) \
         SELECT unhex(printf('%032x', i)), i / 9999 + 1, i % 9999 + 1, 'x', 0 FROM n",
        "INSERT INTO certificates (fingerprint, issuer_id, serial, terminal_id, customer_id, profile, key_kind, not_before, not_after, \
         issued_at, used_at, superseded, revoked_at, revocation_reason, der) \
         SELECT unhex(printf('%064x', rowid)), 1, unhex(printf('%032x', rowid)), id, customer_id, 'x', 'p256', 0, \
         1795000000 + CASE rowid % 2 WHEN 0 THEN 1000 ELSE -1000 END, 0, CASE rowid % 500 WHEN 0 THEN NULL ELSE 1 END, \
         rowid % 250 = 0, CASE rowid % 1000 WHEN 0 THEN 1 END, CASE rowid % 1000 WHEN 0 THEN 'unspecified' END, zeroblob(700) \
         FROM terminals",
    ] {
        tx.execute(Query::new(text)).await?;
    }
    Ok(())
}

async fn plan(reader: &Reader, query: Query) -> Vec<String> {
    reader.all(query.explained(), |row| row.text("detail")).await.expect("explained")
}

#[tokio::test]
async fn the_request_path_is_answered_from_indexes_at_100_000_certificates() {
    let (_folder, store) = empty().await;
    store.write(|tx| fill(tx).boxed()).await.expect("filled");
    let reader = store.reader();
    let system = Actor::System { job: "test" }.scope();

    let rows = reader.trust_rows(system, NOW).await.expect("read");
    assert_eq!((rows.revoked.len(), rows.unused.len(), rows.superseded.len()), (100, 100, 300));
    let steps = plan(&reader, trust::trust(NOW)).await;
    for index in ["certificates_revoked", "certificates_unused", "certificates_superseded"] {
        let step = format!("SEARCH certificates USING COVERING INDEX {index} (not_after>?)");
        assert!(steps.contains(&step), "{index}: {steps:?}");
    }

    let since = Timestamp(NOW.0 - 500);
    let revocations = reader.revocations(system, IssuerId(1), since).await.expect("read");
    assert_eq!((revocations.ever, revocations.listed.len()), (100, 100));
    let steps = plan(&reader, status::revocations(IssuerId(1), since)).await;
    let through_all = |step: &&String| step.contains("certificates") && !step.contains("INDEX certificates_revoked");
    assert_eq!(steps.iter().find(through_all), None, "only the revoked ones are looked at: {steps:?}");

    let terminal = TerminalId(uuid::Uuid::from_u128(77));
    let scope = Actor::Terminal { terminal, customer: CustomerId::new(1).expect("valid") }.scope();
    let administrator = Actor::User {
        user: tegata_core::id::UserId(1),
        name: "jimu".to_owned(),
        role: tegata_core::access::Role::CustomerAdmin,
        customer: CustomerId::new(1).expect("valid"),
        terminal,
    };
    let (customer, client) = (CustomerId::new(1).expect("valid"), ClientNumber::new(1).expect("valid"));
    let log = |scope| audit::listed(scope, &AuditFilter::default(), Some(9), 50);
    let questions = [
        certificates::within(certificates::by_fingerprint(Fingerprint([1; 32])), scope),
        certificates::within(certificates::by_serial(Serial::from_bytes([1; 16])), system),
        certificates::within(certificates::of_terminal(terminal), scope),
        bundles::open(terminal, NOW),
        sessions::live([1; 32], NOW),
        log(scope),
        log(system),
        terminals::paged(system, (None, ""), Some((customer, client)), 50),
        terminals::paged(administrator.scope(), (None, ""), Some((customer, client)), 50),
        log(administrator.scope()),
        trust::trust(NOW),
        status::issued(IssuerId(1), Serial::from_bytes([1; 16])),
    ];
    for query in questions {
        let steps = plan(&reader, query.clone()).await;
        let slow = steps.iter().any(|step| step.starts_with("SCAN") || step.contains("TEMP B-TREE"));
        assert!(!slow, "{query:?}: {steps:?}");
    }
}

#[tokio::test]
async fn the_forecast_is_counted_from_an_index_at_100_000_certificates() {
    let (_folder, store) = empty().await;
    store.write(|tx| fill(tx).boxed()).await.expect("filled");
    let reader = store.reader();
    let between = (NOW, NOW.plus_days(tegata_core::time::Days(1100)));
    let steps = plan(&reader, forecast::endings("x", between, None)).await;
    let range = "SEARCH c USING COVERING INDEX certificates_ending (not_after>? AND not_after<?)";
    assert!(steps.iter().any(|step| step == range), "{steps:?}");
    let system = Actor::System { job: "test" }.scope();
    let weeks = reader.endings(system, "x", between, None).await.expect("read");
    // Every second one lives; of those, every 500th was never used, every 250th is superseded, every 1000th is revoked: one in 250.
    assert_eq!(weeks.iter().map(|(_, ending)| ending.terminals).sum::<u32>(), 50_000 - 400);
    let terminal = Actor::Terminal {
        terminal: TerminalId(uuid::Uuid::from_u128(1)),
        customer: CustomerId::new(1).expect("valid"),
    };
    assert!(reader.endings(terminal.scope(), "x", between, None).await.expect("read").is_empty());
}

#[tokio::test]
async fn what_a_renewal_by_a_program_asks_touches_no_other_certificates_row() {
    let (_folder, store) = empty().await;
    let terminal = TerminalId(uuid::Uuid::from_u128(77));
    let guard = certificates::key_guard(terminal, KeyHash([1; 32]), "agent", (NOW, NOW), Some(CertificateId(1)));
    let steps = plan(&store.reader(), guard).await;
    let of_certificates: Vec<_> = steps.iter().filter(|step| step.contains(" c ")).collect();
    let answered = |step: &str| {
        step.contains("COVERING INDEX certificates_by_terminal (terminal_id=?") || step.contains("rowid=?")
    };
    assert!(of_certificates.len() == 4 && of_certificates.iter().all(|step| answered(step)), "{steps:?}");
}

fn new_customer(number: u32) -> NewCustomer {
    let code = format!("{number:06}").parse().expect("valid");
    NewCustomer { id: CustomerId::new(number), kind: CustomerKind::Clinic, code, name: "x".to_owned(), created_at: NOW }
}

/// Three units that share one transaction: a good one, `bad`, and another good one.
async fn share_a_transaction<F>(store: &Store, bad: F) -> [Result<(), StoreError>; 3]
where
    F: for<'t> FnOnce(&'t mut Tx) -> futures_util::future::BoxFuture<'t, Result<(), StoreError>> + Send + 'static,
{
    let add = |number| {
        store.write(move |tx| async move { tx.insert_customer(&new_customer(number)).await.map(|_| ()) }.boxed())
    };
    // The writer is kept busy until all three are handed over.
    let (go, wait) = tokio::sync::oneshot::channel();
    let busy = store.write(|_| async move { wait.await.map_err(|_| StoreError::Closed) }.boxed());
    let (_, one, two, three, ()) =
        tokio::join!(busy, add(1), store.write(bad), add(3), async { go.send(()).expect("awaited") });
    [one, two, three]
}

#[tokio::test]
async fn a_commit_that_fails_fails_for_everyone_in_it_and_for_nobody_after_it() {
    let (_folder, store) = empty().await;
    let dangling =
        "INSERT INTO users (customer_id, name, password_hash, role, created_at) VALUES (99, 'x', 'x', 'x', 0)";
    let results = share_a_transaction(&store, move |tx| {
        async move {
            // Puts the check of references off until the commit, which then fails.
            tx.execute(Query::new("PRAGMA defer_foreign_keys = ON")).await?;
            tx.execute(Query::new(dangling)).await.map(|_| ())
        }
        .boxed()
    });
    let failed = Err(StoreError::NotFound { what: "referenced row" });
    assert_eq!(results.await, [failed.clone(), failed.clone(), failed]);
    nothing_was_kept_and_the_store_works(&store).await;
}

#[tokio::test]
async fn a_full_disk_is_said_to_everyone_it_hits_and_the_store_works_again_when_there_is_room() {
    let (_folder, store) = empty().await;
    let results = share_a_transaction(&store, |tx| {
        async move {
            // The engine's own limit of the file's size; a new connection has none.
            tx.optional(Query::new("PRAGMA max_page_count = 1"), |_| Ok(())).await?;
            let big = Query::new(
                "INSERT INTO issuers (name, der, not_before, not_after, created_at) VALUES ('x', $1, 0, 0, 0)",
            );
            // A unit that takes no notice of it does not get away with it.
            let _ = tx.execute(big.bind(vec![1; 1_000_000])).await;
            Ok(())
        }
        .boxed()
    });
    assert_eq!(results.await, [Err(StoreError::DiskFull), Err(StoreError::DiskFull), Err(StoreError::DiskFull)]);
    nothing_was_kept_and_the_store_works(&store).await;
}

async fn nothing_was_kept_and_the_store_works(store: &Store) {
    let system = Actor::System { job: "test" }.scope();
    assert_eq!(store.reader().customers(system).await, Ok(vec![]));
    assert_eq!(store.reader().issuers(system).await, Ok(vec![]));
    let unit = store.write(|tx| async move { tx.insert_customer(&new_customer(1)).await }.boxed());
    assert_eq!(unit.await, Ok::<_, StoreError>(CustomerId::new(1).expect("valid")));
}
