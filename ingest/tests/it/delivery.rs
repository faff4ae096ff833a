//! What was answered with 2xx gets to Kafka, whatever happens to Kafka, the gateway or the sender.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use patchline_local::{Kafka, KafkaOptions};
use patchline_schemas::{Codec, Heartbeat, RunProgress, Scan, Timestamp};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::stack::{
    ENCODINGS, JSON, LINUX_AGENT, MEMORY_MAX, Stack, directory, encode, heartbeat, shared_kafka,
    snapshot,
};

#[tokio::test(flavor = "multi_thread")]
async fn what_each_endpoint_takes_is_in_kafka_afterwards() {
    let stack = Stack::start("endpoints", &shared_kafka(), "").await;
    let codec = Codec::new().unwrap();
    let before = Timestamp::now();

    let deflated = [("content-encoding", "deflate"), ("x-request-id", "r-1"), JSON];
    let answer = stack
        .post(LINUX_AGENT, &deflated, encode("deflate", snapshot("web-1", 619).as_bytes()))
        .await;
    assert_eq!((answer.status.as_u16(), &answer.body[..]), (200, &b""[..]), "{answer:?}");
    assert_eq!(answer.header("x-request-id"), "r-1");
    let progress = json!({
        "DataType": "UPDATES_RUN_PROGRESS_BLOB", "IPName": "Updates", "DataItems": [
            {"Computer": "web-1", "UpdateRunName": "june", "UpdateTitle": "bash", "UpdateId": "1",
             "Status": "Succeeded", "TimeStamp": "2017-06-01T12:00:00Z"},
            {"Computer": "web-1", "UpdateRunName": "june", "UpdateTitle": "acl", "UpdateId": "2",
             "Status": "Failed", "TimeStamp": "2017-06-01T12:00:00Z"},
        ],
    });
    let agent = [("x-ms-agent-id", "id-of-web-1")];
    assert_eq!(stack.post(LINUX_AGENT, &agent, progress.to_string()).await.status, 200);
    let alive = json!({
        "DataType": "HEALTH_ASSESSMENT_BLOB", "IPName": "LogManagement", "DataItems": [
            {"Timestamp": "2017-06-01T12:00:00Z", "Computer": "web-1", "OSType": "Linux"},
        ],
    });
    assert_eq!(stack.post(LINUX_AGENT, &agent, alive.to_string()).await.status, 200);

    let kept = stack.kept(&stack.topics.scans);
    assert_eq!((kept.len(), &*kept[0].key), (1, "id-of-web-1"));
    assert!(kept[0].timestamp >= before.0 && kept[0].timestamp <= Timestamp::now().0);
    let scan: Scan<'_> = codec.decode(&kept[0].payload).unwrap();
    assert_eq!((scan.updates.len(), &*scan.computer), (619, "web-1"));
    let kept = stack.kept(&stack.topics.run_progress);
    assert!(kept.iter().all(|message| message.key == "id-of-web-1"));
    let titles: Vec<String> = kept
        .iter()
        .map(|message| {
            codec.decode::<RunProgress<'_>>(&message.payload).unwrap().title.into_owned()
        })
        .collect();
    assert_eq!(titles, ["bash", "acl"]);
    let kept = stack.kept(&stack.topics.heartbeats);
    let beat: Heartbeat<'_> = codec.decode(&kept[0].payload).unwrap();
    assert_eq!((kept.len(), &*beat.computer_ip, &*beat.solutions), (1, "127.0.0.1", "updates"));

    // The native wire: one or many, plain or in any encoding.
    let mut one = heartbeat("win-1");
    one["Updates"] = json!([{"UpdateID": "u"}]);
    let answer = stack.post("/v1/scans", &[JSON], one.to_string()).await;
    assert_eq!(
        (answer.status.as_u16(), &answer.json()["accepted"]),
        (200, &json!(1)),
        "{answer:?}"
    );
    let mut run = heartbeat("win-1");
    run["UpdateRunName"] = json!("june");
    run["InstallationStatus"] = json!("InProgress");
    assert_eq!(stack.post("/v1/run-progress", &[JSON], run.to_string()).await.status, 200);
    for encoding in ENCODINGS {
        let many: Vec<Value> = (0..20).map(|at| heartbeat(&format!("{encoding}-{at}"))).collect();
        let body = encode(encoding, Value::from(many).to_string().as_bytes());
        let answer =
            stack.post("/v1/heartbeats", &[JSON, ("content-encoding", encoding)], body).await;
        let receipt = answer.json();
        assert_eq!((answer.status.as_u16(), &receipt["accepted"]), (200, &json!(20)));
        let kept = stack.kept(&stack.topics.heartbeats);
        let ids: HashSet<String> = kept
            .iter()
            .map(|beat| codec.decode::<Heartbeat<'_>>(&beat.payload).unwrap().report_id.to_string())
            .collect();
        for id in receipt["reportIds"].as_array().unwrap() {
            assert!(ids.contains(id.as_str().unwrap()), "{encoding}");
        }
    }
    let metrics = stack.metrics().await;
    for counted in [
        "reports_total{record=\"heartbeat\"} 61",
        "reports_total{record=\"scan\"} 2",
        "updates_total 620",
    ] {
        assert!(
            metrics.contains(&format!("patchline_gateway_{counted}")),
            "{counted} in\n{metrics}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_request_id_is_harmless() {
    let stack = Stack::start("repeated", &shared_kafka(), "").await;
    let headers = [JSON, ("x-request-id", "f7a0cb2e-8f0e-4c4a-9f0e-3b4f5e1c2d10")];
    let post = async |body: Value| {
        let answer = stack.post("/v1/heartbeats", &headers, body.to_string()).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("x-request-id"), headers[1].1);
        answer.json()["reportIds"][0].clone()
    };
    // A resend is the same report; another body under the same id is another one, and is kept.
    let first = post(heartbeat("a")).await;
    assert_eq!(first, post(heartbeat("a")).await);
    assert_ne!(first, post(heartbeat("b")).await);
    assert_eq!(stack.kept(&stack.topics.heartbeats).len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kafka_that_is_gone_is_nothing_to_a_sender_and_gets_everything_afterwards() {
    let mut kafka = Kafka::start(&directory("killed.kafka"), KafkaOptions::default()).unwrap();
    let settings = "[publisher]\ndelivery_timeout_ms = 3000\n";
    let stack = Arc::new(Stack::start("killed", &kafka.bootstrap(), settings).await);
    let stop = Arc::new(AtomicBool::new(false));
    let senders: Vec<_> = (0..4)
        .map(|sender| {
            let (stack, stop) = (Arc::clone(&stack), Arc::clone(&stop));
            tokio::spawn(async move {
                let mut accepted = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    let body = heartbeat(&format!("{sender}-{}", accepted.len())).to_string();
                    let answer = stack.post("/v1/heartbeats", &[JSON], body).await;
                    assert_eq!(answer.status, 200, "{answer:?}");
                    accepted.push(answer.json()["reportIds"][0].as_str().unwrap().to_owned());
                }
                accepted
            })
        })
        .collect();

    stack.wait_for("forwarded_total{lane=\"live\"}", |reports| reports > 100.0).await;
    tokio::task::block_in_place(|| kafka.kill()).unwrap();
    stack.wait_for("next_hop_up", |up| up == 0.0).await;
    let before = stack.metric("spool_reports").await.unwrap();
    stack.wait_for("spool_reports", |reports| reports > before + 500.0).await;
    assert_eq!(stack.ready().await.unwrap().status, 200, "it takes reports all the same");
    tokio::task::block_in_place(|| kafka.restart()).unwrap();
    stack.wait_for("next_hop_up", |up| up == 1.0).await;
    stop.store(true, Ordering::Relaxed);

    let mut accepted = Vec::new();
    for sender in senders {
        accepted.extend(sender.await.unwrap());
    }
    let codec = Codec::new().unwrap();
    let kept: HashSet<String> = stack
        .kept(&stack.topics.heartbeats)
        .iter()
        .map(|beat| codec.decode::<Heartbeat<'_>>(&beat.payload).unwrap().report_id.to_string())
        .collect();
    assert_eq!(kept, accepted.into_iter().collect());
}

/// A scan near the largest that Kafka takes, whose names do not compress.
fn large_scan() -> String {
    let mut random = 1_u64;
    let updates: Vec<Value> = (0..30_000)
        .map(|_| {
            let mut name = String::new();
            for _ in 0..32 {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                write!(name, "{random:016x}").unwrap();
            }
            json!({"Product": &name[..480], "UpdateState": "Needed"})
        })
        .collect();
    let mut scan = heartbeat("large");
    scan["OSType"] = json!("Linux");
    scan["Updates"] = Value::from(updates);
    scan.to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kafka_that_hangs_costs_neither_memory_nor_reports() {
    let kafka = Kafka::start(&directory("hung.kafka"), KafkaOptions::default()).unwrap();
    let settings = "[publisher]\ndelivery_timeout_ms = 3000\n[spool]\nquota_bytes = 150_000_000\n";
    let stack = Arc::new(Stack::start("hung", &kafka.bootstrap(), settings).await);
    let body = encode("zstd", large_scan().as_bytes());
    let headers = [JSON, ("content-encoding", "zstd")];
    let answer = stack.post("/v1/scans", &headers, body.clone()).await;
    assert_eq!(answer.status, 200, "{answer:?}");

    let signal = |signal| {
        let pid = libc::pid_t::try_from(kafka.pid().unwrap()).unwrap();
        // SAFETY: no memory is involved, and the child is not yet waited for.
        assert_eq!(unsafe { libc::kill(pid, signal) }, 0);
    };
    signal(libc::SIGSTOP);
    let (mut taken, mut put_off) = (0, 0);
    for _ in 0..2 {
        let mut posts = tokio::task::JoinSet::new();
        for _ in 0..12 {
            let (stack, body) = (Arc::clone(&stack), body.clone());
            posts.spawn(async move { stack.post("/v1/scans", &headers, body).await });
        }
        for answer in posts.join_all().await {
            match answer.status.as_u16() {
                200 => taken += 1,
                503 => put_off += 1,
                _ => panic!("{answer:?}"),
            }
        }
    }
    // Ten of them fill the spool.
    assert!(taken > 0 && taken <= 10 && put_off > 0, "{taken} taken, {put_off} put off");
    signal(libc::SIGCONT);
    let kept = stack.kept(&stack.topics.scans).len();
    stack.wait_until_ready().await;
    let answer = stack.post("/v1/scans", &headers, body).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    eprintln!("hung: peak {} MiB", stack.peak_memory() >> 20);
    assert!(stack.peak_memory() < MEMORY_MAX, "{} bytes", stack.peak_memory());
    assert!(kept > taken, "{kept} in Kafka");
    assert!(stack.kept(&stack.topics.scans).len() > kept);
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_lets_a_request_in_flight_finish() {
    let mut stack = Stack::start("drained", &shared_kafka(), "").await;
    // What it takes is handed on before it ends, where that can be done.
    stack.wait_for("next_hop_up", |up| up == 1.0).await;
    let body = heartbeat("late").to_string();
    let mut connection = TcpStream::connect(stack.address()).await.unwrap();
    let head = format!(
        "POST /v1/heartbeats HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let (first, rest) = body.split_at(10);
    connection.write_all(format!("{head}{first}").as_bytes()).await.unwrap();
    stack.wait_until_busy().await;
    stack.gateway.signal(libc::SIGTERM).unwrap();
    let deadline = Instant::now() + Duration::from_secs(10);
    while TcpStream::connect(stack.address()).await.is_ok() {
        assert!(Instant::now() < deadline, "it takes new connections");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(stack.ready().await.unwrap().status, 503);

    connection.write_all(rest.as_bytes()).await.unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let status = tokio::task::block_in_place(|| stack.gateway.wait()).unwrap();
    assert!(status.success(), "{status}");
    assert_eq!(stack.kept(&stack.topics.heartbeats).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_requests_at_once_are_put_off() {
    let settings = "requests_in_flight_max = 1\nrequest_timeout_ms = 5000\n";
    let stack = Stack::start("busy", &shared_kafka(), settings).await;
    let mut slow = TcpStream::connect(stack.address()).await.unwrap();
    let head = "POST /v1/heartbeats HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n[";
    slow.write_all(head.as_bytes()).await.unwrap();
    stack.wait_until_busy().await;
    let answer = stack.post("/v1/heartbeats", &[JSON], heartbeat("a").to_string()).await;
    assert_eq!((answer.status.as_u16(), answer.header("retry-after")), (503, "5"));

    // Who does not send does not keep the slot.
    let mut answer = [0; 12];
    slow.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 408");
    let answer = stack.post("/v1/heartbeats", &[JSON], heartbeat("a").to_string()).await;
    assert_eq!(answer.status, 200);
}
