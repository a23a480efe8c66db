//! The tree as the tidy tests read it: Rust files with their comments, texts and tests told apart, manifests, Markdown. A small lexer, no
//! parser: it must never be wrong about what is a comment, and may be plain about the rest.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// The root of the workspace.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the workspace is two folders up")
}

/// A file of the workspace as text.
pub fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// Every file below `folder` (relative to the root) whose name ends so, sorted, as paths relative to the root.
pub fn files(folder: &str, ending: &str) -> Vec<String> {
    let mut found = Vec::new();
    walk(&root().join(folder), ending, &mut found);
    let root = root();
    let mut paths: Vec<String> = found
        .iter()
        .map(|path| path.strip_prefix(&root).expect("below the root").to_str().expect("UTF-8 names").to_owned())
        .collect();
    paths.sort();
    paths
}

fn walk(folder: &Path, ending: &str, found: &mut Vec<PathBuf>) {
    const OTHERS: [&str; 5] = ["target", "node_modules", "artifacts", "corpus", "tegata-demo"];
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.map(|entry| entry.expect("a readable folder")) {
        let (path, name) = (entry.path(), entry.file_name());
        let name = name.to_str().expect("UTF-8 names");
        if path.is_dir() {
            if !name.starts_with('.') && !OTHERS.contains(&name) {
                walk(&path, ending, found);
            }
        } else if name.ends_with(ending) {
            found.push(path);
        }
    }
}

/// The names of the crates: the folders below `crates/`.
pub fn crates() -> Vec<String> {
    let manifests = files("crates", "Cargo.toml");
    let names: Vec<String> = manifests.iter().filter_map(|path| path.split('/').nth(1)).map(str::to_owned).collect();
    assert!(names.len() >= 8, "crates were not found: {names:?}");
    names
}

/// A text in the code.
pub struct Literal {
    pub line: usize,
    pub text: String,
}

/// One Rust file.
pub struct Source {
    /// Relative to the root: `crates/core/src/time.rs`.
    pub path: String,
    /// As it is.
    pub text: String,
    /// Comments and the insides of texts blanked, test modules blanked; lines stay where they are.
    pub code: String,
    /// The texts outside of tests.
    pub literals: Vec<Literal>,
    /// Lines outside of test modules.
    pub lines: usize,
    /// The whole file is a test, a bench or a fuzz target.
    pub is_test: bool,
}

impl Source {
    /// The crate's folder name.
    pub fn room(&self) -> &str {
        self.path.trim_start_matches("crates/").split('/').next().expect("crates/NAME/..., fuzz/...")
    }

    /// `path:line` of each place in the code, tests aside, where `needle` stands and is not part of a longer word.
    pub fn places(&self, needle: &str) -> Vec<String> {
        find_words(&self.code, needle).map(|at| format!("{}:{}", self.path, line_of(&self.code, at))).collect()
    }
}

/// Every Rust file of the workspace.
pub fn sources() -> &'static [Source] {
    static SOURCES: LazyLock<Vec<Source>> = LazyLock::new(|| {
        let mut paths = files("crates", ".rs");
        assert!(paths.len() >= 25, "Rust files were not found: {paths:?}");
        paths.extend(files("fuzz", ".rs"));
        let mut sources: Vec<Source> = paths.into_iter().map(|path| source(&path, read(&path))).collect();
        let of_tests: Vec<String> = sources.iter().flat_map(test_modules).collect();
        for source in &mut sources {
            source.is_test |= of_tests.contains(&source.path);
        }
        sources
    });
    &SOURCES
}

/// Every Rust file that ends up in the binary.
pub fn shipped() -> Vec<&'static Source> {
    let sources: Vec<&Source> = sources().iter().filter(|s| !s.is_test && s.room() != "testkit").collect();
    assert!(sources.len() >= 20, "the code was not found");
    sources
}

/// The files of modules that are declared behind `#[cfg(test)]`.
fn test_modules(source: &Source) -> Vec<String> {
    let (folder, file) = source.path.rsplit_once('/').expect("a file is in a folder");
    let stem = file.trim_end_matches(".rs");
    let below = if ["lib", "main", "mod"].contains(&stem) { folder.to_owned() } else { format!("{folder}/{stem}") };
    let declared = source.text.split("#[cfg(test)]").skip(1).filter_map(|rest| rest.trim_start().strip_prefix("mod "));
    declared.filter_map(|rest| rest.split_once(';')).map(|(name, _)| format!("{below}/{}.rs", name.trim())).collect()
}

/// Reads one file.
pub fn source(path: &str, text: String) -> Source {
    let (code, literals) = lex(&text);
    let for_tests = ["/tests/", "/benches/"].iter().any(|folder| path.contains(folder)) || path.starts_with("fuzz/");
    let is_test = for_tests || path.ends_with("/tests.rs");
    let ranges = test_items(&code);
    let code = blank(&code, &ranges);
    let aside: usize = ranges.iter().map(|range| text[range.clone()].matches('\n').count()).sum();
    let lines = text.lines().count() - aside;
    let outside = |at: usize| !ranges.iter().any(|range| range.contains(&at));
    let literals = literals
        .into_iter()
        .filter(|(at, _)| outside(*at))
        .map(|(at, text_of)| Literal { line: line_of(&text, at), text: text_of })
        .collect();
    Source { path: path.to_owned(), text, code, literals, lines, is_test }
}

/// The line of an offset, from 1.
pub fn line_of(text: &str, at: usize) -> usize {
    text[..at].matches('\n').count() + 1
}

/// Where `needle` stands with no letter, digit or `_` joined to the ends of it that are such themselves.
pub fn find_words<'a>(code: &'a str, needle: &'a str) -> impl Iterator<Item = usize> + 'a {
    let word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    let (opens, closes) = (word(needle.chars().next()), word(needle.chars().next_back()));
    code.match_indices(needle).map(|(at, _)| at).filter(move |at| {
        let (before, after) = (code[..*at].chars().next_back(), code[at + needle.len()..].chars().next());
        let cut = |joined: bool, side: Option<char>| joined && word(side);
        !cut(opens, before) && !cut(closes, after)
    })
}

/// The end of the block that opens at or after `from`: the offset behind its `}`; or behind a `;` that comes first.
pub fn item_end(code: &str, from: usize) -> usize {
    let mut depth = 0_usize;
    for (at, c) in code[from..].char_indices() {
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' => depth = depth.saturating_sub(1),
            '}' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return from + at + 1;
                }
            }
            ';' if depth == 0 => return from + at + 1,
            _ => {}
        }
    }
    code.len()
}

/// The items behind a `#[cfg(test)]` or `#[test]`.
fn test_items(code: &str) -> Vec<Range<usize>> {
    let mut ranges: Vec<Range<usize>> = Vec::new();
    for marker in ["#[cfg(test)]", "#[test]", "#[tokio::test]"] {
        for (at, _) in code.match_indices(marker) {
            if !ranges.iter().any(|range| range.contains(&at)) {
                ranges.push(at..item_end(code, at + marker.len()));
            }
        }
    }
    ranges
}

/// Overwrites ranges with spaces, byte by byte; line ends stay.
fn blank(code: &str, ranges: &[Range<usize>]) -> String {
    let mut bytes = code.as_bytes().to_vec();
    for byte in ranges.iter().flat_map(|range| range.clone()) {
        if bytes[byte] != b'\n' {
            bytes[byte] = b' ';
        }
    }
    String::from_utf8(bytes).expect("whole characters were replaced by ASCII")
}

/// Blanks comments and the insides of texts; returns the texts with their offsets. Offsets stay what they were.
fn lex(text: &str) -> (String, Vec<(usize, String)>) {
    let bytes = text.as_bytes();
    let mut blanks: Vec<Range<usize>> = Vec::new();
    let mut literals = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let rest = &text[at..];
        if rest.starts_with("//") {
            let end = rest.find('\n').map_or(text.len(), |n| at + n);
            blanks.push(at..end);
            at = end;
        } else if rest.starts_with("/*") {
            let end = block_comment_end(bytes, at);
            blanks.push(at..end);
            at = end;
        } else if let Some((inside, end)) = string_at(text, at) {
            literals.push((at, text[inside.clone()].to_owned()));
            blanks.push(inside);
            at = end;
        } else if bytes[at] == b'\'' {
            let end = char_end(rest).map_or(at + 1, |n| at + n);
            if end > at + 2 {
                blanks.push(at + 1..end - 1);
            }
            at = end;
        } else {
            at += rest.chars().next().map_or(1, char::len_utf8);
        }
    }
    (blank(text, &blanks), literals)
}

fn block_comment_end(bytes: &[u8], from: usize) -> usize {
    let (mut depth, mut at) = (0, from);
    while at + 1 < bytes.len() {
        match &bytes[at..at + 2] {
            b"/*" => (depth, at) = (depth + 1, at + 2),
            b"*/" => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    bytes.len()
}

/// A text that begins at `at`, its prefix (`b`, `r`, `br`, `c`) included: its inside and the offset behind it.
fn string_at(text: &str, at: usize) -> Option<(Range<usize>, usize)> {
    let rest = &text[at..];
    let joined = text[..at].chars().next_back().is_some_and(|c| c.is_alphanumeric() || c == '_');
    let prefix = ["", "b", "c", "r", "br", "cr"].into_iter().rev().find(|prefix| {
        let after =
            rest.strip_prefix(prefix).map(|r| r.trim_start_matches(if prefix.contains('r') { '#' } else { '"' }));
        rest.starts_with(prefix)
            && (prefix.is_empty() || !joined)
            && (rest[prefix.len()..].starts_with('"')
                || (prefix.contains('r') && after.is_some_and(|r| r.starts_with('"'))))
    })?;
    let hashes = rest[prefix.len()..].bytes().take_while(|b| *b == b'#').count();
    let start = at + prefix.len() + hashes + 1;
    if prefix.contains('r') {
        let close = format!("\"{}", "#".repeat(hashes));
        let end = text[start..].find(&close).map_or(text.len(), |n| start + n);
        return Some((start..end, (end + close.len()).min(text.len())));
    }
    let mut escaped = false;
    for (n, byte) in text[start..].bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return Some((start..start + n, start + n + 1)),
            _ => {}
        }
    }
    Some((start..text.len(), text.len()))
}

/// The length of a character literal such as `'x'`, `'\n'`, `'\u{3042}'`; `None` where the quote begins a lifetime.
fn char_end(rest: &str) -> Option<usize> {
    let mut chars = rest.char_indices().skip(1);
    let (_, first) = chars.next()?;
    if first == '\\' {
        let (_, escaped) = chars.next()?;
        let _ = escaped;
        return chars.find(|(_, c)| *c == '\'').map(|(n, _)| n + 1);
    }
    chars.next().filter(|(_, c)| *c == '\'').map(|(n, _)| n + 1)
}

/// The Markdown of the project: the root's and everything below the folders that carry some.
pub fn markdown() -> Vec<String> {
    let mut paths: Vec<String> = fs::read_dir(root())
        .expect("the root is readable")
        .filter_map(|entry| entry.expect("a readable folder").file_name().into_string().ok())
        .filter(|name| name.ends_with(".md"))
        .collect();
    for folder in ["docs", "crates", "packaging", "e2e", "bench", "fuzz", "scripts"] {
        paths.extend(files(folder, ".md"));
    }
    paths.sort();
    assert!(paths.len() >= 10, "the documents were not found: {paths:?}");
    paths
}

/// Fails with every finding on a line of its own.
pub fn none(findings: &[String], rule: &str) {
    assert!(findings.is_empty(), "{rule}\n  {}", findings.join("\n  "));
}
