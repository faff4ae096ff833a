//! What the sink tells Prometheus.

use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry, exponential_buckets,
};

/// The sink's metrics. Nothing here is per computer.
pub struct Metrics {
    /// `patchline_sink_messages_total{topic}`: messages stored or dead-lettered.
    pub messages: IntCounterVec,
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
    /// `patchline_sink_lag{topic}`: messages behind the end of the topic.
    pub lag: IntGaugeVec,
}

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
            lag,
        })
    }
}
