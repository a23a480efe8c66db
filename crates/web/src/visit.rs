//! What is known of a request before anything is decided: language, host, the way back, the visitor's number. [`welcome`] is the outermost
//! step of every page: it finds these out, turns a [`Failure`] into a page in the visitor's language, and sets the cookies.

use axum::extract::{FromRequestParts, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{ACCEPT, HOST, SET_COOKIE, USER_AGENT};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Uri};
use tegata_core::application::Unserved;
use tegata_core::time::Timestamp;
use tegata_pki::pkcs12::Format;

use crate::error::Failure;
use crate::i18n::Lang;
use crate::remembered::Remembered;
use crate::{Shared, cookie, csrf, error};

/// The language is remembered for a year.
const LANG_SECONDS: i64 = 365 * 86_400;

/// What is known of the request at hand.
#[derive(Clone, Debug)]
pub(crate) struct Visit {
    /// In which language to answer.
    pub(crate) lang: Lang,
    /// Host and port as the visitor wrote them.
    pub(crate) host: String,
    /// A path of ours that shows what the visitor sees now.
    pub(crate) back: String,
    /// The visitor's number, from the cookie or new.
    pub(crate) visitor: String,
    /// The token that this visitor's forms carry.
    pub(crate) token: String,
    /// Whether a page is wanted: `Accept` names HTML, or is not there at all. Programs that name something else get a problem document.
    pub(crate) browser: bool,
    /// The file format that fits the visitor's system best.
    pub(crate) format: Format,
    /// The terminal that this browser was at its last login, and the present.
    pub(crate) remembered: Option<(Remembered, Timestamp)>,
}

/// Put into an answer where the visitor's number must change: logged in, logged out.
#[derive(Clone, Copy)]
pub(crate) struct NewVisitor;

/// Everything but the assets and the health pages is a page for a visitor.
pub(crate) fn is_for_visitors(path: &str) -> bool {
    !path.starts_with("/assets/") && !matches!(path, "/healthz" | "/readyz")
}

/// The outermost step of every page.
pub(crate) async fn welcome(State(state): State<Shared>, mut request: Request, next: Next) -> Response {
    if !is_for_visitors(request.uri().path()) {
        return next.run(request).await;
    }
    let visit = Visit::of(&state, &request);
    let was_known = cookie::read(request.headers(), cookie::CSRF) == Some(visit.visitor.as_str());
    let asked_lang = lang_of_query(request.uri());
    request.extensions_mut().insert(visit.clone());
    let reads_only = matches!(*request.method(), Method::GET | Method::HEAD);
    let mut response = if let Some(unserved) = request.extensions().get::<Unserved>() {
        Failure::Unserved(*unserved).into_response()
    } else if !reads_only && csrf::is_from_elsewhere(request.headers(), &visit.host) {
        Failure::Csrf.into_response()
    } else {
        next.run(request).await
    };
    let renew = response.extensions_mut().remove::<NewVisitor>().is_some();
    if let Some(failure) = response.extensions_mut().remove::<Failure>() {
        response = error::answer(&state, &visit, failure);
    }
    let headers = response.headers_mut();
    if renew {
        headers.append(SET_COOKIE, cookie::set(cookie::CSRF, &csrf::visitor(&*state.entropy), None));
    } else if !was_known {
        headers.append(SET_COOKIE, cookie::set(cookie::CSRF, &visit.visitor, None));
    }
    if let Some(lang) = asked_lang {
        headers.append(SET_COOKIE, lang_cookie(lang));
    }
    headers.append(http::header::VARY, HeaderValue::from_static("Cookie, Accept"));
    response
}

/// The cookie that remembers a language.
pub(crate) fn lang_cookie(lang: Lang) -> HeaderValue {
    cookie::set(cookie::LANG, lang.as_str(), Some(LANG_SECONDS))
}

impl FromRequestParts<Shared> for Visit {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &Shared) -> Result<Self, Failure> {
        parts.extensions.get::<Self>().cloned().ok_or(Failure::Csrf)
    }
}

impl Visit {
    fn of(state: &Shared, request: &Request) -> Self {
        let headers = request.headers();
        let visitor = cookie::read(headers, cookie::CSRF).filter(|value| csrf::is_visitor(value));
        let visitor = visitor.map_or_else(|| csrf::visitor(&*state.entropy), str::to_owned);
        let lang = lang_of_query(request.uri()).or_else(|| cookie::read(headers, cookie::LANG).and_then(Lang::parse));
        Self {
            lang: lang.unwrap_or(Lang::Ja),
            host: host(request.uri(), headers),
            back: way_back(request.method(), request.uri()),
            token: csrf::token(state.csrf_key.expose(), &visitor),
            visitor,
            browser: headers.get(ACCEPT).is_none() || text(headers, ACCEPT.as_str()).contains("text/html"),
            format: fitting_format(headers),
            remembered: Remembered::read(headers).map(|remembered| (remembered, state.authority.now())),
        }
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// HTTP/2 names the host in the request line's place (RFC 9113 section 8.3.1), HTTP/1.1 in a header.
fn host(uri: &Uri, headers: &HeaderMap) -> String {
    uri.authority().map_or_else(|| text(headers, HOST.as_str()).to_owned(), ToString::to_string)
}

fn lang_of_query(uri: &Uri) -> Option<Lang> {
    query(uri, "lang").and_then(Lang::parse)
}

/// The value of a name in the address; the few that we use are plain words and numbers, so nothing is decoded.
pub(crate) fn query<'a>(uri: &'a Uri, name: &str) -> Option<&'a str> {
    let pairs = uri.query()?.split('&').filter_map(|pair| pair.split_once('='));
    pairs.filter(|(key, _)| *key == name).map(|(_, value)| value).next()
}

/// What a link back shows: the page itself, or the page whose form was sent.
fn way_back(method: &Method, uri: &Uri) -> String {
    if *method == Method::GET || *method == Method::HEAD {
        let query: Vec<&str> = uri
            .query()
            .unwrap_or_default()
            .split('&')
            .filter(|pair| !pair.is_empty() && !pair.starts_with("lang="))
            .collect();
        let path = uri.path();
        let whole = if query.is_empty() { path.to_owned() } else { format!("{path}?{}", query.join("&")) };
        return local_path(&whole).to_owned();
    }
    match uri.path() {
        path @ ("/login" | "/renewal/password" | "/enroll" | "/admin/terminals/new") => path.to_owned(),
        "/renewal/password.txt" => "/renewal/password".to_owned(),
        "/recovery" | "/recovery/password" => "/recovery".to_owned(),
        path if path.starts_with("/admin/api-keys") => "/admin/api-keys".to_owned(),
        path if path.starts_with("/admin/terminals/") => path.rsplit_once('/').map_or("/", |(page, _)| page).to_owned(),
        _ => "/".to_owned(),
    }
}

/// A path on this very server, or `/`: never another host (`//host`, `/\host`), nothing that a browser strips or reads as such.
pub(crate) fn local_path(path: &str) -> &str {
    let plain = path.bytes().all(|b| b.is_ascii_graphic() && b != b'\\');
    let local = path.starts_with('/') && !path.starts_with("//");
    if plain && local && path.len() <= 500 { path } else { "/" }
}

/// What a browser says that runs on its terminal; programs say nothing that could be relied on.
pub fn system_of(headers: &HeaderMap) -> Option<&'static str> {
    let agent = text(headers, USER_AGENT.as_str());
    let known = [
        ("iPhone", "iOS"),
        ("iPad", "iPadOS"),
        ("Android", "Android"),
        ("CrOS", "ChromeOS"),
        ("Windows NT", "Windows"),
        ("Macintosh", "macOS"),
        ("Linux", "Linux"),
    ];
    let found = known.iter().find(|(part, _)| agent.contains(part)).map(|(_, system)| *system);
    found.filter(|_| agent.starts_with("Mozilla/"))
}

/// 互換 for systems that are known to refuse 標準: Windows before 10, macOS, iOS and iPadOS; 標準 for everybody else.
pub(crate) fn fitting_format(headers: &HeaderMap) -> Format {
    let platform = text(headers, "sec-ch-ua-platform").trim_matches('"');
    let agent = text(headers, USER_AGENT.as_str());
    let old_windows = agent.contains("Windows NT 5.") || agent.contains("Windows NT 6.");
    let apple = ["Macintosh", "iPhone", "iPad"].iter().any(|name| agent.contains(name));
    match platform {
        "macOS" | "iOS" => Format::Compat,
        _ if old_windows => Format::Compat,
        "" if apple => Format::Compat,
        _ => Format::Standard,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_way_back_never_leaves_this_server() {
        for good in ["/", "/menu", "/log?before=12", "/renewal/import"] {
            assert_eq!(local_path(good), good);
        }
        let long = format!("/{}", "a".repeat(600));
        for wrong in [
            "",
            "menu",
            "//evil.example",
            "https://evil.example",
            "/\\evil.example",
            "/a\\b",
            "/\t/evil",
            "/a\r\nSet-Cookie: x",
            "/受付",
            &long,
        ] {
            assert_eq!(local_path(wrong), "/", "{wrong}");
        }
    }

    #[test]
    fn the_way_back_of_a_form_is_its_page() {
        let back = |method: Method, path: &'static str| way_back(&method, &Uri::from_static(path));
        assert_eq!(back(Method::GET, "/log?before=3&lang=en"), "/log?before=3");
        assert_eq!(back(Method::GET, "/menu?lang=en"), "/menu");
        assert_eq!(back(Method::GET, "//evil.example/"), "/");
        assert_eq!(back(Method::POST, "/login"), "/login");
        assert_eq!(back(Method::POST, "/renewal/password.txt"), "/renewal/password");
        assert_eq!(back(Method::POST, "/renewal/later"), "/");
    }

    #[test]
    fn the_format_fits_the_platform() {
        let check = |platform: &str, agent: &str, expected| {
            let mut headers = HeaderMap::new();
            if !platform.is_empty() {
                headers.insert("sec-ch-ua-platform", platform.parse().expect("a value"));
            }
            headers.insert(USER_AGENT, agent.parse().expect("a value"));
            assert_eq!(fitting_format(&headers), expected, "{platform} {agent}");
        };
        check("\"Windows\"", "Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/142.0", Format::Standard);
        check("\"Windows\"", "Mozilla/5.0 (Windows NT 6.1; Win64; x64) Chrome/109.0", Format::Compat);
        check("\"macOS\"", "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) Chrome/142.0", Format::Compat);
        check("", "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) Version/18.0 Safari/605.1.15", Format::Compat);
        check("", "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Safari", Format::Compat);
        check("\"Linux\"", "Mozilla/5.0 (X11; Linux x86_64) Chrome/142.0", Format::Standard);
        check("", "curl/8", Format::Standard);
    }

    #[test]
    fn a_browser_says_what_runs_there_and_a_program_does_not() {
        let check = |agent: &'static str, expected| {
            let headers = HeaderMap::from_iter([(USER_AGENT, HeaderValue::from_static(agent))]);
            assert_eq!(system_of(&headers), expected, "{agent}");
        };
        check("Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/142.0", Some("Windows"));
        check("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) Chrome/142.0", Some("macOS"));
        check("Mozilla/5.0 (Linux; Android 15; Pixel) Chrome/142.0 Mobile", Some("Android"));
        check("Mozilla/5.0 (X11; CrOS x86_64) Chrome/142.0", Some("ChromeOS"));
        check("Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0", Some("Linux"));
        check("Mozilla/5.0 (iPad; CPU OS 18_0 like Mac OS X) Safari", Some("iPadOS"));
        check("Mozilla/5.0 (Haiku)", None);
        check("curl/8 (Linux)", None);
        assert_eq!(system_of(&HeaderMap::new()), None);
    }

    #[test]
    fn the_language_of_the_address_counts_first() {
        assert_eq!(lang_of_query(&Uri::from_static("/menu?a=b&lang=en")), Some(Lang::En));
        assert_eq!(lang_of_query(&Uri::from_static("/menu?lang=fr")), None);
        assert_eq!(lang_of_query(&Uri::from_static("/menu")), None);
    }
}
