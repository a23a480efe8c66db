//! Style, script and pictures, built into the binary. An address that names the content's hash may be kept for a year; any other has to
//! be asked for again and is answered with 304 while nothing changed (RFC 9110 section 13.1.2).

use std::borrow::Cow;

use axum::body::Body;
use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use http::{HeaderMap, StatusCode, Uri};
use rust_embed::{EmbeddedFile, RustEmbed};

#[derive(RustEmbed)]
#[folder = "static/"]
#[exclude = "*.md"]
struct Static;

/// The address of an asset, with its hash; a name that does not exist gives an address that answers 404.
pub(crate) fn address(name: &str) -> String {
    Static::get(name).map_or_else(|| format!("/assets/{name}"), |file| format!("/assets/{name}?v={}", hash(&file)))
}

/// `GET /assets/…`
pub(crate) async fn show(Path(name): Path<String>, uri: Uri, headers: HeaderMap) -> Response {
    let Some(file) = Static::get(&name) else { return StatusCode::NOT_FOUND.into_response() };
    let hash = hash(&file);
    let etag = format!("\"{hash}\"");
    let named = uri.query().and_then(|query| query.strip_prefix("v=")) == Some(hash.as_str());
    let keep = if named { "public, max-age=31536000, immutable" } else { "no-cache" };
    let known = headers.get(IF_NONE_MATCH).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if known.split(',').any(|tag| tag.trim() == etag) {
        return (StatusCode::NOT_MODIFIED, [(ETAG, etag), (CACHE_CONTROL, keep.to_owned())]).into_response();
    }
    let facts = [(CONTENT_TYPE, content_type(&name).to_owned()), (ETAG, etag), (CACHE_CONTROL, keep.to_owned())];
    let body = match file.data {
        Cow::Borrowed(bytes) => Body::from(bytes), // part of the program: nothing is copied for each request
        Cow::Owned(bytes) => Body::from(bytes),
    };
    (facts, body).into_response()
}

fn hash(file: &EmbeddedFile) -> String {
    file.metadata.sha256_hash()[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn ask(name: &str, query: &str, etag: Option<&str>) -> Response {
        let mut headers = HeaderMap::new();
        if let Some(etag) = etag {
            headers.insert(IF_NONE_MATCH, etag.parse().expect("a value"));
        }
        show(Path(name.to_owned()), format!("/assets/{name}{query}").parse().expect("a path"), headers).await
    }

    #[tokio::test]
    async fn an_address_with_the_hash_may_be_kept() {
        let address = address("style.css");
        let (_, query) = address.split_once('?').expect("a hash");
        let answer = ask("style.css", &format!("?{query}"), None).await;
        assert_eq!(answer.headers()[CACHE_CONTROL], "public, max-age=31536000, immutable");
        assert_eq!(answer.headers()[CONTENT_TYPE], "text/css; charset=utf-8");
    }

    #[tokio::test]
    async fn an_address_without_it_is_asked_again_and_not_sent_twice() {
        let answer = ask("app.js", "", None).await;
        assert_eq!(answer.headers()[CACHE_CONTROL], "no-cache");
        let etag = answer.headers()[ETAG].to_str().expect("ascii").to_owned();
        assert_eq!(ask("app.js", "", Some(&etag)).await.status(), StatusCode::NOT_MODIFIED);
    }

    #[tokio::test]
    async fn nothing_outside_the_folder_is_served() {
        for wrong in ["../Cargo.toml", "nothing.css", "", "/etc/passwd", "..%2fCargo.toml"] {
            assert_eq!(ask("x", "", None).await.status(), StatusCode::NOT_FOUND);
            let answer = show(Path(wrong.to_owned()), Uri::from_static("/assets/x"), HeaderMap::new()).await;
            assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{wrong}");
        }
    }
}
