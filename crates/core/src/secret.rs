//! Values that must not be seen, and the one door through which chance enters. Printing a `Secret` prints `***`; its bytes are wiped
//! on drop. Never implements `Display` or `Serialize`.

use std::fmt;

use zeroize::{Zeroize, Zeroizing};

/// The one door through which randomness enters. Two implementations: the system's and a seeded one for tests.
pub trait Entropy: Send + Sync + 'static {
    /// Fills the buffer with bytes that nobody can guess.
    fn fill(&self, buffer: &mut [u8]);
}

/// `N` fresh random bytes.
pub fn random<const N: usize>(entropy: &dyn Entropy) -> [u8; N] {
    let mut bytes = [0; N];
    entropy.fill(&mut bytes);
    bytes
}

/// A value that shows itself only to code that asks by name, and is wiped when dropped.
#[derive(Clone)]
pub struct Secret<T: Zeroize>(Zeroizing<T>);

impl<T: Zeroize> Secret<T> {
    /// Takes the value in.
    pub fn new(value: T) -> Self {
        Self(Zeroizing::new(value))
    }

    /// The value itself. Each call is a place to look at in a review.
    pub fn expose(&self) -> &T {
        &self.0
    }
}

impl<T: Zeroize> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Letters and digits that nobody confuses when reading aloud or copying by hand: no 0, o, 1, l, i.
const CLEAR_ALPHABET: &[u8; 31] = b"abcdefghjkmnpqrstuvwxyz23456789";

/// An import password: 20 characters in 4 groups of 5, joined by `-`; 99 bits of chance, ASCII only.
pub fn import_password(entropy: &dyn Entropy) -> Secret<String> {
    let mut password = String::with_capacity(23);
    let mut taken = 0;
    while taken < 20 {
        let [byte] = random::<1>(entropy);
        // 248 = 8 * 31: the bytes above it would make some letters likelier than others.
        if byte >= 248 {
            continue;
        }
        if taken > 0 && taken % 5 == 0 {
            password.push('-');
        }
        password.push(char::from(CLEAR_ALPHABET[usize::from(byte % 31)]));
        taken += 1;
    }
    Secret::new(password)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Counting(std::sync::atomic::AtomicU8);
    impl Entropy for Counting {
        fn fill(&self, buffer: &mut [u8]) {
            for byte in buffer {
                *byte = self.0.fetch_add(37, std::sync::atomic::Ordering::Relaxed);
            }
        }
    }

    #[test]
    fn a_password_has_four_groups_of_five_clear_letters() {
        let password = import_password(&Counting(0.into()));
        let groups: Vec<&str> = password.expose().split('-').collect();
        assert_eq!(groups.iter().map(|g| g.len()).collect::<Vec<_>>(), [5, 5, 5, 5]);
        assert!(password.expose().bytes().all(|b| b == b'-' || CLEAR_ALPHABET.contains(&b)));
    }

    #[test]
    fn a_secret_prints_stars() {
        assert_eq!(format!("{:?}", Secret::new("hidden".to_owned())), "***");
    }
}
