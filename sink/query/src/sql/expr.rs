//! Values in SQL: names, paths, logic, arithmetic. Comparisons are in `compare`, functions in `functions`.

use super::relation::Column;
use super::types::{Constant, Form, Kind, Value};
use super::{Translator, aggregates, bounded, dynamic, functions, time};
use crate::ast::{Arithmetic, Expr, ExprKind, Literal, NullKind, Span};
use crate::error::{Answer, Fault};

/// What a value may name.
#[derive(Clone, Copy)]
pub(crate) struct Scope<'s> {
    pub(crate) columns: &'s [Column],
    /// Aggregates may stand here, and outside of them no column.
    pub(crate) grouped: bool,
    /// There is a `by`: no group is empty.
    pub(crate) by: bool,
}

impl<'s> Scope<'s> {
    pub(crate) fn empty() -> Self {
        Self { columns: &[], grouped: false, by: false }
    }

    pub(crate) fn of(columns: &'s [Column]) -> Self {
        Self { columns, ..Self::empty() }
    }
}

impl<'q> Translator<'q> {
    /// The SQL of a value.
    pub(crate) fn value(&mut self, expr: &'q Expr, scope: &Scope<'_>) -> Answer<Value> {
        let span = expr.span;
        let value = match &expr.kind {
            ExprKind::Literal(literal) => constant(literal),
            ExprKind::Column(name) => self.name(name, span, scope)?,
            ExprKind::Star => {
                return Err(Fault::new(
                    span,
                    "`*` stands for all columns, and one value is needed here",
                ));
            }
            ExprKind::Call(name, arguments) => self.call(name, arguments, span, scope)?,
            ExprKind::Path(base, steps) => {
                let base = self.value(base, scope)?;
                let steps = steps
                    .iter()
                    .map(|step| Ok((self.value(step, scope)?, step.span)))
                    .collect::<Answer<Vec<_>>>()?;
                dynamic::member(base, &steps)?
            }
            ExprKind::And(all) => self.logic(all, " AND ", scope)?,
            ExprKind::Or(all) => self.logic(all, " OR ", scope)?,
            ExprKind::Not(one) => {
                let value = self.condition(one, scope)?;
                Value::new(format!("(NOT {})", value.sql), Kind::Bool).or_null(value.nullable)
            }
            ExprKind::Negative(one) => {
                let value = self.value(one, scope)?;
                let value = match value.kind {
                    Kind::Int | Kind::Real | Kind::Timespan => value,
                    Kind::Dynamic(_) => functions::to_real(value, span)?,
                    kind => {
                        return Err(Fault::new(span, format!("a {} has no negative", kind.name())));
                    }
                };
                Value::new(format!("(-{})", value.sql), value.kind).or_null(value.nullable)
            }
            ExprKind::Compare(comparison, left, right) => {
                self.comparison(*comparison, left, right, span, scope)?
            }
            ExprKind::Arithmetic(operator, left, right) => {
                let left = self.value(left, scope)?;
                let right = self.value(right, scope)?;
                arithmetic(*operator, left, right, span)?
            }
            ExprKind::In { ignore_case, negated, value, list } => {
                self.within(*ignore_case, *negated, value, list, scope)?
            }
            ExprKind::HasEach { all, value, words } => self.has_each(*all, value, words, scope)?,
            ExprKind::Between { negated, value, low, high } => {
                self.between(*negated, value, low, high, scope)?
            }
        };
        bounded(value, span)
    }

    /// A value that is true or false.
    pub(crate) fn condition(&mut self, expr: &'q Expr, scope: &Scope<'_>) -> Answer<Value> {
        let value = self.value(expr, scope)?;
        match value.kind {
            Kind::Bool => Ok(value),
            Kind::Dynamic(_) => functions::to_bool(value, expr.span),
            kind => Err(Fault::new(
                expr.span,
                format!("a condition is needed here, and this is a {}", kind.name()),
            )),
        }
    }

    fn logic(&mut self, all: &'q [Expr], word: &str, scope: &Scope<'_>) -> Answer<Value> {
        let mut nullable = false;
        let mut parts = Vec::new();
        for expr in all {
            let value = self.condition(expr, scope)?;
            nullable |= value.nullable;
            parts.push(value.sql);
        }
        Ok(Value::new(format!("({})", parts.join(word)), Kind::Bool).or_null(nullable))
    }

    fn name(&self, name: &str, span: Span, scope: &Scope<'_>) -> Answer<Value> {
        if let Some(column) = find(scope.columns, name, self.ignore_case) {
            if scope.grouped {
                return Err(Fault::new(
                    span,
                    format!(
                        "`{name}` is one of many in a group: put it into an aggregate, or into `by`"
                    ),
                ));
            }
            return Ok(column_value(column));
        }
        if let Some(value) = self.defined(name) {
            return Ok(value);
        }
        Err(unknown_column(name, span, scope.columns))
    }

    fn call(
        &mut self,
        name: &str,
        arguments: &'q [Expr],
        span: Span,
        scope: &Scope<'_>,
    ) -> Answer<Value> {
        match name {
            "now" if arguments.is_empty() => return Ok(self.now()),
            "now" | "ago" => {
                let [length] = functions::exactly(name, arguments, span)?;
                let value = self.value(length, scope)?;
                let length = functions::to_timespan(value, length.span)?;
                let sign = if name == "ago" { '-' } else { '+' };
                return Ok(time::shifted(&self.now(), sign, &length));
            }
            "ingestion_time" => {
                let received = ["_TimeReceived", "TimeReceived"]
                    .iter()
                    .find_map(|name| find(scope.columns, name, false));
                return received.map(column_value).ok_or_else(|| {
                    Fault::new(span, "ingestion_time() is known where `_TimeReceived` is, and that is no column here")
                });
            }
            _ => {}
        }
        if aggregates::is_one(name) {
            if !scope.grouped {
                return Err(Fault::new(
                    span,
                    format!(
                        "{name}() works on groups: it can stand in `summarize` and `make-series`"
                    ),
                ));
            }
            let inner = Scope { grouped: false, ..*scope };
            let mut values = Vec::new();
            for argument in arguments {
                // count(*) is count().
                if argument.kind != ExprKind::Star || name != "count" {
                    values.push((self.value(argument, &inner)?, argument.span));
                }
            }
            return aggregates::call(name, &values, span, scope.by);
        }
        let mut values = Vec::new();
        for argument in arguments {
            values.push((self.value(argument, scope)?, argument.span));
        }
        functions::call(name, values, span)
    }

    /// The time that the query is about.
    pub(crate) fn now(&self) -> Value {
        match self.options.now_us {
            Some(micros) => Value::datetime(micros),
            None => Value::new("now64(3, 'UTC')", Kind::DateTime),
        }
    }
}

/// A column by its name, or by its name in another case.
pub(crate) fn find<'c>(columns: &'c [Column], name: &str, ignore_case: bool) -> Option<&'c Column> {
    columns.iter().find(|c| c.name == name).or_else(|| {
        columns.iter().filter(|_| ignore_case).find(|c| c.name.eq_ignore_ascii_case(name))
    })
}

/// A column as a value: texts are never null in KQL.
pub(crate) fn column_value(column: &Column) -> Value {
    let mut value = Value { column: Some(column.name.clone()), ..column.value.clone() };
    if value.nullable && value.kind == Kind::String {
        value.sql = format!("ifNull({}, '')", value.sql);
        value.nullable = false;
    }
    value
}

pub(crate) fn unknown_column(name: &str, span: Span, columns: &[Column]) -> Fault {
    if let Some(column) = find(columns, name, true) {
        return Fault::new(
            span,
            format!("there is no column `{name}` here; did you mean `{}`?", column.name),
        );
    }
    let nearest = columns
        .iter()
        .map(|column| (distance(&column.name, name), column.name.as_str()))
        .min()
        .filter(|(distance, _)| *distance <= name.len() / 3);
    let hint = match nearest {
        Some((_, alike)) => format!("; did you mean `{alike}`?"),
        None if columns.is_empty() => ", where no table is named".to_owned(),
        None => {
            let known: Vec<&str> = columns.iter().map(|c| c.name.as_str()).take(80).collect();
            format!("; there are {}", known.join(", "))
        }
    };
    Fault::new(span, format!("there is no column `{name}` here{hint}"))
}

/// How many letters must change to make one name of the other.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.to_lowercase().chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, c) in one.to_lowercase().chars().enumerate() {
        let mut next = vec![i + 1];
        for ((d, above), diagonal) in other.iter().zip(row.iter().skip(1)).zip(&row) {
            let left = next.last().copied().unwrap_or_default();
            next.push((diagonal + usize::from(*d != c)).min(above + 1).min(left + 1));
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

fn constant(literal: &Literal) -> Value {
    match literal {
        Literal::String(text) => Value::string(text),
        Literal::Int(n) => Value::int(*n),
        Literal::Real(n) => Value::real(*n),
        Literal::Bool(value) => Value::bool(*value),
        Literal::DateTime(micros) => Value::datetime(*micros),
        Literal::Timespan(ticks) => Value::timespan(*ticks),
        Literal::Dynamic(json) => Value { kind: Kind::Dynamic(Form::Json), ..Value::string(json) },
        Literal::Null(kind) => {
            let kind = match kind {
                NullKind::Bool => Kind::Bool,
                NullKind::Int => Kind::Int,
                NullKind::Real => Kind::Real,
                NullKind::DateTime => Kind::DateTime,
                NullKind::Timespan => Kind::Timespan,
                NullKind::Dynamic => Kind::Dynamic(Form::Json),
            };
            Value::new(kind.null(), kind).or_null(kind != Kind::Dynamic(Form::Json))
        }
    }
}

/// A zero in a divisor gives null for whole numbers, as in KQL, and not the engine's error.
fn guarded(left: &Value, right: &Value, function: &str) -> Value {
    let nullable = left.nullable || right.nullable;
    match right.constant {
        Some(Constant::Int(n)) if n != 0 => {
            Value::new(format!("{function}({}, {})", left.sql, right.sql), Kind::Int)
                .or_null(nullable)
        }
        _ => {
            let (l, r) = (&left.sql, &right.sql);
            let sql = format!("if({r} = 0, NULL, {function}({l}, if({r} = 0, 1, {r})))");
            Value::new(sql, Kind::Int).or_null(true)
        }
    }
}

fn arithmetic(operator: Arithmetic, left: Value, right: Value, span: Span) -> Answer<Value> {
    use Arithmetic::{Add, Divide, Modulo, Multiply, Subtract};
    use Kind::{DateTime, Int, Real, Timespan};
    let number = |value: Value| match value.kind {
        Kind::Dynamic(_) => functions::to_real(value, span),
        _ => Ok(value),
    };
    let (left, right) = (number(left)?, number(right)?);
    let nullable = left.nullable || right.nullable;
    let sign = match operator {
        Add => '+',
        Subtract => '-',
        Multiply => '*',
        Divide => '/',
        Modulo => '%',
    };
    let plain = format!("({} {sign} {})", left.sql, right.sql);
    let value = match (left.kind, operator, right.kind) {
        (DateTime, Subtract, DateTime) => {
            let sql = format!("(({} - {}) * 10)", time::micros(&left), time::micros(&right));
            Value::new(sql, Timespan)
        }
        (DateTime, Add | Subtract, Timespan) => time::shifted(&left, sign, &right),
        (Timespan, Add, DateTime) => time::shifted(&right, sign, &left),
        (Timespan, Add | Subtract, Timespan) => Value::new(plain, Timespan),
        (Timespan, Divide, Timespan) => Value::new(plain, Real),
        (Timespan, Multiply | Divide, Int | Real) | (Int | Real, Multiply, Timespan) => {
            Value::new(format!("toInt64{plain}"), Timespan)
        }
        (Int, Divide, Int) => guarded(&left, &right, "intDiv"),
        (Int, Modulo, Int) => guarded(&left, &right, "positiveModulo"),
        (Int, Add | Subtract | Multiply, Int) => Value::new(plain, Int),
        (Int | Real, Modulo, Int | Real) => {
            Value::new(format!("positiveModulo({}, {})", left.sql, right.sql), Real)
        }
        (Int | Real, _, Int | Real) => Value::new(plain, Real),
        (one, _, other) => {
            let hint = match (one, other) {
                (Kind::String, _) | (_, Kind::String) => {
                    "; strcat() joins texts, and tolong() reads a number"
                }
                _ => "",
            };
            return Err(Fault::new(
                span,
                format!("a {} {sign} a {} means nothing{hint}", one.name(), other.name()),
            ));
        }
    };
    Ok(value.or_null(nullable))
}
