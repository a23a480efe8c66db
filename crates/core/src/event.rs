//! What other programs are told of: the turning points in the life of a certificate, by the words of the operation log.

use crate::audit::{Action, Entry, Outcome};

/// Something that a webhook tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// A certificate was made.
    Issued,
    /// It was fetched.
    Downloaded,
    /// It was seen in a handshake for the first time.
    Used,
    /// It ends soon: the same steps as in the reminders for people.
    Expiring,
    /// It has ended, and no newer one is in use.
    Expired,
    /// It was revoked.
    Revoked,
    /// Nothing happened: somebody tries whether we are heard.
    Test,
}

impl Event {
    /// Every event with its word.
    pub const ALL: [(Self, &'static str); 7] = [
        (Self::Issued, "certificate.issued"),
        (Self::Downloaded, "certificate.downloaded"),
        (Self::Used, "certificate.used"),
        (Self::Expiring, "certificate.expiring"),
        (Self::Expired, "certificate.expired"),
        (Self::Revoked, "certificate.revoked"),
        (Self::Test, "webhook.test"),
    ];

    /// Its word, the `type` of what is sent.
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(event, _)| *event == self).map_or("", |(_, word)| word)
    }

    /// What a row of the operation log tells other programs, where it tells them anything.
    pub fn of(entry: &Entry) -> Option<Self> {
        let told = match entry.action {
            Action::CertificateIssued => Self::Issued,
            Action::BundleDownloaded => Self::Downloaded,
            Action::CertificateUsed => Self::Used,
            Action::CertificateRevoked => Self::Revoked,
            _ => return None,
        };
        (entry.outcome == Outcome::Done && entry.serial.is_some()).then_some(told)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::Actor;
    use crate::id::Serial;
    use crate::time::Timestamp;

    #[test]
    fn only_what_was_done_with_a_certificate_is_told() {
        let entry = |action, outcome, serial| Entry {
            at: Timestamp(0),
            actor: Actor::Visitor,
            customer: None,
            terminal: None,
            serial,
            action,
            outcome,
            detail: String::new(),
        };
        let serial = Some(Serial::from_bytes([1; 16]));
        let words: Vec<&str> = Action::ALL
            .iter()
            .filter_map(|(action, _)| Event::of(&entry(*action, Outcome::Done, serial)))
            .map(Event::as_str)
            .collect();
        assert_eq!(words, ["certificate.issued", "certificate.revoked", "certificate.used", "certificate.downloaded"]);
        assert_eq!(Event::of(&entry(Action::CertificateUsed, Outcome::Refused, serial)), None);
        assert_eq!(Event::of(&entry(Action::CertificateUsed, Outcome::Done, None)), None);
    }
}
