//! Every sample query of the documents, as it was written, gives the rows of its file in `sink/queries`.
//!
//! The files hold the originals as comments. A file may leave columns out, or name others, so rows are compared in
//! the columns that both have.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use patchline_query::{Language, Options};
use serde_json::Value;

use crate::engine::{Row, engine};

/// Files that answer the original's question in another shape, and why no rows can be compared.
const OTHER_SHAPE: &[(&str, &str)] = &[
    (
        "heartbeat/computers-summary.sql",
        "the original is the half about Windows, and a row a severity",
    ),
    (
        "update-run-progress/patch-installation-failures.sql",
        "the original joins on the update alone, and shows what it started from",
    ),
];

/// Files that look at a day, which the originals leave to the portal's choice of a time range.
const A_DAY: &[&str] = &["heartbeat/availability-rate.sql", "event/trend-of-an-event.sql"];

/// Columns that have one name and two meanings, and why.
const OTHER_COLUMNS: &[(&str, &str, &str)] = &[(
    "event/cluster-node-down.sql",
    "Severity",
    "a number in the original, which packs its word into a column with others",
)];

/// A file of `sink/queries`.
struct File {
    name: String,
    sql: String,
    originals: Vec<(Language, String)>,
    parameters: Vec<(String, String)>,
}

fn files() -> Vec<File> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../queries");
    let mut paths: Vec<PathBuf> = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => folders.push(path),
                false if path.extension().is_some_and(|e| e == "sql") => paths.push(path),
                false => {}
            }
        }
    }
    paths.sort();
    let read = |path: &PathBuf| {
        let name = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
        file(name, std::fs::read_to_string(path).unwrap())
    };
    paths.iter().map(read).collect()
}

fn file(name: String, sql: String) -> File {
    let mut originals: Vec<(Language, String)> = Vec::new();
    let mut parameters = Vec::new();
    let mut within = false;
    for line in sql.lines() {
        if let Some(text) = line.strip_prefix("--   ").or((line == "--").then_some("")) {
            if within {
                let (_, original) = originals.last_mut().unwrap();
                original.push_str(text);
                original.push('\n');
            }
            continue;
        }
        within = true;
        match line {
            "-- Original (KQL):" => originals.push((Language::Kql, String::new())),
            "-- Original (log search):" => originals.push((Language::Search, String::new())),
            _ => within = false,
        }
        if let Some((name, value)) =
            line.strip_prefix("-- Parameter ").and_then(|p| p.split_once(" = "))
        {
            parameters.push((name.to_owned(), value.trim_matches('\'').to_owned()));
        }
    }
    File { name, sql, originals, parameters }
}

/// A value as both ways of working it out would print it.
fn plain(value: &Value) -> String {
    match value {
        Value::Number(number) => format!("{:.6}", number.as_f64().unwrap()),
        Value::Bool(value) => format!("{:.6}", f64::from(u8::from(*value))),
        Value::Null => String::new(),
        Value::String(text) => match text.split_once('.') {
            // A time with and without its fraction.
            Some((seconds, fraction))
                if seconds.len() == 19 && fraction.trim_matches('0').is_empty() =>
            {
                seconds.to_owned()
            }
            _ => text.clone(),
        },
        other => other.to_string(),
    }
}

fn projected(rows: &[Row], columns: &BTreeSet<&String>) -> Vec<Vec<String>> {
    let mut all: Vec<Vec<String>> =
        rows.iter().map(|row| columns.iter().map(|c| plain(&row[c.as_str()])).collect()).collect();
    all.sort();
    all
}

#[test]
fn every_sample_as_it_was_written_gives_the_rows_of_its_file() {
    let engine = engine();
    let mut failures = Vec::new();
    let mut compared = 0;
    for file in files() {
        for (language, original) in &file.originals {
            let name = &file.name;
            assert_eq!(Language::of(original), *language, "{name}: {original}");
            let timespan = A_DAY.contains(&name.as_str()).then_some(864_000_000_000);
            let options = Options { timespan_ticks: timespan, ..Options::default() };
            let rows = match engine.ask(original, *language, &options) {
                Ok(rows) => rows,
                Err(error) => {
                    failures.push(format!("{name}: {error}"));
                    continue;
                }
            };
            if OTHER_SHAPE.iter().any(|(other, _)| other == name) {
                continue;
            }
            let expected = engine.sql(&file.sql, &file.parameters).unwrap();
            let (Some(one), Some(other)) = (rows.first(), expected.first()) else {
                let (found, expected) = (rows.len(), expected.len());
                failures
                    .push(format!("{name}: {found} rows for {original}, {expected} for the file"));
                continue;
            };
            let differs = |column: &str| {
                OTHER_COLUMNS.iter().any(|(file, other, _)| file == name && *other == column)
            };
            let columns: BTreeSet<&String> =
                one.keys().filter(|c| other.contains_key(*c) && !differs(c)).collect();
            if columns.is_empty() {
                failures.push(format!("{name}: no columns in common: {one:?} and {other:?}"));
                continue;
            }
            let (found, expected) = (projected(&rows, &columns), projected(&expected, &columns));
            if found != expected {
                let differs = found.iter().zip(&expected).find(|(one, other)| one != other);
                failures.push(format!(
                    "{name}: {} rows for\n{original}\n{} for the file, in {columns:?}: {differs:?}",
                    found.len(),
                    expected.len()
                ));
                continue;
            }
            compared += 1;
        }
    }
    assert!(failures.is_empty(), "{} samples differ:\n{}", failures.len(), failures.join("\n\n"));
    assert!(compared > 80, "only {compared} samples were compared");
}

#[test]
fn a_file_is_left_out_only_while_it_is_there() {
    let names: BTreeSet<String> = files().into_iter().map(|file| file.name).collect();
    let columns = OTHER_COLUMNS.iter().map(|(name, ..)| *name);
    for name in
        OTHER_SHAPE.iter().map(|(name, _)| *name).chain(columns).chain(A_DAY.iter().copied())
    {
        assert!(names.contains(name), "{name}");
    }
}
