//! Signatures that were seen, so that a recorded request is refused when it comes again.
//!
//! Bounded: two generations of at most so many signatures each. The older goes when the younger is full
//! or covers the whole window, so that a signature is remembered for at least the window unless more come
//! than there is room for; that is counted by the caller, and costs nothing but the refusal: a report
//! that is taken again has its report id and is shown once.

use std::collections::HashSet;
use std::time::{Duration, SystemTime};

/// The first half of a signature tells it from all others.
type Mark = [u8; 16];

/// The signatures of a window.
#[derive(Debug)]
pub struct Seen {
    window: Duration,
    generation_max: usize,
    younger: HashSet<Mark>,
    older: HashSet<Mark>,
    /// When `younger` began.
    since: SystemTime,
}

impl Seen {
    /// Remembers signatures for `window`, at most `generation_max` of them, twice.
    #[must_use]
    pub fn new(window: Duration, generation_max: usize) -> Self {
        let (younger, older) = Default::default();
        Self { window, generation_max, younger, older, since: SystemTime::UNIX_EPOCH }
    }

    /// Remembers `signature`; says whether it is new. A short one is new each time: it cannot be genuine.
    pub fn is_new(&mut self, signature: &[u8], now: SystemTime) -> bool {
        let Some(mark) = signature.first_chunk().copied() else { return true };
        // A clock that was set back counts as no time at all.
        let age = now.duration_since(self.since).unwrap_or_default();
        if age > self.window || self.younger.len() >= self.generation_max {
            self.older = std::mem::take(&mut self.younger);
            if age > self.window * 2 {
                self.older.clear();
            }
            self.since = now;
        }
        !self.older.contains(&mark) && self.younger.insert(mark)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signature(number: u32) -> Vec<u8> {
        number.to_be_bytes().repeat(8)
    }

    #[test]
    fn a_signature_is_new_once_within_the_window() {
        let mut seen = Seen::new(Duration::from_secs(600), 1000);
        let start = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        for second in 0..2000 {
            let now = start + Duration::from_secs(second);
            let number = u32::try_from(second).unwrap();
            assert!(seen.is_new(&signature(number), now));
            for back in [0, 1, 300, 599] {
                if let Some(former) = number.checked_sub(back) {
                    assert!(!seen.is_new(&signature(former), now), "{back} s ago");
                }
            }
        }
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut seen = Seen::new(Duration::from_secs(600), 100);
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        for number in 0..10_000 {
            assert!(seen.is_new(&signature(number), now));
            assert!(seen.younger.len() <= 100 && seen.older.len() <= 100);
            assert!(!seen.is_new(&signature(number), now), "the newest is remembered");
        }
    }
}
