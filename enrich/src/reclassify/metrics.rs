//! What reclassification counts. Names begin with `patchline_reclassify_`.

use prometheus::core::Collector;
use prometheus::{
    Histogram, HistogramOpts, IntCounter, IntGauge, IntGaugeVec, Opts, Registry,
    exponential_buckets,
};

/// The metrics. Cheap to clone; clones count together.
#[derive(Debug, Clone)]
pub struct Metrics {
    /// Entries of the catalog that were changed, and whose change is applied.
    pub advisories: IntCounter,
    /// Entries of the catalog that could not be read.
    pub unreadable: IntCounter,
    /// Rows that were judged again.
    pub judged: IntCounter,
    /// Rows whose verdict was changed.
    pub rows: IntCounter,
    /// Distinct new verdicts.
    pub verdicts: IntCounter,
    /// Summaries whose counts were changed.
    pub summaries: IntCounter,
    /// Scans that were judged by an older catalog, stored after the change, and judged again.
    pub late_scans: IntCounter,
    /// Seconds that applying changes took.
    pub pass_seconds: Histogram,
    /// Seconds from the publication of a change, of the oldest of those applied together, until it was
    /// applied.
    pub delay_seconds: Histogram,
    /// Failures, after which it tries again.
    pub errors: IntCounter,
    /// When it failed last, in seconds since 1970; 0 for never.
    pub last_error: IntGauge,
    /// 1, labelled with the version of the catalog that is applied.
    pub catalog: IntGaugeVec,
}

impl Metrics {
    /// Registers the metrics in `registry`.
    ///
    /// # Errors
    /// They are registered there already.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let metrics = Self {
            advisories: counter("advisories_total", "changed advisories applied")?,
            unreadable: counter("unreadable_total", "entries of the catalog that cannot be read")?,
            judged: counter("rows_judged_total", "rows judged again")?,
            rows: counter("rows_changed_total", "rows given another verdict")?,
            verdicts: counter(
                "verdicts_changed_total",
                "distinct verdicts given, a statement at a time",
            )?,
            summaries: counter("summaries_changed_total", "summaries given other counts")?,
            late_scans: counter(
                "late_scans_total",
                "scans stored after a change and judged before it, judged again",
            )?,
            pass_seconds: histogram("pass_seconds", "time to apply changes")?,
            delay_seconds: histogram("delay_seconds", "time from publication to applied")?,
            errors: counter("errors_total", "failures, after which it tries again")?,
            last_error: IntGauge::new(name("last_error_timestamp_seconds"), "when it failed last")?,
            catalog: IntGaugeVec::new(
                Opts::new(name("catalog_info"), "the catalog that is applied"),
                &["version"],
            )?,
        };
        let all: [Box<dyn Collector>; 12] = [
            Box::new(metrics.advisories.clone()),
            Box::new(metrics.unreadable.clone()),
            Box::new(metrics.judged.clone()),
            Box::new(metrics.rows.clone()),
            Box::new(metrics.verdicts.clone()),
            Box::new(metrics.summaries.clone()),
            Box::new(metrics.late_scans.clone()),
            Box::new(metrics.pass_seconds.clone()),
            Box::new(metrics.delay_seconds.clone()),
            Box::new(metrics.errors.clone()),
            Box::new(metrics.last_error.clone()),
            Box::new(metrics.catalog.clone()),
        ];
        for one in all {
            registry.register(one)?;
        }
        Ok(metrics)
    }

    /// Says which catalog is applied.
    pub fn applied(&self, version: &str) {
        self.catalog.reset();
        self.catalog.with_label_values(&[version]).set(1);
    }
}

fn name(suffix: &str) -> String {
    format!("patchline_reclassify_{suffix}")
}

fn counter(suffix: &str, help: &str) -> Result<IntCounter, prometheus::Error> {
    IntCounter::new(name(suffix), help)
}

fn histogram(suffix: &str, help: &str) -> Result<Histogram, prometheus::Error> {
    let buckets = exponential_buckets(0.05, 2.0, 14)?;
    Histogram::with_opts(HistogramOpts::new(name(suffix), help).buckets(buckets))
}
