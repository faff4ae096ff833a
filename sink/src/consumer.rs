//! The thread that reads from Kafka and hands each partition's messages to its worker.
//!
//! A partition is taken up in the rebalance callback: what its group has committed, offset and
//! metadata, is fetched first, reading starts exactly there, and a [`Worker`] starts with the intent it
//! finds. It is given up in the same callback: its worker drains, bounded, and its tenure ends
//! before the partition goes to anybody else.
//!
//! Where there is no room, in a worker's queue or in the budget, the thread waits a little with the message
//! in hand: librdkafka's own queue is bounded, so waiting is all the backpressure that is needed. Only a
//! partition that stays full is paused, so that the others go on; pausing throws away what was fetched.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

use patchline_runtime::admin::Readiness;
use patchline_runtime::kafka::{KafkaConfig, MESSAGE_BYTES_MAX};
use patchline_runtime::statistics::{INTERVAL_MS, Meter};
use patchline_schemas::{Timestamp, Topics};
use rdkafka::bindings::rd_kafka_resp_err_t as RespErr;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::message::BorrowedMessage;
use rdkafka::{ClientContext, Message as _, Offset, Statistics, TopicPartitionList};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::batch::{Message, Source};
use crate::config::StageConfig;
use crate::intent::{Commit, PartitionLog, UnknownIntent};
use crate::partition::{Committer, Delivery, Shared, Tenure, Worker};

/// Messages that wait for a worker. The budget bounds their bytes; this only bounds a flood of tiny ones,
/// and is far above what a slow partition may hold back while the others go on.
const DELIVERIES_MAX: usize = 4096;

/// How long the thread waits for room before it pauses the partition. Well below any poll interval, and
/// long enough for an insert to end.
const PATIENCE: Duration = Duration::from_millis(500);

/// How long the broker may take to tell what is committed.
const COMMITTED_TIMEOUT: Duration = Duration::from_secs(10);

/// Pauses before a new client after a failure: the first, doubled each time, and the longest. A life
/// longer than that begins at the first again.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Reading cannot go on with this client.
#[derive(Debug, thiserror::Error)]
pub enum ConsumeError {
    /// The client does not take its settings.
    #[error("creating the consumer; check [kafka]")]
    Client(#[source] KafkaError),
    /// Kafka's client failed in a way that a new one may mend.
    #[error("{what}: {source}")]
    Kafka {
        /// What was being done.
        what: &'static str,
        /// The client's error.
        source: KafkaError,
    },
    /// The group's metadata is another version's.
    #[error("{topic}/{partition}: {source}")]
    Intent {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// What was found.
        source: UnknownIntent,
    },
    /// A worker ended though nobody told it to: a defect. Another process takes up where it stood.
    #[error("{topic}/{partition}: its worker ended; the log before this says why")]
    Worker {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
    },
}

impl ConsumeError {
    /// Trying again in this process is in vain.
    #[must_use]
    pub fn is_final(&self) -> bool {
        !matches!(self, Self::Kafka { .. })
    }
}

type SinkConsumer = BaseConsumer<Context>;
type Key = (String, i32);

/// A partition that this process has.
struct Held {
    deliveries: mpsc::Sender<Delivery>,
    drain: watch::Sender<bool>,
    tenure: Arc<Tenure>,
    worker: JoinHandle<()>,
    /// The message that found no room; while there is one the partition is paused.
    waiting: Option<Message>,
}

/// librdkafka's callbacks.
struct Context {
    sources: HashMap<String, Source>,
    shared: Arc<Shared>,
    runtime: Handle,
    held: Mutex<HashMap<Key, Held>>,
    failed: Mutex<Option<ConsumeError>>,
    consumer: OnceLock<Weak<SinkConsumer>>,
    readiness: Readiness,
    meter: Meter,
}

impl ClientContext for Context {
    fn stats(&self, statistics: Statistics) {
        self.meter.observe(&statistics);
        for (topic, state) in statistics.topics {
            let lags = state.partitions.values().map(|partition| partition.consumer_lag);
            let lag = lags.filter(|lag| *lag > 0).sum();
            self.shared.metrics.lag.with_label_values(&[&topic]).set(lag);
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::warn!(%error, reason, "kafka client");
    }
}

impl ConsumerContext for Context {
    fn rebalance(
        &self,
        consumer: &SinkConsumer,
        error: RespErr,
        partitions: &mut TopicPartitionList,
    ) {
        let counted = |kind: &str| {
            let count = partitions.count() as u64;
            self.shared.metrics.rebalances.with_label_values(&[kind]).inc_by(count);
        };
        let done = match error {
            RespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => {
                counted("assigned");
                match self.take_up(consumer, partitions) {
                    Ok(from) => consumer.incremental_assign(&from),
                    Err(failure) => {
                        self.fail(failure);
                        consumer.incremental_assign(&TopicPartitionList::new())
                    }
                }
            }
            _ => {
                let lost = consumer.assignment_lost();
                counted(if lost { "lost" } else { "revoked" });
                let keys = partitions.elements();
                let keys = keys.iter().map(|at| (at.topic().to_owned(), at.partition()));
                self.give_up(&keys.collect::<Vec<_>>(), !lost);
                consumer.incremental_unassign(partitions)
            }
        };
        if let Err(source) = done {
            self.fail(ConsumeError::Kafka { what: "changing the assignment", source });
        }
        let held = self.held().len();
        self.shared.metrics.partitions.set(i64::try_from(held).unwrap_or(i64::MAX));
        self.readiness.set("kafka", true);
    }
}

impl Context {
    fn held(&self) -> std::sync::MutexGuard<'_, HashMap<Key, Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fail(&self, error: ConsumeError) {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
    }

    fn take_failure(&self) -> Option<ConsumeError> {
        let failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner).take();
        failed.or_else(|| {
            let held = self.held();
            let ((topic, partition), _) =
                held.iter().find(|(_, held)| held.worker.is_finished())?;
            Some(ConsumeError::Worker { topic: topic.clone(), partition: *partition })
        })
    }

    /// Starts a worker for each partition. Returns where reading starts.
    fn take_up(
        &self,
        consumer: &SinkConsumer,
        partitions: &TopicPartitionList,
    ) -> Result<TopicPartitionList, ConsumeError> {
        let kafka = |what| move |source| ConsumeError::Kafka { what, source };
        let committed = consumer
            .committed_offsets(partitions.clone(), COMMITTED_TIMEOUT)
            .map_err(kafka("fetching committed offsets"))?;
        let mut from = TopicPartitionList::with_capacity(committed.count());
        for at in committed.elements() {
            at.error().map_err(kafka("fetching a committed offset"))?;
            let (topic, partition) = (at.topic().to_owned(), at.partition());
            let commit = match at.offset() {
                Offset::Offset(offset) => {
                    Some(Commit { offset, metadata: at.metadata().to_owned() })
                }
                _ => None,
            };
            let mut log = PartitionLog::assigned(commit.as_ref()).map_err(|source| {
                ConsumeError::Intent { topic: topic.clone(), partition, source }
            })?;
            let start = commit.as_ref().map_or(Offset::Beginning, |at| Offset::Offset(at.offset));
            from.add_partition_offset(&topic, partition, start)
                .map_err(kafka("setting a start offset"))?;
            if let Some(commit) = &commit {
                self.note_expired(consumer, &topic, partition, commit.offset, &mut log);
            }
            self.start(topic, partition, log);
        }
        Ok(from)
    }

    /// Retention may have deleted what was not read yet: nothing can bring it back, but it is said.
    fn note_expired(
        &self,
        consumer: &SinkConsumer,
        topic: &str,
        partition: i32,
        next: i64,
        log: &mut PartitionLog,
    ) {
        let Ok((low, _)) = consumer.fetch_watermarks(topic, partition, COMMITTED_TIMEOUT) else {
            return;
        };
        if let Ok(expired @ 1..) = u64::try_from(low - next) {
            self.shared.metrics.expired_offsets.inc_by(expired);
            log.expired(low);
            tracing::error!(
                topic,
                partition,
                expired,
                next,
                low,
                "kafka deleted messages before they were read: they are lost"
            );
        }
    }

    fn start(&self, topic: String, partition: i32, log: PartitionLog) {
        let (Some(source), Some(consumer)) =
            (self.sources.get(&topic), self.consumer.get().and_then(Weak::upgrade))
        else {
            return;
        };
        let (deliveries, received) = mpsc::channel(DELIVERIES_MAX);
        let (drain, drained) = watch::channel(false);
        let tenure = Arc::new(Tenure::default());
        tracing::info!(topic, partition, ?log, "partition taken up");
        let worker = Worker {
            source: *source,
            topic: topic.clone(),
            partition,
            log,
            deliveries: received,
            drain: drained,
            tenure: Arc::clone(&tenure),
            committer: Arc::new(GroupCommitter(Arc::downgrade(&consumer))),
            shared: Arc::clone(&self.shared),
        };
        let worker = self.runtime.spawn(worker.run());
        let held = Held { deliveries, drain, tenure, worker, waiting: None };
        self.held().insert((topic, partition), held);
    }

    /// Ends the tenure of each partition; before that, `drain`s its worker within the timeout.
    fn give_up(&self, keys: &[Key], drain: bool) {
        let mut given: Vec<Held> = keys.iter().filter_map(|key| self.held().remove(key)).collect();
        if drain {
            for held in &given {
                held.drain.send_replace(true);
            }
            let deadline = Instant::now() + self.shared.config.drain_timeout();
            for held in &mut given {
                let left = deadline.saturating_duration_since(Instant::now());
                let ended = self
                    .runtime
                    .block_on(async { tokio::time::timeout(left, &mut held.worker).await.is_ok() });
                if !ended {
                    tracing::warn!(
                        "a worker did not drain in time; its batch is announced and will be replayed"
                    );
                }
            }
        }
        for held in given {
            held.tenure.end();
            held.worker.abort();
        }
    }

    /// Gives the message to its worker; where there is no room it is kept and the partition pauses.
    fn deliver(&self, consumer: &SinkConsumer, message: &BorrowedMessage<'_>) {
        let key = (message.topic().to_owned(), message.partition());
        let mut held = self.held();
        let Some(held) = held.get_mut(&key) else { return };
        let message = Message {
            offset: message.offset(),
            timestamp: Timestamp(message.timestamp().to_millis().unwrap_or_default()),
            key: message.key().map(<[u8]>::to_vec),
            payload: message.payload().unwrap_or_default().to_vec(),
        };
        let room = async {
            // A partition with nothing under way is never held back: it may be the one whose
            // announced batch must be complete before anything can be given back.
            if self.shared.budget.is_spent() && held.deliveries.capacity() < DELIVERIES_MAX {
                self.shared.budget.room().await;
            }
            let _ = held.deliveries.reserve().await;
        };
        if self.runtime.block_on(async { tokio::time::timeout(PATIENCE, room).await }).is_ok() {
            self.hand_over(held, message);
        } else {
            held.waiting = Some(message);
            pause(consumer, &key, true);
        }
    }

    fn hand_over(&self, held: &mut Held, message: Message) {
        /// A message's own fields, beside its payload.
        const OVERHEAD: usize = 128;
        let charge = self.shared.budget.charge(message.payload.len() + OVERHEAD);
        match held.deliveries.try_send((message, charge)) {
            Ok(()) => {}
            Err(
                mpsc::error::TrySendError::Full((message, _))
                | mpsc::error::TrySendError::Closed((message, _)),
            ) => held.waiting = Some(message),
        }
    }

    /// Resumes the partitions whose workers have room again. Returns whether some still wait.
    fn resume(&self, consumer: &SinkConsumer) -> bool {
        let mut held = self.held();
        let mut waiting = 0;
        for (key, held) in held.iter_mut() {
            if held.waiting.is_none() {
                continue;
            }
            // A partition that has nothing under way may go on: it may be the one whose announced
            // batch must be complete before anything else can be given back.
            let idle = held.deliveries.capacity() == DELIVERIES_MAX;
            let room = held.deliveries.capacity() >= DELIVERIES_MAX / 2;
            if room
                && (idle || self.shared.budget.has_room())
                && let Some(message) = held.waiting.take()
            {
                self.hand_over(held, message);
            }
            if held.waiting.is_some() {
                waiting += 1;
            } else {
                pause(consumer, key, false);
            }
        }
        self.shared.metrics.paused.set(waiting);
        waiting > 0
    }
}

fn pause(consumer: &SinkConsumer, (topic, partition): &Key, pause: bool) {
    let mut list = TopicPartitionList::with_capacity(1);
    list.add_partition(topic, *partition);
    let done = if pause { consumer.pause(&list) } else { consumer.resume(&list) };
    if let Err(error) = done {
        tracing::warn!(topic, partition, pause, %error, "partition not paused or resumed");
    }
}

/// Commits through the consumer, as long as there is one.
struct GroupCommitter(Weak<SinkConsumer>);

impl Committer for GroupCommitter {
    fn commit(&self, topic: &str, partition: i32, commit: &Commit) -> Result<(), KafkaError> {
        let Some(consumer) = self.0.upgrade() else { return Err(KafkaError::Canceled) };
        let mut list = TopicPartitionList::with_capacity(1);
        list.add_partition_offset(topic, partition, Offset::Offset(commit.offset))?;
        if let Some(mut element) = list.find_partition(topic, partition) {
            element.set_metadata(&commit.metadata);
        }
        consumer.commit(&list, CommitMode::Sync)
    }
}

/// Reads until `shutdown` fires, then drains. Blocks; runs on a thread of its own.
///
/// # Errors
/// Only what trying again does not mend: see [`ConsumeError::is_final`]. Everything else is logged, and
/// reading begins anew with a new client.
pub fn consume(
    kafka: &KafkaConfig,
    shared: &Arc<Shared>,
    readiness: &Readiness,
    runtime: &Handle,
    shutdown: &CancellationToken,
) -> Result<(), ConsumeError> {
    let mut pause = FIRST_PAUSE;
    while !shutdown.is_cancelled() {
        readiness.set("kafka", false);
        let started = Instant::now();
        let Err(error) = session(kafka, shared, readiness.clone(), runtime.clone(), shutdown)
        else {
            break;
        };
        if error.is_final() {
            return Err(error);
        }
        if started.elapsed() > LONGEST_PAUSE {
            pause = FIRST_PAUSE;
        }
        let chain: &(dyn std::error::Error + 'static) = &error;
        tracing::warn!(error = chain, ?pause, "kafka failed; beginning anew");
        runtime.block_on(async {
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = tokio::time::sleep(pause) => {}
            }
        });
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
    Ok(())
}

/// One life of the client, from its creation to its end.
fn session(
    kafka: &KafkaConfig,
    shared: &Arc<Shared>,
    readiness: Readiness,
    runtime: Handle,
    shutdown: &CancellationToken,
) -> Result<(), ConsumeError> {
    let topics = Topics::new(&kafka.topic_prefix);
    let sources = Source::topics(&topics);
    let context = Context {
        sources: sources.iter().map(|(topic, source)| ((*topic).to_owned(), *source)).collect(),
        shared: Arc::clone(shared),
        runtime,
        held: Mutex::default(),
        failed: Mutex::default(),
        consumer: OnceLock::new(),
        readiness,
        meter: shared.statistics.meter("consumer"),
    };
    let consumer: Arc<SinkConsumer> = client(kafka, &shared.config)
        .create_with_context(context)
        .map(Arc::new)
        .map_err(ConsumeError::Client)?;
    let context = consumer.context();
    let _ = context.consumer.set(Arc::downgrade(&consumer));
    consumer
        .subscribe(&sources.map(|(topic, _)| topic))
        .map_err(|source| ConsumeError::Kafka { what: "subscribing", source })?;

    let ended = loop {
        if shutdown.is_cancelled() {
            break Ok(());
        }
        if let Some(failure) = context.take_failure() {
            break Err(failure);
        }
        let waiting = context.resume(&consumer);
        let patience = Duration::from_millis(if waiting { 5 } else { 100 });
        match consumer.poll(patience) {
            None => {}
            Some(Ok(message)) => context.deliver(&consumer, &message),
            Some(Err(error)) => {
                if let Some((code, reason)) = consumer.client().fatal_error() {
                    tracing::error!(%code, reason, "kafka client failed for good");
                    break Err(ConsumeError::Kafka { what: "reading", source: error });
                }
                tracing::warn!(%error, "reading from kafka");
            }
        }
    };
    let keys: Vec<Key> = context.held().keys().cloned().collect();
    context.give_up(&keys, true);
    ended
}

/// librdkafka's settings of the reader.
fn client(kafka: &KafkaConfig, config: &StageConfig) -> rdkafka::ClientConfig {
    let group = format!("{}.sink", kafka.topic_prefix);
    let session = config.session_timeout_ms.to_string();
    let heartbeat = (config.session_timeout_ms / 10).to_string();
    let poll_interval =
        (config.session_timeout_ms.max(60_000) + config.drain_timeout_ms).to_string();
    let message_max = (MESSAGE_BYTES_MAX + 64 * 1024).to_string();
    let fetch_max = (MESSAGE_BYTES_MAX + 1024 * 1024).to_string();
    let receive_max = (2 * MESSAGE_BYTES_MAX + 1024 * 1024).to_string();
    let mut client = kafka.client(
        "patchline-sink",
        &[
            ("group.id", &group),
            ("enable.auto.commit", "false"),
            ("auto.offset.reset", "earliest"),
            ("isolation.level", "read_committed"),
            ("partition.assignment.strategy", "cooperative-sticky"),
            ("session.timeout.ms", &session),
            ("heartbeat.interval.ms", &heartbeat),
            ("max.poll.interval.ms", &poll_interval),
            // What is fetched ahead counts towards memory and is thrown away by every pause.
            ("queued.max.messages.kbytes", "16384"),
            ("fetch.queue.backoff.ms", "20"),
            ("message.max.bytes", &message_max),
            ("fetch.max.bytes", &fetch_max),
            ("receive.message.max.bytes", &receive_max),
            ("statistics.interval.ms", INTERVAL_MS),
        ],
    );
    if let Some(instance) = &config.instance_id {
        client.set("group.instance.id", format!("{group}.{instance}"));
    }
    client
}
