//! Mutated input for every decoder: none panics, none takes a request in part, none changes what was sent.
//!
//! Each decoder has a corpus under `tests/corpus/<decoder>/`; an input that once failed stays there. Each
//! test decodes the corpus as it is and then `FUZZ_ROUNDS` mutations of it (2,000 unless told otherwise), by
//! a seed that it prints and that `FUZZ_SEED` sets.

use std::fmt::Debug;
use std::fs;

use fastrand::Rng;
use patchline_schemas::{
    CustomLog, Event, Heartbeat, OfficeActivity, Record, RunProgress, Scan, UpdateDeployment,
    UpdateState, Validate,
};
use quick_xml::events::Event as Xml;
use serde::Deserialize;
use serde_json::Value;

use super::collector::tests::{URI, take};
use super::problem::Code;
use super::tests::{CODEC, decode};
use super::*;

const ROUNDS: usize = 2_000;

/// A longer input says nothing that a shorter one does not, and takes time.
const INPUT_BYTES_MAX: usize = 64 * 1024;

/// What means something to some decoder.
const TOKENS: [&str; 40] = [
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"",
    "\\",
    "null",
    "true",
    "-1",
    "0",
    "1e999",
    "2147483648",
    "9223372036854775808",
    "0.1",
    "\\u0000",
    "\\ud800",
    "\"\"",
    "{}",
    "[]",
    "\"Updates\":[],",
    "\"ReportId\":\"0d2b4e77-9d1c-4c0e-8a3b-5f1e8a526c1f\",",
    "\"TimeGenerated\":",
    "Linux",
    "Windows",
    "Needed",
    "Installed",
    "UpdateManagementHeartbeat",
    "2300-01-01T00:00:00Z",
    "\u{0}",
    "\u{feff}",
    "é",
    "<",
    "</Property>",
    "<DataItem/>",
    "<![CDATA[",
    "]]>",
    "&amp;",
    "<!DOCTYPE a>",
];

/// Checks what becomes of an input, and says whether it was taken.
type Check = fn(&str) -> bool;

fn fuzz(decoder: &str, check: Check) {
    let corpus = corpus(&format!("{}/tests/corpus/{decoder}", env!("CARGO_MANIFEST_DIR")));
    for input in &corpus {
        let text = std::str::from_utf8(input).expect("the corpus is text");
        assert!(check(text), "refused: {text}");
    }
    rounds(decoder, &corpus, |input| {
        // The gateway refuses other bytes before any decoder sees them.
        std::str::from_utf8(input).is_ok_and(check)
    });
}

fn corpus(folder: &str) -> Vec<Vec<u8>> {
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap_or_else(|error| panic!("{folder}: {error}"))
        .map(|file| file.unwrap().path())
        .collect();
    files.sort();
    assert!(!files.is_empty(), "{folder} is empty");
    files.iter().map(|file| fs::read(file).unwrap()).collect()
}

/// Calls `check` with mutations of the corpus.
fn rounds(decoder: &str, corpus: &[Vec<u8>], check: impl Fn(&[u8]) -> bool) {
    let setting =
        |name| std::env::var(name).ok().map(|text| text.parse::<u64>().expect("a number"));
    let rounds = setting("FUZZ_ROUNDS").map_or(ROUNDS, |rounds| usize::try_from(rounds).unwrap());
    let seed = setting("FUZZ_SEED").unwrap_or(1);
    println!("{decoder}: {rounds} rounds, FUZZ_SEED={seed}");
    let mut random = Rng::with_seed(seed);
    let mut taken = 0;
    for _ in 0..rounds {
        let mut input = random.choice(corpus).expect("a corpus").clone();
        for _ in 0..random.usize(1..=4) {
            mutate(&mut input, corpus, &mut random);
        }
        input.truncate(INPUT_BYTES_MAX);
        taken += usize::from(check(&input));
    }
    println!("{decoder}: {taken} taken");
    // Else the mutations are too wild, or too tame, to find anything.
    assert!(rounds < ROUNDS || (1..rounds).contains(&taken), "{taken} of {rounds} taken");
}

fn mutate(input: &mut Vec<u8>, corpus: &[Vec<u8>], random: &mut Rng) {
    let at = random.usize(0..=input.len());
    let until = (at + random.usize(0..=16)).min(input.len());
    match random.u8(0..12) {
        0 => drop(input.splice(at..until, [random.u8(..)])),
        1 => drop(input.splice(at..until, [])),
        2 => input.truncate(at),
        3 => {
            let copy = input[at..until].to_vec();
            drop(input.splice(at..at, copy));
        }
        4 => {
            let other = random.choice(corpus).expect("a corpus");
            let from = random.usize(0..=other.len());
            let part = other[from..(from + random.usize(0..=64)).min(other.len())].to_vec();
            drop(input.splice(at..until, part));
        }
        5 => {
            if let Some(byte) = input.get_mut(at) {
                *byte ^= 1 << random.u8(0..8);
            }
        }
        // What stays well-formed gets further.
        6..=9 => {
            let word = input.iter().skip(at).position(u8::is_ascii_alphanumeric);
            if let Some(byte) = word.and_then(|word| input.get_mut(at + word)) {
                *byte = random.alphanumeric() as u8;
            }
        }
        _ => {
            let token = random.choice(TOKENS).expect("a token");
            drop(input.splice(at..until, token.bytes()));
        }
    }
}

/// Refused, as a whole and with a reason; or the messages, always the same.
fn taken(
    decode: impl Fn() -> Result<(Kind, Encoded), Problem>,
) -> Result<(Kind, Encoded), Problem> {
    match (decode(), decode()) {
        (Ok((kind, encoded)), Ok((_, again))) => {
            assert_eq!(encoded.messages, again.messages);
            assert_eq!(encoded.messages.len(), encoded.report_ids.len());
            Ok((kind, encoded))
        }
        (Err(problem), Err(again)) => {
            assert_eq!(problem, again);
            let status = problem.reason.status();
            assert!(status.is_client_error() && !problem.detail.is_empty(), "{problem:?}");
            Err(problem)
        }
        (first, second) => panic!("{first:?}, then {second:?}"),
    }
}

/// The records of the messages. They are sound, and the messages are what writing them gives.
fn records<'m, R>(encoded: &'m Encoded) -> Vec<R>
where
    R: Record + Validate + Debug + Deserialize<'m>,
{
    let each = encoded.messages.iter().zip(&encoded.report_ids);
    each.map(|(message, id)| {
        let record: R = CODEC.decode(&message.payload).unwrap();
        assert_eq!((record.report_id(), record.key()), (*id, &*message.key));
        assert_eq!(record.check(), Ok(()));
        let mut payload = Vec::new();
        CODEC.encode(&record, &mut payload).unwrap();
        assert_eq!(payload, message.payload);
        record
    })
    .collect()
}

/// The items that a body of one or of many has.
fn items(text: &str) -> Option<Vec<Value>> {
    match serde_json::from_str(text).ok()? {
        Value::Array(items) => Some(items),
        one => Some(vec![one]),
    }
}

/// An item at fault is named; nothing is taken.
fn names_its_item(text: &str, problem: &Problem) -> bool {
    if let Ok(Value::Array(_)) = serde_json::from_str(text) {
        assert!(problem.item.is_some(), "{problem:?} in {text}");
    }
    false
}

/// All that `sent` says is in `kept`.
fn holds(kept: &Value, sent: &Value, field: &str) {
    let untold = match sent {
        Value::Null => true,
        Value::String(text) => text.is_empty() || text == &Uuid::nil().to_string(),
        _ => false,
    };
    match (kept, sent) {
        // Worked out by the gateway.
        _ if untold || field == "Starts" => {}
        (Value::Object(kept), Value::Object(sent)) => {
            for (name, sent) in sent {
                holds(&kept[name], sent, name);
            }
        }
        (Value::Array(kept), Value::Array(sent)) => {
            assert_eq!(kept.len(), sent.len(), "{field}");
            kept.iter().zip(sent).for_each(|(kept, sent)| holds(kept, sent, field));
        }
        (Value::String(kept), Value::String(sent)) if field.eq_ignore_ascii_case("UpdateID") => {
            assert!(kept.eq_ignore_ascii_case(sent), "{field}: {kept} of {sent}");
        }
        _ => assert_eq!(kept, sent, "{field}"),
    }
}

fn native<'t, R>(text: &'t str, encoded: &'t Encoded)
where
    R: Record + Validate + Debug + Deserialize<'t>,
{
    let records: Vec<R> = records(encoded);
    let sent: Vec<R> = if text.trim_start().starts_with('[') {
        serde_json::from_str(text).unwrap()
    } else {
        vec![serde_json::from_str(text).unwrap()]
    };
    assert_eq!(records.len(), sent.len());
    for (kept, sent) in records.iter().zip(&sent) {
        let [kept, sent] = [kept, sent].map(|record| serde_json::to_value(record).unwrap());
        holds(&kept, &sent, "");
    }
}

/// Defines the test of a kind of record on the native wire.
macro_rules! native {
    ($test:ident, $corpus:literal, $record:ident) => {
        #[test]
        fn $test() {
            fuzz($corpus, |text| {
                match taken(|| decode(Wire::Native(Kind::$record), text)) {
                    Ok((_, encoded)) => native::<$record<'_>>(text, &encoded),
                    Err(problem) => return names_its_item(text, &problem),
                }
                true
            });
        }
    };
}

native!(mutated_scans_are_refused_or_kept_whole, "scans", Scan);
native!(mutated_run_progress_is_refused_or_kept_whole, "run-progress", RunProgress);
native!(mutated_heartbeats_are_refused_or_kept_whole, "heartbeats", Heartbeat);
native!(mutated_events_are_refused_or_kept_whole, "events", Event);
native!(mutated_deployments_are_refused_or_kept_whole, "update-deployments", UpdateDeployment);

#[test]
fn mutated_audit_records_are_refused_or_kept_whole() {
    fuzz("office-activity", |text| {
        match taken(|| decode(Wire::Native(Kind::OfficeActivity), text)) {
            Err(problem) => names_its_item(text, &problem),
            Ok((_, encoded)) => {
                let records: Vec<OfficeActivity<'_>> = records(&encoded);
                // A number beyond all bounds is text to us, and nothing to `Value`.
                let Some(items) = items(text) else { return true };
                assert_eq!(records.len(), items.len());
                let each = records.iter().zip(&items);
                each.for_each(|(record, item)| in_a_column_or_extra(record, item));
                true
            }
        }
    });
}

/// Every field of an audit record is in a column, or in `ExtraProperties`.
fn in_a_column_or_extra(record: &OfficeActivity<'_>, item: &Value) {
    let columns = serde_json::to_value(record).unwrap();
    let extra = &record.extra_properties;
    for (name, sent) in item.as_object().unwrap() {
        let derived = office::DERIVED.contains(&&**name);
        let renamed =
            office::COLUMNS.iter().find(|(api, _)| api == name).map(|(_, column)| *column);
        let in_column = [Some(&**name), renamed].into_iter().flatten().any(|column| {
            columns.get(column).is_some_and(|kept| match (kept, sent) {
                (Value::String(kept), Value::String(sent)) => {
                    kept.contains(&**sent) || kept.eq_ignore_ascii_case(sent)
                }
                _ => true,
            })
        });
        let in_extra = || extra.contains(&serde_json::to_string(name).unwrap());
        assert!(derived || in_column || in_extra(), "{name} of {item} is not in {columns}");
    }
}

#[test]
fn mutated_linux_reports_are_refused_or_kept_whole() {
    fuzz("linux-agent", |text| {
        let Ok((kind, encoded)) = taken(|| decode(Wire::LinuxAgent, text)) else { return false };
        let Ok(body) = serde_json::from_str::<Value>(text) else { return true };
        let items = body["DataItems"].as_array().unwrap();
        let kept = match kind {
            Kind::RunProgress => records::<RunProgress<'_>>(&encoded).len(),
            Kind::Heartbeat => records::<Heartbeat<'_>>(&encoded).len(),
            _ => {
                let scans: Vec<Scan<'_>> = records(&encoded);
                scans.iter().zip(items).for_each(|(scan, item)| lists_the_packages(scan, item));
                scans.len()
            }
        };
        assert_eq!(kept, items.len(), "{text}");
        true
    });
}

/// The scan lists an item's packages, in their order, without the pseudo-package.
fn lists_the_packages(scan: &Scan<'_>, item: &Value) {
    let names =
        item["Collections"].as_array().unwrap().iter().map(
            |package| match &package["PackageName"] {
                Value::String(name) => name.clone(),
                other => other.to_string(),
            },
        );
    let names: Vec<String> = names.filter(|name| name != "UpdateManagementHeartbeat").collect();
    let kept: Vec<&str> = scan.updates.iter().map(|update| &*update.product).collect();
    assert_eq!(kept, names);
    assert!(scan.updates.iter().all(|update| update.update_state != UpdateState::Installed));
}

#[test]
fn mutated_property_bags_are_refused_or_kept_whole() {
    fuzz("windows-agent", |text| {
        let kept = match taken(|| decode(Wire::WindowsAgent, text)) {
            Ok((Kind::Event, encoded)) => records::<Event<'_>>(&encoded).len(),
            Ok((_, encoded)) => records::<Heartbeat<'_>>(&encoded).len(),
            Err(_) => return false,
        };
        assert_eq!(kept, data_items(text), "{text}");
        true
    });
}

/// Elements within the outermost, counted another way.
fn data_items(text: &str) -> usize {
    let mut reader = quick_xml::Reader::from_str(text);
    let (mut depth, mut items) = (0, 0);
    loop {
        match reader.read_event().unwrap() {
            Xml::Start(_) => {
                items += usize::from(depth == 1);
                depth += 1;
            }
            Xml::Empty(_) => items += usize::from(depth == 1),
            Xml::End(_) => depth -= 1,
            Xml::Eof => return items,
            _ => {}
        }
    }
}

/// A corpus file has the headers, one a line, an empty line and the body.
#[test]
fn mutated_posts_are_refused_or_kept_whole() {
    fuzz("collector", |text| {
        let Some((head, body)) = text.split_once("\n\n") else { return false };
        let headers: Vec<(&str, &str)> = head
            .lines()
            .filter_map(|line| line.split_once(": "))
            .filter(|(name, _)| name.parse::<HeaderName>().is_ok())
            .collect();
        let (kind, encoded) = match taken(|| take(URI, &headers, body)) {
            Ok(taken) => taken,
            Err(problem) if problem.code == Some(Code::InvalidDataFormat) => {
                return names_its_item(body, &problem);
            }
            Err(_) => return false,
        };
        let Some(items) = items(body) else { return true };
        let kept = match kind {
            Kind::Scan => records::<Scan<'_>>(&encoded).len(),
            Kind::RunProgress => records::<RunProgress<'_>>(&encoded).len(),
            Kind::Heartbeat => records::<Heartbeat<'_>>(&encoded).len(),
            Kind::Event => records::<Event<'_>>(&encoded).len(),
            Kind::OfficeActivity => records::<OfficeActivity<'_>>(&encoded).len(),
            _ => {
                let logs: Vec<CustomLog<'_>> = records(&encoded);
                for (log, item) in logs.iter().zip(&items) {
                    assert_eq!(&serde_json::from_str::<Value>(&log.record).unwrap(), item);
                }
                logs.len()
            }
        };
        assert_eq!(kept, items.len(), "{text}");
        true
    });
}

/// Messages as Kafka has them. What can be read at all can be written again and read as the same.
#[test]
fn mutated_messages_are_refused_or_read_the_same_again() {
    /// Debug text, because a number that is none differs from itself.
    macro_rules! same {
        ($message:ident, $taken:ident, $($record:ident)*) => {$(
            if let Ok(record) = CODEC.decode::<$record<'_>>($message) {
                let mut written = Vec::new();
                CODEC.encode(&record, &mut written).unwrap();
                let again: $record<'_> = CODEC.decode(&written).unwrap();
                assert_eq!(format!("{again:?}"), format!("{record:?}"));
                $taken = true;
            }
        )*};
    }
    let golden = corpus(&format!("{}/../schemas/tests/golden", env!("CARGO_MANIFEST_DIR")));
    rounds("codec", &golden, |message| {
        let mut taken = false;
        same!(message, taken, Scan RunProgress Heartbeat Event OfficeActivity CustomLog UpdateDeployment);
        taken
    });
}
