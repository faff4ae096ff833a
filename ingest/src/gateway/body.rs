//! Reads a request's body within every bound: bytes on the wire, bytes decompressed, memory, time.
//!
//! A body is taken whole or not at all: one that breaks off is refused, and so is one that goes on behind
//! the end of its compressed stream. One that is signed is hashed first, before a byte of it is
//! decompressed; what is kept of it meanwhile is reserved like the rest, and given up as it is decompressed.

use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use async_compression::tokio::bufread::{GzipDecoder, ZlibDecoder, ZstdDecoder};
use axum::body::Body;
use axum::http::{HeaderMap, header};
use bytes::Bytes;
use futures_util::{TryStreamExt as _, stream};
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use prometheus::IntCounter;
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::io::StreamReader;

use super::memory::Reservation;
use super::problem::{Problem, Reason};
use crate::security::proof::Sha256Digest;

/// Memory reserved for each byte of a body: while it is read, a zstd window may hold as much again;
/// when it is whole, the records made of it take that place.
pub(super) const MEMORY_PER_BYTE: usize = 2;

/// How long what a refused sender still sends is thrown away. A connection closed on a sender that
/// is still writing is reset, and the refusal lost with it.
const LINGER: Duration = Duration::from_secs(2);

/// Bytes read at a time: those of a connection's buffer.
const READ_BYTES: usize = 32 * 1024;

/// A signed body is kept in blocks of this size: its own chunks may be a byte each.
const BLOCK_BYTES: usize = 64 * 1024;

/// What one body may cost.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// Bytes on the wire, and the setting that says so.
    pub(super) wire_bytes_max: (usize, &'static str),
    /// Bytes decompressed.
    pub(super) bytes_max: usize,
    /// When it must be here.
    pub(super) deadline: Instant,
    /// What its bytes on the wire must hash to, where they are signed.
    pub(super) digest: Option<Sha256Digest>,
}

/// How a body is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    Identity,
    Gzip,
    /// With zlib's frame, as RFC 9110 has it.
    Deflate,
    Zstd,
}

impl Encoding {
    /// What the headers say.
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, Problem> {
        let mut values = headers.get_all(header::CONTENT_ENCODING).iter();
        let named = values.next().map(|value| value.to_str().unwrap_or("?").trim());
        let known = match named {
            None => Some(Self::Identity),
            Some(name) => [
                ("identity", Self::Identity),
                ("gzip", Self::Gzip),
                ("x-gzip", Self::Gzip),
                ("deflate", Self::Deflate),
                ("zstd", Self::Zstd),
            ]
            .into_iter()
            .find_map(|(known, encoding)| name.eq_ignore_ascii_case(known).then_some(encoding)),
        };
        known.filter(|_| values.next().is_none()).ok_or_else(|| {
            Problem::new(
                Reason::ContentEncoding,
                "Content-Encoding may be gzip, deflate, zstd or identity, and only one of them",
            )
        })
    }
}

/// The whole body, decompressed.
pub(super) async fn read(
    body: Body,
    encoding: Encoding,
    bounds: Bounds,
    reservation: &mut Reservation,
) -> Result<Vec<u8>, Problem> {
    let (wire_bytes_max, setting) = bounds.wire_bytes_max;
    if body.size_hint().lower() > wire_bytes_max as u64 {
        return Err(too_large_on_the_wire(setting));
    }
    let read = async {
        let kept = Kept::default();
        let body = match bounds.digest {
            Some(digest) => verified(body, digest, bounds, &kept, reservation).await?,
            None => body,
        };
        let frames = Limited::new(body, wire_bytes_max).into_data_stream();
        let wire = StreamReader::new(frames.map_err(io::Error::other));
        let mut holds = Holds { kept, reservation };
        let reservation = &mut holds;
        match encoding {
            Encoding::Identity => whole(wire, bounds, reservation).await.map(|(whole, _)| whole),
            Encoding::Gzip => {
                let mut decoder = GzipDecoder::new(wire);
                // A file of several members is one file (RFC 1952); anything else behind one is an error.
                decoder.multiple_members(true);
                whole(decoder, bounds, reservation).await.map(|(whole, _)| whole)
            }
            Encoding::Deflate => {
                let (whole, decoder) = whole(ZlibDecoder::new(wire), bounds, reservation).await?;
                ends(decoder.into_inner(), setting).await.map(|()| whole)
            }
            Encoding::Zstd => {
                let mut decoder = ZstdDecoder::new(wire);
                decoder.multiple_members(true);
                whole(decoder, bounds, reservation).await.map(|(whole, _)| whole)
            }
        }
    };
    timeout_at(bounds.deadline, read).await.map_err(|_| {
        Problem::new(Reason::Slow, "the body did not arrive within gateway.request_timeout_ms")
    })?
}

/// Bytes of a signed body that are kept until they are decompressed.
type Kept = Arc<AtomicUsize>;

/// What reading one body holds.
struct Holds<'r> {
    kept: Kept,
    reservation: &'r mut Reservation,
}

/// The body, once all of it is here and hashes to `digest`.
async fn verified(
    mut body: Body,
    digest: Sha256Digest,
    bounds: Bounds,
    kept: &Kept,
    reservation: &mut Reservation,
) -> Result<Body, Problem> {
    let (wire_bytes_max, setting) = bounds.wire_bytes_max;
    let mut blocks: Vec<Vec<u8>> = Vec::new();
    let (mut hash, mut length) = (Sha256::new(), 0);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| unreadable(&io::Error::other(error), setting))?;
        let Ok(data) = frame.into_data() else { continue };
        length += data.len();
        if length > wire_bytes_max {
            return Err(too_large_on_the_wire(setting));
        }
        reservation.raise_to(length.next_multiple_of(BLOCK_BYTES))?;
        hash.update(&data);
        let mut rest = &*data;
        while !rest.is_empty() {
            let room = blocks.last().map_or(0, |block| BLOCK_BYTES - block.len());
            match blocks.last_mut().filter(|_| room > 0) {
                Some(block) => {
                    let (now, later) = rest.split_at(rest.len().min(room));
                    block.extend_from_slice(now);
                    rest = later;
                }
                None => blocks.push(Vec::with_capacity(BLOCK_BYTES)),
            }
        }
    }
    if Sha256Digest::from(hash.finalize()) != digest {
        let problem =
            "the body is not the one that was signed: its SHA-256 is not that of Content-Digest";
        return Err(Problem::new(Reason::Forbidden, problem));
    }
    kept.store(length, Ordering::Relaxed);
    let kept = Arc::clone(kept);
    Ok(Body::from_stream(stream::iter(blocks.into_iter().map(move |block| {
        kept.fetch_sub(block.len(), Ordering::Relaxed);
        Ok::<_, Infallible>(Bytes::from(block))
    }))))
}

async fn whole<R: AsyncRead + Unpin>(
    mut reader: R,
    bounds: Bounds,
    holds: &mut Holds<'_>,
) -> Result<(Vec<u8>, R), Problem> {
    let (_, setting) = bounds.wire_bytes_max;
    let mut whole = Vec::new();
    let mut chunk = vec![0; READ_BYTES];
    loop {
        let read = reader.read(&mut chunk).await.map_err(|error| unreadable(&error, setting))?;
        if read == 0 {
            return Ok((whole, reader));
        }
        let length = whole.len() + read;
        if length > bounds.bytes_max {
            return Err(Problem::new(
                Reason::TooLarge,
                format!(
                    "the body is larger than {} bytes when decompressed; send less at once",
                    bounds.bytes_max
                ),
            ));
        }
        let kept = holds.kept.load(Ordering::Relaxed);
        holds.reservation.raise_to(kept + MEMORY_PER_BYTE * length)?;
        whole.extend_from_slice(chunk.get(..read).unwrap_or_default());
    }
}

/// Nothing is left of `wire`.
async fn ends(mut wire: impl AsyncBufRead + Unpin, setting: &str) -> Result<(), Problem> {
    let rest = wire.fill_buf().await.map_err(|error| unreadable(&error, setting))?;
    if rest.is_empty() {
        return Ok(());
    }
    Err(Problem::new(Reason::Malformed, "the body goes on behind the end of its compressed stream"))
}

fn too_large_on_the_wire(setting: &str) -> Problem {
    Problem::new(Reason::TooLarge, format!("the body is larger on the wire than {setting}"))
}

/// Why a body could not be read to its end.
fn unreadable(error: &io::Error, setting: &str) -> Problem {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    let mut innermost = String::new();
    while let Some(error) = cause {
        // An `io::Error` skips its own inner error when asked for its source.
        let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        if error.is::<LengthLimitError>() {
            return too_large_on_the_wire(setting);
        }
        innermost = error.to_string();
        cause = match inner {
            Some(inner) => Some(inner),
            None => error.source(),
        };
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
