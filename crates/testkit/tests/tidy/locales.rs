//! The words of the pages: whatever is said in Japanese is said in English, with the same things filled in.

use std::collections::{BTreeMap, BTreeSet};

use crate::tree::{files, none, read};

/// Message -> the variables in it, over all Fluent files of a language.
fn messages(language: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut messages: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut findings = Vec::new();
    for path in files(&format!("crates/web/locales/{language}"), ".ftl") {
        let mut current = String::new();
        for line in read(&path).lines() {
            let starts = line.starts_with(|c: char| c.is_ascii_alphabetic() || c == '-');
            if let Some((key, _)) = line.split_once('=').filter(|_| starts) {
                current = key.trim().to_owned();
                if messages.insert(current.clone(), BTreeSet::new()).is_some() {
                    findings.push(format!("{path}: {current} twice"));
                }
            }
            let variables = line.split('$').skip(1).filter(|_| !line.starts_with('#'));
            for variable in variables {
                let name: String =
                    variable.chars().take_while(|c| c.is_ascii_alphanumeric() || "-_".contains(*c)).collect();
                messages.entry(current.clone()).or_default().insert(name);
            }
        }
    }
    none(&findings, "a message is said once:");
    messages
}

#[test]
fn both_languages_say_the_same_things() {
    let (japanese, english) = (messages("ja"), messages("en"));
    assert!(japanese.len() > 50, "crates/web/locales/ja was not read: {} messages", japanese.len());
    let mut findings = Vec::new();
    for (key, variables) in &japanese {
        match english.get(key) {
            None => findings.push(format!("en lacks {key}")),
            Some(others) if others != variables => {
                findings.push(format!("{key}: ja fills in {variables:?}, en {others:?}"))
            }
            Some(_) => {}
        }
    }
    findings.extend(english.keys().filter(|key| !japanese.contains_key(*key)).map(|key| format!("ja lacks {key}")));
    none(&findings, "crates/web/locales:");
}
