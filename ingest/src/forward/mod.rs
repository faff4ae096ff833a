//! Empties the spool: sends what waits to the next hop, oldest first, and forgets it only once the next hop
//! has acknowledged it.
//!
//! After an outage there are two lanes. What had waited until the next hop was back is the backlog: it is replayed
//! oldest first at `spool.replay_bytes_per_s`, and stands back while the live lane cannot keep up. What comes
//! in from then on is live and does not queue behind it. In between outages everything is live, and one
//! computer's reports keep their order; a computer's replayed reports come after its live ones.
//!
//! What fails is sent again, after a pause, and with it what followed it under the same key, so that the last
//! copies are in order. Copies are collapsed downstream by report id: delivery is at least once. A report that its
//! topic will never take becomes a dead letter and holds up nobody.

pub(crate) mod frames;
mod next_hop;
mod pace;
mod replay;
mod upstream;

use std::collections::{HashSet, VecDeque};
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use patchline_schemas::Timestamp;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::spool::{Spool, Spooled};
pub use next_hop::{Fate, NextHop};
use pace::{Backoff, Pace};
pub use replay::replay;
pub use upstream::{Upstream, UpstreamConfig};

/// What has waited is no backlog below this many batches: the live lane has sent it before two lanes begin.
const BACKLOG_BATCHES_MIN: u64 = 2;

/// Of the bytes that may be replayed in a second, the part that is sent at a time: live reports wait
/// behind little.
const REPLAY_PARTS: u64 = 16;

/// How long the backlog stands back, at most, for a live lane that cannot keep up.
const STAND_BACK: Duration = Duration::from_secs(1);

/// How often the age of the oldest report is looked up.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The forwarder.
pub struct Forwarder {
    spool: Spool,
    next_hop: NextHop,
    /// Number of the last report that the live lane has handed on.
    live: AtomicI64,
    /// The live lane has more than one batch before it.
    behind: AtomicBool,
}

/// A part of the spool that is worked through in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lane {
    Live,
    Backlog,
}

impl Lane {
    fn name(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Backlog => "backlog",
        }
    }
}

impl Forwarder {
    /// A forwarder from `spool` to `next_hop`.
    #[must_use]
    pub fn new(spool: Spool, next_hop: NextHop) -> Self {
        Self { spool, next_hop, live: AtomicI64::new(0), behind: AtomicBool::new(false) }
    }

    /// Works until `shutdown` fires and the batches at hand have their answers. Needs tokio's
    /// multi-threaded runtime.
    pub async fn run(&self, shutdown: &CancellationToken) {
        tokio::join!(self.work(shutdown), self.watch(shutdown));
    }

    /// From outage to outage.
    async fn work(&self, shutdown: &CancellationToken) {
        let mut health = self.next_hop.health();
        while !shutdown.is_cancelled() {
            self.next_hop_is_up(false);
            tokio::select! {
                () = shutdown.cancelled() => return,
                found = health.wait_for(Option::is_none) => if found.is_err() { return },
            }
            // What was acknowledged before must be off the disk, or it would be read again.
            self.spool.settled().await;
            let newest = *self.spool.newest().borrow();
            let batch = self.spool.config().batch_bytes_max as u64;
            let has_backlog = self.spool.bytes() > BACKLOG_BATCHES_MIN * batch;
            let backlog = if has_backlog { newest } else { 0 };
            self.live.store(backlog, Ordering::Release);
            self.next_hop_is_up(true);

            let outage = shutdown.child_token();
            tokio::select! {
                () = async { tokio::join!(self.replay(backlog, &outage), self.follow(&outage)); } => {}
                () = async {
                    let _ = health.wait_for(Option::is_some).await;
                    outage.cancel();
                    // The lanes end by themselves, with what they have in flight.
                    std::future::pending::<()>().await;
                } => {}
            }
        }
    }

    fn next_hop_is_up(&self, up: bool) {
        self.spool.metrics().next_hop_up.set(i64::from(up));
    }

    /// The live lane: what comes in, as it comes in.
    async fn follow(&self, outage: &CancellationToken) {
        let mut newest = self.spool.newest();
        let bytes_max = self.spool.config().batch_bytes_max;
        loop {
            let after = self.live.load(Ordering::Acquire);
            tokio::select! {
                () = outage.cancelled() => return,
                grown = newest.wait_for(|newest| *newest > after) => if grown.is_err() { return },
            }
            let until = *newest.borrow();
            let Some(batch) = self.read(after + 1..=until, bytes_max, outage).await else { return };
            let full = batch.iter().map(Spooled::bytes).sum::<usize>() >= bytes_max;
            self.behind.store(full, Ordering::Release);
            let last = batch.last().map_or(until, |last| last.seq);
            if !self.deliver(Lane::Live, batch, outage).await {
                return;
            }
            self.live.store(last, Ordering::Release);
        }
    }

    /// The backlog: everything up to `last`, not faster than it may be.
    async fn replay(&self, last: i64, outage: &CancellationToken) {
        let config = self.spool.config();
        let part = usize::try_from(config.replay_bytes_per_s / REPLAY_PARTS).unwrap_or(usize::MAX);
        let bytes_max = part.clamp(1, config.batch_bytes_max);
        let mut pace = Pace::new(config.replay_bytes_per_s);
        let mut after = 0;
        if last > 0 {
            tracing::info!(bytes = self.spool.bytes(), "replaying what has waited");
        }
        while after < last {
            let Some(batch) = self.read(after + 1..=last, bytes_max, outage).await else { return };
            let Some(newest) = batch.last().map(|report| report.seq) else { break };
            let left = last.saturating_sub(newest);
            self.spool.metrics().replay_reports.set(left.min(self.spool.metrics().reports.get()));
            let bytes = batch.iter().map(Spooled::bytes).sum();
            if !self.deliver(Lane::Backlog, batch, outage).await {
                return;
            }
            after = newest;
            self.stand_back().await;
            tokio::select! {
                () = outage.cancelled() => return,
                () = pace.spent(bytes) => {}
            }
        }
        self.spool.metrics().replay_reports.set(0);
        if last > 0 {
            tracing::info!("what had waited is replayed");
        }
    }

    /// Lets a live lane that cannot keep up go first, for a while.
    async fn stand_back(&self) {
        let until = Instant::now() + STAND_BACK;
        while self.behind.load(Ordering::Acquire) && Instant::now() < until {
            sleep(STAND_BACK / 50).await;
        }
    }

    /// The next batch, which may be empty; `None`: the lane ends.
    async fn read(
        &self,
        range: RangeInclusive<i64>,
        bytes_max: usize,
        outage: &CancellationToken,
    ) -> Option<Vec<Spooled>> {
        let mut backoff = Backoff::default();
        loop {
            match tokio::task::block_in_place(|| self.spool.read(&range, bytes_max)) {
                Ok(batch) => return Some(batch),
                // The disk's affair, or a damaged file that the writer sets aside.
                Err(error) => tracing::warn!(%error, "the spool cannot be read"),
            }
            tokio::select! {
                () = outage.cancelled() => return None,
                () = backoff.pause() => {}
            }
        }
    }

    /// Sends `batch` until the next hop has all of it. `false`: the lane ends, and what is left stays in the spool.
    async fn deliver(
        &self,
        lane: Lane,
        mut batch: Vec<Spooled>,
        outage: &CancellationToken,
    ) -> bool {
        let mut backoff = Backoff::default();
        loop {
            let metrics = self.spool.metrics();
            let timer = metrics.delivery_seconds.start_timer();
            let fates = self.next_hop.send(&batch).await;
            timer.observe_duration();
            let (gone, left) = divide(batch, &fates);
            let letters = fates.iter().filter(|fate| **fate == Fate::DeadLetter).count();
            metrics.dead_letters.inc_by(letters as u64);
            metrics.forwarded.with_label_values(&[lane.name()]).inc_by(gone.len() as u64);
            self.forget(&gone);
            if left.is_empty() {
                return true;
            }
            for fate in &fates {
                if let Fate::Later(reason) = fate {
                    metrics.retries.with_label_values(&[reason]).inc();
                }
            }
            batch = left;
            tokio::select! {
                () = outage.cancelled() => return false,
                () = backoff.pause() => {}
            }
        }
    }

    fn forget(&self, gone: &[Spooled]) {
        if gone.is_empty() {
            return;
        }
        let bytes = gone.iter().map(Spooled::bytes).sum();
        self.spool.forget(runs(gone.iter().map(|report| report.seq)), bytes);
    }

    /// Keeps the age of the oldest report.
    async fn watch(&self, shutdown: &CancellationToken) {
        loop {
            if let Ok(oldest) = tokio::task::block_in_place(|| self.spool.oldest()) {
                let age = oldest.map_or(0, |oldest| (Timestamp::now().0 - oldest.0).max(0) / 1000);
                self.spool.metrics().oldest_age_seconds.set(age);
            }
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = sleep(LOOK_EVERY) => {}
            }
        }
    }
}

/// Parts what the next hop has from what is sent again: what failed, and what follows it under the same key.
fn divide(batch: Vec<Spooled>, fates: &[Fate]) -> (Vec<Spooled>, Vec<Spooled>) {
    let mut failed = HashSet::new();
    let (mut gone, mut left) = (Vec::new(), Vec::new());
    for (at, report) in batch.into_iter().enumerate() {
        let of = (report.kind, report.message.key.clone());
        let taken = matches!(fates.get(at), Some(Fate::Taken | Fate::DeadLetter));
        if taken && !failed.contains(&of) {
            gone.push(report);
        } else {
            failed.insert(of);
            left.push(report);
        }
    }
    (gone, left)
}

/// Rising numbers as ranges without gaps.
fn runs(numbers: impl Iterator<Item = i64>) -> Vec<RangeInclusive<i64>> {
    let mut runs: VecDeque<RangeInclusive<i64>> = VecDeque::new();
    for number in numbers {
        match runs.back_mut() {
            Some(run) if *run.end() + 1 == number => *run = *run.start()..=number,
            _ => runs.push_back(number..=number),
        }
    }
    runs.into()
}

#[cfg(test)]
mod tests {
    use patchline_schemas::codec::Kind;

    use super::*;
    use crate::Message;

    fn report(seq: i64, key: &str) -> Spooled {
        let message = Message { key: key.to_owned(), payload: vec![] };
        Spooled { seq, kind: Kind::Heartbeat, arrived: Timestamp(0), message }
    }

    #[test]
    fn what_follows_a_failure_under_its_key_is_sent_again_with_it() {
        let batch = [(1, "a"), (2, "b"), (3, "a"), (4, "b"), (5, "c")];
        let batch = batch.map(|(seq, key)| report(seq, key)).to_vec();
        let mut fates = vec![Fate::Taken; 5];
        fates[1] = Fate::Later("timed-out");
        fates[4] = Fate::DeadLetter;
        let (gone, left) = divide(batch, &fates);
        let seqs =
            |reports: &[Spooled]| reports.iter().map(|report| report.seq).collect::<Vec<_>>();
        assert_eq!((seqs(&gone), seqs(&left)), (vec![1, 3, 5], vec![2, 4]));
        assert_eq!(runs(seqs(&gone).into_iter()), [1..=1, 3..=3, 5..=5]);
    }

    #[test]
    fn numbers_without_gaps_are_one_range() {
        assert_eq!(runs([1, 2, 3, 7, 9, 10].into_iter()), [1..=3, 7..=7, 9..=10]);
        assert_eq!(runs(std::iter::empty()), []);
    }
}
