//! The register: nothing twice, nothing of a stranger, and what was written is what is read.

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tegata_core::access::Role;
use tegata_core::cert::{Progress, RevocationReason};
use tegata_core::customer::CustomerKind;
use tegata_core::id::{CertificateId, ClientNumber, CustomerId, Fingerprint, IssuerId, Serial, TerminalId, UserId};
use tegata_core::schedule::Validity;
use tegata_core::secret::Secret;
use tegata_store::{
    CertFilter, IssuedSerial, NewCertificate, NewCustomer, NewIssuer, NewServerCertificate, NewSession, NewTerminal,
    NewUser, Revocation, Revocations, StoreError, Tx,
};

use crate::fixture::{
    NOW, World, certificate_of, customer, filled, issue, new_certificate, system, terminal, terminal_scope, token,
};

async fn write<T, F>(world: &World, unit: F) -> Result<T, StoreError>
where
    T: Send + 'static,
    F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T, StoreError>> + Send + 'static,
{
    world.store.write(unit).await
}

fn duplicate<T>(what: &'static str) -> Result<T, StoreError> {
    Err(StoreError::Duplicate { what })
}

#[tokio::test]
async fn customers_get_the_next_id_and_codes_are_not_given_twice() {
    let world = filled().await;
    let add = |id: Option<u32>, code: &str| {
        let new = NewCustomer {
            id: id.map(customer),
            kind: CustomerKind::Clinic,
            code: code.parse().expect("valid"),
            name: "医院".to_owned(),
            created_at: NOW,
        };
        write(&world, move |tx| async move { tx.insert_customer(&new).await }.boxed())
    };
    assert_eq!(add(None, "200001").await, Ok(customer(3)));
    assert_eq!(add(Some(40), "200002").await, Ok(customer(40)));
    assert_eq!(add(None, "200003").await, Ok(customer(41)));
    assert_eq!(add(Some(40), "200004").await, duplicate("customer id"));
    assert_eq!(add(None, "200001").await, duplicate("customer code"));
    assert_eq!(add(Some(99_999_999), "200005").await, Ok(customer(99_999_999)));
    assert_eq!(add(None, "200006").await, Err(StoreError::Exhausted { what: "customer ids" }));
    let found = world.reader.customer(system(), customer(40)).await.expect("read").expect("there");
    assert_eq!((found.code.to_string(), &*found.name, found.created_at), ("200002".to_owned(), "医院", NOW));
}

#[tokio::test]
async fn names_are_unique_within_a_customer_and_hashes_only_for_the_login() {
    let world = filled().await;
    let add = |of: u32, name: &str| {
        let new = NewUser {
            customer: customer(of),
            name: name.to_owned(),
            password_hash: Secret::new("hash".to_owned()),
            role: Role::TerminalUser,
            created_at: NOW,
        };
        write(&world, move |tx| async move { tx.insert_user(&new).await }.boxed())
    };
    let id = add(1, "院長").await.expect("added");
    add(2, "院長").await.expect("another customer's");
    assert_eq!(add(1, "院長").await, duplicate("user name"));
    assert_eq!(add(9, "院長").await, Err(StoreError::UnknownCustomer(customer(9))));
    let (user, hash) = world.reader.user_for_login(system(), customer(1), "院長").await.expect("read").expect("there");
    assert_eq!((user.id, user.customer, hash.expose().as_str()), (id, customer(1), "hash"));
    assert!(world.reader.user_for_login(terminal_scope(1, 0), customer(1), "院長").await.expect("read").is_none());
    let everywhere = world.reader.users_named(system(), "院長", 10).await.expect("read");
    assert_eq!(everywhere.iter().map(|user| user.customer).collect::<Vec<_>>(), [customer(1), customer(2)]);
    assert_eq!(world.reader.users_named(system(), "院長", 1).await.expect("read").len(), 1);
    let inside = write(&world, move |tx| {
        async move { Ok((tx.user(id).await?, tx.user_named(customer(2), "院長").await?)) }.boxed()
    });
    let (by_id, by_name) = inside.await.expect("read");
    assert_eq!((by_id, by_name.map(|user| user.customer)), (Some(user), Some(customer(2))));
}

#[tokio::test]
async fn terminals_get_the_next_number_within_their_customer() {
    let world = filled().await;
    let add = |id: u8, of: u32, client: Option<u32>| {
        let new = NewTerminal {
            id: TerminalId::from_random([id; 16]),
            customer: customer(of),
            client: client.map(|number| ClientNumber::new(number).expect("valid")),
            name: "診察室".to_owned(),
            created_at: NOW,
        };
        write(&world, move |tx| async move { tx.insert_terminal(&new).await.map(ClientNumber::number) }.boxed())
    };
    assert_eq!(add(100, 1, None).await, Ok(4));
    assert_eq!(add(101, 2, None).await, Ok(4));
    assert_eq!(add(102, 1, Some(9999)).await, Ok(9999));
    assert_eq!(add(103, 1, None).await, Err(StoreError::Exhausted { what: "client numbers of this customer" }));
    assert_eq!(add(104, 1, Some(4)).await, duplicate("client number"));
    assert_eq!(add(100, 1, Some(5)).await, duplicate("terminal id"));
    assert_eq!(add(105, 9, None).await, Err(StoreError::UnknownCustomer(customer(9))));
    let number = ClientNumber::new(9999).expect("valid");
    let found = world.reader.terminal_by_client(system(), customer(1), number).await.expect("read").expect("there");
    assert_eq!((found.id, &*found.name), (TerminalId::from_random([102; 16]), "診察室"));
    assert_eq!(world.reader.terminals(system(), Some(customer(1))).await.expect("read").len(), 5);
    assert_eq!(world.reader.terminals(system(), None).await.expect("read").len(), 9);
}

#[tokio::test]
async fn later_is_remembered_by_day_and_by_session() {
    let world = filled().await;
    let day = NOW.jst_date();
    let unit = write(&world, move |tx| {
        async move {
            tx.set_deferred_on(terminal(1, 0), day).await?;
            tx.defer_session(token(1, 0)).await
        }
        .boxed()
    });
    assert_eq!(unit.await, Ok(true));
    let found = world.reader.terminal(system(), terminal(1, 0)).await.expect("read").expect("there");
    assert_eq!(found.deferred_on, Some(day));
    assert!(world.reader.session(token(1, 0), NOW).await.expect("read").expect("alive").deferred);
    assert!(!world.reader.session(token(1, 1), NOW).await.expect("read").expect("alive").deferred);
    let nobody = TerminalId::from_random([200; 16]);
    let unit = write(&world, move |tx| async move { tx.set_deferred_on(nobody, day).await }.boxed());
    assert_eq!(unit.await, Err(StoreError::NotFound { what: "terminal" }));
}

#[tokio::test]
async fn a_serial_is_not_given_twice_by_one_issuer_but_may_be_by_two() {
    let world = filled().await;
    let first = certificate_of(&world, 1, 0).await;
    let other_print = Fingerprint([8; 32]);
    let same_serial = NewCertificate { serial: first.serial, fingerprint: other_print, ..new_certificate(1, 1, 1) };
    assert_eq!(issue(&world.store, same_serial.clone()).await, duplicate("serial"));
    let same_print = NewCertificate { fingerprint: first.fingerprint, ..new_certificate(1, 1, 1) };
    assert_eq!(issue(&world.store, same_print).await, duplicate("certificate"));
    let unit = write(&world, |tx| {
        let (not_before, not_after) = (NOW, NOW.plus_seconds(1));
        let new = NewIssuer { name: "2".to_owned(), der: vec![2], not_before, not_after, created_at: NOW };
        async move { tx.insert_issuer(&new).await }.boxed()
    });
    let issuer = unit.await.expect("a second issuer");
    let id = issue(&world.store, NewCertificate { issuer, ..same_serial }).await.expect("its own numbers");
    let found = world.reader.certificate_by_serial(system(), first.serial).await.expect("read");
    assert_eq!(found.map(|cert| cert.id), Some(id), "the newer one");
}

#[tokio::test]
async fn a_certificate_names_a_terminal_of_its_customer_and_a_known_issuer() {
    let world = filled().await;
    let good = new_certificate(1, 0, 5000);
    for wrong in [
        NewCertificate { customer: customer(2), ..good.clone() },
        NewCertificate { terminal: TerminalId::from_random([200; 16]), ..good.clone() },
        NewCertificate { issuer: IssuerId(77), ..good.clone() },
        NewCertificate { renewed_from: Some(CertificateId(777)), ..good.clone() },
    ] {
        assert!(matches!(issue(&world.store, wrong).await, Err(StoreError::NotFound { .. })));
    }
    let backwards = NewCertificate { not_after: good.not_before.plus_seconds(-1), ..good.clone() };
    assert!(matches!(issue(&world.store, backwards).await, Err(StoreError::Refused(_))));
    issue(&world.store, good).await.expect("the right one");
}

#[tokio::test]
async fn a_certificate_is_read_as_it_was_written() {
    let world = filled().await;
    let from = certificate_of(&world, 1, 0).await.id;
    let new = NewCertificate { renewed_from: Some(from), ..new_certificate(1, 0, 5000) };
    let id = issue(&world.store, new.clone()).await.expect("issued");
    let found = world.reader.certificate(system(), new.fingerprint).await.expect("read").expect("there");
    assert_eq!((found.id, found.serial, found.issuer, found.renewed_from), (id, new.serial, new.issuer, Some(from)));
    assert_eq!((found.terminal, found.customer, &found.profile), (new.terminal, new.customer, &new.profile));
    assert_eq!((found.key_kind, found.not_before, found.not_after), (new.key_kind, new.not_before, new.not_after));
    assert_eq!((found.issued_at, found.downloaded_at, found.used_at, found.revoked), (NOW, None, None, None));
    assert_eq!(world.reader.certificate_by_id(system(), id).await, Ok(Some(found.clone())));
    assert_eq!(world.reader.certificate_by_serial(system(), new.serial).await, Ok(Some(found)));
    assert_eq!(world.reader.certificate_der(system(), id).await, Ok(Some(new.der)));
    assert_eq!(world.reader.certificate(system(), Fingerprint([1; 32])).await, Ok(None));
    assert_eq!(world.reader.certificate_by_serial(system(), Serial::from_bytes([1; 16])).await, Ok(None));
}

#[tokio::test]
async fn the_first_use_is_the_first_and_the_first_reason_stays() {
    let world = filled().await;
    let cert = certificate_of(&world, 1, 0).await;
    let used = |at| write(&world, move |tx| async move { tx.mark_used(cert.fingerprint, at).await }.boxed());
    assert_eq!(used(NOW).await, Ok(true));
    assert_eq!(used(NOW.plus_seconds(1)).await, Ok(false));
    let unknown = write(&world, |tx| async move { tx.mark_used(Fingerprint([1; 32]), NOW).await }.boxed());
    assert_eq!(unknown.await, Err(StoreError::NotFound { what: "certificate" }));
    let revoke =
        |id, reason| write(&world, move |tx| async move { tx.revoke(id, NOW.plus_seconds(2), reason).await }.boxed());
    assert_eq!(revoke(cert.id, RevocationReason::KeyCompromise).await, Ok(true));
    assert_eq!(revoke(cert.id, RevocationReason::Unspecified).await, Ok(false));
    let unknown = revoke(CertificateId(777), RevocationReason::Unspecified).await;
    assert_eq!(unknown, Err(StoreError::NotFound { what: "certificate" }));
    let found = certificate_of(&world, 1, 0).await;
    assert_eq!((found.used_at, found.progress()), (Some(NOW), Progress::Used));
    assert_eq!(found.revoked, Some((NOW.plus_seconds(2), RevocationReason::KeyCompromise)));
}

#[tokio::test]
async fn a_listeners_certificate_has_a_known_issuer_and_a_serial_of_its_own() {
    let world = filled().await;
    let add = |issuer, serial| {
        let validity = Validity { not_before: NOW, not_after: NOW.plus_seconds(9) };
        let (issuer, serial) = (IssuerId(issuer), Serial::from_bytes([serial; 16]));
        let hosts = "localhost 127.0.0.1".to_owned();
        let new = NewServerCertificate { issuer, serial, hosts, validity, issued_at: NOW, der: vec![1] };
        write(&world, move |tx| async move { tx.insert_server_certificate(&new).await }.boxed())
    };
    assert_eq!(add(1, 1).await, Ok(()));
    assert_eq!(add(1, 1).await, duplicate("serial"));
    assert_eq!(add(1, 2).await, Ok(()));
    assert_eq!(add(77, 3).await, Err(StoreError::NotFound { what: "issuer" }));
}

#[tokio::test]
async fn certificates_are_listed_by_filter_those_that_end_first_on_top() {
    let world = filled().await;
    let first = certificate_of(&world, 1, 0).await;
    let unit =
        write(&world, move |tx| async move { tx.revoke(first.id, NOW, RevocationReason::Superseded).await }.boxed());
    unit.await.expect("revoked");
    let long = NewCertificate { not_after: NOW.plus_seconds(9000), ..new_certificate(2, 2, 5000) };
    issue(&world.store, long).await.expect("issued");
    let list = |filter: CertFilter, limit| {
        let reader = world.reader.clone();
        async move {
            let page = reader.certificates(system(), &filter, limit).await.expect("read");
            page.iter().map(|cert| cert.id.0).collect::<Vec<_>>()
        }
    };
    let all = CertFilter::default;
    assert_eq!(list(all(), 4).await, [1, 2, 3, 4]);
    assert_eq!(list(all(), 9).await, [1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(list(CertFilter { customer: Some(customer(2)), ..all() }, 9).await, [4, 5, 6, 7]);
    assert_eq!(list(CertFilter { terminal: Some(terminal(2, 2)), ..all() }, 9).await, [6, 7]);
    assert_eq!(list(CertFilter { revoked: Some(true), ..all() }, 9).await, [1]);
    assert_eq!(list(CertFilter { revoked: Some(false), ..all() }, 2).await, [2, 3]);
    let later = NOW.plus_seconds(1001);
    assert_eq!(list(CertFilter { ending_from: Some(later), ..all() }, 9).await, [7]);
    assert_eq!(list(CertFilter { ending_before: Some(later), ..all() }, 9).await, [1, 2, 3, 4, 5, 6]);
    // From 600 seconds before NOW on, but issued at NOW: nobody held them before.
    let held = |from: i64, before: i64| Some((NOW.plus_seconds(from), NOW.plus_seconds(before)));
    assert_eq!(list(CertFilter { held: held(-500, 0), ..all() }, 9).await, []);
    assert_eq!(list(CertFilter { held: held(-500, 1), ..all() }, 9).await, [1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(list(CertFilter { held: held(1, 2), ..all() }, 9).await, [2, 3, 4, 5, 6, 7], "the first one is revoked");
    assert_eq!(list(CertFilter { held: held(1000, 1001), ..all() }, 9).await, [2, 3, 4, 5, 6, 7], "the last second");
    assert_eq!(list(CertFilter { held: held(1001, 1002), ..all() }, 9).await, [7]);
    let newest_first = world.reader.certificates_of_terminal(system(), terminal(2, 2)).await.expect("read");
    assert_eq!(newest_first.iter().map(|cert| cert.id.0).collect::<Vec<_>>(), [7, 6]);
}

#[tokio::test]
async fn a_session_lives_until_its_end_and_never_crosses_customers() {
    let world = filled().await;
    let end = NOW.plus_seconds(100);
    let found = world.reader.session(token(2, 1), end.plus_seconds(-1)).await.expect("read").expect("alive");
    assert_eq!((found.terminal, found.customer, &*found.user.name), (terminal(2, 1), customer(2), "uketsuke1"));
    assert_eq!(found.user.customer, customer(2));
    assert_eq!(world.reader.session(token(2, 1), end).await, Ok(None));
    let crossing = NewSession {
        token_hash: [99; 32],
        user: UserId(1),
        customer: customer(1),
        terminal: terminal(2, 1),
        created_at: NOW,
        expires_at: end,
    };
    let unit = write(&world, move |tx| async move { tx.insert_session(&crossing).await }.boxed());
    assert!(matches!(unit.await, Err(StoreError::NotFound { .. })));
    let delete = |hash| write(&world, move |tx| async move { tx.delete_session(hash).await }.boxed());
    assert_eq!((delete(token(2, 1)).await, delete(token(2, 1)).await), (Ok(true), Ok(false)));
    let clean = |now| write(&world, move |tx| async move { tx.delete_expired_sessions(now).await }.boxed());
    assert_eq!((clean(end.plus_seconds(-1)).await, clean(end).await), (Ok(0), Ok(5)));
}

#[tokio::test]
async fn failures_are_counted_per_name_and_terminal_until_a_success() {
    let world = filled().await;
    let at = |seconds| NOW.plus_seconds(seconds);
    let fail = |of, seconds| {
        write(&world, move |tx| {
            async move { tx.record_failure("uketsuke", terminal(of, 0), at(seconds)).await }.boxed()
        })
    };
    assert_eq!((fail(1, 1).await, fail(1, 2).await, fail(2, 3).await), (Ok(2), Ok(3), Ok(2)));
    let unit = write(&world, move |tx| async move { tx.lock_login("uketsuke", terminal(1, 0), at(60)).await }.boxed());
    unit.await.expect("locked");
    let known = world.reader.throttle("uketsuke", terminal(1, 0)).await.expect("read").expect("there");
    assert_eq!((known.failures, known.last_failure_at, known.locked_until), (3, at(2), Some(at(60))));
    assert_eq!(world.reader.throttle("other", terminal(1, 0)).await, Ok(None));
    let unit = write(&world, |tx| async move { tx.clear_failures("uketsuke", terminal(1, 0)).await }.boxed());
    unit.await.expect("cleared");
    assert_eq!(world.reader.throttle("uketsuke", terminal(1, 0)).await, Ok(None));
    let unit = write(&world, move |tx| async move { tx.forget_failures(at(3)).await }.boxed());
    assert_eq!(unit.await, Ok(4));
    assert!(world.reader.throttle("uketsuke", terminal(2, 0)).await.expect("read").is_some());
    let unit = write(&world, |tx| {
        async move { tx.record_failure("x", TerminalId::from_random([200; 16]), NOW).await }.boxed()
    });
    assert_eq!(unit.await, Err(StoreError::NotFound { what: "terminal" }));
}

#[tokio::test]
async fn inside_a_unit_the_same_is_read() {
    let world = filled().await;
    let cert = certificate_of(&world, 1, 0).await;
    let bundle = world.reader.open_bundle(system(), terminal(1, 0), NOW).await.expect("read");
    let expected = (
        world.reader.customer(system(), customer(1)).await.expect("read"),
        world.reader.terminal(system(), terminal(1, 0)).await.expect("read"),
        bundle.clone(),
    );
    assert_eq!(bundle.map(|bundle| bundle.certificate), Some(cert.clone()));
    let unit = write(&world, move |tx| {
        async move {
            assert_eq!(tx.certificate(cert.fingerprint).await?.as_ref(), Some(&cert));
            assert_eq!(tx.certificate_by_id(cert.id).await?.as_ref(), Some(&cert));
            assert_eq!(tx.certificates_of_terminal(terminal(1, 0)).await?, [cert]);
            assert_eq!(tx.session(token(1, 0), NOW).await?.map(|session| session.terminal), Some(terminal(1, 0)));
            assert_eq!(tx.throttle("uketsuke", terminal(1, 0)).await?.map(|known| known.failures), Some(1));
            let customer = tx.customer(CustomerId::new(1).expect("valid")).await?;
            Ok((customer, tx.terminal(terminal(1, 0)).await?, tx.open_bundle(terminal(1, 0), NOW).await?))
        }
        .boxed()
    });
    assert_eq!(unit.await.expect("read"), expected);
}

#[tokio::test]
async fn a_serial_is_known_of_its_own_issuer_and_to_those_who_see_everything() {
    let world = filled().await;
    let cert = certificate_of(&world, 1, 0).await;
    let own = Serial::from_bytes([0x21; 16]);
    let new = NewServerCertificate {
        issuer: IssuerId(1),
        serial: own,
        hosts: "ocsp".to_owned(),
        validity: Validity { not_before: NOW, not_after: NOW.plus_seconds(9) },
        issued_at: NOW,
        der: vec![1],
    };
    write(&world, move |tx| async move { tx.insert_server_certificate(&new).await }.boxed()).await.expect("written");
    let known = async |issuer, serial| world.reader.issued_serial(system(), issuer, serial).await.expect("read");
    let good = Some(IssuedSerial { revoked: None });
    assert_eq!((known(IssuerId(1), cert.serial).await, known(IssuerId(1), own).await), (good, good));
    assert_eq!((known(IssuerId(2), cert.serial).await, known(IssuerId(2), own).await), (None, None));
    assert_eq!(known(IssuerId(1), Serial::from_bytes([0x22; 16])).await, None, "never issued");
    let limited = world.reader.issued_serial(terminal_scope(1, 0), IssuerId(1), cert.serial).await;
    assert_eq!(limited, Ok(None));
    let id = cert.id;
    let reason = RevocationReason::CessationOfOperation;
    write(&world, move |tx| async move { tx.revoke(id, NOW, reason).await }.boxed()).await.expect("revoked");
    assert_eq!(known(IssuerId(1), cert.serial).await, Some(IssuedSerial { revoked: Some((NOW, reason)) }));

    let revoked = Revocation { serial: cert.serial, not_after: cert.not_after, at: NOW, reason };
    let all = async |scope, issuer, since| world.reader.revocations(scope, issuer, since).await.expect("read");
    let some = |listed: &[Revocation]| Revocations { ever: 1, listed: listed.to_vec() };
    assert_eq!(all(system(), IssuerId(1), cert.not_after).await, some(&[revoked]));
    assert_eq!(
        all(system(), IssuerId(1), cert.not_after.plus_seconds(1)).await,
        some(&[]),
        "it is counted all the same"
    );
    assert_eq!(all(system(), IssuerId(2), NOW).await, Revocations::default());
    assert_eq!(all(terminal_scope(1, 0), IssuerId(1), NOW).await, Revocations::default());
}

#[tokio::test]
async fn a_terminal_has_one_recovery_that_is_bound_to_one_browser_and_ends() {
    use tegata_core::recovery::{Recovery, Way};
    use tegata_store::RecoveryRow;
    let world = filled().await;
    let (first, second) = ([1; 32], [2; 32]);
    let place = terminal(1, 0);
    let unit = world.store.write(move |tx| {
        async move {
            let until = tx.bind_recovery(place, first, NOW.plus_seconds(500)).await?;
            let again = tx.bind_recovery(place, second, NOW.plus_seconds(900)).await?;
            tx.count_wrong_recovery_code(place).await?;
            let failures = tx.recovery(place).await?.map(|row| row.recovery.failures);
            Ok::<_, StoreError>((until, again, failures))
        }
        .boxed()
    });
    let until = NOW.plus_seconds(500);
    assert_eq!(unit.await, Ok((until, until, Some(1))), "only the first time it is put off");
    let of_token = |token, at| world.reader.recovery_by_token(token, at);
    assert_eq!(of_token(first, NOW).await, Ok(None), "another browser has it now");
    assert!(matches!(of_token(second, until).await, Ok(Some(recovery)) if recovery.terminal == place));
    assert_eq!(of_token(second, until.plus_seconds(1)).await, Ok(None));
    let here = Recovery {
        terminal: place,
        customer: customer(1),
        way: Way::Here(tegata_core::id::UserId(1)),
        reason: "故障".into(),
        expires_at: until,
        failures: 0,
        typed: false,
    };
    let row = RecoveryRow { recovery: here.clone(), code_hash: None, helper: None };
    let unit = world.store.write(move |tx| async move { tx.insert_recovery(&row, NOW).await }.boxed());
    assert_eq!(unit.await, Ok::<_, StoreError>(()));
    assert_eq!(of_token(second, NOW).await, Ok(None), "the earlier one has ended");
    assert_eq!(world.reader.recovery(terminal_scope(1, 0), place).await, Ok(Some(here.clone())));
    assert_eq!(world.reader.recovery(terminal_scope(1, 1), place).await, Ok(None));
    let stranger = RecoveryRow { recovery: Recovery { customer: customer(2), ..here }, code_hash: None, helper: None };
    let unit = world.store.write(move |tx| async move { tx.insert_recovery(&stranger, NOW).await }.boxed());
    assert!(matches!(unit.await, Err::<(), _>(StoreError::NotFound { .. })));
    let unit = world.store.write(move |tx| {
        async move { Ok::<_, StoreError>((tx.end_recovery(place).await?, tx.end_recovery(place).await?)) }.boxed()
    });
    assert_eq!(unit.await, Ok((true, false)));
}

#[tokio::test]
async fn what_is_noted_of_a_terminal_and_when_it_was_here_do_not_disturb_each_other() {
    let world = filled().await;
    let note = |place: &'static str, system: &'static str| {
        world.store.write(move |tx| {
            async move {
                let terminal = tx.terminal(terminal(1, 0)).await?.ok_or(StoreError::NotFound { what: "terminal" })?;
                tx.describe_terminal(&terminal, place, system).await
            }
            .boxed()
        })
    };
    let saw = |at: i64, system: Option<&'static str>| {
        let of = (terminal(1, 0), customer(1));
        world.store.write(move |tx| async move { tx.saw_terminal(of, NOW.plus_seconds(at), system).await }.boxed())
    };
    let facts = async || world.reader.facts_of(system(), terminal(1, 0)).await.expect("read").expect("there");
    note("1階受付", "Windows 11").await.expect("noted");
    saw(3600, Some("Windows")).await.expect("noted");
    let now = facts().await;
    assert_eq!(
        (now.place.as_str(), now.system.as_str(), now.seen_system.as_deref()),
        ("1階受付", "Windows 11", Some("Windows"))
    );
    saw(60, Some("Android")).await.expect("an earlier visit, noted late");
    saw(7200, None).await.expect("a program");
    let now = facts().await;
    assert_eq!((now.seen_at, now.seen_system.as_deref()), (Some(NOW.plus_seconds(7200)), Some("Windows")));
    note("", "").await.expect("taken back");
    let now = facts().await;
    assert_eq!((now.place.as_str(), now.system.as_str(), now.seen_at), ("", "", Some(NOW.plus_seconds(7200))));
    let other = world.reader.facts(system(), customer(2)).await.expect("read");
    assert!(other.iter().all(|(_, facts)| facts.seen_at == Some(NOW)), "{other:?}");
}
