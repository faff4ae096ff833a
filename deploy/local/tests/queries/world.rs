//! The known fleet in a database of its own: its reports go through enrichment's transform and the sink's
//! batches into the real engine, without Kafka between.

use std::path::Path;
use std::sync::Arc;

use clickhouse::Client;
use patchline_enrich::{Source as Raw, Transform};
use patchline_local::fleet::{Bodies, Fleet, Plan, Truth};
use patchline_local::stack::{CLICKHOUSE_URL, variable};
use patchline_local::{ClickHouse, ClickHouseOptions};
use patchline_schemas::{Codec, Timestamp};
use patchline_sink::batch::Source;
use patchline_sink::config::ClickHouseConfig;
use patchline_sink::migrate::migrate;
use patchline_sink::store::Store;

use crate::stored::{catalog, encoded, enriched, put};

/// Makes the fleet. With another one, by `PATCHLINE_SEED`, every answer is another and must still be as expected.
const SEED: u64 = 11;

/// 2018-06-19T12:00:00Z, the time that all queries are asked at.
pub(crate) const NOW: Timestamp = Timestamp(1_529_409_600_000);

const COMPUTERS: u32 = 48;
const ROUNDS: u32 = 3;

const MINUTE_MS: i64 = 60_000;

/// The fleet's reports, in the tables and as they were made.
pub(crate) struct World {
    pub(crate) client: Client,
    pub(crate) truth: &'static Truth<'static>,
    _engine: Option<ClickHouse>,
}

/// When a report of `time` reached Patchline: at once, except in the last hour, in which the gateway fell behind
/// more and more.
pub(crate) fn received(time: Timestamp) -> Timestamp {
    let minutes = (NOW.0 - time.0) / MINUTE_MS;
    let late = if minutes < 60 { 10_000 * (60 - minutes) } else { 100 * (minutes % 7) };
    Timestamp(time.0 + 1_500 + late)
}

/// The seed, if it is not the usual one.
pub(crate) fn another_seed() -> Option<u64> {
    std::env::var("PATCHLINE_SEED").ok().map(|seed| seed.parse().unwrap())
}

impl World {
    pub(crate) async fn load() -> World {
        let scratch = Path::new(env!("CARGO_TARGET_TMPDIR")).join("queries");
        let _ = std::fs::remove_dir_all(&scratch);
        std::fs::create_dir_all(&scratch).unwrap();
        let (url, engine) = match variable(CLICKHOUSE_URL) {
            Some(url) => (url, None),
            None => {
                let engine = ClickHouse::start(&scratch, ClickHouseOptions::default()).unwrap();
                (engine.url(), Some(engine))
            }
        };
        let config = ClickHouseConfig {
            url,
            database: format!("queries_{}", std::process::id()),
            ..ClickHouseConfig::default()
        };
        migrate(&config).await.unwrap();

        let seed = another_seed().unwrap_or(SEED);
        println!("PATCHLINE_SEED={seed}, asked at {NOW}");
        let plan = Plan { seed, computers: COMPUTERS, rounds: ROUNDS, bad_clocks: 0, now: NOW };
        let fleet = Fleet::of(plan);
        let bodies: &Bodies = Box::leak(Box::new(Bodies::of(&fleet)));
        let truth: &Truth<'_> = Box::leak(Box::new(Truth::read(&fleet, bodies).unwrap()));

        let transform = Transform::new(Codec::new().unwrap(), Arc::new(catalog(&fleet)));

        let store = Store::new(&config);
        let scans = encoded(truth.scans.iter().map(|(scan, _)| scan), received);
        let scans = enriched(&transform, Raw::Scans, scans);
        let run_progress = encoded(&truth.run_progress, received);
        let run_progress = enriched(&transform, Raw::RunProgress, run_progress);
        put(&store, Source::Scans, scans).await;
        put(&store, Source::RunProgress, run_progress).await;
        put(&store, Source::Heartbeats, encoded(&truth.heartbeats, received)).await;
        put(&store, Source::Events, encoded(&truth.events, received)).await;
        put(&store, Source::OfficeActivity, encoded(&truth.office_activity, received)).await;
        World { client: store.client().clone(), truth, _engine: engine }
    }
}
