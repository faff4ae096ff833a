//! What is shown where ClickHouse does not do as it should. What the real engine will not do on demand is done by
//! a server that answers one thing to everything.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::RawQuery;
use axum::http::StatusCode;
use patchline_console::config::{ClickHouseConfig, ConsoleConfig};
use serde_json::Value;
use tokio::net::TcpListener;

use crate::world::{get, serve, world};

/// The parts of each request: behind the `?`, and the body.
type Asked = Arc<Mutex<Vec<(String, String)>>>;

/// A server that answers `status` and `body`, and keeps what it was asked with.
async fn server(status: u16, body: &'static str) -> (String, Asked) {
    let asked = Asked::default();
    let keep = Arc::clone(&asked);
    let answer = async move |RawQuery(query): RawQuery, text: String| {
        keep.lock().unwrap().push((query.unwrap_or_default(), text));
        (StatusCode::from_u16(status).unwrap(), body)
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().fallback(answer);
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, asked)
}

/// What a console over the ClickHouse at `url` answers.
async fn ask(url: &str, config: ConsoleConfig, path: &str) -> (u16, String, String) {
    let clickhouse = ClickHouseConfig { url: url.to_owned(), ..ClickHouseConfig::default() };
    let console = serve(clickhouse, config).await;
    let (status, _, body) = get(&format!("{console}{path}")).await;
    let answer: Value = serde_json::from_slice(&body).unwrap();
    let of = |name: &str| answer["error"][name].as_str().unwrap().to_owned();
    (status, of("kind"), of("message"))
}

#[tokio::test]
async fn a_clickhouse_that_is_away_is_told_as_such_and_the_page_still_comes() {
    // A port that was free a moment ago: nobody listens.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    for format in ["json", "csv"] {
        let path = format!("/api/machines?format={format}");
        let (status, kind, message) = ask(&url, ConsoleConfig::default(), &path).await;
        assert_eq!((status, kind.as_str()), (503, "unavailable"));
        assert!(message.starts_with("ClickHouse does not answer"), "{message}");
    }
    let clickhouse = ClickHouseConfig { url, ..ClickHouseConfig::default() };
    let console = serve(clickhouse, ConsoleConfig::default()).await;
    assert_eq!(get(&format!("{console}/")).await.0, 200);
}

#[tokio::test]
async fn a_limit_that_is_reached_says_what_to_do() {
    for (code, status, kind, words) in [
        (159, 504, "timeout", "the answer took longer than 20 s; choose a shorter time range"),
        (241, 502, "failed", "the answer needs too much memory; choose a shorter time range"),
        (202, 503, "busy", "too many questions at once"),
        (60, 502, "failed", "ClickHouse refused the query (code 60); the console's log says more"),
    ] {
        let body = format!("Code: {code}. DB::Exception: secret details");
        let (url, _) = server(500, Box::leak(body.into_boxed_str())).await;
        let answer = ask(&url, ConsoleConfig::default(), "/api/states").await;
        assert_eq!((answer.0, answer.1.as_str()), (status, kind), "{code}");
        assert!(answer.2.starts_with(words) && !answer.2.contains("secret"), "{}", answer.2);
    }
}

#[tokio::test]
async fn an_answer_that_cannot_be_read_is_no_blank_page() {
    let (url, _) = server(200, "<html>a proxy's login</html>").await;
    let (status, kind, _) = ask(&url, ConsoleConfig::default(), "/api/states").await;
    assert_eq!((status, kind.as_str()), (502, "failed"));
}

#[tokio::test]
async fn every_query_is_read_only_and_within_limits() {
    let (url, asked) = server(500, "Code: 1. DB::Exception: x").await;
    let config = ConsoleConfig { query_timeout_s: 7, ..ConsoleConfig::default() };
    ask(&url, config.clone(), "/api/machines?size=30&search=%27%3B+DROP").await;
    ask(&url, config, "/api/trend").await;
    let asked = asked.lock().unwrap();
    for ((query, _), rows) in asked.iter().zip(["30", "5000"]) {
        let settings: Vec<(String, String)> =
            form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        for (name, value) in [
            ("readonly", "1"),
            ("max_execution_time", "7"),
            ("max_memory_usage", "2000000000"),
            ("max_result_rows", rows),
        ] {
            let given = settings.iter().find(|(given, _)| given == name);
            assert_eq!(given.map(|(_, value)| value.as_str()), Some(value), "{name}");
        }
    }
    // What the browser sent is a parameter, never a part of the text.
    let parts: Vec<&str> = asked[0].1.split("form-data; name=").collect();
    let with_it: Vec<_> = parts.iter().filter(|part| part.contains("DROP")).collect();
    assert_eq!(with_it.len(), 1, "{}", asked[0].1);
    assert!(with_it[0].starts_with("\"param_search\""), "{}", with_it[0]);
}

#[tokio::test]
async fn the_engine_itself_refuses_what_is_more_than_reading() {
    let limits = [("readonly", "1"), ("max_execution_time", "60")];
    let client = limits
        .into_iter()
        .fold(world().sql.clone(), |client, (name, value)| client.with_setting(name, value));
    for sql in [
        "ALTER TABLE custom_rows DELETE WHERE true",
        "CREATE TABLE nowhere (A Int8) ENGINE = Memory",
        "SELECT 1 SETTINGS max_execution_time = 0",
    ] {
        let refused = client.query(sql).execute().await.unwrap_err();
        assert!(refused.to_string().contains("Code: 164"), "{sql}: {refused}");
    }
}

#[tokio::test]
async fn a_file_with_too_many_rows_is_refused_not_cut() {
    let database: String = world().sql.query("SELECT currentDatabase()").fetch_one().await.unwrap();
    let url: String = {
        let (_, list) = world().ask("/api").await;
        assert_eq!(list["csv_rows_max"], 10_000);
        world().clickhouse.clone()
    };
    let config =
        ConsoleConfig { csv_rows_max: 10, query_timeout_s: 120, ..ConsoleConfig::default() };
    let console =
        serve(ClickHouseConfig { url, database, ..ClickHouseConfig::default() }, config).await;
    let (status, _, body) = get(&format!("{console}/api/machines?format=csv")).await;
    let answer: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(status, 400);
    let message = answer["error"]["message"].as_str().unwrap();
    assert_eq!(message, "there are 50 rows, a file may have 10; narrow the search");
}
