//! How many bytes the sink holds: messages that wait and batches that are open.

use std::sync::Arc;

use prometheus::IntGauge;
use tokio::sync::Notify;

/// A shared count of bytes with a mark above which reading pauses and a lower one below which it
/// goes on, so that it does not flutter between the two.
#[derive(Debug, Clone)]
pub struct Budget(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    used: IntGauge,
    high: i64,
    low: i64,
    room: Notify,
}

impl Budget {
    /// A budget of `bytes_max`, counted in `used`.
    #[must_use]
    pub fn new(bytes_max: usize, used: IntGauge) -> Self {
        let high = i64::try_from(bytes_max).unwrap_or(i64::MAX);
        Self(Arc::new(Inner { used, high, low: high / 4 * 3, room: Notify::new() }))
    }

    /// Reading should pause.
    #[must_use]
    pub fn is_spent(&self) -> bool {
        self.0.used.get() >= self.0.high
    }

    /// Reading may go on.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.0.used.get() < self.0.low
    }

    /// Waits until reading may go on.
    pub async fn room(&self) {
        loop {
            let given_back = self.0.room.notified();
            if self.has_room() {
                return;
            }
            given_back.await;
        }
    }

    /// Takes `bytes`, even beyond the mark.
    #[must_use]
    pub fn charge(&self, bytes: usize) -> Charge {
        let mut charge = Charge { budget: self.clone(), bytes: 0 };
        charge.set(bytes);
        charge
    }
}

/// Bytes taken from a [`Budget`], given back when dropped.
#[derive(Debug)]
pub struct Charge {
    budget: Budget,
    bytes: i64,
}

impl Charge {
    /// Changes the charge to `bytes`.
    pub fn set(&mut self, bytes: usize) {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        self.budget.0.used.add(bytes - self.bytes);
        if bytes < self.bytes {
            self.budget.0.room.notify_waiters();
        }
        self.bytes = bytes;
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.budget.0.used.sub(self.bytes);
        self.budget.0.room.notify_waiters();
    }
}
