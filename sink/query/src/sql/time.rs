//! Times and lengths of time in SQL.

use super::literal::interval;
use super::types::{Constant, Kind, Value};

/// Microseconds since 1970.
pub(crate) fn micros(value: &Value) -> String {
    match &value.constant {
        Some(Constant::DateTime(micros)) => micros.to_string(),
        _ => format!("toUnixTimestamp64Micro(toDateTime64({}, 6, 'UTC'))", value.sql),
    }
}

/// A time from microseconds since 1970.
pub(crate) fn from_micros(sql: &str) -> Value {
    Value::new(format!("fromUnixTimestamp64Micro(toInt64({sql}), 'UTC')"), Kind::DateTime)
}

/// `time + length`, or `time - length`.
pub(crate) fn shifted(time: &Value, sign: char, length: &Value) -> Value {
    let nullable = time.nullable || length.nullable;
    if let (Some(Constant::DateTime(at)), Some(Constant::Timespan(ticks))) =
        (&time.constant, &length.constant)
    {
        let shift = if sign == '-' { ticks.wrapping_neg() } else { *ticks } / 10;
        if let Some(at) = at.checked_add(shift) {
            return Value::datetime(at);
        }
    }
    if let Some(Constant::Timespan(ticks)) = &length.constant
        && let Some(interval) = interval(*ticks)
    {
        return Value::new(format!("({} {sign} {interval})", time.sql), Kind::DateTime)
            .or_null(nullable);
    }
    from_micros(&format!("{} {sign} intDiv({}, 10)", micros(time), length.sql)).or_null(nullable)
}

/// A length of time as KQL writes it: `[-][d.]hh:mm:ss[.fffffff]`.
pub(crate) fn timespan_text(ticks: &str) -> String {
    // Bound once by the lambda, since the text names it often.
    format!(
        "arrayMap(ticks -> concat(if(ticks < 0, '-', ''), \
         if(abs(ticks) >= 864000000000, concat(toString(intDiv(abs(ticks), 864000000000)), '.'), ''), \
         leftPad(toString(intDiv(abs(ticks), 36000000000) % 24), 2, '0'), ':', \
         leftPad(toString(intDiv(abs(ticks), 600000000) % 60), 2, '0'), ':', \
         leftPad(toString(intDiv(abs(ticks), 10000000) % 60), 2, '0'), \
         if(abs(ticks) % 10000000 = 0, '', concat('.', leftPad(toString(abs(ticks) % 10000000), 7, '0')))), \
         [{ticks}])[1]"
    )
}

/// Ticks between 0001-01-01, from which KQL's `bin` counts, and 1970, in microseconds.
const EPOCH_MICROS: i64 = 62_135_596_800_000_000;

/// `bin(time, step)`
pub(crate) fn bin(time: &Value, step: &Value) -> Value {
    const DAY: i64 = 86_400 * crate::text::SECOND;
    if let Some(Constant::Timespan(ticks)) = step.constant
        && ticks >= crate::text::SECOND
        && ticks % crate::text::SECOND == 0
        && DAY % ticks == 0
        && let Some(interval) = interval(ticks)
    {
        let sql = format!("toStartOfInterval({}, {interval}, 'UTC')", time.sql);
        return Value::new(sql, Kind::DateTime).or_null(time.nullable);
    }
    let at = micros(time);
    let step = step_micros(step);
    from_micros(&format!("{at} - positiveModulo({at} + {EPOCH_MICROS}, {step})"))
        .or_null(time.nullable)
}

/// `bin_at(time, step, fixed)`
pub(crate) fn bin_at(time: &Value, step: &Value, fixed: &Value) -> Value {
    let at = micros(time);
    let step = step_micros(step);
    from_micros(&format!("{at} - positiveModulo({at} - {}, {step})", micros(fixed)))
        .or_null(time.nullable)
}

/// A step in microseconds, one at least.
pub(crate) fn step_micros(step: &Value) -> String {
    match &step.constant {
        Some(Constant::Timespan(ticks)) => (ticks / 10).max(1).to_string(),
        _ => format!("greatest(intDiv({}, 10), 1)", step.sql),
    }
}
