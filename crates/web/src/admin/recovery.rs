//! One terminal, and the help for it: its new certificate is fetched here, or a code is made that is typed at the terminal itself. Both want a
//! reason, and both are in the operation log.

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use http::StatusCode;
use tegata_authority::{Help, NewRecovery, RecoverError, TerminalView};
use tegata_core::id::ClientNumber;
use tegata_core::renewal::PermitError;
use tegata_core::secret::Secret;
use tegata_pki::pkcs12::Format;

use super::Admin;
use super::terminals::RowOf;
use crate::Shared;
use crate::csrf::CheckedForm;
use crate::error::Failure;
use crate::frame::{Frame, Moment, page};
use crate::portal::bundle::{Fetch, failed, handed_out};
use crate::portal::password::groups;
use crate::portal::see_other;
use crate::session::LoggedIn;
use crate::visit::Visit;

#[derive(Template)]
#[template(path = "admin-terminal.html")]
pub(crate) struct TerminalPage {
    f: Frame,
    row: RowOf,
    /// Whether it may be helped at all.
    can_help: bool,
    /// What is wrong with what was sent.
    error: Option<String>,
    /// What was written as the reason.
    reason: String,
    /// Whether asking once more ends what is under way.
    replace: bool,
    /// What waits to be fetched here.
    waits: Option<Waits>,
    /// A code that was just made: its groups, and until when it counts.
    code: Option<(Vec<String>, Moment)>,
    /// Where the code is typed.
    address: String,
    /// What is wrong with what was sent about its name or its end.
    life_error: Option<String>,
    /// Whether the administrator sits at this very terminal.
    own: bool,
    /// Whether an enrolment code may be made.
    can_invite: bool,
    /// One that was just made, and until when it counts.
    pub(crate) invitation: Option<(String, Moment)>,
}

impl TerminalPage {
    /// With what is wrong with what was sent about its name or its end.
    pub(crate) fn saying(mut self, key: &str) -> Self {
        self.life_error = Some(self.f.t(key));
        self
    }
}

/// A certificate that can be fetched here.
pub(crate) struct Waits {
    /// Under which path it is fetched.
    pub(crate) base: String,
    pub(crate) file_name: String,
    pub(crate) not_after: Moment,
    pub(crate) until: Moment,
    /// The groups of the password, once it was asked for.
    pub(crate) groups: Vec<String>,
    pub(crate) compat: bool,
}

impl Waits {
    /// What a page shows of it.
    pub(crate) fn of(visit: &Visit, base: String, help: &Help, password: Option<&Secret<String>>) -> Self {
        Self {
            base,
            file_name: help.bundle.file_name.clone(),
            not_after: Moment::of(visit.lang, help.bundle.certificate.not_after),
            until: Moment::of(visit.lang, help.expires_at),
            groups: password.map(groups).unwrap_or_default(),
            compat: visit.format == Format::Compat,
        }
    }
}

/// `GET /admin/terminals/{client}`
pub(crate) async fn show(
    State(state): State<Shared>,
    visit: Visit,
    Admin(login): Admin,
    Path(client): Path<String>,
) -> Result<Response, Failure> {
    let view = find(&state, &login, &client).await?;
    let help = help(&state, &login, &view).await?;
    let mut shown = terminal(&state, &visit, &login, &view);
    shown.waits = help.map(|help| Waits::of(&visit, path_of(&view), &help, None));
    page(StatusCode::OK, &shown)
}

/// `POST /admin/terminals/{client}/recovery`
pub(crate) async fn begin(
    State(state): State<Shared>,
    visit: Visit,
    Admin(login): Admin,
    Path(client): Path<String>,
    CheckedForm(fields): CheckedForm,
) -> Result<Response, Failure> {
    let view = find(&state, &login, &client).await?;
    let (session, reason) = (&login.session, fields.text("reason"));
    let asked = (reason, fields.text("replace") == "yes");
    let done = match fields.text("way") {
        "here" => state.authority.recover_here(session, &view.terminal, asked).await.map(|()| None),
        "code" => state.authority.make_recovery_code(&session.actor, &view.terminal, asked).await.map(Some),
        _ => return Err(Failure::BadForm),
    };
    let mut shown = terminal(&state, &visit, &login, &view);
    match done {
        Ok(None) => return Ok(see_other(&path_of(&view))),
        Ok(Some(NewRecovery { code, expires_at, .. })) => {
            let groups = code.spoken().expose().split(' ').map(str::to_owned).collect();
            shown.code = Some((groups, Moment::of(visit.lang, expires_at)));
            return page(StatusCode::OK, &shown);
        }
        Err(RecoverError::Reason) => shown.error = Some(visit.lang.t("admin-reason-needed")),
        Err(RecoverError::Permit(PermitError::Revoked)) => shown.error = Some(visit.lang.t("admin-help-revoked")),
        Err(RecoverError::Permit(PermitError::NeverIssued)) => shown.error = Some(visit.lang.t("admin-help-never")),
        Err(RecoverError::Typed { until }) => {
            shown.error = Some(visit.lang.t1("admin-help-typed", "until", visit.lang.date_time(until)));
            shown.replace = true;
        }
        Err(RecoverError::Permit(refused)) => return Err(Failure::Refused(refused)),
        Err(error) => return Err(Failure::internal("recovering a terminal", &error)),
    }
    shown.reason = reason.chars().take(200).collect();
    page(StatusCode::UNPROCESSABLE_ENTITY, &shown)
}

/// `GET /admin/terminals/{client}/bundle.p12`
pub(crate) async fn download(
    State(state): State<Shared>,
    Admin(login): Admin,
    Path(client): Path<String>,
    fetch: Fetch,
) -> Result<Response, Failure> {
    let view = find(&state, &login, &client).await?;
    if fetch.is_from_elsewhere {
        return Ok(see_other(&path_of(&view)));
    }
    let help = help(&state, &login, &view).await?.ok_or(Failure::NoBundle)?;
    let file = state.authority.take_help(&help, fetch.format).await.map_err(failed)?;
    Ok(handed_out(&file))
}

/// `POST /admin/terminals/{client}/password`
pub(crate) async fn reveal(
    State(state): State<Shared>,
    visit: Visit,
    Admin(login): Admin,
    Path(client): Path<String>,
    CheckedForm(_): CheckedForm,
) -> Result<Response, Failure> {
    let view = find(&state, &login, &client).await?;
    let help = help(&state, &login, &view).await?.ok_or(Failure::NoBundle)?;
    let password = state.authority.reveal_help(&help).await.map_err(failed)?;
    let mut shown = terminal(&state, &visit, &login, &view);
    shown.waits = Some(Waits::of(&visit, path_of(&view), &help, Some(&password)));
    page(StatusCode::OK, &shown)
}

/// The terminal of the administrator's customer with this number.
pub(crate) async fn find(state: &Shared, login: &LoggedIn, client: &str) -> Result<TerminalView, Failure> {
    let plain = (1..=4).contains(&client.len()) && client.bytes().all(|byte| byte.is_ascii_digit());
    let number = client.parse().ok().filter(|_| plain).and_then(ClientNumber::new).ok_or(Failure::NoSuchPage)?;
    let found = state.authority.terminal_view(&login.session, number).await;
    found.map_err(|error| Failure::internal("looking for a terminal", &error))?.ok_or(Failure::NoSuchPage)
}

/// The address of a terminal's page.
pub(crate) fn path_of(view: &TerminalView) -> String {
    format!("/admin/terminals/{}", view.terminal.client.number())
}

async fn help(state: &Shared, login: &LoggedIn, view: &TerminalView) -> Result<Option<Help>, Failure> {
    let found = state.authority.help(&login.session, view.terminal.id).await;
    found.map_err(|error| Failure::internal("looking for what waits for a terminal", &error))
}

/// The page as it stands, before anything is said on it.
pub(crate) fn terminal(state: &Shared, visit: &Visit, login: &LoggedIn, view: &TerminalView) -> TerminalPage {
    let f = Frame::new(&state.portal, visit, "admin-terminal", "admin-terminal-title").of(login);
    let row = RowOf::of(visit.lang, view, state.authority.now());
    let own = view.terminal.id == login.session.terminal;
    TerminalPage { own, can_invite: view.invitable, ..bare(f, row, view.recoverable, &state.portal.own_url) }
}

fn bare(f: Frame, row: RowOf, can_help: bool, own_url: &str) -> TerminalPage {
    let address = own_url.trim_end_matches('/').to_owned();
    TerminalPage {
        f,
        row,
        can_help,
        error: None,
        reason: String::new(),
        replace: false,
        waits: None,
        code: None,
        address,
        life_error: None,
        own: false,
        can_invite: false,
        invitation: None,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use tegata_core::terminal::Condition;
    use tegata_core::time::Timestamp;

    use super::super::terminals::tests::view;
    use super::*;
    use crate::frame::sample;
    use crate::i18n::Lang;

    fn rendered(lang: Lang, condition: Condition, change: impl Fn(&mut TerminalPage)) -> String {
        let now = Timestamp::parse("2026-11-24").expect("valid");
        let row = RowOf::of(lang, &view(2, "診察室", condition, None), now);
        let f = sample::frame(lang, "admin-terminal", "admin-terminal-title");
        let can_help = condition == Condition::Expired;
        let mut page = bare(f, row, can_help, "https://localhost:8443");
        change(&mut page);
        page.render().expect("a page")
    }

    /// What waits, for samples.
    pub(crate) fn waits(lang: Lang, groups: &[&str]) -> Waits {
        Waits {
            base: "/admin/terminals/2".into(),
            file_name: "103001_JP_u00000001_client002.p12".into(),
            not_after: sample::moment(lang, "2029-11-27"),
            until: sample::moment(lang, "2026-11-24"),
            groups: groups.iter().map(|group| (*group).to_owned()).collect(),
            compat: false,
        }
    }

    /// Samples of this page.
    pub(crate) fn samples(lang: Lang) -> Vec<(String, String)> {
        let expired = |change: &dyn Fn(&mut TerminalPage)| rendered(lang, Condition::Expired, change);
        let code = || (vec!["1234".to_owned(), "5678".to_owned()], sample::moment(lang, "2026-11-24"));
        vec![
            ("admin-terminal".into(), expired(&|_| {})),
            ("admin-terminal-error".into(), expired(&|page| page.error = Some(lang.t("admin-reason-needed")))),
            ("admin-terminal-code".into(), expired(&|page| page.code = Some(code()))),
            ("admin-terminal-waits".into(), expired(&|page| page.waits = Some(waits(lang, &[])))),
            (
                "admin-terminal-password".into(),
                expired(&|page| page.waits = Some(waits(lang, &["abcde", "fghjk", "mnpqr", "23456"]))),
            ),
            ("admin-terminal-revoked".into(), rendered(lang, Condition::Revoked, |_| {})),
            ("admin-terminal-retired".into(), rendered(lang, Condition::Retired, |_| {})),
            ("admin-terminal-new".into(), rendered(lang, Condition::Empty, |page| page.can_invite = true)),
            (
                "admin-terminal-invited".into(),
                rendered(lang, Condition::InUse, |page| {
                    page.can_invite = true;
                    page.invitation = Some(("4F7K-92QX".to_owned(), sample::moment(lang, "2026-11-24")));
                }),
            ),
            ("admin-terminal-own".into(), expired(&|page| page.own = true)),
            ("admin-terminal-unsure".into(), expired(&|page| page.life_error = Some(lang.t("admin-sure-needed")))),
        ]
    }

    fn named(name: &str) -> String {
        samples(Lang::Ja).into_iter().find(|(known, _)| known == name).expect("there").1
    }

    #[test]
    fn a_revoked_terminal_has_no_way_to_be_helped_here() {
        assert!(named("admin-terminal").contains("/admin/terminals/2/recovery"));
        assert!(!named("admin-terminal-revoked").contains("/admin/terminals/2/recovery"));
        let condition =
            |html: &str| html.split_once("id=\"condition\">").map(|(_, rest)| rest.chars().take(2).collect());
        assert_eq!(condition(&named("admin-terminal-revoked")), Some("失効".to_owned()));
        assert_eq!(condition(&named("admin-terminal")), Some("期限".to_owned()), "expired is not revoked");
    }

    #[test]
    fn a_code_is_shown_with_what_is_typed_beside_it_and_where() {
        let html = named("admin-terminal-code");
        for part in ["1234", "5678", ">1-2<", "https://localhost:8443/recovery", "id=\"recovery-code\""] {
            assert!(html.contains(part), "{part}");
        }
    }
}
