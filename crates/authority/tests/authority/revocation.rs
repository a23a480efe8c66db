//! Revoking wins over whatever else is under way.

use tegata_authority::{BundleError, RenewError, RevokeError, SessionLookup};
use tegata_core::cert::RevocationReason;
use tegata_core::customer::CustomerKind;
use tegata_core::renewal::PermitError;
use tegata_pki::pkcs12::Format;

use crate::bed::{Bed, operator, peer};

#[tokio::test]
async fn a_revoked_certificate_renews_nothing() {
    let bed = Bed::new().await;
    let (_, cert) = bed.terminal(&bed.sunny, "受付1", 60).await;
    let (session, _) = bed.log_in(&cert).await;
    let record = bed.identity(&cert).await.certificate;
    bed.authority.revoke(&operator(), &record, RevocationReason::KeyCompromise).await.expect("revoked");
    assert!(matches!(bed.authority.renew(&session, &cert).await, Err(RenewError::Permit(PermitError::Revoked))));
    let again = bed.authority.revoke(&operator(), &record, RevocationReason::KeyCompromise).await;
    assert!(matches!(again, Err(RevokeError::Already)));
}

#[tokio::test]
async fn revoking_a_waiting_certificate_forgets_its_key_and_the_next_click_issues_anew() {
    let bed = Bed::new().await;
    let (_, cert) = bed.terminal(&bed.sunny, "受付1", 60).await;
    let (session, _) = bed.log_in(&cert).await;
    let waiting = bed.authority.renew(&session, &cert).await.expect("renewed").certificate;
    bed.authority.revoke(&operator(), &waiting, RevocationReason::KeyCompromise).await.expect("revoked");
    assert!(matches!(bed.authority.take_bundle(&session, Format::Standard).await, Err(BundleError::None)));
    let next = bed.authority.renew(&session, &cert).await.expect("renewed").certificate;
    assert_ne!(next.serial, waiting.serial);
}

#[tokio::test]
async fn only_an_operator_revokes_and_registers() {
    let bed = Bed::new().await;
    let (_, cert) = bed.terminal(&bed.sunny, "受付1", 60).await;
    let (session, _) = bed.log_in(&cert).await;
    let record = bed.identity(&cert).await.certificate;
    let refused = bed.authority.revoke(&session.actor, &record, RevocationReason::Unspecified).await;
    assert!(matches!(refused, Err(RevokeError::Forbidden)));
    assert!(bed.authority.add_terminal(&session.actor, bed.sunny.id, None, "勝手").await.is_err());
    assert!(
        bed.authority
            .add_customer(&session.actor, None, CustomerKind::Clinic, "103009".parse().expect("digits"), "勝手")
            .await
            .is_err()
    );
}

/// A thief with the key and a password may have renewed before anybody noticed.
#[tokio::test]
async fn a_compromised_key_takes_what_was_renewed_from_it_along_and_ends_the_logins() {
    let bed = Bed::new().await;
    let (_, stolen) = bed.terminal(&bed.sunny, "受付1", 60).await;
    let (session, token) = bed.log_in(&stolen).await;
    let child = bed.authority.renew(&session, &stolen).await.expect("renewed").certificate;
    bed.authority.first_use(&peer(&child)).await.expect("used");
    bed.pass_days(1085); // the child is due, too
    let (session, _) = bed.log_in(&peer(&child)).await;
    let grandchild = bed.authority.renew(&session, &peer(&child)).await.expect("renewed").certificate;
    let (_, other) = bed.terminal(&bed.sunny, "受付2", 60).await;
    let record = bed.identity(&stolen).await.certificate;
    let revoked = bed.authority.revoke(&operator(), &record, RevocationReason::KeyCompromise).await.expect("revoked");
    assert_eq!(revoked.len(), 3);
    for serial in [stolen.serial, child.serial, grandchild.serial] {
        assert!(revoked.contains(&serial));
    }
    let found = bed.authority.session(token.token.expose(), &bed.identity(&stolen).await).await.expect("read");
    assert!(matches!(found, SessionLookup::None));
    assert!(bed.identity(&other).await.certificate.revoked.is_none(), "another terminal is not concerned");
}

#[tokio::test]
async fn a_superseded_certificate_goes_alone() {
    let bed = Bed::new().await;
    let (_, old) = bed.terminal(&bed.sunny, "受付1", 60).await;
    let (session, _) = bed.log_in(&old).await;
    let new = bed.authority.renew(&session, &old).await.expect("renewed").certificate;
    let record = bed.identity(&old).await.certificate;
    let revoked = bed.authority.revoke(&operator(), &record, RevocationReason::Superseded).await.expect("revoked");
    assert_eq!(revoked, [old.serial]);
    assert!(bed.identity(&peer(&new)).await.certificate.revoked.is_none());
}
