//! Checkpoints of the operation log: short statements about where its chain of hashes stood, signed with a key that signs nothing else
//! (ECDSA on P-256 with SHA-256). Whoever has the public key can check one with any tool: the bytes that are signed are plain text.
//!
//! They are the lines below, each ended by one line feed (0a), in this order, with single spaces. Hashes are 64 lower-case hex digits, times are
//! RFC 3339 in UTC to the second. The last line is there only where the kind is `key`.
//!
//! ```text
//! tegata operation log checkpoint v1
//! log <hash of row 1>
//! number <the checkpoint's own number, from 1 without gaps>
//! kind head | key
//! rows <sequence of the last row that is covered>
//! head <that row's hash>
//! at <when it was signed>
//! next <the new public key: SubjectPublicKeyInfo (RFC 5280) in base64 (RFC 4648 section 4)>
//! ```

use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use tegata_core::id::Fingerprint;
use tegata_core::time::Timestamp;

use crate::signer::{SignError, Signer};

/// The first line of what is signed, so that no signature made for another purpose can be passed off as one of ours.
const DOMAIN: &str = "tegata operation log checkpoint v1";

/// What a checkpoint says beside where the log stood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Nothing else.
    Head,
    /// From the next one on another key signs.
    Key {
        /// The public half of that key: SubjectPublicKeyInfo in DER.
        next: Vec<u8>,
    },
}

impl Kind {
    /// Its word.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Head => "head",
            Self::Key { .. } => "key",
        }
    }
}

/// Where the log stood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// Which log: the hash of its first row.
    pub log: Fingerprint,
    /// The checkpoint's own number, from 1 without gaps.
    pub number: i64,
    /// What it says beside.
    pub kind: Kind,
    /// The last row that it covers.
    pub rows: i64,
    /// That row's hash.
    pub head: Fingerprint,
    /// When it was signed.
    pub at: Timestamp,
}

impl Statement {
    /// The bytes that are signed.
    pub fn bytes(&self) -> Vec<u8> {
        let Self { log, number, kind, rows, head, at } = self;
        let word = kind.as_str();
        let mut text =
            format!("{DOMAIN}\nlog {log}\nnumber {number}\nkind {word}\nrows {rows}\nhead {head}\nat {at}\n");
        if let Kind::Key { next } = kind {
            text.push_str(&format!("next {}\n", BASE64.encode(next)));
        }
        text.into_bytes()
    }
}

/// Signs a statement; an ECDSA-Sig-Value in DER.
pub fn sign(statement: &Statement, signer: &dyn Signer) -> Result<Vec<u8>, SignError> {
    signer.sign(&statement.bytes())
}

/// Whether the key (SubjectPublicKeyInfo in DER, P-256) signed this statement.
pub fn is_signed_by(statement: &Statement, signature: &[u8], key: &[u8]) -> bool {
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, key).verify(&statement.bytes(), signature).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signer::{Curve, SoftwareSigner};

    fn statement(kind: Kind) -> Statement {
        let at = Timestamp::parse("2026-11-24T00:00:00Z").expect("valid");
        Statement { log: Fingerprint([1; 32]), number: 7, kind, rows: 120, head: Fingerprint([0xab; 32]), at }
    }

    #[test]
    fn what_is_signed_is_the_text_that_is_described() {
        let (one, ab) = ("01".repeat(32), "ab".repeat(32));
        let expected = format!(
            "tegata operation log checkpoint v1\nlog {one}\nnumber 7\nkind head\nrows 120\nhead {ab}\nat 2026-11-24T00:00:00Z\n"
        );
        assert_eq!(String::from_utf8(statement(Kind::Head).bytes()).expect("text"), expected);
        let key = String::from_utf8(statement(Kind::Key { next: vec![0, 1, 2] }).bytes()).expect("text");
        assert_eq!(key, expected.replace("kind head", "kind key") + "next AAEC\n");
    }

    #[test]
    fn a_signature_holds_for_its_key_and_its_statement_alone() {
        let (signer, _) = SoftwareSigner::generate(Curve::P256).expect("a key");
        let (other, _) = SoftwareSigner::generate(Curve::P256).expect("a key");
        let said = statement(Kind::Head);
        let signature = sign(&said, &signer).expect("signed");
        let holds = |said: &Statement, key: &SoftwareSigner| is_signed_by(said, &signature, key.public_key_der());
        assert!(holds(&said, &signer));
        assert!(!holds(&said, &other));
        let changes: [fn(&mut Statement); 6] = [
            |said| said.log.0[0] ^= 1,
            |said| said.number += 1,
            |said| said.kind = Kind::Key { next: vec![1] },
            |said| said.rows -= 1,
            |said| said.head.0[31] ^= 1,
            |said| said.at = said.at.plus_seconds(1),
        ];
        for change in changes {
            let mut changed = said.clone();
            change(&mut changed);
            assert!(!holds(&changed, &signer), "{changed:?}");
        }
        assert!(!is_signed_by(&said, &signature, b"no key"));
        assert!(!is_signed_by(&said, b"", signer.public_key_der()));
    }
}
