//! Follows the catalog's topic: what is published counts within seconds, without a restart.
//!
//! What is guaranteed: the stage gets no catalog before it holds everything that the topic had when the
//! process started, unless that takes longer than `enrich.catalog_wait_ms`; it changes as a whole; its
//! version says how far in the topic it is, and two processes that are equally far have the same.
//!
//! Every process reads all partitions, from where its snapshot ends or from the beginning, in no consumer
//! group. A tombstone takes an entry away; nothing here writes one.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use patchline_runtime::kafka::KafkaConfig;
use patchline_schemas::{Codec, Timestamp};
use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Message};
use tokio::sync::{oneshot, watch};
use tokio_util::sync::CancellationToken;

use crate::advisories::topic::{Topic, TopicError, decode, is_same};
use crate::config::Config;
use crate::current::Current;
use crate::index::IndexBuilder;
use crate::metrics::Metrics;
use crate::snapshot::{self, Position};

/// How long a poll waits; a shutdown is noticed that late.
const IDLE: Duration = Duration::from_millis(100);

/// Changes are put to use when no more have come for so long,
const QUIET: Duration = Duration::from_millis(300);

/// or after so long, even if more are coming.
const USE_EVERY: Duration = Duration::from_secs(2);

/// Between two looks for the topic, and after a failure.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Between two looks whether the topic is still the same and has no more partitions.
const CHECK_EVERY: Duration = Duration::from_secs(10);

/// Bytes of changes after which a snapshot is written at once, so that they need not be kept.
const CHANGES_BYTES_MAX: usize = 64 * 1024 * 1024;

/// How far the catalog is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Progress {
    /// Kafka has not answered yet.
    Waiting,
    /// The topic is being read.
    Reading,
    /// Everything is in use that the topic had when the process started.
    CaughtUp,
}

/// Follows the topic on a thread of its own.
pub struct Follower {
    kafka: KafkaConfig,
    file: Option<PathBuf>,
    snapshot_interval: Duration,
    codec: Codec,
    current: Current,
    metrics: Metrics,
    progress: watch::Sender<Progress>,
    shutdown: CancellationToken,
    builder: IndexBuilder,
    position: Position,
    /// Not in `current` yet.
    unused: Unused,
    /// Not in the snapshot yet, by key.
    changes: HashMap<String, Option<Vec<u8>>>,
    changes_bytes: usize,
    saved: Saved,
}

/// Messages that are in the builder and not in the current catalog.
#[derive(Debug, Default)]
struct Unused {
    messages: u64,
    first: Option<Instant>,
    last: Option<Instant>,
}

/// The snapshot's state.
#[derive(Debug)]
struct Saved {
    at: Instant,
    /// Whether the file holds what precedes the changes.
    keep: bool,
    next: BTreeMap<i32, i64>,
}

impl Follower {
    /// A follower that puts its catalog into `current` until `shutdown` fires; the receiver hears how far
    /// it is.
    #[must_use]
    pub fn new(
        config: &Config,
        codec: Codec,
        current: Current,
        metrics: Metrics,
        shutdown: CancellationToken,
    ) -> (Self, watch::Receiver<Progress>) {
        let (progress, heard) = watch::channel(Progress::Waiting);
        let follower = Self {
            kafka: config.kafka.clone(),
            file: config.enrich.catalog_snapshot.clone(),
            snapshot_interval: config.enrich.catalog_snapshot_interval(),
            codec,
            current,
            builder: IndexBuilder::counting(metrics.memo.clone()),
            metrics,
            progress,
            shutdown,
            position: Position::default(),
            unused: Unused::default(),
            changes: HashMap::new(),
            changes_bytes: 0,
            saved: Saved { at: Instant::now(), keep: false, next: BTreeMap::new() },
        };
        (follower, heard)
    }

    /// Starts the thread. The receiver hears when it has ended, after shutdown.
    ///
    /// # Errors
    /// The system has no thread left.
    pub fn start(self) -> std::io::Result<oneshot::Receiver<()>> {
        let (ended, end) = oneshot::channel();
        thread::Builder::new().name("catalog".to_owned()).spawn(move || {
            self.run();
            // The receiver goes only when the process does.
            let _ = ended.send(());
        })?;
        Ok(end)
    }

    fn run(mut self) {
        self.load();
        let mut told_missing = false;
        while !self.shutdown.is_cancelled() {
            match self.session() {
                Ok(true) => {}
                Ok(false) => {
                    if !told_missing {
                        tracing::warn!(
                            topic =
                                patchline_schemas::Topics::new(&self.kafka.topic_prefix).advisories,
                            "no catalog: its topic does not exist; computers' own hints count \
                             (patchline-catalog import creates it)"
                        );
                        told_missing = true;
                    }
                    self.caught_up();
                    self.pause();
                }
                Err(error) => {
                    let error: &(dyn std::error::Error + 'static) = &error;
                    tracing::warn!(error, "cannot follow the catalog; trying again");
                    self.pause();
                }
            }
        }
        self.save();
    }

    /// Waits a little, or until shutdown.
    fn pause(&self) {
        let until = Instant::now() + LOOK_EVERY;
        while !self.shutdown.is_cancelled() && Instant::now() < until {
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn advance(&self, to: Progress) {
        self.progress.send_if_modified(|now| {
            let further = to > *now;
            *now = to.max(*now);
            further
        });
    }

    fn caught_up(&self) {
        self.advance(Progress::CaughtUp);
    }

    /// Takes up the snapshot, if there is a sound one.
    fn load(&mut self) {
        let Some(file) = self.file.clone() else { return };
        let began = Instant::now();
        let mut builder = IndexBuilder::counting(self.metrics.memo.clone());
        let mut unreadable = 0_u64;
        let read = snapshot::read(&file, |_, payload| {
            if decode(&self.codec, payload, |advisory| builder.upsert(advisory)).is_err() {
                unreadable += 1;
            }
        });
        match read {
            Ok(position) => {
                self.builder = builder;
                self.saved.keep = true;
                self.saved.next.clone_from(&position.next);
                self.position = position;
                self.metrics.catalog_unreadable.inc_by(unreadable);
                self.put_to_use();
                tracing::info!(
                    file = %file.display(),
                    advisories = self.builder.len(),
                    unreadable,
                    seconds = began.elapsed().as_secs_f64(),
                    "catalog taken from its snapshot"
                );
            }
            Err(error) if error.missing => {}
            Err(error) => {
                tracing::warn!(%error, "the catalog's snapshot is set aside; reading the whole topic");
                self.set_aside();
            }
        }
    }

    /// Moves the snapshot away, to be written anew.
    fn set_aside(&mut self) {
        self.saved.keep = false;
        if let Some(file) = &self.file
            && let Err(error) = snapshot::set_aside(file)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(%error, file = %file.display(), "cannot move it away");
        }
    }

    /// Follows the topic until something fails, its partitions change, or shutdown. `false`: it does not
    /// exist.
    fn session(&mut self) -> Result<bool, TopicError> {
        let Some(topic) = Topic::open(&self.kafka)? else {
            self.advance(Progress::Reading);
            return Ok(false);
        };
        self.advance(Progress::Reading);
        self.check_position(&topic);
        topic.begin(&self.position.next)?;
        // Until everything is read that was there at the beginning.
        let mut ahead: BTreeMap<i32, i64> = topic
            .bounds
            .iter()
            .filter(|(partition, (low, high))| {
                self.position.next.get(partition).unwrap_or(low) < high
            })
            .map(|(partition, (_, high))| (*partition, *high))
            .collect();
        // Where a topic's last messages were compacted away, or there are none, no message tells how far
        // it is read.
        for (partition, (_, high)) in &topic.bounds {
            if !ahead.contains_key(partition) {
                self.position.next.insert(*partition, *high);
            }
        }
        let mut checked = Instant::now();
        while !self.shutdown.is_cancelled() {
            match topic.consumer.poll(IDLE) {
                Some(Ok(message)) => {
                    self.apply(&message);
                    let (partition, next) = (message.partition(), message.offset() + 1);
                    if ahead.get(&partition).is_some_and(|end| next >= *end) {
                        ahead.remove(&partition);
                    }
                }
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    if let Some(end) = ahead.remove(&partition) {
                        let next = self.position.next.entry(partition).or_insert(end);
                        *next = end.max(*next);
                    }
                }
                Some(Err(KafkaError::MessageConsumptionFatal(code))) => {
                    let source = KafkaError::MessageConsumptionFatal(code);
                    return Err(TopicError::Kafka { action: "follow the catalog's topic", source });
                }
                // The client goes on by itself, in another topic of this name as well.
                Some(Err(error)) => tracing::warn!(%error, "reading the catalog"),
                None => {}
            }
            if ahead.is_empty() && *self.progress.borrow() != Progress::CaughtUp {
                self.put_to_use();
                self.caught_up();
                tracing::info!(
                    advisories = self.builder.len(),
                    version = self.current.get().version(),
                    "catalog caught up"
                );
            }
            if self.is_due(!ahead.is_empty()) {
                self.put_to_use();
            }
            if self.changes_bytes > CHANGES_BYTES_MAX
                || self.saved.at.elapsed() > self.snapshot_interval && ahead.is_empty()
            {
                self.save();
            }
            if checked.elapsed() > CHECK_EVERY {
                if !topic.is_as_opened() {
                    tracing::info!(topic = topic.name, "the catalog's topic is not as it was");
                    return Ok(true);
                }
                checked = Instant::now();
            }
        }
        Ok(true)
    }

    /// Forgets everything if the position is none of this topic.
    fn check_position(&mut self, topic: &Topic) {
        let cluster = topic.consumer.client().fetch_cluster_id(LOOK_EVERY).unwrap_or_default();
        let is_behind = |(partition, next): (&i32, &i64)| {
            topic.bounds.get(partition).is_some_and(|(_, high)| next <= high)
        };
        let known = !self.position.next.is_empty();
        let ours = (self.position.cluster == cluster || cluster.is_empty())
            && self.position.topic == topic.name
            && is_same(&self.position.topic_id, &topic.id)
            && self.position.next.iter().all(is_behind);
        if known && !ours {
            tracing::warn!(
                topic = topic.name,
                "what is known of the catalog is of another topic than this one; reading all of it"
            );
            self.builder = IndexBuilder::counting(self.metrics.memo.clone());
            self.changes.clear();
            self.changes_bytes = 0;
            self.set_aside();
        }
        if !known || !ours {
            self.position = Position {
                cluster,
                topic: topic.name.clone(),
                topic_id: topic.id.clone(),
                ..Position::default()
            };
        }
        if self.position.topic_id.is_empty() {
            self.position.topic_id.clone_from(&topic.id);
        }
    }

    fn apply(&mut self, message: &BorrowedMessage<'_>) {
        let (partition, next) = (message.partition(), message.offset() + 1);
        self.position.next.insert(partition, next);
        let at = message.timestamp().to_millis().unwrap_or_default();
        self.position.newest_ms = self.position.newest_ms.max(at);
        let key = message.key().and_then(|key| std::str::from_utf8(key).ok());
        let applied = match (key, message.payload()) {
            (None, _) => Err("its key is no text".to_owned()),
            (Some(key), None) => match key.split_once(':') {
                Some((source, id)) => {
                    self.builder.remove(source, id);
                    Ok(key)
                }
                None => Err("its key names no source".to_owned()),
            },
            (Some(key), Some(payload)) => {
                decode(&self.codec, payload, |advisory| self.builder.upsert(advisory))
                    .map(|()| key)
                    .map_err(|error| error.to_string())
            }
        };
        match applied {
            Ok(key) => {
                let now = Instant::now();
                self.unused.messages += 1;
                self.unused.first.get_or_insert(now);
                self.unused.last = Some(now);
                if self.file.is_some() {
                    let payload = message.payload().map(<[u8]>::to_vec);
                    let bytes = |key: &str, payload: &Option<Vec<u8>>| {
                        key.len() + payload.as_ref().map_or(0, Vec::len)
                    };
                    self.changes_bytes += bytes(key, &payload);
                    if let Some(former) = self.changes.insert(key.to_owned(), payload) {
                        self.changes_bytes -= bytes(key, &former);
                    }
                }
            }
            Err(problem) => {
                self.metrics.catalog_unreadable.inc();
                tracing::warn!(
                    topic = message.topic(),
                    partition,
                    offset = message.offset(),
                    problem,
                    "an entry of the catalog cannot be used"
                );
            }
        }
    }

    /// Whether the changes that have come should be put to use now. While the topic is read for the first
    /// time they wait: nobody is served by a part of it.
    fn is_due(&self, reading: bool) -> bool {
        let (Some(first), Some(last)) = (self.unused.first, self.unused.last) else { return false };
        let never = *self.progress.borrow() != Progress::CaughtUp;
        !(reading && never) && (last.elapsed() >= QUIET || first.elapsed() >= USE_EVERY)
    }

    /// Makes what is known the current catalog.
    fn put_to_use(&mut self) {
        self.unused = Unused::default();
        let version = self.version();
        if self.current.get().version() == version {
            return;
        }
        let began = Instant::now();
        let index = Arc::new(self.builder.build(&version));
        self.current.set(index);
        self.metrics.use_catalog(&version, self.builder.len());
        self.metrics.catalog_newest.set(self.position.newest_ms / 1000);
        tracing::debug!(version, seconds = began.elapsed().as_secs_f64(), "catalog in use");
    }

    fn version(&self) -> String {
        version(self.builder.len(), &self.position)
    }

    /// Writes the snapshot if anything has changed since the last one.
    fn save(&mut self) {
        self.saved.at = Instant::now();
        let Some(file) = &self.file else { return };
        // Before it is known to whom the position belongs, and when nothing has moved.
        if self.position.topic.is_empty() || self.position.next == self.saved.next {
            return;
        }
        let began = Instant::now();
        match snapshot::replace(file, self.saved.keep, &self.changes, &self.position) {
            Ok(()) => {
                let changes = self.changes.len();
                self.changes.clear();
                self.changes.shrink_to_fit();
                self.changes_bytes = 0;
                self.saved.keep = true;
                self.saved.next.clone_from(&self.position.next);
                let seconds = began.elapsed().as_secs_f64();
                tracing::info!(file = %file.display(), changes, seconds, "catalog's snapshot written");
            }
            Err(error) if self.changes_bytes > CHANGES_BYTES_MAX => {
                // Keeping more and more of them for a disk that is full would fill the memory. Without a
                // snapshot, the next start reads the whole topic.
                tracing::error!(%error, "the catalog is kept without a snapshot from now on");
                self.set_aside();
                self.file = None;
                self.changes = HashMap::new();
                self.changes_bytes = 0;
            }
            Err(error) => tracing::warn!(%error, "trying again later"),
        }
    }
}

/// Name of a catalog of so many advisories, read up to `position`: number of advisories, when the newest
/// was published, and the next offset of all partitions together: `1157@2026-11-21T14:03:05Z/1230`.
pub(crate) fn version(advisories: usize, position: &Position) -> String {
    let end: i64 = position.next.values().sum();
    if end == 0 {
        return "none".to_owned();
    }
    let newest = Timestamp(position.newest_ms / 1000 * 1000).to_string();
    let newest = newest.replace(".000", "");
    format!("{advisories}@{newest}/{end}")
}
