//! The description of the REST API (OpenAPI 3.1), made from its operations: `GET /api/v1/openapi.json`. The problems of an operation follow from
//! what it needs and takes, so that none is forgotten.

use std::collections::BTreeMap;

use http::StatusCode;
use serde::Serialize;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::{OperationBuilder, ParameterBuilder, ParameterIn};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    Components, ContentBuilder, HttpMethod, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder, PathItem,
    PathsBuilder, Ref, Required, Response, ResponseBuilder,
};
use utoipa::{PartialSchema, ToSchema};

use super::operation::{Needs, Operation};
use super::problem::Code;
use crate::i18n::Lang;

/// What is wrong (RFC 9457). `code` never changes; the other texts may.
#[derive(Serialize, ToSchema)]
pub(crate) struct Problem {
    /// Always `about:blank`: what is wrong is named by `code`.
    r#type: String,
    /// A sentence in English.
    title: String,
    /// The same in Japanese.
    title_ja: String,
    /// The status of the answer.
    status: u16,
    /// What is wrong, for programs.
    code: String,
    /// The particulars, in English.
    detail: String,
}

/// The name of the one way of proving oneself beside the certificate.
const KEY: &str = "api-key";
/// What the description says first.
const ABOUT: &str = "Terminals of clinics, their certificates and the operation log, for programs of vendors. A program shows the certificate of a \
                     terminal in the TLS handshake, and beside it an API key as user and password of HTTP Basic authentication. Neither counts \
                     without the other. Requests that a browser marks as its own are refused. Lists come in pages: `next` of an answer is the \
                     `cursor` of the next request. What a key does not reach is answered like what does not exist.";

const TOKEN: &str = "Anything that the program gives to no other request, such as a UUID. The same request under the same token is carried out once, and \
                     answered as the first time, for a day.";

const OF_CERTIFICATES: &[Code] =
    &[Code::NoCertificate, Code::Foreign, Code::Expired, Code::Revoked, Code::NotYetValid, Code::Unknowable];
const OF_KEYS: &[Code] = &[
    Code::NotForBrowsers,
    Code::NoApiKey,
    Code::WrongApiKey,
    Code::TooManyApiKeys,
    Code::ApiKeyRevoked,
    Code::ApiKeyExpired,
    Code::ApiKeyElsewhere,
];

/// The whole description, from the operations and the components that they name.
pub(crate) fn document(operations: &[Operation], components: Components) -> OpenApi {
    let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Basic);
    let scheme = scheme.description(Some(
        "An API key beside the certificate in the handshake: its id is the user, its secret the password.",
    ));
    let mut components = components;
    components.add_security_scheme(KEY, SecurityScheme::Http(scheme.build()));
    components.schemas.insert(Problem::name().into_owned(), Problem::schema());
    let license = LicenseBuilder::new().name("Apache-2.0").build();
    let info = InfoBuilder::new().title("Tegata").version("1").description(Some(ABOUT)).license(Some(license));
    let paths = operations.iter().fold(PathsBuilder::new(), |paths, operation| {
        let method = match operation.method {
            "POST" => HttpMethod::Post,
            "PATCH" => HttpMethod::Patch,
            _ => HttpMethod::Get,
        };
        paths.path(operation.path, PathItem::new(method, described(operation)))
    });
    OpenApiBuilder::new().info(info.build()).paths(paths.build()).components(Some(components)).build()
}

fn described(operation: &Operation) -> OperationBuilder {
    let mut built = OperationBuilder::new().operation_id(Some(operation.id)).summary(Some(operation.summary));
    if let Needs::Scope(scope) = operation.needs {
        built = built.description(Some(format!("Needs an API key with the scope `{scope}`.")));
    }
    if matches!(operation.needs, Needs::Key | Needs::Scope(_)) {
        built = built.security(SecurityRequirement::new::<_, [&str; 0], &str>(KEY, []));
    }
    if let Some((name, description)) = in_path(operation.path).zip(operation.named) {
        let text = ObjectBuilder::new().schema_type(Type::String);
        let part = ParameterBuilder::new().name(name).parameter_in(ParameterIn::Path).required(Required::True);
        built = built.parameter(part.description(Some(description)).schema(Some(text)));
    }
    for parameter in &operation.query {
        let part =
            ParameterBuilder::new().name(parameter.name).parameter_in(ParameterIn::Query).required(Required::False);
        built = built.parameter(part.description(Some(parameter.description)).schema(Some(parameter.schema.clone())));
    }
    if operation.comes_once() {
        let text = ObjectBuilder::new().schema_type(Type::String).pattern(Some("^[!-~]{1,100}$"));
        let token =
            ParameterBuilder::new().name("Idempotency-Key").parameter_in(ParameterIn::Header).required(Required::True);
        built = built.parameter(token.description(Some(TOKEN)).schema(Some(text)));
    }
    if let Some(body) = &operation.body {
        let content = ContentBuilder::new().schema(Some(body.clone())).build();
        built = built.request_body(Some(
            RequestBodyBuilder::new().content("application/json", content).required(Some(Required::True)).build(),
        ));
    }
    let (status, schema, description) = &operation.answer;
    let content = ContentBuilder::new().schema(Some(schema.clone())).build();
    let answer = ResponseBuilder::new().description(*description).content("application/json", content);
    built = built.response(status.as_str(), answer.build());
    problems(operation)
        .into_iter()
        .fold(built, |built, (status, codes)| built.response(status.as_str(), refusal(status, &codes)))
}

/// The name between braces in a path.
fn in_path(path: &str) -> Option<&str> {
    path.split_once('{').and_then(|(_, rest)| rest.split_once('}')).map(|(name, _)| name)
}

/// What can go wrong, by status.
fn problems(operation: &Operation) -> BTreeMap<StatusCode, Vec<Code>> {
    let mut all = vec![Code::NotAcceptable, Code::BadQuery, Code::Internal];
    if operation.needs != Needs::Nothing {
        all.extend(OF_CERTIFICATES);
    }
    if matches!(operation.needs, Needs::Key | Needs::Scope(_)) {
        all.extend(OF_KEYS);
    }
    if matches!(operation.needs, Needs::Scope(_)) {
        all.push(Code::ScopeMissing);
    }
    if operation.body.is_some() {
        all.extend([Code::ContentType, Code::TooLong, Code::BadBody]);
    }
    if operation.comes_once() {
        all.extend([Code::NoIdempotencyKey, Code::KeyReused, Code::Unanswered]);
    }
    if operation.named.is_some() {
        all.push(Code::NoSuchAddress);
    }
    all.extend(operation.codes);
    let mut by_status = BTreeMap::<StatusCode, Vec<Code>>::new();
    for code in all {
        by_status.entry(code.status()).or_default().push(code);
    }
    by_status
}

fn refusal(status: StatusCode, codes: &[Code]) -> Response {
    let line = |code: &Code| format!("- `{}`: {}", code.word(), Lang::En.t(&format!("api-{}", code.word())));
    let lines: Vec<String> = codes.iter().map(line).collect();
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name(Problem::name()))).build();
    let answer = ResponseBuilder::new().description(lines.join("\n")).content("application/problem+json", content);
    let header = |description: &str| HeaderBuilder::new().description(Some(description)).build();
    match status {
        StatusCode::UNAUTHORIZED => answer.header("WWW-Authenticate", header("How to prove oneself.")),
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE | StatusCode::INTERNAL_SERVER_ERROR => {
            answer.header("Retry-After", header("After how many seconds to ask again."))
        }
        _ => answer,
    }
    .build()
}
