//! Late knowledge: an advisory that arrives after a computer's scan changes that computer's rows.
//!
//! What is guaranteed: once a change of the catalog is applied, every row of every computer's newest scan
//! has the verdict that its scan would get now, or a newer one; and its summary counts it. A row is never
//! there twice or without a verdict meanwhile, and a verdict of a newer catalog is never overwritten by
//! one of an older. Whatever is killed at any point: starting again completes it.
//!
//! The way of a change: `feed` reads it, [`names`] says which rows it can concern, `store` reads those of
//! each computer's newest scan, `rows` judges them again by the code that judges a scan on its way, and
//! `store` changes those that differ. Then `progress` is kept.
//!
//! A scan that is on its way meanwhile, judged by the older catalog and stored after the change was
//! applied, is found by the offset that it was stored from and by the catalog version that stands on it,
//! and is judged again as a whole. That is exact: a partition's scans are stored in their order, so what
//! is above the highest offset that was there before the rows were read may be late, and nothing else.

pub mod config;
mod feed;
mod filter;
pub mod metrics;
pub mod names;
mod progress;
mod rows;
mod store;

use std::sync::Arc;
use std::time::{Duration, Instant};

use patchline_runtime::admin::Readiness;
use patchline_schemas::{Codec, Timestamp};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

pub use config::Config;
pub use metrics::Metrics;
pub use progress::ProgressError;
pub use store::StoreError;

use crate::advisories::topic::TopicError;
use feed::Feed;
use filter::{Chunk, Filter};
use names::Concern;
use progress::{Keeper, Progress};
use rows::{Changes, SummaryChanges};
use store::{Knowledge, Tables};

/// Between two attempts after a failure, and between two looks for the topic.
const PAUSE: Duration = Duration::from_secs(2);

/// Name of the need in `/readyz`.
const READY: &str = "catalog";

/// Offsets are committed again after so long although nothing has changed, so that Kafka keeps them.
const KEEP_EVERY: Duration = Duration::from_secs(3600);

/// Reclassification cannot go on for now.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The catalog cannot be read.
    #[error(transparent)]
    Topic(#[from] TopicError),
    /// ClickHouse refuses, or does not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Kafka does not keep the progress.
    #[error(transparent)]
    Progress(#[from] ProgressError),
}

/// What came of a pass over rows.
#[derive(Debug, Default)]
struct Outcome {
    judged: u64,
    rows: usize,
    verdicts: usize,
    summaries: usize,
}

/// The service.
pub struct Reclassifier {
    config: Config,
    tables: Tables,
    codec: Arc<Codec>,
    metrics: Metrics,
    readiness: Readiness,
    shutdown: CancellationToken,
}

impl Reclassifier {
    /// One that works until `shutdown` fires; nothing is asked yet.
    #[must_use]
    pub fn new(
        config: Config,
        codec: Codec,
        metrics: Metrics,
        readiness: Readiness,
        shutdown: CancellationToken,
    ) -> Self {
        readiness.set(READY, false);
        let tables = Tables::new(&config.clickhouse, config.reclassify.statement_timeout());
        Self { config, tables, codec: Arc::new(codec), metrics, readiness, shutdown }
    }

    /// Works until shutdown. Blocks; statements run on `handle`. What fails is tried again.
    pub fn run(self, handle: &Handle) {
        let mut told_missing = false;
        while !self.shutdown.is_cancelled() {
            match self.session(handle) {
                Ok(true) => told_missing = false,
                Ok(false) => {
                    if !told_missing {
                        tracing::info!("no catalog: its topic does not exist; nothing to apply");
                        told_missing = true;
                    }
                    self.readiness.set(READY, true);
                    self.pause();
                }
                Err(error) => self.failed(&error),
            }
        }
    }

    fn failed(&self, error: &Error) {
        if self.shutdown.is_cancelled() {
            return;
        }
        self.metrics.errors.inc();
        self.metrics.last_error.set(Timestamp::now().0 / 1000);
        let error: &(dyn std::error::Error + 'static) = error;
        tracing::warn!(error, "changes of the catalog wait; trying again");
        self.pause();
    }

    /// Waits a little, or until shutdown.
    fn pause(&self) {
        let until = Instant::now() + PAUSE;
        while !self.shutdown.is_cancelled() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Follows the topic until something of Kafka fails, its partitions change, or shutdown. `false`: it
    /// does not exist.
    fn session(&self, handle: &Handle) -> Result<bool, Error> {
        let keeper = Keeper::new(&self.config.kafka)?;
        let mut progress = keeper.load()?;
        let kafka = &self.config.kafka;
        let (codec, metrics) = (Arc::clone(&self.codec), self.metrics.clone());
        let Some(mut feed) = Feed::open(kafka, codec, metrics, progress.catalog.clone())? else {
            return Ok(false);
        };
        let (mut looked, mut kept) = (None::<Instant>, Instant::now());
        while !self.shutdown.is_cancelled() {
            if !feed.poll()? {
                tracing::info!("the catalog's topic is not as it was; reading it anew");
                return Ok(true);
            }
            let config = &self.config.reclassify;
            let is_time = looked.is_none_or(|at| at.elapsed() >= config.late_scans_interval());
            let is_due = feed.is_due(config.quiet(), config.wait_max());
            if !(is_due || is_time && feed.is_complete()) {
                continue;
            }
            let stop = self.shutdown.clone();
            let step = handle.block_on(async {
                tokio::select! {
                    () = stop.cancelled() => None,
                    applied = self.step(&mut feed, &progress) => Some(applied),
                }
            });
            looked = Some(Instant::now());
            match step {
                // What was under way is done again at the next start.
                None => break,
                Some(Err(error)) => self.failed(&error),
                Some(Ok(applied)) => {
                    if applied != progress || kept.elapsed() > KEEP_EVERY {
                        keeper.save(&applied)?;
                        kept = Instant::now();
                    }
                    progress = applied;
                    self.readiness.set(READY, true);
                }
            }
        }
        Ok(true)
    }

    /// Applies what the catalog has new, and judges late scans. Returns how far that is.
    async fn step(&self, feed: &mut Feed, progress: &Progress) -> Result<Progress, Error> {
        let began = Instant::now();
        // Before any row is read: what is stored later may be late.
        let stored = self.tables.stored().await?;
        let (change, changed) = (feed.change.clone(), feed.changed);
        // Before the index is borrowed for as long as the pass takes.
        let filter = if change.is_empty() {
            None
        } else if change.everything {
            Some(Filter::All)
        } else {
            let concern = Concern::new(&change, &feed.known);
            Some(self.tables.names(&concern, &change.packages, change.modules).await?)
        };
        let next = feed.next();
        let (index, knowledge) = feed.knowledge();
        if knowledge.position > 0 {
            let mut late = Vec::new();
            if progress.catalog.is_some() {
                late = self.tables.late(&progress.scans, &knowledge).await?;
            }
            if !late.is_empty() {
                let scans = late.len();
                let outcome = self.pass(&Filter::Computers(late), index, &knowledge).await?;
                self.metrics.late_scans.inc_by(scans as u64);
                tracing::info!(scans, rows = outcome.rows, "judged late scans again");
            }
            if let Some(filter) = filter {
                let outcome = self.pass(&filter, index, &knowledge).await?;
                let seconds = began.elapsed().as_secs_f64();
                self.metrics.advisories.inc_by(changed.messages);
                self.metrics.pass_seconds.observe(seconds);
                if let Some(published) = changed.published {
                    #[allow(
                        clippy::cast_precision_loss,
                        reason = "a delay in ms fits a float well"
                    )]
                    let delay = (Timestamp::now().0 - published).max(0) as f64 / 1000.0;
                    self.metrics.delay_seconds.observe(delay);
                }
                tracing::info!(
                    advisories = changed.messages,
                    everything = change.everything,
                    judged = outcome.judged,
                    rows = outcome.rows,
                    verdicts = outcome.verdicts,
                    summaries = outcome.summaries,
                    seconds,
                    version = knowledge.version,
                    "catalog applied"
                );
            }
        }
        self.metrics.applied(&knowledge.version);
        feed.applied();
        Ok(Progress { catalog: Some(next), scans: stored })
    }

    /// Judges the rows of `filter` by `index`, and changes those that have another verdict.
    async fn pass(
        &self,
        filter: &Filter,
        index: &crate::index::Index,
        knowledge: &Knowledge,
    ) -> Result<Outcome, Error> {
        let mut outcome = Outcome::default();
        if filter.is_empty() {
            return Ok(outcome);
        }
        let mut changes = Changes::default();
        // Read, but their summaries are not counted anew yet. A statement rewrites whole parts of a table,
        // whatever it changes there, so as much as possible goes into one.
        let mut read: Vec<Chunk> = Vec::new();
        for chunk in self.tables.chunks(filter).await? {
            outcome.judged += chunk.rows;
            self.metrics.judged.inc_by(chunk.rows);
            let mut rows = self.tables.rows(&chunk, filter, knowledge).await?;
            loop {
                let computer = rows.next_computer().await?;
                if computer.is_empty() {
                    break;
                }
                changes.judge(&computer, index);
                if changes.is_full() {
                    self.change(std::mem::take(&mut changes), knowledge, &mut outcome).await?;
                }
            }
            read.push(chunk);
        }
        self.change(changes, knowledge, &mut outcome).await?;
        self.correct_summaries(&read, filter, knowledge, &mut outcome).await?;
        Ok(outcome)
    }

    async fn change(
        &self,
        changes: Changes,
        knowledge: &Knowledge,
        outcome: &mut Outcome,
    ) -> Result<(), Error> {
        self.tables.apply(&changes, knowledge).await?;
        outcome.rows += changes.rows.len();
        outcome.verdicts += changes.verdicts.len();
        self.metrics.rows.inc_by(changes.rows.len() as u64);
        self.metrics.verdicts.inc_by(changes.verdicts.len() as u64);
        Ok(())
    }

    /// Counts anew what the computers of `chunks` miss. Also where no row was changed just now: a pass that
    /// was interrupted may have changed them and not come so far.
    async fn correct_summaries(
        &self,
        chunks: &[Chunk],
        filter: &Filter,
        knowledge: &Knowledge,
        outcome: &mut Outcome,
    ) -> Result<(), Error> {
        let mut changes = SummaryChanges::default();
        for chunk in chunks {
            for summary in self.tables.summaries(chunk, filter, knowledge).await? {
                changes.judge(chunk, &summary);
            }
            let is_last = chunks.last() == Some(chunk);
            if is_last || changes.is_full() {
                let changes = std::mem::take(&mut changes);
                self.tables.apply_summaries(&changes, knowledge).await?;
                outcome.summaries += changes.rows.len();
                self.metrics.summaries.inc_by(changes.rows.len() as u64);
            }
        }
        Ok(())
    }
}
