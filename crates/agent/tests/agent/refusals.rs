//! What does not work, and what follows from it: trying again, telling a person, and never believing an answer that does not fit.

use tegata_agent::enrol::{Anchor, EnrolError};
use tegata_agent::setback::Remedy;
use tegata_agent::status::Status;
use tegata_agent::trust::TrustError;
use tegata_agent::{IDENTITY, Outcome, Urge};
use tegata_core::id::TerminalId;
use tegata_core::profile::Purpose;
use tegata_core::time::{Days, Timestamp};

use crate::bed::{Bed, Cut, start};
use crate::portal::{CODE, Ca};

fn day(days: i64) -> Timestamp {
    start().plus_days(Days(days))
}

/// The day on which everything of a year is due.
const DUE: i64 = 310;

fn code_of(bed: &Bed, name: &str) -> Option<(String, Remedy)> {
    bed.view().state.slot(name).setback.map(|setback| (setback.code, setback.remedy))
}

#[test]
fn a_refusal_tells_a_person_once_and_is_tried_again_once_a_day() {
    for (status, code) in [(401, "no-certificate"), (403, "revoked-certificate"), (400, "names-differ")] {
        let bed = Bed::new();
        bed.enroll_with_a_long_identity();
        bed.hook("failed", "");
        bed.portal().look(|inner| inner.asked.clear());
        for _ in 0..3 {
            bed.portal().script("est/simplereenroll", status, code, &[]);
        }
        let mut now = day(DUE);
        let tick = bed.tick(now, Urge::Due);
        assert_eq!(tick.outcome, Outcome::Human, "{code}");
        assert_eq!(tick.outcome.exit_code(), 20);
        assert_eq!(code_of(&bed, "web"), Some((code.to_owned(), Remedy::Refused)));
        for _ in 0..80 {
            now = now.plus_seconds(1800);
            bed.tick(now, Urge::Start);
        }
        assert!(bed.portal().asked("est/simplereenroll") <= 3, "{code}: once a day");
        let told = bed.hooked().iter().filter(|line| line.starts_with("failed web")).count();
        assert!((1..=2).contains(&told), "{code}: {:?}", bed.hooked());
    }
}

#[test]
fn trouble_that_passes_is_tried_again_in_growing_steps_and_then_forgotten() {
    let bed = Bed::new();
    bed.enroll_with_a_long_identity();
    bed.hook("failed", "");
    let mut now = day(DUE);
    let mut gaps = Vec::new();
    for _ in 0..4 {
        bed.line.cut("est/simplereenroll", Cut::Before);
        let tick = bed.tick(now, Urge::Due);
        assert_eq!((tick.outcome, tick.outcome.exit_code()), (Outcome::Later, 10));
        gaps.push(tick.next.0 - now.0);
        now = tick.next;
    }
    for (gap, minutes) in gaps.iter().zip([1, 5, 15, 60]) {
        assert!((minutes * 45..=minutes * 60).contains(gap), "{gaps:?}");
    }
    assert!(bed.hooked().is_empty(), "nobody is told of what passes within an hour");
    assert_eq!(bed.tick(now, Urge::Due).outcome, Outcome::Good);
    assert_eq!(code_of(&bed, "web"), None);
}

#[test]
fn the_server_says_when_to_ask_again_and_nothing_is_asked_before() {
    let bed = Bed::new();
    bed.enroll_with_a_long_identity();
    bed.tick(day(DUE), Urge::Due);
    bed.portal().script("est/simplereenroll", 503, "trust-unknowable", &[("retry-after", "1234")]);
    let now = day(DUE + 1);
    let tick = bed.tick(now, Urge::Now(Some("web")));
    assert_eq!(tick.outcome, Outcome::Later);
    let said = now.plus_seconds(1234);
    assert!(tick.next >= said && tick.next <= said.plus_seconds(1234 / 4), "{}", tick.next);
    let asked = bed.portal().enrolments();
    bed.tick(tick.next.plus_seconds(-1), Urge::Start);
    assert_eq!(bed.portal().enrolments(), asked);
    assert_eq!(bed.tick(tick.next, Urge::Now(Some("web"))).outcome, Outcome::Good);
}

#[test]
fn what_is_due_is_renewed_even_where_the_server_does_not_say_when() {
    let bed = Bed::new();
    bed.enroll();
    let id = tegata_agent::est::certificate_id(&bed.current("web"));
    let end: &'static str = Box::leak(id.into_boxed_str());
    for _ in 0..100 {
        bed.portal().script(end, 500, "internal", &[]);
    }
    assert_eq!(bed.tick(day(100), Urge::Start).outcome, Outcome::Later, "not due: the trouble is told");
    bed.tick(day(330), Urge::Start);
    assert_eq!(bed.portal().issued(Purpose::Client).len(), 2);
}

#[test]
fn a_lost_answer_is_asked_for_again_with_the_same_key_and_costs_no_certificate() {
    let bed = Bed::new();
    bed.line.cut("agent/simpleenroll", Cut::After);
    bed.line.cut("est/simpleenroll", Cut::After);
    assert_eq!(bed.enroll().outcome, Outcome::Later);
    bed.tick(start().plus_seconds(60), Urge::Due);
    let tick = bed.tick(start().plus_seconds(400), Urge::Due);
    assert_eq!(tick.outcome, Outcome::Good, "{:?}", tick.news);
    assert_eq!(bed.portal().issued(Purpose::Agent).len(), 1);
    assert_eq!(bed.portal().issued(Purpose::Client).len(), 1);
    // The same for the proof.
    bed.line.cut("certificate", Cut::After);
    bed.line.cut("est/simplereenroll", Cut::After);
    let mut now = day(DUE);
    for _ in 0..4 {
        now = bed.tick(now, Urge::Due).next;
    }
    assert_eq!((bed.portal().issued(Purpose::Agent).len(), bed.portal().issued(Purpose::Client).len()), (2, 2));
}

#[test]
fn enrolling_again_with_the_same_code_goes_on_where_it_was() {
    let bed = Bed::new();
    bed.line.cut("agent/simpleenroll", Cut::After);
    bed.enroll();
    let tick = bed.try_enroll(start().plus_seconds(5), CODE).expect("a round");
    assert_eq!(tick.outcome, Outcome::Good, "{:?}", tick.news);
    assert_eq!(bed.portal().issued(Purpose::Agent).len(), 1);
}

#[test]
fn a_new_certificate_that_is_not_accepted_never_reaches_a_store() {
    let bed = Bed::new();
    bed.enroll_with_a_long_identity();
    let old = bed.current("web").leaf().to_vec();
    let published = || std::fs::read(bed.place("published/current/cert.pem")).expect("there");
    let before = published();
    bed.portal().look(|inner| inner.asked.clear());
    bed.portal().script("certificate", 403, "foreign-certificate", &[]);
    let tick = bed.tick(day(DUE), Urge::Now(Some("web")));
    assert_eq!(tick.outcome, Outcome::Human, "{:?}", tick.news);
    assert_eq!((bed.current("web").leaf(), published()), (old.as_slice(), before.clone()));
    // Another one is asked for the next day, with another key.
    assert_eq!(bed.tick(day(DUE + 1), Urge::Start).outcome, Outcome::Good);
    assert_ne!(published(), before);
    assert_eq!(bed.portal().issued(Purpose::Client).len(), 3);
}

#[test]
fn a_proof_that_shows_another_certificate_is_none() {
    let bed = Bed::new();
    bed.enroll_with_a_long_identity();
    let old = bed.current("web").leaf().to_vec();
    let other = format!(
        "{{\"serial\":\"{}\",\"terminal\":{{\"id\":\"x\",\"name\":\"x\"}}}}",
        bed.current("web").about().serial
    );
    let answer = tegata_agent::transport::Response { status: 200, headers: Vec::new(), body: other.into_bytes() };
    bed.portal().look(|inner| inner.scripted.push_back(("certificate", answer)));
    let tick = bed.tick(day(DUE), Urge::Now(Some("web")));
    assert_eq!(code_of(&bed, "web"), Some(("proof-differs".into(), Remedy::Local)), "{:?}", tick.news);
    assert_eq!(bed.current("web").leaf(), old);
}

/// What a portal gone wrong answers is not used, whatever it is.
#[test]
fn an_answer_that_does_not_fit_is_not_believed() {
    let refused = |prepare: &dyn Fn(&Bed), expected: TrustError| {
        let bed = Bed::new();
        bed.enroll_with_a_long_identity();
        let old = bed.current("web").leaf().to_vec();
        prepare(&bed);
        let tick = bed.tick(day(DUE), Urge::Now(Some("web")));
        assert_eq!(code_of(&bed, "web"), Some(("untrusted-answer".into(), Remedy::Local)), "{:?}", tick.news);
        let told = tick.news.iter().any(|line| line.contains(&expected.to_string()));
        assert!(told, "{expected}: {:?}", tick.news);
        assert_eq!(bed.current("web").leaf(), old);
    };
    let stranger = |bed: &Bed| {
        let other = Ca::new("Tegata Test", &bed.portal().entropy);
        bed.portal().look(|inner| inner.signs_with = Some(other));
    };
    refused(&stranger, TrustError::Stranger);
    let other = TerminalId::from_random([9; 16]);
    refused(&|bed| bed.portal().look(|inner| inner.mistaken = Some(other)), TrustError::OtherTerminal(other));
    let replay = |bed: &Bed| {
        // The certificate of the day before, over another key.
        let old = tegata_pki::pkcs7::certs_only(&[bed.current("web").leaf()]).expect("encodable");
        let body = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, old).into_bytes();
        let answer = tegata_agent::transport::Response { status: 200, headers: Vec::new(), body };
        bed.portal().look(|inner| inner.scripted.push_back(("simplereenroll", answer)));
    };
    refused(&replay, TrustError::OtherKey);
}

#[test]
fn a_certificate_that_ends_earlier_is_believed_and_one_that_begins_earlier_is_not() {
    let bed = Bed::new();
    bed.enroll_with_a_long_identity();
    let old = bed.current("web").leaf().to_vec();
    bed.portal().look(|inner| inner.backdate_days = DUE + 5);
    let tick = bed.tick(day(DUE), Urge::Now(Some("web")));
    assert_eq!(code_of(&bed, "web"), Some(("untrusted-answer".into(), Remedy::Local)), "{:?}", tick.news);
    assert!(tick.news.iter().any(|line| line.contains("earlier than the one")), "{:?}", tick.news);
    assert_eq!(bed.current("web").leaf(), old);
    bed.portal().look(|inner| (inner.backdate_days, inner.life_days) = (0, 20));
    let tick = bed.tick(day(DUE + 1), Urge::Now(Some("web")));
    assert_eq!(bed.current("web").about().not_after, day(DUE + 21), "{:?}", tick.news);
}

#[test]
fn an_answer_that_has_expired_already_is_not_believed() {
    let bed = Bed::new();
    bed.portal().look(|inner| inner.life_days = 5);
    bed.portal().ahead.store(-86_400 * 10, std::sync::atomic::Ordering::SeqCst);
    let tick = bed.enroll();
    assert_eq!(tick.outcome, Outcome::Human);
    assert!(tick.news.iter().any(|line| line.contains("ended")), "{:?}", tick.news);
}

#[test]
fn a_new_root_is_taken_up_beside_the_old_one_over_a_verified_connection() {
    let bed = Bed::new();
    bed.enroll();
    let next = Ca::new("Tegata Next", &bed.portal().entropy);
    let announced = vec![next.root.der().to_vec(), next.issuing.der().to_vec()];
    bed.portal().look(|inner| inner.announces = announced);
    bed.tick(day(1), Urge::Start);
    let view = bed.view();
    assert_eq!(view.trust.roots(), [bed.portal().ca.root.der().to_vec(), next.root.der().to_vec()]);
    // From then on the new CA signs, and is believed; what the old one signed is still good.
    bed.portal().look(|inner| inner.signs_with = Some(next));
    let tick = bed.tick(day(2), Urge::Now(Some("web")));
    assert_eq!(tick.outcome, Outcome::Good, "{:?}", tick.news);
    assert!(bed.current(IDENTITY).is_valid(day(2)) && bed.current("web").is_valid(day(2)));
}

#[test]
fn an_issuing_ca_that_no_root_of_ours_signed_is_not_taken_up() {
    let bed = Bed::new();
    bed.enroll();
    let stranger = Ca::new("Tegata Test", &bed.portal().entropy);
    bed.portal().look(|inner| inner.announces = vec![stranger.issuing.der().to_vec()]);
    bed.tick(day(1), Urge::Start);
    assert_eq!(bed.view().trust.issuers().count(), 1);
}

#[test]
fn a_ca_with_another_fingerprint_gets_no_code() {
    let bed = Bed::new();
    let begin = |fingerprint: &str| {
        let mut beginning = bed.beginning();
        beginning.anchor = Anchor::Fingerprint(fingerprint.to_owned());
        bed.begin(start(), beginning, CODE)
    };
    let refused = begin(&"ab".repeat(32));
    assert!(matches!(refused, Err(EnrolError::Trust(TrustError::Fingerprint { .. }))));
    assert_eq!(bed.portal().enrolments(), 0);
    assert!(!bed.root().join("config.toml").exists());
    let right = bed.portal().ca.root.fingerprint().0.map(|byte| format!("{byte:02X}")).join(":");
    assert_eq!(begin(&right).expect("enrolled").outcome, Outcome::Good);
    // An issuing CA's fingerprint is not a root's.
    assert!(begin(&bed.portal().ca.issuing.fingerprint().to_string()).is_err());
}

#[test]
fn a_wrong_code_is_not_sent_again() {
    let bed = Bed::new();
    let tick = bed.try_enroll(start(), "AAAA-AAAA").expect("a round");
    assert_eq!(tick.outcome, Outcome::Human);
    for days in 1..4 {
        bed.tick(day(days), Urge::Start);
    }
    assert_eq!(bed.portal().asked("simpleenroll"), 1);
    assert_eq!(bed.try_enroll(day(5), CODE).expect("a round").outcome, Outcome::Good);
}

#[test]
fn hooks_are_called_at_the_turning_points_and_one_that_fails_is_called_again() {
    let bed = Bed::new();
    bed.hook("deploy", "test -e ready");
    bed.hook("expiring", "");
    let tick = bed.enroll();
    assert_eq!(
        (tick.outcome, code_of(&bed, "web").map(|(code, _)| code)),
        (Outcome::Human, Some("hook-deploy".into()))
    );
    bed.hook("deploy", "");
    let tick = bed.tick(start().plus_seconds(60), Urge::Due);
    assert_eq!(tick.outcome, Outcome::Good, "{:?}", tick.news);
    bed.tick(start().plus_seconds(120), Urge::Due);
    assert_eq!(bed.hooked(), ["deploy web", "deploy web", "deploy web"][..bed.hooked().len()]);
    assert!(bed.hooked().len() >= 2);
    let deployed = bed.hooked().len();
    // Nobody answers for weeks, and the end comes near.
    let mut now = day(340);
    while now < day(343) {
        bed.line.cuts.borrow_mut().clear();
        for path in ["cacerts", "est/simplereenroll", "agent/simplereenroll"] {
            bed.line.cut(path, Cut::Before);
        }
        now = bed.tick(now, Urge::Due).next;
    }
    let expiring = bed.hooked()[deployed..].iter().filter(|line| line.starts_with("expiring web")).count();
    assert!((3..=4).contains(&expiring), "{:?}", bed.hooked());
}

#[test]
fn a_hook_that_hangs_is_ended() {
    let bed = Bed::new();
    bed.hook("deploy", "sleep 100");
    let mut beginning = bed.beginning();
    beginning.settings.hook_seconds = 1;
    let tick = bed.begin(start(), beginning, CODE).expect("a round");
    assert!(tick.news.iter().any(|line| line.contains("after 1 seconds")), "{:?}", tick.news);
}

#[test]
fn the_status_says_what_a_person_has_to_know() {
    let bed = Bed::new();
    bed.enroll_with_a_long_identity();
    let status = |now| Status::of(&bed.view(), now).expect("readable");
    let json = status(day(1)).json();
    assert_eq!((&json["needs_human"], &json["terminal"]), (&false.into(), &"受付1".into()));
    assert_eq!(json["certificates"][1]["standing"], "fresh");
    assert_eq!(json["certificates"][1]["days_left"], 364);
    assert_eq!(status(day(330)).json()["certificates"][1]["standing"], "due");
    assert!(status(day(400)).needs_human() && status(day(400)).page().contains("期限切れ"));
    bed.portal().script("est/simplereenroll", 403, "revoked-certificate", &[]);
    bed.tick(day(DUE), Urge::Due);
    assert!(status(day(DUE)).text().contains("revoked-certificate"));
}
