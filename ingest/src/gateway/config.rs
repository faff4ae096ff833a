//! The gateway's settings, and what no single one of them shows.

use std::collections::{BTreeMap, HashSet};
use std::net::SocketAddr;

use patchline_runtime::admin::AdminConfig;
use patchline_runtime::config::Settings;
use patchline_runtime::kafka::KafkaConfig;
use patchline_runtime::telemetry::LogConfig;
use serde::Deserialize;
use uuid::Uuid;

use super::workspace::Key;
use super::{DECODING_BYTES_MAX, body};
use crate::PublisherConfig;

/// The gateway's settings.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// What is served and how much of it.
    pub gateway: GatewayConfig,
    /// The HTTP Data Collector API.
    pub collector: CollectorConfig,
    /// Who may post to it, under names that are the operator's own (the environment needs one):
    /// `PATCHLINE_GATEWAY__WORKSPACES__MAIN__PRIMARY_KEY`.
    pub workspaces: BTreeMap<String, WorkspaceConfig>,
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
    /// Key that posts are signed with, Base64.
    pub primary_key: Key,
    /// Another one, so that keys can be changed without a pause.
    #[serde(default)]
    pub secondary_key: Option<Key>,
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

impl Settings for Config {
    const ENV_PREFIX: &'static str = "PATCHLINE_GATEWAY";

    fn check(&self) -> Result<(), String> {
        let (gateway, collector) = (&self.gateway, &self.collector);
        self.publisher.check(&self.kafka)?;
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
        if let Some((key, _)) = positive.iter().find(|(_, value)| *value == 0) {
            return Err(format!("{key} = 0 would refuse everything"));
        }
        let mut ids = HashSet::new();
        for (name, workspace) in &self.workspaces {
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
