//! Accepts connections, a bounded number at a time, and ends without cutting an answer short.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use prometheus::IntGauge;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::metrics::Held;

/// How long a connection may take to say, or say nothing, before its next request.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);

/// Bytes that one connection may hold of what it read; agents' headers are below one KiB.
const READ_BUFFER_BYTES: usize = 32 * 1024;

/// Pause after the machine ran out of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The other end of a connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer(pub(super) SocketAddr);

/// Serves `router` until `shutdown` fires, then finishes the requests at hand, for at most `drain`.
/// Says whether all of them were finished.
pub(super) async fn serve(
    listener: TcpListener,
    router: Router,
    connections_max: usize,
    connections: IntGauge,
    shutdown: &CancellationToken,
    drain: Duration,
) -> bool {
    let service = TowerToHyperService::new(router);
    let graceful = GracefulShutdown::new();
    let slots = Arc::new(Semaphore::new(connections_max));
    loop {
        let next = async {
            // Beyond the bound, connections wait in the listener's backlog.
            let slot = Arc::clone(&slots).acquire_owned().await;
            (slot, listener.accept().await)
        };
        let (slot, accepted) = tokio::select! {
            () = shutdown.cancelled() => break,
            next = next => next,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        // An answer is one small write; waiting to fill a packet only delays it.
        let _ = stream.set_nodelay(true);
        let service = service.clone();
        let answer = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(Peer(peer));
            let answer = service.call(request);
            async move { Ok::<_, Infallible>(answer.await.unwrap_or_else(|never| match never {})) }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_TIMEOUT)
            .max_buf_size(READ_BUFFER_BYTES)
            .serve_connection(TokioIo::new(stream), answer);
        let connection = graceful.watch(connection);
        let open = Held::one(&connections);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, %peer, "connection broke off");
            }
            drop((open, slot));
        });
    }
    drop(listener);
    timeout(drain, graceful.shutdown()).await.is_ok()
}
