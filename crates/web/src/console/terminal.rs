//! One terminal, as the help desk needs it: how it stands, what to tell whoever called, who at the clinic can help; and what a CA officer does
//! to it. A recovery code lets its reader become the terminal, so the help desk never sees one: it is made by the clinic's own administrator
//! at a terminal that still connects, or by an officer.

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use http::StatusCode;
use tegata_authority::{NewRecovery, RecoverError, RevokeError, TerminalError, TerminalView};
use tegata_core::access::{Privilege, Role, may};
use tegata_core::cert::{CertRecord, Progress, RevocationReason};
use tegata_core::customer::{Customer, User};
use tegata_core::renewal::PermitError;
use tegata_core::terminal::Condition;
use tegata_core::time::Timestamp;

use super::{Officer, Staff, find_terminal, terminal_path};
use crate::Shared;
use crate::admin::terminals::RowOf;
use crate::csrf::CheckedForm;
use crate::error::Failure;
use crate::frame::{Frame, Moment, page};
use crate::i18n::Lang;
use crate::portal::log::{Line, line};
use crate::portal::see_other;
use crate::session::LoggedIn;
use crate::visit::Visit;

/// Rows of the log that are shown.
const ROWS: u32 = 20;

#[derive(Template)]
#[template(path = "console-terminal.html")]
pub(crate) struct TerminalPage {
    f: Frame,
    row: RowOf,
    /// The customer's id and name.
    id: String,
    customer: String,
    file_name: String,
    path: String,
    certificates: Vec<CertLine>,
    /// The serials of those that can be revoked.
    revocable: Vec<String>,
    reasons: Vec<&'static str>,
    /// The clinic's administrators, and the terminals at which one of them could help; asked only where it helps.
    helpers: Option<(Vec<String>, Vec<String>)>,
    log: Vec<Line>,
    /// Whether whoever looks may do something to it.
    may_act: bool,
    can_help: bool,
    /// Whether it is the one at which the officer sits.
    own: bool,
    /// A code that was just made: its groups, and until when it counts.
    code: Option<(Vec<String>, Moment)>,
    address: String,
    error: Option<String>,
    /// Whether asking once more ends what is under way.
    replace: bool,
}

struct CertLine {
    serial: String,
    issued: Moment,
    end: Moment,
    /// The end of its key of words.
    word: &'static str,
    reason: Option<&'static str>,
}

/// How one certificate stands, in a word.
fn word(cert: &CertRecord, now: Timestamp) -> &'static str {
    match cert.progress() {
        _ if cert.revoked.is_some() => "revoked",
        _ if cert.not_after < now => "expired",
        Progress::Issued => "issued",
        Progress::Downloaded => "downloaded",
        Progress::Used => "used",
    }
}

impl CertLine {
    fn of(lang: Lang, cert: &CertRecord, now: Timestamp) -> Self {
        Self {
            serial: cert.serial.to_string(),
            issued: Moment::of(lang, cert.issued_at),
            end: Moment::of(lang, cert.not_after),
            word: word(cert, now),
            reason: cert.revoked.map(|(_, reason)| reason.as_str()),
        }
    }
}

/// What the register says about a terminal.
struct Facts {
    view: TerminalView,
    customer: Customer,
    file_name: String,
    certificates: Vec<CertRecord>,
    log: Vec<tegata_core::audit::Row>,
    people: Vec<User>,
    others: Vec<TerminalView>,
}

/// `GET /console/customers/{customer}/terminals/{client}`
pub(crate) async fn show(
    State(state): State<Shared>,
    visit: Visit,
    Staff(login): Staff,
    Path(named): Path<(String, String)>,
) -> Result<Response, Failure> {
    page(StatusCode::OK, &terminal(&state, &visit, &login, &named).await?)
}

/// `POST /console/customers/{customer}/terminals/{client}/recovery`
pub(crate) async fn recover(
    State(state): State<Shared>,
    visit: Visit,
    Officer(login): Officer,
    Path(named): Path<(String, String)>,
    CheckedForm(fields): CheckedForm,
) -> Result<Response, Failure> {
    let actor = &login.session.actor;
    let (view, _) = find_terminal(&state, actor, &named).await?;
    let asked = (fields.text("reason"), fields.text("replace") == "yes");
    let done = state.authority.make_recovery_code(actor, &view.terminal, asked).await;
    let mut shown = terminal(&state, &visit, &login, &named).await?;
    let error = match done {
        Ok(NewRecovery { code, expires_at, .. }) => {
            let groups = code.spoken().expose().split(' ').map(str::to_owned).collect();
            shown.code = Some((groups, Moment::of(visit.lang, expires_at)));
            return page(StatusCode::OK, &shown);
        }
        Err(RecoverError::Reason) => visit.lang.t("admin-reason-needed"),
        Err(RecoverError::Permit(PermitError::Revoked)) => visit.lang.t("console-help-revoked"),
        Err(RecoverError::Permit(PermitError::NeverIssued)) => visit.lang.t("console-help-never"),
        Err(RecoverError::Permit(PermitError::Retired)) => visit.lang.t("admin-end-already"),
        Err(RecoverError::Typed { until }) => {
            shown.replace = true;
            visit.lang.t1("console-help-typed", "until", visit.lang.date_time(until))
        }
        Err(RecoverError::Permit(refused)) => return Err(Failure::Refused(refused)),
        Err(error) => return Err(Failure::internal("recovering a terminal", &error)),
    };
    shown.error = Some(error);
    page(StatusCode::UNPROCESSABLE_ENTITY, &shown)
}

/// `POST /console/customers/{customer}/terminals/{client}/end`
pub(crate) async fn end(
    State(state): State<Shared>,
    visit: Visit,
    Officer(login): Officer,
    Path(named): Path<(String, String)>,
    CheckedForm(fields): CheckedForm,
) -> Result<Response, Failure> {
    let actor = &login.session.actor;
    let (view, _) = find_terminal(&state, actor, &named).await?;
    let reason = fields.text("end-reason");
    let key = if fields.text("sure") != "yes" {
        "admin-sure-needed"
    } else {
        let done = match fields.text("end") {
            "lost" => state.authority.report_lost(actor, &view.terminal, reason).await,
            "retired" => state.authority.retire_terminal(actor, &view.terminal, reason).await,
            _ => return Err(Failure::BadForm),
        };
        match done {
            Ok(_) => return Ok(see_other(&terminal_path(&view.terminal))),
            Err(TerminalError::Forbidden) => return Err(Failure::NotOfficer),
            Err(TerminalError::InUse) => "admin-end-own",
            Err(TerminalError::Name | TerminalError::Note) => "admin-name-needed",
            Err(TerminalError::Reason) => "admin-reason-needed",
            Err(TerminalError::Retired) => "admin-end-already",
            Err(TerminalError::Internal(error)) => return Err(Failure::internal("changing a terminal", &error)),
        }
    };
    refused(&state, (&visit, &login), &named, key).await
}

/// `POST /console/customers/{customer}/terminals/{client}/revoke`
pub(crate) async fn revoke(
    State(state): State<Shared>,
    visit: Visit,
    Officer(login): Officer,
    Path(named): Path<(String, String)>,
    CheckedForm(fields): CheckedForm,
) -> Result<Response, Failure> {
    let actor = &login.session.actor;
    let (view, _) = find_terminal(&state, actor, &named).await?;
    if fields.text("sure") != "yes" {
        return refused(&state, (&visit, &login), &named, "admin-sure-needed").await;
    }
    let Some(why) = RevocationReason::parse(fields.text("why")) else {
        return refused(&state, (&visit, &login), &named, "console-reason-needed").await;
    };
    let serial = fields.text("serial").parse().map_err(|_| Failure::BadForm)?;
    let cert = state.authority.reader().certificate_by_serial(actor.scope(), serial).await;
    let cert = cert.map_err(|error| Failure::internal("looking for a certificate", &error))?;
    let cert = cert.filter(|cert| cert.terminal == view.terminal.id).ok_or(Failure::NoSuchPage)?;
    if view.terminal.id == login.session.terminal {
        return refused(&state, (&visit, &login), &named, "admin-end-own").await;
    }
    match state.authority.revoke(actor, &cert, why).await {
        // Revoked before is what was wanted.
        Ok(_) | Err(RevokeError::Already) => Ok(see_other(&terminal_path(&view.terminal))),
        Err(RevokeError::Forbidden) => Err(Failure::NotOfficer),
        Err(error) => Err(Failure::internal("revoking a certificate", &error)),
    }
}

async fn refused(
    state: &Shared,
    (visit, login): (&Visit, &LoggedIn),
    named: &(String, String),
    key: &str,
) -> Result<Response, Failure> {
    let mut shown = terminal(state, visit, login, named).await?;
    shown.error = Some(visit.lang.t(key));
    page(StatusCode::UNPROCESSABLE_ENTITY, &shown)
}

/// The page as it stands.
async fn terminal(
    state: &Shared,
    visit: &Visit,
    login: &LoggedIn,
    named: &(String, String),
) -> Result<TerminalPage, Failure> {
    let actor = &login.session.actor;
    let (view, customer) = find_terminal(state, actor, named).await?;
    let (scope, reader) = (actor.scope(), state.authority.reader());
    let failed = |error| Failure::internal("looking at a terminal", &error);
    let certificates = reader.certificates_of_terminal(scope, view.terminal.id).await.map_err(failed)?;
    let log = state.authority.log_of_terminal(actor, &view.terminal, ROWS).await;
    let log = log.map_err(|error| Failure::internal("reading the operation log", &error))?;
    let people = reader.users_of(scope, customer.id).await.map_err(failed)?;
    let others = match view.recoverable {
        true => state
            .authority
            .terminals_of(actor, customer.id)
            .await
            .map_err(|error| Failure::internal("listing terminals", &error))?,
        false => Vec::new(),
    };
    let file_name = state.authority.rules().file_name.file_name(&customer.code, &view.terminal);
    let facts = Facts { view, customer, file_name, certificates, log, people, others };
    let f = Frame::new(&state.portal, visit, "console-terminal", "console-terminal").of(login);
    let mut shown = bare(f, &facts, state.authority.now(), &state.portal.own_url);
    shown.may_act = may(actor, Privilege::Terminals, facts.customer.id);
    shown.own = facts.view.terminal.id == login.session.terminal;
    Ok(shown)
}

fn bare(mut f: Frame, facts: &Facts, now: Timestamp, own_url: &str) -> TerminalPage {
    let Facts { view, customer, certificates, people, others, .. } = facts;
    let lang = f.lang;
    f.title = format!("{} {}", customer.name, view.terminal.name);
    let can_live = |cert: &&CertRecord| cert.revoked.is_none() && cert.not_after >= now;
    let connects = |other: &&TerminalView| other.until.is_some() && other.terminal.id != view.terminal.id;
    let helps = matches!(view.condition, Condition::Expired);
    let helpers = helps.then(|| {
        let people = people.iter().filter(|user| user.role == Role::CustomerAdmin).map(|user| user.name.clone());
        let places = others.iter().filter(connects).take(5).map(|other| other.terminal.name.clone());
        (people.collect(), places.collect())
    });
    TerminalPage {
        row: RowOf::of(lang, view, now),
        id: customer.id.to_string(),
        customer: customer.name.clone(),
        file_name: facts.file_name.clone(),
        path: terminal_path(&view.terminal),
        revocable: certificates.iter().filter(can_live).map(|cert| cert.serial.to_string()).collect(),
        certificates: certificates.iter().map(|cert| CertLine::of(lang, cert, now)).collect(),
        reasons: RevocationReason::ALL.iter().map(|(_, word)| *word).collect(),
        helpers,
        log: facts.log.iter().map(|row| line(lang, row)).collect(),
        may_act: false,
        can_help: view.recoverable,
        own: false,
        code: None,
        address: format!("{}/recovery", own_url.trim_end_matches('/')),
        error: None,
        replace: false,
        f,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use tegata_core::access::Role;
    use tegata_core::id::UserId;

    use super::super::tests::{cert, midori};
    use super::*;
    use crate::admin::terminals::tests::view;
    use crate::frame::sample;

    fn rendered(lang: Lang, condition: Condition, change: impl Fn(&mut TerminalPage)) -> String {
        let now = Timestamp::parse("2026-11-24").expect("valid");
        let user = User {
            id: UserId(1),
            customer: midori().id,
            name: "jimu".into(),
            role: Role::CustomerAdmin,
            created_at: Timestamp(0),
        };
        let mut other = view(2, "診察室", Condition::InUse, Some("2029-01-22"));
        other.terminal.id = tegata_core::id::TerminalId::from_random([2; 16]);
        let revoked = CertRecord { revoked: Some((now, RevocationReason::KeyCompromise)), ..cert(2, "2028-01-21") };
        let facts = Facts {
            view: view(1, "受付1", condition, None),
            customer: midori(),
            file_name: "103001_JP_u00000001_client001.p12".into(),
            certificates: vec![cert(1, "2027-01-21"), revoked, cert(3, "2026-01-21")],
            log: vec![],
            people: vec![user],
            others: vec![other],
        };
        let f = sample::frame(lang, "console-terminal", "console-terminal");
        let mut page = bare(f, &facts, now, "https://localhost:8443");
        page.may_act = true;
        change(&mut page);
        page.render().expect("a page")
    }

    /// Samples of this page.
    pub(crate) fn samples(lang: Lang) -> Vec<(String, String)> {
        let code = || (vec!["1234".to_owned(), "5678".to_owned()], sample::moment(lang, "2026-11-24"));
        let conditions = [
            Condition::Expired,
            Condition::Revoked,
            Condition::EndsSoon,
            Condition::Due,
            Condition::Waiting,
            Condition::Fetched,
            Condition::InUse,
            Condition::Empty,
            Condition::Retired,
        ];
        let mut all: Vec<(String, String)> = conditions
            .into_iter()
            .map(|condition| (format!("console-terminal-{}", condition.as_str()), rendered(lang, condition, |_| {})))
            .collect();
        let expired = |change: &dyn Fn(&mut TerminalPage)| rendered(lang, Condition::Expired, change);
        all.push(("console-terminal-help-desk".into(), expired(&|page| page.may_act = false)));
        all.push(("console-terminal-code".into(), expired(&|page| page.code = Some(code()))));
        all.push(("console-terminal-error".into(), expired(&|page| page.error = Some(lang.t("admin-sure-needed")))));
        all
    }

    fn named(name: &str) -> String {
        samples(Lang::Ja).into_iter().find(|(known, _)| known == name).expect("there").1
    }

    #[test]
    fn who_may_not_act_sees_no_form_and_is_told_who_can_help() {
        let html = named("console-terminal-help-desk");
        assert!(!html.contains("method=\"post\" action=\"/console"), "{html}");
        assert!(html.contains("jimu") && html.contains("診察室"));
        let officers = named("console-terminal-expired");
        for form in ["/recovery\"", "/end\"", "/revoke\""] {
            assert!(officers.contains(&format!("action=\"/console/customers/u00000001/terminals/1{form}")), "{form}");
        }
        assert_eq!(officers.matches("<option value=\"2").count(), 1, "only what is neither past nor revoked");
    }

    #[test]
    fn each_certificate_says_how_it_stands_and_expired_is_not_revoked() {
        let html = named("console-terminal-in-use");
        for part in ["使用中", "失効（無効化） (鍵の漏えい)", "期限切れ"] {
            assert!(html.contains(part), "{part}");
        }
    }
}
