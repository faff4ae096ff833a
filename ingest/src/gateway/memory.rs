//! The bytes that all requests together may hold.
//!
//! A request reserves before it holds. One that could not fit into an idle gateway is refused for
//! good (413); one that does not fit now is refused until later (503). Nobody waits while holding a
//! part, so nobody can wait for each other.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::problem::{Problem, Reason};

#[derive(Debug)]
pub(super) struct Budget {
    total: usize,
    used: AtomicUsize,
}

impl Budget {
    pub(super) fn new(total: usize) -> Arc<Self> {
        Arc::new(Self { total, used: AtomicUsize::new(0) })
    }

    pub(super) fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    /// An empty reservation.
    pub(super) fn open(self: &Arc<Self>) -> Reservation {
        Reservation { budget: Arc::clone(self), held: 0 }
    }
}

/// Bytes held; given back when dropped.
#[derive(Debug)]
pub(super) struct Reservation {
    budget: Arc<Budget>,
    held: usize,
}

impl Reservation {
    /// Holds `bytes` in all from now on; fewer than it holds already change nothing.
    pub(super) fn raise_to(&mut self, bytes: usize) -> Result<(), Problem> {
        let more = bytes.saturating_sub(self.held);
        if bytes > self.budget.total {
            return Err(Problem::new(
                Reason::TooLarge,
                "the request needs more memory than gateway.memory_bytes_max; send less at once",
            ));
        }
        self.budget
            .used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
                used.checked_add(more).filter(|used| *used <= self.budget.total)
            })
            .map_err(|_| {
                Problem::new(
                    Reason::Busy,
                    "gateway.memory_bytes_max is in use by other requests; send it again later",
                )
            })?;
        self.held += more;
        Ok(())
    }

    /// Gives back what it holds above `bytes`.
    pub(super) fn lower_to(&mut self, bytes: usize) {
        let less = self.held.saturating_sub(bytes);
        self.budget.used.fetch_sub(less, Ordering::Relaxed);
        self.held -= less;
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.budget.used.fetch_sub(self.held, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_never_fit_is_told_apart_from_what_does_not_fit_now() {
        let budget = Budget::new(100);
        let mut first = budget.open();
        let mut second = budget.open();
        assert_eq!(first.raise_to(60), Ok(()));
        assert_eq!(first.raise_to(10), Ok(()), "holding more already");
        assert_eq!(second.raise_to(41).unwrap_err().reason, Reason::Busy);
        assert_eq!(second.raise_to(101).unwrap_err().reason, Reason::TooLarge);
        assert_eq!(second.raise_to(40), Ok(()));
        first.lower_to(20);
        assert_eq!(budget.used(), 60);
        drop(first);
        assert_eq!(budget.used(), 40);
        drop(second);
        assert_eq!(budget.used(), 0);
    }
}
