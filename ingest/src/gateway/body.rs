//! Reads a request's body within every bound: bytes on the wire, bytes decompressed, memory, time.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body;
use bytes::{Buf, Bytes};
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::{BodyExt, LengthLimitError};
use prometheus::IntCounter;
use tokio::time::{Instant, timeout, timeout_at};

use super::memory::Reservation;
use super::problem::{Problem, Reason};

/// Memory reserved for each byte of a body: while it is read, a zstd window may hold as much again;
/// when it is whole, the records made of it take that place.
pub(super) const MEMORY_PER_BYTE: usize = 2;

/// How long what a refused sender still sends is thrown away. A connection closed on a sender that
/// is still writing is reset, and the refusal lost with it.
const LINGER: Duration = Duration::from_secs(2);

/// The whole body, decompressed.
pub(super) async fn read(
    mut body: Body,
    bytes_max: usize,
    reservation: &mut Reservation,
    deadline: Instant,
) -> Result<Vec<u8>, Problem> {
    let mut whole = Vec::new();
    loop {
        let frame = timeout_at(deadline, body.frame()).await.map_err(|_| {
            Problem::new(Reason::Slow, "the body did not arrive within gateway.request_timeout_ms")
        })?;
        let Some(frame) = frame else { return Ok(whole) };
        let Ok(data) = frame.map_err(|error| unreadable(&error))?.into_data() else { continue };
        let length = whole.len() + data.remaining();
        if length > bytes_max {
            return Err(Problem::new(
                Reason::TooLarge,
                format!(
                    "the body is larger than {bytes_max} bytes when decompressed; send less at once"
                ),
            ));
        }
        reservation.raise_to(MEMORY_PER_BYTE * length)?;
        whole.extend_from_slice(&data);
    }
}

/// Why a body could not be read to its end.
fn unreadable(error: &axum::Error) -> Problem {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    let mut innermost = String::new();
    while let Some(error) = cause {
        if error.is::<LengthLimitError>() {
            return Problem::of_status(Reason::TooLarge.status());
        }
        innermost = error.to_string();
        cause = error.source();
    }
    Problem::new(
        Reason::Malformed,
        format!("the body breaks off or does not decompress: {innermost}"),
    )
}

/// A body as it comes from the wire: counted, and read off when the rest of us has lost interest.
pub(super) struct WireBody {
    body: Body,
    bytes: IntCounter,
    ended: bool,
}

impl WireBody {
    pub(super) fn new(body: Body, bytes: IntCounter) -> Self {
        Self { body, bytes, ended: false }
    }
}

impl HttpBody for WireBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        match &frame {
            Some(Ok(frame)) => {
                self.bytes.inc_by(frame.data_ref().map_or(0, |data| data.len() as u64));
            }
            Some(Err(_)) | None => self.ended = true,
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for WireBody {
    fn drop(&mut self) {
        if self.ended || self.body.is_end_stream() {
            return;
        }
        let mut rest = std::mem::take(&mut self.body);
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                let _ =
                    timeout(LINGER, async { while let Some(Ok(_)) = rest.frame().await {} }).await;
            });
        }
    }
}
