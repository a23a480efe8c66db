//! The ends of certificates as a calendar (iCalendar, RFC 5545), for the programs that people plan their weeks with. A reader that fetches it
//! again replaces what it had: each certificate keeps its UID.

use jiff::civil::Weekday;
use tegata_core::contact::Language;
use tegata_core::holiday::is_public_holiday;
use tegata_core::id::CertificateId;
use tegata_core::terminal::Terminal;
use tegata_core::time::Timestamp;

/// An end that stands in a calendar.
pub(crate) struct Ending<'e> {
    pub(crate) terminal: &'e Terminal,
    pub(crate) certificate: CertificateId,
    pub(crate) ends: Timestamp,
}

/// The calendar of a customer.
pub(crate) fn calendar(language: Language, service: &str, endings: &[Ending<'_>], now: Timestamp) -> String {
    let mut text = String::new();
    let name = match language {
        Language::Ja => format!("{service} 証明書の期限"),
        Language::En => format!("{service} certificates"),
    };
    for line in
        ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//Tegata//Certificates//JA", "CALSCALE:GREGORIAN", "METHOD:PUBLISH"]
    {
        push(&mut text, line);
    }
    push(&mut text, &format!("X-WR-CALNAME:{}", escaped(&name)));
    for ending in endings {
        event(&mut text, language, ending, now);
    }
    push(&mut text, "END:VCALENDAR");
    text
}

fn event(text: &mut String, language: Language, ending: &Ending<'_>, now: Timestamp) {
    let Ending { terminal, certificate, ends } = ending;
    let number = format!("{}-{}", terminal.customer.number(), terminal.client.number());
    let day = ends.jst_date();
    let holiday = matches!(day.weekday(), Weekday::Saturday | Weekday::Sunday) || is_public_holiday(day);
    let (summary, description) = match language {
        Language::Ja => (
            format!("証明書の期限：{}{}", terminal.name, if holiday { "（休日）" } else { "" }),
            format!("端末番号 {number}\n{} まで接続できます。それまでに更新してください。", ends.jst_text()),
        ),
        Language::En => (
            format!("Certificate ends: {}{}", terminal.name, if holiday { " (holiday)" } else { "" }),
            format!("Terminal {number}\nIt can connect until {} JST. Renew before.", ends.jst_text()),
        ),
    };
    push(text, "BEGIN:VEVENT");
    push(text, &format!("UID:{}-{certificate}@terminal.tegata.internal", terminal.id));
    push(text, &format!("DTSTAMP:{}", utc(now)));
    push(text, &format!("DTSTART:{}", utc(*ends)));
    push(text, "DURATION:PT15M");
    push(text, &format!("SUMMARY:{}", escaped(&summary)));
    push(text, &format!("DESCRIPTION:{}", escaped(&description)));
    push(text, "TRANSP:TRANSPARENT");
    for days in [30, 7] {
        for line in ["BEGIN:VALARM", "ACTION:DISPLAY"] {
            push(text, line);
        }
        push(text, &format!("DESCRIPTION:{}", escaped(&summary)));
        push(text, &format!("TRIGGER:-P{days}D"));
        push(text, "END:VALARM");
    }
    push(text, "END:VEVENT");
}

/// `20270121T050000Z` (section 3.3.5, form 2)
fn utc(at: Timestamp) -> String {
    let (date, time) = at.utc();
    let (year, month, day) = (date.year(), date.month(), date.day());
    format!("{year:04}{month:02}{day:02}T{:02}{:02}{:02}Z", time.hour(), time.minute(), time.second())
}

/// Section 3.3.11.
fn escaped(text: &str) -> String {
    let mut all = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' | ';' | ',' => all.extend(['\\', c]),
            '\n' => all.push_str("\\n"),
            c if c.is_control() => all.push(' '),
            c => all.push(c),
        }
    }
    all
}

/// A content line, folded at 75 octets without cutting a letter (section 3.1).
fn push(text: &mut String, line: &str) {
    let mut octets = 0;
    for c in line.chars() {
        if octets + c.len_utf8() > 75 {
            text.push_str("\r\n ");
            octets = 1;
        }
        text.push(c);
        octets += c.len_utf8();
    }
    text.push_str("\r\n");
}

#[cfg(test)]
mod tests {
    use tegata_core::id::{ClientNumber, CustomerId, TerminalId};

    use super::*;

    #[test]
    fn lines_are_folded_between_letters_and_nothing_slips_into_another_property() {
        let terminal = Terminal {
            id: TerminalId::from_random([1; 16]),
            customer: CustomerId::new(1).expect("valid"),
            client: ClientNumber::new(1).expect("valid"),
            name: "受付、会計;1,\r\nATTENDEE:x".repeat(3),
            created_at: Timestamp(0),
            retired_at: None,
            blocked_at: None,
            deferred_on: None,
        };
        let ends = Timestamp::parse("2026-11-23").expect("a holiday");
        let ending = Ending { terminal: &terminal, certificate: CertificateId(7), ends };
        let text = calendar(Language::Ja, "Tegata", &[ending], Timestamp(0));
        let lines: Vec<&str> = text.split("\r\n").collect();
        assert!(lines.iter().all(|line| line.len() <= 75 && !line.contains(['\r', '\n'])), "{text}");
        let whole = text.replace("\r\n ", "");
        assert!(!whole.lines().any(|line| line.starts_with("ATTENDEE")), "{whole}");
        assert!(whole.contains("受付、会計\\;1\\, \\nATTENDEE:x") && whole.contains("（休日）"), "{whole}");
        assert!(whole.contains("DTSTART:20261123T050000Z\r\n") && whole.contains("UID:01010101-"), "{whole}");
    }
}
