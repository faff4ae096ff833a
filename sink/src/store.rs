//! ClickHouse, as the sink needs it: one block an INSERT under a deduplication token, and the question
//! whether a batch is there.

use std::time::Duration;

use clickhouse::{Client, Compression};

use crate::batch::Block;
use crate::config::ClickHouseConfig;
use crate::intent::Range;

/// A request to ClickHouse failed.
#[derive(Debug, thiserror::Error)]
#[error("{what} failed: {source}")]
pub struct StoreError {
    what: String,
    source: clickhouse::error::Error,
}

/// ClickHouse's codes for faults that the same request will meet again until a human mends something:
/// missing tables and columns, wrong types, refused access. Source: `ErrorCodes.cpp`.
const LASTING_CODES: &[u32] = &[10, 16, 47, 53, 60, 62, 81, 115, 164, 192, 193, 194, 497, 516];

impl StoreError {
    /// ClickHouse's code, where it answered with one.
    #[must_use]
    pub fn code(&self) -> Option<u32> {
        code(&self.source)
    }

    /// Trying again is in vain until a human has mended something.
    #[must_use]
    pub fn needs_a_human(&self) -> bool {
        is_lasting(&self.source)
    }
}

/// ClickHouse's code, where it answered with one.
pub(crate) fn code(error: &clickhouse::error::Error) -> Option<u32> {
    let clickhouse::error::Error::BadResponse(text) = error else { return None };
    let (_, rest) = text.split_once("Code: ")?;
    rest.split('.').next()?.parse().ok()
}

/// The same request will fail again until a human has mended something.
pub(crate) fn is_lasting(error: &clickhouse::error::Error) -> bool {
    code(error).is_some_and(|code| LASTING_CODES.contains(&code))
}

/// A connection to the database of the tables.
#[derive(Clone)]
pub struct Store {
    client: Client,
    timeout: Duration,
}

impl Store {
    /// A store at `config`; nothing is sent yet.
    #[must_use]
    pub fn new(config: &ClickHouseConfig) -> Self {
        let compression = if config.compress { Compression::Lz4 } else { Compression::None };
        let mut client = Client::default()
            .with_url(&config.url)
            .with_database(&config.database)
            .with_compression(compression)
            .with_product_info("patchline-sink", env!("CARGO_PKG_VERSION"));
        if let Some(user) = &config.user {
            client = client.with_user(user);
        }
        if let Some(password) = &config.password {
            client = client.with_password(password);
        }
        Self { client, timeout: Duration::from_millis(config.timeout_ms) }
    }

    /// The client underneath, for queries.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Inserts `block` under `token`. What ClickHouse already has under that token it drops and
    /// answers as if it had stored it.
    ///
    /// # Errors
    /// The insert failed, or nobody knows: only its repetition under the same token is safe.
    pub async fn insert(&self, block: &Block, token: &str) -> Result<(), StoreError> {
        self.insert_with(block, &[("insert_deduplication_token", token)]).await
    }

    /// Inserts `block` whether or not ClickHouse believes to have it. See [`Store::stored_messages`].
    ///
    /// # Errors
    /// As [`Store::insert`].
    pub async fn insert_again(&self, block: &Block) -> Result<(), StoreError> {
        self.insert_with(block, &[("insert_deduplicate", "0")]).await
    }

    async fn insert_with(&self, block: &Block, own: &[(&str, &str)]) -> Result<(), StoreError> {
        let columns: Vec<&str> = block.columns.iter().map(|(name, _)| *name).collect();
        let sql = format!("INSERT INTO {} ({}) FORMAT Native", block.table, columns.join(", "));
        // One INSERT must stay one block, or a token no longer stands for its rows: nothing may be
        // split by threads, by parallel parsing or by size, or be held back and merged.
        let mut insert = self
            .client
            .insert_formatted_with(sql)
            .with_timeouts(Some(self.timeout), Some(self.timeout))
            .with_setting("async_insert", "0")
            .with_setting("max_insert_threads", "1")
            .with_setting("input_format_parallel_parsing", "0")
            .with_setting("max_insert_block_size", "10000000")
            .with_setting("min_insert_block_size_rows", "10000000")
            .with_setting("min_insert_block_size_bytes", "1000000000")
            // Merges replace older scans' rows in their own time; here it would cost a sorted pass more
            // and hide messages from `stored_messages`.
            .with_setting("optimize_on_insert", "0")
            // A batch of wrong clocks may span more months than the server likes; it must get in.
            .with_setting("max_partitions_per_insert_block", "0");
        for (name, value) in own {
            insert = insert.with_setting(*name, *value);
        }
        let sent = async {
            insert.send(block.data.clone()).await?;
            insert.end().await
        };
        sent.await.map_err(|source| StoreError {
            what: format!("insert of {} rows into {}", block.rows, block.table),
            source,
        })
    }

    /// Deletes the update rows of scans that a newer scan of their computer has replaced. A scan that is
    /// still being written is newer than the one that is shown, and stays.
    ///
    /// # Errors
    /// The mutation was refused; it may be tried again.
    pub async fn delete_replaced_scans(&self) -> Result<(), StoreError> {
        let sql = "ALTER TABLE update_rows DELETE WHERE (SourceComputerId, ScanVersion) IN (\
                SELECT SourceComputerId, ScanVersion \
                FROM (SELECT DISTINCT SourceComputerId, ScanVersion FROM update_rows) AS stored \
                INNER JOIN (\
                    SELECT SourceComputerId, max(ScanVersion) AS Newest \
                    FROM computer_scans GROUP BY SourceComputerId\
                ) AS shown USING (SourceComputerId) \
                WHERE ScanVersion < Newest)";
        // Waited for, so that one is done before the next begins.
        let deleted = self.client.query(sql).with_setting("mutations_sync", "1").execute().await;
        deleted.map_err(|source| StoreError { what: "deleting replaced scans".to_owned(), source })
    }

    /// How many messages of `range` have rows in `table`.
    ///
    /// A replayed insert is followed by this question, in case ClickHouse writes a token down before it makes
    /// the part visible: a crash between the two would leave a token without its rows.
    ///
    /// # Errors
    /// The query failed.
    pub async fn stored_messages(
        &self,
        table: &str,
        partition: i32,
        range: Range,
    ) -> Result<usize, StoreError> {
        let sql = format!(
            "SELECT uniqExact(SourceOffset) FROM {table} \
             WHERE SourcePartition = ? AND SourceOffset BETWEEN ? AND ?"
        );
        let count = self.client.query(&sql).bind(partition).bind(range.first).bind(range.last);
        let count: u64 = tokio::time::timeout(self.timeout, count.fetch_one())
            .await
            .unwrap_or(Err(clickhouse::error::Error::TimedOut))
            .map_err(|source| StoreError {
                what: format!("count of {range} in {table}"),
                source,
            })?;
        Ok(usize::try_from(count).unwrap_or(usize::MAX))
    }
}
