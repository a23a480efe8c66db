//! Revoking everything of a customer or of an issuing CA.

use tegata_authority::{RevocationOrder, RevocationTarget, RevokeAllError, SessionLookup};
use tegata_core::access::{Actor, Role};
use tegata_core::cert::RevocationReason;
use tegata_core::id::{CustomerId, IssuerId, UserId};
use tegata_core::terminal::Condition;

use crate::bed::{Bed, operator};

fn order(target: RevocationTarget, reason: RevocationReason, count: u32) -> RevocationOrder {
    RevocationOrder { target, reason, because: "test".into(), count }
}

#[tokio::test]
async fn a_customer_is_cut_off_whole_and_no_other_is_touched() {
    let bed = Bed::new().await;
    let mut mine = Vec::new();
    for number in 0..3 {
        mine.push(bed.terminal(&bed.sunny, &format!("受付{number}"), 60).await);
    }
    let (_, other) = bed.terminal(&bed.blue, "受付", 60).await;
    let (session, token) = bed.log_in(&mine[0].1).await;
    let renewed = bed.authority.renew(&session, &mine[0].1).await.expect("renewed");
    let target = RevocationTarget::Customer(bed.sunny.id);
    let count = bed.authority.revocable(&operator(), target).await.expect("counted");
    assert_eq!(count, 4, "three in use, and one that waits");
    let done =
        bed.authority.revoke_all(&operator(), order(target, RevocationReason::CessationOfOperation, count)).await;
    assert_eq!(done.expect("revoked"), 4);
    for (_, peer) in &mine {
        let reason = bed.identity(peer).await.certificate.revoked.map(|(_, reason)| reason);
        assert_eq!(reason, Some(RevocationReason::CessationOfOperation));
    }
    assert!(bed.identity(&other).await.certificate.revoked.is_none());
    let identity = bed.identity(&mine[0].1).await;
    let lookup = bed.authority.session(token.token.expose(), &identity).await.expect("read");
    assert!(matches!(lookup, SessionLookup::None), "its logins end");
    let scope = operator().scope();
    let waiting = bed.authority.reader().open_bundle(scope, mine[0].0.id, bed.now()).await.expect("read");
    assert!(waiting.is_none(), "{} is forgotten", renewed.certificate.serial);
    assert_eq!((bed.count("revocation.ordered").await, bed.count("certificate.revoked").await), (1, 4));
    assert_eq!(bed.authority.revocable(&operator(), target).await.expect("counted"), 0);
    let views = bed.authority.terminals_of(&operator(), bed.sunny.id).await.expect("listed");
    assert!(views.iter().all(|view| view.condition == Condition::Revoked && !view.recoverable));
}

/// A terminal that has no certificate yet, and a code for it, are of the customer, too.
#[tokio::test]
async fn no_code_of_the_customer_opens_anything_afterwards() {
    let bed = Bed::new().await;
    bed.terminal(&bed.sunny, "受付1", 60).await;
    let empty = bed.authority.add_terminal(&operator(), bed.sunny.id, None, "会計").await.expect("added");
    let theirs = bed.authority.add_terminal(&operator(), bed.blue.id, None, "受付").await.expect("added");
    bed.authority.invite(&operator(), &empty, 60, false).await.expect("a code");
    bed.authority.invite(&operator(), &theirs, 60, false).await.expect("a code");
    let target = RevocationTarget::Customer(bed.sunny.id);
    let done = bed.authority.revoke_all(&operator(), order(target, RevocationReason::KeyCompromise, 1)).await;
    assert_eq!(done.expect("revoked"), 1);
    let left: Vec<_> =
        bed.authority.invitations(&operator()).await.expect("listed").into_iter().map(|code| code.terminal).collect();
    assert_eq!(left, [theirs.id]);
    let scope = operator().scope();
    let row = bed.authority.reader().terminal(scope, empty.id).await.expect("read").expect("there");
    assert!(row.blocked_at.is_some());
}

#[tokio::test]
async fn more_than_one_batch_of_an_issuing_ca_is_revoked_and_what_is_past_is_left() {
    let bed = Bed::new().await;
    let terminal = bed.authority.add_terminal(&operator(), bed.sunny.id, None, "受付").await.expect("added");
    let (_, past) = bed.terminal(&bed.sunny, "古い", 5).await;
    bed.pass_days(6);
    for _ in 0..205 {
        let handover = bed.authority.issue(&operator(), &terminal, Default::default()).await.expect("issued");
        bed.authority.handed_over(&operator(), &handover.certificate).await.expect("handed over");
    }
    let issuer = bed.identity(&past).await.certificate.issuer;
    let target = RevocationTarget::Issuer(issuer);
    assert_eq!(bed.authority.revocable(&operator(), target).await.expect("counted"), 205);
    let done = bed.authority.revoke_all(&operator(), order(target, RevocationReason::KeyCompromise, 205)).await;
    assert_eq!(done.expect("revoked"), 205);
    assert!(bed.identity(&past).await.certificate.revoked.is_none(), "it is past");
    let blocked = bed.authority.reader().terminal(operator().scope(), terminal.id).await.expect("read").expect("there");
    assert!(blocked.blocked_at.is_some(), "with key-compromise, nobody recovers it");
    let other = RevocationTarget::Issuer(IssuerId(issuer.0 + 1));
    assert_eq!(bed.authority.revocable(&operator(), other).await.expect("counted"), 0);
}

#[tokio::test]
async fn another_number_no_reason_or_another_actor_revokes_nothing() {
    let bed = Bed::new().await;
    let (at, peer) = bed.terminal(&bed.sunny, "受付", 60).await;
    let target = RevocationTarget::Customer(bed.sunny.id);
    let plain = order(target, RevocationReason::Unspecified, 1);
    for said in [0, 2, 4000] {
        let refused = bed.authority.revoke_all(&operator(), RevocationOrder { count: said, ..plain.clone() }).await;
        assert!(matches!(refused, Err(RevokeAllError::Count { now: 1, said: named }) if named == said), "{refused:?}");
    }
    let silent = RevocationOrder { because: " ".into(), ..plain.clone() };
    assert!(matches!(bed.authority.revoke_all(&operator(), silent).await, Err(RevokeAllError::Because)));
    let of =
        |role, customer: CustomerId| Actor::User { user: UserId(1), name: "x".into(), role, customer, terminal: at.id };
    for role in [Role::TerminalUser, Role::CustomerAdmin, Role::HelpDesk, Role::Auditor] {
        let refused = bed.authority.revoke_all(&of(role, bed.sunny.id), plain.clone()).await;
        assert!(matches!(refused, Err(RevokeAllError::Forbidden)), "{role}");
    }
    // An officer who sits among them would not see the end of it.
    let officer = of(Role::CaOfficer, bed.sunny.id);
    let issuer = RevocationTarget::Issuer(bed.identity(&peer).await.certificate.issuer);
    for target in [target, issuer] {
        let refused = bed.authority.revoke_all(&officer, RevocationOrder { target, ..plain.clone() }).await;
        assert!(matches!(refused, Err(RevokeAllError::OwnTerminal)), "{target:?}");
    }
    assert!(bed.identity(&peer).await.certificate.revoked.is_none());
    assert_eq!(bed.count("revocation.ordered").await, 0);
}

#[tokio::test]
async fn after_a_roll_over_it_is_known_who_still_holds_certificates_of_the_old_ca() {
    let bed = Bed::new().await;
    let (reception, old) = bed.terminal(&bed.sunny, "受付", 60).await;
    let (_, kept) = bed.terminal(&bed.blue, "受付", 60).await;
    bed.roll_over().await;
    let bed = bed.restarted().await;
    let issuers = bed.authority.issuers(&operator()).await.expect("listed");
    let shape =
        |views: &[tegata_authority::IssuerView]| views.iter().map(|view| (view.signs, view.held)).collect::<Vec<_>>();
    assert_eq!(shape(&issuers), [(false, 2), (true, 0)]);
    let (session, _) = bed.log_in(&old).await;
    let new = bed.authority.renew(&session, &old).await.expect("renewed").certificate;
    bed.authority.first_use(&crate::bed::peer(&new)).await.expect("used");
    let issuers = bed.authority.issuers(&operator()).await.expect("listed");
    assert_eq!(shape(&issuers), [(false, 1), (true, 1)]);
    let holders = bed.authority.holders(&operator(), issuers[0].id, (0, 10)).await.expect("listed");
    assert_eq!(holders.iter().map(|holder| holder.certificate.fingerprint).collect::<Vec<_>>(), [kept.fingerprint]);
    assert_eq!(holders[0].customer.id, bed.blue.id);
    let after = holders[0].certificate.id.0;
    assert!(bed.authority.holders(&operator(), issuers[0].id, (after, 10)).await.expect("listed").is_empty());
    let counts = bed.authority.renewals(&operator()).await.expect("counted");
    assert_eq!((counts.done, counts.due, counts.waiting, counts.at_risk, counts.expired), (1, 1, 0, 0, 0));
    let _ = reception;
}
