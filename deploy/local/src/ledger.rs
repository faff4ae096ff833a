//! The account of every report that the gateway took: is it in the tables, in the dead letters, in
//! neither, or somewhere twice?
//!
//! Everything is asked of what users see: the views in ClickHouse and the dead-letter topic. Nothing is
//! taken from the stages' own counters.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use clickhouse::{Client, Row};
use patchline_runtime::kafka::KafkaConfig;
use patchline_schemas::codec::SchemaError;
use patchline_schemas::topic::dead_letter;
use patchline_schemas::{
    Codec, EnrichedRunProgress, EnrichedScan, Event, Heartbeat, OfficeActivity, Report,
    RunProgress, Scan,
};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{Headers, Message};
use rdkafka::{Offset, TopicPartitionList};
use serde::Deserialize;
use uuid::Uuid;

use crate::fleet::Rows;

/// Rows of the views with one row a report.
const ARRIVED: &str = "SELECT sum(count) FROM (SELECT count() AS count FROM UpdateSummary \
    UNION ALL SELECT count() FROM UpdateRunProgress UNION ALL SELECT count() FROM Heartbeat \
    UNION ALL SELECT count() FROM Event UNION ALL SELECT count() FROM OfficeActivity)";

/// Each report id in these views, and how often it occurs.
const REPORTS: &str = "SELECT toString(ReportId) AS id, count() AS count FROM (\
    SELECT ReportId FROM UpdateSummary UNION ALL SELECT ReportId FROM UpdateRunProgress \
    UNION ALL SELECT ReportId FROM Heartbeat UNION ALL SELECT ReportId FROM Event \
    UNION ALL SELECT ReportId FROM OfficeActivity) GROUP BY ReportId";

/// Rows of `Update` beyond the first of one update on one computer.
const REPEATED_UPDATES: &str = "SELECT toUInt64(count() - uniqExact(SourceComputerId, UpdateID, \
    Product, ProductArch, ProductVersion)) FROM Update";

/// The accounts cannot be taken.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// ClickHouse does not answer a query.
    #[error("cannot count what is in ClickHouse")]
    ClickHouse(#[from] clickhouse::error::Error),
    /// The dead-letter topic cannot be read.
    #[error("cannot read the dead letters in {topic}")]
    DeadLetters {
        /// The topic.
        topic: String,
        /// Why.
        source: KafkaError,
    },
    /// The schemas of the records do not parse.
    #[error("cannot read the records' schemas")]
    Schemas(#[from] SchemaError),
    /// The thread that reads the dead letters could not be started.
    #[error("cannot start a thread")]
    Thread(#[source] std::io::Error),
}

/// What became of the reports.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ledger {
    /// Acknowledged by the gateway.
    pub sent: u64,
    /// Of these, found in a view.
    pub stored: u64,
    /// Of these, found in the dead letters and in no view.
    pub dead_lettered: u64,
    /// Of these, found nowhere.
    pub lost: u64,
    /// Found more often than they should be: twice in the views, in a view and in the dead letters, or
    /// an update twice on one computer.
    pub doubled: u64,
    /// Computers whose rows in `Update` are not those of their newest scan.
    pub wrong_computers: Vec<String>,
}

impl Ledger {
    /// Every report is accounted for once, and the tables say what the computers did.
    #[must_use]
    pub fn balances(&self) -> bool {
        self.lost == 0 && self.doubled == 0 && self.wrong_computers.is_empty()
    }
}

impl fmt::Display for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Ledger { sent, stored, dead_lettered, lost, doubled, .. } = self;
        write!(
            f,
            "reports sent={sent} stored={stored} dead-lettered={dead_lettered} lost={lost} doubled={doubled}"
        )
    }
}

/// Takes the accounts of one installation.
pub struct Books {
    client: Client,
    letters: DeadLetters,
}

#[derive(Row, Deserialize)]
struct ReportRow {
    id: String,
    count: u64,
}

#[derive(Row, Deserialize)]
struct ComputerRow {
    #[serde(rename = "SourceComputerId")]
    computer: String,
    count: u64,
    sum: u64,
}

impl Books {
    /// Opens the books: `client` is of the tables' database, `topic` the dead-letter topic.
    ///
    /// # Errors
    /// The dead letters cannot be read.
    pub fn open(client: Client, kafka: &KafkaConfig, topic: &str) -> Result<Books, LedgerError> {
        Ok(Books { client, letters: DeadLetters::read(kafka, topic)? })
    }

    /// The client of the tables' database.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// How many reports are in a view or in the dead letters: cheap, for showing progress.
    pub async fn arrived(&self) -> Result<u64, LedgerError> {
        let in_views: u64 = self.client.query(ARRIVED).fetch_one().await?;
        Ok(in_views + self.letters.count())
    }

    /// Which of these scans can be queried.
    pub async fn queryable(&self, scans: &[Uuid]) -> Result<HashSet<Uuid>, LedgerError> {
        let ids: Vec<String> = scans.iter().map(|id| format!("'{id}'")).collect();
        let query = format!(
            "SELECT toString(ReportId) FROM UpdateSummary WHERE ReportId IN ({})",
            ids.join(", ")
        );
        let found: Vec<String> = self.client.query(&query).fetch_all().await?;
        Ok(found.iter().filter_map(|id| id.parse().ok()).collect())
    }

    /// Settles the account of the reports `sent`. `expected` are each computer's rows in `Update`;
    /// computers that are not in it are not looked at.
    pub async fn settle(
        &self,
        sent: &HashSet<Uuid>,
        expected: &BTreeMap<String, Rows>,
    ) -> Result<Ledger, LedgerError> {
        let in_letters = self.letters.reports();
        let mut in_views = HashMap::new();
        let mut cursor = self.client.query(REPORTS).fetch::<ReportRow>()?;
        while let Some(row) = cursor.next().await? {
            if let Ok(id) = row.id.parse::<Uuid>() {
                in_views.insert(id, row.count);
            }
        }
        let repeated_updates: u64 = self.client.query(REPEATED_UPDATES).fetch_one().await?;
        let mut found = BTreeMap::new();
        let mut cursor = self.client.query(Rows::SQL).fetch::<ComputerRow>()?;
        while let Some(ComputerRow { computer, count, sum }) = cursor.next().await? {
            found.insert(computer, Rows { count, sum });
        }
        let wrong = expected
            .iter()
            .filter(|(computer, rows)| found.get(*computer).copied().unwrap_or_default() != **rows);
        let mut ledger = balance(sent, &in_views, &in_letters);
        ledger.doubled += repeated_updates;
        ledger.wrong_computers = wrong.map(|(computer, _)| computer.clone()).collect();
        Ok(ledger)
    }
}

fn balance(
    sent: &HashSet<Uuid>,
    in_views: &HashMap<Uuid, u64>,
    in_letters: &HashSet<Uuid>,
) -> Ledger {
    let mut ledger = Ledger { sent: sent.len() as u64, ..Ledger::default() };
    for id in sent {
        if in_views.contains_key(id) {
            ledger.stored += 1;
        } else if in_letters.contains(id) {
            ledger.dead_lettered += 1;
        } else {
            ledger.lost += 1;
        }
    }
    for (id, times) in in_views {
        ledger.doubled += times - 1 + u64::from(in_letters.contains(id));
    }
    ledger
}

/// Source topic, partition and offset: what makes two letters the same, because a stage that crashed
/// while writing one writes it again.
type Source = (String, String, String);

/// Reads the dead-letter topic from its beginning, in the background, for as long as it lives.
struct DeadLetters {
    letters: Arc<Mutex<HashMap<Source, Option<Uuid>>>>,
    stop: Arc<AtomicBool>,
}

impl DeadLetters {
    fn read(kafka: &KafkaConfig, topic: &str) -> Result<DeadLetters, LedgerError> {
        let failed = |source| LedgerError::DeadLetters { topic: topic.to_owned(), source };
        let consumer: BaseConsumer = kafka
            .client(
                "patchline-local-dead-letters",
                &[
                    // Required by the client; nothing is committed.
                    ("group.id", "patchline-local"),
                    ("enable.auto.commit", "false"),
                    ("isolation.level", "read_committed"),
                ],
            )
            .create()
            .map_err(failed)?;
        let metadata =
            consumer.fetch_metadata(Some(topic), Duration::from_secs(10)).map_err(failed)?;
        let mut partitions = TopicPartitionList::new();
        for partition in metadata.topics().iter().flat_map(|topic| topic.partitions()) {
            partitions
                .add_partition_offset(topic, partition.id(), Offset::Beginning)
                .map_err(failed)?;
        }
        consumer.assign(&partitions).map_err(failed)?;
        let reader = DeadLetters { letters: Arc::default(), stop: Arc::default() };
        let (letters, stop) = (Arc::clone(&reader.letters), Arc::clone(&reader.stop));
        let codec = Codec::new()?;
        thread::Builder::new()
            .name("dead-letters".to_owned())
            .spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    // An error passes or shows as lost reports.
                    let Some(Ok(letter)) = consumer.poll(Duration::from_millis(200)) else {
                        continue;
                    };
                    let report = report_id(&codec, letter.payload().unwrap_or_default());
                    lock(&letters).insert(source(&letter), report);
                }
            })
            .map_err(LedgerError::Thread)?;
        Ok(reader)
    }

    fn count(&self) -> u64 {
        lock(&self.letters).len() as u64
    }

    /// The reports in them. One that was sent twice and rejected has two letters, and rightly so: every
    /// message is counted out.
    fn reports(&self) -> HashSet<Uuid> {
        lock(&self.letters).values().flatten().copied().collect()
    }
}

impl Drop for DeadLetters {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn source(letter: &impl Message) -> Source {
    let header = |name: &str| {
        letter
            .headers()
            .and_then(|headers| headers.iter().find(|header| header.key == name))
            .and_then(|header| header.value)
            .map(|value| String::from_utf8_lossy(value).into_owned())
            .unwrap_or_default()
    };
    (
        header(dead_letter::SOURCE_TOPIC),
        header(dead_letter::SOURCE_PARTITION),
        header(dead_letter::SOURCE_OFFSET),
    )
}

/// The id of the report in a letter, if it can be read at all.
fn report_id(codec: &Codec, payload: &[u8]) -> Option<Uuid> {
    macro_rules! raw {
        ($($record:ident)*) => {
            None$(.or_else(|| codec.decode::<$record<'_>>(payload).ok().map(|it| it.report_id())))*
        };
    }
    let enriched = || codec.decode::<EnrichedScan<'_>>(payload).ok().map(|it| it.scan.report_id());
    let enriched_progress =
        || codec.decode::<EnrichedRunProgress<'_>>(payload).ok().map(|it| it.report.report_id());
    raw!(Scan RunProgress Heartbeat Event OfficeActivity)
        .or_else(enriched)
        .or_else(enriched_progress)
}

#[cfg(test)]
mod tests {
    use std::ops::Range;

    use super::*;

    fn ids(range: Range<u128>) -> impl Iterator<Item = Uuid> {
        range.map(Uuid::from_u128)
    }

    fn once(range: Range<u128>) -> HashMap<Uuid, u64> {
        ids(range).map(|id| (id, 1)).collect()
    }

    fn settled(sent: u128, in_views: &HashMap<Uuid, u64>, in_letters: Range<u128>) -> Ledger {
        balance(&ids(1..sent + 1).collect(), in_views, &ids(in_letters).collect())
    }

    #[test]
    fn every_report_is_stored_dead_lettered_or_lost() {
        let ledger = settled(10, &once(1..8), 8..10);
        assert_eq!(ledger.to_string(), "reports sent=10 stored=7 dead-lettered=2 lost=1 doubled=0");
        assert!(!ledger.balances());
        assert!(settled(9, &once(1..8), 8..10).balances());
    }

    #[test]
    fn two_rows_or_two_exits_are_a_report_too_many() {
        let mut views = once(1..4);
        views.insert(Uuid::from_u128(1), 3);
        let ledger = settled(4, &views, 3..5);
        assert_eq!(ledger.to_string(), "reports sent=4 stored=3 dead-lettered=1 lost=0 doubled=3");
        assert!(!ledger.balances());
    }

    #[test]
    fn a_computer_with_the_wrong_rows_is_no_balance() {
        let ledger = Ledger { wrong_computers: vec!["a".to_owned()], ..Ledger::default() };
        assert!(!ledger.balances() && Ledger::default().balances());
    }
}
