//! What the stage counts. Names begin with `patchline_enrich_`; counts are of committed
//! transactions, so that what was repeated is not counted twice.

use prometheus::{
    Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGaugeVec, Opts, Registry,
    core::Collector, exponential_buckets,
};

use crate::transform::Class;

/// The stage's metrics. Cheap to clone; clones count together.
#[derive(Debug, Clone)]
pub struct Metrics {
    /// Raw messages that left as enriched message or dead letter, by raw topic.
    pub messages_in: IntCounterVec,
    /// Enriched messages, by enriched topic.
    pub messages_out: IntCounterVec,
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
        };
        let all: [Box<dyn Collector>; 12] = [
            Box::new(metrics.messages_in.clone()),
            Box::new(metrics.messages_out.clone()),
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
        Ok(metrics)
    }
}

fn name(suffix: &str) -> String {
    format!("patchline_enrich_{suffix}")
}

fn counter(suffix: &str, help: &str) -> Result<IntCounter, prometheus::Error> {
    IntCounter::new(name(suffix), help)
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
