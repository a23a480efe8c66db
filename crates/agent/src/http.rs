//! As much HTTP/1.1 as an EST client needs (RFC 9112): one request on a connection, one answer that is bounded in every direction. No
//! redirects, no cookies, no caches. Never trusts a length that the other end names.

use std::io::{self, Read};

/// The longest head and the longest body of an answer.
const MAX_HEAD: usize = 32 * 1024;
const MAX_BODY: usize = 1024 * 1024;

/// An `https:` address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    /// Name or address of the host, without brackets.
    pub host: String,
    /// 443 where the address names none.
    pub port: u16,
    /// With the slash in front, never empty.
    pub path: String,
}

/// A text that is not such an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an https:// address")]
pub struct UrlError(pub String);

impl Url {
    /// Reads `https://host[:port][/path]`.
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        let bad = || UrlError(text.to_owned());
        let rest = text.strip_prefix("https://").ok_or_else(bad)?;
        let (authority, path) = rest.find('/').map_or((rest, "/"), |at| rest.split_at(at));
        let (host, port) = host_and_port(authority, 443).ok_or_else(bad)?;
        let plain = path.bytes().all(|byte| byte.is_ascii_graphic());
        if plain { Ok(Self { host, port, path: path.to_owned() }) } else { Err(bad()) }
    }

    /// As a `Host` header and a CONNECT request have it.
    pub fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        if self.port == 443 { host } else { format!("{host}:{}", self.port) }
    }
}

/// Host and port of `http://proxy:8080`.
pub fn proxy(text: &str) -> Result<(String, u16), UrlError> {
    let rest = text.strip_prefix("http://").map(|rest| rest.trim_end_matches('/'));
    rest.and_then(|rest| host_and_port(rest, 80)).ok_or_else(|| UrlError(text.to_owned()))
}

fn host_and_port(authority: &str, otherwise: u16) -> Option<(String, u16)> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, after) = rest.split_once(']')?;
            (host, after.strip_prefix(':'))
        }
        None => authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port))),
    };
    let clean = host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b':'));
    let port = port.map_or(Some(otherwise), |port| port.parse().ok())?;
    (clean && !host.is_empty() && port != 0).then(|| (host.to_owned(), port))
}

/// What was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The status.
    pub status: u16,
    /// Names in small letters, and values, in their order.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Response {
    /// The first header of a name, written in small letters.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// Reads an answer.
pub fn read_response(stream: &mut dyn Read) -> io::Result<Response> {
    let (head, rest) = read_head(stream)?;
    let (status, headers) = parse_head(&head).ok_or_else(|| malformed("the head of the answer is not HTTP/1.1"))?;
    let mut response = Response { status, headers, body: Vec::new() };
    let mut input = rest.as_slice().chain(stream);
    if matches!(status, 204 | 304) {
        return Ok(response);
    }
    let chunked = response.header("transfer-encoding").map(str::to_ascii_lowercase);
    response.body = match (chunked.as_deref(), response.header("content-length")) {
        (Some("chunked"), _) => read_chunks(&mut input)?,
        (Some(_), _) => return Err(malformed("the answer has an unknown transfer encoding")),
        (None, Some(length)) => {
            let length = length.parse().map_err(|_| malformed("the answer has no readable length"))?;
            read_exactly(&mut input, length)?
        }
        (None, None) => {
            let mut body = Vec::new();
            let limit = u64::try_from(MAX_BODY + 1).unwrap_or(u64::MAX);
            input.take(limit).read_to_end(&mut body)?;
            body
        }
    };
    if response.body.len() > MAX_BODY { Err(malformed("the answer is too long")) } else { Ok(response) }
}

fn malformed(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// The head up to its empty line, and what was read beyond it.
fn read_head(stream: &mut dyn Read) -> io::Result<(Vec<u8>, Vec<u8>)> {
    let mut read = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let count = stream.read(&mut buffer)?;
        if count == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the connection ended before an answer"));
        }
        read.extend_from_slice(&buffer[..count]);
        if let Some(at) = read.windows(4).position(|four| four == b"\r\n\r\n") {
            let rest = read.split_off(at + 4);
            return Ok((read, rest));
        }
        if read.len() > MAX_HEAD {
            return Err(malformed("the head of the answer is too long"));
        }
    }
}

fn parse_head(head: &[u8]) -> Option<(u16, Vec<(String, String)>)> {
    let text = std::str::from_utf8(head).ok()?;
    let mut lines = text.split("\r\n");
    let status = lines.next()?.strip_prefix("HTTP/1.")?;
    let status: u16 = status.get(2..5)?.parse().ok()?;
    let headers = lines.take_while(|line| !line.is_empty()).map(|line| {
        let (name, value) = line.split_once(':')?;
        Some((name.to_ascii_lowercase(), value.trim().to_owned()))
    });
    Some((status, headers.collect::<Option<Vec<_>>>()?))
}

fn read_exactly(input: &mut dyn Read, length: usize) -> io::Result<Vec<u8>> {
    if length > MAX_BODY {
        return Err(malformed("the answer is too long"));
    }
    let mut body = vec![0; length];
    input.read_exact(&mut body)?;
    Ok(body)
}

fn read_chunks(input: &mut dyn Read) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = read_line(input)?;
        let size = line.split(';').next().unwrap_or_default().trim();
        let size = usize::from_str_radix(size, 16).map_err(|_| malformed("a chunk has no readable size"))?;
        if size == 0 {
            return Ok(body);
        }
        if size > MAX_BODY - body.len() {
            return Err(malformed("the answer is too long"));
        }
        body.extend(read_exactly(input, size)?);
        if !read_line(input)?.is_empty() {
            return Err(malformed("a chunk is longer than it says"));
        }
    }
}

fn read_line(input: &mut dyn Read) -> io::Result<String> {
    let mut line = Vec::new();
    let mut byte = [0];
    while line.len() < 256 {
        input.read_exact(&mut byte)?;
        match byte {
            [b'\n'] => {
                let text = String::from_utf8(line).map_err(|_| malformed("a line of the answer is not text"))?;
                return Ok(text.trim_end_matches('\r').to_owned());
            }
            [other] => line.push(other),
        }
    }
    Err(malformed("a line of the answer is too long"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> io::Result<Response> {
        read_response(&mut text.as_bytes())
    }

    #[test]
    fn addresses_are_https_with_host_port_and_path() {
        let check = |text, host: &str, port, path: &str, authority: &str| {
            let url = Url::parse(text).expect("an address");
            assert_eq!((url.host.as_str(), url.port, url.path.as_str()), (host, port, path));
            assert_eq!(url.authority(), authority);
        };
        check("https://portal.example.jp", "portal.example.jp", 443, "/", "portal.example.jp");
        check("https://127.0.0.1:8443/api?x=1", "127.0.0.1", 8443, "/api?x=1", "127.0.0.1:8443");
        check("https://[::1]:8443/a", "::1", 8443, "/a", "[::1]:8443");
        for wrong in [
            "http://a",
            "https://",
            "https://a:b/",
            "https://a b/",
            "https://a/\r\nX: y",
            "https://u@a/",
            "https://a:0",
        ] {
            assert!(Url::parse(wrong).is_err(), "{wrong}");
        }
        assert_eq!(proxy("http://proxy:8080/"), Ok(("proxy".into(), 8080)));
        assert!(proxy("https://proxy").is_err());
    }

    #[test]
    fn a_body_ends_by_length_by_chunks_or_with_the_connection() {
        for text in [
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhellotoo much",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
            "HTTP/1.0 200 OK\r\n\r\nhello",
        ] {
            assert_eq!(read(text).expect("readable").body, b"hello", "{text}");
        }
        let answer = read("HTTP/1.1 202 Accepted\r\nRETRY-AFTER: 60 \r\nContent-Length: 0\r\n\r\n").expect("readable");
        assert_eq!((answer.status, answer.header("retry-after")), (202, Some("60")));
    }

    #[test]
    fn half_an_answer_or_an_endless_one_is_an_error() {
        let long = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", MAX_BODY + 1);
        let endless = format!("HTTP/1.1 200 OK\r\n\r\n{}", "x".repeat(MAX_BODY + 1));
        let head = format!("HTTP/1.1 200 OK\r\nX: {}", "x".repeat(MAX_HEAD));
        for text in [
            "",
            "HTTP/1.1 200",
            "SSH-2.0-OpenSSH\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell",
            "HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhello\r\n0\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
            &long,
            &endless,
            &head,
        ] {
            assert!(read(text).is_err(), "{}", &text[..text.len().min(60)]);
        }
    }
}
