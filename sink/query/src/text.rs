//! What both languages share about their texts: limits, escapes, times.

use std::fmt::Write;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use crate::ast::Span;
use crate::error::{Answer, Fault};

/// A query is written by hand, or by a program that fills in a list.
const BYTES_MAX: usize = 256 * 1024;

/// Parentheses are read by recursion, so the stack sets a limit; no sample goes deeper than nine.
const DEPTH_MAX: usize = 32;

/// What the user should know about a query that is run all the same.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Notes(Vec<String>);

impl Notes {
    pub(crate) fn add(&mut self, note: String) {
        if !self.0.contains(&note) {
            self.0.push(note);
        }
    }

    /// The notes, each said once.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

/// Refuses what could exhaust the stack of those who read it.
pub(crate) fn check(text: &str) -> Answer<()> {
    if text.len() > BYTES_MAX {
        let at = Span { start: BYTES_MAX, end: BYTES_MAX };
        return Err(Fault::new(at, format!("the query is longer than {BYTES_MAX} bytes")));
    }
    if text.trim().is_empty() {
        return Err(Fault::new(Span::default(), "the query is empty"));
    }
    let mut depth = 0_usize;
    // Parentheses in strings and comments count as well: it is a limit, not a grammar.
    for (start, byte) in text.bytes().enumerate() {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > DEPTH_MAX {
            return Err(Fault::new(
                Span { start, end: start + 1 },
                format!("parentheses are nested more than {DEPTH_MAX} deep"),
            ));
        }
    }
    Ok(())
}

/// The text that a quoted one stands for.
pub(crate) fn unescaped(quoted: &str, at: Span) -> Answer<String> {
    let mut text = String::with_capacity(quoted.len());
    let mut rest = quoted.chars();
    while let Some(c) = rest.next() {
        if c != '\\' {
            text.push(c);
            continue;
        }
        match rest.next() {
            Some('n') => text.push('\n'),
            Some('t') => text.push('\t'),
            Some('r') => text.push('\r'),
            Some('0') => text.push('\0'),
            Some(c @ ('\\' | '"' | '\'')) => text.push(c),
            Some('u') => {
                let digits: String = rest.by_ref().take(4).collect();
                let code = u32::from_str_radix(&digits, 16).ok().and_then(char::from_u32);
                text.push(
                    code.ok_or_else(|| Fault::new(at, format!("`\\u{digits}` is no character")))?,
                );
            }
            other => {
                let sign = other.map(String::from).unwrap_or_default();
                return Err(Fault::new(
                    at,
                    format!("`\\{sign}` means nothing; write `\\\\` for a backslash, or @\"...\""),
                ));
            }
        }
    }
    Ok(text)
}

/// Ticks in a second.
pub(crate) const SECOND: i64 = 10_000_000;

fn unit(name: &str) -> Option<i64> {
    Some(match name.to_ascii_lowercase().as_str() {
        "week" | "weeks" => 7 * 86_400 * SECOND,
        "d" | "day" | "days" => 86_400 * SECOND,
        "h" | "hr" | "hour" | "hours" => 3_600 * SECOND,
        "m" | "min" | "minute" | "minutes" => 60 * SECOND,
        "s" | "sec" | "second" | "seconds" => SECOND,
        "ms" | "millisecond" | "milliseconds" => SECOND / 1_000,
        "microsecond" | "microseconds" => 10,
        "tick" | "ticks" => 1,
        _ => return None,
    })
}

/// Ticks of `1d`, `1.5h`, `90 minutes`, `00:30:00`, `1.02:30:00.5`.
pub(crate) fn timespan(written: &str) -> Option<i64> {
    let written = written.trim();
    if let Some(end) = written.find(|c: char| c.is_ascii_alphabetic()) {
        let (number, name) = written.split_at(end);
        let ticks = unit(name)?;
        let number = number.trim();
        if let Ok(whole) = number.parse::<i64>() {
            return whole.checked_mul(ticks);
        }
        // Both are far below 2^53 where it matters; beyond, the cast saturates.
        #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss)]
        return number.parse::<f64>().ok().map(|n| (n * ticks as f64).round() as i64);
    }
    let mut parts = written.split(':');
    let (first, minutes) = (parts.next()?, parts.next()?);
    let (days, hours) = first.split_once('.').unwrap_or(("0", first));
    let (seconds, fraction) = match parts.next() {
        Some(text) => text.split_once('.').unwrap_or((text, "")),
        None => ("0", ""),
    };
    if parts.next().is_some() || fraction.len() > 7 {
        return None;
    }
    let fraction = format!("{fraction:0<7}").parse::<i64>().ok()?;
    let parsed = |text: &str| text.parse::<i64>().ok().filter(|n| *n >= 0);
    let seconds = parsed(days)?
        .checked_mul(86_400)?
        .checked_add(parsed(hours)?.checked_mul(3_600)?)?
        .checked_add(parsed(minutes)?.checked_mul(60)?)?
        .checked_add(parsed(seconds)?)?;
    seconds.checked_mul(SECOND)?.checked_add(fraction)
}

/// Microseconds since 1970 of a date, or a date and a time; UTC where it does not say.
pub(crate) fn datetime(written: &str) -> Option<i64> {
    let written = written.trim();
    if let Ok(instant) = written.parse::<jiff::Timestamp>() {
        return Some(instant.as_microsecond());
    }
    let civil = written.parse::<DateTime>().ok()?;
    Some(TimeZone::UTC.to_timestamp(civil).ok()?.as_microsecond())
}

/// A JSON string.
pub(crate) fn write_json_string(text: &str, json: &mut String) {
    json.push('"');
    for c in text.chars() {
        match c {
            '"' => json.push_str("\\\""),
            '\\' => json.push_str("\\\\"),
            '\n' => json.push_str("\\n"),
            '\r' => json.push_str("\\r"),
            '\t' => json.push_str("\\t"),
            c if u32::from(c) < 0x20 => {
                // Writing to a string does not fail.
                let _ = write!(json, "\\u{:04x}", u32::from(c));
            }
            c => json.push(c),
        }
    }
    json.push('"');
}

/// Microseconds since 1970 of a date and time; UTC where it does not say.
#[must_use]
pub fn moment(written: &str) -> Option<i64> {
    datetime(written)
}

/// Ticks of 100 ns of a length of time.
#[must_use]
pub fn length(written: &str) -> Option<i64> {
    timespan(written)
}
