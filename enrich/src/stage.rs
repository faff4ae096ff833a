//! The loop: collect a batch, then in one transaction transform it, produce it and commit its input
//! offsets.
//!
//! Why nothing is lost or doubled, for readers of `read_committed`:
//! - Outputs and input offsets are in one transaction; they take effect together or not at all. It is
//!   committed only when every output was acknowledged.
//! - A restarted process has the transactional id of its predecessor, whose transaction it ends
//!   before it reads anything. A process that was taken for dead is fenced by it.
//! - Offsets are sent with the group metadata of the assignment under which the batch was read
//!   (KIP-447). It is taken when the assignment arrives and never later: if the partitions have moved
//!   on since, the broker refuses the offsets, and with them the transaction.
//! - A new owner of a partition waits until the transaction of the former one has ended (see
//!   `isolation.level` in `clients`).
//! - Polling happens between transactions only, and a rebalance drops what was collected: the
//!   assignment that follows begins at the committed offsets.
//! - An aborted batch is read again, from its first offset of each partition.
//!
//! Whatever cannot go on with its clients throws both away and begins anew. Memory is bounded by the
//! consumer's read-ahead, one batch, and one message's enriched form.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use patchline_runtime::admin::Readiness;
use patchline_schemas::topic::dead_letter;
use patchline_schemas::{Codec, Timestamp, Topics};
use rdkafka::Message;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerGroupMetadata};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use tokio_util::sync::CancellationToken;

use crate::clients::{self, Deliveries, Group, READY};
use crate::config::Config;
use crate::current::Current;
use crate::metrics::{ABORTED, COMMITTED, Metrics};
use crate::transform::{Class, Rejection, Source, Transform};
use crate::watchdog::Watchdog;

/// How long a poll waits when nothing is collected; a shutdown is noticed that late.
const IDLE: Duration = Duration::from_millis(100);

/// How long the brokers may take to answer about topics.
const METADATA_TIMEOUT: Duration = Duration::from_secs(5);

/// Aborts in a row after which the clients are built anew: what they could mend, they would have.
const ABORTS_MAX: u32 = 5;

/// First wait after a failure, and the longest; each failure in a row doubles it.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));

/// Why the stage, or one life of its clients, ended.
#[derive(Debug, thiserror::Error)]
pub enum StageError {
    /// A client could not be created.
    #[error("cannot create the kafka {client}; check [kafka.settings]")]
    Client {
        /// Which one.
        client: &'static str,
        /// Why.
        source: KafkaError,
    },
    /// Input and output would not have the same partitions.
    #[error(
        "{raw} has {raw_partitions} partitions and {enriched} has {enriched_partitions}: give both the \
         same number, a computer's messages keep their partition and with it their order"
    )]
    Partitions {
        /// The raw topic.
        raw: String,
        /// Its partitions.
        raw_partitions: usize,
        /// The enriched topic.
        enriched: String,
        /// Its partitions.
        enriched_partitions: usize,
    },
    /// A topic does not exist yet.
    #[error("topic {0} does not exist; create it")]
    NoTopic(String),
    /// Another process has the same transactional id.
    #[error(
        "fenced: another process runs with enrich.instance_id = `{instance_id}` (give each its own), or \
         this one stood still for longer than enrich.transaction_timeout_ms"
    )]
    Fenced {
        /// The id that two share.
        instance_id: String,
        /// What the client said.
        source: KafkaError,
    },
    /// The group dropped this member while its assignment was under way.
    #[error("not a member of the group any more")]
    NotAMember,
    /// A step failed in a way that new clients may mend.
    #[error("cannot {step}")]
    Kafka {
        /// What was tried.
        step: &'static str,
        /// Why it failed.
        source: KafkaError,
    },
    /// A thread could not be started.
    #[error("cannot start a thread")]
    Thread(#[source] std::io::Error),
}

impl StageError {
    /// Whether trying again is in vain until somebody changes something.
    fn is_final(&self) -> bool {
        matches!(self, Self::Client { .. } | Self::Partitions { .. } | Self::Thread(_))
    }
}

/// Why a transaction did not commit.
enum Failure {
    /// It can be aborted, and its batch tried again.
    Abort(&'static str, KafkaError),
    /// The clients are of no more use.
    Fatal(StageError),
}

type RawConsumer = BaseConsumer<Group>;
type Outputs = BaseProducer<Deliveries>;

/// Where a message came from.
type Position = (Source, i32, i64);

/// The stage, ready to run.
pub struct Stage {
    config: Config,
    topics: Topics,
    codec: Arc<Codec>,
    catalog: Current,
    metrics: Metrics,
    readiness: Readiness,
    shutdown: CancellationToken,
}

impl Stage {
    /// A stage that runs until `shutdown` fires.
    #[must_use]
    pub fn new(
        config: Config,
        codec: Codec,
        catalog: Current,
        metrics: Metrics,
        readiness: Readiness,
        shutdown: CancellationToken,
    ) -> Self {
        let topics = Topics::new(&config.kafka.topic_prefix);
        metrics.expect(
            [&topics.scans, &topics.run_progress],
            [&topics.enriched_scans, &topics.enriched_run_progress],
        );
        Self { config, topics, codec: Arc::new(codec), catalog, metrics, readiness, shutdown }
    }

    /// Runs on the calling thread until shutdown; the open batch is then committed and the group left.
    ///
    /// # Errors
    /// Only what trying again does not mend: settings that no client takes, topics whose partitions
    /// differ. Everything else is logged and tried again.
    pub fn run(&self) -> Result<(), StageError> {
        let watchdog =
            Watchdog::start(self.config.enrich.hang_timeout()).map_err(StageError::Thread)?;
        let mut failures = 0;
        while !self.shutdown.is_cancelled() {
            let ended = self.session(&watchdog, &mut failures);
            self.readiness.set(READY, false);
            let Err(error) = ended else { break };
            if error.is_final() {
                return Err(error);
            }
            failures += 1;
            let error_chain: &(dyn std::error::Error + 'static) = &error;
            if matches!(error, StageError::Fenced { .. }) {
                tracing::error!(error = error_chain, "fenced; beginning anew");
            } else {
                tracing::warn!(error = error_chain, failures, "kafka failed; beginning anew");
            }
            self.pause(failures);
        }
        Ok(())
    }

    /// One life of the two clients, from their creation to their end. `failures` returns to zero with
    /// the first commit.
    fn session(&self, watchdog: &Watchdog, failures: &mut u32) -> Result<(), StageError> {
        let enrich = &self.config.enrich;
        let group = Group::new(self.metrics.clone(), self.readiness.clone());
        let consumer = clients::consumer(&self.config.kafka, group)
            .map_err(|source| StageError::Client { client: "consumer", source })?;
        let dead_letter_partitions = self.check_topics(&consumer)?;
        let producer = clients::producer(
            &self.config.kafka,
            &enrich.instance_id,
            enrich.transaction_timeout(),
            self.metrics.statistics.meter("producer"),
        )
        .map_err(|source| StageError::Client { client: "producer", source })?;
        let mut session = Session {
            stage: self,
            watchdog,
            transform: self.transform(),
            producer,
            dead_letter_partitions,
            refused: HashMap::new(),
            out: Vec::new(),
        };
        let ended = session.run(&consumer, failures);
        // Leaving the group and closing connections wait for the brokers.
        watchdog.watch("close the consumer", || drop(consumer));
        watchdog.watch("close the producer", || drop(session));
        ended
    }

    /// Refuses topics that would not keep a computer's order. Returns the dead letters' partitions.
    fn check_topics(&self, consumer: &RawConsumer) -> Result<i32, StageError> {
        let partitions = |topic: &str| {
            let metadata = consumer
                .fetch_metadata(Some(topic), METADATA_TIMEOUT)
                .map_err(|source| StageError::Kafka { step: "read the topics", source })?;
            match metadata.topics().first() {
                Some(found) if found.error().is_none() && !found.partitions().is_empty() => {
                    Ok(found.partitions().len())
                }
                _ => Err(StageError::NoTopic(topic.to_owned())),
            }
        };
        let topics = &self.topics;
        for (raw, enriched) in [
            (&topics.scans, &topics.enriched_scans),
            (&topics.run_progress, &topics.enriched_run_progress),
        ] {
            let (raw_partitions, enriched_partitions) = (partitions(raw)?, partitions(enriched)?);
            if raw_partitions != enriched_partitions {
                let (raw, enriched) = (raw.clone(), enriched.clone());
                return Err(StageError::Partitions {
                    raw,
                    raw_partitions,
                    enriched,
                    enriched_partitions,
                });
            }
        }
        Ok(i32::try_from(partitions(&topics.dead_letters)?).unwrap_or(i32::MAX))
    }

    /// A transform with the catalog that is in use now.
    fn transform(&self) -> Transform {
        Transform::new(Arc::clone(&self.codec), self.catalog.get())
    }

    fn source(&self, topic: &str) -> Source {
        if topic == self.topics.scans { Source::Scans } else { Source::RunProgress }
    }

    fn raw_topic(&self, source: Source) -> &str {
        match source {
            Source::Scans => &self.topics.scans,
            Source::RunProgress => &self.topics.run_progress,
        }
    }

    fn enriched_topic(&self, source: Source) -> &str {
        match source {
            Source::Scans => &self.topics.enriched_scans,
            Source::RunProgress => &self.topics.enriched_run_progress,
        }
    }

    /// Waits as long as `failures` in a row ask for, or until shutdown.
    fn pause(&self, failures: u32) {
        let (first, longest) = BACKOFF;
        let wait = first.saturating_mul(1 << failures.clamp(1, 10) >> 1).min(longest);
        let until = Instant::now() + wait;
        while !self.shutdown.is_cancelled() && Instant::now() < until {
            thread::sleep(Duration::from_millis(20));
        }
    }
}

/// What the broker took for too large.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refused {
    /// The enriched message: it becomes a dead letter.
    Enriched,
    /// The dead letter: its beginning is written.
    Letter,
}

/// What lives as long as the clients.
struct Session<'s> {
    stage: &'s Stage,
    watchdog: &'s Watchdog,
    /// Changes between batches only: all of a batch is judged by one catalog.
    transform: Transform,
    producer: Outputs,
    dead_letter_partitions: i32,
    /// Messages whose enriched form the broker refused for its size, and of how many the dead letter too.
    refused: HashMap<Position, Refused>,
    /// The enriched form of the current message.
    out: Vec<u8>,
}

impl Session<'_> {
    fn run(&mut self, consumer: &RawConsumer, failures: &mut u32) -> Result<(), StageError> {
        let stage = self.stage;
        let timeout = stage.config.enrich.transaction_timeout();
        self.watchdog
            .watch("init_transactions", || self.producer.init_transactions(timeout))
            .map_err(|error| self.fatal("end the predecessor's transaction", error))?;
        consumer
            .subscribe(&[&stage.topics.scans, &stage.topics.run_progress])
            .map_err(|source| StageError::Kafka { step: "subscribe", source })?;
        let mut aborts = 0;
        let mut batch = Batch::default();
        while !stage.shutdown.is_cancelled() {
            self.collect(consumer, &mut batch)?;
            if batch.messages.is_empty() {
                continue;
            }
            let metadata = consumer.context().metadata().ok_or(StageError::NotAMember)?;
            match self.transact(&batch, &metadata) {
                Ok(()) => {
                    aborts = 0;
                    *failures = 0;
                }
                Err(Failure::Abort(step, error)) => {
                    aborts += 1;
                    tracing::warn!(step, %error, aborts, "transaction aborted; reading its batch again");
                    self.abort()?;
                    if aborts > ABORTS_MAX {
                        return Err(StageError::Kafka { step, source: error });
                    }
                    self.seek_back(consumer, &batch)?;
                }
                Err(Failure::Fatal(error)) => return Err(error),
            }
            batch.clear();
            if aborts > 0 {
                stage.pause(aborts);
            }
        }
        Ok(())
    }

    /// Polls until the batch is full or old enough, or the stage is to stop.
    fn collect<'c>(
        &self,
        consumer: &'c RawConsumer,
        batch: &mut Batch<'c>,
    ) -> Result<(), StageError> {
        let enrich = &self.stage.config.enrich;
        let mut epoch = consumer.context().epoch();
        while !self.stage.shutdown.is_cancelled()
            && batch.messages.len() < enrich.batch_messages_max
            && batch.bytes < enrich.batch_bytes_max
        {
            let wait = match batch.opened {
                None => IDLE,
                Some(opened) => match enrich.batch_age_max().checked_sub(opened.elapsed()) {
                    None => break,
                    Some(left) => left.min(IDLE),
                },
            };
            let polled = consumer.poll(wait);
            let now = consumer.context().epoch();
            if now != epoch {
                epoch = now;
                batch.clear();
            }
            match polled {
                None => {}
                Some(Ok(message)) => batch.push(message),
                Some(Err(source @ KafkaError::MessageConsumptionFatal(_))) => {
                    return Err(StageError::Kafka { step: "read", source });
                }
                // The client goes on by itself; what it cannot mend shows as lag and in this log.
                Some(Err(error)) => tracing::warn!(%error, "reading"),
            }
        }
        Ok(())
    }

    /// Transforms, produces and commits the batch, all of it or nothing.
    fn transact(
        &mut self,
        batch: &Batch<'_>,
        metadata: &ConsumerGroupMetadata,
    ) -> Result<(), Failure> {
        let began = Instant::now();
        self.transform = self.stage.transform();
        self.producer
            .begin_transaction()
            .map_err(|error| Failure::Fatal(self.fatal("begin a transaction", error)))?;
        let mut tally = Tally::default();
        for (at, message) in batch.messages.iter().enumerate() {
            self.process(at, message, &mut tally)?;
        }
        self.send_offsets(batch, metadata)?;
        self.flush(batch)?;
        self.commit()?;
        self.count(&tally, batch, began);
        Ok(())
    }

    /// Sends one message's enriched form, or its dead letter.
    fn process(
        &mut self,
        at: usize,
        message: &BorrowedMessage<'_>,
        tally: &mut Tally,
    ) -> Result<(), Failure> {
        let stage = self.stage;
        let source = stage.source(message.topic());
        let payload = message.payload().unwrap_or_default();
        let arrived = message.timestamp().to_millis().map(Timestamp);
        let began = Instant::now();
        let mut enriched = self.transform.apply(source, payload, arrived, &mut self.out);
        tally.transform += began.elapsed();
        let refused = self.refused.get(&(source, message.partition(), message.offset())).copied();
        if refused.is_some() && enriched.is_ok() {
            let text = format!("the broker takes no message of {} bytes", self.out.len());
            enriched = Err(Rejection { class: Class::TooLarge, text });
        }
        *tally.messages_in.entry(source).or_default() += 1;
        *tally.bytes_in.entry(source).or_default() += payload.len() as u64;
        match enriched {
            Ok(counts) => {
                *tally.messages_out.entry(source).or_default() += 1;
                *tally.bytes_out.entry(source).or_default() += self.out.len() as u64;
                tally.updates += counts.updates;
                tally.duplicates += counts.duplicates;
                let record = BaseRecord::with_opaque_to(stage.enriched_topic(source), at)
                    .partition(message.partition())
                    .payload(self.out.as_slice());
                self.send(record, message)
            }
            Err(rejection) => {
                let record = BaseRecord::with_opaque_to(&stage.topics.dead_letters, at)
                    .partition(message.partition() % self.dead_letter_partitions)
                    .headers(headers(message, &rejection));
                let record = match message.payload() {
                    Some(payload) if refused == Some(Refused::Letter) => record
                        .payload(payload.get(..dead_letter::BEGINNING_BYTES).unwrap_or(payload)),
                    Some(payload) => record.payload(payload),
                    None => record,
                };
                *tally.dead_letters.entry(rejection.class).or_default() += 1;
                tally.first_rejection.get_or_insert(rejection);
                self.send(record, message)
            }
        }
    }

    /// Produces `record` with the key and the timestamp of the `message` that it comes from.
    fn send<'r>(
        &self,
        mut record: BaseRecord<'r, [u8], [u8], usize>,
        message: &'r BorrowedMessage<'_>,
    ) -> Result<(), Failure> {
        record.key = message.key();
        record.timestamp = message.timestamp().to_millis();
        let deadline = Instant::now() + self.stage.config.enrich.transaction_timeout();
        loop {
            match self.producer.send(record) {
                Ok(()) => return Ok(()),
                Err((error, unsent)) if is_queue_full(&error) && Instant::now() < deadline => {
                    record = unsent;
                    self.producer.poll(Duration::from_millis(10));
                }
                Err((error, _)) => return Err(self.failure("produce", error)),
            }
        }
    }

    fn send_offsets(
        &self,
        batch: &Batch<'_>,
        metadata: &ConsumerGroupMetadata,
    ) -> Result<(), Failure> {
        let offsets = self
            .offsets(batch, |range| range.next)
            .map_err(|error| self.failure("list the offsets", error))?;
        let timeout = self.stage.config.enrich.transaction_timeout();
        let send = || self.producer.send_offsets_to_transaction(&offsets, metadata, timeout);
        self.watchdog
            .watch("send_offsets_to_transaction", send)
            .map_err(|error| self.failure("send the offsets", error))
    }

    /// Waits until every message is acknowledged.
    fn flush(&mut self, batch: &Batch<'_>) -> Result<(), Failure> {
        let timeout = self.stage.config.enrich.transaction_timeout();
        let flushed = self.watchdog.watch("flush", || self.deliver(timeout));
        if let Some((at, error)) = self.producer.context().take_failed() {
            if error.rdkafka_error_code() == Some(RDKafkaErrorCode::MessageSizeTooLarge)
                && let Some(message) = batch.messages.get(at)
            {
                self.note_refused(message);
            }
            return Err(self.failure("deliver", error));
        }
        flushed.map_err(|error| self.failure("flush", error))
    }

    /// Serves delivery reports until none is outstanding. The client's own `flush` looks again only after
    /// 100 ms, which was half of a transaction's time.
    fn deliver(&self, timeout: Duration) -> Result<(), KafkaError> {
        const SERVE: Duration = Duration::from_millis(2);
        let deadline = Instant::now() + timeout;
        loop {
            match self.producer.flush(Duration::ZERO) {
                Err(KafkaError::Flush(RDKafkaErrorCode::OperationTimedOut))
                    if Instant::now() < deadline =>
                {
                    self.producer.poll(SERVE);
                }
                ended => return ended,
            }
        }
    }

    /// Has the message dead-lettered when it is read again; if it was its letter that was refused, only
    /// the letter's beginning is written then. Compression decides what fits, and the message was perhaps
    /// compressed better where it came from.
    fn note_refused(&mut self, message: &BorrowedMessage<'_>) {
        let source = self.stage.source(message.topic());
        let at = (source, message.partition(), message.offset());
        let rejected = {
            let payload = message.payload().unwrap_or_default();
            let arrived = message.timestamp().to_millis().map(Timestamp);
            self.transform.apply(source, payload, arrived, &mut self.out).is_err()
        };
        let letter = rejected || self.refused.contains_key(&at);
        self.refused.insert(at, if letter { Refused::Letter } else { Refused::Enriched });
        tracing::warn!(
            topic = message.topic(),
            partition = message.partition(),
            offset = message.offset(),
            bytes = message.payload_len(),
            letter,
            "refused for its size"
        );
    }

    fn commit(&self) -> Result<(), Failure> {
        let timeout = self.stage.config.enrich.transaction_timeout();
        let commit = || self.producer.commit_transaction(timeout);
        self.retried("commit_transaction", commit).map_err(|error| match &error {
            KafkaError::Transaction(cause) if cause.txn_requires_abort() => {
                self.failure("commit", error)
            }
            // Whether it took effect is unknown. New clients find out by the committed offsets.
            _ => Failure::Fatal(self.fatal("commit", error)),
        })
    }

    /// Ends the transaction without effect, and forgets what became of its messages.
    fn abort(&self) -> Result<(), StageError> {
        self.stage.metrics.transactions.with_label_values(&[ABORTED]).inc();
        let timeout = self.stage.config.enrich.transaction_timeout();
        let ended = AtomicBool::new(false);
        // The abort waits for the messages that it purges until somebody has served their reports.
        let serve = || {
            while !ended.load(Ordering::Relaxed) {
                self.producer.poll(Duration::from_millis(20));
            }
        };
        let aborted = thread::scope(|scope| {
            thread::Builder::new()
                .name("deliveries".to_owned())
                .spawn_scoped(scope, serve)
                .map_err(StageError::Thread)?;
            let abort = || self.producer.abort_transaction(timeout);
            let aborted = self.retried("abort_transaction", abort);
            ended.store(true, Ordering::Relaxed);
            aborted.map_err(|error| self.fatal("abort", error))
        });
        aborted?;
        self.watchdog
            .watch("flush", || self.deliver(timeout))
            .map_err(|error| self.fatal("abort", error))?;
        self.producer.context().take_failed();
        Ok(())
    }

    /// Makes a call that takes up where it timed out.
    fn retried(
        &self,
        name: &'static str,
        call: impl Fn() -> Result<(), KafkaError>,
    ) -> Result<(), KafkaError> {
        const TRIES: u32 = 3;
        let mut tries = 1;
        loop {
            match self.watchdog.watch(name, &call) {
                Err(KafkaError::Transaction(error)) if error.is_retriable() && tries < TRIES => {
                    tries += 1;
                }
                ended => return ended,
            }
        }
    }

    /// Sets the consumer back to where the batch began.
    fn seek_back(&self, consumer: &RawConsumer, batch: &Batch<'_>) -> Result<(), StageError> {
        let step = "go back to the batch's first offsets";
        self.offsets(batch, |range| range.first)
            .and_then(|offsets| {
                let timeout = self.stage.config.enrich.transaction_timeout();
                self.watchdog.watch("seek", || consumer.seek_partitions(offsets, timeout))
            })
            .and_then(|sought| sought.elements().iter().try_for_each(|one| one.error()))
            .map_err(|source| StageError::Kafka { step, source })
    }

    fn offsets(
        &self,
        batch: &Batch<'_>,
        which: fn(&Range) -> i64,
    ) -> Result<TopicPartitionList, KafkaError> {
        let mut ranges: BTreeMap<(Source, i32), Range> = BTreeMap::new();
        for message in &batch.messages {
            let (source, offset) = (self.stage.source(message.topic()), message.offset());
            ranges
                .entry((source, message.partition()))
                .or_insert(Range { first: offset, next: offset })
                .next = offset + 1;
        }
        let mut list = TopicPartitionList::with_capacity(ranges.len());
        for ((source, partition), range) in &ranges {
            let topic = self.stage.raw_topic(*source);
            list.add_partition_offset(topic, *partition, Offset::Offset(which(range)))?;
        }
        Ok(list)
    }

    fn failure(&self, step: &'static str, error: KafkaError) -> Failure {
        let fatal = self.producer.client().fatal_error().is_some()
            || matches!(&error, KafkaError::Transaction(error) if error.is_fatal());
        if fatal { Failure::Fatal(self.fatal(step, error)) } else { Failure::Abort(step, error) }
    }

    fn fatal(&self, step: &'static str, source: KafkaError) -> StageError {
        let said = source.rdkafka_error_code();
        let cause = self.producer.client().fatal_error().map(|(code, _)| code);
        let fenced = |code| {
            matches!(
                code,
                RDKafkaErrorCode::Fenced
                    | RDKafkaErrorCode::ProducerFenced
                    | RDKafkaErrorCode::InvalidProducerEpoch
            )
        };
        if said.into_iter().chain(cause).any(fenced) {
            let instance_id = self.stage.config.enrich.instance_id.clone();
            return StageError::Fenced { instance_id, source };
        }
        StageError::Kafka { step, source }
    }

    fn count(&self, tally: &Tally, batch: &Batch<'_>, began: Instant) {
        let stage = self.stage;
        let metrics = &stage.metrics;
        for (source, count) in &tally.messages_in {
            metrics.messages_in.with_label_values(&[stage.raw_topic(*source)]).inc_by(*count);
        }
        for (source, count) in &tally.messages_out {
            metrics.messages_out.with_label_values(&[stage.enriched_topic(*source)]).inc_by(*count);
        }
        for (source, bytes) in &tally.bytes_in {
            metrics.bytes_in.with_label_values(&[stage.raw_topic(*source)]).inc_by(*bytes);
        }
        for (source, bytes) in &tally.bytes_out {
            metrics.bytes_out.with_label_values(&[stage.enriched_topic(*source)]).inc_by(*bytes);
        }
        for (class, count) in &tally.dead_letters {
            metrics.dead_letters.with_label_values(&[class.as_str()]).inc_by(*count);
        }
        if let Some(Rejection { class, text }) = &tally.first_rejection {
            let count: u64 = tally.dead_letters.values().sum();
            tracing::warn!(count, class = class.as_str(), text, "dead letters written");
        }
        metrics.updates.inc_by(tally.updates as u64);
        metrics.duplicates.inc_by(tally.duplicates as u64);
        metrics.transactions.with_label_values(&[COMMITTED]).inc();
        metrics.transaction_seconds.observe(began.elapsed().as_secs_f64());
        metrics.transform_seconds.observe(tally.transform.as_secs_f64());
        metrics.batch_messages.observe(batch.messages.len() as f64);
    }
}

/// Messages that go through one transaction.
#[derive(Default)]
struct Batch<'c> {
    messages: Vec<BorrowedMessage<'c>>,
    bytes: usize,
    opened: Option<Instant>,
}

impl<'c> Batch<'c> {
    fn push(&mut self, message: BorrowedMessage<'c>) {
        self.opened.get_or_insert_with(Instant::now);
        self.bytes += message.payload_len() + message.key_len();
        self.messages.push(message);
    }

    fn clear(&mut self) {
        self.messages.clear();
        self.bytes = 0;
        self.opened = None;
    }
}

/// Offsets of a batch in one partition.
struct Range {
    first: i64,
    next: i64,
}

/// What a transaction did; counted when it has committed.
#[derive(Default)]
struct Tally {
    messages_in: HashMap<Source, u64>,
    messages_out: HashMap<Source, u64>,
    bytes_in: HashMap<Source, u64>,
    bytes_out: HashMap<Source, u64>,
    dead_letters: BTreeMap<Class, u64>,
    first_rejection: Option<Rejection>,
    updates: usize,
    duplicates: usize,
    transform: Duration,
}

fn is_queue_full(error: &KafkaError) -> bool {
    error.rdkafka_error_code() == Some(RDKafkaErrorCode::QueueFull)
}

/// Where a rejected message comes from and what is wrong with it.
fn headers(message: &BorrowedMessage<'_>, rejection: &Rejection) -> OwnedHeaders {
    let partition = message.partition().to_string();
    let offset = message.offset().to_string();
    let bytes = message.payload_len().to_string();
    let text = &rejection.text;
    let text =
        text.get(..text.floor_char_boundary(dead_letter::ERROR_TEXT_BYTES_MAX)).unwrap_or_default();
    [
        (dead_letter::SOURCE_TOPIC, message.topic()),
        (dead_letter::SOURCE_PARTITION, &partition),
        (dead_letter::SOURCE_OFFSET, &offset),
        (dead_letter::STAGE, "enrich"),
        (dead_letter::ERROR_CLASS, rejection.class.as_str()),
        (dead_letter::ERROR_TEXT, text),
        (dead_letter::PAYLOAD_BYTES, &bytes),
    ]
    .into_iter()
    .fold(OwnedHeaders::new_with_capacity(7), |headers, (key, value)| {
        headers.insert(Header { key, value: Some(value) })
    })
}
