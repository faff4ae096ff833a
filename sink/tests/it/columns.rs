//! The columns that analysts see: every one that the original had, described, and filled.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use patchline_schemas::{CustomLog, Event, OfficeActivity, Record, Timestamp};
use patchline_sink::batch::Source;
use serde_json::{Map, Value, json};

use crate::fixture::{NOW, World, id};

/// Views and their columns: name, type, comment.
type Tables = BTreeMap<String, Vec<(String, String, String)>>;

/// Without the storage of materialized views, which has another name in each database.
async fn columns(world: &World, engines: &str) -> Tables {
    let sql = format!(
        "SELECT table, columns.name, type, columns.comment FROM system.columns AS columns \
         INNER JOIN system.tables AS tables \
             ON tables.database = columns.database AND tables.name = columns.table \
         WHERE columns.database = currentDatabase() AND NOT startsWith(table, '.') \
             AND tables.engine {engines} \
         AND NOT startsWith(table, '.inner') \
         ORDER BY table, position"
    );
    let rows: Vec<(String, String, String, String)> =
        world.client.query(&sql).fetch_all().await.unwrap();
    let mut tables = Tables::new();
    for (table, name, r#type, comment) in rows {
        tables.entry(table).or_default().push((name, r#type, comment));
    }
    tables
}

fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

/// `docs/tables.md`, from the database.
fn page(views: &Tables, tables: &Tables) -> String {
    let mut page = include_str!("tables.head.md").to_owned();
    let mut section = |kind: &str, of: &Tables| {
        write!(page, "\n## {kind}\n").unwrap();
        for (table, columns) in of {
            write!(page, "\n### {table}\n\n| Column | Type | Meaning |\n|---|---|---|\n").unwrap();
            for (name, r#type, comment) in columns {
                let comment = comment.replace('|', "\\|").replace('<', "&lt;");
                writeln!(page, "| {name} | `{}` | {comment} |", r#type.replace('\n', " ")).unwrap();
            }
        }
    };
    section("Views", views);
    section("Tables behind them", tables);
    page
}

#[tokio::test]
async fn the_page_of_tables_says_what_the_database_has() {
    let world = World::migrated("page", 1).await;
    let views = columns(&world, "= 'View'").await;
    let tables = columns(&world, "!= 'View'").await;
    for (table, columns) in views.iter().chain(&tables) {
        for (name, _, comment) in columns {
            let own = table == "schema_migrations";
            assert!(own || !comment.is_empty(), "{table}.{name} has no comment");
        }
    }
    let page = page(&views, &tables);
    let path = project("docs/tables.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &page).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        kept == page,
        "docs/tables.md is not what the database says: run `UPDATE_DOCS=1 cargo test -p patchline-sink columns`"
    );
}

/// Types of the original's columns, as the start of ours.
fn is_compatible(original: &str, ours: &str) -> bool {
    let ours = ours.trim_start_matches("LowCardinality(").trim_start_matches("Nullable(");
    let wanted: &[&str] = match original {
        "string" => &["String"],
        "datetime" => &["DateTime64"],
        "bool" => &["Bool"],
        "int" => &["Int32"],
        "real" => &["Float64"],
        "dynamic" => &["Array(", "JSON"],
        _ => &[],
    };
    wanted.iter().any(|wanted| ours.starts_with(wanted))
}

#[tokio::test]
async fn every_column_of_the_original_is_there() {
    let reference = project("../shared/reference");
    if !reference.is_dir() {
        println!("DID NOT RUN: {} is not there", reference.display());
        return;
    }
    let world = World::migrated("reference", 1).await;
    let views = columns(&world, "= 'View'").await;
    let mut checked = 0;
    for (view, ours) in &views {
        let file = format!("tables_includes_{}-include.md", view.to_lowercase());
        let Ok(text) = std::fs::read_to_string(reference.join(file)) else { continue };
        for line in text.lines().filter(|line| line.starts_with("| ")) {
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            let (name, r#type) = (cells[1], cells[2]);
            if name == "Column" {
                continue;
            }
            let found = ours.iter().find(|column| column.0 == name);
            let (_, found, _) = found.unwrap_or_else(|| panic!("{view} has no column {name}"));
            assert!(is_compatible(r#type, found), "{view}.{name} is {found}, it was {type}");
            checked += 1;
        }
    }
    assert!(checked > 250, "{checked} columns were checked");

    // The property tables of the oldest documents: a table each, after a row that names the type.
    for (document, tables) in [
        ("000_56d01dff1d7492c9.txt", &["Update", "UpdateSummary"][..]),
        ("002_458b0d521b9cf1a3.txt", &["Update", "UpdateSummary", "OfficeActivity"]),
    ] {
        let text = std::fs::read_to_string(project("../shared/seeds").join(document)).unwrap();
        let (mut table, mut checked) = (None, 0);
        for line in text.lines() {
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            let (name, value) = match cells[..] {
                ["", name, value, ..] => (name.split(' ').next().unwrap(), value),
                _ => {
                    table = None;
                    continue;
                }
            };
            if name == "Type" && table.is_none() {
                table = tables.iter().find(|table| value.trim_matches('*') == **table);
            }
            let Some(table) = table else { continue };
            let found = views[*table].iter().any(|column| column.0 == name);
            assert!(found || name.is_empty(), "{table} has no column {name}, of {document}");
            checked += 1;
        }
        assert!(checked > 20, "{checked} columns of {document} were checked");
    }
}

/// A record with a value of its own in every field, as the `.avsc` file lists them.
fn filled(avsc: &str) -> Map<String, Value> {
    let schema: Value = serde_json::from_str(avsc).unwrap();
    let mut record = Map::new();
    for (at, field) in schema["fields"].as_array().unwrap().iter().enumerate() {
        let name = field["name"].as_str().unwrap();
        let r#type = match &field["type"] {
            Value::Array(types) => &types[1],
            r#type => r#type,
        };
        let r#type = r#type.as_object().map_or(r#type, |of| of.get("logicalType").unwrap());
        let value = match r#type.as_str().unwrap() {
            "string" => json!(format!("{name} {at}")),
            "boolean" => json!(true),
            "int" => json!(at),
            "uuid" => json!(id(at as u32).to_string()),
            "timestamp-millis" => json!(NOW + at as i64),
            other => panic!("{name} is of type {other}"),
        };
        record.insert(name.to_owned(), value);
    }
    record
}

/// Stores the record and compares every field with the column of its name.
async fn check_fields<T: Record>(world: &World, source: Source, view: &str, record: &T) {
    let arrived = NOW + 1000;
    world.store(source, 7, Timestamp(arrived), std::slice::from_ref(record)).await;
    let rows = world.rows(&format!("SELECT * FROM {view}")).await;
    let [row] = &rows[..] else { panic!("{} rows in {view}", rows.len()) };
    let sent = serde_json::to_value(record).unwrap();
    let time = |ms: i64| json!(Timestamp(ms).to_string().replace('T', " ").trim_end_matches('Z'));
    for (name, value) in sent.as_object().unwrap() {
        let column = row.get(name).unwrap_or_else(|| panic!("{view} has no column {name}"));
        let expected = match value {
            Value::Number(number) if number.as_i64().is_some_and(|ms| ms >= NOW) => {
                time(number.as_i64().unwrap())
            }
            // JSON travels as text and is read again.
            Value::String(text) if column.is_object() || column.is_array() => {
                serde_json::from_str(text).unwrap()
            }
            value => value.clone(),
        };
        assert_eq!(*column, expected, "{view}.{name}");
    }
    assert_eq!(row["_TimeReceived"], time(arrived), "{view}");
    let mut payload = Vec::new();
    world.codec.encode(record, &mut payload).unwrap();
    assert_eq!(row["_BilledSize"], json!(payload.len()), "{view}");
    assert_eq!(row["_IsBillable"], "false", "{view}");
}

#[tokio::test]
async fn every_field_of_a_raw_record_reaches_its_column() {
    let world = World::migrated("fields", 1).await;

    let mut event = filled(include_str!("../../../schemas/avro/event/1.avsc"));
    event.insert("OSType".to_owned(), json!("Windows"));
    event.insert("ManagementGroupName".to_owned(), json!("AOI-the-workspace"));
    let text = Value::Object(event).to_string();
    let event: Event<'_> = serde_json::from_str(&text).unwrap();
    check_fields(&world, Source::Events, "Event", &event).await;
    assert_eq!(
        world.texts("SELECT concat(TenantId, ' ', Type) FROM Event").await,
        ["the-workspace Event"]
    );

    let mut activity = filled(include_str!("../../../schemas/avro/office-activity/1.avsc"));
    for name in ["ExtraProperties", "Members", "OperationProperties", "SRRuleMatchDetails"] {
        activity
            .insert(name.to_owned(), json!(format!("[{{\"Name\":\"{name}\",\"Value\":[1,2]}}]")));
    }
    let text = Value::Object(activity).to_string();
    let activity: OfficeActivity<'_> = serde_json::from_str(&text).unwrap();
    check_fields(&world, Source::OfficeActivity, "OfficeActivity", &activity).await;
    let same = "SELECT countIf(evationApprovedTime = ElevationApprovedTime) FROM OfficeActivity";
    assert_eq!(world.number(same).await, 1);

    let mut log = filled(include_str!("../../../schemas/avro/custom-log/1.avsc"));
    log.insert("LogType".to_owned(), json!("MyLog"));
    log.insert("Record".to_owned(), json!("{\"a\":{\"b\":[1,\"x\"]},\"time\":\"2017-07-27\"}"));
    let text = Value::Object(log).to_string();
    let log: CustomLog<'_> = serde_json::from_str(&text).unwrap();
    check_fields(&world, Source::CustomLogs, "Custom", &log).await;
    assert_eq!(world.texts("SELECT Type FROM Custom").await, ["MyLog_CL"]);
}
