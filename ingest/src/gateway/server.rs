//! Accepts connections, a bounded number at a time, and ends without cutting an answer short.
//!
//! With TLS, the handshake is the connection's own affair, within a time of its own: one that dawdles
//! holds up nobody. What a client certificate says of its owner goes with every request of the
//! connection. Both timeouts hold whoever keeps a connection without a request.

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
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use prometheus::{IntCounterVec, IntGauge};
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::metrics::Held;
use crate::security::reload::Reloading;
use crate::security::{Subject, tls};

/// Bytes that one connection may hold of what it read; agents' headers are below one KiB.
const READ_BUFFER_BYTES: usize = 32 * 1024;

/// Pause after the machine ran out of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The other end of a connection.
#[derive(Debug, Clone)]
pub(super) struct Peer {
    pub(super) address: SocketAddr,
    /// Whom its certificate speaks for, or why for nobody; none without a certificate.
    pub(super) subject: Option<Arc<Result<Subject, String>>>,
}

/// How connections are served.
pub(super) struct Serving {
    pub(super) router: Router,
    pub(super) tls: Option<Arc<Reloading<ServerConfig>>>,
    pub(super) handshake_timeout: Duration,
    pub(super) header_timeout: Duration,
    pub(super) connections_max: usize,
    pub(super) connections: IntGauge,
    pub(super) handshakes_failed: IntCounterVec,
}

/// Serves `router` until `shutdown` fires, then finishes the requests at hand, for at most `drain`.
/// Says whether all of them were finished.
pub(super) async fn serve(
    listener: TcpListener,
    serving: Serving,
    shutdown: &CancellationToken,
    drain: Duration,
) -> bool {
    let serving = Arc::new(serving);
    let graceful = GracefulShutdown::new();
    let slots = Arc::new(Semaphore::new(serving.connections_max));
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
        let open = Held::one(&serving.connections);
        let (serving, watcher) = (Arc::clone(&serving), graceful.watcher());
        tokio::spawn(async move {
            serving.connection(stream, peer, watcher).await;
            drop((open, slot));
        });
    }
    drop(listener);
    timeout(drain, graceful.shutdown()).await.is_ok()
}

impl Serving {
    async fn connection(&self, stream: TcpStream, address: SocketAddr, watcher: Watcher) {
        let Some(tls) = &self.tls else {
            return self.requests(stream, Peer { address, subject: None }, watcher).await;
        };
        let handshake = TlsAcceptor::from(tls.get()).accept(stream);
        let (reason, problem) = match timeout(self.handshake_timeout, handshake).await {
            Ok(Ok(stream)) => {
                let certificate = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
                let subject = certificate.map(|certificate| Arc::new(tls::subject(certificate)));
                return self.requests(stream, Peer { address, subject }, watcher).await;
            }
            Ok(Err(error)) => (reason(&error), error.to_string()),
            Err(_) => ("slow", "no handshake within tls.handshake_timeout_ms".to_owned()),
        };
        self.handshakes_failed.with_label_values(&[reason]).inc();
        tracing::debug!(%address, reason, problem, "no TLS connection");
    }

    async fn requests<S>(&self, stream: S, peer: Peer, watcher: Watcher)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let address = peer.address;
        let service = TowerToHyperService::new(self.router.clone());
        let answer = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(peer.clone());
            let answer = service.call(request);
            async move { Ok::<_, Infallible>(answer.await.unwrap_or_else(|never| match never {})) }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.header_timeout)
            .max_buf_size(READ_BUFFER_BYTES)
            .serve_connection(TokioIo::new(stream), answer);
        if let Err(error) = watcher.watch(connection).await {
            tracing::debug!(%error, %address, "connection broke off");
        }
    }
}

/// The label that a failed handshake is counted under.
fn reason(error: &std::io::Error) -> &'static str {
    let cause = error.get_ref().and_then(|cause| cause.downcast_ref::<rustls::Error>());
    match cause {
        Some(rustls::Error::InvalidCertificate(_)) => "client-certificate",
        Some(rustls::Error::NoCertificatesPresented) => "no-client-certificate",
        Some(_) => "protocol",
        None => "broken-off",
    }
}
