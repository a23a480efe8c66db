//! `tegata cert issue | list | held | show | revoke`

mod held;

use std::path::{Path, PathBuf};

use anyhow::Context;
use serde_json::json;
use tegata_authority::custody::write_private;
use tegata_authority::{Authority, Handover, IssueOrder, RevocationOrder, RevocationTarget};
use tegata_core::cert::{CertRecord, Progress, RevocationReason};
use tegata_core::id::{CustomerId, Fingerprint, IssuerId, Serial};
use tegata_core::profile::KeyKind;
use tegata_core::terminal::Terminal;
use tegata_core::time::Timestamp;
use tegata_pki::pem;
use tegata_pki::pkcs12::Format;
use tegata_store::{CertFilter, Reader};

use super::terminal::TerminalName;
use crate::deployment;
use crate::out::Out;
use crate::system::SystemClock;

/// What to do with certificates.
#[derive(clap::Subcommand)]
pub enum Command {
    /// Issue a certificate for a terminal and write its .p12 and the password into a folder. Until both files are safely written, asking
    /// again gives the same certificate.
    #[command(after_help = "Examples:\n  tegata cert issue u00000001/client0001 --out handover/\n  \
        tegata cert issue u00000001/client0001 --not-after 2027-01-21 --out handover/")]
    Issue(IssueArgs),
    /// List certificates, those that end first on top, with the terminal to call.
    List {
        /// Only of this terminal.
        #[arg(long)]
        terminal: Option<TerminalName>,
        /// Only those that end before this time.
        #[arg(long, value_name = "TIME", value_parser = Timestamp::parse)]
        expiring_before: Option<Timestamp>,
        /// At most so many.
        #[arg(long, default_value_t = 1000)]
        limit: u32,
    },
    /// Who held which certificate on a day: every certificate that counted on it, who had it made, and what became of it.
    #[command(after_help = "Example:\n  tegata cert held --on 2026-11-24 --customer u00000001")]
    Held(held::Args),
    /// Show one.
    Show {
        /// Its serial (32 hex digits) or SHA-256 fingerprint (64).
        certificate: CertificateName,
    },
    /// Revoke one, at once and for good: its holder is locked out within a second. With key-compromise, also all that were renewed from
    /// it, and the terminal's logins and waiting bundle end: whoever had the key may have made them.
    #[command(after_help = "Example:\n  tegata cert revoke 20291122AB… --reason key-compromise")]
    Revoke {
        /// Its serial (32 hex digits) or SHA-256 fingerprint (64).
        certificate: CertificateName,
        /// Why: unspecified, key-compromise, superseded, cessation-of-operation.
        #[arg(long, value_parser = parse_reason)]
        reason: RevocationReason,
        /// Say what would be done, and do nothing.
        #[arg(long)]
        dry_run: bool,
    },
    /// Revoke all certificates of a customer, or all that an issuing CA signed, that are neither revoked nor past. Their terminals' logins,
    /// codes and invitations end, too. See how many they are with --dry-run, and name that number with --count.
    #[command(
        after_help = "Examples:\n  tegata cert revoke-all --customer u00000001 --reason cessation-of-operation --dry-run\n  \
        tegata cert revoke-all --customer u00000001 --reason cessation-of-operation --because \"contract ended\" --count 12\n  \
        tegata cert revoke-all --issuer 1 --reason superseded --because \"CA rolled over\" --count 4031"
    )]
    RevokeAll(RevokeAllArgs),
}

/// What `revoke-all` needs.
#[derive(clap::Args)]
pub struct RevokeAllArgs {
    /// All of this customer's terminals.
    #[arg(long, conflicts_with = "issuer", required_unless_present = "issuer")]
    customer: Option<CustomerId>,
    /// All that this issuing CA signed: its number in `tegata ca list`.
    #[arg(long, value_name = "NUMBER")]
    issuer: Option<i64>,
    /// Why: unspecified, key-compromise, superseded, cessation-of-operation.
    #[arg(long, value_parser = parse_reason)]
    reason: RevocationReason,
    /// Why, for the operation log.
    #[arg(long, required_unless_present = "dry_run")]
    because: Option<String>,
    /// How many they are. Where they are another number, nothing is done.
    #[arg(long, required_unless_present = "dry_run")]
    count: Option<u32>,
    /// Say how many they are, and do nothing.
    #[arg(long, conflicts_with = "count")]
    dry_run: bool,
}

/// What `issue` needs.
#[derive(clap::Args)]
pub struct IssueArgs {
    /// CUSTOMER/CLIENT such as u00000001/client0001, or the terminal's UUID.
    terminal: TerminalName,
    /// The folder for the files; made when it does not exist.
    #[arg(long, value_name = "FOLDER")]
    out: PathBuf,
    /// Its last second, instead of the scheduled one: 2027-01-21 (14:00 JST) or 2027-01-21T05:00:00Z.
    #[arg(long, value_name = "TIME", value_parser = Timestamp::parse)]
    not_after: Option<Timestamp>,
    /// The kind of key: p256, rsa2048, rsa3072; the profile's first one when left out.
    #[arg(long, value_name = "KIND")]
    key: Option<KeyKind>,
    /// Also where the terminal's user has pressed 更新 and has yet to fetch the result: that bundle is then gone.
    #[arg(long)]
    replace: bool,
    /// 標準 (standard, AES-256) or 互換 (compatible, 3DES; Windows Server 2016 and older, some Macs).
    #[arg(long, value_enum, default_value = "standard")]
    format: FormatName,
    /// Say what would be done, and do nothing.
    #[arg(long)]
    dry_run: bool,
}

/// The two formats of a .p12.
#[derive(Clone, Copy, clap::ValueEnum)]
pub enum FormatName {
    /// AES-256.
    Standard,
    /// 3DES and SHA-1.
    Compat,
}

impl From<FormatName> for Format {
    fn from(name: FormatName) -> Self {
        match name {
            FormatName::Standard => Self::Standard,
            FormatName::Compat => Self::Compat,
        }
    }
}

/// How an operator names a certificate.
#[derive(Clone, Debug)]
pub enum CertificateName {
    /// By serial.
    Serial(Serial),
    /// By fingerprint.
    Fingerprint(Fingerprint),
}

impl std::str::FromStr for CertificateName {
    type Err = tegata_core::id::ParseIdError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self::Fingerprint).or_else(|_| text.parse().map(Self::Serial))
    }
}

fn parse_reason(word: &str) -> Result<RevocationReason, String> {
    RevocationReason::parse(word)
        .ok_or_else(|| "unspecified, key-compromise, superseded or cessation-of-operation".to_owned())
}

impl CertificateName {
    async fn find(&self, reader: &Reader) -> anyhow::Result<CertRecord> {
        let scope = deployment::operator().scope();
        let found = match self {
            Self::Serial(serial) => reader.certificate_by_serial(scope, *serial).await?,
            Self::Fingerprint(fingerprint) => reader.certificate(scope, *fingerprint).await?,
        };
        found.ok_or_else(|| anyhow::anyhow!("no such certificate (see `tegata cert list`)"))
    }
}

/// Runs the command.
pub async fn run(command: Command, path: &Path, out: Out) -> anyhow::Result<()> {
    match command {
        Command::Issue(args) => hand_over(args, path, out).await,
        Command::List { terminal, expiring_before, limit } => list(terminal, expiring_before, limit, path, out).await,
        Command::Held(args) => held::run(args, path, out).await,
        Command::Show { certificate } => show(&certificate, path, out).await,
        Command::RevokeAll(args) => revoke_all(args, path, out).await,
        Command::Revoke { certificate, reason, dry_run } => revoke(&certificate, reason, dry_run, path, out).await,
    }
}

async fn hand_over(args: IssueArgs, path: &Path, out: Out) -> anyhow::Result<()> {
    let (_, authority) = deployment::open(path).await?;
    let terminal = args.terminal.find(authority.reader()).await?;
    if args.dry_run {
        let text = format!("would issue a certificate for {}/{} {}", terminal.customer, terminal.client, terminal.name);
        return Ok(out.say(&text, &json!({ "would_issue_for": terminal.id.to_string() }))?);
    }
    let order = IssueOrder { end: args.not_after, kind: args.key, replace: args.replace };
    let issued = issue(&authority, &terminal, &args.out, order, args.format.into()).await;
    authority.close().await;
    let (written, handover) = issued?;
    let mut whole = value(&handover.certificate);
    whole["p12"] = json!(written.p12);
    whole["password_file"] = json!(written.password);
    let text = format!(
        "issued {} until {}\n  {}\n  {} (the password: give it by another way than the file)",
        handover.certificate.serial,
        handover.certificate.not_after,
        written.p12.display(),
        written.password.display(),
    );
    Ok(out.say(&text, &whole)?)
}

async fn list(
    terminal: Option<TerminalName>,
    ending_before: Option<Timestamp>,
    limit: u32,
    path: &Path,
    out: Out,
) -> anyhow::Result<()> {
    let store = deployment::register(&deployment::config(path)?).await?;
    let reader = store.reader();
    let terminal = match terminal {
        Some(name) => Some(name.find(&reader).await?.id),
        None => None,
    };
    let filter = CertFilter { terminal, ending_before, ..CertFilter::default() };
    let scope = deployment::operator().scope();
    let certificates = reader.certificates(scope, &filter, limit).await?;
    let mut rows = Vec::with_capacity(certificates.len());
    for cert in &certificates {
        let terminal = reader.terminal(scope, cert.terminal).await?.context("the register has no such terminal")?;
        rows.push(vec![
            cert.not_after.to_string(),
            state(cert).to_owned(),
            format!("{}/{}", terminal.customer, terminal.client),
            terminal.name,
            cert.serial.to_string(),
        ]);
    }
    Ok(out.table(&["not_after", "state", "terminal", "name", "serial"], &rows)?)
}

async fn show(certificate: &CertificateName, path: &Path, out: Out) -> anyhow::Result<()> {
    let store = deployment::register(&deployment::config(path)?).await?;
    let whole = value(&certificate.find(&store.reader()).await?);
    let fields = whole.as_object().into_iter().flatten();
    let lines: Vec<String> =
        fields.map(|(name, value)| format!("{name:<13} {}", value.as_str().unwrap_or("-"))).collect();
    Ok(out.say(&lines.join("\n"), &whole)?)
}

async fn revoke(
    certificate: &CertificateName,
    reason: RevocationReason,
    dry_run: bool,
    path: &Path,
    out: Out,
) -> anyhow::Result<()> {
    let (_, authority) = deployment::open(path).await?;
    let cert = certificate.find(authority.reader()).await?;
    let serial = cert.serial.to_string();
    if dry_run {
        return Ok(out.say(&format!("would revoke {serial}"), &json!({ "would_revoke": serial }))?);
    }
    let revoked = authority.revoke(&deployment::operator(), &cert, reason).await;
    let scope = deployment::operator().scope();
    let now = tegata_core::time::Clock::now(&SystemClock);
    let mut left = authority.reader().certificates_of_terminal(scope, cert.terminal).await?;
    left.retain(|other| other.revoked.is_none() && other.not_after >= now);
    authority.close().await;
    let revoked: Vec<String> = revoked?.iter().map(ToString::to_string).collect();
    let left: Vec<String> = left.iter().map(|other| other.serial.to_string()).collect();
    let mut text = format!("revoked {}", revoked.join(", "));
    if !left.is_empty() {
        text += &format!("\nstill valid for the same terminal: {}", left.join(", "));
    }
    Ok(out.say(&text, &json!({ "revoked": revoked, "still_valid": left }))?)
}

/// The files of a hand-over.
pub struct Written {
    /// The bundle.
    pub p12: PathBuf,
    /// Its password.
    pub password: PathBuf,
}

/// Issues, writes both files durably, and only then lets the register forget the key.
pub async fn issue(
    authority: &Authority,
    terminal: &Terminal,
    folder: &Path,
    order: IssueOrder,
    format: Format,
) -> anyhow::Result<(Written, Handover)> {
    let operator = deployment::operator();
    let again = "nothing is lost: run the same command again";
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
    let handover = authority.issue(&operator, terminal, order).await?;
    let file = authority.handover_file(terminal, &handover, format).await?;
    // The serial keeps two certificates from ever sharing a file, whatever the template of the name is.
    let base = handover.file_name.strip_suffix(".p12").unwrap_or(&handover.file_name);
    let name = format!("{base}-{}", handover.certificate.serial);
    let written =
        Written { p12: folder.join(format!("{name}.p12")), password: folder.join(format!("{name}.password.txt")) };
    for stale in [&written.p12, &written.password] {
        if stale.exists() {
            std::fs::remove_file(stale).context(again)?; // of an attempt that was cut off
        }
    }
    write_private(&written.p12, file.expose()).context(again)?;
    write_private(&written.password, format!("{}\n", handover.password.expose()).as_bytes()).context(again)?;
    authority.handed_over(&operator, &handover.certificate).await.context(again)?;
    Ok((written, handover))
}

/// A certificate's PEM chain: itself and the issuing CA.
pub fn pem_chain(authority: &Authority, leaf: &[u8]) -> String {
    pem::certificate(leaf) + &pem::certificate(authority.ca().cert.der())
}

async fn revoke_all(args: RevokeAllArgs, path: &Path, out: Out) -> anyhow::Result<()> {
    let RevokeAllArgs { customer, issuer, reason, because, count, dry_run } = args;
    let (_, authority) = deployment::open(path).await?;
    let (actor, scope) = (deployment::operator(), deployment::operator().scope());
    let target = match (customer, issuer) {
        (Some(id), _) => {
            let found = authority.reader().customer(scope, id).await?;
            found.ok_or_else(|| anyhow::anyhow!("no customer {id} (see `tegata customer list`)"))?;
            RevocationTarget::Customer(id)
        }
        (None, Some(id)) => {
            let found = authority.reader().issuers(scope).await?.into_iter().find(|issuer| issuer.id.0 == id);
            found.ok_or_else(|| anyhow::anyhow!("no issuing CA {id} (see `tegata ca list`)"))?;
            RevocationTarget::Issuer(IssuerId(id))
        }
        (None, None) => anyhow::bail!("name --customer or --issuer"),
    };
    if dry_run {
        let count = authority.revocable(&actor, target).await?;
        authority.close().await;
        let text = format!("would revoke {count} certificates ({}); do it with --count {count}", reason.as_str());
        return Ok(out.say(&text, &json!({ "would_revoke": count }))?);
    }
    let (because, count) = (because.unwrap_or_default(), count.unwrap_or_default());
    let done = authority.revoke_all(&actor, RevocationOrder { target, reason, because, count }).await;
    authority.close().await;
    let revoked = done?;
    Ok(out.say(&format!("revoked {revoked} certificates"), &json!({ "revoked": revoked }))?)
}

/// Where a certificate stands, in one word.
pub fn state(cert: &CertRecord) -> &'static str {
    let now = tegata_core::time::Clock::now(&SystemClock);
    match cert.progress() {
        _ if cert.revoked.is_some() => "revoked",
        _ if now > cert.not_after => "expired",
        Progress::Issued => "issued",
        Progress::Downloaded => "downloaded",
        Progress::Used => "used",
    }
}

/// A certificate for programs.
pub fn value(cert: &CertRecord) -> serde_json::Value {
    json!({
        "serial": cert.serial.to_string(),
        "fingerprint": cert.fingerprint.to_string(),
        "terminal": cert.terminal.to_string(),
        "customer": cert.customer.to_string(),
        "profile": cert.profile,
        "key": cert.key_kind.as_str(),
        "not_before": cert.not_before.to_string(),
        "not_after": cert.not_after.to_string(),
        "issued_at": cert.issued_at.to_string(),
        "state": state(cert),
        "used_at": cert.used_at.map(|at| at.to_string()),
        "revoked_at": cert.revoked.map(|(at, _)| at.to_string()),
        "reason": cert.revoked.map(|(_, reason)| reason.as_str()),
    })
}
