//! Webhooks: what is told, to whom, once, in the transaction of what happened; and that nobody else can read or change it.

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use tegata_authority::{Letterhead, NoticePlan, Post, Undelivered, WEBHOOK, WebhookError};
use tegata_core::access::Actor;
use tegata_core::cert::RevocationReason;
use tegata_core::id::CustomerId;
use tegata_core::time::{Days, Timestamp};
use tegata_store::{Outcome, ParcelRow};

use crate::bed::{Bed, operator};

async fn hook(bed: &Bed, customer: Option<CustomerId>) -> (i64, Vec<u8>) {
    let url = "https://example.jp/hook".parse().expect("an address");
    let (hook, secret) = bed.authority.add_webhook(&operator(), customer, (url, false)).await.expect("added");
    (hook.id, key(secret.expose()))
}

fn key(secret: &str) -> Vec<u8> {
    BASE64.decode(secret.strip_prefix("whsec_").expect("as libraries read it")).expect("base64")
}

/// Takes and delivers all that waits.
async fn post(bed: &Bed) -> Vec<(ParcelRow, Post)> {
    let mut all = Vec::new();
    loop {
        let taken = bed.authority.take_parcels(WEBHOOK, 10).await.expect("taken");
        if taken.is_empty() {
            return all;
        }
        for parcel in taken {
            let prepared = bed.authority.prepare_webhook(&parcel).await.expect("read").expect("can be sent");
            assert_eq!(bed.authority.settle_parcel(&parcel, Ok(())).await.expect("settled"), Outcome::Delivered);
            all.push((parcel, prepared));
        }
    }
}

fn told(post: &[(ParcelRow, Post)]) -> Vec<(&str, &str)> {
    // The order is not promised.
    let mut told: Vec<_> = post.iter().map(|(parcel, _)| (parcel.topic.as_str(), parcel.recipient.as_str())).collect();
    told.sort_unstable();
    told
}

fn signed_with(post: &Post, key: &[u8]) -> bool {
    let text = [format!("{}.{}.", post.id, post.timestamp).as_bytes(), &post.body].concat();
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), &text);
    post.signature.split(' ').any(|one| one == format!("v1,{}", BASE64.encode(tag)))
}

#[tokio::test]
async fn each_turn_of_a_certificate_is_told_to_its_customers_hooks_and_to_those_for_everybody() {
    let bed = Bed::new().await;
    bed.terminal(&bed.sunny, "前からある端末", 300).await;
    let (own, own_key) = hook(&bed, Some(bed.sunny.id)).await;
    let (all, all_key) = hook(&bed, None).await;
    assert!(post(&bed).await.is_empty(), "what was before is not told");
    let (_, peer) = bed.terminal(&bed.sunny, "受付1", 300).await;
    let (own, all) = (own.to_string(), all.to_string());
    let both = |event| [(event, own.as_str()), (event, all.as_str())];
    let sent = post(&bed).await;
    assert_eq!(told(&sent), [both("certificate.issued"), both("certificate.used")].concat());
    let issued = |(parcel, _): &&(ParcelRow, Post)| parcel.recipient == own && parcel.topic == "certificate.issued";
    let (_, first) = sent.iter().find(issued).expect("told");
    let body = String::from_utf8(first.body.clone()).expect("text");
    for part in
        ["\"type\":\"certificate.issued\"", "\"name\":\"受付1\"", "\"client\":\"client0002\"", &peer.serial.to_string()]
    {
        assert!(body.contains(part), "{part}: {body}");
    }
    assert!(signed_with(first, &own_key) && !signed_with(first, &all_key));
    let ids: std::collections::HashSet<&str> = sent.iter().map(|(_, post)| post.id.as_str()).collect();
    assert_eq!(ids.len(), 4);
    bed.terminal(&bed.blue, "よその端末", 300).await;
    let sent = post(&bed).await;
    assert_eq!(told(&sent), [("certificate.issued", all.as_str()), ("certificate.used", all.as_str())]);
    let identity = bed.identity(&peer).await;
    bed.authority.revoke(&operator(), &identity.certificate, RevocationReason::Superseded).await.expect("revoked");
    assert_eq!(told(&post(&bed).await), both("certificate.revoked"));
}

#[tokio::test]
async fn ends_are_told_by_steps_and_the_end_itself_once() {
    let bed = Bed::new().await;
    let head = Letterhead {
        service: "Tegata".into(),
        operator: "x".into(),
        phone: None,
        hours: None,
        url: "https://portal.example.jp".into(),
    };
    let plan = NoticePlan { hour: 9, on_holidays: false, head };
    let morning = |days| bed.clock.set(Timestamp::parse("2026-11-25T00:00:00Z").expect("valid").plus_days(Days(days)));
    morning(0);
    bed.terminal(&bed.sunny, "受付1", 9).await;
    assert_eq!(bed.authority.write_announcements(&plan).await.expect("asked"), 0, "nobody listens");
    hook(&bed, Some(bed.sunny.id)).await;
    let mut heard = Vec::new();
    for day in 0..30 {
        morning(day);
        bed.authority.write_announcements(&plan).await.expect("written");
        assert_eq!(bed.authority.write_announcements(&plan).await.expect("asked"), 0, "once a day");
        let sent = post(&bed).await;
        heard.extend(sent.iter().map(|(parcel, _)| (9 - day, parcel.topic.clone())));
    }
    let expiring: Vec<i64> =
        heard.iter().filter(|(_, topic)| topic == "certificate.expiring").map(|(left, _)| *left).collect();
    assert_eq!(expiring, [9, 7, 6, 5, 4, 3, 2, 1, 0]);
    let expired: Vec<i64> =
        heard.iter().filter(|(_, topic)| topic == "certificate.expired").map(|(left, _)| *left).collect();
    assert_eq!(expired, [-1]);
}

#[tokio::test]
async fn a_try_that_failed_comes_again_with_the_same_id_and_a_signature_of_its_own_time() {
    let bed = Bed::new().await;
    let (id, first_key) = hook(&bed, None).await;
    bed.terminal(&bed.sunny, "受付1", 300).await;
    let parcel = bed.authority.take_parcels(WEBHOOK, 1).await.expect("taken").remove(0);
    let first = bed.authority.prepare_webhook(&parcel).await.expect("read").expect("can be sent");
    let failed = Undelivered { reason: "answered 500".into(), for_good: false };
    let Outcome::TryAt(next, _) = bed.authority.settle_parcel(&parcel, Err(failed)).await.expect("settled") else {
        panic!("it is tried again")
    };
    let secret = bed.authority.rotate_webhook(&operator(), id).await.expect("rotated");
    bed.clock.set(next);
    let again = post(&bed).await;
    let (_, again) = again.iter().find(|(later, _)| later.id == parcel.id).expect("again");
    assert_eq!((&again.id, &again.body), (&first.id, &first.body));
    assert!(again.timestamp > first.timestamp && again.signature != first.signature);
    let new_key = key(secret.expose());
    assert!(signed_with(again, &new_key) && signed_with(again, &first_key), "both sign for a day");
    bed.clock.set(bed.now().plus_seconds(24 * 3600 + 1));
    bed.authority.test_webhook(&operator(), id).await.expect("written");
    let (_, test) = post(&bed).await.remove(0);
    assert!(signed_with(&test, &new_key) && !signed_with(&test, &first_key));
}

#[tokio::test]
async fn only_the_operator_has_webhooks_and_what_is_removed_hears_nothing_more() {
    let bed = Bed::new().await;
    let (id, _) = hook(&bed, Some(bed.sunny.id)).await;
    let (_, peer) = bed.terminal(&bed.sunny, "受付1", 300).await;
    let at = Actor::Terminal { terminal: peer.terminal, customer: bed.sunny.id };
    let url = "https://example.jp/".parse().expect("an address");
    assert!(matches!(bed.authority.add_webhook(&at, None, (url, true)).await, Err(WebhookError::Forbidden)));
    assert!(matches!(bed.authority.rotate_webhook(&at, id).await, Err(WebhookError::Forbidden)));
    assert!(matches!(bed.authority.test_webhook(&at, id).await, Err(WebhookError::Forbidden)));
    assert!(matches!(bed.authority.remove_webhook(&at, id).await, Err(WebhookError::Forbidden)));
    assert!(bed.authority.webhooks(&at).await.expect("read").is_empty());
    bed.authority.remove_webhook(&operator(), id).await.expect("removed");
    assert!(post(&bed).await.is_empty(), "what waited is not sent");
    let again = bed.authority.remove_webhook(&operator(), id).await;
    assert!(matches!(again, Err(WebhookError::NoSuchHook)));
    let words = [bed.count("webhook.added").await, bed.count("webhook.removed").await];
    assert_eq!(words, [1, 1]);
}
