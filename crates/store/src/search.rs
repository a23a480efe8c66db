//! What a scrap of something leads to, bounded. Serials, fingerprints, numbers and days are found in indexes; for a name the names are
//! looked through, which takes a few hundredths of a second for 100,000 terminals.

use tegata_core::access::Scope;
use tegata_core::cert::CertRecord;
use tegata_core::customer::{Customer, User};
use tegata_core::search::Search;
use tegata_core::terminal::Terminal;

use crate::certificates::{self, certificate};
use crate::customers::{self, customer};
use crate::db::Query;
use crate::terminals::{self, terminal};
use crate::users::{self, user};
use crate::{Reader, StoreError};

/// What was found, at most so many of each.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// Customers, by id.
    pub customers: Vec<Customer>,
    /// People, by customer and name.
    pub users: Vec<User>,
    /// Terminals, by customer and number.
    pub terminals: Vec<Terminal>,
    /// Certificates, those that end first on top.
    pub certificates: Vec<CertRecord>,
}

/// ` AND (name is like one of these)`, for each word.
fn like(mut query: Query, words: &[Vec<String>], columns: &[&'static str]) -> Query {
    for word in words {
        query = query.text(" AND (1 = 0");
        for variant in word {
            let pattern = format!("%{}%", variant.replace('!', "!!").replace('%', "!%").replace('_', "!_"));
            for column in columns {
                query = query.text(" OR LOWER(").text(column).with(") LIKE ", pattern.as_str()).text(" ESCAPE '!'");
            }
        }
        query = query.text(")");
    }
    query
}

const OF_CUSTOMER: &str = "(SELECT k.name FROM customers k WHERE k.id = customer_id)";

/// Customers of that id or code, or of that name.
pub(crate) fn of_customers(scope: Scope, search: &Search, limit: u32) -> Query {
    let query = Query::new(customers::SELECT);
    let query = if let Some(id) = search.customer {
        query.with(" AND id = ", id)
    } else if let Some(code) = &search.code {
        query.with(" AND code = ", code.to_string())
    } else {
        like(query, &search.words, &["name"])
    };
    query.within_customer(scope, " AND id = ").with(" ORDER BY id LIMIT ", limit)
}

fn of_users(scope: Scope, search: &Search, limit: u32) -> Query {
    let query = like(Query::new(users::SELECT), &search.words, &["name"]);
    query.within_customer(scope, " AND customer_id = ").with(" ORDER BY customer_id, name LIMIT ", limit)
}

/// Terminals of that number or id, or of that name; of two words, one may be the customer's.
pub(crate) fn of_terminals(scope: Scope, search: &Search, limit: u32) -> Query {
    let query = Query::new(terminals::SELECT);
    let query = match (search.terminal, search.customer, search.client) {
        (Some(id), ..) => query.with(" AND id = ", id),
        (None, Some(customer), Some(client)) => {
            query.with(" AND customer_id = ", customer).with(" AND client_number = ", client.number())
        }
        _ if search.words.len() == 1 => like(query, &search.words, &["name"]),
        _ => like(query, &search.words, &["name", OF_CUSTOMER]),
    };
    query.within(scope, " AND id = ", " AND customer_id = ").with(" ORDER BY customer_id, client_number LIMIT ", limit)
}

/// The questions about certificates that a scrap asks: which begin so, and which of those in use end on that day.
pub(crate) fn of_certificates(scope: Scope, search: &Search, limit: u32) -> Vec<Query> {
    let begun = |query: Query| certificates::within(query, scope).with(" ORDER BY c.not_after, c.id LIMIT ", limit);
    let all = || Query::new(certificates::SELECT);
    let mut queries = Vec::new();
    if let Some((first, last)) = search.serials {
        queries.push(begun(all().with(" AND c.serial >= ", first.to_vec()).with(" AND c.serial <= ", last.to_vec())));
    }
    if let Some((first, last)) = search.fingerprints {
        let query = all().with(" AND c.fingerprint >= ", first.to_vec()).with(" AND c.fingerprint <= ", last.to_vec());
        queries.push(begun(query));
    }
    if let Some((first, last)) = search.day {
        // The words of the index `certificates_ending`.
        let query = all().text(" AND c.revoked_at IS NULL AND c.used_at IS NOT NULL AND c.superseded = 0");
        queries.push(begun(query.with(" AND c.not_after >= ", first).with(" AND c.not_after <= ", last)));
    }
    queries
}

impl Reader {
    /// Looks for whatever a scrap can be, within a scope, at most `limit` of each kind.
    pub async fn search(&self, scope: Scope, search: &Search, limit: u32) -> Result<Found, StoreError> {
        let mut found = Found::default();
        for query in of_certificates(scope, search, limit) {
            for cert in self.all(query, certificate).await? {
                if !found.certificates.iter().any(|known| known.id == cert.id) {
                    found.certificates.push(cert);
                }
            }
        }
        found.certificates.truncate(limit as usize);
        found.customers = self.all(of_customers(scope, search, limit), customer).await?;
        if search.is_terminal() {
            found.terminals = self.all(of_terminals(scope, search, limit), terminal).await?;
        } else if search.customer.is_none() {
            found.terminals = self.all(of_terminals(scope, search, limit), terminal).await?;
            found.users = self.all(of_users(scope, search, limit), user).await?;
        }
        Ok(found)
    }
}
