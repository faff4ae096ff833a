//! The catalog's topic as reclassification reads it: the whole catalog, and what of it is new.
//!
//! What is guaranteed: nothing is judged by a part of the catalog; a change is handed out until it is
//! said to be applied ([`Feed::applied`]).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use patchline_runtime::kafka::KafkaConfig;
use patchline_schemas::{Codec, Timestamp};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Message};

use super::metrics::Metrics;
use super::names::{Change, Known};
use super::store::Knowledge;
use crate::advisories::topic::{Topic, TopicError, decode};
use crate::follow;
use crate::index::{Index, IndexBuilder};
use crate::snapshot::Position;

/// How long a poll waits; a shutdown is noticed that late.
const IDLE: Duration = Duration::from_millis(100);

/// Between two looks whether the topic is still the same and has no more partitions.
const CHECK_EVERY: Duration = Duration::from_secs(10);

/// Messages after which a poll returns, so that a shutdown is noticed during a long topic.
const MESSAGES_MAX: usize = 10_000;

/// The topic, and what is known from it.
pub(crate) struct Feed {
    topic: Topic,
    codec: Arc<Codec>,
    builder: IndexBuilder,
    index: Option<Index>,
    pub(crate) known: Known,
    position: Position,
    /// Up to where each partition's changes are applied; none where that is not known.
    applied: Option<BTreeMap<i32, i64>>,
    /// The end of each partition, as long as it is not read to there for the first time.
    ahead: BTreeMap<i32, i64>,
    /// What is not applied yet.
    pub(crate) change: Change,
    pub(crate) changed: Changed,
    checked: Instant,
    metrics: Metrics,
}

/// The messages that are not applied yet.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Changed {
    pub(crate) messages: u64,
    /// When the oldest of them was published, in milliseconds since 1970.
    pub(crate) published: Option<i64>,
    first: Option<Instant>,
    last: Option<Instant>,
}

impl Feed {
    /// Begins at the topic's beginning; its changes are applied up to `applied`. `None`: there is no topic.
    pub(crate) fn open(
        kafka: &KafkaConfig,
        codec: Arc<Codec>,
        metrics: Metrics,
        applied: Option<BTreeMap<i32, i64>>,
    ) -> Result<Option<Self>, TopicError> {
        let Some(topic) = Topic::open(kafka)? else { return Ok(None) };
        topic.begin(&BTreeMap::new())?;
        let ahead: BTreeMap<i32, i64> = topic
            .bounds
            .iter()
            .filter(|(_, (low, high))| low < high)
            .map(|(partition, (_, high))| (*partition, *high))
            .collect();
        let position = Position {
            next: topic.bounds.iter().map(|(partition, (low, _))| (*partition, *low)).collect(),
            ..Position::default()
        };
        // Applied beyond the end: then it was another topic of this name.
        let is_ours = |applied: &BTreeMap<i32, i64>| {
            applied.iter().all(|(partition, next)| {
                topic.bounds.get(partition).is_some_and(|(_, high)| next <= high)
            })
        };
        let mut change = Change::default();
        let applied = applied.filter(is_ours);
        if applied.is_none() {
            tracing::info!(
                "it is not known what was applied; judging every computer's newest scan"
            );
            change = Change::of_everything();
        }
        Ok(Some(Self {
            topic,
            codec,
            builder: IndexBuilder::default(),
            index: None,
            known: Known::default(),
            position,
            applied,
            ahead,
            change,
            changed: Changed::default(),
            checked: Instant::now(),
            metrics,
        }))
    }

    /// Takes what has come, and waits a little if that is nothing. `false`: the topic is another one now,
    /// or has other partitions, and must be opened again.
    pub(crate) fn poll(&mut self) -> Result<bool, TopicError> {
        let mut wait = IDLE;
        for _ in 0..MESSAGES_MAX {
            match self.topic.consumer.poll(wait) {
                Some(Ok(message)) => {
                    let message: BorrowedMessage<'_> = message;
                    let (partition, next) = (message.partition(), message.offset() + 1);
                    let is_new = self.applied.as_ref().is_none_or(|applied| {
                        applied.get(&partition).is_none_or(|applied| message.offset() >= *applied)
                    });
                    take(
                        &message,
                        is_new,
                        (&self.codec, &self.metrics),
                        (&mut self.builder, &mut self.known),
                        (&mut self.change, &mut self.changed),
                    );
                    self.index = None;
                    self.position.next.insert(partition, next);
                    let at = message.timestamp().to_millis().unwrap_or_default();
                    self.position.newest_ms = self.position.newest_ms.max(at);
                    if self.ahead.get(&partition).is_some_and(|end| next >= *end) {
                        self.ahead.remove(&partition);
                    }
                }
                // The last message of a partition may have been compacted away.
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    if let Some(end) = self.ahead.remove(&partition) {
                        let next = self.position.next.entry(partition).or_insert(end);
                        *next = end.max(*next);
                    }
                }
                Some(Err(KafkaError::MessageConsumptionFatal(code))) => {
                    let source = KafkaError::MessageConsumptionFatal(code);
                    return Err(TopicError::Kafka { action: "read the catalog's topic", source });
                }
                // The client goes on by itself, in another topic of this name as well.
                Some(Err(error)) => tracing::warn!(%error, "reading the catalog"),
                None => break,
            }
            wait = Duration::ZERO;
        }
        if self.checked.elapsed() > CHECK_EVERY {
            self.checked = Instant::now();
            return Ok(self.topic.is_as_opened());
        }
        Ok(true)
    }

    /// Whether all is read that was there when the topic was opened.
    pub(crate) fn is_complete(&self) -> bool {
        self.ahead.is_empty()
    }

    /// Whether there are changes that should be applied now: no more have come for a while, or they came
    /// long ago.
    pub(crate) fn is_due(&self, quiet: Duration, wait_max: Duration) -> bool {
        if !self.is_complete() || self.change.is_empty() {
            return false;
        }
        let elapsed = |at: Option<Instant>| at.is_none_or(|at| at.elapsed() >= quiet);
        elapsed(self.changed.last) || self.changed.first.is_none_or(|at| at.elapsed() >= wait_max)
    }

    /// All that was read, and where that is.
    pub(crate) fn knowledge(&mut self) -> (&Index, Knowledge) {
        let version = follow::version(self.builder.len(), &self.position);
        let end: i64 = self.position.next.values().sum();
        let position = u64::try_from(end).unwrap_or_default();
        let builder = &mut self.builder;
        let index = self.index.get_or_insert_with(|| builder.build(&version));
        (index, Knowledge { version, position })
    }

    /// Up to where it was read.
    pub(crate) fn next(&self) -> BTreeMap<i32, i64> {
        self.position.next.clone()
    }

    /// All that was read is applied.
    pub(crate) fn applied(&mut self) {
        self.applied = Some(self.position.next.clone());
        self.change = Change::default();
        self.changed = Changed::default();
    }
}

/// Takes one message in.
fn take(
    message: &BorrowedMessage<'_>,
    is_new: bool,
    (codec, metrics): (&Codec, &Metrics),
    (builder, known): (&mut IndexBuilder, &mut Known),
    (change, changed): (&mut Change, &mut Changed),
) {
    let key = message.key().and_then(|key| std::str::from_utf8(key).ok()).unwrap_or_default();
    let taken = match (key.split_once(':'), message.payload()) {
        (Some((source, id)), None) => {
            builder.remove(source, id);
            if is_new {
                known.note(source, id, change);
            }
            Ok(())
        }
        (None, None) => Err("its key names no source".to_owned()),
        (_, Some(payload)) => decode(codec, payload, |advisory| {
            builder.upsert(advisory);
            known.upsert(advisory, is_new.then_some(&mut *change));
        })
        .map_err(|error| error.to_string()),
    };
    if let Err(problem) = taken {
        metrics.unreadable.inc();
        tracing::warn!(
            topic = message.topic(),
            partition = message.partition(),
            offset = message.offset(),
            problem,
            "an entry of the catalog cannot be used"
        );
        return;
    }
    if is_new {
        let now = Instant::now();
        let published = message.timestamp().to_millis().unwrap_or(Timestamp::now().0);
        changed.messages += 1;
        changed.published = Some(changed.published.map_or(published, |at| at.min(published)));
        changed.first.get_or_insert(now);
        changed.last = Some(now);
    }
}
