//! Keys that we make for terminals. An RSA key takes a fifth of a second or more to find, so a thread keeps a few ready in memory; a click
//! takes one and the thread makes the next. Keys in the pool belong to nobody and are forgotten with the process.

use tegata_core::profile::KeyKind;
use tegata_pki::key::{KeyError, LeafKey};
use tokio::sync::{Mutex, mpsc};

/// A source of fresh keys of one kind.
pub struct KeyPool {
    kind: KeyKind,
    ready: Option<Mutex<mpsc::Receiver<LeafKey>>>,
}

impl KeyPool {
    /// Keeps up to `size` keys ready; 0 makes each when it is asked for (commands that issue one certificate and end).
    pub fn start(kind: KeyKind, size: usize) -> Self {
        if size == 0 {
            return Self { kind, ready: None };
        }
        let (sender, receiver) = mpsc::channel(size);
        let producer = move || {
            while let Ok(key) = LeafKey::generate(kind) {
                if sender.blocking_send(key).is_err() {
                    return; // the pool is gone
                }
            }
            tracing::error!(key.kind = %kind, "key generation failed; keys are made one by one from now on");
        };
        match std::thread::Builder::new().name("key-pool".into()).spawn(producer) {
            Ok(_) => Self { kind, ready: Some(Mutex::new(receiver)) },
            Err(error) => {
                tracing::error!(%error, "no thread for the key pool; keys are made one by one");
                Self { kind, ready: None }
            }
        }
    }

    /// A fresh key of `kind`: from the pool when it is the pool's kind and one is ready, else made now. Nobody waits for the pool's one
    /// thread: a storm of clicks finds keys on all cores.
    pub async fn take(&self, kind: KeyKind) -> Result<LeafKey, KeyError> {
        if let Some(ready) = self.ready.as_ref().filter(|_| kind == self.kind)
            && let Ok(key) = ready.lock().await.try_recv()
        {
            return Ok(key);
        }
        tokio::task::spawn_blocking(move || LeafKey::generate(kind)).await.unwrap_or(Err(KeyError::Generation))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_pool_gives_keys_of_the_kind_that_is_asked_for_and_never_one_twice() {
        let pool = KeyPool::start(KeyKind::P256, 2);
        let mut seen = std::collections::HashSet::new();
        for _ in 0..6 {
            let key = pool.take(KeyKind::P256).await.expect("a key");
            assert!(seen.insert(key.public_key().spki_der().to_vec()));
        }
        assert_eq!(pool.take(KeyKind::Rsa2048).await.expect("a key").kind(), KeyKind::Rsa2048);
    }
}
