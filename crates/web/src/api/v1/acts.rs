//! What programs have changed: the same use cases that the command line and the pages have, under the same names.

use axum::extract::State;
use axum::response::Response;
use axum::routing::{MethodRouter, patch, post};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use tegata_authority::{EnrollError, InviteError, RecoverError, RevokeError, TerminalError};
use tegata_core::api_key::ApiScope;
use tegata_core::cert::RevocationReason;
use tegata_core::id::Serial;
use tegata_core::renewal::PermitError;
use utoipa::ToSchema;

use super::{certificates, of, terminals};
use crate::Shared;
use crate::api::operation::{Named, Needs, Operation};
use crate::api::order::Order;
use crate::api::problem::{Code, Problem};

/// For how many minutes an enrolment code counts unless something else is said, and at most.
const MINUTES: u32 = 60;
const MOST_MINUTES: u32 = 10_080;

pub(super) fn operations() -> Vec<Operation> {
    births().into_iter().chain(endings()).chain(codes()).chain([revocation()]).collect()
}

/// What all of them share; the rest is said beside it.
fn act(
    id: &'static str,
    (method, path): (&'static str, &'static str),
    summary: &'static str,
    scope: ApiScope,
    handler: MethodRouter<Shared>,
) -> Operation {
    Operation {
        id,
        method,
        path,
        summary,
        needs: Needs::Scope(scope),
        named: Some(terminals::WHICH),
        query: vec![],
        body: None,
        answer: (StatusCode::OK, of::<terminals::Terminal>(), "How it stands now"),
        codes: &[],
        handler,
    }
}

fn births() -> [Operation; 2] {
    let add =
        act("addTerminal", ("POST", "/api/v1/terminals"), "Register a terminal", ApiScope::TerminalsAdd, post(add));
    let rename = act(
        "renameTerminal",
        ("PATCH", "/api/v1/terminals/{terminal}"),
        "Call a terminal something else",
        ApiScope::TerminalsWrite,
        patch(rename),
    );
    [
        Operation {
            named: None,
            body: Some(of::<NewTerminal>()),
            answer: (StatusCode::CREATED, of::<terminals::Terminal>(), "The terminal; it has no certificate yet"),
            codes: &[Code::NoSuchCustomer, Code::Taken, Code::Unusable],
            ..add
        },
        Operation { body: Some(of::<NewName>()), codes: &[Code::NoSuchTerminal, Code::Unusable], ..rename },
    ]
}

fn endings() -> [Operation; 2] {
    let revoked = || (StatusCode::OK, of::<Revoked>(), "What was revoked");
    let lost = act(
        "loseTerminal",
        ("POST", "/api/v1/terminals/{terminal}/lost"),
        "A terminal is lost or stolen: all its certificates are revoked, its logins and codes end",
        ApiScope::TerminalsEnd,
        post(lost),
    );
    let retire = act(
        "retireTerminal",
        ("POST", "/api/v1/terminals/{terminal}/retire"),
        "Take a terminal out of service for good: all its certificates are revoked",
        ApiScope::TerminalsEnd,
        post(retire),
    );
    [
        Operation {
            body: Some(of::<Reason>()),
            answer: revoked(),
            codes: &[Code::NoSuchTerminal, Code::Unusable, Code::InUse],
            ..lost
        },
        Operation {
            body: Some(of::<Reason>()),
            answer: revoked(),
            codes: &[Code::NoSuchTerminal, Code::Unusable, Code::InUse, Code::AlreadyRetired],
            ..retire
        },
    ]
}

fn codes() -> [Operation; 2] {
    let recover = act(
        "recoverTerminal",
        ("POST", "/api/v1/terminals/{terminal}/recovery-code"),
        "Make a recovery code for a terminal that is locked out",
        ApiScope::TerminalsRecover,
        post(recover),
    );
    let invite = act(
        "inviteTerminal",
        ("POST", "/api/v1/terminals/{terminal}/invitation"),
        "Make an enrolment code, with which an agent at the terminal gets its first certificate",
        ApiScope::TerminalsInvite,
        post(invite),
    );
    let typed = "The code, to be typed at the terminal within a quarter of an hour";
    [
        Operation {
            body: Some(of::<Recovery>()),
            answer: (StatusCode::CREATED, of::<RecoveryCode>(), typed),
            codes: &[Code::NoSuchTerminal, Code::Unusable, Code::NotRecoverable, Code::CodeTyped],
            ..recover
        },
        Operation {
            body: Some(of::<NewInvitation>()),
            answer: (StatusCode::CREATED, of::<Invitation>(), "The enrolment code"),
            codes: &[Code::NoSuchTerminal, Code::Unusable, Code::AlreadyRetired],
            ..invite
        },
    ]
}

fn revocation() -> Operation {
    let revoke = act(
        "revokeCertificate",
        ("POST", "/api/v1/certificates/{serial}/revoke"),
        "Revoke a certificate; where its key may be in other hands, also what was renewed from it",
        ApiScope::CertificatesRevoke,
        post(revoke),
    );
    Operation {
        named: Some(certificates::WHICH),
        body: Some(of::<RevocationOrder>()),
        answer: (StatusCode::OK, of::<Revoked>(), "What was revoked"),
        codes: &[Code::NoSuchSerial, Code::AlreadyRevoked],
        ..revoke
    }
}

/// A terminal to be registered.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewTerminal {
    /// Whose terminal.
    #[schema(pattern = "^u[0-9]{8}$")]
    customer: String,
    #[schema(min_length = 1, max_length = 40)]
    name: String,
    /// Its number such as `client0001`; the customer's next free one when left out.
    #[serde(default)]
    client: Option<String>,
}

/// Another name.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewName {
    #[schema(min_length = 1, max_length = 40)]
    name: String,
}

/// Why, for the operation log.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Reason {
    #[schema(min_length = 1, max_length = 200)]
    reason: String,
}

/// A recovery code that is wanted.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Recovery {
    /// Why, for the operation log.
    #[schema(min_length = 1, max_length = 200)]
    reason: String,
    /// Also where an earlier code was typed and the certificate is being fetched with it; that ends.
    #[serde(default)]
    replace: bool,
}

/// An enrolment code that is wanted.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewInvitation {
    /// For how many minutes it counts; 60 when left out.
    #[schema(minimum = 1, maximum = 10080)]
    #[serde(default)]
    minutes: Option<u32>,
    /// Whoever uses it waits until the operator says yes.
    #[serde(default)]
    approval: bool,
}

/// A revocation that is wanted.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RevocationOrder {
    reason: Why,
}

/// Why a certificate is revoked, as revocation lists say it.
#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
enum Why {
    Unspecified,
    KeyCompromise,
    Superseded,
    CessationOfOperation,
}

/// What was revoked.
#[derive(Serialize, ToSchema)]
pub(super) struct Revoked {
    /// Serial numbers.
    revoked: Vec<String>,
}

/// A recovery code.
#[derive(Serialize, ToSchema)]
pub(super) struct RecoveryCode {
    /// What is typed beside it.
    number: String,
    code: String,
    #[schema(format = DateTime)]
    expires_at: String,
    /// Where it is typed.
    url: String,
}

/// An enrolment code.
#[derive(Serialize, ToSchema)]
pub(super) struct Invitation {
    code: String,
    #[schema(format = DateTime)]
    expires_at: String,
    /// Where the agent asks.
    server: String,
    /// SHA-256 of the root certificate, for the agent's first look.
    ca_fingerprint: String,
}

/// `POST /api/v1/terminals`
async fn add(State(state): State<Shared>, order: Order<NewTerminal>) -> Response {
    let done = async {
        let NewTerminal { customer, name, client } = &order.body;
        let customer = customer.parse().map_err(|_| no_such_customer())?;
        let client = client.as_deref().map(|client| client.parse().map_err(unusable)).transpose()?;
        let added = state.authority.add_terminal(&order.actor(), customer, client, name).await;
        let terminal = added.map_err(|error| match &error {
            EnrollError::Forbidden => Problem::new(Code::ScopeMissing, error.to_string()),
            EnrollError::Name(_) | EnrollError::Password | EnrollError::Role { .. } | EnrollError::Full { .. } => {
                unusable(error)
            }
            _ if error.is_duplicate() => Problem::new(Code::Taken, "the customer has a terminal with this number"),
            _ if error.is_unknown_customer() => no_such_customer(),
            _ => Problem::internal("registering a terminal", &error),
        })?;
        let view = terminals::find(&state, &order.caller, &terminal.id.to_string()).await?;
        Ok((StatusCode::CREATED, terminals::Terminal::of(&state, view)))
    };
    order.answered(&state, done.await).await
}

/// `PATCH /api/v1/terminals/{terminal}`
async fn rename(State(state): State<Shared>, Named(id): Named, order: Order<NewName>) -> Response {
    let done = async {
        let terminal = terminals::find(&state, &order.caller, &id).await?.terminal;
        state.authority.rename_terminal(&order.actor(), &terminal, &order.body.name).await.map_err(of_terminal)?;
        let view = terminals::find(&state, &order.caller, &id).await?;
        Ok((StatusCode::OK, terminals::Terminal::of(&state, view)))
    };
    order.answered(&state, done.await).await
}

/// `POST /api/v1/terminals/{terminal}/lost`
async fn lost(State(state): State<Shared>, Named(id): Named, order: Order<Reason>) -> Response {
    let done = async {
        let terminal = terminals::find(&state, &order.caller, &id).await?.terminal;
        let serials = state.authority.report_lost(&order.actor(), &terminal, &order.body.reason).await;
        Ok((StatusCode::OK, Revoked::of(&serials.map_err(of_terminal)?)))
    };
    order.answered(&state, done.await).await
}

/// `POST /api/v1/terminals/{terminal}/retire`
async fn retire(State(state): State<Shared>, Named(id): Named, order: Order<Reason>) -> Response {
    let done = async {
        let terminal = terminals::find(&state, &order.caller, &id).await?.terminal;
        let serials = state.authority.retire_terminal(&order.actor(), &terminal, &order.body.reason).await;
        Ok((StatusCode::OK, Revoked::of(&serials.map_err(of_terminal)?)))
    };
    order.answered(&state, done.await).await
}

/// `POST /api/v1/terminals/{terminal}/recovery-code`
async fn recover(State(state): State<Shared>, Named(id): Named, order: Order<Recovery>) -> Response {
    let done = async {
        let terminal = terminals::find(&state, &order.caller, &id).await?.terminal;
        let asked = (&*order.body.reason, order.body.replace);
        let made = state.authority.make_recovery_code(&order.actor(), &terminal, asked).await.map_err(|error| {
            let code = match &error {
                RecoverError::Permit(PermitError::Forbidden) => Code::ScopeMissing,
                RecoverError::Permit(_) | RecoverError::WrongCode | RecoverError::TooManyCodes => Code::NotRecoverable,
                RecoverError::Reason => Code::Unusable,
                RecoverError::Typed { .. } => Code::CodeTyped,
                RecoverError::Internal(inner) => return Problem::internal("making a recovery code", inner),
            };
            Problem::new(code, error.to_string())
        })?;
        let code = RecoveryCode {
            number: made.number.to_string(),
            code: made.code.spoken().expose().clone(),
            expires_at: made.expires_at.to_string(),
            url: format!("{}/recovery", state.portal.own_url.trim_end_matches('/')),
        };
        Ok((StatusCode::CREATED, code))
    };
    order.answered(&state, done.await).await
}

/// `POST /api/v1/terminals/{terminal}/invitation`
async fn invite(State(state): State<Shared>, Named(id): Named, order: Order<NewInvitation>) -> Response {
    let done = async {
        let terminal = terminals::find(&state, &order.caller, &id).await?.terminal;
        let minutes = order.body.minutes.unwrap_or(MINUTES);
        if !(1..=MOST_MINUTES).contains(&minutes) {
            return Err(unusable(format!("an enrolment code counts for 1 to {MOST_MINUTES} minutes")));
        }
        let made = state.authority.invite(&order.actor(), &terminal, minutes, order.body.approval).await;
        let made = made.map_err(|error| match &error {
            InviteError::Forbidden => Problem::new(Code::ScopeMissing, error.to_string()),
            InviteError::Retired => Problem::new(Code::AlreadyRetired, error.to_string()),
            InviteError::NothingWaits(_) => unusable(error),
            other => Problem::internal("making an enrolment code", other),
        })?;
        let invitation = Invitation {
            code: made.code.spoken().expose().clone(),
            expires_at: made.expires_at.to_string(),
            server: state.portal.own_url.clone(),
            ca_fingerprint: state.authority.ca().root.fingerprint().to_string(),
        };
        Ok((StatusCode::CREATED, invitation))
    };
    order.answered(&state, done.await).await
}

/// `POST /api/v1/certificates/{serial}/revoke`
async fn revoke(State(state): State<Shared>, Named(serial): Named, order: Order<RevocationOrder>) -> Response {
    let done = async {
        let cert = certificates::find(&state, &order.caller, &serial).await?;
        let reason = match order.body.reason {
            Why::Unspecified => RevocationReason::Unspecified,
            Why::KeyCompromise => RevocationReason::KeyCompromise,
            Why::Superseded => RevocationReason::Superseded,
            Why::CessationOfOperation => RevocationReason::CessationOfOperation,
        };
        let serials = state.authority.revoke(&order.actor(), &cert, reason).await.map_err(|error| match &error {
            RevokeError::Forbidden => Problem::new(Code::ScopeMissing, error.to_string()),
            RevokeError::Already => Problem::new(Code::AlreadyRevoked, error.to_string()),
            other => Problem::internal("revoking a certificate", other),
        })?;
        Ok((StatusCode::OK, Revoked::of(&serials)))
    };
    order.answered(&state, done.await).await
}

impl Revoked {
    fn of(serials: &[Serial]) -> Self {
        Self { revoked: serials.iter().map(ToString::to_string).collect() }
    }
}

fn unusable(error: impl std::fmt::Display) -> Problem {
    Problem::new(Code::Unusable, error.to_string())
}

fn no_such_customer() -> Problem {
    Problem::new(Code::NoSuchCustomer, "there is no such customer")
}

fn of_terminal(error: TerminalError) -> Problem {
    let code = match &error {
        TerminalError::Forbidden => Code::ScopeMissing,
        TerminalError::InUse => Code::InUse,
        TerminalError::Name | TerminalError::Reason | TerminalError::Note => Code::Unusable,
        TerminalError::Retired => Code::AlreadyRetired,
        TerminalError::Internal(inner) => return Problem::internal("changing a terminal", inner),
    };
    Problem::new(code, error.to_string())
}
