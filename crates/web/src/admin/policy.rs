//! ブラウザーの設定: files that take away the browser's question for a certificate, for whoever looks after the PCs.

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use http::StatusCode;
use tegata_authority::issuer_names;

use super::Admin;
use crate::error::Failure;
use crate::frame::{Frame, page};
use crate::policy::{BrowserPolicy, PolicyFile};
use crate::portal::bundle::attachment;
use crate::visit::Visit;
use crate::{PortalConfig, Shared};

/// Where the browsers of Linux look for policies.
const FOLDERS: [(&str, &str); 3] = [
    ("Google Chrome", "/etc/opt/chrome/policies/managed/"),
    ("Chromium", "/etc/chromium/policies/managed/"),
    ("Microsoft Edge", "/etc/opt/edge/policies/managed/"),
];

#[derive(Template)]
#[template(path = "admin-policy.html")]
struct PolicyPage {
    f: Frame,
    /// The rules, as they are typed into a console.
    rules: Vec<String>,
    folders: [(&'static str, &'static str); 3],
}

/// `GET /admin/browser-policy`
pub(crate) async fn show(State(state): State<Shared>, visit: Visit, Admin(login): Admin) -> Result<Response, Failure> {
    let rules = policy(&state).await?.rules().to_vec();
    let f = Frame::new(&state.portal, &visit, "admin-policy", "policy-title").of(&login);
    page(StatusCode::OK, &PolicyPage { f, rules, folders: FOLDERS })
}

/// `GET /admin/browser-policy/{file}`
pub(crate) async fn download(
    State(state): State<Shared>,
    Admin(_): Admin,
    Path(file): Path<String>,
) -> Result<Response, Failure> {
    let form = PolicyFile::named(&file).ok_or(Failure::NoSuchPage)?;
    Ok(attachment(form.content_type(), &file, policy(&state).await?.file(form)))
}

async fn policy(state: &Shared) -> Result<BrowserPolicy, Failure> {
    let issuers = issuer_names(state.authority.reader()).await;
    let issuers = issuers.map_err(|error| Failure::internal("naming the issuing CAs", &error))?;
    Ok(BrowserPolicy::new(&issuers, &addresses(&state.portal)))
}

/// Where browsers are asked for a certificate.
fn addresses(portal: &PortalConfig) -> Vec<String> {
    std::iter::once(&portal.own_url).chain(&portal.alias_urls).cloned().collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::frame::sample;
    use crate::i18n::Lang;

    /// Samples of this page.
    pub(crate) fn samples(lang: Lang) -> Vec<(String, String)> {
        let rules =
            BrowserPolicy::new(&["Tegata Issuing CA 2026".into()], &addresses(&sample::portal())).rules().to_vec();
        let page = PolicyPage { f: sample::frame(lang, "admin-policy", "policy-title"), rules, folders: FOLDERS };
        vec![("admin-policy".into(), page.render().expect("a page"))]
    }

    #[test]
    fn every_file_is_offered_and_every_address_has_its_rule() {
        let (_, html) = samples(Lang::Ja).remove(0);
        for (_, _, name) in PolicyFile::ALL {
            assert!(html.contains(&format!("href=\"/admin/browser-policy/{name}\"")), "{name}");
        }
        for address in ["https://localhost:8443", "https://alt1.localhost:8443", "https://alt2.localhost:8443"] {
            assert!(html.contains(&format!("pattern&#34;:&#34;{address}&#34;")), "{address}: {html}");
        }
    }
}
