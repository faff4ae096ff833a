//! How fast the sink brings rows from Kafka into ClickHouse, next to what the two ends can do alone.
//!
//! `cargo bench -p patchline-sink`, with `ROWS=` for the size. One run measures, with the same rows:
//! a bare consumer on the topic, the engine inserting its own `FORMAT Native` output from memory, the sink's
//! blocks from memory, decoding and encoding alone, and the sink as a process. Nothing is asserted.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    dead_code,
    missing_docs,
    reason = "a benchmark is a test that prints; it uses a part of the tests' fixture"
)]

#[path = "../tests/it/fixture.rs"]
mod fixture;

use std::time::{Duration, Instant};

use futures_util::future::try_join_all;
use patchline_schemas::{EnrichedUpdate, Timestamp, Update, UpdateState, Verdict};
use patchline_sink::batch::{Batch, Block, Message, Source};
use patchline_sink::store::Store;
use rdkafka::Message as _;
use rdkafka::consumer::{BaseConsumer, Consumer};

use fixture::{NOW, World, scan};

const UPDATES: usize = 600;
const PARTITIONS: i32 = 4;

/// Updates of one computer of a fleet whose members mostly have the same packages.
fn updates(computer: usize) -> Vec<EnrichedUpdate<'static>> {
    (0..UPDATES)
        .map(|at| {
            // Every tenth package is one that only some computers have.
            let package = if at % 10 == 0 { 1000 + (at * 7 + computer * 13) % 3000 } else { at };
            let needed = at % 30 == 0;
            let advisory = format!("USN-{}-1", 3000 + package % 700);
            EnrichedUpdate {
                update: Update {
                    update_state: if needed { UpdateState::Needed } else { UpdateState::NotNeeded },
                    title: format!("libpackage{package}-common").into(),
                    product: format!("libpackage{package}-common").into(),
                    product_arch: if at % 5 == 0 { "all" } else { "amd64" }.into(),
                    product_version: format!("0:1.{}.{}-2ubuntu{}", package % 40, at % 9, at % 4)
                        .into(),
                    package_repository: if needed { "Ubuntu:16.04/xenial-updates" } else { "" }
                        .into(),
                    published_date: needed
                        .then_some(Timestamp(NOW - 86_400_000 * (at as i64 % 90))),
                    ..Update::default()
                },
                verdict: if needed {
                    Verdict {
                        classification: "Security Updates".into(),
                        classification_source: "catalog".into(),
                        advisory_ids: advisory.clone().into(),
                        bulletin_id: advisory.into(),
                        cve_numbers: format!("CVE-2017-{};CVE-2017-{}", 1000 + at, 2000 + at)
                            .into(),
                        package_severity: "medium".into(),
                        ..Verdict::default()
                    }
                } else {
                    Verdict {
                        classification: "Other Updates".into(),
                        classification_source: "default".into(),
                        ..Verdict::default()
                    }
                },
            }
        })
        .collect()
}

/// CPU seconds and the most memory in MB that the process has taken.
fn usage(pid: u32) -> (f64, f64) {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    let ticks: f64 = fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap();
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let peak: f64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
    (ticks / 100.0, peak / 1024.0)
}

fn line(what: &str, rows: usize, took: Duration, note: &str) {
    let rate = rows as f64 / took.as_secs_f64();
    println!("{what:<52} {:>9.0} rows/s  {note}", rate);
}

async fn insert_all(store: &Store, blocks: &[Block], at_once: usize, run: &str) -> Duration {
    let started = Instant::now();
    for (number, some) in blocks.chunks(at_once).enumerate() {
        let inserts = some.iter().enumerate().map(|(at, block)| async move {
            store.insert(block, &format!("{run}-{number}-{at}")).await
        });
        try_join_all(inserts).await.unwrap();
    }
    started.elapsed()
}

#[tokio::main]
async fn main() {
    if std::env::args().any(|argument| argument == "--list") {
        return;
    }
    let wanted: usize = std::env::var("ROWS").map_or(4_800_000, |rows| rows.parse().unwrap());
    let scans = wanted / UPDATES;
    let world = World::migrated("bench", PARTITIONS).await;

    let mut messages = Vec::with_capacity(scans);
    for number in 0..scans {
        // A fifth as many computers as scans: each one scans five times.
        let computer = number % (scans / 5).max(1);
        let name = format!("5c0a7d6e-0000-4000-8000-{computer:012}");
        let scan = scan(&name, number as u32, number as i64, updates(computer));
        let mut payload = Vec::new();
        world.codec.encode(&scan, &mut payload).unwrap();
        messages.push((name, payload));
    }
    let rows = scans * UPDATES;
    let bytes: usize = messages.iter().map(|(_, payload)| payload.len()).sum();
    println!(
        "{scans} scans of {UPDATES} updates: {rows} rows, {} MB as Avro, {PARTITIONS} partitions\n",
        bytes / 1_000_000
    );
    let without_history = World::migrated("bench", PARTITIONS).await;
    for statement in [
        "RENAME TABLE update_history_rows TO kept_update_history_rows",
        "CREATE TABLE update_history_rows AS kept_update_history_rows ENGINE = Null",
    ] {
        without_history.client.query(statement).execute().await.unwrap();
    }
    let topic = world.topics.enriched_scans.clone();
    for world in [&world, &without_history] {
        for chunk in messages.chunks(200) {
            let topic = &world.topics.enriched_scans;
            let sends = chunk.iter().map(|(key, payload)| world.send_bytes(topic, key, payload));
            futures_util::future::join_all(sends).await;
        }
    }

    // The limits.
    let consumer: BaseConsumer = world
        .kafka
        .client("bench", &[("group.id", "bare"), ("auto.offset.reset", "earliest")])
        .create()
        .unwrap();
    consumer.subscribe(&[&topic]).unwrap();
    let mut started = None;
    let mut read = 0;
    while read < scans {
        if let Some(message) = consumer.poll(Duration::from_millis(200)) {
            message.unwrap().payload().unwrap();
            started.get_or_insert_with(Instant::now);
            read += 1;
        }
    }
    line("bare consumer on the topic", rows, started.unwrap().elapsed(), "");
    drop(consumer);

    let started = Instant::now();
    let mut blocks = Vec::new();
    for chunk in messages.chunks(100_000 / UPDATES) {
        let mut batch = Batch::new(Source::Scans, 0);
        for (offset, (_, payload)) in chunk.iter().enumerate() {
            let message = Message {
                offset: offset as i64,
                timestamp: Timestamp(NOW),
                key: None,
                payload: payload.clone(),
            };
            batch.push(&world.codec, message);
        }
        blocks.extend(batch.blocks().into_iter().filter(|block| block.table == "update_rows"));
    }
    line("decode Avro and encode blocks, one thread", rows, started.elapsed(), "");

    let store = Store::new(&world.clickhouse);
    let truncate = "TRUNCATE TABLE update_rows";
    insert_all(&store, &blocks[..blocks.len().min(4)], 1, "warm").await;
    let mut limit: f64 = 0.0;
    let mut own = Vec::new();
    for block in &blocks {
        world.client.query(truncate).execute().await.unwrap();
        store.insert(block, &format!("own-{}", own.len())).await.unwrap();
        let mut cursor =
            world.client.query("SELECT * FROM update_rows").fetch_bytes("Native").unwrap();
        let data = cursor.collect().await.unwrap();
        own.push(Block { data, columns: block.columns, ..*block });
    }
    for (what, blocks) in [("engine's own Native output", &own), ("the sink's blocks", &blocks)] {
        for at_once in [1, 2] {
            world.client.query(truncate).execute().await.unwrap();
            let took = insert_all(&store, blocks, at_once, &format!("{what}{at_once}")).await;
            limit = limit.max(rows as f64 / took.as_secs_f64());
            line(&format!("{what} from memory, {at_once} at a time"), rows, took, "");
        }
    }
    for (table, _) in patchline_sink::tables::TABLES {
        world.client.query(&format!("TRUNCATE TABLE {table}")).execute().await.unwrap();
    }
    drop((messages, blocks, own));

    // The sink, and next to it one that keeps no history: the difference is what the history costs.
    sink(&world, scans, Some(limit)).await;
    sink(&without_history, scans, None).await;
}

/// Runs the sink as a process until the rows of all scans are committed.
async fn sink(world: &World, scans: usize, limit: Option<f64>) {
    let rows = scans * UPDATES;
    let what =
        if limit.is_some() { "sink: Kafka to rows committed" } else { "the same without history" };
    let admin = format!("127.0.0.1:{}", patchline_local::free_port().unwrap());
    let sink = world.start(&[
        ("SINK__BATCH_AGE_MAX_MS", "1000"),
        ("LOG__FILTER", "warn"),
        ("ADMIN__LISTEN", &admin),
    ]);
    let count = "SELECT count() FROM update_rows";
    let mut started = None;
    world.client.query("SYSTEM STOP MERGES computer_scans").execute().await.unwrap();
    let mut stored = 0;
    while stored < scans as u64 {
        stored = world.number("SELECT count() FROM computer_scans").await;
        if started.is_none() && world.number(count).await > 0 {
            started = Some((Instant::now(), world.number(count).await));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let (started, before) = started.unwrap();
    let took = started.elapsed();
    let (cpu, peak) = usage(sink.pid());
    let measured = rows - before as usize;
    let rate = measured as f64 / took.as_secs_f64();
    let note = limit.map(|limit| format!("{:.0} % of the engine's best", 100.0 * rate / limit));
    line(what, measured, took, &note.unwrap_or_default());
    println!("{:<52} {:>9.0} rows/s per core of its own", "", rows as f64 / cpu);
    println!("{:<52} {peak:>9.0} MB most memory", "");
    let metrics = metrics(&admin);
    let metric = |name: &str| {
        let lines = metrics.lines().filter(|line| line.starts_with(name));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum::<f64>()
    };
    let mean = |name: &str, labels: &str| {
        let count = metric(&format!("{name}_count{labels}")).max(1.0);
        1000.0 * metric(&format!("{name}_sum{labels}")) / count
    };
    println!(
        "{:<52} {:>9.0} batches; {:.0} commits of {:.1} ms on average; inserts:",
        "",
        metric("patchline_sink_batches_total"),
        metric("patchline_sink_commit_seconds_count"),
        mean("patchline_sink_commit_seconds", ""),
    );
    for table in ["update_rows", "update_history_rows", "update_summary_rows", "computer_scans"] {
        let mean = mean("patchline_sink_insert_seconds", &format!("{{table=\"{table}\"}}"));
        println!("{:<52} {mean:>9.1} ms for {table}", "");
    }
}

/// The sink's own figures.
fn metrics(admin: &str) -> String {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(admin).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}
