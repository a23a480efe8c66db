//! API keys: what is shown once, beside whose certificate it counts, how one is replaced without a gap, and what the log says of it.

use std::net::{IpAddr, Ipv4Addr};

use tegata_authority::{CheckApiKeyError, Identity, KeepApiKeyError, MadeApiKey, NewApiKey};
use tegata_core::access::{Actor, Reach, Role};
use tegata_core::api_key::{ApiKeyError, ApiReach, ApiScopes, MOST_KEYS, Program};
use tegata_core::customer::{Customer, CustomerKind};
use tegata_core::id::UserId;

use crate::bed::{Bed, operator};

const FROM: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));

fn new(customer: &Customer) -> NewApiKey {
    NewApiKey {
        customer: customer.id,
        terminal: None,
        name: "会計連携".into(),
        reach: ApiReach::Customer,
        scopes: ApiScopes::parse("terminals:read log:read").expect("scopes"),
        days: 365,
    }
}

async fn check(bed: &Bed, identity: &Identity, made: &MadeApiKey) -> Result<Program, CheckApiKeyError> {
    let shown = (made.key.id.as_str(), made.secret.expose());
    bed.authority.check_api_key(identity, shown, FROM).await.map(|(program, _)| program)
}

#[tokio::test]
async fn a_key_counts_beside_a_certificate_of_its_customer_and_of_no_other() {
    let bed = Bed::new().await;
    let (reception, peer) = bed.terminal(&bed.sunny, "受付1", 60).await;
    let (_, stranger) = bed.terminal(&bed.blue, "受付", 60).await;
    let (own, other) = (bed.identity(&peer).await, bed.identity(&stranger).await);
    let made = bed.authority.make_api_key(&operator(), new(&bed.sunny)).await.expect("made");
    let program = check(&bed, &own, &made).await.expect("counts");
    assert_eq!((program.customer, program.terminal), (bed.sunny.id, reception.id));
    assert_eq!(Actor::Program(Box::new(program)).scope().reach(), Reach::Customer(bed.sunny.id));
    let refused = check(&bed, &other, &made).await;
    assert!(matches!(refused, Err(CheckApiKeyError::Refused(ApiKeyError::OtherCertificate))), "{refused:?}");

    let only = NewApiKey { terminal: Some(reception.id), ..new(&bed.sunny) };
    let only = bed.authority.make_api_key(&operator(), only).await.expect("made");
    let (_, second) = bed.terminal(&bed.sunny, "診察室", 60).await;
    assert!(check(&bed, &own, &only).await.is_ok());
    assert!(check(&bed, &bed.identity(&second).await, &only).await.is_err());
    let foreign = NewApiKey { terminal: Some(reception.id), ..new(&bed.blue) };
    let refused = bed.authority.make_api_key(&operator(), foreign).await;
    assert!(matches!(refused, Err(KeepApiKeyError::NoSuchTerminal)));
}

#[tokio::test]
async fn after_a_rotation_both_secrets_count_until_the_overlap_ends() {
    let bed = Bed::new().await;
    let (_, peer) = bed.terminal(&bed.sunny, "受付1", 900).await;
    let identity = bed.identity(&peer).await;
    let first = bed.authority.make_api_key(&operator(), new(&bed.sunny)).await.expect("made");
    let second = bed.authority.rotate_api_key(&operator(), &first.key, (365, 7)).await.expect("rotated");
    assert_eq!(second.key.id, first.key.id);
    assert!(check(&bed, &identity, &first).await.is_ok() && check(&bed, &identity, &second).await.is_ok());
    bed.pass_days(8);
    assert!(matches!(check(&bed, &identity, &first).await, Err(CheckApiKeyError::Wrong)));
    assert!(check(&bed, &identity, &second).await.is_ok());
    // Rotated because it leaked: nothing of before counts.
    let third = bed.authority.rotate_api_key(&operator(), &second.key, (30, 0)).await.expect("rotated");
    bed.clock.set(bed.now().plus_seconds(1));
    assert!(check(&bed, &identity, &second).await.is_err() && check(&bed, &identity, &first).await.is_err());
    bed.pass_days(31);
    assert!(matches!(check(&bed, &identity, &third).await, Err(CheckApiKeyError::Refused(ApiKeyError::Expired))));
    let fourth = bed.authority.rotate_api_key(&operator(), &third.key, (365, 7)).await.expect("rotated");
    assert!(check(&bed, &identity, &third).await.is_err(), "what had expired does not come back");
    assert!(check(&bed, &identity, &fourth).await.is_ok());
}

#[tokio::test]
async fn a_revoked_key_opens_nothing_and_stays_so() {
    let bed = Bed::new().await;
    let (_, peer) = bed.terminal(&bed.sunny, "受付1", 60).await;
    let identity = bed.identity(&peer).await;
    let made = bed.authority.make_api_key(&operator(), new(&bed.sunny)).await.expect("made");
    bed.authority.revoke_api_key(&operator(), &made.key).await.expect("revoked");
    assert!(matches!(check(&bed, &identity, &made).await, Err(CheckApiKeyError::Refused(ApiKeyError::Revoked))));
    let again = bed.authority.rotate_api_key(&operator(), &made.key, (365, 7)).await;
    assert!(matches!(again, Err(KeepApiKeyError::NoSuchKey)));
    let again = bed.authority.revoke_api_key(&operator(), &made.key).await;
    assert!(matches!(again, Err(KeepApiKeyError::NoSuchKey)));
    assert_eq!((bed.count("api-key.made").await, bed.count("api-key.revoked").await), (1, 1));
}

#[tokio::test]
async fn wrong_secrets_are_in_the_log_until_there_are_too_many() {
    let bed = Bed::new().await;
    let (_, peer) = bed.terminal(&bed.sunny, "受付1", 60).await;
    let identity = bed.identity(&peer).await;
    let made = bed.authority.make_api_key(&operator(), new(&bed.sunny)).await.expect("made");
    let id = made.key.id.as_str();
    let wrong = format!("{}0", &made.secret.expose()[..38]);
    let wrong = if wrong == made.secret.expose() { format!("{}1", &wrong[..38]) } else { wrong };
    let mut seen = Vec::new();
    for secret in std::iter::repeat_n(wrong.as_str(), 30).chain(["", "tegata_", "受付"]) {
        seen.push(bed.authority.check_api_key(&identity, (id, secret), FROM).await.map(|_| ()).expect_err("wrong"));
    }
    assert!(seen[..30].iter().all(|error| matches!(error, CheckApiKeyError::Wrong)), "{seen:?}");
    assert!(seen[30..].iter().all(|error| matches!(error, CheckApiKeyError::TooMany)), "{seen:?}");
    assert_eq!(bed.count("api-key.refused").await, 30, "not one row for each try of a flood");
    assert!(check(&bed, &identity, &made).await.is_ok(), "whoever has the right one is not shut out");
    let rows = bed.authority.reader().audit_rows(operator().scope(), None, 1000).await.expect("read");
    let secret = &made.secret.expose()[7..];
    assert!(rows.iter().all(|row| !row.detail.contains(secret) && !row.detail.contains(&wrong)));
}

#[tokio::test]
async fn keys_are_kept_by_their_customers_administrators_within_bounds() {
    let bed = Bed::new().await;
    let (terminal, _) = bed.terminal(&bed.sunny, "受付1", 60).await;
    let person = |role| Actor::User {
        user: UserId(1),
        name: "kanri".into(),
        role,
        customer: bed.sunny.id,
        terminal: terminal.id,
    };
    let admin = person(Role::CustomerAdmin);
    let make = async |actor: &Actor, new: NewApiKey| bed.authority.make_api_key(actor, new).await;
    let everything = NewApiKey { reach: ApiReach::Everything, ..new(&bed.sunny) };
    for (actor, new) in
        [(&person(Role::TerminalUser), new(&bed.sunny)), (&admin, new(&bed.blue)), (&admin, everything.clone())]
    {
        assert!(matches!(make(actor, new).await, Err(KeepApiKeyError::Forbidden)));
    }
    let revoking = ApiScopes::parse("certificates:revoke").expect("scopes");
    let refused = make(&admin, NewApiKey { scopes: revoking, ..new(&bed.sunny) }).await;
    assert!(matches!(refused, Err(KeepApiKeyError::Scopes)));
    let refused = make(&admin, NewApiKey { name: "\u{202e}".into(), ..new(&bed.sunny) }).await;
    assert!(matches!(refused, Err(KeepApiKeyError::Name)));
    for days in [0, 1097] {
        let refused = make(&admin, NewApiKey { days, ..new(&bed.sunny) }).await;
        assert!(matches!(refused, Err(KeepApiKeyError::Days)));
    }
    let refused = make(&operator(), everything.clone()).await;
    assert!(matches!(refused, Err(KeepApiKeyError::NotTheOperators)));
    let code = "000001".parse().expect("digits");
    let center =
        bed.authority.add_customer(&operator(), None, CustomerKind::Operator, code, "センター").await.expect("added");
    let everything = make(&operator(), NewApiKey { customer: center.id, ..everything }).await.expect("made");
    let mut keys = Vec::new();
    for _ in 0..MOST_KEYS {
        keys.push(make(&admin, new(&bed.sunny)).await.expect("made"));
    }
    assert!(matches!(make(&admin, new(&bed.sunny)).await, Err(KeepApiKeyError::TooMany)));
    bed.authority.revoke_api_key(&admin, &keys[0].key).await.expect("revoked");
    make(&admin, new(&bed.sunny)).await.expect("room again");
    let seen = bed.authority.api_keys(&admin, None).await.expect("read");
    assert!(
        seen.len() == MOST_KEYS + 1 && seen.iter().all(|key| key.id != everything.key.id),
        "the operator's key is not shown to the customer"
    );
    let stranger = bed.authority.api_keys(&person(Role::TerminalUser), None).await.expect("read");
    assert!(stranger.is_empty());
}
