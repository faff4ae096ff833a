//! How many reports a gateway makes durable a second: a Linux agent's scan of 619 packages,
//! deflated, posted over 32 connections to the real gateway before a real Kafka, both on this
//! machine.
//!
//! Needs what the integration tests need. `cargo bench -p patchline-ingest`

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

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use stack::{JSON, LINUX_AGENT, Stack, encode, shared_kafka, snapshot};

const CONNECTIONS: usize = 32;
const WARM_UP: Duration = Duration::from_secs(3);
const MEASURED: Duration = Duration::from_secs(10);
const PACKAGES: usize = 619;

#[tokio::main]
async fn main() {
    let stack = Arc::new(Stack::start("bench", &shared_kafka(), "").await);
    let plain = snapshot("web-1", PACKAGES);
    let body = Bytes::from(encode("deflate", plain.as_bytes()));
    println!("body: {} bytes, {} deflated", plain.len(), body.len());
    post(&stack, &body, WARM_UP).await;
    let (cpu, started) = (stack.cpu_seconds(), Instant::now());
    let mut took = post(&stack, &body, MEASURED).await;
    let (cpu, elapsed) = (stack.cpu_seconds() - cpu, started.elapsed().as_secs_f64());
    took.sort_unstable();
    let reports = took.len();
    println!(
        "{:.0} reports/s, {:.0} updates/s acknowledged; p50 {:?}, p99 {:?}",
        reports as f64 / elapsed,
        (reports * PACKAGES) as f64 / elapsed,
        took[reports / 2],
        took[reports * 99 / 100],
    );
    println!(
        "gateway: {:.2} processors, {:.2} ms of processor a report, peak {} MiB",
        cpu / elapsed,
        1000.0 * cpu / reports as f64,
        stack.peak_memory() >> 20,
    );
}

/// Posts `body` over and over for `period`. How long each answer took.
async fn post(stack: &Arc<Stack>, body: &Bytes, period: Duration) -> Vec<Duration> {
    let deadline = Instant::now() + period;
    let mut senders = tokio::task::JoinSet::new();
    for _ in 0..CONNECTIONS {
        let (stack, body) = (Arc::clone(stack), body.clone());
        senders.spawn(async move {
            let mut took = Vec::new();
            while Instant::now() < deadline {
                let asked = Instant::now();
                let headers = [JSON, ("content-encoding", "deflate")];
                let answer = stack.post(LINUX_AGENT, &headers, body.clone()).await;
                assert_eq!(answer.status, 200, "{answer:?}");
                took.push(asked.elapsed());
            }
            took
        });
    }
    senders.join_all().await.concat()
}
