//! The agent at work: scans and heartbeats in their rhythm, and everything delivered in order.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::config::{AgentConfig, Config, IdentityConfig};
use super::gateways::Gateways;
use super::os::Facts;
use super::packages::Manager;
use super::progress::{self, Bookmark, REPORTS_PER_POST_MAX};
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
    /// Key or certificate cannot be used.
    #[error("cannot use [identity]: {0}")]
    Identity(String),
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
    identity: IdentityConfig,
    spool: Mutex<Spool>,
    added: Notify,
    started: Instant,
}

impl<S: System> Agent<S> {
    /// An agent of `system`.
    ///
    /// # Errors
    /// The spool cannot be opened.
    pub fn new(system: S, config: Config) -> Result<Self, AgentError> {
        let Config { agent: config, identity, .. } = config;
        let folder = &config.spool_folder;
        let spool = Spool::open(folder, config.spool_bytes_max)
            .map_err(|source| AgentError::Spool { folder: folder.display().to_string(), source })?;
        let (spool, added) = (Mutex::new(spool), Notify::new());
        Ok(Self { system, config, identity, spool, added, started: Instant::now() })
    }

    /// Scans once, and hands everything that waits to a gateway, trying until `deadline` from now.
    ///
    /// # Errors
    /// The computer cannot be read, or not all of it was taken.
    pub async fn once(self: Arc<Self>, deadline: Duration) -> Result<(), AgentError> {
        let facts = Facts::read(&self.system).await?;
        self.beat(&facts).await?;
        self.assess(&facts).await?;
        self.follow_progress(&facts).await?;
        let mut way = self.way(&facts)?;
        let mut refused = 0;
        let _ = tokio::time::timeout(deadline, async {
            while let Some(outcome) = self.deliver_one(&mut way).await? {
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
            () = self.deliver_all(self.way(&facts)?) => {}
        }
        Ok(())
    }

    /// Scans and heartbeats, for ever.
    async fn report_in_rhythm(&self) {
        let mut random = fastrand::Rng::new();
        let mut scan_at = self.started + self.config.first_scan_within().mul_f64(random.f64());
        let (mut beat_at, mut progress_at) = (self.started, self.started);
        loop {
            let due = scan_at.min(beat_at).min(progress_at);
            let (scan_is_due, beat_is_due) = (scan_at == due, beat_at == due);
            sleep_until(due).await;
            let done = match Facts::read(&self.system).await {
                Err(error) => Err(error.into()),
                Ok(facts) if scan_is_due => self.assess(&facts).await,
                Ok(facts) if beat_is_due => self.beat(&facts).await,
                Ok(facts) => self.follow_progress(&facts).await,
            };
            if let Err(error) = done {
                let chain: &(dyn std::error::Error + 'static) = &error;
                tracing::error!(error = chain, "no report this time");
            }
            // From now, not from when it was due: a computer that slept has one scan to make up for.
            if scan_is_due {
                scan_at = Instant::now() + self.config.scan_interval();
            } else if beat_is_due {
                beat_at = Instant::now() + self.config.heartbeat_interval();
            } else {
                progress_at = Instant::now() + self.config.progress_interval();
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

    /// Keeps a report for each package that was installed since it was last looked.
    async fn follow_progress(&self, facts: &Facts) -> Result<(), AgentError> {
        let Some(manager) = Manager::of(&self.system) else { return Ok(()) };
        let bookmark = Bookmark::at(self.config.spool_folder.join("run-progress.position"));
        let position = bookmark.read().map_err(|source| self.spool_error(source))?;
        let news = match progress::news(&self.system, manager, position.as_deref()).await {
            Ok(news) => news,
            Err(missing) => {
                tracing::info!(%missing, "no progress of runs is reported");
                return Ok(());
            }
        };
        for run in &news.runs {
            let reports = progress::reports(facts, run);
            tracing::info!(run = run.name, packages = reports.len(), "packages were installed");
            for reports in reports.chunks(REPORTS_PER_POST_MAX) {
                let id = reports.first().map(|report| report.report_id).unwrap_or_default();
                self.keep(Kind::RunProgress, id, &reports)?;
            }
        }
        if position.as_deref() != Some(&news.position) {
            bookmark.write(&news.position).map_err(|source| self.spool_error(source))?;
        }
        Ok(())
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

    fn way(&self, facts: &Facts) -> Result<Way, AgentError> {
        let (config, computer) = (&self.config, &facts.source_computer_id);
        let timeout = config.request_timeout();
        let gateways = Gateways::new(&config.gateways, timeout, &self.identity, computer);
        Ok(Way {
            route: Route::new(computer, &config.gateways, fastrand::u64(..)),
            gateways: gateways.map_err(AgentError::Identity)?,
        })
    }

    /// Delivers what waits, oldest first, for ever.
    async fn deliver_all(&self, mut way: Way) {
        /// A spool that cannot be read is looked at again, in case somebody mends it.
        const PAUSE: Duration = Duration::from_secs(10);
        loop {
            match self.deliver_one(&mut way).await {
                Ok(Some(_)) => {}
                Ok(None) => self.added.notified().await,
                Err(error) => {
                    {
                        let chain: &(dyn std::error::Error + 'static) = &error;
                        tracing::error!(error = chain, "nothing can be delivered");
                    }
                    sleep(PAUSE).await;
                }
            }
        }
    }

    /// One attempt with the oldest report, and the pause after it. `None` where none waits.
    async fn deliver_one(&self, way: &mut Way) -> Result<Option<Outcome>, AgentError> {
        let Way { route, gateways } = way;
        let Some(report) = self.spooled(Spool::waiting)?.into_iter().next() else {
            return Ok(None);
        };
        let body = self.spooled(|spool| spool.read(&report))?;
        // A heartbeat that goes to the first gateway besides tells whether it works again; the report's
        // id makes one of the two.
        if report.kind == Kind::Heartbeat
            && let Some(first) = route.to_probe()
        {
            let good = post(gateways, first, &report, body.clone()).await == Outcome::Taken;
            route.probed(self.started.elapsed(), good);
        }
        let to = route.gateway(self.started.elapsed());
        let outcome = post(gateways, to, &report, body).await;
        if matches!(outcome, Outcome::Taken | Outcome::Refused) {
            // Refused for good: the log has it, and it would hold up all that follow.
            self.spooled(|spool| spool.remove(&report))?;
        }
        let pause = route.learn(self.started.elapsed(), outcome);
        sleep(pause).await;
        Ok(Some(outcome))
    }
}

/// The way to the gateways.
struct Way {
    route: Route,
    gateways: Gateways,
}

async fn post(gateways: &Gateways, to: usize, report: &Waiting, body: Vec<u8>) -> Outcome {
    let (gateways, kind) = (gateways.clone(), report.kind);
    let posted = tokio::task::spawn_blocking(move || gateways.post(to, kind, &body)).await;
    posted.unwrap_or(Outcome::Failed)
}

#[cfg(test)]
mod tests {
    //! The agent before gateways that answer as they are told to. Time is paused: it goes on by itself when
    //! the agent waits, and stands still while a request is under way.

    use std::collections::VecDeque;
    use std::io::{BufRead as _, BufReader, Read as _, Write as _};
    use std::net::{TcpListener, TcpStream};
    use std::path::PathBuf;

    use super::*;
    use crate::agent::system::recorded::Recorded;

    /// That of the machine id below.
    const COMPUTER: &str = "ba443943-6e14-509d-b96e-75e06a60c164";

    fn system() -> Recorded {
        Recorded::default()
            .file("/etc/machine-id", "3d1219c7c4c5404aaa1f6d2a48adfda4\n")
            .file("/proc/sys/kernel/hostname", "web-1\n")
    }

    /// A request that arrived.
    #[derive(Clone)]
    struct Post {
        /// At the computer's own gateway, the first of its order.
        own: bool,
        at: Duration,
        body: Vec<u8>,
    }

    /// A status, which 0 is a hung-up connection, and further headers.
    type Answer = (u16, &'static str);

    /// Two gateways.
    #[derive(Default)]
    struct Script {
        urls: Vec<String>,
        /// Of the own gateway, in order; then, and of the other, 200.
        answers: VecDeque<Answer>,
        posts: Vec<Post>,
        now: Duration,
    }

    struct Scene {
        script: Arc<Mutex<Script>>,
        folder: PathBuf,
        began: Instant,
    }

    impl Scene {
        fn new(name: &str, answers: &[Answer]) -> Self {
            let folder = format!("patchline-run-{}-{name}", std::process::id());
            let folder = std::env::temp_dir().join(folder);
            let _ = std::fs::remove_dir_all(&folder);
            let listeners = [(), ()].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
            let url = |listener: &TcpListener| format!("http://{}", listener.local_addr().unwrap());
            let urls: Vec<String> = listeners.iter().map(url).collect();
            let own = Route::new(COMPUTER, &urls, 0).gateway(Duration::ZERO);
            let answers = answers.iter().copied().collect();
            let script = Arc::new(Mutex::new(Script { urls, answers, ..Script::default() }));
            for (at, listener) in listeners.into_iter().enumerate() {
                let script = Arc::clone(&script);
                std::thread::spawn(move || {
                    for stream in listener.incoming() {
                        serve(&stream.unwrap(), at == own, &script);
                    }
                });
            }
            Self { script, folder, began: Instant::now() }
        }

        fn start(&self) -> tokio::task::JoinHandle<()> {
            let mut config = Config::default();
            config.agent.gateways.clone_from(&self.script.lock().unwrap().urls);
            config.agent.spool_folder.clone_from(&self.folder);
            let agent = Arc::new(Agent::new(system(), config).unwrap());
            tokio::spawn(async move { agent.run(&CancellationToken::new()).await.unwrap() })
        }

        /// All posts, once `enough` of them are here.
        async fn posts(&self, enough: impl Fn(&[Post]) -> bool) -> Vec<Post> {
            loop {
                let now = self.began.elapsed();
                {
                    let mut script = self.script.lock().unwrap();
                    script.now = now;
                    if enough(&script.posts) {
                        return script.posts.clone();
                    }
                    assert!(now < Duration::from_secs(6 * 3600), "{} posts", script.posts.len());
                }
                sleep(Duration::from_millis(100)).await;
            }
        }
    }

    impl Drop for Scene {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.folder);
        }
    }

    fn serve(stream: &TcpStream, own: bool, script: &Mutex<Script>) {
        let mut reader = BufReader::new(stream);
        let mut length = 0;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            if line == "\r\n" {
                break;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        let (status, more) = {
            let mut script = script.lock().unwrap();
            let at = script.now;
            script.posts.push(Post { own, at, body });
            own.then(|| script.answers.pop_front()).flatten().unwrap_or((200, ""))
        };
        if status != 0 {
            let answer = format!(
                "HTTP/1.1 {status} x\r\n{more}content-length: 0\r\nconnection: close\r\n\r\n"
            );
            let mut stream = stream;
            let _ = stream.write_all(answer.as_bytes());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_report_goes_to_the_next_gateway_after_three_failures_and_is_kept_until_then() {
        let scene = Scene::new("failures", &[(500, ""), (0, ""), (403, "")]);
        let agent = scene.start();
        let posts = scene.posts(|posts| posts.len() >= 5).await;
        let own: Vec<bool> = posts.iter().map(|post| post.own).collect();
        assert_eq!(own[..5], [true, true, true, true, false], "the fourth is a probe");
        assert!(
            posts[..5].iter().all(|post| post.body == posts[0].body),
            "one and the same report"
        );
        agent.abort();
    }

    #[tokio::test(start_paused = true)]
    async fn minutes_of_429_are_no_reason_to_go_and_are_waited_out() {
        let scene = Scene::new("throttled", &[(429, "retry-after: 70\r\n"); 4]);
        let agent = scene.start();
        let posts = scene.posts(|posts| posts.len() >= 5).await;
        assert!(posts.iter().all(|post| post.own));
        let took = posts[4].at - posts[0].at;
        assert!(took >= Duration::from_secs(4 * 70 - 1), "as long as it is told: {took:?}");
        agent.abort();
    }

    #[tokio::test(start_paused = true)]
    async fn a_gateway_that_is_busy_for_a_minute_is_left_and_not_before() {
        let scene = Scene::new("busy", &[(503, "retry-after: 20\r\n"); 50]);
        let agent = scene.start();
        let posts = scene.posts(|posts| posts.iter().any(|post| !post.own)).await;
        let left = posts.iter().position(|post| !post.own).unwrap();
        assert!(left >= 3, "{left} times busy");
        let took = posts[left].at - posts[0].at;
        assert!(took >= Duration::from_secs(59), "{took:?}");
        agent.abort();
    }

    #[tokio::test(start_paused = true)]
    async fn it_returns_to_its_own_gateway_after_good_probes_in_a_row() {
        // Three failures; then a good probe, a bad one, and from then on good ones.
        let script = [(500, ""), (500, ""), (500, ""), (200, ""), (500, "")];
        let scene = Scene::new("return", &script);
        let agent = scene.start();
        let posts = scene
            .posts(|posts| posts.len() > 10 && posts[posts.len() - 3..].iter().all(|post| post.own))
            .await;
        let last_elsewhere = posts.iter().rposition(|post| !post.own).unwrap();
        let probes = posts[3..last_elsewhere].iter().filter(|post| post.own).count();
        assert!(probes >= 5, "a good one, a bad one, three good ones: {probes}");
        agent.abort();
    }
}
