//! The house style, as far as a reader of text can check it (CONTRIBUTING.md).

use crate::tree::{self, Source, find_words, item_end, line_of, none, shipped, sources};

/// Files that are longer than the rule, with the length they may have. The list only shrinks.
const LONG_FILES: &[(&str, usize)] = &[];
/// Functions that are longer than the rule: `path::name`, with the length they may have. The list only shrinks.
const LONG_FUNCTIONS: &[(&str, usize)] = &[];

const FILE_LINES: usize = 600;
const FUNCTION_LINES: usize = 60;

#[test]
fn each_file_opens_with_what_it_is_for() {
    let findings: Vec<String> = sources()
        .iter()
        .filter(|source| !source.text.starts_with("//! ") || source.text.lines().next().is_some_and(|l| l.len() < 12))
        .map(|source| source.path.clone())
        .collect();
    none(&findings, "each file opens with `//!` and a sentence that says what it is for:");
}

#[test]
fn files_are_short() {
    let long = |source: &Source| source.lines > FILE_LINES;
    let long: Vec<(String, usize)> =
        sources().iter().filter(|source| !source.is_test && long(source)).map(|s| (s.path.clone(), s.lines)).collect();
    none(&compare(&long, LONG_FILES), "files have at most 600 lines, tests aside; LONG_FILES only shrinks:");
}

#[test]
fn functions_are_short() {
    let mut seen = 0;
    let mut long = Vec::new();
    for source in shipped() {
        for (name, lines) in functions(source) {
            seen += 1;
            if lines > FUNCTION_LINES {
                long.push((format!("{}::{name}", source.path), lines));
            }
        }
    }
    assert!(seen > 100, "functions were not found");
    none(&compare(&long, LONG_FUNCTIONS), "functions have at most 60 lines; LONG_FUNCTIONS only shrinks:");
}

/// What is too long and not excused, and what is excused and no longer so long.
fn compare(long: &[(String, usize)], excused: &[(&str, usize)]) -> Vec<String> {
    let excuse = |path: &str| excused.iter().find(|(name, _)| *name == path).map(|(_, lines)| *lines);
    let mut findings: Vec<String> = long
        .iter()
        .filter(|(path, lines)| excuse(path).is_none_or(|permitted| *lines > permitted))
        .map(|(path, lines)| format!("{path}: {lines} lines"))
        .collect();
    for (path, permitted) in excused {
        if !long.iter().any(|(name, lines)| name == path && lines == permitted) {
            findings.push(format!("{path} has changed: write its new length, or take it off the list"));
        }
    }
    findings
}

/// Every function with a body: its name and its lines, from `fn` to `}`.
fn functions(source: &Source) -> Vec<(String, usize)> {
    find_words(&source.code, "fn ")
        .filter_map(|at| {
            let end = item_end(&source.code, at);
            let item = &source.code[at..end];
            let name: String =
                item[3..].trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            let whole = item.ends_with('}') && !name.is_empty();
            whole.then(|| (name, line_of(&source.code, end - 1) - line_of(&source.code, at) + 1))
        })
        .collect()
}

#[test]
fn nothing_is_left_for_later_and_nothing_is_waved_through() {
    let mut findings = Vec::new();
    for source in sources() {
        // In tests too: a lint that is wrong says why it is expected, a test that cannot run fails.
        let code = whole_code(source);
        for phrase in ["#[allow(", "#![allow(", "#[ignore", "todo!(", "unimplemented!(", "dbg!("] {
            findings.extend(find_words(&code, phrase).map(|at| place(source, &code, at, phrase)));
        }
    }
    for source in shipped() {
        for phrase in [".unwrap()", "unsafe ", "println!(\"DEBUG"] {
            findings.extend(source.places(phrase).into_iter().map(|at| format!("{at} {phrase}")));
        }
        findings.extend(source.text.lines().enumerate().filter_map(|(n, line)| {
            let marked = ["TODO", "FIXME", "XXX", "HACK"].iter().any(|word| find_words(line, word).next().is_some());
            marked.then(|| format!("{}:{} {}", source.path, n + 1, line.trim()))
        }));
    }
    none(&findings, "#[expect(lint, reason = \"...\")] instead of allow; expect(\"why it holds\") instead of unwrap:");
}

/// The field's word, not a filler (CONTRIBUTING.md, "One word per thing").
#[test]
fn names_say_what_a_thing_is() {
    let mut findings = Vec::new();
    for source in shipped() {
        let file = source.path.rsplit('/').next().unwrap_or_default();
        if ["util.rs", "utils.rs", "helper.rs", "helpers.rs", "misc.rs", "common.rs"].contains(&file) {
            findings.push(format!("{} is called after nothing", source.path));
        }
        for item in type_items(source) {
            if ["Manager", "Helper", "Util", "Utils"].iter().any(|end| item.name.ends_with(end)) {
                findings.push(format!("{}:{} {}", source.path, item.line, item.name));
            }
        }
        let getters = functions(source).into_iter().filter(|(name, _)| name.starts_with("get_"));
        findings.extend(getters.map(|(name, _)| format!("{}: {name}", source.path)));
    }
    none(&findings, "no get_, Manager, Helper, utils:");
}

fn place(source: &Source, code: &str, at: usize, phrase: &str) -> String {
    format!("{}:{} {phrase}", source.path, line_of(code, at))
}

/// The code with the test modules in it.
fn whole_code(source: &Source) -> String {
    let markers = source.text.replace("#[cfg(test)]", "            ").replace("#[test]", "       ");
    tree::source(&source.path, markers.replace("#[tokio::test]", "              ")).code
}

#[test]
fn each_expect_says_why() {
    let mut findings = Vec::new();
    for source in shipped() {
        for at in find_words(&source.code, "#[expect(") {
            let end = at + source.code[at..].find(']').expect("an attribute ends");
            if !source.code[at..end].contains("reason") {
                findings.push(place(source, &source.code, at, "#[expect without a reason"));
            }
        }
        // The insides of texts are blanked to their length, so this is found only where there is none.
        findings.extend(source.places(".expect(\"\")").into_iter().map(|place| format!("{place} an empty reason")));
    }
    none(&findings, "each #[expect] and each expect() says why:");
}

/// Secrets that are written in the clear on purpose, with the purpose. The list only shrinks.
const SHOWN_ON_PURPOSE: &[(&str, &str)] = &[
    // demo.json and what it is made from: a throw-away deployment whose passwords are printed for whoever tries it.
    ("crates/tegata/src/commands/demo.rs", "CastUser.password"),
    ("crates/tegata/src/commands/demo.rs", "CastTerminal.p12_password"),
];

/// Invariant 8. A type whose name says that it is secret, or a field whose name does, must not be printable unless it is a `Secret`.
#[test]
fn nothing_secret_prints_itself() {
    let (mut types, mut seen_on_purpose) = (0, 0);
    let mut findings = Vec::new();
    for source in shipped() {
        for item in type_items(source) {
            types += 1;
            let purpose = |leak: &str| {
                SHOWN_ON_PURPOSE
                    .iter()
                    .any(|(path, name)| *path == source.path && leak.starts_with(&format!("{name} ")))
            };
            let leaks = item.leaks().into_iter().inspect(|leak| seen_on_purpose += usize::from(purpose(leak)));
            findings.extend(
                leaks.filter(|leak| !purpose(leak)).map(|leak| format!("{}:{} {leak}", source.path, item.line)),
            );
        }
    }
    assert!(types > 50, "types were not found");
    none(&findings, "wear Secret<T>, or do not derive Debug, Serialize:");
    assert_eq!(seen_on_purpose, SHOWN_ON_PURPOSE.len(), "SHOWN_ON_PURPOSE names what is not there any more");
}

/// A struct or enum with what stands before it.
struct Item {
    line: usize,
    name: String,
    attributes: String,
    body: String,
}

impl Item {
    fn leaks(&self) -> Vec<String> {
        let derives = |what: &str| {
            let derive = self.attributes.split("derive(").skip(1).map(|d| d.split(')').next().unwrap_or_default());
            derive.into_iter().any(|list| find_words(list, what).next().is_some())
        };
        let shows: Vec<&str> = ["Debug", "Serialize"].into_iter().filter(|what| derives(what)).collect();
        if shows.is_empty() {
            return Vec::new();
        }
        let mut leaks = Vec::new();
        let secret_name =
            ["Key", "Keys", "Secret", "Password", "Passphrase"].iter().any(|end| self.name.ends_with(end));
        let about_public = self.name.starts_with("Public") || self.body.contains("Secret<");
        if secret_name && !about_public {
            leaks.push(format!("{} derives {}", self.name, shows.join(", ")));
        }
        for field in self.body.split([',', '{', '\n']) {
            let Some((name, kind)) = field.split_once(':') else { continue };
            if kind.starts_with(':') {
                continue; // a path: `password::SHORTEST`
            }
            let name = name.trim().trim_start_matches("pub ").trim();
            let ends = ["password", "passphrase", "secret", "private_key", "pkcs8", "token"];
            let secret = ends.iter().any(|end| name == *end || name.ends_with(&format!("_{end}")));
            let secret = secret && !name.starts_with("sealed_");
            let hidden = kind.contains("Secret<") || kind.contains("bool") || kind.contains("Option<Timestamp>");
            if secret && !hidden {
                leaks.push(format!("{}.{name} is {}", self.name, kind.trim()));
            }
        }
        leaks
    }
}

fn type_items(source: &Source) -> Vec<Item> {
    let code = &source.code;
    let mut items = Vec::new();
    for word in ["struct ", "enum "] {
        for at in find_words(code, word) {
            let name: String =
                code[at + word.len()..].chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            let before = code[..at].rfind(['}', ';', '{']).map_or(0, |n| n + 1);
            let (attributes, body) = (code[before..at].to_owned(), code[at..item_end(code, at)].to_owned());
            items.push(Item { line: line_of(code, at), name, attributes, body });
        }
    }
    items
}

#[test]
fn a_leak_is_seen_and_a_secret_is_not_one() {
    let leaks = |text: &str| -> usize {
        let source = tree::source("crates/x/src/x.rs", text.to_owned());
        type_items(&source).iter().map(|item| item.leaks().len()).sum()
    };
    assert_eq!(leaks("#[derive(Debug)]\npub struct SealingKey([u8; 32]);"), 1);
    assert_eq!(leaks("#[derive(Debug)]\npub struct SealingKey(Secret<[u8; 32]>);"), 0);
    assert_eq!(leaks("/// Not printed.\npub struct SealingKey([u8; 32]);"), 0);
    assert_eq!(leaks("#[derive(Clone, Debug)]\nstruct Form {\n    pub password: String,\n    user: String,\n}"), 1);
    assert_eq!(leaks("#[derive(Clone, Debug)]\nstruct Form { password: Secret<String>, user: String }"), 0);
    assert_eq!(leaks("#[derive(Clone, Debug)]\npub struct PublicKey { der: Vec<u8> }"), 0);
}

#[test]
fn the_lexer_tells_code_from_comments_texts_and_tests() {
    let text = "//! Doc.\nfn a<'x>(c: char) -> &'x str { if c == '\"' || c == '\\'' { /* .unwrap() */ \"b // \\\" c\" } else { r#\"d \" e\"# } }\n\
                #[cfg(test)]\nmod tests { fn t() { x.unwrap(); } }\nfn b() { y.unwrap() }\n";
    let source = tree::source("crates/x/src/x.rs", text.to_owned());
    let texts: Vec<&str> = source.literals.iter().map(|literal| literal.text.as_str()).collect();
    assert_eq!(texts, ["b // \\\" c", "d \" e"]);
    assert_eq!(source.places(".unwrap()"), ["crates/x/src/x.rs:5"]);
    assert_eq!(source.code.len(), text.len());
    assert_eq!(functions(&source), [("a".to_owned(), 1), ("b".to_owned(), 1)]);
}
