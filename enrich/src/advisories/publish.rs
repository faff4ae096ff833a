//! Writes what has changed to the topic.
//!
//! What is guaranteed: an entry that the topic has already is not written again, so a second import of
//! the same documents writes nothing; an entry that the vendor changed earlier than the one in the topic
//! does not replace it, so an old copy of a feed does no harm; nothing is deleted. For comparison a digest
//! of each entry is kept, some hundred bytes a key.

use std::collections::HashMap;
use std::collections::hash_map::{DefaultHasher, Entry};
use std::hash::Hasher;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use patchline_runtime::kafka::{KafkaConfig, MESSAGE_BYTES_MAX};
use patchline_schemas::{Advisory, Codec, EncodeError, Timestamp, Topics};
use rdkafka::ClientContext;
use rdkafka::error::KafkaError;
use rdkafka::message::{DeliveryResult, Message};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ProducerContext};
use rdkafka::types::RDKafkaErrorCode;

use super::key;
use super::topic::{Topic, TopicError, decode};

/// How long the brokers may take to acknowledge what was written last.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(120);

/// Items of one list; decoding gives up at 100,000.
const ITEMS_MAX: usize = 90_000;

/// What became of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Outcome {
    /// Written; the topic did not have its key.
    New,
    /// Written over another state of it.
    Changed,
    /// The topic has it as it is.
    Unchanged,
    /// The topic has a state that the vendor made later.
    Older,
    /// Another entry with this key came before it in the same import.
    Repeated,
}

/// An entry or all of them could not be written.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// An entry does not fit into a message.
    #[error("it has {0} bytes as a message, {MESSAGE_BYTES_MAX} at most")]
    TooLarge(usize),
    /// An entry has a list that no reader takes.
    #[error("it has a list of {0} items, {ITEMS_MAX} at most")]
    TooLong(usize),
    /// A defect of this program.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The producer could not be made, or does not get rid of its messages.
    #[error("cannot {action}")]
    Kafka {
        /// What was tried.
        action: &'static str,
        /// Why it failed.
        source: KafkaError,
    },
    /// The brokers took some messages and others not. What was not taken is written by the next import.
    #[error("the brokers did not take {0} of the messages; import again")]
    Undelivered(usize, #[source] KafkaError),
}

impl PublishError {
    /// Whether it is about one entry only.
    #[must_use]
    pub fn is_of_one_entry(&self) -> bool {
        matches!(self, Self::TooLarge(_) | Self::TooLong(_) | Self::Encode(_))
    }
}

/// What is in the topic under a key.
struct Known {
    digest: u64,
    modified: Option<Timestamp>,
    /// Seen in this import.
    seen: bool,
}

/// Writes entries.
pub struct Publisher {
    codec: Codec,
    topic: String,
    /// None when nothing is to be written.
    producer: Option<BaseProducer<Deliveries>>,
    known: HashMap<String, Known>,
    buffer: Vec<u8>,
}

impl Publisher {
    /// A publisher that knows nothing of the topic yet. In a `dry_run` it writes nothing.
    ///
    /// # Errors
    /// No producer can be made of the settings.
    pub fn new(kafka: &KafkaConfig, codec: Codec, dry_run: bool) -> Result<Self, PublishError> {
        let own = [
            ("enable.idempotence", "true"),
            ("acks", "all"),
            ("compression.type", "zstd"),
            ("linger.ms", "50"),
            ("message.max.bytes", "1000000000"),
            // What bounds the memory.
            ("queue.buffering.max.kbytes", "65536"),
        ];
        let create = || {
            kafka
                .client("patchline-catalog", &own)
                .create_with_context(Deliveries::default())
                .map_err(|source| PublishError::Kafka {
                    action: "create the kafka producer; check [kafka.settings]",
                    source,
                })
        };
        Ok(Self {
            codec,
            topic: Topics::new(&kafka.topic_prefix).advisories,
            producer: if dry_run { None } else { Some(create()?) },
            known: HashMap::new(),
            buffer: Vec::new(),
        })
    }

    /// Learns what `topic` holds. Returns how many of its messages cannot be read.
    ///
    /// # Errors
    /// The topic cannot be read to its end.
    pub fn learn(&mut self, topic: &Topic) -> Result<u64, TopicError> {
        let mut unreadable = 0;
        topic.read(|message| {
            let Some(key) = message.key().and_then(|key| std::str::from_utf8(key).ok()) else {
                unreadable += 1;
                return;
            };
            let Some(payload) = message.payload() else {
                self.known.remove(key);
                return;
            };
            let buffer = &mut self.buffer;
            let codec = &self.codec;
            let known = decode(codec, payload, |advisory| {
                // As it would be written today: an older schema or another framing is no change.
                buffer.clear();
                codec.encode(advisory, buffer).ok()?;
                Some(Known { digest: digest(buffer), modified: advisory.modified, seen: false })
            });
            match known {
                Ok(Some(known)) => {
                    self.known.insert(key.to_owned(), known);
                }
                _ => unreadable += 1,
            }
        })?;
        Ok(unreadable)
    }

    /// Writes `advisory` if the topic does not have it, or has an earlier state of it.
    ///
    /// # Errors
    /// See [`PublishError`].
    pub fn offer(&mut self, advisory: &Advisory<'_>) -> Result<Outcome, PublishError> {
        let Advisory { cve_numbers, kb_fixes, package_fixes, .. } = advisory;
        let of_fixes = kb_fixes.iter().map(|fix| fix.cve_numbers.len().max(fix.supersedes.len()));
        let lists = [cve_numbers.len(), kb_fixes.len(), package_fixes.len()];
        let longest = lists.into_iter().chain(of_fixes).max().unwrap_or_default();
        if longest > ITEMS_MAX {
            return Err(PublishError::TooLong(longest));
        }
        self.buffer.clear();
        self.codec.encode(advisory, &mut self.buffer)?;
        if self.buffer.len() > MESSAGE_BYTES_MAX {
            return Err(PublishError::TooLarge(self.buffer.len()));
        }
        let key = key(advisory);
        let now = Known { digest: digest(&self.buffer), modified: advisory.modified, seen: true };
        let outcome = match self.known.entry(key.clone()) {
            Entry::Vacant(vacant) => {
                vacant.insert(now);
                Outcome::New
            }
            Entry::Occupied(mut known) => {
                let had = known.get_mut();
                let outcome = match had.modified.cmp(&now.modified) {
                    _ if had.digest == now.digest => Outcome::Unchanged,
                    std::cmp::Ordering::Greater => Outcome::Older,
                    // Either would replace the other with every import.
                    std::cmp::Ordering::Equal if had.seen => Outcome::Repeated,
                    _ => Outcome::Changed,
                };
                match outcome {
                    Outcome::Changed => *had = now,
                    Outcome::Unchanged => had.seen = true,
                    _ => {}
                }
                outcome
            }
        };
        if matches!(outcome, Outcome::New | Outcome::Changed) {
            self.send(&key)?;
        }
        Ok(outcome)
    }

    fn send(&self, key: &str) -> Result<(), PublishError> {
        let Some(producer) = &self.producer else { return Ok(()) };
        let mut record = BaseRecord::to(&self.topic).key(key).payload(&self.buffer);
        let deadline = Instant::now() + FLUSH_TIMEOUT;
        loop {
            match producer.send(record) {
                Ok(()) => {
                    producer.poll(Duration::ZERO);
                    return Ok(());
                }
                Err((error, unsent))
                    if error.rdkafka_error_code() == Some(RDKafkaErrorCode::QueueFull)
                        && Instant::now() < deadline =>
                {
                    record = unsent;
                    producer.poll(Duration::from_millis(100));
                }
                Err((source, _)) => return Err(PublishError::Kafka { action: "write", source }),
            }
        }
    }

    /// Waits until everything is acknowledged.
    ///
    /// # Errors
    /// The brokers do not answer in time, or have refused something.
    pub fn finish(&self) -> Result<(), PublishError> {
        let Some(producer) = &self.producer else { return Ok(()) };
        producer
            .flush(FLUSH_TIMEOUT)
            .map_err(|source| PublishError::Kafka { action: "write to the end", source })?;
        let failed =
            producer.context().failed.lock().unwrap_or_else(PoisonError::into_inner).take();
        match failed {
            Some((count, error)) => Err(PublishError::Undelivered(count, error)),
            None => Ok(()),
        }
    }
}

fn digest(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(bytes);
    hasher.finish()
}

/// Messages that were not delivered: how many, and why the first was not.
#[derive(Default)]
struct Deliveries {
    failed: Mutex<Option<(usize, KafkaError)>>,
}

impl ClientContext for Deliveries {}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Err((error, _)) = result {
            let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
            failed.get_or_insert((0, error.clone())).0 += 1;
        }
    }
}
