//! Patchline's own wire: `POST /v1/scans`, `/v1/run-progress`, `/v1/heartbeats`, `/v1/events`,
//! `/v1/office-activity`, `/v1/update-deployments`.
//!
//! The body is one JSON object or an array of them, `Content-Type: application/json`, with the
//! field names of the Avro schemas. `ReportId` may be left out; the report's bytes give it then. A
//! field that the schema does not have is an error: a misspelt one would be lost in silence. Office
//! activity is read more loosely: see `office`. A deployment's `Starts` are worked out here, whatever the
//! sender says of them.
//!
//! All items are checked before any is published, so a bad item refuses the whole request and
//! nothing of it is kept.

use std::fmt;

use axum::http::{HeaderMap, header};
use patchline_schemas::codec::Kind;
use patchline_schemas::validate::UPDATES_PER_SCAN_MAX;
use patchline_schemas::{Event, Heartbeat, RunProgress, Scan, UpdateDeployment};
use serde::de::{IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::bag::Bag;
use super::problem::{Problem, Reason};
use super::report::{Batch, Incoming};
use super::{json, office};

/// Any item but a scan: a heartbeat or a run's progress is a few hundred bytes, an event or an audit record
/// some thousand, a deployment that lists its computers more. Their lists have no bound of their own.
pub(super) const SMALL_ITEM_BYTES_MAX: usize = 256 * 1024;

/// Refuses a body that does not say it is JSON.
pub(super) fn check_type(headers: &HeaderMap) -> Result<(), Problem> {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let kind = value.and_then(|value| value.split(';').next()).unwrap_or_default().trim();
    if kind.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    let problem = format!("Content-Type is `{kind}`; send application/json");
    Err(Problem::new(Reason::ContentType, problem))
}

/// Reads the reports of `text` into `batch`.
pub(super) fn decode<'a, 'g: 'a>(
    kind: Kind,
    text: &'a str,
    batch: &mut Batch<'g>,
) -> Result<(), Problem> {
    let text = json::trim(text);
    if text.starts_with('[') {
        json::each_item(text, |index, raw| {
            one(kind, raw, batch).map_err(|problem| problem.in_item(index))
        })
    } else {
        one(kind, text, batch)
    }
}

fn one<'a, 'g: 'a>(kind: Kind, raw: &'a str, batch: &mut Batch<'g>) -> Result<(), Problem> {
    if kind == Kind::Scan {
        return scan(raw, batch);
    }
    check_small(raw)?;
    match kind {
        Kind::RunProgress => read::<RunProgress<'a>>("RunProgress", raw, batch),
        Kind::Heartbeat => read::<Heartbeat<'a>>("Heartbeat", raw, batch),
        Kind::Event => read::<Event<'a>>("Event", raw, batch),
        Kind::UpdateDeployment => read::<UpdateDeployment<'a>>("UpdateDeployment", raw, batch),
        Kind::OfficeActivity => {
            batch.add("OfficeActivity", raw, office::record(Bag::from_json(raw)?)?)
        }
        other => Err(Problem::new(Reason::Internal, format!("a {other:?} is not taken here"))),
    }
}

/// Reads one scan into `batch`.
pub(super) fn scan<'a, 'g: 'a>(raw: &'a str, batch: &mut Batch<'g>) -> Result<(), Problem> {
    check_length(raw)?;
    read::<Scan<'a>>("Scan", raw, batch)
}

fn read<'a, 'g: 'a, R>(name: &str, raw: &'a str, batch: &mut Batch<'g>) -> Result<(), Problem>
where
    R: Incoming<'a> + Deserialize<'a>,
{
    batch.add(name, raw, json::object::<R>(raw, true)?)
}

pub(super) fn check_small(raw: &str) -> Result<(), Problem> {
    if raw.len() <= SMALL_ITEM_BYTES_MAX {
        return Ok(());
    }
    let problem =
        format!("the item has {} bytes, at most {SMALL_ITEM_BYTES_MAX} are allowed", raw.len());
    Err(Problem::new(Reason::TooLarge, problem))
}

/// Refuses a scan that lists too many updates before they are made: three bytes (`{},`) become some
/// hundred.
fn check_length(raw: &str) -> Result<(), Problem> {
    if json::opening(raw) <= UPDATES_PER_SCAN_MAX {
        return Ok(());
    }
    /// Just the number of updates.
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Shape {
        #[serde(rename = "Updates", deserialize_with = "count")]
        updates: usize,
    }
    fn count<'de, D: Deserializer<'de>>(reader: D) -> Result<usize, D::Error> {
        struct Count;
        impl<'de> Visitor<'de> for Count {
            type Value = usize;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<usize, A::Error> {
                let mut count = 0;
                while array.next_element::<IgnoredAny>()?.is_some() {
                    count += 1;
                }
                Ok(count)
            }
        }
        reader.deserialize_seq(Count)
    }
    let listed = json::object::<Shape>(raw, false)?.updates;
    if listed <= UPDATES_PER_SCAN_MAX {
        return Ok(());
    }
    let problem = format!("Updates: lists {listed}, at most {UPDATES_PER_SCAN_MAX} are allowed");
    Err(Problem::new(Reason::Invalid, problem).in_field("Updates"))
}
