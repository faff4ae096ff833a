//! TLS at the gateway's port, by rustls.
//!
//! A client certificate is verified against the CA of the settings, and against its revocation list where
//! there is one, before the first byte of a request is read; the subject is the `urn:patchline:…` URI in
//! its SAN, and nothing else of it. Certificate, key, CA and list are read again when they change
//! ([`reload`](super::reload)); connections that are open keep what they were opened with. Sessions are
//! not resumed: a certificate that was revoked or has expired would live on in its session.

use std::path::PathBuf;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig};
use serde::Deserialize;

use super::reload::Reloading;
use super::subject::Subject;

/// `[tls]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TlsConfig {
    /// The gateway's certificate and those up to its CA, PEM. Without it, plain HTTP is spoken.
    pub certificate: Option<PathBuf>,
    /// Its private key, PEM.
    pub key: Option<PathBuf>,
    /// The CA that issues clients' certificates, PEM. Without it, none is asked for.
    pub client_ca: Option<PathBuf>,
    /// Certificates of that CA that are no longer good, PEM.
    pub client_crl: Option<PathBuf>,
    /// Whether a client without a certificate may connect, to sign its requests instead.
    pub client_certificate: ClientCertificate,
    /// How long a handshake may take.
    pub handshake_timeout_ms: u32,
}

impl Default for TlsConfig {
    fn default() -> Self {
        Self {
            certificate: None,
            key: None,
            client_ca: None,
            client_crl: None,
            client_certificate: ClientCertificate::Optional,
            handshake_timeout_ms: 10_000,
        }
    }
}

/// Whether clients must have a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClientCertificate {
    /// They may.
    Optional,
    /// No connection without one.
    Required,
}

impl TlsConfig {
    /// Checks what no single value shows.
    ///
    /// # Errors
    /// Says which settings do not go together.
    pub fn check(&self) -> Result<(), String> {
        let sides = [
            ("tls.certificate", self.certificate.is_some(), "tls.key", self.key.is_some()),
            ("tls.key", self.key.is_some(), "tls.certificate", self.certificate.is_some()),
            (
                "tls.client_ca",
                self.client_ca.is_some(),
                "tls.certificate",
                self.certificate.is_some(),
            ),
            (
                "tls.client_crl",
                self.client_crl.is_some(),
                "tls.client_ca",
                self.client_ca.is_some(),
            ),
            (
                "tls.client_certificate = \"required\"",
                self.client_certificate == ClientCertificate::Required,
                "tls.client_ca",
                self.client_ca.is_some(),
            ),
        ];
        if let Some((set, _, needed, _)) = sides.iter().find(|(_, set, _, has)| *set && !*has) {
            return Err(format!("{set} needs {needed}"));
        }
        if self.handshake_timeout_ms == 0 {
            return Err("tls.handshake_timeout_ms = 0 would refuse every connection".to_owned());
        }
        Ok(())
    }

    /// What connections are opened with; `None` for plain HTTP.
    ///
    /// # Errors
    /// A file cannot be read, or does not hold what it should.
    pub fn open(&self) -> Result<Option<Reloading<ServerConfig>>, String> {
        let (Some(certificate), Some(key)) = (&self.certificate, &self.key) else {
            return Ok(None);
        };
        let mut files = vec![certificate.clone(), key.clone()];
        files.extend(self.client_ca.clone());
        files.extend(self.client_crl.clone());
        let required = self.client_certificate == ClientCertificate::Required;
        let make = move |contents: &[Vec<u8>]| server(contents, required);
        Reloading::open("tls", files, make).map(Some)
    }
}

/// From the contents of: the certificate, its key, the clients' CA, its revocation list; the last two
/// need not be there.
fn server(contents: &[Vec<u8>], required: bool) -> Result<ServerConfig, String> {
    let [certificate, key, client @ ..] = contents else {
        return Err("tls.certificate and tls.key are missing".to_owned());
    };
    let chain = certificates(certificate, "tls.certificate")?;
    let key = PrivateKeyDer::from_pem_slice(key)
        .map_err(|error| format!("tls.key holds no private key: {error}"))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let config = match client {
        [] => config.with_no_client_auth(),
        [ca, crl @ ..] => config.with_client_cert_verifier(verifier(ca, crl, required, provider)?),
    };
    let mut config = config
        .with_single_cert(chain, key)
        .map_err(|error| format!("tls.certificate and tls.key: {error}"))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(config)
}

fn verifier(
    ca: &[u8],
    crl: &[Vec<u8>],
    required: bool,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn rustls::server::danger::ClientCertVerifier>, String> {
    let mut roots = RootCertStore::empty();
    for root in certificates(ca, "tls.client_ca")? {
        roots.add(root).map_err(|error| format!("tls.client_ca: {error}"))?;
    }
    let mut builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    if let Some(crl) = crl.first() {
        let lists: Vec<_> = CertificateRevocationListDer::pem_slice_iter(crl)
            .collect::<Result<_, _>>()
            .map_err(|error| format!("tls.client_crl: {error}"))?;
        if lists.is_empty() {
            return Err("tls.client_crl holds no revocation list".to_owned());
        }
        builder = builder.with_crls(lists).only_check_end_entity_revocation();
    }
    if !required {
        builder = builder.allow_unauthenticated();
    }
    builder.build().map_err(|error| format!("tls.client_ca and tls.client_crl: {error}"))
}

fn certificates(pem: &[u8], setting: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let chain: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|error| format!("{setting}: {error}"))?;
    if chain.is_empty() { Err(format!("{setting} holds no certificate")) } else { Ok(chain) }
}

/// Whom a verified client certificate speaks for: the one `urn:patchline:…` URI of its SAN.
///
/// # Errors
/// It has none, or several, or is no certificate.
pub fn subject(certificate: &CertificateDer<'_>) -> Result<Subject, String> {
    let certificate = webpki::EndEntityCert::try_from(certificate)
        .map_err(|error| format!("the client's certificate cannot be read: {error}"))?;
    let mut subjects =
        certificate.valid_uri_names().filter(|uri| uri.starts_with("urn:patchline:"));
    match (subjects.next(), subjects.next()) {
        (Some(uri), None) => {
            uri.parse().map_err(|error| format!("the client's certificate: {error}"))
        }
        (None, _) => Err("the client's certificate names no urn:patchline:… in its SAN".to_owned()),
        (Some(_), Some(_)) => Err("the client's certificate names several subjects".to_owned()),
    }
}
