//! What the spool and the forwarder count.

use prometheus::{
    Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry,
    exponential_buckets,
};

/// Metrics of the spool and of what empties it, registered once.
#[derive(Debug, Clone)]
pub struct Metrics {
    /// Bytes of the reports that wait.
    pub(crate) bytes: IntGauge,
    /// Reports that wait.
    pub(crate) reports: IntGauge,
    /// Bytes that may wait.
    pub(crate) quota_bytes: IntGauge,
    /// Seconds that the oldest report has waited for.
    pub(crate) oldest_age_seconds: IntGauge,
    /// Whether reports can be kept.
    pub(crate) writable: IntGauge,
    /// Commits, each with one fsync.
    pub(crate) commits: IntCounter,
    /// Seconds that a commit took.
    pub(crate) commit_seconds: Histogram,
    /// Reports that shared a commit.
    pub(crate) group_reports: Histogram,
    /// Damaged files set aside.
    pub(crate) corrupt_files: IntCounter,
    /// Whether the next hop can be used.
    pub(crate) next_hop_up: IntGauge,
    /// Reports handed on, by lane.
    pub(crate) forwarded: IntCounterVec,
    /// Deliveries that did not succeed and are repeated, by reason.
    pub(crate) retries: IntCounterVec,
    /// Reports that no topic takes, in the dead letters instead.
    pub(crate) dead_letters: IntCounter,
    /// Reports of an outage that are still to be replayed, at most.
    pub(crate) replay_reports: IntGauge,
    /// Seconds from a batch's sending to its last acknowledgement.
    pub(crate) delivery_seconds: Histogram,
}

impl Metrics {
    /// Registers the metrics.
    ///
    /// # Errors
    /// One of the names is taken.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let gauge = |name: &str, help: &str| {
            let metric = IntGauge::with_opts(opts(name, help))?;
            registry.register(Box::new(metric.clone())).map(|()| metric)
        };
        let counter = |name: &str, help: &str| {
            let metric = IntCounter::with_opts(opts(name, help))?;
            registry.register(Box::new(metric.clone())).map(|()| metric)
        };
        let counters = |name: &str, help: &str, label: &str| {
            let metric = IntCounterVec::new(opts(name, help), &[label])?;
            registry.register(Box::new(metric.clone())).map(|()| metric)
        };
        let histogram = |name: &str, help: &str, buckets: Vec<f64>| {
            let options = HistogramOpts::from(opts(name, help)).buckets(buckets);
            let metric = Histogram::with_opts(options)?;
            registry.register(Box::new(metric.clone())).map(|()| metric)
        };
        let forwarded = counters("forwarded_total", "Reports handed on.", "lane")?;
        for lane in ["live", "backlog"] {
            forwarded.with_label_values(&[lane]);
        }
        // From a fast disk's commit to a delivery's timeout.
        let seconds = || exponential_buckets(0.000_5, 2.0, 16);
        let metrics = Self {
            bytes: gauge("spool_bytes", "Bytes of the reports that wait in the spool.")?,
            reports: gauge("spool_reports", "Reports that wait in the spool.")?,
            quota_bytes: gauge("spool_quota_bytes", "Bytes that may wait in the spool.")?,
            oldest_age_seconds: gauge(
                "spool_oldest_age_seconds",
                "How long the spool's oldest report has waited.",
            )?,
            writable: gauge("spool_writable", "1 while the spool takes reports.")?,
            commits: counter("spool_commits_total", "Commits of the spool, one fsync each.")?,
            commit_seconds: histogram(
                "spool_commit_seconds",
                "Time that a commit of the spool took.",
                seconds()?,
            )?,
            group_reports: histogram(
                "spool_group_reports",
                "Reports that shared one commit.",
                exponential_buckets(1.0, 2.0, 12)?,
            )?,
            corrupt_files: counter(
                "spool_corrupt_files_total",
                "Damaged files set aside; `patchline-gateway spool replay` sends what is readable.",
            )?,
            next_hop_up: gauge("next_hop_up", "1 while reports can be handed on.")?,
            forwarded,
            retries: counters(
                "forward_retries_total",
                "Reports that were not taken and will be sent again.",
                "reason",
            )?,
            dead_letters: counter(
                "dead_letters_total",
                "Reports that their topic never takes, written to the dead letters.",
            )?,
            replay_reports: gauge(
                "replay_reports",
                "Reports of an outage, at most, that are still to be replayed.",
            )?,
            delivery_seconds: histogram(
                "delivery_seconds",
                "Time from a batch's sending to its last acknowledgement.",
                seconds()?,
            )?,
        };
        // Known beforehand, so that an alert sees the first as an increase.
        for reason in ["unavailable", "queue-full", "timed-out", "refused"] {
            metrics.retries.with_label_values(&[reason]);
        }
        Ok(metrics)
    }
}

fn opts(name: &str, help: &str) -> Opts {
    Opts::new(format!("patchline_gateway_{name}"), help)
}
