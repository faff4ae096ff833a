//! The routes and the headers.
//!
//! | | |
//! |---|---|
//! | `GET /api` | the queries, their parameters and columns to sort by |
//! | `GET /api/<query>?…` | one page of a query's answer, or with `format=csv` all of it |
//! | `GET /…` | the page |
//!
//! An error is JSON, `{"error": {"kind", "message"}}`, its message made for the person who reads the page. The
//! Content-Security-Policy lets the page load what this program serves, and nothing else: no script or style
//! within the markup, no other host.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HeaderName,
    HeaderValue, IF_NONE_MATCH, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::middleware::map_response;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::json;
use serde_json::value::RawValue;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::assets;
use crate::config::ConsoleConfig;
use crate::metrics::Metrics;
use crate::query::Query;
use crate::request::{BadRequest, Format, Request};
use crate::store::{AskError, Store};

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Everything a request needs.
#[derive(Clone)]
pub struct Console {
    queries: Arc<BTreeMap<&'static str, Query>>,
    store: Store,
    config: ConsoleConfig,
    metrics: Metrics,
}

/// An answer's page as the browser gets it.
#[derive(Serialize)]
struct Answer {
    columns: Box<RawValue>,
    rows: Box<RawValue>,
    total: u64,
    page: u64,
    size: u32,
    sort: Option<&'static str>,
    descending: bool,
    from: String,
    to: String,
    step_ms: i64,
}

impl Console {
    /// A console that answers `queries` from `store`.
    #[must_use]
    pub fn new(
        queries: BTreeMap<&'static str, Query>,
        store: Store,
        config: ConsoleConfig,
        metrics: Metrics,
    ) -> Self {
        metrics.expect(queries.keys().copied());
        Self { queries: Arc::new(queries), store, config, metrics }
    }

    /// All routes.
    pub fn router(self) -> Router {
        Router::new()
            .route("/api", get(list))
            .route("/api/{query}", get(answer))
            .fallback_service(get(asset).with_state(()))
            .layer(map_response(protect))
            .with_state(self)
    }

    /// Serves until `shutdown` fires and what is under way is answered, or `drain_timeout_ms` is over.
    ///
    /// # Errors
    /// The listener breaks.
    pub async fn serve(
        self,
        listener: TcpListener,
        shutdown: CancellationToken,
    ) -> std::io::Result<()> {
        let drain = Duration::from_millis(self.config.drain_timeout_ms);
        let stop = shutdown.clone();
        let server = axum::serve(listener, self.router())
            .with_graceful_shutdown(async move { stop.cancelled().await });
        let overdue = async {
            shutdown.cancelled().await;
            tokio::time::sleep(drain).await;
        };
        tokio::select! {
            served = server => served,
            () = overdue => {
                tracing::warn!("requests were cut off by console.drain_timeout_ms");
                Ok(())
            }
        }
    }

    async fn ask(&self, query: &Query, text: &str) -> Result<Response, Response> {
        let bad = |BadRequest(what)| self.failed(query.name, "bad_request", &what);
        let request = Request::parse(query, text, Timestamp::now(), &self.config).map_err(bad)?;
        let failed = |error: AskError| {
            match &error {
                AskError::Refused(source) => {
                    tracing::warn!(query = query.name, %source, "clickhouse refused a query");
                }
                AskError::Unavailable(source) => {
                    tracing::warn!(query = query.name, %source, "clickhouse does not answer");
                }
                AskError::Unreadable(source) => {
                    tracing::warn!(query = query.name, %source, "clickhouse's answer cannot be read");
                }
                _ => {}
            }
            self.failed(query.name, error.outcome(), &error.to_string())
        };
        let response = match request.format {
            Format::Json => {
                let page = self.store.page(&request).await.map_err(failed)?;
                let answer = Answer {
                    columns: page.columns,
                    rows: page.rows,
                    total: page.total,
                    page: request.page,
                    size: request.size,
                    sort: request.sort.map(|sort| sort.column),
                    descending: request.sort.is_some_and(|sort| sort.descending),
                    from: text_of(request.range.from),
                    to: text_of(request.range.to),
                    step_ms: request.range.step(),
                };
                json_of(StatusCode::OK, &answer)
            }
            Format::Csv => {
                let body = Body::from_stream(self.store.csv(&request).await.map_err(failed)?);
                let file = format!("attachment; filename=\"{}.csv\"", query.name);
                let headers = [
                    (CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()),
                    (CONTENT_DISPOSITION, file),
                ];
                (headers, body).into_response()
            }
        };
        self.count(query.name, "ok");
        Ok(response)
    }

    fn count(&self, query: &str, outcome: &str) {
        self.metrics.requests.with_label_values(&[query, outcome]).inc();
    }

    fn failed(&self, query: &str, outcome: &'static str, message: &str) -> Response {
        self.count(query, outcome);
        let status = match outcome {
            "bad_request" => StatusCode::BAD_REQUEST,
            "timeout" => StatusCode::GATEWAY_TIMEOUT,
            "busy" | "unavailable" => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::BAD_GATEWAY,
        };
        error(status, outcome, message)
    }
}

/// Milliseconds since 1970 as RFC 3339.
fn text_of(time: i64) -> String {
    Timestamp::from_millisecond(time).map(|time| time.to_string()).unwrap_or_default()
}

fn error(status: StatusCode, kind: &str, message: &str) -> Response {
    json_of(status, &json!({ "error": { "kind": kind, "message": message } }))
}

fn json_of(status: StatusCode, value: &impl Serialize) -> Response {
    match serde_json::to_vec(value) {
        Ok(body) => (status, [(CONTENT_TYPE, "application/json")], body).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

async fn answer(
    State(console): State<Console>,
    Path(name): Path<String>,
    RawQuery(text): RawQuery,
) -> Response {
    match console.queries.get(name.as_str()) {
        Some(query) => {
            console.ask(query, &text.unwrap_or_default()).await.unwrap_or_else(|refusal| refusal)
        }
        // Not counted by its name, which anybody may make up.
        None => {
            error(StatusCode::NOT_FOUND, "unknown", "there is no such query; GET /api lists them")
        }
    }
}

async fn list(State(console): State<Console>) -> Response {
    let queries: Vec<_> = console
        .queries
        .values()
        .map(|query| {
            let parameters = query.parameters.iter().map(|parameter| {
                json!({
                    "name": parameter.name, "meaning": parameter.meaning,
                    "values": parameter.values, "required": parameter.required,
                })
            });
            json!({
                "name": query.name, "title": query.title,
                "parameters": parameters.collect::<Vec<_>>(),
                "sort": query.sorts.iter().map(|sort| sort.column).collect::<Vec<_>>(),
            })
        })
        .collect();
    let list = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "silent_after_min": console.config.silent_after_min,
        "query_timeout_s": console.config.query_timeout_s,
        "page_rows_max": console.config.page_rows_max,
        "csv_rows_max": console.config.csv_rows_max,
        "queries": queries,
    });
    json_of(StatusCode::OK, &list)
}

async fn asset(uri: Uri, headers: HeaderMap) -> Response {
    let Some(asset) = assets::find(uri.path()) else {
        return error(StatusCode::NOT_FOUND, "unknown", "there is no such page");
    };
    let known =
        headers.get(IF_NONE_MATCH).is_some_and(|tag| tag.as_bytes() == asset.tag().as_bytes());
    // Looked after each time, so that a page and its scripts are of one version.
    let caching = [(ETAG, asset.tag()), (CACHE_CONTROL, "no-cache".to_owned())];
    if known {
        return (StatusCode::NOT_MODIFIED, caching).into_response();
    }
    (caching, [(CONTENT_TYPE, asset.kind)], asset.bytes).into_response()
}

async fn protect(mut response: Response) -> Response {
    let headers = response.headers_mut();
    for (name, value) in [
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// Binds the page's address.
///
/// # Errors
/// It cannot be bound; the message names the setting.
pub async fn bind(listen: SocketAddr) -> std::io::Result<TcpListener> {
    TcpListener::bind(listen).await.map_err(|error| {
        std::io::Error::new(
            error.kind(),
            format!("cannot listen on console.listen = {listen}: {error}"),
        )
    })
}
