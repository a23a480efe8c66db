//! What each certificate is worth, over full handshakes, resumed sessions and kept-alive connections.

use tegata_core::peer::PeerState;
use tegata_core::secret::Secret;
use tegata_gateway::limits::Limits;
use tegata_gateway::tls::TlsSettings;
use tegata_gateway::trust::TrustHealth;

use crate::world::*;

fn seconds(text: &str, more: i64) -> tegata_core::time::Timestamp {
    at(text).plus_seconds(more)
}

#[tokio::test]
async fn without_a_certificate_the_state_is_none() {
    let ca = Ca::new();
    let server = Server::start(&ca).await;
    assert_eq!(state(&server, &client(&ca, None)).await, "none");
}

#[tokio::test]
async fn a_fresh_certificate_is_valid_and_one_of_90_days_is_due() {
    let ca = Ca::new();
    let server = Server::start(&ca).await;
    assert_eq!(state(&server, &client(&ca, Some(&ca.terminal(at("2029-11-21"))))).await, "valid");
    assert_eq!(state(&server, &client(&ca, Some(&ca.terminal(at("2027-02-21"))))).await, "valid", "91 days");
    assert_eq!(state(&server, &client(&ca, Some(&ca.terminal(at("2027-02-20"))))).await, "due", "90 days");
}

#[tokio::test]
async fn the_request_carries_serial_version_group_and_address() {
    let ca = Ca::new();
    let server = Server::start(&ca).await;
    let due = ca.terminal(at("2027-01-21"));
    let (_, text) = ask(&server, &client(&ca, Some(&due)), "/peer").await.expect("an answer");
    assert_eq!(text, format!("due {} full TLSv1.3 X25519MLKEM768 true", due.serial));
}

#[tokio::test]
async fn the_certificate_of_yesterday_finishes_the_handshake_and_is_expired() {
    let ca = Ca::new();
    let server = Server::start(&ca).await;
    assert_eq!(state(&server, &client(&ca, Some(&ca.terminal(at("2026-11-21"))))).await, "expired");
}

#[tokio::test]
async fn the_last_second_is_valid_and_the_next_is_not() {
    let ca = Ca::new();
    let server = Server::start(&ca).await;
    let config = client(&ca, Some(&ca.terminal(at("2027-01-21"))));
    server.set_time(at("2027-01-21"));
    assert_eq!(state(&server, &config).await, "due");
    server.set_time(seconds("2027-01-21", 1));
    assert_eq!(state(&server, &config).await, "expired");
}

#[tokio::test]
async fn a_certificate_that_has_not_begun_is_not_yet_valid() {
    let ca = Ca::new();
    let server = Server::start(&ca).await;
    let tomorrow = ca.terminal_from(seconds(NOW, 60), at("2029-11-21"));
    let config = client(&ca, Some(&tomorrow));
    assert_eq!(state(&server, &config).await, "not-yet-valid");
    server.set_time(seconds(NOW, 60));
    assert_eq!(state(&server, &config).await, "valid");
}

#[tokio::test]
async fn a_revoked_certificate_finishes_the_handshake_and_is_refused_before_all_else() {
    let ca = Ca::new();
    let server = Server::start(&ca).await;
    let stolen = ca.terminal(at("2027-01-21"));
    server.change(|snapshot| (snapshot.revoked, snapshot.superseded) = (set(&[&stolen]), set(&[&stolen])));
    assert_eq!(state(&server, &client(&ca, Some(&stolen))).await, "revoked");
    server.set_time(seconds("2027-01-21", 1));
    assert_eq!(state(&server, &client(&ca, Some(&stolen))).await, "revoked", "expired as well, but that weighs less");
}

#[tokio::test]
async fn an_older_certificate_is_superseded_until_it_expires() {
    let ca = Ca::new();
    let server = Server::start(&ca).await;
    let old = ca.terminal(at("2027-01-21"));
    server.change(|snapshot| snapshot.superseded = set(&[&old]));
    assert_eq!(state(&server, &client(&ca, Some(&old))).await, "superseded");
    server.set_time(seconds("2027-01-21", 1));
    assert_eq!(state(&server, &client(&ca, Some(&old))).await, "expired");
}

#[tokio::test]
async fn revocation_reaches_a_resumed_session() {
    let ca = Ca::new();
    let server = Server::start(&ca).await;
    let stolen = ca.terminal(at("2029-11-21"));
    let config = client(&ca, Some(&stolen));
    let (_, first) = ask(&server, &config, "/peer").await.expect("an answer");
    assert!(first.starts_with("valid") && first.contains(" full "), "{first}");
    let (_, second) = ask(&server, &config, "/peer").await.expect("an answer");
    assert!(second.starts_with("valid") && second.contains(" resumed "), "{second}");
    server.change(|snapshot| snapshot.revoked = set(&[&stolen]));
    let (_, third) = ask(&server, &config, "/peer").await.expect("an answer");
    assert!(third.starts_with("revoked") && third.contains(" resumed "), "{third}");
}

#[tokio::test]
async fn each_state_is_found_again_over_a_resumed_session() {
    let ca = Ca::new();
    let server = Server::start(&ca).await;
    let foreign = Ca::new().terminal(at("2029-11-21"));
    let (old, stolen) = (ca.terminal(at("2027-01-21")), ca.terminal(at("2029-11-21")));
    server.change(|snapshot| (snapshot.superseded, snapshot.revoked) = (set(&[&old]), set(&[&stolen])));
    let cases = [
        (None, "none"),
        (Some(foreign), "foreign"),
        (Some(ca.terminal(at("2029-11-21"))), "valid"),
        (Some(ca.terminal(at("2027-01-21"))), "due"),
        (Some(old), "superseded"),
        (Some(stolen), "revoked"),
        (Some(ca.terminal(at("2026-11-21"))), "expired"),
        (Some(ca.terminal_from(at("2026-12-01"), at("2029-11-21"))), "not-yet-valid"),
    ];
    for (identity, expected) in cases {
        let config = client(&ca, identity.as_ref());
        for kind in ["full", "resumed"] {
            let (_, text) = ask(&server, &config, "/peer").await.expect("an answer");
            assert!(text.starts_with(expected) && text.contains(&format!(" {kind} ")), "{expected} {kind}: {text}");
        }
    }
}

#[tokio::test]
async fn revocation_and_expiry_reach_a_kept_alive_connection() {
    let ca = Ca::new();
    let server = Server::start(&ca).await;
    let stolen = ca.terminal(at("2029-11-21"));
    for alpn in ["http/1.1", "h2"] {
        server.set_time(at(NOW));
        server.change(|snapshot| snapshot.revoked = set(&[]));
        let config = ClientOptions { identity: Some(&stolen), alpn: &[alpn], ..ClientOptions::default() }.build(&ca);
        let mut http = Http::over(connect(server.address, &config).await.expect("TLS")).await.expect("HTTP");
        assert!(http.get("/peer").await.expect("an answer").1.starts_with("valid "), "{alpn}");
        server.set_time(seconds("2029-11-21", 1));
        assert!(http.get("/peer").await.expect("an answer").1.starts_with("expired "), "{alpn}");
        server.change(|snapshot| snapshot.revoked = set(&[&stolen]));
        assert!(http.get("/peer").await.expect("an answer").1.starts_with("revoked "), "{alpn}");
    }
}

#[tokio::test]
async fn an_issuer_that_is_dropped_stops_being_trusted_on_open_connections() {
    let ca = Ca::new();
    let server = Server::start(&ca).await;
    let config = client(&ca, Some(&ca.terminal(at("2029-11-21"))));
    let mut http = Http::over(connect(server.address, &config).await.expect("TLS")).await.expect("HTTP");
    assert!(http.get("/peer").await.expect("an answer").1.starts_with("valid "));
    server.change(|snapshot| snapshot.issuers.clear());
    assert!(http.get("/peer").await.expect("an answer").1.starts_with("foreign "));
    assert_eq!(state(&server, &config).await, "foreign");
}

#[tokio::test]
async fn a_stale_snapshot_lets_nobody_in_and_says_so() {
    let ca = Ca::new();
    let server = Server::start(&ca).await;
    let config = client(&ca, Some(&ca.terminal(at("2029-11-21"))));
    let limit = i64::try_from(MAX_AGE).expect("small");
    server.clock.set(seconds(NOW, limit));
    assert_eq!(state(&server, &config).await, "valid");
    assert_eq!(server.trust.health(seconds(NOW, limit)), TrustHealth::Fresh { age: MAX_AGE });
    server.clock.set(seconds(NOW, limit + 1));
    assert_eq!(state(&server, &config).await, "unknowable");
    assert_eq!(state(&server, &client(&ca, None)).await, "none", "who shows nothing is told so");
    let stale = TrustHealth::Stale { age: MAX_AGE + 1, max_age: MAX_AGE };
    assert_eq!(server.trust.health(seconds(NOW, limit + 1)), stale);
    server.change(|snapshot| snapshot.as_of = seconds(NOW, limit + 1));
    assert_eq!(state(&server, &config).await, "valid");
}

#[tokio::test]
async fn a_clock_set_back_makes_the_snapshot_stale_too() {
    let ca = Ca::new();
    let server = Server::start(&ca).await;
    server.clock.set(seconds(NOW, -301));
    assert_eq!(state(&server, &client(&ca, Some(&ca.terminal(at("2029-11-21"))))).await, "unknowable");
}

#[tokio::test]
async fn another_ca_of_the_same_name_is_foreign() {
    let (ca, impostor) = (Ca::new(), Ca::new());
    assert_eq!(ca.issuing.subject_der(), impostor.issuing.subject_der());
    let server = Server::start(&ca).await;
    assert_eq!(state(&server, &client(&ca, Some(&impostor.terminal(at("2029-11-21"))))).await, "foreign");
}

fn self_signed(extensions: Vec<rcgen::CustomExtension>) -> Identity {
    let key = rcgen::KeyPair::generate().expect("a key");
    let mut parameters = rcgen::CertificateParams::new(Vec::new()).expect("parameters");
    parameters.distinguished_name.push(rcgen::DnType::CommonName, "JP_u00000001_client0001");
    parameters.custom_extensions = extensions;
    let cert = parameters.self_signed(&key).expect("a certificate");
    let pkcs8 = Secret::new(key.serialize_der());
    Identity { chain: vec![cert.der().to_vec()], pkcs8, serial: tegata_core::id::Serial::from_bytes([1; 16]) }
}

#[tokio::test]
async fn a_self_signed_certificate_is_foreign() {
    let ca = Ca::new();
    let server = Server::start(&ca).await;
    assert_eq!(state(&server, &client(&ca, Some(&self_signed(Vec::new())))).await, "foreign");
}

#[tokio::test]
async fn a_certificate_with_an_unknown_critical_extension_gets_a_page_as_foreign() {
    let ca = Ca::new();
    let server = Server::start(&ca).await;
    let mut extension = rcgen::CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 99999, 1], vec![5, 0]);
    extension.set_criticality(true);
    let config = client(&ca, Some(&self_signed(vec![extension])));
    assert_eq!(state(&server, &config).await, "foreign");
    assert_eq!(state(&server, &config).await, "foreign", "resumed");
}

#[tokio::test]
async fn a_server_certificate_of_ours_is_foreign_as_a_clients() {
    let ca = Ca::new();
    let server = Server::start(&ca).await;
    assert_eq!(state(&server, &client(&ca, Some(&ca.server(at("2027-06-01"))))).await, "foreign");
}

#[tokio::test]
async fn without_the_key_a_certificate_of_ours_ends_the_handshake() {
    let ca = Ca::new();
    let (victim, thief) = (ca.terminal(at("2029-11-21")), ca.terminal(at("2026-11-21")));
    let copied = Identity { pkcs8: thief.pkcs8, ..victim };
    let settings = TlsSettings { allow_tls12: Some("a test".into()), ..TlsSettings::default() };
    let server = Server::with(&ca, settings, Limits::default()).await;
    for version in [&rustls::version::TLS13, &rustls::version::TLS12] {
        let config = ClientOptions { identity: Some(&copied), version, ..ClientOptions::default() }.build(&ca);
        let error = ask(&server, &config, "/peer").await.expect_err("refused");
        assert!(error.contains("DecryptError") || error.contains("BadCertificate"), "{error}");
    }
}

#[tokio::test]
async fn the_binary_learns_which_certificates_wait_for_their_first_use() {
    let ca = Ca::new();
    let server = Server::start(&ca).await;
    let (new, old) = (ca.terminal(at("2029-11-21")), ca.terminal(at("2027-01-21")));
    server.change(|snapshot| snapshot.unused = set(&[&new]));
    let issuers = &server.trust.current().issuers;
    let known = |identity: &Identity| tegata_pki::chain::identify(&identity.chain[0], issuers).expect("ours");
    assert!(server.trust.is_unused(&known(&new)));
    assert!(!server.trust.is_unused(&known(&old)));
    assert!(server.trust.state(&tegata_core::peer::Presented::Foreign, at(NOW)) == PeerState::Foreign);
}
