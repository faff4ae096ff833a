//! Dead letters, read again: shown, and sent back to where they came from once the cause is mended.
//!
//! A replay sends each letter's payload, key and time of arrival to the topic and partition it came from, once,
//! however often it is run or killed: letters and progress commit in one Kafka transaction. Progress is kept
//! as committed offsets of consumer groups that nobody is a member of, one for each source topic and class of
//! letters, `<prefix>.dead-letters-replay.<topic>.<class>`: whatever a replay is narrowed down to, a letter
//! has one group, and the letters beside it stay for later. Two replays at a time end with the older one's
//! failure.
//!
//! Topics forget messages by their timestamps. A letter so old that its topic would forget it before anybody
//! has read it is sent with the time of the replay instead ([`Fate::Renewed`]): a late time of arrival is
//! better than a report that is lost.
//!
//! A letter that was written twice, by a stage that crashed meanwhile, is replayed once: source topic,
//! partition and offset say which are the same. They are remembered for the letters there are, some dozen
//! bytes each. Letters that come while a replay runs, such as those of messages that fail again, are left
//! for the next one.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Duration;

use patchline_runtime::kafka::KafkaConfig;
use patchline_schemas::topic::dead_letter::{self, Class};
use patchline_schemas::{Timestamp, Topics};
use rdkafka::admin::{AdminClient, AdminOptions, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Headers, Message};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use rdkafka::{Offset, TopicPartitionList};

/// How long Kafka may be silent.
const TIMEOUT: Duration = Duration::from_secs(30);

/// What one transaction holds at most. Each costs some round trips, and its messages wait for its end.
const TRANSACTION_LETTERS_MAX: usize = 1_000;
const TRANSACTION_BYTES_MAX: usize = 32 * 1024 * 1024;

/// The letters cannot be read or sent back.
#[derive(Debug, thiserror::Error)]
pub enum LettersError {
    /// Kafka's client failed. What a replay had not committed by then has no effect: run it again.
    #[error("{what}: {source}")]
    Kafka {
        /// What was being done.
        what: String,
        /// The client's error.
        source: KafkaError,
    },
    /// Nothing comes, though there is more.
    #[error(
        "{topic}/{partition} gives nothing from offset {offset} on, though it goes up to {end}"
    )]
    Silent {
        /// The dead-letter topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// Where reading stands.
        offset: i64,
        /// Where it should end.
        end: i64,
    },
}

fn kafka<S: Into<String>>(what: S) -> impl FnOnce(KafkaError) -> LettersError {
    move |source| LettersError::Kafka { what: what.into(), source }
}

/// Which letters are meant; by default all.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Those of this class.
    pub class: Option<Class>,
    /// Those that came from this topic.
    pub source_topic: Option<String>,
}

impl Filter {
    fn takes(&self, letter: &Letter) -> bool {
        self.class.is_none_or(|class| class.as_str() == letter.class)
            && self.source_topic.as_ref().is_none_or(|topic| *topic == letter.source_topic)
    }
}

/// What a letter's headers say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// Partition of the dead-letter topic.
    pub partition: i32,
    /// Offset there.
    pub offset: i64,
    /// Topic that the message came from.
    pub source_topic: String,
    /// Partition it came from.
    pub source_partition: i32,
    /// Offset it had there.
    pub source_offset: i64,
    /// The stage that rejected it.
    pub stage: String,
    /// Why, in a word; a newer program may have words that this one does not know.
    pub class: String,
    /// Why, for a human.
    pub text: String,
    /// Bytes of the rejected payload.
    pub payload_bytes: usize,
    /// The letter has the payload's beginning only.
    pub is_cut: bool,
    /// When the message had arrived.
    pub timestamp: Timestamp,
}

impl Letter {
    /// `None`: no letter of ours.
    fn read(message: &BorrowedMessage<'_>) -> Option<Self> {
        let headers = message.headers()?;
        let header = |name: &str| {
            let found = headers.iter().find(|header| header.key == name)?;
            std::str::from_utf8(found.value?).ok()
        };
        let payload_bytes = header(dead_letter::PAYLOAD_BYTES)?.parse().ok()?;
        Some(Self {
            partition: message.partition(),
            offset: message.offset(),
            source_topic: header(dead_letter::SOURCE_TOPIC)?.to_owned(),
            source_partition: header(dead_letter::SOURCE_PARTITION)?.parse().ok()?,
            source_offset: header(dead_letter::SOURCE_OFFSET)?.parse().ok()?,
            stage: header(dead_letter::STAGE)?.to_owned(),
            class: header(dead_letter::ERROR_CLASS)?.to_owned(),
            text: header(dead_letter::ERROR_TEXT)?.to_owned(),
            payload_bytes,
            is_cut: message.payload_len() < payload_bytes,
            timestamp: Timestamp(message.timestamp().to_millis().unwrap_or_default()),
        })
    }
}

/// The newest letters that `filter` takes, at most `limit`, oldest first. Blocks.
///
/// # Errors
/// Kafka cannot be read.
pub fn list(
    config: &KafkaConfig,
    filter: &Filter,
    limit: usize,
) -> Result<Vec<Letter>, LettersError> {
    let topics = Topics::new(&config.topic_prefix);
    let mut newest = VecDeque::new();
    for_each(config, &topics.dead_letters, |message| {
        if let Some(letter) = Letter::read(message).filter(|letter| filter.takes(letter)) {
            newest.push_back(letter);
            // Partitions come one after the other: cut to the newest of all from time to time.
            if newest.len() >= 2 * limit.max(1_000) {
                keep_newest(&mut newest, limit);
            }
        }
        Ok(())
    })?;
    keep_newest(&mut newest, limit);
    Ok(newest.into())
}

fn keep_newest(letters: &mut VecDeque<Letter>, limit: usize) {
    letters
        .make_contiguous()
        .sort_by_key(|letter| (letter.timestamp, letter.partition, letter.offset));
    letters.drain(..letters.len().saturating_sub(limit));
}

/// What becomes of a letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is sent back as it was.
    Sent,
    /// It is sent back with the time of the replay as its time of arrival.
    Renewed,
    /// It cannot be sent back: the rest of the message is lost.
    Cut,
}

/// What a replay did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Replayed {
    /// Letters that were sent back; in a dry run, would be.
    pub replayed: u64,
    /// Those of them that were given another time of arrival.
    pub renewed: u64,
    /// Letters that an earlier replay had dealt with.
    pub before: u64,
    /// Letters that were there already, written twice by a crash.
    pub repeated: u64,
    /// Letters that cannot be replayed: the rest of the message is lost.
    pub cut: u64,
    /// Messages that are no letters of this installation.
    pub foreign: u64,
}

impl std::fmt::Display for Replayed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { replayed, renewed, before, repeated, cut, foreign } = self;
        write!(
            f,
            "replayed={replayed} renewed={renewed} replayed-before={before} written-twice={repeated} \
             cut={cut} foreign={foreign}"
        )
    }
}

/// Sends the letters that `filter` takes back to where they came from, each once. `tell` hears what becomes of
/// each. A dry run sends nothing and keeps no progress. Blocks, and must not be called from an async task.
///
/// # Errors
/// Kafka failed; what was committed before stays, and the next replay goes on behind it.
pub fn replay(
    config: &KafkaConfig,
    filter: &Filter,
    dry_run: bool,
    mut tell: impl FnMut(&Letter, Fate),
) -> Result<Replayed, LettersError> {
    let topics = Topics::new(&config.topic_prefix);
    let mut transaction = if dry_run { None } else { Some(Transaction::new(config)?) };
    let mut groups = Groups { config, topic: &topics.dead_letters, known: HashMap::new() };
    let mut seen = HashSet::new();
    let mut done = Replayed::default();
    for_each(config, &topics.dead_letters, |message| {
        let ours = |topic: &str| topic != topics.dead_letters && topics.all().contains(&topic);
        let Some(letter) = Letter::read(message).filter(|letter| ours(&letter.source_topic)) else {
            done.foreign += 1;
            return Ok(());
        };
        if !filter.takes(&letter) {
            return Ok(());
        }
        let topic = topics.all().iter().position(|topic| *topic == letter.source_topic);
        if !seen.insert((topic, letter.source_partition, letter.source_offset)) {
            done.repeated += 1;
            return Ok(());
        }
        let group = groups.of(&letter)?;
        if letter.offset < group.next(letter.partition) {
            done.before += 1;
            return Ok(());
        }
        let now = Timestamp::now();
        let fate = group.fate(&letter, now);
        match fate {
            Fate::Cut => done.cut += 1,
            Fate::Sent => done.replayed += 1,
            Fate::Renewed => {
                done.replayed += 1;
                done.renewed += 1;
            }
        }
        tell(&letter, fate);
        if let Some(transaction) = &mut transaction {
            let arrived = if fate == Fate::Renewed { now } else { letter.timestamp };
            if fate != Fate::Cut {
                transaction.send(&letter, message, arrived, group.partition(&letter))?;
            }
            group.advance(letter.partition, letter.offset + 1);
            if transaction.is_full() {
                transaction.commit(&mut groups)?;
            }
        }
        Ok(())
    })?;
    if let Some(transaction) = &mut transaction {
        transaction.commit(&mut groups)?;
    }
    Ok(done)
}

/// A consumer that reads by assignment only.
fn consumer(config: &KafkaConfig, group: &str) -> Result<BaseConsumer, LettersError> {
    config
        .client(
            "patchline-dead-letters",
            &[
                ("group.id", group),
                ("enable.auto.commit", "false"),
                ("enable.auto.offset.store", "false"),
                ("auto.offset.reset", "earliest"),
                ("isolation.level", "read_committed"),
                ("enable.partition.eof", "true"),
                ("queued.max.messages.kbytes", "16384"),
                ("receive.message.max.bytes", "67108864"),
            ],
        )
        .create()
        .map_err(kafka("creating a consumer; check [kafka]"))
}

/// Gives every letter that is there now to `each`, a partition after the other.
fn for_each(
    config: &KafkaConfig,
    topic: &str,
    mut each: impl FnMut(&BorrowedMessage<'_>) -> Result<(), LettersError>,
) -> Result<(), LettersError> {
    let consumer = consumer(config, &format!("{}.dead-letters-replay", config.topic_prefix))?;
    for partition in partitions(&consumer, topic)? {
        let (low, end) = consumer
            .fetch_watermarks(topic, partition, TIMEOUT)
            .map_err(kafka(format!("asking for the ends of {topic}/{partition}")))?;
        let mut from = TopicPartitionList::with_capacity(1);
        from.add_partition_offset(topic, partition, Offset::Offset(low))
            .and_then(|()| consumer.assign(&from))
            .map_err(kafka(format!("assigning {topic}/{partition}")))?;
        let mut next = low;
        while next < end {
            match consumer.poll(TIMEOUT) {
                Some(Ok(message)) if message.offset() < end => {
                    next = message.offset() + 1;
                    each(&message)?;
                }
                // It came meanwhile.
                Some(Ok(_)) => break,
                // What is left may be marks of transactions, which no reader sees.
                Some(Err(KafkaError::PartitionEOF(at))) if at == partition => break,
                // The end of the partition before was still on its way.
                Some(Err(KafkaError::PartitionEOF(_))) => {}
                Some(Err(error)) if is_passing(&error) => {}
                Some(Err(error)) => {
                    return Err(kafka(format!("reading {topic}/{partition}"))(error));
                }
                None => {
                    return Err(LettersError::Silent {
                        topic: topic.to_owned(),
                        partition,
                        offset: next,
                        end,
                    });
                }
            }
        }
    }
    Ok(())
}

/// librdkafka mends it by itself; if it does not, nothing comes, and that is noticed.
fn is_passing(error: &KafkaError) -> bool {
    use RDKafkaErrorCode::{AllBrokersDown, BrokerTransportFailure, OperationTimedOut};
    matches!(
        error.rdkafka_error_code(),
        Some(AllBrokersDown | BrokerTransportFailure | OperationTimedOut)
    )
}

fn partitions(consumer: &BaseConsumer, topic: &str) -> Result<Vec<i32>, LettersError> {
    let what = || format!("asking for the partitions of {topic}");
    let metadata = consumer.fetch_metadata(Some(topic), TIMEOUT).map_err(kafka(what()))?;
    let known = metadata.topics().first();
    if let Some(error) = known.and_then(|topic| topic.error()) {
        return Err(kafka(what())(KafkaError::MetadataFetch(error.into())));
    }
    let mut ids: Vec<i32> =
        known.iter().flat_map(|topic| topic.partitions()).map(|at| at.id()).collect();
    ids.sort_unstable();
    Ok(ids)
}

/// How long `topic` keeps a message, in ms; `None`: for ever.
fn retention(config: &KafkaConfig, topic: &str) -> Result<Option<i64>, LettersError> {
    const NAME: &str = "retention.ms";
    let asked = async {
        let admin: AdminClient<DefaultClientContext> =
            config.client("patchline-dead-letters", &[]).create()?;
        let options = AdminOptions::new().request_timeout(Some(TIMEOUT));
        let mut answers =
            admin.describe_configs([&ResourceSpecifier::Topic(topic)], &options).await?;
        answers.pop().unwrap_or(Err(RDKafkaErrorCode::UnknownTopic)).map_err(KafkaError::AdminOp)
    };
    // Kafka's administration is the only thing here that answers by a future.
    let settings = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| KafkaError::AdminOpCreation(error.to_string()))
        .and_then(|runtime| runtime.block_on(asked))
        .map_err(kafka(format!("asking how long {topic} keeps messages")))?;
    let kept = settings.get(NAME).and_then(|entry| entry.value.as_deref());
    Ok(kept.and_then(|kept| kept.parse().ok()).filter(|kept| *kept >= 0))
}

/// The progress of every source topic and class that a letter was met of.
struct Groups<'c> {
    config: &'c KafkaConfig,
    topic: &'c str,
    known: HashMap<(String, String), Group>,
}

/// Up to where the letters of one source topic and class have been replayed.
struct Group {
    consumer: BaseConsumer,
    /// A partition's first letter that is still to come.
    next: HashMap<i32, i64>,
    /// Partitions whose progress is not committed yet.
    changed: HashSet<i32>,
    /// Partitions of the topic that the letters came from.
    source_partitions: Vec<i32>,
    /// How long that topic keeps a message, in ms; `None`: for ever.
    source_retention: Option<i64>,
}

impl Group {
    fn next(&self, partition: i32) -> i64 {
        self.next.get(&partition).copied().unwrap_or_default()
    }

    fn fate(&self, letter: &Letter, now: Timestamp) -> Fate {
        let age = now.0.saturating_sub(letter.timestamp.0);
        // Half of the topic's time must be left to whoever reads it.
        let is_old = self.source_retention.is_some_and(|retention| age > retention / 2);
        match (letter.is_cut, is_old) {
            (true, _) => Fate::Cut,
            (false, true) => Fate::Renewed,
            (false, false) => Fate::Sent,
        }
    }

    /// The partition it came from. Where the topic has fewer now, its key says where it belongs.
    fn partition(&self, letter: &Letter) -> Option<i32> {
        let partition = letter.source_partition;
        self.source_partitions.contains(&partition).then_some(partition)
    }

    fn advance(&mut self, partition: i32, next: i64) {
        self.next.insert(partition, next);
        self.changed.insert(partition);
    }
}

impl Groups<'_> {
    fn of(&mut self, letter: &Letter) -> Result<&mut Group, LettersError> {
        use std::collections::hash_map::Entry;
        let prefix = &self.config.topic_prefix;
        match self.known.entry((letter.source_topic.clone(), letter.class.clone())) {
            Entry::Occupied(known) => Ok(known.into_mut()),
            Entry::Vacant(unknown) => {
                let of = letter.source_topic.strip_prefix(prefix).unwrap_or_default();
                let name = format!("{prefix}.dead-letters-replay{of}.{}", letter.class);
                let consumer = consumer(self.config, &name)?;
                let mut asked = TopicPartitionList::new();
                for partition in partitions(&consumer, self.topic)? {
                    asked.add_partition(self.topic, partition);
                }
                let committed = consumer
                    .committed_offsets(asked, TIMEOUT)
                    .map_err(kafka(format!("asking for the progress of group {name}")))?;
                let mut next = HashMap::new();
                for at in committed.elements() {
                    at.error().map_err(kafka(format!("asking for the progress of {name}")))?;
                    if let Offset::Offset(offset) = at.offset() {
                        next.insert(at.partition(), offset);
                    }
                }
                let source_partitions = partitions(&consumer, &letter.source_topic)?;
                let source_retention = retention(self.config, &letter.source_topic)?;
                let changed = HashSet::new();
                Ok(unknown.insert(Group {
                    consumer,
                    next,
                    changed,
                    source_partitions,
                    source_retention,
                }))
            }
        }
    }
}

/// Letters on their way back, and with them the progress that they make.
struct Transaction {
    producer: ThreadedProducer<DefaultProducerContext>,
    is_open: bool,
    letters: usize,
    bytes: usize,
}

impl Transaction {
    /// Waits for the end of what an earlier replay may have left open, and shuts that one out.
    fn new(config: &KafkaConfig) -> Result<Self, LettersError> {
        let id = format!("{}.dead-letters-replay", config.topic_prefix);
        let producer: ThreadedProducer<_> = config
            .client(
                "patchline-dead-letters",
                &[
                    ("transactional.id", &id),
                    ("enable.idempotence", "true"),
                    ("acks", "all"),
                    ("compression.type", "lz4"),
                    // As everybody who writes by key here.
                    ("partitioner", "murmur2_random"),
                    // A topic takes what it took before; a limit here might not.
                    ("message.max.bytes", "1000000000"),
                ],
            )
            .create()
            .map_err(kafka("creating the producer; check [kafka]"))?;
        producer
            .init_transactions(TIMEOUT)
            .map_err(kafka("beginning as transactional producer"))?;
        Ok(Self { producer, is_open: false, letters: 0, bytes: 0 })
    }

    fn is_full(&self) -> bool {
        self.letters >= TRANSACTION_LETTERS_MAX || self.bytes >= TRANSACTION_BYTES_MAX
    }

    fn open(&mut self) -> Result<(), LettersError> {
        if !self.is_open {
            self.producer.begin_transaction().map_err(kafka("beginning a transaction"))?;
            self.is_open = true;
        }
        Ok(())
    }

    fn send(
        &mut self,
        letter: &Letter,
        message: &BorrowedMessage<'_>,
        arrived: Timestamp,
        partition: Option<i32>,
    ) -> Result<(), LettersError> {
        self.open()?;
        let mut record = BaseRecord::<[u8], [u8]>::to(&letter.source_topic);
        record.partition = partition;
        record.timestamp = Some(arrived.0);
        record.key = message.key();
        record.payload = message.payload();
        self.producer.send(record).map_err(|(source, _)| {
            let (topic, partition) = (&letter.source_topic, letter.source_partition);
            kafka(format!("sending a letter back to {topic}/{partition}"))(source)
        })?;
        self.letters += 1;
        self.bytes += message.payload_len();
        Ok(())
    }

    /// Commits what was sent together with the progress of `groups`, or nothing of both.
    fn commit(&mut self, groups: &mut Groups<'_>) -> Result<(), LettersError> {
        if groups.known.values().all(|group| group.changed.is_empty()) {
            return Ok(());
        }
        self.open()?;
        let committed = self.try_commit(groups);
        self.is_open = false;
        if committed.is_err() {
            // Should this fail as well, the broker does it when the transaction is overdue.
            let _ = self.producer.abort_transaction(TIMEOUT);
        }
        (self.letters, self.bytes) = (0, 0);
        committed
    }

    fn try_commit(&self, groups: &mut Groups<'_>) -> Result<(), LettersError> {
        for group in groups.known.values_mut().filter(|group| !group.changed.is_empty()) {
            let mut offsets = TopicPartitionList::with_capacity(group.changed.len());
            for partition in group.changed.drain() {
                let next = group.next.get(&partition).copied().unwrap_or_default();
                offsets
                    .add_partition_offset(groups.topic, partition, Offset::Offset(next))
                    .map_err(kafka("listing the progress"))?;
            }
            let metadata = group
                .consumer
                .group_metadata()
                .ok_or_else(|| kafka("asking for a group's metadata")(KafkaError::Canceled))?;
            self.producer
                .send_offsets_to_transaction(&offsets, &metadata, TIMEOUT)
                .map_err(kafka("adding the progress to the transaction"))?;
        }
        self.producer.commit_transaction(TIMEOUT).map_err(kafka("committing the transaction"))
    }
}
