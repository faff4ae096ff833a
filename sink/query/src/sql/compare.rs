//! Comparisons. Both sides are brought to one kind first, as KQL does it; then nulls, case and the documents'
//! own values are seen to.

use super::expr::{Scope, column_value};
use super::functions::{self, to_text};
use super::literal::{quoted, regex_quoted};
use super::relation::parenthesised;
use super::types::{Constant, Form, Kind, Value};
use super::{Translator, dynamic};
use crate::ast::{Comparison, Expr, ExprKind, InList, Pipeline, Span, TextTest};
use crate::error::{Answer, Fault};
use crate::synonyms;
use crate::text;

impl<'q> Translator<'q> {
    pub(crate) fn comparison(
        &mut self,
        comparison: Comparison,
        left: &'q Expr,
        right: &'q Expr,
        span: Span,
        scope: &Scope<'_>,
    ) -> Answer<Value> {
        if left.kind == ExprKind::Star {
            return self.any_column(comparison, right, span, scope);
        }
        let left_value = self.value(left, scope)?;
        let right_value = self.value(right, scope)?;
        self.compare(comparison, left_value, right_value, span)
    }

    /// `* contains "x"`: some column does.
    fn any_column(
        &mut self,
        comparison: Comparison,
        right: &'q Expr,
        span: Span,
        scope: &Scope<'_>,
    ) -> Answer<Value> {
        let sought = self.value(right, scope)?;
        let tests = scope
            .columns
            .iter()
            .map(|column| {
                let value = Value { column: None, ..to_text(column_value(column)) };
                Ok(self.compare(comparison, value, to_text(sought.clone()), span)?.sql)
            })
            .collect::<Answer<Vec<_>>>()?;
        if tests.is_empty() {
            return Err(Fault::new(span, "there are no columns to look into"));
        }
        Ok(Value::new(format!("({})", tests.join(" OR ")), Kind::Bool))
    }

    pub(crate) fn compare(
        &mut self,
        comparison: Comparison,
        left: Value,
        right: Value,
        span: Span,
    ) -> Answer<Value> {
        let (sign, ignore_case) = match comparison {
            Comparison::Text { test, case, negated } => {
                let value = text_test(test, case, &to_text(left), &to_text(right));
                return Ok(if negated { negative(value) } else { value });
            }
            Comparison::Equal => ("=", false),
            Comparison::NotEqual => ("!=", false),
            Comparison::EqualIgnoreCase => ("=", true),
            Comparison::NotEqualIgnoreCase => ("!=", true),
            Comparison::Less => ("<", false),
            Comparison::LessEqual => ("<=", false),
            Comparison::Greater => (">", false),
            Comparison::GreaterEqual => (">=", false),
        };
        if matches!(sign, "=" | "!=")
            && let Some(values) = self.synonym(&left, &right, ignore_case)
        {
            let sql = in_list(&left, &values, ignore_case);
            return Ok(if sign == "!=" { negative(sql) } else { sql });
        }
        let (left, right) = aligned(left, right, span)?;
        let (left, right) = if ignore_case && left.kind == Kind::String {
            without_case(left, right)
        } else {
            (left, right)
        };
        let (l, r) = (&left.sql, &right.sql);
        let sql = format!("({l} {sign} {r})");
        // In KQL a null equals nothing, and differs from every value.
        let value = match (sign, left.nullable, right.nullable) {
            ("=", false, false) | ("!=", false, false) => Value::new(sql, Kind::Bool),
            ("=", _, _) => Value::new(format!("ifNull({sql}, false)"), Kind::Bool),
            ("!=", true, true) => {
                Value::new(format!("ifNull({sql}, isNull({l}) != isNull({r}))"), Kind::Bool)
            }
            ("!=", _, _) => Value::new(format!("ifNull({sql}, true)"), Kind::Bool),
            (_, one, other) => Value::new(sql, Kind::Bool).or_null(one || other),
        };
        Ok(value)
    }

    /// The values that a document's value stands for, with a note to the user.
    fn synonym(&mut self, left: &Value, right: &Value, ignore_case: bool) -> Option<Vec<Value>> {
        let (column, written) = (left.column.as_deref()?, right.text()?);
        let synonym = synonyms::meant(column, written)?;
        if ignore_case && synonym.meant.iter().all(|value| value.eq_ignore_ascii_case(written)) {
            return None;
        }
        self.notes.add(synonym.note());
        Some(synonym.meant.iter().map(|value| Value::string(value)).collect())
    }

    pub(crate) fn within(
        &mut self,
        ignore_case: bool,
        negated: bool,
        value: &'q Expr,
        list: &'q InList,
        scope: &Scope<'_>,
    ) -> Answer<Value> {
        let left = self.value(value, scope)?;
        let found = match list {
            InList::Rows(pipeline) => self.in_rows(left, pipeline, ignore_case, value.span)?,
            InList::Values(values) => {
                if let [only] = values.as_slice()
                    && super::expr::find(scope.columns, name_of(only), self.ignore_case).is_none()
                    && let Some(table) = self.table_expr(only)
                {
                    let rows = self.table(&table)?;
                    self.in_relation(left, rows, ignore_case, only.span)?
                } else {
                    self.in_values(&left, values, ignore_case, scope)?
                }
            }
        };
        Ok(if negated { negative(found) } else { found })
    }

    fn in_values(
        &mut self,
        left: &Value,
        exprs: &'q [Expr],
        ignore_case: bool,
        scope: &Scope<'_>,
    ) -> Answer<Value> {
        let mut constants = Vec::new();
        let mut tests = Vec::new();
        for expr in exprs {
            let right = self.value(expr, scope)?;
            if let Kind::Dynamic(_) = right.kind {
                let text = to_text(left.clone());
                let strings = dynamic::strings(&right);
                tests.push(match ignore_case {
                    true => format!(
                        "has(arrayMap(s -> lowerUTF8(s), {strings}), lowerUTF8({}))",
                        text.sql
                    ),
                    false => format!("has({strings}, {})", text.sql),
                });
                continue;
            }
            if let Some(values) = self.synonym(left, &right, ignore_case) {
                constants.extend(values);
                continue;
            }
            if right.constant.is_some()
                && let Ok((aligned_left, aligned_right)) =
                    aligned(left.clone(), right.clone(), expr.span)
                && aligned_left.kind == left.kind
            {
                constants.push(aligned_right);
                continue;
            }
            let comparison =
                if ignore_case { Comparison::EqualIgnoreCase } else { Comparison::Equal };
            tests.push(self.compare(comparison, left.clone(), right, expr.span)?.sql);
        }
        if !constants.is_empty() {
            tests.push(in_list(left, &constants, ignore_case).sql);
        }
        Ok(match tests.as_slice() {
            [] => Value::bool(false),
            [one] => Value::new(one.clone(), Kind::Bool),
            _ => Value::new(format!("({})", tests.join(" OR ")), Kind::Bool),
        })
    }

    fn in_rows(
        &mut self,
        left: Value,
        pipeline: &'q Pipeline,
        ignore_case: bool,
        span: Span,
    ) -> Answer<Value> {
        let rows = self.pipeline(pipeline)?;
        self.in_relation(left, rows, ignore_case, span)
    }

    fn in_relation(
        &mut self,
        left: Value,
        mut rows: super::Relation,
        ignore_case: bool,
        span: Span,
    ) -> Answer<Value> {
        let lower = ignore_case && left.kind == Kind::String;
        let differs = rows.columns.first().is_some_and(|c| c.value.kind != left.kind);
        if lower || differs {
            rows.flatten();
        }
        let Some(first) = rows.columns.first() else {
            return Err(Fault::new(span, "these rows have no column to look into"));
        };
        let mut right = column_value(first);
        let mut left = left;
        if left.kind != right.kind && !(left.kind.is_number() && right.kind.is_number()) {
            (left, right) = (to_text(left), to_text(right));
        }
        if lower {
            left.sql = format!("lowerUTF8({})", left.sql);
            right.sql = format!("lowerUTF8({})", right.sql);
        }
        let mut column = first.clone();
        column.value = right;
        rows.columns = vec![column];
        rows.whole = false;
        if rows.limit.is_none() {
            rows.order.clear();
        }
        let sql = format!("({} IN {})", left.sql, parenthesised(&rows.select(&[])));
        Ok(known(Value::new(sql, Kind::Bool).or_null(left.nullable)))
    }

    pub(crate) fn has_each(
        &mut self,
        all: bool,
        value: &'q Expr,
        words: &'q [Expr],
        scope: &Scope<'_>,
    ) -> Answer<Value> {
        let value = to_text(self.value(value, scope)?);
        let mut tests = Vec::new();
        for word in words {
            let word = to_text(self.value(word, scope)?);
            tests.push(text_test(TextTest::Has, false, &value, &word).sql);
        }
        let joined = tests.join(if all { " AND " } else { " OR " });
        Ok(Value::new(format!("({joined})"), Kind::Bool))
    }

    pub(crate) fn between(
        &mut self,
        negated: bool,
        value: &'q Expr,
        low: &'q Expr,
        high: &'q Expr,
        scope: &Scope<'_>,
    ) -> Answer<Value> {
        let what = self.value(value, scope)?;
        let low_value = self.value(low, scope)?;
        let high_value = self.value(high, scope)?;
        // `between (start .. 1d)` lasts from a time for a length of time.
        let high_value = match (low_value.kind, high_value.kind) {
            (Kind::DateTime, Kind::Timespan) => super::time::shifted(&low_value, '+', &high_value),
            _ => high_value,
        };
        let from = self.compare(Comparison::GreaterEqual, what.clone(), low_value, low.span)?;
        let to = self.compare(Comparison::LessEqual, what, high_value, high.span)?;
        let nullable = from.nullable || to.nullable;
        let both = Value::new(format!("({} AND {})", from.sql, to.sql), Kind::Bool);
        let both = both.or_null(nullable);
        Ok(if negated { negative(both) } else { both })
    }
}

fn name_of(expr: &Expr) -> &str {
    match &expr.kind {
        ExprKind::Column(name) => name,
        _ => "",
    }
}

/// A condition that is never null.
fn known(value: Value) -> Value {
    match value.nullable {
        true => Value::new(format!("ifNull({}, false)", value.sql), Kind::Bool),
        false => value,
    }
}

fn negative(value: Value) -> Value {
    let value = known(value);
    Value::new(format!("(NOT {})", value.sql), Kind::Bool)
}

/// `left IN (...)` for constants of left's kind.
fn in_list(left: &Value, constants: &[Value], ignore_case: bool) -> Value {
    let mut sql = left.sql.clone();
    let mut items: Vec<String> = constants.iter().map(|c| c.sql.clone()).collect();
    if ignore_case && left.kind == Kind::String {
        let texts: Vec<&str> = constants.iter().filter_map(Value::text).collect();
        let ascii = texts.iter().all(|t| t.is_ascii());
        let lower = if ascii { "lower" } else { "lowerUTF8" };
        sql = format!("{lower}({sql})");
        items = texts
            .iter()
            .map(|text| match ascii {
                true => quoted(&text.to_ascii_lowercase()),
                false => format!("{lower}({})", quoted(text)),
            })
            .collect();
        items.dedup();
    }
    let sql = match items.as_slice() {
        [one] => format!("({sql} = {one})"),
        _ => format!("({sql} IN ({}))", items.join(", ")),
    };
    known(Value::new(sql, Kind::Bool).or_null(left.nullable))
}

/// Two texts in lower case. The engine lowers ASCII fast, and a text of ASCII equals no other once lowered.
fn without_case(left: Value, right: Value) -> (Value, Value) {
    let ascii = [&left, &right].iter().any(|v| v.text().is_some_and(str::is_ascii));
    let lower = |value: Value| match value.text() {
        Some(text) if ascii => Value::string(&text.to_ascii_lowercase()),
        _ => {
            let function = if ascii { "lower" } else { "lowerUTF8" };
            Value { sql: format!("{function}({})", value.sql), ..value }
        }
    };
    (lower(left), lower(right))
}

/// Two values of one kind, for a comparison.
fn aligned(left: Value, right: Value, span: Span) -> Answer<(Value, Value)> {
    use Kind::{Bool, DateTime, Dynamic, Guid, Int, Real, String, Timespan};
    Ok(match (left.kind, right.kind) {
        (Dynamic(_), Dynamic(_)) => (to_text(left), to_text(right)),
        (one, other) if one == other => (left, right),
        (Int, Real) | (Real, Int) => (left, right),
        (Dynamic(_), kind) => (of_kind(left, kind, span)?, right),
        (kind, Dynamic(_)) => {
            let right = of_kind(right, kind, span)?;
            (left, right)
        }
        (String | Guid, _) | (_, String | Guid) => {
            let (kind, text) = match left.kind {
                String => (right.kind, &left),
                _ => (left.kind, &right),
            };
            if kind == Guid
                && let Some(written) = text.text()
            {
                // The engine writes them in lower case.
                let written = Value::string(&written.to_ascii_lowercase());
                return Ok(match left.kind {
                    String => (written, to_text(right)),
                    _ => (to_text(left), written),
                });
            }
            let Some(parsed) = text.text().and_then(|text| parsed(text, kind)) else {
                if kind == DateTime && text.text().is_some() {
                    return Err(Fault::new(
                        span,
                        "this text is no date; write one as datetime(2017-07-01T10:00:00Z)",
                    ));
                }
                return Ok((to_text(left), to_text(right)));
            };
            match left.kind {
                String => (parsed, right),
                _ => (left, parsed),
            }
        }
        (Bool, Int) if matches!(right.constant, Some(Constant::Int(0 | 1))) => (left, right),
        (Int, Bool) if matches!(left.constant, Some(Constant::Int(0 | 1))) => (left, right),
        (DateTime | Timespan | Bool | Int | Real, _) => {
            return Err(Fault::new(
                span,
                format!("a {} cannot be compared with a {}", left.kind.name(), right.kind.name()),
            ));
        }
    })
}

fn of_kind(value: Value, kind: Kind, span: Span) -> Answer<Value> {
    match kind {
        Kind::Bool => functions::to_bool(value, span),
        Kind::Int | Kind::Real => functions::to_real(value, span),
        Kind::DateTime => functions::to_datetime(value, span),
        _ => Ok(to_text(value)),
    }
}

/// A constant text as a constant of another kind.
fn parsed(written: &str, kind: Kind) -> Option<Value> {
    let trimmed = written.trim();
    match kind {
        Kind::Bool => match trimmed.to_ascii_lowercase().as_str() {
            "true" | "1" => Some(Value::bool(true)),
            "false" | "0" => Some(Value::bool(false)),
            _ => None,
        },
        Kind::Int | Kind::Real => {
            let whole = trimmed.parse::<i64>().ok().map(Value::int);
            whole.or_else(|| trimmed.parse::<f64>().ok().filter(|n| n.is_finite()).map(Value::real))
        }
        Kind::DateTime => text::datetime(trimmed).map(Value::datetime),
        Kind::Timespan => text::timespan(trimmed).map(Value::timespan),
        _ => None,
    }
}

/// A test of a text. KQL's words are runs of letters and digits; all tests but `matches` ignore case, unless
/// their name ends in `_cs`.
fn text_test(test: TextTest, case: bool, haystack: &Value, needle: &Value) -> Value {
    let h = &haystack.sql;
    let n = &needle.sql;
    let plain = |sql: String| Value::new(sql, Kind::Bool);
    let ascii = needle.text().is_some_and(str::is_ascii);
    match (test, needle.text()) {
        (TextTest::Matches, _) => return plain(format!("match({h}, {n})")),
        (TextTest::Like, Some(pattern)) => {
            let parts: Vec<String> = pattern.split('*').map(regex_quoted).collect();
            let regex = format!("(?is)^{}$", parts.join(".*"));
            return plain(format!("match({h}, {})", quoted(&regex)));
        }
        (TextTest::Contains | TextTest::Like, _) => {
            let sql = match (case, ascii) {
                (true, _) => format!("(position({h}, {n}) > 0)"),
                (false, true) => format!("(positionCaseInsensitive({h}, {n}) > 0)"),
                (false, false) => format!("(positionCaseInsensitiveUTF8({h}, {n}) > 0)"),
            };
            return plain(sql);
        }
        (TextTest::StartsWith | TextTest::EndsWith, _) => {
            let function = if test == TextTest::StartsWith { "startsWith" } else { "endsWith" };
            let (h, n) = match (case, needle.text()) {
                (true, _) => (h.clone(), n.clone()),
                (false, Some(text)) if text.is_ascii() => {
                    (format!("lower({h})"), quoted(&text.to_ascii_lowercase()))
                }
                (false, _) => (format!("lowerUTF8({h})"), format!("lowerUTF8({n})")),
            };
            return plain(format!("{function}({h}, {n})"));
        }
        _ => {}
    }
    // Words: the needle must not go on at an end where it has a letter or a digit itself.
    let (before, after) = match test {
        TextTest::HasPrefix => (true, false),
        TextTest::HasSuffix => (false, true),
        _ => (true, true),
    };
    const BEFORE: &str = "(?:^|[^\\pL\\pN])";
    const AFTER: &str = "(?:$|[^\\pL\\pN])";
    let flags = if case { "(?s)" } else { "(?is)" };
    let Some(text) = needle.text() else {
        let sql = format!(
            "match({h}, concat({}, if(match({n}, '^[\\\\pL\\\\pN]') AND {before}, {}, ''), \
             regexpQuoteMeta({n}), if(match({n}, '[\\\\pL\\\\pN]$') AND {after}, {}, '')))",
            quoted(flags),
            quoted(BEFORE),
            quoted(AFTER),
        );
        return plain(sql);
    };
    let before = before && text.starts_with(char::is_alphanumeric);
    let after = after && text.ends_with(char::is_alphanumeric);
    let regex = format!(
        "{flags}{}{}{}",
        if before { BEFORE } else { "" },
        regex_quoted(text),
        if after { AFTER } else { "" }
    );
    plain(format!("match({h}, {})", quoted(&regex)))
}

/// Whether a value is a dynamic one that the engine holds in a type of its own.
pub(crate) fn is_engine_dynamic(value: &Value) -> bool {
    value.kind == Kind::Dynamic(Form::Engine)
}
