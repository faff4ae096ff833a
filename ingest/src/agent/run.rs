//! The agent at work: scans and heartbeats in their rhythm, and everything delivered in order.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::config::AgentConfig;
use super::gateways::Gateways;
use super::os::Facts;
use super::reports::{heartbeat, scan};
use super::route::{Outcome, Route};
use super::spool::{Kind, Spool, Waiting};
use super::system::{System, Unreadable};

/// The agent cannot work.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// The computer cannot be read.
    #[error("cannot report on this computer")]
    Unreadable(#[from] Unreadable),
    /// The spool cannot be used.
    #[error("cannot use the spool in agent.spool_folder = {folder}")]
    Spool {
        /// The folder.
        folder: String,
        /// Why.
        source: std::io::Error,
    },
    /// A gateway refused a report for good, or none took it.
    #[error("{left} reports were not taken; the log before this says why")]
    NotTaken {
        /// Reports that are left.
        left: usize,
    },
}

/// An agent over its spool.
pub struct Agent<S> {
    system: S,
    config: AgentConfig,
    spool: Mutex<Spool>,
    added: Notify,
    gateways: Gateways,
    started: Instant,
}

impl<S: System> Agent<S> {
    /// An agent of `system`.
    ///
    /// # Errors
    /// The spool cannot be opened.
    pub fn new(system: S, config: AgentConfig) -> Result<Self, AgentError> {
        let folder = &config.spool_folder;
        let spool = Spool::open(folder, config.spool_bytes_max)
            .map_err(|source| AgentError::Spool { folder: folder.display().to_string(), source })?;
        let gateways = Gateways::new(&config.gateways, config.request_timeout());
        let (spool, added) = (Mutex::new(spool), Notify::new());
        Ok(Self { system, config, spool, added, gateways, started: Instant::now() })
    }

    /// Scans once, and hands everything that waits to a gateway, trying until `deadline` from now.
    ///
    /// # Errors
    /// The computer cannot be read, or not all of it was taken.
    pub async fn once(self: Arc<Self>, deadline: Duration) -> Result<(), AgentError> {
        let facts = Facts::read(&self.system).await?;
        self.beat(&facts).await?;
        self.assess(&facts).await?;
        let mut route = self.route(&facts);
        let mut refused = 0;
        let _ = tokio::time::timeout(deadline, async {
            while let Some(outcome) = self.deliver_one(&mut route).await? {
                refused += usize::from(outcome == Outcome::Refused);
            }
            Ok::<(), AgentError>(())
        })
        .await;
        let left = self.spooled(Spool::waiting)?.len() + refused;
        if left == 0 { Ok(()) } else { Err(AgentError::NotTaken { left }) }
    }

    /// Works until `shutdown` fires. What was not delivered waits for the next start.
    ///
    /// # Errors
    /// The computer cannot be read at the start. Later faults are logged and tried again.
    pub async fn run(self: Arc<Self>, shutdown: &CancellationToken) -> Result<(), AgentError> {
        let facts = Facts::read(&self.system).await?;
        tracing::info!(computer = facts.computer, id = facts.source_computer_id, "agent started");
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = self.report_in_rhythm() => {}
            () = self.deliver_all(self.route(&facts)) => {}
        }
        Ok(())
    }

    /// Scans and heartbeats, for ever.
    async fn report_in_rhythm(&self) {
        let mut random = fastrand::Rng::new();
        let mut scan_at = self.started + self.config.first_scan_within().mul_f64(random.f64());
        let mut beat_at = self.started;
        loop {
            let scan_is_due = scan_at <= beat_at;
            sleep_until(scan_at.min(beat_at)).await;
            let done = match Facts::read(&self.system).await {
                Err(error) => Err(error.into()),
                Ok(facts) if scan_is_due => self.assess(&facts).await,
                Ok(facts) => self.beat(&facts).await,
            };
            if let Err(error) = done {
                let chain: &(dyn std::error::Error + 'static) = &error;
                tracing::error!(error = chain, "no report this time");
            }
            // From now, not from when it was due: a computer that slept has one scan to make up for.
            if scan_is_due {
                scan_at = Instant::now() + self.config.scan_interval();
            } else {
                beat_at = Instant::now() + self.config.heartbeat_interval();
            }
        }
    }

    async fn assess(&self, facts: &Facts) -> Result<(), AgentError> {
        let found = scan(&self.system, facts).await?;
        for missing in &found.unreadable {
            tracing::info!(%missing, "the report goes without");
        }
        tracing::info!(packages = found.scan.updates.len(), "scanned");
        self.keep(Kind::Scan, found.scan.report_id, &found.scan)
    }

    async fn beat(&self, facts: &Facts) -> Result<(), AgentError> {
        let heartbeat = heartbeat(&self.system, facts).await;
        self.keep(Kind::Heartbeat, heartbeat.report_id, &heartbeat)
    }

    fn keep(
        &self,
        kind: Kind,
        id: uuid::Uuid,
        report: &impl serde::Serialize,
    ) -> Result<(), AgentError> {
        let mut spool = self.spool.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = spool.add(kind, id, report);
        drop(spool);
        self.added.notify_one();
        kept.map_err(|source| self.spool_error(source))
    }

    fn spooled<T>(&self, with: impl FnOnce(&Spool) -> std::io::Result<T>) -> Result<T, AgentError> {
        let spool = self.spool.lock().unwrap_or_else(PoisonError::into_inner);
        with(&spool).map_err(|source| self.spool_error(source))
    }

    fn spool_error(&self, source: std::io::Error) -> AgentError {
        AgentError::Spool { folder: self.config.spool_folder.display().to_string(), source }
    }

    fn route(&self, facts: &Facts) -> Route {
        Route::new(&facts.source_computer_id, &self.config.gateways, fastrand::u64(..))
    }

    /// Delivers what waits, oldest first, for ever.
    async fn deliver_all(&self, mut route: Route) {
        /// A spool that cannot be read is looked at again, in case somebody mends it.
        const PAUSE: Duration = Duration::from_secs(10);
        loop {
            match self.deliver_one(&mut route).await {
                Ok(Some(_)) => {}
                Ok(None) => self.added.notified().await,
                Err(error) => {
                    let chain: &(dyn std::error::Error + 'static) = &error;
                    tracing::error!(error = chain, "nothing can be delivered");
                    sleep(PAUSE).await;
                }
            }
        }
    }

    /// One attempt with the oldest report, and the pause after it. `None` where none waits.
    async fn deliver_one(&self, route: &mut Route) -> Result<Option<Outcome>, AgentError> {
        let Some(report) = self.spooled(Spool::waiting)?.into_iter().next() else {
            return Ok(None);
        };
        let body = self.spooled(|spool| spool.read(&report))?;
        // A heartbeat that goes to the first gateway besides tells whether it works again; the report's
        // id makes one of the two.
        if report.kind == Kind::Heartbeat
            && let Some(first) = route.to_probe()
        {
            let good = self.post(first, &report, body.clone()).await == Outcome::Taken;
            route.probed(self.started.elapsed(), good);
        }
        let to = route.gateway(self.started.elapsed());
        let outcome = self.post(to, &report, body).await;
        if matches!(outcome, Outcome::Taken | Outcome::Refused) {
            // Refused for good: the log has it, and it would hold up all that follow.
            self.spooled(|spool| spool.remove(&report))?;
        }
        let pause = route.learn(self.started.elapsed(), outcome);
        sleep(pause).await;
        Ok(Some(outcome))
    }

    async fn post(&self, to: usize, report: &Waiting, body: Vec<u8>) -> Outcome {
        let (gateways, kind) = (self.gateways.clone(), report.kind);
        let posted = tokio::task::spawn_blocking(move || gateways.post(to, kind, &body)).await;
        posted.unwrap_or(Outcome::Failed)
    }
}
