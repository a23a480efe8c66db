//! How things stand, for people, for programs, and as a small page that needs no server: Japanese first.

use std::fmt::Write;

use serde_json::{Value, json};
use tegata_core::renewal::{self, Standing};
use tegata_core::time::Timestamp;

use crate::engine::View;
use crate::files::FileError;
use crate::schedule;
use crate::setback::Setback;
use crate::slot::slots;

/// How an agent's certificates stand at one instant.
pub struct Status {
    server: String,
    terminal: Option<String>,
    now: Timestamp,
    last_run: Option<Timestamp>,
    certificates: Vec<Certificate>,
}

struct Certificate {
    name: String,
    places: Vec<String>,
    held: Option<Held>,
    next: Option<Timestamp>,
    explanation_url: Option<String>,
    setback: Option<Setback>,
}

struct Held {
    serial: String,
    not_after: Timestamp,
    standing: Standing,
    renewal: Timestamp,
    proven_at: Option<Timestamp>,
}

impl Status {
    /// From what lies in the folder.
    pub fn of(view: &View, now: Timestamp) -> Result<Self, FileError> {
        let mut certificates = Vec::new();
        for slot in slots(&view.settings, &view.root) {
            let memory = view.state.slot(slot.name);
            let current = slot.generations.load(slot.generations.current()?, &view.trust)?;
            let held = current.map(|current| {
                let renewal = schedule::renewal(current.validity(), memory.window, memory.draw);
                let (from, to) = (current.about().not_before, current.about().not_after);
                Held {
                    serial: current.about().serial.to_string(),
                    not_after: to,
                    standing: renewal::standing(false, from, to, to.jst_days_from(renewal), now),
                    renewal,
                    proven_at: memory.proven_at,
                }
            });
            let place = |(name, store): &(&str, &crate::settings::StoreSettings)| {
                let (kind, path) = store.place();
                format!("{name} ({kind}: {})", path.display())
            };
            certificates.push(Certificate {
                name: slot.name.to_owned(),
                places: slot.stores.iter().map(place).collect(),
                held,
                next: memory.retry_at.or(memory.next_check),
                explanation_url: memory.explanation_url,
                setback: memory.setback,
            });
        }
        Ok(Self {
            server: view.settings.server.clone(),
            terminal: view.state.terminal_name.clone(),
            now,
            last_run: view.state.last_run,
            certificates,
        })
    }

    /// Whether a person has to do something.
    pub fn needs_human(&self) -> bool {
        self.certificates.iter().any(|certificate| {
            certificate.setback.as_ref().is_some_and(Setback::needs_human)
                || certificate.held.as_ref().is_some_and(|held| held.standing == Standing::Expired)
        })
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let text = |at: Timestamp| at.to_string();
        let certificates: Vec<Value> = self
            .certificates
            .iter()
            .map(|certificate| {
                let held = certificate.held.as_ref();
                json!({
                    "name": certificate.name,
                    "places": certificate.places,
                    "serial": held.map(|held| held.serial.clone()),
                    "not_after": held.map(|held| text(held.not_after)),
                    "days_left": held.map(|held| held.not_after.jst_days_from(self.now).0),
                    "standing": held.map_or("none", |held| word(held.standing)),
                    "renewal_at": held.map(|held| text(held.renewal)),
                    "proven_at": held.and_then(|held| held.proven_at).map(text),
                    "next_at": certificate.next.map(text),
                    "explanation_url": certificate.explanation_url,
                    "setback": certificate.setback,
                })
            })
            .collect();
        json!({
            "server": self.server,
            "terminal": self.terminal,
            "needs_human": self.needs_human(),
            "last_run": self.last_run.map(text),
            "certificates": certificates,
        })
    }

    /// For people at a terminal.
    pub fn text(&self) -> String {
        let mut text = format!("{} — {}\n", self.terminal.as_deref().unwrap_or("?"), self.server);
        for certificate in &self.certificates {
            let line = match &certificate.held {
                None => "no certificate yet".to_owned(),
                Some(held) => format!(
                    "until {} JST ({} days), {}, renewal about {}",
                    held.not_after.jst_text(),
                    held.not_after.jst_days_from(self.now),
                    word(held.standing),
                    held.renewal.jst_date()
                ),
            };
            push(&mut text, format_args!("{}: {line}\n", certificate.name));
            for place in &certificate.places {
                push(&mut text, format_args!("    in {place}\n"));
            }
            if let Some(setback) = &certificate.setback {
                push(&mut text, format_args!("    {} [{}]\n", setback.text, setback.code));
            }
            if let (Some(_), Some(next)) = (&certificate.setback, certificate.next) {
                push(&mut text, format_args!("    next try {} JST\n", next.jst_text()));
            }
        }
        let end =
            if self.needs_human() { "somebody has to look at this: tegata agent doctor\n" } else { "all is well\n" };
        text + end
    }

    /// A page for people.
    pub fn page(&self) -> String {
        let mut rows = String::new();
        for certificate in &self.certificates {
            let (end, days, standing) = match &certificate.held {
                None => ("—".to_owned(), "—".to_owned(), "まだありません / none yet"),
                Some(held) => (
                    held.not_after.jst_text(),
                    held.not_after.jst_days_from(self.now).to_string(),
                    label(held.standing),
                ),
            };
            let setback = certificate.setback.as_ref().map(|setback| setback.text.as_str()).unwrap_or_default();
            push(
                &mut rows,
                format_args!(
                    "<tr><th>{}</th><td>{}</td><td>{end}</td><td>{days}</td><td>{standing}</td><td>{}</td></tr>\n",
                    escape(&certificate.name),
                    escape(&certificate.places.join(", ")),
                    escape(setback)
                ),
            );
        }
        let (class, ja, en) = if self.needs_human() {
            (
                "bad",
                "対応が必要です。この画面をシステム担当者に見せてください。",
                "Somebody has to look at this: show this page to whoever looks after the computers.",
            )
        } else {
            (
                "good",
                "証明書は自動で更新されています。何もする必要はありません。",
                "Certificates renew themselves. Nothing needs doing.",
            )
        };
        format!(
            "<!doctype html>\n<html lang=\"ja\"><meta charset=\"utf-8\"><title>電子証明書の状態</title>\n<style>{STYLE}</style>\n\
             <h1>電子証明書の状態 <small lang=\"en\">Certificates of this terminal</small></h1>\n\
             <p class=\"{class}\">{ja}<br><span lang=\"en\">{en}</span></p>\n\
             <p>端末 <span lang=\"en\">Terminal</span>: {}<br>接続先 <span lang=\"en\">Server</span>: {}</p>\n\
             <table>\n<tr><th>名前<br>Name</th><th>保存先<br>Place</th><th>有効期限（日本時間）<br>Until (JST)</th><th>残り日数<br>Days left</th>\
             <th>状態<br>State</th><th>連絡事項<br>Message</th></tr>\n{rows}</table>\n\
             <p><small>{} 現在（日本時間） <span lang=\"en\">as of (JST)</span></small></p>\n</html>\n",
            escape(self.terminal.as_deref().unwrap_or("—")),
            escape(&self.server),
            self.now.jst_text(),
        )
    }
}

const STYLE: &str = "body{font:16px/1.7 sans-serif;max-width:60em;margin:2em auto;padding:0 1em}table{border-collapse:collapse}\
                     th,td{border:1px solid #888;padding:.3em .6em;text-align:left}p.good,p.bad{font-size:1.2em;padding:.5em 1em}\
                     p.good{background:#e3f3e3}p.bad{background:#fbe3e3}";

fn push(text: &mut String, more: std::fmt::Arguments<'_>) {
    text.write_fmt(more).expect("a String takes whatever is written to it");
}

fn word(standing: Standing) -> &'static str {
    match standing {
        Standing::Revoked => "revoked",
        Standing::NotYetValid => "not-yet-valid",
        Standing::Expired => "expired",
        Standing::Due { .. } => "due",
        Standing::Fresh { .. } => "fresh",
    }
}

fn label(standing: Standing) -> &'static str {
    match standing {
        Standing::Revoked => "失効 / revoked",
        Standing::NotYetValid => "開始前 / not valid yet",
        Standing::Expired => "期限切れ / expired",
        Standing::Due { .. } => "更新時期 / due",
        Standing::Fresh { .. } => "有効 / valid",
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::setback::Remedy;

    fn status(setback: Option<Setback>) -> Status {
        let certificate = Certificate {
            name: "web".into(),
            places: vec!["web (pem: /etc/<ssl>)".into()],
            held: None,
            next: Some(Timestamp(60)),
            explanation_url: None,
            setback,
        };
        Status {
            server: "https://portal.example.jp".into(),
            terminal: Some("受付1".into()),
            now: Timestamp(0),
            last_run: None,
            certificates: vec![certificate],
        }
    }

    #[test]
    fn a_person_is_asked_for_only_when_one_is_needed() {
        let later = Setback::new("connection", "no connection", Remedy::Later);
        let refused = Setback::new("revoked-certificate", "the certificate is <revoked>", Remedy::Refused);
        assert!(!status(None).needs_human() && !status(Some(later)).needs_human());
        let bad = status(Some(refused));
        assert!(bad.needs_human() && bad.page().contains("対応が必要です"));
        assert!(bad.page().contains("is &lt;revoked&gt;") && !bad.page().contains("<revoked>"));
        assert_eq!(bad.json()["needs_human"], true);
        assert!(status(None).page().contains("何もする必要はありません"));
    }
}
