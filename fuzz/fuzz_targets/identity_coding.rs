//! What old programs send to their listener (`tegata_gateway::identity_coding`), in pieces of every size: it passes unchanged, or without
//! exactly the one line. Then hyper reads it as that listener has it read, and the request it sees is the one that an independent reading
//! of the original bytes finds: the same method, target, fields and body, at most one request, and none that was smuggled in.
#![no_main]

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::convert::Infallible;
use std::io;
use std::ops::Range;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::LazyLock;
use std::task::{Context, Poll};

use http::{Request, Response, Uri};
use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use libfuzzer_sys::fuzz_target;
use tegata_gateway::identity_coding::WithoutIdentityCoding;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::runtime::{Builder, Runtime};

/// The largest head that is read: small, so that longer ones are met.
const LIMIT: usize = 1024;
/// How many fields hyper reads, and so do we.
const MAX_FIELDS: usize = 100;

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Builder::new_current_thread().build().expect("a runtime"));

/// A client that sends its bytes in pieces, with a pause before each, and listens to no answer.
struct Client {
    bytes: Vec<u8>,
    sent: usize,
    size: usize,
    is_pausing: bool,
}

impl Client {
    fn new(bytes: &[u8], size: usize) -> Self {
        Self { bytes: bytes.to_vec(), sent: 0, size, is_pausing: false }
    }
}

impl AsyncRead for Client {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.is_pausing = !self.is_pausing;
        if self.is_pausing {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let count = self.size.min(self.bytes.len() - self.sent).min(buf.remaining());
        buf.put_slice(&self.bytes[self.sent..self.sent + count]);
        self.sent += count;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Client {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

fn filtered(bytes: &[u8], size: usize) -> Vec<u8> {
    let mut out = Vec::new();
    let mut reader = WithoutIdentityCoding::new(Client::new(bytes, size), LIMIT);
    RUNTIME.block_on(reader.read_to_end(&mut out)).expect("no error");
    out
}

/// The lines of the first head, with the empty one that ends it; none where it does not end.
fn head_lines(bytes: &[u8]) -> Vec<Range<usize>> {
    let (mut lines, mut at) = (Vec::new(), 0);
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        lines.push(at..at + line.len());
        at += line.len();
        if line == b"\r\n" || line == b"\n" {
            return lines;
        }
    }
    Vec::new()
}

/// Where the one line is that may be taken out; none where another one is about transfer codings, or any could be read in two ways.
fn removable(bytes: &[u8]) -> Option<Range<usize>> {
    let text = |range: &Range<usize>| String::from_utf8_lossy(&bytes[range.clone()]).to_ascii_lowercase();
    let is_plain = |line: String| {
        let rest = line.strip_suffix("\r\n");
        rest.is_some_and(|rest| !rest.contains(['\r', '\0']) && !rest.starts_with([' ', '\t']))
    };
    let lines = head_lines(bytes);
    if !lines.iter().map(text).all(is_plain) {
        return None;
    }
    let mut about = lines.into_iter().skip(1).filter(|range| text(range).contains("transfer-encoding"));
    let (range, None) = (about.next()?, about.next()) else { return None };
    let line = text(&range);
    let value = line.strip_prefix("transfer-encoding:")?.strip_suffix("\r\n")?;
    (value.trim_matches([' ', '\t']) == "identity").then_some(range)
}

/// What stands in a head.
struct Head {
    method: String,
    target: String,
    fields: Vec<(String, Vec<u8>)>,
}

/// A request as it reached the service: its head, and its body if that came to its end.
type Seen = (Head, Option<Bytes>);

/// What hyper makes of it behind the filter.
fn served(bytes: &[u8], size: usize) -> Vec<Seen> {
    let seen = Rc::new(RefCell::new(Vec::new()));
    let service = service_fn(|request: Request<Incoming>| {
        let seen = Rc::clone(&seen);
        async move {
            let (parts, body) = request.into_parts();
            let fields = parts.headers.iter().map(|(name, value)| (name.to_string(), value.as_bytes().to_vec()));
            let mut head =
                Head { method: parts.method.to_string(), target: parts.uri.to_string(), fields: fields.collect() };
            head.fields.sort();
            let body = body.collect().await.ok().map(|body| body.to_bytes());
            seen.borrow_mut().push((head, body));
            Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
        }
    });
    let io = WithoutIdentityCoding::new(Client::new(bytes, size), LIMIT);
    let connection = http1::Builder::new()
        .keep_alive(false)
        .header_read_timeout(None)
        .max_header_size(LIMIT)
        .max_buf_size(64 * 1024)
        .serve_connection(TokioIo::new(io), service);
    let _ = RUNTIME.block_on(connection);
    seen.take()
}

/// An independent reading of the original bytes: the head, and where the body begins.
fn read(bytes: &[u8]) -> Option<(Head, usize)> {
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut request = httparse::Request::new(&mut fields);
    let httparse::Status::Complete(end) = request.parse(bytes).ok()? else { return None };
    let mut fields: Vec<(String, Vec<u8>)> =
        request.headers.iter().map(|field| (field.name.to_ascii_lowercase(), field.value.to_vec())).collect();
    fields.sort();
    let target = request.path?.parse::<Uri>().ok()?.to_string();
    Some((Head { method: request.method?.to_owned(), target, fields }, end))
}

/// The fields but for the lengths, and what the lengths say. Of several that say the same hyper leaves one, and none beside a transfer
/// coding, which counts alone (RFC 9112 section 6.3).
fn framing(head: &Head) -> (Vec<&(String, Vec<u8>)>, BTreeSet<usize>) {
    let (lengths, others): (Vec<_>, Vec<_>) = head.fields.iter().partition(|(name, _)| name == "content-length");
    if others.iter().any(|(name, _)| name == "transfer-encoding") {
        return (others, BTreeSet::new());
    }
    let number = |value: &[u8]| str::from_utf8(value).ok()?.parse().ok();
    (others, lengths.iter().map(|(_, value)| number(value).expect("a number, or hyper refuses it")).collect())
}

fn check(bytes: &[u8], size: usize) -> bool {
    let out = filtered(bytes, size);
    let is_changed = out != bytes;
    if is_changed {
        let line = removable(bytes).expect("only where there is the one line");
        assert_eq!(out, [&bytes[..line.start], &bytes[line.end..]].concat(), "without that line and nothing else");
    }
    let seen = served(bytes, size);
    assert!(seen.len() <= 1, "one request for each connection");
    let Some((head, body)) = seen.into_iter().next() else { return is_changed };
    let (mut expected, end) = read(bytes).expect("a request that was served is one");
    if is_changed {
        expected.fields.retain(|(name, _)| name != "transfer-encoding");
    }
    assert_eq!((&head.method, &head.target), (&expected.method, &expected.target));
    assert_eq!(framing(&head), framing(&expected));
    let is_coded = head.fields.iter().any(|(name, _)| name == "transfer-encoding");
    if let (Some(body), false) = (body, is_coded) {
        let length = framing(&head).1.first().copied().unwrap_or(0);
        assert_eq!(body, bytes[end..end + length], "what the length says, from behind the head");
    }
    is_changed
}

fuzz_target!(
    init: {
        let seed = include_bytes!("../seeds/identity_coding/identity.http");
        assert!(check(seed, 7) && served(seed, 7).len() == 1, "what the old program sends is served");
    },
    |data: &[u8]| {
        for size in [1, 2 + data.len() % 61, usize::MAX] {
            check(data, size);
        }
    }
);
