//! What the sink tells Prometheus: of itself, and of the fleet ([`FleetMetrics`]). Nothing here is per
//! computer.

use patchline_schemas::topic::dead_letter::Class;
use prometheus::core::Collector;
use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry, exponential_buckets,
};

use crate::tables::TABLES;

/// The sink's metrics.
pub struct Metrics {
    /// `patchline_sink_messages_total{topic}`: messages stored or dead-lettered.
    pub messages: IntCounterVec,
    /// `patchline_sink_message_bytes_total{topic}`: their payloads.
    pub message_bytes: IntCounterVec,
    /// `patchline_sink_rows_total{table}`: rows of acknowledged inserts.
    pub rows: IntCounterVec,
    /// `patchline_sink_bytes_total{table}`: bytes of acknowledged inserts, before compression.
    pub bytes: IntCounterVec,
    /// `patchline_sink_batches_total{topic}`: batches stored.
    pub batches: IntCounterVec,
    /// `patchline_sink_replays_total`: announced batches that were collected again.
    pub replays: IntCounter,
    /// `patchline_sink_repairs_total{table}`: replayed inserts that ClickHouse claimed to have and had not.
    pub repairs: IntCounterVec,
    /// `patchline_sink_insert_seconds{table}`: time of one successful INSERT.
    pub insert_seconds: HistogramVec,
    /// `patchline_sink_insert_errors_total{code}`: failed INSERTs by ClickHouse's code.
    pub insert_errors: IntCounterVec,
    /// `patchline_sink_commit_seconds`: time of one successful offset commit.
    pub commit_seconds: Histogram,
    /// `patchline_sink_commit_errors_total{code}`: failed offset commits.
    pub commit_errors: IntCounterVec,
    /// `patchline_sink_delay_seconds`: from a batch's first message reaching Patchline to its rows stored.
    pub delay_seconds: Histogram,
    /// `patchline_sink_event_delay_seconds`: from when a batch's first report was made, by its computer's clock,
    /// to its rows stored. A report from the future counts as made now, one of long ago as made
    /// [`EVENT_DELAY_MAX_SECONDS`] ago: wrong clocks and an agent's old spool must not outweigh the rest.
    pub event_delay_seconds: Histogram,
    /// `patchline_sink_dead_letters_total{class}`
    pub dead_letters: IntCounterVec,
    /// `patchline_sink_expired_offsets_total`: offsets that Kafka deleted before they were read.
    pub expired_offsets: IntCounter,
    /// `patchline_sink_rebalances_total{kind}`: partitions assigned, revoked, lost.
    pub rebalances: IntCounterVec,
    /// `patchline_sink_partitions`: partitions held.
    pub partitions: IntGauge,
    /// `patchline_sink_partitions_paused`: partitions that wait for room.
    pub paused: IntGauge,
    /// `patchline_sink_buffer_bytes`: messages and open batches.
    pub buffer_bytes: IntGauge,
    /// `patchline_sink_buffer_bytes_max`: how many there may be.
    pub buffer_bytes_max: IntGauge,
    /// `patchline_sink_clickhouse_up`: whether ClickHouse answered when it was last asked.
    pub clickhouse_up: IntGauge,
    /// `patchline_sink_lag{topic}`: messages behind the end of the topic.
    pub lag: IntGaugeVec,
}

/// The longest delay that is counted, a day: see [`Metrics::event_delay_seconds`].
pub const EVENT_DELAY_MAX_SECONDS: f64 = 86_400.0;

impl Metrics {
    /// Registers the metrics.
    ///
    /// # Errors
    /// One of the names is taken in `registry`.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let counters = |name: &str, help: &str, label: &str| {
            let counters = IntCounterVec::new(Opts::new(name, help), &[label])?;
            registry.register(Box::new(counters.clone()))?;
            Ok::<_, prometheus::Error>(counters)
        };
        let counter = |name: &str, help: &str| {
            let counter = IntCounter::new(name, help)?;
            registry.register(Box::new(counter.clone()))?;
            Ok::<_, prometheus::Error>(counter)
        };
        let gauge = |name: &str, help: &str| {
            let gauge = IntGauge::new(name, help)?;
            registry.register(Box::new(gauge.clone()))?;
            Ok::<_, prometheus::Error>(gauge)
        };
        let seconds = |name: &str, help: &str| {
            let buckets = exponential_buckets(0.001, 2.0, 18)?;
            let histogram = Histogram::with_opts(HistogramOpts::new(name, help).buckets(buckets))?;
            registry.register(Box::new(histogram.clone()))?;
            Ok::<_, prometheus::Error>(histogram)
        };
        let insert_seconds = HistogramVec::new(
            HistogramOpts::new("patchline_sink_insert_seconds", "time of a successful INSERT")
                .buckets(exponential_buckets(0.001, 2.0, 18)?),
            &["table"],
        )?;
        registry.register(Box::new(insert_seconds.clone()))?;
        let lag = IntGaugeVec::new(
            Opts::new("patchline_sink_lag", "messages behind the end of the topic"),
            &["topic"],
        )?;
        registry.register(Box::new(lag.clone()))?;
        Ok(Self {
            messages: counters(
                "patchline_sink_messages_total",
                "messages stored or dead-lettered",
                "topic",
            )?,
            message_bytes: counters(
                "patchline_sink_message_bytes_total",
                "bytes of messages stored or dead-lettered",
                "topic",
            )?,
            rows: counters("patchline_sink_rows_total", "rows of acknowledged inserts", "table")?,
            bytes: counters(
                "patchline_sink_bytes_total",
                "bytes of acknowledged inserts before compression",
                "table",
            )?,
            batches: counters("patchline_sink_batches_total", "batches stored", "topic")?,
            replays: counter(
                "patchline_sink_replays_total",
                "announced batches that were collected again",
            )?,
            repairs: counters(
                "patchline_sink_repairs_total",
                "replayed inserts whose token was known and whose rows were not",
                "table",
            )?,
            insert_seconds,
            insert_errors: counters(
                "patchline_sink_insert_errors_total",
                "failed INSERTs by ClickHouse error code",
                "code",
            )?,
            commit_seconds: seconds(
                "patchline_sink_commit_seconds",
                "time of a successful offset commit",
            )?,
            commit_errors: counters(
                "patchline_sink_commit_errors_total",
                "failed offset commits by Kafka error",
                "code",
            )?,
            delay_seconds: seconds(
                "patchline_sink_delay_seconds",
                "from the arrival of a batch's first message in Patchline to its rows being stored",
            )?,
            event_delay_seconds: {
                let buckets = exponential_buckets(0.25, 2.0, 19)?;
                let opts = HistogramOpts::new(
                    "patchline_sink_event_delay_seconds",
                    "from when a batch's first report was made, by its computer's clock, to its rows being \
                     stored; at least 0, at most a day",
                );
                let histogram = Histogram::with_opts(opts.buckets(buckets))?;
                registry.register(Box::new(histogram.clone()))?;
                histogram
            },
            dead_letters: counters(
                "patchline_sink_dead_letters_total",
                "messages that no table takes, by reason",
                "class",
            )?,
            expired_offsets: counter(
                "patchline_sink_expired_offsets_total",
                "offsets that Kafka deleted before they were read",
            )?,
            rebalances: counters(
                "patchline_sink_rebalances_total",
                "partitions assigned, revoked and lost",
                "kind",
            )?,
            partitions: gauge("patchline_sink_partitions", "partitions held")?,
            paused: gauge("patchline_sink_partitions_paused", "partitions that wait for room")?,
            buffer_bytes: gauge(
                "patchline_sink_buffer_bytes",
                "bytes of messages and open batches",
            )?,
            buffer_bytes_max: gauge(
                "patchline_sink_buffer_bytes_max",
                "bytes of messages and open batches at which reading pauses",
            )?,
            clickhouse_up: gauge(
                "patchline_sink_clickhouse_up",
                "whether ClickHouse answered when it was last asked",
            )?,
            lag,
        })
    }

    /// Makes every series that is known beforehand, at zero: an alert that asks for a change must have seen it.
    pub fn expect(&self, topics: &[&str]) {
        for topic in topics {
            for counters in [&self.messages, &self.message_bytes, &self.batches] {
                counters.with_label_values(&[topic]);
            }
            self.lag.with_label_values(&[topic]);
        }
        for (table, _) in TABLES {
            for counters in [&self.rows, &self.bytes, &self.repairs] {
                counters.with_label_values(&[table]);
            }
            self.insert_seconds.with_label_values(&[table]);
        }
        for class in Class::ALL {
            self.dead_letters.with_label_values(&[class.as_str()]);
        }
        for kind in ["assigned", "revoked", "lost"] {
            self.rebalances.with_label_values(&[kind]);
        }
        // What a server, or a broker, that is away is counted under.
        self.insert_errors.with_label_values(&[NO_CODE]);
        self.commit_errors.with_label_values(&["_TRANSPORT"]);
    }
}

/// `code` of an insert that ClickHouse did not answer.
pub const NO_CODE: &str = "none";

/// The fleet in figures, `patchline_fleet_…`: of the computers that were heard of within 30 days.
///
/// Every instance of the sink shows the whole fleet, so they are not to be summed over instances:
/// `max by (…) (…)` is right with one and with many.
#[derive(Debug, Clone)]
pub struct FleetMetrics {
    /// `patchline_fleet_computers{os, state}`: computers by state.
    pub computers: IntGaugeVec,
    /// `patchline_fleet_assessments_stale{os}`: reporting computers whose newest scan is too old, or missing.
    pub stale: IntGaugeVec,
    /// `patchline_fleet_missing_updates{os, classification}`: updates that computers need.
    pub missing: IntGaugeVec,
    /// `patchline_fleet_oldest_missing_security_update{bucket}`: computers by the age of the oldest critical or
    /// security update that they miss.
    pub oldest: IntGaugeVec,
    /// `patchline_fleet_automatic_update_disabled{setting}`: Windows computers that install nothing by themselves.
    pub not_automatic: IntGaugeVec,
    /// `patchline_fleet_deployments{status}`: update deployments.
    pub deployments: IntGaugeVec,
    /// `patchline_fleet_deployment_computers{status}`: computers in the newest run of each deployment.
    pub deployment_computers: IntGaugeVec,
    /// `patchline_fleet_updated_timestamp_seconds`: when these figures were last made, in seconds since 1970.
    pub updated: IntGauge,
    /// `patchline_fleet_query_seconds`: how long asking took.
    pub query_seconds: Histogram,
    /// `patchline_fleet_errors_total`: how often it failed.
    pub errors: IntCounter,
}

impl FleetMetrics {
    /// Registers the metrics.
    ///
    /// # Errors
    /// One of the names is taken in `registry`.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let name = |suffix: &str| format!("patchline_fleet_{suffix}");
        let gauges = |suffix: &str, help: &str, labels: &[&str]| {
            IntGaugeVec::new(Opts::new(name(suffix), help), labels)
        };
        let metrics = Self {
            computers: gauges("computers", "computers by state", &["os", "state"])?,
            stale: gauges(
                "assessments_stale",
                "reporting computers whose newest scan is older than fleet.stale_after_min, or missing",
                &["os"],
            )?,
            missing: gauges(
                "missing_updates",
                "updates that computers need, approved and not optional, each computer's counted",
                &["os", "classification"],
            )?,
            oldest: gauges(
                "oldest_missing_security_update",
                "computers by the age of the oldest critical or security update that they miss",
                &["bucket"],
            )?,
            not_automatic: gauges(
                "automatic_update_disabled",
                "Windows computers that do not install updates by themselves",
                &["setting"],
            )?,
            deployments: gauges("deployments", "update deployments by status", &["status"])?,
            deployment_computers: gauges(
                "deployment_computers",
                "computers in the newest run of each update deployment, by status",
                &["status"],
            )?,
            updated: IntGauge::new(
                name("updated_timestamp_seconds"),
                "when the fleet's figures were last made",
            )?,
            query_seconds: Histogram::with_opts(
                HistogramOpts::new(name("query_seconds"), "time to make the fleet's figures")
                    .buckets(exponential_buckets(0.01, 2.0, 12)?),
            )?,
            errors: IntCounter::new(name("errors_total"), "failures to make the fleet's figures")?,
        };
        let all: [Box<dyn Collector>; 10] = [
            Box::new(metrics.computers.clone()),
            Box::new(metrics.stale.clone()),
            Box::new(metrics.missing.clone()),
            Box::new(metrics.oldest.clone()),
            Box::new(metrics.not_automatic.clone()),
            Box::new(metrics.deployments.clone()),
            Box::new(metrics.deployment_computers.clone()),
            Box::new(metrics.updated.clone()),
            Box::new(metrics.query_seconds.clone()),
            Box::new(metrics.errors.clone()),
        ];
        for one in all {
            registry.register(one)?;
        }
        Ok(metrics)
    }
}
