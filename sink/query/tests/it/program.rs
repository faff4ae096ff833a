//! The program as it is called.

use std::process::{Command, Output};

use crate::engine::engine;

fn run(arguments: &[&str]) -> Output {
    let server = &engine().server;
    Command::new(env!("CARGO_BIN_EXE_patchline-query"))
        .args(["--url", &server.url, "--database", &server.database])
        .args(arguments)
        .env_remove("CLICKHOUSE_PASSWORD")
        .output()
        .unwrap()
}

fn printed(arguments: &[&str]) -> String {
    let output = run(arguments);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {error}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_query_is_printed_as_table_csv_or_json() {
    let text = "Heartbeat | where Computer == \"pc-3.contoso.com\" | distinct Computer, OSType";
    assert_eq!(printed(&[text]), "\"Computer\",\"OSType\"\n\"pc-3.contoso.com\",\"Windows\"\n");
    assert_eq!(
        printed(&["--format", "json", text]),
        "{\"Computer\":\"pc-3.contoso.com\",\"OSType\":\"Windows\"}\n"
    );
    let table = printed(&["--format", "table", text]);
    assert!(table.contains("│ pc-3.contoso.com │ Windows │"), "{table}");
}

#[test]
fn sql_runs_as_it_is_with_its_own_parameters_and_format() {
    let text = "SELECT {n:UInt8} + 1 AS n, '?' AS mark FORMAT JSONEachRow";
    assert_eq!(printed(&["--param", "n=41", text]), "{\"n\":42,\"mark\":\"?\"}\n");
}

#[test]
fn explain_prints_the_sql_and_a_note_goes_to_the_standard_error() {
    let text = "Type=UpdateSummary WindowsUpdateSetting=Manual | measure count() by Computer";
    let output = run(&["--explain", text]);
    let sql = String::from_utf8(output.stdout).unwrap();
    assert!(sql.starts_with("SELECT ") && sql.contains("FROM `UpdateSummary` AS t"), "{sql}");
    let notes = String::from_utf8(output.stderr).unwrap();
    assert_eq!(
        notes,
        "note: WindowsUpdateSetting `Manual` is taken for `Disabled`, `Notify before installation` as well\n"
    );
}

#[test]
fn a_mistake_ends_it_with_a_place_and_a_failure() {
    let output = run(&["Update | where Cmputer == 'x'"]);
    assert!(!output.status.success() && output.stdout.is_empty());
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.starts_with("patchline-query: line 1, column 16: "), "{error}");
}

#[test]
fn nothing_is_changed_without_leave() {
    assert!(
        !run(&["--language", "sql", "CREATE TABLE x (a Int8) ENGINE = Memory"]).status.success()
    );
    printed(&["--write", "CREATE TABLE x (a Int8) ENGINE = Memory"]);
}
