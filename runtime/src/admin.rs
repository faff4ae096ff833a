//! The port for operators: `/metrics`, `/healthz`, `/readyz`.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use prometheus::{Registry, TextEncoder};
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

/// Serves the operators' port until `shutdown` fires. Returns the address it listens on.
///
/// # Errors
/// The address cannot be bound.
pub async fn serve(
    admin: &AdminConfig,
    registry: Registry,
    readiness: Readiness,
    shutdown: CancellationToken,
) -> std::io::Result<SocketAddr> {
    let listener = TcpListener::bind(admin.listen).await.map_err(|error| {
        std::io::Error::new(error.kind(), format!("admin.listen {}: {error}", admin.listen))
    })?;
    let address = listener.local_addr()?;
    let router = Router::new()
        .route("/metrics", get(metrics))
        .with_state(registry)
        .route("/healthz", get(async || "ok\n"))
        .merge(Router::new().route("/readyz", get(ready)).with_state(readiness));
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
