//! The application behind the demo's gate: a clinic's list of today, as an application of its own would make it. It knows nothing of
//! certificates; whom it has before it, it reads from the header fields that the gate writes.

use std::net::SocketAddr;

use axum::Router;
use axum::response::Html;
use axum::routing::get;
use http::HeaderMap;
use tokio::net::TcpListener;

/// Listens on a free port of loopback and answers from then on.
pub async fn start() -> std::io::Result<SocketAddr> {
    let socket = TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).await?;
    let address = socket.local_addr()?;
    let pages = Router::new().route("/", get(today)).route("/headers", get(headers));
    tokio::spawn(async move {
        if let Err(error) = axum::serve(socket, pages).await {
            tracing::error!(%error, "the demo's application ended");
        }
    });
    Ok(address)
}

/// The header fields of the request as they arrived here: a field is a text, or a list where it came several times.
async fn headers(headers: HeaderMap) -> axum::response::Response {
    use axum::response::IntoResponse as _;
    let mut fields = serde_json::Map::new();
    for name in headers.keys() {
        let values: Vec<String> =
            headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()).collect();
        let value = match values.as_slice() {
            [one] => one.as_str().into(),
            several => several.into(),
        };
        fields.insert(name.to_string(), value);
    }
    let body = serde_json::Value::Object(fields).to_string();
    ([(http::header::CONTENT_TYPE, "application/json")], body).into_response()
}

const PATIENTS: [(&str, &str, &str); 5] = [
    ("09:00", "山田 花子", "再診"),
    ("09:15", "佐藤 一郎", "初診"),
    ("09:30", "鈴木 美咲", "検査"),
    ("10:00", "高橋 健", "再診"),
    ("10:15", "田中 さくら", "予防接種"),
];

async fn today(headers: HeaderMap) -> Html<String> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("-");
    let clinic = escaped(&decoded(text("x-tegata-customer-name")));
    let rows: String = PATIENTS
        .iter()
        .map(|(time, name, kind)| format!("<tr><td>{time}</td><td>{name}</td><td>{kind}</td></tr>"))
        .collect();
    let [terminal, serial, left, standing] =
        ["x-tegata-terminal", "x-tegata-serial", "x-tegata-days-left", "x-tegata-standing"]
            .map(|name| escaped(text(name)));
    Html(format!(
        "<!doctype html><html lang=\"ja\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>受付一覧</title><link rel=\"icon\" href=\"data:,\"><style>body{{font:1.1rem/1.6 sans-serif;max-width:46rem;margin:2rem auto;padding:0 1rem}}\
         table{{border-collapse:collapse;width:100%}}td,th{{border-bottom:1px solid #999;padding:.5rem;text-align:left}}\
         footer{{margin-top:2rem;color:#444}}</style><h1>本日の受付　{clinic}</h1>\
         <table><thead><tr><th>時刻</th><th>お名前（架空）</th><th>区分</th></tr></thead><tbody>{rows}</tbody></table>\
         <footer>この画面は、門の後ろにある別のアプリケーションです。門から届いた情報: 端末 {terminal}、証明書 {serial}、残り {left} 日（{standing}）\
         <br><a href=\"/headers\">届いたヘッダーを見る / the header fields that arrived</a></footer></html>"
    ))
}

/// Undoes percent-encoding.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let hex = after.get(..2).filter(|_| *first == b'%').and_then(|hex| std::str::from_utf8(hex).ok());
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_as_the_gate_writes_it() {
        assert_eq!(decoded("%E5%8C%BB%E9%99%A2%20A-1"), "医院 A-1");
        assert_eq!(decoded("100%"), "100%");
        assert_eq!(escaped("<b>"), "&lt;b>");
    }
}
