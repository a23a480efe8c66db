//! Revoking wins over whatever else is under way.

use tegata_authority::{BundleError, RenewError, RevokeError};
use tegata_core::cert::RevocationReason;
use tegata_core::renewal::PermitError;
use tegata_pki::pkcs12::Format;

use crate::bed::{Bed, operator};

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
    assert!(bed.authority.add_customer(&session.actor, None, "103009".parse().expect("digits"), "勝手").await.is_err());
}
