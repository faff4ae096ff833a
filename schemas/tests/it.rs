//! Wire tests of the records: golden files, framings, the compatibility of every released schema,
//! and apache-avro as an independent reader of what the codec writes. Needs nothing but this crate.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failing test should stop at once"
)]

use std::borrow::Cow;
use std::path::Path;

use apache_avro::Schema;
use apache_avro::schema_compatibility::SchemaCompatibility;
use apache_avro::types::Value;
use patchline_schemas::codec::{Codec, DecodeError, Kind, Record};
use patchline_schemas::*;
use proptest::prelude::*;
use uuid::Uuid;

fn update(n: u32) -> Update<'static> {
    Update {
        update_state: if n == 0 { UpdateState::Needed } else { UpdateState::NotNeeded },
        product: format!("libssl{n}").into(),
        product_arch: "amd64".into(),
        product_version: "0:1.0.2g-1ubuntu4.8".into(),
        classification: "Security Updates".into(),
        published_date: (n == 0).then_some(Timestamp(1_499_000_000_000)),
        package_repository: "Ubuntu:16.04/xenial-updates".into(),
        ..Update::default()
    }
}

fn scan() -> Scan<'static> {
    Scan {
        report_id: Uuid::from_u128(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef),
        source_computer_id: "5c0a7d6e-1".into(),
        computer: "web-1.contoso.com".into(),
        time_generated: Timestamp(1_500_000_000_123),
        os_type: "Linux".into(),
        management_group_name: "AOI-1".into(),
        os_name: "Ubuntu".into(),
        os_version: "16.04".into(),
        restart_pending: true,
        updates: vec![update(0), update(1)],
        ..Scan::default()
    }
}

fn run_progress() -> RunProgress<'static> {
    RunProgress {
        report_id: Uuid::from_u128(2),
        source_computer_id: "5c0a7d6e-1".into(),
        computer: "web-1.contoso.com".into(),
        time_generated: Timestamp(1_500_000_000_123),
        os_type: "Linux".into(),
        update_run_name: "July".into(),
        title: "bash:amd64 (4.3)".into(),
        installation_status: "Succeeded".into(),
        start_time: Some(Timestamp(1_500_000_000_000)),
        ..RunProgress::default()
    }
}

fn heartbeat() -> Heartbeat<'static> {
    Heartbeat {
        report_id: Uuid::from_u128(3),
        source_computer_id: "5c0a7d6e-1".into(),
        computer: "web-1.contoso.com".into(),
        time_generated: Timestamp(1_500_000_000_123),
        os_type: "Linux".into(),
        computer_private_ips: vec!["10.0.0.4".to_owned()],
        remote_ip_country: "Germany".into(),
        remote_ip_latitude: Some(52.5),
        ..Heartbeat::default()
    }
}

fn event() -> Event<'static> {
    Event {
        report_id: Uuid::from_u128(4),
        source_computer_id: "5c0a7d6e-1".into(),
        computer: "dc-1.contoso.com".into(),
        time_generated: Timestamp(1_500_000_000_123),
        os_type: "Windows".into(),
        event_log: "System".into(),
        event_id: 7036,
        event_level: 4,
        event_level_name: "Information".into(),
        ..Event::default()
    }
}

fn office_activity() -> OfficeActivity<'static> {
    OfficeActivity {
        report_id: Uuid::from_u128(5),
        time_generated: Timestamp(1_500_000_000_123),
        office_tenant_id: "contoso".into(),
        operation: "FileDownloaded".into(),
        cross_mailbox_operations: Some(false),
        ..OfficeActivity::default()
    }
}

fn custom_log() -> CustomLog<'static> {
    CustomLog {
        report_id: Uuid::from_u128(6),
        time_generated: Timestamp(1_500_000_000_123),
        workspace_id: "b438b4f6".into(),
        log_type: "MyApp".into(),
        record: r#"{"Answer": 42}"#.into(),
        ..CustomLog::default()
    }
}

fn update_deployment() -> UpdateDeployment<'static> {
    UpdateDeployment {
        report_id: Uuid::from_u128(7),
        name: "July".into(),
        time_generated: Timestamp(1_500_000_000_123),
        schedule: Schedule::Weekly,
        time_zone: "Europe/Berlin".into(),
        start_time: "2017-08-01T22:00:00".into(),
        duration_minutes: 120,
        computers: vec!["web-*".to_owned()],
        starts: vec![Timestamp(1_501_617_600_000)],
        ..UpdateDeployment::default()
    }
}

fn advisory() -> Advisory<'static> {
    Advisory {
        id: "USN-3212-1".into(),
        source: "osv".into(),
        cve_numbers: vec!["CVE-2017-5225".to_owned()],
        published: Some(Timestamp(1_488_326_400_000)),
        package_fixes: vec![PackageFix {
            distribution: "ubuntu".into(),
            release: "16.04".into(),
            package: "tiff".into(),
            source: true,
            fixed: "4.0.6-1ubuntu0.1".into(),
            ..PackageFix::default()
        }],
        kb_fixes: vec![KbFix { kbid: "4012212".into(), ..KbFix::default() }],
        ..Advisory::default()
    }
}

fn enriched_scan() -> EnrichedScan<'static> {
    let verdict = Verdict { classification: "Security Updates".into(), ..Verdict::default() };
    EnrichedScan {
        scan: Scan { updates: vec![], ..scan() },
        updates: scan()
            .updates
            .into_iter()
            .map(|update| EnrichedUpdate { update, verdict: verdict.clone() })
            .collect(),
        summary: Summary {
            security_updates_missing: 1,
            total_updates_missing: 1,
            oldest_missing_security_update_in_days: Some(11),
            oldest_missing_security_update_bucket: "Recent".into(),
            ..Summary::default()
        },
        catalog_version: "7".into(),
    }
}

fn enriched_run_progress() -> EnrichedRunProgress<'static> {
    EnrichedRunProgress { report: run_progress(), product: "bash".into(), kbid: Cow::default() }
}

/// apache-avro's Rabin fingerprint. Its canonical form leaves a string with a logical type as
/// `{"type":"string"}`, where the specification (and Java, and Python) collapse it: done here.
fn fingerprint(schema: &Schema) -> Vec<u8> {
    let canonical = schema.canonical_form().replace(r#"{"type":"string"}"#, r#""string""#);
    let canonical = Schema::parse_str(&canonical).unwrap();
    canonical.fingerprint::<apache_avro::rabin::Rabin>().bytes
}

fn golden(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

/// Checks that the record is written as its golden file has it, and lets apache-avro read that file.
/// Returns the file.
fn check_golden<T: Record>(name: &str, record: &T) -> Vec<u8> {
    let codec = Codec::new().unwrap();
    let mut bytes = Vec::new();
    codec.encode(record, &mut bytes).unwrap();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(golden(name), &bytes).unwrap();
    }
    let stored = std::fs::read(golden(name)).unwrap();
    assert_eq!(bytes, stored, "{name} is written otherwise than before");

    let newest = Schema::parse_str(T::KIND.versions().last().unwrap()).unwrap();
    assert_eq!(stored[2..10], fingerprint(&newest), "{name}: not apache-avro's fingerprint");
    let mut datum = &stored[10..];
    let reader = apache_avro::reader::datum::GenericDatumReader::builder(&newest).build().unwrap();
    let value = reader.read_value(&mut datum).unwrap();
    assert!(datum.is_empty(), "{name}: apache-avro leaves bytes over");
    let Value::Record(mut fields) = value else { panic!("{name} is no record") };
    if matches!(T::KIND, Kind::EnrichedScan | Kind::EnrichedRunProgress) {
        let Value::Record(report) = fields.remove(0).1 else { panic!("{name} has no report") };
        fields = report;
    }
    let field = |name: &str| fields.iter().find(|(field, _)| field == name).unwrap().1.clone();
    if T::KIND == Kind::Advisory {
        assert_eq!(field("Id"), Value::String("USN-3212-1".to_owned()));
    } else {
        assert_eq!(field("TimeGenerated"), Value::TimestampMillis(1_500_000_000_123));
    }
    stored
}

#[test]
fn every_record_matches_its_golden_file() {
    let codec = Codec::new().unwrap();
    macro_rules! check {
        ($($type:ident: $name:literal = $record:expr,)*) => {$(
            let stored = check_golden($name, &$record);
            assert_eq!(codec.decode::<$type>(&stored).unwrap(), $record);
        )*};
    }
    check! {
        Scan: "scan.1.bin" = scan(),
        RunProgress: "run-progress.1.bin" = run_progress(),
        Heartbeat: "heartbeat.2.bin" = heartbeat(),
        EnrichedScan: "enriched-scan.1.bin" = enriched_scan(),
        EnrichedRunProgress: "enriched-run-progress.1.bin" = enriched_run_progress(),
        Event: "event.1.bin" = event(),
        OfficeActivity: "office-activity.1.bin" = office_activity(),
        CustomLog: "custom-log.1.bin" = custom_log(),
        UpdateDeployment: "update-deployment.1.bin" = update_deployment(),
        Advisory: "advisory.1.bin" = advisory(),
    }
}

/// What an older program wrote: a field that it did not know takes its default.
#[test]
fn older_golden_files_are_still_read() {
    let stored = std::fs::read(golden("heartbeat.1.bin")).unwrap();
    let codec = Codec::new().unwrap();
    assert!(matches!(codec.decode::<Heartbeat>(&stored), Err(DecodeError::NotCurrent)));
    let expected =
        Heartbeat { remote_ip_country: "".into(), remote_ip_latitude: None, ..heartbeat() };
    let current = codec.current(&stored).unwrap();
    assert_eq!(codec.decode::<Heartbeat>(&current).unwrap(), expected);
}

/// A program that was built before a version existed refuses its messages whole.
#[test]
fn a_version_from_after_the_program_is_an_unknown_schema() {
    let old = Codec::with_versions(|kind| &kind.versions()[..1]).unwrap();
    let mut newer = Vec::new();
    Codec::new().unwrap().encode(&heartbeat(), &mut newer).unwrap();
    assert!(matches!(old.current(&newer), Err(DecodeError::UnknownSchema(_))));
    assert!(Codec::with_versions(|_| &[]).is_err(), "a record without a schema");
}

/// The Rust types have no field that the schema lacks, and the other way round: apache-avro, which
/// wants every field without a default, takes each type, and the schema's defaults are the types'.
#[test]
fn defaults_of_the_types_are_the_defaults_of_the_schemas() {
    fn check<T: Record + Default>() {
        let schema = Schema::parse_str(T::KIND.versions().last().unwrap()).unwrap();
        let Schema::Record(record) = &schema else { panic!("no record") };
        let json = serde_json::to_value(T::default()).unwrap();
        let object = json.as_object().unwrap();
        assert_eq!(object.len(), record.fields.len(), "{:?}", T::KIND);
        for field in &record.fields {
            let ours =
                object.get(&field.name).unwrap_or_else(|| panic!("{} is missing", field.name));
            if let Some(default) = &field.default {
                assert_eq!(ours, default, "default of {:?}.{}", T::KIND, field.name);
            }
        }
    }
    check::<Scan>();
    check::<RunProgress>();
    check::<Heartbeat>();
    check::<EnrichedScan>();
    check::<EnrichedRunProgress>();
    check::<Event>();
    check::<OfficeActivity>();
    check::<CustomLog>();
    check::<UpdateDeployment>();
    check::<Advisory>();
}

/// Full-transitive compatibility: any version reads what any other wrote.
#[test]
fn every_released_schema_reads_every_other() {
    for kind in Kind::ALL {
        let versions: Vec<Schema> =
            kind.versions().iter().map(|text| Schema::parse_str(text).unwrap()).collect();
        for writer in &versions {
            for reader in &versions {
                SchemaCompatibility::mutual_read(writer, reader)
                    .unwrap_or_else(|error| panic!("{kind:?}: {error}"));
            }
        }
    }
}

/// A version that is out stays as it is: a changed file would have another fingerprint, and messages
/// in Kafka carry the old one.
#[test]
fn released_schemas_are_all_compiled_in_and_unchanged() {
    let fingerprints: Vec<String> = Kind::ALL
        .iter()
        .flat_map(|kind| kind.versions().iter().enumerate().map(move |(at, text)| (kind, at, text)))
        .map(|(kind, at, text)| {
            let schema = Schema::parse_str(text).unwrap();
            let hex: String =
                fingerprint(&schema).iter().map(|byte| format!("{byte:02x}")).collect();
            format!("{kind:?} {} {hex}", at + 1)
        })
        .collect();
    let path = golden("fingerprints.txt");
    let text = fingerprints.join("\n") + "\n";
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    assert_eq!(text, std::fs::read_to_string(path).unwrap());

    let folders = Path::new(env!("CARGO_MANIFEST_DIR")).join("avro");
    let files: usize = std::fs::read_dir(folders)
        .unwrap()
        .map(|folder| std::fs::read_dir(folder.unwrap().path()).unwrap().count())
        .sum();
    assert_eq!(files, fingerprints.len(), "an .avsc file is not listed in Kind::versions");
}

#[test]
fn the_records_inside_enriched_ones_are_the_raw_ones() {
    fn field(text: &str, name: &str) -> serde_json::Value {
        let json: serde_json::Value = serde_json::from_str(text).unwrap();
        let fields = json["fields"].as_array().unwrap();
        fields.iter().find(|field| field["name"] == name).unwrap()["type"].clone()
    }
    let newest = |kind: Kind| *kind.versions().last().unwrap();
    let same = |raw: Kind, enriched: Kind, name: &str| {
        let raw: serde_json::Value = serde_json::from_str(newest(raw)).unwrap();
        assert_eq!(raw, field(newest(enriched), name), "{enriched:?}.{name}");
    };
    same(Kind::Scan, Kind::EnrichedScan, "Scan");
    same(Kind::RunProgress, Kind::EnrichedRunProgress, "Report");
}

#[test]
fn confluent_framing_is_read_and_written() {
    let codec = Codec::new().unwrap().writing_registry_id(Kind::Scan, 77);
    let mut bytes = Vec::new();
    codec.encode(&scan(), &mut bytes).unwrap();
    assert_eq!(bytes[..5], [0, 0, 0, 0, 77]);
    assert_eq!(codec.decode::<Scan>(&bytes).unwrap(), scan());

    let reader = Codec::new().unwrap();
    assert!(matches!(reader.decode::<Scan>(&bytes), Err(DecodeError::UnknownSchema(_))));
    reader.learn_registry_id(77, Kind::Scan, Kind::Scan.versions()[0]).unwrap();
    assert_eq!(reader.decode::<Scan>(&bytes).unwrap(), scan());
}

#[test]
fn a_message_that_is_not_what_it_says_is_refused() {
    let codec = Codec::new().unwrap();
    let mut bytes = Vec::new();
    codec.encode(&heartbeat(), &mut bytes).unwrap();
    assert!(matches!(codec.decode::<Scan>(&bytes), Err(DecodeError::WrongRecord { .. })));
    bytes.push(0);
    assert!(matches!(codec.decode::<Heartbeat>(&bytes), Err(DecodeError::Datum(_))));
    bytes[3] ^= 1;
    assert!(matches!(codec.decode::<Heartbeat>(&bytes), Err(DecodeError::UnknownSchema(_))));
    for nothing in [&b""[..], b"\xC3", b"\xC3\x01abc", b"\x00ab", b"{\"a\":1}"] {
        assert!(matches!(codec.decode::<Scan>(nothing), Err(DecodeError::Framing { .. })));
    }
}

/// A writer one version ahead: a field more, at the end and in the middle.
#[test]
fn a_newer_writers_extra_field_is_skipped() {
    let mut newer: serde_json::Value =
        serde_json::from_str(Kind::Heartbeat.versions().last().unwrap()).unwrap();
    let fields = newer["fields"].as_array_mut().unwrap();
    fields.insert(4, serde_json::json!({"name": "Mood", "type": "string", "default": ""}));
    fields.push(serde_json::json!({"name": "Load", "type": "double", "default": 0.0}));
    let newer = newer.to_string();
    let schema = Schema::parse_str(&newer).unwrap();
    SchemaCompatibility::mutual_read(
        &schema,
        &Schema::parse_str(Kind::Heartbeat.versions().last().unwrap()).unwrap(),
    )
    .unwrap();

    let codec = Codec::new().unwrap();
    codec.learn_registry_id(9, Kind::Heartbeat, &newer).unwrap();
    let mut old = Vec::new();
    codec.encode(&heartbeat(), &mut old).unwrap();
    // The same record as the newer program would write it.
    let current = Schema::parse_str(Kind::Heartbeat.versions().last().unwrap()).unwrap();
    let reader = apache_avro::reader::datum::GenericDatumReader::builder(&current)
        .reader_schema(&schema)
        .build()
        .unwrap();
    let value = reader.read_value(&mut &old[10..]).unwrap();
    let writer = apache_avro::writer::datum::GenericDatumWriter::builder(&schema).build().unwrap();
    let datum = writer.write_value_to_vec(value).unwrap();
    assert_ne!(datum, old[10..]);
    let message = [&[0, 0, 0, 0, 9], &datum[..]].concat();
    assert!(matches!(codec.decode::<Heartbeat>(&message), Err(DecodeError::NotCurrent)));
    let rewritten = codec.current(&message).unwrap();
    assert_eq!(codec.decode::<Heartbeat>(&rewritten).unwrap(), heartbeat());
    assert_eq!(codec.current(&old).unwrap(), old);
    let longer = [&message[..], b"x"].concat();
    assert!(matches!(codec.current(&longer), Err(DecodeError::Datum(_))));
}

/// A JSON value of the given Avro type with every field filled, no two texts alike.
fn filled(
    r#type: &serde_json::Value,
    named: &mut std::collections::HashMap<String, serde_json::Value>,
    count: &mut u32,
) -> serde_json::Value {
    use serde_json::{Value as Json, json};
    *count += 1;
    match r#type {
        Json::Array(branches) => {
            filled(&branches[1 - usize::from((*count).is_multiple_of(5))], named, count)
        }
        Json::Object(object) => match object["type"].as_str().unwrap() {
            "record" => {
                let name = format!("patchline.{}", object["name"].as_str().unwrap());
                named.insert(name, r#type.clone());
                let fields = object["fields"].as_array().unwrap();
                let fields = fields.iter().map(|field| {
                    (
                        field["name"].as_str().unwrap().to_owned(),
                        filled(&field["type"], named, count),
                    )
                });
                Json::Object(fields.collect())
            }
            "enum" => {
                let symbols = object["symbols"].as_array().unwrap();
                symbols[*count as usize % symbols.len()].clone()
            }
            "array" => (0..3).map(|_| filled(&object["items"], named, count)).collect(),
            "string" => Json::String(Uuid::from_u128((*count).into()).to_string()),
            _ => filled(&object["type"], named, count),
        },
        Json::String(name) => match name.as_str() {
            "null" => Json::Null,
            "boolean" => json!(!(*count).is_multiple_of(3)),
            "int" | "long" => {
                json!(i64::from(*count) * if (*count).is_multiple_of(2) { -70_000 } else { 1_000 })
            }
            "double" => json!(f64::from(*count) / 8.0 - 7.5),
            "string" => Json::String(format!("text \u{e9} {count}")),
            name => filled(&named[name].clone(), named, count),
        },
        other => panic!("{other} is no Avro type"),
    }
}

/// The codec takes a record for the sequence of its fields; apache-avro goes by the schema's names. The
/// two must agree on every field.
#[test]
fn types_have_the_fields_of_their_schemas_in_order() {
    macro_rules! check {
        ($($type:ident)*) => {$(
            let text = *$type::KIND.versions().last().unwrap();
            let schema: serde_json::Value = serde_json::from_str(text).unwrap();
            let json = filled(&schema, &mut Default::default(), &mut 0).to_string();
            let record: $type = serde_json::from_str(&json).unwrap();
            let codec = Codec::new().unwrap();
            let mut bytes = Vec::new();
            codec.encode(&record, &mut bytes).unwrap();
            assert_eq!(codec.decode::<$type>(&bytes).unwrap(), record);
            let schema = Schema::parse_str(text).unwrap();
            let reader = apache_avro::reader::datum::GenericDatumReader::builder(&schema).build().unwrap();
            let mut rest = &bytes[10..];
            let value = reader.read_value(&mut rest).unwrap();
            assert!(rest.is_empty());
            assert_eq!(apache_avro::from_value::<$type>(&value).unwrap(), record);
        )*};
    }
    check!(Scan RunProgress Heartbeat EnrichedScan EnrichedRunProgress);
    check!(Event OfficeActivity CustomLog UpdateDeployment Advisory);
}

/// A producer of its own need not know that a GUID in capitals is the same.
#[test]
fn guids_are_read_in_lower_case_whoever_wrote_them() {
    const CAPITALS: &str = "5C0A7D6E-11F0-4A55-9D25-3F1C2F0C9A01";
    let codec = Codec::new().unwrap();
    let mut scan = Scan { source_computer_id: CAPITALS.into(), ..Scan::default() };
    for id in [CAPITALS, "PackageKit-1"] {
        scan.updates.push(Update { update_id: id.into(), ..Update::default() });
    }
    let mut bytes = Vec::new();
    codec.encode(&scan, &mut bytes).unwrap();
    let read: Scan<'_> = codec.decode(&bytes).unwrap();
    assert_eq!(read.source_computer_id, CAPITALS.to_lowercase());
    let ids: Vec<&str> = read.updates.iter().map(|update| &*update.update_id).collect();
    assert_eq!(ids, [&CAPITALS.to_lowercase(), "PackageKit-1"]);
    assert!(matches!(read.updates[1].update_id, Cow::Borrowed(_)), "nothing is copied");
}

/// Arrays may come in several blocks, with or without their sizes.
#[test]
fn every_form_of_an_array_is_read() {
    let codec = Codec::new().unwrap();
    let record = Heartbeat { computer_private_ips: vec!["a".into(), "b".into()], ..heartbeat() };
    let mut bytes = Vec::new();
    codec.encode(&record, &mut bytes).unwrap();
    let array = b"\x04\x02a\x02b\x00";
    let at = bytes.windows(array.len()).position(|window| window == array).unwrap();
    for other in [
        &b"\x02\x02a\x02\x02b\x00"[..],
        b"\x03\x08\x02a\x02b\x00",
        b"\x01\x04\x02a\x01\x04\x02b\x00",
    ] {
        let message = [&bytes[..at], other, &bytes[at + array.len()..]].concat();
        assert_eq!(codec.decode::<Heartbeat>(&message).unwrap(), record);
    }
    let bomb = [&bytes[..at], &b"\xfe\xff\xff\xff\x0f\x02a"[..]].concat();
    assert!(matches!(codec.decode::<Heartbeat>(&bomb), Err(DecodeError::Datum(_))));
}

/// Every message of `golden`: each record in each version.
fn corpus() -> &'static [Vec<u8>] {
    static CORPUS: std::sync::OnceLock<Vec<Vec<u8>>> = std::sync::OnceLock::new();
    CORPUS.get_or_init(|| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
        let paths = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
        let mut paths: Vec<_> =
            paths.filter(|path| path.extension().is_some_and(|kind| kind == "bin")).collect();
        paths.sort();
        paths.iter().map(|path| std::fs::read(path).unwrap()).collect()
    })
}

proptest! {
    #[test]
    fn a_mutated_message_of_any_record_is_read_or_refused(
        which in any::<prop::sample::Index>(),
        changes in proptest::collection::vec(
            (any::<prop::sample::Index>(), 0..8_usize, proptest::collection::vec(any::<u8>(), 0..4)),
            1..4,
        ),
    ) {
        let codec = Codec::new().unwrap();
        let mut message = which.get(corpus()).clone();
        for (at, removed, put) in changes {
            // The frame says which record it is; other bytes there are refused before any decoder.
            let at = 10 + at.index(message.len() - 9);
            let end = (at + removed).min(message.len());
            drop(message.splice(at..end, put));
        }
        let Ok(current) = codec.current(&message) else { return Ok(()) };
        // What is read can be written, and read again as the same.
        macro_rules! each {
            ($($type:ident)*) => {$(
                if let Ok(record) = codec.decode::<$type<'_>>(&current) {
                    let (mut written, mut again) = (Vec::new(), Vec::new());
                    codec.encode(&record, &mut written).unwrap();
                    codec.encode(&codec.decode::<$type<'_>>(&written).unwrap(), &mut again).unwrap();
                    prop_assert_eq!(written, again);
                }
            )*};
        }
        each!(Scan RunProgress Heartbeat EnrichedScan EnrichedRunProgress);
        each!(Event OfficeActivity CustomLog UpdateDeployment Advisory);
    }

    #[test]
    fn any_bytes_are_decoded_or_refused_without_a_panic(
        framed in any::<bool>(),
        noise in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        let codec = Codec::new().unwrap();
        let mut bytes = Vec::new();
        if framed {
            codec.encode(&Scan::default(), &mut bytes).unwrap();
            bytes.truncate(10);
        }
        bytes.extend_from_slice(&noise);
        let _ = codec.decode::<Scan>(&bytes);
    }

    #[test]
    fn a_flipped_byte_never_panics(at in 10..200_usize, bits in 1..=255_u8) {
        let codec = Codec::new().unwrap();
        let mut bytes = Vec::new();
        codec.encode(&enriched_scan(), &mut bytes).unwrap();
        let at = at % bytes.len();
        bytes[at] ^= bits;
        let _ = codec.decode::<EnrichedScan>(&bytes);
    }
}
