//! Programs renew with nothing but their certificate, and fetch the file at an address that is theirs alone.

use tegata_authority::{PickUpError, PickUpRules, RenewError};
use tegata_core::cert::RevocationReason;
use tegata_core::peer::PeerCert;
use tegata_core::renewal::PermitError;
use tegata_core::secret::Secret;
use tegata_core::time::Days;
use tegata_pki::pkcs12::{self, Format};

use crate::bed::{Bed, operator, peer};

const RULES: PickUpRules = PickUpRules { window: None, seconds: 900, downloads: 2 };

async fn fetch(bed: &Bed, cert: &PeerCert, token: &Secret<String>) -> Result<Vec<u8>, PickUpError> {
    bed.authority.pick_up(cert, token.expose(), RULES).await.map(|file| file.bytes.expose().clone())
}

#[tokio::test]
async fn the_program_and_the_portal_hand_out_the_same_bundle_whoever_made_it() {
    let bed = Bed::new().await;
    let (_, cert) = bed.terminal(&bed.sunny, "受付1", 60).await;
    let order = bed.authority.order_pick_up(&cert, RULES).await.expect("renewed");
    let (session, _) = bed.log_in(&cert).await;
    let shown = bed.authority.renew(&session, &cert).await.expect("the same");
    assert_eq!(bed.authority.reveal_password(&session).await.expect("there").expose(), order.password.expose());
    let opened = pkcs12::open(&fetch(&bed, &cert, &order.token).await.expect("there"), order.password.expose());
    let file = bed.authority.take_bundle(&session, Format::Standard).await.expect("there");
    let same = pkcs12::open(file.bytes.expose(), order.password.expose()).expect("opens");
    assert_eq!(opened.expect("opens").leaf, same.leaf);

    // The other way round: made in the portal, fetched by the program.
    let (_, cert) = bed.terminal(&bed.blue, "受付", 60).await;
    let (session, _) = bed.log_in(&cert).await;
    bed.authority.renew(&session, &cert).await.expect("renewed");
    let order = bed.authority.order_pick_up(&cert, RULES).await.expect("the same");
    assert_eq!(bed.authority.reveal_password(&session).await.expect("there").expose(), order.password.expose());
    assert_eq!(bed.count("renewal.requested").await, 2, "one for each terminal");
    assert!(shown.file_name.ends_with(".p12"));
}

#[tokio::test]
async fn l3_asking_again_gives_the_same_certificate_also_after_a_restart() {
    let bed = Bed::new().await;
    let (_, cert) = bed.terminal(&bed.sunny, "受付1", 60).await;
    let (one, two) = tokio::join!(bed.authority.order_pick_up(&cert, RULES), bed.authority.order_pick_up(&cert, RULES));
    let (one, two) = (one.expect("renewed"), two.expect("renewed"));
    assert_eq!(one.password.expose(), two.password.expose(), "both at once");
    let bed = bed.restarted().await;
    bed.pass_days(6);
    let again = bed.authority.order_pick_up(&cert, RULES).await.expect("the same");
    assert_eq!(again.password.expose(), one.password.expose());
    assert_eq!(bed.count("renewal.requested").await, 1);
    bed.pass_days(1);
    let later = bed.authority.order_pick_up(&cert, RULES).await.expect("another");
    assert_ne!(later.password.expose(), one.password.expose(), "the pending time is over");
}

#[tokio::test]
async fn a_token_outlives_a_restart() {
    let bed = Bed::new().await;
    let (_, cert) = bed.terminal(&bed.sunny, "受付1", 60).await;
    let order = bed.authority.order_pick_up(&cert, RULES).await.expect("renewed");
    let bed = bed.restarted().await;
    let file = fetch(&bed, &cert, &order.token).await.expect("there");
    pkcs12::open(&file, order.password.expose()).expect("opens");
}

#[tokio::test]
async fn l4_a_token_is_for_the_asking_certificate_a_short_time_and_a_few_downloads() {
    let bed = Bed::new().await;
    let (terminal, cert) = bed.terminal(&bed.sunny, "受付1", 60).await;
    let (_, other) = bed.terminal(&bed.sunny, "受付2", 60).await;
    let (_, foreign) = bed.terminal(&bed.blue, "受付", 60).await;
    let order = bed.authority.order_pick_up(&cert, RULES).await.expect("renewed");
    bed.authority.order_pick_up(&other, RULES).await.expect("renewed");
    for wrong in [&other, &foreign] {
        assert!(matches!(fetch(&bed, wrong, &order.token).await, Err(PickUpError::None)));
    }
    // The renewed certificate is the same terminal's, and still not the one that asked.
    let (session, _) = bed.log_in(&cert).await;
    let renewed = peer(&bed.authority.renew(&session, &cert).await.expect("the same").certificate);
    assert_eq!(renewed.terminal, terminal.id);
    assert!(matches!(fetch(&bed, &renewed, &order.token).await, Err(PickUpError::None)));
    assert!(matches!(fetch(&bed, &cert, &Secret::new("AAAA".into())).await, Err(PickUpError::None)));

    fetch(&bed, &cert, &order.token).await.expect("once");
    fetch(&bed, &cert, &order.token).await.expect("twice");
    assert!(matches!(fetch(&bed, &cert, &order.token).await, Err(PickUpError::Over)));
    let order = bed.authority.order_pick_up(&cert, RULES).await.expect("the same");
    fetch(&bed, &cert, &order.token).await.expect("a new address");
    bed.clock.set(bed.now().plus_seconds(900));
    fetch(&bed, &cert, &order.token).await.expect("its last second");
    let order = bed.authority.order_pick_up(&cert, RULES).await.expect("the same");
    bed.clock.set(bed.now().plus_seconds(901));
    assert!(matches!(fetch(&bed, &cert, &order.token).await, Err(PickUpError::Over)));
}

#[tokio::test]
async fn two_that_fetch_at_once_do_not_both_get_the_last_download() {
    let bed = Bed::new().await;
    let (_, cert) = bed.terminal(&bed.sunny, "受付1", 60).await;
    let order = bed.authority.order_pick_up(&cert, RULES).await.expect("renewed");
    fetch(&bed, &cert, &order.token).await.expect("once");
    let (one, two) = tokio::join!(fetch(&bed, &cert, &order.token), fetch(&bed, &cert, &order.token));
    assert_eq!([one.is_ok(), two.is_ok()].iter().filter(|ok| **ok).count(), 1);
    assert_eq!(bed.count("bundle.downloaded").await, 2);
}

#[tokio::test]
async fn the_log_says_that_the_terminal_itself_did_it() {
    let bed = Bed::new().await;
    let (_, cert) = bed.terminal(&bed.sunny, "受付1", 60).await;
    let order = bed.authority.order_pick_up(&cert, RULES).await.expect("renewed");
    fetch(&bed, &cert, &order.token).await.expect("there");
    let rows = bed.authority.reader().audit_rows(operator().scope(), None, 5).await.expect("read");
    let said: Vec<(&str, &str)> = rows.iter().map(|row| (row.actor_kind.as_str(), row.action.as_str())).collect();
    assert_eq!(
        said[..4],
        [
            ("terminal", "bundle.downloaded"),
            ("terminal", "bundle.password-revealed"),
            ("terminal", "certificate.issued"),
            ("terminal", "renewal.requested"),
        ]
    );
}

#[tokio::test]
async fn the_rules_for_programs_are_the_rules_for_people_but_for_a_wider_window() {
    let bed = Bed::new().await;
    let wide = PickUpRules { window: Some(Days(95)), ..RULES };
    let narrow = PickUpRules { window: Some(Days(62)), ..RULES };
    for (left, rules, allowed) in
        [(91, RULES, false), (90, RULES, true), (95, wide, true), (96, wide, false), (90, narrow, true)]
    {
        let (_, cert) = bed.terminal(&bed.sunny, &format!("{left} {allowed} {}", rules.window.is_some()), left).await;
        let answer = bed.authority.order_pick_up(&cert, rules).await;
        assert_eq!(answer.is_ok(), allowed, "{left} days: {answer:?}");
    }
    let (_, cert) = bed.terminal(&bed.sunny, "受付1", 1).await;
    bed.pass_days(2);
    let answer = bed.authority.order_pick_up(&cert, RULES).await;
    assert!(matches!(answer, Err(RenewError::Permit(PermitError::Expired(_)))), "{answer:?}");
}

#[tokio::test]
async fn a_certificate_that_was_revoked_after_it_asked_fetches_nothing() {
    let bed = Bed::new().await;
    let (_, cert) = bed.terminal(&bed.sunny, "受付1", 60).await;
    let order = bed.authority.order_pick_up(&cert, RULES).await.expect("renewed");
    let record = bed.identity(&cert).await.certificate;
    bed.authority.revoke(&operator(), &record, RevocationReason::Superseded).await.expect("revoked");
    assert!(matches!(fetch(&bed, &cert, &order.token).await, Err(PickUpError::None)));
    let answer = bed.authority.order_pick_up(&cert, RULES).await;
    assert!(matches!(answer, Err(RenewError::Permit(PermitError::Revoked))), "{answer:?}");
}
