//! Makes one exception for old programs: the header line `Transfer-Encoding: identity`. RFC 2616 section 3.6 knew it, RFC 7230 removed it, and
//! our parser rightly answers 400 to it, but one of the programs that renew writes it into each request. It says nothing, so it is taken
//! out of the head of a connection's first request before the parser reads it. Nothing else is ever changed: where there is the slightest
//! doubt about how a head is to be read, all of it goes on as it came, and the parser refuses it (docs/DIVERGENCES.md). Only a listener that
//! answers one request for each connection may use this: then nothing that follows a request can be taken for another one.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

const CHUNK: usize = 4096;

/// The plain side of a connection, without that line. Public for the fuzz targets: it reads what strangers send before any parser does.
#[derive(Debug)]
pub struct WithoutIdentityCoding<IO> {
    io: IO,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    /// The head of the first request, as far as it has arrived; at most so many bytes of it.
    Collecting { head: Vec<u8>, limit: usize },
    /// That head on its way to the parser, with how far it has come.
    Releasing { head: Vec<u8>, at: usize },
    /// Everything after it, as it comes.
    Passing,
}

impl<IO> WithoutIdentityCoding<IO> {
    /// `limit` is the size of the largest head that the parser takes; a longer one goes on as it came.
    pub fn new(io: IO, limit: usize) -> Self {
        Self { io, stage: Stage::Collecting { head: Vec::new(), limit } }
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for WithoutIdentityCoding<IO> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            match &mut this.stage {
                Stage::Collecting { head, limit } => {
                    let mut chunk = [0; CHUNK];
                    let mut piece = ReadBuf::new(&mut chunk);
                    ready!(Pin::new(&mut this.io).poll_read(cx, &mut piece))?;
                    let seen = head.len();
                    head.extend_from_slice(piece.filled());
                    let is_over = piece.filled().is_empty() || head.len() > *limit;
                    if let Some(end) = end_of_head(head, seen) {
                        let head = without_identity_coding(std::mem::take(head), end);
                        this.stage = Stage::Releasing { head, at: 0 };
                    } else if is_over {
                        this.stage = Stage::Releasing { head: std::mem::take(head), at: 0 };
                    }
                }
                Stage::Releasing { head, at } => {
                    let rest = &head[*at..];
                    if rest.is_empty() {
                        this.stage = Stage::Passing;
                        continue;
                    }
                    let count = rest.len().min(buf.remaining());
                    buf.put_slice(&rest[..count]);
                    *at += count;
                    return Poll::Ready(Ok(()));
                }
                Stage::Passing => return Pin::new(&mut this.io).poll_read(cx, buf),
            }
        }
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for WithoutIdentityCoding<IO> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}

/// The first byte behind the empty line that ends a head, where it has arrived; the first `seen` bytes were looked at before. An empty line
/// may end in a bare LF, since the parser takes that too (RFC 9112 section 2.2).
fn end_of_head(bytes: &[u8], seen: usize) -> Option<usize> {
    let from = seen.saturating_sub(2);
    let line_ends = (from..bytes.len()).filter(|at| bytes[*at] == b'\n');
    line_ends.map(|at| &bytes[..=at]).find(|head| ends_in_an_empty_line(head)).map(<[u8]>::len)
}

fn ends_in_an_empty_line(head: &[u8]) -> bool {
    let line = head.strip_suffix(b"\r\n").or_else(|| head.strip_suffix(b"\n"));
    line.is_some_and(|before| before.is_empty() || before.ends_with(b"\n"))
}

/// Takes the line out of a head that ends at `end`, when there is exactly one and nothing about the head is doubtful.
fn without_identity_coding(mut bytes: Vec<u8>, end: usize) -> Vec<u8> {
    if let Some((from, to)) = identity_line(&bytes[..end]) {
        bytes.drain(from..to);
    }
    bytes
}

/// Where the one line stands, its CRLF included. None where there is none, where another line speaks of transfer codings too, or where a
/// line could be read in two ways: one that ends in a bare LF, holds a bare CR or a NUL, or continues the line before it.
fn identity_line(head: &[u8]) -> Option<(usize, usize)> {
    let mut found = None;
    let mut at = 0;
    for line in head.split_inclusive(|byte| *byte == b'\n') {
        let (from, to) = (at, at + line.len());
        at = to;
        let line = line.strip_suffix(b"\r\n")?;
        if line.contains(&b'\r') || line.contains(&0) || line.starts_with(b" ") || line.starts_with(b"\t") {
            return None;
        }
        let mentions = line.windows(17).any(|word| word.eq_ignore_ascii_case(b"transfer-encoding"));
        if from == 0 || !mentions {
            continue; // the request line is not a field, whatever its target says
        }
        if found.is_some() || !is_identity(line) {
            return None;
        }
        found = Some((from, to));
    }
    found
}

/// `Transfer-Encoding: identity`, in any case, with optional whitespace around the value and nowhere else (RFC 9112 section 5).
fn is_identity(line: &[u8]) -> bool {
    let Some((name, value)) = line.split_at_checked(18) else { return false };
    let is_space = |byte: &u8| matches!(byte, b' ' | b'\t');
    let start = value.iter().position(|byte| !is_space(byte)).unwrap_or(value.len());
    let end = value.iter().rposition(|byte| !is_space(byte)).map_or(start, |last| last + 1);
    name.eq_ignore_ascii_case(b"transfer-encoding:") && value[start..end].eq_ignore_ascii_case(b"identity")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokio::io::AsyncReadExt;

    use super::*;

    const LIMIT: usize = 512;

    /// Hands out its bytes in pieces of the given sizes, then all the rest, then its end.
    struct Pieces {
        bytes: Vec<u8>,
        sizes: Vec<usize>,
    }

    impl AsyncRead for Pieces {
        fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
            let size = self.sizes.pop().unwrap_or(usize::MAX).max(1);
            let count = size.min(self.bytes.len()).min(buf.remaining());
            let piece: Vec<u8> = self.bytes.drain(..count).collect();
            buf.put_slice(&piece);
            Poll::Ready(Ok(()))
        }
    }

    fn through(bytes: &[u8], sizes: &[usize]) -> Vec<u8> {
        let pieces = Pieces { bytes: bytes.to_vec(), sizes: sizes.to_vec() };
        let mut reader = WithoutIdentityCoding::new(pieces, LIMIT);
        let mut out = Vec::new();
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(reader.read_to_end(&mut out)).expect("no error");
        out
    }

    fn check(sent: &str, expected: &str) {
        for size in [1, 2, 3, 7, 4096] {
            let got = through(sent.as_bytes(), &vec![size; sent.len()]);
            assert_eq!(String::from_utf8_lossy(&got), expected, "{sent:?} in pieces of {size}");
        }
    }

    #[test]
    fn the_line_is_taken_out_and_the_rest_stays_byte_for_byte() {
        let rest = "POST /api/cert HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}";
        for line in [
            "Transfer-Encoding: identity\r\n",
            "transfer-encoding:identity\r\n",
            "TRANSFER-ENCODING: \t IDENTITY \t \r\n",
        ] {
            check(&rest.replace("Content-Length", &format!("{line}Content-Length")), rest);
            check(&rest.replace("2\r\n\r\n", &format!("2\r\n{line}\r\n")), rest);
        }
    }

    #[test]
    fn only_the_head_of_the_first_request_is_looked_at() {
        let first = "GET / HTTP/1.1\r\nHost: a\r\n";
        let second = "\r\nGET / HTTP/1.1\r\nTransfer-Encoding: identity\r\n\r\nTransfer-Encoding: identity\r\n";
        check(&format!("{first}{second}"), &format!("{first}{second}"));
        check(&format!("{first}Transfer-Encoding: identity\r\n{second}"), &format!("{first}{second}"));
    }

    #[test]
    fn a_head_in_doubt_goes_on_as_it_came() {
        for lines in [
            "Transfer-Encoding: chunked\r\n",
            "Transfer-Encoding: identity, chunked\r\n",
            "Transfer-Encoding: chunked, identity\r\n",
            "Transfer-Encoding: identity;q=1\r\n",
            "Transfer-Encoding: \"identity\"\r\n",
            "Transfer-Encoding: xidentity\r\n",
            "Transfer-Encoding: identity x\r\n",
            "Transfer-Encoding:\r\n",
            "Transfer-Encoding : identity\r\n",
            " Transfer-Encoding: identity\r\n",
            "X-Transfer-Encoding: identity\r\n",
            "Transfer-Encoding: identity\r\nTransfer-Encoding: identity\r\n",
            "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
            "Transfer-Encoding: identity\r\nTransfer-Encoding : chunked\r\n",
            "Transfer-Encoding: identity\r\n , chunked\r\n",
            "Transfer-Encoding:\r\n identity\r\n",
            "Transfer-Encoding:\r\n\tidentity\r\n",
            "Transfer-Encoding: identity\n",
            "Transfer-Encoding: identity\r\r\n",
            "Transfer-Encoding: identity\r\nX: a\rTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: identity\r\nX: a\nY: b\r\n",
            "Transfer-Encoding: identity\r\nX: \0\r\n",
            "Transfer-Encoding: \u{b}identity\r\n",
            "\u{0}Transfer-Encoding: identity\r\n",
        ] {
            let sent = format!("POST / HTTP/1.1\r\nHost: a\r\n{lines}\r\nbody");
            check(&sent, &sent);
        }
        for sent in [
            "",
            "\r\n",
            "\r\nPOST / HTTP/1.1\r\nTransfer-Encoding: identity\r\n\r\n",
            "Transfer-Encoding: identity\r\n\r\n",
            "POST / HTTP/1.1\r\nTransfer-Encoding: identity\r\n",
            "POST / HTTP/1.1\nTransfer-Encoding: identity\n\n",
        ] {
            check(sent, sent);
        }
    }

    #[test]
    fn a_head_that_is_too_long_goes_on_as_it_came() {
        let sent = format!("GET / HTTP/1.1\r\nTransfer-Encoding: identity\r\nX: {}\r\n\r\n", "x".repeat(5000));
        check(&sent, &sent);
    }

    /// What heads are made of, the line itself aside.
    fn part() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            Just(b"\r\n".to_vec()),
            Just(b"\n".to_vec()),
            Just(b"\r".to_vec()),
            Just(b"Transfer-Encoding".to_vec()),
            Just(b": chunked".to_vec()),
            Just(b", identity".to_vec()),
            Just(b"Content-Length: 5\r\n".to_vec()),
            Just(b"GET / HTTP/1.1\r\n".to_vec()),
            proptest::collection::vec(any::<u8>(), 0..40),
        ]
    }

    /// An independent reading of the rule: a line that, but for case and optional whitespace, is just this one.
    fn has_the_line(bytes: &[u8]) -> bool {
        let text = String::from_utf8_lossy(bytes).to_ascii_lowercase();
        text.split("\r\n").any(|line| {
            line.split_once(':').is_some_and(|(name, value)| name == "transfer-encoding" && value.trim() == "identity")
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn without_such_a_line_everything_passes_unchanged_however_it_arrives(
            parts in proptest::collection::vec(part(), 0..30),
            sizes in proptest::collection::vec(1_usize..50, 0..60),
        ) {
            let sent = parts.concat();
            prop_assume!(!has_the_line(&sent));
            prop_assert_eq!(through(&sent, &sizes), sent);
        }

        #[test]
        fn with_such_a_line_all_but_that_line_passes_however_it_arrives(
            fields in proptest::collection::vec("[A-Za-z]{1,9}: [ -~]{0,30}", 0..6),
            place in 0_usize..6,
            body in proptest::collection::vec(any::<u8>(), 0..200),
            sizes in proptest::collection::vec(1_usize..50, 0..60),
        ) {
            let place = place.min(fields.len());
            let head = |fields: &[String]| format!("POST /x HTTP/1.1\r\n{}\r\n", fields.iter().map(|f| format!("{f}\r\n")).collect::<String>());
            let mut with = fields.clone();
            with.insert(place, "Transfer-Encoding: identity".into());
            let sent = [head(&with).as_bytes(), &body].concat();
            let expected = [head(&fields).as_bytes(), &body].concat();
            prop_assert_eq!(through(&sent, &sizes), expected);
        }
    }
}
