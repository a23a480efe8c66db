//! 「更新」, from the first click to the day its bundle is forgotten.

use tegata_authority::{BundleError, HandoverError, IssueOrder, RenewError};
use tegata_core::profile::KeyKind;
use tegata_core::renewal::PermitError;
use tegata_core::schedule::is_permitted;
use tegata_core::time::Days;
use tegata_pki::pkcs12::{self, Format};

use crate::bed::{Bed, operator, peer};

#[tokio::test]
async fn the_window_decides_to_the_day() {
    let bed = Bed::new().await;
    for (left, allowed) in [(91, false), (90, true), (89, true), (1, true), (0, true)] {
        let (_, cert) = bed.terminal(&bed.sunny, &format!("{left}"), left).await;
        let (session, _) = bed.log_in(&cert).await;
        let answer = bed.authority.renew(&session, &cert).await;
        assert_eq!(answer.is_ok(), allowed, "{left} days: {answer:?}");
    }
}

#[tokio::test]
async fn an_expired_certificate_renews_nothing() {
    let bed = Bed::new().await;
    let (_, cert) = bed.terminal(&bed.sunny, "受付1", 1).await;
    let (session, _) = bed.log_in(&cert).await;
    bed.pass_days(2);
    let answer = bed.authority.renew(&session, &cert).await;
    assert!(matches!(answer, Err(RenewError::Permit(PermitError::Expired(_)))), "{answer:?}");
}

#[tokio::test]
async fn the_remaining_days_are_kept_and_the_end_is_an_ordinary_afternoon() {
    let bed = Bed::new().await;
    let (_, cert) = bed.terminal(&bed.sunny, "受付1", 60).await;
    let (session, _) = bed.log_in(&cert).await;
    let new = bed.authority.renew(&session, &cert).await.expect("renewed").certificate;
    assert!(new.not_after >= cert.not_after.plus_years_jst(3));
    assert!(new.not_after <= cert.not_after.plus_years_jst(3).plus_days(Days(40)));
    assert!(is_permitted(new.not_after.jst_date()));
    assert_eq!(new.not_after.jst_time().to_string(), "14:00:00");
    assert!(new.serial.to_string().starts_with(&new.not_after.jst_date().to_string().replace('-', "")));
}

#[tokio::test]
async fn for_seven_days_every_click_gives_the_same_certificate_and_password() {
    let bed = Bed::new().await;
    let (_, cert) = bed.terminal(&bed.sunny, "受付1", 60).await;
    let (session, _) = bed.log_in(&cert).await;
    let (one, two) = tokio::join!(bed.authority.renew(&session, &cert), bed.authority.renew(&session, &cert));
    let serial = one.expect("renewed").certificate.serial;
    assert_eq!(two.expect("renewed").certificate.serial, serial, "two tabs");
    let password = bed.authority.reveal_password(&session).await.expect("there").expose().clone();
    let bed = bed.restarted().await;
    bed.pass_days(6);
    let (session, _) = bed.log_in(&cert).await;
    assert_eq!(bed.authority.renew(&session, &cert).await.expect("the same").certificate.serial, serial);
    assert_eq!(bed.authority.reveal_password(&session).await.expect("there").expose(), &password);
    for format in [Format::Standard, Format::Compat] {
        let file = bed.authority.take_bundle(&session, format).await.expect("there");
        assert_eq!(file.file_name, "103001_JP_u00000001_client001.p12");
        let opened = pkcs12::open(file.bytes.expose(), &password).expect("opens");
        assert!(
            opened.friendly_name.contains("受付1") && opened.friendly_name.contains("2030"),
            "{}",
            opened.friendly_name
        );
    }
    assert_eq!(bed.count("renewal.requested").await, 1);
    assert_eq!(bed.count("bundle.downloaded").await, 2);
}

#[tokio::test]
async fn after_seven_days_the_bundle_is_gone_and_a_click_issues_anew() {
    let bed = Bed::new().await;
    let (_, cert) = bed.terminal(&bed.sunny, "受付1", 60).await;
    let (session, _) = bed.log_in(&cert).await;
    let first = bed.authority.renew(&session, &cert).await.expect("renewed").certificate;
    bed.pass_days(7);
    let (session, _) = bed.log_in(&cert).await;
    assert!(matches!(bed.authority.take_bundle(&session, Format::Standard).await, Err(BundleError::None)));
    assert!(matches!(bed.authority.reveal_password(&session).await, Err(BundleError::None)));
    let second = bed.authority.renew(&session, &cert).await.expect("renewed").certificate;
    assert_ne!(first.serial, second.serial);
    let log = bed.actions().await;
    let view = bed.authority.renewal_view(&bed.identity(&cert).await).await.expect("read");
    let serials: Vec<_> = view.certificates.iter().map(|c| c.serial).collect();
    assert_eq!(serials, [second.serial, cert.serial], "the one that nobody fetched exists nowhere any more");
    let tail: Vec<&str> = log.iter().rev().take(3).rev().map(String::as_str).collect();
    assert_eq!(tail, ["bundle.erased", "renewal.requested", "certificate.issued"]);
}

#[tokio::test]
async fn the_sweep_forgets_keys_that_nobody_fetched() {
    let bed = Bed::new().await;
    let (_, cert) = bed.terminal(&bed.sunny, "受付1", 60).await;
    let (session, _) = bed.log_in(&cert).await;
    bed.authority.renew(&session, &cert).await.expect("renewed");
    assert_eq!(bed.authority.sweep().await.expect("swept"), 0);
    bed.pass_days(7);
    assert_eq!(bed.authority.sweep().await.expect("swept"), 1);
    assert_eq!(bed.authority.sweep().await.expect("swept"), 0);
}

#[tokio::test]
async fn issued_downloaded_used_and_then_the_old_one_is_superseded_but_good() {
    let bed = Bed::new().await;
    let (_, old) = bed.terminal(&bed.sunny, "受付1", 60).await;
    let (session, token) = bed.log_in(&old).await;
    let new = bed.authority.renew(&session, &old).await.expect("renewed").certificate;
    assert!(new.downloaded_at.is_none() && new.used_at.is_none());
    bed.authority.take_bundle(&session, Format::Standard).await.expect("there");
    let view = bed.authority.renewal_view(&bed.identity(&old).await).await.expect("read");
    assert!(view.bundle.expect("waits").certificate.downloaded_at.is_some());
    assert!(view.newer_used.is_none());
    let new = peer(&new);
    bed.authority.first_use(&new).await.expect("noted");
    bed.authority.first_use(&new).await.expect("noted once");
    assert_eq!(bed.actions().await.iter().filter(|a| *a == "certificate.used").count(), 2, "old and new, once each");
    let view = bed.authority.renewal_view(&bed.identity(&old).await).await.expect("read");
    assert_eq!(view.newer_used.expect("in use").serial, new.serial);
    // The session belongs to the terminal, whichever of its certificates is presented.
    let found = bed.authority.session(token.token.expose(), &bed.identity(&new).await).await.expect("read");
    assert!(matches!(found, tegata_authority::SessionLookup::Live(_)));
}

#[tokio::test]
async fn a_presented_certificate_renews_only_its_own_terminal() {
    let bed = Bed::new().await;
    let (_, mine) = bed.terminal(&bed.sunny, "受付1", 60).await;
    let (_, other) = bed.terminal(&bed.sunny, "受付2", 60).await;
    let (session, _) = bed.log_in(&mine).await;
    let answer = bed.authority.renew(&session, &other).await;
    assert!(matches!(answer, Err(RenewError::Permit(PermitError::OtherTerminal))), "{answer:?}");
    assert!(matches!(bed.authority.take_bundle(&session, Format::Standard).await, Err(BundleError::None)));
}

#[tokio::test]
async fn an_operator_gets_the_same_certificate_until_it_is_handed_over() {
    let bed = Bed::new().await;
    let terminal = bed.authority.add_terminal(&operator(), bed.sunny.id, None, "新しい端末").await.expect("added");
    let first = bed.authority.issue(&operator(), &terminal, IssueOrder::default()).await.expect("issued");
    let bed = bed.restarted().await;
    let again = bed.authority.issue(&operator(), &terminal, IssueOrder::default()).await.expect("the same");
    assert_eq!(first.certificate.serial, again.certificate.serial);
    assert_eq!(first.password.expose(), again.password.expose());
    let rsa2048 = IssueOrder { kind: Some(KeyKind::Rsa2048), ..IssueOrder::default() };
    let rsa = bed.authority.issue(&operator(), &terminal, rsa2048).await.expect("another kind");
    assert_ne!(rsa.certificate.serial, again.certificate.serial);
    bed.authority.handed_over(&operator(), &rsa.certificate).await.expect("erased");
    let next = bed.authority.issue(&operator(), &terminal, rsa2048).await.expect("a new one");
    assert_ne!(next.certificate.serial, rsa.certificate.serial);
    let visitor = bed.authority.issue(&tegata_core::access::Actor::Visitor, &terminal, IssueOrder::default()).await;
    assert!(matches!(visitor, Err(HandoverError::Renew(RenewError::Permit(PermitError::Forbidden)))));
}

/// Not only the database: its journal, too.
#[tokio::test]
async fn a_forgotten_key_is_gone_from_the_disk() {
    let bed = Bed::in_a_file().await;
    let (_, cert) = bed.terminal(&bed.sunny, "受付1", 60).await;
    let (session, _) = bed.log_in(&cert).await;
    bed.authority.renew(&session, &cert).await.expect("renewed");
    let scope = operator().scope();
    let sealed = bed
        .authority
        .reader()
        .open_bundle(scope, cert.terminal, bed.now())
        .await
        .expect("read")
        .expect("waits")
        .sealed_key;
    let on_disk = || {
        let files = std::fs::read_dir(bed.folder.path()).expect("readable");
        let read = |entry: std::io::Result<std::fs::DirEntry>| {
            std::fs::read(entry.expect("readable").path()).expect("readable")
        };
        files.map(read).any(|bytes| bytes.windows(64).any(|w| w == &sealed[..64]))
    };
    assert!(on_disk(), "it waits");
    bed.pass_days(7);
    assert_eq!(bed.authority.sweep().await.expect("swept"), 1);
    assert!(!on_disk(), "it is forgotten");
}

/// Two holders of one key, or a downloaded file without its password: neither may happen because an operator was busy at the same time.
#[tokio::test]
async fn an_operator_never_takes_the_bundle_that_a_user_is_fetching() {
    let bed = Bed::new().await;
    let (terminal, cert) = bed.terminal(&bed.sunny, "受付1", 60).await;
    let (session, _) = bed.log_in(&cert).await;
    let serial = bed.authority.renew(&session, &cert).await.expect("renewed").certificate.serial;
    let refused = bed.authority.issue(&operator(), &terminal, IssueOrder::default()).await;
    assert!(matches!(refused, Err(HandoverError::Waits { .. })));
    assert_eq!(bed.authority.renew(&session, &cert).await.expect("the same").certificate.serial, serial);
    let replace = IssueOrder { replace: true, ..IssueOrder::default() };
    let other = bed.authority.issue(&operator(), &terminal, replace).await.expect("asked for");
    assert_ne!(other.certificate.serial, serial, "another key, not the user's");
}
