//! How fast the portal answers, with 100,000 certificates in the register: start, memory, 更新 with RSA-3072, login and menu. Run it with
//! `cargo bench -p tegata --bench portal`; docs/CAPACITY.md says what was measured and how. Not a test: nothing here asserts a time.

#![expect(clippy::print_stdout, reason = "a bench prints its report")]

#[path = "../tests/it/bed.rs"]
#[expect(dead_code, reason = "shared with the tests, which use all of it")]
mod bed;

use std::time::{Duration, Instant};

use bed::{Bed, PASSWORD, USER, clinic, csrf, now, terminal};
use reqwest::StatusCode;
use tegata_core::customer::CustomerKind;
use tegata_core::id::{Fingerprint, KeyHash, Serial, TerminalId};
use tegata_core::profile::KeyKind;
use tegata_core::secret::{Entropy, random};
use tegata_core::time::Days;
use tegata_store::{NewCertificate, NewTerminal, OpenMode, Store, StoreError};
use tegata_testkit::SeededEntropy;

const CERTIFICATES: usize = 100_000;
const BATCH: usize = 5_000;
const REQUESTS: usize = 2_000;
const LOGINS: usize = 60;
const RENEWALS: usize = 12;

fn main() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(report());
}

async fn report() {
    let bed = Bed::new();
    let authority = bed.authority().await;
    let customer = clinic(&authority, "103001").await;
    let (row, fresh) = terminal(&authority, customer, "受付1", now().plus_days(Days(600))).await;
    let mut due = Vec::new();
    for number in 0..RENEWALS {
        due.push(terminal(&authority, customer, &format!("更新{number}"), now().plus_days(Days(60))).await.1);
    }
    let scope = bed::operator().scope();
    let sample = authority.reader().certificates_of_terminal(scope, row.id).await.expect("read").remove(0);
    let der = authority.reader().certificate_der(scope, sample.id).await.expect("read").expect("there");
    authority.close().await;
    fill(&bed, &sample, &der).await;
    let config = std::fs::read_to_string(bed.config()).expect("readable");
    let rsa = config.replacen("key_kinds = [\"p256\"]", "key_kinds = [\"rsa3072\", \"p256\"]", 1);
    std::fs::write(bed.config(), rsa).expect("writable");

    let mut starts = Vec::new();
    for _ in 0..5 {
        let begun = Instant::now();
        drop(bed.serve());
        starts.push(begun.elapsed());
    }
    println!("certificates in the register: {CERTIFICATES}");
    say("start to ready (poll every 20 ms)", &mut starts);
    let server = bed.serve();
    tokio::time::sleep(Duration::from_secs(3)).await;
    println!("{:<44} {:.1} MB", "resident memory, idle after 3 s", resident_kib(server.0.id()) as f64 / 1024.0);

    let mut browser = bed.browser(Some(&fresh));
    let mut logins = Vec::new();
    for _ in 0..LOGINS {
        browser = bed.browser(Some(&fresh));
        let page = browser.get(bed.url("/login")).send().await.expect("answered").text().await.expect("text");
        let form = [("user", USER), ("password", PASSWORD), ("csrf", &csrf(&page))];
        let begun = Instant::now();
        let status = browser.post(bed.url("/login")).form(&form).send().await.expect("answered").status();
        logins.push(begun.elapsed());
        assert!(status == StatusCode::SEE_OTHER || status == StatusCode::TOO_MANY_REQUESTS, "{status}");
        if status == StatusCode::TOO_MANY_REQUESTS {
            logins.pop(); // the rate limit of one terminal: 30 a minute
            tokio::time::sleep(Duration::from_millis(2100)).await;
        }
    }
    bed.log_in(&browser).await.expect("logged in");
    let mut menus = Vec::new();
    for _ in 0..REQUESTS {
        let begun = Instant::now();
        let answer = browser.get(bed.url("/menu")).send().await.expect("answered");
        assert_eq!(answer.status(), StatusCode::OK);
        answer.bytes().await.expect("a page");
        menus.push(begun.elapsed());
    }
    say("POST /login, password hash included", &mut logins);
    say("the password hash alone (argon2id, 19 MiB, 2)", &mut hashes());
    say("GET /menu", &mut menus);
    let mut clicks = Vec::new();
    for held in &due {
        let browser = bed.browser(Some(held));
        bed.log_in(&browser).await.expect("logged in");
        let page = browser.get(bed.url("/menu")).send().await.expect("answered").text().await.expect("text");
        let begun = Instant::now();
        let status =
            browser.post(bed.url("/renewal")).form(&[("csrf", csrf(&page))]).send().await.expect("answered").status();
        clicks.push(begun.elapsed());
        assert_eq!(status, StatusCode::SEE_OTHER);
        tokio::time::sleep(Duration::from_secs(2)).await; // receptionists do not click at once; the pool makes its next key
    }
    say("POST /renewal (更新), RSA-3072 from the pool", &mut clicks);
}

/// Fills the register with rows of real size: one terminal and one used certificate each.
async fn fill(bed: &Bed, sample: &tegata_core::cert::CertRecord, der: &[u8]) {
    let store =
        Store::open(std::path::Path::new(bed.register.setting()), OpenMode::Existing).await.expect("init made it");
    let customers = CERTIFICATES / BATCH;
    let (end, sample, der) = (sample.not_after, sample.clone(), der.to_vec());
    for batch in 0..customers {
        let (sample, der) = (sample.clone(), der.clone());
        let write = store.write(move |tx| {
            Box::pin(async move {
                let entropy = SeededEntropy::new(7_000_000 + batch as u64);
                let entropy: &dyn Entropy = &entropy;
                let code = format!("{:06}", 200_000 + batch).parse().expect("six digits");
                let name = format!("医療法人{batch}");
                let customer = tegata_store::NewCustomer {
                    id: None,
                    kind: CustomerKind::Clinic,
                    code,
                    name,
                    created_at: sample.issued_at,
                };
                let customer = tx.insert_customer(&customer).await?;
                for number in 0..BATCH {
                    let id = TerminalId::from_random(random(entropy));
                    let name = format!("端末{number}");
                    tx.insert_terminal(&NewTerminal { id, customer, client: None, name, created_at: sample.issued_at })
                        .await?;
                    let not_after = end.plus_days(Days((number % 900) as i64));
                    let fingerprint = Fingerprint(random(entropy));
                    tx.insert_certificate(&NewCertificate {
                        fingerprint,
                        serial: Serial::build(not_after, random(entropy)),
                        issuer: sample.issuer,
                        terminal: id,
                        customer,
                        profile: "terminal".into(),
                        key_kind: KeyKind::P256,
                        not_before: sample.not_before,
                        not_after,
                        issued_at: sample.issued_at,
                        renewed_from: None,
                        key: KeyHash(random(entropy)),
                        by_hand: true,
                        der: der.clone(),
                    })
                    .await?;
                    tx.mark_used(fingerprint, sample.issued_at).await?;
                }
                Ok::<_, StoreError>(())
            })
        });
        write.await.expect("filled");
    }
    store.close().await;
}

fn hashes() -> Vec<Duration> {
    let params = argon2::Params::new(19_456, 2, 1, Some(32)).expect("valid");
    let argon2 = argon2::Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, params);
    let mut out = [0; 32];
    (0..50)
        .map(|_| {
            let begun = Instant::now();
            argon2.hash_password_into(PASSWORD.as_bytes(), b"sixteen bytes ok", &mut out).expect("hashed");
            begun.elapsed()
        })
        .collect()
}

fn resident_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("Linux");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("there");
    line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).expect("a number")
}

fn say(what: &str, times: &mut [Duration]) {
    times.sort_unstable();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize].as_secs_f64() * 1000.0;
    println!(
        "{what:<44} p50 {:8.2} ms   p99 {:8.2} ms   max {:8.2} ms   n {}",
        at(0.5),
        at(0.99),
        at(1.0),
        times.len()
    );
}
