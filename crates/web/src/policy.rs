//! Files that make Chrome and Edge choose our certificates by themselves (`AutoSelectCertificateForUrls`), in the form of each system. After a
//! renewal two certificates match; the browsers then take the one that ends last. They hold no secret, and open nothing to anybody.

use aws_lc_rs::digest::{SHA256, digest};
use serde_json::{Value, json};

/// The first name of our values in the registry. Lists of policies are numbered there; low numbers belong to whoever was first.
const FIRST_NUMBER: usize = 7301;
/// Where the browsers of Windows look. Only administrators write there; per user it would be no easier.
const KEYS: [&str; 2] =
    [r"HKEY_LOCAL_MACHINE\SOFTWARE\Policies\Google\Chrome", r"HKEY_LOCAL_MACHINE\SOFTWARE\Policies\Microsoft\Edge"];
const POLICY: &str = "AutoSelectCertificateForUrls";

/// In which form the policy is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PolicyFile {
    /// Windows: sets it when opened by an administrator.
    Registry,
    /// Windows: takes it away again.
    RegistryRemoval,
    /// Linux: one file for each browser's folder.
    Linux,
    /// macOS: a configuration profile.
    MacOs,
    /// Intune: a custom configuration as Microsoft Graph takes it.
    Intune,
}

impl PolicyFile {
    /// Every form with its word for commands, and the name of its file.
    pub const ALL: [(Self, &'static str, &'static str); 5] = [
        (Self::Registry, "reg", "tegata-browser.reg"),
        (Self::RegistryRemoval, "reg-remove", "tegata-browser-remove.reg"),
        (Self::Linux, "linux", "tegata-browser.json"),
        (Self::MacOs, "macos", "tegata-browser.mobileconfig"),
        (Self::Intune, "intune", "tegata-browser-intune.json"),
    ];

    /// From the name of its file.
    pub(crate) fn named(file: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, _, name)| *name == file).map(|(form, _, _)| *form)
    }

    /// What the file is to whoever fetches it.
    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Self::Registry | Self::RegistryRemoval => "application/octet-stream",
            Self::Linux | Self::Intune => "application/json",
            Self::MacOs => "application/x-apple-aspen-config",
        }
    }
}

/// Which certificates are chosen where.
#[derive(Clone, Debug)]
pub struct BrowserPolicy {
    rules: Vec<String>,
}

impl BrowserPolicy {
    /// At these addresses (`https://host` or `https://host:port`), certificates of these issuers, by their common names. Several rules for one
    /// address add up: a certificate of any of the issuers is chosen.
    pub fn new(issuers: &[String], addresses: &[String]) -> Self {
        let rule = |address: &str, issuer: &String| {
            json!({ "pattern": address.trim_end_matches('/'), "filter": { "ISSUER": { "CN": issuer } } }).to_string()
        };
        let rules = addresses.iter().flat_map(|address| issuers.iter().map(move |issuer| rule(address, issuer)));
        let mut known: Vec<String> = Vec::new();
        for rule in rules {
            if !known.contains(&rule) {
                known.push(rule);
            }
        }
        Self { rules: known }
    }

    /// The values of the policy, as they are typed into a console: one rule each.
    pub fn rules(&self) -> &[String] {
        &self.rules
    }

    /// The whole file.
    pub fn file(&self, form: PolicyFile) -> Vec<u8> {
        match form {
            PolicyFile::Registry => {
                self.registry(|value| format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\"")))
            }
            PolicyFile::RegistryRemoval => self.registry(|_| "-".to_owned()),
            PolicyFile::Linux => pretty(&json!({ POLICY: self.rules })),
            PolicyFile::MacOs => self.profile().into_bytes(),
            PolicyFile::Intune => pretty(&self.intune()),
        }
    }

    /// UTF-16 with its mark, as the registry editor writes and reads it.
    fn registry(&self, value: impl Fn(&str) -> String) -> Vec<u8> {
        let mut text = "Windows Registry Editor Version 5.00\r\n".to_owned();
        for key in KEYS {
            text += &format!("\r\n[{key}\\{POLICY}]\r\n");
            for (number, rule) in self.rules.iter().enumerate() {
                text += &format!("\"{}\"={}\r\n", FIRST_NUMBER + number, value(rule));
            }
        }
        std::iter::once('\u{feff}')
            .chain(text.chars())
            .collect::<String>()
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect()
    }

    /// A profile with one payload for each browser. Its identifiers stay, so that installing it anew replaces it.
    fn profile(&self) -> String {
        let rules: String = self.rules.iter().map(|rule| format!("        <string>{}</string>\n", xml(rule))).collect();
        let payload = |domain: &str| {
            format!(
                "    <dict>\n      <key>PayloadType</key><string>{domain}</string>\n      <key>PayloadVersion</key><integer>1</integer>\n      \
                 <key>PayloadIdentifier</key><string>jp.tegata.browser.{domain}</string>\n      <key>PayloadUUID</key><string>{}</string>\n      \
                 <key>{POLICY}</key>\n      <array>\n{rules}      </array>\n    </dict>\n",
                self.uuid(domain)
            )
        };
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!DOCTYPE plist PUBLIC \"-//Apple//DTD PLIST 1.0//EN\" \
             \"http://www.apple.com/DTDs/PropertyList-1.0.dtd\">\n<plist version=\"1.0\">\n<dict>\n  <key>PayloadContent</key>\n  <array>\n{}{}  \
             </array>\n  <key>PayloadDisplayName</key><string>Tegata</string>\n  <key>PayloadIdentifier</key><string>jp.tegata.browser</string>\n  \
             <key>PayloadType</key><string>Configuration</string>\n  <key>PayloadScope</key><string>System</string>\n  \
             <key>PayloadUUID</key><string>{}</string>\n  <key>PayloadVersion</key><integer>1</integer>\n</dict>\n</plist>\n",
            payload("com.google.Chrome"),
            payload("com.microsoft.Edge"),
            self.uuid("profile"),
        )
    }

    /// The same for the same content (RFC 9562 section 5.8).
    fn uuid(&self, of: &str) -> String {
        let hash = digest(&SHA256, format!("{of}\n{}", self.rules.join("\n")).as_bytes());
        let mut hex: String = hash.as_ref().iter().take(16).map(|byte| format!("{byte:02X}")).collect();
        hex.replace_range(12..13, "8");
        hex.replace_range(16..17, "8");
        [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
    }

    /// Both browsers' policies by the names of their templates, which Intune must know (Chrome's and Edge's ADMX, as `Chrome` and `Edge`).
    fn intune(&self) -> Value {
        let values: Vec<String> =
            (1..).zip(&self.rules).map(|(number, rule)| format!("{number}&#xF000;{}", xml(rule))).collect();
        let value = format!("<enabled/><data id=\"{POLICY}Desc\" value=\"{}\"/>", values.join("&#xF000;"));
        let setting = |browser: &str, category: &str| {
            json!({
                "@odata.type": "#microsoft.graph.omaSettingString",
                "displayName": format!("{browser}: {POLICY}"),
                "omaUri": format!("./Device/Vendor/MSFT/Policy/Config/{browser}~Policy~{category}~ContentSettings/{POLICY}"),
                "value": value,
            })
        };
        json!({
            "@odata.type": "#microsoft.graph.windows10CustomConfiguration",
            "displayName": "Tegata: client certificates without a chooser",
            "omaSettings": [setting("Chrome", "googlechrome"), setting("Edge", "microsoft_edge")],
        })
    }
}

fn pretty(value: &Value) -> Vec<u8> {
    format!("{value:#}\n").into_bytes()
}

fn xml(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Two addresses, two issuers, one of them with a name that every form has to escape.
    pub(crate) fn policy() -> BrowserPolicy {
        let issuers = ["Tegata Issuing CA G1".to_owned(), "みどり \"A\" & <B>\\C".to_owned()];
        BrowserPolicy::new(&issuers, &["https://a.example.jp:8443/".to_owned(), "https://b.example.jp".to_owned()])
    }

    fn utf16(bytes: &[u8]) -> String {
        let units: Vec<u16> = bytes.chunks(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect();
        String::from_utf16(&units).expect("UTF-16")
    }

    #[test]
    fn each_address_has_a_rule_for_each_issuer_and_none_twice() {
        let policy = policy();
        assert_eq!(policy.rules().len(), 4);
        assert_eq!(
            policy.rules()[0],
            r#"{"filter":{"ISSUER":{"CN":"Tegata Issuing CA G1"}},"pattern":"https://a.example.jp:8443"}"#
        );
        let same = BrowserPolicy::new(&["A".into(), "A".into()], &["https://a".into(), "https://a/".into()]);
        assert_eq!(same.rules().len(), 1);
    }

    #[test]
    fn the_registry_gets_numbers_of_its_own_and_loses_just_these() {
        let set = utf16(&policy().file(PolicyFile::Registry));
        assert!(set.starts_with("\u{feff}Windows Registry Editor Version 5.00\r\n\r\n[HKEY_LOCAL_MACHINE\\SOFTWARE\\Policies\\Google\\Chrome\\AutoSelectCertificateForUrls]\r\n\"7301\"=\""));
        assert!(set.contains(r#""7302"="{\"filter\":{\"ISSUER\":{\"CN\":\"みどり \\\"A\\\" & <B>\\\\C\"}},"#), "{set}");
        assert!(set.contains("\\Microsoft\\Edge\\AutoSelectCertificateForUrls]\r\n\"7301\"="));
        let removed = utf16(&policy().file(PolicyFile::RegistryRemoval));
        let numbers = |text: &str| {
            text.lines().filter_map(|line| line.split_once('=')).map(|(name, _)| name.to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(numbers(&set), numbers(&removed));
        assert!(removed.lines().filter(|line| line.starts_with('"')).all(|line| line.ends_with("=-")));
    }

    #[test]
    fn linux_gets_a_list_of_texts_that_are_json_themselves() {
        let file: Value = serde_json::from_slice(&policy().file(PolicyFile::Linux)).expect("JSON");
        let rules = file[POLICY].as_array().expect("a list");
        let rule: Value = serde_json::from_str(rules[1].as_str().expect("a text")).expect("JSON");
        assert_eq!(rule["filter"]["ISSUER"]["CN"], "みどり \"A\" & <B>\\C");
    }

    #[test]
    fn intune_gets_both_browsers_with_numbered_values() {
        let file: Value = serde_json::from_slice(&policy().file(PolicyFile::Intune)).expect("JSON");
        let settings = file["omaSettings"].as_array().expect("a list");
        assert_eq!(
            settings[0]["omaUri"],
            "./Device/Vendor/MSFT/Policy/Config/Chrome~Policy~googlechrome~ContentSettings/AutoSelectCertificateForUrls"
        );
        assert_eq!(
            settings[1]["omaUri"],
            "./Device/Vendor/MSFT/Policy/Config/Edge~Policy~microsoft_edge~ContentSettings/AutoSelectCertificateForUrls"
        );
        let value = settings[0]["value"].as_str().expect("a text");
        assert!(
            value.starts_with(
                "<enabled/><data id=\"AutoSelectCertificateForUrlsDesc\" value=\"1&#xF000;{&quot;filter&quot;:"
            ),
            "{value}"
        );
        assert_eq!(value.matches("&#xF000;").count(), 7);
        assert_eq!(value.matches('"').count(), 4, "nothing breaks out of its attribute: {value}");
    }

    #[test]
    fn a_profile_keeps_its_identifiers_and_has_a_number_of_its_content() {
        let text = String::from_utf8(policy().file(PolicyFile::MacOs)).expect("UTF-8");
        assert!(text.contains("<string>jp.tegata.browser</string>") && text.contains("&amp; &lt;B&gt;"));
        let other = BrowserPolicy::new(&["A".into()], &["https://a".into()]);
        assert_ne!(policy().uuid("profile"), other.uuid("profile"));
        assert_eq!(policy().uuid("profile"), policy().uuid("profile"));
        let id = policy().uuid("profile");
        assert_eq!((id.len(), &id[14..15], &id[19..20]), (36, "8", "8"));
    }
}
