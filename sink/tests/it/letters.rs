//! Dead letters go back to where they came from, each once.

use std::collections::HashMap;
use std::sync::OnceLock;
use std::time::Duration;

use patchline_schemas::Timestamp;
use patchline_schemas::topic::dead_letter::{self, Class};
use patchline_sink::batch::{Message, Reject};
use patchline_sink::dead_letters::DeadLetters;
use patchline_sink::letters::{self, Fate, Filter, Replayed};
use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{Header, Message as _, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::{Offset, TopicPartitionList};

use crate::fixture::World;

const HOUR_MS: i64 = 3_600_000;

/// An hour ago, by when the test began, and so many milliseconds. Not longer: Kafka deletes what is old.
fn arrived(offset: i64) -> Timestamp {
    static BEGAN: OnceLock<i64> = OnceLock::new();
    Timestamp(BEGAN.get_or_init(|| Timestamp::now().0) - HOUR_MS + offset)
}

fn dead_letters(world: &World) -> DeadLetters {
    DeadLetters::new(&world.kafka, &world.topics.dead_letters).unwrap()
}

/// Writes the letter of a message that was at `offset` of `topic`/`partition`.
async fn write(letters: &DeadLetters, topic: &str, partition: i32, offset: i64, class: Class) {
    let message = Message {
        offset,
        timestamp: arrived(offset),
        key: Some(format!("key-{offset}").into_bytes()),
        payload: format!("payload-{offset}").into_bytes(),
    };
    let reject = Reject { message, class: class.as_str(), text: "a\nreason".to_owned() };
    letters.write(topic, partition, &reject).await.unwrap();
}

/// Writes a message with these headers to the dead letters, whoever did so.
async fn write_odd(world: &World, headers: &[(&str, &str)]) {
    let producer: FutureProducer = world.kafka.client("odd", &[]).create().unwrap();
    let headers = headers.iter().fold(OwnedHeaders::new(), |headers, (key, value)| {
        headers.insert(Header { key, value: Some(*value) })
    });
    let record = FutureRecord::<str, _>::to(&world.topics.dead_letters)
        .payload("only the beginning")
        .headers(headers);
    producer.send(record, Duration::from_secs(30)).await.unwrap();
}

/// What `topic` has: partition, key, payload, timestamp; sorted.
fn content(world: &World, topic: &str) -> Vec<(i32, String, String, i64)> {
    let settings = [("group.id", "content"), ("enable.partition.eof", "true")];
    let consumer: BaseConsumer = world.kafka.client("content", &settings).create().unwrap();
    let metadata = consumer.fetch_metadata(Some(topic), Duration::from_secs(30)).unwrap();
    let mut open = 0;
    let mut from = TopicPartitionList::new();
    for partition in metadata.topics()[0].partitions() {
        from.add_partition_offset(topic, partition.id(), Offset::Beginning).unwrap();
        open += 1;
    }
    consumer.assign(&from).unwrap();
    let mut found = Vec::new();
    while open > 0 {
        match consumer.poll(Duration::from_secs(30)).expect("neither a message nor an end") {
            Ok(message) => found.push((
                message.partition(),
                String::from_utf8(message.key().unwrap_or_default().to_vec()).unwrap(),
                String::from_utf8(message.payload().unwrap_or_default().to_vec()).unwrap(),
                message.timestamp().to_millis().unwrap(),
            )),
            Err(KafkaError::PartitionEOF(_)) => open -= 1,
            Err(error) => panic!("{error}"),
        }
    }
    found.sort();
    found
}

/// Replays, and returns what became of the letters, by their offsets.
async fn replay(world: &World, filter: &Filter, dry_run: bool) -> (Replayed, Vec<(i64, Fate)>) {
    let (kafka, filter) = (world.kafka.clone(), filter.clone());
    let replay = move || {
        let mut told = Vec::new();
        let tell = |letter: &letters::Letter, fate| told.push((letter.source_offset, fate));
        let done = letters::replay(&kafka, &filter, dry_run, tell).unwrap();
        told.sort_by_key(|(offset, _)| *offset);
        (done, told)
    };
    tokio::task::spawn_blocking(replay).await.unwrap()
}

fn sent_back(partition: i32, offset: i64) -> (i32, String, String, i64) {
    (partition, format!("key-{offset}"), format!("payload-{offset}"), arrived(offset).0)
}

#[tokio::test]
async fn each_letter_goes_back_once_whatever_is_asked_for_first() {
    let world = World::new("letters", 2).await;
    let letters = dead_letters(&world);
    let (heartbeats, scans) = (&world.topics.heartbeats, &world.topics.enriched_scans);
    write(&letters, heartbeats, 0, 5, Class::Invalid).await;
    write(&letters, heartbeats, 1, 7, Class::Clock).await;
    write(&letters, scans, 1, 9, Class::Invalid).await;
    // A stage crashed and wrote it again.
    write(&letters, heartbeats, 0, 5, Class::Invalid).await;
    let source = [
        (dead_letter::SOURCE_PARTITION, "0"),
        (dead_letter::SOURCE_OFFSET, "1"),
        (dead_letter::STAGE, "enrich"),
        (dead_letter::ERROR_CLASS, "too-large"),
        (dead_letter::ERROR_TEXT, "large"),
        (dead_letter::PAYLOAD_BYTES, "40000000"),
    ];
    let from = |topic| [&[(dead_letter::SOURCE_TOPIC, topic)], &source[..]].concat();
    write_odd(&world, &from(&world.topics.scans)).await;
    write_odd(&world, &from("somebody.elses")).await;
    write_odd(&world, &[("mood", "good")]).await;

    let all = Filter::default();
    let listed = letters::list(&world.kafka, &all, 100).unwrap();
    let listed: Vec<_> = listed.iter().map(|one| (one.class.as_str(), one.source_offset)).collect();
    // By time of arrival; the cut one and the foreign one have just come.
    let old = [("invalid", 5), ("invalid", 5), ("clock", 7), ("invalid", 9)];
    assert_eq!(listed[..4], old);
    assert_eq!(listed[4..], [("too-large", 1), ("too-large", 1)]);
    let clocks = Filter { class: Some(Class::Clock), source_topic: None };
    assert_eq!(letters::list(&world.kafka, &clocks, 100).unwrap().len(), 1);
    assert_eq!(letters::list(&world.kafka, &all, 2).unwrap()[0].class, "too-large");

    let expected = Replayed { replayed: 3, renewed: 0, before: 0, repeated: 1, cut: 1, foreign: 2 };
    let (done, told) = replay(&world, &all, true).await;
    assert_eq!(done, expected);
    assert_eq!(told, [(1, Fate::Cut), (5, Fate::Sent), (7, Fate::Sent), (9, Fate::Sent)]);
    assert!(content(&world, heartbeats).is_empty(), "a dry run sends nothing");

    let only = async |filter: &Filter| replay(&world, filter, false).await.0;
    let one = Replayed { replayed: 1, foreign: 2, ..Replayed::default() };
    assert_eq!(only(&clocks).await, one);
    assert_eq!(content(&world, heartbeats), [sent_back(1, 7)]);
    let of_scans = Filter { class: None, source_topic: Some(scans.clone()) };
    assert_eq!(only(&of_scans).await, one);
    assert_eq!(content(&world, scans), [sent_back(1, 9)]);
    assert_eq!(
        only(&all).await,
        Replayed { replayed: 1, before: 2, ..expected },
        "the letters before a selected one are still to come"
    );
    assert_eq!(content(&world, heartbeats), [sent_back(0, 5), sent_back(1, 7)]);

    let again = Replayed { replayed: 0, before: 4, cut: 0, ..expected };
    assert_eq!(only(&all).await, again);
    write(&letters, heartbeats, 0, 11, Class::Invalid).await;
    assert_eq!(only(&all).await, Replayed { replayed: 1, ..again });
    assert_eq!(content(&world, heartbeats), [sent_back(0, 11), sent_back(0, 5), sent_back(1, 7)]);
}

#[tokio::test]
async fn a_letter_that_its_topic_would_forget_is_sent_with_a_new_time() {
    let world = World::new("letters_old", 1).await;
    let topic = &world.topics.heartbeats;
    let admin: AdminClient<DefaultClientContext> = world.kafka.client("t", &[]).create().unwrap();
    let ninety_minutes = (HOUR_MS * 3 / 2).to_string();
    let short =
        AlterConfig::new(ResourceSpecifier::Topic(topic)).set("retention.ms", &ninety_minutes);
    admin.alter_configs([&short], &AdminOptions::new()).await.unwrap()[0].as_ref().unwrap();
    // An hour old, and on its way to be: over half of what the topic grants, and under.
    write(&dead_letters(&world), topic, 0, 5, Class::Invalid).await;
    write(&dead_letters(&world), topic, 0, HOUR_MS - 10 * 60_000, Class::Invalid).await;
    let began = Timestamp::now().0;
    let (done, told) = replay(&world, &Filter::default(), false).await;
    assert_eq!((done.replayed, done.renewed), (2, 1));
    assert_eq!(told, [(5, Fate::Renewed), (HOUR_MS - 10 * 60_000, Fate::Sent)]);
    let sent = content(&world, topic);
    assert_eq!(sent[0], sent_back(0, HOUR_MS - 10 * 60_000));
    assert_eq!(sent[1].2, "payload-5");
    assert!(sent[1].3 >= began, "{} is before {began}", sent[1].3);
}

#[tokio::test]
async fn a_letter_of_a_partition_that_is_gone_goes_where_its_key_belongs() {
    let world = World::new("letters_fewer", 1).await;
    write(&dead_letters(&world), &world.topics.heartbeats, 7, 5, Class::Invalid).await;
    replay(&world, &Filter::default(), false).await;
    assert_eq!(content(&world, &world.topics.heartbeats), [sent_back(0, 5)]);
}

#[tokio::test]
async fn the_commands_say_what_they_did() {
    let world = World::new("letters_command", 1).await;
    write(&dead_letters(&world), &world.topics.heartbeats, 0, 5, Class::Invalid).await;
    let run = |arguments: &[&str]| {
        let output = world.command(&[]).arg("dead-letters").args(arguments).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        (output.status.success(), said, String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (arrived, topic) = (arrived(5), &world.topics.heartbeats);
    let line = format!("{arrived} {topic}/0@5 sink invalid 9B a reason\n");
    assert_eq!(run(&["list"]).1, line);
    assert_eq!(run(&["list", "--class", "clock"]).1, "");
    let counts = "renewed=0 replayed-before=0 written-twice=0 cut=0 foreign=0\n";
    assert_eq!(run(&["replay", "--dry-run"]).1, format!("{line}dry run: replayed=1 {counts}"));
    assert_eq!(run(&["replay", "--class", "invalid"]).1, format!("{line}replayed=1 {counts}"));
    let (succeeded, _, said) = run(&["list", "--class", "nonsense"]);
    assert!(
        !succeeded && said.contains("`nonsense` is no class of dead letters: framing,"),
        "{said}"
    );
}

/// Killed again and again, a replay goes on where it stood: letters and progress are one transaction.
#[tokio::test(flavor = "multi_thread")]
async fn a_replay_that_is_killed_sends_no_letter_twice() {
    const LETTERS: i64 = 2_500;
    let world = World::new("letters_killed", 2).await;
    let dead_letters = dead_letters(&world);
    let write = |offset: i64| {
        let (dead_letters, topic) = (dead_letters.clone(), world.topics.heartbeats.clone());
        let message = Message {
            offset,
            timestamp: arrived(0),
            key: Some(offset.to_string().into_bytes()),
            payload: vec![b'x'; 2_000],
        };
        let reject = Reject { message, class: "invalid", text: String::new() };
        tokio::spawn(async move { dead_letters.write(&topic, 0, &reject).await.unwrap() })
    };
    let written: Vec<_> = (0..LETTERS).map(write).collect();
    for one in written {
        one.await.unwrap();
    }

    let replay = || {
        let mut command = world.command(&[]);
        command.args(["dead-letters", "replay"]).stdout(std::process::Stdio::piped());
        command
    };
    for kill in 1..=3_usize {
        use std::io::{BufRead, BufReader};
        let mut process = replay().spawn().unwrap();
        // Killed when it has told of so many letters: in the middle of some transaction.
        let told = BufReader::new(process.stdout.take().unwrap()).lines().take(400 * kill).count();
        println!("killed after {told} lines");
        process.kill().unwrap();
        process.wait().unwrap();
    }
    let output = replay().output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut times: HashMap<String, u32> = HashMap::new();
    for (_, key, payload, _) in content(&world, &world.topics.heartbeats) {
        assert_eq!(payload.len(), 2_000);
        *times.entry(key).or_default() += 1;
    }
    assert_eq!(times.len() as i64, LETTERS, "lost");
    assert!(times.values().all(|times| *times == 1), "doubled");
}
