//! Settings of the sink.

use std::time::Duration;

use patchline_runtime::admin::AdminConfig;
use patchline_runtime::config::Settings;
use patchline_runtime::kafka::{KafkaConfig, MESSAGE_BYTES_MAX};
use patchline_runtime::telemetry::LogConfig;
use serde::Deserialize;

/// Everything the sink is told.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SinkConfig {
    /// `[sink]`
    pub sink: StageConfig,
    /// `[clickhouse]`
    pub clickhouse: ClickHouseConfig,
    /// `[retention_days]`
    pub retention_days: RetentionDays,
    /// `[fleet]`
    pub fleet: FleetConfig,
    /// `[kafka]`
    pub kafka: KafkaConfig,
    /// `[log]`
    pub log: LogConfig,
    /// `[admin]`
    pub admin: AdminConfig,
}

/// `[sink]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StageConfig {
    /// Name of this instance in the consumer group. With one, a restarted process takes its
    /// partitions up at once instead of after `session_timeout_ms`; two processes must not share it.
    pub instance_id: Option<String>,
    /// Rows at which a batch is closed.
    pub batch_rows_max: usize,
    /// Bytes of columns at which a batch is closed.
    pub batch_bytes_max: usize,
    /// Age at which a batch is closed, from its first message.
    pub batch_age_max_ms: u64,
    /// Batches that are inserted at a time, over all partitions.
    pub inserts_in_flight_max: usize,
    /// Bytes of messages and open batches at which reading pauses.
    pub buffer_bytes_max: usize,
    /// How long a rebalance or a shutdown waits for what is in flight.
    pub drain_timeout_ms: u64,
    /// How long a silent instance keeps its partitions.
    pub session_timeout_ms: u64,
    /// How often the rows of replaced scans are deleted; 0 leaves it to somebody else.
    pub cleanup_interval_s: u64,
}

impl Default for StageConfig {
    fn default() -> Self {
        Self {
            instance_id: None,
            batch_rows_max: 100_000,
            batch_bytes_max: 16 * 1024 * 1024,
            batch_age_max_ms: 1_000,
            inserts_in_flight_max: 2,
            buffer_bytes_max: 96 * 1024 * 1024,
            drain_timeout_ms: 10_000,
            session_timeout_ms: 30_000,
            cleanup_interval_s: 3_600,
        }
    }
}

impl StageConfig {
    /// [`batch_age_max_ms`](Self::batch_age_max_ms)
    #[must_use]
    pub fn batch_age_max(&self) -> Duration {
        Duration::from_millis(self.batch_age_max_ms)
    }

    /// [`cleanup_interval_s`](Self::cleanup_interval_s), if there is to be one.
    #[must_use]
    pub fn cleanup_interval(&self) -> Option<Duration> {
        (self.cleanup_interval_s > 0).then(|| Duration::from_secs(self.cleanup_interval_s))
    }

    /// [`drain_timeout_ms`](Self::drain_timeout_ms)
    #[must_use]
    pub fn drain_timeout(&self) -> Duration {
        Duration::from_millis(self.drain_timeout_ms)
    }
}

/// `[fleet]`: the fleet's figures, `patchline_fleet_…` in `/metrics`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FleetConfig {
    /// How often they are made; 0 leaves it to another instance, which is enough for all.
    pub interval_s: u64,
    /// How long each of the few queries may take. One that takes longer is given up, and counted.
    pub query_timeout_s: u64,
    /// A computer that was not heard of for so long, by heartbeat or scan, does not report.
    pub silent_after_min: u64,
    /// A reporting computer whose newest scan is older than this, by its own clock, has a stale assessment.
    pub stale_after_min: u64,
}

impl Default for FleetConfig {
    fn default() -> Self {
        Self {
            interval_s: 60,
            query_timeout_s: 10,
            // Twice the longest usual scan interval, twelve hours: computers without heartbeats are not silent.
            silent_after_min: 24 * 60,
            // A day more, so that one failed scan does not count.
            stale_after_min: 48 * 60,
        }
    }
}

/// `[clickhouse]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClickHouseConfig {
    /// Its HTTP interface.
    pub url: String,
    /// Database of the tables; created by `migrate`.
    pub database: String,
    /// User, where the server wants one.
    pub user: Option<String>,
    /// The user's password. Better set in the environment than in a file.
    pub password: Option<String>,
    /// How long an insert or a query may take.
    pub timeout_ms: u64,
    /// Compress what is sent (LZ4): worth it over a network, not on loopback.
    pub compress: bool,
}

impl Default for ClickHouseConfig {
    fn default() -> Self {
        Self {
            url: "http://127.0.0.1:8123".to_owned(),
            database: "patchline".to_owned(),
            user: None,
            password: None,
            timeout_ms: 60_000,
            compress: false,
        }
    }
}

/// `[retention_days]`: for how many days after its arrival each table keeps a row; 0 keeps it for ever.
/// `patchline-sink migrate` applies it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RetentionDays {
    /// `Update`: a computer that has not scanned for so long leaves it, whole. Unless that is wanted, a
    /// computer's newest scan stays: it is replaced by the next, so the table does not grow with time.
    pub update: u32,
    /// `UpdateHistory`, by the scans' own time, in steps of four weeks: an older period of need is gone, or is
    /// shown from there on. A few rows a computer and month: worth keeping.
    pub update_history: u32,
    /// `UpdateSummary`
    pub update_summary: u32,
    /// `UpdateRunProgress`
    pub update_run_progress: u32,
    /// `Heartbeat`: a row a computer and minute.
    pub heartbeat: u32,
    /// `Event`
    pub event: u32,
    /// `OfficeActivity`
    pub office_activity: u32,
    /// `Custom`
    pub custom: u32,
}

impl Default for RetentionDays {
    fn default() -> Self {
        Self {
            update: 0,
            update_history: 0,
            update_summary: 730,
            update_run_progress: 730,
            heartbeat: 90,
            event: 90,
            office_activity: 365,
            custom: 90,
        }
    }
}

impl RetentionDays {
    /// Each table, with the TTL that it is to have.
    #[must_use]
    pub fn tables(&self) -> [(&'static str, Option<String>); 8] {
        // By arrival, not by the report's own time: what was made long ago and arrives today is kept like the rest.
        let arrived = |days: u32| {
            (days > 0).then(|| format!("toDateTime(TimeReceived) + toIntervalDay({days})"))
        };
        let last_day = |days: u32| {
            (days > 0).then(|| format!("FourWeeks + toIntervalDay({})", days.saturating_add(28)))
        };
        [
            ("update_rows", arrived(self.update)),
            ("update_history_rows", last_day(self.update_history)),
            ("update_summary_rows", arrived(self.update_summary)),
            ("update_run_progress_rows", arrived(self.update_run_progress)),
            ("heartbeat_rows", arrived(self.heartbeat)),
            ("event_rows", arrived(self.event)),
            ("office_activity_rows", arrived(self.office_activity)),
            ("custom_rows", arrived(self.custom)),
        ]
    }
}

/// librdkafka settings that exactly-once rests on; `[kafka]` may not change them.
const FIXED: [&str; 6] = [
    "group.id",
    "group.protocol",
    "enable.auto.commit",
    "auto.offset.reset",
    "isolation.level",
    "partition.assignment.strategy",
];

impl Settings for SinkConfig {
    const ENV_PREFIX: &'static str = "PATCHLINE_SINK";

    fn check(&self) -> Result<(), String> {
        let stage = &self.sink;
        if let Some(key) = FIXED.into_iter().find(|key| self.kafka.sets(key)) {
            return Err(format!("kafka.settings must not set {key}: exactly-once rests on it"));
        }
        if stage.drain_timeout_ms >= stage.session_timeout_ms {
            return Err(format!(
                "sink.drain_timeout_ms = {} must be below sink.session_timeout_ms = {}: an instance \
                 that drains for longer is thrown out of the group and drains in vain",
                stage.drain_timeout_ms, stage.session_timeout_ms
            ));
        }
        if stage.buffer_bytes_max < stage.batch_bytes_max + MESSAGE_BYTES_MAX {
            return Err(format!(
                "sink.buffer_bytes_max = {} must hold a batch and a largest message: at least \
                 sink.batch_bytes_max + {MESSAGE_BYTES_MAX}",
                stage.buffer_bytes_max
            ));
        }
        let fleet = &self.fleet;
        if fleet.interval_s > 0 && fleet.query_timeout_s == 0 {
            return Err("fleet.query_timeout_s must be at least 1; fleet.interval_s = 0 turns the figures off"
                .to_owned());
        }
        for (name, value) in [
            ("batch_rows_max", stage.batch_rows_max),
            ("batch_bytes_max", stage.batch_bytes_max),
            ("inserts_in_flight_max", stage.inserts_in_flight_max),
        ] {
            if value == 0 {
                return Err(format!("sink.{name} must be at least 1"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_cannot_weaken_exactly_once() {
        let mut config = SinkConfig::default();
        config.check().unwrap();
        for key in FIXED {
            config.kafka.settings = [(key.to_owned(), String::new())].into();
            let refused = config.check().unwrap_err();
            assert!(refused.contains(key), "{refused}");
        }
    }
}
