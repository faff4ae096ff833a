//! The port for operators: `/metrics`, `/healthz`, `/readyz`.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntGaugeVec, Opts, Registry, TextEncoder};
use serde::Deserialize;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// `[admin]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AdminConfig {
    /// Address to listen on; port 0 takes a free one.
    pub listen: SocketAddr,
}

impl Default for AdminConfig {
    fn default() -> Self {
        Self { listen: SocketAddr::from(([127, 0, 0, 1], 9464)) }
    }
}

/// What the service needs before it can work, and whether it has it.
///
/// `/readyz` answers 200 only while every named need is met.
#[derive(Debug, Clone, Default)]
pub struct Readiness(Arc<Mutex<BTreeMap<&'static str, bool>>>);

impl Readiness {
    /// Says whether `need` is met. A need counts from the first time it is named.
    pub fn set(&self, need: &'static str, met: bool) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(need, met);
    }

    /// The needs that are not met.
    #[must_use]
    pub fn missing(&self) -> Vec<&'static str> {
        let needs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        needs.iter().filter(|(_, met)| !**met).map(|(need, _)| *need).collect()
    }
}

/// [`Readiness`] as `patchline_ready{need}`: an alert can name what a service waits for.
struct ReadinessGauge {
    readiness: Readiness,
    gauge: IntGaugeVec,
}

impl ReadinessGauge {
    fn new(readiness: Readiness) -> Result<Self, prometheus::Error> {
        let opts =
            Opts::new("patchline_ready", "whether a need of the service is met, as in /readyz");
        Ok(Self { readiness, gauge: IntGaugeVec::new(opts, &["need"])? })
    }
}

impl Collector for ReadinessGauge {
    fn desc(&self) -> Vec<&Desc> {
        self.gauge.desc()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let needs = self.readiness.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (need, met) in needs.iter() {
            self.gauge.with_label_values(&[need]).set(i64::from(*met));
        }
        drop(needs);
        self.gauge.collect()
    }
}

/// Adds what every service shows: its readiness, and on Linux the memory, time and files it takes.
fn register_common(registry: &Registry, readiness: &Readiness) -> Result<(), prometheus::Error> {
    registry.register(Box::new(ReadinessGauge::new(readiness.clone())?))?;
    #[cfg(target_os = "linux")]
    registry.register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))?;
    Ok(())
}

/// Serves the operators' port until `shutdown` fires. Returns the address it listens on.
///
/// # Errors
/// The address cannot be bound, or `registry` is served already.
pub async fn serve(
    admin: &AdminConfig,
    registry: Registry,
    readiness: Readiness,
    shutdown: CancellationToken,
) -> std::io::Result<SocketAddr> {
    serve_with(admin, registry, readiness, Router::new(), shutdown).await
}

/// Serves the operators' port with the service's own `pages` beside, as [`serve`] does.
///
/// # Errors
/// The address cannot be bound, or `registry` is served already.
pub async fn serve_with(
    admin: &AdminConfig,
    registry: Registry,
    readiness: Readiness,
    pages: Router,
    shutdown: CancellationToken,
) -> std::io::Result<SocketAddr> {
    let listener = TcpListener::bind(admin.listen).await.map_err(|error| {
        std::io::Error::new(error.kind(), format!("admin.listen {}: {error}", admin.listen))
    })?;
    let address = listener.local_addr()?;
    register_common(&registry, &readiness).map_err(std::io::Error::other)?;
    let router = Router::new()
        .route("/metrics", get(metrics))
        .with_state(registry)
        .route("/healthz", get(async || "ok\n"))
        .merge(Router::new().route("/readyz", get(ready)).with_state(readiness))
        .merge(pages);
    tokio::spawn(async move {
        let stop = async move { shutdown.cancelled().await };
        if let Err(error) = axum::serve(listener, router).with_graceful_shutdown(stop).await {
            tracing::error!(%error, "admin port failed");
        }
    });
    tracing::info!(%address, "admin port listens");
    Ok(address)
}

async fn metrics(State(registry): State<Registry>) -> impl IntoResponse {
    match TextEncoder::new().encode_to_string(&registry.gather()) {
        Ok(text) => (StatusCode::OK, [(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)], text)
            .into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

async fn ready(State(readiness): State<Readiness>) -> impl IntoResponse {
    let missing = readiness.missing();
    if missing.is_empty() {
        (StatusCode::OK, "ready\n".to_owned())
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, format!("waiting for {}\n", missing.join(", ")))
    }
}
