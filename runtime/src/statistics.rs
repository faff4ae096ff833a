//! What librdkafka says of itself, as metrics: the same names in every service, told apart by `client`.
//!
//! A service registers [`KafkaStatistics`] once and gives each client's context a [`Meter`] of its own, whose
//! `observe` the context's `stats` calls. The client must be told `statistics.interval.ms`
//! ([`INTERVAL_MS`]). librdkafka counts from a client's creation; a meter adds what has come since its last
//! look, so that counters go on when a client is replaced.

use std::sync::{Mutex, PoisonError};

use prometheus::{GaugeVec, IntCounterVec, IntGaugeVec, Opts, Registry};
use rdkafka::Statistics;
use rdkafka::statistics::Broker;

/// `statistics.interval.ms` of our clients: several looks in a usual scrape interval, at the cost of a few
/// kilobytes of JSON each.
pub const INTERVAL_MS: &str = "5000";

/// The metrics of all clients of a process. Cheap to clone; clones count together.
#[derive(Debug, Clone)]
pub struct KafkaStatistics {
    brokers_up: IntGaugeVec,
    round_trip_seconds: GaugeVec,
    queue_messages: IntGaugeVec,
    queue_bytes: IntGaugeVec,
    queue_bytes_max: IntGaugeVec,
    fetched_messages: IntGaugeVec,
    fetched_bytes: IntGaugeVec,
    requests: IntCounterVec,
    retries: IntCounterVec,
    timeouts: IntCounterVec,
    errors: IntCounterVec,
    disconnects: IntCounterVec,
    sent_bytes: IntCounterVec,
    received_bytes: IntCounterVec,
}

const CLIENT: &[&str] = &["client"];

impl KafkaStatistics {
    /// Registers the metrics in `registry`.
    ///
    /// # Errors
    /// They are registered there already.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let counters = |name: &str, help: &str| {
            let metric = IntCounterVec::new(opts(name, help), CLIENT)?;
            registry.register(Box::new(metric.clone())).map(|()| metric)
        };
        let gauges = |name: &str, help: &str| {
            let metric = IntGaugeVec::new(opts(name, help), CLIENT)?;
            registry.register(Box::new(metric.clone())).map(|()| metric)
        };
        let round_trip_seconds = GaugeVec::new(
            opts(
                "round_trip_seconds",
                "time of a request to the slowest broker: the 99th of 100 since the last look",
            ),
            CLIENT,
        )?;
        registry.register(Box::new(round_trip_seconds.clone()))?;
        Ok(Self {
            brokers_up: gauges("brokers_up", "brokers that the client is connected to")?,
            round_trip_seconds,
            queue_messages: gauges("queue_messages", "messages that wait to be sent")?,
            queue_bytes: gauges("queue_bytes", "bytes of messages that wait to be sent")?,
            queue_bytes_max: gauges("queue_bytes_max", "bytes that may wait to be sent")?,
            fetched_messages: gauges(
                "fetched_messages",
                "messages fetched ahead and not read yet",
            )?,
            fetched_bytes: gauges("fetched_bytes", "bytes fetched ahead and not read yet")?,
            requests: counters("requests_total", "requests sent to brokers")?,
            retries: counters("request_retries_total", "requests to brokers that were repeated")?,
            timeouts: counters(
                "request_timeouts_total",
                "requests that no broker answered in time",
            )?,
            errors: counters(
                "request_errors_total",
                "requests and answers that failed on their way",
            )?,
            disconnects: counters("disconnects_total", "connections to brokers that ended")?,
            sent_bytes: counters("sent_bytes_total", "bytes sent to brokers")?,
            received_bytes: counters("received_bytes_total", "bytes received from brokers")?,
        })
    }

    /// A meter for one client, which is called `client` in the metrics: a name of its use, such as `consumer`.
    #[must_use]
    pub fn meter(&self, client: &'static str) -> Meter {
        let meter = Meter { metrics: self.clone(), client, counted: Mutex::default() };
        // Every series is there from the beginning: an alert that asks for a change must see the zero.
        meter.observe(&Statistics::default());
        meter
    }
}

fn opts(name: &str, help: &str) -> Opts {
    Opts::new(format!("patchline_kafka_{name}"), help)
}

/// What a client had counted when it was last looked at.
#[derive(Debug, Default, Clone, Copy)]
struct Totals {
    requests: u64,
    retries: u64,
    timeouts: u64,
    errors: u64,
    disconnects: u64,
    sent_bytes: u64,
    received_bytes: u64,
}

/// Counts what one client says of itself.
#[derive(Debug)]
pub struct Meter {
    metrics: KafkaStatistics,
    client: &'static str,
    counted: Mutex<Totals>,
}

impl Meter {
    /// Takes a client's statistics into the metrics.
    pub fn observe(&self, statistics: &Statistics) {
        let Self { metrics, client, .. } = self;
        let label = &[*client];
        let brokers = || statistics.brokers.values();
        let up = brokers().filter(|broker| broker.nodeid >= 0 && broker.state == "UP").count();
        metrics.brokers_up.with_label_values(label).set(gauge(up));
        let slowest = brokers().filter_map(|broker| Some(broker.rtt.as_ref()?.p99)).max();
        #[allow(clippy::cast_precision_loss, reason = "microseconds fit a float well")]
        let seconds = slowest.unwrap_or_default() as f64 / 1e6;
        metrics.round_trip_seconds.with_label_values(label).set(seconds);
        metrics.queue_messages.with_label_values(label).set(gauge(statistics.msg_cnt));
        metrics.queue_bytes.with_label_values(label).set(gauge(statistics.msg_size));
        metrics.queue_bytes_max.with_label_values(label).set(gauge(statistics.msg_size_max));
        let partitions = || statistics.topics.values().flat_map(|topic| topic.partitions.values());
        let messages = partitions().map(|partition| partition.fetchq_cnt).sum();
        metrics.fetched_messages.with_label_values(label).set(messages);
        let bytes: u64 = partitions().map(|partition| partition.fetchq_size).sum();
        metrics.fetched_bytes.with_label_values(label).set(gauge(bytes));

        let sum = |of: fn(&Broker) -> u64| brokers().map(of).sum::<u64>();
        let now = Totals {
            requests: unsigned(statistics.tx),
            retries: sum(|broker| broker.txretries),
            timeouts: sum(|broker| broker.req_timeouts),
            errors: sum(|broker| broker.txerrs + broker.rxerrs),
            disconnects: sum(|broker| unsigned(broker.disconnects.unwrap_or_default())),
            sent_bytes: unsigned(statistics.tx_bytes),
            received_bytes: unsigned(statistics.rx_bytes),
        };
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut *counted, now);
        for (counters, now, before) in [
            (&metrics.requests, now.requests, before.requests),
            (&metrics.retries, now.retries, before.retries),
            (&metrics.timeouts, now.timeouts, before.timeouts),
            (&metrics.errors, now.errors, before.errors),
            (&metrics.disconnects, now.disconnects, before.disconnects),
            (&metrics.sent_bytes, now.sent_bytes, before.sent_bytes),
            (&metrics.received_bytes, now.received_bytes, before.received_bytes),
        ] {
            // A broker that is forgotten takes its counts along; then nothing is added.
            counters.with_label_values(label).inc_by(now.saturating_sub(before));
        }
    }
}

fn gauge(value: impl TryInto<i64>) -> i64 {
    value.try_into().unwrap_or(i64::MAX)
}

fn unsigned(value: i64) -> u64 {
    value.try_into().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statistics(requests: i64, retries: u64, state: &str) -> Statistics {
        let broker =
            Broker { nodeid: 1, state: state.to_owned(), txretries: retries, ..Broker::default() };
        let bootstrap = Broker { nodeid: -1, state: "UP".to_owned(), ..Broker::default() };
        Statistics {
            tx: requests,
            brokers: [("a".to_owned(), broker), ("b".to_owned(), bootstrap)].into(),
            ..Statistics::default()
        }
    }

    #[test]
    fn counters_go_on_when_a_client_is_replaced() {
        let metrics = KafkaStatistics::new(&Registry::new()).unwrap();
        let first = metrics.meter("consumer");
        first.observe(&statistics(10, 1, "UP"));
        first.observe(&statistics(15, 1, "UP"));
        let second = metrics.meter("consumer");
        second.observe(&statistics(4, 2, "UP"));
        assert_eq!(metrics.requests.with_label_values(&["consumer"]).get(), 19);
        assert_eq!(metrics.retries.with_label_values(&["consumer"]).get(), 3);
    }

    #[test]
    fn counts_that_fall_add_nothing() {
        let metrics = KafkaStatistics::new(&Registry::new()).unwrap();
        let meter = metrics.meter("producer");
        meter.observe(&statistics(10, 5, "UP"));
        meter.observe(&statistics(11, 2, "UP"));
        meter.observe(&statistics(12, 3, "UP"));
        assert_eq!(metrics.retries.with_label_values(&["producer"]).get(), 6);
        assert_eq!(metrics.requests.with_label_values(&["producer"]).get(), 12);
    }

    #[test]
    fn only_real_brokers_that_are_connected_count_as_up() {
        let metrics = KafkaStatistics::new(&Registry::new()).unwrap();
        let meter = metrics.meter("producer");
        let up = || metrics.brokers_up.with_label_values(&["producer"]).get();
        meter.observe(&statistics(1, 0, "UP"));
        assert_eq!(up(), 1);
        meter.observe(&statistics(1, 0, "DOWN"));
        assert_eq!(up(), 0);
    }
}
