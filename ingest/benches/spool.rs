//! What the spool costs and what a replay does to live reports.
//!
//! First: reports a second that the real gateway answers over 64 connections, each report in a request of
//! its own, beside a bare append and fdatasync of the same bytes on the same disk in the same run. Then: how
//! long live reports wait for their answers before and while what has waited out an outage is replayed.
//!
//! `SPOOL_MB` sets how much has waited, 100 MB by default. Needs what the integration tests need.
//! `cargo bench -p patchline-ingest --bench spool`

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    reason = "a bench stops at the first surprise"
)]

#[allow(dead_code, reason = "the tests use more of it")]
#[path = "../tests/it/stack.rs"]
mod stack;

use std::fs::File;
use std::io::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use stack::{JSON, LINUX_AGENT, Stack, directory, encode, heartbeat, shared_kafka, snapshot};
use tokio::time::{MissedTickBehavior, interval};

const CONNECTIONS: usize = 64;
const WARM_UP: Duration = Duration::from_secs(2);
const MEASURED: Duration = Duration::from_secs(8);
const PACKAGES: usize = 619;

/// Live reports a second in the second part: little beside what the gateway can do.
const LIVE_PER_S: u32 = 200;

/// Nobody listens there.
const NO_KAFKA: &str = "127.0.0.1:1";

#[tokio::main]
async fn main() {
    let scan = encode("deflate", snapshot("web-1", PACKAGES).as_bytes());
    let beat = heartbeat("web-1").to_string().into_bytes();
    acknowledged("heartbeats", "/v1/heartbeats", "identity", beat).await;
    acknowledged("scans", LINUX_AGENT, "deflate", scan).await;
    replay().await;
}

async fn acknowledged(name: &str, path: &'static str, encoding: &'static str, body: Vec<u8>) {
    let stack = Arc::new(Stack::start(&format!("bench-{name}"), &shared_kafka(), "").await);
    let body = Bytes::from(body);
    post(&stack, path, encoding, &body, WARM_UP).await;
    let payload = stack.kept(if path == LINUX_AGENT {
        &stack.topics.scans
    } else {
        &stack.topics.heartbeats
    })[0]
        .payload
        .len();
    let alone = append(name, payload, 1);
    let grouped = append(name, payload, CONNECTIONS);
    let (cpu, commits) = (stack.cpu_seconds(), stack.metric("spool_commits_total").await.unwrap());
    let started = Instant::now();
    let mut took = post(&stack, path, encoding, &body, MEASURED).await;
    let elapsed = started.elapsed().as_secs_f64();
    let cpu = (stack.cpu_seconds() - cpu) / elapsed;
    let commits = (stack.metric("spool_commits_total").await.unwrap() - commits) / elapsed;
    took.sort_unstable();
    let rate = took.len() as f64 / elapsed;
    println!("{name} of {payload} bytes over {CONNECTIONS} connections: {rate:.0}/s answered");
    println!("  p50 {:?}, p99 {:?}", took[took.len() / 2], took[took.len() * 99 / 100]);
    println!("  gateway: {cpu:.2} processors, {commits:.0} commits/s, {} left", left(&stack).await);
    println!("  append + fdatasync of each: {alone:.0}/s, {:.0} %", 100.0 * rate / alone);
    println!("  of {CONNECTIONS} together: {grouped:.0}/s, {:.0} %", 100.0 * rate / grouped);
}

async fn left(stack: &Stack) -> f64 {
    stack.metric("spool_reports").await.unwrap()
}

/// How many reports of `bytes` a second get to the disk by appending, `group` with each fdatasync.
fn append(name: &str, bytes: usize, group: usize) -> f64 {
    let mut file = File::create(directory(&format!("append-{name}")).join("file")).unwrap();
    let block = vec![0x5a; bytes * group];
    let (started, mut reports) = (Instant::now(), 0);
    while started.elapsed() < Duration::from_secs(3) {
        file.write_all(&block).unwrap();
        file.sync_data().unwrap();
        reports += group;
    }
    reports as f64 / started.elapsed().as_secs_f64()
}

/// Posts `body` over and over for `period`. How long each answer took.
async fn post(
    stack: &Arc<Stack>,
    path: &'static str,
    encoding: &'static str,
    body: &Bytes,
    period: Duration,
) -> Vec<Duration> {
    let deadline = Instant::now() + period;
    let mut senders = tokio::task::JoinSet::new();
    for _ in 0..CONNECTIONS {
        let (stack, body) = (Arc::clone(stack), body.clone());
        senders.spawn(async move {
            let mut took = Vec::new();
            while Instant::now() < deadline {
                let asked = Instant::now();
                let headers = [JSON, ("content-encoding", encoding)];
                let answer = stack.post(path, &headers, body.clone()).await;
                assert_eq!(answer.status, 200, "{answer:?}");
                took.push(asked.elapsed());
            }
            took
        });
    }
    senders.join_all().await.concat()
}

async fn replay() {
    let megabytes: f64 = std::env::var("SPOOL_MB").map_or(100.0, |text| text.parse().unwrap());
    let mut stack = Stack::start("bench-replay", &shared_kafka(), "").await;
    let before = {
        let stack = Arc::new(stack);
        let before = live(&stack, MEASURED, || false).await;
        print_live("live, nothing to replay", &before);
        let Ok(stack) = Arc::try_unwrap(stack).map_err(drop) else { panic!("still in use") };
        (stack, before)
    };
    let p99_before = before.1.last().map(|_| before.1[before.1.len() * 99 / 100]).unwrap();
    stack = before.0;
    stack.gateway.terminate(Duration::from_secs(30)).unwrap();
    let command = stack.command(NO_KAFKA);
    stack.start_again(command).await;
    let scan = Bytes::from(encode("deflate", snapshot("web-1", PACKAGES).as_bytes()));
    let stack = {
        let stack = Arc::new(stack);
        while stack.metric("spool_bytes").await.unwrap() < megabytes * 1e6 {
            post(&stack, LINUX_AGENT, "deflate", &scan, Duration::from_secs(1)).await;
        }
        let Ok(stack) = Arc::try_unwrap(stack).map_err(drop) else { panic!("still in use") };
        stack
    };
    let mut stack = stack;
    let bytes = stack.metric("spool_bytes").await.unwrap();
    stack.gateway.terminate(Duration::from_secs(30)).unwrap();
    let command = stack.command(&shared_kafka());
    stack.start_again(command).await;
    stack.wait_for("next_hop_up", |up| up == 1.0).await;
    let (stack, started) = (Arc::new(stack), Instant::now());
    let replayed = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let watcher = {
        let (stack, replayed) = (Arc::clone(&stack), Arc::clone(&replayed));
        tokio::spawn(async move {
            while stack.metric("spool_bytes").await.unwrap() > 4e6 {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            replayed.store(true, std::sync::atomic::Ordering::Release);
            started.elapsed()
        })
    };
    let done = || replayed.load(std::sync::atomic::Ordering::Acquire);
    let during = live(&stack, Duration::from_secs(200), done).await;
    let took = watcher.await.unwrap();
    println!("{:.0} MB replayed in {took:?}", bytes / 1e6);
    print_live("live, meanwhile", &during);
    let p99 = during[during.len() * 99 / 100];
    println!("  p99 {:.2} times that of before", p99.as_secs_f64() / p99_before.as_secs_f64());
}

fn print_live(name: &str, took: &[Duration]) {
    let (p50, p99) = (took[took.len() / 2], took[took.len() * 99 / 100]);
    println!("{name}: {} heartbeats, p50 {p50:?}, p99 {p99:?}", took.len());
}

/// Posts [`LIVE_PER_S`] heartbeats a second, whatever the answers take, for `period` or until `over`. Sorted.
async fn live(stack: &Arc<Stack>, period: Duration, over: impl Fn() -> bool) -> Vec<Duration> {
    let deadline = Instant::now() + period;
    let mut ticks = interval(Duration::from_secs(1) / LIVE_PER_S);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut posts = tokio::task::JoinSet::new();
    while Instant::now() < deadline && !over() {
        ticks.tick().await;
        let stack = Arc::clone(stack);
        posts.spawn(async move {
            let asked = Instant::now();
            let body = heartbeat("live").to_string();
            let answer = stack.post("/v1/heartbeats", &[JSON], body).await;
            assert_eq!(answer.status, 200, "{answer:?}");
            asked.elapsed()
        });
    }
    let mut took = posts.join_all().await;
    took.sort_unstable();
    took
}
