//! Bad messages become dead letters, whole; their neighbours are stored.

use std::time::Duration;

use patchline_schemas::topic::dead_letter;
use patchline_schemas::{Timestamp, UpdateState};
use rdkafka::message::Message;
use rdkafka::producer::{FutureProducer, FutureRecord};

use crate::fixture::{World, header, heartbeat, scan, update};

#[tokio::test]
async fn a_bad_message_becomes_a_dead_letter_and_its_neighbours_rows() {
    let world = World::migrated("rejects", 1).await;
    let topic = world.topics.enriched_scans.clone();
    let good = |number| scan("c1", number, number.into(), vec![update(1, UpdateState::Needed)]);
    world.send_scan(&good(1)).await;
    world.send_bytes(&topic, "k", b"hello").await;
    world.send_bytes(&topic, "k", b"").await;
    world.send_bytes(&topic, "k", b"\xC3\x01unknown-schema").await;
    world.send(&topic, "k", &heartbeat("c1", 9)).await;
    world.send_scan(&good(2)).await;
    let mut truncated = Vec::new();
    world.codec.encode(&good(3), &mut truncated).unwrap();
    truncated.truncate(60);
    world.send_bytes(&topic, "k", &truncated).await;
    let mut nameless = good(4);
    nameless.scan.computer = "".into();
    world.send_scan(&nameless).await;
    let mut future = good(5);
    future.scan.time_generated = Timestamp(Timestamp::now().0 + 3 * Timestamp::DAY_MS);
    world.send_scan(&future).await;
    world.send_scan(&good(6)).await;

    let mut sink = world.start(&[]);
    world.wait_for("SELECT count() FROM UpdateSummary", 3).await;

    let letters = world.dead_letters(7);
    for letter in &letters {
        assert_eq!(header(letter, dead_letter::SOURCE_TOPIC), topic);
        assert_eq!(header(letter, dead_letter::SOURCE_PARTITION), "0");
        assert_eq!(header(letter, dead_letter::STAGE), "sink");
        assert!(!header(letter, dead_letter::ERROR_TEXT).is_empty());
    }
    let class = |letter| {
        let offset: i64 = header(letter, dead_letter::SOURCE_OFFSET).parse().unwrap();
        (offset, header(letter, dead_letter::ERROR_CLASS))
    };
    let classes: Vec<(i64, String)> = letters.iter().map(class).collect();
    let classes: Vec<_> = classes.iter().map(|(at, class)| (*at, class.as_str())).collect();
    assert_eq!(
        classes,
        [
            (1, "framing"),
            (2, "framing"),
            (3, "unknown-schema"),
            (4, "wrong-record"),
            (6, "datum"),
            (7, "invalid"),
            (8, "clock")
        ]
    );
    assert_eq!(letters[0].payload(), Some(&b"hello"[..]));
    assert_eq!(letters[4].payload(), Some(&truncated[..]));
    sink.terminate(Duration::from_secs(20)).unwrap();
}

/// A message may be within its topic's limit only by its compression; its letter must not be refused.
#[tokio::test]
async fn a_message_too_large_for_its_letter_loses_its_end_and_holds_nobody_up() {
    let world = World::migrated("large", 1).await;
    let settings = [("compression.type", "gzip"), ("message.max.bytes", "100000000")];
    let producer: FutureProducer = world.kafka.client("large", &settings).create().unwrap();
    let payload = vec![b'A'; 40_000_000];
    let record = FutureRecord::to(&world.topics.heartbeats).key("k").payload(&payload);
    producer.send(record, Duration::from_secs(30)).await.unwrap();
    world.send_heartbeat(&heartbeat("c1", 1)).await;
    let mut sink = world.start(&[]);
    world.wait_for("SELECT count() FROM Heartbeat", 1).await;

    let letters = world.dead_letters(1);
    let letter = &letters[0];
    assert_eq!(letter.payload().unwrap().len(), dead_letter::BEGINNING_BYTES);
    assert_eq!(header(letter, dead_letter::PAYLOAD_BYTES), "40000000");
    sink.terminate(Duration::from_secs(20)).unwrap();
}
