//! Replacing the issuing CA, also when the power fails in the middle.

use std::path::{Path, PathBuf};

use tegata_authority::ceremony::{self, Folders};
use tegata_authority::custody::Passphrase;
use tegata_authority::rollover::roll_over;
use tegata_core::id::IssuerId;
use tegata_pki::chain::identify;
use tegata_pki::issue::Urls;
use tegata_pki::issuer::IssuerCert;
use tegata_pki::pkcs12::{self, Format};
use tegata_store::{Database, OpenMode, Store};
use tegata_testkit::{FixedClock, SeededEntropy};

use crate::bed::{Bed, operator};

fn pass() -> Passphrase {
    Passphrase::new(b"a passphrase for tests".to_vec()).expect("long enough")
}

async fn trusted(bed: &Bed) -> Vec<(IssuerId, IssuerCert)> {
    let rows = bed.authority.reader().issuers(operator().scope()).await.expect("read");
    rows.into_iter().map(|row| (row.id, IssuerCert::from_der(&row.der).expect("a CA"))).collect()
}

async fn der(bed: &Bed, fingerprint: tegata_core::id::Fingerprint) -> Vec<u8> {
    let scope = operator().scope();
    let cert = bed.authority.reader().certificate(scope, fingerprint).await.expect("read").expect("there");
    bed.authority.reader().certificate_der(scope, cert.id).await.expect("read").expect("there")
}

#[tokio::test]
async fn new_certificates_come_from_the_new_ca_and_the_old_ones_go_on_counting() {
    let bed = Bed::new().await;
    let sunny = bed.sunny.clone();
    let (_, before) = bed.terminal(&sunny, "受付1", 600).await;
    let old = bed.authority.ca().cert.clone();
    let new = bed.roll_over().await;
    assert_ne!(new.common_name(), old.common_name());
    assert!(new.is_signed_by(&bed.authority.ca().root));
    let bed = bed.restarted().await;
    assert_eq!(bed.authority.ca().cert.der(), new.der());
    let (_, after) = bed.terminal(&sunny, "受付2", 600).await;
    let trusted = trusted(&bed).await;
    assert_eq!(trusted.len(), 2);
    for (peer, issuer) in [(before, &trusted[0]), (after, &trusted[1])] {
        let found = identify(&der(&bed, peer.fingerprint).await, &trusted).expect("ours");
        assert_eq!(found.issuer, issuer.0);
    }
    assert_eq!(bed.authority.ca_certificates().await.expect("read").len(), 3, "programs learn of both and the root");
    assert_eq!(bed.count("authority.issuer-added").await, 1);
    // The old key and certificate are kept under other names.
    let kept = |ending: &str| {
        let names = std::fs::read_dir(bed.folder.path()).expect("listed").filter_map(Result::ok);
        names.filter(|entry| entry.file_name().to_string_lossy().ends_with(ending)).count()
    };
    assert!(kept(".sealed") >= 4 && kept(".pem") >= 3);
}

#[tokio::test]
async fn a_bundle_that_waited_across_carries_the_ca_that_signed_it() {
    let bed = Bed::new().await;
    let sunny = bed.sunny.clone();
    let (_, due) = bed.terminal(&sunny, "受付1", 60).await;
    let (session, _) = bed.log_in(&due).await;
    bed.authority.renew(&session, &due).await.expect("renewed");
    let password = bed.authority.reveal_password(&session).await.expect("shown");
    let old = bed.authority.ca().cert.der().to_vec();
    bed.roll_over().await;
    let bed = bed.restarted().await;
    let file = bed.authority.take_bundle(&session, Format::Compat).await.expect("still there");
    let opened = pkcs12::open(file.bytes.expose(), password.expose()).expect("opens");
    assert_eq!(opened.chain, [old]);
}

#[tokio::test(flavor = "multi_thread")]
async fn others_that_open_the_ca_meanwhile_break_nothing() {
    let bed = Bed::new().await;
    let old = bed.authority.ca().cert.clone();
    let done = std::sync::atomic::AtomicBool::new(false);
    let open_again_and_again = async {
        let mut opened = 0;
        while !done.load(std::sync::atomic::Ordering::SeqCst) {
            bed.open_once().await;
            opened += 1;
        }
        opened
    };
    let roll = async {
        let made = bed.roll_over().await;
        done.store(true, std::sync::atomic::Ordering::SeqCst);
        made
    };
    let (opened, new) = tokio::join!(open_again_and_again, roll);
    assert!(opened > 0);
    assert_eq!(bed.open_once().await.der(), new.der());
    assert_ne!(new.der(), old.der());
}

/// The files of a deployment, and a copy of them to go back to.
struct Files(PathBuf);

impl Files {
    fn copy(&self, to: &Path) {
        for entry in std::fs::read_dir(&self.0).expect("listed").filter_map(Result::ok) {
            let target = to.join(entry.file_name());
            if entry.path().is_dir() {
                std::fs::create_dir_all(&target).expect("made");
                Files(entry.path()).copy(&target);
            } else {
                std::fs::copy(entry.path(), target).expect("copied");
            }
        }
    }
}

#[tokio::test]
async fn after_a_crash_at_any_step_the_ca_opens_as_the_old_one_or_the_new_one() {
    let bed = Bed::in_a_file().await;
    bed.authority.close().await;
    let folder = bed.folder.path();
    let clock = FixedClock::at("2026-11-23T00:00:00Z");
    let old = std::fs::read(folder.join("issuing.pem")).expect("there");
    let done = tempfile::tempdir().expect("a folder");
    Files(folder.to_owned()).copy(done.path());
    let open = async |at: &Path| Store::open(Database::from(at.join("tegata.db")), OpenMode::Existing).await;
    let store = open(done.path()).await.expect("opens");
    let entropy = SeededEntropy::new(3);
    let folders = Folders { keys: done.path(), certificates: done.path() };
    roll_over(&store, folders, &pass(), &operator(), &clock, &entropy).await.expect("rolled over");
    store.close().await;
    let file = |name: &str| std::fs::read(done.path().join(name)).expect("there");
    let (cert, key) = (file("issuing.pem"), file("issuing.sealed"));
    let rolled = "tegata.db";
    // What is on disk when the power fails: which files wait in `next`, whether the register knows, what is in place.
    for (next_cert, next_key, known, cert_in_place, new) in [
        (true, false, false, false, false),
        (true, true, false, false, false),
        (true, true, true, false, true),
        (false, true, true, true, true),
        (false, false, true, true, true),
    ] {
        let at = tempfile::tempdir().expect("a folder");
        Files(folder.to_owned()).copy(at.path());
        let next = at.path().join("next");
        std::fs::create_dir_all(&next).expect("made");
        let put = |name: PathBuf, bytes: &[u8]| std::fs::write(name, bytes).expect("written");
        if next_cert {
            put(next.join("issuing.pem"), &cert);
        }
        if next_key {
            put(next.join("issuing.sealed"), &key);
        }
        if known {
            put(at.path().join(rolled), &file(rolled));
        }
        if cert_in_place {
            put(at.path().join("issuing.pem"), &cert);
        }
        if cert_in_place && !next_key {
            put(at.path().join("issuing.sealed"), &key);
        }
        let name = format!("{next_cert} {next_key} {known} {cert_in_place}");
        let store = open(at.path()).await.expect("opens");
        let folders = Folders { keys: at.path(), certificates: at.path() };
        let opened = ceremony::open(&store, folders, &pass(), Urls::default(), &clock).await;
        opened.unwrap_or_else(|error| panic!("{name}: {error}"));
        store.close().await;
        let expected = if new { &cert } else { &old };
        assert_eq!(&std::fs::read(at.path().join("issuing.pem")).expect("there"), expected, "{name}");
        assert!(!next.join("issuing.pem").exists() && !next.join("issuing.sealed").exists(), "{name}");
    }
}
