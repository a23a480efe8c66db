//! Revocation lists: an independent parser and other people's programs read them, and each rule about their making holds.

use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use tegata_core::cert::RevocationReason;
use tegata_core::id::Serial;
use tegata_core::profile::KeyKind;
use tegata_core::time::Timestamp;
use tegata_pki::crl::{self, Contents, CrlError, Revoked, Shard};
use tegata_pki::issue::Urls;
use tegata_pki::pem;
use tegata_pki::signer::SignError;
use x509_parser::extensions::{DistributionPointName, GeneralName, ParsedExtension};
use x509_parser::prelude::*;

use crate::common::*;
use crate::interop::{FAKETIME, GNUTLS, OPENSSL, expect, pkilint, run};

const BASE: &str = "http://status.example.jp";
const THIS_UPDATE: &str = "2027-05-31T23:50:00Z";
const NEXT_UPDATE: &str = "2027-06-02T00:00:00Z";
/// Everything is judged at this instant.
const NOW: &str = "2027-06-01 00:00:00";

static AUTHORITY: LazyLock<Authority> =
    LazyLock::new(|| Authority::with_urls(Urls { crl_base: Some(BASE.into()), ..Urls::default() }));

fn contents<'a>(address: Option<&'a str>, revoked: &'a [Revoked]) -> Contents<'a> {
    let (this_update, next_update) = (at(THIS_UPDATE), at(NEXT_UPDATE));
    Contents { issuer: &AUTHORITY.issuing, address, number: 4_294_967_297, this_update, next_update, revoked }
}

fn signed(address: Option<&str>, revoked: &[Revoked]) -> Vec<u8> {
    crl::prepare(&contents(address, revoked)).expect("prepared").sign(&AUTHORITY.signer).expect("signed")
}

fn revoked(serial: Serial, reason: RevocationReason) -> Revoked {
    Revoked { serial, at: at("2027-05-01T00:00:00Z"), reason }
}

fn address(shard: Shard) -> String {
    format!("{BASE}{}", crl::path(&AUTHORITY.issuing, Some(shard)))
}

/// One revoked certificate for each reason, and one that is good.
struct World {
    folder: tempfile::TempDir,
    revoked: Vec<(Serial, RevocationReason, PathBuf)>,
    good: (Serial, PathBuf),
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: String, der: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, pem::certificate(der)).expect("written");
        path
    };
    write("root.pem".into(), AUTHORITY.root.der());
    write("issuing.pem".into(), AUTHORITY.issuing.der());
    let leaf = |name: String| {
        let leaf = AUTHORITY.client(&key(KeyKind::P256));
        (leaf.serial, write(name, &leaf.der))
    };
    let revoked = RevocationReason::ALL.map(|(reason, word)| {
        let (serial, path) = leaf(format!("{word}.pem"));
        (serial, reason, path)
    });
    let good = leaf("good.pem".into());
    World { revoked: revoked.to_vec(), good, folder }
});

/// Written once: the tests run side by side and read the same files.
static LISTS: LazyLock<Vec<(Option<Shard>, PathBuf)>> = LazyLock::new(|| WORLD.write_lists());

impl World {
    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn entries(&self, belongs: impl Fn(Serial) -> bool) -> Vec<Revoked> {
        let all = self.revoked.iter().filter(|(serial, ..)| belongs(*serial));
        let mut entries: Vec<_> = all.map(|(serial, reason, _)| revoked(*serial, *reason)).collect();
        entries.sort_by_key(|entry| entry.serial);
        entries
    }

    /// The full list, and the list of each shard that is named by a certificate here, as PEM and DER files.
    fn write_lists(&self) -> Vec<(Option<Shard>, PathBuf)> {
        let mut shards: Vec<_> =
            self.revoked.iter().map(|(serial, ..)| *serial).chain([self.good.0]).map(Shard::of).collect();
        shards.sort_unstable();
        shards.dedup();
        let write = |shard: Option<Shard>| {
            let entries = self.entries(|serial| shard.is_none_or(|shard| shard == Shard::of(serial)));
            let der = signed(shard.map(address).as_deref(), &entries);
            let path = self.path(&shard.map_or_else(|| "full.crl".to_owned(), |shard| format!("{shard}.crl")));
            std::fs::write(&path, pem::crl(&der)).expect("written");
            std::fs::write(path.with_extension("der"), der).expect("written");
            (shard, path)
        };
        std::iter::once(None).chain(shards.into_iter().map(Some)).map(write).collect()
    }
}

#[test]
fn a_shard_is_named_by_two_digits_and_no_other_text() {
    for number in 0..=u8::MAX {
        let shard = Shard::of(Serial::from_bytes([[0x20; 15].as_slice(), &[number]].concat().try_into().expect("16")));
        assert_eq!(shard.to_string(), format!("{:02x}", number & 0x7f));
        assert_eq!(Shard::parse(&shard.to_string()), Some(shard));
    }
    for wrong in ["", "0", "000", "80", "ff", "0A", "+1", "-1", " 1", "1 ", "0g"] {
        assert_eq!(Shard::parse(wrong), None, "{wrong}");
    }
}

#[test]
fn a_certificate_names_the_list_of_its_shard_and_that_list_says_so() {
    let leaf = AUTHORITY.client(&key(KeyKind::P256));
    let (_, read) = X509Certificate::from_der(&leaf.der).expect("readable");
    let points = read.iter_extensions().find_map(|one| match one.parsed_extension() {
        ParsedExtension::CRLDistributionPoints(points) => Some(points.points.clone()),
        _ => None,
    });
    let [point] = &points.expect("present")[..] else { panic!("one point") };
    let list = signed(Some(&address(Shard::of(leaf.serial))), &[]);
    let (_, list) = CertificateRevocationList::from_der(&list).expect("readable");
    let of_list = list.extensions().iter().find_map(|one| match one.parsed_extension() {
        ParsedExtension::IssuingDistributionPoint(point) => Some((one.critical, point.clone())),
        _ => None,
    });
    let (critical, of_list) = of_list.expect("present");
    assert_eq!(of_list.distribution_point, point.distribution_point);
    assert!(critical && of_list.only_contains_user_certs && !of_list.only_contains_ca_certs && !of_list.indirect_crl);
    let Some(DistributionPointName::FullName(names)) = &point.distribution_point else { panic!("a full name") };
    let last = leaf.serial.as_bytes()[15] & 0x7f;
    let identifier = crl::issuer_name(&AUTHORITY.issuing);
    assert_eq!(names, &[GeneralName::URI(&format!("http://status.example.jp/crl/{identifier}/{last:02x}.crl"))]);
}

#[test]
fn the_full_list_says_nothing_of_where_it_is_and_serves_for_every_certificate() {
    let der = signed(None, &[]);
    let (_, list) = CertificateRevocationList::from_der(&der).expect("readable");
    let kinds: Vec<_> = list.extensions().iter().map(|one| (one.oid.to_id_string(), one.critical)).collect();
    assert_eq!(kinds, [("2.5.29.35".to_owned(), false), ("2.5.29.20".to_owned(), false)]);
    assert_eq!(list.crl_number().expect("present").to_string(), "4294967297");
    assert_eq!(list.version(), Some(X509Version(1)));
    assert!(list.tbs_cert_list.revoked_certificates.is_empty());
    list.verify_signature(X509Certificate::from_der(AUTHORITY.issuing.der()).expect("readable").1.public_key())
        .expect("the CA itself signed it");
}

#[test]
fn what_breaks_a_rule_is_not_prepared() {
    let one = revoked(Serial::from_bytes([5; 16]), RevocationReason::Unspecified);
    let two = revoked(Serial::from_bytes([6; 16]), RevocationReason::Unspecified);
    assert!(crl::prepare(&contents(None, &[one, two])).is_ok());
    for wrong in [[two, one], [one, one]] {
        assert_eq!(crl::prepare(&contents(None, &wrong)).err(), Some(CrlError::Order(wrong[1].serial)));
    }
    let fine = contents(None, &[]);
    let ends = AUTHORITY.issuing.validity().not_after;
    for (this_update, next_update) in [
        (fine.next_update, fine.next_update),
        (fine.next_update, fine.this_update),
        (fine.this_update, ends.plus_seconds(1)),
    ] {
        let refused = crl::prepare(&Contents { this_update, next_update, ..fine }).err();
        assert_eq!(refused, Some(CrlError::Times { this_update, next_update, issuer_end: ends }));
    }
    assert!(crl::prepare(&Contents { next_update: ends, ..fine }).is_ok());
    for wrong in ["https://status.example.jp/x.crl", "", "http://"] {
        assert_eq!(crl::prepare(&contents(Some(wrong), &[])).err(), Some(CrlError::Address(wrong.to_owned())));
    }
    let before = Revoked { at: Timestamp(-1), ..one };
    assert!(matches!(crl::prepare(&contents(None, &[before])).err(), Some(CrlError::Encoding(_))));
    assert_eq!(crl::prepare(&fine).expect("prepared").sign(&AUTHORITY.root_signer).err(), Some(SignError::OtherKey));
}

#[test]
fn openssl_finds_each_revoked_certificate_on_the_list_that_it_names_and_on_the_full_one() {
    let world = &*WORLD;
    let (root, issuing) = (world.path("root.pem"), world.path("issuing.pem"));
    let judged = |list: &PathBuf, leaf: &PathBuf| {
        run(
            FAKETIME,
            "faketime",
            &[
                &NOW,
                &"openssl",
                &"verify",
                &"-x509_strict",
                &"-crl_check",
                &"-CAfile",
                &root,
                &"-untrusted",
                &issuing,
                &"-CRLfile",
                list,
                leaf,
            ],
        )
    };
    for (shard, list) in LISTS.iter().cloned() {
        let said = expect(OPENSSL, "openssl", &[&"crl", &"-in", &list, &"-noout", &"-verify", &"-CAfile", &issuing]);
        assert!(said.contains("verify OK"), "{said}");
        for (serial, _, leaf) in &world.revoked {
            let (good, said) = judged(&list, leaf);
            let expected = match shard {
                Some(shard) if shard != Shard::of(*serial) => "different CRL scope",
                _ => "certificate revoked",
            };
            assert!(!good && said.contains(expected), "{shard:?} {leaf:?}: {said}");
        }
        let (good, said) = judged(&list, &world.good.1);
        assert_eq!(good, shard.is_none_or(|shard| shard == Shard::of(world.good.0)), "{said}");
    }
}

#[test]
fn openssl_and_gnutls_read_each_reason_and_leave_unspecified_unsaid() {
    let world = &*WORLD;
    let (_, full) = &LISTS[0];
    let text = expect(OPENSSL, "openssl", &[&"crl", &"-in", full, &"-noout", &"-text"]);
    for reason in ["Key Compromise", "Superseded", "Cessation Of Operation"] {
        assert_eq!(text.matches(reason).count(), 1, "{text}");
    }
    assert_eq!(text.matches("X509v3 CRL Reason Code").count(), 3, "{text}");
    let text = expect(GNUTLS, "certtool", &[&"--crl-info", &"--infile", full]);
    for (serial, ..) in &world.revoked {
        assert!(text.contains(&serial.to_string().to_lowercase()), "{text}");
    }
    assert!(text.contains("Revoked certificates (4)") && text.contains("Version: 2"), "{text}");
    let issuing = world.path("issuing.pem");
    let text = expect(
        FAKETIME,
        "faketime",
        &[&NOW, &"certtool", &"--verify-crl", &"--load-ca-certificate", &issuing, &"--infile", full],
    );
    assert!(text.contains("Verified"), "{text}");
}

#[test]
fn pkilint_finds_nothing_in_lists() {
    let empty = WORLD.path("empty.der");
    std::fs::write(&empty, signed(None, &[])).expect("written");
    let lists = LISTS.iter().map(|(_, path)| path.with_extension("der"));
    for list in lists.chain([empty]) {
        for profile in ["PKIX", "BR"] {
            let lint = pkilint("lint_crl");
            let (clean, text) =
                run("pkilint", lint, &[&"lint", &"-t", &"CRL", &"-p", &profile, &"-s", &"WARNING", &list]);
            assert!(clean && text.trim().is_empty(), "{profile} {list:?}: {text}");
        }
    }
}

#[test]
fn a_list_of_a_million_takes_less_than_a_second_in_a_release_build() {
    let count: u32 = if cfg!(debug_assertions) { 50_000 } else { 1_000_000 };
    let entry = |number: u32| {
        let mut serial = [0x20; 16];
        serial[4..8].copy_from_slice(&number.to_be_bytes());
        revoked(Serial::from_bytes(serial), RevocationReason::KeyCompromise)
    };
    let entries: Vec<_> = (0..count).map(entry).collect();
    let begun = Instant::now();
    let der = signed(None, &entries);
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(1), "{count} entries took {took:?}");
    assert_eq!(der.len() / entries.len(), 49, "each has 49 octets");
}

fn reasons() -> impl Strategy<Value = RevocationReason> {
    proptest::sample::select(RevocationReason::ALL.map(|(reason, _)| reason).to_vec())
}

proptest! {
    #[test]
    fn an_independent_parser_reads_back_the_same_set(
        // Few octets, so that zeros, high bits and both forms of time are among them.
        set in proptest::collection::btree_map(
            proptest::array::uniform16(proptest::sample::select(vec![0_u8, 1, 0x7f, 0x80, 0xff])),
            (0_i64..4_000_000_000, reasons()),
            0..40,
        ),
        number in any::<u64>(),
    ) {
        let entries: Vec<_> = set.iter().map(|(serial, (at, reason))| {
            Revoked { serial: Serial::from_bytes(*serial), at: Timestamp(*at), reason: *reason }
        }).collect();
        let contents = Contents { number, ..contents(None, &entries) };
        let der = crl::prepare(&contents).expect("prepared").sign(&AUTHORITY.signer).expect("signed");
        let (rest, list) = CertificateRevocationList::from_der(&der).expect("readable");
        prop_assert!(rest.is_empty());
        prop_assert_eq!(list.crl_number().expect("present").to_string(), number.to_string());
        prop_assert_eq!(list.last_update().timestamp(), at(THIS_UPDATE).0);
        prop_assert_eq!(list.next_update().expect("present").timestamp(), at(NEXT_UPDATE).0);
        let read: Vec<_> = list.iter_revoked_certificates().map(|one| {
            let octets = one.user_certificate.to_bytes_be();
            let mut serial = [0; 16];
            serial[16 - octets.len()..].copy_from_slice(&octets);
            let code = one.reason_code().map_or(0, |(critical, reason)| { assert!(!critical); reason.0 });
            (serial, one.revocation_date.timestamp(), code)
        }).collect();
        let expected: Vec<_> = set.iter().map(|(serial, (at, reason))| (*serial, *at, match reason {
            RevocationReason::Unspecified => 0,
            RevocationReason::KeyCompromise => 1,
            RevocationReason::Superseded => 4,
            RevocationReason::CessationOfOperation => 5,
        })).collect();
        prop_assert_eq!(read, expected);
        // An INTEGER has no needless octet in front.
        for raw in list.iter_revoked_certificates().map(|one| one.raw_serial()) {
            prop_assert!(raw[0] < 0x80 && (raw.len() == 1 || raw[0] != 0 || raw[1] >= 0x80), "{raw:?}");
        }
    }
}
