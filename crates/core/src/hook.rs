//! Where webhooks go, and where they never go: a program on the inside of a firewall that sends what strangers ask it to send is a door.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use crate::id::{CustomerId, ParseIdError};
use crate::time::Timestamp;

/// An address to post to: `https://host[:port]/path`, or `http://` at a loopback address. No user, no fragment, ASCII only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HookUrl {
    text: String,
    https: bool,
    host: String,
    port: u16,
    target: String,
}

impl HookUrl {
    /// The whole address.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it is asked over TLS.
    pub fn is_https(&self) -> bool {
        self.https
    }

    /// Host name or address, without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What stands in the `Host` field (RFC 9110 section 7.2).
    pub fn authority(&self) -> &str {
        let rest = self.text.split_once("://").map_or("", |(_, rest)| rest);
        rest.split(['/', '?']).next().unwrap_or_default()
    }

    /// Path and query.
    pub fn target(&self) -> &str {
        &self.target
    }
}

impl fmt::Display for HookUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for HookUrl {
    type Err = ParseIdError;
    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        read(text).ok_or_else(|| ParseIdError {
            text: text.chars().take(80).collect(),
            expected: "an address such as https://example.jp/hook (http:// only at a loopback address)",
        })
    }
}

fn read(text: &str) -> Option<HookUrl> {
    let plain = |b: u8| b.is_ascii_graphic() && !b"\"<>\\^`{|}#@".contains(&b);
    if text.len() > 500 || !text.bytes().all(plain) {
        return None;
    }
    let (scheme, rest) = text.split_once("://")?;
    let https = match scheme {
        "https" => true,
        "http" => false,
        _ => return None,
    };
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, target) = rest.split_at(end);
    let target = if target.starts_with('/') { target.to_owned() } else { format!("/{target}") };
    let (host, port) = match authority.strip_prefix('[') {
        Some(v6) => {
            let (host, rest) = v6.split_once(']')?;
            host.parse::<Ipv6Addr>().ok()?;
            (host, if rest.is_empty() { None } else { Some(rest.strip_prefix(':')?) })
        }
        None => authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port))),
    };
    let usual = if https { 443 } else { 80 };
    let port = port.map_or(Some(usual), |port| port.parse().ok().filter(|port| *port > 0))?;
    let address = host.parse::<IpAddr>().ok();
    let is_local = host == "localhost" || address.is_some_and(|address| address.is_loopback());
    let named = address.is_some() || host.split('.').all(is_label);
    (named && (https || is_local)).then(|| HookUrl {
        text: text.to_owned(),
        https,
        host: host.to_owned(),
        port,
        target,
    })
}

fn is_label(label: &str) -> bool {
    (1..=63).contains(&label.len())
        && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        && !label.starts_with('-')
        && !label.ends_with('-')
}

/// Whether an address is on the open network. Everything else (this machine, private and link-local networks, addresses for special uses:
/// RFC 6890) is refused unless the operator said otherwise: behind it stand routers, databases and the like, not receivers.
pub fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => is_public_v6(v6),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = matches!((a, b, c), (0 | 10 | 127 | 224.., ..))
        || matches!((a, b), (100, 64..=127) | (169, 254) | (172, 16..=31) | (192, 168) | (198, 18 | 19))
        || matches!((a, b, c), (192, 0, 0 | 2) | (192, 88, 99) | (198, 51, 100) | (203, 0, 113));
    !special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let [first, second, ..] = address.segments();
    // 2000::/3 is all that was given out; of it, documentation, and what carries other addresses inside (6to4, Teredo), are left out.
    let global = first & 0xe000 == 0x2000;
    let special = first == 0x2002 || (first == 0x2001 && (second < 0x200 || second == 0xdb8)) || first == 0x3fff;
    global && !special
}

/// Somebody's program that is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hook {
    /// Its row.
    pub id: i64,
    /// Of whose certificates it is told; `None` for all.
    pub customer: Option<CustomerId>,
    /// Where it listens.
    pub url: HookUrl,
    /// Whether it may be on a network that is not the open one.
    pub private: bool,
    /// Since when.
    pub created_at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_https_or_on_this_machine() {
        let check = |text: &str, host: &str, port, target: &str, authority: &str| {
            let url: HookUrl = text.parse().expect(text);
            assert_eq!(
                (url.host(), url.port(), url.target(), url.authority()),
                (host, port, target, authority),
                "{text}"
            );
        };
        check("https://a.example.jp/hook?x=1", "a.example.jp", 443, "/hook?x=1", "a.example.jp");
        check("https://a.example.jp", "a.example.jp", 443, "/", "a.example.jp");
        check("https://a.example.jp?x", "a.example.jp", 443, "/?x", "a.example.jp");
        check("http://127.0.0.1:8080/h", "127.0.0.1", 8080, "/h", "127.0.0.1:8080");
        check("https://[2001:db8::1]:8443/", "2001:db8::1", 8443, "/", "[2001:db8::1]:8443");
        for wrong in [
            "http://a.example.jp/",
            "ftp://a.example.jp/",
            "https://",
            "https:///x",
            "https://a.example.jp:0/",
            "https://a.example.jp:x/",
            "https://user@a.example.jp/",
            "https://a.example.jp/#x",
            "https://a.example.jp/a b",
            "https://a.example.jp/\r\nX: y",
            "https://例え.jp/",
            "https://a..jp/",
            "https://-a.jp/",
            "https://[::1/",
            "https://[::1]x/",
            "javascript:alert(1)",
        ] {
            assert!(wrong.parse::<HookUrl>().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn only_the_open_network_is_public() {
        let check = |text: &str, expected| assert_eq!(is_public(text.parse().expect("an address")), expected, "{text}");
        for open in [
            "8.8.8.8",
            "172.15.255.255",
            "172.32.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "198.20.0.0",
            "2606:4700::1",
            "2400::1",
        ] {
            check(open, true);
        }
        for closed in [
            "0.0.0.0",
            "10.1.2.3",
            "127.0.0.1",
            "127.255.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "100.64.0.1",
            "192.0.0.8",
            "192.0.2.1",
            "198.18.0.1",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "fe80::1",
            "fc00::1",
            "fd00::1",
            "ff02::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::a00:1",
            "2001:db8::1",
            "2002:a00:1::",
            "2001::1",
            "3fff::1",
        ] {
            check(closed, false);
        }
    }
}
