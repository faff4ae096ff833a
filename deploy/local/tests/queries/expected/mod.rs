//! What each sample must answer, worked out from the fleet's truth by plain loops: nothing here knows SQL.

mod events;
mod heartbeats;
mod office;
mod runs;
mod updates;

use std::collections::BTreeMap;

use patchline_local::fleet::{Judgement, Truth};
use patchline_schemas::{Scan, Timestamp, Update, UpdateState};
use serde_json::{Value, json};

use crate::world::NOW;

pub(crate) const MINUTE_MS: i64 = 60_000;
pub(crate) const HOUR_MS: i64 = 60 * MINUTE_MS;

/// What a query must answer.
pub(crate) struct Answer {
    /// All columns, or of a query for all columns those that are looked at.
    pub(crate) columns: Vec<String>,
    pub(crate) rows: Vec<Vec<Value>>,
    pub(crate) order: Order,
    /// Values for parameters whose original value stands for one of the user's.
    pub(crate) parameters: Vec<(String, String)>,
}

/// The order that an answer must have.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Order {
    /// Any.
    None,
    /// Falling in this column; rows with the same value in any order.
    Descending(&'static str),
    /// As expected, row for row.
    Exact,
}

/// The fleet as the tables show it.
pub(crate) struct Facts {
    pub(crate) truth: &'static Truth<'static>,
    /// `Update`: the updates of each computer's newest scan.
    pub(crate) updates: Vec<Fact>,
}

/// A row of `Update`.
#[derive(Clone, Copy)]
pub(crate) struct Fact {
    pub(crate) scan: &'static Scan<'static>,
    pub(crate) update: &'static Update<'static>,
    pub(crate) judgement: &'static Judgement,
}

impl Facts {
    pub(crate) fn of(truth: &'static Truth<'static>) -> Facts {
        let mut newest: BTreeMap<&str, &'static (Scan<'static>, Vec<Judgement>)> = BTreeMap::new();
        for scan in &truth.scans {
            let shown = newest.entry(&scan.0.source_computer_id).or_insert(scan);
            if scan.0.time_generated > shown.0.time_generated {
                *shown = scan;
            }
        }
        let updates = newest.into_values().flat_map(|(scan, judgements)| {
            let updates = scan.updates.iter().zip(judgements);
            updates.map(move |(update, judgement)| Fact { scan, update, judgement })
        });
        Facts { truth, updates: updates.collect() }
    }
}

impl Fact {
    pub(crate) fn linux(self) -> bool {
        self.scan.os_type == "Linux"
    }

    pub(crate) fn needed(self) -> bool {
        self.update.update_state == UpdateState::Needed
    }

    /// Needed, and not optional.
    pub(crate) fn required(self) -> bool {
        self.needed() && !self.update.optional
    }

    pub(crate) fn critical(self) -> bool {
        self.judgement.classification == "Critical Updates"
    }

    pub(crate) fn security(self) -> bool {
        self.judgement.classification == "Security Updates"
    }

    pub(crate) fn grave(self) -> bool {
        self.critical() || self.security()
    }

    pub(crate) fn published(self) -> Value {
        self.judgement.published.map_or(Value::Null, time)
    }

    /// Scanned within so many hours.
    pub(crate) fn within(self, hours: i64) -> bool {
        within(self.scan.time_generated, hours)
    }
}

type Work = fn(&Facts) -> Answer;

/// Every sample with what works its answer out.
fn all() -> impl Iterator<Item = (&'static str, Work)> {
    [updates::ALL, runs::ALL, heartbeats::ALL, events::ALL, office::ALL]
        .into_iter()
        .flatten()
        .copied()
}

/// The samples that are expected to be there.
pub(crate) fn names() -> Vec<&'static str> {
    all().map(|(name, _)| name).collect()
}

/// What the sample must answer; nothing for one that is not known here.
pub(crate) fn answer(name: &str, facts: &Facts) -> Option<Answer> {
    all().find(|(known, _)| *known == name).map(|(_, work)| work(facts))
}

pub(crate) fn table(columns: &str, rows: impl IntoIterator<Item = Value>) -> Answer {
    let cells = |row: Value| match row {
        Value::Array(cells) => cells,
        other => panic!("{other} is no row"),
    };
    Answer {
        columns: columns.split_whitespace().map(str::to_owned).collect(),
        rows: rows.into_iter().map(cells).collect(),
        order: Order::None,
        parameters: Vec::new(),
    }
}

impl Answer {
    pub(crate) fn exact(mut self) -> Answer {
        self.order = Order::Exact;
        self
    }

    pub(crate) fn descending(mut self, column: &'static str) -> Answer {
        self.order = Order::Descending(column);
        self
    }

    pub(crate) fn distinct(mut self) -> Answer {
        let key = |row: &Vec<Value>| serde_json::to_string(row).unwrap();
        self.rows.sort_by_cached_key(key);
        self.rows.dedup();
        self
    }

    pub(crate) fn with(mut self, parameter: &str, value: &str) -> Answer {
        self.parameters.push((parameter.to_owned(), value.to_owned()));
        self
    }
}

/// How often each key occurs, the most frequent first, equal ones in the keys' order.
pub(crate) fn counted<K: Ord + Clone>(keys: impl IntoIterator<Item = K>) -> Vec<(K, u64)> {
    let mut counts = BTreeMap::new();
    for key in keys {
        *counts.entry(key).or_insert(0) += 1;
    }
    let mut counts: Vec<(K, u64)> = counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    counts
}

/// [`counted`] texts as rows.
pub(crate) fn count_by<'a>(
    column: &str,
    count: &str,
    keys: impl IntoIterator<Item = &'a str>,
) -> Answer {
    let rows = counted(keys).into_iter().map(|(key, count)| json!([key, count]));
    table(&format!("{column} {count}"), rows).exact()
}

/// As the engine writes a time with milliseconds.
pub(crate) fn time(time: Timestamp) -> Value {
    Value::from(time.to_string())
}

/// As the engine writes a time without them.
pub(crate) fn hour(time: Timestamp) -> Value {
    let hour = Timestamp(time.0.div_euclid(HOUR_MS) * HOUR_MS);
    Value::from(hour.to_string().replace(".000Z", "Z"))
}

pub(crate) fn within(time: Timestamp, hours: i64) -> bool {
    time.0 > NOW.0 - hours * HOUR_MS
}

/// `_ResourceId` of a `ResourceId`.
pub(crate) fn resource(id: &str) -> String {
    id.to_lowercase()
}

/// Part of a resource id: 4 the group, 7 the type, 8 the name.
pub(crate) fn part(id: &str, at: usize) -> &str {
    id.split('/').nth(at).unwrap_or_default()
}
