//! Applications behind the gate: which terminals one is for, and why a request does not reach it.

use std::fmt;

use crate::id::CustomerId;

/// Whose terminals may use an application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Audience {
    /// All that the gate lets in.
    Everybody,
    /// Those of these customers.
    Customers(Vec<CustomerId>),
}

impl Audience {
    /// Whether a terminal of this customer is one of them. A certificate that does not say whose it is belongs to nobody's audience.
    pub fn includes(&self, customer: Option<CustomerId>) -> bool {
        match self {
            Self::Everybody => true,
            Self::Customers(customers) => customer.is_some_and(|customer| customers.contains(&customer)),
        }
    }
}

/// Why an accepted terminal's request was not answered by an application.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unserved {
    /// The application is for other customers.
    NotForCustomer,
    /// There is no application at this address.
    NothingHere,
    /// The path can be read in two ways (`..`, encoded slashes), so it cannot be said which application it is for.
    Ambiguous,
    /// No server of the application can be reached.
    Unreachable,
    /// The application did not answer in time.
    TooSlow,
    /// The application broke off, or answered what is not HTTP.
    Broken,
}

impl Unserved {
    /// Its word in logs, metrics and problem documents.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotForCustomer => "not-for-customer",
            Self::NothingHere => "no-application",
            Self::Ambiguous => "ambiguous-path",
            Self::Unreachable => "application-unreachable",
            Self::TooSlow => "application-too-slow",
            Self::Broken => "application-broken",
        }
    }
}

impl fmt::Display for Unserved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_application_for_some_customers_is_for_nobody_else() {
        let customer = |number| Some(CustomerId::new(number).expect("valid"));
        let some = Audience::Customers(vec![CustomerId::new(1).expect("valid")]);
        assert!(some.includes(customer(1)));
        assert!(!some.includes(customer(2)));
        assert!(!some.includes(None));
        assert!(Audience::Everybody.includes(customer(2)));
    }
}
