//! How many requests a sender may make: a bucket a sender, bounded in number.
//!
//! Own code, for the bound: `governor` keeps a state for every key until it is told to forget, on top of a
//! sharded map that nothing else here needs. A bucket is one number, the moment at which it is full again
//! (GCRA); a full one is no state at all, and is forgotten when room is needed.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// `[limits]`: requests of proven senders. 0 sets no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LimitsConfig {
    /// Requests a minute that one computer may make for long.
    pub computer_requests_per_minute: u32,
    /// Requests that it may make at once, such as what waited on its disk.
    pub computer_requests_burst: u32,
    /// Requests a minute of one workspace, all its senders together.
    pub workspace_requests_per_minute: u32,
    /// Requests of it at once.
    pub workspace_requests_burst: u32,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            // An agent makes one or two; what it kept while it was away is some thousand.
            computer_requests_per_minute: 600,
            computer_requests_burst: 1200,
            workspace_requests_per_minute: 0,
            workspace_requests_burst: 10_000,
        }
    }
}

/// Buckets of senders known as `K`.
#[derive(Debug)]
pub struct Buckets<K> {
    /// Time that one request takes from a bucket; none: no limit.
    each: Option<Duration>,
    /// What a bucket holds.
    holds: Duration,
    buckets_max: usize,
    /// When each is full again.
    full_at: Mutex<HashMap<K, Instant>>,
}

impl<K: Eq + Hash + Clone> Buckets<K> {
    /// `per_minute` requests for long, `burst` at once, for at most `buckets_max` senders.
    #[must_use]
    pub fn new(per_minute: u32, burst: u32, buckets_max: usize) -> Self {
        let each = (per_minute > 0).then(|| Duration::from_secs(60) / per_minute);
        let holds = each.unwrap_or_default() * burst.max(1);
        Self { each, holds, buckets_max, full_at: Mutex::new(HashMap::new()) }
    }

    /// Takes one request of `sender`, or says how long it has to wait. Where there are more busy senders
    /// than buckets, a new one is let through: its workspace's bucket still holds it.
    ///
    /// # Errors
    /// The wait, until there is one request in the bucket.
    pub fn take(&self, sender: &K, now: Instant) -> Result<(), Duration> {
        let Some(each) = self.each else { return Ok(()) };
        let mut full_at = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        let full = full_at.get(sender).map_or(now, |full| (*full).max(now)) + each;
        let wait = full.duration_since(now).saturating_sub(self.holds);
        if !wait.is_zero() {
            return Err(wait);
        }
        if full_at.len() >= self.buckets_max && !full_at.contains_key(sender) {
            full_at.retain(|_, full| *full > now);
            if full_at.len() >= self.buckets_max {
                return Ok(());
            }
        }
        full_at.insert(sender.clone(), full);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_let_through_and_then_only_the_rate() {
        let buckets = Buckets::new(60, 10, 100);
        let start = Instant::now();
        for _ in 0..10 {
            assert_eq!(buckets.take(&"a", start), Ok(()));
        }
        assert_eq!(buckets.take(&"a", start), Err(Duration::from_secs(1)));
        assert_eq!(buckets.take(&"b", start), Ok(()), "another has its own");
        let mut taken = 0;
        for tick in 0..6000_u32 {
            let now = start + Duration::from_millis(10) * tick;
            taken += u32::from(buckets.take(&"a", now).is_ok());
        }
        assert_eq!(taken, 59, "one a second, the first of which was not up yet");
        let free = Buckets::new(0, 0, 1);
        assert!((0..1000).all(|_| free.take(&"a", start).is_ok()), "no limit");
    }

    #[test]
    fn the_number_of_buckets_is_bounded_and_full_ones_make_room() {
        let buckets = Buckets::new(60, 2, 10);
        let start = Instant::now();
        for sender in 0..1000 {
            assert_eq!(buckets.take(&sender, start), Ok(()));
        }
        assert_eq!(buckets.full_at.lock().unwrap().len(), 10);
        let later = start + Duration::from_secs(60);
        assert_eq!(buckets.take(&1000, later), Ok(()));
        assert_eq!(buckets.full_at.lock().unwrap().len(), 1);
    }
}
