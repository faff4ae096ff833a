//! The stored rows: which of them a change concerns, what they say, and how their verdicts are changed.
//!
//! Rows are changed in place, by `ALTER TABLE ... UPDATE`: a part of the table is rewritten beside and put in
//! its place at once, so a reader meets a row once, with either verdict. Every such statement says again
//! what may be changed, a row judged with an older catalog than ours: one that was judged with a newer one
//! meanwhile stays as it is.
//!
//! All statements repeat harmlessly. One that a crash or a lost connection leaves running ends by itself
//! and does what it was to do; what it was to do is asked for again and is found done.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::future::Future;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::{Duration, Instant};

use clickhouse::query::RowCursor;
use clickhouse::{Client, Row, error::Error};
use patchline_sink::config::ClickHouseConfig;
use patchline_sink::store::Store;
use serde::{Deserialize, Serialize};

use super::filter::{Chunk, Filter, Names, Parameter, Sql};
use super::names::{Concern, Kind};
use super::rows::{
    Changes, Digest, StoredCounts, StoredSummary, StoredUpdate, SummaryChanges, TEXT_COLUMNS,
};

/// Rows that are read and judged at a time: what bounds the memory, here and in an engine that answers
/// as a whole.
const CHUNK_ROWS: u64 = 200_000;

/// Products above which a statement does not list them: it would only save digests of other products' rows.
const PRODUCTS_MAX: usize = 1_000;

/// Statements that took longer are worth a line for whoever wonders where the time goes.
const SLOW_SECONDS: f64 = 0.1;

/// The newest scan of each computer.
const NEWEST: &str = "(SourceComputerId, ScanVersion) IN (\
    SELECT SourceComputerId, max(ScanVersion) FROM computer_scans GROUP BY SourceComputerId)";

/// Where in the catalog's topic a row's catalog was: the end of its version; 0 where it has no such.
const POSITION: &str = "toUInt64OrZero(splitByChar('/', CatalogVersion)[2])";

const UPDATE_DIGEST: &str =
    "sipHash128(SourceComputerId, ScanVersion, UpdateID, Product, ProductArch, ProductVersion)";

const SUMMARY_DIGEST: &str = "sipHash128(SourceComputerId, TimeGenerated, ReportId)";

/// A statement failed.
#[derive(Debug, thiserror::Error)]
#[error("{what} failed")]
pub struct StoreError {
    what: &'static str,
    source: Error,
}

/// The state of knowledge that rows are judged by: its name, and where in the topic it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Knowledge {
    pub(crate) version: String,
    pub(crate) position: u64,
}

/// How far each partition of the enriched scans is stored, by the last offset.
pub(crate) type Stored = std::collections::BTreeMap<i32, i64>;

/// The tables of one database.
#[derive(Clone)]
pub(crate) struct Tables {
    client: Client,
    timeout: Duration,
}

impl Tables {
    pub(crate) fn new(config: &ClickHouseConfig, timeout: Duration) -> Self {
        let client = Store::new(config)
            .client()
            .clone()
            .with_product_info("patchline-reclassify", env!("CARGO_PKG_VERSION"));
        Self { client, timeout }
    }

    async fn wait<T>(
        &self,
        what: &'static str,
        answer: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, StoreError> {
        let began = Instant::now();
        let answer = tokio::time::timeout(self.timeout, answer).await;
        let seconds = began.elapsed().as_secs_f64();
        if seconds > SLOW_SECONDS {
            tracing::debug!(what, seconds, "statement ended");
        }
        answer.unwrap_or(Err(Error::TimedOut)).map_err(|source| StoreError { what, source })
    }

    /// How far the enriched scans are stored. What is above is not, or not wholly.
    pub(crate) async fn stored(&self) -> Result<Stored, StoreError> {
        let sql = "SELECT SourcePartition, max(SourceOffset) FROM computer_scans GROUP BY SourcePartition";
        let rows = self.client.query(sql).fetch_all::<(i32, i64)>();
        let rows = self.wait("asking which scans are stored", rows).await?;
        Ok(rows.into_iter().collect())
    }

    /// The computers whose newest scan was stored after `before` and judged with an older catalog.
    pub(crate) async fn late(
        &self,
        before: &Stored,
        knowledge: &Knowledge,
    ) -> Result<Vec<String>, StoreError> {
        let mut is_new = String::from("multiIf(");
        for (partition, offset) in before {
            let _ = write!(is_new, "SourcePartition = {partition}, SourceOffset > {offset}, ");
        }
        is_new.push_str("1)");
        if before.is_empty() {
            is_new = "1".to_owned();
        }
        let sql = format!(
            "SELECT DISTINCT SourceComputerId FROM computer_scans \
             WHERE {is_new} AND {POSITION} < {} AND {NEWEST} ORDER BY SourceComputerId",
            knowledge.position
        );
        self.wait("looking for late scans", self.client.query(&sql).fetch_all()).await
    }

    /// The rows that `concern` is about, by name; `modules`: and all modular packages.
    pub(crate) async fn names(
        &self,
        concern: &Concern<'_>,
        packages: &BTreeSet<String>,
        modules: bool,
    ) -> Result<Filter, StoreError> {
        let mut names = Names { products: packages.clone(), ..Names::default() };
        let modular = if modules { "position(ProductVersion, '.module') > 0" } else { "false" };
        let sql = format!(
            "SELECT DISTINCT Product, AdvisoryIDs, {modular} AS Modular FROM update_rows \
             WHERE OSType = 'Linux' AND (AdvisoryIDs != '' OR Modular)"
        );
        let kinds = self.client.query(&sql).fetch_all::<(String, String, bool)>();
        for (name, advisories, modular) in self.wait("looking through the packages", kinds).await? {
            let kind = Kind { name: &name, advisories: &advisories, ..Kind::default() };
            if modular || concern.linux(kind) {
                names.products.insert(name);
            }
        }
        let sql = "SELECT DISTINCT KBID, if(KBID = '', Title, '') AS Named, AdvisoryIDs, SupersededBy \
             FROM update_rows WHERE OSType != 'Linux'";
        let kinds = self.client.query(sql).fetch_all::<(String, String, String, String)>();
        for (kb, title, advisories, superseded_by) in
            self.wait("looking through the updates of Windows", kinds).await?
        {
            let kind = Kind {
                name: &kb,
                title: &title,
                advisories: &advisories,
                superseded_by: &superseded_by,
            };
            let (is_concerned, is_context) = (concern.windows(kind), concern.is_context(kind));
            for (is, kbs, titles) in [
                (is_concerned, &mut names.kbs, &mut names.titles),
                (is_context, &mut names.context_kbs, &mut names.context_titles),
            ] {
                if is && kb.is_empty() {
                    titles.insert(title.clone());
                } else if is {
                    kbs.insert(kb.clone());
                }
            }
        }
        Ok(Filter::Names(names))
    }

    /// Cuts the computers that have concerned rows into pieces. Rows that have been changed already count: a
    /// pass that was interrupted may not have come to their summaries.
    pub(crate) async fn chunks(&self, filter: &Filter) -> Result<Vec<Chunk>, StoreError> {
        let mut sql = Sql::new("SELECT SourceComputerId, count() FROM update_rows WHERE ");
        filter.concerned(&mut sql);
        sql.push(" AND ");
        sql.push(NEWEST);
        sql.push(" GROUP BY SourceComputerId ORDER BY SourceComputerId");
        let counts = async {
            let mut chunks: Vec<Chunk> = Vec::new();
            let mut counts = sql.query(&self.client).fetch::<(String, u64)>()?;
            while let Some((computer, rows)) = counts.next().await? {
                match chunks.last_mut() {
                    Some(chunk) if chunk.rows + rows <= CHUNK_ROWS => {
                        chunk.last = computer;
                        chunk.rows += rows;
                    }
                    _ => chunks.push(Chunk { first: computer.clone(), last: computer, rows }),
                }
            }
            Ok(chunks)
        };
        self.wait("counting the rows to judge", counts).await
    }

    /// The rows of a piece, computer by computer.
    pub(crate) async fn rows(
        &self,
        chunk: &Chunk,
        filter: &Filter,
        knowledge: &Knowledge,
    ) -> Result<Rows, StoreError> {
        let mut sql = Sql::new(&format!("SELECT {UPDATE_DIGEST} AS digest, "));
        filter.concerned(&mut sql);
        sql.push(&format!(
            " AND {POSITION} < {} AS concerned, SourceComputerId AS computer, OSType AS os_type, \
             OSName AS os_name, OSVersion AS os_version, OSFullName AS os_full_name, UpdateState AS state, \
             UpdateID AS update_id, Title AS title, Product AS product, ProductArch AS product_arch, \
             ProductVersion AS product_version, KBID AS kbid, AgentClassification AS agent_classification, \
             toUnixTimestamp64Milli(AgentPublishedDate) AS agent_published_date, \
             AgentRebootBehavior AS agent_reboot_behavior, \
             [{}] AS texts, toUnixTimestamp64Milli(PublishedDate) AS published_date \
             FROM update_rows WHERE ",
            knowledge.position,
            TEXT_COLUMNS.join(", ")
        ));
        chunk.within(&mut sql);
        sql.push(" AND (");
        filter.concerned(&mut sql);
        sql.push(" OR ");
        filter.context(&mut sql);
        sql.push(&format!(") AND {NEWEST} ORDER BY SourceComputerId"));
        let cursor = sql
            .query(&self.client)
            .fetch()
            .map_err(|source| StoreError { what: "reading the rows to judge", source })?;
        Ok(Rows { cursor, tables: self.clone(), ahead: None })
    }

    /// Gives rows their new verdicts, and says that they are of `knowledge`.
    pub(crate) async fn apply(
        &self,
        changes: &Changes,
        knowledge: &Knowledge,
    ) -> Result<(), StoreError> {
        let Some(computers) = &changes.computers else { return Ok(()) };
        let mut set = Vec::new();
        let number = number(UPDATE_DIGEST);
        for (at, column) in TEXT_COLUMNS.iter().enumerate() {
            if changes.differ.get(at).copied().unwrap_or(true) {
                let texts = changes.verdicts.iter().filter_map(|verdict| verdict.texts.get(at));
                let texts = Parameter::Texts(texts.cloned().collect());
                set.push((*column, format!("arrayElement(?, {number})"), vec![texts]));
            }
        }
        if changes.dates_differ {
            let unknown = i64::MIN;
            let dates = changes.verdicts.iter().map(|verdict| verdict.published_date);
            let dates = Parameter::Times(dates.map(|date| date.unwrap_or(unknown)).collect());
            let date = format!("arrayElement(?, {number})");
            let date = format!(
                "if({date} = {unknown}, NULL, fromUnixTimestamp64Milli(toInt64({date}), 'UTC'))"
            );
            set.push(("PublishedDate", date, vec![dates.clone(), dates]));
        }
        let version = Parameter::Text(knowledge.version.clone());
        set.push(("CatalogVersion", "?".to_owned(), vec![version]));
        let within = |sql: &mut Sql| {
            computers.within(sql);
            if changes.products.len() <= PRODUCTS_MAX {
                sql.push(" AND ");
                sql.is_one_of("Product", &changes.products);
            }
        };
        let below = knowledge.position;
        self.change("update_rows", UPDATE_DIGEST, &changes.rows, set, within, below).await
    }

    /// The summaries of the scans in which `filter` finds rows.
    pub(crate) async fn summaries(
        &self,
        chunk: &Chunk,
        filter: &Filter,
        knowledge: &Knowledge,
    ) -> Result<Vec<StoredSummary>, StoreError> {
        let mut sql = Sql::new(&format!(
            "SELECT {SUMMARY_DIGEST} AS digest, toUnixTimestamp64Milli(TimeGenerated) AS time_generated, \
                OSType AS os_type, needed, CriticalUpdatesMissing AS critical, \
                SecurityUpdatesMissing AS security, \
                OtherUpdatesMissing AS other, TotalUpdatesMissing AS total, \
                OldestMissingSecurityUpdateInDays AS oldest_days, \
                OldestMissingSecurityUpdateBucket AS oldest_bucket \
             FROM (SELECT * FROM update_summary_rows FINAL WHERE "
        ));
        chunk.within(&mut sql);
        // The time of a scan is the upper half of its version.
        sql.push(&format!(
            " AND {POSITION} < {} AND (SourceComputerId, TimeGenerated) IN (\
                SELECT SourceComputerId, \
                    fromUnixTimestamp64Milli(toInt64(bitShiftRight(max(ScanVersion), 64)), 'UTC') \
                FROM computer_scans GROUP BY SourceComputerId)) AS summaries \
             INNER JOIN (\
                SELECT SourceComputerId, ReportId, groupUniqArrayIf(\
                    (sipHash64(UpdateID, Product, ProductArch, ProductVersion), toString(Classification), \
                     toUnixTimestamp64Milli(PublishedDate)), \
                    UpdateState = 'Needed' AND Approved AND NOT Optional) AS needed \
                FROM update_rows WHERE ",
            summaries_below(knowledge)
        ));
        chunk.within(&mut sql);
        sql.push(&format!(
            " AND {NEWEST} AND SourceComputerId IN (SELECT SourceComputerId FROM update_rows WHERE "
        ));
        chunk.within(&mut sql);
        sql.push(" AND ");
        filter.concerned(&mut sql);
        sql.push(&format!(
            " AND {NEWEST}) GROUP BY SourceComputerId, ReportId) AS stored USING (SourceComputerId, ReportId)"
        ));
        self.wait("reading summaries", sql.query(&self.client).fetch_all()).await
    }

    /// Gives summaries their new counts.
    pub(crate) async fn apply_summaries(
        &self,
        changes: &SummaryChanges,
        knowledge: &Knowledge,
    ) -> Result<(), StoreError> {
        let (Some(computers), Some((first, last))) = (&changes.computers, changes.times) else {
            return Ok(());
        };
        let distinct = &changes.counts;
        let number = number(SUMMARY_DIGEST);
        let element = |cast: &str| format!("{cast}(arrayElement(?, {number}))");
        let column = |of: fn(&StoredCounts) -> i32| {
            vec![Parameter::Times(distinct.iter().map(|counts| of(counts).into()).collect())]
        };
        let days = distinct.iter().map(|counts| counts.oldest_days.unwrap_or(-1).into()).collect();
        let buckets = distinct.iter().map(|counts| counts.oldest_bucket.clone()).collect();
        let set = vec![
            ("CriticalUpdatesMissing", element("toInt32"), column(|counts| counts.critical)),
            ("SecurityUpdatesMissing", element("toInt32"), column(|counts| counts.security)),
            ("OtherUpdatesMissing", element("toInt32"), column(|counts| counts.other)),
            ("TotalUpdatesMissing", element("toInt32"), column(|counts| counts.total)),
            (
                "OldestMissingSecurityUpdateInDays",
                // No age is negative.
                format!("nullIf({}, -1)", element("toInt32")),
                vec![Parameter::Times(days)],
            ),
            (
                "OldestMissingSecurityUpdateBucket",
                format!("arrayElement(?, {number})"),
                vec![Parameter::Texts(buckets)],
            ),
            ("CatalogVersion", "?".to_owned(), vec![Parameter::Text(knowledge.version.clone())]),
        ];
        let within = |sql: &mut Sql| {
            computers.within(sql);
            sql.push(&format!(
                " AND TimeGenerated BETWEEN fromUnixTimestamp64Milli({first}, 'UTC') \
                 AND fromUnixTimestamp64Milli({last}, 'UTC')"
            ));
        };
        let below = summaries_below(knowledge);
        self.change("update_summary_rows", SUMMARY_DIGEST, &changes.rows, set, within, below).await
    }

    /// Changes columns of `rows`, as `set` says for the number of each.
    async fn change(
        &self,
        table: &str,
        digest: &str,
        rows: &[(Digest, u32)],
        set: Vec<(&str, String, Vec<Parameter>)>,
        within: impl Fn(&mut Sql),
        below: u64,
    ) -> Result<(), StoreError> {
        // Random, since several processes may be at it.
        let pass = RandomState::new().build_hasher().finish();
        self.wait("noting the rows to change", self.note(pass, rows)).await?;
        // Whatever else happens to those notes, a row without one keeps what it has.
        let mut sql = Sql::new(&format!("ALTER TABLE {table} UPDATE "));
        for (at, (column, value, parameters)) in set.into_iter().enumerate() {
            let comma = if at == 0 { "" } else { ", " };
            let value = value.replace("$pass", &pass.to_string());
            let known = number(digest).replace("$pass", &pass.to_string());
            sql.push(&format!("{comma}{column} = if({known} = 0, {column}, {value})"));
            sql.parameters.extend(parameters);
        }
        sql.push(" WHERE ");
        within(&mut sql);
        sql.push(&format!(
            " AND {POSITION} < {below} AND {digest} IN (SELECT Row FROM reclassified_rows WHERE Pass = {pass})"
        ));
        let changed = sql.query(&self.client).with_setting("mutations_sync", "1").execute();
        let changed = self.wait("changing verdicts", changed).await;
        if changed.is_err() {
            // Whether or not it goes on: nobody waits for it any more, and what failed once would stand in
            // the way of the table's other mutations.
            let kill = format!(
                "KILL MUTATION WHERE database = currentDatabase() AND table = '{table}' \
                 AND position(command, '{pass}') > 0"
            );
            if let Err(error) =
                self.wait("taking a statement back", self.client.query(&kill).execute()).await
            {
                tracing::warn!(%error, table, pass, "an unfinished statement may still be at work");
            }
        }
        let forget = format!("ALTER TABLE reclassified_rows DROP PARTITION {pass}");
        let forgotten =
            self.wait("forgetting the rows changed", self.client.query(&forget).execute());
        if let Err(error) = forgotten.await {
            tracing::debug!(%error, pass, "notes are left to the table's TTL");
        }
        changed
    }

    async fn note(&self, pass: u64, rows: &[(Digest, u32)]) -> Result<(), Error> {
        #[derive(Row, Serialize, Deserialize)]
        struct Note {
            #[serde(rename = "Pass")]
            pass: u64,
            #[serde(rename = "Row")]
            row: Digest,
            #[serde(rename = "Verdict")]
            verdict: u32,
        }
        let mut insert = self.client.insert::<Note>("reclassified_rows").await?;
        for (row, verdict) in rows {
            insert.write(&Note { pass, row: *row, verdict: *verdict }).await?;
        }
        insert.end().await
    }
}

/// The number that was noted for a row, 0 for none.
fn number(digest: &str) -> String {
    let noted = |column: &str| {
        format!(
            "(SELECT groupArray({column}) FROM (SELECT * FROM reclassified_rows WHERE Pass = $pass ORDER BY Row))"
        )
    };
    format!("transform({digest}, {}, {}, toUInt32(0))", noted("Row"), noted("Verdict"))
}

/// Positions of the summaries that may be changed: one of the same catalog too, since its rows may have been
/// changed again by a pass that was interrupted.
fn summaries_below(knowledge: &Knowledge) -> u64 {
    knowledge.position.saturating_add(1)
}

/// Rows as they come.
pub(crate) struct Rows {
    cursor: RowCursor<StoredUpdate>,
    tables: Tables,
    ahead: Option<StoredUpdate>,
}

impl Rows {
    /// All rows of the next computer; none at the end.
    pub(crate) async fn next_computer(&mut self) -> Result<Vec<StoredUpdate>, StoreError> {
        let mut rows: Vec<StoredUpdate> = self.ahead.take().into_iter().collect();
        loop {
            let next = self.tables.wait("reading the rows to judge", self.cursor.next()).await?;
            match next {
                Some(row) if rows.first().is_none_or(|first| first.computer == row.computer) => {
                    rows.push(row);
                }
                next => {
                    self.ahead = next;
                    return Ok(rows);
                }
            }
        }
    }
}
