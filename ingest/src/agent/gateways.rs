//! Posts reports to gateways, and proves whose they are: by a signature with the computer's own key, by
//! its certificate, or both.
//!
//! Key and certificates are read again when they change, so that they can be renewed without a restart.
//! A redirection is not followed: it would lead a signed report elsewhere.

use std::io::Write as _;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use flate2::Compression;
use flate2::write::GzEncoder;
use ureq::Proxy;
use ureq::tls::{Certificate, ClientCert, PemItem, PrivateKey, RootCerts, TlsConfig, parse_pem};

use super::config::IdentityConfig;
use super::route::Outcome;
use super::spool::Kind;
use crate::security::reload::{Refresh as _, Refreshed, Reloading};
use crate::security::{Credential, Key, Subject};

/// A client of all gateways.
#[derive(Clone)]
pub struct Gateways {
    client: Arc<Reloading<Client>>,
    urls: Arc<[String]>,
}

/// An HTTP client that proves who it is.
pub(crate) struct Client {
    pub(crate) http: ureq::Agent,
    pub(crate) credential: Option<Credential>,
}

impl Gateways {
    /// For the gateways at `urls`; an answer may take `timeout`. `computer` is whom `identity` proves.
    ///
    /// # Errors
    /// A file of `identity` cannot be read or does not hold what it should.
    pub fn new(
        urls: &[String],
        timeout: Duration,
        identity: &IdentityConfig,
        computer: &str,
    ) -> Result<Self, String> {
        let identity = identity.clone();
        let files = [
            &identity.key_file,
            &identity.certificate,
            &identity.certificate_key,
            &identity.gateway_ca,
        ];
        let files = files.into_iter().flatten().cloned().collect();
        let subject = Subject::Computer(computer.to_owned());
        let client = Reloading::open("identity", files, move |contents| {
            client(&identity, &subject, timeout, Proxy::try_from_env(), contents)
        })?;
        let urls = urls.iter().map(|url| url.trim_end_matches('/').to_owned()).collect();
        Ok(Self { client: Arc::new(client), urls })
    }

    /// Posts the JSON `report` to the gateway number `to`. Blocks.
    #[must_use]
    pub fn post(&self, to: usize, kind: Kind, report: &[u8]) -> Outcome {
        let Some(gateway) = self.urls.get(to) else { return Outcome::Failed };
        if let Refreshed::Kept(problem) = self.client.refresh() {
            tracing::error!(problem, "the identity changed and makes no sense; the former is used");
        }
        let client = self.client.get();
        let url = format!("{gateway}{}", kind.path());
        let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
        let Ok(body) = packed.write_all(report).and_then(|()| packed.finish()) else {
            return Outcome::Failed;
        };
        let mut request = client
            .http
            .post(&url)
            .header("Content-Type", "application/json")
            .header("Content-Encoding", "gzip");
        if let Some(credential) = &client.credential {
            // Signed as the gateway sees it: a path of the settings goes before the route's own.
            let path = request.uri_ref().map_or(kind.path(), |uri| uri.path()).to_owned();
            for (name, value) in credential.sign("POST", &path, &body, SystemTime::now()) {
                request = request.header(name, value);
            }
        }
        let mut answer = match request.send(&body[..]) {
            Ok(answer) => answer,
            Err(error) => {
                tracing::warn!(gateway, %error, "no answer");
                return Outcome::Failed;
            }
        };
        let after = answer.headers().get("Retry-After").and_then(|value| value.to_str().ok());
        let after = after.and_then(|value| value.parse().ok()).map(Duration::from_secs);
        let status = answer.status().as_u16();
        if (200..300).contains(&status) {
            return Outcome::Taken;
        }
        let said = answer.body_mut().read_to_string().unwrap_or_default();
        tracing::warn!(gateway, status, said, "not taken");
        match status {
            429 => Outcome::Slower(after),
            503 => Outcome::Busy(after),
            // What the report's own content is blamed for. Anything else may be a proxy's.
            400 | 413 | 415 | 422 => Outcome::Refused,
            _ => Outcome::Failed,
        }
    }
}

/// From the contents of the files that `identity` names, in the order of its fields.
pub(crate) fn client(
    identity: &IdentityConfig,
    subject: &Subject,
    timeout: Duration,
    proxy: Option<Proxy>,
    contents: &[Vec<u8>],
) -> Result<Client, String> {
    let mut contents = contents.iter();
    let mut next = |named: bool| named.then(|| contents.next()).flatten();
    let key = match next(identity.key_file.is_some()) {
        Some(text) => Some(
            Key::from_base64(&String::from_utf8_lossy(text))
                .map_err(|error| format!("identity.key_file: {error}"))?,
        ),
        None => identity.key.clone(),
    };
    let credential = match (identity.workspace, key) {
        (Some(workspace), Some(key)) => {
            Some(Credential { workspace, subject: subject.clone(), key })
        }
        _ => None,
    };
    let mut tls = TlsConfig::builder();
    let chain = next(identity.certificate.is_some());
    let chain_key = next(identity.certificate_key.is_some());
    if let (Some(chain), Some(key)) = (chain, chain_key) {
        let key = PrivateKey::from_pem(key)
            .map_err(|error| format!("identity.certificate_key: {error}"))?;
        let chain = certificates(chain, "identity.certificate")?;
        tls = tls.client_cert(Some(ClientCert::new_with_certs(&chain, key)));
    }
    tls = tls.root_certs(match next(identity.gateway_ca.is_some()) {
        Some(roots) => RootCerts::new_with_certs(&certificates(roots, "identity.gateway_ca")?),
        None => RootCerts::PlatformVerifier,
    });
    let http = ureq::Agent::config_builder()
        .timeout_global(Some(timeout))
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .proxy(proxy)
        .tls_config(tls.build())
        .user_agent(concat!("patchline-agent/", env!("CARGO_PKG_VERSION")))
        .build();
    Ok(Client { http: http.into(), credential })
}

fn certificates(pem: &[u8], setting: &str) -> Result<Vec<Certificate<'static>>, String> {
    let mut found = Vec::new();
    for item in parse_pem(pem) {
        if let PemItem::Certificate(certificate) =
            item.map_err(|error| format!("{setting}: {error}"))?
        {
            found.push(certificate);
        }
    }
    if found.is_empty() { Err(format!("{setting} holds no certificate")) } else { Ok(found) }
}
