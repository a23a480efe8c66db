//! A parcel as a mail (RFC 5322, MIME): plain text in UTF-8, a calendar beside it where there is one. The same parcel gives the same
//! `Message-ID` and date at each try, so that a mail that arrives twice is known for one.

use std::time::{Duration, UNIX_EPOCH};

use lettre::Message;
use lettre::message::header::{ContentType, Header, HeaderName, HeaderValue};
use lettre::message::{Attachment, Mailbox, MultiPart, SinglePart};
use tegata_core::contact::MailAddress;
use tegata_store::ParcelRow;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// No program should answer it (RFC 3834 section 5).
#[derive(Clone)]
struct AutoSubmitted;

impl Header for AutoSubmitted {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, BoxError> {
        Ok(Self)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}

/// Makes the mail.
pub fn message(parcel: &ParcelRow, from: &MailAddress, name: &str) -> Result<Message, BoxError> {
    let (local, domain) = from.parts();
    // A line break in a name makes the library panic; in a subject it would begin another header.
    let from = Mailbox::new(Some(one_line(name)), lettre::Address::new(local, domain)?);
    let written = UNIX_EPOCH + Duration::from_secs(u64::try_from(parcel.created_at.0)?);
    let builder = Message::builder()
        .from(from)
        .to(parcel.recipient.parse()?)
        .subject(one_line(&parcel.subject))
        .message_id(Some(format!("<{}@{domain}>", parcel.key)))
        .date(written)
        .header(AutoSubmitted);
    let text = SinglePart::builder().header(ContentType::TEXT_PLAIN).body(parcel.body.clone());
    Ok(match &parcel.calendar {
        None => builder.singlepart(text)?,
        Some(calendar) => {
            let kind = ContentType::parse("text/calendar; charset=utf-8; method=PUBLISH")?;
            let dates = Attachment::new("tegata.ics".to_owned()).body(calendar.clone(), kind);
            builder.multipart(MultiPart::mixed().singlepart(text).singlepart(dates))?
        }
    })
}

fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use tegata_core::time::Timestamp;

    use super::*;

    #[test]
    fn the_same_parcel_is_the_same_mail_and_no_name_can_add_a_header() {
        let parcel = ParcelRow {
            id: 1,
            kind: "mail".into(),
            topic: "digest".into(),
            key: "00ff".into(),
            customer: None,
            recipient: "jimu@clinic.example.jp".into(),
            subject: "【証明書の期限】\r\nBcc: evil@example.jp".into(),
            body: "期限です。\n".into(),
            calendar: Some("BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n".into()),
            created_at: Timestamp(1_795_000_000),
            next_at: Timestamp(0),
            tries: 1,
            delivered_at: None,
            given_up_at: None,
            last_error: None,
        };
        let from: MailAddress = "tegata@example.jp".parse().expect("an address");
        let made = || message(&parcel, &from, "証明書のお知らせ\r\nX-Evil: 1").expect("a mail");
        let text = String::from_utf8(made().formatted()).expect("mail is ASCII here");
        assert!(text.is_ascii(), "{text}");
        assert!(
            text.contains("Message-ID: <00ff@example.jp>\r\n") && text.contains("Auto-Submitted: auto-generated\r\n"),
            "{text}"
        );
        assert!(text.contains("Date: Wed, 18 Nov 2026 "), "{text}");
        let (headers, _) = text.split_once("\r\n\r\n").expect("headers end");
        assert!(!headers.lines().any(|line| line.starts_with("Bcc") || line.starts_with("X-Evil")), "{headers}");
        assert!(text.contains("text/calendar; charset=utf-8; method=PUBLISH") && text.contains("tegata.ics"), "{text}");
        let again = String::from_utf8(made().formatted()).expect("ASCII");
        assert_eq!(headers.split("boundary").next(), again.split("boundary").next());
    }
}
