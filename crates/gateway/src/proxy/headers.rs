//! Header fields on their way through: those of one connection only stay behind (RFC 9110 section 7.6.1), those by which somebody could
//! pass himself off as another are thrown away, and those that say how the request came here are written anew (RFC 7239).

use std::net::{IpAddr, SocketAddr};

use http::header::{
    CONNECTION, COOKIE, EXPECT, FORWARDED, HOST, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, SET_COOKIE, TE,
    TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, HeaderName, HeaderValue};

/// Cookies with this in their name are the portal's: an application never sees them and never sets them.
const OUR_COOKIES: &str = "__Host-tegata-";

/// Whether applications may believe that only we write this field. Many read `X_Tegata_User` or `x.tegata.user` as `X-Tegata-User`, so
/// everything that is not a letter or digit counts as a hyphen.
pub(crate) fn is_ours_alone(name: &str) -> bool {
    let plain: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect();
    let beginnings = ["x-tegata-", "x-forwarded-", "x-ssl-", "x-client-cert", "client-cert"];
    beginnings.iter().any(|beginning| plain.starts_with(beginning)) || OURS_ALONE.contains(&plain.as_str())
}

/// Others that applications believe, since other gates write them; and `Proxy`, which CGI programs take for a setting (CVE-2016-5385).
const OURS_ALONE: [&str; 6] = ["forwarded", "x-real-ip", "x-tegata", "true-client-ip", "proxy", "cf-connecting-ip"];

/// Whether a request asks to leave HTTP for a WebSocket (RFC 6455 section 4.1). Nothing else is passed on: in a tunnel of `h2c` (or of
/// whatever else an application speaks) requests would follow that nobody here has looked at.
pub(crate) fn asks_for_websocket(headers: &HeaderMap) -> bool {
    listed(headers).any(|name| name.eq_ignore_ascii_case("upgrade")) && names_websocket(headers)
}

/// Whether `Upgrade` names a WebSocket, and nothing beside it.
pub(crate) fn names_websocket(headers: &HeaderMap) -> bool {
    let mut fields = headers.get_all(UPGRADE).iter();
    let only = fields.next().filter(|_| fields.next().is_none());
    only.is_some_and(|value| value.as_bytes().trim_ascii().eq_ignore_ascii_case(b"websocket"))
}

/// Says that the connection becomes a WebSocket.
pub(crate) fn write_upgrade(headers: &mut HeaderMap) {
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
}

/// The names in `Connection`.
fn listed(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(',').map(str::trim))
}

/// Leaves behind what is for one connection only.
fn strip_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = listed(headers).filter_map(|name| name.parse().ok()).collect();
    for name in named {
        headers.remove(name);
    }
    for name in [CONNECTION, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TRANSFER_ENCODING, UPGRADE] {
        headers.remove(name);
    }
    for name in ["keep-alive", "proxy-connection", "http2-settings"] {
        headers.remove(name);
    }
}

/// Readies a request's fields for the application; the identity is added afterwards, so that nothing that the client lists or sends can
/// take it away.
pub(crate) fn towards_application(headers: &mut HeaderMap, client: SocketAddr, host: Option<&HeaderValue>) {
    let trailers = headers.get(TE).and_then(|te| te.to_str().ok()).is_some_and(|te| {
        te.split(',').any(|coding| coding.trim().eq_ignore_ascii_case("trailers")) // the one that RFC 9110 section 10.1.4 passes on
    });
    strip_hop_by_hop(headers);
    // hyper has promised the client to go on; the application gets the body without being asked.
    headers.remove(EXPECT);
    headers.remove(TE);
    if trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
    }
    remove_forged(headers);
    hide_our_cookies(headers);
    let text = |value: String| HeaderValue::from_str(&value).ok();
    let node = match client.ip().to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("\"[{address}]\""),
    };
    let named = host.and_then(|host| host.to_str().ok());
    let forwarded = match named {
        Some(host) => format!("for={node};host=\"{host}\";proto=https"),
        None => format!("for={node};proto=https"),
    };
    let fields = [
        (FORWARDED, text(forwarded)),
        (HeaderName::from_static("x-forwarded-for"), text(client.ip().to_canonical().to_string())),
        (HeaderName::from_static("x-forwarded-host"), host.cloned()),
        (HeaderName::from_static("x-forwarded-proto"), Some(HeaderValue::from_static("https"))),
    ];
    for (name, value) in fields {
        if let Some(value) = value {
            headers.insert(name, value);
        }
    }
    if let Some(host) = host {
        headers.insert(HOST, host.clone());
    }
}

/// Throws away whatever only we may say; of trailers, too.
pub(crate) fn remove_forged(headers: &mut HeaderMap) {
    let forged: Vec<HeaderName> = headers.keys().filter(|name| is_ours_alone(name.as_str())).cloned().collect();
    for name in forged {
        headers.remove(name);
    }
}

fn hide_our_cookies(headers: &mut HeaderMap) {
    let fields: Vec<HeaderValue> = headers.get_all(COOKIE).iter().cloned().collect();
    if !fields.iter().any(|field| contains(field, OUR_COOKIES)) {
        return;
    }
    headers.remove(COOKIE);
    for field in fields {
        let kept = field.as_bytes().split(|byte| *byte == b';').filter(|pair| !is_our_cookie(pair));
        let kept: Vec<&[u8]> = kept.collect();
        let joined = kept.join(&b';');
        if let Ok(value) = HeaderValue::from_bytes(joined.trim_ascii())
            && !value.is_empty()
        {
            headers.append(COOKIE, value);
        }
    }
}

fn contains(field: &HeaderValue, text: &str) -> bool {
    field.as_bytes().windows(text.len()).any(|window| window.eq_ignore_ascii_case(text.as_bytes()))
}

fn is_our_cookie(pair: &[u8]) -> bool {
    // A cookie without a name is sent back as if its value were its name.
    let begins = pair.iter().position(|byte| !matches!(byte, b'=' | b' ' | b'\t')).unwrap_or(pair.len());
    let pair = &pair[begins..];
    pair.len() >= OUR_COOKIES.len() && pair[..OUR_COOKIES.len()].eq_ignore_ascii_case(OUR_COOKIES.as_bytes())
}

/// Readies an answer's fields for the client. `switched` says that the connection becomes a WebSocket. What would reach beyond the
/// application itself stays behind: the portal may have the same host at another port.
pub(crate) fn towards_client(headers: &mut HeaderMap, switched: bool) {
    strip_hop_by_hop(headers);
    for name in ["clear-site-data", "strict-transport-security", "alt-svc"] {
        headers.remove(name);
    }
    if switched {
        write_upgrade(headers);
    }
    let cookies: Vec<HeaderValue> = headers.get_all(SET_COOKIE).iter().cloned().collect();
    if cookies.iter().any(|cookie| is_our_cookie(cookie.as_bytes())) {
        headers.remove(SET_COOKIE);
        for cookie in cookies.into_iter().filter(|cookie| !is_our_cookie(cookie.as_bytes())) {
            headers.append(SET_COOKIE, cookie);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(fields: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            let name: HeaderName = name.parse().expect("a name");
            headers.append(name, value.parse().expect("a value"));
        }
        headers
    }

    fn sent(fields: &[(&str, &str)]) -> HeaderMap {
        let mut headers = headers(fields);
        let host = HeaderValue::from_static("app.example");
        towards_application(&mut headers, ([192, 0, 2, 7], 4711).into(), Some(&host));
        headers
    }

    #[test]
    fn whatever_only_we_may_say_is_thrown_away_in_every_spelling() {
        for name in [
            "X-Tegata-User",
            "x-tegata-anything",
            "X_Tegata_User",
            "x.tegata.user",
            "x-tegata_user",
            "X-Tegata",
            "Client-Cert",
            "client_cert",
            "Client-Cert-Chain",
            "Client_Cert-Chain",
            "X_Forwarded_For",
            "X-Forwarded-Prefix",
            "X-Real-IP",
            "x_real_ip",
            "Proxy",
            "True-Client-IP",
            "X-SSL-Client-Verify",
            "X-Client-Cert",
        ] {
            let out = sent(&[(name, "forged"), (name, "twice")]);
            assert!(!out.values().any(|value| value == "forged" || value == "twice"), "{name}: {out:?}");
        }
        let out = sent(&[("forwarded", "for=1.2.3.4"), ("x-request-id", "7")]);
        assert_eq!(out["forwarded"], "for=192.0.2.7;host=\"app.example\";proto=https");
        assert_eq!(out["x-request-id"], "7", "what is not ours goes through");
    }

    #[test]
    fn fields_of_one_connection_stay_behind_with_all_that_it_lists() {
        let out = sent(&[
            ("connection", "close, X-Hop"),
            ("connection", "x-other"),
            ("x-hop", "1"),
            ("x-other", "1"),
            ("keep-alive", "timeout=5"),
            ("proxy-authorization", "Basic eDp5"),
            ("te", "gzip, trailers"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "h2c"),
            ("http2-settings", "AAMAAABk"),
            ("expect", "100-continue"),
        ]);
        for name in [
            "connection",
            "x-hop",
            "x-other",
            "keep-alive",
            "proxy-authorization",
            "transfer-encoding",
            "upgrade",
            "expect",
        ] {
            assert!(!out.contains_key(name), "{name}");
        }
        assert_eq!(out["te"], "trailers");
    }

    #[test]
    fn the_portals_cookies_are_not_for_applications() {
        let out = sent(&[("cookie", "a=1; __Host-tegata-session=secret; b=2"), ("cookie", "__host-Tegata-csrf=x")]);
        let cookies: Vec<_> = out.get_all("cookie").iter().collect();
        assert_eq!(cookies, ["a=1; b=2"]);
        let mut answer = headers(&[("set-cookie", "__Host-tegata-session=mine; Path=/"), ("set-cookie", "theirs=1")]);
        towards_client(&mut answer, false);
        assert_eq!(answer.get_all("set-cookie").iter().collect::<Vec<_>>(), ["theirs=1"]);
    }

    #[test]
    fn an_ipv6_address_is_written_as_rfc_7239_wants_it() {
        let mut fields = HeaderMap::new();
        let client = SocketAddr::new("2001:db8::7".parse().expect("an address"), 1);
        towards_application(&mut fields, client, None);
        assert_eq!(fields["forwarded"], "for=\"[2001:db8::7]\";proto=https");
        assert_eq!(fields["x-forwarded-for"], "2001:db8::7");
    }

    #[test]
    fn only_a_websocket_leaves_http() {
        let asks = |fields: &[(&str, &str)]| asks_for_websocket(&headers(fields));
        assert!(asks(&[("connection", "keep-alive, Upgrade"), ("upgrade", "WebSocket")]));
        assert!(!asks(&[("upgrade", "websocket")]), "the connection does not list it");
        for other in ["h2c", "websocket, h2c", "h2c, websocket", "TLS/1.2", "", "websocket/13"] {
            assert!(!asks(&[("connection", "upgrade"), ("upgrade", other)]), "{other}");
        }
        assert!(!asks(&[("connection", "upgrade"), ("upgrade", "websocket"), ("upgrade", "h2c")]));
        let mut answer = headers(&[("connection", "Upgrade"), ("upgrade", "websocket")]);
        towards_client(&mut answer, true);
        assert_eq!(
            (&answer["connection"], &answer["upgrade"]),
            (&HeaderValue::from_static("upgrade"), &HeaderValue::from_static("websocket"))
        );
    }

    #[test]
    fn an_answer_does_not_reach_beyond_the_application() {
        let mut answer = headers(&[
            ("set-cookie", "=__Host-tegata-session=evil"),
            ("set-cookie", " \t__HOST-tegata-csrf=evil"),
            ("set-cookie", "theirs=1"),
            ("clear-site-data", "\"*\""),
            ("strict-transport-security", "max-age=0"),
        ]);
        towards_client(&mut answer, false);
        assert_eq!(answer.len(), 1, "{answer:?}");
        assert_eq!(answer["set-cookie"], "theirs=1");
    }
}
