//! Hands mail to a mail server (RFC 5321), over STARTTLS or TLS whose certificate must be right; in plain only on this machine.

use std::time::Duration;

use anyhow::Context;
use futures_util::future::{BoxFuture, FutureExt as _};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, CertificateStore, Tls, TlsParameters, TlsVersion};
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor};
use tegata_authority::Undelivered;
use tegata_core::secret::Secret;

use super::Mailer;
use crate::config::{Checked, Mail, MailTls};

/// How long the server may take for each of its answers.
const ANSWER: Duration = Duration::from_secs(20);
/// What a server says about an address that it will never take (RFC 5321 section 4.2.3).
const NEVER: [u16; 4] = [550, 551, 553, 556];

/// A mail server.
pub struct Smtp(AsyncSmtpTransport<Tokio1Executor>);

impl Smtp {
    /// As the configuration says. Nothing is connected yet.
    pub fn new(checked: &Checked, mail: &Mail) -> anyhow::Result<Self> {
        let host = mail.host.clone().context("mail.host is missing")?;
        let tls = match mail.tls {
            MailTls::None => Tls::None,
            MailTls::Starttls => Tls::Required(parameters(checked, mail, &host)?),
            MailTls::Tls => Tls::Wrapper(parameters(checked, mail, &host)?),
        };
        let transport = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(host)
            .port(mail.port())
            .tls(tls)
            .timeout(Some(ANSWER));
        Ok(Self(match &mail.user {
            None => transport.build(),
            Some(user) => {
                let password = password(checked, mail)?;
                transport.credentials(Credentials::new(user.clone(), password.expose().clone())).build()
            }
        }))
    }
}

fn parameters(checked: &Checked, mail: &Mail, host: &str) -> anyhow::Result<TlsParameters> {
    let builder = TlsParameters::builder(host.to_owned()).set_min_tls_version(TlsVersion::Tlsv12);
    let builder = match &mail.ca_file {
        None => builder,
        Some(file) => {
            let file = checked.path(file);
            let pem = std::fs::read(&file).with_context(|| format!("mail.ca_file: {}", file.display()))?;
            let ca = Certificate::from_pem(&pem).with_context(|| format!("mail.ca_file: {}", file.display()))?;
            builder.certificate_store(CertificateStore::None).add_root_certificate(ca)
        }
    };
    builder.build_rustls().context("TLS for the mail server")
}

/// From TEGATA_MAIL_PASSWORD, or else from `mail.password_file`.
fn password(checked: &Checked, mail: &Mail) -> anyhow::Result<Secret<String>> {
    if let Ok(password) = std::env::var("TEGATA_MAIL_PASSWORD") {
        return Ok(Secret::new(password));
    }
    let file = mail.password_file.as_ref().context("mail.user needs mail.password_file, or TEGATA_MAIL_PASSWORD")?;
    let file = checked.path(file);
    let text =
        Secret::new(std::fs::read_to_string(&file).with_context(|| format!("mail.password_file: {}", file.display()))?);
    Ok(Secret::new(text.expose().lines().next().unwrap_or_default().to_owned()))
}

impl Mailer for Smtp {
    fn send<'m>(&'m self, _: &'m str, message: &'m Message) -> BoxFuture<'m, Result<(), Undelivered>> {
        async move {
            let sent = self.0.send(message.clone()).await;
            sent.map(|_| ()).map_err(|error| {
                let code = error.status().map(u16::from);
                let causes = std::iter::successors(Some(&error as &dyn std::error::Error), |error| error.source());
                let reason: Vec<String> = causes.map(ToString::to_string).collect();
                Undelivered { reason: reason.join(": "), for_good: code.is_some_and(|code| NEVER.contains(&code)) }
            })
        }
        .boxed()
    }
}
