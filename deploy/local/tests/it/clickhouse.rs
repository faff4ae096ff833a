//! The front: what clients of a real server rely on.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use clickhouse::{Client, Row};
use patchline_local::{ClickHouse, ClickHouseOptions};
use serde::{Deserialize, Serialize};

use crate::{Scratch, left_out};

/// A front of one test's own.
struct Front {
    clickhouse: ClickHouse,
    _scratch: Scratch,
}

impl Front {
    fn start(arguments: &[&str]) -> Option<Front> {
        if left_out("CLICKHOUSE_URL") {
            return None;
        }
        let scratch = Scratch::new("clickhouse");
        let options = ClickHouseOptions {
            program: Some(env!("CARGO_BIN_EXE_patchline-local").into()),
            arguments: arguments.iter().map(|a| a.to_string()).collect(),
            ..ClickHouseOptions::default()
        };
        let clickhouse = ClickHouse::start(&scratch.0, options).unwrap();
        Some(Front { clickhouse, _scratch: scratch })
    }

    fn address(&self) -> String {
        self.clickhouse.url().trim_start_matches("http://").to_owned()
    }

    fn send(&self, method: &str, target: &str, headers: &str, body: &[u8]) -> Answer {
        let mut stream = TcpStream::connect(self.address()).unwrap();
        let length = body.len();
        write!(
            stream,
            "{method} {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
             Content-Length: {length}\r\n{headers}\r\n"
        )
        .unwrap();
        // The server may refuse, and close, before it has read all of it.
        let _ = stream.write_all(body);
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        let end = bytes.windows(4).position(|w| w == b"\r\n\r\n").expect("a whole head");
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { status, head: head.to_lowercase(), body: bytes[end + 4..].to_vec() }
    }

    fn post(&self, target: &str, body: impl AsRef<[u8]>) -> Answer {
        self.send("POST", target, "", body.as_ref())
    }

    /// The text that a statement gives; it must succeed.
    fn sql(&self, sql: &str) -> String {
        let answer = self.post("/", sql);
        assert_eq!(answer.status, 200, "{sql}: {}", answer.text());
        answer.text().trim_end().to_owned()
    }

    fn client(&self) -> Client {
        Client::default().with_url(self.clickhouse.url())
    }
}

struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Answer {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(": "))
    }
}

fn escaped(text: &str) -> String {
    text.bytes().map(|b| format!("%{b:02X}")).collect()
}

#[derive(Debug, Clone, PartialEq, Row, Serialize, Deserialize)]
struct Update {
    computer: String,
    kb: u32,
    needed: bool,
}

fn updates(n: u32) -> Vec<Update> {
    (0..n).map(|i| Update { computer: format!("pc\n\n{i}"), kb: i, needed: i % 2 == 0 }).collect()
}

const CREATE: &str = "CREATE TABLE updates (computer String, kb UInt32, needed Bool) \
    ENGINE = MergeTree ORDER BY (computer, kb) SETTINGS non_replicated_deduplication_window = 100";

#[test]
fn queries_come_by_url_and_by_body_and_name_their_format() {
    let Some(front) = Front::start(&[]) else { return };
    assert_eq!(front.send("GET", "/ping", "", b"").text(), "Ok.\n");
    assert_eq!(front.send("GET", "/", "", b"").text(), "Ok.\n");

    let by_url = front.send("GET", "/?query=SELECT%201%2B1", "", b"");
    assert_eq!((by_url.status, by_url.text().as_str()), (200, "2\n"));
    assert_eq!(by_url.header("x-clickhouse-format"), Some("tabseparated"));
    assert!(by_url.header("x-clickhouse-query-id").is_some());

    // The URL and the body are one text.
    assert_eq!(front.post("/?query=SELECT%201%20%2B", "41").text(), "42\n");
    let json = front.post("/?default_format=JSON", "SELECT 1 AS a");
    assert_eq!(json.header("content-type"), Some("application/json; charset=utf-8"));
    assert!(json.text().contains(r#""a": 1"#));
    let csv = front.send("POST", "/", "X-ClickHouse-Format: CSV\r\n", b"SELECT 'x'");
    assert_eq!(csv.text(), "\"x\"\n");
    let named = front.post("/?default_format=CSV&query_id=mine", "SELECT 'x' FORMAT TSV");
    assert_eq!(named.text(), "x\n");
    assert_eq!(named.header("x-clickhouse-query-id"), Some("mine"));

    let parameters = "/?param_a=it%27s&param_n=3";
    assert_eq!(
        front.post(parameters, "SELECT {a:String} || {n:UInt8}::String FORMAT TSVRaw").text(),
        "it's3\n"
    );
    assert_eq!(front.post("/?database=system", "SELECT count() FROM one").text(), "1\n");
    let header = "X-ClickHouse-Database: system\r\n";
    assert_eq!(front.send("POST", "/", header, b"SELECT currentDatabase()").text(), "system\n");

    let counted = front.post("/", "SELECT number FROM numbers(5)");
    assert!(counted.header("x-clickhouse-summary").unwrap().contains(r#""read_rows":"5""#));
}

#[test]
fn errors_have_the_servers_status_and_code() {
    let Some(front) = Front::start(&[]) else { return };
    for (target, sql, status, code) in [
        ("/", "SELECT * FROM missing", 404, "60"),
        ("/?database=missing", "SELECT 1", 404, "81"),
        ("/?missing_setting=1", "SELECT 1", 404, "115"),
        ("/?a%20b=1", "SELECT 1", 404, "115"),
        ("/", "SELEC 1", 400, "62"),
        ("/", "", 400, "62"),
        ("/", "SELECT 1; SELECT 2", 400, "62"),
        ("/", "SELECT nobody", 404, "47"),
        ("/", "SELECT 1 FORMAT Nothing", 404, "73"),
        ("/", "SELECT throwIf(1)", 500, "395"),
        ("/?query=INSERT%20INTO%20missing%20FORMAT%20TSV", "1\n", 404, "60"),
    ] {
        let answer = front.post(target, sql);
        let found = (answer.status, answer.header("x-clickhouse-exception-code"));
        assert_eq!(found, (status, Some(code)), "{target} {sql}: {}", answer.text());
        assert!(answer.text().starts_with(&format!("Code: {code}. DB::Exception: ")));
    }
    front.sql(CREATE);
    let malformed = front.post("/?query=INSERT%20INTO%20updates%20FORMAT%20TSV", "pc\tx\ttrue\n");
    assert_eq!((malformed.status, front.sql("SELECT count() FROM updates")), (400, "0".to_owned()));
    let get = front.send("GET", &format!("/?query={}", escaped("DROP TABLE updates")), "", b"");
    assert_eq!(get.header("x-clickhouse-exception-code"), Some("164"), "GET only reads");
    assert_eq!(front.send("GET", "/nowhere", "", b"").status, 404);
}

#[test]
fn settings_end_with_their_request() {
    let Some(front) = Front::start(&["--connections", "1"]) else { return };
    let changed = "SELECT count() FROM system.settings WHERE changed AND \
        name IN ('max_block_size', 'insert_deduplication_token', 'readonly')";
    assert_eq!(
        front.post("/?max_block_size=7&insert_deduplication_token=it%27s", changed).text(),
        "2\n"
    );
    front.sql("SET max_block_size = 9");
    front.sql("USE system");
    front.send("GET", &format!("/?query={}", escaped(changed)), "", b"");
    assert_eq!(front.sql(changed), "0");
    assert_eq!(front.sql("SELECT currentDatabase()"), "default");

    front.sql(CREATE);
    let insert = "/?insert_deduplication_token=a&query=INSERT%20INTO%20updates%20FORMAT%20TSV";
    assert_eq!(front.post(insert, "pc\t1\ttrue\n").status, 200);
    assert_eq!(front.sql(changed), "0");
}

#[test]
fn a_token_drops_the_second_insert_and_a_large_one_is_one_part() {
    let Some(front) = Front::start(&[]) else { return };
    front.sql(CREATE);
    let insert = |token: &str, rows: &str| {
        let query = escaped("INSERT INTO updates FORMAT TSV");
        let target = format!(
            "/?async_insert=0&max_insert_threads=1&input_format_parallel_parsing=0&\
             insert_deduplication_token={token}&query={query}"
        );
        let answer = front.post(&target, rows);
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer
    };
    let first = insert("t1", "pc\t1\ttrue\n");
    assert!(first.header("x-clickhouse-summary").unwrap().contains(r#""written_rows":"1""#));
    insert("t1", "other\t2\tfalse\nother\t3\tfalse\n");
    assert_eq!(front.sql("SELECT computer, kb FROM updates"), "pc\t1");
    insert("t2", "other\t2\tfalse\n");
    assert_eq!(front.sql("SELECT count() FROM updates"), "2");

    front.sql("TRUNCATE TABLE updates");
    let rows: String = (0..200_000).map(|i| format!("pc{i}\t{i}\ttrue\n")).collect();
    insert("t3", &rows);
    let parts = "SELECT count(), sum(rows) FROM system.parts WHERE table = 'updates' AND active";
    assert_eq!(front.sql(parts), "1\t200000");

    // The same rows in many Native blocks, as a client may cut them.
    let native = front.post("/?max_block_size=1000", "SELECT * FROM updates FORMAT Native").body;
    front.sql("TRUNCATE TABLE updates");
    let query = escaped("INSERT INTO updates FORMAT Native");
    assert_eq!(front.post(&format!("/?query={query}"), native).status, 200);
    assert_eq!(front.sql(parts), "1\t200000");
}

#[test]
fn inserted_text_may_hold_blank_lines_wherever_it_stands() {
    let Some(front) = Front::start(&[]) else { return };
    front.sql("CREATE TABLE texts (t String) ENGINE = Memory");
    assert_eq!(
        front.post("/?query=INSERT%20INTO%20texts%20FORMAT%20RawBLOB", "a\n\nb").status,
        200
    );
    front.sql("INSERT INTO texts FORMAT CSV\n\"c\n\nd\"\n\"e; FORMAT x\"\n");
    front.sql("INSERT INTO texts VALUES ('f\n\ng'), ('h')");
    front.sql("INSERT INTO texts SELECT 'i\n\nj'");
    let texts = front.sql("SELECT t FROM texts ORDER BY t FORMAT TSV");
    assert_eq!(texts, r"a\n\nb|c\n\nd|e; FORMAT x|f\n\ng|h|i\n\nj".replace('|', "\n"));
}

#[tokio::test]
async fn the_rust_client_reads_and_writes() {
    let Some(front) = Front::start(&[]) else { return };
    let client = front.client();
    client.query(CREATE).execute().await.unwrap();
    let rows = updates(1000);

    let mut insert = client.insert::<Update>("updates").await.unwrap();
    for row in &rows {
        insert.write(row).await.unwrap();
    }
    insert.end().await.unwrap();
    let read = client.query("SELECT ?fields FROM updates ORDER BY kb").fetch_all::<Update>();
    assert_eq!(read.await.unwrap(), rows);

    let one = client
        .query("SELECT ?fields FROM updates WHERE kb = {kb:UInt32} AND computer = ?")
        .bind("pc\n\n7")
        .param("kb", 7)
        .fetch_one::<Update>();
    assert_eq!(one.await.unwrap(), rows[7]);
    assert!(
        client
            .query("SELECT ?fields FROM updates LIMIT 0")
            .fetch_optional::<Update>()
            .await
            .unwrap()
            .is_none()
    );

    let native = front.post("/", "SELECT * FROM updates FORMAT Native").body;
    client.query("TRUNCATE TABLE updates").execute().await.unwrap();
    let mut insert = client
        .insert_formatted_with("INSERT INTO updates FORMAT Native")
        .with_setting("insert_deduplication_token", "native");
    insert.send(native.into()).await.unwrap();
    insert.end().await.unwrap();
    let count = client.query("SELECT count() FROM updates").fetch_one::<u64>().await.unwrap();
    assert_eq!(count, 1000);

    let error = client.query("SELECT * FROM missing").execute().await.unwrap_err().to_string();
    assert!(error.contains("Code: 60"), "{error}");
}

#[test]
fn queries_and_inserts_run_side_by_side() {
    let Some(front) = Front::start(&["--connections", "8"]) else { return };
    front.sql(CREATE);
    thread::scope(|scope| {
        for writer in 0..8 {
            let front = &front;
            scope.spawn(move || {
                for round in 0..10 {
                    let rows: String = (0..100)
                        .map(|i| format!("pc{writer}\t{}\ttrue\n", round * 100 + i))
                        .collect();
                    let target = format!(
                        "/?insert_deduplication_token={writer}-{round}&query={}",
                        escaped("INSERT INTO updates FORMAT TSV")
                    );
                    assert_eq!(front.post(&target, rows).status, 200);
                }
            });
            scope.spawn(move || {
                for _ in 0..10 {
                    front.sql("SELECT count(), max(kb) FROM updates GROUP BY computer");
                }
            });
        }
    });
    assert_eq!(front.sql("SELECT count(), uniqExact(computer, kb) FROM updates"), "8000\t8000");
}

#[test]
fn a_body_that_breaks_off_writes_nothing() {
    let Some(front) = Front::start(&["--connections", "1"]) else { return };
    front.sql(CREATE);
    let query = escaped("INSERT INTO updates FORMAT TSV");
    let mut stream = TcpStream::connect(front.address()).unwrap();
    write!(
        stream,
        "POST /?query={query} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n\
         A\r\npc\t1\ttrue\n\r\n"
    )
    .unwrap();
    drop(stream);
    // One connection: this query runs once the insert has ended.
    assert_eq!(front.sql("SELECT count() FROM updates"), "0");
    assert_eq!(front.post(&format!("/?query={query}"), "pc\t1\ttrue\n").status, 200);
    assert_eq!(front.sql("SELECT count() FROM updates"), "1");
}

#[test]
fn a_body_over_the_limit_is_refused() {
    let Some(front) = Front::start(&["--body-bytes-max", "1000"]) else { return };
    front.sql(CREATE);
    let row = "pc\t1\ttrue\n";
    let query = escaped("INSERT INTO updates FORMAT TSV");
    assert_eq!(front.post(&format!("/?query={query}"), row.repeat(1000)).status, 413);

    let mut stream = TcpStream::connect(front.address()).unwrap();
    write!(
        stream,
        "POST /?query={query} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
         Transfer-Encoding: chunked\r\n\r\n"
    )
    .unwrap();
    for _ in 0..200 {
        write!(stream, "A\r\n{row}\r\n").unwrap();
    }
    write!(stream, "0\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    assert_eq!(front.sql("SELECT count() FROM updates"), "0");
}

#[test]
fn data_survives_kill_and_clean_stop() {
    let Some(mut front) = Front::start(&[]) else { return };
    front.sql(CREATE);
    let insert = format!(
        "/?insert_deduplication_token=t&query={}",
        escaped("INSERT INTO updates FORMAT TSV")
    );
    assert_eq!(front.post(&insert, "pc\t1\ttrue\n").status, 200);

    front.clickhouse.kill().unwrap();
    front.clickhouse.restart().unwrap();
    assert_eq!(front.sql("SELECT kb FROM updates"), "1");
    assert_eq!(front.post(&insert, "other\t2\ttrue\n").status, 200);
    assert_eq!(front.sql("SELECT kb FROM updates"), "1", "the token survives too");

    front.clickhouse.restart().unwrap();
    assert_eq!(front.sql("SELECT kb FROM updates"), "1");
}

#[test]
fn a_stop_lets_a_running_query_end() {
    let Some(mut front) = Front::start(&[]) else { return };
    let started = Instant::now();
    let address = front.address();
    let query = thread::spawn(move || {
        let mut stream = TcpStream::connect(address).unwrap();
        let sql = "SELECT sleepEachRow(1) FROM numbers(2) SETTINGS max_block_size = 1";
        let length = sql.len();
        write!(stream, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n{sql}")
            .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    });
    // It shows in the process list once it runs.
    let running = "SELECT count() FROM system.processes WHERE query LIKE '%sleepEachRow(1)%' AND query NOT LIKE '%processes%'";
    while front.sql(running) == "0" {
        assert!(started.elapsed() < Duration::from_secs(10));
    }
    front.clickhouse.stop().unwrap();
    assert!(query.join().unwrap().starts_with("HTTP/1.1 200"));
    assert!(started.elapsed() >= Duration::from_secs(2));
}
