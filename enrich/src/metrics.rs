//! What the stage counts. Names begin with `patchline_enrich_`; counts are of committed
//! transactions, so that what was repeated is not counted twice.

use patchline_runtime::statistics::KafkaStatistics;
use patchline_schemas::Timestamp;
use prometheus::{
    Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    core::Collector, exponential_buckets,
};

use crate::index::MemoCounters;
use crate::transform::Class;

/// The stage's metrics. Cheap to clone; clones count together.
#[derive(Debug, Clone)]
pub struct Metrics {
    /// Raw messages that left as enriched message or dead letter, by raw topic.
    pub messages_in: IntCounterVec,
    /// Enriched messages, by enriched topic.
    pub messages_out: IntCounterVec,
    /// Bytes of raw messages that left, by raw topic.
    pub bytes_in: IntCounterVec,
    /// Bytes of enriched messages before compression, by enriched topic.
    pub bytes_out: IntCounterVec,
    /// Updates in enriched scans.
    pub updates: IntCounter,
    /// Updates left out because their scan had listed them before.
    pub duplicates: IntCounter,
    /// Dead letters by reason.
    pub dead_letters: IntCounterVec,
    /// Transactions by outcome: `committed`, `aborted`.
    pub transactions: IntCounterVec,
    /// Seconds from the begin of a transaction to its commit.
    pub transaction_seconds: Histogram,
    /// Seconds a batch spent in decoding, judging and encoding.
    pub transform_seconds: Histogram,
    /// Messages in a batch.
    pub batch_messages: Histogram,
    /// Rebalances by event: `assign`, `revoke`.
    pub rebalances: IntCounterVec,
    /// Messages of the assigned partitions that were not read yet, by raw topic.
    pub lag: IntGaugeVec,
    /// 1, labelled with the version of the catalog.
    pub catalog: IntGaugeVec,
    /// Advisories in the catalog.
    pub catalog_advisories: IntGauge,
    /// When the catalog last changed here, in seconds since 1970.
    pub catalog_changed: IntGauge,
    /// When the newest entry of the catalog was published to its topic, in seconds since 1970.
    pub catalog_newest: IntGauge,
    /// Messages of the catalog's topic that could not be used.
    pub catalog_unreadable: IntCounter,
    /// How often a verdict was remembered.
    pub memo: MemoCounters,
    /// What the Kafka clients say of themselves.
    pub statistics: KafkaStatistics,
}

/// Outcome of a transaction that took effect.
pub const COMMITTED: &str = "committed";
/// Outcome of a transaction that left nothing behind.
pub const ABORTED: &str = "aborted";

impl Metrics {
    /// Registers the metrics in `registry`.
    ///
    /// # Errors
    /// They are registered there already.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let metrics = Self {
            messages_in: counters("messages_in_total", "raw messages processed", "topic")?,
            messages_out: counters("messages_out_total", "enriched messages written", "topic")?,
            bytes_in: counters("bytes_in_total", "bytes of raw messages processed", "topic")?,
            bytes_out: counters(
                "bytes_out_total",
                "bytes of enriched messages written, before compression",
                "topic",
            )?,
            updates: counter("updates_total", "updates judged")?,
            duplicates: counter(
                "duplicate_updates_total",
                "updates left out because their scan had listed them before",
            )?,
            dead_letters: counters("dead_letters_total", "messages rejected", "reason")?,
            transactions: counters("transactions_total", "transactions ended", "outcome")?,
            transaction_seconds: histogram(
                "transaction_seconds",
                "time from the begin of a transaction to its commit",
                exponential_buckets(0.002, 2.0, 14)?,
            )?,
            transform_seconds: histogram(
                "transform_seconds",
                "time to transform one batch",
                exponential_buckets(0.0005, 2.0, 14)?,
            )?,
            batch_messages: histogram(
                "batch_messages",
                "messages in a batch",
                exponential_buckets(1.0, 2.0, 12)?,
            )?,
            rebalances: counters("rebalances_total", "rebalances of the group", "event")?,
            lag: gauges("lag_messages", "messages not read yet", "topic")?,
            catalog: gauges("catalog_info", "the catalog in use", "version")?,
            catalog_advisories: gauge("catalog_advisories", "advisories in the catalog")?,
            catalog_changed: gauge(
                "catalog_changed_timestamp_seconds",
                "when the catalog last changed here",
            )?,
            catalog_newest: gauge(
                "catalog_newest_timestamp_seconds",
                "when the newest entry of the catalog was published",
            )?,
            catalog_unreadable: counter(
                "catalog_unreadable_total",
                "messages of the catalog that could not be used",
            )?,
            memo: MemoCounters {
                hits: counter("memo_hits_total", "updates whose verdict was remembered")?,
                misses: counter("memo_misses_total", "updates whose verdict had to be found")?,
            },
            statistics: KafkaStatistics::new(registry)?,
        };
        let all: [Box<dyn Collector>; 20] = [
            Box::new(metrics.messages_in.clone()),
            Box::new(metrics.messages_out.clone()),
            Box::new(metrics.bytes_in.clone()),
            Box::new(metrics.bytes_out.clone()),
            Box::new(metrics.updates.clone()),
            Box::new(metrics.duplicates.clone()),
            Box::new(metrics.dead_letters.clone()),
            Box::new(metrics.transactions.clone()),
            Box::new(metrics.transaction_seconds.clone()),
            Box::new(metrics.transform_seconds.clone()),
            Box::new(metrics.batch_messages.clone()),
            Box::new(metrics.rebalances.clone()),
            Box::new(metrics.lag.clone()),
            Box::new(metrics.catalog.clone()),
            Box::new(metrics.catalog_advisories.clone()),
            Box::new(metrics.catalog_changed.clone()),
            Box::new(metrics.catalog_newest.clone()),
            Box::new(metrics.catalog_unreadable.clone()),
            Box::new(metrics.memo.hits.clone()),
            Box::new(metrics.memo.misses.clone()),
        ];
        for one in all {
            registry.register(one)?;
        }
        // Alerts on a rate need the series to exist before its first event.
        for class in Class::ALL {
            metrics.dead_letters.with_label_values(&[class.as_str()]);
        }
        for outcome in [COMMITTED, ABORTED] {
            metrics.transactions.with_label_values(&[outcome]);
        }
        for event in ["assign", "revoke"] {
            metrics.rebalances.with_label_values(&[event]);
        }
        Ok(metrics)
    }

    /// Makes the series of these topics, at zero.
    pub fn expect(&self, raw: [&str; 2], enriched: [&str; 2]) {
        for topic in raw {
            for counters in [&self.messages_in, &self.bytes_in] {
                counters.with_label_values(&[topic]);
            }
            self.lag.with_label_values(&[topic]);
        }
        for topic in enriched {
            for counters in [&self.messages_out, &self.bytes_out] {
                counters.with_label_values(&[topic]);
            }
        }
    }

    /// Notes that the catalog `version` is in use from now on.
    pub fn use_catalog(&self, version: &str, advisories: usize) {
        self.catalog.reset();
        self.catalog.with_label_values(&[version]).set(1);
        self.catalog_advisories.set(i64::try_from(advisories).unwrap_or(i64::MAX));
        self.catalog_changed.set(Timestamp::now().0 / 1000);
    }
}

fn name(suffix: &str) -> String {
    format!("patchline_enrich_{suffix}")
}

fn counter(suffix: &str, help: &str) -> Result<IntCounter, prometheus::Error> {
    IntCounter::new(name(suffix), help)
}

fn gauge(suffix: &str, help: &str) -> Result<IntGauge, prometheus::Error> {
    IntGauge::new(name(suffix), help)
}

fn counters(suffix: &str, help: &str, label: &str) -> Result<IntCounterVec, prometheus::Error> {
    IntCounterVec::new(Opts::new(name(suffix), help), &[label])
}

fn gauges(suffix: &str, help: &str, label: &str) -> Result<IntGaugeVec, prometheus::Error> {
    IntGaugeVec::new(Opts::new(name(suffix), help), &[label])
}

fn histogram(suffix: &str, help: &str, buckets: Vec<f64>) -> Result<Histogram, prometheus::Error> {
    Histogram::with_opts(HistogramOpts::new(name(suffix), help).buckets(buckets))
}
