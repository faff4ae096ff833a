//! Settings of the stage. In the environment they begin with `PATCHLINE_ENRICH`.

use std::path::PathBuf;
use std::time::Duration;

use patchline_runtime::admin::AdminConfig;
use patchline_runtime::config::Settings;
use patchline_runtime::kafka::KafkaConfig;
use patchline_runtime::telemetry::LogConfig;
use serde::Deserialize;

/// All settings.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// `[enrich]`
    pub enrich: EnrichConfig,
    /// `[kafka]`
    pub kafka: KafkaConfig,
    /// `[log]`
    pub log: LogConfig,
    /// `[admin]`
    pub admin: AdminConfig,
}

/// `[enrich]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EnrichConfig {
    /// Tells the processes of one installation apart, and is the same after a restart: the restarted
    /// process ends its predecessor's transaction by it. Two running processes must not share one.
    pub instance_id: String,
    /// Messages after which a batch is closed.
    pub batch_messages_max: usize,
    /// Bytes of raw messages after which a batch is closed; the last one may exceed it.
    pub batch_bytes_max: usize,
    /// Milliseconds after its first message at which a batch is closed.
    pub batch_age_max_ms: u64,
    /// Where to keep a snapshot of the topic's catalog, so that a restart need not read the whole topic.
    pub catalog_snapshot: Option<PathBuf>,
    /// Milliseconds between two snapshots, as long as anything changes.
    pub catalog_snapshot_interval_ms: u64,
    /// Milliseconds that the stage waits, once Kafka answers, for the catalog to be complete. After
    /// that it starts with what is there.
    pub catalog_wait_ms: u64,
    /// Milliseconds after which the broker gives a transaction up. So long can a crashed process,
    /// until it is restarted, hold up the readers of its output.
    pub transaction_timeout_ms: u64,
    /// Milliseconds after which a call into the Kafka client counts as hung and the process ends
    /// itself, to be restarted.
    pub hang_timeout_ms: u64,
    /// Milliseconds that an orderly stop may take.
    pub shutdown_timeout_ms: u64,
}

impl Default for EnrichConfig {
    fn default() -> Self {
        Self {
            instance_id: "0".to_owned(),
            batch_messages_max: 2_000,
            batch_bytes_max: 4 * 1024 * 1024,
            batch_age_max_ms: 100,
            catalog_snapshot: None,
            catalog_snapshot_interval_ms: 60_000,
            catalog_wait_ms: 120_000,
            transaction_timeout_ms: 15_000,
            hang_timeout_ms: 60_000,
            shutdown_timeout_ms: 30_000,
        }
    }
}

impl EnrichConfig {
    pub(crate) fn batch_age_max(&self) -> Duration {
        Duration::from_millis(self.batch_age_max_ms)
    }

    pub(crate) fn transaction_timeout(&self) -> Duration {
        Duration::from_millis(self.transaction_timeout_ms)
    }

    pub(crate) fn catalog_snapshot_interval(&self) -> Duration {
        Duration::from_millis(self.catalog_snapshot_interval_ms)
    }

    /// How long the stage waits for the catalog.
    #[must_use]
    pub fn catalog_wait(&self) -> Duration {
        Duration::from_millis(self.catalog_wait_ms)
    }

    pub(crate) fn hang_timeout(&self) -> Duration {
        Duration::from_millis(self.hang_timeout_ms)
    }

    /// How long an orderly stop may take.
    #[must_use]
    pub fn shutdown_timeout(&self) -> Duration {
        Duration::from_millis(self.shutdown_timeout_ms)
    }
}

/// librdkafka settings that exactly-once rests on; `[kafka.settings]` may not change them.
const FIXED: [&str; 12] = [
    "acks",
    "request.required.acks",
    "enable.idempotence",
    "transactional.id",
    "transaction.timeout.ms",
    "message.max.bytes",
    "group.id",
    "group.protocol",
    "isolation.level",
    "enable.auto.commit",
    "auto.offset.reset",
    "partition.assignment.strategy",
];

/// More would not fit into librdkafka's own queue, whose default is 100,000.
const BATCH_MESSAGES_LIMIT: usize = 50_000;

/// librdkafka leaves the group after five minutes without a poll; a hang must be found before.
const HANG_TIMEOUT_LIMIT_MS: u64 = 240_000;

impl Settings for Config {
    const ENV_PREFIX: &'static str = "PATCHLINE_ENRICH";

    fn check(&self) -> Result<(), String> {
        let enrich = &self.enrich;
        if enrich.instance_id.is_empty() {
            return Err("enrich.instance_id is empty; give each process its own".to_owned());
        }
        if !(1..=BATCH_MESSAGES_LIMIT).contains(&enrich.batch_messages_max) {
            return Err(format!(
                "enrich.batch_messages_max = {} is not within 1..={BATCH_MESSAGES_LIMIT}",
                enrich.batch_messages_max
            ));
        }
        if enrich.batch_bytes_max == 0 {
            return Err("enrich.batch_bytes_max = 0 leaves no room for a message".to_owned());
        }
        if enrich.transaction_timeout_ms < 1000
            || enrich.batch_age_max_ms >= enrich.transaction_timeout_ms
        {
            return Err(format!(
                "enrich.transaction_timeout_ms = {} must be at least 1000 and above enrich.batch_age_max_ms = {}",
                enrich.transaction_timeout_ms, enrich.batch_age_max_ms
            ));
        }
        if enrich.hang_timeout_ms <= enrich.transaction_timeout_ms
            || enrich.hang_timeout_ms > HANG_TIMEOUT_LIMIT_MS
        {
            return Err(format!(
                "enrich.hang_timeout_ms = {} must be above enrich.transaction_timeout_ms = {} and at most {HANG_TIMEOUT_LIMIT_MS}",
                enrich.hang_timeout_ms, enrich.transaction_timeout_ms
            ));
        }
        if enrich.catalog_snapshot_interval_ms < 1000 {
            return Err(format!(
                "enrich.catalog_snapshot_interval_ms = {} must be at least 1000: each writes the whole catalog",
                enrich.catalog_snapshot_interval_ms
            ));
        }
        if let Some(key) = FIXED.into_iter().find(|key| self.kafka.sets(key)) {
            return Err(format!("kafka.settings must not set {key}: exactly-once rests on it"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_sound() {
        assert_eq!(Config::default().check(), Ok(()));
    }

    #[test]
    fn what_would_break_delivery_is_refused() {
        let mut config = Config::default();
        config.kafka.settings.insert("isolation.level".to_owned(), "read_uncommitted".to_owned());
        assert!(config.check().unwrap_err().contains("isolation.level"));
        let refused = |change: fn(&mut EnrichConfig)| {
            let mut config = Config::default();
            change(&mut config.enrich);
            config.check().unwrap_err()
        };
        assert!(
            refused(|enrich| enrich.catalog_snapshot_interval_ms = 0).contains("snapshot_interval")
        );
        assert!(refused(|enrich| enrich.instance_id.clear()).contains("instance_id"));
        assert!(refused(|enrich| enrich.batch_messages_max = 0).contains("batch_messages_max"));
        assert!(refused(|enrich| enrich.hang_timeout_ms = 15_000).contains("hang_timeout_ms"));
        assert!(refused(|enrich| enrich.batch_age_max_ms = 15_000).contains("batch_age_max_ms"));
    }
}
