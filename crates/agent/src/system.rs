//! The system's clock and chance for the agent's program. The library takes both as arguments.

use tegata_core::secret::Entropy;
use tegata_core::time::{Clock, Timestamp};

/// The machine's clock.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one reader of the system's clock in the agent's program")]
    fn now(&self) -> Timestamp {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        Timestamp(since.map_or(0, |d| i64::try_from(d.as_secs()).unwrap_or(i64::MAX)))
    }
}

/// The machine's randomness.
#[derive(Debug, Clone, Copy)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    #[expect(clippy::disallowed_methods, reason = "the one reader of the system's randomness in the agent's program")]
    fn fill(&self, buffer: &mut [u8]) {
        // A machine without randomness can do nothing safely: stop at once rather than make guessable keys.
        aws_lc_rs::rand::fill(buffer).expect("the system's random generator works");
    }
}
