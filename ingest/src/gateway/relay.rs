//! The way in for another gateway: what it has in its spool goes into ours, as it is.
//!
//! The sender must be a gateway, or the route is for nobody ([`Sender::is_gateway`](super::guard::Sender)).
//! Its reports were checked when they came in there; they keep their payload, their key and the time of
//! their arrival. The answer is 202 once all of them are on this gateway's disk: then that one forgets them.

use std::time::{Duration, SystemTime};

use axum::body::Body;
use axum::extract::Request;
use axum::http::{Response, StatusCode};
use axum::response::IntoResponse as _;
use tokio::time::Instant;

use super::body::{self, Bounds, Encoding};
use super::problem::{Problem, Reason};
use super::{Gateway, refused};
use crate::forward::frames;
use crate::spool;

impl Gateway {
    /// Takes what another gateway relays.
    pub(super) async fn relay(&self, request: Request) -> Result<Response<Body>, Problem> {
        let (parts, body) = request.into_parts();
        let sender = self.guard.admit(&parts, &self.workspaces, None, SystemTime::now())?;
        if !sender.is_gateway() {
            return Err(Problem::new(Reason::Forbidden, "only gateways relay reports of others"));
        }
        let encoding = Encoding::of(&parts.headers)?;
        self.spool.ready().map_err(|error| refused(&error))?;
        let mut reservation = self.memory.open();
        let timeout = Duration::from_millis(self.config.request_timeout_ms.into());
        let bounds = Bounds {
            wire_bytes_max: (self.config.wire_bytes_max, "gateway.wire_bytes_max"),
            bytes_max: self.config.body_bytes_max,
            deadline: Instant::now() + timeout,
            digest: sender.digest,
        };
        let body = body::read(body, encoding, bounds, &mut reservation).await?;
        self.metrics.body_bytes.inc_by(body.len() as u64);
        reservation.raise_to(body::MEMORY_PER_BYTE * body.len())?;
        let relayed =
            frames::read(&body).map_err(|problem| Problem::new(Reason::Malformed, problem))?;
        drop(body);
        let counts: Vec<_> =
            relayed.iter().map(|of| (spool::record(of.kind), of.messages.len() as u64)).collect();
        self.spool.keep_all(relayed, reservation).await.map_err(|error| refused(&error))?;
        for (record, reports) in counts {
            self.metrics.reports.with_label_values(&[record]).inc_by(reports);
        }
        Ok(StatusCode::ACCEPTED.into_response())
    }
}
