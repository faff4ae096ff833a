//! Series: `make-series`, and lines fitted to one.

use super::expr::{Scope, find, unknown_column};
use super::relation::{Column, Relation, parenthesised};
use super::types::{Form, Kind, Value};
use super::{Translator, functions, operators, time};
use crate::ast::{MakeSeries, Span};
use crate::error::{Answer, Fault};

/// Steps of a series; more are a mistake in the step, and would be an array of that length in every row.
const STEPS_MAX: u32 = 1_000_000;

impl<'q> Translator<'q> {
    /// Groups rows by step, then the groups by series, and fills in the steps that have no rows.
    pub(crate) fn make_series(
        &mut self,
        mut rows: Relation,
        series: &'q MakeSeries,
        span: Span,
    ) -> Answer<Relation> {
        rows.seal();
        rows.order.clear();
        let columns = rows.columns.clone();
        let scope = Scope::of(&columns);
        let Some(on) = find(&columns, &series.on.text, self.ignore_case) else {
            return Err(unknown_column(&series.on.text, series.on.span, &columns));
        };
        let on = on.value.clone();
        if on.kind != Kind::DateTime {
            return Err(Fault::new(series.on.span, "a series runs over a column of times"));
        }
        let from = self.value(&series.from, &scope)?;
        let from = functions::to_datetime(from, series.from.span)?;
        let to = self.value(&series.to, &scope)?;
        let to = functions::to_datetime(to, series.to.span)?;
        let step = self.value(&series.step, &scope)?;
        let step = time::step_micros(&functions::to_timespan(step, series.step.span)?);

        let mut keys = Vec::new();
        for named in &series.by {
            let value = self.value(&named.expr, &scope)?;
            let name = operators::key_name(named, &value, keys.len());
            keys.push(Column::computed(&name, value));
        }
        let grouped = Scope { grouped: true, by: true, ..scope };
        let mut values = Vec::new();
        for (i, (named, default)) in series.aggregates.iter().enumerate() {
            let value = self.value(&named.expr, &grouped)?;
            let value = functions::to_real(value, named.expr.span)?;
            let default = match default {
                Some(expr) => {
                    functions::to_real(self.value(expr, &Scope::empty())?, expr.span)?.sql
                }
                None => "0.".to_owned(),
            };
            let name = operators::aggregate_name(named, &columns);
            values.push((name, format!("value:{i}"), value.sql, default));
        }
        let names: Vec<Column> = keys
            .iter()
            .map(|k| k.name.clone())
            .chain(values.iter().map(|(name, ..)| name.clone()))
            .chain([series.on.text.clone()])
            .map(|name| Column::computed(&name, Value::bool(true)))
            .collect();
        operators::distinct_names(&names, span)?;

        // Both ends once, so that every step is counted from the same moment.
        let ends = format!(
            "(SELECT {} AS first, {} AS last, {step} AS step) AS s",
            time::micros(&from),
            time::micros(&to)
        );
        let at = time::micros(&on);
        let sign = if series.to_inclusive { "<=" } else { "<" };
        let key_names = |alias: &str| -> Vec<String> {
            (0..keys.len()).map(|i| format!("{alias}.`key:{i}`")).collect()
        };
        let mut shown: Vec<String> = keys
            .iter()
            .enumerate()
            .map(|(i, key)| format!("{} AS `key:{i}`", key.value.sql))
            .collect();
        let by = ["intDiv(".to_owned() + &at + " - s.first, s.step)"];
        shown.push(format!("{} AS `step`", by.concat()));
        shown.extend(
            values.iter().map(|(_, hidden, sql, _)| format!("toFloat64({sql}) AS `{hidden}`")),
        );
        let group: Vec<String> = keys.iter().map(|k| k.value.sql.clone()).chain(by).collect();
        let steps = format!(
            "SELECT {}\nFROM {} CROSS JOIN {ends}\nWHERE {at} >= s.first AND {at} {sign} s.last\nGROUP BY {}",
            shown.join(", "),
            rows.from,
            group.join(", ")
        );

        // How many steps there are is known without any rows.
        let past_end = if series.to_inclusive { "+ 1" } else { "" };
        let whole =
            if series.to_inclusive { "s.last - s.first" } else { "s.last - s.first + s.step - 1" };
        let count = format!(
            "toUInt32(least(greatest(intDiv({whole}, s.step) {past_end}, 0), {STEPS_MAX}))"
        );
        let mut shown = key_names("t");
        for (i, key) in shown.iter_mut().enumerate() {
            *key = format!("{key} AS `key:{i}`");
        }
        shown.push("groupArray(t.`step`) AS `steps`".to_owned());
        for (_, hidden, ..) in &values {
            shown.push(format!("groupArray(t.`{hidden}`) AS `{hidden}`"));
        }
        let group = match key_names("t") {
            keys if keys.is_empty() => String::new(),
            keys => format!("\nGROUP BY {}", keys.join(", ")),
        };
        let collected =
            format!("SELECT {}\nFROM {} AS t{group}", shown.join(", "), parenthesised(&steps));
        let mut columns = Vec::new();
        for (i, key) in keys.iter().enumerate() {
            let value = Value { sql: format!("g.`key:{i}`"), ..key.value.clone() };
            columns.push(Column::computed(&key.name, value));
        }
        for (name, hidden, _, default) in &values {
            // Where a step is not among those with rows, indexOf is 0 and the default stands.
            let sql = format!(
                "arrayMap(i -> if(indexOf(g.`steps`, i) = 0, {default}, \
                 g.`{hidden}`[indexOf(g.`steps`, i)]), range({count}))"
            );
            columns.push(Column::computed(name, Value::new(sql, Kind::Dynamic(Form::Numbers))));
        }
        let times = format!(
            "arrayMap(i -> fromUnixTimestamp64Micro(toInt64(s.first + i * s.step), 'UTC'), range({count}))"
        );
        columns.push(Column::computed(
            &series.on.text,
            Value::new(times, Kind::Dynamic(Form::Engine)),
        ));
        let from = format!("{} AS g CROSS JOIN {ends}", parenthesised(&collected));
        Ok(Relation::new(from, columns))
    }
}

/// Values of a function that gives several, as one tuple.
pub(crate) fn fitted(name: &str, series: &Value, span: Span) -> Answer<Value> {
    let y = match series.kind {
        Kind::Dynamic(Form::Numbers) => series.sql.clone(),
        Kind::Dynamic(Form::Engine) => {
            format!("JSONExtract(toJSONString({}), 'Array(Float64)')", series.sql)
        }
        Kind::Dynamic(_) => format!("JSONExtract({}, 'Array(Float64)')", series.sql),
        kind => return Err(Fault::new(span, format!("a {} is no series", kind.name()))),
    };
    let sql = match name {
        "series_fit_line" => line(&y),
        _ => two_lines(&y),
    };
    Ok(Value::new(sql, Kind::Dynamic(Form::Engine)))
}

/// What is in that tuple, with KQL's names for it.
pub(crate) fn parts(name: &str, fitted: &Value) -> Vec<(&'static str, Value)> {
    let names = match name {
        "series_fit_line" => {
            ["rsquare", "slope", "variance", "rvariance", "interception", "line_fit"].as_slice()
        }
        _ => ["rsquare", "split_idx", "variance", "rvariance", "line_fit"].as_slice(),
    };
    names
        .iter()
        .enumerate()
        .map(|(i, part)| {
            let kind = match *part {
                "line_fit" => Kind::Dynamic(Form::Numbers),
                "split_idx" => Kind::Int,
                _ => Kind::Real,
            };
            (*part, Value::new(format!("tupleElement({}, {})", fitted.sql, i + 1), kind))
        })
        .collect()
}

/// The straight line through an array, as (slope, interception).
fn regression(y: &str) -> String {
    format!("arrayReduce('simpleLinearRegression', range(length({y})), {y})")
}

/// Sum of the squares of what a line misses.
fn missed(y: &str, line: &str) -> String {
    format!("arraySum((i, v) -> pow(v - ({line}.1 * i + {line}.2), 2), range(length({y})), {y})")
}

fn squares(y: &str) -> String {
    format!("arraySum(v -> pow(v - arrayAvg({y}), 2), {y})")
}

/// `(rsquare, slope, variance, rvariance, interception, line_fit)`. The lambda's arguments bind what is named often.
fn line(y: &str) -> String {
    let missed = missed("y", "f");
    let squares = squares("y");
    format!(
        "arrayMap((y, f) -> (if({squares} = 0, 0., 1 - {missed} / {squares}), f.1, \
         {squares} / length(y), {missed} / length(y), f.2, \
         arrayMap(i -> f.1 * i + f.2, range(length(y)))), [{y}], [{}])[1]",
        regression(y)
    )
}

/// `(rsquare, split_idx, variance, rvariance, line_fit)` of the two lines that together miss least.
fn two_lines(y: &str) -> String {
    let cost = |part: &str| {
        format!("arrayMap((p, f) -> {}, [{part}], [{}])[1]", missed("p", "f"), regression(part))
    };
    let left = "arraySlice(y, 1, k)";
    let right = "arraySlice(y, k + 1)";
    let fit = |part: &str| {
        format!(
            "arrayMap((p, f) -> arrayMap(i -> f.1 * i + f.2, range(length(p))), [{part}], [{}])[1]",
            regression(part)
        )
    };
    let costs = format!(
        "arrayMap(k -> {} + {}, range(2, greatest(toInt64(length(y)) - 1, 2)))",
        cost(left),
        cost(right)
    );
    let squares = squares("y");
    format!(
        "arrayMap((y, c) -> arrayMap((y, m, k) -> (if({squares} = 0, 0., 1 - m / {squares}), \
         toInt64(k) - 1, {squares} / length(y), m / length(y), arrayConcat({}, {})), \
         [y], [arrayMin(c)], [indexOf(c, arrayMin(c)) + 1])[1], \
         [{y}], [arrayMap(y -> {costs}, [{y}])[1]])[1]",
        fit(left),
        fit(right)
    )
}
