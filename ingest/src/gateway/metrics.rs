//! What the gateway counts. Labels are of small, fixed sets; never a computer.

use prometheus::{
    HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts, Registry,
};

/// The gateway's metrics, registered once.
#[derive(Debug, Clone)]
pub struct Metrics {
    /// Requests answered, by endpoint and status code.
    pub(super) requests: IntCounterVec,
    /// Seconds from a request's headers to its answer, by endpoint.
    pub(super) request_seconds: HistogramVec,
    /// Requests being worked on.
    pub(super) requests_in_flight: IntGauge,
    /// Open connections.
    pub(super) connections: IntGauge,
    /// Bytes of `memory_bytes_max` in use.
    pub(super) memory_bytes: IntGauge,
    /// Bytes of all requests together at which further ones are put off.
    pub(super) memory_bytes_max: IntGauge,
    /// Body bytes as they came.
    pub(super) wire_bytes: IntCounter,
    /// Body bytes, decompressed.
    pub(super) body_bytes: IntCounter,
    /// Reports made durable, by record.
    pub(super) reports: IntCounterVec,
    /// Updates that the scans among them list.
    pub(super) updates: IntCounter,
    /// Texts cut to the collector's limit.
    pub(super) cut_texts: IntCounter,
    /// Requests refused, by reason.
    pub(super) rejections: IntCounterVec,
    /// What happens before a request is looked at.
    pub(super) guard: super::guard::Counts,
}

/// From a linger to a delivery timeout.
const SECONDS: [f64; 12] = [0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0];

impl Metrics {
    /// Registers the metrics.
    ///
    /// # Errors
    /// One of the names is taken.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let counters = |name: &str, help: &str, labels: &[&str]| {
            let metric = IntCounterVec::new(opts(name, help), labels)?;
            registry.register(Box::new(metric.clone())).map(|()| metric)
        };
        let counter = |name: &str, help: &str| {
            let metric = IntCounter::with_opts(opts(name, help))?;
            registry.register(Box::new(metric.clone())).map(|()| metric)
        };
        let gauge = |name: &str, help: &str| {
            let metric = IntGauge::with_opts(opts(name, help))?;
            registry.register(Box::new(metric.clone())).map(|()| metric)
        };
        let seconds = |name: &str, help: &str| {
            HistogramOpts::from(opts(name, help)).buckets(SECONDS.to_vec())
        };
        let request_seconds = HistogramVec::new(
            seconds("request_seconds", "Time from a request's headers to its answer."),
            &["endpoint"],
        )?;
        registry.register(Box::new(request_seconds.clone()))?;
        Ok(Self {
            requests: counters("requests_total", "Requests answered.", &["endpoint", "code"])?,
            request_seconds,
            requests_in_flight: gauge("requests_in_flight", "Requests being worked on.")?,
            connections: gauge("connections", "Open connections.")?,
            memory_bytes: gauge("memory_bytes", "Bytes of gateway.memory_bytes_max in use.")?,
            memory_bytes_max: gauge("memory_bytes_max", "Bytes of gateway.memory_bytes_max.")?,
            wire_bytes: counter("wire_bytes_total", "Body bytes as they came.")?,
            body_bytes: counter("body_bytes_total", "Body bytes, decompressed.")?,
            reports: counters("reports_total", "Reports made durable.", &["record"])?,
            updates: counter("updates_total", "Updates listed by durable scans.")?,
            cut_texts: counter(
                "cut_texts_total",
                "Texts of durable reports that were cut to the HTTP Data Collector API's 32 KB.",
            )?,
            rejections: counters("rejections_total", "Requests refused.", &["reason"])?,
            guard: super::guard::Counts::register(registry)?,
        })
    }
}

fn opts(name: &str, help: &str) -> Opts {
    Opts::new(format!("patchline_gateway_{name}"), help)
}

/// Counts one in a gauge while it lives.
pub(super) struct Held(IntGauge);

impl Held {
    pub(super) fn one(gauge: &IntGauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.dec();
    }
}
