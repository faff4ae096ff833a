//! Notices a call that does not come back.
//!
//! `send_offsets_to_transaction` of librdkafka does not heed its timeout (its issue 5456), and no
//! call can be taken back from outside. A process that hangs holds its partitions and its open
//! transaction; one that ends is restarted and goes on.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

/// Status of a process that ended itself because a call hung.
const EXIT_HUNG: i32 = 70;

type Armed = Mutex<Option<(&'static str, Instant)>>;

/// Watches the calls of one thread.
pub(crate) struct Watchdog {
    armed: Arc<Armed>,
}

impl Watchdog {
    /// A watchdog that ends the process when a call takes longer than `limit`.
    pub(crate) fn start(limit: Duration) -> std::io::Result<Self> {
        Self::with_action(limit, |call| {
            tracing::error!(call, "a call into the Kafka client hangs; ending to be restarted");
            // SAFETY: ends the process at once. `std::process::exit` would run exit handlers, which
            // may wait for the very thread that hangs.
            unsafe { libc::_exit(EXIT_HUNG) }
        })
    }

    fn with_action(
        limit: Duration,
        action: impl Fn(&'static str) + Send + 'static,
    ) -> std::io::Result<Self> {
        let armed = Arc::new(Armed::default());
        let watched = Arc::downgrade(&armed);
        let every = (limit / 10).clamp(Duration::from_millis(5), Duration::from_secs(1));
        thread::Builder::new().name("watchdog".to_owned()).spawn(move || {
            while let Some(call) = overdue(&watched, limit) {
                if let Some(call) = call {
                    action(call);
                }
                thread::sleep(every);
            }
        })?;
        Ok(Self { armed })
    }

    /// Makes a `call` that is watched.
    pub(crate) fn watch<T>(&self, name: &'static str, call: impl FnOnce() -> T) -> T {
        self.arm(Some((name, Instant::now())));
        let result = call();
        self.arm(None);
        result
    }

    fn arm(&self, call: Option<(&'static str, Instant)>) {
        *self.armed.lock().unwrap_or_else(PoisonError::into_inner) = call;
    }
}

/// The call that is overdue, if one is. `None` when nobody can call any more.
fn overdue(watched: &Weak<Armed>, limit: Duration) -> Option<Option<&'static str>> {
    let armed = watched.upgrade()?;
    let armed = *armed.lock().unwrap_or_else(PoisonError::into_inner);
    Some(armed.filter(|(_, since)| since.elapsed() > limit).map(|(call, _)| call))
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn a_call_that_hangs_is_named_and_one_that_returns_is_not() {
        let (barks, heard) = mpsc::channel();
        let limit = Duration::from_millis(50);
        let watchdog = Watchdog::with_action(limit, move |call| {
            let _ = barks.send(call);
        })
        .unwrap();
        assert_eq!(watchdog.watch("quick", || 7), 7);
        assert!(heard.recv_timeout(4 * limit).is_err());
        watchdog.watch("slow", || {
            assert_eq!(heard.recv_timeout(Duration::from_secs(10)), Ok("slow"));
        });
    }
}
