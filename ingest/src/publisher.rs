//! Writes encoded records to Kafka.
//!
//! [`Publisher::deliver`] says `Ok` of a message only when it is acknowledged by all in-sync replicas.
//! The producer is idempotent: its own retries neither double nor reorder the messages of a partition.
//! A message with an error may be in Kafka nevertheless; the caller sends it again, and the stages
//! downstream collapse the copies by report id.
//!
//! What waits in the queue is bounded in bytes and in messages. An answer comes within
//! `delivery_timeout_ms` in any case, and at once while Kafka is known to be away.

use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock, Weak};
use std::time::Duration;

use patchline_runtime::kafka::{KafkaConfig, MESSAGE_BYTES_MAX};
use patchline_runtime::statistics::{INTERVAL_MS, KafkaStatistics, Meter};
use patchline_schemas::Timestamp;
use rdkafka::config::{ClientConfig, FromClientConfigAndContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Producer as _, ProducerContext, ThreadedProducer};
use rdkafka::{ClientContext, Statistics};
use serde::Deserialize;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, timeout_at};

/// Room that a message leaves below [`MESSAGE_BYTES_MAX`] for its key and the batch around it.
const OVERHEAD_BYTES: usize = 64 * 1024;

/// The largest payload that can be published.
pub const PAYLOAD_BYTES_MAX: usize = MESSAGE_BYTES_MAX - OVERHEAD_BYTES;

/// How often Kafka is asked whether it is there. One small request a topic; a recovered Kafka is
/// used again after at most this long.
const PROBE_EVERY: Duration = Duration::from_secs(1);

/// How long one such question may take; a broker that needs longer will not acknowledge in time.
const PROBE_TIMEOUT: Duration = Duration::from_secs(3);

/// Pause before a full queue is tried again: about one linger, so that a batch has left meanwhile.
const QUEUE_PAUSE: Duration = Duration::from_millis(5);

/// `[publisher]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PublisherConfig {
    /// How long a message may wait for its acknowledgement, retries included.
    pub delivery_timeout_ms: u32,
    /// How long a message waits for others to share a request with.
    pub linger_ms: u32,
    /// Bytes that may wait in the queue.
    pub queue_bytes_max: usize,
    /// Messages that may wait in the queue.
    pub queue_messages_max: u32,
}

impl Default for PublisherConfig {
    fn default() -> Self {
        Self {
            delivery_timeout_ms: 10_000,
            linger_ms: 5,
            // Two of the largest messages.
            queue_bytes_max: 2 * MESSAGE_BYTES_MAX,
            queue_messages_max: 50_000,
        }
    }
}

impl PublisherConfig {
    /// Checks what no single value shows.
    ///
    /// # Errors
    /// Says which values contradict each other and what to change.
    pub fn check(&self, kafka: &KafkaConfig) -> Result<(), String> {
        if self.queue_bytes_max < MESSAGE_BYTES_MAX {
            return Err(format!(
                "publisher.queue_bytes_max = {} cannot hold the largest message; set at least {MESSAGE_BYTES_MAX}",
                self.queue_bytes_max
            ));
        }
        if self.delivery_timeout_ms <= self.linger_ms {
            return Err(
                "publisher.delivery_timeout_ms must be above publisher.linger_ms".to_owned()
            );
        }
        // The settings win over ours, and an answer of 2xx rests on these.
        let promised =
            ["acks", "request.required.acks", "enable.idempotence", "enable.gapless.guarantee"];
        match promised.iter().find(|key| kafka.sets(key)) {
            Some(key) => Err(format!(
                "kafka.settings.\"{key}\" would weaken what an acknowledgement means; remove it"
            )),
            None => Ok(()),
        }
    }

    fn delivery_timeout(&self) -> Duration {
        Duration::from_millis(self.delivery_timeout_ms.into())
    }
}

/// One encoded record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// `SourceComputerId`, so that one computer's reports stay in order.
    pub key: String,
    /// The framed record.
    pub payload: Vec<u8>,
}

/// A message and where it goes.
#[derive(Debug)]
pub struct Outgoing<'m> {
    /// The topic.
    pub topic: &'m str,
    /// What is published.
    pub message: &'m Message,
    /// The message's timestamp.
    pub arrived: Timestamp,
    /// Those of a dead letter.
    pub headers: Option<OwnedHeaders>,
}

/// What to do about a [`PublishError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Advice {
    /// The same batch may succeed later.
    RetryLater,
    /// It never will.
    Refuse,
}

/// A message is not known to be durable.
#[derive(Debug, Clone, thiserror::Error)]
pub enum PublishError {
    /// No usable connection, known before anything was sent.
    #[error("Kafka is away ({why}); nothing was sent, send it again later")]
    Unavailable {
        /// What the last probe met.
        why: String,
    },
    /// The queue had no room for as long as a delivery may take.
    #[error("the publisher's queue stayed full for {waited:?}; send it again later")]
    QueueFull {
        /// The delivery timeout.
        waited: Duration,
    },
    /// No acknowledgement in time.
    #[error("Kafka did not acknowledge within {waited:?}; send it again later")]
    TimedOut {
        /// The delivery timeout.
        waited: Duration,
    },
    /// Kafka or the client refused a message.
    #[error("topic {topic} did not take a message; send it again later")]
    Refused {
        /// Where it should have gone.
        topic: String,
        /// Why it did not.
        source: KafkaError,
    },
    /// A message is too large for any topic.
    #[error("record {index} has {bytes} bytes, at most {PAYLOAD_BYTES_MAX} can be kept; split it")]
    TooLarge {
        /// Which of the batch, from 0.
        index: usize,
        /// Its size.
        bytes: usize,
    },
    /// Smaller than our limit, and too large for the topic.
    #[error(
        "topic {topic} takes no message of this size; raise its max.message.bytes, or split it"
    )]
    TooLargeForTopic {
        /// Where it should have gone.
        topic: String,
    },
}

impl PublishError {
    /// Retry or refuse.
    #[must_use]
    pub fn advice(&self) -> Advice {
        match self {
            Self::TooLarge { .. } | Self::TooLargeForTopic { .. } => Advice::Refuse,
            Self::Unavailable { .. }
            | Self::QueueFull { .. }
            | Self::TimedOut { .. }
            | Self::Refused { .. } => Advice::RetryLater,
        }
    }

    /// The reason in one word, the label it is counted under.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Unavailable { .. } => "unavailable",
            Self::QueueFull { .. } => "queue-full",
            Self::TimedOut { .. } => "timed-out",
            Self::Refused { .. } => "refused",
            Self::TooLarge { .. } | Self::TooLargeForTopic { .. } => "too-large",
        }
    }
}

/// What the last probe found: nothing, or why Kafka cannot be used.
type Health = Option<String>;

// rdkafka's FutureProducer copies every failed message back to its sender. While Kafka is away that
// is the whole queue a second time, and nobody here needs it.
type Producer = ThreadedProducer<Context>;

struct Context {
    health: Arc<watch::Sender<Health>>,
    statistics: Arc<OnceLock<KafkaStatistics>>,
    meter: OnceLock<Meter>,
}

impl ClientContext for Context {
    fn error(&self, error: KafkaError, reason: &str) {
        if error == KafkaError::Global(RDKafkaErrorCode::AllBrokersDown) {
            set_health(&self.health, Some(reason.to_owned()));
        }
        tracing::debug!(%error, reason, "kafka client");
    }

    fn stats(&self, statistics: Statistics) {
        if let Some(shown) = self.statistics.get() {
            self.meter.get_or_init(|| shown.meter("publisher")).observe(&statistics);
        }
    }
}

impl ProducerContext for Context {
    type DeliveryOpaque = Box<(Arc<Deliveries>, usize)>;

    fn delivery(&self, result: &DeliveryResult<'_>, opaque: Self::DeliveryOpaque) {
        let (deliveries, index) = *opaque;
        deliveries.count(index, result.as_ref().map(drop).map_err(|(error, _)| error.clone()));
    }
}

/// What became of the messages of one batch, as far as it is known.
struct Deliveries {
    outcomes: Mutex<(Vec<Option<Outcome>>, usize)>,
    changed: Notify,
}

type Outcome = Result<(), KafkaError>;

impl Deliveries {
    fn of(messages: usize) -> Arc<Self> {
        let outcomes = Mutex::new((vec![None; messages], messages));
        Arc::new(Self { outcomes, changed: Notify::new() })
    }

    fn count(&self, index: usize, outcome: Outcome) {
        let mut outcomes = self.outcomes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place @ None) = outcomes.0.get_mut(index) {
            *place = Some(outcome);
            outcomes.1 -= 1;
        }
        if outcomes.1 == 0 {
            self.changed.notify_one();
        }
    }

    /// Waits until all are known.
    async fn all(&self) -> Vec<Option<Outcome>> {
        loop {
            {
                let mut outcomes = self.outcomes.lock().unwrap_or_else(PoisonError::into_inner);
                if outcomes.1 == 0 {
                    return std::mem::take(&mut outcomes.0);
                }
            }
            self.changed.notified().await;
        }
    }

    fn so_far(&self) -> Vec<Option<Outcome>> {
        self.outcomes.lock().unwrap_or_else(PoisonError::into_inner).0.clone()
    }
}

/// Hands `outgoing` to the client, waiting for room in its queue until `deadline`.
async fn send(
    producer: &Producer,
    outgoing: &Outgoing<'_>,
    index: usize,
    deliveries: &Arc<Deliveries>,
    deadline: Instant,
    waited: Duration,
) -> Result<(), PublishError> {
    let Outgoing { topic, message, arrived, headers } = outgoing;
    let bytes = message.payload.len();
    if headers.is_none() && bytes > PAYLOAD_BYTES_MAX {
        return Err(PublishError::TooLarge { index, bytes });
    }
    let opaque = Box::new((Arc::clone(deliveries), index));
    let mut record = BaseRecord::with_opaque_to(topic, opaque)
        .key(message.key.as_str())
        .payload(message.payload.as_slice())
        .timestamp(arrived.0);
    if let Some(headers) = headers {
        record = record.headers(headers.clone());
    }
    while let Err((error, unsent)) = producer.send(record) {
        if error != KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull) {
            return Err(refusal(topic, waited, error));
        }
        if Instant::now() >= deadline {
            return Err(PublishError::QueueFull { waited });
        }
        record = unsent;
        sleep(QUEUE_PAUSE).await;
    }
    Ok(())
}

/// Writes to Kafka. Cheap to clone; all clones share one producer.
#[derive(Clone)]
pub struct Publisher(Arc<Inner>);

struct Inner {
    client: ClientConfig,
    /// Replaced after a fatal error, which an idempotent producer does not survive.
    producer: RwLock<Arc<Producer>>,
    health: Arc<watch::Sender<Health>>,
    statistics: Arc<OnceLock<KafkaStatistics>>,
    topics: Vec<String>,
    delivery_timeout: Duration,
}

impl Publisher {
    /// A publisher to `topics`. Does not wait for Kafka: until it answers, [`Self::deliver`] gives
    /// [`PublishError::Unavailable`].
    ///
    /// # Errors
    /// librdkafka refuses a setting.
    pub fn new(
        kafka: &KafkaConfig,
        config: &PublisherConfig,
        topics: &[&str],
    ) -> Result<Self, KafkaError> {
        let client = kafka.client(
            "patchline-publisher",
            &[
                ("enable.idempotence", "true"),
                ("acks", "all"),
                ("compression.type", "lz4"),
                // The Java clients' choice: whoever else writes here puts a computer on the same
                // partition.
                ("partitioner", "murmur2_random"),
                ("message.max.bytes", &MESSAGE_BYTES_MAX.to_string()),
                ("queue.buffering.max.kbytes", &(config.queue_bytes_max / 1024).to_string()),
                ("queue.buffering.max.messages", &config.queue_messages_max.to_string()),
                ("linger.ms", &config.linger_ms.to_string()),
                ("delivery.timeout.ms", &config.delivery_timeout_ms.to_string()),
                // A Kafka that is back should be found before its senders retry.
                ("reconnect.backoff.max.ms", "1000"),
                ("socket.keepalive.enable", "true"),
                ("statistics.interval.ms", INTERVAL_MS),
            ],
        );
        let health = Arc::new(watch::Sender::new(Some("not reached yet".to_owned())));
        let statistics = Arc::default();
        let inner = Arc::new(Inner {
            producer: RwLock::new(Arc::new(producer(&client, &health, &statistics)?)),
            client,
            health,
            statistics,
            topics: topics.iter().map(|topic| (*topic).to_owned()).collect(),
            delivery_timeout: config.delivery_timeout(),
        });
        let watched = Arc::downgrade(&inner);
        std::thread::Builder::new()
            .name("kafka-probe".to_owned())
            .spawn(move || probe(&watched))
            .map_err(|error| KafkaError::ClientCreation(error.to_string()))?;
        Ok(Self(inner))
    }

    /// Publishes `records`; returns when what becomes of each is known: durable, or not known to be (see
    /// [`PublishError::advice`]). One that fails does not hold up the others.
    pub async fn deliver(&self, records: &[Outgoing<'_>]) -> Vec<Result<(), PublishError>> {
        if let Err(error) = self.ready() {
            return records.iter().map(|_| Err(error.clone())).collect();
        }
        let waited = self.0.delivery_timeout;
        let deadline = Instant::now() + waited;
        let producer = Arc::clone(&self.0.producer.read().unwrap_or_else(PoisonError::into_inner));
        let deliveries = Deliveries::of(records.len());
        let mut unsent = Vec::new();
        for (index, outgoing) in records.iter().enumerate() {
            let sent = send(&producer, outgoing, index, &deliveries, deadline, waited).await;
            if let Err(error) = sent {
                deliveries.count(index, Ok(()));
                unsent.push((index, error));
            }
        }
        let outcomes = match timeout_at(deadline, deliveries.all()).await {
            Ok(outcomes) => outcomes,
            Err(_) => deliveries.so_far(),
        };
        let mut outcomes: Vec<_> = outcomes
            .into_iter()
            .zip(records)
            .map(|(outcome, record)| match outcome {
                Some(outcome) => outcome.map_err(|error| refusal(record.topic, waited, error)),
                None => Err(PublishError::TimedOut { waited }),
            })
            .collect();
        for (index, error) in unsent {
            if let Some(outcome) = outcomes.get_mut(index) {
                *outcome = Err(error);
            }
        }
        outcomes
    }

    /// Whether publishing is worth trying.
    ///
    /// # Errors
    /// [`PublishError::Unavailable`] while Kafka is known to be away.
    pub fn ready(&self) -> Result<(), PublishError> {
        match self.0.health.borrow().clone() {
            Some(why) => Err(PublishError::Unavailable { why }),
            None => Ok(()),
        }
    }

    /// Shows from now on, in `statistics`, what the client says of itself.
    pub fn count_in(&self, statistics: KafkaStatistics) {
        // The series are there at once, not with the client's first word.
        drop(statistics.meter("publisher"));
        let _ = self.0.statistics.set(statistics);
    }

    /// Why Kafka cannot be used now; `None` while it can. The receiver sees every change.
    #[must_use]
    pub fn health(&self) -> watch::Receiver<Option<String>> {
        self.0.health.subscribe()
    }

    /// Waits until the queue is empty. Blocks the thread.
    ///
    /// # Errors
    /// `timeout` passed first; what is left was never acknowledged to anyone.
    pub fn flush(&self, timeout: Duration) -> Result<(), KafkaError> {
        let producer = Arc::clone(&self.0.producer.read().unwrap_or_else(PoisonError::into_inner));
        producer.flush(timeout)
    }
}

fn producer(
    client: &ClientConfig,
    health: &Arc<watch::Sender<Health>>,
    statistics: &Arc<OnceLock<KafkaStatistics>>,
) -> Result<Producer, KafkaError> {
    let (health, statistics) = (Arc::clone(health), Arc::clone(statistics));
    let context = Context { health, statistics, meter: OnceLock::new() };
    Producer::from_config_and_context(client, context)
}

fn refusal(topic: &str, waited: Duration, error: KafkaError) -> PublishError {
    match error.rdkafka_error_code() {
        Some(RDKafkaErrorCode::MessageSizeTooLarge) => {
            PublishError::TooLargeForTopic { topic: topic.to_owned() }
        }
        Some(RDKafkaErrorCode::MessageTimedOut) => PublishError::TimedOut { waited },
        _ => PublishError::Refused { topic: topic.to_owned(), source: error },
    }
}

fn set_health(sender: &watch::Sender<Health>, found: Health) {
    let changed = sender.send_if_modified(|known| {
        let changed = known.is_some() != found.is_some();
        known.clone_from(&found);
        changed
    });
    match found {
        None if changed => tracing::info!("kafka can be used"),
        Some(why) if changed => tracing::warn!(why, "kafka cannot be used"),
        _ => {}
    }
}

/// Keeps the publisher's health until the publisher is gone.
fn probe(publisher: &Weak<Inner>) {
    while let Some(inner) = publisher.upgrade() {
        set_health(&inner.health, inner.look().err());
        drop(inner);
        std::thread::sleep(PROBE_EVERY);
    }
}

impl Inner {
    /// Says why Kafka cannot be used.
    fn look(&self) -> Result<(), String> {
        let mut current = Arc::clone(&self.producer.read().unwrap_or_else(PoisonError::into_inner));
        if let Some((code, why)) = current.client().fatal_error() {
            tracing::warn!(%code, why, "the producer failed for good and is replaced");
            current = Arc::new(
                producer(&self.client, &self.health, &self.statistics)
                    .map_err(|error| error.to_string())?,
            );
            // The old one ends when the last request that holds it has its answer.
            *self.producer.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&current);
        }
        for topic in &self.topics {
            let metadata = current
                .client()
                .fetch_metadata(Some(topic), PROBE_TIMEOUT)
                .map_err(|error| error.to_string())?;
            let error = metadata.topics().first().and_then(|topic| topic.error());
            if let Some(error) = error {
                return Err(format!("topic {topic}: {}", RDKafkaErrorCode::from(error)));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_cannot_weaken_an_acknowledgement() {
        let mut kafka = KafkaConfig::default();
        let config = PublisherConfig::default();
        assert_eq!(config.check(&kafka), Ok(()));
        kafka.settings.insert("acks".to_owned(), "1".to_owned());
        assert!(config.check(&kafka).unwrap_err().contains("acks"));
    }

    #[test]
    fn the_client_accepts_every_setting() {
        let kafka = KafkaConfig::default();
        Publisher::new(&kafka, &PublisherConfig::default(), &["t"]).unwrap();
    }

    #[tokio::test]
    async fn without_a_broker_the_answer_comes_at_once_and_says_retry() {
        let kafka = KafkaConfig { bootstrap: "127.0.0.1:1".to_owned(), ..KafkaConfig::default() };
        let publisher = Publisher::new(&kafka, &PublisherConfig::default(), &["t"]).unwrap();
        let message = Message { key: "k".to_owned(), payload: vec![1] };
        let asked = Instant::now();
        let error = publish(&publisher, &[message]).await.remove(0).unwrap_err();
        assert_eq!((error.reason(), error.advice()), ("unavailable", Advice::RetryLater));
        assert!(asked.elapsed() < Duration::from_millis(100));
    }

    #[tokio::test]
    async fn a_producer_that_failed_for_good_is_replaced() {
        let cluster = rdkafka::mocking::MockCluster::new(1).unwrap();
        cluster.create_topic("t", 1, 1).unwrap();
        let kafka =
            KafkaConfig { bootstrap: cluster.bootstrap_servers(), ..KafkaConfig::default() };
        let publisher = Publisher::new(&kafka, &PublisherConfig::default(), &["t"]).unwrap();
        let message = [Message { key: "k".to_owned(), payload: vec![1] }];
        let mut health = publisher.health();
        health.wait_for(Option::is_none).await.unwrap();
        publish(&publisher, &message).await.remove(0).unwrap();

        let failed = Arc::clone(&publisher.0.producer.read().unwrap());
        // SAFETY: the client outlives the call, and the reason is a C string.
        unsafe {
            rdkafka::bindings::rd_kafka_test_fatal_error(
                failed.client().native_ptr(),
                rdkafka::bindings::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER,
                c"forced by a test".as_ptr(),
            );
        }
        let error = publish(&publisher, &message).await.remove(0).unwrap_err();
        assert_eq!(error.advice(), Advice::RetryLater, "{error}");
        let deadline = Instant::now() + 3 * PROBE_EVERY;
        while publish(&publisher, &message).await.remove(0).is_err() {
            assert!(Instant::now() < deadline, "not replaced");
            sleep(Duration::from_millis(50)).await;
        }
    }

    #[tokio::test]
    async fn a_message_that_no_topic_takes_holds_up_no_other() {
        let cluster = rdkafka::mocking::MockCluster::new(1).unwrap();
        cluster.create_topic("t", 1, 1).unwrap();
        let kafka =
            KafkaConfig { bootstrap: cluster.bootstrap_servers(), ..KafkaConfig::default() };
        let publisher = Publisher::new(&kafka, &PublisherConfig::default(), &["t"]).unwrap();
        publisher.health().wait_for(Option::is_none).await.unwrap();
        let small = Message { key: "k".to_owned(), payload: vec![1] };
        let large = Message { key: "k".to_owned(), payload: vec![0; PAYLOAD_BYTES_MAX + 1] };
        let outcomes = publish(&publisher, &[small.clone(), large, small]).await;
        let [Ok(()), Err(error), Ok(())] = &outcomes[..] else { panic!("{outcomes:?}") };
        assert!(matches!(error, PublishError::TooLarge { index: 1, .. }), "{error}");
        assert_eq!(error.advice(), Advice::Refuse);
    }

    #[tokio::test]
    async fn the_wait_ends_when_every_outcome_is_known() {
        let deliveries = Deliveries::of(2);
        deliveries.count(1, Ok(()));
        assert_eq!(deliveries.so_far(), [None, Some(Ok(()))]);
        let error = KafkaError::MessageProduction(RDKafkaErrorCode::MessageTimedOut);
        deliveries.count(0, Err(error.clone()));
        deliveries.count(0, Ok(()));
        assert_eq!(deliveries.all().await, [Some(Err(error)), Some(Ok(()))]);
    }

    async fn publish(publisher: &Publisher, messages: &[Message]) -> Vec<Result<(), PublishError>> {
        let arrived = Timestamp(1);
        let records: Vec<_> = messages
            .iter()
            .map(|message| Outgoing { topic: "t", message, arrived, headers: None })
            .collect();
        publisher.deliver(&records).await
    }
}
