//! What holds for every page, in both languages: its sample renders, its words are there, nothing in it needs a script or breaks the policy.

use std::collections::HashSet;

use super::{bundle, check, enroll, import, landing, log, login, menu, password, recovery};
use crate::admin;
use crate::console;
use crate::i18n::Lang;

/// Every sample of every page.
fn pages(lang: Lang) -> Vec<(String, String)> {
    [
        login::tests::samples(lang),
        menu::tests::samples(lang),
        bundle::tests::samples(lang),
        password::tests::samples(lang),
        import::tests::samples(lang),
        check::tests::samples(lang),
        log::tests::samples(lang),
        landing::tests::samples(lang),
        recovery::tests::samples(lang),
        enroll::tests::samples(lang),
        admin::invite::tests::samples(lang),
        admin::terminals::tests::samples(lang),
        admin::notices::tests::samples(lang),
        admin::recovery::tests::samples(lang),
        admin::policy::tests::samples(lang),
        admin::log::tests::samples(lang),
        console::tests::samples(lang),
        admin::api_keys::tests::samples(lang),
        admin::proof::tests::samples(lang),
        crate::error::tests::samples(lang),
    ]
    .concat()
}

/// Calls `check` with each page's name in words and its HTML.
fn each(check: impl Fn(&str, &str)) {
    for lang in Lang::ALL {
        for (name, html) in pages(lang) {
            check(&format!("{name} ({})", lang.as_str()), &html);
        }
    }
}

/// The tags of a page, as they are written.
fn tags(html: &str) -> impl Iterator<Item = &str> {
    html.split('<').skip(1).map(|rest| rest.split('>').next().unwrap_or_default())
}

fn attribute<'a>(tag: &'a str, name: &str) -> Option<&'a str> {
    tag.split_once(&format!(" {name}=\"")).and_then(|(_, rest)| rest.split('"').next())
}

#[test]
fn every_page_has_its_words() {
    each(|name, html| assert!(!html.contains('⟦'), "{name}: {html}"));
}

#[test]
fn every_page_names_its_language_and_has_one_heading_and_landmarks() {
    each(|name, html| {
        let lang = if name.ends_with("(ja)") { "ja" } else { "en" };
        assert!(html.contains(&format!("<html lang=\"{lang}\">")), "{name}");
        assert_eq!(html.matches("<h1").count(), 1, "{name}");
        for landmark in ["<header", "<main", "<footer", "class=\"skip-link\"", "id=\"lang-switch\"", "data-page=\""] {
            assert_eq!(html.matches(landmark).count(), 1, "{name}: {landmark}");
        }
    });
}

#[test]
fn every_form_that_changes_something_carries_its_token() {
    each(|name, html| {
        for form in html.split("<form").skip(1) {
            let form = form.split("</form>").next().unwrap_or_default();
            let posts = form.starts_with(" method=\"post\"");
            assert!(posts || form.starts_with(" method=\"get\""), "{name}: {form}");
            // A picture of somebody else's page carries none: nothing in it can be sent.
            let token = if html.contains("id=\"preview\"") { "" } else { "token" };
            assert_eq!(form.contains(&format!("name=\"csrf\" value=\"{token}\"")), posts, "{name}: {form}");
        }
    });
}

#[test]
fn no_page_needs_what_the_policy_refuses() {
    each(|name, html| {
        for tag in tags(html) {
            assert!(!tag.starts_with("style"), "{name}: {tag}");
            assert!(attribute(tag, "style").is_none(), "{name}: {tag}");
            let handler = tag.split_whitespace().any(|word| word.starts_with("on") && word.contains('='));
            assert!(!handler, "{name}: {tag}");
            if tag.starts_with("script") {
                assert!(attribute(tag, "src").is_some_and(|src| src.starts_with("/assets/app.js?v=")), "{name}: {tag}");
            }
            if tag.starts_with("img") {
                assert!(attribute(tag, "src").is_some_and(|src| src.starts_with("/assets/")), "{name}: {tag}");
                assert!(attribute(tag, "alt").is_some(), "{name}: {tag}");
            }
        }
    });
}

#[test]
fn ids_are_unique_and_what_refers_to_them_finds_them() {
    each(|name, html| {
        let mut ids = HashSet::new();
        for tag in tags(html) {
            if let Some(id) = attribute(tag, "id") {
                assert!(ids.insert(id), "{name}: {id} twice");
            }
        }
        for tag in tags(html) {
            for reference in ["for", "aria-labelledby", "aria-describedby", "data-open-dialog"] {
                for id in attribute(tag, reference).unwrap_or_default().split_whitespace() {
                    assert!(ids.contains(id), "{name}: {reference} {id}");
                }
            }
        }
    });
}

#[test]
fn english_pages_hold_no_japanese_but_names_and_the_switch() {
    for (name, html) in pages(Lang::En) {
        let mut text = html;
        for known in [
            "受付1",
            "診察室",
            "みどり医療情報センター",
            "みどり医院",
            "会計連携",
            "検査連携",
            "監視",
            "平日 8:30〜18:00",
            "日本語",
        ] {
            text = text.replace(known, "");
        }
        let found =
            text.chars().find(|c| ('\u{3040}'..='\u{30ff}').contains(c) || ('\u{4e00}'..='\u{9fff}').contains(c));
        assert_eq!(found, None, "{name}");
    }
}

/// With `TEGATA_PAGES_DIR` set, the samples are written there, to be looked at and to be judged by other people's tools.
#[test]
fn samples_can_be_looked_at() {
    let Some(folder) = std::env::var_os("TEGATA_PAGES_DIR").map(std::path::PathBuf::from) else { return };
    for lang in Lang::ALL {
        for (name, html) in pages(lang) {
            std::fs::write(folder.join(format!("{name}-{}.html", lang.as_str())), html).expect("a writable folder");
        }
    }
}
