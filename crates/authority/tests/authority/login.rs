//! Who may log in where, and how often one may try.

use tegata_authority::{LoginError, SessionLookup};
use tegata_core::secret::Secret;

use crate::bed::{Bed, PASSWORD};

async fn attempt(bed: &Bed, cert: &tegata_core::peer::PeerCert, user: &str, password: &str) -> Result<(), LoginError> {
    let identity = bed.identity(cert).await;
    bed.authority.login(&identity, user, Secret::new(password.into()), None).await.map(|_| ())
}

#[tokio::test]
async fn a_person_of_another_clinic_is_told_so_only_with_the_right_password() {
    let bed = Bed::new().await;
    let (_, cert) = bed.terminal(&bed.blue, "受付", 600).await;
    let right = attempt(&bed, &cert, "only-103001", PASSWORD).await;
    assert!(matches!(right, Err(LoginError::WrongCustomer)), "{right:?}");
    let wrong = attempt(&bed, &cert, "only-103001", "guessed").await;
    assert!(matches!(wrong, Err(LoginError::WrongCredentials)), "{wrong:?}");
    assert!(attempt(&bed, &cert, "only-103002", PASSWORD).await.is_ok());
}

#[tokio::test]
async fn five_failures_lock_the_account_at_this_terminal_for_longer_and_longer() {
    let bed = Bed::new().await;
    let (_, here) = bed.terminal(&bed.sunny, "受付1", 600).await;
    let (_, there) = bed.terminal(&bed.sunny, "受付2", 600).await;
    for _ in 0..4 {
        assert!(matches!(attempt(&bed, &here, "uketsuke", "wrong").await, Err(LoginError::WrongCredentials)));
    }
    let Err(LoginError::Locked { until }) = attempt(&bed, &here, "uketsuke", "wrong").await else {
        panic!("not locked")
    };
    assert_eq!(until.0 - bed.now().0, 60);
    assert!(
        matches!(attempt(&bed, &here, "uketsuke", PASSWORD).await, Err(LoginError::Locked { .. })),
        "even the right one"
    );
    assert!(attempt(&bed, &there, "uketsuke", PASSWORD).await.is_ok(), "another terminal is not concerned");
    bed.clock.set(until);
    let Err(LoginError::Locked { until }) = attempt(&bed, &here, "uketsuke", "wrong").await else {
        panic!("not locked")
    };
    assert_eq!(until.0 - bed.now().0, 120);
    bed.clock.set(until);
    assert!(attempt(&bed, &here, "uketsuke", PASSWORD).await.is_ok());
    assert!(
        matches!(attempt(&bed, &here, "uketsuke", "wrong").await, Err(LoginError::WrongCredentials)),
        "counted from new"
    );
}

#[tokio::test]
async fn trying_names_that_do_not_exist_has_a_limit_that_keeps_nobody_else_out() {
    let bed = Bed::new().await;
    let (_, cert) = bed.terminal(&bed.sunny, "受付1", 600).await;
    let mut locked = 0;
    for number in 0..34 {
        locked += usize::from(matches!(
            attempt(&bed, &cert, &format!("user{number}"), "x").await,
            Err(LoginError::Locked { .. })
        ));
    }
    assert!((1..=4).contains(&locked), "{locked}");
    assert!(attempt(&bed, &cert, "uketsuke", PASSWORD).await.is_ok(), "a person who exists gets in");
}

/// Side by side is no way around the count.
#[tokio::test]
async fn parallel_tries_are_counted_one_by_one() {
    let bed = Bed::new().await;
    let (_, cert) = bed.terminal(&bed.sunny, "受付1", 600).await;
    let tries = (0..12).map(|_| attempt(&bed, &cert, "uketsuke", "wrong"));
    let answers = futures_util::future::join_all(tries).await;
    let compared = answers.iter().filter(|a| matches!(a, Err(LoginError::WrongCredentials))).count();
    assert_eq!(compared, 4, "the fifth locks, the rest is not compared");
    assert!(matches!(attempt(&bed, &cert, "uketsuke", PASSWORD).await, Err(LoginError::Locked { .. })));
}

#[tokio::test]
async fn guessing_another_clinics_password_is_counted_and_told_to_that_clinic() {
    let bed = Bed::new().await;
    let (_, cert) = bed.terminal(&bed.blue, "受付", 600).await;
    for _ in 0..4 {
        assert!(matches!(attempt(&bed, &cert, "only-103001", PASSWORD).await, Err(LoginError::WrongCustomer)));
    }
    assert!(matches!(attempt(&bed, &cert, "only-103001", PASSWORD).await, Err(LoginError::Locked { .. })));
    let rows = bed.authority.reader().audit_rows(crate::bed::operator().scope(), None, 50).await.expect("read");
    let told =
        rows.iter().filter(|row| row.customer == Some(bed.sunny.id) && row.detail.contains(&bed.blue.id.to_string()));
    assert_eq!(told.count(), 5);
}

#[tokio::test]
async fn a_new_login_ends_the_one_it_replaces() {
    let bed = Bed::new().await;
    let (_, cert) = bed.terminal(&bed.sunny, "受付1", 600).await;
    let (_, first) = bed.log_in(&cert).await;
    let identity = bed.identity(&cert).await;
    let password = Secret::new(PASSWORD.into());
    bed.authority.login(&identity, "uketsuke", password, Some(first.token.expose())).await.expect("logged in");
    assert!(matches!(bed.authority.session(first.token.expose(), &identity).await.expect("read"), SessionLookup::None));
}

#[tokio::test]
async fn a_name_that_does_not_exist_is_not_written_into_the_log() {
    let bed = Bed::new().await;
    let (_, cert) = bed.terminal(&bed.sunny, "受付1", 600).await;
    for _ in 0..7 {
        attempt(&bed, &cert, "my-secret-password", "x").await.expect_err("refused"); // and locked from the fifth on
    }
    attempt(&bed, &cert, "uketsuke", "x").await.expect_err("refused");
    let identity = bed.identity(&cert).await;
    let rows = bed.authority.log(&identity, None, 50).await.expect("read");
    assert_eq!(rows[0].detail, "wrong password: uketsuke");
    assert_eq!(rows[1].detail, "still locked");
    assert!(rows.iter().all(|row| !row.detail.contains("secret")), "{rows:?}");
    bed.authority.close().await;
    for file in std::fs::read_dir(bed.folder.path()).expect("readable") {
        let bytes = std::fs::read(file.expect("readable").path()).expect("readable");
        assert!(!bytes.windows(18).any(|w| w == b"my-secret-password"), "what was typed lies on disk");
    }
}

#[tokio::test]
async fn a_session_ends_after_its_hours_and_by_logging_out() {
    let bed = Bed::new().await;
    let (_, cert) = bed.terminal(&bed.sunny, "受付1", 600).await;
    let identity = bed.identity(&cert).await;
    let (session, new) = bed.log_in(&cert).await;
    bed.authority.logout(new.token.expose(), &session).await.expect("ended");
    assert!(matches!(bed.authority.session(new.token.expose(), &identity).await.expect("read"), SessionLookup::None));
    let (_, new) = bed.log_in(&cert).await;
    bed.clock.set(new.expires_at);
    assert!(matches!(bed.authority.session(new.token.expose(), &identity).await.expect("read"), SessionLookup::None));
}

#[tokio::test]
async fn a_session_is_good_at_its_own_terminal_only() {
    let bed = Bed::new().await;
    let (_, mine) = bed.terminal(&bed.sunny, "受付1", 600).await;
    let (_, sibling) = bed.terminal(&bed.sunny, "受付2", 600).await;
    let (_, stranger) = bed.terminal(&bed.blue, "受付", 600).await;
    let (_, new) = bed.log_in(&mine).await;
    let look = async |cert| bed.authority.session(new.token.expose(), &bed.identity(cert).await).await.expect("read");
    assert!(matches!(look(&mine).await, SessionLookup::Live(_)));
    assert!(matches!(look(&sibling).await, SessionLookup::OtherTerminal));
    assert!(matches!(look(&stranger).await, SessionLookup::OtherCustomer));
}

#[tokio::test]
async fn later_lasts_for_the_day_and_for_the_session() {
    let bed = Bed::new().await;
    let (_, cert) = bed.terminal(&bed.sunny, "受付1", 60).await;
    let (session, new) = bed.log_in(&cert).await;
    bed.authority.defer(new.token.expose(), &session).await.expect("noted");
    assert!(bed.authority.renewal_view(&bed.identity(&cert).await).await.expect("read").deferred_today);
    let SessionLookup::Live(session) =
        bed.authority.session(new.token.expose(), &bed.identity(&cert).await).await.expect("read")
    else {
        panic!("ended")
    };
    assert!(session.deferred);
    bed.pass_days(1);
    assert!(!bed.authority.renewal_view(&bed.identity(&cert).await).await.expect("read").deferred_today);
}
