//! The whole path under load while its parts are killed at random; then the books are balanced: every
//! report that the gateway acknowledged is shown once, or dead-lettered, and `Update` shows each computer's
//! newest scan.
//!
//! Needs `make engines`, Java 17 or later, and the workspace's binaries built beside this one (as `make test`
//! does). `KILLS=200` makes a long run of it; `PATCHLINE_SEED=…` repeats a schedule.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failing test should stop at once; clippy.toml does not reach the helpers here"
)]

use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use patchline_local::fleet::{Fleet, Plan};
use patchline_local::ledger::Books;
use patchline_local::sender::{Sender, SenderOptions};
use patchline_local::stack::{Stack, StackOptions, Stage, clear};
use patchline_schemas::Timestamp;

/// Kills of a stage in a short run; restarts of the engines come on top.
const KILLS: u32 = 24;

/// How long nothing may move before the books are closed as they are. Longer than a transaction that a
/// killed producer left open, and than a session of a killed consumer.
const PATIENCE: Duration = Duration::from_secs(90);

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().unwrap())
}

/// Kills and restarts parts of the stack.
fn havoc(stack: &mut Stack, random: &mut fastrand::Rng, kills: u32) {
    for kill in 1..=kills {
        // The pauses are the schedule: nothing is awaited here.
        std::thread::sleep(Duration::from_millis(random.u64(50..1500)));
        let mut stage = Stage::ALL[random.usize(0..Stage::ALL.len())];
        if kill % 16 == 3 {
            stage = Stage::Sink;
        }
        let frozen = random.u8(0..6) == 0;
        if frozen && let Some(process) = stack.process(stage) {
            process.signal(libc::SIGSTOP).unwrap();
            std::thread::sleep(Duration::from_millis(random.u64(100..3000)));
        }
        // An engine is away while the stage starts: it has to wait for it.
        let clickhouse = kill % 8 == 3;
        let kafka = kill % 12 == 6;
        if clickhouse {
            stack.clickhouse().unwrap().kill().unwrap();
        }
        if kafka {
            stack.kafka().unwrap().kill().unwrap();
        }
        stack.kill(stage).unwrap();
        stack.spawn(stage).unwrap();
        if clickhouse {
            stack.clickhouse().unwrap().restart().unwrap();
        }
        if kafka {
            stack.kafka().unwrap().restart().unwrap();
        }
        let engine = match (clickhouse, kafka) {
            (true, _) => ", ClickHouse killed",
            (_, true) => ", Kafka killed",
            _ => "",
        };
        println!(
            "kill {kill}: {}{}{engine}",
            stage.name(),
            if frozen { " (frozen first)" } else { "" }
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_killed_the_books_balance() {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let seed = number("PATCHLINE_SEED").unwrap_or(u64::from(now.subsec_nanos()));
    let kills = number("KILLS").map_or(KILLS, |kills| u32::try_from(kills).unwrap());
    println!("PATCHLINE_SEED={seed} KILLS={kills}");

    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("kills");
    clear(&directory).unwrap();
    let fleet = |number: u64| {
        let now = Timestamp::now();
        Fleet::of(Plan {
            seed: seed.wrapping_add(number),
            computers: 24,
            rounds: 3,
            bad_clocks: 2,
            now,
        })
    };
    std::fs::create_dir_all(&directory).unwrap();
    let feeds = directory.join("feeds");
    fleet(0).write_feeds(&feeds).unwrap();
    let options = StackOptions {
        feeds: Some(feeds),
        existing_servers: false,
        environment: vec![("PATCHLINE_SINK__SINK__BATCH_AGE_MAX_MS".to_owned(), "100".to_owned())],
        ..StackOptions::under(&directory)
    };
    let mut stack =
        tokio::task::spawn_blocking(|| Stack::start(options, &|_| {})).await.unwrap().unwrap();
    let books =
        Books::open(stack.clickhouse_client(), &stack.kafka_config(), &stack.topics().dead_letters)
            .unwrap();
    let sender = Sender::new(
        stack.gateway_url(),
        SenderOptions {
            attempt_timeout: Duration::from_secs(20),
            patience: Duration::from_secs(300),
            // Agents that did not hear the answer.
            repeat_every: Some(20),
            // Load without a pause, and little enough that the books are settled soon afterwards.
            concurrency: 4,
        },
    );

    let over = Arc::new(AtomicBool::new(false));
    let killer = {
        let over = Arc::clone(&over);
        tokio::task::spawn_blocking(move || {
            havoc(&mut stack, &mut fastrand::Rng::with_seed(seed), kills);
            over.store(true, Ordering::Relaxed);
            stack
        })
    };
    let (mut sent, mut retries, mut expected) = (HashSet::new(), 0, BTreeMap::new());
    for number in 0.. {
        if over.load(Ordering::Relaxed) {
            break;
        }
        let fleet = fleet(number);
        let heard = |acknowledged: patchline_local::sender::Acknowledged| {
            retries += acknowledged.retries;
            sent.extend(acknowledged.reports.iter().map(|report| report.id));
        };
        sender.send_all(fleet.requests(), heard).await.unwrap();
        expected.append(&mut fleet.expected());
    }
    let mut stack = killer.await.unwrap();
    println!(
        "{} reports of {} computers acknowledged, {retries} attempts in vain",
        sent.len(),
        expected.len()
    );

    let mut moved = (Instant::now(), 0);
    let ledger = loop {
        stack.check().unwrap();
        let ledger = books.settle(&sent, &expected).await.unwrap();
        if ledger.balances() || moved.0.elapsed() > PATIENCE {
            break ledger;
        }
        let settled = ledger.stored + ledger.dead_lettered;
        if settled != moved.1 {
            moved = (Instant::now(), settled);
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    };
    println!("{ledger}");
    assert!(
        ledger.balances(),
        "{ledger}; computers with wrong rows: {:?}; seed {seed}",
        ledger.wrong_computers
    );
    assert!(ledger.dead_lettered > 0, "the bad clocks were not rejected");
    tokio::task::spawn_blocking(move || stack.stop().unwrap()).await.unwrap();
}
