//! `tegata demo`: a throw-away deployment of two clinics with terminals in every state, and of their operator, running on loopback, and a text that says what to
//! try. Its history is made through the ordinary paths under a clock that is set back, so that every row and certificate is a real one.

use std::io::IsTerminal;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use anyhow::Context;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tegata_authority::custody::{Passphrase, write_private};
use tegata_authority::{Authority, IssueOrder, NewContact, NewUser};
use tegata_core::access::{Actor, Role};
use tegata_core::cert::RevocationReason;
use tegata_core::contact::Language;
use tegata_core::customer::{Customer, CustomerKind};
use tegata_core::peer::PeerCert;
use tegata_core::profile::Purpose;
use tegata_core::secret::{Secret, import_password};
use tegata_core::terminal::Terminal;
use tegata_core::time::{Clock, Days, Timestamp};
use tegata_pki::key::LeafKey;
use tegata_pki::pem;
use tegata_pki::pkcs12::Format;

use super::{browser, cert, demo_app, init};
use crate::config::{Checked, EXAMPLE};
use crate::out::Out;
use crate::system::{SystemClock, SystemEntropy};
use crate::{deployment, serve};

/// What `demo` takes.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  tegata demo\n  tegata demo --open\n  tegata demo --dir /tmp/try --listen 127.0.0.1:9443"
)]
pub struct Args {
    /// The folder to keep it in. Started again on the same folder, the demo goes on where it was.
    #[arg(long, value_name = "DIR", default_value = "tegata-demo")]
    dir: PathBuf,
    /// Address and port to listen on; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8443")]
    listen: SocketAddr,
    /// Open an installed Chromium or Chrome with a private profile that already holds the certificate of 受付1.
    #[arg(long)]
    open: bool,
}

/// What stays the same between two starts.
#[derive(Serialize, Deserialize)]
struct Cast {
    users: Vec<CastUser>,
    terminals: Vec<CastTerminal>,
    /// The certificate that another reverse proxy shows to the gate.
    proxy: CastTerminal,
}

#[derive(Serialize, Deserialize)]
struct CastUser {
    name: String,
    password: String,
    role: String,
    customer: String,
}

#[derive(Serialize, Deserialize)]
struct CastTerminal {
    name: String,
    customer: String,
    client: String,
    state: String,
    p12: PathBuf,
    p12_password: String,
    cert_pem: PathBuf,
    key_pem: PathBuf,
    serial: String,
    not_after: String,
}

impl CastTerminal {
    /// As it stands today: a demo may be started again weeks later.
    fn now(&self) -> serde_json::Value {
        let now = SystemClock.now();
        let end = Timestamp::parse(&self.not_after).unwrap_or(now);
        let state = match self.state.as_str() {
            "revoked" => "revoked",
            _ if end < now => "expired",
            _ if end.jst_days_from(now) <= Days(90) => "due",
            _ => "fresh",
        };
        let mut value = json!(self);
        value["state"] = json!(state);
        value
    }
}

const CAST_FILE: &str = "cast.json";
/// The terminal that stands for another reverse proxy.
const PROXY: &str = "u00000090/client0001";
const PASSPHRASE_FILE: &str = "passphrase.txt";
const CONFIG_FILE: &str = "tegata.toml";
const READY_FILE: &str = "demo.json";
/// Where the demo's mails go: nobody is written to.
const MAIL_FOLDER: &str = "mail";

/// A clock that can be set back, for making a history.
struct StageClock(AtomicI64);

impl Clock for StageClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

/// Runs the command until it is stopped.
pub async fn run(args: Args, out: Out) -> anyhow::Result<()> {
    anyhow::ensure!(
        args.listen.ip().is_loopback(),
        "--listen {} is not a loopback address: the demo has passwords in a file and is for this machine only; \
         `tegata init` makes a real deployment",
        args.listen
    );
    let ports = Ports::find(args.listen)?;
    if !args.dir.join(CONFIG_FILE).exists() {
        stage(&args.dir, ports).await?;
    }
    let passphrase = Passphrase::new(std::fs::read(args.dir.join(PASSPHRASE_FILE))?)?;
    let cast: Cast = serde_json::from_slice(&std::fs::read(args.dir.join(CAST_FILE))?)?;
    let mut checked = deployment::config(&args.dir.join(CONFIG_FILE))?;
    serve::start_log(&checked);
    move_to(&mut checked, ports, demo_app::start().await?);
    let server = serve::Server::bind(checked, &passphrase).await?;
    let ready = ready_document(&server, &cast);
    let ready_file = args.dir.join(READY_FILE);
    let partial = ready_file.with_extension("json.partial");
    std::fs::write(&partial, format!("{ready:#}\n"))?;
    std::fs::rename(&partial, &ready_file)?;
    let url = server.url();
    out.say(&guide(&args.dir, &url, &cast), &ready)?;
    if args.open {
        let due = &cast.terminals[0];
        if let Err(error) = browser::open(&args.dir, &url, &args.dir.join(&due.p12), &due.p12_password) {
            out.note(&format!("the browser was not opened: {error:#}"));
        }
    }
    let ended = server.run().await;
    std::fs::remove_file(&ready_file).with_context(|| format!("cannot remove {}", ready_file.display()))?;
    ended
}

/// Where the demo listens.
#[derive(Clone, Copy)]
struct Ports {
    portal: SocketAddr,
    orca: SocketAddr,
    est: SocketAddr,
    status: SocketAddr,
    application: SocketAddr,
    forward_auth: SocketAddr,
}

impl Ports {
    /// Port 0 becomes a free port, so that it can be written into addresses. The programs' listeners have the next ports where those are free,
    /// and free ones otherwise.
    fn find(listen: SocketAddr) -> anyhow::Result<Self> {
        use std::net::TcpListener;
        let mut held = Vec::new(); // until all are known: no two are the same
        let mut take = |port: u16| -> anyhow::Result<SocketAddr> {
            let at = |port| TcpListener::bind(SocketAddr::new(listen.ip(), port));
            let socket = at(port).or_else(|_| at(0))?;
            let address = socket.local_addr()?;
            held.push(socket);
            Ok(address)
        };
        let beside = |step| if listen.port() == 0 { 0 } else { listen.port().checked_add(step).unwrap_or(0) };
        let portal = if listen.port() == 0 { take(0)? } else { listen };
        let [orca, est, application] = [take(beside(1))?, take(beside(2))?, take(beside(3))?];
        Ok(Self { portal, orca, est, status: take(0)?, application, forward_auth: take(beside(4))? })
    }
}

/// The demo may be started again on another port. Certificate status stays where the certificates say, unless somebody else is there now.
fn move_to(checked: &mut Checked, ports: Ports, behind: SocketAddr) {
    let Ports { portal: listen, orca, est, status: free, application, forward_auth } = ports;
    if let Some(settings) = &mut checked.config.forward_auth {
        settings.listen = forward_auth;
        settings.url = format!("https://localhost:{}", forward_auth.port());
    }
    for here in checked.config.application.iter_mut().filter(|here| !here.upstreams.is_empty()) {
        here.url = format!("https://localhost:{}/", application.port());
        here.upstreams = vec![format!("http://{behind}")];
    }
    if let Some(settings) = &mut checked.config.orca {
        settings.listen = orca;
        settings.url = format!("https://localhost:{}", orca.port());
    }
    if let Some(settings) = &mut checked.config.est {
        settings.listen = est;
        settings.url = format!("https://localhost:{}", est.port());
    }
    let server = &mut checked.config.server;
    server.listen = listen;
    server.also_listen = vec![application];
    server.url = format!("https://localhost:{}", listen.port());
    server.alias_urls =
        ["alt1", "alt2"].iter().map(|name| format!("https://{name}.localhost:{}", listen.port())).collect();
    if let Some(status) = &mut checked.config.status
        && let Some(address) = status.listen
        && std::net::TcpListener::bind(address).is_err()
    {
        (status.listen, status.url) = (Some(free), format!("http://{free}"));
    }
}

/// The document that scripts read; paths are relative to it.
fn ready_document(server: &serve::Server, cast: &Cast) -> serde_json::Value {
    json!({
        "url": server.url(),
        "alias_urls": server.alias_urls(),
        "app_url": server.application_url(),
        "forward_auth_url": server.forward_auth_url(),
        "proxy": cast.proxy.now(),
        "orca_url": server.orca_url(),
        "est_url": server.est_url(),
        "operations_url": format!("http://{}", server.operations_address()),
        "ocsp_url": server.status_address().map(|address| format!("http://{address}")),
        "crl_url": server.crl_url(),
        "ca_pem": "ca.pem",
        "config": CONFIG_FILE,
        "passphrase_file": PASSPHRASE_FILE,
        "mail_folder": MAIL_FOLDER,
        "users": cast.users,
        "terminals": cast.terminals.iter().map(CastTerminal::now).collect::<Vec<_>>(),
    })
}

/// Makes the deployment beside `dir` and moves it into place when it is complete.
async fn stage(dir: &Path, ports: Ports) -> anyhow::Result<()> {
    if dir.exists() && std::fs::read_dir(dir).map(|mut d| d.next().is_some()).unwrap_or(true) {
        anyhow::bail!(
            "{} exists and is not a demo: nothing was changed; name another folder with --dir",
            dir.display()
        );
    }
    let staging = init::beside(dir)?;
    let passphrase_text = import_password(&SystemEntropy);
    let passphrase = Passphrase::new(passphrase_text.expose().clone().into_bytes())?;
    let present = SystemClock.now();
    let clock = Arc::new(StageClock(AtomicI64::new(present.plus_years_jst(-4).0)));
    init::create(&staging, &configuration(ports), "Tegata デモ認証局", &passphrase, &*clock).await?;
    write_private(&staging.join(PASSPHRASE_FILE), format!("{}\n", passphrase_text.expose()).as_bytes())?;
    let checked = deployment::config(&staging.join(CONFIG_FILE))?;
    let store = deployment::register(&checked).await?;
    let authority = deployment::authority_at(&checked, store, &passphrase, 0, clock.clone()).await?;
    let stage = Stage { authority: &authority, folder: &staging, clock: &clock, present };
    let cast = stage.play().await?;
    clock.0.store(present.0, Ordering::SeqCst);
    let first = authority.reader().customer(Actor::System { job: "demo" }.scope(), cast.users[0].customer.parse()?);
    let first = first.await?.context("the first clinic was just made")?;
    let contact = NewContact { address: "jimu@demo.example.jp".into(), label: "事務".into(), language: Language::Ja };
    let head = deployment::letterhead(&checked);
    authority.add_contact(&Actor::Operator { name: "demo".into() }, &first, contact, &head).await?;
    let ca = pem::certificate(authority.ca().root.der());
    std::fs::write(staging.join("ca.pem"), ca)?;
    authority.close().await;
    std::fs::write(staging.join(CAST_FILE), serde_json::to_vec_pretty(&cast)?)?;
    std::fs::rename(&staging, dir).with_context(|| format!("cannot move the demo to {}", dir.display()))
}

/// The sample configuration, on loopback. One tile leads to an application behind the gate, whose own port is known at each start.
fn configuration(Ports { portal: listen, orca, est, status, application, forward_auth }: Ports) -> String {
    let (start, _) = EXAMPLE.split_once("# Applications: tiles of the master menu").unwrap_or((EXAMPLE, ""));
    let hosts = r#"["localhost", "alt1.localhost", "alt2.localhost", "127.0.0.1", "::1"]"#;
    let port = listen.port();
    let settings = start
        .replace("listen = \"0.0.0.0:443\"", &format!("listen = \"{listen}\"\nalso_listen = [\"{application}\"]"))
        .replace("\"127.0.0.1:9464\"", "\"127.0.0.1:0\"")
        .replace("[\"portal.example.jp\", \"*.portal.example.jp\"]", hosts)
        .replace("https://alt1.portal.example.jp", &format!("https://alt1.localhost:{port}"))
        .replace("https://alt2.portal.example.jp", &format!("https://alt2.localhost:{port}"))
        .replace("https://portal.example.jp", &format!("https://localhost:{port}"));
    let programs = format!(
        "[orca]\nlisten = \"{orca}\"\nurl = \"https://localhost:{}\"\nhosts = {hosts}\n\
         allow_tls12 = \"demo: monsiaj speaks TLS 1.2 only\"\n\n\
         [est]\nlisten = \"{est}\"\nurl = \"https://localhost:{}\"\nhosts = {hosts}\n\
         allow_tls12 = \"demo: strongSwan 5.9 speaks TLS 1.2 unless it is told otherwise\"\n\n\
         [forward_auth]\nlisten = \"{forward_auth}\"\nurl = \"https://localhost:{}\"\nhosts = {hosts}\n\
         proxies = [\"{PROXY}\"]\n\n",
        orca.port(),
        est.port(),
        forward_auth.port()
    );
    settings
        + &programs
        + &format!(
            "[[application]]\nname_ja = \"受付一覧\"\nname_en = \"Reception\"\nurl = \"https://localhost:{}/\"\n\
             upstreams = [\"http://127.0.0.1:1\"]\n\n",
            application.port()
        )
        + "[[application]]\nname_ja = \"この端末の証明書\"\nname_en = \"This terminal's certificate\"\nurl = \"/check\"\n\n\
           [[application]]\nname_ja = \"操作ログ\"\nname_en = \"Operation log\"\nurl = \"/log\"\n"
        + &format!(
            "\n[mail]\nfolder = \"{MAIL_FOLDER}\"\nfrom = \"tegata@demo.example.jp\"\nhour = 0\non_holidays = true\n"
        )
        + &format!("\n[status]\nlisten = \"{status}\"\nurl = \"http://{status}\"\n")
}

struct Stage<'a> {
    authority: &'a Authority,
    folder: &'a Path,
    clock: &'a StageClock,
    present: Timestamp,
}

impl Stage<'_> {
    /// Two clinics, their people, and terminals in every state.
    async fn play(&self) -> anyhow::Result<Cast> {
        let operator = Actor::Operator { name: "demo".into() };
        let sunny = self
            .authority
            .add_customer(&operator, None, CustomerKind::Clinic, "103001".parse()?, "ひだまりクリニック")
            .await?;
        let blue = self
            .authority
            .add_customer(&operator, None, CustomerKind::Clinic, "103002".parse()?, "あおぞら歯科医院")
            .await?;
        let kind = CustomerKind::Operator;
        let center = self.authority.add_customer(&operator, None, kind, "000001".parse()?, "運用センター").await?;
        let mut users = Vec::new();
        let people = [
            (&sunny, "uketsuke", Role::TerminalUser),
            (&sunny, "jimu", Role::CustomerAdmin),
            (&blue, "aozora", Role::CustomerAdmin),
            (&center, "un-ei", Role::CaOfficer),
            (&center, "madoguchi", Role::HelpDesk),
        ];
        for (customer, name, role) in people {
            users.push(self.user(&operator, customer, name, role).await?);
        }
        let progress = indicatif::ProgressBar::new(7)
            .with_style(indicatif::ProgressStyle::with_template("{msg} {bar:30} {pos}/{len}")?);
        if !std::io::stderr().is_terminal() {
            progress.set_draw_target(indicatif::ProgressDrawTarget::hidden());
        }
        progress.set_message("証明書を準備しています / making certificates");
        let mut terminals = Vec::new();
        let days = |n| self.present.plus_days(Days(n));
        let two_pm = |n: i64| Timestamp::parse(&days(n).jst_date().to_string());
        let roles: [(&Customer, &str, &str, Timestamp, Option<Timestamp>); 7] = [
            (&sunny, "受付1", "due", days(-1035), Some(two_pm(60)?)),
            (&sunny, "診察室", "fresh", self.present, None),
            (&sunny, "会計", "expired", days(-1110), Some(two_pm(-20)?)),
            (&sunny, "訪問用", "revoked", days(-365), None),
            (&blue, "受付", "fresh", self.present, None),
            (&blue, "技工室", "due", days(-1035), Some(two_pm(60)?)),
            (&center, "運用1", "fresh", self.present, None),
        ];
        let mut rows = Vec::new();
        for (customer, name, ..) in &roles {
            rows.push(self.authority.add_terminal(&operator, customer.id, None, name).await?);
        }
        let mut order: Vec<usize> = (0..roles.len()).collect();
        order.sort_by_key(|index| roles[*index].3);
        for index in order {
            let (customer, _, state, issued_at, end) = roles[index];
            self.clock.0.store(issued_at.0, Ordering::SeqCst);
            terminals.push((index, self.terminal(&operator, customer, &rows[index], state, end).await?));
            progress.inc(1);
        }
        progress.finish_and_clear();
        terminals.sort_by_key(|(index, _)| *index);
        let proxy = self.proxy(&operator).await?;
        Ok(Cast { users, terminals: terminals.into_iter().map(|(_, terminal)| terminal).collect(), proxy })
    }

    /// Another reverse proxy, which asks the gate with a certificate of its own. Not one of the operator's terminals: those open the console.
    async fn proxy(&self, operator: &Actor) -> anyhow::Result<CastTerminal> {
        let (customer, _) = PROXY.split_once('/').context("customer and terminal")?;
        let (id, kind) = (Some(customer.parse()?), CustomerKind::Clinic);
        let servers = self.authority.add_customer(operator, id, kind, "900009".parse()?, "サーバー").await?;
        let terminal = self.authority.add_terminal(operator, servers.id, None, "nginx").await?;
        self.terminal(operator, &servers, &terminal, "fresh", None).await
    }

    async fn user(&self, operator: &Actor, customer: &Customer, name: &str, role: Role) -> anyhow::Result<CastUser> {
        let password: String = import_password(&SystemEntropy).expose().chars().take(11).collect();
        let new = NewUser { customer: customer.id, name: name.into(), password: Secret::new(password.clone()), role };
        let user = self.authority.add_user(operator, new).await?;
        Ok(CastUser { name: user.name, password, role: user.role.to_string(), customer: customer.id.to_string() })
    }

    async fn terminal(
        &self,
        operator: &Actor,
        customer: &Customer,
        terminal: &Terminal,
        state: &str,
        end: Option<Timestamp>,
    ) -> anyhow::Result<CastTerminal> {
        let relative = PathBuf::from("terminals").join(format!("{}-{}-{state}", customer.id, terminal.client));
        let folder = self.folder.join(&relative);
        let (written, handover) = cert::issue(
            self.authority,
            terminal,
            &folder,
            IssueOrder { end, ..IssueOrder::default() },
            Format::Standard,
        )
        .await?;
        let certificate = &handover.certificate;
        let (cert_pem, key_pem) = (relative.join("cert.pem"), relative.join("key.pem"));
        std::fs::write(self.folder.join(&cert_pem), cert::pem_chain(self.authority, &handover.leaf))?;
        write_private(&self.folder.join(&key_pem), private_key_pem(&handover.key).expose().as_bytes())?;
        let peer = PeerCert {
            fingerprint: certificate.fingerprint,
            serial: certificate.serial,
            issuer: certificate.issuer,
            terminal: certificate.terminal,
            purpose: Purpose::Client,
            not_before: certificate.not_before,
            not_after: certificate.not_after,
        };
        self.authority.first_use(&peer).await?;
        if state == "revoked" {
            self.clock.0.store(self.present.plus_days(Days(-10)).0, Ordering::SeqCst);
            self.authority.revoke(operator, certificate, RevocationReason::KeyCompromise).await?;
        }
        Ok(CastTerminal {
            name: terminal.name.clone(),
            customer: customer.id.to_string(),
            client: terminal.client.to_string(),
            state: state.to_owned(),
            p12: relative.join(written.p12.file_name().context("a file name")?),
            p12_password: handover.password.expose().clone(),
            cert_pem,
            key_pem,
            serial: certificate.serial.to_string(),
            not_after: certificate.not_after.to_string(),
        })
    }
}

/// A private key as text, for `curl` and `openssl` in the demo only; nothing else ever writes one.
fn private_key_pem(key: &LeafKey) -> Secret<String> {
    let body = Secret::new(BASE64.encode(key.pkcs8().expose()));
    let lines: Vec<&str> =
        (0..body.expose().len()).step_by(64).map(|at| &body.expose()[at..body.expose().len().min(at + 64)]).collect();
    Secret::new(format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", lines.join("\n")))
}

/// What to open, with which certificate, user and password, and what will happen.
fn guide(dir: &Path, url: &str, cast: &Cast) -> String {
    let (user, due) = (&cast.users[0], &cast.terminals[0]);
    let dir = dir.display();
    let p12 = due.p12.display();
    let end = Timestamp::parse(&due.not_after).unwrap_or(Timestamp(0));
    let (until, left) = (end.jst_text(), end.jst_days_from(SystemClock.now()));
    format!(
        "\nTegata デモを開始しました: {url}\n\
         1. {dir}/ca.pem を「信頼できる認証局」として、{dir}/{p12} を「あなたの証明書」としてブラウザーに入れます\n   \
            （終わったら、どちらもブラウザーから削除してください）。インポートのパスワード: {p12_password}\n   \
            （`tegata demo --open` なら、準備のできた専用の Chromium が開きます）\n\
         2. {url} を開き、証明書を選んで「OK」。ユーザー {user}、パスワード {password} でログインします。\n\
         3. 「{terminal}」の証明書は {until} まで（残り{left}日）なので、マスターメニューに「証明書更新チェック」が出ます。\n   \
            「更新」→「こちら」→「確認する」で、新しい証明書とパスワードが手に入ります。\n\
         \nThe Tegata demo is running: {url}\n\
         1. Import {dir}/ca.pem as an authority and {dir}/{p12} as your certificate into a browser\n   \
            (remove both when you are done). Import password: {p12_password}\n   \
            (`tegata demo --open` opens a Chromium where this is done already)\n\
         2. Open {url}, choose the certificate, press OK. Log in as {user} with password {password}.\n\
         3. The certificate of this terminal ends {until} JST, {left} days from now, so the master menu shows 証明書更新チェック\n   \
            (certificate renewal). Press 更新 (Renew), then こちら (here), then 確認する (show the password).\n\
         4. 管理者 {admin}（パスワード {admin_password}）でログインすると、「管理画面」で全端末の期限が見え、期限切れの端末に復旧コードを渡せます。\n   \
            {admin} ({admin_password}) is an administrator: 管理画面 lists all terminals and makes recovery codes for expired ones.\n{console}\
         6. 期限のお知らせのメールは {dir}/{MAIL_FOLDER} にファイルとして届きます。送り先は「管理画面」の「連絡先とお知らせ」で変えられます。\n   \
            Reminders by mail arrive as files in {dir}/{MAIL_FOLDER}; 連絡先とお知らせ (Contacts and notices) says who gets them.\n\
         \nほかの端末 / other terminals ({dir}/demo.json):\n{others}\n\
         止めるには Ctrl-C、消すには rm -r {dir} / Ctrl-C stops, rm -r {dir} removes everything.\n",
        p12_password = due.p12_password,
        user = user.name,
        password = user.password,
        terminal = due.name,
        console = console_guide(cast),
        admin = cast.users[1].name,
        admin_password = cast.users[1].password,
        others = cast.terminals[1..]
            .iter()
            .map(|t| format!("  {}/{} {} [{}] {}", t.customer, t.client, t.name, t.state, t.not_after))
            .collect::<Vec<_>>()
            .join("\n"),
    )
}

/// How the operator's own staff get in; nothing where the demo was made by a version that had none.
fn console_guide(cast: &Cast) -> String {
    let officer = cast.users.iter().find(|user| user.role == Role::CaOfficer.as_str());
    let desk = officer.and_then(|user| cast.terminals.iter().find(|terminal| terminal.customer == user.customer));
    let (Some(officer), Some(desk)) = (officer, desk) else { return String::new() };
    format!(
        "5. 運用コンソール（/console）は、「{terminal}」の証明書 {p12}（パスワード {p12_password}）とユーザー {name}（{password}）で開けます。\n   \
            The operations console (/console) opens with the certificate of {terminal} ({p12}, password {p12_password}) and user {name} ({password}).\n",
        terminal = desk.name,
        p12 = desk.p12.display(),
        p12_password = desk.p12_password,
        name = officer.name,
        password = officer.password,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_demo_configuration_is_valid_and_stays_on_loopback() {
        let [portal, orca, est, status, application, forward_auth] = [8443, 8444, 8445, 8080, 8446, 8447]
            .map(|port| SocketAddr::new(std::net::Ipv4Addr::LOCALHOST.into(), port));
        let text = configuration(Ports { portal, orca, est, status, application, forward_auth });
        let checked = Checked::parse(&text, Path::new("tegata.toml"), Path::new("/tmp")).expect("valid");
        assert_eq!(checked.config.server.url, "https://localhost:8443");
        assert_eq!(checked.config.server.alias_urls[0], "https://alt1.localhost:8443");
        assert!(checked.config.server.hosts.contains(&"alt1.localhost".to_owned()));
        assert_eq!(checked.config.application.len(), 3);
        let orca = checked.config.orca.expect("there");
        assert_eq!(orca.url, "https://localhost:8444");
        assert!(orca.listen.ip().is_loopback() && orca.allow_tls12.is_some());
        let est = checked.config.est.expect("there");
        assert!(est.listen.ip().is_loopback() && est.url == "https://localhost:8445");
        assert_eq!(checked.config.status.expect("switched on").url, "http://127.0.0.1:8080");
    }

    #[test]
    fn the_ports_differ_and_a_taken_one_is_left_alone() {
        let find = |text: String| Ports::find(text.parse().expect("an address")).expect("ports");
        let free = find("127.0.0.1:0".into());
        let mut ports = [free.portal, free.orca, free.est, free.status, free.application].map(|at| at.port());
        ports.sort_unstable();
        assert!(ports[0] != 0 && ports.windows(2).all(|two| two[0] != two[1]), "{ports:?}");
        let taken =
            std::net::TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr().map(|at| (socket, at)));
        let (_socket, at) = taken.expect("a free port");
        let beside = find(format!("127.0.0.1:{}", at.port() - 1));
        assert!(beside.portal.port() == at.port() - 1 && beside.orca != at && beside.orca.port() != 0);
    }
}
