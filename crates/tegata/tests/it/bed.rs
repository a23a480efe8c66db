//! A deployment in a temporary folder, its server as a child process, and browsers of a sort.

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::{Client, Identity, Response, StatusCode};
use tegata_authority::ceremony::{self, Folders};
use tegata_authority::custody::Passphrase;
use tegata_authority::{Authority, IssueOrder, KeyPool, NewUser, Parts, Rules};
use tegata_core::access::{Actor, Role};
use tegata_core::customer::CustomerKind;
use tegata_core::id::CustomerId;
use tegata_core::profile::{KeyKind, ProfileSettings, Purpose};
use tegata_core::secret::Secret;
use tegata_core::terminal::{FileNameTemplate, Terminal};
use tegata_core::time::{Clock, Timestamp};
use tegata_pki::issue::Urls;
use tegata_pki::{pem, pkcs12};
use tegata_store::{Database, OpenMode, Store};
use tegata_testkit::{Register, SeededEntropy};

pub const PASSPHRASE: &str = "a passphrase for tests";
pub const USER: &str = "uketsuke";
pub const PASSWORD: &str = "asa-no-uketsuke";

/// A deployment made by `tegata init`, on a port of its own, with P-256 keys (tests make hundreds).
pub struct Bed {
    _folder: tempfile::TempDir,
    pub dir: PathBuf,
    pub address: SocketAddr,
    pub operations: SocketAddr,
    pub register: Register,
}

/// A running server; killed when dropped.
pub struct Running(pub Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself; either way nothing is left to do.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A certificate with its key, as a browser holds it.
#[derive(Clone)]
pub struct Held {
    pub pem: Vec<u8>,
    pub serial: String,
}

struct RealClock;
impl Clock for RealClock {
    #[expect(clippy::disallowed_methods, reason = "a test fills the register beside a real server")]
    fn now(&self) -> Timestamp {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
        Timestamp(i64::try_from(since.as_secs()).expect("before the year 292 billion"))
    }
}

pub fn now() -> Timestamp {
    RealClock.now()
}

pub fn free_port() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").and_then(|s| s.local_addr()).expect("a free port on loopback")
}

/// The built program with the passphrase in its environment.
pub fn tegata() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tegata"));
    command.env("TEGATA_PASSPHRASE", PASSPHRASE).env_remove("RUST_LOG").stdin(Stdio::null());
    command
}

/// Runs to the end; the output as text.
pub fn run(command: &mut Command) -> (Output, String, String) {
    let output = command.output().expect("the program starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    (output, stdout, stderr)
}

impl Bed {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let dir = folder.path().join("deployment");
        let register = Register::fresh(&dir);
        Self::over(folder, dir, register)
    }

    /// The same with the register in a file, whatever the environment names.
    pub fn in_a_file() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let dir = folder.path().join("deployment");
        let register = Register::file(&dir);
        Self::over(folder, dir, register)
    }

    /// The same with the register on a server, where there is one.
    pub fn on_server() -> Option<Self> {
        let register = Register::on_server()?;
        let folder = tempfile::tempdir().expect("a temporary folder");
        let dir = folder.path().join("deployment");
        Some(Self::over(folder, dir, register))
    }

    fn over(folder: tempfile::TempDir, dir: PathBuf, register: Register) -> Self {
        let mut init = tegata();
        init.args(["init", "--organization", "テスト認証局", "--host", "localhost", "--dir"]).arg(&dir);
        if register.is_on_server() {
            init.args(["--database", register.setting()]);
        }
        let made = init.output().expect("the program starts");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let bed = Self { _folder: folder, dir, address: free_port(), operations: free_port(), register };
        let config = std::fs::read_to_string(bed.config()).expect("init wrote it");
        let config = config
            .replace("0.0.0.0:443", &bed.address.to_string())
            .replace("127.0.0.1:9464", &bed.operations.to_string())
            .replace("key_kinds = [\"rsa3072\", \"p256\"]", "key_kinds = [\"p256\"]")
            .replace("hosts = [\"localhost\", \"*.localhost\"]", "hosts = [\"localhost\", \"alt1.localhost\"]")
            .replace("https://localhost", &format!("https://localhost:{}", bed.address.port()))
            .replace("https://alt1.localhost", &format!("https://alt1.localhost:{}", bed.address.port()));
        std::fs::write(bed.config(), config).expect("writable");
        bed
    }

    pub fn config(&self) -> PathBuf {
        self.dir.join("tegata.toml")
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = tegata();
        command.arg("--config").arg(self.config()).args(args);
        command
    }

    pub fn url(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.address.port())
    }

    /// Starts `tegata serve` and waits until it is ready.
    pub fn serve(&self) -> Running {
        let log = std::fs::File::create(self.dir.join("serve.log")).expect("writable");
        let child = self.command(&["serve"]).stdout(Stdio::null()).stderr(log).spawn().expect("the program starts");
        let running = Running(child);
        let begun = Instant::now();
        while !self.is_ready() {
            assert!(begun.elapsed() < Duration::from_secs(30), "not ready: {}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
        running
    }

    /// Asks `/readyz` on the operations port.
    fn is_ready(&self) -> bool {
        use std::io::{Read, Write};
        let Ok(mut stream) = std::net::TcpStream::connect(self.operations) else { return false };
        let mut answer = String::new();
        let asked = stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        asked.is_ok() && stream.read_to_string(&mut answer).is_ok() && answer.starts_with("HTTP/1.1 200")
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.dir.join("serve.log")).unwrap_or_default()
    }

    /// The authority over this deployment, in this process.
    pub async fn authority(&self) -> Authority {
        let database = Database::parse(self.register.setting(), &self.dir).expect("the testkit's own");
        let store = Store::open(database, OpenMode::Existing).await.expect("init made it");
        let (keys, certificates) = (self.dir.join("keys"), self.dir.join("ca"));
        let folders = Folders { keys: &keys, certificates: &certificates };
        let pass = Passphrase::new(PASSPHRASE.into()).expect("long enough");
        let (ca, vault) = ceremony::open(&store, folders, &pass, Urls::default(), &RealClock).await.expect("opens");
        let settings = |purpose, window| ProfileSettings {
            purpose,
            key_kinds: vec![KeyKind::P256],
            validity_years: Some(3),
            validity_days: None,
            renewal_window_days: window,
            carry_over_days: 130,
            spread_days: 10,
        };
        let rules = Rules {
            terminal_profile: settings(Purpose::Client, 90).validate("terminal").expect("valid"),
            agent_profile: Some(settings(Purpose::Agent, 90).validate("agent").expect("valid")),
            server_profile: settings(Purpose::Server, 30).validate("server").expect("valid"),
            daily_certificates: 24,
            file_name: FileNameTemplate::new("{customer6}_JP_{user}_{client}.p12").expect("valid"),
            bundle_days: 7,
            session_hours: 12,
        };
        let entropy =
            Arc::new(SeededEntropy::new(u64::from(std::process::id()) << 32 | u64::from(self.address.port())));
        let keys = KeyPool::start(KeyKind::P256, 0);
        Authority::new(Parts { store, ca, vault, keys, rules, clock: Arc::new(RealClock), entropy })
    }

    /// The CA as a browser trusts it.
    pub fn ca(&self) -> Vec<u8> {
        std::fs::read(self.dir.join("ca/root.pem")).expect("init wrote it")
    }

    /// A browser with a certificate (or none), a cookie jar and no automatic redirects.
    pub fn browser(&self, held: Option<&Held>) -> Client {
        let ca = reqwest::Certificate::from_pem(&self.ca()).expect("a certificate");
        let html = [(reqwest::header::ACCEPT, reqwest::header::HeaderValue::from_static("text/html"))];
        let mut builder = Client::builder()
            .default_headers(html.into_iter().collect())
            .tls_certs_only([ca])
            .cookie_store(true)
            .redirect(reqwest::redirect::Policy::none())
            .timeout(Duration::from_secs(20))
            .resolve("localhost", self.address)
            .resolve("alt1.localhost", self.address);
        if let Some(held) = held {
            builder = builder.identity(Identity::from_pem(&held.pem).expect("certificate and key"));
        }
        builder.build().expect("a client")
    }

    /// Logs in; the browser keeps the session.
    pub async fn log_in(&self, browser: &Client) -> reqwest::Result<Response> {
        let page = browser.get(self.url("/login")).send().await?.text().await?;
        let form = [("user", USER), ("password", PASSWORD), ("csrf", &csrf(&page))];
        browser.post(self.url("/login")).form(&form).send().await
    }

    /// Presses a button: takes the form token of the page it stands on.
    pub async fn press(&self, browser: &Client, page: &str, action: &str) -> reqwest::Result<Response> {
        let page = browser.get(self.url(page)).send().await?.text().await?;
        browser.post(self.url(action)).form(&[("csrf", csrf(&page))]).send().await
    }

    /// 更新, こちら, 確認する: the bundle, opened with its password.
    pub async fn renew(&self, browser: &Client) -> reqwest::Result<Option<(Held, String)>> {
        if self.press(browser, "/menu", "/renewal").await?.status() != StatusCode::SEE_OTHER {
            return Ok(None);
        }
        let file = browser
            .get(self.url("/renewal/bundle.p12?format=standard"))
            .send()
            .await?
            .error_for_status()?
            .bytes()
            .await?;
        let shown =
            self.press(browser, "/renewal/password", "/renewal/password").await?.error_for_status()?.text().await?;
        let Some(password) = revealed(&shown) else { return Ok(None) };
        let opened = pkcs12::open(&file, &password).expect("the file opens with the password that is shown");
        Ok(Some((held(&opened.leaf, opened.key.pkcs8().expose()), password)))
    }
}

/// The password on the page: the text of `#import-password` without its marks.
pub fn revealed(page: &str) -> Option<String> {
    let (_, rest) = page.split_once("id=\"import-password\"")?;
    let (_, rest) = rest.split_once('>')?;
    let (inner, _) =
        rest.split_once("</output>").or_else(|| rest.split_once("</code>")).or_else(|| rest.split_once("</p>"))?;
    let mut text = String::new();
    let mut inside = false;
    for letter in inner.chars() {
        match letter {
            '<' => inside = true,
            '>' => inside = false,
            _ if !inside && !letter.is_whitespace() => text.push(letter),
            _ => {}
        }
    }
    Some(text)
}

/// The form token of a page.
pub fn csrf(page: &str) -> String {
    page.split_once("name=\"csrf\" value=\"")
        .and_then(|(_, rest)| rest.split_once('"'))
        .map(|(token, _)| token.to_owned())
        .unwrap_or_default()
}

/// Certificate and key in the form that the client takes.
pub fn held(leaf: &[u8], pkcs8: &[u8]) -> Held {
    use base64::Engine;
    let body = base64::engine::general_purpose::STANDARD.encode(pkcs8);
    let text = format!("{}-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n", pem::certificate(leaf));
    Held { pem: text.into_bytes(), serial: serial_of(leaf) }
}

/// The serial of a certificate of ours: 16 octets behind the version (RFC 5280 section 4.1).
fn serial_of(leaf: &[u8]) -> String {
    let at = leaf
        .windows(7)
        .position(|w| w == [0xa0, 0x03, 0x02, 0x01, 0x02, 0x02, 0x10])
        .expect("version 3, then a serial")
        + 7;
    leaf[at..at + 16].iter().map(|byte| format!("{byte:02X}")).collect()
}

/// A customer with one person; returns its id.
pub async fn clinic(authority: &Authority, code: &str) -> CustomerId {
    let operator = operator();
    let customer = authority
        .add_customer(&operator, None, CustomerKind::Clinic, code.parse().expect("six digits"), "ひだまりクリニック")
        .await
        .expect("added");
    let new = NewUser {
        customer: customer.id,
        name: USER.into(),
        password: Secret::new(PASSWORD.into()),
        role: Role::TerminalUser,
    };
    authority.add_user(&operator, new).await.expect("added");
    customer.id
}

/// A terminal with a certificate that ends at `end`, handed over.
pub async fn terminal(authority: &Authority, customer: CustomerId, name: &str, end: Timestamp) -> (Terminal, Held) {
    let operator = operator();
    let terminal = authority.add_terminal(&operator, customer, None, name).await.expect("added");
    let handover = authority
        .issue(&operator, &terminal, IssueOrder { end: Some(end), ..IssueOrder::default() })
        .await
        .expect("issued");
    authority.handed_over(&operator, &handover.certificate).await.expect("erased");
    (terminal, held(&handover.leaf, handover.key.pkcs8().expose()))
}

pub fn operator() -> Actor {
    Actor::Operator { name: "test".into() }
}
