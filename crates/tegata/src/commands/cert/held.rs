//! `tegata cert held`: the auditor's question, who held which certificate on a day, and who had it made. What became of a certificate is read from
//! the register, who had it made from the operation log.

use std::path::Path;

use anyhow::Context;
use tegata_core::audit::Action;
use tegata_core::cert::CertRecord;
use tegata_core::id::CustomerId;
use tegata_core::time::{Days, Timestamp};
use tegata_store::{AuditFilter, CertFilter, Reader};

use crate::commands::terminal::TerminalName;
use crate::deployment;
use crate::out::Out;

/// Which day, and of whom.
#[derive(clap::Args)]
pub struct Args {
    /// The day (of Japan).
    #[arg(long, value_name = "DATE", value_parser = day)]
    on: Timestamp,
    /// Only of this customer.
    #[arg(long)]
    customer: Option<CustomerId>,
    /// Only of this terminal.
    #[arg(long)]
    terminal: Option<TerminalName>,
    /// At most so many.
    #[arg(long, default_value_t = 10_000)]
    limit: u32,
}

fn day(text: &str) -> Result<Timestamp, String> {
    let day = Timestamp::parse(text).ok().filter(|_| text.len() == 10);
    day.map(Timestamp::jst_midnight).ok_or_else(|| "a day such as 2026-11-24".to_owned())
}

/// Runs the command.
pub async fn run(args: Args, path: &Path, out: Out) -> anyhow::Result<()> {
    let store = deployment::register(&deployment::config(path)?).await?;
    let (reader, scope) = (store.reader(), deployment::operator().scope());
    let terminal = match &args.terminal {
        Some(name) => Some(name.find(&reader).await?.id),
        None => None,
    };
    let held = Some((args.on, args.on.plus_days(Days(1))));
    let filter = CertFilter { customer: args.customer, terminal, held, ..CertFilter::default() };
    let mut rows = Vec::new();
    for cert in reader.certificates(scope, &filter, args.limit).await? {
        let terminal = reader.terminal(scope, cert.terminal).await?.context("the register has no such terminal")?;
        let text = |at: Option<Timestamp>| at.map(Timestamp::jst_text).unwrap_or_default();
        rows.push(vec![
            format!("{}/{}", terminal.customer, terminal.client),
            terminal.name,
            cert.serial.to_string(),
            cert.issued_at.jst_text(),
            made_by(&reader, &cert).await?,
            text(cert.used_at),
            cert.not_after.jst_text(),
            text(cert.revoked.map(|(at, _)| at)),
        ]);
    }
    rows.sort();
    let columns = ["terminal", "name", "serial", "issued", "made_by", "first_used", "until", "revoked"];
    Ok(out.table(&columns, &rows)?)
}

/// Who had it made, as the operation log says.
async fn made_by(reader: &Reader, cert: &CertRecord) -> anyhow::Result<String> {
    let filter = AuditFilter {
        terminal: Some(cert.terminal),
        serial: Some(cert.serial),
        action: Some(Action::CertificateIssued.as_str().to_owned()),
        ..AuditFilter::default()
    };
    let found = reader.audit_rows_of(deployment::operator().scope(), &filter, None, 1).await?;
    let row = found.into_iter().next();
    Ok(row.map(|row| format!("{} {}", row.actor_kind, row.actor_name).trim_end().to_owned()).unwrap_or_default())
}
