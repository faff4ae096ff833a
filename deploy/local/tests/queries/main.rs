//! Every file of `sink/queries` on a known fleet: its answer is what plain code makes of the fleet's truth, row
//! for row. `docs/queries.md` is written from the same answers: `UPDATE_DOCS=1` rewrites it.
//!
//! Needs `make engines`, or `CLICKHOUSE_URL`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failing test should stop at once; clippy.toml does not reach the helpers here"
)]

mod expected;
mod page;
mod sample;
mod stored;
mod world;

use std::collections::BTreeMap;

use serde_json::Value;
use tokio::sync::OnceCell;

use expected::{Answer, Order};
use sample::Sample;
use world::World;

/// A sample, how it was asked, and what came back.
struct Asked {
    sample: Sample,
    parameters: BTreeMap<String, String>,
    expected: Answer,
    columns: Vec<String>,
    rows: Vec<Vec<Value>>,
}

/// All samples, asked once for all tests.
async fn asked() -> &'static [Asked] {
    static ASKED: OnceCell<Vec<Asked>> = OnceCell::const_new();
    ASKED.get_or_init(ask_all).await
}

async fn ask_all() -> Vec<Asked> {
    let world = World::load().await;
    let facts = expected::Facts::of(world.truth);
    let mut all = Vec::new();
    for sample in sample::read_all() {
        let expected = expected::answer(&sample.name, &facts)
            .unwrap_or_else(|| panic!("{}: nobody says what it must answer", sample.name));
        let parameters: BTreeMap<String, String> = sample
            .parameters
            .iter()
            .map(|(name, value)| {
                let given = expected.parameters.iter().find(|(given, _)| given == name);
                (name.clone(), given.map_or(value.clone(), |(_, value)| value.clone()))
            })
            .collect();
        let (columns, rows) = sample.ask(&world.client, &parameters).await;
        all.push(Asked { sample, parameters, expected, columns, rows });
    }
    all
}

/// Numbers that went through sums in another order may differ in their last digits.
fn rounded(value: &Value) -> Value {
    match value.as_f64() {
        Some(number) if value.is_f64() => Value::from(format!("{number:.6}")),
        Some(number) => Value::from(format!("{number:.6}")),
        None => value.clone(),
    }
}

#[tokio::test]
async fn every_sample_query_answers_what_plain_code_makes_of_the_truth() {
    for Asked { sample, expected, columns, rows, .. } in asked().await {
        let name = &sample.name;
        let at = |wanted: &str| {
            let found = columns.iter().position(|column| column == wanted);
            found.unwrap_or_else(|| panic!("{name}: no column {wanted} in {columns:?}"))
        };
        if !sample.sql.contains("SELECT *\n") {
            assert_eq!(&expected.columns, columns, "{name}: columns");
        }
        let places: Vec<usize> = expected.columns.iter().map(|column| at(column)).collect();
        let mut found: Vec<Vec<Value>> = rows
            .iter()
            .map(|row| places.iter().map(|place| rounded(&row[*place])).collect())
            .collect();
        let mut wanted: Vec<Vec<Value>> =
            expected.rows.iter().map(|row| row.iter().map(rounded).collect()).collect();
        let is_known = world::another_seed().is_none();
        assert!(!wanted.is_empty() || !is_known, "{name}: the fleet has nothing for it to find");
        match expected.order {
            Order::Exact => {}
            Order::None | Order::Descending(_) => {
                if let Order::Descending(column) = expected.order {
                    let place = at(column);
                    let falls =
                        |pair: &[Vec<Value>]| pair[0][place].as_str() >= pair[1][place].as_str();
                    assert!(rows.windows(2).all(falls), "{name}: not sorted by {column}");
                }
                let key = |row: &Vec<Value>| serde_json::to_string(row).unwrap();
                found.sort_by_cached_key(key);
                wanted.sort_by_cached_key(key);
            }
        }
        let differs = found.iter().zip(&wanted).position(|(found, wanted)| found != wanted);
        if let Some(row) = differs {
            panic!("{name}: row {row} is\n{:?}, expected\n{:?}", found[row], wanted[row]);
        }
        assert_eq!(found.len(), wanted.len(), "{name}: rows");
    }
}

#[tokio::test]
async fn every_expectation_has_its_file() {
    let names: Vec<&str> = asked().await.iter().map(|asked| asked.sample.name.as_str()).collect();
    for name in expected::names() {
        assert!(names.contains(&name), "sink/queries/{name}.sql is gone");
    }
    assert_eq!(names.len(), expected::names().len());
}

#[tokio::test]
async fn the_page_for_analysts_shows_the_queries_and_their_answers() {
    if world::another_seed().is_some() {
        eprintln!("did not run: the page shows another fleet than that of PATCHLINE_SEED");
        return;
    }
    page::check(&page::write(asked().await));
}
