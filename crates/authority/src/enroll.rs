//! Registering customers, their people and their terminals. Operators only, but for terminals, which an administrator of the customer registers too.

use tegata_core::access::{Actor, Role, administers};
use tegata_core::api_key::ApiScope;
use tegata_core::audit::{Action, Entry, Outcome};
use tegata_core::customer::{Customer, CustomerCode, CustomerKind, User, check_name};
use tegata_core::id::{ClientNumber, CustomerId, ParseIdError, TerminalId};
use tegata_core::secret::{Secret, random};
use tegata_core::terminal::Terminal;
use tegata_store::{NewCustomer, NewTerminal, NewUser as UserRecord, StoreError};

use crate::{Authority, password};

/// Why nothing was registered.
#[derive(Debug, thiserror::Error)]
pub enum EnrollError {
    /// Not for this actor.
    #[error("only an operator may do this")]
    Forbidden,
    /// A name that cannot be.
    #[error(transparent)]
    Name(#[from] ParseIdError),
    /// A password that is too easy or too long.
    #[error("the password must have {} to {} characters", password::SHORTEST, password::LONGEST)]
    Password,
    /// People of such a customer cannot have this role.
    #[error("{role} is not a role for people of this customer, whose kind is {kind} (see `tegata user add --help`)")]
    Role {
        /// The role.
        role: Role,
        /// What the customer is.
        kind: CustomerKind,
    },
    /// The customer has as many terminals as it may have.
    #[error("the customer has {most} terminals in service already, as many as it may have (see `tegata customer set`)")]
    Full {
        /// How many it may have.
        most: u32,
    },
    /// The register refused: a duplicate, an unknown customer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl EnrollError {
    /// Whether what was to be registered is there already.
    pub fn is_duplicate(&self) -> bool {
        matches!(self, Self::Store(StoreError::Duplicate { .. }))
    }

    /// Whether the customer is not there.
    pub fn is_unknown_customer(&self) -> bool {
        matches!(self, Self::Store(StoreError::UnknownCustomer(_)))
    }

    /// Whether the customer has as many terminals as there are numbers for.
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Store(StoreError::Exhausted { .. }))
    }
}

/// A person to register.
pub struct NewUser {
    /// Whose staff.
    pub customer: CustomerId,
    /// The name to type at the login screen.
    pub name: String,
    /// The password to type.
    pub password: Secret<String>,
    /// What the person may do.
    pub role: Role,
}

fn operator(actor: &Actor) -> Result<(), EnrollError> {
    matches!(actor, Actor::Operator { .. }).then_some(()).ok_or(EnrollError::Forbidden)
}

impl Authority {
    /// Registers a customer. Without an id, the next free one is taken.
    pub async fn add_customer(
        &self,
        actor: &Actor,
        id: Option<CustomerId>,
        kind: CustomerKind,
        code: CustomerCode,
        name: &str,
    ) -> Result<Customer, EnrollError> {
        operator(actor)?;
        check_name(name, 64)?;
        let (actor, name, now) = (actor.clone(), name.to_owned(), self.now());
        let write = self.0.store.write(move |tx| {
            Box::pin(async move {
                let id = tx.insert_customer(&NewCustomer { id, kind, code, name, created_at: now }).await?;
                let customer = tx.customer(id).await?.ok_or(StoreError::NotFound { what: "customer" })?;
                let entry = Entry {
                    at: now,
                    actor,
                    customer: Some(customer.id),
                    terminal: None,
                    serial: None,
                    action: Action::CustomerAdded,
                    outcome: Outcome::Done,
                    detail: format!("{} {} ({})", customer.code, customer.name, customer.kind),
                };
                tx.append_audit(&entry).await?;
                Ok::<_, StoreError>(customer)
            })
        });
        Ok(write.await?)
    }

    /// Registers a person.
    pub async fn add_user(&self, actor: &Actor, new: NewUser) -> Result<User, EnrollError> {
        operator(actor)?;
        check_name(&new.name, 64)?;
        let characters = new.password.expose().chars().count();
        if characters < password::SHORTEST || new.password.expose().len() > password::LONGEST {
            return Err(EnrollError::Password);
        }
        let password_hash = Secret::new(password::hash(new.password.expose().as_bytes(), &*self.0.entropy));
        let (actor, now) = (actor.clone(), self.now());
        let NewUser { customer, name, role, .. } = new;
        let write = self.0.store.write(move |tx| {
            Box::pin(async move {
                let kind = tx.customer(customer).await?.ok_or(StoreError::UnknownCustomer(customer))?.kind;
                if !role.fits(kind) {
                    return Err(EnrollError::Role { role, kind });
                }
                let record = UserRecord { customer, name, password_hash, role, created_at: now };
                let id = tx.insert_user(&record).await?;
                let user = tx.user(id).await?.ok_or(StoreError::NotFound { what: "user" })?;
                let entry = Entry {
                    at: now,
                    actor,
                    customer: Some(customer),
                    terminal: None,
                    serial: None,
                    action: Action::UserAdded,
                    outcome: Outcome::Done,
                    detail: format!("{} ({})", user.name, user.role),
                };
                tx.append_audit(&entry).await?;
                Ok(user)
            })
        });
        write.await
    }

    /// Registers a terminal. Without a number, the customer's next free one is taken.
    pub async fn add_terminal(
        &self,
        actor: &Actor,
        customer: CustomerId,
        client: Option<ClientNumber>,
        name: &str,
    ) -> Result<Terminal, EnrollError> {
        let by_program = matches!(actor, Actor::Program(program) if program.is_the_operators(ApiScope::TerminalsAdd));
        let by_person = matches!(actor, Actor::Operator { .. } | Actor::User { .. }) && administers(actor, customer);
        if !by_program && !by_person {
            return Err(EnrollError::Forbidden);
        }
        check_name(name, crate::terminal::LONGEST_NAME)?;
        let id = TerminalId::from_random(random(&*self.0.entropy));
        let (actor, name, now) = (actor.clone(), name.to_owned(), self.now());
        let write = self.0.store.write(move |tx| {
            Box::pin(async move {
                let settings = tx.customer_settings(customer).await?;
                if !settings.has_room(tx.terminals_in_service(customer).await?) {
                    return Err(EnrollError::Full { most: settings.most_terminals.unwrap_or(0) });
                }
                tx.insert_terminal(&NewTerminal { id, customer, client, name, created_at: now }).await?;
                let terminal = tx.terminal(id).await?.ok_or(StoreError::NotFound { what: "terminal" })?;
                let entry = Entry {
                    at: now,
                    actor,
                    customer: Some(customer),
                    terminal: Some(id),
                    serial: None,
                    action: Action::TerminalAdded,
                    outcome: Outcome::Done,
                    detail: format!("{} {}", terminal.client, terminal.name),
                };
                tx.append_audit(&entry).await?;
                Ok(terminal)
            })
        });
        write.await
    }
}
