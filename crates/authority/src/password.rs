//! Login passwords: Argon2id with 19 MiB and two passes (OWASP's first choice), hashed off the async threads and never more than two at
//! once, so that a storm of logins costs a queue and not the machine's memory.

use std::sync::{Arc, Mutex, PoisonError};

use argon2::password_hash::{PasswordHasher, phc::PasswordHash};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use tegata_core::secret::{Entropy, Secret, random};
use tokio::sync::Semaphore;

/// Fewest characters of a login password.
pub const SHORTEST: usize = 8;
/// Most bytes that are hashed.
pub const LONGEST: usize = 256;
const AT_ONCE: usize = 2;

/// Hashes and checks login passwords.
#[derive(Clone)]
pub struct Passwords {
    turns: Arc<Semaphore>,
    /// The working memory of each turn, kept: allocated anew it would stay with the allocator, once for each thread.
    memory: Arc<Mutex<Vec<Vec<Block>>>>,
    /// A hash of nothing anybody knows: checked when there is no account, so that both answers take the same time.
    decoy: Arc<str>,
}

impl Passwords {
    /// Prepares the decoy.
    pub fn new(entropy: &dyn Entropy) -> Self {
        let nobody: [u8; 32] = random(entropy);
        let decoy = hash(&nobody, entropy).into();
        Self { turns: Arc::new(Semaphore::new(AT_ONCE)), memory: Arc::default(), decoy }
    }

    /// Whether `password` is the one of `known_hash`; without a hash, works just as long and says no.
    pub async fn verify(&self, password: Secret<String>, known_hash: Option<Secret<String>>) -> bool {
        let _turn = self.turns.acquire().await.expect("the semaphore is never closed");
        let exists = known_hash.is_some();
        let hash = known_hash.unwrap_or_else(|| Secret::new(self.decoy.to_string()));
        let memory = self.memory.clone();
        let check = move || {
            let mut blocks = memory.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default();
            let matches = compare(password.expose().as_bytes(), hash.expose(), &mut blocks);
            memory.lock().unwrap_or_else(PoisonError::into_inner).push(blocks);
            matches
        };
        exists & tokio::task::spawn_blocking(check).await.unwrap_or(false)
    }
}

/// Hashes with the parameters of the stored hash (they may be of an earlier version of this program) and compares in constant time.
fn compare(password: &[u8], stored: &str, memory: &mut Vec<Block>) -> bool {
    const MOST_BLOCKS: usize = 65_536; // 64 MiB
    let Ok(parsed) = PasswordHash::new(stored) else { return false };
    let (Some(salt), Some(expected), Ok(params)) = (&parsed.salt, &parsed.hash, Params::try_from(&parsed)) else {
        return false;
    };
    if password.len() > LONGEST || params.block_count() > MOST_BLOCKS {
        return false;
    }
    memory.resize(params.block_count(), Block::default());
    let mut output = vec![0; expected.as_ref().len()];
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let hashed = argon2.hash_password_into_with_memory(password, salt.as_ref(), &mut output, memory);
    hashed.is_ok() && aws_lc_rs::constant_time::verify_slices_are_equal(&output, expected.as_ref()).is_ok()
}

/// The PHC string to store for a password.
pub fn hash(password: &[u8], entropy: &dyn Entropy) -> String {
    let salt: [u8; 16] = random(entropy);
    argon2().hash_password_with_salt(password, &salt).expect("fixed parameters and salt are valid").to_string()
}

fn argon2() -> Argon2<'static> {
    let params = Params::new(19_456, 2, 1, Some(32)).expect("constants within Argon2's limits");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tegata_testkit::SeededEntropy;

    #[tokio::test]
    async fn the_right_password_passes_and_no_account_never_does() {
        let entropy = SeededEntropy::new(3);
        let passwords = Passwords::new(&entropy);
        let known = Secret::new(hash(b"hidamari-2026", &entropy));
        assert!(known.expose().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        let secret = |text: &str| Secret::new(text.to_owned());
        assert!(passwords.verify(secret("hidamari-2026"), Some(known.clone())).await);
        assert!(!passwords.verify(secret("hidamari-2027"), Some(known.clone())).await);
        assert!(!passwords.verify(secret("hidamari-2026"), None).await);
        assert!(!passwords.verify(secret(&"x".repeat(LONGEST + 1)), Some(known)).await);
    }
}
