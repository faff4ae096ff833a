//! The spool's one writer: everything that waits is written in one transaction, synced once, and only
//! then is anybody answered.
//!
//! What the next hop has acknowledged is deleted in the same transactions, or in one of its own when no
//! report comes for a moment. Where the disk is full or fails, everybody is told to come again, the headroom is
//! given up so that deletions go on, and the writer tries by itself until there is room again. A damaged file is set aside and a
//! fresh one begun; the reports at hand go into that one.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use patchline_schemas::Timestamp;
use tokio::sync::oneshot;

use super::headroom::Headroom;
use super::store::{self, Arrivals, Store, StoreError, Totals};
use super::{Health, Shared, SpoolError};

/// How long deletions wait for a report to share a commit with.
const DELETE_WITHIN: Duration = Duration::from_millis(50);

/// Bytes of reports that one transaction deletes, so that arrivals do not wait for a long one.
const DELETE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// How often a disk that takes nothing is tried, and how long is idle.
const TRY_EVERY: Duration = Duration::from_secs(1);

/// Pages given back to the disk at a time: 8 MiB.
const SHRINK_PAGES: i64 = 1024;

/// Per cent of the quota from which on the gateway says that it is not ready, so that senders go elsewhere.
const NEARLY_PERCENT: u64 = 95;

/// What the writer is told.
pub(super) enum Command {
    /// Write the reports of a request, then answer.
    Keep(Keep),
    /// The next hop has these.
    Forget(Forget),
    /// Answer when everything told before is on disk.
    Settle(oneshot::Sender<()>),
    /// A reader found this file damaged.
    Damaged { generation: u64, why: String },
    /// Write what was told before, and end.
    Close,
}

/// A request's reports.
pub(super) struct Keep {
    pub(super) arrivals: Vec<Arrivals>,
    pub(super) bytes: usize,
    pub(super) answer: oneshot::Sender<Result<(), SpoolError>>,
    /// The memory that they take, reserved until they are on disk.
    pub(super) held: Box<dyn Send>,
}

/// What can be deleted, and the bytes that it is about.
#[derive(Clone)]
pub(super) struct Forget {
    pub(super) gone: Vec<RangeInclusive<i64>>,
    pub(super) bytes: usize,
}

/// Why nothing can be written at the moment.
struct Trouble {
    why: String,
    tried: Instant,
}

pub(super) struct Writer {
    shared: Arc<Shared>,
    queue: Receiver<Command>,
    store: Option<Store>,
    headroom: Headroom,
    trouble: Option<Trouble>,
    keeps: Vec<Keep>,
    forgets: VecDeque<Forget>,
    /// Since when the first of `forgets` waits.
    forgets_since: Instant,
    settles: Vec<oneshot::Sender<()>>,
    closing: bool,
}

impl Writer {
    /// A writer to the spool's directory, whose lock the caller holds. Sets a damaged file aside.
    ///
    /// # Errors
    /// The file cannot be used for another reason.
    pub(super) fn open(shared: Arc<Shared>, queue: Receiver<Command>) -> Result<Self, StoreError> {
        let config = &shared.config;
        let headroom = Headroom::new(config.directory.join("headroom"), config.headroom_bytes);
        let store = match shared.open_store() {
            Err(error) if error.is_disk() => {
                // Even a database at rest needs some room to be opened.
                headroom.release();
                shared.open_store()
            }
            opened => opened,
        };
        let store = match store {
            Err(error) if error.is_damage() => {
                shared.set_aside(&error.to_string())?;
                shared.open_store()
            }
            opened => opened,
        }?;
        let mut writer = Self {
            store: Some(store),
            headroom,
            trouble: None,
            keeps: Vec::new(),
            forgets: VecDeque::new(),
            forgets_since: Instant::now(),
            settles: Vec::new(),
            closing: false,
            queue,
            shared,
        };
        writer.note(false);
        if let Err(error) = writer.headroom.hold() {
            writer.in_trouble(&format!("cannot reserve spool.headroom_bytes: {error}"));
        }
        Ok(writer)
    }

    /// Works until it is told to close.
    pub(super) fn run(mut self) {
        while !self.closing {
            self.collect();
            match self.trouble {
                None => self.write(),
                Some(_) => self.recover(),
            }
        }
        self.write();
        if let Some(store) = &self.store
            && let Err(error) = store.checkpoint(true)
        {
            tracing::debug!(%error, "the spool's log stays");
        }
    }

    /// Waits for something to do, and takes all of it that one commit may have.
    fn collect(&mut self) {
        let mut bytes = 0;
        let wait = if self.forgets.is_empty() || self.trouble.is_some() {
            TRY_EVERY
        } else {
            DELETE_WITHIN.saturating_sub(self.forgets_since.elapsed())
        };
        let mut next = match self.queue.recv_timeout(wait) {
            Ok(command) => Some(command),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => Some(Command::Close),
        };
        while let Some(command) = next {
            bytes += self.take(command);
            if bytes >= self.shared.config.group_bytes_max || self.closing {
                break;
            }
            next = self.queue.try_recv().ok();
        }
    }

    /// Puts a command where it is worked on. Says how many bytes it brought.
    fn take(&mut self, command: Command) -> usize {
        match command {
            Command::Keep(keep) => {
                let bytes = keep.bytes;
                self.keeps.push(keep);
                return bytes;
            }
            Command::Forget(forget) => {
                if self.forgets.is_empty() {
                    self.forgets_since = Instant::now();
                }
                self.forgets.push_back(forget);
            }
            Command::Settle(answer) => self.settles.push(answer),
            Command::Damaged { generation, why } => {
                if generation == self.shared.generation.load(Ordering::Acquire) {
                    self.begin_anew(&why);
                }
            }
            Command::Close => self.closing = true,
        }
        0
    }

    /// One commit, or nothing if there is nothing to write.
    fn write(&mut self) {
        self.refuse_what_does_not_fit();
        let due = self.closing
            || !self.settles.is_empty()
            || self.forgets_since.elapsed() >= DELETE_WITHIN;
        if self.keeps.is_empty() && (self.forgets.is_empty() || !due) {
            return self.rest();
        }
        loop {
            let (gone, forgotten) = self.gone();
            let started = Instant::now();
            let Some(store) = &mut self.store else { return };
            match store.apply(self.keeps.iter().flat_map(|keep| &keep.arrivals), &gone) {
                Ok(()) => {
                    self.shared.metrics.commit_seconds.observe(started.elapsed().as_secs_f64());
                    self.forgets.drain(..forgotten);
                    self.forgets_since = Instant::now();
                    self.committed();
                    break;
                }
                Err(error) if error.is_damage() => {
                    self.begin_anew(&error.to_string());
                    if self.trouble.is_some() {
                        break;
                    }
                }
                Err(error) => {
                    self.in_trouble(&error.to_string());
                    break;
                }
            }
        }
        if self.closing && self.trouble.is_none() && !self.forgets.is_empty() {
            self.write();
        }
    }

    /// What one transaction deletes, and how many of the forgets that is.
    fn gone(&self) -> (Vec<RangeInclusive<i64>>, usize) {
        let (mut gone, mut bytes, mut count) = (Vec::new(), 0, 0);
        for forget in &self.forgets {
            if bytes >= DELETE_BYTES_MAX {
                break;
            }
            gone.extend(forget.gone.iter().cloned());
            bytes += forget.bytes;
            count += 1;
        }
        (gone, count)
    }

    /// Answers those whose reports would go over the quota.
    fn refuse_what_does_not_fit(&mut self) {
        let quota = self.shared.config.quota_bytes;
        let mut bytes = u64::try_from(self.totals().bytes).unwrap_or(0);
        let fitting = |keep: &mut Keep| {
            let with = bytes.saturating_add(keep.bytes as u64);
            let fits = with <= quota;
            if fits {
                bytes = with;
            }
            !fits
        };
        for keep in self.keeps.extract_if(.., fitting) {
            let _ = keep.answer.send(Err(SpoolError::Full { quota }));
        }
    }

    /// Tells everybody that it is on disk.
    fn committed(&mut self) {
        let metrics = &self.shared.metrics;
        metrics.commits.inc();
        let arrivals = self.keeps.iter().flat_map(|keep| &keep.arrivals);
        let reports: usize = arrivals.map(|of| of.messages.len()).sum();
        if reports > 0 {
            metrics.group_reports.observe(f64::from(u32::try_from(reports).unwrap_or(u32::MAX)));
        }
        // Who has an answer finds its reports counted.
        self.note(reports > 0);
        for Keep { answer, held, .. } in self.keeps.drain(..) {
            drop(held);
            // Who has gone meanwhile will send it again; it is the same report.
            let _ = answer.send(Ok(()));
        }
        if self.forgets.is_empty() {
            for answer in self.settles.drain(..) {
                let _ = answer.send(());
            }
        }
        self.checkpoint();
    }

    /// Moves a long log into the file, now that nobody waits for an answer.
    fn checkpoint(&mut self) {
        let log = fs::metadata(store::log_of(&self.shared.file())).map_or(0, |log| log.len());
        let Some(store) = &self.store else { return };
        if log < store::LOG_BYTES {
            return;
        }
        match store.checkpoint(false) {
            Ok(()) => {}
            Err(error) if error.is_damage() => self.begin_anew(&error.to_string()),
            Err(error) => self.in_trouble(&error.to_string()),
        }
    }

    /// There is nothing to write: room that nothing uses goes back to the disk.
    fn rest(&mut self) {
        for answer in self.settles.drain(..) {
            let _ = answer.send(());
        }
        let Some(store) = &self.store else { return };
        if store.totals.reports > 0 {
            return;
        }
        let file = fs::metadata(self.shared.file()).map_or(0, |file| file.len());
        if file < store::LOG_BYTES {
            return;
        }
        if let Err(error) = store.shrink(SHRINK_PAGES).and_then(|_| store.checkpoint(true)) {
            tracing::debug!(%error, "the spool's file stays as large as it is");
        }
    }

    /// Nothing can be written: says so to all, until [`Self::recover`] succeeds.
    fn in_trouble(&mut self, why: &str) {
        tracing::error!(why, directory = %self.shared.config.directory.display(), "the spool takes no reports");
        self.headroom.release();
        self.trouble = Some(Trouble { why: why.to_owned(), tried: Instant::now() });
        self.shared.set_health(Health::Unwritable(why.to_owned()));
        self.refuse_all();
    }

    fn refuse_all(&mut self) {
        let why = self.trouble.as_ref().map(|trouble| trouble.why.clone()).unwrap_or_default();
        for keep in self.keeps.drain(..) {
            let _ = keep.answer.send(Err(SpoolError::Unwritable { why: why.clone() }));
        }
        for answer in self.settles.drain(..) {
            let _ = answer.send(());
        }
    }

    /// Tries whether there is room again.
    fn recover(&mut self) {
        self.refuse_all();
        let Some(trouble) = &mut self.trouble else { return };
        if trouble.tried.elapsed() < TRY_EVERY && !self.closing {
            return;
        }
        trouble.tried = Instant::now();
        if let Err(error) = self.try_again() {
            self.headroom.release();
            tracing::debug!(%error, "the spool still takes no reports");
        } else {
            tracing::info!("the spool takes reports again");
            self.trouble = None;
            self.note(false);
        }
    }

    fn try_again(&mut self) -> Result<(), String> {
        // A file that failed is opened anew: what SQLite still holds of it may not be what is on disk.
        self.store = None;
        let store = match self.shared.open_store() {
            Err(error) if error.is_damage() => {
                self.shared.set_aside(&error.to_string()).map_err(|error| error.to_string())?;
                self.shared.open_store()
            }
            opened => opened,
        };
        let mut store = store.map_err(|error| error.to_string())?;
        // With the headroom given up, deletions may succeed where nothing else does.
        let (gone, forgotten) = self.gone();
        let deleted = store.apply(std::iter::empty(), &gone);
        if deleted.is_ok() {
            self.forgets.drain(..forgotten);
            let _ = store.shrink(SHRINK_PAGES);
            let _ = store.checkpoint(true);
        }
        self.store = Some(store);
        self.note(false);
        deleted.map_err(|error| error.to_string())?;
        self.headroom.hold_with_as_much_left().map_err(|error| error.to_string())
    }

    /// Sets the file aside and begins a fresh one.
    fn begin_anew(&mut self, why: &str) {
        self.store = None;
        // Its reports are in the other file now.
        self.forgets.clear();
        match self.shared.set_aside(why).and_then(|()| self.shared.open_store()) {
            Ok(store) => {
                self.store = Some(store);
                self.note(false);
            }
            Err(error) => self.in_trouble(&error.to_string()),
        }
    }

    fn totals(&self) -> Totals {
        self.store.as_ref().map(|store| store.totals).unwrap_or_default()
    }

    /// Shows what the spool holds; `grown`: the forwarder has something to do.
    fn note(&self, grown: bool) {
        let totals = self.totals();
        let shared = &self.shared;
        shared.metrics.bytes.set(totals.bytes);
        shared.metrics.reports.set(totals.reports);
        let bytes = u64::try_from(totals.bytes).unwrap_or(0);
        shared.bytes.store(bytes, Ordering::Release);
        shared.next.store(totals.next, Ordering::Release);
        if self.trouble.is_none() {
            let nearly_full = bytes >= shared.config.quota_bytes / 100 * NEARLY_PERCENT;
            shared.set_health(if nearly_full { Health::NearlyFull } else { Health::Good });
        }
        shared.empty.send_if_modified(|empty| {
            std::mem::replace(empty, totals.reports == 0) != (totals.reports == 0)
        });
        if grown || *shared.newest.borrow() != totals.next - 1 {
            shared.newest.send_replace(totals.next - 1);
        }
    }
}

impl Shared {
    fn open_store(&self) -> Result<Store, StoreError> {
        // The milliseconds since 1970, times 2^20: above every number there was, since no spool takes a
        // million reports a millisecond.
        let first = (Timestamp::now().0 << 20).max(self.next.load(Ordering::Acquire));
        let store = Store::open(&self.file(), first, self.config.check_timeout())?;
        sync(&self.config.directory)?;
        Ok(store)
    }

    /// Renames the file and its log, so that they can be looked at and replayed.
    fn set_aside(&self, why: &str) -> Result<(), StoreError> {
        let file = self.file();
        let mut aside = file.clone().into_os_string();
        aside.push(format!(".corrupt-{}", Timestamp::now().0));
        let aside = PathBuf::from(aside);
        tracing::error!(
            why, file = %file.display(), aside = %aside.display(),
            "the spool's file is damaged and set aside; `patchline-gateway spool replay` sends what can be read"
        );
        self.metrics.corrupt_files.inc();
        // The log first: alone under the old name, it would be deleted as that of a new file.
        rename(&store::log_of(&file), &store::log_of(&aside))?;
        rename(&file, &aside)?;
        let mut index = file.into_os_string();
        index.push("-shm");
        let _ = fs::remove_file(index);
        sync(&self.config.directory)?;
        self.generation.fetch_add(1, Ordering::AcqRel);
        Ok(())
    }
}

fn rename(from: &Path, to: &Path) -> Result<(), StoreError> {
    match fs::rename(from, to) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

/// Makes names in `directory` durable.
fn sync(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}
