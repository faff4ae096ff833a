//! Every sample query of the documents, as it was written, gives the rows of its file in `sink/queries`.
//!
//! The files hold the originals as comments. A file may leave columns out, or name others, so rows are compared in
//! the columns that both have.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use patchline_query::{Language, Options};
use serde_json::{Value, json};

use crate::engine::{Row, engine};

/// Answers in another shape than the original's: a test of its own compares them.
const OTHER_SHAPE: &[&str] = &[COMPUTERS_SUMMARY];

const COMPUTERS_SUMMARY: &str = "heartbeat/computers-summary.sql";
const INSTALLATION_FAILURES: &str = "update-run-progress/patch-installation-failures.sql";

/// Files that look at a day, which the originals leave to the portal's choice of a time range.
const A_DAY: &[&str] = &["heartbeat/availability-rate.sql", "event/trend-of-an-event.sql"];

/// Files that leave out columns of the original, and which; all others have every one.
const FEWER_COLUMNS: &[(&str, &[&str])] = &[
    (
        "what the original has taken apart: JSON, XML, the event they are from",
        &[
            "event/cluster-cpu-usage.sql",
            "event/cluster-failed-virtual-machines.sql",
            "event/cluster-memory-usage.sql",
            "event/cluster-node-down.sql",
            "event/cluster-virtual-machines.sql",
            "event/cluster-volume-capacity.sql",
            "event/cluster-volume-iops.sql",
            "event/cluster-volume-latency.sql",
            "event/cluster-volume-throughput.sql",
            "event/clusters-memory-usage.sql",
        ],
    ),
    ("a length of time, of which the file says the seconds", &["heartbeat/recently-stopped.sql"]),
    (
        "the second of two columns that are always the same",
        &["event/error-events-on-computers-missing-critical-or-security-updates.sql"],
    ),
];

/// Columns that have one name and two meanings, and why.
const OTHER_COLUMNS: &[(&str, &str, &str)] = &[
    (
        "event/cluster-node-down.sql",
        "Severity",
        "a number in the original, which packs its word into a column with others",
    ),
    (
        INSTALLATION_FAILURES,
        "InstallationStatus",
        "what the update started from in the original, what it ended with in the file",
    ),
];

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
            if OTHER_SHAPE.contains(&name.as_str()) {
                continue;
            }
            let mut expected = engine.sql(&file.sql, &file.parameters).unwrap();
            for row in &mut expected {
                // The start of an hour keeps the column's name in KQL.
                if let Some(hour) = row.remove("Hour") {
                    row.insert("TimeGenerated".to_owned(), hour);
                }
            }
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
            let lacks: Vec<&String> = one.keys().filter(|c| !other.contains_key(*c)).collect();
            if !lacks.is_empty()
                && FEWER_COLUMNS.iter().all(|(_, files)| !files.contains(&name.as_str()))
            {
                failures.push(format!("{name}: the file lacks the columns {lacks:?}"));
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
    let others = files().into_iter().filter(|file| !OTHER_SHAPE.contains(&file.name.as_str()));
    let all: usize = others.map(|file| file.originals.len()).sum();
    assert_eq!(compared, all);
}

/// In a document's table a line ends in `</br>`, and a pipe is `&#124;`.
#[test]
fn a_sample_copied_out_of_a_table_is_the_same_query() {
    let engine = engine();
    let sql_of = |text: &str, language| {
        patchline_query::translate(text, language, &engine.catalog, &Options::default())
            .unwrap_or_else(|error| panic!("{error}"))
            .sql
    };
    let mut copied = 0;
    for (language, original) in files().into_iter().flat_map(|file| file.originals) {
        // A comment would go on to the text's end.
        if original.contains("//") {
            continue;
        }
        let cell = original.replace("&|", "|").replace('|', "&#124;");
        let cell = match language {
            Language::Kql => cell.trim_end().replace('\n', "</br>"),
            _ => cell,
        };
        assert_eq!(Language::of(&cell), language, "{cell}");
        assert_eq!(sql_of(&cell, language), sql_of(&original, language), "{cell}");
        copied += 1;
    }
    assert!(copied > 30, "{copied}");
}

fn file_named(wanted: &str) -> File {
    files().into_iter().find(|file| file.name == wanted).unwrap()
}

/// The text with each of the first replaced by the second.
fn changed(text: &str, changes: &[(&str, &str)]) -> String {
    changes.iter().fold(text.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "`{from}` is not in {text}");
        text.replace(from, to)
    })
}

/// The original is the half about Windows, a row a severity; it says in words what the other half differs in, and
/// how the counts follow.
#[test]
fn the_summary_of_computers_adds_up_both_halves_of_the_original() {
    let file = file_named(COMPUTERS_SUMMARY);
    let (_, windows) = &file.originals[0];
    let linux = changed(
        windows,
        &[
            ("OSType=~\"Windows\"", "OSType==\"Linux\""),
            ("ago(14h) and OSType!=\"Linux\"", "ago(5h) and OSType==\"Linux\""),
            ("by SourceComputerId, UpdateID", "by SourceComputerId, Product, ProductArch"),
            (
                " and (Optional==false or Classification has \"Critical\" or Classification has \"Security\")",
                "",
            ),
            (" and Approved!=false", ""),
        ],
    );
    let mut computers: BTreeMap<i64, i64> = BTreeMap::new();
    for half in [windows, &linux] {
        let rows = engine().ask(half, Language::Kql, &Options::default()).unwrap();
        assert!(rows.len() > 1, "{rows:?}");
        for row in rows {
            let [severity, count] = ["WorstMissingUpdateSeverity", "computersBySeverity"]
                .map(|column| row[column].as_i64().unwrap());
            *computers.entry(severity).or_default() += count;
        }
    }
    let all: i64 = computers.values().sum();
    let of = |severity| computers.get(&severity).copied().unwrap_or_default();
    let expected = json!([{
        "assessed": all - of(-1), "notAssessed": of(-1), "needCritical": of(4), "needSecurity": of(2),
        "needOther": of(1), "upToDate": of(0), "all": all,
    }]);
    assert_eq!(json!(engine().sql(&file.sql, &[]).unwrap()), expected);
    assert!(computers.len() > 3, "the fleet has too little in it: {computers:?}");
}

/// As written the original joins on the update alone and shows the status before; here it does what it promises.
#[test]
fn installation_failures_are_those_of_the_original_joined_by_computer() {
    let file = file_named(INSTALLATION_FAILURES);
    let (_, original) = &file.originals[0];
    let mended = changed(
        original,
        &[
            ("on UpdateId", "on SourceComputerId, UpdateId"),
            (
                "summarize by Title, InstallationStatus, Computer, ResourceId\n",
                "summarize by Title, InstallationStatus = InstallationStatus1, Computer, ResourceId\n",
            ),
        ],
    );
    let rows = engine().ask(&mended, Language::Kql, &Options::default()).unwrap();
    let expected = engine().sql(&file.sql, &[]).unwrap();
    let columns = rows[0].keys().collect();
    assert_eq!(projected(&rows, &columns), projected(&expected, &columns));
    let statuses: BTreeSet<&str> =
        expected.iter().map(|row| row["InstallationStatus"].as_str().unwrap()).collect();
    assert_eq!(statuses.len(), 4, "{statuses:?}");
}

#[test]
fn a_file_is_left_out_only_while_it_is_there() {
    let names: BTreeSet<String> = files().into_iter().map(|file| file.name).collect();
    let columns = OTHER_COLUMNS.iter().map(|(name, ..)| *name);
    for name in OTHER_SHAPE
        .iter()
        .copied()
        .chain(columns)
        .chain(A_DAY.iter().copied())
        .chain(FEWER_COLUMNS.iter().flat_map(|(_, files)| files.iter().copied()))
    {
        assert!(names.contains(name), "{name}");
    }
}
