//! Which gateway a report goes to, and when it is tried again: plain code without a clock or a socket.
//!
//! Every computer has its own order of the gateways, by rendezvous hashing, so that a fleet spreads
//! over them and a gateway that is added or removed moves only its share. It stays with the first of
//! them while that works, goes to the next when it does not, and comes back once the first has proved
//! itself again, at a moment of its own: a fleet that came back all at once would knock it over.

use std::time::Duration;

use sha1::{Digest, Sha1};

/// Failures in a row after which the next gateway is tried.
const FAILURES_MAX: u32 = 3;

/// How long a gateway may fail, or say that it cannot take reports, before the next one is tried.
const PATIENCE: Duration = Duration::from_secs(60);

/// Good probes of the first gateway after which the agent returns to it.
const PROBES: u32 = 3;

/// The longest that the return waits after the last good probe.
const RETURN_DELAY_MAX: Duration = Duration::from_secs(60);

/// Backoff: full jitter below the first pause doubled with every failure, and below the longest.
const PAUSE_FIRST: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(300);

/// A moment, as the time since the agent's start.
pub type Moment = Duration;

/// What became of an attempt to hand a report to a gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// 2xx: the gateway has it.
    Taken,
    /// 4xx: no gateway will ever take it.
    Refused,
    /// 429: this agent sends too much; another gateway would say the same.
    Slower(Option<Duration>),
    /// 503: the gateway cannot take reports at the moment.
    Busy(Option<Duration>),
    /// No connection, no answer in time, or any other answer.
    Failed,
}

/// An agent's way to its gateways.
#[derive(Debug)]
pub struct Route {
    /// Indices of the gateways, the computer's own first.
    order: Vec<usize>,
    /// Position in `order`.
    at: usize,
    /// Attempts in vain since the last that succeeded.
    in_vain: u32,
    /// Failures in a row of the current gateway, and since when it fails or is busy.
    failures: u32,
    failing_since: Option<Moment>,
    /// Good probes of the first gateway in a row; and when to return to it.
    probes: u32,
    return_at: Option<Moment>,
    random: fastrand::Rng,
}

impl Route {
    /// The way of `computer` to `gateways`, at least one. `seed` makes the pauses.
    #[must_use]
    pub fn new(computer: &str, gateways: &[String], seed: u64) -> Self {
        let weight = |gateway: &String| {
            let mut hash = Sha1::new();
            hash.update(gateway);
            hash.update([0]);
            hash.update(computer);
            hash.finalize()
        };
        let mut order: Vec<usize> = (0..gateways.len()).collect();
        order.sort_by_cached_key(|at| gateways.get(*at).map(weight));
        Self {
            order,
            at: 0,
            in_vain: 0,
            failures: 0,
            failing_since: None,
            probes: 0,
            return_at: None,
            random: fastrand::Rng::with_seed(seed),
        }
    }

    /// Where reports go now.
    pub fn gateway(&mut self, now: Moment) -> usize {
        if self.return_at.is_some_and(|at| at <= now) {
            self.go_to(0);
        }
        self.order.get(self.at).copied().unwrap_or_default()
    }

    /// The gateway that is to be probed: the first, while reports go elsewhere.
    #[must_use]
    pub fn to_probe(&self) -> Option<usize> {
        if self.at == 0 || self.return_at.is_some() { None } else { self.order.first().copied() }
    }

    /// Learns what a probe brought.
    pub fn probed(&mut self, now: Moment, good: bool) {
        self.probes = if good { self.probes + 1 } else { 0 };
        if self.probes >= PROBES && self.at > 0 && self.return_at.is_none() {
            self.return_at = Some(now + self.jitter(RETURN_DELAY_MAX));
        }
    }

    /// Learns what became of an attempt at [`gateway`](Self::gateway). Returns how long to wait before
    /// the next one.
    pub fn learn(&mut self, now: Moment, outcome: Outcome) -> Duration {
        match outcome {
            Outcome::Taken | Outcome::Refused => {
                self.in_vain = 0;
                self.failures = 0;
                self.failing_since = None;
                return Duration::ZERO;
            }
            Outcome::Slower(after) => {
                self.in_vain += 1;
                return self.pause().max(after.unwrap_or_default().min(PAUSE_MAX));
            }
            Outcome::Busy(_) => {}
            Outcome::Failed => self.failures += 1,
        }
        self.in_vain += 1;
        let since = *self.failing_since.get_or_insert(now);
        let lasts = now.saturating_sub(since) >= PATIENCE;
        if (self.failures >= FAILURES_MAX || lasts) && self.order.len() > 1 {
            self.go_to((self.at + 1) % self.order.len());
            // The next one has not failed yet: it is asked after a short pause, and only if all have
            // failed do the pauses go on growing.
            if self.in_vain < FAILURES_MAX * u32::try_from(self.order.len()).unwrap_or(u32::MAX) {
                return self.jitter(PAUSE_FIRST);
            }
        }
        let after = match outcome {
            Outcome::Busy(Some(after)) => after.min(PAUSE_MAX),
            _ => Duration::ZERO,
        };
        self.pause().max(after)
    }

    fn go_to(&mut self, at: usize) {
        self.at = at;
        self.failures = 0;
        self.failing_since = None;
        self.probes = 0;
        self.return_at = None;
    }

    fn pause(&mut self) -> Duration {
        let doubled = PAUSE_FIRST.saturating_mul(1 << self.in_vain.min(10));
        self.jitter(doubled.min(PAUSE_MAX))
    }

    fn jitter(&mut self, longest: Duration) -> Duration {
        longest.mul_f64(self.random.f64())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn gateways(count: usize) -> Vec<String> {
        (0..count).map(|at| format!("https://gateway-{at}.contoso.com")).collect()
    }

    const NOW: Moment = Duration::from_secs(1000);

    fn after(seconds: u64) -> Moment {
        NOW + Duration::from_secs(seconds)
    }

    #[test]
    fn a_fleet_spreads_over_its_gateways_and_a_removed_one_moves_only_its_share() {
        let (four, three) = (gateways(4), gateways(3));
        let mut shares = [0; 4];
        for computer in 0..4000 {
            let computer = format!("computer-{computer}");
            let first = Route::new(&computer, &four, 0).gateway(NOW);
            shares[first] += 1;
            if first < 3 {
                assert_eq!(Route::new(&computer, &three, 0).gateway(NOW), first);
            }
        }
        assert!(shares.iter().all(|share| (850..1150).contains(share)), "{shares:?}");
    }

    #[test]
    fn three_failures_or_a_minute_of_busy_answers_lead_to_the_next_gateway() {
        let mut route = Route::new("computer", &gateways(2), 7);
        let first = route.gateway(NOW);
        for _ in 0..2 {
            route.learn(NOW, Outcome::Failed);
        }
        assert_eq!(route.gateway(NOW), first, "two failures are none");
        route.learn(NOW, Outcome::Failed);
        assert_ne!(route.gateway(NOW), first);

        let mut route = Route::new("computer", &gateways(2), 7);
        for second in 0..60 {
            route.learn(after(second), Outcome::Busy(None));
            assert_eq!(route.gateway(after(second)), first, "busy for {second} s only");
        }
        route.learn(after(60), Outcome::Busy(None));
        assert_ne!(route.gateway(after(60)), first);
    }

    #[test]
    fn whoever_sends_too_much_stays_and_waits() {
        let mut route = Route::new("computer", &gateways(3), 7);
        let first = route.gateway(NOW);
        for second in 0..600 {
            let wait = route.learn(after(second), Outcome::Slower(Some(Duration::from_secs(5))));
            assert!(wait >= Duration::from_secs(5));
            assert_eq!(route.gateway(after(second)), first);
        }
    }

    #[test]
    fn it_returns_after_good_probes_in_a_row_and_not_before() {
        let mut route = Route::new("computer", &gateways(2), 7);
        let first = route.gateway(NOW);
        assert_eq!(route.to_probe(), None, "where it is already");
        for _ in 0..3 {
            route.learn(NOW, Outcome::Failed);
        }
        assert_eq!(route.to_probe(), Some(first));
        for good in [true, true, false, true, true] {
            route.probed(NOW, good);
        }
        assert_ne!(route.gateway(after(3600)), first);
        route.probed(NOW, true);
        assert_eq!(route.gateway(after(60)), first);
    }

    #[test]
    fn the_fleet_does_not_return_in_one_moment() {
        let returns: Vec<Moment> = (0..200)
            .map(|seed| {
                let mut route = Route::new("computer", &gateways(2), seed);
                for _ in 0..3 {
                    route.learn(NOW, Outcome::Failed);
                }
                for _ in 0..3 {
                    route.probed(NOW, true);
                }
                route.return_at.unwrap() - NOW
            })
            .collect();
        for quarter in 0..4 {
            let (from, to) = (quarter * 15, quarter * 15 + 15);
            let within = returns.iter().filter(|at| (from..to).contains(&at.as_secs())).count();
            assert!(within > 20, "{within} between {from} and {to} s");
        }
    }

    proptest! {
        #[test]
        fn whatever_happens_the_pauses_are_bounded_and_a_success_ends_them(
            count in 1..5_usize,
            outcomes in proptest::collection::vec((0..5_u8, 0..120_u64), 1..200),
        ) {
            let mut route = Route::new("computer", &gateways(count), 3);
            let mut now = NOW;
            for (kind, seconds) in outcomes {
                now += Duration::from_secs(seconds);
                prop_assert!(route.gateway(now) < count);
                let outcome = match kind {
                    0 => Outcome::Taken,
                    1 => Outcome::Refused,
                    2 => Outcome::Slower(Some(Duration::from_secs(1 << 40))),
                    3 => Outcome::Busy(Some(Duration::from_secs(seconds))),
                    _ => Outcome::Failed,
                };
                let wait = route.learn(now, outcome);
                prop_assert!(wait <= PAUSE_MAX);
                if kind < 2 {
                    prop_assert_eq!(wait, Duration::ZERO);
                }
            }
        }
    }
}
