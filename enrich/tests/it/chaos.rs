//! Exactly once under SIGKILL, SIGSTOP, rebalances and a broker that crashes.

use std::collections::{BTreeMap, HashMap};
use std::thread;
use std::time::Duration;

use patchline_enrich::Class;
use patchline_schemas::topic::dead_letter;
use patchline_schemas::{
    Codec, EnrichedRunProgress, EnrichedScan, Heartbeat, Report, RunProgress, Timestamp, Topics,
};
use rdkafka::Message;
use uuid::Uuid;

use crate::harness::{
    Cluster, Instance, Random, Sender, alone, arrived, beside, encoded, header, scan,
};

const MESSAGES: usize = 6000;
const COMPUTERS: u64 = 40;

/// One raw message, and what is to become of it.
struct Input {
    topic: String,
    computer: String,
    payload: Option<Vec<u8>>,
    /// Updates in the enriched scan; `None` for run progress.
    updates: Option<usize>,
    rejected: Option<Class>,
}

fn input(number: usize, random: &mut Random, topics: &Topics) -> Input {
    let computer = format!("computer-{}", random.below(COMPUTERS));
    let progress = RunProgress {
        report_id: Uuid::from_u128(number as u128 + 1),
        source_computer_id: computer.clone().into(),
        computer: computer.clone().into(),
        time_generated: Timestamp(arrived() + number as i64),
        os_type: "Linux".into(),
        update_run_name: "July".into(),
        installation_status: "Succeeded".into(),
        title: "bash:amd64 (4.3)".into(),
        ..RunProgress::default()
    };
    let updates = random.below(40) as usize;
    let scan = scan(number, &computer, updates);
    let choice = random.below(100);
    // Every bad payload has its number in it, so that no two are alike.
    let (scans, payload, rejected) = match choice {
        0..65 => (true, Some(encoded(&scan)), None),
        65..80 => (false, Some(encoded(&progress)), None),
        80..83 => (true, Some(format!("{{\"n\": {number}}}").into_bytes()), Some(Class::Framing)),
        83..84 => (false, None, Some(Class::Framing)),
        84..85 => (true, Some(vec![]), Some(Class::Framing)),
        85..88 => {
            let mut bytes = encoded(&progress);
            bytes[5] ^= 0x55;
            (false, Some(bytes), Some(Class::UnknownSchema))
        }
        88..91 => (true, Some(encoded(&progress)), Some(Class::WrongRecord)),
        91..94 => {
            let mut bytes = encoded(&scan);
            bytes.extend_from_slice(b"left over");
            (true, Some(bytes), Some(Class::Datum))
        }
        94..97 => {
            let bad = RunProgress { installation_status: "Great".into(), ..progress };
            (false, Some(encoded(&bad)), Some(Class::Invalid))
        }
        _ => {
            let far = Timestamp(arrived() + number as i64 + 2 * Timestamp::DAY_MS);
            let bad = RunProgress { time_generated: far, ..progress };
            (false, Some(encoded(&bad)), Some(Class::Clock))
        }
    };
    let topic = if scans { topics.scans.clone() } else { topics.run_progress.clone() };
    Input { topic, computer, payload, updates: scans.then_some(updates), rejected }
}

#[test]
fn nothing_is_lost_or_doubled_whatever_is_killed_or_frozen() {
    let _beside = beside();
    let mut random = Random::seeded();
    let mut cluster = Cluster::start("chaos");
    let mut first = cluster.enrich("first");
    first.wait_until_ready();
    let mut second: Option<Instance> = None;
    let (inputs, places) = while_sending(&mut cluster, &mut random, |cluster, random| {
        for round in 0..12 {
            thread::sleep(Duration::from_millis(300 + random.below(2500)));
            let what = random.below(5);
            println!("round {round}: {what}");
            match (what, second.take()) {
                (0 | 1, other) => {
                    second = other;
                    first.process.kill().unwrap();
                    thread::sleep(Duration::from_millis(random.below(1000)));
                    first = cluster.enrich("first");
                }
                (_, None) => second = Some(cluster.enrich("second")),
                (2, Some(mut other)) => other.process.kill().unwrap(),
                (3, Some(other)) => {
                    // Until the group has given its partitions away, and perhaps the broker its
                    // transaction up; it wakes with a batch in hand that is not its own any more.
                    other.process.signal(libc::SIGSTOP).unwrap();
                    thread::sleep(Duration::from_millis(2500 + random.below(4000)));
                    other.process.signal(libc::SIGCONT).unwrap();
                    second = Some(other);
                }
                (_, Some(other)) => other.stop(),
            }
        }
    });
    cluster.wait_until_drained(Duration::from_secs(90));
    first.stop();
    if let Some(second) = second {
        second.stop();
    }
    check(&cluster, &inputs, &places);
}

/// With the transaction timeout of the defaults, which a broker's start does not exceed. Where it
/// does, Kafka 4.3.0 itself may double: it gives up the transactions that are overdue while their
/// partitions have no leader yet, records them as aborted, and writes no abort marker.
#[test]
fn nothing_is_lost_or_doubled_when_the_broker_crashes() {
    let _beside = beside();
    let mut random = Random::seeded();
    let mut cluster = Cluster::start("crash");
    cluster.transaction_timeout_ms = 15_000;
    let mut first = cluster.enrich("first");
    let mut second = cluster.enrich("second");
    first.wait_until_ready();
    second.wait_until_ready();
    let (inputs, places) = while_sending(&mut cluster, &mut random, |cluster, random| {
        for _ in 0..3 {
            thread::sleep(Duration::from_millis(2000 + random.below(3000)));
            cluster.kafka.kill().unwrap();
            thread::sleep(Duration::from_millis(random.below(1000)));
            cluster.kafka.restart().unwrap();
        }
    });
    cluster.wait_until_drained(Duration::from_secs(120));
    for instance in [&first, &second] {
        assert!(!instance.log().contains("the event queue must be polled"), "an abort stood still");
    }
    first.stop();
    second.stop();
    check(&cluster, &inputs, &places);
}

/// Sends the messages at a steady pace while `meanwhile` happens; returns them with their places.
fn while_sending(
    cluster: &mut Cluster,
    random: &mut Random,
    meanwhile: impl FnOnce(&mut Cluster, &mut Random),
) -> (Vec<Input>, HashMap<usize, (i32, i64)>) {
    let inputs: Vec<Input> =
        (0..MESSAGES).map(|number| input(number, random, &cluster.topics)).collect();
    let sender = Sender::new(cluster);
    let places = thread::scope(|scope| {
        let inputs = &inputs;
        let sending = scope.spawn(move || {
            for (number, input) in inputs.iter().enumerate() {
                let at = arrived() + number as i64;
                sender.send(number, &input.topic, &input.computer, input.payload.as_deref(), at);
                if number % 100 == 0 {
                    thread::sleep(Duration::from_millis(400));
                }
            }
            sender.places()
        });
        meanwhile(cluster, random);
        sending.join().unwrap()
    });
    (inputs, places)
}

/// Every good input is there once, enriched, in its computer's order; every bad one once, whole.
fn check(cluster: &Cluster, inputs: &[Input], places: &HashMap<usize, (i32, i64)>) {
    let topics = &cluster.topics;
    assert_eq!(places.len(), inputs.len());
    let codec = Codec::new().unwrap();

    let mut found: BTreeMap<usize, usize> = BTreeMap::new();
    let mut last: HashMap<(String, String), usize> = HashMap::new();
    for message in cluster.read_committed(&[&topics.enriched_scans, &topics.enriched_run_progress])
    {
        let payload = message.payload().unwrap();
        let (id, time) = if message.topic() == topics.enriched_scans {
            let enriched: EnrichedScan<'_> = codec.decode(payload).unwrap();
            let number = enriched.scan.report_id.as_u128() as usize - 1;
            assert_eq!(Some(enriched.updates.len()), inputs[number].updates);
            let version = &enriched.catalog_version;
            assert!(version.starts_with("1@") && version.ends_with("/1"), "{version}");
            if let Some(first) = enriched.updates.first() {
                assert_eq!(first.verdict.advisory_ids, "TEST-1");
                assert_eq!(enriched.summary.security_updates_missing, 1);
            }
            (enriched.scan.report_id, enriched.scan.time_generated)
        } else {
            let enriched: EnrichedRunProgress<'_> = codec.decode(payload).unwrap();
            assert_eq!(enriched.product, "bash");
            (enriched.report.report_id(), enriched.report.time_generated)
        };
        let number = id.as_u128() as usize - 1;
        let input = &inputs[number];
        assert_eq!(input.rejected, None, "{number} should have been rejected");
        assert_eq!(message.key(), Some(input.computer.as_bytes()));
        assert_eq!(message.timestamp().to_millis(), Some(time.0));
        assert_eq!(message.partition(), places[&number].0, "{number} has left its partition");
        let key = (message.topic().to_owned(), input.computer.clone());
        if let Some(before) = last.insert(key, number) {
            assert!(before < number, "{number} comes after {before}");
        }
        *found.entry(number).or_default() += 1;
    }

    let mut letters: BTreeMap<usize, usize> = BTreeMap::new();
    let numbers: HashMap<(&str, i32, i64), usize> = places
        .iter()
        .map(|(number, place)| ((inputs[*number].topic.as_str(), place.0, place.1), *number))
        .collect();
    for letter in cluster.read_committed(&[&topics.dead_letters]) {
        let headers = letter.headers().unwrap();
        let topic = header(headers, dead_letter::SOURCE_TOPIC);
        let partition = header(headers, dead_letter::SOURCE_PARTITION).parse().unwrap();
        let offset = header(headers, dead_letter::SOURCE_OFFSET).parse().unwrap();
        let number = numbers[&(topic.as_str(), partition, offset)];
        let input = &inputs[number];
        let class = input.rejected.unwrap_or_else(|| panic!("{number} is good"));
        assert_eq!(header(headers, dead_letter::ERROR_CLASS), class.as_str());
        assert_eq!(header(headers, dead_letter::STAGE), "enrich");
        assert!(!header(headers, dead_letter::ERROR_TEXT).is_empty());
        assert_eq!(letter.payload(), input.payload.as_deref());
        assert_eq!(letter.key(), Some(input.computer.as_bytes()));
        *letters.entry(number).or_default() += 1;
    }

    for (number, input) in inputs.iter().enumerate() {
        let (good, bad) = if input.rejected.is_none() { (1, 0) } else { (0, 1) };
        let seen = (found.get(&number).copied(), letters.get(&number).copied());
        let seen = (seen.0.unwrap_or(0), seen.1.unwrap_or(0));
        assert_eq!(
            seen,
            (good, bad),
            "message {number} to {}: (enriched, dead letters)",
            input.topic
        );
    }
}

#[test]
fn a_record_of_another_topic_is_a_dead_letter() {
    let _alone = alone();
    let cluster = Cluster::start("record");
    let mut instance = cluster.enrich("only");
    instance.wait_until_ready();
    let sender = Sender::new(&cluster);
    let heartbeat = encoded(&Heartbeat::default());
    sender.send(0, &cluster.topics.scans, "a", Some(&heartbeat), arrived());
    sender.send(1, &cluster.topics.scans, "a", Some(&encoded(&scan(1, "a", 3))), arrived());
    sender.places();
    cluster.wait_until_drained(Duration::from_secs(30));
    let rejected = instance.metric("patchline_enrich_dead_letters_total{reason=\"wrong-record\"}");
    assert_eq!(rejected, Some(1.0));
    instance.stop();
    let letters = cluster.read_committed(&[&cluster.topics.dead_letters]);
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].payload(), Some(heartbeat.as_slice()));
}
