//! Who may use whom (ARCHITECTURE.md, "Arrows"), and what never leaves its room: the signing key, SQL, the system's time.

use std::collections::{BTreeMap, BTreeSet};

use crate::tree::{self, crates, find_words, none, read, shipped, sources};

/// The dependencies that `crates/NAME/Cargo.toml` names in `table`.
fn dependencies(name: &str, table: &str) -> BTreeSet<String> {
    let manifest: toml::Table = read(&format!("crates/{name}/Cargo.toml")).parse().expect("a manifest is TOML");
    let Some(table) = manifest.get(table).and_then(toml::Value::as_table) else { return BTreeSet::new() };
    table.keys().cloned().collect()
}

/// The crates of ours among them, by the names of their folders.
fn ours(names: &BTreeSet<String>) -> BTreeSet<String> {
    names.iter().filter_map(|name| name.strip_prefix("tegata-")).map(str::to_owned).collect()
}

/// The table of arrows in ARCHITECTURE.md: crate -> what it may use.
fn table_of_arrows() -> BTreeMap<String, BTreeSet<String>> {
    let text = read("ARCHITECTURE.md");
    let section = text.split("\n## ").find(|part| part.starts_with("Arrows")).expect("a section \"Arrows\"");
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    rows.map(|row| {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let used = cells[1].split(',').map(|word| word.trim().trim_matches('`').to_owned()).filter(|word| word != "-");
        (cells[0].trim_matches('`').to_owned(), used.collect())
    })
    .collect()
}

#[test]
fn the_table_of_arrows_is_what_the_manifests_say() {
    let written = table_of_arrows();
    let real: BTreeMap<_, _> =
        crates().into_iter().map(|name| (name.clone(), ours(&dependencies(&name, "dependencies")))).collect();
    assert!(real["web"].contains("authority"), "the manifests were not read: {real:?}");
    assert_eq!(written, real, "ARCHITECTURE.md (left) and the manifests (right) differ");
}

#[test]
fn every_crate_takes_lints_and_versions_from_the_workspace() {
    let mut findings = Vec::new();
    let inherits = |value: Option<&toml::Value>| {
        value.and_then(|v| v.get("workspace")).and_then(toml::Value::as_bool) == Some(true)
    };
    for name in crates() {
        let manifest: toml::Table = read(&format!("crates/{name}/Cargo.toml")).parse().expect("a manifest is TOML");
        if !inherits(manifest.get("lints")) {
            findings.push(format!("{name}: [lints] workspace = true is missing"));
        }
        for key in ["version", "edition", "rust-version", "license", "publish"] {
            if !inherits(manifest["package"].get(key)) {
                findings.push(format!("{name}: {key}.workspace = true is missing"));
            }
        }
        for table in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let table = manifest.get(table).and_then(toml::Value::as_table).cloned().unwrap_or_default();
            let own = table.iter().filter(|(_, value)| !inherits(Some(value)));
            findings.extend(own.map(|(dependency, _)| format!("{name}: {dependency} has a version of its own")));
        }
    }
    none(&findings, "the root Cargo.toml says it once:");
}

#[test]
fn no_room_brings_what_it_must_never_have() {
    let runtime = ["tokio", "futures-util", "sd-notify"];
    let network = ["hyper", "hyper-util", "axum", "http", "tower", "tower-http", "rustls", "tokio-rustls", "reqwest"];
    let database = ["sqlx", "rusqlite"];
    let forbidden: [(&str, Vec<&str>); 8] = [
        ("agent", [&runtime[..], &database, &["hyper", "axum", "tower", "reqwest", "x509-cert", "der"]].concat()),
        ("core", [&runtime[..], &network, &database, &["x509-cert", "der", "aws-lc-rs", "tracing", "toml"]].concat()),
        ("pki", [&runtime[..], &network, &database].concat()),
        ("store", network.to_vec()),
        ("authority", [&network[..], &database, &["askama"]].concat()),
        ("gateway", [&database[..], &["askama", "axum"]].concat()),
        ("web", [&database[..], &["rustls", "tokio-rustls", "x509-cert", "der", "p12-keystore"]].concat()),
        ("tegata", [&database[..], &["x509-cert", "der", "p12-keystore", "askama"]].concat()),
    ];
    let mut findings = Vec::new();
    for (room, names) in forbidden {
        let used = dependencies(room, "dependencies");
        assert!(!used.is_empty(), "crates/{room}/Cargo.toml was not read");
        findings.extend(names.iter().filter(|name| used.contains(**name)).map(|name| format!("{room}: {name}")));
    }
    none(&findings, "these dependencies are not for these rooms:");
}

#[test]
fn only_store_speaks_sql() {
    let mut statements = 0;
    let mut findings = Vec::new();
    for source in shipped() {
        for literal in source.literals.iter().filter(|literal| is_sql(&literal.text)) {
            statements += 1;
            if source.room() != "store" {
                findings.push(format!("{}:{}", source.path, literal.line));
            }
        }
    }
    findings.extend(tree::files("crates", ".sql").into_iter().filter(|path| !path.starts_with("crates/store/")));
    none(&findings, "SQL outside of crates/store:");
    assert!(statements >= 10, "no SQL was found at all, the search is blind");
}

fn is_sql(text: &str) -> bool {
    let words: Vec<&str> = text.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|w| !w.is_empty()).collect();
    let pair = |first: &str, second: &str| {
        words.iter().position(|word| *word == first).is_some_and(|at| words[at..].contains(&second))
    };
    pair("SELECT", "FROM") || pair("INSERT", "INTO") || pair("UPDATE", "SET") || pair("DELETE", "FROM")
}

#[test]
fn sql_is_told_from_prose() {
    assert!(is_sql("SELECT id\n  FROM terminals WHERE id = $1") && is_sql("INSERT OR IGNORE INTO t (a) VALUES ($1)"));
    assert!(!is_sql("select a certificate from the list") && !is_sql("UPDATE") && !is_sql("FROM here you SELECT"));
}

/// Invariant 1. `pki` is where `sign` lives, so it is aside. Beyond it one file reaches the key, prepares certificates and has them signed;
/// the rest of its room hands it an `Order`, which holds a permit, and only the founding of a CA signs the CA's own certificates.
#[test]
fn only_the_spine_signs() {
    const SPINE: &str = "crates/authority/src/issue.rs";
    const FOUNDING: &str = "crates/authority/src/ceremony.rs";
    /// Signs the operation log, with a key that is no CA's.
    const LOG: &str = "crates/authority/src/checkpoint.rs";
    let mut at_the_spine = 0;
    let mut findings = Vec::new();
    for source in shipped().into_iter().filter(|source| source.room() != "pki") {
        let in_authority = source.room() == "authority";
        for at in find_words(&source.code, ".sign(") {
            let to_the_spine = in_authority && source.code[at..].starts_with(".sign(Order ");
            match source.path.as_str() {
                SPINE => at_the_spine += 1,
                _ if to_the_spine => {}
                _ => findings.push(format!("{}:{} signs", source.path, tree::line_of(&source.code, at))),
            }
        }
        let mut only_in = |home: &str, name: &str| {
            if source.path != home {
                findings.extend(source.places(name).into_iter().map(|place| format!("{place} {name}")));
            }
        };
        for name in ["issue::prepare", "issue::prepare_server", "issue::prepare_responder", "crl::prepare", ".signer"] {
            only_in(SPINE, name);
        }
        for name in ["issue::root", "issue::issuing"] {
            only_in(FOUNDING, name);
        }
        only_in(LOG, "checkpoint::sign(");
        if !in_authority {
            for name in ["Signer", "SoftwareSigner"] {
                only_in(SPINE, name);
            }
        }
    }
    none(&findings, "only crates/authority/src/issue.rs signs, and only its room holds the key:");
    assert!(at_the_spine > 0, "{SPINE} does not sign: the search is blind, or the door has moved");
}

#[test]
fn pages_read_and_never_write() {
    let mut files = 0;
    let mut findings = Vec::new();
    for source in shipped().into_iter().filter(|source| source.room() == "web") {
        files += 1;
        findings.extend(source.places("Store"));
        findings.extend(source.places("Tx"));
        findings.extend(source.places(".write("));
    }
    none(&findings, "crates/web asks the authority to change things; it never begins a transaction:");
    assert!(files >= 5, "the pages were not found");
}

#[test]
fn the_gate_never_asks_the_database() {
    let gateway = shipped().into_iter().filter(|source| source.room() == "gateway");
    let findings: Vec<String> = gateway.flat_map(|source| source.places("tegata_store")).collect();
    none(&findings, "the gateway answers from its snapshot:");
    assert!(!dependencies("gateway", "dependencies").contains("tegata-store"));
    assert!(!dependencies("gateway", "dependencies").contains("tegata-authority"));
}

#[test]
fn only_the_system_file_reads_the_clock() {
    const HOMES: [&str; 2] = ["crates/tegata/src/system.rs", "crates/agent/src/system.rs"];
    let mut at_home = 0;
    let mut findings = Vec::new();
    for source in shipped() {
        for call in ["SystemTime::now", "Timestamp::now", "Zoned::now", "UNIX_EPOCH.elapsed"] {
            let places = source.places(call);
            if HOMES.contains(&source.path.as_str()) {
                at_home += places.len();
            } else {
                findings.extend(places);
            }
        }
    }
    none(&findings, "take a tegata_core::time::Clock; the system's time is read in the two system.rs alone:");
    assert!(at_home >= HOMES.len(), "{HOMES:?} read no clock: the search is blind, or its home has moved");
}

/// Chance: the system's generator is held by `system.rs`, and by key generation and signing, which cannot be given another one.
#[test]
fn only_the_system_file_and_key_generation_draw_chance() {
    let homes = ["crates/tegata/src/system.rs", "crates/agent/src/system.rs"];
    let permitted = |path: &str| homes.contains(&path) || path.starts_with("crates/pki/src/");
    let mut findings = Vec::new();
    let mut permitted_places = 0;
    for source in shipped() {
        for call in ["SystemRandom::new", "rand::fill", "OsRng", "thread_rng", "rand::random", "Uuid::new_v4"] {
            let places = source.places(call);
            if permitted(&source.path) {
                permitted_places += places.len();
            } else {
                findings.extend(places);
            }
        }
    }
    none(&findings, "take a tegata_core::secret::Entropy; chance enters in the two system.rs alone:");
    assert!(permitted_places > 0, "no generator was found at all, the search is blind");
}

#[test]
fn core_and_pki_are_not_async() {
    let mut files = 0;
    let mut findings = Vec::new();
    for source in sources().iter().filter(|source| matches!(source.room(), "core" | "pki") && !source.is_test) {
        files += 1;
        findings.extend(source.places("async"));
    }
    none(&findings, "core and pki are plain functions:");
    assert!(files >= 20, "core and pki were not found");
}

/// The packages that a lock file names.
fn locked(path: &str) -> Vec<toml::Value> {
    let lock: toml::Table = read(path).parse().expect("TOML");
    let packages = lock["package"].as_array().expect("an array of packages");
    assert!(packages.len() > 100, "{path} was not read");
    packages.clone()
}

#[test]
fn everything_comes_from_the_one_registry_and_nothing_banned_is_locked() {
    let mut findings = Vec::new();
    for (lock, package) in
        ["Cargo.lock", "fuzz/Cargo.lock"].into_iter().flat_map(|lock| locked(lock).into_iter().map(move |p| (lock, p)))
    {
        let name = package["name"].as_str().expect("a name");
        let source = package.get("source").and_then(toml::Value::as_str);
        if source.is_some_and(|source| source != "registry+https://github.com/rust-lang/crates.io-index") {
            findings.push(format!("{lock}: {name} comes from {source:?}"));
        }
        if ["openssl", "openssl-sys", "native-tls", "rsa", "rc2", "serde_yaml"].contains(&name) {
            findings.push(format!("{lock}: {name} is banned (deny.toml says why)"));
        }
    }
    none(&findings, "the lock files:");
}

/// What is fuzzed is what is shipped. Aside from libFuzzer, which is in no build of ours.
#[test]
fn the_fuzz_targets_are_built_from_the_versions_that_we_ship() {
    let ours = locked("Cargo.lock");
    let label = |package: &toml::Value| format!("{} {}", package["name"], package["version"]).replace('"', "");
    let shipped: BTreeSet<String> = ours.iter().map(label).collect();
    let own = ["tegata-fuzz", "libfuzzer-sys", "arbitrary"];
    let differ = locked("fuzz/Cargo.lock").into_iter().filter(|package| {
        let name = package["name"].as_str().expect("a name");
        !own.contains(&name) && !shipped.contains(&label(package))
    });
    let findings: Vec<String> = differ.map(|package| label(&package)).collect();
    let remedy =
        "cp Cargo.lock fuzz/Cargo.lock && cargo metadata --manifest-path fuzz/Cargo.toml --format-version 1 >/dev/null";
    none(&findings, &format!("Cargo.lock has no such version; bring fuzz/Cargo.lock in step again: {remedy}"));
}
