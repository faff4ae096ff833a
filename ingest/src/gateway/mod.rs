//! The management server that agents report to.
//!
//! It answers 2xx only when every report of the request is acknowledged by Kafka. Otherwise none,
//! some or all of them may be in Kafka; the sender sends the request again, and copies are
//! collapsed downstream by report id, which depends on the report's bytes alone. `X-Request-ID` is
//! echoed in the answer and the log, and nothing depends on it: a repeated one is harmless.
//!
//! What a request may cost is bounded: bytes on the wire, bytes decompressed, items, time, and for
//! all requests together their number and their memory. Over a bound of its own a request is
//! refused for good (413); over a common one until later (503 with `Retry-After`).
//!
//! A request's path: `server` accepts it, `observe` counts it and takes a slot, tower-http bounds
//! and decompresses it, `body` reads it, `native` or `linux_agent` decodes it, `report` completes,
//! checks and encodes it, the publisher makes it durable.

mod body;
mod json;
mod linux_agent;
mod memory;
mod metrics;
mod native;
mod problem;
mod report;
mod server;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::IntoResponse;
use axum::routing::post;
use axum::{Router, http};
use patchline_runtime::admin::AdminConfig;
use patchline_runtime::config::Settings;
use patchline_runtime::kafka::KafkaConfig;
use patchline_runtime::telemetry::LogConfig;
use patchline_schemas::codec::{Kind, SchemaError};
use patchline_schemas::validate::UPDATES_PER_SCAN_MAX;
use patchline_schemas::{Codec, Timestamp, Topics, Update};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tower_http::decompression::RequestDecompressionLayer;
use tower_http::limit::RequestBodyLimitLayer;
use uuid::Uuid;

use crate::{Advice, PublishError, Publisher, PublisherConfig};
use body::WireBody;
pub use linux_agent::COMPUTER_NAMESPACE;
use memory::{Budget, Reservation};
use metrics::Held;
pub use metrics::Metrics;
use problem::{Problem, Reason};
pub use report::REPORT_NAMESPACE;
use report::{Batch, Encoded, Origin};
use server::Peer;

/// The path that Linux agents post to.
const LINUX_AGENT_PATH: &str = "/OperationalData.svc/PostJsonDataItems";

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const AGENT_ID: HeaderName = HeaderName::from_static("x-ms-agent-id");

/// A longer `X-Request-ID` is neither echoed nor logged; senders use a UUID.
const REQUEST_ID_BYTES_MAX: usize = 128;

/// A body from here on is decoded under a slot and off the reactor: it takes milliseconds.
const LARGE_BODY_BYTES: usize = 512 * 1024;

/// Memory that decoding one scan may take beside its body.
const DECODING_BYTES_MAX: usize = UPDATES_PER_SCAN_MAX * size_of::<Update<'_>>();

/// The gateway's settings.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// What is served and how much of it.
    pub gateway: GatewayConfig,
    /// How reports are written.
    pub publisher: PublisherConfig,
    /// Where they are written to.
    pub kafka: KafkaConfig,
    /// Logs.
    pub log: LogConfig,
    /// The operators' port.
    pub admin: AdminConfig,
}

/// `[gateway]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GatewayConfig {
    /// Address to listen on; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The workspace: computers that name no management group belong to `AOI-<workspace_id>`.
    pub workspace_id: Uuid,
    /// Solutions of an agent whose heartbeat names none.
    pub solutions: Vec<String>,
    /// Bytes of a body on the wire.
    pub wire_bytes_max: usize,
    /// Bytes of a body, decompressed.
    pub body_bytes_max: usize,
    /// Bytes that all requests together may hold; the process takes about 150 MB beside them.
    pub memory_bytes_max: usize,
    /// Requests worked on at a time.
    pub requests_in_flight_max: usize,
    /// Connections open at a time; more wait in the listener's backlog.
    pub connections_max: usize,
    /// How long a request may take to arrive.
    pub request_timeout_ms: u32,
    /// How long a shutdown waits for the requests at hand.
    pub drain_timeout_ms: u32,
    /// `Retry-After` of a 503, in seconds.
    pub retry_after_s: u32,
}

impl Default for GatewayConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8088)),
            workspace_id: Uuid::nil(),
            solutions: vec!["updates".to_owned()],
            wire_bytes_max: 16 * 1024 * 1024,
            body_bytes_max: 64 * 1024 * 1024,
            // One request of the largest size, and what a hundred ordinary ones take.
            memory_bytes_max: 148 * 1024 * 1024,
            requests_in_flight_max: 256,
            connections_max: 1024,
            request_timeout_ms: 30_000,
            drain_timeout_ms: 15_000,
            retry_after_s: 5,
        }
    }
}

impl Settings for Config {
    const ENV_PREFIX: &'static str = "PATCHLINE_GATEWAY";

    fn check(&self) -> Result<(), String> {
        let gateway = &self.gateway;
        self.publisher.check(&self.kafka)?;
        let least = body::MEMORY_PER_BYTE * gateway.body_bytes_max + DECODING_BYTES_MAX;
        if gateway.memory_bytes_max < least {
            return Err(format!(
                "gateway.memory_bytes_max = {} cannot hold one body of gateway.body_bytes_max = {} and what becomes of it; set at least {least}",
                gateway.memory_bytes_max, gateway.body_bytes_max
            ));
        }
        if gateway.drain_timeout_ms < self.publisher.delivery_timeout_ms {
            return Err(format!(
                "gateway.drain_timeout_ms = {} ends before a delivery may (publisher.delivery_timeout_ms = {})",
                gateway.drain_timeout_ms, self.publisher.delivery_timeout_ms
            ));
        }
        let positive = [
            ("wire_bytes_max", gateway.wire_bytes_max),
            ("body_bytes_max", gateway.body_bytes_max),
            ("requests_in_flight_max", gateway.requests_in_flight_max),
            ("connections_max", gateway.connections_max),
        ];
        match positive.iter().find(|(_, value)| *value == 0) {
            Some((key, _)) => Err(format!("gateway.{key} = 0 would refuse everything")),
            None => Ok(()),
        }
    }
}

/// The gateway: state of all requests.
pub struct Gateway {
    config: GatewayConfig,
    publisher: Publisher,
    codec: Codec,
    topics: Topics,
    management_group: String,
    solutions: String,
    metrics: Metrics,
    memory: Arc<Budget>,
    slots: Semaphore,
    /// Large bodies being decoded: as many as there are processors, however many requests wait.
    decoding: Semaphore,
}

/// Topics that the gateway writes to.
#[must_use]
pub fn raw_topics(topics: &Topics) -> [&str; 3] {
    [&topics.scans, &topics.run_progress, &topics.heartbeats]
}

impl Gateway {
    /// A gateway that writes by `publisher`.
    ///
    /// # Errors
    /// A schema cannot be used.
    pub fn new(
        config: GatewayConfig,
        topics: Topics,
        publisher: Publisher,
        metrics: Metrics,
    ) -> Result<Self, SchemaError> {
        Ok(Self {
            publisher,
            codec: Codec::new()?,
            topics,
            management_group: format!("AOI-{}", config.workspace_id),
            solutions: config.solutions.join(","),
            metrics,
            memory: Budget::new(config.memory_bytes_max),
            slots: Semaphore::new(config.requests_in_flight_max),
            decoding: Semaphore::new(
                std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            ),
            config,
        })
    }

    /// Serves until `shutdown` fires and the requests at hand have their answers, or the drain
    /// timeout has passed. Says whether all had them. Needs tokio's multi-threaded runtime.
    pub async fn serve(self, listener: TcpListener, shutdown: &CancellationToken) -> bool {
        let gateway = Arc::new(self);
        let config = &gateway.config;
        server::serve(
            listener,
            router(&gateway),
            config.connections_max,
            gateway.metrics.connections.clone(),
            shutdown,
            Duration::from_millis(config.drain_timeout_ms.into()),
        )
        .await
    }

    /// Takes a request: reads it, decodes it, makes it durable. The path of every report.
    async fn take(&self, wire: Wire, request: Request) -> Result<Encoded, Problem> {
        let arrived = Timestamp::now();
        let (parts, body) = request.into_parts();
        if matches!(wire, Wire::Native(_)) {
            native::check_type(&parts.headers)?;
        }
        // What cannot be kept need not be read.
        self.publisher.ready().map_err(|error| refused(&error))?;
        let mut reservation = self.memory.open();
        let body = self.read(body, &mut reservation).await?;
        let (kind, encoded) = self.decode(wire, body, &parts, &mut reservation).await?;
        self.publish(kind, &encoded, arrived).await?;
        Ok(encoded)
    }

    fn note_memory(&self) {
        self.metrics.memory_bytes.set(i64::try_from(self.memory.used()).unwrap_or(i64::MAX));
    }

    async fn read(&self, body: Body, reservation: &mut Reservation) -> Result<String, Problem> {
        let deadline =
            Instant::now() + Duration::from_millis(self.config.request_timeout_ms.into());
        let body = body::read(body, self.config.body_bytes_max, reservation, deadline).await?;
        self.metrics.body_bytes.inc_by(body.len() as u64);
        self.note_memory();
        String::from_utf8(body).map_err(|error| {
            Problem::new(
                Reason::Malformed,
                format!("the body is not UTF-8: {}", error.utf8_error()),
            )
        })
    }

    /// All reports of `text`, or none.
    async fn decode(
        &self,
        wire: Wire,
        text: String,
        parts: &http::request::Parts,
        reservation: &mut Reservation,
    ) -> Result<(Kind, Encoded), Problem> {
        if text.len() < LARGE_BODY_BYTES {
            return self.decode_now(wire, &text, parts, reservation);
        }
        let _slot = self.decoding.acquire().await;
        tokio::task::block_in_place(|| self.decode_now(wire, &text, parts, reservation))
    }

    fn decode_now(
        &self,
        wire: Wire,
        text: &str,
        parts: &http::request::Parts,
        reservation: &mut Reservation,
    ) -> Result<(Kind, Encoded), Problem> {
        let listed = json::inspect(text)?.min(UPDATES_PER_SCAN_MAX);
        let reserved = body::MEMORY_PER_BYTE * text.len() + listed * size_of::<Update<'_>>();
        reservation.raise_to(reserved)?;
        let computer_ip = parts.extensions.get::<Peer>().map(|peer| peer.0.ip().to_string());
        let origin = Origin {
            management_group: &self.management_group,
            solutions: &self.solutions,
            computer_ip: computer_ip.as_deref().unwrap_or_default(),
            agent_id: parts.headers.get(AGENT_ID).and_then(|id| id.to_str().ok()),
        };
        let mut batch = Batch::new(&self.codec, origin, reservation, reserved, text.len());
        let kind = match wire {
            Wire::Native(kind) => native::decode(kind, text, &mut batch).map(|()| kind)?,
            Wire::LinuxAgent => linux_agent::decode(text, &mut batch)?,
        };
        let encoded = batch.encoded;
        reservation.lower_to(encoded.bytes);
        Ok((kind, encoded))
    }

    async fn publish(
        &self,
        kind: Kind,
        encoded: &Encoded,
        arrived: Timestamp,
    ) -> Result<(), Problem> {
        let metrics = &self.metrics;
        let (topic, record) = match kind {
            Kind::Scan | Kind::EnrichedScan => (&self.topics.scans, "scan"),
            Kind::RunProgress | Kind::EnrichedRunProgress => {
                (&self.topics.run_progress, "run-progress")
            }
            Kind::Heartbeat => (&self.topics.heartbeats, "heartbeat"),
            Kind::Event => (&self.topics.events, "event"),
            Kind::OfficeActivity => (&self.topics.office_activity, "office-activity"),
            Kind::CustomLog => (&self.topics.custom_logs, "custom-log"),
            Kind::UpdateDeployment => (&self.topics.update_deployments, "update-deployment"),
            Kind::Advisory => (&self.topics.advisories, "advisory"),
        };
        let timer = metrics.publish_seconds.start_timer();
        let published = self.publisher.publish(topic, &encoded.messages, arrived).await;
        timer.observe_duration();
        published.map_err(|error| {
            metrics.publish_errors.with_label_values(&[error.reason()]).inc();
            refused(&error)
        })?;
        metrics.reports.with_label_values(&[record]).inc_by(encoded.messages.len() as u64);
        metrics.updates.inc_by(encoded.updates as u64);
        Ok(())
    }
}

fn refused(error: &PublishError) -> Problem {
    let reason = match error.advice() {
        Advice::RetryLater => Reason::Kafka,
        Advice::Refuse => Reason::TooLarge,
    };
    let problem = Problem::new(reason, error.to_string());
    match error {
        PublishError::TooLarge { index, .. } => problem.in_item(*index),
        _ => problem,
    }
}

/// How a body is to be read.
#[derive(Debug, Clone, Copy)]
enum Wire {
    Native(Kind),
    LinuxAgent,
}

fn router(gateway: &Arc<Gateway>) -> Router {
    let native = |kind| {
        post(async move |State(gateway): State<Arc<Gateway>>, request: Request| {
            gateway.take(Wire::Native(kind), request).await.map(receipt)
        })
    };
    let linux_agent = post(async |State(gateway): State<Arc<Gateway>>, request: Request| {
        gateway.take(Wire::LinuxAgent, request).await.map(|_| StatusCode::OK)
    });
    Router::new()
        .route("/v1/scans", native(Kind::Scan))
        .route("/v1/run-progress", native(Kind::RunProgress))
        .route("/v1/heartbeats", native(Kind::Heartbeat))
        .route(LINUX_AGENT_PATH, linux_agent)
        .with_state(Arc::clone(gateway))
        // The last is the outermost: count, bound the wire, decompress. What is decompressed is
        // bounded by `body::read`, which also reserves memory for it.
        .layer(RequestDecompressionLayer::new())
        .layer(RequestBodyLimitLayer::new(gateway.config.wire_bytes_max))
        .layer(from_fn_with_state(Arc::clone(gateway), observe))
}

/// What a native request is answered with.
#[derive(Serialize)]
struct Receipt {
    accepted: usize,
    #[serde(rename = "reportIds")]
    report_ids: Vec<Uuid>,
}

fn receipt(encoded: Encoded) -> Response<Body> {
    let receipt = Receipt { accepted: encoded.messages.len(), report_ids: encoded.report_ids };
    let json = [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))];
    (json, serde_json::to_vec(&receipt).unwrap_or_default()).into_response()
}

/// Around every request: a slot, the request's id, the problem document, counts and the log.
async fn observe(
    State(gateway): State<Arc<Gateway>>,
    request: Request,
    next: Next,
) -> Response<Body> {
    let started = Instant::now();
    let metrics = &gateway.metrics;
    let endpoint = endpoint(request.uri().path());
    let id = request_id(request.headers());
    let request = request.map(|body| Body::new(WireBody::new(body, metrics.wire_bytes.clone())));

    let mut response = match gateway.slots.try_acquire() {
        Ok(_slot) => {
            let _counted = Held::one(&metrics.requests_in_flight);
            next.run(request).await
        }
        Err(_) => Problem::new(
            Reason::Busy,
            "gateway.requests_in_flight_max requests are being worked on; send it again later",
        )
        .into_response(),
    };
    gateway.note_memory();
    if !response.status().is_success() {
        response = explain(&gateway, response, endpoint, id.as_ref());
    }
    if let Some(id) = id {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    metrics.requests.with_label_values(&[endpoint, response.status().as_str()]).inc();
    metrics.request_seconds.with_label_values(&[endpoint]).observe(started.elapsed().as_secs_f64());
    response
}

/// Gives a refusal its document, whichever layer it is from, and counts and logs it.
fn explain(
    gateway: &Gateway,
    mut response: Response<Body>,
    endpoint: &str,
    id: Option<&HeaderValue>,
) -> Response<Body> {
    let problem = match response.extensions_mut().remove::<Problem>() {
        Some(problem) => problem,
        None => {
            let problem = Problem::of_status(response.status());
            let mut explained = problem.clone().into_response();
            // Those layers say in headers what they would take.
            for name in [header::ALLOW, header::ACCEPT_ENCODING] {
                if let Some(value) = response.headers_mut().remove(&name) {
                    explained.headers_mut().insert(name, value);
                }
            }
            response = explained;
            problem
        }
    };
    if response.status() == StatusCode::SERVICE_UNAVAILABLE {
        let seconds = HeaderValue::from(gateway.config.retry_after_s);
        response.headers_mut().insert(header::RETRY_AFTER, seconds);
    }
    gateway.metrics.rejections.with_label_values(&[problem.reason.label()]).inc();
    let Problem { reason, detail, item, field } = problem;
    let (reason, id) = (reason.label(), id.and_then(|id| id.to_str().ok()));
    let status = response.status().as_u16();
    if status == StatusCode::INTERNAL_SERVER_ERROR.as_u16() {
        tracing::error!(endpoint, reason, detail, item, field, request_id = id, "request failed");
    } else {
        // Not louder: each is counted, and senders decide how many there are.
        tracing::debug!(
            endpoint,
            status,
            reason,
            detail,
            item,
            field,
            request_id = id,
            "request refused"
        );
    }
    response
}

/// The label that a path is counted under.
fn endpoint(path: &str) -> &'static str {
    match path {
        "/v1/scans" => "scans",
        "/v1/run-progress" => "run-progress",
        "/v1/heartbeats" => "heartbeats",
        LINUX_AGENT_PATH => "linux-agent",
        _ => "other",
    }
}

fn request_id(headers: &HeaderMap) -> Option<HeaderValue> {
    headers.get(REQUEST_ID).filter(|id| id.len() <= REQUEST_ID_BYTES_MAX).cloned()
}

#[cfg(test)]
mod tests;
