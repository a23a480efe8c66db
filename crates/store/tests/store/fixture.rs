//! A small register to test with, on the engine that the environment names (`tegata_testkit::Register`): customers with terminals, people, certificates, bundles, sessions, failed logins, and a log.

use futures_util::FutureExt as _;
use tegata_core::access::{Actor, Role, Scope};
use tegata_core::api_key::{ApiKey, ApiKeyId, ApiReach, ApiScopes};
use tegata_core::audit::{Action, Entry, Outcome};
use tegata_core::cert::CertRecord;
use tegata_core::customer::CustomerKind;
use tegata_core::id::{CertificateId, CustomerId, Fingerprint, IssuerId, KeyHash, Serial, TerminalId, UserId};
use tegata_core::profile::KeyKind;
use tegata_core::recovery::{Recovery, Way};
use tegata_core::secret::Secret;
use tegata_core::time::Timestamp;
use tegata_store::{
    ApiKeyRow, Database, NewBundle, NewCertificate, NewCustomer, NewIssuer, NewSession, NewTerminal, NewUser, OpenMode,
    Reader, RecoveryRow, Store, StoreError, Tx,
};
use tegata_testkit::Register;

/// The present of these tests.
pub const NOW: Timestamp = Timestamp(1_795_000_000);
/// How many terminals each of the two customers has.
pub const TERMINALS: u8 = 3;

pub struct World {
    pub store: Store,
    pub reader: Reader,
    pub folder: tempfile::TempDir,
    /// Where the register is; goes last.
    pub register: Register,
}

impl World {
    /// Another handle on the same register, as another process or node has one.
    pub async fn another(&self) -> Store {
        Store::open(self.database(), OpenMode::Existing).await.expect("a second handle")
    }

    pub fn database(&self) -> Database {
        Database::parse(self.register.setting(), self.folder.path()).expect("the testkit's own")
    }
}

pub fn system() -> Scope {
    Actor::System { job: "test" }.scope()
}

pub fn customer(number: u32) -> CustomerId {
    CustomerId::new(number).expect("valid")
}

/// The `index`-th terminal of a customer.
pub fn terminal(customer: u32, index: u8) -> TerminalId {
    TerminalId::from_random([u8::try_from(customer).expect("small") * 16 + index; 16])
}

pub fn terminal_scope(of: u32, index: u8) -> Scope {
    Actor::Terminal { terminal: terminal(of, index), customer: customer(of) }.scope()
}

/// An administrator of a customer, at a terminal of the same customer.
pub fn administrator(of: u32, index: u8) -> Actor {
    let (customer, terminal) = (customer(of), terminal(of, index));
    Actor::User { user: UserId(1), name: "jimu".into(), role: Role::CustomerAdmin, customer, terminal }
}

pub fn token(of: u32, index: u8) -> [u8; 32] {
    [u8::try_from(of).expect("small") * 16 + index; 32]
}

/// A certificate of a terminal; `tag` makes its serial and fingerprint its own.
pub fn new_certificate(of: u32, index: u8, tag: u64) -> NewCertificate {
    let mut serial = [0x20; 16];
    serial[8..].copy_from_slice(&tag.to_be_bytes());
    let mut fingerprint = [7; 32];
    fingerprint[..8].copy_from_slice(&tag.to_be_bytes());
    NewCertificate {
        fingerprint: Fingerprint(fingerprint),
        issuer: IssuerId(1),
        serial: Serial::from_bytes(serial),
        terminal: terminal(of, index),
        customer: customer(of),
        profile: "terminal".to_owned(),
        key_kind: KeyKind::Rsa3072,
        not_before: NOW.plus_seconds(-600),
        not_after: NOW.plus_seconds(1000),
        issued_at: NOW,
        renewed_from: None,
        key: KeyHash(fingerprint),
        by_hand: true,
        der: tag.to_be_bytes().to_vec(),
    }
}

/// What the key of a terminal is called.
pub fn api_key(of: u32, index: u8) -> ApiKeyId {
    format!("key-{of}000000{index}").parse().expect("an id")
}

fn new_api_key(of: u32, index: u8) -> ApiKeyRow {
    let key = ApiKey {
        id: api_key(of, index),
        name: "会計連携".into(),
        customer: customer(of),
        terminal: Some(terminal(of, index)),
        reach: ApiReach::Customer,
        scopes: ApiScopes::parse("terminals:read").expect("a scope"),
        created_at: NOW,
        expires_at: NOW.plus_seconds(100),
        previous_until: None,
        last_used_at: None,
        revoked_at: None,
    };
    ApiKeyRow { key, secret_hash: token(of, index), previous_hash: None }
}

pub fn new_bundle(of: u32, index: u8, certificate: CertificateId) -> NewBundle {
    NewBundle {
        certificate,
        terminal: terminal(of, index),
        customer: customer(of),
        sealed_key: vec![1; 100],
        sealed_password: vec![2; 30],
        created_at: NOW,
        expires_at: NOW.plus_seconds(100),
    }
}

pub fn entry(of: u32, index: u8, detail: &str) -> Entry {
    let actor = Actor::User {
        user: UserId(1),
        name: "uketsuke".to_owned(),
        role: Role::TerminalUser,
        customer: customer(of),
        terminal: terminal(of, index),
    };
    Entry {
        at: NOW,
        actor,
        customer: Some(customer(of)),
        terminal: Some(terminal(of, index)),
        serial: Some(Serial::from_bytes([9; 16])),
        action: Action::RenewalRequested,
        outcome: Outcome::Done,
        detail: detail.to_owned(),
    }
}

/// An empty register.
pub async fn empty() -> World {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let register = Register::fresh(folder.path());
    made(folder, register).await
}

/// An empty register in a file, whatever the environment names: for what only files have.
pub async fn empty_file() -> World {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let register = Register::file(folder.path());
    made(folder, register).await
}

/// An empty register on the server, where there is one.
pub async fn empty_on_server() -> Option<World> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    Some(made(folder, Register::on_server()?).await)
}

async fn made(folder: tempfile::TempDir, register: Register) -> World {
    let database = Database::parse(register.setting(), folder.path()).expect("the testkit's own");
    let store = Store::open(database, OpenMode::Create).await.expect("a new store");
    World { reader: store.reader(), store, folder, register }
}

/// Two customers with [`TERMINALS`] terminals each; every terminal has a certificate, a person, a session, a bundle, a failed login and
/// two lines in the log.
pub async fn filled() -> World {
    fill_world(empty().await).await
}

/// The same in a file, whatever the environment names.
pub async fn filled_file() -> World {
    fill_world(empty_file().await).await
}

/// The same on the server, where there is one.
pub async fn filled_on_server() -> Option<World> {
    Some(fill_world(empty_on_server().await?).await)
}

async fn fill_world(world: World) -> World {
    world.store.write(|tx| fill(tx).boxed()).await.expect("filled");
    world
}

async fn fill(tx: &mut Tx) -> Result<(), StoreError> {
    let der = b"a certificate of an issuing CA".to_vec();
    let (not_before, not_after) = (Timestamp(0), NOW.plus_seconds(100_000));
    tx.insert_issuer(&NewIssuer { name: "issuing 1".to_owned(), der, not_before, not_after, created_at: NOW }).await?;
    for of in [1, 2] {
        let code = format!("10300{of}").parse().expect("valid");
        let name = format!("クリニック {of}");
        tx.insert_customer(&NewCustomer { id: None, kind: CustomerKind::Clinic, code, name, created_at: NOW }).await?;
        for index in 0..TERMINALS {
            fill_terminal(tx, of, index).await?;
        }
    }
    Ok(())
}

async fn fill_terminal(tx: &mut Tx, of: u32, index: u8) -> Result<(), StoreError> {
    let user = tx
        .insert_user(&NewUser {
            customer: customer(of),
            name: format!("uketsuke{index}"),
            password_hash: Secret::new("$argon2id$not-a-real-one".to_owned()),
            role: Role::TerminalUser,
            created_at: NOW,
        })
        .await?;
    let name = format!("受付{index}");
    let (id, of_customer) = (terminal(of, index), customer(of));
    tx.insert_terminal(&NewTerminal { id, customer: of_customer, client: None, name, created_at: NOW }).await?;
    let certificate =
        tx.insert_certificate(&new_certificate(of, index, u64::from(of) * 100 + u64::from(index))).await?;
    tx.insert_bundle(&new_bundle(of, index, certificate)).await?;
    tx.insert_session(&NewSession {
        token_hash: token(of, index),
        user,
        customer: of_customer,
        terminal: id,
        created_at: NOW,
        expires_at: NOW.plus_seconds(100),
    })
    .await?;
    let recovery = Recovery {
        terminal: id,
        customer: of_customer,
        way: Way::Code,
        reason: "期限切れ".into(),
        expires_at: NOW.plus_seconds(100),
        failures: 0,
        typed: false,
    };
    tx.insert_recovery(&RecoveryRow { recovery, code_hash: Some(token(of, index)), helper: Some(id) }, NOW).await?;
    tx.insert_api_key(&new_api_key(of, index)).await?;
    tx.saw_terminal((id, of_customer), NOW, Some("Linux")).await?;
    tx.record_failure("uketsuke", id, NOW).await?;
    tx.append_audit(&entry(of, index, "first")).await?;
    tx.append_audit(&entry(of, index, "second")).await?;
    Ok(())
}

/// Adds a certificate to a filled register.
pub async fn issue(store: &Store, new: NewCertificate) -> Result<CertificateId, StoreError> {
    store.write(move |tx| async move { tx.insert_certificate(&new).await }.boxed()).await
}

/// The only certificate of a terminal of [`filled`].
pub async fn certificate_of(world: &World, of: u32, index: u8) -> CertRecord {
    let found = world.reader.certificates_of_terminal(system(), terminal(of, index)).await.expect("read");
    found.into_iter().next().expect("every terminal has one")
}
