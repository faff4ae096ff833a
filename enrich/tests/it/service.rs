//! How the binary starts, refuses to start, is watched, is fenced, and how much memory it takes.

use std::process::Command;
use std::time::{Duration, Instant};

use patchline_runtime::kafka::MESSAGE_BYTES_MAX;
use patchline_schemas::{Codec, EnrichedScan};
use rdkafka::Message;
use uuid::Uuid;

use crate::harness::{Cluster, PARTITIONS, Sender, alone, arrived, encoded, scan};

#[test]
fn it_checks_its_settings_without_starting() {
    let check = |interval: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_patchline-enrich"))
            .arg("--check-config")
            .env("PATCHLINE_ENRICH__ENRICH__CATALOG_SNAPSHOT_INTERVAL_MS", interval)
            .env("PATCHLINE_ENRICH__ENRICH__INSTANCE_ID", "7")
            .output()
            .unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8(said).unwrap())
    };
    let (sound, said) = check("1000");
    assert!(sound && said.contains("settings are sound"), "{said}");
    let (sound, said) = check("1");
    assert!(!sound && said.contains("catalog_snapshot_interval_ms = 1 must be"), "{said}");
}

#[test]
fn it_refuses_topics_of_unequal_partitions_and_waits_for_missing_ones() {
    let _alone = alone();
    let cluster = Cluster::start_without_topics("partitions");
    let mut instance = cluster.enrich("only");
    let deadline = Instant::now() + Duration::from_secs(20);
    while !instance.log().contains("topic patchline.scans does not exist") {
        assert!(Instant::now() < deadline, "{}", instance.log());
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(instance.get("/readyz").unwrap().contains("waiting for kafka"));
    let topics = &cluster.topics;
    cluster.create_topics(&[&topics.enriched_scans], PARTITIONS + 1);
    cluster.create_topics(&topics.all(), PARTITIONS);
    let status = instance.process.wait().unwrap();
    assert!(!status.success());
    let log = instance.log();
    assert!(
        log.contains("patchline.scans has 3 partitions and patchline.enriched.scans has 4"),
        "{log}"
    );
}

#[test]
fn a_second_process_with_the_same_instance_id_is_noticed_and_doubles_nothing() {
    let _alone = alone();
    let cluster = Cluster::start("fenced");
    let mut first = cluster.enrich("same");
    first.wait_until_ready();
    let mut second = cluster.enrich("same");
    second.wait_until_ready();
    let sender = Sender::new(&cluster);
    for number in 0..300 {
        let computer = format!("computer-{}", number % 20);
        let payload = encoded(&scan(number, &computer, 5));
        sender.send(number, &cluster.topics.scans, &computer, Some(&payload), arrived());
        std::thread::sleep(Duration::from_millis(10));
    }
    sender.places();
    cluster.wait_until_drained(Duration::from_secs(60));
    let log = first.log();
    assert!(log.contains("ERROR") && log.contains("another process runs with"), "{log}");
    second.process.kill().unwrap();
    first.stop();
    let mut ids: Vec<Uuid> = Vec::new();
    let codec = Codec::new().unwrap();
    for message in cluster.read_committed(&[&cluster.topics.enriched_scans]) {
        let enriched: EnrichedScan<'_> = codec.decode(message.payload().unwrap()).unwrap();
        ids.push(enriched.scan.report_id);
    }
    ids.sort();
    let expected: Vec<Uuid> = (1..=300).map(Uuid::from_u128).collect();
    assert_eq!(ids, expected);
}

/// A backlog of large scans, two scans of the largest size, and one that outgrows a message when it
/// is enriched.
#[test]
fn a_backlog_takes_no_more_memory_than_its_bound() {
    const SCANS: usize = 3000;
    let _alone = alone();
    let cluster = Cluster::start("memory");
    let scans = cluster.topics.scans.as_str();
    let sender = Sender::new(&cluster);
    let (usual, large) = (scan(0, "a", 618), scan(0, "a", 50_000));
    let mut too_large = scan(0, "a", 50_000);
    for update in &mut too_large.updates {
        update.title = "x".repeat(290).into();
    }
    assert!(encoded(&too_large).len() <= MESSAGE_BYTES_MAX, "{}", encoded(&too_large).len());
    for number in 0..SCANS {
        let computer = format!("computer-{number}");
        let mut scan = match number {
            1000 | 2000 => large.clone(),
            1500 => too_large.clone(),
            _ => usual.clone(),
        };
        scan.report_id = Uuid::from_u128(number as u128 + 1);
        sender.send(number, scans, &computer, Some(&encoded(&scan)), arrived());
    }
    sender.places();

    let mut instance = cluster.enrich("only");
    instance.wait_until_ready();
    cluster.wait_until_drained(Duration::from_secs(120));
    let peak = instance.peak_mib();
    println!("peak memory: {peak} MiB");
    assert!(peak <= 300, "{peak} MiB");
    let series = |name: &str| instance.metric(&format!("patchline_enrich_{name}"));
    assert_eq!(series("dead_letters_total{reason=\"too-large\"}"), Some(1.0));
    assert_eq!(series("updates_total"), Some(((SCANS - 3) * 618 + 100_000) as f64));
    assert_eq!(
        series("messages_out_total{topic=\"patchline.enriched.scans\"}"),
        Some((SCANS - 1) as f64)
    );
    assert_eq!(series("catalog_advisories"), Some(1.0));
    // Lag comes with the client's statistics, every five seconds.
    std::thread::sleep(Duration::from_secs(6));
    assert_eq!(series("lag_messages{topic=\"patchline.scans\"}"), Some(0.0));
    instance.stop();
}
