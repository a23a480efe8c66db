//! What lies in the stores is read by other people's tools, before and after a renewal.

use std::path::Path;
use std::process::Command;

use tegata_agent::settings::{P12Format, StoreSettings};
use tegata_agent::store::nss;
use tegata_agent::{Outcome, Urge};
use tegata_core::time::{Days, Timestamp};

use crate::bed::{Bed, executable, start};

fn due() -> Timestamp {
    start().plus_days(Days(310))
}

fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let output = output.unwrap_or_else(|error| panic!("{program} is needed for this test: {error}"));
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{program} {arguments:?}: {text}");
    text
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

fn serial_of_pem(path: &Path) -> String {
    let text = output("openssl", &["x509", "-in", &text(path), "-noout", "-serial"]);
    text.trim().trim_start_matches("serial=").to_owned()
}

#[test]
fn openssl_reads_the_pem_files_and_the_pair_belongs_together() {
    let bed = Bed::new();
    bed.enroll();
    for round in 0..2 {
        let folder = bed.place("published/current");
        let file = |name: &str| text(&folder.join(name));
        assert_eq!(serial_of_pem(&folder.join("fullchain.pem")), bed.current("web").about().serial.to_string());
        let public = output("openssl", &["pkey", "-in", &file("key.pem"), "-pubout"]);
        assert_eq!(output("openssl", &["x509", "-in", &file("cert.pem"), "-noout", "-pubkey"]), public);
        assert_eq!(output("openssl", &["pkey", "-in", &file("combined.pem"), "-pubout"]), public);
        std::fs::write(bed.place("root.pem"), bed.portal().ca_pem()).expect("written");
        let root = text(&bed.place("root.pem"));
        let verified = output(
            "openssl",
            &[
                "verify",
                "-no_check_time",
                "-CAfile",
                &root,
                "-untrusted",
                &file("chain.pem"),
                "-purpose",
                "sslclient",
                &file("cert.pem"),
            ],
        );
        assert!(verified.contains("OK"), "{verified}");
        if round == 0 {
            assert_eq!(bed.tick(due(), Urge::Start).outcome, Outcome::Good);
        }
    }
    let generations = std::fs::read_dir(bed.place("published/gen")).expect("there").count();
    assert_eq!(generations, 2, "the one before stays for whoever has it open");
    bed.tick(due().plus_days(Days(310)), Urge::Start);
    assert_eq!(std::fs::read_dir(bed.place("published/gen")).expect("there").count(), 2);
}

#[test]
fn pem_files_have_the_permissions_that_were_asked_for() {
    use std::os::unix::fs::PermissionsExt;
    let mut bed = Bed::bare();
    let (name, mut store) = StoreSettings::parse(&format!("web=pem:{}", bed.place("web").display())).expect("a store");
    if let StoreSettings::Pem(pem) = &mut store {
        pem.mode = "0640".into();
    }
    bed.stores.push((name, store));
    bed.enroll();
    let mode = |path: &str| std::fs::metadata(bed.place(path)).expect("there").permissions().mode() & 0o777;
    assert_eq!((mode("web/current/key.pem"), mode("web/current"), mode("web")), (0o640, 0o750, 0o750));
}

#[test]
fn java_and_openssl_read_the_bundle_at_its_fixed_path_with_the_password_that_stays() {
    for format in [P12Format::Standard, P12Format::Compat] {
        let mut bed = Bed::bare();
        let file = bed.place("app/client.p12");
        let (name, mut store) = StoreSettings::parse(&format!("java=p12:{}", file.display())).expect("a store");
        if let StoreSettings::P12(p12) = &mut store {
            p12.format = format;
        }
        bed.stores.push((name, store));
        let tick = bed.enroll();
        assert_eq!(tick.outcome, Outcome::Good, "{:?}", tick.news);
        let password = || {
            let text = std::fs::read_to_string(bed.place("app/client.p12.password")).expect("there");
            text.trim().to_owned()
        };
        let first = password();
        for round in 0..2 {
            let listing = output(
                "keytool",
                &["-list", "-v", "-storetype", "PKCS12", "-keystore", &text(&file), "-storepass", &password()],
            );
            let serial = bed.current("java").about().serial.to_string();
            assert!(listing.to_ascii_uppercase().contains(&serial), "{serial} is not in {listing}");
            assert!(
                listing.contains("PrivateKeyEntry") && listing.contains("Certificate chain length: 3"),
                "{listing}"
            );
            let legacy = if format == P12Format::Compat { "-legacy" } else { "-noout" };
            output(
                "openssl",
                &["pkcs12", "-in", &text(&file), "-passin", &format!("pass:{}", password()), "-noout", legacy],
            );
            if round == 0 {
                assert_eq!(bed.tick(due(), Urge::Start).outcome, Outcome::Good);
            }
        }
        assert_eq!(password(), first);
    }
}

fn serials_in(database: &Path) -> Vec<String> {
    let listing = output("certutil", &["-L", "-d", &format!("sql:{}", database.display())]);
    let with_key = listing.lines().filter(|line| line.trim_end().ends_with("u,u,u"));
    let mut serials = Vec::new();
    let mut names: Vec<&str> =
        with_key.filter_map(|line| line.trim_end().rsplit_once(' ')).map(|(name, _)| name.trim_end()).collect();
    names.sort_unstable();
    names.dedup();
    for name in names {
        let found = output("certutil", &["-L", "-a", "-n", name, "-d", &format!("sql:{}", database.display())]);
        for der in tegata_pki::pem::certificates(&found).expect("certificates") {
            let path = database.join("one.pem");
            std::fs::write(&path, tegata_pki::pem::certificate(&der)).expect("written");
            serials.push(serial_of_pem(&path));
        }
    }
    serials
}

#[test]
fn a_browsers_database_holds_the_new_certificate_alone_after_a_renewal_although_they_share_a_nickname() {
    for (key, password) in [("p256", None), ("rsa2048", None), ("p256", Some("secret"))] {
        let mut bed = Bed::bare();
        let database = bed.place("nssdb");
        std::fs::create_dir(&database).expect("made");
        let sql = format!("sql:{}", database.display());
        let password_file = bed.place("nss.password");
        match password {
            None => output("certutil", &["-N", "-d", &sql, "--empty-password"]),
            Some(password) => {
                std::fs::write(&password_file, password).expect("written");
                output("certutil", &["-N", "-d", &sql, "-f", &text(&password_file)])
            }
        };
        let (name, mut store) = StoreSettings::parse(&format!("browser=nss:{}", database.display())).expect("a store");
        if let StoreSettings::Nss(nss) = &mut store {
            nss.key = key.parse().expect("a kind of key");
            nss.password_file = password.map(|_| password_file);
        }
        bed.stores.push((name, store));
        let tick = bed.enroll();
        assert_eq!(tick.outcome, Outcome::Good, "{:?}", tick.news);
        assert_eq!(serials_in(&database), [bed.current("browser").about().serial.to_string()]);
        let tick = bed.tick(due(), Urge::Start);
        assert_eq!(tick.outcome, Outcome::Good, "{:?}", tick.news);
        assert_eq!(serials_in(&database), [bed.current("browser").about().serial.to_string()], "{key}");
        if password.is_none() {
            let keys = output("certutil", &["-K", "-d", &sql]);
            assert_eq!(keys.lines().filter(|line| line.starts_with('<')).count(), 1, "the old key is gone too: {keys}");
        }
    }
}

#[test]
fn a_database_that_is_not_there_is_not_made_in_a_wrong_place() {
    let mut bed = Bed::bare();
    bed.store(&format!("browser=nss:{}", bed.place("nowhere").display()));
    let tick = bed.enroll();
    assert_eq!(tick.outcome, Outcome::Human);
    assert!(tick.news.iter().any(|line| line.contains("certutil -N")), "{:?}", tick.news);
    assert!(!bed.place("nowhere").exists());
}

#[test]
fn the_databases_of_chrome_and_firefox_are_found() {
    let home = tempfile::tempdir().expect("a folder");
    for folder in [".pki/nssdb", ".mozilla/firefox/abc.default", ".mozilla/firefox/empty.other"] {
        std::fs::create_dir_all(home.path().join(folder)).expect("made");
    }
    for folder in [".pki/nssdb", ".mozilla/firefox/abc.default"] {
        std::fs::write(home.path().join(folder).join("cert9.db"), b"").expect("written");
    }
    let found = nss::databases(home.path());
    assert_eq!(found, [home.path().join(".mozilla/firefox/abc.default"), home.path().join(".pki/nssdb")]);
}

#[test]
fn a_program_of_the_users_gets_the_files_and_is_told_what_to_take_out() {
    let mut bed = Bed::bare();
    let program = bed.place("store.sh");
    let place = bed.place("vendor.pem");
    let script = format!(
        "#!/bin/sh\nset -e\necho \"$1 $TEGATA_SERIAL\" >> {log}\ncase $1 in\n\
         install) openssl pkey -inform DER -in \"$TEGATA_KEY_FILE\" -noout; cp \"$TEGATA_CHAIN_FILE\" {place};;\n\
         check) cmp \"$TEGATA_CHAIN_FILE\" {place};;\nesac\n",
        log = bed.place("log").display(),
        place = place.display()
    );
    executable(&program, &script);
    bed.store(&format!("vendor=exec:{}", program.display()));
    let tick = bed.enroll();
    assert_eq!(tick.outcome, Outcome::Good, "{:?}", tick.news);
    let old = bed.current("vendor").about().serial;
    bed.tick(due(), Urge::Start);
    assert_eq!(serial_of_pem(&place), bed.current("vendor").about().serial.to_string());
    let log = std::fs::read_to_string(bed.place("log")).expect("there");
    assert!(log.contains(&format!("remove {old}")), "{log}");
}

#[test]
fn a_store_that_fails_gets_its_old_certificate_back() {
    let mut bed = Bed::bare();
    let (program, place) = (bed.place("store.sh"), bed.place("vendor.pem"));
    let script = |check: &str| {
        format!(
            "#!/bin/sh\ncase $1 in install) cp \"$TEGATA_CHAIN_FILE\" {place};; check) {check};; esac\n",
            place = place.display()
        )
    };
    executable(&program, &script("true"));
    bed.store(&format!("vendor=exec:{}", program.display()));
    bed.enroll();
    let before = std::fs::read(&place).expect("there");
    executable(&program, &script("false"));
    let tick = bed.tick(due(), Urge::Now(Some("vendor")));
    assert_eq!(tick.outcome, Outcome::Human);
    assert_eq!(std::fs::read(&place).expect("there"), before);
    // Mended, it goes on with the certificate that it has.
    executable(&program, &script("true"));
    let issued = bed.portal().look(|inner| inner.issued.len());
    assert_eq!(bed.tick(due().plus_seconds(60), Urge::Start).outcome, Outcome::Good);
    assert_eq!(bed.portal().look(|inner| inner.issued.len()), issued);
    assert_ne!(std::fs::read(&place).expect("there"), before);
}
