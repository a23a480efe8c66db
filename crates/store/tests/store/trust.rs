//! What the gate is told: exactly the exceptions, and only while they matter.

use futures_util::FutureExt as _;
use proptest::prelude::*;
use tegata_core::cert::{CertRecord, RevocationReason};
use tegata_core::id::Serial;
use tegata_core::time::Timestamp;
use tegata_store::{NewCertificate, StoreError};
use tokio::runtime::Runtime;

use crate::fixture::{NOW, World, filled, issue, new_certificate, system, terminal};

/// What happens to the certificates of one terminal.
#[derive(Clone, Debug)]
enum Step {
    /// A new one that ends `0` seconds after now.
    Issue(i64),
    /// One of them, by its place, is seen in a handshake.
    Use(prop::sample::Index),
    /// One of them is revoked.
    Revoke(prop::sample::Index),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (-1..4_i64).prop_map(Step::Issue),
        any::<prop::sample::Index>().prop_map(Step::Use),
        any::<prop::sample::Index>().prop_map(Step::Revoke),
    ]
}

async fn of_terminal(world: &World) -> Vec<CertRecord> {
    world.reader.certificates_of_terminal(system(), terminal(1, 0)).await.expect("read")
}

async fn take(world: &World, number: u64, step: Step) {
    let all = of_terminal(world).await;
    let one = |index: prop::sample::Index| all[index.index(all.len())].clone();
    match step {
        Step::Issue(seconds) => {
            let not_after = NOW.plus_seconds(seconds);
            let new = NewCertificate { not_after, ..new_certificate(1, 0, 10_000 + number) };
            issue(&world.store, new).await.expect("issued");
        }
        Step::Use(index) => {
            let fingerprint = one(index).fingerprint;
            let unit = world.store.write(move |tx| async move { tx.mark_used(fingerprint, NOW).await }.boxed());
            unit.await.map_err(|error: StoreError| error).expect("noted");
        }
        Step::Revoke(index) => {
            let id = one(index).id;
            let reason = RevocationReason::Unspecified;
            let unit = world.store.write(move |tx| async move { tx.revoke(id, NOW, reason).await }.boxed());
            unit.await.map_err(|error: StoreError| error).expect("revoked");
        }
    }
}

fn serials(mut serials: Vec<Serial>) -> Vec<Serial> {
    serials.sort();
    serials
}

/// The rule, said once more and without SQL.
fn expected(all: &[CertRecord], now: Timestamp, belongs: impl Fn(&CertRecord) -> bool) -> Vec<Serial> {
    serials(all.iter().filter(|cert| cert.not_after >= now && belongs(cert)).map(|cert| cert.serial).collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn the_lists_say_what_the_rows_say(steps in prop::collection::vec(step(), 1..14), later in 0..3_i64) {
        Runtime::new().expect("a runtime").block_on(async {
            let world = filled().await;
            for (number, step) in (0..).zip(steps) {
                take(&world, number, step).await;
            }
            let all = of_terminal(&world).await;
            let now = NOW.plus_seconds(later);
            let mine = |list: Vec<(_, Serial)>| {
                let known = |serial: &Serial| all.iter().any(|cert| cert.serial == *serial);
                serials(list.into_iter().map(|(_, serial)| serial).filter(known).collect())
            };
            let trust = world.reader.trust_rows(system(), now).await.expect("read");
            let newer = |cert: &CertRecord| {
                let end = |cert: &CertRecord| (cert.not_after, cert.id);
                all.iter().any(|other| other.used_at.is_some() && other.revoked.is_none() && end(other) > end(cert))
            };
            prop_assert_eq!(mine(trust.revoked), expected(&all, now, |cert| cert.revoked.is_some()));
            prop_assert_eq!(mine(trust.unused), expected(&all, now, |cert| cert.revoked.is_none() && cert.used_at.is_none()));
            prop_assert_eq!(mine(trust.superseded), expected(&all, now, |cert| cert.revoked.is_none() && newer(cert)));
            Ok(())
        })?;
    }
}

#[tokio::test]
async fn the_old_one_is_superseded_by_the_first_use_of_the_new_one_and_comes_back_when_that_is_revoked() {
    let world = filled().await;
    let old = of_terminal(&world).await.remove(0);
    let new = NewCertificate { not_after: NOW.plus_seconds(9000), ..new_certificate(1, 0, 5000) };
    let (id, fingerprint, pair) =
        (issue(&world.store, new.clone()).await.expect("issued"), new.fingerprint, (old.issuer, old.serial));
    let superseded = || async { world.reader.trust_rows(system(), NOW).await.expect("read").superseded };
    assert_eq!(superseded().await, [], "issued is not yet used");
    let unit = world.store.write(move |tx| async move { tx.mark_used(fingerprint, NOW).await }.boxed());
    assert_eq!(unit.await, Ok::<_, StoreError>(true));
    assert_eq!(superseded().await, [pair]);
    let reason = RevocationReason::KeyCompromise;
    let unit = world.store.write(move |tx| async move { tx.revoke(id, NOW, reason).await }.boxed());
    assert_eq!(unit.await, Ok::<_, StoreError>(true));
    assert_eq!(superseded().await, []);
}
