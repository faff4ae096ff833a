//! A record grows a field: tables, readers, messages that are still in Kafka, and sinks that do not know it yet.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use patchline_runtime::admin::Readiness;
use patchline_runtime::statistics::KafkaStatistics;
use patchline_schemas::{Codec, Heartbeat};
use patchline_sink::budget::Budget;
use patchline_sink::config::StageConfig;
use patchline_sink::consumer::consume;
use patchline_sink::dead_letters::DeadLetters;
use patchline_sink::letters::{self, Filter};
use patchline_sink::metrics::Metrics;
use patchline_sink::migrate;
use patchline_sink::partition::Shared;
use patchline_sink::store::Store;
use prometheus::Registry;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::fixture::{World, heartbeat};

/// What a program wrote that knew the first version of the record only.
const FIRST_VERSION: &[u8] = include_bytes!("../../../schemas/tests/golden/heartbeat.1.bin");

const LOCATION: &str = "SELECT toJSONString(tuple(Computer, RemoteIPCountry, RemoteIPLatitude, RemoteIPLongitude)) \
     FROM Heartbeat ORDER BY Computer";

fn located(computer: &str, report: u32) -> Heartbeat<'static> {
    Heartbeat {
        remote_ip_country: "Germany".into(),
        remote_ip_latitude: Some(52.5),
        remote_ip_longitude: Some(-13.25),
        ..heartbeat(computer, report)
    }
}

fn statements(text: &str) -> impl Iterator<Item = &str> {
    text.split(";\n").map(str::trim).filter(|statement| !statement.is_empty())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_column_appears_while_readers_go_on_reading() {
    let world = World::new("growth", 1).await;
    let run = async |statement: &str| {
        world.client.query(&statement.replace('?', "??")).execute().await.unwrap();
    };
    let outside = world.client.clone().with_database("default");
    outside.query(&format!("CREATE DATABASE {}", world.name)).execute().await.unwrap();
    for statement in statements(include_str!("../../migrations/0001_tables.sql")) {
        run(statement).await;
    }
    run("INSERT INTO heartbeat_rows (SourceComputerId, Computer, Version) VALUES ('c1', 'old', '8')").await;

    let (stop, reads) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let readers = [
        "SELECT toJSONString(tuple(*)) FROM Heartbeat",
        "SELECT concat(Computer, ' ', Version) FROM Heartbeat",
    ]
    .map(|sql| {
        let (client, stop, reads) = (world.client.clone(), Arc::clone(&stop), Arc::clone(&reads));
        tokio::spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                let rows: Vec<String> = client.query(sql).fetch_all().await?;
                assert_eq!(rows.len(), 1, "{sql}");
                reads.fetch_add(1, Ordering::Relaxed);
            }
            Ok::<(), clickhouse::error::Error>(())
        })
    });
    let go_on = async || {
        let seen = reads.load(Ordering::Relaxed);
        let deadline = Instant::now() + Duration::from_secs(30);
        while reads.load(Ordering::Relaxed) < seen + 20 {
            assert!(Instant::now() < deadline, "the readers have stopped");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    go_on().await;
    for statement in statements(include_str!("../../migrations/0002_heartbeat_location.sql")) {
        run(statement).await;
        go_on().await;
    }
    // As a whole, over what is there already.
    migrate::migrate(&world.clickhouse).await.unwrap();
    go_on().await;
    stop.store(true, Ordering::Relaxed);
    for reader in readers {
        reader.await.unwrap().unwrap();
    }
    assert_eq!(world.texts(LOCATION).await, [r#"["old","",null,null]"#]);
}

#[tokio::test]
async fn messages_of_every_version_are_stored_what_is_missing_by_default() {
    let world = World::migrated("versions", 1).await;
    let mut sink = world.start(&[]);
    world.send_bytes(&world.topics.heartbeats, "c", FIRST_VERSION).await;
    world.send_heartbeat(&located("a", 1)).await;
    world.wait_for("SELECT count() FROM Heartbeat", 2).await;
    assert_eq!(
        world.texts(LOCATION).await,
        [r#"["a.contoso.com","Germany",52.5,-13.25]"#, r#"["web-1.contoso.com","",null,null]"#]
    );
    sink.terminate(Duration::from_secs(20)).unwrap();
}

/// A sink from before the second version of the record, in this process.
fn old_sink(world: &World) -> (CancellationToken, std::thread::JoinHandle<()>) {
    let config = StageConfig {
        instance_id: Some("old".to_owned()),
        batch_age_max_ms: 50,
        ..StageConfig::default()
    };
    let metrics = Metrics::new(&Registry::new()).unwrap();
    let shared = Arc::new(Shared {
        codec: Codec::with_versions(|kind| &kind.versions()[..1]).unwrap(),
        store: Store::new(&world.clickhouse),
        dead_letters: DeadLetters::new(&world.kafka, &world.topics.dead_letters).unwrap(),
        budget: Budget::new(config.buffer_bytes_max, metrics.buffer_bytes.clone()),
        inserts: Arc::new(Semaphore::new(config.inserts_in_flight_max)),
        metrics,
        statistics: KafkaStatistics::new(&Registry::new()).unwrap(),
        config,
    });
    let stop = CancellationToken::new();
    let (kafka, readiness, handle) = (world.kafka.clone(), Readiness::default(), Handle::current());
    let stopped = stop.clone();
    let thread = std::thread::spawn(move || {
        consume(&kafka, &shared, &readiness, &handle, &stopped).unwrap();
    });
    (stop, thread)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_old_sink_cannot_read_is_kept_and_stored_once_after_the_upgrade() {
    let world = World::migrated("upgrade", 1).await;
    let (stop, old) = old_sink(&world);
    let mut payload = Vec::new();
    world.codec.encode(&located("a", 1), &mut payload).unwrap();
    world.send_bytes(&world.topics.heartbeats, "a", &payload).await;
    let deadline = Instant::now() + Duration::from_secs(60);
    let letter = loop {
        let kafka = world.kafka.clone();
        let list = move || letters::list(&kafka, &Filter::default(), 10).unwrap();
        if let [letter] = &tokio::task::spawn_blocking(list).await.unwrap()[..] {
            break letter.clone();
        }
        assert!(Instant::now() < deadline, "no letter came");
    };
    assert_eq!((letter.class.as_str(), letter.is_cut), ("unknown-schema", false));
    assert_eq!(letter.payload_bytes, payload.len());
    assert!(letter.text.contains("upgrade, then replay"), "{}", letter.text);
    stop.cancel();
    tokio::task::spawn_blocking(move || old.join()).await.unwrap().unwrap();

    let mut sink = world.start(&[]);
    let replay = || {
        let command = ["dead-letters", "replay", "--class", "unknown-schema"];
        let output = world.command(&[]).args(command).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        said.lines().last().unwrap().split(" written-twice").next().unwrap().to_owned()
    };
    assert_eq!(replay(), "replayed=1 renewed=0 replayed-before=0");
    world.wait_for("SELECT count() FROM Heartbeat", 1).await;
    assert_eq!(replay(), "replayed=0 renewed=0 replayed-before=1");
    // Whatever the second replay might have sent would come before this one.
    world.send_heartbeat(&located("b", 2)).await;
    world.wait_for("SELECT count() FROM Heartbeat WHERE SourceComputerId = 'b'", 1).await;
    assert_eq!(
        world.number("SELECT count() FROM heartbeat_rows").await,
        2,
        "stored, without FINAL"
    );
    assert_eq!(world.texts(LOCATION).await[0], r#"["a.contoso.com","Germany",52.5,-13.25]"#);
    let received =
        "SELECT toUnixTimestamp64Milli(TimeReceived) FROM Heartbeat WHERE SourceComputerId = 'a'";
    let received: i64 = world.client.query(received).fetch_one().await.unwrap();
    assert_eq!(received, letter.timestamp.0, "it arrived when it first did");
    sink.terminate(Duration::from_secs(20)).unwrap();
}
