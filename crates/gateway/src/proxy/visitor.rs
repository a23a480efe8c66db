//! Who a proxied request comes from, for as long as its connection lasts. What the certificate is worth is asked anew whenever it
//! matters: an answer or a WebSocket that goes on for hours ends within seconds of a revocation.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use rustls::pki_types::CertificateDer;
use tegata_core::id::{ClientNumber, CustomerId};
use tegata_core::peer::{Peer, PeerCert, Presented};
use tegata_core::terminal::Subject;
use tegata_pki::chain::{Holder, holder};
use tokio::sync::watch;

use crate::limits::Slot;
use crate::tls::TlsFront;

/// The other end of one connection.
#[derive(Debug)]
pub struct Visitor {
    pub(crate) client: SocketAddr,
    pub(crate) front: Arc<TlsFront>,
    pub(crate) presented: Presented,
    /// The certificate that was presented, where it is one of ours.
    pub(crate) leaf: Option<CertificateDer<'static>>,
    /// The place of the connection among all; what goes on after the connection's end (a WebSocket) keeps it.
    pub(crate) _slot: Arc<Slot>,
    /// Whether the server stops.
    pub(crate) stopped: watch::Receiver<bool>,
    /// Read when an application is first asked.
    pub(crate) bearer: OnceLock<Option<Bearer>>,
}

/// Whom the certificate names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Bearer {
    pub(crate) customer: CustomerId,
    pub(crate) client: ClientNumber,
    pub(crate) organization: String,
}

impl Visitor {
    /// What the certificate is worth now.
    pub fn peer(&self) -> Peer {
        self.front.peer(&self.presented)
    }

    /// The certificate, if it opens the gate now.
    pub(crate) fn accepted(&self) -> Option<PeerCert> {
        self.peer().accepted().cloned()
    }

    /// Whom the certificate names; none where its subject is not of our form.
    pub(crate) fn bearer(&self) -> Option<&Bearer> {
        self.bearer.get_or_init(|| Bearer::read(self.leaf.as_ref()?)).as_ref()
    }
}

impl Bearer {
    /// From a certificate that was recognised as ours.
    pub(crate) fn read(leaf: &[u8]) -> Option<Self> {
        let Holder { organization, common_name } = holder(leaf)?;
        let (customer, client) = Subject::read(&common_name)?;
        Some(Self { customer, client, organization })
    }
}
