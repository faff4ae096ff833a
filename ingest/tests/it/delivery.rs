//! What was answered with 2xx is in Kafka, whatever happens to Kafka, the gateway or the sender.

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
async fn each_endpoint_answers_once_its_reports_are_in_kafka() {
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
async fn what_was_acknowledged_survives_a_kill_of_kafka() {
    let mut kafka = Kafka::start(&directory("killed.kafka"), KafkaOptions::default()).unwrap();
    let settings = "retry_after_s = 7\n[publisher]\ndelivery_timeout_ms = 3000\n";
    let stack = Arc::new(Stack::start("killed", &kafka.bootstrap(), settings).await);
    let stop = Arc::new(AtomicBool::new(false));
    let senders: Vec<_> = (0..4)
        .map(|sender| {
            let (stack, stop) = (Arc::clone(&stack), Arc::clone(&stop));
            tokio::spawn(async move {
                let (mut accepted, mut refused, mut slowest) = (Vec::new(), 0, Duration::ZERO);
                for at in 0.. {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    let asked = Instant::now();
                    let body = heartbeat(&format!("{sender}-{at}")).to_string();
                    let answer = stack.post("/v1/heartbeats", &[JSON], body).await;
                    slowest = slowest.max(asked.elapsed());
                    if answer.status == 200 {
                        let id = answer.json()["reportIds"][0].as_str().unwrap().to_owned();
                        accepted.push((id, asked));
                    } else {
                        assert_eq!(answer.status, 503, "{answer:?}");
                        assert_eq!(answer.header("retry-after"), "7");
                        refused += 1;
                        tokio::time::sleep(Duration::from_millis(20)).await;
                    }
                }
                (accepted, refused, slowest)
            })
        })
        .collect();

    tokio::time::sleep(Duration::from_secs(2)).await;
    tokio::task::block_in_place(|| kafka.kill()).unwrap();
    tokio::time::sleep(Duration::from_secs(4)).await;
    let asked = Instant::now();
    let answer = stack.post("/v1/heartbeats", &[JSON], heartbeat("x").to_string()).await;
    assert_eq!(answer.status, 503, "{answer:?}");
    assert!(
        asked.elapsed() < Duration::from_millis(500),
        "known to be away: {:?}",
        asked.elapsed()
    );
    let ready = stack.ready().await.unwrap();
    assert_eq!(ready.status, 503);
    assert!(String::from_utf8_lossy(&ready.body).contains("kafka"));

    tokio::task::block_in_place(|| kafka.restart()).unwrap();
    stack.wait_until_ready().await;
    let restarted = Instant::now();
    tokio::time::sleep(Duration::from_secs(3)).await;
    stop.store(true, Ordering::Relaxed);

    let codec = Codec::new().unwrap();
    let kept: HashSet<String> = stack
        .kept(&stack.topics.heartbeats)
        .iter()
        .map(|beat| codec.decode::<Heartbeat<'_>>(&beat.payload).unwrap().report_id.to_string())
        .collect();
    let (mut before, mut after, mut refused) = (0, 0, 0);
    for sender in senders {
        let (accepted, put_off, slowest) = sender.await.unwrap();
        refused += put_off;
        assert!(slowest < Duration::from_secs(4), "an answer took {slowest:?}");
        for (id, asked) in accepted {
            // The last ones were accepted after the topic was read.
            if asked > restarted + Duration::from_secs(3) {
                continue;
            }
            if asked < restarted {
                before += 1
            } else {
                after += 1
            }
            assert!(kept.contains(&id), "acknowledged and lost: {id}");
        }
    }
    eprintln!("{before} accepted before the restart, {after} after, {refused} put off");
    assert!(before > 0 && after > 0 && refused > 0);
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
    let settings = "[publisher]\ndelivery_timeout_ms = 3000\n";
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
    for _ in 0..3 {
        let mut posts = tokio::task::JoinSet::new();
        for _ in 0..24 {
            let (stack, body) = (Arc::clone(&stack), body.clone());
            posts.spawn(async move {
                let asked = Instant::now();
                (stack.post("/v1/scans", &headers, body).await, asked.elapsed())
            });
        }
        for (answer, took) in posts.join_all().await {
            assert_eq!(answer.status, 503, "{answer:?}");
            // Twenty times what a delivery may take: the answer comes, however busy the machine.
            assert!(took < Duration::from_secs(60), "{took:?}");
        }
    }
    signal(libc::SIGCONT);
    stack.wait_until_ready().await;
    let answer = stack.post("/v1/scans", &headers, body).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    eprintln!("hung: peak {} MiB", stack.peak_memory() >> 20);
    assert!(stack.peak_memory() < MEMORY_MAX, "{} bytes", stack.peak_memory());
    assert!(stack.kept(&stack.topics.scans).len() >= 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_lets_a_request_in_flight_finish() {
    let mut stack = Stack::start("drained", &shared_kafka(), "").await;
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
