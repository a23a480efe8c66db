//! The accept loop: sockets in, HTTP connections out, with limits on both and a shutdown that lets running requests finish. One code for
//! the TLS listener and for the plain one of the operations port.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use http::{Request, Response};
use hyper::body::{Body, Bytes};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, timeout};
use tower::Service;

use crate::activity::{Activity, Overdue, Patience};
use crate::body::{BodyError, RequestBody};
use crate::identity_coding::WithoutIdentityCoding;
use crate::limits::{Limits, Slot, Slots};
use crate::proxy::{Applications, Visitor};
use crate::request::Line;
use crate::tls::{Accepted, TlsFront, TlsInfo};

/// How long a client that was told of the end may stay idle before the connection is dropped.
const FAREWELL: Duration = Duration::from_secs(1);
/// Flow-control windows of HTTP/2: they bound what a client can make us hold before its body is read.
const STREAM_WINDOW: u32 = 64 * 1024;
const CONNECTION_WINDOW: u32 = 256 * 1024;
/// Streams that a client may open and reset before they are accepted (CVE-2023-44487, "rapid reset").
const MAX_PENDING_RESETS: usize = 20;
const PING_INTERVAL: Duration = Duration::from_secs(20);

/// Why a listener cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Somebody else has the port.
    #[error("{0} is already in use: stop the program that listens there, or choose another port")]
    InUse(SocketAddr),
    /// The port is reserved.
    #[error("not permitted to listen on {0}: ports below 1024 need CAP_NET_BIND_SERVICE")]
    NotPermitted(SocketAddr),
    /// The address is not of this machine.
    #[error("{0} is not an address of this machine")]
    NotHere(SocketAddr),
    /// Something else.
    #[error("cannot listen on {address}: {source}")]
    Other {
        /// Where.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
}

/// What a listener speaks.
#[derive(Clone, Debug)]
pub enum Door {
    /// HTTPS; each request carries its `Peer`.
    Tls(Arc<TlsFront>),
    /// HTTPS for old programs: a connection of HTTP/1.1 ends with its first answer, and that one request may carry
    /// `Transfer-Encoding: identity`. Never for anything that is passed on to another server.
    OldPrograms(Arc<TlsFront>),
    /// HTTP without a `Peer`, for the operations port on loopback.
    Plain,
}

/// How a shutdown ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drained {
    /// Connections that were still busy when the time was up, and were cut.
    pub cut: usize,
}

/// An open socket.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    address: SocketAddr,
    applications: Applications,
}

impl Listener {
    /// Opens the socket; port 0 takes a free one.
    pub async fn bind(address: SocketAddr) -> Result<Self, BindError> {
        let explain = |source: io::Error| match source.kind() {
            io::ErrorKind::AddrInUse => BindError::InUse(address),
            io::ErrorKind::PermissionDenied => BindError::NotPermitted(address),
            io::ErrorKind::AddrNotAvailable => BindError::NotHere(address),
            _ => BindError::Other { address, source },
        };
        let socket = TcpListener::bind(address).await.map_err(explain)?;
        let address = socket.local_addr().map_err(explain)?;
        Ok(Self { socket, address, applications: Applications::default() })
    }

    /// Requests for these applications carry a [`Claim`](crate::proxy::Claim) and the [`Visitor`]; their bodies have the application's
    /// limits where the gate lets the visitor in.
    pub fn with_applications(self, applications: Applications) -> Self {
        Self { applications, ..self }
    }

    /// Where it listens.
    pub fn local_address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `shutdown` ends, then stops accepting, says goodbye on each connection, and waits for running requests as long as the
    /// limits say.
    pub async fn serve<S, B>(
        self,
        door: Door,
        limits: Limits,
        service: S,
        shutdown: impl Future<Output = ()>,
    ) -> Drained
    where
        S: Service<Request<RequestBody>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
        S::Future: Send,
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BodyError>,
    {
        let slots = Slots::new(&limits);
        let limits = Arc::new(limits);
        let (stop, stopped) = watch::channel(false);
        let mut connections = JoinSet::new();
        let mut shutdown = std::pin::pin!(shutdown);
        let mut pause = Pause::default();
        loop {
            let accepted = tokio::select! {
                biased;
                () = shutdown.as_mut() => break,
                Some(ended) = connections.join_next(), if !connections.is_empty() => {
                    note_panic(ended);
                    continue;
                }
                accepted = self.socket.accept() => accepted,
            };
            let (stream, client) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    pause.after(&error).await;
                    continue;
                }
            };
            pause = Pause::default();
            metrics::counter!("tegata_connections_total").increment(1);
            let Some(slot) = place(&slots, client) else { continue };
            let (limits, stopped) = (Arc::clone(&limits), stopped.clone());
            let applications = self.applications.clone();
            let connection =
                Connection { client, door: door.clone(), limits, stopped, applications, slot: Arc::new(slot) };
            let service = service.clone();
            connections.spawn(connection.run(stream, service));
        }
        drop(self.socket);
        let _ = stop.send(true); // nobody listens when no connection is open
        drain(connections, limits.drain_timeout).await
    }
}

fn place(slots: &Arc<Slots>, client: SocketAddr) -> Option<Slot> {
    match slots.take(client.ip()) {
        Ok(slot) => Some(slot),
        Err(full) => {
            metrics::counter!("tegata_connections_rejected_total", "reason" => full.as_str()).increment(1);
            tracing::debug!(client.address = %client.ip(), limit = full.as_str(), "connection refused");
            None
        }
    }
}

async fn drain(mut connections: JoinSet<()>, time: Duration) -> Drained {
    let all = async {
        while let Some(ended) = connections.join_next().await {
            note_panic(ended);
        }
    };
    if timeout(time, all).await.is_ok() {
        return Drained { cut: 0 };
    }
    let cut = connections.len();
    tracing::warn!(cut, "the time for a graceful shutdown is up; busy connections are cut");
    connections.shutdown().await;
    Drained { cut }
}

fn note_panic(ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(%error, "a connection ended in a panic");
    }
}

/// Slows the accept loop down while the system has nothing left to give (file descriptors, memory), instead of spinning.
#[derive(Default)]
struct Pause(u32);

impl Pause {
    async fn after(&mut self, error: &io::Error) {
        use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
        if matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted) {
            return; // the trouble of one client, who is gone
        }
        if self.0 == 0 {
            tracing::error!(%error, "cannot accept connections; is the limit on open files too low?");
        }
        metrics::counter!("tegata_connections_rejected_total", "reason" => "system").increment(1);
        tokio::time::sleep(Duration::from_millis(10 << self.0.min(6))).await;
        self.0 += 1;
    }
}

/// One connection, from its first byte to its last.
struct Connection {
    client: SocketAddr,
    door: Door,
    limits: Arc<Limits>,
    stopped: watch::Receiver<bool>,
    applications: Applications,
    /// Free again when the connection, and whatever goes on after it, has ended.
    slot: Arc<Slot>,
}

impl Connection {
    async fn run<S, B>(self, stream: TcpStream, service: S)
    where
        S: Service<Request<RequestBody>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
        S::Future: Send,
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BodyError>,
    {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY");
        }
        match self.door.clone() {
            Door::Plain => {
                let line = self.line(None);
                self.http1(line.watch(stream), service, line, true).await;
            }
            Door::Tls(front) | Door::OldPrograms(front) => {
                let mut stopped = self.stopped.clone();
                let accepted = tokio::select! {
                    accepted = self.shake_hands(&front, stream) => accepted,
                    () = stop_signal(&mut stopped) => return,
                };
                let Some(Accepted { stream, presented, leaf, info, is_h2 }) = accepted else { return };
                let (client, slot, stopped) = (self.client, Arc::clone(&self.slot), self.stopped.clone());
                let bearer = OnceLock::new();
                let visitor = Visitor { client, front, presented, leaf, _slot: slot, stopped, bearer };
                let line = self.line(Some((Arc::new(visitor), info)));
                if is_h2 {
                    self.http2(stream, service, line).await;
                } else if matches!(self.door, Door::OldPrograms(_)) {
                    let stream = WithoutIdentityCoding::new(line.watch(stream), self.header_bytes());
                    self.http1(stream, service, line, false).await;
                } else {
                    self.http1(line.watch(stream), service, line, true).await;
                }
            }
        }
    }

    fn line(&self, tls: Option<(Arc<Visitor>, TlsInfo)>) -> Arc<Line> {
        let (limits, activity, applications) = (Arc::clone(&self.limits), Activity::new(), self.applications.clone());
        Arc::new(Line { client: self.client, tls, limits, activity, applications, counter: Mutex::default() })
    }

    async fn shake_hands(&self, front: &TlsFront, stream: TcpStream) -> Option<Accepted> {
        let begun = Instant::now();
        let handshake = async {
            let stream = not_plain_http(stream).await?;
            front.accept(stream).await
        };
        let (result, version, accepted) = match timeout(self.limits.handshake_timeout, handshake).await {
            Ok(Ok(accepted)) => ("ok", accepted.info.version, Some(accepted)),
            Ok(Err(error)) => {
                tracing::debug!(client.address = %self.client.ip(), %error, "the TLS handshake failed");
                ("failed", "-", None)
            }
            Err(_) => {
                tracing::debug!(client.address = %self.client.ip(), "the TLS handshake took too long");
                ("timeout", "-", None)
            }
        };
        metrics::counter!("tegata_handshakes_total", "result" => result, "version" => version).increment(1);
        metrics::histogram!("tegata_handshake_seconds").record(begun.elapsed().as_secs_f64());
        accepted
    }

    fn header_bytes(&self) -> usize {
        usize::try_from(self.limits.max_header_bytes).unwrap_or(usize::MAX)
    }

    async fn http1<IO, S, B>(&self, io: IO, service: S, line: Arc<Line>, keep_alive: bool)
    where
        IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        S: Service<Request<RequestBody>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
        S::Future: Send,
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BodyError>,
    {
        let activity = Arc::clone(&line.activity);
        let header_bytes = self.header_bytes();
        let answer = service_fn(move |request| Arc::clone(&line).answer(service.clone(), request));
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .keep_alive(keep_alive)
            .header_read_timeout(None) // `Activity` tells a slow header from an idle connection
            .max_header_size(header_bytes)
            .max_buf_size(header_bytes.max(64 * 1024))
            .serve_connection(TokioIo::new(io), answer)
            .with_upgrades();
        self.drive(connection, http1::UpgradeableConnection::graceful_shutdown, &activity).await;
    }

    async fn http2<IO, S, B>(&self, io: IO, service: S, line: Arc<Line>)
    where
        IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        S: Service<Request<RequestBody>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
        S::Future: Send,
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BodyError>,
    {
        let activity = Arc::clone(&line.activity);
        let answer = service_fn(move |request| Arc::clone(&line).answer(service.clone(), request));
        let connection = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .max_concurrent_streams(self.limits.max_streams)
            .max_header_list_size(self.limits.max_header_bytes)
            .max_pending_accept_reset_streams(MAX_PENDING_RESETS)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_send_buf_size(64 * 1024)
            .keep_alive_interval(PING_INTERVAL)
            .keep_alive_timeout(PING_INTERVAL)
            .serve_connection(TokioIo::new(io), answer);
        self.drive(connection, http2::Connection::graceful_shutdown, &activity).await;
    }

    /// Runs a connection until it ends by itself, the client dawdles, or the server stops.
    /// `say_goodbye` has the connection end after the requests that are under way.
    async fn drive<C>(&self, connection: C, say_goodbye: fn(Pin<&mut C>), activity: &Activity)
    where
        C: Future<Output = Result<(), hyper::Error>>,
    {
        let mut connection = std::pin::pin!(connection);
        let mut stopped = self.stopped.clone();
        let mut patience = Patience::new(&self.limits);
        let mut is_told = false;
        loop {
            let overdue = tokio::select! {
                ended = connection.as_mut() => {
                    if let Err(error) = ended {
                        tracing::debug!(client.address = %self.client.ip(), %error, "the connection broke");
                    }
                    return;
                }
                () = stop_signal(&mut stopped), if !is_told => None,
                overdue = activity.overdue(patience) => Some(overdue),
            };
            patience = match overdue {
                None => patience.while_stopping(FAREWELL),
                Some(Overdue::Idle) if !is_told => {
                    self.note_cut("idle");
                    patience.at_an_end(FAREWELL)
                }
                Some(Overdue::Header) => return self.note_cut("slow-header"),
                Some(Overdue::Idle) => return,
            };
            // A request that crosses this message on the wire is still answered.
            say_goodbye(connection.as_mut());
            activity.progress();
            is_told = true;
        }
    }

    fn note_cut(&self, reason: &'static str) {
        tracing::debug!(client.address = %self.client.ip(), reason, "connection closed");
        metrics::counter!("tegata_connections_cut_total", "reason" => reason).increment(1);
    }
}

async fn stop_signal(stopped: &mut watch::Receiver<bool>) {
    // An error means that the accept loop is gone, which is a stop as well.
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

/// A person who types the address without `https://` is told so, instead of being left with a connection that breaks. TLS begins with
/// 0x16 (RFC 8446 section 5.1), a request with a capital letter.
async fn not_plain_http(mut stream: TcpStream) -> io::Result<TcpStream> {
    const TEXT: &str = "https:// で始まるアドレスを開いてください。 This address begins with https://\n";
    let mut first = [0];
    stream.peek(&mut first).await?;
    if !first[0].is_ascii_uppercase() {
        return Ok(stream);
    }
    let mut request = [0; 4096];
    let _ = stream.read(&mut request).await?;
    let head = "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n";
    stream.write_all(format!("{head}Content-Length: {}\r\n\r\n{TEXT}", TEXT.len()).as_bytes()).await?;
    stream.shutdown().await?;
    Err(io::Error::new(io::ErrorKind::InvalidData, "plain HTTP on a TLS port"))
}
