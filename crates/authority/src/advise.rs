//! When to renew: what programs are told (in the spirit of ACME's renewal information, RFC 9773), and how the operator moves it, for example
//! after an incident.

use tegata_core::access::Actor;
use tegata_core::audit::{Action, Entry, Outcome};
use tegata_core::cert::CertRecord;
use tegata_core::id::Serial;
use tegata_core::peer::PeerCert;
use tegata_core::profile::Purpose;
use tegata_core::renewal::{self, Advice, SuggestedWindow};
use tegata_core::time::{Days, Timestamp};
use tegata_pki::issuer::IssuerCert;
use tegata_store::{AdviceRow, Audience, StoreError};

use crate::{Authority, ProgramError};

/// What a program is told about one certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RenewalInfo {
    /// When to renew.
    pub window: SuggestedWindow,
    /// Where people can read why.
    pub explanation_url: Option<String>,
}

/// Why no advice was given or withdrawn.
#[derive(Debug, thiserror::Error)]
pub enum AdviseError {
    /// Not an operator.
    #[error("only an operator may do this")]
    Forbidden,
    /// There is no such advice.
    #[error("no advice has the number {0}: see `tegata renewal list`")]
    Unknown(i64),
    /// The register.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Authority {
    /// When a certificate of the presenting terminal, named by its issuer's key identifier and its serial, should be renewed; `None` where it
    /// has no such certificate.
    pub async fn renewal_info(
        &self,
        presented: &PeerCert,
        issuer_key: &[u8],
        serial: Serial,
    ) -> Result<Option<RenewalInfo>, ProgramError> {
        let identity = self.identify(presented).await?.ok_or(ProgramError::Unknown)?;
        let scope = identity.actor().scope();
        let Some(cert) = self.0.reader.certificate_by_serial(scope, serial).await? else { return Ok(None) };
        let issuer = IssuerCert::from_der(&self.issuer_der(cert.issuer).await?);
        if issuer.is_ok_and(|issuer| issuer.key_identifier() != issuer_key) {
            return Ok(None);
        }
        let advice = self.0.reader.advice_for(cert.customer, cert.terminal).await?.map(|row| row.advice);
        let window = renewal::suggested_window(&cert, self.0.rules.window_of(&cert), advice.as_ref());
        let explanation_url =
            advice.filter(|advice| advice.means(cert.issued_at)).and_then(|advice| advice.explanation_url);
        Ok(Some(RenewalInfo { window, explanation_url }))
    }

    /// The window in force for a certificate: wide open where the operator has said so. The register is asked only where it matters.
    pub(crate) async fn window_now(&self, cert: &CertRecord, window: Days) -> Result<Days, StoreError> {
        if cert.not_after.jst_days_from(self.now()) <= window {
            return Ok(window);
        }
        let advice = self.0.reader.advice_for(cert.customer, cert.terminal).await?;
        Ok(renewal::window_in_force(cert, window, advice.map(|row| row.advice).as_ref()))
    }

    /// "Renew now, all until then": to everybody, to a customer, or to a terminal.
    pub async fn advise(
        &self,
        actor: &Actor,
        audience: Audience,
        until: Timestamp,
        explanation_url: Option<String>,
    ) -> Result<AdviceRow, AdviseError> {
        let advice = Advice { since: self.now(), until, explanation_url };
        let url = advice.explanation_url.as_deref().unwrap_or("-");
        let detail = format!("renew from {} until {until}, {url}", advice.since).chars().take(400).collect();
        let entry = self.advice_entry(actor, audience, Outcome::Done, detail)?;
        let row = advice.clone();
        let write = self.0.store.write(move |tx| {
            Box::pin(async move {
                let id = tx.insert_advice(audience, &row).await?;
                tx.append_audit(&entry).await?;
                Ok::<_, AdviseError>(id)
            })
        });
        Ok(AdviceRow { id: write.await?, audience, advice })
    }

    /// All advice in force.
    pub async fn advice(&self, actor: &Actor) -> Result<Vec<AdviceRow>, StoreError> {
        self.0.reader.advice(actor.scope()).await
    }

    /// Takes advice back.
    pub async fn withdraw_advice(&self, actor: &Actor, id: i64) -> Result<(), AdviseError> {
        let row = self.advice(actor).await?.into_iter().find(|row| row.id == id).ok_or(AdviseError::Unknown(id))?;
        let entry = self.advice_entry(actor, row.audience, Outcome::Done, format!("withdrawn: {id}"))?;
        let write = self.0.store.write(move |tx| {
            Box::pin(async move {
                if !tx.withdraw_advice(id, entry.at).await? {
                    return Err(AdviseError::Unknown(id));
                }
                tx.append_audit(&entry).await?;
                Ok(())
            })
        });
        write.await
    }

    fn advice_entry(
        &self,
        actor: &Actor,
        audience: Audience,
        outcome: Outcome,
        detail: String,
    ) -> Result<Entry, AdviseError> {
        if !matches!(actor, Actor::Operator { .. }) {
            return Err(AdviseError::Forbidden);
        }
        let (customer, terminal) = match audience {
            Audience::Everybody => (None, None),
            Audience::Customer(customer) => (Some(customer), None),
            Audience::Terminal(customer, terminal) => (Some(customer), Some(terminal)),
        };
        let (at, actor, action) = (self.now(), actor.clone(), Action::RenewalAdvised);
        Ok(Entry { at, actor, customer, terminal, serial: None, action, outcome, detail })
    }
}

impl crate::Rules {
    /// What certificates of a purpose are like, where there are any.
    pub fn profile(&self, purpose: Purpose) -> Option<&tegata_core::profile::Profile> {
        match purpose {
            Purpose::Client => Some(&self.terminal_profile),
            Purpose::Agent => self.agent_profile.as_ref(),
            Purpose::Server => Some(&self.server_profile),
        }
    }

    /// The renewal window of a terminal's or an agent's certificate.
    pub fn window_of(&self, cert: &CertRecord) -> Days {
        let agent = self.agent_profile.as_ref().filter(|profile| profile.name == cert.profile);
        agent.unwrap_or(&self.terminal_profile).renewal_window()
    }
}
