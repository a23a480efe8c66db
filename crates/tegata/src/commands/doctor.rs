//! `tegata doctor`: looks at a deployment and names each weakness with its remedy. Exit code 1 when something needs doing now.

mod log;

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::json;
use tegata_core::access::Actor;
use tegata_core::customer::{Customer, CustomerKind};
use tegata_core::profile::KeyKind;
use tegata_core::time::{Clock, Days};
use tegata_pki::issuer::IssuerCert;
use tegata_pki::pem;
use tegata_store::{CertFilter, Database, ParcelFilter, Reader};

use crate::config::Checked;
use crate::deployment;
use crate::out::Out;
use crate::system::SystemClock;

/// How serious a finding is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Level {
    Good,
    Advice,
    Problem,
}

struct Finding {
    level: Level,
    what: String,
    remedy: &'static str,
}

/// Runs the command.
pub async fn run(path: &Path, out: Out) -> anyhow::Result<ExitCode> {
    let checked = deployment::config(path)?;
    let mut findings = Vec::new();
    tls(&checked, &mut findings);
    files(&checked, &mut findings);
    issuing_ca(&checked, &mut findings);
    status(&checked, &mut findings);
    database(&checked, &mut findings);
    match deployment::register(&checked).await {
        Ok(store) => {
            elders(&checked, &store.reader(), &mut findings).await?;
            register(&store.reader(), &mut findings).await?;
            notices(&checked, &store.reader(), &mut findings).await?;
            log::log(&checked, &store.reader(), &mut findings).await?;
            log::backup(&store.reader(), &mut findings).await?;
        }
        Err(error) => findings.push(problem(
            format!("{error:#}"),
            "see that the server runs and lets us in, restore the database, or run `tegata init` for a new deployment",
        )),
    }
    let lines: Vec<String> = findings.iter().map(line).collect();
    let values: Vec<_> =
        findings.iter().map(|f| json!({ "level": word(f.level), "what": f.what, "remedy": f.remedy })).collect();
    out.say(&lines.join("\n"), &json!({ "findings": values }))?;
    let bad = findings.iter().any(|finding| finding.level == Level::Problem);
    Ok(if bad { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn word(level: Level) -> &'static str {
    match level {
        Level::Good => "good",
        Level::Advice => "advice",
        Level::Problem => "problem",
    }
}

fn line(finding: &Finding) -> String {
    let mark = match finding.level {
        Level::Good => "ok      ",
        Level::Advice => "advice  ",
        Level::Problem => "PROBLEM ",
    };
    let remedy = if finding.remedy.is_empty() { String::new() } else { format!("\n          -> {}", finding.remedy) };
    format!("{mark}  {}{remedy}", finding.what)
}

fn good(what: impl Into<String>) -> Finding {
    Finding { level: Level::Good, what: what.into(), remedy: "" }
}

fn advice(what: impl Into<String>, remedy: &'static str) -> Finding {
    Finding { level: Level::Advice, what: what.into(), remedy }
}

fn problem(what: impl Into<String>, remedy: &'static str) -> Finding {
    Finding { level: Level::Problem, what: what.into(), remedy }
}

fn tls(checked: &Checked, findings: &mut Vec<Finding>) {
    findings.push(match &checked.config.server.allow_tls12 {
        None => good("TLS 1.3 only"),
        Some(reason) => advice(
            format!("TLS 1.2 is on: {reason}"),
            "the guideline for medical systems asks for TLS 1.3: end the exception as soon as its reason is gone",
        ),
    });
    if let Some(orca) = &checked.config.orca {
        findings.push(match &orca.allow_tls12 {
            None => advice(
                "the listener for ORCA's programs speaks TLS 1.3 only: monsiaj cannot connect to it",
                "write the reason into orca.allow_tls12 if monsiaj is in use",
            ),
            Some(reason) => advice(
                format!("TLS 1.2 is on for ORCA's programs (orca.allow_tls12): {reason}"),
                "the guideline for medical systems asks for TLS 1.3: end the exception as soon as its reason is gone",
            ),
        });
    }
    let est = checked.config.est.as_ref().and_then(|est| est.allow_tls12.as_ref());
    let proxies = checked.config.forward_auth.as_ref().and_then(|asked| asked.allow_tls12.as_ref());
    for (whom, reason) in [("EST (est.allow_tls12)", est), ("other proxies (forward_auth.allow_tls12)", proxies)] {
        if let Some(reason) = reason {
            findings.push(advice(
                format!("TLS 1.2 is on for {whom}: {reason}"),
                "the guideline for medical systems asks for TLS 1.3: end the exception as soon as its reason is gone",
            ));
        }
    }
    if checked.config.server.alias_urls.is_empty() {
        findings.push(advice(
            "no alias host name: 「証明書を選び直す」 can only say \"close the browser\"",
            "add a second DNS name of the server to server.alias_urls and server.hosts",
        ));
    }
    if checked.config.portal.support_phone.is_none() {
        findings.push(advice("no support phone on the pages of locked-out terminals", "set portal.support_phone"));
    }
    if checked.terminal_profile.allows(KeyKind::Rsa2048) {
        findings.push(advice(
            "the terminal profile allows RSA-2048, which ends with 2030",
            "remove rsa2048 from key_kinds unless old programs need it",
        ));
    }
}

fn files(checked: &Checked, findings: &mut Vec<Finding>) {
    let keys = checked.path(&checked.config.authority.key_folder);
    if keys.join("root.sealed").exists() {
        findings.push(advice(
            "the root CA's sealed key is on this machine",
            "move keys/root.sealed to an offline medium; it is needed only to make another issuing CA",
        ));
    } else {
        findings.push(good("the root CA's key is offline"));
    }
    let mut private = vec![keys.join("issuing.sealed"), keys.join("vault.sealed")];
    private.extend(checked.database().iter().filter_map(|database| database.file().map(Path::to_owned)));
    private.extend(checked.config.store.password_file.as_ref().map(|path| checked.path(path)));
    let orca = checked.config.orca.as_ref().and_then(|orca| orca.key_file.as_ref());
    private.extend(checked.config.server.key_file.iter().chain(orca).map(|path| checked.path(path)));
    let lost = "restore it from the backup: nothing works without it";
    let private = private.iter().map(|path| private_file(path).unwrap_or_else(|error| problem(error, lost)));
    findings.extend(private);
}

/// Whether only its owner can read a file; an error where it cannot be looked at.
fn private_file(path: &Path) -> Result<Finding, String> {
    let meta = std::fs::metadata(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    Ok(if meta.permissions().mode() & 0o077 != 0 {
        problem(format!("{} can be read by others", path.display()), "chmod 600 it")
    } else {
        good(format!("{name} is readable by its owner only"))
    })
}

fn issuing_file(checked: &Checked) -> PathBuf {
    checked.path(&checked.config.authority.certificate_folder).join("issuing.pem")
}

fn read_issuing(checked: &Checked) -> Option<IssuerCert> {
    let text = std::fs::read_to_string(issuing_file(checked)).ok()?;
    IssuerCert::from_der(pem::certificates(&text).ok()?.first()?).ok()
}

fn issuing_ca(checked: &Checked, findings: &mut Vec<Finding>) {
    let path = issuing_file(checked);
    let Some(cert) = read_issuing(checked) else {
        findings.push(problem(format!("{} cannot be read", path.display()), "restore it from the backup"));
        return;
    };
    let now = SystemClock.now();
    let validity = cert.validity();
    if now < validity.not_before {
        let what = format!("the clock says {now}, before the issuing CA began ({})", validity.not_before);
        findings.push(problem(what, "set the clock (chronyd or systemd-timesyncd)"));
    }
    let full_life = checked.terminal_profile.end_from(now);
    findings.push(if validity.not_after < full_life {
        advice(
            format!("the issuing CA ends {}: new certificates no longer get their full life", validity.not_after),
            "plan another issuing CA",
        )
    } else {
        good(format!("the issuing CA lives until {}", validity.not_after))
    });
}

fn status(checked: &Checked, findings: &mut Vec<Finding>) {
    findings.push(match &checked.config.status {
        None => advice(
            "certificate status (OCSP) is not answered and no revocation lists (CRL) are given: programs of others cannot tell that a certificate is revoked",
            "fill in [status] (listen, url) if there are such programs; only certificates made after that name the addresses",
        ),
        Some(status) if status.listen.is_none() => advice(
            format!("certificates name {} for their status and their revocation lists, which this node does not answer", status.url),
            "see that another node does, or set status.listen",
        ),
        Some(status) => good(format!("certificate status is answered at {}, revocation lists are given there", status.url)),
    });
}

/// The keys of earlier issuing CAs, without which the status of their certificates is not answered and their revocation lists are not signed. Whether they open shows at the start.
async fn elders(checked: &Checked, reader: &Reader, findings: &mut Vec<Finding>) -> anyhow::Result<()> {
    let answers = checked.config.status.as_ref().is_some_and(|status| status.listen.is_some());
    let Some(own) = read_issuing(checked).filter(|_| answers) else { return Ok(()) };
    let keys = checked.path(&checked.config.authority.key_folder);
    let rows = reader.issuers(Actor::System { job: "doctor" }.scope()).await?;
    let now = SystemClock.now();
    for row in rows.iter().take_while(|row| row.der != own.der()).filter(|row| row.not_after >= now) {
        let file = keys.join(tegata_authority::elders::key_file(&IssuerCert::from_der(&row.der)?));
        findings.push(private_file(&file).unwrap_or_else(|error| {
            advice(
                format!("the status of the certificates of {} is not answered here, and its revocation list is not signed: {error}", row.name),
                "put the key back from the backup or from another node, unless all of them have expired, and start the server again",
            )
        }));
    }
    Ok(())
}

fn database(checked: &Checked, findings: &mut Vec<Finding>) {
    let Ok(Database::Server(server)) = checked.database() else { return };
    findings.push(if server.is_exposed() {
        advice(
            format!("the connection to {server} does not prove that it leads to that server"),
            "write sslmode=verify-full and sslrootcert=/path/to/ca.pem into store.database",
        )
    } else {
        good(format!("the register is at {server}"))
    });
    if server.holds_password() {
        findings.push(advice(
            "the password of the database stands in store.database",
            "put it into a file of its own and name that in store.password_file",
        ));
    }
}

/// Whether people and programs hear of what ends.
async fn notices(checked: &Checked, reader: &Reader, findings: &mut Vec<Finding>) -> anyhow::Result<()> {
    let scope = Actor::System { job: "doctor" }.scope();
    if checked.config.mail.is_none() {
        findings.push(advice(
            "nobody is reminded of ends by mail",
            "fill in [mail] in the configuration, and try it: `tegata notify test`",
        ));
    } else {
        let contacts = reader.contacts(scope, None).await?;
        let customers = reader.customers(scope).await?;
        let told = |customer: &&Customer| contacts.iter().any(|contact| contact.customer == customer.id);
        let untold =
            customers.iter().filter(|customer| customer.kind == CustomerKind::Clinic && !told(customer)).count();
        findings.push(match untold {
            0 => good("every clinic has somebody who is reminded by mail"),
            untold => advice(
                format!("{untold} clinic(s) have nobody who is reminded by mail"),
                "`tegata notify contacts add`, or the clinic's administrator: 管理画面, 連絡先とお知らせ",
            ),
        });
    }
    let failed = ParcelFilter { failed: true, ..ParcelFilter::default() };
    let failed = reader.parcels(scope, failed, 1000).await?;
    if let Some(last) = failed.first() {
        let error = last.last_error.as_deref().unwrap_or_default();
        findings.push(problem(
            format!("{} notice(s) did not arrive; the last one: {error}", failed.len()),
            "`tegata notify outbox --failed` lists them; mend the cause, then `tegata notify retry`",
        ));
    }
    Ok(())
}

async fn register(reader: &Reader, findings: &mut Vec<Finding>) -> anyhow::Result<()> {
    let scope = Actor::System { job: "doctor" }.scope();
    let now = SystemClock.now();
    let filter = CertFilter {
        ending_from: Some(now),
        ending_before: Some(now.plus_days(Days(30))),
        revoked: Some(false),
        ..CertFilter::default()
    };
    let ending = reader.certificates(scope, &filter, 10_000).await?;
    let mut alone = 0;
    for cert in &ending {
        let siblings = reader.certificates_of_terminal(scope, cert.terminal).await?;
        let covered = siblings
            .iter()
            .any(|other| other.used_at.is_some() && other.revoked.is_none() && other.not_after > cert.not_after);
        alone += usize::from(!covered);
    }
    findings.push(if alone == 0 {
        good("no terminal loses its last certificate within 30 days")
    } else {
        problem(
            format!("{alone} terminal(s) lose their last certificate within 30 days and have not used a newer one"),
            "`tegata cert list --expiring-before DATE` names them: call these clinics",
        )
    });
    Ok(())
}
