//! Settings of `patchline-reclassify`. In the environment they begin with `PATCHLINE_RECLASSIFY`.

use std::time::Duration;

use patchline_runtime::admin::AdminConfig;
use patchline_runtime::config::Settings;
use patchline_runtime::kafka::KafkaConfig;
use patchline_runtime::telemetry::LogConfig;
use patchline_sink::config::ClickHouseConfig;
use serde::Deserialize;

/// All settings.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// `[reclassify]`
    pub reclassify: ReclassifyConfig,
    /// `[clickhouse]`: the sink's, the same server.
    pub clickhouse: ClickHouseConfig,
    /// `[kafka]`
    pub kafka: KafkaConfig,
    /// `[log]`
    pub log: LogConfig,
    /// `[admin]`
    pub admin: AdminConfig,
}

/// `[reclassify]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReclassifyConfig {
    /// Milliseconds without another change of the catalog after which those that came are applied,
    /// together.
    pub quiet_ms: u64,
    /// Milliseconds after the first of them at which they are applied even if more are coming: an import
    /// of a whole catalog takes minutes, and each time costs a pass over the rows.
    pub wait_max_ms: u64,
    /// Milliseconds between two looks for scans that were stored after a change and judged before it.
    pub late_scans_interval_ms: u64,
    /// Milliseconds that one statement may take.
    pub statement_timeout_ms: u64,
}

impl Default for ReclassifyConfig {
    fn default() -> Self {
        Self {
            quiet_ms: 1_000,
            wait_max_ms: 15_000,
            late_scans_interval_ms: 5_000,
            statement_timeout_ms: 600_000,
        }
    }
}

impl ReclassifyConfig {
    pub(crate) fn quiet(&self) -> Duration {
        Duration::from_millis(self.quiet_ms)
    }

    pub(crate) fn wait_max(&self) -> Duration {
        Duration::from_millis(self.wait_max_ms)
    }

    pub(crate) fn late_scans_interval(&self) -> Duration {
        Duration::from_millis(self.late_scans_interval_ms)
    }

    pub(crate) fn statement_timeout(&self) -> Duration {
        Duration::from_millis(self.statement_timeout_ms)
    }
}

impl Settings for Config {
    const ENV_PREFIX: &'static str = "PATCHLINE_RECLASSIFY";

    fn check(&self) -> Result<(), String> {
        let reclassify = &self.reclassify;
        if reclassify.wait_max_ms < reclassify.quiet_ms {
            return Err(format!(
                "reclassify.wait_max_ms = {} must be at least reclassify.quiet_ms = {}",
                reclassify.wait_max_ms, reclassify.quiet_ms
            ));
        }
        if reclassify.late_scans_interval_ms == 0 {
            return Err(
                "reclassify.late_scans_interval_ms = 0 would ask without a pause".to_owned()
            );
        }
        if reclassify.statement_timeout_ms < 1_000 {
            return Err(format!(
                "reclassify.statement_timeout_ms = {} is too short for a statement over a large table; \
                 give it minutes",
                reclassify.statement_timeout_ms
            ));
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
    fn what_could_not_work_is_refused() {
        let refused = |change: fn(&mut ReclassifyConfig)| {
            let mut config = Config::default();
            change(&mut config.reclassify);
            config.check().unwrap_err()
        };
        assert!(refused(|config| config.wait_max_ms = 1).contains("quiet_ms"));
        assert!(refused(|config| config.late_scans_interval_ms = 0).contains("late_scans"));
        assert!(refused(|config| config.statement_timeout_ms = 5).contains("statement_timeout_ms"));
    }
}
