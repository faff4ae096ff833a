//! How the front refuses: ClickHouse's error codes, and the HTTP status that its server gives each.

use axum::http::StatusCode;

use super::engine::EngineError;

pub(super) const SYNTAX_ERROR: i32 = 62;
pub(super) const UNKNOWN_SETTING: i32 = 115;
pub(super) const CANNOT_READ_ALL_DATA: i32 = 33;
pub(super) const CANNOT_DECOMPRESS: i32 = 271;
pub(super) const TOO_MANY_BYTES: i32 = 307;
pub(super) const UNKNOWN_EXCEPTION: i32 = 1002;

/// A request that failed, as the client is told.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) code: i32,
    /// `Code: N. DB::Exception: ...`
    pub(super) message: String,
}

impl Refusal {
    /// For what the front itself refuses, in the server's words.
    pub(super) fn new(code: i32, reason: &str) -> Refusal {
        Refusal {
            status: status(code),
            code,
            message: format!("Code: {code}. DB::Exception: {reason}"),
        }
    }

    pub(super) fn with_status(self, status: StatusCode) -> Refusal {
        Refusal { status, ..self }
    }
}

impl From<EngineError> for Refusal {
    fn from(error: EngineError) -> Refusal {
        match error {
            EngineError::Statement(text) => {
                // The engine may put its own wrapping before the code.
                let start = text.find("Code: ").unwrap_or(0);
                let message = text.get(start..).unwrap_or_default().trim_end().to_owned();
                let code = message
                    .strip_prefix("Code: ")
                    .and_then(|rest| rest.split('.').next())
                    .and_then(|code| code.parse().ok());
                match code {
                    Some(code) => Refusal { status: status(code), code, message },
                    None => Refusal::new(UNKNOWN_EXCEPTION, &message),
                }
            }
            other => Refusal::new(UNKNOWN_EXCEPTION, &other.to_string()),
        }
    }
}

/// The server's own table, by the numbers of `system.errors`.
fn status(code: i32) -> StatusCode {
    match code {
        // REQUIRED_PASSWORD
        194 => StatusCode::UNAUTHORIZED,
        // UNKNOWN_USER, WRONG_PASSWORD, ACCESS_DENIED, SET_NON_GRANTED_ROLE, AUTHENTICATION_FAILED
        192 | 193 | 497 | 512 | 516 => StatusCode::FORBIDDEN,
        // CANNOT_PARSE_* of text, escape, quoted, input, date, datetime, number, domain, UUID, IPv4,
        // IPv6; THERE_IS_NO_COLUMN, DUPLICATE_COLUMN, BAD_ARGUMENTS, ILLEGAL_COLUMN, TYPE_MISMATCH,
        // UNKNOWN_ELEMENT_IN_AST, UNKNOWN_TYPE_OF_AST_NODE, SYNTAX_ERROR, INCORRECT_DATA,
        // TOO_DEEP_AST, TOO_BIG_AST, UNEXPECTED_AST_STRUCTURE, VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE,
        // CANNOT_COMPILE_REGEXP
        6 | 25 | 26 | 27 | 38 | 41 | 72 | 441 | 376 | 675 | 676 | 8 | 15 | 36 | 44 | 53 | 54
        | 55 | SYNTAX_ERROR | 117 | 167 | 168 | 223 | 321 | 427 => StatusCode::BAD_REQUEST,
        // UNKNOWN_FUNCTION, _IDENTIFIER, _TYPE, _STORAGE, _TABLE, _AGGREGATE_FUNCTION, _FORMAT,
        // _TYPE_OF_QUERY, _DATABASE, _SETTING, _DIRECTION_OF_SORTING, _DATABASE_ENGINE, _ROLE
        46 | 47 | 50 | 56 | 60 | 63 | 73 | 78 | 81 | UNKNOWN_SETTING | 106 | 336 | 511 => {
            StatusCode::NOT_FOUND
        }
        // QUERY_IS_TOO_LARGE
        229 => StatusCode::PAYLOAD_TOO_LARGE,
        // NOT_IMPLEMENTED
        48 => StatusCode::NOT_IMPLEMENTED,
        // CANNOT_OPEN_FILE, SOCKET_TIMEOUT, CANNOT_SCHEDULE_TASK
        76 | 209 | 439 => StatusCode::SERVICE_UNAVAILABLE,
        // TIMEOUT_EXCEEDED
        159 => StatusCode::REQUEST_TIMEOUT,
        // HTTP_LENGTH_REQUIRED
        381 => StatusCode::LENGTH_REQUIRED,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}
