//! How much one client, and all of them together, may take of the server: connections, bytes, and time.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tegata_core::access::household;

/// How many header fields one request may carry.
pub const MAX_HEADER_FIELDS: usize = 100;

/// The limits of one listener. The defaults suit the portal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// From the first byte of a connection to the end of its TLS handshake.
    pub handshake_timeout: Duration,
    /// From the first byte of a request to the end of its header (HTTP/1.1).
    pub header_timeout: Duration,
    /// From the end of a request's header to the end of its body.
    pub body_timeout: Duration,
    /// How long a connection may stay without any progress while the server owes it nothing: no request, or an answer that the client does
    /// not read.
    pub idle_timeout: Duration,
    /// The size of a request's header, start line included; at least 8,192. More is answered with 431.
    pub max_header_bytes: u32,
    /// The size of a request's body. More is answered with 413.
    pub max_body_bytes: usize,
    /// Requests at the same time on one HTTP/2 connection.
    pub max_streams: u32,
    /// Connections at the same time. More are closed at once.
    pub max_connections: usize,
    /// Connections at the same time from one address, loopback included; all addresses of an IPv6 /64 count as one.
    pub max_connections_per_address: usize,
    /// How long a shutdown waits for requests that are under way.
    pub drain_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            handshake_timeout: Duration::from_secs(10),
            header_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(75),
            max_header_bytes: 16 * 1024,
            max_body_bytes: 64 * 1024,
            max_streams: 64,
            max_connections: 4096,
            max_connections_per_address: 256,
            drain_timeout: Duration::from_secs(10),
        }
    }
}

/// Which limit a connection would break.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Full {
    /// All connections together.
    Total,
    /// Those of one address.
    Address,
}

impl Full {
    /// Its word in metrics.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Total => "total",
            Self::Address => "address",
        }
    }
}

/// Counts the open connections.
#[derive(Debug)]
pub(crate) struct Slots {
    max_total: usize,
    max_per_address: usize,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    total: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// The place of one connection; free again when dropped.
#[derive(Debug)]
pub(crate) struct Slot {
    slots: Arc<Slots>,
    key: IpAddr,
}

impl Slots {
    pub(crate) fn new(limits: &Limits) -> Arc<Self> {
        Arc::new(Self {
            max_total: limits.max_connections,
            max_per_address: limits.max_connections_per_address,
            open: Mutex::default(),
        })
    }

    /// Takes a place, if there is one.
    pub(crate) fn take(self: &Arc<Self>, address: IpAddr) -> Result<Slot, Full> {
        let key = household(address);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.total >= self.max_total {
            return Err(Full::Total);
        }
        let here = open.by_address.entry(key).or_default();
        if *here >= self.max_per_address {
            return Err(Full::Address);
        }
        *here += 1;
        open.total += 1;
        metrics::gauge!("tegata_connections_open").increment(1.0);
        Ok(Slot { slots: Arc::clone(self), key })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut open = self.slots.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.total -= 1;
        metrics::gauge!("tegata_connections_open").decrement(1.0);
        if let Some(here) = open.by_address.get_mut(&self.key) {
            *here -= 1;
            if *here == 0 {
                open.by_address.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slots(max_connections: usize, max_connections_per_address: usize) -> Arc<Slots> {
        Slots::new(&Limits { max_connections, max_connections_per_address, ..Limits::default() })
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address in a test")
    }

    #[test]
    fn a_closed_connection_frees_its_place() {
        let slots = slots(10, 1);
        let first = slots.take(ip("127.0.0.1")).expect("room");
        assert_eq!(slots.take(ip("127.0.0.1")).err(), Some(Full::Address));
        drop(first);
        assert!(slots.take(ip("127.0.0.1")).is_ok());
        assert!(slots.open.lock().expect("unpoisoned").by_address.is_empty(), "nothing is kept of those who left");
    }

    #[test]
    fn all_addresses_together_have_a_limit_of_their_own() {
        let slots = slots(2, 2);
        let _taken = [slots.take(ip("192.0.2.1")).expect("room"), slots.take(ip("192.0.2.2")).expect("room")];
        assert_eq!(slots.take(ip("192.0.2.3")).err(), Some(Full::Total));
    }

    #[test]
    fn an_ipv6_network_counts_as_one_and_a_mapped_address_as_ipv4() {
        let slots = slots(10, 1);
        let _taken = [slots.take(ip("2001:db8::1")).expect("room"), slots.take(ip("192.0.2.1")).expect("room")];
        assert_eq!(slots.take(ip("2001:db8::ffff:1")).err(), Some(Full::Address));
        assert_eq!(slots.take(ip("::ffff:192.0.2.1")).err(), Some(Full::Address));
        assert!(slots.take(ip("2001:db8:0:1::1")).is_ok());
    }
}
