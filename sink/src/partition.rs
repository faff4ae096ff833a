//! One partition's way from messages to rows: the driver of its [`PartitionLog`].
//!
//! [`Worker::run`] reads as the stage: collect a batch, announce it, insert it, go on. Everything
//! that may fail is repeated until it succeeds or the partition is gone; nothing is skipped.

use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::try_join_all;
use patchline_runtime::statistics::KafkaStatistics;
use patchline_schemas::{Codec, Timestamp};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::time::Instant;

use crate::batch::{Batch, Block, Message, Source};
use crate::budget::{Budget, Charge};
use crate::config::StageConfig;
use crate::dead_letters::DeadLetters;
use crate::intent::{Commit, Offer, PartitionLog, Range, Step, token};
use crate::metrics::{EVENT_DELAY_MAX_SECONDS, Metrics, NO_CODE};
use crate::store::{Store, StoreError};

/// How the worker's commits reach Kafka.
pub trait Committer: Send + Sync + 'static {
    /// Commits `commit` for the partition and waits for the broker's answer. Blocks.
    ///
    /// # Errors
    /// The broker has not taken it.
    fn commit(&self, topic: &str, partition: i32, commit: &Commit) -> Result<(), KafkaError>;
}

/// Whether this process still has the partition. Commits are made under its lock, so that whoever
/// takes the partition away ([`Tenure::end`]) knows that none is under way and none will follow:
/// the broker would take it, since it checks the member and not who owns the partition.
#[derive(Debug, Default)]
pub struct Tenure(Mutex<bool>);

impl Tenure {
    /// Ends it, after a commit that is under way.
    pub fn end(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
    }

    fn has_ended(&self) -> bool {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `commit` unless the tenure has ended; `None` if it has.
    fn hold<T>(&self, commit: impl FnOnce() -> T) -> Option<T> {
        let ended = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if *ended { None } else { Some(commit()) }
    }
}

/// What all workers share.
pub struct Shared {
    /// Settings of the stage.
    pub config: StageConfig,
    /// Decoder of the records.
    pub codec: Codec,
    /// ClickHouse.
    pub store: Store,
    /// Where rejects go.
    pub dead_letters: DeadLetters,
    /// Metrics.
    pub metrics: Metrics,
    /// What the Kafka clients say of themselves.
    pub statistics: KafkaStatistics,
    /// Bytes held.
    pub budget: Budget,
    /// One permit a batch that is being inserted, or collected again: such a batch is announced and
    /// cannot be given up for want of memory, so only so many may be under way.
    pub inserts: Arc<Semaphore>,
}

/// A message on its way to its worker, with the bytes it takes.
pub type Delivery = (Message, Charge);

/// The driver of one partition.
pub struct Worker<C> {
    /// What the topic carries.
    pub source: Source,
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// Where it stands.
    pub log: PartitionLog,
    /// Its messages, in order.
    pub deliveries: mpsc::Receiver<Delivery>,
    /// Turns true when the worker should finish what it has and end.
    pub drain: watch::Receiver<bool>,
    /// Whether the partition is still ours.
    pub tenure: Arc<Tenure>,
    /// How offsets are committed.
    pub committer: Arc<C>,
    /// What all workers share.
    pub shared: Arc<Shared>,
}

/// The partition is no longer ours, or we are to give it up.
struct Gone;

/// An open batch, with what it costs and when it is due.
struct Open {
    batch: Batch,
    charge: Charge,
    messages: u64,
    arrived: Option<Timestamp>,
    bytes: u64,
    due: Option<Instant>,
}

impl<C: Committer> Worker<C> {
    /// Works until the partition is gone or drained.
    pub async fn run(mut self) {
        if let Err(Gone) = self.work().await {
            tracing::debug!(topic = %self.topic, partition = self.partition, "partition given up");
        }
    }

    async fn work(&mut self) -> Result<(), Gone> {
        let mut ahead = None;
        let mut permit = None;
        let mut open = self.open();
        loop {
            match self.log.step() {
                Step::Collect => {
                    if self.log.is_replaying() && permit.is_none() {
                        permit = Some(self.permit().await?);
                        self.shared.metrics.replays.inc();
                        tracing::info!(topic = %self.topic, partition = self.partition, log = ?self.log,
                            "collecting an announced batch again");
                    }
                    if self.collect(&mut open, &mut ahead).await.is_none() {
                        return Ok(());
                    }
                }
                Step::Commit(commit) => {
                    if !commit.metadata.is_empty() && permit.is_none() {
                        permit = Some(self.permit().await?);
                    }
                    self.commit(commit).await?;
                    self.log.committed();
                    open.due = None;
                }
                Step::Insert { range, maybe_stored } => {
                    let batch = std::mem::replace(&mut open, self.open());
                    self.insert(range, maybe_stored, batch).await?;
                    self.log.inserted();
                    permit = None;
                    // Nothing may follow for long: then the batch is confirmed by itself.
                    open.due = Some(Instant::now() + self.shared.config.batch_age_max());
                }
            }
        }
    }

    fn open(&self) -> Open {
        Open {
            batch: Batch::new(self.source, self.partition),
            charge: self.shared.budget.charge(0),
            messages: 0,
            arrived: None,
            bytes: 0,
            due: None,
        }
    }

    async fn permit(&mut self) -> Result<OwnedSemaphorePermit, Gone> {
        let permit = Arc::clone(&self.shared.inserts).acquire_owned();
        let ended = self.drain.wait_for(|drain| *drain);
        tokio::select! {
            permit = permit => permit.map_err(|_| Gone),
            // Nothing is announced yet that is not announced already: leave it to the next owner.
            _ = ended => Err(Gone),
        }
    }

    /// Takes one message, or closes the batch when it is due. `None`: drained, nothing is left.
    async fn collect(&mut self, open: &mut Open, ahead: &mut Option<Delivery>) -> Option<()> {
        let delivery = match ahead.take() {
            Some(delivery) => delivery,
            None => {
                let due = open.due.unwrap_or_else(|| Instant::now() + Duration::from_secs(3600));
                tokio::select! {
                    biased;
                    _ = self.drain.wait_for(|drain| *drain) => {
                        if self.log.is_replaying() {
                            return None;
                        }
                        self.log.close();
                        return (self.log.step() != Step::Collect).then_some(());
                    }
                    delivery = self.deliveries.recv() => delivery?,
                    () = tokio::time::sleep_until(due), if open.due.is_some() && !self.log.is_replaying() => {
                        self.log.close();
                        open.due = None;
                        return Some(());
                    }
                }
            }
        };
        match self.log.offer(delivery.0.offset) {
            Offer::Behind => {}
            Offer::Ahead => *ahead = Some(delivery),
            Offer::Taken => {
                let (message, charge) = delivery;
                if open.messages == 0 {
                    open.due = Some(Instant::now() + self.shared.config.batch_age_max());
                    open.arrived = Some(message.timestamp);
                }
                open.messages += 1;
                open.bytes += message.payload.len() as u64;
                open.batch.push(&self.shared.codec, message);
                open.charge.set(open.batch.bytes());
                drop(charge);
                let config = &self.shared.config;
                let full = open.batch.rows() >= config.batch_rows_max
                    || open.batch.bytes() >= config.batch_bytes_max;
                if full && !self.log.is_replaying() {
                    self.log.close();
                }
            }
        }
        Some(())
    }

    /// Commits, again and again until it succeeds.
    async fn commit(&mut self, commit: Commit) -> Result<(), Gone> {
        let mut backoff = Backoff::new();
        loop {
            let started = Instant::now();
            let task = {
                let (tenure, committer) = (Arc::clone(&self.tenure), Arc::clone(&self.committer));
                let (topic, partition, commit) =
                    (self.topic.clone(), self.partition, commit.clone());
                move || tenure.hold(|| committer.commit(&topic, partition, &commit))
            };
            match tokio::task::spawn_blocking(task).await {
                Ok(Some(Ok(()))) => {
                    self.shared.metrics.commit_seconds.observe(started.elapsed().as_secs_f64());
                    return Ok(());
                }
                Ok(Some(Err(error))) => {
                    let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Unknown);
                    self.shared.metrics.commit_errors.with_label_values(&[&code.to_string()]).inc();
                    tracing::warn!(topic = %self.topic, partition = self.partition, ?commit, %error,
                        "offset commit failed, repeating it");
                }
                Ok(None) | Err(_) => return Err(Gone),
            }
            self.pause(&mut backoff).await?;
        }
    }

    /// Stores the batch `range`: its rejects as dead letters, its rows in every table.
    async fn insert(&mut self, range: Range, replay: bool, open: Open) -> Result<(), Gone> {
        let Open { batch, charge, messages, arrived, bytes, .. } = open;
        let generated = batch.first_generated();
        for reject in batch.rejects() {
            let mut backoff = Backoff::new();
            while let Err(error) =
                self.shared.dead_letters.write(&self.topic, self.partition, reject).await
            {
                tracing::warn!(topic = %self.topic, partition = self.partition, %error,
                    offset = reject.message.offset, "dead letter not written, repeating it");
                self.pause(&mut backoff).await?;
            }
            self.shared.metrics.dead_letters.with_label_values(&[reject.class]).inc();
            tracing::warn!(topic = %self.topic, partition = self.partition, class = reject.class,
                offset = reject.message.offset, reason = %reject.text, "message dead-lettered");
        }
        let waves = batch.waves();
        drop(batch);
        for wave in &waves {
            try_join_all(wave.iter().map(|block| self.insert_block(range, block, replay))).await?;
        }
        drop(charge);
        let metrics = &self.shared.metrics;
        metrics.batches.with_label_values(&[&self.topic]).inc();
        metrics.messages.with_label_values(&[&self.topic]).inc_by(messages);
        metrics.message_bytes.with_label_values(&[&self.topic]).inc_by(bytes);
        if let Some(arrived) = arrived {
            metrics.delay_seconds.observe(seconds_since(arrived));
        }
        if let Some(generated) = generated {
            let delay = seconds_since(generated).min(EVENT_DELAY_MAX_SECONDS);
            metrics.event_delay_seconds.observe(delay);
        }
        Ok(())
    }

    /// Inserts a block, again and again until it succeeds.
    async fn insert_block(
        &self,
        range: Range,
        block: &Block,
        mut maybe_stored: bool,
    ) -> Result<(), Gone> {
        let metrics = &self.shared.metrics;
        let mut backoff = Backoff::new();
        while let Err(error) = self.try_insert(range, block, maybe_stored).await {
            // Whatever failed, the rows may be there: only the same token may follow.
            maybe_stored = true;
            let code = error.code().map_or_else(|| NO_CODE.to_owned(), |code| code.to_string());
            metrics.insert_errors.with_label_values(&[&code]).inc();
            if error.needs_a_human() {
                tracing::error!(topic = %self.topic, partition = self.partition, %range, %error,
                    "insert refused: the partition stands still until this is mended; if a table or a \
                     column is missing, run `patchline-sink migrate`");
            } else {
                tracing::warn!(topic = %self.topic, partition = self.partition, %range, %error,
                    "insert failed, repeating it");
            }
            self.pause(&mut backoff).await?;
        }
        metrics.rows.with_label_values(&[block.table]).inc_by(block.rows as u64);
        metrics.bytes.with_label_values(&[block.table]).inc_by(block.data.len() as u64);
        Ok(())
    }

    async fn try_insert(
        &self,
        range: Range,
        block: &Block,
        maybe_stored: bool,
    ) -> Result<(), StoreError> {
        let Shared { store, metrics, .. } = &*self.shared;
        let started = Instant::now();
        store.insert(block, &token(&self.topic, self.partition, range, block.table)).await?;
        metrics
            .insert_seconds
            .with_label_values(&[block.table])
            .observe(started.elapsed().as_secs_f64());
        if maybe_stored {
            let stored = store.stored_messages(block.table, self.partition, range).await?;
            if stored < block.least_stored_messages() {
                tracing::warn!(topic = %self.topic, partition = self.partition, %range, stored,
                    table = block.table, expected = block.messages,
                    "ClickHouse knows the token and not the rows, inserting them without it");
                metrics.repairs.with_label_values(&[block.table]).inc();
                store.insert_again(block).await?;
            }
        }
        Ok(())
    }

    /// Waits a while before a repetition, less when the partition is taken away meanwhile.
    async fn pause(&self, backoff: &mut Backoff) -> Result<(), Gone> {
        let mut wait = pin!(tokio::time::sleep(backoff.next()));
        loop {
            if self.tenure.has_ended() {
                return Err(Gone);
            }
            // The tenure ends under a lock, not a notification: look again now and then.
            tokio::select! {
                () = &mut wait => return Ok(()),
                () = tokio::time::sleep(Duration::from_millis(100)) => {}
            }
        }
    }
}

/// From `then` to now, at least 0.
#[allow(clippy::cast_precision_loss, reason = "a delay in ms fits a float well")]
fn seconds_since(then: Timestamp) -> f64 {
    Timestamp::now().0.saturating_sub(then.0).max(0) as f64 / 1000.0
}

/// Growing pauses between repetitions.
struct Backoff(Duration);

impl Backoff {
    fn new() -> Self {
        Self(Duration::from_millis(50))
    }

    fn next(&mut self) -> Duration {
        let wait = self.0;
        self.0 = (self.0 * 2).min(Duration::from_secs(5));
        wait
    }
}
