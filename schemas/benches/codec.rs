//! How fast enriched scans are decoded and encoded by the codec, and by apache-avro.
//! `cargo bench -p patchline-schemas`

#![allow(
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a benchmark"
)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use apache_avro::Schema;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::writer::datum::GenericDatumWriter;
use patchline_schemas::{Codec, EnrichedScan, EnrichedUpdate, Record, Scan, Update, Verdict};

const UPDATES: usize = 618;

/// Best of several rounds, in updates a second.
fn rate(mut work: impl FnMut()) -> f64 {
    let mut best = Duration::MAX;
    for _ in 0..20 {
        let started = Instant::now();
        for _ in 0..50 {
            work();
        }
        best = best.min(started.elapsed());
    }
    50.0 * UPDATES as f64 / best.as_secs_f64()
}

fn main() {
    let updates = (0..UPDATES).map(|at| EnrichedUpdate {
        update: Update {
            title: format!("libpackage{at}-common").into(),
            product: format!("libpackage{at}-common").into(),
            product_arch: "amd64".into(),
            product_version: format!("0:1.{at}-2ubuntu1").into(),
            ..Update::default()
        },
        verdict: Verdict {
            classification: "Other Updates".into(),
            classification_source: "default".into(),
            ..Verdict::default()
        },
    });
    let record = EnrichedScan {
        scan: Scan { os_type: "Linux".into(), ..Scan::default() },
        updates: updates.collect(),
        ..EnrichedScan::default()
    };
    let codec = Codec::new().unwrap();
    let mut message = Vec::new();
    codec.encode(&record, &mut message).unwrap();
    let schema = Schema::parse_str(EnrichedScan::KIND.versions().last().unwrap()).unwrap();
    let reader = GenericDatumReader::builder(&schema).build().unwrap();
    let writer = GenericDatumWriter::builder(&schema).build().unwrap();

    let by_position = rate(|| drop(black_box(codec.decode::<EnrichedScan>(&message).unwrap())));
    let by_name = rate(|| {
        let value = reader.read_value(&mut black_box(&message[10..])).unwrap();
        let decoded: EnrichedScan = apache_avro::from_value(&value).unwrap();
        drop(black_box(decoded));
    });
    println!(
        "decode codec {by_position:>12.0} updates/s   apache-avro {by_name:>12.0}   ratio {:.2}",
        by_position / by_name
    );

    let mut out = Vec::new();
    let by_position = rate(|| {
        out.clear();
        codec.encode(&record, &mut out).unwrap();
        black_box(&out);
    });
    let mut out = Vec::new();
    let by_name = rate(|| {
        out.clear();
        writer.write_ser(&mut out, &record).unwrap();
        black_box(&out);
    });
    println!(
        "encode codec {by_position:>12.0} updates/s   apache-avro {by_name:>12.0}   ratio {:.2}",
        by_position / by_name
    );
}
