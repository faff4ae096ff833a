//! The management server that agents report to, and the HTTP Data Collector API beside it.
//!
//! It answers 2xx only when every report of the request is in the spool, synced to this machine's disk,
//! whether Kafka can be reached or not. Otherwise none is, or the answer was lost; the sender sends the
//! request again, and copies are collapsed downstream by report id, which depends on the report's bytes
//! alone. `X-Request-ID` is echoed in the answer and the log, and nothing depends on it: a repeated one
//! is harmless.
//!
//! What a request may cost is bounded: bytes on the wire, bytes decompressed, items, time, and for
//! all requests together their number and their memory. Over a bound of its own a request is
//! refused for good (413); over a common one until later (503 with `Retry-After`).
//!
//! A request's path: `server` accepts it, `observe` counts it and takes a slot, `guard` judges
//! who sends it, `body` reads it, one of `ROUTES` decodes it, `report` completes, checks and encodes
//! it, `crate::spool` makes it durable. From there `crate::forward` hands it on.

mod bag;
mod body;
mod collector;
mod config;
mod guard;
mod json;
mod linux_agent;
mod memory;
mod metrics;
mod native;
mod office;
mod problem;
mod relay;
mod report;
mod server;
mod windows_agent;
mod workspace;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::IntoResponse;
use axum::routing::post;
use axum::{Router, http};
use patchline_schemas::codec::{Kind, SchemaError};
use patchline_schemas::validate::UPDATES_PER_SCAN_MAX;
use patchline_schemas::{Codec, Timestamp, Topics, Update};
use rustls::ServerConfig;
use serde::Serialize;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::forward::frames;
use crate::groups::Groups;
use crate::publisher::PAYLOAD_BYTES_MAX;
use crate::security::proof::Sha256Digest;
use crate::security::reload::{self, Refresh, Reloading};
use crate::security::tls::TlsConfig;
use crate::spool::{self, Spool, SpoolError};
use body::{Bounds, Encoding, WireBody};
use collector::Post;
pub use config::{CollectorConfig, Config, GatewayConfig, WorkspaceConfig};
use guard::{Guard, Sender};
pub use linux_agent::COMPUTER_NAMESPACE;
use memory::{Budget, Reservation};
use metrics::Held;
pub use metrics::Metrics;
use problem::{Problem, Reason};
pub use report::REPORT_NAMESPACE;
use report::{Batch, Encoded, Origin};
use server::{Peer, Serving};
pub use workspace::Key;
use workspace::Workspaces;

/// How a body is to be read.
#[derive(Debug, Clone, Copy)]
enum Wire {
    Native(Kind),
    LinuxAgent,
    WindowsAgent,
    Collector,
}

/// A way in.
struct Route {
    path: &'static str,
    /// The label that it is counted under.
    endpoint: &'static str,
    wire: Wire,
}

/// All ways in. `docs/openapi.json` describes them; a test holds it to this list.
const ROUTES: [Route; 9] = [
    Route { path: "/v1/scans", endpoint: "scans", wire: Wire::Native(Kind::Scan) },
    Route {
        path: "/v1/run-progress",
        endpoint: "run-progress",
        wire: Wire::Native(Kind::RunProgress),
    },
    Route { path: "/v1/heartbeats", endpoint: "heartbeats", wire: Wire::Native(Kind::Heartbeat) },
    Route { path: "/v1/events", endpoint: "events", wire: Wire::Native(Kind::Event) },
    Route {
        path: "/v1/office-activity",
        endpoint: "office-activity",
        wire: Wire::Native(Kind::OfficeActivity),
    },
    Route {
        path: "/v1/update-deployments",
        endpoint: "update-deployments",
        wire: Wire::Native(Kind::UpdateDeployment),
    },
    Route {
        path: "/OperationalData.svc/PostJsonDataItems",
        endpoint: "linux-agent",
        wire: Wire::LinuxAgent,
    },
    Route {
        path: "/OperationalData.svc/PostDataItems",
        endpoint: "windows-agent",
        wire: Wire::WindowsAgent,
    },
    Route { path: collector::PATH, endpoint: "collector", wire: Wire::Collector },
];

/// The paths that can be posted to.
pub fn paths() -> impl Iterator<Item = &'static str> {
    ROUTES.iter().map(|route| route.path)
}

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const AGENT_ID: HeaderName = HeaderName::from_static("x-ms-agent-id");

/// A longer `X-Request-ID` is neither echoed nor logged; senders use a UUID.
const REQUEST_ID_BYTES_MAX: usize = 128;

/// A body from here on is decoded under a slot and off the reactor: it takes milliseconds.
const LARGE_BODY_BYTES: usize = 512 * 1024;

/// Memory that decoding one scan may take beside its body.
const DECODING_BYTES_MAX: usize = UPDATES_PER_SCAN_MAX * size_of::<Update<'_>>();

/// The gateway: state of all requests.
pub struct Gateway {
    config: GatewayConfig,
    spool: Spool,
    codec: Codec,
    workspace_id: String,
    management_group: String,
    collector: CollectorConfig,
    workspaces: Workspaces,
    solutions: String,
    metrics: Metrics,
    memory: Arc<Budget>,
    slots: Semaphore,
    /// Large bodies being decoded: as many as there are processors, however many requests wait.
    decoding: Semaphore,
    guard: Guard,
    tls: Option<Arc<Reloading<ServerConfig>>>,
    tls_config: TlsConfig,
    groups: Groups,
}

/// The gateway cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// A schema cannot be used.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// A file that the settings name cannot be used.
    #[error("{0}")]
    Settings(String),
}

/// Topics that the gateway writes to.
#[must_use]
pub fn raw_topics(topics: &Topics) -> [&str; 7] {
    [
        &topics.scans,
        &topics.run_progress,
        &topics.heartbeats,
        &topics.events,
        &topics.office_activity,
        &topics.custom_logs,
        &topics.update_deployments,
    ]
}

impl Gateway {
    /// A gateway that keeps reports in `spool`.
    ///
    /// # Errors
    /// A schema cannot be used, or a certificate, a key or a group that the settings name.
    pub fn new(
        config: Config,
        groups: Groups,
        spool: Spool,
        metrics: Metrics,
    ) -> Result<Self, GatewayError> {
        let guard = Guard::new(&config, groups.clone()).map_err(GatewayError::Settings)?;
        let Config { gateway: config, collector, workspaces, tls: tls_config, .. } = config;
        let workspaces = Workspaces::new(&workspaces, collector.clock_skew_max_s)
            .map_err(GatewayError::Settings)?;
        let tls = tls_config.open().map_err(GatewayError::Settings)?.map(Arc::new);
        let bytes_max = i64::try_from(config.memory_bytes_max).unwrap_or(i64::MAX);
        metrics.memory_bytes_max.set(bytes_max);
        Ok(Self {
            spool,
            codec: Codec::new()?,
            workspaces,
            guard,
            tls,
            tls_config,
            groups,
            collector,
            workspace_id: config.workspace_id.to_string(),
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
        let milliseconds = |milliseconds: u32| Duration::from_millis(milliseconds.into());
        let ended = shutdown.child_token();
        tokio::spawn(reload::follow(
            gateway.refreshable(),
            milliseconds(config.reload_interval_ms),
            gateway.metrics.guard.reloads.clone(),
            ended.clone(),
        ));
        let _end = ended.drop_guard();
        let serving = Serving {
            router: router(&gateway),
            tls: gateway.tls.clone(),
            handshake_timeout: milliseconds(gateway.tls_config.handshake_timeout_ms),
            header_timeout: milliseconds(config.header_timeout_ms),
            connections_max: config.connections_max,
            connections: gateway.metrics.connections.clone(),
            handshakes_failed: gateway.metrics.guard.handshakes_failed.clone(),
        };
        server::serve(listener, serving, shutdown, milliseconds(config.drain_timeout_ms)).await
    }

    /// Files that are read again when they change.
    fn refreshable(&self) -> Vec<Arc<dyn Refresh>> {
        let tls = self.tls.iter().map(|tls| Arc::clone(tls) as Arc<dyn Refresh>);
        let groups = Arc::new(self.groups.clone()) as Arc<dyn Refresh>;
        tls.chain(self.workspaces.keys()).chain([groups]).collect()
    }

    /// Takes a request: judges it, reads it, decodes it, makes it durable. The path of every report.
    async fn take(&self, wire: Wire, request: Request) -> Result<Encoded, Problem> {
        let (arrived, now) = (Timestamp::now(), SystemTime::now());
        let (parts, body) = request.into_parts();
        let post = match wire {
            Wire::Native(_) | Wire::LinuxAgent | Wire::WindowsAgent => None,
            Wire::Collector => {
                let bytes_max = self.collector.post_bytes_max;
                Some(Post::read(&parts, &self.workspaces, bytes_max, now)?)
            }
        };
        let post = post.as_ref();
        let signed_by = post.map(|post| post.workspace.id);
        let sender = self.guard.admit(&parts, &self.workspaces, signed_by, now)?;
        if let Wire::Native(_) = wire {
            native::check_type(&parts.headers)?;
        }
        let encoding = Encoding::of(&parts.headers)?;
        let _slot = post.map(|post| post.workspace.slot()).transpose()?;
        // What cannot be kept need not be read.
        self.spool.ready().map_err(|error| refused(&error))?;
        let mut reservation = self.memory.open();
        let body =
            self.read(body, encoding, post.is_some(), sender.digest, &mut reservation).await?;
        let from = From { post, sender: &sender, parts: &parts };
        let (kind, mut encoded) = self.decode(wire, from, body, &mut reservation).await?;
        let ids = sender.group().map(|_| encoded.keys()).unwrap_or_default();
        self.keep(kind, &mut encoded, arrived, reservation).await?;
        self.guard.taken(&sender, &ids, arrived);
        Ok(encoded)
    }

    fn note_memory(&self) {
        self.metrics.memory_bytes.set(i64::try_from(self.memory.used()).unwrap_or(i64::MAX));
    }

    async fn read(
        &self,
        body: Body,
        encoding: Encoding,
        collected: bool,
        digest: Option<Sha256Digest>,
        reservation: &mut Reservation,
    ) -> Result<String, Problem> {
        let config = &self.config;
        let (wire_bytes_max, bytes_max) = if collected {
            let bytes_max = self.collector.post_bytes_max;
            ((bytes_max, "collector.post_bytes_max"), bytes_max)
        } else {
            ((config.wire_bytes_max, "gateway.wire_bytes_max"), config.body_bytes_max)
        };
        let deadline = Instant::now() + Duration::from_millis(config.request_timeout_ms.into());
        let bounds = Bounds { wire_bytes_max, bytes_max, deadline, digest };
        let body = body::read(body, encoding, bounds, reservation).await?;
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
        from: From<'_>,
        text: String,
        reservation: &mut Reservation,
    ) -> Result<(Kind, Encoded), Problem> {
        if text.len() < LARGE_BODY_BYTES {
            return self.decode_now(wire, from, &text, reservation);
        }
        let _slot = self.decoding.acquire().await;
        tokio::task::block_in_place(|| self.decode_now(wire, from, &text, reservation))
    }

    fn decode_now(
        &self,
        wire: Wire,
        From { post, sender, parts }: From<'_>,
        text: &str,
        reservation: &mut Reservation,
    ) -> Result<(Kind, Encoded), Problem> {
        let listed = inspect(wire, text)?.min(UPDATES_PER_SCAN_MAX);
        let reserved = body::MEMORY_PER_BYTE * text.len() + listed * size_of::<Update<'_>>();
        reservation.raise_to(reserved)?;
        let computer_ip = parts.extensions.get::<Peer>().map(|peer| peer.address.ip().to_string());
        let named = parts.headers.get(AGENT_ID).and_then(|id| id.to_str().ok());
        let mut origin = Origin {
            sender,
            workspace_id: &self.workspace_id,
            management_group: &self.management_group,
            resource_id: "",
            solutions: &self.solutions,
            computer_ip: computer_ip.as_deref().unwrap_or_default(),
            // What is proven, before what is only said.
            agent_id: sender.computer_id().or(named),
        };
        if let Some(post) = post {
            origin.resource_id = post.resource_id;
        }
        if let Some((group, workspace)) = sender.belongs_to() {
            (origin.management_group, origin.workspace_id) = (group, workspace);
        }
        let mut batch = Batch::new(&self.codec, origin, reservation, reserved, text.len());
        let kind = read(wire, post, text, &mut batch)?;
        let encoded = batch.encoded;
        reservation.lower_to(encoded.bytes);
        Ok((kind, encoded))
    }

    /// Makes the reports durable. Their bytes stay reserved until they are.
    async fn keep(
        &self,
        kind: Kind,
        encoded: &mut Encoded,
        arrived: Timestamp,
        reservation: Reservation,
    ) -> Result<(), Problem> {
        let metrics = &self.metrics;
        let messages = std::mem::take(&mut encoded.messages);
        let reports = messages.len() as u64;
        let large = messages.iter().position(|message| message.payload.len() > PAYLOAD_BYTES_MAX);
        if let Some(index) = large {
            let problem = format!("the record has more than {PAYLOAD_BYTES_MAX} bytes; split it");
            return Err(Problem::new(Reason::TooLarge, problem).in_item(index));
        }
        let kept = self.spool.keep(kind, messages, arrived, reservation).await;
        kept.map_err(|error| refused(&error))?;
        metrics.reports.with_label_values(&[spool::record(kind)]).inc_by(reports);
        metrics.updates.inc_by(encoded.updates as u64);
        metrics.cut_texts.inc_by(encoded.cut_texts as u64);
        Ok(())
    }
}

/// Where a request is from.
#[derive(Clone, Copy)]
struct From<'r> {
    post: Option<&'r Post<'r>>,
    sender: &'r Sender,
    parts: &'r http::request::Parts,
}

fn refused(error: &SpoolError) -> Problem {
    let reason = match error {
        SpoolError::TooLarge { .. } => Reason::TooLarge,
        SpoolError::Full { .. } | SpoolError::Unwritable { .. } | SpoolError::Closed => {
            Reason::Spool
        }
    };
    Problem::new(reason, error.to_string())
}

/// How many objects and arrays a text of JSON opens at most, having checked that it can be read within
/// bounds.
fn inspect(wire: Wire, text: &str) -> Result<usize, Problem> {
    match wire {
        Wire::Native(_) | Wire::LinuxAgent => json::inspect(text),
        Wire::WindowsAgent => Ok(0),
        // Its own bound on texts cuts them.
        Wire::Collector => json::check_shape(text, usize::MAX).map(|()| json::opening(text)),
    }
}

/// Reads the reports of `text` into `batch` and says which records they are.
fn read<'a, 'g: 'a>(
    wire: Wire,
    post: Option<&Post<'a>>,
    text: &'a str,
    batch: &mut Batch<'g>,
) -> Result<Kind, Problem> {
    match (wire, post) {
        (Wire::Native(kind), _) => native::decode(kind, text, batch).map(|()| kind),
        (Wire::LinuxAgent, _) => linux_agent::decode(text, batch),
        (Wire::WindowsAgent, _) => windows_agent::decode(text, batch),
        (Wire::Collector, Some(post)) => post.decode(text, batch).map(|()| post.kind()),
        (Wire::Collector, None) => Err(Problem::new(Reason::Forbidden, "the post is not signed")),
    }
}

fn router(gateway: &Arc<Gateway>) -> Router {
    let mut router = Router::new();
    for Route { path, wire, .. } in ROUTES {
        let take = async move |State(gateway): State<Arc<Gateway>>, request: Request| {
            let taken = gateway.take(wire, request).await;
            match wire {
                Wire::Native(_) => taken.map(receipt),
                Wire::LinuxAgent | Wire::WindowsAgent => {
                    taken.map(|_| StatusCode::OK.into_response())
                }
                Wire::Collector => taken
                    .map(|_| StatusCode::OK.into_response())
                    .map_err(|problem| problem.clone().coded(problem.reason.into())),
            }
        };
        router = router.route(path, post(take));
    }
    let relay =
        async |State(gateway): State<Arc<Gateway>>, request: Request| gateway.relay(request).await;
    router = router.route(frames::PATH, post(relay));
    router.with_state(Arc::clone(gateway)).layer(from_fn_with_state(Arc::clone(gateway), observe))
}

/// What a native request is answered with.
#[derive(Serialize)]
struct Receipt {
    accepted: usize,
    #[serde(rename = "reportIds")]
    report_ids: Vec<Uuid>,
}

fn receipt(encoded: Encoded) -> Response<Body> {
    let receipt = Receipt { accepted: encoded.report_ids.len(), report_ids: encoded.report_ids };
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

/// Gives a refusal its document, where it is the router's too, and counts and logs it.
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
            if let Some(methods) = response.headers_mut().remove(header::ALLOW) {
                explained.headers_mut().insert(header::ALLOW, methods);
            }
            response = explained;
            problem
        }
    };
    let later = [StatusCode::SERVICE_UNAVAILABLE, StatusCode::TOO_MANY_REQUESTS];
    if later.contains(&response.status()) {
        let seconds = problem.retry_after_s.unwrap_or(gateway.config.retry_after_s);
        let seconds = HeaderValue::from(seconds);
        response.headers_mut().insert(header::RETRY_AFTER, seconds);
    }
    gateway.metrics.rejections.with_label_values(&[problem.reason.label()]).inc();
    let Problem { reason, detail, item, field, .. } = problem;
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
    if path == frames::PATH {
        return "relay";
    }
    ROUTES.iter().find(|route| route.path == path).map_or("other", |route| route.endpoint)
}

fn request_id(headers: &HeaderMap) -> Option<HeaderValue> {
    headers.get(REQUEST_ID).filter(|id| id.len() <= REQUEST_ID_BYTES_MAX).cloned()
}

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod tests;
