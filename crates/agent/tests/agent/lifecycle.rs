//! From the first code through years of renewals.

use tegata_agent::enrol::{self, EnrolError};
use tegata_agent::schedule::Window;
use tegata_agent::{IDENTITY, Outcome, Urge};
use tegata_core::profile::{KeyKind, Purpose};
use tegata_core::schedule::Validity;
use tegata_core::time::Days;
use tegata_pki::key::LeafKey;
use tegata_pki::pkcs12::{self, Contents, Format};

use crate::bed::{Bed, Cut, start};
use crate::portal::{self, CODE};

fn day(days: i64) -> tegata_core::time::Timestamp {
    start().plus_days(Days(days))
}

#[test]
fn a_code_gives_an_identity_and_a_certificate_with_its_own_key_for_each_store() {
    let mut bed = Bed::new();
    bed.store(&format!("api=pem:{}", bed.place("api").display()));
    let tick = bed.enroll();
    assert_eq!(tick.outcome, Outcome::Good, "{:?}", tick.news);
    assert_eq!(bed.portal().issued(Purpose::Agent).len(), 1);
    assert_eq!(bed.portal().issued(Purpose::Client).len(), 2);
    assert_eq!(bed.current(IDENTITY).about().purpose, Purpose::Agent);
    assert_ne!(bed.current("web").key().public_key(), bed.current("api").key().public_key());
    // The code was shown once; everything else was shown the identity.
    let enrolments = bed.portal().look(|inner| inner.asked.clone());
    let enrolments: Vec<_> = enrolments.iter().filter(|asked| asked.path.contains("enroll")).collect();
    assert_eq!(enrolments.iter().filter(|asked| asked.with_code).count(), 1);
    assert!(enrolments[1..].iter().all(|asked| asked.shown == Some(Purpose::Agent)));
    // All three were proven by a handshake before they were used.
    assert_eq!(bed.portal().look(|inner| inner.proven.len()), 3);
    assert!(bed.place("published/current/fullchain.pem").exists());
}

#[test]
fn one_certificate_for_everything_where_that_is_wanted() {
    let mut bed = Bed::new();
    bed.single = true;
    bed.store(&format!("api=pem:{}", bed.place("api").display()));
    assert_eq!(bed.enroll().outcome, Outcome::Good);
    assert_eq!(bed.portal().look(|inner| inner.issued.len()), 1);
    let read = |name: &str| std::fs::read(bed.place(name)).expect("there");
    assert_eq!(read("published/current/cert.pem"), read("api/current/cert.pem"));
    bed.tick(day(330), Urge::Due);
    assert_eq!(bed.portal().issued(Purpose::Client).len(), 2);
}

#[test]
fn nothing_is_asked_before_it_is_time() {
    let bed = Bed::new();
    let tick = bed.enroll();
    let asked = bed.portal().look(|inner| inner.asked.len());
    bed.tick(tick.next.plus_seconds(-1), Urge::Due);
    assert_eq!(bed.portal().look(|inner| inner.asked.len()), asked);
    // Then it asks about each of two certificates every 6 hours, give or take one.
    let (mut now, asks) = (tick.next, || {
        bed.portal().look(|inner| inner.asked.iter().filter(|asked| asked.path.contains("/renewal-info/")).count())
    });
    let before = asks();
    while now < day(10) {
        now = bed.tick(now, Urge::Due).next;
    }
    assert!((2 * 10 * 24 / 7..=2 * 10 * 24 / 5).contains(&(asks() - before)), "{}", asks() - before);
    let now = day(11);
    bed.tick(now, Urge::Start);
    let before = asks();
    bed.tick(now.plus_seconds(300), Urge::Start);
    assert_eq!(asks(), before, "a start 5 minutes later asks nothing");
    bed.tick(now.plus_seconds(3600), Urge::Start);
    assert_eq!(asks(), before + 2, "a start an hour later looks anew");
}

#[test]
fn it_renews_at_its_drawn_instant_of_the_servers_window() {
    let bed = Bed::new();
    bed.enroll();
    let window = Window { start: day(100), end: day(110) };
    bed.portal().look(|inner| inner.windows.insert(false, window));
    let mut now = bed.tick(day(1), Urge::Start).next;
    while bed.portal().issued(Purpose::Client).len() == 1 {
        assert!(now <= window.end, "the window is over");
        now = bed.tick(now, Urge::Due).next;
    }
    let renewed =
        bed.portal().look(|inner| inner.asked.iter().rfind(|asked| asked.path.ends_with("simplereenroll")).cloned());
    let renewed = renewed.expect("a re-enrolment");
    assert!(window.start <= renewed.at && renewed.at <= window.end);
    // The certificate that is renewed is the proof.
    assert_eq!(renewed.shown, Some(Purpose::Client));
    assert_eq!(bed.current("web").about().not_after, bed.portal().issued(Purpose::Client)[1].not_after);
}

#[test]
fn a_window_moved_to_the_past_means_now() {
    let bed = Bed::new();
    bed.enroll();
    bed.portal().look(|inner| inner.windows.insert(false, Window { start: day(0), end: day(0) }));
    bed.tick(day(10), Urge::Start);
    assert_eq!(bed.portal().issued(Purpose::Client).len(), 2);
    // It is not renewed again and again.
    bed.tick(day(10).plus_seconds(3600), Urge::Start);
    assert_eq!(bed.portal().issued(Purpose::Client).len(), 2);
}

#[test]
fn three_years_pass_without_anybody_although_the_line_loses_every_seventh_answer() {
    let bed = Bed::new();
    bed.enroll();
    let (mut now, mut rounds, mut last) = (day(0), 0u32, Outcome::Good);
    while now < day(3 * 365) {
        rounds += 1;
        for (n, path) in ["simplereenroll", "certificate", "cacerts"].into_iter().enumerate() {
            if rounds % 7 == u32::try_from(n).expect("small") {
                bed.line.cuts.borrow_mut().clear();
                bed.line.cut(path, if rounds % 2 == 0 { Cut::After } else { Cut::Before });
            }
        }
        let tick = bed.tick(now, Urge::Due);
        assert!(tick.outcome < Outcome::Human, "{now}: {:?}", tick.news);
        assert!(tick.next > now);
        for name in [IDENTITY, "web"] {
            assert!(bed.current(name).is_valid(now), "{name} at {now}");
        }
        (now, last) = (tick.next, tick.outcome);
    }
    assert!(last <= Outcome::Later);
    // A year's certificate is renewed about 75 days before its end: three or four renewals each, none twice.
    for purpose in [Purpose::Agent, Purpose::Client] {
        assert_eq!(bed.portal().issued(purpose).len(), 4, "{purpose:?}");
    }
    // Four looks a day at two certificates, a few more after losses.
    assert!(rounds < 3 * 365 * 14, "{rounds}");
    let kept = std::fs::read_dir(bed.root().join("stores/web/gen")).expect("there").count();
    assert_eq!(kept, 2, "the current one and the one before");
}

#[test]
fn renew_now_renews_what_is_named() {
    let bed = Bed::new();
    bed.enroll();
    assert_eq!(bed.tick(day(30), Urge::Now(Some("web"))).outcome, Outcome::Good);
    assert_eq!((bed.portal().issued(Purpose::Agent).len(), bed.portal().issued(Purpose::Client).len()), (1, 2));
    bed.tick(day(31), Urge::Now(None));
    assert_eq!((bed.portal().issued(Purpose::Agent).len(), bed.portal().issued(Purpose::Client).len()), (2, 3));
}

#[test]
fn too_early_is_no_trouble_and_is_asked_again_later() {
    let bed = Bed::new();
    bed.enroll();
    bed.portal().script("simplereenroll", 409, "too-early", &[]);
    let tick = bed.tick(day(30), Urge::Now(Some("web")));
    assert_eq!(tick.outcome, Outcome::Good, "{:?}", tick.news);
    assert!(tick.news.iter().any(|line| line.contains("too-early")));
    assert_eq!(bed.portal().issued(Purpose::Client).len(), 1);
}

#[test]
fn an_existing_bundle_is_adopted_and_lives_on_until_it_is_due() {
    for (format, has_root) in [(Format::Standard, true), (Format::Compat, false)] {
        let bed = Bed::new();
        let key = LeafKey::generate(KeyKind::Rsa2048).expect("a key");
        let validity = Validity { not_before: day(-300), not_after: day(195) };
        let portal = bed.portal();
        let (der, _) =
            portal::leaf(&portal.ca, &portal.terminal, Purpose::Client, key.public_key(), validity, &portal.entropy);
        let chain = [portal.ca.issuing.der(), portal.ca.root.der()];
        // Bundles of the portal's end with the issuing CA.
        let chain = if has_root { &chain[..] } else { &chain[..1] };
        let contents = Contents { key: &key, leaf: &der, chain, friendly_name: "受付1" };
        let bundle = pkcs12::seal(&contents, "password", format, &bed.entropy).expect("sealed");
        let adopt = |now, password| {
            let mut beginning = bed.beginning();
            beginning.anchor = enrol::Anchor::Bundle;
            enrol::adopt(&bed.root(), &bed.world(), now, beginning, bundle.expose(), password)
        };
        assert!(matches!(adopt(start(), "wrong"), Err(EnrolError::Bundle(_))));
        assert!(matches!(adopt(day(400), "password"), Err(EnrolError::NotValid(_))));
        let stranger = portal::Ca::new("Tegata Test", &portal.entropy);
        let foreign = tegata_agent::trust::Trust::from_bundle(
            &[stranger.issuing.der().to_vec()],
            &[portal.ca.root.der().to_vec()],
        );
        assert!(foreign.is_err(), "a root that signed nothing in the bundle is not believed");
        let tick = adopt(start(), "password").expect("adopted");
        assert_eq!(tick.outcome, Outcome::Good, "{:?}", tick.news);
        assert_eq!(bed.current("web").leaf(), der);
        assert_eq!(bed.current(IDENTITY).about().purpose, Purpose::Agent);
        // Its time comes, and then it has a key of the agent's making.
        let mut now = tick.next;
        while bed.current("web").leaf() == der {
            assert!(now < validity.not_after);
            now = bed.tick(now, Urge::Due).next;
        }
        assert_eq!(bed.current("web").key().kind(), KeyKind::P256);
    }
}

#[test]
fn an_operators_approval_is_waited_for_with_the_same_key() {
    let bed = Bed::new();
    bed.portal().script("simpleenroll", 202, "approval-pending", &[("retry-after", "60")]);
    bed.portal().script("simpleenroll", 202, "approval-pending", &[("retry-after", "60")]);
    let tick = bed.enroll();
    assert_eq!(tick.outcome, Outcome::Later, "{:?}", tick.news);
    let tick = bed.tick(tick.next, Urge::Start);
    assert_eq!(tick.outcome, Outcome::Later, "{:?}", tick.news);
    let tick = bed.tick(tick.next, Urge::Start);
    assert_eq!(tick.outcome, Outcome::Good, "{:?}", tick.news);
    assert_eq!(bed.portal().issued(Purpose::Agent).len(), 1);
}

#[test]
fn when_all_has_expired_a_new_code_brings_it_back() {
    let bed = Bed::new();
    bed.enroll();
    assert!(matches!(bed.try_enroll(day(1), CODE), Err(EnrolError::Already(_))));
    let late = day(400);
    assert_eq!(bed.tick(late, Urge::Start).outcome, Outcome::Human);
    bed.portal().look(|inner| inner.issued.retain(|issued| issued.purpose == Purpose::Client));
    // The operator gives another code: the first one is over.
    assert_eq!(bed.try_enroll(late, "0000-0000").expect("a round").outcome, Outcome::Human);
    let fresh = Bed { folder: bed.folder, line: crate::bed::Line::to(bed.line.portal), ..Bed::bare() };
    fresh.portal().look(|inner| inner.code_open = true);
    fresh.portal().forget_code();
    let tick = fresh.try_enroll(late, CODE).expect("a round");
    assert_eq!(tick.outcome, Outcome::Good, "{:?}", tick.news);
    assert!(fresh.current(IDENTITY).is_valid(late) && fresh.current("web").is_valid(late));
}

#[test]
fn what_has_expired_is_made_anew_by_what_is_still_valid() {
    let bed = Bed::new();
    bed.enroll();
    // The store's certificate lives on for long, the identity's does not.
    bed.portal().look(|inner| inner.life_days = 700);
    bed.tick(day(5), Urge::Now(Some("web")));
    assert!(!bed.current(IDENTITY).is_valid(day(400)) && bed.current("web").is_valid(day(400)));
    let tick = bed.tick(day(400), Urge::Start);
    assert_eq!(tick.outcome, Outcome::Good, "{:?}", tick.news);
    assert!(bed.current(IDENTITY).is_valid(day(400)));
    let shown = bed
        .portal()
        .look(|inner| inner.asked.iter().rfind(|asked| asked.path.contains("enroll")).and_then(|asked| asked.shown));
    assert_eq!(shown, Some(Purpose::Client));
}
