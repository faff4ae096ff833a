//! `patchline-gateway enroll`: a sender's credentials, from its workspace's key.
//!
//! Nothing is kept here: who was enrolled can be worked out again at any time, and is revoked in the
//! groups file. The workspace's key comes from a file, the environment or the settings, never from the
//! command line, where every user of the computer could read it. Files with secrets are made for their
//! owner's eyes only (0600) and never written over.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};
use uuid::Uuid;

use super::proof::{Credential, Key};
use super::subject::Subject;

/// The workspace's key, Base64, where it comes by the environment.
pub const KEY_VARIABLE: &str = "PATCHLINE_WORKSPACE_KEY";

/// Clocks of computers differ; a certificate is good from a little before it is made.
const BACKDATED: Duration = Duration::from_secs(60 * 60);

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Whose credentials, and where to.
#[derive(Debug, Clone, clap::Args)]
pub struct Enroll {
    /// A computer, by its SourceComputerId: `patchline-agent --print-id` says it.
    #[arg(long, group = "whose", required = true)]
    computer: Option<String>,
    /// A management group of the groups file, by its name.
    #[arg(long, group = "whose")]
    group: Option<String>,
    /// Another gateway, or a service that speaks for everybody.
    #[arg(long, group = "whose")]
    gateway: Option<String>,
    /// The workspace's id.
    #[arg(long)]
    workspace: Uuid,
    /// File with the workspace's key; else PATCHLINE_WORKSPACE_KEY or that of the settings.
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// Folder to write the credentials to, made if need be; else they are printed.
    #[arg(long, value_name = "FOLDER")]
    to: Option<PathBuf>,
    /// CA to issue a client certificate by, PEM; needs --to.
    #[arg(long, value_name = "FILE", requires_all = ["ca_key", "to"])]
    ca: Option<PathBuf>,
    /// Its private key, PEM.
    #[arg(long, value_name = "FILE", requires = "ca")]
    ca_key: Option<PathBuf>,
    /// Days that the certificate is good for.
    #[arg(long, default_value_t = 365)]
    days: u32,
}

/// Credentials cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum EnrollError {
    /// What was asked for makes no sense, or the key is nowhere.
    #[error("{0}")]
    Asked(String),
    /// A file cannot be read or written.
    #[error("{path}: {source}")]
    File {
        /// Which.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// The CA cannot issue a certificate.
    #[error("no certificate by {ca}")]
    Certificate {
        /// The CA's file.
        ca: String,
        /// Why.
        source: rcgen::Error,
    },
}

impl Enroll {
    /// Makes the credentials and says what to do with them. `configured` has the key of a workspace of
    /// the settings.
    ///
    /// # Errors
    /// The key is nowhere, a file is in the way, or the CA is none.
    pub fn run(&self, configured: impl Fn(Uuid) -> Option<Key>) -> Result<String, EnrollError> {
        let subject = self.subject()?;
        let key = self.workspace_key(configured)?.of(&subject);
        let credential = Credential { workspace: self.workspace, subject, key };
        match &self.to {
            None => Ok(settings(&credential, None, false)),
            Some(folder) => self.write(&credential, folder),
        }
    }

    fn subject(&self) -> Result<Subject, EnrollError> {
        let named =
            [("computer", &self.computer), ("group", &self.group), ("gateway", &self.gateway)];
        let named = named.into_iter().find_map(|(kind, name)| Some((kind, name.as_deref()?)));
        let (kind, name) = named.unwrap_or_default();
        let urn = format!("urn:patchline:{kind}:{name}");
        urn.parse().map_err(|error| EnrollError::Asked(format!("--{kind}: {error}")))
    }

    fn workspace_key(&self, configured: impl Fn(Uuid) -> Option<Key>) -> Result<Key, EnrollError> {
        if let Some(file) = &self.key_file {
            return Key::from_file(file).map_err(EnrollError::Asked);
        }
        if let Ok(text) = std::env::var(KEY_VARIABLE) {
            let wrong = |error| EnrollError::Asked(format!("{KEY_VARIABLE}: {error}"));
            return Key::from_base64(&text).map_err(wrong);
        }
        configured(self.workspace).ok_or_else(|| {
            EnrollError::Asked(format!(
                "the key of workspace {} is nowhere: name --key-file, set {KEY_VARIABLE}, or give the gateway's settings by --config",
                self.workspace
            ))
        })
    }

    fn write(&self, credential: &Credential, folder: &Path) -> Result<String, EnrollError> {
        let certificate = match (&self.ca, &self.ca_key) {
            (Some(ca), Some(key)) => Some(self.certificate(&credential.subject, ca, key)?),
            _ => None,
        };
        let failed = |path: &Path| {
            let path = path.display().to_string();
            move |source| EnrollError::File { path, source }
        };
        if !folder.is_dir() {
            fs::create_dir_all(folder).map_err(failed(folder))?;
            let owner_only = fs::Permissions::from_mode(0o700);
            fs::set_permissions(folder, owner_only).map_err(failed(folder))?;
        }
        let settings = settings(credential, Some(folder), certificate.is_some());
        let mut files = vec![
            ("identity.key", 0o600, format!("{}\n", credential.key.to_base64())),
            ("agent.toml", 0o644, settings),
        ];
        if let Some((certificate, key)) = certificate {
            files.push(("client.pem", 0o644, certificate));
            files.push(("client.key", 0o600, key));
        }
        let mut written = format!("{}: wrote", credential.subject);
        for (name, mode, text) in files {
            let path = folder.join(name);
            let file = fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(&path);
            file.and_then(|mut file| {
                file.write_all(text.as_bytes())?;
                file.sync_all()
            })
            .map_err(failed(&path))?;
            let _ = write!(written, " {}", path.display());
        }
        written.push('\n');
        Ok(written)
    }

    /// A client certificate and its key, PEM.
    fn certificate(
        &self,
        subject: &Subject,
        ca: &Path,
        ca_key: &Path,
    ) -> Result<(String, String), EnrollError> {
        let read = |path: &Path| {
            let failed = |source| EnrollError::File { path: path.display().to_string(), source };
            fs::read_to_string(path).map_err(failed)
        };
        let (ca_text, key_text) = (read(ca)?, read(ca_key)?);
        let issue = || {
            let issuer = Issuer::from_ca_cert_pem(&ca_text, KeyPair::from_pem(&key_text)?)?;
            let key = KeyPair::generate()?;
            let mut params = CertificateParams::default();
            params.distinguished_name = DistinguishedName::new();
            params.distinguished_name.push(DnType::CommonName, subject.name());
            params.subject_alt_names = vec![SanType::URI(subject.to_string().try_into()?)];
            params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
            params.use_authority_key_identifier_extension = true;
            let now = SystemTime::now();
            params.not_before = (now - BACKDATED).into();
            params.not_after = (now + DAY * self.days).into();
            let certificate = params.signed_by(&key, &issuer)?;
            Ok((certificate.pem(), key.serialize_pem()))
        };
        issue().map_err(|source| EnrollError::Certificate { ca: ca.display().to_string(), source })
    }
}

/// What goes into the agent's settings.
fn settings(credential: &Credential, folder: Option<&Path>, certificate: bool) -> String {
    let workspace = credential.workspace;
    let mut text = format!("# Credentials of {}.\n[identity]\n", credential.subject);
    let path = |name: &str| folder.map(|folder| folder.join(name).display().to_string());
    let _ = match path("identity.key") {
        Some(file) => writeln!(text, "workspace = \"{workspace}\"\nkey_file = {file:?}"),
        None => {
            writeln!(text, "workspace = \"{workspace}\"\nkey = \"{}\"", credential.key.to_base64())
        }
    };
    if let (true, Some(file), Some(key)) = (certificate, path("client.pem"), path("client.key")) {
        let _ = writeln!(text, "certificate = {file:?}\ncertificate_key = {key:?}");
    }
    text
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;
    use rcgen::{BasicConstraints, IsCa};
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject as _;

    use super::*;

    #[derive(clap::Parser)]
    struct Cli {
        #[command(flatten)]
        enroll: Enroll,
    }

    const WORKSPACE: &str = "6f1f3b1c-7c5e-4a57-8a43-0d2a3c1f9e10";
    const KEY: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";

    fn key() -> Key {
        Key::from_base64(KEY).unwrap()
    }

    fn enroll(arguments: &[&str]) -> Result<String, String> {
        let all = [&["enroll", "--workspace", WORKSPACE], arguments].concat();
        let cli = Cli::try_parse_from(all).map_err(|error| error.to_string())?;
        let known: Uuid = WORKSPACE.parse().unwrap();
        cli.enroll.run(|id| (id == known).then(key)).map_err(|error| error.to_string())
    }

    fn folder(name: &str) -> PathBuf {
        let folder =
            std::env::temp_dir().join(format!("patchline-enroll-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        folder
    }

    #[test]
    fn a_computers_key_is_printed_or_written_for_its_owners_eyes_only() {
        let own = key().of(&Subject::Computer("web-1".to_owned())).to_base64();
        let printed = enroll(&["--computer", "web-1"]).unwrap();
        assert!(printed.contains(&own) && printed.contains(WORKSPACE), "{printed}");
        assert!(!printed.contains(KEY), "the workspace's key stays here");

        let folder = folder("computer");
        let to = folder.to_str().unwrap();
        let said = enroll(&["--computer", "web-1", "--to", to]).unwrap();
        assert!(!said.contains(&own), "{said}");
        let file = folder.join("identity.key");
        assert_eq!(fs::read_to_string(&file).unwrap().trim(), own);
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        let again = enroll(&["--computer", "web-2", "--to", to]).unwrap_err();
        assert!(again.contains("identity.key"), "nothing is written over: {again}");
        assert_eq!(fs::read_to_string(&file).unwrap().trim(), own);
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_certificate_names_its_subject_and_nobody_else() {
        let folder = folder("certificate");
        fs::create_dir_all(&folder).unwrap();
        let ca_key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let (ca, key) = (folder.join("ca.pem"), folder.join("ca.key"));
        fs::write(&ca, params.self_signed(&ca_key).unwrap().pem()).unwrap();
        fs::write(&key, ca_key.serialize_pem()).unwrap();
        let to = folder.join("web-1");
        let [to, ca, key] = [&to, &ca, &key].map(|path| path.to_str().unwrap());
        enroll(&["--group", "contoso", "--to", to, "--ca", ca, "--ca-key", key]).unwrap();
        let pem = fs::read(folder.join("web-1/client.pem")).unwrap();
        let subject = super::super::tls::subject(&CertificateDer::from_pem_slice(&pem).unwrap());
        assert_eq!(subject, Ok(Subject::Group("contoso".to_owned())));
        let mode = fs::metadata(folder.join("web-1/client.key")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let to = folder.join("x").to_str().unwrap().to_owned();
        let problem = enroll(&["--group", "contoso", "--to", &to, "--ca", key, "--ca-key", key]);
        assert!(problem.unwrap_err().contains("no certificate"));
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for arguments in [
            &[][..],
            &["--computer", "a", "--group", "b"],
            &["--computer", "with space"],
            &["--computer", ""],
            &["--computer", "a", "--ca", "ca.pem"],
            &["--computer", "a", "--key-file", "/nowhere/key"],
        ] {
            assert!(enroll(arguments).is_err(), "{arguments:?}");
        }
    }
}
