//! Invitations: an 8-character code with which a terminal that has no certificate yet gets its first one, without anybody carrying a file.
//! The first half of a code names the invitation, the second half proves it: so wrong tries are counted where they belong.

use crate::id::{CustomerId, KeyHash, ParseIdError, TerminalId};
use crate::secret::{Entropy, Secret, random};
use crate::time::Timestamp;

/// Crockford's base 32: no I, L, O, U.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// How often a wrong second half may be tried.
pub const TRIES: u32 = 5;
/// How long an application waits for the operator's word.
pub const APPROVAL_DAYS: i64 = 7;

/// A code as it is read out over the phone: `4F7K-92QX`.
#[derive(Clone)]
pub struct Code(Secret<String>);

impl Code {
    /// A new one.
    pub fn random(entropy: &dyn Entropy) -> Self {
        let letters = random::<8>(entropy).map(|byte| char::from(ALPHABET[usize::from(byte % 32)]));
        Self(Secret::new(letters.iter().collect()))
    }

    /// Reads one as people type it: small letters, without the hyphen, O for 0, I and L for 1.
    pub fn parse(text: &str) -> Result<Self, ParseIdError> {
        let letters: Option<String> =
            text.chars().filter(|c| !matches!(c, '-' | ' ' | '　' | 'ー' | '－' | '‐' | '−')).map(letter).collect();
        // What was typed is not repeated: it may be nearly right.
        let wrong = ParseIdError { text: "...".into(), expected: "an enrolment code such as 4F7K-92QX" };
        letters.filter(|letters| letters.len() == 8).map(|letters| Self(Secret::new(letters))).ok_or(wrong)
    }

    /// The half that names the invitation; not a secret.
    pub fn selector(&self) -> &str {
        &self.0.expose()[..4]
    }

    /// Both halves without the hyphen.
    pub fn whole(&self) -> &Secret<String> {
        &self.0
    }

    /// As it is read out.
    pub fn spoken(&self) -> Secret<String> {
        let (selector, proof) = self.0.expose().split_at(4);
        Secret::new(format!("{selector}-{proof}"))
    }
}

fn letter(typed: char) -> Option<char> {
    // Japanese keyboards make wide letters and digits (U+FF01 to U+FF5E), in the order of ASCII.
    let narrow = match typed {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(typed) - 0xfee0)?,
        other => other,
    };
    let letter = match narrow.to_ascii_uppercase() {
        'O' => '0',
        'I' | 'L' => '1',
        other => other,
    };
    ALPHABET.contains(&u8::try_from(letter).ok()?).then_some(letter)
}

/// What the operator has to say to an application.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Approval {
    /// Nothing: the code is enough.
    NotNeeded,
    /// Not said yet.
    Pending,
    /// Yes.
    Approved,
    /// No.
    Refused,
}

impl Approval {
    /// Every state with its word in the store.
    pub const ALL: [(Self, &'static str); 4] = [
        (Self::NotNeeded, "not-needed"),
        (Self::Pending, "pending"),
        (Self::Approved, "approved"),
        (Self::Refused, "refused"),
    ];

    /// Its word.
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(state, _)| *state == self).map_or("pending", |(_, word)| word)
    }

    /// From its word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known)| *known == word).map(|(state, _)| *state)
    }
}

/// A row of the register. The code itself is not in it, only a keyed hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invitation {
    /// The first half of its code.
    pub selector: String,
    /// For which terminal.
    pub terminal: TerminalId,
    /// Whose terminal that is.
    pub customer: CustomerId,
    /// The last second in which the code counts.
    pub expires_at: Timestamp,
    /// Wrong tries so far.
    pub failures: u32,
    /// The key that it was used with: the same key may ask again, no other.
    pub key: Option<KeyHash>,
    /// What the operator says.
    pub approval: Approval,
    /// Whether the operator made it; else an administrator of the customer did, whose word reaches less far.
    pub by_operator: bool,
    /// Whether the terminal moves to another PC with it: its other certificates end when the new one is used.
    pub moves: bool,
}

/// Proof that a code was right and everything else in order; only an [`Invitation`] makes one.
#[derive(Debug)]
pub struct Accepted {
    by_operator: bool,
    moves: bool,
}

impl Accepted {
    /// Whether the operator made the invitation.
    pub fn by_operator(&self) -> bool {
        self.by_operator
    }

    /// Whether the terminal moves to another PC.
    pub fn moves(&self) -> bool {
        self.moves
    }
}

/// Why a right code gets nothing, or nothing yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvitationError {
    /// Its time is over, or it was guessed at too often.
    #[error("the enrolment code has lapsed: ask for a new one")]
    Lapsed,
    /// Another key was enrolled with it.
    #[error("the enrolment code was used before, with another key: ask for a new one")]
    Used,
    /// The operator said no.
    #[error("the operator has refused this enrolment")]
    Refused,
    /// The operator has said nothing yet.
    #[error("the operator has to approve this enrolment")]
    Pending,
}

impl Invitation {
    /// Whether its code can still be tried.
    pub fn is_open(&self, now: Timestamp) -> bool {
        now <= self.expires_at && self.failures < TRIES
    }

    /// What a right code with this key gets.
    pub fn accept(&self, key: KeyHash, now: Timestamp) -> Result<Accepted, InvitationError> {
        if !self.is_open(now) {
            return Err(InvitationError::Lapsed);
        }
        if self.key.is_some_and(|used| used != key) {
            return Err(InvitationError::Used);
        }
        self.approved()
    }

    /// What a right code gets that is typed in a browser, which brings no key. One that a program has used already is worth nothing there.
    pub fn accept_by_hand(&self, now: Timestamp) -> Result<Accepted, InvitationError> {
        if !self.is_open(now) {
            return Err(InvitationError::Lapsed);
        }
        if self.key.is_some() {
            return Err(InvitationError::Used);
        }
        self.approved()
    }

    fn approved(&self) -> Result<Accepted, InvitationError> {
        let accepted = Accepted { by_operator: self.by_operator, moves: self.moves };
        match self.approval {
            Approval::NotNeeded | Approval::Approved => Ok(accepted),
            Approval::Pending => Err(InvitationError::Pending),
            Approval::Refused => Err(InvitationError::Refused),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_read_as_people_type_it() {
        let read = |text| Code::parse(text).map(|code| code.spoken().expose().clone()).ok();
        for typed in ["4F7K-01QX", "4f7koiqx", " 4F7K 0LQX ", "4f7k-o1qx", "４ｆ７ｋー０１ｑｘ"] {
            assert_eq!(read(typed).as_deref(), Some("4F7K-01QX"), "{typed}");
        }
        for wrong in ["", "4F7K-92Q", "4F7K-92QXX", "4F7K-92QU", "受付受付受付受付"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
        assert_eq!(Code::parse("4F7K-92QX").expect("a code").selector(), "4F7K");
    }

    #[test]
    fn a_code_counts_for_one_key_until_it_lapses_and_only_as_the_operator_says() {
        let now = Timestamp(1_000);
        let (mine, other) = (KeyHash([1; 32]), KeyHash([2; 32]));
        let invitation = |failures, key, approval| Invitation {
            selector: "4F7K".into(),
            terminal: TerminalId::from_random([1; 16]),
            customer: CustomerId::new(1).expect("valid"),
            expires_at: now,
            failures,
            key,
            approval,
            by_operator: true,
            moves: false,
        };
        let ask = |failures, key, approval, at| invitation(failures, key, approval).accept(mine, at).map(|_| ());
        assert_eq!(ask(4, None, Approval::NotNeeded, now), Ok(()));
        assert_eq!(ask(0, Some(mine), Approval::Approved, now), Ok(()));
        assert_eq!(ask(0, Some(other), Approval::NotNeeded, now), Err(InvitationError::Used));
        assert_eq!(ask(5, None, Approval::NotNeeded, now), Err(InvitationError::Lapsed));
        assert_eq!(ask(0, None, Approval::NotNeeded, Timestamp(1_001)), Err(InvitationError::Lapsed));
        assert_eq!(ask(0, Some(mine), Approval::Pending, now), Err(InvitationError::Pending));
        assert_eq!(ask(0, Some(mine), Approval::Refused, now), Err(InvitationError::Refused));

        let by_hand = |failures, key, approval, at| invitation(failures, key, approval).accept_by_hand(at).map(|_| ());
        assert_eq!(by_hand(4, None, Approval::NotNeeded, now), Ok(()));
        assert_eq!(by_hand(5, None, Approval::NotNeeded, now), Err(InvitationError::Lapsed));
        assert_eq!(by_hand(0, None, Approval::NotNeeded, Timestamp(1_001)), Err(InvitationError::Lapsed));
        assert_eq!(by_hand(0, Some(mine), Approval::NotNeeded, now), Err(InvitationError::Used));
        assert_eq!(by_hand(0, None, Approval::Pending, now), Err(InvitationError::Pending));
    }
}
