//! Texts of the user as SQL. Everything that a user writes reaches the engine through here, so that nothing
//! of it can be taken for SQL.

use std::fmt::Write;

/// A string literal.
pub(crate) fn quoted(text: &str) -> String {
    let mut sql = String::with_capacity(text.len() + 2);
    sql.push('\'');
    for c in text.chars() {
        match c {
            '\'' => sql.push_str("\\'"),
            '\\' => sql.push_str("\\\\"),
            '\n' => sql.push_str("\\n"),
            '\r' => sql.push_str("\\r"),
            '\t' => sql.push_str("\\t"),
            '\0' => sql.push_str("\\0"),
            c => sql.push(c),
        }
    }
    sql.push('\'');
    sql
}

/// A name of a table or a column.
pub(crate) fn identifier(name: &str) -> String {
    let mut sql = String::with_capacity(name.len() + 2);
    sql.push('`');
    for c in name.chars() {
        match c {
            '`' => sql.push_str("\\`"),
            '\\' => sql.push_str("\\\\"),
            '\0' => sql.push_str("\\0"),
            c => sql.push(c),
        }
    }
    sql.push('`');
    sql
}

/// A date of the engine's own: 1900 to 2299, and to the microsecond.
pub(crate) fn datetime(micros: i64) -> String {
    match jiff::Timestamp::from_microsecond(micros) {
        Ok(instant) => {
            let scale = if micros % 1_000 == 0 { 3 } else { 6 };
            let civil = jiff::tz::TimeZone::UTC.to_datetime(instant);
            format!("toDateTime64('{} {}', {scale}, 'UTC')", civil.date(), civil.time())
        }
        Err(_) => format!("fromUnixTimestamp64Micro({micros}, 'UTC')"),
    }
}

/// The shortest interval function that says this many ticks, with its number; none below a microsecond.
pub(crate) fn interval(ticks: i64) -> Option<String> {
    use crate::text::SECOND;
    for (unit, length) in [
        ("Day", 86_400 * SECOND),
        ("Hour", 3_600 * SECOND),
        ("Minute", 60 * SECOND),
        ("Second", SECOND),
        ("Millisecond", SECOND / 1_000),
        ("Microsecond", 10),
    ] {
        if ticks % length == 0 {
            return Some(format!("toInterval{unit}({})", ticks / length));
        }
    }
    None
}

/// A regular expression that matches this text only.
pub(crate) fn regex_quoted(text: &str) -> String {
    let mut regex = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\0' => regex.push_str("\\x00"),
            c if c.is_ascii_punctuation() && c != '_' => {
                // Writing to a string does not fail.
                let _ = write!(regex, "\\{c}");
            }
            c => regex.push(c),
        }
    }
    regex
}
