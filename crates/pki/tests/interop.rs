//! Other people's tools judge our bytes: OpenSSL, GnuTLS, NSS, Java and pkilint read every profile's output. A tool that is missing
//! fails the test and names its package.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use tegata_core::profile::KeyKind;
use tegata_pki::pem;
use tegata_pki::pkcs12::{self, Contents, Format};
use tempfile::TempDir;

use crate::common::*;

const PASSWORD: &str = "abcde-fghjk-mnpqr-23456";
const FRIENDLY_NAME: &str = "受付1 2029-11-22";
/// Everything is judged at this instant, whenever the test runs: 2027-06-01T00:00:00Z.
const INSTANT: &str = "1811808000";
const CLIENTS: [&str; 3] = ["client-p256", "client-rsa2048", "client-rsa3072"];

/// The output of every profile, in a folder.
struct Output {
    folder: TempDir,
}

static OUTPUT: LazyLock<Output> = LazyLock::new(|| {
    let output = Output { folder: tempfile::tempdir().expect("a temporary folder") };
    let authority = Authority::new();
    output.write_certificate("root", authority.root.der());
    output.write_certificate("issuing", authority.issuing.der());
    let mut bundles = Vec::new();
    for kind in KINDS {
        let key = key(kind);
        let leaf = authority.client(&key);
        output.write_certificate(&format!("client-{kind}"), &leaf.der);
        let chain = authority.chain();
        let contents = Contents { key: &key, leaf: &leaf.der, chain: &chain, friendly_name: FRIENDLY_NAME };
        for (format, word) in [(Format::Standard, "standard"), (Format::Compat, "compat")] {
            let bundle = pkcs12::seal(&contents, PASSWORD, format, &authority.entropy).expect("sealed");
            bundles.push((format!("{word}-{kind}.p12"), bundle));
        }
    }
    for (name, bundle) in bundles {
        std::fs::write(output.path(&name), bundle.expose()).expect("written");
    }
    let server = authority.server(&hosts(), &key(KeyKind::P256)).expect("prepared");
    output.write_certificate("server", &server.der);
    let full_names = [hosts().remove(1), hosts().remove(3), hosts().remove(4)];
    let named = authority.server(&full_names, &key(KeyKind::P256)).expect("prepared");
    output.write_certificate("server-named", &named.der);
    let only_address = [hosts().remove(3)];
    let nameless = authority.server(&only_address, &key(KeyKind::P256)).expect("prepared");
    output.write_certificate("server-nameless", &nameless.der);
    let plain = Authority::with_urls(Default::default());
    output.write_certificate("plain-issuing", plain.issuing.der());
    output.write_certificate("plain-client", &plain.client(&key(KeyKind::P256)).der);
    output
});

impl Output {
    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write_certificate(&self, name: &str, der: &[u8]) {
        std::fs::write(self.path(&format!("{name}.pem")), pem::certificate(der)).expect("written");
        std::fs::write(self.path(&format!("{name}.der")), der).expect("written");
    }

    fn bundles(&self) -> impl Iterator<Item = PathBuf> {
        let words = ["standard", "compat"];
        words.into_iter().flat_map(|word| KINDS.map(|kind| self.path(&format!("{word}-{kind}.p12"))))
    }
}

/// Runs a tool; its two outputs together, and whether it said success.
pub fn run(package: &str, program: impl AsRef<OsStr>, arguments: &[&dyn AsRef<OsStr>]) -> (bool, String) {
    let name = program.as_ref().to_string_lossy().into_owned();
    let mut command = Command::new(&program);
    let ran = command.args(arguments.iter().map(|argument| argument.as_ref())).env("LC_ALL", "C.UTF-8").output();
    let ran = ran.unwrap_or_else(|error| panic!("{name} does not run ({error}): install {package}"));
    let text = [ran.stdout, ran.stderr].concat();
    (ran.status.success(), String::from_utf8_lossy(&text).into_owned())
}

/// Runs a tool that must succeed.
pub fn expect(package: &str, program: impl AsRef<OsStr>, arguments: &[&dyn AsRef<OsStr>]) -> String {
    let name = program.as_ref().to_string_lossy().into_owned();
    let (success, text) = run(package, program, arguments);
    assert!(success, "{name} refused:\n{text}");
    text
}

pub const OPENSSL: &str = "openssl (Debian package openssl)";
pub const GNUTLS: &str = "certtool (Debian package gnutls-bin)";
pub const FAKETIME: &str = "faketime and certtool (Debian packages faketime and gnutls-bin)";
const NSS: &str = "certutil, pk12util and vfychain (Debian package libnss3-tools)";
const JAVA: &str = "keytool (Debian package default-jre-headless)";

fn openssl_verify(purpose: &str, more: &[&str], leaf: &str) -> (bool, String) {
    let (root, issuing, leaf) = (OUTPUT.path("root.pem"), OUTPUT.path("issuing.pem"), OUTPUT.path(leaf));
    let mut arguments: Vec<&dyn AsRef<OsStr>> = vec![&"verify", &"-x509_strict", &"-attime", &INSTANT];
    arguments.extend_from_slice(&[&"-purpose", &purpose, &"-CAfile", &root, &"-untrusted", &issuing]);
    arguments.extend(more.iter().map(|argument| argument as &dyn AsRef<OsStr>));
    arguments.push(&leaf);
    run(OPENSSL, "openssl", &arguments)
}

#[test]
fn openssl_accepts_each_certificate_for_its_purpose_alone() {
    for client in CLIENTS {
        let name = format!("{client}.pem");
        let (good, text) = openssl_verify("sslclient", &[], &name);
        assert!(good, "{text}");
        assert!(!openssl_verify("sslserver", &[], &name).0, "a terminal is no listener");
    }
    for host in ["localhost", "alt1.localhost", "a.portal.example.jp"] {
        let (good, text) = openssl_verify("sslserver", &["-verify_hostname", host], "server.pem");
        assert!(good, "{host}: {text}");
    }
    for address in ["127.0.0.1", "::1"] {
        let (good, text) = openssl_verify("sslserver", &["-verify_ip", address], "server.pem");
        assert!(good, "{address}: {text}");
    }
    assert!(!openssl_verify("sslserver", &["-verify_hostname", "other.example.jp"], "server.pem").0);
    assert!(!openssl_verify("sslclient", &[], "server.pem").0, "a listener is no terminal");
    assert!(openssl_verify("sslserver", &["-verify_ip", "127.0.0.1"], "server-nameless.pem").0);
    assert!(openssl_verify("any", &[], "issuing.pem").0);
}

#[test]
fn openssl_opens_each_bundle_and_finds_one_key_and_the_chain() {
    for bundle in OUTPUT.bundles() {
        let password = format!("pass:{PASSWORD}");
        let base: [&dyn AsRef<OsStr>; 6] = [&"pkcs12", &"-in", &bundle, &"-passin", &password, &"-nodes"];
        let all = expect(OPENSSL, "openssl", &[&base[..], &[&"-info"]].concat());
        assert_eq!(all.matches("BEGIN PRIVATE KEY").count(), 1, "{all}");
        assert_eq!(all.matches("BEGIN CERTIFICATE").count(), 3, "{all}");
        // It cuts each letter to one octet where it prints them; the others print the kanji.
        assert_eq!(all.matches("1 2029-11-22").count(), 2, "on the key and on its certificate: {all}");
        let compat = bundle.to_string_lossy().contains("compat");
        let (cipher, mac) = if compat {
            ("pbeWithSHA1And3-KeyTripleDES-CBC, Iteration 2048", "MAC: sha1, Iteration 2048")
        } else {
            ("PBES2, PBKDF2, AES-256-CBC, Iteration 10000, PRF hmacWithSHA256", "MAC: sha256, Iteration 10000")
        };
        assert!(all.matches(cipher).count() == 2 && all.contains(mac), "{all}");
        assert!(all.contains("salt length: 8"), "{all}");
    }
}

#[test]
fn gnutls_verifies_each_chain() {
    let judge = |leaf: &str, purpose: &str| {
        let chain = OUTPUT.path(&format!("chain-{leaf}"));
        let joined: Vec<String> = [leaf, "issuing.pem"]
            .map(|name| std::fs::read_to_string(OUTPUT.path(name)).expect("written before"))
            .to_vec();
        std::fs::write(&chain, joined.concat()).expect("written");
        let root = OUTPUT.path("root.pem");
        // It cannot be told the time, and ends with success whatever it finds: its words decide.
        let (_, text) = run(
            FAKETIME,
            "faketime",
            &[
                &"2027-06-01 00:00:00",
                &"certtool",
                &"--verify",
                &"--load-ca-certificate",
                &root,
                &"--verify-purpose",
                &purpose,
                &"--infile",
                &chain,
            ],
        );
        text
    };
    for client in CLIENTS {
        let text = judge(&format!("{client}.pem"), "1.3.6.1.5.5.7.3.2");
        assert!(text.contains("Chain verification output: Verified."), "{text}");
        let text = judge(&format!("{client}.pem"), "1.3.6.1.5.5.7.3.1");
        assert!(text.contains("Not verified."), "a terminal is no listener: {text}");
    }
    let text = judge("server.pem", "1.3.6.1.5.5.7.3.1");
    assert!(text.contains("Chain verification output: Verified."), "{text}");
}

#[test]
fn gnutls_opens_each_bundle() {
    for bundle in OUTPUT.bundles() {
        let text =
            expect(GNUTLS, "certtool", &[&"--p12-info", &"--inder", &"--password", &PASSWORD, &"--infile", &bundle]);
        assert!(!text.contains("ailed") && !text.contains("rror"), "{text}");
        assert_eq!(text.matches("BEGIN CERTIFICATE").count(), 3, "{text}");
        assert!(text.contains(FRIENDLY_NAME), "{text}");
    }
}

/// An NSS database of its own with the root trusted as a CA.
fn nss_database() -> (TempDir, String) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let database = format!("sql:{}", folder.path().display());
    expect(NSS, "certutil", &[&"-N", &"--empty-password", &"-d", &database]);
    let root = OUTPUT.path("root.pem");
    expect(NSS, "certutil", &[&"-A", &"-d", &database, &"-n", &"root", &"-t", &"CT,C,C", &"-i", &root]);
    (folder, database)
}

#[test]
fn nss_imports_each_bundle_and_accepts_its_certificate() {
    for bundle in OUTPUT.bundles() {
        let (_folder, database) = nss_database();
        expect(NSS, "pk12util", &[&"-i", &bundle, &"-d", &database, &"-W", &PASSWORD, &"-K", &""]);
        let listed = expect(NSS, "certutil", &[&"-L", &"-d", &database]);
        assert!(listed.contains(FRIENDLY_NAME) && listed.contains("u,u,u"), "named, with its key: {listed}");
        let verify: [&dyn AsRef<OsStr>; 9] =
            [&"-V", &"-e", &"-d", &database, &"-n", &FRIENDLY_NAME, &"-b", &"270601000000Z", &"-u"];
        expect(NSS, "certutil", &[&verify[..], &[&"C"]].concat());
        assert!(!run(NSS, "certutil", &[&verify[..], &[&"V"]].concat()).0, "a terminal is no listener");
    }
}

#[test]
fn nss_follows_each_chain() {
    let (_folder, database) = nss_database();
    let issuing = OUTPUT.path("issuing.pem");
    for (leaf, usage) in CLIENTS.map(|client| (client, "0")).into_iter().chain([("server", "1")]) {
        let leaf = OUTPUT.path(&format!("{leaf}.pem"));
        let text = expect(
            NSS,
            "vfychain",
            &[&"-d", &database, &"-pp", &"-b", &"2706010000Z", &"-u", &usage, &"-a", &leaf, &issuing],
        );
        assert!(text.contains("Chain is good!"), "{text}");
    }
}

#[test]
fn java_finds_one_entry_with_a_chain_of_three() {
    for bundle in OUTPUT.bundles() {
        let text = expect(
            JAVA,
            "keytool",
            &[&"-list", &"-v", &"-storetype", &"PKCS12", &"-keystore", &bundle, &"-storepass", &PASSWORD],
        );
        assert!(text.contains("contains 1 entry") && text.contains("PrivateKeyEntry"), "{text}");
        assert!(text.contains("Certificate chain length: 3"), "{text}");
        assert!(text.contains("Alias name: 受付1 2029-11-22") || text.contains("Alias name: ??1 2029-11-22"), "{text}");
    }
}

/// A linter of pkilint: from `TEGATA_PKILINT_BIN`, the path, or where `scripts/test.sh` puts it.
pub fn pkilint(program: &str) -> PathBuf {
    let mut folders: Vec<PathBuf> = std::env::var_os("TEGATA_PKILINT_BIN").map(PathBuf::from).into_iter().collect();
    folders.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
    folders.push(Path::new("/opt/tegata-pkilint/bin").to_owned());
    let found = folders.into_iter().map(|folder| folder.join(program)).find(|path| path.is_file());
    found.unwrap_or_else(|| {
        panic!(
            "{program} is missing: python3 -m venv /opt/tegata-pkilint && /opt/tegata-pkilint/bin/pip install pkilint"
        )
    })
}

/// What a linter says from WARNING up; it ends with the number of its findings.
fn lint(program: &str, files: &[&str]) -> String {
    let files: Vec<PathBuf> = files.iter().map(|name| OUTPUT.path(name)).collect();
    let mut arguments: Vec<&dyn AsRef<OsStr>> = vec![&"lint", &"-s", &"WARNING"];
    arguments.extend(files.iter().map(|file| file as &dyn AsRef<OsStr>));
    let (clean, text) = run("pkilint", pkilint(program), &arguments);
    assert_eq!(clean, text.trim().is_empty(), "{files:?}: {text}");
    text.trim().to_owned()
}

/// The findings of pkilint's RFC 5280 linter in a certificate.
fn findings(name: &str) -> Vec<String> {
    let text = lint("lint_pkix_cert", &[&format!("{name}.pem")]);
    let findings: Vec<String> = text.lines().skip(1).step_by(2).map(|line| line.trim().to_owned()).collect();
    assert!(findings.iter().all(|line| line.starts_with("pkix.")), "{text}");
    findings
}

#[test]
fn pkilint_finds_nothing_in_cas_and_listeners() {
    for name in ["root", "issuing", "plain-issuing", "server-named", "server-nameless"] {
        assert_eq!(findings(name), Vec::<String>::new(), "{name}");
    }
}

#[test]
fn pkilint_finds_nothing_in_terminals() {
    for name in CLIENTS.into_iter().chain(["plain-client"]) {
        assert_eq!(findings(name), Vec::<String>::new(), "{name}");
    }
}

/// RFC 5280 knows neither wildcards nor names of one label; browsers do (RFC 9525 section 6.3, RFC 6761 section 6.3), and listeners may
/// need both. Nothing else may be found in such a certificate.
#[test]
fn pkilint_finds_only_the_wildcard_and_the_single_label_where_a_listener_has_them() {
    let syntax = "pkix.invalid_domain_name_syntax (ERROR): Invalid domain name syntax:";
    let expected = ["localhost", "*.portal.example.jp"].map(|name| format!("{syntax} \"{name}\""));
    assert_eq!(findings("server"), expected);
}

#[test]
fn pkilint_finds_nothing_in_any_chain() {
    assert_eq!(lint("lint_pkix_signer_signee_cert_chain", &["root.pem", "issuing.pem"]), "");
    for name in ["server"].into_iter().chain(CLIENTS) {
        let text = lint("lint_pkix_signer_signee_cert_chain", &["issuing.pem", &format!("{name}.pem")]);
        assert_eq!(text, "", "{name}");
    }
}
