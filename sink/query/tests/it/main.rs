//! What texts become, and that the engine answers them as it answers the SQL of `sink/queries`.
//!
//! Needs `make engines`; with `CLICKHOUSE_URL` set, that server is used.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "clippy.toml allows these in tests, and takes the helpers here for something else"
)]

mod engine;
mod errors;
mod golden;
mod program;
mod random;
mod samples;
mod semantics;

use patchline_query::{Catalog, Language, Options, QueryError, translate};

/// The tables that tests without an engine know.
fn catalog() -> Catalog {
    let mut catalog = Catalog::default();
    for (table, columns) in [
        (
            "Update",
            "TimeGenerated DateTime64(3,'UTC');SourceComputerId String;Computer String;\
             OSType LowCardinality(String);OSName LowCardinality(String);UpdateID String;\
             Title String;KBID LowCardinality(String);Product String;ProductArch LowCardinality(String);\
             Classification LowCardinality(String);UpdateState LowCardinality(String);Optional Bool;\
             Approved Bool;PublishedDate Nullable(DateTime64(3,'UTC'));UpdateSeverity String;\
             BulletinUrl String;ReportId UUID;Type String",
        ),
        (
            "Event",
            "TimeGenerated DateTime64(3,'UTC');Computer String;EventID Int32;EventLog LowCardinality(String);\
             EventLevelName LowCardinality(String);EventData String;RenderedDescription String;\
             _TimeReceived DateTime64(3,'UTC');Type String",
        ),
        (
            "Heartbeat",
            "TimeGenerated DateTime64(3,'UTC');SourceComputerId String;Computer String;\
             OSType LowCardinality(String);ComputerIP String;ComputerPrivateIPs Array(String);\
             Solutions LowCardinality(String);RemoteIPLatitude Nullable(Float64);\
             _TimeReceived DateTime64(3,'UTC');Type String",
        ),
        (
            "UpdateSummary",
            "TimeGenerated DateTime64(3,'UTC');Computer String;WindowsUpdateSetting LowCardinality(String);\
             TotalUpdatesMissing Int32;OldestMissingSecurityUpdateInDays Nullable(Int32);Type String",
        ),
        (
            "UpdateRunProgress",
            "TimeGenerated DateTime64(3,'UTC');Computer String;UpdateRunName LowCardinality(String);\
             Title String;UpdateId String;InstallationStatus LowCardinality(String);\
             StartTime Nullable(DateTime64(3,'UTC'));EndTime Nullable(DateTime64(3,'UTC'));Type String",
        ),
        ("Custom", "TimeGenerated DateTime64(3,'UTC');LogType String;Record JSON;Type String"),
        ("update_rows", "Computer String"),
    ] {
        for column in columns.split(';') {
            let (name, engine_type) = column.split_once(' ').unwrap();
            catalog.add(table, name, engine_type);
        }
    }
    catalog
}

/// The SQL of a text at a fixed moment, with its notes before it as comments.
fn sql_of(text: &str, language: Language) -> Result<String, QueryError> {
    let now_us = patchline_query::text::moment("2026-01-15T12:00:00Z");
    let options = Options { now_us, ..Options::default() };
    let translation = translate(text, language, &catalog(), &options)?;
    let mut sql = String::new();
    for note in translation.notes.iter() {
        sql.push_str(&format!("-- note: {note}\n"));
    }
    Ok(sql + &translation.sql)
}
