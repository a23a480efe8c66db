//! Revocation lists: what the register says, kept while it is so, signed anew when something is revoked. OpenSSL reads them.

use std::process::Command;
use std::sync::Arc;

use tegata_authority::crl::{Crls, List};
use tegata_authority::custody::Passphrase;
use tegata_authority::elders;
use tegata_core::cert::RevocationReason;
use tegata_core::id::Serial;
use tegata_core::peer::PeerCert;
use tegata_pki::crl::{Shard, issuer_name};
use tegata_pki::issuer::IssuerCert;
use tegata_pki::pem;

use crate::bed::{Bed, STATUS, operator};

const HOURS: i64 = 24;

async fn lists(bed: &Bed) -> Crls {
    let pass = Passphrase::new(b"a passphrase for tests".to_vec()).expect("long enough");
    let elders = elders::open(&bed.authority, bed.folder.path(), &pass).await.expect("the register answers");
    Crls::open(bed.authority.clone(), &bed.authority.with_elders(elders), HOURS)
}

async fn list_of(crls: &Crls, issuer: &IssuerCert, shard: Option<Shard>) -> Arc<List> {
    crls.list(&issuer_name(issuer), shard).await.expect("signed").expect("there is such a list")
}

async fn full(bed: &Bed, crls: &Crls) -> Arc<List> {
    list_of(crls, &bed.authority.ca().cert, None).await
}

async fn shard_of(bed: &Bed, crls: &Crls, serial: Serial) -> Arc<List> {
    list_of(crls, &bed.authority.ca().cert, Some(Shard::of(serial))).await
}

/// What OpenSSL reads in a list, its signature verified.
fn read(bed: &Bed, issuer: &IssuerCert, list: &List) -> String {
    let (path, issuing) = (bed.folder.path().join("list.crl"), bed.folder.path().join("issuing-of-list.pem"));
    std::fs::write(&path, &*list.der).expect("written");
    std::fs::write(&issuing, pem::certificate(issuer.der())).expect("written");
    let mut openssl = Command::new("openssl"); // Debian: openssl
    openssl.args(["crl", "-inform", "DER", "-noout", "-text", "-verify", "-CAfile"]).arg(issuing).arg("-in").arg(path);
    let ran = openssl.output().expect("openssl runs");
    let text = String::from_utf8_lossy(&[ran.stdout, ran.stderr].concat()).into_owned();
    assert!(text.contains("verify OK"), "{text}");
    text
}

fn names(bed: &Bed, list: &List, serial: Serial) -> bool {
    read(bed, &bed.authority.ca().cert, list).contains(&format!("Serial Number: {serial}"))
}

async fn revoke(bed: &Bed, cert: &PeerCert) {
    let record = bed.identity(cert).await.certificate;
    bed.authority.revoke(&operator(), &record, RevocationReason::Superseded).await.expect("revoked");
}

#[tokio::test]
async fn what_is_revoked_is_on_the_full_list_and_on_that_of_its_shard_and_on_no_other() {
    let bed = Bed::new().await;
    let (_, good) = bed.terminal(&bed.sunny, "受付1", 600).await;
    let (_, bad) = bed.terminal(&bed.sunny, "受付2", 600).await;
    revoke(&bed, &bad).await;
    let crls = lists(&bed).await;
    let all = full(&bed, &crls).await;
    let text = read(&bed, &bed.authority.ca().cert, &all);
    assert!(names(&bed, &all, bad.serial) && !names(&bed, &all, good.serial));
    assert!(text.contains("Last Update: Nov 22 23:30:00 2026 GMT"), "not before the revocation: {text}");
    assert!(text.contains("Next Update: Nov 23 23:00:00 2026 GMT"), "{text}");
    assert!(!text.contains("Issuing Distribution Point") && text.contains("Superseded"), "{text}");
    let mut on = 0;
    for number in 0..Shard::COUNT {
        let shard = Shard::parse(&format!("{number:02x}")).expect("a shard");
        let list = list_of(&crls, &bed.authority.ca().cert, Some(shard)).await;
        assert_eq!(list.entries, usize::from(shard == Shard::of(bad.serial)), "{shard}");
        on += list.entries;
    }
    assert_eq!(on, 1);
    let list = shard_of(&bed, &crls, bad.serial).await;
    let address = format!("URI:{STATUS}/crl/{}/{}.crl", issuer_name(&bed.authority.ca().cert), Shard::of(bad.serial));
    let text = read(&bed, &bed.authority.ca().cert, &list);
    assert!(text.contains(&address) && text.contains("Issuing Distribution Point: critical"), "{text}");
    assert!(crls.list("0000", None).await.expect("asked").is_none(), "no such CA");
}

#[tokio::test]
async fn a_list_is_given_again_until_half_its_life_is_over() {
    let bed = Bed::new().await;
    let crls = lists(&bed).await;
    let first = full(&bed, &crls).await;
    bed.clock.set(bed.now().plus_seconds(11 * 3600 + 1799)); // the second before 11 o'clock: 12 hours after the list's hour
    crls.tend().await.expect("tended");
    assert!(Arc::ptr_eq(&first, &full(&bed, &crls).await));
    assert_eq!(first.freshness(bed.now()).refreshed_at, bed.now().plus_seconds(1), "then there is another one");
    bed.clock.set(bed.now().plus_seconds(1));
    crls.tend().await.expect("tended");
    let second = full(&bed, &crls).await;
    assert!(second.number > first.number && second.next_update == first.next_update.plus_seconds(12 * 3600));
    let kept_for = second.freshness(bed.now()).refreshed_at;
    assert_eq!(kept_for, bed.now().plus_seconds(3600), "others ask again after an hour");
}

#[tokio::test]
async fn a_revocation_that_was_heard_of_is_on_the_next_list_that_is_given() {
    let bed = Bed::new().await;
    let (_, one) = bed.terminal(&bed.sunny, "受付1", 600).await;
    let (_, two) = bed.terminal(&bed.sunny, "受付2", 600).await;
    let crls = lists(&bed).await;
    let before = full(&bed, &crls).await;
    let shard_before = shard_of(&bed, &crls, one.serial).await;
    assert_eq!((before.entries, shard_before.entries), (0, 0));
    for (cert, count) in [(&one, 1), (&two, 2)] {
        revoke(&bed, cert).await;
        crls.heed(&[(cert.issuer, cert.serial)]);
        let after = full(&bed, &crls).await;
        assert_eq!(after.entries, count);
        assert!(after.number > before.number && names(&bed, &after, cert.serial));
        assert_eq!(shard_of(&bed, &crls, cert.serial).await.entries, 1);
    }
    let settled = full(&bed, &crls).await;
    crls.heed(&[(one.issuer, one.serial), (two.issuer, two.serial)]);
    assert!(Arc::ptr_eq(&settled, &full(&bed, &crls).await), "nothing new, nothing signed");
}

#[tokio::test]
async fn numbers_only_grow_over_a_restart_and_two_nodes_say_the_same() {
    let bed = Bed::new().await;
    let (_, one) = bed.terminal(&bed.sunny, "受付1", 600).await;
    let (_, two) = bed.terminal(&bed.sunny, "受付2", 600).await;
    let mut numbers = Vec::new();
    revoke(&bed, &one).await;
    let crls = lists(&bed).await;
    numbers.push(full(&bed, &crls).await.number);
    let bed = bed.restarted().await;
    let crls = lists(&bed).await;
    let (here, elsewhere) = (full(&bed, &crls).await, full(&bed, &lists(&bed).await).await);
    assert_eq!(
        (here.number, here.this_update, here.next_update),
        (elsewhere.number, elsewhere.this_update, elsewhere.next_update)
    );
    assert_eq!(here.number, numbers[0], "the same list in the same hour");
    revoke(&bed, &two).await;
    let bed = bed.restarted().await;
    numbers.push(full(&bed, &lists(&bed).await).await.number);
    bed.pass_days(1);
    let bed = bed.restarted().await;
    numbers.push(full(&bed, &lists(&bed).await).await.number);
    assert!(numbers.is_sorted_by(|before, after| before < after), "{numbers:?}");
}

#[tokio::test]
async fn a_revoked_certificate_is_on_a_list_that_was_made_after_its_end_and_then_on_none() {
    let bed = Bed::new().await;
    let (_, cert) = bed.terminal(&bed.sunny, "受付1", 60).await;
    revoke(&bed, &cert).await;
    let crls = lists(&bed).await;
    let end = bed.identity(&cert).await.certificate.not_after;
    for (seconds, entries) in [(0, 1), (1, 1), (24 * 3600, 1), (26 * 3600, 0)] {
        bed.clock.set(end.plus_seconds(seconds));
        crls.tend().await.expect("tended");
        let bed_and_new = [full(&bed, &crls).await, full(&bed, &lists(&bed).await).await];
        // The one at hand is at most half a life old.
        assert!(bed_and_new[1].entries == entries && bed_and_new[0].entries >= entries, "{seconds}");
    }
}

#[tokio::test]
async fn with_the_register_gone_the_last_list_is_given_until_its_end_unless_something_is_missing_on_it() {
    let bed = Bed::new().await;
    let (_, cert) = bed.terminal(&bed.sunny, "受付1", 600).await;
    let crls = lists(&bed).await;
    let last = full(&bed, &crls).await;
    let of_shard = shard_of(&bed, &crls, cert.serial).await;
    bed.authority.close().await;
    bed.clock.set(last.next_update.plus_seconds(-1));
    assert!(Arc::ptr_eq(&last, &full(&bed, &crls).await));
    let name = issuer_name(&bed.authority.ca().cert);
    crls.heed(&[(cert.issuer, cert.serial)]);
    assert!(crls.list(&name, None).await.is_err(), "we know that it is wrong");
    assert!(crls.list(&name, Some(Shard::of(cert.serial))).await.is_err());
    bed.clock.set(of_shard.next_update);
    assert!(crls.list(&name, None).await.is_err());
}

#[tokio::test]
async fn after_a_roll_over_each_ca_signs_its_own_list_until_its_end() {
    let bed = Bed::new().await;
    let sunny = bed.sunny.clone();
    let old = bed.authority.ca().cert.clone();
    let (_, before) = bed.terminal(&sunny, "受付1", 600).await;
    bed.pass_days(1);
    let new = bed.roll_over().await;
    let bed = bed.restarted().await;
    let crls = lists(&bed).await;
    assert_eq!((list_of(&crls, &old, None).await.entries, list_of(&crls, &new, None).await.entries), (0, 0));
    revoke(&bed, &before).await;
    crls.heed(&[(before.issuer, before.serial)]);
    let list = list_of(&crls, &old, None).await;
    let text = read(&bed, &old, &list);
    assert!(text.contains(&format!("Serial Number: {}", before.serial)), "{text}");
    assert_eq!(list_of(&crls, &new, None).await.entries, 0);
    let shard = list_of(&crls, &old, Some(Shard::of(before.serial))).await;
    assert!(read(&bed, &old, &shard).contains(&format!("URI:{STATUS}/crl/{}/", issuer_name(&old))));

    let end = old.validity().not_after;
    bed.clock.set(end.plus_seconds(-1));
    let crls = lists(&bed).await;
    assert_eq!(list_of(&crls, &old, None).await.next_update, end, "nobody relies on it any longer than on the CA");
    bed.clock.set(end.plus_seconds(1));
    crls.tend().await.expect("the other CA is looked after");
    assert!(crls.list(&issuer_name(&old), None).await.expect("asked").is_none());
    std::fs::remove_file(bed.folder.path().join(elders::key_file(&old))).expect("removed");
    assert!(lists(&bed).await.list(&issuer_name(&old), None).await.expect("asked").is_none());
    list_of(&crls, &new, None).await;
}
