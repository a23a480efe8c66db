//! `doctor`: looks for the ten causes that nearly every trouble with an agent comes from, and says in Japanese and English what it found and
//! what to do. Changes nothing.

use std::cell::Cell;
use std::path::Path;

use serde_json::{Value, json};
use tegata_core::time::Timestamp;

use crate::engine::{Outcome, SKEW_SECONDS, View, World};
use crate::est::Server;
use crate::setback::{Remedy, Setback};
use crate::slot::{IDENTITY, Slot, slots};
use crate::store::{self, Surroundings, nss};
use crate::{files, os};

/// Nobody has run the agent for so long.
const SILENT_SECONDS: i64 = 2 * 86_400;

/// The ten usual causes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// This machine's clock is wrong.
    Clock,
    /// The server's name cannot be resolved.
    Name,
    /// Nothing gets through to the server: firewall, proxy, cable.
    Connection,
    /// The server's certificate is not accepted: another CA, or something that opens TLS on the way.
    Ca,
    /// Nobody enrolled here, or the code has lapsed.
    Enrolment,
    /// The server refuses the certificate: expired or revoked.
    Refused,
    /// The folder is another user's, or open to others.
    Permissions,
    /// A store cannot be written, or does not hold the certificate.
    Store,
    /// A browser's store has several certificates of this terminal.
    Several,
    /// Nothing calls the agent.
    Schedule,
}

impl Cause {
    /// All of them with a word, and the name in both languages.
    pub const ALL: [(Self, &'static str, &'static str, &'static str); 10] = [
        (Self::Clock, "clock", "パソコンの時計", "this machine's clock"),
        (Self::Name, "name", "サーバーの名前（DNS）", "the server's name (DNS)"),
        (
            Self::Connection,
            "connection",
            "サーバーへの接続（回線・プロキシ）",
            "the way to the server (network, proxy)",
        ),
        (Self::Ca, "ca", "サーバーの証明書（認証局）", "the server's certificate (its CA)"),
        (Self::Enrolment, "enrolment", "登録", "the enrolment"),
        (Self::Refused, "refused", "証明書の状態（期限切れ・失効）", "the certificates (expired, revoked)"),
        (Self::Permissions, "permissions", "フォルダーの権限", "the permissions of the folder"),
        (Self::Store, "store", "証明書の保存先", "the stores"),
        (Self::Several, "several", "ブラウザーに同じ端末の証明書が複数", "several certificates in a browser"),
        (Self::Schedule, "schedule", "自動実行（タイマー）", "what calls the agent (timer)"),
    ];

    /// What to do about it.
    fn remedy(self) -> (&'static str, &'static str) {
        match self {
            Self::Clock => ("時刻の自動設定（NTP）を有効にしてください。", "turn on time synchronisation (NTP)"),
            Self::Name => (
                "接続先の名前とDNSの設定を確認してください。",
                "check the address in config.toml and the DNS settings of this machine",
            ),
            Self::Connection => (
                "回線とファイアウォールを確認し、プロキシがあれば config.toml の proxy に書いてください。",
                "check network and firewall; write a proxy, if there is one, into proxy in config.toml",
            ),
            Self::Ca => (
                "ウイルス対策ソフトなどの通信検査からこの接続先を除外してください。認証局が替わった場合は管理者から新しい認証局の証明書を受け取り、--ca で登録し直してください。",
                "exempt the server from TLS inspection (antivirus, proxy); if its CA has changed, enrol again with --ca",
            ),
            Self::Enrolment => (
                "管理者に登録コードを発行してもらい、tegata agent enroll を実行してください。",
                "ask the operator for a code and run: tegata agent enroll --server URL --code CODE",
            ),
            Self::Refused => (
                "管理者に連絡し、新しい登録コードで tegata agent enroll を実行してください。",
                "call the operator; enrol again with a new code",
            ),
            Self::Permissions => (
                "エージェントを登録した利用者で実行し、フォルダーを chmod -R go= で閉じてください。",
                "run it as the user who enrolled, and close the folder: chmod -R go= FOLDER",
            ),
            Self::Store => (
                "保存先に書き込めること、nss なら certutil と pk12util があることを確認してください。",
                "see that the place can be written and, for nss, that certutil and pk12util (libnss3-tools) are installed",
            ),
            Self::Several => (
                "通常は新しい証明書が選ばれます。古い証明書を選んでしまう場合は、ブラウザーの証明書の設定から削除してください。",
                "the newest is offered first; delete the old ones in the browser's settings if it chooses one of them",
            ),
            Self::Schedule => (
                "タイマーを有効にしてください: systemctl enable --now tegata-agent.timer（Windows ではタスク「Tegata agent」）",
                "turn the timer on: systemctl enable --now tegata-agent.timer (--user for a user's own; on Windows the task \"Tegata agent\")",
            ),
        }
    }
}

/// What was found for one cause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Which.
    pub cause: Cause,
    /// What is wrong, with the particulars; nothing where all is well.
    pub trouble: Option<String>,
    /// Whether a person has to act at once.
    pub grave: bool,
}

/// Looks at everything.
pub fn examine(root: &Path, world: &World<'_>, now: Timestamp) -> Vec<Finding> {
    let mut findings: Vec<Finding> =
        Cause::ALL.iter().map(|(cause, ..)| Finding { cause: *cause, trouble: None, grave: false }).collect();
    let mut say = |cause: Cause, grave: bool, text: String| {
        for finding in findings.iter_mut().filter(|finding| finding.cause == cause && finding.trouble.is_none()) {
            (finding.trouble, finding.grave) = (Some(text.clone()), grave);
        }
    };
    let view = match View::open(root) {
        Ok(view) => view,
        Err(error) => {
            say(Cause::Enrolment, true, error.to_string());
            return findings;
        }
    };
    if let Some(trouble) = os::wrong_permissions(root, &root.join("doctor")) {
        say(Cause::Permissions, true, trouble);
    }
    server(&view, world, now, &mut say);
    let scratch = root.join("doctor");
    let made = files::make_folder(&scratch);
    for slot in slots(&view.settings, &view.root) {
        certificate(&view, &slot, world, now, &scratch, &mut say);
    }
    if made.is_ok() {
        drop(files::remove_folder(&scratch)); // an empty folder that is left does no harm
    }
    match view.state.last_run {
        Some(at) if now.0 - at.0 <= SILENT_SECONDS => {}
        Some(at) => say(Cause::Schedule, true, format!("it last ran {} JST", at.jst_text())),
        None => say(Cause::Schedule, true, "it has never run".into()),
    }
    findings
}

type Say<'a> = dyn FnMut(Cause, bool, String) + 'a;

fn server(view: &View, world: &World<'_>, now: Timestamp, say: &mut Say<'_>) {
    let ahead = Cell::new(None);
    let server = Server {
        transport: world.transport,
        base: &view.settings.server,
        roots: view.trust.roots(),
        now,
        ahead: &ahead,
    };
    if let Err(setback) = server.ca_certificates(true) {
        say(cause_of(&setback), true, setback.text);
        // Its clock can be heard all the same, where only its certificate is in question.
        drop(server.ca_certificates(false));
    }
    if let Some(seconds) = ahead.get().filter(|seconds| seconds.abs() > SKEW_SECONDS) {
        say(Cause::Clock, true, format!("the server's clock is {seconds} seconds ahead of this one ({now})"));
    }
}

fn cause_of(setback: &Setback) -> Cause {
    match (setback.code.as_str(), setback.remedy) {
        ("name", _) => Cause::Name,
        ("server-certificate", _) => Cause::Ca,
        ("not-enrolled" | "wrong-code" | "code-lapsed" | "code-used" | "enrollment-refused", _) => Cause::Enrolment,
        ("not-yet-valid-certificate", _) => Cause::Clock,
        ("store" | "store-tidy" | "hook-deploy" | "local-file", _) => Cause::Store,
        (_, Remedy::Refused) => Cause::Refused,
        _ => Cause::Connection,
    }
}

fn certificate(view: &View, slot: &Slot<'_>, world: &World<'_>, now: Timestamp, scratch: &Path, say: &mut Say<'_>) {
    if let Some(setback) = view.state.slot(slot.name).setback {
        say(cause_of(&setback), setback.needs_human(), format!("{}: {}", slot.name, setback.text));
    }
    let current = slot.generations.current().and_then(|number| slot.generations.load(number, &view.trust));
    let current = match current {
        Ok(Some(current)) => current,
        Ok(None) => {
            let cause = if slot.name == IDENTITY { Cause::Enrolment } else { Cause::Store };
            return say(cause, true, format!("{}: there is no certificate yet", slot.name));
        }
        Err(error) => return say(Cause::Permissions, true, error.to_string()),
    };
    if !current.is_valid(now) {
        let text =
            format!("{}: the certificate was valid until {} JST", slot.name, current.about().not_after.jst_text());
        say(Cause::Refused, true, text);
    }
    let number = slot.generations.current().unwrap_or(0);
    let generation = slot.generations.path(number);
    let around = Surroundings { entropy: world.entropy, scratch, generation: &generation };
    for (name, settings) in &slot.stores {
        let opened = match store::open(settings) {
            Ok(opened) => opened,
            Err(error) => {
                say(Cause::Store, true, format!("{name}: {error}"));
                continue;
            }
        };
        match opened.holds(&current, &around) {
            Ok(true) => {}
            Ok(false) => say(Cause::Store, true, format!("{name}: the certificate is not there any more")),
            Err(error) => say(Cause::Store, true, format!("{name}: {error}")),
        }
        let ours = opened.list(scratch).unwrap_or_default();
        let ours = ours.iter().filter_map(|entry| view.trust.recognise(&entry.der).ok());
        let same = ours.filter(|(about, ..)| about.terminal == current.terminal()).count();
        if same > 1 {
            say(Cause::Several, false, format!("{name}: {same} certificates of this terminal"));
        }
    }
}

/// How grave the findings are together.
pub fn outcome(findings: &[Finding]) -> Outcome {
    if findings.iter().any(|finding| finding.grave) { Outcome::Human } else { Outcome::Good }
}

/// For people: both languages.
pub fn text(findings: &[Finding]) -> String {
    let lines = findings.iter().filter_map(|finding| {
        let (_, _, ja, en) = Cause::ALL.iter().find(|(cause, ..)| *cause == finding.cause)?;
        let (do_ja, do_en) = finding.cause.remedy();
        Some(match &finding.trouble {
            None => format!("ok       {ja} / {en}\n"),
            Some(trouble) => {
                let mark = if finding.grave { "PROBLEM " } else { "advice  " };
                format!("{mark} {ja} / {en}\n         {trouble}\n         → {do_ja}\n         → {do_en}\n")
            }
        })
    });
    let databases = std::env::var_os("HOME").map(|home| nss::databases(Path::new(&home))).unwrap_or_default();
    let hint: String = databases.iter().map(|path| format!("         nss:{}\n", path.display())).collect();
    let hint =
        if hint.is_empty() { hint } else { format!("ブラウザーの保存先 / browsers' databases here:\n{hint}") };
    lines.chain([hint]).collect()
}

/// For programs.
pub fn json(findings: &[Finding]) -> Value {
    let list: Vec<Value> = findings
        .iter()
        .filter_map(|finding| {
            let (_, word, ja, en) = Cause::ALL.iter().find(|(cause, ..)| *cause == finding.cause)?;
            let (remedy_ja, remedy_en) = finding.cause.remedy();
            Some(json!({
                "cause": word, "ja": ja, "en": en, "trouble": finding.trouble, "grave": finding.grave,
                "remedy_ja": remedy_ja, "remedy_en": remedy_en,
            }))
        })
        .collect();
    json!({ "findings": list })
}
