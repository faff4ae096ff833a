//! `--probe`: asks the service that runs beside, with the same settings, whether it is ready. For health checks in
//! images that have no other program to ask with.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

use crate::admin::AdminConfig;

/// Longer than an answer takes, shorter than a health check waits.
const TIMEOUT: Duration = Duration::from_secs(3);

/// A status line and what a service may wait for.
const ANSWER_BYTES_MAX: u64 = 4096;

/// The option of services that have an operators' port.
#[derive(Debug, Clone, clap::Args)]
pub struct Probe {
    /// Ask the running service of these settings whether it is ready, and exit: 0 if it is.
    #[arg(long = "probe", global = true)]
    pub asked: bool,
}

/// The service is not ready.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// It does not answer.
    #[error("no answer from {address}, admin.listen")]
    Away {
        /// Where it was asked.
        address: SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
    /// It answers that it is not.
    #[error("not ready: {said}")]
    NotReady {
        /// What it waits for.
        said: String,
    },
}

/// Asks `/readyz` of the service whose port is `admin`.
///
/// # Errors
/// It does not answer, or lacks something.
pub fn ask(admin: &AdminConfig) -> Result<(), ProbeError> {
    let mut address = admin.listen;
    // Who listens everywhere listens here.
    if address.ip().is_unspecified() {
        address.set_ip(match address.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    let answer = get_ready(address).map_err(|source| ProbeError::Away { address, source })?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    if head.split(' ').nth(1) == Some("200") {
        return Ok(());
    }
    let said = if body.is_empty() { head } else { body };
    Err(ProbeError::NotReady { said: said.trim().to_owned() })
}

fn get_ready(address: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    write!(stream, "GET /readyz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.take(ANSWER_BYTES_MAX).read_to_string(&mut answer)?;
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use prometheus::Registry;
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::admin::{self, Readiness};

    #[tokio::test]
    async fn a_probe_says_what_the_service_lacks() {
        let anywhere = AdminConfig { listen: ([0, 0, 0, 0], 0).into() };
        let readiness = Readiness::default();
        readiness.set("kafka", false);
        let shutdown = CancellationToken::new();
        let served = admin::serve(&anywhere, Registry::new(), readiness.clone(), shutdown.clone());
        let listen = served.await.unwrap();
        let admin = AdminConfig { listen };
        let asked = |admin: AdminConfig| tokio::task::spawn_blocking(move || ask(&admin));

        let lacks = asked(admin.clone()).await.unwrap().unwrap_err();
        assert_eq!(lacks.to_string(), "not ready: waiting for kafka");
        readiness.set("kafka", true);
        asked(admin).await.unwrap().unwrap();

        // A port that nobody listens on.
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let away = asked(AdminConfig { listen: free }).await.unwrap().unwrap_err();
        assert!(matches!(away, ProbeError::Away { .. }), "{away}");
        shutdown.cancel();
    }
}
