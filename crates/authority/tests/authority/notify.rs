//! Reminders: who is told what, when, once; and that what was written leaves at least once.

use tegata_authority::{Letterhead, MAIL, NewContact, NoticePlan, NotifyError, Undelivered};
use tegata_core::access::{Actor, Role};
use tegata_core::contact::Language;
use tegata_core::customer::Customer;
use tegata_core::id::UserId;
use tegata_core::time::{Days, Timestamp};
use tegata_store::{Outcome, ParcelFilter, ParcelRow};

use crate::bed::{Bed, operator};

fn plan() -> NoticePlan {
    let head = Letterhead {
        service: "Tegata".into(),
        operator: "サンプルセンター".into(),
        phone: None,
        hours: None,
        url: "https://portal.example.jp".into(),
    };
    NoticePlan { hour: 9, on_holidays: false, head }
}

fn new(address: &str) -> NewContact {
    NewContact { address: address.into(), label: "事務".into(), language: Language::Ja }
}

/// Nine o'clock in Japan, a Wednesday after a holiday, so many days later.
fn morning(bed: &Bed, days: i64) {
    bed.clock.set(Timestamp::parse("2026-11-25T00:00:00Z").expect("valid").plus_days(Days(days)));
}

async fn add(bed: &Bed, customer: &Customer, address: &str) {
    bed.authority.add_contact(&operator(), customer, new(address), &plan().head).await.expect("added");
}

async fn write(bed: &Bed) -> usize {
    bed.authority.write_digests(&plan()).await.expect("written")
}

/// Takes and delivers all that waits; only the reminders.
async fn post(bed: &Bed) -> Vec<ParcelRow> {
    let mut all = Vec::new();
    loop {
        let taken = bed.authority.take_parcels(MAIL, 10).await.expect("taken");
        if taken.is_empty() {
            all.retain(|parcel: &ParcelRow| parcel.topic == "digest");
            return all;
        }
        for parcel in taken {
            assert_eq!(bed.authority.settle_parcel(&parcel, Ok(())).await.expect("settled"), Outcome::Delivered);
            all.push(parcel);
        }
    }
}

#[tokio::test]
async fn each_step_is_said_once_to_every_contact_about_all_terminals_until_the_new_certificate_is_used() {
    let bed = Bed::new().await;
    morning(&bed, 0);
    bed.terminal(&bed.sunny, "受付1", 90).await;
    let (_, near) = bed.terminal(&bed.sunny, "受付2", 61).await;
    bed.terminal(&bed.sunny, "まだ先", 91).await;
    bed.terminal(&bed.blue, "よその端末", 30).await;
    assert_eq!(write(&bed).await, 0, "nobody is there to be told");
    add(&bed, &bed.sunny, "jimu@sunny.example.jp").await;
    add(&bed, &bed.sunny, "support@office.example.jp").await;
    bed.clock.set(Timestamp::parse("2026-11-24T23:59:59Z").expect("valid"));
    assert_eq!(write(&bed).await, 0, "one second before nine");
    morning(&bed, 0);
    assert_eq!(write(&bed).await, 1);
    assert_eq!(write(&bed).await, 0, "once a day");
    let mails = post(&bed).await;
    let to: Vec<&str> = mails.iter().map(|mail| mail.recipient.as_str()).collect();
    assert_eq!(to, ["jimu@sunny.example.jp", "support@office.example.jp"]);
    assert!(
        mails
            .iter()
            .all(|mail| mail.subject.contains("2台") && mail.body.contains("受付1") && mail.body.contains("受付2"))
    );
    assert!(mails.iter().all(|mail| !mail.body.contains("まだ先") && !mail.body.contains("よその")));
    assert!(mails[0].calendar.as_ref().expect("dates").contains("BEGIN:VEVENT"));
    assert_ne!(mails[0].key, mails[1].key);

    morning(&bed, 1);
    assert_eq!(write(&bed).await, 1, "受付2 has 60 days, まだ先 has 90");
    assert!(post(&bed).await[0].subject.contains("3台"));
    morning(&bed, 2);
    assert_eq!(write(&bed).await, 0, "nothing new");

    // Renewed and fetched is not enough; used is.
    morning(&bed, 30);
    let renewed = bed.authority.renew_terminal(&near, None).await.expect("renewed");
    morning(&bed, 31); // 30 days left of 受付2, a Saturday
    assert_eq!(write(&bed).await, 0, "it can wait for Monday");
    morning(&bed, 33);
    assert_eq!(write(&bed).await, 1);
    assert!(post(&bed).await[0].body.contains("まだ取得されていません"));
    bed.authority.first_use(&crate::bed::peer(&renewed.certificate)).await.expect("used");
    morning(&bed, 61);
    assert_eq!(write(&bed).await, 1, "受付1 and まだ先 go on");
    assert!(!post(&bed).await[0].body.contains("受付2"));
}

#[tokio::test]
async fn the_last_days_and_the_fourteen_after_are_daily_and_then_it_is_quiet() {
    let bed = Bed::new().await;
    morning(&bed, 0);
    bed.terminal(&bed.sunny, "受付1", 9).await;
    add(&bed, &bed.sunny, "jimu@sunny.example.jp").await;
    let mut days = Vec::new();
    for day in 0..40 {
        morning(&bed, day);
        if write(&bed).await == 1 {
            days.push(9 - day);
            let mails = post(&bed).await;
            assert_eq!(mails[0].body.contains("期限切れで、接続できません"), day > 9, "{}", mails[0].body);
        }
    }
    let expected: Vec<i64> = std::iter::once(9).chain((-14..=7).rev()).collect();
    assert_eq!(days, expected);
}

#[tokio::test]
async fn two_nodes_that_write_at_once_write_one_digest() {
    let bed = Bed::new().await;
    morning(&bed, 0);
    bed.terminal(&bed.sunny, "受付1", 5).await;
    add(&bed, &bed.sunny, "jimu@sunny.example.jp").await;
    let other = bed.another_node().await;
    let plan = plan();
    let (one, two) = tokio::join!(bed.authority.write_digests(&plan), other.write_digests(&plan));
    assert_eq!(one.expect("written") + two.expect("written"), 1);
    assert_eq!(post(&bed).await.len(), 1);
    assert_eq!(bed.count("notice.written").await, 1);
    other.close().await;
}

#[tokio::test]
async fn a_parcel_that_was_taken_by_one_who_died_is_taken_again_and_only_the_last_taker_settles() {
    let bed = Bed::new().await;
    add(&bed, &bed.sunny, "jimu@sunny.example.jp").await;
    let first = bed.authority.take_parcels(MAIL, 10).await.expect("taken").remove(0);
    assert!(bed.authority.take_parcels(MAIL, 10).await.expect("asked").is_empty(), "it is somebody's");
    bed.clock.set(bed.now().plus_seconds(181));
    let second = bed.authority.take_parcels(MAIL, 10).await.expect("taken").remove(0);
    assert_eq!((&first.key, second.tries), (&second.key, 2), "the same mail again");
    let late = Undelivered { reason: "too late to say so".into(), for_good: true };
    bed.authority.settle_parcel(&first, Err(late)).await.expect("nothing to settle");
    bed.authority.settle_parcel(&second, Ok(())).await.expect("settled");
    let parcels = bed.authority.sendings(&operator(), bed.sunny.id, 10).await.expect("read");
    assert!(parcels[0].delivered_at.is_some() && !parcels[0].failed);
    assert_eq!(bed.count("notice.given-up").await, 0);
}

#[tokio::test]
async fn a_dead_mail_server_is_tried_ever_more_rarely_for_three_days_and_giving_up_is_written_down() {
    let bed = Bed::new().await;
    add(&bed, &bed.sunny, "jimu@sunny.example.jp").await;
    let dead = Undelivered { reason: "connection refused".into(), for_good: false };
    let mut tries = 0;
    loop {
        let parcel = bed.authority.take_parcels(MAIL, 10).await.expect("taken").remove(0);
        tries += 1;
        match bed.authority.settle_parcel(&parcel, Err(dead.clone())).await.expect("settled") {
            Outcome::TryAt(next, _) => bed.clock.set(next),
            Outcome::GivenUp(reason) => break assert_eq!(reason, "connection refused"),
            Outcome::Delivered => panic!("it was not"),
        }
    }
    assert_eq!(tries, 9);
    assert_eq!(bed.count("notice.given-up").await, 1);
    let failed = ParcelFilter { failed: true, ..ParcelFilter::default() };
    let listed = bed.authority.reader().parcels(operator().scope(), failed, 10).await.expect("read");
    assert_eq!(listed.len(), 1);
    assert_eq!(bed.authority.retry_parcels(&operator(), Some(listed[0].id)).await.expect("retried"), 1);
    let parcel = bed.authority.take_parcels(MAIL, 10).await.expect("taken").remove(0);
    assert_eq!(parcel.key, listed[0].key);
    bed.authority.settle_parcel(&parcel, Ok(())).await.expect("settled");
    assert_eq!(
        bed.authority.retry_parcels(&operator(), None).await.expect("asked"),
        0,
        "what arrived is not sent again"
    );
}

#[tokio::test]
async fn contacts_are_the_customers_own_and_an_address_is_checked() {
    let bed = Bed::new().await;
    let (_, at_blue) = bed.terminal(&bed.blue, "受付", 300).await;
    let admin = |role| Actor::User {
        user: UserId(1),
        name: "jimu".into(),
        role,
        customer: bed.blue.id,
        terminal: at_blue.terminal,
    };
    let (head, stranger) = (plan().head, admin(Role::CustomerAdmin));
    let add = async |actor: &Actor, customer: &Customer, address: &str| {
        bed.authority.add_contact(actor, customer, new(address), &head).await
    };
    assert!(matches!(add(&stranger, &bed.sunny, "a@example.jp").await, Err(NotifyError::Forbidden)));
    let user = admin(Role::TerminalUser);
    assert!(matches!(add(&user, &bed.blue, "a@example.jp").await, Err(NotifyError::Forbidden)));
    add(&stranger, &bed.blue, "a@example.jp").await.expect("its own");
    assert!(matches!(add(&stranger, &bed.blue, "a@example.jp").await, Err(NotifyError::Known)));
    let smuggled = add(&stranger, &bed.blue, "a@example.jp\r\nBcc: b@example.jp").await;
    assert!(matches!(smuggled, Err(NotifyError::Address)));
    for number in 1..10 {
        add(&stranger, &bed.blue, &format!("a{number}@example.jp")).await.expect("added");
    }
    assert!(matches!(add(&stranger, &bed.blue, "a10@example.jp").await, Err(NotifyError::TooMany)));

    super::notify::add(&bed, &bed.sunny, "a@example.jp").await;
    let theirs = bed.authority.contacts(&operator(), bed.sunny.id).await.expect("read").remove(0);
    assert!(bed.authority.contacts(&stranger, bed.sunny.id).await.expect("read").is_empty());
    assert!(bed.authority.contacts(&user, bed.blue.id).await.expect("read").is_empty());
    assert!(bed.authority.sendings(&stranger, bed.sunny.id, 10).await.expect("read").is_empty());
    let remove = bed.authority.remove_contact(&stranger, bed.blue.id, theirs.id).await;
    assert!(matches!(remove, Err(NotifyError::NoSuchContact)), "another customer's");
    let test = bed.authority.test_contact(&stranger, &bed.blue, Some(theirs.id), &head).await;
    assert!(matches!(test, Err(NotifyError::NoSuchContact)));
    let ics = bed.authority.calendar(&stranger, bed.blue.id, (Language::Ja, "Tegata")).await.expect("made");
    assert!(ics.contains("受付"));
    let none = bed.authority.calendar(&stranger, bed.sunny.id, (Language::Ja, "Tegata")).await.expect("made");
    assert!(!none.contains("VEVENT"));

    // Twenty mails in an hour: ten were the first ones.
    bed.authority.test_contact(&stranger, &bed.blue, None, &head).await.expect("ten more");
    let more = bed.authority.test_contact(&stranger, &bed.blue, None, &head).await;
    assert!(matches!(more, Err(NotifyError::TooOften)));
    bed.clock.set(bed.now().plus_seconds(3601));
    bed.authority.test_contact(&stranger, &bed.blue, None, &head).await.expect("an hour later");
}

#[tokio::test]
async fn what_waits_for_a_contact_that_is_removed_is_not_sent() {
    let bed = Bed::new().await;
    add(&bed, &bed.sunny, "old@sunny.example.jp").await;
    let contact = bed.authority.contacts(&operator(), bed.sunny.id).await.expect("read").remove(0);
    bed.authority.remove_contact(&operator(), bed.sunny.id, contact.id).await.expect("removed");
    assert!(bed.authority.take_parcels(MAIL, 10).await.expect("asked").is_empty());
    assert_eq!(bed.count("contact.removed").await, 1);
}
