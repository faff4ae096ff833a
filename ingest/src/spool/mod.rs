//! Where reports wait, on the gateway's own disk, until the next hop has them.
//!
//! [`Spool::keep`] returns once the reports are written and synced: only then is a sender answered 2xx, and
//! from then on they survive a crash, a power cut and an outage of Kafka. They leave the spool when the
//! next hop has acknowledged them, and by no other exit.
//!
//! The way of a report: `keep` queues it, `writer` commits everything that is queued at once (one fsync for
//! all of it) into `store`, `crate::forward` reads it there, sends it onwards, and tells the writer to
//! forget it.
//!
//! Bounded in bytes: at `spool.quota_bytes` nothing more is taken, and nothing given up. A spool belongs
//! to one gateway: a lock on its directory sees to that.

mod config;
mod headroom;
mod metrics;
mod operator;
mod store;
mod writer;

use std::fs::{self, File, TryLockError};
use std::io;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;

use patchline_schemas::codec::Kind;
use patchline_schemas::{Timestamp, Topics};
use tokio::sync::{oneshot, watch};

use crate::Message;
pub use config::SpoolConfig;
pub use metrics::Metrics;
pub use operator::{Form, Found, Salvaged, export, inspect, salvage};
use store::Reader;
pub use store::{Arrivals, Spooled, StoreError};
use writer::{Command, Forget, Keep, Writer};

/// What a record is called in the spool and in metrics. It is on disk: never change one.
const RECORDS: [(Kind, &str); 7] = [
    (Kind::Scan, "scan"),
    (Kind::RunProgress, "run-progress"),
    (Kind::Heartbeat, "heartbeat"),
    (Kind::Event, "event"),
    (Kind::OfficeActivity, "office-activity"),
    (Kind::CustomLog, "custom-log"),
    (Kind::UpdateDeployment, "update-deployment"),
];

/// The name of a record that reports come in as; of another one there is none.
#[must_use]
pub fn record(kind: Kind) -> &'static str {
    RECORDS.iter().find(|(known, _)| *known == kind).map_or("none", |(_, name)| name)
}

/// The record of that name.
#[must_use]
pub fn kind(name: &str) -> Option<Kind> {
    RECORDS.iter().find(|(_, known)| *known == name).map(|(kind, _)| *kind)
}

/// The topic that a record goes to.
#[must_use]
pub fn topic(topics: &Topics, kind: Kind) -> &str {
    match kind {
        Kind::Scan | Kind::EnrichedScan => &topics.scans,
        Kind::RunProgress | Kind::EnrichedRunProgress => &topics.run_progress,
        Kind::Heartbeat => &topics.heartbeats,
        Kind::Event => &topics.events,
        Kind::OfficeActivity => &topics.office_activity,
        Kind::CustomLog => &topics.custom_logs,
        Kind::UpdateDeployment => &topics.update_deployments,
        Kind::Advisory => &topics.advisories,
    }
}

/// The spool cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The directory cannot be made or used.
    #[error("spool.directory = {directory} cannot be used: {source}")]
    Directory {
        /// As it is set.
        directory: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another gateway has it.
    #[error(
        "spool.directory = {directory} is in use by another gateway; give each gateway its own"
    )]
    InUse {
        /// As it is set.
        directory: PathBuf,
    },
    /// The file in it cannot be used.
    #[error("the spool {file} cannot be opened")]
    File {
        /// Which.
        file: PathBuf,
        /// Why.
        source: StoreError,
    },
}

/// Reports were not kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SpoolError {
    /// There is no room for them.
    #[error("the gateway's spool is full (spool.quota_bytes = {quota}); send it again later")]
    Full {
        /// The quota.
        quota: u64,
    },
    /// There never will be.
    #[error("the reports have {bytes} bytes, the gateway's spool takes {quota}; send less at once")]
    TooLarge {
        /// Their size.
        bytes: usize,
        /// The quota.
        quota: u64,
    },
    /// The disk does not take them.
    #[error("the gateway's spool cannot be written ({why}); send it again later")]
    Unwritable {
        /// What the disk says.
        why: String,
    },
    /// The gateway is stopping.
    #[error("the gateway is stopping; send it again later")]
    Closed,
}

/// Whether reports can be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// They can.
    Good,
    /// Some still can.
    NearlyFull,
    /// The disk does not take them, and says why.
    Unwritable(String),
}

/// The spool. Cheap to clone; all clones share one file.
#[derive(Clone)]
pub struct Spool(Arc<Shared>, mpsc::Sender<Command>);

/// What the writer shares with everybody.
pub(super) struct Shared {
    config: SpoolConfig,
    metrics: Metrics,
    /// Which file this is; another one after the first was set aside.
    generation: AtomicU64,
    /// Bytes of reports in the file.
    bytes: AtomicU64,
    /// Number of the next report.
    next: AtomicI64,
    /// Number of the newest report on disk.
    newest: watch::Sender<i64>,
    /// Nothing waits.
    empty: watch::Sender<bool>,
    health: watch::Sender<Health>,
    reader: Mutex<Option<(u64, Reader)>>,
    writer: Mutex<Option<JoinHandle<()>>>,
    /// Held while the spool is open.
    _lock: File,
}

impl Shared {
    fn file(&self) -> PathBuf {
        self.config.file()
    }

    fn set_health(&self, health: Health) {
        self.metrics.writable.set(i64::from(health == Health::Good));
        self.health.send_if_modified(|known| {
            let changed = *known != health;
            *known = health;
            changed
        });
    }
}

impl Spool {
    /// Opens the spool, or makes it. Blocks.
    ///
    /// # Errors
    /// Another gateway has it, or its directory or its file cannot be used. A damaged file is no error:
    /// it is set aside.
    pub fn open(config: SpoolConfig, metrics: Metrics) -> Result<Self, OpenError> {
        let directory = config.directory.clone();
        let unusable = |source| OpenError::Directory { directory: directory.clone(), source };
        fs::create_dir_all(&directory).map_err(unusable)?;
        let lock = File::create(directory.join("lock")).map_err(unusable)?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => OpenError::InUse { directory: directory.clone() },
            TryLockError::Error(source) => unusable(source),
        })?;
        metrics.quota_bytes.set(i64::try_from(config.quota_bytes).unwrap_or(i64::MAX));
        let shared = Arc::new(Shared {
            config,
            metrics,
            generation: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            next: AtomicI64::new(0),
            newest: watch::Sender::new(0),
            empty: watch::Sender::new(true),
            health: watch::Sender::new(Health::Good),
            reader: Mutex::new(None),
            writer: Mutex::new(None),
            _lock: lock,
        });
        let (sender, queue) = mpsc::channel();
        let writer = Writer::open(Arc::clone(&shared), queue)
            .map_err(|source| OpenError::File { file: shared.file(), source })?;
        let thread = std::thread::Builder::new()
            .name("spool".to_owned())
            .spawn(move || writer.run())
            .map_err(unusable)?;
        *shared.writer.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread);
        Ok(Self(shared, sender))
    }

    /// Keeps `messages`, all or none. On disk, synced, when this returns. `held` is dropped then, or when
    /// they are refused.
    ///
    /// # Errors
    /// They are not kept: there is no room for them, or the disk does not take them.
    pub async fn keep(
        &self,
        kind: Kind,
        messages: Vec<Message>,
        arrived: Timestamp,
        held: impl Send + 'static,
    ) -> Result<(), SpoolError> {
        self.keep_all(vec![Arrivals { kind, arrived, messages }], held).await
    }

    /// Keeps reports of several kinds, or that came in at several times, as [`Self::keep`] does.
    ///
    /// # Errors
    /// See there.
    pub async fn keep_all(
        &self,
        arrivals: Vec<Arrivals>,
        held: impl Send + 'static,
    ) -> Result<(), SpoolError> {
        let messages = || arrivals.iter().flat_map(|of| &of.messages);
        if messages().next().is_none() {
            return Ok(());
        }
        let bytes = messages().map(store::bytes).sum();
        let quota = self.0.config.quota_bytes;
        if bytes as u64 > quota {
            return Err(SpoolError::TooLarge { bytes, quota });
        }
        let (answer, answered) = oneshot::channel();
        let keep = Keep { arrivals, bytes, answer, held: Box::new(held) };
        self.1.send(Command::Keep(keep)).map_err(|_| SpoolError::Closed)?;
        answered.await.map_err(|_| SpoolError::Closed)?
    }

    /// Whether it is worth reading a request.
    ///
    /// # Errors
    /// [`SpoolError::Full`] or [`SpoolError::Unwritable`], while that is known.
    pub fn ready(&self) -> Result<(), SpoolError> {
        let quota = self.0.config.quota_bytes;
        if self.0.bytes.load(Ordering::Acquire) >= quota {
            return Err(SpoolError::Full { quota });
        }
        match &*self.0.health.borrow() {
            Health::Unwritable(why) => Err(SpoolError::Unwritable { why: why.clone() }),
            Health::Good | Health::NearlyFull => Ok(()),
        }
    }

    /// Whether reports can be kept. The receiver sees every change.
    #[must_use]
    pub fn health(&self) -> watch::Receiver<Health> {
        self.0.health.subscribe()
    }

    /// The number of the newest report that is on disk.
    #[must_use]
    pub fn newest(&self) -> watch::Receiver<i64> {
        self.0.newest.subscribe()
    }

    /// Whether nothing waits. The receiver sees every change.
    #[must_use]
    pub fn empty(&self) -> watch::Receiver<bool> {
        self.0.empty.subscribe()
    }

    /// Bytes of reports that wait.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.0.bytes.load(Ordering::Acquire)
    }

    /// The settings.
    #[must_use]
    pub fn config(&self) -> &SpoolConfig {
        &self.0.config
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    /// The reports in `range`, oldest first, until they have `bytes_max`; at least one, if there is one.
    /// Blocks.
    ///
    /// # Errors
    /// The file cannot be read. A damaged one will have been set aside soon.
    pub fn read(
        &self,
        range: &RangeInclusive<i64>,
        bytes_max: usize,
    ) -> Result<Vec<Spooled>, StoreError> {
        self.reading(|reader| reader.read(range, bytes_max))
    }

    /// When the oldest report came in; `None` if none waits. Blocks.
    ///
    /// # Errors
    /// See [`Self::read`].
    pub fn oldest(&self) -> Result<Option<Timestamp>, StoreError> {
        self.reading(Reader::oldest)
    }

    fn reading<T>(
        &self,
        ask: impl FnOnce(&Reader) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let generation = self.0.generation.load(Ordering::Acquire);
        let mut place = self.0.reader.lock().unwrap_or_else(PoisonError::into_inner);
        // A file that was set aside would be read on under its new name.
        let reader = match place.take() {
            Some((known, reader)) if known == generation => reader,
            _ => Reader::open(&self.0.file())?,
        };
        let answer = ask(&reader);
        match &answer {
            Err(error) if error.is_damage() => {
                let why = error.to_string();
                let _ = self.1.send(Command::Damaged { generation, why });
            }
            Err(_) => {}
            Ok(_) => *place = Some((generation, reader)),
        }
        answer
    }

    /// The next hop has the reports in `gone`, of `bytes` together.
    pub fn forget(&self, gone: Vec<RangeInclusive<i64>>, bytes: usize) {
        // A writer that has ended leaves them to be sent again.
        let _ = self.1.send(Command::Forget(Forget { gone, bytes }));
    }

    /// Returns when everything forgotten before is off the disk, or cannot be taken off it now.
    pub async fn settled(&self) {
        let (answer, answered) = oneshot::channel();
        if self.1.send(Command::Settle(answer)).is_ok() {
            let _ = answered.await;
        }
    }

    /// Writes what was handed over, and closes the file. Blocks.
    pub fn close(&self) {
        let _ = self.1.send(Command::Close);
        let writer = self.0.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(writer) = writer
            && writer.join().is_err()
        {
            tracing::error!(
                "the spool's writer ended by a defect; what it answered for is on disk"
            );
        }
    }
}

#[cfg(test)]
mod tests;
