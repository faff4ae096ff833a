//! An HTTP client that proves who it is: by a signature with a key of its own, by a certificate, or both.
//!
//! Key and certificates are read again when they change, so that they can be renewed without a restart.
//! A redirection is not followed: it would lead a signed report elsewhere.

use std::fmt;
use std::io::Write as _;
use std::time::{Duration, SystemTime};

use flate2::Compression;
use flate2::write::GzEncoder;
use ureq::tls::{Certificate, ClientCert, PemItem, PrivateKey, RootCerts, TlsConfig, parse_pem};
use ureq::{Body, Proxy, http};

use super::reload::{Refresh as _, Refreshed, Reloading};
use super::{Credential, Key, Subject};
use crate::agent::config::IdentityConfig;

/// A client whose requests prove that they are a subject's.
pub(crate) struct ProvenClient(Reloading<Client>);

impl fmt::Debug for ProvenClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

struct Client {
    http: ureq::Agent,
    credential: Option<Credential>,
}

impl ProvenClient {
    /// A client of `subject`, whom `identity` proves; an answer may take `timeout`. The log calls it `what`.
    ///
    /// # Errors
    /// A file of `identity` cannot be read or does not hold what it should.
    pub(crate) fn open(
        what: &'static str,
        identity: &IdentityConfig,
        subject: Subject,
        timeout: Duration,
        proxy: Option<Proxy>,
    ) -> Result<Self, String> {
        let identity = identity.clone();
        let files = [
            &identity.key_file,
            &identity.certificate,
            &identity.certificate_key,
            &identity.gateway_ca,
        ];
        let files = files.into_iter().flatten().cloned().collect();
        Reloading::open(what, files, move |contents| {
            client(&identity, &subject, timeout, proxy.clone(), contents)
        })
        .map(Self)
    }

    /// Posts `body`, compressed and signed. Blocks. An answer of any status is an answer.
    ///
    /// # Errors
    /// There is none.
    pub(crate) fn post(
        &self,
        url: &str,
        content_type: &str,
        body: &[u8],
    ) -> Result<http::Response<Body>, ureq::Error> {
        if let Refreshed::Kept(problem) = self.0.refresh() {
            tracing::error!(problem, "the identity changed and makes no sense; the former is used");
        }
        let client = self.0.get();
        let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
        packed.write_all(body)?;
        let body = packed.finish()?;
        let mut request = client
            .http
            .post(url)
            .header("Content-Type", content_type)
            .header("Content-Encoding", "gzip");
        if let Some(credential) = &client.credential {
            // Signed as the gateway sees it: a path of the settings goes before the route's own. What is no URL
            // has none, and is not sent either.
            let path = request.uri_ref().map_or("", |uri| uri.path()).to_owned();
            for (name, value) in credential.sign("POST", &path, &body, SystemTime::now()) {
                request = request.header(name, value);
            }
        }
        request.send(&body[..])
    }
}

/// From the contents of the files that `identity` names, in the order of its fields.
fn client(
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
