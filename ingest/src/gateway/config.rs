//! The gateway's settings, and what no single one of them shows.

use std::collections::{BTreeMap, HashSet};
use std::net::SocketAddr;
use std::path::PathBuf;

use patchline_runtime::admin::AdminConfig;
use patchline_runtime::config::Settings;
use patchline_runtime::kafka::KafkaConfig;
use patchline_runtime::telemetry::LogConfig;
use serde::Deserialize;
use uuid::Uuid;

use super::workspace::Key;
use super::{DECODING_BYTES_MAX, body};
use crate::PublisherConfig;
use crate::forward::UpstreamConfig;
use crate::security::limits::LimitsConfig;
use crate::security::tls::TlsConfig;
use crate::spool::SpoolConfig;

/// The gateway's settings.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// What is served and how much of it.
    pub gateway: GatewayConfig,
    /// TLS at that port.
    pub tls: TlsConfig,
    /// Requests of one sender.
    pub limits: LimitsConfig,
    /// The HTTP Data Collector API.
    pub collector: CollectorConfig,
    /// Who may post to it, under names that are the operator's own (the environment needs one):
    /// `PATCHLINE_GATEWAY__WORKSPACES__MAIN__PRIMARY_KEY`.
    pub workspaces: BTreeMap<String, WorkspaceConfig>,
    /// Where reports wait until the next hop has them.
    pub spool: SpoolConfig,
    /// The gateway that reports are handed on to in Kafka's place.
    pub upstream: UpstreamConfig,
    /// How reports are written.
    pub publisher: PublisherConfig,
    /// Where they are written to.
    pub kafka: KafkaConfig,
    /// Logs.
    pub log: LogConfig,
    /// The operators' port.
    pub admin: AdminConfig,
}

/// `[gateway]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GatewayConfig {
    /// Address to listen on; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The workspace: computers that name no management group belong to `AOI-<workspace_id>`.
    pub workspace_id: Uuid,
    /// Solutions of an agent whose heartbeat names none.
    pub solutions: Vec<String>,
    /// Bytes of a body on the wire.
    pub wire_bytes_max: usize,
    /// Bytes of a body, decompressed.
    pub body_bytes_max: usize,
    /// Bytes that all requests together may hold; the process takes about 150 MB beside them.
    pub memory_bytes_max: usize,
    /// Requests worked on at a time.
    pub requests_in_flight_max: usize,
    /// Connections open at a time; more wait in the listener's backlog.
    pub connections_max: usize,
    /// How long a request may take to arrive.
    pub request_timeout_ms: u32,
    /// How long a shutdown waits for the requests at hand.
    pub drain_timeout_ms: u32,
    /// `Retry-After` of a 503 and a 429, in seconds.
    pub retry_after_s: u32,
    /// How long a connection may take to say what it wants, or say nothing, before each request.
    pub header_timeout_ms: u32,
    /// Take reports of proven senders only.
    pub require_identity: bool,
    /// Take reports of anybody who can reach an address that is not loopback: without TLS, or without
    /// `require_identity`.
    pub open_to_anybody_who_can_reach_it: bool,
    /// How far the timestamp that a request is signed with may be from now.
    pub signature_skew_max_s: u32,
    /// Management groups and revoked senders.
    pub groups_file: Option<PathBuf>,
    /// The management group of that file that this gateway acts for: all its reports are the group's.
    pub acts_for: Option<String>,
    /// How often certificates, keys and groups are looked at again.
    pub reload_interval_ms: u32,
}

impl Default for GatewayConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8088)),
            workspace_id: Uuid::nil(),
            solutions: vec!["updates".to_owned()],
            wire_bytes_max: 16 * 1024 * 1024,
            body_bytes_max: 64 * 1024 * 1024,
            // One request of the largest size, and what a hundred ordinary ones take.
            memory_bytes_max: 148 * 1024 * 1024,
            requests_in_flight_max: 256,
            connections_max: 1024,
            request_timeout_ms: 30_000,
            drain_timeout_ms: 15_000,
            retry_after_s: 5,
            header_timeout_ms: 30_000,
            require_identity: false,
            open_to_anybody_who_can_reach_it: false,
            signature_skew_max_s: 300,
            groups_file: None,
            acts_for: None,
            reload_interval_ms: 5_000,
        }
    }
}

/// `[collector]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CollectorConfig {
    /// Bytes of one post.
    pub post_bytes_max: usize,
    /// How far the date that a post is signed with may be from now.
    pub clock_skew_max_s: u32,
}

impl Default for CollectorConfig {
    fn default() -> Self {
        Self { post_bytes_max: 30 * 1024 * 1024, clock_skew_max_s: 15 * 60 }
    }
}

/// `[workspaces.<name>]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkspaceConfig {
    /// The workspace's id, the name that posts are signed under.
    pub id: Uuid,
    /// Key that posts are signed with and that its computers' keys follow from, Base64.
    #[serde(default)]
    pub primary_key: Option<Key>,
    /// The same in a file, which is read again when it changes.
    #[serde(default)]
    pub primary_key_file: Option<PathBuf>,
    /// Another one, so that keys can be changed without a pause.
    #[serde(default)]
    pub secondary_key: Option<Key>,
    /// The same in a file.
    #[serde(default)]
    pub secondary_key_file: Option<PathBuf>,
    /// The workspace takes nothing any more.
    #[serde(default)]
    pub closed: bool,
    /// Posts worked on at a time, so that one workspace leaves room for the others.
    #[serde(default = "posts_in_flight_max")]
    pub posts_in_flight_max: usize,
}

fn posts_in_flight_max() -> usize {
    64
}

impl WorkspaceConfig {
    /// An open one without a key yet.
    #[must_use]
    pub fn of(id: Uuid) -> Self {
        Self {
            id,
            primary_key: None,
            primary_key_file: None,
            secondary_key: None,
            secondary_key_file: None,
            closed: false,
            posts_in_flight_max: posts_in_flight_max(),
        }
    }

    fn check(&self, name: &str) -> Result<(), String> {
        let both = |key: &Option<Key>, file: &Option<PathBuf>| key.is_some() && file.is_some();
        for (key, has_both) in [
            ("primary_key", both(&self.primary_key, &self.primary_key_file)),
            ("secondary_key", both(&self.secondary_key, &self.secondary_key_file)),
        ] {
            if has_both {
                return Err(format!("workspaces.{name}: {key} and {key}_file are one too many"));
            }
        }
        if self.primary_key.is_none() && self.primary_key_file.is_none() {
            return Err(format!("workspaces.{name} has neither primary_key nor primary_key_file"));
        }
        Ok(())
    }
}

impl Config {
    /// The primary key of that workspace, where the settings have it.
    #[must_use]
    pub fn workspace_key(&self, id: Uuid) -> Option<Key> {
        let workspace = self.workspaces.values().find(|workspace| workspace.id == id)?;
        let of_file = || Key::from_file(workspace.primary_key_file.as_deref()?).ok();
        workspace.primary_key.clone().or_else(of_file)
    }
}

impl GatewayConfig {
    fn check_openness(&self, tls: &TlsConfig) -> Result<(), String> {
        let guarded = tls.certificate.is_some() && self.require_identity;
        if self.listen.ip().is_loopback() || guarded || self.open_to_anybody_who_can_reach_it {
            return Ok(());
        }
        Err(format!(
            "gateway.listen = {} is not loopback: set [tls] certificate and key, and gateway.require_identity = true; where something else guards it, gateway.open_to_anybody_who_can_reach_it = true",
            self.listen
        ))
    }
}

impl Settings for Config {
    const ENV_PREFIX: &'static str = "PATCHLINE_GATEWAY";

    fn check(&self) -> Result<(), String> {
        let (gateway, collector) = (&self.gateway, &self.collector);
        self.publisher.check(&self.kafka)?;
        self.spool.check()?;
        self.upstream.check()?;
        self.tls.check()?;
        gateway.check_openness(&self.tls)?;
        let bodies = [
            ("gateway.body_bytes_max", gateway.body_bytes_max),
            ("collector.post_bytes_max", collector.post_bytes_max),
        ];
        for (key, bytes_max) in bodies {
            let least =
                body::MEMORY_PER_BYTE.saturating_mul(bytes_max).saturating_add(DECODING_BYTES_MAX);
            if gateway.memory_bytes_max < least {
                return Err(format!(
                    "gateway.memory_bytes_max = {} cannot hold one body of {key} = {bytes_max} and what becomes of it; set at least {least}",
                    gateway.memory_bytes_max
                ));
            }
        }
        if gateway.drain_timeout_ms < self.publisher.delivery_timeout_ms {
            return Err(format!(
                "gateway.drain_timeout_ms = {} ends before a delivery may (publisher.delivery_timeout_ms = {})",
                gateway.drain_timeout_ms, self.publisher.delivery_timeout_ms
            ));
        }
        let positive = [
            ("gateway.wire_bytes_max", gateway.wire_bytes_max),
            ("gateway.body_bytes_max", gateway.body_bytes_max),
            ("gateway.requests_in_flight_max", gateway.requests_in_flight_max),
            ("gateway.connections_max", gateway.connections_max),
            ("collector.post_bytes_max", collector.post_bytes_max),
        ];
        for (key, value) in [
            ("gateway.header_timeout_ms", gateway.header_timeout_ms),
            ("gateway.reload_interval_ms", gateway.reload_interval_ms),
        ] {
            if value == 0 {
                return Err(format!("{key} = 0 is no time at all"));
            }
        }
        if gateway.acts_for.is_some() && gateway.groups_file.is_none() {
            return Err(
                "gateway.acts_for needs gateway.groups_file, which says who belongs to the group"
                    .to_owned(),
            );
        }
        if let Some((key, _)) = positive.iter().find(|(_, value)| *value == 0) {
            return Err(format!("{key} = 0 would refuse everything"));
        }
        let mut ids = HashSet::new();
        for (name, workspace) in &self.workspaces {
            workspace.check(name)?;
            if !ids.insert(workspace.id) {
                return Err(format!(
                    "workspaces.{name}.id = {} is that of another workspace too",
                    workspace.id
                ));
            }
            if workspace.posts_in_flight_max == 0 {
                return Err(format!(
                    "workspaces.{name}.posts_in_flight_max = 0 would refuse everything; closed = true says so"
                ));
            }
        }
        Ok(())
    }
}
