//! The known fleet in a database of its own, and a console over it. Its reports go through enrichment's transform
//! and the sink's batches into the real engine, without Kafka between.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use axum::http::Request;
use http_body_util::{BodyExt as _, Empty};
use hyper_util::client::legacy::Client as Http;
use hyper_util::rt::TokioExecutor;
use patchline_console::config::{ClickHouseConfig, ConsoleConfig};
use patchline_console::metrics::Metrics;
use patchline_console::query;
use patchline_console::store::Store;
use patchline_console::web::{self, Console};
use patchline_enrich::{Source as Raw, Transform};
use patchline_local::fleet::{Bodies, Fleet, Plan, Truth};
use patchline_local::stack::{CLICKHOUSE_URL, variable};
use patchline_local::{ClickHouse, ClickHouseOptions};
use patchline_schemas::{Codec, Heartbeat, Schedule, Timestamp, UpdateDeployment, deployment};
use patchline_sink::batch::Source;
use patchline_sink::migrate::migrate;
use prometheus::Registry;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::stored::{catalog, encoded, enriched, put};

const SEED: u64 = 11;
const COMPUTERS: u32 = 48;
const ROUNDS: u32 = 3;

const HOUR_MS: i64 = 3_600_000;

/// A little more than half of the fleet's twelve hours between two scans: whoever left out the last one is late.
pub(crate) const SILENT_MIN: u32 = 8 * 60;

/// Computers that only beat. Their names are what a name must not become: markup, and a spreadsheet's formula.
pub(crate) const MARKUP: &str = "<img src=x onerror=document.title='run'>";
pub(crate) const FORMULA: &str = "=HYPERLINK(\"http://contoso.com\",\"a, b\")";

/// A deployment that is over and that the fleet's Linux computers report a run of.
pub(crate) const RUN: &str = "Linux maintenance 2";

/// Everything that runs.
pub(crate) struct World {
    /// The console's page.
    pub(crate) url: String,
    /// ClickHouse's.
    pub(crate) clickhouse: String,
    pub(crate) sql: clickhouse::Client,
    pub(crate) truth: Truth<'static>,
    pub(crate) scratch: PathBuf,
    _engine: Option<ClickHouse>,
    _runtime: tokio::runtime::Runtime,
}

/// The world, started once for all tests. It has a runtime of its own, which outlives every test's.
pub(crate) fn world() -> &'static World {
    static WORLD: LazyLock<World> = LazyLock::new(|| {
        // Of a thread of its own: the first test is on a runtime already.
        std::thread::spawn(World::start).join().unwrap()
    });
    &WORLD
}

impl World {
    fn start() -> World {
        let scratch = Path::new(env!("CARGO_TARGET_TMPDIR")).join("console");
        let _ = std::fs::remove_dir_all(&scratch);
        std::fs::create_dir_all(&scratch).unwrap();
        let (url, engine) = match variable(CLICKHOUSE_URL) {
            Some(url) => (url, None),
            None => {
                let engine = ClickHouse::start(&scratch, ClickHouseOptions::default()).unwrap();
                (engine.url(), Some(engine))
            }
        };
        let database = format!("console_{}", std::process::id());
        let seed = std::env::var("PATCHLINE_SEED").map_or(SEED, |seed| seed.parse().unwrap());
        // What a computer is now goes by the clock, in the database as well.
        let now = Timestamp(Timestamp::now().0 / 1000 * 1000);
        println!("PATCHLINE_SEED={seed}, fleet at {now}");
        let plan = Plan { seed, computers: COMPUTERS, rounds: ROUNDS, bad_clocks: 0, now };
        let fleet = Fleet::of(plan);
        let bodies: &'static Bodies = Box::leak(Box::new(Bodies::of(&fleet)));
        let truth = Truth::read(&fleet, bodies).unwrap();

        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.unwrap();
        let sql = runtime.block_on(load(&fleet, &truth, now, &url, &database));
        let clickhouse =
            ClickHouseConfig { url: url.clone(), database, ..ClickHouseConfig::default() };
        let config = ConsoleConfig {
            silent_after_min: SILENT_MIN,
            // A machine that is busy with other tests is no reason to fail.
            query_timeout_s: 120,
            csv_rows_max: 10_000,
            ..ConsoleConfig::default()
        };
        let page = runtime.block_on(serve(clickhouse, config));
        World {
            url: page,
            clickhouse: url,
            sql,
            truth,
            scratch,
            _engine: engine,
            _runtime: runtime,
        }
    }

    /// Asks the console: the status and the JSON.
    pub(crate) async fn ask(&self, path: &str) -> (u16, Value) {
        let (status, _, body) = get(&format!("{}{path}", self.url)).await;
        (status, serde_json::from_slice(&body).unwrap_or_else(|_| panic!("{path}: no JSON")))
    }

    /// The rows of a whole answer, or of a page, each by the names of its columns.
    pub(crate) async fn rows(&self, path: &str) -> Vec<BTreeMap<String, Value>> {
        self.page(path).await.0
    }

    /// The rows of a page, and how many there are in all.
    pub(crate) async fn page(&self, path: &str) -> (Vec<BTreeMap<String, Value>>, u64) {
        let (status, answer) = self.ask(path).await;
        assert_eq!(status, 200, "{path}: {answer}");
        let names = answer["columns"].as_array().unwrap().iter();
        let names: Vec<&str> = names.map(|column| column["name"].as_str().unwrap()).collect();
        let rows = answer["rows"].as_array().unwrap().iter().map(|row| {
            let values = row.as_array().unwrap();
            names
                .iter()
                .zip(values)
                .map(|(name, value)| ((*name).to_owned(), value.clone()))
                .collect()
        });
        (rows.collect(), answer["total"].as_u64().unwrap())
    }
}

/// Starts a console; gives its address.
pub(crate) async fn serve(clickhouse: ClickHouseConfig, config: ConsoleConfig) -> String {
    let metrics = Metrics::new(&Registry::new()).unwrap();
    let store = Store::new(&clickhouse, &config, metrics.clone());
    let listener: TcpListener = web::bind(([127, 0, 0, 1], 0).into()).await.unwrap();
    let address = listener.local_addr().unwrap();
    let console = Console::new(query::all().unwrap(), store, config, metrics);
    tokio::spawn(console.serve(listener, CancellationToken::new()));
    format!("http://{address}")
}

/// `GET url`: status, headers and body.
pub(crate) async fn get(url: &str) -> (u16, axum::http::HeaderMap, Vec<u8>) {
    let client = Http::builder(TokioExecutor::new()).build_http::<Empty<bytes::Bytes>>();
    let request = Request::get(url).body(Empty::new()).unwrap();
    let answer = client.request(request).await.unwrap_or_else(|error| panic!("{url}: {error:?}"));
    let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    (status, headers, body.to_vec())
}

/// When a report of `time` reached Patchline.
fn received(time: Timestamp) -> Timestamp {
    Timestamp(time.0 + 1_500)
}

async fn load(
    fleet: &Fleet,
    truth: &Truth<'_>,
    now: Timestamp,
    url: &str,
    database: &str,
) -> clickhouse::Client {
    let config = patchline_sink::config::ClickHouseConfig {
        url: url.to_owned(),
        database: database.to_owned(),
        ..patchline_sink::config::ClickHouseConfig::default()
    };
    migrate(&config).await.unwrap();
    let store = patchline_sink::store::Store::new(&config);
    let transform = Transform::new(Codec::new().unwrap(), Arc::new(catalog(fleet)));
    let scans = encoded(truth.scans.iter().map(|(scan, _)| scan), received);
    put(&store, Source::Scans, enriched(&transform, Raw::Scans, scans)).await;
    let progress = encoded(&truth.run_progress, received);
    put(&store, Source::RunProgress, enriched(&transform, Raw::RunProgress, progress)).await;
    let strange = [MARKUP, FORMULA].map(|name| Heartbeat {
        report_id: Uuid::new_v5(&Uuid::NAMESPACE_DNS, name.as_bytes()),
        source_computer_id: Uuid::new_v5(&Uuid::NAMESPACE_URL, name.as_bytes()).to_string().into(),
        computer: name.into(),
        time_generated: now,
        os_type: "Linux".into(),
        management_group_name: "Strange".into(),
        ..Heartbeat::default()
    });
    put(&store, Source::Heartbeats, encoded(truth.heartbeats.iter().chain(&strange), received))
        .await;
    put(&store, Source::Events, encoded(&truth.events, received)).await;
    put(&store, Source::UpdateDeployments, encoded(&deployments(now), received)).await;
    store.client().clone()
}

/// One that is yet to come, one that runs, and one that is over.
fn deployments(now: Timestamp) -> [UpdateDeployment<'static>; 3] {
    let define = |name: &'static str, hours: i64, minutes: i32, computers: &str| {
        let start = Timestamp(now.0 + hours * HOUR_MS);
        let mut definition = UpdateDeployment {
            report_id: Uuid::new_v5(&Uuid::NAMESPACE_DNS, name.as_bytes()),
            name: name.into(),
            time_generated: Timestamp(now.0 - 72 * HOUR_MS),
            schedule: Schedule::OneTime,
            time_zone: "UTC".into(),
            start_time: start.to_string()[..19].to_owned().into(),
            duration_minutes: minutes,
            computers: vec![computers.to_owned()],
            ..UpdateDeployment::default()
        };
        deployment::complete(&mut definition).unwrap();
        definition
    };
    [
        define("next week", 7 * 24, 120, "*"),
        define("now", -1, 360, "*"),
        define(RUN, -10, 300, "nobody"),
    ]
}
