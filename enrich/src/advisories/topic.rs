//! The compacted topic that the catalog is kept in.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use patchline_runtime::kafka::{KafkaConfig, create_compacted_topics};
use patchline_schemas::{Advisory, Codec, DecodeError, Topics};
use rdkafka::admin::{AdminClient, AdminOptions, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::types::RDKafkaErrorCode;

use super::topic_id::topic_id;

/// How long the brokers may take to answer about topics.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the topic may stand still while it is read.
const STALL_TIMEOUT: Duration = Duration::from_secs(60);

/// Reading the topic failed.
#[derive(Debug, thiserror::Error)]
pub enum TopicError {
    /// Kafka refuses, or does not answer.
    #[error("cannot {action}")]
    Kafka {
        /// What was tried.
        action: &'static str,
        /// Why it failed.
        source: KafkaError,
    },
    /// The topic ends before the end that it had.
    #[error("{topic} stands still {left} messages before its end; see the broker's log")]
    Stalled {
        /// The topic.
        topic: String,
        /// Messages that do not come.
        left: i64,
    },
}

fn failed(action: &'static str) -> impl FnOnce(KafkaError) -> TopicError {
    move |source| TopicError::Kafka { action, source }
}

/// The topic, to read.
pub struct Topic {
    pub(crate) consumer: BaseConsumer,
    pub(crate) name: String,
    /// Tells it from an earlier topic of its name.
    pub(crate) id: String,
    /// First and next offset of each partition, when the topic was opened.
    pub(crate) bounds: BTreeMap<i32, (i64, i64)>,
}

impl Topic {
    /// Opens the topic of the installation; `None` if it does not exist.
    ///
    /// # Errors
    /// Kafka cannot be asked.
    pub fn open(kafka: &KafkaConfig) -> Result<Option<Self>, TopicError> {
        let name = Topics::new(&kafka.topic_prefix).advisories;
        let group_id = format!("{}.catalog", kafka.topic_prefix);
        let own = [
            // Required, and not joined: every reader reads every partition.
            ("group.id", group_id.as_str()),
            ("enable.auto.commit", "false"),
            ("auto.offset.reset", "earliest"),
            ("enable.partition.eof", "true"),
            // What bounds the memory.
            ("queued.max.messages.kbytes", "16384"),
            ("fetch.max.bytes", "8388608"),
            ("receive.message.max.bytes", "67108864"),
        ];
        let consumer: BaseConsumer = kafka
            .client("patchline-catalog", &own)
            .create()
            .map_err(failed("create the kafka consumer; check [kafka.settings]"))?;
        let metadata = consumer
            .fetch_metadata(Some(&name), ANSWER_TIMEOUT)
            .map_err(failed("read the topics"))?;
        let mut bounds = BTreeMap::new();
        for partition in metadata.topics().iter().flat_map(|topic| topic.partitions()) {
            let partition = partition.id();
            let (low, high) = consumer
                .fetch_watermarks(&name, partition, ANSWER_TIMEOUT)
                .map_err(failed("read the ends of the catalog's topic"))?;
            bounds.insert(partition, (low, high));
        }
        if bounds.is_empty() {
            return Ok(None);
        }
        let id = topic_id(&consumer, &name, ANSWER_TIMEOUT)
            .map_err(failed("read the id of the catalog's topic"))?;
        Ok(Some(Self { consumer, name, id, bounds }))
    }

    /// Whether the topic is still the one that was opened, with as many partitions. Whoever follows it
    /// opens it again if not; that nobody answers says nothing.
    pub(crate) fn is_as_opened(&self) -> bool {
        let found = self.consumer.fetch_metadata(Some(&self.name), ANSWER_TIMEOUT);
        let count =
            found.ok().and_then(|found| found.topics().first().map(|one| one.partitions().len()));
        match topic_id(&self.consumer, &self.name, ANSWER_TIMEOUT) {
            Ok(id) => {
                is_same(&id, &self.id) && count.is_none_or(|count| count == self.bounds.len())
            }
            Err(error) => {
                error.rdkafka_error_code() != Some(RDKafkaErrorCode::UnknownTopicOrPartition)
            }
        }
    }

    /// Begins to read, each partition at its offset in `from` or else at its beginning.
    pub(crate) fn begin(&self, from: &BTreeMap<i32, i64>) -> Result<(), TopicError> {
        let mut list = TopicPartitionList::new();
        for partition in self.bounds.keys() {
            let offset = from.get(partition).map_or(Offset::Beginning, |at| Offset::Offset(*at));
            list.add_partition_offset(&self.name, *partition, offset)
                .map_err(failed("list the partitions"))?;
        }
        self.consumer.assign(&list).map_err(failed("assign the partitions"))
    }

    /// Shows every message from the beginning to where the topic ended when it was opened.
    ///
    /// # Errors
    /// Kafka fails for good, or sends nothing more for a minute.
    pub fn read(&self, mut each: impl FnMut(&BorrowedMessage<'_>)) -> Result<(), TopicError> {
        self.begin(&BTreeMap::new())?;
        let mut left: BTreeMap<i32, i64> = self
            .bounds
            .iter()
            .filter(|(_, (low, high))| high > low)
            .map(|(partition, (_, high))| (*partition, *high))
            .collect();
        let mut last = Instant::now();
        while !left.is_empty() {
            match self.consumer.poll(Duration::from_millis(100)) {
                Some(Ok(message)) => {
                    last = Instant::now();
                    let partition = message.partition();
                    let end = left.get(&partition).copied();
                    if end.is_some_and(|end| message.offset() < end) {
                        each(&message);
                    }
                    if end.is_some_and(|end| message.offset() + 1 >= end) {
                        left.remove(&partition);
                    }
                }
                // The last message of a partition may have been compacted away.
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    left.remove(&partition);
                }
                Some(Err(error)) if is_final(&error) => {
                    return Err(failed("read the catalog's topic")(error));
                }
                Some(Err(error)) => tracing::debug!(%error, "reading"),
                None if last.elapsed() > STALL_TIMEOUT => {
                    let left = left.values().sum();
                    return Err(TopicError::Stalled { topic: self.name.clone(), left });
                }
                None => {}
            }
        }
        Ok(())
    }

    /// The topic's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What tells the topic from an earlier one of its name; empty where brokers give no ids.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Next offset of all partitions together, when the topic was opened.
    #[must_use]
    pub fn end(&self) -> i64 {
        self.bounds.values().map(|(_, high)| high).sum()
    }
}

/// Whether two ids are of one topic, as far as both are known.
pub(crate) fn is_same(one: &str, other: &str) -> bool {
    one.is_empty() || other.is_empty() || one == other
}

/// Whether the client will not mend it by itself.
fn is_final(error: &KafkaError) -> bool {
    matches!(error, KafkaError::MessageConsumptionFatal(_))
        || matches!(
            error.rdkafka_error_code(),
            Some(
                RDKafkaErrorCode::UnknownTopicOrPartition
                    | RDKafkaErrorCode::UnknownTopic
                    | RDKafkaErrorCode::UnknownPartition
                    | RDKafkaErrorCode::TopicAuthorizationFailed
            )
        )
}

/// Decodes the entry in `payload` and hands it to `use_it`; what was written with an older schema is
/// rewritten on the way.
pub(crate) fn decode<T>(
    codec: &Codec,
    payload: &[u8],
    use_it: impl FnOnce(&Advisory<'_>) -> T,
) -> Result<T, DecodeError> {
    let current = codec.current(payload)?;
    let advisory: Advisory<'_> = codec.decode(&current)?;
    Ok(use_it(&advisory))
}

/// Creates the topic if it does not exist, with one partition: everybody reads all of it.
///
/// # Errors
/// Kafka refuses, or does not answer.
pub async fn create(kafka: &KafkaConfig) -> Result<(), TopicError> {
    let topic = Topics::new(&kafka.topic_prefix).advisories;
    create_compacted_topics(kafka, &[&topic], 1, -1, Duration::from_secs(30))
        .await
        .map_err(failed("create the catalog's topic"))
}

/// Whether the topic keeps the newest entry of each key for good.
///
/// # Errors
/// Kafka refuses, or does not answer.
pub async fn is_compacted(kafka: &KafkaConfig) -> Result<bool, TopicError> {
    let topic = Topics::new(&kafka.topic_prefix).advisories;
    let admin: AdminClient<DefaultClientContext> = kafka
        .client("patchline-admin", &[])
        .create()
        .map_err(failed("create the kafka client; check [kafka.settings]"))?;
    let options = AdminOptions::new().request_timeout(Some(Duration::from_secs(30)));
    let described = admin
        .describe_configs(&[ResourceSpecifier::Topic(&topic)], &options)
        .await
        .map_err(failed("read the settings of the catalog's topic"))?;
    let policies = described.into_iter().flatten().filter_map(|resource| {
        resource.get("cleanup.policy").and_then(|entry| entry.value.clone())
    });
    // `compact,delete` deletes by age as well.
    Ok(policies.into_iter().all(|policy| policy == "compact"))
}
