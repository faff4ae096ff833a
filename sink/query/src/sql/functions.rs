//! KQL's functions of one row. Most are a line of [`SIMPLE`]; what depends on kinds or constants is code.

use super::types::{Constant, Form, Kind, Value};
use super::{dynamic, literal, series, time};
use crate::ast::Span;
use crate::error::{Answer, Fault};
use crate::text;

/// What an argument is made into.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Want {
    Text,
    Int,
    Real,
    Time,
}

use Want::{Int, Real, Text, Time};

/// A function that is an expression of the engine: `{0}` is the first argument.
struct Simple {
    name: &'static str,
    wants: &'static [Want],
    gives: Kind,
    sql: &'static str,
}

const fn simple(
    name: &'static str,
    wants: &'static [Want],
    gives: Kind,
    sql: &'static str,
) -> Simple {
    Simple { name, wants, gives, sql }
}

const SIMPLE: &[Simple] = &[
    simple("strlen", &[Text], Kind::Int, "lengthUTF8({0})"),
    simple("tolower", &[Text], Kind::String, "lowerUTF8({0})"),
    simple("toupper", &[Text], Kind::String, "upperUTF8({0})"),
    simple("reverse", &[Text], Kind::String, "reverseUTF8({0})"),
    simple("substring", &[Text, Int], Kind::String, "substringUTF8({0}, {1} + 1)"),
    simple("substring", &[Text, Int, Int], Kind::String, "substringUTF8({0}, {1} + 1, {2})"),
    simple("indexof", &[Text, Text], Kind::Int, "(toInt64(positionUTF8({0}, {1})) - 1)"),
    simple("countof", &[Text, Text], Kind::Int, "countSubstrings({0}, {1})"),
    simple("replace_string", &[Text, Text, Text], Kind::String, "replaceAll({0}, {1}, {2})"),
    simple("replace_regex", &[Text, Text, Text], Kind::String, "replaceRegexpAll({0}, {1}, {2})"),
    simple("replace", &[Text, Text, Text], Kind::String, "replaceRegexpAll({2}, {0}, {1})"),
    simple("extract", &[Text, Int, Text], Kind::String, "regexpExtract({2}, {0}, {1})"),
    simple(
        "trim",
        &[Text, Text],
        Kind::String,
        "replaceRegexpAll({1}, concat('^(?:', {0}, ')+|(?:', {0}, ')+$'), '')",
    ),
    simple(
        "trim_start",
        &[Text, Text],
        Kind::String,
        "replaceRegexpOne({1}, concat('^(?:', {0}, ')+'), '')",
    ),
    simple(
        "trim_end",
        &[Text, Text],
        Kind::String,
        "replaceRegexpOne({1}, concat('(?:', {0}, ')+$'), '')",
    ),
    simple("isempty", &[Text], Kind::Bool, "({0} = '')"),
    simple("isnotempty", &[Text], Kind::Bool, "({0} != '')"),
    simple("notempty", &[Text], Kind::Bool, "({0} != '')"),
    simple("split", &[Text, Text], Kind::Dynamic(Form::Strings), "splitByString({1}, {0})"),
    simple(
        "split",
        &[Text, Text, Int],
        Kind::Dynamic(Form::Strings),
        "arraySlice(splitByString({1}, {0}), {2} + 1, 1)",
    ),
    simple("sqrt", &[Real], Kind::Real, "sqrt({0})"),
    simple("exp", &[Real], Kind::Real, "exp({0})"),
    simple("log", &[Real], Kind::Real, "log({0})"),
    simple("log2", &[Real], Kind::Real, "log2({0})"),
    simple("log10", &[Real], Kind::Real, "log10({0})"),
    simple("pow", &[Real, Real], Kind::Real, "pow({0}, {1})"),
    simple("round", &[Real], Kind::Real, "round({0})"),
    simple("round", &[Real, Int], Kind::Real, "round({0}, {1})"),
    simple("ceiling", &[Real], Kind::Real, "ceil({0})"),
    simple(
        "startofday",
        &[Time],
        Kind::DateTime,
        "toDateTime64(toStartOfDay({0}, 'UTC'), 3, 'UTC')",
    ),
    simple(
        "startofweek",
        &[Time],
        Kind::DateTime,
        "toDateTime64(toStartOfWeek({0}, 0, 'UTC'), 3, 'UTC')",
    ),
    simple(
        "startofmonth",
        &[Time],
        Kind::DateTime,
        "toDateTime64(toStartOfMonth({0}, 'UTC'), 3, 'UTC')",
    ),
    simple(
        "startofyear",
        &[Time],
        Kind::DateTime,
        "toDateTime64(toStartOfYear({0}, 'UTC'), 3, 'UTC')",
    ),
    simple(
        "endofday",
        &[Time],
        Kind::DateTime,
        "(toDateTime64(toStartOfDay({0}, 'UTC') + toIntervalDay(1), 6, 'UTC') - toIntervalMicrosecond(1))",
    ),
    simple(
        "endofweek",
        &[Time],
        Kind::DateTime,
        "(toDateTime64(toStartOfWeek({0}, 0, 'UTC') + toIntervalWeek(1), 6, 'UTC') - toIntervalMicrosecond(1))",
    ),
    simple(
        "endofmonth",
        &[Time],
        Kind::DateTime,
        "(toDateTime64(toStartOfMonth({0}, 'UTC') + toIntervalMonth(1), 6, 'UTC') - toIntervalMicrosecond(1))",
    ),
    simple(
        "endofyear",
        &[Time],
        Kind::DateTime,
        "(toDateTime64(toStartOfYear({0}, 'UTC') + toIntervalYear(1), 6, 'UTC') - toIntervalMicrosecond(1))",
    ),
    simple(
        "dayofweek",
        &[Time],
        Kind::Timespan,
        "(toInt64(toDayOfWeek({0}, 0, 'UTC') % 7) * 864000000000)",
    ),
    simple("dayofmonth", &[Time], Kind::Int, "toDayOfMonth({0}, 'UTC')"),
    simple("dayofyear", &[Time], Kind::Int, "toDayOfYear({0}, 'UTC')"),
    simple("hourofday", &[Time], Kind::Int, "toHour({0}, 'UTC')"),
    simple("weekofyear", &[Time], Kind::Int, "toISOWeek({0}, 'UTC')"),
    simple("week_of_year", &[Time], Kind::Int, "toISOWeek({0}, 'UTC')"),
    simple("monthofyear", &[Time], Kind::Int, "toMonth({0}, 'UTC')"),
    simple("getmonth", &[Time], Kind::Int, "toMonth({0}, 'UTC')"),
    simple("getyear", &[Time], Kind::Int, "toYear({0}, 'UTC')"),
    simple(
        "unixtime_seconds_todatetime",
        &[Int],
        Kind::DateTime,
        "fromUnixTimestamp64Micro(toInt64({0}) * 1000000, 'UTC')",
    ),
    simple(
        "unixtime_milliseconds_todatetime",
        &[Int],
        Kind::DateTime,
        "fromUnixTimestamp64Micro(toInt64({0}) * 1000, 'UTC')",
    ),
];

/// Names that are no line of [`SIMPLE`], for the error that lists what there is.
const OTHERS: &[&str] = &[
    "abs",
    "ago",
    "array_length",
    "bag_pack",
    "bin",
    "bin_at",
    "case",
    "ceiling",
    "coalesce",
    "datetime_add",
    "datetime_diff",
    "datetime_part",
    "floor",
    "format_datetime",
    "iff",
    "iif",
    "ingestion_time",
    "isnotnull",
    "isnull",
    "make_datetime",
    "max_of",
    "min_of",
    "not",
    "notnull",
    "now",
    "pack",
    "pack_array",
    "parse_json",
    "parse_xml",
    "series_fit_2lines",
    "series_fit_line",
    "strcat",
    "strcat_array",
    "strcat_delim",
    "tobool",
    "todatetime",
    "todecimal",
    "todouble",
    "todynamic",
    "toguid",
    "toint",
    "tolong",
    "toobject",
    "toreal",
    "tostring",
    "totimespan",
];

/// Exactly so many arguments.
pub(crate) fn exactly<'a, T, const N: usize>(
    name: &str,
    arguments: &'a [T],
    span: Span,
) -> Answer<&'a [T; N]> {
    arguments.try_into().map_err(|_| {
        Fault::new(span, format!("{name}() needs {N} arguments, and has {}", arguments.len()))
    })
}

fn at_least<T>(name: &str, arguments: &[T], least: usize, span: Span) -> Answer<()> {
    if arguments.len() < least {
        return Err(Fault::new(
            span,
            format!("{name}() needs at least {least} arguments, and has {}", arguments.len()),
        ));
    }
    Ok(())
}

/// A function's value.
pub(crate) fn call(name: &str, arguments: Vec<(Value, Span)>, span: Span) -> Answer<Value> {
    let known: Vec<&Simple> = SIMPLE.iter().filter(|simple| simple.name == name).collect();
    if let Some(simple) = known.iter().find(|s| s.wants.len() == arguments.len()) {
        return filled(simple, arguments);
    }
    if let [.., longest] = known.as_slice() {
        let counts: Vec<String> = known.iter().map(|s| s.wants.len().to_string()).collect();
        let _ = longest;
        return Err(Fault::new(
            span,
            format!(
                "{name}() needs {} arguments, and has {}",
                counts.join(" or "),
                arguments.len()
            ),
        ));
    }
    let one = |arguments: Vec<(Value, Span)>| -> Answer<(Value, Span)> {
        let count = arguments.len();
        let mut arguments = arguments.into_iter();
        match (arguments.next(), count) {
            (Some(argument), 1) => Ok(argument),
            _ => Err(Fault::new(span, format!("{name}() needs 1 argument, and has {count}"))),
        }
    };
    match name {
        "tostring" => Ok(to_text(one(arguments)?.0)),
        "toint" | "tolong" | "int" | "long" => one(arguments).and_then(|(v, s)| to_int(v, s)),
        "todouble" | "toreal" | "todecimal" | "double" | "real" | "decimal" => {
            one(arguments).and_then(|(v, s)| to_real(v, s))
        }
        "tobool" | "toboolean" | "bool" => one(arguments).and_then(|(v, s)| to_bool(v, s)),
        "todatetime" | "datetime" => one(arguments).and_then(|(v, s)| to_datetime(v, s)),
        "totimespan" | "timespan" | "time" => one(arguments).and_then(|(v, s)| to_timespan(v, s)),
        "toguid" | "guid" => {
            let text = to_text(one(arguments)?.0);
            Ok(Value::new(format!("toUUIDOrNull({})", text.sql), Kind::Guid).or_null(true))
        }
        "parse_json" | "todynamic" | "toobject" => {
            let (value, _) = one(arguments)?;
            Ok(match value.kind {
                Kind::Dynamic(_) => value,
                _ => Value { kind: Kind::Dynamic(Form::Json), column: None, ..to_text(value) },
            })
        }
        "parse_xml" => {
            let text = to_text(one(arguments)?.0);
            Ok(Value::new(text.sql, Kind::Dynamic(Form::Xml)))
        }
        "isnull" | "isnotnull" | "notnull" => {
            let (value, _) = one(arguments)?;
            let null = match value.kind {
                Kind::Dynamic(Form::Json) => format!("({0} IN ('', 'null'))", value.sql),
                _ if value.nullable => format!("isNull({})", value.sql),
                _ => "false".to_owned(),
            };
            let sql = if name == "isnull" { null } else { format!("(NOT {null})") };
            Ok(Value::new(sql, Kind::Bool))
        }
        "abs" | "floor" | "bin" if arguments.len() == 1 => {
            let function = if name == "abs" { "abs" } else { "floor" };
            let (value, at) = one(arguments)?;
            let value =
                if matches!(value.kind, Kind::Dynamic(_)) { to_real(value, at)? } else { value };
            match value.kind {
                Kind::Int | Kind::Real | Kind::Timespan => {
                    let sql = format!("{function}({})", value.sql);
                    Ok(Value::new(sql, value.kind).or_null(value.nullable))
                }
                kind => Err(Fault::new(at, format!("{name}() of a {} means nothing", kind.name()))),
            }
        }
        "bin" | "floor" => bin(name, &arguments, span),
        "bin_at" => bin_at(&arguments, span),
        "iff" | "iif" => {
            let [(condition, at), (yes, _), (no, _)] = exactly(name, &arguments, span)?;
            let condition = is_condition(condition, *at)?;
            let (values, kind, nullable) = common(&[yes.clone(), no.clone()]);
            let sql = format!("if({condition}, {})", values.join(", "));
            Ok(Value::new(sql, kind).or_null(nullable))
        }
        "case" => case(&arguments, span),
        "coalesce" => {
            at_least(name, &arguments, 1, span)?;
            let values: Vec<Value> = arguments.into_iter().map(|(value, _)| value).collect();
            coalesce(&values)
        }
        "max_of" | "min_of" => {
            at_least(name, &arguments, 1, span)?;
            let values: Vec<Value> = arguments.into_iter().map(|(value, _)| value).collect();
            let (sql, kind, nullable) = common(&values);
            let function = if name == "max_of" { "greatest" } else { "least" };
            Ok(Value::new(format!("{function}({})", sql.join(", ")), kind).or_null(nullable))
        }
        "strcat" => {
            at_least(name, &arguments, 1, span)?;
            let texts: Vec<String> = arguments.into_iter().map(|(v, _)| to_text(v).sql).collect();
            Ok(Value::new(format!("concat({})", texts.join(", ")), Kind::String))
        }
        "strcat_delim" => {
            at_least(name, &arguments, 2, span)?;
            let texts: Vec<String> = arguments.into_iter().map(|(v, _)| to_text(v).sql).collect();
            Ok(Value::new(format!("concatWithSeparator({})", texts.join(", ")), Kind::String))
        }
        "strcat_array" => {
            let [(array, _), (delimiter, _)] = exactly(name, &arguments, span)?;
            let sql = format!(
                "arrayStringConcat({}, {})",
                dynamic::strings(array),
                to_text(delimiter.clone()).sql
            );
            Ok(Value::new(sql, Kind::String))
        }
        "array_length" => {
            let (value, at) = one(arguments)?;
            let sql = format!("length({})", dynamic::elements(&value, at)?.sql);
            Ok(Value::new(sql, Kind::Int))
        }
        "pack" | "bag_pack" => dynamic::pack(&arguments, span),
        "pack_array" => Ok(dynamic::pack_array(&arguments)),
        "make_datetime" => make_datetime(&arguments, span),
        "datetime_add" => datetime_add(&arguments, span),
        "datetime_diff" => {
            let [(part, at), (later, _), (earlier, _)] = exactly(name, &arguments, span)?;
            let part = unit(part, *at)?;
            let (later, earlier) =
                (to_datetime(later.clone(), span)?, to_datetime(earlier.clone(), span)?);
            let sql = format!("dateDiff('{part}', {}, {}, 'UTC')", earlier.sql, later.sql);
            Ok(Value::new(sql, Kind::Int).or_null(later.nullable || earlier.nullable))
        }
        "datetime_part" => {
            let [(part, at), (value, value_at)] = exactly(name, &arguments, span)?;
            let value = to_datetime(value.clone(), *value_at)?;
            let function = match unit(part, *at)? {
                "year" => "toYear",
                "quarter" => "toQuarter",
                "month" => "toMonth",
                "week" => "toISOWeek",
                "day" => "toDayOfMonth",
                "hour" => "toHour",
                "minute" => "toMinute",
                "second" => "toSecond",
                part => return Err(Fault::new(*at, format!("datetime_part() knows no {part}"))),
            };
            let sql = format!("{function}({}, 'UTC')", value.sql);
            Ok(Value::new(sql, Kind::Int).or_null(value.nullable))
        }
        "format_datetime" => {
            let [(value, value_at), (pattern, at)] = exactly(name, &arguments, span)?;
            let value = to_datetime(value.clone(), *value_at)?;
            let Some(pattern) = pattern.text() else {
                return Err(Fault::new(*at, "the format must be a constant text"));
            };
            // The two notations differ in fractions of a second and in half days.
            let pattern = literal::quoted(&pattern.replace('f', "S").replace("tt", "a"));
            let sql = format!(
                "formatDateTimeInJodaSyntax(toDateTime64({}, 6, 'UTC'), {pattern})",
                value.sql
            );
            Ok(Value::new(sql, Kind::String).or_null(value.nullable))
        }
        "series_fit_line" | "series_fit_2lines" => {
            let fitted = series::fitted(name, &one(arguments)?.0, span)?;
            Ok(Value::new(format!("tupleElement({}, 1)", fitted.sql), Kind::Real))
        }
        _ => {
            let mut all: Vec<&str> = SIMPLE.iter().map(|s| s.name).collect();
            all.extend(OTHERS);
            all.sort_unstable();
            all.dedup();
            Err(Fault::new(
                span,
                format!("{name}() is no function known here; there are {}", all.join(", ")),
            ))
        }
    }
}

fn filled(simple: &Simple, arguments: Vec<(Value, Span)>) -> Answer<Value> {
    let mut nullable = false;
    let mut parts = Vec::new();
    for ((value, span), want) in arguments.into_iter().zip(simple.wants) {
        let value = match want {
            Text => to_text(value),
            Int if value.kind == Kind::Int => value,
            Int => to_int(value, span)?,
            Real if value.kind.is_number() => value,
            Real => to_real(value, span)?,
            Time => to_datetime(value, span)?,
        };
        nullable |= value.nullable;
        parts.push(value.sql);
    }
    // In one pass: what an argument says must not be taken for a place of another one.
    let mut sql = String::new();
    let mut rest = simple.sql;
    while let Some((before, after)) = rest.split_once('{') {
        let Some((index, after)) = after.split_once('}') else { break };
        sql.push_str(before);
        if let Some(part) = index.parse::<usize>().ok().and_then(|i| parts.get(i)) {
            sql.push_str(part);
        }
        rest = after;
    }
    sql.push_str(rest);
    Ok(Value::new(sql, simple.gives).or_null(nullable))
}

fn is_condition(value: &Value, span: Span) -> Answer<String> {
    let value = match value.kind {
        Kind::Bool => value.clone(),
        Kind::Dynamic(_) => to_bool(value.clone(), span)?,
        kind => {
            return Err(Fault::new(
                span,
                format!("a condition is needed here, and this is a {}", kind.name()),
            ));
        }
    };
    Ok(match value.nullable {
        true => format!("ifNull({}, false)", value.sql),
        false => value.sql,
    })
}

/// A value in the one engine type of its kind: of a signed and an unsigned number the engine makes no number.
pub(crate) fn canonical(value: &Value, kind: Kind) -> String {
    match (kind, &value.constant) {
        (Kind::Int, None) => format!("toInt64({})", value.sql),
        (Kind::Real, None) => format!("toFloat64({})", value.sql),
        (Kind::Real, Some(Constant::Int(_))) => format!("toFloat64({})", value.sql),
        (Kind::Bool, None) if value.nullable => format!("CAST({}, 'Nullable(Bool)')", value.sql),
        (Kind::Bool, None) => format!("CAST({}, 'Bool')", value.sql),
        _ => value.sql.clone(),
    }
}

/// Values of one kind, so that they can be branches of one value.
fn common(values: &[Value]) -> (Vec<String>, Kind, bool) {
    let nullable = values.iter().any(|v| v.nullable);
    let mut kinds: Vec<Kind> = values.iter().map(|v| v.kind).collect();
    kinds.dedup();
    let number = kinds.iter().all(|k| k.is_number());
    match kinds.as_slice() {
        [one] => return (values.iter().map(|v| canonical(v, *one)).collect(), *one, nullable),
        _ if number => {
            let real = values.iter().map(|v| canonical(v, Kind::Real)).collect();
            return (real, Kind::Real, nullable);
        }
        _ => {}
    }
    if kinds.iter().any(|k| matches!(k, Kind::Dynamic(_))) {
        return (values.iter().map(dynamic::json).collect(), Kind::Dynamic(Form::Json), nullable);
    }
    (values.iter().map(|v| to_text(v.clone()).sql).collect(), Kind::String, false)
}

fn case(arguments: &[(Value, Span)], span: Span) -> Answer<Value> {
    let (pairs, rest) = arguments.as_chunks::<2>();
    let ([_, ..], [(otherwise, _)]) = (pairs, rest) else {
        return Err(Fault::new(
            span,
            "case() needs pairs of a condition and a value, and then a value",
        ));
    };
    let mut values: Vec<Value> = pairs.iter().map(|[_, (value, _)]| value.clone()).collect();
    values.push(otherwise.clone());
    let (sql, kind, nullable) = common(&values);
    let mut parts = Vec::new();
    for ([(condition, at), _], value) in pairs.iter().zip(&sql) {
        parts.push(is_condition(condition, *at)?);
        parts.push(value.clone());
    }
    parts.extend(sql.last().cloned());
    Ok(Value::new(format!("multiIf({})", parts.join(", ")), kind).or_null(nullable))
}

/// The first that is not null; of texts and dynamic values, the first that is not empty.
fn coalesce(values: &[Value]) -> Answer<Value> {
    let (sql, kind, _) = common(values);
    let nullable = values.iter().all(|v| v.nullable);
    let sql = match kind {
        Kind::String | Kind::Dynamic(Form::Json) => {
            let parts: Vec<String> = sql.iter().map(|part| format!("nullIf({part}, '')")).collect();
            return Ok(Value::new(format!("coalesce({}, '')", parts.join(", ")), kind));
        }
        _ => format!("coalesce({})", sql.join(", ")),
    };
    Ok(Value::new(sql, kind).or_null(nullable))
}

fn bin(name: &str, arguments: &[(Value, Span)], span: Span) -> Answer<Value> {
    let [(value, at), (step, step_at)] = exactly(name, arguments, span)?;
    let column = value.column.clone();
    let binned = match (value.kind, step.kind) {
        (Kind::DateTime, Kind::Timespan) => time::bin(value, step),
        (Kind::Timespan, Kind::Timespan) | (Kind::Int, Kind::Int) => {
            let (v, s) = (&value.sql, &step.sql);
            let sql = format!("({v} - positiveModulo({v}, greatest({s}, 1)))");
            Value::new(sql, value.kind).or_null(value.nullable || step.nullable)
        }
        (Kind::Dynamic(_) | Kind::Int | Kind::Real, Kind::Int | Kind::Real) => {
            let value = to_real(value.clone(), *at)?;
            let sql = format!("(floor({0} / {1}) * {1})", value.sql, step.sql);
            Value::new(sql, Kind::Real).or_null(value.nullable || step.nullable)
        }
        (one, other) => {
            return Err(Fault::new(
                *step_at,
                format!("{name}() of a {} by a {} means nothing", one.name(), other.name()),
            ));
        }
    };
    Ok(Value { column, ..binned })
}

fn bin_at(arguments: &[(Value, Span)], span: Span) -> Answer<Value> {
    let [(value, at), (step, step_at), (fixed, fixed_at)] = exactly("bin_at", arguments, span)?;
    let column = value.column.clone();
    let value = to_datetime(value.clone(), *at)?;
    let step = to_timespan(step.clone(), *step_at)?;
    let fixed = to_datetime(fixed.clone(), *fixed_at)?;
    Ok(Value { column, ..time::bin_at(&value, &step, &fixed) })
}

fn make_datetime(arguments: &[(Value, Span)], span: Span) -> Answer<Value> {
    at_least("make_datetime", arguments, 3, span)?;
    let mut parts = Vec::new();
    for (value, at) in arguments {
        parts.push(to_int(value.clone(), *at)?);
    }
    let constants: Option<Vec<i64>> = parts
        .iter()
        .map(|part| match part.constant {
            Some(Constant::Int(n)) => Some(n),
            _ => None,
        })
        .collect();
    let part = |i: usize| parts.get(i).map_or("0", |p| p.sql.as_str());
    if let Some(all) = constants {
        let n = |i: usize| all.get(i).copied().unwrap_or(0);
        let written =
            format!("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z", n(0), n(1), n(2), n(3), n(4), n(5));
        return text::datetime(&written)
            .map(Value::datetime)
            .ok_or_else(|| Fault::new(span, format!("`{written}` is no date")));
    }
    let sql = format!(
        "makeDateTime64({}, {}, {}, {}, {}, {}, 0, 3, 'UTC')",
        part(0),
        part(1),
        part(2),
        part(3),
        part(4),
        part(5)
    );
    Ok(Value::new(sql, Kind::DateTime).or_null(parts.iter().any(|p| p.nullable)))
}

/// `datetime_add(part, count, time)`. A constant time may lie before the engine's first one, 1900: Windows
/// counts from 1601.
fn datetime_add(arguments: &[(Value, Span)], span: Span) -> Answer<Value> {
    let [(part, at), (count, count_at), (value, value_at)] =
        exactly("datetime_add", arguments, span)?;
    let part = unit(part, *at)?;
    let count = to_int(count.clone(), *count_at)?;
    let value = to_datetime(value.clone(), *value_at)?;
    let nullable = count.nullable || value.nullable;
    let micros = match part {
        "week" => 7 * 86_400_000_000_i64,
        "day" => 86_400_000_000,
        "hour" => 3_600_000_000,
        "minute" => 60_000_000,
        "second" => 1_000_000,
        "millisecond" => 1_000,
        "microsecond" => 1,
        _ => 0,
    };
    if micros > 0 {
        let sql = format!("{} + {} * {micros}", time::micros(&value), count.sql);
        return Ok(time::from_micros(&sql).or_null(nullable));
    }
    let function = match part {
        "year" => "addYears",
        "quarter" => "addQuarters",
        "month" => "addMonths",
        _ => return Err(Fault::new(*at, format!("datetime_add() knows no {part}"))),
    };
    let sql = format!("{function}({}, {})", value.sql, count.sql);
    Ok(Value::new(sql, Kind::DateTime).or_null(nullable))
}

/// A part of a date, by KQL's name for it.
fn unit(part: &Value, span: Span) -> Answer<&'static str> {
    const UNITS: &[&str] = &[
        "year",
        "quarter",
        "month",
        "week",
        "day",
        "hour",
        "minute",
        "second",
        "millisecond",
        "microsecond",
    ];
    let written = part.text().unwrap_or_default().to_ascii_lowercase();
    let singular = written.trim_end_matches('s');
    let singular = if singular == "week_of_year" { "week" } else { singular };
    UNITS.iter().find(|unit| **unit == singular).copied().ok_or_else(|| {
        Fault::new(span, format!("a part of a date is needed here: one of {}", UNITS.join(", ")))
    })
}

/// As KQL's tostring().
pub(crate) fn to_text(value: Value) -> Value {
    match value.constant {
        Some(Constant::Int(n)) if value.kind == Kind::Int => return Value::string(&n.to_string()),
        Some(Constant::Bool(value)) => return Value::string(&value.to_string()),
        _ => {}
    }
    let sql = match value.kind {
        Kind::String => return value,
        Kind::Bool => format!("if({}, 'true', 'false')", value.sql),
        Kind::Int | Kind::Real | Kind::Guid => format!("toString({})", value.sql),
        Kind::DateTime => {
            format!(
                "concat(formatDateTime(toDateTime64({}, 6, 'UTC'), '%FT%T.%f'), '0Z')",
                value.sql
            )
        }
        Kind::Timespan => time::timespan_text(&value.sql),
        Kind::Dynamic(_) => dynamic::text(&value),
    };
    let sql = if value.nullable && value.kind == Kind::Bool {
        format!("if(isNull({}), '', {sql})", value.sql)
    } else if value.nullable {
        format!("ifNull({sql}, '')")
    } else {
        sql
    };
    Value { column: value.column, ..Value::new(sql, Kind::String) }
}

pub(crate) fn to_int(value: Value, span: Span) -> Answer<Value> {
    let (sql, nullable) = match value.kind {
        Kind::Int => return Ok(Value { kind: Kind::Int, ..value }),
        Kind::Bool => (format!("toInt64({})", value.sql), value.nullable),
        Kind::Real => (format!("accurateCastOrNull(trunc({}), 'Int64')", value.sql), true),
        Kind::String | Kind::Dynamic(_) => {
            let text = to_text(value).sql;
            // A fraction is cut off.
            let sql = format!(
                "ifNull(toInt64OrNull({text}), accurateCastOrNull(trunc(toFloat64OrNull({text})), 'Int64'))"
            );
            (sql, true)
        }
        kind => return Err(Fault::new(span, format!("a {} is no number", kind.name()))),
    };
    Ok(Value::new(sql, Kind::Int).or_null(nullable))
}

pub(crate) fn to_real(value: Value, span: Span) -> Answer<Value> {
    let (sql, nullable) = match value.kind {
        Kind::Real => return Ok(value),
        Kind::Int | Kind::Bool => (format!("toFloat64({})", value.sql), value.nullable),
        Kind::String | Kind::Dynamic(_) => {
            (format!("toFloat64OrNull({})", to_text(value).sql), true)
        }
        kind => return Err(Fault::new(span, format!("a {} is no number", kind.name()))),
    };
    Ok(Value::new(sql, Kind::Real).or_null(nullable))
}

pub(crate) fn to_bool(value: Value, span: Span) -> Answer<Value> {
    let (sql, nullable) = match value.kind {
        Kind::Bool => return Ok(value),
        Kind::Int | Kind::Real => (format!("({} != 0)", value.sql), value.nullable),
        Kind::String | Kind::Dynamic(_) => {
            let text = format!("lower({})", to_text(value).sql);
            let sql = format!(
                "multiIf({text} IN ('true', '1'), true, {text} IN ('false', '0'), false, NULL)"
            );
            (sql, true)
        }
        kind => {
            return Err(Fault::new(span, format!("a {} is neither true nor false", kind.name())));
        }
    };
    Ok(Value::new(sql, Kind::Bool).or_null(nullable))
}

pub(crate) fn to_datetime(value: Value, span: Span) -> Answer<Value> {
    match value.kind {
        Kind::DateTime => Ok(value),
        Kind::String | Kind::Dynamic(_) => {
            if let Some(written) = value.text() {
                return text::datetime(written).map(Value::datetime).ok_or_else(|| {
                    Fault::new(
                        span,
                        format!("`{written}` is no date; write one as 2017-07-01T10:00:00Z"),
                    )
                });
            }
            let sql = format!("parseDateTime64BestEffortOrNull({}, 6, 'UTC')", to_text(value).sql);
            Ok(Value::new(sql, Kind::DateTime).or_null(true))
        }
        kind => {
            Err(Fault::new(span, format!("a date is needed here, and this is a {}", kind.name())))
        }
    }
}

pub(crate) fn to_timespan(value: Value, span: Span) -> Answer<Value> {
    if let Some(written) = value.text() {
        return text::timespan(written).map(Value::timespan).ok_or_else(|| {
            Fault::new(
                span,
                format!("`{written}` is no length of time; write one as 1d or 00:30:00"),
            )
        });
    }
    match value.kind {
        Kind::Timespan => Ok(value),
        // A plain number is one of ticks.
        Kind::Int => Ok(Value {
            kind: Kind::Timespan,
            constant: match value.constant {
                Some(Constant::Int(n)) => Some(Constant::Timespan(n)),
                _ => None,
            },
            ..value
        }),
        kind => Err(Fault::new(
            span,
            format!("a length of time is needed here, and this is a {}", kind.name()),
        )),
    }
}
