//! How fast updates go through, printed as updates per second.
//!
//! `cargo bench -p patchline-enrich --bench throughput` measures the transform alone, on one core, with
//! scans of 618 updates of which 20 are needed, as a fleet sends them that repeats itself. Then it fills a fresh set of topics, of a Kafka of its own or the one in `KAFKA_BOOTSTRAP`,
//! and measures the whole stage on it; `SCANS` says how many scans (default 5000).

#![allow(clippy::unwrap_used, clippy::cast_precision_loss, reason = "a benchmark may stop at once")]

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use patchline_enrich::index::{Index, IndexBuilder};
use patchline_enrich::{Config, Current, LARGE_BLOCK_BYTES, Metrics, Source, Stage, Transform};
use patchline_local::stack::{KAFKA_BOOTSTRAP, clear, variable};
use patchline_local::{Kafka, KafkaOptions};
use patchline_runtime::admin::Readiness;
use patchline_runtime::kafka::{KafkaConfig, create_topics};
use patchline_schemas::{
    Advisory, Codec, PackageFix, Scan, Timestamp, Topics, Update, UpdateState,
};
use prometheus::Registry;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// As many as the real Linux report has that the documents of the original service come with.
const UPDATES: usize = 618;
const NEEDED: usize = 20;
/// Advisories in the catalog.
const ADVISORIES: usize = 50_000;
const PARTITIONS: i32 = 3;

fn main() {
    patchline_runtime::heap::map_blocks_from(LARGE_BLOCK_BYTES);
    let scan = scan();
    let message = encoded(&scan);
    println!("a scan of {UPDATES} updates has {} bytes", message.len());
    transform_alone("empty catalog", IndexBuilder::default().build("none"), &message);
    transform_alone("50k advisories in an index", index(), &message);
    match variable(KAFKA_BOOTSTRAP) {
        Some(bootstrap) => whole_stage(bootstrap, &message),
        None => {
            let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("enrich-bench");
            clear(&directory).unwrap();
            let mut kafka = Kafka::start(&directory, KafkaOptions::default()).unwrap();
            whole_stage(kafka.bootstrap(), &message);
            kafka.stop().unwrap();
        }
    }
}

fn transform_alone(name: &str, catalog: Index, message: &[u8]) {
    let transform = Transform::new(Codec::new().unwrap(), Arc::new(catalog));
    let mut out = Vec::new();
    let mut once = || {
        let counts = transform.apply(Source::Scans, black_box(message), None, &mut out).unwrap();
        black_box(&out);
        counts.updates
    };
    for _ in 0..200 {
        once();
    }
    let began = Instant::now();
    let mut updates = 0;
    while began.elapsed() < Duration::from_secs(3) {
        updates += once();
    }
    let rate = updates as f64 / began.elapsed().as_secs_f64();
    println!("transform, {name}: {rate:.0} updates/s on one core, {:.0} ns each", 1e9 / rate);
}

fn whole_stage(bootstrap: String, message: &[u8]) {
    let scans: usize = std::env::var("SCANS").map_or(5000, |scans| scans.parse().unwrap());
    let prefix = format!("bench-{}", Timestamp::now().0);
    let kafka = KafkaConfig { bootstrap, topic_prefix: prefix.clone(), ..KafkaConfig::default() };
    let topics = Topics::new(&prefix);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let timeout = Duration::from_secs(30);
    runtime.block_on(create_topics(&kafka, &topics.all(), PARTITIONS, 1, timeout)).unwrap();
    let producer: BaseProducer = kafka
        .client("bench", &[("compression.type", "lz4"), ("enable.idempotence", "true")])
        .create()
        .unwrap();
    for number in 0..scans {
        let key = number.to_string();
        let mut record = BaseRecord::to(&topics.scans).key(&key).payload(message);
        while let Err((error, back)) = producer.send(record) {
            assert!(matches!(error, KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull)));
            producer.poll(Duration::from_millis(10));
            record = back;
        }
        producer.poll(Duration::ZERO);
    }
    producer.flush(Duration::from_secs(60)).unwrap();

    let registry = Registry::new();
    let metrics = Metrics::new(&registry).unwrap();
    let config = Config { kafka, ..Config::default() };
    let catalog = Current::new(Arc::new(index()));
    let (codec, shutdown) = (Codec::new().unwrap(), CancellationToken::new());
    let stage =
        Stage::new(config, codec, catalog, metrics.clone(), Readiness::default(), shutdown.clone());
    let running = std::thread::spawn(move || stage.run());
    let all = (scans * UPDATES) as u64;
    let wait = |least: u64| {
        while metrics.updates.get() < least {
            assert!(!running.is_finished(), "the stage ended");
            std::thread::sleep(Duration::from_millis(5));
        }
        (Instant::now(), metrics.updates.get())
    };
    let (began, before) = wait(1);
    let (ended, after) = wait(all);
    shutdown.cancel();
    running.join().unwrap().unwrap();
    let seconds = (ended - began).as_secs_f64();
    println!(
        "whole stage: {:.0} updates/s; {:.1} s for {scans} scans, of them {:.1} s in the transform; {} transactions",
        (after - before) as f64 / seconds,
        seconds,
        metrics.transform_seconds.get_sample_sum(),
        metrics.transaction_seconds.get_sample_count(),
    );
}

/// Every tenth needed package has a few advisories, as have many that no scan lists.
fn index() -> Index {
    let mut builder = IndexBuilder::default();
    for n in 0..ADVISORIES {
        builder.upsert(&Advisory {
            id: format!("USN-{n}-1").into(),
            source: "osv".into(),
            kind: "security".into(),
            severity: "medium".into(),
            bulletin_url: format!("https://example.org/usn-{n}-1").into(),
            cve_numbers: vec![format!("CVE-2017-{n}")],
            package_fixes: vec![PackageFix {
                distribution: "ubuntu".into(),
                release: "16.04".into(),
                package: name(n % 10_000 * 10).into(),
                fixed: format!("1.2.{}-1ubuntu3.{}", n % 10_000 * 10, 8 + n / 10_000).into(),
                ..PackageFix::default()
            }],
            ..Advisory::default()
        });
    }
    builder.build("bench")
}

fn name(package: usize) -> String {
    format!("lib-package-name{package}")
}

fn scan() -> Scan<'static> {
    let update = |n: usize| {
        let needed = n < NEEDED;
        // The needed ones are installed as well, in an older version.
        let package = if needed { n } else { n - NEEDED };
        let revision = if needed { 10 } else { n % 7 };
        Update {
            product: name(package).into(),
            product_arch: "amd64".into(),
            product_version: format!("0:1.2.{package}-1ubuntu3.{revision}").into(),
            update_state: if needed { UpdateState::Needed } else { UpdateState::NotNeeded },
            classification: if needed { "Security Updates" } else { "" }.into(),
            package_repository: if needed { "Ubuntu:16.04/xenial-updates" } else { "" }.into(),
            ..Update::default()
        }
    };
    Scan {
        report_id: Uuid::from_u128(1),
        source_computer_id: "5c0a7d6e-5b5f-4a4e-9d5e-0123456789ab".into(),
        computer: "web-1.contoso.com".into(),
        time_generated: Timestamp(1_500_000_000_000),
        os_type: "Linux".into(),
        os_name: "Ubuntu".into(),
        os_version: "16.04".into(),
        os_full_name: "Ubuntu 16.04".into(),
        management_group_name: "AOI-1".into(),
        source_system: "Linux".into(),
        updates: (0..UPDATES).map(update).collect(),
        ..Scan::default()
    }
}

fn encoded(scan: &Scan<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    Codec::new().unwrap().encode(scan, &mut bytes).unwrap();
    bytes
}
