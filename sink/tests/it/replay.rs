//! What a sink does with an intent that it finds, against the real broker and engine.

use std::time::Duration;

use patchline_schemas::UpdateState;
use patchline_sink::batch::{Batch, Message, Source};
use patchline_sink::intent::{Commit, Range, token};
use patchline_sink::store::Store;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::{Offset, TopicPartitionList};

use crate::fixture::{World, scan, update};

/// Commits as a sink that died afterwards would have.
fn commit(world: &World, commit: &Commit) {
    let group = format!("{}.sink", world.name);
    let consumer: BaseConsumer =
        world.kafka.client("test", &[("group.id", &group)]).create().unwrap();
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(&world.topics.enriched_scans, 0, Offset::Offset(commit.offset))
        .unwrap();
    let topic = world.topics.enriched_scans.clone();
    list.find_partition(&topic, 0).unwrap().set_metadata(&commit.metadata);
    consumer.commit(&list, CommitMode::Sync).unwrap();
}

fn committed(world: &World) -> (Offset, String) {
    let group = format!("{}.sink", world.name);
    let consumer: BaseConsumer =
        world.kafka.client("test", &[("group.id", &group)]).create().unwrap();
    let mut list = TopicPartitionList::new();
    list.add_partition(&world.topics.enriched_scans, 0);
    let list = consumer.committed_offsets(list, Duration::from_secs(10)).unwrap();
    let element = &list.elements()[0];
    (element.offset(), element.metadata().to_owned())
}

/// Sends six scans and returns the blocks of those from offset 1 to 3.
async fn six_scans(world: &World) -> Vec<patchline_sink::batch::Block> {
    let mut batch = Batch::new(Source::Scans, 0);
    for number in 0..6 {
        let scan =
            scan(&format!("c{number}"), number, 0, vec![update(number, UpdateState::Needed)]);
        let mut payload = Vec::new();
        world.codec.encode(&scan, &mut payload).unwrap();
        let (_, offset) = world.send_scan(&scan).await;
        assert_eq!(offset, i64::from(number));
        if (1..=3).contains(&number) {
            let timestamp = patchline_schemas::Timestamp::now();
            batch.push(&world.codec, Message { offset, timestamp, key: None, payload });
        }
    }
    batch.blocks()
}

#[tokio::test]
async fn an_announced_batch_is_replayed_with_its_own_bounds_and_stored_once() {
    let world = World::migrated("replay", 1).await;
    let blocks = six_scans(&world).await;
    let range = Range { first: 1, last: 3 };
    // A sink announced 1-3, stored the first of its tables, and died.
    let store = Store::new(&world.clickhouse);
    let token = token(&world.topics.enriched_scans, 0, range, blocks[0].table);
    store.insert(&blocks[0], &token).await.unwrap();
    commit(&world, &Commit::intent(range));

    // Batches of one row would split the range, were it not announced.
    let mut sink = world.start(&[("SINK__BATCH_ROWS_MAX", "1")]);
    world.wait_for("SELECT count() FROM update_summary_rows", 5).await;
    world.wait_for("SELECT count() FROM computer_scans", 5).await;
    assert_eq!(world.number("SELECT count() FROM update_rows").await, 5, "stored, without FINAL");
    assert_eq!(world.number("SELECT count() FROM Update").await, 5);
    let parts = "SELECT count() FROM system.parts WHERE database = currentDatabase() \
                 AND table = 'update_summary_rows' AND rows = 3 AND level = 0";
    assert_eq!(world.number(parts).await, 1, "1-3 came as one block");
    sink.terminate(Duration::from_secs(20)).unwrap();
    assert_eq!(committed(&world), (Offset::Offset(6), String::new()), "completed at the end");
}

/// What a crash would leave if ClickHouse writes a token down before the part is there.
#[tokio::test]
async fn a_token_without_its_rows_is_found_out() {
    let world = World::migrated("hole", 1).await;
    let blocks = six_scans(&world).await;
    let range = Range { first: 1, last: 3 };
    for block in &blocks {
        let token = token(&world.topics.enriched_scans, 0, range, block.table);
        let sql = format!(
            "INSERT INTO {} (SourceComputerId, SourcePartition) SETTINGS \
             insert_deduplication_token = '{token}' VALUES ('other', 77)",
            block.table
        );
        world.client.query(&sql).execute().await.unwrap();
    }
    commit(&world, &Commit::intent(range));
    let mut sink = world.start(&[]);
    world.wait_for("SELECT count() FROM UpdateSummary WHERE SourceComputerId != 'other'", 5).await;
    world.wait_for("SELECT count() FROM Update WHERE SourceComputerId != 'other'", 5).await;
    sink.terminate(Duration::from_secs(20)).unwrap();
}

#[tokio::test]
async fn metadata_of_another_version_stops_the_sink_with_a_clear_word() {
    let world = World::migrated("foreign", 1).await;
    six_scans(&world).await;
    commit(&world, &Commit { offset: 1, metadata: "i9 what".to_owned() });
    let refused = world.command(&[]).output().unwrap();
    assert!(!refused.status.success());
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains("i9 what") && said.contains("cannot read"), "{said}");
    assert_eq!(world.number("SELECT count() FROM update_rows").await, 0);
}
