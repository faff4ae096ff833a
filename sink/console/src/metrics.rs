//! The console's metrics.

use prometheus::{
    HistogramOpts, HistogramVec, IntCounterVec, IntGauge, Opts, Registry, exponential_buckets,
};

/// What a request may end in.
const OUTCOMES: [&str; 6] = ["ok", "bad_request", "timeout", "busy", "unavailable", "failed"];

/// What an operator sees of the console.
#[derive(Debug, Clone)]
pub struct Metrics {
    /// Answers, by query and outcome.
    pub requests: IntCounterVec,
    /// How long ClickHouse took, by query.
    pub query_seconds: HistogramVec,
    /// Whether ClickHouse answers.
    pub clickhouse_up: IntGauge,
}

impl Metrics {
    /// Registers the metrics in `registry`.
    ///
    /// # Errors
    /// One of these names is taken.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let metrics = Self {
            requests: IntCounterVec::new(
                Opts::new(
                    "patchline_console_requests_total",
                    "requests answered, by query and outcome: ok, bad_request, timeout, busy, unavailable, failed",
                ),
                &["query", "outcome"],
            )?,
            query_seconds: HistogramVec::new(
                HistogramOpts::new(
                    "patchline_console_query_seconds",
                    "time from a query's start to its whole answer, seconds",
                )
                .buckets(exponential_buckets(0.01, 3.0, 8)?),
                &["query"],
            )?,
            clickhouse_up: IntGauge::new(
                "patchline_console_clickhouse_up",
                "whether ClickHouse answered when last asked",
            )?,
        };
        registry.register(Box::new(metrics.requests.clone()))?;
        registry.register(Box::new(metrics.query_seconds.clone()))?;
        registry.register(Box::new(metrics.clickhouse_up.clone()))?;
        Ok(metrics)
    }

    /// Shows the series of these queries from the start, at zero, so that a first failure is an increase.
    pub fn expect<'q>(&self, queries: impl IntoIterator<Item = &'q str>) {
        for query in queries {
            for outcome in OUTCOMES {
                self.requests.with_label_values(&[query, outcome]);
            }
            self.query_seconds.with_label_values(&[query]);
        }
    }
}
