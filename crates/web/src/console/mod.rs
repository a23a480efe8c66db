//! 運用コンソール: how every customer stands, for the operator's staff (core's `Privilege::Console`). They come through the same gate as
//! everybody else: with the certificate of a terminal that belongs to the operator, and a login there. What changes something asks for an
//! officer besides, and the authority asks once more.

pub(crate) mod customer;
pub(crate) mod customers;
pub(crate) mod forecast;
pub(crate) mod front;
pub(crate) mod issuers;
pub(crate) mod revocation;
pub(crate) mod search;
pub(crate) mod seen;
pub(crate) mod terminal;

use axum::extract::FromRequestParts;
use axum::routing::{get, post};
use http::request::Parts;
use tegata_authority::{IssuerView, TerminalView};
use tegata_core::access::{Actor, Privilege, may_everywhere};
use tegata_core::customer::Customer;
use tegata_core::id::ClientNumber;
use tegata_core::recovery::TerminalNumber;
use tegata_core::terminal::Terminal;

use crate::error::Failure;
use crate::session::LoggedIn;
use crate::{Endpoint, Shared};

/// Every way into the console.
pub(crate) fn endpoints() -> Vec<Endpoint> {
    let entry = |method, path, answer| Endpoint { method, path, answer };
    vec![
        entry("GET", "/console", get(front::show)),
        entry("GET", "/console/search", get(search::show)),
        entry("GET", "/console/customers", get(customers::show)),
        entry("GET", "/console/customers/{customer}", get(customer::show)),
        entry("POST", "/console/customers/{customer}/settings", post(customer::set)),
        entry("GET", "/console/customers/{customer}/revocation", get(revocation::customer)),
        entry("POST", "/console/customers/{customer}/revocation", post(revocation::revoke_customer)),
        entry("GET", "/console/forecast", get(forecast::show)),
        entry("GET", "/console/issuers", get(issuers::list)),
        entry("GET", "/console/issuers/{issuer}", get(issuers::show)),
        entry("GET", "/console/issuers/{issuer}/revocation", get(revocation::issuer)),
        entry("POST", "/console/issuers/{issuer}/revocation", post(revocation::revoke_issuer)),
        entry("GET", "/console/customers/{customer}/terminals/{client}", get(terminal::show)),
        entry("GET", "/console/customers/{customer}/terminals/{client}/seen", get(seen::show)),
        entry("POST", "/console/customers/{customer}/terminals/{client}/recovery", post(terminal::recover)),
        entry("POST", "/console/customers/{customer}/terminals/{client}/end", post(terminal::end)),
        entry("POST", "/console/customers/{customer}/terminals/{client}/revoke", post(terminal::revoke)),
    ]
}

/// One of the operator's staff, logged in.
pub(crate) struct Staff(pub(crate) LoggedIn);

/// One of them who may change things.
pub(crate) struct Officer(pub(crate) LoggedIn);

/// Whether the person who is logged in is one of the staff.
pub(crate) fn is_staff(login: &LoggedIn) -> bool {
    may_everywhere(&login.session.actor, Privilege::Console)
}

impl FromRequestParts<Shared> for Staff {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &Shared) -> Result<Self, Failure> {
        let login = LoggedIn::from_request_parts(parts, state).await?;
        if is_staff(&login) { Ok(Self(login)) } else { Err(Failure::NotStaff) }
    }
}

impl FromRequestParts<Shared> for Officer {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &Shared) -> Result<Self, Failure> {
        let Staff(login) = Staff::from_request_parts(parts, state).await?;
        let may = may_everywhere(&login.session.actor, Privilege::Revoke);
        if may { Ok(Self(login)) } else { Err(Failure::NotOfficer) }
    }
}

/// The address of a terminal's page.
pub(crate) fn terminal_path(terminal: &Terminal) -> String {
    format!("/console/customers/{}/terminals/{}", terminal.customer, terminal.client.number())
}

/// The customer with this id.
pub(crate) async fn find_customer(state: &Shared, actor: &Actor, id: &str) -> Result<Customer, Failure> {
    let id = id.parse().map_err(|_| Failure::NoSuchPage)?;
    let found = state.authority.reader().customer(actor.scope(), id).await;
    found.map_err(|error| Failure::internal("looking for a customer", &error))?.ok_or(Failure::NoSuchPage)
}

/// The issuing CA with this number.
pub(crate) async fn find_issuer(state: &Shared, actor: &Actor, id: &str) -> Result<IssuerView, Failure> {
    let id: i64 = id.parse().map_err(|_| Failure::NoSuchPage)?;
    let all = state.authority.issuers(actor).await;
    let all = all.map_err(|error| Failure::internal("looking for an issuing CA", &error))?;
    all.into_iter().find(|issuer| issuer.id.0 == id).ok_or(Failure::NoSuchPage)
}

/// The terminal with this number of the customer with this id.
pub(crate) async fn find_terminal(
    state: &Shared,
    actor: &Actor,
    (customer, client): &(String, String),
) -> Result<(TerminalView, Customer), Failure> {
    let customer = find_customer(state, actor, customer).await?;
    let plain = (1..=4).contains(&client.len()) && client.bytes().all(|byte| byte.is_ascii_digit());
    let client = client.parse().ok().filter(|_| plain).and_then(ClientNumber::new).ok_or(Failure::NoSuchPage)?;
    let number = TerminalNumber { customer: customer.id, client };
    let found = state.authority.terminal_view_of(actor, number).await;
    let found = found.map_err(|error| Failure::internal("looking for a terminal", &error))?;
    Ok((found.ok_or(Failure::NoSuchPage)?, customer))
}

#[cfg(test)]
pub(crate) mod tests {
    use tegata_core::cert::CertRecord;
    use tegata_core::customer::{Customer, CustomerKind};
    use tegata_core::id::{CertificateId, CustomerId, Fingerprint, IssuerId, Serial, TerminalId};
    use tegata_core::profile::KeyKind;
    use tegata_core::time::{Days, Timestamp};

    use crate::i18n::Lang;

    /// The customer of the samples.
    pub(crate) fn midori() -> Customer {
        Customer {
            id: CustomerId::new(1).expect("valid"),
            kind: CustomerKind::Clinic,
            code: "103001".parse().expect("six digits"),
            name: "みどり医院".into(),
            created_at: Timestamp(0),
        }
    }

    /// A certificate of the samples, in use, that ends on this day.
    pub(crate) fn cert(id: i64, end: &str) -> CertRecord {
        let not_after = Timestamp::parse(end).expect("valid");
        let issued_at = not_after.plus_days(Days(-1096));
        CertRecord {
            id: CertificateId(id),
            fingerprint: Fingerprint([1; 32]),
            serial: Serial::build(not_after, [u8::try_from(id).expect("small"); 12]),
            issuer: IssuerId(1),
            terminal: TerminalId::from_random([1; 16]),
            customer: CustomerId::new(1).expect("valid"),
            line: CertificateId(1),
            profile: "terminal".into(),
            key_kind: KeyKind::Rsa3072,
            not_before: issued_at,
            not_after,
            issued_at,
            renewed_from: None,
            downloaded_at: Some(issued_at),
            used_at: Some(issued_at),
            revoked: None,
        }
    }

    /// Samples of all pages of the console.
    pub(crate) fn samples(lang: Lang) -> Vec<(String, String)> {
        [
            super::customer::tests::samples(lang),
            super::customers::tests::samples(lang),
            super::forecast::tests::samples(lang),
            super::front::tests::samples(lang),
            super::issuers::tests::samples(lang),
            super::revocation::tests::samples(lang),
            super::search::tests::samples(lang),
            super::seen::tests::samples(lang),
            super::terminal::tests::samples(lang),
        ]
        .concat()
    }
}
