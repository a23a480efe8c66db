//! No reader call ever answers with a row outside of its scope, whatever is asked for.

use std::sync::OnceLock;

use futures_util::TryStreamExt as _;
use proptest::prelude::*;
use proptest::sample::select;
use tegata_core::access::{Actor, Reach, Role, Scope};
use tegata_core::id::{CertificateId, ClientNumber, CustomerId, TerminalId, UserId};
use tegata_store::{AuditFilter, CertFilter, Reader};
use tokio::runtime::Runtime;

use crate::fixture::{self, NOW, TERMINALS, World, customer, new_certificate, terminal};

/// One register for all cases: reads change nothing.
fn shared() -> &'static (Runtime, World) {
    static SHARED: OnceLock<(Runtime, World)> = OnceLock::new();
    SHARED.get_or_init(|| {
        let runtime = Runtime::new().expect("a runtime");
        let world = runtime.block_on(fixture::filled());
        (runtime, world)
    })
}

/// What is asked for: anything of anybody.
#[derive(Clone, Debug)]
struct Question {
    customer: u32,
    index: u8,
    filtered: bool,
    limit: u32,
    before: Option<i64>,
}

fn question() -> impl Strategy<Value = Question> {
    (1..=2_u32, 0..TERMINALS, any::<bool>(), 1..20_u32, proptest::option::of(1..20_i64))
        .prop_map(|(customer, index, filtered, limit, before)| Question { customer, index, filtered, limit, before })
}

/// Asks everything there is to ask, and names the owner of each row that came.
async fn owners(reader: &Reader, scope: Scope, ask: &Question) -> Vec<(Option<CustomerId>, Option<TerminalId>)> {
    let (of, at) = (customer(ask.customer), terminal(ask.customer, ask.index));
    let new = new_certificate(ask.customer, ask.index, u64::from(ask.customer) * 100 + u64::from(ask.index));
    let id = CertificateId(i64::from(ask.customer - 1) * i64::from(TERMINALS) + i64::from(ask.index) + 1);
    let client = ClientNumber::new(u32::from(ask.index) + 1).expect("valid");
    let name = format!("uketsuke{}", ask.index);
    let (named, place) = if ask.filtered { (Some(of), Some(at)) } else { (None, None) };
    let filter = CertFilter { customer: named, terminal: place, ..Default::default() };
    let log = AuditFilter { customer: named, terminal: place, ..Default::default() };

    let mut owners = Vec::new();
    let customers = reader.customers(scope).await.expect("read");
    let customers = customers.into_iter().chain(reader.customer(scope, of).await.expect("read"));
    owners.extend(customers.map(|row| (Some(row.id), None)));
    let login = reader.user_for_login(scope, of, &name).await.expect("read").map(|(user, _)| user);
    let users = reader.users(scope).await.expect("read").into_iter().chain(login);
    let users = users.chain(reader.users_named(scope, &name, ask.limit).await.expect("read"));
    owners.extend(users.map(|row| (Some(row.customer), None)));
    let terminals = reader.terminals(scope, named).await.expect("read").into_iter();
    let terminals = terminals.chain(reader.terminal(scope, at).await.expect("read"));
    let terminals = terminals.chain(reader.terminal_by_client(scope, of, client).await.expect("read"));
    owners.extend(terminals.map(|row| (Some(row.customer), Some(row.id))));
    let certificates = reader.certificates(scope, &filter, ask.limit).await.expect("read").into_iter();
    let certificates = certificates.chain(reader.certificate(scope, new.fingerprint).await.expect("read"));
    let certificates = certificates.chain(reader.certificate_by_id(scope, id).await.expect("read"));
    let certificates = certificates.chain(reader.certificate_by_serial(scope, new.serial).await.expect("read"));
    let certificates = certificates.chain(reader.certificates_of_terminal(scope, at).await.expect("read"));
    let certificates = certificates.chain(reader.certificates_of_customer(scope, of).await.expect("read"));
    let identity = reader.identity(scope, new.fingerprint).await.expect("read").map(|row| row.certificate);
    let certificates = certificates.chain(identity);
    for waiting in reader.waiting_certificates(scope, of, NOW).await.expect("read") {
        let cert = reader.certificate_by_id(fixture::system(), waiting).await.expect("read").expect("there");
        owners.push((Some(cert.customer), Some(cert.terminal)));
    }
    if let Some(recovery) = reader.recovery(scope, at).await.expect("read") {
        owners.push((Some(recovery.customer), Some(recovery.terminal)));
    }
    let after = reader.terminals_after(scope, (named, "受付"), None, ask.limit).await.expect("read");
    owners.extend(after.into_iter().map(|row| (Some(row.customer), Some(row.id))));
    let keys = reader.api_keys(scope, named).await.expect("read").into_iter();
    let key = reader.api_key(scope, &fixture::api_key(ask.customer, ask.index)).await.expect("read");
    owners.extend(keys.chain(key).map(|key| (Some(key.customer), key.terminal)));
    let facts = reader.facts(scope, of).await.expect("read").into_iter();
    owners.extend(facts.map(|(terminal, _)| (Some(of), Some(terminal))));
    if reader.facts_of(scope, at).await.expect("read").is_some() {
        owners.push((Some(of), Some(at)));
    }
    let bundle = reader.open_bundle(scope, at, NOW).await.expect("read").map(|bundle| bundle.certificate);
    owners.extend(certificates.chain(bundle).map(|row| (Some(row.customer), Some(row.terminal))));
    if reader.certificate_der(scope, id).await.expect("read").is_some() {
        owners.push((Some(of), Some(at)));
    }
    let rows = reader.audit_rows(scope, ask.before, ask.limit).await.expect("read").into_iter();
    let rows = rows.chain(reader.audit_rows_of(scope, &log, ask.before, ask.limit).await.expect("read"));
    let all: Vec<_> = reader.audit_all(scope).try_collect().await.expect("read");
    owners.extend(rows.chain(all).map(|row| (row.customer, row.terminal)));
    let trust = reader.trust_rows(scope, NOW).await.expect("read");
    let trusted = [trust.revoked, trust.unused, trust.superseded].concat();
    owners.extend(trusted.iter().map(|_| (None, None)));
    owners
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_terminal_never_sees_a_row_of_another(of in 1..=2_u32, index in 0..TERMINALS, ask in question()) {
        let (runtime, world) = shared();
        let scope = fixture::terminal_scope(of, index);
        for (owner, place) in runtime.block_on(owners(&world.reader, scope, &ask)) {
            // Customers and people have no terminal of their own.
            prop_assert_eq!(owner, Some(customer(of)));
            prop_assert!(place.is_none() || place == Some(terminal(of, index)));
        }
    }

    #[test]
    fn an_administrator_never_sees_a_row_of_another_customer(of in 1..=2_u32, index in 0..TERMINALS, ask in question()) {
        let (runtime, world) = shared();
        let scope = fixture::administrator(of, index).scope();
        let owners = runtime.block_on(owners(&world.reader, scope, &ask));
        for (owner, _) in &owners {
            prop_assert_eq!(*owner, Some(customer(of)));
        }
        let asked = (Some(customer(ask.customer)), Some(terminal(ask.customer, ask.index)));
        let seen = owners.iter().filter(|owner| **owner == asked).count();
        prop_assert_eq!(seen >= 12, ask.customer == of, "every terminal of the customer's own, and no other");
        prop_assert!(ask.customer == of || seen == 0);
    }

    #[test]
    fn staff_see_every_row_and_no_bundle_but_that_of_their_own_terminal(
        role in select(vec![Role::CaOfficer, Role::HelpDesk, Role::Auditor]), index in 0..TERMINALS, ask in question()
    ) {
        let (runtime, world) = shared();
        let at = (customer(1), terminal(1, index));
        let scope = Actor::User { user: UserId(1), name: "x".into(), role, customer: at.0, terminal: at.1 }.scope();
        let owners = runtime.block_on(owners(&world.reader, scope, &ask));
        let place = (Some(customer(ask.customer)), Some(terminal(ask.customer, ask.index)));
        // By id, by number, in the list; by fingerprint, by row, by serial, of the terminal, and its DER.
        prop_assert!(owners.iter().filter(|owner| **owner == place).count() >= 8);
        let (of, name) = (customer(ask.customer), format!("uketsuke{}", ask.index));
        let hash = runtime.block_on(world.reader.user_for_login(scope, of, &name)).expect("read");
        prop_assert!(hash.is_none(), "nobody has business with a password's hash");
        let asked = terminal(ask.customer, ask.index);
        let bundle = runtime.block_on(world.reader.open_bundle(scope, asked, NOW)).expect("read");
        let there = runtime.block_on(world.reader.open_bundle(fixture::system(), asked, NOW)).expect("read");
        prop_assert_eq!(bundle.is_some(), there.is_some() && asked == at.1, "a sealed key is not for others' eyes");
    }

    #[test]
    fn a_terminal_under_the_name_of_another_customer_sees_nothing_of_a_terminal(index in 0..TERMINALS, ask in question()) {
        let (runtime, world) = shared();
        let scope = Actor::Terminal { terminal: terminal(1, index), customer: customer(2) }.scope();
        for (owner, place) in runtime.block_on(owners(&world.reader, scope, &ask)) {
            prop_assert_eq!((owner, place), (Some(customer(2)), None));
        }
    }

    #[test]
    fn a_visitor_sees_nothing(ask in question()) {
        let (runtime, world) = shared();
        let scope = Actor::Visitor.scope();
        prop_assert_eq!(scope.reach(), Reach::Nothing);
        prop_assert_eq!(runtime.block_on(owners(&world.reader, scope, &ask)), vec![]);
        prop_assert_eq!(runtime.block_on(world.reader.issuers(scope)).expect("read"), vec![]);
    }

    #[test]
    fn the_service_sees_what_it_asks_for(ask in question()) {
        let (runtime, world) = shared();
        let owners = runtime.block_on(owners(&world.reader, fixture::system(), &ask));
        let place = (Some(customer(ask.customer)), Some(terminal(ask.customer, ask.index)));
        // By id, by number, in the list; by fingerprint, by row, by serial, of the terminal, in its bundle, and its DER.
        prop_assert!(owners.iter().filter(|owner| **owner == place).count() >= 9);
    }
}

#[test]
fn a_terminal_sees_what_is_its_own() {
    let (runtime, world) = shared();
    let ask = Question { customer: 2, index: 1, filtered: true, limit: 20, before: None };
    let owners = runtime.block_on(owners(&world.reader, fixture::terminal_scope(2, 1), &ask));
    let own = (Some(customer(2)), Some(terminal(2, 1)));
    assert!(owners.iter().filter(|owner| **owner == own).count() >= 9, "the tests above would pass on nothing too");
}
