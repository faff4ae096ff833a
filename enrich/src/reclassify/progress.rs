//! How far changes are applied, kept in Kafka as the offsets of the group `<prefix>.reclassify`: of the
//! catalog's topic up to where its changes are applied, of the enriched scans up to where they were looked
//! through for late ones. Both are committed together, after what they stand for is done, so whoever
//! starts from them repeats work and leaves none out.
//!
//! Kafka forgets a group's offsets when none are committed for long; then everything counts as not applied.

use std::collections::BTreeMap;
use std::time::Duration;

use patchline_runtime::kafka::KafkaConfig;
use patchline_schemas::Topics;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::store::Stored;

const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// Kafka did not tell or take the progress.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action}")]
pub struct ProgressError {
    action: &'static str,
    source: KafkaError,
}

fn failed(action: &'static str) -> impl FnOnce(KafkaError) -> ProgressError {
    move |source| ProgressError { action, source }
}

/// How far changes are applied.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    /// Next offset of each partition of the catalog; none where nothing is known.
    pub(crate) catalog: Option<BTreeMap<i32, i64>>,
    /// Last offset of each partition of the enriched scans.
    pub(crate) scans: Stored,
}

/// Where the progress is kept.
pub(crate) struct Keeper {
    consumer: BaseConsumer,
    topics: Topics,
}

impl Keeper {
    pub(crate) fn new(kafka: &KafkaConfig) -> Result<Self, ProgressError> {
        let group_id = format!("{}.reclassify", kafka.topic_prefix);
        let own = [("group.id", group_id.as_str()), ("enable.auto.commit", "false")];
        let consumer = kafka
            .client("patchline-reclassify", &own)
            .create()
            .map_err(failed("create the kafka consumer; check [kafka.settings]"))?;
        Ok(Self { consumer, topics: Topics::new(&kafka.topic_prefix) })
    }

    pub(crate) fn load(&self) -> Result<Progress, ProgressError> {
        let mut wanted = TopicPartitionList::new();
        for topic in [&self.topics.advisories, &self.topics.enriched_scans] {
            let metadata = self
                .consumer
                .fetch_metadata(Some(topic), ANSWER_TIMEOUT)
                .map_err(failed("read the topics"))?;
            for partition in metadata.topics().iter().flat_map(|topic| topic.partitions()) {
                wanted.add_partition(topic, partition.id());
            }
        }
        if wanted.count() == 0 {
            return Ok(Progress::default());
        }
        let committed = self
            .consumer
            .committed_offsets(wanted, ANSWER_TIMEOUT)
            .map_err(failed("read what is applied"))?;
        let mut progress = Progress::default();
        for one in committed.elements() {
            let Offset::Offset(next) = one.offset() else { continue };
            if one.topic() == self.topics.advisories {
                progress.catalog.get_or_insert_default().insert(one.partition(), next);
            } else {
                progress.scans.insert(one.partition(), next - 1);
            }
        }
        Ok(progress)
    }

    pub(crate) fn save(&self, progress: &Progress) -> Result<(), ProgressError> {
        let mut list = TopicPartitionList::new();
        let catalog = progress.catalog.iter().flatten().map(|(partition, next)| (partition, *next));
        let scans = progress.scans.iter().map(|(partition, last)| (partition, last + 1));
        let catalog = catalog.map(|(partition, next)| (&self.topics.advisories, partition, next));
        let scans = scans.map(|(partition, next)| (&self.topics.enriched_scans, partition, next));
        for (topic, partition, next) in catalog.chain(scans) {
            list.add_partition_offset(topic, *partition, Offset::Offset(next))
                .map_err(failed("list the partitions"))?;
        }
        self.consumer.commit(&list, CommitMode::Sync).map_err(failed("commit what is applied"))
    }
}
