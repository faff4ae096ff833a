//! Functions of groups.

use super::functions::{exactly, to_bool, to_real};
use super::types::{Constant, Form, Kind, Value};
use crate::ast::Span;
use crate::error::{Answer, Fault};

const NAMES: &[&str] = &[
    "any",
    "anyif",
    "arg_max",
    "arg_min",
    "argmax",
    "argmin",
    "avg",
    "avgif",
    "count",
    "count_distinct",
    "countif",
    "dcount",
    "dcountif",
    "make_list",
    "make_set",
    "makelist",
    "makeset",
    "max",
    "maxif",
    "min",
    "minif",
    "percentile",
    "stdev",
    "sum",
    "sumif",
    "take_any",
    "variance",
];

pub(crate) fn is_one(name: &str) -> bool {
    NAMES.contains(&name)
}

/// What the engine calls `arg_max` and `arg_min`, which give several columns.
pub(crate) fn arg_function(name: &str) -> Option<(&'static str, &'static str)> {
    match name {
        "arg_max" | "argmax" => Some(("argMax", "max")),
        "arg_min" | "argmin" => Some(("argMin", "min")),
        _ => None,
    }
}

/// An aggregate of values of one row each. `by` says that no group is empty.
pub(crate) fn call(name: &str, arguments: &[(Value, Span)], span: Span, by: bool) -> Answer<Value> {
    // `countif` is `count` of the rows that its last argument holds for.
    if let Some(plain) = name.strip_suffix("if") {
        let Some(((condition, at), values)) = arguments.split_last() else {
            return Err(Fault::new(span, format!("{name}() needs a condition")));
        };
        let condition = to_bool(condition.clone(), *at)?;
        return one(plain, values, Some(&condition), span, by);
    }
    one(name, arguments, None, span, by)
}

fn one(
    name: &str,
    arguments: &[(Value, Span)],
    condition: Option<&Value>,
    span: Span,
    by: bool,
) -> Answer<Value> {
    let suffix = if condition.is_some() { "If" } else { "" };
    let filter = condition.map(|c| match c.nullable {
        true => format!("ifNull({}, false)", c.sql),
        false => c.sql.clone(),
    });
    let sql = |function: &str, values: &[&str]| {
        let all: Vec<&str> = values.iter().copied().chain(filter.as_deref()).collect();
        format!("{function}{suffix}({})", all.join(", "))
    };
    // Of no rows there is no largest value, and the engine would say 0.
    let or_null = if by && condition.is_none() { "" } else { "OrNull" };
    let first = || -> Answer<(Value, Span)> {
        arguments
            .first()
            .cloned()
            .ok_or_else(|| Fault::new(span, format!("{name}() needs an argument")))
    };
    let number = || -> Answer<Value> {
        let [(value, at)] = exactly(name, arguments, span)?;
        match value.kind {
            Kind::Int | Kind::Real | Kind::Timespan => Ok(value.clone()),
            _ => to_real(value.clone(), *at),
        }
    };
    match name {
        "count" => {
            let [] = exactly(name, arguments, span)?;
            Ok(Value::new(sql("count", &[]), Kind::Int))
        }
        // The second argument is how exactly to count; this counts exactly.
        "dcount" | "count_distinct" => {
            Ok(Value::new(sql("uniqExact", &[&counted(&first()?.0)]), Kind::Int))
        }
        "sum" => {
            let value = number()?;
            Ok(Value::new(format!("ifNull({}, 0)", sql("sum", &[&value.sql])), value.kind))
        }
        "avg" | "stdev" | "variance" => {
            let value = number()?;
            let function = match name {
                "avg" => "avgOrNull",
                "stdev" => "stddevSampOrNull",
                _ => "varSampOrNull",
            };
            let average = sql(function, &[&value.sql]);
            Ok(match value.kind {
                Kind::Timespan if name == "avg" => {
                    Value::new(format!("toInt64({average})"), Kind::Timespan)
                }
                _ => Value::new(average, Kind::Real),
            }
            .or_null(true))
        }
        "min" | "max" => {
            let (value, at) = first()?;
            let value = if let Kind::Dynamic(_) = value.kind { to_real(value, at)? } else { value };
            let _: &[(Value, Span); 1] = exactly(name, arguments, span)?;
            let or_null = if value.kind == Kind::String { "" } else { or_null };
            let nullable = value.nullable || !or_null.is_empty();
            Ok(Value::new(sql(&format!("{name}{or_null}"), &[&value.sql]), value.kind)
                .or_null(nullable))
        }
        "any" | "take_any" => {
            let [(value, _)] = exactly(name, arguments, span)?;
            let or_null = match value.kind {
                Kind::String | Kind::Dynamic(_) => "",
                _ => or_null,
            };
            let nullable = value.nullable || !or_null.is_empty();
            Ok(Value::new(sql(&format!("any{or_null}"), &[&value.sql]), value.kind)
                .or_null(nullable))
        }
        "make_list" | "makelist" | "make_set" | "makeset" => {
            let function =
                if name.ends_with("list") { "groupArray" } else { "arraySort(groupUniqArray" };
            let close = if name.ends_with("list") { "" } else { ")" };
            let value = first()?.0;
            let (inner, form) = match value.kind {
                Kind::Real => (value.sql, Form::Numbers),
                Kind::String => (value.sql, Form::Strings),
                _ => (value.sql, Form::Engine),
            };
            let sql = format!("{function}({inner}){close}");
            Ok(Value::new(sql, Kind::Dynamic(form)))
        }
        "percentile" => {
            let [(value, at), (percent, percent_at)] = exactly(name, arguments, span)?;
            let percent = match percent.constant {
                #[expect(clippy::cast_precision_loss)]
                Some(Constant::Int(n)) if (0..=100).contains(&n) => n as f64,
                Some(Constant::Real(n)) if (0.0..=100.0).contains(&n) => n,
                _ => return Err(Fault::new(*percent_at, "a number from 0 to 100 is needed here")),
            };
            let value = match value.kind {
                Kind::Int | Kind::Real | Kind::Timespan | Kind::DateTime => value.clone(),
                _ => to_real(value.clone(), *at)?,
            };
            let sql = format!("quantileExactLow({})({})", percent / 100.0, value.sql);
            Ok(Value::new(sql, value.kind).or_null(value.nullable))
        }
        "arg_max" | "arg_min" | "argmax" | "argmin" => Err(Fault::new(
            span,
            format!("{name}() gives several columns: it stands alone in `summarize`"),
        )),
        _ => Err(Fault::new(span, format!("{name}if() is no aggregate known here"))),
    }
}

/// A value as one to count: KQL counts a null among texts as an empty one.
fn counted(value: &Value) -> String {
    match value.kind {
        Kind::Dynamic(_) => super::dynamic::json(value),
        _ => value.sql.clone(),
    }
}

/// What a column is called that nobody named.
pub(crate) fn default_name(name: &str, first: Option<&str>) -> String {
    match name {
        "count" | "countif" => format!("{name}_"),
        "makelist" | "make_list" => format!("list_{}", first.unwrap_or_default()),
        "makeset" | "make_set" => format!("set_{}", first.unwrap_or_default()),
        "any" | "take_any" => format!("any_{}", first.unwrap_or_default()),
        _ => format!("{name}_{}", first.unwrap_or_default()),
    }
}
