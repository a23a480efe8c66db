//! How many certificates a second programs renew over EST, durably and with their row in the operation log: over kept connections, and with
//! a full handshake each. `bench/run.sh est` runs it; docs/CAPACITY.md says what was measured. Every request brings a fresh key, every
//! answer is read. Not a test: nothing here asserts a time.

#![expect(clippy::print_stdout, reason = "a bench prints its report")]

#[path = "../tests/it/bed.rs"]
#[expect(dead_code, reason = "shared with the tests, which use all of it")]
mod bed;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bed::{Bed, Held, clinic, now};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tegata_authority::IssueOrder;
use tegata_core::profile::{KeyKind, Purpose};
use tegata_core::time::Days;
use tegata_pki::csr;
use tegata_pki::key::LeafKey;
use tegata_pki::signer::{Curve, Signer, SoftwareSigner};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// What is measured, from the command line.
struct Plan {
    rounds: usize,
    requests: usize,
    handshakes: usize,
    connections: usize,
    json: bool,
}

impl Plan {
    fn read() -> Self {
        let words: Vec<String> = std::env::args().collect();
        let quick = words.iter().any(|word| word == "--quick");
        let connections = words.iter().find_map(|word| word.strip_prefix("--connections=")?.parse().ok()).unwrap_or(32);
        let (rounds, requests, handshakes) = if quick { (1, 4_000, 1_000) } else { (5, 20_000, 3_000) };
        Self { rounds, requests, handshakes, connections, json: words.iter().any(|word| word == "--json") }
    }
}

/// A terminal that is due, ready to connect.
struct Client {
    connector: TlsConnector,
    certificate: Vec<u8>,
    san: String,
}

/// Times of one round.
struct Round {
    per_second: f64,
    p50_ms: f64,
    p99_ms: f64,
    server_cpu_us: f64,
}

/// How often a terminal renews over one connection before the next one has its turn: as often as it may within a day
/// (`limits.daily_certificates` where nobody sets it).
const TURNS: usize = 24;

fn main() {
    let plan = Plan::read();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(measure(&plan));
}

async fn measure(plan: &Plan) {
    let floor_us = floor();
    let bed = Bed::new();
    let config = std::fs::read_to_string(bed.config()).expect("readable");
    let config = config
        .replace("# daily_certificates = 24", "daily_certificates = 1000000")
        .replace("level = \"info\"", "level = \"warn\"")
        .replace("connections_per_address = 256", "connections_per_address = 4096");
    std::fs::write(bed.config(), config).expect("writable");
    let terminals = (plan.requests / TURNS).max(plan.handshakes / 2);
    let clients = prepare(&bed, terminals).await;
    let server = bed.serve();
    let pid = server.0.id();
    let (mut kept, mut each) = (Vec::new(), Vec::new());
    for _ in 0..plan.rounds {
        kept.push(round(&bed, &clients, plan.requests, plan.connections, TURNS, pid).await);
        each.push(round(&bed, &clients, plan.handshakes, plan.connections, 1, pid).await);
    }
    let (kept, each) = (middle(&kept), middle(&each));
    if !plan.json {
        println!("floor (one request verified, one P-256 signature): {floor_us:.1} us");
        for (name, round) in [("kept connections", &kept), ("a handshake each", &each)] {
            println!(
                "{name:<18} {:>7.0}/s  p50 {:.2} ms  p99 {:.2} ms  server {:.0} us ({:.2} x floor)",
                round.per_second,
                round.p50_ms,
                round.p99_ms,
                round.server_cpu_us,
                round.server_cpu_us / floor_us
            );
        }
    }
    let value = serde_json::json!({
        "scenario": "est",
        "rounds": plan.rounds,
        "connections": plan.connections,
        "per_second": kept.per_second.round(),
        "p50_ms": rounded(kept.p50_ms),
        "p99_ms": rounded(kept.p99_ms),
        "server_cpu_us": rounded(kept.server_cpu_us),
        "floor_us": rounded(floor_us),
        "ratio": rounded(kept.server_cpu_us / floor_us),
        "handshake_per_second": each.per_second.round(),
        "handshake_p50_ms": rounded(each.p50_ms),
        "handshake_p99_ms": rounded(each.p99_ms),
        "handshake_server_cpu_us": rounded(each.server_cpu_us),
    });
    println!("{value}");
}

fn rounded(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

fn middle(rounds: &[Round]) -> Round {
    let of = |value: fn(&Round) -> f64| {
        let mut values: Vec<f64> = rounds.iter().map(value).collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    Round {
        per_second: of(|round| round.per_second),
        p50_ms: of(|round| round.p50_ms),
        p99_ms: of(|round| round.p99_ms),
        server_cpu_us: of(|round| round.server_cpu_us),
    }
}

/// The least that any CA must do for a request: verify it, and sign the certificate. In microseconds of one core.
fn floor() -> f64 {
    const TIMES: u32 = 4_000;
    let key = LeafKey::generate(KeyKind::P256).expect("generated");
    let request = csr::build(&key, "floor").expect("built");
    let (signer, _) = SoftwareSigner::generate(Curve::P256).expect("generated");
    let mut best = f64::MAX;
    for _ in 0..5 {
        let begun = Instant::now();
        for _ in 0..TIMES {
            std::hint::black_box(csr::parse(std::hint::black_box(&request)).expect("readable"));
            std::hint::black_box(signer.sign(std::hint::black_box(&request)).expect("signed"));
        }
        best = best.min(begun.elapsed().as_secs_f64() * 1e6 / f64::from(TIMES));
    }
    best
}

/// Terminals with certificates of their own that are due.
async fn prepare(bed: &Bed, terminals: usize) -> Arc<Vec<Client>> {
    let authority = bed.authority().await;
    let end = now().plus_days(Days(60));
    let mut clients = Vec::new();
    let roots = Arc::new(roots(bed));
    for first in (0..terminals).step_by(1000) {
        let number = u32::try_from(first / 1000).expect("few customers");
        let customer = clinic(&authority, &format!("{:06}", 200_000 + number)).await;
        let batch = (0..1000.min(terminals - first)).map(|_| issue(&authority, customer, end));
        let issued = futures_util::future::join_all(batch).await;
        clients.extend(issued.into_iter().map(|(terminal, held)| client(&roots, &terminal, &held)));
    }
    authority.close().await;
    Arc::new(clients)
}

async fn issue(
    authority: &tegata_authority::Authority,
    customer: tegata_core::id::CustomerId,
    end: tegata_core::time::Timestamp,
) -> (tegata_core::terminal::Terminal, Held) {
    let operator = bed::operator();
    let terminal = authority.add_terminal(&operator, customer, None, "端末").await.expect("added");
    let order = IssueOrder { end: Some(end), ..IssueOrder::default() };
    let handover = authority.issue(&operator, &terminal, order).await.expect("issued");
    (terminal, bed::held(&handover.leaf, handover.key.pkcs8().expose()))
}

fn roots(bed: &Bed) -> rustls::RootCertStore {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(&bed.ca()).expect("a certificate")).expect("a root");
    roots
}

fn client(roots: &Arc<rustls::RootCertStore>, terminal: &tegata_core::terminal::Terminal, held: &Held) -> Client {
    let certificate = CertificateDer::from_pem_slice(&held.pem).expect("a certificate");
    let key = PrivateKeyDer::from_pem_slice(&held.pem).expect("a key");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("TLS 1.3")
        .with_root_certificates(Arc::clone(roots))
        .with_client_auth_cert(vec![certificate.clone()], key);
    let mut config = config.expect("certificate and key");
    config.resumption = rustls::client::Resumption::disabled();
    let san = terminal.id.san_uri(Purpose::Client).expect("terminals have one");
    Client { connector: TlsConnector::from(Arc::new(config)), certificate: certificate.to_vec(), san }
}

/// `requests` renewals in all by `connections` at once; each connection serves `turns` of them and gives way to the next terminal.
async fn round(
    bed: &Bed,
    clients: &Arc<Vec<Client>>,
    requests: usize,
    connections: usize,
    turns: usize,
    pid: u32,
) -> Round {
    // Keys and requests are made before the clock starts: that is the terminals' work.
    let sessions = requests / turns;
    let bodies: Vec<Vec<Vec<u8>>> = (0..sessions).map(|at| bodies(&clients[at % clients.len()], turns)).collect();
    let (bodies, next) = (Arc::new(bodies), Arc::new(AtomicUsize::new(0)));
    let address = bed.address;
    let before = cpu_us(pid);
    let begun = Instant::now();
    let workers = (0..connections).map(|_| {
        let (clients, bodies, next) = (Arc::clone(clients), Arc::clone(&bodies), Arc::clone(&next));
        tokio::spawn(async move {
            let mut times = Vec::new();
            loop {
                let at = next.fetch_add(1, Ordering::Relaxed);
                let Some(session) = bodies.get(at) else { return times };
                let started = Instant::now();
                let mut stream = connect(&clients[at % clients.len()], address).await;
                let handshake = started.elapsed();
                for (number, body) in session.iter().enumerate() {
                    let started = Instant::now();
                    ask(&mut stream, body).await;
                    // A handshake belongs to its request where each request has one of its own.
                    let with = if session.len() == 1 && number == 0 { handshake } else { Duration::ZERO };
                    times.push(started.elapsed() + with);
                }
            }
        })
    });
    let mut times = Vec::new();
    for worker in futures_util::future::join_all(workers).await {
        times.extend(worker.expect("a worker ends"));
    }
    let wall = begun.elapsed().as_secs_f64();
    let cpu = cpu_us(pid) - before;
    times.sort();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
    let count = times.len() as f64;
    Round { per_second: count / wall, p50_ms: at(0.5), p99_ms: at(0.99), server_cpu_us: cpu / count }
}

fn bodies(client: &Client, turns: usize) -> Vec<Vec<u8>> {
    let body = |_| {
        let key = LeafKey::generate(KeyKind::P256).expect("generated");
        let request = csr::build_for(&key, &client.certificate, &client.san).expect("built");
        let text = STANDARD.encode(request);
        let head = format!(
            "POST /.well-known/est/simplereenroll HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/pkcs10\r\n\
             Content-Length: {}\r\n\r\n",
            text.len()
        );
        (head + &text).into_bytes()
    };
    (0..turns).map(body).collect()
}

async fn connect(client: &Client, address: std::net::SocketAddr) -> TlsStream<tokio::net::TcpStream> {
    let stream = tokio::net::TcpStream::connect(address).await.expect("connected");
    stream.set_nodelay(true).expect("set");
    client.connector.connect(ServerName::try_from("localhost").expect("a name"), stream).await.expect("a handshake")
}

/// One request, its whole answer read; anything but a certificate ends the bench.
async fn ask(stream: &mut TlsStream<tokio::net::TcpStream>, request: &[u8]) {
    stream.write_all(request).await.expect("written");
    stream.flush().await.expect("written");
    let mut answer = Vec::with_capacity(4096);
    loop {
        assert!(stream.read_buf(&mut answer).await.expect("read") > 0, "{}", String::from_utf8_lossy(&answer));
        let Some(end) = answer.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&answer[..end]).to_ascii_lowercase();
        assert!(head.starts_with("http/1.1 200"), "{}", String::from_utf8_lossy(&answer));
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.trim().parse::<usize>().ok());
        if answer.len() >= end + 4 + length.expect("a length") {
            return;
        }
    }
}

/// Processor time of a process so far, in microseconds (proc(5): fields 14 and 15, in hundredths of a second).
fn cpu_us(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("the server runs");
    let (_, rest) = stat.rsplit_once(") ").expect("a name in parentheses");
    let field = |at: usize| rest.split(' ').nth(at).and_then(|word| word.parse::<f64>().ok()).expect("a number");
    (field(11) + field(12)) * 10_000.0
}
