//! What the sink lets through as JSON, the engine takes; what it does not, is a dead letter alone.

use std::time::Duration;

use patchline_schemas::topic::dead_letter;
use patchline_schemas::{CustomLog, OfficeActivity, Timestamp};
use patchline_sink::batch::Source;
use patchline_sink::json::{check_object, objects};

use crate::fixture::{NOW, Random, World, custom_log, header, office_activity};

/// Writes a JSON value, mostly sound, of a kind that has been seen to matter.
fn value(random: &mut Random, depth: u32, out: &mut String) {
    const NUMBERS: [&str; 14] = [
        "0",
        "-0",
        "-0.0",
        "1.5e3",
        "1e308",
        "1e309",
        "1e-400",
        "18446744073709551615",
        "18446744073709551616",
        "-9223372036854775808",
        "-9223372036854775809",
        "123456789012345678901234567890",
        "0.1000000000000000055511151231257827021181583404541015625",
        "01",
    ];
    const TEXTS: [&str; 12] = [
        "",
        "a",
        "2020-01-01",
        "2020-01-01 00:00:00.123",
        "10.0.0.1",
        "\\u0000",
        "\\ud83e\\udd80",
        "\\ud83e",
        "\\\"\\\\\\n",
        "99999999999999999999",
        "\u{1F980}",
        "\t",
    ];
    const KEYS: [&str; 10] = ["a", "b", "a.b", "", ".", "a.", "\\u0061", "`a`", "\\u0000", "null"];
    let pick = |random: &mut Random, from: &[&'static str]| {
        // The first few are sound: most documents should be.
        let bound = if random.below(12) == 0 { from.len() } else { from.len().min(6) };
        from[random.below(bound as u64) as usize]
    };
    match random.below(if depth > 5 { 6 } else { 12 }) {
        0 => out.push_str("null"),
        1 => out.push_str(if random.below(2) == 0 { "true" } else { "false" }),
        2 | 3 => out.push_str(pick(random, &NUMBERS)),
        4 | 5 => {
            out.push('"');
            out.push_str(pick(random, &TEXTS));
            out.push('"');
        }
        6..=8 => {
            out.push('[');
            for at in 0..random.below(4) {
                out.push_str(if at > 0 { "," } else { "" });
                value(random, depth + 1, out);
            }
            out.push(']');
        }
        _ => {
            out.push('{');
            let first = random.below(KEYS.len() as u64);
            for at in 0..random.below(4) {
                out.push_str(if at > 0 { ", " } else { "" });
                // Mostly different keys, sometimes one twice.
                let step = if random.below(12) == 0 { 0 } else { at };
                out.push('"');
                out.push_str(KEYS[((first + step) % KEYS.len() as u64) as usize]);
                out.push_str("\":");
                value(random, depth + 1, out);
            }
            out.push('}');
        }
    }
}

/// A document, or what is left of one after some bytes of it were changed.
fn document(random: &mut Random) -> String {
    let mut text = String::new();
    text.push_str("{\"a\":");
    value(random, 0, &mut text);
    text.push('}');
    if random.below(8) == 0 {
        let mut chars: Vec<char> = text.chars().collect();
        let at = random.below(chars.len() as u64) as usize;
        chars[at] = ['{', '}', '"', ',', ':', '[', '0', '\\', '\u{7F}'][random.below(9) as usize];
        text = chars.into_iter().collect();
    }
    text
}

#[tokio::test]
async fn whatever_is_let_through_the_engine_takes() {
    const DOCUMENTS: usize = 4_000;
    let mut random = Random::seeded();
    let world = World::migrated("json", 1).await;
    let mut logs = Vec::new();
    let mut activities = Vec::new();
    let mut refused = 0;
    // The deepest that is let through, and more paths than a column keeps apart.
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(126), "]".repeat(126));
    let nested = format!("{}1{}", "{\"a\":".repeat(127), "}".repeat(127));
    let paths: Vec<String> = (0..3000).map(|at| format!("\"path{at}\":{at}")).collect();
    let edges = [deep, nested, format!("{{{}}}", paths.join(","))];
    assert!(edges.iter().all(|text| check_object(text).is_ok()));
    let documents = edges.into_iter().chain((0..DOCUMENTS).map(|_| document(&mut random)));
    for text in documents {
        let number = logs.len() as u32;
        let activity = activities.len() as u32;
        match check_object(&text) {
            Ok(()) => logs.push(CustomLog { record: text.clone().into(), ..custom_log(number) }),
            Err(_) => refused += 1,
        }
        let inside = text.strip_prefix("{\"a\":").and_then(|rest| rest.strip_suffix('}'));
        if let Some(inside) = inside.filter(|inside| objects(inside).is_ok()) {
            let members = inside.to_owned().into();
            activities.push(OfficeActivity { members, ..office_activity(activity) });
        }
    }
    assert!(logs.len() > DOCUMENTS / 2, "{} documents are sound", logs.len());
    assert!(refused > DOCUMENTS / 20, "{refused} documents are not");
    let now = Timestamp(NOW);
    world.store(Source::CustomLogs, 0, now, &logs).await;
    world.store(Source::OfficeActivity, 0, now, &activities).await;
    let stored = "SELECT count() FROM custom_rows";
    assert_eq!(world.number(stored).await, logs.len() as u64);
    let stored = "SELECT count() FROM office_activity_rows";
    assert_eq!(world.number(stored).await, activities.len() as u64);
    // It can be read again, merged or not.
    for _ in 0..2 {
        let read = "SELECT countIf(startsWith(toString(Record), '{')) FROM custom_rows";
        assert_eq!(world.number(read).await, logs.len() as u64);
        world.client.query("OPTIMIZE TABLE custom_rows FINAL").execute().await.unwrap();
    }
}

#[tokio::test]
async fn bad_json_is_a_dead_letter_and_its_neighbours_are_stored() {
    let world = World::migrated("bad_json", 1).await;
    for (number, record) in [
        (0, "{\"a\":{\"b\":[1,2]}}"),
        (1, "{\"a\":1,\"a\":2}"),
        (2, "{\"a\":"),
        (3, "{\"a\":null}"),
    ] {
        let log = CustomLog { record: record.into(), ..custom_log(number) };
        world.send(&world.topics.custom_logs, "w", &log).await;
    }
    for (number, members) in [(0, "[{\"UPN\":\"a@contoso.com\"},\"b\"]"), (1, "[1e999]"), (2, "")] {
        let activity = OfficeActivity { members: members.into(), ..office_activity(number) };
        world.send(&world.topics.office_activity, "t", &activity).await;
    }
    let mut sink = world.start(&[]);
    world.wait_for("SELECT count() FROM Custom", 2).await;
    world.wait_for("SELECT count() FROM OfficeActivity", 2).await;
    let read =
        world.texts("SELECT ifNull(toString(Record.a.b), '') FROM Custom ORDER BY ReportId").await;
    assert_eq!(read, ["[1,2]", ""]);
    let sql = "SELECT assumeNotNull(concat(toString(Members[1].UPN), ' ', toString(Members[2].Value))) \
        FROM OfficeActivity WHERE notEmpty(Members)";
    assert_eq!(world.texts(sql).await, ["a@contoso.com b"]);

    let letters = world.dead_letters(3);
    let expected = [
        (&world.topics.custom_logs, "1", "Record: the path `a` stands twice"),
        (&world.topics.custom_logs, "2", "Record: EOF"),
        (&world.topics.office_activity, "1", "Members: number out of range"),
    ];
    for (letter, (topic, offset, error)) in letters.iter().zip(expected) {
        let of = |name| header(letter, name);
        assert_eq!(of(dead_letter::SOURCE_TOPIC), *topic);
        assert_eq!(of(dead_letter::SOURCE_OFFSET), offset);
        assert_eq!(of(dead_letter::ERROR_CLASS), "invalid");
        assert!(of(dead_letter::ERROR_TEXT).starts_with(error), "{}", of(dead_letter::ERROR_TEXT));
    }
    sink.terminate(Duration::from_secs(20)).unwrap();
}
