//! Unions: the columns of all sides by name, empty where a side does not have one.

use super::expr::{column_value, find};
use super::functions::{self, to_text};
use super::operators::source_name;
use super::relation::{Column, Relation, parenthesised};
use super::types::{Form, Kind, Value};
use super::{Translator, dynamic};
use crate::ast::{Span, Union};
use crate::error::{Answer, Fault};

impl<'q> Translator<'q> {
    pub(crate) fn union(&mut self, piped: Option<Relation>, union: &'q Union) -> Answer<Relation> {
        let mut sides: Vec<(String, Relation)> = Vec::new();
        sides.extend(piped.map(|rows| ("union_arg0".to_owned(), rows)));
        for pipeline in &union.sides {
            let name = source_name(&pipeline.source, sides.len());
            sides.push((name, self.pipeline(pipeline)?));
        }
        let column = union.source_column.as_ref().map(|name| name.text.as_str());
        self.united(sides, column, union.inner, union.span)
    }

    /// These rows one after the other, with a column that says whose each row is.
    pub(crate) fn united(
        &mut self,
        mut sides: Vec<(String, Relation)>,
        source_column: Option<&str>,
        inner: bool,
        span: Span,
    ) -> Answer<Relation> {
        if sides.len() == 1
            && source_column.is_none()
            && let Some((_, only)) = sides.pop()
        {
            return Ok(only);
        }
        let mut shared: Vec<(String, Vec<Kind>, usize, bool)> = Vec::new();
        for (_, rows) in &mut sides {
            rows.flatten();
            for column in &rows.columns {
                let kind = column.value.kind;
                match shared.iter_mut().find(|(name, ..)| *name == column.name) {
                    Some((_, kinds, count, nullable)) => {
                        if !kinds.contains(&kind) {
                            kinds.push(kind);
                        }
                        *count += 1;
                        *nullable |= column.value.nullable;
                    }
                    None => {
                        shared.push((column.name.clone(), vec![kind], 1, column.value.nullable));
                    }
                }
            }
        }
        if inner {
            shared.retain(|(_, _, count, _)| *count == sides.len());
        }
        if shared.is_empty() {
            return Err(Fault::new(span, "these rows have no column in common"));
        }
        let kinds: Vec<(String, Kind, bool)> = shared
            .into_iter()
            .map(|(name, kinds, count, nullable)| {
                let kind = match kinds.as_slice() {
                    [Kind::Dynamic(Form::Engine)] => Kind::Dynamic(Form::Json),
                    [one] => *one,
                    all if all.iter().all(|k| k.is_number()) => Kind::Real,
                    all if all.iter().any(|k| matches!(k, Kind::Dynamic(_))) => {
                        Kind::Dynamic(Form::Json)
                    }
                    _ => Kind::String,
                };
                (name, kind, nullable || count < sides.len())
            })
            .collect();

        let mut selects = Vec::new();
        for (source, mut rows) in sides {
            let own = std::mem::take(&mut rows.columns);
            if let Some(name) = source_column {
                rows.columns.push(Column::computed(name, Value::string(&source)));
            }
            for (name, kind, _) in &kinds {
                let value = match find(&own, name, false) {
                    Some(column) => {
                        let value = column_value(column);
                        match (value.kind, kind) {
                            (one, other)
                                if one == *other || (one == Kind::Int && *other == Kind::Real) =>
                            {
                                Value::new(functions::canonical(&value, *other), *other)
                            }
                            (_, Kind::Dynamic(_)) => {
                                Value::new(dynamic::json(&value), Kind::Dynamic(Form::Json))
                            }
                            _ => to_text(value),
                        }
                    }
                    None => Value::new(kind.null(), *kind),
                };
                rows.columns.push(Column::computed(name, value));
            }
            rows.whole = false;
            if rows.limit.is_none() {
                rows.order.clear();
            }
            selects.push(rows.select(&[]));
        }
        let mut columns = Vec::new();
        if let Some(name) = source_column {
            columns.push(Column::of("t", name, Kind::String, false));
        }
        for (name, kind, nullable) in kinds {
            let nullable = nullable && !matches!(kind, Kind::String | Kind::Dynamic(_));
            columns.push(Column::of("t", &name, kind, nullable));
        }
        let from = format!("{} AS t", parenthesised(&selects.join("\nUNION ALL\n")));
        let mut rows = Relation::new(from, columns);
        rows.whole = true;
        Ok(rows)
    }
}
