//! Where a test keeps its register: in a file, or, where TEGATA_TEST_POSTGRES names a server, in a fresh database of that server that is
//! dropped at the end. Speaks to the server by way of `psql`.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// Names the server: `postgres://postgres@127.0.0.1:5433/postgres`, a role that may make databases.
const SERVER: &str = "TEGATA_TEST_POSTGRES";

/// The place of one test's register.
#[derive(Debug)]
pub struct Register {
    setting: String,
    /// The server and the database in it that goes with this value.
    made: Option<(String, String)>,
}

impl Register {
    /// A place for a new register: a fresh database, or `tegata.db` in `folder`, which is not made yet.
    pub fn fresh(folder: &Path) -> Self {
        Self::on_server().unwrap_or_else(|| Self::file(folder))
    }

    /// A place for a new file, whatever the environment names.
    pub fn file(folder: &Path) -> Self {
        let path = folder.join("tegata.db");
        Self { setting: path.to_str().expect("a temporary folder is UTF-8").to_owned(), made: None }
    }

    /// A fresh and empty database, where there is a server to test with.
    pub fn on_server() -> Option<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let server = std::env::var(SERVER).ok()?;
        let name = format!("test_{}_{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let (address, _) = server.rsplit_once('/').expect("the address names a database");
        let setting = format!("{address}/{name}");
        psql(&server, &format!("CREATE DATABASE {name}"));
        Some(Self { setting, made: Some((server, name)) })
    }

    /// What the configuration calls it: a path or an address.
    pub fn setting(&self) -> &str {
        &self.setting
    }

    /// Whether it is a database of a server.
    pub fn is_on_server(&self) -> bool {
        self.made.is_some()
    }

    /// Has the server do something about this database: `{}` in the text is its name.
    pub fn administer(&self, text: &str) {
        let (server, name) = self.made.as_ref().expect("a database of a server");
        psql(server, &text.replace("{}", name));
    }

    /// Has the server do something in this database; answers with what it said.
    pub fn execute(&self, text: &str) -> Result<String, String> {
        run(&self.setting, text)
    }
}

impl Drop for Register {
    fn drop(&mut self) {
        if let Some((server, name)) = &self.made {
            // What cannot be dropped goes with the server, which is made for the tests.
            let _ = run(server, &format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"));
        }
    }
}

fn psql(address: &str, text: &str) {
    if let Err(said) = run(address, text) {
        panic!("{text}: {said}");
    }
}

fn run(address: &str, text: &str) -> Result<String, String> {
    let output = Command::new("psql")
        .args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", address, "-c", text])
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("psql (Debian: postgresql-client): {error}"))?;
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() { Ok(said(&output.stdout)) } else { Err(said(&output.stderr)) }
}
