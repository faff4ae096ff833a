//! How fast, and how soon again.

use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};

/// Keeps a stream of bytes below a rate. An idle time is not caught up with.
#[derive(Debug)]
pub(super) struct Pace {
    bytes_per_s: f64,
    free_at: Instant,
}

impl Pace {
    #[allow(clippy::cast_precision_loss, reason = "a rate need not be exact")]
    pub(super) fn new(bytes_per_s: u64) -> Self {
        Self { bytes_per_s: bytes_per_s.max(1) as f64, free_at: Instant::now() }
    }

    /// Waits until more may be sent, `bytes` having been sent.
    pub(super) async fn spent(&mut self, bytes: usize) {
        sleep_until(self.next(Instant::now(), bytes)).await;
    }

    /// When more may be sent, `bytes` having been sent by `now`.
    #[allow(clippy::cast_precision_loss, reason = "a rate need not be exact")]
    fn next(&mut self, now: Instant, bytes: usize) -> Instant {
        self.free_at =
            self.free_at.max(now) + Duration::from_secs_f64(bytes as f64 / self.bytes_per_s);
        self.free_at
    }
}

/// Pauses between attempts, doubled with each.
#[derive(Debug)]
pub(super) struct Backoff(Duration);

const PAUSE_FIRST: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(10);

impl Default for Backoff {
    fn default() -> Self {
        Self(PAUSE_FIRST)
    }
}

impl Backoff {
    /// Waits between half and the whole of the pause, so that gateways do not come all at once.
    pub(super) async fn pause(&mut self) {
        let pause = self.0;
        self.0 = (2 * self.0).min(PAUSE_MAX);
        sleep(pause.mul_f64(0.5 + fastrand::f64() / 2.0)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_holds_and_pauses_are_not_caught_up_with() {
        let started = Instant::now();
        let mut pace = Pace { bytes_per_s: 1000.0, free_at: started };
        let after = |seconds: f64| started + Duration::from_secs_f64(seconds);
        assert_eq!(pace.next(started, 500), after(0.5));
        assert_eq!(pace.next(started, 500), after(1.0));
        assert_eq!(pace.next(after(0.6), 500), after(1.5));
        assert_eq!(pace.next(after(60.0), 500), after(60.5), "not a minute's worth at once");
    }
}
