//! What a notice says, in the reader's language: how many terminals, until when, and what to do next. Never a password, a code, a key, or an
//! address that opens without the certificate of a terminal: mail is read by others.

use jiff::civil::{Date, Weekday};
use tegata_core::contact::Language;
use tegata_core::reminder::Reminder;
use tegata_core::terminal::{Condition, Terminal};
use tegata_core::time::Timestamp;

/// Who writes, and where to turn.
#[derive(Clone, Debug)]
pub struct Letterhead {
    /// The name of the service.
    pub service: String,
    /// Who runs it.
    pub operator: String,
    /// Whom to call.
    pub phone: Option<String>,
    /// When somebody answers.
    pub hours: Option<String>,
    /// The portal's address, without a slash at the end.
    pub url: String,
}

/// A mail without its envelope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    /// Its subject: one line.
    pub subject: String,
    /// Its text.
    pub text: String,
}

/// A terminal and what is to be said about it.
pub(crate) type Due<'d> = &'d [(Terminal, Reminder)];

/// All terminals of a customer that need somebody, in one letter; `due` begins with the one that ends first.
pub(crate) fn digest(language: Language, head: &Letterhead, customer: &str, due: Due<'_>, now: Timestamp) -> Letter {
    let nearest = due.iter().map(|(_, reminder)| reminder.ends).find(|end| *end >= now);
    let past = due.iter().filter(|(_, reminder)| reminder.ends < now).count();
    let lines: Vec<String> = due.iter().map(|(terminal, reminder)| line(language, terminal, reminder, now)).collect();
    let (count, lines) = (due.len(), lines.join("\n"));
    let name = one_line(customer);
    match language {
        Language::Ja => Letter {
            subject: match nearest {
                Some(end) => {
                    format!("【証明書の期限】{count}台、次の期限は{}です：{name}", japanese_day(end.jst_date()))
                }
                None => format!("【証明書の期限】{count}台の期限が切れています：{name}"),
            },
            text: japanese(head, &name, (count, past), &lines),
        },
        Language::En => Letter {
            subject: match nearest {
                Some(end) => format!("[Certificates] {count} terminal(s), next one ends {}: {name}", end.jst_date()),
                None => format!("[Certificates] {count} terminal(s) have expired: {name}"),
            },
            text: english(head, &name, (count, past), &lines),
        },
    }
}

fn japanese(head: &Letterhead, name: &str, (count, past): (usize, usize), lines: &str) -> String {
    let Letterhead { service, operator, url, .. } = head;
    let stopped = match past {
        0 => String::new(),
        past => format!("このうち{past}台は期限が切れていて、いまは接続できません。\n"),
    };
    format!(
        "{name} 御中\n\n{service}（{operator}）からのお知らせです。\n\
         次の{count}台は、証明書の期限が近づいているか、期限が切れています。\n{stopped}\n{lines}\n\n\
         ■ していただくこと\n\
         ・期限の前の端末：その端末で {url} を開いてログインし、「更新」を押します。診療の合間に5分ほどで終わります。\n\
         ・取得済みの証明書がある端末：証明書を読み込んで、一度ログインしてください。\n\
         ・期限が切れた端末：ほかの端末で管理者がログインし、「管理画面」から復旧コードを作ります。\n\
         ・もう使わない端末：「管理画面」で「利用終了」にすると、お知らせは止まります。\n\
         新しい証明書が使われると、その端末のお知らせは止まります。更新や取得だけでは止まりません。\n\n\
         期限の一覧は、添付のカレンダー（tegata.ics）でも確認できます。\n\
         お知らせの送り先を変えるには： {url}/admin/notices\n{}{}",
        japanese_contact(head),
        "\nこのメールに、パスワードやコードは書かれていません。メールでお尋ねすることもありません。\n"
    )
}

fn english(head: &Letterhead, name: &str, (count, past): (usize, usize), lines: &str) -> String {
    let Letterhead { service, operator, url, .. } = head;
    let stopped = match past {
        0 => String::new(),
        past => format!("{past} of them have expired and cannot connect now.\n"),
    };
    format!(
        "To: {name}\n\nA notice from {service} ({operator}).\n\
         The certificates of these {count} terminal(s) end soon or have ended.\n{stopped}\n{lines}\n\n\
         What to do\n\
         - Before the end: open {url} at that terminal, log in and press Renew. It takes about five minutes.\n\
         - Where a new certificate was fetched: import it and log in once with it.\n\
         - After the end: an administrator logs in at another terminal and makes a recovery code under Administration.\n\
         - Not needed any more: take the terminal out of service under Administration; its notices stop.\n\
         Notices about a terminal stop when its new certificate is used. Renewing or fetching it is not enough.\n\n\
         The attached calendar (tegata.ics) has all dates.\n\
         Change who gets these notices: {url}/admin/notices\n{}{}",
        english_contact(head),
        "\nThis mail holds no password and no code, and nobody will ask for one by mail.\n"
    )
}

fn line(language: Language, terminal: &Terminal, reminder: &Reminder, now: Timestamp) -> String {
    let number = format!("{}-{}", terminal.customer.number(), terminal.client.number());
    let (name, left) = (one_line(&terminal.name), reminder.left.0);
    let past = reminder.ends < now;
    match language {
        Language::Ja => {
            let end = japanese_moment(reminder.ends);
            let left = match (past, left) {
                (true, 0) => "本日、期限切れ".to_owned(),
                (true, left) => format!("{}日前に期限切れ", -left),
                (false, 0) => "本日が期限".to_owned(),
                (false, left) => format!("残り{left}日"),
            };
            format!(
                "・{name}（端末番号 {number}）\n    期限：{end}（{left}）\n    状態：{}",
                japanese_state(reminder, past)
            )
        }
        Language::En => {
            let left = match (past, left) {
                (true, 0) => "expired today".to_owned(),
                (true, left) => format!("expired {} day(s) ago", -left),
                (false, 0) => "ends today".to_owned(),
                (false, left) => format!("{left} day(s) left"),
            };
            let end = reminder.ends.jst_text();
            format!(
                "- {name} (terminal {number})\n    ends: {end} JST ({left})\n    state: {}",
                english_state(reminder, past)
            )
        }
    }
}

fn japanese_state(reminder: &Reminder, past: bool) -> &'static str {
    match reminder.condition {
        Condition::Waiting if reminder.ever_used => "新しい証明書ができていますが、まだ取得されていません",
        Condition::Fetched if reminder.ever_used => "新しい証明書は取得済みですが、まだ使われていません",
        _ if !reminder.ever_used => "一度も使われていません（電源を入れていない端末かもしれません）",
        _ if past => "期限切れで、接続できません",
        _ => "まだ更新されていません",
    }
}

fn english_state(reminder: &Reminder, past: bool) -> &'static str {
    match reminder.condition {
        Condition::Waiting if reminder.ever_used => "a new certificate is ready, but nobody has fetched it",
        Condition::Fetched if reminder.ever_used => "a new certificate was fetched, but has not been used",
        _ if !reminder.ever_used => "never used (perhaps it was never switched on)",
        _ if past => "expired, cannot connect",
        _ => "not renewed yet",
    }
}

/// Says only that mail arrives.
pub(crate) fn test(language: Language, head: &Letterhead, customer: &str, now: Timestamp) -> Letter {
    let Letterhead { service, operator, url, .. } = head;
    let name = one_line(customer);
    match language {
        Language::Ja => Letter {
            subject: format!("【証明書の期限】お知らせの送り先の確認：{name}"),
            text: format!(
                "{name} 御中\n\n{service}（{operator}）からのお知らせです。\n\
                 このメールアドレスは、端末の証明書の期限をお知らせする送り先に登録されています。\n\
                 このメールが届いていれば、していただくことはありません。\n\n\
                 期限の90日・60日・30日・15日前と、7日前からは毎日、お知らせが届きます。\n\
                 送り先を変えるには： {url}/admin/notices\n\
                 心当たりがないときは、{operator}にお知らせください。\n{}\n送信：{}\n",
                japanese_contact(head),
                japanese_moment(now)
            ),
        },
        Language::En => Letter {
            subject: format!("[Certificates] Test of this address: {name}"),
            text: format!(
                "To: {name}\n\nA notice from {service} ({operator}).\n\
                 This address is registered for notices about the end of terminals' certificates.\n\
                 If you can read this, nothing needs to be done.\n\n\
                 Notices come 90, 60, 30 and 15 days before an end, and daily from 7 days before it.\n\
                 Change who gets them: {url}/admin/notices\n\
                 If you do not know why you got this mail, please tell {operator}.\n{}\nSent: {} JST\n",
                english_contact(head),
                now.jst_text()
            ),
        },
    }
}

fn japanese_contact(head: &Letterhead) -> String {
    let hours = head.hours.as_ref().map(|hours| format!("（{hours}）")).unwrap_or_default();
    head.phone.as_ref().map(|phone| format!("お問い合わせ： {phone}{hours}\n")).unwrap_or_default()
}

fn english_contact(head: &Letterhead) -> String {
    let hours = head.hours.as_ref().map(|hours| format!(" ({hours})")).unwrap_or_default();
    head.phone.as_ref().map(|phone| format!("Questions: {phone}{hours}\n")).unwrap_or_default()
}

/// Names were checked when they came in; a subject is one line whatever they hold.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn japanese_day(day: Date) -> String {
    format!("{}年{}月{}日", day.year(), day.month(), day.day())
}

/// `2026年12月10日（木）14:00`
fn japanese_moment(at: Timestamp) -> String {
    let (day, time) = (at.jst_date(), at.jst_time());
    let weekday = match day.weekday() {
        Weekday::Monday => '月',
        Weekday::Tuesday => '火',
        Weekday::Wednesday => '水',
        Weekday::Thursday => '木',
        Weekday::Friday => '金',
        Weekday::Saturday => '土',
        Weekday::Sunday => '日',
    };
    format!("{}（{weekday}）{:02}:{:02}", japanese_day(day), time.hour(), time.minute())
}

#[cfg(test)]
mod tests {
    use tegata_core::id::{CertificateId, ClientNumber, CustomerId, Serial, TerminalId};
    use tegata_core::reminder::{Step, step};

    use super::*;

    fn now() -> Timestamp {
        Timestamp::parse("2026-11-25T00:00:00Z").expect("valid")
    }

    fn due(number: u32, name: &str, end: &str, condition: Condition, ever_used: bool) -> (Terminal, Reminder) {
        let terminal = Terminal {
            id: TerminalId::from_random([1; 16]),
            customer: CustomerId::new(1).expect("valid"),
            client: ClientNumber::new(number).expect("valid"),
            name: name.into(),
            created_at: Timestamp(0),
            retired_at: None,
            blocked_at: None,
            deferred_on: None,
        };
        let ends = Timestamp::parse(end).expect("valid");
        let left = ends.jst_days_from(now());
        let step = step(left).unwrap_or(Step(0));
        let serial = Serial::from_bytes([1; 16]);
        (terminal, Reminder { certificate: CertificateId(1), serial, ends, left, step, condition, ever_used })
    }

    fn head() -> Letterhead {
        Letterhead {
            service: "Tegata".into(),
            operator: "サンプルセンター".into(),
            phone: Some("03-0000-0000".into()),
            hours: Some("平日 9:00〜17:30".into()),
            url: "https://portal.example.jp".into(),
        }
    }

    #[test]
    fn the_subject_says_how_many_and_the_nearest_date_and_the_text_each_terminal() {
        let all = [
            due(4, "会計", "2026-11-20", Condition::Expired, true),
            due(1, "受付1", "2026-12-10", Condition::Fetched, true),
            due(2, "訪問用", "2027-01-21", Condition::Fetched, false),
            due(3, "診察室", "2027-01-22", Condition::Due, true),
        ];
        let letter = digest(Language::Ja, &head(), "みどり医院", &all, now());
        assert_eq!(letter.subject, "【証明書の期限】4台、次の期限は2026年12月10日です：みどり医院");
        for part in [
            "会計（端末番号 1-4）\n    期限：2026年11月20日（金）14:00（5日前に期限切れ）\n    状態：期限切れで、接続できません",
            "受付1（端末番号 1-1）\n    期限：2026年12月10日（木）14:00（残り15日）\n    状態：新しい証明書は取得済みですが、まだ使われていません",
            "状態：一度も使われていません",
            "状態：まだ更新されていません",
            "このうち1台は期限が切れていて",
            "https://portal.example.jp を開いて",
            "お問い合わせ： 03-0000-0000（平日 9:00〜17:30）",
        ] {
            assert!(letter.text.contains(part), "{part}\n{}", letter.text);
        }
        assert!(!letter.text.contains("失効"), "expired is not revoked");
        let english = digest(Language::En, &head(), "みどり医院", &all, now());
        assert_eq!(english.subject, "[Certificates] 4 terminal(s), next one ends 2026-12-10: みどり医院");
        assert!(english.text.contains("ends: 2026-12-10 14:00 JST (15 day(s) left)"), "{}", english.text);
        let past = digest(Language::Ja, &head(), "みどり医院", &all[..1], now());
        assert_eq!(past.subject, "【証明書の期限】1台の期限が切れています：みどり医院");
    }

    #[test]
    fn a_subject_is_one_line() {
        let letter = test(Language::Ja, &head(), "a\r\nBcc: b@example.jp", now());
        assert!(!letter.subject.contains(['\r', '\n']), "{}", letter.subject);
    }
}
