//! Opening: each thing that is wrong has its own name, and nothing half-made stays behind.

use std::path::Path;

use tegata_store::{Database, OpenMode, Store, StoreError};

use crate::fixture::{empty_file, filled_file, system};

fn file(world: &crate::fixture::World) -> std::path::PathBuf {
    world.database().file().expect("a file").to_owned()
}

async fn refused(path: &Path, mode: OpenMode) -> StoreError {
    match Store::open(path, mode).await {
        Ok(_) => panic!("{} was opened", path.display()),
        Err(error) => error,
    }
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("a folder");
    entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect()
}

#[tokio::test]
async fn a_missing_file_and_a_missing_folder_are_told_apart() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("tegata.db");
    assert_eq!(refused(&path, OpenMode::Existing).await, StoreError::Missing(path.clone()));
    assert_eq!(names(folder.path()), [""; 0]);
    let below = folder.path().join("missing");
    assert_eq!(refused(&below.join("tegata.db"), OpenMode::Create).await, StoreError::NoFolder(below));
}

#[tokio::test]
async fn a_folder_that_cannot_be_written_to_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let locked = read_only(folder.path());
    assert_eq!(refused(&locked.join("tegata.db"), OpenMode::Create).await, StoreError::FolderReadOnly(locked));
}

/// A folder in which nobody can make a file: for root, whom no mode stops, one that the kernel keeps.
fn read_only(folder: &Path) -> std::path::PathBuf {
    use std::os::unix::fs::PermissionsExt as _;
    let locked = folder.join("locked");
    std::fs::create_dir(&locked).expect("made");
    std::fs::set_permissions(&locked, std::fs::Permissions::from_mode(0o555)).expect("set");
    let probe = locked.join("probe");
    if std::fs::File::create_new(&probe).is_ok() { "/sys/kernel".into() } else { locked }
}

#[tokio::test]
async fn a_file_that_is_no_database_is_left_as_it_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("tegata.db");
    let text = "name = value\n".repeat(1000);
    std::fs::write(&path, &text).expect("written");
    for mode in [OpenMode::Create, OpenMode::Existing] {
        assert_eq!(refused(&path, mode).await, StoreError::NotADatabase(path.clone()));
    }
    assert_eq!(std::fs::read_to_string(&path).expect("read"), text);
    assert_eq!(names(folder.path()), ["tegata.db"]);
}

#[tokio::test]
async fn a_database_of_another_program_is_left_as_it_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("other.db");
    let other = rusqlite::Connection::open(&path).expect("opened");
    other.execute("CREATE TABLE notes (text TEXT)", []).expect("made");
    other.close().expect("closed");
    let before = std::fs::read(&path).expect("read");
    for mode in [OpenMode::Create, OpenMode::Existing] {
        assert_eq!(refused(&path, mode).await, StoreError::NotOurs(path.display().to_string()));
    }
    assert_eq!(std::fs::read(&path).expect("read"), before);
}

#[tokio::test]
async fn an_empty_file_becomes_a_database_only_when_one_is_to_be_made() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("tegata.db");
    std::fs::write(&path, "").expect("written");
    assert_eq!(refused(&path, OpenMode::Existing).await, StoreError::NotOurs(path.display().to_string()));
    Store::open(&path, OpenMode::Create).await.expect("made").close().await;
    Store::open(&path, OpenMode::Existing).await.expect("opened").close().await;
}

#[tokio::test]
async fn a_schema_of_a_newer_program_is_refused() {
    let world = empty_file().await;
    let path = file(&world);
    world.store.close().await;
    let newer = rusqlite::Connection::open(&path).expect("opened");
    newer.execute("PRAGMA user_version = 999", []).expect("set");
    newer.close().expect("closed");
    let said = refused(&path, OpenMode::Existing).await;
    assert!(matches!(&said, StoreError::SchemaTooNew { found: 999, known: 1..999, .. }), "{said}");
    assert!(said.to_string().contains(&path.display().to_string()));
}

#[tokio::test]
async fn a_damaged_file_is_said_to_be_damaged() {
    let world = filled_file().await;
    let path = file(&world);
    world.store.close().await;
    let mut bytes = std::fs::read(&path).expect("read");
    bytes[4096..].fill(0xa5);
    std::fs::write(&path, bytes).expect("written");
    let answer = match Store::open(&path, OpenMode::Existing).await {
        Ok(store) => store.reader().customers(system()).await.expect_err("nothing to read"),
        Err(error) => error,
    };
    assert!(matches!(answer, StoreError::Damaged(_)), "{answer:?}");
}

#[cfg(unix)]
#[tokio::test]
async fn only_the_owner_can_read_what_is_made() {
    use std::os::unix::fs::PermissionsExt as _;
    let world = filled_file().await;
    let _lock = world.store.lock_for_serving().expect("the first");
    for name in names(world.folder.path()) {
        let mode = std::fs::metadata(world.folder.path().join(&name)).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

#[tokio::test]
async fn one_process_serves_and_the_second_is_told_which() {
    let world = empty_file().await;
    let path = file(&world);
    let second = Store::open(&path, OpenMode::Existing).await.expect("commands may still work");
    let lock = world.store.lock_for_serving().expect("the first");
    let pid = Some(std::process::id());
    let error = second.lock_for_serving().expect_err("the second");
    assert_eq!(error, StoreError::AlreadyServed { path, pid });
    assert!(error.to_string().ends_with(&format!("(pid {})", std::process::id())));
    drop(lock);
    second.lock_for_serving().expect("free again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_can_be_made_by_many_at_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let register = tegata_testkit::Register::fresh(folder.path());
    let database = Database::parse(register.setting(), folder.path()).expect("a place");
    let openers = (0..6).map(|_| {
        let database = database.clone();
        tokio::spawn(async move { Store::open(database, OpenMode::Create).await.map(|_| ()) })
    });
    for opened in futures_util::future::join_all(openers).await {
        assert_eq!(opened.expect("no panic"), Ok(()));
    }
}

#[tokio::test]
async fn a_path_with_letters_that_mean_something_elsewhere_is_only_a_path() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("file:登録?mode=memory#%20.db");
    Store::open(&path, OpenMode::Create).await.expect("made").close().await;
    assert!(path.exists());
    Store::open(&path, OpenMode::Existing).await.expect("opened");
}
