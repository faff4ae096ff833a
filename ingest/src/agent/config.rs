//! Settings of the agent. In the environment they begin with `PATCHLINE_AGENT`.

use std::path::PathBuf;
use std::time::Duration;

use patchline_runtime::config::Settings;
use patchline_runtime::telemetry::LogConfig;
use serde::Deserialize;
use uuid::Uuid;

use crate::security::Key;

/// All settings.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// `[agent]`
    pub agent: AgentConfig,
    /// `[identity]`
    pub identity: IdentityConfig,
    /// `[log]`
    pub log: LogConfig,
}

/// `[agent]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AgentConfig {
    /// The gateways, `https://host:port` each. Every computer takes its own order of them.
    pub gateways: Vec<String>,
    /// Where reports wait for a gateway.
    pub spool_folder: PathBuf,
    /// Bytes that may wait there.
    pub spool_bytes_max: u64,
    /// Seconds between two scans.
    pub scan_interval_s: u64,
    /// Seconds within which the first scan after a start begins, at a moment that differs from computer
    /// to computer.
    pub first_scan_within_s: u64,
    /// Seconds between two heartbeats.
    pub heartbeat_interval_s: u64,
    /// Seconds between two looks at what the package manager did.
    pub progress_interval_s: u64,
    /// Milliseconds that a gateway may take for its answer.
    pub request_timeout_ms: u64,
}

impl Default for AgentConfig {
    fn default() -> Self {
        Self {
            gateways: vec!["http://127.0.0.1:8088".to_owned()],
            spool_folder: PathBuf::from("/var/lib/patchline-agent/spool"),
            spool_bytes_max: 64 * 1024 * 1024,
            scan_interval_s: 3 * 60 * 60,
            first_scan_within_s: 15 * 60,
            heartbeat_interval_s: 60,
            progress_interval_s: 300,
            request_timeout_ms: 30_000,
        }
    }
}

/// `[identity]`: how the agent proves who it is, and knows its gateways. `patchline-gateway enroll` writes
/// it. Files are read again when they change.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct IdentityConfig {
    /// Id of the workspace that the key belongs to.
    pub workspace: Option<Uuid>,
    /// The computer's own key, Base64.
    pub key: Option<Key>,
    /// The same in a file.
    pub key_file: Option<PathBuf>,
    /// A client certificate and those up to its CA, PEM.
    pub certificate: Option<PathBuf>,
    /// Its private key, PEM.
    pub certificate_key: Option<PathBuf>,
    /// CAs that gateways' certificates are trusted by, PEM; without it, those of the system.
    pub gateway_ca: Option<PathBuf>,
}

impl IdentityConfig {
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.key.is_some() && self.key_file.is_some() {
            return Err("identity.key and identity.key_file are one too many".to_owned());
        }
        let key = self.key.is_some() || self.key_file.is_some();
        if key != self.workspace.is_some() {
            return Err("identity.workspace and identity.key_file need each other".to_owned());
        }
        if self.certificate.is_some() != self.certificate_key.is_some() {
            return Err(
                "identity.certificate and identity.certificate_key need each other".to_owned()
            );
        }
        Ok(())
    }
}

impl AgentConfig {
    pub(super) fn progress_interval(&self) -> Duration {
        Duration::from_secs(self.progress_interval_s)
    }

    pub(super) fn scan_interval(&self) -> Duration {
        Duration::from_secs(self.scan_interval_s)
    }

    pub(super) fn first_scan_within(&self) -> Duration {
        Duration::from_secs(self.first_scan_within_s)
    }

    pub(super) fn heartbeat_interval(&self) -> Duration {
        Duration::from_secs(self.heartbeat_interval_s)
    }

    pub(super) fn request_timeout(&self) -> Duration {
        Duration::from_millis(self.request_timeout_ms)
    }
}

impl Settings for Config {
    const ENV_PREFIX: &'static str = "PATCHLINE_AGENT";

    fn check(&self) -> Result<(), String> {
        let agent = &self.agent;
        self.identity.check()?;
        if agent.gateways.is_empty() {
            return Err("agent.gateways is empty; name at least one".to_owned());
        }
        let of_http =
            |gateway: &&String| !gateway.starts_with("http://") && !gateway.starts_with("https://");
        if let Some(gateway) = agent.gateways.iter().find(of_http) {
            return Err(format!(
                "agent.gateways: `{gateway}` begins with neither http:// nor https://"
            ));
        }
        for (name, seconds) in [
            ("scan_interval_s", agent.scan_interval_s),
            ("heartbeat_interval_s", agent.heartbeat_interval_s),
            ("progress_interval_s", agent.progress_interval_s),
            ("request_timeout_ms", agent.request_timeout_ms),
        ] {
            if seconds == 0 {
                return Err(format!("agent.{name} = 0 would never rest"));
            }
        }
        Ok(())
    }
}
