//! The status listener over the wire: OCSP as RFC 5019 wants it in HTTP, the CAs' certificates, and nothing else.

use std::net::TcpListener;
use std::path::Path;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use reqwest::header::{
    CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, ETAG, EXPIRES, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED,
};
use reqwest::{Client, Response, StatusCode};
use tegata_core::cert::RevocationReason;
use tegata_core::time::Days;
use tegata_pki::issuer::IssuerCert;

use crate::bed::{Bed, Held, clinic, now, operator, run, terminal};

const REQUEST_TYPE: &str = "application/ocsp-request";
const MALFORMED: [u8; 5] = [0x30, 3, 10, 1, 1];
const UNAUTHORIZED: [u8; 5] = [0x30, 3, 10, 1, 6];

/// Switches certificate status on; its address.
pub fn switch_on(bed: &Bed) -> String {
    let port = TcpListener::bind("127.0.0.1:0").and_then(|s| s.local_addr()).expect("a free port").port();
    let mut config = std::fs::read_to_string(bed.config()).expect("readable");
    config += &format!("\n[status]\nlisten = \"127.0.0.1:{port}\"\nurl = \"http://127.0.0.1:{port}\"\n");
    std::fs::write(bed.config(), config).expect("writable");
    format!("http://127.0.0.1:{port}")
}

/// A request of `openssl ocsp` about a certificate.
fn request(bed: &Bed, held: &Held, more: &[&str]) -> Vec<u8> {
    let out = bed.dir.join("request.der");
    let mut openssl = std::process::Command::new("openssl");
    openssl.arg("ocsp").args(more).arg("-issuer").arg(bed.dir.join("ca/issuing.pem"));
    openssl.arg("-serial").arg(format!("0x{}", held.serial)).arg("-reqout").arg(&out);
    let (done, _, said) = run(&mut openssl);
    assert!(done.status.success(), "{said}");
    std::fs::read(out).expect("openssl wrote it")
}

/// What OpenSSL says of an answer, signature and chain included.
fn judged(bed: &Bed, held: &Held, answer: &[u8]) -> String {
    judged_under(bed, &bed.dir.join("ca/issuing.pem"), held, answer)
}

fn judged_under(bed: &Bed, issuer: &Path, held: &Held, answer: &[u8]) -> String {
    let path = bed.dir.join("answer.der");
    std::fs::write(&path, answer).expect("writable");
    let mut openssl = std::process::Command::new("openssl");
    openssl.args(["ocsp", "-no_nonce", "-issuer"]).arg(issuer).arg("-CAfile");
    openssl.arg(bed.dir.join("ca/root.pem")).arg("-serial").arg(format!("0x{}", held.serial)).arg("-respin").arg(path);
    let (_, said, more) = run(&mut openssl);
    format!("{said}{more}")
}

pub fn header(response: &Response, name: reqwest::header::HeaderName) -> String {
    response.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn get_and_post_answer_with_headers_for_caches() -> Result<(), Box<dyn std::error::Error>> {
    let bed = Bed::new();
    let url = switch_on(&bed);
    let authority = bed.authority().await;
    let customer = clinic(&authority, "103001").await;
    let (_, held) = terminal(&authority, customer, "受付1", now().plus_days(Days(600))).await;
    let _server = bed.serve();
    let client = Client::builder().timeout(Duration::from_secs(20)).build()?;
    let asked = request(&bed, &held, &["-no_nonce"]);
    let text = BASE64.encode(&asked);
    let encoded = text.replace('+', "%2B").replace('/', "%2f").replace('=', "%3D");

    let first = client.get(format!("{url}/ocsp/{encoded}")).send().await?;
    assert_eq!((first.status(), header(&first, CONTENT_TYPE).as_str()), (StatusCode::OK, "application/ocsp-response"));
    let (tag, date) = (header(&first, ETAG), header(&first, LAST_MODIFIED));
    let second = client.get(format!("{url}/ocsp/{encoded}")).send().await?;
    assert_eq!(header(&second, ETAG), tag);
    let cache = header(&second, CACHE_CONTROL);
    let (age, rest) = cache.strip_prefix("max-age=").and_then(|text| text.split_once(", ")).unwrap_or_default();
    assert!((3500..=3600).contains(&age.parse::<i32>()?) && rest == "public, no-transform, must-revalidate", "{cache}");
    assert!(header(&second, EXPIRES).ends_with(" GMT") && date.ends_with(" GMT"));
    let body = first.bytes().await?;
    let said = judged(&bed, &held, &body);
    assert!(said.contains("Response verify OK") && said.contains(": good"), "{said}");

    for path in [text.clone(), text.trim_end_matches('=').to_owned()] {
        assert_eq!(client.get(format!("{url}/ocsp/{path}")).send().await?.bytes().await?, body, "{path}");
    }
    let post =
        |kind: &str, body: Vec<u8>| client.post(format!("{url}/ocsp")).header(CONTENT_TYPE, kind).body(body).send();
    let posted = post(REQUEST_TYPE, asked.clone()).await?;
    assert_eq!((header(&posted, ETAG), posted.bytes().await?), (tag.clone(), body.clone()));
    let head = client.head(format!("{url}/ocsp/{encoded}")).send().await?;
    assert_eq!((head.status(), header(&head, CONTENT_LENGTH)), (StatusCode::OK, body.len().to_string()));
    assert_eq!(header(&head, ETAG), tag);

    for (name, value, status) in [
        (IF_NONE_MATCH, tag.as_str(), StatusCode::NOT_MODIFIED),
        (IF_NONE_MATCH, &format!("\"other\", W/{tag}"), StatusCode::NOT_MODIFIED),
        (IF_NONE_MATCH, "\"other\"", StatusCode::OK),
        (IF_MODIFIED_SINCE, &date, StatusCode::NOT_MODIFIED),
        (IF_MODIFIED_SINCE, "Mon, 01 Jan 2024 00:00:00 GMT", StatusCode::OK),
    ] {
        let response = client.get(format!("{url}/ocsp/{encoded}")).header(&name, value).send().await?;
        assert_eq!((response.status(), header(&response, ETAG)), (status, tag.clone()), "{name}: {value}");
    }

    let with_nonce = post(REQUEST_TYPE, request(&bed, &held, &[])).await?;
    assert_eq!((header(&with_nonce, CACHE_CONTROL).as_str(), header(&with_nonce, ETAG).as_str()), ("no-store", ""));
    assert_eq!(post("text/plain", asked).await?.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert_eq!(post(REQUEST_TYPE, vec![0x30; 5000]).await?.status(), StatusCode::PAYLOAD_TOO_LARGE);
    let rubbish = post(REQUEST_TYPE, b"rubbish".to_vec()).await?;
    assert_eq!(header(&rubbish, CACHE_CONTROL), "no-store");
    assert_eq!(rubbish.bytes().await?.as_ref(), MALFORMED);
    for path in ["!!!", "%zz", "AAAA", "MA"] {
        let answer = client.get(format!("{url}/ocsp/{path}")).send().await?;
        assert_eq!(answer.bytes().await?.as_ref(), MALFORMED, "{path}");
    }
    authority.close().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_by_another_process_is_answered_within_a_second() -> Result<(), Box<dyn std::error::Error>> {
    let bed = Bed::new();
    let url = switch_on(&bed);
    let authority = bed.authority().await;
    let customer = clinic(&authority, "103001").await;
    let (row, held) = terminal(&authority, customer, "受付1", now().plus_days(Days(600))).await;
    let _server = bed.serve();
    let ask = format!("{url}/ocsp/{}", BASE64.encode(request(&bed, &held, &["-no_nonce"])));
    let answer = async || reqwest::get(&ask).await?.bytes().await;
    let good = answer().await?;
    assert!(judged(&bed, &held, &good).contains(": good"));
    let record = authority.reader().certificates_of_terminal(operator().scope(), row.id).await?.remove(0);
    authority.revoke(&operator(), &record, RevocationReason::KeyCompromise).await?;
    let begun = Instant::now();
    let mut last = good.clone();
    while last == good && begun.elapsed() < Duration::from_secs(5) {
        tokio::time::sleep(Duration::from_millis(10)).await;
        last = answer().await?;
    }
    let took = begun.elapsed();
    let said = judged(&bed, &held, &last);
    assert!(said.contains(": revoked") && said.contains("Reason: keyCompromise"), "{said}");
    assert!(took < Duration::from_secs(1), "it took {took:?}");
    authority.close().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_roll_over_and_a_restart_the_old_cas_certificates_are_answered_for()
-> Result<(), Box<dyn std::error::Error>> {
    let bed = Bed::new();
    let url = switch_on(&bed);
    let authority = bed.authority().await;
    let customer = clinic(&authority, "103001").await;
    let (row, before) = terminal(&authority, customer, "受付1", now().plus_days(Days(600))).await;
    let old = IssuerCert::from_der(authority.ca().cert.der())?;
    let old_file = bed.dir.join("old.pem");
    std::fs::copy(bed.dir.join("ca/issuing.pem"), &old_file)?;
    let about_before = format!("{url}/ocsp/{}", BASE64.encode(request(&bed, &before, &["-no_nonce"])));
    authority.close().await;
    let (output, _, said) = run(&mut bed.command(&["ca", "roll-over"]));
    assert!(output.status.success(), "{said}");

    let authority = bed.authority().await;
    let (_, after) = terminal(&authority, customer, "受付2", now().plus_days(Days(600))).await;
    let about_after = format!("{url}/ocsp/{}", BASE64.encode(request(&bed, &after, &["-no_nonce"])));
    let server = bed.serve();
    let said = judged_under(&bed, &old_file, &before, &reqwest::get(&about_before).await?.bytes().await?);
    assert!(said.contains("Response verify OK") && said.contains(": good"), "{said}");
    let said = judged(&bed, &after, &reqwest::get(&about_after).await?.bytes().await?);
    assert!(said.contains("Response verify OK") && said.contains(": good"), "{said}");
    let record = authority.reader().certificates_of_terminal(operator().scope(), row.id).await?.remove(0);
    authority.revoke(&operator(), &record, RevocationReason::KeyCompromise).await?;
    let begun = Instant::now();
    let mut said = String::new();
    while !said.contains(": revoked") && begun.elapsed() < Duration::from_secs(5) {
        said = judged_under(&bed, &old_file, &before, &reqwest::get(&about_before).await?.bytes().await?);
    }
    assert!(said.contains("Response verify OK") && said.contains("Reason: keyCompromise"), "{said}");
    authority.close().await;
    drop(server);

    let key = tegata_authority::elders::key_file(&old);
    let (_, said, _) = run(&mut bed.command(&["doctor"]));
    assert!(said.contains(&format!("{key} is readable by its owner only")), "{said}");
    std::fs::remove_file(bed.dir.join("keys").join(&key))?;
    let (output, said, _) = run(&mut bed.command(&["doctor"]));
    assert!(output.status.success() && said.contains("is not answered here") && said.contains(&key), "{said}");
    let _server = bed.serve();
    assert_eq!(reqwest::get(&about_before).await?.bytes().await?.as_ref(), UNAUTHORIZED);
    let said = judged(&bed, &after, &reqwest::get(&about_after).await?.bytes().await?);
    assert!(said.contains(": good"), "{said}");
    assert!(bed.log().contains(&key), "{}", bed.log());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_status_listener_leads_to_nothing_else() -> Result<(), Box<dyn std::error::Error>> {
    let bed = Bed::new();
    let url = switch_on(&bed);
    let _server = bed.serve();
    for path in [
        "/",
        "/login",
        "/menu",
        "/renewal",
        "/healthz",
        "/readyz",
        "/metrics",
        "/assets/style.css",
        "/ca/x.cer",
        "/ocsp/",
    ] {
        assert_eq!(reqwest::get(format!("{url}{path}")).await?.status(), StatusCode::NOT_FOUND, "{path}");
    }
    assert_eq!(reqwest::get(format!("{url}/ocsp")).await?.status(), StatusCode::METHOD_NOT_ALLOWED);
    for file in ["root.pem", "issuing.pem"] {
        let mut openssl = std::process::Command::new("openssl");
        openssl.args(["x509", "-noout", "-ext", "subjectKeyIdentifier", "-in"]).arg(bed.dir.join("ca").join(file));
        let (_, said, _) = run(&mut openssl);
        let identifier: String = said.lines().last().unwrap_or_default().to_lowercase().replace([':', ' '], "");
        let found = reqwest::get(format!("{url}/ca/{identifier}.cer")).await?;
        assert_eq!(header(&found, CONTENT_TYPE), "application/pkix-cert");
        let pem = std::fs::read_to_string(bed.dir.join("ca").join(file))?;
        assert_eq!(tegata_pki::pem::certificates(&pem)?, [found.bytes().await?.to_vec()]);
    }
    let (_, said, _) = run(&mut bed.command(&["doctor"]));
    assert!(said.contains(&format!("certificate status is answered at {url}")), "{said}");
    Ok(())
}

/// Every way in of the status listener, with what is sent there, and the answer. Nobody shows a certificate there: all who come are equal.
#[tokio::test(flavor = "multi_thread")]
async fn every_way_in_answers_as_the_table_says() -> Result<(), Box<dyn std::error::Error>> {
    let bed = Bed::new();
    let url = switch_on(&bed);
    let issuing = IssuerCert::from_der(bed.authority().await.ca().cert.der())?;
    let issuer = tegata_pki::crl::issuer_name(&issuing);
    let stranger = issuer.replace(char::is_alphabetic, "0");
    // Method and pattern, what stands in the place of the pattern's names, the answer.
    let table = [
        ("POST", "/ocsp", String::new(), 415),
        ("GET", "/ocsp/{*request}", "/MA==".into(), 200),
        ("GET", "/ocsp/{*request}", "/!!!".into(), 200),
        ("GET", "/ca/{file}", format!("/{issuer}.cer"), 200),
        ("GET", "/ca/{file}", format!("/{issuer}.crl"), 404),
        ("GET", "/crl/{file}", format!("/{issuer}.crl"), 200),
        ("GET", "/crl/{file}", format!("/{issuer}"), 404),
        ("GET", "/crl/{file}", format!("/{}.crl", issuer.to_uppercase()), 404),
        ("GET", "/crl/{file}", format!("/{stranger}.crl"), 404),
        ("GET", "/crl/{file}", "/.crl".into(), 404),
        ("GET", "/crl/{file}", "/%2e%2e%2f.crl".into(), 404),
        ("GET", "/crl/{issuer}/{file}", format!("/{issuer}/00.crl"), 200),
        ("GET", "/crl/{issuer}/{file}", format!("/{issuer}/7f.crl"), 200),
        ("GET", "/crl/{issuer}/{file}", format!("/{issuer}/80.crl"), 404),
        ("GET", "/crl/{issuer}/{file}", format!("/{issuer}/0.crl"), 404),
        ("GET", "/crl/{issuer}/{file}", format!("/{issuer}/7F.crl"), 404),
        ("GET", "/crl/{issuer}/{file}", format!("/{issuer}/00"), 404),
        ("GET", "/crl/{issuer}/{file}", format!("/{stranger}/00.crl"), 404),
    ];
    let mut known: Vec<_> = table.iter().map(|(method, path, ..)| (*method, *path)).collect();
    known.dedup();
    assert_eq!(tegata_web::status_routes().collect::<Vec<_>>(), known, "the table and the router differ");
    let _server = bed.serve();
    let client = Client::new();
    for (method, pattern, rest, expected) in &table {
        let path = format!("{url}{}{rest}", pattern.split("/{").next().unwrap_or_default());
        let answer = client.request(method.parse()?, &path).send().await?;
        assert_eq!(answer.status(), *expected, "{method} {path}");
        let other = if *method == "GET" { "POST" } else { "GET" };
        let refused = client.request(other.parse()?, &path).send().await?;
        assert_eq!(refused.status(), StatusCode::METHOD_NOT_ALLOWED, "{other} {path}");
    }
    Ok(())
}
