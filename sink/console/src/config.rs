//! Settings of the console.

use std::net::SocketAddr;

use patchline_runtime::admin::AdminConfig;
use patchline_runtime::config::Settings;
use patchline_runtime::telemetry::LogConfig;
use serde::Deserialize;

/// Everything the console is told.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// `[console]`
    pub console: ConsoleConfig,
    /// `[clickhouse]`
    pub clickhouse: ClickHouseConfig,
    /// `[log]`
    pub log: LogConfig,
    /// `[admin]`
    pub admin: AdminConfig,
}

/// `[console]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ConsoleConfig {
    /// Address to listen on; port 0 takes a free one. The page has no login of its own: listen on loopback, or
    /// behind a proxy that has one.
    pub listen: SocketAddr,
    /// How long one query may take, in seconds.
    pub query_timeout_s: u64,
    /// Queries that run at a time; others wait their turn, for as long as a query may take.
    pub queries_in_flight_max: usize,
    /// Memory that ClickHouse may use for one query, in bytes.
    pub query_memory_bytes_max: u64,
    /// Rows of a page at most.
    pub page_rows_max: u32,
    /// Rows of a CSV file at most; more are refused, not cut off.
    pub csv_rows_max: u32,
    /// A computer that was not heard of for so long, by heartbeat or scan, does not report.
    pub silent_after_min: u32,
    /// How long a shutdown waits for requests that are under way.
    pub drain_timeout_ms: u64,
}

impl Default for ConsoleConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8090)),
            query_timeout_s: 20,
            // A page asks up to five questions at once.
            queries_in_flight_max: 8,
            query_memory_bytes_max: 2_000_000_000,
            page_rows_max: 500,
            csv_rows_max: 200_000,
            // As the sink's fleet figures have it: twice the longest usual scan interval.
            silent_after_min: 24 * 60,
            drain_timeout_ms: 5_000,
        }
    }
}

/// `[clickhouse]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClickHouseConfig {
    /// Its HTTP interface.
    pub url: String,
    /// Database of the tables.
    pub database: String,
    /// User, where the server wants one. One that may only read is enough.
    pub user: Option<String>,
    /// The user's password. Better set in the environment than in a file.
    pub password: Option<String>,
}

impl Default for ClickHouseConfig {
    fn default() -> Self {
        Self {
            url: "http://127.0.0.1:8123".to_owned(),
            database: "patchline".to_owned(),
            user: None,
            password: None,
        }
    }
}

impl Settings for Config {
    const ENV_PREFIX: &'static str = "PATCHLINE_CONSOLE";

    fn check(&self) -> Result<(), String> {
        let console = &self.console;
        for (name, value) in [
            ("query_timeout_s", console.query_timeout_s),
            ("queries_in_flight_max", console.queries_in_flight_max as u64),
            ("query_memory_bytes_max", console.query_memory_bytes_max),
            ("page_rows_max", console.page_rows_max.into()),
            ("csv_rows_max", console.csv_rows_max.into()),
            ("silent_after_min", console.silent_after_min.into()),
        ] {
            if value == 0 {
                return Err(format!("console.{name} must be at least 1"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_of_nothing_is_refused() {
        let mut config = Config::default();
        assert_eq!(config.check(), Ok(()));
        config.console.page_rows_max = 0;
        assert_eq!(config.check(), Err("console.page_rows_max must be at least 1".to_owned()));
    }
}
