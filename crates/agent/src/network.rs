//! The real network: TCP, an HTTP proxy where one is set, TLS 1.3 by rustls, one request on each connection. Sessions are never resumed, so
//! that each request proves the certificate anew.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::time_provider::TimeProvider;
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, RootCertStore, SignatureScheme, StreamOwned};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use tegata_core::time::Timestamp;

use crate::credential::Credential;
use crate::http::{self, Url};
use crate::transport::{Assurance, Request, Response, Transport, TransportError};

/// How long to wait for a connection, for the next octets, and for a whole answer.
const CONNECT: Duration = Duration::from_secs(10);
const SILENCE: Duration = Duration::from_secs(30);
const WHOLE: Duration = Duration::from_secs(120);

/// The network of this machine.
#[derive(Clone, Debug, Default)]
pub struct Network {
    proxy: Option<(String, u16)>,
}

impl Network {
    /// By way of a proxy (`http://proxy:8080`), or directly.
    pub fn new(proxy: Option<&str>) -> Result<Self, TransportError> {
        Ok(Self { proxy: proxy.map(http::proxy).transpose()? })
    }

    fn connect(&self, url: &Url) -> Result<TcpStream, TransportError> {
        let Some((host, port)) = &self.proxy else { return dial(&url.host, url.port) };
        let mut stream = dial(host, *port)?;
        let authority = if url.authority().ends_with(&format!(":{}", url.port)) {
            url.authority()
        } else {
            format!("{}:443", url.authority())
        };
        let asked = write!(stream, "CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n");
        asked.map_err(|error| TransportError::Proxy(error.to_string()))?;
        match connect_answer(&mut stream) {
            Ok(200..=299) => Ok(stream),
            Ok(status) => Err(TransportError::Proxy(format!("it answers {status}"))),
            Err(error) => Err(TransportError::Proxy(error.to_string())),
        }
    }
}

/// The status of a proxy's answer. Read octet by octet: what follows belongs to TLS.
fn connect_answer(stream: &mut TcpStream) -> io::Result<u16> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && head.len() < 8192 {
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    // The body of a refusal is of no use.
    let status = std::str::from_utf8(&head).ok().and_then(|text| text.strip_prefix("HTTP/1.")?.get(2..5)?.parse().ok());
    status.ok_or_else(|| io::Error::other("its answer is not HTTP"))
}

fn dial(host: &str, port: u16) -> Result<TcpStream, TransportError> {
    let found =
        (host, port).to_socket_addrs().map_err(|error| TransportError::Name(host.to_owned(), error.to_string()))?;
    let mut last = "the name has no address".to_owned();
    for address in found {
        match TcpStream::connect_timeout(&address, CONNECT) {
            Ok(stream) => {
                let timed =
                    stream.set_read_timeout(Some(SILENCE)).and_then(|()| stream.set_write_timeout(Some(SILENCE)));
                timed.map_err(|error| TransportError::Connect(address.to_string(), error.to_string()))?;
                return Ok(stream);
            }
            Err(error) => last = error.to_string(),
        }
    }
    Err(TransportError::Connect(format!("{host}:{port}"), last))
}

impl Transport for Network {
    fn send(&self, request: &Request<'_>) -> Result<Response, TransportError> {
        let url = Url::parse(request.url)?;
        let config = config(request.assurance, request.credential, request.now)?;
        let name = ServerName::try_from(url.host.clone())
            .map_err(|_| TransportError::Url(http::UrlError(request.url.to_owned())))?;
        let stream = Hurried { stream: self.connect(&url)?, started: Instant::now() };
        let connection =
            ClientConnection::new(Arc::new(config), name).map_err(|error| TransportError::Tls(error.to_string()))?;
        let mut tls = StreamOwned::new(connection, stream);
        tls.write_all(&head(request, &url)).and_then(|()| tls.write_all(request.body)).map_err(broken)?;
        tls.flush().map_err(broken)?;
        http::read_response(&mut tls).map_err(broken)
    }
}

fn head(request: &Request<'_>, url: &Url) -> Vec<u8> {
    let mut head = format!(
        "{} {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: tegata-agent/{}\r\nConnection: close\r\n",
        request.method,
        url.path,
        url.authority(),
        env!("CARGO_PKG_VERSION")
    );
    for (name, value) in &request.headers {
        head.push_str(&format!("{name}: {}\r\n", value.expose()));
    }
    if request.method == "POST" {
        head.push_str(&format!("Content-Length: {}\r\n", request.body.len()));
    }
    head.push_str("\r\n");
    head.into_bytes()
}

/// A stream that ends when an answer takes too long as a whole, however busily it drips.
struct Hurried {
    stream: TcpStream,
    started: Instant,
}

impl Hurried {
    fn in_time(&self) -> io::Result<()> {
        if self.started.elapsed() > WHOLE { Err(io::ErrorKind::TimedOut.into()) } else { Ok(()) }
    }
}

impl Read for Hurried {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.in_time()?;
        self.stream.read(buffer)
    }
}

impl Write for Hurried {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.in_time()?;
        self.stream.write(buffer)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

fn broken(error: io::Error) -> TransportError {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::InvalidCertificate(why)) => TransportError::Certificate(why.to_string()),
        Some(other) => TransportError::Tls(other.to_string()),
        None => match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => TransportError::Broken("it took too long".into()),
            _ => TransportError::Broken(error.to_string()),
        },
    }
}

/// The present, as the engine was told it.
#[derive(Debug)]
struct At(Timestamp);

impl TimeProvider for At {
    fn current_time(&self) -> Option<UnixTime> {
        let seconds = u64::try_from(self.0.0).ok()?;
        Some(UnixTime::since_unix_epoch(Duration::from_secs(seconds)))
    }
}

fn config(
    assurance: Assurance<'_>,
    credential: Option<&Credential>,
    now: Timestamp,
) -> Result<ClientConfig, TransportError> {
    let tls = |error: rustls::Error| TransportError::Tls(error.to_string());
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_details(provider.clone(), Arc::new(At(now)));
    let builder = builder.with_protocol_versions(&[&rustls::version::TLS13]).map_err(tls)?;
    let builder = builder.dangerous().with_custom_certificate_verifier(verifier(assurance, &provider)?);
    let mut config = match credential {
        None => builder.with_no_client_auth(),
        Some(credential) => {
            let chain = credential.chain().iter().map(|der| CertificateDer::from(der.clone())).collect();
            let key = PrivatePkcs8KeyDer::from(credential.key().pkcs8().expose().clone());
            builder.with_client_auth_cert(chain, PrivateKeyDer::Pkcs8(key)).map_err(tls)?
        }
    };
    config.resumption = Resumption::disabled();
    Ok(config)
}

fn verifier(
    assurance: Assurance<'_>,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>, TransportError> {
    let Assurance::Roots(roots) = assurance else { return Ok(Arc::new(Anybody(provider.clone()))) };
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(roots.iter().map(|der| CertificateDer::from(der.clone())));
    let built = WebPkiServerVerifier::builder_with_provider(Arc::new(store), provider.clone()).build();
    Ok(built.map_err(|error| TransportError::Certificate(error.to_string()))?)
}

/// Believes anybody who holds the key of whatever certificate it shows. Only for [`Assurance::None`].
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
