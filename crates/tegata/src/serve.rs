//! The wiring: register, authority, gate and portal become one process. The only place that knows all of them; it holds no rule.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use axum::routing::get;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tegata_authority::Authority;
use tegata_authority::checkpoint::Checkpoints;
use tegata_authority::crl::Crls;
use tegata_authority::custody::Passphrase;
use tegata_authority::elders;
use tegata_authority::ocsp::Ocsp;
use tegata_core::access::Actor;
use tegata_core::time::{Clock, Days};
use tegata_gateway::limits::Limits;
use tegata_gateway::listener::{Door, Listener};
use tegata_gateway::proxy::Applications;
use tegata_gateway::server_cert::{Reload, ServerCert};
use tegata_gateway::tls::{TlsFront, TlsSettings};
use tegata_pki::crl;
use tegata_pki::issuer::IssuerCert;
use tegata_store::{ServeLock, Store};
use tegata_web::{Health, HealthCheck, PortalConfig, StatusState, Tile, WebState};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use crate::applications::{self, Front};
use crate::config::{Checked, LogFormat, ServerNames};
use crate::delivery::Courier;
use crate::deployment;
use crate::programs::Programs;
use crate::system::{SystemClock, SystemEntropy};
use crate::trust_feed::{Speakers, TrustFeed};

/// How often lapsed bundles, ended sessions and old failures are swept out.
const SWEEP: Duration = Duration::from_secs(300);
/// How often aging answers about certificates are looked for.
const STATUS_CHECK: Duration = Duration::from_secs(60);
/// How often the operation log is looked at for rows that no checkpoint covers.
const CHECKPOINT_CHECK: Duration = Duration::from_secs(20);
/// When the operation log is verified for the first time, and how often after that.
const FIRST_VERIFICATION: Duration = Duration::from_secs(20);
const VERIFICATION: Duration = Duration::from_secs(86_400);
/// How often the files of the server certificate are looked at.
const CERTIFICATE_CHECK: Duration = Duration::from_secs(5);

/// `tegata serve`
pub async fn run(config: &Path) -> anyhow::Result<()> {
    let checked = deployment::config(config)?;
    start_log(&checked);
    let passphrase = deployment::passphrase()?;
    let server = Server::bind(checked, &passphrase).await?;
    let hangups = tokio::spawn(applications::follow_hangups(config.to_owned(), server.applications.clone()));
    let ended = server.run().await;
    hangups.abort();
    ended
}

/// Log lines on standard error, as the configuration says; the environment's RUST_LOG wins.
pub fn start_log(checked: &Checked) {
    use tracing_subscriber::EnvFilter;
    let level = checked.config.log.level.as_deref().unwrap_or("info");
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = match checked.config.log.format {
        LogFormat::Text => lines.with_ansi(false).try_init(),
        LogFormat::Json => lines.json().try_init(),
    };
    if let Err(error) = started {
        tracing::debug!(%error, "a log is running already");
    }
}

/// A deployment with its sockets open, ready to run.
pub struct Server {
    checked: Checked,
    authority: Authority,
    store: Store,
    feed: TrustFeed,
    front: Arc<TlsFront>,
    certificate: Arc<ServerCert>,
    /// The portal's, and those of applications with a port of their own.
    listeners: Vec<Listener>,
    applications: Applications,
    programs: Programs,
    courier: Courier,
    operations: Listener,
    status: Option<(Listener, Speakers)>,
    metrics: PrometheusHandle,
    checkpoints: Option<Arc<Checkpoints>>,
    _lock: ServeLock,
}

impl Server {
    /// Opens everything and binds both ports; nothing is served yet.
    pub async fn bind(checked: Checked, passphrase: &Passphrase) -> anyhow::Result<Self> {
        let settings = &checked.config.server;
        let store = deployment::register(&checked).await?;
        let lock = store.lock_for_serving()?;
        let mut listeners = vec![Listener::bind(settings.listen).await.context("server.listen")?];
        for address in &settings.also_listen {
            listeners.push(Listener::bind(*address).await.context("server.also_listen")?);
        }
        let applications = Applications::default();
        applications.replace(applications::read(&checked.config)?);
        let operations = Listener::bind(settings.operations_listen).await.context("server.operations_listen")?;
        let metrics = recorder()?;
        let pool = checked.config.authority.key_pool;
        let clock = Arc::new(SystemClock);
        let authority = deployment::authority_at(&checked, store.clone(), passphrase, pool, clock.clone()).await?;
        let max_age = u64::try_from(settings.trust_max_age_seconds).unwrap_or(0);
        let checkpoints = open_checkpoints(&checked, &store, passphrase).await;
        let status = open_status(&checked, &authority, passphrase).await?;
        let speakers = status.as_ref().map(|(_, speakers)| speakers.clone());
        let feed = TrustFeed::start(authority.clone(), max_age, speakers).await?;
        let programs = Programs::bind(&checked, &authority, feed.trust()).await?;
        let courier = Courier::new(&checked, &authority)?;
        let certificate = Arc::new(server_certificate(&checked, &authority, &settings.names()).await?);
        let tls = TlsSettings { allow_tls12: settings.allow_tls12.clone(), ..TlsSettings::default() };
        let front = TlsFront::new(tls, certificate.clone(), feed.trust().clone(), clock)?;
        Ok(Self {
            authority,
            store,
            feed,
            front,
            certificate,
            listeners,
            applications,
            programs,
            courier,
            operations,
            status,
            metrics,
            checkpoints,
            _lock: lock,
            checked,
        })
    }

    /// The address people type.
    pub fn url(&self) -> String {
        self.checked.config.server.url.clone()
    }

    /// Other names of it.
    pub fn alias_urls(&self) -> &[String] {
        &self.checked.config.server.alias_urls
    }

    /// Where ORCA's programs renew, if they may.
    pub fn orca_url(&self) -> Option<&str> {
        self.checked.config.orca.as_ref().map(|orca| orca.url.as_str())
    }

    /// Where EST is spoken to programs that are not up to the portal's TLS; the portal's own address where there is no such place.
    pub fn est_url(&self) -> &str {
        self.checked.config.est.as_ref().map_or(&self.checked.config.server.url, |est| &est.url)
    }

    /// Where the first application behind this gate is found.
    pub fn application_url(&self) -> Option<&str> {
        let mut all = self.checked.config.application.iter();
        all.find(|application| !application.upstreams.is_empty()).map(|application| application.url.as_str())
    }

    /// Where other reverse proxies ask, if they may.
    pub fn forward_auth_url(&self) -> Option<&str> {
        self.checked.config.forward_auth.as_ref().map(|asked| asked.url.as_str())
    }

    /// Where `/metrics` is.
    pub fn operations_address(&self) -> SocketAddr {
        self.operations.local_address()
    }

    /// Where all that the signing CA revoked can be fetched, as certificates and programs name it.
    pub fn crl_url(&self) -> Option<String> {
        let base = self.authority.ca().urls.crl_base.as_ref()?;
        Some(format!("{base}{}", crl::path(&self.authority.ca().cert, None)))
    }

    /// Where certificate status is answered here, if it is.
    pub fn status_address(&self) -> Option<SocketAddr> {
        self.status.as_ref().map(|(listener, _)| listener.local_address())
    }

    /// Serves until SIGTERM or Ctrl-C, then drains.
    pub async fn run(self) -> anyhow::Result<()> {
        let signals = StopSignals::catch()?; // before anybody can be told that we are ready
        let (stop, stopped) = watch::channel(false);
        let health = self.health();
        let web_state = Arc::new(self.web_state(health.clone()));
        let front = Front { portal: tegata_web::router(web_state.clone()), feed: self.feed.clone() };
        let operations = operations_router(self.metrics.clone(), health);
        let settings = &self.checked.config.server;
        let limits = Limits {
            max_connections: settings.connections,
            max_connections_per_address: settings.connections_per_address,
            drain_timeout: Duration::from_secs(settings.drain_seconds),
            ..Limits::default()
        };
        let status = self.status.map(|(listener, speakers)| {
            tokio::spawn(serve_status(listener, speakers, self.authority.clone(), wait(stopped.clone())))
        });
        let plain_limits = Limits { drain_timeout: Duration::from_secs(1), ..Limits::default() };
        let jobs = tokio::spawn(self.feed.clone().follow(self.store.commits()));
        let sweeper = tokio::spawn(sweep(self.authority.clone()));
        let keep = |names, certificate| {
            tokio::spawn(keep_certificate(self.checked.clone(), self.authority.clone(), names, certificate))
        };
        let mut background = vec![jobs, sweeper, keep(settings.names(), self.certificate.clone())];
        background.push(tokio::spawn(verify_the_log(self.checked.clone(), self.authority.clone())));
        background.extend(self.checkpoints.clone().map(|checkpoints| tokio::spawn(sign_the_log(checkpoints))));
        for (names, certificate) in self.programs.certificates() {
            background.push(keep(names, certificate));
        }
        background.push(tokio::spawn(self.courier.run()));
        let mut others = self.programs.serve(&self.feed, web_state, &limits, &stopped);
        tracing::info!(address = %self.listeners[0].local_address(), url = %settings.url, "open");
        announce(&[sd_notify::NotifyState::Ready]);
        for listener in self.listeners {
            let (listener, door) = (listener.with_applications(self.applications.clone()), self.front.clone());
            others.push(tokio::spawn(front.clone().serve(listener, door, limits.clone(), wait(stopped.clone()))));
        }
        let plain = tokio::spawn(self.operations.serve(Door::Plain, plain_limits, operations, wait(stopped)));
        signals.wait().await;
        tracing::info!("closing: no new connections, running requests may finish");
        announce(&[sd_notify::NotifyState::Stopping]);
        stop.send_replace(true);
        plain.await?;
        for other in others {
            other.await?;
        }
        if let Some(status) = status {
            status.await??;
        }
        for job in background {
            job.abort();
        }
        if let Some(checkpoints) = self.checkpoints
            && let Err(error) = checkpoints.close().await
        {
            tracing::error!(%error, "the last rows of the operation log were not signed; the next start does it");
        }
        self.authority.close().await;
        Ok(())
    }

    fn health(&self) -> HealthCheck {
        let (feed, authority) = (self.feed.clone(), self.authority.clone());
        Arc::new(move || {
            let fresh = feed.trust().health(SystemClock.now()).is_fresh();
            let mut problems = Vec::new();
            if !feed.reachable() {
                problems.push("the register does not answer".to_owned());
            }
            if !fresh {
                problems.push("the list of revoked certificates is too old: nobody is let in".to_owned());
            }
            if authority.last_verification().is_some_and(|last| last.found.is_err()) {
                problems.push("the operation log is not as it was written: run `tegata audit verify`".to_owned());
            }
            Health { ready: fresh, problems }
        })
    }

    fn web_state(&self, health: HealthCheck) -> WebState {
        let (portal, server) = (&self.checked.config.portal, &self.checked.config.server);
        let tile = |app: &crate::config::Application| Tile {
            name_ja: app.name_ja.clone(),
            name_en: app.name_en.clone(),
            url: app.url.clone(),
        };
        WebState {
            authority: self.authority.clone(),
            portal: PortalConfig {
                service_name: portal.service_name.clone(),
                operator_name: portal.operator_name.clone(),
                support_phone: portal.support_phone.clone(),
                support_hours: portal.support_hours.clone(),
                own_url: server.url.clone(),
                alias_urls: server.alias_urls.clone(),
                applications: self.checked.config.application.iter().map(tile).collect(),
                sends_mail: self.checked.config.mail.is_some(),
            },
            csrf_key: self.authority.derived_key("form tokens"),
            entropy: Arc::new(SystemEntropy),
            health,
        }
    }
}

/// The status listener's socket and the responders behind it, where the configuration wants them.
async fn open_status(
    checked: &Checked,
    authority: &Authority,
    passphrase: &Passphrase,
) -> anyhow::Result<Option<(Listener, Speakers)>> {
    let Some(address) = checked.config.status.as_ref().and_then(|status| status.listen) else { return Ok(None) };
    let listener = Listener::bind(address).await.context("status.listen")?;
    let keys = checked.path(&checked.config.authority.key_folder);
    let cas = authority.with_elders(elders::open(authority, &keys, passphrase).await?);
    let ocsp = Ocsp::open(authority.clone(), &cas).await.context("no certificate for the OCSP responder")?;
    let crls = Crls::open(authority.clone(), &cas, checked.config.authority.crl_hours);
    Ok(Some((listener, Speakers { ocsp, crls })))
}

/// What signs the operation log. Where its key is not at hand the service goes on without: the chain of hashes is written all the same.
async fn open_checkpoints(checked: &Checked, store: &Store, passphrase: &Passphrase) -> Option<Arc<Checkpoints>> {
    match deployment::checkpoints(checked, store.clone(), passphrase).await {
        Ok(checkpoints) => Some(Arc::new(checkpoints)),
        Err(error) => {
            tracing::error!(%error, "the operation log is not signed");
            None
        }
    }
}

/// Signs where the operation log stands, as often as the configuration says.
async fn sign_the_log(checkpoints: Arc<Checkpoints>) {
    let mut ticks = tokio::time::interval(CHECKPOINT_CHECK);
    let mut complaint = String::new();
    loop {
        ticks.tick().await;
        let said = match checkpoints.tend().await {
            Ok(Some(checkpoint)) => {
                let statement = checkpoint.statement;
                tracing::debug!(number = statement.number, rows = statement.rows, "the operation log was signed");
                String::new()
            }
            Ok(None) => String::new(),
            Err(error) => error.to_string(),
        };
        if !said.is_empty() && said != complaint {
            tracing::error!(error = said, "the operation log could not be signed; it is tried again");
        }
        complaint = said;
    }
}

/// Verifies the operation log once a day; what is found is on the page of the log, in `/healthz`, and in the log of this process.
async fn verify_the_log(checked: Checked, authority: Authority) {
    let mut ticks = tokio::time::interval_at(tokio::time::Instant::now() + FIRST_VERIFICATION, VERIFICATION);
    loop {
        ticks.tick().await;
        let elsewhere = deployment::checkpoint_lines(&checked).unwrap_or_else(|error| {
            tracing::error!(%error, "the file of checkpoints cannot be read; the operation log is verified without it");
            Vec::new()
        });
        match authority.verify_log(&elsewhere).await.map(|last| last.found) {
            Ok(Ok(_)) => metrics::gauge!("tegata_operation_log_intact").set(1.0),
            Ok(Err(contradiction)) => {
                metrics::gauge!("tegata_operation_log_intact").set(0.0);
                tracing::error!(%contradiction, "the operation log is NOT as it was written");
            }
            Err(error) => {
                tracing::error!(%error, "the operation log could not be verified; it is tried again tomorrow")
            }
        }
    }
}

/// Certificate status, revocation lists and the CAs' certificates, in plain HTTP for everybody.
async fn serve_status(
    listener: Listener,
    speakers: Speakers,
    authority: Authority,
    stopped: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    let scope = Actor::System { job: "status" }.scope();
    let mut certificates = vec![authority.ca().root.clone()];
    for row in authority.reader().issuers(scope).await? {
        certificates.push(IssuerCert::from_der(&row.der)?);
    }
    let limits = Limits {
        max_body_bytes: tegata_pki::ocsp::MAX_REQUEST,
        body_timeout: Duration::from_secs(5),
        drain_timeout: Duration::from_secs(5),
        ..Limits::default()
    };
    tracing::info!(address = %listener.local_address(), "certificate status is answered");
    let tending = tokio::spawn(tend(speakers.clone()));
    let Speakers { ocsp, crls } = speakers;
    let service = tegata_web::status_service(StatusState { ocsp, crls, certificates });
    listener.serve(Door::Plain, limits, service, stopped).await;
    tending.abort();
    Ok(())
}

/// Signs again what begins to age, and replaces the responders' certificates in time.
async fn tend(Speakers { ocsp, crls }: Speakers) {
    let mut ticks = tokio::time::interval(STATUS_CHECK);
    loop {
        ticks.tick().await;
        if let Err(error) = ocsp.tend().await {
            tracing::error!(%error, "answers about certificates were not signed ahead; it is tried again in a minute");
        }
        if let Err(error) = crls.tend().await {
            tracing::error!(%error, "the revocation lists were not signed; it is tried again in a minute");
        }
    }
}

/// The operations port: health and metrics, in plain HTTP on loopback.
fn operations_router(metrics: PrometheusHandle, health: HealthCheck) -> Router {
    tegata_web::health_router(health).route("/metrics", get(move || async move { metrics.render() }))
}

/// One recorder for the process, which tests may start several servers in.
fn recorder() -> anyhow::Result<PrometheusHandle> {
    static HANDLE: std::sync::OnceLock<PrometheusHandle> = std::sync::OnceLock::new();
    if let Some(handle) = HANDLE.get() {
        return Ok(handle.clone());
    }
    let handle = PrometheusBuilder::new().install_recorder().context("metrics cannot be recorded")?;
    Ok(HANDLE.get_or_init(|| handle).clone())
}

/// The certificate of a listener: from the configured files, or a fresh one of our own CA.
pub(crate) async fn server_certificate(
    checked: &Checked,
    authority: &Authority,
    names: &ServerNames,
) -> anyhow::Result<ServerCert> {
    let now = SystemClock.now();
    if let Some((chain, key)) = &names.files {
        return Ok(ServerCert::from_files(&checked.path(chain), &checked.path(key), now)?);
    }
    let issued = authority.issue_server(&names.hosts).await.context("no server certificate for these hosts")?;
    Ok(ServerCert::from_der(issued.chain, &issued.key, now)?)
}

/// Looks at the certificate's files every few seconds, or replaces our own certificate before it ends.
async fn keep_certificate(checked: Checked, authority: Authority, names: ServerNames, certificate: Arc<ServerCert>) {
    let mut ticks = tokio::time::interval(CERTIFICATE_CHECK);
    let mut complaint = String::new();
    let mut not_before_next_try = SystemClock.now();
    loop {
        ticks.tick().await;
        let now = SystemClock.now();
        let outcome = if names.files.is_some() {
            certificate.reload_if_changed(now).map(|reload| match reload {
                Reload::Replaced { not_after } => tracing::info!(%not_after, "the server certificate was read again"),
                Reload::Unchanged => {}
            })
        } else if now >= not_before_next_try && is_due(&checked, &authority, &certificate) {
            not_before_next_try = now.plus_seconds(3600);
            match authority.issue_server(&names.hosts).await {
                Ok(issued) => certificate.replace(issued.chain, &issued.key, now),
                Err(error) => {
                    tracing::error!(%error, "the server certificate could not be replaced; it is tried again in an hour");
                    Ok(())
                }
            }
        } else {
            Ok(())
        };
        let said = outcome.err().map(|error| error.to_string()).unwrap_or_default();
        if !said.is_empty() && said != complaint {
            tracing::error!(error = said, "the server certificate could not be read again; the old one stays in use");
        }
        complaint = said;
    }
}

/// Whether our own server certificate nears its end, and another one would live longer: near the CA's own end it would not.
fn is_due(checked: &Checked, authority: &Authority, certificate: &ServerCert) -> bool {
    let end = certificate.not_after();
    let window = checked.server_profile.renewal_window();
    let room = authority.ca().cert.validity().not_after;
    SystemClock.now() >= end.plus_days(Days(-window.0)) && room >= end.plus_days(window)
}

async fn sweep(authority: Authority) {
    let mut ticks = tokio::time::interval(SWEEP);
    loop {
        ticks.tick().await;
        match authority.sweep().await {
            Ok(0) => {}
            Ok(erased) => tracing::info!(erased, "keys and passwords of lapsed bundles were erased"),
            Err(error) => tracing::error!(%error, "sweeping failed; it is tried again in a few minutes"),
        }
    }
}

pub(crate) async fn wait(mut stopped: watch::Receiver<bool>) {
    // An error means that the sender is gone, which is a stop as well.
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

/// SIGTERM and Ctrl-C, caught from the moment this is made.
struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignals {
    fn catch() -> anyhow::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn wait(mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

fn announce(states: &[sd_notify::NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "systemd was not told");
    }
}
