//! What programs have changed: once, however often they ask, and never anything of another customer's.

use http::Method;
use serde_json::{Value, json};
use tegata_authority::MadeApiKey;
use tegata_core::api_key::{ApiReach, ApiScope, ApiScopes};
use tegata_core::time::Days;

use crate::api::{basic, body, code, key, scopes_of_customers};
use crate::deployment::{Answer, Browser, Deployment};

/// A program with its key.
struct Caller {
    made: MadeApiKey,
    program: Browser,
}

impl Caller {
    async fn of_a_clinic(place: &Deployment) -> Self {
        let made = key(place, &place.fresh, scopes_of_customers(), ApiReach::Customer).await;
        Self { made, program: place.browser(&place.fresh) }
    }

    async fn of_the_operator(place: &Deployment) -> Self {
        let all = ApiScopes::new(ApiScope::ALL.iter().map(|(scope, _)| *scope).collect());
        let made = key(place, &place.desk, all, ApiReach::Everything).await;
        Self { made, program: place.browser(&place.desk) }
    }

    /// Asks under a token of its own.
    async fn asks(&self, method: Method, path: &str, token: &str, body: Value) -> Answer {
        self.sends(method, path, &[("idempotency-key", token), ("content-type", "application/json")], &body.to_string())
            .await
    }

    async fn sends(&self, method: Method, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut all = vec![("accept", "application/json")];
        let given = basic(&self.made);
        all.push(("authorization", &given));
        all.extend(headers);
        self.program.clone().send(method, path, Some(body.as_bytes().to_vec()), &all).await
    }
}

async fn count(place: &Deployment, action: &str) -> usize {
    let rows = place.authority.reader().audit_rows(place.operator.scope(), None, 1000).await.expect("read");
    rows.iter().filter(|row| row.action == action).count()
}

#[tokio::test]
async fn what_is_asked_for_twice_is_done_once_and_answered_alike() {
    let place = Deployment::new().await;
    let operator = Caller::of_the_operator(&place).await;
    let new = json!({ "customer": place.due.customer.to_string(), "name": "会計" });
    let ask =
        async |token: &str, new: &Value| operator.asks(Method::POST, "/api/v1/terminals", token, new.clone()).await;
    let before = count(&place, "terminal.added").await;
    let first = ask("a-1", &new).await;
    assert_eq!(first.status, 201, "{}", first.text());
    assert_eq!((body(&first)["name"].as_str(), body(&first)["state"].as_str()), (Some("会計"), Some("empty")));
    let again = ask("a-1", &new).await;
    assert_eq!((again.status.as_u16(), again.header("idempotency-replayed")), (201, "true"));
    assert_eq!(again.body, first.body);
    assert_eq!(count(&place, "terminal.added").await, before + 1);
    let other = ask("a-1", &json!({ "customer": place.due.customer.to_string(), "name": "薬局" })).await;
    assert_eq!(code(&other), (422, "idempotency-key-reused".into()));
    assert_eq!(ask("a-2", &new).await.status, 201, "another token is another request");
    assert_eq!(count(&place, "terminal.added").await, before + 2);
    place.clock.set(place.clock_now().plus_days(Days(1)).plus_seconds(1));
    let much_later = ask("a-1", &json!({ "customer": place.due.customer.to_string(), "name": "翌日" })).await;
    assert_eq!(
        (much_later.status.as_u16(), much_later.header("idempotency-replayed")),
        (201, ""),
        "forgotten after a day"
    );
    let mine = Caller::of_a_clinic(&place).await;
    let path = format!("/api/v1/terminals/{}", place.due.terminal);
    let renamed = mine.asks(Method::PATCH, &path, "a-2", json!({ "name": "受付2" })).await;
    assert_eq!(
        (renamed.status.as_u16(), body(&renamed)["name"].as_str()),
        (200, Some("受付2")),
        "tokens are each key's own"
    );
}

#[tokio::test]
async fn of_many_at_the_same_moment_one_is_carried_out() {
    let place = Deployment::new().await;
    let operator = Caller::of_the_operator(&place).await;
    let new = json!({ "customer": place.due.customer.to_string(), "name": "会計" });
    let before = count(&place, "terminal.added").await;
    let asks = (0..8).map(|_| operator.asks(Method::POST, "/api/v1/terminals", "once", new.clone()));
    let answers = futures_util::future::join_all(asks).await;
    let made = answers.iter().filter(|answer| answer.status == 201).count();
    assert!(made >= 1 && answers.iter().all(|answer| matches!(answer.status.as_u16(), 201 | 409)));
    assert_eq!(count(&place, "terminal.added").await, before + 1);
}

#[tokio::test]
async fn a_terminals_life_is_told_by_a_program_of_its_customer() {
    let place = Deployment::new().await;
    let clinic = Caller::of_a_clinic(&place).await;
    let path = |act: &str| format!("/api/v1/terminals/{}{act}", place.due.terminal);
    let reason = |text: &str| json!({ "reason": text });
    let refused = clinic.asks(Method::POST, &path("/lost"), "1", reason(" ")).await;
    assert_eq!(code(&refused), (422, "unusable-value".into()));
    let own = format!("/api/v1/terminals/{}/lost", place.fresh.terminal);
    assert_eq!(code(&clinic.asks(Method::POST, &own, "2", reason("x")).await), (409, "own-terminal".into()));
    let lost = clinic.asks(Method::POST, &path("/lost"), "3", reason("盗難")).await;
    assert_eq!(body(&lost)["revoked"][0], place.due.serial.to_string(), "{}", lost.text());
    let code_of_lost = clinic.asks(Method::POST, &path("/recovery-code"), "4", reason("x")).await;
    assert_eq!(code(&code_of_lost), (409, "not-recoverable".into()));
    let again = clinic.asks(Method::POST, &path("/recovery-code"), "4", reason("x")).await;
    assert_eq!((again.status.as_u16(), again.header("content-type")), (409, "application/problem+json"));
    let retired = clinic.asks(Method::POST, &path("/retire"), "5", reason("廃棄")).await;
    assert_eq!(retired.status, 200, "{}", retired.text());
    let twice = clinic.asks(Method::POST, &path("/retire"), "6", reason("廃棄")).await;
    assert_eq!(code(&twice), (409, "already-retired".into()));
    let rows = place.authority.reader().audit_rows(place.operator.scope(), None, 20).await.expect("read");
    let row = rows.iter().find(|row| row.action == "terminal.retired").expect("in the log");
    let known = row.actor_name.contains("会計連携") && row.actor_name.contains(clinic.made.key.id.as_str());
    assert!(row.actor_kind == "program" && known, "{row:?}");
}

#[tokio::test]
async fn a_recovery_code_works_and_is_kept_for_the_program_alone() {
    let place = Deployment::new().await;
    place.used(&place.browser(&place.due)).await;
    place.clock.set(place.due.not_after.plus_seconds(60));
    let clinic = Caller::of_a_clinic(&place).await;
    let path = format!("/api/v1/terminals/{}/recovery-code", place.due.terminal);
    let made = clinic.asks(Method::POST, &path, "code", json!({ "reason": "期限切れ" })).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let again = clinic.asks(Method::POST, &path, "code", json!({ "reason": "期限切れ" })).await;
    assert_eq!(again.body, made.body, "whoever lost the answer gets the code that works, not another one");
    let reader = place.authority.reader();
    let row = reader.api_request(&clinic.made.key.id, "code", place.clock_now()).await.expect("read").expect("kept");
    let typed = body(&made)["code"].as_str().expect("a code").to_owned();
    let (_, sealed) = row.answer.expect("an answer");
    assert!(!String::from_utf8_lossy(&sealed).contains(&typed));
    let mut locked_out = place.visitor(tegata_core::peer::Presented::None, tegata_core::peer::PeerState::None);
    locked_out.get("/recovery").await;
    let number = body(&made)["number"].as_str().expect("a number").to_owned();
    let done = locked_out.post("/recovery", &[("number", &number), ("code", &typed)]).await;
    assert_eq!((done.status.as_u16(), done.location()), (303, "/recovery"), "{}", done.text());
    let under_way = clinic.asks(Method::POST, &path, "other", json!({ "reason": "期限切れ" })).await;
    assert_eq!(code(&under_way), (409, "code-typed".into()));
}

#[tokio::test]
async fn the_operators_program_invites_and_revokes() {
    let place = Deployment::new().await;
    let operator = Caller::of_the_operator(&place).await;
    let path = format!("/api/v1/terminals/{}/invitation", place.other.terminal);
    let made = operator.asks(Method::POST, &path, "1", json!({ "minutes": 5 })).await;
    assert_eq!((made.status.as_u16(), body(&made)["code"].as_str().map(str::len)), (201, Some(9)), "{}", made.text());
    let refused = operator.asks(Method::POST, &path, "2", json!({ "minutes": 0 })).await;
    assert_eq!(code(&refused), (422, "unusable-value".into()));
    let path = format!("/api/v1/certificates/{}/revoke", place.other.serial);
    let refused = operator.asks(Method::POST, &path, "3", json!({ "reason": "boredom" })).await;
    assert_eq!(code(&refused), (400, "bad-body".into()));
    let revoked = operator.asks(Method::POST, &path, "4", json!({ "reason": "key-compromise" })).await;
    assert_eq!(body(&revoked)["revoked"][0], place.other.serial.to_string());
    let twice = operator.asks(Method::POST, &path, "5", json!({ "reason": "superseded" })).await;
    assert_eq!(code(&twice), (409, "already-revoked".into()));
    let taken = json!({ "customer": place.due.customer.to_string(), "name": "x", "client": "client0001" });
    assert_eq!(code(&operator.asks(Method::POST, "/api/v1/terminals", "6", taken).await), (409, "number-taken".into()));
    let nobody = json!({ "customer": "u00000099", "name": "x" });
    assert_eq!(
        code(&operator.asks(Method::POST, "/api/v1/terminals", "7", nobody).await),
        (404, "no-such-customer".into())
    );
}

#[tokio::test]
async fn what_cannot_be_read_is_refused_and_changes_nothing() {
    let place = Deployment::new().await;
    let clinic = Caller::of_a_clinic(&place).await;
    let path = format!("/api/v1/terminals/{}", place.due.terminal);
    let json_type = ("content-type", "application/json");
    let token = ("idempotency-key", "t");
    let long = format!("{{\"name\":\"{}\"}}", "x".repeat(70_000));
    let crowded = "k".repeat(101);
    type Case<'c> = (&'c [(&'c str, &'c str)], &'c str, (u16, &'c str));
    let cases: [Case; 9] = [
        (&[json_type], "{\"name\":\"x\"}", (400, "no-idempotency-key")),
        (&[json_type, ("idempotency-key", "a b")], "{\"name\":\"x\"}", (400, "no-idempotency-key")),
        (&[json_type, ("idempotency-key", &crowded)], "{\"name\":\"x\"}", (400, "no-idempotency-key")),
        (&[token, ("content-type", "text/plain")], "{\"name\":\"x\"}", (415, "content-type")),
        (&[token, json_type], &long, (413, "request-too-long")),
        (&[token, json_type], "", (400, "bad-body")),
        (&[token, json_type], "[]", (400, "bad-body")),
        (&[token, json_type], "{\"name\":\"x\",\"customer\":\"u00000002\"}", (400, "bad-body")),
        (&[token, json_type], "{\"name\":\"\u{202e}\"}", (422, "unusable-value")),
    ];
    for (headers, sent, (status, word)) in cases {
        let answer = clinic.sends(Method::PATCH, &path, headers, sent).await;
        assert_eq!(code(&answer), (status, word.to_owned()), "{sent:.60}");
    }
    assert_eq!(count(&place, "terminal.renamed").await, 0);
}

#[tokio::test]
async fn no_program_of_a_customer_changes_anything_of_another_or_what_is_the_operators() {
    let place = Deployment::new().await;
    let clinic = Caller::of_a_clinic(&place).await;
    let before = place.authority.reader().audit_rows(place.operator.scope(), None, 1000).await.expect("read");
    let mut asked = 0;
    for cert in [&place.other, &place.desk] {
        for (method, path) in tegata_web::routes() {
            if method == "GET" || !path.starts_with("/api/v1/") || path.starts_with("/api/v1/certificate/") {
                continue;
            }
            let path =
                path.replace("{terminal}", &cert.terminal.to_string()).replace("{serial}", &cert.serial.to_string());
            for sent in [
                json!({ "name": "盗" }),
                json!({ "reason": "key-compromise" }),
                json!({ "reason": "x", "replace": true }),
                json!({}),
                json!({ "customer": cert.customer.to_string(), "name": "盗" }),
            ] {
                let method: Method = method.parse().expect("a method");
                let answer = clinic.asks(method, &path, &format!("t-{asked}"), sent).await;
                let (status, word) = code(&answer);
                let hidden =
                    matches!((status, &*word), (404, "no-such-terminal") | (403, "scope-missing") | (400, "bad-body"));
                assert!(hidden, "{path}: {}", answer.text());
                asked += 1;
            }
        }
    }
    let after = place.authority.reader().audit_rows(place.operator.scope(), None, 1000).await.expect("read");
    assert!(asked >= 70 && before == after, "nothing was done, not even a line in a log");
}
