//! What only a server has: nodes beside each other, roles, connections that break. Runs where TEGATA_TEST_POSTGRES names one; the step
//! `postgres` of scripts/test.sh does.

use std::time::Duration;

use futures_util::FutureExt as _;
use tegata_core::cert::RevocationReason;
use tegata_core::id::TerminalId;
use tegata_core::secret::Secret;
use tegata_store::audit::verify;
use tegata_store::{Database, NewTerminal, OpenMode, Server, Store, StoreError};
use tegata_testkit::Register;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::fixture::{
    NOW, World, certificate_of, customer, empty_on_server, entry, filled_on_server, new_bundle, new_certificate,
    system, terminal,
};

fn server(setting: &str) -> Server {
    Server::parse(setting).expect("an address")
}

async fn refused(server: Server, mode: OpenMode) -> StoreError {
    let shown = server.to_string();
    match Store::open(Database::Server(server), mode).await {
        Ok(_) => panic!("{shown} was opened"),
        Err(error) => error,
    }
}

async fn log(store: &Store, detail: &str) -> Result<(), StoreError> {
    let entry = entry(1, 0, detail);
    store.write(move |tx| async move { tx.append_audit(&entry).await.map(|_| ()) }.boxed()).await
}

async fn details(world: &World) -> Vec<String> {
    let mut rows = world.reader.audit_rows(system(), None, 1000).await.expect("read");
    rows.reverse();
    verify(&rows, None).expect("one chain");
    rows.into_iter().map(|row| row.detail).collect()
}

#[tokio::test]
async fn the_server_itself_refuses_to_change_the_log() {
    let Some(world) = filled_on_server().await else { return };
    let columns = "at, actor_kind, actor_name, customer_id, terminal_id, serial, action, outcome, detail, hash";
    for statement in [
        "UPDATE audit SET detail = 'nothing happened' WHERE sequence = 3",
        "DELETE FROM audit WHERE sequence = 12",
        "DELETE FROM audit",
        "TRUNCATE audit",
        "TRUNCATE audit CASCADE",
        &format!("INSERT INTO audit SELECT 14, {columns} FROM audit WHERE sequence = 3"),
        &format!("INSERT INTO audit SELECT 0, {columns} FROM audit WHERE sequence = 3"),
        &format!("INSERT INTO audit SELECT 13, {columns} FROM audit WHERE sequence IN (3, 4)"),
    ] {
        let said = world.register.execute(statement).expect_err(statement);
        assert!(said.contains("the operation log"), "{statement}: {said}");
    }
    assert_eq!(details(&world).await.len(), 12);
}

#[tokio::test]
async fn what_is_wrong_with_a_server_has_a_name_of_its_own() {
    let Some(register) = Register::on_server() else { return };
    let (address, name) = register.setting().rsplit_once('/').expect("it names a database");
    let place = register.setting().to_owned();
    let nowhere = server("postgres://postgres@127.0.0.1:1/tegata?sslmode=disable");
    assert!(matches!(refused(nowhere, OpenMode::Existing).await, StoreError::Unreachable { .. }));
    let place_of_none = format!("{address}/no_such_database");
    let none = refused(server(&place_of_none), OpenMode::Create).await;
    assert_eq!(none, StoreError::NoDatabase { place: place_of_none });
    let stranger = place.replace("//postgres@", "//nobody_knows_me@");
    let error = refused(server(&stranger), OpenMode::Create).await;
    assert!(
        matches!(&error, StoreError::AccessDenied { reason, .. } if reason.contains("nobody_knows_me")),
        "{error:?}"
    );
    assert_eq!(refused(server(&place), OpenMode::Existing).await, StoreError::Empty { place: place.clone() });

    register.execute("CREATE TABLE notes (text text)").expect("made");
    for mode in [OpenMode::Create, OpenMode::Existing] {
        assert_eq!(refused(server(&place), mode).await, StoreError::NotOurs(place.clone()));
    }
    register.execute("DROP TABLE notes").expect("dropped");
    Store::open(Database::Server(server(&place)), OpenMode::Create).await.expect("made").close().await;
    register.execute("UPDATE tegata_schema SET version = 999").expect("set");
    let newer = refused(server(&place), OpenMode::Create).await;
    assert!(matches!(&newer, StoreError::SchemaTooNew { found: 999, known: 1..999, .. }), "{newer}");
    assert!(newer.to_string().contains(name));
}

#[tokio::test]
async fn a_wrong_password_is_refused_and_the_right_one_is_not_shown() {
    let Some(register) = Register::on_server() else { return };
    // scripts/test.sh has this role asked for its password; all others are trusted.
    let role = "tegata_with_password";
    let known = register.execute(&format!("SELECT 1 FROM pg_roles WHERE rolname = '{role}'")).expect("asked");
    if known.is_empty() {
        register.execute(&format!("CREATE ROLE {role} LOGIN PASSWORD 'right password'")).expect("made");
    }
    register.administer(&format!("ALTER DATABASE {{}} OWNER TO {role}"));
    let place = server(&register.setting().replace("//postgres@", &format!("//{role}@")));
    let with = |password: &str| place.clone().with_password(Secret::new(password.to_owned()));
    let error = refused(with("wrong password"), OpenMode::Create).await;
    assert!(matches!(&error, StoreError::AccessDenied { .. }), "{error:?}");
    assert!(!format!("{error} {error:?} {:?}", with("wrong password")).contains("wrong password"));
    Store::open(Database::Server(with("right password")), OpenMode::Create).await.expect("made").close().await;
}

#[tokio::test]
async fn a_server_must_prove_its_name_where_that_is_asked() {
    // Set beside TEGATA_TEST_POSTGRES by scripts/test.sh, whose server has a certificate for `localhost` alone.
    let (Some(register), Ok(ca)) = (Register::on_server(), std::env::var("TEGATA_TEST_POSTGRES_CA")) else { return };
    let at = |host: &str, parameters: &str| {
        let address = register.setting().replace("127.0.0.1", host);
        server(&format!("{address}?sslmode={parameters}"))
    };
    let full = format!("verify-full&sslrootcert={ca}");
    let store = Store::open(Database::Server(at("localhost", &full)), OpenMode::Create).await.expect("proved");
    let sealed = "SELECT count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) \
                  WHERE ssl AND application_name = 'tegata' AND datname = current_database()";
    assert_eq!(register.execute(sealed).expect("asked"), "1");
    store.close().await;
    for stranger in [at("127.0.0.1", &full), at("localhost", "verify-full")] {
        let error = refused(stranger, OpenMode::Create).await;
        assert!(matches!(&error, StoreError::Unreachable { .. }), "{error:?}");
    }
    Store::open(Database::Server(at("127.0.0.1", "require")), OpenMode::Existing).await.expect("no name is asked for");
}

#[tokio::test]
async fn a_role_that_may_not_make_tables_leaves_nothing_half_made() {
    let Some(register) = Register::on_server() else { return };
    let role = format!("maker_{}", std::process::id());
    register.execute(&format!("CREATE ROLE {role} LOGIN")).expect("made");
    let place = server(&register.setting().replace("//postgres@", &format!("//{role}@")));
    assert!(matches!(refused(place, OpenMode::Create).await, StoreError::Denied(_)));
    let tables = register.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").expect("asked");
    assert_eq!(tables, "0");
    register.execute(&format!("DROP ROLE {role}")).expect("dropped");
}

/// The rights are those that the manual has the operator grant.
#[tokio::test]
async fn the_role_of_the_manual_can_do_everything_but_change_the_log() {
    let Some(world) = filled_on_server().await else { return };
    let manual = include_str!("../../../../docs/manual/en/operator.md");
    let grants = manual.split("```sql").nth(1).and_then(|rest| rest.split("```").next()).expect("the block of grants");
    let role = format!("tegata_{}", std::process::id());
    world.register.execute(&format!("CREATE ROLE {role} LOGIN")).expect("made");
    let grants = grants.lines().filter(|line| !line.starts_with("CREATE ROLE")).collect::<Vec<_>>().join("\n");
    let owner = world.register.setting().to_owned();
    let name = owner.rsplit_once('/').expect("it names a database").1;
    let grants =
        grants.replace("DATABASE tegata", &format!("DATABASE {name}")).replace("TO tegata;", &format!("TO {role};"));
    world.register.execute(&grants).expect("granted");
    let place = server(&owner.replace("//postgres@", &format!("//{role}@")));
    let store = Store::open(Database::Server(place.clone()), OpenMode::Existing).await.expect("opened");
    let unit = store.write(|tx| {
        async move {
            let id = tx.insert_certificate(&new_certificate(1, 0, 5000)).await?;
            let old = tx.open_bundle(terminal(1, 0), NOW).await?.expect("filled has one").certificate;
            tx.erase_bundle(old.id, NOW).await?;
            tx.insert_bundle(&new_bundle(1, 0, id)).await?;
            tx.mark_downloaded(id, NOW).await?;
            tx.mark_used(old.fingerprint, NOW).await?;
            tx.revoke(old.id, NOW, RevocationReason::Superseded).await?;
            tx.delete_expired_sessions(NOW).await?;
            tx.record_failure("uketsuke", terminal(1, 0), NOW).await?;
            tx.clear_failures("uketsuke", terminal(1, 0)).await?;
            tx.set_deferred_on(terminal(1, 0), NOW.jst_date()).await?;
            tx.append_audit(&entry(1, 0, "by the role")).await
        }
        .boxed()
    });
    assert_eq!(unit.await.map(|head| head.sequence), Ok::<_, StoreError>(13));
    let as_role = |text: &str| world.register.execute(&format!("SET ROLE {role}; {text}"));
    for statement in [
        "UPDATE audit SET detail = ''",
        "DELETE FROM audit",
        "TRUNCATE audit",
        "DELETE FROM certificates",
        "DROP TRIGGER audit_has_no_gaps ON audit",
        "ALTER TABLE audit DISABLE TRIGGER ALL",
        "UPDATE tegata_schema SET version = 0",
        "CREATE TABLE public.mine (x int)",
    ] {
        let said = as_role(statement).expect_err(statement);
        assert!(said.contains("permission denied") || said.contains("must be owner"), "{statement}: {said}");
    }
    store.close().await;
    world.register.execute(&format!("DROP OWNED BY {role}; DROP ROLE {role}")).expect("dropped");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_never_give_one_number_twice_and_nobody_has_to_try_again() {
    let Some(world) = filled_on_server().await else { return };
    let nodes = [world.store.clone(), world.another().await];
    let units = (0..60_u8).map(|n| {
        let store = nodes[usize::from(n % 2)].clone();
        tokio::spawn(async move {
            let (id, name) = (TerminalId::from_random([100 + n; 16]), format!("端末{n}"));
            let new = NewTerminal { id, customer: customer(1), client: None, name, created_at: NOW };
            let unit = store.write(move |tx| {
                async move {
                    let number = tx.insert_terminal(&new).await?;
                    tx.append_audit(&entry(1, 0, &number.to_string())).await?;
                    Ok::<_, StoreError>(number.number())
                }
                .boxed()
            });
            unit.await
        })
    });
    let mut numbers = Vec::new();
    for unit in futures_util::future::join_all(units).await {
        numbers.push(unit.expect("no panic").expect("nobody is refused"));
    }
    numbers.sort_unstable();
    assert_eq!(numbers, (4..64).collect::<Vec<_>>());
    assert_eq!(details(&world).await.len(), 12 + 60);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_nodes_one_makes_the_bundle_and_the_other_finds_it() {
    let Some(world) = filled_on_server().await else { return };
    let old = world.reader.open_bundle(system(), terminal(1, 0), NOW).await.expect("read").expect("filled has one");
    let unit = world.store.write(move |tx| async move { tx.erase_bundle(old.certificate.id, NOW).await }.boxed());
    assert_eq!(unit.await, Ok::<_, StoreError>(true));
    let click = |store: Store, tag| async move {
        let unit = store.write(move |tx| {
            async move {
                if tx.open_bundle(terminal(1, 0), NOW).await?.is_some() {
                    return Ok::<_, StoreError>(false);
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
                let id = tx.insert_certificate(&new_certificate(1, 0, tag)).await?;
                tx.insert_bundle(&new_bundle(1, 0, id)).await?;
                Ok(true)
            }
            .boxed()
        });
        unit.await
    };
    let second = world.another().await;
    let (one, two) = tokio::join!(click(world.store.clone(), 5000), click(second, 5001));
    assert_ne!(one.expect("no error"), two.expect("no error"), "one makes it, the other finds it");
}

#[tokio::test]
async fn a_revocation_by_another_node_moves_both_versions() {
    let Some(world) = filled_on_server().await else { return };
    let other = world.another().await;
    let (data, trust) =
        (world.reader.data_version().await.expect("read"), world.reader.trust_version().await.expect("read"));
    let cert = certificate_of(&world, 1, 0).await;
    let unit =
        other.write(move |tx| async move { tx.revoke(cert.id, NOW, RevocationReason::KeyCompromise).await }.boxed());
    assert_eq!(unit.await, Ok::<_, StoreError>(true));
    assert_ne!(world.reader.data_version().await.expect("read"), data);
    assert_ne!(world.reader.trust_version().await.expect("read"), trust);
    let rows = world.reader.trust_rows(system(), NOW).await.expect("read");
    assert_eq!(rows.revoked, [(cert.issuer, cert.serial)]);
}

#[tokio::test]
async fn any_number_of_nodes_may_serve() {
    let Some(world) = empty_on_server().await else { return };
    let _first = world.store.lock_for_serving().expect("the first");
    world.another().await.lock_for_serving().expect("the second");
}

const END_ALL: &str =
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{}' AND pid <> pg_backend_pid()";

#[tokio::test]
async fn connections_that_broke_while_nothing_happened_are_replaced_unnoticed() {
    let Some(world) = filled_on_server().await else { return };
    for round in 0..3 {
        // Opens several of the connections that read.
        let reads = (0..8).map(|_| world.reader.customers(system()));
        for read in futures_util::future::join_all(reads).await {
            assert_eq!(read.expect("read").len(), 2);
        }
        world.register.administer(END_ALL);
        log(&world.store, &format!("round {round}")).await.expect("nothing was lost");
        world.register.administer(END_ALL);
        assert_eq!(world.reader.customers(system()).await.expect("asked again").len(), 2);
        world.reader.data_version().await.expect("asked again");
    }
    assert_eq!(details(&world).await.len(), 12 + 3);
}

#[tokio::test]
async fn a_unit_whose_connection_breaks_is_told_so_and_leaves_nothing() {
    let Some(world) = filled_on_server().await else { return };
    let unit = world.store.write(|tx| {
        async move {
            tx.append_audit(&entry(1, 0, "lost")).await?;
            tokio::time::sleep(Duration::from_millis(500)).await;
            tx.append_audit(&entry(1, 0, "lost, too")).await.map(|_| ())
        }
        .boxed()
    });
    let end = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        world.register.administer(END_ALL);
    };
    let (unit, ()) = tokio::join!(unit, end);
    assert!(matches!(&unit, Err(StoreError::Disconnected(_))), "{unit:?}");
    log(&world.store, "after").await.expect("a new connection");
    let all = details(&world).await;
    assert_eq!((all.len(), &*all[12]), (13, "after"));
}

#[tokio::test]
async fn a_server_that_is_away_is_told_and_everything_works_again_when_it_is_back() {
    let Some(world) = filled_on_server().await else { return };
    world.register.administer("ALTER DATABASE {} ALLOW_CONNECTIONS false");
    world.register.administer(END_ALL);
    for _ in 0..2 {
        let written = log(&world.store, "lost").await;
        assert!(matches!(&written, Err(StoreError::Unreachable { .. })), "{written:?}");
        let read = world.reader.customers(system()).await;
        assert!(matches!(&read, Err(StoreError::Unreachable { .. })), "{read:?}");
    }
    world.register.administer("ALTER DATABASE {} ALLOW_CONNECTIONS true");
    log(&world.store, "after").await.expect("it is back");
    assert_eq!(details(&world).await.len(), 13);
}

/// A wire that breaks at the commit: before the server hears of it, or after it has done it.
#[derive(Clone, Copy, PartialEq)]
enum Cut {
    Before,
    After,
}

/// Stands between us and the server, and breaks the first connection that commits. Connections of a broken wire are not mended; new ones
/// go through.
async fn breaking_wire(port: u16, cut: Cut) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let own = listener.local_addr().expect("bound").port();
    tokio::spawn(async move {
        let mut whole = true;
        loop {
            let (near, _) = listener.accept().await.expect("accepted");
            let far = TcpStream::connect(("127.0.0.1", port)).await.expect("the server");
            let wire = tokio::spawn(wire(near, far, whole.then_some(cut)));
            whole = whole && !wire.await.expect("no panic");
        }
    });
    own
}

/// One connection, until it ends. True when it was broken on purpose. Only the writer comes here first, and one at a time.
async fn wire(mut near: TcpStream, mut far: TcpStream, cut: Option<Cut>) -> bool {
    let (mut up, mut down) = (vec![0; 65536], vec![0; 65536]);
    loop {
        tokio::select! {
            read = near.read(&mut up) => {
                let Ok(length @ 1..) = read else { return false };
                let commits = up[..length].windows(7).any(|word| word == b"COMMIT\0");
                if let (true, Some(cut)) = (commits, cut) {
                    if cut == Cut::After {
                        far.write_all(&up[..length]).await.expect("the server");
                        let _ = far.read(&mut down).await.expect("its answer, which nobody gets");
                    }
                    return true;
                }
                far.write_all(&up[..length]).await.expect("the server");
            }
            read = far.read(&mut down) => {
                let Ok(length @ 1..) = read else { return false };
                if near.write_all(&down[..length]).await.is_err() { return false; }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_breaks_in_the_commit_leaves_the_outcome_unknown_and_says_so() {
    for cut in [Cut::Before, Cut::After] {
        let Some(world) = filled_on_server().await else { return };
        let (rest, name) = world.register.setting().rsplit_once('/').expect("it names a database");
        let (host, port) = rest.rsplit_once(':').expect("it names a port");
        let own = breaking_wire(port.parse().expect("a number"), cut).await;
        let place = server(&format!("{host}:{own}/{name}?sslmode=disable"));
        let node = Store::open(Database::Server(place), OpenMode::Existing).await.expect("opened");
        let written = log(&node, "perhaps").await;
        assert!(matches!(&written, Err(StoreError::OutcomeUnknown(_))), "{written:?}");
        log(&node, "after").await.expect("a new connection");
        let all = details(&world).await;
        let expected: &[&str] = if cut == Cut::After { &["perhaps", "after"] } else { &["after"] };
        assert_eq!(&all[12..], expected);
    }
}

#[tokio::test]
async fn who_never_gives_the_turn_back_is_not_waited_for_for_ever() {
    let Some(world) = filled_on_server().await else { return };
    let other = world.another().await;
    let slow = tokio::spawn(async move {
        let unit = other.write(|tx| {
            async move {
                tx.append_audit(&entry(1, 0, "slow")).await?;
                tokio::time::sleep(Duration::from_secs(12)).await;
                Ok::<_, StoreError>(())
            }
            .boxed()
        });
        unit.await
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(log(&world.store, "impatient").await, Err(StoreError::Busy));
    assert_eq!(world.reader.customers(system()).await.expect("readers wait for nobody").len(), 2);
    slow.await.expect("no panic").expect("written");
    log(&world.store, "after").await.expect("its turn");
    assert_eq!(details(&world).await[12..], ["slow", "after"]);
}
