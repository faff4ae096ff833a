//! Why a request was not accepted, as `application/problem+json` (RFC 9457).
//!
//! The members are `type`, `title`, `status` and `detail`; `item` (from 0) and `field` where one
//! item's field is at fault. A refusal that may pass carries `Retry-After`.

use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode, header};
use axum::response::IntoResponse;
use serde::Serialize;

/// Details and paths may quote the sender; nobody reads more of it than this.
const TEXT_BYTES_MAX: usize = 1024;

/// The reason, which decides the status and is the label that rejections are counted under.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Reason {
    /// Not the JSON that the endpoint takes, or it does not decompress.
    Malformed,
    /// Well-formed, and makes no sense.
    Invalid,
    /// No such path.
    UnknownPath,
    /// The path exists, the method does not.
    Method,
    /// The sender was too slow.
    Slow,
    /// Larger than a bound, on the wire, decompressed or as a record.
    TooLarge,
    /// `Content-Type` other than JSON.
    ContentType,
    /// `Content-Encoding` that is not understood.
    ContentEncoding,
    /// A `DataType` that is not understood.
    UnknownType,
    /// Enough requests, or bytes of them, are being worked on already.
    Busy,
    /// Kafka did not acknowledge.
    Kafka,
    /// A defect of this program.
    Internal,
}

impl Reason {
    pub(super) fn status(self) -> StatusCode {
        match self {
            Self::Malformed | Self::Invalid => StatusCode::BAD_REQUEST,
            Self::UnknownPath => StatusCode::NOT_FOUND,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::Slow => StatusCode::REQUEST_TIMEOUT,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::ContentType | Self::ContentEncoding => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::UnknownType => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Busy | Self::Kafka => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Invalid => "invalid",
            Self::UnknownPath => "unknown-path",
            Self::Method => "method",
            Self::Slow => "slow",
            Self::TooLarge => "too-large",
            Self::ContentType => "content-type",
            Self::ContentEncoding => "content-encoding",
            Self::UnknownType => "unknown-type",
            Self::Busy => "busy",
            Self::Kafka => "kafka",
            Self::Internal => "internal",
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::Malformed => "The body cannot be read",
            Self::Invalid => "A report makes no sense",
            Self::UnknownPath => "There is nothing here",
            Self::Method => "This path takes another method",
            Self::Slow => "The request took too long to arrive",
            Self::TooLarge => "Too large",
            Self::ContentType => "The body's type is not taken here",
            Self::ContentEncoding => "The body's encoding is not taken here",
            Self::UnknownType => "The data type is not known",
            Self::Busy => "Too much at once",
            Self::Kafka => "The report could not be made durable",
            Self::Internal => "A defect of the gateway",
        }
    }
}

/// A refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) reason: Reason,
    pub(super) detail: String,
    pub(super) item: Option<usize>,
    pub(super) field: Option<String>,
}

impl Problem {
    pub(super) fn new(reason: Reason, detail: impl Into<String>) -> Self {
        Self { reason, detail: shorten(detail.into()), item: None, field: None }
    }

    /// The problem lies in `field` of an item.
    pub(super) fn in_field(mut self, field: impl Into<String>) -> Self {
        self.field = Some(shorten(field.into()));
        self
    }

    /// The problem lies in the item at `index` of the request.
    pub(super) fn in_item(mut self, index: usize) -> Self {
        self.item = Some(index);
        self
    }

    /// What stands behind a status that a layer below us answered with.
    pub(super) fn of_status(status: StatusCode) -> Self {
        match status {
            StatusCode::NOT_FOUND => Self::new(
                Reason::UnknownPath,
                "post to /v1/scans, /v1/run-progress, /v1/heartbeats or /OperationalData.svc/PostJsonDataItems",
            ),
            StatusCode::METHOD_NOT_ALLOWED => Self::new(Reason::Method, "use POST"),
            StatusCode::PAYLOAD_TOO_LARGE => Self::new(
                Reason::TooLarge,
                "the body is larger on the wire than gateway.wire_bytes_max",
            ),
            StatusCode::UNSUPPORTED_MEDIA_TYPE => Self::new(
                Reason::ContentEncoding,
                "Content-Encoding may be gzip, deflate, zstd or identity, and only one of them",
            ),
            other => Self::new(Reason::Internal, format!("unexpected status {other}")),
        }
    }
}

fn shorten(mut text: String) -> String {
    if text.len() > TEXT_BYTES_MAX {
        text.truncate(text.floor_char_boundary(TEXT_BYTES_MAX));
        text.push('…');
    }
    text
}

#[derive(Serialize)]
struct Document<'a> {
    r#type: String,
    title: &'static str,
    status: u16,
    detail: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    item: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'a str>,
}

/// A [`Problem`] as it goes out. The problem itself stays in the response's extensions, for the
/// layer that counts and logs it and, for a problem that may pass, adds `Retry-After`.
impl IntoResponse for Problem {
    fn into_response(self) -> Response<Body> {
        let status = self.reason.status();
        let document = Document {
            r#type: format!("urn:patchline:problem:{}", self.reason.label()),
            title: self.reason.title(),
            status: status.as_u16(),
            detail: &self.detail,
            item: self.item,
            field: self.field.as_deref(),
        };
        let body = serde_json::to_vec(&document).unwrap_or_default();
        let mut response = (status, body).into_response();
        let json = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, json);
        response.extensions_mut().insert(self);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_sender_wrote_is_quoted_in_part_only() {
        let problem = Problem::new(Reason::Malformed, "ä".repeat(TEXT_BYTES_MAX));
        assert!(problem.detail.len() <= TEXT_BYTES_MAX + '…'.len_utf8());
        assert!(problem.detail.ends_with("ä…"));
    }
}
