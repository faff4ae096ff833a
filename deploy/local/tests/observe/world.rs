//! A known fleet behind the whole stack, and a Prometheus that watches it. Started once for all tests.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use http_body_util::{BodyExt, Empty, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use patchline_local::fleet::{Bodies, Fleet, Plan, Truth};
use patchline_local::ledger::Books;
use patchline_local::sender::{Sender, SenderOptions};
use patchline_local::{Stack, StackOptions, Stage};
use patchline_schemas::Timestamp;
use serde_json::json;

use crate::prometheus::Prometheus;

const SEED: u64 = 11;
pub(crate) const COMPUTERS: u32 = 48;
const ROUNDS: u32 = 3;

/// A little more than half of the fleet's twelve hours between two scans: whoever left out the last one is late.
pub(crate) const LATE_MINUTES: i64 = 8 * 60;

/// How long anything may take on a slow machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// How often what is waited for is looked at.
pub(crate) const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Everything that runs.
pub(crate) struct World {
    pub(crate) stack: Stack,
    pub(crate) prometheus: Prometheus,
    pub(crate) truth: Truth<'static>,
    /// The time that the fleet's last round was made for.
    pub(crate) now: Timestamp,
}

/// The world, and the runtime that waits for it: tests are plain functions, each of which may come first.
pub(crate) fn world() -> &'static World {
    // Where starting fails, it fails for all: the second test need not try it again.
    static WORLD: LazyLock<World> = LazyLock::new(|| block_on(World::start()));
    &WORLD
}

/// Runs `work` on a runtime of the caller's own.
pub(crate) fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
        .block_on(work)
}

/// Asks until the answer is `Some`; panics with what `else_say` gives when that takes too long.
pub(crate) async fn eventually<T>(
    mut ask: impl AsyncFnMut() -> Option<T>,
    else_say: impl FnOnce() -> String,
) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = ask().await {
            return found;
        }
        assert!(Instant::now() < deadline, "{}", else_say());
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// `GET url`: the status and the body.
pub(crate) async fn get(url: &str) -> (u16, String) {
    let client = Client::builder(TokioExecutor::new()).build_http::<Empty<bytes::Bytes>>();
    let answer =
        client.get(url.parse().unwrap()).await.unwrap_or_else(|error| panic!("{url}: {error:?}"));
    let status = answer.status().as_u16();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

async fn post(url: &str, body: String) -> (u16, String) {
    let client = Client::builder(TokioExecutor::new()).build_http::<Full<bytes::Bytes>>();
    let request = axum::http::Request::post(url).header("Content-Type", "application/json");
    let request = request.body(Full::new(body.into())).unwrap();
    let answer = client.request(request).await.unwrap();
    let status = answer.status().as_u16();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8_lossy(&body).into_owned())
}

/// A folder for this run; the last one's is left until the next begins.
fn scratch() -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("observe");
    let _ = std::fs::remove_dir_all(&path);
    std::fs::create_dir_all(&path).unwrap();
    path
}

impl World {
    async fn start() -> World {
        let scratch = scratch();
        let now = Timestamp(Timestamp::now().0 / 1000 * 1000);
        println!("fleet of seed {SEED} at {now}");
        let plan = Plan { seed: SEED, computers: COMPUTERS, rounds: ROUNDS, bad_clocks: 1, now };
        let fleet = Fleet::of(plan);
        let bodies: &'static Bodies = Box::leak(Box::new(Bodies::of(&fleet)));
        let truth = Truth::read(&fleet, bodies).unwrap();

        let late = LATE_MINUTES.to_string();
        let environment = [
            ("PATCHLINE_SINK__FLEET__INTERVAL_S", "1"),
            ("PATCHLINE_SINK__FLEET__SILENT_AFTER_MIN", &late),
            ("PATCHLINE_SINK__FLEET__STALE_AFTER_MIN", &late),
            // A machine that is busy with other tests must not turn the figures off.
            ("PATCHLINE_SINK__FLEET__QUERY_TIMEOUT_S", "60"),
        ];
        let environment = environment.map(|(key, value)| (key.to_owned(), value.to_owned()));
        // Without vendors' advisories: the computers' own hints count, and the figures do not mind whose word it was.
        let options =
            StackOptions { environment: environment.to_vec(), ..StackOptions::under(&scratch) };
        let stack = Stack::start(options, &|what| println!("{what}")).unwrap();
        let services: BTreeMap<&str, String> =
            Stage::ALL.iter().map(|stage| (stage.name(), stack.admin_url(*stage))).collect();
        let prometheus = Prometheus::start(&scratch, &services);

        let world = World { stack, prometheus, truth, now };
        world.load(&fleet).await;
        world
    }

    /// Sends everything, and waits until it is stored, counted and scraped.
    async fn load(&self, fleet: &Fleet) {
        let gateway = self.stack.gateway_url();
        let mut sent = HashSet::new();
        let sender = Sender::new(gateway.clone(), SenderOptions::default());
        sender
            .send_all(fleet.requests(), |heard| {
                sent.extend(heard.reports.iter().map(|report| report.id));
            })
            .await
            .unwrap();
        let definitions = deployments(self.now);
        let count = definitions.len() as u64;
        let url = format!("{gateway}/v1/update-deployments");
        let (status, said) = post(&url, serde_json::Value::from(definitions).to_string()).await;
        assert!((200..300).contains(&status), "{status}: {said}");
        // One request that is refused, so that refusals are seen as well.
        let (status, said) = post(&format!("{gateway}/v1/scans"), "no JSON".to_owned()).await;
        assert_eq!(status, 400, "{said}");

        let books = Books::open(
            self.stack.clickhouse_client(),
            &self.stack.kafka_config(),
            &self.stack.topics().dead_letters,
        );
        let books = books.unwrap();
        let expected = fleet.expected();
        let client = self.stack.clickhouse_client();
        eventually(
            async || {
                let defined: u64 =
                    client.query("SELECT count() FROM UpdateDeployment").fetch_one().await.unwrap();
                let ledger = books.settle(&sent, &expected).await.unwrap();
                (ledger.balances() && defined == count).then_some(())
            },
            || "the fleet's reports did not all arrive".to_owned(),
        )
        .await;
    }

    /// The text that a service shows its metrics in.
    pub(crate) async fn scrape(&self, stage: Stage) -> String {
        let (status, text) = get(&format!("{}/metrics", self.stack.admin_url(stage))).await;
        assert_eq!(status, 200, "{text}");
        text
    }
}

/// Definitions of deployments, as senders post them: one that is yet to come, one that runs, and one of the name
/// that the fleet's Linux computers report a run of, which is over.
fn deployments(now: Timestamp) -> Vec<serde_json::Value> {
    let local = |hours: i64| Timestamp(now.0 + hours * 3_600_000).to_string()[..19].to_owned();
    let define = |name: &str, start: i64, minutes: i64, computers: &str| {
        json!({
            "Name": name, "TimeGenerated": Timestamp(now.0 - 72 * 3_600_000).to_string(),
            "Schedule": "OneTime", "TimeZone": "UTC", "StartTime": local(start),
            "DurationMinutes": minutes, "Computers": [computers],
        })
    };
    vec![
        define("next week", 7 * 24, 120, "*"),
        define("now", -1, 360, "*"),
        define("Linux maintenance 2", -10, 300, "nobody"),
    ]
}
