//! What went wrong, for programs and for whoever reads their logs: a problem document (RFC 9457) with a code that never changes, an English
//! sentence with the particulars, and a Japanese one.

use std::any::Any;
use std::error::Error;

use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use tegata_authority::ProgramError;
use tegata_core::invitation::InvitationError;
use tegata_core::peer::{Peer, PeerState};
use tegata_core::renewal::PermitError;

use crate::i18n::Lang;

/// How long a program waits for the operator's word before it asks again.
const APPROVAL_SECONDS: u32 = 60;
/// How long it waits when the service itself is in trouble, or has heard too many wrong codes.
const TROUBLE_SECONDS: u32 = 60;
/// How long it waits when its terminal got too many certificates.
const QUOTA_SECONDS: u32 = 3600;

/// The kinds of trouble. Their words never change; programs may rely on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::enum_variant_names, reason = "the code in them is the enrolment code")]
pub(crate) enum Code {
    NoCertificate,
    Foreign,
    Expired,
    Revoked,
    NotYetValid,
    Unknowable,
    TooEarly,
    Retired,
    Refused,
    NoAgents,
    KeyKind,
    KeyCompromised,
    KeyEncryption,
    NamesDiffer,
    NothingToRenew,
    TooManyCertificates,
    TooOften,
    WrongCode,
    TooManyCodes,
    ApprovalPending,
    CodeLapsed,
    CodeUsed,
    EnrollmentRefused,
    ContentType,
    TooLong,
    BadRequest,
    NoSuchCertificate,
    NoSuchMethod,
    NoSuchAddress,
    NotForBrowsers,
    NotJson,
    NoFile,
    FileOver,
    NoApiKey,
    WrongApiKey,
    TooManyApiKeys,
    ApiKeyRevoked,
    ApiKeyExpired,
    ApiKeyElsewhere,
    ScopeMissing,
    NoSuchTerminal,
    NoSuchSerial,
    NotAcceptable,
    BadQuery,
    NoSuchCustomer,
    Taken,
    Unusable,
    InUse,
    AlreadyRetired,
    NotRecoverable,
    CodeTyped,
    AlreadyRevoked,
    NoIdempotencyKey,
    BadBody,
    KeyReused,
    Unanswered,
    Internal,
}

impl Code {
    /// Every kind with its word and its status.
    const ALL: [(Self, &'static str, StatusCode); 57] = [
        (Self::NoCertificate, "no-certificate", StatusCode::UNAUTHORIZED),
        (Self::Foreign, "foreign-certificate", StatusCode::FORBIDDEN),
        (Self::Expired, "expired-certificate", StatusCode::FORBIDDEN),
        (Self::Revoked, "revoked-certificate", StatusCode::FORBIDDEN),
        (Self::NotYetValid, "not-yet-valid-certificate", StatusCode::FORBIDDEN),
        (Self::Unknowable, "trust-unknowable", StatusCode::SERVICE_UNAVAILABLE),
        (Self::TooEarly, "too-early", StatusCode::CONFLICT),
        (Self::Retired, "terminal-retired", StatusCode::FORBIDDEN),
        (Self::Refused, "renewal-refused", StatusCode::FORBIDDEN),
        (Self::NoAgents, "no-agents", StatusCode::NOT_FOUND),
        (Self::KeyKind, "key-kind", StatusCode::BAD_REQUEST),
        (Self::KeyCompromised, "key-compromised", StatusCode::BAD_REQUEST),
        (Self::KeyEncryption, "key-encryption", StatusCode::BAD_REQUEST),
        (Self::NamesDiffer, "names-differ", StatusCode::BAD_REQUEST),
        (Self::NothingToRenew, "nothing-to-renew", StatusCode::CONFLICT),
        (Self::TooManyCertificates, "too-many-certificates", StatusCode::TOO_MANY_REQUESTS),
        (Self::TooOften, "too-often", StatusCode::TOO_MANY_REQUESTS),
        (Self::WrongCode, "wrong-code", StatusCode::UNAUTHORIZED),
        (Self::TooManyCodes, "too-many-codes", StatusCode::TOO_MANY_REQUESTS),
        (Self::ApprovalPending, "approval-pending", StatusCode::ACCEPTED),
        (Self::CodeLapsed, "code-lapsed", StatusCode::FORBIDDEN),
        (Self::CodeUsed, "code-used", StatusCode::FORBIDDEN),
        (Self::EnrollmentRefused, "enrollment-refused", StatusCode::FORBIDDEN),
        (Self::ContentType, "content-type", StatusCode::UNSUPPORTED_MEDIA_TYPE),
        (Self::TooLong, "request-too-long", StatusCode::PAYLOAD_TOO_LARGE),
        (Self::BadRequest, "bad-request", StatusCode::BAD_REQUEST),
        (Self::NoSuchCertificate, "no-such-certificate", StatusCode::NOT_FOUND),
        (Self::NoSuchMethod, "no-such-method", StatusCode::METHOD_NOT_ALLOWED),
        (Self::NoSuchAddress, "no-such-address", StatusCode::NOT_FOUND),
        (Self::NotForBrowsers, "not-for-browsers", StatusCode::FORBIDDEN),
        (Self::NotJson, "not-json", StatusCode::BAD_REQUEST),
        (Self::NoFile, "no-file", StatusCode::NOT_FOUND),
        (Self::FileOver, "file-over", StatusCode::GONE),
        (Self::NoApiKey, "no-api-key", StatusCode::UNAUTHORIZED),
        (Self::WrongApiKey, "wrong-api-key", StatusCode::UNAUTHORIZED),
        (Self::TooManyApiKeys, "too-many-api-keys", StatusCode::TOO_MANY_REQUESTS),
        (Self::ApiKeyRevoked, "api-key-revoked", StatusCode::FORBIDDEN),
        (Self::ApiKeyExpired, "api-key-expired", StatusCode::FORBIDDEN),
        (Self::ApiKeyElsewhere, "api-key-elsewhere", StatusCode::FORBIDDEN),
        (Self::ScopeMissing, "scope-missing", StatusCode::FORBIDDEN),
        (Self::NoSuchTerminal, "no-such-terminal", StatusCode::NOT_FOUND),
        (Self::NoSuchSerial, "no-such-serial", StatusCode::NOT_FOUND),
        (Self::NotAcceptable, "not-acceptable", StatusCode::NOT_ACCEPTABLE),
        (Self::BadQuery, "bad-query", StatusCode::BAD_REQUEST),
        (Self::NoSuchCustomer, "no-such-customer", StatusCode::NOT_FOUND),
        (Self::Taken, "number-taken", StatusCode::CONFLICT),
        (Self::Unusable, "unusable-value", StatusCode::UNPROCESSABLE_ENTITY),
        (Self::InUse, "own-terminal", StatusCode::CONFLICT),
        (Self::AlreadyRetired, "already-retired", StatusCode::CONFLICT),
        (Self::NotRecoverable, "not-recoverable", StatusCode::CONFLICT),
        (Self::CodeTyped, "code-typed", StatusCode::CONFLICT),
        (Self::AlreadyRevoked, "already-revoked", StatusCode::CONFLICT),
        (Self::NoIdempotencyKey, "no-idempotency-key", StatusCode::BAD_REQUEST),
        (Self::BadBody, "bad-body", StatusCode::BAD_REQUEST),
        (Self::KeyReused, "idempotency-key-reused", StatusCode::UNPROCESSABLE_ENTITY),
        (Self::Unanswered, "request-unanswered", StatusCode::CONFLICT),
        (Self::Internal, "internal", StatusCode::INTERNAL_SERVER_ERROR),
    ];

    /// Its word.
    pub(super) fn word(self) -> &'static str {
        self.entry().0
    }

    /// The status of its answers.
    pub(super) fn status(self) -> StatusCode {
        self.entry().1
    }

    fn entry(self) -> (&'static str, StatusCode) {
        let found = Self::ALL.iter().find(|(code, ..)| *code == self);
        found.map_or(("internal", StatusCode::INTERNAL_SERVER_ERROR), |(_, word, status)| (*word, *status))
    }
}

/// What went wrong.
#[derive(Debug)]
pub(crate) struct Problem {
    code: Code,
    detail: String,
    retry_after: Option<u32>,
}

impl Problem {
    pub(crate) fn new(code: Code, detail: impl Into<String>) -> Self {
        let retry_after = match code {
            Code::ApprovalPending => Some(APPROVAL_SECONDS),
            Code::Unknowable | Code::TooManyCodes | Code::TooManyApiKeys | Code::Internal => Some(TROUBLE_SECONDS),
            Code::TooManyCertificates | Code::TooOften => Some(QUOTA_SECONDS),
            _ => None,
        };
        Self { code, detail: detail.into(), retry_after }
    }

    /// A browser says that it sends this.
    pub(crate) fn for_programs_only() -> Self {
        Self::new(Code::NotForBrowsers, "the request is marked as a browser's: send it from a program")
    }

    /// Something unforeseen while doing `what`; its text goes to the log alone.
    pub(crate) fn internal(what: &'static str, error: &(dyn Error + 'static)) -> Self {
        tracing::error!(%error, "{what} failed");
        Self::new(Code::Internal, "something went wrong here; asking again is safe")
    }

    /// What the presented certificate, or none, means for a program that has to show one.
    pub(crate) fn of_peer(peer: &Peer) -> Self {
        match peer.state {
            PeerState::None => Self::new(
                Code::NoCertificate,
                "show a certificate of this terminal in the TLS handshake, or an enrolment code",
            ),
            PeerState::Expired => Self::new(Code::Expired, "the certificate has expired: ask for an enrolment code"),
            PeerState::Revoked => Self::new(Code::Revoked, "the certificate is revoked"),
            PeerState::NotYetValid => Self::new(Code::NotYetValid, "the certificate is not valid yet"),
            PeerState::Unknowable => {
                Self::new(Code::Unknowable, "the list of revoked certificates is too old to let anybody in")
            }
            _ => Self::new(Code::Foreign, "the certificate is not one that this service issued to a terminal"),
        }
    }
}

impl From<ProgramError> for Problem {
    fn from(error: ProgramError) -> Self {
        let code = match &error {
            ProgramError::Permit(PermitError::TooEarly { .. }) => Code::TooEarly,
            ProgramError::Permit(PermitError::Retired) => Code::Retired,
            ProgramError::Permit(PermitError::Revoked) => Code::Revoked,
            ProgramError::Permit(PermitError::Expired(_)) => Code::Expired,
            ProgramError::Permit(_) => Code::Refused,
            ProgramError::Unknown => Code::Foreign,
            ProgramError::NoAgents => Code::NoAgents,
            ProgramError::KeyKind { .. } => Code::KeyKind,
            ProgramError::CompromisedKey => Code::KeyCompromised,
            ProgramError::Names(_) => Code::NamesDiffer,
            ProgramError::NothingToRenew => Code::NothingToRenew,
            ProgramError::TooMany(_) => Code::TooManyCertificates,
            ProgramError::WrongCode => Code::WrongCode,
            ProgramError::TooManyCodes => Code::TooManyCodes,
            ProgramError::Invitation(InvitationError::Pending) => Code::ApprovalPending,
            ProgramError::Invitation(InvitationError::Lapsed) => Code::CodeLapsed,
            ProgramError::Invitation(InvitationError::Used) => Code::CodeUsed,
            ProgramError::Invitation(InvitationError::Refused) => Code::EnrollmentRefused,
            ProgramError::Internal(inner) => return Self::internal("issuing a certificate to a program", inner),
        };
        Self::new(code, error.to_string())
    }
}

impl Problem {
    /// The status of the answer.
    pub(crate) fn status(&self) -> StatusCode {
        self.code.entry().1
    }

    /// The document itself.
    pub(crate) fn document(&self) -> String {
        let (word, status) = self.code.entry();
        let body = serde_json::json!({
            "type": "about:blank",
            "title": Lang::En.t(&format!("api-{word}")),
            "title_ja": Lang::Ja.t(&format!("api-{word}")),
            "status": status.as_u16(),
            "code": word,
            "detail": self.detail,
        });
        body.to_string()
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (word, status) = self.code.entry();
        let body = self.document();
        metrics::counter!("tegata_api_failures_total", "code" => word).increment(1);
        let mut response = (status, [(CONTENT_TYPE, "application/problem+json")], body).into_response();
        let headers = response.headers_mut();
        if let Some(seconds) = self.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if status == StatusCode::UNAUTHORIZED {
            let challenge = match self.code {
                Code::NoApiKey | Code::WrongApiKey => "Basic realm=\"API key\", charset=\"UTF-8\"",
                _ => "Basic realm=\"enrolment code\", charset=\"UTF-8\"",
            };
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        response
    }
}

/// No such way exists.
pub(crate) async fn no_such_address() -> Problem {
    Problem::new(Code::NoSuchAddress, "nothing answers at this address")
}

/// A way exists, not for this method.
pub(crate) async fn no_such_method() -> Problem {
    Problem::new(Code::NoSuchMethod, "this address does not answer to this method")
}

/// A handler panicked.
pub(crate) fn from_panic(panic: Box<dyn Any + Send + 'static>) -> Response {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    Problem::internal("answering a program", &std::io::Error::other(text.unwrap_or("a panic without text")))
        .into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_its_words_and_tells_when_to_ask_again() {
        for (code, word, status) in Code::ALL {
            for lang in Lang::ALL {
                assert!(!lang.t(&format!("api-{word}")).contains('⟦'), "{word}");
            }
            let answer = Problem::new(code, "").into_response();
            assert_eq!(answer.status(), status);
            let may_ask_again = status.is_server_error() || status == 202 || status == 429;
            assert_eq!(answer.headers().contains_key(RETRY_AFTER), may_ask_again, "{word}");
        }
    }

    #[test]
    fn an_inner_failure_says_nothing_of_its_cause() {
        let problem = Problem::internal("a test", &std::io::Error::other("disk full"));
        assert!(!problem.detail.contains("disk"));
    }
}
