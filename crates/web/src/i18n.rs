//! The words of the pages, from `locales/`: Japanese first, English complete beside it. No other file of this crate holds a word that a
//! visitor reads. A key that does not exist shows as `⟦key⟧`, which a test looks for on every page.

use std::borrow::Borrow;
use std::fmt::Display;
use std::sync::LazyLock;

use fluent_bundle::concurrent::FluentBundle;
use fluent_bundle::{FluentArgs, FluentResource, FluentValue};
use tegata_core::time::Timestamp;
use unic_langid::{LanguageIdentifier, langid};

/// The languages of the pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lang {
    /// Japanese, the default.
    Ja,
    /// English.
    En,
}

type Words = FluentBundle<FluentResource>;

static JA: LazyLock<Words> = LazyLock::new(|| words(langid!("ja"), &sources(Lang::Ja)));
static EN: LazyLock<Words> = LazyLock::new(|| words(langid!("en"), &sources(Lang::En)));

/// The locale files of one language.
fn sources(lang: Lang) -> [&'static str; 9] {
    match lang {
        Lang::Ja => [
            include_str!("../locales/ja/common.ftl"),
            include_str!("../locales/ja/portal.ftl"),
            include_str!("../locales/ja/admin.ftl"),
            include_str!("../locales/ja/clinic.ftl"),
            include_str!("../locales/ja/console.ftl"),
            include_str!("../locales/ja/notices.ftl"),
            include_str!("../locales/ja/log.ftl"),
            include_str!("../locales/ja/trouble.ftl"),
            include_str!("../locales/ja/api.ftl"),
        ],
        Lang::En => [
            include_str!("../locales/en/common.ftl"),
            include_str!("../locales/en/portal.ftl"),
            include_str!("../locales/en/admin.ftl"),
            include_str!("../locales/en/clinic.ftl"),
            include_str!("../locales/en/console.ftl"),
            include_str!("../locales/en/notices.ftl"),
            include_str!("../locales/en/log.ftl"),
            include_str!("../locales/en/trouble.ftl"),
            include_str!("../locales/en/api.ftl"),
        ],
    }
}

fn words(id: LanguageIdentifier, sources: &[&str]) -> Words {
    let mut words = FluentBundle::new_concurrent(vec![id]);
    words.set_use_isolating(false); // the marks would end up in what people copy
    for source in sources {
        // A broken line loses its own message only; the tests below refuse it before it ships.
        let resource = FluentResource::try_new((*source).to_owned()).unwrap_or_else(|(resource, _)| resource);
        words.add_resource_overriding(resource);
    }
    words
}

impl Lang {
    /// Both languages.
    pub const ALL: [Self; 2] = [Self::Ja, Self::En];

    /// From the value of the cookie or of `?lang=`.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|lang| lang.as_str() == word)
    }

    /// Its code in `lang` attributes, in the cookie and in file names.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ja => "ja",
            Self::En => "en",
        }
    }

    /// The language that the switch leads to.
    pub fn other(self) -> Self {
        match self {
            Self::Ja => Self::En,
            Self::En => Self::Ja,
        }
    }

    /// The words behind a key.
    pub fn t(self, key: &str) -> String {
        self.format(key, None)
    }

    /// The words behind a key, with one name filled in.
    pub fn t1(self, key: &str, name: &str, value: impl Display) -> String {
        let mut args = FluentArgs::new();
        args.set(name.to_owned(), FluentValue::from(value.to_string()));
        self.format(key, Some(&args))
    }

    /// The words behind a key, with two names filled in.
    pub fn t2(self, key: &str, one: &str, first: impl Display, two: &str, second: impl Display) -> String {
        let mut args = FluentArgs::new();
        args.set(one.to_owned(), FluentValue::from(first.to_string()));
        args.set(two.to_owned(), FluentValue::from(second.to_string()));
        self.format(key, Some(&args))
    }

    /// The words behind a key, for a number `$count`, in the form that the number asks for.
    pub fn count(self, key: &str, count: impl Borrow<i64>) -> String {
        let mut args = FluentArgs::new();
        args.set("count", FluentValue::from(*count.borrow()));
        self.format(key, Some(&args))
    }

    /// Whether there are words behind a key.
    pub fn knows(self, key: &str) -> bool {
        self.words().has_message(key)
    }

    /// `2027年1月21日（木）14:00`: date, day of the week and time as the calendars and clocks of Japan show them.
    pub fn date_time(self, at: Timestamp) -> String {
        let (date, time) = (at.jst_date(), at.jst_time());
        let mut args = FluentArgs::new();
        args.set("year", FluentValue::from(date.year().to_string()));
        args.set("month", FluentValue::from(self.t(&format!("month-{}", date.month()))));
        args.set("day", FluentValue::from(date.day().to_string()));
        let weekday = format!("weekday-{}", date.weekday().to_monday_one_offset());
        args.set("weekday", FluentValue::from(self.t(&weekday)));
        args.set("time", FluentValue::from(format!("{:02}:{:02}", time.hour(), time.minute())));
        self.format("moment", Some(&args))
    }

    fn words(self) -> &'static Words {
        match self {
            Self::Ja => &JA,
            Self::En => &EN,
        }
    }

    fn format(self, key: &str, args: Option<&FluentArgs<'_>>) -> String {
        let words = self.words();
        let Some(pattern) = words.get_message(key).and_then(|message| message.value()) else {
            tracing::error!(key, lang = self.as_str(), "no words for this key");
            return format!("⟦{key}⟧");
        };
        let mut errors = Vec::new();
        let text = words.format_pattern(pattern, args, &mut errors).into_owned();
        if errors.is_empty() { text } else { format!("⟦{key}⟧") }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::path::Path;

    use super::*;

    /// Each key with the names its words expect.
    fn keys(lang: Lang) -> BTreeMap<String, BTreeSet<String>> {
        let mut found = BTreeMap::new();
        for source in sources(lang) {
            assert!(FluentResource::try_new(source.to_owned()).is_ok(), "{lang:?}: a locale file has a broken line");
            let mut key = String::new();
            for line in source.lines().filter(|line| !line.starts_with('#')) {
                if let Some((name, _)) = line.split_once(" =")
                    && !line.starts_with(char::is_whitespace)
                {
                    key = name.to_owned();
                    assert!(found.insert(key.clone(), BTreeSet::new()).is_none(), "{lang:?}: {key} is there twice");
                }
                let names = line.split('$').skip(1).map(|rest| {
                    rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '-').next().unwrap_or_default().to_owned()
                });
                if let Some(expected) = found.get_mut(&key) {
                    expected.extend(names);
                }
            }
        }
        found
    }

    /// All text of the sources and templates of this crate.
    fn crate_text() -> String {
        fn collect(folder: &Path, text: &mut String) {
            for entry in std::fs::read_dir(folder).expect("a folder of this crate") {
                let path = entry.expect("readable").path();
                if path.is_dir() {
                    collect(&path, text);
                } else if path.extension().is_some_and(|end| end == "rs" || end == "html") {
                    text.push_str(&std::fs::read_to_string(&path).expect("text"));
                }
            }
        }
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut text = String::new();
        collect(&root.join("src"), &mut text);
        collect(&root.join("templates"), &mut text);
        text
    }

    #[test]
    fn both_languages_have_the_same_keys_and_names() {
        assert_eq!(keys(Lang::Ja), keys(Lang::En));
    }

    #[test]
    fn every_key_is_used() {
        // Keys that are put together from a word of another room, see their users.
        let made = [
            "admin-condition-",
            "admin-no-help-",
            "console-kind-",
            "console-role-",
            "console-cert-",
            "console-reason-",
            "console-say-",
            "console-renewal-",
            "log-action-",
            "log-category-",
            "log-outcome-",
            "landing-",
            "month-",
            "notices-done-",
            "notices-result-",
            "notices-what-",
            "weekday-",
            "import-step",
            "format-",
            "permit-",
            "trouble-",
            "api-",
        ];
        let text = crate_text();
        for key in keys(Lang::Ja).keys().filter(|key| !made.iter().any(|start| key.starts_with(start))) {
            assert!(text.contains(&format!("\"{key}\"")), "{key} is written down but never shown");
        }
    }

    #[test]
    fn no_template_holds_words_of_its_own() {
        let templates = Path::new(env!("CARGO_MANIFEST_DIR")).join("templates");
        for entry in std::fs::read_dir(templates).expect("templates") {
            let path = entry.expect("readable").path();
            let text = std::fs::read_to_string(&path).expect("text");
            let mut rest = text.as_str();
            let mut outside = String::new();
            while let Some(start) = rest.find(['<', '{']) {
                outside.push_str(&rest[..start]);
                let end = match &rest[start..] {
                    tag if tag.starts_with("{#") => tag.find("#}").map(|at| at + 2),
                    tag if tag.starts_with("{{") => tag.find("}}").map(|at| at + 2),
                    tag if tag.starts_with("{%") => tag.find("%}").map(|at| at + 2),
                    tag => tag.find('>').map(|at| at + 1),
                };
                rest = &rest[start + end.expect("a tag ends")..];
            }
            outside.push_str(rest);
            let words: String = outside.chars().filter(|c| c.is_alphabetic()).collect();
            assert!(words.is_empty(), "{}: {words}", path.display());
        }
    }

    #[test]
    fn dates_read_as_a_calendar_of_japan_shows_them() {
        let end = Timestamp::parse("2027-01-21").expect("a valid time in a test");
        assert_eq!(Lang::Ja.date_time(end), "2027年1月21日（木）14:00");
        assert_eq!(Lang::En.date_time(end), "Thu 21 January 2027, 14:00");
    }

    #[test]
    fn english_counts_one_day_and_many_days() {
        assert_eq!(Lang::En.count("days-left", 1), "1 day left");
        assert_eq!(Lang::En.count("days-left", 60), "60 days left");
        assert_eq!(Lang::Ja.count("days-left", 60), "残り60日");
    }

    #[test]
    fn a_missing_key_is_visible() {
        assert_eq!(Lang::Ja.t("no-such-key"), "⟦no-such-key⟧");
    }
}
