//! How everything stands, in numbers: the renewals of today, what ends in which week, and who still holds certificates of which issuing CA.
//! Reads only, and stays within the actor's scope.

use tegata_core::access::Actor;
use tegata_core::audit::Row;
use tegata_core::cert::CertRecord;
use tegata_core::customer::Customer;
use tegata_core::forecast::{self, Ending, WeekNumber};
use tegata_core::id::{CertificateId, CustomerId, IssuerId};
use tegata_core::terminal::{SOON, Terminal};
use tegata_core::time::{Days, Timestamp};
use tegata_store::RenewalCounts;

use crate::{Authority, AuthorityError};

/// An issuing CA, and what still hangs on it.
#[derive(Clone, Debug)]
pub struct IssuerView {
    /// Its row.
    pub id: IssuerId,
    /// What the operator calls it.
    pub name: String,
    /// Its last second.
    pub not_after: Timestamp,
    /// Whether it signs new certificates.
    pub signs: bool,
    /// How many certificates of it are in use without a newer one.
    pub held: u32,
    /// When the last of those ends.
    pub last_end: Option<Timestamp>,
}

/// A terminal that holds a certificate of an issuing CA.
#[derive(Clone, Debug)]
pub struct Holder {
    /// The certificate.
    pub certificate: CertRecord,
    /// Its terminal.
    pub terminal: Terminal,
    /// Whose that is.
    pub customer: Customer,
}

/// The weeks ahead, each with what ends in it, and those in which far more ends than on average.
#[derive(Clone, Debug)]
pub struct Forecast {
    /// The weeks.
    pub weeks: Vec<(WeekNumber, Ending)>,
    /// Those that stand out.
    pub cliffs: Vec<WeekNumber>,
}

impl Authority {
    /// The issuing CAs, oldest first.
    pub async fn issuers(&self, actor: &Actor) -> Result<Vec<IssuerView>, AuthorityError> {
        let (scope, reader) = (actor.scope(), &self.0.reader);
        let held = reader.held_by_issuer(scope, self.now()).await?;
        let view = |row: tegata_store::IssuerRow| {
            let found = held.iter().find(|held| held.issuer == row.id);
            IssuerView {
                id: row.id,
                name: row.name,
                not_after: row.not_after,
                signs: row.id == self.0.ca.id,
                held: found.map_or(0, |held| held.certificates),
                last_end: found.map(|held| held.last_end),
            }
        };
        Ok(reader.issuers(scope).await?.into_iter().map(view).collect())
    }

    /// Who holds certificates of an issuing CA that are in use without a newer one, after one of them.
    pub async fn holders(
        &self,
        actor: &Actor,
        issuer: IssuerId,
        (after, limit): (i64, u32),
    ) -> Result<Vec<Holder>, AuthorityError> {
        let (scope, reader) = (actor.scope(), &self.0.reader);
        let held = reader.held(scope, issuer, self.now(), (CertificateId(after), limit)).await?;
        let mut holders = Vec::with_capacity(held.len());
        for certificate in held {
            let terminal = reader.terminal(scope, certificate.terminal).await?;
            let customer = reader.customer(scope, certificate.customer).await?;
            let terminal = terminal.ok_or(AuthorityError::Missing("terminal"))?;
            let customer = customer.ok_or(AuthorityError::Missing("customer"))?;
            holders.push(Holder { certificate, terminal, customer });
        }
        Ok(holders)
    }

    /// How far the renewals have come of all terminals whose certificate ends within the renewal window.
    pub async fn renewals(&self, actor: &Actor) -> Result<RenewalCounts, AuthorityError> {
        let profile = &self.0.rules.terminal_profile;
        let now = self.now();
        let soon = now.plus_days(SOON.min(profile.renewal_window()));
        let until = now.plus_days(profile.renewal_window());
        Ok(self
            .0
            .reader
            .renewal_counts(actor.scope(), &profile.name, [now.plus_days(Days(-SOON.0)), now, soon, until])
            .await?)
    }

    /// What somebody should look at, newest first: copies of keys, lost terminals, names that were locked.
    pub async fn alarms(&self, actor: &Actor, limit: u32) -> Result<Vec<Row>, AuthorityError> {
        Ok(self.0.reader.alarms(actor.scope(), limit).await?)
    }

    /// What ends in which week from now on, of one customer or of all.
    pub async fn forecast(
        &self,
        actor: &Actor,
        count: u32,
        customer: Option<CustomerId>,
    ) -> Result<Forecast, AuthorityError> {
        let now = self.now();
        let first = WeekNumber::of(now);
        let between = (now, forecast::horizon(first, count));
        let profile = &self.0.rules.terminal_profile.name;
        let known = self.0.reader.endings(actor.scope(), profile, between, customer).await?;
        let weeks = forecast::weeks(first, count, &known);
        let cliffs = forecast::cliffs(&weeks);
        Ok(Forecast { weeks, cliffs })
    }
}
