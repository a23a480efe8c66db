//! What programs and EST exchange: requests written by other people's tools are compared by their names, and our lists of certificates and
//! attributes are read by OpenSSL.

use std::process::Command;

use tegata_core::profile::{KeyKind, Purpose};
use tegata_pki::csr::{self, NameMismatch};
use tegata_pki::csrattrs::{self, Names};
use tegata_pki::{pem, pkcs7};

use crate::common::*;

/// What OpenSSL says to these arguments, run in a folder.
fn openssl(folder: &tempfile::TempDir, arguments: &[&str]) -> String {
    let mut command = Command::new("openssl");
    let output = command.current_dir(folder).args(arguments).output().expect("the package openssl is installed");
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "openssl {arguments:?}: {said}");
    said
}

fn san() -> String {
    terminal().id.san_uri(Purpose::Client).expect("terminals have one")
}

/// A request that OpenSSL writes.
fn request(subject: &str, more: &[&str]) -> Vec<u8> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let key = ["req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc", "-keyout", "k"];
    let fixed = ["-outform", "DER", "-out", "r", "-utf8", "-subj", subject];
    openssl(&folder, &[&key[..], &fixed[..], more].concat());
    std::fs::read(folder.path().join("r")).expect("written")
}

#[test]
fn the_names_of_a_request_are_compared_by_their_meaning() {
    let leaf = Authority::new().client(&key(KeyKind::P256)).der;
    let (same, uri) = ("/C=JP/O=山田医院/CN=JP_u00000001_client0001", format!("subjectAltName=URI:{}", san()));
    let ask = |subject, more: &[&str]| csr::parse(&request(subject, more)).expect("readable").asks_for(&leaf, &san());
    assert_eq!(ask(same, &["-addext", &uri]), Ok(()));
    assert_eq!(ask("/C=jp/O=山田医院/CN=jp_U00000001_client0001", &["-addext", &uri]), Ok(()), "case does not matter");
    for wrong in
        ["/CN=JP_u00000001_client0001", "/C=JP/O=山田医院/CN=JP_u00000001_client0002", "/C=JP/CN=x/O=山田医院", "/"]
    {
        assert!(matches!(ask(wrong, &["-addext", &uri]), Err(NameMismatch::Subject { .. })), "{wrong}");
    }
    let more = format!("{uri},DNS:portal.example.jp");
    let agent = format!("subjectAltName=URI:{}", terminal().id.san_uri(Purpose::Agent).expect("has one"));
    assert_eq!(ask(same, &[]), Ok(()), "an alternative name that is left out stays as it is");
    for wrong in [&["-addext", more.as_str()], &["-addext", agent.as_str()]] {
        assert_eq!(ask(same, wrong), Err(NameMismatch::AlternativeName(san())), "{wrong:?}");
    }
}

#[test]
fn a_subject_in_another_string_type_is_the_same_subject() {
    let authority = Authority::new();
    let ascii = tegata_core::terminal::Subject { organization: "Yamada Clinic".into(), ..subject() };
    let validity = between("2026-11-20T00:50:00Z", "2029-11-22T05:00:00Z");
    let key = key(KeyKind::P256);
    let asked = tegata_pki::issue::Request {
        subject: &ascii,
        key: key.public_key(),
        serial: serial(validity.not_after, &authority.entropy),
        validity,
    };
    let profile = profile(Purpose::Client, &KINDS);
    let prepared = tegata_pki::issue::prepare(permit(), &profile, asked, &authority.issuing, &authority.urls);
    let leaf = prepared.expect("prepared").sign(&authority.signer).expect("signed").der;
    let written = csr::build_for(&key, &leaf, &san()).expect("built");
    assert_eq!(csr::parse(&written).expect("readable").asks_for(&leaf, &san()), Ok(()));
    // Each UTF8String of the subject becomes a PrintableString, as some libraries write it; then the signature is another.
    let folder = tempfile::tempdir().expect("a temporary folder");
    let settings = "[req]\ndistinguished_name=dn\nstring_mask=nombstr\nprompt=no\n[dn]\nC=JP\nO=Yamada Clinic\n\
                    CN=JP_u00000001_client0001\n";
    std::fs::write(folder.path().join("c"), settings).expect("written");
    let uri = format!("subjectAltName=URI:{}", san());
    let key = ["req", "-new", "-newkey", "rsa:2048", "-noenc", "-keyout", "k", "-config", "c"];
    openssl(&folder, &[&key[..], &["-outform", "DER", "-out", "r", "-addext", &uri]].concat());
    let other = std::fs::read(folder.path().join("r")).expect("written");
    let shown = openssl(&folder, &["asn1parse", "-inform", "DER", "-in", "r"]);
    assert!(shown.contains("PRINTABLESTRING   :Yamada Clinic"), "{shown}");
    assert_eq!(csr::parse(&other).expect("readable").asks_for(&leaf, &san()), Ok(()));
}

#[test]
fn a_list_of_certificates_is_read_by_openssl_and_one_by_openssl_is_read_here() {
    let authority = Authority::new();
    let leaf = authority.client(&key(KeyKind::P256)).der;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let list = pkcs7::certs_only(&[&leaf, authority.issuing.der(), authority.root.der()]).expect("encodable");
    std::fs::write(folder.path().join("list"), list).expect("written");
    let shown = openssl(&folder, &["pkcs7", "-inform", "DER", "-in", "list", "-print_certs", "-noout"]);
    for name in ["CN = JP_u00000001_client0001", "CN = Tegata Test CA 1", "CN = Tegata Test Root"] {
        assert!(shown.contains(name), "{shown}");
    }
    std::fs::write(folder.path().join("pem"), pem::certificate(&leaf)).expect("written");
    let convert = ["crl2pkcs7", "-nocrl", "-certfile", "pem", "-outform", "DER", "-out", "theirs"];
    openssl(&folder, &convert);
    let theirs = std::fs::read(folder.path().join("theirs")).expect("written");
    assert_eq!(pkcs7::certificates(&theirs), Ok(vec![leaf]));
}

#[test]
fn the_attributes_asked_for_are_read_by_openssl() {
    let leaf = Authority::new().client(&key(KeyKind::P256)).der;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let show = |kind, names| {
        let der = csrattrs::build(kind, names).expect("encodable");
        std::fs::write(folder.path().join("a"), der).expect("written");
        openssl(&folder, &["asn1parse", "-inform", "DER", "-in", "a"])
    };
    let shown = show(KeyKind::P256, None);
    for part in ["ecdsa-with-SHA256", "id-ecPublicKey", "prime256v1", "1.2.840.113549.1.9.16.2.61"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    let san = san();
    let shown = show(KeyKind::Rsa3072, Some(Names { certificate: &leaf, san_uri: &san }));
    for part in ["sha256WithRSAEncryption", "rsaEncryption", "INTEGER           :0C00", "Subject Alternative Name"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    assert!(shown.contains("JP_u00000001_client0001"), "{shown}");
}
