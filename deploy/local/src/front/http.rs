//! ClickHouse's HTTP interface, as far as its clients use it.
//!
//! A request becomes a [`Job`]; a job runs on a blocking thread with a connection of its own, and
//! holds one of a bounded number of permits until it ends, even if its client has gone. Results
//! are held whole before they are sent, so that a failing query always has its status; INSERT data
//! is passed on as it arrives.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use tokio::sync::{Semaphore, mpsc};
use tracing::{debug, info};

use super::compressed::{BlockError, Decompressor};
use super::engine::{Connection, Counts, Engine, EngineError, Insert};
use super::statement;
use super::status::{
    CANNOT_DECOMPRESS, CANNOT_READ_ALL_DATA, Refusal, SYNTAX_ERROR, TOO_MANY_BYTES,
    UNKNOWN_EXCEPTION, UNKNOWN_SETTING,
};

/// URL parameters that are no settings. Authentication, sessions and roles have nothing to act on
/// here and are let pass.
const RESERVED: [&str; 16] = [
    "query",
    "database",
    "default_format",
    "compress",
    "decompress",
    "user",
    "password",
    "quota_key",
    "query_id",
    "stacktrace",
    "role",
    "buffer_size",
    "wait_end_of_query",
    "session_id",
    "client_protocol_version",
    "close_session",
];

/// Pieces of an INSERT body on their way to the engine; more than a few only cost memory.
const PIECES_QUEUED: usize = 8;

/// The engine copies what it is handed: a whole body goes in pieces.
const PIECE_BYTES: usize = 1 << 20;

/// What all requests share.
#[derive(Clone)]
pub(super) struct Front {
    engine: Arc<Engine>,
    permits: Arc<Semaphore>,
    permits_total: u32,
    body_bytes_max: usize,
    timezone: Arc<str>,
}

impl Front {
    pub(super) fn new(
        engine: Arc<Engine>,
        connections: u32,
        body_bytes_max: usize,
    ) -> Result<Front, EngineError> {
        let output = engine.connect()?.query("SELECT timezone()", "TSVRaw", &[])?;
        let timezone = String::from_utf8_lossy(output.as_ref()).trim().into();
        Ok(Front {
            engine,
            permits: Arc::new(Semaphore::new(connections as usize)),
            permits_total: connections,
            body_bytes_max,
            timezone,
        })
    }

    pub(super) fn router(&self) -> Router {
        let ok = || async { "Ok.\n" };
        Router::new()
            .route("/ping", get(ok))
            .route("/replicas_status", get(ok))
            .route("/", get(handle).post(handle))
            .fallback(|uri: Uri| async move {
                (StatusCode::NOT_FOUND, format!("There is no handle {}\n", uri.path()))
            })
            .with_state(self.clone())
    }

    /// Waits until nothing runs in the engine.
    pub(super) async fn idle(&self) {
        // The semaphore is never closed.
        let _ = self.permits.acquire_many(self.permits_total).await;
    }
}

async fn handle(
    State(front): State<Front>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let started = Instant::now();
    let request = Request::parse(&method, &uri, &headers);
    if method != Method::POST && uri.query().is_none() {
        return "Ok.\n".into_response();
    }
    let id = request.query_id.clone();
    let answer = answer(&front, request, &headers, body).await;
    let elapsed = started.elapsed();
    let mut response = match answer {
        Ok(done) => {
            debug!(query_id = id, elapsed = ?elapsed, bytes = done.body.len(), "done");
            done.into_response(elapsed)
        }
        Err(refusal) => {
            info!(query_id = id, elapsed = ?elapsed, error = refusal.message, "refused");
            let code = [("X-ClickHouse-Exception-Code", refusal.code.to_string())];
            (refusal.status, code, refusal.message + "\n").into_response()
        }
    };
    for (name, value) in
        [("X-ClickHouse-Query-Id", &*id), ("X-ClickHouse-Timezone", &*front.timezone)]
    {
        if let Ok(value) = value.parse() {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

/// What the URL and the headers say.
struct Request {
    query: String,
    query_id: String,
    database: Option<String>,
    format: Option<String>,
    settings: Vec<(String, String)>,
    parameters: Vec<(String, String)>,
    decompress: bool,
}

impl Request {
    fn parse(method: &Method, uri: &Uri, headers: &HeaderMap) -> Request {
        let header =
            |name: &str| headers.get(name).and_then(|v| v.to_str().ok()).map(str::to_owned);
        let mut request = Request {
            query: String::new(),
            query_id: next_query_id(),
            database: header("X-ClickHouse-Database"),
            format: header("X-ClickHouse-Format"),
            settings: Vec::new(),
            parameters: Vec::new(),
            decompress: false,
        };
        for (name, value) in form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()) {
            request.take(&name, value.into_owned());
        }
        // As on the server: GET must not change anything.
        if method == Method::GET && !request.settings.iter().any(|(name, _)| name == "readonly") {
            request.settings.push(("readonly".to_owned(), "2".to_owned()));
        }
        request
    }

    fn take(&mut self, name: &str, value: String) {
        match name {
            "query" => self.query.push_str(&value),
            "query_id" if !value.is_empty() => self.query_id = value,
            "database" if !value.is_empty() => self.database = Some(value),
            "default_format" if !value.is_empty() => self.format = Some(value),
            "decompress" => self.decompress = matches!(&*value, "1" | "true"),
            name if RESERVED.contains(&name) => {}
            name => match name.strip_prefix("param_") {
                Some(parameter) => self.parameters.push((parameter.to_owned(), value)),
                None => self.settings.push((name.to_owned(), value)),
            },
        }
    }

    fn job(self, work: Work) -> Job {
        let format = self.format.unwrap_or_else(|| "TabSeparated".to_owned());
        Job {
            work,
            format,
            database: self.database,
            settings: self.settings,
            parameters: self.parameters,
        }
    }
}

/// Unique within the process and across its restarts, which is all a log needs.
fn next_query_id() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let since_1970 = std::time::UNIX_EPOCH.elapsed().unwrap_or_default();
    format!("{:x}-{}", since_1970.as_millis(), COUNT.fetch_add(1, Ordering::Relaxed))
}

async fn answer(
    front: &Front,
    mut request: Request,
    headers: &HeaderMap,
    body: Body,
) -> Result<Done, Refusal> {
    refuse_encodings(headers)?;
    let body = Received { body, left: front.body_bytes_max, max: front.body_bytes_max };
    body.refuse_announced(headers)?;

    if let Some(insert) = statement::insert(request.query.as_bytes()) {
        let head = utf8(insert.head.to_vec())?;
        let format = insert.format.map(str::to_owned).or_else(|| request.format.clone());
        let inline = Bytes::copy_from_slice(insert.data);
        let (pieces, queue) = mpsc::channel(PIECES_QUEUED);
        let data = Data { first: inline, rest: Some(queue), compressed: request.decompress };
        let job = request.job(Work::Insert { head, format: format.unwrap_or_else(values), data });
        let (fed, done) = tokio::join!(body.feed(pieces), run(front, job));
        // What is wrong with the body is the cause of what the engine then said.
        fed?;
        return done;
    }

    let mut text = body.collect().await?;
    if request.decompress {
        text = decompressed(&text)?;
    }
    if let Some(boundary) = boundary(headers) {
        for (name, value) in multipart(&text, &boundary) {
            request.take(&name, utf8(value.to_vec())?);
        }
        text = Bytes::new();
    }
    if !request.query.is_empty() {
        let mut whole = BytesMut::from(request.query.as_bytes());
        if !text.is_empty() {
            whole.extend_from_slice(b"\n");
            whole.extend_from_slice(&text);
        }
        text = whole.freeze();
    }
    let work = match statement::insert(&text) {
        Some(insert) => Work::Insert {
            head: utf8(insert.head.to_vec())?,
            format: insert.format.map(str::to_owned).unwrap_or_else(values),
            data: Data { first: text.slice_ref(insert.data), rest: None, compressed: false },
        },
        None => Work::Query(utf8(text.to_vec())?),
    };
    run(front, request.job(work)).await
}

fn values() -> String {
    "Values".to_owned()
}

fn utf8(bytes: Vec<u8>) -> Result<String, Refusal> {
    String::from_utf8(bytes).map_err(|_| Refusal::new(SYNTAX_ERROR, "The query is not UTF-8"))
}

/// Bodies may be compressed by ClickHouse's blocks (`decompress=1`) only; on loopback the others
/// would cost more than they save.
fn refuse_encodings(headers: &HeaderMap) -> Result<(), Refusal> {
    match headers.get(header::CONTENT_ENCODING) {
        Some(encoding) if encoding != "identity" => Err(Refusal::new(
            CANNOT_DECOMPRESS,
            &format!("Content-Encoding {encoding:?} is not known here: send the body plain, or with decompress=1"),
        )
        .with_status(StatusCode::UNSUPPORTED_MEDIA_TYPE)),
        _ => Ok(()),
    }
}

/// A request body that is read up to the limit.
struct Received {
    body: Body,
    left: usize,
    max: usize,
}

impl Received {
    fn too_large(&self) -> Refusal {
        let reason = format!("The request body is larger than {} bytes (TOO_MANY_BYTES)", self.max);
        Refusal::new(TOO_MANY_BYTES, &reason).with_status(StatusCode::PAYLOAD_TOO_LARGE)
    }

    /// Refuses before anything is read where the length is known beforehand.
    fn refuse_announced(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let length = headers.get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok());
        match length.and_then(|l| l.parse::<usize>().ok()) {
            Some(length) if length > self.max => Err(self.too_large()),
            _ => Ok(()),
        }
    }

    async fn next(&mut self) -> Result<Option<Bytes>, Refusal> {
        while let Some(frame) = self.body.frame().await {
            let frame = frame.map_err(|e| {
                Refusal::new(CANNOT_READ_ALL_DATA, &format!("The request body broke off: {e}"))
            })?;
            let Ok(data) = frame.into_data() else { continue };
            self.left = self.left.checked_sub(data.len()).ok_or_else(|| self.too_large())?;
            return Ok(Some(data));
        }
        Ok(None)
    }

    async fn collect(mut self) -> Result<Bytes, Refusal> {
        let mut whole = BytesMut::new();
        while let Some(data) = self.next().await? {
            whole.extend_from_slice(&data);
        }
        Ok(whole.freeze())
    }

    /// Passes the body on. Reads to its end even when nobody takes it any more: a client that is
    /// still sending would not hear the answer.
    async fn feed(mut self, pieces: mpsc::Sender<Piece>) -> Result<(), Refusal> {
        while let Some(data) = self.next().await? {
            let _ = pieces.send(Piece::Data(data)).await;
        }
        let _ = pieces.send(Piece::End).await;
        Ok(())
    }
}

/// The end is said, not guessed from a closed channel: a client that vanishes closes it too.
enum Piece {
    Data(Bytes),
    End,
}

/// The rows of an INSERT: what came with the statement, then what still arrives.
struct Data {
    first: Bytes,
    rest: Option<mpsc::Receiver<Piece>>,
    compressed: bool,
}

enum Work {
    Query(String),
    Insert { head: String, format: String, data: Data },
}

/// One statement and all that it needs.
struct Job {
    work: Work,
    format: String,
    database: Option<String>,
    settings: Vec<(String, String)>,
    parameters: Vec<(String, String)>,
}

/// A statement that succeeded.
struct Done {
    body: Bytes,
    format: String,
    counts: Counts,
}

async fn run(front: &Front, job: Job) -> Result<Done, Refusal> {
    let failed = |e: String| Refusal::new(UNKNOWN_EXCEPTION, &e);
    let permit = front.permits.clone().acquire_owned().await.map_err(|e| failed(e.to_string()))?;
    let engine = front.engine.clone();
    let work = tokio::task::spawn_blocking(move || {
        let done = job.run(&engine);
        // Before the permit: whoever holds all permits may close the engine.
        drop(engine);
        drop(permit);
        done
    });
    work.await.map_err(|e| failed(e.to_string()))?
}

impl Job {
    fn run(self, engine: &Engine) -> Result<Done, Refusal> {
        let connection = engine.connect()?;
        if let Some(database) = &self.database {
            connection.query(&format!("USE {}", quoted(database, '`')), "Null", &[])?;
        }
        set(&connection, &self.settings)?;
        match self.work {
            Work::Query(sql) => {
                if sql.trim().is_empty() {
                    return Err(Refusal::new(SYNTAX_ERROR, "Empty query (SYNTAX_ERROR)"));
                }
                if connection.statements(&sql) > 1 {
                    let reason = "Syntax error (Multi-statements are not allowed) (SYNTAX_ERROR)";
                    return Err(Refusal::new(SYNTAX_ERROR, reason));
                }
                let output = connection.query(&sql, &self.format, &self.parameters)?;
                let counts = output.counts();
                let format = statement::output_format(&sql).unwrap_or(&self.format).to_owned();
                Ok(Done { body: Bytes::from_owner(output), format, counts })
            }
            Work::Insert { head, format, data } => {
                let insert = connection.insert(&head, &format, &self.parameters)?;
                feed(&insert, data)?;
                let counts = insert.finish()?.counts();
                Ok(Done { body: Bytes::new(), format: self.format, counts })
            }
        }
    }
}

/// Gives the connection its settings, all in one statement: `readonly` among them forbids further
/// ones.
fn set(connection: &Connection, settings: &[(String, String)]) -> Result<(), Refusal> {
    if settings.is_empty() {
        return Ok(());
    }
    let mut changes = Vec::with_capacity(settings.len());
    for (name, value) in settings {
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.".contains(&b))
        {
            let reason = format!(
                "Setting {name:?} is neither a builtin setting nor a custom one (UNKNOWN_SETTING)"
            );
            return Err(Refusal::new(UNKNOWN_SETTING, &reason));
        }
        changes.push(format!("{name} = {}", quoted(value, '\'')));
    }
    connection.query(&format!("SET {}", changes.join(", ")), "Null", &[])?;
    Ok(())
}

fn quoted(text: &str, quote: char) -> String {
    let mut quoted = String::from(quote);
    for c in text.chars() {
        if c == quote || c == '\\' {
            quoted.push('\\');
        }
        quoted.push(c);
    }
    quoted.push(quote);
    quoted
}

fn feed(insert: &Insert<'_>, data: Data) -> Result<(), Refusal> {
    let mut blocks = data.compressed.then(Decompressor::default);
    let mut append = |piece: &[u8]| match &mut blocks {
        Some(blocks) => blocks.push(piece, |block| Ok::<_, Refusal>(insert.append(block)?)),
        None => Ok(insert.append(piece)?),
    };
    for piece in data.first.chunks(PIECE_BYTES) {
        append(piece)?;
    }
    if let Some(mut rest) = data.rest {
        loop {
            match rest.blocking_recv() {
                Some(Piece::Data(piece)) => append(&piece)?,
                Some(Piece::End) => break,
                None => {
                    let reason = "The client went before the data ended; nothing is written";
                    return Err(Refusal::new(CANNOT_READ_ALL_DATA, reason));
                }
            }
        }
    }
    Ok(blocks.map_or(Ok(()), |blocks| blocks.finish())?)
}

fn decompressed(body: &[u8]) -> Result<Bytes, Refusal> {
    let mut whole = BytesMut::new();
    let mut blocks = Decompressor::default();
    blocks.push(body, |block| {
        whole.extend_from_slice(block);
        Ok::<_, Refusal>(())
    })?;
    blocks.finish()?;
    Ok(whole.freeze())
}

impl From<BlockError> for Refusal {
    fn from(error: BlockError) -> Refusal {
        Refusal::new(CANNOT_DECOMPRESS, &error.to_string())
    }
}

impl Done {
    fn into_response(self, elapsed: Duration) -> Response {
        let c = self.counts;
        let summary = format!(
            r#"{{"read_rows":"{}","read_bytes":"{}","written_rows":"{}","written_bytes":"{}","total_rows_to_read":"0","result_rows":"{}","result_bytes":"{}","elapsed_ns":"{}"}}"#,
            c.read_rows,
            c.read_bytes,
            c.written_rows,
            c.written_bytes,
            c.result_rows,
            c.result_bytes,
            elapsed.as_nanos(),
        );
        let headers = [
            (header::CONTENT_TYPE.as_str(), content_type(&self.format).to_owned()),
            ("X-ClickHouse-Summary", summary),
            ("X-ClickHouse-Format", self.format),
        ];
        (headers, self.body).into_response()
    }
}

fn content_type(format: &str) -> &'static str {
    let format = format.to_ascii_lowercase();
    match &*format {
        "json" | "jsoncompact" | "jsonstrings" | "jsoncolumns" => "application/json; charset=UTF-8",
        f if f.starts_with("jsoneachrow") || f.starts_with("jsoncompacteachrow") => {
            "application/x-ndjson; charset=UTF-8"
        }
        "csvwithnames" | "csvwithnamesandtypes" => "text/csv; charset=UTF-8; header=present",
        "csv" => "text/csv; charset=UTF-8; header=absent",
        "xml" => "application/xml; charset=UTF-8",
        f if f.starts_with("tab") || f.starts_with("tsv") => {
            "text/tab-separated-values; charset=UTF-8"
        }
        f if f.starts_with("pretty") || f == "values" || f == "vertical" => {
            "text/plain; charset=UTF-8"
        }
        _ => "application/octet-stream",
    }
}

fn boundary(headers: &HeaderMap) -> Option<String> {
    let content_type = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    let fields = content_type.strip_prefix("multipart/form-data")?;
    let boundary = fields.split(';').find_map(|f| f.trim().strip_prefix("boundary="))?;
    Some(boundary.trim_matches('"').to_owned())
}

/// The fields of a form, by which clients send a query with long parameters. External tables, the
/// server's other use of it, are not known here.
fn multipart<'a>(body: &'a [u8], boundary: &str) -> Vec<(String, &'a [u8])> {
    let delimiter = format!("--{boundary}");
    let mut fields = Vec::new();
    let mut rest = body;
    while let Some(part) = cut(&mut rest, delimiter.as_bytes()) {
        let mut part = part;
        let Some(head) = cut(&mut part, b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(head);
        let name =
            head.split(';').find_map(|f| f.trim().strip_prefix("name=\"")?.split('"').next());
        if let Some(name) = name {
            fields.push((name.to_owned(), part.strip_suffix(b"\r\n").unwrap_or(part)));
        }
    }
    fields
}

/// What stands before the first `mark`; `rest` then begins behind it.
fn cut<'a>(rest: &mut &'a [u8], mark: &[u8]) -> Option<&'a [u8]> {
    let at = rest.windows(mark.len()).position(|w| w == mark)?;
    let before = rest.get(..at)?;
    *rest = rest.get(at + mark.len()..)?;
    Some(before)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_gives_its_fields() {
        let body =
            b"--X\r\nContent-Disposition: form-data; name=\"query\"\r\n\r\nSELECT {a:String}\r\n\
            --X\r\nContent-Disposition: form-data; name=\"param_a\"\r\n\r\nx\r\ny\r\n--X--\r\n";
        let fields = multipart(body, "X");
        assert_eq!(
            fields,
            [
                ("query".to_owned(), &b"SELECT {a:String}"[..]),
                ("param_a".to_owned(), &b"x\r\ny"[..]),
            ]
        );
    }

    #[test]
    fn quotes_and_backslashes_are_escaped() {
        assert_eq!(quoted(r"it's \ all", '\''), r"'it\'s \\ all'");
    }
}
