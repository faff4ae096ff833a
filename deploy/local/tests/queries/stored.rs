//! The way of a known fleet's reports into the tables, without Kafka between: the catalog of its feeds,
//! enrichment's transform, the sink's batches. The console's tests go this way too.

use patchline_enrich::advisories::Collect;
use patchline_enrich::advisories::document::{Content, import};
use patchline_enrich::index::{Index, IndexBuilder};
use patchline_enrich::{Source as Raw, Transform};
use patchline_local::fleet::Fleet;
use patchline_schemas::{Advisory, Codec, Record, Report, Timestamp};
use patchline_sink::batch::{Batch, Message, Source};
use patchline_sink::store::Store;

/// The catalog that an import of the fleet's feeds leads to.
pub(crate) fn catalog(fleet: &Fleet) -> Index {
    #[derive(Default)]
    struct Imported(IndexBuilder);
    impl Collect for Imported {
        fn advisory(&mut self, advisory: Advisory<'static>) {
            self.0.upsert(&advisory);
        }
        fn left_out(&mut self, why: &'static str) {
            panic!("left out: {why}");
        }
        fn bad(&mut self, record: &str, why: &str) {
            panic!("{record} {why}");
        }
    }
    let mut imported = Imported::default();
    for (name, content) in fleet.feeds() {
        let mut content = content.as_bytes();
        import(Content::Stream(&mut content), None, &mut imported)
            .unwrap_or_else(|error| panic!("{name} {error}"));
    }
    imported.0.build("fleet")
}

/// A message's timestamp and payload.
pub(crate) type Arrival = (Timestamp, Vec<u8>);

/// The messages of records, each of which arrived when `received` says of its time.
pub(crate) fn encoded<'r, R: Record + Report + 'r>(
    records: impl IntoIterator<Item = &'r R>,
    received: fn(Timestamp) -> Timestamp,
) -> Vec<Arrival> {
    let codec = Codec::new().unwrap();
    let encode = |record: &R| {
        let mut payload = Vec::new();
        codec.encode(record, &mut payload).unwrap();
        (received(record.time_generated()), payload)
    };
    records.into_iter().map(encode).collect()
}

/// What enrichment makes of them.
pub(crate) fn enriched(transform: &Transform, source: Raw, messages: Vec<Arrival>) -> Vec<Arrival> {
    let enrich = |(arrived, message): Arrival| {
        let mut out = Vec::new();
        transform.apply(source, &message, Some(arrived), &mut out).unwrap();
        (arrived, out)
    };
    messages.into_iter().map(enrich).collect()
}

/// Stores them as the sink does, in one batch that refuses none.
pub(crate) async fn put(store: &Store, source: Source, messages: Vec<Arrival>) {
    let codec = Codec::new().unwrap();
    let mut batch = Batch::new(source, 0);
    for (offset, (timestamp, payload)) in (0..).zip(messages) {
        batch.push(&codec, Message { offset, timestamp, key: None, payload });
    }
    assert_eq!(batch.rejects(), &[]);
    for block in batch.waves().iter().flatten() {
        store.insert(block, block.table).await.unwrap();
    }
}
