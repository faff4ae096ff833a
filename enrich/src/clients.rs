//! The stage's two Kafka clients and what they tell the stage.

use std::collections::HashSet;
use std::ffi::{CStr, CString};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use patchline_runtime::admin::Readiness;
use patchline_runtime::kafka::KafkaConfig;
use patchline_runtime::statistics::{INTERVAL_MS, Meter};
use rdkafka::ClientContext;
use rdkafka::bindings as native;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{
    BaseConsumer, Consumer, ConsumerContext, ConsumerGroupMetadata, Rebalance,
};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseProducer, ProducerContext};
use rdkafka::statistics::Statistics;

use crate::Metrics;

const CLIENT_ID: &str = "patchline-enrich";

/// Name of the need in `/readyz`.
pub(crate) const READY: &str = "kafka";

/// The raw topics' consumer.
pub(crate) fn consumer(kafka: &KafkaConfig, group: Group) -> KafkaResult<BaseConsumer<Group>> {
    let group_id = format!("{}.enrich", kafka.topic_prefix);
    let own = [
        ("group.id", group_id.as_str()),
        ("enable.auto.commit", "false"),
        ("enable.auto.offset.store", "false"),
        ("auto.offset.reset", "earliest"),
        // Not for the raw topics, which are plain: by it the consumer fetches only stable offsets, so
        // a new owner of a partition waits for the end of the transaction in which the former owner
        // moves the offset. Without it, it would begin before that and double everything.
        ("isolation.level", "read_committed"),
        // Eager: every change of the assignment revokes all of it, and the committed offsets are
        // fetched anew.
        ("partition.assignment.strategy", "roundrobin"),
        // A crashed process's partitions stand still that long.
        ("session.timeout.ms", "10000"),
        // What bounds the memory: read-ahead, and how much one fetch may bring on top of it.
        ("queued.max.messages.kbytes", "16384"),
        ("fetch.max.bytes", "4194304"),
        ("max.partition.fetch.bytes", "1048576"),
        // A single batch may exceed a fetch's limits; 16 MiB and its frame must come through.
        ("receive.message.max.bytes", "67108864"),
        ("statistics.interval.ms", INTERVAL_MS),
    ];
    kafka.client(CLIENT_ID, &own).create_with_context(group)
}

/// The transactional producer of the enriched topics and the dead letters.
pub(crate) fn producer(
    kafka: &KafkaConfig,
    instance_id: &str,
    transaction_timeout: Duration,
    meter: Meter,
) -> KafkaResult<BaseProducer<Deliveries>> {
    let transactional_id = format!("{}.enrich.{instance_id}", kafka.topic_prefix);
    let timeout = transaction_timeout.as_millis().to_string();
    let own = [
        ("transactional.id", transactional_id.as_str()),
        ("enable.idempotence", "true"),
        ("acks", "all"),
        ("transaction.timeout.ms", timeout.as_str()),
        ("compression.type", "lz4"),
        // A transaction that begins while the broker still writes the last one's markers is told to try
        // again, and then waits this long; the default is 100 ms, longer than all the rest takes.
        ("retry.backoff.ms", "5"),
        // Sizes are judged by the transform, and by the broker after compression. A limit here would
        // hold back the dead letter of what a more generous producer has sent.
        ("message.max.bytes", "1000000000"),
        ("statistics.interval.ms", INTERVAL_MS),
    ];
    let deliveries = Deliveries { failed: Mutex::default(), meter };
    kafka.client(CLIENT_ID, &own).create_with_context(deliveries)
}

/// The consumer's side of the group: whether it is a member, as which one, and of what.
pub(crate) struct Group {
    metrics: Metrics,
    readiness: Readiness,
    membership: Mutex<Membership>,
    meter: Meter,
}

#[derive(Default)]
struct Membership {
    /// Grows with every rebalance event.
    epoch: u64,
    metadata: Option<Arc<ConsumerGroupMetadata>>,
    assigned: HashSet<(String, i32)>,
}

impl Group {
    pub(crate) fn new(metrics: Metrics, readiness: Readiness) -> Self {
        let meter = metrics.statistics.meter("consumer");
        Self { metrics, readiness, membership: Mutex::default(), meter }
    }

    /// Changes whenever the assignment does. What was read in an earlier epoch is not ours any more.
    pub(crate) fn epoch(&self) -> u64 {
        self.membership().epoch
    }

    /// The member that the current assignment was given to; `None` between assignments.
    pub(crate) fn metadata(&self) -> Option<Arc<ConsumerGroupMetadata>> {
        self.membership().metadata.clone()
    }

    fn membership(&self) -> std::sync::MutexGuard<'_, Membership> {
        self.membership.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn assigned(&self, consumer: &BaseConsumer<Self>, assigned: HashSet<(String, i32)>) {
        let metadata = metadata(consumer);
        if metadata.is_none() {
            tracing::warn!("membership was lost before its assignment arrived");
        }
        tracing::info!(partitions = assigned.len(), "assigned");
        self.readiness.set(READY, metadata.is_some());
        self.metrics.rebalances.with_label_values(&["assign"]).inc();
        let mut membership = self.membership();
        membership.epoch += 1;
        membership.metadata = metadata;
        membership.assigned = assigned;
    }

    fn revoked(&self) {
        tracing::info!("revoked");
        self.readiness.set(READY, false);
        self.metrics.rebalances.with_label_values(&["revoke"]).inc();
        self.metrics.lag.reset();
        let mut membership = self.membership();
        membership.epoch += 1;
        membership.metadata = None;
        membership.assigned.clear();
    }
}

impl ConsumerContext for Group {
    fn pre_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if !matches!(rebalance, Rebalance::Assign(_)) {
            self.revoked();
        }
    }

    fn post_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if let Rebalance::Assign(partitions) = rebalance {
            let assigned = partitions
                .elements()
                .iter()
                .map(|one| (one.topic().to_owned(), one.partition()))
                .collect();
            self.assigned(consumer, assigned);
        }
    }
}

impl ClientContext for Group {
    fn log(&self, level: RDKafkaLogLevel, _: &str, message: &str) {
        log(level, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::warn!(%error, reason, "kafka consumer");
    }

    fn stats(&self, statistics: Statistics) {
        self.meter.observe(&statistics);
        let membership = self.membership();
        for (name, topic) in &statistics.topics {
            let lag: i64 = topic
                .partitions
                .values()
                .filter(|one| membership.assigned.contains(&(name.clone(), one.partition)))
                .map(|one| {
                    // Before the first message since the assignment there is only the fetcher's position.
                    let read = if one.app_offset < 0 { one.next_offset } else { one.app_offset };
                    if read < 0 { 0 } else { one.hi_offset.saturating_sub(read).max(0) }
                })
                .sum();
            self.metrics.lag.with_label_values(&[name]).set(lag);
        }
    }
}

/// The consumer's current group metadata, if it is a member.
///
/// A consumer that has dropped out of the group has metadata as well, with an empty member id and
/// generation -1, and the broker takes a transaction's offsets with such metadata from anybody. So
/// the membership is looked at before and after: generations only grow, hence the same one twice is
/// also the one in between.
fn metadata(consumer: &BaseConsumer<Group>) -> Option<Arc<ConsumerGroupMetadata>> {
    let before = member(consumer)?;
    let metadata = consumer.group_metadata()?;
    (member(consumer)? == before).then(|| Arc::new(metadata))
}

/// Generation and id of the member that the consumer is, if it is one.
fn member(consumer: &BaseConsumer<Group>) -> Option<(i32, CString)> {
    // SAFETY: the consumer's native client lives as long as `consumer`. The metadata is checked for
    // null, read while it lives, and freed once; the id is copied before.
    let (generation, id) = unsafe {
        let metadata = native::rd_kafka_consumer_group_metadata(consumer.client().native_ptr());
        if metadata.is_null() {
            return None;
        }
        let generation = native::rd_kafka_consumer_group_metadata_generation_id(metadata);
        let id = CStr::from_ptr(native::rd_kafka_consumer_group_metadata_member_id(metadata));
        let member = (generation, id.to_owned());
        native::rd_kafka_consumer_group_metadata_destroy(metadata);
        member
    };
    (generation >= 0 && !id.is_empty()).then_some((generation, id))
}

/// What became of the messages of the current transaction.
#[derive(Debug)]
pub(crate) struct Deliveries {
    failed: Mutex<Option<(usize, KafkaError)>>,
    meter: Meter,
}

impl Deliveries {
    /// The first message that was not delivered, by its place in the batch. Forgets it.
    pub(crate) fn take_failed(&self) -> Option<(usize, KafkaError)> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, at: usize) {
        if let Err((error, _)) = result {
            let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
            failed.get_or_insert((at, error.clone()));
        }
    }
}

impl ClientContext for Deliveries {
    fn log(&self, level: RDKafkaLogLevel, _: &str, message: &str) {
        log(level, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::warn!(%error, reason, "kafka producer");
    }

    fn stats(&self, statistics: Statistics) {
        self.meter.observe(&statistics);
    }
}

/// librdkafka calls a broker that is away an error; it reconnects by itself, so nobody is needed.
fn log(level: RDKafkaLogLevel, message: &str) {
    match level {
        RDKafkaLogLevel::Debug => tracing::debug!(target: "librdkafka", "{message}"),
        RDKafkaLogLevel::Info | RDKafkaLogLevel::Notice => {
            tracing::info!(target: "librdkafka", "{message}");
        }
        _ => tracing::warn!(target: "librdkafka", "{message}"),
    }
}
