//! The server's own certificate: read from files, replaced without a restart, never replaced by one that does not work.

use std::fs;
use std::path::PathBuf;

use tegata_gateway::limits::Limits;
use tegata_gateway::server_cert::{Reload, ServerCert, ServerCertError};
use tegata_gateway::tls::TlsSettings;
use tempfile::TempDir;

use crate::world::*;

struct Files {
    _folder: TempDir,
    chain: PathBuf,
    key: PathBuf,
}

impl Files {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let (chain, key) = (folder.path().join("server.pem"), folder.path().join("server.key"));
        Self { _folder: folder, chain, key }
    }

    fn load(&self) -> Result<ServerCert, ServerCertError> {
        ServerCert::from_files(&self.chain, &self.key, at(NOW))
    }
}

/// The certificate that a new connection sees.
async fn seen(ca: &Ca, server: &Server) -> Vec<u8> {
    let stream = connect(server.address, &client(ca, None)).await.expect("TLS");
    stream.get_ref().1.peer_certificates().expect("a certificate")[0].to_vec()
}

#[tokio::test]
async fn a_new_certificate_is_seen_without_a_restart_and_a_broken_one_is_not() {
    let ca = Ca::new();
    let files = Files::new();
    let (old, new) = (ca.server(at("2027-06-01")), ca.server(at("2027-09-01")));
    old.write(&files.chain, &files.key);
    let cert = files.load().expect("usable");
    let server = Server::with_cert(&ca, cert, TlsSettings::default(), Limits::default()).await;
    let reload = || server.server_cert.reload_if_changed(at(NOW));
    assert_eq!(seen(&ca, &server).await, old.chain[0]);
    assert_eq!(reload().expect("usable"), Reload::Unchanged);

    fs::write(&files.chain, "-----BEGIN CERTIFICATE-----\nnot base64\n-----END CERTIFICATE-----\n").expect("written");
    assert!(matches!(reload(), Err(ServerCertError::BrokenPem { .. })));
    assert!(reload().is_err(), "said until it is mended");
    assert_eq!(seen(&ca, &server).await, old.chain[0]);

    fs::remove_file(&files.chain).expect("removed");
    assert!(matches!(reload(), Err(ServerCertError::Read { .. })));
    assert_eq!(seen(&ca, &server).await, old.chain[0]);

    new.write(&files.chain, &files.key);
    assert_eq!(reload().expect("usable"), Reload::Replaced { not_after: at("2027-09-01") });
    assert_eq!(seen(&ca, &server).await, new.chain[0]);
    assert_eq!(server.server_cert.not_after(), at("2027-09-01"));
    assert_eq!(reload().expect("usable"), Reload::Unchanged);
}

#[tokio::test]
async fn our_own_ca_can_renew_it_in_memory() {
    let ca = Ca::new();
    let server = Server::start(&ca).await;
    let new = ca.server(at("2027-09-01"));
    server.server_cert.replace(new.chain.clone(), &new.pkcs8, at(NOW)).expect("usable");
    assert_eq!(seen(&ca, &server).await, new.chain[0]);
    let old = ca.server(at("2026-11-21"));
    assert!(server.server_cert.replace(old.chain, &old.pkcs8, at(NOW)).is_err(), "expired");
    assert_eq!(seen(&ca, &server).await, new.chain[0]);
    assert_eq!(server.server_cert.reload_if_changed(at(NOW)).expect("no files"), Reload::Unchanged);
}

#[test]
fn each_fault_has_its_own_words() {
    let ca = Ca::new();
    let files = Files::new();
    let check = |expected: &str| {
        let error = files.load().expect_err(expected).to_string();
        assert!(error.contains(expected), "{error}");
        assert!(
            error.contains(files.chain.parent().and_then(|p| p.to_str()).expect("UTF-8")),
            "names the file: {error}"
        );
    };
    check("cannot read");
    let good = ca.server(at("2027-06-01"));
    let write = |identity: &Identity| identity.write(&files.chain, &files.key);

    write(&Identity { pkcs8: ca.server(at("2027-06-01")).pkcs8, ..good.clone() });
    check("does not belong to");
    write(&ca.server(at("2026-11-21")));
    check("expired at 2026-11-21T05:00:00Z");
    write(&ca.server(at("2028-06-01")));
    assert!(files.load().is_err_and(|error| error.to_string().contains("not valid before 2027-06-01")));

    write(&good);
    let key = fs::read_to_string(&files.key).expect("readable");
    fs::write(&files.chain, "nothing here").expect("written");
    check("holds no certificate");
    write(&good);
    fs::write(&files.key, "nothing here").expect("written");
    check("holds no private key");
    fs::write(&files.key, "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n")
        .expect("written");
    check("is encrypted");
    fs::write(&files.key, key.replace("-----END", "-----FIN")).expect("written");
    check("broken PEM");
    fs::write(&files.key, "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n").expect("written");
    check("cannot be used");
    write(&good);
    fs::write(&files.chain, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").expect("written");
    check("cannot be read");
}

#[test]
fn an_error_never_quotes_the_key() {
    let ca = Ca::new();
    let files = Files::new();
    ca.server(at("2027-06-01")).write(&files.chain, &files.key);
    let key = fs::read_to_string(&files.key).expect("readable");
    let line = key.lines().nth(1).expect("a line of the key").to_owned();
    for damaged in [key.replace("-----END", "-----FIN"), key.replacen("-----BEGIN", &format!("-----BEGIN {line}"), 1)] {
        fs::write(&files.key, damaged).expect("written");
        let error = files.load().expect_err("damaged");
        assert!(!format!("{error} {error:?}").contains(&line[..20]));
    }
}
