//! Why a request was not accepted, as `application/problem+json` (RFC 9457).
//!
//! The members are `type`, `title`, `status` and `detail`; `item` (from 0) and `field` where one
//! item's field is at fault. A refusal that may pass carries `Retry-After`. Those of the HTTP Data Collector
//! API also have that API's own `Error` and `Message`.

use std::time::Duration;

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
    /// Not proven to be from whom it says, or not theirs to report.
    Forbidden,
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
    /// The sender or its workspace sends too much, or has enough posts being worked on already.
    Throttled,
    /// Enough requests, or bytes of them, are being worked on already.
    Busy,
    /// The gateway's disk has no room for it.
    Spool,
    /// A defect of this program.
    Internal,
}

impl Reason {
    pub(super) fn status(self) -> StatusCode {
        match self {
            Self::Malformed | Self::Invalid => StatusCode::BAD_REQUEST,
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::UnknownPath => StatusCode::NOT_FOUND,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::Slow => StatusCode::REQUEST_TIMEOUT,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::ContentType | Self::ContentEncoding => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::UnknownType => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Throttled => StatusCode::TOO_MANY_REQUESTS,
            Self::Busy | Self::Spool => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Invalid => "invalid",
            Self::Forbidden => "forbidden",
            Self::UnknownPath => "unknown-path",
            Self::Method => "method",
            Self::Slow => "slow",
            Self::TooLarge => "too-large",
            Self::ContentType => "content-type",
            Self::ContentEncoding => "content-encoding",
            Self::UnknownType => "unknown-type",
            Self::Throttled => "throttled",
            Self::Busy => "busy",
            Self::Spool => "spool",
            Self::Internal => "internal",
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::Malformed => "The body cannot be read",
            Self::Invalid => "A report makes no sense",
            Self::Forbidden => "Not for you",
            Self::UnknownPath => "There is nothing here",
            Self::Method => "This path takes another method",
            Self::Slow => "The request took too long to arrive",
            Self::TooLarge => "Too large",
            Self::ContentType => "The body's type is not taken here",
            Self::ContentEncoding => "The body's encoding is not taken here",
            Self::UnknownType => "The data type is not known",
            Self::Throttled => "Too much of this sender at once",
            Self::Busy => "Too much at once",
            Self::Spool => "The report could not be made durable",
            Self::Internal => "A defect of the gateway",
        }
    }
}

/// What the HTTP Data Collector API calls an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) enum Code {
    InactiveCustomer,
    InvalidApiVersion,
    InvalidAuthorization,
    InvalidCustomerId,
    InvalidDataFormat,
    InvalidLogType,
    MissingApiVersion,
    MissingContentType,
    MissingLogType,
    RequestEntityTooLarge,
    RequestTimeout,
    ServiceUnavailable,
    TooManyRequests,
    UnspecifiedError,
    UnsupportedContentType,
}

impl From<Reason> for Code {
    fn from(reason: Reason) -> Self {
        match reason {
            Reason::Malformed | Reason::Invalid | Reason::UnknownType => Self::InvalidDataFormat,
            Reason::Forbidden => Self::InvalidAuthorization,
            Reason::ContentType | Reason::ContentEncoding => Self::UnsupportedContentType,
            Reason::TooLarge => Self::RequestEntityTooLarge,
            Reason::Slow => Self::RequestTimeout,
            Reason::Throttled => Self::TooManyRequests,
            Reason::Busy | Reason::Spool => Self::ServiceUnavailable,
            Reason::UnknownPath | Reason::Method | Reason::Internal => Self::UnspecifiedError,
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
    pub(super) code: Option<Code>,
    /// Seconds after which it is worth another try, where they are known.
    pub(super) retry_after_s: Option<u32>,
}

impl Problem {
    pub(super) fn new(reason: Reason, detail: impl Into<String>) -> Self {
        let (item, field, code, retry_after_s) = Default::default();
        Self { reason, detail: shorten(detail.into()), item, field, code, retry_after_s }
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

    /// Names the field as the sender does, who knows its own names only: (the sender's, the record's).
    pub(super) fn in_sent_terms(mut self, names: &[(&str, &str)]) -> Self {
        let known = names.iter().find(|(_, record)| self.field.as_deref() == Some(record));
        if let Some((sent, record)) = known {
            self.detail = self.detail.replacen(record, sent, 1);
            self.field = Some((*sent).to_owned());
        }
        self
    }

    /// It is worth another try after `wait`.
    pub(super) fn after(mut self, wait: Duration) -> Self {
        let seconds = wait.as_millis().div_ceil(1000).max(1);
        self.retry_after_s = Some(u32::try_from(seconds).unwrap_or(u32::MAX));
        self
    }

    /// The HTTP Data Collector API calls it so, unless it has a name there already.
    pub(super) fn coded(mut self, code: Code) -> Self {
        self.code.get_or_insert(code);
        self
    }

    /// What stands behind a status that the router answered with.
    pub(super) fn of_status(status: StatusCode) -> Self {
        match status {
            StatusCode::NOT_FOUND => {
                let paths: Vec<&str> = super::paths().collect();
                Self::new(Reason::UnknownPath, format!("post to one of {}", paths.join(", ")))
            }
            StatusCode::METHOD_NOT_ALLOWED => Self::new(Reason::Method, "use POST"),
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
    #[serde(rename = "Error", skip_serializing_if = "Option::is_none")]
    code: Option<Code>,
    #[serde(rename = "Message", skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
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
            code: self.code,
            message: self.code.map(|_| &*self.detail),
        };
        let body = serde_json::to_vec(&document).unwrap_or_default();
        let mut response = (status, body).into_response();
        let json = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, json);
        if self.reason == Reason::ContentEncoding {
            let encodings = HeaderValue::from_static("gzip, deflate, zstd, identity");
            response.headers_mut().insert(header::ACCEPT_ENCODING, encodings);
        }
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
