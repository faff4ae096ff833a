//! ClickHouse, as the console needs it: read-only queries within limits, and errors as people read them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use clickhouse::query::BytesCursor;
use clickhouse::{Client, Compression};
use futures_util::Stream;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::config::{ClickHouseConfig, ConsoleConfig};
use crate::csv;
use crate::metrics::Metrics;
use crate::request::Request;

/// Rows of a query that is answered whole; each has a `LIMIT` of its own at or below this.
const WHOLE_ROWS_MAX: u32 = 5_000;

/// How much longer than the server a request waits for it: one that does not keep to its time is given up.
const GRACE: Duration = Duration::from_secs(5);

/// A query has no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// It ran into the limit of time.
    #[error("the answer took longer than {0} s; choose a shorter time range or narrow the search")]
    Timeout(u64),
    /// It ran into the limit of memory.
    #[error("the answer needs too much memory; choose a shorter time range or narrow the search")]
    Memory,
    /// Others are before it, for longer than one waits.
    #[error("too many questions at once; try again in a moment")]
    Busy,
    /// More rows than a file may have.
    #[error("there are {rows} rows, a file may have {most}; narrow the search")]
    Rows {
        /// How many there are.
        rows: u64,
        /// How many there may be.
        most: u32,
    },
    /// ClickHouse cannot be reached.
    #[error("ClickHouse does not answer; nothing is lost, try again when it is back")]
    Unavailable(#[source] clickhouse::error::Error),
    /// ClickHouse refuses the query.
    #[error("ClickHouse refused the query{}; the console's log says more", code(.0).map(|code| format!(" (code {code})")).unwrap_or_default())]
    Refused(#[source] clickhouse::error::Error),
    /// ClickHouse answered something else than was asked for.
    #[error("ClickHouse's answer cannot be read; the console's log says more")]
    Unreadable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl AskError {
    /// How the metrics call it.
    #[must_use]
    pub fn outcome(&self) -> &'static str {
        match self {
            AskError::Timeout(_) => "timeout",
            AskError::Busy => "busy",
            AskError::Rows { .. } => "bad_request",
            AskError::Unavailable(_) => "unavailable",
            AskError::Memory | AskError::Refused(_) | AskError::Unreadable(_) => "failed",
        }
    }
}

/// ClickHouse's code, where it answered with one.
fn code(error: &clickhouse::error::Error) -> Option<u32> {
    let clickhouse::error::Error::BadResponse(text) = error else { return None };
    let (_, rest) = text.split_once("Code: ")?;
    rest.split('.').next()?.parse().ok()
}

/// An answer's page, as ClickHouse wrote it.
#[derive(Debug)]
pub struct Page {
    /// Names and types of the columns, a JSON array of objects.
    pub columns: Box<RawValue>,
    /// A JSON array of arrays.
    pub rows: Box<RawValue>,
    /// Rows of all pages.
    pub total: u64,
}

/// `JSONCompact`.
#[derive(Deserialize)]
struct Compact {
    meta: Box<RawValue>,
    data: Box<RawValue>,
    rows: u64,
    rows_before_limit_at_least: Option<u64>,
}

/// A connection to the database of the tables, and the right to ask only so much at a time.
#[derive(Clone)]
pub struct Store {
    client: Client,
    permits: Arc<Semaphore>,
    config: ConsoleConfig,
    metrics: Metrics,
}

impl Store {
    /// A store at `clickhouse`; nothing is sent yet.
    #[must_use]
    pub fn new(clickhouse: &ClickHouseConfig, config: &ConsoleConfig, metrics: Metrics) -> Self {
        let mut client = Client::default()
            .with_url(&clickhouse.url)
            .with_database(&clickhouse.database)
            .with_compression(Compression::None)
            .with_product_info("patchline-console", env!("CARGO_PKG_VERSION"));
        if let Some(user) = &clickhouse.user {
            client = client.with_user(user);
        }
        if let Some(password) = &clickhouse.password {
            client = client.with_password(password);
        }
        let client = [
            ("readonly", "1".to_owned()),
            ("max_execution_time", config.query_timeout_s.to_string()),
            ("max_memory_usage", config.query_memory_bytes_max.to_string()),
            ("result_overflow_mode", "throw".to_owned()),
            ("cancel_http_readonly_queries_on_client_close", "1".to_owned()),
            // The number of rows before LIMIT is the number of all rows.
            ("exact_rows_before_limit", "1".to_owned()),
            ("date_time_output_format", "iso".to_owned()),
            ("output_format_json_quote_64bit_integers", "0".to_owned()),
            ("output_format_json_quote_denormals", "0".to_owned()),
        ]
        .into_iter()
        .fold(client, |client, (name, value)| client.with_setting(name, value));
        let permits = Arc::new(Semaphore::new(config.queries_in_flight_max));
        Self { client, permits, config: config.clone(), metrics }
    }

    /// Whether ClickHouse answers at all.
    pub async fn is_up(&self) -> bool {
        let asked = self.client.query("SELECT 1").fetch_one::<u8>();
        let up = matches!(tokio::time::timeout(GRACE, asked).await, Ok(Ok(1)));
        self.metrics.clickhouse_up.set(i64::from(up));
        up
    }

    /// One page of what `request` asks for.
    ///
    /// # Errors
    /// There is no answer; the reason is for the person who asked.
    pub async fn page(&self, request: &Request<'_>) -> Result<Page, AskError> {
        let (limit, sql) = match request.sort {
            None => (WHOLE_ROWS_MAX, request.sql()),
            Some(_) => {
                let sql = request.sql();
                (request.size, format!("{sql}\nLIMIT {} OFFSET {}", request.size, request.offset()))
            }
        };
        let started = Instant::now();
        let answer = self
            .within(async {
                let _permit = self.permit().await?;
                let query = self.prepare(request, &sql, limit);
                let mut cursor = query.fetch_bytes("JSONCompact").map_err(|e| self.error(e))?;
                cursor.collect().await.map_err(|error| self.error(error))
            })
            .await?;
        self.took(request, started);
        let answer: Compact = serde_json::from_slice(&answer)
            .map_err(|error| AskError::Unreadable(Box::new(error)))?;
        Ok(Page {
            columns: answer.meta,
            rows: answer.data,
            total: match request.sort {
                Some(_) => answer.rows_before_limit_at_least.unwrap_or(answer.rows),
                None => answer.rows,
            },
        })
    }

    /// Every row of what `request` asks for, as CSV with a head. The rows are counted first, so that a file
    /// has all of them or does not come to be.
    ///
    /// # Errors
    /// There is no answer, or it has too many rows. What breaks later breaks the stream off.
    pub async fn csv(
        &self,
        request: &Request<'_>,
    ) -> Result<impl Stream<Item = Result<Bytes, AskError>> + Send + use<>, AskError> {
        let most = self.config.csv_rows_max;
        let permit = self.within(self.permit()).await?;
        let counted = format!("SELECT count() FROM\n(\n{}\n)", request.query.sql);
        let count = self.prepare(request, &counted, 1);
        let rows: u64 =
            self.within(async { count.fetch_one().await.map_err(|e| self.error(e)) }).await?;
        if rows > most.into() {
            return Err(AskError::Rows { rows, most });
        }
        // Rows that arrive between the two queries must not fail the second one.
        let sql = format!("{}\nLIMIT {most}", request.sql());
        let sql = if request.sort.is_some() { sql } else { request.sql() };
        let cursor = self
            .prepare(request, &sql, most)
            .fetch_bytes("JSONCompactEachRowWithNames")
            .map_err(|error| self.error(error))?;
        let file =
            File { store: self.clone(), cursor, rows: csv::Rows::default(), _permit: permit };
        let mut stream = Box::pin(futures_util::stream::try_unfold(file, File::next));
        // An error in the first piece, as of a query that is refused, can still be told as such.
        let first = futures_util::TryStreamExt::try_next(&mut stream).await?;
        let first = futures_util::stream::iter(first.map(Ok));
        Ok(futures_util::StreamExt::chain(first, stream))
    }

    fn prepare(&self, request: &Request<'_>, sql: &str, rows: u32) -> clickhouse::query::Query {
        // The client takes a lone question mark for a parameter of its own.
        let query = self.client.query(&sql.replace('?', "??"));
        let mut query = query.with_setting("max_result_rows", rows.to_string());
        for (name, value) in &request.texts {
            query = query.param(name, value);
        }
        for name in &request.query.unset {
            query = query.param(name, "");
        }
        let range = request.range;
        for name in &request.query.ours {
            query = match *name {
                "from" => query.param(name, range.from),
                "to" => query.param(name, range.to),
                "until" => query.param(name, range.until),
                "step" => query.param(name, range.step()),
                _ => query.param(name, self.config.silent_after_min),
            };
        }
        query
    }

    async fn permit(&self) -> Result<OwnedSemaphorePermit, AskError> {
        let wait = Duration::from_secs(self.config.query_timeout_s);
        let permit = tokio::time::timeout(wait, Arc::clone(&self.permits).acquire_owned()).await;
        permit.ok().and_then(Result::ok).ok_or(AskError::Busy)
    }

    /// Waiting for the turn and for the server, each for as long as a query may take.
    async fn within<T>(
        &self,
        work: impl Future<Output = Result<T, AskError>>,
    ) -> Result<T, AskError> {
        let patience = 2 * Duration::from_secs(self.config.query_timeout_s) + GRACE;
        let timeout = AskError::Timeout(self.config.query_timeout_s);
        tokio::time::timeout(patience, work).await.unwrap_or(Err(timeout))
    }

    fn took(&self, request: &Request<'_>, started: Instant) {
        let seconds = started.elapsed().as_secs_f64();
        self.metrics.query_seconds.with_label_values(&[request.query.name]).observe(seconds);
    }

    /// ClickHouse's codes: TIMEOUT_EXCEEDED, TOO_SLOW; MEMORY_LIMIT_EXCEEDED; TOO_MANY_SIMULTANEOUS_QUERIES.
    fn error(&self, error: clickhouse::error::Error) -> AskError {
        match (code(&error), &error) {
            (Some(159 | 160), _) | (_, clickhouse::error::Error::TimedOut) => {
                AskError::Timeout(self.config.query_timeout_s)
            }
            (Some(241), _) => AskError::Memory,
            (Some(202), _) => AskError::Busy,
            (None, clickhouse::error::Error::Network(_)) => AskError::Unavailable(error),
            _ => AskError::Refused(error),
        }
    }
}

/// A CSV file on its way.
struct File {
    store: Store,
    cursor: BytesCursor,
    rows: csv::Rows,
    _permit: OwnedSemaphorePermit,
}

impl File {
    async fn next(mut self) -> Result<Option<(Bytes, Self)>, AskError> {
        let store = self.store.clone();
        loop {
            let cursor = &mut self.cursor;
            let next = async { cursor.next().await.map_err(|error| store.error(error)) };
            let Some(chunk) = store.within(next).await? else {
                return match self.rows.is_cut() {
                    true => Err(AskError::Unreadable("the answer ended within a row".into())),
                    false => Ok(None),
                };
            };
            let rows =
                self.rows.push(&chunk).map_err(|error| AskError::Unreadable(Box::new(error)))?;
            if !rows.is_empty() {
                return Ok(Some((rows.into(), self)));
            }
        }
    }
}
