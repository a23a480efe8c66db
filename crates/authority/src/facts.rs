//! What else is known of terminals: what its customer's administrator writes about one, and when it was here last.

use std::collections::HashMap;
use std::sync::Mutex;

use tegata_core::access::{Actor, administers};
use tegata_core::audit::Action;
use tegata_core::customer::check_name;
use tegata_core::id::TerminalId;
use tegata_core::peer::PeerCert;
use tegata_core::terminal::{Facts, LONGEST_NOTE, Terminal, is_news};
use tegata_core::time::Timestamp;
use tegata_store::StoreError;

use crate::{Authority, AuthorityError, TerminalError};

/// When this process last wrote down that a terminal was here.
pub(crate) type Seen = Mutex<HashMap<TerminalId, Timestamp>>;

impl Authority {
    /// Writes down where a terminal stands and what runs on it; either may be empty.
    pub async fn describe_terminal(
        &self,
        actor: &Actor,
        terminal: &Terminal,
        (place, system): (&str, &str),
    ) -> Result<(), TerminalError> {
        if !administers(actor, terminal.customer) {
            return Err(TerminalError::Forbidden);
        }
        let (place, system) = (place.trim().to_owned(), system.trim().to_owned());
        for text in [&place, &system] {
            if !text.is_empty() {
                check_name(text, LONGEST_NOTE).map_err(|_| TerminalError::Note)?;
            }
        }
        let before = self.0.reader.facts_of(actor.scope(), terminal.id).await?.unwrap_or_default();
        if before.place == place && before.system == system {
            return Ok(());
        }
        let detail = format!("{} / {} -> {place} / {system}", before.place, before.system);
        let entry = self.entry(actor, (terminal.customer, terminal.id), Action::TerminalDescribed, detail);
        let terminal = terminal.clone();
        let write = self.0.store.write(move |tx| {
            Box::pin(async move {
                tx.describe_terminal(&terminal, &place, &system).await?;
                tx.append_audit(&entry).await.map(|_| ())
            })
        });
        Ok(write.await?)
    }

    /// Whether a text can be noted as a place or a system.
    pub fn is_note(&self, text: &str) -> bool {
        check_name(text, LONGEST_NOTE).is_ok()
    }

    /// What is known of one terminal.
    pub async fn facts(&self, actor: &Actor, terminal: &Terminal) -> Result<Facts, AuthorityError> {
        Ok(self.0.reader.facts_of(actor.scope(), terminal.id).await?.unwrap_or_default())
    }

    /// Whether it is worth writing down that a terminal is here: this process did not within the hour. From now on it counts as done.
    pub fn is_news_of(&self, peer: &PeerCert) -> bool {
        let now = self.now();
        let mut seen = self.0.seen.lock().expect("nothing panics while holding this lock");
        if !is_news(seen.get(&peer.terminal).copied(), now) {
            return false;
        }
        seen.insert(peer.terminal, now);
        true
    }

    /// Writes down that a terminal is here, when [`Authority::is_news_of`] says so: no row of the log, since it changes nothing for anybody.
    /// `system` is what its browser says runs on it.
    pub async fn saw(&self, peer: &PeerCert, system: Option<&'static str>) -> Result<(), AuthorityError> {
        let (now, terminal) = (self.now(), peer.terminal);
        let written = match self.identify(peer).await? {
            Some(identity) => {
                let of = (terminal, identity.customer.id);
                let write =
                    self.0.store.write(move |tx| Box::pin(async move { tx.saw_terminal(of, now, system).await }));
                write.await.map_err(|error: StoreError| error.into())
            }
            None => Ok(()),
        };
        if written.is_err() {
            self.0.seen.lock().expect("nothing panics while holding this lock").remove(&terminal);
        }
        written
    }
}
