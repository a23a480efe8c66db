//! The documents describe what stands here: the code map names every file, each link leads somewhere, each path, route and test that a
//! document names exists.

use std::collections::BTreeSet;

use crate::tree::{crates, files, find_words, markdown, none, read, root, shipped};

/// Links that may lead nowhere for now, as `document -> target`. The list only shrinks; released versions have none.
const PENDING_LINKS: &[&str] = &[];

/// The part of a document below a heading of the second level.
fn section(document: &str, heading: &str) -> String {
    let text = read(document);
    let found = text.split("\n## ").find(|part| part.starts_with(heading));
    found.unwrap_or_else(|| panic!("{document} has no section {heading:?}")).to_owned()
}

/// The texts between backticks, outside of code blocks, with their lines.
fn code_words(text: &str) -> Vec<(usize, String)> {
    let mut in_block = false;
    let mut words = Vec::new();
    for (n, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            in_block = !in_block;
        } else if !in_block {
            words.extend(line.split('`').skip(1).step_by(2).map(|word| (n + 1, word.to_owned())));
        }
    }
    words
}

/// What the code map names: `crates/core/src/time.rs`, from the list below the heading `### `crates/core``.
fn code_map() -> BTreeSet<String> {
    let mut folder = String::new();
    let mut named = BTreeSet::new();
    for line in section("ARCHITECTURE.md", "Code map").lines() {
        if let Some(heading) = line.strip_prefix("### `") {
            folder = heading.split('`').next().expect("a closed name").to_owned();
        } else if let Some(item) = line.strip_prefix("- `") {
            let name = item.split('`').next().expect("a closed name");
            let about = item.split_once("`: ").map_or("", |(_, about)| about);
            assert!(!about.is_empty(), "{folder}/{name} is named, but not explained");
            assert!(named.insert(format!("{folder}/{name}")), "{folder}/{name} is named twice");
        }
    }
    assert!(named.len() > 20, "the code map was not read: {named:?}");
    named
}

#[test]
fn the_code_map_names_every_file_and_nothing_else() {
    let named = code_map();
    let mut sources: Vec<String> = files("crates", ".rs").into_iter().filter(|path| path.contains("/src/")).collect();
    sources.extend(files("fuzz", ".rs"));
    let mut findings: Vec<String> = Vec::new();
    findings.extend(sources.iter().filter(|path| !named.contains(*path)).map(|path| format!("not named: {path}")));
    findings
        .extend(named.iter().filter(|path| !root().join(path).exists()).map(|path| format!("does not exist: {path}")));
    none(&findings, "ARCHITECTURE.md, \"Code map\":");
}

#[test]
fn the_code_map_has_every_crate() {
    let text = section("ARCHITECTURE.md", "Code map");
    let findings: Vec<String> =
        crates().into_iter().filter(|name| !text.contains(&format!("\n### `crates/{name}`"))).collect();
    none(&findings, "ARCHITECTURE.md, \"Code map\" lacks these crates:");
}

/// A fuzz target that is built by nobody, or that begins with nothing, finds nothing.
#[test]
fn each_fuzz_target_is_built_and_has_inputs_to_begin_with() {
    let manifest: toml::Table = read("fuzz/Cargo.toml").parse().expect("a manifest is TOML");
    let bins = manifest["bin"].as_array().expect("an array of binaries");
    let mut built: Vec<&str> = bins.iter().map(|bin| bin["name"].as_str().expect("a name")).collect();
    built.sort_unstable();
    let targets = files("fuzz/fuzz_targets", ".rs");
    let names: Vec<&str> = targets.iter().filter_map(|path| path.rsplit('/').next()?.strip_suffix(".rs")).collect();
    assert_eq!(built, names, "fuzz/Cargo.toml (left) and fuzz/fuzz_targets (right) differ");
    let findings: Vec<String> =
        names.iter().map(|name| format!("fuzz/seeds/{name}")).filter(|folder| files(folder, "").is_empty()).collect();
    none(&findings, "no inputs to begin with:");
}

/// Each row of the table of invariants ends with the tests that hold it, as `path::name`.
#[test]
fn each_invariant_has_its_test() {
    let text = section("ARCHITECTURE.md", "Invariants");
    let rows: Vec<&str> =
        text.lines().filter(|line| line.starts_with("| ") && line.as_bytes()[2].is_ascii_digit()).collect();
    assert!(rows.len() >= 8, "the invariants were not read");
    let mut findings = Vec::new();
    for row in rows {
        let tests: Vec<(usize, String)> =
            code_words(row).into_iter().filter(|(_, word)| word.contains(".rs::")).collect();
        if tests.is_empty() {
            findings.push(format!("no test: {row}"));
        }
        for (_, test) in tests {
            let (path, name) = test.split_once("::").expect("seen above");
            let text = std::fs::read_to_string(root().join(path)).unwrap_or_default();
            if find_words(&text, &format!("fn {name}")).next().is_none() {
                findings.push(format!("{test} does not exist"));
            }
        }
    }
    none(&findings, "ARCHITECTURE.md, \"Invariants\":");
}

/// `[text](target)` and `![text](target)` with their lines.
fn links(text: &str) -> Vec<(usize, String)> {
    let mut in_block = false;
    let mut links = Vec::new();
    for (n, line) in text.lines().enumerate() {
        in_block ^= line.trim_start().starts_with("```");
        if !in_block {
            let targets = line.split("](").skip(1).filter_map(|rest| rest.split(')').next());
            links.extend(targets.map(|target| (n + 1, target.to_owned())));
        }
    }
    links
}

/// The anchor that a heading gets: lower case, spaces to `-`, punctuation dropped.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = text.lines().filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#').trim());
    let kept = |c: &char| c.is_alphanumeric() || matches!(c, '-' | '_' | ' ');
    headings.map(|h| h.to_lowercase().chars().filter(kept).map(|c| if c == ' ' { '-' } else { c }).collect()).collect()
}

#[test]
fn each_link_leads_somewhere() {
    let mut seen = 0;
    let mut findings = Vec::new();
    for document in markdown() {
        let text = read(&document);
        let folder = root().join(&document).parent().expect("a file has a folder").to_owned();
        for (line, target) in links(&text) {
            if target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            seen += 1;
            let (path, anchor) = target.split_once('#').unwrap_or((&target, ""));
            let file = if path.is_empty() { root().join(&document) } else { folder.join(path) };
            let pending = PENDING_LINKS.iter().any(|pending| root().join(pending) == file);
            if !file.exists() && !pending {
                findings.push(format!("{document}:{line} {target} does not exist"));
            }
            if !anchor.is_empty() && !anchors(&std::fs::read_to_string(&file).unwrap_or_default()).contains(anchor) {
                findings.push(format!("{document}:{line} {target} has no such heading"));
            }
        }
    }
    findings.extend(
        PENDING_LINKS
            .iter()
            .filter(|path| root().join(path).exists())
            .map(|path| format!("{path} is there; take it off PENDING_LINKS")),
    );
    assert!(seen > 20, "links were not found");
    none(&findings, "links in the documents:");
}

#[test]
fn each_path_that_a_document_names_exists() {
    let folders = ["crates/", "docs/", "scripts/", "e2e/", "bench/", "fuzz/", "packaging/", ".ci/"];
    let mut seen = 0;
    let mut findings = Vec::new();
    for document in markdown().into_iter().filter(|document| document != "CHANGELOG.md") {
        for (line, word) in code_words(&read(&document)) {
            let path = word.split("::").next().unwrap_or_default();
            let is_path =
                folders.iter().any(|folder| path.starts_with(folder)) && !path.contains([' ', '*', '{', '<', '…']);
            if is_path {
                seen += 1;
                if !root().join(path).exists() {
                    findings.push(format!("{document}:{line} {path}"));
                }
            }
        }
    }
    assert!(seen > 20, "paths were not found");
    none(&findings, "these paths do not exist:");
}

/// `GET /menu` in a document is a route in the code.
#[test]
fn each_route_that_a_document_names_exists() {
    let routes: BTreeSet<String> = shipped()
        .iter()
        .filter(|source| matches!(source.room(), "web" | "tegata"))
        .flat_map(|source| source.literals.iter())
        .map(|literal| literal.text.clone())
        .filter(|text| text.starts_with('/'))
        .collect();
    let mut seen = 0;
    let mut findings = Vec::new();
    for document in markdown() {
        for (line, word) in code_words(&read(&document)) {
            let Some(path) = word.strip_prefix("GET ").or_else(|| word.strip_prefix("POST ")) else { continue };
            let path = path.split('?').next().unwrap_or_default();
            seen += 1;
            if !routes.contains(path) {
                findings.push(format!("{document}:{line} {word}"));
            }
        }
    }
    assert!(seen >= 10, "routes were not found");
    none(&findings, "these routes are in no router:");
}

/// Both languages of the manual have the same chapters, so that neither is forgotten.
#[test]
fn the_manuals_have_the_same_chapters_in_both_languages() {
    let japanese = files("docs/manual/ja", ".md");
    assert!(japanese.len() >= 2, "the manuals were not found");
    let mut findings = Vec::new();
    for path in japanese {
        let other = path.replace("/ja/", "/en/");
        let count = |path: &str| read(path).lines().filter(|line| line.starts_with("## ")).count();
        if !root().join(&other).exists() {
            findings.push(format!("{other} is missing"));
        } else if count(&path) != count(&other) {
            findings.push(format!("{path} has {} chapters, {other} has {}", count(&path), count(&other)));
        }
    }
    none(&findings, "docs/manual:");
}
