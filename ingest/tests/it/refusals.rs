//! What the gateway does not take, and how it says so. Nothing of it reaches Kafka, and it costs a
//! bounded amount of memory.

use std::process::Command;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::stack::{
    ENCODINGS, JSON, LINUX_AGENT, MEMORY_MAX, Stack, directory, encode, heartbeat, shared_kafka,
    snapshot,
};

#[tokio::test(flavor = "multi_thread")]
async fn every_refusal_says_why_and_keeps_nothing() {
    let stack = Stack::start("refusals", &shared_kafka(), "").await;
    let text = json!([heartbeat("a"), {"Computer": "b"}]).to_string();
    let refused = async |path: &str, headers: &[(&str, &str)], body: Vec<u8>| -> (u16, Value) {
        let answer = stack.post(path, headers, body).await;
        assert_eq!(answer.header("content-type"), "application/problem+json", "{answer:?}");
        let problem = answer.json();
        assert_eq!(problem["status"], answer.status.as_u16());
        for member in ["type", "title", "detail"] {
            assert!(problem[member].as_str().is_some_and(|text| !text.is_empty()), "{problem}");
        }
        (answer.status.as_u16(), problem)
    };

    let (status, problem) = refused("/v1/heartbeats", &[JSON], text.clone().into()).await;
    assert_eq!(
        (status, &problem["item"], &problem["field"]),
        (400, &json!(1), &json!("SourceComputerId"))
    );

    let mut misspelt = heartbeat("a");
    misspelt["Versoin"] = json!("1");
    let (status, problem) = refused("/v1/heartbeats", &[JSON], misspelt.to_string().into()).await;
    assert_eq!((status, &problem["field"]), (400, &json!("Versoin")));

    let bad = snapshot("a", 3).replacen("NotNeeded", "Wanted", 1);
    let (status, problem) =
        refused(LINUX_AGENT, &[("content-encoding", "deflate")], encode("deflate", bad.as_bytes()))
            .await;
    assert_eq!(
        (status, &problem["item"], &problem["field"]),
        (400, &json!(0), &json!("Collections[1].UpdateState"))
    );

    let (status, problem) = refused(
        LINUX_AGENT,
        &[],
        json!({"DataType": "LINUX_SYSLOGS_BLOB", "DataItems": []}).to_string().into(),
    )
    .await;
    assert_eq!(status, 422);
    assert!(problem["detail"].as_str().unwrap().contains("LINUX_SYSLOGS_BLOB"));

    assert_eq!(refused("/v1/heartbeats", &[], text.clone().into()).await.0, 415);
    assert_eq!(
        refused("/v1/heartbeats", &[("content-type", "text/xml")], text.clone().into()).await.0,
        415
    );
    assert_eq!(
        refused("/v1/heartbeats", &[JSON, ("content-encoding", "br")], text.clone().into()).await.0,
        415
    );
    assert_eq!(refused("/v1/nothing", &[JSON], text.clone().into()).await.0, 404);
    for body in ["", "{", "\u{feff}[]", "nonsense"] {
        assert_eq!(refused("/v1/scans", &[JSON], body.into()).await.0, 400, "{body}");
        assert_eq!(refused(LINUX_AGENT, &[], body.into()).await.0, 400, "{body}");
    }
    for encoding in ENCODINGS {
        let headers = [JSON, ("content-encoding", encoding)];
        let whole = encode(encoding, heartbeat("a").to_string().as_bytes());
        let cut = whole[..whole.len() / 2].to_vec();
        assert_eq!(refused("/v1/heartbeats", &headers, cut).await.0, 400, "cut {encoding}");
        assert_eq!(
            refused("/v1/heartbeats", &headers, b"[1]".to_vec()).await.0,
            400,
            "no {encoding}"
        );
    }
    let get = stack
        .send(hyper::Method::GET, &format!("http://{}/v1/scans", stack.address()), &[], "".into())
        .await
        .unwrap();
    assert_eq!((get.status.as_u16(), get.header("allow")), (405, "POST"));

    for topic in [&stack.topics.scans, &stack.topics.run_progress, &stack.topics.heartbeats] {
        assert_eq!(stack.kept(topic).len(), 0, "{topic}");
    }
    let metrics = stack.metrics().await;
    for counted in [
        "rejections_total{reason=\"unknown-type\"} 1",
        "rejections_total{reason=\"content-type\"} 2",
        "rejections_total{reason=\"content-encoding\"} 1",
        "requests_total{code=\"422\",endpoint=\"linux-agent\"} 1",
        "requests_in_flight 0",
        "memory_bytes 0",
    ] {
        assert!(
            metrics.contains(&format!("patchline_gateway_{counted}")),
            "{counted} in\n{metrics}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bomb_of_any_kind_is_413_and_costs_little() {
    let stack = Stack::start("bombs", &shared_kafka(), "").await;
    let zeros = vec![0; 200 * 1024 * 1024];
    for encoding in ENCODINGS {
        let bomb = encode(encoding, &zeros);
        assert!(bomb.len() < 2 * 1024 * 1024, "{encoding}: {}", bomb.len());
        for path in ["/v1/scans", LINUX_AGENT] {
            let answer =
                stack.post(path, &[JSON, ("content-encoding", encoding)], bomb.clone()).await;
            assert_eq!(answer.status, 413, "{encoding} {path}: {answer:?}");
        }
    }
    drop(zeros);
    let wire = stack.post("/v1/scans", &[JSON], vec![b' '; 17 * 1024 * 1024]).await;
    assert_eq!(wire.status, 413);
    assert!(wire.json()["detail"].as_str().unwrap().contains("wire"), "{wire:?}");

    // As large as it may be, and costly to refuse: deep, wide, long.
    let size = 63 * 1024 * 1024;
    let del = "\u{7f}".repeat(size);
    for (body, expected) in [
        ("[".repeat(size), 400),
        (format!("{{\"Updates\":[{}{{}}]}}", "{},".repeat(size / 3 - 10)), 400),
        (format!("{{\"Updates\":[{}[]]}}", "[],".repeat(size / 3 - 10)), 400),
        (format!("{{\"RestartPending\":\"{del}\"}}"), 400),
        (format!("[{}0]", "0,".repeat(size / 2 - 10)), 400),
        (format!("[{}{{}}]", " ".repeat(size)), 400),
    ] {
        let bomb = encode("zstd", body.as_bytes());
        let answer = stack.post("/v1/scans", &[JSON, ("content-encoding", "zstd")], bomb).await;
        assert_eq!(answer.status, expected, "{body:.40}: {answer:?}");
    }
    eprintln!("bombs: peak {} MiB", stack.peak_memory() >> 20);
    assert!(stack.peak_memory() < MEMORY_MAX, "{} bytes", stack.peak_memory());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_large_requests_is_taken_in_part_and_never_above_the_bound() {
    let stack = Arc::new(Stack::start("flood", &shared_kafka(), "").await);
    let updates: Vec<Value> = (0..1000)
        .map(|at| json!({"Product": format!("package-{at}"), "UpdateState": "Needed"}))
        .collect();
    let scan = json!({
        "SourceComputerId": "id", "Computer": "c", "TimeGenerated": "2017-06-01T12:00:00Z",
        "OSType": "Linux", "Updates": updates,
    });
    let body = encode("zstd", Value::from(vec![scan; 500]).to_string().as_bytes());
    let mut posts = tokio::task::JoinSet::new();
    for _ in 0..48 {
        let (stack, body) = (Arc::clone(&stack), body.clone());
        posts.spawn(async move {
            stack.post("/v1/scans", &[JSON, ("content-encoding", "zstd")], body).await
        });
    }
    let (mut taken, mut later) = (0, 0);
    while let Some(answer) = posts.join_next().await {
        let answer = answer.unwrap();
        match answer.status.as_u16() {
            200 => taken += 1,
            503 => {
                assert_eq!(answer.header("retry-after"), "5");
                later += 1;
            }
            other => panic!("{other}: {answer:?}"),
        }
    }
    assert!(taken > 0, "{taken} taken, {later} put off");
    assert!(stack.peak_memory() < MEMORY_MAX, "{} bytes", stack.peak_memory());
    eprintln!("flood: {taken} taken, {later} put off, peak {} MiB", stack.peak_memory() >> 20);
    assert!(stack.kept(&stack.topics.scans).len() >= taken * 500);
}

#[test]
fn wrong_settings_are_named_before_anything_starts() {
    let file = directory("settings").join("gateway.toml");
    let check = |toml: &str| {
        std::fs::write(&file, toml).unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_patchline-gateway"))
            .args(["--check-config", "--config"])
            .arg(&file)
            .output()
            .unwrap();
        (output.status.success(), String::from_utf8(output.stderr).unwrap())
    };
    let sound = "[gateway]\nlisten = \"127.0.0.1:0\"\nworkspace_id = \"6f1f3b1c-7c5e-4a57-8a43-0d2a3c1f9e10\"\n";
    assert_eq!(check(sound), (true, String::new()));
    let (sound, error) = check("[gateway]\nlisten_on = \"127.0.0.1:0\"\n");
    assert!(!sound && error.contains("listen_on"), "{error}");
    let (sound, error) = check("[kafka.settings]\nacks = \"1\"\n");
    assert!(!sound && error.contains("acks"), "{error}");
}
