//! How long a published advisory takes to be on the rows of a whole fleet.
//!
//! `cargo bench -p patchline-enrich --bench reclassify` stores the newest scans of 50,000 computers
//! (`COMPUTERS` says otherwise) with 200 rows each in a ClickHouse of its own, starts
//! `patchline-reclassify`, and prints for several publications how long it took from their
//! acknowledgement until the binary said that they were applied; and how long a question over all rows takes
//! before, meanwhile and
//! after.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a benchmark may stop at once")]

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use patchline_enrich::advisories::topic;
use patchline_local::stack::clear;
use patchline_local::{ClickHouse, ClickHouseOptions, Kafka, KafkaOptions, Process};
use patchline_runtime::kafka::{KafkaConfig, create_topics};
use patchline_schemas::{Advisory, Codec, PackageFix, Timestamp, Topics};
use patchline_sink::config::ClickHouseConfig;
use rdkafka::producer::{FutureProducer, FutureRecord};

/// Rows of a scan, and how many of them are needed updates.
const ROWS: usize = 200;
const NEEDED: usize = 20;

/// Computers are of three kinds, each with packages of its own: an advisory about one package concerns
/// a third of the fleet.
const KINDS: usize = 3;

/// Computers whose rows one INSERT makes.
const PIECE: usize = 5_000;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(run());
}

async fn run() {
    let computers: usize =
        std::env::var("COMPUTERS").map_or(50_000, |computers| computers.parse().unwrap());
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("reclassify-bench");
    clear(&directory).unwrap();
    let mut kafka_server = Kafka::start(&directory.join("kafka"), KafkaOptions::default()).unwrap();
    let mut clickhouse =
        ClickHouse::start(&directory.join("clickhouse"), ClickHouseOptions::default()).unwrap();
    let kafka = KafkaConfig { bootstrap: kafka_server.bootstrap(), ..KafkaConfig::default() };
    let topics = Topics::default();
    let timeout = Duration::from_secs(30);
    create_topics(&kafka, &[&topics.enriched_scans], 1, 1, timeout).await.unwrap();
    topic::create(&kafka).await.unwrap();
    let config = ClickHouseConfig { url: clickhouse.url(), ..ClickHouseConfig::default() };
    patchline_sink::migrate::migrate(&config).await.unwrap();
    let client =
        clickhouse::Client::default().with_url(&config.url).with_database(&config.database);
    let began = Instant::now();
    fill(&client, computers).await;
    println!(
        "{computers} computers, {} rows, stored in {:.0} s",
        computers * ROWS,
        began.elapsed().as_secs_f64()
    );
    println!("question over all rows: {:.2} s", question(&client).await);

    let codec = Codec::new().unwrap();
    let producer: FutureProducer = kafka.client("bench", &[("acks", "all")]).create().unwrap();
    let log = directory.join("reclassify.log");
    let mut published = 0_u64;
    let mut publish = async |name: &str, packages: Vec<String>| {
        let mut payload = Vec::new();
        codec.encode(&advisory(name, &packages), &mut payload).unwrap();
        let key = format!("osv:{name}");
        let record = FutureRecord::to(&topics.advisories).key(&key).payload(&payload);
        producer.send(record, timeout).await.unwrap();
        published += 1;
        published
    };

    publish("USN-0", vec!["unheard-of".to_owned()]).await;
    let process = start(&kafka, &config, &log);
    let pids = [process.pid(), clickhouse.pid().unwrap()];
    measure("every row, nothing to change", &client, &log, 1, pids).await;
    let needed = |count: usize| (0..count).map(|at| package(at % KINDS, at / KINDS)).collect();
    for (name, id, packages) in [
        ("one package on a third of the computers", "USN-1", needed(1)),
        ("50 packages, on all computers", "USN-2", needed(50)),
        ("one of them not any more", "USN-2", needed(49)),
        ("none of them any more", "USN-2", Vec::new()),
    ] {
        let end = publish(id, packages).await;
        measure(name, &client, &log, end, pids).await;
    }
    println!("question over all rows: {:.2} s", question(&client).await);
    end(process, &mut clickhouse, &mut kafka_server);
}

fn end(mut process: Process, clickhouse: &mut ClickHouse, kafka: &mut Kafka) {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.pid())).unwrap();
    let peak = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    println!("most memory of patchline-reclassify: {}", peak.trim_start_matches("VmHWM:").trim());
    process.terminate(Duration::from_secs(30)).unwrap();
    clickhouse.stop().unwrap();
    kafka.stop().unwrap();
}

/// A package of the computers of one kind; of the first [`NEEDED`] a newer version is available.
fn package(kind: usize, number: usize) -> String {
    format!("package-{kind}-{number}")
}

fn advisory(id: &str, packages: &[String]) -> Advisory<'static> {
    let fix = |package: &String| PackageFix {
        distribution: "ubuntu".into(),
        release: "16.04".into(),
        package: package.clone().into(),
        fixed: "0:1.1-1".into(),
        ..PackageFix::default()
    };
    Advisory {
        id: id.to_owned().into(),
        source: "osv".into(),
        kind: "security".into(),
        severity: "high".into(),
        cve_numbers: (0..20).map(|number| format!("CVE-2026-{number:05}")).collect(),
        published: Some(Timestamp(1_768_000_000_000)),
        package_fixes: packages.iter().map(fix).collect(),
        ..Advisory::default()
    }
}

/// Stores the scans of all computers, as a stage with an empty catalog judged them.
async fn fill(client: &clickhouse::Client, computers: usize) {
    let installed = ROWS - NEEDED;
    let common = format!(
        "number AS N, N % {KINDS} AS K, toString(reinterpretAsUUID(sipHash128(N))) AS Id, \
         fromUnixTimestamp64Milli(toInt64(1768464000000 + N), 'UTC') AS Time, \
         bitShiftLeft(toUInt128(1768464000000 + N), 64) + N AS Version"
    );
    for first in (0..computers).step_by(PIECE) {
        let count = PIECE.min(computers - first);
        let sql = format!(
            "INSERT INTO update_rows (SourceComputerId, Product, ProductArch, ProductVersion, Title, Computer, \
                 TimeGenerated, TimeReceived, UpdateState, Classification, ClassificationSource, CatalogVersion, \
                 Approved, OSType, OSName, OSVersion, OSFullName, SourceSystem, ReportId, ScanVersion, \
                 SourcePartition, SourceOffset) \
             WITH {common}, arrayJoin(range({ROWS})) AS I, \
                 concat('package-', toString(K), '-', toString(if(I < {installed}, I, I - {installed}))) AS P \
             SELECT Id, P, 'amd64', if(I < {installed}, '0:1.0-1', concat('0:1.', toString(1 + N % 4), '-1')), P, \
                 concat('web-', toString(N), '.contoso.com'), Time, Time, \
                 if(I < {installed}, 'Not needed', 'Needed'), 'Other Updates', 'default', 'none', true, \
                 'Linux', 'Ubuntu', '16.04', 'Ubuntu 16.04.3 LTS', 'Linux', toUUID(Id), Version, 0, N \
             FROM numbers({first}, {count})"
        );
        client.query(&sql).execute().await.unwrap();
        let sql = format!(
            "INSERT INTO update_summary_rows (SourceComputerId, TimeGenerated, ReportId, Computer, TimeReceived, \
                 OSType, OtherUpdatesMissing, TotalUpdatesMissing, CatalogVersion, SourcePartition, SourceOffset) \
             WITH {common} SELECT Id, Time, toUUID(Id), concat('web-', toString(N), '.contoso.com'), Time, \
                 'Linux', {NEEDED}, {NEEDED}, 'none', 0, N FROM numbers({first}, {count})"
        );
        client.query(&sql).execute().await.unwrap();
        let sql = format!(
            "INSERT INTO computer_scans (SourceComputerId, ScanVersion, CatalogVersion, SourcePartition, SourceOffset) \
             WITH {common} SELECT Id, Version, 'none', 0, N FROM numbers({first}, {count})"
        );
        client.query(&sql).execute().await.unwrap();
    }
}

fn start(kafka: &KafkaConfig, clickhouse: &ClickHouseConfig, log: &Path) -> Process {
    let mut command = Command::new(env!("CARGO_BIN_EXE_patchline-reclassify"));
    command
        .env("PATCHLINE_RECLASSIFY__KAFKA__BOOTSTRAP", &kafka.bootstrap)
        .env("PATCHLINE_RECLASSIFY__CLICKHOUSE__URL", &clickhouse.url)
        .env("PATCHLINE_RECLASSIFY__LOG__FILTER", "info,patchline_enrich=debug")
        .env("PATCHLINE_RECLASSIFY__ADMIN__LISTEN", "127.0.0.1:0");
    Process::spawn("patchline-reclassify", command, log).unwrap()
}

/// Waits until the publication that ended at `end` is applied, and prints how long it took; meanwhile it
/// asks, again and again, a question that an analyst may ask.
async fn measure(name: &str, client: &clickhouse::Client, log: &Path, end: u64, pids: [u32; 2]) {
    let (began, used) = (Instant::now(), pids.map(cpu_seconds));
    let mut slowest = 0.0_f64;
    let mut asked = None::<Instant>;
    let said = loop {
        // Now and then, or the questions would be what is measured.
        if asked.is_none_or(|at| at.elapsed() > Duration::from_secs(5)) {
            slowest = slowest.max(question(client).await);
            asked = Some(Instant::now());
        }
        let text = std::fs::read_to_string(log).unwrap();
        let is_it = |line: &&str| {
            line.contains("catalog applied")
                && line.trim_end_matches('"').ends_with(&format!("/{end}"))
        };
        if let Some(line) = text.lines().find(is_it) {
            break line.split_once("catalog applied").unwrap().1.trim().to_owned();
        }
        assert!(began.elapsed() < Duration::from_secs(600), "not applied:\n{text}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    let seconds = began.elapsed().as_secs_f64();
    println!("{name}: {seconds:.1} s from published to applied; {said}");
    let [ours, engine] = [0, 1].map(|at: usize| cpu_seconds(pids[at]) - used[at]);
    println!(
        "    seconds of a core: {ours:.1} of patchline-reclassify, {engine:.1} of ClickHouse; \
         question over all rows meanwhile: at most {slowest:.2} s"
    );
}

/// Seconds of a core that a process has used.
fn cpu_seconds(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let (_, numbers) = stat.rsplit_once(')').unwrap();
    let ticks = numbers.split_whitespace().skip(11).take(2);
    ticks.map(|ticks| ticks.parse::<f64>().unwrap()).sum::<f64>() / 100.0
}

/// Seconds that a question over all rows takes.
async fn question(client: &clickhouse::Client) -> f64 {
    let began = Instant::now();
    let sql = "SELECT Classification, count() FROM Update WHERE UpdateState = 'Needed' GROUP BY Classification";
    let counts: Vec<(String, u64)> = client.query(sql).fetch_all().await.unwrap();
    assert!(!counts.is_empty());
    began.elapsed().as_secs_f64()
}
